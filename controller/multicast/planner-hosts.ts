/**
 * Which hosts trees may be made of: those that are up and whose switches acknowledge what they are sent. A host that is left out comes back when its switch
 * has acknowledged everything that was written until then, so that nothing of older trees is left on it.
 */
import type { DatapathId, HostFact } from '../model/facts.js';
import type { MemberSets } from './planner-sets.js';

/** What the planner needs of the switches. */
export interface PlannerSwitches {
  /** Resolves when facts written before the call are derived and on their way. */
  settle(): Promise<unknown>;
  /** Resolves when the switch is connected and has acknowledged all that is derived; rejects when the signal aborts. */
  waitForSync(datapathId: DatapathId, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Whether `waitForSync` would resolve at once. */
  isInSync(datapathId: DatapathId): boolean;
}

export interface PlannerLogger {
  info(event: object, text: string): void;
  warn(event: object, text: string): void;
}

export interface UsableHostsOptions {
  readonly switches: PlannerSwitches;
  readonly logger: PlannerLogger;
  readonly sets: Pick<MemberSets, 'host' | 'hostByNumber' | 'hosts'>;
  /** A host can be used now, or cannot any more. */
  readonly changed: (host: string) => void;
  readonly now: () => number;
  /** Runs once, after so many milliseconds; the returned function cancels it. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
  /** When switches that were connected to the process before are to be back. */
  readonly backBy: number;
}

/** How long a switch may take to acknowledge before its host is left out. */
const PATIENCE_MS = 3_000;

/** Why a host is left out. */
interface Token {
  /** It has not been seen before, rather than lost. */
  readonly strange: boolean;
}

/** A host that could be on a tree: it has a switch and a tunnel address. */
export function isCapable(host: HostFact | undefined): host is HostFact {
  return host?.datapathId !== undefined && (host.vtepIpv4 ?? host.vtepIpv6) !== undefined;
}

export class UsableHosts {
  readonly #options: UsableHostsOptions;
  /** Names of hosts. */
  readonly #down = new Set<string>();
  /** Hosts by name that are left out until they have acknowledged everything, each with what waits for that. */
  readonly #leftOut = new Map<string, Token>();
  /** Who waits for the switch of a host, by name of the host. */
  readonly #waits = new Map<string, Set<AbortController>>();
  #asking: Promise<readonly number[]> | undefined;
  #writes = 0;
  #closed = false;

  constructor(options: UsableHostsOptions) {
    this.#options = options;
  }

  isUsable(host: HostFact | undefined): host is HostFact {
    return isCapable(host) && !this.#down.has(host.name) && !this.#leftOut.has(host.name);
  }

