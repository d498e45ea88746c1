/** Which hosts carry a network and which receive a group, kept from facts one change at a time. */
import type {
  EndpointId,
  FactChange,
  HostFact,
  MulticastGroup,
  MulticastPlace,
  MulticastReceiverFact,
  MulticastRouterFact,
  NetworkFact,
  NetworkId,
} from '../model/facts.js';

/** A receiver or a router that came, changed, or (value absent) went; keys are those of the facts. */
export type AudienceChange =
  | { readonly kind: 'receiver'; readonly key: string; readonly value?: MulticastReceiverFact }
  | { readonly kind: 'router'; readonly key: string; readonly value?: MulticastRouterFact };

/** Whom copies are for: all of a network, or those of it that want a group (as text, as in the keys of facts). */
export interface Audience {
  readonly network: NetworkId;
  readonly group?: string;
}

/** Names of hosts, each with the number of reasons for which it is there. */
type HostCounts = Map<string, number>;

interface GroupSet {
  readonly group: MulticastGroup;
  readonly receivers: HostCounts;
}

interface NetworkSets {
  readonly carriers: HostCounts;
  readonly routers: HostCounts;
  readonly groups: Map<string, GroupSet>;
}

/** What an endpoint wants: a group, or as a router everything. */
interface Wish {
  readonly network: NetworkId;
  readonly endpoint: EndpointId;
  readonly group?: { readonly text: string; readonly value: MulticastGroup };
}

interface Place {
  readonly network: NetworkId;
  readonly host: string;
}

export class MemberSets {
  readonly #hosts = new Map<string, HostFact>();
  readonly #hostsByNumber = new Map<number, HostFact>();
  readonly #networks = new Map<NetworkId, NetworkFact>();
  readonly #networkIds = new Map<number, NetworkId>();
  readonly #sets = new Map<NetworkId, NetworkSets>();
  /** Of attached endpoints. */
  readonly #places = new Map<EndpointId, Place>();
  readonly #wishes = new Map<string, Wish>();
  readonly #wishesByEndpoint = new Map<EndpointId, Set<Wish>>();
  /** Networks that a host carries. */
  readonly #carriedBy = new Map<string, Set<NetworkId>>();

  /** @param changed is told of each audience whose hosts, or something that matters of them, have changed */
  constructor(private readonly changed: (audience: Audience) => void) {}

  facts(changes: readonly FactChange[]): void {
    for (const change of changes) {
      if (change.kind === 'network') this.#network(change.key, change.value);
      else if (change.kind === 'host') this.#host(change.key, change.value);
      else if (change.kind === 'endpoint') {
        const { network, host, interface: port } = change.value ?? {};
        const attached = network !== undefined && host !== undefined && port !== undefined;
        this.#endpoint(change.key, attached ? { network, host } : undefined);
      }
    }
  }

  audience(changes: Iterable<AudienceChange>): void {
    for (const { kind, key, value } of changes) {
      const before = this.#wishes.get(`${kind} ${key}`);
      if (before !== undefined) this.#withdraw(before);
      this.#wishes.delete(`${kind} ${key}`);
      const endpoint = value === undefined ? undefined : endpointOf(value.place);
      if (value === undefined || endpoint === undefined) continue;
      const wish: Wish = {
        network: value.network,
        endpoint,
        ...('group' in value ? { group: { text: groupOfKey(key), value: value.group } } : {}),
      };
      this.#wishes.set(`${kind} ${key}`, wish);
      this.#express(wish);
    }
  }

  network(id: NetworkId): NetworkFact | undefined {
    return this.#networks.get(id);
  }

  networkId(number: number): NetworkId | undefined {
    return this.#networkIds.get(number);
  }

  hosts(): Iterable<HostFact> {
    return this.#hosts.values();
  }

  host(name: string): HostFact | undefined {
    return this.#hosts.get(name);
  }

  hostByNumber(number: number): HostFact | undefined {
    return this.#hostsByNumber.get(number);
  }

  /** Hosts that copies for the audience have to reach. */
  members({ network, group }: Audience): Iterable<string> {
    const sets = this.#sets.get(network);
    if (sets === undefined) return [];
    if (group === undefined) return sets.carriers.keys();
    const receivers = sets.groups.get(group)?.receivers;
    return receivers === undefined ? [] : new Set([...receivers.keys(), ...sets.routers.keys()]);
  }

  /** The address of a group that has receivers. */
  groupAddress({ network, group }: Audience): MulticastGroup | undefined {
    return group === undefined ? undefined : this.#sets.get(network)?.groups.get(group)?.group;
  }

