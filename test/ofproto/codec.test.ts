/** Encoding and decoding: properties over all messages, golden bytes, framing, limits. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  type Action,
  apply,
  type DecodeError,
  Decoder,
  decode,
  Encoder,
  encode,
  encodedLength,
  ErrorType,
  F,
  flowMod,
  gotoTable,
  type Message,
  MessageTooLong,
  MultipartAssembler,
  MultipartError,
  type MultipartReply,
  matchOf,
  output,
  oxm,
  packetOut,
  Port,
  type ValueOutOfRange,
} from '../../ofproto/index.js';
import { fields, instructionKinds, leafActions, message, messageKinds, nestedActions } from './generators.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

/** Decodes chunks with one decoder. */
function decodeChunks(chunks: readonly Uint8Array[]): {
  messages: Message[];
  errors: DecodeError[];
  decoder: Decoder;
} {
  const messages: Message[] = [];
  const errors: DecodeError[] = [];
  const decoder = new Decoder({ message: (m) => messages.push(m), malformed: (e) => errors.push(e) });
  for (const chunk of chunks) decoder.push(chunk);
  return { messages, errors, decoder };
}

t.test('every kind of message decodes to itself, and its bytes are stable', async (t) => {
  for (const [index, kind] of messageKinds.entries()) {
    fc.assert(
      fc.property(kind, (original) => {
        const bytes = encode(original);
        const decoded = decode(bytes);
        if (!isDeepStrictEqual(decoded, original)) {
          t.same(decoded, original, `kind ${index}`);
          return false;
        }
        return hex(encode(decoded)) === hex(bytes) && encodedLength(original) === bytes.length;
      }),
      { numRuns: 60 },
    );
  }
  t.pass(`${messageKinds.length} kinds`);
});

t.test('every kind of action and instruction survives in a flow_mod', async (t) => {
  const instructions = [
    ...[...leafActions, ...nestedActions].map((kind) =>
      kind.map((action: Action) => [{ type: 'apply_actions' as const, actions: [action, action] }]),
    ),
    ...instructionKinds.map((kind) => kind.map((instruction) => [instruction])),
  ];
  for (const kind of instructions) {
    fc.assert(
      fc.property(kind, (list) => {
        const original = flowMod({ instructions: list });
        const bytes = encode(original);
        t.equal(bytes.length % 8, 0);
        return isDeepStrictEqual(decode(bytes), original);
      }),
      { numRuns: 40 },
    );
  }
});

t.test('any chunking gives the same messages in the same order', async (t) => {
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(500)),
      (messages, cuts) => {
        const encoder = new Encoder({ slabSize: 4096 });
        for (const m of messages) encoder.append(m);
        const stream = encoder.take();
        const chunks: Uint8Array[] = [];
        let from = 0;
        for (const cut of cuts) {
          chunks.push(stream.slice(from, from + cut));
          from += cut;
        }
        chunks.push(stream.slice(from));
        const result = decodeChunks(chunks);
        return result.errors.length === 0 && isDeepStrictEqual(result.messages, messages);
      },
    ),
    { numRuns: 300 },
  );
  const messages = fc.sample(message, { numRuns: 12, seed: 7 });
  const stream = Buffer.concat(messages.map(encode));
  for (let cut = 0; cut <= stream.length; cut++) {
    const result = decodeChunks([stream.subarray(0, cut), stream.subarray(cut)]);
    if (!isDeepStrictEqual(result.messages, messages)) t.fail(`cut at ${cut}`);
  }
  const single = decodeChunks(Array.from(stream, (byte) => Uint8Array.of(byte)));
  t.same(single.messages, messages, 'byte by byte');
  t.equal(single.decoder.buffered, 0);
});

