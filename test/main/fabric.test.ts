/** Whose a switch is: the overlay's or the fabric's, and what happens when that changes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AgentPing, AgentRegister, connect, Peer, Router } from '../../rpc/index.js';
import { EmulatedSwitch } from '../../topologies/emulated/index.js';
import { until } from '../../topologies/lab/index.js';
import { startController, type TestController } from '../support/test-controller.js';

const LOOPBACK = '127.0.0.1:0';
const DATAPATH = '00000000000000a1';
const TUNNEL = { number: 65000, name: 'weft-vxlan' };

async function start(t: Test, settings = ''): Promise<TestController> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-fabric-'));
  const running = await startController(folder, { openflow: LOOPBACK, hub: LOOPBACK }, settings);
  t.teardown(async () => {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return running;
}

async function plug(t: Test, { openflow }: TestController, ports: { number: number; name: string }[]) {
  if (openflow.kind !== 'tcp') throw new Error('not TCP');
  const controller = { host: '127.0.0.1', port: openflow.port };
  const emulated = await EmulatedSwitch.connect({ controller, datapathId: DATAPATH, ports });
  t.teardown(() => emulated.stop());
  return emulated;
}

/** An agent claims the datapath. */
async function claim(t: Test, { hub }: TestController): Promise<void> {
  const peer = new Peer(await connect(hub), { router: new Router().request(AgentPing, () => ({})) });
  t.teardown(() => {
    peer.close('test over');
  });
  await peer.call(AgentRegister, {
    protocol: 1,
    hostLabel: 'h1',
    epoch: 1,
    datapathId: DATAPATH,
    bridge: 'br-int',
    vtepIp: '10.254.0.1',
    tunnelPort: TUNNEL.name,
    attachments: [],
  });
}

function statusOf({ controller }: TestController) {
  const [status, ...more] = controller.status().datapaths;
  if (more.length > 0) throw new Error('the switch is there twice');
  return status;
}

const fabricSwitches = (running: TestController): number => {
  const family = running.controller.metrics().find(({ name }) => name === 'weft_fabric_switches');
  return (family?.samples ?? []).reduce((sum, { value }) => sum + value, 0);
};

t.test('a switch that nobody claims is of the fabric, until an agent claims it', async (t) => {
  const running = await start(t);
  const emulated = await plug(t, running, [{ number: 1, name: 'p1' }]);
  await until('its state', () => statusOf(running)?.state === 'in-sync');
  t.equal(statusOf(running)?.host, undefined);
  t.equal(fabricSwitches(running), 1);
  t.ok(emulated.tables.flows.size > 0, 'it has been given tables');
  const before = emulated.tables.flows.size;

  await claim(t, running);
  await until(
    'the agent to have it',
    () => statusOf(running)?.host === 'h1' && statusOf(running)?.state === 'in-sync',
  );
  t.equal(fabricSwitches(running), 0);
  t.not(emulated.tables.flows.size, before, 'other tables');
});

t.test('a bridge with a port that agents make waits for its agent', async (t) => {
  const running = await start(t);
  await plug(t, running, [TUNNEL]);
  await until('the session', () =>
    running.controller
      .metrics()
      .some(({ name, samples }) => name === 'weft_switch_sessions' && samples[0]?.value === 1),
  );
  t.equal(fabricSwitches(running), 0);
  await claim(t, running);
  await until('its state', () => statusOf(running)?.state === 'in-sync');
  t.equal(statusOf(running)?.host, 'h1');
});

t.test('without a fabric such switches are left alone', async (t) => {
  const running = await start(t, 'fabric: {enabled: false}\n');
  const emulated = await plug(t, running, [{ number: 1, name: 'p1' }]);
  await until('its state', () => statusOf(running)?.state === 'unclaimed');
  t.equal(emulated.tables.flows.size, 0);
});
