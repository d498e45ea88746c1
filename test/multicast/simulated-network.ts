/**
 * Hosts that replicate and relay as `DistributionFact` says, with packets on their way between them and each host taking up what the
 * planner writes at a moment of its own. Everything that happens is chosen from outside, so any interleaving can be tried.
 */
import type { DistributionFact, DistributionTree } from '../../controller/model/facts.js';
import { neighbours } from '../../controller/trees/index.js';
import type { PlannerClock, PlannerSwitches } from '../../controller/multicast/planner.js';

/** Moved by hand; timers run in the order of their times. */
export class ManualClock implements PlannerClock {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.run();
    }
    this.#now = end;
  }
}

/** What a host is told of one distribution: trees, and to whom it replicates where there is none. */
interface Told {
  readonly version: number;
  readonly fact: DistributionFact | undefined;
  readonly members: ReadonlySet<number>;
}

interface Copy {
  readonly packet: Packet;
  readonly from: number;
  readonly to: number;
  readonly colour: number;
  readonly since: number;
}

export interface Packet {
  readonly sender: number;
  /** Copies by the host that got them; the sender has its own. */
  readonly received: Map<number, number>;
  /** Copies that travelled between hosts. */
  copies: number;
}

interface SimulatedHost {
  readonly number: number;
  told: Told;
  connected: boolean;
  alive: boolean;
  /** When it has last taken up what was written. */
  since: number;
  waiting: { readonly version: number; readonly resolve: () => void }[];
}

export class SimulatedNetwork implements PlannerSwitches {
  readonly hosts = new Map<number, SimulatedHost>();
  /** Told of each copy as it is sent. */
  onCopy: (from: number, to: number) => void = () => {};
  #told: Told = { version: 0, fact: undefined, members: new Set() };
  #onTheWay: Copy[] = [];

  constructor(
    numbers: Iterable<number>,
    private readonly now: () => number,
  ) {
    for (const number of numbers) {
      this.hosts.set(number, {
        number,
        told: this.#told,
        connected: true,
        alive: true,
        since: 0,
        waiting: [],
      });
    }
  }

  get fact(): DistributionFact | undefined {
    return this.#told.fact;
  }

  get onTheWay(): number {
    return this.#onTheWay.length;
  }

  /** The fact is another one now; hosts take it up with `take`. */
  write(fact: DistributionFact | undefined): void {
    this.#told = { ...this.#told, version: this.#told.version + 1, fact };
  }

  setMembers(members: ReadonlySet<number>): void {
    this.#told = { ...this.#told, version: this.#told.version + 1, members };
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  waitForSync(datapathId: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const host = this.#host(Number.parseInt(datapathId, 16));
    const { version } = this.#told;
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (host.connected && host.alive && host.told.version >= version) resolve();
      else {
        host.waiting.push({ version, resolve });
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }
    });
  }

  isInSync(datapathId: string): boolean {
    const { connected, alive, told } = this.#host(Number.parseInt(datapathId, 16));
    return connected && alive && told.version >= this.#told.version;
  }

  /** A host takes up what is written now, and says so. */
  take(number: number): void {
    const host = this.#host(number);
    if (!host.connected || !host.alive) return;
    host.told = this.#told;
    host.since = this.now();
    const done = host.waiting.filter(({ version }) => version <= host.told.version);
    host.waiting = host.waiting.filter((waiter) => !done.includes(waiter));
    for (const { resolve } of done) resolve();
  }

  takeAll(): void {
    for (const number of this.hosts.keys()) this.take(number);
  }

  /** Nobody takes longer than that. */
  takeOlderThan(milliseconds: number): void {
    for (const { number, since } of this.hosts.values())
      if (this.now() - since >= milliseconds) this.take(number);
  }

  connect(number: number, connected: boolean): void {
    this.#host(number).connected = connected;
  }

  /** A dead host neither relays nor receives; it comes back empty. */
  setAlive(number: number, alive: boolean): void {
    const host = this.#host(number);
    host.alive = alive;
    host.told = { version: 0, fact: undefined, members: new Set() };
  }

  send(sender: number): Packet {
    const packet: Packet = { sender, received: new Map([[sender, 1]]), copies: 0 };
    const { alive, told } = this.#host(sender);
    if (!alive) return packet;
    const tree = treeOf(told.fact, told.fact?.sending);
    if (tree === undefined) {
      for (const to of told.members) if (to !== sender) this.#copy(packet, sender, to, 0);
    } else {
      const entrances = neighbours(tree).get(sender) ?? [tree.root];
      for (const to of entrances) this.#copy(packet, sender, to, tree.colour);
    }
    return packet;
  }

  /** One of the copies on their way arrives. */
  arrive(choice: number): void {
    const [copy] = this.#onTheWay.splice(choice % Math.max(1, this.#onTheWay.length), 1);
    if (copy !== undefined) this.#receive(copy);
  }

  /** Everything arrives that has been on its way for that long. */
  arriveOlderThan(milliseconds: number): void {
    for (;;) {
      const index = this.#onTheWay.findIndex(({ since }) => this.now() - since >= milliseconds);
      if (index === -1) return;
      this.arrive(index);
    }
  }

  #receive({ packet, from, to, colour, since }: Copy): void {
    const { alive, told } = this.#host(to);
    if (!alive) return;
    const deliver = (): void => void packet.received.set(to, (packet.received.get(to) ?? 0) + 1);
    if (colour === 0) {
      deliver();
      return;
    }
    const tree = treeOf(told.fact, colour);
    const around = tree === undefined ? undefined : neighbours(tree).get(to);
    if (tree === undefined || around === undefined) return;
    if (!around.includes(from) && tree.root !== to) return;
    deliver();
    for (const next of around) if (next !== from) this.#copy(packet, to, next, colour, since);
  }

  #copy(packet: Packet, from: number, to: number, colour: number, since = this.now()): void {
    packet.copies++;
    this.onCopy(from, to);
    if (packet.copies > 100 * this.hosts.size) throw new Error('a packet travels in a loop');
    this.#onTheWay.push({ packet, from, to, colour, since });
  }

  #host(number: number): SimulatedHost {
    const host = this.hosts.get(number);
    if (host === undefined) throw new Error(`no host ${number}`);
    return host;
  }
}

const treeOf = (
  fact: DistributionFact | undefined,
  colour: number | undefined,
): DistributionTree | undefined =>
  colour === undefined ? undefined : fact?.trees.find((tree) => tree.colour === colour);
