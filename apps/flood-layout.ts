/**
 * How flood groups are laid out.
 *
 * The receivers of a network are spread over many small groups ("chunks") by a number that they keep, so that one receiver more or less
 * rewrites one group of about 32 buckets, whatever the size of the network, and no group comes near the 64 KB of a message.
 * The entry that floods names the chunks one after the other.
 *
 * Open vSwitch gives up on a packet when its copies need more than 64 KB of datapath actions (84 bytes for each VXLAN copy over IPv4 and 104
 * over IPv6 on the userspace datapath: about 780 and 630 hosts, counted on 3.1). So where a network has more than `CHUNKS_PER_PART` chunks of
 * remote hosts, chunks are chained into parts of at most 512 hosts: the entry names one group with a bucket for each part, and a
 * part is a group of type select with one bucket, because selecting by hash recirculates the packet and starts its actions anew.
 */

/** Receivers with neighbouring numbers share a chunk. */
const CHUNK_BITS = 5;
const REMOTE_CHUNKS = 128;
const LOCAL_CHUNKS = 64;
export const CHUNKS_PER_PART = 16;

/*
 * Group ids: 24 bits of block, 8 bits of slot. Blocks are networks by number (23 bits) and, above them, multicast groups by number (23 bits;
 * the last one is no use: ids from 0xffffff01 are reserved, OFPG_MAX).
 *     0 to 127     remote chunks, by number of host
 *     128 to 191   local chunks, by port
 *     192 to 199   parts of remote chunks
 *     200          all parts
 * No network has number 0; of its ids
 *     1            to a receiver with a rate
 */
const FIRST_MULTICAST_BLOCK = 2 ** 23;
const SLOTS = 256;
const FIRST_LOCAL_SLOT = 128;
const FIRST_PART_SLOT = 192;
const ALL_PARTS_SLOT = 200;
export const RATED_RECEIVER_GROUP = 1;

/** Chunk of a remote host. Numbers that are 4,096 apart share one: 512 receivers at most. */
export function remoteChunk(hostNumber: number): number {
  return (hostNumber >> CHUNK_BITS) % REMOTE_CHUNKS;
}

/** Chunk of a local port. Numbers that are 2,048 apart share one: 1,024 receivers at most, which take 32 KB. */
export function localChunk(port: number): number {
  return (port >> CHUNK_BITS) % LOCAL_CHUNKS;
}

/** Part of a remote chunk, 0 to 7. */
export function partOf(chunk: number): number {
  return Math.floor(chunk / CHUNKS_PER_PART);
}

/** Block of group ids of a multicast group, for the functions below that number groups of remote hosts; that of a network is its number. */
export function multicastBlock(groupNumber: number): number {
  return FIRST_MULTICAST_BLOCK + groupNumber;
}

export function remoteChunkGroup(block: number, chunk: number): number {
  return block * SLOTS + chunk;
}

export function localChunkGroup(block: number, chunk: number): number {
  return block * SLOTS + FIRST_LOCAL_SLOT + chunk;
}

export function partGroup(block: number, part: number): number {
  return block * SLOTS + FIRST_PART_SLOT + part;
}

export function allPartsGroup(block: number): number {
  return block * SLOTS + ALL_PARTS_SLOT;
}
