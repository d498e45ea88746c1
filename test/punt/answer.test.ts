// Headers from hostile bytes, and what rejected packets are answered with. scapy makes the packets, tshark reads the answers.
import fc from 'fast-check';
import t from 'tap';
import { answerTo } from '../../controller/punt/answer.js';
import { parsePacket } from '../../controller/punt/packet.js';
import { hasScapy, hasTshark, scapyFrames, tsharkFields } from './foreign.js';
import { expressions, type FrameName as Name, frames } from './scapy-frames.js';

const answered = (name: Name): Uint8Array => {
  const answer = answerTo(frames[name].subarray(0, 128));
  if (answer.kind === 'none') throw new Error(`${name} is not answered: ${answer.why}`);
  return answer.frame;
};

/** One line for each layer. */
const FIELDS = `
  eth.src eth.dst vlan.id frame.len _ws.malformed
  ip.src ip.dst ip.len ip.proto ip.ttl ip.checksum.status ipv6.src ipv6.dst ipv6.plen
  tcp.srcport tcp.dstport tcp.seq tcp.ack tcp.flags tcp.len tcp.checksum.status udp.dstport
  icmp.type icmp.code icmp.checksum.status icmpv6.type icmpv6.code icmpv6.checksum.status`
  .trim()
  .split(/\s+/);

const tshark = hasTshark() ? {} : { skip: 'tshark is not installed' };
const scapy = hasScapy() ? {} : { skip: 'scapy is not installed' };

t.test('the packets are what scapy makes', scapy, async (t) => {
  t.same(scapyFrames(expressions), frames);
});

t.test('answers as tshark reads them', tshark, async (t) => {
  const names: Name[] = ['syn', 'ack', 'dataAndFin', 'options', 'syn6', 'ack6', 'tagged'];
  const errors: Name[] = ['udp', 'udpLong', 'udp6', 'udp6Long', 'ping', 'ping6', 'sctp', 'gre', 'padded'];
  const shown = tsharkFields([...names, ...errors].map(answered), FIELDS);
  const of = (name: Name) => shown[[...names, ...errors].indexOf(name)];
  const GOOD = '1';

  const back4 = {
    'eth.src': ['02:02:0a:01:01:02'],
    'eth.dst': ['02:02:0a:01:01:01'],
    'ip.checksum.status': [GOOD],
    'tcp.checksum.status': [GOOD],
    'tcp.len': ['0'],
    'tcp.srcport': ['80'],
    'tcp.dstport': ['40000'],
    'ip.src': ['10.1.1.2'],
    'ip.dst': ['10.1.1.1'],
    'ip.len': ['40'],
  };
  t.match(
    of('syn'),
    { ...back4, 'tcp.seq': ['0'], 'tcp.ack': ['0'], 'tcp.flags': ['0x0014'] },
    'wraps around',
  );
  t.match(of('ack'), {
    ...back4,
    'tcp.seq': [String(0xfedcba98)],
    'tcp.ack': ['0'],
    'tcp.flags': ['0x0004'],
  });
  t.match(
    of('dataAndFin'),
    { ...back4, 'tcp.seq': ['0'], 'tcp.ack': ['1100'], 'tcp.flags': ['0x0014'] },
    'acknowledges 99 bytes and the FIN',
  );
  t.match(of('options'), { ...back4, 'tcp.srcport': ['2'], 'tcp.dstport': ['1'], 'tcp.ack': ['6'] });
  const back6 = {
    'tcp.checksum.status': [GOOD],
    'ipv6.src': ['fd00::2'],
    'ipv6.dst': ['fd00::1'],
    'ipv6.plen': ['20'],
    'tcp.len': ['0'],
  };
  t.match(of('syn6'), { ...back6, 'tcp.seq': ['0'], 'tcp.ack': ['42'], 'tcp.flags': ['0x0014'] });
  t.match(of('ack6'), { ...back6, 'tcp.seq': ['9'], 'tcp.ack': ['0'], 'tcp.flags': ['0x0004'] });
  t.match(of('tagged'), { 'vlan.id': ['7'], 'tcp.ack': ['2'], 'tcp.checksum.status': [GOOD] });

  const prohibited4 = { 'icmp.type': ['3'], 'icmp.code': ['13'], 'icmp.checksum.status': [GOOD] };
  t.match(of('udp'), {
    ...prohibited4,
    'ip.src': ['10.1.1.2', '10.1.1.1'],
    'ip.dst': ['10.1.1.1', '10.1.1.2'],
    'ip.ttl': ['64', '61'],
    'ip.len': ['59', '31'],
    'udp.dstport': ['6'],
    '_ws.malformed': [],
  });
  t.match(of('udpLong'), { ...prohibited4, 'ip.len': [String(28 + 114), String(1428)] }, 'what was captured');
  t.match(of('padded'), { ...prohibited4, 'ip.len': ['57', '29'] }, 'quotes no padding of the link');
  t.match(of('ping'), { 'icmp.type': ['3', '8'], 'icmp.code': ['13', '0'] });
  t.match(of('sctp'), prohibited4);
  t.match(of('gre'), { ...prohibited4, 'ip.proto': ['1', '47'] });
  const prohibited6 = { 'icmpv6.type': ['1'], 'icmpv6.code': ['1'], 'icmpv6.checksum.status': [GOOD] };
  t.match(of('udp6'), {
    ...prohibited6,
    'ipv6.src': ['fd00::2', 'fd00::1'],
    'ipv6.dst': ['fd00::1', 'fd00::2'],
    'ipv6.plen': ['59', '11'],
    'udp.dstport': ['6'],
  });
  t.match(of('udp6Long'), { ...prohibited6, 'ipv6.plen': [String(8 + 114), String(1408)] });
  t.match(of('ping6'), { 'icmpv6.type': ['1', '128'], 'icmpv6.code': ['1', '0'] });
});

