/**
 * A port sends with the addresses of its endpoint and with no others: MAC, IPv4 and IPv6 source, ARP sender, and the link-layer and
 * target addresses of neighbour discovery. Of IPv6 link-local addresses an endpoint has the one made of its MAC.
 *
 * An endpoint is not a router and not a DHCP server: its router advertisements, redirects, queries for group membership and DHCP answers
 * are forged ones.
 * Protocols other than ARP and IP pass with the right MAC address. Packets from the tunnel and the uplink were checked where they
 * came from, or are nobody's to check; but they never carry the MAC address of an endpoint of this host.
 *
 * What is forged ends in table `spoofed`. The entry that sent it there tells what was forged, the one there tells by whom.
 */
import type { App, EntryContext } from '../controller/datapath/app.js';
import type { Table } from '../controller/datapath/pipeline.js';
import { TUNNEL_PORT, UPLINK_PORT } from '../controller/model/facts.js';
import { F, type Match, oxm } from '../ofproto/index.js';
import {
  arp,
  arpRequest,
  icmpv6,
  igmp,
  inPort,
  ipv4,
  ipv6,
  neighbourAdvertisement,
  neighbourSolicitation,
  udp,
} from './match.js';
import { Origin, Priority, R, T } from './pipeline.js';
import { hostScope, type LocalEndpoint, placementsOf } from './placement.js';
import { ALL_HOSTS, EtherType, Icmpv6Type, IPV4_BROADCAST, UdpPort } from './protocols.js';
import { stormMeter } from './qos/meters.js';

/** What was forged or forbidden; the object of the cookies of shared entries. */
export const SpoofKind = {
  sourceMac: 1,
  ipv4Source: 2,
  ipv6Source: 3,
  arpSender: 4,
  neighbourSolicitation: 5,
  neighbourAdvertisement: 6,
  routerAdvertisement: 7,
  redirect: 8,
  dhcpServer: 9,
  doubleTag: 10,
  /** In table `spoofed`: a frame from elsewhere with the MAC address of an endpoint of this host. */
  fromTunnel: 11,
  fromUplink: 12,
  membershipQuery: 13,
} as const;

const NO_ADDRESS = 0;

export const antiSpoof: App = {
  name: 'anti-spoof',
  id: 2,
  declare(d) {
    const { localEndpoints, always } = placementsOf(d);
    d.entries({ name: 'mac', object: 'endpoint' }, localEndpoints, sourceMac);
    d.entries({ name: 'ipv4', object: 'endpoint' }, localEndpoints, ipv4Sources);
    d.entries({ name: 'ipv6', object: 'endpoint' }, localEndpoints, ipv6Sources);
    d.entries({ name: 'spoofers', object: 'endpoint' }, localEndpoints, (context, { host, port, number }) => {
      context.flow(hostScope(host), {
        table: T.spoofed,
        priority: Priority.host,
        match: inPort(port),
        drop: true,
        object: number,
      });
    });
    d.entries('cluster', always, clusterEntries);
  },
};

function sourceMac(context: EntryContext, { host, port, mac, network, number }: LocalEndpoint): void {
  const source = oxm(F.eth_src, mac);
  context.flow(hostScope(host), {
    table: T.source_mac,
    priority: Priority.hostException,
    match: [...inPort(port), source],
    goto: T.source_address,
    object: number,
  });
  // Anybody else who sends with it in this network: another port, the tunnel, the uplink.
  context.flow(hostScope(host), {
    table: T.source_mac,
    priority: Priority.host,
    match: [R.network.match(network.number), source],
    goto: T.spoofed,
    object: number,
  });
}

function ipv4Sources(context: EntryContext, endpoint: LocalEndpoint): void {
  const sender = oxm(F.arp_sha, endpoint.mac);
  for (const address of endpoint.ipv4) {
    allow(context, endpoint, T.source_address, [...ipv4, oxm(F.ipv4_src, address)], T.conntrack);
    allow(
      context,
      endpoint,
      T.source_address,
      [...arp, oxm(F.arp_spa, address), sender],
      T.address_resolution,
      stormMeter(endpoint.port),
    );
  }
  // A probe for an address before using it (RFC 5227) has no sender address.
  const probe = [...arpRequest, oxm(F.arp_spa, NO_ADDRESS), sender];
  allow(context, endpoint, T.source_address, probe, T.address_resolution, stormMeter(endpoint.port));
}

function ipv6Sources(context: EntryContext, endpoint: LocalEndpoint): void {
  const { mac } = endpoint;
  const ownLinkLayer = oxm(F.ipv6_nd_sll, mac);
  const ownTarget = oxm(F.ipv6_nd_tll, mac);
  allow(
    context,
    endpoint,
    T.neighbour_source,
    [...neighbourSolicitation, ownLinkLayer],
    T.address_resolution,
  );
  allow(context, endpoint, T.neighbour_source, [...neighbourAdvertisement, ownTarget], T.neighbour_target);
  for (const address of endpoint.ipv6) {
    allow(context, endpoint, T.source_address, [...ipv6, oxm(F.ipv6_src, address)], T.neighbour_source);
    const target = oxm(F.ipv6_nd_target, address);
    allow(context, endpoint, T.neighbour_target, [...neighbourAdvertisement, target], T.address_resolution);
  }
}

