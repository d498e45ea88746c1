/** The engine's promises: the outcome depends on the facts only, and a change runs what read it and nothing else. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Collection, DeriveError, Engine, equal } from '../../controller/derive/index.js';

interface Endpoint {
  readonly network: string;
  readonly host: string;
  readonly mac: number;
}

/**
 * A small program with every feature that history could leak through: derivations over derivations, values emitted by many,
 * conflicts, reads of keys that are not there, indexes over derived collections, reads that differ from run to run.
 */
function program() {
  const engine = new Engine();
  const endpoints = engine.input<Endpoint>('endpoints');
  const networks = engine.input<{ tag: number; gateway?: string }>('networks');
  const byNetwork = engine.index('endpoints by network', endpoints, (endpoint) => [endpoint.network]);
  const byPlace = engine.index('endpoints by place', endpoints, ({ network, host }) => [
    network,
    `${network}@${host}`,
  ]);
  const members = engine.derive<Endpoint, { network: string; host: string }>(
    'members',
    endpoints,
    (context, { network, host }) => context.emit(`${network}@${host}`, { network, host }),
  );
  const membersByNetwork = engine.index('members by network', members, (member) => [member.network]);
  const addresses = engine.derive<Endpoint, { host: string; mac: number }>(
    'addresses',
    endpoints,
    (context, { network, host, mac }) => {
      const tag = context.get(networks, network)?.tag;
      if (tag !== undefined) context.emit(`${tag}/${mac}`, { host, mac });
      if (mac === 0)
        for (const key of context.keys(byPlace, `${network}@${host}`))
          context.emit(`zero/${key}`, { host, mac });
    },
  );
  const floods = engine.derive<{ tag: number; gateway?: string }, { tag: number; hosts: readonly string[] }>(
    'floods',
    networks,
    (context, { tag }, network) => {
      const hosts = context.values(membersByNetwork, network).map(([, member]) => member.host);
      context.emit(network, { tag, hosts });
    },
  );
  const gateways = engine.derive<{ tag: number; hosts: readonly string[] }, string>(
    'gateways',
    floods,
    (context, flood, network) => {
      const gateway = context.get(networks, network)?.gateway;
      if (gateway === undefined) return;
      const endpoint = context.get(endpoints, gateway);
      const claimed = context.get(addresses, `${flood.tag}/${endpoint?.mac ?? 0}`);
      context.emit(
        network,
        `${endpoint?.host ?? 'nowhere'} ${claimed?.host ?? 'nobody'} ${flood.hosts.length}`,
      );
      if (flood.hosts.length > 1) context.emit('busiest', network);
    },
  );
  const counts = engine.derive<{ tag: number; hosts: readonly string[] }, number>(
    'counts',
    floods,
    (context, _, network) => context.emit(network, context.keys(byNetwork, network).length),
  );
  const outputs: Collection<unknown>[] = [members, addresses, floods, gateways, counts];
  const state = () => ({
    outputs: outputs.map((collection) => [
      collection.name,
      collection.size,
      [...collection.entries()].sort(([a], [b]) => (a < b ? -1 : 1)),
    ]),
    conflicts: engine.conflicts().sort((a, b) => (a.derivation + a.key < b.derivation + b.key ? -1 : 1)),
  });
  return { engine, endpoints, networks, outputs, state };
}

type Operation =
  | { readonly kind: 'endpoint'; readonly key: string; readonly value: Endpoint | undefined }
  | {
      readonly kind: 'network';
      readonly key: string;
      readonly value: { tag: number; gateway?: string } | undefined;
    }
  | { readonly kind: 'settle' };

const name = (prefix: string, count: number) =>
  fc.integer({ min: 0, max: count - 1 }).map((n) => `${prefix}${n}`);
const endpointOperation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('endpoint' as const),
  key: name('e', 6),
  value: fc.option(
    fc.record({ network: name('n', 3), host: name('h', 3), mac: fc.integer({ min: 0, max: 2 }) }),
    {
      nil: undefined,
      freq: 3,
    },
  ),
});
const networkOperation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant('network' as const),
  key: name('n', 3),
  value: fc.option(
    fc.record({ tag: fc.integer({ min: 1, max: 2 }), gateway: name('e', 6) }, { requiredKeys: ['tag'] }),
    { nil: undefined, freq: 3 },
  ),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 5, arbitrary: endpointOperation },
  { weight: 2, arbitrary: networkOperation },
  { weight: 3, arbitrary: fc.constant({ kind: 'settle' as const }) },
);

function apply(target: ReturnType<typeof program>, step: Operation): void {
  if (step.kind === 'settle') target.engine.settle();
  else if (step.value === undefined)
    (step.kind === 'endpoint' ? target.endpoints : target.networks).delete(step.key);
  else if (step.kind === 'endpoint') target.endpoints.set(step.key, step.value);
  else target.networks.set(step.key, step.value);
}

