/**
 * Matches as `ovs-ofctl` writes them: its names, its order, protocols by their short names (match_format in lib/match.c of
 * Open vSwitch). What it leaves out (some masks of tunnel fields, most ERSPAN and NSH fields) is written here.
 */
import { portFrom16 } from '../codec/action-codec.js';
import { canonicalOxm } from '../oxm/canonical.js';
import type { Field } from '../oxm/field.js';
import type { Match, Oxm } from '../oxm/oxm.js';
import { F } from '../oxm/registry.js';
import {
  ctStateText,
  formatPort,
  fragmentText,
  hex,
  ipv4Text,
  ipv6Text,
  macText,
  oxmText,
  prefixed,
  tcpFlagsText,
  tunnelFlagsText,
} from './values.js';

const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  RARP: 0x8035,
  IPV6: 0x86dd,
  MPLS: 0x8847,
  MPLS_MULTICAST: 0x8848,
} as const;
const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;

/** The fields of a match, canonical, each taken out once by what writes it. */
class Parts {
  private readonly parts = new Map<Field, Oxm>();
  readonly text: string[] = [];

  constructor(match: Match) {
    for (const oxm of match) {
      const canonical = canonicalOxm(oxm);
      if (canonical !== undefined) this.parts.set(canonical.field, canonical);
    }
  }

  take(field: Field): Oxm | undefined {
    const oxm = this.parts.get(field);
    this.parts.delete(field);
    return oxm;
  }

  /** The value of a field that must match as a whole; the field stays. */
  exact(field: Field): number | undefined {
    const oxm = this.parts.get(field);
    return oxm === undefined || oxm.mask !== undefined ? undefined : (oxm.value as number);
  }

  add(name: string, value: string): void {
    this.text.push(`${name}=${value}`);
  }

  /** Writes the fields with what `format` makes of their value and mask, in this order. */
  write(format: (value: never, mask: never) => string, fields: Readonly<Record<string, Field>>): void {
    for (const [name, field] of Object.entries(fields)) {
      const oxm = this.take(field);
      if (oxm !== undefined) this.add(name, format(oxm.value as never, oxm.mask as never));
    }
  }

  /** What no rule has taken, as `set_field` would write it. */
  rest(): void {
    for (const oxm of this.parts.values()) this.add(oxm.field.ovsName, oxmText(oxm));
  }
}

const hexText = (value: number | bigint, mask?: number | bigint): string =>
  mask === undefined ? hex(value) : `${hex(value)}/${hex(mask)}`;
const decimalText = (value: number, mask?: number): string =>
  mask === undefined ? `${value}` : `${prefixed(value)}/${prefixed(mask)}`;
/** For fields without masks. */
const bareDecimal = (value: number): string => `${value}`;
const labelText = (value: number, mask?: number): string =>
  mask === undefined ? prefixed(value, 5) : `${prefixed(value, 5)}/${prefixed(mask, 5)}`;
const byteText = (value: number, mask?: number): string =>
  mask === undefined ? `${value}` : `${prefixed(value, 2)}/${prefixed(mask, 2)}`;

const WORD = 0xffffffffn;

/** Registers of 64 and 128 bits are written as the 32-bit ones they lie over, the most significant first. */
function splitRegisters(parts: Parts): ReadonlyMap<number, readonly [value: number, mask: number]> {
  const words = new Map<number, readonly [number, number]>();
  const put = (index: number, value: number, mask: number): void => {
    if (mask === 0) return;
    const [otherValue, otherMask] = words.get(index) ?? [0, 0];
    words.set(index, [(otherValue | (value & mask)) >>> 0, (otherMask | mask) >>> 0]);
  };
  const fieldOf = (name: string): Field => F[name as 'reg0'];
  for (let i = 0; i < 16; i++) {
    const oxm = parts.take(fieldOf(`reg${i}`));
    if (oxm !== undefined) put(i, oxm.value as number, (oxm.mask as number | undefined) ?? 0xffffffff);
  }
  for (const [prefix, wordCount] of [
    ['xreg', 2],
    ['xxreg', 4],
  ] as const) {
    for (let i = 0; i * wordCount < 16; i++) {
      const oxm = parts.take(fieldOf(`${prefix}${i}`));
      if (oxm === undefined) continue;
      const mask = (oxm.mask ?? oxm.field.exactMask) as bigint;
      for (let word = 0; word < wordCount; word++) {
        const shift = BigInt(32 * (wordCount - 1 - word));
        put(
          i * wordCount + word,
          Number(((oxm.value as bigint) >> shift) & WORD),
          Number((mask >> shift) & WORD),
        );
      }
    }
  }
  return words;
}

const CFI = 0x1000;
const VID_MASK = 0x0fff;
const PCP_MASK = 0xe000;

