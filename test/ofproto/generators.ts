/** Random messages of every type, for the property tests. Each decodes to itself again after encoding. */
import fc from 'fast-check';
import {
  type Action,
  type CtTuple,
  F,
  type Field,
  type Instruction,
  type LearnSpec,
  type Match,
  type Message,
  type MeterBand,
  type MultipartReply,
  type MultipartRequest,
  type Oxm,
  opaqueField,
  Port,
  type QueueProperty,
  type Subfield,
  type TableFeatureProperty,
} from '../../ofproto/index.js';

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u48 = fc.integer({ min: 0, max: 0xffffffffffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const u128 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n });
const bytes = fc.uint8Array({ maxLength: 40 });
const bytesOfEights = fc
  .integer({ min: 0, max: 4 })
  .chain((n) => fc.uint8Array({ minLength: 8 * n, maxLength: 8 * n }));
const list = <T>(item: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[]> => fc.array(item, { maxLength });
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ maxLength: Math.min(maxLength, 20), unit: fc.constantFrom(...'abcXYZ019-_. ') });
/** Plain objects, with the prototype that decoded ones have. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
/** Optional keys are left out, never undefined. */
const optional = <T>(keys: { [K in keyof T]: fc.Arbitrary<Exclude<T[K], undefined>> }): fc.Arbitrary<T> =>
  fc.record(keys, { requiredKeys: [], noNullPrototype: true }) as unknown as fc.Arbitrary<T>;

export const fields = Object.values(F) as Field[];
const fixedFields = fields.filter((field) => field.bytes > 0);
const plainFields = fixedFields.filter((field) => field.experimenter === undefined);

function valueOf(field: Field): fc.Arbitrary<Oxm['value']> {
  if (typeof field.exactMask === 'number') return fc.integer({ min: 0, max: field.exactMask });
  if (typeof field.exactMask === 'bigint') return fc.bigInt({ min: 0n, max: field.exactMask });
  return fc.uint8Array({ minLength: 1, maxLength: 124 });
}

function oxmOf(field: Field): fc.Arbitrary<Oxm> {
  const value = valueOf(field);
  if (!field.maskable) return value.map((v) => ({ field, value: v, mask: undefined }));
  if (field.bytes === 0) {
    return fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 124 }), fc.boolean()).map(([v, masked]) => ({
      field,
      value: v,
      mask: masked ? v.map((byte) => ~byte) : undefined,
    }));
  }
  return fc
    .tuple(value, fc.option(valueOf(field), { nil: undefined }))
    .map(([v, mask]) => ({ field, value: v, mask }));
}

const unknownOxm: fc.Arbitrary<Oxm> = fc.oneof(
  fc
    .tuple(fc.constantFrom(0x0003, 0x4000, 0x8002, 0xfffe), fc.nat(127), fc.boolean(), bytes)
    .map(([c, n, m, value]) => ({ field: opaqueField(c, n, m, undefined), value, mask: undefined })),
  fc
    .tuple(fc.nat(127), fc.boolean(), fc.constantFrom(0x12345678, 0x00000001), bytes)
    .map(([n, m, experimenter, rest]) => {
      const value = Uint8Array.of(
        experimenter >>> 24,
        (experimenter >>> 16) & 255,
        (experimenter >>> 8) & 255,
        experimenter & 255,
        ...rest,
      );
      return { field: opaqueField(0xffff, n, m, experimenter), value, mask: undefined };
    }),
);

export const knownOxm: fc.Arbitrary<Oxm> = fc.constantFrom(...fields).chain(oxmOf);
export const anyOxm = fc.oneof({ weight: 9, arbitrary: knownOxm }, { weight: 1, arbitrary: unknownOxm });
export const match: fc.Arbitrary<Match> = list(anyOxm, 6);

const anyField = fc.constantFrom(...fixedFields);
const plainField = fc.constantFrom(...plainFields);
const bitsOf = (field: Field): fc.Arbitrary<{ offset: number; bits: number }> =>
  fc
    .integer({ min: 1, max: Math.min(64, field.bits) })
    .chain((bits) => fc.integer({ min: 0, max: field.bits - bits }).map((offset) => ({ offset, bits })));
const subfieldOf = (field: fc.Arbitrary<Field>): fc.Arbitrary<Subfield> =>
  field.chain((f) => bitsOf(f).map(({ offset, bits }) => ({ field: f, offset, bits })));
