/**
 * NetworkPolicies of Kubernetes, and the well-known lists of cases: the recipes that everybody copies
 * (github.com/ahmetb/kubernetes-network-policy-recipes, by their numbers) and the conformance tests (test/e2e/network/netpol).
 *
 * The intents of a case are what `controller/kubernetes` makes of its NetworkPolicies. `networkPolicies` says the same by hand, for
 * test/kubernetes to compare: labels of a namespace are there labels of the endpoint (`ns`), and a NetworkPolicy is a policy that
 * denies by default in the directions it is about, and a group of the pods that it selects; what it selects as peers are groups.
 */
import { networkPolicyIntents } from '../../controller/kubernetes/network-policies.js';
import { readObject } from '../../controller/kubernetes/read.js';
import type { PeerIntent, RuleIntent, SelectorIntent } from '../policy-truth/evaluator.js';
import { type TruthCase, web } from './policy-cases.js';
import { type Case, echo, sctp, tcp, udp } from './policy-support.js';

interface KubernetesPeer {
  readonly podSelector?: SelectorIntent;
  readonly namespaceSelector?: SelectorIntent;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

interface KubernetesRule {
  readonly from?: readonly KubernetesPeer[];
  readonly to?: readonly KubernetesPeer[];
  readonly ports?: readonly {
    readonly protocol?: string;
    readonly port?: number | string;
    readonly endPort?: number;
  }[];
}

export interface NetworkPolicy {
  /** Where the policy and the pods it selects are. */
  readonly namespace: string;
  readonly podSelector: SelectorIntent;
  readonly ingress?: readonly KubernetesRule[];
  readonly egress?: readonly KubernetesRule[];
}

const tenant = 'acme';
const both = (a: SelectorIntent = {}, b: SelectorIntent = {}): SelectorIntent => ({
  matchLabels: { ...a.matchLabels, ...b.matchLabels },
  matchExpressions: [...(a.matchExpressions ?? []), ...(b.matchExpressions ?? [])],
});

/** Weft's objects for NetworkPolicies, written by hand. */
export function networkPolicies(...policies: readonly NetworkPolicy[]): Case {
  return policies.flatMap((policy, index) => {
    const name = `np${index}`;
    const inNamespace: SelectorIntent = { matchLabels: { ns: policy.namespace } };
    const peerGroups: Case[number][] = [];
    const peerOf = ({ podSelector, namespaceSelector, ipBlock }: KubernetesPeer): PeerIntent => {
      if (ipBlock !== undefined) return ipBlock;
      const group = `${name}-peer${peerGroups.length}`;
      peerGroups.push({
        kind: 'Group',
        tenant,
        name: group,
        // Without a namespaceSelector pods of the policy's own namespace are meant.
        selector: both(namespaceSelector ?? inNamespace, podSelector),
      });
      return { group };
    };
    const rules: RuleIntent[] = [];
    const add = (direction: 'in' | 'out', { from, to, ports }: KubernetesRule): void => {
      const selected = (direction === 'in' ? from : to)?.map(peerOf) ?? [];
      // A rule of Weft has prefixes of one family.
      const six = selected.filter((peer) => 'cidr' in peer && peer.cidr.includes(':'));
      const rest = selected.filter((peer) => !six.includes(peer));
      for (const peers of six.length > 0 && rest.length > 0 ? [rest, six] : [selected]) {
        const peer = direction === 'in' ? { from: peers } : { to: peers };
        for (const service of ports ?? [undefined]) {
          const { protocol = 'TCP', port, endPort } = service ?? {};
          rules.push({
            name: `r${rules.length}`,
            direction,
            ...(peers.length === 0 ? {} : peer),
            ...(service === undefined ? {} : { protocol: protocol.toLowerCase() }),
            ...(port === undefined ? {} : { ports: [endPort === undefined ? port : `${port}-${endPort}`] }),
          });
        }
      }
    };
    for (const rule of policy.ingress ?? []) add('in', rule);
    for (const rule of policy.egress ?? []) add('out', rule);
    return [
      {
        kind: 'Policy',
        tenant,
        name,
        ...(policy.ingress === undefined ? {} : { defaultIn: 'deny' }),
        ...(policy.egress === undefined ? {} : { defaultOut: 'deny' }),
        rules,
      },
      { kind: 'Group', tenant, name, selector: both(inNamespace, policy.podSelector), policies: [name] },
      ...peerGroups,
    ];
  });
}

/** The objects that the API has for them. */
export const objectsOf = (policies: readonly NetworkPolicy[]): readonly object[] =>
  policies.map(({ namespace, ...spec }, index) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace, name: `np${index}` },
    spec: {
      ...spec,
      policyTypes: [
        ...(spec.ingress === undefined ? [] : ['Ingress']),
        ...(spec.egress === undefined ? [] : ['Egress']),
      ],
    },
  }));

