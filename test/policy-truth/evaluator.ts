/**
 * What people mean by their policies: an evaluator of intents that is as naive as it can be, to judge the controller by. It reads the
 * objects as they were written, asks every rule of every policy, and shares no code with what it judges.
 *
 * The question is always about the first packet of a connection (with stateless rules, about any packet).
 */

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

type Action = 'allow' | 'deny' | 'reject';
export type Direction = 'in' | 'out';

/** Objects as people write them; kinds that say nothing about policy are ignored. */
export type Intent = Readonly<Record<string, unknown>> & { readonly kind: string };

interface Block {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export type PeerIntent =
  | { readonly group: string }
  | { readonly network: string }
  | { readonly addressSet: string }
  | Block;

export interface RuleIntent {
  readonly name: string;
  /** Default: in. */
  readonly direction?: Direction;
  readonly priority?: number;
  readonly from?: readonly PeerIntent[];
  readonly to?: readonly PeerIntent[];
  readonly protocol?: string | number;
  readonly ports?: readonly (number | string)[];
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly action?: Action;
  readonly log?: boolean;
  readonly stateless?: boolean;
  /** Of direction in: multicast groups that the packet is sent to. */
  readonly groupAddresses?: readonly ({ readonly addressSet: string } | Block)[];
  /** As contiv's users write it. */
  readonly fromEndpointGroup?: string;
  readonly toEndpointGroup?: string;
  readonly fromNetwork?: string;
  readonly toNetwork?: string;
  readonly fromIpAddress?: string;
  readonly toIpAddress?: string;
  /** 0: any. */
  readonly port?: number;
}

export interface PolicyIntent {
  readonly kind: 'Policy';
  readonly tenant: string;
  readonly name: string;
  readonly tier?: string;
  readonly defaultIn?: 'allow' | 'deny';
  readonly defaultOut?: 'allow' | 'deny';
  readonly rules?: readonly RuleIntent[];
}

export interface SelectorIntent {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    readonly values?: readonly string[];
  }[];
}

export interface GroupIntent {
  readonly kind: 'Group';
  readonly tenant: string;
  readonly name: string;
  /** `<network>/<endpoint>` */
  readonly endpoints?: readonly string[];
  readonly networks?: readonly string[];
  readonly selector?: SelectorIntent;
  readonly policies?: readonly string[];
}

/** An endpoint of an intent, with the addresses that it was given. */
export interface KnownEndpoint {
  readonly tenant: string;
  readonly network: string;
  readonly name: string;
  readonly addresses: readonly Address[];
}

export interface World {
  readonly intents: readonly Intent[];
  readonly endpoints: readonly KnownEndpoint[];
}

export interface Packet {
  readonly tenant: string;
  readonly network: string;
  readonly from: Address;
  readonly to: Address;
  /** IP protocol number. */
  readonly protocol: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

export interface Decision {
  readonly action: Action;
  /** `rule <tenant>/<policy>/<rule>`, `default of policy <tenant>/<policy>`, or `default of tenant <tenant>`. */
  readonly by: string;
  /** Rules that are as strong: one of them may be the one that counts the packet. */
  readonly or?: readonly string[];
}

export interface Verdict {
  readonly action: Action;
  /** What decided: the side that forbids, else the last one that was asked; absent where nobody is judged. */
  readonly by?: string;
  /** What its sender may do; absent where the sender is no endpoint of ours. */
  readonly out?: Decision;
  /** What its receiver admits; absent where the receiver is no endpoint of ours. */
  readonly in?: Decision;
}

const DEFAULT_TIER = 10;
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 };

/** Both sides are asked, the sender's first. */
export function evaluate(world: World, packet: Packet): Verdict {
  const sender = ownEndpointAt(world, packet, packet.from);
  const receiver = ownEndpointAt(world, packet, packet.to);
  const out = sender === undefined ? undefined : decide(world, packet, sender, 'out');
  const into = receiver === undefined ? undefined : decide(world, packet, receiver, 'in');
  const decisions = { ...(out === undefined ? {} : { out }), ...(into === undefined ? {} : { in: into }) };
  for (const decision of [out, into]) {
    if (decision !== undefined && decision.action !== 'allow') return { ...decision, ...decisions };
  }
  return { action: 'allow', ...(into ?? out), ...decisions };
}

