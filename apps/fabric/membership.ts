/**
 * Group membership: what stations say of it goes to the controller. Reports go nowhere else, since who hears another one's report may hold
 * back its own (RFC 4541, section 2.1.1); the controller hands them on to multicast routers.
 *
 *     from          general query         other IGMP     MLD query              MLD reports    what PIM routers say
 *     a station     controller, flooded   controller     controller, as sent    controller     controller, flooded
 *     a link        as sent: its switch has told the controller
 *
 * Open vSwitch does not tell the types of IGMP apart, so queries for one group go to the controller alone, which hands them on.
 */
import type { App } from '../../controller/datapath/app.js';
import { F, type Match, oxm } from '../../ofproto/index.js';
import { icmpv6, igmp, ipv4, ipv6 } from '../match.js';
import { ALL_HOSTS, ALL_PIM_ROUTERS, ALL_PIM_ROUTERS_IPV6, Icmpv6Type, IpProtocol } from '../protocols.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { toController } from './punt.js';

const reports: readonly Match[] = [
  igmp,
  icmpv6(Icmpv6Type.multicastListenerReport),
  icmpv6(Icmpv6Type.multicastListenerDone),
  icmpv6(Icmpv6Type.multicastListenerReportV2),
];

/** What goes to everybody as well. */
const announcements: readonly Match[] = [
  [...igmp, oxm(F.ipv4_dst, ALL_HOSTS)],
  icmpv6(Icmpv6Type.multicastListenerQuery),
  [...ipv4, oxm(F.ip_proto, IpProtocol.pim), oxm(F.ipv4_dst, ALL_PIM_ROUTERS)],
  [...ipv6, oxm(F.ip_proto, IpProtocol.pim), oxm(F.ipv6_dst, ALL_PIM_ROUTERS_IPV6)],
];

export const membership: App = {
  name: 'fabric-membership',
  id: 68,
  declare(d) {
    d.entries('punts', d.facts.fabricMulticast, (context) => {
      const fromStation = R.origin.match(Origin.edge);
      const apply = [toController('membership', 'membership')];
      for (const match of reports) {
        context.flow('global', {
          table: T.membership,
          priority: Priority.shared,
          match: [fromStation, ...match],
          apply,
        });
      }
      for (const match of announcements) {
        context.flow('global', {
          table: T.membership,
          priority: Priority.guard,
          match: [fromStation, ...match],
          apply,
          goto: T.tree,
        });
      }
    });
  },
};