t.test('golden bytes', async (t) => {
  // As ovs-ofctl 3.1 sends: add-flow -O OpenFlow13 'tcp,actions=ct(commit,zone=NXM_NX_REG0[0..15],alg=ftp,table=4,…)'.
  const flow = flowMod({
    xid: 6,
    match: matchOf({ eth_type: 0x0800, ip_proto: 6 }),
    instructions: [
      apply({
        type: 'ct',
        flags: 1,
        zone: { field: F.reg0, offset: 0, bits: 16 },
        recircTable: 4,
        alg: 21,
        actions: [
          {
            type: 'nat',
            flags: 0x11,
            ipv4Min: 0x0a000001,
            ipv4Max: 0x0a000009,
            portMin: 100,
            portMax: 200,
          },
          { type: 'set_field', oxm: oxm(F.ct_mark, 1) },
        ],
      }),
    ],
  });
  t.equal(
    hex(encode(flow)),
    hex(
      bytesOf(
        '040e009000000006 0000000000000000 0000000000000000 0000000000008000 ffffffff ffffffff ffffffff 0000 0000' +
          '0001000f80000a0208008000140106 00 0004005000000000' +
          'ffff004800002320 0023 0001 00010004 000f 04 000000 0015' +
          'ffff002000002320 0024 0000 0011 0033 0a000001 0a000009 0064 00c8 00000000' +
          '00190010 0001d604 00000001 00000000',
      ),
    ),
  );
  const bundled = encode({
    type: 'bundle_add_message',
    xid: 6,
    bundleId: 0,
    flags: 3,
    message: flowMod({
      xid: 99,
      match: matchOf({ eth_type: 0x0800 }),
      instructions: [apply(output(1))],
    }),
  });
  t.equal(
    hex(bundled),
    '04040070000000064f4e4600000008fd0000000000000003040e00580000000600000000000000000000000000000000' +
      '0000000000008000ffffffffffffffffffffffff000000000001000a80000a020800000000000000' +
      '000400180000000000000010000000010000000000000000',
    'as ovs-ofctl --bundle sends; the inner xid is that of the outer message',
  );
});

t.test('appendToBundle writes what append of a bundle_add_message writes', async (t) => {
  const inner = flowMod({ match: matchOf({ in_port: 4 }), instructions: [apply(output(Port.FLOOD))] });
  const encoder = new Encoder();
  encoder.append({ type: 'bundle_add_message', xid: 77, bundleId: 5, flags: 3, message: inner });
  const expected = encoder.take();
  t.equal(encoder.appendToBundle(5, 3, 77, inner), expected.length);
  t.equal(hex(encoder.take()), hex(expected));
});

t.test('fields', async (t) => {
  t.equal(fields.length, 210, 'a field has come or gone');
  const codes = new Set(fields.map((f) => `${f.class}/${f.number}/${f.experimenter}`));
  t.equal(codes.size, fields.length, 'no two fields share a code');
  for (const field of fields) {
    if (field.bytes > 0) t.ok(field.bits <= field.bytes * 8 && field.bits > 0, field.name);
    t.equal(
      typeof field.exactMask,
      field.bytes === 0 ? 'object' : field.bits > 48 ? 'bigint' : 'number',
      field.name,
    );
  }
  t.throws(() => oxm(F.vlan_pcp, 8), {
    message: /vlan_pcp: 0x8 does not fit; the field takes a number of 3 bits/,
  });
  t.throws(() => oxm(F.eth_type, 0x800, 0xff), { message: /eth_type: the field cannot be masked/ });
  t.throws(() => oxm(F.ipv6_src, 1n << 128n), RangeError);
  t.equal(JSON.stringify(oxm(F.tcp_dst, 80)), '{"field":"tcp_dst","value":80}');
});

t.test('messages that would pass 64 KB are refused, and nothing of them is written', async (t) => {
  const bucket = { weight: 0, watchPort: Port.ANY, watchGroup: 0xffffffff, actions: [output(1)] };
  const group = (buckets: number): Message => ({
    type: 'group_mod',
    xid: 1,
    command: 0,
    groupType: 0,
    groupId: 1,
    buckets: Array.from({ length: buckets }, () => bucket),
  });
  const encoder = new Encoder({ slabSize: 4096 });
  encoder.append({ type: 'barrier_request', xid: 1 });
  t.equal(encoder.append(group(2047)), 65520, 'the largest that fits');
  const before = encoder.pending;
  t.throws(() => encoder.append(group(2048)), {
    name: 'MessageTooLong',
    code: 'OFPROTO_MESSAGE_TOO_LONG',
    messageType: 'group_mod',
    length: 65552,
  });
  t.equal(encoder.pending, before);
  t.throws(() => encoder.appendToBundle(1, 1, 1, group(2047)), MessageTooLong);
  t.equal(encoder.pending, before);
  t.equal(encodedLength(group(5000)), 16 + 5000 * 32);
  encoder.append({ type: 'barrier_request', xid: 2 });
  const { messages, errors } = decodeChunks([encoder.take()]);
  t.same(errors, []);
  t.same(
    messages.map((m) => m.type),
    ['barrier_request', 'group_mod', 'barrier_request'],
  );
});

