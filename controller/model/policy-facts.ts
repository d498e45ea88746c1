/** From records of policy and quality of service to facts. Records have been checked: what cannot be read is left out. */
import type {
  AddressPeer,
  AddressSetFact,
  EndpointFact,
  GroupFact,
  LabelSelector,
  NamedPort,
  Peer,
  PolicyFact,
  QosProfileFact,
  RateLimit,
  RuleFact,
} from './facts.js';
import type { GroupIntent, PeerIntent } from './intents.js';
import { addressBlock, parsePrefixes } from './prefixes.js';
import { defaultBurst, parseBurst, parseDscp, parseRate } from './rates.js';
import type {
  AddressSetRecord,
  EndpointRecord,
  GroupRecord,
  PolicyRecord,
  QosProfileRecord,
  RuleRecord,
  TierRecord,
  Traits,
} from './records.js';
import { parseNamedPort, servicesOf } from './services.js';
import type { AnnouncedRate, AnnouncedRates } from './types.js';

/** Of policies that name no tier. */
export const DEFAULT_TIER = 10;

/** What an endpoint's agent says of it, under what its intent says. */
export function traitsOf({ spec, announced = {} }: EndpointRecord): Traits {
  const groups = [...new Set([...(announced.groups ?? []), ...(spec.groups ?? [])])].sort();
  const labels = { ...announced.labels, ...spec.labels };
  const ports = { ...announced.ports, ...spec.ports };
  const qos = spec.qos ?? announced.qos;
  const { rates } = announced;
  return {
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(ports).length === 0 ? {} : { ports }),
    ...(qos === undefined ? {} : { qos }),
    ...(rates === undefined ? {} : { rates }),
  };
}

export function traitsFact(
  record: EndpointRecord,
): Pick<EndpointFact, 'labels' | 'groups' | 'namedPorts' | 'qos' | 'rates'> {
  const { tenant } = record.spec;
  const { labels, groups, ports, qos, rates } = traitsOf(record);
  const namedPorts = Object.entries(ports ?? {})
    .map(([name, port]) => [name, parseNamedPort(port)] as const)
    .filter((entry): entry is [string, NamedPort] => entry[1] !== undefined);
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(groups === undefined ? {} : { groups: groups.map((group) => `${tenant}/${group}`) }),
    ...(namedPorts.length === 0 ? {} : { namedPorts: Object.fromEntries(namedPorts) }),
    ...(qos === undefined ? {} : { qos: `${tenant}/${qos}` }),
    ...(rates === undefined ? {} : { rates: ratesFact(rates) }),
  };
}

function ratesFact({ in: incoming, out: outgoing }: AnnouncedRates): NonNullable<EndpointFact['rates']> {
  const limit = ({ kilobitsPerSecond, burstKilobits }: AnnouncedRate): RateLimit => ({
    kilobitsPerSecond,
    burstKilobits: burstKilobits ?? defaultBurst(kilobitsPerSecond),
  });
  return {
    ...(incoming === undefined ? {} : { in: limit(incoming) }),
    ...(outgoing === undefined ? {} : { out: limit(outgoing) }),
  };
}

export const selectorOf = ({
  matchLabels = {},
  matchExpressions = [],
}: NonNullable<GroupIntent['selector']>): LabelSelector => ({
  matchLabels,
  expressions: matchExpressions.map(({ key, operator, values = [] }) => ({ key, operator, values })),
});

export function groupFact({ number, spec }: GroupRecord): GroupFact {
  const { tenant, name, endpoints = [], networks = [], selector, policies = [], qos } = spec;
  const inTenant = (names: readonly string[]) => names.map((one) => `${tenant}/${one}`);
  return {
    id: `${tenant}/${name}`,
    tenant,
    name,
    number,
    endpoints: inTenant(endpoints),
    networks: inTenant(networks),
    ...(selector === undefined ? {} : { selector: selectorOf(selector) }),
    policies: inTenant(policies),
    ...(qos === undefined ? {} : { qos: `${tenant}/${qos}` }),
  };
}

