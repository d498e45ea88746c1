/** Networks that container runtimes ask for, and addresses kept for containers that are about to start. */
import t from 'tap';
import { applyText, openModel, openStore, problemsOf } from './helpers.js';

const use = (network: string, host = 'h1', user = 'docker-1') => ({
  tenant: 'acme',
  network,
  host,
  user,
  runtime: 'docker',
});
const of = (network: string, host = 'h1') => ({ tenant: 'acme', network, host, family: 4 as const });
const TENANT = 'kind: Tenant\nname: acme\nsubnetPool: 11.1.0.0/16\nallocationLength: 24';
const codeOf = async (work: Promise<unknown>): Promise<string | undefined> =>
  (await problemsOf(work))[0]?.code;

t.test(
  'a network is declared for the runtime, joined by other hosts, and goes with its last use',
  async (t) => {
    const store = await openStore();
    const model = await openModel({}, store);
    t.equal(await codeOf(model.requestNetwork(use('front'))), 'network.tenant.unknown');
    t.same(model.networks(), [], 'nothing of it was kept');
    await applyText(model, TENANT);
    t.match(await model.requestNetwork(use('front')), {
      subnet: '11.1.0.0/24',
      owner: 'docker',
      created: true,
    });
    t.match(await model.requestNetwork(use('front', 'h2')), { subnet: '11.1.0.0/24', created: false });
    t.match(await model.requestNetwork(use('front', 'h2')), { created: false }, 'twice is no error');
    t.equal(model.get('Network', 'acme/front')?.spec.owner, 'docker', 'it is an intent like others');
    await applyText(model, TENANT, 'replace');
    t.ok(model.get('Network', 'acme/front'), "people's whole truth says nothing of it");

    const reread = await openModel({}, store);
    t.match(reread.leasesOfHost('h2'), { uses: [{ tenant: 'acme', network: 'front', user: 'docker-1' }] });
    t.same(await model.releaseNetwork(use('front')), { released: true, removed: false });
    t.same(await model.releaseNetwork(use('front')), { released: false, removed: false });
    t.same(await model.releaseNetwork(use('front', 'h2')), { released: true, removed: true });
    t.equal(model.get('Network', 'acme/front'), undefined);
    t.same(model.leasesOfHost('h2'), { uses: [], addresses: [] });
  },
);

t.test('a network of people is joined, never changed, and stays', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    `${TENANT}\n---\nkind: Network\ntenant: acme\nname: front\ngateway: 11.1.0.254\nsubnet: 11.1.0.0/24`,
  );
  t.match(await model.requestNetwork({ ...use('front'), subnet: '11.1.0.0/24' }), {
    gateway: '11.1.0.254',
    created: false,
  });
  for (const [member, wrong] of [
    ['subnet', '11.2.0.0/24'],
    ['gateway', '11.1.0.1'],
    ['encapsulation', 'vlan'],
    ['tag', 77],
    ['ipv6Subnet', 'fd00::/64'],
  ] as const) {
    const [problem] = await problemsOf(model.requestNetwork({ ...use('front'), [member]: wrong }));
    t.match(problem, { code: 'network.differs', path: member, fix: /./ }, member);
    t.match(problem?.message, String(wrong));
  }
  t.same(await model.releaseNetwork(use('front')), { released: true, removed: false });
  t.ok(model.get('Network', 'acme/front'));
});

t.test(
  'what was declared a moment ago takes up what is said of it later, until somebody else uses it',
  async (t) => {
    const model = await openModel();
    await applyText(model, TENANT);
    await model.requestNetwork({ ...use('front', 'h1', 'docker-pool'), subnet: '11.1.7.0/24' });
    const later = { ...use('front'), encapsulation: 'vlan' as const, tag: 42, gateway: '11.1.7.254' };
    t.match(await model.requestNetwork(later), {
      encapsulation: 'vlan',
      tag: 42,
      subnet: '11.1.7.0/24',
      gateway: '11.1.7.254',
    });
    t.equal(await codeOf(model.requestNetwork({ ...use('front', 'h2'), tag: 43 })), 'network.differs');
    t.match(await model.requestNetwork({ ...use('front', 'h2'), gateway: '11.1.7.254' }), { created: false });
    t.equal(await codeOf(model.requestNetwork({ ...use('front'), tag: 43 })), 'network.differs');
  },
);

t.test('what others have in a network keeps it', async (t) => {
  const model = await openModel();
  await applyText(model, TENANT);
  await model.requestNetwork(use('front'));
  await applyText(model, 'kind: Endpoint\ntenant: acme\nnetwork: front\nname: db');
  t.same(await model.releaseNetwork(use('front')), { released: true, removed: false });
  await model.remove([{ kind: 'Endpoint', name: 'acme/front/db' }]);
  await model.requestNetwork(use('front'));
  await model.requestEndpoint({ tenant: 'acme', network: 'front', name: 'left', host: 'h1' });
  t.same(
    await model.releaseNetwork(use('front')),
    { released: true, removed: true },
    'endpoints that agents asked for do not',
  );
});

