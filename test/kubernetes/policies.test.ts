/** What NetworkPolicies become means what they say. */
import fc from 'fast-check';
import t from 'tap';
import type { V1NetworkPolicy } from '@kubernetes/client-node';
import { Malformed, type PodFact, type Wire } from '../../controller/kubernetes/facts.js';
import { nameIn } from '../../controller/kubernetes/names.js';
import { hasEndpoint, podEndpoint } from '../../controller/kubernetes/pods.js';
import { readObject } from '../../controller/kubernetes/read.js';
import { evaluate, type Intent, parseAddress, type World } from '../policy-truth/evaluator.js';
import { Protocol } from '../policy-truth/packets.js';
import { kubernetesCases, networkPolicies, objectsOf, translated } from '../system/policy-kubernetes.js';
import { type Cluster, type Connection, isAllowed, type TestPod } from './semantics.js';

const place = { tenant: 'acme', network: 'web' };
const GROUND: readonly Intent[] = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Network', tenant: 'acme', name: 'web', subnet: '10.1.1.0/24', ipv6Subnet: 'fd00:1::/64' },
];

/** As the truth tables of test/system have them: namespaces x, y, z are the letters a, b, c; pods a, b, c the digits. */
const NAMESPACES = { x: { ns: 'x' }, y: { ns: 'y' }, z: { ns: 'z', team: 'blue' } };
const PODS: readonly TestPod[] = ['x', 'y', 'z'].flatMap((namespace, letter) =>
  ['a', 'b', 'c'].map((name, digit) => {
    const number = 3 * letter + digit + 1;
    return {
      namespace,
      name,
      labels: { pod: name, ...(digit === 2 ? { tier: 'db' } : {}) },
      ports: [
        { name: 'serve-80-tcp', protocol: 'TCP', containerPort: 80 },
        { name: 'serve-81-tcp', protocol: 'TCP', containerPort: 81 },
        // Named alike, and another number in each namespace; one name with two protocols.
        { name: 'web', protocol: 'TCP', containerPort: 80 + letter },
        { name: 'web', protocol: 'UDP', containerPort: 53 },
      ],
      addresses: [`10.1.1.${number}`, `fd00:1::${number}`],
    };
  }),
);

const shortName = ({ namespace, name }: TestPod): string =>
  `${{ x: 'a', y: 'b', z: 'c' }[namespace]}${{ a: '1', b: '2', c: '3' }[name]}`;

function podObject({ namespace, name, labels, ports, addresses }: TestPod, more: object = {}): object {
  return {
    metadata: { namespace, name, labels },
    spec: { nodeName: 'h1', containers: [{ name: 'c', ports }], ...more },
    status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
  };
}

function pod(object: object): PodFact {
  const fact = readObject('pods', object);
  if (fact === undefined) throw new Error('not read');
  return fact;
}

/** Endpoints as the watcher declares them. */
const ENDPOINTS = PODS.map((one) => {
  const namespace = one.namespace as keyof typeof NAMESPACES;
  return podEndpoint(pod(podObject(one)), NAMESPACES[namespace], 'h1', place);
});

function worldOf(policies: readonly object[]): World {
  return {
    intents: [...GROUND, ...(ENDPOINTS as unknown as Intent[]), ...policies] as Intent[],
    endpoints: PODS.map((one, index) => ({
      ...place,
      name: ENDPOINTS[index]?.name ?? '',
      addresses: one.addresses.map(parseAddress),
    })),
  };
}

const NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
function decide(world: World, { from, to, protocol, port }: Connection): boolean {
  const { action } = evaluate(world, {
    ...place,
    from: parseAddress(from),
    to: parseAddress(to),
    protocol: protocol === undefined ? (from.includes(':') ? 58 : 1) : NUMBERS[protocol],
    ...(port === undefined ? {} : { destinationPort: port }),
  });
  return action === 'allow';
}

/** Who reaches whom, of all pods and some addresses outside. */
function* connections(services: readonly Pick<Connection, 'protocol' | 'port'>[]): Iterable<Connection> {
  const outside = [['192.0.2.1', '10.1.1.200'], ['2001:db8::1']];
  for (const family of [0, 1] as const) {
    const addresses = [...PODS.map(({ addresses: own }) => own[family] ?? ''), ...(outside[family] ?? [])];
    for (const from of addresses)
      for (const to of addresses)
        if (from !== to) for (const service of services) yield { from, to, ...service };
  }
}

