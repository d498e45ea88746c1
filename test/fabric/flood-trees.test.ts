import fc from 'fast-check';
import t from 'tap';
import { FloodTrees } from '../../controller/fabric/flood-trees.js';
import { Parts } from '../../controller/trees/index.js';

const CLASSES = 2;

/** A cable between two switches; ports are numbered by cable, so that each end is unique. */
interface Cable {
  readonly ends: readonly [number, number];
  readonly port: number;
}

type Event =
  | { readonly kind: 'found' | 'lost'; readonly cable: number }
  | { readonly kind: 'settle' }
  | { readonly kind: 'up' | 'away' | 'apply' | 'acknowledge'; readonly of: number };

const idOf = (index: number): string => (index + 1).toString(16).padStart(16, '0');

/** What one switch holds, has been asked for and has acknowledged. */
interface Simulated {
  connected: boolean;
  /** `<class>/<port>` */
  held: ReadonlySet<string>;
  asked: ReadonlySet<string>;
  version: number;
  heldVersion: number;
  /** Asked for and not yet taken over, in order. */
  pending: { readonly version: number; readonly ports: ReadonlySet<string> }[];
}

/** Rings are what loops are made of; other cables make them many. */
const ring = (count: number): (readonly [number, number])[] =>
  Array.from({ length: count }, (_, index) => [index, (index + 1) % count] as const);

/** Switches that take over what they are asked for whenever the test says so. */
class World {
  readonly trees = new FloodTrees(CLASSES);
  readonly switches: Simulated[];
  readonly found = new Set<number>();

  constructor(
    count: number,
    readonly cables: readonly Cable[],
  ) {
    this.switches = Array.from({ length: count }, () => {
      const none = new Set<string>();
      return { connected: true, held: none, asked: none, version: 0, heldVersion: 0, pending: [] };
    });
    for (const index of this.switches.keys()) this.trees.switchUp(idOf(index), index + 1);
    this.update();
  }

  run(event: Event): void {
    switch (event.kind) {
      case 'found':
      case 'lost': {
        const cable = this.cables[event.cable % Math.max(1, this.cables.length)];
        if (cable !== undefined) this.#cable(cable, event.kind === 'found');
        break;
      }
      case 'up':
      case 'away':
        this.#connect(event.of % this.switches.length, event.kind === 'up');
        break;
      case 'settle':
        this.settle();
        return;
      case 'apply':
        this.#apply(this.#at(event.of));
        return;
      case 'acknowledge': {
        const each = this.#at(event.of);
        if (each.connected) this.trees.acknowledged(idOf(event.of % this.switches.length), each.heldVersion);
        break;
      }
    }
    this.update();
  }

  /** Everything that is connected takes over and acknowledges everything. */
  settle(): void {
    for (let round = 0; round < 100; round++) {
      for (const [index, each] of this.switches.entries()) {
        while (each.connected && each.pending.length > 0) this.#apply(each);
        if (each.connected) this.trees.acknowledged(idOf(index), each.heldVersion);
      }
      if (!this.update()) return;
    }
    throw new Error('it never settles');
  }

  /** True if anything was asked of anybody. */
  update(): boolean {
    const { changes, versions } = this.trees.update();
    const asked = new Map<number, Set<string>>();
    for (const { treeClass, datapathId, port, floods } of changes) {
      const index = Number.parseInt(datapathId, 16) - 1;
      const ports = asked.get(index) ?? new Set(this.switches[index]?.asked);
      asked.set(index, ports);
      if (floods) ports.add(`${treeClass}/${port}`);
      else ports.delete(`${treeClass}/${port}`);
    }
    for (const [index, ports] of asked) {
      const each = this.#at(index);
      each.asked = ports;
      each.version = versions.get(idOf(index)) ?? Number.NaN;
      if (each.connected) each.pending.push({ version: each.version, ports });
    }
    return asked.size > 0;
  }

  /** Cables, found or not, over which frames of a class are flooded right now. */
  flooding(treeClass: number): Cable[] {
    return this.cables.filter(({ ends, port }) =>
      ends.every((end) => this.switches[end]?.held.has(`${treeClass}/${port}`)),
    );
  }

  #cable({ ends: [a, b], port }: Cable, found: boolean): void {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const key = `${idOf(from)}/${port}`;
      if (!found) this.trees.linkGone(key);
      else this.trees.linkSet(key, { datapathId: idOf(from), port, toDatapathId: idOf(to), toPort: port });
    }
    if (found) this.found.add(port);
    else this.found.delete(port);
  }

  #connect(index: number, up: boolean): void {
    const each = this.#at(index);
    if (each.connected === up) return;
    each.connected = up;
    // What was on its way may have arrived or not (`apply` before this); what comes next is the whole table.
    each.pending = up ? [{ version: each.version, ports: each.asked }] : [];
    if (up) this.trees.switchUp(idOf(index), index + 1);
    else this.trees.switchAway(idOf(index));
  }

  #apply(each: Simulated): void {
    const next = each.connected ? each.pending.shift() : undefined;
    if (next === undefined) return;
    each.held = next.ports;
    each.heldVersion = next.version;
  }

  #at(index: number): Simulated {
    return this.switches[index % this.switches.length] as Simulated;
  }
}

