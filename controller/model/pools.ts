/** What a tenant's intent means once the defaults have been filled in: the pools that its networks are allocated from. */
import {
  formatPrefix4,
  formatPrefix6,
  network4,
  network6,
  type NumberRange,
  parsePrefix4,
  parsePrefix6,
  parseRanges,
  type Prefix,
} from './address.js';
import type { TenantIntent } from './intents.js';
import type { Problems } from './problems.js';
import type { ModelDefaults } from './types.js';

export const MAX_VLAN = 4_094;
/** The last VNI, 0xffffff, is that of the ports by which hosts watch each other's tunnels. */
export const MAX_VNI = 0xfffffe;

/** VLAN 1 and 1002-1005 mean something of their own to many switches, so they are only used when somebody names them. */
export const DEFAULTS: ModelDefaults = {
  encapsulation: 'vxlan',
  subnetPool: '10.0.0.0/8',
  allocationLength: 24,
  ipv6AllocationLength: 64,
  vlans: '2-1001,1006-4094',
  vnis: '4096-16777214',
};

export interface TenantPools {
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly pool4: Prefix<number>;
  readonly allocationLength4: number;
  readonly pool6?: Prefix<bigint>;
  readonly allocationLength6: number;
  readonly vlans: readonly NumberRange[];
  readonly vnis: readonly NumberRange[];
  readonly overlapping: boolean;
}

/** Why addresses of a prefix cannot be used for endpoints; undefined when they can. */
export function unusable4({ address, length }: Prefix<number>): string | undefined {
  const first = address >>> 24;
  const last = (address + 2 ** (32 - length) - 1) >>> 24;
  if (first === 0) return 'is or contains "this network" (0.0.0.0/8)';
  if (first <= 127 && last >= 127) return 'contains loopback addresses (127.0.0.0/8)';
  if (last >= 224) return 'contains multicast or reserved addresses (224.0.0.0 and above)';
  return undefined;
}

export function unusable6({ address, length }: Prefix<bigint>): string | undefined {
  const last = address + (1n << BigInt(128 - length)) - 1n;
  if (address >> 120n === 0n) return 'contains reserved addresses (::/8)';
  if (last >> 120n === 0xffn) return 'contains multicast addresses (ff00::/8)';
  if (address <= 0xfebfn << 112n && last >= 0xfe80n << 112n)
    return 'contains link-local addresses (fe80::/10)';
  return undefined;
}

/** Reports what cannot be; undefined then. */
export function tenantPools(
  tenant: TenantIntent,
  defaults: ModelDefaults,
  problems: Problems,
): TenantPools | undefined {
  const errors = problems.errors;
  const wrong = (member: string, message: string, fix: string) =>
    problems.error(tenant, member, `tenant.${member}`, message, fix);

  const poolText = tenant.subnetPool ?? defaults.subnetPool;
  const pool4 = parsePrefix4(poolText);
  const allocationLength4 =
    tenant.allocationLength ?? Math.max(defaults.allocationLength, pool4?.length ?? 0);
  if (pool4 === undefined) {
    wrong('subnetPool', `"${poolText}" is not an IPv4 prefix`, 'write it like 10.1.0.0/16');
  } else {
    const fixed = network4(pool4);
    if (fixed.address !== pool4.address) {
      wrong('subnetPool', `${poolText} has bits set beyond its length`, `write ${formatPrefix4(fixed)}`);
    }
    const reason = unusable4(pool4);
    if (reason !== undefined)
      wrong('subnetPool', `${poolText} ${reason}`, 'use another pool, like 10.1.0.0/16');
    if (allocationLength4 < pool4.length || allocationLength4 > 30) {
      wrong(
        'allocationLength',
        `subnets of length ${allocationLength4} do not fit into the pool ${poolText}`,
        `use ${pool4.length} to 30`,
      );
    }
  }

  const pool6 = tenant.ipv6SubnetPool === undefined ? undefined : parsePrefix6(tenant.ipv6SubnetPool);
  const allocationLength6 =
    tenant.ipv6AllocationLength ?? Math.max(defaults.ipv6AllocationLength, pool6?.length ?? 0);
  if (tenant.ipv6SubnetPool !== undefined) {
    if (pool6 === undefined) {
      wrong(
        'ipv6SubnetPool',
        `"${tenant.ipv6SubnetPool}" is not an IPv6 prefix`,
        'write it like fd00:1::/48',
      );
    } else {
      const fixed = network6(pool6);
      if (fixed.address !== pool6.address) {
        wrong(
          'ipv6SubnetPool',
          `${tenant.ipv6SubnetPool} has bits set beyond its length`,
          `write ${formatPrefix6(fixed)}`,
        );
      }
      const reason = unusable6(pool6);
      if (reason !== undefined)
        wrong('ipv6SubnetPool', `${tenant.ipv6SubnetPool} ${reason}`, 'use another pool, like fd00:1::/48');
      if (allocationLength6 < pool6.length || allocationLength6 > 126) {
        wrong(
          'ipv6AllocationLength',
          `subnets of length ${allocationLength6} do not fit into the pool ${tenant.ipv6SubnetPool}`,
          `use ${pool6.length} to 126`,
        );
      }
    }
  }

  const vlans = parseRanges(tenant.vlans ?? defaults.vlans, 1, MAX_VLAN);
  if (typeof vlans === 'string') wrong('vlans', vlans, 'write VLAN ids like 11-28,40-50');
  const vnis = parseRanges(tenant.vnis ?? defaults.vnis, 1, MAX_VNI);
  if (typeof vnis === 'string') wrong('vnis', vnis, 'write network identifiers like 10001-12000');

  if (
    problems.errors > errors ||
    pool4 === undefined ||
    typeof vlans === 'string' ||
    typeof vnis === 'string'
  ) {
    return undefined;
  }
  return {
    encapsulation: tenant.defaultEncapsulation ?? defaults.encapsulation,
    pool4,
    allocationLength4,
    ...(pool6 === undefined ? {} : { pool6 }),
    allocationLength6,
    vlans,
    vnis,
    overlapping: tenant.overlappingSubnets ?? false,
  };
}
