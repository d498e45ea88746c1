/** Tenants, networks, groups, policies and profiles: contiv's objects as Weft's intents, and back. */
import type { GroupIntent, IntentObject, NetworkIntent, QosProfileIntent } from '../../model/intents.js';
import { parseBurst, parseRate } from '../../model/rates.js';
import type { Model, ObjectViews } from '../../model/types.js';
import { Refusal } from './answers.js';
import { endpointsOper, groupOper, networkOper, tenantOper } from './operational.js';
import { EndpointGroupBody, NetprofileBody, NetworkBody, PolicyBody, TenantBody } from './schemas.js';
import { DEFAULT_TENANT, idOfKey, keyOf, link, linkSet, object, type Snapshot } from './snapshot.js';
import type { ContivKind, Members } from './types.js';

/** `default` is there from the beginning: it is declared with the first object in it. */
export function withTenant(model: Model, object: Extract<IntentObject, { tenant: string }>): IntentObject[] {
  const { tenant } = object;
  return tenant === DEFAULT_TENANT && model.get('Tenant', tenant) === undefined
    ? [{ kind: 'Tenant', name: tenant }, object]
    : [object];
}

/** Refuses the members that say something and have no counterpart. */
function refuseMembers(word: string, body: Members, reasons: Readonly<Record<string, string>>): void {
  for (const [member, reason] of Object.entries(reasons)) {
    const value = body[member];
    const isEmpty =
      value === undefined || value === '' || (Array.isArray(value) && value.every((one) => one === ''));
    if (!isEmpty)
      throw new Refusal(
        'member',
        `${word}: ${member} ${JSON.stringify(value)} has no counterpart: ${reason}`,
      );
  }
}

/** Members that are told; empty text and 0 tell nothing in contiv. */
const told = <T extends string | number>(value: T | undefined): T | undefined =>
  value === '' || value === 0 ? undefined : value;

function members<M extends object>(all: { [K in keyof M]: M[K] | undefined }): Partial<M> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Partial<M>;
}

/** Whose object it is must not be said for it: what another system keeps in step is refused by the model. */
function withoutOwner<S extends { owner?: string }>(spec: S): Omit<S, 'owner'> {
  const { owner: _, ...rest } = spec;
  return rest;
}

const DEFAULT_TENANT_OBJECT: Members = { key: DEFAULT_TENANT, tenantName: DEFAULT_TENANT, 'link-sets': {} };

const tenant: ContivKind = {
  collection: 'tenants',
  word: 'tenant',
  keyMembers: ['tenantName'],
  schema: TenantBody,
  list: (snapshot) => {
    const tenants = snapshot.tenants.map((view) => tenantObject(snapshot, view));
    if (snapshot.tenants.some(({ name }) => name === DEFAULT_TENANT)) return tenants;
    return [...tenants, DEFAULT_TENANT_OBJECT].sort((a, b) => (String(a.key) < String(b.key) ? -1 : 1));
  },
  get: (snapshot, [name = '']) => {
    const view = snapshot.model.get('Tenant', name);
    if (view !== undefined) return tenantObject(snapshot, view);
    return name === DEFAULT_TENANT ? DEFAULT_TENANT_OBJECT : undefined;
  },
  intents: ({ model }, body: TenantBody) => {
    refuseMembers('tenant', body, {
      defaultNetwork: 'endpoints always name their network. Leave it out',
    });
    const name = body.tenantName ?? '';
    return model.get('Tenant', name) === undefined ? [{ kind: 'Tenant', name }] : [];
  },
  refs: ([name = '']) => [{ kind: 'Tenant', name }],
  operational: (snapshot, [name = '']) => tenantOper(snapshot, name),
};

function tenantObject(snapshot: Snapshot, { name }: ObjectViews['Tenant']): Members {
  return {
    key: name,
    tenantName: name,
    'link-sets': object({
      EndpointGroups: linkSet('endpointGroup', snapshot.inTenant(name, 'groups')),
      NetProfiles: linkSet('netprofile', snapshot.inTenant(name, 'profiles')),
      Networks: linkSet('network', snapshot.inTenant(name, 'networks')),
      Policies: linkSet('policy', snapshot.inTenant(name, 'policies')),
    }),
  };
}

