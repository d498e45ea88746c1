/** What is to be traced through the fabric: from a request in words to a frame and where it comes in, or to a refusal with a fix. */
import { F, VLAN_PRESENT } from '../../../ofproto/index.js';
import type { Collection } from '../../derive/index.js';
import { formatMac, parseIpv4, parseIpv6, parseMac } from '../../model/address.js';
import type {
  DatapathId,
  FabricPortFact,
  HostFact,
  LinkFact,
  PortFact,
  StationFact,
} from '../../model/facts.js';
import { TraceError } from '../error.js';
import type { Packet } from '../packet.js';
import { OUTSIDE_MAC } from '../probe.js';
import { EtherType, IcmpEcho, IpProtocol } from '../protocols.js';
import { broadcastOrGroupMac, GROUP_BIT } from '../to-many.js';
import type { FabricTraceRequest } from './report.js';

/** What is read of the fabric. */
export interface FabricTraceFacts {
  readonly hosts: Collection<HostFact>;
  readonly ports: Collection<Omit<PortFact, 'host'>>;
  readonly fabricPorts: Collection<FabricPortFact>;
  readonly links: Collection<LinkFact>;
  readonly stations: Collection<StationFact>;
}

/** The MAC address of the station that was heard to use an IP address; undefined: none was. */
export type MacOf = (address: { readonly family: 4 | 6; readonly bits: bigint }) => number | undefined;

/** A port of a fabric switch. */
export interface FabricPlace {
  readonly datapathId: DatapathId;
  readonly port: number;
}

export interface FabricParty {
  readonly mac: number;
  readonly address?: { readonly family: 4 | 6; readonly bits: bigint; readonly text: string };
  /** Where it is; absent: nobody knows, or it is a group. */
  readonly place?: FabricPlace;
}

export interface FabricProbe {
  readonly vlan: number;
  readonly from: FabricParty & { readonly place: FabricPlace };
  readonly to: FabricParty;
  /** Whether it is for many. */
  readonly toMany: boolean;
  readonly first: Packet;
  /** The answer; absent where there is none. */
  readonly answer?: Packet;
}

export const MAX_VLAN = 4095;
const TTL = 64;

/** @throws TraceError */
export function fabricProbeOf(
  request: FabricTraceRequest,
  facts: FabricTraceFacts,
  macOf: MacOf,
): FabricProbe {
  if (facts.hosts.size === 0) {
    throw new TraceError('trace.fabric.none', 'there are no fabric switches: none that no agent claims', {
      fix: 'name endpoints (TENANT/NETWORK/ENDPOINT), or see "weft get fabric"',
    });
  }
  const place = placeOf(request, facts);
  const from = request.from === undefined ? undefined : partyOf('from', request.from, macOf);
  const to = partyOf('to', request.to, macOf);
  const vlan = request.vlan ?? vlanOf(from, to, facts);
  const sender = {
    ...(from ?? { mac: macAt(place, vlan, facts) }),
    place: place ?? homeOf(from, vlan, facts),
  };
  const toMany = isGroup(to.mac);
  const home = toMany ? undefined : facts.stations.get(stationKey(vlan, to.mac));
  const receiver = home === undefined ? to : { ...to, place: placeIn(home) };
  const answers = !toMany && home !== undefined;
  return {
    vlan,
    from: sender,
    to: receiver,
    toMany,
    first: frame(sender, receiver, vlan, IcmpEcho.v4.request, IcmpEcho.v6.request),
    ...(answers ? { answer: frame(receiver, sender, vlan, IcmpEcho.v4.reply, IcmpEcho.v6.reply) } : {}),
  };
}

export function stationKey(vlan: number, mac: number): string {
  return `${vlan}/${mac.toString(16).padStart(12, '0')}`;
}

const placeIn = ({ datapathId, port }: StationFact): FabricPlace => ({ datapathId, port });

const isGroup = (mac: number): boolean => (BigInt(mac) & GROUP_BIT) !== 0n;

function partyOf(side: 'from' | 'to', text: string, macOf: MacOf): FabricParty {
  const mac = parseMac(text);
  if (mac !== undefined) {
    if (side === 'to' || !isGroup(mac)) return { mac };
    throw new TraceError('trace.from.group', `${text} is the address of a group, which sends nothing`, {
      path: side,
      fix: 'name the station that sends',
    });
  }
  const [v4, v6] = [parseIpv4(text), parseIpv6(text)];
  if (v4 === undefined && v6 === undefined) {
    throw new TraceError('trace.party.syntax', `'${text}' is neither a MAC address nor an IP address`, {
      path: side,
      fix: 'write a MAC address (02:00:00:00:00:01), or an IPv4 or IPv6 address; "weft get fabric" lists stations',
    });
  }
  const address = { family: v4 === undefined ? 6 : 4, bits: BigInt(v4 ?? v6 ?? 0), text } as const;
  const group = broadcastOrGroupMac(address);
  if (group !== undefined && side === 'to') return { mac: group, address };
  const known = macOf(address);
  if (known !== undefined) return { mac: known, address };
  throw new TraceError('trace.fabric.address-unknown', `no station has been heard to use ${text}`, {
    path: side,
    fix: 'name it by its MAC address ("weft get fabric" lists stations); an endpoint of a network by TENANT/NETWORK/ENDPOINT',
  });
}

