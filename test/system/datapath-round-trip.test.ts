/** Every kind of entry, through a real Open vSwitch and back: read again, it is what was asked for. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import { flowKey, groupKey, meterKey } from '../../controller/datapath/canonical.js';
import type { DesiredEntry } from '../../controller/datapath/entry.js';
import { ScopeTables } from '../../controller/datapath/scopes.js';
import {
  type Action,
  F,
  Group,
  GroupType,
  type Instruction,
  type Match,
  MeterFlag,
  matchOf,
  oxm,
  Port,
} from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, setPort } from '../apps/facts.js';
import { RoundTrips } from './round-trip-support.js';

const trips = await RoundTrips.start();
t.teardown(() => trips.stop());

t.test('what the apps derive', async (t) => {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  for (const host of [1, 2, 3]) {
    setHost(facts, host);
    setPort(facts, host, 'weft-vxlan', 65000);
    setPort(facts, host, 'uplink', 65001);
  }
  setNetwork(facts, 'acme/web', 1, 'vxlan', { ipv4: { address: 0x0a000000, prefixLength: 24 } });
  setNetwork(facts, 'acme/lan', 2, 'vlan', { ipv6: { address: 0xfd00n << 112n, prefixLength: 64 } });
  for (const network of ['acme/web', 'acme/lan']) {
    for (let n = 1; n <= 6; n++) {
      const number = n + (network === 'acme/lan' ? 100 : 0);
      const ipv6 = [(0xfd00n << 112n) + BigInt(number)];
      setEndpoint(facts, network, number, { host: 1 + (n % 3), port: number, ipv6 });
    }
  }
  t.strictSame(desired.settle().settlement.failures, []);
  const session = await trips.connectedBridge('br-apps', datapathId(1));
  const { read } = await trips.roundTrip(t, session, desired.scopes, datapathId(1));
  t.ok(read > 60, `${read} entries`);
});

const out = (number: number): Action => ({ type: 'output', port: number, maxLen: 0 });
const apply = (...actions: Action[]): Instruction[] => [{ type: 'apply_actions', actions }];
const bytes = (...values: number[]) => Uint8Array.from(values);
const sub = (field: (typeof F)[keyof typeof F], offset: number, bits: number) => ({ field, offset, bits });

/** Matches with the prerequisites and masks that switches treat in ways of their own. */
const MATCHES: readonly Match[] = [
  [],
  matchOf({ in_port: 7 }),
  matchOf({ in_port: Port.LOCAL }),
  matchOf({ eth_dst: [0x010000000000, 0x010000000000], eth_src: 0x020202020202 }),
  matchOf({ eth_dst: [0x123456000000, 0xffffff000000] }),
  matchOf({ vlan_vid: 0x1005 }),
  matchOf({ vlan_vid: 0 }),
  matchOf({ vlan_vid: [0x1000, 0x1000] }),
  matchOf({ vlan_vid: [0x1008, 0x1ff8] }),
  matchOf({ vlan_vid: 0x1007, vlan_pcp: 3 }),
  matchOf({ eth_type: 0x0800, ip_proto: 6, tcp_dst: 80, ipv4_src: [0x0a010200, 0xffffff00] }),
  matchOf({ eth_type: 0x0800, ip_dscp: 46, ip_ecn: 1, ipv4_dst: 0x0a000001 }),
  matchOf({ eth_type: 0x0800, ip_proto: 17, udp_src: [0x100, 0xff00], ip_frag: [0, 1] }),
  matchOf({ eth_type: 0x0800, ip_proto: 1, icmpv4_type: 8, icmpv4_code: 0 }),
  matchOf({ eth_type: 0x0800, ip_proto: 132, sctp_dst: 5 }),
  matchOf({ eth_type: 0x0800, nw_ttl: 64 }),
  matchOf({
    eth_type: 0x0806,
    arp_op: 1,
    arp_tpa: 0x0a000001,
    arp_sha: 0x020202020202,
    arp_spa: [0x0a000000, 0xff000000],
  }),
  matchOf({ eth_type: 0x86dd, ipv6_src: 1n, ipv6_dst: [0xfd00n << 112n, 0xffffn << 112n], ipv6_flabel: 5 }),
  matchOf({ eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135, ipv6_nd_target: 1n, ipv6_nd_sll: 5 }),
  matchOf({ eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 136, ipv6_nd_target: 1n, ipv6_nd_tll: 5 }),
  matchOf({ eth_type: 0x0800, ip_proto: 6, tcp_flags: [2, 0x12] }),
  matchOf({ eth_type: 0x8847, mpls_label: 17, mpls_bos: 1 }),
  matchOf({ tunnel_id: 5n, tun_src: 0x0a000001, tun_dst: [0x0a000000, 0xff000000] }),
  matchOf({ tunnel_id: [5n, 0xffffffn], tun_ipv6_src: 1n }),
  matchOf({ metadata: [0xf0n, 0xf0n] }),
  matchOf({ metadata: 1n }),
  matchOf({ reg0: 5, reg1: [0x10, 0xf0], reg15: 0xffffffff }),
  matchOf({ xreg1: 0x0000000100000002n }),
  matchOf({ xreg2: [0x0000000100000000n, 0xffffffff00000000n] }),
  matchOf({ xxreg3: [7n, (1n << 64n) - 1n] }),
  matchOf({ pkt_mark: [1, 1], conj_id: 8 }),
  matchOf({ ct_state: [0x21, 0x23], ct_zone: 4, ct_mark: [1, 3], eth_type: 0x0800 }),
  matchOf({ ct_label: [1n << 100n, 1n << 100n] }),
  matchOf({ nxm_tun_id: 99n }),
  matchOf({ eth_type: 0x0806, nxm_arp_sha: 3 }),
];

