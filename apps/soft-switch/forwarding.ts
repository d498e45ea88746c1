/** Networks, endpoints and hosts, in a scope for each network: what forwarding needs wherever the network is carried. */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { NetworkFact, SubnetFact } from '../../controller/model/facts.js';
import { formatIpv4, formatIpv6, formatMac } from '../../ofproto/index.js';
import { type Member, type Placement, placementsOf } from '../placement.js';
import type { SoftPlaces } from './places.js';

export function networkRows(number: number): string {
  return `network ${number}`;
}

export function declareForwarding(d: AppDeclaration, places: SoftPlaces): void {
  const { placements, members } = placementsOf(d);
  const numbers = d.derive<NetworkFact, number>('numbers', d.facts.networks, (context, network, id) =>
    context.emit(id, network.number),
  );

  d.entries('carried networks', places.placements, (context, { host, network }) => {
    context.carry(host, networkRows(network.number));
  });

  d.entries('networks', numbers, (context, number, id) => {
    if (context.get(places.networks, String(number)) === undefined) return;
    const network = context.get(d.facts.networks, id);
    if (network === undefined) return;
    const { encapsulation, tag } = network;
    const row = { kind: 'network', network: number, id, encapsulation, tag } as const;
    context.row(networkRows(number), 'network', { ...row, subnets: subnetsOf(network) });
  });

  d.entries('endpoints', placements, (context, placement, id) => {
    if (context.get(places.networks, String(placement.network.number)) === undefined) return;
    endpointRow(context, placement, id);
  });

  d.entries('peers', members, (context, member) => {
    if (context.get(places.networks, String(member.network.number)) === undefined) return;
    peerRow(context, member);
  });
}

function endpointRow(context: EntryContext, placement: Placement, id: string): void {
  const { network, mac, host } = placement;
  context.row(networkRows(network.number), `endpoint ${id}`, {
    kind: 'endpoint',
    network: network.number,
    endpoint: id,
    mac: formatMac(mac),
    addresses: addressesOf(placement),
    host,
    interface: placement.interface,
  });
}

function peerRow(context: EntryContext, { network, host, vtepIpv4, vtepIpv6 }: Member): void {
  context.row(networkRows(network.number), `peer ${host}`, {
    kind: 'peer',
    network: network.number,
    host,
    ...(vtepIpv4 === undefined ? {} : { vtepIp: formatIpv4(vtepIpv4) }),
    ...(vtepIpv6 === undefined ? {} : { vtepIp6: formatIpv6(vtepIpv6) }),
  });
}

export function addressesOf({ ipv4, ipv6 }: Pick<Placement, 'ipv4' | 'ipv6'>): readonly string[] {
  return [...ipv4.map(formatIpv4), ...ipv6.map(formatIpv6)];
}

/** With prefix length. */
export function subnetsOf({ ipv4, ipv6 }: Pick<NetworkFact, 'ipv4' | 'ipv6'>): readonly string[] {
  const text = <A>({ address, prefixLength }: SubnetFact<A>, format: (address: A) => string): string =>
    `${format(address)}/${prefixLength}`;
  return [
    ...(ipv4 === undefined ? [] : [text(ipv4, formatIpv4)]),
    ...(ipv6 === undefined ? [] : [text(ipv6, formatIpv6)]),
  ];
}
