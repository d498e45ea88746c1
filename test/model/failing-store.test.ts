/**
 * Random histories of everything that can be done to the model on a store that fails in the middle, before or after it has
 * written: what listeners have heard is what is, what a process that starts then reads is the same down to the next
 * allocation, refusals change nothing, and nothing is given out twice. Histories on a store that works: history.test.ts.
 */
import fc from 'fast-check';
import t from 'tap';
import { contains4, formatIpv4, last4, parseIpv4, parsePrefix4 } from '../../controller/model/address.js';
import {
  type EndpointFact,
  type IntentObject,
  Model,
  ModelError,
  type NetworkFact,
  type ObjectRef,
} from '../../controller/model/index.js';
import { StoreError } from '../../controller/store/store.js';
import { factsByKey, Follower } from './helpers.js';
import { type Failure, MemoryStore } from './memory-store.js';

/** One step of a history. */
type Step = {
  readonly run: (model: Model) => Promise<unknown>;
  readonly failure: Failure | undefined;
  readonly text: string;
};

const tenant = fc.constantFrom('t1', 't2');
const network = fc.constantFrom('a', 'b', 'c');
const container = fc.constantFrom('c1', 'c2', 'c3', 'c4');
const host = fc.constantFrom('h1', 'h2');
const port = fc.constantFrom('v1', 'v2', 'v3');
const maybe = <V>(value: fc.Arbitrary<V>) => fc.option(value, { nil: undefined });
/** Without the members that are undefined. */
const given = <T>(value: object): T => JSON.parse(JSON.stringify(value)) as T;

const tenantIntent = fc
  .record({
    kind: fc.constant('Tenant'),
    name: tenant,
    defaultEncapsulation: maybe(fc.constantFrom('vlan', 'vxlan')),
    subnetPool: maybe(fc.constantFrom('10.1.0.0/26', '10.1.0.0/16')),
    allocationLength: fc.constantFrom(29, 28),
    ipv6SubnetPool: maybe(fc.constant('fd00::/120')),
    ipv6AllocationLength: fc.constant(124),
    vlans: maybe(fc.constantFrom('11-12', '11')),
    vnis: maybe(fc.constantFrom('7-8', '7-9')),
    overlappingSubnets: maybe(fc.boolean()),
  })
  .map((value) => given<IntentObject>(value));
const networkIntent = fc
  .record({
    kind: fc.constant('Network'),
    tenant,
    name: network,
    encapsulation: maybe(fc.constantFrom('vlan', 'vxlan')),
    tag: maybe(fc.constantFrom(7, 11, 500)),
    subnet: maybe(fc.constantFrom('10.1.0.0/29', '10.1.0.8/29', '10.1.0.0/28', '10.2.0.0/30', 'none')),
    gateway: maybe(fc.constantFrom('10.1.0.1', '10.1.0.9', '10.2.0.2')),
    ipv6Subnet: maybe(fc.constantFrom('fd00::/125', 'none')),
    dynamicEndpoints: maybe(fc.boolean()),
  })
  .map((value) => given<IntentObject>(value));
