/**
 * One distribution, kept in line with its members by trees that take turns.
 *
 *     tree a in use ─► b prepared: its relays stand on all of its hosts ─► senders use b ─► grace ─► relays of a go
 *
 * A packet carries the colour of its tree and travels that tree only, from its sender to all receivers, whatever senders and relays change
 * meanwhile; so at no instant is there a loop, a second copy, or a missing one. What that rests on:
 *
 * - Senders use a tree only after each of its hosts has acknowledged its relays.
 * - Relays go only after each host has acknowledged that senders use another tree, and packets on their way have had `GRACE_MS`.
 * - A colour is used again only after each host has acknowledged that its relays are gone. One that nobody has sent with is free at once.
 * - A host that does not acknowledge in time is left out of trees until it has acknowledged all there is. What it still holds of older trees can do no
 *   harm then: it is nobody's neighbour, so what it sends with a colour that is used again is taken at the root at most.
 */
import { distributionTree, seedOf, type Tree } from '../trees/index.js';
import type { DistributionFact, DistributionTree, MulticastGroup, TreeColour } from '../model/facts.js';

/** How long a packet may be on its way over a tree, in queues included. */
const GRACE_MS = 1_000;

/** Milliseconds that a record may take to become durable; a store that is lost must not keep failed relays in use. */
const FLUSH_MS = 1_000;

/** What a tree is made of. */
export interface Wanted {
  /** Numbers of hosts, ascending. */
  readonly members: readonly number[];
  readonly degree: number;
}

/** A distribution as it outlives the process. */
export interface DistributionRecord {
  readonly trees: readonly (Wanted & { readonly colour: TreeColour })[];
  readonly sending?: TreeColour;
}

/** What a distribution needs of the planner. */
export interface DistributionEnvironment {
  /**
   * The tree that there should be now; undefined: none, senders replicate.
   * @param inTree whether there is one now
   */
  wanted(inTree: boolean): Wanted | undefined;
  /** Whether a host cannot be used: it is down, or does not acknowledge what it is sent. */
  lost(host: number): boolean;
  /** Puts the fact, or (undefined) takes it away. */
  write(fact: DistributionFact | undefined): void;
  record(record: DistributionRecord | undefined): void;
  flush(): Promise<void>;
  /** Settles what was written, and resolves with those of the hosts that have not acknowledged it in time, or are lost. */
  silent(hosts: readonly number[]): Promise<readonly number[]>;
  /** The same of all hosts there are; those that are lost already are not waited for. */
  silentOfAll(): Promise<readonly number[]>;
  /** These hosts did not acknowledge: from now on they are lost, until they have acknowledged everything. */
  lose(hosts: readonly number[]): void;
  /** `update` is to be called soon. */
  again(): void;
  /** Runs once, after that time. */
  after(milliseconds: number, run: () => void): void;
  /** Senders have changed. */
  changed(before: Tree | undefined, after: Tree | undefined): void;
  /** Senders replicate, no relay stands, and nothing is under way: this distribution is done with. */
  finished(): void;
}

interface Standing extends Wanted {
  readonly colour: TreeColour;
  readonly tree: Tree;
}

export class Distribution {
  #sending: Standing | undefined;
  #preparing: Standing | undefined;
  /** Not in use any more; their relays stand. */
  readonly #leaving = new Set<Standing>();
  /** Their relays may still be on some host; their colours are not free. */
  readonly #leftovers = new Set<Standing>();
  /** What senders change to is being written down. */
  #committing = false;
  #ended = false;
  /** Trees that the process before was leaving have still to go. */
  #resumed = false;
  #lastColour: TreeColour = 3;

