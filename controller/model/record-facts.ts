/** From records to facts: what the rest of the controller sees of the model. */
import { parseIpv4, parseIpv6 } from './address.js';
import { traitsFact } from './policy-facts.js';
import type { EndpointFact, HostFact, NetworkFact, SubnetFact, TenantFact } from './facts.js';
import type {
  BindingRecord,
  EndpointRecord,
  HostRecord,
  NetworkRecord,
  Subnet,
  TenantRecord,
} from './records.js';

/** Tunnel addresses of a host: what its intent pins, otherwise what its agent claims. */
export function vteps({ spec, claim }: HostRecord): { ipv4?: number; ipv6?: bigint } {
  const ipv4 = (spec?.vtepIp === undefined ? undefined : parseIpv4(spec.vtepIp)) ?? claim?.vtepIpv4;
  const ipv6 = (spec?.vtepIp6 === undefined ? undefined : parseIpv6(spec.vtepIp6)) ?? claim?.vtepIpv6;
  return { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
}

/** The host that an endpoint has to live on, if anything says so: a late binding before its own intent. */
export const boundHost = (endpoint: EndpointRecord, binding: BindingRecord | undefined): string | undefined =>
  binding?.spec.host ?? endpoint.spec.host;

export const tenantFact = ({ spec, number }: TenantRecord): TenantFact => ({
  name: spec.name,
  number,
  ...(spec.defaultAction === undefined ? {} : { defaultAction: spec.defaultAction }),
});

const subnetFact = <Address>({ address, length, gateway }: Subnet<Address>): SubnetFact<Address> => ({
  address,
  prefixLength: length,
  ...(gateway === undefined ? {} : { gateway }),
});

export const networkFact = ({
  spec,
  number,
  encapsulation,
  tag,
  ipv4,
  ipv6,
}: NetworkRecord): NetworkFact => ({
  id: `${spec.tenant}/${spec.name}`,
  tenant: spec.tenant,
  name: spec.name,
  number,
  encapsulation,
  tag,
  ...(ipv4 === undefined ? {} : { ipv4: subnetFact(ipv4) }),
  ...(ipv6 === undefined ? {} : { ipv6: subnetFact(ipv6) }),
  uplinkHandOff: encapsulation === 'vlan' && (spec.uplinkHandOff ?? true),
  ...(spec.qos === undefined ? {} : { qos: `${spec.tenant}/${spec.qos}` }),
  ...(spec.multicast === undefined ? {} : { multicast: spec.multicast }),
});

export function endpointFact(record: EndpointRecord, binding: BindingRecord | undefined): EndpointFact {
  const { spec, number, mac, ipv4, ipv6, generation } = record;
  const network = `${spec.tenant}/${spec.network}`;
  const host = record.host ?? boundHost(record, binding);
  return {
    id: `${network}/${spec.name}`,
    network,
    name: spec.name,
    number,
    mac,
    ipv4: ipv4 === undefined ? [] : [ipv4],
    ipv6: ipv6 === undefined ? [] : [ipv6],
    ...(host === undefined ? {} : { host }),
    ...(record.interface === undefined ? {} : { interface: record.interface }),
    generation,
    ...traitsFact(record),
  };
}

export function hostFact(record: HostRecord): HostFact {
  const { name, number, spec, claim } = record;
  const { ipv4, ipv6 } = vteps(record);
  const uplink = spec?.uplink ?? claim?.uplink;
  return {
    name,
    number,
    ...(claim?.datapathId === undefined ? {} : { datapathId: claim.datapathId }),
    ...(claim?.softSwitch === undefined ? {} : { softSwitch: claim.softSwitch }),
    ...(ipv4 === undefined ? {} : { vtepIpv4: ipv4 }),
    ...(ipv6 === undefined ? {} : { vtepIpv6: ipv6 }),
    ...(uplink === undefined ? {} : { uplink }),
    ...(claim?.tunnelPort === undefined ? {} : { tunnelPort: claim.tunnelPort }),
  };
}

/** Facts are plain data: equal when they have the same members with equal values. */
export function sameFact(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  const leftKeys = Object.keys(left);
  if (leftKeys.length !== Object.keys(right).length) return false;
  return leftKeys.every((key) => sameFact((left as Bag)[key], (right as Bag)[key]));
}
type Bag = Record<string, unknown>;
