import t from 'tap';
import type { PortStatus } from '../../ofproto/index.js';
import { PortConfig, type PortDescription, PortReason, PortState } from '../../ofproto/index.js';
import type { SwitchSession } from '../../controller/channel/index.js';
import { Engine } from '../../controller/derive/index.js';
import type { SwitchAnswer } from '../../controller/hub/index.js';
import type { FactInputs } from '../../controller/datapath/index.js';
import { writeFacts } from '../../controller/main/model-facts.js';
import { PortFacts } from '../../controller/main/ports.js';
import { Settler, type Turn } from '../../controller/main/settler.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const ok: SwitchAnswer = { ok: true, refused: [] };
const refusal = { entry: 'table=0 actions=drop', owner: 'bridge.local', error: 'OFPFMFC_TABLE_FULL' };
const refused: SwitchAnswer = { ok: false, reason: 'refused', refused: [refusal] };

/** A turn whose switches answer when the test says so. */
function pendingTurn(...datapaths: string[]) {
  const answers = new Map<string, (answer: SwitchAnswer) => void>();
  const promises = new Map(
    datapaths.map((id) => [id, new Promise<SwitchAnswer>((resolve) => answers.set(id, resolve))] as const),
  );
  const made: Turn = { datapaths, acknowledged: (id) => promises.get(id) ?? Promise.resolve(ok) };
  return { turn: made, answer: (id: string, answer: SwitchAnswer) => answers.get(id)?.(answer) };
}

function inputs(): { facts: FactInputs; engine: Engine } {
  const engine = new Engine();
  const facts: FactInputs = {
    tenants: engine.input('tenants'),
    networks: engine.input('networks'),
    endpoints: engine.input('endpoints'),
    hosts: engine.input('hosts'),
    ports: engine.input('ports'),
    groups: engine.input('groups'),
    addressSets: engine.input('address sets'),
    policies: engine.input('policies'),
    rules: engine.input('rules'),
    qosProfiles: engine.input('QoS profiles'),
    multicastReceivers: engine.input('multicast receivers'),
    multicastRouters: engine.input('multicast routers'),
    distributions: engine.input('distributions'),
    fabricPorts: engine.input('fabric ports'),
    links: engine.input('links'),
    stations: engine.input('stations'),
    floodPorts: engine.input('flood ports'),
    awaySwitches: engine.input('away switches'),
    fabricMulticast: engine.input('fabric multicast'),
    snoopedVlans: engine.input('snooped VLANs'),
    fabricReceivers: engine.input('fabric receivers'),
    fabricRouters: engine.input('fabric routers'),
  };
  return { facts, engine };
}

t.test('changes that arrive together are settled together, at the end of the turn', async (t) => {
  let settlements = 0;
  const empty: Turn = { datapaths: [], acknowledged: async () => ok };
  const settler = new Settler(
    () => {
      settlements += 1;
      return empty;
    },
    () => t.fail('no failure'),
  );
  settler.schedule();
  settler.schedule();
  const asked = settler.settle();
  await Promise.resolve();
  t.equal(settlements, 0);
  t.equal(await asked, empty);
  t.equal(settlements, 1);
  settler.schedule();
  await turn();
  t.equal(settlements, 2);
});

t.test('while a change in two steps takes in no more, facts wait for its end', async (t) => {
  let settlements = 0;
  let [full, open]: [Promise<void> | undefined, () => void] = [undefined, () => {}];
  full = new Promise((resolve) => {
    open = resolve;
  });
  const settler = new Settler(
    () => {
      settlements += 1;
      return { datapaths: [], acknowledged: async () => ok };
    },
    () => t.fail('no failure'),
    () => full,
  );
  settler.schedule();
  const asked = settler.settle();
  await turn();
  t.equal(settlements, 0);
  full = undefined;
  open();
  await asked;
  t.equal(settlements, 1, 'in one turn');
});

t.test('a derivation that breaks is reported, fails who asked, and the next turn is tried', async (t) => {
  const failures: unknown[] = [];
  let broken = true;
  const settler = new Settler(
    () => {
      if (broken) throw new Error('bug');
      return { datapaths: [], acknowledged: async () => ok };
    },
    (error) => failures.push(error),
  );
  settler.schedule();
  await t.rejects(settler.settle(), { message: 'bug' });
  t.equal(failures.length, 1);
  broken = false;
  t.ok(await settler.settle());
});

