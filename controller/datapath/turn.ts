/** A turn: one settlement that changed desired tables, and what became of it on each switch. */
import type { DatapathId } from '../model/facts.js';
import type { RefusedEntry } from './status.js';

/** What became of a turn's changes on one switch. */
export interface Acknowledgement {
  readonly datapathId: DatapathId;
  /** The switch has confirmed, by a barrier, that it holds every change. */
  readonly ok: boolean;
  /**
   * `refused`: all but the entries in `refused` are in effect. `disconnected`: unknown; the next session brings it into line. `unreadable`: it is connected,
   * and cannot be read, so nothing is written; the next read that succeeds brings it into line.
   */
  readonly reason?: 'refused' | Undecided;
  readonly refused: readonly RefusedEntry[];
}

/** Why it is not known what became of changes. */
export type Undecided = 'disconnected' | 'unreadable';

export interface Turn {
  /** From 1. */
  readonly id: number;
  /** Switches whose desired table changed. */
  readonly datapaths: readonly DatapathId[];
  /**
   * Resolves when the switch has acknowledged this turn's changes and all before them. A switch that the turn does not concern
   * is waited for as well, if earlier changes are on their way to it. Never rejects.
   */
  acknowledged(datapathId: DatapathId): Promise<Acknowledgement>;
  /** Of all switches in `datapaths`. */
  all(): Promise<ReadonlyMap<DatapathId, Acknowledgement>>;
}

/** A change that is made in two steps, and acknowledged with the second. */
export class TurnInTwoSteps implements Turn {
  constructor(
    private readonly first: Turn,
    private readonly second: Promise<Turn>,
  ) {}

  get id(): number {
    return this.first.id;
  }

  get datapaths(): readonly DatapathId[] {
    return this.first.datapaths;
  }

  /** With what was refused in either step. A switch that was away in the first holds all the same what it acknowledges in the second. */
  async acknowledged(datapathId: DatapathId): Promise<Acknowledgement> {
    const first = await this.first.acknowledged(datapathId);
    const second = await (await this.second).acknowledged(datapathId);
    const refused = [...first.refused, ...second.refused];
    if (!second.ok) return { ...second, refused };
    return refused.length === 0 ? second : { datapathId, ok: false, reason: 'refused', refused };
  }

  async all(): Promise<ReadonlyMap<DatapathId, Acknowledgement>> {
    return await allOf(this);
  }
}

async function allOf(turn: Turn): Promise<ReadonlyMap<DatapathId, Acknowledgement>> {
  const acknowledgements = await Promise.all(
    turn.datapaths.map((datapathId) => turn.acknowledged(datapathId)),
  );
  return new Map(acknowledgements.map((acknowledgement) => [acknowledgement.datapathId, acknowledgement]));
}

/** Waits on a switch's behalf for the changes of a turn. */
export interface Waiter {
  /** An entry was refused; noted if it is the turn's. */
  refuse(key: string, refused: RefusedEntry): void;
  /** Everything up to the turn is decided. */
  settle(reason?: Undecided): void;
}

/** The controller's end of a turn. */
export class TurnRecord implements Turn {
  readonly #acknowledgements = new Map<DatapathId, Acknowledgement>();
  readonly #waiting = new Map<DatapathId, ((acknowledgement: Acknowledgement) => void)[]>();

  constructor(
    readonly id: number,
    readonly datapaths: readonly DatapathId[],
    /** True for a key whose entry this turn changed on the switch. */
    private readonly concerns: (datapathId: DatapathId, key: string) => boolean,
    /** Calls `settle` of a waiter when everything that is on its way to a switch is decided. */
    private readonly fence: (datapathId: DatapathId, waiter: Waiter) => void,
  ) {
    for (const datapathId of datapaths) this.#waiting.set(datapathId, []);
  }

  acknowledged(datapathId: DatapathId): Promise<Acknowledgement> {
    const known = this.#acknowledgements.get(datapathId);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(datapathId);
      if (waiting !== undefined) {
        waiting.push(resolve);
        return;
      }
      this.#waiting.set(datapathId, [resolve]);
      this.fence(datapathId, this.waiter(datapathId));
    });
  }

  async all(): Promise<ReadonlyMap<DatapathId, Acknowledgement>> {
    return await allOf(this);
  }

  waiter(datapathId: DatapathId): Waiter {
    let refused: RefusedEntry[] | undefined;
    return {
      refuse: (key, entry) => {
        if (!this.concerns(datapathId, key)) return;
        refused ??= [];
        refused.push(entry);
      },
      settle: (reason) => this.#settle(datapathId, reason, refused ?? []),
    };
  }

  #settle(datapathId: DatapathId, undecided: Undecided | undefined, refused: readonly RefusedEntry[]): void {
    const reason = undecided ?? (refused.length > 0 ? 'refused' : undefined);
    const acknowledgement: Acknowledgement =
      reason === undefined ? { datapathId, ok: true, refused } : { datapathId, ok: false, reason, refused };
    this.#acknowledgements.set(datapathId, acknowledgement);
    const waiting = this.#waiting.get(datapathId) ?? [];
    this.#waiting.delete(datapathId);
    for (const resolve of waiting) resolve(acknowledgement);
  }
}
