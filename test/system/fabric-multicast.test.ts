/**
 * Multicast in a fabric with a loop on real Open vSwitch: sockets of the kernel that join and leave by every version of IGMP and MLD, copies
 * counted on every link and at every station, a stream through joins, leaves and a restart of the controller.
 */
import t, { type Test } from 'tap';
import type { FabricMulticastState } from '../../controller/multicast/types.js';
import { parseIpv4, parseIpv6 } from '../../ofproto/index.js';
import { type Capture, type Daemon, until } from '../../topologies/lab/index.js';
import { igmpFrame, report } from '../multicast/reports.js';
import { holds, icmpv6Frame, macText, udpFrame } from '../support/frames.js';
import { addressOf, datapathIdOf, FabricLab, linkName, macOf } from './fabric-support.js';

t.setTimeout(300_000);
const LONG = 60_000;

const LINKS = [
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 1],
] as const;
const SWITCHES = 4;
const GROUP = '239.1.1.1';
const GROUP6 = 'ff05::1:3';
const FRAMES = 40;
const BURST = 10;
/** Of ICMPv6. */
const ECHO_REQUEST = 128;

/** Joins the groups that are its arguments on an interface, the first one, and stays until it is killed. */
const RECEIVER = `
import socket, struct, sys, threading
sockets = []
index = socket.if_nametoindex(sys.argv[1])
for group in sys.argv[2:]:
    family, level = (socket.AF_INET6, 41) if ':' in group else (socket.AF_INET, 0)
    s = socket.socket(family, socket.SOCK_DGRAM)
    address = struct.pack('=HHI' if level else '=HH', family, 0, *([0] if level else [])) + socket.inet_pton(family, group)
    s.setsockopt(level, 42, struct.pack('=I4x', index) + address.ljust(128, b'\\0')) # MCAST_JOIN_GROUP
    sockets.append(s)
print('joined', flush=True)
threading.Event().wait()
`;

/** Sends datagrams to a group, each with its number, one every few milliseconds. */
const SENDER = `
import itertools, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
for number in itertools.count(1):
    s.sendto(struct.pack('!I', number), (sys.argv[2], 5000))
    time.sleep(0.01)
`;
const PYTHON = '/usr/bin/python3';

const fabric = await FabricLab.start({ name: 'fabmc', switches: SWITCHES, links: LINKS });
t.teardown(() => fabric.stop());

const state = async (): Promise<FabricMulticastState> => {
  const { fabric: of } = await fabric.running.controller.multicast(undefined, false);
  if (of === undefined) throw new Error('the fabric does not listen');
  return of;
};
const numberOf = (datapathId: string): number => Number(`0x${datapathId}`) - Number(`0x${datapathIdOf(0)}`);

/** Resolves when these are the receivers: `<VLAN> <group> <switch> <version>`. */
async function knows(...expected: string[]): Promise<void> {
  const wanted = [...expected].sort().join('; ');
  let last = '';
  const check = async (): Promise<boolean> => {
    const { groups } = await state();
    const all = groups.flatMap(({ vlan, group, receivers }) =>
      receivers.map(({ datapathId, version }) => `${vlan} ${group} ${numberOf(datapathId)} ${version}`),
    );
    last = all.sort().join('; ');
    return last === wanted;
  };
  await until(wanted, check, LONG).catch((error: unknown) => {
    throw new Error(`known is ${last}`, { cause: error });
  });
  await fabric.inSync();
}

async function vlanKnown(vlan: number): Promise<void> {
  const isKnown = async (): Promise<boolean> =>
    (await state()).vlans.some((each) => each.vlan === vlan && each.known);
  await until(`the receivers of VLAN ${vlan} to be known`, isKnown, LONG);
  await fabric.inSync();
}

let receivers = 0;
async function join(at: number, groups: readonly string[]): Promise<Daemon> {
  const argv = [PYTHON, '-c', RECEIVER, 'eth0', ...groups];
  const daemon = fabric.station(at).spawn(`receiver-${++receivers}`, argv);
  await until('the receiver to have joined', () => {
    if (!daemon.running) throw new Error(daemon.log());
    return daemon.log().includes('joined');
  });
  return daemon;
}

/** What of a group there is on each link and at each station but the first, by name: frames that hold a text. */
interface Places {
  count(place: string, text: string): number;
  stop(): Promise<void>;
}

async function watch(filter: string): Promise<Places> {
  const captures = new Map<string, Capture>();
  for (const station of fabric.stations.slice(1)) {
    captures.set(station.name, await station.capture(station.interface, filter));
  }
  for (const [a, b] of LINKS)
    captures.set(linkName(a, b), await fabric.host(a).capture(linkName(a, b), filter));
  return {
    count: (place, text) =>
      captures
        .get(place)
        ?.frames()
        .filter(({ bytes }) => holds(bytes, text)).length ?? 0,
    stop: async () => {
      for (const capture of captures.values()) await capture.stop();
    },
  };
}

