import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Compile } from 'typebox/compile';
import t from 'tap';
import {
  intentJsonSchema,
  type IntentObject,
  type ObjectRef,
  type Problem,
} from '../../controller/model/index.js';
import { applyText, factsByKey, Follower, openModel, problemsOf } from './helpers.js';

const TENANT = 'kind: Tenant\nname: acme\nsubnetPool: 10.1.0.0/16\n---\n';
const FRONT = `${TENANT}kind: Network\ntenant: acme\nname: front\n---\n`;
const endpoint = (name: string, rest = '') =>
  `{kind: Endpoint, tenant: acme, network: front, name: ${name}${rest}}\n---\n`;
const codes = (problems: readonly Problem[]) => problems.map(({ code }) => code);
const ref = (kind: ObjectRef['kind'], name: string): ObjectRef => ({ kind, name });

await t.test('every mistake is named with its line, its path, its value and a way out', async (t) => {
  const model = await openModel();
  const text = `kind: Tenant
name: acme
---
kind: Network
tenant: acme
name: front
subnet: 10.1.1.0/24
gatewya: 10.1.1.254
---
kind: Network
tenant: acme
name: bad name
tag: "11"
encapsulation: vlna
dynamicEndpoints: maybe
---
kind: Netwrok
name: x
---
kind: Endpoint
name: e
---
- just text
- kind: Tenant
  name: 7
`;
  const { objects, problems } = model.parse(text, { file: 'f.yaml' });
  t.equal(objects.length, 1, 'objects without mistakes are kept');
  const shown = problems.map(({ line, code, path, fix, file }) => ({ line, code, path, fix, file }));
  const at = (line: number, code: string) =>
    shown.find((problem) => problem.line === line && problem.code === code);
  t.match(at(8, 'intent.unknown-key'), {
    path: 'Network acme/front: gatewya',
    fix: 'did you mean "gateway"?',
    file: 'f.yaml',
  });
  t.match(at(12, 'intent.value'), { path: 'Network acme/bad name: name', fix: /letters, digits/ });
  t.match(at(13, 'intent.value'), { path: 'Network acme/bad name: tag', fix: /without quotes/ });
  t.match(at(14, 'intent.value'), { fix: 'did you mean "vlan"?' });
  t.match(at(15, 'intent.value'), { fix: 'write true or false' });
  t.match(at(17, 'intent.kind'), { fix: 'did you mean "Network"?' });
  t.equal(shown.filter((problem) => problem.line === 20 && problem.code === 'intent.missing').length, 2);
  t.match(at(25, 'intent.value'), { fix: /quotes/ });
  t.equal(codes(problems).includes('intent.object'), true);
  for (const { message } of problems) t.match(message, /\w/);
});

