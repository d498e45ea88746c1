/** Pods as endpoints. */
import type { EndpointIntent } from '../model/intents.js';
import type { Labels, PodFact, PodPort } from './facts.js';
import { endpointLabels } from './labels.js';
import { nameIn, OWNER } from './names.js';

/** Where the endpoints of pods are. */
export interface Place {
  readonly tenant: string;
  readonly network: string;
}

/** True for a pod that has a port in the network: not those on their node's own, nor what waits for a node or has ended. */
export const hasEndpoint = (pod: PodFact): pod is PodFact & { readonly node: string } =>
  !pod.hostNetwork && !pod.finished && pod.node !== undefined;

/** @param host label of the host of the pod's node */
export function podEndpoint(
  pod: PodFact,
  namespaceLabels: Labels,
  host: string,
  { tenant, network }: Place,
): EndpointIntent {
  return {
    kind: 'Endpoint',
    tenant,
    network,
    name: nameIn(pod.namespace, pod.name),
    host,
    labels: endpointLabels(pod, namespaceLabels),
    ...(pod.ports.length === 0 ? {} : { ports: namedPorts(pod.ports) }),
    owner: OWNER,
  };
}

/**
 * The name by which rules find a named port. Names of ports are lower case; ports of one name may differ by protocol, and endpoints
 * have one port of a name.
 */
export const portName = (name: string, protocol: PodPort['protocol']): string =>
  protocol === 'TCP' ? name : `${name}-${protocol}`;

/** Of two containers with a port of one name and protocol the first counts, as in Kubernetes' own Services. */
function namedPorts(ports: readonly PodPort[]): Record<string, number | string> {
  const named: Record<string, number | string> = {};
  for (const { name, protocol, port } of ports)
    named[portName(name, protocol)] ??= protocol === 'TCP' ? port : `${port}/${protocol.toLowerCase()}`;
  return named;
}