  /** Whether all hosts can be used, some, or none: then it is more likely that the controller is cut off from them than that they are all down. */
  get reach(): 'all' | 'some' | 'none' {
    let usable = false;
    let lost = false;
    for (const host of this.#options.sets.hosts()) {
      if (!isCapable(host) || this.#leftOut.get(host.name)?.strange === true) continue;
      if (this.isUsable(host)) usable = true;
      else lost = true;
      if (usable && lost) return 'some';
    }
    return lost ? 'none' : 'all';
  }

  setDown(host: string, down: boolean): void {
    if (this.#down.has(host) === down) return;
    if (down) {
      this.#down.add(host);
      this.#leftOut.delete(host);
      this.#giveUp(host);
      this.#options.changed(host);
    } else {
      this.#down.delete(host);
      this.#leaveOut(host); // its switch may hold what was there when it left
    }
  }

  /** Call before the fact of the host is another one. @param strange what its switch holds is not known */
  claimed(host: string, datapathId: DatapathId | undefined, strange: boolean): void {
    if (this.#options.sets.host(host)?.datapathId === datapathId) return;
    this.#leftOut.delete(host);
    this.#giveUp(host);
    if (datapathId !== undefined && strange) this.#leaveOut(host, true);
    else this.#options.changed(host);
  }

  /** A fact of the planner has changed. */
  written(): void {
    this.#writes++;
  }

  /** Settles what was written, and resolves with those of the hosts that have not acknowledged it when patience ends, or cannot be used any more. */
  async silent(hosts: readonly number[]): Promise<readonly number[]> {
    await this.#settle();
    return await this.#ask(hosts);
  }

  /** The same of all hosts that can be used; those who ask in one turn of the event loop share the answer. */
  silentOfAll(): Promise<readonly number[]> {
    this.#asking ??= this.#settle().then(() => {
      this.#asking = undefined;
      return this.#ask(this.#usable());
    });
    return this.#asking;
  }

  /** These hosts did not acknowledge: they are left out until they have acknowledged everything. */
  lose(hosts: readonly number[]): void {
    const { logger, sets } = this.#options;
    for (const number of hosts) {
      const host = sets.hostByNumber(number);
      if (host === undefined || !this.isUsable(host) || this.#closed) continue;
      logger.warn(
        { event: 'multicast.silent', host: host.name },
        `the switch of host ${host.name} does not acknowledge: the host is left out of distribution trees until it does`,
      );
      this.#leaveOut(host.name);
    }
  }

  close(): void {
    this.#closed = true;
    for (const host of this.#waits.keys()) this.#giveUp(host);
  }

  async #settle(): Promise<void> {
    await this.#options.switches.settle().catch(() => undefined); // told of by whoever settles
  }

  async #ask(hosts: readonly number[]): Promise<readonly number[]> {
    const { after, backBy, now, sets } = this.#options;
    // Nearly all of them have nothing on their way: they are not waited for, which would cost each of a thousand a timer and a promise.
    const asked = hosts
      .map((number) => ({ number, host: sets.hostByNumber(number) }))
      .filter(({ host }) => !this.#hasAll(host))
      .map((whom) => ({ ...whom, wait: new AbortController() }));
    if (asked.length === 0) return [];
    const cancel = after(Math.max(PATIENCE_MS, backBy - now()), () => {
      for (const { wait } of asked) wait.abort();
    });
    const answers = await Promise.all(asked.map(({ host, wait }) => this.#isInSync(host, wait)));
    cancel();
    return asked.filter((_, index) => answers[index] === false).map(({ number }) => number);
  }

  #hasAll(host: HostFact | undefined): boolean {
    return (
      host?.datapathId !== undefined && !this.#closed && this.#options.switches.isInSync(host.datapathId)
    );
  }

  #usable(): number[] {
    return [...this.#options.sets.hosts()].filter((host) => this.isUsable(host)).map(({ number }) => number);
  }

  #leaveOut(host: string, strange = false): void {
    if (this.#leftOut.has(host) || this.#down.has(host)) return;
    this.#giveUp(host);
    const token: Token = { strange };
    this.#leftOut.set(host, token);
    this.#options.changed(host);
    void this.#takeBack(host, token);
  }

  async #takeBack(host: string, token: Token): Promise<void> {
    const { changed, sets } = this.#options;
    for (let complete = false; !complete; ) {
      await this.#settle();
      const writes = this.#writes;
      const inSync = await this.#isInSync(sets.host(host), new AbortController());
      if (this.#leftOut.get(host) !== token || this.#closed) return;
      complete = inSync && writes === this.#writes;
    }
    this.#leftOut.delete(host);
    changed(host);
  }

  /** True when the switch of the host has acknowledged everything, false when it is not waited for any more. */
  async #isInSync(host: HostFact | undefined, wait: AbortController): Promise<boolean> {
    if (host?.datapathId === undefined || this.#closed) return false;
    const waits = this.#waits.get(host.name) ?? new Set();
    this.#waits.set(host.name, waits.add(wait));
    try {
      await this.#options.switches.waitForSync(host.datapathId, { signal: wait.signal });
      return true;
    } catch {
      return false;
    } finally {
      waits.delete(wait);
      if (waits.size === 0 && this.#waits.get(host.name) === waits) this.#waits.delete(host.name);
    }
  }

  #giveUp(host: string): void {
    for (const wait of this.#waits.get(host) ?? []) wait.abort();
  }
}
