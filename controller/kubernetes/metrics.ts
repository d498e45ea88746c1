import type { MetricFamily } from '../metrics.js';
import type { KubernetesReport, ResourceStatus } from './types.js';

/** @param now milliseconds since 1970 */
export function kubernetesMetrics(report: KubernetesReport, now: number): MetricFamily[] {
  const { resources } = report;
  const by = (
    name: string,
    help: string,
    type: MetricFamily['type'],
    value: (status: ResourceStatus) => number | undefined,
  ): MetricFamily => ({
    name: `weft_kubernetes_${name}`,
    help,
    type,
    labels: ['resource'],
    samples: resources.flatMap((status) => {
      const sample = value(status);
      return sample === undefined ? [] : [{ labels: { resource: status.resource }, value: sample }];
    }),
  });
  const one = (name: string, help: string, type: MetricFamily['type'], value: number): MetricFamily => ({
    name: `weft_kubernetes_${name}`,
    help,
    type,
    samples: [{ value }],
  });
  return [
    by('objects', 'Objects of the cluster that are known.', 'gauge', ({ objects }) => objects),
    by('refused_objects', 'Objects of the cluster that are refused now.', 'gauge', ({ refused }) => refused),
    by('watching', '1 while the resource is followed.', 'gauge', ({ state }) =>
      state === 'watching' ? 1 : 0,
    ),
    by('watch_age_seconds', 'Time since the API was last heard.', 'gauge', ({ lastHeard }) =>
      lastHeard === undefined ? undefined : Math.max(0, now - lastHeard) / 1000,
    ),
    by('lists_total', 'Lists taken in.', 'counter', ({ lists }) => lists),
    by('relists_total', 'Lists after the first.', 'counter', ({ relists }) => relists),
    by('watches_total', 'Watches begun.', 'counter', ({ watches }) => watches),
    by('events_total', 'Events of watches.', 'counter', ({ events }) => events),
    by('failures_total', 'Lists and watches that failed.', 'counter', ({ failures }) => failures),
    by('refusals_total', 'Objects refused, each time that they came.', 'counter', ({ refusals }) => refusals),
    one('synced', '1 when everything has been listed and declared.', 'gauge', report.synced ? 1 : 0),
    one('declared_intents', 'Intents that stand for objects of the cluster.', 'gauge', report.declared),
    one('requests_total', 'Requests to the model.', 'counter', report.requests),
    one('applied_intents_total', 'Intents declared by these requests.', 'counter', report.applied),
    one('removed_intents_total', 'Intents deleted by these requests.', 'counter', report.removed),
  ];
}
