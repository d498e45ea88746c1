/**
 * Decides for each network, and each group with receivers in it, whether copies for many are replicated by their sender or travel a tree of hosts, and
 * which tree; `planner-distribution.ts` is how one tree becomes another.
 *
 * A change of one member costs the recomputation of the audiences that the host belongs to by it, and nothing else.
 */
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import type { FactInputs } from '../datapath/index.js';
import type { MetricFamily } from '../metrics.js';
import type { FactChange, HostFact, MulticastGroup, NetworkFact, NetworkId } from '../model/facts.js';
import { movedEdges, type Tree } from '../trees/index.js';
import type { Journal } from '../journal/journal.js';
import {
  Distribution,
  type DistributionEnvironment,
  type DistributionRecord,
  type Wanted,
} from './planner-distribution.js';
import { isCapable, type PlannerLogger, type PlannerSwitches, UsableHosts } from './planner-hosts.js';
import { parseRecord, serializeRecord } from './planner-record.js';
import { type Audience, type AudienceChange, MemberSets } from './planner-sets.js';

export type { PlannerSwitches } from './planner-hosts.js';

/** Time as the planner needs it; tests move it by hand. */
export interface PlannerClock {
  /** Milliseconds of a clock that does not jump. */
  now(): number;
  /** The returned function cancels it. */
  after(milliseconds: number, run: () => void): () => void;
}

export interface PlannerOptions {
  readonly distributions: Pick<FactInputs['distributions'], 'set' | 'delete'>;
  readonly journal: Pick<Journal, 'entries' | 'put' | 'delete' | 'flush'>;
  readonly switches: PlannerSwitches;
  readonly logger: PlannerLogger;
  /** Milliseconds after the start in which switches may still be on their way back; the lease of agents. */
  readonly startMs: number;
  readonly clock?: PlannerClock;
}

/** Networks above have no room for a colour in the VNI. */
const COLOUR_BIT = 22;

const RECORD_PREFIX = 'distributions/';

export class DistributionPlanner {
  readonly #options: PlannerOptions;
  readonly #clock: PlannerClock;
  readonly #sets = new MemberSets((audience) => this.#touch(audience));
  readonly #hosts: UsableHosts;
  /** Numbers of networks, to recognise those of one that is gone. */
  readonly #numbers = new Map<NetworkId, number>();
  /** By key of the fact: number of network, or that and the group. */
  readonly #distributions = new Map<string, Distribution>();
  /** Of the process before, and not to be changed until it is known which switches acknowledge what there was. */
  readonly #resumed = new Set<string>();
  readonly #dirty = new Map<string, Audience>();
  readonly #timers = new Set<() => void>();
  #begun = false;
  /** No host could be reached, and they are not all back. */
  #cutOff = false;
  #stopHold: (() => void) | undefined;
  readonly #waiting: (() => void)[] = [];
  #closed = false;
  #changes = 0;
  #moved = 0;

