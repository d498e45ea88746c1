import fc from 'fast-check';
import t from 'tap';
import type { FlowMod, GroupMod, Match } from '../../ofproto/index.js';
import {
  apply,
  F,
  FlowModCommand,
  flowMod,
  flowStatsRequest,
  Group,
  GroupModCommand,
  GroupType,
  matchOf,
  Meter,
  MeterModCommand,
  output,
  oxm,
  Port,
} from '../../ofproto/index.js';
import { EmulatedTables } from '../../topologies/emulated/index.js';
import { covers } from '../../topologies/emulated/match-covers.js';

const group = (groupId: number, command: number = GroupModCommand.ADD): GroupMod => ({
  type: 'group_mod',
  xid: 0,
  command,
  groupType: GroupType.ALL,
  groupId,
  buckets: [],
});
const toGroup = (groupId: number): FlowMod['instructions'] => [apply({ type: 'group', groupId })];
const cookies = (tables: EmulatedTables): bigint[] =>
  [...tables.flows.values()].map(({ cookie }) => cookie).sort((a, b) => Number(a - b));

t.test('what a wide match covers', (t) => {
  const ip = 0x0a000000;
  const cases: [Match, Match, boolean][] = [
    [[], matchOf({ in_port: 1 }), true],
    [matchOf({ in_port: 1 }), [], false],
    [matchOf({ ipv4_dst: [ip, 0xff000000] }), matchOf({ ipv4_dst: ip + 5 }), true],
    [matchOf({ ipv4_dst: [ip, 0xff000000] }), matchOf({ ipv4_dst: [ip, 0xffff0000] }), true],
    [matchOf({ ipv4_dst: [ip, 0xffff0000] }), matchOf({ ipv4_dst: [ip, 0xff000000] }), false],
    [matchOf({ ipv4_dst: [ip, 0xff000000] }), matchOf({ ipv4_dst: 0x0b000000 }), false],
    [
      matchOf({ eth_dst: [0x0100_0000_0000, 0x0100_0000_0000] }),
      matchOf({ eth_dst: 0x0180_c200_0000 }),
      true,
    ],
    [matchOf({ metadata: [1n, 1n] }), matchOf({ metadata: 3n, in_port: 1 }), true],
  ];
  for (const [wide, narrow, expected] of cases) t.equal(covers(wide, narrow), expected);
  t.end();
});

t.test('flow entries: added, changed and deleted as section 6.4 says', (t) => {
  const tables = new EmulatedTables();
  for (let i = 0; i < 10; i++) {
    tables.apply(
      flowMod({
        tableId: i % 2,
        cookie: BigInt(i),
        match: matchOf({ in_port: i }),
        instructions: [apply(output(i))],
      }),
    );
  }
  tables.apply(flowMod({ tableId: 1, cookie: 99n, match: matchOf({ in_port: 1 }) }));
  t.equal(tables.flows.size, 10, 'the same entry again takes its place');
  t.ok(cookies(tables).includes(99n));

  const changed = [apply(output(77))];
  tables.apply(flowMod({ command: FlowModCommand.MODIFY, tableId: 0, instructions: changed }));
  t.equal(tables.dump(flowStatsRequest({ outPort: 77 })).length, 5);

  tables.apply(
    flowMod({ command: FlowModCommand.DELETE, tableId: 0xff, cookie: 1n, cookieMask: 1n, match: [] }),
  );
  t.strictSame(cookies(tables), [0n, 2n, 4n, 6n, 8n], 'by cookie and mask');
  tables.apply(
    flowMod({ command: FlowModCommand.DELETE_STRICT, priority: 1, match: matchOf({ in_port: 2 }) }),
  );
  t.equal(tables.flows.size, 5, 'strict: not with another priority');
  tables.apply(flowMod({ command: FlowModCommand.DELETE_STRICT, match: matchOf({ in_port: 2 }) }));
  t.equal(tables.flows.size, 4);
  tables.apply(flowMod({ command: FlowModCommand.DELETE, outPort: 78 }));
  t.equal(tables.flows.size, 4, 'filtered by output port');
  tables.apply(flowMod({ command: FlowModCommand.DELETE, outPort: 77, outGroup: Group.ANY }));
  t.equal(tables.flows.size, 0);
  t.equal(tables.dump(flowStatsRequest()).length, 0);
  t.end();
});

t.test('groups and meters: must be there before they are used, and take their users along', (t) => {
  const tables = new EmulatedTables();
  t.match(tables.apply(flowMod({ instructions: toGroup(1) })), { errorType: 2, code: 9 });
  t.equal(tables.apply(group(1)), undefined);
  t.match(tables.apply(group(1)), { errorType: 6, code: 0 });
  t.equal(tables.apply(flowMod({ instructions: toGroup(1) })), undefined);
  const meter = { type: 'meter_mod', xid: 0, flags: 1, meterId: 1, bands: [] } as const;
  const metered = flowMod({ priority: 2, instructions: [{ type: 'meter', meterId: 1 }] });
  t.match(tables.apply(metered), { errorType: 12, code: 2 });
  tables.apply({ ...meter, command: MeterModCommand.ADD });
  t.equal(tables.apply(metered), undefined);
  tables.apply(group(Group.ALL, GroupModCommand.DELETE));
  t.strictSame(
    [...tables.flows.values()].map(({ priority }) => priority),
    [2],
  );
  tables.apply({ ...meter, meterId: Meter.ALL, command: MeterModCommand.DELETE });
  t.equal(tables.flows.size + tables.groups.size + tables.meters.size, 0);
  t.end();
});

t.test('a list that fails changes nothing, whatever was in it', (t) => {
  const modification = fc.oneof(
    fc.record({ port: fc.nat(3), command: fc.nat(4), group: fc.nat(3) }).map(({ port, command, group }) =>
      flowMod({
        command,
        tableId: 0,
        match: port === 0 ? [] : [oxm(F.in_port, port)],
        instructions: group === 0 ? [apply(output(Port.LOCAL))] : toGroup(group),
      }),
    ),
    fc
      .record({ id: fc.integer({ min: 1, max: 3 }), command: fc.nat(2) })
      .map(({ id, command }) => group(id, command)),
  );
  const state = ({ flows, groups }: EmulatedTables) => ({ flows: new Map(flows), groups: new Map(groups) });
  fc.assert(
    fc.property(
      fc.array(modification, { maxLength: 20 }),
      fc.array(modification, { maxLength: 20 }),
      (first, list) => {
        const tables = new EmulatedTables();
        for (const mod of first) tables.apply(mod);
        const before = state(tables);
        const failed = tables.applyAll([...list, flowMod({ instructions: toGroup(4711) })]);
        if (!failed || failed.index > list.length) return false;
        const after = state(tables);
        for (const kind of ['flows', 'groups'] as const) {
          if (after[kind].size !== before[kind].size) return false;
          for (const [key, value] of before[kind] as Map<unknown, unknown>) {
            if ((after[kind] as Map<unknown, unknown>).get(key) !== value) return false;
          }
        }
        return true;
      },
    ),
  );
  t.pass('no counterexample');
  t.end();
});
