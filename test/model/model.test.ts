import t from 'tap';
import type { EndpointFact, NetworkFact } from '../../controller/model/index.js';
import {
  endpoint,
  example,
  factsOf,
  follow,
  network,
  openNew,
  refusedWith,
  codesOf,
  tenant,
} from './fixtures.js';

const DATAPATH = (number: number) => number.toString(16).padStart(16, '0');

await t.test("one_host_multiple_nets.json gives the ancestor's values", async (t) => {
  const opened = await openNew(t);
  const { netplugin } = opened.model;
  await netplugin.desired(example('netplugin/one_host_multiple_nets.json'));
  t.same(netplugin.network('orange'), [
    {
      id: 'orange',
      tenant: 'tenant-one',
      pktTagType: 'vlan',
      pktTag: 11,
      extPktTag: 0,
      subnetIP: '11.1.0.0',
      subnetLen: 24,
      defaultGw: '',
      epCount: 2,
    },
  ]);
  t.same(
    netplugin.networks().map(({ id, pktTag, subnetIP }) => [id, pktTag, subnetIP]),
    [
      ['orange', 11, '11.1.0.0'],
      ['purple', 12, '11.1.1.0'],
    ],
  );
  t.same(
    netplugin
      .endpoints()
      .map(({ id, ipAddress, macAddress, homingHost }) => [id, ipAddress, macAddress, homingHost]),
    [
      ['orange-myContainer1', '11.1.0.1', '02:02:0b:01:00:01', 'host1'],
      ['orange-myContainer2', '11.1.0.2', '02:02:0b:01:00:02', 'host1'],
      ['purple-myContainer3', '11.1.1.1', '02:02:0b:01:01:01', 'host1'],
      ['purple-myContainer4', '11.1.1.2', '02:02:0b:01:01:02', 'host1'],
    ],
  );
  t.same(netplugin.endpoint('purple-myContainer4'), netplugin.endpoint('tenant-one/purple/myContainer4'));
  t.same(netplugin.endpoint('purple-nobody'), []);

  const again = await netplugin.desired(example('netplugin/one_host_multiple_nets.json'));
  t.ok(again.changes.length > 0);
  t.ok(
    again.changes.every(({ action }) => action === 'unchanged'),
    'the same document again changes nothing',
  );
  await opened.close();
});

await t.test('two_hosts_multiple_tenants.json gives both tenants the same addresses apart', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await model.netplugin.desired(example('netplugin/two_hosts_multiple_tenants.json'));
  t.same(
    model.netplugin
      .endpoints()
      .map(({ ipAddress, macAddress, homingHost, vtepIP }) => [ipAddress, macAddress, homingHost, vtepIP]),
    [
      ['11.1.0.1', '02:02:0b:01:00:01', 'host1', '192.168.2.10'],
      ['11.1.0.2', '02:02:0b:01:00:02', 'host2', '192.168.2.11'],
      ['11.1.0.1', '02:02:0b:01:00:01', 'host1', '192.168.2.10'],
      ['11.1.0.2', '02:02:0b:01:00:02', 'host2', '192.168.2.11'],
    ],
  );
  const networks = model.facts().filter(({ kind }) => kind === 'network');
  const values = networks.map(({ value }) => value as NetworkFact);
  t.same(
    values.map(({ id, encapsulation, tag }) => [id, encapsulation, tag]),
    [
      ['tenant-one/orange', 'vxlan', 10001],
      ['tenant-two/orange', 'vxlan', 10002],
    ],
  );
  t.not(values[0]?.number, values[1]?.number, 'numbers are unique in the cluster');
  t.equal(model.netplugin.network('orange').length, 2, 'the ancestor’s id names both');
  await opened.close();
});

