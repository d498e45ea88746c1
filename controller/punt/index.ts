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
  /** Readings under way: whoever asks for one meanwhile gets its result, so that switches are not asked faster than they answer. */
  readonly #readingDrops = new Map<string | undefined, Promise<Gathered<DropCounter>>>();
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

  /** Reads what every switch has dropped, and why; or that of one host. */
  async drops(host?: string): Promise<Gathered<DropCounter>> {
    const underWay = this.#readingDrops.get(host);
    if (underWay !== undefined) return await underWay;
    const reading = this.#gather((session) => this.#drops.read(session), host);
    this.#readingDrops.set(host, reading);
    try {
      return await reading;
    } finally {
      this.#readingDrops.delete(host);
    }
  }

  /** Reads what rules and defaults have decided. */
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

  async #gather<T>(read: Parameters<typeof gather<T>>[3], host?: string): Promise<Gathered<T>> {
    const { channel, datapaths } = this.#options;
    const hostOf = (datapathId: DatapathId) => this.#names.host(datapathId);
    const asked = datapaths
      .status()
      .filter(({ state }) => state !== 'unclaimed')
      .map(({ datapathId }) => datapathId)
      .filter((datapathId) => host === undefined || hostOf(datapathId) === host);
    return await gather(asked, channel.sessions, hostOf, read);
  }
}
