/** Comparing what a switch holds with what it is to hold, on the canonical form. */
import type { FlowStats } from '../../ofproto/index.js';
import type { DatapathId } from '../model/facts.js';
import { canonicalFlow, canonicalGroup, canonicalMeter, flowKey, groupKey, meterKey } from './canonical.js';
import { isOurCookie } from './cookie.js';
import type { DesiredEntry, DesiredFlow } from './entry.js';
import type { ActualState } from './read.js';
import type { Scope, ScopedEntry, ScopeTables } from './scopes.js';
import type { Difference } from './status.js';

export interface Comparison {
  readonly difference: Difference;
  /**
   * Keys to be brought into line, each with what the switch holds under it where that is to go; and for people what each is
   * about.
   */
  readonly repairs: ReadonlyMap<string, DesiredEntry | undefined>;
  /** Scopes of which the switch holds nothing, as far as they were asked for; their entries are missing, and not in `repairs`. */
  readonly whole: ReadonlySet<Scope>;
  /** Up to ten of the entries that differ. */
  readonly examples: readonly DifferingEntry[];
  /** Entries read. */
  readonly read: number;
  readonly groups: ReadonlySet<number>;
  readonly meters: ReadonlySet<number>;
}

export interface DifferingEntry {
  readonly kind: keyof Difference;
  readonly entry: DesiredEntry;
}

const EXAMPLES = 10;

/** Entries compared between two looks at the event loop: some 5 ms of work. */
const SLICE = 2000;

/** An entry as the switch gave it, and whether a desired one was found for it. */
interface ActualEntry {
  readonly content: string;
  readonly flow?: FlowStats;
}

/**
 * Compares; the desired table may change meanwhile, which is why `skip` is asked for each key: those whose changes are on their way.
 * `takesWhole` is asked whether a scope of which nothing is there can be sent as a whole.
 * Long tables are compared in slices, between which other work goes on.
 */
export async function compare(
  actual: ActualState,
  datapathId: DatapathId,
  scopes: ScopeTables,
  skip: (key: string) => boolean,
  takesWhole: (scope: Scope) => boolean = () => false,
): Promise<Comparison> {
  const pause = slices();
  const repairs = new Map<string, DesiredEntry | undefined>();
  const examples: DifferingEntry[] = [];
  const difference = { missing: 0, extra: 0, changed: 0, foreign: 0 };
  const differs = (
    kind: keyof Difference,
    key: string,
    entry: DesiredEntry,
    identity?: DesiredEntry,
  ): void => {
    difference[kind]++;
    repairs.set(key, identity);
    if (examples.length < EXAMPLES) examples.push({ kind, entry });
  };

  const held = await collect(actual, pause);
  const read = held.size;
  const whole = new Set<Scope>();
  const isAway = ({ key }: ScopedEntry): boolean => !held.has(key);
  for (const scope of scopes.subscriptions(datapathId)) {
    if (!takesWhole(scope) || !every(scope.entries.values(), isAway)) continue;
    whole.add(scope);
    difference.missing += scope.entries.size;
    if (pause.due(scope.entries.size)) await pause.take();
  }
  for (const desired of scopes.effectiveEntries(datapathId, whole)) {
    if (pause.due()) await pause.take();
    const { key } = desired;
    const found = held.get(key);
    held.delete(key);
    if (skip(key) || found?.content === desired.content) continue;
    differs(found === undefined ? 'missing' : 'changed', key, desired.entry);
  }
  for (const [key, entry] of held) {
    if (pause.due()) await pause.take();
    // What came to be desired since is on its way or held already.
    if (skip(key) || scopes.effective(datapathId, key) !== undefined) continue;
    const identity = identityOf(key, entry);
    const foreign = entry.flow !== undefined && !isOurCookie(entry.flow.cookie);
    differs(foreign ? 'foreign' : 'extra', key, identity, identity);
  }
  const groups = new Set(actual.groups.map((group) => group.groupId));
  const meters = new Set(actual.meters.map((meter) => meter.meterId));
  return { difference, repairs, whole, examples, read, groups, meters };
}

async function collect(actual: ActualState, pause: Slices): Promise<Map<string, ActualEntry>> {
  const held = new Map<string, ActualEntry>();
  for (const flow of actual.flows) {
    if (pause.due()) await pause.take();
    held.set(flowKey(flow.tableId, flow.priority, flow.match), { content: canonicalFlow(flow), flow });
  }
  for (const group of actual.groups) held.set(groupKey(group.groupId), { content: canonicalGroup(group) });
  for (const meter of actual.meters) held.set(meterKey(meter.meterId), { content: canonicalMeter(meter) });
  return held;
}

/** The entry as ours, as far as deleting and describing it needs. */
function identityOf(key: string, { flow }: ActualEntry): DesiredEntry {
  if (flow !== undefined) {
    const { tableId: table, priority, match, instructions, cookie } = flow;
    return { kind: 'flow', table, priority, match, instructions, cookie } satisfies DesiredFlow;
  }
  const id = Number(key.slice(1));
  const owner = 'unknown';
  return key.startsWith('g')
    ? { kind: 'group', id, groupType: 0, buckets: [], owner }
    : { kind: 'meter', id, flags: 0, bands: [], owner };
}

function every<T>(values: Iterable<T>, holds: (value: T) => boolean): boolean {
  for (const value of values) if (!holds(value)) return false;
  return true;
}

interface Slices {
  /** True if it is time for a pause, after so many more entries (default 1). */
  due(entries?: number): boolean;
  take(): Promise<void>;
}

function slices(): Slices {
  let done = 0;
  return {
    due: (entries = 1) => (done += entries) >= SLICE,
    take: () => {
      done = 0;
      return new Promise((resume) => void setImmediate(resume));
    },
  };
}

export function addDifferences(a: Difference, b: Difference): Difference {
  return {
    missing: a.missing + b.missing,
    extra: a.extra + b.extra,
    changed: a.changed + b.changed,
    foreign: a.foreign + b.foreign,
  };
}
