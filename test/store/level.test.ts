import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Level } from 'level';
import t from 'tap';
import { LevelStore } from '../../controller/store/level.js';
import { checkKey, prefixEnd, type Store } from '../../controller/store/store.js';
import { encodeStoredValue } from '../../controller/store/stored-value.js';
import { storeConformance } from './conformance.js';

/** Events remembered for watchers: more than the suite's largest transaction has. */
const HISTORY_LIMIT = 4_000;

const root = mkdtempSync(join(tmpdir(), 'weft-level-'));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const folders = new Map<Store, string>();

async function open(folder = join(root, String(++count))): Promise<LevelStore> {
  const store = await LevelStore.open(folder, { historyLimit: HISTORY_LIMIT });
  folders.set(store, folder);
  return store;
}

await t.test('level passes the conformance suite', (t) =>
  storeConformance(t, {
    open: () => open(),
    reopen: async (store) => {
      await store.close();
      return open(folders.get(store));
    },
    compact: async (store) => {
      const key = 'compact-me';
      const large = Array.from({ length: HISTORY_LIMIT + 1 }, (_, index) => `${key}/${index}`);
      await store.transact({
        compare: [],
        put: large.map((key) => ({ key, value: new Uint8Array() })),
        delete: [],
      });
      await store.transact({ compare: [], put: [], delete: large });
    },
  }),
);

await t.test('a second process is told that the folder is taken', async (t) => {
  const folder = join(root, 'locked');
  const store = await open(folder);
  await t.rejects(LevelStore.open(folder), { code: 'store.locked', fix: /--data/ });
  await store.close();
  await (await open(folder)).close();
});

await t.test('a folder that cannot be used is refused with the reason', async (t) => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  await t.rejects(LevelStore.open(file), { code: 'store.unavailable', fix: /--data/ });
});

await t.test('a folder written by a newer version is refused', async (t) => {
  const folder = join(root, 'newer');
  const raw = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' });
  await raw.put('m/format', encodeStoredValue(99, new Uint8Array()));
  await raw.close();
  await t.rejects(LevelStore.open(folder), { code: 'store.version' });
});

await t.test('a damaged record is named', async (t) => {
  const folder = join(root, 'damaged');
  await (await open(folder)).close();
  const raw = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' });
  await raw.put('d/bad', Uint8Array.of(0xff, 0xff, 0xff));
  await raw.close();
  const store = await open(folder);
  await t.rejects(store.list(''), { code: 'store.corrupt', message: /"bad"/ });
  await store.close();
});

t.test('prefixes end where they should', async (t) => {
  t.equal(prefixEnd('a/'), 'a0');
  t.equal(prefixEnd('a~'), 'a\x7f');
  t.throws(() => checkKey('é'), { code: 'store.invalid' });
});

await t.test('a writer killed at any moment loses nothing that was acknowledged', async (t) => {
  const folder = join(root, 'killed');
  const writer = fileURLToPath(new URL('level-writer.js', import.meta.url));
  const acknowledged = new Set<number>();
  let next = 0;
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, [writer, folder, String(next)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const target = acknowledged.size + 20 + Math.floor(Math.random() * 400);
    await readUntilKilled(child, acknowledged, target);

    const store = await open(folder);
    const { records } = await store.list('');
    const values = new Map(records.map(({ key, value }) => [key, Buffer.from(value).toString()]));
    const stored = new Set(records.map(({ key }) => Number(key.split('/')[1])));
    for (const number of acknowledged) {
      // Every seventh pair may have been deleted by the seventh after it.
      if (number % 7 === 0 && (acknowledged.has(number + 7) || !stored.has(number))) {
        if (acknowledged.has(number + 7)) t.notOk(stored.has(number), `${number} was deleted`);
        continue;
      }
      if (!values.get(`left/${number}`)?.startsWith(`${number} `)) t.fail(`acknowledged ${number} is lost`);
    }
    for (const number of stored) {
      const [left, right] = [values.get(`left/${number}`), values.get(`right/${number}`)];
      if (left === undefined || left !== right) t.fail(`half of ${number} was written`);
      if (number >= next) next = number + 1;
    }
    await store.close();
  }
  t.ok(acknowledged.size > 100, `${acknowledged.size} acknowledged`);
});

function readUntilKilled(child: ChildProcess, acknowledged: Set<number>, target: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === 'conflict') reject(new Error('a new key was there already'));
        acknowledged.add(Number(line));
      }
      if (acknowledged.size >= target) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === null ? resolve() : reject(new Error(`the writer ended with ${code}`)),
    );
  });
}
