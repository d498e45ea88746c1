// The HTTP API over a model whose answers the test gives: routes, errors, bounds, and what netplugin's client sees.
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import type { ApiBackend } from '../../controller/api/backend.js';
import { createApi } from '../../controller/api/server.js';
import { openWaitingRoom } from '../../controller/api/waiting.js';
import { parseConfig } from '../../controller/config/load.js';
import { createLog } from '../../controller/log.js';
import { createMetrics } from '../../controller/metrics.js';
import { type ApplyResult, type Model, ModelError } from '../../controller/model/types.js';
import { acceptingServers } from '../support/accepting-servers.js';
import { fabricReport } from '../support/fabric-report.js';
import { kubernetesReport } from '../support/kubernetes-report.js';

const applied: ApplyResult = { changes: [], warnings: [], dryRun: false };
const overlap = new ModelError([
  {
    severity: 'error',
    code: 'network.subnet.overlap',
    message: 'subnet “10.1.0.0/16” overlaps\r\nX: y',
    path: '/Tenants/0',
    fix: 'choose another',
  },
]);

async function api(
  t: Test,
  {
    settings = '',
    notReady = [] as string[],
    model = {} as Partial<Model>,
    trace = (async () => undefined) as (request: { from: string }) => Promise<unknown>,
    traceFabric = (async () => undefined) as (request: object) => Promise<unknown>,
  } = {},
) {
  const asked: unknown[] = [];
  const netplugin = {
    desired: async (document: unknown) => (asked.push(document), applied),
    add: async () => Promise.reject(overlap),
    networks: () => [],
    network: (id: string) => (id === 'orange' ? [{ id }] : []),
  };
  const backend = {
    model: { onFacts: () => () => undefined, list: () => [], get: () => undefined, netplugin, ...model },
    status: () => ({ controllerId: 'c', version: '1.2.3', datapaths: [], hosts: [] }),
    notReady: () => notReady,
    trace,
    traceFabric,
    acknowledged: async () => [{ datapathId: '01', ok: true, refused: [] }],
    onEvent: () => () => undefined,
    onPackets: () => () => undefined,
    drops: async (host?: string) => ({
      items: [
        { cause: 'a', host: host ?? 'every', tenant: 'acme', endpoint: 'acme/web/a', packets: 1 },
        { cause: 'b', host: host ?? 'every', tenant: 'rival', packets: 2 },
        { cause: 'c', host: host ?? 'every', tenant: 'acme', packets: 0 },
      ],
      silent: [{ datapathId: '02', reason: 'it is not connected' }],
    }),
    fabric: () => fabricReport,
    kubernetes: () => kubernetesReport,
    multicast: async (network: string | undefined, counters: boolean) => ({
      silent: counters ? [{ datapathId: '02', reason: 'it is not connected' }] : [],
      groups: [
        {
          network: network ?? 'acme/web',
          group: '239.1.1.1',
          number: 1,
          receivers: [
            {
              endpoint: 'acme/web/a',
              host: 'h1',
              version: 'IGMPv3',
              sources: { mode: 'include', addresses: ['10.0.0.1'] },
              secondsLeft: 260,
            },
          ],
          distribution: { kind: 'tree', colour: 1, root: 'h1', edges: [['h1', 'h2']] },
          ...(counters
            ? { counters: { sent: { packets: 3, bytes: 180 }, received: { packets: 6, bytes: 360 } } }
            : {}),
        },
      ],
      routers: [],
      queriers: [{ network: 'acme/web', protocol: 'IGMP', querier: 'weft' }],
      problems: [{ code: 'multicast.limit.x', network: 'acme/web', message: 'too many', fix: 'leave' }],
      floods: [{ network: 'acme/web', distribution: { kind: 'replication' } }],
    }),
    ruleCounters: async () => ({
      items: ['acme', 'acme/p', 'acme/p/r', 'acme/pp/r', 'rival/p/r'].map((name) => ({
        name,
        tenant: name.split('/')[0],
      })),
      silent: [],
    }),
    metrics: () => [{ name: 'weft_test', help: 'x', type: 'gauge', samples: [{ value: 7 }] }],
  } as unknown as ApiBackend;
  const config = parseConfig(settings, { overrides: { http: '127.0.0.1:0' } }).http;
  const made = await createApi({
    backend,
    config,
    log: createLog({ level: 'silent' }),
    metrics: createMetrics({ process: false }),
  });
  t.teardown(() => made.close());
  return { made, asked };
}

