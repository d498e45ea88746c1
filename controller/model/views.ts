/** Objects as the API, the command line and agents see them: text, no numbers of our own. */
import { formatIpv4, formatIpv6, formatMac, formatPrefix4, formatPrefix6, formatRanges } from './address.js';
import type { Kind } from './intents.js';
import { tenantPools } from './pools.js';
import { groupsOf, profileOf } from './membership.js';
import { traitsOf } from './policy-facts.js';
import { addressSetView, groupView, policyView, profileView, ruleView, tierView } from './policy-views.js';
import { Problems } from './problems.js';
import { boundHost, hostFact, vteps } from './record-facts.js';
import type {
  BindingRecord,
  EndpointRecord,
  HostRecord,
  NetworkRecord,
  Records,
  Table,
  TenantRecord,
} from './records.js';
import type { State } from './state.js';
import { limitsOf } from './switch-limits.js';
import type { EndpointView, ModelDefaults, ObjectViews } from './types.js';

/** Members that are there. */
export function present<T extends object>(members: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
}

const optional = <V, R>(value: V | undefined, format: (value: V) => R): R | undefined =>
  value === undefined ? undefined : format(value);

export function viewOf<K extends Kind>(
  state: State,
  defaults: ModelDefaults,
  kind: K,
  name: string,
  record: Records[Table],
): ObjectViews[K] {
  const make: { [P in Kind]: () => ObjectViews[P] } = {
    Tenant: () => tenantView(state, defaults, name, record as TenantRecord),
    Network: () => networkView(state, name, record as NetworkRecord),
    Endpoint: () => objectEndpointView(state, name, record as EndpointRecord),
    Host: () => hostView(state, name, record as HostRecord),
    HostBinding: () => bindingView(state, name, record as BindingRecord),
    Tier: () => tierView(state, name, record as Records['tier']),
    QosProfile: () => profileView(state, name, record as Records['qosProfile']),
    AddressSet: () => addressSetView(state, name, record as Records['addressSet']),
    Group: () => groupView(state, name, record as Records['group']),
    Policy: () => policyView(state, name, record as Records['policy']),
    Rule: () => ruleView(state, name, record as Records['rule']),
  };
  return make[kind]();
}

function tenantView(
  state: State,
  defaults: ModelDefaults,
  name: string,
  record: TenantRecord,
): ObjectViews['Tenant'] {
  const { spec, number } = record;
  const pools = tenantPools(spec, defaults, new Problems());
  return {
    kind: 'Tenant',
    name,
    spec,
    status: present({
      number,
      networks: state.indexes.networksOfTenant.get(name).size,
      defaultEncapsulation: pools?.encapsulation ?? defaults.encapsulation,
      subnetPool: spec.subnetPool ?? defaults.subnetPool,
      allocationLength: pools?.allocationLength4 ?? defaults.allocationLength,
      ipv6SubnetPool: spec.ipv6SubnetPool,
      ipv6AllocationLength: pools?.allocationLength6 ?? defaults.ipv6AllocationLength,
      vlans: pools === undefined ? defaults.vlans : formatRanges(pools.vlans),
      vnis: pools === undefined ? defaults.vnis : formatRanges(pools.vnis),
      defaultAction: spec.defaultAction ?? 'allow',
    }),
  };
}

function networkView(state: State, name: string, record: NetworkRecord): ObjectViews['Network'] {
  const { spec, number, encapsulation, tag, ipv4, ipv6 } = record;
  return {
    kind: 'Network',
    name,
    spec,
    status: present({
      number,
      encapsulation,
      tag,
      subnet: optional(ipv4, formatPrefix4),
      gateway: optional(ipv4?.gateway, formatIpv4),
      ipv6Subnet: optional(ipv6, formatPrefix6),
      ipv6Gateway: optional(ipv6?.gateway, formatIpv6),
      endpoints: state.indexes.endpointsOfNetwork.get(name).size,
      attached: state.indexes.attachedInNetwork.get(name).size,
    }),
  };
}

