/** From netplugin's documents to Weft's intents, and to references for what they delete. */
import { formatPrefix4, network4, parsePrefix4 } from '../address.js';
import {
  idOf,
  type EndpointIntent,
  type HostIntent,
  type IntentObject,
  type NetworkIntent,
  type TenantIntent,
} from '../intents.js';
import { enumerate } from '../problems.js';
import type { State } from '../state.js';
import type { ObjectRef, Problem } from '../types.js';
import { present } from '../views.js';
import {
  type Document,
  type EndpointDocument,
  type HostDocument,
  type NetworkDocument,
  report,
  type TenantDocument,
} from './document.js';

/**
 * The objects of a document. What it is silent about stays as it is with `kept: 'everything'` (`/add-config`: a tenant is named
 * again only to say where a network belongs), and means the default otherwise. What it cannot say always stays.
 */
export function toIntents(
  document: Document,
  problems: Problem[],
  state: State,
  kept: Existing['kept'],
): IntentObject[] {
  const existing: Existing = { state, kept };
  const objects: IntentObject[] = [];
  document.Hosts.forEach((host, index) => {
    const path = `/Hosts/${index}`;
    const name = nameOf(host.Name, `${path}/Name`, problems);
    if (name !== undefined) objects.push(merged(toHost(host, name, path, problems), existing));
  });
  document.Tenants.forEach((tenant, index) => {
    const path = `/Tenants/${index}`;
    const name = nameOf(tenant.Name, `${path}/Name`, problems);
    if (name === undefined) return;
    objects.push(merged(toTenant(tenant, name, path, problems), existing));
    tenant.Networks.forEach((network, networkIndex) => {
      objects.push(
        ...networkAndEndpoints(network, name, `${path}/Networks/${networkIndex}`, problems, existing),
      );
    });
  });
  return objects;
}

function networkAndEndpoints(
  network: NetworkDocument,
  tenant: string,
  path: string,
  problems: Problem[],
  existing: Existing,
): IntentObject[] {
  const name = nameOf(network.Name, `${path}/Name`, problems);
  if (name === undefined) return [];
  const endpoints = network.Endpoints.flatMap((endpoint, index): EndpointIntent[] => {
    const container = nameOf(endpoint.Container, `${path}/Endpoints/${index}/Container`, problems);
    if (container === undefined) return [];
    return [
      merged(
        present<EndpointIntent>({
          kind: 'Endpoint',
          tenant,
          network: name,
          name: container,
          ip: endpoint.IPAddress,
          host: endpoint.Host,
          attachUUID: endpoint.AttachUUID,
        }),
        existing,
      ),
    ];
  });
  return [merged(toNetwork(network, tenant, name, path, problems), existing), ...endpoints];
}

function toHost(
  { Intf, VtepIP, NetID }: HostDocument,
  name: string,
  path: string,
  problems: Problem[],
): HostIntent {
  if (Intf === undefined && VtepIP === undefined) {
    report(
      problems,
      'error',
      'document.host',
      path,
      `${path}: host ${name} has neither VtepIP nor Intf`,
      'give the tunnel address or the VLAN uplink',
    );
  }
  if (NetID !== undefined) {
    report(
      problems,
      'warning',
      'document.ignored',
      `${path}/NetID`,
      `${path}/NetID has no meaning here and is ignored`,
      'leave it out',
    );
  }
  const ipv6 = VtepIP?.includes(':') === true;
  return present<HostIntent>({
    kind: 'Host',
    name,
    vtepIp: ipv6 ? undefined : VtepIP,
    vtepIp6: ipv6 ? VtepIP : undefined,
    uplink: Intf,
  });
}

function toTenant(tenant: TenantDocument, name: string, path: string, problems: Problem[]): TenantIntent {
  return present<TenantIntent>({
    kind: 'Tenant',
    name,
    defaultEncapsulation: encapsulationOf(tenant.DefaultNetType, `${path}/DefaultNetType`, problems),
    subnetPool: prefixOf(tenant.SubnetPool, `${path}/SubnetPool`, problems),
    allocationLength: tenant.AllocSubnetLen,
    vlans: tenant.VLANs,
    vnis: tenant.VXLANs,
  });
}

/** A tag without a type is one of the tenant's default type (the ancestor made a trunk port of it). */
function toNetwork(
  network: NetworkDocument,
  tenant: string,
  name: string,
  path: string,
  problems: Problem[],
): NetworkIntent {
  return present<NetworkIntent>({
    kind: 'Network',
    tenant,
    name,
    encapsulation: encapsulationOf(network.PktTagType, `${path}/PktTagType`, problems),
    tag: tagOf(network.PktTag, `${path}/PktTag`, problems),
    subnet: prefixOf(network.SubnetCIDR, `${path}/SubnetCIDR`, problems),
    gateway: network.DefaultGw,
  });
}

function nameOf(name: string | undefined, path: string, problems: Problem[]): string | undefined {
  if (name === undefined)
    report(problems, 'error', 'document.missing', path, `${path} is missing`, 'give a name');
  return name;
}

function encapsulationOf(
  text: string | undefined,
  path: string,
  problems: Problem[],
): 'vlan' | 'vxlan' | undefined {
  const lower = text?.toLowerCase();
  if (lower === undefined || lower === 'vlan' || lower === 'vxlan') return lower;
  report(
    problems,
    'error',
    'document.value',
    path,
    `${path}: "${text}" is neither vlan nor vxlan`,
    'write vlan or vxlan',
  );
  return undefined;
}

