/** The prerequisites that the field tables refer to (OpenFlow 1.3.5, section 7.2.3.6, and ovs-fields(7)). */
import type { Prerequisite } from './field.js';

const ethType = (...values: number[]): Prerequisite => ({ field: 'eth_type', values });
const ipProtocol = (...values: number[]): Prerequisite => ({ field: 'ip_proto', values });

export const ANY_IP: readonly Prerequisite[] = [ethType(0x0800, 0x86dd)];
export const IPV4: readonly Prerequisite[] = [ethType(0x0800)];
export const IPV6: readonly Prerequisite[] = [ethType(0x86dd)];
export const ARP: readonly Prerequisite[] = [ethType(0x0806, 0x8035)];
export const MPLS: readonly Prerequisite[] = [ethType(0x8847, 0x8848)];
export const PBB: readonly Prerequisite[] = [ethType(0x88e7)];
export const NSH: readonly Prerequisite[] = [ethType(0x894f)];
export const VLAN: readonly Prerequisite[] = [{ field: 'vlan_vid', values: [0x1000], mask: 0x1000 }];
export const TCP: readonly Prerequisite[] = [...ANY_IP, ipProtocol(6)];
export const UDP: readonly Prerequisite[] = [...ANY_IP, ipProtocol(17)];
export const SCTP: readonly Prerequisite[] = [...ANY_IP, ipProtocol(132)];
export const ICMPV4: readonly Prerequisite[] = [...IPV4, ipProtocol(1)];
export const ICMPV6: readonly Prerequisite[] = [...IPV6, ipProtocol(58)];
const icmpv6Type = (...values: number[]): Prerequisite => ({ field: 'icmpv6_type', values });
export const NEIGHBOUR_DISCOVERY: readonly Prerequisite[] = [...ICMPV6, icmpv6Type(135, 136)];
export const NEIGHBOUR_SOLICITATION: readonly Prerequisite[] = [...ICMPV6, icmpv6Type(135)];
export const NEIGHBOUR_ADVERTISEMENT: readonly Prerequisite[] = [...ICMPV6, icmpv6Type(136)];
/**
 * The original tuple of a tracked packet. Open vSwitch wants one more bit: `-inv`, or one of those that only valid
 * connections have (`+new`, `+est`, `+rel`, `+rpl`, `+snat`, `+dnat`).
 */
export const TRACKED: readonly Prerequisite[] = [{ field: 'ct_state', values: [0x20], mask: 0x20 }];
