/** Whatever happens, in whatever order, and however watches break: the model is what a watcher makes of the cluster that comes last. */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Model } from '../../controller/model/index.js';
import {
  FakeKubernetes,
  namespaceObject,
  nodeObject,
  podObject,
  policyObject,
} from '../support/kubernetes-api.js';
import { openScene } from './support.js';

t.setTimeout(240_000);

const NAMESPACES = ['n1', 'n2', 'n3'];
const PODS = ['p1', 'p2', 'p3'];
const POLICIES = ['a', 'b'];
const NODES = ['w1', 'w2'];
const TEAMS = ['red', 'blue'];
const SELECTORS = [{}, { matchLabels: { team: 'red' } }, { matchLabels: { app: 'red' } }];

const one = <T>(...items: readonly T[]) => fc.constantFrom(...items);
const namespace = one(...NAMESPACES);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: one('pod'),
      namespace,
      name: one(...PODS),
      app: one(...TEAMS),
      node: one(...NODES, ''),
      phase: one('Running', 'Running', 'Failed'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: one('no pod'), namespace, name: one(...PODS) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: one('policy'),
      namespace,
      name: one(...POLICIES),
      pods: one(...SELECTORS),
      peers: one(...SELECTORS),
      bad: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: one('no policy'), namespace, name: one(...POLICIES) }) },
  { weight: 2, arbitrary: fc.record({ what: one('namespace'), namespace, team: one(...TEAMS) }) },
  { weight: 1, arbitrary: fc.record({ what: one('no namespace'), namespace }) },
  { weight: 1, arbitrary: fc.record({ what: one('node'), name: one(...NODES), host: one('', 'h1', 'h2') }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: one('disconnect', 'end', 'compact', 'error', 'hold', 'release') }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function take(api: FakeKubernetes, there: Set<string>, done: Step): void {
  const put = (
    resource: 'pods' | 'networkpolicies' | 'namespaces' | 'nodes',
    key: string,
    how: () => void,
  ) => {
    there.add(`${resource} ${key}`);
    how();
  };
  const drop = (resource: 'pods' | 'networkpolicies' | 'namespaces', key: string) => {
    if (there.delete(`${resource} ${key}`)) api.delete(resource, key);
  };
  if ('app' in done) {
    const { namespace: space, name, app, node, phase } = done;
    const id = `${space}/${name}`;
    put('pods', id, () => api.put('pods', podObject(id, { labels: { app }, node, phase })));
  } else if ('peers' in done) {
    const id = `${done.namespace}/${done.name}`;
    const from = done.bad ? [{}] : [{ namespaceSelector: done.peers }, { podSelector: done.pods }];
    const spec = { podSelector: done.pods, ingress: [{ from }] };
    // What cannot be read stays as it was, which a new watcher cannot know: only one that was never good.
    if (!done.bad || !there.has(`networkpolicies ${id}`))
      put('networkpolicies', id, () => api.put('networkpolicies', policyObject(id, spec)));
  } else if ('team' in done) {
    put('namespaces', done.namespace, () =>
      api.put('namespaces', namespaceObject(done.namespace, { team: done.team })),
    );
  } else if ('host' in done) {
    const annotations = done.host === '' ? {} : { 'kubernetes.weft/host-label': done.host };
    put('nodes', done.name, () => api.put('nodes', nodeObject(done.name, annotations)));
  } else if (done.what === 'no pod' && 'name' in done) drop('pods', `${done.namespace}/${done.name}`);
  else if (done.what === 'no policy' && 'name' in done)
    drop('networkpolicies', `${done.namespace}/${done.name}`);
  else if (done.what === 'no namespace' && 'namespace' in done) drop('namespaces', done.namespace);
  else if (done.what === 'disconnect') api.disconnect();
  else if (done.what === 'end') api.endWatches();
  else if (done.what === 'compact') {
    api.compact();
    api.disconnect();
  } else if (done.what === 'error') api.error('pods', 410);
  else if (done.what === 'hold') api.held = true;
  else api.release();
}

/** Everything that is the watcher's, without what is allocated. */
function declared(model: Model): string[] {
  return model
    .ownedBy('kubernetes')
    .map(({ kind, name }) => {
      const rules =
        kind === 'Policy' ? model.list('Rule').filter((rule) => rule.name.startsWith(`${name}/`)) : [];
      return JSON.stringify([model.declared(kind, name), rules.map(({ spec }) => spec)]);
    })
    .sort();
}

const settle = async (t: Test, steps: readonly Step[], batches: number): Promise<void> => {
  const api = new FakeKubernetes();
  const there = new Set<string>();
  const scene = await openScene(t, { api });
  for (let batch = 0; batch < batches; batch += 1) {
    for (const done of steps.slice(
      (batch * steps.length) / batches,
      ((batch + 1) * steps.length) / batches,
    )) {
      take(api, there, done);
      // Sometimes what happens is seen at once, sometimes together with what follows.
      if (steps.indexOf(done) % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    api.release();
    await scene.follow();
    const fresh = await openScene(t, { api });
    t.strictSame(declared(scene.model), declared(fresh.model), `batch ${batch} of ${steps.length} steps`);
    await fresh.service.stop();
  }
  t.equal(scene.service.report().declared, declared(scene.model).length, 'and nothing but what is wanted');
  await scene.service.stop();
  await api.stop();
};

t.test('random histories end as the cluster that comes last', async (t) => {
  const seed = Number(process.env['WEFT_SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
  t.comment(`WEFT_SEED=${seed}`);
  const histories = fc.sample(fc.array(step, { minLength: 50, maxLength: 70 }), { numRuns: 4, seed });
  for (const steps of histories) await settle(t, steps, 3);
});
