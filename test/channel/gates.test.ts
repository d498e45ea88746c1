import fc from 'fast-check';
import t from 'tap';
import { Connection } from '../../controller/channel/connection.js';
import { Liveness } from '../../controller/channel/liveness.js';
import { Numbering } from '../../controller/channel/numbering.js';
import { PacketInGate } from '../../controller/channel/packet-in-gate.js';
import { ReadGate } from '../../controller/channel/read-gate.js';
import { TokenBucket } from '../../controller/channel/token-bucket.js';
import { Requests } from '../../controller/channel/requests.js';
import { TransactionQueue } from '../../controller/channel/transactions.js';
import { TurnEncoder } from '../../controller/channel/turn-encoder.js';
import { withDefaults } from '../../controller/channel/options.js';
import { socketPair } from '../rpc/support.js';
import { waitFor } from '../support/wait-for.js';

t.test('numbering: ranges never overlap and never wrap, xid 0 is never given', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 50 }), (counts) => {
      const numbering = new Numbering({ xid: 0xffff_ffff - 300 });
      const given = new Set<number>();
      for (const count of counts) {
        const first = numbering.xids(count);
        for (let xid = first; xid < first + count; xid++) {
          if (xid < 1 || xid > 0xffff_ffff || given.has(xid)) return false;
          given.add(xid);
        }
      }
      return true;
    }),
  );
  const last = new Numbering({ xid: 0xffff_ffff, bundleId: 0xffff_ffff });
  t.equal(last.xid(), 0xffff_ffff);
  t.equal(last.xid(), 1);
  t.equal(last.bundleId(), 0xffff_ffff);
  t.equal(last.bundleId(), 1);
  t.throws(() => last.xids(0), /count must be an integer/);
  t.end();
});

t.test('token bucket: at most burst + rate * time pass, and no fewer are lost', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 200 }),
      (perSecond, burst, gaps) => {
        const bucket = new TokenBucket({ perSecond, burst }, 0);
        let now = 0;
        let taken = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now)) taken += 1;
        }
        return taken <= burst + (perSecond * now) / 1000 + 1e-6;
      },
    ),
  );
  const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 0);
  const takes = [0, 0, 99, 100, 100].map((now) => bucket.take(now));
  t.strictSame(takes, [true, true, false, true, false]);
  bucket.giveBack();
  t.ok(bucket.take(100), 'a token given back can be taken again');
  const unlimited = new TokenBucket({ perSecond: Infinity, burst: 1 }, 0);
  t.ok([...Array(1000)].every(() => unlimited.take(0)));
  t.end();
});

t.test('packet-in gate: a noisy port does not use up what other ports may send', (t) => {
  const gate = new PacketInGate(
    { perSwitch: { perSecond: 100, burst: 10 }, perPort: { perSecond: 10, burst: 3 } },
    0,
  );
  const noisy = Array.from({ length: 20 }, () => gate.judge(1, false, 0));
  t.equal(noisy.filter((verdict) => verdict === 'deliver').length, 3);
  t.equal(gate.judge(2, false, 0), 'deliver');
  for (let port = 3; port < 10; port++) gate.judge(port, false, 0);
  t.equal(gate.judge(11, false, 0), 'over-switch-rate');
  t.equal(gate.judge(2, true, 0), 'shed');
  t.strictSame(gate.counters, { delivered: 10, overSwitchRate: 2, overPortRate: 17, shed: 1 });
  gate.forgetPort(1);
  t.equal(gate.judge(1, false, 1000), 'deliver');
  t.end();
});

t.test('read gate: stops reading while somebody is behind, but not for longer than the limit', async (t) => {
  const calls: string[] = [];
  const gate = new ReadGate({ pause: () => calls.push('pause'), resume: () => calls.push('resume') }, 20);
  gate.hold('peer');
  gate.hold('consumer');
  gate.release('peer');
  t.strictSame(calls, ['pause'], 'held once however many reasons');
  gate.release('consumer');
  t.strictSame(calls, ['pause', 'resume']);
  t.notOk(gate.overtime);

  gate.hold('consumer');
  await waitFor('the limit passes', () => gate.overtime);
  t.strictSame(calls, ['pause', 'resume', 'pause', 'resume'], 'reading goes on, what has no end is shed');
  gate.release('consumer');
  t.notOk(gate.overtime);
  t.equal(calls.length, 4, 'no second resume');
  t.equal(gate.pauses, 2);
});

