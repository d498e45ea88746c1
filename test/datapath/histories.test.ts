/** Random histories, many members, and entries whose fate differs from switch to switch. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { DatapathControllerOptions } from '../../controller/datapath/index.js';
import { type FlowMod, type GroupMod, matchOf, type MeterMod, NO_BUFFER, Port } from '../../ofproto/index.js';
import {
  EmulatedFleet,
  type EmulatedSwitch,
  type EmulatedSwitchOptions,
} from '../../topologies/emulated/index.js';
import { datapathId, setHost, setNetwork } from '../apps/facts.js';
import { waitFor } from '../support/wait-for.js';
import { app, held, pipeline, wanted } from './members-app.js';
import { Rig } from './rig.js';

type Modification = FlowMod | GroupMod | MeterMod;
const BAD_PORT = { errorType: 2, code: 4 };

/** A rig with an app that uses everything, and facts in short. */
class MembersRig extends Rig {
  constructor(options: Partial<DatapathControllerOptions> = {}) {
    super({ pipeline, apps: [app], ...options });
  }

  host(number: number): void {
    setHost(this.controller.facts, number);
  }

  network(number: number): void {
    setNetwork(this.controller.facts, `t/n${number}`, number, 'vxlan');
  }

  endpoint(number: number, network: number, host: number, mac = 0x020000000000 + number): void {
    this.controller.facts.endpoints.set(`e${number}`, {
      id: `e${number}`,
      network: `t/n${network}`,
      name: `e${number}`,
      number,
      mac,
      ipv4: [],
      ipv6: [],
      generation: 1,
      host: `h${host}`,
      interface: `v${number}`,
    });
  }

  assertHolds(host: number, { tables }: EmulatedSwitch): void {
    assert.deepEqual(held(tables), wanted(this.controller.desired(datapathId(host))));
  }

  async audit(host: number): Promise<void> {
    const audits = () => this.controller.statusOf(datapathId(host))?.audits ?? 0;
    const before = audits();
    this.timer.fire();
    await waitFor('audit', () => audits() > before);
    await this.synced(host);
  }
}

async function rigged(t: Test, hosts: readonly number[] = [], options: Partial<EmulatedSwitchOptions> = {}) {
  const rig = new MembersRig();
  t.teardown(() => rig.stop());
  await rig.listen();
  for (const host of hosts) rig.host(host);
  rig.network(1);
  rig.network(2);
  for (let number = 1; number <= 6 && hosts.length > 0; number++)
    rig.endpoint(number, 1, 1 + ((number - 1) % hosts.length));
  rig.controller.settle();
  const switches = await Promise.all(hosts.map((host) => rig.connect(host, options)));
  await rig.synced(...hosts);
  return { rig, switches };
}

const check = async (rig: MembersRig, switches: readonly EmulatedSwitch[]) => {
  await rig.controller.settle().all();
  for (const [i, emulated] of switches.entries()) rig.assertHolds(i + 1, emulated);
};

t.test('an endpoint that moves: its old host drops the network, the new one gets all of it', async (t) => {
  const { rig, switches } = await rigged(t, [1, 2, 3]);
  rig.endpoint(7, 2, 1);
  rig.endpoint(8, 2, 2);
  await check(rig, switches);
  const [old, , next] = switches;
  t.strictSame([old!.tables.groups.size, next!.tables.groups.size], [4, 2]);
  rig.endpoint(7, 2, 3);
  await check(rig, switches);
  t.strictSame([old!.tables.groups.size, next!.tables.groups.size], [2, 4]);
});

t.test('an entry in two scopes of one switch is decided for each switch', async () => {
  const { rig, switches } = await rigged(t, [1, 2]);
  for (const [host, mac] of [
    [1, 13],
    [2, 13],
    [2, 14],
    [2, 13],
    [1, 14],
  ] as const) {
    rig.endpoint(20, 1, host, mac);
    await check(rig, switches);
  }
  rig.controller.facts.endpoints.delete('e20');
  await check(rig, switches);
});

/** Refuses the local entry of endpoints from `first` to `last`. */
const refuseEndpoints = (first: number, last: number, when: 'add' | 'commit') => (mod: Modification) => {
  if (mod.type !== 'flow_mod' || mod.priority !== 30 || mod.command !== 0) return undefined;
  const object = Number(mod.cookie & 0xffff_ffffn);
  return object >= first && object <= last ? { ...BAD_PORT, when } : undefined;
};

