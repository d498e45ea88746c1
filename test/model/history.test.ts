/** Random histories: whatever is asked for in whatever order, what must never be is not, and a reload changes nothing. */
import { deepStrictEqual as deepEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  type Attachment,
  type EndpointFact,
  type GroupFact,
  type HostFact,
  type IntentObject,
  KINDS,
  type Model,
  ModelError,
  type NetworkFact,
  type ObjectRef,
  type Peer,
  type PolicyFact,
  type TenantFact,
} from '../../controller/model/index.js';
import { endpoint, factsOf, follow, network, openNew, tenant } from './fixtures.js';

// Few names, small pools: histories have to get into each other's way.
const tenants = ['t1', 't2'];
const networks = tenants.flatMap((tenant) => ['n1', 'n2'].map((name) => `${tenant}/${name}`));
const endpoints = networks.flatMap((network) => ['a', 'b', 'c', 'd'].map((name) => `${network}/${name}`));
const hosts = ['h1', 'h2', 'h3'];
const ports = ['veth1', 'veth2'];

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const given = (members: object) =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

const names = (prefix: string, maxLength = 2) =>
  fc.uniqueArray(fc.constantFrom(`${prefix}1`, `${prefix}2`, `${prefix}3`), { maxLength });
const profile = fc.constantFrom('q1', 'q2');
const labels = fc.dictionary(fc.constantFrom('role', 'env'), fc.constantFrom('a', 'b'), {
  noNullPrototype: true,
});

const anyTenant = fc
  .record({
    name: fc.constantFrom(...tenants),
    defaultAction: maybe(fc.constantFrom('allow', 'deny')),
    defaultEncapsulation: maybe(fc.constantFrom('vlan', 'vxlan')),
    subnetPool: maybe(fc.constantFrom('10.1.0.0/28', '10.1.0.0/27', '10.2.0.0/16')),
    allocationLength: fc.constant(29),
    ipv6SubnetPool: maybe(fc.constant('fd00:1::/48')),
    vlans: maybe(fc.constantFrom('11-12', '12-14')),
    vnis: fc.constantFrom('100-101', '101-104'),
    overlappingSubnets: maybe(fc.boolean()),
  })
  .map(({ name, ...more }) => tenant(name, given(more)));

const anyNetwork = fc
  .record({
    id: fc.constantFrom(...networks),
    encapsulation: maybe(fc.constantFrom('vlan', 'vxlan')),
    tag: maybe(fc.constantFrom(11, 12, 101, 500)),
    subnet: maybe(fc.constantFrom('10.1.0.0/29', '10.1.0.8/29', '10.9.0.0/29', 'none')),
    gateway: maybe(fc.constantFrom('10.1.0.1', '10.1.0.6', '10.9.0.2')),
    ipv6Subnet: maybe(fc.constantFrom('fd00:1::/64', 'none')),
    qos: fc.option(profile, { nil: undefined, freq: 8 }),
  })
  .map(({ id, ...more }) => network(id, given(more)));

const anyEndpoint = fc
  .record({
    id: fc.constantFrom(...endpoints),
    ip: maybe(fc.constantFrom('10.1.0.1', '10.1.0.2', '10.1.0.9', '10.9.0.3')),
    mac: maybe(fc.constantFrom('02:aa:00:00:00:01', '02:02:0a:01:00:01')),
    host: maybe(fc.constantFrom(...hosts)),
    labels: maybe(labels),
    groups: maybe(names('g')),
    qos: fc.option(profile, { nil: undefined, freq: 8 }),
  })
  .map(({ id, ...more }) => endpoint(id, given(more)));

