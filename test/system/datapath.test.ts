/** The controller's promises on a real Open vSwitch, with the real apps. */
import t, { type Test } from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { ChannelListener, Numbering } from '../../controller/channel/index.js';
import type { App } from '../../controller/datapath/app.js';
import { DatapathController } from '../../controller/datapath/index.js';
import type { DatapathEvent } from '../../controller/datapath/status.js';
import { F, oxm } from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, setPort } from '../apps/facts.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { waitFor } from '../support/wait-for.js';

const BRIDGE = 'br-int';
const ID = datapathId(1);
const ovs = await OpenVSwitch.start();
t.teardown(() => ovs.stop());
await ovs.addBridge(BRIDGE, ID);

/** Three hosts, one network of each kind, six endpoints in each. */
function populate({ facts }: DatapathController): void {
  for (const host of [1, 2, 3]) {
    setHost(facts, host);
    setPort(facts, host, 'weft-vxlan', 65000);
    setPort(facts, host, 'uplink', 65001);
  }
  setNetwork(facts, 'acme/web', 1, 'vxlan', { ipv4: { address: 0x0a000000, prefixLength: 24 } });
  setNetwork(facts, 'acme/lan', 2, 'vlan', { ipv6: { address: 0xfd00n << 112n, prefixLength: 64 } });
  for (const [network, first] of [
    ['acme/web', 1],
    ['acme/lan', 101],
  ] as const) {
    for (let number = first; number < first + 6; number++) {
      const ipv6 = [(0xfd00n << 112n) + BigInt(number)];
      setEndpoint(facts, network, number, { host: 1 + (number % 3), port: number, ipv6 });
    }
  }
}

/** A controller the bridge is pointed to. */
async function controlled(t: Test, { port = 0, more = [] as readonly App[] } = {}) {
  const numbering = new Numbering();
  const listener = new ChannelListener({ host: '127.0.0.1', port, numbering });
  const controller = new DatapathController({
    pipeline,
    apps: [...apps, ...more],
    numbering,
    auditIntervalMs: 0,
  });
  const events: DatapathEvent[] = [];
  controller.onEvent((event) => void events.push(event));
  listener.onUp((session) => controller.addSession(session));
  listener.onDown((session) => controller.removeSession(session));
  populate(controller);
  controller.settle();
  const address = await listener.listen();
  if (port === 0) await ovs.setController(BRIDGE, address.port);
  const stop = async () => {
    controller.close();
    await listener.close();
  };
  t.teardown(stop);
  const synced = async (times: number) => {
    await waitFor(
      `synchronisation ${times}`,
      () => events.filter(({ kind }) => kind === 'synced').length >= times,
    );
    await controller.waitForSync(ID, { signal: AbortSignal.timeout(60_000) });
  };
  await synced(1);
  return { controller, listener, events, port: address.port, synced, stop };
}

/** Flows, and groups without their counters, as the bridge lists them. */
async function tables(): Promise<{ flows: string[]; groups: string[] }> {
  const flows = await ovs.ofctl(['dump-flows', '--no-stats'], BRIDGE);
  const groups = await ovs.ofctl(['dump-groups'], BRIDGE);
  const lines = (text: string) =>
    text
      .split('\n')
      .filter((line) => /cookie=|group_id=/.test(line))
      .map((line) => line.trim())
      .sort();
  return { flows: lines(flows), groups: lines(groups) };
}

const desiredSizes = (controller: DatapathController) => {
  const entries = [...controller.desired(ID)];
  return {
    flows: entries.filter(({ kind }) => kind === 'flow').length,
    groups: entries.filter(({ kind }) => kind === 'group').length,
  };
};
const sizes = ({ flows, groups }: Awaited<ReturnType<typeof tables>>) => ({
  flows: flows.length,
  groups: groups.length,
});

t.test('from empty; restarted empty; through a reconnect and a restart of the controller', async (t) => {
  const first = await controlled(t);
  const before = await tables();
  t.strictSame(sizes(before), desiredSizes(first.controller));
  t.ok(before.groups.length > 0);
  await first.controller.audit(ID);
  t.notOk(
    first.events.some(({ kind }) => kind === 'healed'),
    'read back, nothing differs',
  );

  await ovs.killSwitch();
  await ovs.startSwitch();
  await first.synced(2);
  t.strictSame(await tables(), before, 'a switch restarted empty holds what it held');

  const sent = first.controller.counters.entriesSent;
  first.listener.sessions.get(ID)?.close('test');
  await first.synced(3);
  t.strictSame(await tables(), before, 'groups survive a reconnect');
  t.equal(first.controller.counters.entriesSent, sent, 'which sends nothing');

  await first.stop();
  const second = await controlled(t, { port: first.port });
  t.strictSame(await tables(), before);
  t.equal(second.controller.counters.entriesSent, 0, 'a restarted controller sends nothing');
  await second.stop();
});

