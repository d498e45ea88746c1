/**
 * Flood trees of the fabric: tells `FloodTrees` what happens, writes what it asks for as facts, and waits for the switches.
 *
 * Which ports a switch may have open outlives the process: it is durable before any of them is opened. So whoever starts after a crash knows of
 * every port that may flood. While the store is lost no port is opened, and what is to be closed waits with what is to be opened.
 */
import type { DatapathId } from '../model/facts.js';
import type { FactInputs } from '../datapath/index.js';
import { watched } from '../datapath/watched.js';
import { type Clock, systemClock } from './clock.js';
import { FloodTrees, type FloodUpdate } from './flood-trees.js';
import { FabricMemory } from './memory.js';

/** What became of a settlement on a switch; what is needed of `Acknowledgement`. */
interface Answer {
  readonly ok: boolean;
  readonly reason?: string;
  readonly refused: readonly { readonly owner: string }[];
}

export interface FloodPlannerOptions {
  readonly classes: number;
  /** Of the fabric's own tables. */
  readonly facts: Pick<FactInputs, 'hosts' | 'links' | 'floodPorts' | 'awaySwitches'>;
  /** Settles what has been written by the end of this turn of the event loop. */
  readonly settle: () => Promise<{ acknowledged(datapathId: DatapathId): Promise<Answer> }>;
  /** As of `DatapathController`. */
  readonly waitForSync: (datapathId: DatapathId, options: { readonly signal: AbortSignal }) => Promise<void>;
  /** Absent: nothing outlives the process. */
  readonly memory?: FabricMemory;
  /** Name of the app whose entries flood; a refusal of one of them is no acknowledgement. */
  readonly app: string;
  /**
   * Milliseconds that the datapath of a switch may need, once new tables are acknowledged, to go through the flows it has cached:
   * so long it may still flood as before. Default 250, as for changes of policy.
   */
  readonly graceMs?: number;
  readonly clock?: Clock;
  /** Something went wrong that never should. */
  readonly onFailure: (error: unknown) => void;
}

export class FloodPlanner {
  readonly #options: FloodPlannerOptions;
  readonly #trees: FloodTrees;
  readonly #memory: FabricMemory;
  readonly #over = new AbortController();
  readonly #numbers = new Map<DatapathId, number>();
  /** To be written through: what is a fact is news here as well. */
  readonly facts: Pick<FactInputs, 'hosts' | 'links'>;
  #planned = false;
  /** What is to be opened is being made durable. */
  #opening = false;
  #confirmed = false;

  constructor(options: FloodPlannerOptions) {
    this.#options = options;
    this.#trees = new FloodTrees(options.classes);
    this.#memory = options.memory ?? new FabricMemory();
    const { hosts, links } = options.facts;
    this.facts = {
      hosts: watched(hosts, (datapathId, host) => {
        if (host === undefined) this.#gone(datapathId);
        else this.#numbers.set(datapathId, host.number);
      }),
      links: watched(links, (key, fact) => {
        if (fact === undefined) this.#trees.linkGone(key);
        else this.#trees.linkSet(key, fact);
        this.#plan();
      }),
    };
  }

  /**
   * Goes on where the process before this one ended. To be called when the switches and links that are remembered have been written to
   * `facts`, in the same turn of the event loop.
   */
  restore(): void {
    const { facts, classes } = this.#options;
    const none: readonly number[][] = Array.from({ length: classes }, () => []);
    const away = new Set(
      [...this.#memory.switches()].flatMap((each) => (each.away ? [each.datapathId] : [])),
    );
    const restored = [...this.#numbers].map(([datapathId, number]) => {
      const { may, sure } = this.#memory.flooding(datapathId) ?? { may: none, sure: none };
      return { datapathId, number, connected: !away.has(datapathId), may, sure };
    });
    this.#trees.restore(restored);
    for (const { datapathId, connected, sure } of restored) {
      if (!connected) facts.awaySwitches.set(datapathId, { datapathId });
      for (const [treeClass, ports] of sure.slice(0, classes).entries()) {
        for (const port of ports)
          facts.floodPorts.set(keyOf(treeClass, datapathId, port), { treeClass, datapathId, port });
      }
    }
    this.#plan();
  }

  /** A remembered link is there. `key`: of its fact, in one direction. */
  linkConfirmed(key: string): void {
    this.#trees.confirm(key);
    // Nothing waits for one of them, and they come one by one.
    if (this.#confirmed) return;
    this.#confirmed = true;
    (this.#options.clock ?? systemClock).after(CONFIRMATIONS_MS, () => {
      this.#confirmed = false;
      this.#plan();
    });
  }

  /** What the switch has open is not what is remembered: it is to flood nowhere until its links are found. Written before this returns. */
  distrust(datapathId: DatapathId): void {
    this.#ask(this.#trees.shut(datapathId)).catch(this.#options.onFailure);
    this.#plan();
  }

