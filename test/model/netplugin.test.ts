/** netplugin's documents as its users know them. The faults that the ancestor had with them: faults.test.ts. */
import t from 'tap';
import { type Model, ModelError } from '../../controller/model/index.js';
import { factsByKey, openModel, problemsOf } from './helpers.js';

const HOSTS = [
  { Name: 'host1', VtepIp: '192.168.2.10', Intf: 'eth2' },
  { Name: 'host2', VtepIp: '192.168.2.11', Intf: 'eth2' },
];
const containers = (...names: string[]) => names.map((Container) => ({ Container }));
const tenant = (Name: string, rest: object, ...Networks: object[]) => ({
  Name,
  DefaultNetType: 'vxlan',
  SubnetPool: '11.1.0.0/16',
  AllocSubnetLen: 24,
  Vlans: '11-28',
  VXlans: '10001-20000',
  ...rest,
  Networks,
});
const network = (Name: string, ...names: string[]) => ({ Name, Endpoints: containers(...names) });
const document = (...Tenants: object[]) => ({ Hosts: HOSTS, Tenants });
const addresses = (model: Model) =>
  model.netplugin.endpoints().map(({ id, ipAddress }) => `${id} ${ipAddress}`);

await t.test('one host, two VLAN networks: the values that its users see', async (t) => {
  const model = await openModel();
  await model.netplugin.desired(
    document(
      tenant('one', { DefaultNetType: 'vlan' }, network('orange', 'c1', 'c2'), network('purple', 'c3', 'c4')),
    ),
  );
  t.same(addresses(model), [
    'orange-c1 11.1.0.1',
    'orange-c2 11.1.0.2',
    'purple-c3 11.1.1.1',
    'purple-c4 11.1.1.2',
  ]);
  t.same(model.netplugin.networks(), [
    {
      id: 'orange',
      tenant: 'one',
      pktTagType: 'vlan',
      pktTag: 11,
      extPktTag: 0,
      subnetIP: '11.1.0.0',
      subnetLen: 24,
      defaultGw: '',
      epCount: 2,
    },
    {
      id: 'purple',
      tenant: 'one',
      pktTagType: 'vlan',
      pktTag: 12,
      extPktTag: 0,
      subnetIP: '11.1.1.0',
      subnetLen: 24,
      defaultGw: '',
      epCount: 2,
    },
  ]);
  t.same(model.netplugin.endpoint('orange-c1'), [
    {
      id: 'orange-c1',
      netID: 'orange',
      contName: 'c1',
      contUUID: '',
      attachUUID: '',
      ipAddress: '11.1.0.1',
      macAddress: '02:02:0b:01:00:01',
      homingHost: '',
      intfName: '',
      portName: '',
      vtepIP: '',
    },
  ]);
  t.same(model.netplugin.network('nothing'), []);
  t.same(model.netplugin.endpoint('orange-c9'), []);
});

await t.test(
  'two tenants with the same ranges: same addresses and MACs, networks of their own',
  async (t) => {
    const model = await openModel();
    // Names of networks were global, and equal ranges gave equal tags.
    await model.netplugin.desired(
      document(tenant('one', {}, network('n', 'c1', 'c3')), tenant('two', {}, network('n', 'c1', 'c3'))),
    );
    t.same(
      model.netplugin
        .networks()
        .map(({ tenant, pktTag, extPktTag, subnetIP }) => [tenant, pktTag, extPktTag, subnetIP]),
      [
        ['one', 10001, 10001, '11.1.0.0'],
        ['two', 10002, 10002, '11.1.0.0'],
      ],
    );
    t.equal(model.netplugin.network('n').length, 2);
    t.equal(model.netplugin.network('two/n').length, 1);
    const same = model.netplugin.endpoint('n-c3');
    t.same(
      same.map(({ ipAddress, macAddress }) => [ipAddress, macAddress]),
      [
        ['11.1.0.2', '02:02:0b:01:00:02'],
        ['11.1.0.2', '02:02:0b:01:00:02'],
      ],
    );
    t.equal(model.netplugin.endpoint('one/n/c3').length, 1);
  },
);

