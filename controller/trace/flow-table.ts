/**
 * One table of a switch, indexed for lookups: entries that compare the same bits of the same fields are found by the values of those
 * bits (tuple space search, as Open vSwitch's classifier does), so that a lookup costs as much as there are kinds of matches.
 */
import type { ActionOf, Field, Instruction, Match, OxmValue } from '../../ofproto/index.js';
import { type Comparison, comparisonsOf, type Packet, wholeName } from './packet.js';

/** What an entry needs to be executed; FlowStats and DesiredFlow are of this form. */
export interface ExecutableFlow {
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** What a lookup found. */
export interface Found<E> {
  /** Absent: nothing matched. */
  readonly entry?: E;
  /** Where the entry was found by a conjunctive match: its id, and the entries that fulfilled its dimensions. */
  readonly conjunction?: { readonly id: number; readonly entries: readonly E[] };
  /** Entries that might have matched instead: they compare fields that this library does not know. */
  readonly doubtful: readonly E[];
}

/** An entry, and the dimensions of conjunctive matches that it fulfils; none: an entry like others. */
interface Indexed<E> {
  readonly entry: E;
  readonly priority: number;
  readonly conjunctions: readonly ActionOf<'conjunction'>[];
}

/** Entries that compare the same bits. */
interface Subtable<E> {
  readonly compared: readonly { readonly name: string; readonly mask?: bigint }[];
  /** By compared values; in descending order of priority once `#sorted`. */
  readonly byValue: Map<string, Indexed<E>[]>;
  highest: number;
}

const NONE: readonly never[] = [];
const MAX_32_BITS = 0xffff_ffff;

export class FlowTable<E extends ExecutableFlow> {
  readonly #subtables = new Map<string, Subtable<E>>();
  readonly #doubtful: E[] = [];
  #inOrder: readonly Subtable<E>[] | undefined;
  #size = 0;

  constructor(entries: Iterable<E> = []) {
    for (const entry of entries) this.add(entry);
  }

  get size(): number {
    return this.#size;
  }

  add(entry: E): void {
    this.#inOrder = undefined;
    this.#size++;
    const { priority } = entry;
    if (entry.match.some(({ field }) => field.kind === 'opaque')) {
      this.#doubtful.push(entry);
      return;
    }
    let [signature, values] = ['', ''];
    for (const { field, value, mask } of entry.match) {
      const name = nameOf(field);
      if (name === undefined || typeof value === 'object') {
        for (const comparison of comparisonsOf(field, value, mask)) {
          signature += signatureOf(comparison);
          values += `${comparison.mask === undefined ? comparison.value : comparison.value & comparison.mask},`;
        }
      } else if (mask === undefined) {
        signature += `${name}/,`;
        values += `${value},`;
      } else {
        signature += `${name}/${mask},`;
        values += `${and(value, mask)},`;
      }
    }
    let subtable = this.#subtables.get(signature);
    if (subtable === undefined) {
      const compared = entry.match.flatMap(({ field, value, mask }) =>
        comparisonsOf(field, value, mask).map((one) =>
          one.mask === undefined ? { name: one.name } : { name: one.name, mask: one.mask },
        ),
      );
      subtable = { compared, byValue: new Map(), highest: priority };
      this.#subtables.set(signature, subtable);
    }
    subtable.highest = Math.max(subtable.highest, priority);
    const indexed = { entry, priority, conjunctions: conjunctionsOf(entry) };
    const same = subtable.byValue.get(values);
    if (same === undefined) subtable.byValue.set(values, [indexed]);
    else same.splice(same.findLastIndex((other) => other.priority >= priority) + 1, 0, indexed);
  }

  /**
   * The entry for a packet: that of the highest priority that matches, conjunctive matches included (ovs-fields(7), "conjunctive match
   * fields"). Of several with equal priority one, as a switch is free to choose.
   */
  lookUp(packet: Packet): Found<E> {
    const found = this.#find(packet);
    const least = found.entry?.priority ?? -1;
    const doubtful = this.#doubtful.filter(
      ({ match, priority }) =>
        priority >= least && match.every((oxm) => oxm.field.kind === 'opaque' || fits(oxm, packet)),
    );
    return { ...found, doubtful };
  }

