/** Faults that the ancestor, netplugin of August 2015, had in its intents and its state; one test each. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Model, type Problem } from '../../controller/model/index.js';
import { LevelStore } from '../../controller/store/level.js';
import { type Store, StoreError } from '../../controller/store/store.js';
import {
  codesOf,
  endpoint,
  example,
  factsOf,
  follow,
  network,
  openNew,
  refusedWith,
  tenant,
} from './fixtures.js';

/** Runs a test on an empty model. */
function fault(name: string, run: (t: Test, model: Model) => Promise<void>) {
  return t.test(name, async (t) => {
    const opened = await openNew(t);
    await run(t, opened.model);
    await opened.close();
  });
}

/** Runs a test on an empty store that no model is on yet. */
function storeFault(name: string, run: (t: Test, store: LevelStore) => Promise<void>) {
  return t.test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-faults-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const store = await LevelStore.open(folder);
    await run(t, store);
    await store.close();
  });
}

/** The store with some of its calls replaced. */
function withCalls(store: Store, calls: Partial<Store>): Store {
  return {
    state: store.state,
    onState: (listener) => store.onState(listener),
    get: (key) => store.get(key),
    list: (prefix) => store.list(prefix),
    transact: (transaction) => store.transact(transaction),
    watch: (prefix, fromRevision, options) => store.watch(prefix, fromRevision, options),
    close: () => store.close(),
    ...calls,
  };
}

const tagOf = (model: Model, id: string) => model.get('Network', id)?.status.tag;
const ipOf = (model: Model, id: string) => model.get('Endpoint', id)?.status.ip;
const add = { mode: 'add' } as const;
const replace = { mode: 'replace' } as const;

await fault("tenant 2's network n did not stay apart from tenant 1's", async (t, model) => {
  const document = (name: string) => ({
    Tenants: [{ Name: name, Networks: [{ Name: 'n', Endpoints: [{ Container: 'c' }] }] }],
  });
  await model.netplugin.add(document('one'));
  await model.netplugin.add(document('two'));
  t.equal(model.netplugin.network('n').length, 2);
  t.equal(model.netplugin.endpoint('n-c').length, 2);
  t.same(
    model.endpointsOfNetwork('two/n').map((view) => view.endpoint),
    ['two/n/c'],
  );
  t.not(model.get('Network', 'one/n')?.status.number, model.get('Network', 'two/n')?.status.number);
});

for (const [encapsulation, member] of [
  ['vlan', 'vlans'],
  ['vxlan', 'vnis'],
] as const) {
  await fault(`two tenants with the same ${member} got the same tag`, async (t, model) => {
    const pool = { [member]: '20-23', defaultEncapsulation: encapsulation };
    await model.apply(
      [
        tenant('one', pool),
        tenant('two', pool),
        ...['one/a', 'two/a', 'one/b', 'two/b'].map((id) => network(id)),
      ],
      add,
    );
    t.same(
      ['one/a', 'two/a', 'one/b', 'two/b'].map((id) => tagOf(model, id)),
      [20, 21, 22, 23],
    );
    const [problem] = await refusedWith(model.apply([network('two/c')], add));
    t.match(problem, { code: 'network.tag.exhausted', message: /20-23/ });
  });
}

await fault('a static VLAN was not reserved, and freeing it put it into the pool', async (t, model) => {
  await model.apply(
    [
      tenant('acme', { vlans: '11-12', defaultEncapsulation: 'vlan' }),
      network('acme/inside', { tag: 11 }),
      network('acme/outside', { tag: 500 }),
      network('acme/first'),
    ],
    add,
  );
  t.equal(tagOf(model, 'acme/first'), 12, '11 is taken although nobody allocated it');
  const [taken] = await refusedWith(model.apply([network('acme/again', { tag: 500 })], add));
  t.match(taken, { code: 'network.tag.taken', path: 'Network acme/again: tag', message: /acme\/outside/ });
  await model.remove([{ kind: 'Network', name: 'acme/outside' }]);
  t.same(codesOf(await refusedWith(model.apply([network('acme/second')], add))), ['network.tag.exhausted']);
  await model.remove([{ kind: 'Network', name: 'acme/inside' }]);
  await model.apply([network('acme/second')], add);
  t.equal(tagOf(model, 'acme/second'), 11);
});

