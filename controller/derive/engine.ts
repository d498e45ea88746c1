/**
 * The derivation engine: keyed collections of facts and keyed derivations over them, kept up to date by re-running exactly what
 * read something that changed.
 *
 *     inputs ──► indexes ──► derivations ──► indexes over them ──► derivations … ──► whoever consumes the settlement
 *
 * Parts
 *
 * An *input* is a collection written from outside (`set`, `delete`). An *index* sorts the keys of a collection into buckets by any
 * property of their values. A *derivation* is a pure function that runs once for each key of its source collection (one
 * *instance* per key) and emits keyed values; they form a collection like any other. Collections are declared once, in order, and
 * a derivation reads only what was declared before it, so the graph has no cycles and one pass in the order of declaration
 * brings everything up to date. `settle()` is that pass. Nothing happens between settlements but the noting of writes: changes
 * that arrive together are settled together.
 *
 * Dependencies
 *
 * Nobody writes handlers. A derivation reads through its context, and each read is recorded on a *node*: a key of a collection
 * (also one that is not there: a derivation may wait for it), the membership of an index bucket, or the contents of a bucket. A
 * change invalidates nodes, and a node schedules the instances that read it. Membership and contents are separate nodes, so a
 * reader of `keys(index, bucket)` sleeps while a member only changes its value. The cost of a change is therefore O(instances
 * that read it), never O(size of a collection); bookkeeping is one object per key, one pointer per read, and a set only on nodes
 * with two readers or more.
 *
 * What makes the outcome independent of history
 *
 *  - A value equal to the one before is no change, in inputs and in outputs: an instance that runs and emits what it emitted
 *    before ends the wave there.
 *  - The same key may be emitted by many instances. Equal values are one value with a count of references ("host h carries
 *    network n", emitted by each of its endpoints there, goes with the last). Of different values the one from the smallest
 *    instance key holds, whoever came first, and the conflict stands in `conflicts` until it is gone.
 *  - Buckets are read in ascending order of keys.
 *
 * So, for any history of writes, the collections equal those of a fresh engine given the final facts. The one exception is
 * deliberate: a derivation that throws keeps its previous output (a bug in one app must not take a network down); the failure is
 * attributed and stands in `failures` until that instance runs cleanly. Tests hold the engine to this with random programs and
 * random histories, and count the runs.
 *
 * What may not live here: anything that knows networks, switches or time. Derivations must not read anything but their context.
 */
import type { Change, Collection, Input, Step, Store } from './collection.js';
import { InputStore } from './collection.js';
import {
  type Conflict,
  type Context,
  type Derived,
  DerivedStore,
  type DeriveOptions,
  type Failure,
  type Runtime,
} from './derivation.js';
import { type Index, IndexStore } from './lookup.js';

/** Raised for wrong use of the engine: a programming error in the one who declares or writes. */
export class DeriveError extends Error {
  override readonly name = 'DeriveError';

  constructor(
    readonly code:
      | 'derive.duplicate'
      | 'derive.sealed'
      | 'derive.foreign'
      | 'derive.order'
      | 'derive.settling',
    message: string,
    readonly fix: string,
  ) {
    super(`${message}; ${fix}`);
  }
}

/** What one call of `settle` did. */
export interface Settlement {
  /** Changed derived collections and their changes, each key once. */
  readonly changes: ReadonlyMap<Collection<unknown>, readonly Change<unknown>[]>;
  /** Changes of one collection, derived or written from outside. */
  changesOf<V>(collection: Collection<V>): readonly Change<V>[];
  /** Runs by name of derivation, for those that ran. */
  readonly runs: ReadonlyMap<string, number>;
  /** Conflicts that came or changed. */
  readonly conflicts: readonly Conflict[];
  /** Runs that threw. */
  readonly failures: readonly Failure[];
}

const NO_CHANGES: readonly Change<never>[] = [];

export class Engine {
  readonly #steps: Step[] = [];
  readonly #names = new Set<string>();
  readonly #known = new Set<object>();
  readonly #derivations: DerivedStore<never, unknown>[] = [];
  #indexFailures: Failure[] = [];
  #sealed = false;
  #settling = false;
  #run = 0;

