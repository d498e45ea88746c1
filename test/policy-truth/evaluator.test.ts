/** The evaluator itself, by hand: who judges the controller should be judged by reading. */
import t from 'tap';
import {
  decide,
  evaluate,
  type Intent,
  type KnownEndpoint,
  type Packet,
  parseAddress,
  type RuleIntent,
} from './evaluator.js';

const endpoint = (name: string, ...addresses: readonly string[]): KnownEndpoint => ({
  tenant: 'acme',
  network: 'web',
  name,
  addresses: addresses.map(parseAddress),
});
const endpoints = [
  endpoint('a', '10.1.1.1', 'fd00:1::1'),
  endpoint('b', '10.1.1.2', 'fd00:1::2'),
  endpoint('c', '10.1.1.3'),
  { ...endpoint('a', '10.1.1.1'), tenant: 'rival' },
];
const ground: readonly Intent[] = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Network', tenant: 'acme', name: 'web', subnet: '10.1.1.0/24', ipv6Subnet: 'fd00:1::/64' },
  { kind: 'Endpoint', tenant: 'acme', network: 'web', name: 'a', labels: { app: 'front', tier: 'one' } },
  {
    kind: 'Endpoint',
    tenant: 'acme',
    network: 'web',
    name: 'b',
    labels: { app: 'back' },
    ports: { http: 8080, dns: '53/udp' },
  },
  { kind: 'Endpoint', tenant: 'acme', network: 'web', name: 'c', groups: ['front'] },
  {
    kind: 'AddressSet',
    tenant: 'acme',
    name: 'odd',
    addresses: ['10.1.1.0/31', 'fd00:1::/64'],
    except: ['fd00:1::1'],
  },
  { kind: 'Tier', name: 'high', priority: 20 },
];
const group = (name: string, spec: object): Intent => ({ kind: 'Group', tenant: 'acme', name, ...spec });
/** Policies that `b` is subject to. */
const onB = (...policies: readonly object[]): readonly Intent[] => [
  ...ground,
  group('front', { selector: { matchLabels: { app: 'front' } } }),
  group('back', { endpoints: ['web/b'], policies: policies.map((_, index) => `p${index}`) }),
  ...policies.map((policy, index) => ({ kind: 'Policy', tenant: 'acme', name: `p${index}`, ...policy })),
];
const inRule = (spec: Partial<RuleIntent>): RuleIntent => ({ name: 'r', direction: 'in', ...spec });

const ask = (intents: readonly Intent[], from: string, to: string, what: Partial<Packet> = {}) => {
  const packet = {
    tenant: 'acme',
    network: 'web',
    from: parseAddress(from),
    to: parseAddress(to),
    protocol: 6,
    destinationPort: 80,
  };
  const { action, by } = evaluate({ intents, endpoints }, { ...packet, ...what });
  return `${action} ${by}`;
};
const A_TO_B = ['10.1.1.1', '10.1.1.2'] as const;
const C_TO_B = ['10.1.1.3', '10.1.1.2'] as const;

t.test('defaults', async (t) => {
  t.equal(ask(ground, ...A_TO_B), 'allow default of tenant acme');
  const denying = ground.map((intent) =>
    intent.kind === 'Tenant' ? { ...intent, defaultAction: 'deny' } : intent,
  );
  t.equal(ask(denying, ...A_TO_B), 'deny default of tenant acme');
  t.equal(
    ask(onB({ defaultIn: 'allow' }, { defaultIn: 'deny' }), ...A_TO_B),
    'deny default of policy acme/p1',
  );
  t.equal(
    ask(onB({ defaultIn: 'deny' }), '10.1.1.2', '10.1.1.1'),
    'allow default of tenant acme',
    'not of what it sends',
  );
  t.equal(ask(onB({ defaultOut: 'deny' }), '10.1.1.2', '10.1.1.1'), 'deny default of policy acme/p0');
  t.equal(ask(onB({ defaultIn: 'deny' }), ...A_TO_B, { tenant: 'rival' }), 'allow default of tenant rival');
});

