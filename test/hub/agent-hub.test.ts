import { connect as connectSocket } from 'node:net';
import t from 'tap';
import { HubError } from '../../controller/hub/index.js';
import type { SwitchAnswer } from '../../controller/hub/types.js';
import {
  AddressRelease,
  AddressReserve,
  AgentDeregister,
  AgentHeartbeat,
  AgentSnapshot,
  EndpointAttach,
  EndpointDetach,
  EndpointRequest,
  HostEndpoints,
  NetworkLeases,
  NetworkList,
  NetworkRelease,
  NetworkRequest,
  type RpcError,
  type TunnelState,
  TunnelStates,
} from '../../rpc/index.js';
import { until } from '../rpc/support.js';
import { datapath, startHub } from './support.js';

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: RpcError) => error,
  );

t.test('register claims the host, answers with the lease, and nothing works before it', async (t) => {
  const { agent, host, model, events } = await startHub(t, { leaseMs: 9_000 });
  const h1 = await agent();
  t.match(await failure(h1.peer.call(HostEndpoints, {})), {
    code: 'hub.unregistered',
    fix: 'call agent.register first',
  });
  t.match(await h1.register('h1', { uplink: 'eth1' }), {
    leaseMs: 9_000,
    controllerId: 'test',
    stale: [],
    held: [],
  });
  t.match(model.claims, [{ host: 'h1', datapathId: datapath(1), vtepIp: '10.254.0.1', uplink: 'eth1' }]);
  t.match(host('h1'), {
    state: 'up',
    connected: true,
    epoch: 1,
    bridge: 'br-int',
    leaseMs: 9_000,
    attached: 0,
  });
  t.match(events, [{ event: 'host.up', host: 'h1', datapathId: datapath(1) }]);
  t.match(await failure(h1.register('h2')), { code: 'hub.registered', path: 'hostLabel' });
});

t.test('networks and addresses are asked for and kept for the host that calls', async (t) => {
  const { agent, model } = await startHub(t);
  const silent = await agent();
  const asked = { tenant: 'acme', network: 'front' };
  t.match(await failure(silent.peer.call(NetworkList, {})), { code: 'hub.unregistered' });
  const { peer } = await agent('h1');
  const use = { ...asked, user: 'docker-1', runtime: 'docker' as const };
  t.match(await peer.call(NetworkRequest, { ...use, tag: 7 }), { subnet: '10.0.0.0/24', created: true });
  t.same(await peer.call(AddressReserve, { ...asked, family: 4 }), { ip: '10.0.0.1' });
  t.same(await peer.call(AddressRelease, { ...asked, ip: '10.0.0.1' }), { released: true });
  t.same(await peer.call(NetworkRelease, use), { released: true, removed: true });
  t.same(await peer.call(NetworkLeases, {}), { uses: [], addresses: [{ ...asked, ip: '10.0.0.1' }] });
  t.same(model.asked, [
    ['requestNetwork', { ...use, tag: 7, host: 'h1' }],
    ['reserveAddress', { ...asked, family: 4, host: 'h1' }],
    ['releaseAddress', { ...asked, ip: '10.0.0.1', host: 'h1' }],
    ['releaseNetwork', { ...use, host: 'h1' }],
  ]);
  const bad = peer.call(NetworkRequest, { ...use, subnet: 'everything' });
  t.match(await failure(bad), { message: /subnet/ });
});

t.test('a connection that never registers is closed', async (t) => {
  const { agent, clock } = await startHub(t);
  const silent = await agent();
  const other = await agent('h1');
  clock.advance(10_000);
  await until(() => silent.closed !== undefined, 'close');
  t.equal(other.closed, undefined);
});

