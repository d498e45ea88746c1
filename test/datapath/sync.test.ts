/** Switches kept in line with their desired tables: read before write, turns, refusals, audits. Against emulated switches. */
import t, { type Test } from 'tap';
import type { App } from '../../controller/datapath/app.js';
import type { DatapathControllerOptions } from '../../controller/datapath/controller.js';
import {
  BadActionCode,
  BundleFailedCode,
  ErrorType,
  FlowModCommand,
  findOxm,
  F,
  Group,
  type FlowMod,
  matchOf,
  NO_BUFFER,
  ONF_EXPERIMENTER,
  Port,
} from '../../ofproto/index.js';
import type { EmulatedSwitch } from '../../topologies/emulated/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, setPort } from '../apps/facts.js';
import { waitFor } from '../support/wait-for.js';
import { app, forward, modifications, Rig } from './rig.js';

const WEB = 'acme/web';
const mac = (endpoint: number) => 0x02020a000000 + endpoint;

async function start(t: Test, options: Partial<DatapathControllerOptions> = {}): Promise<Rig> {
  const rig = new Rig(options);
  t.teardown(() => rig.stop());
  await rig.listen();
  const { facts } = rig.controller;
  setNetwork(facts, WEB, 1, 'vxlan', { tag: 100 });
  for (const host of [1, 2]) {
    setHost(facts, host);
    setPort(facts, host, 'uplink', 65001);
    setEndpoint(facts, WEB, host, { host, port: 10 + host });
  }
  rig.controller.settle();
  return rig;
}

/** The switch holds what is desired of it but for so many entries. */
function holds(t: Test, rig: Rig, emulated: EmulatedSwitch, refused = 0): void {
  const { flows, groups, meters } = emulated.tables;
  const desired = [...rig.controller.desired(emulated.datapathId)].length;
  t.equal(
    flows.size + groups.size + meters.size,
    desired - refused,
    `${emulated.datapathId} holds its table`,
  );
}

const flowTo = (emulated: EmulatedSwitch, endpoint: number) =>
  emulated.flows.find(({ match }) => findOxm(match, F.eth_dst)?.value === mac(endpoint));

const isFlowTo =
  (...endpoints: number[]) =>
  (mod: { type: string }) =>
    mod.type === 'flow_mod' &&
    (mod as FlowMod).command === FlowModCommand.ADD &&
    endpoints.map(mac).includes(findOxm((mod as FlowMod).match, F.eth_dst)?.value as number);

const BAD_OUT_PORT = { errorType: ErrorType.BAD_ACTION, code: BadActionCode.BAD_OUT_PORT };

t.test('a switch is read, and brought into line; read again it is sent nothing', async (t) => {
  const rig = await start(t);
  const emulated = await rig.connect(1);
  await rig.synced(1);
  holds(t, rig, emulated);
  t.match(rig.eventsOf('synced'), [
    { datapathId: datapathId(1), read: 0, difference: { missing: 9, extra: 0, changed: 0, foreign: 0 } },
  ]);
  t.match(rig.controller.status(), [
    { datapathId: datapathId(1), state: 'in-sync', entries: 9, scopes: ['global', 'host:h1', 'network:1'] },
    { datapathId: datapathId(2), state: 'disconnected' },
  ]);
  t.strictSame(
    rig.eventsOf('state').map(({ state }) => state),
    ['reading', 'writing', 'in-sync'],
  );
  const sent = modifications(emulated);
  emulated.drop();
  await waitFor('the session ends', () => !emulated.connected && rig.channel.sessions.size === 0);
  await emulated.connect();
  await rig.synced(1);
  t.equal(modifications(emulated), sent, 'a connection that comes back costs nothing');

  // A controller that starts anew derives the same, cookies included.
  await emulated.stop();
  const restarted = await start(t);
  const again = await restarted.connect(1);
  for (const table of ['flows', 'groups', 'meters'] as const)
    for (const [key, value] of emulated.tables[table])
      (again.tables[table] as Map<unknown, unknown>).set(key, value);
  await restarted.synced(1);
  t.equal(modifications(again), 0);
  t.match(restarted.eventsOf('synced'), [{ read: 9, difference: { missing: 0, extra: 0, changed: 0 } }]);

  await again.restart();
  await restarted.synced(1);
  t.equal(modifications(again), 9, 'a switch that comes back empty gets everything');
  holds(t, restarted, again);
});

