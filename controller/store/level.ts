/**
 * The embedded driver: one LevelDB folder, one process. Every acknowledged transaction has been synced to the disk.
 *
 * Transactions that arrive while one is being written are compared in their order and written together in one atomic
 * batch, so that a sync is shared; each still has a revision of its own. The changes of the last transactions are kept
 * in memory for watchers; one that asks for older ones gets the whole list, as after a compaction of etcd.
 */
import { Level } from 'level';
import { decodeStoredValue, encodeStoredValue, STORE_FORMAT } from './stored-value.js';
import {
  checkKey,
  checkTransaction,
  prefixEnd,
  type Store,
  StoreError,
  type StoredRecord,
  type StoreEvent,
  type StoreState,
  type StoreTransaction,
  type TransactionOutcome,
  type WatchBatch,
} from './store.js';

/** Records live below `d/`, the store's own two values below `m/`. */
const DATA = 'd/';
const REVISION_KEY = 'm/revision';
const FORMAT_KEY = 'm/format';

const MAX_SHARED_TRANSACTIONS = 256;

interface Waiting {
  readonly transaction: StoreTransaction;
  resolve(outcome: TransactionOutcome): void;
  reject(error: unknown): void;
}

/** Revision of a key as the transactions written together see it; 0 is absent. */
type Revisions = Map<string, number>;

export interface LevelStoreOptions {
  /** Events (not transactions) kept for watchers. Default 65,536. */
  readonly historyLimit?: number;
}

export class LevelStore implements Store {
  readonly #database: Level<string, Uint8Array>;
  readonly #historyLimit: number;
  readonly #waiting: Waiting[] = [];
  readonly #listeners = new Set<(state: StoreState) => void>();
  /** Batches with a revision larger than #historyStart, oldest first. */
  #history: WatchBatch[] = [];
  #historyStart: number;
  #historyEvents = 0;
  #revision: number;
  #draining: Promise<void> | undefined;
  #closed = false;
  #wakeWatchers: (() => void)[] = [];

  private constructor(database: Level<string, Uint8Array>, revision: number, options: LevelStoreOptions) {
    this.#database = database;
    this.#revision = revision;
    this.#historyStart = revision;
    this.#historyLimit = options.historyLimit ?? 65_536;
  }

