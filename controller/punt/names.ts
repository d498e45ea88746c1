/**
 * Names for what a switch knows by number: rules, policies and tenants in cookies and user data, networks in a register, endpoints by
 * address, MAC address and port. Kept beside the facts, so that a packet costs a few look-ups.
 */
import { linkLocalAddress } from '../../apps/protocols.js';
import type {
  DatapathId,
  EndpointFact,
  FactChange,
  HostFact,
  NetworkFact,
  NetworkId,
  PolicyFact,
  RuleFact,
  TenantFact,
} from '../model/facts.js';

/** Facts of one kind by key and by number. */
class Numbered<Fact extends { readonly number: number }> {
  readonly byKey = new Map<string, Fact>();
  readonly byNumber = new Map<number, Fact>();

  /** Returns the fact that was there before. */
  set(key: string, value: Fact | undefined): Fact | undefined {
    const before = this.byKey.get(key);
    // A number freed by one object may be another's in the same transaction.
    if (before !== undefined && this.byNumber.get(before.number) === before) {
      this.byNumber.delete(before.number);
    }
    if (value === undefined) {
      this.byKey.delete(key);
    } else {
      this.byKey.set(key, value);
      this.byNumber.set(value.number, value);
    }
    return before;
  }
}

/** Endpoints of one network. */
interface Members {
  /** By IPv4 address (a number) and IPv6 address (a bigint), link-local ones included. */
  readonly byAddress: Map<number | bigint, EndpointFact>;
  readonly byMac: Map<number, EndpointFact>;
}

export class Names {
  readonly #tenants = new Numbered<TenantFact>();
  readonly #networks = new Numbered<NetworkFact>();
  readonly #endpoints = new Numbered<EndpointFact>();
  readonly #hosts = new Numbered<HostFact>();
  readonly #policies = new Numbered<PolicyFact>();
  readonly #rules = new Numbered<RuleFact>();
  readonly #members = new Map<NetworkId, Members>();
  readonly #hostsByDatapath = new Map<DatapathId, HostFact>();
  /** By `<host>/<interface>`. */
  readonly #endpointsByInterface = new Map<string, EndpointFact>();

  /** Takes over what has been committed. */
  apply(changes: readonly FactChange[]): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'tenant':
          this.#tenants.set(change.key, change.value);
          break;
        case 'network':
          this.#networks.set(change.key, change.value);
          break;
        case 'endpoint':
          this.#setEndpoint(change.key, change.value);
          break;
        case 'host':
          this.#setHost(change.key, change.value);
          break;
        case 'policy':
          this.#policies.set(change.key, change.value);
          break;
        case 'rule':
          this.#rules.set(change.key, change.value);
          break;
        default:
          break;
      }
    }
  }

  tenant(number: number): TenantFact | undefined {
    return this.#tenants.byNumber.get(number);
  }

  network(number: number): NetworkFact | undefined {
    return this.#networks.byNumber.get(number);
  }

  policy(number: number): PolicyFact | undefined {
    return this.#policies.byNumber.get(number);
  }

  rule(number: number): RuleFact | undefined {
    return this.#rules.byNumber.get(number);
  }

  endpoint(number: number): EndpointFact | undefined {
    return this.#endpoints.byNumber.get(number);
  }

  get rules(): Iterable<RuleFact> {
    return this.#rules.byKey.values();
  }

  host(datapathId: DatapathId): string | undefined {
    return this.#hostsByDatapath.get(datapathId)?.name;
  }

  hostByNumber(number: number): string | undefined {
    return this.#hosts.byNumber.get(number)?.name;
  }

  /** Of a network by its id. */
  networkById(id: NetworkId): NetworkFact | undefined {
    return this.#networks.byKey.get(id);
  }

  endpointByAddress(network: NetworkId, address: number | bigint): EndpointFact | undefined {
    return this.#members.get(network)?.byAddress.get(address);
  }

  endpointByMac(network: NetworkId, mac: number): EndpointFact | undefined {
    return this.#members.get(network)?.byMac.get(mac);
  }

  /** The endpoint behind a port of a host's bridge. */
  endpointByInterface(host: string, name: string): EndpointFact | undefined {
    return this.#endpointsByInterface.get(`${host}/${name}`);
  }

  #setHost(key: string, value: HostFact | undefined): void {
    const before = this.#hosts.set(key, value);
    if (before?.datapathId !== undefined && this.#hostsByDatapath.get(before.datapathId) === before) {
      this.#hostsByDatapath.delete(before.datapathId);
    }
    if (value?.datapathId !== undefined) this.#hostsByDatapath.set(value.datapathId, value);
  }

  #setEndpoint(key: string, value: EndpointFact | undefined): void {
    const before = this.#endpoints.set(key, value);
    if (before !== undefined) this.#forgetEndpoint(before);
    if (value === undefined) return;
    const members = this.#members.get(value.network) ?? { byAddress: new Map(), byMac: new Map() };
    this.#members.set(value.network, members);
    members.byMac.set(value.mac, value);
    for (const address of addressesOf(value)) members.byAddress.set(address, value);
    const place = placeOf(value);
    if (place !== undefined) this.#endpointsByInterface.set(place, value);
  }

  #forgetEndpoint(endpoint: EndpointFact): void {
    const members = this.#members.get(endpoint.network);
    if (members !== undefined) {
      if (members.byMac.get(endpoint.mac) === endpoint) members.byMac.delete(endpoint.mac);
      for (const address of addressesOf(endpoint)) {
        if (members.byAddress.get(address) === endpoint) members.byAddress.delete(address);
      }
      if (members.byMac.size === 0 && members.byAddress.size === 0) this.#members.delete(endpoint.network);
    }
    const place = placeOf(endpoint);
    if (place !== undefined && this.#endpointsByInterface.get(place) === endpoint) {
      this.#endpointsByInterface.delete(place);
    }
  }
}

function* addressesOf({ mac, ipv4, ipv6 }: EndpointFact): Iterable<number | bigint> {
  yield* ipv4;
  yield* ipv6;
  yield linkLocalAddress(mac);
}

function placeOf({ host, interface: name }: EndpointFact): string | undefined {
  return host === undefined || name === undefined ? undefined : `${host}/${name}`;
}
