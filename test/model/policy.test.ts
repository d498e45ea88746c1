/** Intents of policy and quality of service: what they become, what is refused, what is warned of, and what holds them together. */
import t from 'tap';
import type { RuleFact } from '../../controller/model/facts.js';
import type { Model, Problem } from '../../controller/model/index.js';
import { applyText, factsByKey, Follower, openModel } from './helpers.js';
import { codesOf, example, openNew, refusedWith } from './fixtures.js';

const BASE = `
kind: Tenant
name: acme
---
{kind: Network, tenant: acme, name: front, subnet: 10.1.1.0/24}
---
{kind: Network, tenant: acme, name: six, subnet: none, ipv6Subnet: fd00:6::/64}
---
{kind: Endpoint, tenant: acme, network: front, name: web1, labels: {role: web, env: prod}, ports: {http: 8080, dns: 53/udp}}
---
{kind: Endpoint, tenant: acme, network: front, name: web2, labels: {role: web, env: test}}
---
{kind: Endpoint, tenant: acme, network: six, name: other}
---
{kind: Group, tenant: acme, name: web, selector: {matchLabels: {role: web}}}
---
{kind: Group, tenant: acme, name: empty}
---
{kind: AddressSet, tenant: acme, name: partners, addresses: [192.0.2.0/25, 192.0.2.128/25, 192.0.2.7]}
---
{kind: AddressSet, tenant: acme, name: v6, addresses: ["fd00::/16"]}
---
{kind: Policy, tenant: acme, name: p}
---
`;

async function openBase(): Promise<Model> {
  const model = await openModel();
  await applyText(model, BASE);
  return model;
}

/** Applies rules (in flow style) as all that policy `p` has. */
const rules = (model: Model, ...list: string[]) =>
  applyText(
    model,
    `kind: Policy\ntenant: acme\nname: p\nrules:${list.map((rule) => `\n  - ${rule}`).join('') || ' []'}`,
  );

/** The facts with these keys. */
const factsOf = (model: Model, ...keys: string[]) => {
  const facts = factsByKey(model.facts());
  return keys.map((key) => facts[key]);
};

await t.test('objects become the facts that apps read', async (t) => {
  const model = await openBase();
  const follower = new Follower(model);
  await applyText(
    model,
    `
kind: Tenant
name: acme
defaultAction: deny
---
{kind: Tier, name: security, priority: 20}
---
{kind: QosProfile, tenant: acme, name: gold, out: {rate: 10 Mbps}, in: {rate: 1G, burst: 2 Mbit}, dscp: AF41, sharing: host, queue: 5, guaranteed: 512 kbit}
---
{kind: Network, tenant: acme, name: front, subnet: 10.1.1.0/24, qos: gold}
---
{kind: Endpoint, tenant: acme, network: front, name: web1, labels: {role: web}, groups: [empty], ports: {http: 8080, dns: 53/udp}, qos: gold}
---
{kind: AddressSet, tenant: acme, name: partners, addresses: [192.0.2.0/25, 192.0.2.128/25, "fd00::1"], except: [192.0.2.7, 203.0.113.0/24]}
---
kind: Group
tenant: acme
name: web
endpoints: [front/web1]
networks: [front]
selector: {matchLabels: {role: web}, matchExpressions: [{key: env, operator: NotIn, values: [test]}]}
policies: [p]
qos: gold
---
kind: Policy
tenant: acme
name: p
tier: security
defaultIn: deny
rules:
  - {name: full, priority: 7, from: [{group: web}, {network: front}, {addressSet: partners}, {cidr: 10.0.0.0/8, except: [10.2.0.0/16, 10.3.0.0/16]}], protocol: tcp, ports: [443, 80, "81-90", http], action: reject, log: true, stateless: true}
  - {name: ping, direction: out, protocol: 1, icmpType: 8, icmpCode: 0}
  - {name: any}
`,
  );
  t.match(factsOf(model, 'tenant acme', 'network acme/front', 'policy acme/p', 'group acme/web'), [
    { defaultAction: 'deny' },
    { qos: 'acme/gold' },
    { id: 'acme/p', tenant: 'acme', name: 'p', number: 1, tier: 20, defaultIn: 'deny' },
    {
      id: 'acme/web',
      number: 1,
      endpoints: ['acme/front/web1'],
      networks: ['acme/front'],
      selector: {
        matchLabels: { role: 'web' },
        expressions: [{ key: 'env', operator: 'NotIn', values: ['test'] }],
      },
      policies: ['acme/p'],
      qos: 'acme/gold',
    },
  ]);
  t.match(factsOf(model, 'endpoint acme/front/web1', 'addressSet acme/partners'), [
    {
      labels: { role: 'web' },
      groups: ['acme/empty'],
      namedPorts: { http: { protocol: 6, port: 8080 }, dns: { protocol: 17, port: 53 } },
      qos: 'acme/gold',
    },
    {
      prefixes: [
        { family: 4, address: 0xc0000200, length: 24 },
        { family: 6, address: `${(0xfd00n << 112n) | 1n}n`, length: 128 },
      ],
      except: [{ family: 4, address: 0xc0000207, length: 32 }],
    },
  ]);
  const [full, ping, any, profile] = factsOf(
    model,
    'rule acme/p/full',
    'rule acme/p/ping',
    'rule acme/p/any',
    'qosProfile acme/gold',
  );
  t.same(full, {
    id: 'acme/p/full',
    policy: 'acme/p',
    name: 'full',
    number: 1,
    direction: 'in',
    priority: 7,
    position: 0,
    action: 'reject',
    log: true,
    stateless: true,
    peers: [
      { kind: 'group', id: 'acme/web' },
      { kind: 'network', id: 'acme/front' },
      { kind: 'addressSet', id: 'acme/partners' },
      {
        kind: 'block',
        block: {
          prefixes: [{ family: 4, address: 0x0a000000, length: 8 }],
          except: [{ family: 4, address: 0x0a020000, length: 15 }],
        },
      },
    ],
    services: [
      {
        protocol: 6,
        ports: [
          { first: 80, last: 90 },
          { first: 443, last: 443 },
        ],
        portNames: ['http'],
      },
    ],
  });
  t.match(ping, { direction: 'out', services: [{ protocol: 1, icmpType: 8, icmpCode: 0 }], peers: [] });
  t.match(any, { priority: 1, action: 'allow', log: false, stateless: false, services: [], position: 2 });
  t.same(profile, {
    id: 'acme/gold',
    tenant: 'acme',
    name: 'gold',
    number: 1,
    out: { kilobitsPerSecond: 10_000, burstKilobits: 3000 },
    in: { kilobitsPerSecond: 1_000_000, burstKilobits: 2000 },
    sharing: 'host',
    dscp: 34,
    trust: false,
    queue: 5,
    guaranteedKilobitsPerSecond: 512,
  });

  // A tier is part of its policies' facts.
  await applyText(model, '{kind: Tier, name: security, priority: 25}');
  t.match(factsOf(model, 'policy acme/p'), [{ tier: 25 }]);
  t.same(
    follower.calls.at(-1)?.map(({ kind, key }) => `${kind} ${key}`),
    ['policy acme/p'],
  );
  t.same(follower.byKey(), factsByKey(model.facts()));
});