/** Instructions, each with the match it needs. */
const INSTRUCTIONS: readonly (readonly [Match, readonly Instruction[]])[] = [
  [[], []],
  [[], apply()],
  [[], apply(out(1), out(Port.IN_PORT), out(Port.LOCAL), out(Port.FLOOD), out(Port.ALL))],
  [[], apply({ type: 'output', port: Port.CONTROLLER, maxLen: 128 })],
  [[], apply({ type: 'output', port: Port.CONTROLLER, maxLen: 0xffff })],
  [[], apply({ type: 'controller', maxLen: 100, controllerId: 5, reason: 2 })],
  [
    [],
    apply({
      type: 'controller2',
      maxLen: 100,
      controllerId: 5,
      userdata: bytes(1, 2, 3),
      pause: true,
      meterId: 1,
    }),
  ],
  [[], apply({ type: 'controller2', userdata: bytes(1) })],
  [[], apply({ type: 'controller2', controllerId: 3, userdata: bytes(5), reason: 2 })],
  [[], apply({ type: 'controller2', controllerId: 3 })],
  [
    [],
    apply({ type: 'group', groupId: 1 }, { type: 'set_queue', queueId: 3 }, out(1), { type: 'pop_queue' }),
  ],
  [[], apply({ type: 'set_field', oxm: oxm(F.eth_dst, 0x020202020202) }, out(1))],
  [
    [],
    apply(
      { type: 'set_field', oxm: oxm(F.tunnel_id, 77n) },
      { type: 'set_field', oxm: oxm(F.tun_dst, 0x0a000001) },
      out(9),
    ),
  ],
  [[], apply({ type: 'set_field', oxm: oxm(F.reg3, 5) }, { type: 'set_field', oxm: oxm(F.metadata, 5n) })],
  [[], apply({ type: 'reg_load', dst: F.reg0, offset: 4, bits: 8, value: 3n })],
  [[], apply({ type: 'reg_load', dst: F.reg0, offset: 0, bits: 32, value: 3n })],
  [
    [],
    apply(
      { type: 'reg_load', dst: F.reg0, offset: 0, bits: 8, value: 3n },
      { type: 'reg_load', dst: F.reg0, offset: 8, bits: 8, value: 4n },
    ),
  ],
  [[], apply({ type: 'reg_load2', oxm: oxm(F.reg1, 0x101, 0x303) })],
  [[], apply({ type: 'reg_load2', oxm: oxm(F.xreg1, 0x100000002n) })],
  [[], apply({ type: 'reg_load2', oxm: oxm(F.eth_dst, 0x010000000000, 0x010000000000) }, out(1))],
  [[], apply({ type: 'reg_load', dst: F.tunnel_id, offset: 0, bits: 24, value: 9n })],
  [
    [],
    apply({ type: 'reg_move', src: F.eth_src, srcOffset: 0, dst: F.eth_dst, dstOffset: 0, bits: 48 }, out(1)),
  ],
  [[], apply({ type: 'reg_move', src: F.reg0, srcOffset: 0, dst: F.tunnel_id, dstOffset: 0, bits: 24 })],
  [[], apply({ type: 'output_reg', src: F.reg2, offset: 0, bits: 16, maxLen: 0xffff })],
  [
    [],
    apply(
      { type: 'resubmit', table: 3 },
      { type: 'resubmit', port: 5, table: 3 },
      { type: 'resubmit', port: 7 },
    ),
  ],
  [
    [],
    apply(
      { type: 'push_vlan', ethertype: 0x8100 },
      { type: 'set_field', oxm: oxm(F.vlan_vid, 0x1005) },
      out(1),
    ),
  ],
  [matchOf({ vlan_vid: [0x1000, 0x1000] }), apply({ type: 'pop_vlan' }, out(1))],
  [matchOf({ eth_type: 0x0800 }), apply({ type: 'dec_nw_ttl' }, out(1))],
  [matchOf({ eth_type: 0x0800 }), apply({ type: 'dec_ttl_cnt_ids', controllerIds: [1, 2] }, out(1))],
  [matchOf({ eth_type: 0x0800 }), apply({ type: 'set_nw_ttl', ttl: 5 }, out(1))],
  [
    matchOf({ eth_type: 0x0800 }),
    apply(
      { type: 'set_field', oxm: oxm(F.ip_dscp, 46) },
      { type: 'set_field', oxm: oxm(F.ipv4_dst, 7) },
      out(1),
    ),
  ],
  [
    matchOf({ eth_type: 0x0806 }),
    apply(
      { type: 'reg_move', src: F.arp_spa, srcOffset: 0, dst: F.arp_tpa, dstOffset: 0, bits: 32 },
      { type: 'set_field', oxm: oxm(F.arp_op, 2) },
      out(Port.IN_PORT),
    ),
  ],
  [matchOf({ eth_type: 0x8847 }), apply({ type: 'pop_mpls', ethertype: 0x0800 }, out(1))],
  [matchOf({ eth_type: 0x0800 }), apply({ type: 'push_mpls', ethertype: 0x8847 }, out(1))],
  [
    matchOf({ eth_type: 0x0800, ip_proto: 6 }),
    apply({ type: 'fin_timeout', finIdleTimeout: 5, finHardTimeout: 0 }, out(1)),
  ],
  [
    matchOf({ eth_type: 0x0800 }),
    apply(
      { type: 'conjunction', id: 5, clause: 1, clauses: 2 },
      { type: 'conjunction', id: 6, clause: 2, clauses: 3 },
    ),
  ],
  [
    matchOf({ eth_type: 0x0800 }),
    apply({ type: 'ct', flags: 0, zone: 5, recircTable: 6, alg: 0, actions: [] }),
  ],
  [
    matchOf({ eth_type: 0x0800 }),
    apply({
      type: 'ct',
      flags: 1,
      zone: sub(F.reg0, 0, 16),
      alg: 0,
      actions: [{ type: 'set_field', oxm: oxm(F.ct_mark, 7) }],
    }),
  ],
  [
    matchOf({ eth_type: 0x0800 }),
    apply({
      type: 'ct',
      flags: 1,
      zone: 1,
      recircTable: 9,
      alg: 0,
      actions: [
        { type: 'nat', flags: 1, ipv4Min: 0x0a000001, ipv4Max: 0x0a000005, portMin: 1000, portMax: 2000 },
      ],
    }),
  ],
  [
    matchOf({ eth_type: 0x0800, ip_proto: 6 }),
    apply({ type: 'ct', flags: 1, zone: 1, alg: 21, actions: [{ type: 'nat', flags: 0 }] }),
  ],
  [[], apply({ type: 'ct_clear' }, out(1))],
  [[], apply({ type: 'clone', actions: [{ type: 'set_field', oxm: oxm(F.reg0, 1) }, out(3)] }, out(4))],
  [[], apply({ type: 'note', data: bytes(1, 2, 3) }, out(1))],
  [[], apply({ type: 'exit' })],
  [
    [],
    apply({ type: 'stack_push', src: sub(F.reg0, 0, 32) }, { type: 'stack_pop', dst: sub(F.reg1, 0, 32) }),
  ],
  [[], apply({ type: 'check_pkt_larger', packetLength: 1400, dst: sub(F.reg0, 0, 1) })],
  [[], [{ type: 'goto_table', table: 200 }]],
  [
    [],
    [
      { type: 'write_metadata', metadata: 5n, mask: 0xffn },
      { type: 'goto_table', table: 200 },
    ],
  ],
  [[], [{ type: 'write_metadata', metadata: 5n, mask: 0xffffffffffffffffn }]],
  [
    [],
    [
      { type: 'clear_actions' },
      { type: 'write_actions', actions: [out(1)] },
      { type: 'goto_table', table: 200 },
    ],
  ],
  [
    [],
    [
      {
        type: 'write_actions',
        actions: [
          { type: 'set_field', oxm: oxm(F.eth_src, 1) },
          { type: 'group', groupId: 1 },
        ],
      },
    ],
  ],
  [[], [{ type: 'goto_table', table: 200 }, ...apply(out(1)), { type: 'meter', meterId: 1 }]],
];

