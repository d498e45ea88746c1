/** Numbers, addresses, ports and flags as `ovs-ofctl` writes them (ovs-fields(7); lib/match.c and lib/meta-flow.c of Open vSwitch). */
import { formatIpv4, formatIpv6, formatMac, prefixLength } from '../address.js';
import { Port } from '../constants.js';
import type { Oxm } from '../oxm/oxm.js';

/** As C's `%#x`: zero has no prefix. */
export const hex = (value: number | bigint): string =>
  value === 0 || value === 0n ? '0' : `0x${value.toString(16)}`;
/** Always with its prefix. */
export const prefixed = (value: number | bigint, digits = 0): string =>
  `0x${value.toString(16).padStart(digits, '0')}`;

const PORT_NAMES: Readonly<Record<number, string>> = {
  [Port.IN_PORT]: 'IN_PORT',
  [Port.TABLE]: 'TABLE',
  [Port.NORMAL]: 'NORMAL',
  [Port.FLOOD]: 'FLOOD',
  [Port.ALL]: 'ALL',
  [Port.CONTROLLER]: 'CONTROLLER',
  [Port.LOCAL]: 'LOCAL',
  [Port.ANY]: 'ANY',
};

/** A port by number, the reserved ones by name. */
export const formatPort = (port: number): string => PORT_NAMES[port] ?? `${port}`;

const ALL_MAC = 0xffff_ffff_ffff;
const ALL_IPV4 = 0xffff_ffff;
const ALL_IPV6 = (1n << 128n) - 1n;

export const macText = (value: number, mask = ALL_MAC): string =>
  mask === ALL_MAC ? formatMac(value) : `${formatMac(value)}/${formatMac(mask)}`;

export function ipv4Text(value: number, mask = ALL_IPV4): string {
  if (mask === ALL_IPV4) return formatIpv4(value);
  const length = prefixLength(BigInt(mask), 32);
  return `${formatIpv4(value)}/${length ?? formatIpv4(mask)}`;
}

export function ipv6Text(value: bigint, mask = ALL_IPV6): string {
  if (mask === ALL_IPV6) return formatIpv6(value);
  const length = prefixLength(mask, 128);
  return `${formatIpv6(value)}/${length ?? formatIpv6(mask)}`;
}

const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns'] as const;
const CT_STATES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'] as const;
const TUNNEL_FLAGS = ['oam'] as const;

/** Bits of `set` by name; those without one as `[800]`. */
function flagNames(names: readonly string[], set: number): string[] {
  const texts: string[] = [];
  for (let bit = 0; set >>> bit !== 0; bit++) {
    if (set & (1 << bit)) texts.push(names[bit] ?? `[${(1 << bit).toString(16)}]`);
  }
  return texts;
}

/** `+a-b` where only the bits of `mask` count. */
function maskedFlags(names: readonly string[], value: number, mask: number): string {
  let text = '';
  for (let bit = 0; mask >>> bit !== 0; bit++) {
    const flag = 1 << bit;
    if (mask & flag) text += (value & flag ? '+' : '-') + flagNames(names, flag).join('');
  }
  return text;
}

/** `a|b` where every bit counts. */
const exactFlags = (names: readonly string[], value: number): string =>
  value === 0 ? '0' : flagNames(names, value).join('|');

function flagsText(names: readonly string[], value: number, mask: number | undefined): string {
  return mask === undefined ? exactFlags(names, value) : maskedFlags(names, value, mask);
}

export const tcpFlagsText = (value: number, mask: number | undefined): string =>
  flagsText(TCP_FLAGS, value, mask);
export const ctStateText = (value: number, mask: number | undefined): string =>
  flagsText(CT_STATES, value, mask);
/** Its only flag is written with its sign even where the whole field counts. */
export const tunnelFlagsText = (value: number, mask = 1): string => maskedFlags(TUNNEL_FLAGS, value, mask);

const ANY_FRAGMENT = 1;
const LATER_FRAGMENT = 2;

export function fragmentText(value: number, mask = ANY_FRAGMENT | LATER_FRAGMENT): string {
  const any = (value & ANY_FRAGMENT) !== 0;
  const later = (value & LATER_FRAGMENT) !== 0;
  if (mask === ANY_FRAGMENT) return any ? 'yes' : 'no';
  if (mask === LATER_FRAGMENT) return later ? 'later' : 'not_later';
  if (!any) return later ? '<error>' : 'no';
  return later ? 'later' : 'first';
}

export const bytesText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Bytes between dots, as user data and notes are written. */
export const dotted = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('.');

/** Bytes as one number: leading zeros left out. */
export const bytesNumber = (bytes: Uint8Array): string => `0x${bytesText(bytes).replace(/^0+(?=.)/, '')}`;

/** Value and mask of a field as `set_field` writes them. The mask is absent where all bits count. */
export function oxmText({ field, value, mask }: Oxm): string {
  if (typeof value === 'object') {
    return mask === undefined
      ? bytesNumber(value)
      : `${bytesNumber(value)}/${bytesNumber(mask as Uint8Array)}`;
  }
  if (typeof value === 'bigint') {
    const wide = mask as bigint | undefined;
    if (field.format === 'ipv6') return ipv6Text(value, wide);
    return wide === undefined ? hex(value) : `${hex(value)}/${hex(wide)}`;
  }
  const narrow = mask as number | undefined;
  switch (field.format) {
    case 'mac':
      return macText(value, narrow);
    case 'ipv4':
      return ipv4Text(value, narrow);
    case 'port':
      return formatPort(value);
    case 'tcp_flags':
      return tcpFlagsText(value, narrow);
    case 'ct_state':
      return ctStateText(value, narrow);
    case 'tunnel_flags':
      return flagsText(TUNNEL_FLAGS, value, narrow);
    case 'fragment':
      return fragmentText(value, narrow);
    case 'hexadecimal':
      return narrow === undefined ? hex(value) : `${hex(value)}/${hex(narrow)}`;
    default:
      return narrow === undefined ? `${value}` : `${value}/${prefixed(narrow)}`;
  }
}
