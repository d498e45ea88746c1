import { type Observable, Subject } from 'rxjs';
import { pipeline } from '../../apps/index.js';
import { type Address, formatAddress, parseAddress } from '../../rpc/index.js';
import type { ControllerEvent, ControllerStatus, SwitchAcknowledgement } from '../api/backend.js';
import type { ChannelListener, ChannelOptions, Numbering, SwitchSession } from '../channel/index.js';
import type { DatapathController } from '../datapath/index.js';
import { formatListenAddress, parseListenAddress } from '../config/address.js';
import { AgentHub, type HubEvent, type HubSwitches } from '../hub/index.js';
import type { Journal } from '../journal/journal.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { FactChange } from '../model/facts.js';
import type { Model } from '../model/types.js';
import { type AgentState, MulticastService, type MulticastState } from '../multicast/index.js';
import type { DropCounter, Gathered, PacketListener, PuntService, RuleCounters } from '../punt/index.js';
import { log, tellDatapathEvent, tellHubEvent } from './events.js';
import { type KubernetesReport, type KubernetesService, NOT_WATCHED } from '../kubernetes/index.js';
import { EMPTY_FABRIC, type FabricReport } from '../fabric/index.js';
import { Fabric, traceThrough } from './fabric.js';
import { controllerMetrics } from './metrics.js';
import { writeFacts } from './model-facts.js';
import { PortFacts } from './ports.js';
import { Settler } from './settler.js';
import { type FabricTraceReport, type FabricTraceRequest, trace } from '../trace/index.js';
import type { TraceReport, TraceRequest } from '../trace/report.js';
import type { Controller, ControllerListeners, ControllerOptions } from './types.js';

/** What an event says of the agent of its host. */
const AGENT_STATES: Readonly<Partial<Record<HubEvent['event'], AgentState>>> = {
  'host.up': 'up',
  'host.disconnected': 'disconnected',
  'host.down': 'down',
};

/** What the controller is made of, made by `openController`. */
export interface ControllerParts {
  readonly model: Model;
  readonly datapaths: DatapathController;
  readonly channel: ChannelListener;
  /** Of the channel. */
  readonly numbering: Numbering;
  readonly punts: PuntService;
  /** Read already: what it says of receivers is part of the first tables. */
  readonly journal: Journal;
  /** Absent: no cluster is watched. */
  readonly kubernetes?: KubernetesService | undefined;
  /** Of the fabric, read already; absent: there is no fabric. */
  readonly fabricJournal: Journal | undefined;
}

/**
 * The wiring: model to facts to desired tables to switches, agents to model, results back to whoever asked. There is nothing
 * here that decides anything about networks.
 */
export class WiredController implements Controller {
  readonly model: Model;
  readonly #datapaths: DatapathController;
  readonly #channel: ChannelListener;
  readonly #punts: PuntService;
  readonly #multicast: MulticastService;
  /** Absent: switches that no agent claims are left alone. */
  readonly #fabric: Fabric | undefined;
  readonly #kubernetes: KubernetesService | undefined;
  readonly #hub: AgentHub;
  readonly #settler: Settler;
  readonly #ports: PortFacts;
  readonly #events = new Subject<ControllerEvent>();
  readonly #facts = new Subject<readonly FactChange[]>();
  readonly #ending: (() => void)[] = [];
  readonly #controllerId: string;
  readonly #startedAt = Date.now();
  readonly #logger: Logger;
  #listeners: ControllerListeners | undefined;

