/** Group membership in the fabric: what stations and routers at edge ports say, and what they are asked. */
import t, { type Test } from 'tap';
import { multicastText } from '../../cli/commands/multicast.js';
import { createLog } from '../../controller/log.js';
import { Engine, type Input } from '../../controller/derive/index.js';
import type {
  FabricMulticastFact,
  FabricPortFact,
  FabricReceiverFact,
  FabricRouterFact,
  FloodPortFact,
  HostFact,
  LinkFact,
  MulticastGroup,
  SnoopedVlanFact,
  StationFact,
} from '../../controller/model/facts.js';
import {
  FabricMembership,
  type FabricMembershipOptions,
} from '../../controller/multicast/fabric/membership.js';
import { buildIgmpQuery } from '../../controller/multicast/igmp.js';
import type { GroupRecord } from '../../controller/multicast/messages.js';
import { parseMembership } from '../../controller/multicast/parse.js';
import { QUERIER_MAC } from '../../controller/multicast/querier.js';
import { type Action, parseIpv6 } from '../../ofproto/index.js';
import { oldReport, report } from './reports.js';

const GROUP: MulticastGroup = { family: 4, address: 0xef010101 };
const GROUP6: MulticastGroup = { family: 6, address: parseIpv6('ff05::1') };
const NOTHING = { groups: [], routers: [], queriers: [], silent: [], problems: [], floods: [] };
const dpid = (number: number): string => number.toString(16).padStart(16, '0');
const macOf = (station: number): number => 0x02_00_00_00_00_00 + station;
const KNOWN_MS = 6_000;

/** A query that was sent: `<switch>/<port> <VLAN> <protocol> <group, or "all">`. */
interface Sent {
  readonly to: string;
  readonly vlan: number;
  readonly message: string;
  readonly frame: Uint8Array;
}

class World {
  now = 1_000;
  readonly away = new Set<string>();
  readonly sent: Sent[] = [];
  scheduled = 0;
  readonly #engine = new Engine();
  readonly #inputs = {
    stations: this.#input<StationFact>('stations'),
    fabricPorts: this.#input<FabricPortFact>('fabric ports'),
    hosts: this.#input<HostFact>('hosts'),
    links: this.#input<LinkFact>('links'),
    floodPorts: this.#input<FloodPortFact>('flood ports'),
    fabricMulticast: this.#input<FabricMulticastFact>('fabric multicast'),
    snoopedVlans: this.#input<SnoopedVlanFact>('snooped VLANs'),
    fabricReceivers: this.#input<FabricReceiverFact>('fabric receivers'),
    fabricRouters: this.#input<FabricRouterFact>('fabric routers'),
  };
  readonly membership: FabricMembership;

  constructor(t: Test, options: Partial<FabricMembershipOptions> = {}) {
    this.membership = new FabricMembership({
      facts: this.#inputs,
      querier: true,
      unregistered: 'flood',
      isConnected: (datapathId) => !this.away.has(datapathId),
      send: (datapathId, frame, actions) => this.#took(datapathId, frame, actions),
      schedule: () => {
        this.scheduled++;
      },
      logger: createLog({ level: 'silent' }).component('fabric'),
      now: () => this.now,
      ...options,
    });
    t.teardown(() => this.membership.close());
  }

  /** As of now: what has been written is settled. */
  get facts() {
    this.settle();
    return this.#inputs;
  }

  settle(): void {
    this.#engine.settle();
  }

  #input<V>(name: string): Input<V> {
    return this.#engine.input<V>(name);
  }

  #took(datapathId: string, frame: Uint8Array, actions: readonly Action[]): void {
    let vlan = 0;
    for (const action of actions) {
      if (action.type === 'set_field') vlan = Number(action.oxm.value) & 0xfff;
      if (action.type !== 'output') continue;
      const parsed = parseMembership(frame);
      const group = 'group' in parsed && parsed.group !== undefined ? 'group' : 'all';
      const message = parsed.kind === 'query' ? `${parsed.family} ${group}` : parsed.kind;
      this.sent.push({ to: `${Number(`0x${datapathId}`)}/${action.port}`, vlan, message, frame });
    }
  }

  /** What was sent since the last time, sorted. */
  take(): string[] {
    return this.sent
      .splice(0)
      .map(({ to, vlan, message }) => `${to} ${vlan} ${message}`)
      .sort();
  }

  /** Lets time pass, as the timer of the process would. */
  pass(milliseconds: number): void {
    for (const end = this.now + milliseconds; this.now < end; ) {
      this.now = Math.min(end, this.now + 100);
      this.membership.tick();
    }
  }

  port(number: number, port: number, role: FabricPortFact['role'] | undefined): void {
    const datapathId = dpid(number);
    const { fabricPorts } = this.membership.facts;
    if (role === undefined) fabricPorts.delete(`${datapathId}/${port}`);
    else fabricPorts.set(`${datapathId}/${port}`, { datapathId, port, role, up: true });
  }

  station(station: number, at: readonly [number, number] | undefined, vlan = 0): void {
    const key = `${vlan}/${macOf(station).toString(16).padStart(12, '0')}`;
    const { stations } = this.membership.facts;
    if (at === undefined) stations.delete(key);
    else
      stations.set(key, { vlan, mac: macOf(station), number: station, datapathId: dpid(at[0]), port: at[1] });
  }

  /** A frame comes in at a port. */
  says(at: readonly [number, number], frame: Uint8Array, vlan = 0): void {
    this.membership.packetIn(dpid(at[0]), at[1], vlan, frame);
  }

  joins(station: number, at: readonly [number, number], group = GROUP, vlan = 0): void {
    this.says(at, v3(station, group, 'to-exclude'), vlan);
  }

  /** `<VLAN>/<group> <switch>/<port>` */
  receivers(): string[] {
    return [...this.facts.fabricReceivers.entries()]
      .map(
        ([key, { datapathId, port }]) =>
          `${key.slice(0, key.lastIndexOf('/'))} ${Number(`0x${datapathId}`)}/${port}`,
      )
      .sort();
  }

  known(): string[] {
    return [...this.facts.snoopedVlans.entries()].map(([key]) => key);
  }
}