t.test('the known cases, translated and written by hand', (t) => {
  for (const { name, policies, services, says } of kubernetesCases) {
    const automatic = worldOf(translated(objectsOf(policies), 'acme'));
    const hand: World = {
      endpoints: automatic.endpoints,
      intents: [
        ...GROUND,
        ...PODS.map((one, index) => ({
          ...(ENDPOINTS[index] as unknown as Intent),
          labels: { ns: one.namespace, pod: one.name },
        })),
        ...networkPolicies(...policies),
      ] as Intent[],
    };
    const different: Connection[] = [];
    const told: Record<string, string> = {};
    const asked = services.map(({ protocol, port }) => {
      const word = (['TCP', 'UDP', 'SCTP'] as const).find((known) => NUMBERS[known] === protocol);
      return { ...(word === undefined ? {} : { protocol: word }), ...(port === undefined ? {} : { port }) };
    });
    for (const connection of connections(asked)) {
      const allowed = decide(automatic, connection);
      if (allowed !== decide(hand, connection)) different.push(connection);
      const nameAt = (address: string) => {
        const found = PODS.find(({ addresses }) => addresses[0] === address);
        return found && shortName(found);
      };
      const [from, to] = [nameAt(connection.from), nameAt(connection.to)];
      const protocol = Object.entries(Protocol).find(
        ([, number]) => number === NUMBERS[connection.protocol ?? 'TCP'],
      );
      const key = `${from} ${to} ${protocol?.[0]}/${connection.port}`;
      if (connection.protocol !== undefined && key in says) told[key] = allowed ? 'allow' : 'deny';
    }
    t.strictSame(different, [], name);
    t.strictSame(told, says, `${name}: as who wrote it says`);
  }
  t.equal(kubernetesCases.length, 23);
  t.end();
});

const labelled = (...entries: readonly (readonly [string, readonly string[]])[]) =>
  fc.record(
    {
      matchLabels: fc.oneof(
        fc.constant({}),
        ...entries.map(([key, values]) => fc.constantFrom(...values).map((value) => ({ [key]: value }))),
      ),
      matchExpressions: fc.array(
        fc.oneof(
          ...entries.flatMap(([key, values]) => [
            fc.record({
              key: fc.constant(key),
              operator: fc.constantFrom('In', 'NotIn'),
              values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1 }),
            }),
            fc.record({ key: fc.constant(key), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
          ]),
        ),
        { maxLength: 2 },
      ),
    },
    { requiredKeys: [] },
  );
