// The event stream over real sockets, and the bounds of the listener.
import { createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t, { type Test } from 'tap';
import { ApiError, httpError } from '../../controller/api/errors.js';
import { namesLoopback, RequestRate, withDeadline } from '../../controller/api/limits.js';
import { WatchHub, type WatchOptions } from '../../controller/api/watch.js';
import { type ServerSentEvent, serverSentEvents } from '../../cli/server-sent-events.js';
import { ModelError } from '../../controller/model/types.js';
import type { PacketEvent } from '../../controller/punt/types.js';
import { waitFor } from '../support/wait-for.js';

async function serve(t: Test, options: Partial<WatchOptions> = {}) {
  const hub = new WatchHub({ controllerId: 'c1', maxWatchers: 10, ...options });
  const server = createServer((request, response) => {
    const types = new URL(request.url ?? '', 'http://x').searchParams.get('types');
    const lastEventId = request.headers['last-event-id'];
    hub.add(response, {
      ...(types === null ? {} : { types: types.split(',') }),
      wantsPacket: ({ tenant }) => tenant !== 'other',
      ...(typeof lastEventId === 'string' ? { lastEventId } : {}),
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    hub.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { hub, port };
}

/** Reads a stream into an array as it arrives. */
async function read(port: number, { path = '/', lastEventId }: { path?: string; lastEventId?: string } = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).on('error', reject);
  });
  const events: ServerSentEvent[] = [];
  const done = (async () => {
    for await (const event of serverSentEvents(response)) events.push(event);
  })().catch(() => undefined);
  return { events, done, close: () => response.destroy() };
}

const event = (n: number) => ({ type: 'object' as const, data: { n } });
const numbers = (events: readonly ServerSentEvent[]): number[] =>
  events.filter((one) => one.event === 'object').map((one) => (JSON.parse(one.data) as { n: number }).n);

t.test('events arrive in order, after a ready', async (t) => {
  const { hub, port } = await serve(t);
  hub.publish(event(0));
  const reader = await read(port);
  await waitFor('ready', () => reader.events.length === 1);
  t.match(reader.events[0], { event: 'ready', id: 'c1-1' });
  for (let n = 1; n <= 100; n++) hub.publish(event(n));
  await waitFor('all events', () => numbers(reader.events).length === 100);
  t.same(
    numbers(reader.events),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  t.equal(reader.events.at(-1)?.id, 'c1-101');
});

t.test('a reader that comes back gets what it missed, once', async (t) => {
  const { hub, port } = await serve(t);
  for (let n = 1; n <= 10; n++) hub.publish(event(n));
  const reader = await read(port, { lastEventId: 'c1-7' });
  hub.publish(event(11));
  await waitFor('the rest', () => numbers(reader.events).length === 4);
  t.same(numbers(reader.events), [8, 9, 10, 11]);
});

t.test('a reader that cannot be given everything is told to list again', async (t) => {
  const { hub, port } = await serve(t, { history: 4 });
  for (let n = 1; n <= 100; n++) hub.publish(event(n));
  for (const lastEventId of ['c1-2', 'other-99', 'c1-101', 'c1--1', 'nonsense', 'c1-1e400']) {
    const reader = await read(port, { lastEventId });
    await waitFor('an answer', () => reader.events.length > 0);
    t.match(reader.events, [{ event: 'reset', id: 'c1-100' }], lastEventId);
    reader.close();
  }
  const recent = await read(port, { lastEventId: 'c1-98' });
  await waitFor('the rest', () => numbers(recent.events).length === 2);
  t.same(numbers(recent.events), [99, 100]);
});

t.test('readers choose the types of events', async (t) => {
  const { hub, port } = await serve(t);
  const reader = await read(port, { path: '/?types=host' });
  await waitFor('ready', () => reader.events.length === 1);
  hub.publish(event(1));
  hub.publish({ type: 'host', data: { event: 'host.up' } });
  await waitFor('the event', () => reader.events.length === 2);
  t.equal(reader.events[1]?.event, 'host');
});

t.test('a reader that does not read is dropped, and the others are not delayed', async (t) => {
  const { hub, port } = await serve(t, { maxPendingBytes: 256 << 10 });
  const sleeper = connect(port, '127.0.0.1');
  t.teardown(() => sleeper.destroy());
  sleeper.on('error', () => undefined);
  sleeper.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  sleeper.pause();
  const reader = await read(port);
  await waitFor('both', () => hub.watchers === 2);
  const padding = 'x'.repeat(40_000);
  let published = 0;
  await waitFor('the drop', () => {
    // as fast as the one who reads: it must get every event
    if (numbers(reader.events).length === published) {
      for (let n = 0; n < 5; n++) hub.publish({ type: 'object', data: { n: ++published, padding } });
    }
    return hub.dropped === 1;
  });
  t.equal(hub.watchers, 1, 'the other stays');
  await waitFor('all events', () => numbers(reader.events).length === published);
});

const packet = (count: number, more: Partial<PacketEvent> = {}): PacketEvent => ({
  time: 0,
  count,
  verdict: 'deny',
  direction: 'in',
  source: {},
  destination: {},
  protocol: 'udp',
  length: 60,
  datapathId: '1',
  ...more,
});

t.test('packets go to those who ask for them, have no number and are not kept', async (t) => {
  const { hub, port } = await serve(t);
  const all = await read(port);
  const packets = await read(port, { path: '/?types=packet' });
  await waitFor('both', () => hub.watchers === 2);
  hub.publishPacket(packet(1));
  hub.publishPacket(packet(1, { tenant: 'other' }));
  hub.publish(event(1));
  hub.publishPacket(packet(2));
  hub.packetsLost(5);
  await waitFor('the loss', () => packets.events.at(-1)?.event === 'lost');
  t.same(
    packets.events.slice(1).map(({ event: name, data, id }) => [name, JSON.parse(data), id]),
    [
      ['packet', packet(1), undefined],
      ['packet', packet(2), undefined],
      ['lost', { packets: 5 }, undefined],
    ],
  );
  t.same(
    all.events.map(({ event: name }) => name),
    ['ready', 'object'],
  );
  const back = await read(port, { path: '/?types=object,packet', lastEventId: 'c1-0' });
  await waitFor('what was missed', () => back.events.length === 2);
  t.same(
    back.events.map(({ event: name }) => name),
    ['ready', 'object'],
  );
});

t.test('a reader that is behind loses packets, is told how many, and is not dropped', async (t) => {
  const { hub, port } = await serve(t, { maxPendingPacketBytes: 64 << 10 });
  const sleeper = connect(port, '127.0.0.1');
  t.teardown(() => sleeper.destroy());
  sleeper.write('GET /?types=packet HTTP/1.1\r\nhost: x\r\n\r\n');
  await waitFor('the watcher', () => hub.watchers === 1);
  sleeper.pause();
  const rule = 'x'.repeat(2000);
  let published = 0;
  await waitFor('a loss', () => {
    for (let n = 0; n < 100; n++, published += 3) hub.publishPacket(packet(3, { rule }));
    return hub.lostPackets > 0;
  });
  t.equal(hub.watchers, 1);
  let text = '';
  sleeper.on('data', (chunk) => {
    text += String(chunk);
  });
  sleeper.resume();
  const told = () => [...text.matchAll(/event: lost\ndata: \{"packets":(\d+)\}/g)].map(([, n]) => Number(n));
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
  await waitFor('the news', () => told().length > 0, 20_000);
  const shown = 3 * [...text.matchAll(/event: packet/g)].length;
  t.equal(shown + sum(told()), published, 'every packet is shown or counted');
});

t.test('closing ends the streams', async (t) => {
  const { hub, port } = await serve(t);
  const reader = await read(port);
  await waitFor('ready', () => reader.events.length === 1);
  hub.close();
  await reader.done;
  t.equal(hub.watchers, 0);
});

t.test('silence is broken by comments, which are no events', async (t) => {
  const { port } = await serve(t, { keepAliveMs: 5 });
  let text = '';
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await waitFor('comments', () => text.split(': still here').length > 3);
  t.match(text, /text\/event-stream/);
});

t.test('requests per client are a token bucket', async (t) => {
  let now = 0;
  const rate = new RequestRate(10, () => now);
  const taken = (client: string, tries: number): number =>
    Array.from({ length: tries }, () => rate.take(client)).filter(Boolean).length;
  t.equal(taken('a', 100), 20, 'the burst');
  t.equal(taken('b', 5), 5, 'each client for itself');
  now += 500;
  t.equal(taken('a', 100), 5);
  now += 3_600_000;
  t.equal(taken('a', 100), 20, 'never more than the burst');
  for (let n = 0; n < 20_000; n++) rate.take(`client ${n}`);
  t.equal(taken('client 19999', 100), 19, 'the last ones are remembered');
});

t.test('hosts that a loopback listener answers for', async (t) => {
  for (const host of ['localhost', 'localhost:9999', '127.0.0.1:9999', '[::1]:9999', '10.0.0.1']) {
    t.ok(namesLoopback(host), host);
  }
  for (const host of ['evil.example', 'localhost.evil.example:9999', '', 'localhost@evil', undefined]) {
    t.notOk(namesLoopback(host), String(host));
  }
});

t.test('a deadline answers for work that does not end', async (t) => {
  t.equal(await withDeadline(10_000, 'it', Promise.resolve(1)), 1);
  await t.rejects(withDeadline(1, 'the work', new Promise(() => undefined)), {
    statusCode: 504,
    message: /the work did not end within 1 ms/,
  });
});

t.test('errors become a status and a body', async (t) => {
  t.match(httpError(new ApiError(404, 'x.not-found', 'no', { fix: 'look' })), {
    status: 404,
    body: { code: 'x.not-found', message: 'no', fix: 'look' },
  });
  const problems = [
    { severity: 'warning', code: 'a.b', message: 'careful' },
    {
      severity: 'error',
      code: 'network.subnet.overlap',
      message: 'overlaps',
      path: 'subnet',
      fix: 'other',
      file: 'f',
      line: 3,
    },
  ] as const;
  t.match(httpError(new ModelError(problems)), {
    status: 409,
    body: {
      code: 'network.subnet.overlap',
      message: 'overlaps',
      path: 'subnet',
      line: 3,
      file: 'f',
      problems,
    },
  });
  const secret = httpError(new Error('password is 1234'));
  t.equal(secret.status, 500);
  t.ok(secret.unexpected);
  t.notMatch(JSON.stringify(secret.body), /1234/, 'what is unexpected is logged, not shown');
});
