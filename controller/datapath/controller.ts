/** Facts in, switches in line: derives desired tables and keeps every switch that connects to its own. */
import type { Numbering, SwitchSession } from '../channel/index.js';
import type { Conflict, Failure } from '../derive/index.js';
import type { DatapathId } from '../model/facts.js';
import type { App } from './app.js';
import type { FlowStats } from '../../ofproto/index.js';
import { tableOfKey } from './canonical.js';
import { compare, type Comparison } from './compare.js';
import { DesiredTables, type DesiredChanges, type FactInputs } from './desired.js';
import type { DesiredEntry, QueueSpec, ScopeName } from './entry.js';
import { type SyncEnvironment, systemTimer, type Timer, WorkCounters } from './environment.js';
import { type EntryOwner, Explainer } from './explain.js';
import type { Pipeline } from './pipeline.js';
import { countFlows, ReadGate, readFlows, readGroupsAndMeters } from './read.js';
import type { DatapathCounters, DatapathEvent, DatapathStatus, TableDifferences } from './status.js';
import { DatapathSync } from './sync.js';
import { type Turn, TurnRecord } from './turn.js';
import type { HostTables } from './host-tables.js';
import { PartEncoder, type PartOfTurn, TurnBatch } from './turn-batch.js';
import { WholeScopes } from './whole-scopes.js';
import type { EntryConflict, Scope, ScopeChanges, ScopedEntry } from './scopes.js';
import { Transitions } from './transitions.js';

/** What a scope holds. */
export interface ScopeEntries {
  readonly name: ScopeName;
  readonly entries: ReadonlyMap<string, Pick<ScopedEntry, 'entry'>>;
}

export interface DatapathControllerOptions {
  readonly pipeline: Pipeline;
  readonly apps: readonly App[];
  /** The numbering of the channel whose sessions are added. */
  readonly numbering: Numbering;
  /** Milliseconds between complete comparisons of a switch; 0: none. Default 300,000. */
  readonly auditIntervalMs?: number;
  /** Milliseconds for each reply of a switch that is read. Default 60,000. */
  readonly readTimeoutMs?: number;
  /** Entries read and compared at one time, over all switches; about 1 KB each. Default 200,000. */
  readonly readCapacity?: number;
  /** Milliseconds before a switch is tried again that could not be read; doubles up to 60 times that. Default 1,000. */
  readonly retryMs?: number;
  /**
   * Milliseconds that the datapath of a switch may need, once new tables are acknowledged, to go through the flows it has cached.
   * Between the steps of a change that several switches make together. Default 250.
   */
  readonly graceMs?: number;
  /** For audits and retries. Default: the system's. */
  readonly timer?: Timer;
}

/** Hears which rows of a host without OpenFlow have changed. */
export type RowListener = (host: string, keys: ReadonlySet<string>) => void;

const LONGEST_RETRY_FACTOR = 60;

export class DatapathController {
  readonly #desired: DesiredTables;
  readonly #counters = new WorkCounters();
  readonly #datapaths = new Map<DatapathId, DatapathSync>();
  readonly #listeners = new Set<(event: DatapathEvent) => void>();
  readonly #queueListeners = new Set<(host: string) => void>();
  readonly #rowListeners = new Set<RowListener>();
  readonly #environment: SyncEnvironment;
  readonly #gate: ReadGate;
  readonly #readTimeoutMs: number;
  readonly #whole: WholeScopes;
  readonly #transitions: Transitions;
  #turns = 0;
  #reads = 0;

