/**
 * Matches, flows, groups and meters as Open vSwitch takes them: only fields it implements, each with its prerequisites,
 * values within their masks.
 */
import fc from 'fast-check';
import {
  type Action,
  apply,
  F,
  type Field,
  fieldByName,
  type FlowStats,
  Group,
  type GroupDescription,
  GroupType,
  type Instruction,
  type LearnSpec,
  type Match,
  type MatchSpec,
  type MeterBand,
  type MeterConfig,
  matchOf,
  type Oxm,
  type OxmValue,
  output,
  Port,
  type Subfield,
} from '../../ofproto/index.js';

/** Fields of the specification that Open vSwitch does not implement. */
const NOT_IMPLEMENTED: ReadonlySet<Field> = new Set<Field>([
  F.in_phy_port,
  F.pbb_isid,
  F.pbb_uca,
  F.ipv6_exthdr,
]);

/** The Geneve options need a mapping that ofp-parse does not have; a packet type excludes Ethernet. */
const isPlain = (field: Field): boolean => field.bytes > 0 && field !== F.packet_type;

export const ovsFields: readonly Field[] = (Object.values(F) as Field[]).filter(
  (field) => isPlain(field) && !NOT_IMPLEMENTED.has(field),
);

const and = (value: OxmValue, mask: OxmValue): OxmValue =>
  typeof value === 'bigint'
    ? value & (mask as bigint)
    : Number(BigInt(value as number) & BigInt(mask as number));

/** Values of fields that do not take every one of their bits. */
const VALUES: ReadonlyMap<Field, OxmValue> = new Map<Field, OxmValue>([
  [F.in_port, 5],
  [F.actset_output, 5],
  [F.vlan_vid, 0x1005],
  [F.nw_tos, 0xa4],
  [F.nsh_mdtype, 1],
]);

/** A value with some bits set, exact and, where the field can be masked, under a mask that is not a prefix. */
export function fieldSamples(field: Field): Oxm[] {
  const all = BigInt(field.exactMask as number | bigint);
  const of = (bits: bigint): OxmValue =>
    typeof field.exactMask === 'bigint' ? bits & all : Number(bits & all);
  const pattern = 0xa5a5_5a5a_c3c3_3c3c_a5a5_5a5a_c3c3_0005n;
  const exact = VALUES.get(field) ?? of(pattern);
  const samples: Oxm[] = [{ field, value: exact }];
  if (field.maskable) {
    const mask = of(0x7fff_ffff_0f0f_f0f0_ffff_0001_0003_0005n);
    samples.push({ field, value: and(exact, mask), mask });
  }
  return samples;
}

/** `+trk-inv`: Open vSwitch wants more than `+trk` before the fields of the original tuple. */
const TRACKED_AND_VALID = 0x30;

/** The entry after entries that let it be. */
export function withPrerequisites(entry: Oxm): Match {
  const needed = entry.field.prerequisites.map(({ field: name, values, mask }): Oxm => {
    const field = fieldByName(name) as Field;
    return { field, value: values[0] ?? 0, mask: field === F.ct_state ? TRACKED_AND_VALID : mask };
  });
  return [...needed, entry];
}

const sampleSeveral = <T>(items: readonly T[], max: number): fc.Arbitrary<T[]> =>
  fc.subarray([...items], { maxLength: Math.min(max, items.length) });

/** Values Open vSwitch takes for a field. */
function valueOf(field: Field): fc.Arbitrary<OxmValue> {
  if (field.format === 'port') return port;
  if (field === F.vlan_vid) return fc.oneof(fc.constant(0), fc.integer({ min: 0x1000, max: 0x1fff }));
  if (field === F.nw_tos) return fc.nat(63).map((dscp) => dscp << 2);
  if (field === F.arp_op) return fc.nat(255);
  // A fragment after the first has no ports.
  if (field === F.ip_frag) return fc.nat(1);
  if (field === F.nsh_ttl) return fc.nat(63);
  if (field === F.nsh_mdtype) return fc.constantFrom(1, 2);
  if (typeof field.exactMask === 'bigint') {
    return fc.oneof(fc.bigInt({ min: 0n, max: field.exactMask }), fc.bigInt({ min: 0n, max: 255n }));
  }
  const { exactMask } = field as Field<number>;
  return fc.oneof(
    fc.integer({ min: 0, max: exactMask }),
    fc.integer({ min: 0, max: Math.min(15, exactMask) }),
  );
}

