/**
 * What policies say of packets, on real Open vSwitch: denied packets in the feed with the right names, rejected ones answered so that
 * sockets fail at once, counters of rules and of drops.
 */
import t, { type Test } from 'tap';
import { createApi } from '../../controller/api/server.js';
import { parseConfig } from '../../controller/config/load.js';
import { createLog } from '../../controller/log.js';
import { createMetrics } from '../../controller/metrics.js';
import type { IntentObject } from '../../controller/model/index.js';
import type { DropCounter, PacketEvent, RuleCounters } from '../../controller/punt/types.js';
import { until } from '../../topologies/lab/index.js';
import { ipv4Text, ipv6Text, udpFrame } from '../support/frames.js';
import { BridgedLab } from './bridging-support.js';
import { converse, probe, serve, type Told, WatchProcess } from './punt-support.js';

const LONG = 20_000;
/** Sooner than a lost SYN is sent again: it was the answer to the first packet. */
const AT_ONCE_MS = 900;

const rule = (name: string, more: Record<string, unknown>) => ({
  name,
  direction: 'in',
  protocol: 'tcp',
  ...more,
});
const servers = (...rules: object[]) =>
  ({ kind: 'Policy', tenant: 'acme', name: 'servers', defaultIn: 'allow', rules }) as unknown as IntentObject;
const RULES = [
  rule('no-telnet', { ports: [23], action: 'deny', log: true }),
  rule('no-web', { ports: [80], action: 'reject' }),
  rule('no-dns', { protocol: 'udp', ports: [53], action: 'reject' }),
  rule('ssh', { ports: [22], action: 'allow', log: true }),
  rule('other', { ports: [9000], action: 'allow' }),
  rule('counted', { ports: [9001], action: 'allow' }),
];
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
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'lan',
    encapsulation: 'vlan',
    tag: 11,
    subnet: '10.2.1.0/24',
    ipv6Subnet: 'fd00:2::/64',
  },
  servers(...RULES),
  {
    kind: 'Policy',
    tenant: 'acme',
    name: 'clients',
    rules: [
      rule('no-proxy', { direction: 'out', ports: [8080], action: 'reject' }),
      rule('no-ntp', { direction: 'out', protocol: 'udp', ports: [123], action: 'reject' }),
    ],
  },
  { kind: 'Policy', tenant: 'acme', name: 'closed', defaultIn: 'deny' },
  { kind: 'Group', tenant: 'acme', name: 'closed', endpoints: ['web/closed'], policies: ['closed'] },
  {
    kind: 'Group',
    tenant: 'acme',
    name: 'servers',
    endpoints: ['web/near', 'web/far', 'lan/far'],
    policies: ['servers'],
  },
  {
    kind: 'Group',
    tenant: 'acme',
    name: 'clients',
    endpoints: ['web/client', 'lan/client'],
    policies: ['clients'],
  },
] as unknown as IntentObject[];
const PLACES = [
  ['acme/web/client', 'h1'],
  ['acme/web/near', 'h1'],
  ['acme/web/far', 'h2'],
  ['acme/web/closed', 'h2'],
  ['acme/lan/client', 'h1'],
  ['acme/lan/far', 'h2'],
] as const;

t.setTimeout(180_000);
const bridged = await BridgedLab.start(2, intents);
t.teardown(() => bridged.stop());
for (const [id, host] of PLACES) await bridged.attach(id, host);
const { controller } = bridged.running;
const api = await createApi({
  backend: controller,
  config: parseConfig('', { overrides: { http: '127.0.0.1:0' } }).http,
  log: createLog({ level: 'silent' }),
  metrics: createMetrics({ process: false }),
});
t.teardown(() => api.close());
const server = `http://${await api.listen()}`;

