/**
 * Creates and updates networks, in passes over all of them: what is given up, then what is asked for by value, then
 * what is allocated. So a document may exchange two tags, and nothing is allocated that the document names elsewhere.
 */
import { formatIpv4, formatIpv6, formatPrefix4, formatPrefix6, last4, last6 } from '../address.js';
import type { NetworkIntent } from '../intents.js';
import { MAX_VLAN, type TenantPools } from '../pools.js';
import { enumerate } from '../problems.js';
import type { NetworkRecord, Subnet } from '../records.js';
import type { Plan } from './plan.js';
import { checkReference } from './references.js';
import { changeSubnet } from './subnet-change.js';
import { askedSubnet4, askedSubnet6, checkGateway4, checkGateway6 } from './subnets.js';
import { overlapsOf } from './tenants.js';

/** What a network asks for; `keep` what it has, `allocate` the lowest free. */
export type Asked<T> = T | 'none' | 'keep' | 'allocate';

/** Of network numbers: OpenFlow groups of a network are numbered after it, in the lower half of the ids (`apps/flood-layout.ts`). */
const NUMBER_BITS = 23;

interface WantedNetwork {
  readonly id: string;
  readonly intent: NetworkIntent;
  readonly existing: NetworkRecord | undefined;
  readonly pools: TenantPools;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number | 'keep' | 'allocate';
  readonly ipv4: Asked<Subnet<number>>;
  readonly ipv6: Asked<Subnet<bigint>>;
}

export function applyNetworks(plan: Plan): void {
  const { state } = plan;
  const wanted: WantedNetwork[] = [];
  for (const [id, intent] of plan.wanted.Network) {
    plan.watch('Network', id);
    const network = resolve(plan, id, intent);
    if (network === undefined) plan.fail(intent);
    else wanted.push(network);
  }
  for (const network of wanted) release(plan, network);
  for (const network of wanted) claim(plan, network);
  for (const network of wanted) if (!plan.failed('Network', network.id)) allocate(plan, network);
  for (const network of wanted) {
    if (plan.failed('Network', network.id)) continue;
    plan.touchedNetworks.add(network.id);
    const record = state.get('network', network.id);
    if (record !== undefined && network.existing !== undefined)
      changeSubnet(plan, network.intent, network.existing, record);
  }
}

function resolve(plan: Plan, id: string, intent: NetworkIntent): WantedNetwork | undefined {
  const { state, problems } = plan;
  if (plan.failed('Tenant', intent.tenant)) return undefined;
  const pools = plan.pools(intent.tenant);
  if (pools === undefined) {
    problems.error(
      intent,
      'tenant',
      'network.tenant.unknown',
      `there is no tenant ${intent.tenant}`,
      plan.didYouMean(intent.tenant, 'tenant', 'declare the tenant, in this file or before'),
    );
    return undefined;
  }
  const errors = problems.errors;
  const existing = state.get('network', id);
  const encapsulation = intent.encapsulation ?? existing?.encapsulation ?? pools.encapsulation;
  if (existing !== undefined && existing.encapsulation !== encapsulation) {
    const attached = state.indexes.attachedInNetwork.get(id);
    if (attached.size > 0) {
      problems.error(
        intent,
        'encapsulation',
        'network.encapsulation.attached',
        `cannot become ${encapsulation} while ${enumerate(attached)} ${attached.size === 1 ? 'is' : 'are'} attached: the MTU would change under them`,
        'detach the endpoints first',
      );
    }
  }
  if (encapsulation === 'vlan' && (intent.tag ?? 1) > MAX_VLAN) {
    problems.error(
      intent,
      'tag',
      'network.tag',
      `${intent.tag} is not a VLAN id`,
      `use 1 to ${MAX_VLAN}, or encapsulation: vxlan`,
    );
  }
  if (encapsulation === 'vxlan' && intent.uplinkHandOff === true) {
    problems.error(
      intent,
      'uplinkHandOff',
      'network.uplinkHandOff',
      'a VXLAN network has no uplink to hand frames to',
      'leave it out, or use encapsulation: vlan',
    );
  }
  for (const member of ['degree', 'headEndLimit'] as const) {
    if (encapsulation !== 'vlan' || intent.multicast?.[member] === undefined) continue;
    problems.error(
      intent,
      `multicast.${member}`,
      'network.multicast.vlan',
      'a VLAN network has no distribution trees: the underlay copies',
      'leave it out, or use encapsulation: vxlan',
    );
  }
  if (intent.qos !== undefined)
    checkReference(plan, intent, 'qos', 'QosProfile', `${intent.tenant}/${intent.qos}`);
  const ipv4 = askedSubnet4(problems, intent, existing);
  const ipv6 = askedSubnet6(problems, intent, existing, pools);
  if (problems.errors > errors || ipv4 === undefined || ipv6 === undefined) return undefined;
  const sameEncapsulation = existing !== undefined && existing.encapsulation === encapsulation;
  const tag = intent.tag ?? (sameEncapsulation ? 'keep' : 'allocate');
  return { id, intent, existing, pools, encapsulation, tag, ipv4, ipv6 };
}

