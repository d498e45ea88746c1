/**
 * Everything that is looked up by something else than a record's id, and the sets that numbers, tags, subnets and
 * addresses are allocated from. Made from the records alone: adding and removing a record are the only two operations,
 * so that the indexes after a restart are those before it.
 *
 * Where two records claim the same thing (a damaged store), the first one keeps it.
 */
import { formatIpv4, formatIpv6, last4, last6, parseIpv4, parseIpv6 } from './address.js';
import type { NetworkUseRecord, ReservationRecord } from './lease-records.js';
import { MultiMap, pair } from './multi-map.js';
import { OwnedNumbers } from './owned-numbers.js';
import { PolicyIndexes } from './policy-indexes.js';
import { PrefixSet } from './prefix-set.js';
import { vteps } from './record-facts.js';
import type {
  BindingRecord,
  EndpointRecord,
  HostRecord,
  NetworkRecord,
  Records,
  Table,
  TenantRecord,
} from './records.js';

/** Addresses taken in one network. */
export class NetworkPool {
  readonly ipv4 = new OwnedNumbers();
  readonly ipv6 = new Map<bigint, string>();
  readonly macs = new Map<number, string>();
  /** Everything from `start` up to `below` is taken. */
  #ipv6Hint: { start: bigint; below: bigint } | undefined;

  /** The lowest free IPv6 address in `first`..`last` that is not `reserved`. */
  lowestFreeIpv6(first: bigint, last: bigint, reserved: bigint | undefined): bigint | undefined {
    let below = this.#ipv6Hint?.start === first ? this.#ipv6Hint.below : first;
    while (this.ipv6.has(below)) below += 1n;
    this.#ipv6Hint = { start: first, below };
    let address = below;
    while (address === reserved || this.ipv6.has(address)) address += 1n;
    return address <= last ? address : undefined;
  }

  addIpv6(address: bigint, owner: string): void {
    if (!this.ipv6.has(address)) this.ipv6.set(address, owner);
  }

  deleteIpv6(address: bigint, owner: string): void {
    if (this.ipv6.get(address) !== owner) return;
    this.ipv6.delete(address);
    this.#ipv6Hint = undefined;
  }
}

/** One owner for each key. */
class OwnedKeys {
  readonly #owners = new Map<string, string>();

  owner(key: string): string | undefined {
    return this.#owners.get(key);
  }

