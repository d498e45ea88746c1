/** Sets by key that exist only while they have members. */
export class MultiMap {
  readonly #sets = new Map<string, Set<string>>();

  get(key: string): ReadonlySet<string> {
    return this.#sets.get(key) ?? EMPTY;
  }

  add(key: string, member: string): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([member]));
    else set.add(member);
  }

  delete(key: string, member: string): void {
    const set = this.#sets.get(key);
    if (set?.delete(member) === true && set.size === 0) this.#sets.delete(key);
  }
}
const EMPTY: ReadonlySet<string> = new Set();

/** Key of two parts: a port of a host, a container's UUID in a network. */
export const pair = (left: string, right: string): string => `${left}\n${right}`;
