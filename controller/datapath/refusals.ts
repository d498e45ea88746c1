/** What a switch would not take, until it holds, changes or goes. */
import type { ScopedEntry } from './scopes.js';
import type { RefusedEntry } from './status.js';

interface Refusal {
  /** Undefined: a deletion was refused. */
  readonly entry: ScopedEntry | undefined;
  readonly refused: RefusedEntry;
  /** It is to be tried again as it is. */
  retry: boolean;
}

export class Refusals {
  readonly #byKey = new Map<string, Refusal>();

  get size(): number {
    return this.#byKey.size;
  }

  get list(): readonly RefusedEntry[] {
    return [...this.#byKey.values()].map(({ refused }) => refused);
  }

  keys(): IterableIterator<string> {
    return this.#byKey.keys();
  }

  /** True if it is news: not refused before, or another entry, or with another error. */
  add(key: string, entry: ScopedEntry | undefined, refused: RefusedEntry): boolean {
    const known = this.#byKey.get(key);
    this.#byKey.set(key, { entry, refused, retry: false });
    return known === undefined || known.entry !== entry || known.refused.error !== refused.error;
  }

  /** True if this very entry was refused and is not to be tried again. */
  stands(key: string, entry: ScopedEntry | undefined): boolean {
    const known = this.#byKey.get(key);
    return known !== undefined && known.entry === entry && !known.retry;
  }

  /** True if it was there. */
  delete(key: string): boolean {
    return this.#byKey.delete(key);
  }

  /** Lets everything be tried once more. */
  retryAll(): void {
    for (const refusal of this.#byKey.values()) refusal.retry = true;
  }

  clear(): void {
    this.#byKey.clear();
  }
}