await t.test('late bindings say where endpoints live, in both forms of the document', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  const unbound = JSON.stringify(JSON.parse(example('netplugin/one_host_multiple_nets.json'))).replaceAll(
    ',"Host":"host1"',
    '',
  );
  await model.netplugin.desired(unbound);
  t.equal(model.netplugin.endpoint('orange-myContainer1')[0]?.homingHost, '');
  const bare = JSON.parse(example('netplugin/late_bindings.json')) as unknown[];
  await model.netplugin.bindings(bare);
  const home = (id: string) => model.netplugin.endpoint(id)[0]?.homingHost;
  t.equal(home('orange-myContainer1'), 'host1');
  t.equal(home('purple-myContainer3'), 'host2');
  t.equal(model.netplugin.endpoint('orange-myContainer1')[0]?.attachUUID, '6f1c2a7e0a9d');
  await model.netplugin.desired(unbound);
  t.equal(home('purple-myContainer3'), 'host2', 'bindings stay when the document is posted again');
  await model.netplugin.bindings({ HostBindings: [{ Container: 'myContainer3', Host: 'host1' }] });
  t.equal(home('purple-myContainer3'), 'host1');
  t.same(codesOf(await refusedWith(model.netplugin.bindings([{ Container: 'nobody', Host: 'host1' }]))), [
    'binding.endpoint.unknown',
  ]);
  await opened.close();
});

await t.test('documents: verbs, case of keys, unknown keys', async (t) => {
  const opened = await openNew(t);
  const { netplugin } = opened.model;
  const result = await netplugin.desired({
    hosts: [{ NAME: 'host1', vtepip: '192.168.2.10', netid: 'x' }],
    Tenants: [
      {
        name: 't',
        defaultnettype: 'VXLAN',
        vxlans: '10001-10002',
        Colour: 'red',
        networks: [
          { Name: 'n', PktTag: '10002', SubnetCIDR: '11.0.1.1/24', EndPoints: [{ container: 'c' }] },
        ],
      },
    ],
  });
  t.same(codesOf(result.warnings).sort(), ['document.ignored', 'document.prefix', 'document.unknown-key']);
  t.equal(result.warnings.find(({ code }) => code === 'document.unknown-key')?.path, '/Tenants/0/Colour');
  t.equal(netplugin.network('n')[0]?.extPktTag, 10002);

  await netplugin.add({
    Tenants: [{ Name: 't', Networks: [{ Name: 'm', Endpoints: [{ Container: 'd' }] }] }],
  });
  t.equal(netplugin.network('m')[0]?.extPktTag, 10001, 'the range of the silent tenant still holds');
  t.equal(netplugin.networks().length, 2, 'adding removes nothing');

  const dry = await netplugin.del(
    { Tenants: [{ Name: 't', Networks: [{ Name: 'm', Endpoints: [{ Container: 'd' }] }] }] },
    { dryRun: true },
  );
  t.same([dry.dryRun, dry.changes.map(({ action, name }) => `${action} ${name}`)], [true, ['delete t/m/d']]);
  t.equal(netplugin.endpoints().length, 2, 'a dry run leaves everything');
  t.same(codesOf(await refusedWith(netplugin.del({ Tenants: [{ Name: 't', Networks: [{ Name: 'm' }] }] }))), [
    'object.used',
  ]);
  await netplugin.del({
    Tenants: [{ Name: 't', Networks: [{ Name: 'm', Endpoints: [{ Container: 'd' }] }] }],
  });
  await netplugin.del({ Tenants: [{ Name: 't', Networks: [{ Name: 'm' }] }] });
  t.same(netplugin.network('m'), []);
  const absent = await netplugin.del({ Tenants: [{ Name: 'nobody' }] });
  t.same(codesOf(absent.warnings), ['object.unknown']);
  t.same(codesOf(await refusedWith(netplugin.desired('{'))), ['document.syntax']);
  t.same(codesOf(await refusedWith(netplugin.desired({ Tenants: {} }))), ['document.array']);
  await opened.close();
});