/** What the policies of an endpoint say of a packet that it sends (`out`) or would receive (`in`). */
export function decide(world: World, packet: Packet, subject: KnownEndpoint, direction: Direction): Decision {
  let best: { rank: readonly number[]; found: { position: number; decision: Decision }[] } | undefined;
  let denies: Decision | undefined;
  let allows: Decision | undefined;
  for (const policy of policiesOf(world, subject)) {
    const said = direction === 'in' ? policy.defaultIn : policy.defaultOut;
    const by = `default of policy ${policy.tenant}/${policy.name}`;
    if (said === 'deny') denies ??= { action: 'deny', by };
    if (said === 'allow') allows ??= { action: 'allow', by };
    for (const [position, rule] of rulesOf(world, policy).entries()) {
      if ((rule.direction ?? 'in') !== direction || !ruleMatches(world, packet, policy.tenant, rule))
        continue;
      const action = rule.action ?? 'allow';
      // Larger is stronger; place by place.
      const rank = [tierOf(world, policy), rule.priority ?? 1, action === 'allow' ? 0 : 1];
      const comparison = best === undefined ? 1 : compare(rank, best.rank);
      if (comparison > 0) best = { rank, found: [] };
      if (comparison >= 0) {
        best?.found.push({
          position,
          decision: { action, by: `rule ${policy.tenant}/${policy.name}/${rule.name}` },
        });
      }
    }
  }
  const [first, ...others] = (best?.found ?? []).sort((a, b) => a.position - b.position);
  if (first === undefined) return denies ?? allows ?? tenantDefault(world, subject.tenant);
  const or = others.map(({ decision }) => decision.by);
  return { ...first.decision, ...(or.length === 0 ? {} : { or }) };
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function tenantDefault(world: World, name: string): Decision {
  const tenant = world.intents.find((intent) => intent.kind === 'Tenant' && intent['name'] === name);
  return {
    action: tenant?.['defaultAction'] === 'deny' ? 'deny' : 'allow',
    by: `default of tenant ${name}`,
  };
}

function tierOf(world: World, policy: PolicyIntent): number {
  if (policy.tier === undefined) return DEFAULT_TIER;
  const tier = world.intents.find((intent) => intent.kind === 'Tier' && intent['name'] === policy.tier);
  if (tier === undefined)
    throw new Error(`policy ${policy.name} names tier ${policy.tier}, which is not there`);
  return Number(tier['priority']);
}

/** Policies of all the groups that it is in, each once. */
function policiesOf(world: World, endpoint: KnownEndpoint): readonly PolicyIntent[] {
  const names = new Set<string>();
  for (const group of groupsOf(world, endpoint.tenant)) {
    if (isMember(world, endpoint, group)) for (const name of group.policies ?? []) names.add(name);
  }
  return [...names].map((name) => {
    const policy = world.intents.find(
      (intent) => intent.kind === 'Policy' && intent['tenant'] === endpoint.tenant && intent['name'] === name,
    );
    if (policy === undefined) throw new Error(`there is no policy ${endpoint.tenant}/${name}`);
    return policy as unknown as PolicyIntent;
  });
}

/** Those written in the policy, then those written by themselves. */
function rulesOf(world: World, { tenant, name, rules = [] }: PolicyIntent): readonly RuleIntent[] {
  const alone = world.intents.filter(
    (intent) => intent.kind === 'Rule' && intent['tenant'] === tenant && intent['policy'] === name,
  );
  return [...rules, ...(alone as unknown as readonly RuleIntent[])];
}

function groupsOf(world: World, tenant: string): readonly GroupIntent[] {
  return world.intents.filter(
    (intent) => intent.kind === 'Group' && intent['tenant'] === tenant,
  ) as unknown as readonly GroupIntent[];
}

/** Named by the group, naming the group, or chosen: by the selector, in the networks if there are any, or by the networks alone. */
function isMember(world: World, endpoint: KnownEndpoint, group: GroupIntent): boolean {
  const { network, name } = endpoint;
  if (group.endpoints?.includes(`${network}/${name}`)) return true;
  const intent = intentOf(world, endpoint);
  if ((intent?.['groups'] as readonly string[] | undefined)?.includes(group.name)) return true;
  const networks = group.networks ?? [];
  if (group.selector === undefined) return networks.includes(network);
  if (networks.length > 0 && !networks.includes(network)) return false;
  return selects(group.selector, (intent?.['labels'] ?? {}) as Readonly<Record<string, string>>);
}

function intentOf(world: World, { tenant, network, name }: KnownEndpoint): Intent | undefined {
  return world.intents.find(
    (intent) =>
      intent.kind === 'Endpoint' &&
      intent['tenant'] === tenant &&
      intent['network'] === network &&
      intent['name'] === name,
  );
}

function selects(selector: SelectorIntent, labels: Readonly<Record<string, string>>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labels[key] !== value) return false;
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = labels[key];
    if (operator === 'Exists' && value === undefined) return false;
    if (operator === 'DoesNotExist' && value !== undefined) return false;
    if (operator === 'In' && (value === undefined || !values.includes(value))) return false;
    // As in Kubernetes: what has no such label is not in the list either.
    if (operator === 'NotIn' && value !== undefined && values.includes(value)) return false;
  }
  return true;
}

