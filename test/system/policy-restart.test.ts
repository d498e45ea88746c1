/**
 * Policy while the processes go and come back: never open, and cut only where Open vSwitch itself is gone. The processes as they are
 * installed: `weft controller`, one `weft agent` a host.
 */
import t from 'tap';
import { LocalAttach } from '../../agent/index.js';
import { Lab, type LabHost, until } from '../../topologies/lab/index.js';
import { type Address, parseAddress } from '../policy-truth/evaluator.js';
import { Datagrams, LiveConnections } from '../policy-truth/live.js';
import { type Probe, Prober, type Station } from '../policy-truth/prober.js';
import { Wire } from '../policy-truth/wire.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { describe, tcp, udp } from './policy-support.js';
import { ControllerProcess } from './weft-processes.js';

const RATE = 100;
const tenant = 'acme';
const PLACES = { client: 'h1', other: 'h1', near: 'h1', server: 'h2', far: 'h2', open: 'h2' } as const;

/** Clients reach servers at port 8000; nobody else does, and but for the open one they begin nothing. */
const fromClients = ['tcp', 'udp'].map((protocol) => ({
  name: protocol,
  from: [{ group: 'clients' }],
  protocol,
  ports: [8000],
}));
const policies = (rules: typeof fromClients) => [
  { kind: 'Policy', tenant, name: 'servers', defaultIn: 'deny', defaultOut: 'deny', rules },
  { kind: 'Policy', tenant, name: 'open', defaultIn: 'deny', rules },
];
const group = (name: string, endpoints: readonly string[], ...subject: string[]) => ({
  kind: 'Group',
  tenant,
  name,
  endpoints: endpoints.map((endpoint) => `web/${endpoint}`),
  policies: subject,
});
const subnets = { subnet: '10.1.1.0/24', ipv6Subnet: 'fd00:1::/64' };
const intents = [
  { kind: 'Tenant', name: tenant },
  { kind: 'Network', tenant, name: 'web', encapsulation: 'vxlan', ...subnets },
  group('clients', ['client']),
  group('servers', ['server', 'near', 'far'], 'servers'),
  group('open', ['open'], 'open'),
  ...policies(fromClients),
];