await t.test('after a reload there are the same facts, and listeners have heard them all', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  const heard = follow(model);
  const { objects, problems } = model.parse(example('two-tenants.yaml'));
  t.same(problems, []);
  await model.apply(objects, { mode: 'replace' });
  await model.claimHost({
    host: 'h1',
    datapathId: DATAPATH(1),
    vtepIp: 'fd00:2::10',
    uplink: 'eth2',
    tunnelPort: 'weft-vxlan',
  });
  await model.apply(
    [
      tenant('six', { ipv6SubnetPool: 'fd00:1::/48' }),
      network('six/n', { gateway: '10.0.0.254', ipv6Gateway: 'fd00:1::1' }),
      endpoint('six/n/a', { attachUUID: 'uuid' }),
      { kind: 'HostBinding', tenant: 'six', network: 'n', name: 'a', host: 'h1' },
    ],
    { mode: 'add' },
  );
  await model.attach({ endpoint: 'acme/web/a', host: 'h1', interface: 'veth1' });
  await model.attach({ endpoint: 'acme/web/late', host: 'h1', interface: 'veth2' });
  await model.remove([{ kind: 'Endpoint', name: 'globex/web/d' }]);
  const facts = model.facts();
  t.same(heard, factsOf(model));
  const sixth = facts.find(({ key }) => key === 'six/n/a')?.value as EndpointFact;
  t.same(sixth.ipv6, [0xfd00_0001_0000_0000_0000_0000_0000_0002n], 'the gateway is left out');

  const again = await opened.reopen();
  t.same(again.model.facts(), facts);
  t.same(again.model.list('Endpoint'), model.list('Endpoint'));
  t.same(
    again.model.list('Network', { tenant: 'acme' }).map(({ name }) => name),
    ['acme/storage', 'acme/web'],
  );
  await again.model.apply([endpoint('acme/web/late')], { mode: 'add' });
  t.equal(again.model.endpoint('acme/web/late')?.interface, 'veth2', 'what was pending still is');
  await again.close();
});

await t.test('a dry run tells the same and does nothing', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  let calls = 0;
  model.onFacts(() => calls++);
  const objects = [tenant('acme'), network('acme/n'), endpoint('acme/n/a')];
  const dry = await model.apply(objects, { mode: 'add', dryRun: true });
  t.same(model.facts(), []);
  const real = await model.apply(objects, { mode: 'add' });
  t.same(dry.changes, real.changes);
  t.same([dry.dryRun, real.dryRun, calls], [true, false, 1]);
  const values = real.changes.find(({ kind }) => kind === 'Endpoint')?.fields;
  t.ok(
    values?.some(({ path, to }) => path === 'ip' && to === '10.0.0.1'),
    'allocated values are among the changes',
  );
  const kept = await model
    .apply([network('acme/n')], { mode: 'replace', dryRun: true })
    .catch((error: unknown) => error);
  t.match(kept, { code: 'network.tenant.unknown' }, 'replacing without the tenant is refused');
  t.equal(model.list('Endpoint').length, 1);
  await opened.close();
});

await t.test('removing names the users, cascade takes them along', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await model.apply([tenant('acme'), network('acme/n'), endpoint('acme/n/a')], { mode: 'add' });
  const [problem] = await refusedWith(model.remove([{ kind: 'Network', name: 'acme/n' }]));
  t.match(problem, { code: 'object.used', path: 'Network acme/n', message: /acme\/n\/a/, fix: /cascade/ });
  const [unknown] = await refusedWith(model.remove([{ kind: 'Network', name: 'acme/m' }]));
  t.match(unknown, { code: 'object.unknown', fix: 'did you mean "acme/n"?' });
  const { changes } = await model.remove([{ kind: 'Tenant', name: 'acme' }], { cascade: true });
  t.same(changes.map(({ action, kind }) => `${action} ${kind}`).sort(), [
    'delete Endpoint',
    'delete Network',
    'delete Tenant',
  ]);
  t.same(model.facts(), []);
  await opened.close();
});

