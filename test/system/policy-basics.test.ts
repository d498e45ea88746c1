/**
 * Policy with the sockets of real stacks on real Open vSwitch: what is allowed and what is not, answers, errors about connections, IPv6, and
 * a rule that goes from under one of two running connections.
 */
import t from 'tap';
import type { IntentObject } from '../../controller/model/index.js';
import { type Daemon, until } from '../../topologies/lab/index.js';
import { ipv4Text, ipv6Text } from '../support/frames.js';
import { BridgedLab } from './bridging-support.js';
import { probe, serve } from './punt-support.js';

const LONG = 20_000;
const SHORT_MS = 700;
const WEB = 8000;
const ADMIN = 8001;
const CLOSED_UDP = 9000;

const rule = (name: string, more: Record<string, unknown>) => ({
  name,
  direction: 'in',
  from: [{ group: 'clients' }],
  ...more,
});
const web = rule('web', { protocol: 'tcp', ports: [WEB] });
const admin = rule('admin', { protocol: 'tcp', ports: [ADMIN] });
const rest = [
  rule('datagrams', { protocol: 'udp', ports: [CLOSED_UDP] }),
  rule('ping', { protocol: 'icmp', icmpType: 8 }),
  rule('ping6', { protocol: 'icmpv6', icmpType: 128 }),
];
const policy = (...rules: object[]) =>
  ({ kind: 'Policy', tenant: 'acme', name: 'servers', defaultIn: 'deny', rules }) as unknown as IntentObject;
const intents = [
  { kind: 'Tenant', name: 'acme' },
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'web',
    encapsulation: 'vxlan',
    subnet: '10.1.1.0/24',
    ipv6Subnet: 'fd00:1::/64',
  },
  policy(web, admin, ...rest),
  { kind: 'Group', tenant: 'acme', name: 'servers', endpoints: ['web/server'], policies: ['servers'] },
  { kind: 'Group', tenant: 'acme', name: 'clients', endpoints: ['web/near', 'web/far'] },
] as unknown as readonly IntentObject[];

const bridged = await BridgedLab.start(2, intents);
t.teardown(() => bridged.stop());
const server = await bridged.attach('acme/web/server', 'h1');
const near = await bridged.attach('acme/web/near', 'h1');
const far = await bridged.attach('acme/web/far', 'h2');
const stranger = await bridged.attach('acme/web/stranger', 'h1');
const { model } = bridged.running.controller;
const { ip, ip6 } = bridged.fact('acme/web/server');
const addresses = [ipv4Text(ip), ipv6Text(ip6)];

const listening = serve(server, WEB, ADMIN);
await until('the server', () => listening.log().includes('listening'), LONG);
// The first packets between two hosts may be lost.
await until('the tunnel', async () => (await far.ping(addresses[0] as string)).received > 0, LONG);

t.test(
  'allowed from the group on this host and on another, in both families, and nothing else',
  async (t) => {
    for (const address of addresses) {
      for (const client of [near, far]) {
        t.equal((await probe(client, 'tcp', address, WEB)).outcome, 'connected', `${client.name} ${address}`);
        t.equal((await client.ping(address)).received, 1);
      }
      t.equal((await probe(stranger, 'tcp', address, WEB, SHORT_MS)).outcome, 'timeout');
      t.equal((await stranger.ping(address, { timeoutMs: SHORT_MS })).received, 0);
      t.equal((await probe(far, 'tcp', address, 22, SHORT_MS)).outcome, 'timeout');
    }
  },
);

t.test('an error about a connection comes back', async (t) => {
  for (const address of addresses) {
    const { outcome } = await probe(far, 'udp', address, CLOSED_UDP);
    t.equal(outcome, 'ECONNREFUSED', `port unreachable of ${address}`);
    const denied = await probe(far, 'udp', address, CLOSED_UDP + 1, SHORT_MS);
    t.equal(denied.outcome, 'timeout', 'where the datagram was not let through there is none');
  }
});

t.test('what the server begins is answered, though it admits nothing of the kind', async (t) => {
  const { ip: strangerIp } = bridged.fact('acme/web/stranger');
  const answering = serve(stranger, 7777);
  t.teardown(() => answering.stop());
  await until('the stranger', () => answering.log().includes('listening'), LONG);
  t.equal((await probe(server, 'tcp', ipv4Text(strangerIp), 7777)).outcome, 'connected');
  t.equal((await server.ping(ipv4Text(strangerIp))).received, 1);
});

/** Says something every 10 ms; its log counts the answers. */
const TALK = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
for count in range(1, 100000):
    s.send(b'x')
    s.recv(100)
    print(count, flush=True)
    time.sleep(0.01)
`;
const answers = (talk: Daemon): number => Number(talk.log().trim().split('\n').at(-1) ?? 0);

t.test('a rule that goes cuts its connections and nothing else; when it comes back they go on', async (t) => {
  const talks = [WEB, ADMIN].flatMap((port) =>
    [near, far].map((client) => ({
      port,
      talk: client.spawn(`talk-${port}`, [
        '/usr/bin/python3',
        '-c',
        TALK,
        client === near ? (addresses[0] as string) : (addresses[1] as string),
        String(port),
      ]),
    })),
  );
  const talking = (count: number, port?: number) => {
    const before = talks.map(({ talk }) => answers(talk));
    return until(
      `${count} answers more`,
      () =>
        talks.every(
          ({ talk, port: of }, i) => (port ?? of) !== of || answers(talk) >= (before[i] as number) + count,
        ),
      LONG,
    );
  };
  await talking(20);

  await model.apply([policy(web, ...rest)], { mode: 'add' });
  await bridgedInSync();
  // The datapath goes through the flows it has cached after the switch has acknowledged (docs/policy.md): until it has.
  await Promise.all([...bridged.lab.hosts.values()].map((host) => host.appctl('revalidator/wait')));
  const cut = talks.map(({ talk }) => answers(talk));
  await talking(50, WEB);
  for (const [i, { talk, port }] of talks.entries()) {
    // One answer may have been on its way.
    if (port === ADMIN)
      t.ok(answers(talk) <= (cut[i] as number) + 1, `${answers(talk)} answers, ${cut[i]} when cut`);
  }
  t.equal((await probe(near, 'tcp', addresses[0] as string, ADMIN, SHORT_MS)).outcome, 'timeout');

  await model.apply([policy(web, admin, ...rest)], { mode: 'add' });
  await talking(20);
  t.pass('the same connections go on');
  for (const { talk } of talks) await talk.stop();
});

async function bridgedInSync(): Promise<void> {
  await until('all switches', () =>
    bridged.running.controller.status().datapaths.every(({ state }) => state === 'in-sync'),
  );
}

t.test('the switches took all of it', async (t) => {
  await bridgedInSync();
  for (const { refused, problems } of bridged.running.controller.status().datapaths) {
    t.strictSame({ refused, problems }, { refused: [], problems: [] });
  }
});
