/** `weft controller` as a process of its own: the commands, ends of every kind, signals, the store that comes late. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { waitFor } from '../support/wait-for.js';
import { EtcdServer, freePort } from './etcd-support.js';
import { ControllerProcess, http, weft } from './process-support.js';

const folder = mkdtempSync(join(tmpdir(), `weft-process-${process.pid}-`));
t.setTimeout(600_000);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
/** A path of its own in the test's folder. */
const fresh = (suffix = ''): string => join(folder, `${++files}${suffix}`);
function file(text: string, suffix = '.yaml'): string {
  const path = fresh(suffix);
  writeFileSync(path, text);
  return path;
}

type Document = Readonly<Record<string, unknown>>;

await t.test('the commands, with exit codes, as text and as JSON', async (t) => {
  const controller = await ControllerProcess.start(t, fresh());
  const run = async (exit: number, ...args: string[]) => {
    const done = await controller.weft(...args);
    t.equal(done.exit, exit, `weft ${args.join(' ')}: ${done.out}${done.error}`);
    return done;
  };
  const intents = file(`kind: Tenant
name: acme
vnis: 20001-20010
---
{ kind: Network, tenant: acme, name: web, subnet: 10.1.1.0/24 }
---
{ kind: Endpoint, tenant: acme, network: web, name: a, host: h1 }
`);
  const watching = weft(controller.url, 'watch', '--json', '--types', 'object', '--count', '3');
  await waitFor('the watcher', async () => {
    const { body } = await http(controller, 'GET', '/metrics');
    return /^weft_watchers 1$/m.test(body);
  });

  t.match((await run(6, 'diff', '-f', intents)).out, /^\+ Tenant acme\n/);
  t.same((await run(0, 'get', 'all', '--json')).json(), [], 'diff changes nothing');
  const applied = (await run(0, 'apply', '-f', intents, '--json')).json();
  t.match(applied, {
    changes: [{ action: 'create' }, { action: 'create' }, { action: 'create' }],
    acknowledgements: [],
  });
  t.match((await run(0, 'apply', '-f', intents)).out, /0 created, 0 updated, 0 deleted, 3 unchanged/);
  t.match((await run(0, 'diff', '-f', intents, '--json')).json(), { dryRun: true });
  t.same(
    (await watching).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Document)
      .map(({ action, kind, name }) => `${String(action)} ${String(kind)} ${String(name)}`)
      .sort(),
    ['changed Endpoint acme/web/a', 'changed Network acme/web', 'changed Tenant acme'],
  );

  const [endpoints, network, yaml, about, endpoint, status, text] = await Promise.all([
    run(0, 'get', 'endpoints'),
    run(0, 'get', 'network', 'acme/web', '--json'),
    run(0, 'get', 'all', '--yaml'),
    run(0, 'describe', 'network', 'acme/web'),
    run(0, 'describe', 'endpoint', 'acme/web/a', '--json'),
    run(0, 'status', '--json'),
    run(0, 'status'),
    run(4, 'describe', 'network', 'acme/nothing'),
  ]);
  t.match(endpoints.out, /acme\/web\/a +10\.1\.1\.1 /);
  t.match(network.json(), { status: { tag: 20001, endpoints: 1 } });
  t.match(about.out, /tag: 20001[^]*acme\/web\/a/);
  t.match(endpoint.json(), { object: { name: 'acme/web/a' }, switch: 'disconnected' });
  t.match(status.json(), {
    ready: true,
    store: { driver: 'level' },
    listeners: { http: controller.http },
  });
  t.ok(text.out.includes(`HTTP ${controller.http}\n`));

  const [same, used, unknown, asData, dryRun, empty] = await Promise.all([
    run(0, 'diff', '-f', file(yaml.out)),
    run(3, 'delete', 'network', 'acme/web'),
    run(4, 'delete', 'network', 'acme/wep'),
    run(4, 'delete', 'tenant', 'x', '--json'),
    run(0, 'delete', 'network', 'acme/web', '--cascade', '--dry-run'),
    run(3, 'apply', '-f', file('# nothing\n'), '--replace'),
  ]);
  t.match(same.out, /0 to create/, 'what get writes can be applied');
  t.match(used.error, /acme\/web\/a.*\[object\.used\][^]*--cascade/);
  t.match(unknown.error, /did you mean "acme\/web"/);
  t.match(asData.json(), { error: { code: 'object.unknown' } });
  t.match(dryRun.out, /2 deleted.*dry run/);
  t.match(empty.error, /delete --all/);
  t.match((await run(0, 'delete', 'network', 'acme/web', '--cascade')).out, /2 deleted/);
  t.match((await run(0, 'delete', '--all')).out, /tenant +acme +deleted/);
  t.same((await run(0, 'get', 'all', '--json')).json(), []);
  const metrics = (await http(controller, 'GET', '/metrics')).body.matchAll(/^# HELP (weft_\w+)/gm);
  const page = readFileSync('docs/operations.md', 'utf8');
  t.same(
    [...metrics].map(([, name = '']) => name).filter((name) => !page.includes(name)),
    [],
    'every metric is in docs/operations.md',
  );
  t.match((await run(0, 'log', 'debug', '--component', 'http', '--json')).json(), {
    levels: { http: 'debug' },
  });
});