const subfield = subfieldOf(anyField);
const port = fc.oneof(
  fc.integer({ min: 0, max: 0xfeff }),
  fc.constantFrom(Port.LOCAL, Port.CONTROLLER, Port.FLOOD),
);

const learnSpec: fc.Arbitrary<LearnSpec> = fc.oneof(
  fc
    .tuple(fc.constantFrom('match_field' as const, 'load_field' as const), subfield, anyField)
    .map(([kind, src, f]) => ({ kind, src, dst: { field: f, offset: 0, bits: src.bits } })),
  fc
    .tuple(fc.constantFrom('match_value' as const, 'load_value' as const), subfield, u64)
    .map(([kind, dst, v]) => ({ kind, dst, value: v & ((1n << BigInt(dst.bits)) - 1n) })),
  subfield.map((src) => ({ kind: 'output' as const, src })),
);

const bare = <T extends string>(type: T): fc.Arbitrary<{ type: T }> => record({ type: fc.constant(type) });
const of = <T extends string, R extends object>(
  type: T,
  model: { [K in keyof R]: fc.Arbitrary<R[K]> },
): fc.Arbitrary<{ type: T } & R> => record<R>(model).map((rest) => ({ type, ...rest }));

export const leafActions: fc.Arbitrary<Action>[] = [
  of('output', { port: u32, maxLen: u16 }),
  bare('copy_ttl_out'),
  bare('copy_ttl_in'),
  of('set_mpls_ttl', { ttl: u8 }),
  bare('dec_mpls_ttl'),
  of('push_vlan', { ethertype: u16 }),
  bare('pop_vlan'),
  of('push_mpls', { ethertype: u16 }),
  of('pop_mpls', { ethertype: u16 }),
  of('set_queue', { queueId: u32 }),
  of('group', { groupId: u32 }),
  of('set_nw_ttl', { ttl: u8 }),
  bare('dec_nw_ttl'),
  of('set_field', { oxm: anyOxm }),
  of('push_pbb', { ethertype: u16 }),
  bare('pop_pbb'),
  fc
    .tuple(port, u8)
    .chain(([p, t]) =>
      fc.constantFrom<Action>(
        { type: 'resubmit', port: p },
        { type: 'resubmit', table: t },
        { type: 'resubmit', port: p, table: t },
        { type: 'resubmit_ct', table: t },
        { type: 'resubmit_ct', port: p, table: t },
      ),
    ),
  fc.tuple(anyField, anyField, u16, u16, u16).map(([src, dst, srcOffset, dstOffset, bits]) => ({
    type: 'reg_move',
    src,
    srcOffset,
    dst,
    dstOffset,
    bits,
  })),
  fc
    .tuple(subfieldOf(plainField), u64)
    .map(([s, value]) => ({ type: 'reg_load', dst: s.field, offset: s.offset, bits: s.bits, value })),
  of('reg_load2', { oxm: anyOxm }),
  fc
    .tuple(subfieldOf(plainField), u16)
    .map(([s, maxLen]) => ({ type: 'output_reg', src: s.field, offset: s.offset, bits: s.bits, maxLen })),
  of('output_trunc', { port, maxLen: u32 }),
  of('learn', {
    idleTimeout: u16,
    hardTimeout: u16,
    priority: u16,
    cookie: u64,
    flags: u16,
    table: u8,
    finIdleTimeout: u16,
    finHardTimeout: u16,
    specs: list(learnSpec, 4),
  }),
  of('controller', { maxLen: u16, controllerId: u16, reason: u8 }),
  optional<{
    maxLen?: number;
    controllerId?: number;
    reason?: number;
    userdata?: Uint8Array;
    pause?: boolean;
    meterId?: number;
  }>({
    maxLen: u16,
    controllerId: u16,
    reason: u8,
    userdata: bytes,
    pause: fc.constant(true),
    meterId: u32,
  }).map((rest) => ({ type: 'controller2', ...rest })),
  of('conjunction', { id: u32, clause: fc.integer({ min: 1, max: 255 }), clauses: u8 }),
  bare('ct_clear'),
  bare('dec_ttl'),
  of('dec_ttl_cnt_ids', { controllerIds: list(u16, 5) }),
  fc
    .integer({ min: 0, max: 3 })
    .chain((n) => fc.uint8Array({ minLength: 6 + 8 * n, maxLength: 6 + 8 * n }))
    .map((data) => ({ type: 'note', data })),
  of('nx_set_queue', { queueId: u32 }),
  bare('pop_queue'),
  bare('exit'),
  of('fin_timeout', { finIdleTimeout: u16, finHardTimeout: u16 }),
  of('stack_push', { src: subfield }),
  of('stack_pop', { dst: subfield }),
  fc.tuple(u16, anyField, u16).map(([packetLength, field, offset]) => ({
    type: 'check_pkt_larger',
    packetLength,
    dst: { field, offset, bits: 1 },
  })),
  of('delete_field', { field: anyField }),
  optional<{
    ipv4Min?: number;
    ipv4Max?: number;
    ipv6Min?: bigint;
    ipv6Max?: bigint;
    portMin?: number;
    portMax?: number;
  }>({
    ipv4Min: u32,
    ipv4Max: u32,
    ipv6Min: u128,
    ipv6Max: u128,
    portMin: u16,
    portMax: u16,
  }).map((rest) => ({ type: 'nat', flags: 1, ...rest })),
  // Unknown action, unknown experimenter, unknown subtype of Nicira.
  bytesOfEights.map((data) => ({ type: 'opaque', number: 200, data: Uint8Array.of(0, 0, 0, 0, ...data) })),
  bytesOfEights.map((data) => ({ type: 'opaque', number: 0xffff, data: Uint8Array.of(1, 2, 3, 4, ...data) })),
  bytesOfEights.map((data) => ({
    type: 'opaque',
    number: 0xffff,
    data: Uint8Array.of(0, 0, 0x23, 0x20, 0, 10, 0, 0, 0, 0, 0, 0, ...data),
  })),
];

