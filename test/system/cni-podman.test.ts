/** Real containers: podman on two hosts, its CNI backend with Weft's plugin, which `weft agent` installs, and others behind it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { hostInterfaceOf } from '../../agent/attachments.js';
import { LocalStatus } from '../../agent/index.js';
import { Lab, type LabHost, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { cniPaths } from './cni-support.js';
import { Podman } from './podman-support.js';
import { ControllerProcess } from './weft-processes.js';

const intents = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Network', tenant: 'acme', name: 'pods', subnet: '10.1.1.0/24' },
  { kind: 'Network', tenant: 'acme', name: 'second', subnet: '10.1.2.0/24' },
  { kind: 'Group', tenant: 'acme', name: 'clients' },
  { kind: 'Group', tenant: 'acme', name: 'servers', policies: ['serve'] },
  {
    kind: 'Policy',
    tenant: 'acme',
    name: 'serve',
    defaultIn: 'deny',
    rules: [{ name: 'clients', direction: 'in', from: [{ group: 'clients' }], action: 'allow' }],
  },
];

t.setTimeout(300_000);

t.test('podman on two hosts', async (t) => {
  const lab = await Lab.create({ name: 'podman', hosts: 2 });
  t.teardown(() => lab.destroy());
  const hosts = [...lab.hosts.values()] as [LabHost, LabHost];
  const controller = new ControllerProcess(lab);
  const agents = new Map<LabHost, SpawnedAgent>();
  const startAgent = async (host: LabHost): Promise<void> => {
    const { root, socket } = cniPaths(lab, host);
    const options = { controller: controller.hub, vtepIp: host.vtepIp, cni: socket, installCni: root };
    agents.set(host, await spawnAgent(lab, host, options));
    await controller.settled([host.name]);
  };
  const install = async (host: LabHost): Promise<Podman> => {
    const directory = join(lab.directory, `${host.name}-podman`);
    mkdirSync(directory);
    const podman = await Podman.prepare(host, directory, [cniPaths(lab, host).bin, '/usr/lib/cni']);
    t.teardown(() => podman.destroy());
    const weft = { type: 'weft', tenant: 'acme', network: 'pods', deadlineMs: 20_000 };
    podman.network('pods', [
      { ...weft, capabilities: { ips: true } },
      { type: 'portmap', capabilities: { portMappings: true } },
      { type: 'tuning', sysctl: { 'net.core.somaxconn': '777' } },
    ]);
    podman.network('clients', [{ ...weft, group: 'clients' }]);
    podman.network('servers', [{ ...weft, groups: ['servers'] }]);
    podman.network('second', [{ ...weft, network: 'second', mtu: 1300 }]);
    podman.network('hasty', [{ ...weft, deadlineMs: 1500 }]);
    return podman;
  };
  const [one, two] = await Promise.all([install(hosts[0]), install(hosts[1])]);
  const problem = await one.problem();
  if (problem !== undefined) {
    console.error(
      `SKIPPED: podman cannot run containers on this machine, CNI is not tested with it: ${problem}`,
    );
    t.plan(0, 'podman cannot run containers here');
    return;
  }
  await controller.start();
  await controller.request('POST', '/v1/apply', intents);
  await Promise.all(hosts.map(startAgent));
  await Promise.all(hosts.map((host) => host.learnTunnelPeers()));
  const endpoints = async (): Promise<string[]> => [...(await controller.endpoints()).keys()].sort();
  const endpointOf = (id: string, network = 'pods'): string => `acme/${network}/${id.slice(0, 12)}-eth0`;
  const ports = (host: LabHost): Promise<string> => host.vsctl('list-ports', 'br-int');

  const [a, b] = await Promise.all([one.started('a', 'pods'), two.started('b', 'pods')]);

  await t.test('containers reach each other', async (t) => {
    t.same(await endpoints(), [endpointOf(a.id), endpointOf(b.id)].sort());
    t.same(await Promise.all([one.pings('a', b.address), two.pings('b', a.address)]), [true, true]);
    t.match(await one.do('exec', 'a', 'ip', 'link', 'show', 'eth0'), /mtu 1450/);
    const tuned = await one.do('exec', 'a', 'cat', '/proc/sys/net/core/somaxconn');
    t.equal(tuned.trim(), '777', 'the plugin behind ours has had its turn');
  });

  await t.test('policy holds between them', async (t) => {
    const [server, client] = await Promise.all([
      one.started('server', 'servers'),
      two.started('client', 'clients'),
    ]);
    t.same(
      await Promise.all([
        two.pings('client', server.address),
        two.pings('b', server.address),
        one.pings('a', server.address),
      ]),
      [true, false, false],
      'only members of the group reach it',
    );
    t.ok(await one.pings('server', client.address));
    await Promise.all([one.do('rm', '-f', '-t', '0', 'server'), two.do('rm', '-f', '-t', '0', 'client')]);
  });

  await t.test('addresses that people choose, a second network, and a restart', async (t) => {
    const fixed = await one.started(
      'fixed',
      'pods',
      '--ip',
      '10.1.1.200',
      '--mac-address',
      '02:00:00:00:02:00',
    );
    t.equal(fixed.address, '10.1.1.200');
    t.match(await one.do('exec', 'fixed', 'ip', 'link', 'show', 'eth0'), /02:00:00:00:02:00/);
    await one.do('network', 'connect', 'second', 'fixed');
    const shown = await one.do('exec', 'fixed', 'ip', 'addr', 'show', 'eth1');
    t.match(shown, /mtu 1300[^]*10\.1\.2\.1\/24/);
    await one.do('restart', '-t', '0', 'fixed');
    t.same(
      (await endpoints()).filter((name) => name.includes(fixed.id.slice(0, 12))),
      [endpointOf(fixed.id), endpointOf(fixed.id, 'second').replace('eth0', 'eth1')],
    );
    t.ok(await two.pings('b', '10.1.1.200'));
    await one.do('network', 'disconnect', 'second', 'fixed');
    t.notOk((await endpoints()).some((name) => name.startsWith('acme/second/')));
    await one.do('rm', '-f', '-t', '0', 'fixed');
  });

  await t.test('what is removed is gone, and its name and addresses are free', async (t) => {
    t.same(await endpoints(), [endpointOf(a.id), endpointOf(b.id)].sort());
    const again = await two.started('fixed', 'pods', '--ip', '10.1.1.200');
    t.ok(await one.pings('a', again.address));
    t.match(await ports(hosts[1]), hostInterfaceOf(endpointOf(again.id)));
    await two.do('rm', '-f', '-t', '0', 'fixed');
    t.notMatch(await ports(hosts[1]), hostInterfaceOf(endpointOf(again.id)));
    t.same(await endpoints(), [endpointOf(a.id), endpointOf(b.id)].sort());
  });

  await t.test('the agent restarts under a stream', async (t) => {
    const stream = one.try('exec', 'a', 'ping', '-c', '150', '-i', '0.05', '-W', '2', b.address);
    await agents.get(hosts[0])?.daemon.stop('SIGKILL');
    await startAgent(hosts[0]);
    t.match((await stream).stdout, /150 packets transmitted, 150 packets received/);
    await agents.get(hosts[0])?.daemon.stop('SIGTERM');
    const early = one.started('early', 'pods');
    await startAgent(hosts[0]);
    await early;
    t.ok(await one.pings('early', b.address), 'what starts meanwhile waits for it');
    await one.do('rm', '-f', '-t', '0', 'early');
  });

  await t.test('the controller is away', async (t) => {
    const stream = two.try('exec', 'b', 'ping', '-c', '100', '-i', '0.05', '-W', '2', a.address);
    await controller.stop('SIGKILL');
    await until(
      'the loss',
      async () => (await agents.get(hosts[1])?.call(LocalStatus, {}))?.controller === 'disconnected',
    );
    const begun = performance.now();
    const failed = await two.start('late', 'hasty');
    t.not(failed.exitCode, 0);
    t.match(
      failed.stderr,
      /the controller did not register this host in \d+ ms/,
      'it says what it waited for',
    );
    t.ok(performance.now() - begun < 60_000, 'and not for ever');
    await two.try('rm', '-f', '-t', '0', 'late');
    t.match((await stream).stdout, /100 packets transmitted, 100 packets received/, 'what is there goes on');
    const patient = two.started('late', 'pods');
    await controller.start();
    await Promise.all(hosts.map(({ name }) => controller.settled([name])));
    t.ok(await one.pings('a', (await patient).address), 'who waits is served');
  });

  await t.test('nothing is left', async (t) => {
    await Promise.all([one.destroy(), two.destroy()]);
    t.same(await endpoints(), []);
    for (const host of hosts) {
      t.notMatch(await ports(host), /^weft[0-9a-f]{10}$/m);
      t.notMatch(await host.exec(['ip', 'link', 'show']), /weft[0-9a-f]{10}/);
      t.same((await agents.get(host)?.call(LocalStatus, {}))?.attachments, []);
    }
  });
});