const network: ContivKind = {
  collection: 'networks',
  word: 'network',
  keyMembers: ['tenantName', 'networkName'],
  schema: NetworkBody,
  list: (snapshot) => snapshot.networks.map((view) => networkObject(snapshot, view)),
  get: (snapshot, key) => {
    const view = snapshot.model.get('Network', idOfKey(key));
    return view && networkObject(snapshot, view);
  },
  intents: ({ model }, body: NetworkBody) => {
    refuseMembers('network', body, {
      cfgdTag: 'names of networks in Docker are chosen there. Leave it out',
    });
    if (told(body.nwType) !== undefined && body.nwType !== 'data') {
      throw new Refusal(
        'member',
        `network: nwType ${JSON.stringify(body.nwType)} has no counterpart: hosts are not in the networks of their endpoints`,
        'use data, or leave it out',
      );
    }
    if (body.subnet?.includes('-') === true) {
      throw new Refusal(
        'member',
        `network: subnet ${JSON.stringify(body.subnet)} has a range, which has no counterpart: addresses are those of the whole prefix`,
        'name the prefix; declare endpoints with the addresses that must not be given out',
      );
    }
    const id = `${body.tenantName}/${body.networkName}`;
    const intent: NetworkIntent = {
      ...withoutOwner(model.get('Network', id)?.spec ?? {}),
      kind: 'Network',
      tenant: body.tenantName ?? '',
      name: body.networkName ?? '',
      ...members<Omit<NetworkIntent, 'kind' | 'name' | 'tenant'>>({
        encapsulation: told(body.encap) as NetworkIntent['encapsulation'],
        tag: told(body.pktTag),
        subnet: told(body.subnet),
        gateway: told(body.gateway),
        ipv6Subnet: told(body.ipv6Subnet),
        ipv6Gateway: told(body.ipv6Gateway),
      }),
    };
    return withTenant(model, intent);
  },
  refs: (key) => [{ kind: 'Network', name: idOfKey(key) }],
  operational: (snapshot, key) => networkOper(snapshot, idOfKey(key)),
};

function networkObject(snapshot: Snapshot, { name, spec, status }: ObjectViews['Network']): Members {
  return object({
    key: keyOf(name),
    tenantName: spec.tenant,
    networkName: spec.name,
    nwType: 'data',
    encap: status.encapsulation,
    pktTag: status.tag,
    subnet: status.subnet,
    gateway: status.gateway,
    ipv6Subnet: status.ipv6Subnet,
    ipv6Gateway: status.ipv6Gateway,
    'link-sets': object({ EndpointGroups: linkSet('endpointGroup', snapshot.groupsOfNetwork(name)) }),
    links: { Tenant: link('tenant', spec.tenant) },
  });
}

const endpointGroup: ContivKind = {
  collection: 'endpointGroups',
  word: 'endpointGroup',
  keyMembers: ['tenantName', 'groupName'],
  schema: EndpointGroupBody,
  list: (snapshot) => snapshot.groups.map((view) => groupObject(snapshot, view)),
  get: (snapshot, key) => {
    const view = snapshot.model.get('Group', idOfKey(key));
    return view && groupObject(snapshot, view);
  },
  intents: ({ model }, body: EndpointGroupBody) => {
    refuseMembers('endpointGroup', body, {
      ipPool:
        'members of a group have addresses of their network. Leave it out, or declare endpoints with their addresses',
      extContractsGrps: 'there are no contracts of ACI. Leave it out, and write rules with addresses',
      cfgdTag: 'names of networks in Docker are chosen there. Leave it out',
    });
    const existing = model.get('Group', `${body.tenantName}/${body.groupName}`)?.spec;
    const {
      network: home,
      policies: _,
      qos: __,
      ...kept
    } = withoutOwner<Partial<GroupIntent>>(existing ?? {});
    const policies = (body.policies ?? []).filter((name) => name !== '');
    const intent: GroupIntent = {
      ...kept,
      kind: 'Group',
      tenant: body.tenantName ?? '',
      name: body.groupName ?? '',
      ...members<Pick<GroupIntent, 'network' | 'policies' | 'qos'>>({
        network: told(body.networkName) ?? home,
        policies: policies.length === 0 ? undefined : policies,
        qos: told(body.netProfile),
      }),
    };
    if (intent.network === undefined)
      throw new Refusal('network', `endpointGroup ${intent.name} names no network`, 'give networkName');
    return withTenant(model, intent);
  },
  refs: (key) => [{ kind: 'Group', name: idOfKey(key) }],
  operational: (snapshot, key) => groupOper(snapshot, idOfKey(key)),
};

function groupObject(snapshot: Snapshot, { name, spec }: ObjectViews['Group']): Members {
  const policies = spec.policies ?? [];
  const inTenant = (one: string) => `${spec.tenant}/${one}`;
  return object({
    key: keyOf(name),
    tenantName: spec.tenant,
    groupName: spec.name,
    networkName: spec.network,
    policies,
    netProfile: spec.qos,
    'link-sets': object({
      MatchRules: linkSet('rule', snapshot.rulesAboutGroup(name)),
      Policies: linkSet('policy', policies.map(inTenant)),
    }),
    links: {
      AppProfile: {},
      NetProfile: spec.qos === undefined ? {} : link('netprofile', inTenant(spec.qos)),
      Network: spec.network === undefined ? {} : link('network', inTenant(spec.network)),
      Tenant: link('tenant', spec.tenant),
    },
  });
}

