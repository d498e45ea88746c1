/** The controller starts again, and what was known of the fabric is known still: nothing is opened that was not open, and nothing is lost. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Parts } from '../../controller/trees/index.js';
import { CLASSES, numbersOf, placeOf, RestartRig } from './restart-rig.js';
import { dpid, end, frameFrom, type Wire } from './simulated-fabric.js';

const cable = (...ends: string[]): Wire => ({ kind: 'cable', ends });

/** Ports 1 and 2 of four switches are a ring; port 3 is of stations. */
async function ring(): Promise<RestartRig> {
  const rig = new RestartRig(4, 3);
  for (let at = 1; at <= 4; at++) rig.change(cable(end(at, 1), end((at % 4) + 1, 2)), true);
  for (let at = 1; at <= 4; at++) rig.connect(at);
  await rig.fabric.clock.advance(2_000);
  return rig;
}

function facts(rig: RestartRig) {
  const tables = Array.from({ length: rig.switches }, (_, index) =>
    [...rig.desired(index + 1)].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const hosts = [...rig.fabric.facts.hosts.values()].map(({ name, number }) => `${name} ${number}`).sort();
  const stations = [...rig.fabric.facts.stations.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  return { tables, hosts, links: rig.fabric.links(), stations };
}

t.test(
  'after a restart the facts are what they were, from the first instant, and nothing is sent',
  async (t) => {
    const rig = await ring();
    rig.fabric.deliver(end(1, 3), frameFrom(0x0202_0000_0001));
    rig.fabric.deliver(end(3, 3), frameFrom(0x0202_0000_0003, 7));
    await rig.fabric.clock.advance(1_000);
    const before = facts(rig);
    t.equal(before.stations.length, 2);
    t.equal(before.links.length, 8);
    t.equal(rig.flooding(0).length, 3);
    const { applied } = rig;
    rig.crash(Infinity, true);
    t.same(facts(rig), before, 'before any switch is there');
    rig.journal.writes = 0;
    for (const at of [3, 1, 4, 2]) {
      rig.connect(at);
      await rig.fabric.clock.advance(700);
      t.same(facts(rig), before, 'while they come back');
    }
    await rig.fabric.clock.advance(60_000);
    t.same(facts(rig), before);
    t.equal(rig.applied, applied, 'no switch was told anything');
    t.equal(rig.journal.writes, 0, 'nor was anything written');
    t.same(
      rig.fabric.events.filter(({ kind }) => kind !== 'port.role'),
      [],
    );
    t.same(rig.violations, []);
  },
);

t.test('a switch that does not hold what is remembered of it is one that was never seen', async (t) => {
  const rig = await ring();
  rig.crash(Infinity, true);
  rig.held.set(2, new Map());
  for (let at = 1; at <= 4; at++) rig.connect(at);
  await rig.fabric.clock.advance(200);
  t.same(
    [...rig.desired(2).keys()].filter((key) => key === 'open/3'),
    [],
    'its ports are closed',
  );
  await rig.fabric.clock.advance(3_000);
  t.equal(rig.fabric.links().length, 8, 'until they have been probed');
  t.equal(rig.desired(2).get('open/3'), 'edge');
  t.equal(rig.flooding(0).length, 3);
  t.same(rig.violations, []);
});

t.test('what changed while the controller was away is found out', async (t) => {
  const rig = await ring();
  rig.fabric.deliver(end(1, 3), frameFrom(0x0202_0000_0001));
  await rig.fabric.clock.advance(100);
  rig.crash(Infinity, true);
  const [first] = rig.wires;
  assert(first !== undefined);
  rig.change(first, false); // 1/1 - 2/2
  rig.change(cable(end(1, 3), end(3, 3)), true);
  for (let at = 1; at <= 4; at++) rig.connect(at);
  await rig.fabric.clock.advance(200);
  t.equal(rig.desired(1).get('open/3'), 'link', 'a port of stations that answers probes is none');
  t.equal(rig.fabric.facts.stations.size, 0);
  t.equal(
    rig.desired(1).get('open/1'),
    'link',
    'a link that is not heard yet stays for as long as three probes',
  );
  await rig.fabric.clock.advance(6_000);
  t.notOk(rig.desired(1).has('open/1'));
  t.same(rig.violations, []);
  await rig.fabric.clock.advance(20_000);
  t.equal(rig.desired(1).get('open/1'), 'edge');
  for (let treeClass = 0; treeClass < CLASSES; treeClass++) t.equal(rig.flooding(treeClass).length, 3);
});

t.test('ports that are gone, down, or another one by now have lost their role', async (t) => {
  const rig = await ring();
  rig.crash(Infinity, true);
  rig.connect(2, 2);
  rig.connect(1, 3, (port) => (port === 3 ? 'other' : undefined));
  await rig.fabric.clock.advance(100);
  t.notOk(rig.desired(2).has('open/3'));
  t.notOk(rig.desired(1).has('open/3'), 'nothing is known of a port of that name');
  t.equal(rig.desired(1).get('open/1'), 'link');
});

t.test('nothing is opened while a switch that is remembered may still come back', async (t) => {
  const rig = await ring();
  rig.crash(Infinity, true);
  for (const at of [1, 2, 3]) rig.connect(at);
  rig.change(cable(end(1, 3), end(4, 3)), true);
  await rig.fabric.clock.advance(10_000);
  t.notOk(rig.desired(1).has('open/3'), 'switch 4 floods there, and nobody has heard it yet');
  t.equal(rig.desired(3).get('open/3'), 'edge', 'what was open stays');
  rig.connect(4);
  await rig.fabric.clock.advance(1_000);
  t.equal(rig.desired(1).get('open/3'), 'link');
  t.same(rig.violations, []);
});

t.test(
  'a switch that stays away counts as away after a while, and so it does after another restart',
  async (t) => {
    const rig = await ring();
    rig.crash(Infinity, true);
    for (const at of [1, 2, 3]) rig.connect(at);
    await rig.fabric.clock.advance(14_000);
    t.equal(rig.away.size, 0);
    await rig.fabric.clock.advance(2_000);
    t.same([...rig.away.keys()], [dpid(4)]);
    rig.crash(Infinity, true);
    t.same([...rig.away.keys()], [dpid(4)]);
    for (const at of [1, 2, 3, 4]) rig.connect(at);
    await rig.fabric.clock.advance(5_000);
    t.equal(rig.away.size, 0);
    t.equal(rig.flooding(0).length, 3);
  },
);

t.test('roles of a loop through something that is no switch of the fabric are kept', async (t) => {
  const rig = new RestartRig(3, 2);
  rig.change({ kind: 'bridge', ends: [end(1, 1), end(2, 1), end(3, 1)] }, true);
  for (let at = 1; at <= 3; at++) rig.connect(at);
  await rig.fabric.clock.advance(3_000);
  const before = rig.fabric.roles();
  t.match(before, { [end(1, 1)]: 'edge', [end(2, 1)]: 'blocked', [end(3, 1)]: 'blocked' });
  rig.crash(Infinity, true);
  for (const at of [2, 3, 1]) {
    rig.connect(at);
    for (let step = 0; step < 20; step++) {
      await rig.fabric.clock.advance(50);
      t.same(rig.fabric.roles(), before);
    }
  }
});

t.test('stations: one write for each that comes, moves or goes, none for a frame', async (t) => {
  const rig = await ring();
  rig.journal.writes = 0;
  const frames = [1, 2, 3].map((mac) => frameFrom(0x0202_0000_0000 + mac));
  for (let round = 0; round < 1_000; round++)
    for (const frame of frames) rig.fabric.deliver(end(1, 3), frame);
  t.equal(rig.journal.writes, 3);
  for (const frame of frames) rig.fabric.deliver(end(2, 3), frame);
  t.equal(rig.journal.writes, 6);
  const numbers = () => [...rig.fabric.facts.stations.values()].map(({ number }) => number);
  const before = numbers();
  rig.crash(Infinity, true);
  for (let at = 1; at <= 4; at++) rig.connect(at);
  await rig.fabric.clock.advance(100);
  t.same(numbers(), before);
  rig.fabric.deliver(end(3, 3), frameFrom(0x0202_0000_0009));
  t.equal(new Set(numbers()).size, 4, 'numbers in use are not given to others');
  await rig.fabric.clock.advance(1_000_000);
  t.equal(rig.fabric.facts.stations.size, 0, 'who is silent is forgotten as ever');
});

type Event =
  | { readonly kind: 'time'; readonly milliseconds: number }
  | {
      readonly kind: 'crash';
      readonly durable: number;
      readonly onTheWay: boolean;
      readonly emptied: readonly number[];
      /** Milliseconds until each switch is back. */
      readonly back: readonly number[];
    };

const SWITCHES = 4;
const PORTS = 4;
const number = fc.integer({ min: 1, max: SWITCHES });
const events: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      milliseconds: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 3_000 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      durable: fc.nat(30),
      onTheWay: fc.boolean(),
      emptied: fc.array(number, { maxLength: 2 }),
      back: fc.array(fc.nat(4_000), { minLength: SWITCHES, maxLength: SWITCHES }),
    }),
  },
);

