/** A cluster that is played over HTTP, and what becomes of it in a real model. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadAccess } from '../../controller/kubernetes/index.js';
import type { Resource } from '../../controller/kubernetes/facts.js';
import { applyText, openModel } from '../model/helpers.js';
import {
  FakeKubernetes,
  namespaceObject,
  nodeObject,
  podObject,
  policyObject,
} from '../support/kubernetes-api.js';
import { waitFor } from '../support/wait-for.js';
import { newCluster, openScene } from './support.js';

t.setTimeout(240_000);

const WEB = policyObject('shop/web', {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'banks' } } }], ports: [{ port: 'http' }] }],
});
const http = [{ name: 'http', containerPort: 8080 }];

t.test('what is there at the start, in pages, is declared with its policies', async (t) => {
  const api = newCluster();
  api.put('networkpolicies', WEB);
  for (let index = 0; index < 8; index += 1)
    api.put('pods', podObject(`shop/web-${index}`, { labels: { app: 'web' }, ports: http }));
  api.put('pods', podObject('bank/host', { spec: { hostNetwork: true } }));
  api.put('pods', podObject('bank/ended', { phase: 'Succeeded' }));
  api.put('pods', podObject('bank/waiting', { node: '', phase: 'Pending' }));
  const { model, endpoints, service } = await openScene(t, { api });
  t.strictSame(
    endpoints(),
    Array.from({ length: 8 }, (_, index) => `shop.web-${index}`),
  );
  t.match(model.get('Network', 'kubernetes/pods')?.spec, {
    subnet: '10.244.0.0/16',
    dynamicEndpoints: false,
  });
  t.match(model.get('Endpoint', 'kubernetes/pods/shop.web-3'), {
    spec: {
      host: 'h1',
      owner: 'kubernetes',
      ports: { http: 8080 },
      labels: { app: 'web', 'kubernetes.weft/namespace': 'shop', 'namespace.kubernetes.weft/team': 'shops' },
    },
    status: { ip: '10.244.0.4', groups: ['kubernetes/shop.web'] },
  });
  t.match(model.get('Policy', 'kubernetes/shop.web'), {
    spec: { defaultIn: 'deny' },
    status: { subjects: 8, rules: 1 },
  });
  const lists = api.asked.filter(({ verb, resource }) => verb === 'list' && resource === 'pods');
  t.strictSame(
    lists.map(({ query }) => [query['limit'], query['continue'] !== undefined]),
    [
      ['3', false],
      ['3', true],
      ['3', true],
      ['3', true],
    ],
  );
  t.strictSame(service.report().refused, []);
});

t.test('changes are followed, each by what it concerns', async (t) => {
  const scene = await openScene(t);
  const { api, endpoints, work, model, owned } = scene;
  api.put('pods', podObject('shop/a', { labels: { app: 'web' } }));
  api.put('pods', podObject('shop/b', { node: '' }));
  await scene.follow();
  t.strictSame(endpoints(), ['shop.a'], 'not before it has a node');
  t.strictSame(work(), { requests: 1, applied: 1, removed: 0 });

  api.put('pods', podObject('shop/b', { node: 'h2' }));
  api.put('pods', podObject('shop/a', { labels: { app: 'web' }, addresses: ['10.244.0.1'] }));
  await scene.follow();
  t.strictSame(endpoints(), ['shop.a', 'shop.b']);
  t.equal(model.get('Endpoint', 'kubernetes/pods/shop.b')?.spec.host, 'h2');
  t.strictSame(
    work(),
    { requests: 1, applied: 1, removed: 0 },
    'what a kubelet reports of a pod is no change',
  );

  api.put('networkpolicies', WEB);
  api.put('networkpolicies', policyObject('shop/other', WEB['spec'] as object));
  await scene.follow();
  t.strictSame(owned('Policy'), ['kubernetes/shop.web', 'kubernetes/shop.other']);
  t.equal(owned('Group').length, 3, 'both name one group of peers');
  api.delete('networkpolicies', 'shop/web');
  await scene.follow();
  t.equal(owned('Group').length, 2, 'which stays while one of them needs it');
  api.delete('networkpolicies', 'shop/other');
  await scene.follow();
  t.strictSame([owned('Policy'), owned('Group')], [[], []]);
  work();

  api.put('namespaces', namespaceObject('shop', { team: 'others' }));
  await scene.follow();
  t.equal(
    model.get('Endpoint', 'kubernetes/pods/shop.a')?.spec.labels?.['namespace.kubernetes.weft/team'],
    'others',
  );
  t.strictSame(work(), { requests: 1, applied: 2, removed: 0 }, 'the pods of the namespace, at once');
  api.put('nodes', nodeObject('h2', { 'kubernetes.weft/host-label': 'rack-7' }));
  await scene.follow();
  t.equal(model.get('Endpoint', 'kubernetes/pods/shop.b')?.spec.host, 'rack-7');

  api.put('pods', podObject('shop/a', { phase: 'Failed' }));
  api.delete('pods', 'shop/b');
  await scene.follow();
  t.strictSame(endpoints(), [], 'ended and deleted pods have no endpoint');

  api.put('pods', podObject('new/c'));
  await scene.follow();
  t.strictSame(endpoints(), [], 'a pod waits for the labels of its namespace');
  api.put('namespaces', namespaceObject('new'));
  await scene.follow();
  t.strictSame(endpoints(), ['new.c']);
  const service = {
    type: 'ClusterIP',
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    selector: { app: 'web' },
  };
  api.put('services', {
    metadata: { namespace: 'shop', name: 'web' },
    spec: { ...service, ports: [{ port: 80 }] },
  });
  api.put('services', {
    metadata: { namespace: 'shop', name: 'none' },
    spec: { clusterIP: 'None', ports: [] },
  });
  await scene.follow();
  t.strictSame(scene.service.services(), [
    {
      namespace: 'shop',
      name: 'web',
      clusterIps: ['10.96.0.10'],
      ports: [{ protocol: 'TCP', port: 80, targetPort: 80 }],
      selector: { app: 'web' },
    },
  ]);
});

t.test('watches go on where they were, however they end', async (t) => {
  const scene = await openScene(t);
  const { api, endpoints, service } = scene;
  const statusOf = (resource: Resource) => {
    const found = service.report().resources.find((one) => one.resource === resource);
    if (found === undefined) throw new Error(`no ${resource}`);
    return found;
  };
  const again = () => waitFor('all watches', () => api.watches === 5);

  api.chunkBytes = 7;
  api.put('pods', podObject('shop/cut', { labels: { app: 'grün'.normalize('NFKD').slice(0, 2) } }));
  await scene.follow();
  t.strictSame(endpoints(), ['shop.cut'], 'an event in chunks of seven bytes');
  api.chunkBytes = 0;

  for (const how of ['disconnect', 'endWatches'] as const) {
    const from = api.asked.length;
    const { revision } = api;
    api[how]();
    api.put('pods', podObject(`shop/after-${how.toLowerCase()}`));
    await again();
    await scene.follow();
    t.ok(endpoints().includes(`shop.after-${how.toLowerCase()}`), how);
    t.notOk(
      api.verbs(from).some((verb) => verb.startsWith('list')),
      'without a list',
    );
    const versions = api.asked.slice(from).map(({ query }) => query['resourceVersion']);
    t.ok(versions.includes(String(revision)), 'from the last bookmark');
  }

  api.failures.push(500, 503, 429);
  let from = api.asked.length;
  api.disconnect();
  await again();
  t.notOk(
    api.verbs(from).some((verb) => verb.startsWith('list')),
    'a server with too much to do is asked the same again',
  );

  // What is gone while nobody could hear it is found by the difference.
  api.held = true;
  api.delete('pods', 'shop/cut');
  api.delete('pods', 'shop/after-disconnect');
  api.put('pods', podObject('shop/newcomer'));
  api.compact();
  api.disconnect();
  const transactions: number[] = [];
  const stop = scene.model.onFacts((changes) => transactions.push(changes.length));
  await again();
  await waitFor('a relist', () => statusOf('pods').relists === 1);
  api.release();
  await scene.follow();
  stop();
  t.strictSame(endpoints(), ['shop.after-endwatches', 'shop.newcomer']);
  t.strictSame(transactions, [3], 'in one transaction');

  from = api.asked.length;
  api.error('pods', 410);
  await waitFor('a list after an event that says 410', () => api.verbs(from).includes('list pods'));
  await again();
  from = api.asked.length;
  for (let broken = 0; broken < 3; broken += 1) {
    const before = statusOf('pods').failures;
    api.sendLine('pods', '{"type":"ADDED","object":');
    await waitFor('the failure', () => statusOf('pods').failures > before);
    await again();
  }
  t.ok(api.verbs(from).includes('list pods'), 'a watch that is broken again and again is given up');
  await scene.follow();
  t.strictSame(endpoints(), ['shop.after-endwatches', 'shop.newcomer']);
  t.strictSame(
    service.report().resources.map(({ error, state }) => [error, state]),
    Array.from({ length: 5 }, () => [undefined, 'watching']),
  );
});

t.test('a server that is away changes nothing; silence and old pages are noticed', async (t) => {
  const scene = await openScene(t, { times: { silenceMs: 150 } });
  const { api, endpoints, service } = scene;
  api.put('pods', podObject('shop/a'));
  api.put('pods', podObject('shop/b'));
  await scene.follow();
  const silent = api.asked.length;
  await waitFor(
    'silent watches to be renewed',
    () => api.verbs(silent).filter((verb) => verb === 'watch pods').length > 1,
  );
  t.ok(service.report().resources.some(({ failures }) => failures > 0));

  await api.stop();
  await waitFor('the failures to be told', () =>
    service.report().resources.every(({ state, error }) => state === 'waiting' && error !== undefined),
  );
  t.strictSame(endpoints(), ['shop.a', 'shop.b']);
  api.delete('pods', 'shop/a');
  api.put('pods', podObject('shop/c'));
  await api.start();
  await scene.follow();
  t.strictSame(endpoints(), ['shop.b', 'shop.c']);

  for (let index = 0; index < 8; index += 1) api.put('pods', podObject(`shop/many-${index}`));
  api.expirePages = true;
  api.compact();
  api.disconnect();
  await waitFor('the list that was too slow to be begun again', () => !api.expirePages);
  await scene.follow();
  t.equal(endpoints().length, 10);
});

t.test('malformed objects are refused, told, and stop nobody', async (t) => {
  const scene = await openScene(t);
  const { api, endpoints, service, model } = scene;
  api.put('networkpolicies', WEB);
  api.put('pods', podObject('shop/good'));
  api.put('networkpolicies', policyObject('shop/web', { podSelector: {}, ingress: [{ from: [{}] }] }));
  api.put('pods', podObject('shop/bad', { labels: { app: 7 as unknown as string } }));
  api.putRaw('pods', 'shop/worst', []);
  api.putRaw('pods', 'shop/worse', { kind: 'Pod' });
  api.put('pods', podObject('shop/better'));
  await scene.follow();
  t.strictSame(endpoints(), ['shop.better', 'shop.good']);
  t.equal(model.get('Policy', 'kubernetes/shop.web')?.status.rules, 1, 'what was good before stays in force');
  const reasons = service.report().refused.map(({ object, reason }) => `${object}: ${reason}`);
  t.strictSame(reasons, [
    'networkpolicies shop/web: a peer has none of ipBlock, namespaceSelector and podSelector',
    'pods shop/bad: metadata.labels.app must be string',
    'pods (without a name): the object must have required properties metadata, spec',
  ]);
  api.put('pods', podObject('shop/bad', { labels: { app: 'seven' } }));
  api.delete('networkpolicies', 'shop/web');
  await scene.follow();
  t.strictSame(endpoints(), ['shop.bad', 'shop.better', 'shop.good']);
  t.equal(service.report().refused.length, 1);
  const metrics = Object.fromEntries(service.metrics().map(({ name, samples }) => [name, samples]));
  const of = (name: string, resource: string) =>
    metrics[`weft_kubernetes_${name}`]?.find(({ labels }) => labels?.['resource'] === resource)?.value;
  t.equal(of('objects', 'pods'), 3);
  t.equal(of('refusals_total', 'pods'), 3);
  t.equal(of('refused_objects', 'pods'), 1);
  t.equal(of('lists_total', 'pods'), 1);
  t.equal(of('watching', 'nodes'), 1);
  t.ok((of('watch_age_seconds', 'pods') ?? -1) >= 0);
});

t.test('what people have declared is theirs', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    `
kind: Tenant
name: kubernetes
---
kind: Network
tenant: kubernetes
name: pods
subnet: 10.9.0.0/24
---
{kind: Endpoint, tenant: kubernetes, network: pods, name: shop.taken}
---
{kind: Endpoint, tenant: kubernetes, network: pods, name: theirs, labels: {app: web}}
---
{kind: Policy, tenant: kubernetes, name: theirs}
`,
  );
  const api = newCluster();
  for (const name of ['taken', 'free'])
    api.put('pods', podObject(`shop/${name}`, { labels: { app: 'web' } }));
  api.put(
    'networkpolicies',
    policyObject('shop/all', { podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }] }),
  );
  const scene = await openScene(t, { api, model });
  t.strictSame(scene.owned('Endpoint'), ['kubernetes/pods/shop.free']);
  t.equal(model.get('Network', 'kubernetes/pods')?.spec.subnet, '10.9.0.0/24');
  t.match(scene.service.report(), {
    refused: [{ object: 'Endpoint kubernetes/pods/shop.taken', reason: /is declared by people already/ }],
    problems: [/network kubernetes\/pods takes endpoints that nobody has declared/],
  });
  t.strictSame(
    scene.owned('Group').map((name) => model.get('Group', name)?.status.members),
    [1, 1],
    'their endpoint is no pod',
  );
  await model.remove([{ kind: 'Endpoint', name: 'kubernetes/pods/shop.taken' }]);
  await waitFor('the name to be free', () => scene.owned('Endpoint').length === 2);
  await waitFor('nothing to be refused', () => scene.service.report().refused.length === 0);
  api.delete('pods', 'shop/taken');
  api.delete('pods', 'shop/free');
  api.delete('networkpolicies', 'shop/all');
  await scene.follow();
  t.strictSame(scene.endpoints(), ['theirs']);
  t.ok(model.get('Policy', 'kubernetes/theirs'));
});

t.test('one intent that the model refuses does not stop the others of its transaction', async (t) => {
  const api = newCluster();
  for (let index = 0; index < 8; index += 1) api.put('pods', podObject(`shop/p${index}`));
  const { endpoints, service } = await openScene(t, { api, place: { subnet: '10.244.0.0/29' } });
  t.equal(endpoints().length, 6);
  t.strictSame(
    service.report().refused.map(({ object }) => object),
    ['Endpoint kubernetes/pods/shop.p6', 'Endpoint kubernetes/pods/shop.p7'],
  );
  t.match(service.report().refused[0]?.reason, /no address of 10.244.0.0\/29 is free/);
});

t.test('a controller that starts again finds what has changed, and writes nothing else', async (t) => {
  const model = await openModel();
  const api = newCluster();
  api.put('networkpolicies', WEB);
  for (const name of ['a', 'b', 'c']) api.put('pods', podObject(`shop/${name}`));
  const first = await openScene(t, { api, model });
  t.equal(first.endpoints().length, 3);
  await first.service.stop();
  await api.stop();

  const transactions: number[] = [];
  model.onFacts((changes) => transactions.push(changes.length));
  const second = await openScene(t, { api, model });
  t.strictSame(transactions, [], 'nothing has changed');
  await second.service.stop();
  await api.stop();

  api.delete('pods', 'shop/b');
  api.put('pods', podObject('shop/d'));
  await model.remove([{ kind: 'Endpoint', name: 'kubernetes/pods/shop.a' }]);
  transactions.length = 0;
  const third = await openScene(t, { api, model });
  t.strictSame(third.endpoints(), ['shop.a', 'shop.c', 'shop.d']);
  t.equal(transactions.length, 1, 'the difference is one transaction');
});

t.test('pods keep the addresses that they have when the store was lost', async (t) => {
  const api = newCluster();
  api.put('pods', podObject('shop/a', { addresses: ['10.244.3.7', 'fd00:244::9'] }));
  api.put('pods', podObject('shop/b'));
  api.put('pods', podObject('shop/c', { addresses: ['10.244.0.1'] }));
  api.put('pods', podObject('shop/d', { addresses: ['192.0.2.1'] }));
  const { model } = await openScene(t, { api, place: { ipv6Subnet: 'fd00:244::/64' } });
  t.strictSame(
    model.list('Endpoint').map(({ status }) => [status.ip, status.ip6]),
    [
      ['10.244.3.7', 'fd00:244::9'],
      ['10.244.0.2', 'fd00:244::2'],
      ['10.244.0.1', 'fd00:244::1'],
      ['10.244.0.3', 'fd00:244::3'],
    ],
  );
});

t.test('one of ten thousand pods changes: one intent', async (t) => {
  const api = newCluster();
  for (let index = 0; index < 200; index += 1) {
    const namespaceName = `n${index}`;
    api.put('namespaces', namespaceObject(namespaceName));
    api.put('networkpolicies', policyObject(`${namespaceName}/p`, WEB['spec'] as object));
    for (let pod = 0; pod < 50; pod += 1)
      api.put(
        'pods',
        podObject(`${namespaceName}/p${pod}`, { labels: { app: pod % 2 === 0 ? 'web' : 'db' } }),
      );
  }
  const start = performance.now();
  const scene = await openScene(t, { api, pageSize: 500 });
  t.comment(
    `10,000 pods declared in ${Math.round(performance.now() - start)} ms on ${cpus().length} processors`,
  );
  t.equal(scene.endpoints().length, 10_000);
  const facts: number[] = [];
  scene.model.onFacts((changes) => facts.push(changes.length));
  api.put('pods', podObject('n7/p1', { labels: { app: 'web' } }));
  await scene.follow();
  t.strictSame([scene.work(), facts.splice(0)], [{ requests: 1, applied: 1, removed: 0 }, [1]], 'a label');
  api.delete('pods', 'n7/p2');
  await scene.follow();
  t.strictSame(scene.work(), { requests: 1, applied: 0, removed: 1 }, 'a deletion');
  facts.length = 0;
  api.put('networkpolicies', policyObject('n9/p', { podSelector: {}, ingress: [] }));
  await scene.follow();
  t.strictSame(scene.work(), { requests: 1, applied: 2, removed: 0 }, 'a policy and its group');
  const began = performance.now();
  scene.api.put('pods', podObject('n7/p3', { labels: { app: 'other' } }));
  await scene.follow();
  t.comment(`one change followed in ${Math.round(performance.now() - began)} ms`);
});

/** For 127.0.0.1, signed by itself. */
function certificate(folder: string): { key: string; cert: string } {
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name)) as [string, string];
  const argv = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  argv.push('-subj', '/CN=cluster', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert);
  execFileSync('openssl', argv, { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
t.test('HTTPS: a server that the kubeconfig trusts, and no other', { skip }, async (t) => {
  const folder = t.testdir();
  const api = newCluster();
  api.tls = certificate(folder);
  api.put('pods', podObject('shop/a'));
  const { endpoints, service } = await openScene(t, { api });
  t.match(service.report().server, /^https:/);
  t.strictSame(endpoints(), ['shop.a']);

  // Another one takes its place.
  await api.stop();
  api.tls = certificate(folder);
  api.delete('pods', 'shop/a');
  await api.start();
  await waitFor('the certificate to be refused', () =>
    service.report().resources.every(({ error }) => error?.includes('certificate') === true),
  );
  t.strictSame(endpoints(), ['shop.a']);
});

t.test('how the cluster is reached is checked at the start', async (t) => {
  await t.rejects(loadAccess({ kubeconfig: '/nonexistent/config' }), {
    name: 'AccessError',
    message: /kubernetes.kubeconfig: \/nonexistent\/config cannot be used/,
  });
  await t.rejects(loadAccess({}), { message: /this process runs in no pod/ });
  const kubeconfig = join(t.testdir({ config: FakeKubernetes.kubeconfig('https://cluster:6443') }), 'config');
  t.equal((await loadAccess({ kubeconfig })).server, 'https://cluster:6443');
  await t.rejects(loadAccess({ kubeconfig, context: 'other' }), {
    message: /has no cluster for context other/,
  });
  const empty = join(t.testdir({ config: 'clusters: []\nusers: []\ncontexts: []\n' }), 'config');
  await t.rejects(loadAccess({ kubeconfig: empty }), { message: /has no current context; name one/ });
});
