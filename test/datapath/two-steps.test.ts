/** Changes in two steps, sent to emulated switches: when they are needed, what waits for what, and what may happen in between. */
import t, { type Test } from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { T } from '../../apps/pipeline.js';
import type { DatapathControllerOptions } from '../../controller/datapath/controller.js';
import { ErrorType, FlowModCommand, type FlowMod, FlowModFailedCode } from '../../ofproto/index.js';
import type { EmulatedSwitch } from '../../topologies/emulated/index.js';
import { datapathId, setEndpoint } from '../apps/facts.js';
import { waitFor } from '../support/wait-for.js';
import { attach, deny, WEB, writeDenials } from './denials.js';
import { modifications, Rig } from './rig.js';

const GRACE_MS = 7;
const PATIENCE_MS = 2_000;
const EXTENSION_MS = 1_000;
const HIGHEST_PRIORITY = 0xffff;

async function start(t: Test, options: Partial<DatapathControllerOptions> = {}): Promise<Rig> {
  const rig = new Rig({ pipeline, apps, graceMs: GRACE_MS, auditIntervalMs: 0, ...options });
  t.teardown(() => rig.stop());
  await rig.listen();
  writeDenials(rig.controller.facts);
  rig.controller.settle();
  return rig;
}

const move = ({ controller: { facts } }: Rig, side: 'in' | 'out' = 'in'): void =>
  deny(facts, 'front', 'back', side);

/** Packets that were let pass are judged once more. */
const judgesAgain = ({ flows }: EmulatedSwitch): boolean =>
  flows.some(({ tableId, priority }) => tableId === T.admit.id && priority === HIGHEST_PRIORITY);

/** The switch holds what is desired of it, which is what a controller would want that has seen nothing before. */
function holds(t: Test, rig: Rig, emulated: EmulatedSwitch): void {
  const { flows, groups, meters } = emulated.tables;
  const desired = [...rig.controller.desired(emulated.datapathId)].length;
  t.equal(flows.size + groups.size + meters.size, desired, `${emulated.datapathId} holds its table`);
}

/** The first step is acknowledged, and the second one waits for the datapaths. */
const firstStep = (rig: Rig) => waitFor('the first step', () => rig.timer.waiting(GRACE_MS) === 1);
const inTransition = ({ timer }: Rig): boolean => timer.waiting(PATIENCE_MS) > 0;

t.test('a denial that moves from one switch to another', async (t) => {
  const rig = await start(t);
  const { controller, timer } = rig;
  const [one, two, three] = await Promise.all([1, 2, 3].map((host) => rig.connect(host)));
  await rig.synced(1, 2, 3);
  const before = { ...controller.counters };
  const sentToThird = modifications(three!);
  move(rig);
  const turn = controller.settle();
  t.strictSame([...turn.datapaths].sort(), [datapathId(1), datapathId(2)]);
  let done = false;
  const all = turn.all().finally(() => {
    done = true;
  });
  await firstStep(rig);
  for (const emulated of [one!, two!]) {
    t.ok(judgesAgain(emulated));
    holds(t, rig, emulated);
  }
  t.notOk(done, 'not acknowledged before the second step');
  t.match(controller.statusOf(datapathId(1))?.scopes, /datapath:transition/);
  const owners = one!.flows.map(({ cookie }) => controller.ownerOf(cookie)?.rule);
  t.ok(owners.includes('pipeline.transition'), 'explained');
  t.notOk(owners.some((owner) => owner === undefined || owner.startsWith('unknown')));

  timer.fire(GRACE_MS);
  t.strictSame(
    [...(await all).values()].map(({ ok, refused }) => ({ ok, refused })),
    [
      { ok: true, refused: [] },
      { ok: true, refused: [] },
    ],
  );
  for (const emulated of [one!, two!, three!]) {
    t.notOk(judgesAgain(emulated));
    holds(t, rig, emulated);
  }
  t.equal(controller.counters.turns - before.turns, 2);
  t.equal(controller.counters.transactions - before.transactions, 4);
  t.equal(modifications(three!), sentToThird, 'nobody else hears of it');
  t.notOk(inTransition(rig));
  await controller.audit(datapathId(1));
  t.strictSame(rig.eventsOf('healed'), []);
});

