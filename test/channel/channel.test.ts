import t from 'tap';
import type { Test } from 'tap';
import type { ChannelOptions, SwitchSession, TransactionResult } from '../../controller/channel/index.js';
import { ChannelListener, SwitchError, TurnEncoder } from '../../controller/channel/index.js';
import type { FlowMod, GroupMod, MeterMod, PortStatus } from '../../ofproto/index.js';
import {
  BundleControlType,
  ErrorType,
  F,
  FlowModCommand,
  FlowModFailedCode,
  Group,
  GroupModCommand,
  GroupType,
  MeterFlag,
  MeterModCommand,
  NO_BUFFER,
  oxm,
  Port,
} from '../../ofproto/index.js';
import type { EmulatedSwitchOptions } from '../../topologies/emulated/index.js';
import { EmulatedFleet, EmulatedSwitch } from '../../topologies/emulated/index.js';
import { waitFor } from '../support/wait-for.js';

/** A listener on a free port of the loopback. */
async function startListener(t: Test, options: Partial<ChannelOptions> = {}) {
  const listener = new ChannelListener({ host: '127.0.0.1', port: 0, ...options });
  const { port } = await listener.listen();
  t.teardown(() => listener.close());
  return { listener, controller: { host: '127.0.0.1', port } };
}

async function startSwitch(t: Test, options: EmulatedSwitchOptions): Promise<EmulatedSwitch> {
  const emulated = await EmulatedSwitch.connect(options);
  t.teardown(() => emulated.stop());
  return emulated;
}

const sessionOf = (listener: ChannelListener, datapathId: string): Promise<SwitchSession> =>
  waitFor(`session of ${datapathId}`, () => listener.sessions.get(datapathId));

const ONE = '0000000000000001';

const flow = (priority: number, more: Partial<FlowMod> = {}): FlowMod => ({
  type: 'flow_mod',
  xid: 0,
  command: FlowModCommand.ADD,
  tableId: 0,
  cookie: 0n,
  cookieMask: 0n,
  idleTimeout: 0,
  hardTimeout: 0,
  priority,
  bufferId: NO_BUFFER,
  outPort: Port.ANY,
  outGroup: Group.ANY,
  flags: 0,
  match: [oxm(F.in_port, priority)],
  instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: 1, maxLen: 0 }] }],
  ...more,
});
const toGroup = (priority: number, groupId: number): FlowMod =>
  flow(priority, { instructions: [{ type: 'apply_actions', actions: [{ type: 'group', groupId }] }] });
const group = (groupId: number, command: number = GroupModCommand.ADD): GroupMod => ({
  type: 'group_mod',
  xid: 0,
  command,
  groupType: GroupType.ALL,
  groupId,
  buckets: [],
});
const meter = (meterId: number, command: number = MeterModCommand.ADD): MeterMod => ({
  type: 'meter_mod',
  xid: 0,
  command,
  flags: MeterFlag.KBPS,
  meterId,
  bands: command === MeterModCommand.DELETE ? [] : [{ type: 'drop', rate: 1000, burstSize: 0 }],
});

t.test('handshake: features, ports, description, capabilities; port status; down', async (t) => {
  const events: unknown[] = [];
  const logger = {
    debug: () => {},
    info: (fields: { event: string }) => events.push(fields.event),
    warn: (fields: { event: string }) => events.push(fields.event),
    error: (fields: { event: string }) => events.push(fields.event),
  };
  const { listener, controller } = await startListener(t, { logger });
  const downs: string[] = [];
  const statuses: PortStatus[] = [];
  listener.onDown((_session, reason) => downs.push(reason));
  listener.onPortStatus((_session, status) => statuses.push(status));
  const ports = [
    { number: 1, name: 'one' },
    { number: 65000, name: 'weft-vxlan', up: false },
  ];
  const emulated = await startSwitch(t, { controller, datapathId: '00000000000000ab', ports });
  const session = await sessionOf(listener, '00000000000000ab');
  t.equal(session.features.tables, 254);
  t.equal(session.description.software, 'weft-emulated');
  t.match(session.remoteAddress, /^127\.0\.0\.1:\d+$/);
  t.strictSame(
    [...session.ports.values()].map(({ portNo, name }) => [portNo, name]),
    [
      [1, 'one'],
      [65000, 'weft-vxlan'],
    ],
  );
  t.strictSame(session.capabilities, { bundles: true, roles: true, asyncConfig: true, packetIn2: true });

  emulated.setPort({ number: 2, name: 'two' });
  emulated.removePort(1);
  await waitFor('two port statuses', () => statuses.length === 2);
  t.strictSame([...session.ports.keys()].sort(), [2, 65000]);

  await emulated.stop();
  await waitFor('down', () => downs.length === 1);
  t.notOk(session.open);
  t.equal(listener.sessions.size, 0);
  t.strictSame(events, ['channel.listening', 'switch.up', 'switch.down']);
});

