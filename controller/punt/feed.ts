/**
 * Makes a readable stream of packet events: the first packet of a flow at once, then at most one event a second that says how many more
 * there were. The number of flows kept apart is bounded; what goes beyond is counted and said to be lost.
 */
import type { PacketEvent } from './types.js';

export interface FeedOptions {
  readonly publish: (event: PacketEvent) => void;
  /** That many packets are in no event. */
  readonly lost: (packets: number) => void;
  /** Milliseconds for which equal packets are put together. Default 1,000. */
  readonly windowMs?: number;
  /** Flows in one window. Default 2,000. */
  readonly maxFlows?: number;
  /** Runs something once, later; returns how to cancel it. Default: a timer that does not keep the process. */
  readonly after?: (milliseconds: number, run: () => void) => () => void;
}

interface Flow {
  /** The last packet of it. */
  last: PacketEvent;
  /** Packets since the last event. */
  untold: number;
}

export class PacketFeed {
  readonly #options: Required<FeedOptions>;
  readonly #flows = new Map<string, Flow>();
  #lost = 0;
  #cancel: (() => void) | undefined;

  constructor(options: FeedOptions) {
    this.#options = { windowMs: 1_000, maxFlows: 2_000, after: timer, ...options };
  }

  /** Takes an event of one packet. */
  add(event: PacketEvent): void {
    const key = flowOf(event);
    const flow = this.#flows.get(key);
    if (flow !== undefined) {
      flow.last = event;
      flow.untold++;
    } else if (this.#flows.size < this.#options.maxFlows) {
      this.#flows.set(key, { last: event, untold: 0 });
      this.#options.publish(event);
    } else {
      this.#lost++;
    }
    this.#watch();
  }

  /** Takes note of packets that nobody looked at. */
  lose(packets: number): void {
    this.#lost += packets;
    this.#watch();
  }

  /** Tells what is untold and ends the timer. */
  close(): void {
    this.#cancel?.();
    this.#tell();
    this.#flows.clear();
  }

  /** A flow that went on is watched for one more window; one that did not is new when it comes back. */
  #endWindow(): void {
    this.#cancel = undefined;
    this.#tell();
    if (this.#flows.size > 0) this.#watch();
  }

  #watch(): void {
    this.#cancel ??= this.#options.after(this.#options.windowMs, () => this.#endWindow());
  }

  #tell(): void {
    for (const [key, flow] of this.#flows) {
      if (flow.untold === 0) this.#flows.delete(key);
      else this.#options.publish({ ...flow.last, count: flow.untold });
      flow.untold = 0;
    }
    if (this.#lost > 0) this.#options.lost(this.#lost);
    this.#lost = 0;
  }
}

/** Packets are equal if they differ in nothing that a reader would act on. */
function flowOf(event: PacketEvent): string {
  const { datapathId, verdict, direction, rule, policy, network, source, destination, protocol, icmp } =
    event;
  return [
    datapathId,
    verdict,
    direction,
    rule ?? event.default,
    policy,
    network,
    source.endpoint,
    source.address ?? source.mac,
    source.port,
    destination.address ?? destination.mac,
    destination.port,
    protocol,
    icmp?.type,
    icmp?.code,
    event.tcpFlags,
    event.answer,
  ].join(' ');
}

function timer(milliseconds: number, run: () => void): () => void {
  const timeout = setTimeout(run, milliseconds);
  timeout.unref();
  return () => clearTimeout(timeout);
}