t.test(
  'the lease is renewed by any call and runs out without one; the host is down, its entries stay',
  async (t) => {
    const { agent, clock, host, names, model } = await startHub(t);
    const h1 = await agent('h1');
    model.declare('acme/web/a', { host: 'h1', interface: 'v1', generation: 1 });
    for (let i = 0; i < 4; i++) {
      clock.advance(10_000);
      await h1.peer.call(AgentHeartbeat, { epoch: 1 });
      clock.advance(4_000);
      await h1.peer.call(HostEndpoints, {});
    }
    t.equal(host('h1')?.state, 'up');
    t.match(await failure(h1.peer.call(AgentHeartbeat, { epoch: 2 })), { code: 'hub.epoch', path: 'epoch' });
    clock.advance(15_000);
    t.match(host('h1'), { state: 'down', attached: 1 });
    t.strictSame(names(), ['host.up', 'host.down']);
    await until(() => h1.closed !== undefined, 'the connection is closed so that the agent registers anew');
    t.equal(model.endpoints.get('acme/web/a')?.interface, 'v1');

    const again = await agent('h1', {
      attachments: [{ endpoint: 'acme/web/a', interface: 'v1', generation: 1 }],
    });
    t.equal(again.closed, undefined);
    t.match(host('h1'), { state: 'up', attached: 1 });
  },
);

t.test('a lease does not run out while the controller itself stands still', async (t) => {
  const { agent, clock, host, names } = await startHub(t);
  const h1 = await agent('h1');
  await agent('h2');
  clock.stall(20_000);
  t.match([host('h1')?.state, host('h2')?.state], ['up', 'up'], 'what they have said may wait to be read');
  await h1.peer.call(AgentHeartbeat, { epoch: 1 });
  clock.advance(5_000);
  t.match([host('h1')?.state, host('h2')?.state], ['up', 'down']);
  t.strictSame(names(), ['host.up', 'host.up', 'host.down']);
});

t.test('an agent that loses its connection and comes back within its lease was never down', async (t) => {
  const { agent, clock, host, names } = await startHub(t);
  const first = await agent('h1');
  first.peer.close('cable');
  await until(() => host('h1')?.connected === false, 'loss');
  t.equal(host('h1')?.state, 'up');
  clock.advance(14_000);
  await agent('h1');
  clock.advance(14_000);
  t.match(host('h1'), { state: 'up', connected: true });
  t.strictSame(names(), ['host.up', 'host.disconnected', 'host.up']);
});

t.test('deregister ends the lease at once', async (t) => {
  const { agent, host, names } = await startHub(t);
  const h1 = await agent('h1');
  t.strictSame(await h1.peer.call(AgentDeregister, { epoch: 1 }), {});
  t.equal(host('h1')?.state, 'down');
  t.strictSame(names(), ['host.up', 'host.down']);
});

