// What becomes of packets that policy sends to the controller, and of counters: names, feed, answers, sums. No sockets.
import t from 'tap';
import { Origin, R, T } from '../../apps/pipeline.js';
import { encodePunt, type Punt } from '../../apps/policy/punt.js';
import { packetLine } from '../../cli/commands/packets.js';
import type { EntryOwner } from '../../controller/datapath/index.js';
import { createLog } from '../../controller/log.js';
import type { FactChange } from '../../controller/model/facts.js';
import { PacketFeed } from '../../controller/punt/feed.js';
import { Names } from '../../controller/punt/names.js';
import { Punts, type PuntingSwitch } from '../../controller/punt/punts.js';
import { type Reading, RuleBook } from '../../controller/punt/rule-book.js';
import { RuleMetrics } from '../../controller/punt/rule-metrics.js';
import type { PacketEvent } from '../../controller/punt/types.js';
import {
  CtState,
  F,
  type Match,
  type Message,
  type NxPacketIn2,
  oxm,
  type PortDescription,
} from '../../ofproto/index.js';
import { icmpv6Frame, udpFrame } from '../support/frames.js';
import { waitFor } from '../support/wait-for.js';

const A = { mac: 0x02020a010101, ip: 0x0a010101 };
const B = { mac: 0x02020a010102, ip: 0x0a010102 };
const LINK_LOCAL_A = 0xfe80_0000_0000_0000_0002_0aff_fe01_0101n;

const facts: FactChange[] = [
  { kind: 'tenant', key: 'acme', value: { name: 'acme', number: 3 } },
  {
    kind: 'network',
    key: 'acme/web',
    value: {
      id: 'acme/web',
      tenant: 'acme',
      name: 'web',
      number: 7,
      encapsulation: 'vxlan',
      tag: 9,
      uplinkHandOff: false,
    },
  },
  {
    kind: 'host',
    key: 'h1',
    value: { name: 'h1', number: 1, datapathId: '0000000000000001' },
  },
  {
    kind: 'endpoint',
    key: 'acme/web/a',
    value: {
      id: 'acme/web/a',
      network: 'acme/web',
      name: 'a',
      number: 11,
      mac: A.mac,
      ipv4: [A.ip],
      ipv6: [],
      host: 'h1',
      interface: 'veth-a',
      generation: 1,
    },
  },
  {
    kind: 'endpoint',
    key: 'acme/web/b',
    value: {
      id: 'acme/web/b',
      network: 'acme/web',
      name: 'b',
      number: 12,
      mac: B.mac,
      ipv4: [B.ip],
      ipv6: [],
      generation: 0,
    },
  },
  {
    kind: 'policy',
    key: 'acme/p',
    value: { id: 'acme/p', tenant: 'acme', name: 'p', number: 5, tier: 10 },
  },
  {
    kind: 'rule',
    key: 'acme/p/r',
    value: {
      id: 'acme/p/r',
      policy: 'acme/p',
      name: 'r',
      number: 21,
      direction: 'in',
      priority: 1,
      position: 0,
      action: 'reject',
      log: true,
      stateless: false,
      peers: [],
      services: [],
    },
  },
];

const udp = (port = 80): Uint8Array =>
  udpFrame(
    { source: A.mac, destination: B.mac },
    { sourceIp: A.ip, destinationIp: B.ip, sourcePort: 4000, destinationPort: port },
  );

const metadata = (origin: number, more: Match = []): Match => [
  oxm(F.reg0, 7 + origin * 2 ** R.origin.offset),
  oxm(F.in_port, 4),
  oxm(F.ct_state, CtState.TRACKED | CtState.NEW),
  ...more,
];

function packetIn(punt: Punt, packet: Uint8Array, match = metadata(Origin.local)): NxPacketIn2 {
  return {
    type: 'nx_packet_in2',
    xid: 0,
    packet: packet.subarray(0, 128),
    fullLength: packet.length,
    metadata: match,
    userdata: encodePunt(punt),
  };
}

/** By cookie. */
const OWNERS = new Map<bigint, EntryOwner>([
  [1n, { rule: 'policy.verdicts', object: { kind: 'rule', number: 21 } }],
  [2n, { rule: 'policy.policy defaults', object: { kind: 'policy', number: 5 } }],
  [3n, { rule: 'bridge.local', object: { kind: 'endpoint', number: 21 } }],
]);

function rig() {
  const names = new Names();
  names.apply(facts);
  const events: PacketEvent[] = [];
  const sent: Message[] = [];
  const now = 0;
  let lost = 0;
  const punts = new Punts({
    names,
    ownerOf: (cookie) => OWNERS.get(cookie),
    logger: createLog({ level: 'silent' }).component('policy'),
    publish: (event) => void events.push(event),
    lost: (packets) => {
      lost += packets;
    },
    now: () => now,
  });
  const session: PuntingSwitch = {
    datapathId: '0000000000000001',
    ports: new Map([[4, { portNo: 4, name: 'veth-a' } as PortDescription]]),
    open: true,
    xid: () => 77,
    send: (message) => sent.push(message) > 0,
  };
  const metric = (name: string, labels: Record<string, string>): number | undefined =>
    punts
      .metrics()
      .find((family) => family.name === name)
      ?.samples.find((sample) =>
        Object.entries(labels).every(([key, value]) => sample.labels?.[key] === value),
      )?.value;
  return { names, events, sent, punts, session, metric, lost: () => lost };
}