t.test('what needs one step takes one', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const { facts } = controller;
  await Promise.all([1, 2].map((host) => rig.connect(host)));
  await rig.synced(1, 2);
  const steps: Record<string, () => void> = {
    'a rule goes': () => deny(facts, 'front', 'back', undefined),
    'a rule comes': () => deny(facts, 'front', 'back', 'out'),
    'an endpoint is attached': () => void attach(facts, 4, 1, 'front'),
    'it is detached': () => void setEndpoint(facts, WEB, 4, { labels: { app: 'front' } }),
    'the first of a set of groups is attached': () =>
      void setEndpoint(facts, WEB, 5, { host: 2, port: 15, labels: { app: 'back' }, groups: ['acme/front'] }),
    'it goes': () => void facts.endpoints.delete(`${WEB}/e5`),
    'a default of one direction': () =>
      void facts.policies.set('acme/back', { ...facts.policies.get('acme/back')!, defaultIn: 'allow' }),
  };
  for (const [name, step] of Object.entries(steps)) {
    const before = controller.counters.turns;
    step();
    const acknowledgements = await controller.settle().all();
    t.ok(acknowledgements.size > 0, name);
    t.notOk(inTransition(rig), `${name}: one step`);
    t.equal(controller.counters.turns - before, 1);
  }
  const moving: Record<string, () => void> = {
    'a denial': () => move(rig),
    'labels of an attached endpoint': () => void attach(facts, 1, 1, 'back'),
    'a group': () => void facts.groups.set('acme/back', { ...facts.groups.get('acme/back')!, policies: [] }),
  };
  for (const [name, step] of Object.entries(moving)) {
    step();
    const turn = controller.settle();
    t.ok(inTransition(rig), `${name}: two steps`);
    await firstStep(rig);
    rig.timer.fire(GRACE_MS);
    await turn.all();
    t.notOk(inTransition(rig));
  }
});

t.test('one switch alone needs no second step', async (t) => {
  const rig = await start(t);
  const one = await rig.connect(1);
  await rig.synced(1);
  move(rig);
  await rig.controller.settle().all();
  t.notOk(inTransition(rig));
  t.notOk(judgesAgain(one));
  holds(t, rig, one);
});

t.test('a switch that is silent delays the second step, and not for ever', async (t) => {
  const rig = await start(t);
  const [one, two] = await Promise.all([1, 2].map((host) => rig.connect(host)));
  await rig.synced(1, 2);
  two!.delayMs = 3_600_000;
  move(rig);
  const turn = rig.controller.settle();
  await rig.synced(1);
  t.ok(judgesAgain(one!));
  t.equal(rig.timer.waiting(GRACE_MS), 0, 'it is waited for');
  rig.timer.fire(PATIENCE_MS);
  t.match(await turn.acknowledged(datapathId(1)), { ok: true });
  t.notOk(judgesAgain(one!));
  await two!.stop();
  t.match(await turn.acknowledged(datapathId(2)), { ok: false, reason: 'disconnected' });
});