await fault('a tag without a type became a trunk port', async (t, model) => {
  const document = (type: string, tag: string) => ({
    Tenants: [{ Name: type, DefaultNetType: type, Networks: [{ Name: 'n', PktTag: tag }] }],
  });
  await model.netplugin.add(document('vlan', '77'));
  await model.netplugin.add(document('vxlan', '70000'));
  t.match(model.get('Network', 'vlan/n')?.status, { encapsulation: 'vlan', tag: 77 });
  t.match(model.get('Network', 'vxlan/n')?.status, { encapsulation: 'vxlan', tag: 70_000 });
  const [problem] = await refusedWith(
    model.netplugin.add({ Tenants: [{ Name: 'vlan', Networks: [{ Name: 'm', PktTag: '5000' }] }] }),
  );
  t.match(problem, { code: 'network.tag', message: /5000 is not a VLAN id/ });
});

await fault('a static address was refused where it makes sense, and accepted twice', async (t, model) => {
  await model.apply([tenant('acme'), network('acme/n', { subnet: '10.1.1.0/24' })], add);
  await model.apply([endpoint('acme/n/a', { ip: '10.1.1.7' }), endpoint('acme/n/b')], add);
  t.same([ipOf(model, 'acme/n/a'), ipOf(model, 'acme/n/b')], ['10.1.1.7', '10.1.1.1']);
  const [later] = await refusedWith(model.apply([endpoint('acme/n/c', { ip: '10.1.1.7' })], add));
  t.match(later, { code: 'endpoint.ip.taken', path: 'Endpoint acme/n/c: ip', message: /acme\/n\/a/ });
  const twice = ['d', 'e'].map((name) => endpoint(`acme/n/${name}`, { ip: '10.1.1.9' }));
  t.same(codesOf(await refusedWith(model.apply(twice, add))), ['endpoint.ip.taken']);
  t.equal(model.get('Endpoint', 'acme/n/d'), undefined, 'nothing is half applied');

  await model.apply([endpoint('acme/n/f'), endpoint('acme/n/g', { ip: '10.1.1.2' })], add);
  t.same([ipOf(model, 'acme/n/f'), ipOf(model, 'acme/n/g')], ['10.1.1.3', '10.1.1.2'], 'static ones first');
  await model.apply(
    [endpoint('acme/n/a', { ip: '10.1.1.2' }), endpoint('acme/n/g', { ip: '10.1.1.7' })],
    add,
  );
  t.same([ipOf(model, 'acme/n/a'), ipOf(model, 'acme/n/g')], ['10.1.1.2', '10.1.1.7'], 'exchanged at once');
});

await fault('an empty document and then the same document again failed for ever', async (t, model) => {
  const heard = follow(model);
  for (const name of ['one_host_multiple_nets', 'two_hosts_multiple_tenants']) {
    const document = example(`netplugin/${name}.json`);
    await model.netplugin.desired(document);
    const first = [model.netplugin.networks(), model.netplugin.endpoints()];
    for (let round = 0; round < 3; round++) {
      await model.netplugin.desired({});
      t.same([model.netplugin.networks(), model.netplugin.endpoints(), heard.size], [[], [], 0]);
      await model.netplugin.desired(document);
      t.same([model.netplugin.networks(), model.netplugin.endpoints()], first);
    }
    await model.netplugin.desired('{}');
  }
});

await fault('deleting a network with live endpoints left orphans', async (t, model) => {
  await model.apply([tenant('acme'), network('acme/n'), endpoint('acme/n/a')], add);
  await model.requestEndpoint({ tenant: 'acme', network: 'n', name: 'dynamic', host: 'h1' });
  await model.attach({ endpoint: 'acme/n/dynamic', host: 'h1', interface: 'veth1' });
  const [refused] = await refusedWith(
    model.netplugin.del({ Tenants: [{ Name: 'acme', Networks: [{ Name: 'n' }] }] }),
  );
  t.match(refused, { code: 'object.used', message: /acme\/n\/a, acme\/n\/dynamic/ });
  t.equal(model.list('Endpoint').length, 2);
  const { warnings } = await model.apply([tenant('acme')], replace);
  t.match(warnings, [{ code: 'endpoint.lost', message: /acme\/n\/dynamic/ }]);
  t.same(model.list('Endpoint'), []);
  t.same(model.endpointsOfHost('h1'), []);
});

await fault('the broadcast and the gateway address were given out', async (t, model) => {
  await model.apply([tenant('acme'), network('acme/n', { subnet: '10.1.1.0/29', gateway: '10.1.1.3' })], add);
  const names = Array.from({ length: 5 }, (_, index) => `acme/n/e${index}`);
  await model.apply(
    names.map((id) => endpoint(id)),
    add,
  );
  t.same(
    names.map((id) => ipOf(model, id)),
    ['10.1.1.1', '10.1.1.2', '10.1.1.4', '10.1.1.5', '10.1.1.6'],
  );
  t.same(codesOf(await refusedWith(model.apply([endpoint('acme/n/more')], add))), ['endpoint.ip.exhausted']);
  for (const ip of ['10.1.1.0', '10.1.1.3', '10.1.1.7']) {
    const [problem] = await refusedWith(model.apply([endpoint('acme/n/more', { ip })], add));
    t.match(problem, { code: 'endpoint.ip.reserved', message: new RegExp(ip) });
  }
});

