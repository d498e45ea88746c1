import fc from 'fast-check';
import t from 'tap';
import { fabricPipeline } from '../../apps/fabric/index.js';
import { decodeFabricPunt } from '../../apps/fabric/punt.js';
import { Priority, T, treeClassOf } from '../../apps/fabric/pipeline.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { stepsOf } from '../../controller/trace/steps.js';
import type { MulticastGroup } from '../../controller/model/facts.js';
import { formatIpv4, formatIpv6, parseIpv6 } from '../../ofproto/index.js';
import { EDGE_PORT, FabricWorld, idOf, macOf, type World } from './fabric-world.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

const FIRST_LINK_PORT = 100;
const GROUP: MulticastGroup = { family: 4, address: 0xef010101 };
const GROUP6: MulticastGroup = { family: 6, address: parseIpv6('ff05::1') };
const VLAN = 10;

const textOf = (group: MulticastGroup): string =>
  group.family === 4 ? formatIpv4(group.address) : formatIpv6(group.address);

/** A packet of a station to a group. */
function packet(
  from: number,
  group: MulticastGroup,
  vlan = 0,
  more: Iterable<[string, bigint]> = [],
): Packet {
  return new Map([
    ['eth_src', BigInt(macOf(from))],
    ['eth_dst', group.family === 4 ? 0x01005e010101n : 0x333300000001n],
    ['eth_type', group.family === 4 ? 0x0800n : 0x86ddn],
    ['ip_proto', 17n],
    [group.family === 4 ? 'ipv4_dst' : 'ipv6_dst', BigInt(group.address)],
    ...(vlan === 0 ? [] : ([['vlan_vid', BigInt(0x1000 + vlan)]] as const)),
    ...more,
  ]);
}

function snoops(fabric: FabricWorld, unregistered: 'flood' | 'drop' = 'flood', vlan = 0): void {
  fabric.desired.facts.fabricMulticast.set('fabric', { unregistered });
  fabric.desired.facts.snoopedVlans.set(`${vlan}`, { vlan });
}

function receives(fabric: FabricWorld, at: number, group: MulticastGroup, vlan = 0): void {
  const key = `${vlan}/${textOf(group)}/${macOf(at).toString(16).padStart(12, '0')}`;
  fabric.desired.facts.fabricReceivers.set(key, { vlan, group, datapathId: idOf(at), port: EDGE_PORT });
}

function routes(fabric: FabricWorld, at: number, vlan = 0): void {
  const datapathId = idOf(at);
  fabric.desired.facts.fabricRouters.set(`${vlan}/${datapathId}/${EDGE_PORT}`, {
    vlan,
    datapathId,
    port: EDGE_PORT,
  });
}

/** Stations at every switch, in a VLAN. */
function populate(fabric: FabricWorld, vlan: number): void {
  for (let index = 0; index < fabric.world.switches; index++) {
    fabric.setStation(index, vlan, macOf(index), 100 + index);
  }
}

/** Links of the flood tree of a VLAN, by number. */
function treeOf(fabric: FabricWorld, vlan: number): number[] {
  const treeClass = treeClassOf(vlan);
  const { floodPorts } = fabric.desired.facts;
  const isIn = (at: number, port: number): boolean => floodPorts.has(`${treeClass}/${idOf(at)}/${port}`);
  return [...fabric.world.cables.entries()]
    .filter(([cable, [a, b]]) => isIn(a, FIRST_LINK_PORT + cable) && isIn(b, FIRST_LINK_PORT + cable))
    .map(([cable]) => cable);
}

/** Links of the tree on the ways from one switch to others: those without which one of them is out of reach. */
function needed(
  { cables, switches }: World,
  tree: readonly number[],
  from: number,
  to: readonly number[],
): number {
  const reached = (without: number): Set<number> => {
    const seen = new Set([from]);
    for (let round = 0; round < switches; round++) {
      for (const cable of tree) {
        const [a, b] = cables[cable] ?? [0, 0];
        if (cable !== without && (seen.has(a) || seen.has(b))) seen.add(a).add(b);
      }
    }
    return seen;
  };
  const all = reached(-1);
  return tree.filter((cable) => {
    const rest = reached(cable);
    return to.some((each) => all.has(each) && !rest.has(each));
  }).length;
}

