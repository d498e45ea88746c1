import type { Clock } from '../../rpc/index.js';
import type { TableDeliveries } from './host-tables.js';
import type { Locations } from './locations.js';
import type { HubTurn, SwitchAnswer } from './types.js';

/** How long the others' switches are waited for before they count as missing. */
const FOLLOW_MS = 30_000;

export interface Followed {
  /** Hosts whose switches have acknowledged, by name. */
  readonly hosts: string[];
  readonly missing: { host: string; reason: string }[];
}

/** The answers of the other hosts that carry a network, by name. */
export function answersOfMembers(
  network: string | undefined,
  home: string,
  locations: Locations,
  turn: HubTurn,
  tables: Pick<TableDeliveries, 'acknowledged'>,
): ReadonlyMap<string, Promise<SwitchAnswer>> {
  const answers = new Map<string, Promise<SwitchAnswer>>();
  for (const host of network === undefined ? [] : locations.membersOf(network)) {
    if (host === home) continue;
    const { datapathId, softSwitch } = locations.host(host) ?? {};
    if (datapathId !== undefined) answers.set(host, turn.acknowledged(datapathId));
    else if (softSwitch !== undefined) answers.set(host, tables.acknowledged(host));
  }
  return answers;
}

/** The switches of a network's other members while they take a new endpoint. */
export class Followers {
  readonly #acknowledged: string[] = [];
  /** By host: why it has not acknowledged. */
  readonly #missing = new Map<string, string>();
  #open: number;
  #stopTimer: (() => void) | undefined;
  #onDone: ((followed: Followed) => void) | undefined;

  /** `onEnd` is called when nothing is waited for any more. */
  constructor(
    answers: ReadonlyMap<string, Promise<SwitchAnswer>>,
    clock: Clock,
    private readonly onEnd: (followers: Followers) => void,
  ) {
    this.#open = answers.size;
    if (this.#open === 0) return;
    this.#stopTimer = clock.after(FOLLOW_MS, () => {
      this.#finish();
    });
    for (const [host, answer] of answers) {
      this.#missing.set(host, 'timeout');
      void answer.then(({ ok, reason = 'refused' }) => {
        if (this.#open === 0) return;
        if (ok) {
          this.#missing.delete(host);
          this.#acknowledged.push(host);
        } else this.#missing.set(host, reason);
        this.#open -= 1;
        if (this.#open === 0) this.#finish();
      });
    }
  }

  /** All have acknowledged. */
  get complete(): boolean {
    return this.#missing.size === 0;
  }

  /** Nobody asks any more. */
  cancel(): void {
    this.#open = 0;
    this.#stopTimer?.();
    this.onEnd(this);
  }

  /** Calls back once, never before it returns, when all have answered or the time is up. */
  whenDone(callback: (followed: Followed) => void): void {
    this.#onDone = callback;
    if (this.#open === 0) setImmediate(() => this.#finish());
  }

  #finish(): void {
    this.#open = 0;
    this.#stopTimer?.();
    this.onEnd(this);
    this.#onDone?.({
      hosts: this.#acknowledged.sort(),
      missing: [...this.#missing].sort().map(([host, reason]) => ({ host, reason })),
    });
    this.#onDone = undefined;
  }
}
