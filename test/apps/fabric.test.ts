import fc from 'fast-check';
import t from 'tap';
import { fabricPipeline } from '../../apps/fabric/index.js';
import { decodeFabricPunt, encodeFabricPunt, reinjection } from '../../apps/fabric/punt.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { Parts } from '../../controller/trees/index.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { GroupType } from '../../ofproto/index.js';
import { BROADCAST } from '../support/frames.js';
import { EDGE_PORT, FabricWorld, frame, idOf, macOf, type World } from './fabric-world.js';
import { SoftwareSwitch } from './software-switch.js';

const worlds = fc.integer({ min: 2, max: 6 }).chain((switches) =>
  fc.record({
    switches: fc.constant(switches),
    cables: fc
      .array(fc.tuple(fc.nat(switches - 1), fc.nat(switches - 1)), { minLength: 1, maxLength: 9 })
      .map((pairs) => pairs.filter(([a, b]) => a !== b)),
  }),
);

/** Whom each switch reaches over cables. */
function reachOf({ switches, cables }: World): (a: number, b: number) => boolean {
  const near = Array.from({ length: switches }, (_, index) => new Set([index]));
  for (let round = 0; round < switches; round++) {
    for (const [a, b] of cables) {
      for (const each of near[a] ?? []) near[b]?.add(each);
      for (const each of near[b] ?? []) near[a]?.add(each);
    }
  }
  return (a, b) => near[a]?.has(b) === true;
}

const all = ({ switches }: World): number[] => Array.from({ length: switches }, (_, index) => index);