const leafAction = fc.oneof(...leafActions);
export const nestedActions: fc.Arbitrary<Action>[] = [
  fc
    .record({
      flags: u16,
      zone: fc.oneof(u16, subfieldOf(plainField)),
      alg: u16,
      actions: list(leafAction),
      recircTable: fc.option(fc.nat(254), { nil: undefined }),
    })
    .map(({ recircTable, ...rest }) =>
      recircTable === undefined ? { type: 'ct', ...rest } : { type: 'ct', ...rest, recircTable },
    ),
  list(leafAction).map((actions) => ({ type: 'clone', actions })),
];
export const action: fc.Arbitrary<Action> = fc.oneof(...leafActions, ...nestedActions);
const actions = list(action, 4);

export const instructionKinds: fc.Arbitrary<Instruction>[] = [
  of('goto_table', { table: u8 }),
  of('write_metadata', { metadata: u64, mask: u64 }),
  of('write_actions', { actions }),
  of('apply_actions', { actions }),
  bare('clear_actions'),
  of('meter', { meterId: u32 }),
  bytesOfEights.map((data) => ({ type: 'opaque', number: 0xffff, data: Uint8Array.of(9, 9, 9, 9, ...data) })),
];
const instructions = list(fc.oneof(...instructionKinds), 3);

const portDescription = record({
  portNo: u32,
  hardwareAddress: u48,
  name: text(15),
  config: u32,
  state: u32,
  current: u32,
  advertised: u32,
  supported: u32,
  peer: u32,
  currentSpeed: u32,
  maxSpeed: u32,
});
const bucket = record({ weight: u16, watchPort: u32, watchGroup: u32, actions });
const band: fc.Arbitrary<MeterBand> = fc.oneof<fc.Arbitrary<MeterBand>[]>(
  of('drop', { rate: u32, burstSize: u32 }),
  of('dscp_remark', { rate: u32, burstSize: u32, precedenceLevel: u8 }),
  of('experimenter', { rate: u32, burstSize: u32, experimenter: u32, data: bytes }),
  of('opaque', { number: fc.constant(77), data: bytes }),
);
const queueProperty: fc.Arbitrary<QueueProperty> = fc.oneof<fc.Arbitrary<QueueProperty>[]>(
  of('min_rate', { rate: u16 }),
  of('max_rate', { rate: u16 }),
  of('experimenter', { experimenter: u32, data: bytes }),
  of('opaque', { number: fc.constant(9), data: bytes }),
);
const flowStats = record({
  tableId: u8,
  durationSec: u32,
  durationNsec: u32,
  priority: u16,
  idleTimeout: u16,
  hardTimeout: u16,
  flags: u16,
  cookie: u64,
  packetCount: u64,
  byteCount: u64,
  match,
  instructions,
});
const featureId = fc.oneof(
  u16.map((type) => ({ type })),
  record({ type: fc.constant(0xffff), data: fc.uint8Array({ minLength: 4, maxLength: 8 }) }),
);
const fieldId = fc
  .tuple(fc.constantFrom(...fields), fc.boolean())
  .map(([field, hasMask]) => ({ field, hasMask }));
