/**
 * Metrics in Prometheus' text format (prom-client). Components do not know prom-client: they hand out families of
 * samples, read when somebody scrapes, so that a counter costs its owner one number.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export interface MetricSample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with all its label values. Names begin with `weft_`; counters end in `_total`; units are SI. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  /** Names of the labels that samples carry. */
  readonly labels?: readonly string[];
  readonly samples: readonly MetricSample[];
}

export interface Metrics {
  readonly registry: Registry;
  /** Adds families that are read at each scrape. Their names must stay the same from scrape to scrape. */
  addSource(read: () => readonly MetricFamily[]): void;
  /** The text of a scrape, and its content type. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  /** Process and event loop metrics beside Weft's own. Default true. */
  readonly process?: boolean;
}

export function createMetrics({ process: processMetrics = true }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });
  const sources: (() => readonly MetricFamily[])[] = [];
  const known = new Map<string, Counter | Gauge>();

  const update = ({ name, help, type, labels = [], samples }: MetricFamily): void => {
    let metric = known.get(name);
    if (metric === undefined) {
      const options = { name, help, labelNames: [...labels], registers: [registry] };
      metric = type === 'counter' ? new Counter(options) : new Gauge(options);
      known.set(name, metric);
    }
    metric.reset(); // label values that are gone must go
    for (const sample of samples) metric.inc({ ...sample.labels }, sample.value);
  };

  return {
    registry,
    addSource: (read) => void sources.push(read),
    async scrape() {
      for (const read of sources) for (const family of read()) update(family);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
