/**
 * Random worlds with policies, and who may say what to whom in them: an evaluator of facts as naive as it can be, which shares nothing with
 * what it judges.
 */
import fc from 'fast-check';
import type { FactInputs } from '../../controller/datapath/desired.js';
import type {
  AddressBlock,
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
export type Direction = 'in' | 'out';

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
/** The first packet of a connection. For ICMP type and code stand where others have ports. */
export interface Conversation {
  readonly network: string;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}
export interface Verdict {
  readonly action: 'allow' | 'deny' | 'reject';
  /** Numbers of the rules that may count it; none: a default. */
  readonly rules: readonly number[];
  readonly stateless: boolean;
  readonly log: boolean;
}

export const TENANTS = ['red', 'blue'];
export const NETWORKS = [
  { id: 'red/web', number: 1, encapsulation: 'vxlan', ipv4: 0x0a010000 },
  { id: 'red/lan', number: 2, encapsulation: 'vlan', ipv4: 0x0a020000 },
  { id: 'blue/web', number: 3, encapsulation: 'vxlan', ipv4: 0x0a010000 },
] as const;
export const HOSTS = [1, 2];
const IPV6 = 0xfd00n << 112n;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const SCTP = 132;
const ICMPV6 = 58;
const LABELS = ['app', 'tier', 'constructor'];
const VALUES = ['a', 'b'];

const subnet6 = (number: number): PrefixFact & { family: 6 } => ({
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
      network: fc.nat(NETWORKS.length - 1),
      host: fc.constantFrom(...HOSTS),
      address: fc.nat(5),
      labels: fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES)),
      http: fc.option(fc.constantFrom(80, 88)),
      groups: fc.uniqueArray(fc.nat(4), { maxLength: 1 }),
    }),
    { minLength: 3, maxLength: 9 },
  ),
  groups: fc.array(
    fc.record({
      endpoints: few(fc.nat(8), 2),
      networks: fc.option(fc.subarray(NETWORKS.map(({ id }) => id as string))),
      selector: fc.option(selector),
      policies: fc.uniqueArray(fc.nat(2), { maxLength: 2 }),
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
          fc.nat(2).map((network) => ({ network })),
          fc.constant({ set: true }),
          block.map((of) => ({ block: of })),
        ),
        3,
      ),
      services: few(service, 3),
    }),
    { maxLength: 14 },
  ),
  set: block,
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
        ipv6: [subnet6(of.number).address + 1n + BigInt(address)],
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
    const { policy, peers, ...rest } = rule;
    return {
      ...rest,
      id: `red/p${policy}/r${i}`,
      policy: `red/p${policy}`,
      name: `r${i}`,
      number: i + 1,
      position: positions[policy]!++,
      peers: peers.map((peer): Peer => {
        if ('group' in peer) return { kind: 'group', id: `red/g${peer.group % groups.length}` };
        if ('network' in peer) return { kind: 'network', id: NETWORKS[peer.network % 2]!.id };
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
    sets: new Map([['red/s', described.set]]),
  };
});

/** Writes a world; facts that another world had and this one has not go. */
export function write(facts: FactInputs, world: World): void {
  for (const [i, name] of TENANTS.entries()) {
    const closed = world.closed.includes(name);
    facts.tenants.set(name, { name, number: i + 1, ...(closed ? { defaultAction: 'deny' as const } : {}) });
  }
  for (const host of HOSTS) setHost(facts, host, { vtepIpv4: vtep(host), uplink: 'uplink' });
  for (const { id, number, encapsulation, ipv4 } of NETWORKS) {
    const { address, length: prefixLength } = subnet6(number);
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
    [...world.sets].map(([id, of]) => ({ ...of, id, tenant: 'red', name: id.slice(4), number: 1 })),
  );
}

function replace<T extends { readonly id: string }>(
  input: { entries(): Iterable<[string, T]>; set(key: string, value: T): void; delete(key: string): void },
  facts: readonly T[],
): void {
  const keep = new Set(facts.map(({ id }) => id));
  for (const [id] of [...input.entries()]) if (!keep.has(id)) input.delete(id);
  for (const fact of facts) input.set(fact.id, fact);
}

