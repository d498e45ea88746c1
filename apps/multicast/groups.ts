/**
 * Multicast groups that somebody has joined: copies for the hosts that have receivers, and on each host for the receivers.
 *
 *     multicast         IP packets to many, matched by their IP destination
 *                       group of one link                      flooded, joined or not
 *                       registered, from an endpoint           to the hosts with receivers: VXLAN by tree or head-end replication, VLAN once
 *                                                              into the underlay; then to the receivers here
 *                       registered, from elsewhere             to the receivers here; a coloured copy only from a neighbour on its tree
 *                       not registered                         flooded, or to multicast routers only, or dropped
 *     multicast_local   the receivers of this host that want the source
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import { type Action, F, type Match, oxm } from '../../ofproto/index.js';
import { group as toGroup, setField } from '../actions.js';
import { copyTo, type ReceiverRules } from '../copies.js';
import { multicastBlock, remoteChunk } from '../flood-layout.js';
import { ipv4, ipv6 } from '../match.js';
import { Origin, Priority, R, T } from '../pipeline.js';
import { hostScope, networkScope, placementsOf } from '../placement.js';
import { subjectsOf } from '../policy/subjects.js';
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
import { ratedReceiversOf } from '../qos/profiles.js';
import { chainChunks, chunkGroup } from '../replication.js';
import { outTagged } from '../vlan.js';
import { copyToHost, copyToRoot, distributionsOf, groupMatch, type TreeInUse } from './distributions.js';
import {
  declareReceivers,
  type HostOfReceivers,
  type Listener,
  type LocalGroup,
  type Receivers,
  type RegisteredGroup,
  type Router,
  type SnoopedNetwork,
  sourcesOf,
  wants,
} from './receivers.js';

/** Receivers of a group on one host up to which copies are made for them alone: more do not fit into one entry. */
const MAX_LOCAL_RECEIVERS = 300;
/** Sources that are told apart for a group on one host; with more, everybody there gets all of them. */
const MAX_SOURCES = 64;

const POP_TAG: Action = { type: 'pop_vlan' };

const EVERY_GROUP: readonly Match[] = [
  [...ipv4, oxm(F.ipv4_dst, MULTICAST_IPV4, MULTICAST_IPV4_MASK)],
  [...ipv6, oxm(F.ipv6_dst, MULTICAST_IPV6, MULTICAST_IPV6_MASK)],
];
const GROUPS_OF_A_LINK: readonly Match[] = [
  [...ipv4, oxm(F.ipv4_dst, LINK_LOCAL_IPV4, LINK_LOCAL_IPV4_MASK)],
  ...IPV6_SCOPES_OF_A_LINK.map((scope) => [...ipv6, oxm(F.ipv6_dst, scope, IPV6_SCOPE_MASK)]),
];

export function declareGroups(d: AppDeclaration): void {
  const receivers = declareReceivers(d);
  const { coloured, inUse } = distributionsOf(d);
  const { always } = placementsOf(d);
  const { groups, networks, localGroups, routers } = receivers;
  const rules: ReceiverRules = { subjects: subjectsOf(d), rated: ratedReceiversOf(d) };

  d.entries('cluster', always, (context) => {
    for (const match of GROUPS_OF_A_LINK) {
      context.flow('global', { table: T.multicast, priority: Priority.guard, match, goto: T.flood_remote });
    }
    context.flow('global', { table: T.multicast_local, priority: Priority.rest, match: [], drop: true });
  });

  d.entries({ name: 'groups', object: 'network' }, groups, (context, registered, key) => {
    const { number } = registered.network;
    const tree = context.get(inUse, key);
    const hasColours = context.get(coloured, String(number)) !== undefined;
    groupEntries(context, registered, hostsOf(context, receivers, registered), tree, hasColours);
  });

  d.entries({ name: 'receivers', object: 'network' }, localGroups, (context, local, key) =>
    localEntries(context, receivers, rules, local, context.values(receivers.listenersByHost, key)),
  );

  const routedGroups = d.derive<Router, LocalGroup>('groups at routers', routers, (context, router) => {
    const { at, network } = router;
    if (at === undefined) return;
    for (const [groupKey, { group }] of context.values(receivers.groupsByNetwork, String(network.number))) {
      const key = `${at.host}/${groupKey}`;
      if (context.get(localGroups, key) === undefined)
        context.emit(key, { host: at.host, network: network.number, group, groupKey });
    }
  });
  d.entries({ name: 'groups of routers', object: 'network' }, routedGroups, (context, local) =>
    localEntries(context, receivers, rules, local, []),
  );

  d.entries({ name: 'unregistered', object: 'network' }, networks, (context, network) => {
    if (network.unregistered === 'drop') unregisteredEntries(context, receivers, network);
  });
  declareUnregisteredLocal(d, receivers, rules);
}

