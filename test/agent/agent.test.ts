/** The parts of the agent that touch nothing: options, memory, marks in the switch's database, order of work. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { hostInterfaceOf } from '../../agent/attachments.js';
import { decodeRecord, encodeRecord } from '../../agent/drivers/ovs-schema.js';
import { KeyedQueue } from '../../agent/keyed-queue.js';
import { silentLogger, type Logger } from '../../agent/logger.js';
import { datapathIdOf, resolveOptions } from '../../agent/options.js';
import { isLeg, samePlace, type AttachmentRecord } from '../../agent/records.js';
import { StateFile } from '../../agent/state-file.js';

t.test('options: defaults', async (t) => {
  t.match(resolveOptions({ hostLabel: 'h1', controller: '192.0.2.1' }), {
    hub: [{ kind: 'tcp', host: '192.0.2.1', port: 9_001 }],
    openflow: ['tcp:192.0.2.1:6653'],
    bridge: 'br-int',
    ovsdb: 'unix:/run/openvswitch/db.sock',
    datapath: 'auto',
    socket: '/run/weft/agent.sock',
    stateFile: '/var/lib/weft/agent/br-int.json',
    forceUplink: false,
  });
  const cluster = resolveOptions({
    hostLabel: 'h1',
    controller: '192.0.2.1, [2001:db8::1]:9100',
    socket: false,
  });
  t.same(cluster.openflow, ['tcp:192.0.2.1:6653', 'tcp:[2001:db8::1]:6653']);
  t.equal(cluster.hub.length, 2);
  t.equal(cluster.socket, undefined);
});

t.test('options: every mistake names the option and the way out', async (t) => {
  const good = { hostLabel: 'h1', controller: '192.0.2.1' };
  const mistakes: [string, Record<string, unknown>][] = [
    ['hostLabel', { hostLabel: 'a b' }],
    ['hostLabel', { hostLabel: '' }],
    ['controller', { controller: '' }],
    ['controller', { controller: 'a:b:c' }],
    ['openflow', { controller: 'unix:/run/hub.sock' }],
    ['openflow', { openflow: '1.2.3.4:99999' }],
    ['bridge', { bridge: 'a-name-of-16-char' }],
    ['uplink', { uplink: 'eth/0' }],
    ['uplink', { uplink: 'br-int' }],
    ['vtepIp', { vtepIp: '10.0.0.1/24' }],
    ['uplinkRate', { uplinkRate: 0 }],
    ['uplinkRate', { uplinkRate: 1.5 }],
    ['datapath', { datapath: 'dpdk' }],
  ];
  for (const [path, mistake] of mistakes) {
    t.throws(
      () => resolveOptions({ ...good, ...mistake }),
      { code: 'agent.option.invalid', path, fix: /./ },
      JSON.stringify(mistake),
    );
  }
  t.throws(() => resolveOptions({ ...good, ovsdb: '/run/db.sock' }), { code: 'ovsdb.remote.invalid' });
});

t.test('datapath ids and interface names are of the right form and do not change', async (t) => {
  t.match(datapathIdOf('h1'), /^[0-9a-f]{16}$/);
  t.equal(datapathIdOf('h1'), datapathIdOf('h1'));
  t.not(datapathIdOf('h1'), datapathIdOf('h2'));
  t.match(hostInterfaceOf('a/b/c'), /^weft[0-9a-f]{10}$/, '14 of the 15 characters that Linux allows');
});

const record = fc.record(
  {
    endpoint: fc.string({ minLength: 1 }),
    generation: fc.nat(),
    mac: fc.string(),
    attachUUID: fc.string(),
    namespace: fc.string(),
    innerInterface: fc.string(),
    peer: fc.string(),
  },
  { requiredKeys: ['endpoint', 'generation', 'mac'] },
);

t.test("records survive the switch's database; what others wrote is none", async (t) => {
  fc.assert(
    fc.property(record, (value) => {
      t.same(decodeRecord(encodeRecord(value)), value);
    }),
  );
  t.equal(decodeRecord(new Map()), undefined);
  t.equal(decodeRecord(new Map([['iface-id', 'of another controller']])), undefined);
  const place: AttachmentRecord = { endpoint: 'a/b/c', generation: 1, mac: '', namespace: '/run/netns/x' };
  t.ok(samePlace(place, { ...place, generation: 9 }));
  t.notOk(samePlace(place, { ...place, namespace: '/run/netns/y' }));
  t.notOk(samePlace(place, { ...place, attachUUID: 'u' }), 'another run of the container');
  t.notOk(samePlace(place, { ...place, peer: 'p' }));
  t.same(
    [
      place,
      { endpoint: 'a/b/c', generation: 1, mac: '', peer: 'p' },
      { endpoint: 'a/b/c', generation: 1, mac: '' },
    ].map(isLeg),
    [true, true, false],
    'a tap is not ours to delete',
  );
});

t.test('the state file', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'agent-state-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'deep', 'br-int.json');
  const attachment = { endpoint: 'a/b/c', generation: 3, mac: '02:02:00:00:00:01' };
  const state = new StateFile(path, silentLogger);
  t.same(state.current, { epoch: 0, attachments: {}, releases: [], queues: [], peers: [], cni: {} });
  await Promise.all([
    state.update({ epoch: 7 }),
    ...Array.from({ length: 50 }, (_, index) => state.update({ attachments: { [`p${index}`]: attachment } })),
  ]);
  t.same(new StateFile(path, silentLogger).current, {
    epoch: 7,
    attachments: { p49: attachment },
    releases: [],
    queues: [],
    peers: [],
    cni: {},
  });
  t.same(readdirSync(join(directory, 'deep')), ['br-int.json'], 'no half-written file stays');
  const warnings: object[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields) };
  for (const damage of ['', '{"version":1,"epo', '{"version":99}']) {
    writeFileSync(path, damage);
    t.same(new StateFile(path, logger).current.attachments, {}, `damaged: ${damage}`);
  }
  t.match(warnings, [{ event: 'state.ignored' }, { event: 'state.ignored' }, { reason: 'version 99' }]);
  t.equal(readFileSync(path, 'utf8'), '{"version":99}', 'reading does not write');
});

t.test('the queue: in order per key, side by side otherwise, failures do not stop it', async (t) => {
  const queue = new KeyedQueue();
  const events: string[] = [];
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  const first = queue.run('a', async () => {
    await gate;
    events.push('a1');
    throw new Error('a1 failed');
  });
  const second = queue.run('a', async () => events.push('a2'));
  await queue.run('b', async () => events.push('b1'));
  t.same(events, ['b1'], 'another key did not wait');
  release();
  await t.rejects(first, /a1 failed/);
  await second;
  await queue.idle();
  t.same(events, ['b1', 'a1', 'a2']);
});
