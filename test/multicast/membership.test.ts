/** Who is taken for a receiver of what, for how long, by which messages; and who is asked. */
import fc from 'fast-check';
import t from 'tap';
import { Origin, R, T } from '../../apps/pipeline.js';
import type { Table } from '../../controller/datapath/pipeline.js';
import { GroupCounterReader, sumByGroup } from '../../controller/multicast/counters.js';
import { Deadlines } from '../../controller/multicast/deadlines.js';
import { GroupNumbers } from '../../controller/multicast/group-numbers.js';
import { type GroupRecord, RECORD_TYPES } from '../../controller/multicast/messages.js';
import { buildIgmpQuery } from '../../controller/multicast/igmp.js';
import { MAX_SOURCES, SourceFilter } from '../../controller/multicast/source-filter.js';
import { F, type Match, oxm, parseIpv4, parseIpv6 } from '../../ofproto/index.js';
import { igmpFrame, mldFrame, oldReport, report } from './reports.js';
import { endpoint, gone, host, network, record, Rig } from './rig.js';

const LAN = 'acme/lan';
const WEB = 'acme/web';
const g = (text: string) => ({ family: 4, address: parseIpv4(text) }) as const;
const g6 = (text: string) => ({ family: 6, address: parseIpv6(text) }) as const;
const G = g('239.1.1.1');
const [S1, S2, S3] = [1, 2, 3].map((last) => parseIpv4(`10.9.0.${last}`)) as [number, number, number];
const MEMBERSHIP_MS = 260_000;
const QUERY_MS = 125_000;

const facts = [
  network(LAN, 21, 'vlan'),
  network(WEB, 1, 'vxlan'),
  host(1),
  host(2),
  endpoint(LAN, 1, 1),
  endpoint(LAN, 2, 2),
  endpoint(WEB, 11, 1),
  endpoint(WEB, 12, 2),
];

async function world(): Promise<Rig> {
  const rig = await Rig.start(facts);
  rig.connect(1, { 1: 'v1', 11: 'v11' });
  rig.connect(2, { 2: 'v2', 12: 'v12' });
  return rig;
}

const sender = (number: number) => ({
  mac: 0x020000000000 + number,
  ipv4: 0x0a000000 + number,
  ipv6: parseIpv6('fe80::1'),
});
/** Somebody behind the uplink. */
const outside = { mac: 0x0200000000ff, ipv4: parseIpv4('10.0.0.250'), ipv6: parseIpv6('fe80::ff') };

/** Endpoint 11 of the web says something. */
const says = (rig: Rig, ...records: GroupRecord[]) => rig.punt(1, 1, report(sender(11), 4, records), 11);
const outsideSays = (rig: Rig, ...records: GroupRecord[]) => rig.punt(1, 21, report(outside, 4, records));
const key = '1/239.1.1.1/acme/web/e11';

t.test('reports of every version become facts, and leaves end them at once', async (t) => {
  const rig = await world();
  for (const [join, leave] of [
    [oldReport(sender(11), G, 2), oldReport(sender(11), G, 2, true)],
    [report(sender(11), 4, [record('to-exclude', G)]), report(sender(11), 4, [record('to-include', G)])],
    [report(sender(11), 4, [record('is-exclude', G)]), report(sender(11), 4, [record('is-include', G)])],
  ] as const) {
    rig.punt(1, 1, join, 11);
    t.strictSame(rig.receivers(), [key]);
    const scheduled = rig.scheduled;
    rig.punt(1, 1, join, 11);
    t.equal(rig.scheduled, scheduled, 'what is known changes nothing');
    rig.punt(1, 1, leave, 11);
    t.ok(rig.scheduled > scheduled);
    t.strictSame(rig.receivers(), []);
  }
  const six = g6('ff05::1:3');
  rig.punt(1, 1, oldReport(sender(11), six, 1), 11);
  t.strictSame(rig.receivers(), ['1/ff05::1:3/acme/web/e11']);
  rig.punt(1, 1, oldReport(sender(11), six, 1, true), 11);
  t.strictSame(rig.receivers(), []);
  rig.punt(1, 1, oldReport(sender(11), G, 1), 11);
  says(rig, record('to-include', G));
  t.strictSame(rig.receivers(), [key], 'a host of version 1 does not say that it leaves');
  t.equal(rig.metric('weft_multicast_reports_total', 'IGMPv1'), 1);
  await rig.close();
});

