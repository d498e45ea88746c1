/** Our bytes read by others: Open vSwitch's own parser and Wireshark. Skipped only where the programs are not installed. */
import fc from 'fast-check';
import t from 'tap';
import {
  type Action,
  apply,
  BadActionCode,
  BadInstructionCode,
  BadMatchCode,
  BadRequestCode,
  BundleFailedCode,
  FlowModFailedCode,
  GroupModFailedCode,
  HelloFailedCode,
  MeterModFailedCode,
  PortModFailedCode,
  QueueOpFailedCode,
  RoleRequestFailedCode,
  SwitchConfigFailedCode,
  TableFeaturesFailedCode,
  TableModFailedCode,
  encode,
  ErrorType,
  errorName,
  flowMod,
  matchOf,
  type Message,
  NICIRA_EXPERIMENTER,
  NiciraErrorCode,
  ONF_EXPERIMENTER,
} from '../../ofproto/index.js';
import { actionFlow, actionSamples, instructionSamples } from './action-samples.js';
import { isInstalled, ovsParse, tsharkFields } from './foreign-decoders.js';
import { fieldSamples, ovsFields, ovsFlow, ovsGroup, withPrerequisites } from './ovs-generators.js';
import { type Headless, samples, type Wireshark } from './samples.js';

const ovs = isInstalled('ovs-ofctl') ? {} : { skip: 'ovs-ofctl is not installed' };
const wireshark = isInstalled('tshark') ? {} : { skip: 'tshark is not installed' };

/** An error quotes the message that caused it, which has the same xid. */
function complete(message: Headless<Message>, xid: number): Message {
  const quoted = message.type === 'error' ? { data: encode({ type: 'barrier_request', xid }).slice() } : {};
  return { ...message, ...quoted, xid } as Message;
}

const messages = samples.map(({ message }, index) => complete(message, index + 1));
const encoded = messages.map((message) => encode(message).slice());

t.test('there is a sample of every type of message and of every multipart body', async (t) => {
  const kinds = new Set(
    messages.map((m) =>
      m.type === 'multipart_request' || m.type === 'multipart_reply'
        ? `${m.type} ${m.multipartType}`
        : m.type,
    ),
  );
  t.equal(kinds.size, 44 + 2 * 16);
});

t.test('Open vSwitch reads every type of message', ovs, async (t) => {
  const parts = ovsParse(encoded);
  t.equal(parts.length, samples.length);
  const problems = samples.flatMap((sample, index) => {
    const part = parts[index] ?? '';
    const known = !sample.ovs.startsWith('***');
    const start = known ? `${sample.ovs} (OF1.3) (xid=0x${(index + 1).toString(16)}):` : sample.ovs;
    if (!part.startsWith(start) || (known && part.includes('decode error')))
      return `${start} expected in ${part}`;
    return (sample.says ?? [])
      .filter((text) => !part.includes(text))
      .map((text) => `'${text}' expected in ${part}`);
  });
  t.same(problems, []);
});

/** Severity of an entry of Wireshark's expert information from which on it means that something is wrong. */
const WARNING = 0x600000;

function check(
  row: Readonly<Record<string, readonly string[]>>,
  message: Uint8Array,
  fields: Wireshark,
): string[] {
  const number = (cell: string): bigint | string => (/^(0x[0-9a-f]+|\d+)$/.test(cell) ? BigInt(cell) : cell);
  const problems: string[] = [];
  const header: Wireshark = {
    type: message[1] ?? 0,
    xid: Buffer.from(message).readUInt32BE(4),
    length: message.length,
  };
  for (const [field, expected] of Object.entries({ ...header, ...fields })) {
    const all = row[`openflow_v4.${field}`] ?? [];
    // The message that an error quotes has a header too.
    const cells = field in header ? all.slice(0, 1) : all;
    const wanted = Array.isArray(expected) ? expected : [expected as string | number | bigint];
    const same =
      cells.length === wanted.length &&
      wanted.every((value, i) => {
        const cell = cells[i] ?? '';
        return typeof value === 'string' ? value === cell : BigInt(value as number) === number(cell);
      });
    if (!same) problems.push(`${field}: ${cells} instead of ${wanted}`);
  }
  const severe = (row['_ws.expert.severity'] ?? []).filter((severity) => Number(severity) >= WARNING);
  if (severe.length > 0) problems.push(`expert: ${row['_ws.expert.message']}`);
  if ((row['_ws.malformed'] ?? []).length > 0) problems.push('malformed');
  return problems;
}

/** Everything that Wireshark is to read, in one run at the end: most of its time is its start. */
const captured: { readonly bytes: Uint8Array; readonly expected: Wireshark }[] = [];
const capture = (message: Message, expected: Wireshark): number =>
  captured.push({ bytes: encode(message).slice(), expected });

