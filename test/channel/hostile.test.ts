/** What goes wrong on the wire: wrong versions, silence, floods, garbage, two of the same. */
import fc from 'fast-check';
import t from 'tap';
import type { Test } from 'tap';
import type { ChannelOptions, SwitchSession } from '../../controller/channel/index.js';
import { ChannelListener } from '../../controller/channel/index.js';
import type { ErrorMessage, Message, PacketIn } from '../../ofproto/index.js';
import {
  BadRequestCode,
  ErrorType,
  encode,
  F,
  HelloFailedCode,
  NO_BUFFER,
  output,
  oxm,
  packetOut,
} from '../../ofproto/index.js';
import { EmulatedFleet, EmulatedSwitch } from '../../topologies/emulated/index.js';
import { waitFor } from '../support/wait-for.js';
import { ScriptedPeer } from './peer.js';

async function startListener(t: Test, options: Partial<ChannelOptions> = {}) {
  const listener = new ChannelListener({ host: '127.0.0.1', port: 0, ...options });
  const { port } = await listener.listen();
  t.teardown(() => listener.close());
  const downs: string[] = [];
  listener.onDown((_session, reason) => downs.push(reason));
  return { listener, port, downs, controller: { host: '127.0.0.1', port } };
}

const sessionOf = (listener: ChannelListener, datapathId: string): Promise<SwitchSession> =>
  waitFor(`session of ${datapathId}`, () => listener.sessions.get(datapathId));

const ONE = '0000000000000001';
const textOf = ({ data }: ErrorMessage): string => new TextDecoder().decode(data);

const packetIn = (inPort: number, length = 64): PacketIn => ({
  type: 'packet_in',
  xid: 0,
  bufferId: NO_BUFFER,
  totalLength: length,
  reason: 1,
  tableId: 0,
  cookie: 0n,
  match: [oxm(F.in_port, inPort)],
  data: new Uint8Array(length),
});

t.test('hello', async (t) => {
  const { listener, port } = await startListener(t, { handshakeTimeoutMs: 500 });

  await t.test('ours carries a version bitmap', async (t) => {
    const peer = await ScriptedPeer.connect(port);
    t.match(await peer.next('hello'), { version: 4, versions: [4] });
    await peer.end();
  });

  for (const [what, hello] of [
    ['OpenFlow 1.0 without a bitmap', { version: 1 }],
    ['1.0 and 1.4 but not 1.3', { version: 5, versions: [1, 5] }],
  ] as const) {
    await t.test(`${what} is told that it is incompatible, in words`, async (t) => {
      const peer = await ScriptedPeer.connect(port);
      const bytes: Uint8Array[] = [];
      peer.socket.on('data', (chunk: Buffer) => bytes.push(chunk));
      peer.send({ type: 'hello', xid: 1, ...hello });
      await waitFor('closed', () => peer.closed);
      const all = Buffer.concat(bytes);
      const error = all.subarray(all.readUInt16BE(2));
      t.equal(error[0], Math.min(hello.version, 4), 'in a version that it reads');
      t.strictSame(
        [error[1], error.readUInt16BE(8), error.readUInt16BE(10)],
        [1, ErrorType.HELLO_FAILED, HelloFailedCode.INCOMPATIBLE],
      );
      t.match(error.subarray(12).toString(), /OpenFlow 1\.3 .*protocols=OpenFlow13/);
    });
  }

  await t.test(
    'a higher version without a bitmap falls to 1.3, and so does a bitmap with 1.3 in it',
    async (t) => {
      for (const hello of [{ version: 6 }, { version: 5, versions: [1, 4, 5] }]) {
        const peer = await ScriptedPeer.connect(port);
        peer.send({ type: 'hello', xid: 1, ...hello });
        t.ok(await peer.next('features_request'));
        await peer.end();
      }
    },
  );

  await t.test('something else first', async (t) => {
    const peer = await ScriptedPeer.connect(port);
    peer.send(packetIn(1));
    const error = await peer.next('error');
    t.match(error, { errorType: ErrorType.BAD_REQUEST, code: BadRequestCode.BAD_TYPE });
    t.match(textOf(error), /packet_in came before hello/);
    await waitFor('closed', () => peer.closed);
  });

  await t.test('nothing, or a handshake that stops half way: closed in time', async (t) => {
    const silent = await ScriptedPeer.connect(port);
    const halfway = await ScriptedPeer.connect(port);
    halfway.hello();
    await halfway.features(5n);
    await halfway.next('multipart_request');
    await waitFor('both closed', () => silent.closed && halfway.closed);
    t.equal(listener.sessions.size, 0);
    await waitFor('no handshakes left', () => listener.counters.handshakes === 0);
  });

  await t.test('a port description of another kind is not believed', async (t) => {
    const peer = await ScriptedPeer.connect(port);
    peer.hello();
    await peer.features(6n);
    const { xid } = await peer.next('multipart_request');
    const texts = { manufacturer: '', hardware: '', software: '', serialNumber: '', datapath: '' };
    peer.send({ type: 'multipart_reply', xid, more: false, multipartType: 'desc', body: texts });
    await waitFor('closed', () => peer.closed);
    t.notOk(listener.sessions.has('0000000000000006'));
  });

  await t.test('auxiliary connections are refused', async (t) => {
    const peer = await ScriptedPeer.connect(port);
    peer.hello();
    await peer.features(1n, 3);
    const error = await peer.next('error');
    t.match(error, { errorType: ErrorType.HELLO_FAILED, code: HelloFailedCode.EPERM });
    t.match(textOf(error), /auxiliary/);
    await waitFor('closed', () => peer.closed);
  });
});

