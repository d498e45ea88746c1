import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import Type from 'typebox';
import * as facts from '../../controller/model/facts.js';
import {
  type Address,
  Backoff,
  Client,
  type ClientOptions,
  connect,
  formatAddress,
  Hub,
  type HubOptions,
  isLoopback,
  NotificationType,
  parseAddress,
  Peer,
  RequestType,
  Router,
  TUNNEL_INTERFACE,
  TUNNEL_PORT,
  UPLINK_PORT,
} from '../../rpc/index.js';
import { acceptingServers } from '../support/accepting-servers.js';
import { ManualClock, RawClient, until } from './support.js';

const Add = new RequestType('test.add', Type.Object({ a: Type.Number(), b: Type.Number() }), Type.Number());
const News = new NotificationType('test.news', Type.Object({ n: Type.Number(), text: Type.String() }));
const loopback: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 };

function addRouter(): Router {
  return new Router().request(Add, ({ a, b }) => a + b);
}

async function startHub(t: Test, options: Partial<HubOptions> = {}) {
  const hub = new Hub({ router: addRouter(), ...options });
  const address = await hub.listen(loopback);
  t.teardown(() => hub.close(0));
  return { hub, address };
}

async function enter(t: Test, address: Address, router = addRouter()) {
  const peer = new Peer(await connect(address), { router });
  t.teardown(() => {
    peer.close('test over');
  });
  return peer;
}

t.test('addresses', (t) => {
  t.strictSame(parseAddress('10.0.0.1:9001'), { kind: 'tcp', host: '10.0.0.1', port: 9001 });
  t.strictSame(parseAddress('tcp:hub.example:1'), { kind: 'tcp', host: 'hub.example', port: 1 });
  t.strictSame(parseAddress('[fd00::1]:9001'), { kind: 'tcp', host: 'fd00::1', port: 9001 });
  t.strictSame(parseAddress(':9001'), { kind: 'tcp', host: '127.0.0.1', port: 9001 });
  t.strictSame(parseAddress('10.0.0.1', 9001), { kind: 'tcp', host: '10.0.0.1', port: 9001 });
  t.strictSame(parseAddress('unix:/run/weft/hub.sock'), { kind: 'unix', path: '/run/weft/hub.sock' });
  for (const text of ['', 'host', 'host:99999', 'fd00::1:9001', 'unix:', 'a b:1', 'tls:host:1']) {
    t.throws(() => parseAddress(text), { code: 'rpc.address' }, text);
  }
  for (const text of ['10.0.0.1:9001', '[fd00::1]:9001', 'unix:/run/x']) {
    t.equal(formatAddress(parseAddress(text)), text);
  }
  t.ok(isLoopback(parseAddress('127.0.0.2:1')) && isLoopback(parseAddress('[::1]:1')));
  t.notOk(isLoopback(parseAddress('0.0.0.0:1')) || isLoopback(parseAddress('10.0.0.1:1')));
  t.end();
});

t.test('port numbers are the same for agents and for the controller', (t) => {
  t.strictSame(
    { TUNNEL_PORT, TUNNEL_INTERFACE, UPLINK_PORT },
    {
      TUNNEL_PORT: facts.TUNNEL_PORT,
      TUNNEL_INTERFACE: facts.TUNNEL_INTERFACE,
      UPLINK_PORT: facts.UPLINK_PORT,
    },
  );
  t.end();
});

t.test('many peers call the hub, the hub calls and notifies them', async (t) => {
  const { hub, address } = await startHub(t);
  const news: number[] = [];
  const router = addRouter().notification(News, ({ n }) => news.push(n));
  const peers = await Promise.all(Array.from({ length: 20 }, () => enter(t, address, router)));
  await until(() => hub.peers.size === 20, 'connections');
  const sums = await Promise.all(peers.map((peer, i) => peer.call(Add, { a: i, b: 1 })));
  t.strictSame(
    sums,
    peers.map((_, i) => i + 1),
  );
  const back = await Promise.all([...hub.peers].map((peer) => peer.call(Add, { a: 2, b: 2 })));
  t.strictSame(
    back,
    peers.map(() => 4),
  );
  t.equal(hub.fanOut(News, { n: 7, text: 'x' }, hub.peers), 20);
  await until(() => news.length === 20, 'news');
  t.ok(news.every((n) => n === 7));
});

