/** `weft get multicast`: groups, who receives them, and the way of their packets. */
import type {
  DistributionState,
  FabricMulticastState,
  FabricPortPlace,
  MulticastGroupState,
  MulticastState,
} from '../../controller/multicast/types.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { note, plural, table, writeJson, writeLine } from '../output.js';
import { treeLines } from '../tree-text.js';

export interface GetMulticastOptions {
  readonly json: boolean;
  readonly network?: string | undefined;
}

/** @param names addresses of groups; none: all */
export async function getMulticast(
  client: Client,
  names: readonly string[],
  { json, network }: GetMulticastOptions,
): Promise<Exit> {
  const state = await client.get<MulticastState>('/v1/multicast', { query: { network } });
  const isAsked = ({ group }: { readonly group: string }): boolean =>
    names.length === 0 || names.includes(group);
  const { fabric } = state;
  const shown = {
    ...state,
    groups: state.groups.filter(isAsked),
    ...(fabric && { fabric: { ...fabric, groups: fabric.groups.filter(isAsked) } }),
  };
  if (json) writeJson(shown);
  else writeLine(multicastText(shown));
  for (const { host, datapathId, reason } of json ? [] : state.silent) {
    note(`weft: no counters from the switch of ${host ?? datapathId}: ${reason}`);
  }
  return Exit.ok;
}

export function multicastText(state: MulticastState): string {
  const { groups, routers, queriers, problems, floods } = state;
  const parts: string[] = [groups.length === 0 ? 'no groups with receivers' : groupTable(groups)];
  if (groups.some(({ counters }) => counters !== undefined)) parts.push(counterTable(groups));
  for (const { network, group, distribution } of groups)
    parts.push(...treeText(`${network} ${group}`, distribution));
  for (const { network, distribution } of floods)
    parts.push(...treeText(`${network} flooding`, distribution));
  if (routers.length > 0) {
    const rows = routers.map(({ network, address, learnedBy, secondsLeft }) => [
      network,
      address,
      learnedBy,
      `${secondsLeft}s`,
    ]);
    parts.push(table(['routers of', 'address', 'learned by', 'left'], rows));
  }
  if (queriers.length > 0) {
    const rows = queriers.map(({ network, protocol, querier, address, secondsLeft }) => [
      network,
      protocol,
      address ?? querier,
      secondsLeft === undefined ? undefined : `${secondsLeft}s`,
    ]);
    parts.push(table(['queriers of', 'protocol', 'querier', 'left'], rows));
  }
  if (state.fabric !== undefined) parts.push(...fabricText(state.fabric));
  for (const { message, fix } of problems) parts.push(`${message}\n  fix: ${fix}`);
  return parts.join('\n\n');
}

/** Nothing where there are no stations. */
function fabricText({ vlans, groups, routers, queriers }: FabricMulticastState): readonly string[] {
  const parts: string[] = [];
  const nameOf = (vlan: number): string => (vlan === 0 ? 'untagged' : `${vlan}`);
  const place = ({ datapathId, port }: FabricPortPlace): string => `${datapathId}/${port}`;
  if (groups.length > 0) {
    const rows = groups.flatMap(({ vlan, group, receivers }) =>
      receivers.map((receiver) => [
        nameOf(vlan),
        group,
        receiver.mac,
        receiver.datapathId,
        `${receiver.port}`,
        receiver.version,
        `${receiver.secondsLeft}s`,
      ]),
    );
    parts.push(table(['fabric vlan', 'group', 'station', 'switch', 'port', 'version', 'left'], rows));
  }
  for (const { vlan, group, tree } of groups) {
    if (tree.length === 0) continue;
    const hops = new Set(tree.map(({ from, to }) => `${place(from)} ${place(to)}`));
    const lines = tree.flatMap(({ from, to }) => {
      const isBoth = hops.has(`${place(to)} ${place(from)}`);
      if (isBoth && place(from) > place(to)) return [];
      return [`  ${place(from)} ${isBoth ? '<->' : '-->'} ${place(to)}`];
    });
    parts.push([`fabric ${nameOf(vlan)} ${group}: tree`, ...lines].join('\n'));
  }
  if (routers.length > 0) {
    const rows = routers.map((router) => [
      nameOf(router.vlan),
      router.datapathId,
      `${router.port}`,
      router.address,
      router.learnedBy,
      `${router.secondsLeft}s`,
    ]);
    parts.push(table(['fabric routers of', 'switch', 'port', 'address', 'learned by', 'left'], rows));
  }
  if (vlans.length > 0) {
    const rows = vlans.map(({ vlan, known }) => [
      nameOf(vlan),
      known ? 'known' : 'asked',
      ...queriers
        .filter((querier) => querier.vlan === vlan)
        .map(({ querier, address }) => address ?? querier),
    ]);
    parts.push(table(['fabric vlan', 'receivers', 'IGMP querier', 'MLD querier'], rows));
  }
  return parts;
}

function counterTable(groups: readonly MulticastGroupState[]): string {
  const rows = groups.map(({ network, group, counters }) => [
    network,
    group,
    counters?.sent.packets,
    counters?.sent.bytes,
    counters?.received.packets,
    counters?.received.bytes,
  ]);
  return table(['network', 'group', 'sent packets', 'bytes', 'received packets', 'bytes'], rows);
}

function groupTable(groups: readonly MulticastGroupState[]): string {
  return table(
    ['network', 'group', 'receiver', 'host', 'version', 'sources', 'left'],
    groups.flatMap(({ network, group, receivers }) =>
      receivers.map(({ endpoint, host, version, sources, secondsLeft }) => [
        network,
        group,
        endpoint ?? 'uplink',
        host,
        version,
        sources === undefined ? 'all' : `${sources.mode} ${sources.addresses.join(' ')}`,
        `${secondsLeft}s`,
      ]),
    ),
  );
}

/** Nothing for replication, which is the same from everywhere. */
function treeText(title: string, distribution: DistributionState): readonly string[] {
  if (distribution.kind !== 'tree') return [];
  return [`${title}: ${distributionText(distribution)}`];
}

/** The tree in use and how it is drawn, or that there is none. */
export function distributionText({ kind, colour, root, edges = [], changing }: DistributionState): string {
  if (kind !== 'tree' || root === undefined) return "replicated by the sender's host";
  const about = [`colour ${colour}`, plural(edges.length + 1, 'host'), ...(changing ? ['changing'] : [])];
  return [`tree, ${about.join(', ')}`, ...treeLines(root, edges).map((line) => `  ${line}`)].join('\n');
}
