/**
 * NetworkPolicies (networking.k8s.io/v1) as policies and groups. A NetworkPolicy is a policy that denies by default in the directions it is
 * about, and a group of the pods that it selects. What it selects as peers are groups named after their selector, so that policies which
 * select the same share one.
 */
import type {
  V1IPBlock,
  V1NetworkPolicyEgressRule,
  V1NetworkPolicyIngressRule,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
} from '@kubernetes/client-node';
import { network4, network6, parsePrefix4, parsePrefix6 } from '../model/address.js';
import type { PrefixFact } from '../model/facts.js';
import type { GroupIntent, IntentObject, PeerIntent, PolicyRule } from '../model/intents.js';
import { addressBlock, covers, formatPrefix } from '../model/prefixes.js';
import { Malformed, type NetworkPolicyFact, type PodPort, type Wire } from './facts.js';
import { digestOf, podsOfNamespace, podsOfNamespaces, type Selector } from './labels.js';
import { nameIn, OWNER } from './names.js';
import { portName } from './pods.js';

type Port = Wire<V1NetworkPolicyPort>;
type Peer = Wire<V1NetworkPolicyPeer>;
type Direction = 'in' | 'out';

/** What a rule matches besides its peers; without a protocol everything. */
interface Services {
  readonly protocol?: string;
  readonly ports?: (number | string)[];
}

/** Most peers, and most ports, that one rule of Weft may have. */
const MAX_LIST = 1000;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
const TYPES = ['Ingress', 'Egress'] as const;

/** The policy, the group of its pods, and the groups of its peers. @throws Malformed */
export function networkPolicyIntents(fact: NetworkPolicyFact, tenant: string): readonly IntentObject[] {
  const { namespace, spec } = fact;
  const name = nameIn(namespace, fact.name);
  const groups = new Map<string, GroupIntent>();
  const groupOf = (selector: Selector): PeerIntent => {
    const group = `selector_${digestOf(JSON.stringify(selector))}`;
    groups.set(group, { kind: 'Group', tenant, name: group, selector, owner: OWNER });
    return { group };
  };
  const peersOf = (list: readonly Peer[] | undefined): PeerIntent[] | undefined =>
    // An empty list means what none means: everybody.
    (list ?? []).length === 0 ? undefined : (list ?? []).flatMap((peer) => peerOf(peer, namespace, groupOf));

  const { ingress, egress } = directionsOf(spec);
  const rules: PolicyRule[] = [];
  if (ingress) {
    for (const [index, rule] of (spec.ingress ?? []).entries())
      rules.push(
        ...rulesOf('in', index, peersOf((rule as Wire<V1NetworkPolicyIngressRule>).from), rule.ports),
      );
  }
  if (egress) {
    for (const [index, rule] of (spec.egress ?? []).entries())
      rules.push(...rulesOf('out', index, peersOf((rule as Wire<V1NetworkPolicyEgressRule>).to), rule.ports));
  }
  return [
    {
      kind: 'Policy',
      tenant,
      name,
      ...(ingress ? { defaultIn: 'deny' as const } : {}),
      ...(egress ? { defaultOut: 'deny' as const } : {}),
      rules,
      owner: OWNER,
    },
    {
      kind: 'Group',
      tenant,
      name,
      selector: podsOfNamespace(namespace, spec.podSelector ?? {}),
      policies: [name],
      owner: OWNER,
    },
    ...groups.values(),
  ];
}

/** Where the policy does not say: ingress always, egress if it has rules for it. */
function directionsOf({ policyTypes, egress }: NetworkPolicyFact['spec']): {
  readonly ingress: boolean;
  readonly egress: boolean;
} {
  const types = policyTypes ?? [];
  const unknown = types.find((type) => !(TYPES as readonly string[]).includes(type));
  if (unknown !== undefined) throw new Malformed(`policyTypes: "${unknown}" is none of ${TYPES.join(', ')}`);
  if (types.length === 0) return { ingress: true, egress: (egress ?? []).length > 0 };
  return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
}

/** None when nothing is left of its addresses. */
function peerOf(
  { ipBlock, namespaceSelector, podSelector }: Peer,
  namespace: string,
  groupOf: (selector: Selector) => PeerIntent,
): PeerIntent[] {
  const selects = (namespaceSelector ?? podSelector ?? undefined) !== undefined;
  if ((ipBlock ?? undefined) !== undefined) {
    if (selects) throw new Malformed('a peer has ipBlock and a selector at once');
    return blockOf(ipBlock as Wire<V1IPBlock>);
  }
  if (!selects) throw new Malformed('a peer has none of ipBlock, namespaceSelector and podSelector');
  const pods = podSelector ?? {};
  // Without a selector of namespaces pods of the policy's own are meant.
  const hasNamespaces = (namespaceSelector ?? undefined) !== undefined;
  return [
    groupOf(
      hasNamespaces ? podsOfNamespaces(namespaceSelector ?? {}, pods) : podsOfNamespace(namespace, pods),
    ),
  ];
}

