/**
 * Sums of counters that start again whenever an entry is made anew: when a switch restarts, a host is subscribed again, a rule changes.
 * Each reading adds what has come since the one before, so the sums never go back; what an entry counted between its last reading and
 * its end is lost.
 */
import type { Decider } from '../../apps/policy/punt.js';
import type { DatapathId } from '../model/facts.js';

/** The counters of the entry of a rule or default in one table of one switch. */
export interface Reading {
  readonly decider: Decider;
  readonly table: number;
  /** The entry of the first packets of connections. */
  readonly isFirst: boolean;
  readonly packets: number;
  readonly bytes: number;
  /** Milliseconds since the entry was made. */
  readonly age: number;
}

export interface Sums {
  packets: number;
  bytes: number;
  connections: number;
}

interface Last {
  packets: number;
  bytes: number;
  age: number;
  readAt: number;
}

/** An entry whose age has grown by that much less than the time that went by is another one. */
const AGE_TOLERANCE_MS = 5_000;
const TABLES = 256;
const KINDS: readonly Decider['kind'][] = ['rule', 'policy', 'tenant'];

export class RuleBook {
  /** By switch, then by entry. */
  readonly #last = new Map<DatapathId, Map<number, Last>>();
  readonly #sums = new Map<number, Sums>();

  /** Takes everything that a switch holds. @param now milliseconds of a clock that does not jump */
  record(datapathId: DatapathId, readings: readonly Reading[], now: number): void {
    const before = this.#last.get(datapathId);
    const after = new Map<number, Last>();
    this.#last.set(datapathId, after);
    for (const reading of readings) {
      const { decider, isFirst, packets, bytes, age } = reading;
      const key = entryKey(reading);
      const known = before?.get(key);
      const goesOn = known !== undefined && isContinued(known, reading, now);
      const newPackets = packets - (goesOn ? known.packets : 0);
      const sums = this.#of(decider);
      sums.packets += newPackets;
      sums.bytes += bytes - (goesOn ? known.bytes : 0);
      if (isFirst) sums.connections += newPackets;
      after.set(key, { packets, bytes, age, readAt: now });
    }
  }

  sums(decider: Decider): Readonly<Sums> {
    return this.#sums.get(deciderKey(decider)) ?? { packets: 0, bytes: 0, connections: 0 };
  }

  /** Deciders that have been read and not forgotten. */
  get deciders(): readonly Decider[] {
    return [...this.#sums.keys()].map((key) => ({
      kind: KINDS[key % KINDS.length] as Decider['kind'],
      number: Math.floor(key / KINDS.length),
    }));
  }

  /** Its number may be another one's from now on. */
  forget(decider: Decider): void {
    this.#sums.delete(deciderKey(decider));
  }

  #of(decider: Decider): Sums {
    const key = deciderKey(decider);
    const sums = this.#sums.get(key) ?? { packets: 0, bytes: 0, connections: 0 };
    this.#sums.set(key, sums);
    return sums;
  }
}

function isContinued(last: Last, { packets, bytes, age }: Reading, now: number): boolean {
  if (packets < last.packets || bytes < last.bytes) return false;
  return age + AGE_TOLERANCE_MS >= last.age + (now - last.readAt);
}

/** Numbers and not texts: there may be millions. */
function deciderKey({ kind, number }: Decider): number {
  return number * KINDS.length + KINDS.indexOf(kind);
}

function entryKey({ decider, table, isFirst }: Reading): number {
  return (deciderKey(decider) * TABLES + table) * 2 + (isFirst ? 1 : 0);
}
