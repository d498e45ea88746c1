/** The shape of each topology file: how many switches, links and stations, and that all of it hangs together. No packet is sent. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

/** Imports a topology as mininet does, and tells its shape. `bridges`: switches that know nothing of Weft. */
const PROGRAM = `
import json, sys
scope = {}
with open(sys.argv[1]) as file: exec(compile(file.read(), sys.argv[1], 'exec'), scope)
topology = scope['topos'][sys.argv[2]](*map(int, sys.argv[3:]))
switches = topology.switches()
bridge = lambda name: getattr(topology.nodeInfo(name).get('cls'), '__name__', '') == 'AccessBridge'
fabric = [name for name in switches if not bridge(name)]
links = topology.links()
print(json.dumps({
    'switches': fabric, 'bridges': [name for name in switches if bridge(name)], 'hosts': topology.hosts(),
    'dpids': [topology.nodeInfo(name).get('dpid') for name in fabric],
    'macs': [topology.nodeInfo(name).get('mac') for name in topology.hosts()],
    'links': [sorted(link) for link in links]}))
`;

interface Shape {
  readonly switches: readonly string[];
  readonly bridges: readonly string[];
  readonly hosts: readonly string[];
  readonly dpids: readonly (string | null)[];
  readonly macs: readonly string[];
  readonly links: readonly (readonly [string, string])[];
}

async function shapeOf(name: string, ...parameters: readonly number[]): Promise<Shape> {
  const argv = ['-c', PROGRAM, `topologies/${name}.py`, name, ...parameters.map(String)];
  const { stdout } = await promisify(execFile)('/usr/bin/python3', argv);
  return JSON.parse(stdout) as Shape;
}

/** Nodes that are reached from the first. */
function reached({ switches, bridges, hosts, links }: Shape): Set<string> {
  const found = new Set([...switches, ...bridges, ...hosts].slice(0, 1));
  for (let grown = true; grown; ) {
    grown = false;
    for (const [one, other] of links) {
      if (found.has(one) === found.has(other)) continue;
      found.add(one).add(other);
      grown = true;
    }
  }
  return found;
}

/** What the files say of themselves: switches, links between switches, stations. */
const SHAPES: readonly (readonly [string, readonly number[], number, number, number])[] = [
  ['torus', [3, 3], 9, 18, 9],
  ['torus', [4, 5, 2], 20, 40, 40],
  ['ring', [4], 4, 4, 4],
  ['ring', [7, 3], 7, 7, 21],
  ['dumbbell', [3], 2, 1, 6],
  ['fat_tree', [4, 1], 20, 32, 8],
  ['fat_tree', [6, 3], 45, 108, 54],
];

for (const [name, parameters, switches, links, hosts] of SHAPES) {
  t.test(`${name} ${parameters.join(' ')}`, async (t) => {
    const shape = await shapeOf(name, ...parameters);
    t.equal(shape.switches.length, switches);
    t.equal(shape.hosts.length, hosts);
    const between = shape.links.filter((ends) => ends.every((end) => shape.switches.includes(end)));
    t.equal(between.length, links);
    t.equal(new Set(between.map((ends) => ends.join())).size, links, 'no two switches have two links');
    t.equal(new Set(shape.dpids).size, switches, 'every switch has a datapath id of its own');
    t.ok(shape.dpids.every((dpid) => dpid !== null && Number.parseInt(dpid, 16) > 0));
    t.equal(new Set(shape.macs).size, hosts);
    t.equal(reached(shape).size, switches + hosts, 'all of it hangs together');
  });
}

t.test('leaf_spine 3 2: each leaf has a link to each spine', async (t) => {
  const shape = await shapeOf('leaf_spine', 3, 2);
  t.equal(shape.switches.length, 5);
  const between = shape.links.filter((ends) => ends.every((end) => shape.switches.includes(end)));
  t.equal(between.length, 6);
  t.equal(new Set(between.map((ends) => ends.join())).size, 6);
  t.equal(new Set(shape.dpids).size, 5);
  t.equal(reached(shape).size, 5 + shape.bridges.length + shape.hosts.length);
});