t.test('two with the same datapath id', async (t) => {
  const { listener, port, controller, downs } = await startListener(t, { duplicateProbeMs: 50 });
  const first = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => first.stop());
  const session = await sessionOf(listener, ONE);

  await t.test('the first answers: the second is refused', async (t) => {
    const second = await ScriptedPeer.connect(port);
    second.hello();
    await second.features(1n);
    const error = await second.next('error');
    t.match(error, { errorType: ErrorType.HELLO_FAILED, code: HelloFailedCode.EPERM });
    t.match(textOf(error), /datapath id 0000000000000001 is in use by 127\.0\.0\.1:\d+, which answers/);
    await waitFor('closed', () => second.closed);
    t.equal(listener.sessions.get(ONE), session);
    t.equal(listener.counters.duplicates, 1);
  });

  await t.test('the first answers while we stand still: the second is refused', async (t) => {
    const stop = first.onMessage(({ type }) => {
      if (type !== 'echo_request') return;
      const until = performance.now() + 100;
      while (performance.now() < until);
    });
    const second = await ScriptedPeer.connect(port);
    second.hello();
    await second.features(1n);
    await second.next('error');
    stop();
    t.equal(listener.sessions.get(ONE), session);
    await second.end();
  });

  await t.test('the first is silent: the second takes its place', async (t) => {
    first.freeze();
    const second = await EmulatedSwitch.connect({ controller, datapathId: ONE });
    t.teardown(() => second.stop());
    const successor = await waitFor('successor', () => {
      const now = listener.sessions.get(ONE);
      return now !== session ? now : undefined;
    });
    t.ok(successor.open);
    t.notOk(session.open);
    t.match(downs, [/replaced by 127\.0\.0\.1:\d+: no answer/]);
  });

  await t.test('both at once: one of them', async (t) => {
    const ups = new Set<SwitchSession>();
    t.teardown(listener.onUp((session) => ups.add(session)));
    const twins = await Promise.all(
      [0, 1].map(() => EmulatedSwitch.connect({ controller, datapathId: '00000000000000ff' })),
    );
    for (const twin of twins) t.teardown(() => twin.stop());
    await waitFor('one refused', () => listener.counters.duplicates === 3 && ups.size === 1);
    await waitFor('one left', () => twins.filter(({ connected }) => connected).length === 1);
    t.ok(listener.sessions.get('00000000000000ff')?.open);
  });
});