/** The facts that a history ends with. */
function finalFacts(history: readonly Operation[]): Operation[] {
  const last = new Map<string, Operation>();
  for (const step of history) if (step.kind !== 'settle') last.set(`${step.kind} ${step.key}`, step);
  return [...last.values()].filter((step) => step.kind !== 'settle' && step.value !== undefined);
}

t.test('incremental equals from scratch, whatever the history', async () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (history) => {
      const incremental = program();
      for (const step of history) apply(incremental, step);
      incremental.engine.settle();
      const scratch = program();
      for (const fact of finalFacts(history)) apply(scratch, fact);
      scratch.engine.settle();
      assert.deepEqual(incremental.state(), scratch.state());
    }),
    { numRuns: 1000 },
  );
});

t.test(
  'any order of the same facts, settled at any moments, gives the same outputs and conflicts',
  async (t) => {
    const facts = fc
      .array(fc.oneof(endpointOperation, networkOperation), { minLength: 8, maxLength: 24 })
      .map(finalFacts);
    const orders = facts.chain((list) =>
      fc.tuple(
        fc.shuffledSubarray(list, { minLength: list.length }),
        fc.shuffledSubarray(list, { minLength: list.length }),
        fc.array(fc.boolean(), { minLength: list.length, maxLength: list.length }),
      ),
    );
    let conflicts = 0;
    fc.assert(
      fc.property(orders, ([one, other, settle]) => {
        const [a, b] = [program(), program()];
        for (const fact of one) apply(a, fact);
        for (const [i, fact] of other.entries()) {
          apply(b, fact);
          if (settle[i]) b.engine.settle();
        }
        a.engine.settle();
        b.engine.settle();
        assert.deepEqual(b.state(), a.state());
        conflicts += a.engine.conflicts().length;
      }),
      { numRuns: 1000 },
    );
    t.ok(conflicts > 100, 'the histories had conflicts in them');
  },
);

t.test('the changes of a settlement are the difference between before and after', async () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (history) => {
      const { engine, outputs, ...inputs } = program();
      const mirrors = new Map(outputs.map((collection) => [collection, new Map<string, unknown>()]));
      for (const step of [...history, { kind: 'settle' } as const]) {
        if (step.kind !== 'settle') {
          apply({ engine, outputs, ...inputs }, step);
          continue;
        }
        for (const [collection, changes] of engine.settle().changes) {
          const mirror = mirrors.get(collection)!;
          for (const { key, before, after } of changes) {
            assert.deepEqual(mirror.get(key), before);
            assert.ok(!equal(before, after), 'an equal value is no change');
            if (after === undefined) mirror.delete(key);
            else mirror.set(key, after);
          }
        }
      }
      for (const [collection, mirror] of mirrors) assert.deepEqual(mirror, new Map(collection.entries()));
    }),
    { numRuns: 500 },
  );
});

t.test('a change runs what read it and nothing else', async (t) => {
  const engine = new Engine();
  const networks = engine.input<number>('networks');
  const endpoints = engine.input<{ network: string; mac: number }>('endpoints');
  const byNetwork = engine.index('by network', endpoints, (endpoint) => [endpoint.network]);
  const tags = engine.derive<{ network: string; mac: number }, number>(
    'tags',
    endpoints,
    (context, { network }, key) => {
      const tag = context.get(networks, network);
      if (tag !== undefined) context.emit(key, tag);
    },
  );
  engine.derive<number, readonly string[]>('members', networks, (context, _, network) =>
    context.emit(network, context.keys(byNetwork, network)),
  );
  engine.derive<number, number>('macs', networks, (context, _, network) =>
    context.emit(
      network,
      context.values(byNetwork, network).reduce((sum, [, endpoint]) => sum + endpoint.mac, 0),
    ),
  );
  engine.derive<number, number>('doubled', tags, (context, tag, key) => context.emit(key, tag * 2));
  const runs = () => Object.fromEntries(engine.settle().runs);

  for (let n = 0; n < 10; n++) networks.set(`n${n}`, n);
  for (let e = 0; e < 1000; e++) endpoints.set(`e${e}`, { network: `n${e % 10}`, mac: e });
  t.strictSame(runs(), { tags: 1000, members: 10, macs: 10, doubled: 1000 });

  t.strictSame(runs(), {}, 'nothing without a change');
  endpoints.set('e7', { network: 'n7', mac: 7 });
  t.strictSame(runs(), {}, 'an equal value is no change');
  endpoints.set('e7', { network: 'n7', mac: 8 });
  endpoints.set('e7', { network: 'n7', mac: 7 });
  t.strictSame(runs(), {}, 'neither is a change that was taken back before the settlement');

  endpoints.set('e7', { network: 'n7', mac: 70_000 });
  t.strictSame(runs(), { tags: 1, macs: 1 }, 'a reader of keys() sleeps while only a value changes');
  endpoints.set('e1000', { network: 'n3', mac: 1 });
  t.strictSame(runs(), { tags: 1, members: 1, macs: 1, doubled: 1 });
  endpoints.set('e1000', { network: 'n4', mac: 1 });
  t.strictSame(runs(), { tags: 1, members: 2, macs: 2, doubled: 1 }, 'a move concerns both buckets');
  networks.set('n5', 50);
  t.strictSame(runs(), { tags: 100, members: 1, macs: 1, doubled: 100 });

  endpoints.set('early', { network: 'later', mac: 1 });
  t.strictSame(runs(), { tags: 1 }, 'an endpoint whose network is not there waits');
  networks.set('later', 9);
  t.strictSame(runs(), { tags: 1, members: 1, macs: 1, doubled: 1 }, 'and runs when it comes');
  t.equal(tags.get('early'), 9);
  t.equal(engine.runs().get('tags'), 1000 + 1 + 1 + 1 + 100 + 1 + 1);
});