/** Where packets to a group have to go, besides the host they come from. */
interface Reach {
  /** In ascending order of number. */
  readonly hosts: readonly HostOfReceivers[];
  /** Somebody behind the uplink wants them. */
  readonly uplink: boolean;
}

function hostsOf(
  context: EntryContext,
  { listenersByGroup, routersByNetwork }: Receivers,
  { network, groupKey }: Pick<RegisteredGroup, 'network'> & { readonly groupKey?: string },
): Reach {
  const hosts = new Map<number, HostOfReceivers>();
  let uplink = false;
  const listeners = groupKey === undefined ? [] : context.values(listenersByGroup, groupKey);
  for (const [, { at }] of [...listeners, ...context.values(routersByNetwork, String(network.number))]) {
    if (at === undefined) uplink = true;
    else hosts.set(at.hostNumber, at);
  }
  return { hosts: [...hosts.values()].sort((a, b) => a.hostNumber - b.hostNumber), uplink };
}

function groupEntries(
  context: EntryContext,
  { network, group, groupNumber }: RegisteredGroup,
  reach: Reach,
  tree: TreeInUse | undefined,
  hasColours: boolean,
): void {
  const { number, encapsulation, tag } = network;
  const scope = networkScope(network);
  const packets = [R.network.match(number), ...groupMatch(group)];
  const fromHere = [...packets, R.origin.match(Origin.local)];
  const replicate = (): readonly Action[] => {
    const block = multicastBlock(groupNumber);
    const chunks = new Map<number, HostOfReceivers[]>();
    for (const host of reach.hosts) {
      const chunk = remoteChunk(host.hostNumber);
      const known = chunks.get(chunk);
      if (known === undefined) chunks.set(chunk, [host]);
      else known.push(host);
    }
    for (const [chunk, hosts] of chunks) {
      const numbers = hosts.map(({ hostNumber }) => hostNumber);
      context.group(scope, chunkGroup({ block, object: number }, chunk, numbers));
    }
    const match = groupMatch(group);
    const replication = { block, network: number, match, priority: Priority.guard, object: number };
    const present = [...chunks.keys()].sort((a, b) => a - b);
    const groups = chainChunks(context, scope, replication, present);
    return groups.length === 0 ? [] : [setField(F.tunnel_id, BigInt(tag)), ...groups.map(toGroup)];
  };
  const toUplink = reach.uplink || reach.hosts.length > 0 ? [...outTagged(tag), POP_TAG] : [];
  const copies = encapsulation === 'vlan' ? toUplink : tree === undefined ? replicate() : copyToRoot(tree);
  context.flow(scope, {
    table: T.multicast,
    priority: Priority.shared,
    match: fromHere,
    apply: copies,
    goto: T.multicast_local,
    object: number,
  });
  context.flow(scope, {
    table: T.multicast,
    priority: Priority.sharedSecond,
    match: [...packets, R.treeColour.match(0)],
    goto: T.multicast_local,
    object: number,
  });
  // A coloured copy that no relay of the group takes must not be taken for one that is flooded.
  if (hasColours) {
    context.flow(scope, {
      table: T.multicast,
      priority: Priority.networkDefault,
      match: packets,
      drop: true,
      object: number,
    });
  }
  // The host that has all receivers keeps the underlay out of it.
  const [only] = reach.hosts;
  if (encapsulation === 'vlan' && !reach.uplink && reach.hosts.length === 1 && only !== undefined) {
    context.flow(hostScope(only.host), {
      table: T.multicast,
      priority: Priority.host,
      match: fromHere,
      goto: T.multicast_local,
      object: number,
    });
  }
}

