/** A cluster whose switches hold what is desired of them, or what a test makes of that. */
import { apps, pipeline } from '../../apps/index.js';
import { Numbering } from '../../controller/channel/index.js';
import type { SwitchSession } from '../../controller/channel/index.js';
import { DatapathController } from '../../controller/datapath/index.js';
import type { DesiredEntry, DesiredFlow } from '../../controller/datapath/entry.js';
import type { TraceEnvironment, TraceReport, TraceRequest } from '../../controller/trace/index.js';
import { trace } from '../../controller/trace/index.js';
import { type FlowStats, TableId } from '../../ofproto/index.js';

type Session = Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>;

/** As a switch reports an entry. */
export function statsOf({ table, priority, match, instructions, cookie }: DesiredFlow): FlowStats {
  const counters = { durationSec: 1, durationNsec: 0, packetCount: 7n, byteCount: 700n };
  const fixed = { idleTimeout: 0, hardTimeout: 0, flags: 0 };
  return { tableId: table, priority, match, instructions, cookie, ...counters, ...fixed };
}

export class Cluster {
  readonly controller = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  /** Switches that are not connected. */
  readonly away = new Set<string>();
  /** What somebody has made of the entries of every switch. */
  tampered: (flow: FlowStats, datapathId: string) => FlowStats | undefined = (flow) => flow;
  /** Tables that were read, as `<datapath>/<table>`. */
  readonly read: string[] = [];

  get facts() {
    return this.controller.facts;
  }

  async trace(
    request: Omit<TraceRequest, 'from' | 'to'> & { from: string; to: string },
  ): Promise<TraceReport> {
    const { controller } = this;
    controller.settle();
    const environment: TraceEnvironment = {
      facts: controller.facts,
      pipeline,
      session: (datapathId) => (this.away.has(datapathId) ? undefined : this.#session(datapathId)),
      ownerOf: (cookie) => controller.ownerOf(cookie),
      causeOf: () => 'a cause',
      differences: (datapathId, flows, tables) => controller.differences(datapathId, flows, tables),
    };
    return await trace(request, environment);
  }

  #session(datapathId: string): Session {
    return desiredSession(datapathId, () => this.controller.desired(datapathId), {
      tampered: (flow) => this.tampered(flow, datapathId),
      onRead: (table) => this.read.push(`${datapathId}/${table}`),
    });
  }
}

/** A switch that holds what is desired of it. */
export function desiredSession(
  datapathId: string,
  desired: () => Iterable<DesiredEntry>,
  {
    tampered = (flow) => flow,
    onRead,
  }: {
    /** What somebody has made of an entry. */
    readonly tampered?: (flow: FlowStats) => FlowStats | undefined;
    readonly onRead?: (table: number) => void;
  } = {},
): Session {
  const multipart = async (request: {
    readonly multipartType: string;
    readonly body: unknown;
  }): Promise<unknown> => {
    const entries = [...desired()];
    if (request.multipartType === 'group_desc') {
      const body = entries.flatMap((entry) =>
        entry.kind === 'group'
          ? [{ groupId: entry.id, groupType: entry.groupType, buckets: entry.buckets }]
          : [],
      );
      return { body };
    }
    const { tableId } = request.body as { readonly tableId: number };
    if (tableId === TableId.ALL) throw new Error('nobody needs all tables');
    onRead?.(tableId);
    const body = entries.flatMap((entry) =>
      entry.kind === 'flow' && entry.table === tableId ? (tampered(statsOf(entry)) ?? []) : [],
    );
    return { body };
  };
  return { datapathId, multipart: multipart as Session['multipart'], xid: () => 1 };
}
