/**
 * Forwarding to endpoints of this host by MAC address, and the parts of bridging that know of no encapsulation. Where a destination
 * lives elsewhere the apps `vlan` and `vxlan` say.
 */
import type { App } from '../controller/datapath/app.js';
import { F, oxm } from '../ofproto/index.js';
import { Priority, R, T } from './pipeline.js';
import { hostScope, networkScope, placementsOf } from './placement.js';
import { MAC_BRIDGE_RESERVED, MAC_BRIDGE_RESERVED_MASK, MAC_GROUP_BIT } from './protocols.js';

/** Why `forward` drops whatever the network; the object of the cookie. */
export const ForwardDrop = {
  /** For the bridge itself (IEEE 802.1Q reserved addresses), which never forwards it. */
  bridgeReserved: 1,
} as const;

export const bridge: App = {
  name: 'bridge',
  id: 5,
  declare(d) {
    const { localEndpoints, always } = placementsOf(d);

    d.entries(
      { name: 'local', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, mac, network, number }) => {
        context.flow(hostScope(host), {
          table: T.forward,
          priority: Priority.host,
          match: [R.network.match(network.number), oxm(F.eth_dst, mac)],
          apply: [R.outputPort.set(port)],
          goto: T.qos_in,
          object: number,
        });
      },
    );

    d.entries('cluster', always, (context) => {
      context.flow('global', {
        table: T.forward,
        priority: Priority.forbid,
        match: [oxm(F.eth_dst, MAC_BRIDGE_RESERVED, MAC_BRIDGE_RESERVED_MASK)],
        drop: true,
        object: ForwardDrop.bridgeReserved,
      });
      context.flow('global', {
        table: T.forward,
        priority: Priority.guard,
        match: [oxm(F.eth_dst, MAC_GROUP_BIT, MAC_GROUP_BIT)],
        goto: T.multicast,
      });
      context.flow('global', {
        table: T.output,
        priority: Priority.rest,
        match: [],
        apply: [
          {
            type: 'output_reg',
            src: R.outputPort.field,
            offset: R.outputPort.offset,
            bits: R.outputPort.bits,
            maxLen: 0,
          },
        ],
      });
    });

    // Unknown destinations: in VLAN networks those of local endpoints go to the uplink above this.
    d.entries({ name: 'unknown destination', object: 'network' }, d.facts.networks, (context, { number }) => {
      context.flow(networkScope({ number }), {
        table: T.forward,
        priority: Priority.rest,
        match: [R.network.match(number)],
        drop: true,
        object: number,
      });
    });
  },
};
