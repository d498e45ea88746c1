/**
 * What was observed and must outlive the process: small records under a folder of their own in the store, read once at the start and kept
 * in memory. They are written behind: changes of one key that come faster than the store writes are one write, and of a flood of changes
 * only the last state is written. Whoever must not go on before a record is durable awaits `flush`.
 *
 * Values are JSON with a version of their form (`JOURNAL_VERSION`); one that cannot be read is left out and told of: what was observed
 * is observed again.
 */
import type { Logger } from '../log.js';
import { type Store, StoreError } from '../store/store.js';

export type JournalValue =
  | string
  | number
  | boolean
  | null
  | readonly JournalValue[]
  | { readonly [member: string]: JournalValue };

export interface JournalOptions {
  /** Of the store's keys, without the slash: `multicast`. A record is read and written by the one journal of its folder. */
  readonly folder: string;
  /** What is in it, for messages: `group memberships`. */
  readonly what: string;
  readonly logger: Logger;
  /** Milliseconds for which changes are put together before they are written. Default 20. */
  readonly delayMs?: number;
  /** Milliseconds until a write that the store did not take is tried again. Default 1,000. */
  readonly retryMs?: number;
}

/** Version of the form of the values. */
export const JOURNAL_VERSION = 1;

/** Records of one transaction. */
const MAX_BATCH = 512;

interface Flushing {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Journal {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #what: string;
  readonly #logger: Logger;
  readonly #delayMs: number;
  readonly #retryMs: number;
  readonly #values: Map<string, JournalValue>;
  /** Keys whose last state is not in the store. */
  readonly #dirty = new Set<string>();
  readonly #flushing: Flushing[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing = false;
  #closed = false;
  #transactions = 0;

  private constructor(store: Store, values: Map<string, JournalValue>, options: JournalOptions) {
    this.#store = store;
    this.#prefix = prefixOf(options);
    this.#what = options.what;
    this.#values = values;
    this.#logger = options.logger;
    this.#delayMs = options.delayMs ?? 20;
    this.#retryMs = options.retryMs ?? 1_000;
  }

  /** Reads all records. @throws StoreError */
  static async open(store: Store, options: JournalOptions): Promise<Journal> {
    const values = new Map<string, JournalValue>();
    const prefix = prefixOf(options);
    const { records } = await store.list(prefix);
    for (const { key, value } of records) {
      const parsed = parse(value);
      if (parsed === undefined) {
        options.logger.warn(
          { event: 'journal.unreadable', key },
          `the record ${key} cannot be read and is left out: it is of another version, or damaged`,
        );
      } else values.set(fromStoreKey(key.slice(prefix.length)), parsed);
    }
    return new Journal(store, values, options);
  }

  /** Transactions written since the start. */
  get transactions(): number {
    return this.#transactions;
  }

  get(key: string): JournalValue | undefined {
    return this.#values.get(key);
  }

  /** Records whose key begins with `prefix`. They may be put and deleted meanwhile. */
  *entries(prefix: string): Iterable<readonly [key: string, value: JournalValue]> {
    for (const entry of this.#values) if (entry[0].startsWith(prefix)) yield entry;
  }

  /** Any text is a key. The value must not be changed afterwards. */
  put(key: string, value: JournalValue): void {
    this.#values.set(key, value);
    this.#changed(key);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#changed(key);
  }

  /**
   * Resolves when everything put and deleted before is durable; while the store is lost that takes until it is back. Rejects when the
   * journal is closed before.
   */
  flush(): Promise<void> {
    if (this.#dirty.size === 0 && !this.#writing) return Promise.resolve();
    if (this.#closed) return Promise.reject(this.#closedError());
    const flushed = new Promise<void>((resolve, reject) => {
      this.#flushing.push({ resolve, reject });
    });
    this.#schedule(0);
    return flushed;
  }

  /** Writes what is not written yet, for at most `deadlineMs`. */
  async close(deadlineMs = 2_000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([this.flush(), deadline]);
    clearTimeout(timer);
    clearTimeout(this.#timer);
    this.#closed = true;
    for (const { reject } of this.#flushing.splice(0)) reject(this.#closedError());
  }

  #changed(key: string): void {
    this.#dirty.add(key);
    this.#schedule(this.#delayMs);
  }

  #schedule(delayMs: number): void {
    if (this.#writing || this.#closed) return; // what is written next begins when this is done
    if (this.#timer !== undefined) {
      if (delayMs > 0) return;
      clearTimeout(this.#timer);
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, delayMs);
  }

  async #write(): Promise<void> {
    this.#writing = true;
    // What is put from here on is for those who ask later.
    const waiting = this.#flushing.splice(0);
    const keys = [...this.#dirty];
    this.#dirty.clear();
    let written = 0;
    let failed = false;
    try {
      for (; written < keys.length; written += MAX_BATCH) {
        await this.#writeBatch(keys.slice(written, written + MAX_BATCH));
      }
      for (const { resolve } of waiting) resolve();
    } catch (err) {
      for (const key of keys.slice(written)) this.#dirty.add(key);
      this.#flushing.unshift(...waiting);
      failed = true;
      const code = err instanceof StoreError ? err.code : undefined;
      this.#logger.error(
        { event: 'journal.failure', err, code },
        `${this.#what} cannot be written to the store`,
      );
    }
    this.#writing = false;
    if (this.#dirty.size === 0) for (const { resolve } of this.#flushing.splice(0)) resolve();
    else if (failed) this.#schedule(this.#retryMs);
    else this.#schedule(this.#flushing.length > 0 ? 0 : this.#delayMs);
  }

  async #writeBatch(keys: readonly string[]): Promise<void> {
    const put: { key: string; value: Uint8Array }[] = [];
    const gone: string[] = [];
    for (const key of keys) {
      const value = this.#values.get(key);
      if (value === undefined) gone.push(this.#prefix + toStoreKey(key));
      else put.push({ key: this.#prefix + toStoreKey(key), value: serialize(value) });
    }
    await this.#store.transact({ compare: [], put, delete: gone });
    this.#transactions++;
  }

  #closedError(): StoreError {
    return new StoreError('store.closed', `the journal of ${this.#what} is closed`);
  }
}

const prefixOf = ({ folder }: JournalOptions): string => `${folder}/`;

/** Keys of the store are printable ASCII without spaces. */
function toStoreKey(key: string): string {
  return key.replace(/[^\x21-\x24\x26-\x7e]+/gu, encodeURIComponent);
}

function fromStoreKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key; // not of our writing
  }
}

function serialize(value: JournalValue): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: JOURNAL_VERSION, value }));
}

function parse(bytes: Uint8Array): JournalValue | undefined {
  try {
    const record = JSON.parse(new TextDecoder().decode(bytes)) as unknown;
    if (typeof record !== 'object' || record === null || !('version' in record) || !('value' in record)) {
      return undefined;
    }
    return record.version === JOURNAL_VERSION ? (record.value as JournalValue) : undefined;
  } catch {
    return undefined;
  }
}
