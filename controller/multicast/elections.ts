/**
 * Which querier there is in a network, besides ours: the one with the lowest address (RFC 3376, section 6.6.2; RFC 3810, section 7.6.2). Ours yields
 * to all of them, so that a switch never takes the place of a router. Its timers are those of the network.
 */
import type { NetworkId } from '../model/facts.js';
import { Deadlines } from './deadlines.js';
import type { Query } from './messages.js';
import { DEFAULT_TIMING, querierPresentMs, type Timing, timingOf } from './timing.js';

export interface OtherQuerier {
  readonly network: NetworkId;
  readonly family: 4 | 6;
  readonly address: number | bigint;
  readonly timing: Timing;
}

export class Elections {
  readonly #queriers = new Map<string, OtherQuerier>();
  readonly #deadlines: Deadlines<string>;

  constructor(now: number) {
    this.#deadlines = new Deadlines(now);
  }

  /** A general query of somebody else. */
  heard(network: NetworkId, query: Query, address: number | bigint, now: number): void {
    const key = keyOf(network, query.family);
    const known = this.#queriers.get(key);
    if (known !== undefined && known.address < address) return;
    const timing = timingOf(query);
    this.#queriers.set(key, { network, family: query.family, address, timing });
    this.#deadlines.set(key, now + querierPresentMs(timing));
  }

  /** The querier that is there, if it is not ours, and until when. */
  other(network: NetworkId, family: 4 | 6): (OtherQuerier & { readonly until: number }) | undefined {
    const key = keyOf(network, family);
    const querier = this.#queriers.get(key);
    return querier && { ...querier, until: this.#deadlines.get(key) as number };
  }

  timing(network: NetworkId, family: 4 | 6): Timing {
    return this.#queriers.get(keyOf(network, family))?.timing ?? DEFAULT_TIMING;
  }

  /** Takes out those that were not heard again. */
  expire(now: number): OtherQuerier[] {
    return this.#deadlines.take(now).map((key) => {
      const querier = this.#queriers.get(key) as OtherQuerier;
      this.#queriers.delete(key);
      return querier;
    });
  }

  forget(network: NetworkId): void {
    for (const family of [4, 6] as const) {
      const key = keyOf(network, family);
      this.#queriers.delete(key);
      this.#deadlines.delete(key);
    }
  }
}

function keyOf(network: NetworkId, family: 4 | 6): string {
  return `${family} ${network}`;
}
