/**
 * Who receives which groups: the state behind the facts `multicastReceivers`, and its records in the journal. What changes is written
 * to both at once; a report that says again what is known costs a timer.
 */
import type {
  EndpointId,
  MulticastGroup,
  MulticastPlace,
  MulticastReceiverFact,
  NetworkFact,
  NetworkId,
} from '../model/facts.js';
import { Deadlines } from './deadlines.js';
import { GroupNumbers } from './group-numbers.js';
import type { Journal } from '../journal/journal.js';
import { type GroupRecord, groupText, type MembershipVersion } from './messages.js';
import { parseReceiver, type ReceiverRecord, serializeReceiver } from './records.js';
import { SourceFilter, type WantedSources } from './source-filter.js';

export interface ReceiverLimits {
  /** Groups that one endpoint may be in. */
  readonly groupsOfEndpoint: number;
  /** Groups of a network that have receivers. */
  readonly groupsOfNetwork: number;
}

export const DEFAULT_LIMITS: ReceiverLimits = { groupsOfEndpoint: 256, groupsOfNetwork: 8_192 };

/** What became of a report; the last three: it was ignored for a limit. */
export type Applied = 'changed' | 'unchanged' | LimitHit;
export type LimitHit = 'groups-of-endpoint' | 'groups-of-network' | 'group-numbers';

/** A place in a network, and for an endpoint which of its attachments. */
export interface Locus {
  readonly network: NetworkFact;
  readonly place: MulticastPlace;
  readonly generation?: number;
}

export interface Receiver {
  readonly key: string;
  readonly network: NetworkId;
  readonly networkNumber: number;
  readonly group: MulticastGroup;
  readonly groupNumber: number;
  readonly place: MulticastPlace;
  readonly generation?: number;
  readonly filter: SourceFilter;
  version: MembershipVersion;
}

export interface ReceiversOptions {
  readonly journal: Pick<Journal, 'entries' | 'put' | 'delete'>;
  /** A fact came, changed, or (absent) went. */
  readonly changed: (key: string, fact: MulticastReceiverFact | undefined) => void;
  readonly limits?: Partial<ReceiverLimits>;
  readonly now: number;
}

const PREFIX = 'receivers/';

export class Receivers {
  readonly #options: ReceiversOptions;
  readonly #limits: ReceiverLimits;
  readonly #receivers = new Map<string, Receiver>();
  readonly #numbers = new GroupNumbers();
  readonly #deadlines: Deadlines<string>;
  readonly #byPlace = new Map<string, Set<Receiver>>();
  /** By `<number of network>/<group>`. */
  readonly #byGroup = new Map<string, Set<Receiver>>();
  /** How many groups have receivers, by number of network. */
  readonly #groupsOf = new Map<number, number>();

