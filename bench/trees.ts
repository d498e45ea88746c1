/**
 * Distribution trees over 64, 256 and 1,000 hosts against head-end replication, which is the planner's own way below its limit: what the uplinks of
 * hosts carry and how far copies travel, counted in a simulated network; how many edges a change moves; how long a tree takes.
 *
 * The bench fails when a packet does not reach each host exactly once.
 */
import { apps, pipeline } from '../apps/index.js';
import { Numbering } from '../controller/channel/index.js';
import { DatapathController } from '../controller/datapath/controller.js';
import {
  distributionTree,
  movedEdges,
  neighbours,
  seedOf,
  type Edge,
  type Tree,
} from '../controller/trees/index.js';
import { endpointChange, hostFact, NETWORK, PlannerRig, range } from '../test/multicast/planner-rig.js';
import { SimulatedNetwork } from '../test/multicast/simulated-network.js';
import { compare, inTurn, type Result } from './harness.js';

const SIZES = [64, 256, 1_000] as const;
const DEGREE = 4;
const NETWORKS = 50;
/** Bytes of a full frame in a tunnel: 1,450 of the inner frame, and Ethernet, IPv4, UDP and VXLAN (RFC 7348) around it. */
const BYTES = 1_450 + 14 + 20 + 8 + 8;

const HEAD_END = 'head-end replication';
const HEAP = '4-ary heap of the sorted hosts';

/** What one packet costs the uplinks. */
interface Cost {
  /** Copies that its sender sends. */
  readonly sender: number;
  /** Copies of the host that sends most. */
  readonly busiest: number;
  /** Tunnels that the last copy travels. */
  readonly hops: number;
}

/** Sends a packet and counts. @throws when somebody gets none, or more than one */
function cost(count: number, tree: Tree | undefined, sender: number): Cost {
  const network = new SimulatedNetwork(range(1, count), () => 0);
  network.setMembers(new Set(range(1, count)));
  if (tree !== undefined) network.write({ network: 1, trees: [{ ...tree, colour: 1 }], sending: 1 });
  network.takeAll();
  const sent = new Map<number, number>();
  const hops = new Map([[sender, 0]]);
  network.onCopy = (from, to) => {
    sent.set(from, (sent.get(from) ?? 0) + 1);
    hops.set(to, (hops.get(from) ?? 0) + 1);
  };
  const packet = network.send(sender);
  network.arriveOlderThan(0);
  const once = [...packet.received.values()].every((copies) => copies === 1);
  if (packet.received.size !== count || !once) throw new Error('not everybody got exactly one copy');
  return {
    sender: sent.get(sender) ?? 0,
    busiest: Math.max(...sent.values()),
    hops: Math.max(...hops.values()),
  };
}

const treeOf = (members: readonly number[], network: number): Tree =>
  distributionTree(members, DEGREE, seedOf(network));

/** The other tree of bounded degree that comes to mind: complete, and of the least depth. */
function heap(members: readonly number[]): Tree {
  const sorted = members.toSorted((a, b) => a - b);
  const parts = DEGREE - 1;
  const edges = sorted.slice(1).map((child, index): Edge => [sorted[Math.floor(index / parts)] ?? 0, child]);
  return { root: sorted[0] ?? 0, edges };
}

/** Edges moved by each of some changes of one member, on average. */
function moved(
  members: readonly number[],
  changes: number,
  of: (members: readonly number[]) => Tree,
): number {
  const before = of(members);
  let sum = 0;
  for (let change = 0; change < changes; change++) {
    const gone = members[Math.floor(((change + 0.5) * members.length) / changes)];
    sum += movedEdges(before, of(members.filter((member) => member !== gone))).added.length;
  }
  return sum / changes;
}

/** Flow entries of each host's switch, with one endpoint of the network on each. */
function flowEntries(count: number, tree?: Tree): readonly number[] {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  const { facts } = datapaths;
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  facts.networks.set(NETWORK.id, { ...NETWORK, number: 1 });
  for (const number of range(1, count)) {
    const host = hostFact(number);
    facts.hosts.set(host.name, host);
    const endpoint = endpointChange(number, true);
    if (endpoint.kind === 'endpoint' && endpoint.value !== undefined)
      facts.endpoints.set(endpoint.key, endpoint.value);
  }
  if (tree !== undefined)
    facts.distributions.set('1', { network: 1, trees: [{ ...tree, colour: 1 }], sending: 1 });
  datapaths.settle();
  const held = range(1, count).map(
    (number) =>
      [...datapaths.desired(hostFact(number).datapathId ?? '')].filter(({ kind }) => kind === 'flow').length,
  );
  datapaths.close();
  return held;
}

