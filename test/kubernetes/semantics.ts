/**
 * What NetworkPolicies mean (networking.k8s.io/v1), as naive as it can be: the objects as the API has them, two addresses, a protocol and a
 * port. Shares no code with what it judges.
 */
import type {
  V1LabelSelector,
  V1NetworkPolicy,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
} from '@kubernetes/client-node';
import type { Wire } from '../../controller/kubernetes/facts.js';
import { parseAddress, within } from '../policy-truth/evaluator.js';

export interface TestPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly containerPort: number;
  }[];
  readonly addresses: readonly string[];
}

export interface Cluster {
  /** Labels of namespaces. */
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly pods: readonly TestPod[];
  readonly policies: readonly Wire<V1NetworkPolicy>[];
}

export interface Connection {
  readonly from: string;
  readonly to: string;
  /** Without: a protocol without ports. */
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  readonly port?: number;
}

export function isAllowed(cluster: Cluster, connection: Connection): boolean {
  const podAt = (address: string) => cluster.pods.find(({ addresses }) => addresses.includes(address));
  const [sender, receiver] = [podAt(connection.from), podAt(connection.to)];
  const side = (pod: TestPod | undefined, type: 'Ingress' | 'Egress'): boolean => {
    if (pod === undefined) return true;
    const policies = cluster.policies.filter(
      (policy) =>
        policy.metadata?.namespace === pod.namespace &&
        selects(policy.spec?.podSelector ?? {}, pod.labels) &&
        isAbout(policy, type),
    );
    if (policies.length === 0) return true;
    const other = type === 'Ingress' ? connection.from : connection.to;
    return policies.some((policy) => {
      const rules =
        type === 'Ingress'
          ? (policy.spec?.ingress ?? []).map(({ from, ports }) => ({ peers: from ?? [], ports: ports ?? [] }))
          : (policy.spec?.egress ?? []).map(({ to, ports }) => ({ peers: to ?? [], ports: ports ?? [] }));
      return rules.some(
        ({ peers, ports }) =>
          (peers.length === 0 || peers.some((peer) => isPeer(cluster, pod.namespace, peer, other))) &&
          (ports.length === 0 || ports.some((port) => isPort(port, connection, receiver))),
      );
    });
  };
  return side(sender, 'Egress') && side(receiver, 'Ingress');
}

function isAbout({ spec }: Wire<V1NetworkPolicy>, type: 'Ingress' | 'Egress'): boolean {
  const types = spec?.policyTypes ?? [];
  if (types.length > 0) return types.includes(type);
  return type === 'Ingress' || (spec?.egress ?? []).length > 0;
}

function isPeer(
  cluster: Cluster,
  namespace: string,
  peer: Wire<V1NetworkPolicyPeer>,
  address: string,
): boolean {
  if (peer.ipBlock !== undefined) {
    const parsed = parseAddress(address);
    const { cidr, except = [] } = peer.ipBlock;
    return within(parsed, cidr) && !except.some((one) => within(parsed, one));
  }
  const pod = cluster.pods.find(({ addresses }) => addresses.includes(address));
  if (pod === undefined) return false;
  const inNamespace =
    peer.namespaceSelector === undefined
      ? pod.namespace === namespace
      : selects(peer.namespaceSelector, cluster.namespaces[pod.namespace] ?? {});
  return inNamespace && selects(peer.podSelector ?? {}, pod.labels);
}

function isPort(
  { protocol = 'TCP', port, endPort }: Wire<V1NetworkPolicyPort>,
  asked: Connection,
  receiver: TestPod | undefined,
): boolean {
  if (protocol !== asked.protocol || asked.port === undefined) return false;
  if (port === undefined) return true;
  if (typeof port === 'number') return port <= asked.port && asked.port <= (endPort ?? port);
  const named = receiver?.ports.find((one) => one.name === port && one.protocol === protocol);
  return named?.containerPort === asked.port;
}

function selects(
  { matchLabels, matchExpressions }: Wire<V1LabelSelector>,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const [key, value] of Object.entries(matchLabels ?? {})) if (labels[key] !== value) return false;
  return (matchExpressions ?? []).every(({ key, operator, values }) => {
    const value = labels[key];
    const listed = value !== undefined && (values ?? []).includes(value);
    if (operator === 'In') return listed;
    if (operator === 'NotIn') return !listed;
    return (value !== undefined) === (operator === 'Exists');
  });
}
