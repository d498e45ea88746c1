/** What can be asked of a tree, however it came about. */

/** Two neighbours by their numbers, the one nearer to the root first. */
export type Edge = readonly [parent: number, child: number];

/** A tree; one of a single member has no edges. */
export interface Tree {
  readonly root: number;
  /** Each member but the root is the child of one edge, which comes behind the edge of its parent. */
  readonly edges: readonly Edge[];
}

/** The members, the root first and everybody behind their parent. */
export function membersOf({ root, edges }: Tree): number[] {
  return [root, ...edges.map(([, child]) => child)];
}

/** Neighbours by member: first the parent if there is one, then the children in the order of the edges. */
export function neighbours({ root, edges }: Tree): Map<number, number[]> {
  const result = new Map<number, number[]>([[root, []]]);
  for (const [parent, child] of edges) {
    result.get(parent)?.push(child);
    result.set(child, [parent]);
  }
  return result;
}

/** Edges on the way from the root to the farthest member. */
export function depth({ root, edges }: Tree): number {
  const depths = new Map([[root, 0]]);
  let deepest = 0;
  for (const [parent, child] of edges) {
    const own = (depths.get(parent) ?? 0) + 1;
    depths.set(child, own);
    if (own > deepest) deepest = own;
  }
  return deepest;
}

/** What becomes of edges in a change; which end is nearer to the root does not matter. */
export interface MovedEdges {
  readonly added: readonly Edge[];
  readonly removed: readonly Edge[];
}

export function movedEdges(before: Tree, after: Tree): MovedEdges {
  const old = new Set(before.edges.map(keyOf));
  const current = new Set(after.edges.map(keyOf));
  return {
    added: after.edges.filter((edge) => !old.has(keyOf(edge))),
    removed: before.edges.filter((edge) => !current.has(keyOf(edge))),
  };
}

const keyOf = ([a, b]: Edge): string => (a < b ? `${a}-${b}` : `${b}-${a}`);
