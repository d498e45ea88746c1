/**
 * When which port is probed. Two probes at once for those that are not known yet, then one per interval, spread evenly over it. All together
 * never more than `perSecond`: with more ports than it allows for, the interval grows, and nothing is lost but time.
 */
import type { Clock } from './clock.js';

export interface Scheduled {
  /** Place among those probed regularly; -1: not among them. */
  slot: number;
  /** First probes that are still to be sent; -1: they are through. */
  toSend: number;
  /** When the next of the first probes, or the decision after them, is due. */
  dueAt: number;
}

export interface ProbeScheduleOptions<P extends Scheduled> {
  readonly clock: Clock;
  readonly intervalMs: number;
  /** Between the first probes, and from the last of them to `settled`. */
  readonly firstMs: number;
  readonly perSecond: number;
  /** Sends; returns how many frames it took. */
  readonly probe: (port: P) => number;
  /** The first probes have been out for `firstMs`. */
  readonly settled: (port: P) => void;
}

/** Probes before a port can be settled. */
const FIRST_PROBES = 2;
/** Granularity of the schedule. */
const TICK_MS = 25;

export class ProbeSchedule<P extends Scheduled> {
  readonly #options: ProbeScheduleOptions<P>;
  readonly #ring: P[] = [];
  /** Ports whose first probes, or the decision after them, are still to come. */
  readonly #first = new Set<P>();
  #next = 0;
  /** Probes of the ring that are due, a fraction of one included. */
  #owed = 0;
  #tokens: number;
  #tickedAt: number;
  #cancel: (() => void) | undefined;

  constructor(options: ProbeScheduleOptions<P>) {
    this.#options = options;
    this.#tokens = this.#burst;
    this.#tickedAt = options.clock.now();
  }

  get size(): number {
    return this.#ring.length;
  }

  /** Begins, or begins anew, with the first probes of a port: at once, as far as the rate allows. */
  begin(port: P): void {
    if (port.slot === -1) {
      port.slot = this.#ring.length;
      this.#ring.push(port);
    }
    this.#refill();
    port.toSend = FIRST_PROBES;
    port.dueAt = this.#tickedAt;
    this.#first.add(port);
    this.#sendFirst(port);
    this.#arm();
  }

  end(port: P): void {
    if (port.slot === -1) return;
    const last = this.#ring.pop();
    if (last !== undefined && last !== port) {
      this.#ring[port.slot] = last;
      last.slot = port.slot;
    }
    port.slot = -1;
    this.#first.delete(port);
  }

  /** Sends one now, in answer to somebody who was heard; not if the rate is used up. */
  answer(port: P): void {
    this.#refill();
    if (port.slot !== -1 && this.#tokens > 0) this.#tokens -= this.#options.probe(port);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#ring.length = 0;
    this.#first.clear();
  }

  get #burst(): number {
    return this.#options.perSecond / 10;
  }

  #refill(): void {
    const now = this.#options.clock.now();
    const elapsed = now - this.#tickedAt;
    if (elapsed <= 0) return;
    this.#tickedAt = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1000) * this.#options.perSecond);
    // After a standstill nothing is made up for: every port at most once.
    const { length } = this.#ring;
    this.#owed = Math.min(length, this.#owed + (elapsed / this.#options.intervalMs) * length);
  }

  #arm(): void {
    if (this.#cancel !== undefined || (this.#ring.length === 0 && this.#first.size === 0)) return;
    this.#cancel = this.#options.clock.after(TICK_MS, () => {
      this.#cancel = undefined;
      this.#refill();
      for (const port of this.#first) this.#sendFirst(port);
      this.#sendRing();
      this.#arm();
    });
  }

  #sendFirst(port: P): void {
    if (port.dueAt > this.#tickedAt) return;
    if (port.toSend === 0) {
      this.#first.delete(port);
      port.toSend = -1;
      this.#options.settled(port);
    } else if (this.#tokens > 0) {
      port.toSend--;
      port.dueAt = this.#tickedAt + this.#options.firstMs;
      this.#tokens -= this.#options.probe(port);
    }
  }

  #sendRing(): void {
    while (this.#owed >= 1 && this.#tokens > 0 && this.#ring.length > 0) {
      this.#owed--;
      this.#next = (this.#next + 1) % this.#ring.length;
      const port = this.#ring[this.#next];
      if (port !== undefined && !this.#first.has(port)) this.#tokens -= this.#options.probe(port);
    }
  }
}
