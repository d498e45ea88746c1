/** Creates and updates QoS profiles. */
import type { QosProfileIntent } from '../intents.js';
import { parseBurst, parseDscp, parseRate } from '../rates.js';
import { setRecord } from './groups.js';
import type { Plan } from './plan.js';
import { numberOf } from './references.js';

const RATE_FIX = 'write it like 10 Mbps, 512 kbit or 1.5G';
const BURST_FIX = 'write it like 256 KB or 2 Mbit';

export function applyProfiles(plan: Plan): void {
  for (const [id, profile] of plan.wanted.QosProfile) {
    plan.watch('QosProfile', id);
    const number = numberOf(plan, profile, 'qosProfile', id);
    const valid = checkProfile(plan, profile);
    if (number === undefined || !valid) plan.fail(profile);
    else setRecord(plan, 'qosProfile', id, { number, spec: profile });
  }
}

function checkProfile(plan: Plan, profile: QosProfileIntent): boolean {
  const errors = plan.problems.errors;
  const wrong = (member: string, message: string, fix: string) =>
    plan.problems.error(profile, member, `qosProfile.${member}`, message, fix);
  for (const member of ['out', 'in'] as const) {
    const limit = profile[member];
    if (limit === undefined) continue;
    const rate = parseRate(limit.rate);
    if (typeof rate === 'string') wrong(`${member}.rate`, rate, RATE_FIX);
    const burst = limit.burst === undefined ? 0 : parseBurst(limit.burst);
    if (typeof burst === 'string') wrong(`${member}.burst`, burst, BURST_FIX);
    else if (limit.burst !== undefined && typeof rate === 'number')
      warnOfBurst(plan, profile, member, rate, burst);
  }
  if (profile.dscp !== undefined && parseDscp(profile.dscp) === undefined) {
    wrong('dscp', `"${profile.dscp}" is no code point`, 'write 0 to 63, or EF, VA, CS0 to CS7, AF11 to AF43');
  }
  if (profile.guaranteed !== undefined) {
    const rate = parseRate(profile.guaranteed);
    if (typeof rate === 'string') wrong('guaranteed', rate, RATE_FIX);
    if (profile.queue === undefined) {
      wrong('guaranteed', 'is of a queue, and the profile has none', 'give queue: 0 to 7 as well');
    }
  }
  return plan.problems.errors === errors;
}

/** TCP collapses below that (field.md: 100 ms of a rate give half of it). */
const SHORTEST_BURST_SECONDS = 0.1;

function warnOfBurst(
  plan: Plan,
  profile: QosProfileIntent,
  member: 'in' | 'out',
  rate: number,
  burst: number,
): void {
  if (burst >= rate * SHORTEST_BURST_SECONDS) return;
  plan.problems.warn(
    profile,
    `${member}.burst`,
    'qosProfile.burst',
    `is ${Math.round((burst / rate) * 1000)} ms of the rate: TCP will stay far below it`,
    'leave it out, or give at least 100 ms of the rate',
  );
}
