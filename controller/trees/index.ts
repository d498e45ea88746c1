/** Public surface of trees; README.md says what they are for. */
export { distributionTree } from './distribution.js';
export { Graph, type Link, type Neighbour } from './graph.js';
export { seedOf } from './hash.js';
export { Parts } from './parts.js';
export { type Distances, distancesTo, loopFreeAlternates, nextHops } from './paths.js';
export { branches, type Hop, spanningTree } from './spanning.js';
export { depth, type Edge, membersOf, type MovedEdges, movedEdges, neighbours, type Tree } from './tree.js';
