/** Packets that policy sends to the controller, and counters of what policy and the rest of the pipeline drop. See README.md. */
import type { ChannelListener } from '../channel/index.js';
import type { DatapathController, EntryOwner } from '../datapath/index.js';
import type { Pipeline } from '../datapath/pipeline.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { DatapathId, FactChange } from '../model/facts.js';
import { causeOf } from './causes.js';
import { gather } from './counters.js';
import { DropReader } from './drops.js';
import { Names } from './names.js';
import { Punts } from './punts.js';
import { RuleCounterReader } from './rule-counters.js';
import { RuleMetrics } from './rule-metrics.js';
import type { DropCounter, Gathered, PacketListener, RuleCounters } from './types.js';

export type * from './types.js';

export interface PuntServiceOptions {
  readonly channel: Pick<ChannelListener, 'sessions' | 'onPacketIn'>;
  readonly datapaths: Pick<DatapathController, 'status' | 'scopesOf' | 'counters' | 'ownerOf'>;
  readonly pipeline: Pipeline;
  readonly logger: Logger;
  /** Milliseconds between readings of the counters of rules for metrics; absent: no such metrics. */
  readonly ruleMetricsIntervalMs?: number;
}

export class PuntService {
  readonly #options: PuntServiceOptions;
  readonly #names = new Names();
  readonly #punts: Punts;
  readonly #drops: DropReader;
  readonly #rules: RuleCounterReader;
  readonly #listeners = new Set<PacketListener>();
  readonly #ruleMetrics: RuleMetrics | undefined;
  readonly #stop: () => void;
  #readingRules: Promise<Gathered<RuleCounters>> | undefined;

  constructor(options: PuntServiceOptions) {
    const { channel, datapaths, pipeline, logger, ruleMetricsIntervalMs: intervalMs } = options;
    this.#options = options;
    this.#drops = new DropReader(datapaths, pipeline, this.#names);
    this.#rules = new RuleCounterReader(datapaths, this.#names);
    this.#punts = new Punts({
      names: this.#names,
      ownerOf: (cookie) => datapaths.ownerOf(cookie),
      logger,
      publish: (event) => {
        for (const listener of this.#listeners) listener.packet(event);
      },
      lost: (packets) => {
        for (const listener of this.#listeners) listener.lost(packets);
      },
    });
    this.#ruleMetrics =
      intervalMs === undefined
        ? undefined
        : new RuleMetrics({ read: () => this.ruleCounters(), intervalMs, logger });
    this.#stop = channel.onPacketIn((session, message) => this.#punts.packetIn(session, message));
  }

  /** Facts as they are committed, all of them from the start: names are looked up in them. */
  facts(changes: readonly FactChange[]): void {
    this.#names.apply(changes);
  }

  /** The returned function ends the calls. */
  onPackets(listener: PacketListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Reads what every switch has dropped, and why. */
  async drops(): Promise<Gathered<DropCounter>> {
    return await this.#gather((session) => this.#drops.read(session));
  }

  /** Reads what rules and defaults have decided. Whoever asks while a reading is under way gets its result. */
  async ruleCounters(): Promise<Gathered<RuleCounters>> {
    this.#readingRules ??= this.#readRules().finally(() => {
      this.#readingRules = undefined;
    });
    return await this.#readingRules;
  }

  /** Why an entry of this owner drops in this table, in words; undefined where what it drops was not to arrive anywhere. */
  causeOf(owner: EntryOwner, table: number): string | undefined {
    return causeOf(owner, table, this.#names)?.text;
  }

  metrics(): MetricFamily[] {
    return [...this.#punts.metrics(), ...(this.#ruleMetrics?.families() ?? [])];
  }

  close(): void {
    this.#stop();
    this.#ruleMetrics?.close();
    this.#punts.close();
  }

  async #readRules(): Promise<Gathered<RuleCounters>> {
    const { items, silent } = await this.#gather((session) => this.#rules.read(session));
    return { items: this.#rules.counters(items), silent };
  }

  async #gather<T>(read: Parameters<typeof gather<T>>[3]): Promise<Gathered<T>> {
    const { channel, datapaths } = this.#options;
    const claimed = datapaths.status().filter(({ state }) => state !== 'unclaimed');
    const ids: DatapathId[] = claimed.map(({ datapathId }) => datapathId);
    return await gather(ids, channel.sessions, (datapathId) => this.#names.host(datapathId), read);
  }
}
