/** What the hub needs of the model and of the switches, and what it tells. Narrow, so that tests stand in for either. */
import type { Address, Clock, HostQueue, PeerLimits, TunnelPeer, TunnelState } from '../../rpc/index.js';
import type { SoftSwitch } from '../model/facts.js';
import type { Model } from '../model/types.js';
import type { TableSource } from './host-tables.js';

export type HubModel = Pick<
  Model,
  | 'claimHost'
  | 'requestEndpoint'
  | 'attach'
  | 'detach'
  | 'mergeSnapshot'
  | 'endpoint'
  | 'lookUpName'
  | 'lookUpAddress'
  | 'endpointsOfHost'
  | 'requestNetwork'
  | 'releaseNetwork'
  | 'networks'
  | 'reserveAddress'
  | 'releaseAddress'
  | 'leasesOfHost'
  | 'facts'
  | 'onFacts'
>;

/** An entry that a switch would not take. */
export interface RefusedEntry {
  readonly entry: string;
  /** For people: the rule, and what the entry is about. */
  readonly owner: string;
  /** What the entry is about, where it is about one thing. */
  readonly object?: { readonly kind?: string; readonly number: number };
  readonly error: string;
}

/** Whether a switch has taken what it was sent. */
export interface SwitchAnswer {
  readonly ok: boolean;
  /** Why not: `refused`, `disconnected`, `unreadable`, … */
  readonly reason?: string;
  readonly refused: readonly RefusedEntry[];
}

export interface HubTurn {
  /**
   * Resolves when the switch has closed by a barrier everything that was sent to it up to and with this turn, or with the
   * reason why it did not. A switch that the turn has nothing for answers for the turns before.
   */
  acknowledged(datapathId: string): Promise<SwitchAnswer>;
}

export interface HubSwitches {
  /** Derives and sends what the model has committed up to now; calls that come together share a turn. */
  settle(): Promise<HubTurn>;
  /** `reading`: connected, and what it holds is not compared yet. */
  connection(datapathId: string): 'disconnected' | 'reading' | 'ready';
  /** What the switch refuses now, whenever it was sent. */
  refusals(datapathId: string): readonly RefusedEntry[];
  /** Resolves when the switch is connected, has been read and holds what it should; rejects when the signal aborts. */
  waitForSync(datapathId: string, options: { readonly signal: AbortSignal }): Promise<void>;
  /** What the host is to have on its uplinks now. */
  queues(host: string): readonly HostQueue[];
  /** Tables of hosts without OpenFlow. */
  readonly tables: TableSource;
  /** Whose tunnels the host is to watch now; at most `MAX_WATCHED_PEERS`. */
  peers(host: string): readonly TunnelPeer[];
  /** Resolves when the switch has a port of this name and facts know it; rejects when the signal aborts. */
  waitForPort(datapathId: string, name: string, options: { readonly signal: AbortSignal }): Promise<void>;
}

export interface AgentHubOptions {
  readonly model: HubModel;
  readonly switches: HubSwitches;
  readonly addresses: readonly Address[];
  /** Told to agents; changes with every start. */
  readonly controllerId: string;
  /** Milliseconds; default 15,000. */
  readonly leaseMs?: number;
  readonly maxConnections?: number;
  readonly limits?: Partial<PeerLimits>;
  /** Milliseconds an attach waits for the home switch when the agent names no deadline; default 10,000. */
  readonly attachDeadlineMs?: number;
  readonly clock?: Clock;
  readonly onEvent?: (event: HubEvent) => void;
  /** The whole truth of a host about the tunnels it watches; empty when its agent is gone, and nothing is known any more. */
  readonly onTunnels?: (host: string, tunnels: readonly TunnelState[]) => void;
  /** Failures of our own: bugs, and a model that could not be written. */
  readonly onUnexpected?: (error: unknown, method: string) => void;
  /** An agent's connection could not be accepted; the hub goes on listening. */
  readonly onListenerError?: (error: Error) => void;
}

/** What happened to an agent. */
export type HubEvent =
  | {
      readonly event: 'host.up';
      readonly host: string;
      readonly epoch: number;
      readonly datapathId?: string;
      /** Absent: Open vSwitch. */
      readonly switch?: SoftSwitch;
      readonly remoteAddress: string;
      readonly attachments: number;
      readonly stale: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly event: 'host.disconnected'; readonly host: string; readonly reason: string }
  | { readonly event: 'host.down'; readonly host: string; readonly reason: string }
  | {
      readonly event: 'host.refused';
      readonly host: string;
      readonly remoteAddress: string;
      readonly code: string;
      readonly reason: string;
    }
  | {
      readonly event: 'host.unresponsive';
      readonly host: string;
      readonly method: string;
      readonly reason: string;
    };

/** An agent as the hub sees it, for status. */
export interface HubHost {
  readonly host: string;
  /** `up`: its agent holds a lease; `down`: it ran out or was given back; `unknown`: not heard of since the start. */
  readonly state: 'up' | 'down' | 'unknown';
  readonly connected: boolean;
  readonly datapathId?: string;
  /** Absent: Open vSwitch. */
  readonly switch?: SoftSwitch;
  readonly bridge?: string;
  readonly vtepIp?: string;
  readonly uplink?: string;
  readonly epoch?: number;
  readonly remoteAddress?: string;
  /** Milliseconds left of the lease, while it lasts. */
  readonly leaseMs?: number;
  /** Milliseconds since the agent was last heard of. */
  readonly silentMs?: number;
  /** Endpoints attached on it. */
  readonly attached: number;
}
