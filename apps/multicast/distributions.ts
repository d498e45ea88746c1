/**
 * Distribution trees: copies for many travel from host to host instead of all leaving their sender (head-end replication).
 *
 * A packet on a tree has the colour of the tree in the two bits of its VNI above those that networks use, and `classify` moves them to
 * `R.treeColour`, with the host it came from in `R.remoteHost`. It travels that tree only, whatever senders and relays change meanwhile
 * (`controller/multicast/planner-distribution.ts`):
 *
 *     from an endpoint     of a host on the tree: to its neighbours. Of another host: to the root.
 *     from a neighbour     to the other neighbours
 *     from somebody else   at the root: to all neighbours. Elsewhere: dropped
 *
 * and on each host to the receivers there. Relayed copies are not judged: policy is for receivers.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Table } from '../../controller/datapath/pipeline.js';
import type { Collection, Context, Index } from '../../controller/derive/index.js';
import type {
  DistributionFact,
  DistributionTree,
  HostFact,
  MulticastGroup,
  NetworkFact,
} from '../../controller/model/facts.js';
import { type Action, F, type Match, oxm } from '../../ofproto/index.js';
import { resubmit, setField } from '../actions.js';
import { ipv4, ipv6 } from '../match.js';
import { Origin, Priority, R, T } from '../pipeline.js';
import { hostScope, type Member, networkScope, placementsOf } from '../placement.js';

/** Bits of a VNI that networks with trees use; the colour stands above them. */
const COLOUR_OFFSET = 22;
export const UNCOLOURED_VNI = 2 ** COLOUR_OFFSET - 1;

/** Why `flood_remote` drops; the object of the cookie. */
export const DistributionDrop = {
  /** Of a tree that this host is not on, or from nobody it should come from. */
  stray: 1,
} as const;

/** A VXLAN network whose VNI has room for colours; key: its number. */
export interface ColouredNetwork {
  readonly id: string;
  readonly number: number;
  readonly vni: number;
}

/** What travels a tree: everything that is flooded in a network, or a group. */
interface Distributed {
  /** Number of the network, and its VNI without colour. */
  readonly network: number;
  readonly vni: number;
  readonly group?: MulticastGroup;
}

/** A host on a tree; key: `<key of the fact>/<colour>/<number of host>`. */
interface TreeNode extends Distributed {
  readonly colour: number;
  /** Number of the host. */
  readonly host: number;
  /** Numbers of hosts, in the order of the tree's edges. */
  readonly neighbours: readonly number[];
  readonly root: boolean;
}

/** The tree that senders use; key: that of the fact. */
export interface TreeInUse extends Distributed {
  readonly colour: number;
  /** Number of the host where packets enter that come from hosts not on the tree. */
  readonly root: number;
}

export interface Distributions {
  readonly coloured: Collection<ColouredNetwork>;
  readonly inUse: Collection<TreeInUse>;
  readonly hostsByNumber: Index<HostFact>;
  /** Hosts that carry no endpoint of a network (any more) and relay in it; key: `<number of network>/<number of host>`. */
  readonly relaysOnly: Collection<Member>;
}

/** The collections of this file, declared once whoever asks first. */
export function distributionsOf(declaration: AppDeclaration): Distributions {
  return declaration.shared('distributions', (d) => {
    const coloured = declareColoured(d);
    const hostsByNumber = d.index('hosts by number', d.facts.hosts, ({ number }) => [String(number)]);
    const inUse = d.derive<DistributionFact, TreeInUse>(
      'trees in use',
      d.facts.distributions,
      (context, { network, group, trees, sending }, key) => {
        const vni = context.get(coloured, String(network))?.vni;
        const tree = trees.find(({ colour }) => colour === sending);
        if (vni === undefined || tree === undefined) return;
        const { colour, root } = tree;
        context.emit(key, { network, vni, ...(group === undefined ? {} : { group }), colour, root });
      },
    );
    return { coloured, inUse, hostsByNumber, relaysOnly: declareRelaysOnly(d, coloured, hostsByNumber) };
  });
}

/**
 * Networks with a VNI of more bits have no trees, nor have those whose VNI with some colour is the VNI of such a network: on a host that
 * carries that one, its packets would be taken for it.
 */
