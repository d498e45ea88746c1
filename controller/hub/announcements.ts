import { AgentDetach, EndpointChanged, type Hub, type Peer } from '../../rpc/index.js';
import type { Agent } from './agents.js';
import { type EndpointChange, homeOf, type Locations } from './locations.js';
import type { HubEvent, HubModel } from './types.js';

/** How long an agent may take to answer a call of ours. Nothing waits for it but a log line. */
const AGENT_CALL_MS = 5_000;

/** Tells agents what has changed about endpoints that concern their host. */
export class Announcements {
  /** Notifications sent, counted per receiver. */
  sent = 0;
  /** Hosts whose agents are telling their attachments just now: what changes thereby is no news to them. */
  readonly #merging = new Map<string, number>();
  /** `host endpoint` being detached by the host's own agent. */
  readonly #detaching = new Set<string>();

  constructor(
    private readonly hub: Hub,
    private readonly model: HubModel,
    private readonly locations: Locations,
    private readonly agents: ReadonlyMap<string, Agent>,
    private readonly tell: (event: HubEvent) => void,
  ) {}

  /** Runs a merge of the host's own account; its agent is not asked to take down what it has just said is gone. */
  async whileMerging<T>(host: string, merge: () => Promise<T>): Promise<T> {
    this.#merging.set(host, (this.#merging.get(host) ?? 0) + 1);
    try {
      return await merge();
    } finally {
      const left = (this.#merging.get(host) ?? 1) - 1;
      if (left === 0) this.#merging.delete(host);
      else this.#merging.set(host, left);
    }
  }

  /** The same for a single endpoint. */
  async whileDetaching<T>(host: string, endpoint: string, detach: () => Promise<T>): Promise<T> {
    const key = `${host} ${endpoint}`;
    this.#detaching.add(key);
    try {
      return await detach();
    } finally {
      this.#detaching.delete(key);
    }
  }

  changed(change: EndpointChange): void {
    this.#notify(change);
    this.#takeDown(change);
  }

  #notify({ id, before, after }: EndpointChange): void {
    const receivers = new Set<Peer>();
    for (const host of [before?.host, after?.host]) {
      const agent = host === undefined ? undefined : this.agents.get(host);
      if (agent?.connected === true) receivers.add(agent.peer);
    }
    const network = (after ?? before)?.network;
    for (const host of network === undefined ? [] : this.locations.membersOf(network)) {
      const agent = this.agents.get(host);
      if (agent?.connected === true && agent.identity.follow === 'networks') receivers.add(agent.peer);
    }
    if (receivers.size === 0) return;
    const view = after === undefined ? undefined : this.model.endpoint(id);
    const params = view === undefined ? { endpoint: id } : { endpoint: id, view };
    this.sent += this.hub.fanOut(EndpointChanged, params, receivers, id);
  }

  /** Asks the agent of a host that an endpoint has left to take it down, unless that agent has just said so itself. */
  #takeDown({ id, before, after }: EndpointChange): void {
    const left = homeOf(before);
    const home = homeOf(after);
    if (left === undefined || left === home) return;
    if (this.#merging.has(left) || this.#detaching.has(`${left} ${id}`)) return;
    const agent = this.agents.get(left);
    if (agent?.connected !== true) return; // it is told when it registers
    let reason = home === undefined ? 'detached' : `attached on host ${home}`;
    if (after === undefined) reason = 'deleted';
    agent.peer
      .call(AgentDetach, { endpoint: id, reason }, { deadlineMs: AGENT_CALL_MS })
      .catch((error: unknown) => {
        this.tell({
          event: 'host.unresponsive',
          host: left,
          method: AgentDetach.method,
          reason: error instanceof Error ? error.message : String(error),
        });
      });
  }
}
