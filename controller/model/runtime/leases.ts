/**
 * Addresses that are kept for a container which a host's runtime is about to start, and who uses which network. A reservation ends when an
 * endpoint of the host takes the address, when the host gives it back, or with its network or its host; what a runtime has lost sight of its
 * agent finds by `leasesOfHost` and gives back.
 */
import { formatIpv4, formatIpv6, formatPrefix4, formatPrefix6, parseIpv4, parseIpv6 } from '../address.js';
import { askedAddresses, lowestFreeIpv4, lowestFreeIpv6 } from '../apply/addresses.js';
import { isReservation, reservedFor } from '../indexes.js';
import { reservationId } from '../lease-records.js';
import { refuse } from '../problems.js';
import type { NetworkRecord } from '../records.js';
import type { State } from '../state.js';
import type { AddressParams, AddressRequest, HostLeases } from '../types.js';
import { boundElsewhere } from './location.js';

/** Reserves the address that is asked for, or the lowest free one; idempotent for its host. Returns it without prefix length. */
export function reserveAddress(state: State, request: AddressRequest): string {
  const network = `${request.tenant}/${request.network}`;
  const record = networkOf(state, network);
  const address =
    request.ip === undefined
      ? lowest(state, network, record, request)
      : asked(state, network, record, request);
  if (ownerOf(state, network, address) === undefined)
    state.set('reservation', reservationId(network, address), { network, host: request.host, address });
  return address;
}

/** False: it was not reserved for this host. */
export function releaseAddress(state: State, { tenant, network, host, ip }: AddressParams): boolean {
  const id = reservationId(`${tenant}/${network}`, canonicalAddress(ip) ?? ip);
  if (state.get('reservation', id)?.host !== host) return false;
  state.set('reservation', id, undefined);
  return true;
}

export function leasesOfHost(state: State, host: string): HostLeases {
  const { usesOfHost, reservationsOfHost } = state.indexes;
  return {
    uses: [...usesOfHost.get(host)].sort().flatMap((id) => {
      const use = state.get('networkUse', id);
      return use === undefined ? [] : [{ ...nameParts(use.network), user: use.user }];
    }),
    addresses: [...reservationsOfHost.get(host)].sort().flatMap((id) => {
      const reservation = state.get('reservation', id);
      return reservation === undefined
        ? []
        : [{ ...nameParts(reservation.network), ip: reservation.address }];
    }),
  };
}

/** The endpoint of a host takes the addresses that were reserved for it. */
export function forgetReservations(
  state: State,
  network: string,
  { host, ip, ip6 }: { readonly host: string; readonly ip?: string; readonly ip6?: string },
): void {
  for (const text of [ip, ip6]) {
    const id = reservationId(network, (text === undefined ? undefined : canonicalAddress(text)) ?? '');
    if (state.get('reservation', id)?.host === host) state.set('reservation', id, undefined);
  }
}

/** With a network goes what was held of it. */
export function forgetLeases(state: State, network: string): void {
  for (const id of Array.from(state.indexes.usesOfNetwork.get(network)))
    state.set('networkUse', id, undefined);
  for (const id of Array.from(state.indexes.reservationsOfNetwork.get(network)))
    state.set('reservation', id, undefined);
}

/** With a host goes what it held. */
export function forgetHost(state: State, host: string): void {
  for (const id of Array.from(state.indexes.usesOfHost.get(host))) state.set('networkUse', id, undefined);
  for (const id of Array.from(state.indexes.reservationsOfHost.get(host)))
    state.set('reservation', id, undefined);
}

/** Throws `network.unknown`. */
export function networkOf(state: State, id: string): NetworkRecord {
  const record = state.get('network', id);
  if (record === undefined) {
    throw refuse('network.unknown', `there is no network ${id}`, { fix: 'declare it, or correct the name' });
  }
  return record;
}

function lowest(state: State, id: string, network: NetworkRecord, { family }: AddressRequest): string {
  const pool = state.indexes.pool(id);
  const subnet =
    family === 6 ? network.ipv6 && formatPrefix6(network.ipv6) : network.ipv4 && formatPrefix4(network.ipv4);
  if (subnet === undefined) {
    throw refuse('network.family', `network ${id} has no IPv${family} subnet`, {
      path: 'family',
      fix: `give it one (${family === 6 ? 'ipv6Subnet' : 'subnet'}), or do without IPv${family}`,
    });
  }
  const address =
    family === 6
      ? optional(lowestFreeIpv6(network, pool), formatIpv6)
      : optional(lowestFreeIpv4(network, pool), formatIpv4);
  if (address === undefined) {
    throw refuse('network.exhausted', `no address of ${subnet} is free in network ${id}`, {
      path: 'network',
      fix: 'give the network a larger subnet, or delete endpoints',
    });
  }
  return address;
}

/** Checks an address that is asked for; one that a declared endpoint has that may start here is its own to use. */
function asked(state: State, id: string, network: NetworkRecord, { ip = '', host }: AddressRequest): string {
  const { refusals } = askedAddresses(network, ip.includes(':') ? { ip6: ip } : { ip });
  const [refusal] = refusals;
  if (refusal !== undefined) throw refuse(refusal.code, refusal.message, { path: 'ip', fix: refusal.fix });
  const address = canonicalAddress(ip) ?? ip;
  const owner = ownerOf(state, id, address);
  if (owner === undefined || owner === reservedFor(host)) return address;
  const endpoint = isReservation(owner) ? undefined : state.get('endpoint', owner);
  const startsHere =
    endpoint?.dynamic === false &&
    endpoint.interface === undefined &&
    boundElsewhere(state, owner, endpoint, host) === undefined;
  if (startsHere) return address;
  throw refuse(
    'endpoint.ip.taken',
    `${address} ${isReservation(owner) ? `is ${owner}` : `belongs to endpoint ${owner}`}`,
    {
      path: 'ip',
      fix: 'use another address, or leave it out to get a free one',
    },
  );
}

function ownerOf(state: State, network: string, address: string): string | undefined {
  const pool = state.indexes.pool(network);
  const ipv4 = parseIpv4(address);
  if (ipv4 !== undefined) return pool.ipv4.owner(ipv4);
  const ipv6 = parseIpv6(address);
  return ipv6 === undefined ? undefined : pool.ipv6.get(ipv6);
}

/** One text for each address; undefined: it is none. */
function canonicalAddress(text: string): string | undefined {
  return optional(parseIpv4(text), formatIpv4) ?? optional(parseIpv6(text), formatIpv6);
}

const optional = <V, R>(value: V | undefined, format: (value: V) => R): R | undefined =>
  value === undefined ? undefined : format(value);

function nameParts(id: string): { tenant: string; network: string } {
  const [tenant = '', network = ''] = id.split('/');
  return { tenant, network };
}
