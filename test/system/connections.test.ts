/** Connections in which only the server speaks go on through a restart of Open vSwitch on the userspace datapath, because an agent keeps them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ConnectionKeeper } from '../../agent/connections/keeper.js';
import { silentLogger } from '../../agent/logger.js';
import { type Daemon, Lab, type LabEndpoint, type LabHost } from '../../topologies/lab/index.js';
import { waitFor } from '../support/wait-for.js';

/** Only `client` begins connections; what is not of one is dropped. What a controller would bring back after a restart. */
const ENTRIES = `
table=0,priority=10,ip,actions=ct(zone=7,table=1)
table=0,priority=10,tcp6,actions=ct(zone=7,table=1)
table=0,priority=1,actions=NORMAL
table=1,priority=20,ct_state=+trk+inv,actions=drop
table=1,priority=10,ct_state=+trk+new,ip,in_port=client,actions=ct(commit,zone=7),NORMAL
table=1,priority=10,ct_state=+trk+new,ipv6,in_port=client,actions=ct(commit,zone=7),NORMAL
table=1,priority=10,ct_state=+trk+est,actions=NORMAL
table=1,priority=1,cookie=0xd0,actions=drop
`;

/**
 * A line 20 times a second to whoever connects (or has sent a datagram), until it says something: then all that it says is read, and as
 * much is sent back.
 */
const SERVER = `
import socket, threading
def serve(c):
    c.settimeout(0.05)
    got = 0
    while got == 0:
        c.sendall(b'line\\n')
        try: got = len(c.recv(65536))
        except TimeoutError: pass
    c.settimeout(None)
    while True:
        d = c.recv(65536)
        if not d: break
        got += len(d)
    c.sendall(b'x' * got)
    c.close()
def datagrams():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(('0.0.0.0', 5000))
    u.settimeout(0.05)
    whom = []
    while True:
        try: whom.append(u.recvfrom(100)[1])
        except TimeoutError: pass
        for who in whom: u.sendto(b'line\\n', who)
threading.Thread(target=datagrams, daemon=True).start()
s = socket.create_server(('::', 5000), family=socket.AF_INET6, dualstack_ipv6=True)
print('ready', flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
`;

/** Prints a dot for each piece that comes. Silent until SIGUSR1; then it sends much, and prints how much came back. */
const CLIENT = `
import signal, socket, sys, threading
if sys.argv[1] == 'udp':
    c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.connect((sys.argv[2], 5000))
    c.send(b'hello')
else:
    c = socket.create_connection((sys.argv[2], 5000))
def speak(*_):
    def run():
        c.sendall(b'y' * 5000000)
        c.shutdown(socket.SHUT_WR)
    threading.Thread(target=run).start()
signal.signal(signal.SIGUSR1, speak)
got = 0
while True:
    d = c.recv(65536)
    if not d: break
    got += d.count(b'x')
    print('.', flush=True)
print('back', got, flush=True)
`;

const pieces = (client: Daemon): number => client.log().split('.').length - 1;

async function startHost(): Promise<{ host: LabHost; client: LabEndpoint; server: LabEndpoint }> {
  const lab = await Lab.create({ name: 'conns', hosts: [{ name: 'h1', vtepIp: false, uplink: false }] });
  t.teardown(() => lab.destroy());
  const host = lab.host('h1');
  await host.vsctlAll(
    ['add-br', 'br-int'],
    ['set', 'bridge', 'br-int', 'datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow13'],
  );
  const endpoint = (name: string, number: number): Promise<LabEndpoint> =>
    host.addEndpoint({
      name,
      bridge: 'br-int',
      portNumber: number,
      addresses: [`10.1.1.${number}/24`, `fd00::${number}/64`],
    });
  return { host, client: await endpoint('client', 1), server: await endpoint('server', 2) };
}

t.test('connections outlive a restart of Open vSwitch', async (t) => {
  const { host, client, server } = await startHost();
  const write = (): Promise<string> =>
    host.ofctlWith(ENTRIES.replaceAll('in_port=client', 'in_port=1'), 'add-flows', 'br-int', '-');
  const restart = async (): Promise<void> => {
    await host.restartOvs({ keepDatabase: true });
    await waitFor('the bridge', () => existsSync(join(host.runDirectory, 'br-int.mgmt')));
    await write();
  };
  const dropped = async (): Promise<number> =>
    Number(/n_packets=(\d+)/.exec(await host.ofctl('dump-flows', 'br-int', 'cookie=0xd0/-1'))?.[1]);
  const checksSequences = async (): Promise<string> => (await host.appctl('dpctl/ct-get-tcp-seq-chk')).trim();
  await write();
  const serving = server.spawn('server', ['python3', '-c', SERVER]);
  await waitFor('the server', () => serving.log().includes('ready'));
  const start = (name: string, ...to: readonly string[]): Daemon =>
    client.spawn(name, ['python3', '-c', CLIENT, ...to]);
  const udp = start('udp', 'udp', '10.1.1.2');
  const [over4, over6] = [start('over4', 'tcp', '10.1.1.2'), start('over6', 'tcp', 'fd00::2')];
  const clients = [udp, over4, over6];
  await waitFor('all of them hear the server', () => clients.every((one) => pieces(one) > 0));

  const keeper = new ConnectionKeeper({
    runDirectory: host.runDirectory,
    bridge: 'br-int',
    logger: silentLogger,
    intervalMs: 300,
  });
  t.teardown(() => keeper.close());
  await waitFor('the connections are known', () => keeper.size === 3);
  t.match(await checksSequences(), /enabled/);

  for (const time of ['once', 'twice']) {
    await restart();
    const after = clients.map(pieces);
    await waitFor('the server is heard', () => clients.every((one, i) => pieces(one) > (after[i] ?? 0) + 20));
    t.match(await checksSequences(), /disabled/, `after restarting ${time}`);
  }
  over4.kill('SIGUSR1');
  await waitFor('much in both directions', () => over4.log().includes('back 5000000'));
  t.match(await checksSequences(), /disabled/, 'as long as one of them lives');
  over6.kill('SIGUSR1');
  await waitFor('the other too', () => over6.log().includes('back 5000000'));
  await host.appctl('dpctl/flush-conntrack', 'zone=7'); // else they stay for a minute
  await waitFor('checked again', async () => /enabled/.test(await checksSequences()));

  const another = start('another', 'udp', '10.1.1.2');
  await waitFor('the server is heard', () => pieces(another) > 0);
  await keeper.close();
  await restart();
  const before = pieces(another);
  await waitFor('the server is not heard', async () => (await dropped()) > 20);
  t.ok(
    pieces(another) - before <= 1,
    'without an agent its datagrams would be taken for the first of a connection',
  );
});
