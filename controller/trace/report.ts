/** What is asked of a trace and what it tells, as they travel over HTTP: pure types. */

export interface TraceRequest {
  /** `<tenant>/<network>/<endpoint>`, or an address in the network of the other side. */
  readonly from: string;
  readonly to: string;
  /** Default: that of the addresses, else 4. */
  readonly family?: 4 | 6;
  /** `tcp`, `udp`, `sctp`, `icmp`, `icmpv6` or a number. Default: icmp, an echo request. */
  readonly protocol?: string;
  /** Destination port; needed with tcp, udp and sctp. */
  readonly port?: number;
  /** Default 49152. */
  readonly sourcePort?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/**
 * `allowed`: what was sent arrived, and so did the answer if there is one. `dropped`: an entry or a miss dropped it. `rejected`: it was
 * dropped, and the sender is told. `unseen`: a part of the way could not be seen, and up to there nothing dropped it. `lost`: it left in
 * another direction, or something cannot be told.
 */
export type TraceOutcome = 'allowed' | 'dropped' | 'rejected' | 'unseen' | 'lost';

export interface TraceReport {
  readonly outcome: TraceOutcome;
  /** In a sentence, with the reason. */
  readonly verdict: string;
  readonly from: TraceParty;
  readonly to: TraceParty;
  readonly network: string;
  /** `tcp 80` */
  readonly service: string;
  readonly request: TraceLeg;
  /** Absent where the request did not arrive, or has no answer. */
  readonly reply?: TraceLeg;
  readonly differences: readonly TraceDifference[];
}

export interface TraceParty {
  readonly endpoint?: string;
  readonly address: string;
  readonly mac: string;
  readonly host?: string;
}

/** One direction. */
export interface TraceLeg {
  readonly outcome: TraceOutcome;
  /** The packet as `ovs-ofctl` and `ofproto/trace` write it, without `in_port`. */
  readonly packet: string;
  /** What policy said of it, in the order of its way. */
  readonly decisions: readonly TraceDecision[];
  /** Switches in the order in which it met them. */
  readonly visits: readonly TraceVisit[];
  /** Why it did not arrive, if it did not. */
  readonly reason?: string;
}

/** The packet in one switch. */
export interface TraceVisit {
  readonly host: string;
  readonly datapathId: string;
  /** `port 3 from acme/web/a`, `tunnel from h1`, `uplink, VLAN 11`. */
  readonly arrival: string;
  /** `new`, or `est,rpl` where the switch knows the connection. */
  readonly connection: string;
  /** Why its entries could not be seen; there are no steps then. */
  readonly unseen?: string;
  readonly steps: readonly TraceStep[];
  readonly departures: readonly TraceDeparture[];
}

/** One lookup. */
export interface TraceStep {
  /** Lookups within resubmits, groups and tracked copies lie deeper. */
  readonly depth: number;
  readonly table: string;
  readonly tableId: number;
  /** Where it differs from going on to the table: `resubmit`, `tracked`, `bucket 2 of group 7`. */
  readonly cause?: string;
  /** As `ovs-ofctl dump-flows` writes it, counters included; absent: nothing matched. */
  readonly entry?: string;
  /** App, rule of the app and what the entry is about: `bridge.local of endpoint acme/web/a`. */
  readonly owner?: string;
  /** Entries that made up a conjunctive match. */
  readonly conjunction?: readonly string[];
  readonly remarks: readonly string[];
}

export interface TraceDeparture {
  readonly port: number;
  /** `endpoint acme/web/b`, `tunnel to h2`, `uplink, VLAN 11`, `controller`. */
  readonly to: string;
}

/** What policy said in one switch. */
export interface TraceDecision {
  readonly host: string;
  /** `out`: judged where the source of the connection lives; `in`: where its destination does. */
  readonly direction: 'in' | 'out';
  readonly action: 'allow' | 'deny' | 'reject';
  /** `<tenant>/<policy>/<rule>`; absent: a default decided. */
  readonly rule?: string;
  /** `<tenant>/<policy>`; absent: the default of the tenant. */
  readonly policy?: string;
  /** What it is written in: `Policy acme/front, rules[2]`. */
  readonly intent?: string;
  /** Where that is, if `weft trace` was given the file. */
  readonly file?: string;
  /** Counted from 1. */
  readonly line?: number;
  /** In words: `rule http of policy acme/front`. */
  readonly because: string;
}

/** How the tables that were read differ from what the switch should hold. */
export interface TraceDifference {
  readonly host: string;
  readonly missing: number;
  readonly extra: number;
  readonly changed: number;
  readonly foreign: number;
  /** Some of them, in words. */
  readonly examples: readonly string[];
}
