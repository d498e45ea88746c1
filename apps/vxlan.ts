/**
 * VXLAN networks (RFC 7348): one flow-based tunnel port on every bridge, the VNI and the remote tunnel address in entries.
 *
 * Forwarding names the remote host by its number; `tunnel_output` knows its address, so that a host that changes its address costs two
 * entries and not one for each of its endpoints. Broadcast is replicated at its source to the hosts that carry the network, in
 * groups as `flood.ts` lays them out; what came out of a tunnel goes to local endpoints only (split horizon), so no frame can loop.
 *
 * Tunnel addresses may be IPv4, IPv6 or both. Hosts with an IPv4 address hold the IPv4 addresses of the others, hosts with an IPv6 address the
 * IPv6 ones; where both ends have both, IPv4 is used.
 */
import type { App, AppDeclaration, EntryContext } from '../controller/datapath/app.js';
import type { ScopeName } from '../controller/datapath/entry.js';
import type { Collection } from '../controller/derive/index.js';
import { type HostFact, TUNNEL_PORT } from '../controller/model/facts.js';
import { type Action, F, type Oxm, oxm } from '../ofproto/index.js';
import { group, output, setField } from './actions.js';
import { untagged } from './classify.js';
import { remoteChunk } from './flood-layout.js';
import { inPort } from './match.js';
import {
  copyToRoot,
  type Distributions,
  distributionsOf,
  MOVE_COLOUR,
  UNCOLOURED_VNI,
} from './multicast/distributions.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, type Member, networkScope, type Placement, placementsOf } from './placement.js';
import { chainChunks, chunkGroup } from './replication.js';

/** A host to which a network's broadcast is replicated; key: `<network>/<number of host>`. */
interface Target {
  /** Number of the network, and its VNI. */
  readonly network: number;
  readonly vni: number;
  readonly hostNumber: number;
}

/** Some of the targets of a network; key: `<network>/<chunk>`. */
interface Chunk {
  readonly network: number;
  readonly vni: number;
  readonly chunk: number;
}

export const vxlan: App = {
  name: 'vxlan',
  id: 7,
  declare(d) {
    const { placements, members } = placementsOf(d);
    const distributions = distributionsOf(d);
    d.entries({ name: 'tunnel sources', object: 'host' }, members, (context, member) =>
      tunnelSources(context, distributions, member),
    );
    d.entries({ name: 'remote endpoints', object: 'endpoint' }, placements, remoteEndpoint);
    d.entries({ name: 'tunnel addresses', object: 'host' }, d.facts.hosts, tunnelAddresses);
    declareReplication(d, members);
    d.entries('hosts without tunnel address', members, (context, member) => {
      const { network, host, datapathId, vtepIpv4, vtepIpv6 } = member;
      if (network.encapsulation !== 'vxlan' || (vtepIpv4 ?? vtepIpv6) !== undefined) return;
      if (datapathId === undefined) return;
      context.report(datapathId, {
        code: 'vxlan.host.no-tunnel-address',
        subject: host,
        message: `host ${host} has endpoints of VXLAN networks and no tunnel address: they reach each other only`,
        fix: 'start its agent with --vtep-ip',
      });
    });
    reportStrangers(d, members);
    d.entries(
      { name: 'tunnel sources of relays', object: 'host' },
      distributions.relaysOnly,
      (context, member) => tunnelSources(context, distributions, member),
    );
  },
};

/** The family of a host that has tunnel addresses of one family only. */
function onlyFamily({ vtepIpv4, vtepIpv6 }: Member): 4 | 6 | undefined {
  if (vtepIpv4 !== undefined) return vtepIpv6 === undefined ? 4 : undefined;
  return vtepIpv6 === undefined ? undefined : 6;
}

/**
 * Hosts of a network whose tunnel addresses have no family in common. Each learns only that there are others, not who: what a host
 * reads must not change with every member that comes and goes.
 */
function reportStrangers(d: AppDeclaration, members: Collection<Member>): void {
  const families = d.derive<Member, true>('only families', members, (context, member) => {
    const family = onlyFamily(member);
    if (member.network.encapsulation === 'vxlan' && family !== undefined)
      context.emit(`${member.network.number}/${family}`, true);
  });
  d.entries('hosts of another family', members, (context, member) => {
    const { network, host, datapathId } = member;
    const family = onlyFamily(member);
    if (network.encapsulation !== 'vxlan' || family === undefined || datapathId === undefined) return;
    const other = family === 4 ? 6 : 4;
    if (context.get(families, `${network.number}/${other}`) === undefined) return;
    context.report(datapathId, {
      code: 'vxlan.host.other-family',
      subject: host,
      message: `host ${host} has an IPv${family} tunnel address only and shares VXLAN networks with hosts that have an IPv${other} one only: their endpoints do not reach each other`,
      fix: 'give all hosts tunnel addresses of one family (--vtep-ip of their agents)',
    });
  });
}

