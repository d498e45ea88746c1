/**
 * Many deadlines that are mostly moved before they come: each costs something when it is set for the first time and when it comes, and
 * nothing when it is moved to later. Time is handed in, in milliseconds.
 */
export class Deadlines<Key> {
  readonly #resolutionMs: number;
  readonly #deadlines = new Map<Key, number>();
  /** Keys to be looked at, by the number of the step in which. */
  readonly #steps = new Map<number, Set<Key>>();
  /** The step in which a key will be looked at. */
  readonly #stepOf = new Map<Key, number>();
  #nextStep: number;

  /** @param resolutionMs deadlines are told at most that much too late */
  constructor(now: number, resolutionMs = 100) {
    this.#resolutionMs = resolutionMs;
    this.#nextStep = Math.floor(now / resolutionMs);
  }

  get size(): number {
    return this.#deadlines.size;
  }

  get(key: Key): number | undefined {
    return this.#deadlines.get(key);
  }

  set(key: Key, at: number): void {
    this.#deadlines.set(key, at);
    const step = Math.max(Math.ceil(at / this.#resolutionMs), this.#nextStep);
    const before = this.#stepOf.get(key);
    // Looked at before, it is put off then.
    if (before !== undefined && before <= step) return;
    if (before !== undefined) this.#steps.get(before)?.delete(key);
    this.#enqueue(key, step);
  }

  delete(key: Key): void {
    if (!this.#deadlines.delete(key)) return;
    const step = this.#stepOf.get(key);
    this.#stepOf.delete(key);
    if (step !== undefined) this.#steps.get(step)?.delete(key);
  }

  /** Takes out the keys whose deadline has come. */
  take(now: number): Key[] {
    const due: Key[] = [];
    const last = Math.floor(now / this.#resolutionMs);
    for (const step of this.#stepsUpTo(last)) {
      const keys = this.#steps.get(step) ?? [];
      this.#steps.delete(step);
      for (const key of keys) {
        const at = this.#deadlines.get(key) as number;
        this.#stepOf.delete(key);
        if (at > now) this.#enqueue(key, Math.max(Math.ceil(at / this.#resolutionMs), last + 1));
        else {
          this.#deadlines.delete(key);
          due.push(key);
        }
      }
    }
    this.#nextStep = Math.max(this.#nextStep, last + 1);
    return due;
  }

  /** A clock that was far ahead of the last call does not walk through every step there was. */
  #stepsUpTo(last: number): number[] {
    const between = last - this.#nextStep + 1;
    if (between > this.#steps.size) {
      return [...this.#steps.keys()].filter((step) => step <= last).sort((a, b) => a - b);
    }
    return Array.from({ length: Math.max(0, between) }, (_, index) => this.#nextStep + index);
  }

  #enqueue(key: Key, step: number): void {
    const keys = this.#steps.get(step) ?? new Set();
    keys.add(key);
    this.#steps.set(step, keys);
    this.#stepOf.set(key, step);
  }
}
