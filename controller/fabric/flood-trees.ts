/**
 * Flood trees, and how to get from one to the next on switches that change one by one, at any time, or not at all. Pure: no switch, no
 * clock; `flood-planner.ts` does the talking.
 *
 * A link floods while both of its ports do (a frame that comes over a link which is not in the tree is dropped). Of each switch it is
 * known which ports it may hold: those of the version that it has acknowledged last and of all that were asked of it since. The links both
 * of whose ports may be held are the *possible* ones. **The possible links of a class never contain a loop**, so neither do those in effect,
 * whatever the switches have taken over by now. Hence break before make: what is not in the new tree is taken away at once, and a link is
 * added as soon as it closes no loop with the possible ones, which is when one end of each link in its way has acknowledged.
 *
 * **After a restart** (`restore`) switches may hold what they were asked for before, and it is not known where cables lead by now: a cable
 * that nobody knows of has an end at two ports that may flood and have not been confirmed since. So all switches with such ports count as
 * linked to each other, and a remembered link is asked for only where both switches have it open.
 *
 * A switch that is away holds what it held. It gets no new links, and is a leaf of trees where it can be; its neighbours alone can take it
 * out. Links between two switches that are both away are taken as they are.
 */
import { Graph, Parts, seedOf, spanningTree } from '../trees/index.js';
import type { DatapathId, LinkFact } from '../model/facts.js';

export interface FloodChange {
  readonly treeClass: number;
  readonly datapathId: DatapathId;
  readonly port: number;
  /** False: it floods no more. */
  readonly floods: boolean;
}

/** What is to be asked of switches now. */
export interface FloodUpdate {
  readonly changes: readonly FloodChange[];
  /** Switches asked for something new, and the number to acknowledge it by. */
  readonly versions: ReadonlyMap<DatapathId, number>;
}

/** What a switch may hold: ports by class. */
interface Version {
  readonly version: number;
  readonly ports: readonly ReadonlySet<number>[];
}

interface FloodSwitch {
  readonly datapathId: DatapathId;
  readonly number: number;
  connected: boolean;
  /** From the one acknowledged last to the one asked for last; never empty. */
  versions: Version[];
}

interface FloodLink {
  readonly id: string;
  readonly ends: readonly [Pick<LinkFact, 'datapathId' | 'port'>, Pick<LinkFact, 'datapathId' | 'port'>];
  /** Directions in which it is known to carry, by key of the fact. */
  readonly directions: Set<string>;
  /** False: it was there before the restart, and has not been heard since. */
  confirmed: boolean;
}

/** Ports of one switch, by class. */
export interface HeldPorts {
  /** In some of the versions. */
  readonly may: readonly (readonly number[])[];
  /** In all of them. */
  readonly sure: readonly (readonly number[])[];
}

export class FloodTrees {
  readonly #switches = new Map<DatapathId, FloodSwitch>();
  /** Links that are gone stay as long as they may flood: who knows what they still carry. */
  readonly #links = new Map<string, FloodLink>();
  readonly #facts = new Map<string, LinkFact>();
  /** Ports that may flood since before the restart, and lead nobody knows where. */
  readonly #unconfirmed = new Map<DatapathId, Set<number>>();
  readonly #targets: ReadonlySet<string>[];
  /** Classes whose tree does not stand yet. */
  readonly #unsettled = new Set<number>();
  #stale = false;
  #version = 0;

  /** @param classes How many trees. */
  constructor(classes: number) {
    this.#targets = Array.from({ length: classes }, () => new Set<string>());
  }

