/** Random worlds with policies, as facts. */
import fc from 'fast-check';
import type { FactInputs } from '../../controller/datapath/desired.js';
import type {
  AddressBlock,
  AddressPeer,
  EndpointFact,
  GroupFact,
  Peer,
  PolicyFact,
  PrefixFact,
  RuleFact,
  Service,
} from '../../controller/model/facts.js';
import { hostName, setHost, setNetwork, setPort, vtep } from './facts.js';

export type Address = number | bigint;
export interface Endpoint extends EndpointFact {
  readonly tenant: string;
  readonly hostNumber: number;
  readonly port: number;
}
export interface World {
  readonly closed: readonly string[];
  readonly endpoints: readonly Endpoint[];
  readonly groups: readonly GroupFact[];
  readonly policies: readonly PolicyFact[];
  readonly rules: readonly RuleFact[];
  readonly sets: ReadonlyMap<string, AddressBlock>;
}
export const TENANTS = ['red', 'blue'];
/** The last two are of one tenant and have the same addresses. */
export const NETWORKS = [
  { id: 'red/web', number: 1, encapsulation: 'vxlan', ipv4: 0x0a010000, six: 1 },
  { id: 'red/lan', number: 2, encapsulation: 'vlan', ipv4: 0x0a020000, six: 2 },
  { id: 'blue/web', number: 3, encapsulation: 'vxlan', ipv4: 0x0a010000, six: 3 },
  { id: 'red/far', number: 4, encapsulation: 'vlan', ipv4: 0x0a030000, six: 4 },
  { id: 'red/twin', number: 5, encapsulation: 'vlan', ipv4: 0x0a030000, six: 4 },
] as const;
const RED = NETWORKS.filter(({ id }) => id.startsWith('red/'));
export const HOSTS = [1, 2];
const IPV6 = 0xfd00n << 112n;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const SCTP = 132;
const ICMPV6 = 58;
const ENDPOINTS = 24;
const MOST = 18;
const LABELS = ['app', 'tier', 'constructor'];
const VALUES = ['a', 'b'];

export const subnet6 = (number: number): PrefixFact & { family: 6 } => ({
  family: 6,
  address: IPV6 | (BigInt(number) << 64n),
  length: 64,
});

const few = <T>(item: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<T[]> => fc.array(item, { maxLength });

const block: fc.Arbitrary<AddressBlock> = fc
  .record({
    prefixes: few(fc.tuple(fc.nat(5), fc.constantFrom(0, 8, 15, 24, 29, 32)), 2),
    except: few(fc.tuple(fc.nat(5), fc.constantFrom(16, 28, 30, 32)), 2),
    six: fc.option(fc.tuple(fc.constantFrom(16, 64, 126), fc.boolean())),
  })
  .map(({ prefixes, except, six }) => ({
    prefixes: [
      ...prefixes.map(([at, length]) => prefix4(0x0a010001 + at + (at > 3 ? 0x10000 : 0), length)),
      ...(six === null ? [] : [prefix6(IPV6 | (1n << 64n) | 2n, six[0])]),
    ],
    except: [
      ...except.map(([at, length]) => prefix4(0x0a010001 + at, length)),
      ...(six !== null && six[1] ? [prefix6(IPV6 | (1n << 64n) | 3n, 128)] : []),
    ],
  }));

function prefix4(address: number, length: number): PrefixFact {
  const size = 2 ** (32 - length);
  return { family: 4, address: address - (address % size), length };
}

function prefix6(address: bigint, length: number): PrefixFact {
  const size = 1n << BigInt(128 - length);
  return { family: 6, address: address - (address % size), length };
}

const multicast: fc.Arbitrary<AddressBlock> = fc
  .record({
    four: fc.subarray([
      prefix4(0xef010000, 16),
      prefix4(0xef010100, 24),
      prefix4(0xef020000, 16),
      prefix4(0xe0000000, 4),
    ]),
    six: fc.subarray([prefix6(0xff15n << 112n, 32), prefix6((0xff15n << 112n) + 7n, 128)]),
    except: fc.subarray([prefix4(0xef010105, 32), prefix6((0xff15n << 112n) + 9n, 128)]),
  })
  .map(({ four, six, except }) => ({ prefixes: [...four, ...six], except }));

const service: fc.Arbitrary<Service> = fc.oneof(
  fc
    .tuple(fc.constantFrom(TCP, UDP, SCTP), few(fc.tuple(fc.integer({ min: 75, max: 90 }), fc.nat(9)), 3))
    .map(([protocol, ports]) => ({
      protocol,
      ...(ports.length === 0 ? {} : { ports: ports.map(([first, more]) => ({ first, last: first + more })) }),
    })),
  fc.constantFrom<Service>(
    { protocol: ICMP },
    { protocol: ICMP, icmpType: 8 },
    { protocol: ICMP, icmpType: 8, icmpCode: 0 },
    { protocol: ICMP, icmpType: 3, icmpCode: 1 },
    { protocol: ICMPV6, icmpType: 128 },
    { protocol: TCP, portNames: ['http'] },
    { protocol: TCP, ports: [{ first: 88, last: 88 }], portNames: ['http', 'nobody'] },
    { protocol: UDP, ports: [{ first: 0, last: 65535 }] },
    { protocol: 47 },
  ),
);

const selector = fc
  .record({
    matchLabels: fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES), { maxKeys: 2 }),
    expressions: few(
      fc.record({
        key: fc.constantFrom(...LABELS),
        operator: fc.constantFrom(
          'In' as const,
          'NotIn' as const,
          'Exists' as const,
          'DoesNotExist' as const,
        ),
        values: fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1 }),
      }),
      2,
    ),
  })
  .map(({ matchLabels, expressions }) => ({
    matchLabels: { ...matchLabels },
    expressions: expressions.map(({ key, operator, values }) => ({
      key,
      operator,
      values: operator.endsWith('In') ? values : [],
    })),
  }));