function tagOf(text: string | undefined, path: string, problems: Problem[]): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,8}$/.test(text)) return Number(text);
  report(
    problems,
    'error',
    'document.value',
    path,
    `${path}: "${text}" is not a tag`,
    'write a VLAN id or VNI like "11"',
  );
  return undefined;
}

/** Host bits were allowed (`11.0.1.1/24`); what is left to be wrong is reported with the intent. */
function prefixOf(text: string | undefined, path: string, problems: Problem[]): string | undefined {
  const prefix = text === undefined ? undefined : parsePrefix4(text);
  if (prefix === undefined || network4(prefix).address === prefix.address) return text;
  const fixed = formatPrefix4(network4(prefix));
  report(
    problems,
    'warning',
    'document.prefix',
    path,
    `${path}: ${text} is taken as ${fixed}`,
    `write ${fixed}`,
  );
  return fixed;
}

const TABLES = { Tenant: 'tenant', Host: 'host', Network: 'network', Endpoint: 'endpoint' } as const;

interface Existing {
  readonly state: State;
  readonly kept: 'everything' | 'what cannot be said';
}

/** Policy and quality of service, which the ancestor's documents know nothing of. */
const NOT_SAID = ['defaultAction', 'qos', 'labels', 'groups', 'ports'];

/** The object with what stays of its present intent. */
function merged<T extends TenantIntent | HostIntent | NetworkIntent | EndpointIntent>(
  object: T,
  { state, kept }: Existing,
): T {
  const spec = state.get(TABLES[object.kind], idOf(object))?.spec;
  if (spec === undefined) return object;
  const stays = Object.entries(spec).filter(([key]) => kept === 'everything' || NOT_SAID.includes(key));
  return { ...(Object.fromEntries(stays) as Partial<T>), ...object };
}

/** A container is bound in every network where it has an endpoint, as the ancestor does. */
export function bindingsToIntents(
  bindings: readonly EndpointDocument[],
  problems: Problem[],
  state: State,
  declared: readonly IntentObject[],
  path: string,
): IntentObject[] {
  const wanted = declared.filter((object) => object.kind === 'Endpoint');
  return bindings.flatMap((binding, index): IntentObject[] => {
    const here = `${path}/${index}`;
    const container = nameOf(binding.Container, `${here}/Container`, problems);
    const host = nameOf(binding.Host, `${here}/Host`, problems);
    if (container === undefined || host === undefined) return [];
    const ids = new Set([
      ...state.indexes.endpointsByName.get(container),
      ...wanted.filter(({ name }) => name === container).map(idOf),
    ]);
    if (ids.size === 0) {
      report(
        problems,
        'error',
        'binding.endpoint.unknown',
        here,
        `${here}: there is no endpoint of a container ${container}`,
        'declare it first, or correct the name',
      );
    }
    const tenants = new Set([...ids].map((id) => id.split('/')[0] as string));
    if (tenants.size > 1) {
      report(
        problems,
        'warning',
        'binding.ambiguous',
        here,
        `${here}: ${container} exists in tenants ${enumerate(tenants)} and is bound in all of them`,
        "use Weft's own HostBinding to bind one of them",
      );
    }
    return [...ids].sort().map((id) => {
      const [tenant = '', network = '', name = ''] = id.split('/');
      const uuid = binding.AttachUUID === undefined ? {} : { attachUUID: binding.AttachUUID };
      return { kind: 'HostBinding' as const, tenant, network, name, host, ...uuid };
    });
  });
}

/**
 * What `/del-config` deletes: the listed endpoints, networks listed without endpoints, tenants listed without networks,
 * listed hosts. What is not there is reported as a warning and passed over, as the ancestor does.
 */
export function toDeletions(document: Document, problems: Problem[], state: State): ObjectRef[] {
  const refs: ObjectRef[] = [];
  const add = (kind: keyof typeof TABLES, name: string, path: string) => {
    if (state.has(TABLES[kind], name)) refs.push({ kind, name });
    else
      report(
        problems,
        'warning',
        'object.unknown',
        path,
        `${path}: ${kind} ${name} does not exist`,
        'leave it out',
      );
  };
  document.Hosts.forEach((host, index) => {
    const path = `/Hosts/${index}`;
    const name = nameOf(host.Name, `${path}/Name`, problems);
    if (name !== undefined) add('Host', name, path);
  });
  document.Tenants.forEach((tenant, index) => {
    const path = `/Tenants/${index}`;
    const name = nameOf(tenant.Name, `${path}/Name`, problems);
    if (name === undefined) return;
    if (tenant.Networks.length === 0) add('Tenant', name, path);
    tenant.Networks.forEach((network, networkIndex) => {
      const here = `${path}/Networks/${networkIndex}`;
      const networkName = nameOf(network.Name, `${here}/Name`, problems);
      if (networkName === undefined) return;
      if (network.Endpoints.length === 0) add('Network', `${name}/${networkName}`, here);
      network.Endpoints.forEach((endpoint, endpointIndex) => {
        const there = `${here}/Endpoints/${endpointIndex}`;
        const container = nameOf(endpoint.Container, `${there}/Container`, problems);
        if (container !== undefined) add('Endpoint', `${name}/${networkName}/${container}`, there);
      });
    });
  });
  return refs;
}
