/**
 * Storms: what one endpoint sends to many (broadcast, multicast, and all of its ARP) is limited by a meter of its port, since the fabric
 * multiplies it: a broadcast is copied to every port and every host of the network. The limit is far above what an endpoint does when it
 * meets all of a large network at once, and far below what would keep a host busy.
 *
 * ARP is counted where it is checked (`anti_spoof`), before the switch answers it, and passes here; everything else is counted here.
 * Packets from tunnels were counted where they came from; those of the VLAN underlay are not of one endpoint.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import { F, MeterFlag, oxm } from '../../ofproto/index.js';
import { arp, inPort } from '../match.js';
import { Priority, T } from '../pipeline.js';
import { hostScope, type LocalEndpoint, placementsOf } from '../placement.js';
import { MAC_GROUP_BIT } from '../protocols.js';
import { MeterId, stormMeter } from './meters.js';

/** Packets per second that an endpoint may send to many. */
export const STORM_RATE = 500;
/** Packets that may come at once: an endpoint that asks for the addresses of 2,000 others. */
export const STORM_BURST = 2000;

/**
 * Packets per second to the controllers of a switch, and how many at once, but for those of entries that name a meter of their own. It is
 * there for entries that somebody else wrote: those of apps name one.
 */
export const PACKET_IN_RATE = 1000;
export const PACKET_IN_BURST = 1000;

const PACKETS = MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS;

export function declareStorms(d: AppDeclaration): void {
  const { localEndpoints, always } = placementsOf(d);

  d.entries(
    { name: 'storms', object: 'endpoint' },
    localEndpoints,
    (context: EntryContext, { host, port, number }: LocalEndpoint) => {
      const id = stormMeter(port);
      context.meter(hostScope(host), {
        id,
        flags: PACKETS,
        bands: [{ type: 'drop', rate: STORM_RATE, burstSize: STORM_BURST }],
      });
      context.flow(hostScope(host), {
        table: T.storm_control,
        priority: Priority.host,
        match: [...inPort(port), oxm(F.eth_dst, MAC_GROUP_BIT, MAC_GROUP_BIT)],
        meter: id,
        goto: T.broadcast_limit,
        object: number,
      });
    },
  );

  d.entries('cluster', always, (context: EntryContext) => {
    context.meter('global', {
      id: MeterId.allPacketIns,
      flags: PACKETS,
      bands: [{ type: 'drop', rate: PACKET_IN_RATE, burstSize: PACKET_IN_BURST }],
    });
    // Counted already.
    context.flow('global', {
      table: T.storm_control,
      priority: Priority.hostException,
      match: arp,
      goto: T.broadcast_limit,
    });
  });
}
