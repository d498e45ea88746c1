/**
 * The clustered driver: etcd 3. A store that is not up yet is waited for, one that is lost is found again; meanwhile calls fail
 * with `store.unavailable` and watches wait. Leases and the election of a leader will live beside this file.
 */
import {
  checkKey,
  checkTransaction,
  type Store,
  StoreError,
  type StoredRecord,
  type StoreState,
  type StoreTransaction,
  type TransactionOutcome,
  type WatchBatch,
} from './store.js';
import { CompactedError, EtcdClient, type EtcdOptions } from './etcd-client.js';
import { Keys } from './etcd-keys.js';
import {
  carryOut,
  MAX_BYTES,
  MAX_OPERATIONS,
  removeAbandonedLogs,
  removeLog,
  writeLog,
} from './etcd-large.js';
import {
  type Compare,
  type KeyValue,
  LARGE_TRANSACTION,
  RANGE,
  type RangeResponse,
  type RequestOp,
  TXN,
} from './etcd-protocol.js';
import { watchRecords } from './etcd-watch.js';

export interface EtcdStoreOptions extends EtcdOptions {
  /** Everything is kept below this key. Default `/weft/`. */
  readonly root?: string;
}

const PAGE = 1_000;

export class EtcdStore implements Store {
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #closing = new AbortController();

  /** Does not wait for etcd to be there. Throws StoreError `store.invalid` for options that cannot be. */
  constructor(options: EtcdStoreOptions) {
    const root = options.root ?? '/weft/';
    checkKey(root);
    this.#client = new EtcdClient(options);
    this.#keys = new Keys(root);
    const stop = this.#client.onState((state) => {
      if (state !== 'ready') return;
      stop();
      // Nobody waits for the tidying up, and whoever comes next does it as well.
      removeAbandonedLogs(this.#client, this.#keys).catch(() => undefined);
    });
  }

  get state(): StoreState {
    return this.#client.state;
  }

  onState(listener: (state: StoreState) => void): () => void {
    return this.#client.onState(listener);
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    checkKey(key);
    const { records } = await this.#range({ key: this.#keys.record(key) });
    return records[0];
  }

  list(prefix: string): Promise<{ revision: number; records: StoredRecord[] }> {
    return this.#range(this.#keys.records(prefix));
  }

  async transact(transaction: StoreTransaction): Promise<TransactionOutcome> {
    this.#checkOpen();
    checkTransaction(transaction);
    const operations: RequestOp[] = [
      ...transaction.put.map(({ key, value }) => ({ requestPut: { key: this.#keys.record(key), value } })),
      ...transaction.delete.map((key) => ({ requestDeleteRange: { key: this.#keys.record(key) } })),
    ];
    const size = transaction.put.reduce((sum, { key, value }) => sum + key.length + value.length + 32, 0);
    const small =
      Math.max(operations.length, transaction.compare.length) < MAX_OPERATIONS && size < MAX_BYTES;
    return small ? this.#commit(transaction, operations) : this.#commitLarge(transaction);
  }

  async *watch(
    prefix: string,
    fromRevision: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const signals = [this.#closing.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const watched = { client: this.#client, keys: this.#keys, list: (below: string) => this.list(below) };
    yield* watchRecords(watched, prefix, fromRevision, AbortSignal.any(signals));
  }

  close(): Promise<void> {
    this.#closing.abort();
    this.#client.close();
    return Promise.resolve();
  }

  #checkOpen(): void {
    if (this.#client.closed) throw new StoreError('store.closed', 'the store has been closed');
  }

  /** Records of a range as of one revision, after any large transaction that has been committed. */
  async #range(range: {
    key: Uint8Array;
    rangeEnd?: Uint8Array;
  }): Promise<{ revision: number; records: StoredRecord[] }> {
    for (;;) {
      this.#checkOpen();
      const first = await this.#client.read(TXN, {
        compare: [],
        success: [{ requestRange: { key: this.#keys.marker } }, { requestRange: { ...range, limit: PAGE } }],
        failure: [],
      });
      const [marker, page] = first.responses.map(({ responseRange }) => responseRange);
      const pending = marker?.kvs[0];
      if (pending !== undefined) {
        await carryOut(this.#client, this.#keys, pending);
        continue;
      }
      try {
        return {
          revision: first.header.revision,
          records: await this.#pages(range, first.header.revision, page),
        };
      } catch (error) {
        if (!(error instanceof CompactedError)) throw error;
      }
    }
  }

  async #pages(
    { rangeEnd }: { rangeEnd?: Uint8Array },
    revision: number,
    first: RangeResponse | undefined,
  ): Promise<StoredRecord[]> {
    const records: StoredRecord[] = [];
    for (let page = first; page !== undefined; ) {
      for (const kv of page.kvs) records.push(this.#record(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined || rangeEnd === undefined) break;
      const key = Buffer.concat([last.key, Buffer.of(0)]);
      page = await this.#client.read(RANGE, { key, rangeEnd, limit: PAGE, revision });
    }
    return records;
  }

  #record({ key, value, modRevision }: KeyValue): StoredRecord {
    return { key: this.#keys.recordKey(key) ?? '', value, revision: modRevision };
  }

  /** One transaction of etcd; it also compares that no large one is under way. */
  async #commit(transaction: StoreTransaction, success: readonly RequestOp[]): Promise<TransactionOutcome> {
    for (;;) {
      const compare: Compare[] = [
        { target: 'CREATE', key: this.#keys.marker, createRevision: 0 },
        ...transaction.compare.map(
          ({ key, revision }): Compare => ({
            target: 'MOD',
            key: this.#keys.record(key),
            modRevision: revision,
          }),
        ),
      ];
      const failure: RequestOp[] = [
        this.#keys.marker,
        ...transaction.compare.map(({ key }) => this.#keys.record(key)),
      ].map((key) => ({ requestRange: { key } }));
      const { header, succeeded, responses } = await this.#client.call(TXN, { compare, success, failure });
      if (succeeded) return { ok: true, revision: header.revision };
      const [marker, ...found] = responses.map(({ responseRange }) => responseRange?.kvs[0]);
      if (marker === undefined) return { ok: false, conflicts: conflictsOf(transaction, found) };
      await carryOut(this.#client, this.#keys, marker);
    }
  }

  async #commitLarge(transaction: StoreTransaction): Promise<TransactionOutcome> {
    const large = await writeLog(this.#client, this.#keys, transaction);
    const marker = { key: this.#keys.marker, value: LARGE_TRANSACTION.encode(large) };
    const outcome = await this.#commit(transaction, [{ requestPut: marker }]);
    if (!outcome.ok) {
      await removeLog(this.#client, this.#keys, large.id);
      return outcome;
    }
    // From here on the transaction is committed, whoever carries it out.
    const { kvs } = await this.#client.read(RANGE, { key: this.#keys.marker });
    const [pending] = kvs;
    if (pending?.createRevision === outcome.revision) await carryOut(this.#client, this.#keys, pending);
    const done = await this.#client.read(RANGE, { key: this.#keys.done(large.id) });
    const revision = done.kvs[0]?.modRevision;
    if (revision === undefined)
      throw new StoreError('store.unavailable', 'the end of a large transaction was not found');
    await removeLog(this.#client, this.#keys, large.id);
    return { ok: true, revision };
  }
}

function conflictsOf({ compare }: StoreTransaction, found: readonly (KeyValue | undefined)[]): string[] {
  return compare
    .filter(({ revision }, index) => (found[index]?.modRevision ?? 0) !== revision)
    .map(({ key }) => key);
}
