import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import Type from 'typebox';
import {
  AgentRegister,
  type Call,
  ErrorCode,
  NotificationType,
  Peer,
  type PeerOptions,
  RequestType,
  Router,
  type RpcError,
} from '../../rpc/index.js';
import { LineSplitter } from '../../rpc/lines.js';
import { ManualClock, RawClient, socketPair, until } from './support.js';

const Add = new RequestType('test.add', Type.Object({ a: Type.Number(), b: Type.Number() }), Type.Number());
const Slow = new RequestType('test.slow', Type.Object({ name: Type.String() }), Type.String());
const Fail = new RequestType('test.fail', Type.Object({ how: Type.String() }), Type.Null());
const Echo = new RequestType('test.echo', Type.Unknown(), Type.Unknown());
const Lie = new RequestType('test.lie', Type.Object({}), Type.Object({ list: Type.Array(Type.Number()) }));
const Note = new NotificationType('test.note', Type.Object({ n: Type.Number() }));

class Refusal extends Error {
  readonly code = 'network.unknown';
  readonly path = 'network';
  readonly fix = 'apply the network first';
}

interface Slot {
  readonly call: Call;
  readonly name: string;
  finish(value: string): void;
}

function testRouter(slots: Slot[] = [], notes: number[] = []): Router {
  return new Router()
    .request(Add, ({ a, b }) => a + b)
    .request(Echo, (value) => value)
    .request(Lie, () => ({ list: ['x'] }) as never)
    .request(
      Slow,
      ({ name }, call) =>
        new Promise((resolve) => {
          slots.push({ call, name, finish: resolve });
        }),
    )
    .request(Fail, ({ how }) => {
      if (how === 'named') throw new Refusal('there is no network blue');
      throw new TypeError('secret detail');
    })
    .notification(Note, ({ n }) => {
      notes.push(n);
    });
}

async function pair(t: Test, left: Partial<PeerOptions> = {}, right: Partial<PeerOptions> = {}) {
  const [a, b] = await socketPair();
  const peers = [
    new Peer(a, { router: testRouter(), ...left }),
    new Peer(b, { router: testRouter(), ...right }),
  ] as const;
  t.teardown(() => {
    for (const peer of peers) peer.close('test over');
  });
  return peers;
}

async function raw(t: Test, options: Partial<PeerOptions> = {}) {
  const [a, b] = await socketPair();
  const peer = new Peer(b, { router: testRouter(), ...options });
  t.teardown(() => {
    peer.close('test over');
    a.destroy();
  });
  return [new RawClient(a), peer] as const;
}

t.test('both ends call, in both directions at once', async (t) => {
  const [left, right] = await pair(t);
  const results = await Promise.all([
    left.call(Add, { a: 1, b: 2 }),
    right.call(Add, { a: 3, b: 4 }),
    left.call(Echo, { deep: ['ä', null, { x: 1.5 }] }),
  ]);
  t.strictSame(results, [3, 7, { deep: ['ä', null, { x: 1.5 }] }]);
});

t.test('messages of one turn leave in one write, whatever their number', async (t) => {
  const [a, b] = await socketPair();
  let chunks = 0;
  b.on('data', () => {
    chunks += 1;
  });
  const left = new Peer(a, { router: new Router() });
  const right = new Peer(b, { router: testRouter() });
  t.teardown(() => {
    left.close('test over');
    right.close('test over');
  });
  await Promise.all(Array.from({ length: 100 }, (_, i) => left.call(Add, { a: i, b: 1 })));
  t.equal(chunks, 1);
});

t.test('params are checked before the handler sees them, with path and fix', async (t) => {
  const [client] = await raw(t);
  client.send('{"jsonrpc":"2.0","id":1,"method":"test.add","params":{"a":1,"b":"two"}}\n');
  const expected = {
    code: ErrorCode.invalidParams,
    data: { code: 'rpc.params.invalid', path: 'b', fix: 'give a number' },
  };
  t.match(await client.next(), { id: 1, error: { ...expected, message: /b must be number, not "two"/ } });
  client.send('{"jsonrpc":"2.0","id":2,"method":"test.add","params":[1,2]}\n');
  t.match(await client.next(), { id: 2, error: { code: ErrorCode.invalidParams, data: { path: 'params' } } });
  client.send('{"jsonrpc":"2.0","id":3,"method":"test.add"}\n');
  t.match(await client.next(), { id: 3, error: { data: { path: 'a' }, message: /a is missing/ } });

  const register = {
    protocol: 1,
    hostLabel: 'h1',
    epoch: 1,
    datapathId: '0000000000000001',
    bridge: 'br-int',
  };
  const attachments = [{ endpoint: 'a/b/c', interface: 'x'.repeat(16), generation: 1 }];
  const [left, right] = await pair(
    t,
    {},
    { router: new Router().request(AgentRegister, () => ({ leaseMs: 1, controllerId: 'c', stale: [] })) },
  );
  t.ok(right);
  await t.rejects(left.call(AgentRegister, { ...register, protocol: 1, attachments }), {
    code: 'rpc.params.invalid',
    path: 'attachments[0].interface',
    fix: /name of the port on the bridge/,
  });
});

