/** Matches by protocol, prerequisites included. */
import { F, type Match, oxm } from '../ofproto/index.js';
import { ArpOperation, EtherType, Icmpv6Type, IpProtocol } from './protocols.js';

export const arp: Match = [oxm(F.eth_type, EtherType.arp)];
export const arpRequest: Match = [...arp, oxm(F.arp_op, ArpOperation.request)];
export const ipv4: Match = [oxm(F.eth_type, EtherType.ipv4)];
export const ipv6: Match = [oxm(F.eth_type, EtherType.ipv6)];

export const igmp: Match = [...ipv4, oxm(F.ip_proto, IpProtocol.igmp)];

/** ICMPv6 of one type. */
export function icmpv6(type: number): Match {
  return [...ipv6, oxm(F.ip_proto, IpProtocol.icmpv6), oxm(F.icmpv6_type, type)];
}

export const neighbourSolicitation: Match = icmpv6(Icmpv6Type.neighbourSolicitation);
export const neighbourAdvertisement: Match = icmpv6(Icmpv6Type.neighbourAdvertisement);

/** UDP over the IP version of `ip`, from one port to another. */
export function udp(ip: Match, source: number, destination: number): Match {
  return [...ip, oxm(F.ip_proto, IpProtocol.udp), oxm(F.udp_src, source), oxm(F.udp_dst, destination)];
}

export function inPort(port: number): Match {
  return [oxm(F.in_port, port)];
}
