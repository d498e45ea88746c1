/** TypeBox schemas of requests and answers: validation, types and the OpenAPI document from one source. */
import Type from 'typebox';
import { LOG_LEVELS } from '../config/schema.js';
import { KINDS, type Kind } from '../model/intents.js';
import { ErrorBody, ProblemBody } from './errors.js';

const literals = <T extends string>(values: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...values], ...options });

/** Collections of `/v1/…` and the kind of object in each. */
export const COLLECTIONS = {
  tenants: 'Tenant',
  networks: 'Network',
  endpoints: 'Endpoint',
  hosts: 'Host',
  hostbindings: 'HostBinding',
  groups: 'Group',
  policies: 'Policy',
  rules: 'Rule',
  addresssets: 'AddressSet',
  tiers: 'Tier',
  qosprofiles: 'QosProfile',
} as const satisfies Record<string, Kind>;
export type Collection = keyof typeof COLLECTIONS;
export const CollectionName = literals(Object.keys(COLLECTIONS) as Collection[]);

/** What stands behind the collection in the path of one object. */
export const PATH_OF_KIND = {
  Tenant: ':name',
  Host: ':name',
  Tier: ':name',
  Network: ':tenant/:name',
  Group: ':tenant/:name',
  Policy: ':tenant/:name',
  AddressSet: ':tenant/:name',
  QosProfile: ':tenant/:name',
  Rule: ':tenant/:policy/:name',
  Endpoint: ':tenant/:network/:name',
  HostBinding: ':tenant/:network/:name',
} as const satisfies Record<Kind, string>;

export const Change = Type.Object({
  action: literals(['create', 'update', 'delete', 'unchanged']),
  kind: literals(KINDS),
  name: Type.String({ description: '`acme`, `acme/front` or `acme/front/web1`; of a rule `acme/web/http`' }),
  fields: Type.Optional(
    Type.Array(
      Type.Object({
        path: Type.String(),
        from: Type.Optional(Type.Unknown()),
        to: Type.Optional(Type.Unknown()),
      }),
      { description: 'Members of the intent, and allocated values, that changed' },
    ),
  ),
});

export const RefusedEntry = Type.Object({
  entry: Type.String({ description: 'As ovs-ofctl writes it' }),
  owner: Type.String({
    description: 'App and rule, and what it is about: bridge.local of endpoint acme/web/a',
  }),
  object: Type.Optional(
    Type.Object(
      {
        kind: Type.Optional(Type.String({ description: 'Absent: number is a code of the app' })),
        number: Type.Integer(),
        name: Type.Optional(Type.String({ description: 'Absent: nothing has the number (any more)' })),
      },
      { description: 'What it is about, where it is about one thing' },
    ),
  ),
  error: Type.String({ description: 'Name of the OpenFlow error' }),
});

export const SwitchAcknowledgement = Type.Object({
  datapathId: Type.String(),
  host: Type.Optional(Type.String()),
  ok: Type.Boolean(),
  reason: Type.Optional(Type.String({ description: 'Why not: refused, disconnected, unreadable, timeout' })),
  refused: Type.Array(RefusedEntry),
});

export const ApplyAnswer = Type.Object({
  changes: Type.Array(Change),
  warnings: Type.Array(ProblemBody),
  dryRun: Type.Boolean({ description: 'Nothing was written' }),
  acknowledgements: Type.Optional(
    Type.Array(SwitchAcknowledgement, { description: 'With wait=acknowledged: one per switch concerned' }),
  ),
});

export const WriteQuery = Type.Object({
  dryRun: Type.Boolean({ default: false, description: 'Say what would be done, and do nothing' }),
  wait: literals(['stored', 'acknowledged'], {
    default: 'stored',
    description:
      'stored: answer when the change is durable. acknowledged: also wait for the barrier of every connected switch concerned',
  }),
  timeoutMs: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 600_000,
    description:
      'With wait=acknowledged: how long to wait; switches that have not answered have reason timeout',
  }),
});

export const ApplyQuery = Type.Object({
  ...WriteQuery.properties,
  mode: literals(['add', 'replace'], {
    default: 'add',
    description: 'add: create and update. replace: declared objects that are not in the request are deleted',
  }),
  file: Type.Optional(Type.String({ maxLength: 4096, description: 'Name of the file, for messages' })),
});

export const DeleteQuery = Type.Object({
  ...WriteQuery.properties,
  cascade: Type.Boolean({ default: false, description: 'Delete what needs the deleted objects, too' }),
  file: Type.Optional(Type.String({ maxLength: 4096, description: 'Name of the file, for messages' })),
});

