import type { MetricFamily } from '../metrics.js';
import type { Receivers } from './receivers.js';
import type { Routers } from './routers.js';
import type { Snooping } from './snooping.js';

export interface SnoopingState {
  /** How the names of its metrics begin. */
  readonly prefix: 'weft_multicast' | 'weft_fabric_multicast';
  readonly snooping: Pick<Snooping<never, never>, 'reports' | 'ignored' | 'queries' | 'records'>;
  readonly receivers: Pick<Receivers<never>, 'size' | 'groups'>;
  readonly routers: Pick<Routers<never>, 'size'>;
  readonly queriesSent: number;
}

export function snoopingMetrics({
  prefix,
  snooping,
  receivers,
  routers,
  queriesSent,
}: SnoopingState): MetricFamily[] {
  return [
    {
      name: `${prefix}_reports_total`,
      help: 'Reports of group membership, by version.',
      type: 'counter',
      labels: ['version'],
      samples: [...snooping.reports].map(([version, value]) => ({ labels: { version }, value })),
    },
    {
      name: `${prefix}_records_total`,
      help: 'Group records of these reports.',
      type: 'counter',
      samples: [{ value: snooping.records }],
    },
    {
      name: `${prefix}_ignored_total`,
      help: 'Messages of group membership, or records of them, that were not taken, and why.',
      type: 'counter',
      labels: ['reason'],
      samples: [...snooping.ignored].map(([reason, value]) => ({ labels: { reason }, value })),
    },
    {
      name: `${prefix}_queries_total`,
      help: 'Queries for group membership: heard from others, and sent, once for each switch that sent it.',
      type: 'counter',
      labels: ['direction'],
      samples: [
        { labels: { direction: 'heard' }, value: snooping.queries },
        { labels: { direction: 'sent' }, value: queriesSent },
      ],
    },
    {
      name: `${prefix}_receivers`,
      help: 'Receivers of multicast groups, each group of each counted.',
      type: 'gauge',
      samples: [{ value: receivers.size }],
    },
    {
      name: `${prefix}_groups`,
      help: 'Multicast groups with receivers.',
      type: 'gauge',
      samples: [{ value: receivers.groups }],
    },
    {
      name: `${prefix}_router_networks`,
      help: 'Where multicast routers are: networks with one behind their uplink, or ports of each VLAN of the fabric.',
      type: 'gauge',
      samples: [{ value: routers.size }],
    },
  ];
}
