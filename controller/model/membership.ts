/** Who is in a group: the answer for one group, or for one endpoint, without looking at all of either. */
import type { LabelSelector } from './facts.js';
import { selectorOf, traitsOf } from './policy-facts.js';
import type { EndpointRecord, GroupRecord } from './records.js';
import type { State } from './state.js';

/** True when labels are as a selector wants them. */
export function matches(
  { matchLabels, expressions }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, wanted]) => value(key) === wanted) &&
    expressions.every(({ key, operator, values }) => {
      const found = value(key);
      switch (operator) {
        case 'In':
          return found !== undefined && values.includes(found);
        case 'NotIn':
          return found === undefined || !values.includes(found);
        case 'Exists':
          return found !== undefined;
        case 'DoesNotExist':
          return found === undefined;
      }
    })
  );
}

/** Endpoints that are in a group; each is told once. */
export function* membersOf(state: State, id: string): Iterable<string> {
  const group = state.get('group', id);
  if (group === undefined) return;
  const seen = new Set<string>();
  for (const endpoint of candidates(state, id, group)) {
    if (seen.has(endpoint) || !state.has('endpoint', endpoint)) continue;
    seen.add(endpoint);
    yield endpoint;
  }
}

function* candidates(state: State, id: string, { spec }: GroupRecord): Iterable<string> {
  for (const endpoint of spec.endpoints ?? []) yield `${spec.tenant}/${endpoint}`;
  yield* state.indexes.policy.users({ table: 'group', id }, 'endpoint');
  yield* chosen(state, spec);
}

/** What the networks and the selector of a group choose. */
function* chosen(state: State, { tenant, networks = [], selector }: GroupRecord['spec']): Iterable<string> {
  const { endpointsOfNetwork } = state.indexes;
  if (selector === undefined) {
    for (const network of networks) yield* endpointsOfNetwork.get(`${tenant}/${network}`);
    return;
  }
  const fact = selectorOf(selector);
  const [label] = Object.entries(fact.matchLabels);
  const inNetworks = new Set(networks);
  const pool =
    label === undefined
      ? endpointsOf(state, tenant, networks)
      : state.indexes.policy.labelled(tenant, label[0], label[1]);
  for (const id of pool) {
    const endpoint = state.get('endpoint', id);
    if (endpoint !== undefined && choosesEndpoint(fact, inNetworks, endpoint)) yield id;
  }
}

const choosesEndpoint = (selector: LabelSelector, networks: ReadonlySet<string>, endpoint: EndpointRecord) =>
  (networks.size === 0 || networks.has(endpoint.spec.network)) &&
  matches(selector, traitsOf(endpoint).labels ?? {});

/** Of these networks; of all networks of the tenant when there are none. */
function* endpointsOf(state: State, tenant: string, networks: readonly string[]): Iterable<string> {
  const { networksOfTenant, endpointsOfNetwork } = state.indexes;
  const ids =
    networks.length > 0 ? networks.map((network) => `${tenant}/${network}`) : networksOfTenant.get(tenant);
  for (const network of ids) yield* endpointsOfNetwork.get(network);
}

export function memberCount(state: State, group: string): number {
  let count = 0;
  for (const _ of membersOf(state, group)) count += 1;
  return count;
}

export function isEmptyGroup(state: State, group: string): boolean {
  for (const _ of membersOf(state, group)) return false;
  return true;
}

/** Groups that an endpoint is in, in order. */
export function groupsOf(state: State, id: string, endpoint: EndpointRecord): string[] {
  const { tenant, network } = endpoint.spec;
  const { policy } = state.indexes;
  const { groups = [], labels = {} } = traitsOf(endpoint);
  const found = new Set<string>(policy.groupsNaming.get(id));
  for (const group of groups) found.add(`${tenant}/${group}`);
  for (const group of policy.users({ table: 'network', id: `${tenant}/${network}` }, 'group')) {
    // One that names it as contiv's network only is a user of it, too.
    const spec = state.get('group', group)?.spec;
    if (spec?.selector === undefined && spec?.networks?.includes(network) === true) found.add(group);
  }
  for (const group of policy.selectorsFor(tenant, labels)) {
    const spec = state.get('group', group)?.spec;
    if (spec?.selector === undefined || found.has(group)) continue;
    if (choosesEndpoint(selectorOf(spec.selector), new Set(spec.networks ?? []), endpoint)) found.add(group);
  }
  return [...found].sort();
}

/** The profile that holds for an endpoint: its own, else that of the first of its groups that has one, else its network's. */
export function profileOf(
  state: State,
  endpoint: EndpointRecord,
  groups: readonly string[],
): string | undefined {
  const { tenant, network } = endpoint.spec;
  const name =
    traitsOf(endpoint).qos ??
    groups.map((group) => state.get('group', group)?.spec.qos).find((qos) => qos !== undefined) ??
    state.get('network', `${tenant}/${network}`)?.spec.qos;
  return name === undefined ? undefined : `${tenant}/${name}`;
}