t.test('a value emitted by many goes with the last of them', async (t) => {
  const engine = new Engine();
  const endpoints = engine.input<string>('endpoints');
  const hosts = engine.derive<string, string>('hosts', endpoints, (context, host) =>
    context.emit(host, host),
  );
  for (let e = 0; e < 100; e++) endpoints.set(`e${e}`, 'h1');
  t.equal(engine.settle().changesOf(hosts).length, 1);
  for (let e = 0; e < 99; e++) endpoints.delete(`e${e}`);
  t.equal(engine.settle().changesOf(hosts).length, 0);
  endpoints.delete('e99');
  t.strictSame(engine.settle().changesOf(hosts), [{ key: 'h1', before: 'h1', after: undefined }]);
});

t.test(
  'a conflict keeps the value of the smallest instance key and is reported until it is gone',
  async (t) => {
    const engine = new Engine();
    const endpoints = engine.input<{ mac: number; host: string }>('endpoints');
    const places = engine.derive<{ mac: number; host: string }, string>(
      'places',
      endpoints,
      (context, { mac, host }) => context.emit(`${mac}`, host),
    );
    endpoints.set('b', { mac: 1, host: 'h2' });
    endpoints.set('c', { mac: 1, host: 'h1' });
    t.strictSame(engine.settle().conflicts, [
      { derivation: 'places', key: '1', kept: ['b'], overruled: ['c'] },
    ]);
    endpoints.set('a', { mac: 1, host: 'h1' });
    t.strictSame(engine.settle().conflicts, [
      { derivation: 'places', key: '1', kept: ['a', 'c'], overruled: ['b'] },
    ]);
    t.equal(places.get('1'), 'h1');
    t.equal(engine.settle().conflicts.length, 0, 'a conflict is reported once');
    t.equal(engine.conflicts().length, 1, 'and stands');
    endpoints.delete('b');
    engine.settle();
    t.strictSame(engine.conflicts(), []);
  },
);

t.test('where the first is to hold, different values of one key are no conflict', async (t) => {
  const engine = new Engine();
  const rules = engine.input<string>('rules');
  const decisions = engine.derive<string, string>(
    'decisions',
    rules,
    (context, what, key) => context.emit(what, key),
    { firstHolds: true },
  );
  rules.set('2', 'web');
  engine.settle();
  rules.set('1', 'web');
  rules.set('3', 'web');
  const { conflicts } = engine.settle();
  t.strictSame([decisions.get('web'), conflicts, engine.conflicts()], ['1', [], []]);
  rules.delete('1');
  engine.settle();
  t.equal(decisions.get('web'), '2');
});

t.test('a derivation that throws is attributed and keeps its output; the others go on', async (t) => {
  const engine = new Engine();
  const numbers = engine.input<number>('numbers');
  const limit = engine.input<number>('limit');
  const checked = engine.derive<number, number>('checked', numbers, (context, value, key) => {
    if (value > (context.get(limit, 'max') ?? 10)) throw new Error('too large');
    context.emit(key, value);
  });
  numbers.set('a', 1);
  numbers.set('b', 2);
  engine.settle();
  numbers.set('a', 11);
  numbers.set('b', 3);
  const { failures } = engine.settle();
  t.match(failures, [{ derivation: 'checked', key: 'a', error: { message: 'too large' } }]);
  t.equal(checked.get('a'), 1);
  t.equal(checked.get('b'), 3);
  t.equal(engine.failures().length, 1);
  limit.set('max', 20);
  engine.settle();
  t.equal(checked.get('a'), 11, 'what it read before it threw wakes it');
  t.strictSame(engine.failures(), []);
  numbers.set('a', 21);
  engine.settle();
  numbers.delete('a');
  engine.settle();
  t.strictSame(engine.failures(), [], 'a failure goes with its key');
  t.equal(checked.has('a'), false);
});