await t.test("contiv's members of a rule say what Weft's say", async (t) => {
  const model = await openBase();
  await rules(
    model,
    '{name: a, priority: 2, direction: in, fromEndpointGroup: web, protocol: tcp, port: 80, action: deny}',
    '{name: b, direction: in, fromNetwork: front, protocol: "17", port: 0}',
    '{name: c, direction: out, toIpAddress: 10.9.0.0/16}',
  );
  const [before] = [model.facts()];
  const { changes } = await rules(
    model,
    '{name: a, priority: 2, direction: in, from: [{group: web}], protocol: tcp, ports: ["80"], action: deny}',
    '{name: b, from: [{network: front}], direction: in, protocol: 17}',
    '{name: c, direction: out, to: [{cidr: 10.9.0.0/16}]}',
  );
  t.ok(changes.every(({ action }) => action === 'unchanged'));
  t.same(model.facts(), before);
  t.same(
    model
      .get('Policy', 'acme/p')
      ?.spec.rules?.map(({ name, from, to, ports }) => ({ name, from, to, ports })),
    [
      { name: 'a', from: [{ group: 'web' }], to: undefined, ports: [80] },
      { name: 'b', from: [{ network: 'front' }], to: undefined, ports: undefined },
      { name: 'c', from: undefined, to: [{ cidr: '10.9.0.0/16' }], ports: undefined },
    ],
  );
});

