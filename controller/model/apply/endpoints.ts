/**
 * Creates and updates endpoints, in passes over all of them as with networks: what is given up, what is asked for by
 * value, what is allocated. Endpoints whose network's subnet has changed are among them.
 */
import { formatPrefix4, formatPrefix6 } from '../address.js';
import type { EndpointIntent } from '../intents.js';
import { sameFact } from '../record-facts.js';
import type { EndpointRecord, NetworkRecord } from '../records.js';
import { attachPending } from '../runtime/location.js';
import {
  type AskedAddresses,
  askedAddresses,
  defaultMac,
  lowestFreeIpv4,
  lowestFreeIpv6,
  type Refusal,
  takenBy,
} from './addresses.js';
import { warnOfHost } from './hosts.js';
import type { Plan } from './plan.js';
import { refusedTraits } from './traits.js';

interface WantedEndpoint {
  readonly id: string;
  readonly intent: EndpointIntent;
  readonly network: NetworkRecord;
  readonly existing: EndpointRecord | undefined;
  /** Nobody asks for the endpoint: its network has changed. */
  readonly readdressed: boolean;
  readonly asked: AskedAddresses;
}

export function applyEndpoints(plan: Plan): void {
  const wanted: WantedEndpoint[] = [];
  for (const [id, intent] of plan.wanted.Endpoint) {
    plan.watch('Endpoint', id);
    const endpoint = resolve(plan, id, intent, false);
    if (endpoint === undefined) plan.fail(intent);
    else wanted.push(endpoint);
  }
  for (const id of plan.readdress) {
    const record = plan.state.get('endpoint', id);
    if (plan.wanted.Endpoint.has(id) || record === undefined) continue;
    plan.watch('Endpoint', id);
    const endpoint = resolve(plan, id, record.spec, true);
    if (endpoint !== undefined) wanted.push(endpoint);
  }
  // Of a large document most is as it was: that is left alone, records and indexes too.
  const changed = wanted.filter((endpoint) => !isAsWanted(endpoint));
  for (const endpoint of changed) release(plan, endpoint);
  for (const endpoint of changed) claim(plan, endpoint);
  for (const endpoint of changed) if (!plan.failed('Endpoint', endpoint.id)) allocate(plan, endpoint);
  for (const { id, intent, readdressed } of wanted) {
    if (readdressed || intent.host === undefined || plan.failed('Endpoint', id)) continue;
    warnOfHost(plan, intent, intent.host, id);
  }
  checkGateways(plan);
}

function resolve(
  plan: Plan,
  id: string,
  intent: EndpointIntent,
  readdressed: boolean,
): WantedEndpoint | undefined {
  const { state, problems } = plan;
  const networkId = `${intent.tenant}/${intent.network}`;
  if (plan.failed('Network', networkId) || plan.failed('Tenant', intent.tenant)) return undefined;
  const network = state.get('network', networkId);
  if (network === undefined) {
    const tenantKnown = state.has('tenant', intent.tenant);
    problems.error(
      intent,
      tenantKnown ? 'network' : 'tenant',
      `endpoint.${tenantKnown ? 'network' : 'tenant'}.unknown`,
      tenantKnown ? `there is no network ${networkId}` : `there is no tenant ${intent.tenant}`,
      tenantKnown
        ? plan.didYouMean(networkId, 'network', 'declare the network, in this file or before')
        : plan.didYouMean(
            intent.tenant,
            'tenant',
            'declare the tenant and its networks, in this file or before',
          ),
    );
    return undefined;
  }
  if (!readdressed && !checkTraits(plan, intent)) return undefined;
  const existing = state.get('endpoint', id);
  const asked = askedAddresses(network, intent);
  if (asked.refusals.length > 0) {
    refuseAll(plan, intent, asked.refusals);
    return undefined;
  }
  if (existing?.interface !== undefined) {
    const moves = (['ipv4', 'ipv6', 'mac'] as const).filter(
      (member) => asked[member] !== undefined && asked[member] !== existing[member],
    );
    for (const member of moves) {
      const name = { ipv4: 'ip', ipv6: 'ip6', mac: 'mac' }[member];
      problems.error(
        intent,
        name,
        'endpoint.attached',
        `cannot change while the endpoint is attached on ${existing.host}`,
        'detach it first (stop the container), or delete it',
      );
    }
    if (moves.length > 0) return undefined;
  }
  return { id, intent, network, existing, readdressed, asked };
}

