// Configuration, log and metrics: what an operator writes, and what comes of it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { formatListenAddress, isLoopback, parseListenAddress } from '../../controller/config/address.js';
import { applyLive, configChanges } from '../../controller/config/changes.js';
import {
  ConfigError,
  type ConfigProblem,
  defaultDataDirectory,
  loadConfig,
  parseConfig,
} from '../../controller/config/load.js';
import { formatLine } from '../../controller/log-text.js';
import { createLog } from '../../controller/log.js';
import { createMetrics } from '../../controller/metrics.js';

function problems(text: string, overrides = {}): readonly ConfigProblem[] {
  try {
    parseConfig(text, { file: 'weft.yaml', overrides });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

t.test('an empty file gives the documented defaults', async (t) => {
  const config = parseConfig('');
  t.equal(config.openflow.listen, '0.0.0.0:6653');
  t.equal(config.hub.listen, '127.0.0.1:9001');
  t.equal(config.http.listen, '127.0.0.1:9999');
  t.equal(config.store.driver, 'level');
  t.equal(config.log.level, 'info');
  t.equal(config.data, undefined);
});

t.test('the command line stands over the file, the file over the defaults', async (t) => {
  const config = parseConfig(
    'http:\n  listen: 127.0.0.1:8080\n  maxConnections: 10\nlog:\n  level: debug\n',
    {
      overrides: { http: '127.0.0.1:0', etcd: ['http://a:1', 'http://b:2'], data: undefined },
    },
  );
  t.equal(config.http.listen, '127.0.0.1:0');
  t.equal(config.http.maxConnections, 10);
  t.equal(config.log.level, 'debug');
  t.same(config.store.etcd, ['http://a:1', 'http://b:2']);
});

t.test('every mistake is reported with path, line and fix', async (t) => {
  const text = [
    'openflow:',
    '  listen: 6653',
    '  maxConnections: many',
    'htp: {}',
    'store:',
    '  driver: mongodb',
    '  etcd: [ "ftp://x" ]',
    'log:',
    '  levels:',
    '    hub: loud',
  ].join('\n');
  const found = new Map(problems(text).map((problem) => [problem.path, problem]));
  t.equal(found.get('openflow.listen')?.line, 2);
  t.equal(found.get('openflow.maxConnections')?.line, 3);
  t.match(found.get('openflow.maxConnections')?.message, /"many" must be integer/);
  t.equal(found.get('htp')?.line, 4);
  t.match(found.get('htp')?.fix, /openflow, fabric, hub, http/);
  t.match(found.get('store.driver'), { line: 6, message: /"mongodb" is not one of: level, etcd/ });
  t.match(found.get('store.etcd.0'), { line: 7, fix: /http:\/\/HOST:PORT/ });
  t.match(found.get('log.levels.hub'), { line: 10, message: /not one of: trace, debug/ });
  t.equal(found.size, 6, 'and nothing else');
});

t.test('the cluster on the command line', async (t) => {
  const defaults = parseConfig('').kubernetes;
  t.match(defaults, { enabled: false, tenant: 'kubernetes', network: 'pods', subnet: '10.244.0.0/16' });
  const inCluster = parseConfig('kubernetes: {tenant: k8s}', { overrides: { kubernetes: true } }).kubernetes;
  t.match(inCluster, { enabled: true, tenant: 'k8s', kubeconfig: undefined });
  const byFile = parseConfig('', { overrides: { kubernetes: '/etc/weft/admin.conf' } }).kubernetes;
  t.match(byFile, { enabled: true, kubeconfig: '/etc/weft/admin.conf' });
  t.match(problems('kubernetes: {tenant: "a b"}'), [{ path: 'kubernetes.tenant', line: 1 }]);
});

t.test('the message of the error is ready to be shown', async (t) => {
  t.throws(() => parseConfig('hub:\n  leaseMs: 1\n', { file: 'weft.yaml' }), {
    code: 'config.invalid',
    message: 'weft.yaml:2: hub.leaseMs: 1 must be >= 500',
  });
  t.match(problems('', { http: 'everywhere' }), [
    { path: 'http.listen', line: undefined, fix: /ADDRESS:PORT/ },
  ]);
});

t.test('what is no YAML, no mapping, or too long is refused with a reason', async (t) => {
  t.match(problems('a: [1, 2\nb: {'), [{ message: /^not YAML: / }]);
  t.match(problems('- just\n- a list\n')[0], { path: '', message: /must be object/ });
  t.match(problems('#'.repeat(1_100_000)), [{ message: /longer than/ }]);
  t.match(problems('http: &a {listen: *a}\n').length > 0, true);
});

t.test('a file that is not there', async (t) => {
  await t.rejects(loadConfig('/nowhere/weft.yaml'), {
    message: /cannot read \/nowhere\/weft.yaml: there is no such file/,
  });
  const directory = await mkdtemp(join(tmpdir(), 'weft-config-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, 'weft.yaml');
  await writeFile(file, 'log: {level: warn}\n');
  t.equal((await loadConfig(file)).log.level, 'warn');
});

t.test('changes are listed by what it takes to take them over', async (t) => {
  const before = parseConfig('log: {level: info}\nhttp: {requestsPerSecond: 10}\n');
  const after = parseConfig('log: {level: debug, levels: {hub: trace}}\nhttp: {listen: "127.0.0.1:1"}\n');
  t.same(
    configChanges(before, after).map(({ path, reload }) => [path, reload]),
    [
      ['http.listen', 'restart'],
      ['http.requestsPerSecond', 'live'],
      ['log.level', 'live'],
      ['log.levels', 'live'],
    ],
  );
  const running = applyLive(before, after);
  t.equal(running.http.listen, before.http.listen, 'what needs a restart stays');
  t.equal(running.http.requestsPerSecond, after.http.requestsPerSecond);
  t.same(running.log, after.log);
  t.same(configChanges(after, after), []);
});

t.test('listening addresses', async (t) => {
  t.same(parseListenAddress('0.0.0.0:6653'), { host: '0.0.0.0', port: 6653 });
  t.same(parseListenAddress('[::1]:0'), { host: '::1', port: 0 });
  t.same(parseListenAddress('localhost:80'), { host: 'localhost', port: 80 });
  for (const wrong of [
    '',
    ':80',
    '1.2.3:80',
    '1.2.3.4',
    '::1:80',
    '[1.2.3.4]:80',
    'a b:1',
    '1.2.3.4:65536',
    '1.2.3.4:-1',
    '256.1.1.1:1',
  ]) {
    t.equal(parseListenAddress(wrong), undefined, wrong);
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) t.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.example.com']) t.notOk(isLoopback(host), host);
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), (host, port) => {
      const parsed = parseListenAddress(formatListenAddress({ host, port }));
      return parsed?.host === host && parsed.port === port;
    }),
  );
});

t.test('where state goes', async (t) => {
  t.equal(defaultDataDirectory({ STATE_DIRECTORY: '/var/lib/weft-a:/x' }, 0), '/var/lib/weft-a');
  t.equal(defaultDataDirectory({}, 0), '/var/lib/weft');
  t.equal(defaultDataDirectory({ XDG_STATE_HOME: '/s' }, 1000), '/s/weft');
  t.match(defaultDataDirectory({}, 1000), /\.local\/state\/weft$/);
});

t.test('each component of the log has its level, changeable at any time', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'info',
    levels: { hub: 'debug' },
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const say = (component: string): void => log.component(component).debug({ event: 'test' }, component);
  say('hub');
  say('channel');
  t.same(
    lines.map(({ msg }) => msg),
    ['hub'],
    'debug of the hub only',
  );
  log.setLevel('debug');
  say('channel');
  t.same(
    lines.map(({ msg }) => msg),
    ['hub', 'channel'],
  );
  log.setLevel('error', 'hub');
  say('hub');
  t.equal(lines.length, 2);
  log.setLevel(undefined, 'hub');
  say('hub');
  t.match(lines[2], { level: 'debug', component: 'hub', event: 'test', time: /^\d{4}-.*Z$/ });
  t.same(log.levels(), { level: 'debug', levels: {} });
});

