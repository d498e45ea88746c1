/** Numbers of the protocols that entries match, and addresses with a meaning of their own. */

/** IEEE 802 registration of EtherTypes. */
export const EtherType = {
  ipv4: 0x0800,
  arp: 0x0806,
  rarp: 0x8035,
  vlan: 0x8100,
  ipv6: 0x86dd,
  serviceVlan: 0x88a8,
  lldp: 0x88cc,
} as const;

export const IpProtocol = { igmp: 2, tcp: 6, udp: 17, icmpv6: 58, pim: 103, sctp: 132 } as const;

/** Operations of ARP (RFC 826). */
export const ArpOperation = { request: 1, reply: 2 } as const;

/** Types of ICMPv6 (RFC 4861, 2710, 3810). */
export const Icmpv6Type = {
  multicastListenerQuery: 130,
  multicastListenerReport: 131,
  multicastListenerDone: 132,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighbourSolicitation: 135,
  neighbourAdvertisement: 136,
  redirect: 137,
  multicastListenerReportV2: 143,
} as const;

/** UDP ports of DNS (RFC 1035; TCP has the same), DHCP (RFC 2131) and DHCPv6 (RFC 8415). */
export const UdpPort = {
  domain: 53,
  dhcpServer: 67,
  dhcpClient: 68,
  dhcpv6Client: 546,
  dhcpv6Server: 547,
} as const;

/** 255.255.255.255 */
export const IPV4_BROADCAST = 0xffffffff;
/** 224.0.0.1, where general queries of IGMP go. */
export const ALL_HOSTS = 0xe0000001;
/** 224.0.0.13 and ff02::d (RFC 7761, section 4.3). */
export const ALL_PIM_ROUTERS = 0xe000000d;
export const ALL_PIM_ROUTERS_IPV6 = (0xff02n << 112n) | 0xdn;
export const MAC_BROADCAST = 0xffffffffffff;
/** The bit of a MAC address that makes it one of a group: multicast or broadcast. */
export const MAC_GROUP_BIT = 0x010000000000;
/** 01:80:c2:00:00:00 to 0f: what bridges do not forward (IEEE 802.1Q, table 8-1): spanning tree, LLDP, pause, 802.1X. */
export const MAC_BRIDGE_RESERVED = 0x0180c2000000;
export const MAC_BRIDGE_RESERVED_MASK = 0xfffffffffff0;

const LINK_LOCAL_PREFIX = 0xfe80n << 112n;
const UNIVERSAL_LOCAL_BIT = 0x02n << 56n;

/** The link-local address that an interface makes of its MAC address (modified EUI-64; RFC 4291, appendix A). */
export function linkLocalAddress(mac: number): bigint {
  const bits = BigInt(mac);
  const identifier = ((bits >> 24n) << 40n) | (0xfffen << 24n) | (bits & 0xffffffn);
  return LINK_LOCAL_PREFIX | (identifier ^ UNIVERSAL_LOCAL_BIT);
}

/** 224.0.0.0/4 and ff00::/8. */
export const MULTICAST_IPV4 = 0xe0000000;
export const MULTICAST_IPV4_MASK = 0xf0000000;
export const MULTICAST_IPV6 = 0xffn << 120n;
export const MULTICAST_IPV6_MASK = 0xffn << 120n;
/** 224.0.0.0/24: groups of one link (RFC 5771, section 4). */
export const LINK_LOCAL_IPV4 = 0xe0000000;
export const LINK_LOCAL_IPV4_MASK = 0xffffff00;
/** Groups of one interface and of one link, whatever their flags: the last four bits of the second byte (RFC 4291, section 2.7). */
export const IPV6_SCOPES_OF_A_LINK: readonly bigint[] = [1n, 2n].map((scope) => (0xff00n | scope) << 112n);
export const IPV6_SCOPE_MASK = 0xff0fn << 112n;
