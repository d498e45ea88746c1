/** The NXM_NX_ fields of Open vSwitch (class OFPXMC_NXM_1), as in ovs-fields(7). */
import {
  defineFields,
  type FieldOptions,
  type FieldRow,
  ipv4,
  ipv6,
  mac,
  narrow,
  OxmClass,
  variable,
  wide,
} from './field.js';
import {
  ANY_IP,
  ARP,
  ICMPV6,
  IPV4,
  IPV6,
  MPLS,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_DISCOVERY,
  NEIGHBOUR_SOLICITATION,
  TCP,
  TRACKED,
} from './prerequisites.js';

type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
type UpTo15 = Digit | 10 | 11 | 12 | 13 | 14 | 15;
type UpTo63 = Digit | `${1 | 2 | 3 | 4 | 5}${Digit}` | `6${0 | 1 | 2 | 3}`;

const HEXADECIMAL: FieldOptions = { maskable: true, format: 'hexadecimal' };
const DECIMAL: FieldOptions = { maskable: true };

const registers = Object.fromEntries(
  Array.from({ length: 16 }, (_, i) => [`reg${i}`, narrow(i, 32, `REG${i}`, HEXADECIMAL)]),
) as Record<`reg${UpTo15}`, FieldRow<number>>;

const tunnelMetadata = Object.fromEntries(
  Array.from({ length: 64 }, (_, i) => [`tun_metadata${i}`, variable(40 + i, `TUN_METADATA${i}`)]),
) as Record<`tun_metadata${UpTo63}`, FieldRow<Uint8Array>>;

export const niciraFields = defineFields(
  { class: OxmClass.NXM_1, prefix: 'NXM_NX_', source: 'ovs-fields(7)' },
  {
    ...registers,
    nxm_tun_id: wide(16, 64, 'TUN_ID', { ovsName: 'tun_id' }),
    nxm_arp_sha: mac(17, 'ARP_SHA', { prerequisites: ARP, ovsName: 'arp_sha' }),
    nxm_arp_tha: mac(18, 'ARP_THA', { prerequisites: ARP, ovsName: 'arp_tha' }),
    nxm_ipv6_src: ipv6(19, 'IPV6_SRC', { prerequisites: IPV6, ovsName: 'ipv6_src' }),
    nxm_ipv6_dst: ipv6(20, 'IPV6_DST', { prerequisites: IPV6, ovsName: 'ipv6_dst' }),
    nxm_icmpv6_type: narrow(21, 8, 'ICMPV6_TYPE', { prerequisites: ICMPV6, ovsName: 'icmpv6_type' }),
    nxm_icmpv6_code: narrow(22, 8, 'ICMPV6_CODE', { prerequisites: ICMPV6, ovsName: 'icmpv6_code' }),
    nxm_nd_target: ipv6(23, 'ND_TARGET', { prerequisites: NEIGHBOUR_DISCOVERY, ovsName: 'nd_target' }),
    nxm_nd_sll: mac(24, 'ND_SLL', { prerequisites: NEIGHBOUR_SOLICITATION, ovsName: 'nd_sll' }),
    nxm_nd_tll: mac(25, 'ND_TLL', { prerequisites: NEIGHBOUR_ADVERTISEMENT, ovsName: 'nd_tll' }),
    ip_frag: narrow(26, 2, 'IP_FRAG', { maskable: true, format: 'fragment', prerequisites: ANY_IP }),
    nxm_ipv6_label: narrow(27, 20, 'IPV6_LABEL', {
      ...HEXADECIMAL,
      bytes: 4,
      prerequisites: IPV6,
      ovsName: 'ipv6_label',
    }),
    nxm_ip_ecn: narrow(28, 2, 'IP_ECN', { prerequisites: ANY_IP, ovsName: 'nw_ecn' }),
    nw_ttl: narrow(29, 8, 'IP_TTL', { prerequisites: ANY_IP }),
    mpls_ttl: narrow(30, 8, 'MPLS_TTL', { prerequisites: MPLS }),
    tun_src: ipv4(31, 'TUN_IPV4_SRC'),
    tun_dst: ipv4(32, 'TUN_IPV4_DST'),
    pkt_mark: narrow(33, 32, 'PKT_MARK', HEXADECIMAL),
    nxm_tcp_flags: narrow(34, 12, 'TCP_FLAGS', {
      maskable: true,
      format: 'tcp_flags',
      prerequisites: TCP,
      ovsName: 'tcp_flags',
    }),
    dp_hash: narrow(35, 32, 'DP_HASH', HEXADECIMAL),
    recirc_id: narrow(36, 32, 'RECIRC_ID', { format: 'hexadecimal' }),
    conj_id: narrow(37, 32, 'CONJ_ID'),
    tun_gbp_id: narrow(38, 16, 'TUN_GBP_ID', DECIMAL),
    tun_gbp_flags: narrow(39, 8, 'TUN_GBP_FLAGS', HEXADECIMAL),
    ...tunnelMetadata,
    tun_flags: narrow(104, 1, 'TUN_FLAGS', { maskable: true, bytes: 2, format: 'tunnel_flags' }),
    ct_state: narrow(105, 8, 'CT_STATE', { maskable: true, bytes: 4, format: 'ct_state' }),
    ct_zone: narrow(106, 16, 'CT_ZONE'),
    ct_mark: narrow(107, 32, 'CT_MARK', HEXADECIMAL),
    ct_label: wide(108, 128, 'CT_LABEL'),
    tun_ipv6_src: ipv6(109, 'TUN_IPV6_SRC'),
    tun_ipv6_dst: ipv6(110, 'TUN_IPV6_DST'),
    xxreg0: wide(111, 128, 'XXREG0'),
    xxreg1: wide(112, 128, 'XXREG1'),
    xxreg2: wide(113, 128, 'XXREG2'),
    xxreg3: wide(114, 128, 'XXREG3'),
    ct_nw_proto: narrow(119, 8, 'CT_NW_PROTO', { prerequisites: TRACKED }),
    ct_nw_src: ipv4(120, 'CT_NW_SRC', { prerequisites: [...IPV4, ...TRACKED] }),
    ct_nw_dst: ipv4(121, 'CT_NW_DST', { prerequisites: [...IPV4, ...TRACKED] }),
    ct_ipv6_src: ipv6(122, 'CT_IPV6_SRC', { prerequisites: [...IPV6, ...TRACKED] }),
    ct_ipv6_dst: ipv6(123, 'CT_IPV6_DST', { prerequisites: [...IPV6, ...TRACKED] }),
    ct_tp_src: narrow(124, 16, 'CT_TP_SRC', { ...DECIMAL, prerequisites: TRACKED }),
    ct_tp_dst: narrow(125, 16, 'CT_TP_DST', { ...DECIMAL, prerequisites: TRACKED }),
  },
);
