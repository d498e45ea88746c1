/** The lab on real Open vSwitch: what it builds works, and what it leaves is nothing. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import t from 'tap';
import { waitFor } from '../support/wait-for.js';
import { exec, Lab, reapAbandonedLabs, run, type LabHost } from '../../topologies/lab/index.js';

/** What exists on the machine of a lab, by its id and its management address. */
async function remains(id: string, managementAddress: string): Promise<Record<string, unknown>> {
  const [namespaces, addresses, processes] = await Promise.all([
    exec(['ip', 'netns', 'list']),
    exec(['ip', '-o', 'addr']),
    exec(['ps', '-eo', 'args']),
  ]);
  const naming = (text: string, what: string): string[] =>
    text.split('\n').filter((line) => line.includes(what) && !line.startsWith('ps '));
  return {
    namespaces: naming(namespaces, id),
    addresses: naming(addresses, ` ${managementAddress}/`),
    processes: naming(processes, id),
    directory: existsSync(`/run/weft-lab/${id}`),
  };
}
const NOTHING = { namespaces: [], addresses: [], processes: [], directory: false };

/** br-int with the tunnel port and the uplink, and flows that join port 1 to one peer by VNI 7. */
async function joinByVxlan(host: LabHost, peerVtep: string): Promise<void> {
  await host.ofctlWith(
    `in_port=1,actions=set_field:7->tunnel_id,set_field:${peerVtep}->tun_dst,output:65000
     in_port=65000,tun_id=7,actions=output:1`,
    'add-flows',
    'br-int',
    '-',
  );
}
async function createBridge(host: LabHost): Promise<void> {
  await host.vsctlAll(
    ['add-br', 'br-int'],
    ['set', 'bridge', 'br-int', 'datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow13'],
    ['add-port', 'br-int', 'weft-vxlan'],
    ['set', 'interface', 'weft-vxlan', 'type=vxlan', 'options:remote_ip=flow', 'options:key=flow'],
    ['set', 'interface', 'weft-vxlan', 'ofport_request=65000'],
    ['add-port', 'br-int', 'uplink', '--', 'set', 'interface', 'uplink', 'ofport_request=65001'],
  );
}

t.test('hosts, underlays, endpoints, captures, a VLAN neighbour, restarts', async (t) => {
  const lab = await Lab.create({ name: 'labtest', hosts: 2 });
  t.teardown(() => lab.destroy());
  const [h1, h2] = [lab.host('h1'), lab.host('h2')];
  await Promise.all([createBridge(h1), createBridge(h2)]);
  const a = await h1.addEndpoint({
    name: 'a',
    bridge: 'br-int',
    portNumber: 1,
    mac: '02:02:0a:01:01:01',
    addresses: ['10.1.1.1/24', 'fd00:1::1/64'],
  });
  const b = await h2.addEndpoint({
    name: 'b',
    bridge: 'br-int',
    portNumber: 1,
    addresses: ['10.1.1.2/24', 'fd00:1::2/64'],
  });
  t.equal(await a.mac(), '02:02:0a:01:01:01');
  await joinByVxlan(h1, h2.vtepIp ?? '');
  await joinByVxlan(h2, h1.vtepIp ?? '');

  // Ports that have just been added may lose their first frames.
  await waitFor('b to reach a', async () => (await b.ping('10.1.1.1', { timeoutMs: 300 })).ok);
  const capture = await b.capture('eth0', 'icmp[icmptype] == icmp-echo');
  const pings = await lab.pingAll([
    { from: a, to: '10.1.1.2' },
    { from: b, to: 'fd00:1::1' },
    { from: a, to: '10.1.1.77' },
  ]);
  t.same(
    pings.map((ping) => ping.ok),
    [true, true, false],
  );
  t.equal((await capture.stop()).length, 1, 'the capture saw exactly the one echo request');

  const largest = { payload: 1_450 - 28, dontFragment: true };
  t.ok((await a.ping('10.1.1.2', largest)).ok, 'what VXLAN leaves of 1,500 bytes passes');
  t.notOk((await a.ping('10.1.1.2', { ...largest, payload: largest.payload + 1 })).ok);

  const forged = await b.capture('eth0', 'ether src 02:bd:00:00:00:01');
  const frame = new Uint8Array(60);
  frame.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0xbd, 0, 0, 0, 1, 0x88, 0xb5]);
  await a.send('eth0', [frame, frame]);
  await t.resolves(
    untilFrames(() => forged.frames().length, 2),
    'raw frames arrive as they were sent',
  );
  t.same([...((await forged.stop())[0]?.bytes ?? [])], [...frame]);

  const neighbour = await lab.neighbour({ name: 'router', vlan: 11, addresses: ['10.2.1.254/24'] });
  const v = await h2.addEndpoint({ name: 'v', bridge: 'br-int', portNumber: 2, addresses: ['10.2.1.1/24'] });
  await h2.ofctlWith(
    `in_port=2,actions=push_vlan:0x8100,set_field:4107->vlan_vid,output:65001
     in_port=65001,dl_vlan=11,actions=pop_vlan,output:2`,
    'add-flows',
    'br-int',
    '-',
  );
  t.ok((await v.ping('10.2.1.254')).ok, 'a tagged frame reaches the access port of the neighbour');
  t.ok((await neighbour.ping('10.2.1.1')).ok);

  await h1.restartOvs({ keepDatabase: true });
  t.match(await h1.vsctl('list-br'), /br-int/);
  t.ok((await h1.ping(h2.vtepIp ?? '')).ok, 'the underlay is back after a restart');
  await h1.restartOvs({ keepDatabase: false });
  t.notMatch(await h1.vsctl('list-br'), /br-int/, 'an empty database has no integration bridge');
  t.ok((await h1.ping(h2.vtepIp ?? '')).ok, 'the underlay is back after a reinstallation');
});