await t.test(
  'what the schema cannot know is checked against what there is, and nothing is half applied',
  async (t) => {
    const model = await openModel();
    const before = factsByKey(model.facts());
    const refused = async (text: string, line: number, code: string, message: RegExp) => {
      const problems = await problemsOf(applyText(model, text));
      const problem = problems.find((one) => one.code === code);
      t.match(
        problem,
        { line, message, path: /\w/, fix: /\w/, file: 'test.yaml' },
        `${code} in ${codes(problems).join()}`,
      );
      t.same(factsByKey(model.facts()), before, 'nothing applied');
    };
    await refused(
      'kind: Tenant\nname: a\nsubnetPool: 10.1.2.3/16',
      3,
      'tenant.subnetPool',
      /10\.1\.2\.3\/16 has bits/,
    );
    await refused(
      'kind: Tenant\nname: a\nsubnetPool: 010.1.0.0/16',
      3,
      'tenant.subnetPool',
      /not an IPv4 prefix/,
    );
    await refused('kind: Tenant\nname: a\nsubnetPool: 224.0.0.0/8', 3, 'tenant.subnetPool', /multicast/);
    await refused(
      'kind: Tenant\nname: a\nsubnetPool: 10.1.0.0/16\nallocationLength: 12',
      4,
      'tenant.allocationLength',
      /do not fit/,
    );
    await refused('kind: Tenant\nname: a\nvlans: 1-5000', 3, 'tenant.vlans', /outside of 1-4094/);
    await refused('kind: Tenant\nname: a\nvnis: 9-1', 3, 'tenant.vnis', /backwards/);
    await refused(
      'kind: Tenant\nname: a\nipv6SubnetPool: fe80::/16',
      3,
      'tenant.ipv6SubnetPool',
      /link-local/,
    );
    await refused('kind: Network\ntenant: nobody\nname: n', 2, 'network.tenant.unknown', /no tenant nobody/);
    const network = (rest: string) =>
      `kind: Tenant\nname: a\n---\nkind: Network\ntenant: a\nname: n\n${rest}`;
    await refused(network('subnet: 10.1.1.1/24'), 7, 'network.subnet', /has bits set/);
    await refused(network('subnet: 10.1.1.0/31'), 7, 'network.subnet', /no room/);
    await refused(network('subnet: 127.0.0.0/8'), 7, 'network.subnet', /loopback/);
    await refused(network('gateway: 10.1.1.1'), 7, 'network.gateway', /outside of the subnet/);
    await refused(network('gateway: 10.0.0.0'), 7, 'network.gateway', /network itself/);
    await refused(network('gateway: 10.0.0.255'), 7, 'network.gateway', /broadcast/);
    await refused(network('subnet: none\ngateway: 10.0.0.1'), 8, 'network.gateway', /needs an IPv4 subnet/);
    await refused(network('encapsulation: vlan\ntag: 4095'), 8, 'network.tag', /not a VLAN id/);
    await refused(network('uplinkHandOff: true'), 7, 'network.uplinkHandOff', /no uplink/);
    await refused(
      network('encapsulation: vlan\nmulticast:\n  degree: 4'),
      9,
      'network.multicast.vlan',
      /no distribution trees/,
    );
    await refused(network('multicast:\n  unregistered: maybe'), 8, 'intent.value', /maybe/);
    await refused(network('multicast:\n  degree: 1'), 8, 'intent.value', /out of range/);
    await refused(
      network('ipv6Subnet: fd00::/64\nipv6Gateway: "fd00::"'),
      8,
      'network.ipv6Gateway',
      /anycast/,
    );
    const end = (rest: string) =>
      `${network('subnet: 10.1.1.0/24\ngateway: 10.1.1.1')}\n---\nkind: Endpoint\ntenant: a\nnetwork: n\nname: e\n${rest}`;
    await refused(end('ip: 10.1.2.1'), 14, 'endpoint.ip.outside', /10\.1\.2\.1 is outside/);
    await refused(end('ip: 10.1.1.0'), 14, 'endpoint.ip.reserved', /network itself/);
    await refused(end('ip: 10.1.1.255'), 14, 'endpoint.ip.reserved', /broadcast/);
    await refused(end('ip: 10.1.1.1'), 14, 'endpoint.ip.reserved', /gateway/);
    await refused(end('ip: 10.1.1.010'), 14, 'endpoint.ip', /not an IPv4/);
    await refused(end('ip6: fd00::1'), 14, 'endpoint.ip6.family', /no IPv6 subnet/);
    await refused(end('mac: 01:00:5e:00:00:01'), 14, 'endpoint.mac', /unicast/);
    await refused(end('mac: zz'), 14, 'endpoint.mac', /not a MAC/);
    await refused(
      'kind: Endpoint\ntenant: a\nnetwork: n\nname: e',
      2,
      'endpoint.tenant.unknown',
      /no tenant a/,
    );
    await refused('kind: Host\nname: h\nvtepIp: fd00::1', 3, 'host.vtepIp', /not an IPv4/);
    await refused('kind: Host\nname: h\nvtepIp6: 10.1.1.1', 3, 'host.vtepIp6', /not an IPv6/);
    await refused(
      'kind: Host\nname: h1\nvtepIp: 1.2.3.4\n---\nkind: Host\nname: h2\nvtepIp: 1.2.3.4',
      7,
      'host.vtep.taken',
      /belongs to host h1/,
    );
    await refused(
      'kind: HostBinding\ntenant: a\nnetwork: n\nname: e\nhost: h',
      4,
      'binding.endpoint.unknown',
      /no endpoint a\/n\/e/,
    );
    await refused(
      'kind: Tenant\nname: a\n---\nkind: Tenant\nname: a',
      4,
      'intent.duplicate',
      /declared twice/,
    );
    const all = await problemsOf(
      applyText(
        model,
        `${network('tag: 16777214\ngateway: 1.1.1.1')}\n---\nkind: Network\ntenant: a\nname: m\ntag: 16777214`,
      ),
    );
    t.same(codes(all).sort(), ['network.gateway', 'network.tag.taken'], 'all mistakes at once');
  },
);