for (const when of ['add', 'commit'] as const) {
  t.test(
    `what a switch refuses at ${when} is told to whom it concerns, and tried when it changes and by the audit`,
    async (t) => {
      const { rig, switches } = await rigged(t, [1, 2]);
      const { controller } = rig;
      const [emulated] = switches as [EmulatedSwitch];
      const id = datapathId(1);
      emulated.refuse = refuseEndpoints(10, 11, when);
      rig.endpoint(10, 1, 1);
      rig.endpoint(11, 1, 1);
      const answer = await controller.settle().acknowledged(id);
      t.match(answer, { ok: false, reason: 'refused' });
      t.strictSame(answer.refused.map(({ owner, error }) => `${owner} ${error}`).sort(), [
        'test.endpoint object 10 OFPBAC_BAD_OUT_PORT',
        'test.endpoint object 11 OFPBAC_BAD_OUT_PORT',
      ]);
      const missing = wanted(controller.desired(id)).filter((text) => !held(emulated.tables).includes(text));
      t.equal(missing.length, 2, 'everything else is there');
      t.match(controller.statusOf(id), { state: 'degraded', refused: { length: 2 } });

      // While a switch is behind, turns coalesce: a refusal is the business of the turn that asked for the entry.
      emulated.delayMs = 5;
      rig.endpoint(12, 2, 1);
      const innocent = controller.settle();
      rig.endpoint(11, 1, 1, 0x020000001111);
      const guilty = controller.settle();
      t.match(await innocent.acknowledged(id), { ok: true });
      t.match(await guilty.acknowledged(id), { ok: false, refused: { length: 1 } });
      emulated.delayMs = 0;

      emulated.refuse = refuseEndpoints(10, 10, when);
      await rig.audit(1);
      t.match(controller.statusOf(id), { state: 'degraded', refused: { length: 1 } });
      emulated.refuse = undefined;
      rig.endpoint(10, 1, 1, 0x020000005555);
      t.match(await controller.settle().acknowledged(id), { ok: true });
      rig.assertHolds(1, emulated);
      t.match(controller.statusOf(id), { state: 'in-sync', refused: [] });
    },
  );
}

t.test(
  'a dead switch delays nobody; it is told as disconnected, and its next session brings it into line',
  async (t) => {
    const { rig, switches } = await rigged(t, [1, 2]);
    const [dead, alive] = switches as [EmulatedSwitch, EmulatedSwitch];
    dead.freeze();
    const answers: Promise<{ ok: boolean }>[] = [];
    for (let number = 100; number < 200; number++) {
      rig.endpoint(number, 1, 2);
      const turn = rig.controller.settle();
      answers.push(turn.acknowledged(datapathId(1)));
      assert.equal((await turn.acknowledged(datapathId(2))).ok, true);
    }
    rig.assertHolds(2, alive);
    t.match(rig.controller.statusOf(datapathId(1)), { state: 'writing' });
    dead.drop();
    for (const answer of await Promise.all(answers))
      assert.deepEqual(
        { ...answer, datapathId: '' },
        { datapathId: '', ok: false, reason: 'disconnected', refused: [] },
      );
    t.equal(rig.controller.statusOf(datapathId(1))?.state, 'disconnected');
    rig.endpoint(300, 1, 2);
    t.match(await rig.controller.settle().acknowledged(datapathId(1)), { ok: false, reason: 'disconnected' });
    await dead.stop();
    await dead.connect();
    await rig.synced(1);
    rig.assertHolds(1, dead);
  },
);

