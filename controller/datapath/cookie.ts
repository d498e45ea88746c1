/**
 * Cookies: 64 bits on every flow entry that name its owner, so that an entry seen on a switch (or in an error) can be explained
 * without a table of what was sent.
 *
 *     63      56 55      48 47   44 43         32 31                            0
 *     │ marker  │ app      │ scope │ rule        │ object                       │
 *
 * marker: 0x57, which tells Weft's entries from others'. app: the app's id. scope: the kind of the scope that holds the entry. rule: which
 * `entries` declaration of the app derived it, by order from 1. object: the number of what the entry is about, of the kind that
 * the rule declares (an endpoint, a network, a policy), or a code of the app's own.
 */

/** A part of the cookie: `bits` bits from bit `offset` (0 is the least significant). */
export interface CookieField {
  readonly offset: number;
  readonly bits: number;
}

/** A layout: encodes and decodes cookies by named field. */
export interface CookieLayout<Name extends string> {
  readonly fields: Readonly<Record<Name, CookieField>>;
  /** @throws RangeError where a value does not fit its field. */
  encode(values: Readonly<Record<Name, number>>): bigint;
  decode(cookie: bigint): Record<Name, number>;
}

/**
 * Declares a layout of at most 64 bits in fields of at most 32 bits.
 * @throws RangeError where fields overlap or leave the 64 bits.
 */
export function defineCookie<const Name extends string>(
  fields: Readonly<Record<Name, CookieField>>,
): CookieLayout<Name> {
  const names = Object.keys(fields) as Name[];
  let taken = 0n;
  for (const name of names) {
    const { offset, bits } = fields[name];
    if (bits < 1 || bits > 32 || offset < 0 || offset + bits > 64) {
      throw new RangeError(`cookie field '${name}': ${bits} bits from bit ${offset} do not fit 64 bits`);
    }
    const mask = ((1n << BigInt(bits)) - 1n) << BigInt(offset);
    if ((taken & mask) !== 0n)
      throw new RangeError(`cookie field '${name}' overlaps another; move its offset`);
    taken |= mask;
  }
  return {
    fields,
    encode(values) {
      let cookie = 0n;
      for (const name of names) {
        const { offset, bits } = fields[name];
        const value = values[name];
        if (!Number.isInteger(value) || value < 0 || value > 2 ** bits - 1) {
          throw new RangeError(`cookie field '${name}' has ${bits} bits, which do not hold ${value}`);
        }
        cookie |= BigInt(value) << BigInt(offset);
      }
      return cookie;
    },
    decode(cookie) {
      const values = {} as Record<Name, number>;
      for (const name of names) {
        const { offset, bits } = fields[name];
        values[name] = Number((cookie >> BigInt(offset)) & ((1n << BigInt(bits)) - 1n));
      }
      return values;
    },
  };
}

/** Weft's layout. */
export const cookieLayout = defineCookie({
  marker: { offset: 56, bits: 8 },
  app: { offset: 48, bits: 8 },
  scope: { offset: 44, bits: 4 },
  rule: { offset: 32, bits: 12 },
  object: { offset: 0, bits: 32 },
});

/** Value of the cookie's `marker`: 'W'. */
export const COOKIE_MARKER = 0x57;

const MARKER_OFFSET = 56n;

/** True for cookies of Weft's layout. */
export function isOurCookie(cookie: bigint): boolean {
  return cookie >> MARKER_OFFSET === BigInt(COOKIE_MARKER);
}
