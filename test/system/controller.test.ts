/**
 * The whole controller on real Open vSwitch, with agents that the test scripts: what is acknowledged works, and goes on working
 * whatever happens to the controller, an agent or a switch.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { formatAddress, parseAddress, type RpcError } from '../../rpc/index.js';
import { Lab, until } from '../../topologies/lab/index.js';
import { ScriptedAgent } from '../support/scripted-agent.js';
import { intents, startController, type TestController } from '../support/test-controller.js';

const CHILD = fileURLToPath(new URL('../support/controller-child.js', import.meta.url));

const address = (cidr: string | undefined): string => cidr?.split('/')[0] ?? '';

function inSync(running: TestController, hosts: number): boolean {
  const { datapaths } = running.controller.status();
  return datapaths.filter(({ state }) => state === 'in-sync').length === hosts;
}

t.test('three hosts under one controller', async (t) => {
  const lab = await Lab.create({ name: 'ctl', hosts: 3 });
  t.teardown(() => lab.destroy());
  const folder = join(lab.directory, 'controller');
  mkdirSync(folder, { recursive: true });
  const anyPort = `${lab.managementAddress}:0`;
  let running = await startController(folder, { openflow: anyPort, hub: anyPort });
  t.teardown(() => running.stop());
  await running.controller.model.apply(intents, { mode: 'add' });
  const openflow = `tcp:${formatAddress(running.openflow)}`;
  const agents = await Promise.all(
    [...lab.hosts.values()].map((host) => ScriptedAgent.prepare(host, openflow)),
  );
  const [h1, h2, h3] = agents as [ScriptedAgent, ScriptedAgent, ScriptedAgent];
  t.teardown(() => {
    for (const agent of agents) agent.peer?.close('test over');
  });
  await Promise.all(agents.map((agent) => agent.register(running.hub)));
  await until('all switches', () => inSync(running, 3), 20_000);
  await Promise.all(agents.map(({ host }) => host.learnTunnelPeers()));

  const a = await h1.run('acme', 'web', 'a');
  const b = await h2.run('acme', 'web', 'b');
  const addressOf = (name: string) => address(running.controller.model.endpoint(`acme/web/${name}`)?.ip);

  await t.test('an attach that is answered works at once', async (t) => {
    const answers = await Promise.all([a.ping(addressOf('b')), b.ping(addressOf('a'))]);
    t.strictSame(
      answers.map(({ ok }) => ok),
      [true, true],
    );
    t.strictSame(
      running.controller.status().hosts.map(({ host, state, attached }) => [host, state, attached]),
      [
        ['h1', 'up', 1],
        ['h2', 'up', 1],
        ['h3', 'up', 0],
      ],
    );
  });

  await t.test('a restart of the controller: no packet lost, no entry sent', async (t) => {
    const before = await Promise.all(agents.map((agent) => agent.flows()));
    const stream = a.ping(addressOf('b'), { count: 400, intervalMs: 20 });
    const listen = { openflow: formatAddress(running.openflow), hub: formatAddress(running.hub) };
    await running.stop();
    t.strictSame(
      await Promise.all(agents.map((agent) => agent.flows())),
      before,
      'entries stay while it is away',
    );
    running = await startController(folder, listen);
    await until('all switches again', () => inSync(running, 3), 20_000);
    t.equal(running.metric('weft_entries_sent_total'), 0, 'in sync before any agent is back');
    const stale = await Promise.all(agents.map((agent) => agent.register(running.hub)));
    t.strictSame(stale, [[], [], []]);
    await running.controller.acknowledged(AbortSignal.timeout(5_000));
    t.equal(running.metric('weft_entries_sent_total'), 0, 'nor by the registrations');
    const { sent, received } = await stream;
    t.strictSame({ sent, received }, { sent: 400, received: 400 });
    t.strictSame(await Promise.all(agents.map((agent) => agent.flows())), before);
  });

  await t.test('an endpoint that moves is reached where it is, and not where it was', async (t) => {
    const m = await h2.run('acme', 'web', 'm');
    t.equal((await a.ping(addressOf('m'))).ok, true);
    const view = running.controller.model.endpoint('acme/web/m');
    if (view === undefined) throw new Error('the endpoint is gone');
    const moved = await h3.plug(view, 'm3');
    const answer = await h3.attach('acme/web/m', moved.port);
    await until('agent.detach at h2', () => h2.detached.some(({ endpoint }) => endpoint === 'acme/web/m'));
    t.strictSame(h2.detached, [{ endpoint: 'acme/web/m', reason: 'attached on host h3' }]);
    if (answer.others === 'pending') {
      const followed = await until('followed', () => h3.followed.at(-1));
      t.strictSame(followed.missing, []);
    }
    const capture = await m.capture('eth0', 'icmp');
    t.equal((await a.ping(addressOf('m'))).ok, true);
    t.equal((await capture.stop()).length, 0, 'nothing reaches the old place');
    t.equal((await m.ping(addressOf('a'))).ok, false, 'nor does the old place get a word in');
  });

  await t.test('an endpoint that is attached before its network is declared', async (t) => {
    const view = { endpoint: 'acme/late/x', tenant: 'acme', network: 'late', name: 'x' };
    const x = await h1.plug({ ...view, mac: '02:02:0a:02:02:0a', ip: '10.2.2.10/24' } as never, 'x');
    const waiting = h1.attach('acme/late/x', x.port, 20_000);
    await t.rejects(h2.attach('acme/late/never', 'v-y', 200), { code: 'endpoint.unknown' });
    await running.controller.model.apply(
      [
        { kind: 'Network', tenant: 'acme', name: 'late', encapsulation: 'vxlan', subnet: '10.2.2.0/24' },
        {
          kind: 'Endpoint',
          tenant: 'acme',
          network: 'late',
          name: 'x',
          ip: '10.2.2.10',
          mac: '02:02:0a:02:02:0a',
        },
      ],
      { mode: 'add' },
    );
    t.match(await waiting, { acknowledged: true, endpoint: { endpoint: 'acme/late/x', ip: '10.2.2.10/24' } });
    const y = await h2.run('acme', 'late', 'y');
    t.equal((await y.ping('10.2.2.10')).ok, true);
  });

  await t.test(
    'an endpoint deleted while its agent was partitioned is taken down when it is back',
    async (t) => {
      const p = await h3.run('acme', 'web', 'p');
      const mac = await p.mac();
      t.ok((await h3.flows()).some((flow) => flow.includes(mac)));
      h3.peer?.close('partition');
      await running.controller.model.remove([{ kind: 'Endpoint', name: 'acme/web/p' }]);
      await running.controller.acknowledged(AbortSignal.timeout(5_000));
      for (const agent of agents) {
        t.notOk(
          (await agent.flows()).some((flow) => flow.includes(mac)),
          `no entry for it on ${agent.host.name}`,
        );
      }
      t.strictSame(await h3.register(running.hub), ['acme/web/p']);
      t.notOk(h3.attachments.has('acme/web/p'));
    },
  );

  await t.test('OVS restarted empty is brought back to exactly its tables', async (t) => {
    const before = await h2.flows();
    await h2.host.ofctl('del-flows', 'br-int');
    await h2.host.ofctl('del-groups', 'br-int');
    t.strictSame(await h2.flows(), []);
    await h2.host.vsctl('del-controller', 'br-int');
    await until('loss of the switch', () => !inSync(running, 3));
    await h2.host.vsctl('set-controller', 'br-int', openflow);
    await until('resync', () => inSync(running, 3), 20_000);
    t.strictSame((await h2.flows()).sort(), before.sort());
    t.equal((await a.ping(addressOf('b'))).ok, true);
  });

  await t.test('a dead switch delays nobody', async (t) => {
    const pid = Number(await h3.host.exec(['cat', join(h3.host.runDirectory, 'ovs-vswitchd.pid')]));
    const c = await h3.run('acme', 'web', 'c');
    t.ok(c);
    process.kill(pid, 'SIGSTOP');
    t.teardown(() => process.kill(pid, 'SIGCONT'));
    try {
      const view = await h1.request('acme', 'web', 'd');
      const d = await h1.plug(view, 'd');
      const answer = await h1.attach(view.endpoint, d.port);
      t.equal(answer.others, 'pending', 'answered although the dead switch has not acknowledged');
      t.equal((await b.ping(addressOf('d'))).ok, true);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    const followed = await until('followed', () =>
      h1.followed.find(({ endpoint }) => endpoint === 'acme/web/d'),
    );
    t.ok(followed.hosts.includes('h2'));
  });

  await t.test('attach says what is missing', async (t) => {
    const refusal = (promise: Promise<unknown>) => promise.catch((error: unknown) => error as RpcError);
    const view = await h1.request('acme', 'web', 'e');
    t.match(await refusal(h1.attach(view.endpoint, 'v-none', 300)), {
      code: 'port.unknown',
      message: /switch of host h1 \(datapath [0-9a-f]{16}\) has no port v-none/,
    });
    await h2.host.vsctl('del-controller', 'br-int');
    await until('loss of the switch', () => !inSync(running, 3));
    const other = await h2.request('acme', 'web', 'f');
    t.match(await refusal(h2.attach(other.endpoint, 'v-f', 300)), {
      code: 'switch.disconnected',
      message: /switch of host h2 \(datapath [0-9a-f]{16}\) is not connected/,
    });
    await h2.host.vsctl('set-controller', 'br-int', openflow);
  });
});

t.test('kill -9 of the controller loses nothing that was acknowledged', async (t) => {
  const lab = await Lab.create({ name: 'kill', hosts: 1 });
  t.teardown(() => lab.destroy());
  const folder = join(lab.directory, 'controller');
  mkdirSync(folder, { recursive: true });
  let child: ChildProcess | undefined;
  t.teardown(() => child?.kill('SIGKILL'));
  const start = async (listen: { openflow: string; hub: string }) => {
    child = fork(CHILD, [folder, JSON.stringify(listen)]);
    const [message] = (await once(child, 'message')) as [{ openflow: string; hub: string }];
    return message;
  };
  const anyPort = `${lab.managementAddress}:0`;
  const listen = await start({ openflow: anyPort, hub: anyPort });
  const h1 = await ScriptedAgent.prepare(lab.host('h1'), `tcp:${listen.openflow}`);
  const acknowledged = new Map<string, string>();
  let number = 0;
  for (let round = 0; round < 5; round++) {
    if (round > 0) await start(listen);
    await h1.register(parseAddress(listen.hub));
    for (const [name, ip] of acknowledged) {
      t.equal((await h1.request('acme', 'web', name)).ip, ip, `${name} has kept its address`);
    }
    const wave = Array.from({ length: 20 }, () => {
      number += 1;
      const name = `k${number}`;
      return h1.request('acme', 'web', name).then(
        ({ ip }) => void acknowledged.set(name, ip ?? ''),
        () => undefined, // not acknowledged: nothing is promised
      );
    });
    await Promise.race([wave[round * 3], Promise.all(wave)]);
    const gone = child && once(child, 'exit');
    child?.kill('SIGKILL');
    await gone;
    await Promise.all(wave);
  }
  t.ok(acknowledged.size >= 20, `${acknowledged.size} endpoints were acknowledged`);
  t.equal(new Set(acknowledged.values()).size, acknowledged.size, 'no address was given twice');
});
