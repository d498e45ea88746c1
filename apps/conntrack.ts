/**
 * Connection tracking: every IP packet is looked up among the connections of its network, and a new connection that policy admits on
 * both sides is remembered. All networks are tracked, with and without policy, so that whoever writes the first policy finds the
 * connections there are, with their directions.
 *
 * Policy is judged by the addresses and ports of the packet that began the connection (`ct_nw_src` and the like, ovs-fields(7)), for
 * packets of both directions and for errors about them. So a rule that changes holds for the connections that exist, from the very
 * bundle that brings it, and nothing has to be flushed; a connection table is memory of directions and never of verdicts.
 *
 * The zone is the lower half of the network's number, so that networks with equal addresses share nothing. Two networks of one host
 * whose numbers are equal there (a cluster with more than 65,536 networks) are reported.
 */
import type { App, EntryContext } from '../controller/datapath/app.js';
import { type Action, CtFlag, CtState, F, type Match, oxm } from '../ofproto/index.js';
import { icmpv6, ipv4, ipv6 } from './match.js';
import { Priority, R, T } from './pipeline.js';
import { type Member, placementsOf } from './placement.js';
import { Icmpv6Type, MAC_GROUP_BIT } from './protocols.js';

const ZONE_BITS = 16;
const ZONES = 2 ** ZONE_BITS;
const ZONE = { field: R.network.field, offset: R.network.offset, bits: ZONE_BITS };

/** `ct_state` with these bits set and those clear. */
export function ctState(set: number, clear = 0): Match {
  return [oxm(F.ct_state, set, set | clear)];
}

/** Of a connection that is known or can begin: what fields of the original direction need. */
export const valid: Match = ctState(CtState.TRACKED, CtState.INVALID);

/**
 * ICMPv6 that keeps a link together (RFC 4861): no connection, and policy has no say in it. So it is with group membership, which is
 * another app's (`multicast/membership.ts`).
 */
const LINK_ICMPV6: readonly number[] = [
  Icmpv6Type.routerSolicitation,
  Icmpv6Type.routerAdvertisement,
  Icmpv6Type.neighbourSolicitation,
  Icmpv6Type.neighbourAdvertisement,
  Icmpv6Type.redirect,
];

export const conntrack: App = {
  name: 'conntrack',
  id: 9,
  declare(d) {
    const { always, members } = placementsOf(d);
    d.entries('tracking', always, track);
    d.entries('admission', always, admit);

    const membersByZone = d.index('members by zone', members, ({ host, network }) => [
      `${host}/${network.number % ZONES}`,
    ]);
    d.entries('shared zones', members, (context, { host, datapathId, network }: Member) => {
      if (datapathId === undefined) return;
      const zone = network.number % ZONES;
      const networks = context
        .values(membersByZone, `${host}/${zone}`)
        .map(([, member]) => member.network.number);
      if (networks.length < 2) return;
      context.report(datapathId, {
        code: 'conntrack.zone.shared',
        subject: `zone ${zone}`,
        message: `networks ${networks.sort((a, b) => a - b).join(' and ')} on host ${host} share connection tracking zone ${zone}: connections with equal addresses and ports are one to it`,
        fix: 'place endpoints of one of them on other hosts, or make the network again for another number',
      });
    });
  },
};

function track(context: EntryContext): void {
  for (const type of LINK_ICMPV6) {
    context.flow('global', {
      table: T.conntrack,
      priority: Priority.guard,
      match: icmpv6(type),
      goto: T.storm_control,
    });
  }
  const lookUp: Action = {
    type: 'ct',
    flags: 0,
    zone: ZONE,
    recircTable: T.source_identity.id,
    alg: 0,
    actions: [],
  };
  for (const family of [ipv4, ipv6]) {
    context.flow('global', { table: T.conntrack, priority: Priority.shared, match: family, apply: [lookUp] });
  }
}

function admit(context: EntryContext): void {
  const commit: Action = { type: 'ct', flags: CtFlag.COMMIT, zone: ZONE, alg: 0, actions: [] };
  context.flow('global', {
    table: T.admit,
    priority: Priority.forbid,
    match: [R.flooded.match(1)],
    goto: T.qos_in,
  });
  // What goes to many begins no connection: answers come from other addresses.
  context.flow('global', {
    table: T.admit,
    priority: Priority.guard,
    match: [oxm(F.eth_dst, MAC_GROUP_BIT, MAC_GROUP_BIT)],
    goto: T.storm_control,
  });
  for (const family of [ipv4, ipv6]) {
    context.flow('global', {
      table: T.admit,
      priority: Priority.shared,
      match: [R.stateless.match(0), ...ctState(CtState.TRACKED | CtState.NEW), ...family],
      apply: [commit],
      goto: T.storm_control,
    });
  }
  context.flow('global', { table: T.admit, priority: Priority.rest, match: [], goto: T.storm_control });
}
