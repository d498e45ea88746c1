/** Sessions with a real Open vSwitch. */
import t from 'tap';
import type { PacketInMessage, SwitchSession } from '../../controller/channel/index.js';
import { ChannelListener, TurnEncoder } from '../../controller/channel/index.js';
import type { FlowMod, GroupMod, MeterMod, PortStatus } from '../../ofproto/index.js';
import {
  F,
  FlowModCommand,
  findOxm,
  Group,
  GroupModCommand,
  GroupType,
  MeterFlag,
  MeterModCommand,
  NO_BUFFER,
  oxm,
  Port,
} from '../../ofproto/index.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { waitFor } from '../support/wait-for.js';

const ID = '00000000000000aa';
const OTHER_ID = '00000000000000bb';

const ovs = await OpenVSwitch.start();
t.teardown(() => ovs.stop());
const listener = new ChannelListener({
  host: '127.0.0.1',
  port: 0,
  echoIntervalMs: 300,
  echoToleranceMs: 500,
});
t.teardown(() => listener.close());
const { port } = await listener.listen();
const downs: string[] = [];
listener.onDown((session, reason) => downs.push(`${session.datapathId} ${reason}`));

const sessionOf = (datapathId: string, except?: SwitchSession): Promise<SwitchSession> =>
  waitFor(`session of ${datapathId}`, () => {
    const session = listener.sessions.get(datapathId);
    return session === except ? undefined : session;
  });

const flow = (priority: number, more: Partial<FlowMod> = {}): FlowMod => ({
  type: 'flow_mod',
  xid: 0,
  command: FlowModCommand.ADD,
  tableId: 0,
  cookie: BigInt(priority),
  cookieMask: 0n,
  idleTimeout: 0,
  hardTimeout: 0,
  priority,
  bufferId: NO_BUFFER,
  outPort: Port.ANY,
  outGroup: Group.ANY,
  flags: 0,
  match: [oxm(F.eth_dst, priority)],
  instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: 1, maxLen: 0 }] }],
  ...more,
});
const toGroup = (priority: number, groupId: number): FlowMod =>
  flow(priority, { instructions: [{ type: 'apply_actions', actions: [{ type: 'group', groupId }] }] });
const group = (groupId: number): GroupMod => ({
  type: 'group_mod',
  xid: 0,
  command: GroupModCommand.ADD,
  groupType: GroupType.ALL,
  groupId,
  buckets: [
    {
      weight: 0,
      watchPort: Port.ANY,
      watchGroup: Group.ANY,
      actions: [{ type: 'output', port: 1, maxLen: 0 }],
    },
  ],
});
const meter = (meterId: number, command: number = MeterModCommand.ADD): MeterMod => ({
  type: 'meter_mod',
  xid: 0,
  command,
  flags: MeterFlag.KBPS | MeterFlag.BURST,
  meterId,
  bands: command === MeterModCommand.DELETE ? [] : [{ type: 'drop', rate: 1000, burstSize: 100 }],
});
const removeAll = flow(0, { command: FlowModCommand.DELETE, tableId: 0xff, match: [], instructions: [] });

const countFlows = async (): Promise<number> =>
  (await ovs.ofctl(['dump-flows'], 'br0')).split('\n').filter((line) => line.includes('cookie=')).length;

t.test('handshake and ports', async (t) => {
  await ovs.addBridge('br0', ID);
  await ovs.vsctl('add-port', 'br0', 'p7', '--', 'set', 'interface', 'p7', 'type=dummy', 'ofport_request=7');
  await ovs.setController('br0', port);
  const session = await sessionOf(ID);
  t.strictSame(session.capabilities, { bundles: true, roles: true, asyncConfig: true, packetIn2: true });
  t.equal(session.features.tables, 254);
  t.match(session.description.software, /^\d+\.\d+/);
  t.equal(session.ports.get(7)?.name, 'p7');
  t.equal(session.ports.get(Port.LOCAL)?.name, 'br0');

  const statuses: PortStatus[] = [];
  t.teardown(listener.onPortStatus((_session, status) => statuses.push(status)));
  await ovs.vsctl('add-port', 'br0', 'p8', '--', 'set', 'interface', 'p8', 'type=dummy', 'ofport_request=8');
  await waitFor('port 8', () => session.ports.get(8)?.name === 'p8');
  await ovs.vsctl('del-port', 'br0', 'p8');
  await waitFor('port 8 gone', () => !session.ports.has(8));
  t.ok(statuses.length >= 2);
  await waitFor('an echo', () => session.roundTripMs !== undefined);
});

