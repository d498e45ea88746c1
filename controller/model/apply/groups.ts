/** Creates and updates groups, address sets, tiers and policies (without their rules). */
import type { AddressSetIntent, GroupIntent } from '../intents.js';
import { addressBlock, parsePrefix, parsePrefixes } from '../prefixes.js';
import { sameFact } from '../record-facts.js';
import type { Records, Table } from '../records.js';
import type { Plan } from './plan.js';
import { checkReference, numberOf } from './references.js';

/** Leaves a record alone that says the same already. */
export function setRecord<T extends Table>(plan: Plan, table: T, id: string, record: Records[T]): void {
  if (!sameFact(plan.state.get(table, id), record)) plan.state.set(table, id, record);
}

export function applyTiers(plan: Plan): void {
  for (const [id, tier] of plan.wanted.Tier) {
    plan.watch('Tier', id);
    setRecord(plan, 'tier', id, { spec: tier });
  }
}

export function applyAddressSets(plan: Plan): void {
  for (const [id, set] of plan.wanted.AddressSet) {
    plan.watch('AddressSet', id);
    const number = numberOf(plan, set, 'addressSet', id);
    const valid = checkAddresses(plan, set);
    if (number === undefined || !valid) plan.fail(set);
    else setRecord(plan, 'addressSet', id, { number, spec: set });
  }
}

function checkAddresses(plan: Plan, set: AddressSetIntent): boolean {
  const errors = plan.problems.errors;
  for (const member of ['addresses', 'except'] as const) {
    for (const [index, text] of (set[member] ?? []).entries()) {
      const prefix = parsePrefix(text);
      if ('family' in prefix) continue;
      plan.problems.error(set, `${member}[${index}]`, 'addressSet.address', prefix.message, prefix.fix);
    }
  }
  if (plan.problems.errors > errors) return false;
  const addresses = parsePrefixes(set.addresses);
  if (addresses.length > 0 && addressBlock(addresses, parsePrefixes(set.except)).prefixes.length === 0) {
    plan.problems.warn(
      set,
      'except',
      'addressSet.nothing',
      'takes all of the addresses away: the set is empty',
      'correct the exceptions',
    );
  }
  return true;
}

export function applyPolicies(plan: Plan): void {
  for (const [id, policy] of plan.wanted.Policy) {
    plan.watch('Policy', id);
    const { rules: _, ...spec } = policy;
    const number = numberOf(plan, policy, 'policy', id);
    const tier = policy.tier === undefined || checkReference(plan, policy, 'tier', 'Tier', policy.tier);
    if (number === undefined || !tier) plan.fail(policy);
    else setRecord(plan, 'policy', id, { number, spec });
  }
}

export function applyGroups(plan: Plan): void {
  for (const [id, group] of plan.wanted.Group) {
    plan.watch('Group', id);
    const number = numberOf(plan, group, 'group', id);
    const valid = number !== undefined && checkGroup(plan, group);
    if (valid) setRecord(plan, 'group', id, { number, spec: group });
    else plan.fail(group);
  }
}

function checkGroup(plan: Plan, group: GroupIntent): boolean {
  const { tenant, network: home, networks = [], policies = [], qos, selector } = group;
  let valid = home === undefined || checkReference(plan, group, 'network', 'Network', `${tenant}/${home}`);
  for (const [index, network] of networks.entries()) {
    if (!checkReference(plan, group, `networks[${index}]`, 'Network', `${tenant}/${network}`)) valid = false;
  }
  for (const [index, policy] of policies.entries()) {
    if (!checkReference(plan, group, `policies[${index}]`, 'Policy', `${tenant}/${policy}`)) valid = false;
  }
  if (qos !== undefined && !checkReference(plan, group, 'qos', 'QosProfile', `${tenant}/${qos}`))
    valid = false;
  for (const [index, { operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues === values.length > 0) continue;
    plan.problems.error(
      group,
      `selector.matchExpressions[${index}].values`,
      'group.selector',
      needsValues ? `${operator} needs values` : `${operator} takes no values`,
      needsValues ? 'write values: […]' : 'leave values out, or use In',
    );
    valid = false;
  }
  return valid;
}

/** Members by name may come later, so that they may be missing; told after the endpoints have been worked out. */
export function warnOfUnknownMembers(plan: Plan): void {
  for (const [id, group] of plan.wanted.Group) {
    if (plan.failed('Group', id)) continue;
    for (const [index, endpoint] of (group.endpoints ?? []).entries()) {
      const member = `${group.tenant}/${endpoint}`;
      if (plan.state.has('endpoint', member)) continue;
      plan.problems.warn(
        group,
        `endpoints[${index}]`,
        'group.endpoint.unknown',
        `there is no endpoint ${member} yet`,
        plan.didYouMean(member, 'endpoint', 'it is a member as soon as it is there'),
      );
    }
  }
}
