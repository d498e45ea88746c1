/**
 * Where endpoints live: the collections that every app of this folder derives its entries from. Values hold what entries are made of
 * and nothing else, so that a change of anything else about an endpoint ends here.
 *
 *     endpoints ──► placements ──► members ──► scopes, flood chunks        by host alone
 *                        └──► local endpoints ──► a host's own entries     by port
 *
 * Membership asks where an endpoint is attached, never for its port: a bridge that restarts and renumbers its ports must
 * not make every other host of the network forget it.
 */
import type { AppDeclaration } from '../controller/datapath/app.js';
import type { ScopeName } from '../controller/datapath/entry.js';
import type { Collection } from '../controller/derive/index.js';
import {
  type DatapathId,
  type EndpointFact,
  type EndpointId,
  type NetworkFact,
  type PortFact,
  TUNNEL_PORT,
  UPLINK_PORT,
} from '../controller/model/facts.js';
import { linkLocalAddress } from './protocols.js';

/** Open vSwitch numbers ports up to here on bridges of OpenFlow 1.0 and 1.3 alike (OFPP_MAX of 1.0). */
const MAX_ACCESS_PORT = 0xfeff;

/** What entries need to know of a network. */
export type PlacedNetwork = Pick<NetworkFact, 'number' | 'encapsulation' | 'tag' | 'uplinkHandOff'>;

/** An attached endpoint whose network and host are known; key: id of the endpoint. */
export interface Placement {
  readonly id: EndpointId;
  readonly number: number;
  readonly mac: number;
  readonly ipv4: readonly number[];
  /** The link-local address of its MAC included. */
  readonly ipv6: readonly bigint[];
  readonly network: PlacedNetwork;
  readonly hostNumber: number;
  readonly host: string;
  readonly interface: string;
}

/** An endpoint and its port on the bridge of its host; key: `<host>/<port>`, so that a port has one endpoint. */
export interface LocalEndpoint extends Placement {
  readonly port: number;
}

/** A host that carries a network; key: `<number of network>/<number of host>`. */
export interface Member {
  readonly network: PlacedNetwork;
  readonly host: string;
  readonly hostNumber: number;
  readonly datapathId?: DatapathId;
  readonly vtepIpv4?: number;
  readonly vtepIpv6?: bigint;
}

export interface Placements {
  readonly placements: Collection<Placement>;
  readonly localEndpoints: Collection<LocalEndpoint>;
  readonly members: Collection<Member>;
  /** One key while there is a host, for entries that are the same whatever the facts. */
  readonly always: Collection<true>;
}

export function networkScope(network: { readonly number: number }): ScopeName {
  return `network:${network.number}`;
}

export function hostScope(host: string): ScopeName {
  return `host:${host}`;
}

/** The collections of this file, declared once whoever asks first. */
export function placementsOf(declaration: AppDeclaration): Placements {
  return declaration.shared('placement', declarePlacements);
}

function declarePlacements(d: AppDeclaration): Placements {
  const { endpoints, networks, hosts, ports } = d.facts;

  const placements = d.derive<EndpointFact, Placement>('placements', endpoints, (context, endpoint, id) => {
    if (endpoint.host === undefined || endpoint.interface === undefined) return;
    const network = context.get(networks, endpoint.network);
    const host = context.get(hosts, endpoint.host);
    if (network === undefined || host === undefined) return;
    const { number, encapsulation, tag, uplinkHandOff } = network;
    context.emit(id, {
      id,
      number: endpoint.number,
      mac: endpoint.mac,
      ipv4: endpoint.ipv4,
      ipv6: ipv6AddressesOf(endpoint),
      network: { number, encapsulation, tag, uplinkHandOff },
      hostNumber: host.number,
      host: host.name,
      interface: endpoint.interface,
    });
  });

  const localEndpoints = d.derive<Placement, LocalEndpoint>(
    'local endpoints',
    placements,
    (context, placement) => {
      const datapathId = context.get(hosts, placement.host)?.datapathId;
      if (datapathId === undefined) return;
      const port = context.get(ports, `${datapathId}/${placement.interface}`);
      if (port === undefined || !isAccessPort(port)) return;
      context.emit(`${placement.host}/${port.number}`, { ...placement, port: port.number });
    },
  );

  const members = d.derive<Placement, Member>('members', placements, (context, { network, host: name }) => {
    const host = context.get(hosts, name);
    if (host === undefined) return;
    const { number, datapathId, vtepIpv4, vtepIpv6 } = host;
    context.emit(`${network.number}/${number}`, {
      network,
      host: name,
      hostNumber: number,
      ...(datapathId === undefined ? {} : { datapathId }),
      ...(vtepIpv4 === undefined ? {} : { vtepIpv4 }),
      ...(vtepIpv6 === undefined ? {} : { vtepIpv6 }),
    });
  });

  const always = d.derive<unknown, true>('always', hosts, (context) => context.emit('always', true));

  return { placements, localEndpoints, members, always };
}

/** Ports that an endpoint may have: none that carries the frames of others. */
function isAccessPort({ number }: PortFact): boolean {
  return number > 0 && number <= MAX_ACCESS_PORT && number !== TUNNEL_PORT && number !== UPLINK_PORT;
}

/**
 * IPv6 addresses of an endpoint, the link-local one of its MAC included; in ascending order without repetition, so that equal sets of
 * addresses are equal values.
 */
export function ipv6AddressesOf({ mac, ipv6 }: EndpointFact): readonly bigint[] {
  return [...new Set([linkLocalAddress(mac), ...ipv6])].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