t.test('meanwhile: endpoints come and go at once, and other changes become part of it', async (t) => {
  const rig = await start(t);
  const { controller, timer } = rig;
  const { facts } = controller;
  const [one, two] = await Promise.all([1, 2].map((host) => rig.connect(host)));
  await rig.synced(1, 2);
  move(rig);
  const first = controller.settle();
  attach(facts, 4, 1, 'front');
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true }, 'attached');
  t.ok(judgesAgain(one!), 'in the middle of it');
  facts.endpoints.delete(`${WEB}/e4`);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true }, 'and gone');
  await firstStep(rig);

  deny(facts, 'back', 'front', 'in');
  const second = controller.settle();
  t.equal(timer.waiting(GRACE_MS), 0, 'the second step waits for this as well');
  t.equal(timer.waiting(PATIENCE_MS), 1);
  await firstStep(rig);
  for (const emulated of [one!, two!]) holds(t, rig, emulated);
  // A change that is taken back, and endpoints that had a part in it.
  move(rig, 'out');
  attach(facts, 1, 1, 'back');
  const third = controller.settle();
  facts.endpoints.delete(`${WEB}/e2`);
  controller.settle();
  await firstStep(rig);
  t.equal(controller.full, undefined);
  timer.fire(EXTENSION_MS);
  const full = controller.full;
  t.ok(full, 'now it takes in no more');
  timer.fire(GRACE_MS);
  await full;
  t.equal(controller.full, undefined);
  for (const turn of [first, second, third]) {
    t.match(await turn.acknowledged(datapathId(1)), { ok: true });
    t.match(await turn.acknowledged(datapathId(2)), { ok: true });
  }
  for (const emulated of [one!, two!]) {
    t.notOk(judgesAgain(emulated));
    holds(t, rig, emulated);
    await controller.audit(emulated.datapathId);
  }
  t.strictSame(rig.eventsOf('healed'), []);
  t.strictSame(controller.conflicts(), []);
});

t.test('what is refused in either step is told', async (t) => {
  const rig = await start(t);
  const one = await rig.connect(1);
  await rig.connect(2);
  await rig.synced(1, 2);
  let refusals = 0;
  one.refuse = (mod) => {
    const isVersion =
      mod.type === 'flow_mod' &&
      (mod as FlowMod).command === FlowModCommand.ADD &&
      (mod as FlowMod).tableId === T.egress_policy.id;
    if (!isVersion) return undefined;
    refusals++;
    return { errorType: ErrorType.FLOW_MOD_FAILED, code: FlowModFailedCode.TABLE_FULL };
  };
  move(rig);
  const turn = rig.controller.settle();
  await firstStep(rig);
  t.ok(refusals > 0);
  one.refuse = undefined;
  rig.timer.fire(GRACE_MS);
  const answer = await turn.acknowledged(datapathId(1));
  t.match(answer, { ok: false, reason: 'refused' });
  t.match(answer.refused[0], { owner: /^policy\./, error: 'OFPFMFC_TABLE_FULL' });
  t.match(await turn.acknowledged(datapathId(2)), { ok: true });
  t.match(rig.controller.statusOf(datapathId(1)), { state: 'in-sync', refused: [] }, 'it holds now');
  holds(t, rig, one);
});

t.test('a switch that comes back in between, and an audit', async (t) => {
  const rig = await start(t);
  const [one, two] = await Promise.all([1, 2].map((host) => rig.connect(host)));
  await rig.synced(1, 2);
  move(rig);
  const turn = rig.controller.settle();
  await firstStep(rig);
  await two!.stop();
  await waitFor('it is away', () => rig.controller.statusOf(datapathId(2))?.state === 'disconnected');
  two!.tables.flows.clear();
  await two!.connect();
  await rig.synced(2);
  t.ok(judgesAgain(two!));
  await rig.controller.audit(datapathId(1));
  t.strictSame(rig.eventsOf('healed'), []);
  rig.timer.fire(GRACE_MS);
  await turn.all();
  for (const emulated of [one!, two!]) {
    t.notOk(judgesAgain(emulated));
    holds(t, rig, emulated);
  }
});

t.test('a controller that dies in between: the next one makes it final', async (t) => {
  const rig = await start(t);
  const address = { ...rig.address };
  const one = await rig.connect(1, { controller: address });
  await rig.connect(2);
  await rig.synced(1, 2);
  move(rig);
  rig.controller.settle();
  await firstStep(rig);
  await rig.stop();
  t.ok(judgesAgain(one));

  const next = await start(t);
  move(next);
  next.controller.settle();
  address.port = next.address.port;
  await one.connect();
  await next.synced(1);
  t.notOk(judgesAgain(one));
  holds(t, next, one);
  const [{ difference } = { difference: undefined }] = next.eventsOf('synced');
  t.match(difference, { foreign: 0 });
  t.ok((difference?.extra ?? 0) > 0);
  await one.stop();
});