/** What an intent route takes as JSON beside intents themselves: several files in one transaction. */
export const Files = Type.Object(
  {
    files: Type.Array(Type.Object({ name: Type.String({ maxLength: 4096 }), text: Type.String() }), {
      minItems: 1,
      maxItems: 1000,
    }),
  },
  { description: 'Intent files (YAML or JSON) applied together, with names for messages' },
);

export const References = Type.Object(
  {
    refs: Type.Array(Type.Object({ kind: literals(KINDS), name: Type.String() }), {
      minItems: 1,
      maxItems: 100_000,
    }),
  },
  { description: 'Objects by kind and name' },
);

export const Everything = Type.Object(
  { all: Type.Literal(true) },
  { description: 'Everything that is declared; hosts whose agents have registered stay, undeclared' },
);

export const ObjectView = Type.Object({
  kind: literals(KINDS),
  name: Type.String(),
  spec: Type.Unknown({ description: 'The intent as it was given; can be applied again (GET /v1/schema)' }),
  status: Type.Unknown({ description: 'Allocated and observed values' }),
});

const Problem = Type.Object({
  code: Type.String({ description: 'For programs: vxlan.host.no-tunnel-address' }),
  subject: Type.String({ description: 'The host or object it is about' }),
  message: Type.String({ description: 'What does not work, and why' }),
  fix: Type.String({ description: 'What to do about it' }),
});

const DatapathStatus = Type.Object({
  datapathId: Type.String(),
  host: Type.Optional(Type.String()),
  state: literals(['disconnected', 'unclaimed', 'reading', 'writing', 'in-sync', 'degraded']),
  remoteAddress: Type.Optional(Type.String()),
  entries: Type.Integer({ description: 'Flow entries, groups and meters that it should hold' }),
  refused: Type.Array(RefusedEntry),
  problems: Type.Array(Problem, { description: 'Facts that cannot work as they stand' }),
  healed: Type.Object({
    missing: Type.Integer(),
    extra: Type.Integer(),
    changed: Type.Integer(),
    foreign: Type.Integer(),
  }),
  lastAudit: Type.Optional(Type.Integer({ description: 'Milliseconds since 1970' })),
});

const HostState = Type.Object({
  host: Type.String(),
  state: literals(['up', 'down', 'unknown']),
  datapathId: Type.Optional(Type.String()),
  switch: Type.Optional(
    literals(['linux-bridge', 'macvlan'], { description: 'What forwards where it is not Open vSwitch' }),
  ),
  bridge: Type.Optional(Type.String()),
  vtepIp: Type.Optional(Type.String()),
  uplink: Type.Optional(Type.String()),
  remoteAddress: Type.Optional(Type.String()),
  leaseMs: Type.Optional(Type.Integer({ description: 'Milliseconds left' })),
  attached: Type.Integer({ description: 'Endpoints attached on it' }),
});

export const StatusAnswer = Type.Object({
  controllerId: Type.String({ description: 'Changes with every start' }),
  version: Type.String(),
  startedAt: Type.Integer({ description: 'Milliseconds since 1970' }),
  store: Type.Object({ driver: Type.String(), state: Type.String() }),
  listeners: Type.Object({
    openflow: Type.Optional(Type.String()),
    hub: Type.Optional(Type.String()),
    http: Type.Optional(Type.String()),
  }),
  ready: Type.Boolean(),
  notReady: Type.Array(Type.String(), { description: 'Reasons, when it is not' }),
  datapaths: Type.Array(DatapathStatus),
  hosts: Type.Array(HostState),
});

const level = (description: string) => literals(LOG_LEVELS, { description });
export const LogLevels = Type.Object({
  level: level('Of everything that has no level of its own'),
  levels: Type.Record(Type.String(), level('Of the component')),
});
export const LogChange = Type.Object(
  {
    level: level('Lines below it are not written'),
    component: Type.Optional(
      Type.String({
        pattern: '^[a-z]+$',
        description: 'Only this component: channel, datapath, hub, http, …',
      }),
    ),
  },
  { additionalProperties: false },
);

const error = (description: string) => ({ ...ErrorBody, description });
/** Answers that any route may give. */
export const ERRORS = {
  400: error('The request is malformed'),
  413: error('The request is too long'),
  429: error('Too many requests from this client'),
  503: error('The store does not answer, or the controller is stopping'),
} as const;
export const NOT_FOUND = { 404: error('There is no such object') } as const;
export const REFUSALS = {
  409: error('Something else needs the object, or has the value'),
  415: error('That content type is not taken'),
  422: error('The intents are refused; nothing has been changed'),
  504: error('The store did not answer in time; whether the change will still be made is not known'),
} as const;
