import { Bitset } from './bitset.js';

/** Values of which each has one owner, and the lowest free one of which can be found. */
export class OwnedNumbers {
  readonly #owners = new Map<number, string>();
  readonly #taken = new Bitset();

  owner(value: number): string | undefined {
    return this.#owners.get(value);
  }

  add(value: number, owner: string): void {
    if (this.#taken.add(value)) this.#owners.set(value, owner);
  }

  delete(value: number, owner: string): void {
    if (this.#owners.get(value) !== owner) return;
    this.#owners.delete(value);
    this.#taken.delete(value);
  }

  lowestFree(first: number, last: number): number | undefined {
    return this.#taken.lowestAbsent(first, last);
  }
}
