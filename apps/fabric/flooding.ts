/**
 * Flooding: broadcast, frames for stations that nobody knows, and multicast (but see `multicast.ts`). Along the tree of the VLAN's class over
 * links, then to all edge ports. A frame that came over a link which is not in the tree here goes nowhere: so one of two switches alone can take a link out
 * of a tree, also when the other one is away.
 */
import type { App } from '../../controller/datapath/app.js';
import type { DatapathId } from '../../controller/model/facts.js';
import { GroupType } from '../../ofproto/index.js';
import { bucket, group, output } from '../actions.js';
import { inPort } from '../match.js';
import { edgeChunk, edgeChunkGroup } from './groups.js';
import { declareGroups } from './multicast.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { fabricOf, type OpenPort, switchScope } from './topology.js';

/** Why `tree` drops; the object of the cookie. */
export const FloodDrop = {
  /** It came over a link that is not in the tree. */
  offTree: 255,
} as const;

/** The part of a tree at one switch; key: `<datapathId>/<class>`. */
interface TreeSwitch {
  readonly datapathId: DatapathId;
  readonly treeClass: number;
}

/** Some of the edge ports of a switch; key: `<datapathId>/<chunk>`. */
interface EdgeChunk {
  readonly datapathId: DatapathId;
  readonly chunk: number;
}

export const flooding: App = {
  name: 'fabric-flooding',
  id: 67,
  declare(d) {
    const { always, openPorts } = fabricOf(d);
    const { floodPorts } = d.facts;

    const portsByTree = d.index('flood ports by tree', floodPorts, ({ datapathId, treeClass }) => [
      `${datapathId}/${treeClass}`,
    ]);
    const trees = d.derive<TreeSwitch, TreeSwitch>(
      'trees',
      floodPorts,
      (context, { datapathId, treeClass }) =>
        context.emit(`${datapathId}/${treeClass}`, { datapathId, treeClass }),
    );
    const edges = d.derive<OpenPort, OpenPort>('edge ports', openPorts, (context, port, key) => {
      if (port.role === 'edge') context.emit(key, port);
    });
    const edgesByChunk = d.index('edge ports by chunk', edges, ({ datapathId, port }) => [
      `${datapathId}/${edgeChunk(port)}`,
    ]);
    const chunks = d.derive<OpenPort, EdgeChunk>('chunks', edges, (context, { datapathId, port }) => {
      const chunk = edgeChunk(port);
      context.emit(`${datapathId}/${chunk}`, { datapathId, chunk });
    });
    const chunksBySwitch = d.index('chunks by switch', chunks, ({ datapathId }) => [datapathId]);
    const flooded = d.derive<EdgeChunk, DatapathId>('flooded switches', chunks, (context, { datapathId }) =>
      context.emit(datapathId, datapathId),
    );

    d.entries('links', trees, (context, { datapathId, treeClass }, key) => {
      const ports = context.values(portsByTree, key).map(([, { port }]) => port);
      // Ports in any order flood alike; in this one, equal sets are equal entries.
      const apply = ports.sort((a, b) => a - b).map(output);
      const ofClass = R.treeClass.match(treeClass);
      const scope = switchScope(datapathId);
      const ofTree = { priority: Priority.host, object: treeClass };
      context.flow(scope, { ...ofTree, table: T.flood, match: [ofClass], apply, goto: T.flood_edge });
      for (const port of ports) {
        const overLink = [ofClass, R.origin.match(Origin.link), ...inPort(port)];
        context.flow(scope, { ...ofTree, table: T.tree, match: overLink, goto: T.groups });
      }
    });

    d.entries('edge groups', chunks, (context, { datapathId, chunk }, key) => {
      const ports = context.values(edgesByChunk, key).map(([, { port }]) => port);
      context.group(switchScope(datapathId), {
        id: edgeChunkGroup(chunk),
        groupType: GroupType.ALL,
        buckets: ports.sort((a, b) => a - b).map((port) => bucket(output(port))),
      });
    });

    d.entries('edges', flooded, (context, datapathId) => {
      const present = context.values(chunksBySwitch, datapathId).map(([, { chunk }]) => chunk);
      context.flow(switchScope(datapathId), {
        table: T.flood_edge,
        priority: Priority.host,
        match: [],
        // A port never gets its own frame back: the switch does not send to the port a frame came from.
        apply: present.sort((a, b) => a - b).map((chunk) => group(edgeChunkGroup(chunk))),
      });
    });

    d.entries('cluster', always, (context) => {
      context.flow('global', {
        table: T.tree,
        priority: Priority.rest,
        match: [R.origin.match(Origin.edge)],
        goto: T.groups,
      });
      context.flow('global', {
        table: T.tree,
        priority: Priority.rest,
        match: [R.origin.match(Origin.link)],
        drop: true,
        object: FloodDrop.offTree,
      });
    });

    // Last: the numbers of rules are in cookies.
    declareGroups(d);
  },
};