const numbers = fc.record({
  closed: fc.subarray(TENANTS, { maxLength: 1 }),
  endpoints: fc.array(
    fc.record({
      network: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 3, 4),
      host: fc.constantFrom(...HOSTS),
      address: fc.nat(5),
      labels: fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES)),
      http: fc.option(fc.constantFrom(80, 88)),
      groups: fc.uniqueArray(fc.nat(4), { maxLength: 1 }),
    }),
    { minLength: 3, maxLength: 12 },
  ),
  groups: fc.array(
    fc.record({
      endpoints: few(fc.nat(11), 2),
      networks: fc.option(fc.subarray(NETWORKS.map(({ id }) => id as string))),
      selector: fc.option(selector),
      policies: fc.uniqueArray(fc.nat(2), { minLength: 1, maxLength: 2 }),
    }),
    { minLength: 2, maxLength: 5 },
  ),
  policies: fc.tuple(
    ...[0, 1, 2].map(() =>
      fc.record({
        tier: fc.constantFrom(1, 10, 30),
        defaultIn: fc.option(fc.constantFrom('allow' as const, 'deny' as const)),
        defaultOut: fc.option(fc.constantFrom('allow' as const, 'deny' as const)),
      }),
    ),
  ),
  rules: fc.array(
    fc.record({
      policy: fc.nat(2),
      direction: fc.constantFrom('in' as const, 'out' as const),
      priority: fc.constantFrom(1, 2, 100),
      action: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const, 'reject' as const),
      log: fc.boolean(),
      stateless: fc.nat(4).map((n) => n === 0),
      peers: few(
        fc.oneof(
          fc.nat(4).map((group) => ({ group })),
          fc.nat(3).map((network) => ({ network })),
          fc.constant({ set: true }),
          block.map((of) => ({ block: of })),
          multicast.map((of) => ({ block: of })),
        ),
        3,
      ),
      services: few(service, 3),
      groupAddresses: fc.option(
        few(
          fc.oneof(
            fc.constant<AddressPeer>({ kind: 'addressSet', id: 'red/m' }),
            multicast.map((of): AddressPeer => ({ kind: 'block', block: of })),
          ),
          2,
        ),
      ),
    }),
    { minLength: 5, maxLength: 16 },
  ),
  set: block,
  channels: multicast,
});