const v4 = (id: string): string => ipv4Text(bridged.fact(id).ip);
const v6 = (id: string): string => ipv6Text(bridged.fact(id).ip6);
const client = bridged.endpoint('acme/web/client');
const answers = async <T>(path: string): Promise<T> => {
  const { items } = (await (await fetch(`${server}${path}`)).json()) as { items: T };
  return items;
};
const countersOf = async (name: string): Promise<RuleCounters> => {
  const found = (await answers<RuleCounters[]>('/v1/stats/rules')).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no counters of ${name}`);
  return found;
};
/** Any way to reach an endpoint works once the first frame has been through. */
const warmUp = async (from: string, to: string): Promise<void> => {
  for (const address of [v4(to), v6(to)]) {
    const ping = async () => (await bridged.endpoint(from).ping(address, { timeoutMs: 500 })).ok;
    await until(`${from} to reach ${address}`, ping, LONG);
  }
};
await warmUp('acme/web/client', 'acme/web/near');
await warmUp('acme/web/client', 'acme/web/far');
await warmUp('acme/lan/client', 'acme/lan/far');

t.test('a denied packet that is logged appears in the feed with names', async (t) => {
  const watch = new WatchProcess(server);
  t.teardown(() => watch.stop());
  const about = (packet: PacketEvent) => packet.rule === 'acme/servers/no-telnet';
  await until(
    'the packet in the feed',
    async () => {
      await probe(client, 'tcp', v4('acme/web/far'), 23, 300);
      return watch.packets.some(about);
    },
    LONG,
  );
  t.match(watch.packets.find(about), {
    verdict: 'deny',
    direction: 'in',
    rule: 'acme/servers/no-telnet',
    policy: 'acme/servers',
    tenant: 'acme',
    network: 'acme/web',
    source: { endpoint: 'acme/web/client', address: v4('acme/web/client') },
    destination: { endpoint: 'acme/web/far', address: v4('acme/web/far'), port: 23 },
    protocol: 'tcp',
    tcpFlags: 'SYN',
    host: 'h2',
  });
  const drops = await answers<DropCounter[]>('/v1/drops?host=h2');
  t.match(
    drops.find((drop) => drop.rule === 'acme/servers/no-telnet'),
    { cause: 'policy.rule', policy: 'acme/servers', tenant: 'acme' },
  );
  t.ok((await countersOf('acme/servers/no-telnet')).connections > 0);
});

t.test('what a default denies appears without being asked for', async (t) => {
  const watch = new WatchProcess(server, '--endpoint', 'acme/web/closed');
  t.teardown(() => watch.stop());
  await until(
    'the packet in the feed',
    async () => {
      await probe(client, 'udp', v4('acme/web/closed'), 9, 300);
      return watch.packets.length > 0;
    },
    LONG,
  );
  t.match(watch.packets[0], {
    verdict: 'deny',
    direction: 'in',
    default: 'policy',
    policy: 'acme/closed',
    protocol: 'udp',
    destination: { endpoint: 'acme/web/closed', port: 9 },
  });
  const drops = await answers<DropCounter[]>('/v1/drops?tenant=acme&host=h2');
  t.match(
    drops.find(({ cause }) => cause === 'policy.default'),
    { policy: 'acme/closed', table: 'ingress_policy' },
  );
  const byDefault = await countersOf('acme/closed');
  t.match(byDefault, { kind: 'policy-default', direction: 'in', tenant: 'acme' });
  t.ok(byDefault.packets > 0);
});

t.test('what a rule lets pass and logs is shown with --allows only', async (t) => {
  const all = new WatchProcess(server, '--allows', '--endpoint', 'acme/web/near');
  const drops = new WatchProcess(server);
  t.teardown(() => {
    all.stop();
    drops.stop();
  });
  const ssh = (packet: PacketEvent) => packet.rule === 'acme/servers/ssh';
  await until(
    'the packet in the feed',
    async () => {
      t.equal(
        (await probe(client, 'tcp', v4('acme/web/near'), 22)).outcome,
        'ECONNREFUSED',
        'no server there',
      );
      return all.packets.some(ssh);
    },
    LONG,
  );
  t.match(all.packets.find(ssh), {
    verdict: 'allow',
    host: 'h1',
    destination: { endpoint: 'acme/web/near' },
  });
  t.notOk(drops.packets.some(ssh));
});

function soon(t: Test, told: Told, outcome: string, what: string): void {
  t.equal(told.outcome, outcome, what);
  t.ok(told.milliseconds < AT_ONCE_MS, `${what}: after ${Math.round(told.milliseconds)} ms`);
}

t.test('rejected connections fail at once', async (t) => {
  const ways = [
    ['acme/web/client', 'acme/web/near', 'on one host'],
    ['acme/web/client', 'acme/web/far', 'across VXLAN'],
    ['acme/lan/client', 'acme/lan/far', 'across the VLAN underlay'],
  ] as const;
  for (const [from, to, where] of ways) {
    const sender = bridged.endpoint(from);
    for (const [address, unreachable] of [
      [v4(to), 'EHOSTUNREACH'],
      [v6(to), 'EACCES'],
    ] as const) {
      soon(t, await probe(sender, 'tcp', address, 80), 'ECONNREFUSED', `TCP to ${address}, ${where}`);
      soon(t, await probe(sender, 'tcp', address, 8080), 'ECONNREFUSED', `by the sender's rule, ${where}`);
      soon(t, await probe(sender, 'udp', address, 53), unreachable, `UDP to ${address}, ${where}`);
      soon(t, await probe(sender, 'udp', address, 123), unreachable, `UDP by the sender's rule, ${where}`);
    }
  }
});

