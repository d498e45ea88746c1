/** What every store driver has to pass; run by test/store/level.test.ts and test/system/store-etcd.test.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { type Store, StoreError, type WatchBatch } from '../../controller/store/store.js';

export interface Driver {
  /** A store without records; each call another one. */
  open(): Promise<Store>;
  /** Closes the store and opens the same records again. */
  reopen(store: Store): Promise<Store>;
  /** Makes the store forget its history up to now, so that older watches have to relist. */
  compact(store: Store): Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : new TextDecoder().decode(value);
const put = (key: string, value: string) => ({ key, value: bytes(value) });
const write = (store: Store, ...puts: { key: string; value: Uint8Array }[]) =>
  store.transact({ compare: [], put: puts, delete: [] });

async function revisionOf(outcome: ReturnType<Store['transact']>): Promise<number> {
  const result = await outcome;
  if (!result.ok) throw new Error(`conflict on ${result.conflicts.join(', ')}`);
  return result.revision;
}

/** Takes batches until the condition holds; fails after 10 s. */
export async function takeUntil(
  batches: AsyncIterator<WatchBatch>,
  done: (batches: readonly WatchBatch[]) => boolean,
): Promise<WatchBatch[]> {
  const taken: WatchBatch[] = [];
  const deadline = new AbortController();
  try {
    while (!done(taken)) {
      const next = await Promise.race([
        batches.next(),
        delay(10_000, undefined, { signal: deadline.signal }).then(() => {
          throw new Error(`no further batch after ${JSON.stringify(taken.map((batch) => batch.revision))}`);
        }),
      ]);
      if (next.done === true) throw new Error('the watch ended');
      taken.push(next.value);
    }
  } finally {
    deadline.abort();
  }
  return taken;
}

