/** What has been sent to groups, by the counters of their entries (`apps/multicast/groups.ts`). */
import { Origin, R, T } from '../../apps/pipeline.js';
import { F, findOxm, type FlowStats, type Match } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import { readEntries, Selections, toNumber } from '../punt/counters.js';
import { registerOf } from '../punt/registers.js';
import { type DesiredScopes, ScopeMemo } from '../punt/scope-memo.js';
import { groupText } from './messages.js';
import type { GroupCounters } from './types.js';

/** What one switch counted for one group; key: `<number of network>/<group>`. */
export interface CountedGroup extends GroupCounters {
  readonly key: string;
}

const NOTHING = { packets: 0, bytes: 0 } as const;

export class GroupCounterReader {
  readonly #selections: ScopeMemo<Selections>;

  constructor(datapaths: DesiredScopes) {
    this.#selections = new ScopeMemo(datapaths, (entries) => {
      const selections = new Selections();
      for (const entry of entries) {
        if (entry.kind !== 'flow' || roleOf(entry.table) === undefined) continue;
        if (groupOf(entry.match) !== undefined) selections.add(entry);
      }
      return selections;
    });
  }

  /** Of one switch. @throws SwitchError */
  async read(session: Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>): Promise<CountedGroup[]> {
    const entries = await readEntries(session, Selections.union(this.#selections.of(session.datapathId)));
    return entries.flatMap((entry) => counted(entry) ?? []);
  }
}

/** Sums by group. */
export function sumByGroup(items: readonly CountedGroup[]): Map<string, GroupCounters> {
  const sums = new Map<string, GroupCounters>();
  for (const { key, sent, received } of items) {
    const sum = sums.get(key) ?? { sent: NOTHING, received: NOTHING };
    sums.set(key, { sent: add(sum.sent, sent), received: add(sum.received, received) });
  }
  return sums;
}

function add(one: GroupCounters['sent'], other: GroupCounters['sent']): GroupCounters['sent'] {
  return { packets: one.packets + other.packets, bytes: one.bytes + other.bytes };
}

function counted({
  tableId,
  match,
  instructions,
  packetCount,
  byteCount,
}: FlowStats): CountedGroup | undefined {
  const role = roleOf(tableId);
  const key = groupOf(match);
  if (role === undefined || key === undefined || instructions.length === 0) return undefined;
  // Copies that pass a host are the sender's.
  if (role === 'sent' && registerOf(match, R.origin) !== Origin.local) return undefined;
  const count = { packets: toNumber(packetCount), bytes: toNumber(byteCount) };
  return { key, sent: NOTHING, received: NOTHING, [role]: count };
}

function roleOf(table: number): keyof GroupCounters | undefined {
  if (table === T.multicast.id) return 'sent';
  return table === T.multicast_local.id ? 'received' : undefined;
}

function groupOf(match: Match): string | undefined {
  const ipv4 = findOxm(match, F.ipv4_dst);
  const ipv6 = findOxm(match, F.ipv6_dst);
  if (ipv4?.mask !== undefined || ipv6?.mask !== undefined) return undefined;
  const network = registerOf(match, R.network);
  if (ipv4 !== undefined) return `${network}/${groupText({ family: 4, address: ipv4.value })}`;
  return ipv6 && `${network}/${groupText({ family: 6, address: ipv6.value })}`;
}
