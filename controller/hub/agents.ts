import { AgentPing, type AgentRegister, type Clock, type ParamsOf, type Peer } from '../../rpc/index.js';
import type { SoftSwitch } from '../model/facts.js';
import { HubError } from './errors.js';
import type { Locations } from './locations.js';
import type { HubHost } from './types.js';

/** What an agent said of itself when it registered. */
export interface AgentIdentity {
  readonly host: string;
  /** Grows with each start of the agent. */
  readonly epoch: number;
  /** Absent: its switch speaks no OpenFlow. */
  readonly datapathId?: string;
  readonly softSwitch?: SoftSwitch;
  readonly bridge: string;
  readonly vtepIp?: string;
  readonly uplink?: string;
  /** `networks`: wants to hear of every endpoint of the networks on its host. */
  readonly follow: 'own' | 'networks';
}

/** @throws HubError `host.switch` for Open vSwitch without a datapath id */
export function identityOf({
  hostLabel: host,
  epoch,
  datapathId,
  switch: kind = 'ovs',
  bridge,
  follow = 'own',
  vtepIp,
  uplink,
}: ParamsOf<typeof AgentRegister>): AgentIdentity {
  if (kind === 'ovs' && datapathId === undefined) {
    throw new HubError('host.switch', 'an agent of Open vSwitch names the datapath id of its bridge', {
      path: 'datapathId',
      fix: 'give 16 lower-case hexadecimal digits, or say in `switch` what forwards instead',
    });
  }
  return {
    host,
    epoch,
    ...(kind !== 'ovs' ? { softSwitch: kind } : datapathId === undefined ? {} : { datapathId }),
    bridge,
    follow,
    ...(vtepIp === undefined ? {} : { vtepIp }),
    ...(uplink === undefined ? {} : { uplink }),
  };
}

/** What forwards on the host: one of the two. */
export function forwarderOf({
  datapathId,
  softSwitch,
}: AgentIdentity): Pick<AgentIdentity, 'datapathId' | 'softSwitch'> {
  if (softSwitch !== undefined) return { softSwitch };
  return datapathId === undefined ? {} : { datapathId };
}

/** The same, as events and status say it. */
export function shownForwarder({
  datapathId,
  softSwitch,
}: AgentIdentity): Pick<HubHost, 'datapathId' | 'switch'> {
  if (softSwitch !== undefined) return { switch: softSwitch };
  return datapathId === undefined ? {} : { datapathId };
}

/** A timer that fires so much late says that the event loop stood still. */
const LATE_MS = 1_000;

/** A registered agent, from its register call until another one takes its place. Its lease may outlive its connection. */
export class Agent {
  #lastSeen: number;
  #out: string | undefined;
  #stopTimer: (() => void) | undefined;

  constructor(
    readonly identity: AgentIdentity,
    readonly peer: Peer,
    readonly remoteAddress: string,
    private readonly leaseMs: number,
    private readonly clock: Clock,
    private readonly onLeaseOut: (agent: Agent, reason: string) => void,
  ) {
    this.#lastSeen = clock.now();
    this.#arm(leaseMs);
  }

  get connected(): boolean {
    return this.peer.closed === undefined;
  }

  get holdsLease(): boolean {
    return this.#out === undefined;
  }

  get leaseLeftMs(): number {
    return this.holdsLease ? Math.max(0, this.#lastSeen + this.leaseMs - this.clock.now()) : 0;
  }

  get silentMs(): number {
    return this.clock.now() - this.#lastSeen;
  }

  renew(): void {
    this.#lastSeen = this.clock.now();
  }

  /** Ends the lease: it ran out, was given back, or another agent takes over. */
  end(reason: string): void {
    if (this.#out !== undefined) return;
    this.#out = reason;
    this.#stopTimer?.();
    this.onLeaseOut(this, reason);
  }

  /** Forgets the lease without a word: the same agent registers anew, or the hub stops. */
  retire(): void {
    this.#out ??= 'retired';
    this.#stopTimer?.();
  }

  #arm(ms: number): void {
    const due = this.clock.now() + ms;
    this.#stopTimer = this.clock.after(ms, () => {
      const left = this.leaseLeftMs;
      if (left > 0) this.#arm(left);
      // This process itself was stopped or busy: what the agent has said meanwhile waits to be read.
      else if (this.clock.now() - due > LATE_MS) this.#arm(this.leaseMs / 3);
      else this.end(`not heard of for ${this.leaseMs} ms`);
    });
  }
}