/** Tenants with equal addresses; all objects belong to `red` but for the endpoints of `blue/web` and what blue closes. */
export const worlds: fc.Arbitrary<World> = numbers.map((described) => {
  const taken = new Set<string>();
  const endpoints = described.endpoints.flatMap(({ network, host, address, labels, http, groups }, i) => {
    const of = NETWORKS[network]!;
    if (taken.has(`${network}/${address}`)) return [];
    taken.add(`${network}/${address}`);
    const number = i + 1;
    return [
      {
        id: `${of.id}/e${number}`,
        tenant: of.id.split('/')[0]!,
        network: of.id as string,
        name: `e${number}`,
        number,
        mac: 0x02020a010000 + address,
        ipv4: [of.ipv4 + 1 + address],
        ipv6: [subnet6(of.six).address + 1n + BigInt(address)],
        host: hostName(host),
        hostNumber: host,
        interface: `v${number}`,
        port: number,
        generation: 1,
        labels: { ...labels },
        groups: groups.map((group) => `red/g${group}`),
        ...(http === null ? {} : { namedPorts: { http: { protocol: TCP, port: http } } }),
      },
    ];
  });
  const groups = described.groups.map((group, i) => ({
    id: `red/g${i}`,
    tenant: 'red',
    name: `g${i}`,
    number: i + 1,
    endpoints: endpoints
      .filter((_, index) => group.endpoints.includes(index))
      .filter(({ tenant }) => tenant === 'red')
      .map(({ id }) => id),
    networks: (group.networks ?? []).filter((id) => id.startsWith('red/')),
    ...(group.selector === null ? {} : { selector: group.selector }),
    policies: group.policies.map((policy) => `red/p${policy}`),
  }));
  const policies = described.policies.map(({ tier, defaultIn, defaultOut }, i) => ({
    id: `red/p${i}`,
    tenant: 'red',
    name: `p${i}`,
    number: i + 1,
    tier,
    ...(defaultIn === null ? {} : { defaultIn }),
    ...(defaultOut === null ? {} : { defaultOut }),
  }));
  const positions = [0, 0, 0];
  const rules = described.rules.map((rule, i): RuleFact => {
    const { policy, peers, groupAddresses, ...rest } = rule;
    const isAboutGroups = rule.direction === 'in' && groupAddresses !== null && groupAddresses.length > 0;
    return {
      ...rest,
      ...(isAboutGroups ? { groupAddresses } : {}),
      id: `red/p${policy}/r${i}`,
      policy: `red/p${policy}`,
      name: `r${i}`,
      number: i + 1,
      position: positions[policy]!++,
      peers: peers.map((peer): Peer => {
        if ('group' in peer) return { kind: 'group', id: `red/g${peer.group % groups.length}` };
        if ('network' in peer) return { kind: 'network', id: RED[peer.network % RED.length]!.id };
        return 'set' in peer ? { kind: 'addressSet', id: 'red/s' } : { kind: 'block', block: peer.block };
      }),
    };
  });
  const known = new Set(groups.map(({ id }) => id));
  return {
    closed: described.closed,
    endpoints: endpoints.map((endpoint) => ({
      ...endpoint,
      groups: endpoint.tenant === 'red' ? endpoint.groups.filter((id) => known.has(id)) : [],
    })),
    groups,
    policies,
    rules,
    sets: new Map([
      ['red/s', described.set],
      ['red/m', described.channels],
    ]),
  };
});

/** Writes a world; facts that another world had and this one has not go. */
export function write(facts: FactInputs, world: World): void {
  for (const [i, name] of TENANTS.entries()) {
    const closed = world.closed.includes(name);
    facts.tenants.set(name, { name, number: i + 1, ...(closed ? { defaultAction: 'deny' as const } : {}) });
  }
  for (const host of HOSTS) setHost(facts, host, { vtepIpv4: vtep(host), uplink: 'uplink' });
  for (const { id, number, encapsulation, ipv4, six } of NETWORKS) {
    const { address, length: prefixLength } = subnet6(six);
    setNetwork(facts, id, number, encapsulation, {
      ipv4: { address: ipv4, prefixLength: 24 },
      ipv6: { address, prefixLength },
    });
  }
  for (const { hostNumber, port } of world.endpoints) setPort(facts, hostNumber, `v${port}`, port);
  replace(
    facts.endpoints,
    world.endpoints.map(({ tenant: _tenant, hostNumber: _host, port: _port, ...fact }) => fact),
  );
  replace(facts.groups, world.groups);
  replace(facts.policies, world.policies);
  replace(facts.rules, world.rules);
  replace(
    facts.addressSets,
    [...world.sets].map(([id, of], i) => ({ ...of, id, tenant: 'red', name: id.slice(4), number: i + 1 })),
  );
}

