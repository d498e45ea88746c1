/** 2,000 endpoints in one broadcast domain, and a network of 600 hosts, on a real Open vSwitch with dummy ports. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { ChannelListener, Numbering } from '../../controller/channel/index.js';
import { DatapathController } from '../../controller/datapath/index.js';
import { PortFacts } from '../../controller/main/ports.js';
import { datapathId, setEndpoint, setHost, setNetwork } from '../apps/facts.js';
import { BROADCAST, udpFrame } from '../support/frames.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { waitFor } from '../support/wait-for.js';

const ENDPOINTS = 2000;
/** More than one group over chunks of them can flood to. */
const HOSTS = 600;
/** One for the wide network, one for who comes later. */
const PORTS = ENDPOINTS + 2;
const [WIDE, LATER] = [PORTS - 1, PORTS];
const BRIDGE = 'br-int';
const HOME = datapathId(1);

const ovs = await OpenVSwitch.start();
t.teardown(() => ovs.stop());
await ovs.addBridge(BRIDGE, HOME);
const ports = Array.from({ length: PORTS }, (_, index) => ['--', 'add-port', BRIDGE, `v${index + 1}`]);
await ovs.vsctl('--timeout=100', ...ports.flat().slice(1));

const numbering = new Numbering();
const listener = new ChannelListener({ host: '127.0.0.1', port: 0, numbering });
t.teardown(() => listener.close());
const datapaths = new DatapathController({ pipeline, apps, numbering, auditIntervalMs: 0 });
t.teardown(() => datapaths.close());
const failures: unknown[] = [];
datapaths.onEvent((event) => {
  if (['refused', 'trouble', 'conflict', 'failure'].includes(event.kind)) failures.push(event);
});
const { facts } = datapaths;
const portFacts = new PortFacts(facts, () => datapaths.settle());
listener.onUp((session) => {
  portFacts.up(session);
  datapaths.addSession(session);
});
listener.onDown((session) => datapaths.removeSession(session));

/** An endpoint behind port `v<number>`. */
function attach(number: number): void {
  setEndpoint(facts, 'acme/web', number, { host: 1, interface: `v${number}` });
}

t.test('2,000 endpoints are installed', async (t) => {
  setNetwork(facts, 'acme/web', 1, 'vxlan');
  setHost(facts, 1);
  for (let number = 1; number <= ENDPOINTS; number++) attach(number);
  // With one endpoint here. Its flood groups are chained.
  setNetwork(facts, 'acme/wide', 2, 'vxlan');
  for (let host = 1; host <= HOSTS; host++) {
    if (host > 1) setHost(facts, host);
    const number = 10_000 + host;
    setEndpoint(facts, 'acme/wide', number, { host, interface: host === 1 ? `v${WIDE}` : 'v1' });
  }
  datapaths.settle();
  const { port } = await listener.listen();
  await ovs.setController(BRIDGE, port);
  await datapaths.waitForSync(HOME, { signal: AbortSignal.timeout(90_000) });
  t.strictSame(failures, []);
  const status = datapaths.statusOf(HOME);
  t.equal(status?.state, 'in-sync');
  const flows = await ovs.ofctl(['dump-aggregate'], BRIDGE);
  const groups = (await ovs.ofctl(['dump-groups'], BRIDGE)).match(/group_id=/g)?.length ?? 0;
  const meters = (await ovs.ofctl(['dump-meters'], BRIDGE)).match(/meter=/g)?.length ?? 0;
  t.equal(
    Number(/flow_count=(\d+)/.exec(flows)?.[1]) + groups + meters,
    status?.entries,
    'the switch holds every one',
  );
});

/** Packets that have left by each port of an endpoint. */
async function sent(): Promise<Map<number, number>> {
  const text = await ovs.ofctl(['--names', 'dump-ports'], BRIDGE);
  const counts = new Map<number, number>();
  for (const [, name, packets] of text.matchAll(/port +(\S+): rx .*\n +tx pkts=(\d+)/g)) {
    const number = /^"?v(\d+)"?$/.exec(name ?? '')?.[1];
    if (number !== undefined) counts.set(Number(number), Number(packets));
  }
  return counts;
}

/** Sends a broadcast from an endpoint, and returns the ports that got it once it has reached so many, with the number of copies. */
async function flood(from: number, receivers: number): Promise<Map<number, number>> {
  const before = await sent();
  const frame = udpFrame(
    { source: 0x02020a000000 + from, destination: BROADCAST },
    { sourceIp: 0x0a000000 + from, destinationIp: 0xffffffff, text: 'to all' },
  );
  await ovs.appctl('netdev-dummy/receive', `v${from}`, Buffer.from(frame).toString('hex'));
  return waitFor(`${receivers} copies`, async () => {
    const copies = new Map<number, number>();
    for (const [port, count] of await sent()) {
      const more = count - (before.get(port) ?? 0);
      if (more > 0) copies.set(port, more);
    }
    return copies.size >= receivers && copies;
  });
}

t.test('a broadcast reaches each of them once', async (t) => {
  const copies = await flood(77, ENDPOINTS - 1);
  t.equal(copies.size, ENDPOINTS - 1);
  t.notOk(copies.has(77), 'not the one that sent it');
  t.notOk(copies.has(WIDE), 'nor an endpoint of another network');
  t.strictSame([...new Set(copies.values())], [1], 'and nobody twice');
});

t.test('one more endpoint costs what it costs in a small network', async (t) => {
  const { entriesSent } = datapaths.counters;
  const begin = performance.now();
  attach(LATER);
  const turn = datapaths.settle();
  t.match(await turn.acknowledged(HOME), { ok: true });
  t.comment(`acknowledged after ${Math.round(performance.now() - begin)} ms`);
  t.equal(datapaths.counters.entriesSent - entriesSent, 22);
  const copies = await flood(77, ENDPOINTS);
  t.equal(copies.size, ENDPOINTS);
  t.ok(copies.has(LATER));
  t.strictSame(failures, []);
});
