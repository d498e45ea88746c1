/** The fast path of packet-ins says what the decoder says, and what it appends is what the encoder appends. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  type Action,
  Decoder,
  Encoder,
  encode,
  F,
  findOxm,
  type Message,
  NO_BUFFER,
  oxm,
  PacketInView,
  packetOut,
} from '../../ofproto/index.js';
import { action, match, messageKinds } from './generators.js';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const port = fc.nat(0xffff_ffff);
/** With an `in_port` among the rest, once or twice, masked never: the field cannot be. */
const metadata = fc
  .tuple(match, fc.array(port, { maxLength: 2 }), match)
  .map(([before, ports, after]) => [...before, ...ports.map((value) => oxm(F.in_port, value)), ...after]);
const packetIn: fc.Arbitrary<Message> = fc
  .record(
    { match: metadata, data: bytes(80), buffered: fc.boolean(), cut: fc.boolean() },
    { noNullPrototype: true },
  )
  .map(({ data, buffered, cut, ...rest }) => ({
    type: 'packet_in',
    xid: 1,
    bufferId: buffered ? 7 : NO_BUFFER,
    totalLength: data.length + (cut ? 100 : 0),
    reason: 1,
    tableId: 2,
    cookie: 3n,
    data,
    ...rest,
  }));
const packetIn2: fc.Arbitrary<Message> = fc
  .record(
    {
      packet: bytes(80),
      fullLength: fc.nat(160),
      bufferId: port,
      tableId: fc.nat(255),
      cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      reason: fc.nat(255),
      metadata,
      userdata: bytes(12),
      continuation: bytes(12),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  .map((rest) => ({ type: 'nx_packet_in2', xid: 1, ...rest }));
const plain2: fc.Arbitrary<Message> = fc
  .record({ packet: bytes(80), metadata, userdata: bytes(12) }, { noNullPrototype: true })
  .map((rest) => ({
    type: 'nx_packet_in2',
    xid: 1,
    ...rest,
    fullLength: rest.packet.length,
    cookie: 5n,
    tableId: 3,
  }));

/** What of a message the view is to tell; undefined: it is to leave the message to the decoder. */
function meant(message: Message) {
  if (message.type === 'packet_in') {
    const inPort = findOxm(message.match, F.in_port)?.value;
    const whole = message.bufferId === NO_BUFFER && message.totalLength === message.data.length;
    return inPort !== undefined && whole
      ? { inPort, frame: message.data, userdata: new Uint8Array(0) }
      : undefined;
  }
  if (message.type !== 'nx_packet_in2') return undefined;
  const { packet, fullLength = packet?.length, metadata: fields = [], userdata } = message;
  const inPort = findOxm(fields, F.in_port)?.value;
  if (packet === undefined || inPort === undefined || fullLength !== packet.length) return undefined;
  if (message.bufferId !== undefined || message.continuation !== undefined) return undefined;
  return { inPort, frame: packet, userdata: userdata ?? new Uint8Array(0) };
}

/** What the view tells of each packet-in that it takes, and the messages that were decoded. */
function push(input: Uint8Array) {
  const viewed: ReturnType<typeof meant>[] = [];
  const decoded: Message[] = [];
  let malformed = 0;
  const decoder = new Decoder({
    message: (message) => decoded.push(message),
    malformed: () => malformed++,
    packetIn: (view) => {
      const userdata = view.bytes.slice(view.userdataStart, view.userdataEnd);
      viewed.push({ inPort: view.inPort, frame: view.frame(), userdata });
      return true;
    },
  });
  decoder.push(input);
  return { viewed, decoded, malformed };
}

t.test('a packet-in is viewed as it is decoded, or left to the decoder', (t) => {
  let viewed = 0;
  fc.assert(
    fc.property(fc.oneof(packetIn, packetIn2, plain2), (message) => {
      const expected = meant(message);
      const result = push(encode(message));
      if (expected === undefined) assert.deepEqual(result.viewed, []);
      else assert.deepEqual(result, { viewed: [expected], decoded: [], malformed: 0 });
      if (expected !== undefined) viewed++;
    }),
    { numRuns: 1_000 },
  );
  t.ok(viewed > 100, `${viewed} viewed`);
  t.end();
});

t.test('in a stream, cut anywhere, every message is delivered once and in order', (t) => {
  const message = fc.oneof(plain2, packetIn, ...messageKinds.slice(0, 6));
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), fc.nat(), (messages, at) => {
      const stream = Buffer.concat(messages.map((one) => encode(one).slice()));
      const order: string[] = [];
      const decoder = new Decoder({
        message: ({ type }) => order.push(type),
        malformed: ({ message: text }) => order.push(text),
        packetIn: ({ bytes: all, frameStart, frameEnd }) => {
          order.push(`viewed ${all.subarray(frameStart, frameEnd).join()}`);
          return true;
        },
      });
      decoder.push(stream.subarray(0, at % stream.length));
      decoder.push(stream.subarray(at % stream.length));
      assert.deepEqual(
        order,
        messages.map((one) => {
          const view = meant(one);
          return view === undefined ? one.type : `viewed ${view.frame.join()}`;
        }),
      );
    }),
  );
  t.end();
});