/** What an endpoint says to a conversation in a direction; undefined: it is not judged. */
export function verdictOf(
  world: World,
  endpoint: Endpoint,
  direction: Direction,
  conversation: Conversation,
): Verdict | undefined {
  const policies = world.policies.filter(({ id }) =>
    world.groups.some((group) => group.policies.includes(id) && isMember(endpoint, group)),
  );
  const rules = policies.flatMap((policy) =>
    world.rules
      .filter((rule) => rule.policy === policy.id && rule.direction === direction)
      .map((rule) => ({ rule, rank: [policy.tier, rule.priority, rule.action === 'allow' ? 0 : 1] })),
  );
  const matching = rules.filter(({ rule }) => ruleMatches(world, endpoint, rule, conversation));
  const best = matching.sort((a, b) => compareRanks(b.rank, a.rank))[0];
  if (best !== undefined) {
    const alike = matching.filter(({ rank }) => compareRanks(rank, best.rank) === 0).map(({ rule }) => rule);
    const preferred = alike.filter(
      ({ action, stateless }) => action === 'reject' || (action === 'allow' && !stateless),
    );
    const counting = preferred.length > 0 ? preferred : alike;
    const [first] = counting;
    return {
      action: first!.action,
      rules: counting.map(({ number }) => number),
      stateless: first!.stateless && first!.action === 'allow',
      log: first!.log,
    };
  }
  const defaults = policies.flatMap(
    ({ defaultIn, defaultOut }) => (direction === 'in' ? defaultIn : defaultOut) ?? [],
  );
  const closed = world.closed.includes(endpoint.tenant);
  if (rules.length === 0 && defaults.length === 0 && !closed) return undefined;
  const action = defaults.includes('deny') || (defaults.length === 0 && closed) ? 'deny' : 'allow';
  return { action, rules: [], stateless: false, log: false };
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

export function isMember(endpoint: Endpoint, group: GroupFact): boolean {
  if (endpoint.tenant !== group.tenant) return false;
  if (group.endpoints.includes(endpoint.id) || endpoint.groups!.includes(group.id)) return true;
  const inNetworks = group.networks.includes(endpoint.network);
  if (group.selector === undefined) return inNetworks;
  if (group.networks.length > 0 && !inNetworks) return false;
  const labels = new Map(Object.entries(endpoint.labels!));
  return (
    Object.entries(group.selector.matchLabels).every(([key, value]) => labels.get(key) === value) &&
    group.selector.expressions.every(({ key, operator, values }) => {
      const has = labels.has(key);
      const among = has && values.includes(labels.get(key)!);
      return { In: among, NotIn: !among, Exists: has, DoesNotExist: !has }[operator];
    })
  );
}

function ruleMatches(world: World, endpoint: Endpoint, rule: RuleFact, conversation: Conversation): boolean {
  const other = rule.direction === 'in' ? conversation.source : conversation.destination;
  const at = world.endpoints.find(
    ({ network, ipv4, ipv6 }) =>
      network === conversation.network && [...ipv4, ...ipv6].includes(other as never),
  );
  const isPeer = rule.peers.some((peer) => {
    switch (peer.kind) {
      case 'group':
        return at !== undefined && isMember(at, world.groups.find(({ id }) => id === peer.id)!);
      case 'network':
        return at?.network === peer.id || NETWORKS.some((of) => of.id === peer.id && inSubnet(other, of));
      case 'addressSet':
        return inBlock(other, world.sets.get(peer.id)!);
      case 'block':
        return inBlock(other, peer.block);
    }
  });
  if (rule.peers.length > 0 && !isPeer) return false;
  const connectedTo = rule.direction === 'in' ? endpoint : at;
  const { protocol, sourcePort: type, destinationPort: port } = conversation;
  return (
    rule.services.length === 0 ||
    rule.services.some((of) => {
      if (of.protocol !== protocol) return false;
      if (of.icmpType !== undefined)
        return type === of.icmpType && (of.icmpCode === undefined || port === of.icmpCode);
      if (of.ports === undefined && of.portNames === undefined) return true;
      const named = (of.portNames ?? []).some((name) => {
        const means = connectedTo?.namedPorts?.[name];
        return means?.protocol === protocol && means.port === port;
      });
      return named || (of.ports ?? []).some(({ first, last }) => first <= port && port <= last);
    })
  );
}

function inSubnet(address: Address, { ipv4, number }: (typeof NETWORKS)[number]): boolean {
  return typeof address === 'number' ? address >> 8 === ipv4 >> 8 : contains(subnet6(number), address);
}

function inBlock(address: Address, { prefixes, except }: AddressBlock): boolean {
  return (
    prefixes.some((prefix) => contains(prefix, address)) &&
    !except.some((prefix) => contains(prefix, address))
  );
}

function contains(prefix: PrefixFact, address: Address): boolean {
  if ((prefix.family === 4) !== (typeof address === 'number')) return false;
  const bits = prefix.family === 4 ? 32 : 128;
  const [first, size] = [BigInt(prefix.address), 1n << BigInt(bits - prefix.length)];
  return BigInt(address) >= first && BigInt(address) < first + size;
}