await t.test('a rule that cannot be is refused, with the place of the mistake', async (t) => {
  const model = await openBase();
  const before = factsByKey(model.facts());
  const cases: readonly (readonly [rule: string, code: string, member: string])[] = [
    ['{name: r, from: [{group: nope}]}', 'policy.group.unknown', 'from[0].group'],
    ['{name: r, from: [{group: web}, {network: nope}]}', 'policy.network.unknown', 'from[1].network'],
    ['{name: r, from: [{addressSet: nope}]}', 'policy.addressSet.unknown', 'from[0].addressSet'],
    ['{name: r, fromEndpointGroup: nope}', 'policy.group.unknown', 'from[0].group'],
    ['{name: r, ports: [80]}', 'rule.ports.protocol', 'ports'],
    ['{name: r, protocol: icmp, ports: [80]}', 'rule.ports.protocol', 'ports'],
    ['{name: r, port: 80}', 'rule.ports.protocol', 'ports'],
    ['{name: r, protocol: tcp, ports: ["90-80"]}', 'rule.ports', 'ports[0]'],
    ['{name: r, protocol: tcp, ports: [80, "0-80"]}', 'rule.ports', 'ports[1]'],
    ['{name: r, protocol: tcp, ports: ["65530-65536"]}', 'rule.ports', 'ports[0]'],
    ['{name: r, protocol: tcp, ports: ["a_b"]}', 'rule.ports', 'ports[0]'],
    ['{name: r, protocol: tpc}', 'rule.protocol', 'protocol'],
    ['{name: r, protocol: 256}', 'intent.value', 'protocol'],
    ['{name: r, protocol: tcp, icmpType: 8}', 'rule.icmp.protocol', 'icmpType'],
    ['{name: r, icmpType: 8}', 'rule.icmp.protocol', 'icmpType'],
    ['{name: r, protocol: icmp, icmpCode: 1}', 'rule.icmp.type', 'icmpCode'],
    ['{name: r, from: [{cidr: 10.0.0.0/8}, {cidr: "fd00::/8"}]}', 'rule.families', 'from'],
    ['{name: r, from: [{cidr: 10.0.0.0/8, except: ["fd00::/8"]}]}', 'rule.families', 'from[0].except[0]'],
    ['{name: r, from: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}', 'rule.except', 'from[0].except[0]'],
    [
      '{name: r, from: [{cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}]}',
      'rule.nothing',
      'from[0].except',
    ],
    ['{name: r, from: [{cidr: 10.0.0.1/8}]}', 'rule.cidr', 'from[0].cidr'],
    ['{name: r, from: [{cidr: 010.0.0.1}]}', 'rule.cidr', 'from[0].cidr'],
    ['{name: r, from: [{group: web, network: front}]}', 'rule.peers', 'from[0]'],
    ['{name: r, from: [{}]}', 'rule.peers', 'from[0]'],
    ['{name: r, from: [{group: web, except: [10.0.0.0/8]}]}', 'rule.peers', 'from[0].except'],
    ['{name: r, to: [{group: web}]}', 'rule.direction', 'to'],
    ['{name: r, direction: out, fromIpAddress: 10.1.1.1}', 'rule.direction', 'from'],
    ['{name: r, fromEndpointGroup: web, fromIpAddress: 10.1.1.1}', 'rule.peers', 'fromEndpointGroup'],
    [
      '{name: r, protocol: icmp, from: [{cidr: "fd00::/8"}, {addressSet: v6}, {network: six}]}',
      'rule.icmp.family',
      'protocol',
    ],
    ['{name: r, protocol: icmpv6, fromIpAddress: 10.0.0.0/8}', 'rule.icmp.family', 'protocol'],
    ['{name: r, priority: 0}', 'intent.value', 'priority'],
    ['{name: r, priority: 101}', 'intent.value', 'priority'],
    ['{name: r, action: permit}', 'intent.value', 'action'],
    ['{name: r, from: [{groop: web}]}', 'intent.unknown-key', 'from[0].groop'],
    ['{direction: in}', 'intent.missing', 'name'],
    ['{name: r, groupAddresses: [{cidr: 10.0.0.0/8}]}', 'rule.groupAddresses', 'groupAddresses[0].cidr'],
    ['{name: r, groupAddresses: [{cidr: 224.0.0.0/3}]}', 'rule.groupAddresses', 'groupAddresses[0].cidr'],
    ['{name: r, groupAddresses: [{cidr: "fe00::/7"}]}', 'rule.groupAddresses', 'groupAddresses[0].cidr'],
    ['{name: r, groupAddresses: [{cidr: 239.1.1.1/8}]}', 'rule.cidr', 'groupAddresses[0].cidr'],
    ['{name: r, groupAddresses: [{cidr: 239.1.1.1}, {}]}', 'rule.groupAddresses', 'groupAddresses[1]'],
    [
      '{name: r, groupAddresses: [{cidr: 239.1.1.1, addressSet: partners}]}',
      'rule.groupAddresses',
      'groupAddresses[0]',
    ],
    [
      '{name: r, groupAddresses: [{cidr: 239.1.0.0/16, except: [239.2.0.0/16]}]}',
      'rule.except',
      'groupAddresses[0].except[0]',
    ],
    [
      '{name: r, groupAddresses: [{addressSet: nope}]}',
      'policy.addressSet.unknown',
      'groupAddresses[0].addressSet',
    ],
    [
      '{name: r, groupAddresses: [{addressSet: partners}]}',
      'rule.groupAddresses',
      'groupAddresses[0].addressSet',
    ],
    ['{name: r, groupAddresses: [{group: web}]}', 'intent.unknown-key', 'groupAddresses[0].group'],
    ['{name: r, direction: out, groupAddresses: [{cidr: 239.1.0.0/16}]}', 'rule.direction', 'groupAddresses'],
    [
      '{name: r, fromIpAddress: 10.0.0.0/8, groupAddresses: [{cidr: "ff15::/16"}]}',
      'rule.families',
      'groupAddresses',
    ],
  ];
  for (const [rule, code, member] of cases) {
    const problems = await refusedWith(rules(model, rule));
    t.same(codesOf(problems), [code], rule);
    t.equal(problems[0]?.path, `Policy acme/p: rules[0].${member}`, rule);
    t.match(problems[0], { line: 5, fix: /./ }, rule);
  }
  const twice = await refusedWith(rules(model, '{name: r}', '{name: s}', '{name: r}'));
  t.match(twice, [{ code: 'rule.duplicate', path: 'Policy acme/p: rules[2].name', line: 7 }]);
  t.same(factsByKey(model.facts()), before, 'and nothing of it remains');

  // What is of both families is of the one that ICMP needs.
  const { warnings } = await rules(
    model,
    '{name: r, protocol: icmp, from: [{cidr: "fd00::/8"}, {group: web}]}',
    '{name: s, protocol: icmpv6, from: [{network: six}]}',
  );
  t.same(warnings, []);
});

