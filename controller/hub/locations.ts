import ipaddr from 'ipaddr.js';
import type { EndpointFact, FactChange, HostFact } from '../model/facts.js';

/** One change of an endpoint, with what was before. */
export interface EndpointChange {
  readonly id: string;
  readonly before: EndpointFact | undefined;
  readonly after: EndpointFact | undefined;
}

/** Who lives where, kept from facts: endpoints per host, hosts per network. Every question costs the size of its answer. */
export class Locations {
  readonly #endpoints = new Map<string, EndpointFact>();
  readonly #hosts = new Map<string, HostFact>();
  readonly #attachedPerHost = new Map<string, number>();
  /** Network, then host, then the number of its endpoints that are attached there. */
  readonly #members = new Map<string, Map<string, number>>();

  apply(changes: readonly FactChange[]): EndpointChange[] {
    const endpoints: EndpointChange[] = [];
    for (const { kind, key, value } of changes) {
      if (kind === 'host') {
        if (value === undefined) this.#hosts.delete(key);
        else this.#hosts.set(key, value);
      } else if (kind === 'endpoint') {
        const before = this.#endpoints.get(key);
        this.#count(before, -1);
        if (value === undefined) this.#endpoints.delete(key);
        else this.#endpoints.set(key, value);
        this.#count(value, 1);
        endpoints.push({ id: key, before, after: value });
      }
    }
    return endpoints;
  }

  endpoint(id: string): EndpointFact | undefined {
    return this.#endpoints.get(id);
  }

  host(name: string): HostFact | undefined {
    return this.#hosts.get(name);
  }

  hosts(): Iterable<HostFact> {
    return this.#hosts.values();
  }

  /** Hosts that claim the datapath or the tunnel address. */
  holdersOf(datapathId: string | undefined, vtepIp: string | undefined): string[] {
    const vtep = vtepIp === undefined ? undefined : addressNumber(vtepIp);
    const holders: string[] = [];
    for (const host of this.#hosts.values()) {
      const holdsVtep = vtep !== undefined && (host.vtepIpv4 === vtep || host.vtepIpv6 === vtep);
      const holdsDatapath = datapathId !== undefined && host.datapathId === datapathId;
      if (holdsVtep || holdsDatapath) holders.push(host.name);
    }
    return holders;
  }

  attachedOn(host: string): number {
    return this.#attachedPerHost.get(host) ?? 0;
  }

  /** Hosts that have an attached endpoint of the network. */
  membersOf(network: string): Iterable<string> {
    return this.#members.get(network)?.keys() ?? [];
  }

  #count(endpoint: EndpointFact | undefined, difference: 1 | -1): void {
    const home = homeOf(endpoint);
    if (endpoint === undefined || home === undefined) return;
    add(this.#attachedPerHost, home, difference);
    let members = this.#members.get(endpoint.network);
    if (members === undefined) {
      members = new Map();
      this.#members.set(endpoint.network, members);
    }
    add(members, home, difference);
    if (members.size === 0) this.#members.delete(endpoint.network);
  }
}

/** The host that an endpoint is attached on; a bound endpoint without interface is on none. */
export function homeOf(endpoint: EndpointFact | undefined): string | undefined {
  return endpoint?.interface === undefined ? undefined : endpoint.host;
}

/** As in facts: a number for IPv4, a bigint for IPv6, undefined for what is no address. */
function addressNumber(text: string): number | bigint | undefined {
  if (!ipaddr.isValid(text)) return undefined;
  const bytes = ipaddr.parse(text).toByteArray();
  if (bytes.length === 4) return bytes.reduce((number, byte) => number * 256 + byte, 0);
  return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

function add(counts: Map<string, number>, key: string, difference: number): void {
  const count = (counts.get(key) ?? 0) + difference;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
