import fc from 'fast-check';
import t from 'tap';
import {
  branches,
  distancesTo,
  Graph,
  type Link,
  loopFreeAlternates,
  nextHops,
  spanningTree,
} from '../../controller/trees/index.js';

const NODES = 12;

const graphs = fc
  .array(fc.tuple(fc.nat(NODES - 1), fc.nat(NODES - 1)), { maxLength: 30 })
  .map((ends) => graphOf(ends));

const range = (count: number): number[] => [...Array(count).keys()];

/** Nodes 0 to 11 and these links, each named by its place in the list. */
const linksOf = (ends: readonly (readonly [number, number])[]): Link[] =>
  ends.map(([a, b], index) => ({ id: String(index).padStart(2, '0'), ends: [a, b] }));
const graphOf = (ends: readonly (readonly [number, number])[]): Graph =>
  new Graph(range(NODES), linksOf(ends));

const ring = (count: number): Graph => graphOf(range(count).map((node) => [node, (node + 1) % count]));

/** Only these links. */
const part = (graph: Graph, ids: Iterable<string>): Graph => {
  const kept = new Set(ids);
  return new Graph(
    graph.nodes,
    graph.links.filter(({ id }) => kept.has(id)),
  );
};

/** Links between two nodes by relaxing all of them again and again (Bellman-Ford), to compare with. */
function relaxed(graph: Graph, destination: number): Map<number, number> {
  const distances = new Map([[destination, 0]]);
  const relax = (a: number, b: number): void => {
    const through = distances.get(b);
    if (through !== undefined && through + 1 < (distances.get(a) ?? Infinity)) distances.set(a, through + 1);
  };
  for (let round = 0; round < NODES; round++) {
    for (const {
      ends: [a, b],
    } of graph.links) {
      relax(a, b);
      relax(b, a);
    }
  }
  return distances;
}

/** Which nodes there is a way to. */
const partOf = (graph: Graph, node: number): number[] =>
  [...distancesTo(graph, node).keys()].sort((a, b) => a - b);

/** A tree has exactly one link less than it has nodes, in each part. */
function assertSpans(graph: Graph, tree: readonly string[]): void {
  const spanned = part(graph, tree);
  const partsOf = (of: Graph): string[] => range(NODES).map((node) => String(partOf(of, node)));
  const parts = partsOf(graph);
  if (String(partsOf(spanned)) !== String(parts)) throw new Error(`${tree.join()} connects something else`);
  const links = NODES - new Set(parts).size;
  if (tree.length !== links) throw new Error(`${tree.length} links where ${links} do`);
}

t.test('a spanning tree connects what the graph connects, without a loop, by shortest paths', async () => {
  fc.assert(
    fc.property(graphs, fc.nat(NODES - 1), (graph, root) => {
      const tree = spanningTree(graph, root);
      assertSpans(graph, tree);
      const over = distancesTo(part(graph, tree), root);
      for (const [node, distance] of distancesTo(graph, root)) {
        if (over.get(node) !== distance)
          throw new Error(`${node} is ${over.get(node)} away, not ${distance}`);
      }
    }),
  );
});

t.test('a spanning tree does not depend on the order of nodes and links', async (t) => {
  fc.assert(
    fc.property(graphs, fc.nat(NODES - 1), (graph, root) => {
      const turned = new Graph([...graph.nodes].reverse(), [...graph.links].reverse());
      t.strictSame(spanningTree(turned, root), spanningTree(graph, root));
    }),
  );
});

t.test('with an older tree, its links stay and no more are added than it lost', async (t) => {
  const pairs = fc.tuple(graphs, fc.array(fc.tuple(fc.nat(NODES - 1), fc.nat(NODES - 1)), { maxLength: 3 }));
  fc.assert(
    fc.property(pairs, fc.array(fc.nat(29), { maxLength: 5 }), ([before, more], gone) => {
      const previous = spanningTree(before, 0);
      const kept = before.links.filter(({ id }) => !gone.includes(Number(id)));
      const added = more.map(([a, b], index): Link => ({ id: `new ${index}`, ends: [a, b] }));
      const graph = new Graph(before.nodes, [...kept, ...added]);
      const tree = spanningTree(graph, 0, previous);
      assertSpans(graph, tree);
      for (const { id } of kept) if (previous.includes(id)) t.ok(tree.includes(id), `link ${id} stays`);
    }),
  );
});

t.test('a ring that loses a link of its tree gets back the one that it did not use', async (t) => {
  const graph = ring(6);
  const tree = spanningTree(graph, 0);
  const unused = graph.links.find(({ id }) => !tree.includes(id))?.id ?? '';
  const lost = tree[2] ?? '';
  const rest = new Graph(
    graph.nodes,
    graph.links.filter(({ id }) => id !== lost),
  );
  const repaired = spanningTree(rest, 0, tree);
  t.strictSame(repaired, [...tree.filter((id) => id !== lost), unused].sort());
  t.strictSame(spanningTree(graph, 0, repaired), repaired, 'the link that comes back is not needed');
});