/** Prefixes, any bits, all bits, none. */
function maskOf(field: Field): fc.Arbitrary<OxmValue> {
  const all = BigInt(field.exactMask as number | bigint);
  const bits = BigInt(field.bits);
  const masks = fc.oneof(
    fc.bigInt({ min: 0n, max: bits }).map((length) => all - ((1n << (bits - length)) - 1n)),
    fc.bigInt({ min: 0n, max: all }),
  );
  return typeof field.exactMask === 'bigint' ? masks : masks.map(Number);
}

function validOxm(field: Field): fc.Arbitrary<Oxm> {
  const exact = valueOf(field).map((value): Oxm => ({ field, value, mask: undefined }));
  if (!field.maskable) return exact;
  const masked = fc
    .tuple(valueOf(field), maskOf(field))
    .map(([value, mask]): Oxm => ({ field, value: and(value, mask), mask }));
  return fc.oneof(exact, masked);
}

export const port: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 1, max: 0xfeff }),
  fc.constantFrom(Port.LOCAL, Port.CONTROLLER),
);

/** Fields that any packet has. Registers do not overlap: Open vSwitch takes each bit once. */
const EVERYWHERE: readonly Field[] = [
  F.in_port,
  F.metadata,
  F.eth_dst,
  F.nxm_eth_src,
  F.tunnel_id,
  F.reg0,
  F.reg1,
  F.xreg1,
  F.xxreg1,
  F.reg15,
  F.tun_src,
  F.tun_dst,
  F.tun_ipv6_src,
  F.pkt_mark,
  F.dp_hash,
  F.recirc_id,
  F.conj_id,
  F.tun_gbp_id,
  F.tun_flags,
  F.ct_state,
  F.ct_zone,
  F.ct_mark,
  F.ct_label,
  F.actset_output,
];
const VLAN_FIELDS: readonly (readonly Field[])[] = [[], [F.vlan_vid], [F.vlan_tci]];
const IP_FIELDS: readonly Field[] = [F.ip_dscp, F.ip_ecn, F.nw_ttl, F.ip_frag];
const IPV4_FIELDS: readonly Field[] = [F.ipv4_src, F.ipv4_dst];
const IPV6_FIELDS: readonly Field[] = [F.ipv6_src, F.ipv6_dst, F.ipv6_flabel];

/** Kinds of packet: what must be matched, and the fields that may be. */
interface Shape {
  readonly head: MatchSpec;
  readonly fields: readonly Field[];
}
const ip = (head: MatchSpec, ...fields: Field[]): Shape[] => [
  { head: { eth_type: 0x0800, ...head }, fields: [...IP_FIELDS, ...IPV4_FIELDS, ...fields] },
  { head: { eth_type: 0x86dd, ...head }, fields: [...IP_FIELDS, ...IPV6_FIELDS, ...fields] },
];
const SHAPES: readonly Shape[] = [
  { head: {}, fields: [F.eth_type] },
  ...ip({}, F.ip_proto),
  ...ip({ ip_proto: 6 }, F.tcp_src, F.nxm_tcp_dst, F.tcp_flags),
  ...ip({ ip_proto: 17 }, F.udp_src, F.udp_dst),
  ...ip({ ip_proto: 132 }, F.sctp_src, F.sctp_dst),
  { head: { eth_type: 0x0800, ip_proto: 1 }, fields: [...IPV4_FIELDS, F.icmpv4_type, F.icmpv4_code] },
  { head: { eth_type: 0x86dd, ip_proto: 58 }, fields: [...IPV6_FIELDS, F.icmpv6_type, F.icmpv6_code] },
  ...[135, 136].map((icmpv6_type) => ({
    head: { eth_type: 0x86dd, ip_proto: 58, icmpv6_type },
    fields: [F.ipv6_nd_target, icmpv6_type === 135 ? F.ipv6_nd_sll : F.ipv6_nd_tll],
  })),
  ...[0x0806, 0x8035].map((eth_type) => ({
    head: { eth_type },
    fields: [F.arp_op, F.arp_spa, F.arp_tpa, F.arp_sha, F.nxm_arp_tha],
  })),
  ...[0x8847, 0x8848].map((eth_type) => ({
    head: { eth_type },
    fields: [F.mpls_label, F.mpls_tc, F.mpls_bos, F.mpls_ttl],
  })),
  {
    head: { eth_type: 0x894f },
    fields: [F.nsh_flags, F.nsh_ttl, F.nsh_mdtype, F.nsh_np, F.nsh_spi, F.nsh_si],
  },
  {
    head: { ct_state: [0x20, 0x30], eth_type: 0x0800, ct_nw_proto: 6 },
    fields: [F.ct_nw_src, F.ct_nw_dst, F.ct_tp_src, F.ct_tp_dst],
  },
];