  /** Resumes what was there before the start: its facts are written when this returns. */
  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#hosts = new UsableHosts({
      ...options,
      sets: this.#sets,
      changed: (host) => this.#touchAll(host),
      after: (milliseconds, run) => this.#after(milliseconds, run),
      backBy: this.#clock.now() + options.startMs,
      now: () => this.#clock.now(),
    });
    for (const [name, value] of options.journal.entries(RECORD_PREFIX)) {
      const resumed = parseRecord(value);
      const key = name.slice(RECORD_PREFIX.length);
      if (resumed === undefined) options.journal.delete(name);
      else {
        const { group, record } = resumed;
        this.#distributions.set(key, this.#distribution(key, group, record));
        this.#resumed.add(key);
      }
    }
  }

  /** Facts of the model as they are committed, all of them in the first call. */
  facts(changes: readonly FactChange[]): void {
    for (const change of changes) {
      if (change.kind === 'network') this.#renumbered(change.key, change.value?.number);
      else if (change.kind === 'host') this.#hosts.claimed(change.key, change.value?.datapathId, this.#begun);
    }
    this.#sets.facts(changes);
    if (!this.#begun) this.#begin();
  }

  /**
   * Receivers of groups and multicast routers, as their facts are written. Those that are resumed have to be told before control returns to the
   * event loop, or their trees are taken for abandoned.
   */
  receivers(changes: Iterable<AudienceChange>): void {
    this.#sets.audience(changes);
  }

  /** A host is down (and left out of trees), or up again. */
  hostDown(host: string, down: boolean): void {
    this.#hosts.setDown(host, down);
  }

  metrics(): MetricFamily[] {
    return [
      {
        name: 'weft_distribution_trees',
        help: 'Networks and multicast groups whose copies travel a tree.',
        type: 'gauge',
        samples: [{ value: this.#distributions.size }],
      },
      {
        name: 'weft_distribution_changes_total',
        help: 'Times that senders changed to another tree, or to or from replication.',
        type: 'counter',
        samples: [{ value: this.#changes }],
      },
      {
        name: 'weft_distribution_moved_edges_total',
        help: 'Edges that were in the tree after a change and not before.',
        type: 'counter',
        samples: [{ value: this.#moved }],
      },
    ];
  }

  /** Changes nothing any more; trees stay as they are. */
  close(): void {
    this.#closed = true;
    for (const distribution of this.#distributions.values()) distribution.close();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#hosts.close();
    this.#release();
  }

  #begin(): void {
    this.#begun = true;
    for (const key of this.#resumed) {
      const { number } = parseKey(key);
      if (this.#sets.networkId(number) === undefined) this.#forget(number);
    }
    if (this.#resumed.size > 0) void this.#confirm();
  }

  /** Trees of the process before are changed when each switch has acknowledged them, or has had the time to come back. */
  async #confirm(): Promise<void> {
    const silent = await this.#hosts.silentOfAll();
    if (this.#closed) return;
    this.#hosts.lose(silent);
    for (const key of this.#resumed) this.#touchKey(key);
    this.#resumed.clear();
  }

  #renumbered(network: NetworkId, number: number | undefined): void {
    const before = this.#numbers.get(network);
    if (before !== undefined && before !== number) this.#forget(before);
    if (number === undefined) this.#numbers.delete(network);
    else this.#numbers.set(network, number);
  }

  /** Everything that a host is a member of, or has left and still relays for. */
  #touchAll(host: string): void {
    this.#sets.touch(host);
    const number = this.#sets.host(host)?.number;
    if (number === undefined) return;
    for (const [key, distribution] of this.#distributions) {
      if (distribution.relaysOver(number)) this.#touchKey(key);
    }
  }

  #touchKey(key: string): void {
    const { number, group } = parseKey(key);
    const network = this.#sets.networkId(number);
    if (network !== undefined) this.#touch({ network, ...(group === undefined ? {} : { group }) });
  }

  /** Together with what else changes in this turn of the event loop, and after what is resumed. */
  #touch(audience: Audience): void {
    if (this.#dirty.size === 0 || this.#cutOff) queueMicrotask(() => this.#update());
    this.#dirty.set(`${audience.network} ${audience.group ?? ''}`, audience);
  }

  #update(): void {
    if (this.#isCutOff()) return;
    const dirty = [...this.#dirty.values()];
    this.#dirty.clear();
    if (!this.#closed) for (const audience of dirty) this.#updateOne(audience);
  }

  /**
   * While no host can be reached nothing is changed, and after that for the time of a lease, or until all are back: hosts that forward as they did are not to
   * come back one by one to trees that were changed without them.
   */
  #isCutOff(): boolean {
    const { reach } = this.#hosts;
    if (reach === 'all') this.#release();
    else if (reach === 'none') {
      this.#cutOff = true;
      this.#stopHold?.();
      this.#stopHold = undefined;
    } else if (this.#cutOff) this.#stopHold ??= this.#after(this.#options.startMs, () => this.#release(true));
    return this.#cutOff;
  }

  #release(now = false): void {
    this.#stopHold?.();
    this.#stopHold = undefined;
    this.#cutOff = false;
    for (const released of this.#waiting.splice(0)) released();
    if (now) this.#update();
  }

  /** Asks again where in the meantime nobody could be reached. */
  async #silentOfAll(): Promise<readonly number[]> {
    for (;;) {
      if (this.#isCutOff()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      const silent = await this.#hosts.silentOfAll();
      if (this.#closed || !this.#isCutOff()) return silent;
    }
  }

  #updateOne(audience: Audience): void {
    const network = this.#sets.network(audience.network);
    if (network === undefined) return; // forgotten already, or its fact is still to come
    const key = keyOf(network.number, audience.group);
    if (this.#resumed.has(key)) return; // later
    const hosts = this.#hostsOf(audience);
    if (hosts.length > 0 && !hosts.some((host) => this.#hosts.isUsable(host))) return; // when one is back
    let distribution = this.#distributions.get(key);
    if (distribution === undefined) {
      if (this.#wanted(key, false) === undefined) return;
      distribution = this.#distribution(key, this.#sets.groupAddress(audience));
      this.#distributions.set(key, distribution);
    }
    distribution.update();
  }

  /** A network is gone, and with it all that is sent in it. */
  #forget(number: number): void {
    for (const [key, distribution] of this.#distributions) {
      if (parseKey(key).number !== number) continue;
      distribution.end();
      this.#distributions.delete(key);
      this.#resumed.delete(key);
    }
  }

  #distribution(key: string, group: MulticastGroup | undefined, record?: DistributionRecord): Distribution {
    const { journal, distributions } = this.#options;
    const environment: DistributionEnvironment = {
      wanted: (inTree) => this.#wanted(key, inTree),
      lost: (host) => !this.#hosts.isUsable(this.#sets.hostByNumber(host)),
      write: (fact) => {
        this.#hosts.written();
        if (fact === undefined) distributions.delete(key);
        else distributions.set(key, fact);
      },
      again: () => this.#touchKey(key),
      finished: () => void this.#distributions.delete(key),
      record: (written) => {
        if (written === undefined) journal.delete(RECORD_PREFIX + key);
        else journal.put(RECORD_PREFIX + key, serializeRecord(written, group));
      },
      flush: () => journal.flush(),
      silent: (hosts) => this.#hosts.silent(hosts),
      silentOfAll: () => this.#silentOfAll(),
      lose: (hosts) => this.#hosts.lose(hosts),
      after: (milliseconds, run) => this.#after(milliseconds, run),
      changed: (before, after) => this.#changed(key, before, after),
    };
    return new Distribution(parseKey(key).number, group, environment, record);
  }

  #wanted(key: string, inTree: boolean): Wanted | undefined {
    const { number, group } = parseKey(key);
    const network = this.#networkOf(number);
    if (network === undefined || network.encapsulation !== 'vxlan') return undefined;
    if (network.tag >= 2 ** COLOUR_BIT) return undefined;
    const { degree, headEndLimit } = multicastSettingsOf(network);
    const audience: Audience = { network: network.id, ...(group === undefined ? {} : { group }) };
    // Hosts without OpenFlow can neither relay nor tell a tree from another, so senders replicate where one of them is.
    for (const name of this.#sets.members({ network: network.id }))
      if (this.#sets.host(name)?.softSwitch !== undefined) return undefined;
    const hosts = this.#hostsOf(audience);
    // Hosts that are lost count: they may be back soon, and the others are not to change to and fro because of them.
    if (hosts.length <= (inTree ? returnLimit(headEndLimit) : headEndLimit)) return undefined;
    const families = new Set(hosts.map(familyOf));
    // Any two members may become neighbours.
    if (families.has('ipv4') && families.has('ipv6')) return undefined;
    const members = hosts.filter((host) => this.#hosts.isUsable(host)).map(({ number }) => number);
    return members.length === 0 ? undefined : { members: members.sort((a, b) => a - b), degree };
  }

  #hostsOf(audience: Audience): HostFact[] {
    return [...this.#sets.members(audience)].map((name) => this.#sets.host(name)).filter(isCapable);
  }

  #networkOf(number: number): NetworkFact | undefined {
    const id = this.#sets.networkId(number);
    return id === undefined ? undefined : this.#sets.network(id);
  }

  #after(milliseconds: number, run: () => void): () => void {
    const cancel = this.#clock.after(milliseconds, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  #changed(key: string, before: Tree | undefined, after: Tree | undefined): void {
    this.#changes++;
    const { number, group } = parseKey(key);
    const network = this.#networkOf(number)?.id;
    const moved =
      after === undefined
        ? 0
        : before === undefined
          ? after.edges.length
          : movedEdges(before, after).added.length;
    this.#moved += moved;
    const what = group === undefined ? 'broadcast' : `group ${group}`;
    const how =
      after === undefined
        ? 'is replicated by its senders'
        : `travels a tree of ${after.edges.length + 1} hosts`;
    this.#options.logger.info(
      {
        event: 'multicast.distribution',
        network,
        group,
        hosts: after === undefined ? 0 : after.edges.length + 1,
        moved,
      },
      `${what} of network ${network ?? number} ${how}`,
    );
  }
}

type Family = 'ipv4' | 'ipv6' | 'both';

function familyOf({ vtepIpv4, vtepIpv6 }: HostFact): Family {
  if (vtepIpv4 !== undefined) return vtepIpv6 === undefined ? 'ipv4' : 'both';
  return 'ipv6';
}

/**
 * A tree is kept until its members are fewer by a quarter than what would have made it, so that a set at the limit does not go to and fro. One host
 * alone needs no tree.
 */
const returnLimit = (headEndLimit: number): number => Math.max(1, headEndLimit - Math.ceil(headEndLimit / 4));

const keyOf = (number: number, group: string | undefined): string =>
  group === undefined ? String(number) : `${number}/${group}`;

function parseKey(key: string): { number: number; group?: string } {
  const [number, group] = key.split('/', 2);
  return { number: Number(number), ...(group === undefined ? {} : { group }) };
}

export const systemClock: PlannerClock = {
  now: () => performance.now(),
  after: (milliseconds, run) => {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};
