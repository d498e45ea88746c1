/**
 * Multicast groups whose receivers are known: the flood tree of the VLAN, without the branches where nobody receives. Part of the app
 * `fabric-flooding`: who plans flood trees waits for the entries of that app, and these copy to links as well. They follow from the same
 * facts as flooding in the same settlement, and copy to some of the ports that it would; so where that makes no loop, they make none.
 *
 *     groups      group of one link        flooded, joined or not
 *                 joined                   to links of the tree with receivers or multicast routers behind them, and to their ports here
 *                 other, of a VLAN that is snooped      flooded, or (`unregistered: drop`) to multicast routers only
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Context } from '../../controller/derive/index.js';
import type {
  DatapathId,
  FabricReceiverFact,
  FabricRouterFact,
  MulticastGroup,
  SnoopedVlanFact,
} from '../../controller/model/facts.js';
import { F, formatIpv4, formatIpv6, type Match, oxm } from '../../ofproto/index.js';
import { output } from '../actions.js';
import { ipv4, ipv6 } from '../match.js';
import {
  IPV6_SCOPE_MASK,
  IPV6_SCOPES_OF_A_LINK,
  LINK_LOCAL_IPV4,
  LINK_LOCAL_IPV4_MASK,
  MULTICAST_IPV4,
  MULTICAST_IPV4_MASK,
  MULTICAST_IPV6,
  MULTICAST_IPV6_MASK,
} from '../protocols.js';
import { type FloodTree, portsTowards, type SwitchPort } from './branches.js';
import { Priority, R, T, TREE_CLASSES, treeClassOf } from './pipeline.js';
import { fabricOf, switchScope, TOPOLOGY } from './topology.js';

/** Key: `<VLAN id>/<group>`. */
interface KnownGroup {
  readonly vlan: number;
  readonly group: MulticastGroup;
}

/** What one switch copies to; key: `<datapathId>/<VLAN id>/<group, or "others">`. */
interface Copies {
  readonly datapathId: DatapathId;
  readonly vlan: number;
  /** Absent: all that nobody has joined. */
  readonly group?: MulticastGroup;
  /** Ascending. */
  readonly ports: readonly number[];
}

const EVERY_GROUP: readonly Match[] = [
  [...ipv4, oxm(F.ipv4_dst, MULTICAST_IPV4, MULTICAST_IPV4_MASK)],
  [...ipv6, oxm(F.ipv6_dst, MULTICAST_IPV6, MULTICAST_IPV6_MASK)],
];
const GROUPS_OF_A_LINK: readonly Match[] = [
  [...ipv4, oxm(F.ipv4_dst, LINK_LOCAL_IPV4, LINK_LOCAL_IPV4_MASK)],
  ...IPV6_SCOPES_OF_A_LINK.map((scope) => [...ipv6, oxm(F.ipv6_dst, scope, IPV6_SCOPE_MASK)]),
];

export function declareGroups(d: AppDeclaration): void {
  const { always, openPorts, topology } = fabricOf(d);
  const { fabricMulticast, fabricReceivers, fabricRouters, floodPorts, snoopedVlans } = d.facts;

  const portsOfClass = d.index('flood ports by class', floodPorts, ({ treeClass }) => [`${treeClass}`]);
  const trees = d.derive<true, FloodTree>('flood trees', always, (context) => {
    const whole = context.get(topology, TOPOLOGY);
    if (whole === undefined) return;
    const ids = new Map(whole.switches.map(({ number, datapathId }) => [number, datapathId]));
    for (let treeClass = 0; treeClass < TREE_CLASSES; treeClass++) {
      const flooding = new Set(
        context
          .values(portsOfClass, `${treeClass}`)
          .map(([, { datapathId, port }]) => `${datapathId}/${port}`),
      );
      const links = whole.links.filter(({ ends }) =>
        ends.every(({ number, port }) => flooding.has(`${ids.get(number)}/${port}`)),
      );
      context.emit(`${treeClass}`, { switches: whole.switches, links });
    }
  });

  const groups = d.derive<FabricReceiverFact, KnownGroup>(
    'known groups',
    fabricReceivers,
    (context, { vlan, group }) => {
      if (context.get(snoopedVlans, `${vlan}`) !== undefined)
        context.emit(keyOf({ vlan, group }), { vlan, group });
    },
  );
  const receiversByGroup = d.index('receivers by group', fabricReceivers, (receiver) => [keyOf(receiver)]);
  const routersByVlan = d.index('routers by VLAN', fabricRouters, ({ vlan }) => [`${vlan}`]);

  const copiesTo = (
    context: Context<Copies>,
    { vlan, group }: Pick<Copies, 'vlan' | 'group'>,
    key: string,
    receivers: readonly (readonly [string, SwitchPort])[],
  ): void => {
    const tree = context.get(trees, `${treeClassOf(vlan)}`);
    if (tree === undefined) return;
    const wanting = [...receivers, ...context.values(routersByVlan, `${vlan}`)]
      .map(([, at]) => at)
      // A port that is a link by now is the tree's business.
      .filter(({ datapathId, port }) => context.get(openPorts, `${datapathId}/${port}`)?.role === 'edge');
    for (const [datapathId, ports] of portsTowards(tree, wanting)) {
      const copies = { datapathId, vlan, ports };
      context.emit(`${datapathId}/${key}`, group === undefined ? copies : { ...copies, group });
    }
  };
  const ofGroups = d.derive<KnownGroup, Copies>('copies of groups', groups, (context, known, key) =>
    copiesTo(context, known, key, context.values(receiversByGroup, key)),
  );
  const ofOthers = d.derive<SnoopedVlanFact, Copies>(
    'copies of others',
    snoopedVlans,
    (context, { vlan }) => {
      if (context.get(fabricMulticast, FABRIC)?.unregistered !== 'drop') return;
      copiesTo(context, { vlan }, `${vlan}/others`, NO_RECEIVERS);
    },
  );

  for (const [name, copies, priority] of [
    ['groups', ofGroups, Priority.host],
    ['groups of nobody', ofOthers, Priority.restOfVlan],
  ] as const) {
    d.entries(name, copies, (context, { datapathId, vlan, group, ports }) => {
      for (const match of matchesOf(group)) {
        context.flow(switchScope(datapathId), {
          table: T.groups,
          priority,
          match: [R.vlan.match(vlan), ...match],
          ...(ports.length === 0 ? { drop: true } : { apply: ports.map(output) }),
          object: vlan,
        });
      }
    });
  }

  d.entries('groups of a link', always, (context) => {
    for (const match of GROUPS_OF_A_LINK) {
      context.flow('global', { table: T.groups, priority: Priority.guard, match, goto: T.flood });
    }
  });
}

/** The key of the one fact of its kind. */
const FABRIC = 'fabric';
const NO_RECEIVERS: readonly (readonly [string, FabricRouterFact])[] = [];

function matchesOf(group: MulticastGroup | undefined): readonly Match[] {
  if (group === undefined) return EVERY_GROUP;
  return group.family === 4
    ? [[...ipv4, oxm(F.ipv4_dst, group.address)]]
    : [[...ipv6, oxm(F.ipv6_dst, group.address)]];
}

function keyOf({ vlan, group }: KnownGroup): string {
  return `${vlan}/${group.family === 4 ? formatIpv4(group.address) : formatIpv6(group.address)}`;
}
