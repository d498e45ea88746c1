/** Where the driver keeps what in etcd, below a root such as `/weft/`. */
import { prefixEnd } from './store.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'ascii');

export class Keys {
  readonly #root: string;
  /** There while a large transaction is being carried out. */
  readonly marker: Uint8Array;
  /** What a watch looks at: the records and the marker, which sorts behind them. */
  readonly watched: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };

  constructor(root: string) {
    this.#root = root;
    this.marker = bytes(`${root}large`);
    this.watched = { key: bytes(`${root}d/`), rangeEnd: bytes(`${root}large\0`) };
  }

  record(key: string): Uint8Array {
    return bytes(`${this.#root}d/${key}`);
  }

  /** Undefined when it is no record's. */
  recordKey(key: Uint8Array): string | undefined {
    const text = Buffer.from(key).toString('ascii');
    const prefix = `${this.#root}d/`;
    return text.startsWith(prefix) ? text.slice(prefix.length) : undefined;
  }

  records(prefix: string): { key: Uint8Array; rangeEnd: Uint8Array } {
    const first = `${this.#root}d/${prefix}`;
    return { key: bytes(first), rangeEnd: bytes(prefixEnd(first)) };
  }

  isMarker(key: Uint8Array): boolean {
    return Buffer.compare(key, this.marker) === 0;
  }

  chunk(id: string, index: number): Uint8Array {
    return bytes(`${this.#root}wal/${id}/${String(index).padStart(6, '0')}`);
  }

  /** Written with the end of a large transaction: its revision is the transaction's. */
  done(id: string): Uint8Array {
    return bytes(`${this.#root}wal/${id}/done`);
  }

  /** Everything of one large transaction. */
  log(id: string): { key: Uint8Array; rangeEnd: Uint8Array } {
    const first = `${this.#root}wal/${id}/`;
    return { key: bytes(first), rangeEnd: bytes(prefixEnd(first)) };
  }

  /** Logs of transactions whose id sorts before `id`. */
  logsBefore(id: string): { key: Uint8Array; rangeEnd: Uint8Array } {
    return { key: bytes(`${this.#root}wal/`), rangeEnd: bytes(`${this.#root}wal/${id}`) };
  }
}