const endpointIntent = fc
  .record({
    kind: fc.constant('Endpoint'),
    tenant,
    network,
    name: container,
    ip: maybe(fc.constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.9', '10.2.0.1')),
    ip6: maybe(fc.constantFrom('fd00::1', 'fd00::2')),
    mac: maybe(fc.constantFrom('02:02:0a:01:00:02', '02:aa:00:00:00:01')),
    host: maybe(host),
  })
  .map((value) => given<IntentObject>(value));
const bindingIntent = fc
  .record({ kind: fc.constant('HostBinding'), tenant, network, name: container, host })
  .map((value) => given<IntentObject>(value));
const hostIntent = fc
  .record({
    kind: fc.constant('Host'),
    name: host,
    vtepIp: maybe(fc.constantFrom('192.168.2.1', '192.168.2.2')),
  })
  .map((value) => given<IntentObject>(value));
const objects = fc.array(
  fc.oneof(
    tenantIntent,
    { weight: 3, arbitrary: networkIntent },
    { weight: 5, arbitrary: endpointIntent },
    bindingIntent,
    hostIntent,
  ),
  { minLength: 1, maxLength: 12 },
);

const endpointId = fc.tuple(tenant, network, container).map((parts) => parts.join('/'));
const ref: fc.Arbitrary<ObjectRef> = fc.oneof(
  tenant.map((name) => ({ kind: 'Tenant' as const, name })),
  fc.tuple(tenant, network).map((parts) => ({ kind: 'Network' as const, name: parts.join('/') })),
  endpointId.map((name) => ({ kind: 'Endpoint' as const, name })),
  host.map((name) => ({ kind: 'Host' as const, name })),
);

const action: fc.Arbitrary<Omit<Step, 'failure'>> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        objects,
        fc.constantFrom('add' as const, 'add' as const, 'add' as const, 'replace' as const),
        fc.boolean(),
      )
      .map(([list, mode, dryRun]) => ({
        text: `apply ${mode} ${dryRun} ${JSON.stringify(list)}`,
        run: (model: Model) => model.apply(list, { mode, dryRun }),
      })),
  },
  fc.tuple(fc.array(ref, { minLength: 1, maxLength: 2 }), fc.boolean()).map(([refs, cascade]) => ({
    text: `remove ${JSON.stringify(refs)} ${cascade}`,
    run: (model: Model) => model.remove(refs, { cascade }),
  })),
  {
    weight: 3,
    arbitrary: fc.record({ endpoint: endpointId, host, interface: port }).map((params) => ({
      text: `attach ${JSON.stringify(params)}`,
      run: (model: Model) => model.attach(params),
    })),
  },
  fc.record({ endpoint: endpointId, host, release: fc.boolean() }).map((params) => ({
    text: `detach ${JSON.stringify(params)}`,
    run: (model: Model) => model.detach(params),
  })),
  {
    weight: 2,
    arbitrary: fc
      .record({
        tenant,
        network,
        name: container,
        host,
        ip: maybe(fc.constantFrom('10.1.0.3', '10.1.0.2')),
        attachUUID: maybe(fc.constantFrom('u1', 'u2')),
      })
      .map((params) => ({
        text: `request ${JSON.stringify(params)}`,
        run: (model: Model) => model.requestEndpoint(given(params)),
      })),
  },
  fc
    .record({
      host,
      datapathId: fc.constantFrom('0000000000000001', '0000000000000002'),
      vtepIp: maybe(fc.constantFrom('192.168.2.1', 'fd00::9')),
      takeOver: fc.boolean(),
    })
    .map((params) => ({
      text: `claim ${JSON.stringify(params)}`,
      run: (model: Model) => model.claimHost(given(params)),
    })),
  fc
    .record({
      host,
      epoch: fc.constant(1),
      attachments: fc.array(fc.record({ endpoint: endpointId, interface: port, generation: fc.nat(12) }), {
        maxLength: 4,
      }),
    })
    .map((params) => ({
      text: `snapshot ${JSON.stringify(params)}`,
      run: (model: Model) => model.mergeSnapshot(params),
    })),
);

const steps = (failure: fc.Arbitrary<Failure | undefined>) =>
  fc.array(
    fc.tuple(action, failure).map(([step, failing]): Step => ({ ...step, failure: failing })),
    { minLength: 1, maxLength: 25 },
  );