await t.test('endpoints move: the newest attachment holds, late detaches do nothing', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  const heard = follow(model);
  await model.apply([tenant('acme'), network('acme/n'), endpoint('acme/n/a')], { mode: 'add' });
  const first = await model.attach({ endpoint: 'acme/n/a', host: 'h1', interface: 'veth1' });
  t.match(first, { pending: false, endpoint: { host: 'h1', interface: 'veth1', mtuOverhead: 50 } });
  t.equal(first.previous, undefined);
  const second = await model.attach({ endpoint: 'acme/n/a', host: 'h2', interface: 'veth7' });
  t.match(second, { previous: { host: 'h1', interface: 'veth1' } });
  t.ok(second.generation > first.generation);
  t.same(await model.detach({ endpoint: 'acme/n/a', host: 'h1', generation: first.generation }), {
    detached: false,
  });
  t.match(heard.get('endpoint acme/n/a'), { host: 'h2', interface: 'veth7', generation: second.generation });
  t.same(model.endpointsOfHost('h1'), []);
  t.same(
    model.endpointsOfHost('h2').map((view) => view.endpoint),
    ['acme/n/a'],
  );
  const third = await model.attach({ endpoint: 'acme/n/a', host: 'h2', interface: 'veth8' });
  t.same(await model.detach({ endpoint: 'acme/n/a', host: 'h2', generation: second.generation }), {
    detached: false,
  });
  t.same(await model.detach({ endpoint: 'acme/n/a', host: 'h2', generation: third.generation }), {
    detached: true,
  });
  const fact = heard.get('endpoint acme/n/a') as EndpointFact;
  t.same([fact.host, fact.interface, fact.ipv4.length], [undefined, undefined, 1], 'it keeps its address');
  await opened.close();
});

await t.test('whoever takes a port has it alone', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await model.apply(
    [tenant('acme'), network('acme/n'), endpoint('acme/n/a'), endpoint('acme/n/b', { host: 'h1' })],
    { mode: 'add' },
  );
  await model.attach({ endpoint: 'acme/n/a', host: 'h1', interface: 'veth1' });
  await model.attach({ endpoint: 'acme/n/b', host: 'h1', interface: 'veth1' });
  t.equal(model.endpoint('acme/n/a')?.interface, undefined);
  t.equal(model.endpoint('acme/n/b')?.interface, 'veth1');
  t.same(codesOf(await refusedWith(model.attach({ endpoint: 'acme/n/b', host: 'h2', interface: 'veth1' }))), [
    'endpoint.elsewhere',
  ]);
  t.same(
    codesOf(
      await refusedWith(model.attach({ endpoint: 'acme/n/b', host: 'h1', interface: 'name/with/slash' })),
    ),
    ['endpoint.interface'],
  );
  t.same(codesOf(await refusedWith(model.attach({ endpoint: 'b', host: 'h1', interface: 'veth1' }))), [
    'endpoint.id',
  ]);
  await opened.close();
});

await t.test('agents ask for endpoints: found by name or UUID, made once, released on detach', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await model.apply(
    [
      tenant('acme'),
      network('acme/n', { subnet: '10.1.1.0/24', gateway: '10.1.1.1' }),
      network('acme/closed', { dynamicEndpoints: false }),
      endpoint('acme/n/declared', { attachUUID: 'uuid-1' }),
    ],
    { mode: 'add' },
  );
  const ask = (name: string, more: object = {}) =>
    model.requestEndpoint({ tenant: 'acme', network: 'n', host: 'h1', name, ...more });
  t.match(await ask('other-name', { attachUUID: 'uuid-1' }), {
    endpoint: 'acme/n/declared',
    ip: '10.1.1.2/24',
  });
  const views = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`c${index % 10}`)));
  t.equal(new Set(views.map(({ ip }) => ip)).size, 10, 'the same endpoint asked for twice is one');
  t.match(await ask('c3'), { ip: '10.1.1.6/24', mac: '02:02:0a:01:01:06', gateway: '10.1.1.1' });
  t.match(await ask('pinned', { ip: '10.1.1.200', mac: '02:aa:00:00:00:01' }), {
    ip: '10.1.1.200/24',
    mac: '02:aa:00:00:00:01',
  });
  await model.apply([network('acme/dual', { subnet: '10.2.1.0/24', ipv6Subnet: 'fd00:2::/64' })], {
    mode: 'add',
  });
  const both = { network: 'dual', ip: '10.2.1.77', ip6: 'fd00:2::77' };
  t.match(await ask('both', both), { ip: '10.2.1.77/24', ip6: 'fd00:2::77/64' }, 'one of each family');
  t.same(codesOf(await refusedWith(ask('both', { ...both, ip6: 'fd00:2::78' }))), ['endpoint.address']);
  t.same(codesOf(await refusedWith(ask('thief', { ip: '10.1.1.200' }))), ['endpoint.ip.taken']);
  t.same(codesOf(await refusedWith(ask('thief', { ip: '10.1.1.1' }))), ['endpoint.ip.reserved']);
  t.same(codesOf(await refusedWith(ask('pinned', { ip: '10.1.1.201' }))), ['endpoint.address']);
  t.same(codesOf(await refusedWith(ask('bad name'))), ['endpoint.name']);
  t.same(codesOf(await refusedWith(ask('declared', { attachUUID: 'uuid-2' }))), ['endpoint.attachUUID']);
  t.same(codesOf(await refusedWith(ask('x', { network: 'closed' }))), ['endpoint.undeclared']);
  t.same(codesOf(await refusedWith(ask('x', { network: 'nowhere' }))), ['network.unknown']);
  const count = model.list('Endpoint').length;
  t.equal(count, 13, 'refused requests leave nothing behind');

  const { generation } = await model.attach({ endpoint: 'acme/n/c3', host: 'h1', interface: 'veth3' });
  await model.detach({ endpoint: 'acme/n/c3', host: 'h1', generation, release: true });
  t.equal(model.get('Endpoint', 'acme/n/c3'), undefined);
  t.match(await ask('new'), { ip: '10.1.1.6/24' }, 'the address is free again');
  await model.detach({ endpoint: 'acme/n/declared', host: 'h1', release: true });
  t.ok(model.get('Endpoint', 'acme/n/declared'), 'what an intent declares is not released');
  await opened.close();
});

