/**
 * What of a connection a service is about, as matches on its first packet: protocol and destination ports, or type and code of
 * ICMP, which connection tracking keeps where others have ports.
 *
 * The userspace datapath keeps no ports of SCTP (Open vSwitch 3.1: all SCTP between two addresses is one connection, with ports 0), so
 * SCTP packets are asked themselves: those of the first direction for where they go to, answers for where they come from.
 */
import type { Service } from '../../controller/model/facts.js';
import { CtState, F, type Match, oxm } from '../../ofproto/index.js';
import { ctState, valid } from '../conntrack.js';
import { ipv4, ipv6 } from '../match.js';
import { IpProtocol } from '../protocols.js';

/** Ports with these bits where the mask has ones. */
export interface PortMask {
  readonly value: number;
  readonly mask: number;
}

const PORTS = 65_536;
const ALL_BITS = PORTS - 1;

/** The fewest masks that match the ports from `first` to `last` and no others: at most 30. */
export function portMasks(first: number, last: number): readonly PortMask[] {
  const masks: PortMask[] = [];
  for (let port = first; port <= last; ) {
    let size = 1;
    while (size < PORTS && port % (size * 2) === 0 && port + size * 2 - 1 <= last) size *= 2;
    masks.push({ value: port, mask: ALL_BITS & ~(size - 1) });
    port += size;
  }
  return masks;
}

/** What services say of one protocol. */
interface OfProtocol {
  /** All of the protocol. */
  whole: boolean;
  readonly ports: { first: number; last: number }[];
  /** Codes by type; undefined: all codes. */
  readonly icmp: Map<number, Set<number> | undefined>;
}

/**
 * The matches that together are these services; each connection matches one at most. Ports that are only named are left out.
 * Empty for no services: the caller knows whether that means nothing or anything.
 */
export function serviceMatches(services: readonly Service[]): readonly Match[] {
  const protocols = new Map<number, OfProtocol>();
  for (const service of services) addService(protocols, service);
  return [...protocols]
    .sort(([a], [b]) => a - b)
    .flatMap(([protocol, what]) => {
      const whole = [...valid, oxm(F.ct_nw_proto, protocol)];
      if (what.whole) return [whole];
      const ports = united(what.ports).flatMap(({ first, last }) => portMasks(first, last));
      return [
        ...ports.flatMap((port) =>
          protocol === IpProtocol.sctp ? sctpMatches(port) : [[...whole, ...portMatch(F.ct_tp_dst, port)]],
        ),
        ...icmpMatches(what.icmp).map((match) => [...whole, ...match]),
      ];
    });
}

function addService(protocols: Map<number, OfProtocol>, service: Service): void {
  const { protocol, ports = [], portNames = [], icmpType, icmpCode } = service;
  let what = protocols.get(protocol);
  if (what === undefined) {
    what = { whole: false, ports: [], icmp: new Map() };
    protocols.set(protocol, what);
  }
  if (icmpType !== undefined) {
    const codes = what.icmp.get(icmpType);
    if (icmpCode === undefined || (codes === undefined && what.icmp.has(icmpType))) {
      what.icmp.set(icmpType, undefined);
    } else {
      what.icmp.set(icmpType, (codes ?? new Set()).add(icmpCode));
    }
  } else if (ports.length > 0) what.ports.push(...ports);
  else if (portNames.length === 0) what.whole = true;
}

function portMatch(field: typeof F.ct_tp_dst, { value, mask }: PortMask): Match {
  if (mask === 0) return [];
  return [mask === ALL_BITS ? oxm(field, value) : oxm(field, value, mask)];
}

function sctpMatches(port: PortMask): Match[] {
  const ways = [
    [ctState(CtState.TRACKED, CtState.INVALID | CtState.REPLY), F.sctp_dst],
    [ctState(CtState.TRACKED | CtState.REPLY, CtState.INVALID), F.sctp_src],
  ] as const;
  return [ipv4, ipv6].flatMap((family) =>
    ways.map(([state, field]) => [
      ...state,
      ...family,
      oxm(F.ip_proto, IpProtocol.sctp),
      ...portMatch(field, port),
    ]),
  );
}

function icmpMatches(types: OfProtocol['icmp']): Match[] {
  return [...types].flatMap(([type, codes]) => {
    const ofType = oxm(F.ct_tp_src, type);
    return codes === undefined ? [[ofType]] : [...codes].map((code) => [ofType, oxm(F.ct_tp_dst, code)]);
  });
}

/** Ranges without overlaps and neighbours, ascending. */
function united(ranges: readonly { first: number; last: number }[]): { first: number; last: number }[] {
  const result: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const previous = result.at(-1);
    if (previous === undefined || first > previous.last + 1) result.push({ first, last });
    else if (last > previous.last) previous.last = last;
  }
  return result;
}
