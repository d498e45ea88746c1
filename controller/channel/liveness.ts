/** Finds out that a peer is dead though its connection stands: a powered-off host, a stopped process, a broken path. */

export interface LivenessOptions {
  /** Silence after which a question is sent, in milliseconds; 0 turns everything off. */
  readonly intervalMs: number;
  /** Time the peer has to say anything at all after the question. */
  readonly toleranceMs: number;
  /** When the peer was last heard of, in the clock of `performance.now()`. */
  readonly heardAt: () => number;
  /** Sends the question. */
  readonly ask: () => void;
  /** Called once, when the peer has been silent for too long. */
  readonly dead: (silentMs: number) => void;
}

/**
 * One timer per connection, re-armed only when it fires: hearing from the peer costs nothing. The last word is had after the
 * event loop has looked at the sockets once more, so that a controller which itself was stopped or busy for longer than the
 * tolerance does not take all its switches for dead.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  #askedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastLook: NodeJS.Immediate | undefined;

  constructor(options: LivenessOptions) {
    this.#options = options;
    if (options.intervalMs > 0) this.#arm(options.intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#lastLook);
  }

  #arm(afterMs: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.max(1, afterMs));
    this.#timer.unref();
  }

  #look(): void {
    const { intervalMs, toleranceMs, heardAt, ask } = this.#options;
    const now = performance.now();
    if (this.#askedAt === undefined || heardAt() >= this.#askedAt) {
      this.#askedAt = undefined;
      const silent = now - heardAt();
      if (silent < intervalMs) return this.#arm(intervalMs - silent);
      this.#askedAt = now;
      ask();
      return this.#arm(toleranceMs);
    }
    const waited = now - this.#askedAt;
    if (waited < toleranceMs) return this.#arm(toleranceMs - waited);
    this.#lastLook = setImmediate(() => {
      const silent = performance.now() - heardAt();
      if (silent < toleranceMs) this.#arm(1);
      else this.#options.dead(Math.round(silent));
    });
  }
}