await t.test('mistakes of the other objects', async (t) => {
  const model = await openBase();
  const cases: readonly (readonly [object: string, code: string, member: string])[] = [
    ['{kind: Group, tenant: nope, name: g}', 'group.tenant.unknown', 'tenant'],
    ['{kind: Group, tenant: acme, name: g, networks: [fornt]}', 'group.network.unknown', 'networks[0]'],
    ['{kind: Group, tenant: acme, name: g, policies: [p, q]}', 'group.policy.unknown', 'policies[1]'],
    ['{kind: Group, tenant: acme, name: g, qos: gold}', 'group.qosProfile.unknown', 'qos'],
    ['{kind: Group, tenant: acme, name: g, endpoints: [web1]}', 'intent.value', 'endpoints[0]'],
    [
      '{kind: Group, tenant: acme, name: g, selector: {matchLabels: {"a b": c}}}',
      'intent.value',
      'selector.matchLabels',
    ],
    [
      '{kind: Group, tenant: acme, name: g, selector: {matchExpressions: [{key: a, operator: In}]}}',
      'group.selector',
      'selector.matchExpressions[0].values',
    ],
    [
      '{kind: Group, tenant: acme, name: g, selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}',
      'group.selector',
      'selector.matchExpressions[0].values',
    ],
    [
      '{kind: AddressSet, tenant: acme, name: s, addresses: [10.1.1.0/24, 10.1.1.1/24]}',
      'addressSet.address',
      'addresses[1]',
    ],
    ['{kind: Policy, tenant: acme, name: x, tier: nope}', 'policy.tier.unknown', 'tier'],
    ['{kind: Tier, name: x, priority: 31}', 'intent.value', 'priority'],
    ['{kind: Rule, tenant: acme, policy: nope, name: r}', 'rule.policy.unknown', 'policy'],
    ['{kind: Rule, tenant: acme, policy: p, name: r, ports: [80]}', 'rule.ports.protocol', 'ports'],
    ['{kind: QosProfile, tenant: acme, name: q, out: {rate: fast}}', 'qosProfile.out.rate', 'out.rate'],
    [
      '{kind: QosProfile, tenant: acme, name: q, in: {rate: 1M, burst: 10 Mbps}}',
      'qosProfile.in.burst',
      'in.burst',
    ],
    ['{kind: QosProfile, tenant: acme, name: q, in: {burst: 10 KB}}', 'intent.missing', 'in.rate'],
    ['{kind: QosProfile, tenant: acme, name: q, dscp: AF44}', 'qosProfile.dscp', 'dscp'],
    ['{kind: QosProfile, tenant: acme, name: q, guaranteed: 5 Mbps}', 'qosProfile.guaranteed', 'guaranteed'],
    ['{kind: Network, tenant: acme, name: n, qos: gold}', 'network.qosProfile.unknown', 'qos'],
    [
      '{kind: Endpoint, tenant: acme, network: front, name: e, groups: [web, wbe]}',
      'endpoint.group.unknown',
      'groups[1]',
    ],
    [
      '{kind: Endpoint, tenant: acme, network: front, name: e, qos: gold}',
      'endpoint.qosProfile.unknown',
      'qos',
    ],
    [
      '{kind: Endpoint, tenant: acme, network: front, name: e, ports: {http: 80/icmp}}',
      'endpoint.ports',
      'ports.http',
    ],
    ['{kind: Endpoint, tenant: acme, network: front, name: e, ports: {"80": 80}}', 'intent.value', 'ports'],
  ];
  for (const [object, code, member] of cases) {
    const problems = await refusedWith(applyText(model, `---\n${object}\n`));
    t.same(codesOf(problems), [code], object);
    t.match(problems[0], { line: 2, path: new RegExp(`: ${member.replaceAll(/[[\].]/g, '\\$&')}$`) }, object);
  }
  t.match(await refusedWith(applyText(model, '{kind: Group, tenant: acme, name: g, networks: [fornt]}')), [
    { fix: 'did you mean "acme/front"?' },
  ]);
  t.same(
    codesOf(
      await refusedWith(
        applyText(
          model,
          '{kind: Policy, tenant: acme, name: q, tier: no}\n---\n{kind: Group, tenant: acme, name: g, policies: [q]}',
        ),
      ),
    ),
    ['policy.tier.unknown'],
    'what depends on a refused object is not told again',
  );
});

