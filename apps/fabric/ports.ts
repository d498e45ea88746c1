/** Who is let in: ports by their role, probes, and what no bridge forwards. A port of which nothing is known lets nothing in. */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import { F, MeterFlag, oxm } from '../../ofproto/index.js';
import { inPort } from '../match.js';
import { EtherType, MAC_BRIDGE_RESERVED, MAC_BRIDGE_RESERVED_MASK } from '../protocols.js';
import { Origin, Priority, R, T, TREE_CLASSES } from './pipeline.js';
import { FABRIC_PUNT_RATE, FabricMeter, toController } from './punt.js';
import { fabricOf, switchScope } from './topology.js';

/** Why `ingress` drops; the object of the cookie. */
export const IngressDrop = {
  /** For the bridge itself (IEEE 802.1Q reserved addresses), which never forwards it. */
  bridgeReserved: 1,
} as const;

const lldp = oxm(F.eth_type, EtherType.lldp);
const TREE_BITS = Math.log2(TREE_CLASSES);

/** The VLAN id of a frame without a tag reads as 0. */
const classification = [
  R.vlan.copyFrom({ field: F.vlan_vid, offset: 0, bits: R.vlan.bits }),
  R.treeClass.copyFrom({ field: F.vlan_vid, offset: 0, bits: TREE_BITS }),
];

export const ports: App = {
  name: 'fabric-ports',
  id: 64,
  declare(d) {
    const { always, openPorts } = fabricOf(d);

    d.entries('ports', openPorts, (context, { datapathId, port, role }) => {
      const scope = switchScope(datapathId);
      context.flow(scope, {
        table: T.ingress,
        priority: Priority.host,
        match: inPort(port),
        apply: [...classification, R.origin.set(role === 'edge' ? Origin.edge : Origin.link)],
        goto: role === 'edge' ? T.station : T.destination,
        object: port,
      });
      if (role !== 'link') return;
      context.flow(scope, {
        table: T.ingress,
        priority: Priority.probe,
        match: [...inPort(port), lldp],
        apply: [toController('lldp', 'neighbourProbes')],
        object: port,
      });
    });

    d.entries('cluster', always, clusterEntries);
  },
};

function clusterEntries(context: EntryContext): void {
  for (const name of Object.keys(FabricMeter) as (keyof typeof FabricMeter)[]) {
    const { rate, burst } = FABRIC_PUNT_RATE[name];
    context.meter('global', {
      id: FabricMeter[name],
      flags: MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS,
      bands: [{ type: 'drop', rate, burstSize: burst }],
    });
  }
  // Whatever its destination: probes that look for loops through other switches have one that those forward.
  context.flow('global', {
    table: T.ingress,
    priority: Priority.anyProbe,
    match: [lldp],
    apply: [toController('lldp', 'otherProbes')],
  });
  context.flow('global', {
    table: T.ingress,
    priority: Priority.forbid,
    match: [oxm(F.eth_dst, MAC_BRIDGE_RESERVED, MAC_BRIDGE_RESERVED_MASK)],
    drop: true,
    object: IngressDrop.bridgeReserved,
  });
}