const shapeMatch = ({ head, fields }: Shape): fc.Arbitrary<Match> => {
  const fixed = matchOf(head);
  const taken = new Set(fixed.map(({ field }) => field));
  return fc
    .tuple(
      sampleSeveral(fields, 4),
      sampleSeveral(
        EVERYWHERE.filter((field) => !taken.has(field)),
        4,
      ),
      fc.constantFrom(...VLAN_FIELDS),
    )
    .chain(([some, common, vlan]) => {
      const oxms = [...common, ...vlan, ...some].map(validOxm);
      return fc.tuple(...oxms).map((free): Match => [...fixed, ...free]);
    });
};

/** Matches that Open vSwitch takes, prerequisites first. */
export const ovsMatch: fc.Arbitrary<Match> = fc.oneof(...SHAPES.map(shapeMatch));

const u16 = fc.nat(0xffff);
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const address = fc.integer({ min: 1, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** What packets of the flows below are: writing to TCP over IPv4 is allowed. */
const TCP = matchOf({ eth_type: 0x0800, ip_proto: 6 });

const WRITABLE = [F.eth_dst, F.eth_src, F.ipv4_src, F.ipv4_dst, F.tcp_src, F.tcp_dst, F.ip_dscp, F.ip_ecn];
const STATE = [
  F.reg0,
  F.reg7,
  F.xreg2,
  F.xxreg3,
  F.metadata,
  F.tunnel_id,
  F.tun_src,
  F.pkt_mark,
  F.tun_ipv6_dst,
];
const subfield = (fields: readonly Field[]): fc.Arbitrary<Subfield> =>
  fc
    .constantFrom(...fields)
    .chain((field) =>
      fc
        .integer({ min: 1, max: Math.min(64, field.bits) })
        .chain((bits) => fc.nat(field.bits - bits).map((offset) => ({ field, offset, bits }))),
    );
const exactOxm = (fields: readonly Field[]): fc.Arbitrary<Oxm> =>
  fc
    .constantFrom(...fields)
    .chain((field) => valueOf(field).map((value): Oxm => ({ field, value, mask: undefined })));
const maskedOxm = fc.constantFrom(...STATE).chain(validOxm);
const resubmit: fc.Arbitrary<Action> = fc
  .tuple(port, fc.nat(254), fc.nat(2))
  .map(([p, table, form]) =>
    form === 0
      ? { type: 'resubmit', port: p }
      : form === 1
        ? { type: 'resubmit', table }
        : { type: 'resubmit', port: p, table },
  );
const nat: fc.Arbitrary<Action> = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 5, 9, 17, 2 | 4 | 16),
    fc.nat(3),
    address,
    address,
    fc.nat(0xfffe),
    fc.nat(0xfffe),
  )
  .map(([flags, form, a, b, p, q]) => {
    const addresses = form > 0 ? { ipv4Min: Math.min(a, b), ipv4Max: Math.max(a, b) } : {};
    const ports = form > 1 ? { portMin: Math.min(p, q) + 1, portMax: Math.max(p, q) + 1 } : {};
    return (flags & 3) === 0
      ? { type: 'nat', flags: 0 }
      : { type: 'nat', flags: form > 0 ? flags : flags & 3, ...addresses, ...ports };
  });
const learn: fc.Arbitrary<Action> = fc
  .record({
    idleTimeout: u16,
    hardTimeout: fc.constantFrom(0, 30),
    priority: fc.constantFrom(0x8000, 5),
    cookie: u64,
    flags: fc.nat(3),
    table: fc.nat(254),
    finIdleTimeout: fc.constantFrom(0, 7),
    finHardTimeout: fc.constantFrom(0, 8),
    specs: fc.array(
      fc.oneof<fc.Arbitrary<LearnSpec>[]>(
        subfield([F.reg1, F.reg2, F.nxm_eth_dst]).map((src) => ({
          kind: 'match_field',
          src,
          dst: src,
        })),
        subfield([F.reg1, F.nxm_eth_src]).map((src) => ({
          kind: 'load_field',
          src,
          dst: { field: F.xreg4, offset: 0, bits: src.bits },
        })),
        fc
          .tuple(fc.constantFrom('match_value' as const, 'load_value' as const), subfield([F.reg5]), u64)
          .map(([kind, dst, value]) => ({ kind, dst, value: value & ((1n << BigInt(dst.bits)) - 1n) })),
        subfield([F.reg6]).map((src) => ({ kind: 'output', src })),
      ),
      { maxLength: 4 },
    ),
  })
  .map((rest) => ({ type: 'learn', ...rest }));