t.test(
  'a peer that does not read delays nobody, gets the last of each key, and is dropped when too far behind',
  async (t) => {
    const down: string[] = [];
    const { hub, address } = await startHub(t, {
      limits: { maxQueueBytes: 4_000_000 },
      onDown: (_, reason) => down.push(reason),
    });
    const received: number[] = [];
    const lively = await enter(
      t,
      address,
      new Router().notification(News, ({ n }) => received.push(n)),
    );
    const dead = connectSocket((address as { port: number }).port, '127.0.0.1');
    t.teardown(() => dead.destroy());
    dead.pause();
    await until(() => hub.peers.size === 2, 'both connections');

    const text = 'x'.repeat(100_000);
    for (let n = 0; n < 100; n++) {
      hub.fanOut(News, { n, text }, hub.peers, 'one key');
      await until(() => received.at(-1) === n, 'the lively peer gets each at once');
    }
    const stuck = [...hub.peers].find((peer) => peer.queuedBytes > 0);
    t.ok(stuck, 'something waits for the dead peer');
    t.ok(
      (stuck?.queuedBytes ?? 0) < 1_000_000,
      'but only the last message of its key beyond what the socket holds',
    );
    t.equal(received.length, 100);
    t.equal(await lively.call(Add, { a: 1, b: 2 }), 3);

    for (let i = 0; i < 60; i++) hub.fanOut(News, { n: i, text }, hub.peers, `key ${i}`);
    await until(() => down.length === 1, 'drop of the dead peer');
    t.match(down[0], /left \d+ bytes unread, more than 4000000/);
    t.equal(hub.peers.size, 1);
    t.equal(await lively.call(Add, { a: 1, b: 3 }), 4);
  },
);

t.test('a peer that reads again after a while gets what it missed, keyed news as the last one', async (t) => {
  const { hub, address } = await startHub(t);
  const received: number[] = [];
  const socket = await connect(address);
  const peer = new Peer(socket, { router: new Router().notification(News, ({ n }) => received.push(n)) });
  t.teardown(() => {
    peer.close('test over');
  });
  await until(() => hub.peers.size === 1, 'connection');
  socket.pause();
  const text = 'x'.repeat(200_000);
  for (let n = 0; n < 100; n++) {
    hub.fanOut(News, { n, text }, hub.peers, 'key');
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.resume();
  await until(() => received.at(-1) === 99, 'the last news');
  t.ok(received.length < 100, `${received.length} of 100 were enough`);
  t.ok(
    received.every((n, i) => i === 0 || n > (received[i - 1] as number)),
    'in order',
  );
});

t.test('a peer that takes nothing for stallMs is dropped even if little waits for it', async (t) => {
  const clock = new ManualClock();
  const down: string[] = [];
  const { hub, address } = await startHub(t, { clock, onDown: (_, reason) => down.push(reason) });
  const dead = connectSocket((address as { port: number }).port, '127.0.0.1');
  t.teardown(() => dead.destroy());
  dead.pause();
  await until(() => hub.peers.size === 1, 'connection');
  const text = 'x'.repeat(8_000_000);
  hub.fanOut(News, { n: 1, text }, hub.peers);
  await until(() => [...hub.peers].some((peer) => peer.queuedBytes > 0), 'queue');
  await new Promise((resolve) => setImmediate(resolve));
  hub.fanOut(News, { n: 2, text: 'little' }, hub.peers);
  clock.advance(30_000);
  t.strictSame(down, ['the peer read nothing for 30000 ms']);
});

t.test('a flooding caller that does not read its answers is not read either', async (t) => {
  const { hub, address } = await startHub(t, {
    router: new Router().request(new RequestType('test.big', Type.Object({}), Type.String()), () =>
      'y'.repeat(100_000),
    ),
  });
  const socket = connectSocket((address as { port: number }).port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.pause();
  const request = '{"jsonrpc":"2.0","id":"a","method":"test.big","params":{}}\n';
  for (let i = 0; i < 5_000; i++) socket.write(request);
  await until(() => [...hub.peers].some((peer) => peer.queuedBytes > 100_000), 'queue');
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  const peer = [...hub.peers][0];
  t.ok(peer, 'the caller is paused, not dropped');
  t.ok((peer?.counters.received ?? 0) < 5_000, `${peer?.counters.received} of 5000 read`);
});

t.test('one connection too many is told so', async (t) => {
  const { hub, address } = await startHub(t, { maxPeers: 1 });
  const first = await enter(t, address);
  await until(() => hub.peers.size === 1, 'connection');
  const second = new RawClient(await connect(address));
  t.match(await second.next(), { id: null, error: { data: { code: 'rpc.full' } } });
  await until(() => second.ended, 'close');
  t.equal(await first.call(Add, { a: 1, b: 1 }), 2);
});

t.test(
  'connections that were refused leave nothing behind, whatever they have sent and never close',
  async (t) => {
    const clock = new ManualClock();
    const { hub, address } = await startHub(t, { maxPeers: 1, clock });
    await enter(t, address);
    await until(() => hub.peers.size === 1, 'connection');
    for (let attempt = 0; attempt < 3; attempt++) {
      // The listener takes two connections at most: one that stays would be in the way of the next.
      const talkative = new RawClient(await connect(address));
      talkative.send('{"jsonrpc":"2.0","id":1,"method":"test.add","params":{"a":1,"b":1}}\n');
      t.match(await talkative.next(), { error: { data: { code: 'rpc.full' } } });
      await until(() => talkative.ended, 'close');
    }
    const { port } = address as { port: number };
    const stubborn = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true });
    t.teardown(() => stubborn.destroy());
    let closed = false;
    stubborn.on('close', () => (closed = true));
    const keepTalking = () => {
      if (!closed) stubborn.write('x', () => setImmediate(keepTalking));
    };
    stubborn.on('error', () => undefined);
    stubborn.once('data', keepTalking);
    await once(stubborn, 'data');
    clock.advance(1_000);
    await until(() => closed, 'the end of one that does not close by itself');
  },
);