t.test('a second agent for a host', async (t) => {
  t.test('is refused while the first one lives', async (t) => {
    const { agent, events } = await startHub(t);
    const first = await agent('h1');
    const second = await agent();
    t.match(await failure(second.register('h1', { epoch: 2, datapathId: datapath(9) })), {
      code: 'host.taken',
      message: /host h1 has a live agent at 127\.0\.0\.1:\d+ \(epoch 1, datapath 0{15}1\)/,
      fix: /another host label/,
    });
    t.match(events.at(-1), { event: 'host.refused', host: 'h1', code: 'host.taken' });
    t.equal(await failure(first.peer.call(AgentHeartbeat, { epoch: 1 })), undefined);
  });

  t.test('takes over when the first is connected and does not answer', async (t) => {
    const { agent, clock, host } = await startHub(t);
    const first = await agent('h1', { deaf: true });
    const second = await agent();
    const registered = second.register('h1', { epoch: 2 });
    await until(() => first.peer.runningRequests === 1, 'ping');
    clock.advance(1_000);
    await registered;
    await until(() => first.closed !== undefined, 'close of the first');
    t.match(host('h1'), { state: 'up', epoch: 2 });
  });

  t.test('with an older epoch waits for the lease of a disconnected one', async (t) => {
    const { agent, clock, host } = await startHub(t);
    const first = await agent('h1', { epoch: 5 });
    first.peer.close('cable');
    await until(() => host('h1')?.connected === false, 'loss');
    const older = await agent();
    t.match(await failure(older.register('h1', { epoch: 4 })), {
      code: 'host.epoch',
      path: 'epoch',
      fix: /in 15000 ms/,
    });
    clock.advance(15_000);
    const late = await agent();
    await late.register('h1', { epoch: 4 });
    t.match(host('h1'), { state: 'up', epoch: 4 });
  });

  t.test('with a newer epoch takes over from a disconnected one', async (t) => {
    const { agent, host } = await startHub(t);
    const first = await agent('h1', { epoch: 5 });
    first.peer.close('crash');
    await until(() => host('h1')?.connected === false, 'loss');
    await agent('h1', { epoch: 6 });
    t.match(host('h1'), { state: 'up', epoch: 6 });
  });

  t.test('is the same one when epoch and datapath are: the half-open connection is closed', async (t) => {
    const { agent, host } = await startHub(t);
    const first = await agent('h1');
    await agent('h1');
    await until(() => first.closed !== undefined, 'close of the first');
    t.match(host('h1'), { state: 'up', connected: true });
  });

  t.test('two at once: one wins, the other hears why', async (t) => {
    const { agent } = await startHub(t);
    const [a, b] = [await agent(), await agent()];
    const results = await Promise.all([
      failure(a.register('h1', { epoch: 1 })),
      failure(b.register('h1', { epoch: 2, datapathId: datapath(7) })),
    ]);
    t.match(results, [undefined, { code: 'host.taken' }]);
  });
});

t.test('a datapath is robbed only from a host whose lease is out', async (t) => {
  const { agent, clock, model } = await startHub(t);
  model.hosts.set('gone', { name: 'gone', number: 9, datapathId: datapath(3) });
  const h1 = await agent('h1');
  const thief = await agent();
  const theft = { datapathId: datapath(1), vtepIp: '10.254.0.99' };
  t.match(await failure(thief.register('h2', theft)), { code: 'host.datapath.taken' });
  h1.peer.close('cable');
  clock.advance(9_999);
  const again = await agent();
  t.match(await failure(again.register('h2', theft)), { code: 'host.datapath.taken' }, 'lease still runs');
  clock.advance(5_001);
  const later = await agent('h2', theft);
  t.equal(later.closed, undefined);
  t.match(model.claims.at(-1), { host: 'h2', takeOver: true });
});

t.test(
  'after a start of the controller every host has a lease of time before it can be robbed',
  async (t) => {
    const { model, hub } = await startHub(t);
    model.hosts.set('old', { name: 'old', number: 9, datapathId: datapath(1) });
    await hub.stop(0);
    const fresh = await startHub(t, { model });
    t.match(fresh.host('old'), { state: 'unknown', connected: false });
    const early = await fresh.agent();
    t.match(await failure(early.register('h1')), { code: 'host.datapath.taken' });
    fresh.clock.advance(15_000);
    await fresh.agent('h1');
    t.match(model.claims.at(-1), { takeOver: true });
  },
);

t.test('a snapshot repairs what was missed, without asking its own agent back', async (t) => {
  const { agent, model, events } = await startHub(t);
  model.declare('acme/web/kept', { host: 'h1', interface: 'v1', generation: 1 });
  model.declare('acme/web/lost', { host: 'h1', interface: 'v2', generation: 2 });
  model.declare('acme/web/moved', { host: 'h2', interface: 'v3', generation: 3 });
  const attachments = [
    { endpoint: 'acme/web/kept', interface: 'v1', generation: 1 },
    { endpoint: 'acme/web/moved', interface: 'v3', generation: 2 },
    { endpoint: 'acme/web/deleted', interface: 'v4', generation: 1 },
  ];
  const h1 = await agent();
  const registered = await h1.register('h1', { attachments });
  t.strictSame(registered.stale, ['acme/web/moved', 'acme/web/deleted']);
  t.match(registered.held, [{ endpoint: 'acme/web/kept' }]);
  t.match(events, [{ removed: ['acme/web/lost'], stale: registered.stale, attachments: 3 }]);

  const snapshot = await h1.peer.call(AgentSnapshot, { epoch: 1, attachments: [] });
  t.strictSame(snapshot, { stale: [], held: [] });
  t.equal(model.endpoints.get('acme/web/kept')?.interface, undefined);
  t.strictSame(h1.detached, []);
});

