/**
 * Classes of many identities. A rule about "everybody in the network" would have an entry for each identity there is; so a class of
 * `WIDE` identities or more has a bit of its own in a register beside the identity, set by the entries that translate addresses,
 * and rules match that bit.
 *
 * A tenant has 32 bits. Which one a class would have follows from its name; of classes that would have the same the first has
 * it, and the others stay what narrow ones are: right, only longer.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection } from '../../controller/derive/index.js';
import type { ClassName, MentionedClass } from './classes.js';
import type { Identities } from './identities.js';
import { tenantOf } from './membership.js';
import { hashOf } from './numbers.js';

const WIDE = 16;
const BITS = 32;

/** Bits of wide classes, 0 to 31; key: name of the class. */
export type ClassBits = Collection<number>;

export function declareWideClasses(
  d: AppDeclaration,
  mentioned: Collection<MentionedClass>,
  identities: Identities,
): ClassBits {
  const wide = d.derive<MentionedClass, { readonly bit: number; readonly place: string }>(
    'wide classes',
    mentioned,
    (context, what, name) => {
      if (what.kind === 'port' || identities.having(context, name).length < WIDE) return;
      const bit = hashOf(name) % BITS;
      const tenant = what.kind === 'block' ? what.tenant : tenantOf(what.id);
      context.emit(name, { bit, place: `${tenant} ${bit}` });
    },
  );
  const byPlace = d.index('wide classes by bit', wide, ({ place }) => [place]);
  return d.derive('bits of classes', wide, (context, { bit, place }, name) => {
    if (context.keys(byPlace, place)[0] === name) context.emit(name, bit);
  });
}

/** The bits of these classes together; 0 for classes without. */
export function bitsOf(
  context: { get(bits: ClassBits, name: ClassName): number | undefined },
  bits: ClassBits,
  classes: readonly ClassName[],
): number {
  let sum = 0;
  for (const name of classes) {
    const bit = context.get(bits, name);
    if (bit !== undefined) sum |= 1 << bit;
  }
  return sum >>> 0;
}