  /** Opens or creates the store in `folder`. Rejects with StoreError `store.locked` while another process has it open. */
  static async open(folder: string, options: LevelStoreOptions = {}): Promise<LevelStore> {
    const database = new Level<string, Uint8Array>(folder, { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await database.open();
    } catch (error) {
      throw openError(folder, error);
    }
    const format = await database.get(FORMAT_KEY);
    if (format === undefined) {
      await database.put(FORMAT_KEY, encodeStoredValue(STORE_FORMAT, new Uint8Array()), { sync: true });
    } else if (decodeStoredValue(FORMAT_KEY, format).revision > STORE_FORMAT) {
      await database.close();
      throw new StoreError('store.version', `the store in ${folder} was written by a newer Weft`, {
        fix: 'run that version, or start with an empty --data folder',
      });
    }
    const revision = await database.get(REVISION_KEY);
    return new LevelStore(
      database,
      revision === undefined ? 0 : decodeStoredValue(REVISION_KEY, revision).revision,
      options,
    );
  }

  get state(): StoreState {
    return this.#closed ? 'lost' : 'ready';
  }

  onState(listener: (state: StoreState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    this.#checkOpen();
    checkKey(key);
    const bytes = await this.#database.get(DATA + key);
    return bytes === undefined ? undefined : { key, ...decodeStoredValue(key, bytes) };
  }

  async list(prefix: string): Promise<{ revision: number; records: StoredRecord[] }> {
    this.#checkOpen();
    // A snapshot taken in the same turn as the revision is read: writes under way are in both or in neither.
    const snapshot = this.#database.snapshot();
    try {
      const stored = await this.#database.get(REVISION_KEY, { snapshot });
      const revision = stored === undefined ? 0 : decodeStoredValue(REVISION_KEY, stored).revision;
      const entries = await this.#database
        .iterator({ gte: DATA + prefix, lt: prefixEnd(DATA + prefix), snapshot })
        .all();
      const records = entries.map(([path, bytes]) => {
        const key = path.slice(DATA.length);
        return { key, ...decodeStoredValue(key, bytes) };
      });
      return { revision, records };
    } finally {
      await snapshot.close();
    }
  }

  transact(transaction: StoreTransaction): Promise<TransactionOutcome> {
    return new Promise((resolve, reject) => {
      this.#checkOpen();
      checkTransaction(transaction);
      this.#waiting.push({ transaction, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  async *watch(
    prefix: string,
    fromRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const { signal } = options;
    let position = fromRevision;
    for (;;) {
      if (this.#closed || signal?.aborted === true) return;
      if (position < this.#historyStart) {
        const { revision, records } = await this.list(prefix);
        position = revision;
        yield { revision, relisted: true, events: records.map((record) => ({ type: 'put', record })) };
        continue;
      }
      const batch = this.#firstAfter(position);
      if (batch === undefined) {
        await this.#nextCommit(signal);
        continue;
      }
      position = batch.revision;
      const events = batch.events.filter((event) =>
        (event.type === 'put' ? event.record.key : event.key).startsWith(prefix),
      );
      if (events.length > 0) yield { revision: batch.revision, events };
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#draining;
    this.#wake();
    await this.#database.close();
    for (const listener of this.#listeners) listener('lost');
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError('store.closed', 'the store has been closed');
  }

  async #drain(): Promise<void> {
    // Let transactions of this turn gather before the first write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const shared = this.#waiting.splice(0, MAX_SHARED_TRANSACTIONS);
      try {
        const outcomes = await this.#write(shared.map((waiting) => waiting.transaction));
        outcomes.forEach((outcome, index) => shared[index]?.resolve(outcome));
      } catch (error) {
        const failure = new StoreError(
          'store.unavailable',
          `the store could not be written: ${String(error)}`,
          {
            fix: 'check the disk under --data (space, permissions, health)',
            cause: error,
          },
        );
        for (const waiting of shared) waiting.reject(failure);
      }
    }
    // In the same turn as the loop found nothing: whoever comes later starts another one.
    this.#draining = undefined;
  }

  async #write(transactions: readonly StoreTransaction[]): Promise<TransactionOutcome[]> {
    const revisions = await this.#readRevisions(transactions);
    const operations: ({ type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string })[] = [];
    const batches: WatchBatch[] = [];
    let revision = this.#revision;

    const outcomes = transactions.map((transaction): TransactionOutcome => {
      const conflicts = transaction.compare
        .filter(({ key, revision }) => (revisions.get(key) ?? 0) !== revision)
        .map(({ key }) => key);
      if (conflicts.length > 0) return { ok: false, conflicts };
      if (transaction.put.length + transaction.delete.length === 0) return { ok: true, revision };
      revision += 1;
      const events: StoreEvent[] = [];
      for (const { key, value } of transaction.put) {
        operations.push({ type: 'put', key: DATA + key, value: encodeStoredValue(revision, value) });
        events.push({ type: 'put', record: { key, value, revision } });
        revisions.set(key, revision);
      }
      for (const key of transaction.delete) {
        if ((revisions.get(key) ?? 0) === 0) continue;
        operations.push({ type: 'del', key: DATA + key });
        events.push({ type: 'delete', key });
        revisions.set(key, 0);
      }
      batches.push({ revision, events });
      return { ok: true, revision };
    });

    if (batches.length > 0) {
      operations.push({
        type: 'put',
        key: REVISION_KEY,
        value: encodeStoredValue(revision, new Uint8Array()),
      });
      await this.#database.batch(operations, { sync: true });
      this.#revision = revision;
      this.#remember(batches);
    }
    return outcomes;
  }

  /** Stored revisions of every key that is compared or deleted. */
  async #readRevisions(transactions: readonly StoreTransaction[]): Promise<Revisions> {
    const keys = new Set<string>();
    for (const transaction of transactions) {
      for (const { key } of transaction.compare) keys.add(key);
      for (const key of transaction.delete) keys.add(key);
    }
    const list = [...keys];
    const values = await this.#database.getMany(list.map((key) => DATA + key));
    const revisions: Revisions = new Map();
    list.forEach((key, index) => {
      const value = values[index];
      revisions.set(key, value === undefined ? 0 : decodeStoredValue(key, value).revision);
    });
    return revisions;
  }

  #remember(batches: readonly WatchBatch[]): void {
    for (const batch of batches) {
      this.#history.push(batch);
      this.#historyEvents += batch.events.length;
    }
    let forget = 0;
    while (this.#historyEvents > this.#historyLimit && forget < this.#history.length) {
      const batch = this.#history[forget++] as WatchBatch;
      this.#historyEvents -= batch.events.length;
      this.#historyStart = batch.revision;
    }
    if (forget > 0) this.#history = this.#history.slice(forget);
    this.#wake();
  }

  #firstAfter(revision: number): WatchBatch | undefined {
    let low = 0;
    let high = this.#history.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#history[middle] as WatchBatch).revision > revision) high = middle;
      else low = middle + 1;
    }
    return this.#history[low];
  }

  #nextCommit(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal?.removeEventListener('abort', done);
        resolve();
      };
      signal?.addEventListener('abort', done, { once: true });
      this.#wakeWatchers.push(done);
    });
  }

  #wake(): void {
    const waking = this.#wakeWatchers;
    this.#wakeWatchers = [];
    for (const wake of waking) wake();
  }
}

function openError(folder: string, error: unknown): StoreError {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED') {
    return new StoreError('store.locked', `the store in ${folder} is open in another process`, {
      fix: 'stop the other controller, or give this one another --data folder',
      cause: error,
    });
  }
  const reason = cause instanceof Error ? cause.message : String(error);
  return new StoreError('store.unavailable', `the store in ${folder} cannot be opened: ${reason}`, {
    fix: 'check the --data folder and its permissions',
    cause: error,
  });
}