t.test('who', async (t) => {
  const from = (peer: RuleIntent['from']) =>
    onB({ defaultIn: 'deny', rules: [inRule({ from: peer ?? [] })] });
  const reach = (peer: RuleIntent['from']) =>
    ['10.1.1.1', '10.1.1.3', '10.1.1.77', '8.8.8.8'].filter((address) =>
      ask(from(peer), address, '10.1.1.2').startsWith('allow'),
    );
  t.strictSame(reach([{ group: 'front' }]), ['10.1.1.1', '10.1.1.3'], 'chosen by label, and naming it');
  t.strictSame(reach([{ network: 'web' }]), ['10.1.1.1', '10.1.1.3', '10.1.1.77'], 'its subnet as well');
  t.strictSame(reach([{ addressSet: 'odd' }]), ['10.1.1.1']);
  t.strictSame(reach([{ cidr: '0.0.0.0/0', except: ['10.1.1.0/30'] }]), ['10.1.1.77', '8.8.8.8']);
  t.strictSame(
    reach([{ cidr: '8.8.8.8' }, { group: 'front' }]),
    ['10.1.1.1', '10.1.1.3', '8.8.8.8'],
    'any of them',
  );
  const written = (rule: Partial<RuleIntent>) => {
    const alone = [
      ...onB({ defaultIn: 'deny' }),
      { kind: 'Rule', tenant: 'acme', policy: 'p0', ...inRule(rule) },
    ];
    return ['10.1.1.1', '10.1.1.3', '8.8.8.8'].filter((a) => ask(alone, a, '10.1.1.2').startsWith('allow'));
  };
  t.strictSame(written({ fromEndpointGroup: 'front' }), ['10.1.1.1', '10.1.1.3']);
  t.strictSame(written({ fromNetwork: 'web', toNetwork: 'x' }), ['10.1.1.1', '10.1.1.3']);
  t.strictSame(written({ fromIpAddress: '8.8.8.0/24' }), ['8.8.8.8']);
  t.strictSame(reach([]), ['10.1.1.1', '10.1.1.3', '10.1.1.77', '8.8.8.8']);
  // Of other networks, seen from this one: by address, unless several have it.
  const elsewhere = [{ ...endpoint('far', '10.2.1.1'), network: 'lan' }];
  const lan = { kind: 'Network', tenant: 'acme', name: 'lan', subnet: '10.2.1.0/24' };
  const twin = { ...lan, name: 'twin' };
  const fromFar = (...networks: readonly Intent[]) => {
    const intents = [
      ...onB({ defaultIn: 'deny', rules: [inRule({ from: [{ group: 'far' }] })] }),
      group('far', { endpoints: ['lan/far'] }),
      ...networks,
    ];
    const packet = { tenant: 'acme', network: 'web', protocol: 6, destinationPort: 80 };
    const [source, destination] = [parseAddress('10.2.1.1'), parseAddress('10.1.1.2')];
    return evaluate(
      { intents, endpoints: [...endpoints, ...elsewhere] },
      { ...packet, from: source, to: destination },
    );
  };
  t.match(fromFar(lan), { action: 'allow', out: undefined }, 'its sender is not judged here');
  t.match(fromFar(lan, twin), { action: 'deny' });
  const set = from([{ addressSet: 'odd' }]);
  t.match(ask(set, 'fd00:1::1', 'fd00:1::2'), /^deny/, 'the exception');
  t.match(ask(set, 'fd00:1::99', 'fd00:1::2'), /^allow/);
});

t.test('multicast groups', async (t) => {
  const groupAddresses = [{ cidr: '239.1.0.0/16', except: ['239.1.9.0/24'] }, { cidr: 'ff15::/16' }];
  const intents = onB({ defaultIn: 'deny', rules: [inRule({ groupAddresses })] });
  const [, b] = endpoints;
  const admits = (to: string) =>
    decide(
      { intents, endpoints },
      {
        tenant: 'acme',
        network: 'web',
        from: parseAddress(to.includes(':') ? 'fd00:1::1' : '10.1.1.1'),
        to: parseAddress(to),
        protocol: 17,
      },
      b!,
      'in',
    ).action === 'allow';
  const asked = ['239.1.1.1', '239.1.9.1', '239.2.1.1', 'ff15::1', 'ff16::1', '10.1.1.2'];
  t.strictSame(asked.filter(admits), ['239.1.1.1', 'ff15::1']);
});

