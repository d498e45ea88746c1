/**
 * Creates, updates and takes away the rules of policies. A policy with `rules` holds all of its rules; a rule by itself is
 * added to those that its policy has.
 */
import type { PolicyIntent } from '../intents.js';
import type { RuleRecord } from '../records.js';
import { setRecord } from './groups.js';
import { ownerOf } from './owners.js';
import type { Plan } from './plan.js';
import { checkReference } from './references.js';
import { type CheckedRule, checkRule, type WantedRule } from './rule-check.js';

/** Of its first rules the exact place tells in the switches: these have no gaps before them. */
const EXACT_POSITIONS = 10;

interface WantedRules {
  /** All that the policy shall have; otherwise they come to those that it has. */
  readonly all: boolean;
  readonly rules: WantedRule[];
}

/** @param mode `replace`: what no policy and no rule of the request names goes */
export function applyRules(plan: Plan, mode: 'add' | 'replace'): void {
  const unwanted: string[] = [];
  const byPolicy = wantedByPolicy(plan, mode);
  for (const [policy, { all, rules }] of byPolicy) {
    const checked = rules
      .map((wanted) => checkRule(plan, wanted, mode === 'replace'))
      .filter((rule) => rule !== undefined);
    const positions = all ? orderedPositions(plan, checked) : appendedPositions(plan, policy, checked);
    for (const [index, rule] of checked.entries()) store(plan, rule, positions[index] as number);
    if (!all) continue;
    const kept = new Set(rules.map(({ id }) => id));
    unwanted.push(...[...plan.state.indexes.policy.rulesOfPolicy.get(policy)].filter((id) => !kept.has(id)));
  }
  if (mode === 'replace') {
    const policies = new Set(byPolicy.keys());
    for (const [id, { spec }] of plan.state.entries('rule'))
      if (!policies.has(policyOf(spec)) && ownerOf(plan.state, 'Policy', policyOf(spec)) === undefined)
        unwanted.push(id);
  }
  // After the new ones, which get other numbers: what is counted for a number is never of two rules.
  for (const id of unwanted.sort()) removeRule(plan, id);
}

const policyOf = ({ tenant, policy }: { tenant: string; policy: string }): string => `${tenant}/${policy}`;

export function removeRule(plan: Plan, id: string): void {
  plan.watch('Rule', id);
  plan.state.set('rule', id, undefined);
}

function wantedByPolicy(plan: Plan, mode: 'add' | 'replace'): Map<string, WantedRules> {
  const wanted = new Map<string, WantedRules>();
  for (const [id, policy] of plan.wanted.Policy) {
    const all = policy.rules !== undefined || mode === 'replace';
    if (!plan.failed('Policy', id)) wanted.set(id, { all, rules: rulesOf(plan, id, policy) });
  }
  for (const [id, rule] of plan.wanted.Rule) {
    plan.watch('Rule', id);
    const { tenant, policy } = rule;
    const owner = `${tenant}/${policy}`;
    if (!checkReference(plan, rule, 'policy', 'Policy', owner)) continue;
    let list = wanted.get(owner);
    if (list === undefined) wanted.set(owner, (list = { all: false, rules: [] }));
    if (list.rules.some((other) => other.id === id)) {
      plan.problems.error(
        rule,
        '',
        'intent.duplicate',
        `is among the rules of Policy ${owner} too`,
        'remove one of the two',
      );
    } else list.rules.push({ id, rule: members(rule), tenant, policy, object: rule, prefix: '' });
  }
  return wanted;
}

/** The rule as it would stand in its policy. */
function members({
  kind: _,
  tenant: __,
  policy: ___,
  ...rule
}: Plan['wanted']['Rule'] extends ReadonlyMap<string, infer R> ? R : never) {
  return rule;
}

function rulesOf(plan: Plan, id: string, policy: PolicyIntent): WantedRule[] {
  const seen = new Map<string, number>();
  const rules: WantedRule[] = [];
  for (const [index, rule] of (policy.rules ?? []).entries()) {
    const first = seen.get(rule.name);
    if (first !== undefined) {
      plan.problems.error(
        policy,
        `rules[${index}].name`,
        'rule.duplicate',
        `"${rule.name}" is the name of rules[${first}] too`,
        'give each rule of a policy a name of its own',
      );
      continue;
    }
    seen.set(rule.name, index);
    rules.push({
      id: `${id}/${rule.name}`,
      rule,
      tenant: policy.tenant,
      policy: policy.name,
      object: policy,
      prefix: `rules[${index}].`,
    });
  }
  return rules;
}

/** Places in the order given; of what stands behind the first few, as many as possible stay as they are. */
function orderedPositions(plan: Plan, rules: readonly CheckedRule[]): number[] {
  const positions: number[] = [];
  for (const [index, { id }] of rules.entries()) {
    const least = (positions.at(-1) ?? -1) + 1;
    const existing = plan.state.get('rule', id)?.position ?? least;
    positions.push(index < EXACT_POSITIONS ? index : Math.max(least, existing));
  }
  return positions;
}

/** New rules stand behind those that the policy has. */
function appendedPositions(plan: Plan, policy: string, rules: readonly CheckedRule[]): number[] {
  let next: number | undefined;
  const last = () => {
    let highest = -1;
    for (const id of plan.state.indexes.policy.rulesOfPolicy.get(policy))
      highest = Math.max(highest, plan.state.get('rule', id)?.position ?? -1);
    return highest;
  };
  return rules.map(({ id }) => {
    const existing = plan.state.get('rule', id)?.position;
    if (existing !== undefined) return existing;
    next = (next ?? last()) + 1;
    return next;
  });
}

function store(plan: Plan, rule: CheckedRule, position: number): void {
  const { id, object, spec } = rule;
  const { state } = plan;
  const existing = state.get('rule', id);
  const number = existing?.number ?? plan.allocateNumber(object, state.indexes.policy.numbers.rule, 32);
  if (number === undefined) return;
  const record: RuleRecord = { number, position, spec };
  plan.rules.push(rule);
  // That most rules of a policy are as they were goes without saying.
  if (rule.changed || rule.prefix === '') plan.watch('Rule', id);
  setRecord(plan, 'rule', id, record);
}
