/**
 * Members of a group in another network, behind a router outside: a namespace whose kernel forwards between two VLANs. Real sockets on real
 * Open vSwitch, both families.
 */
import t from 'tap';
import type { IntentObject } from '../../controller/model/index.js';
import { until } from '../../topologies/lab/index.js';
import { ipv4Text, ipv6Text } from '../support/frames.js';
import { BridgedLab } from './bridging-support.js';
import { probe, serve } from './punt-support.js';

const LONG = 20_000;
const SHORT_MS = 700;
const WEB = 8000;
const ADMIN = 8001;

const network = (name: string, tag: number, number: number) => ({
  kind: 'Network',
  tenant: 'acme',
  name,
  encapsulation: 'vlan',
  tag,
  subnet: `10.${number}.1.0/24`,
  gateway: `10.${number}.1.254`,
  ipv6Subnet: `fd00:${number}::/64`,
  ipv6Gateway: `fd00:${number}::fe`,
});
const servers = (...rules: object[]) =>
  ({ kind: 'Policy', tenant: 'acme', name: 'servers', defaultIn: 'deny', rules }) as unknown as IntentObject;
const web = { name: 'web', from: [{ group: 'clients' }], protocol: 'tcp', ports: [WEB, ADMIN] };
const clients = {
  kind: 'Policy',
  tenant: 'acme',
  name: 'clients',
  rules: [
    {
      name: 'no-admin',
      direction: 'out',
      to: [{ group: 'servers' }],
      protocol: 'tcp',
      ports: [ADMIN],
      action: 'deny',
    },
  ],
};
const intents = [
  { kind: 'Tenant', name: 'acme' },
  network('web', 11, 1),
  network('lan', 12, 2),
  servers(web),
  clients,
  { kind: 'Group', tenant: 'acme', name: 'servers', endpoints: ['lan/server'], policies: ['servers'] },
  { kind: 'Group', tenant: 'acme', name: 'clients', endpoints: ['web/client', 'web/admin'] },
  { kind: 'Group', tenant: 'acme', name: 'careful', endpoints: ['web/client'], policies: ['clients'] },
] as unknown as readonly IntentObject[];

const bridged = await BridgedLab.start(2, intents);
t.teardown(() => bridged.stop());
const router = await bridged.lab.neighbour({
  name: 'router',
  vlan: 11,
  addresses: ['10.1.1.254/24', 'fd00:1::fe/64'],
});
await router.vsctlAll(
  ['add-port', 'br0', 'second', 'tag=12'],
  ['set', 'interface', 'second', 'type=internal'],
);
await until('second', async () => (await router.run(['ip', 'link', 'show', 'second'])).exitCode === 0, LONG);
await router.ip(
  'addr add 10.2.1.254/24 dev second',
  'addr add fd00:2::fe/64 dev second nodad',
  'link set second up',
);
for (const setting of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
  await router.exec(['sysctl', '-q', `${setting}=1`]);
}
for (const name of ['access', 'second']) await router.exec(['ethtool', '-K', name, 'tx', 'off']);

const server = await bridged.attach('acme/lan/server', 'h1');
const client = await bridged.attach('acme/web/client', 'h2');
const admin = await bridged.attach('acme/web/admin', 'h1');
const stranger = await bridged.attach('acme/web/stranger', 'h2');
for (const [endpoint, number] of [
  [server, 1],
  [client, 2],
  [admin, 2],
  [stranger, 2],
] as const) {
  await endpoint.ip(
    `route add 10.${number}.1.0/24 via 10.${3 - number}.1.254`,
    `route add fd00:${number}::/64 via fd00:${3 - number}::fe`,
  );
}
const { ip, ip6 } = bridged.fact('acme/lan/server');
const addresses = [ipv4Text(ip), ipv6Text(ip6)];
const listening = serve(server, WEB, ADMIN);
t.teardown(() => listening.stop());
await until('the server', () => listening.log().includes('listening'), LONG);

const outcome = async (from: typeof client, address: string, port: number, timeoutMs?: number) =>
  (await probe(from, 'tcp', address, port, timeoutMs)).outcome;

t.test('who is in the group gets through the router, and nobody else', async (t) => {
  for (const address of addresses) {
    t.equal(await outcome(client, address, WEB), 'connected', `a member, ${address}`);
    t.equal(await outcome(admin, address, ADMIN), 'connected', `another one, ${address}`);
    t.equal(await outcome(stranger, address, WEB, SHORT_MS), 'timeout', `no member, ${address}`);
  }
});

t.test('what a group may not send to another is stopped before the router', async (t) => {
  for (const address of addresses) {
    t.equal(await outcome(client, address, ADMIN, SHORT_MS), 'timeout', address);
  }
});

t.test('who joins the group in the other network gets through, who leaves it does not', async (t) => {
  const { model, acknowledged } = {
    model: bridged.running.controller.model,
    acknowledged: () => bridged.running.controller.acknowledged(AbortSignal.timeout(LONG)),
  };
  const members = async (...endpoints: string[]) => {
    const group = { kind: 'Group', tenant: 'acme', name: 'clients', endpoints } as unknown as IntentObject;
    await model.apply([group], { mode: 'add' });
    const answers = await acknowledged();
    t.ok(answers.every(({ ok }) => ok));
  };
  await members('web/stranger');
  for (const address of addresses) {
    t.equal(await outcome(stranger, address, WEB), 'connected', address);
    t.equal(await outcome(client, address, WEB, SHORT_MS), 'timeout', address);
  }
});
