/** Distribution trees in the whole controller, with emulated switches and scripted agents. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DistributionState } from '../../controller/multicast/types.js';
import {
  AgentDetach,
  AgentPing,
  AgentRegister,
  connect,
  EndpointAttach,
  EndpointRequest,
  Peer,
  Router,
} from '../../rpc/index.js';
import { EmulatedSwitch } from '../../topologies/emulated/index.js';
import { intents, startController, type TestController } from '../support/test-controller.js';
import { waitFor } from '../support/wait-for.js';

const LOOPBACK = { openflow: '127.0.0.1:0', hub: '127.0.0.1:0' };
const TUNNEL = { number: 65000, name: 'weft-vxlan' };

interface Host {
  /** Its switch and its agent are gone, as when it is switched off. */
  die(): Promise<void>;
}

async function plug(t: Test, { openflow, hub }: TestController, number: number): Promise<Host> {
  if (openflow.kind !== 'tcp') throw new Error('not TCP');
  const datapathId = number.toString(16).padStart(16, '0');
  const emulated = await EmulatedSwitch.connect({
    controller: { host: '127.0.0.1', port: openflow.port },
    datapathId,
    ports: [TUNNEL, { number: 1, name: 'a' }],
  });
  const router = new Router().request(AgentPing, () => ({})).request(AgentDetach, () => ({}));
  const peer = new Peer(await connect(hub), { router });
  let dead = false;
  const die = async (): Promise<void> => {
    if (dead) return;
    dead = true;
    peer.close('gone');
    await emulated.stop();
  };
  t.teardown(die);
  await peer.call(AgentRegister, {
    protocol: 1,
    hostLabel: `h${number}`,
    epoch: 1,
    datapathId,
    bridge: 'br-int',
    vtepIp: `10.254.0.${number}`,
    tunnelPort: TUNNEL.name,
    attachments: [],
  });
  const endpoint = `e${number}`;
  await peer.call(EndpointRequest, { tenant: 'acme', network: 'web', endpoint });
  await peer.call(EndpointAttach, { endpoint: `acme/web/${endpoint}`, interface: 'a', deadlineMs: 30_000 });
  return { die };
}

const broadcast = async ({ controller }: TestController): Promise<DistributionState | undefined> =>
  (await controller.multicast('acme/web', false)).floods[0]?.distribution;

/** Waits for a tree of these hosts that is not being changed. */
function treeOf(running: TestController, hosts: readonly string[]): Promise<DistributionState> {
  return waitFor(`a tree of ${hosts.join()}`, async () => {
    const tree = await broadcast(running);
    const members = [tree?.root, ...(tree?.edges ?? []).map(([, child]) => child)].sort();
    return String(members) === String(hosts) && tree?.changing !== true && tree;
  });
}

t.test('hosts join a tree, one that dies is left out, a restart finds the tree as it was', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-trees-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let running = await startController(folder, LOOPBACK);
  t.teardown(() => running.stop());
  const network = { ...intents[1], multicast: { headEndLimit: 2 } };
  await running.controller.model.apply([intents[0], network], { mode: 'add' });
  const hosts: Host[] = [];
  for (const number of [1, 2]) hosts.push(await plug(t, running, number));
  t.strictSame(await broadcast(running), { kind: 'replication' });
  for (const number of [3, 4]) hosts.push(await plug(t, running, number));
  await treeOf(running, ['h1', 'h2', 'h3', 'h4']);
  await hosts[2]?.die();
  const repaired = await treeOf(running, ['h1', 'h2', 'h4']);
  await running.stop();
  running = await startController(folder, LOOPBACK);
  // Relays of the tree before may still be on their way out.
  t.match(await broadcast(running), repaired);
});
