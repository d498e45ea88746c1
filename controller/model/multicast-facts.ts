/**
 * Facts about multicast: who receives what, and over which trees copies for many travel. They come from observation (reports of
 * receivers, liveness of hosts), not from intents; `facts.ts` hands them on with the others. Pure types, no code.
 */
import type { EndpointId, NetworkId } from './facts.js';

/** A multicast group address. */
export type MulticastGroup =
  | { readonly family: 4; readonly address: number }
  | { readonly family: 6; readonly address: bigint };

/** Where a receiver (or a multicast router) is: an endpoint, or somewhere behind the VLAN uplink of the network. */
export type MulticastPlace = { readonly endpoint: EndpointId } | { readonly uplink: true };

/**
 * Somebody wants what is sent to a group in a network; key: `<number of network>/<group>/<id of endpoint, or "uplink">`, the group
 * as text.
 */
export interface MulticastReceiverFact {
  readonly network: NetworkId;
  readonly group: MulticastGroup;
  /** 23 bits, of (network, group), the same for all of its receivers and after a restart. */
  readonly groupNumber: number;
  readonly place: MulticastPlace;
  /**
   * Source filter (RFC 3376, RFC 3810): only these sources, or all but these. Addresses are of the family of the group, ascending, without
   * repetition. Absent: all sources.
   */
  readonly sources?: {
    readonly mode: 'include' | 'exclude';
    readonly addresses: readonly number[] | readonly bigint[];
  };
}

/** A multicast router: gets what is sent to any group. Key: `<number of network>/<id of endpoint, or "uplink">`. */
export interface MulticastRouterFact {
  readonly network: NetworkId;
  readonly place: MulticastPlace;
}

/** The colours of trees: two bits of the VNI above those that networks use. 0: no tree, a copy from its sender (head-end replication). */
export type TreeColour = 1 | 2 | 3;

/** A tree over hosts, by their numbers; hosts of degree 0 (a tree of one) are named by `root` alone. */
export interface DistributionTree {
  readonly colour: TreeColour;
  /** Where packets of hosts that are not on the tree enter it. */
  readonly root: number;
  /** Pairs of neighbours, the one nearer to the root first. */
  readonly edges: readonly (readonly [number, number])[];
}

/**
 * How copies for many reach the hosts of a VXLAN network; key: `<number of network>` for flooding, `<number of network>/<group>` for
 * a multicast group. While there is no such fact, or it has no `sending`, senders replicate (head-end replication).
 */
export interface DistributionFact {
  /** Number of the network. */
  readonly network: number;
  /** Absent: broadcast, and everything else that is flooded. */
  readonly group?: MulticastGroup;
  /** Trees whose relays stand on the switches: the one in use, one that is being prepared, one that is being left. Colours differ. */
  readonly trees: readonly DistributionTree[];
  /** Colour of the tree that senders use; absent: none. */
  readonly sending?: TreeColour;
}