t.test('endpoint.request, host.endpoints and detach', async (t) => {
  const { agent, model } = await startHub(t);
  const h1 = await agent('h1');
  const view = await h1.peer.call(EndpointRequest, { tenant: 'acme', network: 'web', endpoint: 'a' });
  t.match(view, { endpoint: 'acme/web/a', host: 'h1', mtuOverhead: 50 });
  const traits = { labels: { role: 'web' }, groups: ['db'], ports: { http: 80, dns: '53/udp' }, qos: 'gold' };
  await h1.peer.call(EndpointRequest, { tenant: 'acme', network: 'web', endpoint: 'a', ...traits });
  t.strictSame(model.requests.at(-1), { tenant: 'acme', network: 'web', name: 'a', host: 'h1', ...traits });
  t.match(await h1.peer.call(HostEndpoints, {}), { endpoints: [{ endpoint: 'acme/web/a' }] });
  model.change({ ...model.endpoints.get('acme/web/a')!, interface: 'v1', generation: 4 });
  const detach = (generation: number) => h1.peer.call(EndpointDetach, { endpoint: 'acme/web/a', generation });
  t.strictSame(await detach(3), { detached: false });
  t.strictSame(await detach(4), { detached: true });
  t.strictSame(h1.detached, [], 'the agent is not asked to do what it has just done');
});

