/**
 * Keeps one switch in line with its desired table: read before write, then the changes of each turn, and audits.
 *
 *     session ──► reading ──► live ──► (turn: shared bytes, at once) ──► decided by the switch's barrier
 *                              │  ▲
 *                              ▼  │
 *                             backlog: coalesced, encoded for this switch alone
 *
 * The way of a turn's changes is the short one, with bytes that all subscribers of a scope share, as long as everything is as it should
 * be. Whatever is not (the tables are being read, more transactions are on their way than are worth it, entries differ from switch to
 * switch, a transaction was refused) goes through the backlog: a set of keys, so that changes of the same entry coalesce,
 * brought into line with what is desired when they are sent, not when they were noted. The backlog is sent when nothing is on
 * its way, so that what the switch holds is known.
 *
 * Bundles are atomic. When one is refused, the entries that the switch named are set aside as refused, and the rest is sent
 * again, in twice as many bundles each time, since each names at least one more.
 */
import type { Transaction, TransactionError, TransactionResult, SwitchSession } from '../channel/index.js';
import type { DatapathId } from '../model/facts.js';
import { Backlog } from './backlog.js';
import { addDifferences, type Comparison } from './compare.js';
import type { DesiredEntry } from './entry.js';
import type { SyncEnvironment } from './environment.js';
import { HeldIds } from './held.js';
import { InFlight, Reading, type SentTransaction } from './in-flight.js';
import { type EntryMod, identityOf, type ModificationList } from './modifications.js';
import { Refusals } from './refusals.js';
import { NO_SCOPES, type Scope, type ScopedEntry } from './scopes.js';
import type { DatapathState, DatapathStatus, Difference } from './status.js';
import type { Undecided, Waiter } from './turn.js';
import { type EncodedPart, PartEncoder, type PartOfTurn, type TurnBatch } from './turn-batch.js';

/** Transactions on their way to a switch above which the changes of further turns are coalesced. */
const MAX_IN_FLIGHT = 64;

/** Bundles into which what is left after refusals is split at most. */
const MAX_PIECES = 256;

/** Refusals one after the other after which the session is given up: what the switch says makes no sense. */
const MAX_ROUNDS = 64;

interface PreparedTransaction {
  readonly encoder: { transaction(parts: readonly EncodedPart[]): Transaction };
  readonly parts: readonly EncodedPart[];
}

export class DatapathSync {
  #session: SwitchSession | undefined;
  #mode: 'disconnected' | 'unclaimed' | 'reading' | 'live' = 'disconnected';
  /** Scopes of which the switch, just read, holds nothing. */
  #whole: ReadonlySet<Scope> = NO_SCOPES;
  /** Wait for the backlog. */
  #waiting: Waiter[] = [];
  readonly #inFlight = new InFlight();
  readonly #held = new HeldIds();
  readonly #refusals = new Refusals();
  readonly #backlog: Backlog;
  /** A transaction was refused, and those that were sent after it are waited for. */
  #failed = false;
  /** Times the backlog was sent, one after the other, that something of it was refused. */
  #rounds = 0;
  #repairing = false;
  #reading: Reading | undefined;
  #failedReads = 0;
  #cancelTimer: (() => void) | undefined;
  #told: DatapathState = 'disconnected';
  #healed: Difference = { missing: 0, extra: 0, changed: 0, foreign: 0 };
  #audits = 0;
  #lastRead: Date | undefined;
  readonly #liveListeners = new Set<() => void>();

  constructor(
    readonly datapathId: DatapathId,
    private readonly environment: SyncEnvironment,
  ) {
    this.#backlog = new Backlog(datapathId, environment.scopes, this.#held, this.#refusals);
  }

  get session(): SwitchSession | undefined {
    return this.#session;
  }

  /** Nothing is known of the switch that would have to be kept. */
  get disposable(): boolean {
    return this.#session === undefined && !this.#claimed && this.#liveListeners.size === 0;
  }