function ruleMatches(world: World, packet: Packet, tenant: string, rule: RuleIntent): boolean {
  const inwards = (rule.direction ?? 'in') === 'in';
  const group = inwards ? rule.fromEndpointGroup : rule.toEndpointGroup;
  const network = inwards ? rule.fromNetwork : rule.toNetwork;
  const cidr = inwards ? rule.fromIpAddress : rule.toIpAddress;
  const peers: readonly PeerIntent[] = [
    ...((inwards ? rule.from : rule.to) ?? []),
    ...(group === undefined ? [] : [{ group }]),
    ...(network === undefined ? [] : [{ network }]),
    ...(cidr === undefined ? [] : [{ cidr }]),
  ];
  const other = inwards ? packet.from : packet.to;
  if (peers.length > 0) {
    if (!peers.some((peer) => isPeer(world, packet, tenant, peer, other))) return false;
  }
  const { groupAddresses = [] } = rule;
  const isToGroup = groupAddresses.some((group) => isPeer(world, packet, tenant, group, packet.to));
  return (groupAddresses.length === 0 || isToGroup) && serviceMatches(world, packet, rule);
}

function isPeer(world: World, packet: Packet, tenant: string, peer: PeerIntent, address: Address): boolean {
  const endpoint = endpointAt(world, packet, address);
  if ('group' in peer) {
    if (endpoint === undefined) return false;
    return groupsOf(world, tenant).some(
      (group) => group.name === peer.group && isMember(world, endpoint, group),
    );
  }
  if ('network' in peer) {
    if (endpoint?.network === peer.network) return true;
    const network = world.intents.find(
      (intent) => intent.kind === 'Network' && intent['tenant'] === tenant && intent['name'] === peer.network,
    );
    return [network?.['subnet'], network?.['ipv6Subnet']].some(
      (subnet) => typeof subnet === 'string' && within(address, subnet),
    );
  }
  if ('addressSet' in peer) {
    const set = world.intents.find(
      (intent) =>
        intent.kind === 'AddressSet' && intent['tenant'] === tenant && intent['name'] === peer.addressSet,
    );
    const addresses = (set?.['addresses'] ?? []) as readonly string[];
    const except = (set?.['except'] ?? []) as readonly string[];
    return addresses.some((cidr) => within(address, cidr)) && !except.some((cidr) => within(address, cidr));
  }
  return within(address, peer.cidr) && !(peer.except ?? []).some((cidr) => within(address, cidr));
}

