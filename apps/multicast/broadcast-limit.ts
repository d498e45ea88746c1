/**
 * What the endpoints of one host together may broadcast in a network. ARP and DHCP do not count, without which nobody would reach anybody;
 * what each endpoint sends to many is limited before, all of it (`qos/storms.ts`).
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { NetworkFact } from '../../controller/model/facts.js';
import { F, MeterFlag, oxm } from '../../ofproto/index.js';
import { arp, ipv4, udp } from '../match.js';
import { Origin, Priority, R, T } from '../pipeline.js';
import { networkScope } from '../placement.js';
import { MAC_BROADCAST, UdpPort } from '../protocols.js';
import { broadcastMeter } from '../qos/meters.js';
import { multicastSettingsOf } from './settings.js';

/** A network with a limit; key: its number. */
interface Limited {
  readonly id: string;
  readonly number: number;
  readonly rate: number;
}

export function declareBroadcastLimit(d: AppDeclaration): void {
  const limited = d.derive<NetworkFact, Limited>('limited networks', d.facts.networks, (context, network) => {
    const { broadcastLimit: rate } = multicastSettingsOf(network);
    const { id, number } = network;
    if (rate !== undefined) context.emit(String(number), { id, number, rate });
  });

  d.entries({ name: 'broadcast limit', object: 'network' }, limited, (context, { number, rate }) => {
    const scope = networkScope({ number });
    const id = broadcastMeter({ number });
    context.meter(scope, {
      id,
      flags: MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS,
      bands: [{ type: 'drop', rate, burstSize: rate }],
      object: number,
    });
    const broadcast = [R.network.match(number), R.origin.match(Origin.local), oxm(F.eth_dst, MAC_BROADCAST)];
    context.flow(scope, {
      table: T.broadcast_limit,
      priority: Priority.shared,
      match: broadcast,
      meter: id,
      goto: T.qos_out,
      object: number,
    });
    for (const match of [arp, udp(ipv4, UdpPort.dhcpClient, UdpPort.dhcpServer)]) {
      context.flow(scope, {
        table: T.broadcast_limit,
        priority: Priority.guard,
        match: [...broadcast, ...match],
        goto: T.qos_out,
        object: number,
      });
    }
  });
}