  /** @param record of the process before, if any: the first fact written is what that wrote last */
  constructor(
    private readonly network: number,
    private readonly group: MulticastGroup | undefined,
    private readonly environment: DistributionEnvironment,
    record?: DistributionRecord,
  ) {
    for (const tree of record?.trees ?? []) {
      const standing = this.#standing(tree, tree.colour);
      if (tree.colour === record?.sending) this.#sending = standing;
      else this.#leaving.add(standing);
    }
    if (this.#sending !== undefined) this.#lastColour = this.#sending.colour;
    if (record === undefined) return;
    this.#write();
    this.#resumed = true;
  }

  /** Whether the tree in use, or the one to come, leads over a host. */
  relaysOver(host: number): boolean {
    return this.#present().some(({ members }) => members.includes(host));
  }

  /**
   * Something has changed: members, settings, or which hosts are lost. A change that comes while another is under way, or while relays of
   * one are still leaving, is taken up afterwards, together with whatever comes until then; but not so the loss of a host that the tree in use
   * relays over.
   */
  update(): void {
    if (this.#ended || this.#committing) return;
    const { environment } = this;
    if (this.#resumed) for (const standing of this.#leaving) void this.#leave(standing);
    this.#resumed = false;
    const wanted = environment.wanted(this.#sending !== undefined || this.#preparing !== undefined);
    if (this.#preparing !== undefined) {
      if (!this.#isBroken(this.#preparing)) return;
      this.#preparing = undefined;
      this.#write();
    }
    if (isSame(this.#sending, wanted)) {
      if (this.#sending === undefined && !this.#isLeaving) this.#finish();
      return;
    }
    if (wanted === undefined) {
      void this.#commit(undefined);
      return;
    }
    const urgent = this.#sending !== undefined && this.#isBroken(this.#sending);
    const colour = this.#freeColour();
    if (colour === undefined || (this.#isLeaving && !urgent)) return; // when one has left
    this.#preparing = this.#standing(wanted, colour);
    this.#lastColour = colour;
    this.#write();
    void this.#prepare(this.#preparing);
  }

  /** Takes everything away at once: the network is gone. */
  end(): void {
    this.close();
    this.environment.record(undefined);
    this.environment.write(undefined);
  }

  /** Does nothing more; what stands stays. */
  close(): void {
    this.#ended = true;
  }

  #finish(): void {
    this.#ended = true;
    this.environment.finished();
  }

  async #prepare(next: Standing): Promise<void> {
    const silent = await this.environment.silent(next.members);
    if (this.#ended || this.#preparing !== next) return;
    if (silent.length === 0) {
      await this.#commit(next);
      return;
    }
    this.#preparing = undefined;
    this.#write();
    this.environment.lose(silent);
    this.environment.again();
  }

  /** Has senders use another tree, or none, after that is written down: a process that starts anew must know which colours are in use. */
  async #commit(next: Standing | undefined): Promise<void> {
    const { environment } = this;
    this.#committing = true;
    environment.record(this.#recordOf(next));
    await Promise.race([
      environment.flush().catch(() => undefined), // told of by the journal
      new Promise<void>((resolve) => environment.after(FLUSH_MS, resolve)),
    ]);
    this.#committing = false;
    if (this.#ended) return;
    const before = this.#sending;
    this.#sending = next;
    this.#preparing = undefined;
    if (before !== undefined) this.#leaving.add(before);
    this.#write();
    environment.changed(before?.tree, next?.tree);
    if (before !== undefined) void this.#leave(before);
    this.update();
  }

  async #leave(before: Standing): Promise<void> {
    const { environment } = this;
    environment.lose(await environment.silentOfAll());
    if (this.#ended) return;
    await new Promise<void>((resolve) => environment.after(GRACE_MS, resolve));
    if (this.#ended) return;
    this.#leaving.delete(before);
    this.#leftovers.add(before);
    this.#write();
    environment.lose(await environment.silentOfAll());
    if (this.#ended) return;
    this.#leftovers.delete(before);
    if (!this.#committing) environment.record(this.#recordOf(this.#sending));
    this.update();
  }

  get #isLeaving(): boolean {
    return this.#leaving.size + this.#leftovers.size > 0;
  }

  #standing({ members, degree }: Wanted, colour: TreeColour): Standing {
    const { network, group } = this;
    const seed = group === undefined ? seedOf(network) : seedOf(network, ...wordsOf(group));
    return { members, degree, colour, tree: distributionTree(members, degree, seed) };
  }

  #isBroken({ members }: Standing): boolean {
    return members.some((member) => this.environment.lost(member));
  }

  #freeColour(): TreeColour | undefined {
    const used = new Set(
      [...this.#leaving, ...this.#leftovers, ...this.#present()].map(({ colour }) => colour),
    );
    const inTurn = COLOURS.map((_, index) => COLOURS[(this.#lastColour + index) % COLOURS.length]);
    return inTurn.find((colour) => colour !== undefined && !used.has(colour));
  }

  #present(): Standing[] {
    return [this.#sending, this.#preparing].filter((standing) => standing !== undefined);
  }

  #write(): void {
    const { network, group } = this;
    const standing = [...this.#leaving, ...this.#present()];
    if (standing.length === 0) {
      this.environment.write(undefined);
      return;
    }
    this.environment.write({
      network,
      ...(group === undefined ? {} : { group }),
      trees: standing.map(({ colour, tree }): DistributionTree => ({ colour, ...tree })).sort(byColour),
      ...(this.#sending === undefined ? {} : { sending: this.#sending.colour }),
    });
  }

  #recordOf(sending: Standing | undefined): DistributionRecord | undefined {
    const all = [...this.#leaving, ...this.#leftovers, this.#sending, sending];
    const standing = new Set(all.filter((one) => one !== undefined));
    if (standing.size === 0) return undefined;
    return {
      trees: [...standing].map(({ colour, members, degree }) => ({ colour, members, degree })).sort(byColour),
      ...(sending === undefined ? {} : { sending: sending.colour }),
    };
  }
}

const COLOURS: readonly TreeColour[] = [1, 2, 3];

const byColour = (a: { colour: TreeColour }, b: { colour: TreeColour }): number => a.colour - b.colour;

function isSame(standing: Wanted | undefined, wanted: Wanted | undefined): boolean {
  if (standing === undefined || wanted === undefined) return standing === wanted;
  return (
    standing.degree === wanted.degree &&
    standing.members.length === wanted.members.length &&
    standing.members.every((member, index) => member === wanted.members[index])
  );
}

/** 32 bits each. */
function wordsOf(group: MulticastGroup): number[] {
  if (group.family === 4) return [group.address];
  return [96n, 64n, 32n, 0n].map((shift) => Number((group.address >> shift) & 0xffff_ffffn));
}
