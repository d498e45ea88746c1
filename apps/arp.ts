/**
 * ARP (RFC 826) for known endpoints is answered by the switch of whoever asks, so it loads neither the controller nor the underlay.
 *
 * Only requests of local endpoints are answered: those from elsewhere were answered where they came from, or come from a neighbour
 * in the VLAN underlay and go to the endpoint itself, so that one answers and not every host of the network.
 * A request for the asker's own address (an announcement, or a probe for conflicts, RFC 5227) is never answered on the
 * asker's behalf; it floods.
 *
 * Who asks for an address that no endpoint has: in a VLAN network the request floods, since machines behind the uplink may have it. In a
 * VXLAN network it is dropped, since anti-spoofing lets nobody answer it.
 */
import type { App } from '../controller/datapath/app.js';
import { F, oxm, Port } from '../ofproto/index.js';
import { move, output, setField } from './actions.js';
import { arpRequest, inPort } from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, networkScope, placementsOf } from './placement.js';
import { ArpOperation } from './protocols.js';

export const arp: App = {
  name: 'arp',
  id: 3,
  declare(d) {
    const { placements, localEndpoints } = placementsOf(d);

    d.entries(
      { name: 'answers', object: 'endpoint' },
      placements,
      (context, { network, ipv4, mac, number }) => {
        for (const address of ipv4) {
          context.flow(networkScope(network), {
            table: T.address_resolution,
            priority: Priority.shared,
            match: [
              R.network.match(network.number),
              R.origin.match(Origin.local),
              ...arpRequest,
              oxm(F.arp_tpa, address),
            ],
            apply: [
              setField(F.arp_op, ArpOperation.reply),
              move(F.arp_sha, F.arp_tha),
              move(F.arp_spa, F.arp_tpa),
              setField(F.arp_sha, mac),
              setField(F.arp_spa, address),
              move(F.eth_src, F.eth_dst),
              setField(F.eth_src, mac),
              output(Port.IN_PORT),
            ],
            object: number,
          });
        }
      },
    );

    d.entries(
      { name: 'own address', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, ipv4, number }) => {
        for (const address of ipv4) {
          context.flow(hostScope(host), {
            table: T.address_resolution,
            priority: Priority.host,
            match: [...inPort(port), ...arpRequest, oxm(F.arp_tpa, address)],
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
          match: [R.network.match(number), R.origin.match(Origin.local), ...arpRequest],
          drop: true,
          object: number,
        });
      },
    );
  },
};