t.test('errors of handlers: named ones pass whole, others are hidden and reported here', async (t) => {
  const unexpected: unknown[] = [];
  const [left] = await pair(t, {}, { onUnexpected: (error) => unexpected.push(error) });
  await t.rejects(left.call(Fail, { how: 'named' }), {
    name: 'RpcError',
    rpcCode: ErrorCode.refused,
    code: 'network.unknown',
    message: 'there is no network blue',
    path: 'network',
    fix: 'apply the network first',
  });
  t.equal(unexpected.length, 0);
  const hidden = await left.call(Fail, { how: 'bug' }).catch((error: unknown) => error as RpcError);
  t.match(hidden, { rpcCode: ErrorCode.internal, code: 'rpc.internal', message: 'internal error' });
  t.match(unexpected, [{ message: 'secret detail' }]);
});

t.test('unknown methods are refused and the connection goes on', async (t) => {
  const ignored: string[] = [];
  const [client, peer] = await raw(t, { onIgnored: (_, method) => ignored.push(method) });
  client.send('{"jsonrpc":"2.0","id":"x","method":"no.such","params":{}}\n');
  t.match(await client.next(), { id: 'x', error: { code: -32601, data: { code: 'rpc.method.unknown' } } });
  client.send('{"jsonrpc":"2.0","method":"no.such"}\n{"jsonrpc":"2.0","method":"test.note","params":{}}\n');
  client.send('{"jsonrpc":"2.0","id":2,"method":"test.add","params":{"a":1,"b":1}}\n');
  t.strictSame(await client.next(), { jsonrpc: '2.0', id: 2, result: 2 });
  t.strictSame(ignored, ['no.such', 'test.note']);
  t.equal(peer.counters.ignored, 2);
});

t.test('garbage is answered with a reason and the next message is served', async (t) => {
  const [client] = await raw(t);
  const cases: [string | Uint8Array, number][] = [
    ['{"jsonrpc":"2.0",\n', -32700],
    [Uint8Array.of(0x22, 0xff, 0xfe, 0x22, 0x0a), -32700],
    ['42\n', -32600],
    ['{"id":1,"method":"test.add"}\n', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"test.add"}\n', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":7}\n', -32600],
    ['{"jsonrpc":"2.0","id":1}\n', -32600],
    ['[]\n', -32600],
  ];
  for (const [bytes, code] of cases) {
    client.send(bytes);
    t.match(await client.next(), { id: null, error: { code } }, String(bytes));
  }
  client.send('\r\n\n{"jsonrpc":"2.0","id":9,"method":"test.add","params":{"a":2,"b":2}}\r\n');
  t.strictSame(await client.next(), { jsonrpc: '2.0', id: 9, result: 4 });
});

t.test('a connection that never speaks JSON-RPC is closed, with a last word', async (t) => {
  const reasons: string[] = [];
  const [client, peer] = await raw(t, { limits: { maxGarbage: 3 } });
  peer.onClose((reason) => reasons.push(reason));
  client.send('GET / HTTP/1.1\r\nHost: hub\r\nAccept: */*\r\n\r\n');
  for (let i = 0; i < 3; i++) t.match(await client.next(), { error: { code: -32700 } });
  await until(() => client.ended, 'close');
  t.strictSame(reasons, ['3 messages in a row were not JSON-RPC 2.0']);
});

t.test('an oversized message is thrown away as it arrives, and the next one is served', async (t) => {
  const [client] = await raw(t, { limits: { maxMessageBytes: 1000 } });
  const long = `{"jsonrpc":"2.0","id":1,"method":"test.echo","params":"${'x'.repeat(2000)}"}\n`;
  client.send(`${long}{"jsonrpc":"2.0","id":2,"method":"test.add","params":{"a":1,"b":1}}\n`);
  t.match(await client.next(), {
    id: null,
    error: { code: ErrorCode.tooLarge, data: { code: 'rpc.tooLarge' } },
  });
  t.match(await client.next(), { id: 2, result: 2 });
  client.send('y'.repeat(4001));
  t.match(await client.next(), { id: null, error: { code: ErrorCode.tooLarge } });
  await until(() => client.ended, 'a line without end closes the connection');
});

