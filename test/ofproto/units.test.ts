/** The small parts: addresses, canonical matches, builders; bytes recorded from Open vSwitch; what the codec keeps and ignores. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  AddressError,
  apply,
  canonicalMatch,
  canonicalOxm,
  decode,
  encode,
  F,
  findOxm,
  flowKey,
  flowMod,
  flowStatsRequest,
  formatFlowStats,
  formatGroup,
  formatIpv4,
  formatIpv6,
  formatMac,
  formatMeter,
  gotoTable,
  Group,
  ipv4Mask,
  ipv6Mask,
  type Match,
  type Message,
  matchOf,
  NO_BUFFER,
  normaliseMatch,
  output,
  oxm,
  packetOut,
  parseIpv4,
  parseIpv6,
  parseMac,
  Port,
  prefixLength,
  TableId,
} from '../../ofproto/index.js';
import { match } from './generators.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

t.test('addresses', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff_ffff }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.oneof(
        fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
        // Zero groups in every place.
        fc
          .array(fc.constantFrom(0n, 0n, 1n, 0xffffn), { minLength: 8, maxLength: 8 })
          .map((groups) => groups.reduce<bigint>((value, group) => (value << 16n) | group, 0n)),
      ),
      (mac, ipv4, ipv6) =>
        parseMac(formatMac(mac)) === mac &&
        parseIpv4(formatIpv4(ipv4)) === ipv4 &&
        parseIpv6(formatIpv6(ipv6)) === ipv6,
    ),
  );
  for (const [value, text] of [
    [0n, '::'],
    [1n, '::1'],
    [0xffff_0a00_0001n, '::ffff:10.0.0.1'],
    [parseIpv6('2001:db8:0:0:1:0:0:1'), '2001:db8::1:0:0:1'],
    [parseIpv6('2001:DB8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1'],
    [parseIpv6('fe80::'), 'fe80::'],
  ] as const) {
    t.equal(formatIpv6(value), text);
  }
  for (const bad of ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', ' 1.2.3.4']) {
    t.throws(() => parseIpv4(bad), AddressError, bad);
  }
  for (const bad of [
    '',
    ':',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    'g::',
    '1.2.3.4',
  ]) {
    t.throws(() => parseIpv6(bad), AddressError, bad);
  }
  for (const bad of ['02:00:00:00:00', '02-00-00-00-00-01', '02:00:00:00:00:100']) {
    t.throws(() => parseMac(bad), { code: 'OFPROTO_ADDRESS', message: /write it as 02:00:00:00:00:01/ }, bad);
  }
  for (let bits = 0; bits <= 32; bits++) t.equal(prefixLength(BigInt(ipv4Mask(bits)), 32), bits);
  for (let bits = 0; bits <= 128; bits++) t.equal(prefixLength(ipv6Mask(bits), 128), bits);
  t.equal(prefixLength(0xff00ffffn, 32), undefined);
});

/** The same match in another order, with what means the same written otherwise. */
function rewritten(original: Match, order: readonly number[]): Match {
  return original
    .map((entry, i) => ({ entry, key: order[i] ?? 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ entry: { field, value, mask } }) =>
      mask === undefined && field.maskable && field.bytes > 0
        ? { field, value, mask: field.exactMask }
        : { field, value, mask },
    );
}

t.test('matches that mean the same have one canonical form', async (t) => {
  fc.assert(
    fc.property(match, fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }), (original, order) => {
      const other = rewritten(original, order);
      const normal = normaliseMatch(original);
      return (
        canonicalMatch(original) === canonicalMatch(other) &&
        canonicalMatch(normal) === canonicalMatch(original) &&
        isDeepStrictEqual(normaliseMatch(normal), normal)
      );
    }),
  );
  const same = (a: Match, b: Match): void => void t.equal(canonicalMatch(a), canonicalMatch(b));
  const differ = (a: Match, b: Match): void => void t.not(canonicalMatch(a), canonicalMatch(b));
  same([oxm(F.eth_dst, 1)], [oxm(F.nxm_eth_dst, 1)]);
  same([oxm(F.tunnel_id, 5n)], [oxm(F.nxm_tun_id, 5n)]);
  same([oxm(F.reg0, 0xff, 0x0f)], [oxm(F.reg0, 0x0f, 0x0f)]);
  same([oxm(F.reg0, 5, 0)], []);
  same(
    [oxm(F.eth_dst, 0xffff_0000_0001, 0xff00_0000_0001)],
    [oxm(F.eth_dst, 0xff00_0000_0001, 0xff00_0000_0001)],
  );
  same([oxm(F.metadata, 1n, (1n << 64n) - 1n)], [oxm(F.metadata, 1n)]);
  differ([oxm(F.reg0, 1)], [oxm(F.reg1, 1)]);
  differ([oxm(F.reg0, 1)], [oxm(F.reg0, 1, 1)]);
  differ([oxm(F.in_port, 1)], [oxm(F.nxm_in_port, 1)]);
  t.equal(canonicalOxm(oxm(F.ipv6_src, 1n, 0n)), undefined);
  t.equal(flowKey(1, 2, []), '1/2/');
  t.not(flowKey(1, 2, [oxm(F.reg0, 1)]), flowKey(1, 21, [oxm(F.reg0, 1)]));
  t.equal(findOxm(matchOf({ in_port: 4 }), F.in_port)?.value, 4);
  t.equal(findOxm(matchOf({ in_port: 4 }), F.reg0), undefined);
});

