/** Policies at random, and questions at random that have a chance to meet their rules. The same seed gives the same. */
import {
  type Address,
  type Intent,
  parseAddress,
  type PeerIntent,
  type PolicyIntent,
  type RuleIntent,
  type SelectorIntent,
  within,
} from './evaluator.js';
import { Protocol } from './packets.js';

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0, below `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(part: number): boolean {
    return this.below(1000) < part * 1000;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** From `least` to `most` of the list, each once. */
  some<T>(list: readonly T[], least: number, most: number): T[] {
    const count = least + this.below(most - least + 1);
    const left = [...list];
    return Array.from(
      { length: Math.min(count, left.length) },
      () => left.splice(this.below(left.length), 1)[0]!,
    );
  }
}

/** What the policies may be about. */
export interface Ground {
  readonly tenant: string;
  readonly networks: readonly string[];
  /** `<network>/<endpoint>` */
  readonly endpoints: readonly string[];
  readonly labels: Readonly<Record<string, readonly string[]>>;
  readonly portNames: readonly string[];
  /** Blocks of addresses in which there is somebody. */
  readonly blocks4: readonly string[];
  readonly blocks6: readonly string[];
}

/** Ports that rules are about; packets go to them and to their neighbours. */
const PORTS = [22, 53, 80, 81, 443, 1000, 1023, 8000, 8010, 65_535] as const;
const RANGES = ['1-1023', '80-81', '8000-8010', '7999-8191', '1024-65535', '53-80', '440-447'] as const;
const NAMES = ['one', 'two', 'three', 'four'] as const;

/** Groups, address sets, tiers and policies of a tenant. */
export function randomPolicies(random: Random, ground: Ground): Intent[] {
  const { tenant } = ground;
  const sets = random.some(['odd', 'even'], 0, 2).map((name) => ({
    kind: 'AddressSet',
    tenant,
    name,
    addresses: [...random.some(ground.blocks4, 1, 2), ...random.some(ground.blocks6, 1, 2)],
    except: random.some([...ground.blocks4, ...ground.blocks6], 0, 2),
  }));
  const tiers = random.some(['top', 'low'], 0, 2).map((name) => ({
    kind: 'Tier',
    name,
    priority: name === 'top' ? 11 + random.below(20) : 1 + random.below(9),
  }));
  const names = {
    groups: NAMES.slice(0, 1 + random.below(NAMES.length)),
    sets: sets.map(({ name }) => name),
  };
  const policies = random.some(['p', 'q', 'r'], 1, 3).map((name) =>
    randomPolicy(
      random,
      ground,
      name,
      names,
      tiers.map((tier) => tier.name),
    ),
  );
  const groups = names.groups.map((name) => ({
    kind: 'Group',
    tenant,
    name,
    ...(random.chance(0.5) ? { endpoints: random.some(ground.endpoints, 1, 5) } : {}),
    ...(random.chance(0.3) ? { networks: random.some(ground.networks, 1, 2) } : {}),
    ...(random.chance(0.6) ? { selector: randomSelector(random, ground) } : {}),
    policies: random.some(
      policies.map((policy) => policy.name),
      0,
      2,
    ),
  }));
  const defaultAction = random.chance(0.3) ? 'deny' : 'allow';
  return [
    { kind: 'Tenant', name: tenant, defaultAction },
    ...sets,
    ...tiers,
    ...policies.map((policy) => ({ ...policy })),
    ...groups,
  ];
}

function randomSelector(random: Random, { labels }: Ground): SelectorIntent {
  const keys = Object.keys(labels);
  const matchLabels = random.some(keys, 0, 1).map((key) => [key, random.pick(labels[key] ?? [''])] as const);
  const matchExpressions = random.some(keys, 0, 2).map((key) => {
    const operator = random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist'] as const);
    if (operator === 'Exists' || operator === 'DoesNotExist') return { key, operator };
    return { key, operator, values: random.some(labels[key] ?? [''], 1, 2) };
  });
  return {
    ...(matchLabels.length === 0 ? {} : { matchLabels: Object.fromEntries(matchLabels) }),
    ...(matchExpressions.length === 0 ? {} : { matchExpressions }),
  };
}

interface Names {
  readonly groups: readonly string[];
  readonly sets: readonly string[];
}

function randomPolicy(
  random: Random,
  ground: Ground,
  name: string,
  names: Names,
  tiers: readonly string[],
): PolicyIntent {
  const said = (): 'allow' | 'deny' | undefined => random.pick(['allow', 'deny', 'deny', undefined]);
  const [defaultIn, defaultOut] = [said(), said()];
  return {
    kind: 'Policy',
    tenant: ground.tenant,
    name,
    ...(tiers.length > 0 && random.chance(0.4) ? { tier: random.pick(tiers) } : {}),
    ...(defaultIn === undefined ? {} : { defaultIn }),
    ...(defaultOut === undefined ? {} : { defaultOut }),
    rules: Array.from({ length: 1 + random.below(7) }, (_, index) =>
      randomRule(random, ground, `r${index}`, names),
    ),
  };
}

function randomRule(random: Random, ground: Ground, name: string, names: Names): RuleIntent {
  const direction = random.pick(['in', 'out'] as const);
  const protocol = random.pick(['tcp', 'tcp', 'tcp', 'udp', 'udp', 'sctp', 'icmp', 'icmpv6', 47, undefined]);
  // A rule about ICMP of one family has no peers of the other: it is refused.
  const blocks =
    protocol === 'icmp'
      ? ground.blocks4
      : protocol === 'icmpv6'
        ? ground.blocks6
        : random.pick([ground.blocks4, ground.blocks6]);
  const peers = random.chance(0.25)
    ? []
    : Array.from({ length: 1 + random.below(3) }, () => randomPeer(random, ground, names, blocks));
  const ports =
    typeof protocol === 'string' && ['tcp', 'udp', 'sctp'].includes(protocol) && random.chance(0.8);
  const names_ = protocol === 'tcp' ? ground.portNames : [];
  const type = protocol === 'icmp' ? random.pick([8, 13]) : 128;
  return {
    name,
    direction,
    action: random.pick(['allow', 'allow', 'allow', 'deny', 'deny', 'reject']),
    priority: random.pick([1, 1, 2, 5, 50, 100]),
    ...(peers.length === 0 ? {} : direction === 'in' ? { from: peers } : { to: peers }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(ports ? { ports: random.some([...PORTS, ...RANGES, ...names_], 1, 5) } : {}),
    ...(direction === 'in' && random.chance(0.25) ? { groupAddresses: randomChannels(random) } : {}),
    ...(String(protocol).startsWith('icmp') && random.chance(0.6) ? { icmpType: type } : {}),
  };
}

/** Multicast groups that rules name, from the widest to the narrowest. */
const CHANNELS4 = ['239.0.0.0/8', '239.1.0.0/16', '239.1.1.0/24', '239.1.1.5'] as const;
const CHANNELS6 = ['ff15::/16', 'ff15::1:0/112', 'ff15::1:5'] as const;

/** Of both families: a rule about another one than its peers is refused. */
function randomChannels(random: Random): NonNullable<RuleIntent['groupAddresses']> {
  const at = random.below(3);
  const exception = random.pick(CHANNELS4.slice(at + 1));
  return [
    { cidr: CHANNELS4[at]!, ...(random.chance(0.5) ? { except: [exception] } : {}) },
    { cidr: random.pick(CHANNELS6) },
  ];
}

/** A multicast group near those that rules name, and its MAC address (RFC 1112 section 6.4, RFC 2464 section 7). */
export function randomChannel(random: Random, family: 4 | 6): { address: Address; mac: number } {
  const group = random.pick(
    family === 4
      ? ['239.1.1.5', '239.1.1.6', '239.1.2.5', '239.2.1.5', '238.1.1.5']
      : ['ff15::1:5', 'ff15::1:6', 'ff15::2:5', 'ff18::1:5'],
  );
  const address = parseAddress(group);
  const low = Number(address.value & (family === 4 ? 0x7f_ffffn : 0xffff_ffffn));
  return { address, mac: (family === 4 ? 0x0100_5e00_0000 : 0x3333_0000_0000) + low };
}

function randomPeer(random: Random, ground: Ground, names: Names, blocks: readonly string[]): PeerIntent {
  switch (random.below(6)) {
    case 0:
      return { network: random.pick(ground.networks) };
    case 1:
      if (names.sets.length > 0) return { addressSet: random.pick(names.sets) };
      return { group: random.pick(names.groups) };
    case 2: {
      const cidr = random.pick(blocks);
      const inside = blocks.filter(
        (block) => lengthOf(block) > lengthOf(cidr) && within(parseAddress(block.split('/')[0] ?? ''), cidr),
      );
      return {
        cidr,
        ...(inside.length > 0 && random.chance(0.6) ? { except: random.some(inside, 1, 2) } : {}),
      };
    }
    default:
      return { group: random.pick(names.groups) };
  }
}

const lengthOf = (cidr: string): number => Number(cidr.split('/')[1] ?? (cidr.includes(':') ? 128 : 32));

/** Protocol and ports (ICMP: type and code) of a connection. */
export function randomService(
  random: Random,
  family: 4 | 6,
): { readonly protocol: number; readonly tpSource: number; readonly tpDestination: number } {
  const protocol = random.pick([
    Protocol.tcp,
    Protocol.tcp,
    Protocol.udp,
    Protocol.udp,
    Protocol.sctp,
    Protocol.icmp,
    47,
  ]);
  if (protocol === Protocol.icmp) {
    if (family === 6) return { protocol: Protocol.icmpv6, tpSource: 128, tpDestination: 0 };
    return { protocol, tpSource: random.pick([8, 13]), tpDestination: 0 };
  }
  if (protocol === 47) return { protocol, tpSource: 0, tpDestination: 0 };
  const near = random.pick([...PORTS, 1, 8005, 8191]) + random.pick([-1, 0, 0, 0, 1]);
  return {
    protocol,
    tpSource: 1024 + random.below(60_000),
    tpDestination: Math.min(65_535, Math.max(1, near)),
  };
}