await t.test('what is hardly meant is warned of', async (t) => {
  const model = await openBase();
  const warned = async (...list: string[]) =>
    (await rules(model, ...list)).warnings.map(
      ({ code, path = '' }: Problem) => `${code} ${path.split(': ')[1]}`,
    );

  t.same(await warned('{name: a, from: [{group: empty}]}'), ['rule.nobody rules[0].from']);
  t.same(await warned('{name: a, protocol: tcp, ports: [80], stateless: true}'), [
    'rule.stateless.answers rules[0].stateless',
  ]);
  t.same(await warned('{name: a, protocol: udp, ports: [53], stateless: true}'), []);
  t.same(await warned('{name: a, from: [{group: empty}, {group: web}]}'), [], 'somebody is enough');
  t.same(
    await warned('{name: a, direction: out, to: [{group: empty}], protocol: tcp, ports: [http, nope]}'),
    ['rule.nobody rules[0].to', 'rule.ports.unknown rules[0].ports'],
  );

  const shadowed: readonly (readonly [string, string, number | undefined])[] = [
    ['{name: a, priority: 2}', '{name: b, action: deny}', 1],
    ['{name: a}', '{name: b, priority: 2, action: deny}', 0],
    ['{name: a, action: deny}', '{name: b}', 1],
    ['{name: a}', '{name: b, action: deny}', 0],
    ['{name: a, from: [{group: web}]}', '{name: b, from: [{group: web}]}', 1],
    ['{name: a, from: [{group: web}]}', '{name: b}', undefined],
    [
      '{name: a, from: [{group: web}], direction: in}',
      '{name: b, to: [{group: web}], direction: out}',
      undefined,
    ],
    ['{name: a, priority: 9, protocol: tcp}', '{name: b, protocol: tcp, ports: [80, http]}', 1],
    [
      '{name: a, priority: 9, protocol: tcp, ports: [80-90, http]}',
      '{name: b, protocol: tcp, ports: [81, 85-90, http]}',
      1,
    ],
    [
      '{name: a, priority: 9, protocol: tcp, ports: [80-90]}',
      '{name: b, protocol: tcp, ports: [81, http]}',
      undefined,
    ],
    [
      '{name: a, priority: 9, protocol: tcp, ports: [80-90]}',
      '{name: b, protocol: tcp, ports: [89-91]}',
      undefined,
    ],
    [
      '{name: a, priority: 9, protocol: tcp, ports: [80-90]}',
      '{name: b, protocol: udp, ports: [80]}',
      undefined,
    ],
    ['{name: a, priority: 9, protocol: icmp}', '{name: b, protocol: icmp, icmpType: 8}', 1],
    [
      '{name: a, priority: 9, protocol: icmp, icmpType: 8}',
      '{name: b, protocol: icmp, icmpType: 8, icmpCode: 0}',
      1,
    ],
    ['{name: a, priority: 9, protocol: icmp, icmpType: 8}', '{name: b, protocol: icmp}', undefined],
    [
      '{name: a, priority: 9, fromIpAddress: 10.0.0.0/8}',
      '{name: b, from: [{cidr: 10.1.0.0/16}, {cidr: 10.9.9.9}]}',
      1,
    ],
    [
      '{name: a, priority: 9, fromIpAddress: 10.0.0.0/8}',
      '{name: b, from: [{cidr: 10.1.0.0/16}, {cidr: 11.9.9.9}]}',
      undefined,
    ],
    [
      '{name: a, priority: 9, from: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}',
      '{name: b, fromIpAddress: 10.1.2.0/24}',
      undefined,
    ],
    [
      '{name: a, priority: 9, from: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}',
      '{name: b, fromIpAddress: 10.0.0.0/8}',
      undefined,
    ],
    [
      '{name: a, priority: 9, from: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}',
      '{name: b, from: [{cidr: 10.0.0.0/9, except: [10.0.0.0/15]}]}',
      1,
    ],
    ['{name: a, priority: 9, fromIpAddress: 192.0.0.0/16}', '{name: b, from: [{addressSet: partners}]}', 1],
    ['{name: a, priority: 9, from: [{addressSet: partners}]}', '{name: b, fromIpAddress: 192.0.2.128}', 1],
    ['{name: a, priority: 9, stateless: true}', '{name: b}', undefined],
    ['{name: a, priority: 9}', '{name: b, groupAddresses: [{cidr: 239.1.0.0/16}]}', 1],
    ['{name: a, priority: 9, groupAddresses: [{cidr: 239.1.0.0/16}]}', '{name: b}', undefined],
    [
      '{name: a, priority: 9, groupAddresses: [{cidr: 239.0.0.0/8}]}',
      '{name: b, groupAddresses: [{cidr: 239.1.0.0/16}]}',
      1,
    ],
    [
      '{name: a, priority: 9, groupAddresses: [{cidr: 239.1.0.0/16}]}',
      '{name: b, groupAddresses: [{cidr: 239.0.0.0/8}]}',
      undefined,
    ],
  ];
  for (const [first, second, expected] of shadowed)
    t.same(
      await warned(first, second),
      expected === undefined ? [] : [`rule.shadowed rules[${expected}]`],
      `${first} ${second}`,
    );
  const { warnings } = await rules(model, '{name: a, priority: 9}', '{name: b, protocol: tcp}');
  t.match(warnings, [{ message: /rule a .*priority 9/, line: 6, fix: /remove it/ }]);

  // A rule that comes by itself may shadow those that are there.
  await rules(model, '{name: a, protocol: tcp}');
  const alone = await applyText(model, '{kind: Rule, tenant: acme, policy: p, name: b, priority: 5}');
  t.match(alone.warnings, [{ code: 'rule.shadows', message: /rule a / }]);

  const group = await applyText(model, '{kind: Group, tenant: acme, name: late, endpoints: [front/web3]}');
  t.match(group.warnings, [{ code: 'group.endpoint.unknown', fix: /acme\/front\/web/ }]);
  const set = await applyText(
    model,
    '{kind: AddressSet, tenant: acme, name: x, addresses: [10.1.0.0/16], except: [10.0.0.0/8]}',
  );
  t.match(set.warnings, [{ code: 'addressSet.nothing' }]);
  const burst = await applyText(
    model,
    '{kind: QosProfile, tenant: acme, name: q, out: {rate: 100 Mbps, burst: 64 KB}}',
  );
  t.match(burst.warnings, [{ code: 'qosProfile.burst', path: 'QosProfile acme/q: out.burst' }]);
});

await t.test('rules keep their numbers and their places, alone and in their policy', async (t) => {
  const model = await openBase();
  const numbers = () =>
    Object.fromEntries(
      model.list('Rule').map(({ spec, status }) => [spec.name, [status.number, status.position]]),
    );
  await rules(model, '{name: a}', '{name: b, action: deny}', '{name: c, protocol: tcp}');
  t.same(numbers(), { a: [1, 0], b: [2, 1], c: [3, 2] });
  await rules(model, '{name: c, protocol: udp}', '{name: a, priority: 9}', '{name: d}');
  t.same(
    numbers(),
    { c: [3, 0], a: [1, 1], d: [4, 2] },
    'a number that goes is not given out in the same change',
  );
  await applyText(model, '{kind: Rule, tenant: acme, policy: p, name: e}');
  t.same(numbers(), { c: [3, 0], a: [1, 1], d: [4, 2], e: [2, 3] });
  const { changes } = await applyText(model, '{kind: Rule, tenant: acme, policy: p, name: a, action: deny}');
  t.match(changes, [{ action: 'update', kind: 'Rule', name: 'acme/p/a' }]);
  t.equal(changes.length, 1);
  await applyText(model, '{kind: Policy, tenant: acme, name: p, defaultIn: deny}');
  t.same(Object.keys(numbers()), ['a', 'c', 'd', 'e'], 'a policy without rules leaves them alone');
  await model.remove([{ kind: 'Rule', name: 'acme/p/c' }]);
  t.same(numbers(), { a: [1, 1], d: [4, 2], e: [2, 3] });
  t.same(
    codesOf(
      await refusedWith(
        applyText(
          model,
          '{kind: Policy, tenant: acme, name: p, rules: [{name: a}]}\n---\n{kind: Rule, tenant: acme, policy: p, name: a}',
        ),
      ),
    ),
    ['intent.duplicate'],
  );
  await rules(model);
  t.same(numbers(), {}, 'no rules is all of them gone');

  // Of a long policy, taking one rule away touches the first ten at most.
  const long = (skip?: number) =>
    Array.from(
      { length: 40 },
      (_, index) => `{name: r${index}, protocol: tcp, ports: [${index + 1}]}`,
    ).filter((_, index) => index !== skip);
  await rules(model, ...long());
  const follower = new Follower(model);
  await rules(model, ...long(20));
  t.same(
    follower.calls.flat().map(({ key }) => key),
    ['acme/p/r20'],
  );
  await rules(model, ...long(3));
  t.same(
    follower.calls
      .at(-1)
      ?.map(({ key }) => key.slice(7))
      .sort(),
    ['r10', 'r20', 'r3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9'].sort(),
  );
});

