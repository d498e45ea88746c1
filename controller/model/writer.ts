/**
 * The one writer of the model. Operations are taken in turn; those that wait together become one transaction of the
 * store, compared with the revision of the last one, so that a second controller's writes can never be overwritten:
 * a conflict means to read again and run the operations again. Facts go out after the commit, in its order.
 */
import { type StoreEvent, type Store, StoreError, type WatchBatch } from '../store/store.js';
import type { FactChange } from './facts.js';
import {
  decodeRecord,
  encodeRecord,
  type Records,
  splitStoreKey,
  storeKey,
  TABLES,
  type Table,
} from './records.js';
import { META_ID, netChanges, type RecordChange, State } from './state.js';
import type { Problem } from './types.js';

/** Compared and written by every transaction: whoever has written since has changed it. */
const META_KEY = storeKey('meta', META_ID);
const MAX_SHARED_OPERATIONS = 128;
const MAX_ATTEMPTS = 20;
/** Milliseconds until a store that was restored, and could not be read, is read again. */
const RETRY_MS = 1_000;

interface Waiting {
  run(): unknown;
  readonly dryRun: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Writer {
  readonly state = new State();
  readonly #store: Store;
  readonly #onFacts: (changes: readonly FactChange[]) => void;
  readonly #onProblem: (problem: Problem) => void;
  readonly #waiting: Waiting[] = [];
  readonly #external: WatchBatch[] = [];
  readonly #stop = new AbortController();
  /** Of the last transaction that `state` contains. */
  #revision = 0;
  #metaRevision = 0;
  /** The outcome of a write is not known, or somebody else has written: read before the next one. */
  #reloadFirst = false;
  #working: Promise<void> | undefined;
  #watching: Promise<void> | undefined;

  private constructor(
    store: Store,
    onFacts: (changes: readonly FactChange[]) => void,
    onProblem: (problem: Problem) => void,
  ) {
    this.#store = store;
    this.#onFacts = onFacts;
    this.#onProblem = onProblem;
  }

  /** Reads everything (waits for the store to be there), then follows what others write. */
  static async open(
    store: Store,
    onFacts: (changes: readonly FactChange[]) => void,
    onProblem: (problem: Problem) => void,
  ): Promise<Writer> {
    const writer = new Writer(store, onFacts, onProblem);
    await writer.#reload();
    writer.#watching = writer.#watch();
    return writer;
  }

  /** Resolves with the operation's result when its changes are durable; rejects with what it throws. */
  run<R>(operation: () => R, options: { dryRun?: boolean } = {}): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({
        run: operation,
        dryRun: options.dryRun ?? false,
        resolve: resolve as (value: unknown) => void,
        reject,
      });
      this.#start();
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await this.#working;
  }

