/** Connections as Open vSwitch lists them (`dpctl/dump-conntrack`, ovs-dpctl(8)). */
import { isIP } from 'node:net';

export interface Connection {
  /** IP protocol: 6 or 17. */
  readonly protocol: number;
  /** Of the packet that began it, as text. */
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly zone: number;
  /** It has still to begin, or both sides have closed it; there may be segments that are sent again all the same. */
  readonly closed: boolean;
}

export const TCP = 6;
export const UDP = 17;

/**
 * States in which one side may still have something to say. Shown is the further of the two sides: of a connection that one has closed,
 * `CLOSING`, and `FIN_WAIT_2` when the other knows.
 */
const LIVE_STATES = new Set(['ESTABLISHED', 'CLOSE_WAIT', 'FIN_WAIT_1', 'CLOSING', 'LAST_ACK', 'FIN_WAIT_2']);

const TUPLE = String.raw`\(src=([^,]+),dst=([^,]+),sport=(\d+),dport=(\d+)\)`;
const LINE = new RegExp(
  `^(tcp|udp),orig=${TUPLE},reply=${TUPLE},zone=(\\d+)(?:,protoinfo=\\(state=(\\w+)\\))?$`,
);

/**
 * The connections of a dump that can be begun again: of TCP and UDP, in a zone (the first one is nobody's), with neither
 * translated addresses nor marks, labels or helpers, none of which Weft makes.
 */
export function parseConnections(dump: string): Connection[] {
  return dump.split('\n').flatMap((line) => parseConnection(line.trim()) ?? []);
}

function parseConnection(line: string): Connection | undefined {
  const [, protocol, source, destination, sourcePort, destinationPort, ...rest] = LINE.exec(line) ?? [];
  if (source === undefined || destination === undefined) return undefined;
  const [replySource, replyDestination, replySourcePort, replyDestinationPort, zone, state] = rest;
  const translated =
    replySource !== destination ||
    replyDestination !== source ||
    replySourcePort !== destinationPort ||
    replyDestinationPort !== sourcePort;
  if (translated || isIP(source) === 0 || isIP(source) !== isIP(destination) || Number(zone) === 0)
    return undefined;
  return {
    protocol: protocol === 'tcp' ? TCP : UDP,
    source,
    destination,
    sourcePort: Number(sourcePort),
    destinationPort: Number(destinationPort),
    zone: Number(zone),
    closed: protocol === 'tcp' && !LIVE_STATES.has(state ?? ''),
  };
}

/** The same for the same connection. */
export function keyOf({
  protocol,
  source,
  destination,
  sourcePort,
  destinationPort,
  zone,
}: Connection): string {
  return `${zone} ${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}

/** As its answers see it. */
export function reversed(connection: Connection): Connection {
  const { source, destination, sourcePort, destinationPort } = connection;
  return {
    ...connection,
    source: destination,
    destination: source,
    sourcePort: destinationPort,
    destinationPort: sourcePort,
  };
}