t.test('own messages above the limit are refused before they are sent, answers as well', async (t) => {
  const [left, right] = await pair(t, {}, { limits: { maxMessageBytes: 500 } });
  await t.rejects(right.call(Echo, 'x'.repeat(600)), { code: 'rpc.tooLarge' });
  const slots: Slot[] = [];
  const [caller] = await pair(t, {}, { limits: { maxMessageBytes: 500 }, router: testRouter(slots) });
  const answer = caller.call(Slow, { name: 'big' });
  await until(() => slots.length === 1, 'request');
  slots[0]?.finish('y'.repeat(600));
  await t.rejects(answer, { code: 'rpc.tooLarge' });
  t.equal(await left.call(Add, { a: 1, b: 1 }), 2);
});

t.test('a batch is answered in one array, after the last of it', async (t) => {
  const slots: Slot[] = [];
  const notes: number[] = [];
  const [client] = await raw(t, { router: testRouter(slots, notes), limits: { maxBatchLength: 6 } });
  const request = (id: number, method: string, params: unknown) => ({ jsonrpc: '2.0', id, method, params });
  const batch = [
    request(1, 'test.slow', { name: 'one' }),
    request(2, 'test.add', { a: 1, b: 1 }),
    { jsonrpc: '2.0', method: 'test.note', params: { n: 5 } },
    request(3, 'no.such', {}),
    'garbage',
  ];
  client.send(`${JSON.stringify(batch)}\n`);
  await until(() => slots.length === 1, 'slow request');
  slots[0]?.finish('done');
  const answers = (await client.next()) as { id: number | null }[];
  t.equal(answers.length, 4);
  t.match(
    answers.find(({ id }) => id === 1),
    { result: 'done' },
  );
  t.match(
    answers.find(({ id }) => id === 2),
    { result: 2 },
  );
  t.match(
    answers.find(({ id }) => id === 3),
    { error: { code: -32601 } },
  );
  t.match(
    answers.find(({ id }) => id === null),
    { error: { code: -32600 } },
  );
  t.strictSame(notes, [5]);
  client.send(`${JSON.stringify(Array.from({ length: 7 }, () => batch[1]))}\n`);
  t.match(await client.next(), { id: null, error: { code: -32600 } });
});

t.test('a cancelled call tells the other end, whose handler is aborted', async (t) => {
  const slots: Slot[] = [];
  const [left, right] = await pair(t, {}, { router: testRouter(slots) });
  const abort = new AbortController();
  const call = left.call(Slow, { name: 'x' }, { signal: abort.signal });
  await until(() => slots.length === 1, 'request');
  const slot = slots[0] as Slot;
  t.equal(slot.call.signal.aborted, false);
  abort.abort();
  await t.rejects(call, { code: 'rpc.cancelled', rpcCode: ErrorCode.cancelled });
  await until(() => slot.call.signal.aborted, 'abort of the handler');
  slot.finish('too late');
  t.equal(await left.call(Add, { a: 1, b: 1 }), 2, 'the late answer disturbs nothing');
  t.equal(right.runningRequests, 0);
  await t.rejects(left.call(Add, { a: 1, b: 1 }, { signal: AbortSignal.abort() }), { code: 'rpc.cancelled' });
});

t.test('a deadline ends the call here and there', async (t) => {
  const clock = new ManualClock();
  const slots: Slot[] = [];
  const [left] = await pair(t, { clock }, { router: testRouter(slots) });
  const call = left.call(Slow, { name: 'x' }, { deadlineMs: 250 });
  await until(() => slots.length === 1, 'request');
  clock.advance(249);
  t.equal(slots[0]?.call.signal.aborted, false);
  clock.advance(1);
  await t.rejects(call, { code: 'rpc.deadline', message: /test\.slow had no answer in 250 ms/ });
  await until(() => slots[0]?.call.signal.aborted === true, 'abort of the handler');
});

t.test('a close rejects own calls and aborts running requests', async (t) => {
  const slots: Slot[] = [];
  const [left, right] = await pair(t, {}, { router: testRouter(slots) });
  const call = left.call(Slow, { name: 'x' });
  await until(() => slots.length === 1, 'request');
  left.close('had enough');
  await t.rejects(call, { code: 'rpc.closed', message: 'test.slow: had enough' });
  await until(() => slots[0]?.call.signal.aborted === true, 'abort of the handler');
  t.ok(right.closed);
  await t.rejects(left.call(Add, { a: 1, b: 1 }), { code: 'rpc.closed' });
});

