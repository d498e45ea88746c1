/**
 * Labels of a cluster as labels of endpoints. An endpoint carries the labels of its pod as they are, and those of its namespace under a
 * reserved domain, so that a selector of namespaces is a selector of endpoints. Pods cannot lie: labels of theirs that lie in the reserved
 * domain are moved out of the way, in endpoints and in selectors alike.
 */
import { createHash } from 'node:crypto';
import type { V1LabelSelector } from '@kubernetes/client-node';
import type { GroupIntent } from '../model/intents.js';
import { type Labels, Malformed, type Wire } from './facts.js';

/** All keys in and below this domain are the watcher's. */
export const RESERVED_DOMAIN = 'kubernetes.weft';
/** Label of every pod's endpoint: the name of its namespace. */
export const NAMESPACE_KEY = `${RESERVED_DOMAIN}/namespace`;

const NAMESPACE_LABELS = `namespace.${RESERVED_DOMAIN}`;
const POD_LABELS = `pod.${RESERVED_DOMAIN}`;
/** Longest domain of a label's key (RFC 1123 subdomain). */
const MAX_DOMAIN = 253;

export type Selector = NonNullable<GroupIntent['selector']>;
type WireSelector = Wire<V1LabelSelector>;

export const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16);

/** A key below a domain; a domain of its own stays recognisable as long as it fits. */
function below(domain: string, key: string): string {
  const slash = key.indexOf('/');
  if (slash === -1) return `${domain}/${key}`;
  const [own, name] = [key.slice(0, slash), key.slice(slash + 1)];
  const fits = own.length + 1 + domain.length <= MAX_DOMAIN;
  return `${fits ? own : digestOf(own)}.${domain}/${name}`;
}

const namespaceKey = (key: string): string => below(NAMESPACE_LABELS, key);

function podKey(key: string): string {
  const domain = key.slice(0, Math.max(0, key.indexOf('/')));
  const isReserved = domain === RESERVED_DOMAIN || domain.endsWith(`.${RESERVED_DOMAIN}`);
  return isReserved ? below(POD_LABELS, key) : key;
}

/** Labels of a pod's endpoint. */
export function endpointLabels(
  pod: { readonly namespace: string; readonly labels: Labels },
  namespaceLabels: Labels,
): Record<string, string> {
  const labels: Record<string, string> = { [NAMESPACE_KEY]: pod.namespace };
  for (const [key, value] of Object.entries(namespaceLabels)) labels[namespaceKey(key)] = value;
  for (const [key, value] of Object.entries(pod.labels)) labels[podKey(key)] = value;
  return labels;
}

/** Pods of one namespace. */
export function podsOfNamespace(namespace: string, pods: WireSelector = {}): Selector {
  return join({ matchLabels: { [NAMESPACE_KEY]: namespace } }, renamed(pods, podKey));
}

/** Pods of the namespaces that a selector chooses. Endpoints that are no pods are never among them, even if all namespaces are. */
export function podsOfNamespaces(namespaces: WireSelector, pods: WireSelector = {}): Selector {
  const isPod: Selector = { matchExpressions: [{ key: NAMESPACE_KEY, operator: 'Exists' }] };
  return join(isPod, renamed(namespaces, namespaceKey), renamed(pods, podKey));
}

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;
type Operator = (typeof OPERATORS)[number];
const isOperator = (text: string): text is Operator => (OPERATORS as readonly string[]).includes(text);

function renamed({ matchLabels, matchExpressions }: WireSelector, keyOf: (key: string) => string): Selector {
  return {
    matchLabels: Object.fromEntries(
      Object.entries(matchLabels ?? {})
        .sort(([a], [b]) => compare(a, b))
        .map(([key, value]) => [keyOf(key), value]),
    ),
    matchExpressions: (matchExpressions ?? [])
      .map(({ key, operator, values }) => {
        if (!isOperator(operator))
          throw new Malformed(`operator "${operator}" is none of ${OPERATORS.join(', ')}`);
        const list = [...new Set(values ?? [])].sort(compare);
        const needsValues = operator === 'In' || operator === 'NotIn';
        if (needsValues !== list.length > 0)
          throw new Malformed(
            `operator ${operator} of label ${key} ${needsValues ? 'needs' : 'takes no'} values`,
          );
        return { key: keyOf(key), operator, ...(needsValues ? { values: list } : {}) };
      })
      .sort((a, b) => compare(a.key, b.key) || compare(a.operator, b.operator)),
  };
}

/** All of them have to hold. Their labels have different keys. */
function join(...selectors: readonly Selector[]): Selector {
  const matchLabels: Record<string, string> = Object.assign({}, ...selectors.map((one) => one.matchLabels));
  const matchExpressions = selectors.flatMap((one) => one.matchExpressions ?? []);
  return {
    ...(Object.keys(matchLabels).length === 0 ? {} : { matchLabels }),
    ...(matchExpressions.length === 0 ? {} : { matchExpressions }),
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
