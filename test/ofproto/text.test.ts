/** The text form: equal to that of ovs-ofctl for entries of every kind, and readable where it has none. */
import fc from 'fast-check';
import t from 'tap';
import {
  apply,
  BundleControlType,
  encode,
  F,
  FlowModCommand,
  flowMod,
  formatActions,
  formatFlow,
  formatFlowStats,
  formatGroup,
  formatInstructions,
  formatMatch,
  formatMessage,
  formatMeter,
  type Message,
  type MultipartReply,
  matchOf,
  NO_BUFFER,
  opaqueField,
  output,
  Port,
} from '../../ofproto/index.js';
import { actionSamples, instructionSamples } from './action-samples.js';
import { isInstalled, ovsParse } from './foreign-decoders.js';
import { message } from './generators.js';
import { ovsFlow, ovsGroup, ovsMeter } from './ovs-generators.js';

const ovs = isInstalled('ovs-ofctl') ? {} : { skip: 'ovs-ofctl is not installed' };
const RUNS = 500;

/** What Open vSwitch writes for each body of a reply, without the line of the header. */
function ovsTexts(
  multipartType: 'flow' | 'group_desc' | 'meter_config',
  bodies: readonly unknown[],
): string[] {
  const replies = bodies.map(
    (body, xid) =>
      ({ type: 'multipart_reply', xid, multipartType, more: false, body: [body] }) as MultipartReply,
  );
  return ovsParse(replies.map((reply) => encode(reply).slice())).map((part) =>
    part.slice(part.indexOf('\n') + 1).trim(),
  );
}

t.test('flow entries, groups and meters are written as ovs-ofctl writes them', ovs, async (t) => {
  const seed = Date.now() & 0x7fffffff;
  t.comment(`seed ${seed}`);
  const sample = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { numRuns: RUNS, seed });
  const differences = <T>(entries: T[], theirs: string[], ours: (entry: T) => string): string[] => {
    t.equal(theirs.length, entries.length);
    return entries
      .map((entry, i) => [ours(entry), theirs[i]] as const)
      .filter(([a, b]) => a !== b)
      .map(([a, b]) => `seed ${seed}\nours   ${a}\ntheirs ${b}`);
  };
  const flows = sample(ovsFlow);
  t.same(differences(flows, ovsTexts('flow', flows), formatFlowStats), []);
  const groups = sample(ovsGroup);
  t.same(differences(groups, ovsTexts('group_desc', groups), formatGroup), []);
  const meters = sample(ovsMeter);
  t.same(differences(meters, ovsTexts('meter_config', meters), formatMeter), []);
});

t.test('actions and instructions', async (t) => {
  for (const { action, text } of actionSamples)
    if (text !== undefined) t.equal(formatActions([action]), text);
  for (const { instructions, text } of instructionSamples) t.equal(formatInstructions(instructions), text);
  t.equal(formatInstructions([{ type: 'goto_table', table: 3 }, apply(output(1))]), 'output:1,goto_table:3');
  t.equal(
    formatActions([{ type: 'copy_ttl_in' }, { type: 'push_pbb', ethertype: 0x88e7 }]),
    'copy_ttl_in,push_pbb:0x88e7',
  );
  t.equal(
    formatActions([{ type: 'opaque', number: 200, data: Uint8Array.of(0, 1, 2, 3) }]),
    'unknown_action(type=200,data=00010203)',
  );
});

