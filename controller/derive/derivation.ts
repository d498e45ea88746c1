import type { Change } from './collection.js';
import { Cell, type Collection, type Step, Store } from './collection.js';
import { equal } from './equal.js';
import type { Index, IndexStore } from './lookup.js';
import type { DependencyNode, Reader } from './node.js';

/** What a derivation sees while it runs for one key. Not to be kept after the run. */
export interface Context<V> {
  /** The value of one key, if it is there. Runs again when that key comes, changes or goes. */
  get<T>(collection: Collection<T>, key: string): T | undefined;
  /** Keys of a bucket, ascending. Runs again when the membership changes, not when a member's value does. */
  keys<T>(index: Index<T>, bucket: string): readonly string[];
  /** Keys and values of a bucket, in ascending order of keys. Runs again when a member comes, changes or goes. */
  values<T>(index: Index<T>, bucket: string): readonly (readonly [string, T])[];
  /**
   * Gives the derived collection a value. Many instances may emit the same value for the same key (it counts references); one
   * run that emits two values for one key throws.
   */
  emit(key: string, value: V): void;
}

/** Two instances of a derivation emitted different values for one key. */
export interface Conflict {
  readonly derivation: string;
  /** The key in the derived collection. */
  readonly key: string;
  /** Keys of the instances whose value holds; the smallest key among all instances is one of them. Ascending. */
  readonly kept: readonly string[];
  /** Keys of the instances whose value was set aside. Ascending. */
  readonly overruled: readonly string[];
}

/** A derivation (or the bucket function of an index) threw. Its previous output is kept until it runs without throwing. */
export interface Failure {
  readonly derivation: string;
  /** Key of the instance. */
  readonly key: string;
  readonly error: unknown;
}

/** What derivations need from their engine. */
export interface Runtime {
  /** Number of a new run. */
  nextRun(): number;
  /** Checks that a collection or index may be read by a derivation, and gives its implementation. */
  storeOf<T>(collection: Collection<T>, reader: Step): Store<T>;
  indexOf<T>(index: Index<T>, reader: Step): IndexStore<T>;
}

export interface DeriveOptions {
  /**
   * That instances emit different values for one key is expected: the smallest instance key holds, as always, and it is no conflict.
   * Choose instance keys that sort by who is to be first.
   */
  readonly firstHolds?: boolean;
}

/** Output of a derivation. */
export interface Derived<out V> extends Collection<V> {
  /** How often the derivation has run, since the engine was made. */
  readonly runs: number;
}

const NO_NODES: readonly DependencyNode[] = [];
const NO_KEYS: readonly string[] = [];

/** One derivation for one key of its source: what it read and what it emitted the last time. */
class Instance implements Reader {
  dependencies: readonly DependencyNode[] = NO_NODES;
  outputs: readonly string[] = NO_KEYS;
  scheduled = false;

  constructor(
    readonly key: string,
    private readonly queue: { add(instance: Instance): void },
  ) {}

  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.queue.add(this);
  }

  /** Subscribes to what the run read and to nothing else. Most runs read what the last one read, which costs a comparison. */
  dependOn(reads: readonly DependencyNode[], run: number): void {
    const previous = this.dependencies;
    if (sameItems(previous, reads)) return;
    this.dependencies = reads.slice();
    for (const node of reads) node.addReader(this);
    for (const node of previous) if (node.lastRun !== run) node.removeReader(this);
  }

  release(): void {
    for (const node of this.dependencies) node.removeReader(this);
    this.dependencies = NO_NODES;
  }
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** One value of one key and the instances that emitted it: a linked list, because nearly always there is one. */
class Contribution<V> {
  by: Instance | Set<Instance>;
  next: Contribution<V> | undefined;

  constructor(
    readonly value: V,
    instance: Instance,
  ) {
    this.by = instance;
  }

  has(instance: Instance): boolean {
    return this.by === instance || (this.by instanceof Set && this.by.has(instance));
  }

  add(instance: Instance): void {
    if (this.by instanceof Set) this.by.add(instance);
    else if (this.by !== instance) this.by = new Set([this.by, instance]);
  }

  /** True if nobody is left. */
  remove(instance: Instance): boolean {
    if (this.by === instance) return true;
    return this.by instanceof Set && this.by.delete(instance) && this.by.size === 0;
  }