t.test('echo: a peer that stops answering is closed, one that answers is not', async (t) => {
  const { listener, controller, downs } = await startListener(t, { echoIntervalMs: 20, echoToleranceMs: 40 });
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const session = await sessionOf(listener, ONE);
  await waitFor('a round trip', () => session.roundTripMs !== undefined);
  t.ok(session.open);
  emulated.freeze();
  await waitFor('down', () => downs.length === 1);
  t.match(downs[0], /no answer to an echo request, silent for \d+ ms/);
});

t.test('bounds of the listener', async (t) => {
  await t.test('connections', async (t) => {
    const { listener, port, controller } = await startListener(t, { maxConnections: 3 });
    const fleet = await EmulatedFleet.start({ count: 3, controller });
    t.teardown(() => fleet.stop());
    await waitFor('3 sessions', () => listener.sessions.size === 3);
    const fourth = await ScriptedPeer.connect(port);
    await waitFor('closed', () => fourth.closed);
    t.equal(listener.counters.overLimit, 1);
    await fleet.switches[0]!.stop();
    await waitFor('2 sessions', () => listener.sessions.size === 2);
    const fifth = await ScriptedPeer.connect(port);
    t.ok(await fifth.next('hello'), 'there is room again');
    await fifth.end();
  });

  await t.test('handshakes', async (t) => {
    const { listener, port } = await startListener(t, { maxHandshakes: 2 });
    const peers = [await ScriptedPeer.connect(port), await ScriptedPeer.connect(port)];
    await waitFor('2 handshakes', () => listener.counters.handshakes === 2);
    const third = await ScriptedPeer.connect(port);
    await waitFor('closed', () => third.closed);
    for (const peer of peers) await peer.end();
  });
});

t.test('malformed messages are answered, counted and skipped', async (t) => {
  const { listener, controller, downs } = await startListener(t, { maxMalformed: 3 });
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const session = await sessionOf(listener, ONE);
  const errors: ErrorMessage[] = [];
  emulated.onMessage((message) => {
    if (message.type === 'error') errors.push(message);
  });
  // A packet-in that ends in the middle of its fixed part.
  const broken = Uint8Array.from([4, 10, 0, 12, 0, 0, 0, 77, 1, 2, 3, 4]);
  emulated.sendBytes(broken);
  await waitFor('an error', () => errors.length === 1);
  t.match(errors[0], { xid: 77, errorType: ErrorType.BAD_REQUEST, code: BadRequestCode.BAD_LEN });
  t.strictSame(Buffer.from(errors[0]!.data).subarray(0, 12), Buffer.from(broken));
  t.equal(session.counters.malformed, 1);
  const reply = session.request({ type: 'get_config_request', xid: session.xid() });
  t.equal((await reply).type, 'get_config_reply', 'the session goes on');

  emulated.send({ type: 'features_request', xid: 88 });
  await waitFor('another error', () => errors.length === 2);
  t.match(errors[1], { xid: 88, errorType: ErrorType.BAD_REQUEST, code: BadRequestCode.BAD_TYPE });

  for (let i = 0; i < 3; i++) emulated.sendBytes(broken);
  await waitFor('down', () => downs.length === 1);
  t.match(downs[0], /malformed/);
});

t.test('a broken frame, or another version, ends the connection, and only that', async (t) => {
  const { listener, controller, downs } = await startListener(t);
  const fleet = await EmulatedFleet.start({ count: 3, controller });
  t.teardown(() => fleet.stop());
  await waitFor('3 sessions', () => listener.sessions.size === 3);
  fleet.switches[0]!.sendBytes(Uint8Array.from([4, 0, 0, 3, 0, 0, 0, 0]));
  fleet.switches[1]!.sendBytes(Uint8Array.from([1, 10, 0, 8, 0, 0, 0, 99]));
  await waitFor('two are down', () => downs.length === 2);
  t.match(downs.sort(), [/the header says 3 bytes/, /version 1/]);
  t.equal(listener.sessions.size, 1);
});