function milliseconds(times: number, work: () => unknown): number {
  const start = performance.now();
  for (let time = 0; time < times; time++) work();
  return (performance.now() - start) / times;
}

/** From a host that joins until all switches were told of the new tree and of its use, by the planner, with switches that acknowledge at once. */
async function change(rig: PlannerRig, host: number): Promise<number> {
  const joins = !rig.members.has(host);
  const start = performance.now();
  if (joins) rig.join(host);
  else rig.leave(host);
  await rig.turn();
  rig.network.takeAll();
  await rig.turn();
  const taken = performance.now() - start;
  const standing = rig.fact?.trees.find(({ colour }) => colour === rig.fact?.sending);
  const members = standing === undefined ? 0 : standing.edges.length + 1;
  if (members !== rig.members.size)
    throw new Error(`senders use a tree of ${members} hosts, not ${rig.members.size}`);
  await rig.quiet();
  return taken;
}

async function ofSize(count: number, rounds: number): Promise<Result[]> {
  const members = range(1, count);
  const trees = range(1, NETWORKS).map((network) => treeOf(members, network));
  const costs = trees.map((tree, index) => cost(count, tree, members[(index * 7) % count] ?? 1));
  const replicated = cost(count, undefined, 1);
  const counted = (name: string, unit: string, of: (cost: Cost) => number): Result => ({
    name: `${name}, ${count} hosts`,
    unit,
    value: Math.max(...costs.map(of)),
    peer: HEAD_END,
    peerValue: of(replicated),
    better: 'lower',
  });
  const relays = trees.map((tree) => [...neighbours(tree).values()].map((of) => of.length));
  const tree = treeOf(members, 1);
  const replicating = flowEntries(count);
  const relaying = flowEntries(count, tree).map((held, index) => held - (replicating[index] ?? 0));
  const seconds = await inTurn(rounds, {
    tree: () => milliseconds(10, () => treeOf(members, 1)),
    heap: () => milliseconds(10, () => heap(members)),
  });
  const rig = new PlannerRig(count);
  rig.join(...range(1, count - 1));
  await rig.quiet();
  const changes = await inTurn(rounds, {
    planner: () => change(rig, count),
    tree: () => milliseconds(10, () => treeOf(members, 1)),
  });
  rig.planner.close();
  const results: Result[] = [
    {
      ...counted('copies on the uplink of the sender, at most', 'copies', ({ sender }) => sender),
      target: Math.ceil((1_000 * DEGREE) / (count - 1)) / 1_000,
    },
    counted('bytes there for a full frame', 'bytes', ({ sender }) => sender * BYTES),
    counted('copies of the busiest host', 'copies', ({ busiest }) => busiest),
    counted('tunnels to the farthest host', 'tunnels', ({ hops }) => hops),
    {
      name: `neighbours of a host, on average, ${count} hosts`,
      unit: 'hosts',
      value: relays.flat().reduce((sum, of) => sum + of, 0) / relays.flat().length,
      peer: HEAD_END,
      peerValue: count - 1,
      better: 'lower',
    },
    {
      name: `edges moved by a change of one host, ${count} hosts`,
      unit: 'edges',
      value: moved(members, 64, (of) => treeOf(of, 1)),
      peer: HEAP,
      peerValue: moved(members, 64, heap),
      better: 'lower',
    },
    {
      name: `entries of the fullest switch for the tree, ${count} hosts`,
      unit: 'entries',
      value: Math.max(...relaying),
      peer: 'all entries without it',
      peerValue: Math.max(...replicating),
      better: 'lower',
    },
    compare(`a tree computed, ${count} hosts`, 'ms', seconds.tree, HEAP, seconds.heap, { better: 'lower' }),
    compare(
      `a tree changed by the planner, ${count} hosts`,
      'ms',
      changes.planner,
      'the tree alone',
      changes.tree,
      { better: 'lower' },
    ),
  ];
  return results;
}

export async function run({ rounds = 5 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const count of SIZES) results.push(...(await ofSize(count, rounds)));
  return results;
}
