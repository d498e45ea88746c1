import type { MetricFamily } from '../metrics.js';
import type { Receivers } from './receivers.js';
import type { Routers } from './routers.js';
import type { Snooping } from './snooping.js';

export interface SnoopingState {
  readonly snooping: Pick<Snooping<never, never>, 'reports' | 'ignored' | 'queries' | 'records'>;
  readonly receivers: Pick<Receivers<never>, 'size' | 'groups'>;
  readonly routers: Pick<Routers<never>, 'size'>;
  readonly queriesSent: number;
}

export function snoopingMetrics({
  snooping,
  receivers,
  routers,
  queriesSent,
}: SnoopingState): MetricFamily[] {
  return [
    {
      name: 'weft_multicast_reports_total',
      help: 'Reports of group membership, by version.',
      type: 'counter',
      labels: ['version'],
      samples: [...snooping.reports].map(([version, value]) => ({ labels: { version }, value })),
    },
    {
      name: 'weft_multicast_records_total',
      help: 'Group records of these reports.',
      type: 'counter',
      samples: [{ value: snooping.records }],
    },
    {
      name: 'weft_multicast_ignored_total',
      help: 'Messages of group membership, or records of them, that were not taken, and why.',
      type: 'counter',
      labels: ['reason'],
      samples: [...snooping.ignored].map(([reason, value]) => ({ labels: { reason }, value })),
    },
    {
      name: 'weft_multicast_queries_total',
      help: 'Queries for group membership: heard from others, and sent, once for each switch that sent it.',
      type: 'counter',
      labels: ['direction'],
      samples: [
        { labels: { direction: 'heard' }, value: snooping.queries },
        { labels: { direction: 'sent' }, value: queriesSent },
      ],
    },
    {
      name: 'weft_multicast_receivers',
      help: 'Receivers of multicast groups, each group of each counted.',
      type: 'gauge',
      samples: [{ value: receivers.size }],
    },
    {
      name: 'weft_multicast_groups',
      help: 'Multicast groups with receivers.',
      type: 'gauge',
      samples: [{ value: receivers.groups }],
    },
    {
      name: 'weft_multicast_router_networks',
      help: 'Networks with multicast routers behind their uplinks.',
      type: 'gauge',
      samples: [{ value: routers.size }],
    },
  ];
}