t.test('source filters follow what the host says', async (t) => {
  const rig = await world();
  const steps: [GroupRecord, string[]][] = [
    [record('allow', G, S1), [`${key} include 10.9.0.1`]],
    [record('allow', G, S2, S3), [`${key} include 10.9.0.1,10.9.0.2,10.9.0.3`]],
    [record('block', G, S1), [`${key} include 10.9.0.2,10.9.0.3`]],
    [record('to-exclude', G, S1), [`${key} exclude 10.9.0.1`]],
    [record('block', G, S2), [`${key} exclude 10.9.0.1,10.9.0.2`]],
    [record('allow', G, S1, S2), [key]],
    [record('to-include', G, S3), [`${key} include 10.9.0.3`]],
    [record('block', G, S3), []],
    [record('block', G, S3), []],
    [record('is-include', G, S1), [`${key} include 10.9.0.1`]],
    [record('to-include', G), []],
  ];
  for (const [said, wanted] of steps) {
    says(rig, said);
    t.strictSame(rig.receivers(), wanted, said.type);
  }
  says(rig, record('is-exclude', g('224.0.0.251')), record('is-exclude', G));
  t.strictSame(rig.receivers(), [key], 'groups of the link are nobody’s');
  t.equal(rig.metric('weft_multicast_ignored_total', 'link-local'), 1);
  rig.punt(1, 1, oldReport(sender(11), G, 2), 11);
  says(rig, record('block', G, S1), record('to-exclude', G, S2));
  t.strictSame(rig.receivers(), [key], 'sources mean nothing while an older version is there');
  await rig.close();
});

t.test('a receiver that is not heard goes after the membership interval, sources one by one', async (t) => {
  const rig = await world();
  says(rig, record('allow', G, S1));
  rig.wait(100_000);
  says(rig, record('allow', G, S2));
  rig.wait(MEMBERSHIP_MS - 100_000 - 100);
  t.strictSame(rig.receivers(), [`${key} include 10.9.0.1,10.9.0.2`]);
  rig.wait(300);
  t.strictSame(rig.receivers(), [`${key} include 10.9.0.2`]);
  rig.wait(100_000);
  t.strictSame(rig.receivers(), []);
  says(rig, record('is-exclude', G));
  for (let round = 0; round < 4; round++) {
    rig.wait(QUERY_MS);
    says(rig, record('is-exclude', G));
  }
  t.strictSame(rig.receivers(), [key], 'while it answers it stays');
  await rig.close();
});

t.test('whoever is detached, moved or attached anew has joined nothing', async (t) => {
  for (const change of [
    gone('endpoint', 'acme/web/e11'),
    endpoint(WEB, 11, undefined),
    endpoint(WEB, 11, 2, 2),
    endpoint(WEB, 11, 1, 2),
    gone('network', WEB),
    network(WEB, 7, 'vxlan'),
    network(WEB, 1, 'vxlan', { multicast: { snooping: false } }),
  ]) {
    const rig = await world();
    says(rig, record('is-exclude', G));
    t.strictSame(rig.receivers(), [key]);
    rig.change([endpoint(WEB, 11, 1), endpoint(WEB, 12, undefined)]);
    t.strictSame(rig.receivers(), [key], 'others are not its concern');
    rig.change([change]);
    t.strictSame(rig.receivers(), []);
    says(rig, record('is-exclude', G));
    const stays = change.kind === 'endpoint' && change.value?.host === 'h1';
    t.strictSame(rig.receivers(), stays ? [key] : [], 'nor does it join from where it is not');
    const next = await rig.restart();
    t.strictSame(next.receivers(), stays ? [key] : []);
    await next.close();
    await rig.close();
  }
});