  readonly #runtime: Runtime = {
    nextRun: () => ++this.#run,
    storeOf: <T>(collection: Collection<T>, reader: Step): Store<T> => {
      this.#checkReadable(collection, collection as Store<T>, reader);
      return collection as Store<T>;
    },
    indexOf: <T>(index: Index<T>, reader: Step): IndexStore<T> => {
      this.#checkReadable(index, index as IndexStore<T>, reader);
      return index as IndexStore<T>;
    },
  };

  /** Declares a collection that is written from outside. */
  input<V>(name: string): Input<V> {
    return this.#declare(
      name,
      (ordinal) => new InputStore<V>(name, ordinal, (collection) => this.#guardWrite(collection)),
    );
  }

  /**
   * Declares an index. `bucketsOf` is pure; it names the buckets of a value, none if the value is not indexed. If it throws,
   * the key is in no bucket and the failure is reported in the settlement.
   */
  index<V>(
    name: string,
    source: Collection<V>,
    bucketsOf: (value: V, key: string) => readonly string[],
  ): Index<V> {
    return this.#declare(name, (ordinal) => {
      const onFailure = (key: string, error: unknown) =>
        void this.#indexFailures.push({ derivation: name, key, error });
      return new IndexStore<V>(name, ordinal, this.#source(name, source), bucketsOf, onFailure);
    });
  }

  /** Declares a derivation: `run` is called for each key of `each`, and again when the value or anything it read has changed. */
  derive<S, V>(
    name: string,
    each: Collection<S>,
    run: (context: Context<V>, value: S, key: string) => void,
    options?: DeriveOptions,
  ): Derived<V> {
    return this.#declare(name, (ordinal) => {
      const source = this.#source(name, each);
      const derived = new DerivedStore<S, V>(name, ordinal, this.#runtime, source, run, options);
      this.#derivations.push(derived as unknown as DerivedStore<never, unknown>);
      return derived;
    });
  }

  /** Brings every index and derived collection up to date with the inputs. Synchronous. */
  settle(): Settlement {
    if (this.#settling)
      throw new DeriveError('derive.settling', 'settle() inside settle()', 'let the derivation return first');
    this.#sealed = true;
    this.#settling = true;
    try {
      for (const step of this.#steps) step.update();
      return this.#report();
    } finally {
      for (const step of this.#steps) step.finish();
      this.#indexFailures = [];
      this.#settling = false;
    }
  }

  /** Conflicts that stand, in the order of declaration. */
  conflicts(): Conflict[] {
    return this.#derivations.flatMap((derivation) => [...derivation.conflicts]);
  }

  /** Instances whose last run threw. */
  failures(): Failure[] {
    return this.#derivations.flatMap((derivation) => [...derivation.failures]);
  }

  /** Runs since the engine was made, by name of derivation. */
  runs(): Map<string, number> {
    return new Map(this.#derivations.map((derivation) => [derivation.name, derivation.runs]));
  }

  #report(): Settlement {
    const changes = new Map<Collection<unknown>, readonly Change<unknown>[]>();
    const runs = new Map<string, number>();
    const conflicts: Conflict[] = [];
    const failures: Failure[] = [...this.#indexFailures];
    for (const derivation of this.#derivations) {
      if (derivation.changes.length > 0) changes.set(derivation, derivation.changes);
      if (derivation.runsInSettlement > 0) runs.set(derivation.name, derivation.runsInSettlement);
      conflicts.push(...derivation.newConflicts);
      failures.push(...derivation.newFailures);
    }
    const written = new Map<Collection<unknown>, readonly Change<unknown>[]>();
    for (const step of this.#steps) {
      if (step instanceof InputStore && step.changes.length > 0) written.set(step, step.changes);
    }
    const changesOf = <V>(collection: Collection<V>) =>
      (changes.get(collection) ?? written.get(collection) ?? NO_CHANGES) as readonly Change<V>[];
    return { changes, changesOf, runs, conflicts, failures };
  }

  #declare<T extends Step>(name: string, create: (ordinal: number) => T): T {
    if (this.#sealed) {
      throw new DeriveError(
        'derive.sealed',
        `'${name}' is declared after the first settle()`,
        'declare everything before',
      );
    }
    if (this.#names.has(name))
      throw new DeriveError('derive.duplicate', `'${name}' is declared twice`, 'choose another name');
    const step = create(this.#steps.length);
    this.#names.add(name);
    this.#known.add(step);
    this.#steps.push(step);
    return step;
  }

  #source<V>(name: string, collection: Collection<V>): Store<V> {
    if (!this.#known.has(collection) || collection instanceof IndexStore) {
      throw new DeriveError(
        'derive.foreign',
        `'${name}' is over a collection of another engine`,
        'pass one declared here',
      );
    }
    return collection as Store<V>;
  }

  #checkReadable(read: { readonly name: string }, step: Step, reader: Step): void {
    if (!this.#known.has(read)) {
      throw new DeriveError(
        'derive.foreign',
        `'${reader.name}' reads '${read.name}' of another engine`,
        'pass one declared here',
      );
    }
    if (step.ordinal >= reader.ordinal) {
      throw new DeriveError(
        'derive.order',
        `'${reader.name}' reads '${read.name}', which is declared after it`,
        `declare '${read.name}' first`,
      );
    }
  }

  #guardWrite(collection: string): void {
    if (!this.#settling) return;
    throw new DeriveError(
      'derive.settling',
      `'${collection}' is written during settle()`,
      'emit values instead',
    );
  }
}