/** Every port that an entry of a group copies to is one that floods, or an edge port: what makes no loop there makes none here. */
function isPartOfFlooding(fabric: FabricWorld, vlan: number): boolean {
  const { floodPorts } = fabric.desired.facts;
  return Array.from({ length: fabric.world.switches }, (_, index) => index).every((index) =>
    fabric
      .entries(index)
      .flatMap((entry) => (entry.kind === 'flow' && entry.table === T.groups.id ? entry.instructions : []))
      .flatMap((instruction) => (instruction.type === 'apply_actions' ? instruction.actions : []))
      .every(
        (action) =>
          action.type === 'output' &&
          (action.port === EDGE_PORT || floodPorts.has(`${treeClassOf(vlan)}/${idOf(index)}/${action.port}`)),
      ),
  );
}

const worlds = fc.integer({ min: 2, max: 7 }).chain((switches) =>
  fc.record({
    switches: fc.constant(switches),
    cables: fc
      .array(fc.tuple(fc.nat(switches - 1), fc.nat(switches - 1)), { minLength: 1, maxLength: 10 })
      .map((pairs) => pairs.filter(([a, b]) => a !== b)),
  }),
);
const places = fc.uniqueArray(fc.nat(6), { maxLength: 4 });

t.test(
  'each receiver and router gets one copy, nobody else any, and no link carries what it need not',
  async (t) => {
    let pruned = 0;
    fc.assert(
      fc.property(
        worlds,
        places,
        places,
        fc.constantFrom(0, VLAN, 13),
        fc.constantFrom(GROUP, GROUP6),
        fc.option(fc.nat(6)),
        (world, receivers, routers, vlan, group, away) => {
          const fabric = new FabricWorld(world);
          populate(fabric, vlan);
          snoops(fabric, 'drop', vlan);
          const here = (index: number): boolean => index < world.switches;
          for (const each of receivers.filter(here)) receives(fabric, each, group, vlan);
          for (const each of routers.filter(here)) routes(fabric, each, vlan);
          if (away !== null) fabric.setAway(away % world.switches);
          fabric.settle();
          if (!isPartOfFlooding(fabric, vlan)) return false;
          const tree = treeOf(fabric, vlan);
          for (let from = 0; from < world.switches; from++) {
            for (const joined of [true, false]) {
              const wanting = new Set([...(joined ? receivers : []), ...routers].filter(here));
              wanting.delete(from);
              const sent = joined
                ? group
                : { ...group, address: group.family === 4 ? 0xef090909 : group.address + 9n };
              const { delivered, hops } = fabric.walk(from, packet(from, sent as MulticastGroup, vlan));
              const flooded = fabric.walk(from, packet(from, { family: 4, address: 0xe0000009 }, vlan));
              const expected = flooded.delivered.filter((each) => wanting.has(each)).sort();
              if (delivered.toSorted().join() !== expected.join()) return false;
              if (hops !== needed(world, tree, from, expected)) return false;
              pruned += flooded.hops - hops;
            }
          }
          return true;
        },
      ),
      { numRuns: 40 },
    );
    t.ok(pruned > 0, 'there was something to leave out');
  },
);