t.test('transactions', async (t) => {
  const session = await sessionOf(ID);
  const turn = () => new TurnEncoder(listener.numbering);

  await t.test('thousands of entries, with groups and meters', async (t) => {
    const encoder = turn();
    const flows = Array.from({ length: 20_000 }, (_, i) => flow(i + 1));
    const metered = flow(30_000, {
      instructions: [
        { type: 'meter', meterId: 1 },
        { type: 'apply_actions', actions: [{ type: 'group', groupId: 5 }] },
      ],
    });
    const result = await session.transact(
      encoder.transaction({
        meters: [encoder.meters([meter(1)])],
        chunks: [encoder.chunk([group(5)]), ...encoder.chunks([...flows, metered])],
      }),
    );
    t.strictSame(result, { committed: true, atomic: true, errors: [] });
    t.equal(await countFlows(), 20_001);
    const dump = await session.multipart({
      type: 'multipart_request',
      xid: session.xid(),
      more: false,
      multipartType: 'flow',
      body: { tableId: 0xff, outPort: Port.ANY, outGroup: Group.ANY, cookie: 0n, cookieMask: 0n, match: [] },
    });
    t.equal(dump.body.length, 20_001);
    t.equal(new Set(dump.body.map(({ cookie }) => cookie)).size, 20_001);
  });

  await t.test('an entry refused at commit is named, and nothing changes', async (t) => {
    const encoder = turn();
    const bad = toGroup(30_002, 4711);
    const modifications = [removeAll, ...Array.from({ length: 1000 }, (_, i) => flow(i + 40_000)), bad];
    const result = await session.transact(encoder.transaction({ chunks: encoder.chunks(modifications) }));
    t.notOk(result.committed);
    t.strictSame(
      result.errors.map(({ modification, name }) => [modification, name]),
      [[bad, 'OFPBAC_BAD_OUT_GROUP']],
    );
    t.equal(await countFlows(), 20_001);
  });

  await t.test('entries that cannot be parsed: all are named, and the bundle is not committed', async (t) => {
    const encoder = turn();
    const unknown = { type: 'opaque', number: 0x7777, data: new Uint8Array(4) } as const;
    const bad = [30_003, 30_005].map((priority) =>
      flow(priority, { instructions: [{ type: 'apply_actions', actions: [unknown] }] }),
    );
    const chunks = [encoder.chunk([removeAll, bad[0]!, flow(30_004), bad[1]!, flow(30_006)])];
    const result = await session.transact(encoder.transaction({ chunks }));
    t.notOk(result.committed);
    t.strictSame(
      result.errors.map(({ modification, name }) => [modification, name]),
      bad.map((modification) => [modification, 'OFPBAC_BAD_TYPE']),
    );
    t.equal(await countFlows(), 20_001);
  });

  await t.test('one modification alone, taken or refused', async (t) => {
    const alone = async (modification: FlowMod) => {
      const encoder = turn();
      return session.transact(encoder.transaction({ chunks: [encoder.chunk([modification])] }));
    };
    const unknown = { type: 'opaque', number: 0x7777, data: new Uint8Array(4) } as const;
    const unparsable = flow(30_007, { instructions: [{ type: 'apply_actions', actions: [unknown] }] });
    const refused = await alone(unparsable);
    t.notOk(refused.committed);
    t.equal(refused.errors.length, 1);
    t.equal(refused.errors[0]?.modification, unparsable);
    t.equal((await alone(toGroup(30_008, 4711))).errors[0]?.name, 'OFPBAC_BAD_OUT_GROUP');
    t.equal(await countFlows(), 20_001);
    const removal = flow(1, { command: FlowModCommand.DELETE_STRICT });
    t.strictSame(await alone(removal), { committed: true, atomic: true, errors: [] });
    t.equal(await countFlows(), 20_000);
  });

  await t.test('pipelined transactions are committed in order', async (t) => {
    const results = Array.from({ length: 30 }, (_, i) => {
      const encoder = turn();
      return session.transact(
        encoder.transaction({ chunks: [encoder.chunk([group(100 + i + 1), toGroup(31_000 + i, 100 + i)])] }),
      );
    });
    const outcome = (await Promise.all(results)).map(({ committed }) => committed);
    // The first uses a group that is not there; the others use that of the one before, which is there unless that one failed.
    t.strictSame(outcome, Array(30).fill(false));
    const again = Array.from({ length: 30 }, (_, i) => {
      const encoder = turn();
      const modifications = i === 0 ? [group(100)] : [group(100 + i), toGroup(31_000 + i, 100 + i - 1)];
      return session.transact(encoder.transaction({ chunks: [encoder.chunk(modifications)] }));
    });
    t.ok((await Promise.all(again)).every(({ committed }) => committed));
  });

  await t.test('a meter goes after the entries that used it', async (t) => {
    const encoder = turn();
    const result = await session.transact(
      encoder.transaction({
        chunks: [encoder.chunk([removeAll, flow(1)])],
        metersAfter: [encoder.meters([meter(1, MeterModCommand.DELETE)])],
      }),
    );
    t.strictSame(result, { committed: true, atomic: true, errors: [] });
    t.equal(await countFlows(), 1);
    t.notMatch(await ovs.ofctl(['dump-meters'], 'br0'), /meter=1/);
  });
});