t.test('transactions', async (t) => {
  const { listener, controller } = await startListener(t);
  const emulated = await startSwitch(t, { controller, datapathId: ONE });
  const session = await sessionOf(listener, ONE);
  const turn = () => new TurnEncoder(listener.numbering);
  const clear = () => {
    emulated.tables.clear();
    emulated.refuse = undefined;
  };

  await t.test('groups before the flows that use them, meters before both', async (t) => {
    const encoder = turn();
    const transaction = encoder.transaction({
      meters: [encoder.meters([meter(1)])],
      chunks: [encoder.chunk([group(5)]), encoder.chunk([toGroup(10, 5), flow(11)])],
    });
    t.strictSame(await session.transact(transaction), { committed: true, atomic: true, errors: [] });
    t.equal(emulated.flows.length, 2);
    t.strictSame([...emulated.tables.groups.keys()], [5]);
    t.strictSame([...emulated.tables.meters.keys()], [1]);
    t.equal(encoder.encodedMessages, 4);
    clear();
  });

  await t.test('a modification refused at commit is named, and nothing stays', async (t) => {
    const encoder = turn();
    const bad = toGroup(12, 99);
    const result = await session.transact(
      encoder.transaction({ chunks: [encoder.chunk([flow(10), group(5)]), encoder.chunk([flow(11), bad])] }),
    );
    t.notOk(result.committed);
    t.ok(result.atomic);
    t.equal(result.errors.length, 1);
    t.equal(result.errors[0]?.modification, bad);
    t.equal(result.errors[0]?.name, 'OFPBAC_BAD_OUT_GROUP');
    t.equal(emulated.flows.length, 0);
    t.equal(emulated.tables.groups.size, 0);
    clear();
  });

  await t.test(
    'modifications refused as they are added: all are named, the bundle is discarded',
    async (t) => {
      const refusal = {
        errorType: ErrorType.FLOW_MOD_FAILED,
        code: FlowModFailedCode.EPERM,
        when: 'add',
      } as const;
      emulated.refuse = (mod) => (mod.type === 'flow_mod' && mod.priority % 2 === 1 ? refusal : undefined);
      const discarded = emulated.counters.bundlesDiscarded;
      const flows = [10, 11, 12, 13].map((priority) => flow(priority));
      const encoder = turn();
      const result = await session.transact(encoder.transaction({ chunks: [encoder.chunk(flows)] }));
      t.notOk(result.committed);
      t.strictSame(
        result.errors.map(({ modification, name }) => [modification, name]),
        [
          [flows[1], 'OFPFMFC_EPERM'],
          [flows[3], 'OFPFMFC_EPERM'],
        ],
      );
      t.equal(emulated.flows.length, 0);
      t.equal(emulated.counters.bundlesDiscarded, discarded + 1);
      clear();
    },
  );

  await t.test('one modification alone: one round trip, and refused like any other', async (t) => {
    const alone = async (modification: FlowMod) => {
      const encoder = turn();
      return session.transact(encoder.transaction({ chunks: [encoder.chunk([modification])] }));
    };
    const closes: number[] = [];
    const stop = emulated.onMessage((message) => {
      if (message.type === 'bundle_control') closes.push(message.controlType);
    });
    t.strictSame(await alone(flow(10)), { committed: true, atomic: true, errors: [] });
    t.strictSame(closes, [BundleControlType.OPEN_REQUEST, BundleControlType.COMMIT_REQUEST]);
    stop();
    t.equal((await alone(toGroup(11, 99))).errors[0]?.name, 'OFPBAC_BAD_OUT_GROUP');
    const refusal = {
      errorType: ErrorType.FLOW_MOD_FAILED,
      code: FlowModFailedCode.EPERM,
      when: 'add',
    } as const;
    emulated.refuse = () => refusal;
    const refused = flow(12);
    const result = await alone(refused);
    t.notOk(result.committed);
    t.equal(result.errors.length, 1);
    t.equal(result.errors[0]?.modification, refused);
    t.equal(emulated.flows.length, 1);
    clear();
  });

  await t.test('a refused meter stops the bundle', async (t) => {
    emulated.refuse = (mod) =>
      mod.type === 'meter_mod' ? { errorType: ErrorType.METER_MOD_FAILED, code: 6 } : undefined;
    const encoder = turn();
    const police = meter(7);
    const result = await session.transact(
      encoder.transaction({ meters: [encoder.meters([police])], chunks: [encoder.chunk([flow(10)])] }),
    );
    t.notOk(result.committed);
    t.equal(result.errors[0]?.modification, police);
    t.equal(result.errors[0]?.name, 'OFPMMFC_BAD_RATE');
    t.equal(emulated.flows.length, 0);
    clear();
  });

  await t.test(
    'meters are deleted after the entries that used them, and not when the commit failed',
    async (t) => {
      const first = turn();
      const metered = flow(10, { instructions: [{ type: 'meter', meterId: 1 }] });
      await session.transact(
        first.transaction({ meters: [first.meters([meter(1)])], chunks: [first.chunk([metered])] }),
      );
      const failing = turn();
      const failed = await session.transact(
        failing.transaction({
          chunks: [failing.chunk([flow(10, { command: FlowModCommand.DELETE_STRICT }), toGroup(11, 99)])],
          metersAfter: [failing.meters([meter(1, MeterModCommand.DELETE)])],
        }),
      );
      t.notOk(failed.committed);
      t.equal(emulated.flows.length, 1, 'the entry is still there');
      t.equal(emulated.tables.meters.size, 1, 'and its meter');
      const second = turn();
      const done = await session.transact(
        second.transaction({
          chunks: [second.chunk([flow(10)])],
          metersAfter: [second.meters([meter(1, MeterModCommand.DELETE)])],
        }),
      );
      t.strictSame(done, { committed: true, atomic: true, errors: [] });
      t.equal(emulated.tables.meters.size, 0);
      t.equal(emulated.flows.length, 1, 'the entry was changed before its meter went');
      clear();
    },
  );

  await t.test('a meter that goes and comes back at once', async (t) => {
    const begin = turn();
    const metered = flow(10, { instructions: [{ type: 'meter', meterId: 1 }] });
    await session.transact(
      begin.transaction({ meters: [begin.meters([meter(1)])], chunks: [begin.chunk([metered])] }),
    );
    const [going, coming] = [turn(), turn()];
    const results = await Promise.all([
      session.transact(
        going.transaction({
          chunks: [going.chunk([flow(10, { command: FlowModCommand.DELETE_STRICT })])],
          metersAfter: [going.meters([meter(1, MeterModCommand.DELETE)])],
        }),
      ),
      session.transact(
        coming.transaction({ meters: [coming.meters([meter(1)])], chunks: [coming.chunk([metered])] }),
      ),
    ]);
    t.strictSame(
      results.map(({ errors }) => errors),
      [[], []],
      'it is not added before it has gone',
    );
    t.equal(emulated.tables.meters.size, 1);
    t.equal(emulated.flows.length, 1);
    clear();
  });

  await t.test('many at once are committed in the order of the calls', async (t) => {
    const results: Promise<TransactionResult>[] = [];
    for (let i = 0; i < 20; i++) {
      const encoder = turn();
      // Each adds the group of the next and uses that of the one before.
      const modifications = i === 0 ? [group(1)] : [group(i + 1), toGroup(i, i)];
      results.push(session.transact(encoder.transaction({ chunks: [encoder.chunk(modifications)] })));
    }
    t.ok((await Promise.all(results)).every(({ committed }) => committed));
    t.equal(emulated.flows.length, 19);
    clear();
  });

  await t.test('an empty transaction is a barrier', async (t) => {
    t.ok((await session.transact(turn().transaction({ chunks: [] }))).committed);
  });

  await t.test('chunks of another turn are refused', async (t) => {
    t.throws(() => turn().transaction({ chunks: [turn().chunk([flow(1)])] }), /encode it with this encoder/);
  });

  await t.test('a connection that ends takes its transactions along', async (t) => {
    emulated.freeze();
    const encoder = turn();
    const result = session.transact(encoder.transaction({ chunks: [encoder.chunk([flow(1)])] }));
    const echo = session.request({ type: 'echo_request', xid: session.xid(), data: new Uint8Array(0) });
    session.close('test');
    await t.rejects(result, { code: 'switch.closed' });
    await t.rejects(echo, { code: 'switch.closed' });
    await t.rejects(session.transact(turn().transaction({ chunks: [] })), { code: 'switch.closed' });
  });
});