await t.test('what was acknowledged outlives kill -9, whenever it comes', async (t) => {
  const data = fresh();
  const acknowledged = new Set<string>();
  for (const killAfter of [1, 7, 20]) {
    const controller = await ControllerProcess.start(t, data);
    const names = (await controller.get<{ name: string }[]>('/v1/tenants')).map(({ name }) => name);
    t.ok(
      [...acknowledged].every((name) => names.includes(name)),
      `all ${acknowledged.size} are there`,
    );
    // Several at a time, so that some are under way when the end comes.
    const write = async (name: string): Promise<void> => {
      const { status } = await controller.post('/v1/apply', JSON.stringify({ kind: 'Tenant', name }));
      if (status !== 200) return;
      acknowledged.add(name);
      if (++done === killAfter) controller.kill('SIGKILL');
    };
    let done = 0;
    const writes = Array.from({ length: 40 }, (_, index) => write(`t${killAfter}-${index}`));
    const results = await Promise.allSettled(writes);
    t.ok(done >= killAfter);
    t.ok(results.some(({ status }) => status === 'rejected') || done === 40);
    t.equal((await controller.ended).signal, 'SIGKILL');
  }
  const controller = await ControllerProcess.start(t, data);
  const names = (await controller.get<{ name: string }[]>('/v1/tenants')).map(({ name }) => name);
  t.same(
    [...acknowledged].filter((name) => !names.includes(name)),
    [],
  );

  const second = ControllerProcess.spawn(t, data);
  t.equal((await second.ended).code, 1, 'a second controller on the directory');
  t.match(second.stderr, new RegExp(`in use by process ${controller.pid}[^]*fix: .*--data`));
  t.same(await controller.get('/v1/endpoints'), [], 'the first goes on');
});

await t.test('an address that is taken ends it, whichever it is, and nothing of it stays', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  const data = fresh();
  for (const option of ['--openflow', '--hub', '--http']) {
    const controller = ControllerProcess.spawn(t, data, option, `127.0.0.1:${port}`);
    t.match(await controller.ended, { code: 1 }, option);
    t.match(controller.stderr, /EADDRINUSE[^]*fix: .*--openflow, --hub, --http/);
  }
  await ControllerProcess.start(t, data);
});