const anyGroup = fc
  .record({
    tenant: fc.constantFrom(...tenants),
    name: fc.constantFrom('g1', 'g2', 'g3'),
    endpoints: maybe(fc.subarray(['n1/a', 'n1/b', 'n2/a', 'n2/x'])),
    networks: maybe(fc.subarray(['n1', 'n2'])),
    selector: maybe(
      fc.record(
        {
          matchLabels: labels,
          matchExpressions: fc.constantFrom([], [{ key: 'env', operator: 'NotIn' as const, values: ['a'] }]),
        },
        { noNullPrototype: true },
      ),
    ),
    policies: maybe(names('p')),
    qos: fc.option(profile, { nil: undefined, freq: 8 }),
  })
  .map((more) => ({ kind: 'Group', ...given(more) }) as IntentObject);

const rule = fc
  .record({
    name: fc.constantFrom('r1', 'r2', 'r3', 'r4'),
    priority: maybe(fc.integer({ min: 1, max: 100 })),
    action: maybe(fc.constantFrom('allow', 'deny', 'reject')),
    from: maybe(
      fc.uniqueArray(
        fc.constantFrom(
          { group: 'g1' },
          { group: 'g2' },
          { network: 'n1' },
          { addressSet: 's1' },
          { cidr: '10.0.0.0/8' },
        ),
        { maxLength: 2 },
      ),
    ),
    protocol: maybe(fc.constantFrom('udp', 6)),
  })
  .map((more) => given(more) as { name: string });

const anyPolicy = fc
  .record({
    tenant: fc.constantFrom(...tenants),
    name: fc.constantFrom('p1', 'p2', 'p3'),
    tier: maybe(fc.constantFrom('high', 'low')),
    defaultIn: maybe(fc.constantFrom('allow', 'deny')),
    rules: maybe(fc.uniqueArray(rule, { maxLength: 4, selector: ({ name }) => name })),
  })
  .map((more) => ({ kind: 'Policy', ...given(more) }) as IntentObject);

const anyRule = fc
  .tuple(fc.constantFrom(...tenants), fc.constantFrom('p1', 'p2'), rule)
  .map(([tenant, policy, more]) => ({ kind: 'Rule', tenant, policy, ...more }) as IntentObject);

const anySmall: fc.Arbitrary<IntentObject> = fc.oneof(
  fc
    .constantFrom('high', 'low')
    .chain((name) =>
      fc.integer({ min: 1, max: 30 }).map((priority) => ({ kind: 'Tier' as const, name, priority })),
    ),
  fc
    .tuple(fc.constantFrom(...tenants), profile, fc.constantFrom('1M', '2M'))
    .map(([tenant, name, rate]) => ({ kind: 'QosProfile' as const, tenant, name, out: { rate } })),
  fc
    .tuple(fc.constantFrom(...tenants), fc.constantFrom('s1', 's2'), fc.subarray(['10.0.0.0/8', '::1']))
    .map(([tenant, name, addresses]) => ({ kind: 'AddressSet' as const, tenant, name, addresses })),
);

const anyBinding = fc
  .record({ id: fc.constantFrom(...endpoints), host: fc.constantFrom(...hosts) })
  .map(({ id, host }): IntentObject => {
    const [tenant = '', network = '', name = ''] = id.split('/');
    return { kind: 'HostBinding', tenant, network, name, host };
  });

const anyHost = fc
  .record({
    name: fc.constantFrom(...hosts),
    vtepIp: maybe(fc.constantFrom('192.168.2.1', '192.168.2.2')),
  })
  .map((more): IntentObject => ({ kind: 'Host', name: more.name, ...given(more) }));

const anyObject = fc.oneof(
  { weight: 2, arbitrary: anyTenant },
  { weight: 4, arbitrary: anyNetwork },
  { weight: 6, arbitrary: anyEndpoint },
  { weight: 1, arbitrary: anyBinding },
  { weight: 1, arbitrary: anyHost },
  { weight: 4, arbitrary: anyGroup },
  { weight: 4, arbitrary: anyPolicy },
  { weight: 2, arbitrary: anyRule },
  { weight: 4, arbitrary: anySmall },
);

