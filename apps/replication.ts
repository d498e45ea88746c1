/**
 * Head-end replication: OpenFlow groups that copy a packet to many hosts, laid out as `flood-layout.ts` says. The entry that uses them has set
 * the VNI.
 */
import type { EntryContext } from '../controller/datapath/app.js';
import type { GroupSpec, ScopeName } from '../controller/datapath/entry.js';
import { GroupType, type Match } from '../ofproto/index.js';
import { bucket, group, resubmit, selectBucket } from './actions.js';
import { allPartsGroup, CHUNKS_PER_PART, partGroup, partOf, remoteChunkGroup } from './flood-layout.js';
import { R, T } from './pipeline.js';

/** Whose copies they are. */
export interface Replication {
  /** Block of group ids. */
  readonly block: number;
  /** Number of the network. */
  readonly network: number;
  /** What its packets are besides being of the network. */
  readonly match: Match;
  /** Of its entries in `flood_part`. */
  readonly priority: number;
  /** The object of its entries. */
  readonly object: number;
}

/** A group that copies to the hosts of one chunk, by number. */
export function chunkGroup(
  { block, object }: Pick<Replication, 'block' | 'object'>,
  chunk: number,
  hosts: readonly number[],
): GroupSpec {
  return {
    id: remoteChunkGroup(block, chunk),
    groupType: GroupType.ALL,
    buckets: hosts.map((host) => bucket(R.remoteHost.set(host), resubmit(T.tunnel_output))),
    object,
  };
}

/**
 * Groups that together reach all chunks: the chunks themselves, or one group over parts of them. A bucket holds at most one group (it is an
 * action set), so a part names its chunks in an entry of `flood_part`.
 */
export function chainChunks(
  context: EntryContext,
  scope: ScopeName,
  { block, network, match, priority, object }: Replication,
  chunks: readonly number[],
): readonly number[] {
  const groupsOf = (part: readonly number[]): number[] => part.map((chunk) => remoteChunkGroup(block, chunk));
  if (chunks.length <= CHUNKS_PER_PART) return groupsOf(chunks);
  const parts = [...new Set(chunks.map(partOf))];
  for (const part of parts) {
    context.group(scope, {
      id: partGroup(block, part),
      groupType: GroupType.SELECT,
      buckets: [selectBucket(R.floodPart.set(part), resubmit(T.flood_part))],
      object,
    });
    context.flow(scope, {
      table: T.flood_part,
      priority,
      match: [R.network.match(network), R.floodPart.match(part), ...match],
      apply: groupsOf(chunks.filter((chunk) => partOf(chunk) === part)).map(group),
      object,
    });
  }
  context.group(scope, {
    id: allPartsGroup(block),
    groupType: GroupType.ALL,
    buckets: parts.map((part) => bucket(group(partGroup(block, part)))),
    object,
  });
  return [allPartsGroup(block)];
}
