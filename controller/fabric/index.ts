/** Fabric switches: how they are linked, and where stations are. See README.md. */
import {
  type Action,
  F,
  findOxm,
  output,
  packetOut,
  PortReason,
  type PortStatus,
} from '../../ofproto/index.js';
import type { PacketInMessage } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { DatapathId } from '../model/facts.js';
import type { IpAddress } from './addresses.js';
import { Ageing } from './ageing.js';
import { type Clock, systemClock } from './clock.js';
import { Discovery } from './discovery.js';
import { FabricMemory, type RememberedSwitch } from './memory.js';
import { fabricMetrics } from './metrics.js';
import { PuntedFrames } from './punted-frames.js';
import { reportOn } from './report.js';
import { DEFAULT_SETTINGS, type FabricSettings } from './settings.js';
import { Stations } from './stations.js';
import { type FabricSession, type PortChange, Switches, type SwitchState } from './switches.js';
import type { FabricEvent, FabricReport } from './types.js';

export { FabricMemory } from './memory.js';
export { EMPTY_FABRIC } from './report.js';
export type { Clock } from './clock.js';
export type { FabricSettings } from './settings.js';
export type { FabricSession } from './switches.js';
export type * from './types.js';

export interface FabricServiceOptions {
  /** Of the fabric's own tables. */
  readonly facts: Pick<FactInputs, 'hosts' | 'ports' | 'fabricPorts' | 'links' | 'stations'>;
  /** Facts have changed: settle at the end of this turn of the event loop. */
  readonly schedule: () => void;
  /**
   * Resolves when the switch holds what was derived for it, the entry that sends probes to the controller above all: before, a probe
   * that is not heard proves nothing. `DatapathController.waitForSync`.
   */
  readonly waitForSync: (datapathId: DatapathId, options: { readonly signal: AbortSignal }) => Promise<void>;
  /** What takes a frame of a VLAN (0: untagged) behind the table of stations, in a packet-out with the port it came from. */
  readonly reinjection: (vlan: number) => readonly Action[];
  /** A frame with a message of group membership came in at an edge port, in a VLAN (0: without a tag). Default: nobody cares. */
  readonly membership?: (datapathId: DatapathId, port: number, vlan: number, frame: Uint8Array) => void;
  /** Number of the table of stations; the cookies of its entries have the number of their station as `object`. */
  readonly stationTable: number;
  readonly logger: Logger;
  /** What there was when the process before this one ended; facts are made of it at once. Absent: nothing. */
  readonly memory?: FabricMemory;
  /** A remembered link is heard again at both ends. `key`: of the fact of one direction. */
  readonly onLinkConfirmed?: (key: string) => void;
  /** A switch that was connected to the process before this one has not come back. */
  readonly onStayedAway?: (datapathId: DatapathId) => void;
  readonly onEvent?: (event: FabricEvent) => void;
  readonly settings?: Partial<FabricSettings>;
  readonly clock?: Clock;
}

/**
 * Everything that is found out about the fabric. Whoever wires it hands on what the channel tells about switches of the fabric, and only
 * about those.
 */
export class FabricService {
  readonly #options: FabricServiceOptions;
  readonly #settings: FabricSettings;
  readonly #clock: Clock;
  readonly #switches: Switches;
  readonly #discovery: Discovery;
  readonly #stations: Stations;
  readonly #frames: PuntedFrames;
  readonly #ageing: Ageing;
  /** Ends what goes on for a session. */
  readonly #sessions = new Map<FabricSession, AbortController>();
  /** Ends the wait before a switch that is away is forgotten. */
  readonly #away = new Map<DatapathId, () => void>();