t.test('entries deleted, added and changed by hand are healed and reported', async (t) => {
  const { controller, events, stop } = await controlled(t);
  const before = await tables();
  const [miss] = before.flows.filter((line) => line.includes('priority=0'));
  t.ok(miss);
  await ovs.ofctl(['del-flows', '--strict'], BRIDGE, 'table=0,priority=0');
  await ovs.ofctl(['add-flow'], BRIDGE, 'table=3,priority=9,in_port=9,actions=drop');
  await ovs.ofctl(
    ['add-flow'],
    BRIDGE,
    'table=0,cookie=0x5700000000000001,priority=9,in_port=9,actions=drop',
  );
  await ovs.ofctl(['mod-flows', '--strict'], BRIDGE, 'table=1,priority=0,actions=output:1');
  const [group] = before.groups;
  await ovs.ofctl(['add-group'], BRIDGE, 'group_id=12345,type=all');
  t.ok(group);
  await controller.audit(ID);
  await controller.waitForSync(ID, { signal: AbortSignal.timeout(60_000) });
  t.strictSame(await tables(), before);
  t.match(
    events.filter(({ kind }) => kind === 'healed'),
    [{ difference: { missing: 1, foreign: 1, extra: 2, changed: 1 } }],
  );
  const id = Number(/group_id=(\d+)/.exec(group!)?.[1]);
  await ovs.ofctl(['del-groups'], BRIDGE, `group_id=${id}`);
  await controller.audit(ID);
  await controller.waitForSync(ID, { signal: AbortSignal.timeout(60_000) });
  t.strictSame(await tables(), before, 'a deleted group comes back with the entries that went with it');
  await stop();
});

t.test('a change is one bundle; what the switch refuses is named and the rest is in effect', async (t) => {
  const { tables: named } = pipeline;
  const faulty: App = {
    name: 'faulty',
    id: 200,
    declare: (d) =>
      d.entries('rule', d.facts.tenants, (context, { number }) => {
        const match = [oxm(F.in_port, number)];
        context.flow('global', {
          table: named.classify,
          priority: 3,
          match,
          meter: number,
          drop: true,
          object: number,
        });
        context.flow('global', { table: named.classify, priority: 4, match, drop: true });
      }),
  };
  const { controller, events, stop } = await controlled(t, { more: [faulty] });
  const before = await tables();
  controller.facts.tenants.set('bad', { name: 'bad', number: 7777 });
  setEndpoint(controller.facts, 'acme/web', 50, { host: 1, port: 50 });
  const answer = await controller.settle().acknowledged(ID);
  t.match(answer, {
    ok: false,
    reason: 'refused',
    refused: [
      { owner: 'faulty.rule object 7777', error: /OFPMMFC_UNKNOWN_METER|METER/, entry: /priority=3/ },
    ],
  });
  t.equal(answer.refused.length, 1);
  const desired = desiredSizes(controller);
  t.strictSame(sizes(await tables()), { ...desired, flows: desired.flows - 1 });
  t.match(controller.statusOf(ID), { state: 'degraded', refused: [{ owner: 'faulty.rule object 7777' }] });
  t.equal(events.filter(({ kind }) => kind === 'refused').length, 1);
  controller.facts.tenants.delete('bad');
  controller.facts.endpoints.delete('acme/web/e50');
  controller.facts.ports.delete(`${ID}/v50`);
  t.match(await controller.settle().acknowledged(ID), { ok: true });
  t.match(controller.statusOf(ID), { state: 'in-sync', refused: [] });
  t.strictSame(await tables(), before);
  await stop();
});

t.test('2,000 endpoints in one broadcast domain', async (t) => {
  const { controller, stop } = await controlled(t);
  for (let number = 1000; number < 3000; number++) {
    setEndpoint(controller.facts, 'acme/web', number, { host: 1 + (number % 3), port: number });
  }
  const started = performance.now();
  t.match(await controller.settle().acknowledged(ID), { ok: true });
  t.comment(`${(performance.now() - started).toFixed(0)} ms`);
  t.strictSame(sizes(await tables()), desiredSizes(controller));
  t.strictSame(controller.failures(), []);
  await stop();
});