t.test(
  'the same bytes go to every switch, and an error still names its entry on the one that sent it',
  async (t) => {
    const { listener, controller } = await startListener(t);
    const fleet = await EmulatedFleet.start({ count: 20, controller });
    t.teardown(() => fleet.stop());
    await waitFor('20 sessions', () => listener.sessions.size === 20);
    const picky = fleet.switches[7]!;
    picky.refuse = (mod) =>
      mod.type === 'flow_mod' && mod.priority === 2
        ? { errorType: ErrorType.FLOW_MOD_FAILED, code: 1 }
        : undefined;
    const encoder = new TurnEncoder(listener.numbering);
    const flows = [flow(1), flow(2), flow(3)];
    const transaction = encoder.transaction({ chunks: [encoder.chunk(flows)] });
    const results = await Promise.all(
      [...listener.sessions].map(async ([datapathId, session]) => ({
        datapathId,
        ...(await session.transact(transaction)),
      })),
    );
    const refused = results.filter(({ committed }) => !committed);
    t.strictSame(
      refused.map(({ datapathId, errors }) => [datapathId, errors.map(({ modification }) => modification)]),
      [[picky.datapathId, [flows[1]]]],
    );
    t.equal(fleet.counters.flowMods, 60);
    t.equal(encoder.encodedMessages, 3, 'encoded once for all');
  },
);