function replace<T extends { readonly id: string }>(
  input: { entries(): Iterable<[string, T]>; set(key: string, value: T): void; delete(key: string): void },
  facts: readonly T[],
): void {
  const keep = new Set(facts.map(({ id }) => id));
  for (const [id] of input.entries()) if (!keep.has(id)) input.delete(id);
  for (const fact of facts) input.set(fact.id, fact);
}

/** Multicast groups that rules of wide worlds name. */
export const CHANNELS = Array.from({ length: 16 }, (_, i) => 0xef010000 + i);

/** Rules of one rung that have some of their clauses in common: they are about half the same groups and ports. */
const ALIKE = [0, 6].map((first) => ({
  groups: Array.from({ length: 12 }, (_, i) => first + i),
  ports: Array.from({ length: 12 }, (_, i) => first + i),
  direction: 'in' as const,
  action: 'allow' as const,
  priority: 3,
  wide: undefined,
  channels: first === 0 ? undefined : CHANNELS.map((_, i) => i).slice(2),
}));

/**
 * 24 endpoints, each in a group of its own, most of them in one more; rules of one policy about many of them and many ports, and about
 * classes of so many identities that they have a bit of their own.
 */
export const wideWorlds: fc.Arbitrary<World> = fc
  .array(
    fc.record({
      groups: fc.uniqueArray(fc.nat(ENDPOINTS - 1), { minLength: 6, maxLength: 20 }),
      ports: fc.uniqueArray(fc.nat(30), { minLength: 12, maxLength: 24 }),
      direction: fc.constantFrom('in' as const, 'in' as const, 'out' as const),
      action: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const),
      priority: fc.constantFrom(1, 1, 2),
      wide: fc.constantFrom<Peer | undefined>(
        undefined,
        { kind: 'group', id: 'red/most' },
        { kind: 'network', id: 'red/web' },
      ),
      channels: fc.option(fc.uniqueArray(fc.nat(CHANNELS.length - 1), { minLength: 1, maxLength: 14 }), {
        nil: undefined,
        freq: 1,
      }),
    }),
    { minLength: 4, maxLength: 8 },
  )
  .map((described) => ({
    closed: [],
    sets: new Map(),
    endpoints: Array.from({ length: ENDPOINTS }, (_, i) => ({
      id: `red/web/e${i + 1}`,
      tenant: 'red',
      network: 'red/web',
      name: `e${i + 1}`,
      number: i + 1,
      mac: 0x02020a010000 + i,
      ipv4: [0x0a010001 + i],
      ipv6: [subnet6(1).address + BigInt(i)],
      host: hostName(1 + (i % 2)),
      hostNumber: 1 + (i % 2),
      interface: `v${i + 1}`,
      port: i + 1,
      generation: 1,
      labels: {},
      groups: [`red/g${i}`, 'red/all', ...(i < MOST ? ['red/most'] : [])],
    })),
    groups: [...Array.from({ length: ENDPOINTS }, (_, i) => `g${i}`), 'all', 'most'].map((name, i) => ({
      id: `red/${name}`,
      tenant: 'red',
      name,
      number: i + 1,
      endpoints: [],
      networks: [],
      policies: name === 'all' ? ['red/p'] : [],
    })),
    policies: [{ id: 'red/p', tenant: 'red', name: 'p', number: 1, tier: 10, defaultIn: 'deny' }],
    rules: [...described, ...ALIKE].map(({ groups, ports, wide, channels, ...rest }, i) => ({
      ...rest,
      ...(channels === undefined || rest.direction === 'out'
        ? {}
        : {
            groupAddresses: channels.map(
              (at): AddressPeer => ({
                kind: 'block',
                block: { prefixes: [{ family: 4, address: CHANNELS[at]!, length: 32 }], except: [] },
              }),
            ),
          }),
      id: `red/p/r${i}`,
      policy: 'red/p',
      name: `r${i}`,
      number: i + 1,
      position: i,
      log: false,
      stateless: false,
      peers: [
        ...groups.map((group) => ({ kind: 'group' as const, id: `red/g${group}` })),
        ...(wide === undefined ? [] : [wide]),
      ],
      services: [{ protocol: 6, ports: ports.map((port) => ({ first: port * 2, last: port * 2 })) }],
    })),
  }));
