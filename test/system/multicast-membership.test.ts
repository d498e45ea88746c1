/**
 * Group membership on real Open vSwitch: sockets of the kernel that join and leave by every version of IGMP and MLD, what the controller makes
 * of it, a restart of the controller, a flood of reports. The processes as they are installed.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { LocalAttach } from '../../agent/index.js';
import type { MulticastState } from '../../controller/multicast/types.js';
import { parseIpv4, parseMac } from '../../ofproto/index.js';
import { type Daemon, Lab, type LabHost, type LabNamespace, until } from '../../topologies/lab/index.js';
import { igmpFrame, report } from '../multicast/reports.js';
import { tsharkFields } from '../punt/foreign.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

const WEFT = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const LONG = 30_000;
const VLAN = 11;
const PLACES = { a: 'h1', b: 'h2', c: 'h1' } as const;
const intents = [
  { kind: 'Tenant', name: 'acme' },
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'web',
    encapsulation: 'vxlan',
    subnet: '10.1.1.0/24',
    ipv6Subnet: 'fd00:1::/64',
  },
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'lan',
    encapsulation: 'vlan',
    tag: VLAN,
    subnet: '10.2.1.0/24',
    ipv6Subnet: 'fd00:2::/64',
  },
];

/** Joins what its arguments say, `GROUP`, `GROUP+SOURCE` (only from it) or `GROUP-SOURCE` (all but it), and stays until it is killed. */
const RECEIVER = `
import re, socket, struct, sys, threading
sockets = []
def sockaddr(address):
    if ':' in address:
        return (struct.pack('=HHI', socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, address)).ljust(128, b'\\0')
    return (struct.pack('=HH', socket.AF_INET, 0) + socket.inet_aton(address)).ljust(128, b'\\0')
for said in sys.argv[1:]:
    group, sign, source = re.fullmatch('([^+-]+)([+-]?)(.*)', said).groups()
    family, level = (socket.AF_INET6, 41) if ':' in group else (socket.AF_INET, 0)
    s = socket.socket(family, socket.SOCK_DGRAM)
    request = struct.pack('=I4x', socket.if_nametoindex('eth0')) + sockaddr(group)
    if sign == '+':
        s.setsockopt(level, 46, request + sockaddr(source)) # MCAST_JOIN_SOURCE_GROUP
    else:
        s.setsockopt(level, 42, request) # MCAST_JOIN_GROUP
        if sign == '-': s.setsockopt(level, 43, request + sockaddr(source)) # MCAST_BLOCK_SOURCE
    sockets.append(s)
print('joined', flush=True)
threading.Event().wait()
`;

