/**
 * What several apps of the fabric read: ports that are open, and the topology as one value.
 *
 *     hosts, links, away switches ──► topology (one value) ──► routes, by destination ──► entries and groups of each switch
 *
 * Shortest paths depend on all links, so the topology is read as a whole: a change of it runs one derivation for each switch that is a
 * destination, and only routes that differ go further. No station is among its readers.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { ScopeName } from '../../controller/datapath/entry.js';
import type { Collection } from '../../controller/derive/index.js';
import type { DatapathId, FabricPortFact } from '../../controller/model/facts.js';

export interface TopologySwitch {
  readonly number: number;
  readonly datapathId: DatapathId;
  /** Without a connection: it may forward on, or be dead. */
  readonly away: boolean;
}

export interface TopologyEnd {
  /** Of the switch. */
  readonly number: number;
  readonly port: number;
}

/** A link, both of whose directions are known. */
export interface TopologyLink {
  /** `<datapathId>/<port>` of both ends, the smaller first. */
  readonly id: string;
  readonly ends: readonly [TopologyEnd, TopologyEnd];
}

export interface Topology {
  /** In the order of their datapath ids. */
  readonly switches: readonly TopologySwitch[];
  readonly links: readonly TopologyLink[];
}

export type OpenPort = FabricPortFact & { readonly role: 'edge' | 'link' };

export interface FabricCollections {
  /** One key while there is a switch, for entries that are the same whatever the facts. */
  readonly always: Collection<true>;
  /** Key: `<datapathId>/<port>`. */
  readonly openPorts: Collection<OpenPort>;
  /** One key while there is a switch: `fabric`. */
  readonly topology: Collection<Topology>;
}

/** The key of the topology in its collection. */
export const TOPOLOGY = 'fabric';

export function switchScope(datapathId: DatapathId): ScopeName {
  return `host:${datapathId}`;
}

export function fabricOf(declaration: AppDeclaration): FabricCollections {
  return declaration.shared('fabric', declareFabric);
}

const ALL = 'all';

function declareFabric(d: AppDeclaration): FabricCollections {
  const { hosts, links, fabricPorts, awaySwitches } = d.facts;
  const always = d.derive<unknown, true>('always', hosts, (context) => context.emit('always', true));
  const openPorts = d.derive<FabricPortFact, OpenPort>('open ports', fabricPorts, (context, port, key) => {
    const { role } = port;
    if (role !== 'blocked') context.emit(key, { ...port, role });
  });
  const allHosts = d.index('all switches', hosts, () => [ALL]);
  const allLinks = d.index('all links', links, () => [ALL]);
  const allAway = d.index('all away', awaySwitches, () => [ALL]);
  const topology = d.derive<true, Topology>('topology', always, (context) => {
    const away = new Set(context.keys(allAway, ALL));
    const switches = new Map<DatapathId, TopologySwitch>();
    for (const [datapathId, { number }] of context.values(allHosts, ALL)) {
      switches.set(datapathId, { number, datapathId, away: away.has(datapathId) });
    }
    const facts = new Map(context.values(allLinks, ALL));
    const both: TopologyLink[] = [];
    for (const [key, { datapathId, port, toDatapathId, toPort }] of facts) {
      const otherKey = `${toDatapathId}/${toPort}`;
      const back = facts.get(otherKey);
      const [from, to] = [switches.get(datapathId), switches.get(toDatapathId)];
      if (key >= otherKey || from === undefined || to === undefined) continue;
      if (back?.toDatapathId !== datapathId || back.toPort !== port) continue;
      const ends = [
        { number: from.number, port },
        { number: to.number, port: toPort },
      ] as const;
      both.push({ id: `${key} ${otherKey}`, ends });
    }
    context.emit(TOPOLOGY, { switches: [...switches.values()], links: both });
  });
  return { always, openPorts, topology };
}
