/** Connections that an agent brings back after a restart of its switch: what is read of them, and the packets that stand for them. */
import t from 'tap';
import { keyOf, parseConnections, reversed, TCP, UDP } from '../../agent/connections/connection.js';
import { packetOf } from '../../agent/connections/packet.js';

const tuple = (source: string, destination: string, ports: readonly [number, number]) =>
  `(src=${source},dst=${destination},sport=${ports[0]},dport=${ports[1]})`;
const line = (protocol: string, a: string, b: string, rest: string, back = tuple(b, a, [80, 1000])) =>
  `${protocol},orig=${tuple(a, b, [1000, 80])},reply=${back}${rest}`;
const [A, B] = ['10.1.1.1', '10.1.1.2'];
const ESTABLISHED = ',zone=7,protoinfo=(state=ESTABLISHED)';

t.test('of a dump, those connections are kept that can be begun again', async (t) => {
  const kept = [
    line('tcp', A, B, ESTABLISHED),
    line('tcp', 'fd00::1', 'fd00::2', ',zone=9,protoinfo=(state=FIN_WAIT_2)'),
    line('udp', A, B, ',zone=7'),
  ];
  const closed = ['SYN_SENT', 'TIME_WAIT'].map((state) =>
    line('tcp', A, B, `,zone=8,protoinfo=(state=${state})`),
  );
  const left = [
    line('tcp', A, B, ',protoinfo=(state=ESTABLISHED)'),
    line('tcp', A, B, ',zone=7,mark=1,protoinfo=(state=ESTABLISHED)'),
    line('tcp', A, B, ESTABLISHED, tuple('10.9.9.9', A, [80, 1000])),
    line('tcp', A, B, ESTABLISHED, tuple(B, A, [80, 2000])),
    `icmp,orig=(src=${A},dst=${B},id=1,type=8,code=0),reply=(src=${B},dst=${A},id=1,type=0,code=0),zone=7`,
    'something else',
    '',
  ];
  const connections = parseConnections([...kept, ...left, ...closed].join('\n'));
  const ports = { sourcePort: 1000, destinationPort: 80, closed: false };
  t.strictSame(connections, [
    { protocol: TCP, source: A, destination: B, ...ports, zone: 7 },
    { protocol: TCP, source: 'fd00::1', destination: 'fd00::2', ...ports, zone: 9 },
    { protocol: UDP, source: A, destination: B, ...ports, zone: 7 },
    { protocol: TCP, source: A, destination: B, ...ports, zone: 8, closed: true },
    { protocol: TCP, source: A, destination: B, ...ports, zone: 8, closed: true },
  ]);
  t.equal(new Set(connections.map(keyOf)).size, 4);
});

t.test('packets that Open vSwitch takes for those of a connection', async (t) => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const connection = {
    source: A,
    destination: B,
    sourcePort: 1000,
    destinationPort: 80,
    zone: 7,
    closed: false,
  };
  const ethernet = '020000000002020000000001';
  // As scapy writes them.
  const ipv4 = `${ethernet}0800450000`;
  const ipv6 = `${ethernet}86dd60000000`;
  const addresses = `${'fd'.padEnd(31, '0')}1${'fd'.padEnd(31, '0')}2`;
  t.equal(
    hex(packetOf({ ...connection, protocol: TCP })),
    `${ipv4}2800004000400624cc0a0101010a01010203e8005000000000000000005010ffff95980000`,
  );
  t.equal(
    hex(packetOf(reversed({ ...connection, protocol: UDP }))),
    `${ipv4}1c00004000401124cd0a0101020a010101005003e80008e5a1`,
  );
  const over6 = { ...connection, source: 'fd00::1', destination: 'fd00::2' };
  t.equal(hex(packetOf({ ...over6, protocol: UDP })), `${ipv6}00081140${addresses}03e80050000801a2`);
  t.equal(
    hex(packetOf({ ...over6, protocol: TCP })),
    `${ipv6}00140640${addresses}03e8005000000000000000005010ffffb1980000`,
  );
});