const tableFeatureProperty: fc.Arbitrary<TableFeatureProperty> = fc.oneof<
  fc.Arbitrary<TableFeatureProperty>[]
>(
  of('instructions', { miss: fc.boolean(), instructions: list(featureId) }),
  of('next_tables', { miss: fc.boolean(), tables: list(u8, 9) }),
  of('write_actions', { miss: fc.boolean(), actions: list(featureId) }),
  of('apply_actions', { miss: fc.boolean(), actions: list(featureId) }),
  of('match', { fields: list(fieldId) }),
  of('wildcards', { fields: list(fieldId) }),
  of('write_setfield', { miss: fc.boolean(), fields: list(fieldId) }),
  of('apply_setfield', { miss: fc.boolean(), fields: list(fieldId) }),
  of('experimenter', { miss: fc.boolean(), experimenter: u32, experimenterType: u32, data: bytes }),
  of('opaque', { number: fc.constant(99), data: bytes }),
);
const tableFeatures = record({
  tableId: u8,
  name: text(31),
  metadataMatch: u64,
  metadataWrite: u64,
  config: u32,
  maxEntries: u32,
  properties: list(tableFeatureProperty, 5),
});

const flowStatsRequest = record({
  tableId: u8,
  outPort: u32,
  outGroup: u32,
  cookie: u64,
  cookieMask: u64,
  match,
});
const experimenterBody = record({ experimenter: fc.constant(7), experimenterType: u32, data: bytes });
const quad = fc.tuple(u32, u32, u32, u32);
const duration = { durationSec: u32, durationNsec: u32 };

const requestBodies: { [K in MultipartRequest['multipartType']]: fc.Arbitrary<unknown> } = {
  desc: fc.constant(null),
  flow: flowStatsRequest,
  aggregate: flowStatsRequest,
  table: fc.constant(null),
  port_stats: record({ portNo: u32 }),
  queue: record({ portNo: u32, queueId: u32 }),
  group: record({ groupId: u32 }),
  group_desc: fc.constant(null),
  group_features: fc.constant(null),
  meter: record({ meterId: u32 }),
  meter_config: record({ meterId: u32 }),
  meter_features: fc.constant(null),
  table_features: list(tableFeatures),
  port_desc: fc.constant(null),
  flow_monitor: list(record({ monitorId: u32, flags: u16, outPort: u32, tableId: u8, match })),
  experimenter: experimenterBody,
  opaque: bytes,
};

const fullUpdate = record({
  event: fc.constantFrom('added' as const, 'deleted' as const, 'modified' as const),
  reason: u16,
  priority: u16,
  idleTimeout: u16,
  hardTimeout: u16,
  tableId: u8,
  cookie: u64,
  match,
  instructions,
});

const replyBodies: { [K in MultipartReply['multipartType']]: fc.Arbitrary<unknown> } = {
  desc: record({
    manufacturer: text(255),
    hardware: text(255),
    software: text(255),
    serialNumber: text(31),
    datapath: text(255),
  }),
  flow: list(flowStats),
  aggregate: record({ packetCount: u64, byteCount: u64, flowCount: u32 }),
  table: list(record({ tableId: u8, activeCount: u32, lookupCount: u64, matchedCount: u64 })),
  port_stats: list(
    record({
      portNo: u32,
      rxPackets: u64,
      txPackets: u64,
      rxBytes: u64,
      txBytes: u64,
      rxDropped: u64,
      txDropped: u64,
      rxErrors: u64,
      txErrors: u64,
      rxFrameErrors: u64,
      rxOverErrors: u64,
      rxCrcErrors: u64,
      collisions: u64,
      ...duration,
    }),
  ),
  queue: list(
    record({ portNo: u32, queueId: u32, txBytes: u64, txPackets: u64, txErrors: u64, ...duration }),
  ),
  group: list(
    record({
      groupId: u32,
      refCount: u32,
      packetCount: u64,
      byteCount: u64,
      ...duration,
      buckets: list(record({ packetCount: u64, byteCount: u64 })),
    }),
  ),
  group_desc: list(record({ groupType: u8, groupId: u32, buckets: list(bucket) })),
  group_features: record({ types: u32, capabilities: u32, maxGroups: quad, actions: quad }),
  meter: list(
    record({
      meterId: u32,
      flowCount: u32,
      packetInCount: u64,
      byteInCount: u64,
      ...duration,
      bands: list(record({ packetBandCount: u64, byteBandCount: u64 })),
    }),
  ),
  meter_config: list(record({ flags: u16, meterId: u32, bands: list(band) })),
  meter_features: record({ maxMeter: u32, bandTypes: u32, capabilities: u32, maxBands: u8, maxColor: u8 }),
  table_features: list(tableFeatures),
  port_desc: list(portDescription),
  flow_monitor: list(
    fc.oneof(
      fullUpdate,
      record({ event: fc.constant('abbreviated' as const), xid: u32 }),
      record({ event: fc.constant('opaque' as const), number: fc.constant(9), data: bytesOfEights }),
    ),
  ),
  experimenter: experimenterBody,
  opaque: bytes,
};

