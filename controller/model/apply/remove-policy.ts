/**
 * Deletes objects of policy and quality of service. What still names a deleted object either forbids that, or (cascade) stops
 * naming it; a rule that names it goes, because without one of its peers it would say something else.
 */
import type { EndpointIntent } from '../intents.js';
import { enumerate } from '../problems.js';
import { type Named, NUMBERED, type UserTable } from '../policy-indexes.js';
import type { Traits } from '../records.js';
import type { ObjectRef } from '../types.js';
import { ownerOf } from './owners.js';
import { type Plan, TABLE_OF_KIND } from './plan.js';
import { wordOf } from './references.js';
import { removeRule } from './rules.js';

/** Users first. */
export const POLICY_KINDS = ['Rule', 'Group', 'Policy', 'AddressSet', 'QosProfile', 'Tier'] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

const USER_KINDS = {
  endpoint: 'Endpoint',
  group: 'Group',
  rule: 'Rule',
  network: 'Network',
  policy: 'Policy',
} as const satisfies Record<UserTable, ObjectRef['kind']>;
const USER_TABLES = Object.keys(USER_KINDS) as readonly UserTable[];

/** A policy goes with its rules. */
export function removePolicyObject(plan: Plan, kind: PolicyKind, id: string): void {
  plan.watch(kind, id);
  if (kind === 'Policy')
    for (const rule of [...plan.state.indexes.policy.rulesOfPolicy.get(id)].sort()) removeRule(plan, rule);
  plan.state.set(TABLE_OF_KIND[kind], id, undefined);
}

/** `replace`, but for rules: they go when those that come are known. */
export function removeUnwantedPolicy(plan: Plan): void {
  const { state, wanted } = plan;
  for (const kind of POLICY_KINDS) {
    if (kind === 'Rule') continue;
    const table = TABLE_OF_KIND[kind];
    const isUnwanted = (id: string) => !wanted[kind].has(id) && ownerOf(state, kind, id) === undefined;
    for (const id of [...state.ids(table)].filter(isUnwanted).sort()) {
      plan.watch(kind, id);
      state.set(table, id, undefined);
      if (kind === 'Group' || kind === 'QosProfile') forget(plan, { table: TABLE_OF_KIND[kind], id });
    }
  }
}

/** Endpoints that agents have put into a group, or given a profile, stay when that goes: nobody can correct them. */
function forget(plan: Plan, named: Named): void {
  const losers = [...plan.state.indexes.policy.users(named, 'endpoint')].sort();
  for (const id of losers) withoutTrait(plan, id, named);
  const stay = losers.filter((id) => !plan.wanted.Endpoint.has(id));
  if (stay.length === 0) return;
  plan.problems.add({
    severity: 'warning',
    code: 'endpoint.trait.lost',
    message: `${enumerate(stay)} ${stay.length === 1 ? 'was' : 'were'} in ${named.table === 'group' ? 'group' : 'QoS profile'} ${named.id}, which goes`,
  });
}

/** Everything in a tenant but its networks, users first. */
export function policyObjectsOf(plan: Plan, tenant: string): { kind: PolicyKind; id: string }[] {
  const { policy } = plan.state.indexes;
  return POLICY_KINDS.flatMap((kind) => {
    const table = TABLE_OF_KIND[kind];
    const ids = NUMBERED.find((numbered) => numbered === table);
    return ids === undefined ? [] : [...policy.ofTenant(ids, tenant)].sort().map((id) => ({ kind, id }));
  });
}

/** After the deletion of an object: refuses when it is named by others that stay, or ends that. */
export function settleUsers(plan: Plan, kind: ObjectRef['kind'], id: string, cascade: boolean): void {
  const table = TABLE_OF_KIND[kind];
  if (!isNamed(table)) return;
  const named: Named = { table, id };
  for (const user of USER_TABLES) {
    const users = [...plan.state.indexes.policy.users(named, user)].sort();
    if (users.length === 0) continue;
    if (cascade) for (const one of users) endUse(plan, user, one, named);
    else {
      const path = `${kind} ${id}`;
      const what = `${wordOf(USER_KINDS[user])}${users.length === 1 ? '' : 's'}`.replace(/ys$/, 'ies');
      plan.problems.add({
        severity: 'error',
        code: 'object.used',
        path,
        message: `${path} is used by ${what} ${enumerate(users)}`,
        fix: 'change them first, or end that with it: weft delete --cascade, cascade=true over HTTP',
      });
    }
  }
}

const NAMED_TABLES: readonly string[] = [
  'network',
  'tier',
  'qosProfile',
  'addressSet',
  'policy',
  'group',
] satisfies Named['table'][];
const isNamed = (table: string): table is Named['table'] => NAMED_TABLES.includes(table);

function endUse(plan: Plan, user: UserTable, id: string, named: Named): void {
  const { state } = plan;
  const name = named.id.slice(named.id.lastIndexOf('/') + 1);
  if (user === 'rule') return removeRule(plan, id);
  if (user === 'endpoint') return withoutTrait(plan, id, named);
  plan.watch(USER_KINDS[user], id);
  if (user === 'network') {
    const record = state.get('network', id);
    if (record === undefined) return;
    const { qos: _, ...spec } = record.spec;
    return state.set('network', id, { ...record, spec });
  }
  if (user === 'policy') {
    const record = state.get('policy', id);
    if (record === undefined) return;
    const { tier: _, ...spec } = record.spec;
    return state.set('policy', id, { ...record, spec });
  }
  const record = state.get('group', id);
  if (record === undefined) return;
  const { network: home, networks = [], policies = [], qos, selector, ...rest } = record.spec;
  const networksLeft = named.table === 'network' ? networks.filter((one) => one !== name) : networks;
  const policiesLeft = named.table === 'policy' ? policies.filter((one) => one !== name) : policies;
  // A selector that was for certain networks is not for all of them because the last of those is gone.
  const selects = selector !== undefined && (networks.length === 0 || networksLeft.length > 0);
  state.set('group', id, {
    ...record,
    spec: {
      ...rest,
      ...(home === undefined || (named.table === 'network' && home === name) ? {} : { network: home }),
      ...(networksLeft.length === 0 ? {} : { networks: networksLeft }),
      ...(selects ? { selector } : {}),
      ...(policiesLeft.length === 0 ? {} : { policies: policiesLeft }),
      ...(qos === undefined || named.table === 'qosProfile' ? {} : { qos }),
    },
  });
}

/** An endpoint that is not in a group any more, or has not the profile, whoever said so. */
function withoutTrait(plan: Plan, id: string, named: Named): void {
  const record = plan.state.get('endpoint', id);
  if (record === undefined) return;
  plan.watch('Endpoint', id);
  const name = named.id.slice(named.id.lastIndexOf('/') + 1);
  const { announced: before, ...rest } = record;
  const announced = before && without(before, named.table, name);
  plan.state.set('endpoint', id, {
    ...rest,
    spec: without(record.spec, named.table, name) as EndpointIntent,
    ...(announced === undefined || Object.keys(announced).length === 0 ? {} : { announced }),
  });
}

function without(traits: Traits, table: Named['table'], name: string): Traits {
  const { groups, qos, ...rest } = traits;
  const left = table === 'group' ? groups?.filter((group) => group !== name) : groups;
  return {
    ...rest,
    ...(left === undefined || left.length === 0 ? {} : { groups: left }),
    ...(qos === undefined || (table === 'qosProfile' && qos === name) ? {} : { qos }),
  };
}