t.test('whole packets are quoted up to what the RFCs allow', async (t) => {
  const lengthOf = (name: Name): number => {
    const answer = answerTo(frames[name]);
    return answer.kind === 'none' ? 0 : answer.frame.length - 14;
  };
  t.equal(lengthOf('udpLong'), 576);
  t.equal(lengthOf('udp6Long'), 1280);
});

t.test('what must not be answered', async (t) => {
  const none = (why: string, ...names: Name[]) => {
    for (const name of names) t.strictSame(answerTo(frames[name]), { kind: 'none', why }, name);
  };
  none('tcp-reset', 'reset');
  none('icmp-error', 'unreachable', 'exceeded6', 'redirect6');
  none('fragment', 'first', 'second', 'first6', 'second6');
  none('multicast', 'broadcast', 'multicast', 'multicast6');
  none('source', 'unspecified', 'loopback', 'unspecified6', 'groupSource');
  none('unreadable', 'arp', 'shortTcp', 'endlessExtensions');
});

t.test('an answer is never answered, so that two controllers cannot talk for ever', async (t) => {
  for (const name of ['syn', 'ack', 'syn6', 'udp', 'udp6', 'ping', 'ping6', 'gre'] as const) {
    t.equal(answerTo(answered(name)).kind, 'none', name);
  }
});

t.test('headers', async (t) => {
  t.match(parsePacket(frames.arp).arp, {
    operation: 1,
    senderAddress: 0x0a010101,
    targetAddress: 0x0a010102,
  });
  t.match(parsePacket(frames.ack6), {
    ip: { version: 6, protocol: 6, isFragment: false, complete: true },
    transport: { kind: 'tcp', sourcePort: 40000, destinationPort: 80 },
  });
  t.match(parsePacket(frames.second), { ip: { fragmentOffset: 64, protocol: 17 } });
  t.equal(parsePacket(frames.second).transport, undefined, 'a later fragment has no ports');
  t.match(parsePacket(frames.second6), { ip: { fragmentOffset: 64, protocol: 6, complete: true } });
  t.match(parsePacket(frames.options), { transport: { kind: 'tcp', sourcePort: 1, destinationPort: 2 } });
  t.equal(parsePacket(frames.endlessExtensions).ip?.complete, false);
});

t.test('any bytes, cut off anywhere', async () => {
  const hostile = fc
    .tuple(
      fc.constantFrom(...Object.values(frames)),
      fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 12 }),
      fc.nat(300),
    )
    .map(([frame, changes, length]) => {
      const changed = frame.slice(0, length);
      for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
      return changed;
    });
  fc.assert(
    fc.property(fc.oneof(hostile, fc.uint8Array({ maxLength: 160 })), (frame) => {
      const answer = answerTo(frame);
      if (answer.kind === 'none') return true;
      // it goes back to where the packet came from, and is itself in order
      const { ethernet, ip } = parsePacket(frame);
      const back = parsePacket(answer.frame);
      return (
        back.ethernet?.destination === ethernet?.source &&
        back.ip?.source === ip?.destination &&
        back.ip?.destination === ip?.source &&
        back.transport !== undefined &&
        back.ip !== undefined &&
        back.ip.offset + back.ip.totalLength === answer.frame.length
      );
    }),
    { numRuns: 5_000 },
  );
});
