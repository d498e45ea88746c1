/** The arithmetic of policy: prefixes, masks of ports, numbers of sets, priorities; and what it tells the controller, in bytes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { aggregate, overlaps, prefixText } from '../../apps/policy/addresses.js';
import { hashOf, numberAmong } from '../../apps/policy/numbers.js';
import { PolicyPriority, rulePriority } from '../../apps/policy/priority.js';
import { decodePunt, encodePunt, type Punt } from '../../apps/policy/punt.js';
import { portMasks, serviceMatches } from '../../apps/policy/services.js';
import type { PrefixFact } from '../../controller/model/facts.js';
import { formatMatch } from '../../ofproto/index.js';

const punts: fc.Arbitrary<Punt> = fc
  .tuple(
    fc.constantFrom('allow' as const, 'deny' as const, 'reject' as const),
    fc.constantFrom('in' as const, 'out' as const),
    fc.constantFrom('rule' as const, 'policy' as const, 'tenant' as const),
    fc.integer({ min: 1, max: 0xffffffff }),
  )
  .map(([verdict, direction, kind, number]) => ({ verdict, direction, decider: { kind, number } }));

t.test('user data', async (t) => {
  t.strictSame(
    [...encodePunt({ verdict: 'deny', direction: 'in', decider: { kind: 'rule', number: 0x01020304 } })],
    [0x57, 0x4c, 1, 1, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0],
  );
  t.strictSame(
    [...encodePunt({ verdict: 'deny', direction: 'out', decider: { kind: 'tenant', number: 7 } })],
    [0x57, 0x4c, 1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 2],
  );
  fc.assert(
    fc.property(punts, (punt) => {
      t.strictSame(decodePunt(encodePunt(punt)), punt);
    }),
    { numRuns: 50 },
  );
  const others = [
    [],
    [0x57, 0x4c],
    [0x57, 0x4c, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    [0x57, 0x4c, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
  ];
  for (const bytes of others) t.equal(decodePunt(Uint8Array.from(bytes)), undefined);
});

t.test('masks of port ranges: exactly these ports, each once, as few as can be', async (t) => {
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(port, port, (a, b) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const masks = portMasks(first, last);
      const matching = (at: number) => masks.filter(({ value, mask }) => (at & mask) === value).length;
      for (const edge of [0, first - 1, last + 1, 65_535]) {
        if (edge < first || edge > last) assert.equal(matching(edge), 0);
      }
      for (const edge of [first, last, (first + last) >> 1]) assert.equal(matching(edge), 1);
      const covered = masks.reduce((sum, { mask }) => sum + 65_536 - mask, 0);
      assert.equal(covered, last - first + 1);
      assert.ok(masks.length <= 30);
    }),
    { numRuns: 300 },
  );
  t.strictSame(portMasks(0, 65_535), [{ value: 0, mask: 0 }]);
  t.strictSame(
    portMasks(8000, 8010).map(({ value, mask }) => `${value}/${mask.toString(16)}`),
    ['8000/fff8', '8008/fffe', '8010/ffff'],
  );
  t.equal(portMasks(1, 65_534).length, 30, 'the worst');
});

t.test('services: united, nothing twice', async (t) => {
  const texts = (...services: Parameters<typeof serviceMatches>[0]) =>
    serviceMatches(services).map((match) => formatMatch(match).replace(/^ct_state=[^,]*,/, ''));
  const range = (first: number, last = first) => ({ first, last });
  t.strictSame(texts({ protocol: 6, ports: [range(80), range(81), range(80, 81)] }), [
    'ct_nw_proto=6,ct_tp_dst=0x50/0xfffe',
  ]);
  t.strictSame(texts({ protocol: 6, ports: [range(80)] }, { protocol: 6 }), ['ct_nw_proto=6']);
  t.strictSame(texts({ protocol: 6, portNames: ['http'] }), [], 'what is only named is not everything');
  t.strictSame(
    texts(
      { protocol: 1, icmpType: 3, icmpCode: 4 },
      { protocol: 1, icmpType: 3, icmpCode: 1 },
      { protocol: 1, icmpType: 8, icmpCode: 0 },
      { protocol: 1, icmpType: 8 },
      { protocol: 1, icmpType: 8, icmpCode: 1 },
    ),
    [
      'ct_nw_proto=1,ct_tp_src=3,ct_tp_dst=4',
      'ct_nw_proto=1,ct_tp_src=3,ct_tp_dst=1',
      'ct_nw_proto=1,ct_tp_src=8',
    ],
  );
});

t.test('prefixes are united to the fewest that hold the same addresses', async (t) => {
  const prefix4 = fc.tuple(fc.nat(255), fc.integer({ min: 24, max: 32 })).map(([low, length]): PrefixFact => {
    const size = 2 ** (32 - length);
    return { family: 4, address: 0x0a000000 + low - (low % size), length };
  });
  const has = (list: readonly PrefixFact[], address: number) =>
    list.some((prefix) => overlaps(prefix, { family: 4, address, length: 32 }));
  fc.assert(
    fc.property(fc.array(prefix4, { maxLength: 12 }), (prefixes) => {
      const united = aggregate(prefixes);
      for (let low = -1; low <= 256; low++)
        assert.equal(has(united, 0x0a000000 + low), has(prefixes, 0x0a000000 + low));
      for (const [i, a] of united.entries()) {
        for (const b of united.slice(i + 1)) {
          assert.ok(!overlaps(a, b));
          assert.ok(a.length !== b.length || aggregate([a, b]).length === 2, 'neighbours are one');
        }
      }
    }),
    { numRuns: 100 },
  );
  const halves: PrefixFact[] = [
    { family: 6, address: 0n, length: 1 },
    { family: 6, address: 1n << 127n, length: 1 },
    { family: 4, address: 0, length: 0 },
    { family: 4, address: 5, length: 32 },
  ];
  t.strictSame(aggregate(halves).map(prefixText), ['4/0/0', '6/0/0']);
});

t.test('numbers of sets: 32 bits, never 0, different for sets of equal hash', async (t) => {
  const byHash = new Map<number, string>();
  let twins: [string, string] | undefined;
  for (let i = 0; twins === undefined && i < 100_000; i++) {
    const text = `in acme\nacme/p${i}`;
    const hash = hashOf(text);
    const other = byHash.get(hash);
    if (other !== undefined) twins = [other, text];
    byHash.set(hash, text);
  }
  const [one = '', two = ''] = twins ?? [];
  const [first, second] = [one, two].sort() as [string, string];
  t.equal(hashOf(first), hashOf(second), 'there are such');
  t.equal(numberAmong(first, [second, first]), hashOf(first) * 256);
  t.equal(numberAmong(second, [second, first]), hashOf(first) * 256 + 1);
  t.equal(numberAmong(second, [second]), hashOf(first) * 256, 'alone it has the first number');
  t.ok(Math.min(...byHash.keys()) >= 1);
  t.ok(Math.max(...byHash.keys()) * 256 + 255 <= 0xffffffff);
  const many = Array.from({ length: 300 }, (_, i) => `${String(i).padStart(3, '0')}`);
  t.throws(() => numberAmong('299', many), /300 sets have the hash/);
});

t.test('priorities: tier over priority over deny over allow', async (t) => {
  const rule = (priority: number, action: 'allow' | 'deny' | 'reject', position = 0, stateless = false) => ({
    priority,
    action,
    position,
    stateless,
  });
  const ladder = [
    rulePriority(1, rule(1, 'allow', 9000, true)),
    rulePriority(1, rule(1, 'allow', 0, true)),
    rulePriority(1, rule(1, 'allow', 9000)),
    rulePriority(1, rule(1, 'allow', 1)),
    rulePriority(1, rule(1, 'allow', 0)),
    rulePriority(1, rule(1, 'deny', 9000)),
    rulePriority(1, rule(1, 'deny', 0)),
    rulePriority(1, rule(1, 'reject', 9000)),
    rulePriority(1, rule(2, 'allow', 9000, true)),
    rulePriority(1, rule(100, 'reject', 0)),
    rulePriority(2, rule(1, 'allow', 9000, true)),
    rulePriority(30, rule(100, 'reject', 0)),
  ];
  t.strictSame(
    ladder,
    [...new Set(ladder)].sort((a, b) => a - b),
  );
  t.ok(Math.min(...ladder) > PolicyPriority.byDefault);
  t.ok(Math.max(...ladder) < PolicyPriority.untracked);
});
