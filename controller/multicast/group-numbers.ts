/** Numbers of multicast groups: 23 bits for each (network, group), kept while it has receivers. */

const BITS = 23;
/** Not the last one: ids of OpenFlow groups end before (`apps/flood-layout.ts`). */
const NUMBERS = 2 ** BITS - 1;

export class GroupNumbers {
  readonly #numbers = new Map<string, { readonly number: number; users: number }>();
  readonly #used = new Set<number>();
  /** The next one to try: numbers come back into use as late as can be. */
  #next = 1;

  get size(): number {
    return this.#numbers.size;
  }

  get(key: string): number | undefined {
    return this.#numbers.get(key)?.number;
  }

  /**
   * The number of a group, for one receiver more; undefined when there are no more.
   * @param wanted what it was before a restart; it gets another one if that is taken
   */
  take(key: string, wanted?: number): number | undefined {
    const known = this.#numbers.get(key);
    if (known !== undefined) {
      known.users++;
      return known.number;
    }
    if (this.#used.size >= NUMBERS - 1) return undefined;
    const number = wanted !== undefined && this.#isFree(wanted) ? wanted : this.#free();
    this.#used.add(number);
    this.#numbers.set(key, { number, users: 1 });
    return number;
  }

  /** One receiver less. */
  release(key: string): void {
    const known = this.#numbers.get(key);
    if (known === undefined || --known.users > 0) return;
    this.#numbers.delete(key);
    this.#used.delete(known.number);
  }

  #isFree(number: number): boolean {
    return Number.isInteger(number) && number > 0 && number < NUMBERS && !this.#used.has(number);
  }

  #free(): number {
    while (this.#used.has(this.#next)) this.#advance();
    const number = this.#next;
    this.#advance();
    return number;
  }

  #advance(): void {
    this.#next = this.#next + 1 < NUMBERS ? this.#next + 1 : 1;
  }
}
