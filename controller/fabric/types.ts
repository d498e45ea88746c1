/** What is told of the fabric: its switches, what their ports lead to, links and stations. The HTTP API hands these out as they stand. */
import type { DatapathId } from '../model/facts.js';

/**
 * What a port leads to. `unknown`: not decided yet, nothing is forwarded from it or to it; `edge`: stations; `link`: another switch of the
 * fabric; `blocked`: by way of something that is no fabric switch to another port of the fabric, which is the one in use.
 */
export type PortRole = 'unknown' | 'edge' | 'link' | 'blocked';

export interface FabricSwitch {
  readonly datapathId: DatapathId;
  /** 16 bits, from the order in which switches were first seen; stable while the controller runs. */
  readonly number: number;
  /** False: it forwards on by itself, as it was told last. */
  readonly connected: boolean;
  readonly ports: number;
  readonly links: number;
  readonly stations: number;
}

export interface FabricPort {
  readonly datapathId: DatapathId;
  /** OpenFlow port number. */
  readonly port: number;
  readonly name: string;
  readonly role: PortRole;
  readonly up: boolean;
  /** The port of the other switch, of a link. */
  readonly neighbour?: { readonly datapathId: DatapathId; readonly port: number };
  readonly stations: number;
  /** Why it is not in use, for people. */
  readonly reason?: string;
}

/** Both directions of a link; `from` is the end that sorts first. */
export interface FabricLink {
  readonly from: { readonly datapathId: DatapathId; readonly port: number };
  readonly to: { readonly datapathId: DatapathId; readonly port: number };
}

export interface FabricStation {
  /** `02:02:0a:01:01:01`. */
  readonly mac: string;
  /** VLAN id; 0: untagged. */
  readonly vlan: number;
  readonly datapathId: DatapathId;
  readonly port: number;
  /** Milliseconds since 1970 of when it was last seen to be there: learned, moved, or its entry counted packets. */
  readonly lastSeen: number;
  /** How often it was found at another port. */
  readonly moves: number;
}

/** Probes that were refused, and why; see `Probes`. */
export interface ProbeCounters {
  readonly sent: number;
  readonly accepted: number;
  /** Frames of the LLDP EtherType that are not ours: a switch or a host that speaks LLDP for itself. */
  readonly foreign: number;
  /** Ours by their look, but the authentication does not fit: forged, or of a controller before this one. */
  readonly forged: number;
  /** Authentic, but too old, or heard before at the same port. */
  readonly replayed: number;
  /** Authentic, and back at the port it was sent from. */
  readonly reflected: number;
}

export interface StationCounters {
  readonly learned: number;
  readonly moved: number;
  readonly aged: number;
  /** Frames sent back to their switch, behind the table of stations. */
  readonly reinjected: number;
  /** Not learned: multicast or zero source address. */
  readonly invalidSource: number;
  /** Not learned: the port holds as many stations as it may. */
  readonly overPortLimit: number;
  /** Not learned: the fabric holds as many stations as it may. */
  readonly overTotalLimit: number;
  /** Moves not followed, because the station moved too often in too short a time. */
  readonly flapping: number;
  /** Frames from ports that are not edge ports, by now. */
  readonly notEdge: number;
}

/** All that `weft get fabric` shows. */
export interface FabricReport {
  readonly switches: readonly FabricSwitch[];
  readonly ports: readonly FabricPort[];
  readonly links: readonly FabricLink[];
  readonly stations: readonly FabricStation[];
  readonly probes: ProbeCounters;
  readonly learning: StationCounters;
}

/** What happens in the fabric, for the log and for those who watch. */
export type FabricEvent =
  | { readonly kind: 'link.up' | 'link.down'; readonly link: FabricLink }
  | {
      readonly kind: 'port.role';
      readonly datapathId: DatapathId;
      readonly port: number;
      readonly role: PortRole;
      readonly reason: string;
    }
  | {
      readonly kind: 'station.limit' | 'station.flapping';
      readonly datapathId: DatapathId;
      readonly port: number;
      readonly message: string;
    };
