import type { MultipartReply, MultipartRequest, PortDescription } from '../../ofproto/index.js';
import { encode, Group, Meter } from '../../ofproto/index.js';
import type { EmulatedTables } from './tables.js';

export interface MultipartSource {
  readonly store: EmulatedTables | undefined;
  readonly ports: () => PortDescription[];
  readonly datapathId: bigint;
  readonly tables: number;
}

/** Entries of the first try at one part; a part that passes 64 KiB is halved. */
const PART_ENTRIES = 256;

/** Writes the reply, in as many parts as it takes; false for a type that is not answered. */
export function answerMultipart(
  request: MultipartRequest,
  source: MultipartSource,
  write: (reply: MultipartReply) => void,
): boolean {
  const { store, ports, datapathId, tables } = source;
  const header = { type: 'multipart_reply', xid: request.xid, more: false } as const;
  const all = <T>(
    entries: readonly T[],
    part: (body: readonly T[], more: boolean) => MultipartReply,
  ): true => {
    writeParts(entries, part, write);
    return true;
  };
  switch (request.multipartType) {
    case 'desc':
      write({
        ...header,
        multipartType: 'desc',
        body: {
          manufacturer: 'Weft',
          hardware: 'Emulated switch',
          software: 'weft-emulated',
          serialNumber: 'None',
          datapath: datapathId.toString(16).padStart(16, '0'),
        },
      });
      return true;
    case 'port_desc':
      return all(ports(), (body, more) => ({ ...header, more, multipartType: 'port_desc', body }));
    case 'flow':
      return all(store?.dump(request.body) ?? [], (body, more) => ({
        ...header,
        more,
        multipartType: 'flow',
        body,
      }));
    case 'aggregate': {
      const flowCount = store?.dump(request.body).length ?? 0;
      write({
        ...header,
        multipartType: 'aggregate',
        body: { packetCount: 0n, byteCount: 0n, flowCount },
      });
      return true;
    }
    case 'table': {
      const counts = Array.from({ length: tables }, () => 0);
      for (const { tableId } of store?.flows.values() ?? []) counts[tableId] = (counts[tableId] ?? 0) + 1;
      const body = counts.map((activeCount, tableId) => ({
        tableId,
        activeCount,
        lookupCount: 0n,
        matchedCount: 0n,
      }));
      return all(body, (part, more) => ({ ...header, more, multipartType: 'table', body: part }));
    }
    case 'group_desc':
      return all([...(store?.groups.values() ?? [])], (body, more) => ({
        ...header,
        more,
        multipartType: 'group_desc',
        body,
      }));
    case 'group': {
      const { groupId } = request.body;
      const groups = [...(store?.groups.values() ?? [])]
        .filter((group) => groupId === Group.ALL || group.groupId === groupId)
        .map((group) => ({
          groupId: group.groupId,
          refCount: 0,
          packetCount: 0n,
          byteCount: 0n,
          durationSec: 0,
          durationNsec: 0,
          buckets: group.buckets.map(() => ({ packetCount: 0n, byteCount: 0n })),
        }));
      return all(groups, (body, more) => ({ ...header, more, multipartType: 'group', body }));
    }
    case 'meter_config': {
      const { meterId } = request.body;
      const meters = [...(store?.meters.values() ?? [])].filter(
        (meter) => meterId === Meter.ALL || meter.meterId === meterId,
      );
      return all(meters, (body, more) => ({ ...header, more, multipartType: 'meter_config', body }));
    }
    case 'meter_features':
      write({
        ...header,
        multipartType: 'meter_features',
        body: { maxMeter: 0xffff, bandTypes: 1 << 1, capabilities: 0xf, maxBands: 1, maxColor: 0 },
      });
      return true;
    case 'group_features':
      write({
        ...header,
        multipartType: 'group_features',
        body: {
          types: 0xf,
          capabilities: 0x7,
          maxGroups: [0xffffff00, 0xffffff00, 0xffffff00, 0xffffff00],
          actions: [0x3fffffff, 0x3fffffff, 0x3fffffff, 0x3fffffff],
        },
      });
      return true;
    default:
      return false;
  }
}

function writeParts<T>(
  entries: readonly T[],
  part: (body: readonly T[], more: boolean) => MultipartReply,
  write: (reply: MultipartReply) => void,
): void {
  let start = 0;
  do {
    const body = entries.slice(start, start + PART_ENTRIES);
    start += body.length;
    writeFitting(body, part, write, start < entries.length);
  } while (start < entries.length);
}

function writeFitting<T>(
  body: readonly T[],
  part: (body: readonly T[], more: boolean) => MultipartReply,
  write: (reply: MultipartReply) => void,
  more: boolean,
): void {
  if (body.length < 2 || fits(part(body, more))) return write(part(body, more));
  const half = body.length >> 1;
  writeFitting(body.slice(0, half), part, write, true);
  writeFitting(body.slice(half), part, write, more);
}

function fits(reply: MultipartReply): boolean {
  try {
    encode(reply);
    return true;
  } catch {
    return false;
  }
}