const byRule: Punt = { verdict: 'deny', direction: 'in', decider: { kind: 'rule', number: 21 } };

t.test('a packet is told of with names', async (t) => {
  const { events, sent, punts, session } = rig();
  punts.packetIn(session, packetIn(byRule, udp()));
  t.match(events, [
    {
      count: 1,
      verdict: 'deny',
      direction: 'in',
      rule: 'acme/p/r',
      policy: 'acme/p',
      tenant: 'acme',
      network: 'acme/web',
      source: { endpoint: 'acme/web/a', address: '10.1.1.1', mac: '02:02:0a:01:01:01', port: 4000 },
      destination: { endpoint: 'acme/web/b', address: '10.1.1.2', port: 80 },
      protocol: 'udp',
      host: 'h1',
      length: 42,
    },
  ]);
  t.equal(sent.length, 0, 'a denied packet is not answered');
  t.match(
    packetLine(events[0] as PacketEvent),
    /Z {2}deny {3}in {3}udp {2}acme\/web\/a 10\.1\.1\.1:4000 -> acme\/web\/b 10\.1\.1\.2:80 {2}by acme\/p\/r on h1$/,
  );
  punts.packetIn(session, {
    ...packetIn(byRule, udp()),
    userdata: Uint8Array.of(1, 2, 3),
  });
  t.equal(events.length, 1, 'packets that are not policy’s are left alone');
});

t.test('defaults, deleted rules, answers, strangers', async (t) => {
  const { events, names, punts, session } = rig();
  const strange = icmpv6Frame(
    { source: A.mac, destination: B.mac },
    { sourceIp: LINK_LOCAL_A, destinationIp: 0xfd00n << 112n, type: 128, body: new Uint8Array(4) },
  );
  const reply = oxm(F.ct_state, CtState.TRACKED | CtState.ESTABLISHED | CtState.REPLY);
  const fromTunnel: Match = [oxm(F.reg0, 7 + Origin.tunnel * 2 ** R.origin.offset), reply];
  punts.packetIn(
    session,
    packetIn({ ...byRule, decider: { kind: 'policy', number: 5 } }, strange, fromTunnel),
  );
  punts.packetIn(session, packetIn({ ...byRule, decider: { kind: 'tenant', number: 3 } }, udp()));
  names.apply([{ kind: 'rule', key: 'acme/p/r' }]);
  punts.packetIn(session, packetIn({ ...byRule, verdict: 'allow' }, udp()));
  t.match(events, [
    {
      default: 'policy',
      policy: 'acme/p',
      protocol: 'icmpv6',
      icmp: { type: 128, code: 0 },
      source: { endpoint: 'acme/web/a', address: 'fe80::2:aff:fe01:101' },
      destination: { address: 'fd00::' },
      answer: true,
    },
    { default: 'tenant', tenant: 'acme' },
    { verdict: 'allow', rule: '#21', tenant: 'acme' },
  ]);
  t.equal(events[0]?.destination.endpoint, undefined);
  t.match(events.map(packetLine), [
    /icmpv6 type 128 code 0 \(answer\).*by default of policy acme\/p/,
    /by default of tenant acme/,
    /by #21/,
  ]);
});

t.test('rejected packets are answered by the way they came', async (t) => {
  const { events, sent, punts, session, metric, lost } = rig();
  const reject: Punt = { ...byRule, verdict: 'reject' };
  punts.packetIn(session, packetIn(reject, udp(1)));
  punts.packetIn(session, packetIn(reject, udp(2), metadata(Origin.tunnel)));
  t.match(sent[0], { type: 'packet_out', xid: 77, actions: [{ type: 'output', port: 4 }] });
  t.match(sent[1], { type: 'packet_out', actions: [{}, {}, { type: 'resubmit', table: T.forward.id }] });
  t.equal(metric('weft_policy_answers_total', { answer: 'icmp-unreachable' }), 2);
  for (let n = 0; n < 500; n++) punts.packetIn(session, packetIn(reject, udp(3)));
  t.equal(sent.length, 200, 'at a bounded rate');
  t.equal(metric('weft_policy_answers_total', { answer: 'over-rate' }), 302);
  t.equal(metric('weft_policy_packets_total', { verdict: 'reject' }), 502);

  for (let n = 0; n < 5_000; n++) punts.packetIn({ ...session }, packetIn(byRule, udp(4)));
  punts.close();
  t.equal(
    events.reduce((sum, { count }) => sum + count, 0),
    5_000,
    'of all switches, so many are looked at',
  );
  t.equal(lost(), 502, 'the others are counted');
});

