/** Ports as records, and back: what a process that starts again may go on with. Pure, but for the ports themselves. */
import type { FabricPort, Hearing } from './fabric-port.js';
import type { RememberedPort } from './memory.js';
import { type Circumstances, rolesOf, segmentOf, type Verdict } from './roles.js';

/** `undefined`: whoever starts again is to find it out as of a port never seen. */
export function recordOf(port: FabricPort, now: number): RememberedPort | undefined {
  const { datapathId, port: number, name, hardwareAddress, role, hears } = port;
  const quiet = now < port.quietUntil;
  if (role === 'unknown') {
    return quiet ? { datapathId, port: number, name, hardwareAddress, role, hears: [], quiet } : undefined;
  }
  const heard = [...hears].map(([key, hearing]) => [key, reachOf(hearing)] as const);
  heard.sort(([a], [b]) => (a < b ? -1 : 1));
  return { datapathId, port: number, name, hardwareAddress, role, hears: heard, quiet };
}

const reachOf = ({ neighbour }: Hearing) => (neighbour === undefined ? 'segment' : 'neighbour');

/**
 * Lets ports hear what their records say, and judges them by it.
 * @param ports just made, by key
 * @returns the verdicts that are those of the records. The others are ports of which nothing is known: the records do not fit each
 *   other, since the process ended before all of them were written.
 */
export function judgeRemembered(
  ports: ReadonlyMap<string, FabricPort>,
  records: ReadonlyMap<string, RememberedPort>,
  circumstances: Omit<Circumstances, 'returning'>,
): ReadonlyMap<FabricPort, Verdict> {
  const { now } = circumstances;
  for (const [key, port] of ports) {
    port.settled = true;
    for (const [from, reach] of records.get(key)?.hears ?? []) {
      const source = ports.get(from);
      if (source === undefined) continue;
      const heard = { sentAt: -Infinity, heardAt: now, round: 0 };
      const none = { neighbour: undefined, segment: undefined };
      port.hears.set(from, { source, ...none, [reach]: heard, doubtful: false, remembered: true });
      source.heardBy.add(port);
    }
  }
  const judged = new Map<FabricPort, Verdict>();
  const seen = new Set<FabricPort>();
  for (const port of ports.values()) {
    if (seen.has(port)) continue;
    const segment = segmentOf(port);
    for (const member of segment) seen.add(member);
    const verdicts = rolesOf(segment, { ...circumstances, returning: false });
    const fit = segment.every((member, index) => records.get(member.key)?.role === verdicts[index]?.role);
    for (const [index, member] of segment.entries()) {
      const verdict = verdicts[index];
      if (fit && verdict !== undefined) judged.set(member, verdict);
      else forgetHearings(member);
    }
  }
  return judged;
}

function forgetHearings(port: FabricPort): void {
  port.settled = false;
  port.hears.clear();
  port.heardBy.clear();
}