/** Takes packets of a network from the tunnels of its members, and of those that relay in it, and from nobody else. */
function tunnelSources(context: EntryContext, { coloured }: Distributions, member: Member): void {
  const { network, hostNumber, vtepIpv4, vtepIpv6 } = member;
  if (network.encapsulation !== 'vxlan') return;
  const vni = BigInt(network.tag);
  const hasColours = context.get(coloured, String(network.number)) !== undefined;
  const from = (priority: number, source: Oxm): void =>
    context.flow(networkScope(network), {
      table: T.classify,
      priority,
      match: [
        ...inPort(TUNNEL_PORT),
        untagged,
        hasColours ? oxm(F.tunnel_id, vni, BigInt(UNCOLOURED_VNI)) : oxm(F.tunnel_id, vni),
        source,
      ],
      apply: [
        R.network.set(network.number),
        R.origin.set(Origin.tunnel),
        R.remoteHost.set(hostNumber),
        ...(hasColours ? [MOVE_COLOUR] : []),
      ],
      goto: T.source_mac,
      object: hostNumber,
    });
  if (vtepIpv4 !== undefined) from(Priority.shared, oxm(F.tun_src, vtepIpv4));
  if (vtepIpv6 !== undefined) from(Priority.sharedSecond, oxm(F.tun_ipv6_src, vtepIpv6));
}

function remoteEndpoint(context: EntryContext, { network, hostNumber, mac, number }: Placement): void {
  if (network.encapsulation !== 'vxlan') return;
  context.flow(networkScope(network), {
    table: T.forward,
    priority: Priority.shared,
    match: [R.network.match(network.number), R.origin.match(Origin.local), oxm(F.eth_dst, mac)],
    apply: [setField(F.tunnel_id, BigInt(network.tag)), R.remoteHost.set(hostNumber)],
    goto: T.tunnel_output,
    object: number,
  });
}

function tunnelAddresses(context: EntryContext, host: HostFact): void {
  const { number, datapathId, vtepIpv4, vtepIpv6 } = host;
  const address = (scope: ScopeName, priority: number, source: Oxm, destination: Action): void => {
    context.flow(scope, {
      table: T.tunnel_output,
      priority,
      match: [R.remoteHost.match(number)],
      apply: [destination, output(TUNNEL_PORT)],
      object: number,
    });
    if (datapathId !== undefined) context.subscribe(datapathId, scope);
    // Nobody else has the address of this host.
    context.flow(hostScope(host.name), {
      table: T.classify,
      priority: Priority.host,
      match: [...inPort(TUNNEL_PORT), source],
      drop: true,
      object: number,
    });
  };
  if (vtepIpv4 !== undefined) {
    address('underlay:ipv4', Priority.shared, oxm(F.tun_src, vtepIpv4), setField(F.tun_dst, vtepIpv4));
  }
  if (vtepIpv6 !== undefined) {
    address(
      'underlay:ipv6',
      Priority.sharedSecond,
      oxm(F.tun_ipv6_src, vtepIpv6),
      setField(F.tun_ipv6_dst, vtepIpv6),
    );
  }
  // Replication is shared by all members of a network; on each of them it meets itself here.
  context.flow(hostScope(host.name), {
    table: T.tunnel_output,
    priority: Priority.host,
    match: [R.remoteHost.match(number)],
    drop: true,
    object: number,
  });
}

/** Head-end replication: what `flood_remote` does where there is no distribution tree, and the groups it uses. */
function declareReplication(d: AppDeclaration, members: Collection<Member>): void {
  const { inUse } = distributionsOf(d);
  const targets = d.derive<Member, Target>('targets', members, (context, member, key) => {
    const { network, hostNumber, vtepIpv4, vtepIpv6 } = member;
    if (network.encapsulation !== 'vxlan' || (vtepIpv4 ?? vtepIpv6) === undefined) return;
    context.emit(key, { network: network.number, vni: network.tag, hostNumber });
  });
  const targetsByChunk = d.index('targets by chunk', targets, ({ network, hostNumber }) => [
    `${network}/${remoteChunk(hostNumber)}`,
  ]);
  const chunks = d.derive<Target, Chunk>('chunks', targets, (context, { network, vni, hostNumber }) => {
    const chunk = remoteChunk(hostNumber);
    context.emit(`${network}/${chunk}`, { network, vni, chunk });
  });
  const chunksByNetwork = d.index('chunks by network', chunks, ({ network }) => [String(network)]);
  const floods = d.derive<Chunk, Omit<Chunk, 'chunk'>>(
    'flooded networks',
    chunks,
    (context, { network, vni }) => context.emit(String(network), { network, vni }),
  );

  d.entries({ name: 'chunk groups', object: 'network' }, chunks, (context, { network, chunk }, key) => {
    if (context.get(inUse, String(network)) !== undefined) return;
    const hosts = context.values(targetsByChunk, key).map(([, { hostNumber }]) => hostNumber);
    context.group(
      networkScope({ number: network }),
      chunkGroup({ block: network, object: network }, chunk, hosts.sort(ascending)),
    );
  });

  d.entries({ name: 'replication', object: 'network' }, floods, (context, { network, vni }, key) => {
    const scope = networkScope({ number: network });
    const tree = context.get(inUse, key);
    const copies = (): readonly Action[] => {
      const present = context.values(chunksByNetwork, key).map(([, { chunk }]) => chunk);
      const replication = { block: network, network, match: [], priority: Priority.shared, object: network };
      return [
        setField(F.tunnel_id, BigInt(vni)),
        ...chainChunks(context, scope, replication, present.sort(ascending)).map(group),
      ];
    };
    context.flow(scope, {
      table: T.flood_remote,
      priority: Priority.shared,
      match: [R.network.match(network), R.origin.match(Origin.local)],
      apply: tree === undefined ? copies() : copyToRoot(tree),
      goto: T.flood_local,
      object: network,
    });
  });
}

function ascending(a: number, b: number): number {
  return a - b;
}