  #start(): void {
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    // Operations of the same turn share a transaction.
    await Promise.resolve();
    while (this.#waiting.length + this.#external.length > 0) {
      await this.#followAll();
      const shared = this.#waiting.splice(0, MAX_SHARED_OPERATIONS);
      if (shared.length === 0) continue;
      try {
        await this.#commit(shared);
      } catch (error) {
        this.#reloadFirst = true;
        for (const waiting of shared) waiting.reject(error);
      }
    }
    this.#working = undefined;
  }

  async #commit(shared: readonly Waiting[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (this.#reloadFirst) await this.#reload();
      const { settle, changes } = this.#attempt(shared);
      if (changes.length === 0) return settle();
      const written = await this.#write(changes);
      if (written) return settle();
      this.#reloadFirst = true;
      if (attempt === MAX_ATTEMPTS) {
        throw new Error(`another controller has written to the store ${attempt} times meanwhile`);
      }
    }
  }

  /** Runs the operations one on top of the other; `settle` answers each of them. */
  #attempt(shared: readonly Waiting[]): { settle: () => void; changes: RecordChange[] } {
    const answers: (() => void)[] = [];
    const changes = this.state.attempt(
      shared.map((waiting) => ({
        run: () => {
          try {
            const result = waiting.run();
            answers.push(() => waiting.resolve(result));
            return !waiting.dryRun;
          } catch (error) {
            answers.push(() => waiting.reject(error));
            return false;
          }
        },
      })),
    );
    return { changes, settle: () => answers.forEach((answer) => answer()) };
  }

  /** False when somebody else has written since. */
  async #write(changes: readonly RecordChange[]): Promise<boolean> {
    const put: { key: string; value: Uint8Array }[] = [];
    const gone: string[] = [];
    let metaWritten = false;
    for (const { table, id, after } of changes) {
      const key = storeKey(table, id);
      if (after === undefined) gone.push(key);
      else put.push({ key, value: encodeRecord(table, after) });
      if (key === META_KEY) metaWritten = true;
    }
    if (!metaWritten) {
      const meta = this.state.get('meta', META_ID) ?? { generation: 0 };
      put.push({ key: META_KEY, value: encodeRecord('meta', meta) });
    }
    const compare = [{ key: META_KEY, revision: this.#metaRevision }];
    const outcome = await this.#store.transact({ compare, put, delete: gone });
    if (!outcome.ok) return false;
    this.#revision = outcome.revision;
    this.#metaRevision = outcome.revision;
    this.#emit(changes);
    return true;
  }

  #emit(changes: readonly RecordChange[]): void {
    const facts = this.state.apply(changes);
    if (facts.length === 0) return;
    try {
      this.#onFacts(facts);
    } catch (error) {
      this.#report('model.listener', `a listener of facts failed: ${textOf(error)}`, 'report this as a bug');
    }
  }

  #report(code: string, message: string, fix: string): void {
    this.#onProblem({ severity: 'error', code, message, fix });
  }

  async #followAll(): Promise<void> {
    while (this.#external.length > 0) {
      const batch = this.#external.shift() as WatchBatch;
      if (batch.restored === true) await this.#restore(batch);
      else this.#follow(batch);
    }
  }

  /** The batch may be older than what was written since; what counts is what the store holds now. */
  async #restore(batch: WatchBatch): Promise<void> {
    try {
      await this.#reload();
    } catch (error) {
      this.#reloadFirst = true;
      if (this.#stop.signal.aborted) return;
      if (!(error instanceof StoreError) || error.code !== 'store.unavailable') {
        this.#reportCorrupt(error);
        return;
      }
      setTimeout(() => {
        this.#external.unshift(batch);
        this.#start();
      }, RETRY_MS).unref();
    }
  }

  #follow(batch: WatchBatch): void {
    if (batch.revision < this.#revision) return;
    if (batch.revision === this.#revision && batch.relisted !== true) return;
    try {
      this.#applyExternal(batch);
    } catch (error) {
      this.#reloadFirst = true;
      this.#reportCorrupt(error);
    }
  }

  #reportCorrupt(error: unknown): void {
    this.#report('store.corrupt', textOf(error), 'restore the store from a backup');
  }

  /** Brings the state to what the store holds now. */
  async #reload(): Promise<void> {
    const { revision, records } = await this.#store.list('');
    if (revision < this.#revision) {
      this.#report(
        'store.restored',
        `the store has gone back from revision ${this.#revision} to ${revision}: it was restored from a backup, or is another one`,
        'apply again what was changed since the backup (weft diff shows it)',
      );
    }
    this.#applyExternal({
      revision,
      relisted: true,
      events: records.map((record): StoreEvent => ({ type: 'put', record })),
    });
    this.#reloadFirst = false;
  }

  #applyExternal(batch: WatchBatch): void {
    const changes: RecordChange[] = [];
    const present = new Set<string>();
    let metaRevision = batch.relisted === true ? 0 : this.#metaRevision;
    for (const event of batch.events) {
      const key = event.type === 'put' ? event.record.key : event.key;
      if (key === META_KEY) metaRevision = event.type === 'put' ? event.record.revision : 0;
      const place = splitStoreKey(key);
      if (place === undefined) continue;
      const before = this.state.get(place.table, place.id);
      const after = event.type === 'put' ? decodeRecord(place.table, key, event.record.value) : undefined;
      present.add(key);
      changes.push({ table: place.table, id: place.id, before, after } as RecordChange);
    }
    if (batch.relisted === true) changes.push(...this.#vanished(present));
    this.#revision = batch.revision;
    this.#metaRevision = metaRevision;
    this.#emit(netChanges(changes));
  }

  /** Records that we have and a whole list has not. */
  #vanished(present: ReadonlySet<string>): RecordChange[] {
    const changes: RecordChange[] = [];

    for (const table of TABLES) {
      for (const [id, before] of this.state.entries(table)) {
        if (present.has(storeKey(table, id))) continue;
        changes.push({ table, id, before: before as Records[Table], after: undefined } as RecordChange);
      }
    }
    return changes;
  }

  async #watch(): Promise<void> {
    try {
      for await (const batch of this.#store.watch('', this.#revision, { signal: this.#stop.signal })) {
        this.#external.push(batch);
        this.#start();
      }
    } catch (error) {
      this.#report(
        'store.watch',
        `changes of other controllers are no longer followed: ${textOf(error)}`,
        'restart the controller',
      );
    }
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
