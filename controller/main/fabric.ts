import { STATION_TABLE, reinjection } from '../../apps/fabric/punt.js';
import {
  FLOODING_APP,
  fabricApps,
  fabricPipeline,
  OPENING_TABLES,
  TREE_CLASSES,
} from '../../apps/fabric/index.js';
import type { ControllerEvent } from '../api/backend.js';
import type { ChannelListener, Numbering, SwitchSession } from '../channel/index.js';
import { DatapathController } from '../datapath/index.js';
import { type FabricEvent, FabricMemory, FabricService } from '../fabric/index.js';
import { FloodPlanner } from '../fabric/flood-planner.js';
import { holdsWhatIsOpen } from '../fabric/holdings.js';
import type { Journal } from '../journal/journal.js';
import type { Log, Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import { type DatapathId, type FactChange, TUNNEL_PORT, UPLINK_PORT } from '../model/facts.js';
import { FabricMembership } from '../multicast/fabric/membership.js';
import type { FabricMulticastState } from '../multicast/types.js';
import {
  fabricCauseOf,
  type FabricTraceReport,
  type FabricTraceRequest,
  TraceError,
  traceFabric,
} from '../trace/index.js';
import { log, tellDatapathEvent, tellFabricEvent } from './events.js';
import { Settler } from './settler.js';
import { packetOut, type PortStatus } from '../../ofproto/index.js';

export interface FabricOptions {
  readonly channel: ChannelListener;
  readonly numbering: Numbering;
  /** Of the fabric alone, open: what it says is part of the first tables. Closed with the fabric. */
  readonly journal: Journal;
  readonly auditIntervalMs: number;
  /** Group membership; absent: multicast is flooded. */
  readonly multicast: { readonly querier: boolean; readonly unregistered: 'flood' | 'drop' } | undefined;
  readonly log: Log;
  readonly onEvent: (event: ControllerEvent) => void;
  /** An agent's bridge, or soon to be: the session is the overlay's from now on. */
  readonly handOver: (session: SwitchSession) => void;
}

/**
 * Switches that no agent claims: their own tables, discovery, stations, flood trees and group membership. Which sessions those are is
 * decided here, by `takes`; the rest of the controller never hears of them.
 */
export class Fabric {
  readonly datapaths: DatapathController;
  readonly service: FabricService;
  readonly #settler: Settler;
  readonly #planner: FloodPlanner;
  readonly #membership: FabricMembership | undefined;
  readonly #sessions = new Map<DatapathId, SwitchSession>();
  /** Datapath ids by host. */
  readonly #claims = new Map<string, DatapathId>();
  readonly #ending: (() => void)[];
  readonly #logger: Logger;
  /** Switches that are remembered, and have not shown since that they hold what is remembered of them. */
  readonly #unproved: Set<DatapathId>;

  constructor(private readonly options: FabricOptions) {
    const { channel, numbering, auditIntervalMs, journal, onEvent } = options;
    const logger = options.log.component('fabric');
    this.#logger = logger;
    const memory = new FabricMemory(journal);
    this.#unproved = new Set([...memory.switches()].map(({ datapathId }) => datapathId));
    const datapaths = new DatapathController({
      pipeline: fabricPipeline,
      apps: fabricApps,
      numbering,
      auditIntervalMs,
    });
    this.datapaths = datapaths;
    const onFailure = (err: unknown): void => {
      logger.error({ event: 'fabric.settle', err }, 'deriving the tables of the fabric failed');
    };
    this.#settler = new Settler(() => datapaths.settle(), onFailure);
    const waitForSync = (datapathId: DatapathId, wait: { readonly signal: AbortSignal }): Promise<void> =>
      datapaths.waitForSync(datapathId, wait);
    this.#planner = new FloodPlanner({
      classes: TREE_CLASSES,
      facts: datapaths.facts,
      settle: () => this.#settler.settle(),
      waitForSync,
      memory,
      app: FLOODING_APP,
      onFailure,
    });
    const schedule = (): void => {
      this.#settler.schedule();
    };
    this.#membership = this.#makeMembership(logger, schedule);
    this.service = new FabricService({
      facts: { ...datapaths.facts, ...this.#planner.facts, ...this.#membership?.facts },
      schedule,
      membership: (...heard) => this.#membership?.packetIn(...heard),
      waitForSync,
      reinjection,
      stationTable: STATION_TABLE,
      memory,
      onLinkConfirmed: (key) => {
        this.#planner.linkConfirmed(key);
      },
      onStayedAway: (datapathId) => {
        this.#planner.switchAway(datapathId);
        this.#settler.schedule();
      },
      logger,
      onEvent: (event: FabricEvent) => {
        onEvent(log(logger, tellFabricEvent(event)));
      },
    });
    this.#planner.restore();
    this.#ending = [
      channel.onPacketIn((session, message) => {
        if (this.#sessions.get(session.datapathId) === session) this.service.packetIn(session, message);
      }),
      datapaths.onEvent((event) => {
        onEvent(log(logger, tellDatapathEvent(event)));
      }),
    ];
    datapaths.settle();
  }

  /** Whether a switch that has connected is one of the fabric: no agent claims it, and it has no port that only agents make. */
  takes({ datapathId, ports }: SwitchSession): boolean {
    if (ports.has(TUNNEL_PORT) || ports.has(UPLINK_PORT)) return false;
    return ![...this.#claims.values()].includes(datapathId);
  }

  /** Hosts of the model claim their datapaths. */
  facts(changes: readonly FactChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'host') continue;
      const datapathId = change.value?.datapathId;
      if (datapathId === undefined) this.#claims.delete(change.key);
      else {
        this.#claims.set(change.key, datapathId);
        this.#handOver(datapathId);
      }
    }
  }

  has(session: SwitchSession): boolean {
    return this.#sessions.get(session.datapathId) === session;
  }

  up(session: SwitchSession): void {
    const { datapathId } = session;
    this.#sessions.set(datapathId, session);
    // What is known of it first: the comparison must see what is derived from that.
    this.service.sessionUp(session);
    this.#planner.switchUp(datapathId);
    this.#membership?.switchUp(datapathId);
    void this.#add(session);
  }

  async #add(session: SwitchSession): Promise<void> {
    const { datapathId } = session;
    await this.#settled();
    if (this.#unproved.has(datapathId)) {
      const { datapaths } = this;
      const holds = await holdsWhatIsOpen(session, {
        datapaths,
        tables: OPENING_TABLES,
        logger: this.#logger,
      });
      if (!session.open || !this.has(session)) return;
      this.#unproved.delete(datapathId);
      if (!holds) {
        this.service.distrust(datapathId);
        this.#planner.distrust(datapathId);
        await this.#settled();
      }
    }
    if (session.open && this.has(session)) this.datapaths.addSession(session);
  }

  /** What has been written is derived; a failure has been told of. */
  async #settled(): Promise<void> {
    await this.#settler.settle().catch(() => undefined);
  }

  down(session: SwitchSession): void {
    const { datapathId } = session;
    this.#sessions.delete(datapathId);
    this.datapaths.removeSession(session);
    this.service.sessionDown(session);
    this.#planner.switchAway(datapathId);
  }

  portStatus(session: SwitchSession, status: PortStatus): void {
    const { portNo } = status.port;
    if (portNo === TUNNEL_PORT || portNo === UPLINK_PORT) this.#handOver(session.datapathId);
    else this.service.portStatus(session, status);
  }

  /** Absent: it does not listen. */
  multicast(): FabricMulticastState | undefined {
    return this.#membership?.state();
  }

  metrics(): readonly MetricFamily[] {
    return [...this.service.metrics(), ...(this.#membership?.metrics() ?? [])];
  }

  /** What would become of a frame, by the entries that the switches hold. @throws TraceError */
  async trace(request: FabricTraceRequest): Promise<FabricTraceReport> {
    const { datapaths, service } = this;
    return await traceFabric(request, {
      facts: datapaths.facts,
      pipeline: fabricPipeline,
      macOf: (address) => service.macOf(address),
      session: (datapathId) => this.#sessions.get(datapathId),
      ownerOf: (cookie) => datapaths.ownerOf(cookie),
      causeOf: fabricCauseOf,
      differences: (datapathId, flows, tables) => datapaths.differences(datapathId, flows, tables),
    });
  }

  /** Resolves when no switch has anything left to acknowledge, or the signal aborts. */
  idle(signal: AbortSignal): Promise<void> {
    return this.#settler.idle(signal);
  }

  /** Switches keep their entries. */
  async close(): Promise<void> {
    for (const end of this.#ending.splice(0)) end();
    this.service.close();
    this.#membership?.close();
    this.#planner.close();
    this.datapaths.close();
    await this.options.journal.close();
  }

  #makeMembership(logger: Logger, schedule: () => void): FabricMembership | undefined {
    const { multicast } = this.options;
    return (
      multicast &&
      new FabricMembership({
        ...multicast,
        facts: this.datapaths.facts,
        isConnected: (datapathId) => this.#sessions.get(datapathId)?.open === true,
        send: (datapathId, data, actions) => {
          const session = this.#sessions.get(datapathId);
          session?.send(packetOut({ xid: session.xid(), data, actions }));
        },
        schedule,
        logger,
      })
    );
  }

  /** An agent claims a datapath: if it was a switch of the fabric, it is none any more. */
  #handOver(datapathId: DatapathId): void {
    const session = this.#sessions.get(datapathId);
    this.#sessions.delete(datapathId);
    this.#unproved.delete(datapathId);
    if (session !== undefined) this.datapaths.removeSession(session);
    if (this.service.has(datapathId)) this.service.handOver(datapathId);
    if (session?.open === true) this.options.handOver(session);
  }
}

/** @throws TraceError also where there is no fabric */
export async function traceThrough(
  fabric: Fabric | undefined,
  request: FabricTraceRequest,
): Promise<FabricTraceReport> {
  if (fabric !== undefined) return await fabric.trace(request);
  throw new TraceError('trace.fabric.disabled', 'the controller has no fabric: fabric.enabled is false', {
    fix: 'set fabric.enabled in its configuration',
  });
}
