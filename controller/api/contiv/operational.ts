/** What `inspect` tells besides an object itself: addresses, tags and endpoints. */
import { formatIpv4, last4, parseIpv4, parsePrefix4 } from '../../model/address.js';
import type { ObjectViews } from '../../model/types.js';
import { keyOf, object, type Snapshot } from './snapshot.js';
import type { Members } from './types.js';

type Endpoint = ObjectViews['Endpoint'];

/** An endpoint, with the names that contiv gives things: `network.tenant`, `group:tenant`. */
export function endpointOper({ model }: Snapshot, { name, spec, status }: Endpoint): Members {
  const [seen] = model.netplugin.endpoint(name);
  const [group] = status.groups ?? [];
  const groupName = group?.slice(group.lastIndexOf('/') + 1);
  const addresses = [status.ip, status.ip6].filter((address) => address !== undefined);
  return object({
    containerID: seen?.contUUID,
    containerName: spec.name,
    endpointGroupId:
      group === undefined ? undefined : model.get('Group', `${spec.tenant}/${groupName}`)?.status.number,
    endpointGroupKey: group === undefined ? undefined : `${groupName}:${spec.tenant}`,
    endpointID: keyOf(name),
    homingHost: status.host,
    intfName: status.interface,
    ipAddress: addresses,
    labels: labelsText(status.labels),
    macAddress: status.mac,
    network: `${spec.network}.${spec.tenant}`,
    vtepIP: seen?.vtepIP,
  });
}

/** As Go prints a map. */
const labelsText = (labels: Readonly<Record<string, string>> | undefined): string | undefined =>
  labels &&
  `map[${Object.entries(labels)
    .map(([key, value]) => `${key}:${value}`)
    .sort()
    .join(' ')}]`;

export const endpointsOper = (snapshot: Snapshot, endpoints: readonly Endpoint[]): Members =>
  object({
    endpoints: endpoints.map((endpoint) => endpointOper(snapshot, endpoint)),
    numEndpoints: endpoints.length,
  });

export function networkOper(snapshot: Snapshot, id: string): Members {
  const network = snapshot.model.get('Network', id);
  if (network === undefined) return {};
  const { spec, status } = network;
  const endpoints = snapshot.endpointsOfNetwork(id);
  const addresses = addressesOf(endpoints);
  return object({
    allocatedAddressesCount: addresses.length,
    allocatedIPAddresses: rangesText(addresses, formatIpv4),
    availableIPAddresses: available(status, addresses),
    externalPktTag: status.tag,
    networkTag: `${spec.name}.${spec.tenant}`,
    pktTag: status.tag,
    ...endpointsOper(snapshot, endpoints),
  });
}

export function groupOper(snapshot: Snapshot, id: string): Members {
  const group = snapshot.model.get('Group', id);
  if (group === undefined) return {};
  const { spec } = group;
  const network =
    spec.network === undefined ? undefined : snapshot.model.get('Network', `${spec.tenant}/${spec.network}`);
  const endpoints = snapshot.endpointsOfGroup(id);
  const inNetwork = network === undefined ? [] : addressesOf(snapshot.endpointsOfNetwork(network.name));
  return object({
    allocatedIPAddresses: rangesText(addressesOf(endpoints), formatIpv4),
    availableIPAddresses: network && available(network.status, inNetwork),
    externalPktTag: network?.status.tag,
    groupTag: `${spec.name}.${spec.tenant}`,
    pktTag: network?.status.tag,
    ...endpointsOper(snapshot, endpoints),
  });
}

export function tenantOper(snapshot: Snapshot, tenant: string): Members {
  const networks = snapshot.inTenant(tenant, 'networks');
  const groups = snapshot.inTenant(tenant, 'groups');
  return object({
    endpointGroups: groups.map((id) => groupOper(snapshot, id)),
    networks: networks.map((id) => networkOper(snapshot, id)),
    totalEPGs: groups.length,
    totalEndpoints: networks.reduce((sum, id) => sum + snapshot.endpointsOfNetwork(id).length, 0),
    totalNetprofiles: snapshot.inTenant(tenant, 'profiles').length,
    totalNetworks: networks.length,
    totalPolicies: snapshot.inTenant(tenant, 'policies').length,
  });
}

/** The endpoint that contiv's client asks for: by name, by the id of its container, or by the beginning or a part of one of them. */
export function findEndpoint({ endpoints, model }: Snapshot, wanted: string): Endpoint | undefined {
  const named = endpoints.map((endpoint) => ({
    endpoint,
    names: [
      keyOf(endpoint.name),
      endpoint.spec.name,
      model.netplugin.endpoint(endpoint.name)[0]?.contUUID ?? '',
    ],
  }));
  const found =
    named.find(({ names }) => names.includes(wanted)) ??
    named.find(({ names }) => names.some((name) => name.includes(wanted)));
  return found?.endpoint;
}

/** IPv4, ascending. */
function addressesOf(endpoints: readonly Endpoint[]): number[] {
  return endpoints
    .flatMap(({ status: { ip } }) => (ip === undefined ? [] : (parseIpv4(ip) ?? [])))
    .sort((a, b) => a - b);
}

/** What may still be given to an endpoint: not the first and the last of the subnet, not the gateway, nothing that is given. */
function available(
  { subnet, gateway }: ObjectViews['Network']['status'],
  given: readonly number[],
): string | undefined {
  const prefix = subnet === undefined ? undefined : parsePrefix4(subnet);
  if (prefix === undefined) return undefined;
  const edge = prefix.length < 31 ? 1 : 0;
  const last = last4(prefix) - edge;
  const taken = [...given, ...(gateway === undefined ? [] : [parseIpv4(gateway) ?? -1])].sort(
    (a, b) => a - b,
  );
  const texts: string[] = [];
  let free = prefix.address + edge;
  for (const address of [...taken, last + 1]) {
    if (address > free) texts.push(rangeText(free, Math.min(address - 1, last), formatIpv4));
    free = Math.max(free, address + 1);
  }
  return texts.join(', ');
}

const rangeText = (first: number, last: number, format: (number: number) => string): string =>
  first === last ? format(first) : `${format(first)}-${format(last)}`;

/** `10-12, 20` of ascending numbers. */
export function rangesText(numbers: readonly number[], format: (number: number) => string = String): string {
  const texts: string[] = [];
  for (let start = 0; start < numbers.length; ) {
    let end = start;
    while (end + 1 < numbers.length && numbers[end + 1] === (numbers[end] as number) + 1) end++;
    texts.push(rangeText(numbers[start] as number, numbers[end] as number, format));
    start = end + 1;
  }
  return texts.join(', ');
}
