/** Why reading from a switch stops: the switch does not read what we send it, or those who handle its packets are behind. */
export type HoldReason = 'peer' | 'consumer';

/**
 * Back-pressure towards a switch: while somebody is behind, its socket is not read, so that TCP slows the switch down. Never for
 * long, though: the answers that the one behind may be waiting for come through the same socket, and a switch whose answers are not read
 * stops reading too (Open vSwitch does at 100 queued ones). After `limitMs` reading goes on, `overtime` is true, and packet-ins,
 * the one thing a switch sends without end, are to be shed until the cause is gone.
 */
export class ReadGate {
  readonly #pause: () => void;
  readonly #resume: () => void;
  readonly #limitMs: number;
  readonly #held = new Set<HoldReason>();
  #timer: NodeJS.Timeout | undefined;
  #overtime = false;
  #pauses = 0;

  constructor(socket: { pause(): unknown; resume(): unknown }, limitMs: number) {
    this.#pause = () => socket.pause();
    this.#resume = () => socket.resume();
    this.#limitMs = limitMs;
  }

  /** Somebody has been behind for longer than the limit. */
  get overtime(): boolean {
    return this.#overtime;
  }

  /** How often reading was stopped. */
  get pauses(): number {
    return this.#pauses;
  }

  hold(reason: HoldReason): void {
    if (this.#held.has(reason)) return;
    this.#held.add(reason);
    if (this.#held.size > 1) return;
    this.#pauses += 1;
    this.#pause();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#overtime = true;
      this.#resume();
    }, this.#limitMs);
    this.#timer.unref();
  }

  release(reason: HoldReason): void {
    if (!this.#held.delete(reason) || this.#held.size > 0) return;
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#resume();
    }
    this.#overtime = false;
  }

  /** The connection is over. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held.clear();
  }
}