/** False when it has been reported, here or with the group or the profile. */
function checkTraits(plan: Plan, intent: EndpointIntent): boolean {
  const refusals = refusedTraits(plan.state, intent.tenant, intent);
  for (const { member, code, message, fix, unknown } of refusals) {
    if (unknown === undefined) plan.problems.error(intent, member, code, message, fix);
    else if (!plan.failed(unknown.table === 'group' ? 'Group' : 'QosProfile', unknown.id))
      plan.problems.error(intent, member, code, message, plan.didYouMean(unknown.id, unknown.table, fix));
  }
  return refusals.length === 0;
}

/** True when the passes would end with the record that is there already. */
function isAsWanted({ intent, network, existing, readdressed, asked }: WantedEndpoint): boolean {
  if (existing === undefined || readdressed || existing.dynamic || !sameFact(existing.spec, intent))
    return false;
  const complete =
    existing.interface !== undefined ||
    ((network.ipv4 === undefined || existing.ipv4 !== undefined) &&
      (network.ipv6 === undefined || existing.ipv6 !== undefined) &&
      existing.mac === (asked.mac ?? defaultMac(existing.ipv4, existing.number)));
  return (
    complete &&
    (['ipv4', 'ipv6', 'mac'] as const).every(
      (member) => asked[member] === undefined || asked[member] === existing[member],
    )
  );
}

/** Gives back the addresses that an existing endpoint does not keep. */
function release(plan: Plan, { id, existing, asked }: WantedEndpoint): void {
  if (existing === undefined) return;
  const { ipv4, ipv6, mac, ...rest } = existing;
  const keep4 = asked.ipv4 === undefined || asked.ipv4 === ipv4;
  const keep6 = asked.ipv6 === undefined || asked.ipv6 === ipv6;
  const keepMac = asked.mac === undefined ? keep4 : asked.mac === mac;
  if (keep4 && keep6 && keepMac) return;
  plan.state.set('endpoint', id, {
    ...rest,
    mac: keepMac ? mac : 0,
    ...(keep4 && ipv4 !== undefined ? { ipv4 } : {}),
    ...(keep6 && ipv6 !== undefined ? { ipv6 } : {}),
  });
}

/** Takes what the intents name. The MAC address of an endpoint that asks for none follows its IPv4 address later. */
function claim(plan: Plan, { id, intent, existing, readdressed, asked }: WantedEndpoint): void {
  const { state } = plan;
  const number = existing?.number ?? plan.allocateNumber(intent, state.indexes.endpointNumbers, 32);
  if (number === undefined) return plan.fail(intent);
  const refusals = takenBy(state.indexes.pool(`${intent.tenant}/${intent.network}`), id, asked);
  if (refusals.length > 0) {
    refuseAll(plan, intent, refusals);
    return plan.fail(intent);
  }
  const kept = state.get('endpoint', id);
  const ipv4 = asked.ipv4 ?? kept?.ipv4;
  const ipv6 = asked.ipv6 ?? kept?.ipv6;
  state.set('endpoint', id, {
    ...locationOf(existing),
    number,
    spec: intent,
    dynamic: readdressed && (existing?.dynamic ?? false),
    // What is attached keeps the MAC address that its container has.
    mac: asked.mac ?? (existing?.interface === undefined ? 0 : existing.mac),
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
  });
}

