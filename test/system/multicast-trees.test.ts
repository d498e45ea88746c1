/**
 * Distribution trees and multicast groups on real Open vSwitch: four hosts, a tree from the third one on, streams whose packets are numbered and
 * counted at every endpoint.
 */
import t from 'tap';
import { type Daemon, until } from '../../topologies/lab/index.js';
import { tsharkFields } from '../punt/foreign.js';
import { vxlan } from './bridging-frames.js';
import { BridgedLab, type Watch } from './bridging-support.js';

const LONG = 60_000;
const VNI = 5001;
const COLOUR = 2 ** 22;
/** Room for no colour. */
const LARGE_VNI = COLOUR + 77;
const GROUP = '239.1.2.3';
const multicast = { headEndLimit: 2, degree: 2 } as const;
const PLACES = { a: 'h1', b: 'h2', c: 'h3', d: 'h4', e: 'h1' } as const;
type Name = keyof typeof PLACES;
const NAMES = Object.keys(PLACES) as Name[];

t.setTimeout(300_000);
const network = { kind: 'Network', tenant: 'acme', encapsulation: 'vxlan', multicast } as const;
const bridged = await BridgedLab.start(4, [
  { kind: 'Tenant', name: 'acme' },
  { ...network, name: 'web', tag: VNI, subnet: '10.1.1.0/24' },
  { ...network, name: 'far', tag: LARGE_VNI, subnet: '10.1.2.0/24' },
]);
t.teardown(() => bridged.stop());
const idOf = (name: Name): string => `acme/web/${name}`;
for (const [name, host] of Object.entries(PLACES)) await bridged.attach(`acme/web/${name}`, host);
for (const host of ['h1', 'h2', 'h3']) await bridged.attach(`acme/far/${host}`, host);
await Promise.all([...bridged.lab.hosts.values()].map((host) => host.learnTunnelPeers()));

/** Sends `<name>-<number>;` until it is killed, 200 each second. */
const STREAM = `
import socket, sys, time
to, name = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
number = 0
while True:
    s.sendto(('%s-%06d;' % (name, number)).encode(), (to, 5000))
    number += 1
    time.sleep(0.005)
`;
const RECEIVER = `
import socket, struct, sys, threading
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack('=4s4si', socket.inet_aton(sys.argv[1]), b'\\0' * 4, socket.if_nametoindex('eth0')))
print('joined', flush=True)
threading.Event().wait()
`;
let daemons = 0;
const python = (name: Name, script: string, ...args: string[]): Daemon =>
  bridged.endpoint(idOf(name)).spawn(`python-${++daemons}`, ['/usr/bin/python3', '-c', script, ...args]);

/** How often each number of a stream was seen at an endpoint. */
function counts(watch: Watch, name: Name, stream: string): Map<number, number> {
  const seen = new Map<number, number>();
  for (const frame of watch.at(idOf(name), `${stream}-`)) {
    const number = Number(/-(\d{6});/.exec(Buffer.from(frame).toString('latin1'))?.[1]);
    seen.set(number, (seen.get(number) ?? 0) + 1);
  }
  return seen;
}

/** What is wrong with a stream at an endpoint between two numbers, ends included. */
function faults(seen: ReadonlyMap<number, number>, first: number, last: number): string[] {
  const wrong: string[] = [];
  for (let number = first; number <= last; number++) {
    const copies = seen.get(number) ?? 0;
    if (copies !== 1) wrong.push(`${number}: ${copies}`);
  }
  return wrong;
}

const lastOf = (seen: ReadonlyMap<number, number>): number => Math.max(-1, ...seen.keys());

/** Waits until the sender itself has sent so many packets of a stream, and returns the number of the last one. */
async function sentTo(watch: Watch, sender: Name, stream: string, atLeast: number): Promise<number> {
  let last = -1;
  const enough = () => (last = lastOf(counts(watch, sender, stream))) >= atLeast;
  await until(`${stream} at ${sender} to reach ${atLeast}`, enough, LONG);
  return last;
}

async function arrived(watch: Watch, names: readonly Name[], stream: string, last: number): Promise<void> {
  for (const name of names) {
    const there = () => lastOf(counts(watch, name, stream)) >= last;
    await until(`${stream} ${last} at ${name}`, there, LONG);
  }
}

