/** Networks, hosts and where endpoints are attached: facts of the model by what reports and queries are looked up by. */
import type {
  DatapathId,
  EndpointFact,
  EndpointId,
  FactChange,
  HostFact,
  NetworkFact,
  NetworkId,
} from '../model/facts.js';

/** An endpoint that is attached: its location is known. */
export type AttachedEndpoint = EndpointFact & { readonly host: string; readonly interface: string };

/** What of a set of changes matters to memberships. */
export interface LocationChanges {
  /** Endpoints that are no longer where they were: gone, detached, moved, or attached anew. */
  readonly left: readonly EndpointId[];
  /** Endpoints that have been attached. */
  readonly arrived: readonly AttachedEndpoint[];
  /** Networks that came, changed or went. */
  readonly networks: readonly NetworkId[];
}

export class Directory {
  readonly #networks = new Map<NetworkId, NetworkFact>();
  readonly #networksByNumber = new Map<number, NetworkFact>();
  readonly #hosts = new Map<string, HostFact>();
  readonly #hostsByNumber = new Map<number, HostFact>();
  readonly #hostsByDatapath = new Map<DatapathId, HostFact>();
  readonly #attached = new Map<EndpointId, AttachedEndpoint>();
  /** By `<host>/<interface>`. */
  readonly #byInterface = new Map<string, AttachedEndpoint>();
  /** Of a network, by host; no empty ones. */
  readonly #byHost = new Map<NetworkId, Map<string, Set<AttachedEndpoint>>>();
  /** Of a network; attached ones and others. */
  readonly #macs = new Map<NetworkId, Map<number, EndpointId>>();
  readonly #endpoints = new Map<EndpointId, EndpointFact>();

  apply(changes: readonly FactChange[]): LocationChanges {
    const left: EndpointId[] = [];
    const arrived: AttachedEndpoint[] = [];
    const networks: NetworkId[] = [];
    for (const change of changes) {
      switch (change.kind) {
        case 'network':
          this.#setNetwork(change.key, change.value);
          networks.push(change.key);
          break;
        case 'host':
          this.#setHost(change.key, change.value);
          break;
        case 'endpoint': {
          const before = this.#attached.get(change.key);
          const after = attachedOf(change.value);
          this.#setMac(change.key, change.value);
          if (before !== undefined && after !== undefined && isSamePlace(before, after)) {
            this.#detach(before);
            this.#attach(after);
            break;
          }
          if (before !== undefined) {
            this.#detach(before);
            left.push(change.key);
          }
          if (after !== undefined) {
            this.#attach(after);
            arrived.push(after);
          }
          break;
        }
        default:
          break;
      }
    }
    return { left, arrived, networks };
  }

  network(id: NetworkId): NetworkFact | undefined {
    return this.#networks.get(id);
  }

  networkByNumber(number: number): NetworkFact | undefined {
    return this.#networksByNumber.get(number);
  }

  get networks(): Iterable<NetworkFact> {
    return this.#networks.values();
  }

  host(name: string): HostFact | undefined {
    return this.#hosts.get(name);
  }

  hostByDatapath(datapathId: DatapathId): HostFact | undefined {
    return this.#hostsByDatapath.get(datapathId);
  }

  hostByNumber(number: number): HostFact | undefined {
    return this.#hostsByNumber.get(number);
  }

  attached(id: EndpointId): AttachedEndpoint | undefined {
    return this.#attached.get(id);
  }

  /** Who has a port of a host's bridge. */
  byInterface(host: string, name: string): AttachedEndpoint | undefined {
    return this.#byInterface.get(`${host}/${name}`);
  }

  /** An endpoint of the network has this MAC address, wherever it lives. */
  hasMac(network: NetworkId, mac: number): boolean {
    return this.#macs.get(network)?.has(mac) ?? false;
  }

  /** Names of the hosts with endpoints of a network. */
  hostsOf(network: NetworkId): Iterable<string> {
    return this.#byHost.get(network)?.keys() ?? [];
  }

  /** The network has an endpoint on the host. */
  isOn(network: NetworkId, host: string): boolean {
    return this.#byHost.get(network)?.has(host) ?? false;
  }

  endpointsOn(network: NetworkId, host: string): Iterable<AttachedEndpoint> {
    return this.#byHost.get(network)?.get(host) ?? [];
  }

  #setNetwork(id: NetworkId, network: NetworkFact | undefined): void {
    const before = this.#networks.get(id);
    if (before !== undefined && this.#networksByNumber.get(before.number) === before) {
      this.#networksByNumber.delete(before.number);
    }
    if (network === undefined) this.#networks.delete(id);
    else {
      this.#networks.set(id, network);
      this.#networksByNumber.set(network.number, network);
    }
  }

  #setHost(name: string, host: HostFact | undefined): void {
    const before = this.#hosts.get(name);
    if (before !== undefined && this.#hostsByNumber.get(before.number) === before) {
      this.#hostsByNumber.delete(before.number);
    }
    if (before?.datapathId !== undefined && this.#hostsByDatapath.get(before.datapathId) === before) {
      this.#hostsByDatapath.delete(before.datapathId);
    }
    if (host === undefined) this.#hosts.delete(name);
    else {
      this.#hosts.set(name, host);
      this.#hostsByNumber.set(host.number, host);
    }
    if (host?.datapathId !== undefined) this.#hostsByDatapath.set(host.datapathId, host);
  }

  #setMac(id: EndpointId, endpoint: EndpointFact | undefined): void {
    const before = this.#endpoints.get(id);
    if (before !== undefined) {
      const macs = this.#macs.get(before.network);
      if (macs?.get(before.mac) === id) macs.delete(before.mac);
      if (macs?.size === 0) this.#macs.delete(before.network);
    }
    if (endpoint === undefined) {
      this.#endpoints.delete(id);
      return;
    }
    this.#endpoints.set(id, endpoint);
    const macs = this.#macs.get(endpoint.network) ?? new Map<number, EndpointId>();
    macs.set(endpoint.mac, id);
    this.#macs.set(endpoint.network, macs);
  }

  #attach(endpoint: AttachedEndpoint): void {
    const { id, network, host } = endpoint;
    this.#attached.set(id, endpoint);
    this.#byInterface.set(`${host}/${endpoint.interface}`, endpoint);
    const hosts = this.#byHost.get(network) ?? new Map<string, Set<AttachedEndpoint>>();
    this.#byHost.set(network, hosts);
    const here = hosts.get(host) ?? new Set();
    hosts.set(host, here.add(endpoint));
  }

  #detach(endpoint: AttachedEndpoint): void {
    const { id, network, host } = endpoint;
    this.#attached.delete(id);
    const place = `${host}/${endpoint.interface}`;
    if (this.#byInterface.get(place) === endpoint) this.#byInterface.delete(place);
    const hosts = this.#byHost.get(network);
    const here = hosts?.get(host);
    here?.delete(endpoint);
    if (here?.size === 0) hosts?.delete(host);
    if (hosts?.size === 0) this.#byHost.delete(network);
  }
}

function attachedOf(endpoint: EndpointFact | undefined): AttachedEndpoint | undefined {
  if (endpoint?.host === undefined || endpoint.interface === undefined) return undefined;
  return endpoint as AttachedEndpoint;
}

/** An endpoint that is attached anew may be another process: what the one before had joined is not its business. */
function isSamePlace(one: AttachedEndpoint, other: AttachedEndpoint): boolean {
  return (
    one.host === other.host &&
    one.interface === other.interface &&
    one.network === other.network &&
    one.mac === other.mac &&
    one.generation === other.generation
  );
}