const anyRef: fc.Arbitrary<ObjectRef> = fc.oneof(
  fc.constantFrom(...tenants).map((name) => ({ kind: 'Tenant' as const, name })),
  fc.constantFrom(...networks).map((name) => ({ kind: 'Network' as const, name })),
  fc.constantFrom(...endpoints).map((name) => ({ kind: 'Endpoint' as const, name })),
  fc.constantFrom(...hosts).map((name) => ({ kind: 'Host' as const, name })),
  fc.constantFrom('high', 'low').map((name) => ({ kind: 'Tier' as const, name })),
  fc
    .tuple(
      fc.constantFrom(...tenants),
      fc.constantFrom<[ObjectRef['kind'], string]>(
        ['Group', 'g1'],
        ['Group', 'g2'],
        ['Policy', 'p1'],
        ['Policy', 'p2'],
        ['Rule', 'p1/r1'],
        ['AddressSet', 's1'],
        ['QosProfile', 'q1'],
      ),
    )
    .map(([tenant, [kind, name]]) => ({ kind, name: `${tenant}/${name}` })),
);

const anyAttachment: fc.Arbitrary<Attachment> = fc.record({
  endpoint: fc.constantFrom(...endpoints),
  interface: fc.constantFrom(...ports),
  generation: fc.integer({ min: 0, max: 12 }),
});

/** What most references need, so that most documents are not refused for the lack of it. */
const foundation: IntentObject[] = [
  ...tenants.map((name) => tenant(name)),
  ...networks.map((id) => network(id)),
  ...tenants.flatMap((tenant): IntentObject[] => [
    ...['g1', 'g2', 'g3'].map((name) => ({ kind: 'Group' as const, tenant, name })),
    ...['p1', 'p2', 'p3'].map((name) => ({ kind: 'Policy' as const, tenant, name })),
    ...['q1', 'q2'].map((name) => ({ kind: 'QosProfile' as const, tenant, name })),
    { kind: 'AddressSet', tenant, name: 's1' },
  ]),
  { kind: 'Tier', name: 'high', priority: 20 },
  { kind: 'Tier', name: 'low', priority: 5 },
];

type Step = (model: Model) => Promise<unknown>;

/** What a dry run says is what then happens. */
const applied =
  (objects: IntentObject[], mode: 'add' | 'replace'): Step =>
  async (model) => {
    const before = factsOf(model);
    const dry = await model.apply(objects, { mode, dryRun: true });
    deepEqual(factsOf(model), before, 'a dry run changes nothing');
    const real = await model.apply(objects, { mode });
    deepEqual(real.changes, dry.changes);
    const again = await model.apply(objects, { mode, dryRun: true });
    deepEqual(
      again.changes.filter(({ action }) => action !== 'unchanged'),
      [],
      'the same again changes nothing',
    );
  };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(applied(foundation, 'add')) },
  {
    weight: 6,
    arbitrary: fc.array(anyObject, { minLength: 1, maxLength: 12 }).map((all) => applied(all, 'add')),
  },
  { weight: 1, arbitrary: fc.array(anyObject, { maxLength: 20 }).map((all) => applied(all, 'replace')) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.array(anyRef, { minLength: 1, maxLength: 3 }), fc.boolean()).map(
      ([refs, cascade]): Step =>
        (model) =>
          model.remove(refs, { cascade }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        endpoint: fc.constantFrom(...endpoints),
        host: fc.constantFrom(...hosts),
        interface: fc.constantFrom(...ports),
      })
      .map(
        (params): Step =>
          (model) =>
            model.attach(params),
      ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        endpoint: fc.constantFrom(...endpoints),
        host: fc.constantFrom(...hosts),
        generation: maybe(fc.integer({ min: 1, max: 12 })),
        release: fc.boolean(),
      })
      .map(
        ({ generation, ...params }): Step =>
          (model) =>
            model.detach(generation === undefined ? params : { ...params, generation }),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({
        id: fc.constantFrom(...networks),
        name: fc.constantFrom('a', 'b', 'x', 'y', 'z'),
        host: fc.constantFrom(...hosts),
        attachUUID: maybe(fc.constantFrom('u1', 'u2')),
        labels: maybe(labels),
        groups: maybe(names('g', 1)),
        qos: fc.option(profile, { nil: undefined, freq: 8 }),
      })
      .map(({ id, ...rest }): Step => {
        const [tenant = '', network = ''] = id.split('/');
        return (model) =>
          model.requestEndpoint({
            tenant,
            network,
            ...(given(rest) as { name: string; host: string }),
          });
      }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...hosts), fc.array(anyAttachment, { maxLength: 4 })).map(
      ([host, attachments]): Step =>
        (model) =>
          model.mergeSnapshot({ host, epoch: 1, attachments }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        host: fc.constantFrom(...hosts),
        datapathId: fc.constantFrom('0000000000000001', '0000000000000002'),
        vtepIp: fc.constantFrom('192.168.2.1', '192.168.2.2'),
        takeOver: fc.boolean(),
      })
      .map(
        (claim): Step =>
          (model) =>
            model.claimHost(claim),
      ),
  },
);

