/** Protocol numbers that packets are made of. */

/** IEEE 802 EtherTypes; `experimental`: the first of those for local experiments, which nobody's entries are about. */
export const EtherType = { ipv4: 0x0800, ipv6: 0x86dd, experimental: 0x88b5 } as const;

/** IANA protocol numbers. */
export const IpProtocol = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

/** Types of echo messages (RFC 792, RFC 4443). */
export const IcmpEcho = { v4: { request: 8, reply: 0 }, v6: { request: 128, reply: 129 } } as const;
