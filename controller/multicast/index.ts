/** Group membership and distribution trees: what is observed becomes facts. See README.md. */
import type { ChannelListener } from '../channel/index.js';
import type { DatapathController, FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import { gather } from '../punt/counters.js';
import type { Gathered } from '../punt/types.js';
import type { DistributionFact, FactChange, NetworkId } from '../model/facts.js';
import type { Journal } from '../journal/journal.js';
import { Liveness } from './liveness.js';
import { type CountedGroup, GroupCounterReader, sumByGroup } from './counters.js';
import { Membership } from './membership.js';
import { DistributionPlanner, type PlannerSwitches, systemClock } from './planner.js';
import type { MulticastState } from './types.js';
import { type WatchedPeer, WatchedPeers } from './watched-peers.js';

export type * from './types.js';

/** `up`: it holds a lease; `disconnected`: the lease still runs; `down`: it ran out, or was given back. */
export type AgentState = 'up' | 'disconnected' | 'down';

export interface MulticastServiceOptions {
  /** Open. Closed with the service. */
  readonly journal: Journal;
  readonly channel: Pick<ChannelListener, 'sessions' | 'onPacketIn' | 'onUp' | 'onDown'>;
  readonly datapaths: Pick<DatapathController, 'status' | 'scopesOf' | 'counters'>;
  /** Inputs that are written here, and by nobody else; ports are read. */
  readonly facts: Pick<FactInputs, 'multicastReceivers' | 'multicastRouters' | 'distributions' | 'ports'>;
  /** Facts have changed: they are derived and sent soon. */
  readonly schedule: () => void;
  readonly switches: PlannerSwitches;
  /** Milliseconds; of agents. */
  readonly leaseMs: number;
  /** `peers` of a host may be others now. */
  readonly onPeers: (host: string) => void;
  readonly logger: Logger;
}

export class MulticastService {
  readonly #options: MulticastServiceOptions;
  readonly #membership: Membership;
  readonly #counters: GroupCounterReader;
  readonly #planner: DistributionPlanner;
  readonly #liveness: Liveness;
  readonly #watched: WatchedPeers;
  /** By watcher: hosts that it said something of. */
  readonly #seen = new Map<string, ReadonlySet<string>>();
  readonly #ending: (() => void)[] = [];
  /** Of the counters, while it is under way. */
  #reading: Promise<Gathered<CountedGroup>> | undefined;

  constructor(options: MulticastServiceOptions) {
    this.#options = options;
    const { channel, facts, journal, leaseMs, logger, switches } = options;
    this.#watched = new WatchedPeers(options.onPeers);
    this.#planner = new DistributionPlanner({
      distributions: {
        set: (key: string, fact: DistributionFact) => {
          this.#watched.distribution(key, fact);
          return facts.distributions.set(key, fact);
        },
        delete: (key: string) => {
          this.#watched.distribution(key, undefined);
          return facts.distributions.delete(key);
        },
      },
      journal,
      switches,
      logger,
      startMs: leaseMs,
    });
    this.#counters = new GroupCounterReader(options.datapaths);
    this.#membership = new Membership({
      journal,
      channel,
      facts,
      schedule: options.schedule,
      changed: (change) => this.#planner.receivers([change]),
      logger,
    });
    this.#liveness = new Liveness({
      startMs: leaseMs,
      clock: systemClock,
      onChange: (host, down) => {
        this.#watched.hostDown(host, down);
        this.#planner.hostDown(host, down);
      },
    });
    this.#ending.push(
      channel.onUp(({ datapathId }) => this.#liveness.session(datapathId, true)),
      channel.onDown(({ datapathId }) =>
        this.#liveness.session(datapathId, channel.sessions.has(datapathId)),
      ),
    );
  }

  /**
   * Facts of the model as they are committed, all of them in the first call. What it derives from them is in the inputs when it returns.
   */
  facts(changes: readonly FactChange[]): void {
    for (const { kind, key, value } of changes) {
      if (kind !== 'host') continue;
      if (value === undefined) this.#liveness.removed(key);
      else this.#liveness.claimed(key, value.datapathId);
    }
    this.#watched.facts(changes);
    this.#planner.facts(changes);
    this.#membership.facts(changes);
  }

  agent(host: string, state: AgentState): void {
    this.#liveness.agent(host, state);
  }

  /** Whose tunnels the host is to watch. */
  peers(host: string): readonly WatchedPeer[] {
    return this.#watched.peers(host);
  }

  /** The whole truth of a host about the tunnels that it watches; of those left out nothing is known. */
  tunnels(watcher: string, states: readonly { readonly host: string; readonly up: boolean }[]): void {
    const seen = new Set(states.map(({ host }) => host));
    for (const host of this.#seen.get(watcher) ?? []) {
      if (!seen.has(host)) this.#liveness.tunnel(watcher, host, undefined);
    }
    if (seen.size === 0) this.#seen.delete(watcher);
    else this.#seen.set(watcher, seen);
    for (const { host, up } of states) this.#liveness.tunnel(watcher, host, up);
  }

  /**
   * What there is.
   * @param only of this network; absent: of all
   * @param counters asks the switches as well; those who ask meanwhile get the same answer
   */
  async state(only: NetworkId | undefined, counters: boolean): Promise<MulticastState> {
    const { distributions } = this.#options.facts;
    if (!counters) return this.#membership.state(distributions, { only });
    this.#reading ??= this.#readCounters().finally(() => {
      this.#reading = undefined;
    });
    const { items, silent } = await this.#reading;
    return { ...this.#membership.state(distributions, { only, counters: sumByGroup(items) }), silent };
  }

  metrics(): MetricFamily[] {
    return [...this.#membership.metrics(), ...this.#planner.metrics()];
  }

  async #readCounters(): Promise<Gathered<CountedGroup>> {
    const { channel, datapaths } = this.#options;
    const asked = datapaths.status().filter(({ state }) => state !== 'unclaimed');
    return await gather(
      asked.map(({ datapathId }) => datapathId),
      channel.sessions,
      (datapathId) => this.#membership.hostOf(datapathId),
      (session) => this.#counters.read(session),
    );
  }

  async close(): Promise<void> {
    for (const end of this.#ending.splice(0)) end();
    this.#membership.close();
    this.#liveness.close();
    this.#planner.close();
    await this.#options.journal.close();
  }
}
