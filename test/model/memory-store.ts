/** A store in memory, for tests that need thousands of them, and one that fails when it is told to. */
import {
  checkTransaction,
  type Store,
  StoreError,
  type StoredRecord,
  type StoreState,
  type StoreTransaction,
  type TransactionOutcome,
  type WatchBatch,
} from '../../controller/store/store.js';

/** What happens to the next transactions: `lose` does not write, `forget` writes and does not tell. Both fail. */
export type Failure = 'lose' | 'forget';

export class MemoryStore implements Store {
  readonly state: StoreState = 'ready';
  readonly failures: Failure[] = [];
  transactions = 0;
  readonly #records: Map<string, StoredRecord>;
  #revision = 0;
  #stop: () => void = () => undefined;

  constructor(records: ReadonlyMap<string, StoredRecord> = new Map(), revision = 0) {
    this.#records = new Map(records);
    this.#revision = revision;
  }

  /** What a process that starts now would find: the other one may have died at any moment. */
  copy(): MemoryStore {
    return new MemoryStore(this.#records, this.#revision);
  }

  onState(): () => void {
    return () => undefined;
  }

  get(key: string): Promise<StoredRecord | undefined> {
    return Promise.resolve(this.#records.get(key));
  }

  list(prefix: string): Promise<{ revision: number; records: StoredRecord[] }> {
    const records = [...this.#records.values()].filter(({ key }) => key.startsWith(prefix));
    records.sort((left, right) => (left.key < right.key ? -1 : 1));
    return Promise.resolve({ revision: this.#revision, records });
  }

  async transact(transaction: StoreTransaction): Promise<TransactionOutcome> {
    checkTransaction(transaction);
    const failure = this.failures.shift();
    if (failure === 'lose') throw new StoreError('store.unavailable', 'lost');
    const conflicts = transaction.compare
      .filter(({ key, revision }) => (this.#records.get(key)?.revision ?? 0) !== revision)
      .map(({ key }) => key);
    if (conflicts.length > 0) return { ok: false, conflicts };
    const revision = ++this.#revision;
    this.transactions += 1;
    for (const { key, value } of transaction.put) this.#records.set(key, { key, value, revision });
    for (const key of transaction.delete) this.#records.delete(key);
    if (failure === 'forget') throw new StoreError('store.unavailable', 'forgotten');
    return { ok: true, revision };
  }

  /** Nobody else writes: there is nothing to tell. */
  async *watch(
    _prefix: string,
    _from: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<WatchBatch, void, undefined> {
    if (options.signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      this.#stop = resolve;
      options.signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    yield* [];
  }

  close(): Promise<void> {
    this.#stop();
    return Promise.resolve();
  }
}