t.test('lines for people', async (t) => {
  const line = JSON.stringify({
    level: 'warn',
    time: '2026-11-24T08:15:02.123Z',
    pid: 1,
    component: 'hub',
    event: 'host.down',
    host: 'h1',
    after: { ms: 3 },
    msg: 'lease ran out',
  });
  t.equal(formatLine(line), '08:15:02.123 warn  hub       lease ran out  host=h1  after={"ms":3}');
  t.equal(formatLine('no json\n'), 'no json');
});

t.test('metrics are read at the scrape; label values that are gone go', async (t) => {
  const metrics = createMetrics({ process: false });
  let hosts: readonly string[] = ['h1', 'h2'];
  metrics.addSource(() => [
    {
      name: 'weft_test_up',
      help: 'Up',
      type: 'gauge',
      labels: ['host'],
      samples: hosts.map((host) => ({ labels: { host }, value: 1 })),
    },
    { name: 'weft_test_total', help: 'All', type: 'counter', samples: [{ value: 5 }] },
  ]);
  const first = await metrics.scrape();
  t.match(first.text, /^weft_test_up\{host="h1"\} 1\nweft_test_up\{host="h2"\} 1$/m);
  hosts = ['h2'];
  const second = await metrics.scrape();
  t.notMatch(second.text, /h1/);
  t.match(second.text, /^weft_test_total 5$/m, 'a counter is set, not added to');
  t.match(second.contentType, /text\/plain/);
});
