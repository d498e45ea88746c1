/** Deletes objects, users first; what is still needed is refused with its users named. */
import { KINDS } from '../intents.js';
import { enumerate } from '../problems.js';
import { unplace } from '../runtime/location.js';
import type { ObjectRef } from '../types.js';
import { forgetLeases } from '../runtime/leases.js';
import { removeHostIntent } from './hosts.js';
import { keptForOwner } from './owners.js';
import { type Plan, TABLE_OF_KIND } from './plan.js';
import { wordOf } from './references.js';
import {
  POLICY_KINDS,
  policyObjectsOf,
  removePolicyObject,
  removeUnwantedPolicy,
  settleUsers,
} from './remove-policy.js';

/** The removal of single objects; each is responsible for what cannot live without it. */
export function removeEndpoint(plan: Plan, id: string): void {
  plan.watch('Endpoint', id);
  if (plan.state.has('binding', id)) removeBinding(plan, id);
  plan.state.set('endpoint', id, undefined);
}

export function removeBinding(plan: Plan, id: string): void {
  plan.watch('HostBinding', id);
  plan.state.set('binding', id, undefined);
}

export function removeNetwork(plan: Plan, id: string): void {
  plan.watch('Network', id);
  forgetLeases(plan.state, id);
  plan.state.set('network', id, undefined);
}

export function removeTenant(plan: Plan, id: string): void {
  plan.watch('Tenant', id);
  plan.state.set('tenant', id, undefined);
  plan.forgetPools(id);
}

/**
 * `replace`: everything that is declared and not wanted goes, but for what is another owner's and what that needs. Dynamic endpoints go
 * only with their network.
 */
export function removeUnwanted(plan: Plan, options: { keepApart: boolean }): void {
  const { state, wanted } = plan;
  const kept = keptForOwner(state);
  const unwanted = (
    table: 'tenant' | 'network' | 'endpoint' | 'binding' | 'host',
    objects: ReadonlyMap<string, unknown>,
  ) => [...state.ids(table)].filter((id) => !objects.has(id) && !kept(table, id)).sort();
  if (!options.keepApart) for (const id of unwanted('binding', wanted.HostBinding)) removeBinding(plan, id);
  const lost: string[] = [];
  for (const id of unwanted('endpoint', wanted.Endpoint)) {
    const record = state.get('endpoint', id);
    if (record?.dynamic === true) {
      const network = `${record.spec.tenant}/${record.spec.network}`;
      if (wanted.Network.has(network) || kept('network', network)) continue;
      lost.push(id);
    }
    removeEndpoint(plan, id);
  }
  if (lost.length > 0) {
    plan.problems.add({
      severity: 'warning',
      code: 'endpoint.lost',
      message: `endpoints that agents had asked for go with their networks: ${enumerate(lost)}`,
    });
  }
  const tenants = unwanted('tenant', wanted.Tenant);
  if (!options.keepApart) removeUnwantedPolicy(plan);
  else {
    for (const tenant of tenants)
      for (const { kind, id } of policyObjectsOf(plan, tenant)) removePolicyObject(plan, kind, id);
  }
  const networks = unwanted('network', wanted.Network);
  for (const id of networks) removeNetwork(plan, id);
  if (options.keepApart) for (const id of networks) settleUsers(plan, 'Network', id, false);
  for (const id of tenants) removeTenant(plan, id);
  for (const id of unwanted('host', wanted.Host)) {
    if (state.get('host', id)?.spec !== undefined) removeHostIntent(plan, id, false);
  }
}

/** Deletes what is named; `cascade` deletes its users as well. */
export function removeNamed(plan: Plan, refs: readonly ObjectRef[], cascade: boolean): void {
  const { state, problems } = plan;
  const named = (kind: ObjectRef['kind']) => refs.filter((ref) => ref.kind === kind).map((ref) => ref.name);
  for (const { kind, name } of refs) {
    if (!KINDS.includes(kind)) {
      refuse(
        plan,
        { kind, name },
        'intent.kind',
        `kind "${kind}" is not known`,
        `kinds are ${KINDS.join(', ')}`,
      );
    } else if (!state.has(TABLE_OF_KIND[kind], name)) {
      refuse(
        plan,
        { kind, name },
        'object.unknown',
        'does not exist',
        plan.didYouMean(name, TABLE_OF_KIND[kind], 'nothing needs to be deleted'),
      );
    }
  }
  if (problems.errors > 0) return;

  for (const id of named('HostBinding')) removeBinding(plan, id);
  for (const id of named('Endpoint')) removeEndpoint(plan, id);
  for (const kind of POLICY_KINDS) for (const id of named(kind)) removePolicyObject(plan, kind, id);
  const users = (
    kind: ObjectRef['kind'],
    name: string,
    ids: Iterable<string>,
    remove: (id: string) => void,
    what: string,
  ) => {
    const found = [...ids].sort();
    if (cascade) for (const id of found) remove(id);
    else if (found.length > 0) {
      refuse(
        plan,
        { kind, name },
        'object.used',
        `is used by ${what} ${enumerate(found)}`,
        'delete them too, or with it: weft delete --cascade, cascade=true over HTTP',
      );
    }
  };
  const endpointsOf = (network: string) => state.indexes.endpointsOfNetwork.get(network);
  const cascadeNetwork = (id: string) => {
    for (const endpoint of endpointsOf(id)) removeEndpoint(plan, endpoint);
    removeNetwork(plan, id);
  };
  for (const id of named('Network')) {
    users('Network', id, endpointsOf(id), (endpoint) => removeEndpoint(plan, endpoint), 'endpoints');
    removeNetwork(plan, id);
  }
  for (const id of named('Tenant')) {
    users('Tenant', id, state.indexes.networksOfTenant.get(id), cascadeNetwork, 'networks');
    const others = policyObjectsOf(plan, id);
    if (cascade) for (const one of others) removePolicyObject(plan, one.kind, one.id);
    else if (others.length > 0) {
      const owned = others.map((one) => `${wordOf(one.kind)} ${one.id}`);
      users('Tenant', id, owned, () => undefined, 'what is in it:');
    }
    removeTenant(plan, id);
  }
  for (const id of named('Host')) {
    const { attachedOnHost, bindingsOfHost } = state.indexes;
    users(
      'Host',
      id,
      attachedOnHost.get(id),
      (endpoint) => {
        plan.watch('Endpoint', endpoint);
        unplace(state, endpoint);
      },
      'attached endpoints',
    );
    users('Host', id, bindingsOfHost.get(id), (binding) => removeBinding(plan, binding), 'bindings of');
    removeHostIntent(plan, id, true);
  }
  for (const { kind, name } of refs) settleUsers(plan, kind, name, cascade);
}

function refuse(plan: Plan, { kind, name }: ObjectRef, code: string, message: string, fix: string): void {
  const path = `${kind} ${name}`;
  plan.problems.add({ severity: 'error', code, path, message: `${path} ${message}`, fix });
}