/** What facts of all kinds name, as far as they do. */
interface Naming {
  readonly qos?: string;
  readonly policy?: string;
  readonly networks?: readonly string[];
  readonly groups?: readonly string[];
  readonly policies?: readonly string[];
  readonly peers?: readonly Peer[];
}

/** Keys of the facts that a fact needs. */
const namedBy = ({
  qos,
  policy,
  networks = [],
  groups = [],
  policies = [],
  peers = [],
}: Naming): string[] => [
  ...(qos === undefined ? [] : [`qosProfile ${qos}`]),
  ...(policy === undefined ? [] : [`policy ${policy}`]),
  ...networks.map((id) => `network ${id}`),
  ...groups.map((id) => `group ${id}`),
  ...policies.map((id) => `policy ${id}`),
  ...peers.flatMap((peer) => (peer.kind === 'block' ? [] : [`${peer.kind} ${peer.id}`])),
];

/** Members of a group by the words of facts.ts: looks at every endpoint. */
function membersOf(facts: ReadonlyMap<string, unknown>, group: GroupFact): string[] {
  const endpoints = [...facts]
    .filter(([key]) => key.startsWith('endpoint '))
    .map(([, fact]) => fact as EndpointFact);
  return endpoints
    .filter(({ id, network, labels = {}, groups = [] }) => {
      if (!id.startsWith(`${group.tenant}/`)) return false;
      if (group.endpoints.includes(id) || groups.includes(group.id)) return true;
      if (group.selector === undefined) return group.networks.includes(network);
      if (group.networks.length > 0 && !group.networks.includes(network)) return false;
      const { matchLabels, expressions } = group.selector;
      // Of the operators, the histories have NotIn.
      return (
        Object.keys(matchLabels).every((key) => labels[key] === matchLabels[key]) &&
        expressions.every(({ key, values }) => !values.includes(labels[key] ?? ''))
      );
    })
    .map(({ id }) => id);
}