t.test('a stranger in the VLAN underlay is answered, too', async (t) => {
  const addresses = ['10.2.1.200/24', 'fd00:2::c8/64'];
  const stranger = await bridged.lab.neighbour({ name: 'stranger', vlan: 11, addresses });
  for (const [address, unreachable] of [
    [v4('acme/lan/far'), 'EHOSTUNREACH'],
    [v6('acme/lan/far'), 'EACCES'],
  ] as const) {
    await until(
      'the stranger to reach',
      async () => (await stranger.ping(address, { timeoutMs: 500 })).ok,
      LONG,
    );
    soon(t, await probe(stranger, 'tcp', address, 80), 'ECONNREFUSED', `TCP to ${address}`);
    soon(t, await probe(stranger, 'udp', address, 53), unreachable, `UDP to ${address}`);
  }
});

t.test('a rule that comes to reject resets the connections there are', async (t) => {
  const far = bridged.endpoint('acme/web/far');
  const listening = serve(far, 9000, 9001);
  await until('the server', () => listening.log().includes('listening'), LONG);
  const conversation = converse(client, v4('acme/web/far'), 9000);
  await until('the connection', () => conversation.log().includes('connected'), LONG);
  await until('its count', async () => (await countersOf('acme/servers/other')).connections === 1, LONG);
  const ended = RULES.map((one) => (one.name === 'other' ? { ...one, action: 'reject' } : one));
  await controller.model.apply([servers(...ended)], { mode: 'add' });
  await until('the client to be told', () => /error|closed/.test(conversation.log()), LONG);
  t.match(conversation.log(), /error ECONNRESET/);
  await controller.model.apply([servers(...RULES)], { mode: 'add' });
  await controller.acknowledged(AbortSignal.timeout(LONG));
  t.equal((await probe(client, 'tcp', v4('acme/web/far'), 9000)).outcome, 'connected');
});

t.test('counters of a rule go on when its switch starts again', async (t) => {
  const connect = async () => (await probe(client, 'tcp', v4('acme/web/far'), 9001)).outcome;
  const connections = async (): Promise<number> => (await countersOf('acme/servers/counted')).connections;
  for (let n = 0; n < 3; n++) t.equal(await connect(), 'connected');
  await until('three connections', async () => (await connections()) === 3, LONG);
  await bridged.lab.host('h2').restartOvs({ keepDatabase: true });
  await until(
    'the switch',
    () => controller.status().datapaths.every(({ state }) => state === 'in-sync'),
    LONG,
  );
  t.equal(await connections(), 3, 'as before');
  await warmUp('acme/web/client', 'acme/web/far');
  t.equal(await connect(), 'connected');
  await until('one more', async () => (await connections()) === 4, LONG);
});

t.test('forged packets are counted by what was forged and by who sent them', async (t) => {
  const { mac } = bridged.fact('acme/web/client');
  const near = bridged.fact('acme/web/near');
  const forged = udpFrame(
    { source: mac, destination: near.mac },
    { sourceIp: 0x0a010163, destinationIp: near.ip, text: 'forged' },
  );
  await client.send('eth0', [forged, forged, forged]);
  const drops = async () => await answers<DropCounter[]>('/v1/drops?host=h1');
  const packets = async (match: (drop: DropCounter) => boolean) => (await drops()).find(match)?.packets;
  await until(
    'the sender',
    async () => (await packets(({ cause }) => cause === 'spoofed.sender')) === 3,
    LONG,
  );
  t.equal(await packets(({ cause }) => cause === 'spoofed.ipv4-source'), 3);
  t.match(
    (await drops()).find(({ cause }) => cause === 'spoofed.sender'),
    { endpoint: 'acme/web/client', tenant: 'acme', network: 'acme/web', host: 'h1' },
  );
});

t.test(
  'a flood of rejected packets is answered at a bounded rate, and the feed puts it together',
  async (t) => {
    const { mac, ip } = bridged.fact('acme/web/client');
    const near = bridged.fact('acme/web/near');
    const frame = udpFrame(
      { source: mac, destination: near.mac },
      { sourceIp: ip, destinationIp: near.ip, sourcePort: 7777, destinationPort: 53, text: 'flood' },
    );
    const told: PacketEvent[] = [];
    t.teardown(controller.onPackets({ packet: (event) => void told.push(event), lost: () => undefined }));
    const capture = await client.capture('eth0', 'icmp');
    const SENT = 3_000;
    await client.send(
      'eth0',
      Array.from({ length: SENT }, () => frame),
    );
    const flood = () => told.filter(({ source }) => source.port === 7777);
    await until('a summary', () => flood().some(({ count }) => count > 10), LONG);
    // Others are told of all the same.
    const isSsh = ({ rule: by }: PacketEvent) => by === 'acme/servers/ssh';
    await until(
      'something else in the feed',
      async () => {
        await probe(client, 'tcp', v4('acme/web/near'), 22);
        return told.some(isSsh);
      },
      LONG,
    );
    const answered = (await capture.stop()).length;
    t.ok(answered > 0 && answered < SENT / 3, `${answered} answers to ${SENT} packets`);
    t.ok(flood().length < 15, `${flood().length} events`);
  },
);