function placeOf(request: FabricTraceRequest, facts: FabricTraceFacts): FabricPlace | undefined {
  const { switch: name, inPort } = request;
  if (name === undefined && inPort === undefined) {
    if (request.from !== undefined) return undefined;
    throw new TraceError('trace.fabric.from-missing', 'where the frame comes from is not said', {
      path: 'from',
      fix: 'name a station with "from", or a port with "switch" and "inPort"',
    });
  }
  if (name === undefined || inPort === undefined) {
    throw new TraceError('trace.fabric.port-incomplete', 'a port is named by its switch and its number', {
      path: name === undefined ? 'switch' : 'inPort',
      fix: 'give both, or neither',
    });
  }
  const datapathId = name.toLowerCase().replace(/^0x/, '').padStart(16, '0');
  if (facts.hosts.get(datapathId) === undefined) {
    throw new TraceError('object.unknown', `there is no fabric switch ${name}`, {
      path: 'switch',
      fix: 'list them with "weft get fabric"',
    });
  }
  for (const [, port] of facts.ports.entries()) {
    if (port.datapathId === datapathId && port.number === inPort) return { datapathId, port: inPort };
  }
  throw new TraceError('object.unknown', `switch ${name} has no port ${inPort}`, {
    path: 'inPort',
    fix: `list its ports with "weft get fabric ${name}"`,
  });
}

/** The VLAN where both are known, or one. */
function vlanOf(from: FabricParty | undefined, to: FabricParty, facts: FabricTraceFacts): number {
  const known = (party: FabricParty | undefined): Set<number> =>
    new Set([...facts.stations.entries()].flatMap(([, { mac, vlan }]) => (mac === party?.mac ? [vlan] : [])));
  const [senders, receivers] = [known(from), known(to)];
  const both = [...senders].filter((vlan) => receivers.has(vlan));
  const either = both.length > 0 ? both : [...(senders.size > 0 ? senders : receivers)];
  if (either.length > 1) {
    throw new TraceError(
      'trace.fabric.vlan-ambiguous',
      `the stations are known in several VLANs: ${either.sort((a, b) => a - b).join(', ')}`,
      { path: 'vlan', fix: 'say which: --vlan; 0 is without a tag' },
    );
  }
  return either[0] ?? 0;
}

function homeOf(from: FabricParty | undefined, vlan: number, facts: FabricTraceFacts): FabricPlace {
  const station = from === undefined ? undefined : facts.stations.get(stationKey(vlan, from.mac));
  if (station !== undefined) return placeIn(station);
  const name = from === undefined ? '' : formatMac(from.mac);
  throw new TraceError(
    'trace.fabric.station-unknown',
    `no station ${name} is known ${vlan === 0 ? 'without a VLAN tag' : `in VLAN ${vlan}`}`,
    {
      path: 'from',
      fix: 'list stations with "weft get fabric", or say where the frame comes in: "switch" and "inPort"',
    },
  );
}

/** Somebody at that port. */
function macAt(place: FabricPlace | undefined, vlan: number, { stations }: FabricTraceFacts): number {
  for (const [, station] of stations.entries()) {
    if (station.datapathId === place?.datapathId && station.port === place.port && station.vlan === vlan)
      return station.mac;
  }
  return OUTSIDE_MAC;
}

/** An echo request or its answer where an IP address is named, else a frame that nothing but its addresses is known of. */
function frame(from: FabricParty, to: FabricParty, vlan: number, icmp4: number, icmp6: number): Packet {
  const fields = new Map<string, bigint>([
    [F.eth_src.name, BigInt(from.mac)],
    [F.eth_dst.name, BigInt(to.mac)],
  ]);
  if (vlan !== 0) fields.set(F.vlan_vid.name, BigInt(VLAN_PRESENT | vlan));
  const family = to.address?.family ?? from.address?.family;
  if (family === undefined) return fields.set(F.eth_type.name, BigInt(EtherType.experimental));
  const isIpv6 = family === 6;
  fields.set(F.eth_type.name, BigInt(isIpv6 ? EtherType.ipv6 : EtherType.ipv4));
  const addressed = (field: string, { address }: FabricParty): void => {
    if (address?.family === family) fields.set(field, address.bits);
  };
  addressed((isIpv6 ? F.ipv6_src : F.ipv4_src).name, from);
  addressed((isIpv6 ? F.ipv6_dst : F.ipv4_dst).name, to);
  return fields
    .set(F.ip_proto.name, BigInt(isIpv6 ? IpProtocol.icmpv6 : IpProtocol.icmp))
    .set((isIpv6 ? F.icmpv6_type : F.icmpv4_type).name, BigInt(isIpv6 ? icmp6 : icmp4))
    .set(F.nw_ttl.name, BigInt(TTL));
}
