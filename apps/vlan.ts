/**
 * VLAN networks: frames travel between hosts, and to neighbours that know nothing of Weft, tagged with the network's VLAN id on the
 * uplink of each host. The same id everywhere; on the bridge a network is a number in a register and never a tag.
 *
 * Frames from the uplink go to endpoints of this host only, never back out: the underlay bridges between its own ports.
 */
import type { App } from '../controller/datapath/app.js';
import { UPLINK_PORT } from '../controller/model/facts.js';
import { type Action, F, oxm, VLAN_PRESENT } from '../ofproto/index.js';
import { output, setField } from './actions.js';
import { inPort } from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { networkScope, placementsOf } from './placement.js';
import { EtherType } from './protocols.js';

const POP_TAG: Action = { type: 'pop_vlan' };

/** Sends a copy with the tag out of the uplink. The packet that goes on keeps the tag. */
export function outTagged(tag: number): readonly Action[] {
  return [
    { type: 'push_vlan', ethertype: EtherType.vlan },
    setField(F.vlan_vid, VLAN_PRESENT | tag),
    output(UPLINK_PORT),
  ];
}

export const vlan: App = {
  name: 'vlan',
  id: 6,
  declare(d) {
    const { placements, members } = placementsOf(d);

    d.entries({ name: 'networks', object: 'network' }, d.facts.networks, (context, network) => {
      if (network.encapsulation !== 'vlan') return;
      const { number, tag, uplinkHandOff } = network;
      const scope = networkScope(network);
      const fromHere = [R.network.match(number), R.origin.match(Origin.local)];
      context.flow(scope, {
        table: T.classify,
        priority: Priority.shared,
        match: [...inPort(UPLINK_PORT), oxm(F.vlan_vid, VLAN_PRESENT | tag)],
        apply: [POP_TAG, R.network.set(number), R.origin.set(Origin.uplink)],
        goto: T.source_mac,
        object: number,
      });
      context.flow(scope, {
        table: T.flood_remote,
        priority: Priority.shared,
        match: fromHere,
        apply: [...outTagged(tag), POP_TAG],
        goto: T.flood_local,
        object: number,
      });
      if (!uplinkHandOff) return;
      context.flow(scope, {
        table: T.forward,
        priority: Priority.networkDefault,
        match: fromHere,
        apply: outTagged(tag),
        object: number,
      });
    });

    // Without the hand-off only endpoints of other hosts are reached through the uplink.
    d.entries(
      { name: 'remote endpoints', object: 'endpoint' },
      placements,
      (context, { network, mac, number }) => {
        if (network.encapsulation !== 'vlan' || network.uplinkHandOff) return;
        context.flow(networkScope(network), {
          table: T.forward,
          priority: Priority.shared,
          match: [R.network.match(network.number), R.origin.match(Origin.local), oxm(F.eth_dst, mac)],
          apply: outTagged(network.tag),
          object: number,
        });
      },
    );

    d.entries('hosts without uplink', members, (context, { network, host, datapathId }) => {
      if (network.encapsulation !== 'vlan' || datapathId === undefined) return;
      if (context.get(d.facts.hosts, host)?.uplink !== undefined) return;
      context.report(datapathId, {
        code: 'vlan.host.no-uplink',
        subject: host,
        message: `host ${host} has endpoints of VLAN networks and no uplink: they reach each other only`,
        fix: 'start its agent with --uplink',
      });
    });
  },
};
