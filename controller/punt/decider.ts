/** Which rule or default an entry of the policy app belongs to. */
import type { Decider } from '../../apps/policy/punt.js';
import type { EntryOwner } from '../datapath/index.js';

/** Entries of verdicts are about a rule, or about the policy or tenant whose default they are. */
export function deciderOf({ object }: EntryOwner): Decider | undefined {
  if (object === undefined) return undefined;
  const { kind, number } = object;
  return kind === 'rule' || kind === 'policy' || kind === 'tenant' ? { kind, number } : undefined;
}
