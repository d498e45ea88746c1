/** The etcd driver against real etcd: the suite of every driver, loss and return of the store, large transactions, two controllers. */
import t from 'tap';
import { type IntentObject, Model } from '../../controller/model/index.js';
import { EtcdStore } from '../../controller/store/etcd.js';
import { EtcdClient } from '../../controller/store/etcd-client.js';
import { Keys } from '../../controller/store/etcd-keys.js';
import { writeLog } from '../../controller/store/etcd-large.js';
import { COMPACT, LARGE_TRANSACTION, PUT } from '../../controller/store/etcd-protocol.js';
import type { Store, StoreState } from '../../controller/store/store.js';
import { storeConformance, takeUntil } from '../store/conformance.js';
import { EtcdServer } from './etcd-support.js';

t.setTimeout(120_000);
const server = await EtcdServer.create();
server.start();
t.teardown(() => server.remove());

let count = 0;
const newRoot = () => `/test-${process.pid}-${++count}/`;
const roots = new Map<Store, string>();

function open(root = newRoot(), url = server.url, timeoutMs = 10_000): EtcdStore {
  const store = new EtcdStore({ endpoints: [url], root, timeoutMs });
  roots.set(store, root);
  t.teardown(() => store.close());
  return store;
}

/** Resolves when the store is in the state. */
function becomes(store: Store, wanted: StoreState): Promise<void> {
  return new Promise((resolve) => {
    if (store.state === wanted) return resolve();
    const stop = store.onState((state) => {
      if (state !== wanted) return;
      stop();
      resolve();
    });
  });
}

const put = (key: string, value = '') => ({ key, value: Buffer.from(value) });
const write = (store: Store, ...puts: ReturnType<typeof put>[]) =>
  store.transact({ compare: [], put: puts, delete: [] });

await t.test('etcd passes the conformance suite', (t) =>
  storeConformance(t, {
    open: async () => {
      const store = open();
      await becomes(store, 'ready');
      return store;
    },
    reopen: async (store) => {
      await store.close();
      return open(roots.get(store));
    },
    compact: async (store) => {
      const client = new EtcdClient({ endpoints: [server.url] });
      const { revision } = await store.list('');
      await client.call(COMPACT, { revision });
      client.close();
    },
  }),
);

await t.test('it starts before the store is up, and finds it', async (t) => {
  const late = await EtcdServer.create();
  t.teardown(() => late.remove());
  const store = open(newRoot(), late.url, 1_000);
  t.equal(store.state, 'connecting');
  const opening = Model.open(store);
  await t.rejects(store.transact({ compare: [], put: [put('a')], delete: [] }), {
    code: 'store.unavailable',
    fix: /--etcd/,
  });
  late.start();
  const model = await opening;
  t.equal(store.state, 'ready');
  await model.apply([{ kind: 'Tenant', name: 'acme' }], { mode: 'add' });
  t.equal(model.facts().length, 1);
  await model.close();
});

await t.test('it survives the loss of the store: states, errors, watches without gaps', async (t) => {
  const lost = await EtcdServer.create();
  t.teardown(() => lost.remove());
  lost.start();
  const root = newRoot();
  const store = open(root, lost.url, 1_000);
  await becomes(store, 'ready');
  const states: StoreState[] = [];
  store.onState((state) => states.push(state));
  const { revision } = await store.list('');
  const batches = store.watch('', revision)[Symbol.asyncIterator]();
  await write(store, put('before'));
  await takeUntil(batches, (taken) => taken.length === 1);

  const next = takeUntil(batches, (taken) => taken.flatMap(({ events }) => events).length >= 2);
  await lost.kill();
  await becomes(store, 'lost');
  await t.rejects(write(store, put('never')), { code: 'store.unavailable' });
  await t.rejects(store.get('before'), { code: 'store.unavailable' });
  lost.start();
  await becomes(store, 'ready');
  t.same(states, ['lost', 'ready']);
  const other = open(root, lost.url);
  await write(other, put('after/1'));
  await write(other, put('after/2'));
  t.same(
    (await next).flatMap(({ events }) => events.map((event) => event.type === 'put' && event.record.key)),
    ['after/1', 'after/2'],
  );
  t.ok(await store.get('before'));
});