/** What the watcher declares for them in a tenant. */
export function translated(objects: readonly object[], tenant: string): Case {
  const intents = objects.flatMap((object) => {
    const fact = readObject('networkpolicies', object);
    return fact === undefined ? [] : networkPolicyIntents(fact, tenant);
  });
  // Without an owner: tests make them, and replace what they have made.
  return intents.map(({ ...intent }) => {
    delete (intent as { owner?: string }).owner;
    return intent as unknown as Case[number];
  });
}

export interface KubernetesCase extends TruthCase {
  readonly policies: readonly NetworkPolicy[];
}

const all: SelectorIntent = {};
const pod = (...names: readonly string[]): SelectorIntent =>
  names.length === 1
    ? { matchLabels: { pod: names[0] ?? '' } }
    : { matchExpressions: [{ key: 'pod', operator: 'In', values: names }] };
const ns = (...names: readonly string[]): SelectorIntent => ({
  matchExpressions: [{ key: 'ns', operator: 'In', values: names }],
});
const notNs = (...names: readonly string[]): SelectorIntent => ({
  matchExpressions: [{ key: 'ns', operator: 'NotIn', values: names }],
});
/** Namespace x is the letter a, y is b, z is c; pod a is the digit 1, b is 2, c is 3. */
const kubernetes = (
  name: string,
  policies: readonly NetworkPolicy[],
  says: TruthCase['says'],
  services: TruthCase['services'] = [tcp(80), tcp(81), udp(53)],
): KubernetesCase => ({
  name: `Kubernetes: ${name}`,
  policies,
  intents: translated(objectsOf(policies), tenant),
  services,
  says,
  among: [web],
});

/** Of the pods `a` of namespace x (our a1) unless it says otherwise. */
const x = { namespace: 'x', podSelector: pod('a') };
const everyone = { namespace: 'x', podSelector: all };