const worlds = fc.integer({ min: 2, max: 7 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    cables: fc
      .tuple(
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { minLength: 1, maxLength: 7 }),
      )
      .map(([round, pairs]) =>
        [...(round ? ring(count) : []), ...pairs]
          .filter(([a, b]) => a !== b)
          .map((ends, index): Cable => ({ ends, port: index + 1 })),
      ),
  }),
);

const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('found' as const), cable: fc.nat(13) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lost' as const), cable: fc.nat(13) }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constantFrom('apply' as const, 'acknowledge' as const), of: fc.nat(6) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('up' as const, 'away' as const), of: fc.nat(6) }),
  },
);

function hasLoop(count: number, cables: readonly Cable[]): boolean {
  const parts = new Parts();
  return count > 0 && cables.some(({ ends: [a, b] }) => !parts.join(a, b));
}

t.test('whatever happens, in whatever order switches follow, flooded frames never meet a loop', async (t) => {
  let steps = 0;
  fc.assert(
    fc.property(worlds, fc.array(events, { maxLength: 80, size: 'max' }), ({ count, cables }, history) => {
      const world = new World(count, cables);
      for (const cable of cables.keys()) world.run({ kind: 'found', cable });
      world.settle();
      for (const event of history) {
        world.run(event);
        steps++;
        for (let treeClass = 0; treeClass < CLASSES; treeClass++) {
          if (hasLoop(count, world.flooding(treeClass))) return false;
        }
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.ok(steps > 3_000);
});

t.test(
  'once switches have followed, the trees span what links and connected switches there are',
  async () => {
    fc.assert(
      fc.property(worlds, fc.array(events, { maxLength: 60, size: 'max' }), ({ count, cables }, history) => {
        const world = new World(count, cables);
        for (const event of history) world.run(event);
        world.settle();
        const live = cables.filter(
          ({ ends, port }) => world.found.has(port) && ends.every((end) => world.switches[end]?.connected),
        );
        for (let treeClass = 0; treeClass < CLASSES; treeClass++) {
          const parts = new Parts();
          for (const { ends } of world.flooding(treeClass)) if (!parts.join(...ends)) return false;
          // What a link could still join is apart.
          if (live.some(({ ends }) => parts.join(...ends))) return false;
        }
        return true;
      }),
      { numRuns: 200 },
    );
  },
);

t.test('a switch that is away carries no tree on if there is another way', async (t) => {
  // A square of which switch 1 goes away.
  const ends = [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 0],
  ] as const;
  const world = new World(
    4,
    ends.map((pair, index) => ({ ends: pair, port: index + 1 })),
  );
  for (const cable of ends.keys()) world.run({ kind: 'found', cable });
  world.settle();
  for (let treeClass = 0; treeClass < CLASSES; treeClass++) t.equal(world.flooding(treeClass).length, 3);
  world.run({ kind: 'away', of: 1 });
  world.settle();
  for (let treeClass = 0; treeClass < CLASSES; treeClass++) {
    const ports = world.flooding(treeClass).map(({ port }) => port);
    t.ok(
      [3, 4].every((port) => ports.includes(port)),
      'the way around it is used',
    );
    t.ok(ports.length <= 3);
  }
});

t.test('a root for each class, so that classes use different links', async (t) => {
  const trees = new FloodTrees(8);
  const count = 8;
  for (let index = 0; index < count; index++) trees.switchUp(idOf(index), index + 1);
  for (let a = 0; a < count; a++) {
    for (let b = 0; b < count; b++) {
      if (a === b) continue;
      const [port, toPort] = [b + 1, a + 1];
      trees.linkSet(`${idOf(a)}/${port}`, { datapathId: idOf(a), port, toDatapathId: idOf(b), toPort });
    }
  }
  const { changes } = trees.update();
  const links = new Map<number, string[]>();
  for (const { treeClass, datapathId, port } of changes) {
    links.set(treeClass, [...(links.get(treeClass) ?? []), `${datapathId}/${port}`]);
  }
  t.equal(links.size, 8);
  for (const ports of links.values()) t.equal(ports.length, 2 * (count - 1));
  t.equal(new Set([...links.values()].map((ports) => ports.sort().join())).size, 8);
  t.ok(trees.settled);
  t.same(trees.update().changes, [], 'nothing is asked twice');
});
