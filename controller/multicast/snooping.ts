/**
 * What reports, queries and hellos mean (RFC 4541). An endpoint is one host: it is believed at once, its leave too (fast leave). Behind the
 * uplink of a VLAN network are many: one that leaves a group says nothing of the others, so that they are asked, and what comes from there
 * is all sources or nothing.
 *
 * Whoever sends much costs a bounded amount of work: each endpoint has a budget, and all of them together have one.
 */
import type { EndpointId, NetworkFact } from '../model/facts.js';
import type { AttachedEndpoint, Directory } from './directory.js';
import type { Elections } from './elections.js';
import {
  type GroupRecord,
  type Ignored,
  isLinkLocal,
  isSource,
  type MembershipMessage,
  type MembershipVersion,
  type Query,
  type Report,
} from './messages.js';
import { parseMembership } from './parse.js';
import { QUERIER_MAC, type Querier } from './querier.js';
import type { LimitHit, Locus, Receivers } from './receivers.js';
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
  /** The network does not listen. */
  | 'snooping-off'
  /** A report of an endpoint that came back by the uplink, or our own query. */
  | 'own'
  /** Only routers ask and greet. */
  | 'not-a-router'
  | 'unknown-port';

/**
 * Pieces of work: a record that says what is known is one, one that changes something is ten. So 100 changes or 1,000 refreshes a second for
 * each endpoint, and all of its groups at once.
 */
const WORK_OF_RECORD = 1;
const WORK_OF_CHANGE = 10;
const WORK_PER_SECOND = 1_000;
const WORK_AT_ONCE = 5_000;
/** Of everybody together: a tenth of what one core can do. */
const TOTAL_WORK_PER_SECOND = 20_000;
const TOTAL_WORK_AT_ONCE = 40_000;

export interface SnoopingOptions {
  readonly directory: Directory;
  readonly receivers: Receivers;
  readonly routers: Routers;
  readonly elections: Elections;
  readonly querier: Querier;
  /** Hands the frame of a query for a group, heard on the uplink, to the group's receivers. */
  readonly relay: (network: NetworkFact, query: Query, frame: Uint8Array) => void;
  /** An endpoint (absent: the uplink) wants more than it may have. */
  readonly limited: (why: LimitHit, network: NetworkFact, endpoint: EndpointId | undefined) => void;
  readonly now: number;
}

export class Snooping {
  readonly #options: SnoopingOptions;
  readonly #total: WorkBudget;
  readonly #budgets = new Map<EndpointId, WorkBudget>();
  /** By network, of its uplink. */
  readonly #uplinkBudgets = new Map<string, WorkBudget>();
  readonly #reports = new Map<string, number>();
  readonly #ignored = new Map<IgnoredReason, number>();
  #queries = 0;
  #records = 0;

