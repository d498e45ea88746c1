import type { MetricFamily } from '../metrics.js';
import type { Discovery } from './discovery.js';
import type { Stations } from './stations.js';
import type { Switches } from './switches.js';
import type { PortRole } from './types.js';

export function fabricMetrics(switches: Switches, discovery: Discovery, stations: Stations): MetricFamily[] {
  const roles: Record<PortRole, number> = { unknown: 0, edge: 0, link: 0, blocked: 0 };
  let count = 0;
  for (const { datapathId } of switches.all()) {
    count++;
    for (const { role } of discovery.ports(datapathId)) roles[role]++;
  }
  const { sent, ...heard } = discovery.probes.counters;
  const { reinjected, ...learning } = stations.counters;
  return [
    {
      name: 'weft_fabric_switches',
      help: 'Switches of the fabric, those that are away included.',
      type: 'gauge',
      samples: [{ value: count }],
    },
    {
      name: 'weft_fabric_ports',
      help: 'Ports of fabric switches that are up, by what they lead to.',
      type: 'gauge',
      labels: ['role'],
      samples: Object.entries(roles).map(([role, value]) => ({ labels: { role }, value })),
    },
    {
      name: 'weft_fabric_stations',
      help: 'Stations that are known.',
      type: 'gauge',
      samples: [{ value: stations.size }],
    },
    {
      name: 'weft_fabric_probes_sent_total',
      help: 'LLDP probes sent.',
      type: 'counter',
      samples: [{ value: sent }],
    },
    {
      name: 'weft_fabric_probes_heard_total',
      help: 'LLDP frames that came in, by what was made of them.',
      type: 'counter',
      labels: ['outcome'],
      samples: Object.entries(heard).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
    {
      name: 'weft_fabric_station_events_total',
      help: 'What was made of frames of stations that their switch did not know, and stations forgotten.',
      type: 'counter',
      labels: ['event'],
      samples: Object.entries(learning).map(([event, value]) => ({ labels: { event }, value })),
    },
    {
      name: 'weft_fabric_reinjected_total',
      help: 'Frames of stations sent back to their switch to be forwarded.',
      type: 'counter',
      samples: [{ value: reinjected }],
    },
  ];
}