t.test('a number wider than its field is refused, and nothing of its message is written', async (t) => {
  const nat = (portMax: number): Message =>
    flowMod({
      tableId: 1,
      match: matchOf({ eth_type: 0x0800 }),
      instructions: [
        apply({
          type: 'ct',
          flags: 1,
          zone: 7,
          alg: 0,
          actions: [{ type: 'nat', flags: 1, ipv4Min: 1, portMin: 1, portMax }],
        }),
      ],
    });
  const prioritised = (priority: number): Message => flowMod({ tableId: 0, priority, match: [] });
  const encoder = new Encoder({ slabSize: 4096 });
  const good = encode(nat(65_535));
  encoder.append(nat(65_535));
  const refused: readonly (readonly [Message, Partial<ValueOutOfRange>])[] = [
    [
      nat(65_536),
      {
        value: 65_536,
        bits: 16,
        message:
          '65536 does not fit into the 16 bits of instructions[0].actions[0].actions[0].portMax of flow_mod; numbers are unsigned and whole',
      },
    ],
    [prioritised(70_000), { value: 70_000, bits: 16, where: 'priority of flow_mod' }],
    [prioritised(-1), { value: -1, bits: 16, where: 'priority of flow_mod' }],
    [prioritised(1.5), { value: 1.5, bits: 16, where: 'priority of flow_mod' }],
    [prioritised(Number.NaN), { bits: 16, where: 'priority of flow_mod' }],
    [
      { ...flowMod({ match: [] }), cookie: 1n << 64n },
      { bits: 64, where: 'cookie of flow_mod' },
    ],
    [flowMod({ match: [], instructions: [gotoTable(256)] }), { where: 'instructions[0].table of flow_mod' }],
    [
      flowMod({ match: [], instructions: [{ type: 'write_metadata', metadata: -1n, mask: 1n }] }),
      { bits: 64, where: 'instructions[0].metadata of flow_mod' },
    ],
    [
      packetOut({ actions: [output(2 ** 32)], data: new Uint8Array(4) }),
      { where: 'actions[0].port of packet_out' },
    ],
    [
      packetOut({ actions: [{ type: 'resubmit', port: 70_000 }], data: new Uint8Array(4) }),
      { value: 70_000, bits: 16, where: 'actions[0].port of packet_out' },
    ],
    [
      packetOut({
        actions: [{ type: 'reg_load', dst: F.reg0, offset: 0, bits: 65, value: 1n }],
        data: new Uint8Array(4),
      }),
      { bits: 6, where: 'the width less one of a subfield of packet_out' },
    ],
  ];
  for (const [bad, expected] of refused) {
    const before = encoder.pending;
    const error = { name: 'ValueOutOfRange', code: 'OFPROTO_VALUE_OUT_OF_RANGE', ...expected };
    t.throws(() => encoder.append(bad), error);
    t.throws(() => encoder.appendToBundle(1, 1, 1, bad), error);
    t.equal(encoder.pending, before);
    t.throws(() => encode(bad), error);
  }
  t.throws(() => encode({ type: 'barrier_request', xid: 2 ** 32 }), {
    name: 'ValueOutOfRange',
    where: 'xid of barrier_request',
  });
  t.throws(() => encoder.appendToBundle(2 ** 32, 1, 1, nat(1)), {
    name: 'ValueOutOfRange',
    where: 'bundleId of bundle_add_message',
  });
  encoder.append({ type: 'barrier_request', xid: 2 });
  const taken = encoder.take();
  t.equal(hex(taken.subarray(0, good.length)), hex(good), 'what was appended before is as it was');
  t.same(
    decodeChunks([taken]).messages.map((m) => m.type),
    ['flow_mod', 'barrier_request'],
    'the encoder goes on',
  );
});

t.test('what was taken is not written again', async (t) => {
  const encoder = new Encoder({ slabSize: 4096 });
  const taken: Uint8Array[] = [];
  const copies: string[] = [];
  for (const m of fc.sample(message, { numRuns: 400, seed: 3 })) {
    encoder.append(m);
    const piece = encoder.take();
    taken.push(piece);
    copies.push(hex(piece));
    try {
      encoder.append({ type: 'no_such_message', xid: 0 } as unknown as Message);
    } catch {
      // Leaves the slab as it was.
    }
  }
  t.same(taken.map(hex), copies);
});

