/** IGMP and MLD as bytes: read what scapy wrote, write what tshark reads, and stand whatever comes. */
import fc from 'fast-check';
import t from 'tap';
import { buildIgmpQuery, floating, floatingCode } from '../../controller/multicast/igmp.js';
import { type GroupRecord, RECORD_TYPES, isLinkLocal } from '../../controller/multicast/messages.js';
import { buildMldQuery } from '../../controller/multicast/mld.js';
import { parseMembership } from '../../controller/multicast/parse.js';
import { parseIpv4, parseIpv6 } from '../../ofproto/index.js';
import { hasScapy, hasTshark, scapyFrames, tsharkFields } from '../punt/foreign.js';
import { igmpFrame, mldFrame, oldReport, report, type Sender } from './reports.js';

const from: Sender = { mac: 0x020000000001, ipv4: parseIpv4('10.0.0.1'), ipv6: parseIpv6('fe80::1') };
const group4 = { family: 4, address: parseIpv4('239.1.2.3') } as const;
const group6 = { family: 6, address: parseIpv6('ff05::1:3') } as const;
const options = { sourceMac: 0x020000000099, maxResponseMs: 10_000, robustness: 2, intervalMs: 125_000 };
const FRAMES = {
  v1: "Ether(src='02:00:00:00:00:01')/IP(src='10.0.0.1',dst='239.1.2.3',ttl=1)/IGMP(type=0x12,gaddr='239.1.2.3')",
  v2: "Ether(src='02:00:00:00:00:01')/IP(src='10.0.0.1',dst='239.1.2.3',ttl=1)/IGMP(type=0x16,gaddr='239.1.2.3')",
  leave: "Ether()/IP(src='10.0.0.1',dst='224.0.0.2',ttl=1)/IGMP(type=0x17,gaddr='239.1.2.3')",
  v3: "Ether()/IP(src='0.0.0.0',dst='224.0.0.22',ttl=1)/IGMPv3(type=0x22)/IGMPv3mr(records=[IGMPv3gr(rtype=3,maddr='239.1.2.3',srcaddrs=['10.9.0.2','10.9.0.1']),IGMPv3gr(rtype=2,maddr='239.1.2.4',srcaddrs=[]),IGMPv3gr(rtype=6,maddr='239.1.2.5',srcaddrs=['10.9.0.1'])])",
  query2: "Ether()/IP(src='10.0.0.254',dst='224.0.0.1',ttl=1)/IGMP(type=0x11,mrcode=100,gaddr='0.0.0.0')",
  query3:
    "Ether()/IP(src='10.0.0.254',dst='239.1.2.3',ttl=1)/IGMPv3(type=0x11,mrcode=10)/IGMPv3mq(gaddr='239.1.2.3',s=1,qrv=3,qqic=125,srcaddrs=['10.9.0.1'])",
  mld1: "Ether()/IPv6(src='fe80::1',dst='ff05::1:3',hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert(),PadN(optdata='')])/ICMPv6MLReport(mladdr='ff05::1:3')",
  done: "Ether()/IPv6(src='fe80::1',dst='ff02::2',hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert(),PadN(optdata='')])/ICMPv6MLDone(mladdr='ff05::1:3')",
  mld2: "Ether()/IPv6(src='fe80::1',dst='ff02::16',hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert(),PadN(optdata='')])/ICMPv6MLReport2(records_number=1,records=[ICMPv6MLDMultAddrRec(rtype=5,sources_number=1,dst='ff05::1:3',sources=['fd00::9'])])",
  mldQuery:
    "Ether()/IPv6(src='fe80::9',dst='ff02::1',hlim=1)/IPv6ExtHdrHopByHop(options=[RouterAlert(),PadN(optdata='')])/ICMPv6MLQuery2(mladdr='::',mrd=10000,QRV=2,QQIC=125)",
  pim: "Ether()/IP(src='10.0.0.254',dst='224.0.0.13',ttl=1,proto=103)/Raw(bytes.fromhex('2000df93000100020069'))",
} as const;