  #find(packet: Packet): Omit<Found<E>, 'doubtful'> {
    const matching = this.#matching(packet);
    for (let at = 0; at < matching.length; ) {
      const { priority } = matching[at] as Indexed<E>;
      let end = at;
      while (matching[end]?.priority === priority) end++;
      const level = matching.slice(at, end);
      const plain = level.find(({ conjunctions }) => conjunctions.length === 0);
      if (plain !== undefined) return { entry: plain.entry };
      const id = fulfilled(level);
      if (id !== undefined) {
        const entry = this.#matching(new Map(packet).set('conj_id', BigInt(id))).find(
          ({ conjunctions }) => conjunctions.length === 0,
        )?.entry;
        const entries = level
          .filter(({ conjunctions }) => conjunctions.some((conjunction) => conjunction.id === id))
          .map((indexed) => indexed.entry);
        if (entry !== undefined) return { entry, conjunction: { id, entries } };
      }
      at = end;
    }
    return {};
  }

  /** Entries that match, down to the first that is not part of a conjunctive match, in descending order of priority. */
  #matching(packet: Packet): Indexed<E>[] {
    this.#inOrder ??= [...this.#subtables.values()].sort((a, b) => b.highest - a.highest);
    const matching: Indexed<E>[] = [];
    let least = -1;
    for (const { compared, byValue, highest } of this.#inOrder) {
      if (highest < least) break;
      let values = '';
      for (const { name, mask } of compared) {
        const value = packet.get(name) ?? 0n;
        values += `${mask === undefined ? value : value & mask},`;
      }
      for (const indexed of byValue.get(values) ?? NONE) {
        if (indexed.priority < least) break;
        matching.push(indexed);
        if (indexed.conjunctions.length === 0) {
          least = indexed.priority;
          break;
        }
      }
    }
    return matching.sort((a, b) => b.priority - a.priority);
  }
}

const NAMES = new Map<Field, string | undefined>();

/** `wholeName`, remembered: it is asked for every comparison of every entry. */
function nameOf(field: Field): string | undefined {
  let name = NAMES.get(field);
  if (name === undefined && !NAMES.has(field)) {
    name = wholeName(field);
    NAMES.set(field, name);
  }
  return name;
}

function signatureOf({ name, mask }: Comparison): string {
  return `${name}/${mask ?? ''},`;
}

function and(value: number | bigint, mask: OxmValue): number | bigint {
  if (typeof value === 'number' && value <= MAX_32_BITS && (mask as number) <= MAX_32_BITS) {
    return (value & (mask as number)) >>> 0;
  }
  return BigInt(value) & BigInt(mask as number | bigint);
}

function conjunctionsOf({ instructions }: ExecutableFlow): readonly ActionOf<'conjunction'>[] {
  for (const instruction of instructions) {
    if (instruction.type !== 'apply_actions') continue;
    const found = instruction.actions.filter((action) => action.type === 'conjunction');
    if (found.length > 0) return found;
  }
  return NONE;
}

/** A conjunction all of whose dimensions are there. */
function fulfilled(level: readonly Indexed<unknown>[]): number | undefined {
  const seen = new Map<number, Set<number>>();
  for (const { conjunctions } of level) {
    for (const { id, clause, clauses } of conjunctions) {
      const dimensions = seen.get(id) ?? new Set();
      seen.set(id, dimensions.add(clause));
      if (dimensions.size === clauses) return id;
    }
  }
  return undefined;
}

function fits({ field, value, mask }: Match[number], packet: Packet): boolean {
  return comparisonsOf(field, value, mask).every(({ name, value: wanted, mask: compared }) => {
    const is = packet.get(name) ?? 0n;
    return compared === undefined ? is === wanted : (is & compared) === (wanted & compared);
  });
}
