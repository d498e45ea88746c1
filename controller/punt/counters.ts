/** Reads counters of some flow entries from switches. */
import { type FlowStats, flowStatsRequest, Meter, type MeterStats } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { DesiredEntry } from '../datapath/index.js';
import type { DatapathId } from '../model/facts.js';
import type { Gathered } from './types.js';

/** Bits of a cookie without the object: app, kind of scope and rule. */
const RULE_MASK = 0xffff_ffff_0000_0000n;

/** Entries to be read, by table and rule. */
export class Selections {
  readonly #selections = new Map<string, { readonly table: number; readonly cookie: bigint }>();

  static union(parts: Iterable<Selections>): Selections {
    const union = new Selections();
    for (const part of parts) {
      for (const [key, selection] of part.#selections) union.#selections.set(key, selection);
    }
    return union;
  }

  has(entry: DesiredFlow): boolean {
    return this.#selections.has(keyOf(entry));
  }

  /** Selects the entry, and all others of its rule in its table. */
  add(entry: DesiredFlow): void {
    const { table, cookie } = entry;
    this.#selections.set(keyOf(entry), { table, cookie: cookie & RULE_MASK });
  }

  [Symbol.iterator](): Iterator<{ readonly table: number; readonly cookie: bigint }> {
    return this.#selections.values();
  }
}

type DesiredFlow = DesiredEntry & { readonly kind: 'flow' };

function keyOf({ table, cookie }: DesiredFlow): string {
  return `${table} ${cookie & RULE_MASK}`;
}

/** @throws SwitchError */
export async function readEntries(
  session: Pick<SwitchSession, 'multipart' | 'xid'>,
  selections: Selections,
): Promise<readonly FlowStats[]> {
  const replies = await Promise.all(
    [...selections].map(({ table: tableId, cookie }) =>
      session.multipart({
        type: 'multipart_request',
        xid: session.xid(),
        more: false,
        multipartType: 'flow',
        body: flowStatsRequest({ tableId, cookie, cookieMask: RULE_MASK }),
      }),
    ),
  );
  return replies.flatMap(({ body }) => body);
}

/** Packets that each meter has dropped. @throws SwitchError */
export async function readMeters(
  session: Pick<SwitchSession, 'multipart' | 'xid'>,
): Promise<readonly MeterStats[]> {
  const reply = await session.multipart({
    type: 'multipart_request',
    xid: session.xid(),
    more: false,
    multipartType: 'meter',
    body: { meterId: Meter.ALL },
  });
  return reply.body;
}

/** Switches that are asked at one time: what they answer is in memory together. */
const AT_ONCE = 32;

/**
 * Asks every switch and puts the answers together; those that have no session or do not answer are named. @param read of one switch
 */
export async function gather<T>(
  datapathIds: readonly DatapathId[],
  sessions: ReadonlyMap<DatapathId, SwitchSession>,
  hostOf: (datapathId: DatapathId) => string | undefined,
  read: (session: SwitchSession) => Promise<readonly T[]>,
): Promise<Gathered<T>> {
  const items: (readonly T[])[] = [];
  const silent: { datapathId: DatapathId; host?: string; reason: string }[] = [];
  const waiting = [...datapathIds].sort().entries();
  const worker = async (): Promise<void> => {
    for (const [index, datapathId] of waiting) {
      const reason = await ask(sessions.get(datapathId), read, (answer) => {
        items[index] = answer;
      });
      if (reason === undefined) continue;
      const host = hostOf(datapathId);
      silent.push({ datapathId, ...(host === undefined ? {} : { host }), reason });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { items: items.flat(), silent };
}

/** Why there is no answer, if there is none. */
async function ask<T>(
  session: SwitchSession | undefined,
  read: (session: SwitchSession) => Promise<readonly T[]>,
  onAnswer: (answer: readonly T[]) => void,
): Promise<string | undefined> {
  if (session === undefined) return 'it is not connected';
  try {
    onAnswer(await read(session));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Counters of switches are 64 bits wide; what does not fit a number exactly would take centuries to count. */
export function toNumber(count: bigint): number {
  return Number(count);
}
