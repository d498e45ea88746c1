/**
 * Next hops from every switch to one destination. Pure.
 *
 * A switch without a connection (away) cannot be told anything new and may be dead, so no path leads through one where there is another;
 * those that can be reached only that way are ranked behind all the others.
 *
 * **No frame goes round, whatever fails.** Ranks fall along every path. An alternate is at the same rank, and whoever gets a frame from the
 * same rank does not use an alternate of its own: a frame makes at most one step to the side on each rank and then goes down. A frame from
 * a lower rank (of a switch that holds older entries) is dropped. So links may fail in any number, with the controller away, and
 * what remains is loss, never a loop.
 */
import {
  distancesTo,
  Graph,
  loopFreeAlternates,
  type Neighbour,
  nextHops,
} from '../../controller/trees/index.js';
import type { DatapathId } from '../../controller/model/facts.js';
import type { Topology, TopologyLink } from './topology.js';

/** How a switch sends to another. All lists are ports of this switch, ascending but for `alternates`. */
export interface Route {
  readonly datapathId: DatapathId;
  /** Number of the switch to go to. */
  readonly destination: number;
  /** Next hops, all at the same cost. Not empty. */
  readonly primaries: readonly number[];
  /** Where to send if the only next hop is lost, in order of preference. */
  readonly alternates: readonly number[];
  /** Ports to switches that are as far from the destination: what comes from there has made its step to the side. */
  readonly level: readonly number[];
  /** Ports to switches that are nearer: nothing for the destination comes from there but what is going round. */
  readonly nearer: readonly number[];
}

interface Graphs {
  readonly links: ReadonlyMap<string, TopologyLink>;
  readonly all: Graph;
  /** Links between switches that are connected. */
  readonly connected: Graph;
}

/** Built once for all destinations. */
const graphs = new WeakMap<Topology, Graphs>();

function graphsOf(topology: Topology): Graphs {
  let made = graphs.get(topology);
  if (made === undefined) {
    made = {
      links: new Map(topology.links.map((link) => [link.id, link])),
      all: graphOf(topology, () => true),
      connected: connectedGraph(topology),
    };
    graphs.set(topology, made);
  }
  return made;
}

function graphOf({ switches, links }: Topology, has: (link: TopologyLink) => boolean): Graph {
  return new Graph(
    switches.map(({ number }) => number),
    links.filter(has).map(({ id, ends: [a, b] }) => ({ id, ends: [a.number, b.number] })),
  );
}

/** @param destination May be away itself. */
function connectedGraph(topology: Topology, destination?: number): Graph {
  const away = new Set(topology.switches.flatMap((each) => (each.away ? [each.number] : [])));
  if (destination !== undefined) away.delete(destination);
  return graphOf(topology, ({ ends }) => ends.every(({ number }) => !away.has(number)));
}

/** Routes to a switch, from all that reach it. */
export function routesTo(topology: Topology, destination: number): Route[] {
  const { links, all, connected } = graphsOf(topology);
  const target = topology.switches.find(({ number }) => number === destination);
  if (target === undefined) return [];
  const preferred = target.away ? connectedGraph(topology, destination) : connected;
  const near = distancesTo(preferred, destination);
  const far = distancesTo(all, destination);
  const rank = (node: number): number => near.get(node) ?? BEHIND + (far.get(node) ?? BEHIND);
  const routes: Route[] = [];
  for (const { number, datapathId } of topology.switches) {
    if (number === destination || !far.has(number)) continue;
    const [graph, distances] = near.has(number) ? [preferred, near] : [all, far];
    const portsOf = (neighbours: readonly Neighbour[]): number[] =>
      neighbours.map(({ link }) => portOf(links, link, number));
    const hops = nextHops(graph, distances, number);
    // Of two or more next hops, one takes over for the other.
    const alternates = hops.length > 1 ? [] : loopFreeAlternates(graph, distances, number);
    const own = rank(number);
    const around = all.neighbours(number);
    routes.push({
      datapathId,
      destination,
      primaries: ascending(portsOf(hops)),
      alternates: portsOf(alternates.filter(({ node }) => rank(node) === own)),
      level: ascending(portsOf(around.filter(({ node }) => rank(node) === own))),
      nearer: ascending(portsOf(around.filter(({ node }) => rank(node) < own))),
    });
  }
  return routes;
}

/** More than any number of links on a path. */
const BEHIND = 0x1_0000;

const ascending = (ports: number[]): number[] => ports.sort((a, b) => a - b);

function portOf(links: ReadonlyMap<string, TopologyLink>, id: string, number: number): number {
  const link = links.get(id);
  const end = link?.ends.find((each) => each.number === number);
  if (end === undefined) throw new Error(`link ${id} does not end at switch ${number}`);
  return end.port;
}