  add(key: string, owner: string): void {
    if (!this.#owners.has(key)) this.#owners.set(key, owner);
  }

  delete(key: string, owner: string): void {
    if (this.#owners.get(key) === owner) this.#owners.delete(key);
  }
}

export class Indexes {
  readonly policy = new PolicyIndexes();
  readonly tenantNumbers = new OwnedNumbers();
  readonly networkNumbers = new OwnedNumbers();
  readonly endpointNumbers = new OwnedNumbers();
  readonly hostNumbers = new OwnedNumbers();
  readonly vlans = new OwnedNumbers();
  readonly vnis = new OwnedNumbers();

  /** Tenant -> networks. */
  readonly networksOfTenant = new MultiMap();
  /** Network -> endpoints. */
  readonly endpointsOfNetwork = new MultiMap();
  /** Network -> endpoints that are attached. */
  readonly attachedInNetwork = new MultiMap();
  /** Host -> endpoints attached on it. */
  readonly attachedOnHost = new MultiMap();
  /** Host -> endpoints whose own intent names it. */
  readonly endpointsNamingHost = new MultiMap();
  /** Host -> bindings that name it; a binding has the id of its endpoint. */
  readonly bindingsOfHost = new MultiMap();
  /** Host -> pending attachments from it. */
  readonly pendingOfHost = new MultiMap();
  /** Network -> uses of it by runtimes. */
  readonly usesOfNetwork = new MultiMap();
  /** Host -> uses of networks by its runtimes. */
  readonly usesOfHost = new MultiMap();
  /** Network -> addresses reserved in it. */
  readonly reservationsOfNetwork = new MultiMap();
  /** Host -> addresses reserved for it. */
  readonly reservationsOfHost = new MultiMap();
  /** Name of an endpoint -> endpoints of that name in any network. */
  readonly endpointsByName = new MultiMap();
  /** Network and UUID of a container -> endpoint. */
  readonly endpointByUUID = new OwnedKeys();
  /** Host and interface -> endpoint attached there. */
  readonly endpointAtPort = new OwnedKeys();
  /** Datapath id -> host. */
  readonly hostByDatapath = new OwnedKeys();
  /** Text of a tunnel address -> host. */
  readonly hostByVtep = new OwnedKeys();

  readonly #pools = new Map<string, NetworkPool>();
  readonly #subnets4 = new Map<string, PrefixSet>();
  readonly #subnets6 = new Map<string, PrefixSet>();

  /** Addresses of a network. */
  pool(network: string): NetworkPool {
    return getOrMake(this.#pools, network, () => new NetworkPool());
  }

  /** IPv4 or IPv6 subnets of a tenant; owners are network ids. */
  subnets(family: 4 | 6, tenant: string): PrefixSet {
    return getOrMake(family === 4 ? this.#subnets4 : this.#subnets6, tenant, () => new PrefixSet());
  }

  add<T extends Table>(table: T, id: string, record: Records[T]): void {
    this.#change('add', table, id, record);
  }

  remove<T extends Table>(table: T, id: string, record: Records[T]): void {
    this.#change('delete', table, id, record);
  }

  #change(change: 'add' | 'delete', table: Table, id: string, record: Records[Table]): void {
    this.policy.change(change, table, id, record);
    switch (table) {
      case 'tenant':
        return this.#tenant(change, id, record as TenantRecord);
      case 'network':
        return this.#network(change, id, record as NetworkRecord);
      case 'endpoint':
        return this.#endpoint(change, id, record as EndpointRecord);
      case 'host':
        return this.#host(change, id, record as HostRecord);
      case 'binding':
        return this.bindingsOfHost[change]((record as BindingRecord).spec.host, id);
      case 'pending':
        return this.pendingOfHost[change]((record as Records['pending']).host, id);
      case 'networkUse':
        return this.#use(change, id, record as NetworkUseRecord);
      case 'reservation':
        return this.#reservation(change, id, record as ReservationRecord);
    }
  }

  #tenant(change: 'add' | 'delete', id: string, { number }: TenantRecord): void {
    this.tenantNumbers[change](number, id);
    if (change === 'delete' && this.networksOfTenant.get(id).size === 0) {
      this.#subnets4.delete(id);
      this.#subnets6.delete(id);
    }
  }

  #network(change: 'add' | 'delete', id: string, record: NetworkRecord): void {
    const { spec, number, encapsulation, tag, ipv4, ipv6 } = record;
    this.networkNumbers[change](number, id);
    this.networksOfTenant[change](spec.tenant, id);
    if (tag !== 0) (encapsulation === 'vlan' ? this.vlans : this.vnis)[change](tag, id);
    if (ipv4 !== undefined) {
      const range = { first: BigInt(ipv4.address), last: BigInt(last4(ipv4)), owner: id };
      this.subnets(4, spec.tenant)[change](range);
    }
    if (ipv6 !== undefined) {
      this.subnets(6, spec.tenant)[change]({ first: ipv6.address, last: last6(ipv6), owner: id });
    }
    if (change === 'delete' && this.endpointsOfNetwork.get(id).size === 0) this.#pools.delete(id);
  }

  #endpoint(change: 'add' | 'delete', id: string, record: EndpointRecord): void {
    const { spec, number, mac, ipv4, ipv6 } = record;
    const network = `${spec.tenant}/${spec.network}`;
    const pool = this.pool(network);
    this.endpointNumbers[change](number, id);
    this.endpointsOfNetwork[change](network, id);
    this.endpointsByName[change](spec.name, id);
    if (ipv4 !== undefined) pool.ipv4[change](ipv4, id);
    if (change === 'add') {
      if (ipv6 !== undefined) pool.addIpv6(ipv6, id);
      if (mac !== 0 && !pool.macs.has(mac)) pool.macs.set(mac, id);
    } else {
      if (ipv6 !== undefined) pool.deleteIpv6(ipv6, id);
      if (pool.macs.get(mac) === id) pool.macs.delete(mac);
    }
    if (spec.host !== undefined) this.endpointsNamingHost[change](spec.host, id);
    const uuid = record.attachUUID ?? spec.attachUUID;
    if (uuid !== undefined) this.endpointByUUID[change](pair(network, uuid), id);
    if (record.host !== undefined && record.interface !== undefined) {
      this.attachedInNetwork[change](network, id);
      this.attachedOnHost[change](record.host, id);
      this.endpointAtPort[change](pair(record.host, record.interface), id);
    }
  }

  #use(change: 'add' | 'delete', id: string, { network, host }: NetworkUseRecord): void {
    this.usesOfNetwork[change](network, id);
    this.usesOfHost[change](host, id);
  }

  /** In the pool of its network like the address of an endpoint, so that nobody else gets it. */
  #reservation(change: 'add' | 'delete', id: string, { network, host, address }: ReservationRecord): void {
    this.reservationsOfNetwork[change](network, id);
    this.reservationsOfHost[change](host, id);
    const pool = this.pool(network);
    const ipv4 = parseIpv4(address);
    if (ipv4 !== undefined) return pool.ipv4[change](ipv4, reservedFor(host));
    const ipv6 = parseIpv6(address);
    if (ipv6 === undefined) return;
    if (change === 'add') pool.addIpv6(ipv6, reservedFor(host));
    else pool.deleteIpv6(ipv6, reservedFor(host));
  }

  #host(change: 'add' | 'delete', id: string, record: HostRecord): void {
    this.hostNumbers[change](record.number, id);
    const datapathId = record.claim?.datapathId;
    if (datapathId !== undefined) this.hostByDatapath[change](datapathId, id);
    const { ipv4, ipv6 } = vteps(record);
    if (ipv4 !== undefined) this.hostByVtep[change](formatIpv4(ipv4), id);
    if (ipv6 !== undefined) this.hostByVtep[change](formatIpv6(ipv6), id);
  }
}

/** Owner of a reserved address in its pool: no id of an endpoint has a blank. */
export const reservedFor = (host: string): string => `reserved for ${host}`;
export const isReservation = (owner: string): boolean => owner.startsWith('reserved for ');

function getOrMake<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