t.setTimeout(300_000);
const lab = await Lab.create({ name: 'policy', hosts: 2 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
await controller.request('POST', '/v1/apply', intents);
const hosts = [...lab.hosts.values()];
const names = hosts.map(({ name }) => name);
const agents = new Map<string, SpawnedAgent>();
const startAgent = async (host: LabHost): Promise<void> => {
  const options = { controller: controller.hub, vtepIp: host.vtepIp, uplink: host.uplink };
  agents.set(host.name, await spawnAgent(lab, host, options));
  await controller.settled([host.name]);
};
await Promise.all(hosts.map(startAgent));

const wire = Wire.open();
t.teardown(() => wire.close());
const stations = new Map<string, Station>();
for (const [name, host] of Object.entries(PLACES)) {
  const namespace = await lab.namespace(name);
  const { endpoint } = await agents
    .get(host)!
    .call(
      LocalAttach,
      { tenant, network: 'web', endpoint: name, netns: namespace.path },
      { deadlineMs: 30_000 },
    );
  // Its stack has nothing to say: the wire answers for it.
  await namespace.ip('addr flush dev eth0');
  const [place = -1] = await wire.place([{ netns: namespace.path, interface: 'eth0' }]);
  const addresses = [endpoint.ip, endpoint.ip6].flatMap((cidr): Address[] =>
    cidr === undefined ? [] : [parseAddress(cidr.split('/')[0] ?? '')],
  );
  const mac = Number.parseInt(endpoint.mac.replaceAll(':', ''), 16);
  stations.set(name, { name: `acme/web/${name}`, place, mac, addresses });
}
await Promise.all(hosts.map((host) => host.learnTunnelPeers()));

const probe = (from: string, to: string, service: Probe['service'], family: 4 | 6 = 4): Probe => ({
  family,
  service,
  from: stations.get(from)!,
  to: stations.get(to)!,
});
const prober = new Prober(wire, stations.values(), async () => undefined);
const connections = [
  probe('client', 'server', udp(8000)),
  probe('client', 'server', tcp(8000), 6),
  probe('client', 'near', tcp(8000)),
  probe('client', 'other', udp(8000)),
  probe('client', 'open', udp(8000)),
];
const live = await LiveConnections.open(wire, prober, connections, RATE, describe);
const forbidden = new Datagrams(wire);
await forbidden.start(
  [
    probe('other', 'server', udp(8000)),
    probe('other', 'near', udp(8000), 6),
    probe('far', 'client', udp(8000)),
    probe('server', 'other', udp(8000), 6),
    probe('far', 'near', udp(8000)),
    probe('client', 'far', udp(8001), 6),
  ],
  RATE,
);
const passed = async (): Promise<string[]> =>
  (await forbidden.state()).filter(({ runs }) => runs.length > 0).map(({ probe }) => describe(probe));
const uncut = async (what: () => Promise<void>): Promise<readonly string[]> => {
  const always = () => true;
  return (await live.during(what, always, always)).wrong;
};

t.test('kill -9 of the controller: nothing is cut, nothing is open, nothing is sent', async (t) => {
  const wrong = await uncut(async () => {
    await controller.stop('SIGKILL');
    await forbidden.more(10);
    await controller.start();
    await controller.settled(names);
  });
  t.strictSame(wrong, []);
  t.equal(await controller.metric('weft_entries_sent_total'), 0);
  t.strictSame(await passed(), []);
});

t.test('kill -9 of the agents: nothing is cut, nothing is open', async (t) => {
  const wrong = await uncut(async () => {
    await Promise.all([...agents.values()].map(({ daemon }) => daemon.stop('SIGKILL')));
    await forbidden.more(10);
    await Promise.all(hosts.map(startAgent));
  });
  t.strictSame(wrong, []);
  t.strictSame(await passed(), []);
});

for (const [name, which] of [
  ['h2', 'where the connections end'],
  ['h1', 'where they begin'],
] as const) {
  t.test(`Open vSwitch restarts ${which}: never open`, async (t) => {
    const cut = await live.interruptions(async () => {
      await lab.host(name).restartOvs({ keepDatabase: true });
      await controller.settled(names);
    });
    t.strictSame(await passed(), []);
    for (const { connection, there, back } of cut) {
      t.comment(`${connection}: cut for ${there} ms, its answers for ${back} ms`);
    }
    t.strictSame(await uncut(() => forbidden.more(10)), [], 'connections go on by themselves');
  });
}

t.test('Open vSwitch restarts while there is no controller: closed until there is one', async (t) => {
  await live.interruptions(async () => {
    await controller.stop('SIGKILL');
    await lab.host('h2').restartOvs({ keepDatabase: true });
    await forbidden.more(20);
    t.strictSame(await passed(), []);
    await controller.start();
    await controller.settled(names);
  });
  t.strictSame(await passed(), []);
  t.strictSame(await uncut(() => forbidden.more(10)), []);
});

const restarted = async (): Promise<void> => {
  await lab.host('h2').restartOvs({ keepDatabase: true });
  await controller.settled(names);
};

t.test('Open vSwitch restarts while answers alone are on their way: the agent knows who asked', async (t) => {
  await live.speak(['back']);
  await restarted();
  await until('answers', async () => (await live.flowing()).length === connections.length, 30_000);
  t.strictSame(await passed(), []);
  await live.speak(['there', 'back']);
  await until('everything', async () => (await live.flowing()).length === 2 * connections.length, 30_000);
});

/**
 * The userspace datapath keeps its connection table in the process. Where the agent is away as well, who speaks first after a restart
 * counts as who opened the connection, on that host.
 */
t.test('Open vSwitch forgets who opened a connection when nobody remembers', async (t) => {
  await agents.get('h2')?.daemon.stop('SIGKILL');
  const at =
    (...places: readonly string[]) =>
    (line: string) =>
      places.includes(line.split(' ')[1] ?? '');
  await live.speak(['back']);
  await restarted();
  await until('answers of the open one', async () => (await live.flowing()).some(at('open')));
  t.strictSame(
    (await live.flowing()).filter(at('server')),
    [],
    'who may begin nothing is silent until the other end speaks',
  );
  await live.speak(['there', 'back']);
  await until('everything', async () => (await live.flowing()).length === 2 * connections.length, 30_000);
  t.pass('then all go on, in both directions');

  await controller.request('POST', '/v1/apply', policies([]));
  await until('the change', async () => (await live.flowing()).filter(at('server', 'near')).length === 0);
  t.strictSame(
    (await live.flowing()).filter(at('open')),
    ['client open udp/8000, there', 'client open udp/8000, back'],
    'the open one has spoken first: it is a connection of its own to h2, which its rules allow',
  );
});
