/** From what happened to a sentence. */
import { type FlowStats, formatFlowStats } from '../../ofproto/index.js';
import { type Names, ownerName, tableName } from './narrate.js';
import type { Party } from './probe.js';
import type { TraceDecision, TraceOutcome } from './report.js';
import { type Lookup, stepsOf } from './steps.js';
import type { Visit } from './walk.js';

export interface LegOutcome {
  readonly outcome: TraceOutcome;
  /** Why it did not arrive. */
  readonly reason?: string;
}

/** What became of one direction. */
export function outcomeOf(
  names: Names,
  visits: readonly Visit[],
  receiver: Party,
  decisions: readonly TraceDecision[],
): LegOutcome {
  const departures = visits.flatMap((visit) => visit.departures);
  const arrived = departures.some(({ kind, endpoint, to }) =>
    receiver.endpoint === undefined
      ? kind === 'uplink' && to.endsWith(' to outside')
      : kind === 'endpoint' && endpoint?.id === receiver.endpoint.id,
  );
  if (arrived) return { outcome: 'allowed' };
  if (visits.length === 0) return { outcome: 'lost', reason: 'it has no way to the first switch' };
  const unseen = visits.find((visit) => visit.unseen !== undefined);
  if (unseen !== undefined) {
    const before = visits.length > 1 ? ' (nothing before it dropped the packet)' : '';
    return { outcome: 'unseen', reason: `${unseen.unseen}${before}` };
  }
  const last = visits.at(-1) as Visit;
  const host = last.host.name;
  const [unknown] = visits.flatMap(({ lookup }) => (lookup === undefined ? [] : stepsOf(lookup, 'unknown')));
  if (unknown !== undefined)
    return { outcome: 'lost', reason: `on ${host} it cannot be told further: ${unknown.what}` };
  const elsewhere = last.departures.filter(({ kind }) => kind !== 'controller');
  if (elsewhere.length > 0) {
    const where = elsewhere.map(({ to }) => to).join(', ');
    return { outcome: 'lost', reason: `it left ${host} by ${where}, and not to its receiver` };
  }
  const rejected = decisions.at(-1)?.action === 'reject';
  return { outcome: rejected ? 'rejected' : 'dropped', reason: dropReason(names, last, decisions.at(-1)) };
}

/** Where and by what entry a packet was dropped, whose copies all ended. */
export function dropReason(
  names: Names,
  { host, lookup }: { readonly host: { readonly name: string }; readonly lookup?: Lookup<FlowStats> },
  decision: TraceDecision | undefined,
): string {
  const last = lookup === undefined ? undefined : lastLookup(lookup);
  if (last === undefined) return `on ${host.name}`;
  const where = `on ${host.name} in table ${tableName(names, last.table)}`;
  const isPolicy = names.pipeline.order[last.table]?.stage.endsWith('_policy') === true;
  if (isPolicy && decision !== undefined && decision.action !== 'allow') {
    const intent = decision.intent === undefined ? '' : ` (${decision.intent})`;
    return `${where} by ${decision.because}${intent}`;
  }
  if (stepsOf(last, 'suppressed').length > 0)
    return `${where}: it would go back out of the port by which it came`;
  if (last.entry === undefined) return `${where}: no entry matches`;
  const { cookie } = last.entry;
  const owner = names.ownerOf(cookie);
  const cause = owner === undefined ? undefined : names.causeOf(owner, last.table);
  const whose = ownerName(names, cookie);
  const because = cause === undefined || cause.endsWith(whose) ? '' : ` (${cause})`;
  return `${where} by ${whose}${because}: ${formatFlowStats(last.entry)}`;
}

/** Where its way ended. */
function lastLookup(lookup: Lookup<FlowStats>): Lookup<FlowStats> | undefined {
  return stepsOf(lookup, 'lookup').at(-1);
}

/** `rule http of policy acme/front (Policy acme/front, rules[2])`, once each. */
export function reasons(decisions: readonly TraceDecision[]): string {
  const words = decisions.map(({ direction, host, because, intent }) => {
    const where = intent === undefined ? '' : ` (${intent})`;
    return `${direction === 'out' ? 'out of' : 'into'} ${host} because ${because}${where}`;
  });
  return [...new Set(words)].join(', and ');
}