t.test('addresses: lowest first, nobody else gets one, and an endpoint of the host takes it', async (t) => {
  const store = await openStore();
  const model = await openModel({}, store);
  await applyText(
    model,
    `${TENANT}\n---\nkind: Network\ntenant: acme\nname: front\ngateway: 11.1.0.2\nipv6Subnet: fd00:1::/64`,
  );
  t.equal(await model.reserveAddress(of('front')), '11.1.0.1');
  t.equal(await model.reserveAddress(of('front')), '11.1.0.3', 'not the gateway');
  t.equal(await model.reserveAddress({ ...of('front'), family: 6 }), 'fd00:1::1');
  t.equal(await model.reserveAddress({ ...of('front'), ip: '11.1.0.9' }), '11.1.0.9');
  t.equal(
    await model.reserveAddress({ ...of('front'), ip: '11.1.0.9' }),
    '11.1.0.9',
    'again for the same host',
  );
  t.equal(await codeOf(model.reserveAddress({ ...of('front', 'h2'), ip: '11.1.0.9' })), 'endpoint.ip.taken');
  t.equal(await codeOf(model.reserveAddress({ ...of('front'), ip: '11.9.0.1' })), 'endpoint.ip.outside');
  t.equal(await codeOf(model.reserveAddress({ ...of('front'), ip: '11.1.0.255' })), 'endpoint.ip.reserved');
  t.equal(await codeOf(model.reserveAddress(of('nosuch'))), 'network.unknown');
  const request = { tenant: 'acme', network: 'front' };
  const [taken] = await problemsOf(
    model.requestEndpoint({ ...request, name: 'x', host: 'h2', ip: '11.1.0.3' }),
  );
  t.match(taken, { code: 'endpoint.ip.taken', message: /11\.1\.0\.3 is reserved for h1/ });

  t.match(
    await model.requestEndpoint({ ...request, name: 'web', host: 'h1', ip: '11.1.0.3', ip6: 'fd00:1::1' }),
    {
      ip: '11.1.0.3/24',
      ip6: 'fd00:1::1/64',
    },
  );
  t.same(
    model.leasesOfHost('h1').addresses.map(({ ip }) => ip),
    ['11.1.0.1', '11.1.0.9'],
  );
  const reread = await openModel({}, store);
  t.equal(await reread.reserveAddress(of('front')), '11.1.0.4', 'after a restart as before it');
  t.same(await model.releaseAddress({ ...request, host: 'h2', ip: '11.1.0.1' }), { released: false });
  t.same(await model.releaseAddress({ ...request, host: 'h1', ip: '11.1.0.1' }), { released: true });
  t.same(await model.releaseAddress({ ...request, host: 'h1', ip: '11.1.0.1' }), { released: false });
  t.equal(await model.reserveAddress(of('front', 'h2')), '11.1.0.1');
  await model.remove([{ kind: 'Network', name: 'acme/front' }], { cascade: true });
  t.same(model.leasesOfHost('h1').addresses, [], 'they go with the network');
});

t.test('the address of a declared endpoint is its own to use, on its host', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    `${TENANT}\n---\nkind: Network\ntenant: acme\nname: front\n---\nkind: Endpoint\ntenant: acme\nnetwork: front\nname: web\nhost: h1`,
  );
  t.equal(await model.reserveAddress({ ...of('front'), ip: '11.1.0.1' }), '11.1.0.1');
  t.same(model.leasesOfHost('h1').addresses, []);
  t.equal(await codeOf(model.reserveAddress({ ...of('front', 'h2'), ip: '11.1.0.1' })), 'endpoint.ip.taken');
  t.equal(await model.reserveAddress(of('front')), '11.1.0.2', 'and nobody gets it by chance');
});

t.test('a name can be used again by another container of the host, with another address', async (t) => {
  const model = await openModel();
  await applyText(model, `${TENANT}\n---\nkind: Network\ntenant: acme\nname: front`);
  const first = {
    tenant: 'acme',
    network: 'front',
    name: 'web',
    host: 'h1',
    attachUUID: 'u1',
    ip: '11.1.0.5',
  };
  await model.requestEndpoint(first);
  await model.attach({ endpoint: 'acme/front/web', host: 'h1', interface: 'p1' });
  const second = { ...first, attachUUID: 'u2', ip: '11.1.0.6' };
  t.equal(
    await codeOf(model.requestEndpoint({ ...second, host: 'h2' })),
    'endpoint.address',
    'not while it runs elsewhere',
  );
  t.equal(
    await codeOf(model.requestEndpoint({ ...first, ip: '11.1.0.6' })),
    'endpoint.address',
    'nor the same container',
  );
  t.match(await model.requestEndpoint(second), { ip: '11.1.0.6/24', mac: '02:02:0b:01:00:06' });
  t.equal(
    await model.reserveAddress({ ...of('front'), ip: '11.1.0.5' }),
    '11.1.0.5',
    'the old address is free',
  );
});