/** Gives back what an existing network does not keep. */
function release(plan: Plan, { id, existing, tag, encapsulation, ipv4, ipv6 }: WantedNetwork): void {
  if (existing === undefined) return;
  const keepTag = tag === 'keep' || (tag === existing.tag && encapsulation === existing.encapsulation);
  plan.state.set('network', id, {
    number: existing.number,
    spec: existing.spec,
    encapsulation: existing.encapsulation,
    tag: keepTag ? existing.tag : 0,
    ...(ipv4 === 'keep' && existing.ipv4 !== undefined ? { ipv4: existing.ipv4 } : {}),
    ...(ipv6 === 'keep' && existing.ipv6 !== undefined ? { ipv6: existing.ipv6 } : {}),
  });
}

/** Takes what the intents name. */
function claim(plan: Plan, network: WantedNetwork): void {
  const { state, problems } = plan;
  const { id, intent, existing, pools, encapsulation, tag } = network;
  const number = existing?.number ?? plan.allocateNumber(intent, state.indexes.networkNumbers, NUMBER_BITS);
  if (number === undefined) return plan.fail(intent);

  if (typeof tag === 'number') {
    const owner = tagsOf(plan, encapsulation).owner(tag);
    if (owner !== undefined && owner !== id) {
      const what = encapsulation === 'vlan' ? 'VLAN' : 'VNI';
      problems.error(
        intent,
        'tag',
        'network.tag.taken',
        `${what} ${tag} belongs to network ${owner}`,
        'use another one, or leave tag out to get a free one',
      );
      return plan.fail(intent);
    }
  }
  const kept = state.get('network', id);
  const ipv4 = typeof network.ipv4 === 'object' ? network.ipv4 : kept?.ipv4;
  const ipv6 = typeof network.ipv6 === 'object' ? network.ipv6 : kept?.ipv6;
  const record: NetworkRecord = {
    number,
    spec: intent,
    encapsulation,
    tag: typeof tag === 'number' ? tag : (kept?.tag ?? 0),
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
  };
  const others = pools.overlapping ? [] : overlapsOf(plan, record);
  if (others.length > 0) {
    const subnets = [ipv4 && formatPrefix4(ipv4), ipv6 && formatPrefix6(ipv6)].filter(Boolean).join(' or ');
    problems.error(
      intent,
      intent.subnet === undefined ? 'ipv6Subnet' : 'subnet',
      'network.subnet.overlap',
      `${subnets} overlaps the subnet of network ${enumerate(others)} in the same tenant`,
      'use another subnet, leave it out to get a free one, or say overlappingSubnets: true for the tenant',
    );
    return plan.fail(intent);
  }
  state.set('network', id, record);
}

const tagsOf = (plan: Plan, encapsulation: 'vlan' | 'vxlan') =>
  encapsulation === 'vlan' ? plan.state.indexes.vlans : plan.state.indexes.vnis;

