import type { PacketInCounters } from './session.js';
import type { Rate } from './token-bucket.js';
import { TokenBucket } from './token-bucket.js';

/** What a gate says of a packet-in. */
export type Verdict = 'deliver' | 'over-switch-rate' | 'over-port-rate' | 'shed';

export interface PacketInGateOptions {
  readonly perSwitch: Rate;
  readonly perPort: Rate;
}

/** Ports with a bucket of their own; packets of any further port share one, so that invented port numbers take no memory. */
const MAX_PORT_BUCKETS = 4_096;

/** Decides which packet-ins of one switch are delivered, and counts the others. */
export class PacketInGate {
  readonly #options: PacketInGateOptions;
  readonly #switchBucket: TokenBucket;
  readonly #portBuckets = new Map<number, TokenBucket>();
  readonly #otherPorts: TokenBucket;
  #delivered = 0;
  #overSwitchRate = 0;
  #overPortRate = 0;
  #shed = 0;

  constructor(options: PacketInGateOptions, now: number) {
    this.#options = options;
    this.#switchBucket = new TokenBucket(options.perSwitch, now);
    this.#otherPorts = new TokenBucket(options.perPort, now);
  }

  get counters(): PacketInCounters {
    return {
      delivered: this.#delivered,
      overSwitchRate: this.#overSwitchRate,
      overPortRate: this.#overPortRate,
      shed: this.#shed,
    };
  }

  /** `port`: where the packet came in, undefined if the message does not say. `behind`: the consumer cannot take more. */
  judge(port: number | undefined, behind: boolean, now: number): Verdict {
    if (behind) {
      this.#shed += 1;
      return 'shed';
    }
    if (!this.#switchBucket.take(now)) {
      this.#overSwitchRate += 1;
      return 'over-switch-rate';
    }
    if (!this.#bucketOf(port, now).take(now)) {
      // One noisy port must not use up what the switch's other ports may send.
      this.#switchBucket.giveBack();
      this.#overPortRate += 1;
      return 'over-port-rate';
    }
    this.#delivered += 1;
    return 'deliver';
  }

  /** A port is gone: so is its bucket. */
  forgetPort(port: number): void {
    this.#portBuckets.delete(port);
  }

  #bucketOf(port: number | undefined, now: number): TokenBucket {
    if (port === undefined) return this.#otherPorts;
    const known = this.#portBuckets.get(port);
    if (known) return known;
    if (this.#portBuckets.size >= MAX_PORT_BUCKETS) return this.#otherPorts;
    const bucket = new TokenBucket(this.#options.perPort, now);
    this.#portBuckets.set(port, bucket);
    return bucket;
  }
}
