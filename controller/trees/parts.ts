/** Which nodes are connected already (disjoint sets, with path halving). */
export class Parts {
  readonly #towards = new Map<number, number>();

  /** False if they were. */
  join(a: number, b: number): boolean {
    const [x, y] = [this.#find(a), this.#find(b)];
    if (x === y) return false;
    this.#towards.set(x, y);
    return true;
  }

  #find(node: number): number {
    let at = node;
    for (let next = this.#towards.get(at); next !== undefined; next = this.#towards.get(at)) {
      const beyond = this.#towards.get(next);
      if (beyond !== undefined) this.#towards.set(at, beyond);
      at = next;
    }
    return at;
  }
}