await t.test('files: documents, arrays, JSON, syntax errors with their line', async (t) => {
  const model = await openModel();
  const one = model.parse('[{"kind": "Tenant", "name": "a"}, {"kind": "Tenant", "name": "b"}]');
  t.same([one.objects.length, one.problems.length], [2, 0]);
  t.equal(model.parse('# nothing\n---\n---\n').problems.length, 0);
  t.match(model.parse('kind: Tenant\nname: [').problems[0], { code: 'intent.syntax', line: 2 });
  t.match(model.parse('{"kind": "Tenant",\n "name": }', { file: 'x.json' }).problems[0], {
    line: 2,
    file: 'x.json',
  });
  t.match(model.parse('kind: Tenant\nname: a\nname: b').problems[0], { code: 'intent.syntax', line: 3 });
  t.match(model.parse('{"kind": "Tenant"', { format: 'json' }).problems[0], { code: 'intent.syntax' });
  t.equal(model.parse('"text"').problems[0]?.code, 'intent.object');
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]`;
  t.ok(model.parse(bomb).problems.length > 0, 'aliases cannot blow a file up');
});

await t.test('the published JSON Schema takes what the model takes', async (t) => {
  const model = await openModel();
  t.same(model.jsonSchema(), intentJsonSchema());
  const schema = Compile(model.jsonSchema());
  t.equal(schema.Check({ kind: 'Tenant', name: 'a' }), true);
  t.equal(
    schema.Check([
      { kind: 'Tenant', name: 'a' },
      { kind: 'Host', name: 'h' },
    ]),
    true,
  );
  t.equal(schema.Check({ kind: 'Tenant', name: 'a', colour: 'red' }), false);
  t.equal(schema.Check({ kind: 'Endpoint', name: 'a' }), false);
});

await t.test(
  'lowest first, around everything that is named, and what is given back is used again',
  async (t) => {
    const model = await openModel();
    await applyText(
      model,
      `${TENANT}${endpoint('auto1')}{kind: Network, tenant: acme, name: second}\n---\n{kind: Network, tenant: acme, name: front}\n---\n{kind: Network, tenant: acme, name: fixed, subnet: 10.1.1.0/25, tag: 4096}\n---\n${endpoint('pinned', ', ip: 10.1.2.2')}${endpoint('auto2')}`,
    );
    const subnet = (name: string) => model.get('Network', `acme/${name}`)?.status;
    t.match(subnet('second'), { subnet: '10.1.0.0/24', tag: 4097 });
    t.match(
      subnet('front'),
      { subnet: '10.1.2.0/24' },
      'the pinned subnet and the first one are passed over',
    );
    await model.apply([], { mode: 'replace' });
    t.same(model.facts(), []);

    await applyText(model, `${FRONT}${endpoint('a')}${endpoint('b', ', ip: 10.1.0.1')}${endpoint('c')}`);
    const ip = (name: string) => model.get('Endpoint', `acme/front/${name}`)?.status.ip;
    t.same([ip('a'), ip('b'), ip('c')], ['10.1.0.2', '10.1.0.1', '10.1.0.3']);
    t.equal(model.get('Endpoint', 'acme/front/a')?.status.mac, '02:02:0a:01:00:02');
    await model.remove([ref('Endpoint', 'acme/front/b')]);
    await applyText(model, endpoint('d'));
    t.equal(ip('d'), '10.1.0.1', 'a pinned address comes back into the pool of addresses');
  },
);

await t.test('pools run out with a reason, and never give out what they may not', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    'kind: Tenant\nname: small\nsubnetPool: 10.9.0.0/28\nallocationLength: 29\nvnis: 7-8\nvlans: "11"',
  );
  await applyText(model, '{kind: Network, tenant: small, name: n, gateway: 10.9.0.3}');
  const names = ['a', 'b', 'c', 'd', 'e'].map(
    (name) => `{kind: Endpoint, tenant: small, network: n, name: ${name}}`,
  );
  await applyText(model, names.join('\n---\n'));
  t.same(
    model.list('Endpoint').map(({ status }) => status.ip),
    ['10.9.0.1', '10.9.0.2', '10.9.0.4', '10.9.0.5', '10.9.0.6'],
  );
  t.match(await problemsOf(applyText(model, '{kind: Endpoint, tenant: small, network: n, name: f}')), [
    { code: 'endpoint.ip.exhausted', message: /10\.9\.0\.0\/29/ },
  ]);
  await applyText(model, '{kind: Network, tenant: small, name: m}');
  t.match(await problemsOf(applyText(model, '{kind: Network, tenant: small, name: o, subnet: none}')), [
    { code: 'network.tag.exhausted', message: /7-8/ },
  ]);
  t.match(
    await problemsOf(applyText(model, '{kind: Network, tenant: small, name: o, encapsulation: vlan}')),
    [{ code: 'network.subnet.exhausted', message: /10\.9\.0\.0\/28/ }],
  );
  await applyText(model, '{kind: Network, tenant: small, name: o, encapsulation: vlan, subnet: none}');
  t.equal(model.get('Network', 'small/o')?.status.tag, 11);
});

await t.test('tags are unique in the cluster, static ones included', async (t) => {
  const model = await openModel();
  const range = 'defaultEncapsulation: vlan, vlans: "11-12"';
  await applyText(
    model,
    `{kind: Tenant, name: a, ${range}}\n---\n{kind: Tenant, name: b, ${range}}\n---\n{kind: Network, tenant: a, name: n}\n---\n{kind: Network, tenant: b, name: n}`,
  );
  t.same(
    model.list('Network').map(({ status }) => status.tag),
    [11, 12],
    'two tenants with the same ranges',
  );
  t.same(
    model.list('Network').map(({ status }) => status.subnet),
    ['10.0.0.0/24', '10.0.0.0/24'],
    'and the same addresses',
  );
  t.match(await problemsOf(applyText(model, '{kind: Network, tenant: a, name: m, tag: 12}')), [
    { code: 'network.tag.taken', message: /VLAN 12 belongs to network b\/n/ },
  ]);
  await applyText(model, '{kind: Network, tenant: a, name: m, tag: 500}');
  await model.remove([ref('Network', 'a/m'), ref('Network', 'b/n')]);
  await applyText(model, '{kind: Network, tenant: a, name: o}');
  t.equal(model.get('Network', 'a/o')?.status.tag, 12);
  t.match(codes(await problemsOf(applyText(model, '{kind: Network, tenant: a, name: p}'))), [
    'network.tag.exhausted',
  ]);
  // Exchanging two tags in one document, and a VNI equal to a VLAN id.
  await applyText(
    model,
    '{kind: Network, tenant: a, name: n, tag: 12}\n---\n{kind: Network, tenant: a, name: o, tag: 11}\n---\n{kind: Network, tenant: b, name: x, encapsulation: vxlan, tag: 11}',
  );
  t.same(
    model.list('Network').map(({ name, status }) => [name, status.tag]),
    [
      ['a/n', 12],
      ['a/o', 11],
      ['b/x', 11],
    ],
  );
});

await t.test('more VXLAN networks than there are VLANs', async (t) => {
  const model = await openModel();
  const networks = Array.from(
    { length: 5_000 },
    (_, index): IntentObject => ({ kind: 'Network', tenant: 'big', name: `n${index}` }),
  );
  await model.apply([{ kind: 'Tenant', name: 'big' }, ...networks], { mode: 'add' });
  const facts = model.facts().filter(({ kind }) => kind === 'network');
  t.equal(new Set(facts.map(({ value }) => (value as { tag: number }).tag)).size, 5_000);
  t.equal(new Set(facts.map(({ value }) => (value as { number: number }).number)).size, 5_000);
  t.equal(model.get('Network', 'big/n4999')?.status.subnet, '10.19.135.0/24');
});

await t.test('subnets of a tenant do not overlap unless it says so', async (t) => {
  const model = await openModel();
  await applyText(model, `${FRONT}`);
  const overlap = '{kind: Network, tenant: acme, name: o, subnet: 10.1.0.128/25}';
  t.match(await problemsOf(applyText(model, overlap)), [
    { code: 'network.subnet.overlap', message: /overlaps the subnet of network acme\/front/ },
  ]);
  await applyText(
    model,
    `{kind: Tenant, name: acme, subnetPool: 10.1.0.0/16, overlappingSubnets: true}\n---\n${overlap}`,
  );
  t.match(codes(await problemsOf(applyText(model, TENANT))), ['tenant.overlappingSubnets']);
  await applyText(model, `${TENANT}{kind: Network, tenant: acme, name: o, subnet: 10.1.9.0/24}`);
  t.equal(model.get('Network', 'acme/o')?.status.subnet, '10.1.9.0/24');
});

await t.test('updates are applied in place, or refused with a reason', async (t) => {
  const model = await openModel();
  await applyText(model, `${FRONT}${endpoint('a')}${endpoint('b', ', ip: 10.1.0.9')}`);
  const number = model.get('Network', 'acme/front')?.status.number;
  const change = await applyText(
    model,
    '{kind: Network, tenant: acme, name: front, encapsulation: vlan, gateway: 10.1.0.254, tag: 77}',
  );
  t.same(change.changes, [
    {
      action: 'update',
      kind: 'Network',
      name: 'acme/front',
      fields: [
        { path: 'encapsulation', from: 'vxlan', to: 'vlan' },
        { path: 'tag', from: 4096, to: 77 },
        { path: 'gateway', to: '10.1.0.254' },
      ],
    },
  ]);
  t.equal(model.get('Network', 'acme/front')?.status.number, number, 'numbers are stable');
  t.same(
    (
      await applyText(
        model,
        '{kind: Network, tenant: acme, name: front, encapsulation: vlan, gateway: 10.1.0.254, tag: 77}',
      )
    ).changes,
    [{ action: 'unchanged', kind: 'Network', name: 'acme/front' }],
  );
  // A subnet that moves: allocated addresses follow, pinned ones have to be moved in the same document.
  const moved = '{kind: Network, tenant: acme, name: front, subnet: 10.1.7.0/24}';
  t.match(await problemsOf(applyText(model, moved)), [
    { code: 'network.subnet.pinned', message: /acme\/front\/b/ },
  ]);
  await applyText(model, `${moved}\n---\n${endpoint('b', ', ip: 10.1.7.1')}`);
  t.match(model.get('Endpoint', 'acme/front/a')?.status, { ip: '10.1.7.2', mac: '02:02:0a:01:07:02' });
  t.equal(
    model.get('Network', 'acme/front')?.status.gateway,
    undefined,
    'what is left out is the default again',
  );
  t.equal(model.get('Network', 'acme/front')?.status.tag, 77, 'what was allocated stays');

  // Attached endpoints keep what they have.
  await model.claimHost({ host: 'h1', datapathId: '0000000000000001', vtepIp: '192.168.2.10' });
  await model.attach({ endpoint: 'acme/front/a', host: 'h1', interface: 'v1' });
  const refused = async (text: string, code: string, message: RegExp) => {
    t.match(await problemsOf(applyText(model, text)), [{ code, message }]);
  };
  await refused(endpoint('a', ', ip: 10.1.7.77'), 'endpoint.attached', /attached on h1/);
  await refused(endpoint('a', ', mac: 02:00:00:00:00:01'), 'endpoint.attached', /attached on h1/);
  await refused(
    '{kind: Network, tenant: acme, name: front, subnet: 10.1.8.0/24}\n---\n' +
      endpoint('b', ', ip: 10.1.8.1'),
    'network.subnet.attached',
    /acme\/front\/a would lose/,
  );
  await refused(
    '{kind: Network, tenant: acme, name: front, encapsulation: vxlan}',
    'network.encapsulation.attached',
    /acme\/front\/a is attached: the MTU/,
  );
  await refused(
    '{kind: Network, tenant: acme, name: front, gateway: 10.1.7.2}',
    'network.gateway.taken',
    /10\.1\.7\.2 belongs to endpoint acme\/front\/a/,
  );
  const grown = await applyText(model, '{kind: Network, tenant: acme, name: front, subnet: 10.1.6.0/23}');
  t.match(grown.warnings, [{ code: 'network.subnet.resized' }]);
  t.equal(model.endpoint('acme/front/a')?.ip, '10.1.7.2/23');
  // Exchanging two addresses in one document.
  await model.detach({ endpoint: 'acme/front/a', host: 'h1' });
  await applyText(model, `${endpoint('a', ', ip: 10.1.7.1')}${endpoint('b', ', ip: 10.1.7.2')}`);
  t.same(
    model.list('Endpoint').map(({ status }) => [status.ip, status.mac]),
    [
      ['10.1.7.1', '02:02:0a:01:07:01'],
      ['10.1.7.2', '02:02:0a:01:07:02'],
    ],
  );
});

await t.test('new pools hold for what is allocated from now on, and say who keeps what', async (t) => {
  const model = await openModel();
  await applyText(model, FRONT);
  const result = await applyText(
    model,
    '{kind: Tenant, name: acme, subnetPool: 10.2.0.0/16, vnis: 9000-9001, defaultEncapsulation: vlan}',
  );
  t.same(codes(result.warnings).sort(), ['tenant.kept', 'tenant.kept', 'tenant.kept']);
  t.match(result.warnings[0]?.message, /acme\/front keeps what it has/);
  t.match(model.get('Network', 'acme/front')?.status, {
    subnet: '10.1.0.0/24',
    tag: 4096,
    encapsulation: 'vxlan',
  });
  await applyText(model, '{kind: Network, tenant: acme, name: next}');
  t.match(model.get('Network', 'acme/next')?.status, {
    subnet: '10.2.0.0/24',
    encapsulation: 'vlan',
    tag: 2,
  });
  t.match(model.get('Tenant', 'acme')?.status, { subnetPool: '10.2.0.0/16', vnis: '9000-9001', networks: 2 });
});

await t.test('IPv6 beside IPv4, alone, and later', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    `{kind: Tenant, name: acme, subnetPool: 10.1.0.0/16, ipv6SubnetPool: 'fd00:1::/48'}
---
{kind: Network, tenant: acme, name: front, ipv6Gateway: 'fd00:1::1'}
---
{kind: Network, tenant: acme, name: six, subnet: none, ipv6Subnet: 'fd00:9::/64'}
---
{kind: Network, tenant: acme, name: none, subnet: none, ipv6Subnet: none}
---
{kind: Endpoint, tenant: acme, network: six, name: s, ip6: 'FD00:9:0:0::10'}
---
{kind: Endpoint, tenant: acme, network: none, name: l2}
---
${endpoint('a')}`,
  );
  t.match(model.get('Endpoint', 'acme/front/a')?.status, {
    ip: '10.1.0.1',
    ip6: 'fd00:1::2',
    mac: '02:02:0a:01:00:01',
  });
  t.match(model.get('Endpoint', 'acme/six/s')?.status, { ip: undefined, ip6: 'fd00:9::10', mac: /^02:03:/ });
  t.match(model.get('Endpoint', 'acme/none/l2')?.status, { ip: undefined, ip6: undefined, mac: /^02:03:/ });
  t.not(model.get('Endpoint', 'acme/six/s')?.status.mac, model.get('Endpoint', 'acme/none/l2')?.status.mac);
  t.equal(model.get('Network', 'acme/front')?.status.ipv6Subnet, 'fd00:1::/64');
  // IPv6 for a network that had none reaches the endpoints that are not attached.
  await applyText(
    model,
    "{kind: Network, tenant: acme, name: none, subnet: none, ipv6Subnet: 'fd00:8::/64'}",
  );
  t.equal(model.get('Endpoint', 'acme/none/l2')?.status.ip6, 'fd00:8::1');
  await applyText(model, '{kind: Network, tenant: acme, name: none, subnet: none, ipv6Subnet: none}');
  t.equal(model.get('Endpoint', 'acme/none/l2')?.status.ip6, undefined);
});

await t.test('what is used is not deleted, and its users are named', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    `${FRONT}${endpoint('a')}${endpoint('b')}{kind: Host, name: h1}\n---\n{kind: HostBinding, tenant: acme, network: front, name: a, host: h1}`,
  );
  t.match(await problemsOf(model.remove([ref('Tenant', 'acme')])), [
    { code: 'object.used', message: 'Tenant acme is used by networks acme/front' },
  ]);
  t.match(await problemsOf(model.remove([ref('Network', 'acme/front')])), [
    { message: /endpoints acme\/front\/a, acme\/front\/b/, fix: /cascade/ },
  ]);
  t.match(await problemsOf(model.remove([ref('Host', 'h1')])), [{ message: /bindings of acme\/front\/a/ }]);
  t.match(await problemsOf(model.remove([ref('Network', 'acme/frnt')])), [
    { code: 'object.unknown', fix: 'did you mean "acme/front"?' },
  ]);
  const dry = await model.remove([ref('Tenant', 'acme')], { cascade: true, dryRun: true });
  t.equal(dry.changes.length, 5);
  t.equal(dry.dryRun, true);
  t.equal(model.list('Endpoint').length, 2, 'a dry run changes nothing');
  const all = await model.remove([
    ref('Network', 'acme/front'),
    ref('Endpoint', 'acme/front/b'),
    ref('Endpoint', 'acme/front/a'),
  ]);
  t.same(
    all.changes.map(({ kind }) => kind).sort(),
    ['Endpoint', 'Endpoint', 'HostBinding', 'Network'],
    'users deleted with it do not count',
  );
  await model.remove([ref('Host', 'h1'), ref('Tenant', 'acme')]);
  t.same(model.facts(), []);
});

await t.test('replace is the whole truth of what is declared', async (t) => {
  const model = await openModel();
  const follower = new Follower(model);
  await applyText(
    model,
    `${FRONT}${endpoint('a')}{kind: Host, name: declared, vtepIp: 192.168.2.10}\n---\n{kind: Host, name: both}`,
  );
  await model.claimHost({ host: 'agent', datapathId: '0000000000000001' });
  await model.claimHost({ host: 'both', datapathId: '0000000000000002' });
  await model.requestEndpoint({ tenant: 'acme', network: 'front', name: 'dyn', host: 'agent' });
  const result = await applyText(model, FRONT, 'replace');
  t.same(
    result.changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`),
    [
      'delete Endpoint acme/front/a',
      'delete Host both',
      'delete Host declared',
      'unchanged Tenant acme',
      'unchanged Network acme/front',
    ],
  );
  t.same(
    model.list('Endpoint').map(({ name }) => name),
    ['acme/front/dyn'],
    'what agents asked for stays with its network',
  );
  t.same(
    model.list('Host').map(({ name, status }) => [name, status.origin]),
    [
      ['agent', 'dynamic'],
      ['both', 'dynamic'],
    ],
  );
  const gone = await model.apply([], { mode: 'replace' });
  t.match(gone.warnings, [{ code: 'endpoint.lost', message: /acme\/front\/dyn/ }]);
  // Empty, then the same document again: failed for ever in the ancestor.
  await applyText(model, `${FRONT}${endpoint('a')}`, 'replace');
  t.equal(model.get('Endpoint', 'acme/front/a')?.status.ip, '10.1.0.1');
  t.same(follower.byKey(), factsByKey(model.facts()));
});