export const kubernetesCases: readonly KubernetesCase[] = [
  kubernetes('01 deny all traffic to an application', [{ ...x, ingress: [] }], {
    'b1 a1 tcp/80': 'deny',
    'a2 a1 tcp/80': 'deny',
    'a1 b1 tcp/80': 'allow',
    'b1 a2 tcp/80': 'allow',
  }),
  kubernetes(
    '02 limit traffic to an application',
    [{ ...x, ingress: [{ from: [{ podSelector: pod('b') }] }] }],
    {
      'a2 a1 tcp/80': 'allow',
      'a3 a1 tcp/80': 'deny',
      'b2 a1 tcp/80': 'deny',
    },
  ),
  kubernetes(
    '02a allow all to an application, whatever another policy denies',
    [
      { ...everyone, ingress: [] },
      { ...x, ingress: [{}] },
    ],
    {
      'c3 a1 udp/53': 'allow',
      'c3 a2 udp/53': 'deny',
    },
  ),
  kubernetes('03 deny all in a namespace', [{ ...everyone, ingress: [] }], {
    'b1 a3 tcp/80': 'deny',
    'a1 a3 tcp/80': 'deny',
    'a3 b1 tcp/80': 'allow',
  }),
  kubernetes(
    '04 deny from other namespaces',
    [{ ...everyone, ingress: [{ from: [{ podSelector: all }] }] }],
    {
      'a2 a3 tcp/81': 'allow',
      'b2 a3 tcp/81': 'deny',
    },
  ),
  kubernetes(
    '05 from all namespaces',
    [
      { ...x, ingress: [{ from: [{ namespaceSelector: all }] }] },
      { ...everyone, ingress: [] },
    ],
    {
      'c2 a1 tcp/80': 'allow',
      'c2 a2 tcp/80': 'deny',
    },
  ),
  kubernetes('06 from a namespace', [{ ...x, ingress: [{ from: [{ namespaceSelector: ns('y') }] }] }], {
    'b3 a1 udp/53': 'allow',
    'a2 a1 udp/53': 'deny',
    'c3 a1 udp/53': 'deny',
  }),
  kubernetes(
    '07 from some pods of another namespace: and',
    [{ ...x, ingress: [{ from: [{ namespaceSelector: ns('y', 'z'), podSelector: pod('b') }] }] }],
    {
      'b2 a1 tcp/80': 'allow',
      'c2 a1 tcp/80': 'allow',
      'b1 a1 tcp/80': 'deny',
      'a2 a1 tcp/80': 'deny',
    },
  ),
  kubernetes(
    'from a namespace, or from some pods: or',
    [{ ...x, ingress: [{ from: [{ namespaceSelector: ns('y') }, { podSelector: pod('c') }] }] }],
    {
      'b1 a1 tcp/80': 'allow',
      'a3 a1 tcp/80': 'allow',
      'c3 a1 tcp/80': 'deny',
    },
  ),
  kubernetes(
    '08 external clients',
    [{ ...x, ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.1.1.4/30'] } }] }] }],
    {
      'a2 a1 tcp/80': 'allow',
      'b2 a1 tcp/80': 'deny',
      'c2 a1 tcp/80': 'allow',
    },
  ),
  kubernetes(
    '09 a port of an application',
    [{ ...x, ingress: [{ from: [{ podSelector: pod('b') }], ports: [{ port: 81 }] }] }],
    {
      'a2 a1 tcp/81': 'allow',
      'a2 a1 tcp/80': 'deny',
      'b2 a1 tcp/81': 'deny',
    },
  ),
  kubernetes(
    '10 multiple selectors',
    [
      {
        ...x,
        ingress: [
          {
            from: [
              { podSelector: pod('b') },
              { namespaceSelector: ns('z'), podSelector: pod('c') },
              { namespaceSelector: ns('y'), podSelector: pod('a', 'c') },
            ],
          },
        ],
      },
    ],
    {
      'b1 a1 tcp/80': 'allow',
      'b2 a1 tcp/80': 'deny',
      'c3 a1 tcp/80': 'allow',
      'c1 a1 tcp/80': 'deny',
      'a2 a1 tcp/80': 'allow',
    },
  ),
  kubernetes(
    '11 deny egress, but names',
    [{ ...x, egress: [{ ports: [{ protocol: 'UDP', port: 53 }, { port: 53 }] }] }],
    {
      'a1 b1 tcp/80': 'deny',
      'a1 c3 udp/53': 'allow',
      'b1 a1 tcp/80': 'allow',
    },
    [tcp(80), tcp(53), udp(53), udp(80), echo],
  ),
  kubernetes('12 deny all egress of a namespace', [{ ...everyone, egress: [] }], {
    'a1 a2 tcp/80': 'deny',
    'a2 b1 udp/53': 'deny',
    'b1 a2 tcp/80': 'allow',
  }),
  kubernetes(
    '14 deny external egress',
    [
      {
        ...x,
        egress: [
          { ports: [{ protocol: 'UDP', port: 53 }] },
          { to: [{ namespaceSelector: all }], ports: [{ port: 80 }] },
        ],
      },
    ],
    {
      'a1 b1 tcp/80': 'allow',
      'a1 b1 tcp/81': 'deny',
      'a1 b1 udp/53': 'allow',
    },
  ),
  kubernetes(
    'by the name of a port',
    [
      {
        ...x,
        ingress: [{ ports: [{ port: 'serve-81-tcp' }] }],
        egress: [{ ports: [{ port: 'serve-80-tcp' }] }],
      },
    ],
    {
      'b1 a1 tcp/81': 'allow',
      'b1 a1 tcp/80': 'deny',
      'a1 b1 tcp/80': 'allow',
      'a1 b1 tcp/81': 'deny',
    },
  ),
  kubernetes(
    'endPort',
    [
      {
        ...x,
        ingress: [
          {
            ports: [
              { port: 79, endPort: 81 },
              { protocol: 'UDP', port: 1000, endPort: 1999 },
            ],
          },
        ],
      },
    ],
    {
      'b1 a1 tcp/79': 'allow',
      'b1 a1 tcp/82': 'deny',
      'b1 a1 udp/1999': 'allow',
      'b1 a1 udp/2000': 'deny',
    },
    [tcp(78), tcp(79), tcp(81), tcp(82), udp(999), udp(1500), udp(1999), udp(2000)],
  ),
  kubernetes(
    'egress to CIDR with exceptions, either family',
    [
      {
        ...x,
        egress: [
          {
            to: [
              { ipBlock: { cidr: '10.1.1.0/24', except: ['10.1.1.5/32', '10.1.1.8/30'] } },
              { ipBlock: { cidr: 'fd00:1::/64', except: ['fd00:1::4/128'] } },
            ],
          },
        ],
      },
    ],
    { 'a1 b1 tcp/80': 'allow', 'a1 b2 tcp/80': 'deny', 'a1 c3 tcp/80': 'deny', 'a1 c1 tcp/80': 'allow' },
  ),
  kubernetes(
    'an address that one policy excepts and another allows',
    [
      { ...x, egress: [{ to: [{ ipBlock: { cidr: '10.1.1.0/24', except: ['10.1.1.4/30'] } }] }] },
      { ...x, egress: [{ to: [{ ipBlock: { cidr: '10.1.1.5/32' } }] }] },
    ],
    { 'a1 b2 tcp/80': 'allow', 'a1 b1 tcp/80': 'deny', 'a1 c2 tcp/80': 'allow' },
  ),
  kubernetes(
    'union of policies',
    [
      { ...x, ingress: [{ from: [{ podSelector: pod('b') }], ports: [{ port: 80 }] }] },
      { ...x, ingress: [{ from: [{ namespaceSelector: ns('y') }], ports: [{ port: 81 }] }] },
      { ...everyone, ingress: [{ ports: [{ protocol: 'UDP' }] }], egress: [] },
    ],
    {
      'a2 a1 tcp/80': 'deny',
      'b1 a1 tcp/81': 'allow',
      'b1 a1 tcp/80': 'deny',
      'c1 a3 udp/53': 'allow',
      'c1 a3 tcp/80': 'deny',
    },
  ),
  kubernetes(
    'ingress and egress of the two ends',
    [
      { namespace: 'y', podSelector: all, egress: [{ to: [{ namespaceSelector: ns('x') }] }] },
      { ...everyone, ingress: [{ from: [{ namespaceSelector: notNs('z') }], ports: [{ port: 80 }] }] },
    ],
    {
      'b1 a1 tcp/80': 'allow',
      'b1 a1 tcp/81': 'deny',
      'b1 c1 tcp/80': 'deny',
      'c1 a1 tcp/80': 'deny',
      'a1 a2 tcp/80': 'allow',
    },
  ),
  kubernetes(
    'UDP only, SCTP only',
    [
      { ...x, ingress: [{ ports: [{ protocol: 'UDP', port: 80 }] }] },
      { namespace: 'y', podSelector: all, ingress: [{ ports: [{ protocol: 'SCTP', port: 80 }] }] },
    ],
    { 'b1 a1 tcp/80': 'deny', 'b1 a1 udp/80': 'allow', 'a1 b1 sctp/80': 'allow', 'a1 b1 tcp/80': 'deny' },
    [tcp(80), udp(80), sctp(80), sctp(81)],
  ),
  kubernetes(
    'expressions',
    [
      {
        namespace: 'x',
        podSelector: {
          matchExpressions: [
            { key: 'pod', operator: 'NotIn', values: ['a'] },
            { key: 'pod', operator: 'Exists' },
          ],
        },
        ingress: [
          {
            from: [
              {
                namespaceSelector: {
                  matchExpressions: [
                    { key: 'nothing', operator: 'DoesNotExist' },
                    { key: 'ns', operator: 'In', values: ['y'] },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
    { 'b1 a2 tcp/80': 'allow', 'c1 a2 tcp/80': 'deny', 'c1 a1 tcp/80': 'allow' },
  ),
];
