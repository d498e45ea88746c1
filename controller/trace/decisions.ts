/** What policy said: the lookups of the policy stages whose entries are about a rule or a default. */
import type { FlowStats } from '../../ofproto/index.js';
import type { Collection } from '../derive/index.js';
import type { PolicyFact, RuleFact, TenantFact } from '../model/facts.js';
import type { Names } from './narrate.js';
import type { TraceDecision } from './report.js';
import { type Lookup, stepsOf } from './steps.js';
import type { Visit } from './walk.js';

export interface PolicyFacts {
  readonly tenants: Collection<TenantFact>;
  readonly policies: Collection<PolicyFact>;
  readonly rules: Collection<RuleFact>;
}

const DIRECTIONS: Readonly<Record<string, 'in' | 'out' | undefined>> = {
  egress_policy: 'out',
  ingress_policy: 'in',
};

/** In the order in which the packet met them; a rule that two tables speak of is one decision. */
export function decisionsOf(names: Names, facts: PolicyFacts, { host, lookup }: Visit): TraceDecision[] {
  if (lookup === undefined) return [];
  const decisions: TraceDecision[] = [];
  for (const step of stepsOf(lookup, 'lookup')) {
    const direction = DIRECTIONS[names.pipeline.order[step.table]?.stage ?? ''];
    const decision = direction === undefined ? undefined : decisionOf(names, facts, step);
    if (decision === undefined || direction === undefined) continue;
    const last = decisions.at(-1);
    const made = { host: host.name, direction, ...decision };
    if (last?.direction === direction && last.because === made.because) decisions.pop();
    decisions.push(made);
  }
  return decisions;
}

function decisionOf(
  names: Names,
  facts: PolicyFacts,
  { entry }: Lookup<FlowStats>,
): Omit<TraceDecision, 'host' | 'direction'> | undefined {
  if (entry === undefined) return undefined;
  const object = names.ownerOf(entry.cookie)?.object;
  if (object?.kind === undefined) return undefined;
  const { name, number } = object;
  const goesOn = entry.instructions.some(({ type }) => type === 'goto_table');
  const action = goesOn ? 'allow' : 'deny';
  switch (object.kind) {
    case 'rule': {
      const rule = name === undefined ? undefined : facts.rules.get(name);
      if (rule === undefined) return { action, because: `rule number ${number}, which is no more` };
      const words = `rule ${rule.name} of policy ${rule.policy}`;
      // The verdict of a stateless rule on what answers: it needs a rule of its own.
      const stateless = rule.action === 'allow' && !goesOn;
      return {
        action: stateless ? 'deny' : rule.action,
        rule: rule.id,
        policy: rule.policy,
        intent: `Policy ${rule.policy}, rules[${placeOf(rule, facts)}]`,
        because: stateless ? `${words}, which is stateless: answers need a rule of their own` : words,
      };
    }
    case 'policy': {
      if (name === undefined) return { action, because: `the default of policy number ${number}` };
      return { action, policy: name, intent: `Policy ${name}`, because: `the default of policy ${name}` };
    }
    case 'tenant':
      if (name === undefined) return { action, because: `the default of tenant number ${number}` };
      return { action, intent: `Tenant ${name}`, because: `the default of tenant ${name}` };
    default:
      return undefined;
  }
}

/** Index of a rule among those of its policy, in their order. */
function placeOf({ policy, position }: RuleFact, { rules }: PolicyFacts): number {
  let place = 0;
  for (const [, other] of rules.entries()) if (other.policy === policy && other.position < position) place++;
  return place;
}