t.test('requests above the limit are refused as busy, own calls as well', async (t) => {
  const slots: Slot[] = [];
  const [left, right] = await pair(
    t,
    { limits: { maxPendingCalls: 3 } },
    { router: testRouter(slots), limits: { maxConcurrentRequests: 2 } },
  );
  const first = left.call(Slow, { name: '1' });
  const second = left.call(Slow, { name: '2' });
  await t.rejects(left.call(Slow, { name: '3' }), { code: 'rpc.busy', fix: /at most 2/ });
  const more = left.call(Add, { a: 1, b: 1 });
  await t.rejects(left.call(Add, { a: 1, b: 1 }), { code: 'rpc.busy' }, 'the fourth is not even sent');
  await t.rejects(more, { code: 'rpc.busy' });
  for (const slot of slots) slot.finish(slot.name);
  t.strictSame(await Promise.all([first, second]), ['1', '2']);
  t.equal(right.runningRequests, 0);
});

t.test('one id cannot be used twice at a time', async (t) => {
  const slots: Slot[] = [];
  const [client] = await raw(t, { router: testRouter(slots) });
  client.send('{"jsonrpc":"2.0","id":1,"method":"test.slow","params":{"name":"a"}}\n');
  client.send('{"jsonrpc":"2.0","id":1,"method":"test.slow","params":{"name":"b"}}\n');
  t.match(await client.next(), { id: 1, error: { code: -32600, data: { path: 'id' } } });
  slots[0]?.finish('a');
  t.match(await client.next(), { id: 1, result: 'a' });
});

t.test('a result that does not fit its schema is an error of the caller', async (t) => {
  const [left] = await pair(t);
  await t.rejects(left.call(Lie, {}), { code: 'rpc.result.invalid', path: 'list[0]' });
});

t.test('drain answers what runs, refuses what is new and closes', async (t) => {
  const slots: Slot[] = [];
  const [left, right] = await pair(t, {}, { router: testRouter(slots) });
  const running = left.call(Slow, { name: 'x' });
  await until(() => slots.length === 1, 'request');
  const drained = right.drain(60_000);
  await t.rejects(left.call(Add, { a: 1, b: 1 }), { code: 'rpc.closing' });
  slots[0]?.finish('finished');
  t.equal(await running, 'finished');
  await drained;
  t.equal(right.closed, 'shutting down');

  const clock = new ManualClock();
  const [caller, stuck] = await pair(t, {}, { router: testRouter(slots), clock });
  const lost = caller.call(Slow, { name: 'never' });
  await until(() => slots.length === 2, 'request');
  const given = stuck.drain(1000);
  clock.advance(1000);
  await given;
  await t.rejects(lost, { code: 'rpc.closed' });
});

t.test('a peer that sends faster than allowed is slowed down, not refused', async (t) => {
  const clock = new ManualClock();
  const [left, right] = await pair(t, {}, { clock, limits: { maxMessagesPerSecond: 100 } });
  let answered = 0;
  const send = () => left.call(Add, { a: 1, b: 1 }).then(() => (answered += 1));
  const calls = Array.from({ length: 25 }, send);
  for (const expected of [10, 20]) {
    await until(() => answered === expected, `${expected} answers`);
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(right.counters.received, expected, 'no more in this window');
    clock.advance(100);
  }
  await Promise.all(calls);
  t.equal(answered, 25);
});

t.test('property: lines come out whole, however the bytes are cut', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ' '))),
      fc.array(fc.nat(30)),
      (lines, cuts) => {
        const out: string[] = [];
        const splitter = new LineSplitter(1e6, {
          line: (text) => out.push(text),
          refused: () => out.push('refused'),
        });
        let bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        for (const cut of cuts) {
          splitter.push(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
        }
        splitter.push(bytes);
        assert.deepStrictEqual(
          out,
          lines.filter((line) => line !== ''),
        );
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});

t.test('property: no bytes break the peer; a good request after them is served', async (t) => {
  const message = fc.oneof(
    fc.json(),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc
      .record({
        jsonrpc: fc.constant('2.0'),
        id: fc.jsonValue(),
        method: fc.jsonValue(),
        params: fc.jsonValue(),
      })
      .map((value) => JSON.stringify(value)),
    fc
      .array(fc.record({ jsonrpc: fc.constant('2.0'), id: fc.jsonValue(), result: fc.jsonValue() }))
      .map((value) => JSON.stringify(value)),
  );
  const [client, peer] = await raw(t, { limits: { maxGarbage: 1e9 } });
  let id = 1_000_000;
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 20 }), async (messages) => {
      id += 1;
      client.send(Buffer.from(messages.map((text) => `${text}\n`).join(''), 'latin1'));
      client.send(`{"jsonrpc":"2.0","id":${id},"method":"test.add","params":{"a":1,"b":1}}\n`);
      for (;;) {
        const answer = await client.next();
        if (typeof answer === 'object' && answer !== null && 'id' in answer && answer.id === id) break;
      }
    }),
    { numRuns: 200 },
  );
  t.equal(peer.closed, undefined);
});