const policy: ContivKind = {
  collection: 'policys',
  word: 'policy',
  keyMembers: ['tenantName', 'policyName'],
  schema: PolicyBody,
  list: (snapshot) => snapshot.policies.map(policyObject),
  get: (snapshot, key) => {
    const view = snapshot.model.get('Policy', idOfKey(key));
    return view && policyObject(view);
  },
  // It says nothing but its name: one that is there stays as it is.
  intents: ({ model }, { tenantName = '', policyName = '' }: PolicyBody) =>
    model.get('Policy', `${tenantName}/${policyName}`) === undefined
      ? withTenant(model, { kind: 'Policy', tenant: tenantName, name: policyName })
      : [],
  refs: (key) => [{ kind: 'Policy', name: idOfKey(key) }],
  operational: (snapshot, key) => {
    const groups = snapshot.model.get('Policy', idOfKey(key))?.status.groups ?? [];
    const subjects = new Map(
      groups
        .flatMap((group) => snapshot.endpointsOfGroup(group))
        .map((endpoint) => [endpoint.name, endpoint]),
    );
    return endpointsOper(snapshot, [...subjects.values()]);
  },
};

function policyObject({ name, spec, status }: ObjectViews['Policy']): Members {
  const rules = (spec.rules ?? []).map((rule) => `${name}/${rule.name}`);
  return {
    key: keyOf(name),
    tenantName: spec.tenant,
    policyName: spec.name,
    'link-sets': object({
      EndpointGroups: linkSet('endpointGroup', status.groups),
      Rules: linkSet('rule', rules),
    }),
    links: { Tenant: link('tenant', spec.tenant) },
  };
}

const netprofile: ContivKind = {
  collection: 'netprofiles',
  word: 'netprofile',
  keyMembers: ['tenantName', 'profileName'],
  schema: NetprofileBody,
  list: (snapshot) => snapshot.profiles.map((view) => profileObject(snapshot, view)),
  get: (snapshot, key) => {
    const view = snapshot.model.get('QosProfile', idOfKey(key));
    return view && profileObject(snapshot, view);
  },
  intents: ({ model }, body: NetprofileBody) => {
    const existing = model.get('QosProfile', `${body.tenantName}/${body.profileName}`)?.spec;
    const { out: _, dscp: __, ...kept } = existing ?? ({} as Partial<QosProfileIntent>);
    const [rate, burst] = [told(body.bandwidth), told(body.burst)];
    if (burst !== undefined && rate === undefined)
      throw new Refusal(
        'burst',
        `netprofile: burst ${burst} without a bandwidth`,
        'give a bandwidth as well',
      );
    const intent: QosProfileIntent = {
      ...kept,
      kind: 'QosProfile',
      tenant: body.tenantName ?? '',
      name: body.profileName ?? '',
      ...members<Pick<QosProfileIntent, 'out' | 'dscp'>>({
        out:
          rate === undefined ? undefined : { rate, ...(burst === undefined ? {} : { burst: `${burst} KB` }) },
        dscp: told(body.DSCP),
      }),
    };
    return withTenant(model, intent);
  },
  refs: (key) => [{ kind: 'QosProfile', name: idOfKey(key) }],
};

function profileObject(snapshot: Snapshot, { name, spec, status }: ObjectViews['QosProfile']): Members {
  const burst = spec.out?.burst === undefined ? undefined : parseBurst(spec.out.burst);
  return object({
    key: keyOf(name),
    tenantName: spec.tenant,
    profileName: spec.name,
    bandwidth: spec.out === undefined ? undefined : bandwidth(spec.out.rate),
    burst: typeof burst === 'number' ? Math.max(1, Math.round(burst / 8)) : undefined,
    DSCP: status.dscp,
    'link-sets': object({ EndpointGroups: linkSet('endpointGroup', snapshot.groupsWithProfile(name)) }),
    links: { Tenant: link('tenant', spec.tenant) },
  });
}

/** As contiv takes it; its client shows the digits at the beginning and the first of g, m and k in it, and fails without digits. */
const BANDWIDTH = /^[1-9][0-9]* ?([kmgKMG]bps|[kmgKMG]|kb|Kb|mb|Mb|gb|Gb)$/;

function bandwidth(rate: string): string {
  if (BANDWIDTH.test(rate)) return rate;
  const kilobits = parseRate(rate);
  if (typeof kilobits !== 'number') return rate;
  if (kilobits % 1_000_000 === 0) return `${kilobits / 1_000_000} gbps`;
  return kilobits % 1000 === 0 ? `${kilobits / 1000} mbps` : `${kilobits} kbps`;
}

export const OBJECT_KINDS: readonly ContivKind[] = [tenant, network, endpointGroup, policy, netprofile];
