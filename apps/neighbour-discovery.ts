/**
 * IPv6 neighbour discovery (RFC 4861): a solicitation for a known endpoint, link-local addresses included, goes to that endpoint alone and
 * not to every member of its multicast group, which without listener state is every endpoint of the network. The endpoint
 * answers for itself, so the answer carries the flags and options of its own stack, and no answer means that it is gone.
 *
 * As with ARP, solicitations for the asker's own address (duplicate address detection) flood, and those for an address that no
 * endpoint has flood in VLAN networks and are dropped in VXLAN networks.
 */
import type { App } from '../controller/datapath/app.js';
import { F, oxm } from '../ofproto/index.js';
import { setField } from './actions.js';
import { inPort, neighbourSolicitation } from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, networkScope, placementsOf } from './placement.js';

export const neighbourDiscovery: App = {
  name: 'neighbour-discovery',
  id: 4,
  declare(d) {
    const { placements, localEndpoints } = placementsOf(d);

    d.entries(
      { name: 'unicast', object: 'endpoint' },
      placements,
      (context, { network, ipv6, mac, number }) => {
        for (const address of ipv6) {
          context.flow(networkScope(network), {
            table: T.address_resolution,
            priority: Priority.shared,
            match: [
              R.network.match(network.number),
              R.origin.match(Origin.local),
              ...neighbourSolicitation,
              oxm(F.ipv6_nd_target, address),
            ],
            apply: [setField(F.eth_dst, mac)],
            goto: T.conntrack,
            object: number,
          });
        }
      },
    );

    d.entries(
      { name: 'own address', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, ipv6, number }) => {
        for (const address of ipv6) {
          context.flow(hostScope(host), {
            table: T.address_resolution,
            priority: Priority.host,
            match: [...inPort(port), ...neighbourSolicitation, oxm(F.ipv6_nd_target, address)],
            goto: T.conntrack,
            object: number,
          });
        }
      },
    );

    d.entries(
      { name: 'unknown address', object: 'network' },
      d.facts.networks,
      (context, { number, encapsulation }) => {
        if (encapsulation !== 'vxlan') return;
        context.flow(networkScope({ number }), {
          table: T.address_resolution,
          priority: Priority.networkDefault,
          match: [R.network.match(number), R.origin.match(Origin.local), ...neighbourSolicitation],
          drop: true,
          object: number,
        });
      },
    );
  },
};
