/** What changed about an object, member by member, in the words of the intents. */
import { formatIpv4, formatIpv6, formatMac, formatPrefix4, formatPrefix6 } from '../address.js';
import type { Kind } from '../intents.js';
import { sameFact } from '../record-facts.js';
import type {
  BindingRecord,
  EndpointRecord,
  HostRecord,
  NetworkRecord,
  Records,
  Table,
  TenantRecord,
} from '../records.js';
import type { Change, FieldChange } from '../types.js';

type Members = Record<string, unknown>;

/** Members that say which object it is. */
const IDENTITY = new Set(['kind', 'name', 'tenant', 'network', 'policy']);

export function changeOf(
  kind: Kind,
  name: string,
  before: Records[Table] | undefined,
  after: Records[Table] | undefined,
): Change {
  // Records are replaced, never changed: this one has been left alone.
  if (before === after) return { action: 'unchanged', kind, name };
  const [from, to] = [declared(kind, before), declared(kind, after)];
  if (to === undefined) return { action: from === undefined ? 'unchanged' : 'delete', kind, name };
  const fields = from === undefined ? differences({}, to.values) : differencesOf(from, to);
  if (from === undefined) return { action: 'create', kind, name, fields };
  return fields.length === 0 ? { action: 'unchanged', kind, name } : { action: 'update', kind, name, fields };
}

interface Declared {
  /** The intent as given. */
  readonly spec: Members;
  /** What holds, allocated values included. */
  readonly values: Members;
}

/** Differences of what holds; where there are none, of what was said (a value that had been allocated is now asked for). */
function differencesOf(from: Declared, to: Declared): FieldChange[] {
  const fields = differences(from.values, to.values);
  return fields.length > 0 ? fields : differences(from.spec, to.spec);
}

function differences(from: Members, to: Members): FieldChange[] {
  const paths = [...new Set([...Object.keys(from), ...Object.keys(to)])].filter(
    (path) => !IDENTITY.has(path),
  );
  return paths
    .filter((path) => !sameFact(from[path], to[path]))
    .map((path) => ({
      path,
      ...(from[path] === undefined ? {} : { from: from[path] }),
      ...(to[path] === undefined ? {} : { to: to[path] }),
    }));
}

function declared(kind: Kind, record: Records[Table] | undefined): Declared | undefined {
  if (record === undefined) return undefined;
  switch (kind) {
    case 'Tenant': {
      const { spec } = record as TenantRecord;
      return { spec, values: spec };
    }
    case 'Host': {
      const { spec } = record as HostRecord;
      return spec && { spec, values: spec };
    }
    case 'HostBinding': {
      const { spec } = record as BindingRecord;
      return { spec, values: spec };
    }
    case 'Network':
      return { spec: (record as NetworkRecord).spec, values: networkValues(record as NetworkRecord) };
    case 'Endpoint': {
      const endpoint = record as EndpointRecord;
      return { spec: { ...endpoint.spec, origin: origin(endpoint) }, values: endpointValues(endpoint) };
    }
    case 'Tier':
    case 'QosProfile':
    case 'AddressSet':
    case 'Policy':
    case 'Rule':
    case 'Group': {
      const { spec } = record as { spec: Members };
      return { spec, values: spec };
    }
  }
}

/** Told only of what no intent declares, so that it shows when an intent takes it over. */
const origin = ({ dynamic }: EndpointRecord) => (dynamic ? 'dynamic' : undefined);

function networkValues({ spec, encapsulation, tag, ipv4, ipv6 }: NetworkRecord): Members {
  return {
    ...spec,
    encapsulation,
    tag,
    subnet: ipv4 === undefined ? 'none' : formatPrefix4(ipv4),
    gateway: ipv4?.gateway === undefined ? undefined : formatIpv4(ipv4.gateway),
    ipv6Subnet: ipv6 === undefined ? 'none' : formatPrefix6(ipv6),
    ipv6Gateway: ipv6?.gateway === undefined ? undefined : formatIpv6(ipv6.gateway),
  };
}

function endpointValues(record: EndpointRecord): Members {
  const { spec, ipv4, ipv6, mac } = record;
  return {
    ...spec,
    ip: ipv4 === undefined ? undefined : formatIpv4(ipv4),
    ip6: ipv6 === undefined ? undefined : formatIpv6(ipv6),
    mac: formatMac(mac),
    origin: origin(record),
  };
}
