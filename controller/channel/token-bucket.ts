/** A rate with a burst: `perSecond` tokens flow in each second, at most `burst` are kept. `perSecond: Infinity` never refuses. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Token bucket over a clock in milliseconds that is handed in, so that one reading of the clock serves many buckets. */
export class TokenBucket {
  readonly #perMillisecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledAt: number;

  constructor(rate: Rate, now: number) {
    this.#perMillisecond = rate.perSecond / 1000;
    this.#burst = rate.burst;
    this.#tokens = rate.burst;
    this.#filledAt = now;
  }

  /** Takes one token if there is one. */
  take(now: number): boolean {
    if (this.#perMillisecond === Infinity) return true;
    const elapsed = now - this.#filledAt;
    if (elapsed > 0) {
      this.#tokens = Math.min(this.#burst, this.#tokens + elapsed * this.#perMillisecond);
      this.#filledAt = now;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Gives back a token taken for something that was then not done. */
  giveBack(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + 1);
  }
}
