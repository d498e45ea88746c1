/** Which buckets of a group a packet takes: by the type of the group and by what the buckets watch (OpenFlow 1.3.5, sections 5.6.1 and 6.5). */
import { type Bucket, Group, GroupType, Port } from '../../ofproto/index.js';

export interface ExecutableGroup {
  /** `GroupType`. */
  readonly groupType: number;
  readonly buckets: readonly Bucket[];
}

/** What liveness of buckets depends on. */
export interface WatchedState {
  group(id: number): ExecutableGroup | 'unread' | undefined;
  /** Whether a port is up; undefined: it is not known. */
  portUp?(port: number): boolean | undefined;
}

export type TakenBuckets =
  | {
      readonly buckets: readonly Bucket[];
      /** The switch takes one of them, by a hash that is not known here. */
      readonly chosen: boolean;
      /** Of fast failover: index of the bucket that is taken, -1 if none is live. */
      readonly failover?: number;
    }
  | { readonly unknown: string };

/** Groups that watch groups, to this depth. */
const MAX_WATCH_DEPTH = 8;

export function takenBuckets(id: number, group: ExecutableGroup, state: WatchedState): TakenBuckets {
  const { groupType, buckets } = group;
  switch (groupType) {
    case GroupType.INDIRECT:
      return { buckets: buckets.slice(0, 1), chosen: false };
    case GroupType.SELECT: {
      // One whose port may be up or down may be chosen.
      const live = buckets.filter((bucket) => isLive(bucket, state) !== false);
      return { buckets: live, chosen: live.length > 1 };
    }
    case GroupType.FAST_FAILOVER:
      return firstLive(id, buckets, state);
    default:
      return { buckets, chosen: false };
  }
}

function firstLive(id: number, buckets: readonly Bucket[], state: WatchedState): TakenBuckets {
  for (const [index, bucket] of buckets.entries()) {
    const live = isLive(bucket, state);
    if (live === undefined) {
      const { watchPort, watchGroup } = bucket;
      const watched = watchPort === Port.ANY ? `group ${watchGroup}` : `port ${watchPort}`;
      return {
        unknown: `group ${id} of type fast failover: whether ${watched} lives, which it watches, is not known`,
      };
    }
    if (live) return { buckets: [bucket], chosen: false, failover: index };
  }
  return { buckets: [], chosen: false, failover: -1 };
}

/** A bucket that watches nothing is live, as Open vSwitch has it; undefined: it is not known. */
function isLive({ watchPort, watchGroup }: Bucket, state: WatchedState, depth = 0): boolean | undefined {
  const watched: (boolean | undefined)[] = [];
  if (watchPort !== Port.ANY) watched.push(state.portUp?.(watchPort));
  if (watchGroup !== Group.ANY) watched.push(isGroupLive(watchGroup, state, depth + 1));
  if (watched.length === 0 || watched.includes(true)) return true;
  return watched.includes(undefined) ? undefined : false;
}

/** A group is live while one of its buckets is. */
function isGroupLive(id: number, state: WatchedState, depth: number): boolean | undefined {
  const group = state.group(id);
  if (group === undefined) return false;
  if (group === 'unread' || depth > MAX_WATCH_DEPTH) return undefined;
  const lives = group.buckets.map((bucket) => isLive(bucket, state, depth));
  if (lives.includes(true)) return true;
  return lives.includes(undefined) ? undefined : false;
}
