/**
 * What becomes of a packet: the verdict of the rule that decided, counted, logged and done; and what the defaults say where no rule
 * did.
 *
 * A rule has an entry for packets that begin connections and one for the others, on every switch where somebody is subject to its
 * policy: all counts of a rule are those of these entries.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { ScopeName } from '../../controller/datapath/entry.js';
import type { RuleFact } from '../../controller/model/facts.js';
import { type Action, CtState, MeterFlag, type Match } from '../../ofproto/index.js';
import { ctState } from '../conntrack.js';
import { Priority, R } from '../pipeline.js';
import { PolicyPriority } from './priority.js';
import { type Punt, PUNT_BURST, PUNT_RATE, PuntMeter, toController } from './punt.js';
import { type NumberedSubject, SIDE, subjectScope } from './rules.js';
import { judgement, type Subject, type Subjects } from './subjects.js';

export function policyScope(policy: { readonly number: number }): ScopeName {
  return `policy:${policy.number}`;
}

/** The order is in cookies: append only. */
export function declareVerdicts(d: AppDeclaration, subjects: Subjects): void {
  const { policies, inForce } = subjects;
  d.entries({ name: 'verdicts', object: 'rule' }, d.facts.rules, (context, rule) => {
    const policy = context.get(policies, rule.policy);
    if (policy === undefined || context.get(inForce, judgement(rule.direction, rule.policy)) === undefined)
      return;
    verdictEntries(context, policyScope(policy), rule);
  });
  d.entries({ name: 'policy defaults', object: 'policy' }, subjects.subjects.first, (context, numbered) => {
    const found = defaultOf(context, subjects, numbered.set);
    if (found.of === 'policy') defaultEntry(context, numbered, 'policy', found);
  });
  d.entries({ name: 'tenant defaults', object: 'tenant' }, subjects.subjects.first, (context, numbered) => {
    const found = defaultOf(context, subjects, numbered.set);
    if (found.of === 'policy') return;
    const tenant = context.get(d.facts.tenants, numbered.set.tenant);
    defaultEntry(context, numbered, 'tenant', {
      action: tenant?.defaultAction ?? 'allow',
      number: tenant?.number ?? 0,
    });
  });
  d.entries('meters', subjects.anything, (context) => {
    for (const id of Object.values(PuntMeter)) {
      context.meter('global', {
        id,
        flags: MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS,
        bands: [{ type: 'drop', rate: PUNT_RATE, burstSize: PUNT_BURST }],
      });
    }
  });
}

function verdictEntries(context: EntryContext, scope: ScopeName, rule: RuleFact): void {
  const { direction, number, action, log, stateless } = rule;
  const { verdict: table, next } = SIDE[direction];
  const punt = (verdict: Punt['verdict']): Action =>
    toController({ verdict, direction, decider: { kind: 'rule', number } });
  const entry = (priority: number, states: Match, actions: readonly Action[], passes: boolean): void =>
    context.flow(scope, {
      table,
      priority,
      match: [R.rule.match(number), ...states],
      ...(actions.length === 0 ? {} : { apply: actions }),
      ...(passes ? { goto: next } : {}),
      ...(actions.length === 0 && !passes ? { drop: true as const } : {}),
      object: number,
    });

  const passes = action === 'allow';
  const always: Action[] = passes ? (stateless ? [R.stateless.set(1)] : []) : [];
  if (action === 'reject' || (action === 'deny' && log)) always.push(punt(action));
  const atBeginning = passes && log ? [...always, punt('allow')] : always;
  if (stateless && passes) entry(Priority.forbid, ctState(CtState.REPLY), [], false);
  entry(Priority.guard, ctState(CtState.NEW), atBeginning, passes);
  entry(Priority.shared, [], always, passes);
}

interface Default {
  readonly action: 'allow' | 'deny';
  /** Of the policy or tenant that says so. */
  readonly number: number;
}

/** Deny where one policy says so, else allow where one says so, else what the tenant says. */
function defaultOf(
  context: EntryContext,
  { policies }: Subjects,
  subject: Subject,
): (Default & { readonly of: 'policy' }) | { readonly of: 'tenant' } {
  const summaries = subject.policies.flatMap((id) => context.get(policies, id) ?? []);
  for (const action of ['deny', 'allow'] as const) {
    const saying = summaries.find((summary) => summary[subject.direction]?.default === action);
    if (saying !== undefined) return { of: 'policy', action, number: saying.number };
  }
  return { of: 'tenant' };
}

/** What a default denies is logged always: it is what people look for, and no rule is there to ask for it. */
function defaultEntry(
  context: EntryContext,
  { number, set: { direction } }: NumberedSubject,
  kind: 'policy' | 'tenant',
  { action, number: object }: Default,
): void {
  const { table, subject, next } = SIDE[direction];
  const denied = toController({ verdict: 'deny', direction, decider: { kind, number: object } });
  context.flow(subjectScope(number), {
    table,
    priority: PolicyPriority.byDefault,
    match: [subject.match(number)],
    ...(action === 'allow' ? { goto: next } : { apply: [denied] }),
    object,
  });
}
