/** Transactions on their way to a switch, and the reading of it that they pass by. */
import type { Waiter } from './turn.js';
import type { EncodedPart } from './turn-batch.js';

export interface SentTransaction {
  readonly parts: readonly EncodedPart[];
  readonly waiters: Waiter[];
  /** Of the backlog, not of a turn. */
  readonly repair: boolean;
}

/** In the order in which they were sent. */
export class InFlight {
  readonly #sent = new Set<SentTransaction>();

  get size(): number {
    return this.#sent.size;
  }

  get last(): SentTransaction | undefined {
    return [...this.#sent].at(-1);
  }

  /** Something of the backlog is on its way. */
  get repairing(): boolean {
    for (const { repair } of this.#sent) if (repair) return true;
    return false;
  }

  get parts(): readonly EncodedPart[] {
    return [...this.#sent].flatMap(({ parts }) => parts);
  }

  get waiters(): readonly Waiter[] {
    return [...this.#sent].flatMap(({ waiters }) => waiters);
  }

  add(transaction: SentTransaction): void {
    this.#sent.add(transaction);
  }

  has(transaction: SentTransaction): boolean {
    return this.#sent.has(transaction);
  }

  delete(transaction: SentTransaction): void {
    this.#sent.delete(transaction);
  }

  clear(): void {
    this.#sent.clear();
  }
}

/** A read of the switch that is under way. */
export class Reading {
  readonly startedAt = performance.now();
  readonly #touched = new Set<string>();

  constructor(readonly audit: boolean) {}

  /** These were on their way when it began, or have been sent since: what is read of their keys says nothing. */
  touch(parts: readonly EncodedPart[]): void {
    for (const { list } of parts) for (const { origin } of list.all()) this.#touched.add(origin.key);
  }

  saysNothingOf(key: string): boolean {
    return this.#touched.has(key);
  }
}