t.test('whatever happens in whatever order, a switch ends with its desired table', async () => {
  const number = fc.integer({ min: 1, max: 12 });
  const network = fc.integer({ min: 1, max: 3 });
  const simple = (kind: 'settle' | 'breathe' | 'reconnect' | 'restart' | 'damage') =>
    fc.constant({ kind } as const);
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('endpoint' as const),
        number,
        network,
        host: fc.integer({ min: 1, max: 3 }),
        mac: fc.constantFrom(13, undefined),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), number }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('network' as const), network, gone: fc.boolean() }),
    },
    { weight: 6, arbitrary: simple('settle') },
    { weight: 3, arbitrary: simple('breathe') },
    { weight: 1, arbitrary: fc.oneof(simple('reconnect'), simple('restart'), simple('damage')) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('refuse' as const),
        priority: fc.constantFrom(0, 10, 20, 30),
        when: fc.constantFrom('add' as const, 'commit' as const),
      }),
    },
  );
  const run = async (
    steps: typeof step extends fc.Arbitrary<infer S> ? readonly S[] : never,
    delayMs: number,
    bundles: boolean,
  ) => {
    const rig = new MembersRig();
    try {
      await rig.listen();
      for (const host of [1, 2]) rig.host(host);
      const emulated = await rig.connect(1, { delayMs, bundles });
      for (const action of steps) await perform(rig, emulated, action);
      emulated.refuse = undefined;
      const audits = rig.controller.statusOf(datapathId(1))?.audits ?? 0;
      rig.controller.settle();
      await rig.synced(1);
      if (rig.controller.statusOf(datapathId(1))?.audits === audits) await rig.audit(1);
      rig.assertHolds(1, emulated);
      assert.equal(rig.controller.statusOf(datapathId(1))?.state, 'in-sync');
    } finally {
      await rig.stop();
    }
  };
  const perform = async (
    rig: MembersRig,
    emulated: EmulatedSwitch,
    action: typeof step extends fc.Arbitrary<infer S> ? S : never,
  ) => {
    switch (action.kind) {
      case 'endpoint':
        return rig.endpoint(action.number, action.network, action.host, action.mac);
      case 'remove':
        return void rig.controller.facts.endpoints.delete(`e${action.number}`);
      case 'network':
        if (action.gone) rig.controller.facts.networks.delete(`t/n${action.network}`);
        else rig.network(action.network);
        return undefined;
      case 'settle':
        return void rig.controller.settle();
      case 'breathe':
        return new Promise<void>((resolve) => void setImmediate(resolve));
      case 'reconnect':
        await emulated.stop();
        return emulated.connect();
      case 'restart':
        return emulated.restart();
      case 'damage':
        return void emulated.tables.apply(foreignFlow);
      case 'refuse':
        emulated.refuse = (mod) =>
          mod.type === 'flow_mod' && mod.priority === action.priority
            ? { ...BAD_PORT, when: action.when }
            : undefined;
        return undefined;
    }
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 40 }),
      fc.constantFrom(0, 1),
      fc.constantFrom(true, true, true, false),
      run,
    ),
    { numRuns: 60 },
  );
});

const foreignFlow: FlowMod = {
  type: 'flow_mod',
  xid: 0,
  command: 0,
  tableId: 1,
  cookie: 0n,
  cookieMask: 0n,
  idleTimeout: 0,
  hardTimeout: 0,
  priority: 5,
  bufferId: NO_BUFFER,
  outPort: Port.ANY,
  outGroup: 0xffffffff,
  flags: 0,
  match: matchOf({ in_port: 5 }),
  instructions: [],
};

/** 4,000 hosts without their switches are in test/apps/scale.test.ts, 1,000 with them in bench/endpoint-add.ts. */
t.test('one more endpoint among 200 members is derived and encoded as among ten', async (t) => {
  const measure = async (hosts: number) => {
    const rig = new MembersRig();
    const controllerAddress = await rig.listen();
    rig.network(1);
    for (let host = 1; host <= hosts; host++) rig.host(host);
    rig.controller.settle();
    const fleet = await EmulatedFleet.start({
      count: hosts,
      controller: controllerAddress,
      store: false,
      reconnectMs: 1000,
    });
    for (let host = 1; host <= hosts; host++) await rig.synced(host);
    for (let host = 1; host <= hosts; host++) rig.endpoint(host, 1, host);
    await rig.controller.settle().all();
    const before = { ...rig.controller.counters };
    rig.endpoint(5000, 1, 1);
    const turn = rig.controller.settle();
    assert.equal(turn.datapaths.length, hosts);
    for (const answer of (await turn.all()).values()) assert.equal(answer.ok, true);
    const after = { ...rig.controller.counters };
    await fleet.stop();
    await rig.stop();
    return {
      runs: after.derivationRuns - before.derivationRuns,
      encoded: after.entriesEncoded - before.entriesEncoded,
      bytes: after.bytesEncoded - before.bytesEncoded,
      sent: after.entriesSent - before.entriesSent,
    };
  };
  const [few, many] = [await measure(10), await measure(200)];
  t.strictSame({ ...many, sent: 0 }, { ...few, sent: 0 });
  t.strictSame([few.sent, many.sent], [10 + 2, 200 + 2]);
  t.equal(many.encoded, 3, 'one entry of the network, two of the host');
});
