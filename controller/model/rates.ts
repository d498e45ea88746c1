/**
 * Rates and amounts of data as people write them: `10 Mbps`, `512 kbit`, `1.5G`, `100Mbit/s`, `20 MB/s`; `256 KB`, `2 Mbit`.
 *
 * Prefixes are decimal (k, M, G, T) or binary (Ki, Mi, Gi, Ti), in either case. A `b` is a bit and a `B` is a byte (`MBps` too);
 * `bps`, `BPS` and `bit` are bits, `byte` is bytes. A number without a unit is in bits per second where a rate is meant, in bytes
 * where an amount is.
 */

/** A number, a prefix, a unit, and per second. */
const PATTERN =
  /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(?:([kKmMgGtT])(i?))?(bps|BPS|Bps|bits?|Bits?|BITS?|bytes?|Bytes?|BYTES?|b|B)?\s*(\/\s*s(?:ec)?|ps)?\s*$/;

const POWER: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4 };

/** How long the default burst of a rate is: shorter ones starve TCP (measured with meters of OVS 3.1). */
const BURST_SECONDS = 0.3;
const SMALLEST_BURST_BITS = 128 * 1000 * 8;
/** What an OpenFlow meter can hold: 32 bits of kilobits. */
export const MAX_KILOBITS = 0xffff_ffff;

interface Amount {
  readonly bits: number;
  readonly perSecond: boolean;
}

function parse(text: string, bareUnit: 'bits' | 'bytes'): Amount | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, number = '', prefix, binary, unit, slash] = match;
  const factor =
    prefix === undefined ? 1 : (binary === 'i' ? 1024 : 1000) ** (POWER[prefix.toLowerCase()] ?? 0);
  const perSecond = unit?.toLowerCase() === 'bps' || slash !== undefined;
  return { bits: Number(number) * factor * (isBytes(unit, bareUnit) ? 8 : 1), perSecond };
}

function isBytes(unit: string | undefined, bareUnit: 'bits' | 'bytes'): boolean {
  if (unit === undefined) return bareUnit === 'bytes';
  return unit === 'B' || unit === 'Bps' || unit.toLowerCase().startsWith('byte');
}

/** Kilobits per second, at least 1 and rounded; the reason as text when it is no rate. */
export function parseRate(text: string): number | string {
  const amount = parse(text, 'bits');
  if (amount === undefined) return `"${text}" is not a rate`;
  return inKilobits(text, amount.bits);
}

/** Kilobits, at least 1 and rounded; the reason as text when it is no amount. */
export function parseBurst(text: string): number | string {
  const amount = parse(text, 'bytes');
  if (amount === undefined || amount.perSecond) return `"${text}" is not an amount of data`;
  return inKilobits(text, amount.bits);
}

function inKilobits(text: string, bits: number): number | string {
  const kilobits = Math.round(bits / 1000);
  if (bits < 1000) return `"${text}" is less than 1 kbit`;
  return kilobits > MAX_KILOBITS ? `"${text}" is more than ${formatRate(MAX_KILOBITS)}` : kilobits;
}

/** Kilobits: 300 ms of the rate, but at least 128 KB. */
export const defaultBurst = (kilobitsPerSecond: number): number =>
  Math.min(MAX_KILOBITS, Math.round(Math.max(kilobitsPerSecond * BURST_SECONDS, SMALLEST_BURST_BITS / 1000)));

/** `1.5 Gbps`. */
export function formatRate(kilobitsPerSecond: number): string {
  const units = ['kbps', 'Mbps', 'Gbps', 'Tbps'];
  let value = kilobitsPerSecond;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toFixed(3))} ${units[unit]}`;
}

/** `128 KB`, `1.25 MB`. */
export function formatBurst(kilobits: number): string {
  const kilobytes = kilobits / 8;
  return kilobytes >= 1000
    ? `${Number((kilobytes / 1000).toFixed(3))} MB`
    : `${Number(kilobytes.toFixed(3))} KB`;
}

const CLASSES: Readonly<Record<string, number>> = { EF: 46, VA: 44 };

/** Differentiated services code point: 0 to 63 or its name (RFC 2474, 2597, 3246, 5865); undefined when it is none. */
export function parseDscp(value: number | string): number | undefined {
  const text = String(value).toUpperCase();
  if (/^\d{1,2}$/.test(text)) return Number(text) <= 63 ? Number(text) : undefined;
  const selector = /^CS([0-7])$/.exec(text);
  if (selector !== null) return Number(selector[1]) * 8;
  const assured = /^AF([1-4])([1-3])$/.exec(text);
  if (assured !== null) return Number(assured[1]) * 8 + Number(assured[2]) * 2;
  return CLASSES[text];
}
