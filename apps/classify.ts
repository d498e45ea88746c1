/**
 * Which network a packet of a local endpoint belongs to, and which switches carry which networks. Packets from elsewhere are
 * classified by the app that speaks their encapsulation, `vlan` or `vxlan`.
 */
import type { App } from '../controller/datapath/app.js';
import { TUNNEL_PORT, UPLINK_PORT } from '../controller/model/facts.js';
import { F, oxm, VLAN_PRESENT } from '../ofproto/index.js';
import { inPort } from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, networkScope, placementsOf } from './placement.js';

/** A frame without a VLAN tag; a priority tag (VLAN id 0) is a tag. */
export const untagged = oxm(F.vlan_vid, 0);

/** Why `classify` drops; the object of the cookie. */
export const ClassifyDrop = {
  /** The VLAN tag belongs to no network of this host. */
  unknownTag: 1,
  /** The VNI belongs to no network of this host, the sender is no member of it, or the inner frame is tagged. */
  unknownTunnel: 2,
  /** An endpoint sent a tagged frame. */
  taggedByEndpoint: 3,
} as const;

export const classify: App = {
  name: 'classify',
  id: 1,
  declare(d) {
    const { localEndpoints, members, always } = placementsOf(d);

    d.entries('subscriptions', members, (context, { network, datapathId }) => {
      if (datapathId !== undefined) context.subscribe(datapathId, networkScope(network));
    });

    d.entries(
      { name: 'ports', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, network, number }) => {
        context.flow(hostScope(host), {
          table: T.classify,
          priority: Priority.host,
          match: [...inPort(port), untagged],
          apply: [R.network.set(network.number), R.origin.set(Origin.local)],
          goto: T.source_mac,
          object: number,
        });
      },
    );

    d.entries('drops', always, (context) => {
      context.flow('global', {
        table: T.classify,
        priority: Priority.port,
        match: inPort(UPLINK_PORT),
        drop: true,
        object: ClassifyDrop.unknownTag,
      });
      context.flow('global', {
        table: T.classify,
        priority: Priority.port,
        match: inPort(TUNNEL_PORT),
        drop: true,
        object: ClassifyDrop.unknownTunnel,
      });
      context.flow('global', {
        table: T.classify,
        priority: Priority.rest,
        match: [oxm(F.vlan_vid, VLAN_PRESENT, VLAN_PRESENT)],
        drop: true,
        object: ClassifyDrop.taggedByEndpoint,
      });
    });
  },
};