t.test('trees with different roots use different links of equal worth', async (t) => {
  // Leaves 0 to 3, each linked to spines 4 to 7.
  const graph = graphOf(
    range(4).flatMap((leaf) => range(4).map((spine): [number, number] => [leaf, 4 + spine])),
  );
  const spines = range(4).map((leaf) => {
    const tree = part(graph, spanningTree(graph, leaf));
    return range(4).find((spine) => tree.neighbours(4 + spine).length > 1);
  });
  t.ok(new Set(spines).size > 1, `spines ${spines.join()}`);
});

t.test('copies go where receivers are, once, from any sender, and nowhere else', async (t) => {
  fc.assert(
    fc.property(graphs, fc.uniqueArray(fc.nat(NODES - 1)), (graph, receivers) => {
      const tree = spanningTree(graph, 0);
      const hops = branches(graph, tree, new Set(receivers));
      const hopsFrom = (node: number) => hops.filter(({ from }) => from === node);
      for (const sender of graph.nodes) {
        const reached = new Map([[sender, 1]]);
        const useful = new Set<number>();
        const arrive = (node: number, by: string): boolean => {
          let needed = receivers.includes(node);
          for (const { to, link } of hopsFrom(node)) {
            if (link === by) continue;
            reached.set(to, (reached.get(to) ?? 0) + 1);
            needed = arrive(to, link) || needed;
          }
          if (needed) useful.add(node);
          return needed;
        };
        arrive(sender, '');
        const meant = receivers.filter((node) => distancesTo(graph, sender).has(node));
        for (const node of meant) t.equal(reached.get(node), 1);
        for (const node of reached.keys()) t.ok(useful.has(node) || node === sender);
      }
    }),
    { numRuns: 50 },
  );
});

t.test('distances are those of relaxation; next hops are one nearer', async (t) => {
  fc.assert(
    fc.property(graphs, fc.nat(NODES - 1), (graph, destination) => {
      const distances = distancesTo(graph, destination);
      const expected = relaxed(graph, destination);
      t.strictSame(new Map([...distances].sort()), new Map([...expected].sort()));
      for (const node of graph.nodes) {
        const hops = nextHops(graph, distances, node);
        const own = distances.get(node);
        if (own !== undefined && own > 0) t.ok(hops.length > 0);
        else t.equal(hops.length, 0);
        for (const hop of hops) t.equal(distances.get(hop.node), Number(own) - 1);
      }
    }),
  );
});

t.test('an alternate never gives a packet back: the inequality of RFC 5286 with all distances', async (t) => {
  fc.assert(
    fc.property(graphs, fc.nat(NODES - 1), fc.nat(NODES - 1), (graph, destination, node) => {
      const distances = distancesTo(graph, destination);
      const toNode = distancesTo(graph, node);
      const own = distances.get(node);
      const primary = nextHops(graph, distances, node);
      const meets = ({ node: neighbour }: { node: number }): boolean =>
        own !== undefined &&
        own > 0 &&
        (distances.get(neighbour) ?? Infinity) < (toNode.get(neighbour) ?? Infinity) + own &&
        primary.every((hop) => hop.node !== neighbour);
      t.strictSame(
        loopFreeAlternates(graph, distances, node)
          .map(({ link }) => link)
          .sort(),
        graph
          .neighbours(node)
          .filter(meets)
          .map(({ link }) => link)
          .sort(),
      );
    }),
  );
});

t.test('an alternate that avoids the next hop comes first', async (t) => {
  // From 0 to 5 over 1. 2 goes over 1 as well, 3 over 4.
  const graph = graphOf([
    [0, 1],
    [1, 5],
    [0, 2],
    [2, 1],
    [0, 3],
    [3, 4],
    [4, 5],
  ]);
  const distances = distancesTo(graph, 5);
  t.strictSame(
    nextHops(graph, distances, 0).map(({ node }) => node),
    [1],
  );
  t.strictSame(
    loopFreeAlternates(graph, distances, 0).map(({ node }) => node),
    [3, 2],
  );
});

t.test('what is no graph is refused', async (t) => {
  t.throws(() => new Graph([1], [{ id: 'x', ends: [1, 2] }]), /link x: 2 is no node/);
  const twice: Link[] = [
    { id: 'x', ends: [1, 2] },
    { id: 'x', ends: [2, 1] },
  ];
  t.throws(() => new Graph([1, 2], twice), /link x is there twice/);
  t.throws(() => spanningTree(new Graph([1], []), 2), /root 2 is no node/);
  t.throws(() => spanningTree(ring(3), 0, ['00', '01', '02']), /previous: link 02 closes a loop/);
});
