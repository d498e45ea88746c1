/**
 * The processes as they are installed: `weft controller`, one `weft agent` a host, Open vSwitch. What is told is true, and stays true
 * whichever of them goes and comes back.
 */
import t from 'tap';
import { type LocalAttachResult, LocalAttach, LocalStatus } from '../../agent/index.js';
import { hostInterfaceOf } from '../../agent/attachments.js';
import { RpcError } from '../../rpc/index.js';
import { Lab, type LabHost, type LabNamespace, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

/** Two tenants with the same addresses. */
const intents = ['acme', 'rival'].flatMap((tenant) => [
  { kind: 'Tenant', name: tenant, overlappingSubnets: true },
  { kind: 'Network', tenant, name: 'web', encapsulation: 'vxlan', subnet: '10.1.1.0/24' },
]);

interface Attached extends LocalAttachResult {
  readonly namespace: LabNamespace;
}

const addressOf = ({ endpoint }: LocalAttachResult): string => endpoint.ip?.split('/')[0] ?? '';

t.setTimeout(300_000);

t.test('the processes together', async (t) => {
  const lab = await Lab.create({ name: 'whole', hosts: 2 });
  t.teardown(() => lab.destroy());
  const controller = new ControllerProcess(lab);
  await controller.start();
  await controller.request('POST', '/v1/apply', intents);
  const agents = new Map<string, SpawnedAgent>();
  const join = async (host: LabHost): Promise<void> => {
    const options = { controller: controller.hub, vtepIp: host.vtepIp, uplink: host.uplink };
    agents.set(host.name, await spawnAgent(lab, host, options));
    await controller.settled([host.name]);
  };
  // The userspace datapath loses the packet by which it learns of a tunnel's peer.
  const learnPeers = () => Promise.all([...lab.hosts.values()].map((host) => host.learnTunnelPeers()));
  await Promise.all([...lab.hosts.values()].map(join));
  await learnPeers();

  const agentOf = (host: string): SpawnedAgent => {
    const agent = agents.get(host);
    if (agent === undefined) throw new Error(`no agent on ${host}`);
    return agent;
  };
  const attachTo = (host: string, tenant: string, endpoint: string, { path: netns }: LabNamespace) =>
    agentOf(host).call(LocalAttach, { tenant, network: 'web', endpoint, netns }, { deadlineMs: 30_000 });
  const attach = async (host: string, tenant: string, endpoint: string): Promise<Attached> => {
    const namespace = await lab.namespace(`${tenant}-${endpoint}`);
    return { namespace, ...(await attachTo(host, tenant, endpoint, namespace)) };
  };
  const reaches = async (from: Attached, to: Attached): Promise<boolean> =>
    (await from.namespace.ping(addressOf(to))).ok;
  const flows = async (host: LabHost): Promise<string[]> =>
    (await host.ofctl('--no-stats', 'dump-flows', 'br-int'))
      .split('\n')
      .filter((line) => line.includes('actions='));

  const [a, b, ra, rb] = await Promise.all([
    attach('h1', 'acme', 'a'),
    attach('h2', 'acme', 'b'),
    attach('h1', 'rival', 'a'),
    attach('h2', 'rival', 'b'),
  ]);

  await t.test('tenants are apart, on a host that joins late as well', async (t) => {
    t.same(
      await Promise.all([reaches(a, b), reaches(b, a), reaches(ra, rb), reaches(rb, ra)]),
      [true, true, true, true],
      'every tenant reaches its own',
    );
    await join(await lab.addHost({ name: 'h3' }));
    await learnPeers();
    const late = await attach('h3', 'acme', 'late');
    t.equal(addressOf(late), '10.1.1.3');
    t.same(await Promise.all([reaches(a, late), reaches(late, b)]), [true, true]);
    const capture = await late.namespace.capture('eth0', 'icmp or arp');
    t.notOk((await ra.namespace.ping(addressOf(late))).ok, 'not from the other tenant');
    t.equal((await capture.stop()).length, 0, 'which is not even heard');
    const rivals = [await attach('h3', 'rival', 'x'), await attach('h3', 'rival', 'y')];
    t.same(rivals.map(addressOf), ['10.1.1.3', '10.1.1.4'], 'with the addresses of its own');
    t.same(await Promise.all(rivals.map((rival) => reaches(rb, rival))), [true, true]);
    t.notOk((await a.namespace.ping('10.1.1.4')).ok, 'nor the other way about');
  });

  const hosts = [...lab.hosts.values()];
  const names = hosts.map(({ name }) => name);

  await t.test('a restart of the controller: no packet lost, no entry sent', async (t) => {
    const before = await Promise.all(hosts.map(flows));
    const stream = a.namespace.ping(addressOf(b), { count: 300, intervalMs: 20 });
    await controller.stop('SIGTERM');
    await controller.start();
    await controller.settled(names);
    t.equal(await controller.metric('weft_entries_sent_total'), 0, 'agents and switches are back');
    const { sent, received } = await stream;
    t.same({ sent, received }, { sent: 300, received: 300 });
    t.same(await Promise.all(hosts.map(flows)), before);
  });

  await t.test('kill -9 of the controller in the middle of attaches', async (t) => {
    const wanted = Array.from({ length: 9 }, (_, index) => ({
      name: `k${index}`,
      host: names[index % names.length] ?? '',
    }));
    const places = new Map(
      await Promise.all(wanted.map(async ({ name }) => [name, await lab.namespace(name)] as const)),
    );
    const attachWanted = async ({ name, host }: (typeof wanted)[number]): Promise<Attached> => {
      const namespace = places.get(name);
      if (namespace === undefined) throw new Error(`no namespace ${name}`);
      return { namespace, ...(await attachTo(host, 'acme', name, namespace)) };
    };
    const kept: Attached[] = [];
    let gone: Promise<void> | undefined;
    /** One after the other on each host, so that each is in the middle of one when the controller is killed. */
    const failures = await Promise.all(
      names.map(async (host) => {
        for (const one of wanted.filter((each) => each.host === host)) {
          try {
            kept.push(await attachWanted(one));
          } catch (error) {
            return error;
          }
          if (kept.length === 2) gone = controller.stop('SIGKILL');
        }
        return undefined;
      }),
    );
    await gone;
    t.match(
      failures,
      names.map(() => RpcError),
      `${kept.length} of ${wanted.length} were acknowledged`,
    );
    t.same(
      await Promise.all(kept.map((one) => reaches(a, one))),
      kept.map(() => true),
      'which work without a controller',
    );
    await controller.start();
    await controller.settled(names);
    const shown = await controller.endpoints();
    for (const { endpoint } of kept) {
      t.match(shown.get(endpoint.endpoint), { ip: endpoint.ip?.split('/')[0], attached: true });
    }
    const again = await Promise.all(wanted.map(attachWanted));
    t.equal(new Set(again.map(addressOf)).size, wanted.length, 'no address was given twice');
    t.same(
      await Promise.all(again.map((one) => reaches(b, one))),
      again.map(() => true),
      'every name is of use',
    );
  });

  await t.test('an endpoint deleted while its host was cut off', async (t) => {
    const h3 = lab.host('h3');
    const gone = await attach('h3', 'acme', 'gone');
    t.ok(await reaches(a, gone), 'it is there');
    const { mac } = gone.endpoint;
    await h3.ip('link set management down');
    const down = async (): Promise<boolean> => (await controller.stateOf('h3')).agent !== 'up';
    await until('the lease to run out', down, 15_000);
    await controller.request('DELETE', '/v1/endpoints/acme/web/gone');
    t.ok(
      (await flows(h3)).some((flow) => flow.includes(mac)),
      'its host could not be told',
    );
    const others = async (): Promise<boolean> =>
      (await Promise.all(['h1', 'h2'].map((name) => flows(lab.host(name)))))
        .flat()
        .every((flow) => !flow.includes(mac));
    await until('the others to forget it', others);
    await h3.ip('link set management up');
    await until(
      'its port to be gone',
      async () => !(await h3.vsctl('list-ports', 'br-int')).includes(hostInterfaceOf('acme/web/gone')),
      30_000,
    );
    await controller.settled(['h3']);
    t.notOk(
      (await flows(h3)).some((flow) => flow.includes(mac)),
      'no entry is left',
    );
    const { attachments } = await agentOf('h3').call(LocalStatus, {});
    t.notOk(attachments.some(({ endpoint }) => endpoint === 'acme/web/gone'));
    t.notOk(await reaches(a, gone));
  });

  await t.test('Open vSwitch comes back empty', async (t) => {
    const h2 = lab.host('h2');
    const before = (await flows(h2)).length;
    await h2.restartOvs({ keepDatabase: false });
    const back = async (): Promise<boolean> => (await reaches(a, b)) && (await reaches(rb, ra));
    await until('traffic', back, 30_000);
    await controller.settled(names);
    t.equal((await flows(h2)).length, before);
  });
});
