/**
 * What nftables holds on a host with Linux bridges: two tables named `weft`. Their chains never change; what does is in their sets and
 * maps, and in chains and sets whose names are made of what is in them, so that what is there under a name is right.
 *
 * `bridge weft` sees frames as they come from an endpoint, and before they go to one: whoever sends with addresses that are not its own is
 * stopped there. `inet weft` sees the IP packets of bridges with `nf_call_iptables` (br_netfilter), which is where connections are
 * tracked: the kernel's connection tracking for bridges themselves (nf_conntrack_bridge) is missing in many. Rules ask for the addresses and
 * ports of the packet that began the connection, for packets of both directions, so that a changed rule holds at once for connections
 * that stand.
 */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { MemberRow, NetworkRow, SubjectRow } from './table.js';

/** Grows with every change of {@link SKELETON}. */
export const SKELETON_CHAIN = 'skeleton-1';

const NEIGHBOURS_AND_MEMBERSHIP =
  '{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect, ' +
  'mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }';

/** Sets and maps of the skeleton, by `<family> <name>`; the policy is that of what is not in them. */
export const COLLECTIONS = [
  /** Ports of our bridges: nothing that comes from one is for the host. */
  'bridge members',
  /** Ports of endpoints. */
  'bridge ports',
  /** Ports of endpoints that are judged for what they receive. */
  'bridge receivers',
  'bridge macs',
  /** Tunnel port and MAC of an endpoint of this host. */
  'bridge strangers',
  'bridge addresses4',
  'bridge addresses6',
  'inet zones',
  'inet bridges',
  'inet judged4',
  'inet judged6',
  'inet out4',
  'inet in4',
  'inet out6',
  'inet in6',
  'inet vteps4',
  'inet vteps6',
  'inet local4',
  'inet local6',
] as const;
export type CollectionName = (typeof COLLECTIONS)[number];

export const SKELETON = `
table bridge weft {
  set members { type ifname; }
  set ports { type ifname; }
  set receivers { type ifname; }
  set macs { type ifname . ether_addr; }
  set strangers { type ifname . ether_addr; }
  set addresses4 { type ifname . ipv4_addr; }
  set addresses6 { type ifname . ipv6_addr; }
  chain ${SKELETON_CHAIN} { }
  chain sent_arp {
    iifname . arp saddr ether != @macs drop
    arp operation request arp saddr ip 0.0.0.0 return
    iifname . arp saddr ip != @addresses4 drop
  }
  chain sent_ip {
    ip protocol igmp @th,0,8 0x11 drop
    udp sport 67 drop
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 return
    iifname . ip saddr != @addresses4 drop
  }
  chain sent_ip6 {
    icmpv6 type { mld-listener-query, nd-router-advert, nd-redirect } drop
    udp sport 547 drop
    ip6 saddr :: icmpv6 type { nd-router-solicit, nd-neighbor-solicit, mld-listener-report, mld2-listener-report } return
    iifname . ip6 saddr != @addresses6 drop
  }
  chain sent {
    iifname . ether saddr != @macs drop
    ether type { 8021q, 8021ad } drop
    ether type vmap { arp : jump sent_arp, ip : jump sent_ip, ip6 : jump sent_ip6 }
  }
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    iifname @ports jump sent
    iifname . ether saddr @strangers drop
  }
  chain received {
    ether type != { ip, ip6 } return
    ip protocol igmp return
    icmpv6 type ${NEIGHBOURS_AND_MEMBERSHIP} return
    ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop
    ether type ip oifname . ip daddr != @addresses4 drop
    ether type ip6 oifname . ip6 daddr != @addresses6 drop
  }
  chain forward {
    type filter hook forward priority -200; policy accept;
    oifname @receivers jump received
  }
  chain input {
    type filter hook input priority -200; policy accept;
    iifname @members drop
  }
}
table inet weft {
  map zones { typeof iifname : ct zone; }
  set bridges { type ifname; }
  set judged4 { type ifname . ipv4_addr; }
  set judged6 { type ifname . ipv6_addr; }
  map out4 { type ifname . ipv4_addr : verdict; }
  map in4 { type ifname . ipv4_addr : verdict; }
  map out6 { type ifname . ipv6_addr : verdict; }
  map in6 { type ifname . ipv6_addr : verdict; }
  set vteps4 { type ipv4_addr; }
  set vteps6 { type ipv6_addr; }
  set local4 { type ipv4_addr; }
  set local6 { type ipv6_addr; }
  chain ${SKELETON_CHAIN} { }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    ct zone set iifname map @zones
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname != @bridges accept
    icmpv6 type ${NEIGHBOURS_AND_MEMBERSHIP} accept
    ip protocol igmp accept
    ct state invalid,untracked iifname . ip saddr @judged4 drop
    ct state invalid,untracked iifname . ip daddr @judged4 drop
    ct state invalid,untracked iifname . ip6 saddr @judged6 drop
    ct state invalid,untracked iifname . ip6 daddr @judged6 drop
    meta l4proto { icmp, ipv6-icmp } ct state related accept
    iifname . ct original ip saddr vmap @out4
    iifname . ct original ip daddr vmap @in4
    iifname . ct original ip6 saddr vmap @out6
    iifname . ct original ip6 daddr vmap @in6
  }
  chain tunnel {
    type filter hook input priority filter; policy accept;
    ip daddr @local4 udp dport 4789 ip saddr != @vteps4 drop
    ip6 daddr @local6 udp dport 4789 ip6 saddr != @vteps6 drop
  }
}
`;

const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;
const HAVE_PORTS: readonly number[] = [IP_PROTOCOL.tcp, IP_PROTOCOL.udp, IP_PROTOCOL.sctp];

