// The HTTP API over a real model in a level store: what is written is read back, what is refused has the status of its reason and
// changes nothing, and watchers see what was committed.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { serverSentEvents } from '../../cli/server-sent-events.js';
import type { ApiBackend } from '../../controller/api/backend.js';
import { createApi } from '../../controller/api/server.js';
import { parseConfig } from '../../controller/config/load.js';
import { createLog } from '../../controller/log.js';
import { createMetrics } from '../../controller/metrics.js';
import { Model } from '../../controller/model/index.js';
import { LevelStore } from '../../controller/store/level.js';
import { fabricReport } from '../support/fabric-report.js';
import { kubernetesReport } from '../support/kubernetes-report.js';

const folder = mkdtempSync(join(tmpdir(), 'weft-api-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

async function open(t: Test) {
  const store = await LevelStore.open(join(folder, String(++folders)));
  const model = await Model.open(store, {});
  const backend: ApiBackend = {
    model,
    status: () => ({
      controllerId: 'c',
      version: '0',
      startedAt: 0,
      store: { driver: 'level', state: store.state },
      listeners: { openflow: '127.0.0.1:6653' },
      datapaths: [],
      hosts: [],
    }),
    notReady: () => [],
    acknowledged: async () => [],
    trace: async () => Promise.reject(new Error('no switches here')),
    traceFabric: async () => Promise.reject(new Error('no switches here')),
    onEvent: () => () => undefined,
    onPackets: () => () => undefined,
    drops: async () => ({ items: [], silent: [] }),
    ruleCounters: async () => ({ items: [], silent: [] }),
    fabric: () => fabricReport,
    kubernetes: () => kubernetesReport,
    multicast: async () => ({ groups: [], routers: [], queriers: [], silent: [], problems: [], floods: [] }),
    metrics: () => [],
  };
  const api = await createApi({
    backend,
    config: parseConfig('', { overrides: { http: '127.0.0.1:0' } }).http,
    log: createLog({ level: 'silent' }),
    metrics: createMetrics({ process: false }),
  });
  t.teardown(async () => {
    await api.close();
    await model.close();
    await store.close();
  });
  const post = async (url: string, payload: string | object, type = 'application/json') => {
    const answer = await api.inject({ method: 'POST', url, headers: { 'content-type': type }, payload });
    return { status: answer.statusCode, ...answer.json<Record<string, unknown>>() };
  };
  const get = async (url: string) => (await api.inject(url)).json<unknown>();
  return { api, post, get };
}

const ACME = `kind: Tenant
name: acme
vnis: 100-101
---
{ kind: Network, tenant: acme, name: web, subnet: 10.1.1.0/24 }
---
{ kind: Endpoint, tenant: acme, network: web, name: a }
`;
const YAML = 'application/yaml';

t.test('what is applied is read back, by kind, by tenant and by name', async (t) => {
  const { post, get } = await open(t);
  t.match(await post('/v1/diff', ACME, YAML), { status: 200, dryRun: true, changes: [{ action: 'create' }] });
  t.same(await get('/v1/networks'), [], 'diff writes nothing');
  t.match(await post('/v1/apply?wait=acknowledged', ACME, YAML), {
    status: 200,
    changes: [{ name: 'acme' }, { name: 'acme/web' }, { name: 'acme/web/a' }],
    acknowledgements: [],
  });
  t.match(await get('/v1/networks/acme/web'), {
    kind: 'Network',
    spec: { subnet: '10.1.1.0/24' },
    status: { tag: 100, endpoints: 1 },
  });
  t.match(await get('/v1/endpoints?tenant=acme'), [{ name: 'acme/web/a', status: { ip: '10.1.1.1' } }]);
  t.same(await get('/v1/endpoints?tenant=globex'), []);
  t.match(await get('/networks'), [{ id: 'web', tenant: 'acme', pktTag: 100 }], "netplugin's view of it");
  t.match(await post('/v1/apply', ACME, YAML), { changes: [{ action: 'unchanged' }] });
});

t.test('a refusal has the status of its reason, and the line, and changes nothing', async (t) => {
  const { post, get } = await open(t);
  await post('/v1/apply', ACME, YAML);
  const before = await Promise.all(['tenants', 'networks', 'endpoints'].map((kind) => get(`/v1/${kind}`)));
  const network = (rest: string) =>
    `kind: Tenant\nname: new\n---\nkind: Network\ntenant: acme\nname: n\n${rest}\n`;
  const cases: [number, string, string, string][] = [
    [400, 'intent.syntax', '/v1/apply', 'kind: [Tenant'],
    [422, 'network.subnet', '/v1/apply?file=a.yaml', network('subnet: 10.9.0.0/40')],
    [409, 'network.subnet.overlap', '/v1/apply?file=a.yaml', network('subnet: 10.1.1.0/25')],
    [409, 'network.tag.taken', '/v1/apply?file=a.yaml', network('tag: 100')],
    [
      409,
      'network.tag.exhausted',
      '/v1/apply',
      `${network('tag: 101')}---\n{ kind: Network, tenant: acme, name: m }`,
    ],
    [422, 'network.tenant.unknown', '/v1/apply', '{ kind: Network, tenant: nobody, name: n }'],
    [409, 'object.used', '/v1/delete', '{ kind: Tenant, name: acme }'],
    [404, 'object.unknown', '/v1/delete', '{ kind: Network, tenant: acme, name: nothing }'],
    [422, 'intent.empty', '/v1/delete', '# nothing'],
    [422, 'intent.empty', '/v1/apply?mode=replace', ''],
  ];
  for (const [status, code, url, text] of cases) {
    const answer = await post(url, text, YAML);
    t.match(answer, { status, code, ...(url.endsWith('a.yaml') ? { file: 'a.yaml', line: 7 } : {}) }, code);
  }
  const files = {
    files: [
      { name: 'ok.yaml', text: ACME },
      { name: 'b.yaml', text: '\nkind: Tenant\nnam: b\n' },
    ],
  };
  t.match(await post('/v1/apply', files), { status: 422, file: 'b.yaml', path: /Tenant/ });
  t.same(await Promise.all(['tenants', 'networks', 'endpoints'].map((kind) => get(`/v1/${kind}`))), before);
});

t.test('deleting: by name, by kind and name, with users, everything', async (t) => {
  const { api, post, get } = await open(t);
  const remove = async (url: string) => (await api.inject({ method: 'DELETE', url })).statusCode;
  await post('/v1/apply', ACME, YAML);
  t.equal(await remove('/v1/networks/acme/web'), 409);
  t.equal(await remove('/v1/networks/acme/none'), 404);
  t.equal(await remove('/v1/networks/acme/web?cascade=true&dryRun=true'), 200);
  t.equal(await remove('/v1/endpoints/acme/web/a'), 200);
  t.same(await get('/v1/endpoints'), []);
  const refs = { refs: [{ kind: 'Tenant', name: 'acme' }] };
  t.match(await post('/v1/delete', refs), { status: 409, code: 'object.used', fix: /--cascade/ });
  t.match(await post('/v1/delete?cascade=true&dryRun=true', refs), { status: 200, dryRun: true });
  t.match(await post('/v1/delete', { all: 1 }), { status: 400, code: 'http.body.all' });
  t.match(await post('/v1/delete?dryRun=true', { all: true }), { status: 200, dryRun: true });
  t.match(await get('/v1/tenants'), [{ name: 'acme' }], 'a dry run deletes nothing');
  t.match(await post('/v1/delete', { all: true }), {
    status: 200,
    changes: [{ action: 'delete' }, { action: 'delete' }],
  });
  t.same(await get('/v1/tenants'), []);
});

t.test('requests side by side: each is whole, and nothing is given out twice', async (t) => {
  const { post, get } = await open(t);
  await post('/v1/apply', ACME, YAML);
  const endpoint = (name: number) => ({ kind: 'Endpoint', tenant: 'acme', network: 'web', name: `e${name}` });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      post('/v1/apply', [endpoint(2 * index), endpoint(2 * index + 1)]),
    ),
  );
  t.ok(answers.every(({ status }) => status === 200));
  const endpoints = (await get('/v1/endpoints')) as { status: { ip: string } }[];
  t.equal(endpoints.length, 41);
  t.equal(new Set(endpoints.map(({ status }) => status.ip)).size, 41);
});

