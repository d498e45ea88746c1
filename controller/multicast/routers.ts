/**
 * Multicast routers (RFC 4541, section 2.1.1), heard by their queries and by hellos of PIM: behind the uplinks of VLAN networks, or at ports of
 * fabric switches. The state behind the facts of routers.
 */
import { Deadlines } from './deadlines.js';
import type { Locus, Segment } from './receivers.js';

export interface Router<Place> extends Locus<Place> {
  readonly key: string;
  /** Of the one heard last; absent: not heard since the start. */
  address?: number | bigint;
  learnedBy?: 'query' | 'pim';
}

export interface RoutersOptions<Place> {
  /** Unique in a segment. */
  readonly nameOf: (place: Place) => string;
  /** One came. */
  readonly arrived: (router: Router<Place>) => void;
  readonly gone: (router: Router<Place>) => void;
  readonly now: number;
}

export class Routers<Place> {
  readonly #options: RoutersOptions<Place>;
  readonly #routers = new Map<string, Router<Place>>();
  readonly #deadlines: Deadlines<string>;

  constructor(options: RoutersOptions<Place>) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.now);
  }

  get size(): number {
    return this.#routers.size;
  }

  values(): Iterable<Router<Place> & { readonly until: number }> {
    return [...this.#routers].map(([key, router]) => ({
      ...router,
      until: this.#deadlines.get(key) as number,
    }));
  }

  /** By which a router is known, and its fact: `<number of segment>/<name of place>`. */
  keyOf({ segment, place }: Locus<Place>): string {
    return `${segment.number}/${this.#options.nameOf(place)}`;
  }

  has(segment: Segment, place: Place): boolean {
    return this.#routers.has(this.keyOf({ segment, place }));
  }

  /** Takes over one that the process before knew, as if it had just been heard; it is not told of. */
  restore(locus: Locus<Place>, until: number): Router<Place> {
    const key = this.keyOf(locus);
    const router: Router<Place> = { ...locus, key };
    this.#routers.set(key, router);
    this.#deadlines.set(key, until);
    return router;
  }

  /** Returns whether it was not known. */
  heard(locus: Locus<Place>, address: number | bigint, learnedBy: 'query' | 'pim', until: number): boolean {
    const known = this.#routers.get(this.keyOf(locus));
    const router = known ?? this.restore(locus, until);
    router.address = address;
    router.learnedBy = learnedBy;
    this.#deadlines.set(router.key, Math.max(until, this.#deadlines.get(router.key) ?? 0));
    if (known === undefined) this.#options.arrived(router);
    return known === undefined;
  }

  /** Ends those that were not heard again. Returns whether there were any. */
  expire(now: number): boolean {
    const gone = this.#deadlines.take(now);
    for (const key of gone) this.#remove(key);
    return gone.length > 0;
  }

  /** Returns whether there were any. */
  forget(which: (router: Router<Place>) => boolean): boolean {
    const gone = [...this.#routers.values()].filter(which);
    for (const { key } of gone) {
      this.#deadlines.delete(key);
      this.#remove(key);
    }
    return gone.length > 0;
  }

  #remove(key: string): void {
    const router = this.#routers.get(key);
    if (router === undefined) return;
    this.#routers.delete(key);
    this.#options.gone(router);
  }
}
