/** Hosts without OpenFlow beside one with Open vSwitch: a network over both, policy, moves, restarts of agents and of the controller. */
import t from 'tap';
import { LocalAttach, type LocalAttachParams, LocalDetach } from '../../agent/index.js';
import { LocalStatus } from '../../agent/local/methods.js';
import { Lab, type LabHost, type LabNamespace, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

t.setTimeout(300_000);

const INTENTS = [
  { kind: 'Tenant', name: 'acme', subnetPool: '10.1.0.0/16', vlans: '11-20' },
  { kind: 'Network', tenant: 'acme', name: 'web', encapsulation: 'vxlan', ipv6Subnet: 'fd00:1::/64' },
  { kind: 'Network', tenant: 'acme', name: 'local', encapsulation: 'vlan', tag: 12 },
  { kind: 'Policy', tenant: 'acme', name: 'closed', defaultIn: 'deny' },
  {
    kind: 'Rule',
    tenant: 'acme',
    policy: 'closed',
    name: 'http',
    from: [{ group: 'clients' }],
    protocol: 'tcp',
    ports: ['8080'],
  },
  { kind: 'Group', tenant: 'acme', name: 'servers', policies: ['closed'] },
  { kind: 'Group', tenant: 'acme', name: 'clients' },
];

const lab = await Lab.create({ name: 'soft', hosts: 3 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
await controller.request('POST', '/v1/apply', INTENTS);

const [ovs, linux, mac] = [lab.host('h1'), lab.host('h2'), lab.host('h3')];
/** As a host is on which nobody has installed Open vSwitch. */
async function withoutOvs(host: LabHost): Promise<void> {
  await host.stopOvs();
  // Taps of the userspace datapath outlive it.
  await host.ip('link delete dev br-underlay', `addr replace ${host.vtepIp}/24 dev underlay`);
}
await Promise.all([withoutOvs(linux), withoutOvs(mac)]);

const OPTIONS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  h1: { vtepIp: ovs.vtepIp, uplink: ovs.uplink, hwOffload: 'on' },
  h2: { vtepIp: linux.vtepIp, switch: 'linux-bridge' },
  h3: { uplink: mac.uplink, switch: 'macvlan', macvlanMode: 'bridge', untaggedVlan: 12 },
};
const agents = new Map<string, SpawnedAgent>();
const startAgent = async (host: LabHost): Promise<void> => {
  agents.set(
    host.name,
    await spawnAgent(lab, host, { controller: controller.hub, logLevel: 'debug', ...OPTIONS[host.name] }),
  );
};
await Promise.all([ovs, linux, mac].map(startAgent));
await controller.settled(['h1']);
const isUp = async (host: string) => (await controller.stateOf(host)).agent === 'up';
for (const host of ['h2', 'h3']) await until(`agent of ${host}`, () => isUp(host), 20_000);

interface Attached {
  readonly namespace: LabNamespace;
  readonly ip: string;
  readonly ip6: string;
  readonly mac: string;
}

const agentOf = (host: LabHost): SpawnedAgent => agents.get(host.name) as SpawnedAgent;

async function plug(
  host: LabHost,
  namespace: LabNamespace,
  name: string,
  more: Partial<LocalAttachParams> = {},
): Promise<Attached> {
  const params = { tenant: 'acme', network: 'web', endpoint: name, netns: namespace.path, ...more };
  const { endpoint } = await agentOf(host).call(LocalAttach, params, { deadlineMs: 40_000 });
  const bare = (text = ''): string => text.split('/')[0] ?? '';
  return { namespace, ip: bare(endpoint.ip), ip6: bare(endpoint.ip6), mac: endpoint.mac };
}

async function attach(host: LabHost, name: string, more: Partial<LocalAttachParams> = {}): Promise<Attached> {
  return await plug(host, await lab.namespace(name), name, more);
}

const reaches = async (from: Attached, address: string): Promise<boolean> =>
  (await from.namespace.ping(address, { count: 3, intervalMs: 50 })).received > 0;

const CONNECT = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET); s.settimeout(1.5)
try: s.connect((sys.argv[1], int(sys.argv[2]))); print("open")
except ConnectionRefusedError: print("refused")
except (TimeoutError, socket.timeout): print("nothing")
`;
const connects = async (from: Attached, address: string, port: number): Promise<string> =>
  (await from.namespace.exec(['/usr/bin/python3', '-c', CONNECT, address, `${port}`])).trim();

const a = await attach(ovs, 'a');
const b = await attach(linux, 'b');
const c = await attach(linux, 'c');
// The userspace datapath loses the packet by which it learns of a tunnel's peer.
await until('Open vSwitch to know the other end', async () => {
  await ovs.run(['arping', '-c', '1', '-w', '1', '-I', 'br-underlay', `${linux.vtepIp}`]);
  return (await ovs.appctl('tnl/neigh/show')).includes(`${linux.vtepIp} `);
});

await t.test('a network over Open vSwitch and Linux bridges', async (t) => {
  await until('the first packet', () => reaches(b, a.ip), 20_000);
  t.ok(await reaches(a, b.ip), 'from Open vSwitch to the bridge');
  t.ok(await reaches(b, a.ip), 'and back');
  t.ok(await reaches(b, c.ip), 'on the bridge itself');
  t.ok(await reaches(a, b.ip6), 'IPv6');
  t.ok(await reaches(c, a.ip6), 'and back');
  const heard = async (from: Attached, listener: Attached): Promise<boolean> => {
    const capture = await listener.namespace.capture('eth0', 'arp and ether broadcast');
    await from.namespace.run(['ping', '-c', '1', '-W', '1', '10.1.0.99']);
    const frames = await capture.stop();
    return frames.length > 0;
  };
  t.ok(await heard(b, a), 'broadcast reaches Open vSwitch');
  t.ok(await heard(a, c), 'and the bridge');
  const details = await linux.exec(['ip', '-d', 'link', 'show', 'type', 'vxlan']);
  t.match(details, /dstport 4789 nolearning/);
});

await t.test('nobody sends with addresses of others, and the host is not there', async (t) => {
  await b.namespace.ip('addr add 10.1.0.200/24 dev eth0');
  const forged = await b.namespace.run(['ping', '-c', '2', '-W', '1', '-I', '10.1.0.200', a.ip]);
  t.not(forged.exitCode, 0, 'another IPv4 address');
  await b.namespace.ip('addr del 10.1.0.200/24 dev eth0');
  await b.namespace.ip('link set dev eth0 address 02:02:00:00:00:99');
  t.notOk(await reaches(b, a.ip), 'another MAC address');
  await b.namespace.ip(`link set dev eth0 address ${b.mac}`);
  await until('its own again', () => reaches(b, a.ip), 10_000);
  const capture = await b.namespace.capture('eth0', `arp src host ${linux.managementAddress}`);
  await b.namespace.run(['arping', '-c', '1', '-w', '1', '-I', 'eth0', linux.managementAddress]);
  t.equal((await capture.stop()).length, 0, 'the host does not answer for its own addresses');
});

await t.test('policy', async (t) => {
  const s = await attach(linux, 's', { groups: ['servers'] });
  const server = `import socket
for port in (22, 8080):
    l = socket.socket(socket.AF_INET6); l.setsockopt(41, 26, 0); l.setsockopt(1, 2, 1); l.bind(("", port)); l.listen()
import time; time.sleep(1000)`;
  s.namespace.spawn('server', ['/usr/bin/python3', '-c', server]);
  await until('the server', async () => (await s.namespace.exec(['ss', '-ltn'])).includes(':8080'), 20_000);
  const near = await attach(linux, 'near', { groups: ['clients'] });
  const far = await attach(ovs, 'far', { groups: ['clients'] });
  t.equal(await connects(near, s.ip, 8080), 'open', 'a client on the same host');
  t.equal(await connects(far, s.ip, 8080), 'open', 'a client on another host');
  t.equal(await connects(near, s.ip6, 8080), 'open', 'over IPv6');
  t.equal(await connects(near, s.ip, 22), 'nothing', 'another port');
  t.equal(await connects(c, s.ip, 8080), 'nothing', 'nobody of the group');
  t.equal(await connects(a, s.ip, 8080), 'nothing', 'nor from the other host');
  t.notOk(await reaches(far, s.ip), 'no ping');
  t.ok(await reaches(s, a.ip), 'what it begins itself is answered');
  t.ok(await reaches(s, a.ip6));
  await controller.request('POST', '/v1/apply', [
    { kind: 'Rule', tenant: 'acme', policy: 'closed', name: 'ping', protocol: 'icmp' },
  ]);
  await until('the new rule', () => reaches(far, s.ip), 10_000);
  await controller.request('DELETE', '/v1/rules/acme/closed/ping');
  await until('its end', async () => !(await reaches(far, s.ip)), 10_000);
  t.equal(await connects(near, s.ip, 8080), 'open', 'the others stand');
});

await t.test('a restart of the agent changes nothing in the kernel', async (t) => {
  const rules = () => linux.exec(['nft', 'list', 'ruleset']);
  const entries = () => linux.exec(['bridge', 'fdb', 'show']);
  const before = [await rules(), await entries()];
  const stream = a.namespace.ping(b.ip, { count: 150, intervalMs: 20 });
  await agentOf(linux).daemon.stop('SIGKILL');
  await startAgent(linux);
  await until('the agent', () => isUp('h2'), 20_000);
  const taken = () =>
    /"commands":(\d+),"event":"table.taken"|"event":"table.taken","commands":(\d+)/.exec(
      agentOf(linux).daemon.log(),
    );
  await until('its table', () => taken() !== null, 20_000);
  t.equal(taken()?.slice(1).join(''), '0', 'no command was given to the kernel');
  const again = await attach(linux, 'again');
  t.ok(await reaches(again, a.ip), 'it works');
  await agentOf(linux).call(LocalDetach, {
    tenant: 'acme',
    network: 'web',
    endpoint: 'again',
    release: true,
  });
  await until(
    'the kernel as before',
    async () => (await rules()) === before[0] && (await entries()) === before[1],
    10_000,
  );
  const { sent, received } = await stream;
  t.equal(received, sent, 'no packet lost');
});

await t.test('a restart of the controller', async (t) => {
  const stream = b.namespace.ping(a.ip, { count: 150, intervalMs: 20 });
  const rules = await linux.exec(['nft', 'list', 'ruleset']);
  await controller.stop('SIGKILL');
  await controller.start();
  await controller.settled(['h1']);
  await until('the agent', () => isUp('h2'), 20_000);
  const { sent, received } = await stream;
  t.equal(received, sent, 'no packet lost');
  t.equal(await linux.exec(['nft', 'list', 'ruleset']), rules);
});

await t.test('an endpoint moves from Open vSwitch to a bridge and back', async (t) => {
  const m = await attach(ovs, 'm');
  await until('it', () => reaches(b, m.ip), 10_000);
  for (const to of [linux, ovs]) {
    const namespace = await lab.namespace(`m-${to.name}`);
    const moved = await plug(to, namespace, 'm');
    t.equal(moved.ip, m.ip, `its address is the same on ${to.name}`);
    await until(`it on ${to.name}`, async () => (await reaches(b, m.ip)) && (await reaches(a, m.ip)), 15_000);
    t.ok(await reaches(moved, c.ip));
  }
});

await t.test('what is gone leaves nothing', async (t) => {
  const x = await attach(linux, 'x');
  t.ok(await reaches(x, a.ip));
  await lab.removeNamespace('x');
  const gone = async (): Promise<boolean> => {
    const held =
      (await linux.exec(['bridge', 'fdb', 'show'])) + (await linux.exec(['nft', 'list', 'ruleset']));
    return !held.includes(x.mac) && !held.includes(`${x.ip},`) && !held.includes(`${x.ip} `);
  };
  await until('its entries to go', gone, 20_000);
  await until(
    'its address to be free',
    async () => !(await controller.endpoints()).has('acme/web/x'),
    10_000,
  );
});

await t.test('macvlan: endpoints of one uplink, and no more', async (t) => {
  const [p, q] = [await attach(mac, 'p', { network: 'local' }), await attach(mac, 'q', { network: 'local' })];
  t.ok(await reaches(p, q.ip), 'in mode bridge they reach each other');
  t.match(await p.namespace.exec(['ip', '-d', 'link', 'show', 'dev', 'eth0']), /macvlan mode bridge/);
  await t.rejects(attach(mac, 'tunnelled'), { message: /macvlan has no tunnels/ });
  await t.rejects(attach(mac, 'judged', { network: 'local', groups: ['servers'] }), {
    message: /policies, which macvlan cannot enforce/,
  });
  await agentOf(mac).daemon.stop('SIGKILL');
  await startAgent(mac);
  await until('the agent', () => isUp('h3'), 20_000);
  t.ok(await reaches(p, q.ip), 'a restart of the agent leaves them');
  t.equal((await agentOf(mac).call(LocalStatus, {})).attachments.length, 2);
  const servers = { kind: 'Group', tenant: 'acme', name: 'servers', policies: ['closed'] };
  await controller.request('POST', '/v1/apply', [{ ...servers, endpoints: ['local/p'] }]);
  await until('one that policy comes to is closed', async () => !(await reaches(q, p.ip)), 15_000);
  const said = async (): Promise<boolean> =>
    /acme\/local\/p: it is judged by policies/.test(
      (await agentOf(mac).call(LocalStatus, {})).problems.join(),
    );
  await until('the agent to say why', said, 20_000);
});

await t.test('a VLAN network is refused by Linux bridges', async (t) => {
  await t.rejects(attach(linux, 'vlan', { network: 'local' }), { message: /VLAN network/ });
});

await t.test('hardware offload of Open vSwitch is configured', async (t) => {
  const configured = await ovs.vsctl('get', 'Open_vSwitch', '.', 'other_config:hw-offload');
  t.equal(configured.trim().replaceAll('"', ''), 'true');
  const { problems } = await agentOf(ovs).call(LocalStatus, {});
  t.match(problems.join('\n'), /restarted/, 'and who looks is told what is missing');
});
