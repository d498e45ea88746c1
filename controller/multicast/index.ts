/** Group membership and distribution trees: what is observed becomes facts. See README.md. */
import type { ChannelListener } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { FactChange } from '../model/facts.js';
import type { Journal } from './journal.js';
import { Liveness } from './liveness.js';
import { DistributionPlanner, type PlannerSwitches, systemClock } from './planner.js';

export { Journal, type JournalValue } from './journal.js';

/** `up`: it holds a lease; `disconnected`: the lease still runs; `down`: it ran out, or was given back. */
export type AgentState = 'up' | 'disconnected' | 'down';

export interface MulticastServiceOptions {
  /** Open. Closed with the service. */
  readonly journal: Journal;
  readonly channel: Pick<ChannelListener, 'sessions' | 'onPacketIn' | 'onUp' | 'onDown'>;
  /** Inputs that are written here, and by nobody else. */
  readonly facts: Pick<FactInputs, 'multicastReceivers' | 'multicastRouters' | 'distributions'>;
  /** Facts have changed: they are derived and sent soon. */
  readonly schedule: () => void;
  readonly switches: PlannerSwitches;
  /** Milliseconds; of agents. */
  readonly leaseMs: number;
  readonly logger: Logger;
}

export class MulticastService {
  readonly #options: MulticastServiceOptions;
  readonly #planner: DistributionPlanner;
  readonly #liveness: Liveness;
  readonly #ending: (() => void)[] = [];

  constructor(options: MulticastServiceOptions) {
    this.#options = options;
    const { channel, facts, journal, leaseMs, logger, switches } = options;
    this.#planner = new DistributionPlanner({
      distributions: facts.distributions,
      journal,
      switches,
      logger,
      startMs: leaseMs,
    });
    this.#liveness = new Liveness({
      startMs: leaseMs,
      clock: systemClock,
      onChange: (host, down) => this.#planner.hostDown(host, down),
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
    this.#planner.facts(changes);
  }

  agent(host: string, state: AgentState): void {
    this.#liveness.agent(host, state);
  }

  /** What a host sees of the tunnel to another one; undefined: it does not watch it (any more). */
  tunnel(watcher: string, host: string, up: boolean | undefined): void {
    this.#liveness.tunnel(watcher, host, up);
  }

  metrics(): MetricFamily[] {
    return this.#planner.metrics();
  }

  async close(): Promise<void> {
    for (const end of this.#ending.splice(0)) end();
    this.#liveness.close();
    this.#planner.close();
    await this.#options.journal.close();
  }
}