  /** Tells of all audiences that a host belongs to. */
  touch(host: string): void {
    for (const network of this.#carriedBy.get(host) ?? []) {
      this.changed({ network });
      const sets = this.#sets.get(network);
      const routes = sets?.routers.has(host) === true;
      for (const [group, { receivers }] of sets?.groups ?? []) {
        if (routes || receivers.has(host)) this.changed({ network, group });
      }
    }
  }

  #network(id: NetworkId, fact: NetworkFact | undefined): void {
    const before = this.#networks.get(id);
    if (before !== undefined) this.#networkIds.delete(before.number);
    if (fact === undefined) this.#networks.delete(id);
    else {
      this.#networks.set(id, fact);
      this.#networkIds.set(fact.number, id);
    }
    this.changed({ network: id });
    for (const group of this.#sets.get(id)?.groups.keys() ?? []) this.changed({ network: id, group });
  }

  #host(name: string, fact: HostFact | undefined): void {
    const before = this.#hosts.get(name);
    if (before !== undefined) this.#hostsByNumber.delete(before.number);
    if (fact === undefined) this.#hosts.delete(name);
    else {
      this.#hosts.set(name, fact);
      this.#hostsByNumber.set(fact.number, fact);
    }
    this.touch(name);
  }

  #endpoint(id: EndpointId, place: Place | undefined): void {
    const before = this.#places.get(id);
    if (before?.network === place?.network && before?.host === place?.host) return;
    const wishes = [...(this.#wishesByEndpoint.get(id) ?? [])];
    if (before !== undefined) {
      for (const wish of wishes) this.#count(wish, before.host, -1);
      this.#carry(before, -1);
    }
    if (place === undefined) this.#places.delete(id);
    else {
      this.#places.set(id, place);
      this.#carry(place, 1);
      for (const wish of wishes) this.#count(wish, place.host, 1);
    }
  }

  #carry({ network, host }: Place, by: 1 | -1): void {
    const sets = this.#setsOf(network);
    if (!adjust(sets.carriers, host, by)) return;
    const carried = this.#carriedBy.get(host) ?? new Set();
    if (by > 0) this.#carriedBy.set(host, carried.add(network));
    else if (carried.delete(network) && carried.size === 0) this.#carriedBy.delete(host);
    this.#tidy(network, sets);
    this.changed({ network });
  }

  #express(wish: Wish): void {
    const ofEndpoint = this.#wishesByEndpoint.get(wish.endpoint) ?? new Set();
    this.#wishesByEndpoint.set(wish.endpoint, ofEndpoint.add(wish));
    const place = this.#places.get(wish.endpoint);
    if (place !== undefined) this.#count(wish, place.host, 1);
  }

  #withdraw(wish: Wish): void {
    const ofEndpoint = this.#wishesByEndpoint.get(wish.endpoint);
    ofEndpoint?.delete(wish);
    if (ofEndpoint?.size === 0) this.#wishesByEndpoint.delete(wish.endpoint);
    const place = this.#places.get(wish.endpoint);
    if (place !== undefined) this.#count(wish, place.host, -1);
  }

  #count({ network, group }: Wish, host: string, by: 1 | -1): void {
    const sets = this.#setsOf(network);
    if (group === undefined) {
      if (adjust(sets.routers, host, by)) {
        for (const other of sets.groups.keys()) this.changed({ network, group: other });
      }
    } else {
      const set = sets.groups.get(group.text) ?? { group: group.value, receivers: new Map() };
      sets.groups.set(group.text, set);
      if (adjust(set.receivers, host, by)) this.changed({ network, group: group.text });
      if (set.receivers.size === 0) sets.groups.delete(group.text);
    }
    this.#tidy(network, sets);
  }

  #setsOf(network: NetworkId): NetworkSets {
    const known = this.#sets.get(network);
    if (known !== undefined) return known;
    const sets: NetworkSets = { carriers: new Map(), routers: new Map(), groups: new Map() };
    this.#sets.set(network, sets);
    return sets;
  }

  #tidy(network: NetworkId, { carriers, routers, groups }: NetworkSets): void {
    if (carriers.size + routers.size + groups.size === 0) this.#sets.delete(network);
  }
}

/** True when the host came or went with it. */
function adjust(counts: HostCounts, host: string, by: 1 | -1): boolean {
  const count = (counts.get(host) ?? 0) + by;
  if (count > 0) counts.set(host, count);
  else counts.delete(host);
  return by > 0 ? count === 1 : count === 0;
}

/** VXLAN networks have nobody behind an uplink. */
const endpointOf = (place: MulticastPlace): EndpointId | undefined =>
  'endpoint' in place ? place.endpoint : undefined;

/** `<number of network>/<group>/<place>` */
const groupOfKey = (key: string): string => key.split('/', 2)[1] ?? '';
