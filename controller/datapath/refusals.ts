/** What a switch would not take, until it holds, changes or goes. */
import type { DesiredEntry } from './entry.js';
import type { ScopedEntry } from './scopes.js';
import type { RefusedEntry } from './status.js';

interface Refusal {
  /** Undefined: a deletion was refused. */
  readonly entry: ScopedEntry | undefined;
  /** What was to be deleted. */
  readonly deletion: DesiredEntry | undefined;
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

  /** Every key, and what the switch still holds under it because its deletion was refused. */
  *keys(): IterableIterator<[string, DesiredEntry | undefined]> {
    for (const [key, { deletion }] of this.#byKey) yield [key, deletion];
  }

  /** True if the deletion of what is held under the key was refused. */
  isDeletion(key: string): boolean {
    return this.#byKey.get(key)?.deletion !== undefined;
  }

  /**
   * True if it is news: not refused before, or another entry, or with another error.
   * @param held what was to be changed or deleted
   */
  add(key: string, entry: ScopedEntry | undefined, held: DesiredEntry, refused: RefusedEntry): boolean {
    const known = this.#byKey.get(key);
    this.#byKey.set(key, { entry, deletion: entry === undefined ? held : undefined, refused, retry: false });
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