/** Links that what switch 1 sends to a group travels, of the tree that is told. */
async function carrying(vlan: number, group: string): Promise<string[]> {
  const { groups } = await state();
  const tree = groups.find((each) => each.vlan === vlan && each.group === group)?.tree ?? [];
  const hops = tree.map(({ from, to }) => [numberOf(from.datapathId), numberOf(to.datapathId)] as const);
  const reached = [1];
  const links: string[] = [];
  for (const at of reached) {
    for (const [from, to] of hops) {
      if (from !== at || reached.includes(to)) continue;
      reached.push(to);
      links.push(LINKS.some(([a, b]) => a === from && b === to) ? linkName(from, to) : linkName(to, from));
    }
  }
  return links.sort();
}

/** Frames of station 1 to a group: each of `to` gets each once, nobody else any, and only links on the way carry them, once. */
async function delivers(
  t: Test,
  what: string,
  to: readonly number[],
  { group = GROUP, tags = [] }: { readonly group?: string; readonly tags?: readonly number[] } = {},
): Promise<void> {
  const isIpv6 = group.includes(':');
  const places = await watch(`${tags.length === 0 ? '' : 'vlan and '}dst host ${group}`);
  const frame = (text: string): Uint8Array =>
    isIpv6
      ? icmpv6Frame(
          { source: macOf(1), destination: 0x333300010003 },
          {
            sourceIp: parseIpv6('fe80::1'),
            destinationIp: parseIpv6(group),
            type: ECHO_REQUEST,
            body: new TextEncoder().encode(text),
          },
          tags,
        )
      : udpFrame(
          { source: macOf(1), destination: 0x01005e010101 },
          { sourceIp: parseIpv4(addressOf(1)), destinationIp: parseIpv4(group), text },
          tags,
        );
  const stations = to.map((number) => `e${number}`);
  const mark = `marked ${what}.`;
  for (let sent = BURST; sent <= FRAMES; sent += BURST) {
    await fabric.station(1).send(
      'eth0',
      Array.from({ length: BURST }, () => frame(mark)),
    );
    // Only the next when nothing of the one before is on its way: a busy machine drops frames of its own accord.
    await until('the frames', () => stations.every((name) => places.count(name, mark) >= sent), LONG);
  }
  const links = await carrying(tags[0] ?? 0, group);
  const counts = Object.fromEntries(
    [...fabric.stations.slice(1).map(({ name }) => name), ...LINKS.map(([a, b]) => linkName(a, b))].map(
      (place) => [place, places.count(place, mark)],
    ),
  );
  const expected = Object.fromEntries(
    Object.keys(counts).map((place) => [
      place,
      stations.includes(place) || links.includes(place) ? FRAMES : 0,
    ]),
  );
  t.strictSame(counts, expected, `${what}: copies at each station and on each link`);
  t.ok(links.length < SWITCHES - 1 || to.length > 1, 'and the tree is pruned');
  await places.stop();
}

/** The frame with the tag of a VLAN. */
const tagged = (frame: Uint8Array, vlan: number): Uint8Array =>
  Uint8Array.of(...frame.subarray(0, 12), 0x81, 0, vlan >> 8, vlan & 0xff, ...frame.subarray(12));

/** Numbers of datagrams that came to a station. */
const numbersOf = (capture: Capture): number[] =>
  capture.frames().map(({ bytes }) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(14 + 20 + 8));

/** Of ascending numbers: how many are missing between the first and the last, and how many came again. */
function faults(numbers: readonly number[]): { readonly missing: number; readonly doubled: number } {
  const distinct = new Set(numbers);
  const span = numbers.length === 0 ? 0 : Math.max(...numbers) - Math.min(...numbers) + 1;
  return { missing: span - distinct.size, doubled: numbers.length - distinct.size };
}

t.test('sockets join and leave by every version; copies go where they have', async (t) => {
  const version = async (at: number, igmp: number, mld: number): Promise<void> => {
    for (const [key, value] of [
      ['net.ipv4.conf.eth0.force_igmp_version', igmp],
      ['net.ipv6.conf.eth0.force_mld_version', mld],
    ] as const) {
      await fabric.station(at).exec(['sysctl', '-qw', `${key}=${value}`]);
    }
  };
  await version(2, 2, 1);
  await vlanKnown(0);
  const heard = await fabric.station(4).capture('eth0', 'igmp and not dst host 224.0.0.1');
  const second = await join(2, [GROUP, GROUP6]);
  await knows(`0 ${GROUP} 2 IGMPv2`, `0 ${GROUP6} 2 MLDv1`);
  await delivers(t, 'one', [2]);
  const third = await join(3, [GROUP, GROUP6]);
  const both = [`0 ${GROUP} 2 IGMPv2`, `0 ${GROUP6} 2 MLDv1`, `0 ${GROUP} 3 IGMPv3`, `0 ${GROUP6} 3 MLDv2`];
  await knows(...both);
  await delivers(t, 'two', [2, 3]);
  await delivers(t, 'two, IPv6', [2, 3], { group: GROUP6 });
  await second.stop('SIGKILL');
  await knows(`0 ${GROUP} 3 IGMPv3`, `0 ${GROUP6} 3 MLDv2`);
  await delivers(t, 'the other', [3]);
  await delivers(t, 'the other, IPv6', [3], { group: GROUP6 });
  await third.stop('SIGKILL');
  await knows();
  const own = macOf(4);
  const strangers = (await heard.stop()).filter(
    ({ bytes }) => Number(Buffer.from(bytes).readUIntBE(6, 6)) !== own,
  );
  t.equal(strangers.length, 0, 'no station hears the reports of another');
});