function blockOf({ cidr, except }: Wire<V1IPBlock>): PeerIntent[] {
  const block = prefixOf(cidr);
  const exceptions = (except ?? []).map((text) => {
    const exception = prefixOf(text);
    if (!covers(block, exception)) throw new Malformed(`except ${text} is not inside of ${cidr}`);
    return exception;
  });
  const { prefixes, except: left } = addressBlock([block], exceptions);
  if (prefixes.length === 0) return [];
  return [
    {
      cidr: formatPrefix(block),
      ...(left.length === 0 ? {} : { except: left.map(formatPrefix) }),
    },
  ];
}

/** Bits beyond the length are allowed in Kubernetes, and say nothing. */
function prefixOf(text: string): PrefixFact {
  const prefix4 = parsePrefix4(text);
  if (prefix4 !== undefined) return { family: 4, ...network4(prefix4) };
  const prefix6 = parsePrefix6(text);
  if (prefix6 !== undefined) return { family: 6, ...network6(prefix6) };
  throw new Malformed(`"${text}" is no CIDR`);
}

/** @param peers undefined: anybody; empty: nobody */
function rulesOf(
  direction: Direction,
  index: number,
  peers: PeerIntent[] | undefined,
  ports: readonly Port[] | undefined,
): PolicyRule[] {
  const services = servicesOf(ports ?? []);
  if (peers === undefined) {
    return services.map((one) => ruleOf(`${direction}-${index}${suffixOf(one)}`, direction, undefined, one));
  }
  const isIpv6 = ({ cidr }: PeerIntent) => cidr?.includes(':') === true;
  // A rule of Weft has prefixes of one family.
  const families = [peers.filter((peer) => !isIpv6(peer)), peers.filter(isIpv6)] as const;
  return families.flatMap((family, second) =>
    chunks(family).flatMap((part, chunk) =>
      services.map((one) =>
        ruleOf(
          `${direction}-${index}${suffixOf(one)}${second === 1 ? '-ipv6' : ''}${chunk === 0 ? '' : `-${chunk}`}`,
          direction,
          part,
          one,
        ),
      ),
    ),
  );
}

interface NumberedServices extends Services {
  readonly part: number;
}

const suffixOf = ({ protocol, part }: NumberedServices): string =>
  `${protocol === undefined ? '' : `-${protocol}`}${part === 0 ? '' : `-part${part}`}`;

function ruleOf(
  name: string,
  direction: Direction,
  peers: PeerIntent[] | undefined,
  { protocol, ports }: Services,
): PolicyRule {
  return {
    name,
    direction,
    ...(peers === undefined ? {} : direction === 'in' ? { from: peers } : { to: peers }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(ports === undefined ? {} : { ports }),
  };
}

/** One for each protocol; all ports of a protocol stand over single ones. */
function servicesOf(ports: readonly Port[]): readonly NumberedServices[] {
  if (ports.length === 0) return [{ part: 0 }];
  return PROTOCOLS.flatMap((protocol) => {
    const own = ports.filter((port) => protocolOf(port) === protocol);
    if (own.length === 0) return [];
    const word = protocol.toLowerCase();
    const listed = own.map((port) => portOf(port, protocol));
    if (listed.includes(undefined)) return [{ protocol: word, part: 0 }];
    const known = [...new Set(listed as (number | string)[])];
    return chunks(known).map((part, index) => ({ protocol: word, ports: part, part: index }));
  });
}

function protocolOf({ protocol }: Port): PodPort['protocol'] {
  const found = PROTOCOLS.find((known) => known === (protocol ?? 'TCP'));
  if (found === undefined) throw new Malformed(`protocol "${protocol}" is none of ${PROTOCOLS.join(', ')}`);
  return found;
}

/** Undefined: all ports of the protocol. */
function portOf(
  { port: given, endPort: end }: Port,
  protocol: PodPort['protocol'],
): number | string | undefined {
  const port = given ?? undefined;
  const endPort = end ?? undefined;
  if (typeof port === 'number') {
    checkNumber('port', port);
    if (endPort === undefined || endPort === port) return port;
    checkNumber('endPort', endPort);
    if (endPort < port) throw new Malformed(`endPort ${endPort} is below port ${port}`);
    return `${port}-${endPort}`;
  }
  if (endPort !== undefined) throw new Malformed('endPort needs a port that is a number');
  return port === undefined ? undefined : portName(port, protocol);
}

function checkNumber(member: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Malformed(`${member} ${port} is no number from 1 to 65535`);
}

function chunks<T>(items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += MAX_LIST)
    parts.push(items.slice(start, start + MAX_LIST));
  return parts;
}