await t.test('signals: SIGHUP reloads, SIGTERM drains', async (t) => {
  const config = file('log: {level: info}\nhttp: {requestsPerSecond: 300}\n');
  const controller = await ControllerProcess.start(t, fresh(), '--config', config, '--hub', '0.0.0.0:0');
  const exposed = controller.lines.filter(({ event }) => event.endsWith('.exposed'));
  t.match(exposed, [{ level: 'warn', event: 'hub.exposed', msg: /0\.0\.0\.0:[1-9].*without TLS/ }]);
  t.equal(exposed.length, 1, 'of what is wider than loopback, and of nothing else');
  const reload = async (text: string, event: string) => {
    controller.lines.length = 0;
    writeFileSync(config, text);
    controller.kill('SIGHUP');
    return await controller.event(event);
  };
  const level = async () => (await controller.get<{ level: string }>('/v1/log')).level;

  t.match(await reload('log: {level: debug}\nhttp: {requestsPerSecond: 300}\n', 'config.reloaded'), {
    level: 'info',
    changed: ['log.level'],
    needRestart: [],
  });
  t.equal(await level(), 'debug', 'in force at once');
  t.match(await reload('log: {level: debug}\nhub: {leaseMs: 20000}\n', 'config.reloaded'), {
    level: 'warn',
    changed: ['http.requestsPerSecond'],
    needRestart: ['hub.leaseMs'],
  });
  const broken = await reload('log: {level: loud}\nhttp: {requestsPerSecond: none}\n', 'config.refused');
  t.match(broken, {
    level: 'error',
    problems: [
      { path: 'http.requestsPerSecond', line: 2 },
      { path: 'log.level', line: 1 },
    ],
  });
  t.equal(await level(), 'debug', 'all stays as it was');
  await reload('{', 'config.refused');

  const cut = controller.http.lastIndexOf(':');
  const stream = connect(Number(controller.http.slice(cut + 1)), controller.http.slice(0, cut));
  const streamEnded = new Promise((resolve) => stream.once('close', resolve));
  stream.write('GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await new Promise((resolve) => stream.once('data', resolve));
  controller.kill('SIGTERM');
  t.same(await controller.ended, { code: 0, signal: null }, 'a stream that is open does not hold it up');
  const last = controller.lines.filter(({ component }) => component === 'main').slice(-3);
  t.same(
    last.map(({ event }) => event),
    ['controller.signal', 'controller.stopping', 'controller.stopped'],
  );
  t.equal(controller.stderr, '');
  await streamEnded;
});

await t.test('etcd: waits for it, tells so, and outlives its loss', async (t) => {
  const etcd = await EtcdServer.create();
  t.teardown(() => etcd.remove());
  const address = `127.0.0.1:${await freePort()}`;
  const here = { http: address };
  const options = ['--http', address, '--store', 'etcd', '--etcd', etcd.url];
  const controller = ControllerProcess.spawn(t, fresh(), ...options);
  const waiting = await controller.event('store.waiting');
  t.match(waiting, { level: 'warn', msg: `waiting for the store: etcd at ${etcd.url} (connecting)` });
  t.equal((await http(here, 'GET', '/healthz')).status, 200, 'alive');
  const notReady = await http(here, 'GET', '/readyz');
  t.match([notReady.status, notReady.body], [503, `etcd at ${etcd.url}`]);
  const early = await weft(`http://${address}`, 'get', 'networks');
  t.equal(early.exit, 5);
  t.match(early.error, /waiting for the store.*\n.*bring the store up/);

  etcd.start();
  await controller.ready();
  const applied = await controller.post('/v1/apply', '{"kind": "Tenant", "name": "before"}');
  t.equal(applied.status, 200, applied.body);

  await etcd.kill();
  await waitFor('the loss to be seen', async () => (await http(here, 'GET', '/readyz')).status === 503);
  t.match(await controller.get('/v1/status'), { ready: false, store: { state: 'lost' } });
  t.match(await controller.get('/v1/tenants'), [{ name: 'before' }], 'what it knows can be read');
  const meanwhile = await controller.post('/v1/apply', '{"kind": "Tenant", "name": "meanwhile"}');
  t.match(meanwhile, { status: 503, json: { code: 'store.unavailable', fix: /etcd/ } });

  etcd.start();
  await waitFor('the store is back', async () => (await http(here, 'GET', '/readyz')).status === 200);
  const after = await controller.post('/v1/apply', '{"kind": "Tenant", "name": "after"}');
  t.equal(after.status, 200, after.body);
  t.same(
    (await controller.get<{ name: string }[]>('/v1/tenants')).map(({ name }) => name),
    ['after', 'before'],
  );
  controller.kill('SIGINT');
  t.same(await controller.ended, { code: 0, signal: null });
});

await t.test('told to end while it waits for the store, it ends', async (t) => {
  const nowhere = `http://127.0.0.1:${await freePort()}`;
  const controller = ControllerProcess.spawn(t, fresh(), '--store', 'etcd', '--etcd', nowhere);
  await controller.event('store.waiting');
  controller.kill('SIGTERM');
  t.same(await controller.ended, { code: 0, signal: null });
});
