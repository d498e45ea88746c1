/**
 * The NXM_OF_ fields (class OFPXMC_NXM_0): what Open vSwitch had before OXM. It still writes some of them in `move`,
 * `load` and `learn`. Those that the specification has too carry the prefix `nxm_`.
 */
import { defineFields, ipv4, mac, narrow, OxmClass } from './field.js';
import { ANY_IP, ARP, ICMPV4, IPV4, TCP, UDP } from './prerequisites.js';

export const nxmFields = defineFields(
  { class: OxmClass.NXM_0, prefix: 'NXM_OF_', source: 'ovs-fields(7)' },
  {
    nxm_in_port: narrow(0, 16, 'IN_PORT', { format: 'port', ovsName: 'in_port' }),
    nxm_eth_dst: mac(1, 'ETH_DST', { ovsName: 'eth_dst' }),
    nxm_eth_src: mac(2, 'ETH_SRC', { ovsName: 'eth_src' }),
    nxm_eth_type: narrow(3, 16, 'ETH_TYPE', { format: 'hexadecimal', ovsName: 'eth_type' }),
    vlan_tci: narrow(4, 16, 'VLAN_TCI', { maskable: true, format: 'hexadecimal' }),
    nw_tos: narrow(5, 8, 'IP_TOS', { prerequisites: ANY_IP }),
    nxm_ip_proto: narrow(6, 8, 'IP_PROTO', { prerequisites: ANY_IP, ovsName: 'nw_proto' }),
    nxm_ip_src: ipv4(7, 'IP_SRC', { prerequisites: IPV4, ovsName: 'ip_src' }),
    nxm_ip_dst: ipv4(8, 'IP_DST', { prerequisites: IPV4, ovsName: 'ip_dst' }),
    nxm_tcp_src: narrow(9, 16, 'TCP_SRC', { maskable: true, prerequisites: TCP, ovsName: 'tcp_src' }),
    nxm_tcp_dst: narrow(10, 16, 'TCP_DST', { maskable: true, prerequisites: TCP, ovsName: 'tcp_dst' }),
    nxm_udp_src: narrow(11, 16, 'UDP_SRC', { maskable: true, prerequisites: UDP, ovsName: 'udp_src' }),
    nxm_udp_dst: narrow(12, 16, 'UDP_DST', { maskable: true, prerequisites: UDP, ovsName: 'udp_dst' }),
    nxm_icmp_type: narrow(13, 8, 'ICMP_TYPE', { prerequisites: ICMPV4, ovsName: 'icmp_type' }),
    nxm_icmp_code: narrow(14, 8, 'ICMP_CODE', { prerequisites: ICMPV4, ovsName: 'icmp_code' }),
    nxm_arp_op: narrow(15, 16, 'ARP_OP', { prerequisites: ARP, ovsName: 'arp_op' }),
    nxm_arp_spa: ipv4(16, 'ARP_SPA', { prerequisites: ARP, ovsName: 'arp_spa' }),
    nxm_arp_tpa: ipv4(17, 'ARP_TPA', { prerequisites: ARP, ovsName: 'arp_tpa' }),
  },
);