await t.test('members of groups, and what an endpoint is in', async (t) => {
  const model = await openBase();
  await applyText(
    model,
    `
{kind: QosProfile, tenant: acme, name: gold}
---
{kind: QosProfile, tenant: acme, name: silver}
---
{kind: Network, tenant: acme, name: front, subnet: 10.1.1.0/24, qos: silver}
---
{kind: Group, tenant: acme, name: named, endpoints: [front/web2, front/later], policies: [p]}
---
{kind: Group, tenant: acme, name: net, networks: [front, six]}
---
{kind: Group, tenant: acme, name: prod, selector: {matchExpressions: [{key: env, operator: In, values: [prod]}]}, qos: gold, policies: [p]}
---
{kind: Group, tenant: acme, name: not-prod, selector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}}
---
{kind: Group, tenant: acme, name: front-web, networks: [six], selector: {matchLabels: {role: web}}}
---
{kind: Group, tenant: acme, name: labelled, selector: {matchExpressions: [{key: env, operator: Exists}, {key: zone, operator: DoesNotExist}]}}
---
{kind: Group, tenant: acme, name: all, selector: {}}
---
{kind: Endpoint, tenant: acme, network: six, name: other, groups: [empty]}
`,
  );
  const members = Object.fromEntries(
    model.list('Group').map(({ spec, status }) => [spec.name, status.members]),
  );
  t.same(members, {
    all: 3,
    empty: 1,
    'front-web': 0,
    labelled: 2,
    named: 1,
    net: 3,
    'not-prod': 2,
    prod: 1,
    web: 2,
  });
  const groups = (id: string) => model.get('Endpoint', id)?.status.groups?.map((group) => group.slice(5));
  t.same(groups('acme/front/web1'), ['all', 'labelled', 'net', 'prod', 'web']);
  t.same(groups('acme/front/web2'), ['all', 'labelled', 'named', 'net', 'not-prod', 'web']);
  t.same(groups('acme/six/other'), ['all', 'empty', 'net', 'not-prod']);
  t.equal(model.get('Endpoint', 'acme/front/web1')?.status.qos, 'acme/gold', "its group's");
  t.equal(model.get('Endpoint', 'acme/front/web2')?.status.qos, 'acme/silver', "its network's");
  t.equal(model.get('Endpoint', 'acme/six/other')?.status.qos, undefined);
  t.match(model.get('Policy', 'acme/p')?.status, { groups: ['acme/named', 'acme/prod'], subjects: 2 });
});

await t.test('an agent says what its endpoint is, and an intent stands over it', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await applyText(model, BASE);
  const ask = (more: object) =>
    model.requestEndpoint({ tenant: 'acme', network: 'front', name: 'pod', host: 'h1', ...more });
  t.same(codesOf(await refusedWith(ask({ groups: ['nope'] }))), ['endpoint.group.unknown']);
  t.same(codesOf(await refusedWith(ask({ labels: { 'a b': 'c' } }))), ['endpoint.labels']);
  t.equal(model.get('Endpoint', 'acme/front/pod'), undefined, 'what is refused is not there');
  await ask({ labels: { role: 'web', env: 'test' }, groups: ['empty'], ports: { http: 80 } });
  t.match(factsOf(model, 'endpoint acme/front/pod'), [
    {
      labels: { role: 'web', env: 'test' },
      groups: ['acme/empty'],
      namedPorts: { http: { protocol: 6, port: 80 } },
    },
  ]);
  await ask({});
  t.match(
    model.get('Endpoint', 'acme/front/pod')?.status,
    { groups: ['acme/empty', 'acme/web'] },
    'silence keeps',
  );
  t.match(
    model.get('Endpoint', 'acme/front/pod')?.spec,
    { labels: { role: 'web' } },
    'as an intent would say it',
  );
  await applyText(
    model,
    '{kind: Endpoint, tenant: acme, network: front, name: pod, labels: {role: db}, groups: [web]}',
  );
  t.match(factsOf(model, 'endpoint acme/front/pod'), [
    { labels: { role: 'db', env: 'test' }, groups: ['acme/empty', 'acme/web'] },
  ]);
  await ask({
    rates: { in: { kilobitsPerSecond: 800, burstKilobits: 90 }, out: { kilobitsPerSecond: 10_000 } },
  });
  await ask({});
  t.match(
    factsOf(model, 'endpoint acme/front/pod'),
    [
      {
        rates: {
          in: { kilobitsPerSecond: 800, burstKilobits: 90 },
          out: { kilobitsPerSecond: 10_000, burstKilobits: 3000 },
        },
      },
    ],
    'with the burst that profiles have',
  );
  t.match(model.get('Endpoint', 'acme/front/pod')?.status, { rates: { in: { kilobitsPerSecond: 800 } } });
  await ask({ labels: {}, groups: [] });
  t.same((factsOf(model, 'endpoint acme/front/pod')[0] as { labels: object }).labels, { role: 'db' });
  await model.remove([{ kind: 'Group', name: 'acme/empty' }]);
  t.same(codesOf(await refusedWith(model.remove([{ kind: 'Group', name: 'acme/web' }]))), ['object.used']);
  const facts = factsByKey(model.facts());
  const again = await opened.reopen();
  t.same(factsByKey(again.model.facts()), facts);
  await again.model.requestEndpoint({ tenant: 'acme', network: 'front', name: 'pod', host: 'h1', rates: {} });
  const without = factsOf(again.model, 'endpoint acme/front/pod')[0] as object;
  t.notOk('rates' in without, 'no rates take them back');
  await again.close();
});

