/**
 * The model on the embedded store: a document of many endpoints, single attachments, a restart. Wall time and, because other
 * work on the machine does not change it, CPU time of the process.
 *
 *     node dist/bench/model.js [ENDPOINTS]        default 10,000
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type IntentObject, Model } from '../controller/model/index.js';
import { LevelStore } from '../controller/store/level.js';

const count = Number(process.argv[2] ?? 10_000);
const HOSTS = 50;
const networks = Math.max(1, Math.ceil(count / 100));
const hostOf = (index: number) => `h${index % HOSTS}`;
const idOf = (index: number) => `t/n${index % networks}/e${index}`;

const objects: IntentObject[] = [
  { kind: 'Tenant', name: 't', subnetPool: '10.0.0.0/8', allocationLength: 24 },
  ...Array.from({ length: HOSTS }, (_, index): IntentObject => ({ kind: 'Host', name: hostOf(index) })),
  ...Array.from(
    { length: networks },
    (_, index): IntentObject => ({ kind: 'Network', tenant: 't', name: `n${index}` }),
  ),
  ...Array.from({ length: count }, (_, index): IntentObject => {
    const [tenant = '', network = '', name = ''] = idOf(index).split('/');
    return { kind: 'Endpoint', tenant, network, name, host: hostOf(index) };
  }),
];

async function measure<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const result = await work();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    `${what.padEnd(48)} ${wall.toFixed(1).padStart(9)} ms, CPU ${((user + system) / 1_000).toFixed(1).padStart(9)} ms`,
  );
  return result;
}

/** Latencies one after the other: each is in the store, synced, before the next begins. */
async function latency(
  what: string,
  times: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  const taken: number[] = [];
  for (let index = 0; index < times; index++) {
    const start = performance.now();
    await work(index);
    taken.push(performance.now() - start);
  }
  taken.sort((a, b) => a - b);
  const at = (share: number) => (taken[Math.floor((taken.length - 1) * share)] ?? Number.NaN).toFixed(2);
  console.log(`${what.padEnd(48)} median ${at(0.5)} ms, 99 % ${at(0.99)} ms`);
}

const attach = (model: Model, index: number) =>
  model.attach({ endpoint: idOf(index), host: hostOf(index), interface: `v${index}` });

const folder = mkdtempSync(join(tmpdir(), 'weft-bench-model-'));
try {
  const store = await LevelStore.open(folder);
  const model = await Model.open(store);
  console.log(`${count} endpoints in ${networks} networks on ${HOSTS} hosts`);
  await measure('apply them all, one transaction', () => model.apply(objects, { mode: 'replace' }));
  await measure('apply the same again', () => model.apply(objects, { mode: 'replace' }));
  await measure('apply with one of them changed', () =>
    model.apply(
      objects.map((object) =>
        object.kind === 'Endpoint' && object.name === 'e0' ? { ...object, mac: '02:aa:00:00:00:01' } : object,
      ),
      { mode: 'replace' },
    ),
  );
  await measure('attach them all at once', () =>
    Promise.all(Array.from({ length: count }, (_, index) => attach(model, index))),
  );
  await latency('attach one', 500, (index) => attach(model, index % count));
  await latency('request one', 500, (index) =>
    model.requestEndpoint({ tenant: 't', network: 'n0', name: `new${index % 100}`, host: 'h0' }),
  );
  await measure('list them all', () => model.list('Endpoint'));
  await model.close();
  await store.close();

  const again = await LevelStore.open(folder);
  const reloaded = await measure('open the model again', () => Model.open(again));
  await measure('all facts', () => reloaded.facts());
  await measure('delete everything', () =>
    reloaded.remove([{ kind: 'Tenant', name: 't' }], { cascade: true }),
  );
  await reloaded.close();
  await again.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