t.test('what is not taken is decoded', (t) => {
  fc.assert(
    fc.property(plain2, (message) => {
      const decoded: Message[] = [];
      const decoder = new Decoder({
        message: (one) => decoded.push(one),
        malformed: (error) => assert.fail(error),
        packetIn: () => false,
      });
      decoder.push(encode(message));
      assert.equal(decoded.length, 1);
    }),
  );
  t.end();
});

t.test('hostile bytes are not thrown at, and never viewed as something else than they are decoded', (t) => {
  const view = new PacketInView();
  fc.assert(
    fc.property(
      fc.oneof(packetIn, plain2),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      (message, changes) => {
        const damaged = encode(message).slice();
        for (const [at, value] of changes) damaged[4 + (at % (damaged.length - 4))] = value;
        if (damaged[1] !== 4 && damaged[1] !== 10) return;
        const data = new DataView(damaged.buffer);
        const taken = view.read(damaged, data, 0, damaged.length);
        const decoded: Message[] = [];
        new Decoder({ message: (one) => decoded.push(one), malformed: () => {} }).push(damaged);
        const [plain] = decoded;
        if (plain === undefined) return;
        const expected = meant(plain);
        if (taken) assert.deepEqual([view.inPort, view.frame()], [expected?.inPort, expected?.frame]);
      },
    ),
    { numRuns: 3_000 },
  );
  t.end();
});

t.test('a packet-out by its head and its packet is the packet-out', (t) => {
  const actions: fc.Arbitrary<Action[]> = fc.array(action, { maxLength: 4 });
  fc.assert(
    fc.property(
      actions,
      port,
      fc.uint8Array({ minLength: 1, maxLength: 2_000 }),
      fc.nat(),
      (list, inPort, data, at) => {
        const from = at % data.length;
        const encoder = new Encoder();
        encoder.append({ type: 'barrier_request', xid: 1 });
        const head = encode(packetOut({ inPort, actions: list })).slice();
        encoder.appendPacketOut(head, data, from, data.length);
        encoder.append({ type: 'barrier_request', xid: 2 });
        const plain = new Encoder();
        plain.append({ type: 'barrier_request', xid: 1 });
        plain.append(packetOut({ inPort, actions: list, data: data.subarray(from) }));
        plain.append({ type: 'barrier_request', xid: 2 });
        assert.deepEqual(encoder.take(), plain.take());
      },
    ),
  );
  const head = encode(packetOut({})).slice();
  t.throws(() => new Encoder().appendPacketOut(head, new Uint8Array(70_000), 0, 70_000), {
    code: 'OFPROTO_MESSAGE_TOO_LONG',
  });
  t.end();
});
