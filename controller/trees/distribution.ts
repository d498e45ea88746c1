/**
 * Trees over which hosts relay copies for many: a *priority radix trie*.
 *
 * Each member has a priority and an endless sequence of digits, both hashes of its number and the seed. The member of the least priority
 * is the root; the others go to its children by their first digit, and in each such part the one of the least priority
 * is the child, with the rest of the part divided below it by the next digit, and so on. That is a treap (Aragon and Seidel, 1989)
 * over a radix trie instead of a binary search tree, and has what they have:
 *
 * - It is unique for the set of members, whatever came and went before, so no state can drift and any two computations agree.
 * - A member that comes or goes moves an expected constant number of edges: it is near a leaf with high probability.
 * - Digits are random, so parts are even: the depth grows with the logarithm of the number of members.
 *
 * The root has as many parts as the degree, everybody else one less, for the parent. Other seeds give other trees over the same hosts,
 * so that the work of relaying for many networks is spread over all of them.
 */
import { mix32 } from './hash.js';
import type { Edge, Tree } from './tree.js';

/** Numbers of members have this many bits at most, so that (priority, number) is one exact double. */
const NUMBER_BITS = 20;
const NUMBERS = 2 ** NUMBER_BITS;

/** Apart from the priority, which is of digit 0, each digit is a hash of its own. */
const DIGIT_STEP = 0x9e3779b9;

/**
 * The tree of these members; each has at most `degree` neighbours.
 *
 * @param members Distinct integers from 0 to 2^20 - 1, at least one, in any order.
 * @param degree At least 2.
 * @param seed 32 bits; see `seedOf`.
 * @throws RangeError for other arguments.
 */
export function distributionTree(members: Iterable<number>, degree: number, seed: number): Tree {
  if (!Number.isInteger(degree) || degree < 2) throw new RangeError(`degree ${degree}: at least 2`);
  const { numbers, hashes } = byPriority(members, seed);
  const count = numbers.length;
  const edges: Edge[] = [];
  // Children by place in the order of priority; 0 is none, since the root, which is the first, is nobody's child.
  const width = degree;
  const children = new Int32Array(count * width);
  for (let member = 1; member < count; member++) {
    // Everybody of a lesser priority is in the tree already, so the place of this one is where its digits find a free one.
    const hash = hashes[member] ?? 0;
    let parent = 0;
    let slot = 0;
    for (let level = 0, free = false; !free; level++) {
      const parts = level === 0 ? degree : degree - 1;
      slot = parent * width + digit(hash, level, parts);
      const child = children[slot] ?? 0;
      if (child === 0) free = true;
      else parent = child;
    }
    children[slot] = member;
    edges.push([numbers[parent] ?? 0, numbers[member] ?? 0]);
  }
  return { root: numbers[0] ?? 0, edges };
}

/** The digit of a level, evenly from 0 to `parts` - 1. */
function digit(hash: number, level: number, parts: number): number {
  if (parts === 1) return 0;
  return Math.floor((mix32(hash + Math.imul(level + 1, DIGIT_STEP)) * parts) / 2 ** 32);
}

/** Members by priority, those of equal priority by number, and the hash of each. */
function byPriority(members: Iterable<number>, seed: number): { numbers: number[]; hashes: Uint32Array } {
  const keys: number[] = [];
  for (const number of members) {
    if (!Number.isInteger(number) || number < 0 || number >= NUMBERS) {
      throw new RangeError(`member ${number}: an integer from 0 to ${NUMBERS - 1}`);
    }
    keys.push(mix32(hashOf(number, seed)) * NUMBERS + number);
  }
  if (keys.length === 0) throw new RangeError('a tree has at least one member');
  const numbers = Array.from(Float64Array.from(keys).sort(), (key) => key % NUMBERS);
  const twin = numbers.find((number, index) => number === numbers[index + 1]);
  if (twin !== undefined) throw new RangeError(`member ${twin} is there twice`);
  return { numbers, hashes: Uint32Array.from(numbers, (number) => hashOf(number, seed)) };
}

const hashOf = (number: number, seed: number): number => mix32(mix32(number) ^ seed);