  get state(): DatapathState {
    if (this.#mode !== 'live') return this.#mode;
    if (this.#inFlight.size > 0 || this.#backlog.size > 0) return 'writing';
    return this.#refusals.size > 0 ? 'degraded' : 'in-sync';
  }

  /** Nothing that is desired waits or is on its way: {@link fence} would settle at once. */
  get decided(): boolean {
    return this.#mode === 'live' && this.#inFlight.size === 0 && this.#backlog.size === 0 && !this.#failed;
  }

  status(): DatapathStatus {
    const scopes = [...this.environment.scopes.subscriptions(this.datapathId)];
    return {
      datapathId: this.datapathId,
      state: this.state,
      ...(this.#session === undefined ? {} : { remoteAddress: this.#session.remoteAddress }),
      entries: scopes.reduce((sum, scope) => sum + scope.entries.size, 0),
      scopes: scopes.map(({ name }) => name).sort(),
      waiting: this.#backlog.size,
      inFlight: this.#inFlight.size,
      refused: this.#refusals.list,
      problems: this.environment.problems.of(this.datapathId),
      healed: this.#healed,
      audits: this.#audits,
      ...(this.#lastRead === undefined ? {} : { lastRead: this.#lastRead }),
    };
  }

  /** A session came up; it takes the place of the one before. */
  start(session: SwitchSession): void {
    if (this.#session === session) return;
    if (this.#session !== undefined) this.stop();
    this.#session = session;
    this.#begin();
  }

  /** The session ended. What was on its way may or may not have arrived; the next session is read before anything is written. */
  stop(): void {
    const waiters = [...this.#inFlight.waiters, ...this.#waiting];
    this.#session = undefined;
    this.#mode = 'disconnected';
    this.#reading = undefined;
    this.#failedReads = 0;
    this.#cancelTimer?.();
    this.#inFlight.clear();
    this.#waiting = [];
    this.#backlog.clear();
    this.#refusals.clear();
    this.#whole = NO_SCOPES;
    this.#settled();
    for (const waiter of waiters) waiter.settle('disconnected');
    this.#tellState();
  }

  /** Takes the changes of a turn. */
  take(batch: TurnBatch, parts: readonly PartOfTurn[], waiter: Waiter): void {
    if (this.#mode === 'disconnected') {
      waiter.settle('disconnected');
      return;
    }
    if (this.#mode === 'live' && this.#takeShared(batch, parts, waiter)) return;
    this.#await(waiter);
    if (this.#mode === 'unclaimed' || (this.#mode === 'reading' && !this.#claimed)) {
      this.#begin();
      return;
    }
    for (const { scope, kind } of parts) {
      for (const { key, before } of batch.replacements(scope, kind)) this.#backlog.note(key, before);
    }
    this.#flush();
  }

  /** Settles a waiter when all that is on its way to the switch now is decided. */
  fence(waiter: Waiter): void {
    if (this.#mode === 'disconnected') waiter.settle('disconnected');
    else if (this.#mode === 'reading' || this.#backlog.size > 0 || this.#failed) this.#await(waiter);
    else {
      const { last } = this.#inFlight;
      if (last === undefined) waiter.settle();
      else last.waiters.push(waiter);
    }
  }

  /** A switch that could not be read may never be; whoever waits would wait with every turn that comes. */
  #await(waiter: Waiter): void {
    if (this.#mode === 'reading' && this.#failedReads > 0) waiter.settle('unreadable');
    else this.#waiting.push(waiter);
  }

  /** True once the session was read. */
  get live(): boolean {
    return this.#mode === 'live';
  }

  /** Calls back once, when the switch is live. The returned function takes it back. */
  onceLive(listener: () => void): () => void {
    this.#liveListeners.add(listener);
    return () => void this.#liveListeners.delete(listener);
  }

  /** Reads the switch and heals what differs; resolves when it is compared. */
  async audit(): Promise<void> {
    if (this.#mode === 'live' && this.#reading === undefined) await this.#read(true);
  }

  get #claimed(): boolean {
    return this.environment.scopes.subscriptions(this.datapathId).size > 0;
  }

  #begin(): void {
    if (this.#claimed) {
      this.#mode = 'reading';
      void this.#read(false);
    } else this.#leaveAlone();
    this.#tellState();
  }

  /** Nobody claims the switch (any more): it is neither read nor written. */
  #leaveAlone(): void {
    this.#cancelTimer?.();
    this.#reading = undefined;
    this.#mode = 'unclaimed';
    this.#backlog.clear();
    this.#settleWaiting();
  }

  async #read(audit: boolean): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const reading = new Reading(audit);
    this.#reading = reading;
    reading.touch(this.#inFlight.parts);
    try {
      const comparison = await this.environment.read(
        session,
        (key) => this.#isOnItsWay(key, reading),
        (scope) => !audit && this.environment.whole.shareable(scope),
      );
      if (this.#reading === reading) this.#compared(comparison, reading);
    } catch (error) {
      if (this.#reading === reading) this.#readFailed(error, audit);
    }
  }

  #isOnItsWay(key: string, reading: Reading): boolean {
    if (reading.saysNothingOf(key) || this.#backlog.has(key)) return true;
    return (
      this.#refusals.size > 0 &&
      this.#refusals.stands(key, this.environment.scopes.effective(this.datapathId, key))
    );
  }

  #compared(comparison: Comparison, reading: Reading): void {
    const { repairs, difference, examples, read } = comparison;
    const { datapathId, environment } = this;
    this.#reading = undefined;
    this.#failedReads = 0;
    this.#lastRead = new Date();
    if (!reading.audit) this.#held.reset(comparison);
    for (const [key, identity] of repairs) {
      this.#held.read(key, comparison);
      this.#backlog.note(key, identity);
    }
    if (reading.audit) {
      this.#audits++;
      environment.counters.audits++;
      this.#backlog.noteRefused();
      if (repairs.size > 0) {
        this.#healed = addDifferences(this.#healed, difference);
        const texts = examples.map((example) => environment.explainer.differing(example));
        environment.emit({ kind: 'healed', datapathId, difference, examples: texts });
      }
    } else {
      this.#mode = 'live';
      this.#whole = comparison.whole;
      this.#waiting.push({
        refuse: () => {},
        settle: (undecided) => {
          if (undecided !== undefined) return;
          const milliseconds = performance.now() - reading.startedAt;
          environment.emit({ kind: 'synced', datapathId, difference, read, milliseconds });
        },
      });
      for (const listener of this.#liveListeners) listener();
      this.#liveListeners.clear();
    }
    this.#scheduleAudit();
    this.#flush();
    this.#tellState();
  }

  #scheduleAudit(): void {
    const interval = this.environment.auditDelayMs(this.datapathId, this.#audits);
    if (interval > 0) this.#after(interval, () => void this.audit());
  }

  #after(milliseconds: number, run: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.environment.after(milliseconds, run);
  }

  /** An audit that failed is left to the next one; otherwise the switch is read again after a while. */
  #readFailed(error: unknown, audit: boolean): void {
    this.#reading = undefined;
    if (this.#session?.open !== true) return; // `stop` follows
    this.#tellTrouble(error);
    if (audit) this.#scheduleAudit();
    else {
      const delay = this.environment.retryDelayMs(this.#failedReads++);
      this.#after(delay, () => void this.#read(false));
      this.#settleWaiting('unreadable');
    }
  }

  /** What the switch holds cannot be known any more: a new session starts from what is read. */
  #giveUp(error: unknown): void {
    if (this.#session?.open !== true) return; // `stop` follows
    this.#tellTrouble(error);
    this.#mode = 'reading';
    this.#session.close(`transactions failed: ${String(error)}`);
    this.#tellState();
  }

  #tellTrouble(error: unknown): void {
    const { datapathId, environment } = this;
    const cause = error instanceof Error ? error : new Error(String(error));
    environment.emit({ kind: 'trouble', datapathId, error: cause });
  }

  /** Sends the shared bytes of a turn; false where they are not what this switch needs, or it needs other things first. */
  #takeShared(batch: TurnBatch, parts: readonly PartOfTurn[], waiter: Waiter): boolean {
    if (this.#backlog.size > 0 || this.#failed || this.#inFlight.size >= MAX_IN_FLIGHT) return false;
    if (parts.some(({ scope, kind }) => batch.contested(scope, kind))) return false;
    const encoded = parts.map(({ scope, kind }) => batch.part(scope, kind));
    if (!encoded.every(({ list }) => this.#held.fits(list))) return false;
    for (const { list } of encoded) this.#refuseUnsendable(list, [waiter]);
    const sent = encoded.filter(({ list }) => list.size > 0);
    if (sent.length === 0) this.fence(waiter);
    else this.#submit(sent, batch.transaction(sent), [waiter]);
    return true;
  }

  /** Sends the backlog, if nothing is on its way; without any, all is decided. */
  #flush(): void {
    if (this.#mode !== 'live' || this.#inFlight.size > 0) return;
    if (this.#failed && ++this.#rounds > MAX_ROUNDS) {
      this.#giveUp(new Error(`entries are still refused after ${MAX_ROUNDS} attempts`));
      return;
    }
    this.#failed = false;
    const { whole, numbering, counters, encoder: shared } = this.environment;
    const scopes = this.#takeWhole();
    const { list, blocked } = this.#backlog.take(scopes);
    for (const { entry, missing } of blocked) {
      this.#refuse(entry.key, entry, entry.entry, `OFPBAC_BAD_OUT_GROUP: ${missing} was refused`);
    }
    if (scopes.size > 0) {
      this.#send([
        { encoder: whole, parts: [...[...scopes].map((scope) => whole.part(scope)), whole.encode(list)] },
      ]);
      return;
    }
    const pieces = list.split(Math.min(2 ** this.#rounds, MAX_PIECES));
    this.#send(
      pieces.map((piece) => {
        // A bundle id for each, where there are several.
        const encoder = pieces.length === 1 ? shared : new PartEncoder(numbering, counters);
        return { encoder, parts: [encoder.encode(piece)] };
      }),
    );
  }

  /** Sends transactions one after the other; the last one brings what is waited for. */
  #send(transactions: readonly PreparedTransaction[]): void {
    for (const { parts } of transactions) for (const { list } of parts) this.#refuseUnsendable(list, []);
    const sent = transactions.filter(({ parts }) => parts.some(({ list }) => list.size > 0));
    if (sent.length === 0) {
      this.#decidedAll();
      return;
    }
    this.#repairing = true;
    const waiters = this.#waiting;
    this.#waiting = [];
    for (const [place, { encoder, parts }] of sent.entries()) {
      const last = place === sent.length - 1;
      this.#submit(parts, encoder.transaction(parts), last ? waiters : [], true);
    }
    this.#tellState();
  }

  /** The scopes to be sent as a whole, once, after the switch was read. */
  #takeWhole(): Set<Scope> {
    const { scopes, whole } = this.environment;
    const subscriptions = scopes.subscriptions(this.datapathId);
    const taken = new Set<Scope>();
    for (const scope of this.#whole) {
      if (!subscriptions.has(scope)) continue;
      if (whole.shareable(scope)) taken.add(scope);
      else for (const key of scope.entries.keys()) this.#backlog.note(key);
    }
    this.#whole = NO_SCOPES;
    return taken;
  }

  #submit(parts: readonly EncodedPart[], transaction: Transaction, waiters: Waiter[], repair = false): void {
    const session = this.#session as SwitchSession;
    const record: SentTransaction = { parts, waiters, repair };
    this.#inFlight.add(record);
    for (const { list } of parts) this.#held.apply(list);
    this.#reading?.touch(parts);
    this.environment.counters.sent(parts);
    session.transact(transaction).then(
      (result) => {
        if (this.#inFlight.has(record)) this.#decided(record, result);
      },
      (error: unknown) => {
        if (this.#inFlight.has(record)) this.#giveUp(error);
      },
    );
  }

  #decided(record: SentTransaction, result: TransactionResult): void {
    if (result.committed) this.#committed(record);
    else if (!this.#refused(record, result)) return;
    this.#inFlight.delete(record);
    // Under a steady stream of turns there is no moment at which all is decided.
    if (record.repair && !this.#failed && !this.#inFlight.repairing) this.#rounds = 0;
    if (this.#failed) this.#waiting.push(...record.waiters);
    else for (const waiter of record.waiters) waiter.settle();
    this.#flush();
  }

  #committed({ parts }: SentTransaction): void {
    if (this.#refusals.size === 0) return;
    let reference = false;
    for (const { list } of parts) {
      for (const { origin } of list.all()) {
        if (this.#refusals.delete(origin.key) && !origin.key.startsWith('f')) reference = true;
      }
    }
    if (!reference) return;
    // What was refused for want of this group or meter may hold now.
    this.#backlog.noteRefused();
  }

  /** Notes what is to be sent again; false if the switch is given up for now. */
  #refused(record: SentTransaction, { atomic, errors }: TransactionResult): boolean {
    this.environment.counters.transactionsRefused++;
    this.#failed = true;
    const entryErrors = errors.filter(({ modification }) => modification !== undefined);
    if (entryErrors.length === 0) {
      this.#giveUp(new Error(errors.map(({ name }) => name).join(', ') || 'a bundle was not committed'));
      return false;
    }
    if (atomic) {
      for (const { list } of record.parts) {
        this.#held.revert(list);
        this.#backlog.noteAll(list);
      }
    }
    for (const error of entryErrors) this.#refusedEntry(error, record);
    return true;
  }

  #refusedEntry({ modification, name }: TransactionError, { parts }: SentTransaction): void {
    const mod = modification as EntryMod;
    const { key, desired } = mod.origin;
    this.#backlog.note(key, identityOf(mod));
    if (this.#held.refused(mod, name)) return;
    // Want of what an earlier transaction was to bring, and was refused with: both are sent again.
    if (desired !== undefined && this.#backlog.awaits(desired, parts)) return;
    this.#refuse(key, desired, desired?.entry ?? identityOf(mod), name);
  }

  #refuseUnsendable({ unsendable }: ModificationList, waiters: readonly Waiter[]): void {
    for (const { entry, error } of unsendable) this.#refuse(entry.key, entry, entry.entry, error, waiters);
  }

  #refuse(
    key: string,
    scoped: ScopedEntry | undefined,
    entry: DesiredEntry | undefined,
    error: string,
    waiters: readonly Waiter[] = [],
  ): void {
    if (entry === undefined) return;
    const { datapathId, environment } = this;
    const refused = environment.explainer.refused(entry, error);
    for (const waiter of waiters) waiter.refuse(key, refused);
    for (const waiter of [...this.#inFlight.waiters, ...this.#waiting]) waiter.refuse(key, refused);
    if (this.#refusals.add(key, scoped, entry, refused))
      environment.emit({ kind: 'refused', datapathId, refused });
  }

  #decidedAll(): void {
    this.#settled();
    this.#settleWaiting();
    if (!this.#claimed && this.#mode === 'live' && this.#inFlight.size === 0) this.#leaveAlone();
    this.#tellState();
  }

  #settled(): void {
    this.#failed = false;
    this.#repairing = false;
    this.#rounds = 0;
    this.#held.settled();
  }

  #settleWaiting(undecided?: Undecided): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.settle(undecided);
  }

  /** Tells of a new state. A turn's changes on their way are no news: with a thousand switches there would be nothing else. */
  #tellState(): void {
    const { datapathId, state } = this;
    const passing = state === 'writing' && !this.#repairing && this.#told !== 'reading';
    if (state === this.#told || passing) return;
    this.#told = state;
    this.environment.emit({ kind: 'state', datapathId, state });
  }
}
