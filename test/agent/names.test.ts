/** Answers to DNS questions: by message, without sockets but where it is about them. */
import packet from 'dns-packet';
import fc from 'fast-check';
import t from 'tap';
import {
  NAME_SERVER as SERVER_NUMBER,
  NAME_SERVER_MAC as MAC_NUMBER,
  ASKER_PREFIX,
} from '../../apps/names.js';
import { NAME_SERVER, NAME_SERVER_MAC, portOfAsker } from '../../agent/names/link.js';
import { addressOfReverse, type Named, Resolver } from '../../agent/names/resolver.js';
import { NameServer } from '../../agent/names/server.js';
import { Forwarder } from '../../agent/names/forwarder.js';
import { resolveOptions } from '../../agent/options.js';
import { silentLogger } from '../../agent/logger.js';
import { formatIpv4, formatMac } from '../../controller/model/address.js';
import { createSocket } from 'node:dgram';

const ASKER = 'acme/web/a';
const NOBODY: Named = { exists: false, addresses: [], names: [] };

/** A resolver whose controller knows these names, and can be away. */
function resolverOf(names: Record<string, Named>) {
  const asked: string[] = [];
  const forwarded: Buffer[] = [];
  const state = { away: false, now: 0 };
  const resolver = new Resolver({
    domain: 'weft.internal',
    lookUp: async ({ name, address }) => {
      if (state.away) throw new Error('the controller is away');
      asked.push(name ?? address ?? '');
      return names[(name ?? address ?? '').toLowerCase()] ?? NOBODY;
    },
    forward: async (message) => {
      forwarded.push(message);
      return message;
    },
    now: () => state.now,
  });
  return { resolver, asked, forwarded, state };
}

const question = (name: string, type: packet.RecordType = 'A', more: Partial<packet.Packet> = {}) =>
  packet.encode({
    type: 'query',
    id: 7,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
    ...more,
  });
const rcodeOf = (answer: Buffer | undefined): number => (answer?.readUInt16BE(2) ?? 0xf) & 0xf;

t.test('both sides mean the same addresses', async (t) => {
  t.equal(NAME_SERVER, formatIpv4(SERVER_NUMBER));
  t.equal(NAME_SERVER_MAC, formatMac(MAC_NUMBER));
  for (const port of [1, 255, 256, 0xfeff]) t.equal(portOfAsker(formatIpv4(ASKER_PREFIX + port)), port);
  t.equal(portOfAsker('10.0.0.1'), undefined);
});

t.test('what is ours, what is not, and what is remembered', async (t) => {
  const db: Named = { exists: true, addresses: ['10.1.1.2', 'fd00::2'], names: [] };
  const { resolver, asked, forwarded, state } = resolverOf({
    'db.back': db,
    '10.1.1.2': { ...NOBODY, exists: true, names: ['db.back'] },
  });
  const ask = async (name: string, type: packet.RecordType = 'A') => {
    const answer = await resolver.answer(ASKER, question(name, type), 'udp');
    return {
      rcode: rcodeOf(answer),
      data: packet
        .decode(answer ?? Buffer.alloc(12))
        .answers?.map((record) => ('data' in record ? record.data : '')),
    };
  };
  t.strictSame(await ask('db.back.weft.internal'), { rcode: 0, data: ['10.1.1.2'] });
  t.strictSame(await ask('DB.back.Weft.Internal', 'AAAA'), { rcode: 0, data: ['fd00::2'] });
  t.strictSame(await ask('2.1.1.10.in-addr.arpa', 'PTR'), { rcode: 0, data: ['db.back.weft.internal'] });
  t.equal(asked.length, 2, 'a name is asked for once, whatever the type and the case');
  t.strictSame(await ask('nobody.weft.internal'), { rcode: 3, data: [] });
  await ask('example.org');
  await ask('9.9.9.9.in-addr.arpa', 'PTR');
  await ask('notweft.internal');
  t.equal(forwarded.length, 3);

  state.away = true;
  state.now = 60_000;
  t.strictSame(
    await ask('db.back.weft.internal'),
    { rcode: 0, data: ['10.1.1.2'] },
    'stale is better than nothing',
  );
  t.equal((await ask('never.weft.internal')).rcode, 2);
  state.away = false;
  await ask('db.back.weft.internal');
  t.equal(asked.filter((name) => name.toLowerCase() === 'db.back').length, 2, 'asked again when it is old');
  state.away = true;
  state.now += 25 * 3_600_000;
  t.equal((await ask('db.back.weft.internal')).rcode, 2, 'and not for ever');
});