const bucket = (actions: Action[], more: object = {}) => ({
  weight: 0,
  watchPort: Port.ANY,
  watchGroup: Group.ANY,
  actions,
  ...more,
});
const owner = 'test.rule';
const GROUPS: readonly DesiredEntry[] = [
  {
    kind: 'group',
    id: 1,
    groupType: GroupType.ALL,
    buckets: [
      bucket([out(1)]),
      bucket([
        { type: 'reg_load', dst: F.reg1, offset: 0, bits: 16, value: 5n },
        { type: 'resubmit', table: 3 },
      ]),
    ],
    owner,
  },
  {
    kind: 'group',
    id: 2,
    groupType: GroupType.SELECT,
    buckets: [bucket([out(1)], { weight: 10 }), bucket([out(2)], { weight: 20 })],
    owner,
  },
  { kind: 'group', id: 3, groupType: GroupType.INDIRECT, buckets: [bucket([out(2)])], owner },
  {
    kind: 'group',
    id: 4,
    groupType: GroupType.FAST_FAILOVER,
    buckets: [bucket([out(1)], { watchPort: 1 }), bucket([out(2)], { watchPort: 2 })],
    owner,
  },
  {
    kind: 'group',
    id: 5,
    groupType: GroupType.ALL,
    buckets: [
      bucket([
        { type: 'group', groupId: 1 },
        { type: 'group', groupId: 6 },
      ]),
    ],
    owner,
  },
  { kind: 'group', id: 6, groupType: GroupType.ALL, buckets: [], owner },
];
const METERS: readonly DesiredEntry[] = [
  { kind: 'meter', id: 1, flags: MeterFlag.KBPS, bands: [{ type: 'drop', rate: 1000, burstSize: 0 }], owner },
  {
    kind: 'meter',
    id: 2,
    flags: MeterFlag.PKTPS | MeterFlag.BURST,
    bands: [{ type: 'drop', rate: 10, burstSize: 20 }],
    owner,
  },
  {
    kind: 'meter',
    id: 3,
    flags: MeterFlag.KBPS | MeterFlag.BURST | MeterFlag.STATS,
    bands: [{ type: 'drop', rate: 10, burstSize: 20 }],
    owner,
  },
];

t.test('every kind of match, instruction, action, group and meter', async (t) => {
  const id = 'd'.repeat(16);
  const scopes = new ScopeTables();
  const rule = { order: 0, name: owner };
  let cookie = 0x57n << 56n;
  const flow = (table: number, priority: number, match: Match, instructions: readonly Instruction[]) =>
    scopes.put(rule, 'global', flowKey(table, priority, match), {
      kind: 'flow',
      table,
      priority,
      match,
      instructions,
      cookie: cookie++,
    });
  scopes.subscribe(id, 'global', 1);
  for (const [i, match] of MATCHES.entries()) flow(1, i + 1, match, apply(out(1)));
  for (const [i, [match, instructions]] of INSTRUCTIONS.entries()) flow(2, i + 1, match, instructions);
  for (const group of GROUPS) scopes.put(rule, 'global', groupKey((group as { id: number }).id), group);
  for (const meter of METERS) scopes.put(rule, 'global', meterKey((meter as { id: number }).id), meter);
  const session = await trips.connectedBridge('br-all', id);
  const { read } = await trips.roundTrip(t, session, scopes, id);
  t.equal(read, MATCHES.length + INSTRUCTIONS.length + GROUPS.length + METERS.length);
});
