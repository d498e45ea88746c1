/** Creates and updates tenants. New pools hold for what is allocated from now on; what networks have, they keep. */
import { contains4, contains6 } from '../address.js';
import type { TenantIntent } from '../intents.js';
import { type TenantPools, tenantPools } from '../pools.js';
import { enumerate } from '../problems.js';
import type { NetworkRecord } from '../records.js';
import type { Plan } from './plan.js';

export function applyTenants(plan: Plan): void {
  const { state, problems } = plan;
  for (const [id, tenant] of plan.wanted.Tenant) {
    plan.watch('Tenant', id);
    const pools = tenantPools(tenant, plan.defaults, problems);
    if (pools === undefined) {
      plan.fail(tenant);
      continue;
    }
    const existing = state.get('tenant', id);
    const number = existing?.number ?? plan.allocateNumber(tenant, state.indexes.tenantNumbers, 16);
    if (number === undefined) {
      plan.fail(tenant);
      continue;
    }
    state.set('tenant', id, { number, spec: tenant });
    plan.forgetPools(id);
  }
}

/** Says which networks keep what their tenant would no longer give them; after the networks have been worked out. */
export function warnOfKeptValues(plan: Plan): void {
  for (const [id, tenant] of plan.wanted.Tenant) {
    if (plan.failed('Tenant', id)) continue;
    const pools = plan.pools(id);
    if (pools !== undefined) warnOfKept(plan, id, tenant, pools);
  }
}

function warnOfKept(plan: Plan, id: string, tenant: TenantIntent, pools: TenantPools): void {
  const kept = (member: string, differs: (network: NetworkRecord) => boolean) => {
    const networks = [...plan.state.indexes.networksOfTenant.get(id)].filter((network) => {
      const record = plan.state.get('network', network);
      return record !== undefined && differs(record);
    });
    if (networks.length === 0) return;
    plan.problems.warn(
      tenant,
      member,
      'tenant.kept',
      `holds for new networks; ${enumerate(networks)} ${networks.length === 1 ? 'keeps what it has' : 'keep what they have'}`,
    );
  };
  kept(
    'defaultEncapsulation',
    (network) => network.spec.encapsulation === undefined && network.encapsulation !== pools.encapsulation,
  );
  kept(
    'subnetPool',
    ({ spec, ipv4 }) =>
      spec.subnet === undefined && ipv4 !== undefined && !contains4(pools.pool4, ipv4.address),
  );
  kept('ipv6SubnetPool', ({ spec, ipv6 }) => {
    if (spec.ipv6Subnet !== undefined) return false;
    if (ipv6 === undefined || pools.pool6 === undefined)
      return (ipv6 === undefined) !== (pools.pool6 === undefined);
    return !contains6(pools.pool6, ipv6.address);
  });
  const outside = (network: NetworkRecord, kind: 'vlan' | 'vxlan') =>
    network.encapsulation === kind &&
    network.spec.tag === undefined &&
    !(kind === 'vlan' ? pools.vlans : pools.vnis).some(
      ({ first, last }) => network.tag >= first && network.tag <= last,
    );
  kept('vlans', (network) => outside(network, 'vlan'));
  kept('vnis', (network) => outside(network, 'vxlan'));
}

/** A tenant that no longer allows overlapping subnets must not have any; after the networks have been worked out. */
export function checkOverlaps(plan: Plan): void {
  for (const [id, tenant] of plan.wanted.Tenant) {
    if (plan.failed('Tenant', id) || (tenant.overlappingSubnets ?? false)) continue;
    for (const network of plan.state.indexes.networksOfTenant.get(id)) {
      const record = plan.state.get('network', network);
      const others = record === undefined ? [] : overlapsOf(plan, record);
      if (others.length === 0) continue;
      plan.problems.error(
        tenant,
        'overlappingSubnets',
        'tenant.overlappingSubnets',
        `the subnet of ${network} overlaps that of ${enumerate(others)}`,
        'change the subnets first, or leave overlappingSubnets true',
      );
      break;
    }
  }
}

/** Networks of the same tenant that a network's subnets overlap with. */
export function overlapsOf(plan: Plan, { spec, ipv4, ipv6 }: NetworkRecord): string[] {
  const { indexes } = plan.state;
  const self = `${spec.tenant}/${spec.name}`;
  const found = new Set<string>();
  if (ipv4 !== undefined) {
    const first = BigInt(ipv4.address);
    const last = first + (1n << BigInt(32 - ipv4.length)) - 1n;
    for (const { owner } of indexes.subnets(4, spec.tenant).overlapping(first, last)) found.add(owner);
  }
  if (ipv6 !== undefined) {
    const last = ipv6.address + (1n << BigInt(128 - ipv6.length)) - 1n;
    for (const { owner } of indexes.subnets(6, spec.tenant).overlapping(ipv6.address, last)) found.add(owner);
  }
  found.delete(self);
  return [...found];
}
