/**
 * Questions to the name server, from the endpoints of a host to the agent of the same host and back. Every network has the name server at
 * the same link-local address, so nothing is allocated for it and an endpoint needs no route but one to its own link.
 *
 *     endpoint ── 169.254.53.53:53 ──► name_service ── from 198.19.<port> ──► LOCAL port: the agent
 *     endpoint ◄── from 169.254.53.53 ── name_service ◄── to 198.19.<port> ── LOCAL port
 *
 * Endpoints of different tenants may have one address. So the agent is told the port instead, as a source address: the port's number is the
 * lower half of an address in 198.19.0.0/16 (of the block for tests of devices, RFC 2544 section C.2.2, which no network routes). Source
 * addresses have been checked before. It is no connection, and policy has no say in it, as it has none in ARP.
 */
import type { App, EntryContext } from '../controller/datapath/app.js';
import { F, type Match, oxm, Port } from '../ofproto/index.js';
import { move, output, setField } from './actions.js';
import { arpRequest, inPort, ipv4 } from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, placementsOf } from './placement.js';
import { ArpOperation, IpProtocol, UdpPort } from './protocols.js';

/** 169.254.53.53, the name server in every network. */
export const NAME_SERVER = 0xa9fe3535;
/** Of the name server in every network, and of the LOCAL port of bridges whose agents answer: locally administered, made of the address. */
export const NAME_SERVER_MAC = 0x0257a9fe3535;
/** 198.19.0.0: with the number of an endpoint's port, the address that the agent sees the endpoint under. */
export const ASKER_PREFIX = 0xc6130000;

/** UDP and TCP (RFC 7766) to the port of the name server. */
const questions: readonly Match[] = [
  [...ipv4, oxm(F.ip_proto, IpProtocol.udp), oxm(F.udp_dst, UdpPort.domain)],
  [...ipv4, oxm(F.ip_proto, IpProtocol.tcp), oxm(F.tcp_dst, UdpPort.domain)],
];

export const names: App = {
  name: 'names',
  id: 22,
  declare(d) {
    const { always, localEndpoints } = placementsOf(d);
    d.entries('name server', always, nameServer);

    d.entries(
      { name: 'answers', object: 'endpoint' },
      localEndpoints,
      (context, { host, port, mac, ipv4: addresses, number }) => {
        const [address] = addresses;
        if (address === undefined) return;
        context.flow(hostScope(host), {
          table: T.name_service,
          priority: Priority.host,
          match: [
            ...inPort(Port.LOCAL),
            ...ipv4,
            oxm(F.ipv4_src, NAME_SERVER),
            oxm(F.ipv4_dst, ASKER_PREFIX + port),
          ],
          apply: [setField(F.eth_dst, mac), setField(F.ipv4_dst, address), output(port)],
          object: number,
        });
      },
    );
  },
};

function nameServer(context: EntryContext): void {
  const fromEndpoint: Match = [R.origin.match(Origin.local)];
  context.flow('global', {
    table: T.address_resolution,
    priority: Priority.guard,
    match: [...fromEndpoint, ...arpRequest, oxm(F.arp_tpa, NAME_SERVER)],
    apply: [
      setField(F.arp_op, ArpOperation.reply),
      move(F.arp_sha, F.arp_tha),
      move(F.arp_spa, F.arp_tpa),
      setField(F.arp_sha, NAME_SERVER_MAC),
      setField(F.arp_spa, NAME_SERVER),
      move(F.eth_src, F.eth_dst),
      setField(F.eth_src, NAME_SERVER_MAC),
      output(Port.IN_PORT),
    ],
  });
  for (const ipProtocol of [IpProtocol.udp, IpProtocol.tcp]) {
    context.flow('global', {
      table: T.conntrack,
      priority: Priority.guard,
      match: [...fromEndpoint, ...ipv4, oxm(F.ip_proto, ipProtocol), oxm(F.ipv4_dst, NAME_SERVER)],
      goto: T.name_service,
    });
  }
  for (const question of questions) {
    context.flow('global', {
      table: T.name_service,
      priority: Priority.shared,
      match: [...fromEndpoint, ...question],
      apply: [
        setField(F.ipv4_src, ASKER_PREFIX),
        {
          type: 'reg_move',
          src: F.nxm_in_port,
          srcOffset: 0,
          dst: F.ipv4_src,
          dstOffset: 0,
          bits: F.nxm_in_port.bits,
        },
        output(Port.LOCAL),
      ],
    });
  }
  // The agent's side of the bridge: nothing else comes from there.
  context.flow('global', {
    table: T.classify,
    priority: Priority.port,
    match: inPort(Port.LOCAL),
    goto: T.name_service,
  });
}
