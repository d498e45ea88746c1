/** The agent against real Open vSwitch, inside the lab's hosts, with a hub of the tests' own. */
import t, { type Test } from 'tap';
import { LocalAttach, LocalDetach, LocalStatus } from '../../agent/index.js';
import { hostInterfaceOf } from '../../agent/attachments.js';
import { AgentDetach, AgentStatus, EndpointChanged, ErrorCode, RpcError } from '../../rpc/index.js';
import { Lab, until, type LabHost } from '../../topologies/lab/index.js';
import { FakeHub, launchAgent, spawnAgent, type SpawnedAgent } from './agent-support.js';

interface Setup {
  readonly lab: Lab;
  readonly host: LabHost;
  readonly hub: FakeHub;
  readonly controller: string;
  readonly options: Readonly<Record<string, unknown>>;
}

async function setup(t: Test): Promise<Setup> {
  const lab = await Lab.create({ name: 'agent', hosts: 1 });
  const hub = new FakeHub();
  t.teardown(async () => {
    hub.stop();
    await lab.destroy();
  });
  const controller = await hub.start(lab.managementAddress);
  const host = lab.host('h1');
  return { lab, host, hub, controller, options: { controller, vtepIp: host.vtepIp, uplink: host.uplink } };
}

const web = { tenant: 'acme', network: 'front', endpoint: 'web' };
const WEB = 'acme/front/web';
const WEB_INTERFACE = hostInterfaceOf(WEB);

async function portNumber(host: LabHost, name: string): Promise<string> {
  return (await host.vsctl('get', 'interface', name, 'ofport')).trim();
}
async function links(host: LabHost): Promise<readonly string[]> {
  const shown = JSON.parse(await host.exec(['ip', '-json', 'link', 'show'])) as { ifname: string }[];
  return shown.map((link) => link.ifname).sort();
}
const registered = (hub: FakeHub, times: number): Promise<true> =>
  until(`registration ${times}`, () => hub.registrations.length >= times || undefined);