/** Finds what the intents leave open, lowest first, and puts the gateways in. */
function allocate(plan: Plan, network: WantedNetwork): void {
  const { state, problems } = plan;
  const { id, intent, pools } = network;
  const claimed = state.get('network', id);
  if (claimed === undefined) return;
  const errors = problems.errors;

  const tag = claimed.tag === 0 ? allocateTag(plan, network) : claimed.tag;
  const ipv4 = network.ipv4 === 'allocate' ? allocateSubnet4(plan, intent, pools) : claimed.ipv4;
  const ipv6 = network.ipv6 === 'allocate' ? allocateSubnet6(plan, intent, pools) : claimed.ipv6;
  if (tag === undefined || problems.errors > errors) return plan.fail(intent);

  const gateway4 = checkGateway4(problems, intent, ipv4);
  const gateway6 = checkGateway6(problems, intent, ipv6);
  if (problems.errors > errors) plan.fail(intent);
  state.set('network', id, {
    number: claimed.number,
    spec: intent,
    encapsulation: claimed.encapsulation,
    tag,
    ...(ipv4 === undefined ? {} : { ipv4: withGateway(ipv4, gateway4) }),
    ...(ipv6 === undefined ? {} : { ipv6: withGateway(ipv6, gateway6) }),
  });
}

const withGateway = <Address>(
  { address, length }: Subnet<Address>,
  gateway: Address | undefined,
): Subnet<Address> => ({
  address,
  length,
  ...(gateway === undefined ? {} : { gateway }),
});

function allocateTag(plan: Plan, { intent, pools, encapsulation }: WantedNetwork): number | undefined {
  const ranges = encapsulation === 'vlan' ? pools.vlans : pools.vnis;
  for (const { first, last } of ranges) {
    const tag = tagsOf(plan, encapsulation).lowestFree(first, last);
    if (tag !== undefined) return tag;
  }
  const [what, member] = encapsulation === 'vlan' ? ['VLAN id', 'vlans'] : ['VNI', 'vnis'];
  const text = ranges.map(({ first, last }) => `${first}-${last}`).join(',');
  plan.problems.error(
    intent,
    'tag',
    'network.tag.exhausted',
    `no ${what} of ${text} is free (tags are unique in the cluster)`,
    `give tenant ${intent.tenant} more ${member}, or delete networks`,
  );
  return undefined;
}

function allocateSubnet4(plan: Plan, intent: NetworkIntent, pools: TenantPools): Subnet<number> | undefined {
  const { pool4, allocationLength4: length } = pools;
  const pool = { first: BigInt(pool4.address), last: BigInt(last4(pool4)) };
  const address = plan.state.indexes.subnets(4, intent.tenant).lowestFree(pool, 1n << BigInt(32 - length));
  if (address !== undefined) return { address: Number(address), length };
  plan.problems.error(
    intent,
    'subnet',
    'network.subnet.exhausted',
    `no subnet of length ${length} is free in the pool ${formatIpv4(pool4.address)}/${pool4.length} of tenant ${intent.tenant}`,
    'give the tenant a larger subnetPool, or name a subnet',
  );
  return undefined;
}

function allocateSubnet6(plan: Plan, intent: NetworkIntent, pools: TenantPools): Subnet<bigint> | undefined {
  const { pool6, allocationLength6: length } = pools;
  if (pool6 === undefined) return undefined;
  const pool = { first: pool6.address, last: last6(pool6) };
  const address = plan.state.indexes.subnets(6, intent.tenant).lowestFree(pool, 1n << BigInt(128 - length));
  if (address !== undefined) return { address, length };
  plan.problems.error(
    intent,
    'ipv6Subnet',
    'network.ipv6Subnet.exhausted',
    `no subnet of length ${length} is free in the pool ${formatIpv6(pool6.address)}/${pool6.length} of tenant ${intent.tenant}`,
    'give the tenant a larger ipv6SubnetPool, or name a subnet',
  );
  return undefined;
}