/** VNIs of the copies that left a host with a text inside. */
const vnisFrom = (watch: Watch, host: string, text: string): number[] =>
  watch.at(`${host}/underlay`, text).flatMap((frame) => {
    const outer = vxlan(frame);
    return outer !== undefined && outer.from === bridged.lab.host(host).vtepIp ? [outer.vni] : [];
  });

t.test(
  'broadcast travels a tree: one copy for everybody, two from each host, a colour in the VNI',
  async (t) => {
    const watch = await bridged.watch();
    // The tree comes when the third host has joined, and another one with the fourth; each host takes it up by itself.
    let tries = 0;
    const travelsTree = async (name: Name): Promise<boolean> => {
      const text = `try-${++tries};`;
      await bridged.endpoint(idOf(name)).send('eth0', [bridged.broadcastFrame(idOf(name), text)]);
      await until('the copies', () => vnisFrom(watch, PLACES[name], text).length > 0, LONG);
      const all = NAMES.map((at) => watch.at(idOf(at), text).length);
      return (
        vnisFrom(watch, PLACES[name], text).every((vni) => vni > COLOUR) &&
        all.every((copies) => copies === 1)
      );
    };
    for (const name of NAMES) await until(`a tree for ${name}`, () => travelsTree(name), LONG);
    const frames = await Promise.all(
      NAMES.map(async (name) => {
        const texts = Array.from({ length: 20 }, (_, n) => `from-${name}-${String(n).padStart(6, '0')};`);
        const sent = texts.map((text) => bridged.broadcastFrame(idOf(name), text));
        await bridged.endpoint(idOf(name)).send('eth0', sent);
        await arrived(watch, NAMES, `from-${name}`, 19);
        return texts;
      }),
    );
    for (const sender of NAMES) {
      for (const name of NAMES) {
        t.strictSame(faults(counts(watch, name, `from-${sender}`), 0, 19), [], `from ${sender} at ${name}`);
      }
      const text = `from-${sender}-000007;`;
      const found = () => ['h1', 'h2', 'h3', 'h4'].map((host) => vnisFrom(watch, host, text));
      await until('the copies in the underlay', () => found().flat().length >= 3, LONG);
      const copies = found();
      t.equal(copies.flat().length, 3, 'three edges');
      t.ok(Math.max(...copies.map(({ length }) => length)) <= 2);
      t.equal(new Set(copies.flat()).size, 1, 'one colour');
    }
    t.equal(frames.flat().length, 100);
    const [one] = watch.at('h1/underlay', 'from-a-000003;');
    const [decoded] = tsharkFields(one === undefined ? [] : [one], ['vxlan.vni', 'eth.dst']);
    const vni = Number(decoded?.['vxlan.vni']?.[0]);
    t.equal(vni % COLOUR, VNI, 'tshark sees the VNI of the network');
    t.ok(vni > COLOUR, 'and a colour above it');
    await watch.stop();
  },
);

t.test('a VNI without room for colours: replicated by the sender', async (t) => {
  const watch = await bridged.watch();
  const text = 'far-away;';
  await bridged.endpoint('acme/far/h1').send('eth0', [bridged.broadcastFrame('acme/far/h1', text)]);
  await watch.arrival(text, ['acme/far/h2', 'acme/far/h3']);
  await bridged.fence(watch, ['acme/far/h1']);
  await until('both copies', () => vnisFrom(watch, 'h1', text).length >= 2, LONG);
  t.strictSame(vnisFrom(watch, 'h1', text), [LARGE_VNI, LARGE_VNI]);
  t.equal(watch.at('acme/far/h2', text).length, 1);
  t.strictSame(
    watch.seenBy(text).filter((id) => id.startsWith('acme/web')),
    [],
  );
  await watch.stop();
});

