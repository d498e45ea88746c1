/** What names mean inside a tenant: those of endpoints, `<endpoint>.<network>`, and of groups, `<group>.groups`. */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './address.js';
import { membersOf } from './membership.js';
import type { EndpointRecord } from './records.js';
import type { State } from './state.js';
import type { NamedAddresses } from './types.js';

/** Under it are the groups of the tenant; a network of this name has no names. */
const GROUPS = 'groups';

const NOTHING: NamedAddresses = { exists: false, addresses: [], names: [] };

/** Of a name as an endpoint asks for it, without domain. */
export function lookUpName(state: State, asker: string, name: string, limit: number): NamedAddresses {
  const [tenant = '', network = ''] = asker.split('/');
  const labels = name.split('.');
  if (labels.at(-1)?.toLowerCase() === GROUPS) {
    if (labels.length === 1) return { ...NOTHING, exists: true };
    return ofGroup(state, tenant, labels.slice(0, -1).join('.'), limit);
  }
  const own = endpointNamed(state, `${tenant}/${network}`, name);
  if (own !== undefined) return ofEndpoints([own]);
  // Names of endpoints and of networks may have dots in them.
  for (let at = labels.length - 1; at >= 0; at--) {
    const id = networkNamed(state, tenant, labels.slice(at).join('.'));
    if (id === undefined) continue;
    if (at === 0) return { ...NOTHING, exists: true };
    const found = endpointNamed(state, id, labels.slice(0, at).join('.'));
    if (found !== undefined) return ofEndpoints([found]);
  }
  return NOTHING;
}

/** Of an address: the endpoint of the asker's network that has it, or else that of another network of the tenant. */
export function lookUpAddress(state: State, asker: string, address: string): NamedAddresses {
  const [tenant = '', network = ''] = asker.split('/');
  const ipv4 = parseIpv4(address);
  const ipv6 = ipv4 === undefined ? parseIpv6(address) : undefined;
  const own = `${tenant}/${network}`;
  const { networksOfTenant } = state.indexes;
  for (const id of [own, ...[...networksOfTenant.get(tenant)].filter((other) => other !== own).sort()]) {
    const pool = state.indexes.pool(id);
    const endpoint =
      (ipv4 === undefined ? undefined : pool.ipv4.owner(ipv4)) ??
      (ipv6 === undefined ? undefined : pool.ipv6.get(ipv6));
    const record = endpoint === undefined ? undefined : state.get('endpoint', endpoint);
    if (record !== undefined)
      return { exists: true, addresses: [], names: [`${record.spec.name}.${record.spec.network}`] };
  }
  return NOTHING;
}

function ofGroup(state: State, tenant: string, name: string, limit: number): NamedAddresses {
  const id = named(state.ids('group'), `${tenant}/`, name, (key) => state.has('group', key));
  if (id === undefined) return NOTHING;
  const members: EndpointRecord[] = [];
  for (const member of membersOf(state, id)) {
    const record = state.get('endpoint', member);
    if (record?.host !== undefined) members.push(record);
  }
  const found = ofEndpoints(shuffled(members));
  return { ...found, addresses: found.addresses.slice(0, limit) };
}

function ofEndpoints(records: readonly EndpointRecord[]): NamedAddresses {
  const addresses = records.flatMap(({ ipv4, ipv6 }) => [
    ...(ipv4 === undefined ? [] : [formatIpv4(ipv4)]),
    ...(ipv6 === undefined ? [] : [formatIpv6(ipv6)]),
  ]);
  return { exists: true, addresses, names: [] };
}

function endpointNamed(state: State, network: string, name: string): EndpointRecord | undefined {
  const { endpointsOfNetwork } = state.indexes;
  const id = named(endpointsOfNetwork.get(network), `${network}/`, name, (key) => state.has('endpoint', key));
  return id === undefined ? undefined : state.get('endpoint', id);
}

function networkNamed(state: State, tenant: string, name: string): string | undefined {
  const { networksOfTenant } = state.indexes;
  return named(networksOfTenant.get(tenant), `${tenant}/`, name, (key) => state.has('network', key));
}

/** The id with this name: exactly this, or else the first that differs in case only. */
function named(
  ids: Iterable<string>,
  prefix: string,
  name: string,
  has: (id: string) => boolean,
): string | undefined {
  const exact = prefix + name;
  if (has(exact)) return exact;
  const wanted = exact.toLowerCase();
  let found: string | undefined;
  for (const id of ids) {
    if (id.startsWith(prefix) && id.toLowerCase() === wanted && (found === undefined || id < found))
      found = id;
  }
  return found;
}

/** Fisher and Yates, so that those who take the first spread over all. */
function shuffled<T>(values: readonly T[]): readonly T[] {
  const order = [...values];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}
