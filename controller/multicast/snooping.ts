/**
 * What reports, queries and hellos mean (RFC 4541), in the overlay and in the fabric alike. An endpoint is one host: it is believed at once, its
 * leave too (fast leave). A station of the fabric is one host as well, but others at its port may have held back reports of their own. Behind
 * the uplink of a VLAN network are many: one that leaves a group says nothing of the others, so that they are asked, and what comes from
 * there is all sources or nothing.
 *
 * Whoever sends much costs a bounded amount of work: each sender has a budget, and all of them together have one.
 */
import type { MulticastGroup } from '../model/facts.js';
import type { Elections } from './elections.js';
import {
  type GroupRecord,
  type Ignored,
  isLinkLocal,
  isSource,
  type MembershipMessage,
  type MembershipVersion,
  newestVersion,
  type Query,
  type Report,
} from './messages.js';
import { parseMembership } from './parse.js';
import type { LimitHit, Locus, Receivers, Segment } from './receivers.js';
import type { Routers } from './routers.js';
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import { LAST_MEMBER_INTERVAL_MS, membershipIntervalMs, querierPresentMs, timingOf } from './timing.js';
import { WorkBudget } from './work-budget.js';

/** Why something of a message was not taken. */
export type IgnoredReason =
  | Ignored
  | LimitHit
  /** Faster than what its sender may cause. */
  | 'rate'
  /** Groups of the link, which everybody gets. */
  | 'link-local'
  /** The segment does not listen. */
  | 'snooping-off'
  /** A report of an endpoint that came back by the uplink, or our own query. */
  | 'own'
  /** Only routers ask and greet. */
  | 'not-a-router'
  | 'unknown-port';

/**
 * Pieces of work: a record that says what is known is one, one that changes something is ten. So 100 changes or 1,000 refreshes a second for
 * each sender, and all of its groups at once.
 */
const WORK_OF_RECORD = 1;
const WORK_OF_CHANGE = 10;
const WORK_PER_SECOND = 1_000;
const WORK_AT_ONCE = 5_000;
/** Of everybody together: a tenth of what one core can do. */
const TOTAL_WORK_PER_SECOND = 20_000;
const TOTAL_WORK_AT_ONCE = 40_000;

/**
 * Who sends a message, and from where.
 *
 *     host       one that is alone at its port
 *     station    one that may share its port: before IGMPv3 and MLDv2, who hears the report of another one holds back its own, so that when one
 *                leaves in an older version the others are asked
 *     crowd      many, of which one speaks
 */
export interface Sender<Place, RouterPlace> extends Locus<Place> {
  readonly kind: 'host' | 'station' | 'crowd';
  /** Where there is a multicast router, if it is one; absent: it cannot be one. */
  readonly routerPlace?: RouterPlace;
  /** Whose work it is; senders with the same one share a budget. */
  readonly budget: string;
}

export interface SnoopingOptions<Place, RouterPlace> {
  readonly receivers: Receivers<Place>;
  readonly routers: Routers<RouterPlace>;
  readonly elections: Elections;
  /** What was sent by our own side and came back. */
  readonly isOwn: (sender: Sender<Place, RouterPlace>, sourceMac: number) => boolean;
  /** Asks those at a place whether they are still in a group. Returns until when they have time. */
  readonly askAgain: (locus: Locus<Place>, group: MulticastGroup, now: number) => number;
  /** Queries of routers for one group are answered by who is at this place; others are asked by us. */
  readonly answersRouters: (place: Place) => boolean;
  /** A report that was taken in. */
  readonly reported?: (sender: Sender<Place, RouterPlace>, frame: Uint8Array) => void;
  /** A query of a router for one group. */
  readonly queried: (sender: Sender<Place, RouterPlace>, query: Query, frame: Uint8Array) => void;
  /** Somebody wants more than it may have. */
  readonly limited: (why: LimitHit, locus: Locus<Place>) => void;
  readonly now: number;
}