/** `vlan_tci`, `vlan_vid` and `vlan_pcp` are one word to Open vSwitch. */
function writeVlan(parts: Parts): void {
  let value = 0;
  let mask = 0;
  const put = (oxm: Oxm | undefined, shift: number, all: number): void => {
    if (oxm === undefined) return;
    value |= (oxm.value as number) << shift;
    mask |= ((oxm.mask as number | undefined) ?? all) << shift;
  };
  put(parts.take(F.vlan_vid), 0, CFI | VID_MASK);
  const pcp = parts.take(F.vlan_pcp);
  put(pcp, 13, 7);
  if (pcp !== undefined) {
    value |= CFI;
    mask |= CFI;
  }
  put(parts.take(F.vlan_tci), 0, 0xffff);
  if (mask === 0) return;
  const vidMask = mask & VID_MASK;
  const pcpMask = mask & PCP_MASK;
  const isTagged = (mask & value & CFI) !== 0;
  const whole = (vidMask === 0 || vidMask === VID_MASK) && (pcpMask === 0 || pcpMask === PCP_MASK);
  if (isTagged && whole && (vidMask | pcpMask) !== 0) {
    if (vidMask !== 0) parts.add('dl_vlan', `${value & VID_MASK}`);
    if (pcpMask !== 0) parts.add('dl_vlan_pcp', `${(value & PCP_MASK) >>> 13}`);
  } else if (mask === 0xffff) {
    parts.add('vlan_tci', prefixed(value, 4));
  } else {
    parts.add('vlan_tci', `${prefixed(value, 4)}/${prefixed(mask, 4)}`);
  }
}

/** Short names of protocols, in place of `dl_type` and `nw_proto`. */
function writeProtocol(parts: Parts, ethertype: number | undefined, protocol: number | undefined): void {
  const take = (name: string, fields: readonly Field[]): void => {
    parts.text.push(name);
    for (const field of fields) parts.take(field);
  };
  const transports: readonly (readonly [number, string])[] =
    ethertype === ETHERTYPE.IPV4
      ? [
          [PROTOCOL.ICMP, 'icmp'],
          [PROTOCOL.TCP, 'tcp'],
          [PROTOCOL.UDP, 'udp'],
          [PROTOCOL.SCTP, 'sctp'],
        ]
      : [
          [PROTOCOL.ICMPV6, 'icmp6'],
          [PROTOCOL.TCP, 'tcp6'],
          [PROTOCOL.UDP, 'udp6'],
          [PROTOCOL.SCTP, 'sctp6'],
        ];
  switch (ethertype) {
    case ETHERTYPE.IPV4:
    case ETHERTYPE.IPV6: {
      const transport = transports.find(([number]) => number === protocol)?.[1];
      if (transport !== undefined) take(transport, [F.eth_type, F.ip_proto]);
      else take(ethertype === ETHERTYPE.IPV4 ? 'ip' : 'ipv6', [F.eth_type]);
      break;
    }
    case ETHERTYPE.ARP:
      return take('arp', [F.eth_type]);
    case ETHERTYPE.RARP:
      return take('rarp', [F.eth_type]);
    case ETHERTYPE.MPLS:
      return take('mpls', [F.eth_type]);
    case ETHERTYPE.MPLS_MULTICAST:
      return take('mplsm', [F.eth_type]);
  }
}

/** Fields of Ethernet, by name; all others of packets need `eth_type`. They count even where their mask is zero. */
const ETHERNET: ReadonlySet<string> = new Set(
  [F.eth_src, F.eth_dst, F.eth_type, F.vlan_vid, F.vlan_pcp, F.vlan_tci].map(({ ovsName }) => ovsName),
);

/** Returns whether recirculated packets are meant: of those a match says that they are Ethernet. */
function writeConnection(parts: Parts): boolean {
  const recirculated = parts.exact(F.recirc_id) !== undefined;
  parts.write(hexText, { pkt_mark: F.pkt_mark, recirc_id: F.recirc_id, dp_hash: F.dp_hash });
  parts.write(bareDecimal, { conj_id: F.conj_id });
  parts.write(formatPort, { actset_output: F.actset_output });
  parts.write(ctStateText, { ct_state: F.ct_state });
  parts.write(decimalText, { ct_zone: F.ct_zone });
  parts.write(hexText, { ct_mark: F.ct_mark });
  parts.write(hexText, { ct_label: F.ct_label });
  parts.write(ipv4Text, { ct_nw_src: F.ct_nw_src });
  parts.write(ipv6Text, { ct_ipv6_src: F.ct_ipv6_src });
  parts.write(ipv4Text, { ct_nw_dst: F.ct_nw_dst });
  parts.write(ipv6Text, { ct_ipv6_dst: F.ct_ipv6_dst });
  parts.write(bareDecimal, { ct_nw_proto: F.ct_nw_proto });
  parts.write(decimalText, { ct_tp_src: F.ct_tp_src, ct_tp_dst: F.ct_tp_dst });
  return recirculated;
}

