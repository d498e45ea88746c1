/** A port of a fabric switch, as discovery sees it. */
import type { DatapathId } from '../model/facts.js';
import type { ProbeSource, Reach } from './probes.js';
import type { PortRole } from './types.js';

/** What a port has heard of another one, by reach: the last probe, and which of the probes sent there it was. */
export interface Hearing {
  readonly source: FabricPort;
  neighbour: HeardLast | undefined;
  segment: HeardLast | undefined;
  /** Somebody else was heard since: it counts again once it is heard again, or is lost. */
  doubtful: boolean;
  /** Heard by the process before this one only. */
  remembered: boolean;
}

export interface HeardLast {
  /** When the last probe was sent, and when it was heard. */
  sentAt: number;
  heardAt: number;
  /** `FabricPort.sent` of its source when it was heard. */
  round: number;
}

export class FabricPort implements ProbeSource {
  role: PortRole = 'unknown';
  /** Why the role is what it is, for people. */
  reason = 'just seen';
  /** The other end, of a link. */
  neighbour: FabricPort | undefined;
  /** Probes sent since it is there. */
  readonly sent: Record<Reach, number> = { neighbour: 0, segment: 0 };
  toSend = 0;
  dueAt = 0;
  /** Its first probes have been out for long enough: whoever is there had the time to answer. */
  settled = false;
  /** Until then it is no edge port, because its neighbour went silent without a change of the port. */
  quietUntil = -Infinity;
  /** By key of the port that was heard. */
  readonly hears = new Map<string, Hearing>();
  readonly heardBy = new Set<FabricPort>();
  /** Place in the schedule; -1: not probed, its switch is away or not ready. */
  slot = -1;

  constructor(
    readonly key: string,
    readonly datapathId: DatapathId,
    readonly port: number,
    readonly name: string,
    readonly hardwareAddress: number,
    /** When it came up: what was sent before proves nothing of it. */
    readonly since: number,
  ) {}
}

export const portKey = (datapathId: DatapathId, port: number): string => `${datapathId}/${port}`;

/** Sorts by datapath id, then by number. */
export function comparePorts(a: FabricPort, b: FabricPort): number {
  if (a.datapathId !== b.datapathId) return a.datapathId < b.datapathId ? -1 : 1;
  return a.port - b.port;
}