const json = { 'content-type': 'application/json' };

t.test(
  "netplugin's client: success is 200, errors stand in the status line, slashes may be doubled",
  async (t) => {
    const { made, asked } = await api(t);
    const document = '{"Hosts":null,"Tenants":null}';
    const posted = await made.inject({
      method: 'POST',
      url: '/desired-config',
      headers: json,
      payload: document,
    });
    t.equal(posted.statusCode, 200);
    t.same(asked, [document], 'the text itself, for line numbers');
    const refused = await made.inject({ method: 'POST', url: '/add-config', headers: json, payload: '{}' });
    t.equal(refused.statusCode, 409);
    t.match(refused.json(), { code: 'network.subnet.overlap', fix: 'choose another' });
    const one = await made.inject('//network/orange');
    t.same([one.statusCode, one.json()], [200, [{ id: 'orange' }]]);
    t.equal((await made.inject('//network/none')).statusCode, 404);
    t.equal(
      (
        await made.inject({
          method: 'POST',
          url: '/add-config',
          payload: 'x',
          headers: { 'content-type': 'text/plain' },
        })
      ).statusCode,
      415,
    );

    const [, port] = (await made.listen()).split(':');
    const line = await firstLine(
      Number(port),
      'POST /add-config HTTP/1.1\r\nHost: localhost:9999\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    );
    t.equal(line, 'HTTP/1.1 409 subnet  10.1.0.0/16  overlaps X: y; /Tenants/0; choose another');
  },
);

t.test(
  'a connection that cannot be accepted is no end of the API, nor of what stands in for it',
  async (t) => {
    const servers = acceptingServers(t);
    const { made } = await api(t);
    const room = await openWaitingRoom(
      parseConfig('', { overrides: { http: '127.0.0.1:0' } }).http,
      () => 'the store is away',
    );
    t.teardown(() => room.close());
    const [, port] = (await made.listen()).split(':');
    const ask = async (at: unknown) =>
      await firstLine(Number(at), 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    for (const at of [port, room.port]) {
      t.equal(await ask(at), 'HTTP/1.1 200 OK');
      for (const server of servers) {
        for (const _ of [1, 2]) server.emit('error', new Error('accept EMFILE'));
      }
      t.equal(await ask(at), 'HTTP/1.1 200 OK');
    }
  },
);

async function firstLine(port: number, request: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.once('data', (chunk) => {
      resolve(String(chunk).split('\r\n')[0] ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

t.test('intents arrive as text, one or many files, and are acknowledged when asked', async (t) => {
  const parsed: unknown[] = [];
  const { made } = await api(t, {
    model: {
      parse: (text, options) => {
        parsed.push([text, options]);
        return { objects: [{ kind: 'Tenant', name: 'a' }], problems: [] };
      },
      apply: async (_objects, { dryRun = false }) => ({ ...applied, dryRun }),
      remove: async () => applied,
    },
  });
  const yaml = { 'content-type': 'application/yaml' };
  const one = await made.inject({
    method: 'POST',
    url: '/v1/apply?wait=acknowledged&file=a.yaml',
    headers: yaml,
    payload: 'kind: Tenant',
  });
  t.match(one.json(), { acknowledgements: [{ datapathId: '01', ok: true }] });
  t.same(parsed[0], ['kind: Tenant', { file: 'a.yaml', format: 'yaml' }]);
  const files = {
    files: [
      { name: 'a', text: '1' },
      { name: 'b', text: '2' },
    ],
  };
  await made.inject({ method: 'POST', url: '/v1/diff', headers: json, payload: files });
  t.same(parsed.slice(1), [
    ['1', { file: 'a' }],
    ['2', { file: 'b' }],
  ]);
  t.equal(
    (
      await made.inject({
        method: 'POST',
        url: '/v1/delete',
        headers: json,
        payload: { refs: [{ kind: 'X', name: 'a' }] },
      })
    ).statusCode,
    400,
  );
  t.equal(
    (
      await made.inject({
        method: 'POST',
        url: '/v1/delete',
        headers: json,
        payload: { refs: [{ kind: 'Tenant', name: 'a' }] },
      })
    ).statusCode,
    200,
  );
  t.match(
    (await made.inject({ method: 'POST', url: '/v1/apply?mode=all', headers: yaml, payload: 'x' })).json(),
    { code: 'http.parameter', path: 'querystring.mode', fix: /add, replace/ },
  );
});

t.test('drops and counters of rules, of what was asked for', async (t) => {
  const model = { get: ((_kind: string, name: string) => (name === 'h9' ? undefined : {})) as Model['get'] };
  const { made } = await api(t, { model });
  type Answer = { items: Record<string, string>[]; silent: unknown[] };
  const causes = async (query: string) =>
    (await made.inject(`/v1/drops${query}`))
      .json<Answer>()
      .items.map(({ cause, host }) => `${cause} ${host}`);
  t.same(await causes(''), ['a every', 'b every']);
  t.same(await causes('?all=true&tenant=acme'), ['a every', 'c every']);
  t.same(await causes('?host=h1'), ['a h1', 'b h1'], 'one switch alone is asked');
  t.same(await causes('?endpoint=acme/web/a'), ['a every']);
  t.equal((await made.inject('/v1/drops?host=h9')).statusCode, 404);
  t.equal((await made.inject('/v1/drops?all=maybe')).statusCode, 400);
  t.match((await made.inject('/v1/drops')).json(), { silent: [{ datapathId: '02' }] });
  const names = async (query: string) =>
    (await made.inject(`/v1/stats/rules${query}`)).json<Answer>().items.map(({ name }) => name);
  t.equal((await names('')).length, 5);
  t.same(await names('?tenant=rival'), ['rival/p/r']);
  t.same(await names('?policy=acme/p'), ['acme/p', 'acme/p/r']);
  t.equal((await made.inject('/v1/watch?types=packets')).statusCode, 400);
});

t.test('multicast groups, of all networks or of one', async (t) => {
  const model = {
    get: ((_kind: string, name: string) => (name === 'no/net' ? undefined : {})) as Model['get'],
  };
  const { made } = await api(t, { model });
  t.match((await made.inject('/v1/multicast')).json(), {
    groups: [
      {
        network: 'acme/web',
        receivers: [{ endpoint: 'acme/web/a', sources: { mode: 'include', addresses: ['10.0.0.1'] } }],
        distribution: { kind: 'tree', edges: [['h1', 'h2']] },
      },
    ],
    queriers: [{ querier: 'weft' }],
    problems: [{ fix: 'leave' }],
    floods: [{ distribution: { kind: 'replication' } }],
  });
  t.match((await made.inject('/v1/multicast')).json(), {
    groups: [{ counters: { sent: { packets: 3 }, received: { bytes: 360 } } }],
    silent: [{ datapathId: '02' }],
  });
  const uncounted = (await made.inject('/v1/multicast?counters=false')).json<{ groups: object[] }>();
  t.notOk('counters' in uncounted.groups[0]!);
  t.match((await made.inject('/v1/multicast?network=acme/lan')).json(), {
    groups: [{ network: 'acme/lan' }],
  });
  t.match((await made.inject('/v1/multicast?network=no/net')).json(), { code: 'object.not-found' });
});

t.test('the cluster that is watched, nothing of it left out', async (t) => {
  const { made } = await api(t);
  t.same((await made.inject('/v1/kubernetes')).json(), kubernetesReport);
});

t.test('the fabric, nothing of it left out', async (t) => {
  const { made } = await api(t, {});
  t.same((await made.inject('/v1/fabric')).json(), fabricReport);
});

t.test('health, readiness, metrics, log levels, documentation', async (t) => {
  const { made } = await api(t, { notReady: ['the store does not answer'] });
  t.same((await made.inject('/healthz')).body, 'ok\n');
  const ready = await made.inject('/readyz');
  t.same([ready.statusCode, ready.body], [503, 'the store does not answer\n']);
  t.match((await made.inject('/v1/status')).json(), {
    ready: false,
    notReady: ['the store does not answer'],
  });
  const metrics = (await made.inject('/metrics')).body;
  t.match(metrics, /^weft_test 7$/m);
  t.match(metrics, /weft_http_requests_total\{method="GET",route="\/readyz",status="503"\} 1/);
  const set = await made.inject({
    method: 'PUT',
    url: '/v1/log',
    headers: json,
    payload: { level: 'debug', component: 'hub' },
  });
  t.match(set.json(), { levels: { hub: 'debug' } });
  t.equal(
    (await made.inject({ method: 'PUT', url: '/v1/log', headers: json, payload: { level: 'loud' } }))
      .statusCode,
    400,
  );
  const openapi = (await made.inject('/docs/json')).json<{
    openapi: string;
    paths: Record<string, unknown>;
  }>();
  t.equal(openapi.openapi, '3.1.0');
  t.ok(openapi.paths['/v1/networks/{tenant}/{name}']);
  t.match(openapi.paths['/v1/apply'], { post: { requestBody: { content: { 'application/yaml': {} } } } });
  const page = await made.inject('/docs');
  t.match(page.headers['content-security-policy'], /default-src 'none'/);
  t.match(page.body, /\/v1\/watch/);
});

t.test('what is not served, not named, too long or too often', async (t) => {
  const { made } = await api(t, { settings: 'http: {maxBodyBytes: 1024, requestsPerSecond: 4}' });
  t.match((await made.inject('/nowhere')).json(), { code: 'http.not-found', fix: /docs/ });
  t.match((await made.inject('/v1/networks/a/b')).json(), { code: 'object.not-found', path: 'Network a/b' });
  t.equal((await made.inject({ url: '/healthz', headers: { host: 'evil.example' } })).statusCode, 421);
  const long = { method: 'POST', url: '/v1/apply', headers: json, payload: 'x'.repeat(2000) } as const;
  t.match((await made.inject(long)).json(), { code: 'http.body.too-large', fix: /maxBodyBytes/ });
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => (await made.inject('/healthz')).statusCode),
  );
  t.ok(statuses.includes(429));
});

t.test('a trace: parameters are checked, refusals have their status', async (t) => {
  const asked: unknown[] = [];
  const refusals: Record<string, string> = {
    'acme/web/nobody': 'object.unknown',
    'acme/web/loose': 'trace.endpoint.not-attached',
  };
  const trace = async (request: { from: string }) => {
    asked.push(request);
    const code = refusals[request.from];
    if (code !== undefined)
      throw Object.assign(new Error('no'), { code, path: 'from', fix: 'choose another' });
    return { outcome: 'allowed' };
  };
  const { made } = await api(t, { trace });
  const answer = async (query: string) => await made.inject(`/v1/trace?to=acme/web/b&${query}`);
  const good = await answer('from=acme/web/a&protocol=tcp&port=80&family=6');
  t.same([good.statusCode, good.json()], [200, { outcome: 'allowed' }]);
  t.same(asked, [{ from: 'acme/web/a', to: 'acme/web/b', protocol: 'tcp', port: 80, family: 6 }]);
  t.equal((await answer('from=acme/web/nobody')).statusCode, 404);
  const loose = await answer('from=acme/web/loose');
  t.match([loose.statusCode, loose.json()], [422, { path: 'from', fix: 'choose another' }]);
  for (const bad of [
    '',
    'from=a/b/c&port=70000',
    'from=a/b/c&family=5',
    'from=a/b/c&icmpType=x',
    'from=a/b/c&tcp=80',
  ]) {
    t.equal((await answer(bad)).statusCode, 400, bad);
  }
});

t.test('a trace through the fabric: parameters are checked', async (t) => {
  const asked: unknown[] = [];
  const traceFabric = async (request: object) => {
    asked.push(request);
    return { outcome: 'allowed' };
  };
  const { made } = await api(t, { traceFabric });
  const answer = async (query: string) => await made.inject(`/v1/fabric/trace?to=02:00:00:00:00:02&${query}`);
  t.equal((await answer('from=02:00:00:00:00:01&vlan=7')).statusCode, 200);
  t.equal((await answer('switch=0xfab1&inPort=3')).statusCode, 200);
  t.same(asked, [
    { from: '02:00:00:00:00:01', to: '02:00:00:00:00:02', vlan: 7 },
    { switch: '0xfab1', inPort: 3, to: '02:00:00:00:00:02' },
  ]);
  for (const bad of ['vlan=4096', 'switch=fabx', 'inPort=0', 'port=80']) {
    t.equal((await answer(bad)).statusCode, 400, bad);
  }
});