await t.test('snapshots: generations decide who is right', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  await model.apply(
    [tenant('acme'), network('acme/n'), ...['a', 'b', 'c', 'd'].map((name) => endpoint(`acme/n/${name}`))],
    { mode: 'add' },
  );
  const at = (endpoint: string, port: string, generation: number) => ({
    endpoint,
    interface: port,
    generation,
  });
  const a = await model.attach({ endpoint: 'acme/n/a', host: 'h1', interface: 'veth1' });
  const b = await model.attach({ endpoint: 'acme/n/b', host: 'h1', interface: 'veth2' });
  const c = await model.attach({ endpoint: 'acme/n/c', host: 'h1', interface: 'veth3' });
  await model.attach({ endpoint: 'acme/n/b', host: 'h2', interface: 'veth9' });
  const d = await model.attach({ endpoint: 'acme/n/d', host: 'h1', interface: 'veth4' });
  await model.remove([{ kind: 'Endpoint', name: 'acme/n/d' }]);

  const result = await model.mergeSnapshot({
    host: 'h1',
    epoch: 1,
    attachments: [
      at('acme/n/a', 'veth1', a.generation),
      at('acme/n/b', 'veth2', b.generation),
      at('acme/n/d', 'veth4', d.generation),
      at('acme/n/early', 'veth5', 0),
    ],
  });
  t.same(result.accepted.find(({ endpoint }) => endpoint === 'acme/n/a')?.generation, a.generation);
  t.same([...result.stale].sort(), ['acme/n/b', 'acme/n/d'], 'moved away, and deleted');
  t.same(result.removed, ['acme/n/c'], 'the agent has it no more');
  t.ok(c.generation > 0);
  t.match(model.endpoint('acme/n/b'), { host: 'h2', interface: 'veth9' });
  await model.apply([endpoint('acme/n/early')], { mode: 'add' });
  t.match(model.endpoint('acme/n/early'), { host: 'h1', interface: 'veth5' });

  const facts = model.facts();
  const again = await model.mergeSnapshot({
    host: 'h1',
    epoch: 1,
    attachments: [
      ...result.accepted,
      at('acme/n/early', 'veth5', model.endpoint('acme/n/early')?.generation ?? 0),
    ],
  });
  t.same([again.stale, again.removed], [[], []]);
  t.same(model.facts(), facts, 'the same snapshot again changes nothing');

  const invented = [at('acme/n/a', 'veth1', Number.MAX_SAFE_INTEGER), at('acme/n/x', 'v', 2 ** 52)];
  const { accepted } = await model.mergeSnapshot({ host: 'h1', epoch: 1, attachments: invented });
  t.equal(accepted.length, 2);
  const later = await model.attach({ endpoint: 'acme/n/a', host: 'h2', interface: 'veth1' });
  t.ok(
    Number.isSafeInteger(later.generation) &&
      accepted.every(({ generation }) => generation < later.generation),
  );
  await opened.close();
});