t.test('a connection that cannot be accepted is reported, and the next one is', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-rpc-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  for (const where of [loopback, { kind: 'unix', path: join(directory, 'hub.sock') }] as const) {
    const servers = acceptingServers(t);
    const errors: string[] = [];
    const { hub } = await startHub(t, { onListenerError: ({ message }) => void errors.push(message) });
    const address = await hub.listen(where);
    await enter(t, address);
    await until(() => servers.size === 1, 'the connection');
    for (const server of servers) server.emit('error', new Error('accept EMFILE'));
    t.strictSame(errors, ['accept EMFILE']);
    const peer = await enter(t, address);
    t.equal(await peer.call(Add, { a: 1, b: 1 }), 2);
  }
});

t.test('unix sockets: left-over files are replaced, live ones are not', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-rpc-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const address: Address = { kind: 'unix', path: join(directory, 'hub.sock') };
  const hub = new Hub({ router: addRouter() });
  await hub.listen(address);
  t.teardown(() => hub.close(0));
  const peer = await enter(t, address);
  t.equal(await peer.call(Add, { a: 1, b: 1 }), 2);
  const other = new Hub({ router: addRouter() });
  await t.rejects(other.listen(address), { code: 'EADDRINUSE' });
  await hub.close(0);
  t.notOk(existsSync(address.path));

  const stale: Address = { kind: 'unix', path: join(directory, 'stale.sock') };
  const child = createServer();
  await new Promise<void>((resolve) => child.listen(stale.path, resolve));
  // A dead process leaves its file behind: moved away, so that close does not find and unlink it.
  renameSync(stale.path, `${stale.path}.kept`);
  await new Promise<void>((resolve) => child.close(() => resolve()));
  renameSync(`${stale.path}.kept`, stale.path);
  await other.listen(stale);
  t.teardown(() => other.close(0));
  const joined = await enter(t, stale);
  t.equal(await joined.call(Add, { a: 1, b: 5 }), 6);

  const file: Address = { kind: 'unix', path: join(directory, 'file') };
  writeFileSync(file.path, 'not a socket');
  const third = new Hub({ router: addRouter() });
  t.teardown(() => third.close(0));
  await t.rejects(third.listen(file), { code: 'EADDRINUSE' }, 'a file that is no socket is left alone');
});