t.test('nobody is taken for another', async (t) => {
  const rig = await world();
  const frame = report(sender(11), 4, [record('is-exclude', G)]);
  rig.punt(1, 1, frame, 99);
  rig.punt(2, 1, frame, 11);
  rig.punt(1, 21, frame, 11);
  rig.punt(3, 1, frame, 11);
  rig.punt(1, 99, frame, 11);
  t.strictSame(rig.receivers(), []);
  t.equal(rig.metric('weft_multicast_ignored_total', 'unknown-port'), 5);
  rig.punt(1, 1, buildIgmpQuery({ sourceMac: 1, maxResponseMs: 1000, robustness: 2, intervalMs: 1000 }), 11);
  t.equal(rig.metric('weft_multicast_ignored_total', 'not-a-router'), 1);
  outsideSays(rig, record('is-exclude', G));
  rig.punt(1, 1, report(outside, 4, [record('is-exclude', G)]));
  t.strictSame(rig.receivers(), ['21/239.1.1.1/uplink'], 'a VXLAN network has no uplink');
  rig.punt(1, 21, report(sender(2), 4, [record('is-exclude', g('239.2.2.2'))]));
  t.strictSame(rig.receivers(), ['21/239.1.1.1/uplink'], 'an endpoint of another host is known where it is');
  t.equal(rig.metric('weft_multicast_ignored_total', 'own'), 1);
  await rig.close();
});

t.test('limits: what is over them is not taken, and told once a minute', async (t) => {
  const rig = await world();
  const groups = Array.from({ length: 300 }, (_, index) =>
    record('is-exclude', g(`239.3.${index >> 8}.${index & 255}`)),
  );
  for (let at = 0; at < groups.length; at += 50) says(rig, ...groups.slice(at, at + 50));
  t.equal(rig.receivers().length, 256);
  t.equal(rig.metric('weft_multicast_ignored_total', 'groups-of-endpoint'), 44);
  t.strictSame(
    rig.warnings.map(({ limit, endpoint }) => [limit, endpoint]),
    [['groups-of-endpoint', 'acme/web/e11']],
  );
  const { problems } = rig.service.state(rig.desired.facts.distributions, { only: WEB });
  t.match(problems, {
    length: 1,
    0: { code: 'multicast.limit.groups-of-endpoint', endpoint: 'acme/web/e11' },
  });
  t.strictSame(rig.service.state(rig.desired.facts.distributions, { only: LAN }).problems, []);
  const many = Array.from({ length: MAX_SOURCES + 1 }, (_, index) => S1 + index);
  rig.change([endpoint(WEB, 11, 1, 2)]);
  says(rig, record('is-include', G, ...many));
  t.strictSame(rig.receivers(), [key], 'more sources than are kept: all');
  says(rig, record('block', G, ...many));
  t.strictSame(rig.receivers(), [key], 'what was not kept may be wanted');
  rig.wait(MEMBERSHIP_MS + 200);
  t.strictSame(rig.receivers(), []);
  await rig.close();
});

t.test(
  '10,000 reports a second of one endpoint cost a bounded amount of work, and starve nobody',
  async (t) => {
    const rig = await world();
    const flood = [record('to-exclude', G), record('to-include', G)].map((one) =>
      report(sender(11), 4, [one]),
    );
    rig.wait(60_000);
    rig.sent.length = 0;
    const [records, transactions] = [rig.metric('weft_multicast_records_total'), rig.journal.transactions];
    rig.scheduled = 0;
    const seconds = 10;
    for (let second = 0; second < seconds; second++) {
      for (let tenth = 0; tenth < 10; tenth++) {
        for (let one = 0; one < 1_000; one++) rig.punt(1, 1, flood[one % 2]!, 11);
        rig.wait(100);
      }
      rig.punt(2, 1, report(sender(12), 4, [record('is-exclude', g(`239.4.4.${second}`))]), 12);
    }
    const looked = rig.metric('weft_multicast_records_total') - records;
    // 5,000 pieces at once and 1,000 a second; a change is eleven of them.
    t.ok(looked <= (5_000 + seconds * 1_000) / 11 + 50, `${looked} of 100,000 records were looked at`);
    t.ok(rig.scheduled <= looked + seconds, `${rig.scheduled} times was derived`);
    t.equal(
      rig.receivers().filter((one) => one.endsWith('e12')).length,
      seconds,
      'another one was heard every time',
    );
    await rig.journal.flush();
    t.ok(rig.journal.transactions - transactions <= 20, `${rig.journal.transactions - transactions} writes`);
    await rig.close();
  },
);