t.test('matches', async (t) => {
  const cases: [Parameters<typeof matchOf>[0], string][] = [
    [{}, ''],
    [{ eth_type: 0x0800, ip_frag: 3 }, 'ip,nw_frag=later'],
    [{ eth_type: 0x0800, ip_frag: [0, 2] }, 'ip,nw_frag=not_later'],
    [{ eth_type: 0x0800, ip_frag: [2, 2] }, 'ip,nw_frag=later'],
    [{ vlan_vid: 0x1005, vlan_pcp: 3 }, 'dl_vlan=5,dl_vlan_pcp=3'],
    [{ vlan_vid: [0x1000, 0x1000] }, 'vlan_tci=0x1000/0x1000'],
    [{ vlan_vid: 0 }, 'vlan_tci=0x0000/0x1fff'],
    [{ ct_state: [0x22, 0x32] }, 'ct_state=+est-inv+trk'],
    [{ ipv6_src: [0xfd00n << 112n, 0xffffn << 112n], eth_type: 0x86dd }, 'ipv6,ipv6_src=fd00::/16'],
    [{ reg0: [0, 0], in_port: Port.LOCAL }, 'in_port=LOCAL'],
    // Fields that ovs-ofctl forgets or does not know are written all the same.
    [{ tun_erspan_idx: 5 }, 'tun_erspan_idx=0x5'],
    [{ tun_gbp_flags: [0x08, 0x48] }, 'tun_gbp_flags=0x8/0x48'],
    [{ in_phy_port: 7, pbb_isid: [0x10, 0xf0] }, 'in_phy_port=7,pbb_isid=16/0xf0'],
    [{ tun_metadata0: Uint8Array.of(0, 0x12) }, 'tun_metadata0=0x12'],
  ];
  for (const [spec, text] of cases) t.equal(formatMatch(matchOf(spec)), text);
  const unknown = opaqueField(0x0003, 5, false, undefined);
  t.equal(formatMatch([{ field: unknown, value: Uint8Array.of(0xab) }]), 'unknown_0x3_5=0xab');
});

t.test('a flow entry without its counters', async (t) => {
  const flow = flowMod({
    tableId: 1,
    cookie: 0x70n,
    priority: 40,
    idleTimeout: 5,
    match: matchOf({ eth_type: 0x0806 }),
  });
  t.equal(formatFlow(flow), 'cookie=0x70, table=1, idle_timeout=5, priority=40,arp actions=drop');
  t.equal(formatFlow(flowMod({})), 'actions=drop');
});

t.test('messages in one line', async (t) => {
  const add = flowMod({ xid: 7, tableId: 3, match: matchOf({ reg0: 5 }), instructions: [apply(output(8))] });
  const cases: [Message, string][] = [
    [add, 'flow_mod xid=7 add table=3 reg0=0x5 actions=output:8'],
    [
      flowMod({ command: FlowModCommand.DELETE_STRICT, priority: 4, cookie: 1n, cookieMask: 3n, flags: 1 }),
      'flow_mod xid=0 delete_strict table=0 cookie=0x1/0x3 priority=4 send_flow_rem actions=drop',
    ],
    [{ type: 'barrier_request', xid: 9 }, 'barrier_request xid=9'],
    [
      { type: 'error', xid: 9, errorType: 5, code: 1, data: new Uint8Array(8) },
      'error xid=9 OFPFMFC_TABLE_FULL',
    ],
    [
      { type: 'bundle_add_message', xid: 7, bundleId: 2, flags: 3, message: add },
      'bundle_add_message xid=7 bundle=2 flags=3: flow_mod xid=7 add table=3 reg0=0x5 actions=output:8',
    ],
    [
      { type: 'bundle_control', xid: 8, bundleId: 2, controlType: BundleControlType.COMMIT_REPLY, flags: 3 },
      'bundle_control xid=8 commit_reply bundle=2 flags=3',
    ],
    [
      {
        type: 'packet_in',
        xid: 0,
        bufferId: NO_BUFFER,
        totalLength: 60,
        reason: 1,
        tableId: 2,
        cookie: 3n,
        match: matchOf({ in_port: 4 }),
        data: new Uint8Array(60),
      },
      'packet_in xid=0 table=2 cookie=0x3 reason=action in_port=4 bytes=60',
    ],
  ];
  for (const [m, text] of cases) t.equal(formatMessage(m), text);
  fc.assert(
    fc.property(message, (m) => {
      const text = formatMessage(m);
      return text.startsWith(`${m.type} xid=${m.xid}`) && !text.includes('\n') && !text.includes('undefined');
    }),
    { numRuns: 500 },
  );
  t.equal(F.in_port.toJSON(), 'in_port');
});
