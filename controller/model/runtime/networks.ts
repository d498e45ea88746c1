/**
 * Networks that a container runtime asks for: found, or declared as intents of the runtime's own (`owner`). A runtime says of each host and
 * each of its own networks that it uses one; what it has declared goes with the last use.
 */
import {
  formatIpv4,
  formatIpv6,
  formatPrefix4,
  formatPrefix6,
  parseIpv4,
  parseIpv6,
  parsePrefix4,
  parsePrefix6,
} from '../address.js';
import { applyOperation, checkObjects, removeOperation } from '../apply/index.js';
import type { NetworkIntent } from '../intents.js';
import { useId } from '../lease-records.js';
import { refuse } from '../problems.js';
import type { NetworkRecord } from '../records.js';
import type { State } from '../state.js';
import type { ModelDefaults, NetworkDescription, NetworkRequest, NetworkUseParams } from '../types.js';
import { present } from '../views.js';
import { networkOf } from './leases.js';

/** Members of a request that describe the network, with what an existing one has. */
const DESCRIBED = ['encapsulation', 'tag', 'subnet', 'gateway', 'ipv6Subnet', 'ipv6Gateway'] as const;
type Described = (typeof DESCRIBED)[number];

/** Finds the network, or declares it; and notes that it is used. What is asked for must agree with what is there. */
export function requestNetwork(
  state: State,
  defaults: ModelDefaults,
  request: NetworkRequest,
): NetworkDescription {
  const { tenant, network: name, host, user, runtime } = request;
  const network = `${tenant}/${name}`;
  const existing = state.get('network', network);
  const created = existing === undefined;
  if (existing === undefined)
    declare(state, defaults, { ...described(request), kind: 'Network', tenant, name, owner: runtime });
  else agree(state, defaults, network, existing, request);
  const use = { network, host, user };
  state.set('networkUse', useId(use), use);
  return { ...describeNetwork(networkOf(state, network)), created };
}

/** Ends a use. The network goes with its last use when the runtime declared it and nobody else has anything in it. */
export function releaseNetwork(
  state: State,
  defaults: ModelDefaults,
  { tenant, network: name, host, user, runtime }: NetworkUseParams,
): { released: boolean; removed: boolean } {
  const network = `${tenant}/${name}`;
  const id = useId({ network, host, user });
  const released = state.has('networkUse', id);
  state.set('networkUse', id, undefined);
  const record = state.get('network', network);
  const last = record?.spec.owner === runtime && state.indexes.usesOfNetwork.get(network).size === 0;
  if (!last) return { released, removed: false };
  for (const endpoint of state.indexes.endpointsOfNetwork.get(network)) {
    const { dynamic, interface: port } = state.get('endpoint', endpoint) ?? {};
    if (dynamic !== true || port !== undefined) return { released, removed: false };
  }
  removeOperation(state, defaults, [{ kind: 'Network', name: network }], { cascade: true });
  return { released, removed: true };
}

export function describeNetwork({ spec, encapsulation, tag, ipv4, ipv6 }: NetworkRecord): NetworkDescription {
  return present<NetworkDescription>({
    tenant: spec.tenant,
    network: spec.name,
    encapsulation,
    tag,
    subnet: ipv4 && formatPrefix4(ipv4),
    gateway: ipv4?.gateway === undefined ? undefined : formatIpv4(ipv4.gateway),
    ipv6Subnet: ipv6 && formatPrefix6(ipv6),
    ipv6Gateway: ipv6?.gateway === undefined ? undefined : formatIpv6(ipv6.gateway),
    owner: spec.owner,
    created: false,
  });
}

function described(request: NetworkRequest): Partial<Pick<NetworkIntent, Described>> {
  const members = DESCRIBED.filter((member) => request[member] !== undefined);
  return Object.fromEntries(members.map((member) => [member, request[member]]));
}

function declare(state: State, defaults: ModelDefaults, intent: NetworkIntent): void {
  applyOperation(state, defaults, checkObjects([intent]), { mode: 'add' });
}

/**
 * What a runtime declared a moment ago, and only this host uses, takes up what is said of it later (Docker asks for addresses before it tells
 * the options of the network). Of any other a difference is refused; a gateway of a network that has none is nobody's, and left alone.
 */
function agree(
  state: State,
  defaults: ModelDefaults,
  id: string,
  record: NetworkRecord,
  request: NetworkRequest,
): void {
  const actual: Partial<Record<Described, string | number>> = describeNetwork(record);
  const differing = DESCRIBED.filter((member) => {
    const wanted = request[member];
    return wanted !== undefined && normal(wanted) !== actual[member];
  });
  if (differing.length === 0) return;
  const { usesOfNetwork, endpointsOfNetwork } = state.indexes;
  const ours =
    record.spec.owner === request.runtime &&
    endpointsOfNetwork.get(id).size === 0 &&
    [...usesOfNetwork.get(id)].every((use) => state.get('networkUse', use)?.host === request.host);
  if (ours) return declare(state, defaults, { ...record.spec, ...described(request) });
  for (const member of differing) {
    if (actual[member] === undefined && (member === 'gateway' || member === 'ipv6Gateway')) continue;
    throw refuse(
      'network.differs',
      `network ${id} has ${actual[member] === undefined ? `no ${member}` : `${member} ${actual[member]}`}, not ${request[member]}`,
      { path: member, fix: `leave ${member} out, or use another network` },
    );
  }
}

/** As views write it. */
function normal(value: string | number): string | number {
  if (typeof value === 'number') return value;
  const prefix4 = parsePrefix4(value);
  if (prefix4 !== undefined) return formatPrefix4(prefix4);
  const prefix6 = parsePrefix6(value);
  if (prefix6 !== undefined) return formatPrefix6(prefix6);
  const ipv4 = parseIpv4(value);
  if (ipv4 !== undefined) return formatIpv4(ipv4);
  const ipv6 = parseIpv6(value);
  return ipv6 === undefined ? value : formatIpv6(ipv6);
}