async function untilFrames(count: () => number, wanted: number): Promise<void> {
  for (let round = 0; count() < wanted && round < 200; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (count() !== wanted) throw new Error(`${count()} frames instead of ${wanted}`);
}

t.test('an IPv6 underlay', async (t) => {
  const lab = await Lab.create({
    name: 'labtest',
    hosts: [
      { name: 'h1', vtepIp: 'fd00:254::1', uplink: false },
      { name: 'h2', vtepIp: 'fd00:254::2', uplink: false },
    ],
  });
  t.teardown(() => lab.destroy());
  t.equal(lab.host('h1').vtepIp, 'fd00:254::1');
  t.ok((await lab.host('h1').ping('fd00:254::2')).ok);
  t.equal(lab.host('h1').uplink, undefined);
});

t.test('destroy leaves nothing, not even of processes inside', async (t) => {
  const lab = await Lab.create({ name: 'labtest', hosts: 1 });
  const container = await lab.namespace('container');
  await lab.host('h1').exec(['sh', '-c', 'sleep 1000 >/dev/null 2>&1 &']);
  container.spawn('server', ['sleep', '1000']);
  const { id, managementAddress } = lab;
  const before = await remains(id, managementAddress);
  t.match(before, { directory: true });
  t.equal((before['namespaces'] as string[]).length, 3);
  await lab.destroy();
  t.same(await remains(id, managementAddress), NOTHING);
  await t.resolves(lab.destroy(), 'twice is no error');
});

t.test('a lab that cannot be built leaves nothing', async (t) => {
  const before = (await exec(['ip', 'netns', 'list']))
    .split('\n')
    .filter((line) => line.includes(`-${process.pid}-`));
  const hosts = [{ name: 'h1' }, { name: 'Not A Name' }];
  await t.rejects(Lab.create({ name: 'labtest', hosts }), { code: 'lab.name.invalid' });
  const after = (await exec(['ip', 'netns', 'list']))
    .split('\n')
    .filter((line) => line.includes(`-${process.pid}-`));
  t.same(after, before);
});

t.test('what a killed owner left is reaped', async (t) => {
  const library = new URL('../../topologies/lab/index.js', import.meta.url).href;
  const script = `import { Lab } from ${JSON.stringify(library)};
    const lab = await Lab.create({ name: 'labcrash', hosts: 1 });
    console.log(JSON.stringify({ id: lab.id, managementAddress: lab.managementAddress }));
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => owner.kill('SIGKILL'));
  const [line] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
  const { id, managementAddress } = JSON.parse(line) as { id: string; managementAddress: string };
  await reapAbandonedLabs();
  t.match(await remains(id, managementAddress), { directory: true }, 'a living owner keeps its lab');
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  await reapAbandonedLabs();
  t.same(await remains(id, managementAddress), NOTHING);
});

t.test('errors carry the command and what it said', async (t) => {
  await t.rejects(exec(['ip', 'link', 'show', 'nosuchlink']), {
    code: 'lab.command.failed',
    message: /ip link show nosuchlink: exit code 1: .*nosuchlink/,
  });
  t.equal((await run(['sleep', '10'], { timeoutMs: 20 })).exitCode, 137);
});
