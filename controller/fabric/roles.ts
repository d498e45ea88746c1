/** What follows from who hears whom: roles of ports. Pure; nothing depends on the order in which things were heard. */
import { comparePorts, type FabricPort, type Hearing } from './fabric-port.js';
import type { DatapathId } from '../model/facts.js';
import type { PortRole } from './types.js';

export interface Verdict {
  readonly role: PortRole;
  readonly reason: string;
  readonly neighbour?: FabricPort;
}

/** What the roles depend on, besides who hears whom. */
export interface Circumstances {
  /** Of the clock of `FabricPort.quietUntil`. */
  readonly now: number;
  /** The switch at the other end of a port when it was last up, if that switch is away: it may still forward to it. */
  readonly awaited: (port: FabricPort) => DatapathId | undefined;
  /** Switches that are remembered are still to come back, and may have ports open that lead here by now. */
  readonly returning: boolean;
}

/** All ports that this one hears or that hear it, and so on. */
export function segmentOf(port: FabricPort): readonly FabricPort[] {
  const found = new Set([port]);
  for (const member of found) {
    for (const { source } of member.hears.values()) found.add(source);
    for (const hearer of member.heardBy) found.add(hearer);
  }
  return [...found].sort(comparePorts);
}

/**
 * The roles of all ports of a segment, which are those that hear each other.
 *
 * Alone: an edge port, once nobody has answered. Two that hear each other's neighbour probes: a link. Anything else is a piece of network
 * that is not ours with several ways into the fabric, or a cable from a switch to itself: one way is used (the first port by datapath id and
 * number), the others are blocked. What is not certain yet is unknown, which keeps it closed.
 */
export function rolesOf(segment: readonly FabricPort[], circumstances: Circumstances): readonly Verdict[] {
  const [first, second, third] = segment;
  if (first === undefined) return [];
  if (second === undefined) return [alone(first, circumstances)];
  if (third === undefined && first.datapathId !== second.datapathId) {
    const there = second.hears.get(first.key);
    const back = first.hears.get(second.key);
    if (there?.neighbour !== undefined || back?.neighbour !== undefined)
      return pair(first, second, there, back);
  }
  return shared(segment, circumstances);
}

function alone(port: FabricPort, circumstances: Circumstances): Verdict {
  const { now, awaited, returning } = circumstances;
  const neighbour = awaited(port);
  if (neighbour !== undefined) return unknown(`its neighbour, switch ${neighbour}, is away`);
  if (!port.settled) return unknown('probes may still be answered');
  if (now < port.quietUntil) return unknown('its neighbour is not heard any more');
  if (returning && port.role !== 'edge') return unknown(RETURNING);
  return { role: 'edge', reason: 'nobody answers probes' };
}

function pair(
  first: FabricPort,
  second: FabricPort,
  there: Hearing | undefined,
  back: Hearing | undefined,
): readonly Verdict[] {
  if (there?.neighbour === undefined || back?.neighbour === undefined) {
    const reason = 'probes are heard in one direction only';
    return [unknown(reason), unknown(reason)];
  }
  const link = (neighbour: FabricPort): Verdict => ({
    role: 'link',
    reason: `linked to port ${neighbour.port} of ${neighbour.datapathId}`,
    neighbour,
  });
  return [link(second), link(first)];
}

function shared(segment: readonly FabricPort[], { now, returning }: Circumstances): readonly Verdict[] {
  const doubtful = segment.some((port) => [...port.hears.values()].some((hearing) => hearing.doubtful));
  if (doubtful || segment.some((port) => !port.settled)) {
    return segment.map(() => unknown('who is there is changing'));
  }
  const [first] = segment;
  return segment.map((port) => {
    if (port !== first) {
      const other = `port ${first?.port} of ${first?.datapathId}`;
      return {
        role: 'blocked',
        reason: `leads to ${other}, which is in use, by way of no switch of the fabric`,
      };
    }
    if (now < port.quietUntil) return unknown('its neighbour is not heard any more');
    if (returning && port.role !== 'edge') return unknown(RETURNING);
    return { role: 'edge', reason: `in use for a segment with ${segment.length} ports of the fabric` };
  });
}

const RETURNING = 'switches that were there before the controller started are still to come back';

const unknown = (reason: string): Verdict => ({ role: 'unknown', reason });