function serviceMatches(world: World, packet: Packet, rule: RuleIntent): boolean {
  if (rule.protocol === undefined) return true;
  const protocol = typeof rule.protocol === 'number' ? rule.protocol : PROTOCOLS[rule.protocol];
  if (protocol === undefined) throw new Error(`unknown protocol ${rule.protocol}`);
  if (protocol !== packet.protocol) return false;
  if (rule.icmpType !== undefined && rule.icmpType !== packet.icmpType) return false;
  if (rule.icmpCode !== undefined && rule.icmpCode !== packet.icmpCode) return false;
  const ports = [...(rule.ports ?? []), ...(rule.port === undefined || rule.port === 0 ? [] : [rule.port])];
  if (ports.length === 0) return true;
  return ports.some((port) => portMatches(world, packet, port));
}

/** 80, '80', '8000-8010', or the name of a port of the endpoint that is connected to. */
function portMatches(world: World, packet: Packet, port: number | string): boolean {
  const range = /^(\d+)(?:-(\d+))?$/.exec(String(port));
  if (range !== null) {
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    const asked = packet.destinationPort;
    return asked !== undefined && first <= asked && asked <= last;
  }
  const receiver = endpointAt(world, packet, packet.to);
  if (receiver === undefined) return false;
  const named = (intentOf(world, receiver)?.['ports'] ?? {}) as Readonly<Record<string, number | string>>;
  if (named[port] === undefined) return false;
  // 8080, or '53/udp'
  const [number, protocol = 'tcp'] = String(named[port]).split('/');
  return PROTOCOLS[protocol] === packet.protocol && Number(number) === packet.destinationPort;
}

/** Whose address it is in the packet's network, if anybody's of ours. */
function ownEndpointAt(
  world: World,
  { tenant, network }: Pick<Packet, 'tenant' | 'network'>,
  address: Address,
): KnownEndpoint | undefined {
  for (const endpoint of world.endpoints) {
    if (endpoint.tenant !== tenant || endpoint.network !== network) continue;
    if (endpoint.addresses.some((own) => same(own, address))) return endpoint;
  }
  return undefined;
}

/**
 * Whose address it is, seen from the packet's network: of a subnet of its own it is its own endpoint's. Of others it is that of the one
 * network which has such addresses; where several have, nobody's.
 */
function endpointAt(
  world: World,
  { tenant, network }: Pick<Packet, 'tenant' | 'network'>,
  address: Address,
): KnownEndpoint | undefined {
  const having = world.intents
    .filter((intent) => intent.kind === 'Network' && intent['tenant'] === tenant)
    .filter((intent) =>
      [intent['subnet'], intent['ipv6Subnet']].some(
        (subnet) => typeof subnet === 'string' && within(address, subnet),
      ),
    )
    .map((intent) => String(intent['name']));
  const [place, ...others] = having.includes(network) ? [network] : having;
  if (place === undefined || others.length > 0) return undefined;
  return ownEndpointAt(world, { tenant, network: place }, address);
}

const same = (a: Address, b: Address): boolean => a.family === b.family && a.value === b.value;

/** Whether the address is in a prefix, '10.1.0.0/16', or is it, '10.1.1.1'. */
export function within(address: Address, cidr: string): boolean {
  const [text = '', length] = cidr.split('/');
  const base = parseAddress(text);
  if (base.family !== address.family) return false;
  const bits = base.family === 4 ? 32 : 128;
  const free = BigInt(bits - Number(length ?? bits));
  return base.value >> free === address.value >> free;
}

/** '10.1.1.1' or 'fd00:1::a' */
export function parseAddress(text: string): Address {
  if (!text.includes(':')) {
    const parts = text.split('.').map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
      throw new Error(`${text} is no address`);
    }
    return { family: 4, value: parts.reduce((value, part) => value * 256n + BigInt(part), 0n) };
  }
  const [head = '', tail] = text.split('::');
  const groupsIn = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groupsIn(head), groupsIn(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  if (groups.length !== 8) throw new Error(`${text} is no address`);
  return { family: 6, value: groups.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n) };
}

/** As {@link parseAddress} reads it; IPv6 uncompressed. */
export function addressText({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  return value.toString(16).padStart(32, '0').match(/.{4}/g)?.join(':') ?? '';
}
