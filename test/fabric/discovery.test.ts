/** Discovery: links and roles of ports are a function of the wires, whatever order things happen in. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { dpid, end, frameFrom, SimulatedFabric, type Wire } from './simulated-fabric.js';

const both = (a: string, b: string) => [`${a} -> ${b}`, `${b} -> ${a}`];

t.test('a ring of four, with stations: links in both directions, edge ports after two probes', async (t) => {
  const fabric = new SimulatedFabric();
  for (let at = 1; at <= 4; at++) fabric.wire('cable', end(at, 1), end((at % 4) + 1, 2));
  for (let at = 1; at <= 4; at++) fabric.connect(at, 3);
  await fabric.clock.advance(290);
  t.same(
    [...fabric.facts.fabricPorts.entries()].filter(([, { role }]) => role !== 'link'),
    [],
    'nothing but links is open before probes had time to be answered',
  );
  t.equal(fabric.facts.links.size, 8, 'links are known at once');
  await fabric.clock.advance(60);
  t.same(fabric.links(), [1, 2, 3, 4].flatMap((at) => both(end(at, 1), end((at % 4) + 1, 2))).sort());
  t.match(fabric.roles(), { [end(1, 3)]: 'edge', [end(4, 3)]: 'edge' });
  t.equal(Object.keys(fabric.roles()).length, 12);
});

t.test(
  'a port that is down has no role, and neither has its neighbour until it is probed again',
  async (t) => {
    const fabric = new SimulatedFabric();
    const cable = fabric.wire('cable', end(1, 1), end(2, 1));
    const first = fabric.connect(1, 1);
    fabric.connect(2, 1);
    await fabric.clock.advance(500);
    t.same(fabric.links(), both(end(1, 1), end(2, 1)));
    first.setPort(1, false);
    t.same([fabric.links(), fabric.roles()], [[], {}], 'at once');
    await fabric.clock.advance(400);
    t.same(fabric.roles(), { [end(2, 1)]: 'edge' });
    first.setPort(1, true);
    await fabric.clock.advance(50);
    t.same(fabric.links(), both(end(1, 1), end(2, 1)), 'and at once again');
    fabric.unplug(cable);
    await fabric.clock.advance(2_500);
    t.equal(fabric.links().length, 2, 'two missed probes are none');
    await fabric.clock.advance(2_500);
    t.same([fabric.links(), fabric.roles()], [[], {}], 'three are: the port stays closed');
    await fabric.clock.advance(12_000);
    t.same(fabric.roles(), { [end(1, 1)]: 'edge', [end(2, 1)]: 'edge' }, 'for a while');
  },
);

t.test(
  'a switch that comes late turns an edge port into a link, and stations there are forgotten',
  async (t) => {
    const fabric = new SimulatedFabric();
    fabric.wire('cable', end(1, 1), end(2, 1));
    fabric.connect(1, 2);
    await fabric.clock.advance(400);
    fabric.deliver(end(1, 1), frameFrom(0x0202_0000_0001));
    fabric.deliver(end(1, 2), frameFrom(0x0202_0000_0002));
    t.same(Object.values(fabric.stations()), [end(1, 1), end(1, 2)]);
    fabric.connect(2, 2);
    await fabric.clock.advance(100);
    t.match(fabric.roles(), { [end(1, 1)]: 'link', [end(1, 2)]: 'edge', [end(2, 1)]: 'link' });
    t.same(Object.values(fabric.stations()), [end(1, 2)]);
  },
);

t.test('probes in one direction make no link and no edge port', async (t) => {
  const fabric = new SimulatedFabric();
  fabric.wires.push({ kind: 'cable', ends: [end(1, 1), end(2, 1)], oneWay: end(1, 1) });
  fabric.connect(1, 1);
  fabric.connect(2, 1);
  await fabric.clock.advance(10_000);
  t.same([fabric.links(), fabric.roles()], [[], {}]);
  t.match(fabric.service.report().ports[0]?.reason, /one direction/);
});

t.test('a link that loses one direction is closed', async (t) => {
  const fabric = new SimulatedFabric();
  const cable = fabric.wire('cable', end(1, 1), end(2, 1));
  fabric.connect(1, 1);
  fabric.connect(2, 1);
  await fabric.clock.advance(500);
  fabric.unplug(cable);
  fabric.wires.push({ ...cable, oneWay: end(2, 1) });
  await fabric.clock.advance(60_000);
  t.same([fabric.links(), fabric.roles()], [[], {}]);
});

t.test('a loop through switches that are not of the fabric leaves one way in', async (t) => {
  for (const kind of ['bridge', 'hub'] as const) {
    const fabric = new SimulatedFabric();
    fabric.wire(kind, end(1, 1), end(2, 1), end(2, 2));
    fabric.wire('cable', end(1, 3), end(2, 3));
    fabric.connect(1, 3);
    fabric.connect(2, 3);
    await fabric.clock.advance(3_000);
    t.match(fabric.roles(), {
      [end(1, 1)]: 'edge',
      [end(2, 1)]: 'blocked',
      [end(2, 2)]: 'blocked',
      [end(1, 3)]: 'link',
    });
    fabric.sessions.get(dpid(1))?.setPort(1, false);
    await fabric.clock.advance(5_000);
    t.match(
      fabric.roles(),
      { [end(2, 1)]: 'edge', [end(2, 2)]: 'blocked' },
      `${kind}: the next one takes over`,
    );
  }
});

t.test('a cable from a switch to itself', async (t) => {
  const fabric = new SimulatedFabric();
  fabric.wire('cable', end(1, 1), end(1, 2));
  fabric.connect(1, 2);
  await fabric.clock.advance(1_000);
  t.same(fabric.roles(), { [end(1, 1)]: 'edge', [end(1, 2)]: 'blocked' });
});

t.test('a cable that moves to another switch, with and without a change of the port', async (t) => {
  for (const seen of [true, false]) {
    const fabric = new SimulatedFabric();
    const cable = fabric.wire('cable', end(1, 1), end(2, 1));
    for (const at of [1, 2, 3]) fabric.connect(at, 1);
    await fabric.clock.advance(1_000);
    fabric.unplug(cable);
    if (seen) for (const at of [1, 2]) fabric.sessions.get(dpid(at))?.setPort(1, false);
    fabric.wire('cable', end(1, 1), end(3, 1));
    if (seen) for (const at of [1, 2]) fabric.sessions.get(dpid(at))?.setPort(1, true);
    await fabric.clock.advance(seen ? 400 : 6_000);
    t.same(fabric.links(), both(end(1, 1), end(3, 1)), seen ? 'seen' : 'not seen');
    await fabric.clock.advance(20_000);
    t.match(fabric.roles(), { [end(2, 1)]: 'edge' });
  }
});

t.test('a switch that is away keeps its links while the ports of its neighbours are up', async (t) => {
  const fabric = new SimulatedFabric();
  fabric.wire('cable', end(1, 1), end(2, 1));
  fabric.wire('cable', end(1, 2), end(2, 2));
  fabric.connect(1, 3);
  fabric.connect(2, 3);
  await fabric.clock.advance(1_000);
  const before = [fabric.links(), fabric.roles()];
  fabric.disconnect(2);
  await fabric.clock.advance(700_000);
  t.same([fabric.links(), fabric.roles()], before, 'for as long as it may be');
  const first = fabric.sessions.get(dpid(1));
  first?.setPort(1, false);
  t.same(fabric.links(), both(end(1, 2), end(2, 2)));
  first?.setPort(1, true);
  await fabric.clock.advance(5_000);
  t.notOk(fabric.facts.fabricPorts.has(end(1, 1)), 'what may still forward to the port keeps it closed');
  t.match(fabric.service.report().ports[0]?.reason, /away/);
  fabric.connect(2, 3);
  await fabric.clock.advance(1_000);
  t.same([fabric.links(), fabric.roles()], before);
});

t.test('a switch that is away and has no links is forgotten after a while', async (t) => {
  const fabric = new SimulatedFabric();
  fabric.connect(1, 2);
  await fabric.clock.advance(1_000);
  fabric.deliver(end(1, 1), frameFrom(0x0202_0000_0001));
  fabric.disconnect(1);
  await fabric.clock.advance(599_000);
  t.ok(fabric.service.has(dpid(1)));
  t.equal(fabric.facts.stations.size, 1);
  await fabric.clock.advance(2_000);
  t.notOk(fabric.service.has(dpid(1)));
  t.same([fabric.facts.stations.size, fabric.facts.hosts.size, fabric.facts.ports.size], [0, 0, 0]);
  t.same(fabric.roles(), {});
});

t.test('thousands of ports: probes are spread and limited, and all are found', async (t) => {
  const fabric = new SimulatedFabric({ probesPerSecond: 2_000 });
  for (let at = 1; at < 40; at++) fabric.wire('cable', end(at, 1), end(at + 1, 2));
  for (let at = 1; at <= 40; at++) fabric.connect(at, 48);
  let most = 0;
  let before = 0;
  for (let second = 0; second < 10; second++) {
    await fabric.clock.advance(1_000);
    most = Math.max(most, fabric.probesSent - before);
    before = fabric.probesSent;
  }
  t.ok(most <= 2_300, `${most} probes in one second`);
  t.equal(fabric.facts.links.size, 78);
  t.equal(Object.values(fabric.roles()).filter((role) => role === 'edge').length, 40 * 48 - 78);
  await fabric.clock.advance(20_000);
  t.equal(fabric.facts.links.size, 78, 'none is lost because its turn comes seldom');
});

t.test('any order of events ends in the facts that the wires say', async (t) => {
  const SWITCHES = 5;
  const PORTS = 4;
  const event = fc.oneof(
    fc.record({ kind: fc.constant('connect' as const), at: fc.integer({ min: 1, max: SWITCHES }) }),
    fc.record({ kind: fc.constant('disconnect' as const), at: fc.integer({ min: 1, max: SWITCHES }) }),
    fc.record({
      kind: fc.constant('port' as const),
      at: fc.integer({ min: 1, max: SWITCHES }),
      port: fc.integer({ min: 1, max: PORTS }),
      up: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('plug' as const),
      wire: fc.constantFrom('cable' as const, 'hub' as const, 'bridge' as const),
      ends: fc.uniqueArray(
        fc.tuple(fc.integer({ min: 1, max: SWITCHES }), fc.integer({ min: 1, max: PORTS })),
        {
          minLength: 2,
          maxLength: 3,
          selector: ([at, port]) => end(at, port),
        },
      ),
    }),
    fc.record({ kind: fc.constant('unplug' as const), index: fc.nat(5) }),
    fc.record({ kind: fc.constant('time' as const), milliseconds: fc.integer({ min: 1, max: 1_500 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
      const fabric = new SimulatedFabric();
      for (const happened of events) {
        const at = 'at' in happened ? happened.at : 0;
        const session = fabric.sessions.get(dpid(at));
        if (happened.kind === 'connect' && session === undefined) fabric.connect(at, PORTS);
        else if (happened.kind === 'disconnect') fabric.disconnect(at);
        else if (happened.kind === 'port') session?.setPort(happened.port, happened.up);
        else if (happened.kind === 'time') await fabric.clock.advance(happened.milliseconds);
        else if (happened.kind === 'plug') {
          const ends = happened.ends.map(([number, port]) => end(number, port));
          const free = ends.every((one) => !fabric.wires.some((wire) => wire.ends.includes(one)));
          if (free) fabric.wire(happened.wire, ...(happened.wire === 'cable' ? ends.slice(0, 2) : ends));
        } else if (happened.kind === 'unplug') {
          const wire = fabric.wires[happened.index];
          if (wire !== undefined) fabric.unplug(wire);
        }
      }
      for (let at = 1; at <= SWITCHES; at++) if (!fabric.sessions.has(dpid(at))) fabric.connect(at, PORTS);
      await fabric.clock.advance(18_000);
      assert.deepEqual([fabric.roles(), fabric.links()], expected(fabric));
    }),
    { numRuns: 50 },
  );
  t.pass('in 50 histories');
});

/** Roles and links by the wires alone. */
function expected(fabric: SimulatedFabric): [Record<string, string>, string[]] {
  const roles: Record<string, string> = {};
  const links: string[] = [];
  const isUp = (key: string) => {
    const [datapathId = '', port] = key.split('/');
    return fabric.sessions.get(datapathId)?.up.has(Number(port)) === true;
  };
  for (const { datapathId, up } of fabric.sessions.values()) {
    for (const port of up) roles[`${datapathId}/${port}`] = 'edge';
  }
  for (const wire of fabric.wires) {
    const [first = '', second = '', ...more] = wire.ends.filter(isUp).sort();
    if (second === '') continue;
    if (isLink(wire, first, second) && more.length === 0) {
      roles[first] = roles[second] = 'link';
      links.push(...both(first, second));
    } else {
      for (const other of [second, ...more]) roles[other] = 'blocked';
    }
  }
  return [Object.fromEntries(Object.entries(roles).sort()), links.sort()];
}

const isLink = ({ kind }: Wire, first: string, second: string) =>
  kind !== 'bridge' && first.split('/')[0] !== second.split('/')[0];