/** What an update leaves alone. */
function locationOf(
  existing: EndpointRecord | undefined,
): Pick<EndpointRecord, 'generation' | 'host' | 'interface' | 'attachUUID' | 'announced'> {
  if (existing === undefined) return { generation: 0 };
  const { generation, host, attachUUID, announced } = existing;
  return {
    generation,
    ...(announced === undefined ? {} : { announced }),
    ...(host === undefined ? {} : { host }),
    ...(existing.interface === undefined ? {} : { interface: existing.interface }),
    ...(attachUUID === undefined ? {} : { attachUUID }),
  };
}

/** Finds what the intents leave open, lowest first, and attaches what has been waiting for the endpoint. */
function allocate(plan: Plan, { id, intent, network, existing }: WantedEndpoint): void {
  const { state } = plan;
  const claimed = state.get('endpoint', id);
  if (claimed === undefined) return;
  const result = completeAddresses(plan, claimed, network, id, existing?.interface !== undefined);
  if (Array.isArray(result)) {
    refuseAll(plan, intent, result);
    return plan.fail(intent);
  }
  state.set('endpoint', id, result);
  if (existing === undefined) {
    const refused = attachPending(state, id);
    if (refused !== undefined) {
      plan.problems.warn(
        intent,
        'host',
        'endpoint.elsewhere',
        `was attached on ${refused} before it was declared, and has to live elsewhere`,
      );
    }
  }
}

/** The record with every address that its network can give it, or why there is none. */
export function completeAddresses(
  { state }: Pick<Plan, 'state'>,
  record: EndpointRecord,
  network: NetworkRecord,
  id: string,
  attached: boolean,
): EndpointRecord | Refusal[] {
  const pool = state.indexes.pool(`${record.spec.tenant}/${record.spec.network}`);
  // What is attached keeps the addresses that its container has.
  const ipv4 = record.ipv4 ?? (attached ? undefined : lowestFreeIpv4(network, pool));
  const ipv6 = record.ipv6 ?? (attached ? undefined : lowestFreeIpv6(network, pool));
  const refusals: Refusal[] = [];
  if (!attached && ipv4 === undefined && network.ipv4 !== undefined) {
    refusals.push(exhausted('ip', formatPrefix4(network.ipv4)));
  }
  if (!attached && ipv6 === undefined && network.ipv6 !== undefined) {
    refusals.push(exhausted('ip6', formatPrefix6(network.ipv6)));
  }
  const mac = record.mac === 0 ? defaultMac(ipv4, record.number) : record.mac;
  refusals.push(...takenBy(pool, id, { mac }));
  if (refusals.length > 0) return refusals;
  return {
    ...record,
    mac,
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
  };
}

const exhausted = (member: 'ip' | 'ip6', subnet: string): Refusal => ({
  member,
  code: `endpoint.${member}.exhausted`,
  message: `no address of ${subnet} is free`,
  fix: 'give the network a larger subnet, or delete endpoints',
});

function refuseAll(plan: Plan, intent: EndpointIntent, refusals: readonly Refusal[]): void {
  for (const { member, code, message, fix } of refusals)
    plan.problems.error(intent, member, code, message, fix);
}

/** A gateway must not be an endpoint's address; looked at last, because endpoints may have moved away. */
function checkGateways(plan: Plan): void {
  for (const id of plan.touchedNetworks) {
    const record = plan.state.get('network', id);
    if (record === undefined) continue;
    const pool = plan.state.indexes.pool(id);
    const owner4 = record.ipv4?.gateway === undefined ? undefined : pool.ipv4.owner(record.ipv4.gateway);
    const owner6 = record.ipv6?.gateway === undefined ? undefined : pool.ipv6.get(record.ipv6.gateway);
    const taken = (member: 'gateway' | 'ipv6Gateway', owner: string | undefined) => {
      if (owner === undefined) return;
      plan.problems.error(
        record.spec,
        member,
        `network.${member}.taken`,
        `${record.spec[member]} belongs to endpoint ${owner}`,
        'use a free address, or move the endpoint first',
      );
    };
    taken('gateway', owner4);
    taken('ipv6Gateway', owner6);
  }
}
