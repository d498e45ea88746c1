/** examples/policy.yaml as it stands: two hosts, `weft controller`, agents, TCP connections; one endpoint that its agent alone says the group of. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { LocalAttach, type LocalAttachParams } from '../../agent/index.js';
import { Lab, type LabNamespace, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';
import { parseIntents } from '../../controller/model/parse.js';

t.setTimeout(300_000);

const lab = await Lab.create({ name: 'shop', hosts: 2 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
const text = readFileSync(new URL('../../../examples/policy.yaml', import.meta.url), 'utf8');
await controller.request('POST', '/v1/apply', parseIntents(text).objects);
const agents = new Map<string, SpawnedAgent>();
for (const host of lab.hosts.values()) {
  agents.set(host.name, await spawnAgent(lab, host, { controller: controller.hub, vtepIp: host.vtepIp }));
}
await controller.settled([...lab.hosts.keys()]);

const SERVER = `
import socket, threading
for port in (22, 5432, 8005, 8080, 9000):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", port)); s.listen()
    threading.Thread(target=lambda s: [s.accept() for _ in iter(int, 1)], args=(s,)).start()
`;
const CLIENT = `
import socket, sys
s = socket.socket(); s.settimeout(1.5)
try: s.connect((sys.argv[1], int(sys.argv[2]))); print("open")
except ConnectionRefusedError: print("refused")
except (TimeoutError, socket.timeout): print("nothing")
`;

interface Attached {
  readonly namespace: LabNamespace;
  readonly address: string;
}

async function attach(name: string, host: string, more: Partial<LocalAttachParams> = {}): Promise<Attached> {
  const namespace = await lab.namespace(name);
  const params = { tenant: 'shop', network: 'main', endpoint: name, netns: namespace.path, ...more };
  const result = await agents.get(host)?.call(LocalAttach, params, { deadlineMs: 30_000 });
  namespace.spawn('server', ['/usr/bin/python3', '-c', SERVER]);
  await until(
    `${name} to listen`,
    async () => (await namespace.exec(['ss', '-ltn'])).includes(':9000 '),
    20_000,
  );
  return { namespace, address: result?.endpoint.ip?.split('/')[0] ?? '' };
}

const [first = '', second = ''] = [...lab.hosts.keys()];
const endpoints: Readonly<Record<string, Attached>> = {
  web1: await attach('web1', first),
  client: await attach('client', second),
  app1: await attach('app1', second),
  db2: await attach('db2', first),
  // Nobody has declared it: its agent says what it is.
  extra: await attach('extra', second, { labels: { role: 'db' } }),
};
await controller.settled([...lab.hosts.keys()]);
// The userspace datapath drops what it has to ask the underlay for.
for (const host of lab.hosts.values()) await host.learnTunnelPeers();

const EXPECTED: readonly (readonly [from: string, to: string, port: number, outcome: string])[] = [
  ['client', 'web1', 8080, 'open'], // by the name of the port
  ['client', 'web1', 8005, 'open'], // by the range
  ['client', 'web1', 22, 'nothing'],
  ['client', 'app1', 9000, 'nothing'],
  ['client', 'db2', 5432, 'refused'],
  ['web1', 'app1', 9000, 'open'],
  ['web1', 'db2', 5432, 'nothing'], // its own side does not let it out
  ['app1', 'db2', 5432, 'open'],
  ['app1', 'extra', 5432, 'open'],
  ['app1', 'extra', 22, 'nothing'],
  ['db2', 'app1', 9000, 'nothing'],
];

await t.test('who may, may, and nobody else', async (t) => {
  const outcomes = await Promise.all(
    EXPECTED.map(async ([from, to, port]) => {
      const { namespace } = endpoints[from] as Attached;
      const { address } = endpoints[to] as Attached;
      return (await namespace.exec(['/usr/bin/python3', '-c', CLIENT, address, String(port)])).trim();
    }),
  );
  for (const [index, [from, to, port, outcome]] of EXPECTED.entries())
    t.equal(outcomes[index], outcome, `${from} -> ${to}:${port}`);
  const { namespace } = endpoints['client'] as Attached;
  const ping = await namespace.exec(['ping', '-c', '1', '-W', '3', (endpoints['db2'] as Attached).address]);
  t.match(ping, / 1 received/, 'the higher tier lets pings through');
});
