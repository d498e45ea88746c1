/** Counters of rules for `/metrics`, read from the switches every so often: a scrape does not wait for switches. */
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { Gathered, RuleCounters } from './types.js';

export interface RuleMetricsOptions {
  readonly read: () => Promise<Gathered<RuleCounters>>;
  readonly intervalMs: number;
  readonly logger: Logger;
}

export class RuleMetrics {
  readonly #timer: NodeJS.Timeout;
  #latest: readonly RuleCounters[] = [];
  #reading = false;

  constructor({ read, intervalMs, logger }: RuleMetricsOptions) {
    const refresh = async (): Promise<void> => {
      if (this.#reading) return;
      this.#reading = true;
      try {
        this.#latest = (await read()).items;
      } catch (err) {
        logger.error({ event: 'policy.metrics', err }, 'the counters of rules cannot be read');
      } finally {
        this.#reading = false;
      }
    };
    this.#timer = setInterval(() => void refresh(), intervalMs);
    this.#timer.unref();
  }

  families(): MetricFamily[] {
    const family = (name: string, help: string, value: (counters: RuleCounters) => number): MetricFamily => ({
      name,
      help,
      type: 'counter',
      labels: ['rule', 'kind', 'direction'],
      samples: this.#latest.map((counters) => ({
        labels: { rule: counters.name, kind: counters.kind, direction: counters.direction },
        value: value(counters),
      })),
    });
    return [
      family('weft_rule_packets_total', 'Packets that a rule or default decided on.', (one) => one.packets),
      family('weft_rule_bytes_total', 'Bytes of these packets.', (one) => one.bytes),
      family('weft_rule_connections_total', 'First packets of connections.', (one) => one.connections),
    ];
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
