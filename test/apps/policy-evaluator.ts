/** Who may say what to whom: an evaluator of facts as naive as it can be, which shares nothing with what it judges. */
import type { AddressBlock, GroupFact, PrefixFact, RuleFact } from '../../controller/model/facts.js';
import { type Address, type Endpoint, NETWORKS, subnet6, TENANTS, type World } from './policy-world.js';

export type Direction = 'in' | 'out';

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
  /** Whose default it is: `policy 1` or another that says the same, or `tenant 1`. */
  readonly defaults: readonly string[];
  readonly stateless: boolean;
  readonly log: boolean;
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
      defaults: [],
      stateless: first!.stateless && first!.action === 'allow',
      log: first!.log,
    };
  }
  const saying = policies.map(({ number, defaultIn, defaultOut }) => ({
    by: `policy ${number}`,
    action: direction === 'in' ? defaultIn : defaultOut,
  }));
  const closed = world.closed.includes(endpoint.tenant);
  const defaults = ['deny' as const, 'allow' as const].map((action) => ({
    action,
    by: saying.filter((one) => one.action === action).map(({ by }) => by),
  }));
  const found = defaults.find(({ by }) => by.length > 0);
  if (found === undefined && rules.length === 0 && !closed) return undefined;
  return {
    action: found?.action ?? (closed ? 'deny' : 'allow'),
    rules: [],
    defaults: found?.by ?? [`tenant ${TENANTS.indexOf(endpoint.tenant) + 1}`],
    stateless: false,
    log: false,
  };
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
  const at = endpointAt(world, conversation.network, other);
  const isPeer = rule.peers.some((peer) => {
    switch (peer.kind) {
      case 'group':
        return at !== undefined && isMember(at, world.groups.find(({ id }) => id === peer.id)!);
      case 'network':
        return NETWORKS.some(
          (of) =>
            of.id === peer.id &&
            inSubnet(other, of) &&
            (of.id === conversation.network || of.ipv4 !== networkOf(conversation.network).ipv4),
        );
      case 'addressSet':
        return inBlock(other, world.sets.get(peer.id)!);
      case 'block':
        return inBlock(other, peer.block);
    }
  });
  if (rule.peers.length > 0 && !isPeer) return false;
  const isToGroup = rule.groupAddresses?.some((group) =>
    inBlock(conversation.destination, group.kind === 'addressSet' ? world.sets.get(group.id)! : group.block),
  );
  if (isToGroup === false) return false;
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

/**
 * Whose address it is, seen from a network: its own endpoint's, or that of the only other network of the tenant with such addresses. Of
 * several it is nobody's.
 */
export function endpointAt(world: World, network: string, address: Address): Endpoint | undefined {
  const [tenant = ''] = network.split('/');
  const having = NETWORKS.filter((of) => of.id.startsWith(`${tenant}/`) && inSubnet(address, of));
  const place = inSubnet(address, networkOf(network)) ? network : having.length === 1 && having[0]!.id;
  return world.endpoints.find(
    (endpoint) =>
      endpoint.network === place && [...endpoint.ipv4, ...endpoint.ipv6].includes(address as never),
  );
}

const networkOf = (network: string): (typeof NETWORKS)[number] => NETWORKS.find(({ id }) => id === network)!;

function inSubnet(address: Address, { ipv4, six }: (typeof NETWORKS)[number]): boolean {
  return typeof address === 'number' ? address >> 8 === ipv4 >> 8 : contains(subnet6(six), address);
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
