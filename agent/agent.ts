/**
 * The agent of one host: the switch driver, the attachments, the session with the controller and the local socket, wired together.
 *
 * It comes through a restart of each of the others: of itself (attachments are in the switch's database and in the state file), of the
 * switch (the bridge and its ports are made again), of the controller (registration with the whole truth). Ending it leaves the
 * data plane as it is.
 */
import { dirname } from 'node:path';
import {
  AgentDetach,
  AgentPing,
  AgentStatus,
  EndpointChanged,
  EndpointFollowed,
  HostPeersChanged,
  HostQueuesChanged,
  HostTable,
  Router,
  type EndpointView,
} from '../rpc/index.js';
import { Attachments } from './attachments.js';
import { startCni, type RunningCni } from './cni/index.js';
import { ConnectionKeeper } from './connections/keeper.js';
import type { BridgeSettings, BridgeState, SwitchDriver } from './drivers/driver.js';
import { chooseDriver } from './drivers/choose.js';
import { AgentError, messageOf } from './error.js';
import { HubSession } from './hub-session.js';
import { linkMtu } from './linux/links.js';
import { watchLinks } from './linux/monitor.js';
import { checkUplink, findUnderlay } from './linux/underlay.js';
import { listenLocally, type LocalListener } from './local/listener.js';
import { NAME_SERVER, NAME_SERVER_MAC, Names } from './names/index.js';
import { LocalAttach, LocalDetach, LocalStatus, type LocalStatusResult } from './local/methods.js';
import { HostQueues } from './queues.js';
import { resolveOptions, type AgentOptions, type AgentSettings } from './options.js';
import { parseRemote } from './ovsdb/index.js';
import { StateFile } from './state-file.js';
import { WatchedTunnels } from './tunnels.js';

/** A running agent, for use in the same process. The methods are those of the local socket. */
export interface Agent {
  readonly hostLabel: string;
  readonly datapathId: string;
  attach: Attachments['attach'];
  detach: Attachments['detach'];
  status(): Promise<LocalStatusResult>;
  /** Resolves when the controller has registered this host; rejects with `agent.disconnected`. */
  registered(timeoutMs: number): Promise<void>;
  /** Finish what runs, end the lease, close everything; the data plane stays. */
  close(): Promise<void>;
}

/** MTU of networks on hosts that have no underlay for them: such endpoints reach only each other. */
const LOCAL_MTU = 1_500;
/** Changes in the switch's database and of links come in bursts, most of them the agent's own: they are looked at this often. */
const RECONCILE_DELAY_MS = 300;
const RECONCILE_RETRY_MS = 1_000;
/** Should an event get lost. */
const RECONCILE_INTERVAL_MS = 10_000;
const FOR_EVER_MS = 2 ** 31 - 1;

/**
 * Start an agent; resolves when its bridge is as it should be, which waits for Open vSwitch as long as it takes (`signal` ends that),
 * and does not wait for the controller.
 *
 * Rejects with `agent.option.invalid`, `agent.uplink.*`, `agent.vtep.missing`, `agent.bridge.foreign`, `agent.port.failed`, `agent.running`; nothing
 * was touched then but for the last two, of which nothing remains.
 */