/** Lets packets of an endpoint that match go on. */
function allow(
  context: EntryContext,
  { host, port, number }: LocalEndpoint,
  table: Table,
  match: Match,
  goto: Table,
  meter?: number,
): void {
  context.flow(hostScope(host), {
    table,
    priority: Priority.host,
    match: [...inPort(port), ...match],
    ...(meter === undefined ? {} : { meter }),
    goto,
    object: number,
  });
}

/** What holds for every port alike. Only packets of endpoints with the right MAC address come as far as `source_address`. */
function clusterEntries(context: EntryContext): void {
  const entry = (table: Table, priority: number, match: Match, goto: Table, object = 0): void =>
    context.flow('global', { table, priority, match, goto, object });
  const drop = (table: Table, priority: number, match: Match, object: number): void =>
    context.flow('global', { table, priority, match, drop: true, object });

  // A second tag is left where the first was taken off.
  drop(T.source_mac, Priority.forbid, [oxm(F.eth_type, EtherType.vlan)], SpoofKind.doubleTag);
  drop(T.source_mac, Priority.forbid, [oxm(F.eth_type, EtherType.serviceVlan)], SpoofKind.doubleTag);
  entry(T.source_mac, Priority.shared, [R.origin.match(Origin.tunnel)], T.conntrack);
  entry(T.source_mac, Priority.shared, [R.origin.match(Origin.uplink)], T.conntrack);
  entry(T.source_mac, Priority.rest, [], T.spoofed, SpoofKind.sourceMac);

  const servers = SpoofKind.dhcpServer;
  entry(
    T.source_address,
    Priority.forbid,
    udp(ipv4, UdpPort.dhcpServer, UdpPort.dhcpClient),
    T.spoofed,
    servers,
  );
  entry(
    T.source_address,
    Priority.forbid,
    udp(ipv6, UdpPort.dhcpv6Server, UdpPort.dhcpv6Client),
    T.spoofed,
    servers,
  );
  entry(
    T.source_address,
    Priority.forbid,
    [...igmp, oxm(F.ipv4_dst, ALL_HOSTS)],
    T.spoofed,
    SpoofKind.membershipQuery,
  );
  // Clients that have no address yet: DHCP, duplicate address detection and what goes with it (RFC 4862, 3376, 3810).
  const dhcp = [
    ...udp(ipv4, UdpPort.dhcpClient, UdpPort.dhcpServer),
    oxm(F.ipv4_src, NO_ADDRESS),
    oxm(F.ipv4_dst, IPV4_BROADCAST),
  ];
  entry(T.source_address, Priority.guard, dhcp, T.storm_control);
  entry(T.source_address, Priority.guard, [...igmp, oxm(F.ipv4_src, NO_ADDRESS)], T.conntrack);
  for (const type of WITHOUT_SOURCE) {
    const unspecified = oxm(F.ipv6_src, 0n);
    entry(T.source_address, Priority.guard, [...icmpv6(type), unspecified], T.neighbour_source);
  }
  entry(T.source_address, Priority.protocol, ipv4, T.spoofed, SpoofKind.ipv4Source);
  entry(T.source_address, Priority.protocol, ipv6, T.spoofed, SpoofKind.ipv6Source);
  entry(T.source_address, Priority.protocol, arp, T.spoofed, SpoofKind.arpSender);
  entry(T.source_address, Priority.rest, [], T.conntrack);

  // Without the option Open vSwitch matches zero.
  const noSource = [...neighbourSolicitation, oxm(F.ipv6_nd_sll, NO_ADDRESS)];
  entry(T.neighbour_source, Priority.guard, noSource, T.address_resolution);
  const noTarget = [...neighbourAdvertisement, oxm(F.ipv6_nd_tll, NO_ADDRESS)];
  entry(T.neighbour_source, Priority.guard, noTarget, T.neighbour_target);
  for (const [type, kind] of FORBIDDEN_ICMPV6) {
    entry(T.neighbour_source, Priority.protocol, icmpv6(type), T.spoofed, kind);
  }
  entry(T.neighbour_source, Priority.rest, [], T.conntrack);
  drop(T.spoofed, Priority.port, inPort(TUNNEL_PORT), SpoofKind.fromTunnel);
  drop(T.spoofed, Priority.port, inPort(UPLINK_PORT), SpoofKind.fromUplink);
  entry(T.neighbour_target, Priority.rest, [], T.spoofed, SpoofKind.neighbourAdvertisement);
}

/** ICMPv6 types that come from the unspecified address while an interface has none. */
const WITHOUT_SOURCE = [
  Icmpv6Type.multicastListenerReport,
  Icmpv6Type.routerSolicitation,
  Icmpv6Type.neighbourSolicitation,
  Icmpv6Type.multicastListenerReportV2,
];

/** What an endpoint may not send, unless an entry above says so. */
const FORBIDDEN_ICMPV6 = [
  [Icmpv6Type.routerAdvertisement, SpoofKind.routerAdvertisement],
  [Icmpv6Type.neighbourSolicitation, SpoofKind.neighbourSolicitation],
  [Icmpv6Type.neighbourAdvertisement, SpoofKind.neighbourAdvertisement],
  [Icmpv6Type.redirect, SpoofKind.redirect],
  [Icmpv6Type.multicastListenerQuery, SpoofKind.membershipQuery],
] as const;