  /**
   * Goes on from what `held` said before a restart: of all switches, once the links that are remembered have been set, and before anything
   * else. What is asked of a switch now is what it has open for sure.
   */
  restore(switches: Iterable<RestoredSwitch>): void {
    for (const link of this.#links.values()) link.confirmed = false;
    const before = this.#version++;
    for (const { datapathId, number, connected, may, sure } of switches) {
      const portsOf = (lists: HeldPorts['may']) => this.#targets.map((_, index) => new Set(lists[index]));
      const versions = [
        { version: before, ports: portsOf(may) },
        { version: this.#version, ports: portsOf(sure) },
      ];
      this.#switches.set(datapathId, { datapathId, number, connected, versions });
      this.#unconfirmed.set(datapathId, new Set(may.flat()));
    }
    this.#stale = true;
  }

  /** A remembered link is there. `key`: of one of its facts. */
  confirm(key: string): void {
    const link = this.#linkOf(key);
    if (link === undefined) return;
    link.confirmed = true;
    for (const { datapathId, port } of link.ends) this.#unconfirmed.get(datapathId)?.delete(port);
    this.#stale = true;
  }

  /** The switch is to flood by no port, at once. */
  shut(datapathId: DatapathId): FloodUpdate {
    const known = this.#switches.get(datapathId);
    const ports = known?.versions.at(-1)?.ports ?? [];
    const changes = ports.flatMap((each, treeClass) =>
      [...each].map((port) => ({ treeClass, datapathId, port, floods: false })),
    );
    if (known === undefined || changes.length === 0) return { changes: [], versions: new Map() };
    const version = ++this.#version;
    known.versions.push({ version, ports: this.#targets.map(() => NO_PORTS) });
    this.#stale = true;
    return { changes, versions: new Map([[datapathId, version]]) };
  }

  /** What a switch holds, to be remembered for `restore`. */
  held(datapathId: DatapathId): HeldPorts | undefined {
    const versions = this.#switches.get(datapathId)?.versions;
    if (versions === undefined) return undefined;
    const may = this.#targets.map((_, treeClass) =>
      [...new Set(versions.flatMap(({ ports }) => [...(ports[treeClass] ?? NO_PORTS)]))].sort(
        (a, b) => a - b,
      ),
    );
    const sure = may.map((all, treeClass) =>
      all.filter((port) => versions.every(({ ports }) => ports[treeClass]?.has(port) === true)),
    );
    return { may, sure };
  }

  /** Whether the switch is still asked for this port. */
  asksFor({ treeClass, datapathId, port }: FloodChange): boolean {
    const last = this.#switches.get(datapathId)?.versions.at(-1);
    return last?.ports[treeClass]?.has(port) === true;
  }

  /** A switch is there (again), or has changed its number. */
  switchUp(datapathId: DatapathId, number: number): void {
    const known = this.#switches.get(datapathId);
    const versions = known?.versions ?? [
      { version: this.#version, ports: this.#targets.map(() => NO_PORTS) },
    ];
    this.#switches.set(datapathId, { datapathId, number, connected: true, versions });
    this.#stale = true;
  }

  switchAway(datapathId: DatapathId): void {
    const known = this.#switches.get(datapathId);
    if (known === undefined) return;
    known.connected = false;
    this.#stale = true;
  }

  /** It is no switch of the fabric any more; its links should have gone before. */
  switchGone(datapathId: DatapathId): void {
    this.#unconfirmed.delete(datapathId);
    if (this.#switches.delete(datapathId)) this.#stale = true;
  }

  /** @param key Of the fact: where the direction begins. */
  linkSet(key: string, fact: LinkFact): void {
    const before = this.#facts.get(key);
    if (before?.toDatapathId === fact.toDatapathId && before.toPort === fact.toPort) return;
    this.linkGone(key);
    this.#facts.set(key, fact);
    const { datapathId, port, toDatapathId, toPort } = fact;
    const from = { datapathId, port };
    const to = { datapathId: toDatapathId, port: toPort };
    const first = key < keyOf(to);
    const id = first ? `${key} ${keyOf(to)}` : `${keyOf(to)} ${key}`;
    let link = this.#links.get(id);
    if (link === undefined) {
      link = { id, ends: first ? [from, to] : [to, from], directions: new Set(), confirmed: true };
      this.#links.set(id, link);
    }
    link.confirmed = true;
    for (const end of link.ends) this.#unconfirmed.get(end.datapathId)?.delete(end.port);
    link.directions.add(key);
    this.#stale = true;
  }

  linkGone(key: string): void {
    const link = this.#linkOf(key);
    if (!this.#facts.delete(key)) return;
    link?.directions.delete(key);
    this.#stale = true;
  }

  #linkOf(key: string): FloodLink | undefined {
    const fact = this.#facts.get(key);
    if (fact === undefined) return undefined;
    const other = keyOf({ datapathId: fact.toDatapathId, port: fact.toPort });
    return this.#links.get(key < other ? `${key} ${other}` : `${other} ${key}`);
  }

  /** The switch holds this version, or a later one. True if that may allow for something new. */
  acknowledged(datapathId: DatapathId, version: number): boolean {
    const known = this.#switches.get(datapathId);
    if (known === undefined || (known.versions[0]?.version ?? 0) >= version) return false;
    known.versions = known.versions.filter((each) => each.version >= version);
    return this.#unsettled.size > 0;
  }

  /** The number of what was asked of a switch last. */
  versionOf(datapathId: DatapathId): number | undefined {
    return this.#switches.get(datapathId)?.versions.at(-1)?.version;
  }

  /** Every tree that was aimed at stands, as far as switches were asked. */
  get settled(): boolean {
    return !this.#stale && this.#unsettled.size === 0;
  }

  /** Goes as far as is safe now. */
  update(): FloodUpdate {
    const links = [...this.#links.values()];
    const classes = this.#stale ? this.#targets.keys() : [...this.#unsettled];
    const asked = new Map<DatapathId, Set<number>[]>();
    const changes: FloodChange[] = [];
    const roots = this.#stale ? this.#roots() : [];
    for (const treeClass of classes) {
      if (this.#stale) this.#targets[treeClass] = this.#target(links, treeClass, roots[treeClass]);
      const wanted = this.#step(links, treeClass);
      this.#ask(links, treeClass, wanted, asked, changes);
    }
    this.#stale = false;
    const versions = new Map<DatapathId, number>();
    if (asked.size > 0) this.#version++;
    for (const [datapathId, ports] of asked) {
      this.#switches.get(datapathId)?.versions.push({ version: this.#version, ports });
      versions.set(datapathId, this.#version);
    }
    this.#forgetLinks();
    return { changes, versions };
  }

  /** The tree that is wanted of the links that can be counted on. */
  #target(links: readonly FloodLink[], treeClass: number, root: number | undefined): ReadonlySet<string> {
    const usable = links.filter(
      (link) =>
        link.directions.size === 2 &&
        link.ends.every(({ datapathId, port }) => {
          const end = this.#switches.get(datapathId);
          if (end === undefined) return false;
          if (end.connected && link.confirmed) return true;
          return end.versions.every(({ ports }) => ports[treeClass]?.has(port) === true);
        }),
    );
    const connected = usable.filter((link) => this.#connectedEnds(link) === 2);
    if (root === undefined) return new Set();
    const best = spanningTree(this.#graph(connected), root);
    const parts = new Parts();
    const unchangeable = usable.filter(
      (link) => this.#connectedEnds(link) === 0 && parts.join(...this.#numbers(link)),
    );
    return new Set(spanningTree(this.#graph(usable), root, [...best, ...unchangeable.map(({ id }) => id)]));
  }

  /**
   * The root for each class: switches that are connected, if any are, and not the same one twice while there are others. A switch that
   * comes or goes seldom changes the roots of others.
   */
  #roots(): number[] {
    const some = [...this.#switches.values()];
    const connected = some.filter((each) => each.connected);
    const candidates = connected.length > 0 ? connected : some;
    let free = new Set(candidates);
    return this.#targets.flatMap((_, treeClass) => {
      if (free.size === 0) free = new Set(candidates);
      let best: { readonly root: FloodSwitch; readonly rank: number } | undefined;
      for (const root of free) {
        const rank = seedOf(treeClass, ...wordsOf(root.datapathId));
        if (best === undefined || rank < best.rank || (rank === best.rank && root.number < best.root.number))
          best = { root, rank };
      }
      if (best === undefined) return [];
      free.delete(best.root);
      return [best.root.number];
    });
  }

  /** Links to ask for now: those of the target that stand or close no loop. */
  #step(links: readonly FloodLink[], treeClass: number): ReadonlySet<string> {
    const target = this.#targets[treeClass] ?? NO_LINKS;
    const parts = new Parts();
    const possible = new Set<string>();
    for (const link of links) {
      if (!this.#possible(link, treeClass)) continue;
      possible.add(link.id);
      parts.join(...this.#numbers(link));
    }
    this.#joinUnconfirmed(parts, treeClass);
    const wanted = new Set<string>();
    for (const link of links) {
      if (!target.has(link.id)) continue;
      if (possible.has(link.id) || parts.join(...this.#numbers(link))) wanted.add(link.id);
    }
    if (wanted.size === target.size) this.#unsettled.delete(treeClass);
    else this.#unsettled.add(treeClass);
    return wanted;
  }

  /** A cable may lead from any of these switches to any other. */
  #joinUnconfirmed(parts: Parts, treeClass: number): void {
    let first: number | undefined;
    for (const [datapathId, unconfirmed] of this.#unconfirmed) {
      const known = this.#switches.get(datapathId);
      if (known === undefined || ![...unconfirmed].some((port) => mayFlood(known, treeClass, port))) continue;
      if (first === undefined) first = known.number;
      else parts.join(first, known.number);
    }
  }

  /** Asks switches for the ports of these links, and no others. */
  #ask(
    links: readonly FloodLink[],
    treeClass: number,
    wanted: ReadonlySet<string>,
    asked: Map<DatapathId, Set<number>[]>,
    changes: FloodChange[],
  ): void {
    const wantedPorts = new Map<DatapathId, Set<number>>();
    for (const link of links) {
      if (!wanted.has(link.id)) continue;
      for (const { datapathId, port } of link.ends) {
        const ports = wantedPorts.get(datapathId) ?? new Set();
        wantedPorts.set(datapathId, ports.add(port));
      }
    }
    for (const { datapathId, versions } of this.#switches.values()) {
      const before = versions.at(-1)?.ports[treeClass] ?? NO_PORTS;
      const after = wantedPorts.get(datapathId) ?? NO_PORTS;
      const removed = [...before].filter((port) => !after.has(port));
      const added = [...after].filter((port) => !before.has(port));
      if (removed.length === 0 && added.length === 0) continue;
      const all = asked.get(datapathId) ?? versions.at(-1)?.ports.map((ports) => new Set(ports)) ?? [];
      all[treeClass] = new Set(after);
      asked.set(datapathId, all);
      for (const port of removed) changes.push({ treeClass, datapathId, port, floods: false });
      for (const port of added) changes.push({ treeClass, datapathId, port, floods: true });
    }
  }

  /** Both switches may hold it. */
  #possible({ ends }: FloodLink, treeClass: number): boolean {
    return ends.every(({ datapathId, port }) => {
      const end = this.#switches.get(datapathId);
      return end !== undefined && mayFlood(end, treeClass, port);
    });
  }

  #connectedEnds({ ends }: FloodLink): number {
    return ends.filter(({ datapathId }) => this.#switches.get(datapathId)?.connected === true).length;
  }

  #numbers({ id, ends: [a, b] }: FloodLink): [number, number] {
    const [from, to] = [this.#switches.get(a.datapathId), this.#switches.get(b.datapathId)];
    if (from === undefined || to === undefined)
      throw new Error(`link ${id} ends at a switch that is not there`);
    return [from.number, to.number];
  }

  #graph(links: readonly FloodLink[]): Graph {
    const numbers = [...this.#switches.values()].map(({ number }) => number);
    return new Graph(
      numbers,
      links.map((link) => ({ id: link.id, ends: this.#numbers(link) })),
    );
  }

  #forgetLinks(): void {
    for (const [id, link] of this.#links) {
      if (link.directions.size > 0) continue;
      if (!this.#targets.some((_, treeClass) => this.#possible(link, treeClass))) this.#links.delete(id);
    }
  }
}

/** A switch, and what it holds according to `FloodTrees.held`. */
export interface RestoredSwitch extends HeldPorts {
  readonly datapathId: DatapathId;
  readonly number: number;
  /** It counts as connected until `switchAway` says otherwise. */
  readonly connected: boolean;
}

function mayFlood({ versions }: FloodSwitch, treeClass: number, port: number): boolean {
  return versions.some(({ ports }) => ports[treeClass]?.has(port) === true);
}

const NO_PORTS: ReadonlySet<number> = new Set();
const NO_LINKS: ReadonlySet<string> = new Set();

/** The two halves of a datapath id. */
function wordsOf(datapathId: DatapathId): number[] {
  return [datapathId.slice(0, -8), datapathId.slice(-8)].map((word) => Number.parseInt(word, 16));
}

function keyOf({ datapathId, port }: Pick<LinkFact, 'datapathId' | 'port'>): string {
  return `${datapathId}/${port}`;
}
