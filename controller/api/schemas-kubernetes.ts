/** TypeBox schemas of the cluster that is watched. */
import Type from 'typebox';

const text = (description?: string) => Type.String(description === undefined ? {} : { description });
const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });
const Resource = Type.Unsafe<'namespaces' | 'nodes' | 'networkpolicies' | 'pods' | 'services'>({
  type: 'string',
  enum: ['namespaces', 'nodes', 'networkpolicies', 'pods', 'services'],
});
const State = Type.Unsafe<'listing' | 'watching' | 'waiting'>({
  type: 'string',
  enum: ['listing', 'watching', 'waiting'],
  description: 'waiting: after a failure, until the next try',
});
const Protocol = Type.Unsafe<'TCP' | 'UDP' | 'SCTP'>({ type: 'string', enum: ['TCP', 'UDP', 'SCTP'] });

export const KubernetesAnswer = Type.Object({
  enabled: Type.Boolean(),
  server: Type.Optional(text('Address of the API')),
  tenant: Type.Optional(text()),
  network: Type.Optional(text()),
  synced: Type.Boolean({ description: 'Everything has been listed, and what followed from it declared' }),
  settled: Type.Boolean({ description: 'All that has been heard is declared, but for what is refused' }),
  resources: Type.Array(
    Type.Object({
      resource: Resource,
      state: State,
      synced: Type.Boolean({ description: 'It has been listed once' }),
      objects: count('Known now'),
      refused: count('Refused now'),
      lists: count(),
      relists: count('Lists after the first'),
      watches: count(),
      events: count(),
      failures: count('Lists and watches that failed'),
      refusals: count('Objects refused, each time that they came'),
      version: Type.Optional(text('resourceVersion that it is known up to')),
      lastHeard: Type.Optional(count('Milliseconds since 1970 of the last sign of life')),
      error: Type.Optional(text('Of the last failure, until it is overcome')),
    }),
  ),
  declared: count('Intents that stand for objects of the cluster'),
  requests: count('To the model, since the start'),
  applied: count('Intents declared by them'),
  removed: count('Intents deleted by them'),
  refused: Type.Array(
    Type.Object({
      object: text('`pods shop/web-0`, or an intent: `Endpoint kubernetes/pods/shop.web-0`'),
      reason: text(),
    }),
    { description: 'Up to a thousand' },
  ),
  nodes: Type.Array(
    Type.Object({
      name: text(),
      host: text('Label of the host that its agent runs as'),
      ready: Type.Boolean(),
      addresses: Type.Array(text()),
    }),
  ),
  services: Type.Array(
    Type.Object({
      namespace: text(),
      name: text(),
      clusterIps: Type.Array(text()),
      ports: Type.Array(
        Type.Object({
          name: Type.Optional(text()),
          protocol: Protocol,
          port: count(),
          targetPort: Type.Union([Type.Integer(), Type.String()]),
        }),
      ),
      selector: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
    { description: 'Services with addresses of their own. Nothing forwards to them yet' },
  ),
  problems: Type.Array(text()),
});