function declareColoured(d: AppDeclaration): Collection<ColouredNetwork> {
  const vnis = d.derive<NetworkFact, ColouredNetwork>(
    'vnis',
    d.facts.networks,
    (context, { id, number, encapsulation, tag }) => {
      if (encapsulation === 'vxlan') context.emit(String(number), { id, number, vni: tag });
    },
  );
  const byUncoloured = d.index('networks by uncoloured vni', vnis, ({ vni }) => [
    String(vni & UNCOLOURED_VNI),
  ]);
  return d.derive<ColouredNetwork, ColouredNetwork>('coloured networks', vnis, (context, network, key) => {
    const { vni } = network;
    if (vni <= UNCOLOURED_VNI && context.keys(byUncoloured, String(vni)).length === 1)
      context.emit(key, network);
  });
}

function declareRelaysOnly(
  d: AppDeclaration,
  coloured: Collection<ColouredNetwork>,
  hostsByNumber: Index<HostFact>,
): Collection<Member> {
  const { members } = placementsOf(d);
  const places = d.derive<DistributionFact, { readonly network: number; readonly host: number }>(
    'hosts on trees',
    d.facts.distributions,
    (context, { network, trees }) => {
      if (context.get(coloured, String(network)) === undefined) return;
      for (const host of new Set(trees.flatMap(hostsOf)))
        context.emit(`${network}/${host}`, { network, host });
    },
  );
  return d.derive<{ readonly network: number; readonly host: number }, Member>(
    'relays only',
    places,
    (context, { network: number, host: hostNumber }, key) => {
      if (context.get(members, key) !== undefined) return;
      const tag = context.get(coloured, String(number))?.vni;
      const [, host] = context.values(hostsByNumber, String(hostNumber))[0] ?? [];
      if (tag === undefined || host === undefined) return;
      const { name, datapathId, vtepIpv4, vtepIpv6 } = host;
      context.emit(key, {
        network: { number, encapsulation: 'vxlan', tag, uplinkHandOff: false },
        host: name,
        hostNumber,
        ...(datapathId === undefined ? {} : { datapathId }),
        ...(vtepIpv4 === undefined ? {} : { vtepIpv4 }),
        ...(vtepIpv6 === undefined ? {} : { vtepIpv6 }),
      });
    },
  );
}

/** Relays of all trees that stand, and the senders of those in use. */
export function declareTrees(d: AppDeclaration): void {
  const { coloured, hostsByNumber, relaysOnly } = distributionsOf(d);
  const { always } = placementsOf(d);
  const nodes = (name: string, treesOf: (fact: DistributionFact) => readonly DistributionTree[]) =>
    d.derive<DistributionFact, TreeNode>(name, d.facts.distributions, (context, fact, key) => {
      const vni = context.get(coloured, String(fact.network))?.vni;
      if (vni === undefined) return;
      for (const tree of treesOf(fact)) emitNodes(context, key, fact, vni, tree);
    });
  const relays = nodes('relaying hosts', ({ trees }) => trees);
  const senders = nodes('sending hosts', ({ trees, sending }) =>
    trees.filter(({ colour }) => colour === sending),
  );
  const scopeOf = (context: EntryContext, number: number) => {
    const [first] = context.keys(hostsByNumber, String(number));
    return first === undefined ? undefined : hostScope(first);
  };

  d.entries({ name: 'relays', object: 'network' }, relays, (context, node) => {
    const { network, group, colour, host, neighbours, root } = node;
    const scope = scopeOf(context, host);
    if (scope === undefined) return;
    const { table, goto } = tablesFor(group);
    const relay = (priority: number, from: Match, to: readonly number[]): void =>
      context.flow(scope, {
        table,
        priority,
        match: [
          R.network.match(network),
          R.origin.match(Origin.tunnel),
          R.treeColour.match(colour),
          ...from,
          ...groupMatch(group),
        ],
        apply: to.map(relayedCopy),
        goto,
        object: network,
      });
    for (const neighbour of neighbours) {
      relay(
        Priority.hostException,
        [R.remoteHost.match(neighbour)],
        neighbours.filter((other) => other !== neighbour),
      );
    }
    if (root) relay(Priority.host, [], neighbours);
  });

  d.entries({ name: 'senders', object: 'network' }, senders, (context, node) => {
    const { network, vni, group, colour, host, neighbours } = node;
    const scope = scopeOf(context, host);
    if (scope === undefined) return;
    const { table, goto } = tablesFor(group);
    context.flow(scope, {
      table,
      priority: Priority.host,
      match: [R.network.match(network), R.origin.match(Origin.local), ...groupMatch(group)],
      apply: [setField(F.tunnel_id, colouredVni(vni, colour)), ...neighbours.map(copyToHost)],
      goto,
      object: network,
    });
  });

  d.entries('subscriptions', relaysOnly, (context, { network, datapathId }) => {
    if (datapathId !== undefined) context.subscribe(datapathId, networkScope(network));
  });

  d.entries('strays', always, (context) => {
    for (const colour of [1, 2, 3]) {
      context.flow('global', {
        table: T.flood_remote,
        priority: Priority.rest,
        match: [R.origin.match(Origin.tunnel), R.treeColour.match(colour)],
        drop: true,
        object: DistributionDrop.stray,
      });
    }
  });
}