t.test('a group: joins and leaves during a stream cost nobody else a packet', async (t) => {
  await bridged.endpoint(idOf('a')).ip('route add 224.0.0.0/4 dev eth0');
  const watch = await bridged.watch();
  const receivers = new Map<Name, Daemon>();
  const join = async (name: Name) => {
    const daemon = python(name, RECEIVER, GROUP);
    receivers.set(name, daemon);
    await until(`${name} to join`, () => daemon.log().includes('joined'), LONG);
  };
  const stays: readonly Name[] = ['b', 'c', 'e'];
  for (const name of stays) await join(name);
  const stream = python('a', STREAM, GROUP, 'stream');
  // Others get it until all receivers are known.
  let settled = await sentTo(watch, 'a', 'stream', 50);
  await until(
    'only receivers to get it',
    async () => {
      const from = settled;
      settled = await sentTo(watch, 'a', 'stream', from + 50);
      await arrived(watch, stays, 'stream', settled);
      return lastOf(counts(watch, 'd', 'stream')) < from;
    },
    LONG,
  );
  const quiet = lastOf(counts(watch, 'd', 'stream'));
  t.ok(quiet < settled, `the host without receivers gets none after ${quiet}`);

  await join('d');
  await until('the stream at d', () => lastOf(counts(watch, 'd', 'stream')) > settled, LONG);
  const joined = await sentTo(watch, 'a', 'stream', lastOf(counts(watch, 'd', 'stream')) + 300);
  await arrived(watch, [...stays, 'd'], 'stream', joined);
  await receivers.get('d')?.stop();
  const left = await sentTo(watch, 'a', 'stream', joined + 200);
  const end = await sentTo(watch, 'a', 'stream', left + 300);
  await arrived(watch, stays, 'stream', end);
  for (const name of stays) {
    t.strictSame(faults(counts(watch, name, 'stream'), settled, end), [], `${name}: none lost, none twice`);
  }
  const atD = counts(watch, 'd', 'stream');
  t.equal([...atD.values()].filter((copies) => copies > 1).length, 0, 'd: none twice');
  t.ok(lastOf(atD) < left, 'd gets none after it left');
  await stream.stop('SIGKILL');
  for (const daemon of receivers.values()) await daemon.stop('SIGKILL');
  await watch.stop();
});

t.test('the controller restarts during a stream: no packet lost, none twice', async (t) => {
  const watch = await bridged.watch();
  const stream = python('a', STREAM, '255.255.255.255', 'restart');
  const others: readonly Name[] = ['b', 'c', 'd', 'e'];
  const first = await sentTo(watch, 'a', 'restart', 20);
  await bridged.restartController(async () => {
    await sentTo(watch, 'a', 'restart', first + 100);
  });
  const last = await sentTo(watch, 'a', 'restart', lastOf(counts(watch, 'a', 'restart')) + 400);
  await arrived(watch, others, 'restart', last);
  for (const name of others) t.strictSame(faults(counts(watch, name, 'restart'), first, last), [], name);
  await stream.stop('SIGKILL');
  await watch.stop();
});

t.test('a host that relays is killed during a stream: the others have it back soon', async (t) => {
  const watch = await bridged.watch();
  const stream = python('a', STREAM, '255.255.255.255', 'killed');
  const first = await sentTo(watch, 'a', 'killed', 100);
  const text = `killed-${String(first - 20).padStart(6, '0')};`;
  const relay = await until(
    'a host to relay',
    () => ['h2', 'h3', 'h4'].find((host) => vnisFrom(watch, host, text).length > 0),
    LONG,
  );
  const { host, peer } = bridged.agent(relay);
  await host.stopOvs('SIGKILL');
  peer?.close('killed');
  const others = NAMES.filter((name) => name !== 'a' && PLACES[name] !== relay);
  const from = lastOf(counts(watch, 'a', 'killed'));
  await arrived(watch, others, 'killed', from + 300);
  const last = from + 300;
  for (const name of others) {
    const seen = counts(watch, name, 'killed');
    const missing = faults(seen, first, last);
    t.comment(`${name}: ${missing.length * 5} ms without the stream after ${relay} was killed`);
    t.equal([...seen.values()].filter((copies) => copies > 1).length, 0, `${name}: none twice`);
    t.ok(missing.length < 1000, `${name}: back in less than 5 s`);
  }
  await stream.stop('SIGKILL');
  await watch.stop();
});
