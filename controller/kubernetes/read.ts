/**
 * Objects of the API, as JSON, to facts. What is read of an object is checked by a schema; what is not read may be anything. An object that
 * does not fit is refused with its reason and skipped: one broken object does not stop the others.
 */
import type { V1Namespace, V1NetworkPolicy, V1Node, V1Pod, V1Service } from '@kubernetes/client-node';
import Type, { type TProperties, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Facts, Malformed, type PodPort, type Resource, type Wire } from './facts.js';

/** Annotation of a node: label of the host that its agent runs as. Default: the node's name. */
export const HOST_LABEL_ANNOTATION = 'kubernetes.weft/host-label';

const text = Type.String();
const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const list = <T extends TSchema>(item: T) => optional(Type.Array(item));
const object = <T extends TProperties>(properties: T) => optional(Type.Object(properties));
const map = optional(Type.Record(text, text));
const number = Type.Number();
const name = Type.String({ minLength: 1, maxLength: 253 });

const metadata = Type.Object({ name, labels: map, annotations: map });
const namespaced = Type.Object({ name, namespace: name, labels: map });

const container = Type.Object({
  ports: list(Type.Object({ name: optional(text), containerPort: number, protocol: optional(text) })),
  restartPolicy: optional(text),
});

const selector = Type.Object({
  matchLabels: map,
  matchExpressions: list(Type.Object({ key: text, operator: text, values: list(text) })),
});
const peers = list(
  Type.Object({
    podSelector: optional(selector),
    namespaceSelector: optional(selector),
    ipBlock: object({ cidr: text, except: list(text) }),
  }),
);
const ports = list(
  Type.Object({
    protocol: optional(text),
    port: optional(Type.Union([number, text])),
    endPort: optional(number),
  }),
);

const SCHEMAS = {
  namespaces: Type.Object({ metadata }),
  pods: Type.Object({
    metadata: namespaced,
    spec: Type.Object({
      nodeName: optional(text),
      hostNetwork: optional(Type.Boolean()),
      containers: list(container),
      initContainers: list(container),
    }),
    status: object({ phase: optional(text), podIPs: list(Type.Object({ ip: optional(text) })) }),
  }),
  networkpolicies: Type.Object({
    metadata: namespaced,
    spec: Type.Object({
      podSelector: optional(selector),
      policyTypes: list(text),
      ingress: list(Type.Object({ from: peers, ports })),
      egress: list(Type.Object({ to: peers, ports })),
    }),
  }),
  nodes: Type.Object({
    metadata,
    status: object({
      addresses: list(Type.Object({ type: text, address: text })),
      conditions: list(Type.Object({ type: text, status: text })),
    }),
  }),
  services: Type.Object({
    metadata: namespaced,
    spec: Type.Object({
      type: optional(text),
      clusterIP: optional(text),
      clusterIPs: list(text),
      selector: map,
      ports: list(
        Type.Object({
          name: optional(text),
          protocol: optional(text),
          port: number,
          targetPort: optional(Type.Union([number, text])),
        }),
      ),
    }),
  }),
} as const satisfies Record<Resource, TSchema>;

interface Objects {
  readonly namespaces: Wire<V1Namespace>;
  readonly pods: Wire<V1Pod>;
  readonly networkpolicies: Wire<V1NetworkPolicy>;
  readonly nodes: Wire<V1Node>;
  readonly services: Wire<V1Service>;
}

const validators = Object.fromEntries(
  Object.entries(SCHEMAS).map(([resource, schema]) => [resource, Compile(schema)]),
) as unknown as Record<
  Resource,
  { Check(value: unknown): boolean; Errors(value: unknown): { instancePath: string; message: string }[] }
>;

const readers: { readonly [R in Resource]: (object: Objects[R]) => Facts[R] | undefined } = {
  namespaces: ({ metadata: meta }) => ({ name: meta?.name ?? '', labels: meta?.labels ?? {} }),
  pods: (pod) => {
    const { nodeName, hostNetwork, containers, initContainers } = pod.spec ?? { containers: [] };
    const node = nodeName ?? '';
    return {
      ...placeOf(pod),
      labels: pod.metadata?.labels ?? {},
      ...(node === '' ? {} : { node }),
      hostNetwork: hostNetwork ?? false,
      finished: pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed',
      // Of the containers that run beside: init containers that are restarted (sidecars) are among them.
      ports: [
        ...(containers ?? []),
        ...(initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'),
      ].flatMap(({ ports: own }) =>
        (own ?? []).flatMap(({ name: portName, containerPort, protocol }): PodPort[] =>
          (portName ?? '') === ''
            ? []
            : [{ name: portName as string, port: containerPort, protocol: protocolOf(protocol) }],
        ),
      ),
      addresses: (pod.status?.podIPs ?? []).flatMap(({ ip }) => ((ip ?? '') === '' ? [] : [ip as string])),
    };
  },
  networkpolicies: (policy) => ({ ...placeOf(policy), spec: policy.spec ?? { podSelector: {} } }),
  nodes: ({ metadata: meta, status }) => ({
    name: meta?.name ?? '',
    host: meta?.annotations?.[HOST_LABEL_ANNOTATION] ?? meta?.name ?? '',
    ready: (status?.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True'),
    addresses: (status?.addresses ?? [])
      .filter(({ type }) => type === 'InternalIP')
      .map(({ address }) => address),
  }),
  services: (service) => {
    const { type, clusterIP, clusterIPs, selector: chosen, ports: own } = service.spec ?? {};
    const clusterIps = (clusterIPs ?? [clusterIP ?? '']).filter((ip) => ip !== '' && ip !== 'None');
    // Headless Services and other names of hosts outside have no address of their own.
    if (type === 'ExternalName' || clusterIps.length === 0) return undefined;
    return {
      ...placeOf(service),
      clusterIps,
      ports: (own ?? []).map(({ name: portName, protocol, port, targetPort }) => ({
        ...((portName ?? '') === '' ? {} : { name: portName as string }),
        protocol: protocolOf(protocol),
        port,
        targetPort: targetPort ?? port,
      })),
      ...(Object.keys(chosen ?? {}).length === 0 ? {} : { selector: chosen ?? {} }),
    };
  },
};

/**
 * The facts of an object; undefined for one that Weft has no use for.
 * @throws Malformed with the path of the member that is wrong
 */
export function readObject<R extends Resource>(resource: R, value: unknown): Facts[R] | undefined {
  const validator = validators[resource];
  if (!validator.Check(value)) {
    const [error] = validator.Errors(value);
    const path = error?.instancePath.slice(1).replaceAll('/', '.') ?? '';
    throw new Malformed(`${path === '' ? 'the object' : path} ${error?.message ?? 'is malformed'}`);
  }
  return readers[resource](value as Objects[R]);
}

/** `namespace/name`, or the name of what is in no namespace; undefined when the object does not even have that. */
export function keyOfObject(value: unknown): string | undefined {
  const { name: own, namespace } = (value as { metadata?: Record<string, unknown> } | null)?.metadata ?? {};
  if (typeof own !== 'string' || own === '') return undefined;
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${own}` : own;
}

function placeOf({ metadata: meta }: { metadata?: { namespace?: string; name?: string } }): {
  namespace: string;
  name: string;
} {
  return { namespace: meta?.namespace ?? '', name: meta?.name ?? '' };
}

function protocolOf(protocol: string | undefined): PodPort['protocol'] {
  const known = protocol ?? 'TCP';
  if (known === 'TCP' || known === 'UDP' || known === 'SCTP') return known;
  throw new Malformed(`protocol "${known}" is none of TCP, UDP, SCTP`);
}
