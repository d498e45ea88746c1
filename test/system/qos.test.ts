/**
 * Quality of service on real traffic: two hosts, `weft controller`, agents, iperf3 between namespaces. What is measured is payload, which
 * is some 5 % less than what meters count.
 */
import t, { type Test } from 'tap';
import { type LocalAttachResult, LocalAttach, LocalDetach } from '../../agent/index.js';
import { portMeter, stormMeter } from '../../apps/qos/meters.js';
import { STORM_BURST, STORM_RATE } from '../../apps/qos/storms.js';
import { type Capture, Lab, type LabHost, type LabNamespace, until } from '../../topologies/lab/index.js';
import { BROADCAST, holds, udpFrame } from '../support/frames.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

t.setTimeout(600_000);

const TENANT = 'acme';
const VOICE = 46;
const UPLINK_KILOBITS = 20_000;
const network = (name: string, more: object) => ({ kind: 'Network', tenant: TENANT, name, ...more });
const profile = (name: string, more: object) => ({ kind: 'QosProfile', tenant: TENANT, name, ...more });
const endpoint = (name: string, qos?: string, on = 'web') => ({
  kind: 'Endpoint',
  tenant: TENANT,
  network: on,
  name,
  ...(qos === undefined ? {} : { qos }),
});
/** Of a and c on h1, b and d on h2. */
const PLACES = [
  ['web', 'a', 'h1'],
  ['web', 'b', 'h2'],
  ['web', 'c', 'h1'],
  ['web', 'd', 'h2'],
  ['lan', 'a', 'h1'],
  ['lan', 'b', 'h2'],
  ['lan', 'c', 'h1'],
  ['lan', 'd', 'h2'],
] as const;

