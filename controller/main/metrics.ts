import type { AgentHub } from '../hub/index.js';
import type { ChannelListener } from '../channel/index.js';
import type { MetricFamily, MetricSample } from '../metrics.js';
import type { DatapathController, DatapathCounters } from '../datapath/index.js';

const STATES = ['disconnected', 'unclaimed', 'reading', 'writing', 'in-sync', 'degraded'] as const;
const HOST_STATES = ['up', 'down', 'unknown'] as const;

/** What `/metrics` shows of switches, of the overlay and the fabric, of agents and the work done for them. */
export function controllerMetrics(
  datapaths: readonly Pick<DatapathController, 'status' | 'counters'>[],
  channel: ChannelListener,
  hub: AgentHub,
): MetricFamily[] {
  const switches = datapaths.flatMap((each) => each.status());
  const hosts = hub.hosts();
  const work = (kind: keyof DatapathCounters): number => sum(datapaths.map(({ counters }) => counters[kind]));
  const healed = { missing: 0, extra: 0, changed: 0, foreign: 0 };
  for (const status of switches) {
    for (const kind of Object.keys(healed) as (keyof typeof healed)[]) healed[kind] += status.healed[kind];
  }
  const handshakes = channel.counters;
  return [
    by('weft_switches', 'Switches by state.', 'state', STATES, (state) => count(switches, { state })),
    by('weft_hosts', 'Hosts by state of their agent.', 'state', HOST_STATES, (state) =>
      count(hosts, { state }),
    ),
    gauge('weft_attached_endpoints', 'Endpoints attached on hosts.', sum(hosts.map((host) => host.attached))),
    gauge(
      'weft_desired_entries',
      'Entries desired, summed over switches.',
      sum(switches.map((s) => s.entries)),
    ),
    gauge(
      'weft_refused_entries',
      'Entries that switches refuse now.',
      sum(switches.map((s) => s.refused.length)),
    ),
    {
      ...by(
        'weft_healed_entries_total',
        'Entries that audits found different.',
        'difference',
        Object.keys(healed),
        (kind) => healed[kind as keyof typeof healed],
      ),
      type: 'counter',
    },
    counter('weft_turns_total', 'Settlements that changed a desired table.', work('turns')),
    counter('weft_derivation_runs_total', 'Runs of derivations.', work('derivationRuns')),
    counter('weft_entries_encoded_total', 'Modifications encoded.', work('entriesEncoded')),
    counter('weft_entries_sent_total', 'Modifications sent, counted per switch.', work('entriesSent')),
    counter('weft_sent_bytes_total', 'Bytes of modifications sent.', work('bytesSent')),
    counter('weft_transactions_total', 'Transactions sent to switches.', work('transactions')),
    counter(
      'weft_transactions_refused_total',
      'Transactions refused by switches.',
      work('transactionsRefused'),
    ),
    counter('weft_audits_total', 'Complete comparisons of a switch.', work('audits')),
    gauge('weft_switch_sessions', 'Switches connected.', channel.sessions.size),
    counter('weft_switch_connections_total', 'Connections accepted from switches.', handshakes.accepted),
    counter('weft_switch_handshakes_failed_total', 'Handshakes that failed.', handshakes.failedHandshakes),
    counter(
      'weft_switch_duplicates_total',
      'Connections refused for a datapath id in use.',
      handshakes.duplicates,
    ),
    gauge('weft_hub_connections', 'Connections from agents.', hub.connections),
    counter('weft_hub_notifications_total', 'Notifications sent to agents, per receiver.', hub.notifications),
  ];
}

function gauge(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'gauge', samples: [{ value }] };
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'counter', samples: [{ value }] };
}

function by(
  name: string,
  help: string,
  label: string,
  values: readonly string[],
  value: (of: string) => number,
): MetricFamily {
  const samples = values.map((of): MetricSample => ({ labels: { [label]: of }, value: value(of) }));
  return { name, help, type: 'gauge', labels: [label], samples };
}

function count(items: readonly { readonly state: string }[], { state }: { readonly state: string }): number {
  return items.filter((item) => item.state === state).length;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