t.test('switches that come up empty together are sent one encoding of what they share', async (t) => {
  const rig = await start(t);
  const { controller, channel } = rig;
  const switches = [await rig.connect(1), await rig.connect(2)];
  await rig.synced(1, 2);
  const before = { ...controller.counters };
  for (const { tables } of switches) tables.clear();
  const sessions = [...channel.sessions.values()];
  for (const session of sessions) {
    controller.removeSession(session);
    controller.addSession(session);
  }
  // A change while they are read is part of it.
  setEndpoint(controller.facts, WEB, 3);
  await controller.settle().all();
  for (const emulated of switches) holds(t, rig, emulated);
  const { entriesEncoded, entriesSent, transactions } = controller.counters;
  t.equal(entriesEncoded - before.entriesEncoded, 8 + 2 * 2, 'what they share, and two ports of each');
  t.equal(entriesSent - before.entriesSent, 2 * 10);
  t.equal(transactions - before.transactions, 2, 'each in one bundle');
});

t.test('changes go to the subscribers of their scope, and turns are acknowledged by barrier', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const [one, two] = [await rig.connect(1), await rig.connect(2)];
  await rig.synced(1, 2);
  const before = controller.counters.entriesEncoded;

  setEndpoint(controller.facts, WEB, 3, { host: 1, port: 13 });
  const turn = controller.settle();
  t.strictSame([...turn.datapaths].sort(), [datapathId(1), datapathId(2)]);
  const all = await turn.all();
  t.strictSame(
    [...all.values()].map(({ ok, refused }) => [ok, refused]),
    [
      [true, []],
      [true, []],
    ],
  );
  t.ok(flowTo(one, 3), 'the turn is acknowledged when the entries are there');
  t.ok(flowTo(two, 3));
  t.equal(
    controller.counters.entriesEncoded - before,
    3,
    'flow and group once for both, the port for its host',
  );
  holds(t, rig, one);
  holds(t, rig, two);
  t.equal(rig.eventsOf('state').length, 6, 'a turn is no change of state');

  t.strictSame(controller.settle().datapaths, [], 'nothing changed');
  controller.facts.endpoints.delete(`${WEB}/e2`);
  controller.facts.endpoints.delete(`${WEB}/e3`);
  await controller.settle().all();
  holds(t, rig, one);
  holds(t, rig, two);
  t.equal(two.tables.groups.size + two.tables.meters.size, 0, 'the last endpoint takes the network along');
  t.equal(one.tables.groups.get(1)?.buckets.length, 1);
  t.strictSame(await controller.settle().acknowledged(datapathId(9)), {
    datapathId: datapathId(9),
    ok: false,
    reason: 'disconnected',
    refused: [],
  });
});

t.test(
  'a refused entry is reported to its turn and in the status, and everything else is installed',
  async (t) => {
    const rig = await start(t);
    const { controller } = rig;
    const emulated = await rig.connect(1);
    await rig.synced(1);
    const bad = Array.from({ length: 40 }, (_, index) => 100 + index);
    for (const when of ['commit', 'add'] as const) {
      emulated.refuse = (mod) => (isFlowTo(...bad)(mod) ? { ...BAD_OUT_PORT, when } : undefined);
      rig.events.length = 0;
      const before = controller.counters.transactionsRefused;
      for (let n = 100; n < 300; n++) setEndpoint(controller.facts, WEB, n);
      const answer = await controller.settle().acknowledged(datapathId(1));
      t.match(answer, { ok: false, reason: 'refused' });
      t.equal(answer.refused.length, 40);
      t.match(answer.refused[0], {
        entry: /, table=forward, priority=20,dl_dst=02:02:0a:00:00:.. actions=output:1$/,
        owner: /^example\.endpoints object 1/,
        error: 'OFPBAC_BAD_OUT_PORT',
      });
      holds(t, rig, emulated, 40);
      const status = controller.statusOf(datapathId(1));
      t.match(status, { state: 'degraded' });
      t.equal(status?.refused.length, 40);
      t.equal(rig.eventsOf('refused').length, 40, 'each told once');
      // A commit names one entry, so forty bundles fail; entries that are refused as they are added are all named at once.
      const failures = controller.counters.transactionsRefused - before;
      t.ok(when === 'commit' ? failures <= 41 : failures === 1, `${failures} transactions refused`);

      rig.timer.fire();
      await waitFor('the audit', () => (controller.statusOf(datapathId(1))?.audits ?? 0) > 0);
      await rig.synced(1);
      t.equal(rig.eventsOf('refused').length, 40, 'tried again by the audit, and no news');
      t.equal(rig.eventsOf('healed').length, 0);

      emulated.refuse = undefined;
      setEndpoint(controller.facts, WEB, 100, { generation: 2 });
      t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
      t.equal(controller.statusOf(datapathId(1))?.refused.length, 39, 'a changed entry is tried at once');
      const audits = controller.statusOf(datapathId(1))?.audits;
      rig.timer.fire();
      await waitFor('the audit', () => controller.statusOf(datapathId(1))?.audits !== audits);
      await rig.synced(1);
      t.match(controller.statusOf(datapathId(1)), { state: 'in-sync', refused: [] });
      holds(t, rig, emulated);
      for (let n = 100; n < 300; n++) controller.facts.endpoints.delete(`${WEB}/e${n}`);
      t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
    }
  },
);

