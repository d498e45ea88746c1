import type { Match, Oxm, OxmValue } from '../../ofproto/index.js';

/**
 * Whether every packet that `narrow` matches is matched by `wide` too, field by field (section 6.4: what a non-strict modification or
 * deletion applies to).
 */
export function covers(wide: Match, narrow: Match): boolean {
  return wide.every((filter) => {
    const entry = narrow.find(({ field }) => field === filter.field);
    return entry !== undefined && coversField(filter, entry);
  });
}

function coversField(filter: Oxm, entry: Oxm): boolean {
  const { exactMask } = filter.field;
  if (typeof exactMask === 'object') {
    const filterMask = filter.mask as Uint8Array | undefined;
    const entryMask = entry.mask as Uint8Array | undefined;
    const wanted = filter.value as Uint8Array;
    const actual = entry.value as Uint8Array;
    return wanted.every((byte, i) => {
      const mask = filterMask?.[i] ?? 0xff;
      return (mask & ~(entryMask?.[i] ?? 0xff)) === 0 && (byte & mask) === ((actual[i] ?? 0) & mask);
    });
  }
  const number = (value: OxmValue | undefined): bigint => BigInt((value ?? exactMask) as number | bigint);
  const mask = number(filter.mask);
  const compared = number(entry.mask);
  return (mask & ~compared) === 0n && (number(filter.value) & mask) === (number(entry.value) & mask);
}
