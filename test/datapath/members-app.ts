/** An app that uses everything there is (scopes of networks and hosts, groups that chain, meters), and texts to compare tables by. */
import type { App } from '../../controller/datapath/app.js';
import {
  canonicalFlow,
  canonicalGroup,
  canonicalMeter,
  flowKey,
  groupKey,
  meterKey,
} from '../../controller/datapath/canonical.js';
import type { DesiredEntry } from '../../controller/datapath/entry.js';
import { defineRegisters } from '../../controller/datapath/fields.js';
import { definePipeline } from '../../controller/datapath/pipeline.js';
import { F, Group, GroupType, MeterFlag, oxm, Port } from '../../ofproto/index.js';
import type { EmulatedTables } from '../../topologies/emulated/index.js';

const R = defineRegisters({ network: { register: 0, offset: 0, bits: 24 } });
export const pipeline = definePipeline([
  {
    name: 'classify',
    stage: 'classify',
    description: '',
    match: [F.in_port],
    set: [R.network],
    goto: ['forward'],
    miss: 'drop',
  },
  { name: 'forward', stage: 'forward', description: '', match: [R.network, F.eth_dst], miss: 'drop' },
]);
const { classify, forward } = pipeline.tables;

const TUNNEL = 65000;
const BROADCAST = 0xffffffffffff;

/**
 * For each network: a group with a bucket for each of its hosts, a second group chained to it, a meter, and an entry that uses both.
 * For each endpoint: an entry in the scope of its network, one in that of its host, which subscribes to the network. An endpoint
 * with a MAC address of 13 asks for its entry in the host's scope and in the network's, under the same key.
 */
export const app: App = {
  name: 'test',
  id: 1,
  declare(d) {
    const members = d.derive<{ network: string; host?: string }, { network: string; host: string }>(
      'members',
      d.facts.endpoints,
      (context, { network, host }) => {
        if (host !== undefined) context.emit(`${network}@${host}`, { network, host });
      },
    );
    const membersByNetwork = d.index('members by network', members, ({ network }) => [network]);
    d.entries('flood', d.facts.networks, (context, { id, number }) => {
      const scope = `network:${number}` as const;
      const hosts = context
        .values(membersByNetwork, id)
        .map(([, { host }]) => context.get(d.facts.hosts, host)?.number ?? 0);
      if (hosts.length === 0) return;
      const bucket = { weight: 0, watchPort: Port.ANY, watchGroup: Group.ANY };
      const outputs = hosts.map((host) => ({
        ...bucket,
        actions: [{ type: 'output', port: host, maxLen: 0 } as const],
      }));
      context.group(scope, { id: number, groupType: GroupType.ALL, buckets: outputs });
      const chained = { ...bucket, actions: [{ type: 'group', groupId: number } as const] };
      context.group(scope, { id: 1000 - number, groupType: GroupType.ALL, buckets: [chained] });
      context.meter(scope, {
        id: number,
        flags: MeterFlag.KBPS,
        bands: [{ type: 'drop', rate: 100 + hosts.length, burstSize: 0 }],
      });
      context.flow(scope, {
        table: forward,
        priority: 10,
        match: [R.network.match(number), oxm(F.eth_dst, BROADCAST)],
        meter: number,
        apply: [{ type: 'group', groupId: 1000 - number }],
        object: number,
      });
    });
    d.entries('endpoint', d.facts.endpoints, (context, { network: id, host: name, mac, number }) => {
      const network = context.get(d.facts.networks, id);
      const host = name === undefined ? undefined : context.get(d.facts.hosts, name);
      if (network === undefined || host?.datapathId === undefined) return;
      const match = [R.network.match(network.number), oxm(F.eth_dst, mac)];
      const to = (port: number) => [{ type: 'output', port, maxLen: 0 } as const];
      context.flow(`network:${network.number}`, {
        table: forward,
        priority: 20,
        match,
        apply: to(TUNNEL + host.number),
        object: number,
      });
      context.flow(`host:${host.name}`, {
        table: forward,
        priority: mac === 13 ? 20 : 30,
        match,
        apply: to(number),
        object: number,
      });
      context.flow(`host:${host.name}`, {
        table: classify,
        priority: 10,
        match: [oxm(F.in_port, number)],
        apply: [R.network.set(network.number)],
        goto: forward,
        object: number,
      });
      context.subscribe(host.datapathId, `network:${network.number}`);
    });
  },
};

/** What a switch holds, in canonical text. */
export function held({ flows, groups, meters }: EmulatedTables): string[] {
  return [
    ...[...flows.values()].map(
      (flow) => `${flowKey(flow.tableId, flow.priority, flow.match)} ${canonicalFlow(flow)}`,
    ),
    ...[...groups.values()].map((group) => `${groupKey(group.groupId)} ${canonicalGroup(group)}`),
    ...[...meters.values()].map((meter) => `${meterKey(meter.meterId)} ${canonicalMeter(meter)}`),
  ].sort();
}

/** What it is to hold. */
export function wanted(entries: Iterable<DesiredEntry>): string[] {
  return [...entries]
    .map((entry) => {
      if (entry.kind === 'flow')
        return `${flowKey(entry.table, entry.priority, entry.match)} ${canonicalFlow(entry)}`;
      if (entry.kind === 'group') return `${groupKey(entry.id)} ${canonicalGroup(entry)}`;
      return `${meterKey(entry.id)} ${canonicalMeter(entry)}`;
    })
    .sort();
}