t.test('the uplink: one that leaves is not all, and the querier asks', async (t) => {
  const rig = await world();
  const uplink = '21/239.1.1.1/uplink';
  rig.wait(60_000);
  rig.taken();
  outsideSays(rig, record('allow', G, S1));
  t.strictSame(rig.receivers(), [uplink], 'all sources');
  outsideSays(rig, record('block', G, S1));
  t.strictSame(rig.receivers(), [uplink]);
  outsideSays(rig, record('to-include', G));
  t.strictSame(rig.receivers(), [uplink], 'others may be there');
  rig.wait(1_500);
  t.strictSame(rig.taken(), ['h1 uplink 21 IGMPv3 239.1.1.1', 'h1 uplink 21 IGMPv3 239.1.1.1']);
  outsideSays(rig, record('is-exclude', G));
  rig.wait(5_000);
  t.strictSame(rig.receivers(), [uplink], 'one of them has answered');
  rig.punt(1, 21, oldReport(outside, G, 2, true));
  rig.wait(2_300);
  t.strictSame(rig.receivers(), [], 'none has');
  await rig.close();
});

t.test('another querier: ours is silent, its timers hold, and its queries reach receivers', async (t) => {
  const rig = await world();
  rig.wait(60_000);
  rig.taken();
  const general = (address: string) =>
    igmpFrame(
      { ...outside, ipv4: parseIpv4(address) },
      parseIpv4('224.0.0.1'),
      [0x11, 100, 0, 0, 0, 0, 0, 0, 3, 20, 0, 0],
    );
  rig.punt(1, 21, general('0.0.0.0'));
  t.strictSame(rig.routers(), [], 'a switch that asks is no router');
  rig.punt(1, 21, general('10.0.0.250'));
  rig.punt(1, 21, general('10.0.0.251'));
  t.strictSame(rig.routers(), ['21/uplink']);
  rig.punt(1, 21, report(sender(1), 4, [record('is-exclude', G)]), 1);
  rig.punt(2, 21, report(sender(2), 4, [record('is-exclude', G)]), 2);
  rig.wait(20_000);
  rig.punt(1, 21, general('10.0.0.250'));
  const asked = rig.taken();
  t.notOk(
    asked.some((one) => one.includes('IGMP') && one.includes('uplink')),
    'not by us',
  );
  const group = (flags: number) =>
    igmpFrame(outside, G.address, [0x11, 10, 0, 0, 239, 1, 1, 1, flags, 20, 0, 0]);
  outsideSays(rig, record('is-exclude', G));
  outsideSays(rig, record('to-include', G));
  rig.wait(1_000);
  t.strictSame(rig.taken(), [], 'the querier asks about the one that left');
  rig.punt(1, 21, group(2));
  t.strictSame(rig.taken(), ['h1 1 IGMPv3 239.1.1.1', 'h2 2 IGMPv3 239.1.1.1']);
  rig.wait(2_200);
  t.strictSame(rig.receivers(), ['21/239.1.1.1/acme/lan/e1', '21/239.1.1.1/acme/lan/e2']);
  // Robustness 3, interval 20 s: gone after 70 s, the querier itself after 65.
  rig.wait(63_000);
  t.strictSame(rig.routers(), []);
  t.ok(
    rig.taken().some((one) => one.startsWith('h1 1,uplink 21 IGMPv3 general')),
    'ours asks again',
  );
  rig.wait(5_000);
  t.strictSame(rig.receivers(), []);
  await rig.close();
});

t.test('a hello of PIM is of a router, for as long as it says', async (t) => {
  const rig = await world();
  const hello = igmpFrame(outside, parseIpv4('224.0.0.13'), [0x20, 0, 0, 0, 0, 1, 0, 2, 0, 30]);
  hello[14 + 9] = 103;
  // The header changed under its checksum, which nobody needs.
  rig.punt(1, 21, hello);
  t.strictSame(rig.routers(), ['21/uplink']);
  rig.wait(29_000);
  t.strictSame(rig.routers(), ['21/uplink']);
  rig.wait(1_200);
  t.strictSame(rig.routers(), []);
  await rig.close();
});

