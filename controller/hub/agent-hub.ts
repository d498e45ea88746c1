import {
  type Address,
  AgentDeregister,
  AgentHeartbeat,
  AgentRegister,
  AgentSnapshot,
  type Call,
  type Clock,
  EndpointAttach,
  EndpointDetach,
  EndpointFollowed,
  EndpointRequest,
  HostPeersChanged,
  HostQueuesChanged,
  HostTable,
  Hub,
  type ParamsOf,
  type Peer,
  type ResultOf,
  Router,
  systemClock,
  TunnelStates,
} from '../../rpc/index.js';
import type { FactChange } from '../model/facts.js';
import { Agent, admit, describe, forwarderOf, identityOf, rivalsAreGone, shownForwarder } from './agents.js';
import { acknowledgedByHome, acknowledgedByTable, deadline } from './attaching.js';
import { Announcements } from './announcements.js';
import { Arrivals } from './arrivals.js';
import { HubError } from './errors.js';
import { answersOfMembers, Followers } from './followers.js';
import { TableDeliveries } from './host-tables.js';
import { Locations } from './locations.js';
import { nameMethods } from './names.js';
import { networkMethods } from './networks.js';
import { requestEndpoint } from './requesting.js';
import type { AgentHubOptions, HubEvent, HubHost, HubTurn } from './types.js';

/** An agent that does not register in this time after connecting is closed. */
const REGISTER_MS = 10_000;
/** Of one agent; what it sends above that waits in its socket. */
const MESSAGES_PER_SECOND = 10_000;
/** How long calls may still run when an agent's lease has ended. */
const DRAIN_MS = 1_000;

/**
 * The controller's end of the hub: agents register their host, hold a lease, tell what is attached, and attach endpoints; the
 * model remembers, the switches get the entries. Nothing here waits for an agent.
 */
export class AgentHub {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #locations = new Locations();
  /** By host: the last agent that registered it, connected or not. */
  readonly #agents = new Map<string, Agent>();
  readonly #agentOf = new Map<Peer, Agent>();
  readonly #remoteOf = new Map<Peer, string>();
  /** By host: the end of its registrations, which happen one after the other. */
  readonly #registering = new Map<string, Promise<unknown>>();
  readonly #arrivals = new Arrivals(this.#locations);
  readonly #announcements: Announcements;
  readonly #following = new Set<Followers>();
  readonly #tables: TableDeliveries;
  readonly #startedAt: number;
  #stopFacts: (() => void) | undefined;

