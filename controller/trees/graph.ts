/** Nodes and the links between them, as a fabric has them: there may be several links between two nodes, and several parts. */

/** A link that carries both ways. */
export interface Link {
  /** Unique in its graph. */
  readonly id: string;
  readonly ends: readonly [number, number];
}

/** What is at the other end of a link. */
export interface Neighbour {
  readonly node: number;
  readonly link: string;
}

export class Graph {
  readonly #links: readonly Link[];
  readonly #neighbours = new Map<number, Neighbour[]>();

  /**
   * Links of a node to itself are left out, since nothing ever has to travel them.
   *
   * @throws RangeError where a link has an end that is no node, or the id of another one.
   */
  constructor(nodes: Iterable<number>, links: Iterable<Link>) {
    for (const node of nodes) this.#neighbours.set(node, []);
    this.#links = [...links].sort((x, y) => (x.id < y.id ? -1 : 1));
    this.#links.forEach(({ id, ends: [a, b] }, index) => {
      if (this.#links[index + 1]?.id === id) throw new RangeError(`link ${id} is there twice`);
      const ofA = this.#neighbours.get(a);
      const ofB = this.#neighbours.get(b);
      if (ofA === undefined || ofB === undefined) {
        throw new RangeError(`link ${id}: ${ofA === undefined ? a : b} is no node`);
      }
      if (ofA === ofB) return;
      ofA.push({ node: b, link: id });
      ofB.push({ node: a, link: id });
    });
  }

  get nodes(): IterableIterator<number> {
    return this.#neighbours.keys();
  }

  /** In the order of their ids. */
  get links(): readonly Link[] {
    return this.#links;
  }

  has(node: number): boolean {
    return this.#neighbours.has(node);
  }

  /** In the order of the ids of the links; none of a node that is not there. */
  neighbours(node: number): readonly Neighbour[] {
    return this.#neighbours.get(node) ?? [];
  }
}
