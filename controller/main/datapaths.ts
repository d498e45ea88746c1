/** What the wiring needs of `controller/datapath`'s DatapathController; narrow, so that tests can stand in for it. */
import type { SwitchSession } from '../channel/index.js';
import type { Input } from '../derive/index.js';
import type {
  DatapathId,
  EndpointFact,
  HostFact,
  NetworkFact,
  PortFact,
  TenantFact,
} from '../model/facts.js';
import type { SwitchAnswer } from '../hub/index.js';

export interface Turn {
  /** Switches whose desired table changed. */
  readonly datapaths: readonly DatapathId[];
  /** Of everything up to and with this turn. */
  acknowledged(datapathId: DatapathId): Promise<SwitchAnswer>;
}

export interface FactInputs {
  readonly tenants: Input<TenantFact>;
  readonly networks: Input<NetworkFact>;
  readonly endpoints: Input<EndpointFact>;
  readonly hosts: Input<HostFact>;
  /** By `<datapathId>/<name>`. */
  readonly ports: Input<Omit<PortFact, 'host'>>;
}

export interface Datapaths {
  readonly facts: FactInputs;
  settle(): Turn;
  addSession(session: SwitchSession): void;
  removeSession(session: SwitchSession): void;
  waitForSync(datapathId: DatapathId, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Of every switch that is connected, was, or is claimed. */
  status(): readonly SwitchStatus[];
  /** Undefined for a switch that nobody has heard of. */
  statusOf(datapathId: DatapathId): SwitchStatus | undefined;
  readonly counters: WorkCounters;
  /** The returned function ends the calls. */
  onEvent(listener: (event: SwitchEvent) => void): () => void;
}

export interface SwitchEvent {
  /** `synced`, `healed`, `refused`, `state`, `trouble`, `conflict`, `failure`. */
  readonly kind: string;
  readonly datapathId?: DatapathId;
}

/** A switch as its controller sees it. */
export interface SwitchStatus {
  readonly datapathId: DatapathId;
  /** `unclaimed`: connected, and nothing is desired of it. */
  readonly state: 'disconnected' | 'unclaimed' | 'reading' | 'writing' | 'in-sync' | 'degraded';
  readonly remoteAddress?: string;
  readonly entries: number;
  readonly refused: readonly { readonly entry: string; readonly owner: string; readonly error: string }[];
  readonly healed: Difference;
  readonly lastRead?: Date;
}

export interface Difference {
  readonly missing: number;
  readonly extra: number;
  readonly changed: number;
  readonly foreign: number;
}

/** Work done since the start. */
export interface WorkCounters {
  readonly turns: number;
  readonly derivationRuns: number;
  readonly entriesEncoded: number;
  readonly entriesSent: number;
  readonly bytesSent: number;
  readonly transactions: number;
  readonly transactionsRefused: number;
  readonly audits: number;
}
