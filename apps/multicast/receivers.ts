/**
 * Who wants what is sent to a group: receivers by host, and what that means for the hosts.
 *
 * Between hosts a group is one thing: a host gets a copy where anybody there wants any source of the group. On the host each
 * receiver gets what it wants, source by source.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection, Context, Index } from '../../controller/derive/index.js';
import type {
  EndpointId,
  MulticastGroup,
  MulticastReceiverFact,
  MulticastRouterFact,
  NetworkFact,
  NetworkId,
} from '../../controller/model/facts.js';
import { type LocalEndpoint, placementsOf } from '../placement.js';
import {
  IPV6_SCOPE_MASK,
  IPV6_SCOPES_OF_A_LINK,
  LINK_LOCAL_IPV4,
  LINK_LOCAL_IPV4_MASK,
} from '../protocols.js';
import { softPlacesOf } from '../soft-switch/places.js';
import { multicastSettingsOf } from './settings.js';

/** A network in which groups are forwarded to their receivers; key: its id. */
export interface SnoopedNetwork {
  readonly number: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number;
  readonly unregistered: 'flood' | 'drop';
}

export interface HostOfReceivers {
  readonly host: string;
  readonly hostNumber: number;
}

/** Somebody who wants packets of a group; key: that of the fact. */
export interface Listener {
  readonly network: SnoopedNetwork;
  readonly group: MulticastGroup;
  readonly groupNumber: number;
  /** `<number of network>/<group>`. */
  readonly groupKey: string;
  /** Absent: behind the uplink. */
  readonly at?: HostOfReceivers & { readonly endpoint: EndpointId };
  readonly sources?: MulticastReceiverFact['sources'];
}

/** A multicast router, which gets what is sent to any group; key: that of the fact. */
export interface Router {
  readonly network: SnoopedNetwork;
  /** Absent: behind the uplink. */
  readonly at?: HostOfReceivers & { readonly endpoint: EndpointId };
}

/** A group that has receivers; key: `<number of network>/<group>`. */
export type RegisteredGroup = Pick<Listener, 'network' | 'group' | 'groupNumber' | 'groupKey'>;

/** A host with receivers of a group; key: `<host>/<number of network>/<group>`. */
export interface LocalGroup {
  readonly host: string;
  readonly network: number;
  readonly group: MulticastGroup;
  readonly groupKey: string;
}

export interface Receivers {
  readonly networks: Collection<SnoopedNetwork>;
  readonly groups: Collection<RegisteredGroup>;
  /** By number of network. */
  readonly groupsByNetwork: Index<RegisteredGroup>;
  readonly listenersByGroup: Index<Listener>;
  readonly listenersByHost: Index<Listener>;
  readonly localGroups: Collection<LocalGroup>;
  readonly routers: Collection<Router>;
  readonly routersByNetwork: Index<Router>;
  /** By `<host>/<number of network>`. */
  readonly routersByHost: Index<Router>;
  /** By id of the endpoint. */
  readonly ports: Index<LocalEndpoint>;
}

export function declareReceivers(d: AppDeclaration): Receivers {
  const { placements, localEndpoints } = placementsOf(d);
  const { networks: softNetworks } = softPlacesOf(d);
  const networks = d.derive<NetworkFact, SnoopedNetwork>(
    'snooped networks',
    d.facts.networks,
    (context, network, id) => {
      const { snooping, unregistered } = multicastSettingsOf(network);
      const { number, encapsulation, tag } = network;
      // Nobody hears the reports of endpoints behind switches without OpenFlow.
      const deaf = context.get(softNetworks, String(number)) !== undefined;
      if (snooping && !deaf) context.emit(id, { number, encapsulation, tag, unregistered });
    },
  );
  /** Undefined: it is attached nowhere. */
  const placeOf = (
    context: Pick<Context<never>, 'get'>,
    network: NetworkId,
    { place }: Pick<MulticastRouterFact, 'place'>,
  ): Pick<Listener, 'at'> | undefined => {
    if (!('endpoint' in place)) return {};
    const placement = context.get(placements, place.endpoint);
    if (placement === undefined || !place.endpoint.startsWith(`${network}/`)) return undefined;
    const { host, hostNumber } = placement;
    return { at: { host, hostNumber, endpoint: place.endpoint } };
  };
  const listeners = d.derive<MulticastReceiverFact, Listener>(
    'listeners',
    d.facts.multicastReceivers,
    (context, fact, key) => {
      const { group, groupNumber, sources } = fact;
      const network = context.get(networks, fact.network);
      const place = placeOf(context, fact.network, fact);
      if (network === undefined || place === undefined || isAlwaysFlooded(group)) return;
      const groupKey = key.split('/', 2).join('/');
      const filter = sources === undefined ? {} : { sources };
      context.emit(key, { network, group, groupNumber, groupKey, ...place, ...filter });
    },
  );
  const routers = d.derive<MulticastRouterFact, Router>(
    'routers',
    d.facts.multicastRouters,
    (context, fact, key) => {
      const network = context.get(networks, fact.network);
      const place = placeOf(context, fact.network, fact);
      if (network !== undefined && place !== undefined) context.emit(key, { network, ...place });
    },
  );
  const groups = d.derive<Listener, RegisteredGroup>(
    'registered groups',
    listeners,
    (context, { network, group, groupNumber, groupKey }) =>
      context.emit(groupKey, { network, group, groupNumber, groupKey }),
  );
  const localGroups = d.derive<Listener, LocalGroup>(
    'local groups',
    listeners,
    (context, { network: { number: network }, group, groupKey, at }) => {
      if (at !== undefined)
        context.emit(`${at.host}/${groupKey}`, { host: at.host, network, group, groupKey });
    },
  );
  return {
    networks,
    groups,
    localGroups,
    routers,
    groupsByNetwork: d.index('groups by network', groups, ({ network }) => [String(network.number)]),
    listenersByGroup: d.index('listeners by group', listeners, ({ groupKey }) => [groupKey]),
    listenersByHost: d.index('listeners by host', listeners, ({ at, groupKey }) =>
      at === undefined ? [] : [`${at.host}/${groupKey}`],
    ),
    routersByNetwork: d.index('routers by network', routers, ({ network }) => [String(network.number)]),
    routersByHost: d.index('routers by host', routers, ({ at, network }) =>
      at === undefined ? [] : [`${at.host}/${network.number}`],
    ),
    ports: d.index('ports by endpoint', localEndpoints, ({ id }) => [id]),
  };
}

/** Groups of one link (RFC 4541, section 2.1.2): everybody gets them, whether they have said so or not. */
function isAlwaysFlooded(group: MulticastGroup): boolean {
  if (group.family === 4) return (group.address & LINK_LOCAL_IPV4_MASK) >>> 0 === LINK_LOCAL_IPV4;
  return IPV6_SCOPES_OF_A_LINK.includes(group.address & IPV6_SCOPE_MASK);
}

/** Whether somebody with this filter wants a source; undefined: one that nobody names. */
export function wants(sources: Listener['sources'], source: number | bigint | undefined): boolean {
  if (sources === undefined) return true;
  const named = source !== undefined && (sources.addresses as readonly (number | bigint)[]).includes(source);
  return named === (sources.mode === 'include');
}

/** The sources that any of them names, ascending. */
export function sourcesOf(listeners: readonly Pick<Listener, 'sources'>[]): readonly (number | bigint)[] {
  const named = new Set<number | bigint>(listeners.flatMap(({ sources }) => [...(sources?.addresses ?? [])]));
  return [...named].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
