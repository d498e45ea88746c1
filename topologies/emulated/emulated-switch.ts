import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { FlowMod, GroupMod, Message, MeterMod, PortDescription } from '../../ofproto/index.js';
import { encode, PortReason, PortState } from '../../ofproto/index.js';
import { newCounters } from './counters.js';
import { Protocol } from './protocol.js';
import type { FlowEntry, Refusal } from './tables.js';
import { EmulatedTables } from './tables.js';

/** A port by what matters about it. */
export interface EmulatedPort {
  readonly number: number;
  /** At most 15 bytes. */
  readonly name: string;
  /** 48-bit number; default derived from datapath id and port number. */
  readonly hardwareAddress?: number;
  /** Default true. */
  readonly up?: boolean;
}

export interface EmulatedSwitchOptions {
  readonly controller: { readonly host: string; readonly port: number };
  /** 16 hex digits. */
  readonly datapathId: string;
  readonly ports?: readonly EmulatedPort[];
  /**
   * Keep entries, so that they read back, groups and meters that entries use must exist, and a bundle that fails is undone.
   * Without, everything is acknowledged and counted, and nothing but its header is read. Default true.
   */
  readonly store?: boolean;
  /** Answer bundles, or refuse them as unknown. Default true. */
  readonly bundles?: boolean;
  /** Flow tables announced. Default 254. */
  readonly tables?: number;
  /**
   * Looks at each modification before it is applied; what it returns is answered with that error. `when`: as it is added to a bundle, or
   * at commit (default). Needs `store`.
   */
  readonly refuse?: (
    modification: FlowMod | GroupMod | MeterMod,
  ) => (Refusal & { readonly when?: 'add' | 'commit' }) | undefined;
  /** Milliseconds before every answer. Default 0. */
  readonly delayMs?: number;
  /** Milliseconds after which a lost connection is tried again; false: not at all. Default false. */
  readonly reconnectMs?: number | false;
}

/** An OpenFlow 1.3 switch that is nothing but its connection and its tables: it takes entries and forwards no packet. */
export class EmulatedSwitch {
  readonly datapathId: string;
  readonly tables = new EmulatedTables();
  readonly counters = newCounters();
  /** May be changed at any time. */
  delayMs: number;
  refuse: EmulatedSwitchOptions['refuse'];
  readonly #options: EmulatedSwitchOptions;
  readonly #ports = new Map<number, EmulatedPort>();
  readonly #listeners = new Set<(message: Message) => void>();
  #socket: Socket | undefined;
  #protocol: Protocol | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: EmulatedSwitchOptions) {
    this.#options = options;
    this.datapathId = options.datapathId;
    this.delayMs = options.delayMs ?? 0;
    this.refuse = options.refuse;
    for (const port of options.ports ?? []) this.#ports.set(port.number, port);
  }

  /** Makes a switch and resolves when it is connected. */
  static async connect(options: EmulatedSwitchOptions): Promise<EmulatedSwitch> {
    const emulated = new EmulatedSwitch(options);
    await emulated.connect();
    return emulated;
  }

  get connected(): boolean {
    return this.#protocol !== undefined;
  }

  get ports(): readonly EmulatedPort[] {
    return [...this.#ports.values()];
  }

  /** Stored flow entries. */
  get flows(): readonly FlowEntry[] {
    return [...this.tables.flows.values()];
  }

  /** Connects; resolves when the socket is open. Tables and counters are kept from the last connection. */
  async connect(): Promise<void> {
    this.#stopped = false;
    const socket = connect({ ...this.#options.controller, noDelay: true });
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }).catch((error: unknown) => {
      this.#tryAgain();
      throw error;
    });
    this.counters.connections += 1;
    const protocol = new Protocol(socket, {
      datapathId: BigInt(`0x${this.datapathId}`),
      tables: this.#options.tables ?? 254,
      store: this.#options.store === false ? undefined : this.tables,
      bundles: this.#options.bundles ?? true,
      counters: this.counters,
      ports: () => this.ports.map((port) => this.#describe(port)),
      refuse: (modification) => this.refuse?.(modification),
      delayMs: () => this.delayMs,
      heard: (message) => {
        for (const listener of this.#listeners) listener(message);
      },
      listening: () => this.#listeners.size > 0,
    });
    this.#protocol = protocol;
    socket.on('error', () => {});
    socket.on('close', () => {
      protocol.stop();
      if (this.#protocol !== protocol) return;
      this.#protocol = undefined;
      this.#tryAgain();
    });
  }

  /** Calls back with every message of the controller, decoded. Returns the way to stop. */
  onMessage(listener: (message: Message) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Sends a message as it is. */
  send(message: Message): void {
    this.sendBytes(encode(message));
  }

  /** Sends bytes as they are, whatever they may be. */
  sendBytes(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** Bytes sent that the controller has not taken yet. */
  get pendingBytes(): number {
    return this.#socket?.writableLength ?? 0;
  }

  /** Adds or changes a port, and tells the controller. */
  setPort(port: EmulatedPort): void {
    const reason = this.#ports.has(port.number) ? PortReason.MODIFY : PortReason.ADD;
    this.#ports.set(port.number, port);
    this.#tellPort(reason, port);
  }

  /** Removes a port, and tells the controller. */
  removePort(number: number): void {
    const port = this.#ports.get(number);
    if (!port) return;
    this.#ports.delete(number);
    this.#tellPort(PortReason.DELETE, port);
  }

  /** Stops reading and answering, with the connection standing: as a stopped process or a powered-off host does. */
  freeze(): void {
    this.#protocol?.freeze();
  }

  /** Goes on after `freeze`. */
  thaw(): void {
    this.#protocol?.thaw();
  }

  /** Drops the connection as a crash does (reset, not an orderly end). Reconnects if `reconnectMs` says so. */
  drop(): void {
    this.#socket?.resetAndDestroy();
  }

  /** Drops the connection and all entries, as a restart does, and connects again. */
  async restart(): Promise<void> {
    await this.stop();
    this.tables.clear();
    await this.connect();
  }

  /** Ends the connection for good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const socket = this.#socket;
    if (!socket || socket.closed) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await closed;
  }

  #tryAgain(): void {
    const { reconnectMs = false } = this.#options;
    if (reconnectMs === false || this.#stopped) return;
    this.#retry = setTimeout(() => {
      this.connect().catch(() => {});
    }, reconnectMs);
    this.#retry.unref();
  }

  #tellPort(reason: number, port: EmulatedPort): void {
    if (this.#protocol?.greeted)
      this.send({ type: 'port_status', xid: 0, reason, port: this.#describe(port) });
  }

  #describe({ number, name, hardwareAddress, up = true }: EmulatedPort): PortDescription {
    const low = Number(BigInt(`0x${this.datapathId}`) & 0xffffffn);
    const speeds = { current: 0, advertised: 0, supported: 0, peer: 0, currentSpeed: 0, maxSpeed: 0 };
    return {
      portNo: number,
      hardwareAddress: hardwareAddress ?? 0x0200_0000_0000 + low * 0x1_0000 + (number & 0xffff),
      name,
      config: 0,
      state: up ? PortState.LIVE : PortState.LINK_DOWN,
      ...speeds,
    };
  }
}