t.test('who is asked and when: at a start soon and again, each switch its own, arrivals alone', async (t) => {
  const rig = await Rig.start(facts);
  rig.wait(2_000);
  t.strictSame(rig.taken(), [], 'nobody is connected');
  rig.connect(1, { 1: 'v1', 11: 'v11' });
  rig.wait(600);
  const all = [
    'h1 1,uplink 21 IGMPv3 general',
    'h1 1,uplink 21 MLDv2 general',
    'h1 11 IGMPv3 general',
    'h1 11 MLDv2 general',
  ];
  t.strictSame(rig.taken().sort(), all);
  rig.wait(8_000);
  t.strictSame(rig.taken().sort(), all, 'again');
  rig.wait(31_000);
  rig.taken();
  rig.wait(QUERY_MS - 2_000);
  t.strictSame(rig.taken(), []);
  rig.wait(3_000);
  t.strictSame(rig.taken().sort(), all, 'by the interval');
  rig.connect(2, { 2: 'v2', 12: 'v12' });
  rig.wait(600);
  t.strictSame(rig.taken().sort(), [
    'h2 12 IGMPv3 general',
    'h2 12 MLDv2 general',
    'h2 2 IGMPv3 general',
    'h2 2 MLDv2 general',
  ]);
  rig.wait(60_000);
  rig.taken();
  rig.connect(1, { 1: 'v1', 11: 'v11', 13: 'v13' });
  rig.wait(40_000);
  rig.taken();
  rig.change([endpoint(WEB, 13, 1)]);
  rig.wait(700);
  t.strictSame(rig.taken(), ['h1 13 IGMPv3 general', 'h1 13 MLDv2 general']);
  rig.change([network(WEB, 1, 'vxlan', { multicast: { querier: false } })]);
  rig.change([network(LAN, 21, 'vlan', { multicast: { querier: false } })]);
  rig.wait(300_000);
  t.strictSame(rig.taken(), []);
  await rig.close();
});

t.test(
  'a restart: what was known is there before anything is sent, numbers included, and timers begin anew',
  async (t) => {
    const rig = await world();
    says(
      rig,
      record('is-exclude', g('239.9.9.9')),
      record('is-exclude', G),
      record('allow', g('239.1.1.2'), S1, S2),
    );
    says(rig, record('to-include', g('239.9.9.9')));
    outsideSays(rig, record('is-exclude', G));
    rig.punt(1, 21, mldFrame(outside, parseIpv6('ff02::1'), [130, ...Array<number>(23).fill(0)]));
    rig.punt(2, 1, oldReport(sender(12), g6('ff05::1:3'), 1), 12);
    rig.wait(200_000);
    const [before, routers] = [rig.receivers(), rig.routers()];
    t.equal(before.length, 4);
    t.equal(routers.length, 1);
    const numbers = (one: Rig) =>
      [...one.desired.facts.multicastReceivers.entries()]
        .map(([name, { groupNumber }]) => [name, groupNumber])
        .sort();
    const next = await rig.restart();
    t.strictSame(next.receivers(), before);
    t.strictSame(numbers(next), numbers(rig));
    t.strictSame(next.routers(), routers);
    t.equal(next.scheduled, 0);
    t.strictSame(
      next.told.sort(),
      [...numbers(rig).map(([name]) => name), ...routers].sort(),
      'trees are told at once',
    );
    await next.journal.flush();
    t.equal(next.journal.transactions, 0, 'nothing is written for it');
    next.wait(MEMBERSHIP_MS - 300);
    t.strictSame(next.receivers(), before);
    next.wait(600);
    t.strictSame(next.receivers(), []);
    await next.close();
    await rig.close();
  },
);