/** Types of ICMP that answer others (RFC 792, RFC 950, RFC 4443). */
const ICMP_ANSWERS: Readonly<Record<number, number>> = { 8: 0, 13: 14, 15: 16, 17: 18 };
const ICMPV6_ANSWERS: Readonly<Record<number, number>> = { 128: 129 };

/** A chain or a set of `inet weft` whose name is made of what is in it. */
export interface Named {
  readonly name: string;
  /** Rules of a chain, in order. */
  readonly rules?: readonly string[];
  /** Of a set: its type, and elements that never change. */
  readonly type?: string;
  readonly elements?: readonly string[];
}

/** Classes of the other end in one network, as sets of the families that have members. */
export interface ClassSets {
  /** Name of the set of addresses of a class; undefined: nobody of the family is in it. */
  addresses(name: string, family: 4 | 6): string | undefined;
  /** Name of the set of addresses and ports of a class of named ports. */
  ports(name: string, family: 4 | 6): string | undefined;
}

export function hashed(prefix: string, content: readonly string[]): string {
  return `${prefix}-${createHash('sha256').update(content.join('\n')).digest('hex').slice(0, 16)}`;
}

/** The rules of a subject in one network, as a chain: `return` lets pass, the first that matches decides. */
export function subjectChain(
  { direction, default: byDefault, rules }: SubjectRow,
  classes: ClassSets,
): Named {
  const lines: string[] = [];
  for (const rule of rules) {
    const verdict = rule.action === 'allow' ? 'return' : 'drop';
    // Answers need a rule of their own.
    const oneWay = rule.stateless && rule.action === 'allow' ? ['ct direction original'] : [];
    const services = rule.services.length === 0 ? [undefined] : rule.services;
    for (const family of [4, 6] as const) {
      const peers = peerMatches(rule.peers, direction, family, classes);
      for (const peer of peers)
        for (const service of services)
          for (const match of service === undefined ? [[]] : serviceMatches(service, family, classes))
            lines.push(
              [
                family === 4 ? 'meta nfproto ipv4' : 'meta nfproto ipv6',
                ...oneWay,
                ...peer,
                ...match,
                verdict,
              ].join(' '),
            );
    }
  }
  const all = [...lines, byDefault === 'allow' ? 'return' : 'drop'];
  return { name: hashed('s', all), rules: all };
}

type Words = readonly string[];

function peerMatches(
  peers: readonly string[],
  direction: SubjectRow['direction'],
  family: 4 | 6,
  classes: ClassSets,
): readonly Words[] {
  if (peers.length === 0) return [[]];
  const end = direction === 'in' ? 'saddr' : 'daddr';
  return peers.flatMap((name) => {
    const set = classes.addresses(name, family);
    return set === undefined ? [] : [[`ct original ${family === 4 ? 'ip' : 'ip6'} ${end} @${set}`]];
  });
}

type Service = SubjectRow['rules'][number]['services'][number];

function serviceMatches(service: Service, family: 4 | 6, classes: ClassSets): readonly Words[] {
  const { protocol, ports, portClass, icmpType } = service;
  if (icmpType !== undefined) return icmpMatches(service, icmpType, family);
  const ofProtocol = `meta l4proto ${protocol}`;
  if (portClass !== undefined) {
    const set = classes.ports(portClass, family);
    const address = family === 4 ? 'ip' : 'ip6';
    return set === undefined
      ? []
      : [[ofProtocol, `ct original ${address} daddr . ct original proto-dst @${set}`]];
  }
  if (ports === undefined) return [[ofProtocol]];
  if (!HAVE_PORTS.includes(protocol)) return [];
  const elements = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return [[ofProtocol, `ct original proto-dst { ${[...new Set(elements)].join(', ')} }`]];
}

/** A connection of ICMP begins with a question; the answers to it have a type of their own. */
function icmpMatches({ protocol, icmpCode }: Service, type: number, family: 4 | 6): readonly Words[] {
  const ofFamily = family === 4 ? IP_PROTOCOL.icmp : IP_PROTOCOL.icmpv6;
  if (protocol !== ofFamily) return [];
  const keyword = family === 4 ? 'icmp' : 'icmpv6';
  const answer = (family === 4 ? ICMP_ANSWERS : ICMPV6_ANSWERS)[type];
  const code = icmpCode === undefined ? [] : [`${keyword} code ${icmpCode}`];
  return [
    [`meta l4proto ${protocol}`, 'ct direction original', `${keyword} type ${type}`, ...code],
    ...(answer === undefined
      ? []
      : [[`meta l4proto ${protocol}`, 'ct direction reply', `${keyword} type ${answer}`]]),
  ];
}

/** Addresses of a network's endpoints and of others that are in a class; what is of other networks must not be of this one's subnets. */
export function memberAddresses(members: readonly MemberRow[], network: NetworkRow): readonly string[] {
  return members.flatMap(({ network: of, addresses }) =>
    of === network.network
      ? addresses
      : addresses.filter(
          (address) => !isLinkLocal(address) && !network.subnets.some((subnet) => isWithin(address, subnet)),
        ),
  );
}

function isLinkLocal(address: string): boolean {
  return isIPv6(address) && isWithin(address, 'fe80::/10');
}

function isWithin(address: string, subnet: string): boolean {
  const [base = '', length = '0'] = subnet.split('/');
  if (isIPv6(address) !== isIPv6(base)) return false;
  const bits = isIPv6(address) ? 128 : 32;
  const rest = BigInt(bits - Number(length));
  return addressNumber(address) >> rest === addressNumber(base) >> rest;
}

export function addressNumber(text: string): bigint {
  if (!isIPv6(text)) return text.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const filled =
    tail === undefined
      ? before
      : [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return filled.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}