for (const [index, sample] of samples.entries()) capture(messages[index] as Message, sample.wireshark ?? {});

/** What the body of a message or the list of its actions looks like to Open vSwitch, without the header's line. */
const actionsOf = (part: string): string => part.slice(part.indexOf(' actions=') + 9);

const NO_DATA = new Uint8Array(0);
const ERROR_CODES: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  [ErrorType.HELLO_FAILED]: HelloFailedCode,
  [ErrorType.BAD_REQUEST]: BadRequestCode,
  [ErrorType.BAD_ACTION]: BadActionCode,
  [ErrorType.BAD_INSTRUCTION]: BadInstructionCode,
  [ErrorType.BAD_MATCH]: BadMatchCode,
  [ErrorType.FLOW_MOD_FAILED]: FlowModFailedCode,
  [ErrorType.GROUP_MOD_FAILED]: GroupModFailedCode,
  [ErrorType.PORT_MOD_FAILED]: PortModFailedCode,
  [ErrorType.TABLE_MOD_FAILED]: TableModFailedCode,
  [ErrorType.QUEUE_OP_FAILED]: QueueOpFailedCode,
  [ErrorType.SWITCH_CONFIG_FAILED]: SwitchConfigFailedCode,
  [ErrorType.ROLE_REQUEST_FAILED]: RoleRequestFailedCode,
  [ErrorType.METER_MOD_FAILED]: MeterModFailedCode,
  [ErrorType.TABLE_FEATURES_FAILED]: TableFeaturesFailedCode,
};
/** Where Open vSwitch keeps the name of another version of OpenFlow. */
const OVS_ERROR_NAMES: Readonly<Record<string, string>> = {
  OFPBRC_BAD_MULTIPART: 'OFPBRC_BAD_STAT',
  OFPBRC_BAD_EXPERIMENTER: 'OFPBRC_BAD_VENDOR',
  OFPBRC_BAD_EXP_TYPE: 'OFPBRC_BAD_SUBTYPE',
  OFPBRC_IS_SLAVE: 'OFPBRC_IS_SECONDARY',
  OFPBAC_BAD_EXPERIMENTER: 'OFPBAC_BAD_VENDOR',
  OFPBAC_BAD_EXP_TYPE: 'OFPBAC_BAD_VENDOR_TYPE',
  OFPTFFC_BAD_TYPE: 'OFPBPC_BAD_TYPE',
  OFPTFFC_BAD_LEN: 'OFPBPC_BAD_LEN',
  OFPTFFC_BAD_ARGUMENT: 'OFPBPC_BAD_VALUE',
};
const VLAN = matchOf({ vlan_vid: [0x1000, 0x1000] });

t.test('Open vSwitch reads every action and instruction', ovs, async (t) => {
  const flows = [
    ...actionSamples.map(actionFlow),
    ...instructionSamples.map(({ instructions }) => flowMod({ match: VLAN, instructions })),
  ];
  const texts = [...actionSamples, ...instructionSamples].map(({ text }) => text);
  const parts = ovsParse(flows.map((flow, xid) => encode({ ...flow, xid }).slice()));
  t.same(
    parts.map((part, i) =>
      texts[i] === undefined ? /OFPBAC_BAD_VENDOR_TYPE/.exec(part)?.[0] : actionsOf(part),
    ),
    texts.map((text) => text ?? 'OFPBAC_BAD_VENDOR_TYPE'),
  );
});

const EXPERIMENTER = 0xffff;
const INSTRUCTION: Readonly<Record<string, number>> = {
  goto_table: 1,
  write_metadata: 2,
  write_actions: 3,
  apply_actions: 4,
  clear_actions: 5,
  meter: 6,
};
/** Action types of OpenFlow 1.3.5 (section 7.2.5); all others are Nicira's. */
const STANDARD: Readonly<Record<string, number>> = {
  output: 0,
  copy_ttl_out: 11,
  copy_ttl_in: 12,
  set_mpls_ttl: 15,
  dec_mpls_ttl: 16,
  push_vlan: 17,
  pop_vlan: 18,
  push_mpls: 19,
  pop_mpls: 20,
  set_queue: 21,
  group: 22,
  set_nw_ttl: 23,
  dec_nw_ttl: 24,
  set_field: 25,
  push_pbb: 26,
  pop_pbb: 27,
};

