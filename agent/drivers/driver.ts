/**
 * What the agent needs of a software switch: Open vSwitch (`ovs.ts`), Linux bridges (`linux-bridge.ts`), macvlan (`macvlan.ts`). The interface
 * holds no term of any of them.
 */
import type { HostQueue, TunnelPeer, TunnelState } from '../../rpc/index.js';
import type { AttachmentRecord } from '../records.js';
import type { Legs } from './legs.js';
import type { Refusal, TableChange } from './table.js';

/** The integration bridge as the agent wants it. */
export interface BridgeSettings {
  readonly bridge: string;
  readonly hostLabel: string;
  /** 16 lower-case hexadecimal digits. */
  readonly datapathId: string;
  /** OpenFlow targets, `tcp:HOST:PORT`. */
  readonly controllers: readonly string[];
  /** Local address of tunnels; absent: no tunnel port. */
  readonly vtepIp?: string;
  /** Interface that becomes the VLAN uplink; absent: none. */
  readonly uplink?: string;
  /** MAC address of the bridge's own port; absent: left to the switch. */
  readonly hardwareAddress?: string;
  /** Hosts whose tunnels are watched; without `vtepIp` none is. */
  readonly peers: readonly TunnelPeer[];
  /** `auto`: the kernel datapath where the kernel has one, the userspace datapath else. */
  readonly datapath: 'auto' | 'netdev' | 'system';
  /** Whether flows go into network cards that can take them; absent: as it is. */
  readonly hwOffload?: boolean;
}

export interface BridgeState {
  /** The datapaths of Open vSwitch, and the switches without OpenFlow. */
  readonly datapathType: 'netdev' | 'system' | 'linux-bridge' | 'macvlan';
  /** What works less than wanted, as sentences for people. */
  readonly problems: readonly string[];
}

/** The queues of the uplinks as the controller wants them. */
export interface QueueSettings extends Pick<BridgeSettings, 'vtepIp' | 'uplink'> {
  readonly datapathType: BridgeState['datapathType'];
  readonly queues: readonly HostQueue[];
  /** What each uplink carries, kilobits per second; absent: what the interface says. */
  readonly uplinkRate?: number;
}

export type DriverState = 'connecting' | 'ready' | 'closed';

/** A port of the bridge that carries an endpoint, as the switch remembers it. */
export interface AttachedPort {
  readonly interface: string;
  /** OpenFlow port number, where the switch has told one. */
  readonly number?: number;
  readonly record: AttachmentRecord;
}

export interface SwitchDriver {
  readonly state: DriverState;
  /** Resolves when the switch is there and its ports are known. */
  ready(timeoutMs: number): Promise<void>;
  /** The switch came (back) or went. Returns the function that ends the listening. */
  onState(listener: (state: DriverState) => void): () => void;
  /** Something about the bridge's ports changed: look at {@link ports} again. */
  onPorts(listener: () => void): () => void;
  /** States of the watched tunnels, by host; those of which nothing is known yet are left out. */
  tunnels(): readonly TunnelState[];
  /** Calls back when {@link tunnels} are others. Returns the function that ends the listening. */
  onTunnels(listener: () => void): () => void;
  /**
   * Make the bridge, its tunnel port, its uplink and its controllers as wanted, in one step; what is so already is left alone.
   * Rejects with `agent.bridge.foreign`, `agent.port.failed`.
   */
  ensureBridge(settings: BridgeSettings): Promise<BridgeState>;
  /**
   * Make the queues of the uplinks as wanted; those of others are left. Resolves with what works less than wanted, as sentences for
   * people. Rejects with `agent.command.failed`.
   */
  ensureQueues(settings: QueueSettings): Promise<readonly string[]>;
  /** Endpoint ports on the bridge, with what was remembered about them. */
  ports(): readonly AttachedPort[];
  /** Make the interface a port, or renew what is remembered of it; resolves when the port is usable. Rejects with `agent.port.failed`. */
  addPort(interfaceName: string, record: AttachmentRecord): Promise<void>;
  /** No error when there is no such port. */
  removePort(interfaceName: string): Promise<void>;
  /** How workloads' interfaces are made. */
  readonly legs: Legs;
  /**
   * Of switches without OpenFlow: take what the controller says that this host forwards. Resolves, when the host does, with all rows that
   * it cannot follow; what is about them is closed. Rejects when the kernel refuses, and is told again then.
   */
  takeTable?(change: TableChange): Promise<readonly Refusal[]>;
  close(): void;
}