t.test('messages that scapy wrote', { skip: hasScapy() ? false : 'no scapy' }, (t) => {
  const frames = scapyFrames(FRAMES);
  const source = from.ipv4;
  const said = (name: keyof typeof FRAMES) => parseMembership(frames[name]);
  const join = [{ type: 'is-exclude', group: group4, sources: [] }];
  t.match(said('v1'), { kind: 'report', version: 1, family: 4, records: join, source, sourceMac: from.mac });
  t.match(said('v2'), { kind: 'report', version: 2, records: join });
  t.match(said('leave'), { version: 2, records: [{ type: 'to-include', group: group4, sources: [] }] });
  t.match(said('v3'), {
    version: 3,
    source: 0,
    records: [
      { type: 'to-include', group: group4, sources: [parseIpv4('10.9.0.1'), parseIpv4('10.9.0.2')] },
      { type: 'is-exclude', group: { family: 4, address: parseIpv4('239.1.2.4') }, sources: [] },
      { type: 'block', sources: [parseIpv4('10.9.0.1')] },
    ],
  });
  const general = said('query2');
  t.match(general, { kind: 'query', version: 2, maxResponseMs: 10_000, source: parseIpv4('10.0.0.254') });
  t.notOk('group' in general, 'a general query');
  t.match(said('query3'), {
    kind: 'query',
    version: 3,
    group: group4,
    maxResponseMs: 1_000,
    suppress: true,
    robustness: 3,
    intervalMs: 125_000,
    sources: [parseIpv4('10.9.0.1')],
  });
  t.match(said('mld1'), { version: 1, family: 6, records: [{ type: 'is-exclude', group: group6 }] });
  t.match(said('done'), { version: 1, family: 6, records: [{ type: 'to-include', group: group6 }] });
  t.match(said('mld2'), {
    version: 2,
    family: 6,
    source: from.ipv6,
    records: [{ type: 'allow', group: group6, sources: [parseIpv6('fd00::9')] }],
  });
  t.match(said('mldQuery'), { kind: 'query', version: 2, maxResponseMs: 10_000, intervalMs: 125_000 });
  t.match(said('pim'), { kind: 'hello', family: 4, holdMs: 105_000 });
  t.end();
});

t.test('queries that tshark reads', { skip: hasTshark() ? false : 'no tshark' }, (t) => {
  const fields = [
    'eth.dst',
    'ip.src',
    'ip.dst',
    'ip.ttl',
    'ip.checksum.status',
    'igmp.type',
    'igmp.version',
    'igmp.maddr',
    'igmp.max_resp',
    'igmp.qrv',
    'igmp.qqic',
    'igmp.checksum.status',
    'ipv6.src',
    'ipv6.dst',
    'ipv6.hlim',
    'icmpv6.type',
    'icmpv6.mld.maximum_response_code',
    'icmpv6.mld.multicast_address',
    'icmpv6.mld.flag.qrv',
    'icmpv6.mld.qqi',
    'icmpv6.checksum.status',
    'ipv6.opt.router_alert',
    '_ws.malformed',
  ];
  const [general, specific, mldGeneral, mldSpecific] = tsharkFields(
    [
      buildIgmpQuery(options),
      buildIgmpQuery({ ...options, maxResponseMs: 1_000 }, group4.address),
      buildMldQuery(options),
      buildMldQuery({ ...options, maxResponseMs: 1_000 }, group6.address),
    ],
    fields,
  );
  const good = '1';
  const igmp = {
    'ip.src': ['0.0.0.0'],
    'ip.ttl': ['1'],
    'ip.checksum.status': [good],
    'igmp.type': ['0x11'],
  };
  t.match(general, {
    ...igmp,
    'eth.dst': ['01:00:5e:00:00:01'],
    'ip.dst': ['224.0.0.1'],
    'igmp.version': ['3'],
    'igmp.maddr': ['0.0.0.0'],
    'igmp.max_resp': ['100'],
    'igmp.qrv': ['2'],
    'igmp.qqic': ['125'],
    'igmp.checksum.status': [good],
    '_ws.malformed': [],
  });
  t.match(specific, {
    ...igmp,
    'ip.dst': ['239.1.2.3'],
    'igmp.maddr': ['239.1.2.3'],
    'igmp.max_resp': ['10'],
  });
  const mld = { 'ipv6.hlim': ['1'], 'icmpv6.type': ['130'], 'icmpv6.checksum.status': [good] };
  t.match(mldGeneral, {
    ...mld,
    'eth.dst': ['33:33:00:00:00:01'],
    'ipv6.dst': ['ff02::1'],
    'ipv6.opt.router_alert': ['0'],
    'icmpv6.mld.multicast_address': ['::'],
    'icmpv6.mld.maximum_response_code': ['10000'],
    'icmpv6.mld.flag.qrv': ['2'],
    'icmpv6.mld.qqi': ['125'],
    '_ws.malformed': [],
  });
  t.match(mldSpecific, { ...mld, 'ipv6.dst': ['ff05::1:3'], 'icmpv6.mld.multicast_address': ['ff05::1:3'] });
  t.end();
});

