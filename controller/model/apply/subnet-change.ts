/**
 * What a changed subnet means for the endpoints that are there already: those that still fit keep their addresses,
 * those with allocated addresses get others, and what would pull an address from under somebody is refused.
 */
import { contains4, contains6, formatPrefix4, formatPrefix6, last4 } from '../address.js';
import type { NetworkIntent } from '../intents.js';
import { enumerate } from '../problems.js';
import type { EndpointRecord, NetworkRecord } from '../records.js';
import type { Plan } from './plan.js';

interface Family {
  readonly member: 'subnet' | 'ipv6Subnet';
  readonly subnet: string;
  /** True when the endpoint's address in this family can stay. */
  fits(endpoint: EndpointRecord): boolean;
  /** True when the endpoint has no address in this family but could have. */
  lacks(endpoint: EndpointRecord): boolean;
  asked(endpoint: EndpointRecord['spec']): string | undefined;
  without(endpoint: EndpointRecord): EndpointRecord;
  readonly resized: boolean;
}

export function changeSubnet(
  plan: Plan,
  intent: NetworkIntent,
  before: NetworkRecord,
  after: NetworkRecord,
): void {
  const changed4 = before.ipv4?.address !== after.ipv4?.address || before.ipv4?.length !== after.ipv4?.length;
  const changed6 = before.ipv6?.address !== after.ipv6?.address || before.ipv6?.length !== after.ipv6?.length;
  if (changed4) change(plan, intent, family4(before, after));
  if (changed6) change(plan, intent, family6(before, after));
}

function change(plan: Plan, intent: NetworkIntent, family: Family): void {
  const { state, problems } = plan;
  const network = `${intent.tenant}/${intent.name}`;
  const attached: string[] = [];
  const pinned: string[] = [];
  const waiting: string[] = [];
  let resized = 0;
  for (const id of [...state.indexes.endpointsOfNetwork.get(network)].sort()) {
    const record = state.get('endpoint', id);
    if (record === undefined) continue;
    if (family.lacks(record)) {
      if (record.interface === undefined) plan.readdress.add(id);
      else waiting.push(id);
      continue;
    }
    if (family.fits(record)) {
      if (family.resized && record.interface !== undefined) resized += 1;
      continue;
    }
    const wanted = plan.wanted.Endpoint.get(id);
    if (record.interface !== undefined) attached.push(id);
    else if (wanted === undefined && family.asked(record.spec) !== undefined) pinned.push(id);
    else {
      plan.watch('Endpoint', id);
      state.set('endpoint', id, family.without(record));
      plan.readdress.add(id);
    }
  }
  const { member, subnet } = family;
  if (attached.length > 0) {
    problems.error(
      intent,
      member,
      `network.${member}.attached`,
      `cannot become ${subnet}: ${enumerate(attached)} would lose the address in use`,
      'detach the endpoints first, or choose a subnet that contains their addresses',
    );
  }
  if (pinned.length > 0) {
    problems.error(
      intent,
      member,
      `network.${member}.pinned`,
      `cannot become ${subnet}: ${enumerate(pinned)} ask for addresses outside of it`,
      'change the addresses of the endpoints in the same document',
    );
  }
  if (resized > 0) {
    problems.warn(
      intent,
      member,
      `network.${member}.resized`,
      `${resized} attached endpoints keep the old prefix length until they are attached again`,
    );
  }
  if (waiting.length > 0) {
    problems.warn(
      intent,
      member,
      `network.${member}.waiting`,
      `${enumerate(waiting)} get an address of ${subnet} when they are applied again after being detached`,
    );
  }
}

function family4(before: NetworkRecord, { ipv4 }: NetworkRecord): Family {
  return {
    member: 'subnet',
    subnet: ipv4 === undefined ? 'none' : formatPrefix4(ipv4),
    fits: (endpoint) =>
      endpoint.ipv4 === undefined
        ? ipv4 === undefined
        : ipv4 !== undefined &&
          contains4(ipv4, endpoint.ipv4) &&
          endpoint.ipv4 !== ipv4.address &&
          endpoint.ipv4 !== last4(ipv4),
    lacks: (endpoint) => endpoint.ipv4 === undefined && ipv4 !== undefined,
    asked: (spec) => spec.ip,
    without: ({ ipv4: _, ...rest }) => ({ ...rest, mac: 0 }),
    resized: before.ipv4?.length !== ipv4?.length,
  };
}

function family6(before: NetworkRecord, { ipv6 }: NetworkRecord): Family {
  return {
    member: 'ipv6Subnet',
    subnet: ipv6 === undefined ? 'none' : formatPrefix6(ipv6),
    fits: (endpoint) =>
      endpoint.ipv6 === undefined
        ? ipv6 === undefined
        : ipv6 !== undefined && contains6(ipv6, endpoint.ipv6) && endpoint.ipv6 !== ipv6.address,
    lacks: (endpoint) => endpoint.ipv6 === undefined && ipv6 !== undefined,
    asked: (spec) => spec.ip6,
    without: ({ ipv6: _, ...rest }) => rest,
    resized: before.ipv6?.length !== ipv6?.length,
  };
}