/** What must never be, whatever has been asked for. */
function violations(model: Model): string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const once = (what: string) => {
    if (seen.has(what)) found.push(`${what} twice`);
    seen.add(what);
  };
  const facts = factsOf(model);
  const needs = (user: string, key: string) => {
    if (!facts.has(key)) found.push(`${user} has no ${key}`);
  };
  for (const [key, value] of facts) {
    const kind = key.split(' ')[0] as string;
    once(`${kind} number ${(value as TenantFact).number}`);
    for (const id of namedBy(value as Naming)) needs(key, id);
    if (kind === 'network') {
      const { encapsulation, tag, tenant, ipv4 } = value as NetworkFact;
      needs(key, `tenant ${tenant}`);
      once(`${encapsulation} ${tag}`);
      if (tag === 0) found.push(`${key} has no tag`);
      const overlapping = model.get('Tenant', tenant)?.spec.overlappingSubnets === true;
      if (ipv4 !== undefined && !overlapping) once(`${tenant} ${ipv4.address}`);
    }
    if (kind === 'host') {
      const { datapathId, vtepIpv4 } = value as HostFact;
      if (datapathId !== undefined) once(`datapath ${datapathId}`);
      if (vtepIpv4 !== undefined) once(`vtep ${vtepIpv4}`);
    }
    if (kind === 'endpoint') checkEndpoint(key, value as EndpointFact);
  }
  for (const { name, status } of model.list('Group')) {
    const members = membersOf(facts, facts.get(`group ${name}`) as GroupFact);
    if (members.length !== status.members)
      found.push(`group ${name} has ${members.length} members, not ${status.members}`);
    for (const id of members) {
      if (model.get('Endpoint', id)?.status.groups?.includes(name) !== true)
        found.push(`endpoint ${id} does not know that it is in ${name}`);
    }
  }
  for (const { spec, status } of model.list('Policy')) {
    const fact = facts.get(`policy ${spec.tenant}/${spec.name}`) as PolicyFact;
    const tier = spec.tier === undefined ? 10 : model.get('Tier', spec.tier)?.spec.priority;
    if (fact.tier !== tier || status.tier !== tier) found.push(`policy ${fact.id} is in tier ${fact.tier}`);
  }
  return found;

  function checkEndpoint(key: string, fact: EndpointFact): void {
    needs(key, `network ${fact.network}`);
    once(`${fact.network} ${fact.mac}`);
    const owner = facts.get(`network ${fact.network}`) as NetworkFact | undefined;
    for (const address of fact.ipv4) {
      once(`${fact.network} ${address}`);
      const { ipv4 } = owner ?? {};
      const size = 2 ** (32 - (ipv4?.prefixLength ?? 32));
      const offset = address - (ipv4?.address ?? 0);
      if (offset <= 0 || offset >= size - 1 || address === ipv4?.gateway) {
        found.push(`${key} has ${address} of ${JSON.stringify(ipv4)}`);
      }
    }
    for (const address of fact.ipv6) {
      once(`${fact.network} ${address}`);
      if (address === owner?.ipv6?.gateway || address === owner?.ipv6?.address)
        found.push(`${key} has ${address}`);
    }
    if (fact.interface === undefined) return;
    once(`${fact.host} ${fact.interface}`);
    once(`generation ${fact.generation}`);
    if (fact.host === undefined) found.push(`${key} is attached nowhere`);
  }
}

/** Runs a step; a refusal is an answer like another, and then nothing has changed. */
async function take(model: Model, step: Step): Promise<'done' | 'refused'> {
  const before = factsOf(model);
  try {
    await step(model);
    return 'done';
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    deepEqual(factsOf(model), before, 'what is refused changes nothing');
    return 'refused';
  }
}

await t.test('nothing that must not be, and a reload changes nothing', async (t) => {
  const taken = { done: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
      const opened = await openNew(t);
      const { model } = opened;
      const heard = follow(model);
      for (const step of steps) {
        taken[await take(model, step)] += 1;
        const found = violations(model);
        if (found.length > 0) throw new Error(found.join('; '));
      }
      const facts = factsOf(model);
      deepEqual(heard, facts, 'the changes add up to the facts');
      const again = await opened.reopen();
      deepEqual(factsOf(again.model), facts);
      for (const kind of KINDS) deepEqual(again.model.list(kind), model.list(kind), kind);
      // What is allocated next is the same too: the indexes are those of before.
      for (const id of networks) await take(again.model, applied([endpoint(`${id}/next`)], 'add'));
      deepEqual(violations(again.model), []);
      await again.close();
    }),
    { numRuns: Number(process.env.WEFT_TEST_RUNS ?? 40) },
  );
  t.ok(taken.done > 100 && taken.refused > 100, `${taken.done} done, ${taken.refused} refused`);
});