/** What must be true whatever has happened. */
function checkInvariants(model: Model): void {
  const facts = model.facts();
  const networks = facts.filter(({ kind }) => kind === 'network').map(({ value }) => value as NetworkFact);
  const endpoints = facts.filter(({ kind }) => kind === 'endpoint').map(({ value }) => value as EndpointFact);
  unique(
    'tag',
    networks.map(({ encapsulation, tag }) => `${encapsulation} ${tag}`),
  );
  unique(
    'network number',
    networks.map(({ number }) => number),
  );
  unique(
    'endpoint number',
    endpoints.map(({ number }) => number),
  );
  unique(
    'IPv4 address',
    endpoints.flatMap(({ network, ipv4 }) => ipv4.map((address) => `${network} ${formatIpv4(address)}`)),
  );
  unique(
    'IPv6 address',
    endpoints.flatMap(({ network, ipv6 }) => ipv6.map((address) => `${network} ${address}`)),
  );
  unique(
    'MAC address',
    endpoints.map(({ network, mac }) => `${network} ${mac}`),
  );
  unique(
    'port',
    endpoints.flatMap(({ host: home, interface: name }) => (name === undefined ? [] : [`${home} ${name}`])),
  );
  unique(
    'generation',
    endpoints.flatMap(({ generation, interface: name }) => (name === undefined ? [] : [generation])),
  );
  for (const { id, tag, encapsulation } of networks) {
    if (tag < 1 || tag > (encapsulation === 'vlan' ? 4094 : 0xffffff)) throw new Error(`tag ${tag} of ${id}`);
  }
  const byId = new Map(networks.map((one) => [one.id, one]));
  for (const { id, network: of, ipv4, mac } of endpoints) {
    const home = byId.get(of);
    if (home === undefined) throw new Error(`${id} is an orphan`);
    if (mac === 0) throw new Error(`${id} has no MAC address`);
    for (const address of ipv4) {
      const subnet = home.ipv4 && { address: home.ipv4.address, length: home.ipv4.prefixLength };
      if (subnet === undefined || !contains4(subnet, address))
        throw new Error(`${id} is outside of its subnet`);
      if ([subnet.address, last4(subnet), home.ipv4?.gateway].includes(address))
        throw new Error(`${id} has a reserved address`);
    }
  }
  for (const { name, spec } of model.list('Tenant')) {
    if (spec.overlappingSubnets === true) continue;
    const own = networks
      .filter(({ tenant: of, ipv4 }) => of === name && ipv4 !== undefined)
      .map(({ ipv4 }) => ipv4 as { address: number; prefixLength: number });
    for (const one of own) {
      for (const other of own) {
        const prefix = { address: one.address, length: one.prefixLength };
        if (one !== other && contains4(prefix, other.address)) throw new Error(`subnets of ${name} overlap`);
      }
    }
  }
  for (const { name, spec, status } of model.list('Endpoint')) {
    if (spec.ip !== undefined && spec.ip !== status.ip && !status.attached)
      throw new Error(`${name} did not get ${spec.ip}`);
  }
}

function unique(what: string, values: readonly (string | number)[]): void {
  const seen = new Set<string | number>();
  for (const value of values) {
    if (seen.has(value)) throw new Error(`${what} ${value} has been given out twice`);
    seen.add(value);
  }
}

/** Two models are the same when they show the same and would do the same next. */
async function compareModels(live: Model, fresh: Model, probes: readonly IntentObject[]): Promise<void> {
  same('facts', factsByKey(fresh.facts()), factsByKey(live.facts()));
  for (const kind of ['Tenant', 'Network', 'Endpoint', 'Host', 'HostBinding'] as const)
    same(kind, fresh.list(kind), live.list(kind));
  for (const name of ['h1', 'h2']) same(name, fresh.endpointsOfHost(name), live.endpointsOfHost(name));
  for (const probe of probes) {
    const [one, other] = await Promise.all(
      [live, fresh].map((model) => outcome(model.apply([probe], { mode: 'add', dryRun: true }))),
    );
    same(`the next ${JSON.stringify(probe)}`, other, one);
  }
}

const outcome = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ModelError) return error.problems;
    throw error;
  }
};

function same(what: string, found: unknown, wanted: unknown): void {
  const text = (value: unknown) => JSON.stringify(value);
  if (text(found) !== text(wanted))
    throw new Error(`${what}:\nfound  ${text(found)}\nwanted ${text(wanted)}`);
}

const PROBES: readonly IntentObject[] = ['t1', 't2'].flatMap((name): IntentObject[] => [
  { kind: 'Network', tenant: name, name: 'probe' },
  { kind: 'Network', tenant: name, name: 'probe', encapsulation: 'vlan', subnet: 'none' },
  { kind: 'Endpoint', tenant: name, network: 'a', name: 'probe' },
  { kind: 'Endpoint', tenant: name, network: 'b', name: 'probe' },
]);

