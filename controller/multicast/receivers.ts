/**
 * Who receives which groups, in networks of the overlay or VLANs of the fabric: the state behind the facts of receivers. What changes is told at
 * once; a report that says again what is known costs a timer.
 */
import type { MulticastGroup, NetworkFact } from '../model/facts.js';
import { Deadlines } from './deadlines.js';
import { GroupNumbers } from './group-numbers.js';
import { type GroupRecord, groupText, type MembershipVersion, newestVersion } from './messages.js';
import { SourceFilter, type WantedSources } from './source-filter.js';

export interface ReceiverLimits {
  /** Groups that one endpoint may be in. */
  readonly groupsOfEndpoint: number;
  /** Groups of a network that have receivers. */
  readonly groupsOfNetwork: number;
  /** Groups of all segments that have receivers. */
  readonly groups: number;
}

export const DEFAULT_LIMITS: ReceiverLimits = {
  groupsOfEndpoint: 256,
  groupsOfNetwork: 8_192,
  groups: Number.POSITIVE_INFINITY,
};

/** What became of a report; the last three: it was ignored for a limit. */
export type Applied = 'changed' | 'unchanged' | LimitHit;
export type LimitHit = 'groups-of-endpoint' | 'groups-of-network' | 'group-numbers';

/** Within what groups have members: a network of the overlay, a VLAN of the fabric. */
export type Segment = Pick<NetworkFact, 'id' | 'number' | 'multicast'>;

/** A place in a segment, and for an endpoint which of its attachments. */
export interface Locus<Place> {
  readonly segment: Segment;
  readonly place: Place;
  readonly generation?: number;
}

export interface Receiver<Place> extends Locus<Place> {
  readonly key: string;
  readonly group: MulticastGroup;
  readonly groupNumber: number;
  readonly filter: SourceFilter;
  version: MembershipVersion;
}

/** What there is to know of places. */
export interface Places<Place> {
  /** Unique in a segment; the last part of keys of facts. */
  readonly nameOf: (place: Place) => string;
  /** Unique among all segments; what is forgotten together. */
  readonly holderOf: (locus: Locus<Place>) => string;
  /** One host, whose groups are limited. */
  readonly isOneHost: (place: Place) => boolean;
}

/** What outlives the process. */
export interface RestoredReceiver {
  readonly group: MulticastGroup;
  readonly groupNumber: number;
  readonly version: MembershipVersion;
  readonly sources?: WantedSources;
}

export interface ReceiversOptions<Place> {
  readonly places: Places<Place>;
  /** One came or changed. */
  readonly changed: (receiver: Receiver<Place>) => void;
  readonly gone: (receiver: Receiver<Place>) => void;
  readonly limits?: Partial<ReceiverLimits>;
  readonly now: number;
}

export class Receivers<Place> {
  readonly #options: ReceiversOptions<Place>;
  readonly #limits: ReceiverLimits;
  readonly #receivers = new Map<string, Receiver<Place>>();
  readonly #numbers = new GroupNumbers();
  readonly #deadlines: Deadlines<string>;
  readonly #byHolder = new Map<string, Set<Receiver<Place>>>();
  /** By `<number of segment>/<group>`. */
  readonly #byGroup = new Map<string, Set<Receiver<Place>>>();
  /** How many groups have receivers, by number of segment. */
  readonly #groupsOf = new Map<number, number>();

