/**
 * The CNI plugin from outside: its executable as runtimes start it, an agent with real Open vSwitch, the controller as it is installed.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CNI_VERSIONS } from '../../agent/cni/protocol.js';
import { Lab, type LabNamespace, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { callFront, cniPaths, type CniCall, type CniResult } from './cni-support.js';
import { ControllerProcess } from './weft-processes.js';

const intents = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Network', tenant: 'acme', name: 'pods', subnet: '10.1.1.0/24', gateway: '10.1.1.254' },
  { kind: 'Network', tenant: 'acme', name: 'dual', subnet: '10.1.2.0/24', ipv6Subnet: 'fd00:2::/64' },
  { kind: 'Network', tenant: 'acme', name: 'declared', subnet: '10.1.3.0/24', dynamicEndpoints: false },
  { kind: 'Group', tenant: 'acme', name: 'web' },
];

const CONFIGURATION = { cniVersion: '1.1.0', name: 'list', type: 'weft', tenant: 'acme', network: 'pods' };

t.setTimeout(300_000);

t.test('the plugin of a host', async (t) => {
  const lab = await Lab.create({ name: 'cni', hosts: 1 });
  t.teardown(() => lab.destroy());
  const host = lab.host('h1');
  const controller = new ControllerProcess(lab);
  await controller.start();
  await controller.request('POST', '/v1/apply', intents);
  const { root, socket, bin, lists } = cniPaths(lab, host);
  const options = {
    controller: controller.hub,
    vtepIp: host.vtepIp,
    cni: socket,
    installCni: root,
    cniNetwork: 'acme/pods',
  };
  let agent = await spawnAgent(lab, host, options);
  await controller.settled(['h1']);
  const front = join(bin, 'weft');
  const call = (command: string, more: object = {}, parameters: CniCall = {}) =>
    callFront(front, command, { ...CONFIGURATION, ...more }, parameters);
  /** Answers that are no error. */
  const done = async (command: string, more: object, parameters: CniCall): Promise<CniResult | undefined> => {
    const { exitCode, result } = await call(command, more, parameters);
    if (exitCode !== 0) throw new Error(`${command}: ${JSON.stringify(result)}`);
    return result;
  };
  const refused = async (
    t: Test,
    code: number,
    message: RegExp,
    [command, more, parameters]: readonly [string, object, CniCall],
  ): Promise<void> => {
    const { exitCode, result } = await call(command, more, parameters);
    t.equal(exitCode, 1);
    t.match(result, { code, msg: message }, `${command}: ${code} ${message}`);
  };
  const endpoints = async (): Promise<string[]> => [...(await controller.endpoints()).keys()].sort();
  const addressOf = (result: CniResult | undefined): string => result?.ips?.[0]?.address.split('/')[0] ?? '';

  const box = await lab.namespace('box');
  const other = await lab.namespace('other');
  await done('ADD', {}, { containerId: 'standing', netns: other.path });

  await t.test('is installed', async (t) => {
    t.match(JSON.parse(readFileSync(join(lists, '10-weft.conflist'), 'utf8')), {
      name: 'weft',
      plugins: [{ type: 'weft', tenant: 'acme', network: 'pods' }],
    });
    t.match(agent.daemon.log(), /"event":"cni.installed".*opt\/cni\/bin\/weft/);
    const { result } = await call('VERSION');
    t.match(result, { cniVersion: '1.1.0', supportedVersions: [...CNI_VERSIONS] });
    t.same(await call('STATUS'), { exitCode: 0, result: undefined });
  });

  await t.test('an interface from ADD to DEL, in every version', async (t) => {
    for (const [index, cniVersion] of CNI_VERSIONS.entries()) {
      const key = { containerId: `versions${index}`, netns: box.path, interfaceName: `net${index}` };
      const result = await done('ADD', { cniVersion, dns: { nameservers: ['10.1.1.53'] } }, key);
      const { ip, mac } = (await controller.endpoints()).get(`acme/pods/versions${index}-net${index}`) ?? {};
      t.match(result, {
        cniVersion,
        interfaces: [{ name: /^weft/ }, { name: key.interfaceName, mac, sandbox: box.path }],
        ips: [{ address: `${ip}/24`, gateway: '10.1.1.254', interface: 1 }],
        routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.254' }],
        dns: { nameservers: ['10.1.1.53'] },
      });
      t.equal('version' in (result?.ips?.[0] ?? {}), cniVersion.startsWith('0.'), cniVersion);
      const shown = await box.exec(['ip', 'addr', 'show', key.interfaceName]);
      t.match(shown, new RegExp(`${mac}[^]*inet ${ip}/24`));
      t.ok((await other.ping(ip ?? '')).ok, 'it is reached');
      if (index >= 2) {
        const checked = { cniVersion, prevResult: result };
        t.same(await call('CHECK', checked, key), { exitCode: 0, result: undefined });
      }
      t.same(await call('DEL', { cniVersion, prevResult: result }, key), { exitCode: 0, result: undefined });
      t.equal((await box.run(['ip', 'link', 'show', key.interfaceName])).exitCode, 1);
    }
    t.same(await endpoints(), ['acme/pods/standing-eth0'], 'nothing is left');
  });

  await t.test('what is asked for', async (t) => {
    const key = { containerId: 'asked', netns: box.path };
    const result = await done(
      'ADD',
      {
        network: 'dual',
        group: 'web',
        labels: { app: 'shop' },
        mtu: 1400,
        runtimeConfig: {
          ips: ['10.1.2.77/24', 'fd00:2::77/64'],
          mac: '02:00:00:00:00:77',
          bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 4_000_000 },
        },
      },
      { ...key, args: 'WEFT_ENDPOINT=shop' },
    );
    t.match(result, {
      interfaces: [{}, { mac: '02:00:00:00:00:77', mtu: 1400 }],
      ips: [{ address: '10.1.2.77/24' }, { address: 'fd00:2::77/64' }],
      routes: [],
    });
    t.match(await box.exec(['ip', 'link', 'show', 'eth0']), /mtu 1400/);
    t.match((await controller.endpoints()).get('acme/dual/shop'), {
      ip: '10.1.2.77',
      groups: ['acme/web'],
      labels: { app: 'shop' },
      rates: { in: { kilobitsPerSecond: 8000, burstKilobits: 800 }, out: { kilobitsPerSecond: 4000 } },
    });
    const meters = await host.ofctl('dump-meters', 'br-int');
    t.match(meters, /rate=8000 burst_size=800\b/, 'the switch holds the rates');
    t.match(meters, /rate=4000 /);
    await done('DEL', {}, key);
    t.notMatch(await host.ofctl('dump-meters', 'br-int'), /rate=8000 burst_size=800\b/);
  });

  await t.test('what is refused leaves nothing', async (t) => {
    const key = { containerId: 'refused', netns: box.path };
    await refused(t, 7, /no network acme\/nowhere/, ['ADD', { network: 'nowhere' }, key]);
    await refused(t, 100, /no group acme\/nobody/, ['ADD', { groups: ['nobody'] }, key]);
    await refused(t, 2, /grups/, ['ADD', { grups: ['web'] }, key]);
    await refused(t, 4, /no network namespace/, ['ADD', {}, { ...key, netns: '/run/netns/weft-nosuch' }]);
    await refused(t, 7, /more than the 1450 bytes/, ['ADD', { mtu: 9000 }, key]);
    await refused(t, 7, /first of its list/, ['ADD', { prevResult: {} }, key]);
    await refused(t, 100, /10\.9\.9\.9/, ['ADD', {}, { ...key, args: 'IP=10.9.9.9' }]);
    await box.exec(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
    await refused(t, 101, /has an interface eth0 already/, ['ADD', {}, key]);
    t.match(await box.exec(['ip', 'link', 'show', 'eth0']), 'eth0', 'what was there stays');
    await box.exec(['ip', 'link', 'delete', 'eth0']);
    await refused(t, 11, /not the last|declare/, ['ADD', { network: 'declared', deadlineMs: 300 }, key]);
    t.same(await endpoints(), ['acme/pods/standing-eth0']);
    t.notMatch(await box.exec(['ip', 'link', 'show']), /eth0/);
    await done('DEL', {}, key);
  });

  await t.test('ADD twice, CHECK of what has changed', async (t) => {
    const key = { containerId: 'checked', netns: box.path };
    const prevResult = await done('ADD', {}, key);
    const address = prevResult?.ips?.[0]?.address ?? '';
    const wrong = (message: RegExp) => refused(t, 102, message, ['CHECK', { prevResult }, key]);
    await refused(t, 101, /has interface eth0/, ['ADD', {}, key]);
    t.ok((await other.ping(addressOf(prevResult))).ok, 'the second ADD did not touch the first');
    await box.exec(['ip', 'route', 'delete', 'default']);
    await wrong(/no default route by 10.1.1.254/);
    await done('CHECK', { prevResult: { ...prevResult, routes: [] } }, key);
    await box.exec(['ip', 'addr', 'delete', address, 'dev', 'eth0']);
    await wrong(new RegExp(`eth0 does not have ${address}`));
    await box.exec(['ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:99', 'down']);
    await wrong(/eth0 is down; eth0 has MAC address 02:00:00:00:00:99/);
    await box.exec(['ip', 'link', 'delete', 'eth0']);
    await wrong(/has no interface eth0/);
    await done('DEL', {}, { containerId: 'checked' });
    await refused(t, 3, /has no interface eth0 in list/, ['CHECK', { prevResult }, key]);
    await done('DEL', {}, key);
  });

  await t.test('a pod waits for its declaration', async (t) => {
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1;OTHER=x';
    const key = { containerId: 'pod', netns: box.path, args };
    const adding = done('ADD', { network: 'declared' }, key);
    const pod = { kind: 'Endpoint', tenant: 'acme', network: 'declared', name: 'shop.web-0', ip: '10.1.3.9' };
    await controller.request('POST', '/v1/apply', [pod]);
    t.match(await adding, { ips: [{ address: '10.1.3.9/24' }] });
    await done('DEL', {}, key);
    t.match((await controller.endpoints()).get('acme/declared/shop.web-0'), { attached: false });
  });

  await t.test('many at once, and GC', async (t) => {
    const names = Array.from({ length: 8 }, (_, index) => `many${index}`);
    const places = await Promise.all(names.map((name) => lab.namespace(name)));
    const begun = performance.now();
    const results = await Promise.all(
      names.map((containerId, index) => done('ADD', {}, { containerId, netns: places[index]!.path })),
    );
    t.comment(`${names.length} at once: ${Math.round(performance.now() - begun)} ms`);
    t.equal(new Set(results.map(addressOf)).size, names.length);
    t.equal((await places[0]!.ping(addressOf(results[7]))).ok, true);
    const valid = ['standing', 'many1'].map((containerID) => ({ containerID, ifname: 'eth0' }));
    t.same(await call('GC', { 'cni.dev/valid-attachments': valid }), { exitCode: 0, result: undefined });
    t.same(await endpoints(), [
      'acme/declared/shop.web-0',
      'acme/pods/many1-eth0',
      'acme/pods/standing-eth0',
    ]);
    t.ok((await places[1]!.ping(addressOf(results[1]).replace(/\d+$/, '1'))).ok, 'those that are valid stay');
    await done('DEL', {}, { containerId: 'many1' });
  });

  await t.test('the agent is killed and comes back', async (t) => {
    const key = { containerId: 'kept', netns: box.path };
    const prevResult = await done('ADD', {}, key);
    await agent.daemon.stop('SIGKILL');
    await refused(t, 50, /does not answer/, ['STATUS', {}, {}]);
    const adding = done('ADD', {}, { containerId: 'early', netns: (await lab.namespace('early')).path });
    const restarted: Promise<SpawnedAgent> = spawnAgent(lab, host, options);
    t.ok(addressOf(await adding), 'who adds meanwhile waits');
    agent = await restarted;
    await done('CHECK', { prevResult }, key);
    await refused(t, 101, /already/, ['ADD', {}, key]);
    await agent.daemon.stop('SIGKILL');
    agent = await spawnAgent(lab, host, options);
    await until('the controller', async () => (await call('STATUS')).exitCode === 0);
    await done('DEL', {}, { containerId: 'kept' });
    await done('DEL', {}, { containerId: 'early' });
    t.same(await endpoints(), ['acme/declared/shop.web-0', 'acme/pods/standing-eth0']);
  });

  await t.test('the controller is away', async (t) => {
    await done('ADD', {}, { containerId: 'before', netns: box.path });
    await controller.stop('SIGKILL');
    await until('the loss', async () => (await call('STATUS')).exitCode === 1);
    await refused(t, 50, /not connected to the controller/, ['STATUS', {}, {}]);
    const place = await lab.namespace('waiting');
    const begun = performance.now();
    const adding = { containerId: 'waiting', netns: place.path };
    await refused(t, 11, /the controller did not register this host in \d+ ms/, [
      'ADD',
      { deadlineMs: 1500 },
      adding,
    ]);
    t.ok(performance.now() - begun < 30_000, 'within its deadline, more or less');
    t.equal(await linksOf(place), 1, 'nothing but the loopback');
    t.same(await call('DEL', {}, { containerId: 'before' }), { exitCode: 0, result: undefined });
    const patient = done('ADD', { deadlineMs: 60_000 }, adding);
    await controller.start();
    const result = await patient;
    t.ok((await place.ping(addressOf(await resultOf('standing')))).ok, 'who waits is served');
    t.ok(addressOf(result));
    await until(
      'the release of what went meanwhile',
      async () => !(await endpoints()).includes('acme/pods/before-eth0'),
    );
    await done('DEL', {}, adding);
  });

  await t.test('Open vSwitch is away', async () => {
    await host.stopOvs();
    await until('the loss', async () => (await call('STATUS')).result?.code === 51);
    await host.startOvs();
    await until('the return', async () => (await call('STATUS')).exitCode === 0, 30_000);
    await controller.settled(['h1']);
    const result = await done('ADD', {}, { containerId: 'again', netns: box.path });
    await until('traffic', async () => (await other.ping(addressOf(result))).ok);
  });

  async function resultOf(containerId: string): Promise<CniResult> {
    const { ip = '' } = (await controller.endpoints()).get(`acme/pods/${containerId}-eth0`) ?? {};
    return { cniVersion: '', ips: [{ address: ip }] };
  }
});

async function linksOf(namespace: LabNamespace): Promise<number> {
  return (JSON.parse(await namespace.exec(['ip', '-json', 'link', 'show'])) as unknown[]).length;
}
