/** Spanning trees of a graph, and what of them receivers need. */
import type { Graph, Link } from './graph.js';
import { seedOf } from './hash.js';
import { Parts } from './parts.js';
import { distancesTo } from './paths.js';

/**
 * Links without a loop that connect whatever the graph connects (a graph in several parts has a tree in each), by id, ascending.
 *
 * Without `previous` everybody is joined by a shortest path to the root; of several shortest paths a hash of the root chooses, so that trees
 * with different roots use different links. With `previous`, an older tree, all of its links that are still there stay and
 * only what they leave apart is joined anew, by the links nearest to the root: a change moves as few links as can be, and paths may be longer than
 * from scratch.
 *
 * O(nodes + links log links).
 *
 * @throws RangeError where the root is no node, or `previous` has a loop.
 */
export function spanningTree(graph: Graph, root: number, previous: Iterable<string> = []): string[] {
  if (!graph.has(root)) throw new RangeError(`root ${root} is no node`);
  const parts = new Parts();
  const links = new Map(graph.links.map((link) => [link.id, link]));
  const tree: string[] = [];
  for (const id of previous) {
    const link = links.get(id);
    if (link === undefined) continue;
    if (!parts.join(...link.ends)) throw new RangeError(`previous: link ${id} closes a loop`);
    tree.push(id);
  }
  // In this order, links that lead away from the root come before those between nodes of the same distance.
  for (const { id, ends } of byDistance(graph, root)) if (parts.join(...ends)) tree.push(id);
  return tree.sort((a, b) => (a < b ? -1 : 1));
}

/** One link in one direction. */
export interface Hop {
  readonly from: number;
  readonly to: number;
  readonly link: string;
}

/**
 * The hops of a tree behind which there are receivers: a copy that travels these and no others reaches every receiver from any sender and
 * goes no way in vain.
 *
 * @param tree Ids of links without a loop, such as `spanningTree` gives.
 */
export function branches(graph: Graph, tree: Iterable<string>, receivers: ReadonlySet<number>): Hop[] {
  const inTree = new Set(tree);
  const hops: Hop[] = [];
  const seen = new Set<number>();
  for (const start of graph.nodes) {
    if (seen.has(start)) continue;
    const down = walk(graph, inTree, start);
    const counts = new Map<number, number>();
    const count = (node: number): number => counts.get(node) ?? (receivers.has(node) ? 1 : 0);
    for (const { from, to } of down.toReversed()) counts.set(from, count(from) + count(to));
    const all = count(start);
    for (const { from, to, link } of down) {
      if (count(to) > 0) hops.push({ from, to, link });
      if (all > count(to)) hops.push({ from: to, to: from, link });
    }
    seen.add(start);
    for (const { to } of down) seen.add(to);
  }
  return hops;
}

/** The hops away from a node over the links of a tree, the nearer ones first. */
function walk(graph: Graph, tree: ReadonlySet<string>, start: number): Hop[] {
  const hops: Hop[] = [];
  const queue = [{ node: start, by: '' }];
  for (const { node, by } of queue) {
    for (const { node: to, link } of graph.neighbours(node)) {
      if (link === by || !tree.has(link)) continue;
      hops.push({ from: node, to, link });
      queue.push({ node: to, by: link });
    }
  }
  return hops;
}

interface Ranked extends Link {
  readonly far: number;
  readonly near: number;
  readonly rank: number;
}

function byDistance(graph: Graph, root: number): Ranked[] {
  const distances = new Map(distancesTo(graph, root));
  // Parts that the root is not in have roots of their own.
  for (const node of [...graph.nodes].sort((a, b) => a - b)) {
    if (distances.has(node)) continue;
    for (const [other, distance] of distancesTo(graph, node)) distances.set(other, distance);
  }
  const distance = (node: number): number => distances.get(node) ?? 0;
  return graph.links
    .map((link): Ranked => {
      const [a, b] = link.ends;
      const [near, far] = distance(a) <= distance(b) ? [a, b] : [b, a];
      return { ...link, far: distance(far), near: distance(near), rank: seedOf(root, near) };
    })
    .sort((x, y) => x.far - y.far || x.near - y.near || x.rank - y.rank || (x.id < y.id ? -1 : 1));
}
