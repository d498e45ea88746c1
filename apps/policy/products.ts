/** What a rule says as a product of dimensions, and whether a conjunctive match is the shorter way to say it. */
import type { Match } from '../../ofproto/index.js';

/** Any of these at the other end, any of these services, and any of these destinations. None of them is empty. */
export type Product = readonly [
  peers: readonly Match[],
  services: readonly Match[],
  groups: readonly Match[],
];

/** Entries with which a rule may be plain however it compares to a conjunctive match. */
const PLAIN_RATIO = 4;

/** The dimensions that have clauses. One of a single match has no use for them: what ends the conjunctive match asks for it. */
export function manyOf(product: Product): readonly (readonly Match[])[] {
  return product.filter(({ length }) => length > 1);
}

/** True where clauses are worth it. */
export function isConjunctive(product: Product): boolean {
  const sizes = manyOf(product).map(({ length }) => length);
  if (sizes.length < 2) return false;
  const [all, sum] = [sizes.reduce((a, b) => a * b), sizes.reduce((a, b) => a + b)];
  return all > PLAIN_RATIO * sum;
}

/** Every choice of one from each, as one match. */
export function combined(dimensions: readonly (readonly Match[])[]): readonly Match[] {
  return dimensions.reduce<readonly Match[]>(
    (matches, parts) => matches.flatMap((match) => parts.map((part) => [...match, ...part])),
    [[]],
  );
}