t.test('bridge, attachment, what is undone, and the restarts of everybody', async (t) => {
  const { lab, host, hub, controller, options } = await setup(t);
  hub.declare(WEB, { ip6: 'fd00:1::1/64', gateway: '10.1.1.254' });
  hub.declare('acme/tagged/db', { encapsulation: 'vlan', tag: 11, mtuOverhead: 0, ip: '10.2.1.1/24' });
  let agent = await spawnAgent(lab, host, options);
  await registered(hub, 1);

  await t.test('the bridge', async (t) => {
    const bridge = await host.vsctl('--format=json', 'list', 'bridge', 'br-int');
    for (const part of ['secure', 'OpenFlow13', 'netdev', 'disable-in-band'])
      t.match(bridge, new RegExp(part));
    t.equal(await portNumber(host, 'weft-vxlan'), '65000');
    t.equal(await portNumber(host, 'uplink'), '65001');
    t.match(await host.vsctl('get-controller', 'br-int'), `tcp:${lab.managementAddress}:6653`);
    t.match(hub.registrations[0], {
      hostLabel: 'h1',
      bridge: 'br-int',
      vtepIp: host.vtepIp,
      uplink: 'uplink',
      tunnelPort: 'weft-vxlan',
      underlayMtu: 1_500,
      attachments: [],
    });
    const shown = await host.ofctl('show', 'br-int');
    t.match(
      shown,
      `dpid:${hub.registrations[0]?.datapathId}`,
      'the switch has the datapath id that the hub was told',
    );
    await until('a heartbeat', () => hub.heartbeats > 0);
  });

  const container = await lab.namespace('web');
  await t.test('an endpoint comes up only after the controller has acknowledged it', async (t) => {
    let stateInside = '';
    let portInside = '';
    hub.onAttach = async () => {
      stateInside = await container.exec(['ip', '-json', 'link', 'show', 'eth0']);
      portInside = await portNumber(host, WEB_INTERFACE);
    };
    const result = await agent.call(LocalAttach, { ...web, netns: container.path, attachUUID: 'u1' });
    hub.onAttach = () => {};
    t.match(stateInside, '"operstate":"DOWN"');
    t.match(portInside, /^\d+$/, 'the port existed before the controller was asked');
    t.match(result, { interface: WEB_INTERFACE, innerInterface: 'eth0', mtu: 1_450, generation: 1 });
    const inner = await container.exec(['ip', '-json', 'addr', 'show', 'eth0']);
    for (const part of [
      '"address":"02:02:0a:01:01:01"',
      '10.1.1.1',
      'fd00:1::1',
      '"operstate":"UP"',
      '"mtu":1450',
    ]) {
      t.match(inner, part);
    }
    t.match(await container.exec(['ip', 'route', 'show', 'default']), 'via 10.1.1.254 dev eth0');
    const again = await agent.call(LocalAttach, { ...web, netns: container.path, attachUUID: 'u1' });
    t.match(again, { interface: WEB_INTERFACE, generation: 2 }, 'repeating it is no error');
    t.match(await agent.call(LocalStatus, {}), {
      controller: 'registered',
      switch: 'ready',
      datapathType: 'netdev',
      problems: [],
      attachments: [{ endpoint: WEB, generation: 2, netns: container.path }],
    });
    const [peer] = hub.peers;
    t.match(
      await peer?.call(AgentStatus, {}),
      { attachments: [{ endpoint: WEB }] },
      'the controller can ask as well',
    );
  });

  await t.test('a VLAN endpoint has the MTU of the uplink', async (t) => {
    const db = await lab.namespace('db');
    const params = { tenant: 'acme', network: 'tagged', endpoint: 'db', netns: db.path };
    t.match(await agent.call(LocalAttach, params), { mtu: 1_500 });
    await agent.call(LocalDetach, { tenant: 'acme', network: 'tagged', endpoint: 'db' });
  });

  await t.test('an existing interface', async (t) => {
    hub.declare('acme/front/vm', {});
    await host.ip('tuntap add tap0 mode tap');
    const vm = { tenant: 'acme', network: 'front', endpoint: 'vm' };
    t.match(await agent.call(LocalAttach, { ...vm, interface: 'tap0' }), { interface: 'tap0', mtu: 1_450 });
    t.match(await portNumber(host, 'tap0'), /^\d+$/);
    t.same(await agent.call(LocalDetach, vm), { detached: true });
    t.ok((await links(host)).includes('tap0'), 'an interface that was there before stays');
    t.notMatch(await host.vsctl('list-ports', 'br-int'), 'tap0');
    t.same(await agent.call(LocalDetach, vm), { detached: false }, 'twice is no error');
  });

  await t.test('a leg whose other end a runtime moves', async (t) => {
    hub.declare('acme/front/moved', {});
    const moved = { tenant: 'acme', network: 'front', endpoint: 'moved' };
    const params = { ...moved, peer: 'peer0', attachUUID: 'u1' };
    const attached = await agent.call(LocalAttach, params);
    t.match(attached, { interface: hostInterfaceOf('acme/front/moved'), peer: 'peer0', mtu: 1_450 });
    const shown = await host.exec(['ip', '-json', 'addr', 'show', 'peer0']);
    for (const part of [`"address":"${attached.endpoint.mac}"`, '"operstate":"DOWN"', '"addr_info":[]'])
      t.match(shown, part, 'down and without addresses');
    const box = await lab.namespace('moved');
    await host.ip(`link set peer0 netns ${box.path}`);
    await box.exec(['ip', 'link', 'set', 'peer0', 'name', 'eth7', 'up']);
    t.match(await box.exec(['ethtool', '-k', 'eth7']), /tx-checksumming: off/, 'through the move');

    // Looking again at everything, as a change of a link makes it do, finds nothing to put right.
    const log = agent.daemon.log();
    await host.ip('tuntap add tap1 mode tap');
    const again = await agent.call(LocalAttach, params);
    t.equal(again.interface, attached.interface);
    t.match(await box.exec(['ip', '-json', 'link', 'show', 'eth7']), '"operstate":"UP"', 'it was left alone');
    await host.ip('link delete tap1');
    t.notMatch(agent.daemon.log().slice(log.length), /endpoint.detached/);
    await t.rejects(agent.call(LocalAttach, { ...params, netns: box.path }), {
      code: 'agent.option.invalid',
    });

    await lab.removeNamespace('moved');
    const released = await until('it is gone with its namespace', () =>
      hub.detached.find(({ endpoint }) => endpoint === 'acme/front/moved'),
    );
    t.match(released, { release: true });
    t.notMatch(await host.vsctl('list-ports', 'br-int'), attached.interface);
  });

  await t.test('what fails half way is undone', async (t) => {
    hub.declare('acme/front/bad');
    const before = { links: await links(host), ports: await host.vsctl('list-ports', 'br-int') };
    const bad = { tenant: 'acme', network: 'front', endpoint: 'bad' };
    const box = await lab.namespace('bad');
    const unchanged = async (what: string): Promise<void> => {
      t.same({ links: await links(host), ports: await host.vsctl('list-ports', 'br-int') }, before, what);
      t.equal((await box.run(['ip', 'link', 'show', 'eth0'])).exitCode, 1, `${what}: no leg inside`);
    };
    hub.onAttach = () => {
      throw new RpcError(ErrorCode.refused, 'switch.refused', 'the switch refused an entry');
    };
    await t.rejects(agent.call(LocalAttach, { ...bad, netns: box.path }), { code: 'switch.refused' });
    hub.onAttach = () => {};
    await unchanged('refused by the controller');
    t.match(
      hub.detached.at(-1),
      { endpoint: 'acme/front/bad', release: true },
      'its addresses are given back',
    );
    await t.rejects(agent.call(LocalAttach, { ...bad, endpoint: 'unknown', netns: box.path }), {
      code: 'endpoint.unknown',
    });
    await t.rejects(agent.call(LocalAttach, { ...bad, netns: '/run/netns/nosuch' }), {
      code: 'agent.namespace.missing',
    });
    await t.rejects(agent.call(LocalAttach, { ...bad, interface: 'nosuch0' }), {
      code: 'agent.interface.missing',
    });
    await t.rejects(agent.call(LocalAttach, { ...bad }), { code: 'agent.option.invalid' });
    await t.rejects(agent.call(LocalAttach, { ...bad, netns: container.path }), {
      code: 'agent.interface.exists',
    });
    await unchanged('refused by the kernel');
    t.match(await agent.call(LocalAttach, { ...bad, netns: box.path }), {
      interface: hostInterfaceOf('acme/front/bad'),
    });
    await agent.call(LocalDetach, { ...bad });
    await unchanged('attached and detached again');
  });

  await t.test('the agent is killed: its attachments and its bridge stay, and are told again', async (t) => {
    const port = await portNumber(host, WEB_INTERFACE);
    const lastEpoch = hub.registrations.at(-1)?.epoch ?? 0;
    await agent.daemon.stop('SIGKILL');
    // What a killed attachment leaves: a leg with our alias, and a port without generation.
    await host.exec(['ip', 'link', 'add', 'weft0123456789', 'type', 'veth', 'peer', 'name', 'orphan']);
    await host.exec(['ip', 'link', 'set', 'weft0123456789', 'alias', 'weft:h1/br-int:acme/front/half']);
    await host.exec(['ip', 'link', 'add', 'foreign0', 'type', 'veth', 'peer', 'name', 'foreign1']);
    await host.vsctl(
      'add-port',
      'br-int',
      'orphan',
      '--',
      'set',
      'interface',
      'orphan',
      'external_ids:iface-id=acme/front/half',
      'external_ids:weft-generation=0',
    );
    const times = hub.registrations.length;
    agent = await spawnAgent(lab, host, options);
    await registered(hub, times + 1);
    t.match(hub.registrations.at(-1)?.attachments, [
      { endpoint: WEB, interface: WEB_INTERFACE, generation: 2 },
    ]);
    t.ok((hub.registrations.at(-1)?.epoch ?? 0) > lastEpoch, 'the epoch has grown');
    t.equal(await portNumber(host, WEB_INTERFACE), port, 'the port was not touched');
    const left = await links(host);
    t.notOk(left.includes('weft0123456789') || left.includes('orphan'), 'the half-made attachment is gone');
    t.ok(left.includes('foreign0'), 'links of others are not');
    t.notMatch(await host.vsctl('list-ports', 'br-int'), 'orphan');
  });

  await t.test('Open vSwitch comes back empty: bridge and ports are made again', async (t) => {
    const { datapathId } = hub.registrations[0] ?? {};
    await host.restartOvs({ keepDatabase: false });
    await until(
      'the port',
      async () =>
        (await host.vsctl('--if-exists', 'get', 'interface', WEB_INTERFACE, 'ofport')).trim() !== '',
    );
    t.equal(await portNumber(host, 'weft-vxlan'), '65000');
    t.equal(await portNumber(host, 'uplink'), '65001');
    t.match(await host.ofctl('show', 'br-int'), `dpid:${datapathId}`, 'with the same datapath id');
    t.match(await host.vsctl('get', 'interface', WEB_INTERFACE, 'external_ids'), /weft-generation="2"/);
  });

  await t.test('a port deleted by hand is made again', async (t) => {
    await host.vsctl('del-port', WEB_INTERFACE);
    await until('the port', async () => (await host.vsctl('list-ports', 'br-int')).includes(WEB_INTERFACE));
    t.match(await portNumber(host, WEB_INTERFACE), /^\d+$/);
  });

  await t.test('the state file is lost: the switch remembers', async (t) => {
    await agent.daemon.stop('SIGKILL');
    await host.exec(['rm', '-r', `${lab.directory}/h1-state`]);
    const times = hub.registrations.length;
    agent = await spawnAgent(lab, host, options);
    await registered(hub, times + 1);
    t.match(hub.registrations.at(-1)?.attachments, [{ endpoint: WEB, generation: 2 }]);
  });

  await t.test('the controller goes and comes back', async (t) => {
    hub.stop();
    await until('the loss', async () => (await agent.call(LocalStatus, {})).controller === 'disconnected');
    await t.rejects(agent.call(LocalAttach, { ...web, endpoint: 'other', netns: container.path }), {
      code: 'agent.disconnected',
    });
    const times = hub.registrations.length;
    await hub.start(lab.managementAddress, Number(controller.split(':')[1]));
    await registered(hub, times + 1);
    t.match(hub.registrations.at(-1)?.attachments, [{ endpoint: WEB }]);
  });

  await t.test('an endpoint that changed gets its new address', async (t) => {
    const [peer] = hub.peers;
    hub.declare(WEB, { ip: '10.1.1.77/24', mac: '02:02:0a:01:01:01' });
    const view = await agent.call(LocalAttach, { ...web, netns: container.path, attachUUID: 'u1' });
    t.equal(view.endpoint.ip, '10.1.1.77/24');
    t.match(await container.exec(['ip', 'addr', 'show', 'eth0']), '10.1.1.77/24');
    peer?.notify(EndpointChanged, { endpoint: WEB, view: { ...view.endpoint, ip: '10.1.1.78/24' } });
    await until('the address', async () =>
      (await container.exec(['ip', 'addr', 'show', 'eth0'])).includes('10.1.1.78/24'),
    );
    t.notMatch(await container.exec(['ip', 'addr', 'show', 'eth0']), '10.1.1.77', 'the old one is gone');
  });

  await t.test('a container that ends is detached, and its name can be used again', async (t) => {
    await lab.removeNamespace('web');
    await until('the detachment', () => hub.detached.find((call) => call.endpoint === WEB));
    await until('no port', async () => !(await host.vsctl('list-ports', 'br-int')).includes(WEB_INTERFACE));
    const next = await lab.namespace('web');
    t.match(await agent.call(LocalAttach, { ...web, netns: next.path, attachUUID: 'u2' }), {
      interface: WEB_INTERFACE,
    });
  });

  await t.test('what the controller no longer holds here goes', async (t) => {
    const [peer] = hub.peers;
    await peer?.call(AgentDetach, { endpoint: WEB, reason: 'it moved' });
    t.notMatch(await host.vsctl('list-ports', 'br-int'), WEB_INTERFACE);
    t.notOk((await links(host)).includes(WEB_INTERFACE));
    const box = await lab.namespace('stale');
    await agent.call(LocalAttach, { ...web, netns: box.path });
    const times = hub.registrations.length;
    hub.stale = [WEB];
    peer?.close('so that it registers again');
    await registered(hub, times + 1);
    await until('no port', async () => !(await host.vsctl('list-ports', 'br-int')).includes(WEB_INTERFACE));
    t.same((await agent.call(LocalStatus, {})).attachments, []);
  });

  await t.test('SIGTERM ends the lease and leaves the data plane', async (t) => {
    const box = await lab.namespace('last');
    await agent.call(LocalAttach, { ...web, netns: box.path });
    const code = await agent.daemon.stop('SIGTERM');
    t.equal(code, 0);
    t.equal(hub.deregistered.length, 1);
    t.match(await host.vsctl('list-ports', 'br-int'), WEB_INTERFACE);
    t.match(await box.exec(['ip', 'link', 'show', 'eth0']), 'state UP');
    t.match(await host.vsctl('get-controller', 'br-int'), 'tcp:');
  });
});