t.test('a switch under a steady stream of turns is not given up for refusals now and then', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1);
  await rig.synced(1);
  const TURNS = 100;
  const [bad, good] = [(turn: number) => 1000 + 2 * turn, (turn: number) => 1001 + 2 * turn];
  let turn = 0;
  let failed = 0;
  const next = (): void => {
    turn++;
    for (const endpoint of [bad(turn), good(turn)]) setEndpoint(controller.facts, WEB, endpoint);
    controller.settle();
  };
  emulated.refuse = (mod) => {
    if (isFlowTo(bad(turn))(mod)) {
      failed = emulated.counters.bundlesFailed;
      return BAD_OUT_PORT;
    }
    // The next turn is on its way before this one's repair is decided.
    if (isFlowTo(good(turn))(mod) && emulated.counters.bundlesFailed > failed && turn < TURNS) next();
    return undefined;
  };
  next();
  await waitFor(
    'all turns',
    () => turn === TURNS && controller.statusOf(datapathId(1))?.state === 'degraded',
  );
  t.strictSame(rig.eventsOf('trouble'), []);
  t.equal(controller.statusOf(datapathId(1))?.refused.length, TURNS);
  holds(t, rig, emulated, TURNS);
});

t.test('a refused deletion is tried again by the next audit', async (t) => {
  const rig = await start(t);
  const { controller, timer } = rig;
  const emulated = await rig.connect(1);
  await rig.synced(1);
  const isDeletion = (mod: { type: string }): boolean =>
    mod.type === 'flow_mod' && (mod as FlowMod).command === FlowModCommand.DELETE_STRICT;
  emulated.refuse = (mod) => (isDeletion(mod) ? BAD_OUT_PORT : undefined);
  controller.facts.endpoints.delete(`${WEB}/e2`);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: false, reason: 'refused' });
  t.ok(flowTo(emulated, 2), 'still there');
  const refused = [{ entry: /eth_dst|dl_dst/, error: 'OFPBAC_BAD_OUT_PORT' }];
  t.match(controller.statusOf(datapathId(1)), { state: 'degraded', refused });

  timer.fire();
  await waitFor('the first audit', () => controller.statusOf(datapathId(1))?.audits === 1);
  await rig.synced(1);
  t.match(controller.statusOf(datapathId(1)), { state: 'degraded', refused }, 'refused again');
  t.equal(rig.eventsOf('refused').length, 1, 'and no news');

  emulated.refuse = undefined;
  timer.fire();
  await waitFor('the next audit', () => controller.statusOf(datapathId(1))?.audits === 2);
  await rig.synced(1);
  t.notOk(flowTo(emulated, 2), 'deleted by the first audit that could');
  t.match(controller.statusOf(datapathId(1)), { state: 'in-sync', refused: [] });
  t.strictSame(rig.eventsOf('healed'), []);
  holds(t, rig, emulated);
});

