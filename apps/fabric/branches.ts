/**
 * The branches of a flood tree behind which somebody receives. Pure.
 *
 * Links are those both of whose ports flood, so what is computed here is part of what may flood, whatever of it a switch holds by now.
 */
import { branches, Graph } from '../../controller/trees/index.js';
import type { DatapathId } from '../../controller/model/facts.js';
import type { Topology } from './topology.js';

/** The flood tree of a class, or its parts while it is being changed. */
export type FloodTree = Pick<Topology, 'switches' | 'links'>;

/** A port of a switch. */
export interface SwitchPort {
  readonly datapathId: DatapathId;
  readonly port: number;
}

interface Indexed {
  readonly graph: Graph;
  readonly links: readonly string[];
  readonly numbers: ReadonlyMap<DatapathId, number>;
  /** Port by `<number of switch> <id of link>`. */
  readonly ports: ReadonlyMap<string, number>;
}

/** Built once for all groups. */
const indexes = new WeakMap<FloodTree, Indexed>();

function indexOf(tree: FloodTree): Indexed {
  let index = indexes.get(tree);
  if (index === undefined) {
    const ports = new Map<string, number>();
    for (const { id, ends } of tree.links) {
      for (const { number, port } of ends) ports.set(`${number} ${id}`, port);
    }
    index = {
      graph: new Graph(
        tree.switches.map(({ number }) => number),
        tree.links.map(({ id, ends: [a, b] }) => ({ id, ends: [a.number, b.number] as const })),
      ),
      links: tree.links.map(({ id }) => id),
      numbers: new Map(tree.switches.map(({ datapathId, number }) => [datapathId, number])),
      ports,
    };
    indexes.set(tree, index);
  }
  return index;
}

/**
 * Ports that copies leave each switch by, so that they reach every receiver from wherever they come in: links of the tree behind which
 * there is one, and the receivers' own. Every switch of the tree is in the answer, those where nothing is sent on with no port.
 *
 * @param receivers edge ports, in any order and any number of times.
 */
export function portsTowards(
  tree: FloodTree,
  receivers: Iterable<SwitchPort>,
): Map<DatapathId, readonly number[]> {
  const { graph, links, numbers, ports } = indexOf(tree);
  const leaving = new Map<number, Set<number>>(tree.switches.map(({ number }) => [number, new Set()]));
  const receiving = new Set<number>();
  for (const { datapathId, port } of receivers) {
    const number = numbers.get(datapathId);
    if (number === undefined) continue;
    receiving.add(number);
    leaving.get(number)?.add(port);
  }
  for (const { from, link } of branches(graph, links, receiving)) {
    const port = ports.get(`${from} ${link}`);
    if (port !== undefined) leaving.get(from)?.add(port);
  }
  return new Map(
    tree.switches.map(({ datapathId, number }) => [
      datapathId,
      [...(leaving.get(number) ?? [])].sort((a, b) => a - b),
    ]),
  );
}