t.test('what is refused before anything is touched', async (t) => {
  const { lab, host, options } = await setup(t);
  const outcome = async (more: object, env: Readonly<Record<string, string>> = {}): Promise<string> => {
    const { daemon } = launchAgent(lab, host, { ...options, ...more }, env);
    t.not(await daemon.exited, 0);
    t.equal(await host.vsctl('list-br'), 'br-underlay\n', 'no bridge was made');
    return daemon.log();
  };
  t.match(
    await outcome({ uplink: 'management' }),
    /agent\.uplink\.unsafe.*default route.*connection to the controller/,
  );
  t.match(await outcome({ uplink: 'br-underlay' }), /agent\.uplink\.unsafe.*tunnel address/);
  await host.ip('addr add 203.0.113.2/24 dev uplink');
  const ssh = { SSH_CONNECTION: '203.0.113.9 50000 203.0.113.2 22' };
  t.match(await outcome({}, ssh), /agent\.uplink\.unsafe.*SSH session from 203\.0\.113\.9/);
  t.match(await outcome({ uplink: 'nosuch0' }), /agent\.uplink\.missing/);
  t.match(await outcome({ vtepIp: '192.0.2.99' }), /agent\.vtep\.missing/);
  t.match(await outcome({ hostLabel: 'no label' }), /agent\.option\.invalid/);

  const forced = await spawnAgent(lab, host, { ...options, forceUplink: true }, ssh);
  t.equal(await portNumber(host, 'uplink'), '65001', 'unless forced');
  const second = launchAgent(lab, host, { ...options, forceUplink: true });
  t.equal(await second.daemon.exited, 1);
  t.match(second.daemon.log(), /agent\.running/, 'one agent a socket');
  await forced.daemon.stop();
  const foreign = launchAgent(lab, host, { ...options, forceUplink: true, hostLabel: 'other' });
  t.equal(await foreign.daemon.exited, 1);
  t.match(foreign.daemon.log(), /agent\.bridge\.foreign.*belongs to the agent of host 'h1'/);
});

t.test('MTU over IPv6, and a tunnel address that the userspace datapath cannot use', async (t) => {
  const lab = await Lab.create({
    name: 'agent',
    underlayMtu: 9_000,
    hosts: [{ name: 'h1', vtepIp: 'fd00:254::1' }],
  });
  const hub = new FakeHub();
  t.teardown(async () => {
    hub.stop();
    await lab.destroy();
  });
  const host = lab.host('h1');
  const controller = await hub.start(lab.managementAddress);
  hub.declare(WEB, { mtuOverhead: 70 });
  let agent: SpawnedAgent = await spawnAgent(lab, host, { controller, vtepIp: host.vtepIp });
  await registered(hub, 1);
  const box = await lab.namespace('web');
  t.match(await agent.call(LocalAttach, { ...web, netns: box.path }), { mtu: 8_930 });
  t.same((await agent.call(LocalStatus, {})).problems, []);
  await agent.daemon.stop();
  await host.ip('addr add 192.0.2.1/24 dev uplink');
  agent = await spawnAgent(lab, host, { controller, vtepIp: '192.0.2.1' });
  t.match((await agent.call(LocalStatus, {})).problems, [/192\.0\.2\.1 is on uplink.*datapath_type=netdev/]);
});
