/** The whole controller with emulated switches: from an agent's call, or an intent, to acknowledged entries and back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type Address,
  AgentDetach,
  AgentPing,
  AgentRegister,
  connect,
  EndpointAttach,
  EndpointFollowed,
  EndpointRequest,
  type ParamsOf,
  Peer,
  Router,
  type RpcError,
} from '../../rpc/index.js';
import { EmulatedSwitch } from '../../topologies/emulated/index.js';
import { until } from '../rpc/support.js';
import { intents, startController, type TestController } from '../support/test-controller.js';

const LOOPBACK = '127.0.0.1:0';
const datapath = (number: number) => number.toString(16).padStart(16, '0');
const TUNNEL = { number: 65000, name: 'weft-vxlan' };

interface Host {
  readonly peer: Peer;
  readonly followed: ParamsOf<typeof EndpointFollowed>[];
}

async function start(t: Test, folder?: string): Promise<TestController & { readonly folder: string }> {
  const place = folder ?? mkdtempSync(join(tmpdir(), 'weft-main-'));
  const running = await startController(place, { openflow: LOOPBACK, hub: LOOPBACK });
  t.teardown(async () => {
    await running.stop();
    rmSync(place, { recursive: true, force: true });
  });
  return { ...running, folder: place };
}

async function plugSwitch(t: Test, running: TestController, number: number, ports: string[] = []) {
  const { openflow } = running;
  if (openflow.kind !== 'tcp') throw new Error('not TCP');
  const emulated = await EmulatedSwitch.connect({
    controller: { host: '127.0.0.1', port: openflow.port },
    datapathId: datapath(number),
    ports: [TUNNEL, ...ports.map((name, index) => ({ number: index + 1, name }))],
  });
  t.teardown(() => emulated.stop());
  return emulated;
}

async function register(t: Test, hub: Address, number: number): Promise<Host> {
  const followed: ParamsOf<typeof EndpointFollowed>[] = [];
  const router = new Router()
    .request(AgentPing, () => ({}))
    .request(AgentDetach, () => ({}))
    .notification(EndpointFollowed, (params) => {
      followed.push(params);
    });
  const peer = new Peer(await connect(hub), { router });
  t.teardown(() => {
    peer.close('test over');
  });
  await peer.call(AgentRegister, {
    protocol: 1,
    hostLabel: `h${number}`,
    epoch: 1,
    datapathId: datapath(number),
    bridge: 'br-int',
    vtepIp: `10.254.0.${number}`,
    tunnelPort: TUNNEL.name,
    attachments: [],
  });
  return { peer, followed };
}

const request = ({ peer }: Host, endpoint: string) =>
  peer.call(EndpointRequest, { tenant: 'acme', network: 'web', endpoint });
const attach = ({ peer }: Host, endpoint: string, name: string, deadlineMs = 5_000) =>
  peer.call(EndpointAttach, { endpoint: `acme/web/${endpoint}`, interface: name, deadlineMs });
const state = ({ controller }: TestController, number: number) =>
  controller.status().datapaths.find(({ datapathId }) => datapathId === datapath(number))?.state;

t.test('an attach ends when the home switch holds the entries; the others follow', async (t) => {
  const running = await start(t);
  await running.controller.model.apply(intents, { mode: 'add' });
  const [s1, s2] = [
    await plugSwitch(t, running, 1, ['v-a', 'v-c']),
    await plugSwitch(t, running, 2, ['v-b']),
  ];
  const [h1, h2] = [await register(t, running.hub, 1), await register(t, running.hub, 2)];
  await request(h1, 'a');
  t.match(await attach(h1, 'a', 'v-a'), { acknowledged: true, others: 'acknowledged' });
  const alone = s1.flows.length;
  t.ok(alone > 0);
  await request(h2, 'b');
  await attach(h2, 'b', 'v-b');
  t.ok(s2.flows.length > 0);
  s2.delayMs = 50;
  await request(h1, 'c');
  t.match(await attach(h1, 'c', 'v-c'), { acknowledged: true, others: 'pending' });
  await until(() => h1.followed.length === 1, 'followed');
  t.match(h1.followed, [{ endpoint: 'acme/web/c', hosts: ['h2'], missing: [] }]);
  t.strictSame([state(running, 1), state(running, 2)], ['in-sync', 'in-sync']);
  t.match(running.controller.status().hosts, [
    { host: 'h1', state: 'up', attached: 2 },
    { host: 'h2', state: 'up', attached: 1 },
  ]);
});

t.test('a restarted controller sends nothing, before any agent is back', async (t) => {
  const first = await start(t);
  await first.controller.model.apply(intents, { mode: 'add' });
  const s1 = await plugSwitch(t, first, 1, ['v-a']);
  const h1 = await register(t, first.hub, 1);
  await request(h1, 'a');
  await attach(h1, 'a', 'v-a');
  const before = JSON.stringify(s1.flows, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  );
  await first.stop();
  const second = await startController(first.folder, {
    openflow: `127.0.0.1:${first.openflow.kind === 'tcp' ? first.openflow.port : 0}`,
    hub: LOOPBACK,
  });
  t.teardown(() => second.stop());
  await until(() => !s1.connected, 'loss');
  await s1.connect();
  await until(() => state(second, 1) === 'in-sync', 'sync');
  t.equal(second.metric('weft_entries_sent_total'), 0);
  t.equal(
    JSON.stringify(s1.flows, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    before,
  );
  t.match(second.controller.status().hosts, [{ host: 'h1', state: 'unknown', attached: 1 }]);
});

t.test('a refusal reaches the agent that attached, and who asks for acknowledgement', async (t) => {
  const running = await start(t);
  await running.controller.model.apply(intents, { mode: 'add' });
  const s1 = await plugSwitch(t, running, 1, ['v-a', 'v-b']);
  const h1 = await register(t, running.hub, 1);
  await request(h1, 'a');
  await attach(h1, 'a', 'v-a');
  await request(h1, 'b');
  s1.refuse = (modification) => (modification.type === 'flow_mod' ? { errorType: 5, code: 1 } : undefined);
  const error = await attach(h1, 'b', 'v-b').catch((reason: unknown) => reason as RpcError);
  t.match(error, { code: 'endpoint.refused', message: /refused an entry of .* with OFPFMFC_TABLE_FULL/ });
  t.equal(state(running, 1), 'degraded');
});

t.test('acknowledged: what an intent changed, on which switches, by when', async (t) => {
  const running = await start(t);
  await running.controller.model.apply(intents, { mode: 'add' });
  const [s1] = [await plugSwitch(t, running, 1, ['v-a']), await plugSwitch(t, running, 2, ['v-b'])];
  const [h1, h2] = [await register(t, running.hub, 1), await register(t, running.hub, 2)];
  for (const [host, name] of [
    [h1, 'a'],
    [h2, 'b'],
  ] as const) {
    await request(host, name);
    await attach(host, name, `v-${name}`);
  }
  await running.controller.acknowledged(AbortSignal.timeout(5_000));
  const { model } = running.controller;
  await model.remove([{ kind: 'Endpoint', name: 'acme/web/b' }]);
  const answers = await running.controller.acknowledged(AbortSignal.timeout(5_000));
  t.strictSame(answers.map(({ host, ok }) => [host, ok]).sort(), [
    ['h1', true],
    ['h2', true],
  ]);
  s1.delayMs = 60_000;
  await model.remove([{ kind: 'Endpoint', name: 'acme/web/a' }]);
  t.match(await running.controller.acknowledged(AbortSignal.timeout(100)), [
    { host: 'h1', ok: false, reason: 'timeout' },
  ]);
});

t.test('events and readiness', async (t) => {
  const running = await start(t);
  const events: string[] = [];
  running.controller.events.subscribe(({ event, host, datapathId }) => {
    events.push(`${event} ${host ?? datapathId ?? ''}`);
  });
  t.strictSame(running.controller.notReady(), []);
  await plugSwitch(t, running, 1);
  const h1 = await register(t, running.hub, 1);
  await until(() => state(running, 1) === 'in-sync', 'sync');
  h1.peer.close('cable');
  await until(() => events.includes('host.disconnected h1'), 'disconnect');
  t.ok(events.includes('host.up h1'));
  t.ok(events.includes(`datapath.in-sync ${datapath(1)}`), events.join(', '));
});