t.test('every frame for a known station is delivered once, a broadcast once to each other one', async () => {
  fc.assert(
    fc.property(worlds, fc.nat(5), fc.option(fc.nat(5)), (world, choice, away) => {
      const fabric = new FabricWorld(world);
      if (away !== null) fabric.setAway(away % world.switches);
      fabric.settle();
      const reaches = reachOf(world);
      for (const from of all(world)) {
        const others = all(world).filter((to) => to !== from && reaches(from, to));
        const broadcast = fabric.walk(from, frame(macOf(from), BROADCAST));
        if (broadcast.delivered.toSorted().join() !== others.join()) return false;
        for (const to of all(world)) {
          if (to === from) continue;
          const { delivered } = fabric.walk(from, frame(macOf(from), macOf(to)), { choice });
          if (delivered.join() !== (reaches(from, to) ? `${to}` : '')) return false;
        }
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

t.test(
  'links fail in any number, nobody repairs anything: frames are lost, never doubled, never go round',
  async (t) => {
    let rescued = 0;
    fc.assert(
      fc.property(worlds, fc.uniqueArray(fc.nat(8), { maxLength: 4 }), fc.nat(5), (world, failed, choice) => {
        const fabric = new FabricWorld(world);
        const dead = new Set(failed);
        for (const from of all(world)) {
          for (const to of all(world)) {
            if (to === from) continue;
            const { delivered, hops } = fabric.walk(from, frame(macOf(from), macOf(to)), { dead, choice });
            // One step to the side on each rank, and one down.
            if (delivered.length > 1 || hops > 2 * world.switches) return false;
            if (delivered.length === 1 && dead.size > 0) rescued++;
          }
        }
        return true;
      }),
      { numRuns: 60 },
    );
    t.ok(rescued > 0);
  },
);

t.test('a frame that has made its step to the side is not sent to the side again', async (t) => {
  // Three switches around a fourth, all three of whose links die.
  const cables = [
    [0, 1],
    [1, 2],
    [2, 0],
    [0, 3],
    [1, 3],
    [2, 3],
  ] as const;
  const fabric = new FabricWorld({ switches: 4, cables });
  const group = fabric.entries(0).find((entry) => entry.kind === 'group' && entry.id === 4);
  t.match(group, { groupType: GroupType.FAST_FAILOVER });
  const toFourth = frame(macOf(0), macOf(3));
  t.same(fabric.walk(0, toFourth).delivered, [3]);
  t.same(fabric.walk(0, toFourth, { dead: new Set([3]) }), { delivered: [3], hops: 2 });
  t.same(fabric.walk(0, toFourth, { dead: new Set([3, 4, 5]) }), { delivered: [], hops: 1 });
});

t.test('a port that is not known, or blocked, lets nothing in and nothing out', async (t) => {
  const fabric = new FabricWorld({ switches: 2, cables: [[0, 1]] });
  t.same(fabric.walk(0, frame(macOf(0), BROADCAST)).delivered, [1]);
  for (const role of [undefined, 'blocked'] as const) {
    fabric.setPort(1, EDGE_PORT, role);
    fabric.settle();
    t.same(fabric.walk(0, frame(macOf(0), BROADCAST)).delivered, [], `${role}: out`);
    t.same(fabric.walk(1, frame(macOf(1), BROADCAST)).delivered, [], `${role}: in`);
  }
});

t.test('who goes to the controller, and who comes back from it', async (t) => {
  const fabric = new FabricWorld({ switches: 2, cables: [[0, 1]] });
  const device = new SoftwareSwitch(fabric.entries(0));
  const stranger = frame(0x02_00_00_00_00_99, macOf(1));
  const punted = device.execute(EDGE_PORT, stranger);
  t.same(punted.outputs, [], 'a frame of an unknown station is not forwarded');
  const [first] = stepsOf(punted.steps, 'controller');
  t.equal(decodeFabricPunt(first?.userdata ?? Uint8Array.of()), 'station');
  const probe = new Map([...frame(1, 0x01_80_c2_00_00_0e), ['eth_type', 0x88ccn] as const]);
  for (const port of [EDGE_PORT, 100, 77]) {
    const { outputs, steps } = device.execute(port, probe);
    t.same(outputs, [], 'probes are never forwarded');
    const [step] = stepsOf(steps, 'controller');
    t.equal(decodeFabricPunt(step?.userdata ?? Uint8Array.of()), 'lldp', `from port ${port}`);
    t.equal(step?.meterId, port === 100 ? 1 : 2, 'ports with a neighbour have a meter of their own');
  }
  const pause = device.execute(EDGE_PORT, frame(macOf(0), 0x01_80_c2_00_00_01));
  t.same([pause.outputs, stepsOf(pause.steps, 'controller')], [[], []], 'reserved addresses go nowhere');
  const forged = device.execute(EDGE_PORT, frame(0x01_00_00_00_00_01, macOf(1)));
  t.same(
    [forged.outputs, stepsOf(forged.steps, 'controller')],
    [[], []],
    'nobody sends from a group address',
  );
  t.equal(reinjection(5).length, 4);
  t.equal(decodeFabricPunt(Uint8Array.of(...encodeFabricPunt('lldp'), 0)), undefined);
});

t.test('tagged frames keep to their VLAN and to its tree', async (t) => {
  const cables = [
    [0, 1],
    [1, 2],
    [2, 0],
  ] as const;
  const fabric = new FabricWorld({ switches: 3, cables });
  fabric.setStation(0, 5, macOf(0), 10);
  fabric.setStation(2, 5, macOf(2), 11);
  fabric.settle();
  t.same(fabric.walk(0, frame(macOf(0), macOf(2), 5)).delivered, [2]);
  t.same(fabric.walk(0, frame(macOf(0), BROADCAST, 5)).delivered.toSorted(), [1, 2]);
  t.same(fabric.walk(1, frame(macOf(1), BROADCAST, 5)).delivered, [], 'not known in this VLAN');
  t.same(fabric.walk(0, frame(macOf(0), macOf(1), 5)).delivered.toSorted(), [1, 2], 'unknown there: flooded');
});

t.test('no two entries of equal priority meet, and no entry names a group that is not there', async (t) => {
  const cables = [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 0],
    [0, 2],
    [0, 2],
  ] as const;
  const fabric = new FabricWorld({ switches: 4, cables });
  fabric.setStation(1, 7, macOf(1), 20);
  fabric.settle();
  t.same(fabric.desired.engine.failures(), []);
  t.same(fabric.desired.conflicts(), []);
  for (let index = 0; index < 4; index++) {
    const entries = fabric.entries(index);
    t.same(findOverlaps(entries, fabricPipeline), []);
    t.same(findDanglingReferences(entries), []);
  }
});

t.test('what a change costs', async (t) => {
  const count = 20;
  const cables = Array.from({ length: count }, (_, index) => [index, (index + 1) % count] as const);
  const fabric = new FabricWorld({ switches: count, cables });
  const changed = ({ entries }: ReturnType<FabricWorld['settle']>): Record<string, number> =>
    Object.fromEntries([...entries].map(([scope, keys]) => [scope.name, keys.size]));

  fabric.setStation(3, 0, macOf(100), 100);
  const learned = fabric.settle();
  t.same(Object.fromEntries(learned.settlement.runs), { 'fabric-stations.stations': 1 });
  t.same(changed(learned), { global: 1, [`host:${idOf(3)}`]: 2 }, 'one shared entry, two of its own switch');

  fabric.setLink(7, false);
  const lost = fabric.settle();
  t.equal(lost.settlement.runs.get('fabric-stations.stations'), undefined);
  t.equal(
    lost.settlement.runs.get('fabric-paths.routes'),
    count,
    'shortest paths, once for each destination',
  );
  t.notOk(changed(lost)['global'], 'no shared entry');

  fabric.setPort(5, 2, 'edge');
  const edge = fabric.settle();
  t.same(changed(edge), { [`host:${idOf(5)}`]: 2 }, 'it is let in, and copied to');
});

t.test('trees are trees', async (t) => {
  const fabric = new FabricWorld({
    switches: 3,
    cables: [
      [0, 1],
      [1, 2],
      [2, 0],
      [2, 0],
    ],
  });
  for (let treeClass = 0; treeClass < 8; treeClass++) {
    const { floodPorts } = fabric.desired.facts;
    const ports = [...floodPorts.entries()].filter(([, fact]) => fact.treeClass === treeClass);
    const cables = new Set(ports.map(([, { port }]) => port - 100));
    const parts = new Parts();
    t.ok([...cables].every((cable) => parts.join(...(fabric.world.cables[cable] ?? [0, 0]))));
    t.equal(cables.size, 2);
  }
});