t.test('malformed messages are reported and the session goes on', async (t) => {
  const barrier = encode({ type: 'barrier_reply', xid: 9 });
  const cases: [name: string, bytes: string, errorType: number, errorCode: number][] = [
    [
      'action longer than its list',
      '040d0020 00000001 ffffffff fffffffd 0008000000000000 0000001000000001',
      2,
      1,
    ],
    [
      'match of an old type',
      '040e0038 00000001' + '00'.repeat(40) + '0000000400000000',
      ErrorType.BAD_MATCH,
      0,
    ],
    [
      'OXM of a wrong length',
      '040e0038 00000001' + '00'.repeat(40) + '0001000a80000a0100',
      ErrorType.BAD_MATCH,
      1,
    ],
    ['features reply too short', '04060010 00000001 0000000000000001', ErrorType.BAD_REQUEST, 6],
    [
      'instruction of length 0',
      '040e0040 00000001' + '00'.repeat(40) + '0001000400000000 0001000000000000',
      3,
      7,
    ],
  ];
  for (const [name, text, errorType, errorCode] of cases) {
    const bytes = bytesOf(text);
    const padded = new Uint8Array(new DataView(bytes.buffer).getUint16(2));
    padded.set(bytes.subarray(0, padded.length));
    const { messages, errors, decoder } = decodeChunks([Buffer.concat([padded, barrier])]);
    t.match(
      errors,
      [{ errorType, errorCode, fatal: false, header: { xid: 1 }, xid: 1, data: padded.slice(0, 64) }],
      name,
    );
    t.same(messages, [{ type: 'barrier_reply', xid: 9 }], name);
    t.equal(decoder.failed, false);
  }
});

t.test('lost framing is fatal', async (t) => {
  const barrier = encode({ type: 'barrier_reply', xid: 9 });
  for (const [header, errorType] of [
    ['0414000700000005', ErrorType.BAD_REQUEST],
    ['0114000800000005', ErrorType.HELLO_FAILED],
  ] as const) {
    const { messages, errors, decoder } = decodeChunks([
      Buffer.concat([barrier, bytesOf(header), barrier]),
      barrier,
    ]);
    t.equal(messages.length, 1);
    t.match(errors, [{ fatal: true, errorType, header: { xid: 5 } }]);
    t.equal(decoder.failed, true);
  }
  const hello = decodeChunks([bytesOf('060000080000000a')]);
  t.match(hello.messages, [{ type: 'hello', version: 6 }], 'a hello may have any version');
  const limited: DecodeError[] = [];
  const decoder = new Decoder(
    { message: () => t.fail('a message above the limit'), malformed: (e) => limited.push(e) },
    { maxMessageLength: 1000 },
  );
  decoder.push(bytesOf('0402 03e9 00000001'));
  t.match(limited, [{ fatal: true }]);
});

t.test('a decoder holds at most one message', async (t) => {
  const echo = encode({ type: 'echo_request', xid: 1, data: new Uint8Array(60_000) });
  const { decoder } = decodeChunks([echo.subarray(0, 59_000)]);
  t.equal(decoder.buffered, 59_000);
  decoder.push(Buffer.concat([echo.subarray(59_000), echo.subarray(0, 10)]));
  t.equal(decoder.buffered, 10);
});

t.test('actions nested without end stay opaque', async (t) => {
  let nested: Action = output(1);
  for (let i = 0; i < 2000; i++) nested = { type: 'clone', actions: [nested] };
  const original = flowMod({ instructions: [apply(nested)] });
  const bytes = encode(original);
  t.equal(hex(encode(decode(bytes))), hex(bytes));
});

t.test('multipart replies are put together', async (t) => {
  const assembler = new MultipartAssembler({ maxReplies: 2, maxRecords: 5 });
  const part = (xid: number, more: boolean, ...tableIds: number[]): MultipartReply => ({
    type: 'multipart_reply',
    xid,
    more,
    multipartType: 'table',
    body: tableIds.map((tableId) => ({ tableId, activeCount: 0, lookupCount: 0n, matchedCount: 0n })),
  });
  t.equal(assembler.add(part(1, true, 1, 2)), undefined);
  t.same(assembler.add(part(2, false, 9)), part(2, false, 9));
  t.same(assembler.add(part(1, false, 3)), part(1, false, 1, 2, 3));
  t.equal(assembler.size, 0);
  assembler.add(part(3, true, 1, 2, 3));
  t.throws(() => assembler.add(part(3, true, 4, 5, 6)), {
    name: 'MultipartError',
    xid: 3,
    message: /more than 5 records/,
  });
  assembler.add(part(4, true, 1));
  assembler.add(part(5, true, 1));
  t.throws(() => assembler.add(part(6, true, 1)), MultipartError);
  t.throws(
    () =>
      assembler.add({ type: 'multipart_reply', xid: 4, more: false, multipartType: 'port_desc', body: [] }),
    { message: /part of type port_desc after one of type table/ },
  );
  assembler.drop(5);
  t.equal(assembler.size, 0);
});