  /** Writes all facts and derives every table; no socket is open yet. */
  constructor(
    private readonly options: ControllerOptions,
    { model, datapaths, channel, numbering, punts, journal, fabricJournal, kubernetes }: ControllerParts,
  ) {
    this.model = model;
    this.#datapaths = datapaths;
    this.#channel = channel;
    this.#punts = punts;
    this.#kubernetes = kubernetes;
    this.#logger = options.log.component('controller');
    this.#controllerId = `weft-${this.#startedAt.toString(36)}-${process.pid.toString(36)}`;
    this.#settler = new Settler(
      () => datapaths.settle(),
      (err) => {
        this.#logger.error({ event: 'controller.settle', err }, 'deriving the tables failed');
      },
      () => datapaths.full,
    );
    this.#ports = new PortFacts(datapaths.facts, () => {
      this.#settler.schedule();
    });
    this.#multicast = new MulticastService({
      journal,
      channel,
      datapaths,
      facts: datapaths.facts,
      schedule: () => {
        this.#settler.schedule();
      },
      switches: {
        ...this.#switches(),
        isInSync: (datapathId) => this.#datapaths.isInSync(datapathId),
      },
      leaseMs: options.config.hub.leaseMs,
      onPeers: (host) => {
        this.#hub.peersChanged(host);
      },
      logger: options.log.component('multicast'),
    });
    this.#fabric = fabricJournal === undefined ? undefined : this.#makeFabric(numbering, fabricJournal);
    this.#hub = this.#makeHub();
    this.#commit(model.facts());
    datapaths.settle();
    this.#listen();
  }

  get events(): Observable<ControllerEvent> {
    return this.#events;
  }

  get facts(): Observable<readonly FactChange[]> {
    return this.#facts;
  }

  async start(): Promise<ControllerListeners> {
    const openflow = await this.#channel.listen();
    let hub: Address[];
    try {
      hub = await this.#hub.start();
    } catch (error) {
      await this.#channel.close();
      throw error;
    }
    this.#listeners = {
      openflow: formatListenAddress({ host: openflow.address, port: openflow.port }),
      hub: hub.map(formatAddress).join(', '),
    };
    this.#kubernetes?.start();
    return this.#listeners;
  }

  async stop(deadlineMs = 5_000): Promise<void> {
    const signal = AbortSignal.timeout(deadlineMs);
    await this.#kubernetes?.stop();
    await this.#hub.stop(deadlineMs);
    await this.#settler.idle(signal);
    await this.#fabric?.idle(signal);
    for (const end of this.#ending.splice(0)) end();
    this.#punts.close();
    await this.#multicast.close();
    await this.#fabric?.close();
    this.#datapaths.close();
    await this.#channel.close();
    await this.model.close();
    this.#listeners = undefined;
    this.#events.complete();
    this.#facts.complete();
  }

  status(): ControllerStatus {
    const { store, config, version } = this.options;
    const hostOf = this.#hostsByDatapath();
    return {
      controllerId: this.#controllerId,
      version,
      startedAt: this.#startedAt,
      store: { driver: config.store.driver, state: store.state },
      listeners: { ...this.#listeners },
      datapaths: this.#allDatapaths()
        .flatMap((datapaths) => datapaths.status())
        .map((status) => {
          const host = hostOf.get(status.datapathId);
          const { datapathId, state, remoteAddress, entries, refused, problems, healed, lastRead } = status;
          return {
            datapathId,
            ...(host === undefined ? {} : { host }),
            state,
            ...(remoteAddress === undefined ? {} : { remoteAddress }),
            entries,
            refused,
            problems,
            healed,
            ...(lastRead === undefined ? {} : { lastAudit: lastRead.getTime() }),
          };
        }),
      hosts: this.#hub.hosts().map(({ connected: _, epoch: __, silentMs: ___, ...host }) => host),
    };
  }

  notReady(): readonly string[] {
    const reasons: string[] = [];
    const { state } = this.options.store;
    if (state !== 'ready') reasons.push(`the store is ${state}`);
    if (this.#listeners === undefined) reasons.push('the listeners for switches and agents are closed');
    return reasons;
  }

  async acknowledged(signal: AbortSignal): Promise<readonly SwitchAcknowledgement[]> {
    const answers = await this.#settler.acknowledged(signal);
    const hostOf = this.#hostsByDatapath();
    return [...answers].map(([datapathId, answer]) => {
      const host = hostOf.get(datapathId);
      return { datapathId, ...(host === undefined ? {} : { host }), ...answer };
    });
  }

  onEvent(listener: (event: ControllerEvent) => void): () => void {
    const subscription = this.#events.subscribe(listener);
    return () => {
      subscription.unsubscribe();
    };
  }

  onPackets(listener: PacketListener): () => void {
    return this.#punts.onPackets(listener);
  }

  async drops(host?: string): Promise<Gathered<DropCounter>> {
    return await this.#punts.drops(host);
  }

  async ruleCounters(): Promise<Gathered<RuleCounters>> {
    return await this.#punts.ruleCounters();
  }

  async multicast(network: string | undefined, counters: boolean): Promise<MulticastState> {
    const state = await this.#multicast.state(network, counters);
    const fabric = network === undefined ? this.#fabric?.multicast() : undefined;
    return fabric === undefined ? state : { ...state, fabric };
  }

  fabric(): FabricReport {
    return this.#fabric?.service.report() ?? EMPTY_FABRIC;
  }

  kubernetes(): KubernetesReport {
    return this.#kubernetes?.report() ?? NOT_WATCHED;
  }

  async trace(request: TraceRequest): Promise<TraceReport> {
    const datapaths = this.#datapaths;
    return await trace(request, {
      facts: datapaths.facts,
      pipeline,
      session: (datapathId) => this.#channel.sessions.get(datapathId),
      ownerOf: (cookie) => datapaths.ownerOf(cookie),
      causeOf: (owner, table) => this.#punts.causeOf(owner, table),
      differences: (datapathId, flows, tables) => datapaths.differences(datapathId, flows, tables),
    });
  }

  async traceFabric(request: FabricTraceRequest): Promise<FabricTraceReport> {
    return await traceThrough(this.#fabric, request);
  }

  metrics(): readonly MetricFamily[] {
    return [
      ...controllerMetrics(this.#allDatapaths(), this.#channel, this.#hub),
      ...this.#punts.metrics(),
      ...this.#multicast.metrics(),
      ...(this.#fabric?.metrics() ?? []),
      ...(this.#kubernetes?.metrics() ?? []),
    ];
  }

  /** Of the overlay and of the fabric. */
  #allDatapaths(): DatapathController[] {
    return this.#fabric === undefined ? [this.#datapaths] : [this.#datapaths, this.#fabric.datapaths];
  }

  #makeFabric(numbering: Numbering, journal: Journal): Fabric {
    const { config, log: logs } = this.options;
    return new Fabric({
      channel: this.#channel,
      numbering,
      journal,
      auditIntervalMs: config.openflow.auditIntervalMs,
      multicast: config.fabric.multicast.snooping ? config.fabric.multicast : undefined,
      log: logs,
      onEvent: (event) => {
        this.#events.next(event);
      },
      handOver: (session) => {
        this.#overlayUp(session);
      },
    });
  }

  #makeHub(): AgentHub {
    const { config, hubAddresses = [] } = this.options;
    const logger = this.options.log.component('hub');
    return new AgentHub({
      model: this.model,
      switches: this.#switches(),
      addresses: [parseAddress(config.hub.listen), ...hubAddresses],
      controllerId: this.#controllerId,
      leaseMs: config.hub.leaseMs,
      maxConnections: config.hub.maxConnections,
      limits: { maxMessageBytes: config.hub.maxMessageBytes },
      onEvent: (event) => {
        const state = AGENT_STATES[event.event];
        if (state !== undefined) this.#multicast.agent(event.host, state);
        this.#events.next(log(logger, tellHubEvent(event)));
      },
      onTunnels: (host, tunnels) => {
        this.#multicast.tunnels(host, tunnels);
      },
      onUnexpected: (err, method) => {
        logger.error({ event: 'hub.failure', method, err }, `${method} failed`);
      },
      onListenerError: (err) => {
        logger.error({ event: 'hub.listener', err }, `an agent could not connect: ${err.message}`);
      },
    });
  }

  #switches(): HubSwitches {
    return {
      settle: () => this.#settler.settle(),
      connection: (datapathId) => {
        const state = this.#datapaths.stateOf(datapathId) ?? 'disconnected';
        if (state === 'disconnected') return 'disconnected';
        return state === 'reading' || state === 'unclaimed' ? 'reading' : 'ready';
      },
      refusals: (datapathId) => this.#datapaths.statusOf(datapathId)?.refused ?? [],
      waitForSync: (datapathId, options) => this.#datapaths.waitForSync(datapathId, options),
      queues: (host) =>
        this.#datapaths.queuesOf(host).map((queue) => ({ ...queue, marks: [...queue.marks] })),
      tables: this.#datapaths.hostTables,
      peers: (host) => this.#multicast.peers(host),
      waitForPort: (datapathId, name, { signal }) => this.#ports.wait(datapathId, name, signal),
    };
  }

  #listen(): void {
    const channel = this.#channel;
    const logger = this.options.log.component('datapath');
    this.#ending.push(
      this.model.onFacts((changes) => {
        this.#commit(changes);
        this.#settler.schedule();
        this.#facts.next(changes);
      }),
      channel.onUp((session) => {
        if (this.#fabric?.takes(session) === true) this.#fabric.up(session);
        else this.#overlayUp(session);
      }),
      channel.onDown((session) => {
        if (this.#fabric?.has(session) === true) {
          this.#fabric.down(session);
          return;
        }
        this.#datapaths.removeSession(session);
        const { datapathId } = session;
        if (this.#datapaths.statusOf(datapathId) === undefined) this.#ports.forget(datapathId);
      }),
      channel.onPortStatus((session, status) => {
        if (this.#fabric?.has(session) === true) this.#fabric.portStatus(session, status);
        else this.#ports.changed(session, status);
      }),
      this.#datapaths.onQueues((host) => {
        this.#hub.queuesChanged(host);
      }),
      this.#datapaths.onRows((host, keys) => {
        this.#hub.tableChanged(host, keys);
      }),
      this.#datapaths.onEvent((event) => {
        this.#events.next(log(logger, tellDatapathEvent(event)));
      }),
    );
  }

  #overlayUp(session: SwitchSession): void {
    // Ports first: the comparison must see what is derived from them.
    this.#ports.up(session);
    const add = () => {
      if (session.open) this.#datapaths.addSession(session);
    };
    this.#settler.settle().then(add, add);
  }

  /** Facts of the model, for all who keep or derive something from them. */
  #commit(changes: readonly FactChange[]): void {
    writeFacts(this.#datapaths.facts, changes);
    this.#punts.facts(changes);
    this.#multicast.facts(changes);
    this.#fabric?.facts(changes);
  }

  #hostsByDatapath(): Map<string, string> {
    const hosts = new Map<string, string>();
    for (const { host, datapathId } of this.#hub.hosts()) {
      if (datapathId !== undefined) hosts.set(datapathId, host);
    }
    return hosts;
  }
}

/** The channel's options, from the configuration. */
export function channelOptions({ config, log }: ControllerOptions): Partial<ChannelOptions> {
  const { listen, maxConnections, echoIntervalMs, packetInsPerSecond } = config.openflow;
  const address = parseListenAddress(listen);
  if (address === undefined) throw new Error(`openflow.listen: ${listen} is not ADDRESS:PORT`);
  return {
    ...address,
    maxConnections,
    echoIntervalMs,
    echoToleranceMs: 2 * echoIntervalMs,
    packetInRate: {
      perSwitch: { perSecond: packetInsPerSecond, burst: packetInsPerSecond },
      perPort: { perSecond: Math.ceil(packetInsPerSecond / 4), burst: Math.ceil(packetInsPerSecond / 2) },
    },
    logger: log.component('channel'),
  };
}