t.test('what', async (t) => {
  const rule = (spec: Partial<RuleIntent>) => onB({ defaultIn: 'deny', rules: [inRule(spec)] });
  const passes = (spec: Partial<RuleIntent>, what: Partial<Packet>) =>
    ask(rule(spec), ...A_TO_B, what).startsWith('allow');
  const ports = (...list: readonly (number | string)[]) =>
    [79, 80, 8000, 8010, 8011, 8080].filter((port) =>
      passes({ protocol: 'tcp', ports: list }, { destinationPort: port }),
    );
  t.strictSame(ports(80, '8000-8010'), [80, 8000, 8010]);
  t.strictSame(ports('http'), [8080]);
  t.notOk(passes({ protocol: 'udp', ports: [80] }, {}));
  t.ok(passes({ protocol: 'udp', ports: ['dns'] }, { protocol: 17, destinationPort: 53 }));
  t.ok(passes({ protocol: 'tcp', port: 80 }, {}));
  t.notOk(passes({ protocol: 'tcp', port: 81 }, {}));
  t.ok(passes({ protocol: 'tcp', port: 0 }, {}), 'any, as contiv has it');
  t.notOk(
    passes({ protocol: 'udp', ports: ['http'] }, { protocol: 17, destinationPort: 8080 }),
    'named for tcp',
  );
  t.ok(passes({ protocol: 6 }, {}));
  const icmp = { protocol: 1, icmpType: 8, icmpCode: 0 };
  t.ok(passes({ protocol: 'icmp', icmpType: 8 }, icmp));
  t.notOk(passes({ protocol: 'icmp', icmpType: 8, icmpCode: 1 }, icmp));
  t.notOk(passes({ protocol: 'icmpv6' }, icmp));
});

t.test('which decides', async (t) => {
  const allow = inRule({ name: 'allow', priority: 50 });
  const deny = inRule({ name: 'deny', priority: 50, action: 'deny' });
  const decides = (...policies: readonly object[]) => ask(onB(...policies), ...A_TO_B);
  t.equal(decides({ rules: [allow, deny] }), 'deny rule acme/p0/deny', 'deny, of equal priority');
  t.equal(decides({ rules: [deny] }, { rules: [{ ...allow, priority: 51 }] }), 'allow rule acme/p1/allow');
  t.equal(
    decides({ rules: [{ ...deny, priority: 100 }] }, { tier: 'high', rules: [{ ...allow, priority: 1 }] }),
    'allow rule acme/p1/allow',
  );
  t.equal(
    decides({ rules: [allow, { ...allow, name: 'again' }] }),
    'allow rule acme/p0/allow',
    'the first one',
  );
  t.equal(decides({ rules: [{ ...deny, action: 'reject' }] }), 'reject rule acme/p0/deny');
  const { priority: _, ...lowest } = deny;
  t.equal(decides({ rules: [lowest, inRule({ name: 'two', priority: 2 })] }), 'allow rule acme/p0/two');
});

t.test('both sides', async (t) => {
  const intents = [
    ...onB({ defaultIn: 'deny', rules: [inRule({ protocol: 'tcp' })] }).filter(
      ({ name }) => name !== 'front',
    ),
    group('front', {
      selector: {
        matchExpressions: [
          { key: 'app', operator: 'In', values: ['front', 'x'] },
          { key: 'tier', operator: 'Exists' },
        ],
      },
      policies: ['outwards'],
    }),
    {
      kind: 'Policy',
      tenant: 'acme',
      name: 'outwards',
      defaultOut: 'deny',
      rules: [{ name: 'web', direction: 'out', to: [{ group: 'back' }], protocol: 'tcp', ports: [80] }],
    },
  ] as readonly Intent[];
  t.equal(ask(intents, ...A_TO_B), 'allow rule acme/p0/r');
  t.equal(ask(intents, ...A_TO_B, { destinationPort: 81 }), 'deny default of policy acme/outwards');
  t.equal(
    ask(intents, ...C_TO_B, { protocol: 17 }),
    'deny default of policy acme/outwards',
    'it names the group',
  );
  t.equal(ask(intents, '10.1.1.99', '10.1.1.2'), 'allow rule acme/p0/r', 'outsiders may send');
  const notIn = group('rest', {
    selector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['back'] }] },
    policies: ['none'],
  });
  const none = { kind: 'Policy', tenant: 'acme', name: 'none', defaultIn: 'deny' };
  t.match(
    ask([...ground, notIn, none], '10.1.1.2', '10.1.1.3'),
    /^deny/,
    'without the label it is not in the list',
  );
  t.match(ask([...ground, notIn, none], '10.1.1.1', '10.1.1.2'), /^allow/);
});
