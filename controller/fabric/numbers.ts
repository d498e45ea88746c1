/** Hands out numbers, those given back before new ones, so that they stay small; a number stays with its owner while it lives. */
export class Numbers {
  readonly #limit: number;
  readonly #free: number[] = [];
  #next: number;

  /** Numbers from `first` up to and without `limit`. */
  constructor(first: number, limit: number) {
    this.#next = first;
    this.#limit = limit;
  }

  /** These have owners already; before the first is taken. */
  reserve(taken: Iterable<number>): void {
    for (const number of [...taken].sort((a, b) => a - b)) {
      while (this.#next < number) this.#free.push(this.#next++);
      this.#next = number + 1;
    }
  }

  /** `undefined` where all are taken. */
  take(): number | undefined {
    const used = this.#free.pop();
    if (used !== undefined) return used;
    return this.#next < this.#limit ? this.#next++ : undefined;
  }

  giveBack(number: number): void {
    this.#free.push(number);
  }
}