await t.test('hosts are named on trust, and bindings hold over the endpoint', async (t) => {
  const model = await openModel();
  const first = await applyText(model, `${FRONT}${endpoint('a', ', host: rack1')}`);
  t.match(first.warnings, [{ code: 'host.unknown', message: /no host rack1/ }]);
  t.equal(model.get('Endpoint', 'acme/front/a')?.status.host, 'rack1');
  await applyText(model, '{kind: Host, name: rack2}');
  const second = await applyText(
    model,
    '{kind: HostBinding, tenant: acme, network: front, name: a, host: rack2}',
  );
  t.match(codes(second.warnings), ['binding.contradicts']);
  t.equal(model.endpoint('acme/front/a')?.host, 'rack2');
  t.same(model.endpointsOfHost('rack1'), []);
  t.same(
    model.endpointsOfHost('rack2').map(({ endpoint }) => endpoint),
    ['acme/front/a'],
  );
  const third = await applyText(model, endpoint('a', ', host: rack3'));
  t.match(third.warnings, [{ code: 'host.unknown', fix: /did you mean|start its agent/ }]);
});

await t.test('the examples can be applied', async (t) => {
  const folder = fileURLToPath(new URL('../../../examples', import.meta.url));
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  t.ok(files.length >= 3);
  for (const file of files) {
    const model = await openModel();
    const { objects, problems } = model.parse(readFileSync(`${folder}/${file}`, 'utf8'), { file });
    t.same(problems, [], file);
    const { changes } = await model.apply(objects, { mode: 'add' });
    t.ok(
      changes.every(({ action }) => action === 'create'),
      file,
    );
  }
  for (const file of readdirSync(`${folder}/netplugin`).sort().toReversed()) {
    const model = await openModel();
    const text = readFileSync(`${folder}/netplugin/${file}`, 'utf8');
    if (file === 'late_bindings.json') {
      await model.netplugin.desired(
        readFileSync(`${folder}/netplugin/two_hosts_multiple_tenants.json`, 'utf8'),
      );
      const { warnings } = await model.netplugin.bindings(text);
      t.match(codes(warnings).filter((code) => code === 'binding.ambiguous').length, 2);
    } else t.same((await model.netplugin.desired(text)).warnings, [], file);
  }
});
