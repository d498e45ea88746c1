/**
 * Group membership: reports of endpoints (IGMP, RFC 3376; MLD, RFC 3810) go to the controller, and in VLAN networks out of the uplink
 * to the routers there; never to other endpoints, which would hold back reports of their own (RFC 4541, section 2.1.1). They are no
 * connections and policy has no say in them.
 *
 *     from            general query         other IGMP; MLD reports    hello of a PIM router
 *     an endpoint     forged (anti_spoof)   controller, uplink         as any packet
 *     the uplink      controller, flooded   controller                 controller, flooded
 *     a tunnel        dropped: there is none, each switch asks its own endpoints
 *
 * What comes from the uplink comes to every host of the network alike: two of them tell the controller, the first by their numbers.
 *
 * Open vSwitch does not tell the types of IGMP apart. So what comes from the uplink for a group goes to the controller alone, which hands on
 * the queries among it; and a query for one group that an endpoint forges leaves by the uplink as a report would.
 *
 * In a network that does not listen (`snooping: false`) all of it is flooded as any other multicast.
 */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import type { NetworkFact } from '../../controller/model/facts.js';
import { CtState, F, type Match, MeterFlag, oxm } from '../../ofproto/index.js';
import { ctState } from '../conntrack.js';
import { icmpv6, igmp, inPort, ipv4, ipv6 } from '../match.js';
import { Origin, Priority, R, T } from '../pipeline.js';
import { hostScope, type Member, networkScope, placementsOf } from '../placement.js';
import { PolicyPriority } from '../policy/priority.js';
import { ALL_HOSTS, ALL_PIM_ROUTERS, ALL_PIM_ROUTERS_IPV6, Icmpv6Type, IpProtocol } from '../protocols.js';
import { stormMeter } from '../qos/meters.js';
import { outTagged } from '../vlan.js';
import { MEMBERSHIP_BURST, MEMBERSHIP_RATE, MembershipMeter, membershipToController } from './punt.js';
import { softPlacesOf } from '../soft-switch/places.js';
import { multicastSettingsOf } from './settings.js';

/** Why `membership` drops; the object of the cookie. */
export const MembershipDrop = {
  fromTunnel: 1,
  fromUplink: 2,
} as const;

/** Hosts of a VLAN network that tell the controller what comes from the uplink: one, and one for when it is away. */
const LISTENERS = 2;

interface Listener {
  readonly host: string;
  /** Number. */
  readonly network: number;
}

const PACKETS = MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS;

const mldQuery = icmpv6(Icmpv6Type.multicastListenerQuery);
const mldReports: readonly Match[] = [
  Icmpv6Type.multicastListenerReport,
  Icmpv6Type.multicastListenerDone,
  Icmpv6Type.multicastListenerReportV2,
].map(icmpv6);
const generalQuery: Match = [...igmp, oxm(F.ipv4_dst, ALL_HOSTS)];

/** Hellos and everything else that PIM routers say to each other (RFC 7761). */
const pim: readonly Match[] = [
  [...ipv4, oxm(F.ip_proto, IpProtocol.pim), oxm(F.ipv4_dst, ALL_PIM_ROUTERS)],
  [...ipv6, oxm(F.ip_proto, IpProtocol.pim), oxm(F.ipv6_dst, ALL_PIM_ROUTERS_IPV6)],
];

