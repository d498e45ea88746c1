/** What is told of group membership and distribution. The HTTP API hands these out as they stand. */
import type { EndpointId, NetworkId } from '../model/facts.js';

/** Who receives what is sent to one group in one network. */
export interface MulticastGroupState {
  readonly network: NetworkId;
  /** `239.1.1.1`, `ff05::1`. */
  readonly group: string;
  /** The number by which entries name it. */
  readonly number: number;
  readonly receivers: readonly MulticastReceiverState[];
  readonly distribution: DistributionState;
  /** Absent where it was not asked for. */
  readonly counters?: GroupCounters;
}

/** Since the entries were made; of the switches that answered. */
export interface GroupCounters {
  /** Packets that endpoints have sent to the group. */
  readonly sent: { readonly packets: number; readonly bytes: number };
  /** Packets for receivers, counted once for each host that has any. */
  readonly received: { readonly packets: number; readonly bytes: number };
}

export interface MulticastReceiverState {
  /** Absent: behind the VLAN uplink of the network. */
  readonly endpoint?: EndpointId;
  readonly host?: string;
  /** `IGMPv1` to `IGMPv3`, `MLDv1`, `MLDv2`: the oldest that was heard lately. */
  readonly version: string;
  /** Only these sources, or all but these; absent: all. */
  readonly sources?: { readonly mode: 'include' | 'exclude'; readonly addresses: readonly string[] };
  /** Until it is forgotten, unless it reports again. */
  readonly secondsLeft: number;
}

/** How copies reach the hosts. */
export interface DistributionState {
  /** `replication`: the sender's host sends one to each of the others. */
  readonly kind: 'replication' | 'tree';
  /** The next four are of a tree. Its colour, two bits of the VNI, tells its packets from those of the tree before. */
  readonly colour?: number;
  /** Names of hosts. */
  readonly root?: string;
  /** Pairs of neighbours, the one nearer to the root first. */
  readonly edges?: readonly (readonly [string, string])[];
  /** Another tree is being prepared, or left. */
  readonly changing?: true;
}

/** Multicast routers behind the uplink of a network: they get all groups. */
export interface MulticastRouterState {
  readonly network: NetworkId;
  /** Of the one heard last; absent: not heard since the start of the controller. */
  readonly address?: string;
  readonly learnedBy?: 'query' | 'pim';
  readonly secondsLeft: number;
}

/** Who asks the receivers of a network. */
export interface QuerierState {
  readonly network: NetworkId;
  readonly protocol: 'IGMP' | 'MLD';
  /** `weft`: the switches; `other`: somebody behind the uplink; `none`: nobody, by setting. */
  readonly querier: 'weft' | 'other' | 'none';
  readonly address?: string;
  readonly secondsLeft?: number;
}

export interface MulticastProblem {
  /** `multicast.limit.groups-of-endpoint` */
  readonly code: string;
  readonly network: NetworkId;
  /** Absent: somebody behind the uplink. */
  readonly endpoint?: EndpointId;
  readonly message: string;
  readonly fix: string;
}

/** A port of a fabric switch. */
export interface FabricPortPlace {
  readonly datapathId: string;
  /** OpenFlow port number. */
  readonly port: number;
}

/** Multicast in the fabric: switches without an agent. VLAN ids; 0: frames without a tag. */
export interface FabricMulticastState {
  /** VLANs with stations. `known`: their receivers are; the multicast of others is flooded. */
  readonly vlans: readonly { readonly vlan: number; readonly known: boolean }[];
  readonly groups: readonly FabricGroupState[];
  readonly routers: readonly (FabricPortPlace & {
    readonly vlan: number;
    readonly address?: string;
    readonly learnedBy?: 'query' | 'pim';
    readonly secondsLeft: number;
  })[];
  readonly queriers: readonly (Omit<QuerierState, 'network'> & { readonly vlan: number })[];
}

export interface FabricGroupState {
  readonly vlan: number;
  readonly group: string;
  readonly receivers: readonly (FabricPortPlace & {
    /** Of the station. */
    readonly mac: string;
    /** As of receivers in the overlay. */
    readonly version: string;
    readonly secondsLeft: number;
  })[];
  /** Links that carry the group, from where they are sent into; a link that carries it both ways is there twice. */
  readonly tree: readonly { readonly from: FabricPortPlace; readonly to: FabricPortPlace }[];
}

export interface MulticastState {
  readonly groups: readonly MulticastGroupState[];
  readonly routers: readonly MulticastRouterState[];
  readonly queriers: readonly QuerierState[];
  /** Switches whose counters are missing. */
  readonly silent: readonly {
    readonly datapathId: string;
    readonly host?: string;
    readonly reason: string;
  }[];
  /** Who wants more than it gets; for an hour after it was last tried. */
  readonly problems: readonly MulticastProblem[];
  /** How broadcast, and multicast that is not registered, reaches the hosts of VXLAN networks. */
  readonly floods: readonly { readonly network: NetworkId; readonly distribution: DistributionState }[];
  /** Absent where there is no fabric, or it does not listen. */
  readonly fabric?: FabricMulticastState;
}