/**
 * Whether another host holds the candidate's datapath or tunnel address without an agent to back it. After a start of the controller
 * (until it has `settled`) every host has one lease's time to come back before it can be robbed.
 */
export function rivalsAreGone(
  { host, datapathId, vtepIp }: AgentIdentity,
  locations: Pick<Locations, 'holdersOf'>,
  agents: ReadonlyMap<string, Agent>,
  settled: boolean,
): boolean {
  const rivals = locations.holdersOf(datapathId, vtepIp).filter((rival) => rival !== host);
  return rivals.length > 0 && rivals.every((rival) => !(agents.get(rival)?.holdsLease ?? !settled));
}

const PROBE_MS = 1_000;

/**
 * Decides who may speak for a host. The rule: the same agent (same epoch, same datapath) may always come back. Another
 * one is refused while the first is alive: its connection is open, its lease holds and it answers a ping. If the first is
 * disconnected but its lease holds, a newer epoch takes over and an older one is refused. Once the lease is out, anybody
 * may (a host whose clock went backwards must not be locked out).
 */
export async function admit(current: Agent | undefined, candidate: AgentIdentity): Promise<void> {
  if (current === undefined || !current.holdsLease) return;
  const { host, epoch, datapathId } = current.identity;
  if (candidate.epoch === epoch && candidate.datapathId === datapathId) return;
  if (current.connected && (await answersPing(current.peer))) {
    throw new HubError(
      'host.taken',
      `host ${host} has a live agent at ${current.remoteAddress} (epoch ${epoch}${datapathId === undefined ? '' : `, datapath ${datapathId}`})`,
      { path: 'hostLabel', fix: 'stop that agent, or give this one another host label' },
    );
  }
  if (current.holdsLease && candidate.epoch < epoch) {
    throw new HubError(
      'host.epoch',
      `host ${host} was registered with epoch ${epoch}, which is newer than ${candidate.epoch}`,
      { path: 'epoch', fix: `register again when the lease is out, in ${Math.ceil(current.leaseLeftMs)} ms` },
    );
  }
}

async function answersPing(peer: Peer): Promise<boolean> {
  try {
    await peer.call(AgentPing, {}, { deadlineMs: PROBE_MS });
    return true;
  } catch {
    return false;
  }
}

/** A host for status, by what its last agent said. */
export function describe(
  host: string,
  agent: Agent | undefined,
  claimed: string | undefined,
): Omit<HubHost, 'attached'> {
  const datapathId = agent?.identity.datapathId ?? claimed;
  const datapath = datapathId === undefined ? {} : { datapathId };
  if (agent === undefined) return { host, state: 'unknown', connected: false, ...datapath };
  const { epoch, bridge, vtepIp, uplink, softSwitch } = agent.identity;
  return {
    host,
    state: agent.holdsLease ? 'up' : 'down',
    connected: agent.connected,
    ...datapath,
    ...(softSwitch === undefined ? {} : { switch: softSwitch }),
    bridge,
    ...(vtepIp === undefined ? {} : { vtepIp }),
    ...(uplink === undefined ? {} : { uplink }),
    epoch,
    remoteAddress: agent.remoteAddress,
    ...(agent.holdsLease ? { leaseMs: Math.round(agent.leaseLeftMs) } : {}),
    silentMs: Math.round(agent.silentMs),
  };
}