t.test('a ring of four: the entries of a group, and what becomes of them', async (t) => {
  const world = {
    switches: 4,
    cables: [
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 0],
    ],
  } as const;
  const fabric = new FabricWorld(world);
  const reached = (from: number, group: MulticastGroup = GROUP): number[] =>
    fabric.walk(from, packet(from, group)).delivered.toSorted();
  const entries = (): number =>
    [0, 1, 2, 3]
      .flatMap((index) => fabric.entries(index))
      .filter(
        (entry) => entry.kind === 'flow' && entry.table === T.groups.id && entry.priority === Priority.host,
      ).length;

  receives(fabric, 2, GROUP);
  fabric.settle();
  t.same(reached(0), [1, 2, 3], 'flooded while nobody has been asked');
  t.equal(entries(), 0);

  snoops(fabric);
  fabric.settle();
  t.same(reached(0), [2], 'then only to who has joined');
  t.equal(entries(), 4, 'an entry on each switch: anybody may send');
  t.same(reached(0, GROUP6), [1, 2, 3], 'a group that nobody has joined is flooded');
  t.same(reached(0, { family: 4, address: 0xe00000fb }), [1, 2, 3], 'so is one of a link');
  t.same(fabric.walk(0, packet(0, GROUP, 5)).delivered, [], 'another VLAN, of which the station is none');

  fabric.desired.facts.fabricMulticast.set('fabric', { unregistered: 'drop' });
  fabric.settle();
  t.same(reached(0, GROUP6), [], 'unless that is not wanted');
  t.same(
    reached(0, { family: 6, address: parseIpv6('ff02::1:ff00:1') }),
    [1, 2, 3],
    'groups of a link always',
  );
  routes(fabric, 3);
  fabric.settle();
  t.same(reached(0, GROUP6), [3], 'a router gets all groups');
  t.same(reached(0), [2, 3]);
  t.same(reached(3), [2], 'nothing comes back to who sent it');

  // Both links of switch 2 that lead to it fail, one after the other.
  fabric.setLink(1, false);
  fabric.settle();
  t.same(reached(0), [2, 3], 'another tree');
  fabric.setLink(2, false);
  fabric.settle();
  t.same(reached(0), [3]);
  fabric.setLink(1, true);
  fabric.settle();
  t.same(reached(0), [2, 3]);

  fabric.setPort(2, EDGE_PORT, 'link');
  fabric.settle();
  t.same(reached(0), [3], 'no copy leaves by a port that is no edge port any more');
});

t.test(
  'membership goes to the controller: reports alone, queries and hellos on their way as well',
  async (t) => {
    const fabric = new FabricWorld({ switches: 2, cables: [[0, 1]] });
    const punted = (fields: Packet): [boolean, number[]] => {
      const { steps } = new SoftwareSwitch(fabric.entries(0)).execute(EDGE_PORT, fields);
      const [first] = stepsOf(steps, 'controller');
      if (first !== undefined) t.equal(decodeFabricPunt(first.userdata ?? Uint8Array.of()), 'membership');
      return [first !== undefined, fabric.walk(0, fields).delivered.slice()];
    };
    const igmp = (address: number): Packet => packet(0, { family: 4, address }, 0, [['ip_proto', 2n]]);
    const mld = (type: number, text: string): Packet =>
      packet(0, { family: 6, address: parseIpv6(text) }, 0, [
        ['ip_proto', 58n],
        ['icmpv6_type', BigInt(type)],
      ]);
    const pim = packet(0, { family: 4, address: 0xe000000d }, 0, [['ip_proto', 103n]]);

    t.same(punted(igmp(0xef010101)), [false, [1]], 'flooded where nobody listens');
    snoops(fabric);
    fabric.settle();
    t.same(punted(igmp(0xef010101)), [true, []], 'a report, or a query for a group');
    t.same(punted(igmp(0xe0000016)), [true, []], 'a report of version 3');
    t.same(punted(igmp(0xe0000001)), [true, [1]], 'a general query');
    t.same(punted(mld(143, 'ff02::16')), [true, []]);
    t.same(punted(mld(131, 'ff05::1')), [true, []]);
    t.same(punted(mld(132, 'ff02::2')), [true, []]);
    t.same(punted(mld(130, 'ff02::1')), [true, [1]]);
    t.same(punted(mld(135, 'ff02::1:ff00:1')), [false, [1]], 'who looks for an address is none of that');
    t.same(punted(pim), [true, [1]]);
  },
);

t.test('no two entries of equal priority meet, and no entry names what is not there', async (t) => {
  const fabric = new FabricWorld({
    switches: 3,
    cables: [
      [0, 1],
      [1, 2],
      [2, 0],
    ],
  });
  snoops(fabric, 'drop');
  snoops(fabric, 'drop', VLAN);
  for (const group of [GROUP, GROUP6]) {
    receives(fabric, 0, group);
    receives(fabric, 1, group, VLAN);
  }
  routes(fabric, 2);
  fabric.settle();
  t.same(fabric.desired.engine.failures(), []);
  t.same(fabric.desired.conflicts(), []);
  for (const index of [0, 1, 2]) {
    t.same(findOverlaps(fabric.entries(index), fabricPipeline), []);
    t.same(findDanglingReferences(fabric.entries(index)), []);
  }
});