const podSelector = labelled(['pod', ['a', 'b', 'c']], ['tier', ['db']], ['absent', ['x']]);
const namespaceSelector = labelled(['ns', ['x', 'y', 'z']], ['team', ['blue', 'red']]);
const ipBlock = fc.constantFrom(
  { cidr: '10.1.1.0/24', except: ['10.1.1.4/30'] },
  { cidr: '0.0.0.0/0', except: ['10.1.1.0/25'] },
  { cidr: '10.1.1.3/30' },
  { cidr: '10.1.1.0/29', except: ['10.1.1.0/30', '10.1.1.4/30'] },
  { cidr: '::/0', except: ['fd00:1::4/126'] },
  { cidr: 'fd00:1::2/127' },
);
const peers = fc.array(
  fc.oneof(
    fc.record({ podSelector }),
    fc.record({ namespaceSelector }),
    fc.record({ podSelector, namespaceSelector }),
    fc.record({ ipBlock }),
  ),
  { maxLength: 3 },
);
const ports = fc.array(
  fc.oneof(
    fc.record(
      { port: fc.constantFrom<number | string>(80, 81, 'web', 'serve-80-tcp', 'nowhere') },
      { requiredKeys: [] },
    ),
    fc.record({
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
      port: fc.constantFrom<number | string>(53, 80, 'web'),
    }),
    fc.constantFrom(
      { port: 79, endPort: 81 },
      { protocol: 'UDP', port: 50, endPort: 60 },
      { protocol: 'SCTP' },
    ),
  ),
  { maxLength: 2 },
);
const policy = fc.record({
  apiVersion: fc.constant('networking.k8s.io/v1'),
  kind: fc.constant('NetworkPolicy'),
  namespace: fc.constantFrom('x', 'y', 'z'),
  spec: fc.record(
    {
      podSelector,
      policyTypes: fc.constantFrom([], ['Ingress'], ['Egress'], ['Ingress', 'Egress']),
      ingress: fc.array(fc.record({ from: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
      egress: fc.array(fc.record({ to: peers, ports }, { requiredKeys: [] }), { maxLength: 2 }),
    },
    { requiredKeys: ['podSelector'] },
  ),
});

t.test('random NetworkPolicies mean what the naive reading of them says', (t) => {
  const services: readonly Pick<Connection, 'protocol' | 'port'>[] = [
    {},
    ...([80, 81, 82, 53] as const).map((port) => ({ protocol: 'TCP' as const, port })),
    ...([53, 55, 80] as const).map((port) => ({ protocol: 'UDP' as const, port })),
    { protocol: 'SCTP', port: 80 },
  ];
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 19 }),
      (policies, offset) => {
        const objects = policies.map(
          ({ namespace, ...object }, index) =>
            ({ ...object, metadata: { namespace, name: `np${index}` } }) as unknown as Wire<V1NetworkPolicy>,
        );
        const cluster: Cluster = { namespaces: NAMESPACES, pods: PODS, policies: objects };
        const world = worldOf(translated(objects, 'acme'));
        // A twentieth of all connections, another one for each run.
        let count = 0;
        for (const connection of connections(services)) {
          count += 1;
          if (count % 20 !== offset) continue;
          if (decide(world, connection) !== isAllowed(cluster, connection))
            throw new Error(`${JSON.stringify(connection)}: should be ${isAllowed(cluster, connection)}`);
        }
      },
    ),
    { numRuns: 150 },
  );
  t.end();
});

t.test('policies that select the same pods share a group', (t) => {
  const peer = (values: readonly string[]) => ({
    namespaceSelector: { matchExpressions: [{ key: 'ns', operator: 'In', values }] },
  });
  const [first, second] = [
    ['x', 'y'],
    ['y', 'x'],
  ].map((values, index) =>
    translated(
      [
        {
          metadata: { namespace: 'x', name: `p${index}` },
          spec: { podSelector: {}, ingress: [{ from: [peer(values)] }, { from: [peer(values)] }] },
        },
      ],
      'acme',
    ),
  );
  t.strictSame(first?.map(({ kind, name }) => [kind, name]).slice(0, 2), [
    ['Policy', 'x.p0'],
    ['Group', 'x.p0'],
  ]);
  t.equal(first?.length, 3);
  t.strictSame(first?.[2], second?.[2]);
  t.end();
});

t.test('pods do not pass for those of another namespace', (t) => {
  const liar = podEndpoint(
    pod({
      metadata: {
        namespace: 'x',
        name: 'liar',
        labels: {
          'kubernetes.weft/namespace': 'y',
          'namespace.kubernetes.weft/team': 'blue',
          'example.com.namespace.kubernetes.weft/a': 'b',
          plain: 'yes',
        },
      },
      spec: { nodeName: 'h1', containers: [] },
    }),
    { 'example.com/a': 'own', team: 'red' },
    'h1',
    place,
  );
  t.strictSame(liar.labels, {
    'kubernetes.weft/namespace': 'x',
    'example.com.namespace.kubernetes.weft/a': 'own',
    'namespace.kubernetes.weft/team': 'red',
    'kubernetes.weft.pod.kubernetes.weft/namespace': 'y',
    'namespace.kubernetes.weft.pod.kubernetes.weft/team': 'blue',
    'example.com.namespace.kubernetes.weft.pod.kubernetes.weft/a': 'b',
    plain: 'yes',
  });
  const long = `${'a'.repeat(60)}.`.repeat(4).slice(0, 250);
  const endpoint = podEndpoint(
    { ...pod(podObject(PODS[0] as TestPod)), namespace: 'x' },
    { [`${long}b/c`]: 'd' },
    'h1',
    place,
  );
  const keys = Object.keys(endpoint.labels ?? {}).filter((key) =>
    key.endsWith('.namespace.kubernetes.weft/c'),
  );
  t.match(
    keys,
    [/^[0-9a-f]{16}\.namespace\.kubernetes\.weft\/c$/],
    'a domain that would be too long has its digest',
  );
  t.end();
});