export async function storeConformance(t: Test, driver: Driver): Promise<void> {
  await t.test('what is put can be read, listed in order and deleted', async (t) => {
    const store = await driver.open();
    t.equal(store.state, 'ready');
    t.equal(await store.get('a/1'), undefined);
    const binary = Uint8Array.from({ length: 256 }, (_, index) => index);
    const first = await revisionOf(
      write(store, put('a/2', 'two'), { key: 'a/1', value: binary }, put('b', '')),
    );
    t.ok(first > 0);
    const record = await store.get('a/1');
    t.same(Array.from(record?.value ?? []), Array.from(binary));
    t.equal(record?.revision, first);
    t.equal((await store.get('b'))?.value.length, 0);
    const second = await revisionOf(write(store, put('a/2', 'new')));
    t.ok(second > first, 'revisions grow');
    const listed = await store.list('a/');
    t.same(
      listed.records.map(({ key, revision }) => [key, revision]),
      [
        ['a/1', first],
        ['a/2', second],
      ],
    );
    t.equal(listed.revision, second);
    t.equal((await store.list('')).records.length, 3);
    await store.transact({ compare: [], put: [], delete: ['a/1', 'absent'] });
    t.equal(await store.get('a/1'), undefined);
    t.same(
      (await store.list('a')).records.map(({ key }) => key),
      ['a/2'],
    );
    await store.close();
  });

  await t.test('a transaction is compared and applied as one', async (t) => {
    const store = await driver.open();
    const first = await revisionOf(
      store.transact({ compare: [{ key: 'x', revision: 0 }], put: [put('x', '1')], delete: [] }),
    );
    const again = await store.transact({
      compare: [
        { key: 'x', revision: 0 },
        { key: 'y', revision: 0 },
      ],
      put: [put('y', '1')],
      delete: ['x'],
    });
    t.same(again, { ok: false, conflicts: ['x'] });
    t.equal(text((await store.get('x'))?.value), '1', 'nothing deleted');
    t.equal(await store.get('y'), undefined, 'nothing put');
    const swapped = await revisionOf(
      store.transact({ compare: [{ key: 'x', revision: first }], put: [put('y', '2')], delete: ['x'] }),
    );
    t.equal(await store.get('x'), undefined);
    t.equal((await store.get('y'))?.revision, swapped);
    t.equal(
      (await store.transact({ compare: [{ key: 'x', revision: first }], put: [], delete: [] })).ok,
      false,
    );
    t.equal(
      (await store.transact({ compare: [{ key: 'y', revision: swapped }], put: [], delete: [] })).ok,
      true,
    );
    t.equal((await store.list('')).revision, swapped, 'comparing alone changes nothing');
    await store.close();
  });

  await t.test('of transactions that compare the same revision one wins', async (t) => {
    const store = await driver.open();
    let revision = 0;
    for (let round = 1; round <= 5; round++) {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.transact({
            compare: [{ key: 'counter', revision }],
            put: [put('counter', `${round}/${index}`), put(`log/${round}`, String(index))],
            delete: [],
          }),
        ),
      );
      const winners = outcomes.flatMap((outcome, index) => (outcome.ok ? [{ index, outcome }] : []));
      t.equal(winners.length, 1, `round ${round}`);
      t.equal(text((await store.get('counter'))?.value), `${round}/${winners[0]?.index}`);
      t.equal(text((await store.get(`log/${round}`))?.value), String(winners[0]?.index));
      revision = winners[0]?.outcome.revision ?? 0;
    }
    await store.close();
  });

  await t.test('bad transactions are refused whole', async (t) => {
    const store = await driver.open();
    await t.rejects(() => write(store, put('good', '1'), put('bad key', '1')), { code: 'store.invalid' });
    await t.rejects(() => write(store, put('', '1')), { code: 'store.invalid' });
    await t.rejects(() => write(store, put('same', '1'), put('same', '2')), { code: 'store.invalid' });
    await t.rejects(() => store.transact({ compare: [], put: [put('same', '1')], delete: ['same'] }), {
      code: 'store.invalid',
    });
    await t.rejects(() => store.transact({ compare: [{ key: 'a', revision: -1 }], put: [], delete: [] }), {
      code: 'store.invalid',
    });
    t.same((await store.list('')).records, []);
    await store.close();
  });

  await t.test('records survive closing', async (t) => {
    let store = await driver.open();
    const revision = await revisionOf(write(store, put('kept', 'yes')));
    await store.transact({ compare: [], put: [], delete: ['kept/not'] });
    store = await driver.reopen(store);
    const listed = await store.list('');
    t.same(
      listed.records.map(({ key, value, revision }) => [key, text(value), revision]),
      [['kept', 'yes', revision]],
    );
    t.ok(listed.revision >= revision);
    t.ok((await revisionOf(write(store, put('more', '1')))) > revision);
    await store.close();
  });

  await t.test('a watch gives every change after its revision, one batch for a transaction', async (t) => {
    const store = await driver.open();
    const start = await revisionOf(write(store, put('w/old', '0')));
    const one = await revisionOf(write(store, put('w/a', '1'), put('other', '1'), put('w/b', '1')));
    const batches = store.watch('w/', start)[Symbol.asyncIterator]();
    t.same(describe(await takeUntil(batches, (taken) => taken.length === 1)), [
      { revision: one, events: ['put w/a 1', 'put w/b 1'] },
    ]);
    await write(store, put('other', '2'));
    const pending = takeUntil(batches, (taken) => taken.length === 2);
    const two = await revisionOf(
      store.transact({ compare: [], put: [put('w/a', '2')], delete: ['w/b', 'w/absent'] }),
    );
    const three = await revisionOf(write(store, put('w/c', '3')));
    t.same(describe(await pending), [
      { revision: two, events: ['delete w/b', 'put w/a 2'] },
      { revision: three, events: ['put w/c 3'] },
    ]);
    await store.close();
    t.same(await batches.next(), { done: true, value: undefined }, 'closing the store ends the watch');
  });

  await t.test('a watch ends when its signal aborts, others go on', async (t) => {
    const store = await driver.open();
    const stop = new AbortController();
    const stopped = store.watch('', 0, { signal: stop.signal })[Symbol.asyncIterator]();
    const going = store.watch('', 0)[Symbol.asyncIterator]();
    const end = stopped.next();
    stop.abort();
    t.same(await end, { done: true, value: undefined });
    await write(store, put('k', 'v'));
    t.equal((await takeUntil(going, (taken) => taken.length === 1)).length, 1);
    await store.close();
  });

  await t.test('a watch that asks for forgotten changes gets the whole list, then the changes', async (t) => {
    const store = await driver.open();
    const start = await revisionOf(write(store, put('a', '1'), put('gone', '1')));
    await store.transact({ compare: [], put: [put('b', '1')], delete: ['gone'] });
    await driver.compact(store);
    const { revision } = await store.list('');
    const batches = store.watch('', start - 1)[Symbol.asyncIterator]();
    const [list] = await takeUntil(batches, (taken) => taken.length === 1);
    t.equal(list?.relisted, true);
    t.ok((list?.revision ?? 0) >= revision);
    t.same(
      list?.events.map((event) => event.type === 'put' && event.record.key),
      ['a', 'b'],
    );
    const next = await revisionOf(write(store, put('c', '1')));
    t.same(describe(await takeUntil(batches, (taken) => taken.length === 1)), [
      { revision: next, events: ['put c 1'] },
    ]);
    await store.close();
  });

  await t.test('a transaction of thousands of records is one', async (t) => {
    const store = await driver.open();
    const start = await revisionOf(write(store, put('head', '0'), put('big/gone', '0')));
    const batches = store.watch('', start)[Symbol.asyncIterator]();
    const records = Array.from({ length: 3_000 }, (_, index) =>
      put(`big/${String(index).padStart(5, '0')}`, 'x'.repeat(400)),
    );
    const outcome = store.transact({
      compare: [{ key: 'head', revision: start }],
      put: [...records, put('head', '1')],
      delete: ['big/gone'],
    });
    // Whoever lists meanwhile sees all of it or nothing.
    const seen = await Promise.all([store.list('big/'), delay(5).then(() => store.list('big/'))]);
    for (const { records } of seen)
      t.ok(records.length === 1 || records.length === 3_000, `${records.length}`);
    const revision = await revisionOf(outcome);
    t.equal((await store.get('head'))?.revision, revision);
    t.equal((await store.list('big/')).records.length, 3_000);
    const [batch] = await takeUntil(batches, (taken) => taken.length === 1);
    t.equal(batch?.revision, revision);
    t.equal(batch?.events.length, 3_002);
    t.same(
      await store.transact({ compare: [{ key: 'head', revision: start }], put: records, delete: [] }),
      { ok: false, conflicts: ['head'] },
      'a large transaction is compared too',
    );
    await store.close();
  });

  await t.test('a closed store says so', async (t) => {
    const store = await driver.open();
    const states: string[] = [];
    store.onState((state) => states.push(state));
    await store.close();
    await store.close();
    await t.rejects(() => store.get('a'), { code: 'store.closed' });
    await t.rejects(() => write(store, put('a', '1')), { code: 'store.closed' });
    t.same(states, ['lost']);
    t.ok(new StoreError('store.closed', 'x') instanceof Error);
  });
}

function describe(batches: readonly WatchBatch[]): { revision: number; events: string[] }[] {
  return batches.map(({ revision, events }) => ({
    revision,
    events: events
      .map((event) =>
        event.type === 'put' ? `put ${event.record.key} ${text(event.record.value)}` : `delete ${event.key}`,
      )
      .sort(),
  }));
}