function v3(station: number, group: MulticastGroup, type: GroupRecord['type']): Uint8Array {
  const from = { mac: macOf(station), ipv4: 0x0a000000 + station, ipv6: parseIpv6(`fe80::${station}`) };
  return report(from, group.family, [{ type, group, sources: [] }]);
}

function v2(station: number, group: MulticastGroup, leave = false): Uint8Array {
  const from = { mac: macOf(station), ipv4: 0x0a000000 + station, ipv6: parseIpv6(`fe80::${station}`) };
  return oldReport(from, group, 2, leave);
}

/** Two switches with two edge ports each, and a station at each. */
function world(t: Test, options: Partial<FabricMembershipOptions> = {}): World {
  const made = new World(t, options);
  for (const number of [1, 2]) for (const port of [1, 2]) made.port(number, port, 'edge');
  made.station(1, [1, 1]);
  made.station(2, [2, 1]);
  return made;
}

const query = (mac: number, source: number, group?: number): Uint8Array => {
  const frame = buildIgmpQuery(
    { sourceMac: mac, maxResponseMs: 1_000, robustness: 2, intervalMs: 60_000 },
    group,
  );
  // Of a router: our own queries come from nobody.
  const view = new DataView(frame.buffer);
  view.setUint32(14 + 12, source);
  let sum = 0;
  const length = (view.getUint8(14) & 0xf) * 4;
  view.setUint16(14 + 10, 0);
  for (let at = 0; at < length; at += 2) sum += view.getUint16(14 + at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(14 + 10, ~sum & 0xffff);
  return frame;
};

t.test('a VLAN is asked, and known when everybody has had time to answer', async (t) => {
  const w = world(t);
  t.same(w.facts.fabricMulticast.get('fabric'), { unregistered: 'flood' });
  w.pass(1_000);
  const everywhere = ['1/1', '1/2', '2/1', '2/2'].flatMap((to) => [`${to} 0 4 all`, `${to} 0 6 all`]);
  const all = w.take();
  t.ok(
    everywhere.every((each) => all.includes(each)),
    all.join(', '),
  );
  t.same(w.known(), []);
  w.joins(1, [1, 1]);
  t.same(w.receivers(), ['0/239.1.1.1 1/1']);
  w.pass(3_000);
  t.same(w.known(), [], 'asked twice, and the second time has not passed');
  w.pass(KNOWN_MS - 4_000);
  t.same(w.known(), ['0']);
  w.take();

  w.station(3, [2, 2], 7);
  w.pass(1_000);
  t.same(
    w.take(),
    everywhere.map((each) => each.replace(' 0 ', ' 7 ')),
    'a VLAN that is new, on its own',
  );
  w.station(3, undefined, 7);
  w.pass(KNOWN_MS);
  t.same(w.known(), ['0'], 'it has gone');
});

t.test('a start waits for switches that are away, not for ever', async (t) => {
  const w = world(t);
  w.away.add(dpid(2));
  w.pass(KNOWN_MS + 4_000);
  t.same(w.known(), []);
  w.away.clear();
  w.membership.switchUp(dpid(2));
  w.take();
  w.pass(1_000);
  t.ok(w.take().includes('2/1 0 4 all'), 'it is asked when it comes');
  t.same(w.known(), []);
  w.pass(KNOWN_MS);
  t.same(w.known(), ['0']);

  const dead = world(t);
  dead.away.add(dpid(2));
  dead.pass(30_000);
  t.same(dead.known(), ['0'], 'a switch that stays away holds nobody up');
});

t.test('joins and leaves, by version; ports and stations that go', async (t) => {
  const w = world(t);
  w.pass(KNOWN_MS);
  w.joins(1, [1, 1]);
  w.joins(2, [2, 1], GROUP6);
  t.same(w.receivers(), ['0/239.1.1.1 1/1', '0/ff05::1 2/1']);
  t.equal(w.scheduled, 3);
  w.says([1, 1], v3(1, GROUP, 'to-include'));
  w.says([2, 1], v3(2, GROUP6, 'to-include'));
  t.same(w.receivers(), [], 'nobody is held back by reports of these versions: at once');

  w.take();
  w.says([1, 1], v2(1, GROUP));
  w.station(4, [1, 1]);
  w.says([1, 1], v2(1, GROUP, true));
  t.same(w.receivers(), ['0/239.1.1.1 1/1'], 'somebody else at the port may have kept silent');
  w.pass(100);
  t.same(w.take(), ['1/1 0 4 group'], 'and is asked, nobody else is');
  w.says([1, 1], v2(4, GROUP));
  w.pass(3_000);
  t.same(w.receivers(), ['0/239.1.1.1 1/1']);
  t.same(
    w.membership.state().groups[0]?.receivers.map(({ mac }) => mac),
    ['02:00:00:00:00:04'],
  );
  w.says([1, 1], v2(4, GROUP, true));
  w.pass(3_000);
  t.same(w.receivers(), []);

  w.says([1, 2], v3(1, GROUP, 'to-exclude'));
  t.same(w.receivers(), [], 'a station is where its facts say');
  w.joins(1, [1, 1]);
  w.joins(4, [1, 1]);
  w.station(1, undefined);
  t.same(w.receivers(), ['0/239.1.1.1 1/1'], 'aged');
  w.station(4, undefined);
  t.same(w.receivers(), []);
  w.joins(2, [2, 1]);
  w.pass(200_000);
  t.same(w.receivers(), ['0/239.1.1.1 2/1']);
  w.pass(70_000);
  t.same(w.receivers(), [], 'it has not been heard again');
});

t.test('a station that moves takes along what it has joined, and is asked where it is', async (t) => {
  const w = world(t);
  w.pass(KNOWN_MS);
  w.joins(2, [2, 1]);
  w.take();
  w.station(2, [1, 2]);
  t.same(w.receivers(), ['0/239.1.1.1 1/2'], 'no gap');
  w.pass(1_000);
  t.same(w.take(), ['1/2 0 4 all', '1/2 0 6 all']);
  w.pass(KNOWN_MS);
  t.same(w.receivers(), [], 'it does not want it any more');
  w.station(2, [2, 1]);
  w.joins(2, [2, 1]);
  w.station(2, [1, 2]);
  w.pass(1_000);
  w.says([1, 2], v3(2, GROUP, 'is-exclude'));
  w.pass(KNOWN_MS);
  t.same(w.receivers(), ['0/239.1.1.1 1/2']);
});

t.test('routers: who asks is left to ask, and gets reports; its queries reach receivers', async (t) => {
  const w = world(t);
  w.pass(KNOWN_MS);
  w.station(9, [2, 2]);
  w.joins(1, [1, 1]);
  w.take();
  w.says([2, 2], query(macOf(9), 0x0a000009));
  t.same(
    [...w.facts.fabricRouters.entries()].map(([key]) => key),
    [`0/${dpid(2)}/2`],
  );
  t.match(w.membership.state().routers, [{ vlan: 0, port: 2, address: '10.0.0.9', learnedBy: 'query' }]);
  t.match(w.membership.state().queriers, [{ querier: 'other', address: '10.0.0.9' }, { querier: 'weft' }]);
  w.joins(2, [2, 1]);
  t.same(w.take(), ['2/2 0 report'], 'to the router, not back, and to nobody else');
  w.says([2, 2], query(macOf(9), 0x0a000009, GROUP.address as number));
  t.same(w.take(), ['1/1 0 4 group', '2/1 0 4 group'], 'to whom it asks');
  w.says([1, 1], v3(1, GROUP, 'is-exclude'));
  w.pass(3_000);
  t.same(w.receivers(), ['0/239.1.1.1 1/1'], 'the other one has not answered');
  w.take();
  w.pass(60_000);
  t.notOk(
    w.take().some((each) => each.includes(' 4 ')),
    'it is not asked in its place, only by MLD',
  );
  w.says([2, 2], query(QUERIER_MAC, 0x0a000001));
  t.equal(w.membership.state().queriers[0]?.address, '10.0.0.9', 'our own query, come back');
  w.pass(80_000);
  t.equal(w.facts.fabricRouters.size, 0, 'it has gone');
  t.ok(w.take().includes('1/1 0 4 all'), 'stations are asked again');

  w.says([2, 2], query(macOf(9), 0x0a000009));
  w.port(2, 2, 'link');
  t.equal(w.facts.fabricRouters.size, 0, 'the port leads to a switch');
});

t.test('where nobody is to ask, a VLAN is known when somebody else must have', async (t) => {
  const w = world(t, { querier: false });
  w.pass(130_000);
  t.same([w.take(), w.known()], [[], []]);
  w.pass(20_000);
  t.same(w.known(), ['0']);
  t.match(w.membership.state().queriers, [{ querier: 'none' }, { querier: 'none' }]);
});

t.test('what is told: the links that carry a group', async (t) => {
  const w = world(t);
  for (const number of [1, 2, 3])
    w.facts.hosts.set(dpid(number), { name: dpid(number), number, datapathId: dpid(number) });
  for (const [a, b] of [
    [1, 2],
    [2, 3],
  ] as const) {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const fact = { datapathId: dpid(from), port: 10 + to, toDatapathId: dpid(to), toPort: 10 + from };
      w.facts.links.set(`${dpid(from)}/${10 + to}`, fact);
      w.facts.floodPorts.set(`0/${dpid(from)}/${10 + to}`, {
        treeClass: 0,
        datapathId: dpid(from),
        port: 10 + to,
      });
    }
  }
  w.settle();
  w.joins(1, [1, 1]);
  const hops = (): string[] =>
    w.membership
      .state()
      .groups.flatMap(({ tree }) =>
        tree.map(({ from, to }) => `${Number(from.datapathId)}>${Number(to.datapathId)}`),
      );
  t.same(hops(), ['2>1', '3>2']);
  w.joins(2, [2, 1]);
  t.same(hops(), ['1>2', '2>1', '3>2']);
  w.says([2, 1], query(macOf(2), 0x0a000002));
  const text = multicastText({ ...NOTHING, fabric: w.membership.state() });
  for (const line of [
    /untagged +239\.1\.1\.1 +02:00:00:00:00:01 +0{15}1 +1 +IGMPv3 +260s/,
    /0{15}1\/12 <-> 0{15}2\/11/,
    /0{15}3\/12 --> 0{15}2\/13/,
    /untagged +0{15}2 +1 +10\.0\.0\.2 +query/,
    /untagged +asked +10\.0\.0\.2 +weft/,
  ]) {
    t.match(text, line);
  }
});

t.test('much at once costs a bounded number of packets', async (t) => {
  const w = world(t);
  w.pass(KNOWN_MS);
  w.take();
  for (let vlan = 1; vlan <= 4_000; vlan++) w.station(100, [1, 1], vlan);
  w.pass(1_000);
  const queries = w.take().length;
  t.ok(queries > 4_000 && queries < 20_000, `${queries} queries out of ports in the first second`);
  w.pass(60_000);
  t.equal(w.known().length, 4_001, 'they wait, and have their turn');
});