t.test('close takes nothing new and drains what is there', async (t) => {
  let finish: ((value: number) => void) | undefined;
  const { hub, address } = await startHub(t, {
    router: new Router().request(
      Add,
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    ),
  });
  const peer = await enter(t, address);
  const call = peer.call(Add, { a: 1, b: 1 });
  await until(() => finish !== undefined, 'request');
  const closed = hub.close(60_000);
  await t.rejects(connect(address), { code: 'ECONNREFUSED' });
  finish?.(11);
  t.equal(await call, 11);
  await closed;
  t.equal(hub.peers.size, 0);
});

t.test('drained twice at once, both are told and the earlier deadline holds', async (t) => {
  const clock = new ManualClock();
  let asked = false;
  const { hub, address } = await startHub(t, {
    clock,
    router: new Router().request(Add, () => {
      asked = true;
      return new Promise(() => undefined);
    }),
  });
  const peer = await enter(t, address);
  const call = peer.call(Add, { a: 1, b: 1 });
  await until(() => asked, 'request');
  const drains = [hub.close(5_000), ...[...hub.peers].map((member) => member.drain(1_000))];
  clock.advance(1_000);
  await Promise.all([...drains, t.rejects(call, { code: 'rpc.closed' })]);
});

function startClient(t: Test, options: Partial<ClientOptions> & Pick<ClientOptions, 'addresses'>) {
  const client = new Client({ router: addRouter(), onUp: () => undefined, random: () => 0, ...options });
  t.teardown(() => {
    client.stop();
  });
  client.start();
  return client;
}

t.test('backoff doubles to a limit, with the upper half left to chance', (t) => {
  const low = new Backoff(100, 1000, () => 0);
  const high = new Backoff(100, 1000, () => 1);
  t.strictSame(
    Array.from({ length: 5 }, () => low.next()),
    [50, 100, 200, 400, 500],
  );
  t.strictSame(
    Array.from({ length: 5 }, () => high.next()),
    [100, 200, 400, 800, 1000],
  );
  low.reset();
  t.equal(low.next(), 50);
  t.end();
});

t.test('a client reconnects, tries every address, and registers anew on each connection', async (t) => {
  const clock = new ManualClock();
  const first = new Hub({ router: addRouter() });
  const address = await first.listen(loopback);
  const unused = new Hub({ router: addRouter() });
  const dead = await unused.listen(loopback);
  await unused.close(0);

  const downs: [string, number][] = [];
  let registrations = 0;
  const client = startClient(t, {
    addresses: [dead, address],
    clock,
    onUp: async (peer) => {
      await peer.call(Add, { a: 1, b: 1 });
      registrations += 1;
    },
    onDown: (reason, ms) => downs.push([reason, ms]),
  });
  await until(() => downs.length === 1, 'refused connection');
  t.match(downs[0], [/cannot connect to 127\.0\.0\.1:\d+: connect ECONNREFUSED/, 50]);
  clock.advance(50);
  await until(() => client.peer !== undefined, 'second address');
  t.equal(registrations, 1);

  await first.close(0);
  await until(() => downs.length === 2, 'loss');
  t.equal(client.peer, undefined);
  t.equal(downs[1]?.[1], 50, 'waiting times begin anew after a success');
  const second = new Hub({ router: addRouter() });
  t.teardown(() => second.close(0));
  await second.listen(address);
  clock.advance(50);
  await until(() => downs.length === 3, 'the dead address again');
  clock.advance(100);
  await until(() => client.peer !== undefined, 'reconnect');
  t.equal(registrations, 2);
});

t.test('a client whose registration is refused tries again, later each time; stop ends it', async (t) => {
  const clock = new ManualClock();
  const { address, hub } = await startHub(t);
  const downs: [string, number][] = [];
  const client = startClient(t, {
    addresses: [address],
    clock,
    onUp: () => Promise.reject(new Error('host h1 is taken')),
    onDown: (reason, ms) => downs.push([reason, ms]),
  });
  await until(() => downs.length === 1, 'refusal');
  clock.advance(50);
  await until(() => downs.length === 2, 'second refusal');
  t.strictSame(downs, [
    ['host h1 is taken', 50],
    ['host h1 is taken', 100],
  ]);
  client.stop();
  clock.advance(60_000);
  await until(() => hub.peers.size === 0, 'no connection is left');
  t.equal(downs.length, 2);
});