export class Snooping<Place, RouterPlace> {
  readonly #options: SnoopingOptions<Place, RouterPlace>;
  readonly #total: WorkBudget;
  readonly #budgets = new Map<string, WorkBudget>();
  readonly #reports = new Map<string, number>();
  readonly #ignored = new Map<IgnoredReason, number>();
  #queries = 0;
  #records = 0;

  constructor(options: SnoopingOptions<Place, RouterPlace>) {
    this.#options = options;
    this.#total = new WorkBudget(TOTAL_WORK_PER_SECOND, TOTAL_WORK_AT_ONCE, options.now);
  }

  /** Reports by version, as `IGMPv3`. */
  get reports(): ReadonlyMap<string, number> {
    return this.#reports;
  }

  get ignored(): ReadonlyMap<IgnoredReason, number> {
    return this.#ignored;
  }

  /** Queries of others. */
  get queries(): number {
    return this.#queries;
  }

  /** Group records that were looked at. */
  get records(): number {
    return this.#records;
  }

  /** A frame with a message of group membership. Returns whether a fact has changed. */
  take(sender: Sender<Place, RouterPlace>, frame: Uint8Array, now: number): boolean {
    const budget = this.#budgets.get(sender.budget) ?? new WorkBudget(WORK_PER_SECOND, WORK_AT_ONCE, now);
    this.#budgets.set(sender.budget, budget);
    const message = this.#parse(sender.segment, frame, budget, now);
    if (message === undefined) return false;
    if (this.#options.isOwn(sender, message.sourceMac)) return this.#ignore('own');
    if (message.kind === 'report') {
      this.#options.reported?.(sender, frame);
      return this.#report(sender, message, budget, now);
    }
    const { routerPlace, segment } = sender;
    if (routerPlace === undefined) return this.#ignore('not-a-router');
    const locus = { segment, place: routerPlace };
    if (message.kind === 'hello') return this.#hello(locus, message, now);
    this.#spend(budget, WORK_OF_CHANGE);
    return this.#query(sender, locus, message, frame, now);
  }

  /** Counts something that was not taken. */
  ignore(why: IgnoredReason): void {
    this.#ignore(why);
  }

  forgetBudget(budget: string): void {
    this.#budgets.delete(budget);
  }

  #parse(
    segment: Segment,
    frame: Uint8Array,
    budget: WorkBudget,
    now: number,
  ): MembershipMessage | undefined {
    if (!multicastSettingsOf(segment).snooping) {
      this.#ignore('snooping-off');
      return undefined;
    }
    if (!this.#afford(budget, now)) {
      this.#ignore('rate');
      return undefined;
    }
    this.#spend(budget, WORK_OF_RECORD);
    const message = parseMembership(frame);
    if (message.kind !== 'ignored') return message;
    this.#ignore(message.why);
    return undefined;
  }

  #report(sender: Sender<Place, RouterPlace>, report: Report, budget: WorkBudget, now: number): boolean {
    const { family, version, records } = report;
    const name = `${family === 4 ? 'IGMP' : 'MLD'}v${version}`;
    this.#reports.set(name, (this.#reports.get(name) ?? 0) + 1);
    const holdMs = membershipIntervalMs(this.#options.elections.timing(sender.segment.id, family));
    let changed = false;
    for (const record of records) {
      if (isLinkLocal(record.group)) {
        this.#ignore('link-local');
        continue;
      }
      if (!this.#afford(budget, now)) {
        this.#ignore('rate');
        return changed;
      }
      this.#records++;
      const did = this.#record(sender, record, version, now, holdMs);
      this.#spend(budget, did ? WORK_OF_CHANGE : WORK_OF_RECORD);
      changed ||= did;
    }
    return changed;
  }

