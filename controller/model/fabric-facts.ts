/**
 * Facts about fabric switches, the switches that no agent claims: how they are linked and where stations are. They are discovered
 * (LLDP, frames), not intended; `facts.ts` hands them on with the others. Pure types, no code.
 *
 * In the fabric's own tables a switch is a `HostFact` whose name is its datapath id.
 */
import type { DatapathId } from './facts.js';
import type { MulticastGroup } from './multicast-facts.js';

/**
 * What a port of a fabric switch leads to; key: `<datapathId>/<port number>`. A port without this fact is not yet known: nothing is
 * forwarded from it or to it.
 */
export interface FabricPortFact {
  readonly datapathId: DatapathId;
  readonly port: number;
  /** `edge`: stations; `link`: another fabric switch; `blocked`: leads back into the fabric by way of something that is not a fabric switch. */
  readonly role: 'edge' | 'link' | 'blocked';
  /** False: the port is down, or its neighbour is not heard any more. */
  readonly up: boolean;
}

/** A link in one direction; key: `<datapathId>/<port number>` of where it begins. Both directions are heard before either is a fact. */
export interface LinkFact {
  readonly datapathId: DatapathId;
  readonly port: number;
  readonly toDatapathId: DatapathId;
  readonly toPort: number;
}

/**
 * A port of a link that floods the frames of a class of VLANs; key: `<class>/<datapathId>/<port number>`. Flooded frames travel a link
 * when both of its ports do. Written by the planner of flood trees (`controller/fabric/flood-planner.ts`), which sees to it that
 * whatever the switches hold by now, flooded frames never meet a loop.
 */
export interface FloodPortFact {
  /** 0 to 7. */
  readonly treeClass: number;
  readonly datapathId: DatapathId;
  readonly port: number;
}

/** A fabric switch that has no connection; key: its datapath id. It forwards on as it was told, if it lives. */
export interface AwaySwitchFact {
  readonly datapathId: DatapathId;
}

/** A station at an edge port; key: `<VLAN id>/<MAC, 12 hexadecimal digits>`. */
export interface StationFact {
  /** VLAN id of its frames; 0: untagged. */
  readonly vlan: number;
  readonly mac: number;
  /** 24 bits, unique. */
  readonly number: number;
  readonly datapathId: DatapathId;
  readonly port: number;
}

/** Group membership is listened to on fabric switches; key: `fabric`. Without this fact multicast is flooded. */
export interface FabricMulticastFact {
  /** What is sent to groups that nobody has joined. `drop`: only multicast routers get it. */
  readonly unregistered: 'flood' | 'drop';
}

/**
 * A VLAN whose receivers are known, since they have been asked and have had time to answer; key: `<VLAN id>`. The multicast of others is
 * flooded.
 */
export interface SnoopedVlanFact {
  /** 0: frames without a tag. */
  readonly vlan: number;
}

/** A station wants what is sent to a group, from whatever source; key: `<VLAN id>/<group>/<MAC>`, the group as text. */
export interface FabricReceiverFact {
  readonly vlan: number;
  readonly group: MulticastGroup;
  /** Where the station is. */
  readonly datapathId: DatapathId;
  readonly port: number;
}

/** An edge port behind which there is a multicast router, which gets what is sent to any group; key: `<VLAN id>/<datapathId>/<port number>`. */
export interface FabricRouterFact {
  readonly vlan: number;
  readonly datapathId: DatapathId;
  readonly port: number;
}