t.test('random bytes: no crash, and the next switch comes up', async (t) => {
  const { listener, port, controller } = await startListener(t);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.boolean(), async (bytes, greet) => {
      const peer = await ScriptedPeer.connect(port);
      if (greet) peer.hello();
      peer.sendBytes(bytes);
      await new Promise<void>((resolve) => {
        peer.socket.end(() => resolve());
      });
      await peer.end();
    }),
    { numRuns: 100 },
  );
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  t.ok(await sessionOf(listener, ONE));
});

t.test('errors that answer nothing are told', async (t) => {
  const { listener, controller } = await startListener(t);
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const session = await sessionOf(listener, ONE);
  const errors: ErrorMessage[] = [];
  listener.onError((_session, error) => errors.push(error));
  emulated.send({ type: 'error', xid: 0xdead, errorType: 5, code: 1, data: new Uint8Array(0) });
  await waitFor('told', () => errors.length === 1);
  t.match(errors[0], { xid: 0xdead, errorType: 5, code: 1 });
  t.equal(session.counters.unsolicitedErrors, 1);
});

t.test('handlers that throw or reject hurt nobody', async (t) => {
  const failures: unknown[] = [];
  const ignore = () => {};
  const logger = {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields: object) => failures.push(fields),
  };
  const { listener, controller } = await startListener(t, { logger });
  let delivered = 0;
  listener.onPacketIn(() => {
    throw new Error('synchronous');
  });
  listener.onPacketIn(() => Promise.reject(new Error('asynchronous')));
  listener.onPacketIn(() => {
    delivered += 1;
  });
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  await sessionOf(listener, ONE);
  emulated.send(packetIn(1));
  emulated.send(packetIn(1));
  await waitFor('both delivered and four failures', () => delivered === 2 && failures.length === 4);
  t.ok(listener.sessions.get(ONE)?.open);
});

t.test('packet-ins are limited per switch and per port, and counted', async (t) => {
  const packetInRate = { perSwitch: { perSecond: 1, burst: 50 }, perPort: { perSecond: 1, burst: 10 } };
  const { listener, controller } = await startListener(t, { packetInRate });
  const ports: number[] = [];
  listener.onPacketIn((_session, message) => {
    if (message.type === 'packet_in') ports.push(Number(message.match[0]?.value));
  });
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const session = await sessionOf(listener, ONE);
  for (let i = 0; i < 100; i++) emulated.send(packetIn(1));
  emulated.send(packetIn(2));
  await waitFor('the quiet port is heard', () => ports.includes(2));
  t.equal(ports.filter((port) => port === 1).length, 10);
  t.match(session.counters.packetIns, { delivered: 11, overPortRate: 90, overSwitchRate: 0 });
});

t.test('packet-ins are intercepted within the same limits, one by one', async (t) => {
  const packetInRate = { perSwitch: { perSecond: 1, burst: 50 }, perPort: { perSecond: 1, burst: 10 } };
  const { listener, controller } = await startListener(t, { packetInRate });
  const told: number[] = [];
  const seen: number[] = [];
  listener.onPacketIn((_session, message) => {
    if (message.type === 'packet_in') told.push(Number(message.match[0]?.value));
  });
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const answers: Message[] = [];
  emulated.onMessage((message) => answers.push(message));
  const session = await sessionOf(listener, ONE);
  const head = encode(packetOut({ inPort: 1, actions: [output(7)] })).slice();
  session.interceptPacketIns(({ inPort, bytes, frameStart, frameEnd }) => {
    seen.push(inPort);
    if (inPort === 1) session.sendPacketOut(head, bytes, frameStart, frameEnd);
    return inPort === 1;
  });
  for (let i = 0; i < 100; i++) emulated.send(packetIn(1));
  emulated.send(packetIn(2));
  await waitFor('what was left to others', () => told.length > 0);
  t.same(told, [2]);
  t.same(seen, [...Array<number>(10).fill(1), 2]);
  t.match(session.counters.packetIns, { delivered: 11, overPortRate: 90, overSwitchRate: 0 });
  const packetOuts = await waitFor('answers', () => {
    const found = answers.filter(({ type }) => type === 'packet_out');
    return found.length === 10 && found;
  });
  t.match(packetOuts[0], { inPort: 1, actions: [{ type: 'output', port: 7 }], data: packetIn(1).data });
  session.interceptPacketIns(() => {
    throw new Error('a fault');
  });
  emulated.send(packetIn(3));
  await waitFor('the end of the connection', () => !session.open);
});