t.test('one run that contradicts itself fails, and an index that throws leaves the key out', async (t) => {
  const engine = new Engine();
  const input = engine.input<number>('input');
  engine.derive<number, number>('twice', input, (context, value) => {
    context.emit('key', value);
    context.emit('key', value + 1);
  });
  const index = engine.index('picky', input, (value) => {
    if (value === 2) throw new Error('no twos');
    return ['all'];
  });
  input.set('a', 1);
  t.match(engine.settle().failures, [{ derivation: 'twice', error: /second, different value/ }]);
  input.set('a', 2);
  t.match(engine.settle().failures, [{ derivation: 'picky', key: 'a' }, { derivation: 'twice' }]);
  t.strictSame(index.keys('all'), []);
  input.set('a', 3);
  engine.settle();
  t.strictSame(index.keys('all'), ['a']);
});

t.test('wrong use is refused with what to do instead', async (t) => {
  const engine = new Engine();
  const input = engine.input<number>('input');
  const later: { collection?: Collection<number> } = {};
  engine.derive<number, number>('reader', input, (context) => void context.get(later.collection!, 'a'));
  later.collection = engine.input<number>('later');
  engine.derive<number, number>('writer', input, () => void input.set('b', 1));
  t.throws(() => engine.input('input'), { code: 'derive.duplicate' });
  t.throws(() => engine.index('foreign', new Engine().input<number>('x'), () => []), {
    code: 'derive.foreign',
  });
  t.throws(() => input.set('a', undefined as never), TypeError);
  input.set('a', 1);
  const { failures } = engine.settle();
  t.match(failures, [
    { derivation: 'reader', error: { code: 'derive.order', message: /declare 'later' first/ } },
    { derivation: 'writer', error: DeriveError },
  ]);
  t.throws(() => engine.input('late'), { code: 'derive.sealed' });
});

t.test('the sorted bucket handed to a reader is not changed afterwards', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean()), { maxLength: 50 }),
      (steps) => {
        const engine = new Engine();
        const input = engine.input<number>('input');
        const index = engine.index('all', input, () => ['all']);
        const expected = new Set<string>();
        const seen: [readonly string[], string[]][] = [];
        for (const [n, add] of steps) {
          if (add) input.set(`k${n}`, n);
          else input.delete(`k${n}`);
          if (add) expected.add(`k${n}`);
          else expected.delete(`k${n}`);
          engine.settle();
          if (n % 3 === 0) seen.push([index.keys('all'), [...expected].sort()]);
        }
        seen.push([index.keys('all'), [...expected].sort()]);
        for (const [keys, copy] of seen) assert.deepEqual(keys, copy);
      },
    ),
  );
});

t.test('100,000 endpoints: a change costs the same as among ten', async (t) => {
  const sized = (count: number) => {
    const engine = new Engine();
    const endpoints = engine.input<{ network: string; host: string }>('endpoints');
    const networks = engine.input<{ tag: number }>('networks');
    const members = engine.derive<{ network: string; host: string }, string>(
      'members',
      endpoints,
      (context, { network, host }) => context.emit(`${network}/${host}`, network),
    );
    engine.derive<{ network: string; host: string }, number>(
      'entries',
      endpoints,
      (context, { network }, key) => context.emit(key, context.get(networks, network)?.tag ?? 0),
    );
    for (let n = 0; n < 10; n++) networks.set(`n${n}`, { tag: n });
    for (let e = 0; e < count; e++) endpoints.set(`e${e}`, { network: `n${e % 10}`, host: `h${e % 1000}` });
    engine.settle();
    t.equal(members.size, Math.min(count, 1000));
    const start = process.hrtime.bigint();
    for (let i = 0; i < 2000; i++) {
      endpoints.set(`e${i % 10}`, { network: `n${(i + 1) % 10}`, host: `h${(i + 5) % 10}` });
      engine.settle();
    }
    return Number(process.hrtime.bigint() - start) / 2000;
  };
  sized(10); // warms the code up
  const [small, large] = [sized(10), sized(100_000)];
  t.comment(`${small.toFixed(0)} ns and ${large.toFixed(0)} ns per change`);
  t.ok(large < small * 20, `${large} ns per change among 100,000, ${small} among 10`);
});
