import t from 'tap';
import { Journal } from '../../controller/journal/journal.js';
import { silentLogger } from '../../controller/channel/logger.js';
import { MemoryStore } from '../model/memory-store.js';

const options = { folder: 'multicast', what: 'tests', logger: silentLogger as never, delayMs: 5, retryMs: 5 };

t.test('what was put and flushed is there for the next process; what was deleted is not', async (t) => {
  const store = new MemoryStore();
  const journal = await Journal.open(store, options);
  journal.put('receivers/acme/web 1/ü%', { sources: ['10.0.0.1'], n: null });
  journal.put('groups/1', 7);
  journal.put('groups/2', 8);
  await journal.flush();
  journal.delete('groups/1');
  journal.delete('groups/never');
  await journal.flush();
  const next = await Journal.open(store.copy(), options);
  t.strictSame([...next.entries('')].sort(), [
    ['groups/2', 8],
    ['receivers/acme/web 1/ü%', { sources: ['10.0.0.1'], n: null }],
  ]);
  t.strictSame([...next.entries('groups/')], [['groups/2', 8]]);
  t.equal(next.get('groups/2'), 8);
  await journal.close();
});

t.test('a flood of changes of one key is few transactions, and the last state is what stands', async (t) => {
  const store = new MemoryStore();
  const journal = await Journal.open(store, options);
  for (let round = 0; round < 20; round++) {
    for (let change = 0; change < 500; change++) journal.put('a', round * 500 + change);
    await Promise.resolve();
  }
  await journal.flush();
  t.ok(journal.transactions <= 3, `${journal.transactions} transactions for 10,000 changes`);
  t.equal((await Journal.open(store.copy(), options)).get('a'), 9_999);
  await journal.close();
});

t.test('flush waits for what was put while a write is under way', async (t) => {
  const store = new MemoryStore();
  const journal = await Journal.open(store, options);
  journal.put('a', 1);
  const first = journal.flush();
  setTimeout(() => journal.put('b', 2), 0);
  await first;
  journal.put('c', 3);
  await journal.flush();
  const next = await Journal.open(store.copy(), options);
  t.equal(next.get('a'), 1);
  t.equal(next.get('c'), 3);
  await journal.close();
  t.equal((await Journal.open(store.copy(), options)).get('b'), 2, 'closing writes the rest');
});

t.test('a store that fails is asked again, and flush waits for it', async (t) => {
  const store = new MemoryStore();
  const journal = await Journal.open(store, options);
  store.failures.push('lose', 'lose');
  journal.put('a', 1);
  const flushed = journal.flush();
  journal.put('a', 2);
  await flushed;
  await journal.flush();
  t.equal((await Journal.open(store.copy(), options)).get('a'), 2);
  await journal.close();
  await t.rejects(
    (async () => {
      journal.put('z', 1);
      await journal.flush();
    })(),
    { code: 'store.closed' },
  );
});

t.test('records of another version, and damaged ones, are left out and told of', async (t) => {
  const store = new MemoryStore();
  const told: unknown[] = [];
  const bytes = (text: string) => new TextEncoder().encode(text);
  await store.transact({
    compare: [],
    put: [
      { key: 'multicast/new', value: bytes('{"version":99,"value":1}') },
      { key: 'multicast/bad', value: bytes('{"ver') },
      { key: 'multicast/null', value: bytes('null') },
      { key: 'multicast/good', value: bytes('{"version":1,"value":1}') },
      { key: 'other/thing', value: bytes('x') },
    ],
    delete: [],
  });
  const logger = { ...silentLogger, warn: (record: { key: string }) => told.push(record.key) };
  const journal = await Journal.open(store, { ...options, logger: logger as never });
  t.strictSame([...journal.entries('')], [['good', 1]]);
  t.strictSame(told.sort(), ['multicast/bad', 'multicast/new', 'multicast/null']);
  await journal.close();
});

t.test('two journals of one store know nothing of each other', async (t) => {
  const store = new MemoryStore();
  const [a, b] = await Promise.all([
    Journal.open(store, options),
    Journal.open(store, { ...options, folder: 'fabric' }),
  ]);
  a.put('x', 1);
  b.put('x', 2);
  await Promise.all([a.flush(), b.flush()]);
  t.equal((await Journal.open(store.copy(), options)).get('x'), 1);
  t.equal((await Journal.open(store.copy(), { ...options, folder: 'fabric' })).get('x'), 2);
});
