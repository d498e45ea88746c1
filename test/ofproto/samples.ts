/**
 * One message of every type, and of every multipart type in both directions, with what Open vSwitch and Wireshark must
 * read out of its bytes. Values differ from field to field, so that swapped ones are noticed.
 */
import {
  apply,
  F,
  flowMod,
  flowStatsRequest,
  type Match,
  type Message,
  matchOf,
  output,
  packetOut,
  Port,
  type PortDescription,
} from '../../ofproto/index.js';

/** Fields of Wireshark's `openflow_v4` with all their occurrences; numbers are compared as numbers. */
export type Wireshark = Readonly<Record<string, string | number | bigint | readonly (string | number)[]>>;

/** A message without its xid, which the test gives. */
export type Headless<M> = M extends Message ? Omit<M, 'xid'> : never;

export interface Sample {
  readonly message: Headless<Message>;
  /** How Open vSwitch names it, and text that must be in what it says. */
  readonly ovs: string;
  readonly says?: readonly string[];
  readonly wireshark?: Wireshark;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const port: PortDescription = {
  portNo: 7,
  hardwareAddress: 0x0202_0a00_0001,
  name: 'veth-7',
  config: 0x01,
  state: 0x04,
  current: 0x840,
  advertised: 0x20,
  supported: 0x10,
  peer: 0x08,
  currentSpeed: 10_000_000,
  maxSpeed: 40_000_000,
};
const portSays = [
  '7(veth-7)',
  'addr:02:02:0a:00:00:01',
  'PORT_DOWN',
  'LIVE',
  'speed: 10000 Mbps now, 40000 Mbps max',
];
const portWireshark: Wireshark = {
  'port.port_no': 7,
  'port.hw_addr': '02:02:0a:00:00:01',
  'port.name': 'veth-7',
  'port.config': 1,
  'port.sate': 4,
  'port.current': 0x840,
  'port.advertised': 0x20,
  'port.supported': 0x10,
  'port.peer': 8,
  'port.curr_speed': 10_000_000,
  'port.max_speed': 40_000_000,
};

const tcp: Match = matchOf({
  in_port: 3,
  eth_type: 0x0800,
  ip_proto: 6,
  ipv4_src: [0x0a010000, 0xffff0000],
  tcp_dst: 443,
});
const tcpSays = ['tcp', 'in_port=3', 'nw_src=10.1.0.0/16', 'tp_dst=443'];
const tcpWireshark: Wireshark = {
  'oxm.class': [0x8000, 0x8000, 0x8000, 0x8000, 0x8000],
  'oxm.field': [0, 5, 10, 11, 14],
  'oxm.hm': [0, 0, 0, 1, 0],
  'oxm.value_ipv4addr': '10.1.0.0',
  'oxm.ipv4_mask': '255.255.0.0',
};

const bucket = { weight: 5, watchPort: Port.ANY, watchGroup: 0xffffffff, actions: [output(9)] };
const bucketWireshark: Wireshark = {
  'bucket.weight': 5,
  'bucket.watch_port': Port.ANY,
  'bucket.watch_group': 0xffffffff,
  'action.output.port': 9,
};
const dropBand = { type: 'drop', rate: 1000, burstSize: 200 } as const;
const bandWireshark: Wireshark = {
  'meter_band.type': 1,
  'meter_band.rate': 1000,
  'meter_band.burst_size': 200,
};

const asyncConfig = {
  packetIn: { master: 1, slave: 2 },
  portStatus: { master: 3, slave: 4 },
  flowRemoved: { master: 5, slave: 8 },
};
const asyncSays = [
  'PACKET_IN: no_match',
  'PORT_STATUS: add delete',
  'FLOW_REMOVED: idle delete',
  'PACKET_IN: action',
  'PORT_STATUS: modify',
  'FLOW_REMOVED: group_delete',
];
const asyncWireshark: Wireshark = {
  'async_config.packet_in_mask.master': 1,
  'async_config.packet_in_mask.slave': 2,
  'async_config.port_status_mask.master': 3,
  'async_config.port_status_mask.slave': 4,
  'async_config.flow_removed_mask.master': 5,
  'async_config.flow_removed_mask.slave': 8,
};

const request = (multipartType: string, body: unknown = null): Headless<Message> =>
  ({ type: 'multipart_request', multipartType, more: false, body }) as unknown as Headless<Message>;
const reply = (multipartType: string, body: unknown, more = false): Headless<Message> =>
  ({ type: 'multipart_reply', multipartType, more, body }) as unknown as Headless<Message>;

const standard: readonly Sample[] = [
  {
    message: { type: 'hello', version: 4, versions: [1, 4] },
    ovs: 'OFPT_HELLO',
    says: ['version bitmap: 0x01, 0x04'],
    wireshark: { version: 4, 'hello_element.type': 1, 'hello_element.version.bitmap': '00000012' },
  },
  {
    message: { type: 'error', errorType: 5, code: 1, data: bytes() },
    ovs: 'OFPT_ERROR',
    says: ['OFPFMFC_TABLE_FULL'],
    wireshark: { 'error.type': 5 },
  },
  {
    message: {
      type: 'error',
      errorType: 0xffff,
      code: 2302,
      experimenter: 0x4f4e4600,
      data: bytes(),
    },
    ovs: 'OFPT_ERROR',
    says: ['OFPBFC_BAD_ID'],
    wireshark: { 'error.type': 0xffff, 'error.experimenter': 0x4f4e4600 },
  },
  {
    message: { type: 'echo_request', data: bytes(1, 2, 3) },
    ovs: 'OFPT_ECHO_REQUEST',
    says: ['3 bytes of payload', '01 02 03'],
    wireshark: { 'echo.data': '010203' },
  },
  {
    message: { type: 'echo_reply', data: bytes(4, 5) },
    ovs: 'OFPT_ECHO_REPLY',
    says: ['2 bytes of payload', '04 05'],
    wireshark: { 'echo.data': '0405' },
  },
  { message: { type: 'features_request' }, ovs: 'OFPT_FEATURES_REQUEST' },
  {
    message: {
      type: 'features_reply',
      datapathId: 0x0000_0a0b_0c0d_0e0fn,
      buffers: 256,
      tables: 254,
      auxiliaryId: 3,
      capabilities: 0x4f,
    },
    ovs: 'OFPT_FEATURES_REPLY',
    says: [
      'dpid:00000a0b0c0d0e0f',
      'n_tables:254, n_buffers:256, auxiliary_id:3',
      'FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS QUEUE_STATS',
    ],
    wireshark: {
      'switch_features.datapath_id': 0x0000_0a0b_0c0d_0e0fn,
      'switch_features.n_buffers': 256,
      'switch_features.n_tables': 254,
      'switch_features.auxiliary_id': 3,
      'switch_features.capabilities': 0x4f,
    },
  },
  { message: { type: 'get_config_request' }, ovs: 'OFPT_GET_CONFIG_REQUEST' },
  {
    message: { type: 'get_config_reply', flags: 1, missSendLength: 128 },
    ovs: 'OFPT_GET_CONFIG_REPLY',
    says: ['frags=drop miss_send_len=128'],
    wireshark: { 'switch_config.flags': 1, 'switch_config.miss_send_len': 128 },
  },
  {
    message: { type: 'set_config', flags: 0, missSendLength: 0xffff },
    ovs: 'OFPT_SET_CONFIG',
    says: ['frags=normal miss_send_len=65535'],
    wireshark: { 'switch_config.flags': 0, 'switch_config.miss_send_len': 0xffff },
  },
  {
    message: {
      type: 'packet_in',
      bufferId: 0xffffffff,
      totalLength: 60,
      reason: 1,
      tableId: 5,
      cookie: 0x0123_4567_89ab_cdefn,
      match: matchOf({ in_port: 2 }),
      data: new Uint8Array(60),
    },
    ovs: 'OFPT_PACKET_IN',
    says: ['table_id=5 cookie=0x123456789abcdef total_len=60 in_port=2 (via action)', '(unbuffered)'],
    wireshark: {
      'packet_in.buffer_id': 0xffffffff,
      'packet_in.total_len': 60,
      'packet_in.reason': 1,
      'packet_in.table_id': 5,
      'packet_in.cookie': 0x0123_4567_89ab_cdefn,
      'oxm.field': 0,
    },
  },
  {
    message: {
      type: 'flow_removed',
      cookie: 0xabcn,
      priority: 77,
      reason: 1,
      tableId: 6,
      durationSec: 12,
      durationNsec: 500_000_000,
      idleTimeout: 30,
      hardTimeout: 60,
      packetCount: 1000n,
      byteCount: 2000n,
      match: tcp,
    },
    ovs: 'OFPT_FLOW_REMOVED',
    says: [
      ...tcpSays,
      'priority=77',
      'reason=hard',
      'table_id=6',
      'cookie:0xabc',
      'duration12.500s',
      'idle30 hard60',
      'pkts1000',
      'bytes2000',
    ],
    wireshark: {
      ...tcpWireshark,
      'flow_removed.cookie': 0xabc,
      'flow_removed.priority': 77,
      'flow_removed.reason': 1,
      'flow_removed.table_id': 6,
      'flow_removed.duration_sec': 12,
      'flow_removed.duration_nsec': 500_000_000,
      'flow_removed.idle_timeout': 30,
      'flow_removed.hard_timeout': 60,
      'flow_removed.packet_count': 1000,
      'flow_removed.byte_count': 2000,
    },
  },
  {
    message: { type: 'port_status', reason: 2, port },
    ovs: 'OFPT_PORT_STATUS',
    says: ['MOD:', ...portSays],
    wireshark: { 'port_status.reason': 2, ...portWireshark },
  },
  {
    message: packetOut({ inPort: 4, actions: [output(5)], data: new Uint8Array(20) }),
    ovs: 'OFPT_PACKET_OUT',
    says: ['in_port=4', 'actions=output:5', 'data_len=20'],
    wireshark: {
      'packet_out.buffer_id': 0xffffffff,
      'packet_out.in_port': 4,
      'packet_out.acts_len': 16,
      'action.output.port': 5,
    },
  },
  {
    message: flowMod({
      command: 0,
      tableId: 3,
      cookie: 0x1122n,
      cookieMask: 0x3344n,
      idleTimeout: 10,
      hardTimeout: 20,
      priority: 30,
      flags: 0x1b,
      match: tcp,
      instructions: [apply(output(8)), { type: 'goto_table', table: 4 }],
    }),
    ovs: 'OFPT_FLOW_MOD',
    says: [
      'ADD table:3 priority=30',
      ...tcpSays,
      'cookie:0x1122',
      'idle:10 hard:20',
      'send_flow_rem check_overlap no_packet_counts no_byte_counts',
      'actions=output:8,goto_table:4',
    ],
    wireshark: {
      ...tcpWireshark,
      'flowmod.cookie': 0x1122,
      'flowmod.cookie_mask': 0x3344,
      'flowmod.table_id': 3,
      'flowmod.command': 0,
      'flowmod.idle_timeout': 10,
      'flowmod.hard_timeout': 20,
      'flowmod.priority': 30,
      'flowmod.buffer_id': 0xffffffff,
      'flowmod.out_port': Port.ANY,
      'flowmod.out_group': 0xffffffff,
      'flowmod.flags': 0x1b,
      'instruction.type': [4, 1],
      'instruction.goto_table.table_id': 4,
      'action.output.port': 8,
    },
  },
  {
    message: flowMod({ command: 3, tableId: 255, outPort: 6, outGroup: 66 }),
    ovs: 'OFPT_FLOW_MOD',
    says: ['DEL table:255', 'out_port:6'],
    wireshark: { 'flowmod.command': 3, 'flowmod.out_port': 6, 'flowmod.out_group': 66 },
  },
  {
    message: { type: 'group_mod', command: 0, groupType: 1, groupId: 44, buckets: [bucket] },
    ovs: 'OFPT_GROUP_MOD',
    says: ['ADD group_id=44,type=select', 'weight:5', 'actions=output:9'],
    wireshark: { 'groupmod.command': 0, 'groupmod.type': 1, 'groupmod.group_id': 44, ...bucketWireshark },
  },
  {
    message: {
      type: 'port_mod',
      portNo: 7,
      hardwareAddress: 0x0202_0a00_0001,
      config: 0x01,
      mask: 0x61,
      advertise: 0x20,
    },
    ovs: 'OFPT_PORT_MOD',
    says: ['port: 7: addr:02:02:0a:00:00:01', 'config: PORT_DOWN', 'PORT_DOWN NO_FWD NO_PACKET_IN', '1GB-FD'],
    wireshark: {
      'portmod.port_no': 7,
      'portmod.hw_addr': '02:02:0a:00:00:01',
      'portmod.config': 1,
      'portmod.mask': 0x61,
      'portmod.advertise': 0x20,
    },
  },
  {
    message: { type: 'table_mod', tableId: 9, config: 0 },
    ovs: 'OFPT_TABLE_MOD',
    says: ['table_id=9'],
    wireshark: { 'tablemod.table_id': 9, 'tablemod.config': 0 },
  },
  { message: { type: 'barrier_request' }, ovs: 'OFPT_BARRIER_REQUEST' },
  { message: { type: 'barrier_reply' }, ovs: 'OFPT_BARRIER_REPLY' },
  {
    message: { type: 'queue_get_config_request', port: 3 },
    ovs: 'OFPT_QUEUE_GET_CONFIG_REQUEST',
    says: ['port=3'],
    wireshark: { 'queue_get_config_request.port': 3 },
  },
  {
    message: {
      type: 'queue_get_config_reply',
      port: 3,
      queues: [
        {
          queueId: 21,
          port: 3,
          properties: [
            { type: 'min_rate', rate: 250 },
            { type: 'max_rate', rate: 500 },
          ],
        },
      ],
    },
    ovs: 'OFPT_QUEUE_GET_CONFIG_REPLY',
    says: ['port=3', 'queue 21: min_rate:25.0% max_rate:50.0%'],
    wireshark: {
      'queue_get_config_reply.port': 3,
      'packet_queue.queue_id': 21,
      'packet_queue.port': 3,
      'queue_prop.property': [1, 2],
      'queue_prop.min_rate.rate': 250,
      'queue_prop.max_rate.rate': 500,
    },
  },
  {
    message: { type: 'role_request', role: 2, generationId: 99n },
    ovs: 'OFPT_ROLE_REQUEST',
    says: ['role=primary generation_id=99'],
    wireshark: { 'role_request.role': 2, 'role_request.generation_id': 99 },
  },
  {
    message: { type: 'role_reply', role: 3, generationId: 98n },
    ovs: 'OFPT_ROLE_REPLY',
    says: ['role=secondary generation_id=98'],
    wireshark: { 'role_reply.role': 3, 'role_reply.generation_id': 98 },
  },
  { message: { type: 'get_async_request' }, ovs: 'OFPT_GET_ASYNC_REQUEST' },
  {
    message: { type: 'get_async_reply', ...asyncConfig },
    ovs: 'OFPT_GET_ASYNC_REPLY',
    says: asyncSays,
    wireshark: asyncWireshark,
  },
  {
    message: { type: 'set_async', ...asyncConfig },
    ovs: 'OFPT_SET_ASYNC',
    says: asyncSays,
    wireshark: asyncWireshark,
  },
  {
    message: { type: 'meter_mod', command: 0, flags: 5, meterId: 11, bands: [dropBand] },
    ovs: 'OFPT_METER_MOD',
    says: ['ADD meter=11 kbps burst bands=', 'type=drop rate=1000 burst_size=200'],
    wireshark: {
      'metermod.command': 0,
      'metermod.flags': 5,
      'metermod.meter_id': 11,
      ...bandWireshark,
    },
  },
];

const flowRequest = flowStatsRequest({
  tableId: 2,
  outPort: 5,
  outGroup: 55,
  cookie: 0x77n,
  cookieMask: 0xffn,
  match: tcp,
});
const flowRequestSays = ['table=2', 'out_port=5', ...tcpSays];
const flowRequestWireshark = (prefix: string): Wireshark => ({
  ...tcpWireshark,
  [`${prefix}.table_id`]: 2,
  [`${prefix}.out_port`]: 5,
  [`${prefix}.out_group`]: 55,
  [`${prefix}.cookie`]: 0x77,
  [`${prefix}.cookie_mask`]: 0xff,
});
const tableFeatures = {
  tableId: 4,
  name: 'forward',
  metadataMatch: 0xffn,
  metadataWrite: 0xff00n,
  config: 3,
  maxEntries: 1_000_000,
  properties: [
    { type: 'instructions', miss: false, instructions: [{ type: 1 }, { type: 4 }] },
    { type: 'instructions', miss: true, instructions: [{ type: 1 }] },
    { type: 'next_tables', miss: false, tables: [5, 6, 7] },
    { type: 'next_tables', miss: true, tables: [5] },
    { type: 'write_actions', miss: false, actions: [{ type: 0 }, { type: 22 }] },
    { type: 'write_actions', miss: true, actions: [{ type: 0 }] },
    { type: 'apply_actions', miss: false, actions: [{ type: 0 }, { type: 17 }] },
    { type: 'apply_actions', miss: true, actions: [{ type: 0 }] },
    {
      type: 'match',
      fields: [
        { field: F.in_port, hasMask: false },
        { field: F.eth_dst, hasMask: true },
      ],
    },
    { type: 'wildcards', fields: [{ field: F.eth_dst, hasMask: false }] },
    { type: 'write_setfield', miss: false, fields: [{ field: F.eth_dst, hasMask: false }] },
    { type: 'write_setfield', miss: true, fields: [{ field: F.eth_dst, hasMask: false }] },
    { type: 'apply_setfield', miss: false, fields: [{ field: F.eth_src, hasMask: false }] },
    { type: 'apply_setfield', miss: true, fields: [{ field: F.eth_src, hasMask: false }] },
  ],
};
const tableFeaturesWireshark: Wireshark = {
  'table_features.table_id': 4,
  'table_features.name': 'forward',
  'table_features.metadata_match': 0xff,
  'table_features.metadata_write': 0xff00,
  'table_features.config': 3,
  'table_features.max_entries': 1_000_000,
  'table_feature_prop.type': [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15],
  'table_feature_prop.next_tables.next_table_id': [5, 6, 7, 5],
  'instruction.type': [1, 4, 1],
  'action.type': [0, 22, 0, 0, 17, 0],
  'oxm.field': [0, 3, 3, 3, 3, 4, 4],
};
const flowStats = {
  tableId: 1,
  durationSec: 3,
  durationNsec: 250_000_000,
  priority: 40,
  idleTimeout: 50,
  hardTimeout: 60,
  flags: 1,
  cookie: 0x70n,
  packetCount: 80n,
  byteCount: 90n,
  match: tcp,
  instructions: [{ type: 'meter', meterId: 2 }, apply(output(8))],
};
const ALL_ONES = 0xffffffffffffffffn;

const multipart: readonly Sample[] = [
  { message: request('desc'), ovs: 'OFPST_DESC request', wireshark: { 'multipart_request.type': 0 } },
  {
    message: reply('desc', {
      manufacturer: 'Nicira',
      hardware: 'Open vSwitch',
      software: '3.1.0',
      serialNumber: 'none',
      datapath: 'br-int',
    }),
    ovs: 'OFPST_DESC reply',
    says: [
      'Manufacturer: Nicira',
      'Hardware: Open vSwitch',
      'Software: 3.1.0',
      'Serial Num: none',
      'DP Description: br-int',
    ],
    wireshark: {
      'multipart_reply.type': 0,
      'switch_description.mfr_desc': 'Nicira',
      'switch_description.hw_desc': 'Open vSwitch',
      'switch_description.sw_desc': '3.1.0',
      'switch_description.serial_num': 'none',
      'switch_description.dp_desc': 'br-int',
    },
  },
  {
    message: request('flow', flowRequest),
    ovs: 'OFPST_FLOW request',
    says: flowRequestSays,
    wireshark: { 'multipart_request.type': 1, ...flowRequestWireshark('flow_stats_request') },
  },
  {
    message: reply('flow', [flowStats], true),
    ovs: 'OFPST_FLOW reply',
    says: [
      'cookie=0x70, duration=3.250s, table=1, n_packets=80, n_bytes=90, idle_timeout=50, hard_timeout=60',
      'send_flow_rem',
      'priority=40,tcp,in_port=3,nw_src=10.1.0.0/16,tp_dst=443 actions=meter:2,output:8',
    ],
    wireshark: {
      ...tcpWireshark,
      'multipart_reply.type': 1,
      'multipart_reply.flags': 1,
      'flow_stats.table_id': 1,
      'flow_stats.duration_sec': 3,
      'flow_stats.duration_nsec': 250_000_000,
      'flow_stats.priority': 40,
      'flow_stats.idle_timeout': 50,
      'flow_stats.hard_timeout': 60,
      'flow_stats.flags': 1,
      'flow_stats.cookie': 0x70,
      'flow_stats.packet_count': 80,
      'flow_stats.byte_count': 90,
      'instruction.type': [6, 4],
      'instruction.meter.meter_id': 2,
    },
  },
  {
    message: request('aggregate', flowRequest),
    ovs: 'OFPST_AGGREGATE request',
    says: flowRequestSays,
    wireshark: { 'multipart_request.type': 2, ...flowRequestWireshark('aggregate_stats_request') },
  },
  {
    message: reply('aggregate', { packetCount: 10n, byteCount: 20n, flowCount: 30 }),
    ovs: 'OFPST_AGGREGATE reply',
    says: ['packet_count=10 byte_count=20 flow_count=30'],
    wireshark: {
      'multipart_reply.type': 2,
      'aggregate_stats.packet_count': 10,
      'aggregate_stats.byte_count': 20,
      'aggregate_stats.flow_count': 30,
    },
  },
  { message: request('table'), ovs: 'OFPST_TABLE request', wireshark: { 'multipart_request.type': 3 } },
  {
    message: reply('table', [{ tableId: 8, activeCount: 1, lookupCount: 20n, matchedCount: 10n }]),
    ovs: 'OFPST_TABLE reply',
    says: ['table 8:', 'active=1, lookup=20, matched=10'],
    wireshark: {
      'multipart_reply.type': 3,
      'table_stats.table_id': 8,
      'table_stats.active_count': 1,
      'table_stats.lookup_count': 20,
      'table_stats.match_count': 10,
    },
  },
  {
    message: request('port_stats', { portNo: 7 }),
    ovs: 'OFPST_PORT request',
    says: ['port_no=7'],
    wireshark: { 'multipart_request.type': 4, 'port_stats_request.port_no': 7 },
  },
  {
    message: reply('port_stats', [
      {
        portNo: 7,
        rxPackets: 1n,
        txPackets: 2n,
        rxBytes: 3n,
        txBytes: 4n,
        rxDropped: 5n,
        txDropped: 6n,
        rxErrors: 7n,
        txErrors: 8n,
        rxFrameErrors: 9n,
        rxOverErrors: 10n,
        rxCrcErrors: 11n,
        collisions: ALL_ONES,
        durationSec: 13,
        durationNsec: 14,
      },
    ]),
    ovs: 'OFPST_PORT reply',
    says: [
      'rx pkts=1, bytes=3, drop=5, errs=7, frame=9, over=10, crc=11',
      'tx pkts=2, bytes=4, drop=6, errs=8, coll=?',
      'duration=13.000000014s',
    ],
    wireshark: {
      'multipart_reply.type': 4,
      'port_stats.port_no': 7,
      'port_stats.rx_packets': 1,
      'port_stats.tx_packets': 2,
      'port_stats.rx_bytes': 3,
      'port_stats.tx_bytes': 4,
      'port_stats.rx_dropped': 5,
      'port_stats.tx_dropped': 6,
      'port_stats.rx_errors': 7,
      'port_stats.tx_errors': 8,
      'port_stats.rx_frame_error': 9,
      'port_stats.rx_over_error': 10,
      'port_stats.rx_crc_error': 11,
      'port_stats.collisions': ALL_ONES,
      'port_stats.duration_sec': 13,
      'port_stats.duration_nsec': 14,
    },
  },
  {
    message: request('queue', { portNo: 7, queueId: 8 }),
    ovs: 'OFPST_QUEUE request',
    says: ['port=7 queue=8'],
    wireshark: {
      'multipart_request.type': 5,
      'queue_stats_request.port_no': 7,
      'queue_stats_request.queue_id': 8,
    },
  },
  {
    message: reply('queue', [
      {
        portNo: 7,
        queueId: 8,
        txBytes: 9n,
        txPackets: 10n,
        txErrors: 11n,
        durationSec: 12,
        durationNsec: 13,
      },
    ]),
    ovs: 'OFPST_QUEUE reply',
    says: ['port 7 queue 8: bytes=9, pkts=10, errors=11, duration=12.000000013s'],
    wireshark: {
      'multipart_reply.type': 5,
      'queue_stats.port_no': 7,
      'queue_stats.queue_id': 8,
      'queue_stats.duration_sec': 12,
      'queue_stats.duration_nsec': 13,
    },
  },
  {
    message: request('group', { groupId: 12 }),
    ovs: 'OFPST_GROUP request',
    says: ['group_id=12'],
    wireshark: { 'multipart_request.type': 6, 'group_stats_request.group_id': 12 },
  },
  {
    message: reply('group', [
      {
        groupId: 12,
        refCount: 2,
        packetCount: 30n,
        byteCount: 40n,
        durationSec: 5,
        durationNsec: 0,
        buckets: [
          { packetCount: 6n, byteCount: 7n },
          { packetCount: 8n, byteCount: 9n },
        ],
      },
    ]),
    ovs: 'OFPST_GROUP reply',
    says: [
      'group_id=12,duration=5s,ref_count=2,packet_count=30,byte_count=40,' +
        'bucket0:packet_count=6,byte_count=7,bucket1:packet_count=8,byte_count=9',
    ],
    wireshark: {
      'multipart_reply.type': 6,
      'group_stats.group_id': 12,
      'group_stats.ref_count': 2,
      'group_stats.packet_count': 30,
      'group_stats.byte_count': 40,
      'bucket_counter.packet_count': [6, 8],
      'bucket_counter.byte_count': [7, 9],
    },
  },
  {
    message: request('group_desc'),
    ovs: 'OFPST_GROUP_DESC request',
    wireshark: { 'multipart_request.type': 7 },
  },
  {
    message: reply('group_desc', [{ groupType: 1, groupId: 44, buckets: [bucket] }]),
    ovs: 'OFPST_GROUP_DESC reply',
    says: ['group_id=44,type=select', 'weight:5', 'actions=output:9'],
    wireshark: {
      'multipart_reply.type': 7,
      'group_desc.type': 1,
      'group_desc.group_id': 44,
      ...bucketWireshark,
    },
  },
  {
    message: request('group_features'),
    ovs: 'OFPST_GROUP_FEATURES request',
    wireshark: { 'multipart_request.type': 8 },
  },
  {
    message: reply('group_features', {
      types: 0xf,
      capabilities: 7,
      maxGroups: [100, 200, 300, 400],
      actions: [0x1, 0x800000, 0x20000, 0x40000],
    }),
    ovs: 'OFPST_GROUP_FEATURES reply',
    says: ['Types:  0xf', 'Capabilities:  0x7', 'max_groups=0x64', 'max_groups=0x190', 'actions: output'],
    wireshark: {
      'multipart_reply.type': 8,
      'group_features.types': 15,
      'group_features.capabilities': 7,
      'group_stats.max_groups.all': 100,
      'group_stats.max_groups.select': 200,
      'group_stats.max_groups.indirect': 300,
      'group_stats.max_groups.ff': 400,
      'group_features.actions.all': 1,
      'group_features.actions.select': 0x800000,
      'group_features.actions.indirect': 0x20000,
      'group_features.actions.ff': 0x40000,
    },
  },
  {
    message: request('meter', { meterId: 3 }),
    ovs: 'OFPST_METER request',
    says: ['meter=3'],
    wireshark: { 'multipart_request.type': 9, 'meter_stats_request.meter_id': 3 },
  },
  {
    message: reply('meter', [
      {
        meterId: 3,
        flowCount: 4,
        packetInCount: 5n,
        byteInCount: 6n,
        durationSec: 7,
        durationNsec: 0,
        bands: [{ packetBandCount: 8n, byteBandCount: 9n }],
      },
    ]),
    ovs: 'OFPST_METER reply',
    says: [
      'meter:3 flow_count:4 packet_in_count:5 byte_in_count:6 duration:7s bands:\n0: packet_count:8 byte_count:9',
    ],
    wireshark: {
      'multipart_reply.type': 9,
      'meter_stats.meter_id': 3,
      'meter_stats.flow_count': 4,
      'meter_stats.packet_in_count': 5,
      'meter_stats.byte_in_count': 6,
      'meter_stats.duration_sec': 7,
      'meter_band_stats.packet_band_count': 8,
      'meter_band_stats.byte_band_count': 9,
    },
  },
  {
    message: request('meter_config', { meterId: 3 }),
    ovs: 'OFPST_METER_CONFIG request',
    says: ['meter=3'],
    wireshark: { 'multipart_request.type': 10, 'meter_config_request.meter_id': 3 },
  },
  {
    message: reply('meter_config', [{ flags: 5, meterId: 3, bands: [dropBand] }]),
    ovs: 'OFPST_METER_CONFIG reply',
    says: ['meter=3 kbps burst bands=\ntype=drop rate=1000 burst_size=200'],
    wireshark: {
      'multipart_reply.type': 10,
      'meter_config.flags': 5,
      'meter_config.meter_id': 3,
      ...bandWireshark,
    },
  },
  {
    message: request('meter_features'),
    ovs: 'OFPST_METER_FEATURES request',
    wireshark: { 'multipart_request.type': 11 },
  },
  {
    message: reply('meter_features', {
      maxMeter: 200_000,
      bandTypes: 2,
      capabilities: 15,
      maxBands: 8,
      maxColor: 1,
    }),
    ovs: 'OFPST_METER_FEATURES reply',
    says: [
      'max_meter:200000 max_bands:8 max_color:1',
      'band_types: drop',
      'capabilities: kbps pktps burst stats',
    ],
    wireshark: {
      'multipart_reply.type': 11,
      'meter_features.max_meter': 200_000,
      'features.band_types': 2,
      'meter_features.capabilities': 15,
      'meter_features.max_bands': 8,
      'meter_features.max_color': 1,
    },
  },
  {
    message: request('table_features', []),
    ovs: 'OFPST_TABLE_FEATURES request',
    wireshark: { 'multipart_request.type': 12 },
  },
  {
    message: request('table_features', [tableFeatures]),
    ovs: 'OFPST_TABLE_FEATURES request',
    says: ['table 4 ("forward")'],
    wireshark: { 'multipart_request.type': 12, ...tableFeaturesWireshark },
  },
  {
    message: reply('table_features', [tableFeatures]),
    ovs: 'OFPST_TABLE_FEATURES reply',
    says: [
      'table 4 ("forward")',
      'match=0xff write=0xff00',
      'max_entries=1000000',
      'next tables: 5-7',
      'instructions: apply_actions goto_table',
      'actions: output group',
      'arbitrary mask: eth_dst',
      'must exact match: in_port_oxm',
    ],
    wireshark: { 'multipart_reply.type': 12, ...tableFeaturesWireshark },
  },
  {
    message: request('port_desc'),
    ovs: 'OFPST_PORT_DESC request',
    wireshark: { 'multipart_request.type': 13 },
  },
  {
    message: reply('port_desc', [port]),
    ovs: 'OFPST_PORT_DESC reply',
    says: portSays,
    wireshark: { 'multipart_reply.type': 13, ...portWireshark },
  },
  {
    message: request('flow_monitor', [{ monitorId: 5, flags: 0x1f, outPort: 6, tableId: 7, match: tcp }]),
    ovs: 'ONFST_FLOW_MONITOR request',
    says: ['id=5 flags=initial,add,delete,modify,actions', 'out_port=6', 'table=7', ...tcpSays],
    wireshark: {
      'multipart_request.type': 0xffff,
      'multipart_request.experimenter.experimenter': 0x4f4e4600,
      'multipart_request.experimenter.exp_type': 1870,
    },
  },
  {
    message: reply('flow_monitor', [
      {
        event: 'added',
        reason: 0,
        priority: 4,
        idleTimeout: 5,
        hardTimeout: 6,
        tableId: 7,
        cookie: 8n,
        match: tcp,
        instructions: [apply(output(9))],
      },
      { event: 'abbreviated', xid: 0x1234 },
    ]),
    ovs: 'ONFST_FLOW_MONITOR reply',
    says: [
      'event=ADDED table=7 idle_timeout=5 hard_timeout=6 cookie=0x8',
      ...tcpSays,
      'actions=output:9',
      'event=ABBREV xid=0x1234',
    ],
    wireshark: {
      'multipart_reply.type': 0xffff,
      'multipart_reply.experimenter.experimenter': 0x4f4e4600,
      'multipart_reply.experimenter.exp_type': 1870,
    },
  },
];

const experimenter = (id: number, type: number): Wireshark => ({
  'experimenter.experimenter': id,
  'experimenter.exp_type': type,
});
const onf = (type: number): Wireshark => experimenter(0x4f4e4600, type);
const nicira = (type: number): Wireshark => experimenter(0x2320, type);

const extensions: readonly Sample[] = [
  {
    message: { type: 'bundle_control', bundleId: 17, controlType: 4, flags: 3 },
    ovs: 'ONFT_BUNDLE_CONTROL',
    says: ['bundle_id=0x11 type=COMMIT_REQUEST flags=atomic ordered'],
    wireshark: onf(2300),
  },
  {
    message: {
      type: 'bundle_add_message',
      bundleId: 18,
      flags: 3,
      message: { ...flowMod({ tableId: 2, match: tcp, instructions: [apply(output(1))] }), xid: 0 },
    },
    ovs: 'ONFT_BUNDLE_ADD_MESSAGE',
    says: [
      'bundle_id=0x12 flags=atomic ordered',
      'OFPT_FLOW_MOD',
      'ADD table:2',
      ...tcpSays,
      'actions=output:1',
    ],
    wireshark: onf(2301),
  },
  {
    message: { type: 'role_status', role: 3, reason: 0, generationId: 7n },
    ovs: 'ONFT_ROLE_STATUS',
    says: ['role=secondary generation_id=7 reason=primary_request'],
    wireshark: onf(1911),
  },
  {
    message: { type: 'flow_monitor_cancel', monitorId: 5 },
    ovs: 'ONFT_FLOW_MONITOR_CANCEL',
    says: ['id=5'],
    wireshark: onf(1870),
  },
  { message: { type: 'flow_monitor_paused' }, ovs: 'ONFT_FLOW_MONITOR_PAUSED', wireshark: onf(1871) },
  { message: { type: 'flow_monitor_resumed' }, ovs: 'ONFT_FLOW_MONITOR_RESUMED', wireshark: onf(1872) },
  {
    message: { type: 'nx_set_packet_in_format', format: 2 },
    ovs: 'NXT_SET_PACKET_IN_FORMAT',
    says: ['format=nxt_packet_in2'],
    wireshark: nicira(16),
  },
  {
    message: { type: 'nx_set_controller_id', controllerId: 123 },
    ovs: 'NXT_SET_CONTROLLER_ID',
    says: ['id=123'],
    wireshark: nicira(20),
  },
  {
    message: {
      type: 'nx_packet_in2',
      packet: new Uint8Array(60),
      fullLength: 200,
      bufferId: 0xffffffff,
      tableId: 4,
      cookie: 0x99n,
      reason: 1,
      metadata: matchOf({ in_port: 3, reg0: 5 }),
      userdata: bytes(0xca, 0xfe),
    },
    ovs: 'NXT_PACKET_IN2',
    says: [
      'table_id=4 cookie=0x99 total_len=200 reg0=0x5,in_port=3 (via action) data_len=60',
      'userdata=ca.fe',
    ],
    wireshark: nicira(30),
  },
  {
    message: {
      type: 'nx_resume',
      packet: new Uint8Array(60),
      cookie: 0x98n,
      metadata: matchOf({ in_port: 3 }),
    },
    ovs: 'NXT_RESUME',
    says: ['cookie=0x98', 'in_port=3'],
    wireshark: nicira(28),
  },
  {
    message: { type: 'nx_ct_flush_zone', zone: 13 },
    ovs: 'NXT_CT_FLUSH_ZONE',
    says: ['zone_id=13'],
    wireshark: nicira(29),
  },
  {
    message: {
      type: 'nx_ct_flush',
      ipProto: 6,
      zone: 14,
      original: { src: 0xffff_0a00_0001n, dst: 0xffff_0a00_0002n, srcPort: 1000, dstPort: 80 },
      reply: { dst: 0xffff_0a00_0003n },
    },
    ovs: 'NXT_CT_FLUSH',
    says: [
      "zone=14 'ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_tp_src=1000,ct_tp_dst=80,ct_nw_proto=6'",
      'ct_nw_dst=10.0.0.3',
    ],
    wireshark: nicira(32),
  },
  {
    message: {
      type: 'nx_tlv_table_mod',
      command: 0,
      mappings: [{ optionClass: 0x102, optionType: 0x80, optionLength: 4, index: 0 }],
    },
    ovs: 'NXT_TLV_TABLE_MOD',
    says: ['ADD', '0x102  0x80       4  tun_metadata0'],
    wireshark: nicira(24),
  },
  { message: { type: 'nx_tlv_table_request' }, ovs: 'NXT_TLV_TABLE_REQUEST', wireshark: nicira(25) },
  {
    message: {
      type: 'nx_tlv_table_reply',
      maxOptionSpace: 256,
      maxFields: 64,
      mappings: [{ optionClass: 0xffff, optionType: 1, optionLength: 8, index: 3 }],
    },
    ovs: 'NXT_TLV_TABLE_REPLY',
    says: ['max option space=256 max fields=64', '0xffff   0x1       8  tun_metadata3'],
    wireshark: nicira(26),
  },
];

/** What no switch knows: the foreign decoder must see the same head, and refuse it for the right reason. */
const unknown: readonly Sample[] = [
  {
    message: { type: 'experimenter', experimenter: 5, experimenterType: 9, data: ascii('hello') },
    ovs: '***decode error: OFPBRC_BAD_VENDOR***',
    wireshark: experimenter(5, 9),
  },
  {
    message: request('experimenter', { experimenter: 7, experimenterType: 8, data: bytes() }),
    ovs: '***decode error: OFPBRC_BAD_VENDOR***',
    wireshark: {
      'multipart_request.experimenter.experimenter': 7,
      'multipart_request.experimenter.exp_type': 8,
    },
  },
  {
    message: reply('experimenter', { experimenter: 7, experimenterType: 8, data: bytes() }),
    ovs: '***decode error: OFPBRC_BAD_VENDOR***',
    wireshark: { 'multipart_reply.experimenter.experimenter': 7, 'multipart_reply.experimenter.exp_type': 8 },
  },
  {
    message: { type: 'opaque', number: 99, data: bytes() },
    ovs: '***decode error: OFPBRC_BAD_TYPE***',
  },
];

export const samples: readonly Sample[] = [...standard, ...multipart, ...extensions, ...unknown];