await t.test('what is used is not deleted, its users are named, and cascade ends the use', async (t) => {
  const model = await openModel();
  await applyText(model, BASE);
  await applyText(
    model,
    `
{kind: Tier, name: low, priority: 2}
---
{kind: QosProfile, tenant: acme, name: gold}
---
{kind: Network, tenant: acme, name: front, subnet: 10.1.1.0/24, qos: gold}
---
{kind: Endpoint, tenant: acme, network: six, name: other, groups: [empty, web], qos: gold}
---
{kind: Group, tenant: acme, name: web, networks: [six], selector: {matchLabels: {role: web}}, policies: [p], qos: gold}
---
{kind: Policy, tenant: acme, name: p, tier: low, rules: [{name: g, from: [{group: empty}, {group: web}]}, {name: n, from: [{network: six}]}, {name: s, from: [{addressSet: v6}]}, {name: any}]}
`,
  );
  const refused = async (kind: Parameters<Model['remove']>[0][number]['kind'], name: string) =>
    (await refusedWith(model.remove([{ kind, name }]))).map(({ message }) => message);
  t.same(await refused('Group', 'acme/empty'), [
    'Group acme/empty is used by endpoint acme/six/other',
    'Group acme/empty is used by rule acme/p/g',
  ]);
  t.same(await refused('AddressSet', 'acme/v6'), ['AddressSet acme/v6 is used by rule acme/p/s']);
  t.same(await refused('Policy', 'acme/p'), ['Policy acme/p is used by group acme/web']);
  t.same(await refused('Tier', 'low'), ['Tier low is used by policy acme/p']);
  t.same(await refused('QosProfile', 'acme/gold'), [
    'QosProfile acme/gold is used by endpoint acme/six/other',
    'QosProfile acme/gold is used by group acme/web',
    'QosProfile acme/gold is used by network acme/front',
  ]);
  t.match(await refused('Network', 'acme/six'), [
    /used by endpoints acme\/six\/other/,
    /used by group acme\/web/,
    /used by rule acme\/p\/n/,
  ]);
  t.match(await refused('Tenant', 'acme'), [/networks acme\/front/, /address set acme\/partners/]);

  const cascade = (kind: Parameters<Model['remove']>[0][number]['kind'], name: string) =>
    model.remove([{ kind, name }], { cascade: true });
  await cascade('Network', 'acme/six');
  t.same(
    model.get('Group', 'acme/web')?.spec,
    { kind: 'Group', tenant: 'acme', name: 'web', policies: ['p'], qos: 'gold' },
    'a selector in one network does not become one in all',
  );
  await cascade('Tier', 'low');
  await cascade('QosProfile', 'acme/gold');
  await cascade('AddressSet', 'acme/v6');
  await cascade('Group', 'acme/empty');
  t.same(
    model.list('Rule').map(({ name }) => name),
    ['acme/p/any'],
    'a rule goes with what it names',
  );
  t.equal(model.get('Policy', 'acme/p')?.spec.tier, undefined);
  t.equal(model.get('Network', 'acme/front')?.spec.qos, undefined);
  await cascade('Policy', 'acme/p');
  t.same([model.list('Rule'), model.get('Group', 'acme/web')?.spec.policies], [[], undefined]);
  await cascade('Tenant', 'acme');
  t.same(model.facts(), []);
});

