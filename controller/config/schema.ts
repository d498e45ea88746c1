/**
 * The controller's configuration: what may stand in the file given with `--config`, with every default. docs/configuration.md
 * is made from this schema, so descriptions are written for operators.
 */
import Type, { type Static } from 'typebox';
import { NAME_PATTERN } from '../model/intent-schema.js';

/** Whether a running controller takes a changed value over at SIGHUP (`live`) or only when it starts (`restart`). */
type Reload = 'live' | 'restart';

const option = (description: string, reload: Reload) => ({ description, reload });
const strict = { additionalProperties: false } as const;

const count = (value: number, minimum: number, maximum: number, description: string, reload: Reload) =>
  Type.Integer({ default: value, minimum, maximum, ...option(description, reload) });

const address = (value: string, description: string) =>
  Type.String({ default: value, format: 'address', ...option(description, 'restart') });

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export const LogLevel = Type.Union(LOG_LEVELS.map((level) => Type.Literal(level)));
export type LogLevel = (typeof LOG_LEVELS)[number];

const section = <T extends Type.TProperties>(properties: T, description: string) =>
  Type.Object(properties, { ...strict, default: {}, description });

export const ConfigSchema = Type.Object(
  {
    openflow: section(
      {
        listen: address('0.0.0.0:6653', 'Address and port that switches connect to (OpenFlow 1.3).'),
        maxConnections: count(4096, 1, 65536, 'Most switch connections open at once.', 'restart'),
        echoIntervalMs: count(
          5000,
          100,
          600_000,
          'A connection silent for this long is asked for an echo; after three intervals without an answer it is closed.',
          'restart',
        ),
        packetInsPerSecond: count(
          1000,
          0,
          1_000_000,
          'Packet-ins accepted per switch and second; what is over is dropped and counted.',
          'restart',
        ),
        auditIntervalMs: count(
          60_000,
          1000,
          86_400_000,
          'How often each switch is read and compared with what it should hold.',
          'restart',
        ),
      },
      'Connections to switches.',
    ),
    fabric: section(
      {
        enabled: Type.Boolean({
          default: true,
          ...option(
            'Switches that no agent claims are made a fabric: links and stations are discovered, frames forwarded. Without it they are left alone.',
            'restart',
          ),
        }),
        multicast: section(
          {
            snooping: Type.Boolean({
              default: true,
              ...option(
                'Receivers of multicast groups are found out by their reports (IGMP, MLD), and copies go to these alone. Without it multicast is flooded.',
                'restart',
              ),
            }),
            querier: Type.Boolean({
              default: true,
              ...option(
                'Stations are asked which groups they are in, where no multicast router asks.',
                'restart',
              ),
            }),
            unregistered: Type.Union([Type.Literal('flood'), Type.Literal('drop')], {
              default: 'flood',
              ...option(
                'What becomes of packets to groups that nobody has joined: flooded, or sent to multicast routers only.',
                'restart',
              ),
            }),
          },
          'Multicast between switches without an agent.',
        ),
      },
      'Switches without an agent.',
    ),
    hub: section(
      {
        listen: address('127.0.0.1:9001', 'Address and port that agents connect to (JSON-RPC 2.0).'),
        maxConnections: count(4096, 1, 65536, 'Most agent connections open at once.', 'restart'),
        maxMessageBytes: count(
          4_194_304,
          1024,
          67_108_864,
          'Longest JSON-RPC message accepted, in bytes.',
          'restart',
        ),
        leaseMs: count(
          15_000,
          500,
          600_000,
          'An agent that is silent for this long is shown as down; its entries stay on its switch.',
          'restart',
        ),
      },
      'Connections to agents.',
    ),
    http: section(
      {
        listen: address('127.0.0.1:9999', 'Address and port of the HTTP API, metrics and health.'),
        maxConnections: count(256, 1, 65536, 'Most HTTP connections open at once.', 'restart'),
        maxBodyBytes: count(
          8_388_608,
          1024,
          268_435_456,
          'Longest request body accepted, in bytes.',
          'restart',
        ),
        requestTimeoutMs: count(
          60_000,
          1000,
          600_000,
          'A request must have arrived, and a waiting one be answered, within this time.',
          'restart',
        ),
        requestsPerSecond: count(
          500,
          1,
          1_000_000,
          'Requests accepted per client address and second, with a burst of twice that; over it: 429.',
          'live',
        ),
        maxWatchers: count(64, 0, 4096, 'Most event streams (/v1/watch) open at once; over it: 503.', 'live'),
      },
      'The HTTP API.',
    ),
    metrics: section(
      {
        rules: Type.Boolean({
          default: false,
          ...option(
            'Counters of every rule and default in /metrics: three time series for each. `weft get rules --stats` shows them in any case.',
            'restart',
          ),
        }),
        rulesIntervalMs: count(
          15_000,
          1000,
          3_600_000,
          'How often switches are asked for them, if `rules` is on.',
          'restart',
        ),
      },
      'What /metrics shows beyond the rest.',
    ),
    kubernetes: section(
      {
        enabled: Type.Boolean({
          default: false,
          ...option(
            'A cluster is watched, and its pods and NetworkPolicies are declared as intents. `weft controller --kubernetes` says it too.',
            'restart',
          ),
        }),
        kubeconfig: Type.Optional(
          Type.String({
            minLength: 1,
            ...option(
              'Path of a kubeconfig. Without it: the service account of the pod that the controller runs in.',
              'restart',
            ),
          }),
        ),
        context: Type.Optional(
          Type.String({
            minLength: 1,
            ...option('Context of the kubeconfig. Without it: its current one.', 'restart'),
          }),
        ),
        tenant: Type.String({
          default: 'kubernetes',
          pattern: NAME_PATTERN,
          ...option('Tenant of everything that stands for the cluster; made if it is not there.', 'restart'),
        }),
        network: Type.String({
          default: 'pods',
          pattern: NAME_PATTERN,
          ...option(
            'Network of the pods in that tenant. Made, with the addresses below, if nobody has declared it.',
            'restart',
          ),
        }),
        subnet: Type.String({
          default: '10.244.0.0/16',
          ...option('IPv4 prefix of the network, or none.', 'restart'),
        }),
        gateway: Type.Optional(
          Type.String({
            ...option('IPv4 address of its default gateway. Without it: no gateway.', 'restart'),
          }),
        ),
        ipv6Subnet: Type.Optional(
          Type.String({ ...option('IPv6 prefix of the network. Without it: no IPv6.', 'restart') }),
        ),
        ipv6Gateway: Type.Optional(
          Type.String({
            ...option('IPv6 address of its default gateway. Without it: no gateway.', 'restart'),
          }),
        ),
        pageSize: count(500, 1, 10_000, 'Objects in one page of a list.', 'restart'),
        silenceMs: count(
          150_000,
          1000,
          3_600_000,
          'A watch without a byte for this long is renewed. An API server sends something about every minute.',
          'restart',
        ),
        resyncMs: count(
          600_000,
          1000,
          86_400_000,
          'How often everything is compared with what is declared.',
          'restart',
        ),
      },
      'A Kubernetes cluster whose pods are endpoints.',
    ),
    store: section(
      {
        driver: Type.Union([Type.Literal('level'), Type.Literal('etcd')], {
          default: 'level',
          ...option(
            'Where state is kept: `level`, embedded, in the data directory; or `etcd`, an etcd 3 cluster.',
            'restart',
          ),
        }),
        etcd: Type.Array(Type.String({ format: 'url' }), {
          default: ['http://127.0.0.1:2379'],
          minItems: 1,
          maxItems: 32,
          ...option('Client URLs of the etcd cluster.', 'restart'),
        }),
      },
      'State.',
    ),
    data: Type.Optional(
      Type.String({
        minLength: 1,
        ...option(
          'Directory of the state and the lock. Default: `$STATE_DIRECTORY` (systemd), `/var/lib/weft` for root, ' +
            '`$XDG_STATE_HOME/weft` or `~/.local/state/weft` for others.',
          'restart',
        ),
      }),
    ),
    log: section(
      {
        level: Type.Union(LogLevel.anyOf, {
          default: 'info',
          ...option('Lines below this level are not written.', 'live'),
        }),
        levels: Type.Record(Type.String({ pattern: '^[a-z]+$' }), LogLevel, {
          default: {},
          ...option('Levels of single components, such as `hub: debug`.', 'live'),
        }),
      },
      'The log, JSON lines on standard output.',
    ),
  },
  strict,
);

/** A configuration with every default filled in. */
export type Config = Static<typeof ConfigSchema>;