async function live(history: readonly Step[]): Promise<void> {
  const store = new MemoryStore();
  const model = await Model.open(store);
  const follower = new Follower(model);
  let generation = 0;
  try {
    for (const { run, failure } of history) {
      const before = factsByKey(model.facts());
      if (failure !== undefined) store.failures.push(failure);
      try {
        const result = await run(model);
        const next = (result as { generation?: number }).generation;
        if (next !== undefined && next <= generation)
          throw new Error(`generation ${next} after ${generation}`);
        generation = next ?? generation;
      } catch (error) {
        if (!(error instanceof ModelError) && !(error instanceof StoreError)) throw error;
        same('a refusal changes nothing', factsByKey(model.facts()), before);
        // After a failure whose outcome nobody knows, the next operation reads what there is.
        if (error instanceof StoreError) await model.detach({ endpoint: 't9/n/none', host: 'h9' });
      }
      store.failures.length = 0;
      checkInvariants(model);
      same('what was heard', sorted(follower.byKey()), sorted(factsByKey(model.facts())));
    }
    const fresh = await Model.open(store.copy());
    await compareModels(model, fresh, PROBES);
    await fresh.close();
  } finally {
    await model.close();
  }
}

const sorted = (facts: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1)));

await t.test('random histories with a store that fails in the middle', async (t) => {
  const failure = fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    fc.constantFrom<Failure>('lose', 'forget'),
  );
  await fc.assert(fc.asyncProperty(steps(failure), live), {
    numRuns: Number(process.env.WEFT_TEST_RUNS ?? 80),
  });
  t.pass('all histories');
});

await t.test('operations that wait together share a transaction, and fail alone', async (t) => {
  const store = new MemoryStore();
  const model = await Model.open(store);
  const follower = new Follower(model);
  await model.apply(
    [
      { kind: 'Tenant', name: 't' },
      { kind: 'Network', tenant: 't', name: 'n', subnet: '10.1.1.0/24' },
    ],
    { mode: 'add' },
  );
  const before = store.transactions;
  const results = await Promise.allSettled(
    Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0
        ? model.requestEndpoint({ tenant: 't', network: 'nowhere', name: `e${index}`, host: 'h' })
        : model.requestEndpoint({ tenant: 't', network: 'n', name: `e${index}`, host: 'h' }),
    ),
  );
  t.equal(store.transactions - before, 1);
  t.equal(follower.calls.length, 2, 'one call for a transaction');
  t.equal(results.filter(({ status }) => status === 'rejected').length, 20);
  const addresses = results.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value.ip ?? ''] : [],
  );
  t.same(
    addresses,
    Array.from({ length: 40 }, (_, index) => `10.1.1.${index + 1}/24`),
    'refused ones take nothing',
  );
  t.ok(
    addresses.every(
      (text) => parsePrefix4(text) !== undefined && parseIpv4(text.split('/')[0] ?? '') !== undefined,
    ),
  );
  // A failing write fails all of them, and nothing has happened.
  store.failures.push('lose');
  const failed = await Promise.allSettled([
    model.attach({ endpoint: 't/n/e1', host: 'h', interface: 'v1' }),
    model.attach({ endpoint: 't/n/e2', host: 'h', interface: 'v2' }),
  ]);
  t.same(
    failed.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  t.equal(model.endpoint('t/n/e1')?.interface, undefined);
  t.equal((await model.attach({ endpoint: 't/n/e1', host: 'h', interface: 'v1' })).pending, false);
  await model.close();
});

await t.test('a listener that throws and a damaged record are reported, and the model goes on', async (t) => {
  const store = new MemoryStore();
  const problems: string[] = [];
  const model = await Model.open(store, { onProblem: ({ code }) => problems.push(code) });
  model.onFacts(() => {
    throw new Error('no');
  });
  const heard: number[] = [];
  model.onFacts((changes) => heard.push(changes.length));
  await model.apply([{ kind: 'Tenant', name: 't' }], { mode: 'add' });
  t.same([problems, heard], [['model.listener'], [1]]);
  await store.transact({ compare: [], put: [{ key: 'network/t/n', value: Uint8Array.of(255) }], delete: [] });
  await t.rejects(Model.open(store.copy()), { code: 'store.corrupt', message: /network\/t\/n/ });
  await model.close();
});
