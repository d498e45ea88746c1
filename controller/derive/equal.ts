/**
 * Structural equality of fact and output values: primitives (NaN equals NaN), bigint, arrays, byte arrays and plain objects.
 *
 * Values in the engine are immutable data without cycles. A property whose value is `undefined` equals an absent one, so that a
 * derivation may write `{ gateway: network.gateway }` without caring. Functions and objects with an identity of their own (a
 * field descriptor, a table definition) are equal only to themselves when they are the same object or have equal members.
 */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return Number.isNaN(a) && Number.isNaN(b);
  }
  if (Array.isArray(a)) return Array.isArray(b) && equalItems(a, b);
  if (Array.isArray(b)) return false;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && equalBytes(a, b);
  if (b instanceof Uint8Array) return false;
  return equalMembers(a as Record<string, unknown>, b as Record<string, unknown>);
}

function equalItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!equal(a[i], b[i])) return false;
  return true;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function equalMembers(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  let members = 0;
  for (const name in a) {
    const value = a[name];
    if (value === undefined) continue;
    members++;
    if (!equal(value, b[name])) return false;
  }
  for (const name in b) if (b[name] !== undefined) members--;
  return members === 0;
}