t.test('what uses a refused group is refused with it, and both hold when the group does', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1);
  emulated.refuse = (mod) => (mod.type === 'group_mod' ? BAD_OUT_PORT : undefined);
  await rig.synced(1);
  t.match(controller.statusOf(datapathId(1)), {
    state: 'degraded',
    refused: [
      { entry: /^group_id=1,/, owner: 'example.networks', error: 'OFPBAC_BAD_OUT_PORT' },
      { owner: 'example.networks object 1', error: /^OFPBAC_BAD_OUT_GROUP/ },
    ],
  });
  holds(t, rig, emulated, 2);
  emulated.refuse = undefined;
  setEndpoint(controller.facts, WEB, 3);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  await rig.synced(1);
  t.match(controller.statusOf(datapathId(1)), { state: 'in-sync' });
  holds(t, rig, emulated);
});

t.test(
  'what was on its way behind a refused transaction is not blamed for what that one did not bring',
  async (t) => {
    const detours: App = {
      name: 'detours',
      id: 8,
      declare({ facts, entries }) {
        entries('endpoints', facts.endpoints, (context, { network, mac, generation }) => {
          const number = context.get(facts.networks, network)?.number;
          if (number === undefined || generation < 50) return;
          context.flow(`network:${number}`, {
            table: forward,
            priority: 30,
            match: matchOf({ eth_dst: mac }),
            apply: [{ type: 'group', groupId: number }],
          });
        });
      },
    };
    const rig = await start(t, { apps: [app, detours] });
    const { controller } = rig;
    const { facts } = controller;
    const emulated = await rig.connect(1);
    await rig.synced(1);
    emulated.refuse = (mod) => (isFlowTo(100)(mod) ? BAD_OUT_PORT : undefined);
    setNetwork(facts, 'acme/db', 2, 'vxlan', { tag: 100 });
    setEndpoint(facts, 'acme/db', 100, { host: 1, port: 30 });
    setEndpoint(facts, 'acme/db', 101);
    const first = controller.settle();
    setEndpoint(facts, 'acme/db', 101, { generation: 50 });
    const second = controller.settle();
    t.match(await first.acknowledged(datapathId(1)), {
      ok: false,
      refused: [{ error: 'OFPBAC_BAD_OUT_PORT' }],
    });
    t.match(await second.acknowledged(datapathId(1)), { ok: true, refused: [] });
    t.equal(controller.statusOf(datapathId(1))?.refused.length, 1);
    holds(t, rig, emulated, 1);
  },
);

t.test('an entry that no message can hold is refused, without a word to the switch', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1);
  await rig.synced(1);
  for (let n = 3; n <= 2100; n++) setEndpoint(controller.facts, WEB, n);
  const answer = await controller.settle().acknowledged(datapathId(1));
  t.match(answer, { ok: false, refused: [{ owner: 'example.networks', error: 'OFPROTO_MESSAGE_TOO_LONG' }] });
  t.equal(emulated.counters.errorsSent, 0);
  t.ok(flowTo(emulated, 2100));
  t.equal(emulated.tables.groups.get(1)?.buckets.length, 2, 'the group stays as it was');
  for (let n = 3; n <= 2100; n++) controller.facts.endpoints.delete(`${WEB}/e${n}`);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  t.match(controller.statusOf(datapathId(1)), { state: 'in-sync', refused: [] });
  holds(t, rig, emulated);
});

t.test('an audit heals what others have done, and reports it', async (t) => {
  const rig = await start(t);
  const { controller, timer } = rig;
  const emulated = await rig.connect(1);
  await rig.synced(1);
  t.strictSame([...timer.pending.values()], [150_003], 'the first audit, after half the interval and a bit');
  const { tables } = emulated;
  // As Open vSwitch does, the flows that use a group go with it.
  tables.groups.delete(1);
  for (const [key, { match }] of tables.flows)
    if (findOxm(match, F.eth_dst)?.value === 0xffff_ffff_ffff) tables.flows.delete(key);
  const foreign = {
    type: 'flow_mod' as const,
    xid: 0,
    command: FlowModCommand.ADD,
    tableId: 1,
    cookie: 0n,
    cookieMask: 0n,
    idleTimeout: 0,
    hardTimeout: 0,
    priority: 1,
    bufferId: NO_BUFFER,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    flags: 0,
    match: [],
    instructions: [],
  };
  tables.apply(foreign);
  tables.apply({ ...foreign, cookie: 0x57n << 56n, priority: 2 });
  const changed = flowTo(emulated, 2);
  t.ok(changed);
  if (changed) tables.apply({ ...foreign, ...changed, instructions: [] });
  timer.fire();
  await waitFor('the audit', () => controller.statusOf(datapathId(1))?.audits === 1);
  await rig.synced(1);
  const difference = { missing: 2, extra: 1, changed: 1, foreign: 1 };
  t.match(rig.eventsOf('healed'), [{ datapathId: datapathId(1), difference }]);
  t.equal(rig.eventsOf('healed')[0]?.examples.length, 5);
  t.match(controller.statusOf(datapathId(1)), { state: 'in-sync', healed: difference });
  t.strictSame([...timer.pending.values()], [300_000]);
  holds(t, rig, emulated);
  const sent = modifications(emulated);
  timer.fire();
  await waitFor('the next audit', () => controller.statusOf(datapathId(1))?.audits === 2);
  t.equal(modifications(emulated), sent);

  // What others did may come to light before the next audit, too: by an error that says so.
  tables.groups.delete(1);
  setEndpoint(controller.facts, WEB, 3);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  t.equal(tables.groups.get(1)?.buckets.length, 3, 'added, where a change was refused');
});

