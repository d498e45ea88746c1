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
