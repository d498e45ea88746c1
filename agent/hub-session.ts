/**
 * The agent's side of the hub: one connection kept up, registration with the whole truth on each, heartbeats in between, and calls for
 * whoever attaches endpoints.
 */
import {
  AgentDeregister,
  AgentHeartbeat,
  AgentRegister,
  AgentSnapshot,
  Client,
  EndpointAttach,
  EndpointDetach,
  EndpointRequest,
  NameLookup,
  PROTOCOL_VERSION,
  TUNNEL_INTERFACE,
  TunnelStates,
  type Attachment,
  type HostQueue,
  type ParamsOf,
  type Peer,
  type RequestType,
  type ResultOf,
  type Router,
  type TunnelPeer,
  type TunnelState,
} from '../rpc/index.js';
import { AgentError, messageOf } from './error.js';
import type { AgentSettings } from './options.js';

export interface HubSessionOptions {
  readonly settings: AgentSettings;
  readonly epoch: number;
  /** What the agent answers and hears. */
  readonly router: Router;
  attachments(): readonly Attachment[];
  underlayMtu(): Promise<number | undefined>;
  /** Called after each registration, before calls may go out, with what the controller answered. */
  onRegistered(merged: Registration): Promise<void>;
}

/** What the controller answers to a snapshot. */
export interface MergedAttachments {
  /** Endpoints that are not this host's any more. */
  readonly stale: readonly string[];
  /** The others, with the generations that count now. */
  readonly held: readonly Attachment[];
}

/** What the controller answers to a registration. */
export interface Registration extends MergedAttachments {
  /** Of the uplinks; absent: a controller that knows of none. */
  readonly queues?: readonly HostQueue[];
  /** Hosts whose tunnels to watch; absent: a controller that knows of none. */
  readonly peers?: readonly TunnelPeer[];
}

/** Of a request beyond what it waits for. */
const REQUEST_DEADLINE_MS = 30_000;
const DEREGISTER_DEADLINE_MS = 1_000;
const LOOKUP_DEADLINE_MS = 2_000;

export class HubSession {
  private readonly client: Client;
  private heartbeat: NodeJS.Timeout | undefined;
  private failure = '';

  constructor(private readonly options: HubSessionOptions) {
    const { settings, router } = options;
    const { logger } = settings;
    this.client = new Client({
      addresses: settings.hub,
      router,
      onUp: (peer) => this.register(peer),
      onDown: (reason, retryMs) => {
        clearInterval(this.heartbeat);
        // One line per kind of failure, not one per attempt.
        if (reason !== this.failure) logger.warn({ event: 'hub.disconnected', reason, retryMs });
        this.failure = reason;
      },
      onUnexpected: (error, method) => {
        logger.error({ event: 'hub.handler.failed', method, reason: messageOf(error) });
      },
      onIgnored: (reason, method) => {
        logger.debug({ event: 'hub.ignored', method, reason: reason.message });
      },
    });
  }

  start(): void {
    this.client.start();
  }

  get registered(): boolean {
    return this.client.peer !== undefined;
  }

  request(params: ParamsOf<typeof EndpointRequest>): Promise<ResultOf<typeof EndpointRequest>> {
    const { waitMs = 0 } = params;
    return this.call(EndpointRequest, params, { deadlineMs: waitMs + REQUEST_DEADLINE_MS });
  }

  attach(params: ParamsOf<typeof EndpointAttach>): Promise<ResultOf<typeof EndpointAttach>> {
    const { deadlineMs } = params;
    // The controller ends the call at its deadline with a better error than ours would be.
    return this.call(
      EndpointAttach,
      params,
      deadlineMs === undefined ? {} : { deadlineMs: deadlineMs + 1_000 },
    );
  }

  detach(params: ParamsOf<typeof EndpointDetach>): Promise<ResultOf<typeof EndpointDetach>> {
    return this.call(EndpointDetach, params);
  }

  /** Soon or not at all: whoever asks over DNS does not wait long. */
  lookUpName(params: ParamsOf<typeof NameLookup>): Promise<ResultOf<typeof NameLookup>> {
    return this.call(NameLookup, params, { deadlineMs: LOOKUP_DEADLINE_MS });
  }

  /** Tell of the watched tunnels; whoever is not connected tells after registering. */
  tellTunnels(tunnels: readonly TunnelState[]): void {
    this.client.peer?.notify(TunnelStates, { tunnels: [...tunnels] });
  }

  /** Send the whole truth again. */
  async snapshot(): Promise<MergedAttachments> {
    const attachments = [...this.options.attachments()];
    const { stale, held = [] } = await this.call(AgentSnapshot, { epoch: this.options.epoch, attachments });
    return { stale, held };
  }

  /** End the lease, if there is a connection, and the connection. Flow entries stay. */
  async close(): Promise<void> {
    clearInterval(this.heartbeat);
    try {
      const { peer } = this.client;
      await peer?.call(
        AgentDeregister,
        { epoch: this.options.epoch },
        { deadlineMs: DEREGISTER_DEADLINE_MS },
      );
    } catch (error) {
      this.options.settings.logger.debug({ event: 'hub.deregister.failed', reason: messageOf(error) });
    }
    this.client.stop();
  }

  private call<T extends RequestType>(
    type: T,
    params: ParamsOf<T>,
    options: { readonly deadlineMs?: number } = {},
  ): Promise<ResultOf<T>> {
    const { peer } = this.client;
    if (peer !== undefined) return peer.call(type, params, options);
    const why = this.failure === '' ? '' : `: ${this.failure}`;
    return Promise.reject(
      new AgentError('agent.disconnected', `the agent is not connected to the controller${why}`, {
        fix: 'try again when the controller is back',
      }),
    );
  }

  private async register(peer: Peer): Promise<void> {
    const { settings, epoch } = this.options;
    const underlayMtu = await this.options.underlayMtu();
    const {
      leaseMs,
      controllerId,
      stale,
      held = [],
      queues,
      peers,
    } = await peer.call(AgentRegister, {
      protocol: PROTOCOL_VERSION,
      hostLabel: settings.hostLabel,
      epoch,
      ...(settings.switch === 'ovs' ? { datapathId: settings.datapathId } : { switch: settings.switch }),
      bridge: settings.bridge,
      ...(settings.vtepIp === undefined ? {} : { vtepIp: settings.vtepIp }),
      ...(settings.vtepIp === undefined || settings.switch !== 'ovs' ? {} : { tunnelPort: TUNNEL_INTERFACE }),
      ...(settings.uplink === undefined ? {} : { uplink: settings.uplink }),
      ...(underlayMtu === undefined ? {} : { underlayMtu }),
      attachments: [...this.options.attachments()],
    });
    this.failure = '';
    settings.logger.info({ event: 'hub.registered', controllerId, leaseMs, stale: stale.length });
    await this.options.onRegistered({
      stale,
      held,
      ...(queues === undefined ? {} : { queues }),
      ...(peers === undefined ? {} : { peers }),
    });
    clearInterval(this.heartbeat);
    this.heartbeat = setInterval(() => void this.beat(peer, leaseMs), Math.max(1, leaseMs / 3));
  }

  private async beat(peer: Peer, leaseMs: number): Promise<void> {
    try {
      await peer.call(AgentHeartbeat, { epoch: this.options.epoch }, { deadlineMs: leaseMs });
    } catch (error) {
      // A controller that forgot us, or that is stuck: the next connection registers anew.
      peer.close(`heartbeat: ${messageOf(error)}`);
    }
  }
}