await t.test('keys in any case, unknown keys with a warning, and what Go writes for nothing', async (t) => {
  const model = await openModel();
  const { warnings } = await model.netplugin.desired({
    infraNetworks: null,
    HOSTS: [{ NAME: 'h1', vtepip: '192.168.2.10', Intf: '', NetID: '' }],
    tenants: [
      {
        name: 'one',
        defaultnettype: 'vlan',
        subnetpool: '11.1.0.5/16',
        allocsubnetlen: 0,
        vlans: '11',
        VXLANs: '',
        Colour: 'red',
        networks: [{ name: 'n', pkttagtype: '', PktTag: '', SubnetCIDR: '', DefaultGw: '', endpoints: null }],
      },
    ],
    HostBindings: null,
  });
  t.same(
    warnings.map(({ code, path }) => [code, path]),
    [
      ['document.unknown-key', '/tenants/0/Colour'],
      ['document.prefix', '/Tenants/0/SubnetPool'],
    ],
  );
  t.match(model.netplugin.networks(), [{ pktTag: 11, subnetIP: '11.1.0.0', subnetLen: 24 }]);
});

await t.test('every kind of mistake is refused with its path, and nothing is half applied', async (t) => {
  const model = await openModel();
  await model.netplugin.desired(document(tenant('one', {}, network('n', 'c1'))));
  const before = factsByKey(model.facts());
  const refused = async (input: unknown, path: string | RegExp, message: RegExp) => {
    const problems = await problemsOf(model.netplugin.add(input));
    t.match(problems.filter(({ severity }) => severity === 'error')[0], { path, message, fix: /\w/ });
    t.same(factsByKey(model.facts()), before);
  };
  const good = tenant('new', {}, network('n', 'c1'));
  await refused({ Tenants: [good, { Networks: [] }] }, '/Tenants/1/Name', /missing/);
  await refused(
    { Tenants: [good, tenant('x', { DefaultNetType: 'gre' })] },
    '/Tenants/1/DefaultNetType',
    /"gre"/,
  );
  await refused({ Tenants: [good, tenant('x', { Vlans: '28-11' })] }, 'Tenant x: vlans', /28-11/);
  await refused({ Tenants: [good, tenant('x', { SubnetPool: '11.1' })] }, 'Tenant x: subnetPool', /"11\.1"/);
  await refused(
    { Tenants: [good, tenant('x', {}, { Name: 'n', PktTag: 'abc' })] },
    '/Tenants/1/Networks/0/PktTag',
    /"abc"/,
  );
  await refused(
    { Tenants: [good, tenant('x', {}, { Name: 'n', Endpoints: [{}] })] },
    '/Tenants/1/Networks/0/Endpoints/0/Container',
    /missing/,
  );
  await refused(
    { Tenants: [good, tenant('x', { AllocSubnetLen: 'many' })] },
    '/Tenants/1/AllocSubnetLen',
    /"many"/,
  );
  await refused({ Tenants: [good, 7] }, '/Tenants/1', /not an object/);
  await refused({ Tenants: {} }, '/Tenants', /not an array/);
  await refused({ Tenants: [good, { Name: 'x', name: 'y' }] }, '/Tenants/1/name', /twice/);
  await refused({ Hosts: [{ Name: 'h9' }], Tenants: [good] }, '/Hosts/0', /neither VtepIP nor Intf/);
  await refused(
    { Tenants: [tenant('x', {}, { Name: 'n', DefaultGw: '9.9.9.9' })] },
    'Network x/n: gateway',
    /outside/,
  );
  await refused({ HostBindings: [{ Container: 'nobody', Host: 'host1' }] }, '/HostBindings/0', /no endpoint/);
  await t.rejects(model.netplugin.desired('{"Tenants": ['), { code: 'document.syntax' });
  await t.rejects(model.netplugin.desired(null), ModelError);
  t.same(factsByKey(model.facts()), before);
});