t.test('builders', async (t) => {
  t.match(flowMod({}), {
    priority: 0x8000,
    bufferId: NO_BUFFER,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    xid: 0,
  });
  t.match(packetOut({}), { bufferId: NO_BUFFER, inPort: Port.CONTROLLER, data: new Uint8Array(0) });
  t.match(flowStatsRequest(), {
    tableId: TableId.ALL,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    cookieMask: 0n,
  });
  t.same(output(4), { type: 'output', port: 4, maxLen: 0 });
  t.same(output(Port.CONTROLLER), { type: 'output', port: Port.CONTROLLER, maxLen: 0xffff });
  t.same(apply(output(1)), { type: 'apply_actions', actions: [output(1)] });
  t.same(gotoTable(3), { type: 'goto_table', table: 3 });
});

/** Paths to everything in a value that this library has no type for. */
function unknownIn(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const named = value as { type?: unknown; multipartType?: unknown; kind?: unknown };
  if ([named.type, named.multipartType, named.kind].includes('opaque')) return [value];
  return Object.values(value).flatMap(unknownIn);
}

t.test('what Open vSwitch and ovs-ofctl say is understood to the last byte', async (t) => {
  const recorded = readFileSync(
    new URL('../../../test/ofproto/fixtures/open-vswitch.txt', import.meta.url),
    'utf8',
  );
  const texts: string[] = [];
  const printed: string[] = [];
  const types = new Set<string>();
  for (const line of recorded.split('\n')) {
    const [sign = '', text = ''] = [line.slice(0, 1), line.slice(2)];
    if (sign === '=') printed.push(text.trim());
    if (sign !== '<' && sign !== '>') continue;
    const message = decode(bytesOf(text));
    t.equal(hex(encode(message)), text);
    t.same(unknownIn(message), []);
    types.add(message.type);
    if (message.type !== 'multipart_reply') continue;
    if (message.multipartType === 'flow') texts.push(...message.body.map(formatFlowStats));
    if (message.multipartType === 'group_desc') texts.push(...message.body.map(formatGroup));
    if (message.multipartType === 'meter_config') {
      texts.push(...message.body.flatMap((meter) => formatMeter(meter).split('\n')));
    }
  }
  t.same(texts, printed, 'and written as ovs-ofctl writes it');
  t.equal(types.size, 21);
});

const FLOW_MOD_HEAD = '040eLLLL00000001' + '00'.repeat(22) + '8000 ffffffff ffffffff ffffffff 0000 0000';
/** A FLOW_MOD with these bytes as its match and instructions. */
function rawFlowMod(rest: string): Uint8Array {
  const text = (FLOW_MOD_HEAD + rest).replaceAll(' ', '');
  return bytesOf(text.replace('LLLL', (text.length / 2).toString(16).padStart(4, '0')));
}

t.test('a mask on a field that has none is kept, and is not taken for an exact value', async (t) => {
  const bytes = rawFlowMod('0001 0010 80000108 00000001 000000ff');
  const message = decode(bytes) as Message & { type: 'flow_mod' };
  t.equal(findOxm(message.match, F.in_port), undefined);
  t.match(message.match, [
    { field: { kind: 'opaque', number: 0, hasMask: true }, value: bytesOf('00000001000000ff') },
  ]);
  t.equal(hex(encode(message)), hex(bytes));
});

t.test('bytes of padding that are not zero are ignored, and written as zeros', async (t) => {
  const clean = flowMod({
    xid: 1,
    match: matchOf({ eth_type: 0x0800 }),
    instructions: [apply(output(2)), gotoTable(3)],
  });
  const bytes = encode(clean).slice();
  const dirty = bytes.slice();
  // Of flow_mod, match, instruction, action, instruction.
  for (const at of [46, 47, 58, 63, 68, 71, 82, 87, 93, 95]) {
    t.equal(dirty[at], 0, `byte ${at} is padding`);
    dirty[at] = 0xff;
  }
  t.same(decode(dirty), clean);
  t.equal(hex(encode(decode(dirty))), hex(bytes));
});

t.test('an action that is not understood stays as it came', async (t) => {
  // NXAST_LEARN2 (45): learn(table=1,limit=5,NXM_OF_VLAN_TCI[0..11]).
  const learn2 =
    'ffff0038 00002320 002d 0000 0000 8000 0000000000000000 0000 01 00 0000 0000 00000005 0000 0000' +
    '000c 00000802 0000 00000802 0000 0000';
  const bytes = rawFlowMod(`0001 0004 00000000 0004 0040 00000000 ${learn2}`);
  const message = decode(bytes) as Message & { type: 'flow_mod' };
  t.match(message.instructions, [{ actions: [{ type: 'opaque', number: 0xffff }] }]);
  t.equal(hex(encode(message)), hex(bytes));
});
