/**
 * What the HTTP API needs of the controller. `controller/main` hands it in; tests hand in parts of it.
 */
import type { FabricReport } from '../fabric/types.js';
import type { KubernetesReport } from '../kubernetes/types.js';
import type { MetricFamily } from '../metrics.js';
import type { Model } from '../model/types.js';
import type { MulticastState } from '../multicast/types.js';
import type { DropCounter, Gathered, PacketListener, RuleCounters } from '../punt/types.js';
import type { FabricTraceReport, FabricTraceRequest } from '../trace/fabric/report.js';
import type { TraceReport, TraceRequest } from '../trace/report.js';

/** An entry that a switch refused. */
export interface RefusedEntry {
  /** As `ovs-ofctl` writes it. */
  readonly entry: string;
  /** The app and rule that derived it, and what it is about: `bridge.local of endpoint acme/web/a`. */
  readonly owner: string;
  /** What it is about, where it is about one thing; `number` is unique among those of its kind. */
  readonly object?: { readonly kind?: string; readonly number: number; readonly name?: string };
  /** Name of the OpenFlow error: `OFPBMC_BAD_FIELD`. */
  readonly error: string;
}

/** Facts that cannot work as they stand, reported by an app. */
export interface Problem {
  /** `vxlan.host.no-tunnel-address` */
  readonly code: string;
  /** The host or object it is about. */
  readonly subject: string;
  readonly message: string;
  readonly fix: string;
}

/** `unclaimed`: connected, and no agent claims it, so that nothing is desired of it and it is not read. */
export type DatapathState = 'disconnected' | 'unclaimed' | 'reading' | 'writing' | 'in-sync' | 'degraded';

export interface DatapathStatus {
  readonly datapathId: string;
  /** Host whose agent claims the datapath; absent for a fabric switch. */
  readonly host?: string;
  readonly state: DatapathState;
  /** Address of the switch's end of the connection, while connected. */
  readonly remoteAddress?: string;
  /** Flow entries, groups and meters that it should hold. */
  readonly entries: number;
  readonly refused: readonly RefusedEntry[];
  /** As long as they stand. */
  readonly problems: readonly Problem[];
  /** Entries that audits found missing, extra, changed, or of somebody else's making, and put right. */
  readonly healed: {
    readonly missing: number;
    readonly extra: number;
    readonly changed: number;
    readonly foreign: number;
  };
  /** Milliseconds since 1970 of the last complete comparison with the switch. */
  readonly lastAudit?: number;
}

export interface HostState {
  readonly host: string;
  /** `up`: its agent holds a lease; `down`: it ran out or was given up; `unknown`: not heard of since the start. */
  readonly state: 'up' | 'down' | 'unknown';
  readonly datapathId?: string;
  /** What forwards where it is not Open vSwitch. */
  readonly switch?: 'linux-bridge' | 'macvlan';
  readonly bridge?: string;
  readonly vtepIp?: string;
  readonly uplink?: string;
  /** Address of the agent's end of the connection. */
  readonly remoteAddress?: string;
  /** Milliseconds left of the lease. */
  readonly leaseMs?: number;
  readonly attached: number;
}

export interface ControllerStatus {
  /** Changes with every start. */
  readonly controllerId: string;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly store: { readonly driver: string; readonly state: string };
  /** `ADDRESS:PORT` in use; HTTP's own is added by the API. */
  readonly listeners: { readonly openflow?: string; readonly hub?: string; readonly http?: string };
  readonly datapaths: readonly DatapathStatus[];
  readonly hosts: readonly HostState[];
}

/** Whether one switch has everything that was committed before the question, closed by its barrier. */
export interface SwitchAcknowledgement {
  readonly datapathId: string;
  readonly host?: string;
  readonly ok: boolean;
  /** Why not: `refused`, `disconnected`, `unreadable`, `timeout`. */
  readonly reason?: string;
  readonly refused: readonly RefusedEntry[];
}

/** Something that happened to a switch or an agent, for `/v1/watch` (changes of objects come from the model). */
export interface ControllerEvent {
  /** Dotted: `datapath.in-sync`, `datapath.refused`, `datapath.healed`, `host.up`, `host.down`. */
  readonly event: string;
  readonly datapathId?: string;
  readonly host?: string;
  readonly [detail: string]: unknown;
}

export interface ApiBackend {
  readonly model: Model;
  status(): ControllerStatus;
  /** Reasons why the controller cannot do its work; empty when it can. */
  notReady(): readonly string[];
  /**
   * Derives and sends what has been committed up to now, and waits for the switches concerned. Switches that have not
   * answered when the signal aborts are in the answer with reason `timeout`.
   */
  acknowledged(signal: AbortSignal): Promise<readonly SwitchAcknowledgement[]>;
  /** Walks a packet through the entries that the switches hold. Rejects with an error that has a code where it cannot. */
  trace(request: TraceRequest): Promise<TraceReport>;
  /** The same for a frame through the fabric. */
  traceFabric(request: FabricTraceRequest): Promise<FabricTraceReport>;
  /** The returned function ends the calls. */
  onEvent(listener: (event: ControllerEvent) => void): () => void;
  /** The returned function ends the calls. */
  onPackets(listener: PacketListener): () => void;
  /** Asks the switches, or that of one host, why and how much they have dropped. */
  drops(host?: string): Promise<Gathered<DropCounter>>;
  /** Asks the switches what rules and defaults have decided. */
  ruleCounters(): Promise<Gathered<RuleCounters>>;
  /** What is known of group membership and distribution; of one network, or of all. `counters`: asks the switches as well. */
  multicast(network: string | undefined, counters: boolean): Promise<MulticastState>;
  /** What has been found out about the switches that no agent claims. */
  fabric(): FabricReport;
  /** What is known of the cluster that is watched, if any. */
  kubernetes(): KubernetesReport;
  /** Read at every scrape of `/metrics`. */
  metrics(): readonly MetricFamily[];
}