const leaf: fc.Arbitrary<Action> = fc.oneof<fc.Arbitrary<Action>[]>(
  fc.oneof(port, fc.constantFrom(Port.FLOOD, Port.ALL, Port.NORMAL, Port.IN_PORT)).map(output),
  u16.map((maxLen) => ({ type: 'output', port: Port.CONTROLLER, maxLen })),
  u32.map((groupId) => ({ type: 'group', groupId: groupId % 0xffffff00 })),
  u32.map((queueId) => ({ type: 'set_queue', queueId })),
  exactOxm([...WRITABLE, ...STATE]).map((oxm) => ({ type: 'set_field', oxm })),
  maskedOxm.map((oxm) => ({ type: 'reg_load2', oxm })),
  fc.tuple(subfield(STATE), u64).map(([{ field, offset, bits }, value]) => ({
    type: 'reg_load',
    dst: field,
    offset,
    bits,
    value: value & ((1n << BigInt(bits)) - 1n),
  })),
  fc.tuple(subfield([F.xreg0]), fc.constantFrom(F.xreg1, F.xxreg2)).map(([{ field, offset, bits }, dst]) => ({
    type: 'reg_move',
    src: field,
    srcOffset: offset,
    dst,
    dstOffset: 0,
    bits,
  })),
  fc.constantFrom<Action>(
    { type: 'dec_nw_ttl' },
    { type: 'pop_queue' },
    { type: 'exit' },
    { type: 'ct_clear' },
    { type: 'set_nw_ttl', ttl: 64 },
  ),
  resubmit,
  subfield([F.reg3, F.xreg3]).map(({ field, offset, bits }) => ({
    type: 'output_reg',
    src: field,
    offset,
    bits: Math.min(bits, 32),
    maxLen: 0xffff,
  })),
  fc.tuple(fc.integer({ min: 1, max: 0xfeff }), fc.integer({ min: 14, max: 1500 })).map(([p, maxLen]) => ({
    type: 'output_trunc',
    port: p,
    maxLen,
  })),
  learn,
  fc
    .tuple(fc.constantFrom(0xffff, 0, 128), fc.constantFrom(0, 9), fc.constantFrom(0, 1, 2))
    .map(([maxLen, controllerId, reason]) => ({ type: 'controller', maxLen, controllerId, reason })),
  fc
    .record(
      {
        maxLen: u16,
        controllerId: u16,
        reason: fc.nat(2),
        userdata: fc.uint8Array({ minLength: 1, maxLength: 9 }),
        pause: fc.constant(true),
        meterId: fc.integer({ min: 1, max: 99 }),
      },
      { requiredKeys: [], noNullPrototype: true },
    )
    .map((rest) => ({ type: 'controller2', ...rest }) as Action),
  fc
    .array(u16, { minLength: 1, maxLength: 4 })
    .map((controllerIds) => ({ type: 'dec_ttl_cnt_ids', controllerIds })),
  fc.uint8Array({ minLength: 6, maxLength: 6 }).map((data) => ({ type: 'note', data })),
  fc.tuple(u16, u16).map(([finIdleTimeout, finHardTimeout]) => ({
    type: 'fin_timeout',
    finIdleTimeout,
    finHardTimeout,
  })),
  subfield([F.reg1, F.xxreg0]).map((src) => ({ type: 'stack_push', src })),
  subfield([F.reg1, F.xxreg0]).map((dst) => ({ type: 'stack_pop', dst })),
  fc.tuple(u16, fc.nat(31)).map(([packetLength, offset]) => ({
    type: 'check_pkt_larger',
    packetLength,
    dst: { field: F.reg4, offset, bits: 1 },
  })),
);