  constructor(private readonly options: AgentHubOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#leaseMs = options.leaseMs ?? 15_000;
    this.#startedAt = this.#clock.now();
    this.#hub = new Hub({
      router: this.#router(),
      clock: this.#clock,
      limits: { maxMessagesPerSecond: MESSAGES_PER_SECOND, ...options.limits },
      ...(options.maxConnections === undefined ? {} : { maxPeers: options.maxConnections }),
      ...(options.onUnexpected === undefined ? {} : { onUnexpected: options.onUnexpected }),
      onListenerError: (error) => options.onListenerError?.(error),
      onUp: (peer, remote) => {
        this.#onPeer(peer, remote);
      },
      onDown: (peer, reason) => {
        this.#onPeerGone(peer, reason);
      },
    });
    this.#tables = new TableDeliveries(options.switches.tables, this.#clock, (host, reason) => {
      this.#tell({ event: 'host.unresponsive', host, method: HostTable.method, reason });
    });
    this.#announcements = new Announcements(
      this.#hub,
      options.model,
      this.#locations,
      this.#agents,
      (event) => {
        this.#tell(event);
      },
    );
  }

  /** Listens on every address; returns those in use. Rejects, listening on none, when one cannot be had. */
  async start(): Promise<Address[]> {
    this.#locations.apply(this.options.model.facts());
    this.#stopFacts = this.options.model.onFacts((changes) => {
      this.#onFacts(changes);
    });
    const addresses: Address[] = [];
    try {
      for (const address of this.options.addresses) addresses.push(await this.#hub.listen(address));
    } catch (error) {
      await this.stop(0);
      throw error;
    }
    return addresses;
  }

  /** Takes no new agent, lets running calls finish for at most `deadlineMs`, closes the connections. */
  async stop(deadlineMs: number): Promise<void> {
    await this.#hub.close(deadlineMs);
    this.#stopFacts?.();
    for (const agent of this.#agents.values()) agent.retire();
    for (const followers of this.#following) followers.cancel();
    this.#tables.stop();
  }

  /** Hosts that facts or agents know, by name. */
  hosts(): HubHost[] {
    const names = new Set(this.#agents.keys());
    for (const { name } of this.#locations.hosts()) names.add(name);
    return [...names].sort().map((host) => ({
      ...describe(host, this.#agents.get(host), this.#locations.host(host)?.datapathId),
      attached: this.#locations.attachedOn(host),
    }));
  }

  /** Tells the agent of a host that `switches.queues` are others now; one that is away is told when it registers. */
  queuesChanged(host: string): void {
    const agent = this.#agents.get(host);
    if (agent?.connected !== true) return;
    const queues = [...this.options.switches.queues(host)];
    this.#hub.fanOut(HostQueuesChanged, { queues }, [agent.peer], 'queues');
  }

  /** Tells the agent of a host that `switches.peers` are others now; one that is away is told when it registers. */
  peersChanged(host: string): void {
    const agent = this.#agents.get(host);
    if (agent?.connected !== true) return;
    this.#hub.fanOut(
      HostPeersChanged,
      { peers: [...this.options.switches.peers(host)] },
      [agent.peer],
      'peers',
    );
  }

  /** Rows of the table of a host without OpenFlow have changed; an agent that is away gets all of it when it registers. */
  tableChanged(host: string, keys: ReadonlySet<string>): void {
    this.#tables.changed(host, keys);
  }

  get connections(): number {
    return this.#hub.peers.size;
  }

  /** Notifications sent since the start, counted per receiver. */
  get notifications(): number {
    return this.#announcements.sent;
  }

  #router(): Router {
    const router = new Router()
      .request(AgentRegister, (params, call) => this.#register(params, call))
      .request(AgentHeartbeat, ({ epoch }, call) => {
        this.#agent(call, epoch);
        return {};
      })
      .request(AgentSnapshot, async ({ epoch, attachments }, call) => {
        const { host } = this.#agent(call, epoch).identity;
        const { accepted, stale } = await this.#merge(host, epoch, attachments);
        return { stale: [...stale], held: [...accepted] };
      })
      .request(AgentDeregister, ({ epoch }, call) => {
        this.#agent(call, epoch).end('its agent has deregistered');
        return {};
      })
      .request(EndpointRequest, ({ endpoint: name, waitMs: ms = 0, ...params }, call) => {
        const { host } = this.#agent(call).identity;
        const waiting = { arrivals: this.#arrivals, clock: this.#clock, ms, signal: call.signal };
        return requestEndpoint(this.options.model, { ...params, name, host }, waiting);
      })
      .request(EndpointAttach, (params, call) => this.#attach(params, call))
      .request(EndpointDetach, async (params, call) => {
        const { host } = this.#agent(call).identity;
        const detach = () => this.options.model.detach({ ...params, host });
        return { ...(await this.#announcements.whileDetaching(host, params.endpoint, detach)) };
      })
      .notification(TunnelStates, ({ tunnels }, peer) => {
        const agent = this.#agentOf.get(peer);
        if (agent !== undefined) this.options.onTunnels?.(agent.identity.host, tunnels);
      });
    const hostOf = (call: Call): string => this.#agent(call).identity.host;
    return nameMethods(networkMethods(router, this.options.model, hostOf), this.options.model, hostOf);
  }

  #onPeer(peer: Peer, remote: string): void {
    this.#remoteOf.set(peer, remote);
    const stop = this.#clock.after(REGISTER_MS, () => {
      if (!this.#agentOf.has(peer)) peer.close(`no agent.register in ${REGISTER_MS} ms`);
    });
    peer.onClose(stop);
  }

  #onPeerGone(peer: Peer, reason: string): void {
    this.#remoteOf.delete(peer);
    const agent = this.#agentOf.get(peer);
    this.#agentOf.delete(peer);
    if (agent === undefined) return;
    if (this.#agents.get(agent.identity.host) === agent) this.options.onTunnels?.(agent.identity.host, []);
    if (!agent.holdsLease) return;
    this.#tell({ event: 'host.disconnected', host: agent.identity.host, reason });
  }

  /** The agent that calls; its lease is renewed by every call. */
  #agent({ peer }: Call, epoch?: number): Agent {
    const agent = this.#agentOf.get(peer);
    if (agent === undefined) {
      throw new HubError('hub.unregistered', 'this connection speaks for no host', {
        fix: 'call agent.register first',
      });
    }
    if (epoch !== undefined && epoch !== agent.identity.epoch) {
      throw new HubError(
        'hub.epoch',
        `host ${agent.identity.host} registered with epoch ${agent.identity.epoch}, not ${epoch}`,
        { path: 'epoch', fix: 'keep the epoch of the registration, or register again' },
      );
    }
    agent.renew();
    return agent;
  }

  async #register(
    params: ParamsOf<typeof AgentRegister>,
    call: Call,
  ): Promise<ResultOf<typeof AgentRegister>> {
    const host = params.hostLabel;
    // A second connection of the same host waits for the first: who comes later decides against a settled state.
    const before = this.#registering.get(host) ?? Promise.resolve();
    const result = before.then(() => this.#registerNow(params, call));
    const done = result
      .catch((error: unknown) => {
        const { code = 'internal', message = String(error) } = error as { code?: string; message?: string };
        const remoteAddress = this.#remoteOf.get(call.peer) ?? 'gone';
        this.#tell({ event: 'host.refused', host, remoteAddress, code, reason: message });
      })
      .finally(() => {
        if (this.#registering.get(host) === done) this.#registering.delete(host);
      });
    this.#registering.set(host, done);
    return result;
  }

  async #registerNow(
    params: ParamsOf<typeof AgentRegister>,
    { peer }: Call,
  ): Promise<ResultOf<typeof AgentRegister>> {
    const { hostLabel: host, epoch, tunnelPort, attachments } = params;
    const identity = identityOf(params);
    const { vtepIp, uplink } = identity;
    const settled = this.#clock.now() - this.#startedAt >= this.#leaseMs;
    const own = this.#agentOf.get(peer);
    if (own !== undefined && own.identity.host !== host) {
      throw new HubError('hub.registered', `this connection speaks for host ${own.identity.host} already`, {
        path: 'hostLabel',
        fix: 'open a connection per host',
      });
    }
    const current = this.#agents.get(host);
    if (current?.peer !== peer) await admit(current, identity);
    await this.options.model.claimHost({
      host,
      ...forwarderOf(identity),
      ...(vtepIp === undefined ? {} : { vtepIp }),
      ...(uplink === undefined ? {} : { uplink }),
      ...(tunnelPort === undefined ? {} : { tunnelPort }),
      ...(rivalsAreGone(identity, this.#locations, this.#agents, settled) ? { takeOver: true } : {}),
    });
    const { accepted, stale, removed } = await this.#merge(host, epoch, attachments);
    const remoteAddress = this.#remoteOf.get(peer);
    if (remoteAddress === undefined) throw new HubError('hub.gone', 'the agent closed its connection');

    current?.retire();
    const agent = new Agent(identity, peer, remoteAddress, this.#leaseMs, this.#clock, (gone, reason) => {
      this.#tell({ event: 'host.down', host, reason });
      // An agent that comes back registers again and tells its attachments.
      void gone.peer.drain(DRAIN_MS);
    });
    this.#agents.set(host, agent);
    this.#agentOf.set(peer, agent);
    if (current !== undefined && current.peer !== peer) {
      this.#agentOf.delete(current.peer);
      current.peer.close(`another connection speaks for host ${host} now`);
    }
    this.#tell({
      event: 'host.up',
      host,
      epoch,
      ...shownForwarder(identity),
      remoteAddress,
      attachments: attachments.length,
      stale,
      removed,
    });
    if (identity.softSwitch !== undefined) this.#startTable(host, peer);
    return {
      leaseMs: this.#leaseMs,
      controllerId: this.options.controllerId,
      stale: [...stale],
      held: [...accepted],
      queues: [...this.options.switches.queues(host)],
      peers: [...this.options.switches.peers(host)],
    };
  }

  /** The whole table, once what the registration says of the host is derived. */
  #startTable(host: string, peer: Peer): void {
    const start = (): void => {
      if (peer.closed === undefined && this.#agents.get(host)?.peer === peer) this.#tables.start(host, peer);
    };
    this.options.switches.settle().then(start, start);
  }

  #merge(host: string, epoch: number, attachments: ParamsOf<typeof AgentSnapshot>['attachments']) {
    return this.#announcements.whileMerging(host, () =>
      this.options.model.mergeSnapshot({ host, epoch, attachments }),
    );
  }

  async #attach(
    { endpoint, interface: name, deadlineMs }: ParamsOf<typeof EndpointAttach>,
    call: Call,
  ): Promise<ResultOf<typeof EndpointAttach>> {
    const { host } = this.#agent(call).identity;
    const { model, switches, attachDeadlineMs = 10_000 } = this.options;
    const limit = deadline(this.#clock, deadlineMs ?? attachDeadlineMs, call.signal);
    let others: Followers | undefined;
    try {
      const attached = await model.attach({ endpoint, host, interface: name });
      const { generation } = attached;
      if (attached.pending) await this.#arrivals.wait(endpoint, generation, limit.signal);
      const { datapathId, softSwitch } = this.#locations.host(host) ?? {};
      if (datapathId === undefined && softSwitch === undefined) {
        throw new HubError('host.unknown', `host ${host} has been deleted`, {
          fix: 'call agent.register again',
        });
      }
      const number = this.#locations.endpoint(endpoint)?.number ?? 0;
      const follow = (turn: HubTurn): void => {
        others?.cancel();
        const network = this.#locations.endpoint(endpoint)?.network;
        const answers = answersOfMembers(network, host, this.#locations, turn, this.#tables);
        others = new Followers(answers, this.#clock, (ended) => this.#following.delete(ended));
        if (answers.size > 0) this.#following.add(others);
      };
      if (datapathId === undefined) {
        await acknowledgedByTable(switches, this.#tables, { host, endpoint }, limit.signal, follow);
      } else {
        const home = { host, datapathId, interface: name, endpoint, number };
        await acknowledgedByHome(switches, home, limit.signal, follow);
      }
      const view = model.endpoint(endpoint);
      if (view === undefined || this.#locations.endpoint(endpoint)?.generation !== generation) {
        throw new HubError('endpoint.gone', `${endpoint} was deleted or attached elsewhere meanwhile`, {
          fix: 'take its interface down',
        });
      }
      const complete = others === undefined || others.complete;
      others?.whenDone((followed) => {
        if (!complete) call.peer.notify(EndpointFollowed, { endpoint, generation, ...followed });
      });
      return {
        endpoint: view,
        generation,
        acknowledged: true,
        others: complete ? 'acknowledged' : 'pending',
      };
    } catch (error) {
      others?.cancel();
      throw error;
    } finally {
      limit.release();
    }
  }

  #onFacts(changes: readonly FactChange[]): void {
    for (const change of this.#locations.apply(changes)) {
      this.#announcements.changed(change);
      this.#arrivals.look(change.id);
    }
    for (const { kind, key, value } of changes) {
      if (kind !== 'host' || value !== undefined) continue;
      const agent = this.#agents.get(key);
      agent?.peer.close(`host ${key} has been deleted; register again`);
      agent?.retire();
      this.#agents.delete(key);
    }
  }

  #tell(event: HubEvent): void {
    this.options.onEvent?.(event);
  }
}
