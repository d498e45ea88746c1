/** What a network's intent says of its subnets and gateways. */
import {
  contains4,
  contains6,
  formatPrefix4,
  formatPrefix6,
  last4,
  network4,
  network6,
  parseIpv4,
  parseIpv6,
  parsePrefix4,
  parsePrefix6,
} from '../address.js';
import type { NetworkIntent } from '../intents.js';
import { type TenantPools, unusable4, unusable6 } from '../pools.js';
import type { Problems } from '../problems.js';
import type { NetworkRecord, Subnet } from '../records.js';
import type { Asked } from './networks.js';

/** Undefined when it has been reported. */
export function askedSubnet4(
  problems: Problems,
  intent: NetworkIntent,
  existing: NetworkRecord | undefined,
): Asked<Subnet<number>> | undefined {
  const text = intent.subnet;
  if (text === undefined) return existing?.ipv4 === undefined ? 'allocate' : 'keep';
  if (text === 'none') return 'none';
  const wrong = (message: string, fix: string) => {
    problems.error(intent, 'subnet', 'network.subnet', message, fix);
    return undefined;
  };
  const prefix = parsePrefix4(text);
  if (prefix === undefined) {
    return wrong(
      `"${text}" is not an IPv4 prefix`,
      'write it like 10.1.1.0/24, without leading zeros, or none',
    );
  }
  const fixed = network4(prefix);
  if (fixed.address !== prefix.address)
    return wrong(`${text} has bits set beyond its length`, `write ${formatPrefix4(fixed)}`);
  if (prefix.length < 1 || prefix.length > 30)
    return wrong(`${text} has no room for endpoints or is everything`, 'use a length of 1 to 30');
  const reason = unusable4(prefix);
  if (reason !== undefined) return wrong(`${text} ${reason}`, 'use another subnet');
  return prefix;
}

/** Undefined when it has been reported. */
export function askedSubnet6(
  problems: Problems,
  intent: NetworkIntent,
  existing: NetworkRecord | undefined,
  pools: TenantPools,
): Asked<Subnet<bigint>> | undefined {
  const text = intent.ipv6Subnet;
  if (text === undefined) {
    if (existing?.ipv6 !== undefined) return 'keep';
    // A network that has lived without IPv6 goes on so; its tenant may have got a pool only later.
    const new_ = existing === undefined || existing.spec.ipv6Subnet === 'none';
    return new_ && pools.pool6 !== undefined ? 'allocate' : 'none';
  }
  if (text === 'none') return 'none';
  const wrong = (message: string, fix: string) => {
    problems.error(intent, 'ipv6Subnet', 'network.ipv6Subnet', message, fix);
    return undefined;
  };
  const prefix = parsePrefix6(text);
  if (prefix === undefined)
    return wrong(`"${text}" is not an IPv6 prefix`, 'write it like fd00:1:0:1::/64, or none');
  const fixed = network6(prefix);
  if (fixed.address !== prefix.address)
    return wrong(`${text} has bits set beyond its length`, `write ${formatPrefix6(fixed)}`);
  if (prefix.length < 8 || prefix.length > 126)
    return wrong(`${text} has no room for endpoints or is too wide`, 'use a length of 8 to 126');
  const reason = unusable6(prefix);
  if (reason !== undefined) return wrong(`${text} ${reason}`, 'use another subnet');
  return prefix;
}

/** The gateway, when there is one and it can be. */
export function checkGateway4(
  problems: Problems,
  intent: NetworkIntent,
  subnet: Subnet<number> | undefined,
): number | undefined {
  const text = intent.gateway;
  if (text === undefined) return undefined;
  const wrong = (message: string, fix: string) => {
    problems.error(intent, 'gateway', 'network.gateway', message, fix);
    return undefined;
  };
  const gateway = parseIpv4(text);
  if (gateway === undefined) {
    return wrong(
      `"${text}" is not an IPv4 address`,
      'write four decimal numbers like 10.1.1.254, without leading zeros',
    );
  }
  if (subnet === undefined)
    return wrong(`${text} needs an IPv4 subnet`, 'give a subnet, or leave the gateway out');
  const inside = `use ${formatPrefix4(subnet)} without its first and last address`;
  if (!contains4(subnet, gateway))
    return wrong(`${text} is outside of the subnet ${formatPrefix4(subnet)}`, inside);
  if (gateway === subnet.address) return wrong(`${text} is the address of the network itself`, inside);
  if (gateway === last4(subnet))
    return wrong(`${text} is the broadcast address of ${formatPrefix4(subnet)}`, inside);
  return gateway;
}

export function checkGateway6(
  problems: Problems,
  intent: NetworkIntent,
  subnet: Subnet<bigint> | undefined,
): bigint | undefined {
  const text = intent.ipv6Gateway;
  if (text === undefined) return undefined;
  const wrong = (message: string, fix: string) => {
    problems.error(intent, 'ipv6Gateway', 'network.ipv6Gateway', message, fix);
    return undefined;
  };
  const gateway = parseIpv6(text);
  if (gateway === undefined) return wrong(`"${text}" is not an IPv6 address`, 'write it like fd00:1:0:1::1');
  if (subnet === undefined)
    return wrong(`${text} needs an IPv6 subnet`, 'give an ipv6Subnet, or leave the gateway out');
  const inside = `use ${formatPrefix6(subnet)} without its first address`;
  if (!contains6(subnet, gateway))
    return wrong(`${text} is outside of the subnet ${formatPrefix6(subnet)}`, inside);
  if (gateway === subnet.address)
    return wrong(`${text} is the subnet-router anycast address (RFC 4291, 2.6.1)`, inside);
  return gateway;
}