await t.test('a watch on a member that has lost the others is not taken for a quiet one', async (t) => {
  const [member, ...others] = await EtcdServer.cluster('one', 'two', 'three');
  if (member === undefined) throw new Error('no members');
  for (const server of [member, ...others]) {
    t.teardown(() => server.remove());
    server.start();
  }
  const store = open(newRoot(), member.url);
  await becomes(store, 'ready');
  const { revision } = await store.list('');
  const batches = store.watch('', revision)[Symbol.asyncIterator]();
  const first = batches.next();
  await write(store, put('before'));
  t.match(await first, { value: { events: [{ record: { key: 'before' } }] } });
  const next = batches.next();
  for (const other of others) await other.kill();
  await becomes(store, 'lost');
  for (const other of others) other.start();
  await becomes(store, 'ready');
  await write(store, put('after'));
  t.match(await next, { value: { events: [{ record: { key: 'after' } }] } });
});

await t.test('a member that is down is passed over', async (t) => {
  const store = new EtcdStore({ endpoints: ['http://127.0.0.1:1', server.url], root: newRoot() });
  t.equal((await write(store, put('a'))).ok, true);
  await store.close();
  t.throws(() => new EtcdStore({ endpoints: [] }), { code: 'store.invalid' });
  t.throws(() => new EtcdStore({ endpoints: ['http://bad host'] }), { code: 'store.invalid' });
});

await t.test(
  'a large transaction whose process died after the commit is carried out by whoever comes',
  async (t) => {
    const root = newRoot();
    const keys = new Keys(root);
    const client = new EtcdClient({ endpoints: [server.url] });
    const reader = open(root);
    const head = await write(reader, put('head', '0'));
    const start = head.ok ? head.revision : 0;
    const batches = reader.watch('', start)[Symbol.asyncIterator]();
    const records = Array.from({ length: 500 }, (_, index) => put(`r/${index}`, String(index)));
    const transaction = {
      compare: [{ key: 'head', revision: start }],
      put: [...records, put('head', '1')],
      delete: [],
    };

    await writeLog(client, keys, transaction);
    t.equal((await reader.list('r/')).records.length, 0, 'a log without its marker is nothing');
    const large = await writeLog(client, keys, transaction);
    await client.call(PUT, { key: keys.marker, value: LARGE_TRANSACTION.encode(large) });
    // Three come at once: two who read and one who writes.
    const writer = open(root);
    const [one, two, outcome] = await Promise.all([
      reader.list('r/'),
      open(root).list('r/'),
      writer.transact({
        compare: [{ key: 'head', revision: start }],
        put: [put('head', 'late')],
        delete: [],
      }),
    ]);
    t.same([one.records.length, two.records.length], [500, 500]);
    t.same(outcome, { ok: false, conflicts: ['head'] }, 'whoever writes afterwards sees it');
    const [batch] = await takeUntil(batches, (taken) => taken.length === 1);
    t.equal(batch?.events.length, 501, 'watchers get it as one');
    t.equal(batch?.revision, (await reader.get('head'))?.revision);
    client.close();
  },
);