t.test('changes that come while the switch is read, or while it is behind, are coalesced', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1, { delayMs: 20 });
  await waitFor('reading', () => controller.statusOf(datapathId(1))?.state === 'reading');
  setEndpoint(controller.facts, WEB, 3, { generation: 3 });
  controller.facts.endpoints.delete(`${WEB}/e2`);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  holds(t, rig, emulated);
  t.equal(rig.eventsOf('synced').length, 1);

  const sent = controller.counters.transactions;
  const turns = [];
  for (let generation = 4; generation < 204; generation++) {
    setEndpoint(controller.facts, WEB, 3, { generation });
    turns.push(controller.settle());
  }
  const last = await Promise.all(turns.map((turn) => turn.acknowledged(datapathId(1))));
  t.ok(last.every(({ ok }) => ok));
  t.match(flowTo(emulated, 3)?.instructions, [{ actions: [{ port: 203 }] }]);
  t.equal(controller.counters.transactions - sent, 65, 'so many on their way, and one for all the rest');
  holds(t, rig, emulated);
});

t.test(
  'what is on its way when the connection breaks is not acknowledged, and the next session brings it',
  async (t) => {
    const rig = await start(t);
    const { controller } = rig;
    const emulated = await rig.connect(1);
    await rig.synced(1);
    emulated.freeze();
    setEndpoint(controller.facts, WEB, 3);
    const turn = controller.settle();
    const answer = turn.acknowledged(datapathId(1));
    emulated.drop();
    t.match(await answer, { ok: false, reason: 'disconnected' });
    setEndpoint(controller.facts, WEB, 4);
    t.match(await controller.settle().acknowledged(datapathId(1)), { ok: false, reason: 'disconnected' });
    await emulated.connect();
    await rig.synced(1);
    t.ok(flowTo(emulated, 3));
    holds(t, rig, emulated);
  },
);

t.test(
  'a switch that nobody claims is left alone, until somebody does and once nobody does any more',
  async (t) => {
    const rig = await start(t);
    const { controller } = rig;
    const emulated = await rig.connect(5);
    await waitFor('unclaimed', () => controller.statusOf(datapathId(5))?.state === 'unclaimed');
    t.equal(modifications(emulated), 0);
    setHost(controller.facts, 5);
    setEndpoint(controller.facts, WEB, 5, { host: 5, port: 10 });
    t.match(await controller.settle().acknowledged(datapathId(5)), { ok: true });
    holds(t, rig, emulated);
    t.ok(flowTo(emulated, 5));
    controller.facts.hosts.delete('h5');
    t.match(await controller.settle().acknowledged(datapathId(5)), { ok: true });
    t.equal(emulated.flows.length, 0);
    t.match(controller.statusOf(datapathId(5)), { state: 'unclaimed' });
    emulated.drop();
    await waitFor('forgotten', () => controller.statusOf(datapathId(5)) === undefined);

    const away = await rig.connect(2);
    await rig.synced(2);
    away.drop();
    await waitFor('away', () => controller.statusOf(datapathId(2))?.state === 'disconnected');
    controller.facts.hosts.delete('h2');
    controller.settle();
    t.equal(
      controller.statusOf(datapathId(2)),
      undefined,
      'forgotten as well where nobody claims it while it is away',
    );
  },
);

