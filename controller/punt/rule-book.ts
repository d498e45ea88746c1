/**
 * Sums of counters that start again whenever an entry is made anew: when a switch restarts, a host is subscribed again, a rule changes.
 * Each reading adds what has come since the one before, so the sums never go back; what an entry counted between its last reading and
 * its end is lost.
 */
import type { Decider } from '../../apps/policy/punt.js';
import type { DatapathId } from '../model/facts.js';

/** A rule, or a default for one direction. */
export type Counted = Decider & { readonly direction: 'in' | 'out' };

/** The counters of an entry of a rule or default on one switch. */
export interface Reading {
  readonly counted: Counted;
  /** What tells the entries of one rule or default apart: its match, in short. */
  readonly entry: string;
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

export class RuleBook {
  /** By switch, then by entry. */
  readonly #last = new Map<DatapathId, Map<string, Last>>();
  readonly #sums = new Map<string, Sums & { readonly counted: Counted }>();

  /** Takes everything that a switch holds. @param now milliseconds of a clock that does not jump */
  record(datapathId: DatapathId, readings: readonly Reading[], now: number): void {
    const before = this.#last.get(datapathId);
    const after = new Map<string, Last>();
    this.#last.set(datapathId, after);
    for (const reading of readings) {
      const { counted, entry, isFirst, packets, bytes, age } = reading;
      const key = `${countedKey(counted)} ${entry}`;
      const known = before?.get(key);
      const goesOn = known !== undefined && isContinued(known, reading, now);
      const newPackets = packets - (goesOn ? known.packets : 0);
      const sums = this.#of(counted);
      sums.packets += newPackets;
      sums.bytes += bytes - (goesOn ? known.bytes : 0);
      if (isFirst) sums.connections += newPackets;
      after.set(key, { packets, bytes, age, readAt: now });
    }
  }

  sums(counted: Counted): Readonly<Sums> {
    const { packets, bytes, connections } = this.#sums.get(countedKey(counted)) ?? NOTHING;
    return { packets, bytes, connections };
  }

  /** What has been read and not forgotten. */
  get counted(): readonly Counted[] {
    return [...this.#sums.values()].map(({ counted }) => counted);
  }

  /** Its number may be another one's from now on. */
  forget(counted: Counted): void {
    this.#sums.delete(countedKey(counted));
  }

  #of(counted: Counted): Sums {
    const key = countedKey(counted);
    const sums = this.#sums.get(key) ?? { ...NOTHING, counted };
    this.#sums.set(key, sums);
    return sums;
  }
}

const NOTHING: Readonly<Sums> = { packets: 0, bytes: 0, connections: 0 };

export function countedKey({ kind, number, direction }: Counted): string {
  return `${kind} ${number} ${direction}`;
}

function isContinued(last: Last, { packets, bytes, age }: Reading, now: number): boolean {
  if (packets < last.packets || bytes < last.bytes) return false;
  return age + AGE_TOLERANCE_MS >= last.age + (now - last.readAt);
}