/** Records are replaced, never changed: what has been made of one holds as long as it does. */
function remembered<R extends object, F>(make: (record: R) => F): (record: R) => F {
  const made = new WeakMap<R, F>();
  return (record) => {
    let fact = made.get(record);
    if (fact === undefined) {
      fact = make(record);
      made.set(record, fact);
    }
    return fact;
  };
}

export const addressSetFact = remembered(
  ({ number, spec }: AddressSetRecord): AddressSetFact => ({
    id: `${spec.tenant}/${spec.name}`,
    tenant: spec.tenant,
    name: spec.name,
    number,
    ...addressBlock(parsePrefixes(spec.addresses), parsePrefixes(spec.except)),
  }),
);

export const policyFact = ({ number, spec }: PolicyRecord, tier: TierRecord | undefined): PolicyFact => ({
  id: `${spec.tenant}/${spec.name}`,
  tenant: spec.tenant,
  name: spec.name,
  number,
  tier: tier?.spec.priority ?? DEFAULT_TIER,
  ...(spec.defaultIn === undefined ? {} : { defaultIn: spec.defaultIn }),
  ...(spec.defaultOut === undefined ? {} : { defaultOut: spec.defaultOut }),
});

function peerFact(tenant: string, { group, network, addressSet, cidr, except }: PeerIntent): Peer {
  if (group !== undefined) return { kind: 'group', id: `${tenant}/${group}` };
  if (network !== undefined) return { kind: 'network', id: `${tenant}/${network}` };
  if (addressSet !== undefined) return { kind: 'addressSet', id: `${tenant}/${addressSet}` };
  return {
    kind: 'block',
    block: addressBlock(parsePrefixes(cidr === undefined ? [] : [cidr]), parsePrefixes(except)),
  };
}

export const ruleFact = remembered(({ number, position, spec }: RuleRecord): RuleFact => {
  const { tenant, policy, name, direction = 'in', priority = 1, action = 'allow' } = spec;
  const peers = (direction === 'in' ? spec.from : spec.to) ?? [];
  const groups = (spec.groupAddresses ?? []).map((group) => peerFact(tenant, group) as AddressPeer);
  return {
    id: `${tenant}/${policy}/${name}`,
    policy: `${tenant}/${policy}`,
    name,
    number,
    direction,
    priority,
    position,
    action,
    log: spec.log ?? false,
    stateless: spec.stateless ?? false,
    peers: peers.map((peer) => peerFact(tenant, peer)),
    services: servicesOf(spec),
    ...(groups.length === 0 ? {} : { groupAddresses: groups }),
  };
});

type RateIntent = NonNullable<QosProfileRecord['spec']['in']>;

function rateLimit({ rate, burst }: RateIntent): RateLimit | undefined {
  const kilobitsPerSecond = parseRate(rate);
  if (typeof kilobitsPerSecond === 'string') return undefined;
  const asked = burst === undefined ? undefined : parseBurst(burst);
  return {
    kilobitsPerSecond,
    burstKilobits: typeof asked === 'number' ? asked : defaultBurst(kilobitsPerSecond),
  };
}

export function qosProfileFact({ number, spec }: QosProfileRecord): QosProfileFact {
  const outgoing = spec.out && rateLimit(spec.out);
  const incoming = spec.in && rateLimit(spec.in);
  const dscp = spec.dscp === undefined ? undefined : parseDscp(spec.dscp);
  const guaranteed = spec.guaranteed === undefined ? undefined : parseRate(spec.guaranteed);
  return {
    id: `${spec.tenant}/${spec.name}`,
    tenant: spec.tenant,
    name: spec.name,
    number,
    ...(outgoing === undefined ? {} : { out: outgoing }),
    ...(incoming === undefined ? {} : { in: incoming }),
    sharing: spec.sharing ?? 'endpoint',
    ...(dscp === undefined ? {} : { dscp }),
    trust: spec.trust ?? false,
    ...(spec.queue === undefined ? {} : { queue: spec.queue }),
    ...(typeof guaranteed === 'number' ? { guaranteedKilobitsPerSecond: guaranteed } : {}),
  };
}