  constructor(options: FabricServiceOptions) {
    const { facts, schedule, reinjection, stationTable, logger, memory = new FabricMemory() } = options;
    const settings = { ...DEFAULT_SETTINGS, ...options.settings };
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#settings = settings;
    this.#clock = clock;
    this.#switches = new Switches(facts, memory);
    const onEvent = (event: FabricEvent) => options.onEvent?.(event);
    this.#stations = new Stations({ facts, memory, settings, clock, changed: schedule, onEvent });
    this.#frames = new PuntedFrames({
      stations: this.#stations,
      reinjection,
      lldp: (datapathId, port, frame) => {
        this.#discovery.frame(datapathId, port, frame);
      },
      membership: options.membership ?? (() => {}),
    });
    this.#discovery = new Discovery({
      facts,
      memory,
      settings,
      clock,
      send: ({ datapathId, port }, data) => {
        const session = this.#switches.get(datapathId)?.session;
        session?.send(packetOut({ xid: session.xid(), actions: [output(port)], data }));
      },
      changed: schedule,
      edge: (datapathId, port, isEdge) => {
        this.#frames.edge(datapathId, port, isEdge);
      },
      confirmed: (key) => options.onLinkConfirmed?.(key),
      onEvent,
    });
    this.#ageing = new Ageing({
      stations: this.#stations,
      clock,
      intervalMs: settings.ageingIntervalMs,
      stationTable,
      sessions: () => this.#sessions.keys(),
      logger,
    });
    this.#restore([...memory.switches()]);
  }

  /** Whether it is a switch of the fabric, connected or away. */
  has(datapathId: DatapathId): boolean {
    return this.#switches.get(datapathId) !== undefined;
  }

  /** A switch has connected. Writes its facts; settle, and hand the session to the DatapathController after it. */
  sessionUp(session: FabricSession): void {
    const { datapathId } = session;
    const { logger, schedule, waitForSync } = this.#options;
    const changes = this.#switches.up(session);
    if (changes === undefined) {
      logger.error(
        { event: 'fabric.full', datapathId },
        `switch ${datapathId} is left alone: there are 65,535 fabric switches already`,
      );
      return;
    }
    this.#away.get(datapathId)?.();
    this.#away.delete(datapathId);
    for (const change of changes) this.#portChanged(datapathId, change);
    const over = new AbortController();
    this.#sessions.set(session, over);
    session.interceptPacketIns((packetIn) => this.#frames.packetIn(session, packetIn));
    schedule();
    waitForSync(datapathId, { signal: over.signal }).then(
      () => {
        if (!over.signal.aborted) this.#discovery.ready(datapathId);
      },
      (err: unknown) => {
        if (over.signal.aborted) return;
        logger.error({ event: 'fabric.sync', datapathId, err }, `switch ${datapathId} cannot be probed`);
      },
    );
  }

  /**
   * The switch does not have open what is remembered of it: it may have lost its tables, and cables may have been changed. Nothing is known
   * of what its ports lead to.
   */
  distrust(datapathId: DatapathId): void {
    // Each is taken out and put in again.
    const ports = Array.from(this.#discovery.ports(datapathId));
    for (const port of ports) this.#discovery.portUp(port);
    this.#options.schedule();
  }

  sessionDown(session: FabricSession): void {
    this.#end(session);
    if (!this.#switches.down(session)) return;
    const { datapathId } = session;
    this.#discovery.away(datapathId);
    this.#forgetLater(datapathId);
  }

  portStatus(session: FabricSession, { reason, port }: PortStatus): void {
    const { datapathId } = session;
    const change = this.#switches.portChanged(datapathId, port, reason === PortReason.DELETE);
    if (change === undefined) return;
    this.#portChanged(datapathId, change);
    this.#options.schedule();
  }

  /** A probe, or the frame of a station that its switch does not know there, if it was not intercepted. */
  packetIn(session: FabricSession, message: PacketInMessage): void {
    const plain = message.type === 'packet_in';
    const inPort = findOxm(plain ? message.match : (message.metadata ?? []), F.in_port)?.value;
    const frame = plain ? message.data : message.packet;
    const userdata = plain ? undefined : message.userdata;
    if (inPort !== undefined && frame !== undefined) this.#frames.frame(session, inPort, frame, userdata);
  }

  /** An agent claims it: it is no switch of the fabric any more, and its facts are gone. */
  handOver(datapathId: DatapathId): void {
    const session = this.#switches.get(datapathId)?.session;
    if (session !== undefined) this.#end(session);
    this.#away.get(datapathId)?.();
    this.#away.delete(datapathId);
    this.#discovery.forget(datapathId);
    this.#switches.forget(datapathId);
    this.#options.schedule();
  }

  /** MAC address of the station that was heard to use an IP address. */
  macOf(address: IpAddress): number | undefined {
    return this.#frames.addresses.get(address)?.mac;
  }

  report(): FabricReport {
    return reportOn(this.#switches, this.#discovery, this.#frames, this.#stations, this.#clock.now());
  }

  metrics(): MetricFamily[] {
    return fabricMetrics(this.#switches, this.#discovery, this.#stations);
  }

  /** Facts stay as they are: switches are to forward on without us. */
  close(): void {
    for (const session of this.#sessions.keys()) this.#end(session);
    for (const cancel of this.#away.values()) cancel();
    this.#discovery.close();
    this.#ageing.close();
  }

  #restore(switches: readonly RememberedSwitch[]): void {
    this.#discovery.restore();
    this.#stations.restore((datapathId, port) => this.#frames.place(datapathId, port));
    for (const { datapathId, away } of switches) {
      if (away) this.#forgetLater(datapathId);
      else
        this.#away.set(
          datapathId,
          this.#clock.after(this.#settings.returnMs, () => this.#stayedAway(datapathId)),
        );
    }
  }

  #stayedAway(datapathId: DatapathId): void {
    this.#switches.stayedAway(datapathId);
    this.#discovery.notReturning(datapathId);
    this.#options.onStayedAway?.(datapathId);
    this.#forgetLater(datapathId);
  }

  #end(session: FabricSession): void {
    this.#sessions.get(session)?.abort();
    session.interceptPacketIns(undefined);
    this.#sessions.delete(session);
  }

  #forgetLater(datapathId: DatapathId): void {
    const cancel = this.#clock.after(this.#settings.forgetSwitchMs, () => {
      // While its neighbours' ports are up it most likely forwards on.
      if (this.#hasLinks(this.#switches.get(datapathId))) this.#forgetLater(datapathId);
      else this.handOver(datapathId);
    });
    this.#away.set(datapathId, cancel);
  }

  #hasLinks(state: SwitchState | undefined): boolean {
    if (state === undefined) return false;
    return [...this.#discovery.ports(state.datapathId)].some(({ role }) => role === 'link');
  }

  #portChanged(datapathId: DatapathId, { before, after }: PortChange): void {
    // Another name: another port has its number.
    const same = before?.name === after?.name && before?.up === after?.up;
    if (before !== undefined && !same) this.#discovery.portDown(datapathId, before.number);
    if (after?.up !== true || same) return;
    const { number: port, name, hardwareAddress } = after;
    this.#discovery.portUp({ datapathId, port, name, hardwareAddress });
  }
}