export const membership: App = {
  name: 'membership',
  id: 20,
  declare(d) {
    const { always, localEndpoints, members } = placementsOf(d);
    const { networks: softNetworks } = softPlacesOf(d);

    d.entries('untracked', always, untracked);
    d.entries('cluster', always, clusterEntries);

    d.entries(
      { name: 'reports', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, network, number }) => {
        const toUplink = network.encapsulation === 'vlan' ? outTagged(network.tag) : [];
        context.flow(hostScope(host), {
          table: T.membership_report,
          priority: Priority.host,
          match: inPort(port),
          meter: stormMeter(port),
          apply: [membershipToController('endpoint'), ...toUplink],
          object: number,
        });
      },
    );

    d.entries({ name: 'silent networks', object: 'network' }, d.facts.networks, (context, network) => {
      const deaf = context.get(softNetworks, String(network.number)) !== undefined;
      if (multicastSettingsOf(network).snooping && !deaf) return;
      context.flow(networkScope(network), {
        table: T.membership,
        priority: Priority.forbid,
        match: [R.network.match(network.number)],
        goto: T.storm_control,
        object: network.number,
      });
    });

    const membersByNetwork = d.index('members of VLAN networks', members, ({ network }) =>
      network.encapsulation === 'vlan' ? [String(network.number)] : [],
    );
    const listeners = d.derive<NetworkFact, Listener>('listeners', d.facts.networks, (context, network) => {
      if (network.encapsulation !== 'vlan') return;
      const able = ([, { host, datapathId }]: readonly [string, Member]): boolean =>
        datapathId !== undefined && context.get(d.facts.hosts, host)?.uplink !== undefined;
      context
        .values(membersByNetwork, String(network.number))
        .filter(able)
        .sort(([, one], [, other]) => one.hostNumber - other.hostNumber)
        .slice(0, LISTENERS)
        .forEach(([key, { host }]) => context.emit(key, { host, network: network.number }));
    });
    d.entries('uplink', listeners, listen);
  },
};

function untracked(context: EntryContext): void {
  const fromUplink = R.origin.match(Origin.uplink);
  for (const match of [igmp, mldQuery, ...mldReports, ...pim.map((hello) => [fromUplink, ...hello])]) {
    context.flow('global', {
      table: T.conntrack,
      priority: Priority.guard,
      match,
      goto: T.membership,
    });
  }
  // A copy of a query, for a receiver that is judged.
  context.flow('global', {
    table: T.ingress_policy,
    priority: PolicyPriority.link,
    match: [...ctState(0, CtState.TRACKED), ...igmp],
    goto: T.admit,
  });
}

function clusterEntries(context: EntryContext): void {
  const from = (origin: number): Match => [R.origin.match(origin)];
  for (const id of Object.values(MembershipMeter)) {
    context.meter('global', {
      id,
      flags: PACKETS,
      bands: [{ type: 'drop', rate: MEMBERSHIP_RATE, burstSize: MEMBERSHIP_BURST }],
    });
  }
  for (const match of [igmp, ...mldReports]) {
    context.flow('global', {
      table: T.membership,
      priority: Priority.shared,
      match: [...from(Origin.local), ...match],
      goto: T.membership_report,
    });
  }
  // Nobody but the controller needs reports from there, and it gets them from others.
  for (const match of [igmp, ...mldReports]) {
    context.flow('global', {
      table: T.membership,
      priority: Priority.shared,
      match: [...from(Origin.uplink), ...match],
      drop: true,
      object: MembershipDrop.fromUplink,
    });
  }
  context.flow('global', {
    table: T.membership,
    priority: Priority.guard,
    match: [...from(Origin.uplink), ...generalQuery],
    goto: T.storm_control,
  });
  for (const match of [igmp, mldQuery, ...mldReports]) {
    context.flow('global', {
      table: T.membership,
      priority: Priority.shared,
      match: [...from(Origin.tunnel), ...match],
      drop: true,
      object: MembershipDrop.fromTunnel,
    });
  }
}

function listen(context: EntryContext, { host, network }: Listener): void {
  const here: Match = [R.network.match(network), R.origin.match(Origin.uplink)];
  for (const match of [generalQuery, mldQuery, ...pim]) {
    context.flow(hostScope(host), {
      table: T.membership,
      priority: Priority.hostException,
      match: [...here, ...match],
      apply: [membershipToController('uplink')],
      goto: T.storm_control,
    });
  }
  for (const match of [igmp, ...mldReports]) {
    context.flow(hostScope(host), {
      table: T.membership,
      priority: Priority.host,
      match: [...here, ...match],
      apply: [membershipToController('uplink')],
    });
  }
}
