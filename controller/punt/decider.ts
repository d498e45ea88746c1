/** Which rule or default an entry of the policy app belongs to. */
import { T } from '../../apps/pipeline.js';
import type { EntryOwner } from '../datapath/index.js';
import type { Counted } from './rule-book.js';

/**
 * Entries that decide: verdicts of rules, and the defaults, which stand at the end of the tables of rules. An entry of a verdict is about a rule,
 * one of a default about the policy or tenant that says so.
 */
export const DECIDING_RULES: ReadonlySet<string> = new Set([
  'policy.verdicts',
  'policy.policy defaults',
  'policy.tenant defaults',
]);

export function countedBy({ rule, object }: EntryOwner, table: number): Counted | undefined {
  const direction = DIRECTIONS.get(table);
  if (object === undefined || direction === undefined || !DECIDING_RULES.has(rule)) return undefined;
  const { kind, number } = object;
  return kind === 'rule' || kind === 'policy' || kind === 'tenant' ? { kind, number, direction } : undefined;
}

const DIRECTIONS: ReadonlyMap<number, Counted['direction']> = new Map([
  [T.egress_policy.id, 'out'],
  [T.egress_verdict.id, 'out'],
  [T.ingress_policy.id, 'in'],
  [T.ingress_verdict.id, 'in'],
]);