await t.test('replace is the whole truth of policy too', async (t) => {
  const model = await openModel();
  await applyText(model, example('policy.yaml'));
  const before = factsByKey(model.facts());
  await model.requestEndpoint({
    tenant: 'shop',
    network: 'main',
    name: 'pod',
    host: 'h1',
    groups: ['web', 'db'],
  });
  const text = `
kind: Tenant
name: shop
---
{kind: Network, tenant: shop, name: main, subnet: 10.30.0.0/24}
---
{kind: Group, tenant: shop, name: db, policies: [db]}
---
{kind: Policy, tenant: shop, name: db}
---
{kind: Rule, tenant: shop, policy: db, name: from-app, from: [{network: main}]}
`;
  const { changes, warnings } = await applyText(model, text, 'replace');
  t.match(warnings, [{ code: 'endpoint.trait.lost', message: /shop\/main\/pod .*shop\/web/ }]);
  t.same(
    model.list('Rule').map(({ name, status }) => `${name} ${status.number}`),
    [`shop/db/from-app ${(before['rule shop/db/from-app'] as { number: number }).number}`],
  );
  t.same(
    model.list('Group').map(({ name }) => name),
    ['shop/db'],
  );
  t.same(model.list('Tier'), []);
  t.same(model.get('Endpoint', 'shop/main/pod')?.status.groups, ['shop/db']);
  t.ok(
    changes.some(
      ({ action, kind, name }) => action === 'delete' && kind === 'Rule' && name === 'shop/web/http',
    ),
  );
  t.same(
    codesOf(
      await refusedWith(applyText(model, text.replace('{kind: Policy', '{kind: Rule, policy: x'), 'replace')),
    ),
    ['group.policy.unknown', 'rule.policy.unknown', 'rule.policy.unknown'],
  );

  // netplugin's documents cannot say any of this, so they leave it alone.
  await applyText(model, 'kind: Tenant\nname: shop\ndefaultAction: deny');
  await model.netplugin.desired({
    Tenants: [{ Name: 'shop', Networks: [{ Name: 'main', SubnetCIDR: '10.30.0.0/24' }] }],
  });
  t.match(
    factsOf(model, 'tenant shop', 'group shop/db', 'rule shop/db/from-app'),
    [{ defaultAction: 'deny' }, { policies: ['shop/db'] }, { number: 1 }].map((fact, index) =>
      index === 2 ? {} : fact,
    ),
  );
  t.match(await refusedWith(model.netplugin.desired({ Tenants: [{ Name: 'shop' }] })), [
    { code: 'object.used' },
  ]);
  await model.netplugin.desired({});
  t.same(model.facts(), []);
});

await t.test('multicast groups of a rule', async (t) => {
  const model = await openBase();
  const set = (...addresses: string[]) =>
    `{kind: AddressSet, tenant: acme, name: channels, addresses: [${addresses.join(', ')}]}`;
  const empty = await applyText(model, `${set()}`);
  t.same(empty.warnings, []);
  const { warnings } = await rules(model, '{name: r, groupAddresses: [{addressSet: channels}]}');
  t.match(warnings, [{ code: 'rule.nobody', path: 'Policy acme/p: rules[0].groupAddresses' }]);
  await applyText(model, set('239.1.0.0/16', '"ff15::/16"'));
  await rules(
    model,
    '{name: r, groupAddresses: [{addressSet: channels}, {cidr: 239.2.0.0/16, except: [239.2.9.0/24]}]}',
    '{name: none, groupAddresses: []}',
  );
  const [fact, none] = factsOf(model, 'rule acme/p/r', 'rule acme/p/none') as RuleFact[];
  t.same(fact?.groupAddresses, [
    { kind: 'addressSet', id: 'acme/channels' },
    {
      kind: 'block',
      block: {
        prefixes: [{ family: 4, address: 0xef020000, length: 16 }],
        except: [{ family: 4, address: 0xef020900, length: 24 }],
      },
    },
  ]);
  t.equal(none?.groupAddresses, undefined, 'an empty list says nothing');

  const refused = await refusedWith(applyText(model, set('239.1.0.0/16', '10.1.0.0/16')));
  t.match(refused, [
    {
      code: 'addressSet.multicast',
      path: 'AddressSet acme/channels: addresses',
      message: /10\.1\.0\.0\/16.*rule acme\/p\/r/,
    },
  ]);
  const together = `${set('10.1.0.0/16')}\n---\n{kind: Policy, tenant: acme, name: p, rules: []}`;
  await applyText(model, together);
  t.pass('unless the rule goes with it');
  await applyText(model, set('239.1.0.0/16'));
  await rules(model, '{name: r, groupAddresses: [{addressSet: channels}]}');
  const used = await refusedWith(model.remove([{ kind: 'AddressSet', name: 'acme/channels' }]));
  t.match(used, [{ code: 'object.used', message: /rule acme\/p\/r/ }]);
});

await t.test("contiv's own objects", async (t) => {
  const model = await openModel();
  const { objects, problems } = model.parse(example('contiv.json'));
  t.same(problems, []);
  await model.apply(objects, { mode: 'add' });
  t.match(factsOf(model, 'rule blue/db/2', 'qosProfile blue/slow', 'group blue/web', 'group blue/db'), [
    {
      priority: 100,
      action: 'allow',
      peers: [{ kind: 'group', id: 'blue/web' }],
      services: [{ protocol: 6, ports: [{ first: 3306, last: 3306 }] }],
    },
    { out: { kilobitsPerSecond: 10_000, burstKilobits: 4000 }, dscp: 12 },
    { qos: 'blue/slow', networks: [] },
    { policies: ['blue/db'] },
  ]);
  // One object, as it is posted to contiv; its defaults are Weft's.
  const one =
    '{"tenantName": "blue", "policyName": "db", "ruleId": "3", "vendor": "x", "protocol": "", "port": 0}';
  const rule = model.parse(one);
  t.match(rule.problems, [{ severity: 'warning', code: 'contiv.ignored', path: 'Rule blue/db/3: vendor' }]);
  await model.apply(rule.objects, { mode: 'add' });
  t.match(factsOf(model, 'rule blue/db/3'), [
    { direction: 'in', priority: 1, action: 'allow', peers: [], services: [], position: 2 },
  ]);
  const wrong = model.parse(
    '[\n{"tenantName": "blue", "policyName": "db", "ruleId": "4",\n "direction": "both"}]',
  );
  t.match(wrong.problems, [{ code: 'intent.value', path: 'Rule blue/db/4: direction', line: 3 }]);
  t.match(model.parse('{"rules": [{"name": "x"}]}').problems, [{ code: 'intent.kind' }], 'not of contiv');
});
