/** Agents that watch the tunnels to each other with BFD, on real Open vSwitch. */
import t from 'tap';
import { HostPeersChanged } from '../../rpc/index.js';
import { Lab, type LabHost, until } from '../../topologies/lab/index.js';
import { FakeHub, spawnAgent } from './agent-support.js';

const WATCH = ['--columns=name', '--bare', 'find', 'interface', 'external_ids:weft-role=watch'];

t.test('a neighbour that dies is noticed by its neighbours, and one that comes back', async (t) => {
  const lab = await Lab.create({ name: 'watch', hosts: 3 });
  const hub = new FakeHub();
  t.teardown(async () => {
    hub.stop();
    await lab.destroy();
  });
  const hosts = ['h1', 'h2', 'h3'].map((name) => lab.host(name));
  const controller = await hub.start(lab.managementAddress);
  const peer = (host: LabHost) => ({ host: host.name, vtepIp: String(host.vtepIp) });
  const [h1, h2, h3] = hosts as [LabHost, LabHost, LabHost];
  // A path: h1 - h2 - h3.
  hub.watched.set('h1', [peer(h2)]);
  hub.watched.set('h2', [peer(h1), peer(h3)]);
  hub.watched.set('h3', [peer(h2)]);
  for (const host of hosts) await spawnAgent(lab, host, { controller, vtepIp: host.vtepIp });

  const states = (host: LabHost) => hub.tunnels.get(hub.peerOf.get(host.name) as never) ?? {};
  const told = (what: string, host: LabHost, expected: Readonly<Record<string, boolean>>) =>
    until(what, () => JSON.stringify(states(host)) === JSON.stringify(expected), 30_000);
  await told('both tunnels of h2 up', h2, { h1: true, h3: true });
  await told('the tunnel of h1 up', h1, { h2: true });
  t.equal(
    (await h1.vsctl('get', 'interface', 'weft-vxlan', 'ofport')).trim(),
    '65000',
    'beside the tunnel port of networks',
  );

  // A session begins slowly (RFC 5880 section 6.8.3) and takes up its pace when it is up.
  const atPace = /Detect Multiplier[^]*?RX Interval: Approx 200ms/;
  await until('the pace of both', async () => (await h2.appctl('bfd/show')).split(atPace).length === 3);
  const killed = performance.now();
  await h3.stopOvs('SIGKILL');
  await told('h3 down, seen by h2', h2, { h1: true, h3: false });
  t.comment(`noticed after ${Math.round(performance.now() - killed)} ms`);
  t.strictSame(states(h1), { h2: true }, 'who does not watch it does not hear of it');
  await h3.startOvs();
  await told('h3 up again', h2, { h1: true, h3: true });

  hub.peerOf.get('h2')?.notify(HostPeersChanged, { peers: [peer(h1)] });
  await told('only h1 is watched', h2, { h1: true });
  await until('its port is gone', async () => (await h2.vsctl(...WATCH)).trim().split(/\s+/).length === 1);
  hub.peerOf.get('h2')?.notify(HostPeersChanged, { peers: [] });
  await until('no port is left', async () => (await h2.vsctl(...WATCH)).trim() === '');
  await told('nothing is known any more', h2, {});
});
