/**
 * Objects of contiv's own model (`/api/v1/policys`, `rules`, `endpointGroups`, `netprofiles`, `networks`, `tenants`) as Weft's
 * intents. Of what an object leaves empty, contiv's defaults are Weft's too: direction in, priority 1, action allow.
 *
 * A group of contiv has the endpoints that have been started in it; in Weft those name it (`Endpoint.groups`), so that its
 * `networkName` is kept as `network`, which says nothing of who is in it.
 */
import { copyLocations, locate } from './locations.js';
import type { Problem } from './types.js';

type Members = Readonly<Record<string, unknown>>;

/** Weft's name of a member, or what it makes of a value; null: says nothing here. */
type Meaning = string | null | ((value: unknown) => Members);

interface Conversion {
  /** Member that says that an object is of this kind; looked for in this order. */
  readonly sign: string;
  readonly kind: string;
  readonly members: Readonly<Record<string, Meaning>>;
}

/** In all objects: identity in contiv's store and links to others. */
const OF_ALL: readonly string[] = ['key', 'links', 'link-sets'];

const CONVERSIONS: readonly Conversion[] = [
  {
    sign: 'ruleId',
    kind: 'Rule',
    members: {
      tenantName: 'tenant',
      policyName: 'policy',
      ruleId: 'name',
      priority: 'priority',
      direction: 'direction',
      fromEndpointGroup: 'fromEndpointGroup',
      toEndpointGroup: 'toEndpointGroup',
      fromNetwork: 'fromNetwork',
      toNetwork: 'toNetwork',
      fromIpAddress: 'fromIpAddress',
      toIpAddress: 'toIpAddress',
      protocol: 'protocol',
      port: 'port',
      action: 'action',
    },
  },
  {
    sign: 'groupName',
    kind: 'Group',
    members: {
      tenantName: 'tenant',
      groupName: 'name',
      networkName: 'network',
      policies: 'policies',
      netProfile: 'qos',
    },
  },
  {
    sign: 'profileName',
    kind: 'QosProfile',
    members: {
      tenantName: 'tenant',
      profileName: 'name',
      bandwidth: (rate) => ({ out: { rate } }),
      DSCP: 'dscp',
      // Kilobytes, told together with the bandwidth.
      burst: null,
    },
  },
  { sign: 'policyName', kind: 'Policy', members: { tenantName: 'tenant', policyName: 'name' } },
  {
    sign: 'networkName',
    kind: 'Network',
    members: {
      tenantName: 'tenant',
      networkName: 'name',
      encap: 'encapsulation',
      pktTag: 'tag',
      subnet: 'subnet',
      gateway: 'gateway',
      ipv6Subnet: 'ipv6Subnet',
      ipv6Gateway: 'ipv6Gateway',
      // "data", or the networks of hosts, which Weft has not.
      nwType: null,
    },
  },
  { sign: 'tenantName', kind: 'Tenant', members: { tenantName: 'name' } },
];

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const conversionOf = (value: unknown): Conversion | undefined =>
  isObject(value) && !('kind' in value)
    ? CONVERSIONS.find(({ sign }) => value[sign] !== undefined && value.tenantName !== undefined)
    : undefined;

/** True for an object of contiv's model, and for one whose members are lists of them (`{rules: [...], policys: [...]}`). */
export function isContiv(value: unknown): boolean {
  if (conversionOf(value) !== undefined) return true;
  if (!isObject(value) || 'kind' in value) return false;
  const lists = Object.values(value);
  return (
    lists.length > 0 &&
    lists.every((list) => Array.isArray(list) && list.every((item) => conversionOf(item) !== undefined)) &&
    lists.some((list) => (list as unknown[]).length > 0)
  );
}

/** Weft's objects, unchecked, for what `isContiv` says true of; members without a meaning here are warned of. */
export function contivObjects(value: unknown, problems: Problem[]): object[] {
  const conversion = conversionOf(value);
  if (conversion !== undefined) return [convert(value as Members, conversion, problems)];
  return Object.entries(value as Members).flatMap(([list, items]) =>
    (items as Members[]).flatMap((item, index) => {
      const objects = contivObjects(item, problems);
      for (const object of objects) copyLocations(value as object, object, `${list}[${index}]`);
      return objects;
    }),
  );
}

function convert(value: Members, { kind, members }: Conversion, problems: Problem[]): object {
  const object: Record<string, unknown> = { kind };
  for (const [key, member] of Object.entries(value)) {
    if (isEmpty(key, member)) continue;
    const known: Meaning | undefined = OF_ALL.includes(key) ? null : members[key];
    if (typeof known === 'string') object[known] = member;
    else if (typeof known === 'function') Object.assign(object, known(member));
    else if (known === undefined) ignored(value, kind, key, problems);
  }
  const { out } = object as { out?: Members };
  if (out !== undefined && Number(value.burst) > 0)
    object.out = { ...out, burst: `${String(value.burst)} KB` };
  copyLocations(value, object);
  return object;
}

/** contiv leaves members empty, or 0, where it means none. */
const isEmpty = (key: string, value: unknown): boolean =>
  value === '' ||
  value === null ||
  value === undefined ||
  (Array.isArray(value) && value.length === 0) ||
  (value === 0 && ['port', 'pktTag', 'DSCP', 'burst', 'priority'].includes(key));

function ignored(value: Members, kind: string, key: string, problems: Problem[]): void {
  const names = ['tenantName', 'policyName', 'ruleId', 'groupName', 'profileName', 'networkName'];
  const id = names.map((name) => value[name]).filter((name) => typeof name === 'string' && name !== '');
  const path = `${kind} ${id.join('/')}: ${key}`;
  problems.push({
    severity: 'warning',
    code: 'contiv.ignored',
    path,
    message: `${path}: has no meaning here and is ignored`,
    fix: 'leave it out',
    ...locate(value, key),
  });
}