function writeTunnel(parts: Parts): void {
  parts.write(hexText, { tun_id: F.tunnel_id });
  parts.write(ipv4Text, { tun_src: F.tun_src, tun_dst: F.tun_dst });
  parts.write(ipv6Text, { tun_ipv6_src: F.tun_ipv6_src, tun_ipv6_dst: F.tun_ipv6_dst });
  parts.write(decimalText, { tun_gbp_id: F.tun_gbp_id });
  parts.write(hexText, { tun_gbp_flags: F.tun_gbp_flags });
  parts.write(decimalText, { tun_erspan_ver: F.tun_erspan_ver });
  parts.write(hexText, { gtpu_flags: F.tun_gtpu_flags });
  parts.write(decimalText, { gtpu_msgtype: F.tun_gtpu_msgtype });
  parts.write(tunnelFlagsText, { tun_flags: F.tun_flags });
}

/** Class of service, then MPLS, then fragments. */
function writeHeaderFields(parts: Parts): void {
  const dscp = parts.take(F.ip_dscp);
  if (dscp !== undefined) parts.add('nw_tos', `${(dscp.value as number) << 2}`);
  parts.write(bareDecimal, { nw_tos: F.nw_tos, nw_ecn: F.ip_ecn, nw_ttl: F.nw_ttl });
  parts.write(bareDecimal, {
    mpls_label: F.mpls_label,
    mpls_tc: F.mpls_tc,
    mpls_ttl: F.mpls_ttl,
    mpls_bos: F.mpls_bos,
  });
  parts.write(fragmentText, { nw_frag: F.ip_frag });
}

function writeTransport(parts: Parts): void {
  parts.write(decimalText, { icmp_type: F.icmpv4_type, icmp_code: F.icmpv4_code });
  parts.write(bareDecimal, { icmp_type: F.icmpv6_type, icmp_code: F.icmpv6_code });
  parts.write(ipv6Text, { nd_target: F.ipv6_nd_target });
  parts.write(macText, { nd_sll: F.ipv6_nd_sll, nd_tll: F.ipv6_nd_tll });
  parts.write(bareDecimal, { nd_reserved: F.nd_reserved, nd_options_type: F.nd_options_type });
  for (const [src, dst] of [
    [F.tcp_src, F.tcp_dst],
    [F.udp_src, F.udp_dst],
    [F.sctp_src, F.sctp_dst],
  ] as const) {
    parts.write(decimalText, { tp_src: src, tp_dst: dst });
  }
  parts.write(tcpFlagsText, { tcp_flags: F.nxm_tcp_flags });
  parts.write(tcpFlagsText, { tcp_flags: F.tcp_flags });
}

/** The match as `ovs-ofctl` writes it: `tcp,in_port=3,nw_src=10.1.0.0/16`. Empty where everything matches. */
export function formatMatch(match: Match): string {
  const parts = new Parts(match);
  const ethertype = parts.exact(F.eth_type);
  const isEthernet = match.some(({ field }) => ETHERNET.has(field.ovsName));
  if (writeConnection(parts) && isEthernet) parts.text.push('eth');
  writeProtocol(parts, ethertype, parts.exact(F.ip_proto));
  const registers = splitRegisters(parts);
  for (let i = 0; i < 16; i++) {
    const [value, mask] = registers.get(i) ?? [0, 0];
    if (mask !== 0) parts.add(`reg${i}`, hexText(value, mask === 0xffffffff ? undefined : mask));
  }
  writeTunnel(parts);
  parts.write(hexText, { metadata: F.metadata });
  parts.write(formatPort, { in_port: F.in_port });
  parts.write((port: number) => formatPort(portFrom16(port)), { in_port: F.nxm_in_port });
  writeVlan(parts);
  parts.write(macText, { dl_src: F.eth_src, dl_dst: F.eth_dst });
  parts.write((value: number) => prefixed(value, 4), { dl_type: F.eth_type });
  parts.write(ipv6Text, { ipv6_src: F.ipv6_src, ipv6_dst: F.ipv6_dst });
  parts.write(labelText, { ipv6_label: F.ipv6_flabel });
  parts.write(ipv4Text, { arp_spa: F.arp_spa, arp_tpa: F.arp_tpa });
  parts.write(ipv4Text, { nw_src: F.ipv4_src, nw_dst: F.ipv4_dst });
  parts.write(byteText, { nsh_flags: F.nsh_flags });
  parts.write(bareDecimal, { nsh_ttl: F.nsh_ttl, nsh_mdtype: F.nsh_mdtype, nsh_np: F.nsh_np });
  parts.write((value: number) => prefixed(value), { nsh_spi: F.nsh_spi });
  parts.write(bareDecimal, { nsh_si: F.nsh_si });
  parts.write(bareDecimal, { nw_proto: F.ip_proto, arp_op: F.arp_op });
  parts.write(macText, { arp_sha: F.arp_sha, arp_tha: F.arp_tha });
  writeHeaderFields(parts);
  writeTransport(parts);
  parts.rest();
  return parts.text.join(',');
}
