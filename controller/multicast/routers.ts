/** Multicast routers behind the uplinks of VLAN networks (RFC 4541, section 2.1.1): heard by their queries and by hellos of PIM. */
import type { MulticastRouterFact, NetworkFact, NetworkId } from '../model/facts.js';
import { Deadlines } from './deadlines.js';
import type { Journal } from '../journal/journal.js';
import { parseRouter } from './records.js';

export interface Router {
  readonly network: NetworkId;
  readonly networkNumber: number;
  /** Of the one heard last; absent: not heard since the start. */
  address?: number | bigint;
  learnedBy?: 'query' | 'pim';
}

export interface RoutersOptions {
  readonly journal: Pick<Journal, 'entries' | 'put' | 'delete'>;
  /** A fact came, or (absent) went. */
  readonly changed: (key: string, fact: MulticastRouterFact | undefined) => void;
  readonly now: number;
}

const PREFIX = 'routers/';

export class Routers {
  readonly #options: RoutersOptions;
  readonly #routers = new Map<string, Router>();
  readonly #deadlines: Deadlines<string>;

  constructor(options: RoutersOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.now);
  }

  get size(): number {
    return this.#routers.size;
  }

  values(): Iterable<Router & { readonly until: number }> {
    return [...this.#routers].map(([key, router]) => ({
      ...router,
      until: this.#deadlines.get(key) as number,
    }));
  }

  /** Takes over what the process before knew; timers begin anew. @param locate undefined: the network has no routers any more */
  restore(locate: (network: NetworkId) => NetworkFact | undefined, until: number): void {
    for (const [name, value] of this.#options.journal.entries(PREFIX)) {
      const record = parseRouter(value);
      const network = record && locate(record.network);
      if (network === undefined || PREFIX + keyOf(network.number) !== name)
        this.#options.journal.delete(name);
      else this.#add(network, until);
    }
  }

  /** Returns whether it was not known. */
  heard(network: NetworkFact, address: number | bigint, learnedBy: 'query' | 'pim', until: number): boolean {
    const key = keyOf(network.number);
    const known = this.#routers.get(key);
    const router = known ?? this.#add(network, until);
    if (known === undefined) this.#options.journal.put(PREFIX + key, { network: network.id });
    router.address = address;
    router.learnedBy = learnedBy;
    this.#deadlines.set(key, Math.max(until, this.#deadlines.get(key) ?? 0));
    return known === undefined;
  }

  /** Ends those that were not heard again. Returns whether there were any. */
  expire(now: number): boolean {
    const gone = this.#deadlines.take(now);
    for (const key of gone) this.#remove(key);
    return gone.length > 0;
  }

  forgetNetwork(networkNumber: number): boolean {
    const key = keyOf(networkNumber);
    this.#deadlines.delete(key);
    return this.#remove(key);
  }

  #add(network: NetworkFact, until: number): Router {
    const key = keyOf(network.number);
    const router: Router = { network: network.id, networkNumber: network.number };
    this.#routers.set(key, router);
    this.#deadlines.set(key, until);
    this.#options.changed(key, { network: network.id, place: { uplink: true } });
    return router;
  }

  #remove(key: string): boolean {
    if (!this.#routers.delete(key)) return false;
    this.#options.journal.delete(PREFIX + key);
    this.#options.changed(key, undefined);
    return true;
  }
}

/** Key of the fact. */
function keyOf(networkNumber: number): string {
  return `${networkNumber}/uplink`;
}