  constructor(options: ReceiversOptions) {
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

  values(): Iterable<Receiver> {
    return this.#receivers.values();
  }

  ofGroup(networkNumber: number, group: MulticastGroup): Iterable<Receiver> {
    return this.#byGroup.get(groupKey(networkNumber, group)) ?? [];
  }

  /**
   * Takes over what the process before knew; timers begin anew.
   * @param locate where such a receiver is now; undefined: not there any more
   */
  restore(locate: (record: ReceiverRecord) => Locus | undefined, until: number): void {
    for (const [name, value] of this.#options.journal.entries(PREFIX)) {
      const record = parseReceiver(value);
      const locus = record && locate(record);
      const key = record && locus && receiverKey(locus.network.number, record.group, locus.place);
      if (record === undefined || locus === undefined || PREFIX + key !== name) {
        this.#options.journal.delete(name);
        continue;
      }
      const filter = new SourceFilter({ sources: record.sources, until });
      const receiver = this.#create(locus, record.group, record.version, filter, record.groupNumber);
      if (typeof receiver === 'string') {
        this.#options.journal.delete(name);
        continue;
      }
      this.#deadlines.set(receiver.key, filter.deadline);
      if (receiver.groupNumber === record.groupNumber) this.#options.changed(receiver.key, factOf(receiver));
      else this.#changed(receiver);
    }
  }

  /** What the receiver at a place says of a group. @param holdMs for which it is believed */
  apply(locus: Locus, record: GroupRecord, spoken: MembershipVersion, now: number, holdMs: number): Applied {
    const { group } = record;
    const newest = group.family === 4 ? 3 : 2;
    const key = receiverKey(locus.network.number, group, locus.place);
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
    this.#changed(receiver);
    return 'changed';
  }

  /** A receiver is asked whether it still is one: unless it says so, it goes at `at`. */
  doubt({ network, place }: Locus, group: MulticastGroup, at: number): void {
    const receiver = this.#receivers.get(receiverKey(network.number, group, place));
    if (receiver === undefined) return;
    receiver.filter.shorten(at);
    this.#deadlines.set(receiver.key, receiver.filter.deadline);
  }

  /** Ends what was not said again. Returns whether anything changed. */
  expire(now: number): boolean {
    let changed = false;
    for (const key of this.#deadlines.take(now)) {
      const receiver = this.#receivers.get(key) as Receiver;
      const { filter } = receiver;
      const before = filter.wanted;
      filter.expire(now);
      if (filter.empty) this.#remove(receiver);
      else this.#deadlines.set(key, filter.deadline);
      if (!filter.empty && isSame(before, filter.wanted)) continue;
      if (!filter.empty) this.#changed(receiver);
      changed = true;
    }
    return changed;
  }

  /** Everything an endpoint had joined. Returns whether there was anything. */
  forgetEndpoint(id: EndpointId): boolean {
    return this.#removeAll(this.#byPlace.get(id) ?? []);
  }

  /** Everything of a network. Returns whether there was anything. */
  forgetNetwork(networkNumber: number): boolean {
    if (!this.#groupsOf.has(networkNumber)) return false;
    return this.#removeAll(
      [...this.#receivers.values()].filter((receiver) => receiver.networkNumber === networkNumber),
    );
  }

  #create(
    { network, place, generation }: Locus,
    group: MulticastGroup,
    version: MembershipVersion,
    filter: SourceFilter,
    wantedNumber?: number,
  ): Receiver | LimitHit {
    const { number } = network;
    const ofGroup = groupKey(number, group);
    const groups = this.#groupsOf.get(number) ?? 0;
    const joined = this.#byPlace.get(placeKey(number, place))?.size ?? 0;
    const isFirst = !this.#byGroup.has(ofGroup);
    if ('endpoint' in place && joined >= this.#limits.groupsOfEndpoint) return 'groups-of-endpoint';
    if (isFirst && groups >= this.#limits.groupsOfNetwork) return 'groups-of-network';
    const groupNumber = this.#numbers.take(ofGroup, wantedNumber);
    if (groupNumber === undefined) return 'group-numbers';
    const receiver: Receiver = {
      key: receiverKey(number, group, place),
      network: network.id,
      networkNumber: number,
      group,
      groupNumber,
      place,
      ...(generation === undefined ? {} : { generation }),
      filter,
      version,
    };
    this.#receivers.set(receiver.key, receiver);
    add(this.#byPlace, placeKey(number, place), receiver);
    add(this.#byGroup, ofGroup, receiver);
    if (isFirst) this.#groupsOf.set(number, groups + 1);
    return receiver;
  }

  #removeAll(receivers: Iterable<Receiver>): boolean {
    const gone = [...receivers];
    for (const receiver of gone) this.#remove(receiver);
    return gone.length > 0;
  }

  #remove(receiver: Receiver): void {
    const { key, networkNumber, group, place } = receiver;
    const ofGroup = groupKey(networkNumber, group);
    this.#receivers.delete(key);
    this.#deadlines.delete(key);
    this.#numbers.release(ofGroup);
    remove(this.#byPlace, placeKey(networkNumber, place), receiver);
    remove(this.#byGroup, ofGroup, receiver);
    if (!this.#byGroup.has(ofGroup)) {
      const left = (this.#groupsOf.get(networkNumber) as number) - 1;
      if (left === 0) this.#groupsOf.delete(networkNumber);
      else this.#groupsOf.set(networkNumber, left);
    }
    this.#options.journal.delete(PREFIX + key);
    this.#options.changed(key, undefined);
  }

  #changed(receiver: Receiver): void {
    const { key, version, generation } = receiver;
    const fact = factOf(receiver);
    this.#options.journal.put(
      PREFIX + key,
      serializeReceiver({ ...fact, version, ...(generation === undefined ? {} : { generation }) }),
    );
    this.#options.changed(key, fact);
  }
}

function factOf({ network, group, groupNumber, place, filter }: Receiver): MulticastReceiverFact {
  const sources = filter.wanted;
  return { network, group, groupNumber, place, ...(sources === undefined ? {} : { sources }) };
}

/** Key of the fact. */
function receiverKey(networkNumber: number, group: MulticastGroup, place: MulticastPlace): string {
  return `${groupKey(networkNumber, group)}/${'endpoint' in place ? place.endpoint : 'uplink'}`;
}

function groupKey(networkNumber: number, group: MulticastGroup): string {
  return `${networkNumber}/${groupText(group)}`;
}

function placeKey(networkNumber: number, place: MulticastPlace): string {
  return 'endpoint' in place ? place.endpoint : `uplink/${networkNumber}`;
}

function isSame(one: WantedSources | undefined, other: WantedSources | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return (
    one.mode === other.mode &&
    one.addresses.length === other.addresses.length &&
    one.addresses.every((address, index) => address === other.addresses[index])
  );
}

function add(index: Map<string, Set<Receiver>>, key: string, receiver: Receiver): void {
  const bucket = index.get(key) ?? new Set();
  index.set(key, bucket.add(receiver));
}

function remove(index: Map<string, Set<Receiver>>, key: string, receiver: Receiver): void {
  const bucket = index.get(key);
  bucket?.delete(receiver);
  if (bucket?.size === 0) index.delete(key);
}
