/** One field with its value, and matches made of them. */
import type { Field, OxmValue } from './field.js';
import { F, type FieldName } from './registry.js';

/**
 * One OXM TLV: a field, its value and, where not the whole value counts, a mask (1 bits are compared or written).
 * For a field this library does not know, or one that came with a mask although it has none, `value` is the whole payload
 * of the TLV and `mask` is absent.
 */
export interface Oxm<V extends OxmValue = OxmValue> {
  readonly field: Field<V>;
  readonly value: V;
  readonly mask?: V | undefined;
}

/** The fields a flow entry compares. Empty: everything matches. Order carries no meaning. */
export type Match = readonly Oxm[];

const describe = (value: OxmValue): string =>
  typeof value === 'object' ? `${value.length} bytes` : `0x${value.toString(16)}`;

function check(field: Field, what: string, value: OxmValue): void {
  const { exactMask } = field;
  const fits =
    typeof value === 'number'
      ? typeof exactMask === 'number' && value >= 0 && value <= exactMask && Number.isInteger(value)
      : typeof value === 'bigint'
        ? typeof exactMask === 'bigint' && value >= 0n && value <= exactMask
        : typeof exactMask === 'object' && value.length <= 124;
  if (fits) return;
  const expected =
    typeof exactMask === 'object'
      ? 'takes a Uint8Array of at most 124 bytes'
      : `takes a ${typeof exactMask} of ${field.bits} bits (at most 0x${exactMask.toString(16)})`;
  throw new RangeError(`${what} of ${field.name}: ${describe(value)} does not fit; the field ${expected}`);
}

/**
 * One field with its value and optional mask.
 * @throws RangeError where value or mask have bits the field does not have, or are of the wrong type.
 */
export function oxm<V extends OxmValue>(field: Field<V>, value: NoInfer<V>, mask?: NoInfer<V>): Oxm<V> {
  check(field, 'value', value);
  if (mask !== undefined) {
    check(field, 'mask', mask);
    if (!field.maskable) {
      throw new RangeError(`mask of ${field.name}: the field cannot be masked; leave the mask out`);
    }
  }
  return { field, value, mask };
}

type ValueOf<K extends FieldName> = (typeof F)[K] extends Field<infer V> ? V : never;

/** Values by field name; `[value, mask]` where only some bits count. */
export type MatchSpec = { readonly [K in FieldName]?: ValueOf<K> | readonly [ValueOf<K>, ValueOf<K>] };

/**
 * A match from values by name: `matchOf({ eth_type: 0x0800, ipv4_dst: [0x0a000000, 0xff000000] })`, in the order in
 * which they are written. Prerequisites are not added: write them.
 * @throws RangeError as `oxm` does.
 */
export function matchOf(spec: MatchSpec): Match {
  const match: Oxm[] = [];
  for (const name of Object.keys(spec) as FieldName[]) {
    const entry = spec[name] as OxmValue | readonly [OxmValue, OxmValue] | undefined;
    if (entry === undefined) continue;
    const field: Field = F[name];
    match.push(Array.isArray(entry) ? oxm(field, entry[0], entry[1]) : oxm(field, entry as OxmValue));
  }
  return match;
}

/** The TLV of a field in a match, typed by the field; undefined where the match does not hold it. */
export function findOxm<V extends OxmValue>(match: Match, field: Field<V>): Oxm<V> | undefined {
  for (const entry of match) if (entry.field === (field as Field)) return entry as Oxm<V>;
  return undefined;
}