t.test('a switch without bundles gets plain modifications and a barrier', async (t) => {
  const { listener, controller } = await startListener(t);
  const emulated = await startSwitch(t, { controller, datapathId: ONE, bundles: false });
  const session = await sessionOf(listener, ONE);
  t.notOk(session.capabilities.bundles);
  const encoder = new TurnEncoder(listener.numbering);
  const bad = toGroup(12, 99);
  const result = await session.transact(
    encoder.transaction({
      meters: [encoder.meters([meter(1)])],
      chunks: [encoder.chunk([flow(10), bad, flow(11)])],
    }),
  );
  t.match(result, { committed: false, atomic: false });
  t.strictSame(
    result.errors.map(({ modification, name }) => [modification, name]),
    [[bad, 'OFPBAC_BAD_OUT_GROUP']],
  );
  t.equal(emulated.flows.length, 2);
});

t.test('requests: reply, refusal, barrier behind a command, timeout, abort, merged multipart', async (t) => {
  const { listener, controller } = await startListener(t);
  const emulated = await startSwitch(t, { controller, datapathId: ONE });
  const session = await sessionOf(listener, ONE);
  const xid = () => session.xid();

  t.equal((await session.request({ type: 'get_config_request', xid: xid() })).type, 'get_config_reply');
  t.equal((await session.request({ ...flow(1), xid: xid() })).type, 'barrier_reply');
  await t.rejects(session.request({ ...toGroup(2, 99), xid: xid() }), {
    code: 'switch.error',
    error: { errorType: ErrorType.BAD_ACTION },
  });
  t.equal((await session.requestRole(1, 0n)).type, 'role_reply');

  const flows = Array.from({ length: 3000 }, (_, i) => flow(i + 1));
  const encoder = new TurnEncoder(listener.numbering);
  await session.transact(encoder.transaction({ chunks: encoder.chunks(flows) }));
  const all = {
    tableId: 0xff,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    cookie: 0n,
    cookieMask: 0n,
    match: [],
  };
  const dump = await session.multipart({
    type: 'multipart_request',
    xid: xid(),
    more: false,
    multipartType: 'flow',
    body: all,
  });
  t.equal(dump.body.length, 3000);
  t.notOk(dump.more);

  emulated.freeze();
  const echo = () => ({ type: 'echo_request', xid: xid(), data: new Uint8Array(0) }) as const;
  await t.rejects(session.request(echo(), { timeoutMs: 20 }), { code: 'switch.timeout' });
  const abort = new AbortController();
  const aborted = session.request(echo(), { signal: abort.signal });
  abort.abort(new Error('no longer wanted'));
  await t.rejects(aborted, { code: 'switch.aborted' });
  await t.rejects(session.request(echo(), { signal: AbortSignal.abort() }), SwitchError);
  const twice = echo();
  const first = session.request(twice);
  await t.rejects(session.request(twice), { code: 'switch.unexpected' }, 'an xid in use is refused');
  emulated.thaw();
  t.equal((await first).type, 'echo_reply', 'late answers of given-up requests disturb nothing');
});