/** Copies for the receivers of a host, and the routers there. */
function localEntries(
  context: EntryContext,
  receivers: Receivers,
  rules: ReceiverRules,
  { host, network, group }: LocalGroup,
  listeners: readonly (readonly [string, Pick<Listener, 'at' | 'sources'>])[],
): void {
  const wishes = [...listeners, ...context.values(receivers.routersByHost, `${host}/${network}`)].map(
    ([, wish]): Pick<Listener, 'at' | 'sources'> => wish,
  );
  const sources = sourcesOf(wishes);
  const isExact = sources.length <= MAX_SOURCES;
  const entry = (priority: number, source: number | bigint | undefined): void => {
    const wanting = isExact ? wishes.filter((wish) => wants(wish.sources, source)) : wishes;
    context.flow(hostScope(host), {
      table: T.multicast_local,
      priority,
      match: [R.network.match(network), ...groupMatch(group), ...sourceMatch(source)],
      ...deliver(context, receivers, rules, wanting),
      object: network,
    });
  };
  entry(Priority.host, undefined);
  if (isExact) for (const source of sources) entry(Priority.hostException, source);
}

function sourceMatch(source: number | bigint | undefined): Match {
  if (source === undefined) return [];
  return [typeof source === 'number' ? oxm(F.ipv4_src, source) : oxm(F.ipv6_src, source)];
}

/** Everybody of the network here, where receivers are too many for one entry. */
function deliver(
  context: EntryContext,
  { ports }: Receivers,
  rules: ReceiverRules,
  wanting: readonly Pick<Listener, 'at'>[],
): { readonly apply: readonly Action[] } | { readonly drop: true } | { readonly goto: typeof T.flood_local } {
  const places = new Map(
    wanting.flatMap(({ at }) =>
      at === undefined
        ? []
        : context
            .values(ports, at.endpoint)
            .filter(([, { host }]) => host === at.host)
            .map(([place, endpoint]) => [place, endpoint] as const),
    ),
  );
  if (places.size > MAX_LOCAL_RECEIVERS) return { goto: T.flood_local };
  if (places.size === 0) return { drop: true };
  const endpoints = [...places.values()].sort((a, b) => a.port - b.port);
  const apply = endpoints.flatMap((endpoint): readonly Action[] => {
    const actions = copyTo(context, rules, endpoint);
    return actions.length === 1 ? actions : [{ type: 'clone', actions }];
  });
  return { apply };
}

/** Groups that nobody has joined are for multicast routers only. */
function unregisteredEntries(context: EntryContext, receivers: Receivers, network: SnoopedNetwork): void {
  const { number, encapsulation, tag } = network;
  const { hosts, uplink } = hostsOf(context, receivers, { network });
  const scope = networkScope(network);
  const nobody = hosts.length === 0 && !uplink;
  const toHosts = [
    setField(F.tunnel_id, BigInt(tag)),
    ...hosts.map(({ hostNumber }) => copyToHost(hostNumber)),
  ];
  const copies = encapsulation === 'vlan' ? [...outTagged(tag), POP_TAG] : toHosts;
  for (const match of EVERY_GROUP) {
    const packets = [R.network.match(number), ...match];
    context.flow(scope, {
      table: T.multicast,
      priority: Priority.port,
      match: packets,
      ...(nobody ? { drop: true as const } : { goto: T.multicast_local }),
      object: number,
    });
    if (nobody) continue;
    context.flow(scope, {
      table: T.multicast,
      priority: Priority.protocol,
      match: [...packets, R.origin.match(Origin.local)],
      apply: copies,
      goto: T.multicast_local,
      object: number,
    });
  }
}

function declareUnregisteredLocal(d: AppDeclaration, receivers: Receivers, rules: ReceiverRules): void {
  const hosts = d.derive<Router, { readonly host: string; readonly network: number }>(
    'hosts of routers',
    receivers.routers,
    (context, { at, network: { number: network, unregistered } }) => {
      if (at !== undefined && unregistered === 'drop')
        context.emit(`${at.host}/${network}`, { host: at.host, network });
    },
  );
  d.entries(
    { name: 'unregistered for routers', object: 'network' },
    hosts,
    (context, { host, network }, key) => {
      const routers = context.values(receivers.routersByHost, key).map(([, router]) => router);
      for (const match of EVERY_GROUP) {
        context.flow(hostScope(host), {
          table: T.multicast_local,
          priority: Priority.port,
          match: [R.network.match(network), ...match],
          ...deliver(context, receivers, rules, routers),
          object: network,
        });
      }
    },
  );
}