await fault('a single VLAN instead of a range crashed it', async (t, model) => {
  await model.netplugin.desired({
    Tenants: [{ Name: 'one', DefaultNetType: 'vlan', Vlans: '11', Networks: [{ Name: 'n' }] }],
  });
  t.equal(tagOf(model, 'one/n'), 11);
  for (const vlans of ['11-', '-', '12-11', '0', '4095', '11,,12', 'eleven', '11-28-40']) {
    const [problem] = await refusedWith(model.apply([tenant('two', { vlans })], add));
    t.match(problem, { code: 'tenant.vlans', path: 'Tenant two: vlans', fix: /11-28,40-50/ }, vlans);
  }
});

await fault('all ranges of a cluster together were capped at 4,094', async (t, model) => {
  await model.apply(
    [
      tenant('one', { vnis: '1-16777214', subnetPool: '10.0.0.0/8' }),
      tenant('two', { vnis: '1-16777214', vlans: '1-4094', subnetPool: '10.0.0.0/8' }),
      ...Array.from({ length: 5_000 }, (_, index) => network(`one/n${index}`)),
      network('two/last', { tag: 16_777_214 }),
      network('two/vlan', { encapsulation: 'vlan' }),
    ],
    add,
  );
  t.equal(model.list('Network').length, 5_002);
  t.equal(tagOf(model, 'one/n4999'), 5_000);
  t.equal(tagOf(model, 'two/last'), 16_777_214);
  t.equal(tagOf(model, 'two/vlan'), 1, 'VLANs are counted apart');
});

await fault('changed parameters were silently ignored', async (t, model) => {
  const document = (network: object, host = '192.168.2.10') => ({
    Hosts: [{ Name: 'h1', VtepIP: host }],
    Tenants: [{ Name: 'acme', Networks: [{ Name: 'n', ...network, Endpoints: [{ Container: 'c' }] }] }],
  });
  await model.netplugin.desired(document({ SubnetCIDR: '10.1.1.0/24', PktTag: '100' }));
  const { changes } = await model.netplugin.desired(
    document({ SubnetCIDR: '10.2.2.0/24', PktTag: '200', DefaultGw: '10.2.2.1' }, '192.168.2.99'),
  );
  const fields = changes.flatMap(({ kind, fields = [] }) =>
    fields.map(({ path, from, to }) => [kind, path, from ?? null, to ?? null].join(' ')),
  );
  for (const expected of [
    'Host vtepIp 192.168.2.10 192.168.2.99',
    'Network tag 100 200',
    'Network subnet 10.1.1.0/24 10.2.2.0/24',
    'Endpoint ip 10.1.1.1 10.2.2.2',
  ]) {
    t.ok(fields.includes(expected), expected);
  }
  t.ok(fields.some((field) => field.startsWith('Network gateway') && field.endsWith('10.2.2.1')));
  await model.attach({ endpoint: 'acme/n/c', host: 'h1', interface: 'veth1' });
  const refused = await refusedWith(model.netplugin.desired(document({ SubnetCIDR: '10.3.3.0/24' })));
  t.ok(codesOf(refused).includes('network.subnet.attached'), 'what cannot be changed is refused');
  t.equal(ipOf(model, 'acme/n/c'), '10.2.2.2');

  // What holds for new networks only is said to, of the networks of the same document too.
  const tenant = (type: string) => ({
    Tenants: [{ Name: 'two', DefaultNetType: type, Networks: [{ Name: 'n' }] }],
  });
  await model.netplugin.add(tenant('vxlan'));
  const { warnings } = await model.netplugin.add(tenant('vlan'));
  t.match(
    warnings.find(({ code }) => code === 'tenant.kept'),
    { message: /two\/n keeps what it has/ },
  );
});

await fault('an endpoint whose network had not arrived was dropped and never retried', async (t, model) => {
  const heard = follow(model);
  const early = await model.attach({ endpoint: 'acme/n/a', host: 'h1', interface: 'veth1' });
  t.equal(early.pending, true);
  await model.apply([tenant('acme'), network('acme/n')], add);
  t.equal(heard.has('endpoint acme/n/a'), false);
  await model.apply([endpoint('acme/n/a')], add);
  t.match(heard.get('endpoint acme/n/a'), {
    host: 'h1',
    interface: 'veth1',
    generation: early.generation,
  });
  const other = await model.attach({ endpoint: 'acme/n/gone', host: 'h1', interface: 'veth2' });
  await model.detach({ endpoint: 'acme/n/gone', host: 'h1', generation: other.generation });
  await model.apply([endpoint('acme/n/gone')], add);
  t.equal(model.endpoint('acme/n/gone')?.interface, undefined, 'unless it has gone meanwhile');
});