  #record(
    sender: Sender<Place, RouterPlace>,
    record: GroupRecord,
    version: MembershipVersion,
    now: number,
    holdMs: number,
  ): boolean {
    const { kind, segment, place, generation } = sender;
    const locus = generation === undefined ? { segment, place } : { segment, place, generation };
    const asks = kind === 'station' && isLeave(record) && version < newestVersion(record.group.family);
    const meant = kind === 'crowd' ? meantByOneOfMany(record) : asks ? 'leaves' : record;
    if (meant === 'leaves') return this.#left(locus, record, now);
    if (meant === undefined) return false;
    const did = this.#options.receivers.apply(locus, meant, version, now, holdMs);
    if (did === 'changed' || did === 'unchanged') return did === 'changed';
    this.#ignore(did);
    this.#options.limited(did, locus);
    return false;
  }

  /** One of several has left: the querier asks whether others are still there, which is us, or somebody whose query will be heard. */
  #left(locus: Locus<Place>, { group }: GroupRecord, now: number): false {
    const { askAgain, elections, receivers } = this.#options;
    const { segment } = locus;
    if (elections.other(segment.id, group.family) !== undefined) return false;
    if (!multicastSettingsOf(segment).querier) return false;
    receivers.doubt(locus, group, askAgain(locus, group, now));
    return false;
  }

  #query(
    sender: Sender<Place, RouterPlace>,
    router: Locus<RouterPlace>,
    query: Query & { readonly source: number | bigint },
    frame: Uint8Array,
    now: number,
  ): boolean {
    const { elections, routers, receivers, queried, answersRouters } = this.#options;
    const { segment } = router;
    this.#queries++;
    const { group, source } = query;
    if (group !== undefined) {
      if (isLinkLocal(group)) return this.#ignore('link-local');
      // RFC 3376, section 6.6.1. With sources it is about those alone.
      if (!query.suppress && query.sources.length === 0) {
        const times = timingOf(query).robustness;
        const until = now + times * Math.max(query.maxResponseMs, LAST_MEMBER_INTERVAL_MS);
        for (const receiver of receivers.ofGroup(segment.number, group)) {
          if (answersRouters(receiver.place)) receivers.doubt(receiver, group, until);
        }
      }
      queried(sender, query, frame);
      return false;
    }
    // A switch that asks on behalf of nobody is no router (RFC 4541, section 2.1.1).
    if (!isSource(query.family, source)) return false;
    elections.heard(segment.id, query, source, now);
    return routers.heard(router, source, 'query', now + querierPresentMs(timingOf(query)));
  }

  #hello(
    router: Locus<RouterPlace>,
    { source, holdMs }: { readonly source: number | bigint; readonly holdMs: number },
    now: number,
  ): boolean {
    // A router that goes (hold time 0) may not be the only one: the others are heard again, or not.
    if (holdMs === 0) return false;
    return this.#options.routers.heard(router, source, 'pim', now + holdMs);
  }

  #afford(budget: WorkBudget, now: number): boolean {
    return this.#total.has(now) && budget.has(now);
  }

  #spend(budget: WorkBudget, work: number): void {
    this.#total.spend(work);
    budget.spend(work);
  }

  #ignore(why: IgnoredReason): false {
    this.#ignored.set(why, (this.#ignored.get(why) ?? 0) + 1);
    return false;
  }
}

function isLeave({ type, sources }: GroupRecord): boolean {
  return type === 'to-include' && sources.length === 0;
}

/** Any source that one wants is one that not all do without; what one does not want says nothing of the others. */
function meantByOneOfMany({ type, group, sources }: GroupRecord): GroupRecord | 'leaves' | undefined {
  const wants: GroupRecord = { type: 'is-exclude', group, sources: [] };
  switch (type) {
    case 'is-exclude':
    case 'to-exclude':
      return wants;
    case 'is-include':
    case 'allow':
      return sources.length > 0 ? wants : undefined;
    case 'to-include':
      return sources.length > 0 ? wants : 'leaves';
    case 'block':
      return undefined;
  }
}