t.test('a watcher sees what was committed, in order; the status says where HTTP listens', async (t) => {
  const { api, post, get } = await open(t);
  const address = await api.listen();
  t.match(await get('/v1/status'), {
    listeners: { openflow: '127.0.0.1:6653', http: address },
    ready: true,
    notReady: [],
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`http://${address}/v1/watch?types=object`, resolve).on('error', reject).end();
  });
  const seen: string[] = [];
  for await (const { event, data } of serverSentEvents(response)) {
    if (event === 'ready') {
      await post('/v1/apply', ACME, YAML);
      await post('/v1/delete?cascade=true', { refs: [{ kind: 'Network', name: 'acme/web' }] });
      continue;
    }
    const { action, name } = JSON.parse(data) as { action: string; name: string };
    seen.push(`${action} ${name}`);
    if (action === 'deleted' && name === 'acme/web') break;
  }
  response.destroy();
  const last = (text: string) => seen.lastIndexOf(text);
  t.ok(last('changed acme/web') >= 0 && last('changed acme/web') < last('deleted acme/web'), seen.join(', '));
  t.ok(last('changed acme/web/a') >= 0);
});

t.test(
  'policy: applied, read back by kind and name, shown by weft, and written as intents again',
  async (t) => {
    const { api, post, get } = await open(t);
    const text = readFileSync(new URL('../../../examples/policy.yaml', import.meta.url), 'utf8');
    const applied = await post('/v1/apply', text, 'application/yaml');
    t.match(applied, { status: 200, warnings: [] });
    for (const [collection, name] of Object.entries({
      groups: 'shop/web',
      policies: 'shop/db',
      rules: 'shop/db/from-app',
      addresssets: 'shop/blocked',
      tiers: 'operations',
    })) {
      const all = (await get(`/v1/${collection}`)) as { name: string }[];
      t.ok(
        all.some((one) => one.name === name),
        collection,
      );
      t.match(await get(`/v1/${collection}/${name}`), { name }, name);
    }
    t.match(await get('/v1/rules/shop/db/from-app'), {
      spec: { from: [{ group: 'app' }] },
      status: { peers: 'group app', services: 'tcp 5432', priority: 10, position: 1 },
    });
    t.match(await get('/v1/rules?tenant=nobody'), []);
    const used = await api.inject({ method: 'DELETE', url: '/v1/groups/shop/app' });
    t.equal(used.statusCode, 409);
    t.match(used.json(), { code: 'object.used', message: /shop\/db\/from-app/ });
    const rule = { kind: 'Rule', tenant: 'shop', policy: 'db', name: 'dba', fromIpAddress: '10.9.0.1' };
    t.match(await post('/v1/diff', rule), {
      dryRun: true,
      changes: [{ action: 'create', kind: 'Rule', name: 'shop/db/dba' }],
    });
    t.match(await post('/v1/apply', { ...rule, tenant: 'shpo' }), { status: 422, fix: /shop\/db/ });

    const address = await api.listen();
    const weft = async (...words: string[]) =>
      (
        await promisify(execFile)(process.execPath, [
          'dist/cli/main.js',
          ...words,
          '--server',
          `http://${address.replace(/^http:../, '')}`,
        ])
      ).stdout;
    const [rules, policy, yaml] = await Promise.all([
      weft('get', 'rules', '--tenant', 'shop'),
      weft('describe', 'policy', 'shop/db'),
      weft('get', 'all', '--yaml'),
    ]);
    t.match(rules, /^shop\/db\/from-app +\d+ +10 +in +10 +group app +tcp 5432 +allow/m);
    t.match(
      policy,
      /^rules:\n +RULE[^]*shop\/db\/nobody-else[^]*shop\/db\/from-app[^]*^endpoints:[^]*shop\/main\/db2/m,
    );
    const again = await post('/v1/diff?mode=replace', yaml, 'application/yaml');
    const { changes } = again as unknown as { changes: { action: string; fields?: unknown }[] };
    t.same(
      changes.filter(({ action }) => action !== 'unchanged'),
      [],
    );
  },
);
