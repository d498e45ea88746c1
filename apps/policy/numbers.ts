/**
 * Numbers for sets, 32 bits, that follow from the facts: the same on every controller, after every restart, whatever the order in which
 * the facts came. The upper 24 bits are a hash of the text that names the set; the lower 8 tell apart the sets of equal hash, by
 * the order of their texts. Never 0.
 */
import type { Context, Derived, Index } from '../../controller/derive/index.js';
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';

const HASHES = 0xffffff;
const RANKS = 256;

/** 1 to 0xffffff (FNV-1a with a final mix). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) % HASHES) + 1;
}

/** The number of `text` among all `texts` of its hash. @throws RangeError where 256 texts have one hash. */
export function numberAmong(text: string, texts: readonly string[]): number {
  const rank = [...texts].sort().indexOf(text);
  if (rank < 0 || rank >= RANKS) {
    throw new RangeError(`${texts.length} sets have the hash of '${text}'; change one of its groups`);
  }
  return hashOf(text) * RANKS + rank;
}

export interface Numbered<S> {
  readonly number: number;
  readonly set: S;
}

type Reader = Pick<Context<never> | EntryContext, 'get' | 'keys' | 'values'>;

/** Numbers for the keys of one or several collections, which together are the sets that there are. */
export class NumberedSets<S> {
  readonly #numbered: readonly Derived<Numbered<S>>[];
  readonly #indexes: readonly Index<Numbered<S>>[];

  /** `propertiesOf`: what the sets are found by. */
  constructor(
    d: AppDeclaration,
    name: string,
    sources: readonly Derived<S>[],
    propertiesOf: (set: S) => readonly string[],
  ) {
    const byHash = sources.map((source, i) =>
      d.index(`${name} by hash ${i}`, source, (_, text) => [String(hashOf(text))]),
    );
    this.#numbered = sources.map((source, i) =>
      d.derive<S, Numbered<S>>(`${name} ${i}`, source, (context, set, text) => {
        const hash = String(hashOf(text));
        const texts = new Set(byHash.flatMap((index) => context.keys(index, hash)));
        context.emit(text, { number: numberAmong(text, [...texts]), set });
      }),
    );
    this.#indexes = this.#numbered.map((numbered, i) =>
      d.index(`${name} by property ${i}`, numbered, ({ set }) => propertiesOf(set)),
    );
  }

  /** The first of the collections, for derivations over it. */
  get first(): Derived<Numbered<S>> {
    return this.#numbered[0] as Derived<Numbered<S>>;
  }

  /** Undefined only while the set is on its way out. */
  number(context: Reader, text: string): number | undefined {
    for (const numbered of this.#numbered) {
      const found = context.get(numbered, text);
      if (found !== undefined) return found.number;
    }
    return undefined;
  }

  /** The sets with a property, each once, in no particular order. */
  having(context: Reader, property: string): readonly Numbered<S>[] {
    if (this.#indexes.length === 1) return this.#values(context, 0, property).map(([, found]) => found);
    return [...new Map(this.#indexes.flatMap((_, i) => this.#values(context, i, property))).values()];
  }

  #values(context: Reader, i: number, property: string): readonly (readonly [string, Numbered<S>])[] {
    return context.values(this.#indexes[i] as Index<Numbered<S>>, property);
  }
}