await t.test('desired, add and delete: each its own truth', async (t) => {
  const model = await openModel();
  const { netplugin } = model;
  await netplugin.desired(document(tenant('one', {}, network('a', 'c1', 'c2'), network('b', 'c3'))));
  // A tenant is named again only to say where the network belongs: its pools stay.
  await netplugin.add({ Tenants: [{ Name: 'one', Networks: [network('a', 'c4'), network('c')] }] });
  t.same(addresses(model), ['a-c1 11.1.0.1', 'a-c2 11.1.0.2', 'a-c4 11.1.0.3', 'b-c3 11.1.1.1']);
  t.equal(model.get('Tenant', 'one')?.spec.subnetPool, '11.1.0.0/16');
  t.equal(netplugin.network('c')[0]?.subnetIP, '11.1.2.0');

  t.match(
    await problemsOf(netplugin.del({ Tenants: [{ Name: 'one', Networks: [{ Name: 'b' }] }] })),
    [{ code: 'object.used', message: /one\/b\/c3/ }],
    'deleting a network with live endpoints left orphans',
  );
  const result = await netplugin.del({
    Tenants: [{ Name: 'one', Networks: [network('a', 'c1', 'c9'), network('c')] }, { Name: 'two' }],
  });
  t.same(
    result.changes.map(({ action, name }) => `${action} ${name}`),
    ['delete one/a/c1', 'delete one/c'],
  );
  t.same(
    result.warnings.map(({ path }) => path),
    ['/Tenants/0/Networks/0/Endpoints/1', '/Tenants/1'],
    'what is not there is told',
  );
  await netplugin.desired(document(tenant('one', {}, network('a', 'c2', 'c5'))));
  t.same(
    addresses(model),
    ['a-c2 11.1.0.2', 'a-c5 11.1.0.1'],
    'what is not in the document has gone, and is used again',
  );
  await netplugin.desired({ Tenants: [] });
  t.same(model.facts(), []);
  // Empty, then the same document again: failed for ever.
  await netplugin.desired(document(tenant('one', {}, network('a', 'c2', 'c5'))));
  t.same(addresses(model), ['a-c2 11.1.0.1', 'a-c5 11.1.0.2']);
  await netplugin.del({ Hosts: [{ Name: 'host1' }] });
  t.same(
    model.list('Host').map(({ name }) => name),
    ['host2'],
  );
});

await t.test('late bindings, as an object or a bare array, outlive the next desired document', async (t) => {
  const model = await openModel();
  const wanted = document(tenant('one', {}, network('a', 'c1', 'c2'), network('b', 'c1')));
  await model.netplugin.desired(wanted);
  await model.netplugin.bindings([{ Container: 'c1', Host: 'host1', AttachUUID: 'uuid-1' }]);
  t.same(
    model.netplugin
      .endpoints()
      .map(({ id, homingHost, attachUUID, vtepIP }) => [id, homingHost, attachUUID, vtepIP]),
    [
      ['a-c1', 'host1', 'uuid-1', '192.168.2.10'],
      ['a-c2', '', '', ''],
      ['b-c1', 'host1', 'uuid-1', '192.168.2.10'],
    ],
    'a container in two networks is multi-homed',
  );
  await model.netplugin.bindings({ HostBindings: [{ Container: 'c2', Host: 'host2' }] });
  await model.netplugin.desired(wanted);
  t.same(
    model.netplugin.endpoints().map(({ homingHost }) => homingHost),
    ['host1', 'host2', 'host1'],
  );
  t.match(await problemsOf(model.netplugin.bindings([{ Container: 'c7', Host: 'host1' }])), [
    { code: 'binding.endpoint.unknown', path: '/0' },
  ]);
  t.match(await problemsOf(model.netplugin.bindings([{ Container: 'c1' }])), [{ path: '/0/Host' }]);
});