await t.test('two controllers on one store: nothing is given out twice, both tell the same', async (t) => {
  const root = newRoot();
  const models = await Promise.all([Model.open(open(root)), Model.open(open(root))]);
  await models[0].apply(
    [
      { kind: 'Tenant', name: 'acme', subnetPool: '10.1.0.0/16' },
      { kind: 'Network', tenant: 'acme', name: 'n' },
    ],
    { mode: 'add' },
  );
  const endpoint = (name: string): IntentObject => ({ kind: 'Endpoint', tenant: 'acme', network: 'n', name });
  // The second one hears of the network by itself.
  await heard(models[1], (model) => model.get('Network', 'acme/n') !== undefined);
  await Promise.all(
    models.flatMap((model, who) =>
      Array.from({ length: 20 }, (_, index) => model.apply([endpoint(`e${who}-${index}`)], { mode: 'add' })),
    ),
  );
  await Promise.all(models.map((model) => heard(model, () => model.list('Endpoint').length === 40)));
  const addresses = models[0].list('Endpoint').map(({ status }) => status.ip);
  t.equal(new Set(addresses).size, 40);
  t.equal(new Set(models[0].list('Endpoint').map(({ status }) => status.number)).size, 40);
  const [a, b] = await Promise.all([
    models[0].attach({ endpoint: 'acme/n/e0-0', host: 'h1', interface: 'v1' }),
    models[1].attach({ endpoint: 'acme/n/e0-0', host: 'h2', interface: 'v1' }),
  ]);
  t.not(a.generation, b.generation);
  const winner = a.generation > b.generation ? 'h1' : 'h2';
  await Promise.all(
    models.map((model) => heard(model, () => model.endpoint('acme/n/e0-0')?.host === winner)),
  );
  t.same(models[0].facts(), models[1].facts());
  // Ten thousand endpoints go through etcd's limits.
  const many = Array.from({ length: 10_000 }, (_, index) => endpoint(`m${index}`));
  const begun = Date.now();
  await models[0].apply([{ kind: 'Network', tenant: 'acme', name: 'n', subnet: '10.1.0.0/17' }, ...many], {
    mode: 'add',
  });
  t.comment(`10,000 endpoints through etcd in ${Date.now() - begun} ms`);
  await heard(models[1], () => models[1].list('Endpoint').length === 10_040);
  t.same(models[1].facts(), models[0].facts());
  for (const model of models) await model.close();
});

await t.test('a store that is restored from a backup is followed back, and that is told', async (t) => {
  const restored = await EtcdServer.create();
  t.teardown(() => restored.remove());
  restored.start();
  const root = newRoot();
  const told: string[][] = [[], []];
  const models = await Promise.all(
    told.map((codes) =>
      Model.open(open(root, restored.url), { onProblem: ({ code }) => void codes.push(code) }),
    ),
  );
  const [quiet, writing] = models as [Model, Model];
  const names = (model: Model) => model.list('Tenant').map(({ name }) => name);
  const tenant = (name: string): IntentObject[] => [{ kind: 'Tenant', name }];
  await quiet.apply(tenant('kept'), { mode: 'add' });
  const backup = await restored.backup();
  for (const name of ['gone-1', 'gone-2', 'gone-3']) await writing.apply(tenant(name), { mode: 'add' });
  await heard(quiet, (model) => names(model).length === 4);

  await restored.kill();
  await restored.restore(backup);
  const back = Promise.all(models.map((model) => heard(model, () => !names(model).includes('gone-1'))));
  restored.start();
  await back;
  for (const model of models) t.same(names(model), ['kept']);
  t.same(told, [['store.restored'], ['store.restored']]);
  await writing.apply(tenant('new'), { mode: 'add' });
  await heard(quiet, (model) => names(model).includes('new'));
  await quiet.apply(tenant('newer'), { mode: 'add' });
  await heard(writing, (model) => names(model).includes('newer'));
  t.same(quiet.facts(), writing.facts());
  for (const model of models) await model.close();
});

await t.test('a write that finds the store restored is done on what there is', async (t) => {
  const restored = await EtcdServer.create();
  t.teardown(() => restored.remove());
  restored.start();
  const told: string[] = [];
  const model = await Model.open(open(newRoot(), restored.url), {
    onProblem: ({ code }) => void told.push(code),
  });
  const apply = (name: string) => model.apply([{ kind: 'Tenant', name }], { mode: 'add' });
  await apply('kept');
  const backup = await restored.backup();
  await apply('gone');
  await restored.kill();
  await restored.restore(backup);
  restored.start();
  await apply('new');
  t.same(
    model.list('Tenant').map(({ name }) => name),
    ['kept', 'new'],
  );
  t.same(told, ['store.restored']);
  await model.close();
});

/** Resolves when the model, told by its facts, fulfils the condition. */
function heard(model: Model, condition: (model: Model) => boolean): Promise<void> {
  return new Promise((resolve) => {
    if (condition(model)) return resolve();
    const stop = model.onFacts(() => {
      if (!condition(model)) return;
      stop();
      resolve();
    });
  });
}