/** Two rings to begin with: every switch has a port left. */
const BEGINNING = [
  cable(end(1, 1), end(2, 2)),
  cable(end(2, 1), end(3, 2)),
  cable(end(3, 1), end(1, 2)),
  cable(end(3, 3), end(4, 1)),
  cable(end(4, 2), end(1, 3)),
];

t.test(
  'crashes and restarts in any order: no table closes a loop, and all ends as the cables say',
  async (t) => {
    let restarts = 0;
    let applied = 0;
    const history = fc.array(events, { maxLength: 25, size: 'max' });
    const delays = fc.array(fc.nat(300), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(history, delays, async (happened, delays) => {
        const rig = new RestartRig(SWITCHES, PORTS, delays);
        for (const wire of BEGINNING) rig.change(wire, true);
        for (let at = 1; at <= SWITCHES; at++) rig.connect(at);
        await rig.fabric.clock.advance(3_000);
        for (const event of happened) {
          if (event.kind === 'time') await rig.fabric.clock.advance(event.milliseconds);
          else {
            restarts++;
            rig.crash(event.durable, event.onTheWay);
            for (const at of event.emptied) rig.held.set(at, new Map());
            const { fabric } = rig;
            for (const [index, milliseconds] of event.back.entries()) {
              fabric.clock.after(milliseconds, () => {
                if (rig.fabric === fabric) rig.connect(index + 1);
              });
            }
          }
          assert.deepEqual(rig.violations, []);
        }
        await rig.fabric.clock.advance(40_000);
        assert.deepEqual(rig.violations, []);
        applied += rig.applied;
        converged(rig);
      }),
      { numRuns: 100 },
    );
    t.ok(restarts > 100, `${restarts} restarts`);
    t.ok(applied > 100, `${applied} tables`);
  },
);

/** Roles are what the cables say, switches hold what is asked for, and each class floods over a tree of each part. */
function converged(rig: RestartRig): void {
  for (let at = 1; at <= rig.switches; at++) {
    assert.deepEqual(new Map(rig.held.get(at)), new Map(rig.desired(at)));
    for (let port = 1; port <= rig.ports; port++) {
      const linked = rig.wires.some(({ ends }) => ends.includes(end(at, port)));
      assert.equal(rig.desired(at).get(`open/${port}`), linked ? 'link' : 'edge', `port ${port} of ${at}`);
    }
  }
  for (let treeClass = 0; treeClass < CLASSES; treeClass++) {
    const parts = new Parts();
    const flooding = rig.flooding(treeClass);
    for (const { ends } of flooding) assert(parts.join(...numbersOf(ends)), 'a tree has no loop');
    for (const { ends } of rig.wires) assert(!parts.join(...numbersOf(ends)), 'and leaves nobody out');
  }
  assert.equal(rig.fabric.facts.hosts.size, rig.switches);
  assert(rig.wires.every(({ ends }) => ends.every((each) => placeOf(each)[0] <= rig.switches)));
}