await t.test('hosts: claims, their intents, taking over', async (t) => {
  const opened = await openNew(t);
  const { model } = opened;
  const claim = (host: string, number: number, more: object = {}) =>
    model.claimHost({ host, datapathId: DATAPATH(number), ...more });
  t.match(await claim('h1', 1, { vtepIp: '192.168.2.10', uplink: 'eth2' }), {
    name: 'h1',
    status: { number: 1, origin: 'dynamic', datapathId: DATAPATH(1), vtepIp: '192.168.2.10', uplink: 'eth2' },
  });
  t.same(codesOf(await refusedWith(claim('h2', 1))), ['host.claimed']);
  t.same(codesOf(await refusedWith(claim('h2', 2, { vtepIp: '192.168.2.10' }))), ['host.claimed']);
  t.same(codesOf(await refusedWith(claim('h2', 2, { vtepIp: '192.168.2.010' }))), ['host.vtepIp']);
  await claim('h2', 1, { vtepIp: '192.168.2.10', takeOver: true });
  t.equal(model.get('Host', 'h1')?.status.datapathId, undefined);
  t.equal(model.get('Host', 'h2')?.status.datapathId, DATAPATH(1));
  await model.apply([{ kind: 'Host', name: 'h3', vtepIp: '192.168.2.12' }], { mode: 'add' });
  const [wrong] = await refusedWith(claim('h3', 3, { vtepIp: '192.168.2.13' }));
  t.match(wrong, { code: 'host.claim', path: 'Host h3: vtepIp', fix: /--vtep-ip 192\.168\.2\.12/ });
  t.match(await claim('h3', 3), { status: { vtepIp: '192.168.2.12', origin: 'intent' } });
  await model.apply([], { mode: 'replace' });
  t.match(model.get('Host', 'h3'), { status: { origin: 'dynamic' } }, 'a registered host stays');
  await opened.close();
});

await t.test(
  'one mistake made a thousand times is told once, and does not take a thousand searches',
  async (t) => {
    const opened = await openNew(t);
    const { model } = opened;
    const base = [tenant('acme'), network('acme/n', { subnet: '10.1.0.0/16' })];
    const named = Array.from({ length: 1_000 }, (_, index) =>
      endpoint(`acme/n/e${index}`, { host: 'rakc1' }),
    );
    const { warnings } = await model.apply([...base, { kind: 'Host', name: 'rack1' }, ...named], {
      mode: 'add',
    });
    t.match(warnings, [
      {
        code: 'host.unknown',
        path: 'Endpoint acme/n/e0: host',
        message: /999 more/,
        fix: 'did you mean "rack1"?',
      },
    ]);
    t.equal(warnings.length, 1);
    const lost = Array.from({ length: 25 }, (_, index) => endpoint(`acme/m/e${index}`));
    const problems = await refusedWith(model.apply(lost, { mode: 'add' }));
    t.equal(problems.length, 25, 'every wrong object is named');
    t.equal(problems.filter(({ fix }) => fix === 'did you mean "acme/n"?').length, 20);
    await opened.close();
  },
);

await t.test(
  'multicast settings of a network outlive a restart, and go where they are left out',
  async (t) => {
    const opened = await openNew(t);
    const multicast = {
      snooping: false,
      unregistered: 'drop',
      headEndLimit: 3,
      broadcastLimit: 500,
    } as const;
    const intents = [tenant('acme'), network('acme/web', { multicast }), network('acme/db')];
    await opened.model.apply(intents, { mode: 'add' });
    const again = await opened.reopen();
    const settings = (id: string) => {
      const fact = again.model.facts().find(({ kind, key }) => kind === 'network' && key === id);
      return (fact?.value as NetworkFact | undefined)?.multicast;
    };
    t.strictSame([settings('acme/web'), settings('acme/db')], [multicast, undefined]);
    await again.model.apply([network('acme/web')], { mode: 'add' });
    t.equal(settings('acme/web'), undefined);
    await again.close();
  },
);