t.test('an answer fits into what the asker takes', async (t) => {
  const many = Array.from({ length: 20 }, (_, index) => `fd00:1:2:3:4:5:6:${(0x1000 + index).toString(16)}`);
  const { resolver } = resolverOf({ 'all.groups': { exists: true, addresses: many, names: [] } });
  const name = 'all.groups.weft.internal';
  const edns: packet.OptAnswer = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 4_096,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  const plain = (await resolver.answer(ASKER, question(name, 'AAAA'), 'udp')) ?? Buffer.alloc(0);
  t.ok(plain.length <= 512 && packet.decode(plain).flag_tc, 'truncated without EDNS');
  const large =
    (await resolver.answer(ASKER, question(name, 'AAAA', { additionals: [edns] }), 'udp')) ?? Buffer.alloc(0);
  t.ok(large.length > 512 && large.length <= 1_232);
  t.equal(packet.decode(large).answers?.length, 20);
  t.equal(packet.decode(large).additionals?.[0]?.type, 'OPT');
  const stream = (await resolver.answer(ASKER, question(name, 'AAAA'), 'tcp')) ?? Buffer.alloc(0);
  t.equal(packet.decode(stream).answers?.length, 20);
});

t.test('whatever bytes come, the answer is none or one that belongs to them', async (t) => {
  const { resolver } = resolverOf({});
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc.tuple(fc.nat(39), fc.nat(255)).map(([at, byte]) => {
          const bytes = Uint8Array.from(question('a.weft.internal'));
          bytes[at % bytes.length] = byte;
          return bytes;
        }),
      ),
      async (bytes) => {
        const message = Buffer.from(bytes);
        const answer = await resolver.answer(ASKER, message, 'udp');
        if (answer !== undefined && answer !== message) {
          t.equal(answer.readUInt16BE(0), message.readUInt16BE(0));
          t.ok((answer[2] ?? 0) >= 0x80, 'it is an answer');
        }
      },
    ),
    { numRuns: 300 },
  );
  t.equal(await resolver.answer(ASKER, packet.encode({ type: 'response', id: 1 }), 'udp'), undefined);
  t.equal(rcodeOf(await resolver.answer(ASKER, packet.encode({ type: 'query', id: 1 }), 'udp')), 1);
});

t.test('reverse names', async (t) => {
  t.equal(addressOfReverse('4.3.2.1.in-addr.arpa'), '1.2.3.4');
  t.equal(addressOfReverse('4.3.2.256.in-addr.arpa'), undefined);
  t.equal(addressOfReverse('3.2.1.in-addr.arpa'), undefined);
  t.equal(addressOfReverse(`${'1.'.repeat(31)}f.ip6.arpa`), `f111${':1111'.repeat(7)}`);
});

t.test('the server answers endpoints alone, and each only so much at a time', async (t) => {
  let open = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  const server = await NameServer.start({
    address: '127.0.0.1',
    port: 0,
    endpointOf: (address) => (address === '127.0.0.1' ? ASKER : undefined),
    answer: async (_, message) => {
      most = Math.max(most, ++open);
      await new Promise<void>((resolve) => waiting.push(resolve));
      open--;
      return message;
    },
    logger: silentLogger,
  });
  t.teardown(() => server.close());
  const [asker, stranger] = [createSocket('udp4'), createSocket('udp4')];
  t.teardown(() => asker.close());
  t.teardown(() => stranger.close());
  await new Promise<void>((resolve) => stranger.bind({ address: '127.0.0.2', port: 0 }, resolve));
  stranger.send(question('a.weft.internal'), server.port, '127.0.0.1');
  for (let sent = 0; sent < 150; sent++) asker.send(question('a.weft.internal'), server.port, '127.0.0.1');
  // Over TCP the questions of the asker come after those over UDP were seen.
  const forwarder = new Forwarder({ upstreams: () => [`127.0.0.1#${server.port}`], timeoutMs: 300 });
  await t.rejects(forwarder.ask(question('b.weft.internal'), 'udp'), /did not answer/, 'too many are open');
  t.equal(most, 100);
  for (const resolve of waiting.splice(0)) resolve();
  const last = new Forwarder({ upstreams: () => [`127.0.0.1#${server.port}`], timeoutMs: 10_000 }).ask(
    question('b.weft.internal'),
    'tcp',
  );
  const ticking = setInterval(() => waiting.splice(0).forEach((resolve) => resolve()), 10);
  t.equal((await last).readUInt16BE(0), 7, 'and then they are answered again');
  clearInterval(ticking);
});

t.test('options', async (t) => {
  const base = { hostLabel: 'h1', controller: '127.0.0.1' };
  t.equal(resolveOptions(base).dns, undefined);
  t.strictSame(resolveOptions({ ...base, dns: true }).dns, { domain: 'weft.internal' });
  t.strictSame(
    resolveOptions({ ...base, dns: 'cluster.example.', dnsForward: '9.9.9.9, 2001:db8::1, 10.0.0.1#5353' })
      .dns,
    {
      domain: 'cluster.example',
      upstreams: ['9.9.9.9', '2001:db8::1', '10.0.0.1#5353'],
    },
  );
  t.throws(() => resolveOptions({ ...base, dns: 'no domain' }), {
    code: 'agent.option.invalid',
    path: 'dns',
  });
  t.throws(() => resolveOptions({ ...base, dns: true, dnsForward: 'example' }), {
    code: 'agent.option.invalid',
    path: 'dnsForward',
  });
});