  /** A switch that is a fact is connected, and will be read and brought into line. */
  switchUp(datapathId: DatapathId): void {
    const number = this.#numbers.get(datapathId);
    if (number === undefined) return;
    this.#options.facts.awaySwitches.delete(datapathId);
    this.#trees.switchUp(datapathId, number);
    // What it held while it was away is over once it has been read and written.
    this.#whenInLine(datapathId);
    this.#plan();
  }

  switchAway(datapathId: DatapathId): void {
    if (!this.#numbers.has(datapathId)) return;
    this.#options.facts.awaySwitches.set(datapathId, { datapathId });
    this.#trees.switchAway(datapathId);
    this.#plan();
  }

  /** Switches keep what they hold. */
  close(): void {
    this.#over.abort();
  }

  /** It is no switch of the fabric any more. */
  #gone(datapathId: DatapathId): void {
    this.#numbers.delete(datapathId);
    this.#options.facts.awaySwitches.delete(datapathId);
    this.#memory.deleteFlooding(datapathId);
    this.#trees.switchGone(datapathId);
    this.#plan();
  }

  /** Once for all that happens in this turn of the event loop, and before it is settled. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      if (this.#opening) return; // planned when that is through
      this.#planned = false;
      if (this.#over.signal.aborted) return;
      this.#ask(this.#trees.update()).catch(this.#options.onFailure);
    });
  }

  async #ask({ changes, versions }: FloodUpdate): Promise<void> {
    const { facts } = this.#options;
    const openings = changes.filter(({ floods }) => floods);
    for (const { treeClass, datapathId, port, floods } of changes) {
      if (!floods) facts.floodPorts.delete(keyOf(treeClass, datapathId, port));
    }
    for (const datapathId of versions.keys()) this.#remember(datapathId);
    const opened = new Set(openings.map(({ datapathId }) => datapathId));
    const all = [...versions];
    const closed = this.#settle(all.filter(([datapathId]) => !opened.has(datapathId)));
    if (openings.length === 0) return await closed;
    this.#opening = true;
    try {
      await this.#memory.flush();
    } catch (error) {
      if (this.#over.signal.aborted) return;
      throw error;
    } finally {
      this.#opening = false;
    }
    if (this.#over.signal.aborted) return;
    // A switch may have been told to flood nowhere meanwhile.
    for (const change of openings.filter((each) => this.#trees.asksFor(each))) {
      const { treeClass, datapathId, port } = change;
      facts.floodPorts.set(keyOf(treeClass, datapathId, port), { treeClass, datapathId, port });
    }
    if (this.#planned) {
      this.#planned = false;
      this.#plan();
    }
    await this.#settle(all.filter(([datapathId]) => opened.has(datapathId)));
    await closed;
  }

  /** What is a fact by now is sent; when a switch has acknowledged it, it holds that version. */
  async #settle(versions: readonly (readonly [DatapathId, number])[]): Promise<void> {
    const turn = await this.#options.settle();
    for (const [datapathId, version] of versions) {
      void turn.acknowledged(datapathId).then(({ ok, reason, refused }) => {
        const flooding = refused.some(({ owner }) => owner.startsWith(`${this.#options.app}.`));
        if (ok || (reason === 'refused' && !flooding)) this.#acknowledged(datapathId, version);
        else if (reason !== 'refused') this.#whenInLine(datapathId);
      });
    }
  }

  #whenInLine(datapathId: DatapathId): void {
    const { settle, waitForSync } = this.#options;
    const { signal } = this.#over;
    const wait = async (): Promise<void> => {
      // What is asked of it from now on may not be written by the time it is in line.
      const version = this.#trees.versionOf(datapathId);
      await settle();
      await waitForSync(datapathId, { signal });
      if (version !== undefined) this.#acknowledged(datapathId, version);
    };
    wait().catch((error: unknown) => {
      if (!signal.aborted) this.#options.onFailure(error);
    });
  }

  #acknowledged(datapathId: DatapathId, version: number): void {
    const { graceMs = 250, clock = systemClock } = this.#options;
    clock.after(graceMs, () => {
      const allows = this.#trees.acknowledged(datapathId, version);
      this.#remember(datapathId);
      if (allows) this.#plan();
    });
  }

  #remember(datapathId: DatapathId): void {
    const held = this.#trees.held(datapathId);
    if (held !== undefined) this.#memory.putFlooding(datapathId, held);
  }
}

/** Links that are confirmed within this time are planned with at once; milliseconds. */
const CONFIRMATIONS_MS = 50;

const keyOf = (treeClass: number, datapathId: DatapathId, port: number): string =>
  `${treeClass}/${datapathId}/${port}`;