t.test('acknowledged waits for this turn and for those still open, per switch', async (t) => {
  const first = pendingTurn('1', '2');
  const second = pendingTurn('2', '3');
  const turns = [first.turn, second.turn];
  const settler = new Settler(
    () => turns.shift() ?? { datapaths: [], acknowledged: async () => ok },
    () => t.fail('no failure'),
  );
  await settler.settle();
  const answers = settler.acknowledged(new AbortController().signal);
  await turn();
  second.answer('2', ok);
  second.answer('3', { ok: false, reason: 'disconnected', refused: [] });
  first.answer('1', ok);
  first.answer('2', refused);
  t.strictSame(Object.fromEntries(await answers), {
    1: ok,
    2: { ok: false, reason: 'refused', refused: [refusal] },
    3: { ok: false, reason: 'disconnected', refused: [] },
  });
  await turn();
  t.strictSame(Object.fromEntries(await settler.acknowledged(new AbortController().signal)), {});
});

t.test('a switch that does not answer is told as such when the signal aborts', async (t) => {
  const silent = pendingTurn('1', '2');
  const settler = new Settler(
    () => silent.turn,
    () => t.fail('no failure'),
  );
  const abort = new AbortController();
  const answers = settler.acknowledged(abort.signal);
  await turn();
  silent.answer('1', ok);
  await turn();
  abort.abort();
  t.strictSame(Object.fromEntries(await answers), {
    1: ok,
    2: { ok: false, reason: 'timeout', refused: [] },
  });
  const idle = settler.idle(new AbortController().signal);
  silent.answer('2', ok);
  await idle;
});

function port(name: string, portNo: number, more: Partial<PortDescription> = {}): PortDescription {
  return {
    portNo,
    name,
    hardwareAddress: portNo,
    config: 0,
    state: 0,
    current: 0,
    advertised: 0,
    supported: 0,
    peer: 0,
    currentSpeed: 0,
    maxSpeed: 0,
    ...more,
  };
}

function session(...ports: PortDescription[]): SwitchSession {
  const described = new Map(ports.map((one) => [one.portNo, one]));
  return { datapathId: 'd1', ports: described } as unknown as SwitchSession;
}

const status = (reason: number, described: PortDescription): PortStatus => ({
  type: 'port_status',
  xid: 0,
  reason,
  port: described,
});

t.test('port facts follow the switch', async (t) => {
  const { facts, engine } = inputs();
  let changes = 0;
  const ports = new PortFacts(facts, () => (changes += 1));
  const at = (name: string) => {
    engine.settle();
    return facts.ports.get(`d1/${name}`);
  };

  const one = session(port('a', 1), port('b', 2, { state: PortState.LINK_DOWN }));
  ports.up(one);
  t.strictSame(at('a'), { datapathId: 'd1', name: 'a', number: 1, up: true });
  t.equal(at('b')?.up, false);
  t.equal(changes, 1);

  ports.changed(one, status(PortReason.MODIFY, port('a', 1, { config: PortConfig.PORT_DOWN })));
  t.equal(at('a')?.up, false);
  ports.changed(one, status(PortReason.ADD, port('c', 3)));
  t.equal(at('c')?.number, 3);
  ports.changed(one, status(PortReason.DELETE, port('c', 3)));
  t.equal(at('c'), undefined);

  ports.changed(one, status(PortReason.ADD, port('a', 9)));
  ports.changed(one, status(PortReason.DELETE, port('a', 1)));
  t.equal(at('a')?.number, 9, 'a late deletion of the old number leaves the new one');

  ports.up(session(port('a', 4)));
  t.equal(at('a')?.number, 4, 'a restarted switch has renumbered its ports');
  t.equal(at('b'), undefined);

  const before = changes;
  ports.forget('d1');
  ports.forget('d1');
  t.equal(at('a'), undefined);
  t.equal(changes, before + 1);
});

t.test('who waits for a port is woken by it, or gives up', async (t) => {
  const { facts } = inputs();
  const ports = new PortFacts(facts, () => undefined);
  const abort = new AbortController();
  const never = ports.wait('d1', 'x', abort.signal);
  const waiting = ports.wait('d1', 'a', new AbortController().signal);
  ports.up(session(port('a', 1)));
  await waiting;
  await ports.wait('d1', 'a', AbortSignal.abort());
  abort.abort(new Error('too late'));
  await t.rejects(never, { message: 'too late' });
});

t.test('model facts are written into the inputs of their kind, and taken out', (t) => {
  const { facts, engine } = inputs();
  const tenant = { name: 'acme', number: 1 };
  const host = { name: 'h1', number: 1 };
  writeFacts(facts, [
    { kind: 'tenant', key: 'acme', value: tenant },
    { kind: 'host', key: 'h1', value: host },
  ]);
  engine.settle();
  t.strictSame([facts.tenants.get('acme'), facts.hosts.get('h1')], [tenant, host]);
  writeFacts(facts, [{ kind: 'tenant', key: 'acme' }]);
  engine.settle();
  t.equal(facts.tenants.get('acme'), undefined);
  t.end();
});