t.test('attach answers only after the barrier of the home switch', async (t) => {
  const { agent, model, switches } = await startHub(t);
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  let answered = false;
  const call = h1.peer
    .call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' })
    .finally(() => (answered = true));
  await until(() => model.endpoints.get('acme/web/a')?.interface === 'v1', 'commit');
  t.equal(switches.settlements, 0, 'the switch is not connected');
  switches.set(datapath(1), 'reading');
  switches.set(datapath(1), 'ready');
  t.equal(switches.settlements, 0, 'the port is not there');
  let acknowledge: (answer: SwitchAnswer) => void = () => undefined;
  switches.answers.set(datapath(1), new Promise((resolve) => (acknowledge = resolve)));
  switches.addPort(datapath(1), 'v1');
  await until(() => switches.settlements === 1, 'settlement');
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(answered, false, 'no answer before the barrier');
  acknowledge({ ok: true, refused: [] });
  t.match(await call, {
    acknowledged: true,
    others: 'acknowledged',
    generation: 1,
    endpoint: { endpoint: 'acme/web/a', host: 'h1' },
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(h1.followed, []);
});

t.test('attach goes on when the switch is lost in between', async (t) => {
  const { agent, model, switches } = await startHub(t);
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  switches.answers.set(datapath(1), { ok: false, reason: 'disconnected', refused: [] });
  switches.settle = ((settle) => () => {
    if (switches.settlements === 0) switches.set(datapath(1), 'disconnected');
    return settle();
  })(switches.settle);
  const call = h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  await until(() => switches.settlements === 1, 'first try');
  switches.answers.set(datapath(1), { ok: true, refused: [] });
  switches.set(datapath(1), 'ready');
  t.match(await call, { acknowledged: true });
});

t.test('attach that cannot be done in time says what is missing; the attachment stands', async (t) => {
  const { agent, model, switches, clock } = await startHub(t);
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  const tryFor = async (endpoint: string, ms: number) => {
    const call = failure(
      h1.peer.call(EndpointAttach, { endpoint, interface: 'v1', deadlineMs: ms }, { deadlineMs: 0 }),
    );
    const before = h1.peer.counters.sent;
    await until(
      () => model.pending.has(endpoint) || model.endpoints.get(endpoint)?.interface === 'v1',
      'commit',
    );
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(ms);
    t.equal(h1.peer.counters.sent, before);
    return call;
  };
  t.match(await tryFor('acme/web/a', 500), {
    code: 'switch.disconnected',
    message: 'switch of host h1 (datapath 0000000000000001) is not connected; acme/web/a waits for it',
    fix: /set-controller.*the attachment stands/,
  });
  switches.set(datapath(1), 'reading');
  t.match(await tryFor('acme/web/a', 500), { code: 'switch.reading', fix: /longer deadlineMs/ });
  switches.set(datapath(1), 'ready');
  t.match(await tryFor('acme/web/a', 500), {
    code: 'port.unknown',
    path: 'interface',
    message: /has no port v1/,
    fix: /add interface v1 to the bridge/,
  });
  switches.addPort(datapath(1), 'v1');
  switches.answers.set(datapath(1), new Promise(() => undefined));
  t.match(await tryFor('acme/web/a', 500), {
    code: 'port.unknown',
    message: /did not acknowledge it in time/,
  });
  t.match(await tryFor('acme/web/later', 500), { code: 'endpoint.unknown', fix: /apply its intent/ });
  t.equal(model.endpoints.get('acme/web/a')?.interface, 'v1');
});

t.test('an endpoint that is attached before it is declared is answered when it arrives', async (t) => {
  const { agent, model, switches } = await startHub(t);
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  const h1 = await agent('h1');
  const call = h1.peer.call(EndpointAttach, { endpoint: 'acme/web/late', interface: 'v1' });
  await until(() => model.pending.size === 1, 'pending');
  model.declare('acme/web/other');
  model.declare('acme/web/late');
  t.match(await call, { acknowledged: true, generation: 1, endpoint: { endpoint: 'acme/web/late' } });
});

t.test('a request waits for an endpoint that has to be declared, as long as it says', async (t) => {
  const { agent, model, clock } = await startHub(t);
  const h1 = await agent('h1');
  const undeclared = new HubError('endpoint.undeclared', 'network acme/web takes only declared endpoints');
  const known = model.requestEndpoint;
  model.requestEndpoint = async (request) => {
    if (!model.endpoints.has(`acme/web/${request.name}`)) throw undeclared;
    return known(request);
  };
  const ask = (waitMs?: number) =>
    h1.peer.call(EndpointRequest, {
      tenant: 'acme',
      network: 'web',
      endpoint: 'pod',
      ...(waitMs === undefined ? {} : { waitMs }),
    });
  t.match(await failure(ask()), { code: 'endpoint.undeclared' }, 'at once, unless it says otherwise');
  const timers = clock.pending;
  const late = failure(ask(500));
  await until(() => clock.pending > timers, 'waiting');
  clock.advance(500);
  t.match(await late, { code: 'endpoint.undeclared', message: undeclared.message });
  const waiting = ask(60_000);
  await until(() => clock.pending > timers, 'waiting again');
  model.declare('acme/web/other');
  model.declare('acme/web/pod');
  t.match(await waiting, { endpoint: 'acme/web/pod' });
  t.equal(clock.pending, timers, 'nothing waits any more');
});

t.test('a refused entry is told with its owner and the error', async (t) => {
  const { agent, model, switches } = await startHub(t);
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  const entry = {
    entry: 'table=4,priority=7 actions=drop',
    owner: 'bridge.local',
    error: 'OFPBMC_BAD_FIELD',
  };
  switches.answers.set(datapath(1), { ok: false, reason: 'refused', refused: [entry, entry] });
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  t.match(await failure(h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' })), {
    code: 'endpoint.refused',
    message:
      /refused an entry of bridge\.local with OFPBMC_BAD_FIELD: table=4,priority=7 actions=drop and 1 more/,
  });
});

t.test('an entry refused while the switch was brought into line is told as well', async (t) => {
  const { agent, model, switches } = await startHub(t);
  switches.addPort(datapath(1), 'v1');
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  const refused = (number: number) => [
    {
      entry: 'table=4',
      owner: 'bridge.local of something',
      object: { kind: 'endpoint', number },
      error: 'OFPFMFC_TABLE_FULL',
    },
    {
      entry: 'table=5',
      owner: 'vxlan.tunnels',
      object: { kind: 'host', number: 12 - number },
      error: 'OFPFMFC',
    },
  ];
  const attach = async (number: number) => {
    switches.set(datapath(1), 'disconnected');
    const before = switches.settlements;
    const call = failure(h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' }));
    await until(
      () => h1.peer.counters.sent > 0 && model.endpoints.get('acme/web/a')?.interface === 'v1',
      'commit',
    );
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    t.equal(switches.settlements, before);
    switches.refused.set(datapath(1), refused(number));
    switches.set(datapath(1), 'ready');
    return call;
  };
  t.match(await attach(1), {
    code: 'endpoint.refused',
    message: /bridge\.local of something with OFPFMFC_TABLE_FULL/,
  });
  t.equal(await attach(11), undefined, "another endpoint's refusal is not this one's, nor is that of host 1");

  switches.refused.set(datapath(1), refused(1));
  const again = failure(h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' }));
  t.match(await again, { code: 'endpoint.refused' }, 'nor does it become true by asking once more');
  switches.refused.set(datapath(1), []);
  t.match(await h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' }), {
    acknowledged: true,
  });
});

t.test('an endpoint deleted or moved while its attach waits', async (t) => {
  const { agent, model, switches } = await startHub(t);
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  let acknowledge: (answer: SwitchAnswer) => void = () => undefined;
  switches.answers.set(datapath(1), new Promise((resolve) => (acknowledge = resolve)));
  const h1 = await agent('h1');
  model.declare('acme/web/a');
  const call = failure(h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' }));
  await until(() => switches.settlements === 1, 'settlement');
  model.delete('acme/web/a');
  acknowledge({ ok: true, refused: [] });
  t.match(await call, { code: 'endpoint.gone', fix: 'take its interface down' });
  await until(() => h1.detached.length === 1, 'agent.detach');
  t.strictSame(h1.detached, [{ endpoint: 'acme/web/a', reason: 'deleted' }]);
});

t.test('others follow: pending in the answer, endpoint.followed when all have answered', async (t) => {
  const { agent, model, switches } = await startHub(t);
  for (const n of [1, 2, 3, 4]) {
    switches.set(datapath(n), 'ready');
    await agent(`h${n}`);
  }
  const h5 = await agent('h5');
  switches.set(datapath(5), 'ready');
  switches.addPort(datapath(5), 'v1');
  for (const n of [1, 2, 3]) {
    model.declare(`acme/web/e${n}`, { host: `h${n}`, interface: 'v', generation: 1 });
  }
  model.declare('acme/other/e4', { host: 'h4', interface: 'v', generation: 1 });
  let second: (answer: SwitchAnswer) => void = () => undefined;
  switches.answers.set(datapath(2), new Promise((resolve) => (second = resolve)));
  switches.answers.set(datapath(3), { ok: false, reason: 'disconnected', refused: [] });
  model.declare('acme/web/a');
  const answer = await h5.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  t.match(answer, { acknowledged: true, others: 'pending' });
  t.strictSame(h5.followed, []);
  second({ ok: true, refused: [] });
  await until(() => h5.followed.length === 1, 'followed');
  t.strictSame(h5.followed, [
    {
      endpoint: 'acme/web/a',
      generation: answer.generation,
      hosts: ['h1', 'h2'],
      missing: [{ host: 'h3', reason: 'disconnected' }],
    },
  ]);
});

t.test('a switch that never answers is named as missing in the end', async (t) => {
  const { agent, model, switches, clock } = await startHub(t);
  await agent('h2');
  model.declare('acme/web/b', { host: 'h2', interface: 'v', generation: 1 });
  model.declare('acme/web/a');
  switches.answers.set(datapath(2), new Promise(() => undefined));
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  const h1 = await agent('h1');
  const answer = await h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  t.equal(answer.others, 'pending');
  clock.advance(10_000);
  await h1.peer.call(AgentHeartbeat, { epoch: 1 });
  clock.advance(10_000);
  await h1.peer.call(AgentHeartbeat, { epoch: 1 });
  clock.advance(10_000);
  await until(() => h1.followed.length === 1, 'followed');
  t.match(h1.followed, [{ hosts: [], missing: [{ host: 'h2', reason: 'timeout' }] }]);
});

t.test('a hub that has stopped leaves no timer behind', async (t) => {
  const { agent, hub, model, switches, clock } = await startHub(t);
  await agent('h2');
  model.declare('acme/web/b', { host: 'h2', interface: 'v', generation: 1 });
  model.declare('acme/web/a');
  switches.answers.set(datapath(2), new Promise(() => undefined));
  switches.set(datapath(1), 'ready');
  switches.addPort(datapath(1), 'v1');
  const h1 = await agent('h1');
  await h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  await agent();
  await hub.stop(0);
  t.equal(clock.pending, 0);
});

t.test(
  'endpoint.changed goes to hosts concerned and to followers that carry the network, to nobody else',
  async (t) => {
    const { agent, model, hub } = await startHub(t);
    const home = await agent('h1');
    const member = await agent('h2');
    const follower = await agent('h3', { follow: 'networks' });
    const stranger = await agent('h4', { follow: 'networks' });
    model.declare('acme/web/m2', { host: 'h2', interface: 'v', generation: 1 });
    model.declare('acme/web/m3', { host: 'h3', interface: 'v', generation: 1 });
    model.declare('acme/other/m4', { host: 'h4', interface: 'v', generation: 1 });
    await until(() => stranger.changes.length === 1, 'own changes');
    for (const { changes } of [home, member, follower, stranger]) changes.length = 0;
    const before = hub.notifications;

    model.declare('acme/web/a', { host: 'h1', interface: 'v1', generation: 1 });
    await until(() => home.changes.length === 1 && follower.changes.length === 1, 'news');
    t.match(home.changes, [{ endpoint: 'acme/web/a', view: { endpoint: 'acme/web/a', host: 'h1' } }]);
    t.equal(hub.notifications - before, 2);
    model.delete('acme/web/a');
    await until(() => home.changes.length === 2 && follower.changes.length === 2, 'news');
    t.strictSame(home.changes[1], { endpoint: 'acme/web/a' });
    t.strictSame([member.changes, stranger.changes], [[], []]);
  },
);

t.test('queues are told at registration, and when they change', async (t) => {
  const { agent, hub, switches } = await startHub(t);
  const queue = { queue: 5, guaranteedKilobitsPerSecond: 2000, marks: [46] };
  switches.queuesOf.set('h1', [queue]);
  const h1 = await agent('h1');
  const h2 = await agent('h2');
  t.match(await h1.register('h1'), { queues: [queue] });
  t.match(await h2.register('h2'), { queues: [] });
  switches.queuesOf.set('h1', []);
  hub.queuesChanged('h1');
  hub.queuesChanged('nobody');
  await until(() => h1.queues.length === 1, 'host.queues');
  t.strictSame([h1.queues, h2.queues], [[{ queues: [] }], []]);
});

t.test(
  'peers are told at registration and when they change; an agent tells what became of the tunnels',
  async (t) => {
    const told: [string, readonly TunnelState[]][] = [];
    const { agent, hub, switches } = await startHub(t, {
      onTunnels: (host, tunnels) => told.push([host, tunnels]),
    });
    const peer = { host: 'h2', vtepIp: '10.254.0.2' };
    switches.peersOf.set('h1', [peer]);
    const h1 = await agent();
    h1.peer.notify(TunnelStates, { tunnels: [{ host: 'h2', up: true }] }); // speaks for no host yet
    t.match(await h1.register('h1'), { peers: [peer] });
    switches.peersOf.set('h1', []);
    hub.peersChanged('h1');
    hub.peersChanged('nobody');
    await until(() => h1.peers.length === 1, 'host.peers');
    t.strictSame(h1.peers, [{ peers: [] }]);
    h1.peer.notify(TunnelStates, { tunnels: [{ host: 'h2', up: false }] });
    await until(() => told.length === 1, 'states');
    h1.peer.close('gone');
    await until(() => told.length === 2, 'nothing known any more');
    t.strictSame(told, [
      ['h1', [{ host: 'h2', up: false }]],
      ['h1', []],
    ]);
  },
);

t.test('an endpoint that moves is taken down where it was', async (t) => {
  const { agent, model, switches } = await startHub(t);
  const h1 = await agent('h1');
  const h2 = await agent('h2');
  for (const n of [1, 2]) {
    switches.set(datapath(n), 'ready');
    switches.addPort(datapath(n), 'v1');
  }
  model.declare('acme/web/a');
  await h1.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  const moved = await h2.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  t.equal(moved.generation, 2);
  await until(() => h1.detached.length === 1, 'agent.detach');
  t.strictSame(h1.detached, [{ endpoint: 'acme/web/a', reason: 'attached on host h2' }]);
  const late = await h1.peer.call(EndpointDetach, { endpoint: 'acme/web/a', generation: 1 });
  t.strictSame(late, { detached: false });
  t.equal(model.endpoints.get('acme/web/a')?.interface, 'v1');
});

t.test('an agent that never answers delays nobody and is reported', async (t) => {
  const { agent, model, switches, clock, events } = await startHub(t);
  const deaf = await agent('h1', { deaf: true });
  const h2 = await agent('h2');
  switches.set(datapath(2), 'ready');
  switches.addPort(datapath(2), 'v1');
  model.declare('acme/web/a', { host: 'h1', interface: 'v9', generation: 1 });
  await h2.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  await until(() => deaf.peer.runningRequests === 1, 'agent.detach arrives');
  clock.advance(5_000);
  await until(() => events.some(({ event }) => event === 'host.unresponsive'), 'report');
  t.match(events.at(-1), { event: 'host.unresponsive', host: 'h1', method: 'agent.detach' });
});

t.test('an agent that does not read delays nobody', async (t) => {
  const { model, agent, switches, address } = await startHub(t);
  const dead = connectSocket((address as { port: number }).port, '127.0.0.1');
  t.teardown(() => dead.destroy());
  dead.on('error', () => undefined);
  dead.write(
    `${JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'agent.register',
      params: {
        protocol: 1,
        hostLabel: 'h1',
        epoch: 1,
        datapathId: datapath(1),
        bridge: 'br-int',
        attachments: [],
        follow: 'networks',
      },
    })}\n`,
  );
  await until(() => model.claims.length === 1, 'registration');
  dead.pause();
  const h2 = await agent('h2');
  switches.set(datapath(2), 'ready');
  switches.addPort(datapath(2), 'v1');
  model.declare('acme/web/m', { host: 'h1', interface: 'v', generation: 1 });
  for (let i = 0; i < 5_000; i++) model.declare(`acme/web/x${i}`);
  model.declare('acme/web/a');
  // The hub's clock stands still: no deadline of anybody can be what lets the attach go on.
  const attached = await h2.peer.call(EndpointAttach, { endpoint: 'acme/web/a', interface: 'v1' });
  t.match(attached, { acknowledged: true });
});

t.test('a deleted host has to register again', async (t) => {
  const { agent, model, host } = await startHub(t);
  const h1 = await agent('h1');
  model.deleteHost('h1');
  await until(() => h1.closed !== undefined, 'close');
  t.equal(host('h1'), undefined, 'it is forgotten');
  await agent('h1');
  t.match(host('h1'), { state: 'up', connected: true });
});