function objectEndpointView(state: State, name: string, record: EndpointRecord): ObjectViews['Endpoint'] {
  const { spec, number, mac, ipv4, ipv6, generation } = record;
  const { rates, ...traits } = traitsOf(record);
  const { labels, ports } = traits;
  const groups = groupsOf(state, name, record);
  return {
    kind: 'Endpoint',
    name,
    spec: record.dynamic ? { ...spec, ...traits } : spec,
    status: present({
      number,
      origin: record.dynamic ? 'dynamic' : 'intent',
      mac: formatMac(mac),
      ip: optional(ipv4, formatIpv4),
      ip6: optional(ipv6, formatIpv6),
      host: record.host ?? boundHost(record, state.get('binding', name)),
      attached: record.interface !== undefined,
      interface: record.interface,
      generation,
      groups: groups.length === 0 ? undefined : groups,
      labels,
      ports,
      qos: profileOf(state, record, groups),
      rates,
    }),
  };
}

function hostView(state: State, name: string, record: HostRecord): ObjectViews['Host'] {
  const { number, spec } = record;
  const fact = hostFact(record);
  return {
    kind: 'Host',
    name,
    spec: spec ?? { kind: 'Host', name },
    status: present({
      number,
      origin: spec === undefined ? 'dynamic' : 'intent',
      switch: fact.softSwitch ?? (fact.datapathId === undefined ? undefined : ('ovs' as const)),
      limits: fact.softSwitch === undefined ? undefined : limitsOf(fact.softSwitch),
      datapathId: fact.datapathId,
      vtepIp: optional(fact.vtepIpv4, formatIpv4),
      vtepIp6: optional(fact.vtepIpv6, formatIpv6),
      uplink: fact.uplink,
      tunnelPort: fact.tunnelPort,
      attached: state.indexes.attachedOnHost.get(name).size,
    }),
  };
}

function bindingView(state: State, name: string, { spec }: BindingRecord): ObjectViews['HostBinding'] {
  const endpoint = state.get('endpoint', name);
  return {
    kind: 'HostBinding',
    name,
    spec,
    status: { attached: endpoint?.interface !== undefined && endpoint.host === spec.host },
  };
}

/** VXLAN takes 50 bytes of the underlay's MTU over IPv4, 70 over IPv6. */
const VXLAN_OVERHEAD = { ipv4: 50, ipv6: 70 } as const;

/** What an agent needs to know of an endpoint; `asking` is the agent's host, while the endpoint has none. */
export function endpointView(state: State, id: string, asking?: string): EndpointView | undefined {
  const record = state.get('endpoint', id);
  if (record === undefined) return undefined;
  const { spec, mac, ipv4, ipv6 } = record;
  const network = state.get('network', `${spec.tenant}/${spec.network}`);
  if (network === undefined) return undefined;
  const host = record.host ?? boundHost(record, state.get('binding', id));
  return present<EndpointView>({
    endpoint: id,
    tenant: spec.tenant,
    network: spec.network,
    name: spec.name,
    ip: optional(ipv4, (address) => formatPrefix4({ address, length: network.ipv4?.length ?? 32 })),
    ip6: optional(ipv6, (address) => formatPrefix6({ address, length: network.ipv6?.length ?? 128 })),
    mac: formatMac(mac),
    gateway: optional(network.ipv4?.gateway, formatIpv4),
    gateway6: optional(network.ipv6?.gateway, formatIpv6),
    mtuOverhead: network.encapsulation === 'vlan' ? 0 : overhead(state.get('host', host ?? asking ?? '')),
    encapsulation: network.encapsulation,
    tag: network.tag,
    host,
    interface: record.interface,
    generation: record.generation === 0 ? undefined : record.generation,
  });
}

function overhead(host: HostRecord | undefined): number {
  const { ipv4, ipv6 } = host === undefined ? {} : vteps(host);
  return ipv4 === undefined && ipv6 !== undefined ? VXLAN_OVERHEAD.ipv6 : VXLAN_OVERHEAD.ipv4;
}