function emitNodes(
  context: Context<TreeNode>,
  key: string,
  { network, group }: DistributionFact,
  vni: number,
  tree: DistributionTree,
): void {
  const { colour, root, edges } = tree;
  const neighbours = new Map<number, number[]>([[root, []]]);
  const join = (host: number, neighbour: number): void => {
    const known = neighbours.get(host);
    if (known === undefined) neighbours.set(host, [neighbour]);
    else known.push(neighbour);
  };
  for (const [parent, child] of edges) {
    join(parent, child);
    join(child, parent);
  }
  for (const [host, list] of neighbours) {
    context.emit(`${key}/${colour}/${host}`, {
      network,
      vni,
      ...(group === undefined ? {} : { group }),
      colour,
      host,
      neighbours: list,
      root: host === root,
    });
  }
}

function hostsOf({ root, edges }: DistributionTree): number[] {
  return [root, ...edges.map(([, child]) => child)];
}

/** Where copies to other hosts are made, and where those to the receivers here. */
function tablesFor(group: MulticastGroup | undefined): { readonly table: Table; readonly goto: Table } {
  return group === undefined
    ? { table: T.flood_remote, goto: T.flood_local }
    : { table: T.multicast, goto: T.multicast_local };
}

/** IP packets to a group; everything for no group. */
export function groupMatch(group: MulticastGroup | undefined): Match {
  if (group === undefined) return [];
  return group.family === 4
    ? [...ipv4, oxm(F.ipv4_dst, group.address)]
    : [...ipv6, oxm(F.ipv6_dst, group.address)];
}

export function colouredVni(vni: number, colour: number): bigint {
  return BigInt(vni + colour * 2 ** COLOUR_OFFSET);
}

/** Moves the colour of a packet from a tunnel out of its VNI, which the match of the entry holds otherwise. */
export const MOVE_COLOUR: Action = R.treeColour.copyFrom({
  field: F.tunnel_id,
  offset: COLOUR_OFFSET,
  bits: 2,
});

/** One copy, to where the tree begins for hosts that are not on it. */
export function copyToRoot({ vni, colour, root }: TreeInUse): readonly Action[] {
  return [setField(F.tunnel_id, colouredVni(vni, colour)), copyToHost(root)];
}

/** A copy for a host, with the VNI that the packet has by now. */
export function copyToHost(host: number): Action {
  return { type: 'clone', actions: [R.remoteHost.set(host), resubmit(T.tunnel_output)] };
}

/** The same for a packet that came out of the tunnel port and has to leave by it, perhaps over the other version of IP. */
function relayedCopy(host: number): Action {
  const actions: readonly Action[] = [
    // The switch sends nothing to the port that a packet came from; from no port it does.
    { type: 'reg_load', dst: F.nxm_in_port, offset: 0, bits: 16, value: 0n },
    setField(F.tun_dst, 0),
    setField(F.tun_ipv6_dst, 0n),
    R.remoteHost.set(host),
    resubmit(T.tunnel_output),
  ];
  return { type: 'clone', actions };
}