t.test('a VLAN of its own, on its own tree', async (t) => {
  const vlan = 5;
  // Not every kernel makes interfaces of VLANs, so this station says by itself what a kernel would.
  const says = async (type: 'to-exclude' | 'to-include'): Promise<void> => {
    const group = { family: 4, address: parseIpv4(GROUP) } as const;
    const plain = report({ mac: macOf(3), ipv4: parseIpv4(addressOf(3)) }, 4, [{ type, group, sources: [] }]);
    await fabric.station(3).send('eth0', [tagged(plain, vlan)]);
  };
  await says('to-exclude');
  await vlanKnown(vlan);
  await knows(`${vlan} ${GROUP} 3 IGMPv3`);
  await delivers(t, 'tagged', [3], { tags: [vlan] });
  await says('to-include');
  await knows();
});

t.test('a stream: somebody joins and leaves, the controller starts again', async (t) => {
  const first = await join(3, [GROUP]);
  await knows(`0 ${GROUP} 3 IGMPv3`);
  const sender = fabric.station(1).spawn('sender', [PYTHON, '-c', SENDER, addressOf(1), GROUP]);
  const filter = `udp and dst host ${GROUP}`;
  const atThird = await fabric.station(3).capture('eth0', filter);
  const atFourth = await fabric.station(4).capture('eth0', filter);
  const atSecond = await fabric.station(2).capture('eth0', filter);
  const arrives = async (capture: Capture, what: string): Promise<void> => {
    const before = capture.frames().length;
    await until(what, () => capture.frames().length > before + 50, LONG);
  };
  await arrives(atThird, 'the stream to arrive');
  t.equal(atFourth.frames().length, 0, 'who has not joined gets nothing');

  const joined = await join(4, [GROUP]);
  await arrives(atFourth, 'the stream to arrive where somebody has joined');
  await knows(`0 ${GROUP} 3 IGMPv3`, `0 ${GROUP} 4 IGMPv3`);
  await arrives(atFourth, 'more of it');
  t.same(faults(numbersOf(atFourth)), { missing: 0, doubled: 0 }, 'from the first one on, each once');
  await joined.stop('SIGKILL');
  await knows(`0 ${GROUP} 3 IGMPv3`);
  const left = atFourth.frames().length;
  await arrives(atThird, 'the stream to go on where somebody stays');
  t.equal(atFourth.frames().length, left, 'who has left gets nothing');
  t.same(faults(numbersOf(atThird)), { missing: 0, doubled: 0 }, 'nobody else notices');
  t.equal(atSecond.frames().length, 0);

  await fabric.running.stop();
  await arrives(atThird, 'the stream to go on without a controller');
  await fabric.restart();
  await vlanKnown(0);
  await knows(`0 ${GROUP} 3 IGMPv3`);
  const pruned = atSecond.frames().length;
  await arrives(atThird, 'the stream to go on');
  t.same(faults(numbersOf(atThird)), { missing: 0, doubled: 0 }, 'a restart leaves no gap');
  t.comment(`${pruned} of the stream were flooded after the restart`);
  t.equal(atSecond.frames().length, pruned, 'nor anything flooded, in the end');
  await sender.stop('SIGKILL');
  await first.stop('SIGKILL');
});

t.test('a multicast router gets all groups, and the reports for them', async (t) => {
  const router = { mac: macOf(4), ipv4: parseIpv4(addressOf(4)) };
  const query = (to: string, ...group: number[]): Uint8Array =>
    igmpFrame(router, parseIpv4(to), [0x11, 20, 0, 0, ...group, 2, 125, 0, 0]);
  await fabric.station(4).send('eth0', [query('224.0.0.1', 0, 0, 0, 0)]);
  await until('the router', async () => (await state()).routers.length === 1, LONG);
  t.match((await state()).queriers[0], { vlan: 0, querier: 'other', address: addressOf(4) });
  const heard = await fabric.station(4).capture('eth0', `igmp and ether src ${macText(macOf(3))}`);
  const receiver = await join(3, [GROUP]);
  await knows(`0 ${GROUP} 3 IGMPv3`);
  await until('the report to reach the router', () => heard.frames().length > 0, LONG);
  await delivers(t, 'routed', [3, 4]);
  const asked = await fabric.station(3).capture('eth0', `igmp and ether src ${macText(macOf(4))}`);
  await fabric.station(4).send('eth0', [query(GROUP, 239, 1, 1, 1)]);
  await until('a query for a group to reach its receiver', () => asked.frames().length > 0, LONG);
  await receiver.stop('SIGKILL');
});
