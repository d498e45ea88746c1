/**
 * The one interface to persistent state, with two drivers behind it: `level` (embedded) and `etcd` (clustered).
 * `test/store/conformance.ts` is what a driver has to pass.
 *
 * Keys are ASCII text, ordered by bytes; values are opaque bytes. Every successful transaction moves the store to a new,
 * larger revision; each record carries the revision of its last write.
 */

/** One record as it is stored. */
export interface StoredRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the transaction that wrote it last. */
  readonly revision: number;
}

/** One compare-and-swap transaction: nothing is written unless every comparison holds. */
export interface StoreTransaction {
  /** The key's record must have exactly this revision; 0 means that the key must be absent. */
  readonly compare: readonly { readonly key: string; readonly revision: number }[];
  readonly put: readonly { readonly key: string; readonly value: Uint8Array }[];
  /** Keys to delete; deleting an absent key is no error. A key may not be put and deleted at once. */
  readonly delete: readonly string[];
}

/**
 * `revision` is the store's revision after the transaction. A key that was compared and put has exactly that
 * revision; other keys of a transaction too large for one write of the driver may have a smaller one.
 */
export type TransactionOutcome =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly conflicts: readonly string[] };

/** One change of one key. */
export type StoreEvent =
  | { readonly type: 'put'; readonly record: StoredRecord }
  | { readonly type: 'delete'; readonly key: string };

/** All changes under the watched prefix that one transaction made, or the whole list after a relist. */
export interface WatchBatch {
  readonly revision: number;
  /** Changes in order; with `relisted`, a put for every record there is. */
  readonly events: readonly StoreEvent[];
  /** True when changes were missed (compaction): `events` is the whole truth, what is not in it is gone. */
  readonly relisted?: true;
  /**
   * True, with `relisted`, when the store has gone back: it now holds what it held at `revision`, which is smaller than one that
   * was told before. It was restored from a backup, or is another one.
   */
  readonly restored?: true;
}

/** `connecting` until the store first answered, `lost` while it does not. Calls wait or fail with `store.unavailable`. */
export type StoreState = 'connecting' | 'ready' | 'lost';

export interface Store {
  readonly state: StoreState;
  /** Calls back on every change of `state`; the returned function ends that. */
  onState(listener: (state: StoreState) => void): () => void;
  get(key: string): Promise<StoredRecord | undefined>;
  /** All records whose key begins with `prefix`, ordered by key, as of one revision. */
  list(prefix: string): Promise<{ readonly revision: number; readonly records: readonly StoredRecord[] }>;
  /** Durable when it resolves. Rejects with StoreError when the outcome could not be learnt. */
  transact(transaction: StoreTransaction): Promise<TransactionOutcome>;
  /**
   * Batches with a revision larger than `fromRevision`, in order, without gaps; ends when the signal aborts or the store
   * is closed. Outlives a loss of the store: it goes on where it was, or relists.
   */
  watch(
    prefix: string,
    fromRevision: number,
    options?: { readonly signal?: AbortSignal },
  ): AsyncIterable<WatchBatch>;
  close(): Promise<void>;
}

export type StoreErrorCode =
  | 'store.unavailable'
  | 'store.locked'
  | 'store.closed'
  | 'store.invalid'
  | 'store.too-large'
  | 'store.corrupt'
  | 'store.version';

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly fix?: string;

  constructor(code: StoreErrorCode, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StoreError';
    this.code = code;
    if (options.fix !== undefined) this.fix = options.fix;
  }
}

/** Refuses what no driver accepts. Throws StoreError `store.invalid`. */
export function checkTransaction(transaction: StoreTransaction): void {
  const written = new Set<string>();
  for (const key of [...transaction.put.map((put) => put.key), ...transaction.delete]) {
    checkKey(key);
    if (written.has(key))
      throw new StoreError('store.invalid', `key "${key}" is written twice in one transaction`);
    written.add(key);
  }
  for (const { key, revision } of transaction.compare) {
    checkKey(key);
    if (!Number.isSafeInteger(revision) || revision < 0) {
      throw new StoreError('store.invalid', `key "${key}" is compared with revision ${revision}`);
    }
  }
}

/** Keys are non-empty printable ASCII, so that every driver orders them alike. */
export function checkKey(key: string): void {
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new StoreError('store.invalid', `key ${JSON.stringify(key)} is not printable ASCII without spaces`);
  }
}

/** The smallest key that no longer begins with `prefix` (printable ASCII, so the last character can always grow). */
export function prefixEnd(prefix: string): string {
  if (prefix === '') return '\x7f';
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