  constructor(options: ReceiversOptions<Place>) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#deadlines = new Deadlines(options.now);
  }

  get size(): number {
    return this.#receivers.size;
  }

  get groups(): number {
    return this.#byGroup.size;
  }

  values(): Iterable<Receiver<Place>> {
    return this.#receivers.values();
  }

  ofGroup(segmentNumber: number, group: MulticastGroup): Iterable<Receiver<Place>> {
    return this.#byGroup.get(groupKey(segmentNumber, group)) ?? [];
  }

  /** Everything that is received at a place, by `Places.holderOf`. */
  ofHolder(holder: string): Iterable<Receiver<Place>> {
    return this.#byHolder.get(holder) ?? [];
  }

  /** By which a receiver is known, and its fact: `<number of segment>/<group>/<name of place>`. */
  keyOf({ segment, place }: Locus<Place>, group: MulticastGroup): string {
    return `${groupKey(segment.number, group)}/${this.#options.places.nameOf(place)}`;
  }

  /**
   * Takes over one that the process before knew, as if it had just reported; it is in the answer and not told of. Undefined: it would be one
   * too many.
   */
  restore(locus: Locus<Place>, known: RestoredReceiver, until: number): Receiver<Place> | undefined {
    const { group, groupNumber, version, sources } = known;
    const filter = new SourceFilter({ sources, until });
    const receiver = this.#create(locus, group, version, filter, groupNumber);
    if (typeof receiver === 'string') return undefined;
    this.#deadlines.set(receiver.key, filter.deadline);
    return receiver;
  }

  /** What the receiver at a place says of a group. @param holdMs for which it is believed */
  apply(
    locus: Locus<Place>,
    record: GroupRecord,
    spoken: MembershipVersion,
    now: number,
    holdMs: number,
  ): Applied {
    const { group } = record;
    const newest = newestVersion(group.family);
    const key = this.keyOf(locus, group);
    const known = this.#receivers.get(key);
    const filter = known?.filter ?? new SourceFilter();
    const before = { sources: filter.wanted, version: known?.version };
    filter.apply(record, spoken, newest, now, holdMs);
    if (filter.empty) {
      if (known !== undefined) this.#remove(known);
      return known === undefined ? 'unchanged' : 'changed';
    }
    const receiver = known ?? this.#create(locus, group, spoken, filter);
    if (typeof receiver === 'string') return receiver;
    receiver.version = filter.version(spoken, now);
    this.#deadlines.set(key, filter.deadline);
    if (known !== undefined && before.version === receiver.version && isSame(before.sources, filter.wanted)) {
      return 'unchanged';
    }
    this.#options.changed(receiver);
    return 'changed';
  }

  /** A receiver is asked whether it still is one: unless it says so, it goes at `at`. */
  doubt(locus: Locus<Place>, group: MulticastGroup, at: number): void {
    const receiver = this.#receivers.get(this.keyOf(locus, group));
    if (receiver === undefined) return;
    receiver.filter.shorten(at);
    this.#deadlines.set(receiver.key, receiver.filter.deadline);
  }

  /** Ends what was not said again. Returns whether anything changed. */
  expire(now: number): boolean {
    let changed = false;
    for (const key of this.#deadlines.take(now)) {
      const receiver = this.#receivers.get(key) as Receiver<Place>;
      const { filter } = receiver;
      const before = filter.wanted;
      filter.expire(now);
      if (filter.empty) this.#remove(receiver);
      else this.#deadlines.set(key, filter.deadline);
      if (!filter.empty && isSame(before, filter.wanted)) continue;
      if (!filter.empty) this.#options.changed(receiver);
      changed = true;
    }
    return changed;
  }

  /** Everything that was joined at a place, by `Places.holderOf`. Returns whether there was anything. */
  forgetHolder(holder: string): boolean {
    return this.#removeAll(this.ofHolder(holder));
  }

  /** Everything of a segment. Returns whether there was anything. */
  forgetSegment(segmentNumber: number): boolean {
    if (!this.#groupsOf.has(segmentNumber)) return false;
    return this.#removeAll(
      [...this.#receivers.values()].filter(({ segment }) => segment.number === segmentNumber),
    );
  }

  #create(
    locus: Locus<Place>,
    group: MulticastGroup,
    version: MembershipVersion,
    filter: SourceFilter,
    wantedNumber?: number,
  ): Receiver<Place> | LimitHit {
    const { places } = this.#options;
    const { number } = locus.segment;
    const ofGroup = groupKey(number, group);
    const holder = places.holderOf(locus);
    const groups = this.#groupsOf.get(number) ?? 0;
    const joined = this.#byHolder.get(holder)?.size ?? 0;
    const isFirst = !this.#byGroup.has(ofGroup);
    if (places.isOneHost(locus.place) && joined >= this.#limits.groupsOfEndpoint) return 'groups-of-endpoint';
    if (isFirst && groups >= this.#limits.groupsOfNetwork) return 'groups-of-network';
    if (isFirst && this.groups >= this.#limits.groups) return 'group-numbers';
    const groupNumber = this.#numbers.take(ofGroup, wantedNumber);
    if (groupNumber === undefined) return 'group-numbers';
    const receiver: Receiver<Place> = {
      ...locus,
      key: this.keyOf(locus, group),
      group,
      groupNumber,
      filter,
      version,
    };
    this.#receivers.set(receiver.key, receiver);
    add(this.#byHolder, holder, receiver);
    add(this.#byGroup, ofGroup, receiver);
    if (isFirst) this.#groupsOf.set(number, groups + 1);
    return receiver;
  }

  #removeAll(receivers: Iterable<Receiver<Place>>): boolean {
    const gone = [...receivers];
    for (const receiver of gone) this.#remove(receiver);
    return gone.length > 0;
  }

  #remove(receiver: Receiver<Place>): void {
    const { key, segment, group } = receiver;
    const ofGroup = groupKey(segment.number, group);
    this.#receivers.delete(key);
    this.#deadlines.delete(key);
    this.#numbers.release(ofGroup);
    remove(this.#byHolder, this.#options.places.holderOf(receiver), receiver);
    remove(this.#byGroup, ofGroup, receiver);
    if (!this.#byGroup.has(ofGroup)) {
      const left = (this.#groupsOf.get(segment.number) as number) - 1;
      if (left === 0) this.#groupsOf.delete(segment.number);
      else this.#groupsOf.set(segment.number, left);
    }
    this.#options.gone(receiver);
  }
}

function groupKey(segmentNumber: number, group: MulticastGroup): string {
  return `${segmentNumber}/${groupText(group)}`;
}

function isSame(one: WantedSources | undefined, other: WantedSources | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.mode === other.mode &&
    one.addresses.length === other.addresses.length &&
    one.addresses.every((address, index) => address === other.addresses[index])
  );
}

function add<R>(index: Map<string, Set<R>>, key: string, receiver: R): void {
  const bucket = index.get(key) ?? new Set<R>();
  index.set(key, bucket.add(receiver));
}

function remove<R>(index: Map<string, Set<R>>, key: string, receiver: R): void {
  const bucket = index.get(key);
  bucket?.delete(receiver);
  if (bucket?.size === 0) index.delete(key);
}