t.test('a switch that is unclaimed while it is first read is left as it is', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1);
  await rig.synced(1);
  const { size } = emulated.tables.flows;
  emulated.drop();
  await waitFor('away', () => controller.statusOf(datapathId(1))?.state === 'disconnected');
  const sent = modifications(emulated);
  emulated.delayMs = 20;
  await emulated.connect();
  await waitFor('reading', () => controller.statusOf(datapathId(1))?.state === 'reading');
  controller.facts.hosts.delete('h1');
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  t.match(controller.statusOf(datapathId(1)), { state: 'unclaimed', waiting: 0 });
  emulated.delayMs = 0;
  setHost(controller.facts, 1);
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  t.equal(emulated.tables.flows.size, size);
  t.equal(modifications(emulated), sent, 'and claimed again, it holds what it is to hold');
});

t.test('a switch without bundles holds everything but what it refuses', async (t) => {
  const rig = await start(t);
  const { controller } = rig;
  const emulated = await rig.connect(1, {
    bundles: false,
    refuse: (mod) => (isFlowTo(2)(mod) ? BAD_OUT_PORT : undefined),
  });
  await rig.synced(1);
  t.match(controller.statusOf(datapathId(1)), {
    state: 'degraded',
    refused: [{ error: 'OFPBAC_BAD_OUT_PORT' }],
  });
  holds(t, rig, emulated, 1);
  emulated.refuse = undefined;
  setEndpoint(controller.facts, WEB, 2, { host: 2, port: 12, generation: 2 });
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: true });
  holds(t, rig, emulated);
});

t.test(
  'a switch that fails bundles for reasons of its own gets a new session, which starts with a read',
  async (t) => {
    const rig = await start(t);
    const { controller } = rig;
    const emulated = await rig.connect(1, { reconnectMs: 10 });
    await rig.synced(1);
    const stop = emulated.onMessage((message) => {
      if (message.type !== 'bundle_control') return;
      stop();
      const error = { errorType: ErrorType.EXPERIMENTER, code: BundleFailedCode.OUT_OF_BUNDLES };
      const { xid } = message;
      emulated.send({ type: 'error', xid, ...error, experimenter: ONF_EXPERIMENTER, data: new Uint8Array() });
    });
    setEndpoint(controller.facts, WEB, 3);
    t.match(await controller.settle().acknowledged(datapathId(1)), { ok: false, reason: 'disconnected' });
    t.match(rig.eventsOf('trouble'), [{ error: { message: 'OFPBFC_OUT_OF_BUNDLES' } }]);
    await rig.synced(1);
    t.equal(rig.eventsOf('synced').length, 2);
    t.ok(flowTo(emulated, 3));
    holds(t, rig, emulated);
  },
);

t.test('a switch that cannot be read is tried again', async (t) => {
  const rig = await start(t, { readTimeoutMs: 50 });
  const { controller, timer } = rig;
  const emulated = await rig.connect(1, { delayMs: 200 });
  await waitFor('reading', () => controller.statusOf(datapathId(1))?.state === 'reading');
  setEndpoint(controller.facts, WEB, 3);
  const answer = controller.settle().acknowledged(datapathId(1));
  await waitFor('trouble', () => rig.eventsOf('trouble').length === 1, 5_000);
  t.match(rig.eventsOf('trouble'), [{ datapathId: datapathId(1), error: { code: 'switch.timeout' } }]);
  t.equal(controller.statusOf(datapathId(1))?.state, 'reading');
  t.strictSame([...timer.pending.values()], [1000]);
  t.match(await answer, { ok: false, reason: 'unreadable' }, 'nobody waits for what may never come');
  setEndpoint(controller.facts, WEB, 4);
  const turn = controller.settle();
  t.match(
    await turn.acknowledged(datapathId(1)),
    { ok: false, reason: 'unreadable' },
    'of later turns neither',
  );
  t.match(await controller.settle().acknowledged(datapathId(1)), { ok: false, reason: 'unreadable' });
  emulated.delayMs = 0;
  await waitFor('in sync', () => {
    timer.fire(); // its answers from before delay the next ones
    return controller.statusOf(datapathId(1))?.state === 'in-sync';
  });
  t.ok(flowTo(emulated, 4));
  holds(t, rig, emulated);
});