  keys(): string[] {
    return this.by instanceof Set ? [...this.by].map((instance) => instance.key).sort() : [this.by.key];
  }
}

/** A key of a derived collection: the settled value, and who emits what. */
class DerivedCell<V> extends Cell<V> {
  first: Contribution<V> | undefined;
  touched = false;

  contributionOf(instance: Instance): Contribution<V> | undefined {
    let contribution = this.first;
    while (contribution !== undefined && !contribution.has(instance)) contribution = contribution.next;
    return contribution;
  }

  contribute(instance: Instance, value: V): void {
    let contribution = this.first;
    while (contribution !== undefined && !equal(contribution.value, value)) contribution = contribution.next;
    if (contribution !== undefined) {
      contribution.add(instance);
    } else {
      const added = new Contribution(value, instance);
      added.next = this.first;
      this.first = added;
    }
  }

  withdraw(instance: Instance): void {
    let previous: Contribution<V> | undefined;
    for (let contribution = this.first; contribution !== undefined; contribution = contribution.next) {
      if (contribution.has(instance)) {
        if (!contribution.remove(instance)) return;
        if (previous === undefined) this.first = contribution.next;
        else previous.next = contribution.next;
        return;
      }
      previous = contribution;
    }
  }
}

/** The derived collection and the derivation behind it. */
export class DerivedStore<S, V> extends Store<V> implements Derived<V> {
  readonly #instances = new Map<string, Instance>();
  #scheduled: Instance[] = [];
  #touched: DerivedCell<V>[] = [];
  #runs = 0;
  #runsInSettlement = 0;
  readonly #conflicts = new Map<string, Conflict>();
  readonly #failures = new Map<string, Failure>();
  #newConflicts: Conflict[] = [];
  #newFailures: Failure[] = [];
  /** The run under way: its reads and what it emitted. */
  #run = 0;
  readonly #reads: DependencyNode[] = [];
  readonly #emitted = new Map<string, V>();
  readonly #queue = { add: (instance: Instance) => void this.#scheduled.push(instance) };

  constructor(
    name: string,
    ordinal: number,
    private readonly runtime: Runtime,
    private readonly source: Store<S>,
    private readonly derivation: (context: Context<V>, value: S, key: string) => void,
    private readonly options: DeriveOptions = {},
  ) {
    super(name, ordinal);
  }

  get runs(): number {
    return this.#runs;
  }

  get runsInSettlement(): number {
    return this.#runsInSettlement;
  }

  /** Conflicts that stand. */
  get conflicts(): IterableIterator<Conflict> {
    return this.#conflicts.values();
  }

  get failures(): IterableIterator<Failure> {
    return this.#failures.values();
  }

  /** Conflicts that came or changed in this settlement. */
  get newConflicts(): readonly Conflict[] {
    return this.#newConflicts;
  }

  get newFailures(): readonly Failure[] {
    return this.#newFailures;
  }

  override update(): void {
    for (const change of this.source.changes) this.#follow(change);
    const scheduled = this.#scheduled;
    if (scheduled.length > 0) {
      this.#scheduled = [];
      for (const instance of scheduled) if (instance.scheduled) this.#runInstance(instance);
    }
    const touched = this.#touched;
    if (touched.length > 0) {
      this.#touched = [];
      for (const cell of touched) this.#resolve(cell);
    }
  }

