/**
 * Ids of the groups of fabric switches.
 *
 *     1 to 65,535            the way to a switch, by its number
 *     0x20000 to 0x207ff     edge ports that flooded frames are copied to, 32 each
 */
const EDGE_CHUNKS = 0x2_0000;
const CHUNK_BITS = 5;

/** The next hops to a switch. */
export function pathGroup(switchNumber: number): number {
  return switchNumber;
}

/** Ports with neighbouring numbers share a chunk, so that one port more or less rewrites one small group. */
export function edgeChunk(port: number): number {
  return port >> CHUNK_BITS;
}

export function edgeChunkGroup(chunk: number): number {
  return EDGE_CHUNKS + chunk;
}
