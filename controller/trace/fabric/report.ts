/** What is asked of a trace through the fabric and what it tells, as they travel over HTTP: pure types. */
import type { TraceDeparture, TraceDifference, TraceOutcome, TraceStep } from '../report.js';

/** A frame from a station, or from a port. */
export interface FabricTraceRequest {
  /** MAC address, or IP address of a station that has been heard to use it. Optional with `switch` and `inPort`. */
  readonly from?: string;
  /** The same, or the address of a group: of Ethernet or IP. */
  readonly to: string;
  /** VLAN id; 0: without a tag. Default: that of the stations. */
  readonly vlan?: number;
  /** Datapath id and number of the port where the frame comes in. Default: where the station is. */
  readonly switch?: string;
  readonly inPort?: number;
}

export interface FabricTraceReport {
  /** `allowed`: it arrives, whichever way the switches choose, and so does the answer; of a group: once at each port. */
  readonly outcome: TraceOutcome;
  /** In a sentence, with the reason. */
  readonly verdict: string;
  readonly vlan: number;
  readonly from: FabricTraceParty;
  readonly to: FabricTraceParty;
  readonly request: FabricTraceLeg;
  /** Absent where the request did not arrive, or goes to many. */
  readonly reply?: FabricTraceLeg;
  readonly differences: readonly TraceDifference[];
}

export interface FabricTraceParty {
  readonly mac: string;
  readonly address?: string;
  /** Where it is; absent: nobody knows, or it is a group. */
  readonly switch?: string;
  readonly port?: number;
}

/** One direction. */
export interface FabricTraceLeg {
  readonly outcome: TraceOutcome;
  /** As `ofproto/trace` takes it, without `in_port`. */
  readonly packet: string;
  /** Switches in the order in which they are met. */
  readonly visits: readonly FabricTraceVisit[];
  /** Edge ports by which it leaves the fabric. */
  readonly deliveries: readonly FabricTraceDelivery[];
  /** Why it did not arrive, if it did not. */
  readonly reason?: string;
}

/** The frame in one switch. */
export interface FabricTraceVisit {
  readonly switch: string;
  readonly inPort: number;
  /** `port 3 (s1-eth1) from 02:00:00:00:00:01`, `port 1 (s2-eth1) from 000000000000fab1/2`. */
  readonly arrival: string;
  /** True: it comes here if a switch before it chooses this one of several next hops. */
  readonly alternative: boolean;
  /** Why its entries could not be seen; there are no steps then. */
  readonly unseen?: string;
  readonly steps: readonly TraceStep[];
  readonly departures: readonly TraceDeparture[];
}

export interface FabricTraceDelivery {
  readonly switch: string;
  readonly port: number;
  readonly name: string;
  /** Stations known there in the VLAN, at most ten. */
  readonly stations: readonly string[];
  readonly alternative: boolean;
  /** Switches on the way, and the port by which it left each. */
  readonly path: readonly { readonly switch: string; readonly port: number }[];
}