t.test('packet-ins with userdata, packet-outs', async (t) => {
  const session = await sessionOf(ID);
  const packets: PacketInMessage[] = [];
  t.teardown(
    listener.onPacketIn((_session, message) => {
      packets.push(message);
    }),
  );
  const userdata = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  const encoder = new TurnEncoder(listener.numbering);
  const punt = flow(5, {
    match: [oxm(F.in_port, 7)],
    instructions: [{ type: 'apply_actions', actions: [{ type: 'controller2', userdata }] }],
  });
  await session.transact(encoder.transaction({ chunks: [encoder.chunk([punt])] }));
  const frame = new Uint8Array(60);
  frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
  session.send({
    type: 'packet_out',
    xid: session.xid(),
    bufferId: NO_BUFFER,
    inPort: 7,
    data: frame,
    actions: [{ type: 'output', port: Port.TABLE, maxLen: 0 }],
  });
  const packet = await waitFor('a packet-in', () => packets[0]);
  if (packet.type !== 'nx_packet_in2') return t.fail(`format ${packet.type}`);
  t.strictSame([...(packet.userdata ?? [])], [...userdata]);
  t.strictSame([...(packet.packet ?? [])], [...frame]);
  t.equal(findOxm(packet.metadata ?? [], F.in_port)?.value, 7);
});

t.test('a bridge that speaks another version only is told so', async (t) => {
  await ovs.addBridge('br1', '00000000000000cc');
  await ovs.vsctl('set', 'bridge', 'br1', 'protocols=OpenFlow10');
  const before = listener.counters.failedHandshakes;
  await ovs.setController('br1', port);
  await waitFor('a failed handshake', () => listener.counters.failedHandshakes > before);
  t.notOk(listener.sessions.has('00000000000000cc'));
  await ovs.vsctl('del-br', 'br1');
});

t.test('two bridges with the same datapath id: the first stays', async (t) => {
  const session = await sessionOf(ID);
  await ovs.addBridge('br2', ID);
  await ovs.setController('br2', port);
  await waitFor('a duplicate', () => listener.counters.duplicates > 0);
  t.equal(listener.sessions.get(ID), session);
  t.ok(session.open);
  await ovs.vsctl('set', 'bridge', 'br2', `other-config:datapath-id=${OTHER_ID}`);
  t.equal((await sessionOf(OTHER_ID)).ports.get(Port.LOCAL)?.name, 'br2');
  await ovs.vsctl('del-br', 'br2');
  await waitFor('down', () => !listener.sessions.has(OTHER_ID));
});

t.test('Open vSwitch killed and started again: a new session, empty', async (t) => {
  const session = await sessionOf(ID);
  await ovs.killSwitch();
  await waitFor('down', () => !session.open);
  await t.rejects(session.transact(new TurnEncoder(listener.numbering).transaction({ chunks: [] })), {
    code: 'switch.closed',
  });
  await ovs.startSwitch();
  await sessionOf(ID, session);
  t.equal(await countFlows(), 0);
});

t.test('Open vSwitch stopped (SIGSTOP): closed by the echo timeout, back after it goes on', async (t) => {
  const session = await sessionOf(ID);
  process.kill(ovs.switchPid, 'SIGSTOP');
  await waitFor('down', () => !session.open);
  t.match(downs.at(-1), /no answer to an echo request/);
  process.kill(ovs.switchPid, 'SIGCONT');
  const next = await sessionOf(ID, session);
  t.ok(next.open);
});

t.test('the switch reconnects when the session is closed by us', async (t) => {
  const session = await sessionOf(ID);
  session.close('test');
  t.ok(await sessionOf(ID, session));
});
