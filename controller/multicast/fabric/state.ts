/** What there is in the fabric, as people and programs are told of it. */
import { type FloodTree, portsTowards } from '../../../apps/fabric/branches.js';
import { treeClassOf } from '../../../apps/fabric/pipeline.js';
import type { FactInputs } from '../../datapath/index.js';
import type { StationFact } from '../../model/facts.js';
import type { Elections } from '../elections.js';
import { groupText } from '../messages.js';
import type { Receiver, Receivers } from '../receivers.js';
import { addressText } from '../records.js';
import type { Routers } from '../routers.js';
import type { FabricGroupState, FabricMulticastState } from '../types.js';
import { type PortPlace, portKey, type Vlans } from './edge-ports.js';
import type { StationPlace } from './places.js';

export interface FabricStateSources {
  readonly facts: Pick<FactInputs, 'hosts' | 'links' | 'floodPorts'>;
  /** By key. */
  readonly stations: ReadonlyMap<string, StationFact>;
  readonly isKnown: (vlan: number) => boolean;
  readonly vlans: Vlans;
  readonly receivers: Receivers<StationPlace>;
  readonly routers: Routers<PortPlace>;
  readonly elections: Elections;
  /** Stations are asked where nobody else does. */
  readonly asks: boolean;
  readonly now: number;
}

export function fabricMulticastState(sources: FabricStateSources): FabricMulticastState {
  const { routers, now } = sources;
  const vlans = [...sources.vlans.values()].sort((a, b) => a - b);
  return {
    vlans: vlans.map((vlan) => ({ vlan, known: sources.isKnown(vlan) })),
    groups: groupsOf(sources),
    routers: [...routers.values()]
      .map(({ segment, place, address, learnedBy, until }) => ({
        vlan: segment.number,
        ...place,
        ...(address === undefined ? {} : { address: addressText(address) }),
        ...(learnedBy === undefined ? {} : { learnedBy }),
        secondsLeft: secondsUntil(until, now),
      }))
      .sort((a, b) => a.vlan - b.vlan || comparePlaces(a, b)),
    queriers: vlans.flatMap((vlan) => ([4, 6] as const).map((family) => querierOf(sources, vlan, family))),
  };
}

function groupsOf({ facts, stations, receivers, routers, now }: FabricStateSources): FabricGroupState[] {
  const groups = new Map<string, Receiver<StationPlace>[]>();
  for (const receiver of receivers.values()) {
    const key = `${receiver.segment.number}/${groupText(receiver.group)}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [receiver]);
    else known.push(receiver);
  }
  const trees = new Map<number, FloodTree>();
  const routerPlaces = [...routers.values()];
  return [...groups.values()]
    .map((members) => {
      const { segment, group } = members[0] as Receiver<StationPlace>;
      const vlan = segment.number;
      const at = members.flatMap((receiver) => {
        const station = stations.get(receiver.place.station);
        if (station === undefined) return [];
        const { datapathId, port } = station;
        return [
          {
            mac: receiver.place.mac,
            datapathId,
            port,
            version: `${group.family === 4 ? 'IGMP' : 'MLD'}v${receiver.version}`,
            secondsLeft: secondsUntil(receiver.filter.until, now),
          },
        ];
      });
      const treeClass = treeClassOf(vlan);
      const tree = trees.get(treeClass) ?? floodTree(facts, treeClass);
      trees.set(treeClass, tree);
      const wanting = routerPlaces.flatMap(({ segment: { number }, place }) =>
        number === vlan ? [place] : [],
      );
      return {
        vlan,
        group: groupText(group),
        receivers: at.sort((a, b) => comparePlaces(a, b) || (a.mac < b.mac ? -1 : 1)),
        tree: hopsOf(tree, [...at, ...wanting]),
      };
    })
    .sort((a, b) => a.vlan - b.vlan || (a.group < b.group ? -1 : 1));
}

/** Links both of whose directions are known and both of whose ports flood, as `apps/fabric/multicast.ts` has them. */
function floodTree({ hosts, links, floodPorts }: FabricStateSources['facts'], treeClass: number): FloodTree {
  const numbers = new Map([...hosts.entries()].map(([datapathId, { number }]) => [datapathId, number]));
  const isIn = (key: string): boolean => floodPorts.has(`${treeClass}/${key}`);
  const tree: FloodTree['links'][number][] = [];
  for (const [key, { datapathId, port, toDatapathId, toPort }] of links.entries()) {
    const otherKey = portKey({ datapathId: toDatapathId, port: toPort });
    const [from, to] = [numbers.get(datapathId), numbers.get(toDatapathId)];
    if (key >= otherKey || from === undefined || to === undefined) continue;
    if (!links.has(otherKey) || !isIn(key) || !isIn(otherKey)) continue;
    tree.push({
      id: `${key} ${otherKey}`,
      ends: [
        { number: from, port },
        { number: to, port: toPort },
      ],
    });
  }
  return {
    switches: [...numbers].map(([datapathId, number]) => ({ datapathId, number, away: false })),
    links: tree,
  };
}

function hopsOf(tree: FloodTree, wanting: readonly PortPlace[]): FabricGroupState['tree'] {
  const ids = new Map(tree.switches.map(({ number, datapathId }) => [number, datapathId]));
  const leaving = portsTowards(tree, wanting);
  const hops = tree.links.flatMap(({ ends: [a, b] }) => {
    const [one, other] = [a, b].map(({ number, port }) => ({ datapathId: ids.get(number) ?? '', port })) as [
      PortPlace,
      PortPlace,
    ];
    return [
      { from: one, to: other },
      { from: other, to: one },
    ].filter(({ from }) => leaving.get(from.datapathId)?.includes(from.port) === true);
  });
  return hops.sort((x, y) => comparePlaces(x.from, y.from));
}

function querierOf(
  { elections, asks, now }: FabricStateSources,
  vlan: number,
  family: 4 | 6,
): FabricMulticastState['queriers'][number] {
  const protocol = family === 4 ? 'IGMP' : 'MLD';
  const other = elections.other(segmentId(vlan), family);
  if (other === undefined) return { vlan, protocol, querier: asks ? 'weft' : 'none' };
  const { address, until } = other;
  return {
    vlan,
    protocol,
    querier: 'other',
    address: addressText(address),
    secondsLeft: secondsUntil(until, now),
  };
}

/** By which a VLAN is known where networks of the overlay have their id. */
export const segmentId = (vlan: number): string => `vlan ${vlan}`;

function comparePlaces(a: PortPlace, b: PortPlace): number {
  if (a.datapathId !== b.datapathId) return a.datapathId < b.datapathId ? -1 : 1;
  return a.port - b.port;
}

function secondsUntil(until: number, now: number): number {
  return Math.max(0, Math.round((until - now) / 1000));
}