t.setTimeout(300_000);
const lab = await Lab.create({ name: 'mcast', hosts: 2 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
await controller.request('POST', '/v1/apply', intents);
const agents = new Map<string, SpawnedAgent>();
const startAgent = async (host: LabHost): Promise<void> => {
  const options = { controller: controller.hub, vtepIp: host.vtepIp, uplink: host.uplink };
  agents.set(host.name, await spawnAgent(lab, host, options));
  await controller.settled([host.name]);
};
await Promise.all([...lab.hosts.values()].map(startAgent));
const names = [...lab.hosts.keys()];

interface Member {
  readonly namespace: LabNamespace;
  readonly mac: number;
  readonly ipv4: number;
}
const members = new Map<string, Member>();
for (const network of ['web', 'lan']) {
  for (const [endpoint, host] of Object.entries(PLACES)) {
    const namespace = await lab.namespace(`${network}-${endpoint}`);
    const place = { tenant: 'acme', network, endpoint, netns: namespace.path };
    const { endpoint: view } = await agents.get(host)!.call(LocalAttach, place, { deadlineMs: LONG });
    const ipv4 = parseIpv4((view.ip ?? '').split('/')[0] ?? '');
    members.set(`${network}/${endpoint}`, { namespace, mac: parseMac(view.mac), ipv4 });
  }
}
const outside = await lab.neighbour({
  name: 'out',
  vlan: VLAN,
  addresses: ['10.2.1.200/24', 'fd00:2::200/64'],
});
const namespaceOf = (member: string): LabNamespace => members.get(member)!.namespace;

let receivers = 0;
async function join(member: string, ...groups: string[]): Promise<Daemon> {
  const daemon = namespaceOf(member).spawn(`receiver-${++receivers}`, [
    '/usr/bin/python3',
    '-c',
    RECEIVER,
    ...groups,
  ]);
  await until('the receiver to have joined', () => {
    if (!daemon.running) throw new Error(daemon.log());
    return daemon.log().includes('joined');
  });
  return daemon;
}

/** `<network> <group> <receiver> <version> <sources>` of every receiver. */
async function known(): Promise<string[]> {
  const { groups } = await controller.request<MulticastState>('GET', '/v1/multicast?counters=false');
  return groups
    .flatMap(({ network, group, receivers }) =>
      receivers.map(({ endpoint, version, sources }) => {
        const filter = sources === undefined ? '' : ` ${sources.mode} ${sources.addresses.join()}`;
        return `${network.slice(5)} ${group} ${endpoint?.split('/').at(-1) ?? 'uplink'} ${version}${filter}`;
      }),
    )
    .sort();
}

async function knows(...expected: string[]): Promise<void> {
  const wanted = JSON.stringify([...expected].sort());
  let last = '';
  await until(`${wanted}`, async () => (last = JSON.stringify(await known())) === wanted, LONG).catch(
    (error: unknown) => {
      throw new Error(`known is ${last}`, { cause: error });
    },
  );
}

await knows();

t.test('sockets join and leave by every version', async (t) => {
  const version = async (member: string, igmp: number, mld: number) => {
    const set = (key: string, value: number) =>
      namespaceOf(member).exec(['sysctl', '-qw', `${key}=${value}`]);
    await set('net.ipv4.conf.eth0.force_igmp_version', igmp);
    await set('net.ipv6.conf.eth0.force_mld_version', mld);
  };
  const sent = await namespaceOf('web/c').capture('eth0', 'igmp or (ip6 and ip6[40] == 58)');
  await version('web/b', 2, 1);
  await version('lan/a', 1, 2);
  const a = await join(
    'web/a',
    '239.1.1.1',
    '232.1.1.1+10.1.1.99',
    '239.1.1.2-10.1.1.98',
    'ff05::1:3',
    'ff35::1+fd00:1::99',
  );
  const b = await join('web/b', '239.1.1.1', 'ff05::1:3');
  const l = await join('lan/a', '239.2.2.2');
  await join('web/c', '224.0.0.251', 'ff02::fb');
  const first = [
    'web 239.1.1.1 a IGMPv3',
    'web 232.1.1.1 a IGMPv3 include 10.1.1.99',
    'web 239.1.1.2 a IGMPv3 exclude 10.1.1.98',
    'web ff05::1:3 a MLDv2',
    'web ff35::1 a MLDv2 include fd00:1::99',
    'web 239.1.1.1 b IGMPv2',
    'web ff05::1:3 b MLDv1',
    'lan 239.2.2.2 a IGMPv1',
  ];
  await knows(...first);
  await a.stop('SIGKILL');
  await knows(...first.filter((line) => !line.includes(' a ') || line.startsWith('lan')));
  t.pass('the kernel has left for a process that was killed');
  await b.stop('SIGKILL');
  await l.stop('SIGKILL');
  await knows('lan 239.2.2.2 a IGMPv1');
  t.pass('version 1 does not say that it leaves');
  const { mac } = members.get('web/c')!;
  const others = (await sent.stop()).filter(({ bytes: data }) => {
    const source = Number(Buffer.from(data).readUIntBE(6, 6));
    // Reports (of MLD with their hop-by-hop options), not the neighbour discovery of others.
    return source !== mac && [0x12, 0x16, 0x17, 0x22].includes(data[38] ?? 0);
  });
  t.strictSame(others, [], 'no endpoint hears the reports of another');
});

t.test('behind the uplink: receivers, a querier, its queries for groups', async (t) => {
  await namespaceOf('lan/a').exec(['sysctl', '-qw', 'net.ipv4.conf.eth0.force_igmp_version=0']);
  const heard = await outside.capture('access', 'igmp');
  const program = RECEIVER.replaceAll('eth0', 'access');
  const receiver = outside.spawn('receiver', ['/usr/bin/python3', '-c', program, '239.3.3.3']);
  await knows('lan 239.2.2.2 a IGMPv1', 'lan 239.3.3.3 uplink IGMPv3');
  const b = await join('lan/b', '239.4.4.4');
  await knows('lan 239.2.2.2 a IGMPv1', 'lan 239.3.3.3 uplink IGMPv3', 'lan 239.4.4.4 b IGMPv3');
  const reports = () => heard.frames().filter(({ bytes: data }) => data[38] === 0x22).length;
  await until('the reports to reach the routers there', () => reports() > 0, LONG);
  await receiver.stop('SIGKILL');
  await knows('lan 239.2.2.2 a IGMPv1', 'lan 239.4.4.4 b IGMPv3');
  const queried = (group: string): boolean =>
    heard.frames().some(({ bytes: data }) => data[38] === 0x11 && data.subarray(42, 46).join('.') === group);
  t.ok(queried('239.3.3.3'), 'it was asked whether others are there');

  const router = { mac: 0x0200000000fe, ipv4: parseIpv4('10.2.1.254') };
  const general = igmpFrame(router, parseIpv4('224.0.0.1'), [0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]);
  await outside.send('access', [general]);
  const state = () =>
    controller.request<MulticastState>('GET', '/v1/multicast?counters=false&network=acme/lan');
  await until('the router', async () => (await state()).routers[0]?.address === '10.2.1.254', LONG);
  t.match(await state(), {
    routers: { length: 1, 0: { network: 'acme/lan', learnedBy: 'query' } },
    queriers: [
      { protocol: 'IGMP', querier: 'other', address: '10.2.1.254' },
      { protocol: 'MLD', querier: 'weft' },
    ],
  });
  const asked = await namespaceOf('lan/b').capture('eth0', 'igmp');
  const group = igmpFrame(router, parseIpv4('239.4.4.4'), [0x11, 10, 0, 0, 239, 4, 4, 4]);
  await outside.send('access', [group]);
  const relayed = () => asked.frames().some(({ bytes: data }) => data[38] === 0x11 && data[42] === 239);
  await until('its query for a group to reach the receiver', relayed, LONG);
  // The query was of version 2, and so is the answer. A host that has not answered does not say that it leaves.
  await knows('lan 239.2.2.2 a IGMPv1', 'lan 239.4.4.4 b IGMPv2');
  await b.stop('SIGKILL');
});

t.test(
  'kill -9 of the controller: everything is known at once, nothing is sent, receivers are asked',
  async (t) => {
    await join('web/a', '239.1.1.1', 'ff05::1:3', '232.1.1.1+10.1.1.99');
    await join('web/b', '239.1.1.1');
    const all = [
      'web 239.1.1.1 a IGMPv3',
      'web ff05::1:3 a MLDv2',
      'web 232.1.1.1 a IGMPv3 include 10.1.1.99',
    ];
    all.push('web 239.1.1.1 b IGMPv2', 'lan 239.2.2.2 a IGMPv1');
    await knows(...all);
    const numbers = async () =>
      (await controller.request<MulticastState>('GET', '/v1/multicast?counters=false')).groups.map(
        ({ group, number }) => [group, number],
      );
    const before = await numbers();
    const capture = await namespaceOf('web/a').capture('eth0', 'igmp or ip6');
    await controller.stop('SIGKILL');
    await controller.start();
    t.strictSame(await known(), [...all].sort(), 'before any switch has connected');
    t.strictSame(await numbers(), before);
    await controller.settled(names);
    t.equal(await controller.metric('weft_entries_sent_total'), 0);
    const queries = () => capture.frames().filter(({ bytes: data }) => data[38] === 0x11 || data[62] === 130);
    await until(
      'queries of both kinds',
      () => new Set(queries().map(({ bytes: data }) => data[12])).size === 2,
      LONG,
    );
    const shown = tsharkFields(
      queries().map(({ bytes: data }) => data),
      [
        'igmp.version',
        'igmp.maddr',
        'igmp.checksum.status',
        'icmpv6.type',
        'icmpv6.checksum.status',
        '_ws.malformed',
      ],
    );
    const igmp = shown.find((one) => one['igmp.version']?.length);
    const mld = shown.find((one) => one['icmpv6.type']?.length);
    t.match(igmp, { 'igmp.version': ['3'], 'igmp.maddr': ['0.0.0.0'], 'igmp.checksum.status': ['1'] });
    t.match(mld, { 'icmpv6.type': ['130'], 'icmpv6.checksum.status': ['1'], '_ws.malformed': [] });
    const answered = async () => (await controller.metric('weft_multicast_records_total')) >= 4;
    await until('the answers of receivers', answered, LONG);
    t.strictSame(await known(), [...all].sort());
  },
);

t.test('agents and switches that go and come back: nothing is forgotten', async (t) => {
  const before = await known();
  await Promise.all([...agents.values()].map(({ daemon }) => daemon.stop('SIGKILL')));
  await Promise.all([...lab.hosts.values()].filter(({ name }) => names.includes(name)).map(startAgent));
  t.strictSame(await known(), before);
  await lab.host('h1').restartOvs({ keepDatabase: true });
  await controller.settled(names);
  t.strictSame(await known(), before);
});

t.test('queries of an endpoint reach nobody and are counted', async (t) => {
  const { namespace, mac, ipv4 } = members.get('web/c')!;
  const capture = await namespaceOf('web/a').capture('eth0', 'igmp');
  const query = igmpFrame({ mac, ipv4 }, parseIpv4('224.0.0.1'), [0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0]);
  await namespace.send('eth0', [query, query, query]);
  interface Drops {
    readonly items: readonly { cause: string; packets: number; endpoint?: string }[];
  }
  const dropped = async () =>
    (await controller.request<Drops>('GET', '/v1/drops?host=h1')).items.filter(
      ({ cause }) => cause === 'spoofed.membership-query' || cause === 'spoofed.sender',
    );
  await until(
    'the drops',
    async () => (await dropped()).filter(({ packets }) => packets >= 3).length === 2,
    LONG,
  );
  t.ok(
    (await dropped()).some(({ endpoint }) => endpoint === 'acme/web/c'),
    'and whose they were',
  );
  const forged = (await capture.stop()).filter(
    ({ bytes: data }) => Buffer.from(data).readUIntBE(6, 6) === mac,
  );
  t.strictSame(forged, []);
});

t.test('a flood of reports does not starve the controller', async (t) => {
  const { namespace, mac, ipv4 } = members.get('web/c')!;
  const frames = Array.from({ length: 30_000 }, (_, index) => {
    const group = { family: 4, address: parseIpv4('239.9.0.0') + (index % 4096) } as const;
    return report({ mac, ipv4 }, 4, [
      { type: index % 2 === 0 ? 'to-exclude' : 'to-include', group, sources: [] },
    ]);
  });
  const before = await controller.metric('weft_multicast_records_total');
  const began = Date.now();
  const flood = namespace.send('eth0', frames);
  let slowest = 0;
  const watching = (async () => {
    for (let ended = false; !ended; ) {
      const at = Date.now();
      await controller.request('GET', '/healthz').catch(() => undefined);
      slowest = Math.max(slowest, Date.now() - at);
      ended = await Promise.race([
        flood.then(() => true),
        new Promise<false>((resolve) => setImmediate(resolve, false)),
      ]);
    }
  })();
  const other = await join('web/a', '239.7.7.7');
  await until(
    'another one to be heard',
    async () => (await known()).includes('web 239.7.7.7 a IGMPv3'),
    LONG,
  );
  await Promise.all([flood, watching]);
  const seconds = (Date.now() - began) / 1000;
  const looked = (await controller.metric('weft_multicast_records_total')) - before;
  t.comment(
    `30,000 reports in ${seconds} s: ${looked} records looked at, the slowest answer took ${slowest} ms`,
  );
  t.ok(looked <= 2_500 + 1_000 * (seconds + 1), `${looked} records were looked at`);
  t.ok(slowest < 5_000, `the slowest answer took ${slowest} ms`);
  t.ok((await known()).filter((line) => line.includes(' c ')).length <= 256);
  await other.stop('SIGKILL');
});

t.test('packets to a group are counted where they are sent and where receivers are', async (t) => {
  const address = '239.6.6.6';
  const receivers = [await join('web/a', address), await join('web/b', address)];
  const program = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
for _ in range(5): s.sendto(b'x' * 100, ('${address}', 9000))
`;
  const counted = async () => {
    const { groups, silent } = await controller.request<MulticastState>(
      'GET',
      '/v1/multicast?network=acme/web',
    );
    return { silent, counters: groups.find(({ group }) => group === address)?.counters };
  };
  await until(`${address} to be a group of two`, async () => {
    const lines = (await known()).filter((line) => line.includes(address));
    return lines.length === 2 && (await counted()).counters !== undefined;
  });
  await controller.settled(names);
  const { namespace } = members.get('web/c')!;
  // One has to come through: Open vSwitch may take a moment for the first.
  await until(
    'packets in the counters',
    async () => {
      await namespace.exec(['/usr/bin/python3', '-c', program]);
      const { counters } = await counted();
      return counters !== undefined && counters.sent.packets >= 5 && counters.received.packets >= 10;
    },
    LONG,
  );
  t.strictSame((await counted()).silent, []);
  // The hosts are read one after the other, and Open vSwitch adds to a flow entry's counters late: only
  // now that nobody sends do the two numbers come to mean the same packets.
  await until(
    'no more than one packet received for each of two hosts and packet sent',
    async () => {
      const { counters } = await counted();
      return counters !== undefined && counters.received.packets <= 2 * counters.sent.packets;
    },
    LONG,
  );
  for (const receiver of receivers) await receiver.stop('SIGKILL');
});

t.test('weft get multicast', async (t) => {
  const argv = [WEFT, 'get', 'multicast', '--network', 'acme/web', '--server', controller.url];
  const { stdout } = await promisify(execFile)(process.execPath, argv, {
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.match(stdout, /acme\/web +239\.1\.1\.1 +acme\/web\/a +h1 +IGMPv3 +all +\d+s/);
  t.match(stdout, /acme\/web +232\.1\.1\.1 +acme\/web\/a +h1 +IGMPv3 +include 10\.1\.1\.99 +\d+s/);
  t.match(stdout, /acme\/web +IGMP +weft/);
  t.match(stdout, /acme\/web +ff05::1:3/);
});