  constructor(options: DatapathControllerOptions) {
    const { pipeline, apps, numbering, retryMs = 1000, auditIntervalMs = 300_000 } = options;
    this.#desired = new DesiredTables({ pipeline, apps });
    this.#whole = new WholeScopes(this.#desired.scopes, numbering, this.#counters);
    this.#gate = new ReadGate(options.readCapacity ?? 200_000);
    this.#readTimeoutMs = options.readTimeoutMs ?? 60_000;
    this.#environment = {
      scopes: this.#desired.scopes,
      problems: this.#desired.problems,
      numbering,
      explainer: new Explainer(this.#desired),
      counters: this.#counters,
      whole: this.#whole,
      encoder: new PartEncoder(numbering, this.#counters),
      read: (session, skip, takesWhole) => this.#read(session, skip, takesWhole),
      emit: (event) => this.#emit(event),
      after: options.timer ?? systemTimer,
      // The first one is spread over half an interval, or all switches that came up together would be audited together.
      auditDelayMs: (datapathId, audits) =>
        audits > 0 ? auditIntervalMs : Math.ceil(auditIntervalMs * (1 + fraction(datapathId)) * 0.5),
      retryDelayMs: (failures) => retryMs * Math.min(2 ** failures, LONGEST_RETRY_FACTOR),
    };
    this.#transitions = new Transitions({
      desired: this.#desired,
      after: this.#environment.after,
      graceMs: options.graceMs ?? 250,
      connected: (datapathId) => this.#datapaths.get(datapathId)?.session !== undefined,
      send: (changes) => this.#send(changes),
    });
  }

  /** Written from outside; what is written takes effect in `settle`. */
  get facts(): FactInputs {
    return this.#desired.facts;
  }

  get counters(): DatapathCounters {
    return this.#counters;
  }

  /**
   * Derives what follows from the facts as they are now, and sends each switch its difference. Where two switches could contradict each
   * other meanwhile, that is done in two steps (`transition.ts`), and the turn is acknowledged with the second.
   */
  settle(): Turn {
    const { changes, staged } = this.#transitions.settle();
    this.#report(changes);
    const turn = this.#send(changes);
    return staged ? this.#transitions.sent(turn) : turn;
  }

  /**
   * Undefined: settle whenever you like. Else a change is being made in two steps and has taken in changes for long enough; facts that
   * are settled before this resolves take part in it all the same, and delay its end.
   */
  get full(): Promise<unknown> | undefined {
    return this.#transitions.full;
  }

  #send(changes: ScopeChanges): Turn {
    this.#whole.changed(changes);
    const batch = new TurnBatch(changes, this.#environment.numbering, this.#counters);
    const concerned = batch.partsByDatapath();
    const turn = new TurnRecord(
      ++this.#turns,
      [...concerned.keys()],
      (datapathId, key) => batch.touches(key, concerned.get(datapathId) ?? NO_PARTS),
      (datapathId, waiter) => {
        const datapath = this.#datapaths.get(datapathId);
        if (datapath === undefined) waiter.settle('disconnected');
        else datapath.fence(waiter);
      },
    );
    if (concerned.size > 0) this.#counters.turns++;
    for (const [datapathId, parts] of homesFirst(concerned)) {
      const waiter = turn.waiter(datapathId);
      const datapath = this.#datapaths.get(datapathId);
      if (datapath === undefined) waiter.settle('disconnected');
      else {
        datapath.take(batch, parts, waiter);
        this.#dispose(datapath); // it may have been away, and nobody's any more
      }
    }
    return turn;
  }

  /**
   * A switch has come up: it is read, compared with its desired table, and sent the difference. Settle what is known of it
   * before, its ports in particular. A switch of which nothing is desired (that no agent claims) is left alone until something is.
   */
  addSession(session: SwitchSession): void {
    this.#datapath(session.datapathId).start(session);
  }

  /** The session has ended; nothing if another one has taken its place. */
  removeSession(session: SwitchSession): void {
    const datapath = this.#datapaths.get(session.datapathId);
    if (datapath?.session !== session) return;
    datapath.stop();
    this.#dispose(datapath);
  }

  /** Ends all sessions for this controller: nothing more is sent, and no timer is left. Switches keep their entries. */
  close(): void {
    for (const datapath of this.#datapaths.values()) datapath.stop();
    this.#transitions.finish();
  }

  /**
   * Resolves when the switch is connected, has been read, and has acknowledged (or refused) everything that is desired of it now.
   * @throws the reason of the signal
   */
  async waitForSync(
    datapathId: DatapathId,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const datapath = this.#datapath(datapathId);
      const live = datapath.live || (await this.#untilLive(datapath, signal));
      if (live && (await untilDecided(datapath, signal))) return;
    }
  }

  /** What {@link waitForSync} waits for is so already. */
  isInSync(datapathId: DatapathId): boolean {
    return this.#datapaths.get(datapathId)?.decided === true;
  }

  /** The state in {@link statusOf} by itself, which costs nothing. */
  stateOf(datapathId: DatapathId): DatapathStatus['state'] | undefined {
    return this.#datapaths.get(datapathId)?.state;
  }

  /** Of every switch that is connected, was, or is claimed, by datapath id. */
  status(): DatapathStatus[] {
    const ids = new Set([...this.#datapaths.keys(), ...this.#desired.scopes.datapaths]);
    return [...ids].sort().flatMap((datapathId) => this.statusOf(datapathId) ?? []);
  }

  /** Undefined for a switch that nobody has heard of. */
  statusOf(datapathId: DatapathId): DatapathStatus | undefined {
    const datapath = this.#datapaths.get(datapathId);
    if (datapath !== undefined) return datapath.status();
    const claimed = this.#desired.scopes.subscriptions(datapathId).size > 0;
    return claimed ? new DatapathSync(datapathId, this.#environment).status() : undefined;
  }

  /**
   * Reads a switch now, compares it, and heals what differs; resolves when it is compared. Nothing for a switch that is not connected,
   * or is being read already.
   */
  async audit(datapathId: DatapathId): Promise<void> {
    await this.#datapaths.get(datapathId)?.audit();
  }

  /** Derivations that threw when they ran last. */
  failures(): Failure[] {
    return this.#desired.engine.failures();
  }

  /** Entries, and derived values, that are asked for differently. */
  conflicts(): (EntryConflict | Conflict)[] {
    return [...this.#desired.conflicts(), ...this.#desired.engine.conflicts()];
  }

  /** Whose flow entry has this cookie, and what it is about; undefined for entries that are not Weft's. */
  ownerOf(cookie: bigint): EntryOwner | undefined {
    return this.#environment.explainer.ownerOf(cookie);
  }

  /** What a switch is to hold. */
  desired(datapathId: DatapathId): IterableIterator<DesiredEntry> {
    return this.#desired.entries(datapathId);
  }

  /**
   * The scopes that a switch subscribes to, each the same object for all of its subscribers: whoever looks through what many switches
   * are to hold need not look at shared entries many times. Some entries of a shared scope may be overridden on a switch.
   */
  *scopesOf(datapathId: DatapathId): IterableIterator<ScopeEntries> {
    yield* this.#desired.scopes.subscriptions(datapathId);
  }

  /** Queues that a host is to have on its uplinks; its agent makes them. */
  queuesOf(host: string): readonly QueueSpec[] {
    return this.#desired.queues.of(host);
  }

  /** Calls back with the name of each host whose queues changed. The returned function ends it. */
  onQueues(listener: (host: string) => void): () => void {
    this.#queueListeners.add(listener);
    return () => void this.#queueListeners.delete(listener);
  }

  /** Tables of hosts without OpenFlow; their agents make the kernel forward so. */
  get hostTables(): Pick<HostTables, 'of' | 'find'> {
    return this.#desired.hostTables;
  }

  /** Calls back with the keys of a host's rows that came, changed or went. The returned function ends it. */
  onRows(listener: RowListener): () => void {
    this.#rowListeners.add(listener);
    return () => void this.#rowListeners.delete(listener);
  }

  /**
   * How the entries of some tables differ from those desired of a switch. What is on its way differs, too.
   * @param flows all that the switch holds in these tables
   */
  async differences(
    datapathId: DatapathId,
    flows: readonly FlowStats[],
    tables: ReadonlySet<number>,
  ): Promise<TableDifferences> {
    const elsewhere = (key: string): boolean => !tables.has(tableOfKey(key) ?? -1);
    const actual = { flows, groups: [], meters: [] };
    const { difference, examples } = await compare(actual, datapathId, this.#desired.scopes, elsewhere);
    const { explainer } = this.#environment;
    return { difference, examples: examples.map((example) => explainer.differing(example)) };
  }

  /** Calls back with every event; a listener must not throw. The returned function ends it. */
  onEvent(listener: (event: DatapathEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #datapath(datapathId: DatapathId): DatapathSync {
    let datapath = this.#datapaths.get(datapathId);
    if (datapath === undefined) {
      datapath = new DatapathSync(datapathId, this.#environment);
      this.#datapaths.set(datapathId, datapath);
    }
    return datapath;
  }

  #dispose(datapath: DatapathSync): void {
    if (datapath.disposable) this.#datapaths.delete(datapath.datapathId);
  }

  /** True once live; throws when the signal aborts. */
  async #untilLive(datapath: DatapathSync, signal: AbortSignal | undefined): Promise<boolean> {
    let cancel = (): void => {};
    try {
      await abortable<void>(signal, (resolve) => {
        cancel = datapath.onceLive(resolve);
      });
      return true;
    } finally {
      cancel();
      this.#dispose(datapath);
    }
  }

  async #read(
    session: SwitchSession,
    skip: (key: string) => boolean,
    takesWhole: (scope: Scope) => boolean,
  ): Promise<Comparison> {
    const timeoutMs = this.#readTimeoutMs;
    this.#reads++;
    try {
      const count = await countFlows(session, timeoutMs);
      return await this.#gate.run(count, async () => {
        const [flows, rest] = await Promise.all([
          readFlows(session, timeoutMs),
          readGroupsAndMeters(session, timeoutMs),
        ]);
        return compare({ flows, ...rest }, session.datapathId, this.#desired.scopes, skip, takesWhole);
      });
    } finally {
      this.#reads--;
      // What is read now is written before this runs.
      setImmediate(() => {
        if (this.#reads === 0) this.#whole.release();
      });
    }
  }

  #report({ settlement, conflicts, problems, queues, rows }: DesiredChanges): void {
    for (const runs of settlement.runs.values()) this.#counters.derivationRuns += runs;
    for (const failure of settlement.failures) this.#emit({ kind: 'failure', failure });
    for (const conflict of [...settlement.conflicts, ...conflicts])
      this.#emit({ kind: 'conflict', conflict });
    for (const { datapathId, problem, solved } of problems) {
      this.#emit({ kind: solved ? 'solved' : 'problem', datapathId, problem });
    }
    for (const host of queues) for (const listener of this.#queueListeners) listener(host);
    for (const [host, keys] of rows) for (const listener of this.#rowListeners) listener(host, keys);
  }

  #emit(event: DatapathEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

const NO_PARTS: readonly PartOfTurn[] = [];

/**
 * Those first whose own scope changes: where an endpoint lives, somebody waits for its entries, and the others may be a thousand.
 */
function* homesFirst(
  concerned: ReadonlyMap<DatapathId, readonly PartOfTurn[]>,
): IterableIterator<[DatapathId, readonly PartOfTurn[]]> {
  const isHome = (parts: readonly PartOfTurn[]): boolean => parts.some(({ scope }) => scope.own);
  for (const member of concerned) if (isHome(member[1])) yield member;
  for (const member of concerned) if (!isHome(member[1])) yield member;
}

/** True when all is decided; false when the session ended first. */
function untilDecided(datapath: DatapathSync, signal: AbortSignal | undefined): Promise<boolean> {
  return abortable(signal, (resolve) => {
    datapath.fence({ refuse: () => {}, settle: (undecided) => resolve(undecided === undefined) });
  });
}

/** A promise that rejects with the signal's reason when it aborts first. */
function abortable<T>(
  signal: AbortSignal | undefined,
  run: (resolve: (value: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    run((value) => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    });
  });
}

/** Between 0 and 1, the same for a switch each time. */
function fraction(datapathId: DatapathId): number {
  return Number.parseInt(datapathId.slice(-4), 16) / 0x1_0000;
}