export async function startAgent(options: AgentOptions, signal?: AbortSignal): Promise<Agent> {
  const settings = resolveOptions(options);
  await checkHost(settings);
  const driver = chooseDriver(settings);
  const agent = new RunningAgent(settings, driver);
  const abort = (): void => driver.close();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    if (signal?.aborted) driver.close();
    await agent.start();
    return agent;
  } catch (error) {
    await agent.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

async function checkHost(settings: AgentSettings): Promise<void> {
  if (settings.vtepIp !== undefined) await findUnderlay(settings.vtepIp);
  if (settings.uplink === undefined) return;
  const [hub] = settings.hub;
  await checkUplink(settings.uplink, {
    sshConnection: settings.sshConnection,
    force: settings.forceUplink,
    ...(hub.kind === 'tcp' ? { controller: hub.host } : {}),
    ...(settings.vtepIp === undefined ? {} : { vtepIp: settings.vtepIp }),
  });
}

class RunningAgent implements Agent {
  private readonly state: StateFile;
  private readonly epoch: number;
  private readonly attachments: Attachments;
  private readonly hub: HubSession;
  private readonly queues: HostQueues;
  private readonly tunnels: WatchedTunnels;
  private readonly ends: (() => void)[] = [];
  private local: LocalListener | undefined;
  private readonly registrationListeners = new Set<() => void>();
  private connections: ConnectionKeeper | undefined;
  private cni: RunningCni | undefined;
  private readonly names: Names | undefined;
  private bridge: BridgeState | undefined;
  private problem = '';
  /** MTU of the underlay, bytes, until the next reconciliation. */
  private underlay: number | undefined;
  private reconciling: Promise<void> | undefined;
  private reconcileTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly settings: AgentSettings,
    private readonly driver: SwitchDriver,
  ) {
    const { logger, hostLabel } = settings;
    this.state = new StateFile(settings.stateFile, logger);
    // Grows with each start even when the clock went back.
    this.epoch = Math.max(Date.now(), this.state.current.epoch + 1);
    this.attachments = new Attachments({
      driver,
      hub: () => this.hub,
      state: this.state,
      hostLabel,
      bridge: settings.bridge,
      logger,
      mtuOf: (view) => this.mtuOf(view),
      ...(settings.dns === undefined ? {} : { nameServer: NAME_SERVER }),
      needsChecksums: () => this.bridge === undefined || this.bridge.datapathType === 'netdev',
    });
    this.names = this.makeNames();
    const { vtepIp, uplink, uplinkRate } = settings;
    this.queues = new HostQueues({
      driver,
      state: this.state,
      settings: {
        ...(vtepIp === undefined ? {} : { vtepIp }),
        ...(uplink === undefined ? {} : { uplink }),
        ...(uplinkRate === undefined ? {} : { uplinkRate }),
      },
      logger,
      onChange: () => this.reconcileSoon(0),
    });
    this.tunnels = new WatchedTunnels({
      driver,
      state: this.state,
      onChange: () => this.reconcileSoon(0),
      tell: (tunnels) => this.hub.tellTunnels(tunnels),
    });
    this.hub = new HubSession({
      settings,
      epoch: this.epoch,
      router: this.hubRouter(),
      attachments: () => this.attachments.list(),
      underlayMtu: () => this.underlayMtu(),
      onRegistered: async (merged) => {
        await this.attachments.merge(merged);
        if (merged.queues !== undefined) await this.queues.set(merged.queues);
        if (merged.peers !== undefined) await this.tunnels.set(merged.peers);
        this.catchUp();
      },
    });
  }

  private makeNames(): Names | undefined {
    const { dns, bridge, logger } = this.settings;
    if (dns === undefined) return undefined;
    return new Names({
      settings: dns,
      bridge,
      endpointAt: (port) => this.driver.ports().find(({ number }) => number === port)?.record.endpoint,
      lookUp: (question) => this.hub.lookUpName(question),
      logger,
    });
  }

  get hostLabel(): string {
    return this.settings.hostLabel;
  }

  get datapathId(): string {
    return this.settings.datapathId;
  }

  readonly attach: Attachments['attach'] = (params) => this.attachments.attach(params);
  readonly detach: Attachments['detach'] = (endpoint, options) => this.attachments.detach(endpoint, options);

  async start(): Promise<void> {
    await this.listenLocally();
    await this.state.update({ epoch: this.epoch });
    await this.driver.ready(FOR_EVER_MS);
    await this.reconcile();
    this.ends.push(
      this.tunnels.start(),
      this.driver.onPorts(() => this.reconcileSoon(RECONCILE_DELAY_MS)),
      this.driver.onState((state) => {
        if (state === 'ready') this.reconcileSoon(0);
      }),
    );
    // The switch does not say that a container's leg is gone; the kernel does.
    this.ends.push(watchLinks(() => this.reconcileSoon(RECONCILE_DELAY_MS)));
    const interval = setInterval(() => this.reconcileSoon(0), RECONCILE_INTERVAL_MS);
    this.ends.push(() => clearInterval(interval));
    this.connections = this.keepConnections();
    this.hub.start();
    await this.serveRuntimes();
  }

  private async serveRuntimes(): Promise<void> {
    const { cni, logger } = this.settings;
    const { attachments, hub, driver, state } = this;
    if (cni === undefined) return;
    const agent = {
      attach: this.attach,
      detach: this.detach,
      entries: () => attachments.entries(),
      registered: (timeoutMs: number) => this.registered(timeoutMs),
      get connected() {
        return hub.registered;
      },
      get switchState() {
        return driver.state;
      },
    };
    this.cni = await startCni(cni, { agent, state, logger });
  }

  /** Of the userspace datapath: the kernel's connections outlive ovs-vswitchd, whose sockets are those of its database. */
  private keepConnections(): ConnectionKeeper | undefined {
    const { ovsdb, bridge, logger } = this.settings;
    const remote = parseRemote(ovsdb);
    if (this.bridge?.datapathType !== 'netdev' || !('path' in remote)) return undefined;
    return new ConnectionKeeper({ runDirectory: dirname(remote.path), bridge, logger });
  }

  async status(): Promise<LocalStatusResult> {
    const { hostLabel, bridge, datapathId } = this.settings;
    const underlayMtu = await this.underlayMtu();
    return {
      hostLabel,
      bridge,
      datapathId,
      epoch: this.epoch,
      controller: this.hub.registered ? 'registered' : 'disconnected',
      switch: this.driver.state,
      attachments: this.attachments.entries().map(([name, { endpoint, generation, namespace }]) => ({
        endpoint,
        interface: name,
        generation,
        ...(namespace === undefined ? {} : { netns: namespace }),
      })),
      problems: this.problems(),
      ...(this.bridge === undefined ? {} : { datapathType: this.bridge.datapathType }),
      ...(underlayMtu === undefined ? {} : { underlayMtu }),
    };
  }

  async registered(timeoutMs: number): Promise<void> {
    if (this.hub.registered) return;
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.registrationListeners.delete(done);
        resolve();
      };
      const timer = setTimeout(() => {
        this.registrationListeners.delete(done);
        reject(
          new AgentError(
            'agent.disconnected',
            `the controller did not register this host in ${timeoutMs} ms`,
          ),
        );
      }, timeoutMs);
      this.registrationListeners.add(done);
    });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.reconcileTimer);
    for (const end of this.ends) end();
    await this.cni?.close();
    await this.names?.close();
    await this.connections?.close();
    await this.reconciling?.catch(() => {});
    await this.attachments.idle();
    await this.hub.close();
    this.local?.close('the agent stopped');
    this.driver.close();
    this.settings.logger.info({ event: 'agent.stopped' });
  }

  private hubRouter(): Router {
    const { logger } = this.settings;
    return new Router()
      .request(AgentPing, () => ({}))
      .request(AgentStatus, () => ({
        epoch: this.epoch,
        attachments: [...this.attachments.list()],
        problems: this.problems(),
      }))
      .request(HostTable, async (change) => {
        const refused = await this.driver.takeTable?.(change);
        if (refused === undefined) {
          throw new AgentError('agent.switch', `${this.settings.switch} takes no table of the controller`);
        }
        return { refused: [...refused] };
      })
      .request(AgentDetach, async ({ endpoint, reason }) => {
        await this.attachments.drop(endpoint, reason);
        return {};
      })
      .notification(EndpointChanged, ({ endpoint, view }) => {
        if (view === undefined) return;
        this.attachments.change(view).catch((error: unknown) => {
          logger.warn({ event: 'endpoint.change.failed', endpoint, reason: messageOf(error) });
        });
      })
      .notification(HostQueuesChanged, ({ queues }) => {
        this.queues.set(queues).catch((error: unknown) => {
          logger.error({ event: 'queues.forgotten', reason: messageOf(error) });
        });
      })
      .notification(HostPeersChanged, ({ peers }) => {
        this.tunnels.set(peers).catch((error: unknown) => {
          logger.error({ event: 'peers.forgotten', reason: messageOf(error) });
        });
      })
      .notification(EndpointFollowed, ({ endpoint, missing }) => {
        for (const { host, reason } of missing)
          logger.warn({ event: 'endpoint.missing', endpoint, host, reason });
      });
  }

  private async listenLocally(): Promise<void> {
    const { socket, logger } = this.settings;
    if (socket === undefined) return;
    const router = new Router()
      .request(LocalAttach, (params) => this.attachments.attach(params))
      .request(LocalDetach, async ({ tenant, network, endpoint, release }) => {
        const options = { reason: 'asked for', ...(release === undefined ? {} : { release }) };
        return { detached: await this.attachments.detach(`${tenant}/${network}/${endpoint}`, options) };
      })
      .request(LocalStatus, () => this.status());
    this.local = await listenLocally(socket, router, logger);
    this.ends.push(() => this.local?.end());
  }

  private problems(): string[] {
    return [
      ...(this.bridge?.problems ?? []),
      ...this.queues.problems,
      ...(this.names?.problems ?? []),
      ...(this.problem === '' ? [] : [this.problem]),
    ];
  }

  private reconcileSoon(delayMs: number): void {
    if (this.closed || this.driver.state !== 'ready' || this.reconcileTimer !== undefined) return;
    this.reconcileTimer = setTimeout(() => {
      this.reconcileTimer = undefined;
      this.reconcile().catch((error: unknown) => {
        const reason = messageOf(error);
        if (reason !== this.problem) this.settings.logger.warn({ event: 'reconcile.failed', reason });
        this.problem = reason;
        this.reconcileSoon(RECONCILE_RETRY_MS);
      });
    }, delayMs);
  }

  /** Bridge, ports and legs as they should be; one run at a time. */
  private async reconcile(): Promise<void> {
    await this.reconciling?.catch(() => {});
    this.reconciling = this.reconcileNow();
    await this.reconciling;
  }

  private async reconcileNow(): Promise<void> {
    const problems = this.bridge?.problems;
    // What made this necessary may have been a change of the underlay.
    this.underlay = undefined;
    this.bridge = await this.driver.ensureBridge(this.bridgeSettings());
    if (this.bridge.problems.join() !== problems?.join()) {
      for (const problem of this.bridge.problems)
        this.settings.logger.warn({ event: 'bridge.problem', problem });
    }
    await this.attachments.reconcile();
    await this.queues.reconcile(this.bridge);
    await this.names?.reconcile();
    this.problem = '';
  }

  private bridgeSettings(): BridgeSettings {
    const { bridge, hostLabel, datapathId, openflow, vtepIp, uplink, datapath, hwOffload } = this.settings;
    return {
      bridge,
      hostLabel,
      datapathId,
      controllers: openflow,
      datapath,
      peers: this.tunnels.peers,
      ...(this.names === undefined ? {} : { hardwareAddress: NAME_SERVER_MAC }),
      ...(vtepIp === undefined ? {} : { vtepIp }),
      ...(uplink === undefined ? {} : { uplink }),
      ...(hwOffload === undefined ? {} : { hwOffload }),
    };
  }

  /** After a registration; nobody waits for it. */
  private catchUp(): void {
    setImmediate(() => {
      this.tunnels.tell();
      for (const listener of this.registrationListeners) listener();
      this.attachments.releasePending().catch((error: unknown) => {
        this.settings.logger.warn({ event: 'endpoint.release.failed', reason: messageOf(error) });
      });
    });
  }

  private async underlayMtu(): Promise<number | undefined> {
    const { vtepIp, uplink } = this.settings;
    if (vtepIp !== undefined) return (await findUnderlay(vtepIp)).mtu;
    return uplink === undefined ? undefined : await linkMtu(uplink);
  }

  private async mtuOf(view: EndpointView): Promise<number> {
    const { vtepIp, uplink } = this.settings;
    if (view.encapsulation === 'vlan') {
      return (uplink === undefined ? undefined : await linkMtu(uplink)) ?? LOCAL_MTU;
    }
    if (vtepIp === undefined) return LOCAL_MTU - view.mtuOverhead;
    this.underlay ??= (await findUnderlay(vtepIp)).mtu;
    return this.underlay - view.mtuOverhead;
  }
}