t.test('which pods have endpoints, and their ports', (t) => {
  const [one] = PODS as readonly [TestPod];
  t.ok(hasEndpoint(pod(podObject(one))));
  t.notOk(hasEndpoint(pod(podObject(one, { hostNetwork: true }))), 'on the network of its node');
  t.notOk(hasEndpoint(pod(podObject(one, { nodeName: '' }))), 'not scheduled');
  for (const phase of ['Succeeded', 'Failed'])
    t.notOk(hasEndpoint(pod({ ...podObject(one), status: { phase } })), phase);
  const ports = (containers: readonly object[], initContainers: readonly object[] = []) =>
    podEndpoint(pod(podObject(one, { containers, initContainers })), {}, 'h1', place).ports;
  const named = (name: string, containerPort: number, protocol?: string) => ({
    name,
    containerPort,
    protocol,
  });
  t.strictSame(
    ports(
      [
        { ports: [named('web', 80), named('dns', 53, 'UDP')] },
        { ports: [named('web', 8080), { containerPort: 9 }] },
      ],
      [
        { ports: [named('once', 1)] },
        { restartPolicy: 'Always', ports: [named('proxy', 15001), named('web', 81, 'SCTP')] },
      ],
    ),
    { web: 80, 'dns-UDP': '53/udp', proxy: 15001, 'web-SCTP': '81/sctp' },
  );
  t.equal(ports([]), undefined);
  const pair = [nameIn('x', 'p'.repeat(300)), nameIn('x', 'p'.repeat(301))] as const;
  t.match(pair[0], /^x\.p{234}-[0-9a-f]{16}$/);
  t.equal(pair[0].length, 253);
  t.not(pair[0], pair[1]);
  t.end();
});

t.test('objects that cannot mean what they say are refused with a reason', (t) => {
  const refused = (spec: object): string => {
    try {
      translated([{ metadata: { namespace: 'x', name: 'p' }, spec: { podSelector: {}, ...spec } }], 'acme');
    } catch (error) {
      if (error instanceof Malformed) return error.message;
      throw error;
    }
    return 'taken';
  };
  const from = (peer: object) => refused({ ingress: [{ from: [peer] }] });
  const port = (one: object) => refused({ ingress: [{ ports: [one] }] });
  const key = 'k';
  t.strictSame(
    [
      from({}),
      from({ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }),
      from({ ipBlock: { cidr: '10.0.0.0' } }),
      from({ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/9'] } }),
      from({ podSelector: { matchExpressions: [{ key, operator: 'Like', values: ['a'] }] } }),
      from({ podSelector: { matchExpressions: [{ key, operator: 'In' }] } }),
      from({ podSelector: { matchExpressions: [{ key, operator: 'Exists', values: ['a'] }] } }),
      port({ port: 90, endPort: 80 }),
      port({ port: 'http', endPort: 80 }),
      port({ port: 0 }),
      port({ protocol: 'ICMP' }),
      refused({ policyTypes: ['Sideways'] }),
      refused({ ingress: 'all' }),
      refused({ podSelector: { matchLabels: { a: 1 } } }),
    ],
    [
      'a peer has none of ipBlock, namespaceSelector and podSelector',
      'a peer has ipBlock and a selector at once',
      '"10.0.0.0" is no CIDR',
      'except 11.0.0.0/9 is not inside of 10.0.0.0/8',
      'operator "Like" is none of In, NotIn, Exists, DoesNotExist',
      'operator In of label k needs values',
      'operator Exists of label k takes no values',
      'endPort 80 is below port 90',
      'endPort needs a port that is a number',
      'port 0 is no number from 1 to 65535',
      'protocol "ICMP" is none of TCP, UDP, SCTP',
      'policyTypes: "Sideways" is none of Ingress, Egress',
      'spec.ingress must be array',
      'spec.podSelector.matchLabels.a must be string',
    ],
  );
  t.equal(from({ ipBlock: { cidr: '10.0.0.1/8' }, podSelector: null }), 'taken');
  t.throws(
    () => readObject('pods', { metadata: { name: 'p' }, spec: {} }),
    /metadata must have required properties namespace/,
  );
  t.throws(() => readObject('pods', null), Malformed);
  t.end();
});