  override finish(): void {
    super.finish();
    this.#runsInSettlement = 0;
    if (this.#newConflicts.length > 0) this.#newConflicts = [];
    if (this.#newFailures.length > 0) this.#newFailures = [];
  }

  protected override createCell(key: string): Cell<V> {
    return new DerivedCell<V>(key, this.cells);
  }

  #follow({ key, after }: Change<S>): void {
    let instance = this.#instances.get(key);
    if (after === undefined) {
      if (instance !== undefined) this.#dispose(instance);
      return;
    }
    if (instance === undefined) {
      instance = new Instance(key, this.#queue);
      this.#instances.set(key, instance);
    }
    instance.schedule();
  }

  #dispose(instance: Instance): void {
    this.#instances.delete(instance.key);
    this.#failures.delete(instance.key);
    instance.scheduled = false;
    instance.release();
    for (const key of instance.outputs) {
      const cell = this.#outputCell(key);
      cell.withdraw(instance);
      this.#touch(cell);
    }
  }

  #runInstance(instance: Instance): void {
    instance.scheduled = false;
    const value = this.source.get(instance.key);
    if (value === undefined) return;
    this.#runs++;
    this.#runsInSettlement++;
    this.#run = this.runtime.nextRun();
    this.#reads.length = 0;
    this.#emitted.clear();
    try {
      this.derivation(this.#context, value, instance.key);
    } catch (error) {
      instance.dependOn(this.#reads, this.#run);
      const failure = { derivation: this.name, key: instance.key, error };
      this.#failures.set(instance.key, failure);
      this.#newFailures.push(failure);
      return;
    }
    this.#failures.delete(instance.key);
    instance.dependOn(this.#reads, this.#run);
    this.#replaceOutputs(instance, this.#emitted);
  }

  #replaceOutputs(instance: Instance, emitted: ReadonlyMap<string, V>): void {
    for (const key of instance.outputs) {
      if (emitted.has(key)) continue;
      const cell = this.#outputCell(key);
      cell.withdraw(instance);
      this.#touch(cell);
    }
    for (const [key, value] of emitted) {
      const cell = this.#outputCell(key);
      const previous = cell.contributionOf(instance);
      if (previous !== undefined && equal(previous.value, value)) continue;
      if (previous !== undefined) cell.withdraw(instance);
      cell.contribute(instance, value);
      this.#touch(cell);
    }
    const outputs = [...emitted.keys()];
    if (!sameItems(outputs, instance.outputs)) instance.outputs = outputs;
  }

  #outputCell(key: string): DerivedCell<V> {
    return this.cell(key) as DerivedCell<V>;
  }

  #touch(cell: DerivedCell<V>): void {
    if (cell.touched) return;
    cell.touched = true;
    this.#touched.push(cell);
  }

  /** Decides the value of a key from what is emitted for it now, whatever the order in which it came to be. */
  #resolve(cell: DerivedCell<V>): void {
    cell.touched = false;
    let kept = cell.first;
    if (kept?.next !== undefined) kept = this.#arbitrate(cell.key, kept);
    else if (this.#conflicts.size > 0) this.#conflicts.delete(cell.key);
    const after = kept?.value;
    if (equal(cell.value, after)) cell.prune();
    else this.assign(cell, after);
  }

  /** Several values for one key: the one emitted by the smallest instance key holds, and the conflict is noted. */
  #arbitrate(key: string, first: Contribution<V>): Contribution<V> {
    let kept = first;
    let keptKeys: readonly string[] = first.keys();
    const overruled: string[] = [];
    for (let other = first.next; other !== undefined; other = other.next) {
      const keys = other.keys();
      if ((keys[0] as string) < (keptKeys[0] as string)) {
        overruled.push(...keptKeys);
        kept = other;
        keptKeys = keys;
      } else {
        overruled.push(...keys);
      }
    }
    if (this.options.firstHolds === true) return kept;
    const conflict: Conflict = { derivation: this.name, key, kept: keptKeys, overruled: overruled.sort() };
    if (!equal(this.#conflicts.get(key), conflict)) {
      this.#conflicts.set(key, conflict);
      this.#newConflicts.push(conflict);
    }
    return kept;
  }

  #read(node: DependencyNode): void {
    if (node.lastRun === this.#run) return;
    node.lastRun = this.#run;
    this.#reads.push(node);
  }

  readonly #context: Context<V> = {
    get: (collection, key) => {
      const cell = this.runtime.storeOf(collection, this).cell(key);
      this.#read(cell);
      return cell.value;
    },
    keys: (index, name) => {
      const bucket = this.runtime.indexOf(index, this).bucket(name);
      this.#read(bucket.membership);
      return bucket.sorted();
    },
    values: <T>(index: Index<T>, name: string) => {
      const store = this.runtime.indexOf(index, this);
      const bucket = store.bucket(name);
      this.#read(bucket.contents);
      return bucket.sorted().map((key) => [key, store.source.get(key) as T] as const);
    },
    emit: (key, value) => {
      if (value === undefined) throw new TypeError(`emit('${key}'): undefined is no value`);
      const emitted = this.#emitted.get(key);
      if (emitted === undefined) this.#emitted.set(key, value);
      else if (!equal(emitted, value))
        throw new Error(`emit('${key}'): a second, different value in the same run`);
    },
  };
}