t.test('what is told: receivers with their sources, trees by names, routers, queriers', async (t) => {
  const rig = await world();
  says(rig, record('allow', G, S1));
  rig.punt(2, 1, oldReport(sender(12), G, 2), 12);
  outsideSays(rig, record('is-exclude', G));
  rig.wait(10_000);
  const general = igmpFrame(outside, parseIpv4('224.0.0.1'), [0x11, 100, 0, 0, 0, 0, 0, 0]);
  rig.punt(1, 21, general);
  const tree = { colour: 2, root: 2, edges: [[2, 1]] } as const;
  const { distributions } = rig.desired.facts;
  distributions.set('1/239.1.1.1', { network: 1, group: G, trees: [tree], sending: 2 });
  distributions.set('1', { network: 1, trees: [tree] });
  rig.desired.settle();
  const state = rig.service.state(distributions);
  t.strictSame(
    state.groups.map(({ network, group }) => [network, group]),
    [
      [LAN, '239.1.1.1'],
      [WEB, '239.1.1.1'],
    ],
  );
  t.strictSame(state.groups[1]?.receivers, [
    {
      endpoint: 'acme/web/e11',
      host: 'h1',
      version: 'IGMPv3',
      sources: { mode: 'include', addresses: ['10.9.0.1'] },
      secondsLeft: 250,
    },
    { endpoint: 'acme/web/e12', host: 'h2', version: 'IGMPv2', secondsLeft: 250 },
  ]);
  t.strictSame(state.groups[1]?.distribution, { kind: 'tree', colour: 2, root: 'h2', edges: [['h2', 'h1']] });
  t.strictSame(state.groups[0]?.receivers, [{ version: 'IGMPv3', secondsLeft: 250 }], 'behind the uplink');
  t.strictSame(state.floods, [{ network: WEB, distribution: { kind: 'replication', changing: true } }]);
  t.strictSame(state.routers, [
    { network: LAN, address: '10.0.0.250', learnedBy: 'query', secondsLeft: 255 },
  ]);
  t.strictSame(state.queriers, [
    { network: LAN, protocol: 'IGMP', querier: 'other', address: '10.0.0.250', secondsLeft: 255 },
    { network: LAN, protocol: 'MLD', querier: 'weft' },
    { network: WEB, protocol: 'IGMP', querier: 'weft' },
    { network: WEB, protocol: 'MLD', querier: 'weft' },
  ]);
  t.strictSame(rig.service.state(distributions, { only: WEB }).groups.length, 1);
  await rig.close();
});

t.test('counters of a group: what endpoints sent, what came to hosts with receivers', async (t) => {
  const cookie = 21n << 56n;
  const entry = (table: Table, match: Match, packets: number, drops = false) => ({
    kind: 'flow' as const,
    table: table.id,
    tableId: table.id,
    cookie,
    match,
    instructions: drops ? [] : [{ type: 'goto_table', table: 99 }],
    packetCount: BigInt(packets),
    byteCount: BigInt(packets * 100),
  });
  // As switches tell it: network and origin are parts of one register.
  const register = (origin: number): Match =>
    origin === 0
      ? [R.network.match(1)]
      : [oxm(F.reg0, 1 + origin * 2 ** R.origin.offset, 0xff_ffff + 3 * 2 ** R.origin.offset)];
  const to = (address: number, mask?: number, origin = 0): Match => [
    ...register(origin),
    oxm(F.eth_type, 0x0800),
    mask === undefined ? oxm(F.ipv4_dst, address) : oxm(F.ipv4_dst, address, mask),
  ];
  const entries = [
    entry(T.multicast, to(G.address, undefined, Origin.local), 1),
    entry(T.multicast, to(G.address, undefined, Origin.tunnel), 10),
    entry(T.multicast, to(0xe0000000, 0xf0000000), 100),
    entry(T.multicast_local, to(G.address), 1_000),
    entry(T.multicast_local, [...to(G.address), oxm(F.ipv4_src, S1)], 2_000),
    entry(T.multicast_local, [...to(G.address), oxm(F.ipv4_src, S2)], 10_000, true),
  ];
  const scope = { entries: new Map(entries.map((one, index) => [String(index), { entry: one }])) };
  const reader = new GroupCounterReader({ scopesOf: () => [scope], counters: { turns: 1 } } as never);
  const asked: number[] = [];
  const session = {
    datapathId: '1',
    xid: () => 1,
    multipart: async ({ body }: { readonly body: { readonly tableId: number } }) => {
      asked.push(body.tableId);
      return { body: entries.filter(({ tableId }) => tableId === body.tableId) };
    },
  } as never;
  const counted = [...(await reader.read(session)), ...(await reader.read(session))];
  t.equal(asked.length, 4, 'each table once');
  t.strictSame(
    [...sumByGroup(counted)],
    [['1/239.1.1.1', { sent: { packets: 2, bytes: 200 }, received: { packets: 6_000, bytes: 600_000 } }]],
    'of two switches',
  );
});