t.test('queries of ours are read as what they are', (t) => {
  const said = {
    version: 3,
    maxResponseMs: 10_000,
    robustness: 2,
    intervalMs: 124_000,
    sourceMac: options.sourceMac,
  };
  t.match(parseMembership(buildIgmpQuery({ ...options, intervalMs: 124_000 })), { ...said, source: 0 });
  t.match(parseMembership(buildMldQuery(options, group6.address)), {
    kind: 'query',
    version: 2,
    group: group6,
  });
  t.end();
});

t.test('what the RFCs want ignored', (t) => {
  const v2 = [0x16, 0, 0, 0, 239, 1, 2, 3];
  const ignores = (frame: Uint8Array, why: string, what: string) =>
    t.strictSame(parseMembership(frame), { kind: 'ignored', why }, what);
  ignores(igmpFrame(from, group4.address, v2, 2), 'hop-limit', 'a TTL of 2');
  ignores(mldFrame(from, group6.address, [131, ...Array<number>(23).fill(0)], 255), 'malformed', 'no group');
  ignores(igmpFrame(from, parseIpv4('239.1.2.4'), v2), 'destination', 'a report to another group');
  ignores(igmpFrame(from, parseIpv4('224.0.0.2'), [0x17, 0, 0, 0, 10, 0, 0, 1]), 'malformed', 'unicast left');
  ignores(
    igmpFrame(from, group4.address, [0x11, 1, 0, 0, 0, 0, 0, 0]),
    'destination',
    'a general query to a group',
  );
  ignores(
    igmpFrame(from, parseIpv4('224.0.0.1'), [0x11, 1, 0, 0, 0, 0, 0, 0, 2, 125]),
    'malformed',
    '10 bytes',
  );
  ignores(igmpFrame(from, parseIpv4('224.0.0.4'), [0x13, 1, 0, 0, 0, 0, 0, 0]), 'other', 'DVMRP');
  ignores(
    mldFrame({ ...from, ipv6: parseIpv6('fd00::1') }, group6.address, [143, ...Array<number>(7).fill(0)]),
    'source',
    'not link-local',
  );
  ignores(
    mldFrame({ mac: 1 }, parseIpv6('ff02::1'), [130, ...Array<number>(23).fill(0)]),
    'source',
    'a query of nobody',
  );
  const broken = oldReport(from, group4, 2);
  broken[broken.length - 15]! ^= 1;
  ignores(broken, 'checksum', 'a broken report');
  const truncated = report(from, 4, [{ type: 'allow', group: group4, sources: [1 << 24] }]);
  ignores(truncated.subarray(0, 50), 'truncated', 'cut off');
  const skipped = igmpFrame(
    from,
    parseIpv4('224.0.0.22'),
    [
      0x22, 0, 0, 0, 0, 0, 0, 3, 9, 0, 0, 0, 239, 1, 2, 3, 4, 1, 0, 0, 239, 1, 2, 4, 0xde, 0xad, 0xbe, 0xef,
      3, 0, 0, 1, 239, 1, 2, 5, 224, 0, 0, 1,
    ],
  );
  t.match(parseMembership(skipped), {
    records: { length: 1, 0: { type: 'to-exclude', group: { family: 4, address: parseIpv4('239.1.2.4') } } },
  });
  t.notOk(isLinkLocal(group4) || isLinkLocal(group6));
  t.ok(isLinkLocal({ family: 4, address: parseIpv4('224.0.0.251') }));
  t.ok(isLinkLocal({ family: 6, address: parseIpv6('ff12::fb') }), 'with the transient flag');
  t.end();
});

