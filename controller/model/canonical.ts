/** One way to say each thing: intents are compared and stored without what says nothing, and rules without contiv's members. */
import type { IntentObject } from './intents.js';
import { copyLocations } from './locations.js';
import type { PeerIntent, PolicyRule } from './policy-intents.js';

/** Members whose emptiness means something: a policy without rules, a selector of everything. */
const MEANINGFUL = new Set(['rules', 'selector']);

/** Without empty lists and maps, numbers as numbers; the object itself when it is so. */
export function canonical<T extends IntentObject>(object: T): T {
  const result = withoutEmpty(withNumbers(object));
  if (result !== object) copyLocations(object, result);
  return result;
}

/** A number that was written as text, where both may be. */
export const numberOrText = (value: number | string): number | string =>
  typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;

function withNumbers<T extends IntentObject>(object: T): T {
  if (object.kind === 'Endpoint' && object.ports !== undefined)
    return { ...object, ports: numberedPorts(object.ports) };
  if (object.kind === 'QosProfile' && typeof object.dscp === 'string')
    return { ...object, dscp: numberOrText(object.dscp) };
  return object;
}

export const numberedPorts = (
  ports: Readonly<Record<string, number | string>>,
): Record<string, number | string> =>
  Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, numberOrText(port)]));

/** The value itself when nothing in it is empty. */
export function withoutEmpty<T>(value: T): T {
  return strip(value) as T;
}

function strip(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(strip);
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  let changed = false;
  const members: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    // A policy's rules are made canonical one by one.
    const kept = key === 'rules' ? member : strip(member);
    if (member === undefined || (!MEANINGFUL.has(key) && isEmpty(kept))) changed = true;
    else {
      members[key] = kept;
      changed ||= kept !== member;
    }
  }
  return changed ? members : value;
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** contiv's members, the list that each is short for, and what it says of a peer. */
export const SHORTHANDS = [
  { member: 'fromEndpointGroup', list: 'from', peer: (group: string): PeerIntent => ({ group }) },
  { member: 'fromNetwork', list: 'from', peer: (network: string): PeerIntent => ({ network }) },
  { member: 'fromIpAddress', list: 'from', peer: (cidr: string): PeerIntent => ({ cidr }) },
  { member: 'toEndpointGroup', list: 'to', peer: (group: string): PeerIntent => ({ group }) },
  { member: 'toNetwork', list: 'to', peer: (network: string): PeerIntent => ({ network }) },
  { member: 'toIpAddress', list: 'to', peer: (cidr: string): PeerIntent => ({ cidr }) },
] as const;

/** A rule with `from`, `to` and `ports` in place of contiv's members. */
export function withoutShorthands<R extends PolicyRule>(rule: R): R {
  const { protocol } = rule;
  const isPlain =
    rule.port === undefined &&
    SHORTHANDS.every(({ member }) => rule[member] === undefined) &&
    (protocol === undefined || numberOrText(protocol) === protocol) &&
    (rule.ports ?? []).every((port) => numberOrText(port) === port);
  if (isPlain) return withoutEmpty(rule);
  const {
    fromEndpointGroup: _1,
    toEndpointGroup: _2,
    fromNetwork: _3,
    toNetwork: _4,
    fromIpAddress: _5,
    toIpAddress: _6,
    port,
    ...rest
  } = rule;
  const lists: { from?: PeerIntent[]; to?: PeerIntent[] } = {};
  for (const { member, list, peer } of SHORTHANDS) {
    const value = rule[member];
    if (value !== undefined) (lists[list] ??= [...(rule[list] ?? [])]).push(peer(value));
  }
  const ports = port === undefined || port === 0 ? rule.ports : [...(rule.ports ?? []), port];
  const full = {
    ...rest,
    ...lists,
    ...(protocol === undefined ? {} : { protocol: numberOrText(protocol) }),
    ...(ports === undefined ? {} : { ports: ports.map(numberOrText) }),
  } as unknown as R;
  return withoutEmpty(full);
}
