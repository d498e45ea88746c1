/** Addresses of one endpoint in its network: what can be asked for, and the lowest free ones. */
import {
  contains4,
  contains6,
  formatIpv4,
  formatIpv6,
  formatMac,
  formatPrefix4,
  formatPrefix6,
  isUnicastMac,
  last4,
  last6,
  macOfIpv4,
  macOfNumber,
  parseIpv4,
  parseIpv6,
  parseMac,
} from '../address.js';
import { isReservation, type NetworkPool } from '../indexes.js';
import type { NetworkRecord } from '../records.js';

/** Why not, and what to do. */
export interface Refusal {
  readonly member: 'ip' | 'ip6' | 'mac';
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

/** Values, or the reasons why some of them cannot be. */
export interface AskedAddresses {
  readonly ipv4?: number;
  readonly ipv6?: bigint;
  readonly mac?: number;
  readonly refusals: readonly Refusal[];
}

/** Reads what is asked for and checks it against the network; whether it is free is checked by `takenBy`. */
export function askedAddresses(
  network: NetworkRecord,
  asked: { ip?: string | undefined; ip6?: string | undefined; mac?: string | undefined },
): AskedAddresses {
  const refusals: Refusal[] = [];
  const ipv4 = asked.ip === undefined ? undefined : askedIpv4(network, asked.ip, refusals);
  const ipv6 = asked.ip6 === undefined ? undefined : askedIpv6(network, asked.ip6, refusals);
  const mac = asked.mac === undefined ? undefined : askedMac(asked.mac, refusals);
  return {
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    ...(mac === undefined ? {} : { mac }),
    refusals,
  };
}

function askedIpv4({ ipv4 }: NetworkRecord, text: string, refusals: Refusal[]): number | undefined {
  const wrong = (code: string, message: string, fix: string) => {
    refusals.push({ member: 'ip', code: `endpoint.ip${code}`, message, fix });
    return undefined;
  };
  const address = parseIpv4(text);
  if (address === undefined) {
    return wrong(
      '',
      `"${text}" is not an IPv4 address`,
      'write four decimal numbers like 10.1.1.10, without leading zeros',
    );
  }
  if (ipv4 === undefined)
    return wrong('.family', `${text} cannot be: the network has no IPv4 subnet`, 'leave ip out');
  const subnet = formatPrefix4(ipv4);
  const other = 'use another address, or leave ip out to get a free one';
  if (!contains4(ipv4, address))
    return wrong('.outside', `${text} is outside of the network's subnet ${subnet}`, other);
  if (address === ipv4.address)
    return wrong('.reserved', `${text} is the address of the network itself`, other);
  if (address === last4(ipv4))
    return wrong('.reserved', `${text} is the broadcast address of ${subnet}`, other);
  if (address === ipv4.gateway) return wrong('.reserved', `${text} is the gateway of the network`, other);
  return address;
}

function askedIpv6({ ipv6 }: NetworkRecord, text: string, refusals: Refusal[]): bigint | undefined {
  const wrong = (code: string, message: string, fix: string) => {
    refusals.push({ member: 'ip6', code: `endpoint.ip6${code}`, message, fix });
    return undefined;
  };
  const address = parseIpv6(text);
  if (address === undefined)
    return wrong('', `"${text}" is not an IPv6 address`, 'write it like fd00:1:0:1::10');
  if (ipv6 === undefined)
    return wrong('.family', `${text} cannot be: the network has no IPv6 subnet`, 'leave ip6 out');
  const other = 'use another address, or leave ip6 out to get a free one';
  if (!contains6(ipv6, address))
    return wrong('.outside', `${text} is outside of the network's subnet ${formatPrefix6(ipv6)}`, other);
  if (address === ipv6.address)
    return wrong('.reserved', `${text} is the subnet-router anycast address (RFC 4291, 2.6.1)`, other);
  if (address === ipv6.gateway) return wrong('.reserved', `${text} is the gateway of the network`, other);
  return address;
}

function askedMac(text: string, refusals: Refusal[]): number | undefined {
  const mac = parseMac(text);
  if (mac !== undefined && isUnicastMac(mac)) return mac;
  refusals.push({
    member: 'mac',
    code: 'endpoint.mac',
    message: mac === undefined ? `"${text}" is not a MAC address` : `${text} is not a unicast MAC address`,
    fix: 'write six octets like 02:02:0a:01:01:0a, the first one even',
  });
  return undefined;
}

/** What of the values belongs to another endpoint of the network already. */
export function takenBy(
  pool: NetworkPool,
  id: string,
  { ipv4, ipv6, mac }: { ipv4?: number | undefined; ipv6?: bigint | undefined; mac?: number | undefined },
): Refusal[] {
  const refusals: Refusal[] = [];
  const check = (member: Refusal['member'], owner: string | undefined, text: () => string) => {
    if (owner === undefined || owner === id) return;
    refusals.push({
      member,
      code: `endpoint.${member}.taken`,
      message: `${text()} ${isReservation(owner) ? `is ${owner}` : `belongs to endpoint ${owner}`}`,
      fix: `use another one, or leave ${member} out to get a free one`,
    });
  };
  if (ipv4 !== undefined) check('ip', pool.ipv4.owner(ipv4), () => formatIpv4(ipv4));
  if (ipv6 !== undefined) check('ip6', pool.ipv6.get(ipv6), () => formatIpv6(ipv6));
  if (mac !== undefined) check('mac', pool.macs.get(mac), () => formatMac(mac));
  return refusals;
}

/** The lowest free IPv4 address: never the network's, the broadcast or the gateway's; undefined when there is none. */
export function lowestFreeIpv4({ ipv4 }: NetworkRecord, pool: NetworkPool): number | undefined {
  if (ipv4 === undefined) return undefined;
  const last = last4(ipv4) - 1;
  const address = pool.ipv4.lowestFree(ipv4.address + 1, last);
  return address !== undefined && address === ipv4.gateway
    ? pool.ipv4.lowestFree(address + 1, last)
    : address;
}

export function lowestFreeIpv6({ ipv6 }: NetworkRecord, pool: NetworkPool): bigint | undefined {
  return ipv6 === undefined ? undefined : pool.lowestFreeIpv6(ipv6.address + 1n, last6(ipv6), ipv6.gateway);
}

/** MAC address of an endpoint that asks for none: a function of its address, or of its number where it has none. */
export const defaultMac = (ipv4: number | undefined, number: number): number =>
  ipv4 === undefined ? macOfNumber(number) : macOfIpv4(ipv4);
