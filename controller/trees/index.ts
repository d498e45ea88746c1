/** Public surface of trees; README.md says what they are for. */
export { distributionTree } from './distribution.js';
export { seedOf } from './hash.js';
export { depth, type Edge, membersOf, type MovedEdges, movedEdges, neighbours, type Tree } from './tree.js';