const ct: fc.Arbitrary<Action> = fc
  .record({
    zone: fc.oneof(
      u16,
      fc.nat(16).map((offset) => ({ field: F.reg5 as Field, offset, bits: 16 })),
    ),
    recircTable: fc.option(fc.nat(254), { nil: undefined }),
    alg: fc.constantFrom(0, 21),
    natAction: fc.option(nat, { nil: undefined }),
    marks: fc.array(
      fc.oneof(exactOxm([F.ct_mark, F.ct_label]).map((oxm): Action => ({ type: 'set_field', oxm }))),
      { maxLength: 2 },
    ),
    force: fc.boolean(),
  })
  .map(({ recircTable, natAction, marks, force, ...rest }): Action => {
    const actions = [...(natAction === undefined ? [] : [natAction]), ...marks];
    const recirc = recircTable === undefined ? {} : { recircTable };
    return { type: 'ct', flags: force ? 3 : 1, ...rest, ...recirc, actions };
  });

export const ovsActions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: leaf },
    { weight: 1, arbitrary: ct },
    {
      weight: 1,
      arbitrary: fc.array(leaf, { maxLength: 3 }).map((actions): Action => ({ type: 'clone', actions })),
    },
  ),
  { maxLength: 5 },
);

/** The order in which Open vSwitch gives instructions back. */
const ovsInstructions: fc.Arbitrary<Instruction[]> = fc
  .record(
    {
      meter: fc.integer({ min: 1, max: 1000 }).map((meterId): Instruction => ({ type: 'meter', meterId })),
      apply: ovsActions.map((actions) => apply(...actions)),
      clear: fc.constant<Instruction>({ type: 'clear_actions' }),
      write: fc
        .uniqueArray(
          fc.constantFrom<Action>({ type: 'group', groupId: 4 }, output(7), { type: 'dec_nw_ttl' }),
        )
        .map((actions): Instruction => ({ type: 'write_actions', actions })),
      metadata: fc
        .tuple(u64, fc.oneof(u64, fc.constant((1n << 64n) - 1n)))
        .map(([metadata, mask]): Instruction => ({ type: 'write_metadata', metadata, mask })),
      goto: fc.integer({ min: 100, max: 254 }).map((table): Instruction => ({ type: 'goto_table', table })),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .map(({ meter, apply: applied, clear, write, metadata, goto }) =>
    [meter, applied, clear, write, metadata, goto].filter((instruction) => instruction !== undefined),
  );

const counters = {
  tableId: fc.nat(99),
  durationSec: u32,
  durationNsec: fc.constantFrom(0, 500_000_000, 123_456_789, 7),
  priority: fc.constantFrom(0, 0x8000, 100),
  idleTimeout: u16,
  hardTimeout: u16,
  flags: fc.nat(31),
  cookie: u64,
  packetCount: u64.map((count) => count >> 1n),
  byteCount: u64.map((count) => count >> 1n),
};

/** Flow entries by what they match (with no actions), and by what they do (to TCP). */
export const ovsFlow: fc.Arbitrary<FlowStats> = fc.oneof(
  fc.record({ ...counters, match: ovsMatch, instructions: fc.constant([]) }, { noNullPrototype: true }),
  fc.record(
    { ...counters, match: fc.constant(TCP), instructions: ovsInstructions },
    { noNullPrototype: true },
  ),
);

export const ovsGroup: fc.Arbitrary<GroupDescription> = fc.nat(3).chain((groupType) =>
  fc.record(
    {
      groupType: fc.constant(groupType),
      groupId: u32.map((id) => id % 0xffffff00),
      buckets: fc.array(
        fc.record(
          {
            weight: groupType === GroupType.SELECT ? u16 : fc.constant(0),
            watchPort: groupType === GroupType.FAST_FAILOVER ? port : fc.constant<number>(Port.ANY),
            watchGroup: fc.constant<number>(Group.ANY),
            actions: ovsActions,
          },
          { noNullPrototype: true },
        ),
        groupType === GroupType.INDIRECT ? { minLength: 1, maxLength: 1 } : { maxLength: 4 },
      ),
    },
    { noNullPrototype: true },
  ),
);

export const ovsMeter: fc.Arbitrary<MeterConfig> = fc.record(
  {
    flags: fc.constantFrom(1, 2, 5, 6, 9, 13),
    meterId: fc.integer({ min: 1, max: 0xffff0000 }),
    bands: fc.array(
      fc.oneof<fc.Arbitrary<MeterBand>[]>(
        fc.record({ type: fc.constant('drop'), rate: u32, burstSize: u32 }, { noNullPrototype: true }),
        fc.record(
          { type: fc.constant('dscp_remark'), rate: u32, burstSize: u32, precedenceLevel: fc.nat(255) },
          { noNullPrototype: true },
        ),
      ),
      { maxLength: 3 },
    ),
  },
  { noNullPrototype: true },
);