const UNLIMITED = {
  perSwitch: { perSecond: Infinity, burst: 1 },
  perPort: { perSecond: Infinity, burst: 1 },
};

t.test(
  'a consumer that is behind stops reading, then packets are shed, and answers still come',
  async (t) => {
    const { listener, controller } = await startListener(t, {
      packetInRate: UNLIMITED,
      maxPacketInsInProgress: 10,
      readPauseLimitMs: 30,
    });
    let finish: () => void = () => {};
    const blocked = new Promise<void>((resolve) => {
      finish = resolve;
    });
    listener.onPacketIn(() => blocked);
    const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
    t.teardown(() => emulated.stop());
    const session = await sessionOf(listener, ONE);
    for (let i = 0; i < 20; i++) emulated.send(packetIn(1));
    await waitFor('reading stopped', () => session.counters.readPauses === 1);
    // While handlers are behind, what they may be waiting for must still arrive.
    const reply = await session.request({ type: 'get_config_request', xid: session.xid() });
    t.equal(reply.type, 'get_config_reply');
    emulated.send(packetIn(1));
    await waitFor('shed', () => session.counters.packetIns.shed > 0);
    finish();
    const { delivered } = session.counters.packetIns;
    await waitFor('delivered again', () => {
      emulated.send(packetIn(1));
      return session.counters.packetIns.delivered > delivered;
    });
  },
);

t.test(
  'a peer that does not read: send says so, reading pauses, and at the limit it is closed',
  async (t) => {
    const { listener, controller, downs } = await startListener(t, {
      writeHighWaterMark: 256 << 10,
      writeLimit: 8 << 20,
      readPauseLimitMs: 20,
    });
    const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
    t.teardown(() => emulated.stop());
    const session = await sessionOf(listener, ONE);
    const filler = () =>
      ({
        type: 'packet_out',
        xid: session.xid(),
        bufferId: NO_BUFFER,
        inPort: 1,
        actions: [],
        data: new Uint8Array(32 << 10),
      }) as const;
    emulated.freeze();
    let sent = 0;
    while (session.send(filler())) {
      sent += 1;
      if (sent % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(session.counters.readPauses, 1);
    emulated.thaw();
    await session.writable();
    t.ok(session.send(filler()), 'it reads again, and so may be written to');

    emulated.freeze();
    const writable = (async () => {
      for (;;) {
        while (session.send(filler()));
        await session.writable();
      }
    })();
    const rejected = t.rejects(writable, { code: 'switch.closed' });
    while (session.open) {
      session.send(filler());
      await new Promise((resolve) => setImmediate(resolve));
    }
    await rejected;
    t.match(downs, [/does not read/]);
  },
);

t.test('messages in one turn are one write, in order', async (t) => {
  const { listener, controller } = await startListener(t);
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: ONE });
  t.teardown(() => emulated.stop());
  const session = await sessionOf(listener, ONE);
  const xids: number[] = [];
  emulated.onMessage(({ xid }) => xids.push(xid));
  const sent = Array.from({ length: 500 }, () => session.xid());
  for (const xid of sent) session.send({ type: 'barrier_request', xid });
  await waitFor('500 messages', () => xids.length === 500);
  t.strictSame(xids, sent);
});

t.test('closing the listener closes the sessions', async (t) => {
  const { listener, controller, downs } = await startListener(t);
  const fleet = await EmulatedFleet.start({ count: 3, controller });
  t.teardown(() => fleet.stop());
  await waitFor('3 sessions', () => listener.sessions.size === 3);
  await listener.close();
  t.strictSame(downs, Array(3).fill('the controller is shutting down'));
  await waitFor('switches see it', () => fleet.switches.every(({ connected }) => !connected));
});
