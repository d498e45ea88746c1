import { equal } from './equal.js';
import { DependencyNode } from './node.js';

/** What happened to one key in a settlement: `before` absent = added, `after` absent = removed. */
export interface Change<V> {
  readonly key: string;
  readonly before: V | undefined;
  readonly after: V | undefined;
}

/** Keyed values: an input or the output of a derivation. Reading it here records nothing; derivations read through their context. */
export interface Collection<out V> {
  readonly name: string;
  readonly size: number;
  get(key: string): V | undefined;
  has(key: string): boolean;
  /** In no particular order. */
  entries(): IterableIterator<[string, V]>;
}

/** A collection that is written from outside. */
export interface Input<V> extends Collection<V> {
  /** True if this is a change; an equal value is none. Takes effect in derived collections at the next `settle`. */
  set(key: string, value: V): boolean;
  /** True if the key was there. */
  delete(key: string): boolean;
}

/** One step of a settlement. Steps run in the order of their declaration, so that everything they read has been updated. */
export interface Step {
  readonly name: string;
  readonly ordinal: number;
  /** Brings this step up to date with the changes of earlier steps. */
  update(): void;
  /** Forgets the changes of this settlement. */
  finish(): void;
}

/** One key of a collection: its value while it has one, and its readers. */
export class Cell<V> extends DependencyNode {
  value: V | undefined;

  constructor(
    readonly key: string,
    private readonly cells: Map<string, Cell<V>>,
  ) {
    super();
  }

  /** Leaves the collection if it holds no value and nobody waits for one. */
  prune(): void {
    if (this.value === undefined && !this.isRead) this.cells.delete(this.key);
  }

  protected override unread(): void {
    this.prune();
  }
}

/** What inputs and derived collections share: cells by key and the changes of the current settlement. */
export abstract class Store<V> implements Collection<V>, Step {
  protected readonly cells = new Map<string, Cell<V>>();
  #size = 0;
  #changes: Change<V>[] = [];

  constructor(
    readonly name: string,
    readonly ordinal: number,
  ) {}

  get size(): number {
    return this.#size;
  }

  /** Changes of the current settlement, each key at most once. */
  get changes(): readonly Change<V>[] {
    return this.#changes;
  }

  get(key: string): V | undefined {
    return this.cells.get(key)?.value;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *entries(): IterableIterator<[string, V]> {
    for (const [key, cell] of this.cells) if (cell.value !== undefined) yield [key, cell.value];
  }

  /** The cell of a key, made if need be, so that a reader can wait for a key that is not there yet. */
  cell(key: string): Cell<V> {
    let cell = this.cells.get(key);
    if (cell === undefined) {
      cell = this.createCell(key);
      this.cells.set(key, cell);
    }
    return cell;
  }

  abstract update(): void;

  finish(): void {
    if (this.#changes.length > 0) this.#changes = [];
  }

  protected createCell(key: string): Cell<V> {
    return new Cell(key, this.cells);
  }

  /** Gives a cell its value of this settlement and wakes its readers. */
  protected assign(cell: Cell<V>, after: V | undefined): void {
    const before = cell.value;
    if (before === undefined) this.#size++;
    if (after === undefined) this.#size--;
    cell.value = after;
    this.#changes.push({ key: cell.key, before, after });
    cell.invalidate();
    if (after === undefined) cell.prune();
  }
}

/** Inputs keep what was written since the last settlement beside the settled values, and compare only once, when they settle. */
export class InputStore<V> extends Store<V> implements Input<V> {
  readonly #written = new Map<string, V | undefined>();

  constructor(
    name: string,
    ordinal: number,
    private readonly guardWrite: (collection: string) => void,
  ) {
    super(name, ordinal);
  }

  set(key: string, value: V): boolean {
    if (value === undefined)
      throw new TypeError(`${this.name}['${key}']: undefined is no value; use delete()`);
    this.guardWrite(this.name);
    if (equal(this.#current(key), value)) return false;
    this.#written.set(key, value);
    return true;
  }

  delete(key: string): boolean {
    this.guardWrite(this.name);
    if (this.#current(key) === undefined) return false;
    this.#written.set(key, undefined);
    return true;
  }

  override update(): void {
    for (const [key, after] of this.#written) {
      const before = this.get(key);
      if (!equal(before, after)) this.assign(this.cell(key), after);
    }
    this.#written.clear();
  }

  #current(key: string): V | undefined {
    return this.#written.has(key) ? this.#written.get(key) : this.get(key);
  }
}
