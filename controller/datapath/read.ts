/** Reading what a switch holds, with a bound on how much is held in memory at one time. */
import { SwitchError, type SwitchSession } from '../channel/index.js';
import {
  type FlowStats,
  Group,
  type GroupDescription,
  Meter,
  type MeterConfig,
  Port,
  TableId,
} from '../../ofproto/index.js';

/** Everything a switch holds that Weft writes. */
export interface ActualState {
  readonly flows: readonly FlowStats[];
  readonly groups: readonly GroupDescription[];
  readonly meters: readonly MeterConfig[];
}

const ALL_FLOWS = {
  tableId: TableId.ALL,
  outPort: Port.ANY,
  outGroup: Group.ANY,
  cookie: 0n,
  cookieMask: 0n,
  match: [],
} as const;

/** @throws SwitchError */
export async function readGroupsAndMeters(
  session: SwitchSession,
  timeoutMs: number,
): Promise<Omit<ActualState, 'flows'>> {
  const header = { type: 'multipart_request', more: false } as const;
  const [groups, meters] = await Promise.all([
    emptyIfUnsupported(
      session.multipart(
        { ...header, xid: session.xid(), multipartType: 'group_desc', body: null },
        { timeoutMs },
      ),
    ),
    emptyIfUnsupported(
      session.multipart(
        { ...header, xid: session.xid(), multipartType: 'meter_config', body: { meterId: Meter.ALL } },
        { timeoutMs },
      ),
    ),
  ]);
  return { groups: groups?.body ?? [], meters: meters?.body ?? [] };
}

/** Number of flow entries, which tells what reading them will take. @throws SwitchError */
export async function countFlows(session: SwitchSession, timeoutMs: number): Promise<number> {
  const reply = await session.multipart(
    {
      type: 'multipart_request',
      more: false,
      xid: session.xid(),
      multipartType: 'aggregate',
      body: ALL_FLOWS,
    },
    { timeoutMs },
  );
  return reply.body.flowCount;
}

/** @throws SwitchError */
export async function readFlows(session: SwitchSession, timeoutMs: number): Promise<readonly FlowStats[]> {
  const reply = await session.multipart(
    { type: 'multipart_request', more: false, xid: session.xid(), multipartType: 'flow', body: ALL_FLOWS },
    { timeoutMs },
  );
  return reply.body;
}

/** A switch that answers with an error has no groups or meters. */
async function emptyIfUnsupported<T>(reply: Promise<T>): Promise<T | undefined> {
  try {
    return await reply;
  } catch (error) {
    if (error instanceof SwitchError && error.code === 'switch.error') return undefined;
    throw error;
  }
}

/**
 * Bounds the entries that are being read at one time over all switches (about 1 KB each while they are compared), so that a
 * thousand switches that come back together are read in turn. First come, first served; one larger than everything goes alone.
 */
export class ReadGate {
  #free: number;
  readonly #queue: { readonly weight: number; readonly enter: () => void }[] = [];

  constructor(private readonly capacity: number) {
    this.#free = capacity;
  }

  /** Runs `read` when there is room for `entries`. */
  async run<T>(entries: number, read: () => Promise<T>): Promise<T> {
    const weight = Math.min(Math.max(entries, 1), this.capacity);
    if (this.#queue.length > 0 || weight > this.#free) {
      await new Promise<void>((enter) => this.#queue.push({ weight, enter }));
    } else {
      this.#free -= weight;
    }
    try {
      return await read();
    } finally {
      this.#free += weight;
      this.#admit();
    }
  }

  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined && next.weight <= this.#free; next = this.#queue[0]) {
      this.#queue.shift();
      this.#free -= next.weight;
      next.enter();
    }
  }
}
