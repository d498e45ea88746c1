/**
 * Which hosts are down, so that no copies are relayed over them.
 *
 * A host is down when the session of its switch and the connection of its agent are both gone: a process that is killed closes its
 * connection at once, and one of the two alone says nothing of forwarding, which goes on without either. Where a connection is not
 * closed (power cut, broken cable), echo requests end the session and the lease ends the agent. Hosts that watch each other's tunnels
 * (BFD) know sooner: a host is down as well when all who watch its tunnel, and are not down themselves, see it down.
 *
 * After a start hosts have the time of a lease to come back: nothing is said of one that was not heard of yet.
 */
import type { AgentState } from './index.js';
import type { PlannerClock } from './planner.js';

export interface LivenessOptions {
  /** Milliseconds after the start in which hosts that were not heard of count as up; the lease of agents. */
  readonly startMs: number;
  readonly clock: PlannerClock;
  /** A host is down, or up again; told when it changes. */
  readonly onChange: (host: string, down: boolean) => void;
}

interface HostState {
  datapathId: string | undefined;
  agent: boolean;
  /** Its agent or its switch has been here since the start. */
  heard: boolean;
  down: boolean;
  /** Who watches its tunnel, and whether they see it up. */
  readonly watchers: Map<string, boolean>;
}

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #hosts = new Map<string, HostState>();
  readonly #sessions = new Set<string>();
  readonly #hostOf = new Map<string, string>();
  readonly #cancelStart: () => void;
  #started = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#cancelStart = options.clock.after(options.startMs, () => {
      this.#started = true;
      for (const host of this.#hosts.keys()) this.#judge(host);
    });
  }

  /** A host of the model and the switch that it claims, if any. */
  claimed(host: string, datapathId: string | undefined): void {
    const state = this.#state(host);
    if (state.datapathId === datapathId) return;
    this.#release(host, state);
    state.datapathId = datapathId;
    if (datapathId !== undefined) this.#hostOf.set(datapathId, host);
    this.#judge(host);
  }

  /** A host of the model is gone. */
  removed(host: string): void {
    const state = this.#hosts.get(host);
    if (state === undefined) return;
    this.#release(host, state);
    this.#hosts.delete(host);
    if (state.down) this.#options.onChange(host, false);
    for (const [other, { watchers }] of this.#hosts) if (watchers.delete(host)) this.#judge(other);
  }

  agent(host: string, agent: AgentState): void {
    const state = this.#state(host);
    state.agent = agent === 'up';
    state.heard ||= state.agent;
    this.#judge(host);
  }

  session(datapathId: string, up: boolean): void {
    if (up) this.#sessions.add(datapathId);
    else this.#sessions.delete(datapathId);
    const host = this.#hostOf.get(datapathId);
    if (host !== undefined) this.#judge(host);
  }

  /** What a host sees of the tunnel to another one; undefined: it does not watch it (any more). */
  tunnel(watcher: string, host: string, up: boolean | undefined): void {
    const { watchers } = this.#state(host);
    if (up === undefined) watchers.delete(watcher);
    else watchers.set(watcher, up);
    this.#judge(host);
  }

  close(): void {
    this.#cancelStart();
  }

  #state(host: string): HostState {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const state: HostState = {
      datapathId: undefined,
      agent: false,
      heard: false,
      down: false,
      watchers: new Map(),
    };
    this.#hosts.set(host, state);
    return state;
  }

  #release(host: string, { datapathId }: HostState): void {
    if (datapathId !== undefined && this.#hostOf.get(datapathId) === host) this.#hostOf.delete(datapathId);
  }

  #judge(host: string): void {
    const state = this.#hosts.get(host);
    if (state === undefined) return;
    const connected = state.datapathId !== undefined && this.#sessions.has(state.datapathId);
    state.heard ||= connected;
    const gone = !connected && !state.agent && (state.heard || this.#started);
    const down = gone || this.#isCutOff(state);
    if (down === state.down) return;
    state.down = down;
    this.#options.onChange(host, down);
    // What a host sees counts while it is up itself.
    for (const [other, { watchers }] of this.#hosts) if (watchers.has(host)) this.#judge(other);
  }

  #isCutOff({ watchers }: HostState): boolean {
    let seen = false;
    for (const [watcher, up] of watchers) {
      if (this.#hosts.get(watcher)?.down === true) continue;
      if (up) return false;
      seen = true;
    }
    return seen;
  }
}
