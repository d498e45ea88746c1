/** Keeps the flood trees of the fabric: tells `FloodTrees` what happens, writes what it asks for as facts, and waits for the switches. */
import type { DatapathId } from '../model/facts.js';
import type { FactInputs } from '../datapath/index.js';
import type { Input } from '../derive/index.js';
import { type Clock, systemClock } from './clock.js';
import { FloodTrees, type FloodUpdate } from './flood-trees.js';

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
  readonly #over = new AbortController();
  readonly #numbers = new Map<DatapathId, number>();
  /** To be written through: what is a fact is news here as well. */
  readonly facts: Pick<FactInputs, 'hosts' | 'links'>;
  #planned = false;

  constructor(options: FloodPlannerOptions) {
    this.#options = options;
    this.#trees = new FloodTrees(options.classes);
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
    this.#trees.switchGone(datapathId);
    this.#plan();
  }

  /** Once for all that happens in this turn of the event loop, and before it is settled. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      if (this.#over.signal.aborted) return;
      this.#ask(this.#trees.update()).catch(this.#options.onFailure);
    });
  }

  async #ask({ changes, versions }: FloodUpdate): Promise<void> {
    const { facts, settle } = this.#options;
    for (const { treeClass, datapathId, port, floods } of changes) {
      const key = `${treeClass}/${datapathId}/${port}`;
      if (floods) facts.floodPorts.set(key, { treeClass, datapathId, port });
      else facts.floodPorts.delete(key);
    }
    const turn = await settle();
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
      if (this.#trees.acknowledged(datapathId, version)) this.#plan();
    });
  }
}

/** An input whose writes somebody is told of. */
function watched<V>(input: Input<V>, told: (key: string, value: V | undefined) => void): Input<V> {
  return {
    name: input.name,
    get size() {
      return input.size;
    },
    get: (key) => input.get(key),
    has: (key) => input.has(key),
    entries: () => input.entries(),
    set: (key, value) => {
      told(key, value);
      return input.set(key, value);
    },
    delete: (key) => {
      told(key, undefined);
      return input.delete(key);
    },
  };
}