  constructor(options: SnoopingOptions) {
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

  /** Returns whether a fact has changed. */
  fromEndpoint(endpoint: AttachedEndpoint, network: NetworkFact, frame: Uint8Array, now: number): boolean {
    const budget = this.#budget(this.#budgets, endpoint.id, now);
    const message = this.#parse(network, frame, budget, now);
    if (message === undefined) return false;
    if (message.kind !== 'report') return this.#ignore('not-a-router');
    const place = { endpoint: endpoint.id };
    const locus = { network, place, generation: endpoint.generation };
    return this.#report(locus, message, budget, now);
  }

  /** Returns whether a fact has changed. */
  fromUplink(network: NetworkFact, frame: Uint8Array, now: number): boolean {
    if (network.encapsulation !== 'vlan') return this.#ignore('other');
    const budget = this.#budget(this.#uplinkBudgets, network.id, now);
    const message = this.#parse(network, frame, budget, now);
    if (message === undefined) return false;
    const { sourceMac } = message;
    if (sourceMac === QUERIER_MAC || this.#options.directory.hasMac(network.id, sourceMac))
      return this.#ignore('own');
    switch (message.kind) {
      case 'report':
        return this.#report({ network, place: { uplink: true } }, message, budget, now);
      case 'query':
        this.#spend(budget, WORK_OF_CHANGE);
        return this.#query(network, message, message.source, frame, now);
      case 'hello':
        return this.#hello(network, message, now);
    }
  }

  /** Counts something that was not taken. */
  ignore(why: IgnoredReason): void {
    this.#ignore(why);
  }

  forgetEndpoint(id: EndpointId): void {
    this.#budgets.delete(id);
  }

  forgetNetwork(id: string): void {
    this.#uplinkBudgets.delete(id);
  }

  #budget(budgets: Map<string, WorkBudget>, key: string, now: number): WorkBudget {
    const budget = budgets.get(key) ?? new WorkBudget(WORK_PER_SECOND, WORK_AT_ONCE, now);
    budgets.set(key, budget);
    return budget;
  }

  #parse(
    network: NetworkFact,
    frame: Uint8Array,
    budget: WorkBudget,
    now: number,
  ): MembershipMessage | undefined {
    if (!multicastSettingsOf(network).snooping) {
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

  #report(locus: Locus, report: Report, budget: WorkBudget, now: number): boolean {
    const { family, version, records } = report;
    const name = `${family === 4 ? 'IGMP' : 'MLD'}v${version}`;
    this.#reports.set(name, (this.#reports.get(name) ?? 0) + 1);
    const holdMs = membershipIntervalMs(this.#options.elections.timing(locus.network.id, family));
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
      const did = this.#record(locus, record, version, now, holdMs);
      this.#spend(budget, did ? WORK_OF_CHANGE : WORK_OF_RECORD);
      changed ||= did;
    }
    return changed;
  }

  #record(
    locus: Locus,
    record: GroupRecord,
    version: MembershipVersion,
    now: number,
    holdMs: number,
  ): boolean {
    const isUplink = 'uplink' in locus.place;
    const meant = isUplink ? meantByOneOfMany(record) : record;
    if (meant === 'leaves') return this.#left(locus, record, now);
    if (meant === undefined) return false;
    const did = this.#options.receivers.apply(locus, meant, version, now, holdMs);
    if (did === 'changed' || did === 'unchanged') return did === 'changed';
    this.#ignore(did);
    this.#options.limited(did, locus.network, 'endpoint' in locus.place ? locus.place.endpoint : undefined);
    return false;
  }

  /** One of many has left: the querier asks whether others are still there, which is us, or somebody whose query will be heard. */
  #left(locus: Locus, { group }: GroupRecord, now: number): false {
    const { elections, querier, receivers } = this.#options;
    const { network } = locus;
    if (elections.other(network.id, group.family) !== undefined) return false;
    if (!multicastSettingsOf(network).querier) return false;
    receivers.doubt(locus, group, querier.lastMember(network, group, now));
    return false;
  }

  #query(
    network: NetworkFact,
    query: Query,
    source: number | bigint,
    frame: Uint8Array,
    now: number,
  ): boolean {
    const { elections, routers, receivers, relay } = this.#options;
    this.#queries++;
    const { group } = query;
    if (group !== undefined) {
      if (isLinkLocal(group)) return this.#ignore('link-local');
      // RFC 3376, section 6.6.1. With sources it is about those alone.
      if (!query.suppress && query.sources.length === 0) {
        const times = timingOf(query).robustness;
        const responseMs = Math.max(query.maxResponseMs, LAST_MEMBER_INTERVAL_MS);
        receivers.doubt({ network, place: { uplink: true } }, group, now + times * responseMs);
      }
      relay(network, query, frame);
      return false;
    }
    // A switch that asks on behalf of nobody is no router (RFC 4541, section 2.1.1).
    if (!isSource(query.family, source)) return false;
    elections.heard(network.id, query, source, now);
    return routers.heard(network, source, 'query', now + querierPresentMs(timingOf(query)));
  }

  #hello(
    network: NetworkFact,
    { source, holdMs }: { readonly source: number | bigint; readonly holdMs: number },
    now: number,
  ): boolean {
    // A router that goes (hold time 0) may not be the only one: the others are heard again, or not.
    if (holdMs === 0) return false;
    return this.#options.routers.heard(network, source, 'pim', now + holdMs);
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
