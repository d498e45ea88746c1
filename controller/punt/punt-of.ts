/** Packet-ins of both formats as punted packets. */
import { policy } from '../../apps/policy/index.js';
import { decodePunt, type Punt } from '../../apps/policy/punt.js';
import { T } from '../../apps/pipeline.js';
import type { PacketIn } from '../../ofproto/index.js';
import type { PacketInMessage, SwitchSession } from '../channel/index.js';
import { cookieLayout, isOurCookie } from '../datapath/cookie.js';
import type { PuntedPacket } from './event.js';
import type { Names } from './names.js';

const NO_BYTES = new Uint8Array(0);

/** Undefined for packet-ins that are not policy's. */
export function puntedPacket(
  { datapathId, ports }: Pick<SwitchSession, 'datapathId' | 'ports'>,
  message: PacketInMessage,
  names: Names,
): PuntedPacket | undefined {
  const portName = (port: number) => ports.get(port)?.name;
  if (message.type === 'nx_packet_in2') {
    const { userdata, packet: frame = NO_BYTES, fullLength: length = frame.length, metadata = [] } = message;
    const punt = userdata === undefined ? undefined : decodePunt(userdata);
    return punt === undefined ? undefined : { ...punt, datapathId, portName, frame, length, metadata };
  }
  const punt = puntByCookie(message, names);
  const { data: frame, totalLength: length, match: metadata } = message;
  return punt === undefined ? undefined : { ...punt, datapathId, portName, frame, length, metadata };
}

/** A switch that does not know NXT_PACKET_IN2 sends no user data; the cookie names the rule, and the rule says the rest. */
function puntByCookie({ cookie, tableId }: PacketIn, names: Names): Punt | undefined {
  const direction = DIRECTIONS.get(tableId);
  if (direction === undefined || !isOurCookie(cookie)) return undefined;
  const { app, object } = cookieLayout.decode(cookie);
  const rule = app === policy.id ? names.rule(object) : undefined;
  if (rule === undefined) return undefined;
  return { verdict: rule.action, direction, decider: { kind: 'rule', number: rule.number } };
}

const DIRECTIONS: ReadonlyMap<number, Punt['direction']> = new Map([
  [T.egress_verdict.id, 'out'],
  [T.ingress_verdict.id, 'in'],
]);