const lab = await Lab.create({ name: 'qos', hosts: 2 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
const apply = (...intents: object[]): Promise<unknown> => controller.request('POST', '/v1/apply', intents);
await apply(
  { kind: 'Tenant', name: TENANT },
  network('web', { encapsulation: 'vxlan', subnet: '10.1.1.0/24', ipv6Subnet: 'fd00:1::/64' }),
  network('lan', { encapsulation: 'vlan', tag: 11, subnet: '10.2.1.0/24', ipv6Subnet: 'fd00:2::/64' }),
  profile('limited', { out: { rate: '10 Mbps' }, in: { rate: '20 Mbps' }, dscp: VOICE }),
  endpoint('a', 'limited'),
);

const agents = new Map<string, SpawnedAgent>();
const startAgent = async (host: LabHost): Promise<void> => {
  const options = { controller: controller.hub, vtepIp: host.vtepIp, uplink: host.uplink };
  agents.set(host.name, await spawnAgent(lab, host, { ...options, uplinkRate: UPLINK_KILOBITS }));
};
const hosts = [...lab.hosts.values()];
const names = hosts.map(({ name }) => name);
await Promise.all(hosts.map(startAgent));
await controller.settled(names);

interface Attached extends LocalAttachResult {
  readonly namespace: LabNamespace;
  readonly host: LabHost;
}
const attached = new Map<string, Attached>();
for (const [on, name, host] of PLACES) {
  const namespace = await lab.namespace(`${on}-${name}`);
  const params = { tenant: TENANT, network: on, endpoint: name, netns: namespace.path };
  const result = await agents.get(host)?.call(LocalAttach, params, { deadlineMs: 30_000 });
  if (result === undefined) throw new Error(`no agent on ${host}`);
  attached.set(`${on}/${name}`, { ...result, namespace, host: lab.host(host) });
  namespace.spawn('iperf', ['iperf3', '-s', '--forceflush']);
}
const at = (id: string): Attached => {
  const found = attached.get(id);
  if (found === undefined) throw new Error(`${id} is not attached`);
  return found;
};
const addressOf = (id: string, family: 4 | 6): string => {
  const { ip, ip6 } = at(id).endpoint;
  return (family === 4 ? ip : ip6)?.split('/')[0] ?? '';
};

/** Resolves when a ping is answered: the first ones may be lost until tunnels know their peers. */
const reaches = (from: string, to: string): Promise<unknown> =>
  until(
    `${from} to reach ${to}`,
    async () => (await at(from).namespace.ping(addressOf(to, 4), { timeoutMs: 500 })).ok,
    30_000,
  );
for (const on of ['web', 'lan']) {
  await reaches(`${on}/a`, `${on}/b`);
  await reaches(`${on}/c`, `${on}/d`);
}

interface Traffic {
  readonly udp?: true;
  readonly family?: 4 | 6;
  /** Value of the whole TOS byte. */
  readonly tos?: number;
  /** Seconds that are measured; as many before them use the burst up. */
  readonly seconds?: number;
}

/** Megabits of payload per second that arrive. UDP is sent at 40 Mbit/s. */
async function throughput(from: string, to: string, options: Traffic = {}): Promise<number> {
  const { udp = false, family = 4, tos = 0, seconds = 4 } = options;
  const argv = ['iperf3', '-J', '-c', addressOf(to, family), '-t', `${seconds}`, '-O', '2', '-S', `${tos}`];
  if (udp) argv.push('-u', '-b', '40M', '-l', '1300');
  const text = await at(from).namespace.exec(argv, { timeoutMs: 60_000 });
  const { end } = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e6;
}

/** Within 10 % of a limit. A busy machine can be slower than that: what is below is measured once more, what is above never. */
async function within(t: Test, limit: number, what: string, measure: () => Promise<number>): Promise<void> {
  const [low, high] = [0.9 * limit, 1.1 * limit];
  let measured = await measure();
  if (measured < low) measured = await measure();
  t.ok(measured >= low && measured <= high, `${what}: ${measured.toFixed(2)} of ${limit} Mbit/s`);
}

const meters = (host: LabHost): Promise<string> => host.ofctl('dump-meters', 'br-int');
const portOf = async (id: string): Promise<number> => {
  const { host, interface: name } = at(id);
  return Number(await host.vsctl('get', 'interface', name, 'ofport'));
};

t.test('rates hold, for TCP and UDP, over IPv4 and IPv6, in both directions', async (t) => {
  for (const family of [4, 6] as const) {
    for (const udp of [{}, { udp: true }] as const) {
      const what = `${'udp' in udp ? 'UDP' : 'TCP'} over IPv${family}`;
      await within(t, 10, `${what} out`, () => throughput('web/a', 'web/b', { family, ...udp }));
      await within(t, 20, `${what} in`, () => throughput('web/b', 'web/a', { family, ...udp }));
    }
  }
  const free = await throughput('web/c', 'web/d', { seconds: 1 });
  t.ok(free > 25, `whoever has no profile is not limited: ${free.toFixed(1)} Mbit/s`);
});

t.test('a rate that the endpoints of a host share, by a group that chooses them', async (t) => {
  const pool = { sharing: 'host', out: { rate: '10 Mbps' } };
  await apply(profile('pool', pool), {
    kind: 'Group',
    tenant: TENANT,
    name: 'pooled',
    endpoints: ['web/c', 'lan/c'],
    qos: 'pool',
  });
  await controller.settled(names);
  const both = async (): Promise<number> => {
    const rates = ['web', 'lan'].map((on) => throughput(`${on}/c`, `${on}/d`, { udp: true }));
    return (await Promise.all(rates)).reduce((sum, one) => sum + one, 0);
  };
  await within(t, 10, 'two together', both);
  await controller.request('DELETE', `/v1/groups/${TENANT}/pooled`);
});

/** Marks of the packets from an endpoint in a capture: of the outer header, where there is a tunnel, and of the inner one. */
async function marks(capture: Capture, source: string): Promise<ReadonlySet<string>> {
  const mac = Buffer.from(at(source).endpoint.mac.replaceAll(':', ''), 'hex');
  const markAt = (frame: Buffer, offset: number): number =>
    frame.readUInt16BE(offset - 2) === 0x0800
      ? (frame[offset + 1] ?? 0) >> 2
      : (frame.readUInt16BE(offset) >> 6) & 0x3f;
  const INNER = 14 + 20 + 8 + 8;
  const found = (await capture.stop()).flatMap(({ bytes }) => {
    const frame = Buffer.from(bytes);
    if (frame.subarray(6, 12).equals(mac)) {
      const tagged = frame.readUInt16BE(12) === 0x8100;
      return [`${markAt(frame, tagged ? 18 : 14)}`];
    }
    if (!frame.subarray(INNER + 6, INNER + 12).equals(mac)) return [];
    return [`${markAt(frame, 14)} ${markAt(frame, INNER + 14)}`];
  });
  return new Set(found);
}

t.test('marks, inside and outside of the tunnel, of both families', async (t) => {
  await apply(
    profile('trusting', { trust: true }),
    profile('plain', {}),
    endpoint('c', 'trusting'),
    endpoint('a', 'limited', 'lan'),
  );
  await controller.settled(names);
  const [h1] = hosts;
  const seen = async (from: string, to: string, family: 4 | 6, where: string): Promise<string[]> => {
    const filter = family === 4 ? '' : 'not arp';
    const capture = await (h1 as LabHost).capture(where, filter);
    const ping = ['ping', '-n', '-c', '2', '-i', '0.2', '-Q', '0x28', addressOf(to, family)];
    await at(from).namespace.exec(ping);
    return [...(await marks(capture, from))].filter((mark) => mark !== '0 0' && mark !== '0').sort();
  };
  for (const family of [4, 6] as const) {
    t.same(await seen('web/a', 'web/b', family, 'underlay'), ['46 46'], `IPv${family}: that of the profile`);
    t.same(await seen('web/c', 'web/d', family, 'underlay'), ['10 10'], `IPv${family}: trusted`);
    t.same(await seen('lan/a', 'lan/b', family, 'uplink'), ['46'], `IPv${family}: with a VLAN tag`);
  }
  await apply(endpoint('c', 'plain'));
  await controller.settled(names);
  t.same(await seen('web/c', 'web/d', 4, 'underlay'), [], 'neither marked nor trusted: no mark');
});

t.test('a new rate: the meter is modified, the entry stays', async (t) => {
  const port = await portOf('web/a');
  const meter = portMeter(port, 'out');
  const entries = async (): Promise<{ count: number; duration: number }> => {
    const flows = await at('web/a').host.ofctl('dump-flows', 'br-int', `in_port=${port}`);
    const metered = flows.split('\n').filter((line) => line.includes(`meter:${meter}`));
    const age = (line: string): number => Number(/duration=([\d.]+)s/.exec(line)?.[1]);
    return { count: metered.length, duration: Math.min(...metered.map(age)) };
  };
  const before = await entries();
  t.equal(before.count, 3);
  await apply(profile('limited', { out: { rate: '5 Mbps' }, in: { rate: '20 Mbps' }, dscp: VOICE }));
  await controller.settled(names);
  t.match(await meters(at('web/a').host), new RegExp(`meter=${meter} .*\\n.*rate=5000 `));
  const after = await entries();
  t.equal(after.count, 3);
  t.ok(after.duration > before.duration, 'the entries were not made anew');
  await within(t, 5, 'TCP', () => throughput('web/a', 'web/b'));
});

t.test('restarts: the limit holds', async (t) => {
  const h1 = lab.host('h1');
  const holds = async (when: string): Promise<void> => {
    await reaches('web/a', 'web/b');
    await within(t, 5, when, () => throughput('web/a', 'web/b', { udp: true, seconds: 2 }));
  };
  await controller.stop('SIGKILL');
  await holds('without a controller');
  await controller.start();
  await controller.settled(names);
  t.equal(
    await controller.metric('weft_entries_sent_total'),
    0,
    'nothing was sent to switches that had it all',
  );
  await holds('after a restart of the controller');
  await agents.get('h1')?.daemon.stop('SIGKILL');
  await startAgent(h1);
  await controller.settled(names);
  await holds('after a restart of the agent');
  for (const keepDatabase of [true, false]) {
    await h1.restartOvs({ keepDatabase });
    await controller.settled(names);
    await holds(`after a restart of Open vSwitch, its database ${keepDatabase ? 'kept' : 'lost'}`);
  }
});

t.test('what an endpoint sends to many is limited', async (t) => {
  const { namespace, endpoint: view } = at('web/c');
  const mac = Buffer.from(view.mac.replaceAll(':', ''), 'hex');
  const ip = addressOf('web/c', 4).split('.').map(Number);
  // An ARP request for an address of nobody.
  const request = Buffer.concat([
    Buffer.alloc(6, 0xff),
    mac,
    Buffer.from('08060001080006040001', 'hex'),
    mac,
    Buffer.from(ip),
    Buffer.alloc(6),
    Buffer.from([10, 1, 1, 200]),
  ]);
  const meter = stormMeter(await portOf('web/c'));
  const statistics = async (): Promise<{ received: number; dropped: number }> => {
    const text = await at('web/c').host.ofctl('meter-stats', 'br-int', `meter=${meter}`);
    return {
      received: Number(/packet_in_count:(\d+)/.exec(text)?.[1]),
      dropped: Number(/ packet_count:(\d+)/.exec(text)?.[1]),
    };
  };
  const before = await statistics();
  const started = performance.now();
  await namespace.send('eth0', Array<Uint8Array>(3 * STORM_BURST).fill(request));
  // The bridge may lose some of so many before it has looked at them.
  let last = 0;
  const { received, dropped } = await until('the storm to be over', async () => {
    const now = await statistics();
    const over = now.dropped > before.dropped && now.received === last;
    last = now.received;
    return over && now;
  });
  const seconds = (performance.now() - started) / 1000;
  const passed = received - before.received - (dropped - before.dropped);
  t.ok(passed <= STORM_BURST + STORM_RATE * seconds, `${passed} of ${received - before.received} passed`);
  t.ok(passed >= STORM_BURST / 2, 'some did');
  await reaches('web/c', 'web/d');
});

t.test('a flooded packet that is too much for one receiver reaches the others', async (t) => {
  await apply(profile('narrow', { in: { rate: '8 kbps', burst: '1 KB' } }), endpoint('b', 'narrow'));
  await controller.settled(names);
  const COPIES = 20;
  const text = 'to everybody ';
  const source = Number(`0x${at('web/c').endpoint.mac.replaceAll(':', '')}`);
  const [a = 0, b = 0, c = 0, d = 0] = addressOf('web/c', 4).split('.').map(Number);
  const frame = udpFrame(
    { source, destination: BROADCAST },
    {
      sourceIp: a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d,
      destinationIp: 0xffffffff,
      text: text.repeat(100),
    },
  );
  const captures = await Promise.all(
    ['web/a', 'web/b', 'web/d'].map((id) => at(id).namespace.capture('eth0', 'udp')),
  );
  const received = (): number[] =>
    captures.map((capture) => capture.frames().filter(({ bytes }) => holds(bytes, text)).length);
  await at('web/c').namespace.send('eth0', Array<Uint8Array>(COPIES).fill(frame));
  await until('copies', () => received()[0] === COPIES && received()[2] === COPIES);
  t.same(received(), [COPIES, 0, COPIES]);
  await Promise.all(captures.map((capture) => capture.stop()));
  await apply(endpoint('b'));
  await controller.settled(names);
});

t.test('queues of the uplinks: a guarantee holds, and the rest is not starved', async (t) => {
  await apply(
    profile('voice', { dscp: 'EF', queue: 5, guaranteed: '15 Mbps' }),
    endpoint('a', 'voice'),
    endpoint('a', 'voice', 'lan'),
    endpoint('c'),
  );
  const [h1] = hosts as [LabHost];
  const classes = async (device: string): Promise<string> => h1.exec(['tc', 'filter', 'show', 'dev', device]);
  for (const device of ['underlay', 'uplink'])
    await until(`filters of ${device}`, async () => (await classes(device)).includes('flowid 1:6'));
  for (const on of ['web', 'lan']) {
    const alone = await throughput(`${on}/c`, `${on}/d`);
    t.ok(alone > 15 && alone < 20, `${on}: ${alone.toFixed(1)} Mbit/s of 20 for whoever is alone`);
    const [voice, rest] = await Promise.all([
      throughput(`${on}/a`, `${on}/b`, { seconds: 7 }),
      throughput(`${on}/c`, `${on}/d`, { seconds: 3 }),
    ]);
    t.ok((voice as number) > 13.5, `${on}: ${voice?.toFixed(1)} Mbit/s for 15 guaranteed`);
    t.ok((rest as number) > 0.5 && (rest as number) < 5.5, `${on}: ${rest?.toFixed(1)} for the rest`);
  }
});

t.test(
  'queues live: changed, kept through restarts, and gone with the last profile that names one',
  async (t) => {
    const [h1] = hosts as [LabHost];
    const shown = async (device: string): Promise<string> =>
      `${await h1.exec(['tc', 'class', 'show', 'dev', device])}${await h1.exec(['tc', 'filter', 'show', 'dev', device])}`;
    await apply(profile('voice', { dscp: 'AF41', queue: 6, guaranteed: '8 Mbps' }));
    const changed = async (device: string): Promise<boolean> => {
      const text = await shown(device);
      return /1:7 .*rate 8Mbit ceil 20Mbit/.test(text) && /flowid 1:7/.test(text) && !/1:6/.test(text);
    };
    const both = (what: string): Promise<unknown> =>
      until(what, async () => (await changed('underlay')) && (await changed('uplink')), 30_000);
    await both('the new queue');
    await controller.stop('SIGKILL');
    await agents.get('h1')?.daemon.stop('SIGKILL');
    await h1.restartOvs({ keepDatabase: false });
    await startAgent(h1);
    await both('the queue after everything was restarted, without a controller');
    await controller.start();
    await controller.settled(names);
    await apply(profile('voice', { dscp: 'AF41' }));
    await until(
      'no queue',
      async () => !/htb/.test(`${await shown('underlay')}${await shown('uplink')}`),
      30_000,
    );
    t.equal(await h1.vsctl('--columns=_uuid', '--format=csv', '--no-headings', 'list', 'qos'), '');
    t.equal(await h1.vsctl('--columns=_uuid', '--format=csv', '--no-headings', 'list', 'queue'), '');
  },
);

t.test('an endpoint that is detached leaves no meter', async (t) => {
  await apply(endpoint('a', 'limited'));
  await controller.settled(names);
  const port = await portOf('web/a');
  t.match(await meters(lab.host('h1')), `meter=${portMeter(port, 'in')} `);
  await agents.get('h1')?.call(LocalDetach, { tenant: TENANT, network: 'web', endpoint: 'a' });
  await controller.settled(names);
  const left = await meters(lab.host('h1'));
  for (const id of [portMeter(port, 'in'), portMeter(port, 'out'), stormMeter(port)])
    t.notMatch(left, `meter=${id} `);
});
