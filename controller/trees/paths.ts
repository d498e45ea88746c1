/** Shortest paths by number of links, and what else leads on without a loop. */
import type { Graph, Neighbour } from './graph.js';

/** Links between each node and one destination, on the shortest path; nodes without a path are not there. */
export type Distances = ReadonlyMap<number, number>;

/** Breadth first; O(nodes + links). */
export function distancesTo(graph: Graph, destination: number): Distances {
  const distances = new Map<number, number>();
  if (graph.has(destination)) distances.set(destination, 0);
  // A map is iterated in the order in which it grows, so it is the queue as well.
  for (const [node, distance] of distances) {
    for (const { node: next } of graph.neighbours(node)) {
      if (!distances.has(next)) distances.set(next, distance + 1);
    }
  }
  return distances;
}

/** Neighbours of a node that are nearer to the destination, each by every link there is to it (equal cost). */
export function nextHops(graph: Graph, distances: Distances, node: number): Neighbour[] {
  const own = distances.get(node);
  return own === undefined ? [] : at(graph, distances, node, own - 1);
}

/**
 * Neighbours that a node may hand packets to while it cannot reach its next hops, without ever getting them back: loop-free alternates
 * (RFC 5286, inequality 1: D(N, destination) < D(N, node) + D(node, destination)). As each link counts one, those are the neighbours that are
 * as far from the destination as the node itself. First those whose shortest paths do not lead over a next hop of the node either
 * (inequality 3, node protection), which help when that switch has died and not only the link.
 */
export function loopFreeAlternates(graph: Graph, distances: Distances, node: number): Neighbour[] {
  const own = distances.get(node);
  if (own === undefined || own === 0) return [];
  const primary = new Set(nextHops(graph, distances, node).map((hop) => hop.node));
  const protecting: Neighbour[] = [];
  const others: Neighbour[] = [];
  for (const neighbour of at(graph, distances, node, own)) {
    const shares = nextHops(graph, distances, neighbour.node).some((hop) => primary.has(hop.node));
    (shares ? others : protecting).push(neighbour);
  }
  return [...protecting, ...others];
}

const at = (graph: Graph, distances: Distances, node: number, distance: number): Neighbour[] =>
  graph.neighbours(node).filter((neighbour) => distances.get(neighbour.node) === distance);