t.test('liveness: asks after silence, gives up after the tolerance, hears any message', async (t) => {
  let heardAt = performance.now();
  let asked = 0;
  let answering = true;
  let silentMs: number | undefined;
  const liveness = new Liveness({
    intervalMs: 15,
    toleranceMs: 15,
    heardAt: () => heardAt,
    ask: () => {
      asked += 1;
      if (answering) heardAt = performance.now();
    },
    dead: (ms) => {
      silentMs = ms;
    },
  });
  t.teardown(() => liveness.stop());
  await waitFor('three questions', () => asked >= 3);
  t.equal(silentMs, undefined, 'a peer that answers lives');
  answering = false;
  await waitFor('death', () => silentMs !== undefined);
  t.ok((silentMs ?? 0) >= 15);
});

t.test('liveness: a stalled event loop of ours is not held against the peer', async (t) => {
  let heardAt = performance.now();
  let dead = false;
  let asked = 0;
  const stall = (): void => {
    const until = performance.now() + 40;
    while (performance.now() < until);
    // The answer came meanwhile; it is read in the turn after the timers, which are late as well.
    setImmediate(() => {
      heardAt = performance.now();
    });
  };
  const liveness = new Liveness({
    intervalMs: 10,
    toleranceMs: 10,
    heardAt: () => heardAt,
    ask: () => {
      asked += 1;
      if (asked === 1) setTimeout(stall, 1);
      else heardAt = performance.now();
    },
    dead: () => {
      dead = true;
    },
  });
  t.teardown(() => liveness.stop());
  await waitFor('questions after the stall', () => asked >= 3 || dead);
  t.notOk(dead);
});

t.test('a switch that stops answering is found out, whatever it is sent meanwhile', async (t) => {
  let stuck: string | undefined;
  const queue = new TransactionQueue(
    { write: () => true, congested: false },
    { bundles: true, timeoutMs: 250, stuck: (what) => (stuck ??= what) },
  );
  const numbering = new Numbering();
  const submit = () => queue.submit(new TurnEncoder(numbering).transaction({ chunks: [] }));
  const submitted = [submit()];
  const more = setInterval(() => submitted.push(submit()), 5);
  t.teardown(() => clearInterval(more));
  await waitFor('the watchdog', () => stuck !== undefined, 3_000);
  t.match(stuck, /transaction of bundle 1 made no progress for 250 ms while finishing/);
  clearInterval(more);
  queue.close('over');
  const outcomes = await Promise.allSettled(submitted);
  t.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.code === 'switch.closed'));
});

t.test('a request whose sending ends the connection is rejected at once', async (t) => {
  const requests = new Requests(10);
  const answer = requests.expect(1, {
    what: 'test',
    timeoutMs: 60_000,
    accept: () => true,
    send: () => requests.close('the switch does not read'),
  });
  await t.rejects(answer, { code: 'switch.closed', message: /does not read/ });
  t.equal(requests.size, 0);
});

t.test('a peer that ends its side and leaves ours unread does not keep the socket', async (t) => {
  const [client, server] = await socketPair({ allowHalfOpen: true });
  t.teardown(() => client.destroy());
  let reason: string | undefined;
  const receiver = { message: () => {}, malformed: () => {}, drained: () => {}, closed: () => {} };
  const connection = new Connection(server, withDefaults({}), receiver, (why) => (reason = why));
  client.pause();
  connection.write(new Uint8Array(16 << 20));
  client.end();
  await waitFor('the end', () => reason !== undefined);
  t.equal(reason, 'closed by the switch');
  await waitFor('the socket is closed', () => server.destroyed, 5_000);
});
