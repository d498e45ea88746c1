/** Dependency bookkeeping: what was read, and who read it. */

/** Something that reads: an instance of a derivation. */
export interface Reader {
  /** What it read was changed: run it again in this settlement. */
  schedule(): void;
}

/**
 * Something that can be read: one key of a collection, the membership of one bucket of an index, or that bucket's values.
 *
 * Most nodes have no reader or one, so a set is made only for the second. All operations are O(1) but `invalidate`, which is
 * O(readers) because it has to wake each of them.
 */
export abstract class DependencyNode {
  #readers: Reader | Set<Reader> | undefined;

  /** Number of the last run that read this node: makes a second read in the same run free. */
  lastRun = 0;

  get isRead(): boolean {
    return this.#readers !== undefined;
  }

  addReader(reader: Reader): void {
    const readers = this.#readers;
    if (readers === undefined) this.#readers = reader;
    else if (readers instanceof Set) readers.add(reader);
    else if (readers !== reader) this.#readers = new Set([readers, reader]);
  }

  removeReader(reader: Reader): void {
    const readers = this.#readers;
    if (readers === reader) this.#readers = undefined;
    else if (readers instanceof Set && readers.delete(reader) && readers.size === 0)
      this.#readers = undefined;
    if (this.#readers === undefined) this.unread();
  }

  /** What this node stands for has changed: schedules its readers. */
  invalidate(): void {
    const readers = this.#readers;
    if (readers === undefined) return;
    if (readers instanceof Set) for (const reader of readers) reader.schedule();
    else readers.schedule();
  }

  /** The last reader left: a node that stands for nothing any more takes itself out of its owner. */
  protected abstract unread(): void;
}
