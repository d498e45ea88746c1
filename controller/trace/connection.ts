/** What connection tracking says of a packet, where the connection is given and not looked up. */
import { CtState, F } from '../../ofproto/index.js';
import type { Track } from './execute.js';
import type { Packet } from './packet.js';
import { EtherType, IpProtocol } from './protocols.js';

/**
 * Source and destination port of a packet, by protocol; for ICMP its type and code, as Open vSwitch has it. (Its userspace datapath of 3.1
 * keeps no ports of SCTP; the kernel does. Entries that ask for them decide by the packet's own.)
 */
const TRANSPORT: Readonly<Record<number, readonly [string, string] | undefined>> = {
  [IpProtocol.icmp]: [F.icmpv4_type.name, F.icmpv4_code.name],
  [IpProtocol.tcp]: [F.tcp_src.name, F.tcp_dst.name],
  [IpProtocol.udp]: [F.udp_src.name, F.udp_dst.name],
  [IpProtocol.icmpv6]: [F.icmpv6_type.name, F.icmpv6_code.name],
  [IpProtocol.sctp]: [F.sctp_src.name, F.sctp_dst.name],
};

/** Addresses, protocol and ports of a packet, as the `ct_` fields have them for a connection that it begins. */
export function originalTuple(packet: Packet): Packet {
  const tuple = new Map<string, bigint>();
  const copy = (from: string, to: string): void => void tuple.set(to, packet.get(from) ?? 0n);
  const isIpv6 = packet.get(F.eth_type.name) === BigInt(EtherType.ipv6);
  copy(isIpv6 ? F.ipv6_src.name : F.ipv4_src.name, isIpv6 ? F.ct_ipv6_src.name : F.ct_nw_src.name);
  copy(isIpv6 ? F.ipv6_dst.name : F.ipv4_dst.name, isIpv6 ? F.ct_ipv6_dst.name : F.ct_nw_dst.name);
  copy(F.ip_proto.name, F.ct_nw_proto.name);
  const [source, destination] = TRANSPORT[Number(packet.get(F.ip_proto.name) ?? 0n)] ?? [];
  if (source !== undefined && destination !== undefined) {
    copy(source, F.ct_tp_src.name);
    copy(destination, F.ct_tp_dst.name);
  }
  return tuple;
}

/** Every packet begins a connection of its own. */
export const asNew: Track = (packet) => tracked(CtState.NEW, originalTuple(packet));

/**
 * A packet of the connection that `first` began.
 * @param state `CtState` bits, such as ESTABLISHED | REPLY; TRACKED goes without saying
 */
export function asPartOf(first: Packet, state: number): Track {
  const fields = tracked(state, originalTuple(first));
  return () => fields;
}

/** Neither of a connection nor beginning one. */
export const asInvalid: Track = () => tracked(CtState.INVALID, new Map());

function tracked(state: number, tuple: Packet): Packet {
  return new Map(tuple).set(F.ct_state.name, BigInt(CtState.TRACKED | state));
}
