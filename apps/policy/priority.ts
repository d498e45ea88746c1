/**
 * The ladder of priorities in `egress_policy` and `ingress_policy`.
 *
 *     65000          packets that nobody here is judged for
 *     64900          what connection tracking calls invalid
 *     64850          group membership, which is nobody's to judge
 *     64800, 64700   what is not tracked
 *     100 to 60099   rules: by tier, then priority, then deny and reject over allow
 *     10             defaults
 *
 * Each step of the rules has ten rungs for those that say the same, so that it is known which of several counts a packet: reject over
 * deny, stateful over stateless, then the first in its policy. From the fifth on they share a rung, and of those that overlap
 * without being equal the switch chooses one; the outcome is the same.
 */
import type { RuleFact } from '../../controller/model/facts.js';

export const PolicyPriority = {
  unjudged: 65_000,
  invalid: 64_900,
  link: 64_850,
  untrackedIp: 64_800,
  untracked: 64_700,
  byDefault: 10,
} as const;

const LOWEST_RULE = 100;
const PRIORITIES = 100;
const RUNGS = 10;
const POSITIONS = 5;

/** 100 to 60099. `tier`: 1 to 30. */
export function rulePriority(
  tier: number,
  { priority, action, stateless, position }: Pick<RuleFact, 'priority' | 'action' | 'stateless' | 'position'>,
): number {
  const step = ((tier - 1) * PRIORITIES + priority - 1) * 2 + (action === 'allow' ? 0 : 1);
  const preferred = action === 'reject' || (action === 'allow' && !stateless);
  const rung = (preferred ? POSITIONS : 0) + POSITIONS - 1 - Math.min(position, POSITIONS - 1);
  return LOWEST_RULE + step * RUNGS + rung;
}