t.test('any history of reports: what stands is what a host with these sockets wants, or more', (t) => {
  const sources = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 5 });
  const step = fc.record(
    { type: fc.constantFrom(...RECORD_TYPES), sources, wait: fc.nat(200_000) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const filter = new SourceFilter();
      let now = 0;
      // The host's own state, believed for the membership interval since it was last said.
      let mode: 'include' | 'exclude' = 'include';
      let list = new Map<number, number>();
      let until = 0;
      for (const { type, sources, wait } of steps) {
        now += wait;
        filter.expire(now);
        for (const [source, end] of list) if (mode === 'include' && end <= now) list.delete(source);
        if (mode === 'exclude' && until <= now) [mode, list] = ['include', new Map()];
        filter.apply(record(type, G, ...sources), 3, 3, now, MEMBERSHIP_MS);
        const end = now + MEMBERSHIP_MS;
        const named = sources.map((source) => [source, end] as const);
        if (type === 'is-exclude' || type === 'to-exclude')
          [mode, list, until] = ['exclude', new Map(named), end];
        else if (type === 'is-include' || type === 'to-include') {
          if (mode === 'exclude' || (type === 'to-include' && sources.length === 0)) list = new Map();
          mode = 'include';
          list = new Map([...list, ...named]);
        } else if ((type === 'allow') === (mode === 'include')) {
          list = new Map([...list, ...named]);
        } else for (const source of sources) list.delete(source);
        const expected =
          mode === 'exclude' && list.size === 0
            ? undefined
            : { mode, addresses: [...list.keys()].sort((a, b) => a - b) };
        t.strictSame(filter.wanted, expected);
        t.equal(filter.empty, mode === 'include' && list.size === 0);
        if (!filter.empty) t.ok(filter.deadline > now && filter.deadline <= filter.until);
      }
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('deadlines come in time, moved or not, and no others', (t) => {
  const action = fc.oneof(
    fc.record({ set: fc.nat(9), in: fc.nat(5_000) }),
    fc.record({ delete: fc.nat(9) }),
    fc.record({ wait: fc.integer({ min: 1, max: 3_000 }) }),
    fc.record({ wait: fc.constant(50_000_000) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      let now = 12_345;
      const deadlines = new Deadlines<number>(now);
      const expected = new Map<number, number>();
      for (const one of actions) {
        if ('set' in one) {
          deadlines.set(one.set, now + one.in);
          expected.set(one.set, now + one.in);
        } else if ('delete' in one) {
          deadlines.delete(one.delete);
          expected.delete(one.delete);
        } else {
          now += one.wait;
          for (const key of deadlines.take(now)) {
            t.ok((expected.get(key) as number) <= now);
            expected.delete(key);
          }
          for (const at of expected.values()) t.ok(at > now - 100, 'at most one step late');
        }
        t.equal(deadlines.size, expected.size);
      }
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('group numbers: 23 bits, unique, kept while used, back in use late', (t) => {
  const numbers = new GroupNumbers();
  t.equal(numbers.take('a'), 1);
  t.equal(numbers.take('b', 1), 2, 'taken');
  t.equal(numbers.take('c', 0x7ffffe), 0x7ffffe);
  t.equal(numbers.take('d', 0x7fffff), 3, 'too large');
  t.equal(numbers.take('a'), 1);
  numbers.release('a');
  t.equal(numbers.get('a'), 1, 'still used');
  numbers.release('a');
  t.equal(numbers.get('a'), undefined);
  t.equal(numbers.take('e'), 4, 'not the one just freed');
  t.end();
});
