/** Stations: learned, moved, forgotten; bounded in number, and in how often they move. */
import t from 'tap';
import { cookieLayout } from '../../controller/datapath/cookie.js';
import type { FlowStats } from '../../ofproto/index.js';
import { dpid, end, frameFrom, SimulatedFabric } from './simulated-fabric.js';

const A = 0x0202_0000_000a;
const B = 0x0202_0000_000b;

async function twoSwitches(settings = {}) {
  const fabric = new SimulatedFabric(settings);
  fabric.wire('cable', end(1, 1), end(2, 1));
  fabric.connect(1, 4);
  fabric.connect(2, 4);
  await fabric.clock.advance(500);
  return fabric;
}

t.test('the first frame makes a station known; every frame goes back to its switch', async (t) => {
  const fabric = await twoSwitches();
  fabric.deliver(end(1, 2), frameFrom(A));
  fabric.deliver(end(1, 2), frameFrom(A, 7));
  fabric.deliver(end(2, 3), frameFrom(B));
  t.same(fabric.stations(), {
    '0/02020000000a': end(1, 2),
    '0/02020000000b': end(2, 3),
    '7/02020000000a': end(1, 2),
  });
  const numbers = [...fabric.facts.stations.values()].map(({ number }) => number);
  t.equal(new Set(numbers).size, 3);
  t.match(fabric.reinjected, [
    { inPort: 2, data: frameFrom(A), actions: [{ type: 'resubmit', table: 9 }] },
    { inPort: 2, data: frameFrom(A, 7) },
    { inPort: 3, data: frameFrom(B) },
  ]);
  const { changes } = fabric.facts.stations;
  for (let again = 0; again < 3; again++) fabric.deliver(end(1, 2), frameFrom(A));
  t.equal(fabric.facts.stations.changes, changes, 'a known station changes no fact');
  t.equal(fabric.reinjected.length, 6);
});

t.test(
  'nothing is learned from links, unknown ports, group and zero addresses, or what is cut off',
  async (t) => {
    const fabric = await twoSwitches();
    fabric.deliver(end(1, 1), frameFrom(A));
    fabric.deliver(end(1, 2), frameFrom(0x0100_5e00_0001));
    fabric.deliver(end(1, 2), frameFrom(0));
    for (let length = 0; length < 14; length++) fabric.deliver(end(1, 2), frameFrom(A).subarray(0, length));
    t.equal(fabric.facts.stations.size, 0);
    t.equal(fabric.reinjected.length, 0);
    t.match(fabric.service.report().learning, { invalidSource: 2, notEdge: 1 });
  },
);

t.test('a station that moves keeps its number; where it was seen last is where it is', async (t) => {
  const fabric = await twoSwitches();
  fabric.deliver(end(1, 2), frameFrom(A));
  const before = fabric.facts.stations.get('0/02020000000a');
  fabric.deliver(end(2, 2), frameFrom(A));
  t.same(fabric.facts.stations.get('0/02020000000a'), { ...before, datapathId: dpid(2), port: 2 });
  fabric.sessions.get(dpid(1))?.setPort(2, false);
  t.equal(fabric.facts.stations.size, 1, 'the port it has left is no concern of it');
  fabric.sessions.get(dpid(2))?.setPort(2, false);
  t.equal(fabric.facts.stations.size, 0, 'the one where it is takes it along');
});

t.test(
  'a station that is seen at two ports in turn stays where it is after a while, and its frames end',
  async (t) => {
    const fabric = await twoSwitches({ flapMoves: 4, flapWindowMs: 1_000 });
    for (let turn = 0; turn < 10; turn++) fabric.deliver(end(1 + (turn % 2), 2), frameFrom(A));
    t.match(fabric.service.report().learning, { moved: 4, flapping: 3 });
    t.equal(
      fabric.reinjected.length,
      7,
      'of ten frames, those from the other port are not forwarded any more',
    );
    t.equal(fabric.events.filter(({ kind }) => kind === 'station.flapping').length, 1, 'told once');
    await fabric.clock.advance(1_100);
    fabric.deliver(end(2, 2), frameFrom(A));
    t.same(fabric.stations(), { '0/02020000000a': end(2, 2) });
  },
);

