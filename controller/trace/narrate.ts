/** Visits in words: lookups in the order in which they were made, each with its entry, whose it is, and what it did. */
import { type FlowStats, formatFlowStats } from '../../ofproto/index.js';
import type { Pipeline } from '../datapath/pipeline.js';
import { type EntryOwner, ownerText } from '../datapath/index.js';
import type { TraceStep, TraceVisit } from './report.js';
import type { Lookup, Step } from './steps.js';
import type { Visit } from './walk.js';

/** What names are taken from. */
export interface Names {
  readonly pipeline: Pipeline;
  /** Whose entry has this cookie; undefined for entries that are not Weft's. */
  ownerOf(cookie: bigint): EntryOwner | undefined;
  /** Why an entry of this owner drops in this table, in words; undefined where there is nothing to say but whose it is. */
  causeOf(owner: EntryOwner, table: number): string | undefined;
}

/** `bridge.local of endpoint acme/web/a`, `somebody else (cookie 0x7)`. */
export function ownerName(names: Names, cookie: bigint): string {
  const owner = names.ownerOf(cookie);
  return owner === undefined ? `somebody else (cookie 0x${cookie.toString(16)})` : ownerText(owner);
}

export function tableName({ pipeline }: Names, id: number): string {
  return pipeline.order[id]?.name ?? `table ${id}`;
}

/** @param sentOn what a controller did with it that was asked, as a packet-out */
export function narrate(
  names: Names,
  lookup: Lookup<FlowStats> | undefined,
  sentOn: readonly Step<FlowStats>[] = [],
): TraceStep[] {
  const steps: TraceStep[] = [];
  if (lookup !== undefined) narrateLookup(names, lookup, 0, undefined, steps);
  for (const step of sentOn) {
    if (step.kind === 'lookup') narrateLookup(names, step, 0, 'sent on by the controller', steps);
  }
  return steps;
}

export function narrateVisit(names: Names, visit: Visit): TraceVisit {
  const { host, arrival, connection, unseen, lookup, departures } = visit;
  return {
    host: host.name,
    datapathId: host.datapathId ?? '',
    arrival,
    connection,
    ...(unseen === undefined ? {} : { unseen }),
    steps: narrate(names, lookup),
    departures: departures.map(({ port, to }) => ({ port, to })),
  };
}

function narrateLookup(
  names: Names,
  lookup: Lookup<FlowStats>,
  depth: number,
  cause: string | undefined,
  steps: TraceStep[],
): void {
  const { table, entry, conjunction, doubtful } = lookup;
  const remarks = doubtful.map(
    (flow) => `may match instead, on a field that Weft does not know: ${formatFlowStats(flow)}`,
  );
  steps.push({
    depth,
    table: tableName(names, table),
    tableId: table,
    ...(cause === undefined ? {} : { cause }),
    ...(entry === undefined ? {} : { entry: formatFlowStats(entry) }),
    ...(entry === undefined ? {} : { owner: ownerName(names, entry.cookie) }),
    ...(conjunction === undefined ? {} : { conjunction: conjunction.entries.map(formatFlowStats) }),
    remarks,
  });
  narrateSteps(names, lookup.steps, depth, steps, remarks);
}

/** @param remarks of the lookup whose entry does this */
function narrateSteps(
  names: Names,
  done: readonly Step<FlowStats>[],
  depth: number,
  steps: TraceStep[],
  remarks: string[],
): void {
  for (const step of done) {
    switch (step.kind) {
      case 'lookup':
        if (step.cause === 'goto') narrateLookup(names, step, depth, undefined, steps);
        else narrateLookup(names, step, depth + 1, step.cause, steps);
        break;
      case 'track':
        if (step.commit) remarks.push(`the connection is remembered in zone ${step.zone}`);
        if (step.lookup !== undefined) {
          narrateLookup(names, step.lookup, depth + 1, `tracked in zone ${step.zone}`, steps);
        }
        break;
      case 'group':
        remarks.push(groupRemark(step));
        for (const bucket of step.buckets) narrateSteps(names, bucket, depth, steps, remarks);
        break;
      case 'copy':
      case 'action_set':
        narrateSteps(names, step.steps, depth, steps, remarks);
        break;
      case 'output':
        remarks.push(`out by port ${step.port}${step.queue === undefined ? '' : `, queue ${step.queue}`}`);
        break;
      case 'suppressed':
        remarks.push(`not out by port ${step.port}, by which it came`);
        break;
      case 'controller':
        remarks.push('a copy to the controller');
        break;
      case 'meter':
        remarks.push(`drops what is above the rate of meter ${step.id}`);
        break;
      case 'unknown':
        remarks.push(`cannot be told further: ${step.what}`);
        break;
      case 'unread':
        break;
    }
  }
}

function groupRemark({ id, chosen, failover, buckets }: Extract<Step<FlowStats>, { kind: 'group' }>): string {
  if (failover === -1) return `group ${id}: none of its buckets lives`;
  if (failover !== undefined) {
    return `group ${id}: bucket ${failover + 1}, the first whose port is up`;
  }
  return chosen
    ? `group ${id}: the switch chooses one of ${buckets.length} buckets`
    : `group ${id}: ${buckets.length} copies`;
}