await storeFault('changes between reading the state and the watch were lost', async (t, store) => {
  const other = await Model.open(store);
  await other.apply([tenant('acme'), network('acme/n')], add);
  const between = withCalls(store, {
    list: async (prefix) => {
      const listed = await store.list(prefix);
      if (listed.records.every(({ key }) => !key.startsWith('endpoint/')))
        await other.apply([endpoint('acme/n/a')], add);
      return listed;
    },
  });
  const model = await Model.open(between);
  // Its own write comes after what the other controller has written, and sees it.
  await model.apply([endpoint('acme/n/b')], add);
  t.same([ipOf(model, 'acme/n/a'), ipOf(model, 'acme/n/b')], ['10.0.0.1', '10.0.0.2']);
  const heard = follow(other);
  await Promise.all([
    ...Array.from({ length: 10 }, (_, index) => model.apply([endpoint(`acme/n/m${index}`)], add)),
    ...Array.from({ length: 10 }, (_, index) => other.apply([endpoint(`acme/n/o${index}`)], add)),
  ]);
  // A last write of each makes sure that it has taken the other one's.
  await model.apply([endpoint('acme/n/last')], add);
  await other.apply([endpoint('acme/n/very-last')], add);
  const addresses = other.list('Endpoint').map(({ status }) => status.ip);
  t.equal(addresses.length, 24);
  t.equal(new Set(addresses).size, 24, 'two controllers never give the same address');
  t.same(heard, factsOf(other));
  await model.close();
  await other.close();
});

await storeFault('a store that was not up yet, or a lost watch, ended the process', async (t, store) => {
  let up: () => void = () => undefined;
  const isUp = new Promise<void>((resolve) => {
    up = resolve;
  });
  const problems: Problem[] = [];
  let failures = 2;
  const flaky = withCalls(store, {
    list: async (prefix) => {
      await isUp;
      return store.list(prefix);
    },
    transact: async (transaction) => {
      // The first one is written although its outcome is not learnt.
      if (failures === 2) await store.transact(transaction);
      if (failures-- > 0) throw new StoreError('store.unavailable', 'the store does not answer');
      return store.transact(transaction);
    },
    watch: () => {
      throw new StoreError('store.unavailable', 'the watch is lost');
    },
  });
  let opened = false;
  const opening = Model.open(flaky, { onProblem: (problem) => problems.push(problem) }).then((model) => {
    opened = true;
    return model;
  });
  await store.get('anything');
  t.equal(opened, false, 'it waits');
  up();
  const model = await opening;
  t.same(codesOf(problems), ['store.watch']);

  await t.rejects(model.apply([tenant('acme')], add), { code: 'store.unavailable' });
  await t.rejects(model.apply([tenant('other')], add), { code: 'store.unavailable' });
  await model.apply([network('acme/n'), endpoint('acme/n/a')], add);
  t.equal(ipOf(model, 'acme/n/a'), '10.0.0.1');
  t.ok(model.get('Tenant', 'acme'), 'what was written all the same is known');
  t.equal(model.get('Tenant', 'other'), undefined, 'what was not written is not');
  await model.close();
});

await storeFault('addresses leaked when the creation of an endpoint failed half way', async (t, store) => {
  let broken = false;
  const model = await Model.open(
    withCalls(store, {
      transact: (transaction) =>
        broken
          ? Promise.reject(new StoreError('store.unavailable', 'the store does not answer'))
          : store.transact(transaction),
    }),
  );
  await model.apply([tenant('acme'), network('acme/n', { subnet: '10.1.1.0/30' })], add);
  const ask = (name: string) => model.requestEndpoint({ tenant: 'acme', network: 'n', name, host: 'h1' });
  broken = true;
  for (let attempt = 0; attempt < 5; attempt++)
    await t.rejects(ask(`broken${attempt}`), { code: 'store.unavailable' });
  broken = false;
  t.equal((await ask('a')).ip, '10.1.1.1/30');
  t.equal((await ask('b')).ip, '10.1.1.2/30');
  t.same(codesOf(await refusedWith(ask('c'))), ['endpoint.ip.exhausted']);
  await model.detach({ endpoint: 'acme/n/a', host: 'h1', release: true });
  t.equal((await ask('a')).ip, '10.1.1.1/30', 'names and addresses can be used again');
  await model.close();
});