t.test('limits, of a port and of the fabric', async (t) => {
  const fabric = await twoSwitches({ stationsPerPort: 3, stations: 5 });
  for (let index = 0; index < 5; index++) fabric.deliver(end(1, 2), frameFrom(A + index));
  for (let index = 0; index < 3; index++) fabric.deliver(end(2, 2), frameFrom(A + 16 + index));
  t.equal(fabric.facts.stations.size, 5);
  t.match(fabric.service.report().learning, { learned: 5, overPortLimit: 2, overTotalLimit: 1 });
  t.equal(fabric.reinjected.length, 8, 'their frames are forwarded all the same');
  t.match(
    fabric.events.filter(({ kind }) => kind === 'station.limit'),
    [{ message: /3 stations are known at port 2/ }, { message: /5 stations are known/ }],
  );
  fabric.deliver(end(2, 2), frameFrom(A));
  t.equal(fabric.stations()['0/02020000000a'], end(2, 2), 'there is room for one that moves');
  fabric.deliver(end(2, 2), frameFrom(A + 1));
  t.equal(fabric.stations()['0/02020000000b'], end(1, 2), 'but not where it is full');
  fabric.sessions.get(dpid(2))?.setPort(2, false);
  fabric.deliver(end(1, 2), frameFrom(A + 32));
  t.equal(fabric.facts.stations.size, 3);
});

t.test('ageing: a station whose entry counts no packet is forgotten', async (t) => {
  const fabric = await twoSwitches({ ageingIntervalMs: 1_000, stationIdleMs: 5_000 });
  fabric.deliver(end(1, 2), frameFrom(A));
  fabric.deliver(end(1, 3), frameFrom(B));
  const session = fabric.sessions.get(dpid(1));
  const entry = (key: string, packets: number) =>
    ({
      cookie: cookieLayout.encode({
        marker: 0x57,
        app: 3,
        scope: 1,
        rule: 1,
        object: fabric.facts.stations.get(key)?.number ?? 0,
      }),
      packetCount: BigInt(packets),
    }) as FlowStats;
  for (let second = 0; second < 10; second++) {
    if (session !== undefined) session.flows = [entry('0/02020000000a', second), entry('0/02020000000b', 1)];
    await fabric.clock.advance(1_000);
  }
  t.same(fabric.stations(), { '0/02020000000a': end(1, 2) });
  fabric.disconnect(1);
  await fabric.clock.advance(60_000);
  t.equal(fabric.facts.stations.size, 1, 'what cannot be asked says nothing');
  fabric.connect(1, 4);
  await fabric.clock.advance(2_000);
  t.match(fabric.service.report(), { stations: [], learning: { aged: 2 } });
});

t.test('numbers are used again, and never by two', async (t) => {
  const fabric = await twoSwitches();
  for (let round = 0; round < 3; round++) {
    for (let index = 0; index < 100; index++) fabric.deliver(end(1, 2), frameFrom(A + index));
    const numbers = [...fabric.facts.stations.values()].map(({ number }) => number);
    t.equal(new Set(numbers).size, 100);
    t.ok(Math.max(...numbers) <= 100);
    fabric.sessions.get(dpid(1))?.setPort(2, false);
    fabric.sessions.get(dpid(1))?.setPort(2, true);
    await fabric.clock.advance(500);
  }
});

t.test('a switch that an agent claims leaves nothing behind', async (t) => {
  const fabric = await twoSwitches();
  fabric.deliver(end(1, 2), frameFrom(A));
  fabric.service.handOver(dpid(1));
  t.same([fabric.stations(), fabric.links()], [{}, []]);
  t.same([...fabric.facts.hosts.keys()], [dpid(2)]);
  t.notOk([...fabric.facts.ports.keys()].some((key) => key.startsWith(dpid(1))));
  t.match(fabric.service.report().switches, [{ datapathId: dpid(2), number: 2 }]);
});