function multipart(
  type: 'multipart_request' | 'multipart_reply',
  bodies: typeof requestBodies,
): fc.Arbitrary<Message>[] {
  return Object.entries(bodies).map(([multipartType, body]) =>
    fc
      .record({ more: fc.boolean(), body })
      .map((rest) =>
        multipartType === 'opaque'
          ? ({ type, multipartType, number: 0x1234, ...rest } as unknown as Message)
          : ({ type, multipartType, ...rest } as unknown as Message),
      ),
  );
}

const masks = record({ master: u32, slave: u32 });
const asyncConfig = { packetIn: masks, portStatus: masks, flowRemoved: masks };
const tuple: fc.Arbitrary<CtTuple> = optional<CtTuple>({
  src: u128,
  dst: u128,
  srcPort: u16,
  dstPort: u16,
  icmpId: u16,
  icmpType: u8,
  icmpCode: u8,
  unknown: fc.array(record({ number: fc.constant(0x777), data: bytes }), { minLength: 1, maxLength: 2 }),
});
const mappings = list(record({ optionClass: u16, optionType: u8, optionLength: u8, index: u16 }));
const packetIn2 = optional<Omit<Extract<Message, { type: 'nx_packet_in2' }>, 'type' | 'xid'>>({
  packet: bytes,
  fullLength: u32,
  bufferId: u32,
  tableId: u8,
  cookie: u64,
  reason: u8,
  metadata: match,
  userdata: bytes,
  continuation: bytes,
  unknown: fc.array(record({ number: fc.constant(0x777), data: bytes }), { minLength: 1, maxLength: 2 }),
});
const properties = optional<{ properties?: { number: number; data: Uint8Array }[] }>({
  properties: fc.array(record({ number: u16, data: bytes }), { minLength: 1, maxLength: 2 }),
});

