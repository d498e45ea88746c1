/** Growing pauses between tries, with jitter: many controllers do not come back at one moment. */
export class Backoff {
  #failures = 0;

  constructor(
    /** Milliseconds. */
    private readonly limits: { readonly minMs: number; readonly maxMs: number },
  ) {}

  get failures(): number {
    return this.#failures;
  }

  reset(): void {
    this.#failures = 0;
  }

  /** Milliseconds to wait now: half to all of a doubling time. */
  next(): number {
    const { minMs, maxMs } = this.limits;
    const full = Math.min(maxMs, minMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 32);
    return full * (0.5 + Math.random() / 2);
  }
}

/** Resolves after the time, or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
