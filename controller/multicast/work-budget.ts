/** Work that somebody may cause: so much in each second, and so much at once. The last piece may be larger than what is left. */
export class WorkBudget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#left = burst;
    this.#at = now;
  }

  has(now: number): boolean {
    if (now > this.#at) {
      this.#left = Math.min(this.#burst, this.#left + (now - this.#at) * this.#perMs);
      this.#at = now;
    }
    return this.#left > 0;
  }

  spend(work: number): void {
    this.#left -= work;
  }
}
