import fc from 'fast-check';
import t from 'tap';
import {
  depth,
  distributionTree,
  type Edge,
  membersOf,
  movedEdges,
  neighbours,
  seedOf,
  type Tree,
} from '../../controller/trees/index.js';

const hosts = fc.uniqueArray(fc.nat(65_535), { minLength: 1, maxLength: 200 });
const degrees = fc.integer({ min: 2, max: 32 });
const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

const range = (count: number): number[] => [...Array(count).keys()];
const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

/** Whoever can be reached from the root, going over each edge once. */
function reached({ root, edges }: Tree): number[] {
  const seen = new Set([root]);
  for (const [parent, child] of edges) {
    if (!seen.has(parent)) throw new Error(`edge ${parent}-${child} is before the one to ${parent}`);
    if (seen.has(child)) throw new Error(`${child} is reached twice`);
    seen.add(child);
  }
  return [...seen];
}

t.test('a tree spans exactly its members, without a loop, within its degree', async (t) => {
  fc.assert(
    fc.property(hosts, degrees, seeds, (members, degree, seed) => {
      const tree = distributionTree(members, degree, seed);
      t.strictSame(sorted(reached(tree)), sorted(members));
      t.strictSame(membersOf(tree), reached(tree));
      t.equal(tree.edges.length, members.length - 1);
      const most = Math.max(...[...neighbours(tree).values()].map((of) => of.length));
      if (most > degree) throw new Error(`${most} neighbours`);
    }),
  );
});

t.test('a tree depends on the set of its members only, not on what came before', async (t) => {
  const histories = fc.array(fc.tuple(fc.constantFrom('join', 'leave'), fc.nat(60)), { maxLength: 200 });
  fc.assert(
    fc.property(histories, degrees, seeds, (history, degree, seed) => {
      const members = new Set([61]);
      for (const [what, host] of history) {
        if (what === 'join') members.add(host);
        else members.delete(host);
      }
      t.strictSame(
        distributionTree(members, degree, seed),
        distributionTree(sorted([...members]), degree, seed),
      );
    }),
  );
});

t.test(
  'trees of one release are those of the next: hosts that run must not all change their neighbours',
  async (t) => {
    const edges: Edge[] = [
      [3, 4],
      [3, 0],
      [3, 2],
      [3, 5],
      [0, 1],
    ];
    t.strictSame(distributionTree(range(6), 4, seedOf(7)), { root: 3, edges });
  },
);

t.test('depth grows with the logarithm of the number of members', async (t) => {
  const deepest = (count: number): number =>
    Math.max(...range(20).map((seed) => depth(distributionTree(range(count), 4, seedOf(seed)))));
  for (const count of [64, 256, 1_000, 10_000]) {
    const ideal = Math.log(count) / Math.log(3);
    const most = deepest(count);
    t.ok(most <= ideal + 4, `${count} members: ${most}, at best ${ideal.toFixed(1)}`);
  }
});

t.test(
  'a change of one member moves a handful of edges on average, whatever the number of members',
  async (t) => {
    const changes = 300;
    for (const count of [64, 512]) {
      let moved = 0;
      const members = new Set(range(count));
      let before = distributionTree(members, 4, 1);
      for (let change = 0; change < changes; change++) {
        const host = (change * 7_919) % (2 * count);
        if (!members.delete(host)) members.add(host);
        const after = distributionTree(members, 4, 1);
        const { added, removed } = movedEdges(before, after);
        t.equal(added.length - removed.length, after.edges.length - before.edges.length);
        moved += Math.max(added.length, removed.length);
        before = after;
      }
      t.ok(moved / changes < 6, `${count} members: ${(moved / changes).toFixed(2)} edges`);
    }
  },
);

t.test('seeds give trees of their own, so that no host is the root of all', async (t) => {
  const roots = range(200).map((network) => distributionTree(range(20), 4, seedOf(network)).root);
  const times = range(20).map((host) => roots.filter((root) => root === host).length);
  t.ok(
    Math.max(...times) < 30,
    `each of 20 hosts is the root of ${Math.min(...times)} to ${Math.max(...times)} of 200`,
  );
  t.ok(Math.min(...times) > 0);
});

t.test('what is moved does not depend on which end is the parent', async (t) => {
  const before: Tree = {
    root: 1,
    edges: [
      [1, 2],
      [2, 3],
    ],
  };
  const after: Tree = {
    root: 3,
    edges: [
      [3, 2],
      [3, 1],
    ],
  };
  t.strictSame(movedEdges(before, after), { added: [[3, 1]], removed: [[1, 2]] });
});

t.test('arguments that are none are refused', async (t) => {
  t.throws(() => distributionTree([], 4, 0), /at least one member/);
  t.throws(() => distributionTree([1, 2, 1], 4, 0), /member 1 is there twice/);
  t.throws(() => distributionTree([1], 1, 0), /degree 1: at least 2/);
  t.throws(() => distributionTree([-1], 4, 0), /member -1: an integer from 0/);
  t.throws(() => distributionTree([2 ** 20], 4, 0), RangeError);
});
