/** What is told of packets: events of single ones, and counters of drops and of rules. The HTTP API hands these out as they stand. */
import type { DatapathId, EndpointId, NetworkId, TenantObjectId } from '../model/facts.js';

/** One end of a packet. Absent: the packet does not say, or what it says is cut off. */
export interface PacketEnd {
  /** The endpoint of the network that has the address. */
  readonly endpoint?: EndpointId;
  /** `02:02:0a:01:01:01`. */
  readonly mac?: string;
  /** `10.1.1.1`, `fd00::1`. */
  readonly address?: string;
  /** Of TCP, UDP and SCTP. */
  readonly port?: number;
}

/**
 * Packets that a policy logs or rejects: the first one of a flow when it comes, then once a second how many more there were. The sum of
 * `count` over the events of a flow is the number of packets that came to the controller; switches send at most some 100 a second.
 */
export interface PacketEvent {
  /** Milliseconds since 1970 of the last of them. */
  readonly time: number;
  readonly count: number;
  readonly verdict: 'allow' | 'deny' | 'reject';
  /** `out`: judged where the connection's source lives; `in`: where its destination lives. */
  readonly direction: 'in' | 'out';
  /** `<tenant>/<policy>/<rule>`; absent where a default decided. */
  readonly rule?: string;
  /** Policy of the rule, or the one whose default decided. */
  readonly policy?: TenantObjectId;
  /** Set where no rule decided: whose default did. */
  readonly default?: 'policy' | 'tenant';
  readonly tenant?: string;
  readonly network?: NetworkId;
  readonly source: PacketEnd;
  readonly destination: PacketEnd;
  /** `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, `arp`, else the number: `ip 47`, `ethertype 0x88cc`. */
  readonly protocol: string;
  readonly icmp?: { readonly type: number; readonly code: number };
  /** Names of the flags that are set, as `SYN,ACK`. */
  readonly tcpFlags?: string;
  /** A fragment other than the first: it has no ports. */
  readonly fragment?: true;
  /** It belongs to a connection that its destination began. */
  readonly answer?: true;
  /** Bytes of the whole frame. */
  readonly length: number;
  readonly datapathId: DatapathId;
  readonly host?: string;
}

/** One reason for which one switch drops packets, and how many it dropped since the entry was made. */
export interface DropCounter {
  /** For programs: `policy.rule`, `spoofed.ipv4-source`. */
  readonly cause: string;
  /** For people: `forged IPv4 source address`. */
  readonly text: string;
  readonly datapathId: DatapathId;
  readonly host?: string;
  /** Name of the table that holds the entry. */
  readonly table: string;
  /** Who sent it, or to whom it went, where the entry is about one endpoint. */
  readonly endpoint?: EndpointId;
  readonly network?: NetworkId;
  readonly tenant?: string;
  readonly rule?: string;
  readonly policy?: TenantObjectId;
  readonly packets: number;
  readonly bytes: number;
  /** The packets go on to an entry that is about their sender and are counted there too: do not add both. */
  readonly countedAgain?: true;
}

/** What a rule did, summed over the switches that hold it. */
export interface RuleCounters {
  /** `<tenant>/<policy>/<rule>`; `<tenant>/<policy>` for a default of a policy, `<tenant>` for that of a tenant. */
  readonly name: string;
  readonly kind: 'rule' | 'policy-default' | 'tenant-default';
  readonly tenant: string;
  readonly direction: 'in' | 'out';
  /** Packets it decided on, of both directions of the connections. */
  readonly packets: number;
  readonly bytes: number;
  /** First packets of connections; for deny and reject every attempt. Defaults do not tell first packets from others: 0. */
  readonly connections: number;
  /** Switches that hold it now and answered. */
  readonly switches: number;
}

/** Answer to a question that was put to several switches. */
export interface Gathered<T> {
  readonly items: readonly T[];
  /** Switches that are away or did not answer; what they count is missing, or as it was last read. */
  readonly silent: readonly {
    readonly datapathId: DatapathId;
    readonly host?: string;
    readonly reason: string;
  }[];
}

/** Who wants to know of packets that policies log or reject. */
export interface PacketListener {
  packet(event: PacketEvent): void;
  /** That many packets are in no event. */
  lost(packets: number): void;
}
