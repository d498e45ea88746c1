/** Bringing matches into the form that the wire wants: each field once, prerequisites before the fields that need them. */
import type { Match, Oxm, OxmValue } from '../../ofproto/index.js';

/**
 * A match in which each field stands once (masked parts of one field, such as register fields of one register, are united) and after
 * its prerequisites, without which Open vSwitch refuses it (OFPBMC_BAD_PREREQ).
 * @throws RangeError where two parts want different values of one bit.
 */
export function normalMatch(match: Match): Match {
  return inOrder(mergeMatch(match));
}

function inOrder(match: Match): Match {
  const placed = new Set<string>();
  const present = new Set(match.map(({ field }) => field.name));
  const ready = ({ field }: Oxm): boolean =>
    field.prerequisites.every((needed) => placed.has(needed.field) || !present.has(needed.field));
  const ordered: Oxm[] = [];
  let waiting: Match = match;
  while (waiting.length > 0) {
    const delayed: Oxm[] = [];
    for (const part of waiting) {
      if (!ready(part)) {
        delayed.push(part);
        continue;
      }
      ordered.push(part);
      placed.add(part.field.name);
    }
    if (delayed.length === waiting.length) return [...ordered, ...delayed];
    if (delayed.length === 0 && waiting === match) return match;
    waiting = delayed;
  }
  return ordered;
}

function mergeMatch(match: Match): Match {
  for (let i = 1; i < match.length; i++) {
    for (let j = 0; j < i; j++) {
      if ((match[i] as Oxm).field === (match[j] as Oxm).field) return merge(match);
    }
  }
  return match;
}

function merge(match: Match): Match {
  const merged: Oxm[] = [];
  for (const part of match) {
    const at = merged.findIndex((other) => other.field === part.field);
    if (at < 0) merged.push(part);
    else merged[at] = unite(merged[at] as Oxm, part);
  }
  return merged;
}

function unite(a: Oxm, b: Oxm): Oxm {
  const { field } = a;
  if (typeof a.value === 'object' || typeof b.value === 'object') {
    throw new RangeError(`match on ${field.name} twice: give it once`);
  }
  const [aMask, bMask] = [toBits(a.mask ?? field.exactMask), toBits(b.mask ?? field.exactMask)];
  const [aValue, bValue] = [toBits(a.value) & aMask, toBits(b.value) & bMask];
  if (((aValue ^ bValue) & aMask & bMask) !== 0n) {
    throw new RangeError(`match on ${field.name} wants two values of one bit; nothing would match`);
  }
  const mask = aMask | bMask;
  const fromBits = (bits: bigint): OxmValue => (typeof field.exactMask === 'bigint' ? bits : Number(bits));
  const value = fromBits(aValue | bValue);
  return mask === toBits(field.exactMask) ? { field, value } : { field, value, mask: fromBits(mask) };
}

function toBits(value: OxmValue): bigint {
  if (typeof value === 'object') throw new RangeError('bytes have no bits to merge');
  return BigInt(value);
}
