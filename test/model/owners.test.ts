/** Objects that another system declares, and people's requests beside them. */
import t from 'tap';
import type { IntentObject, ObjectRef } from '../../controller/model/index.js';
import { applyText, openModel, problemsOf } from './helpers.js';
import { codesOf, refusedWith } from './fixtures.js';

const owner = 'kubernetes';
const OWNED: readonly IntentObject[] = [
  { kind: 'Tenant', name: 'acme', owner },
  { kind: 'Network', tenant: 'acme', name: 'pods', subnet: '10.1.0.0/16', owner },
  {
    kind: 'Policy',
    tenant: 'acme',
    name: 'web',
    defaultIn: 'deny',
    rules: [{ name: 'r', from: [{ group: 'web' }] }],
    owner,
  },
  {
    kind: 'Group',
    tenant: 'acme',
    name: 'web',
    selector: { matchLabels: { app: 'web' } },
    policies: ['web'],
    owner,
  },
  { kind: 'Endpoint', tenant: 'acme', network: 'pods', name: 'a', labels: { app: 'web' }, owner },
];

t.test('what is owned is kept in the store and told', async (t) => {
  const model = await openModel();
  await model.apply(OWNED, { mode: 'add' });
  const owned: readonly ObjectRef[] = [
    { kind: 'Tenant', name: 'acme' },
    { kind: 'Network', name: 'acme/pods' },
    { kind: 'Endpoint', name: 'acme/pods/a' },
    { kind: 'Policy', name: 'acme/web' },
    { kind: 'Group', name: 'acme/web' },
  ];
  t.strictSame(model.ownedBy(owner), owned);
  t.strictSame(model.ownedBy('docker'), []);
  t.strictSame(model.declared('Endpoint', 'acme/pods/a'), OWNED.at(-1));
  t.strictSame(model.get('Group', 'acme/web')?.spec.owner, owner);
  const again = await model.apply(OWNED, { mode: 'add' });
  t.ok(again.changes.every(({ action }) => action === 'unchanged'));
});

t.test('nobody changes what is somebody else’s', async (t) => {
  const model = await openModel();
  await model.apply(OWNED, { mode: 'add' });
  const people = OWNED.map(({ ...object }) => {
    delete (object as { owner?: string }).owner;
    return object;
  });
  const problems = await refusedWith(model.apply(people, { mode: 'add' }));
  t.strictSame(
    codesOf(problems),
    OWNED.map(() => 'object.owner'),
  );
  t.match(problems[1]?.message, 'Network acme/pods: owner: is kept in step with kubernetes');
  const rule = applyText(model, 'kind: Rule\ntenant: acme\npolicy: web\nname: mine');
  t.strictSame(codesOf(await refusedWith(rule)), ['object.owner']);

  await applyText(model, 'kind: Group\ntenant: acme\nname: mine\nselector: {matchLabels: {app: web}}');
  const taken = model.apply([{ kind: 'Group', tenant: 'acme', name: 'mine', owner }], { mode: 'add' });
  t.match((await problemsOf(taken))[0], {
    code: 'object.owner',
    message: 'Group acme/mine: owner: is declared by people already',
  });
});

t.test('the whole truth of people says nothing about it', async (t) => {
  const model = await openModel();
  await model.apply(OWNED, { mode: 'add' });
  await applyText(
    model,
    'kind: Tenant\nname: mine\n---\nkind: Policy\ntenant: acme\nname: mine\nrules: [{name: r}]',
  );
  await applyText(model, 'kind: Tenant\nname: theirs', 'replace');
  t.strictSame(
    model.list('Tenant').map(({ name }) => name),
    ['acme', 'theirs'],
  );
  t.strictSame(
    model.list('Policy').map(({ name }) => name),
    ['acme/web'],
  );
  t.strictSame(
    model.list('Rule').map(({ name }) => name),
    ['acme/web/r'],
  );
  t.equal(model.ownedBy(owner).length, OWNED.length);
});

t.test('nor do the documents of netplugin', async (t) => {
  const model = await openModel();
  await model.apply(OWNED, { mode: 'add' });
  await model.netplugin.desired({ Tenants: [{ Name: 'theirs', Networks: [{ Name: 'n' }] }] });
  await model.netplugin.desired({ Tenants: [] });
  t.strictSame(
    model.list('Tenant').map(({ name }) => name),
    ['acme'],
  );
  t.equal(model.ownedBy(owner).length, OWNED.length);
});

t.test('a tenant and a network of people stay while something in them is owned', async (t) => {
  const model = await openModel();
  await applyText(
    model,
    'kind: Tenant\nname: acme\n---\nkind: Network\ntenant: acme\nname: pods\nsubnet: 10.1.0.0/16',
  );
  await model.apply([{ kind: 'Endpoint', tenant: 'acme', network: 'pods', name: 'a', owner }], {
    mode: 'add',
  });
  await applyText(model, 'kind: Tenant\nname: theirs', 'replace');
  t.ok(model.get('Endpoint', 'acme/pods/a'));
  const { warnings } = await model.remove([{ kind: 'Endpoint', name: 'acme/pods/a' }]);
  t.strictSame(codesOf(warnings), ['object.owner'], 'deleting is allowed, and told');
  await applyText(model, 'kind: Tenant\nname: theirs', 'replace');
  t.strictSame(
    model.list('Tenant').map(({ name }) => name),
    ['theirs'],
  );
});
