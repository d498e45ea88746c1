/**
 * Canonical form of matches: independent of order, with values masked, a mask of all ones left out and a field with a
 * mask of all zeros absent. Fields that exist as OXM and as NXM with the same width count as the same field.
 */
import type { Field, OxmValue } from './field.js';
import type { Match, Oxm } from './oxm.js';
import { F } from './registry.js';

/** Position of a field in the canonical order; the same for the OXM and NXM forms of one field. */
const ORDINALS = new Map<Field, number>();
const BY_ORDINAL: Field[] = [];
{
  const seen = new Map<string, number>();
  for (const field of Object.values(F) as Field[]) {
    const key = `${field.ovsName}/${field.bits}`;
    const ordinal = seen.get(key) ?? BY_ORDINAL.length;
    if (!seen.has(key)) {
      seen.set(key, ordinal);
      BY_ORDINAL.push(field);
    }
    ORDINALS.set(field, ordinal);
  }
}

const LOW = 0x100000000;

/** `a & b` for numbers of up to 48 bits, which the operator would cut to 32. */
export function andNumbers(a: number, b: number): number {
  if (a < LOW && b < LOW) return (a & b) >>> 0;
  return ((a / LOW) & (b / LOW)) * LOW + ((a & b) >>> 0);
}

const isAll = (bytes: Uint8Array, byte: number): boolean => bytes.every((b) => b === byte);
const andBytes = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte & (b[i] ?? 0));

/** The canonical form of one field; undefined where its mask lets everything through. */
export function canonicalOxm(oxm: Oxm): Oxm | undefined {
  const { value, mask } = oxm;
  const field = BY_ORDINAL[ORDINALS.get(oxm.field) ?? -1] ?? oxm.field;
  if (mask === undefined) return field === oxm.field ? oxm : { field, value, mask: undefined };
  const { exactMask } = field;
  if (typeof mask === 'number' && typeof value === 'number') {
    const relevant = andNumbers(mask, exactMask as number);
    if (relevant === 0) return undefined;
    return { field, value: andNumbers(value, mask), mask: relevant === exactMask ? undefined : relevant };
  }
  if (typeof mask === 'bigint' && typeof value === 'bigint') {
    if (mask === 0n) return undefined;
    return { field, value: value & mask, mask: mask === exactMask ? undefined : mask };
  }
  const bytes = mask as Uint8Array;
  if (isAll(bytes, 0)) return undefined;
  return {
    field,
    value: andBytes(value as Uint8Array, bytes),
    mask: isAll(bytes, 0xff) ? undefined : bytes,
  };
}

/** The match in canonical form: two matches that let the same packets through, field by field, become equal. */
export function normaliseMatch(match: Match): Match {
  const fields = match.map(canonicalOxm).filter((oxm) => oxm !== undefined);
  return fields.sort((a, b) => ordinalOf(a.field) - ordinalOf(b.field));
}

/** Unknown fields come after all known ones. */
const ordinalOf = (field: Field): number =>
  ORDINALS.get(field) ?? BY_ORDINAL.length + field.class * 128 + field.number;

const toText = (value: OxmValue): string =>
  typeof value === 'object'
    ? Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')
    : `${value}`;

function tokenOf(ordinal: number, oxm: Oxm): string {
  const { field, value, mask } = oxm;
  const suffix = mask === undefined ? ',' : `/${toText(mask)},`;
  if (field.kind === 'opaque') {
    return `${ordinal}.${field.experimenter ?? ''}.${field.hasMask === true ? 'm' : ''}=${toText(value)}${suffix}`;
  }
  return `${ordinal}=${toText(value)}${suffix}`;
}

/** Reused between calls: the function is called for every entry of every comparison. */
const ordinals: number[] = [];
const tokens: string[] = [];

/** A key that two matches share exactly where their canonical forms are equal. Meant for maps, not for people. */
export function canonicalMatch(match: Match): string {
  let count = 0;
  for (const entry of match) {
    const oxm = entry.mask === undefined ? entry : canonicalOxm(entry);
    if (oxm === undefined) continue;
    const ordinal = ordinalOf(oxm.field);
    const token = tokenOf(ordinal, oxm);
    let at = count;
    while (at > 0 && isAfter(at - 1, ordinal, token)) {
      ordinals[at] = ordinals[at - 1] as number;
      tokens[at] = tokens[at - 1] as string;
      at -= 1;
    }
    ordinals[at] = ordinal;
    tokens[at] = token;
    count += 1;
  }
  let key = '';
  for (let i = 0; i < count; i++) key += tokens[i];
  return key;
}

function isAfter(at: number, ordinal: number, token: string): boolean {
  const other = ordinals[at] as number;
  return other > ordinal || (other === ordinal && (tokens[at] as string) > token);
}

/** The identity of a flow entry in a switch: table, priority and match, as a key for maps. */
export function flowKey(tableId: number, priority: number, match: Match): string {
  return `${tableId}/${priority}/${canonicalMatch(match)}`;
}
