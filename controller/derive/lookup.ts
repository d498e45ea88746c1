import type { Change, Collection, Step, Store } from './collection.js';
import { DependencyNode } from './node.js';

/** Buckets of keys of a collection, by any property of their values. */
export interface Index<out V> {
  readonly name: string;
  readonly source: Collection<V>;
  /** Keys in a bucket, in ascending order (UTF-16 code units). */
  keys(bucket: string): readonly string[];
}

const NO_KEYS: readonly string[] = Object.freeze([]);

/** The membership of a bucket, or its values: two nodes, so that a reader of the keys sleeps while only a value changes. */
class BucketNode extends DependencyNode {
  constructor(private readonly bucket: Bucket) {
    super();
  }

  protected override unread(): void {
    this.bucket.prune();
  }
}

/**
 * Members of one bucket. The sorted list that readers get is never written to (an output may hold it); it is brought up to date
 * when somebody asks, by merging what came and went since: O(n) for a reader that looks at n members anyway, and nothing at all
 * for the 100,000 changes between two looks.
 */
export class Bucket {
  readonly membership: DependencyNode = new BucketNode(this);
  readonly contents: DependencyNode = new BucketNode(this);
  readonly #members = new Set<string>();
  readonly #unsorted = new Set<string>();
  #sorted: readonly string[] = NO_KEYS;

  constructor(
    private readonly name: string,
    private readonly buckets: Map<string, Bucket>,
  ) {}

  add(key: string): void {
    this.#members.add(key);
    this.#unsorted.add(key);
  }

  remove(key: string): void {
    this.#members.delete(key);
    this.#unsorted.add(key);
  }

  sorted(): readonly string[] {
    if (this.#unsorted.size > 0) {
      this.#sorted = this.#merge();
      this.#unsorted.clear();
    }
    return this.#sorted;
  }

  prune(): void {
    if (this.#members.size === 0 && !this.membership.isRead && !this.contents.isRead)
      this.buckets.delete(this.name);
  }

  #merge(): readonly string[] {
    const came = [...this.#unsorted].filter((key) => this.#members.has(key)).sort();
    const merged: string[] = [];
    let next = 0;
    for (const key of this.#sorted) {
      if (this.#unsorted.has(key)) continue; // gone, or gone and back: then it is in `came`
      for (; next < came.length && (came[next] as string) < key; next++) merged.push(came[next] as string);
      merged.push(key);
    }
    for (; next < came.length; next++) merged.push(came[next] as string);
    return merged;
  }
}

/** An index is kept up to date by the changes of its source; what an old value's buckets were is asked of `bucketsOf` again. */
export class IndexStore<V> implements Index<V>, Step {
  readonly #buckets = new Map<string, Bucket>();

  constructor(
    readonly name: string,
    readonly ordinal: number,
    readonly source: Store<V>,
    private readonly bucketsOf: (value: V, key: string) => readonly string[],
    private readonly onFailure: (key: string, error: unknown) => void,
  ) {}

  keys(bucket: string): readonly string[] {
    return this.#buckets.get(bucket)?.sorted() ?? NO_KEYS;
  }

  bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = new Bucket(name, this.#buckets);
      this.#buckets.set(name, bucket);
    }
    return bucket;
  }

  update(): void {
    for (const change of this.source.changes) this.#apply(change);
  }

  finish(): void {
    // Buckets hold no per-settlement state.
  }

  #apply({ key, before, after }: Change<V>): void {
    const left = before === undefined ? NO_KEYS : this.#bucketsOf(before, key, false);
    const entered = after === undefined ? NO_KEYS : this.#bucketsOf(after, key, true);
    for (const name of left) {
      const bucket = this.bucket(name);
      if (!entered.includes(name)) {
        bucket.remove(key);
        bucket.membership.invalidate();
      }
      bucket.contents.invalidate();
      bucket.prune();
    }
    for (const name of entered) {
      if (left.includes(name)) continue;
      const bucket = this.bucket(name);
      bucket.add(key);
      bucket.membership.invalidate();
      bucket.contents.invalidate();
    }
  }

  #bucketsOf(value: V, key: string, report: boolean): readonly string[] {
    try {
      return this.bucketsOf(value, key);
    } catch (error) {
      if (report) this.onFailure(key, error);
      return NO_KEYS;
    }
  }
}