/** One arbitrary for each kind of message; the xid is added afterwards. */
const kinds: fc.Arbitrary<object>[] = [
  fc
    .tuple(fc.constantFrom(1, 4, 6), fc.option(fc.uniqueArray(fc.nat(90)), { nil: undefined }))
    .map(([version, versions]) =>
      versions === undefined
        ? { type: 'hello', version }
        : { type: 'hello', version, versions: versions.sort((a, b) => a - b) },
    ),
  record({ number: fc.constant(5), data: bytes }).map((element) => ({
    type: 'hello',
    version: 4,
    elements: [element],
  })),
  of('error', { errorType: fc.nat(13), code: u16, data: bytes }),
  of('error', { errorType: fc.constant(0xffff), code: u16, experimenter: u32, data: bytes }),
  of('echo_request', { data: bytes }),
  of('echo_reply', { data: bytes }),
  of('experimenter', {
    experimenter: fc.constantFrom(0x2320, 0x4f4e4600, 5),
    experimenterType: fc.constant(9999),
    data: bytes,
  }),
  bare('features_request'),
  of('features_reply', { datapathId: u64, buffers: u32, tables: u8, auxiliaryId: u8, capabilities: u32 }),
  bare('get_config_request'),
  of('get_config_reply', { flags: u16, missSendLength: u16 }),
  of('set_config', { flags: u16, missSendLength: u16 }),
  of('packet_in', {
    bufferId: u32,
    totalLength: u16,
    reason: u8,
    tableId: u8,
    cookie: u64,
    match,
    data: bytes,
  }),
  of('flow_removed', {
    cookie: u64,
    priority: u16,
    reason: u8,
    tableId: u8,
    ...duration,
    idleTimeout: u16,
    hardTimeout: u16,
    packetCount: u64,
    byteCount: u64,
    match,
  }),
  of('port_status', { reason: u8, port: portDescription }),
  of('packet_out', { bufferId: u32, inPort: u32, actions, data: bytes }),
  of('flow_mod', {
    command: u8,
    tableId: u8,
    cookie: u64,
    cookieMask: u64,
    idleTimeout: u16,
    hardTimeout: u16,
    priority: u16,
    bufferId: u32,
    outPort: u32,
    outGroup: u32,
    flags: u16,
    match,
    instructions,
  }),
  of('group_mod', { command: u16, groupType: u8, groupId: u32, buckets: list(bucket) }),
  of('port_mod', { portNo: u32, hardwareAddress: u48, config: u32, mask: u32, advertise: u32 }),
  of('table_mod', { tableId: u8, config: u32 }),
  ...multipart('multipart_request', requestBodies),
  ...multipart('multipart_reply', replyBodies as typeof requestBodies),
  bare('barrier_request'),
  bare('barrier_reply'),
  of('queue_get_config_request', { port: u32 }),
  of('queue_get_config_reply', {
    port: u32,
    queues: list(record({ queueId: u32, port: u32, properties: list(queueProperty) })),
  }),
  of('role_request', { role: u32, generationId: u64 }),
  of('role_reply', { role: u32, generationId: u64 }),
  bare('get_async_request'),
  of('get_async_reply', asyncConfig),
  of('set_async', asyncConfig),
  of('meter_mod', { command: u16, flags: u16, meterId: u32, bands: list(band) }),
  fc.tuple(u32, u16, u16, properties).map(([bundleId, controlType, flags, rest]) => ({
    type: 'bundle_control',
    bundleId,
    controlType,
    flags,
    ...rest,
  })),
  of('role_status', { role: u32, reason: u8, generationId: u64 }),
  of('flow_monitor_cancel', { monitorId: u32 }),
  bare('flow_monitor_paused'),
  bare('flow_monitor_resumed'),
  of('nx_set_packet_in_format', { format: u32 }),
  of('nx_set_controller_id', { controllerId: u16 }),
  packetIn2.map((rest) => ({ type: 'nx_packet_in2', ...rest })),
  packetIn2.map((rest) => ({ type: 'nx_resume', ...rest })),
  of('nx_ct_flush_zone', { zone: u16 }),
  fc
    .tuple(
      u8,
      optional<Omit<Extract<Message, { type: 'nx_ct_flush' }>, 'type' | 'xid' | 'ipProto'>>({
        zone: u16,
        unknown: fc.array(record({ number: fc.constant(0x777), data: bytes }), {
          minLength: 1,
          maxLength: 2,
        }),
        original: tuple,
        reply: tuple,
      }),
    )
    .map(([ipProto, rest]) => ({ type: 'nx_ct_flush', ipProto, ...rest })),
  of('nx_tlv_table_mod', { command: u16, mappings }),
  bare('nx_tlv_table_request'),
  of('nx_tlv_table_reply', { maxOptionSpace: u32, maxFields: u16, mappings }),
  of('opaque', { number: fc.constantFrom(30, 99, 255), data: bytes }),
];

const withXid = (kind: fc.Arbitrary<object>): fc.Arbitrary<Message> =>
  fc.tuple(kind, u32).map(([rest, xid]) => ({ ...rest, xid }) as Message);

/** One arbitrary for each kind of message that can be in a bundle. */
export const innerKinds: readonly fc.Arbitrary<Message>[] = kinds.slice(2).map(withXid);

const bundleAdd: fc.Arbitrary<Message> = fc
  .tuple(fc.oneof(...innerKinds), u32, u16, properties)
  .map(([message, bundleId, flags, rest]) => ({
    type: 'bundle_add_message',
    xid: message.xid,
    bundleId,
    flags,
    message,
    ...rest,
  }));

/** One arbitrary for each kind of message. */
export const messageKinds: readonly fc.Arbitrary<Message>[] = [...kinds.map(withXid), bundleAdd];
export const message: fc.Arbitrary<Message> = fc.oneof(...messageKinds);