t.test('a switch without packet-in2: the cookie names the rule or default', async (t) => {
  const { events, punts, session } = rig();
  const message = {
    type: 'packet_in',
    xid: 0,
    bufferId: 0xffffffff,
    totalLength: 42,
    reason: 1,
    tableId: T.ingress_verdict.id,
    cookie: 1n,
    match: metadata(Origin.local),
    data: udp(),
  } as const;
  punts.packetIn(session, message);
  punts.packetIn(session, { ...message, cookie: 2n, tableId: T.egress_policy.id });
  punts.packetIn(session, { ...message, tableId: T.forward.id });
  punts.packetIn(session, { ...message, cookie: 3n });
  punts.packetIn(session, { ...message, cookie: 4n });
  t.match(events, [
    { verdict: 'reject', rule: 'acme/p/r', direction: 'in' },
    { verdict: 'deny', default: 'policy', policy: 'acme/p', direction: 'out' },
  ]);
  t.equal(events.length, 2);
});

t.test('equal packets of a second are one event; too many flows are counted', async (t) => {
  const published: PacketEvent[] = [];
  const timers: (() => void)[] = [];
  let lost = 0;
  const feed = new PacketFeed({
    publish: (event) => void published.push(event),
    lost: (packets) => {
      lost += packets;
    },
    maxFlows: 3,
    after: (_milliseconds, run) => {
      timers.push(run);
      return () => undefined;
    },
  });
  const event = (port: number): PacketEvent => ({
    time: port,
    count: 1,
    verdict: 'deny',
    direction: 'in',
    source: {},
    destination: { port },
    protocol: 'udp',
    length: 60,
    datapathId: '1',
  });
  const endWindow = (): void => timers.shift()?.();
  feed.add(event(1));
  t.equal(published.length, 1, 'the first at once');
  for (let n = 0; n < 9; n++) feed.add(event(1));
  feed.add(event(2));
  t.equal(published.length, 2);
  for (const port of [3, 4, 5, 5]) feed.add(event(port));
  endWindow();
  t.same(
    published.map(({ destination, count }) => [destination.port, count]),
    [
      [1, 1],
      [2, 1],
      [3, 1],
      [1, 9],
    ],
  );
  t.equal(lost, 3);
  feed.add(event(1));
  feed.add(event(2));
  endWindow();
  t.same(
    published.slice(4).map(({ destination, count }) => [destination.port, count]),
    [
      [2, 1],
      [1, 1],
    ],
    'a flow that goes on is one event a second',
  );
  endWindow();
  t.equal(timers.length, 0, 'no timer is left when nothing comes');
  t.equal(published.reduce((sum, { count }) => sum + count, 0) + lost, 17, 'nothing is told twice');
});

t.test('sums of rules never go back', async (t) => {
  const book = new RuleBook();
  const counted = { kind: 'rule', number: 21, direction: 'in' } as const;
  const reading = (packets: number, age: number, more: Partial<Reading> = {}): Reading => ({
    counted,
    entry: 'new',
    isFirst: true,
    packets,
    bytes: packets * 100,
    age,
    ...more,
  });
  const record = (now: number, ...readings: Reading[]) => {
    book.record('1', readings, now);
    return book.sums(counted).packets;
  };
  t.equal(record(0, reading(10, 60_000)), 10);
  t.equal(record(60_000, reading(15, 120_000)), 15, 'counted on');
  t.equal(record(120_000, reading(2, 3_000)), 17, 'the entry was made anew');
  t.equal(record(240_000, reading(5, 10_000)), 22, 'made anew, and past what it was before');
  t.equal(record(250_000), 22, 'gone');
  t.equal(record(260_000, reading(1, 5_000)), 23, 'and back');
  book.record('2', [reading(7, 0), reading(3, 0, { entry: 'old', isFirst: false })], 0);
  t.same(book.sums(counted), { packets: 33, bytes: 3300, connections: 30 }, 'over switches');
  t.same(book.sums({ ...counted, kind: 'policy' }).packets, 0, 'numbers of other kinds are others');
  t.same(book.counted, [counted]);
  book.forget(counted);
  t.equal(book.sums(counted).packets, 0);
});

t.test('counters of rules as metrics: as they were read last', async (t) => {
  let packets = 1;
  const counters = { tenant: 'acme', bytes: 60, connections: 1, switches: 1, direction: 'in' } as const;
  const metrics = new RuleMetrics({
    read: async () => {
      if (packets === 2) throw new Error('for once');
      return { items: [{ ...counters, name: 'acme/p/r', kind: 'rule', packets }], silent: [] };
    },
    intervalMs: 1,
    logger: createLog({ level: 'silent' }).component('policy'),
  });
  t.teardown(() => metrics.close());
  const value = () => metrics.families()[0]?.samples[0]?.value;
  t.equal(value(), undefined);
  for (packets of [1, 2, 3]) await waitFor('the reading', () => value() === (packets === 2 ? 1 : packets));
  t.match(metrics.families(), [
    { name: 'weft_rule_packets_total', samples: [{ labels: { rule: 'acme/p/r', direction: 'in' } }] },
    { name: 'weft_rule_bytes_total', samples: [{ value: 60 }] },
    { name: 'weft_rule_connections_total' },
  ]);
});