t.test('times in floating point: the largest that is not above', (t) => {
  for (let code = 0; code < 256; code++) t.equal(floatingCode(floating(code)), code);
  t.equal(floating(floatingCode(300)), 288);
  t.equal(floatingCode(1e9), 255);
  t.end();
});

const source4 = fc.integer({ min: 0x01000000, max: 0x7effffff });
const record = (family: 4 | 6): fc.Arbitrary<GroupRecord> =>
  fc.record(
    {
      type: fc.constantFrom(...RECORD_TYPES),
      group:
        family === 4
          ? fc
              .integer({ min: 0xe0000000, max: 0xefffffff })
              .map((address) => ({ family: 4 as const, address }))
          : fc
              .bigInt(0n, (1n << 112n) - 1n)
              .map((low) => ({ family: 6 as const, address: (0xff0en << 112n) | low })),
      sources: fc
        .uniqueArray(source4, { maxLength: 20 })
        .map((list) => list.sort((a, b) => a - b))
        .map((list) => (family === 4 ? list : list.map((source) => (0xfdn << 120n) | BigInt(source)))),
    },
    { noNullPrototype: true },
  ) as fc.Arbitrary<GroupRecord>;

t.test('any report is read back', (t) => {
  for (const family of [4, 6] as const) {
    fc.assert(
      fc.property(fc.array(record(family), { maxLength: 20 }), (records) => {
        const parsed = parseMembership(report(from, family, records));
        t.match(parsed, { kind: 'report', version: family === 4 ? 3 : 2 });
        t.strictSame(parsed.kind === 'report' && parsed.records, records);
      }),
      { numRuns: 40 },
    );
  }
  t.end();
});

function assertIgnored(frame: Uint8Array): void {
  if (parseMembership(frame).kind !== 'ignored') throw new Error('it is taken for a message');
}

t.test('no bytes make it throw, and no cut-off or altered message is taken for another', (t) => {
  const good = [
    report(from, 4, [{ type: 'allow', group: group4, sources: [1 << 24, 2 << 24] }]),
    buildIgmpQuery(options),
    report(from, 6, [{ type: 'block', group: group6, sources: [5n] }]),
    buildMldQuery(options),
    oldReport(from, group4, 2),
    oldReport(from, group6, 1, true),
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...good),
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 }),
      fc.nat(150),
      (frame, changes, length) => {
        const altered = Uint8Array.from(frame);
        for (const [at, value] of changes) if (at < altered.length) altered[at] = value;
        parseMembership(altered);
        parseMembership(altered.subarray(0, length));
        if (length < 14 + 32) assertIgnored(frame.subarray(0, length));
      },
    ),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseMembership(bytes);
      // Behind valid headers.
      parseMembership(igmpFrame(from, 0xe0000016, [0x22, ...bytes, 0, 0, 0, 0, 0, 0, 0]));
      parseMembership(mldFrame(from, 0xffn << 120n, [143, ...bytes, 0, 0, 0, 0, 0, 0, 0]));
    }),
    { numRuns: 3_000 },
  );
  // One changed bit under the checksum is always found.
  for (const frame of good) {
    const start = frame[12] === 0x86 ? 14 + 40 + 8 : 14 + 24;
    const end = frame[12] === 0x86 ? frame.length : 14 + ((frame[16]! << 8) | frame[17]!);
    for (let bit = start * 8; bit < end * 8; bit++) {
      const altered = Uint8Array.from(frame);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      const parsed = parseMembership(altered);
      if (parsed.kind !== 'ignored') t.fail(`bit ${bit} changed unnoticed`);
    }
  }
  t.end();
});
