/** Group membership and distribution trees: what is observed becomes facts. See README.md. */
import type { ChannelListener } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { DatapathId, FactChange } from '../model/facts.js';
import type { Journal } from './journal.js';

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
  /** What each switch said to everything written before the call; those silent when the signal aborts are not `ok`. */
  readonly acknowledged: (signal: AbortSignal) => Promise<ReadonlyMap<DatapathId, { readonly ok: boolean }>>;
  readonly logger: Logger;
}

export class MulticastService {
  readonly #options: MulticastServiceOptions;

  constructor(options: MulticastServiceOptions) {
    this.#options = options;
  }

  /**
   * Facts of the model as they are committed, all of them in the first call. What it derives from them is in the inputs when it returns.
   */
  facts(_changes: readonly FactChange[]): void {}

  agent(_host: string, _state: AgentState): void {}

  metrics(): MetricFamily[] {
    return [];
  }

  async close(): Promise<void> {
    await this.#options.journal.close();
  }
}