const standardOnly: readonly Action[] = [
  { type: 'copy_ttl_out' },
  { type: 'copy_ttl_in' },
  { type: 'push_pbb', ethertype: 0x88e7 },
  { type: 'pop_pbb' },
];
for (const action of [...actionSamples.map(({ action }) => action), ...standardOnly]) {
  const number = STANDARD[action.type] ?? EXPERIMENTER;
  const nicira = number === EXPERIMENTER ? { 'action_experimenter.experimenter': NICIRA_EXPERIMENTER } : {};
  capture(flowMod({ instructions: [apply(action)] }), {
    'instruction.type': 4,
    'action.type': number,
    ...nicira,
  });
}
for (const { instructions, numbers } of instructionSamples) {
  capture(flowMod({ instructions }), { 'instruction.type': numbers });
}

t.test('errors have the names that Open vSwitch gives them', ovs, async (t) => {
  const families = Object.entries(ERROR_CODES).flatMap(([type, codes]) =>
    Object.values(codes).map((code) => ({ errorType: Number(type), code, experimenter: undefined })),
  );
  const extended = [
    ...Object.values(BundleFailedCode).map((code) => ({ code, experimenter: ONF_EXPERIMENTER })),
    ...Object.values(NiciraErrorCode).map((code) => ({ code, experimenter: NICIRA_EXPERIMENTER })),
  ].map((rest) => ({ errorType: ErrorType.EXPERIMENTER, ...rest }));
  const errors = [...families, ...extended];
  const parts = ovsParse(
    errors.map(({ errorType, code, experimenter }, index) =>
      encode(
        complete(
          {
            type: 'error',
            errorType,
            code,
            data: NO_DATA,
            ...(experimenter === undefined ? {} : { experimenter }),
          },
          index + 1,
        ),
      ).slice(),
    ),
  );
  t.same(
    parts.map((part) => part.split('\n')[0]?.replace(/^.*: /, '')),
    errors
      .map(({ errorType, code, experimenter }) => errorName(errorType, code, experimenter))
      .map((name) => OVS_ERROR_NAMES[name] ?? name),
  );
});

const fieldMatches = ovsFields.flatMap((field) => fieldSamples(field)).map(withPrerequisites);
for (const match of fieldMatches) {
  capture(flowMod({ match }), {
    'oxm.class': match.map(({ field }) => field.class),
    'oxm.field': match.map(({ field }) => field.number),
    'oxm.hm': match.map(({ mask }) => (mask === undefined ? 0 : 1)),
  });
}

t.test('Open vSwitch reads every field, with its prerequisites and with a mask', ovs, async (t) => {
  const parts = ovsParse(fieldMatches.map((match, xid) => encode(flowMod({ xid, match })).slice()));
  t.equal(parts.length, fieldMatches.length);
  t.same(
    parts.filter((part) => part.includes('decode error')),
    [],
  );
});

/** Whole entries at random; what Open vSwitch makes of them is in text.test.ts, letter by letter. */
const seed = Date.now() & 0x7fffffff;
const generated = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { numRuns: 100, seed });
for (const flow of generated(ovsFlow)) {
  capture(
    { type: 'multipart_reply', xid: 0, multipartType: 'flow', more: false, body: [flow] },
    {
      'flow_stats.table_id': flow.tableId,
      'flow_stats.priority': flow.priority,
      'flow_stats.cookie': flow.cookie,
      'flow_stats.packet_count': flow.packetCount,
      'flow_stats.byte_count': flow.byteCount,
      'flow_stats.idle_timeout': flow.idleTimeout,
      'flow_stats.hard_timeout': flow.hardTimeout,
      'instruction.type': flow.instructions.map(({ type }) => INSTRUCTION[type] ?? EXPERIMENTER),
    },
  );
}
for (const group of generated(ovsGroup)) {
  capture(
    { type: 'multipart_reply', xid: 0, multipartType: 'group_desc', more: false, body: [group] },
    {
      'group_desc.type': group.groupType,
      'group_desc.group_id': group.groupId,
      'bucket.weight': group.buckets.map(({ weight }) => weight),
      'bucket.watch_port': group.buckets.map(({ watchPort }) => watchPort),
    },
  );
}

t.test('Wireshark reads every type of message, action, instruction and field', wireshark, async (t) => {
  const names = new Set([
    'type',
    'xid',
    'length',
    ...captured.flatMap(({ expected }) => Object.keys(expected)),
  ]);
  const rows = tsharkFields(
    captured.map(({ bytes }) => bytes),
    [
      ...[...names].map((name) => `openflow_v4.${name}`),
      '_ws.malformed',
      '_ws.expert.message',
      '_ws.expert.severity',
    ],
  );
  t.equal(rows.length, captured.length);
  const problems = captured.flatMap(({ bytes, expected }, index) =>
    check(rows[index] ?? {}, bytes, expected).map(
      (problem) => `seed ${seed} message ${index + 1} ${problem}`,
    ),
  );
  t.same(problems, []);
});
