/** Packet-ins of both formats as punted packets. */
import { decodePunt, type Punt } from '../../apps/policy/punt.js';
import type { PacketIn } from '../../ofproto/index.js';
import type { PacketInMessage, SwitchSession } from '../channel/index.js';
import type { DatapathController } from '../datapath/index.js';
import { countedBy } from './decider.js';
import type { PuntedPacket } from './event.js';
import type { Names } from './names.js';

const NO_BYTES = new Uint8Array(0);

/** What packet-ins mean is looked up in. */
export interface PuntLookUp extends Pick<DatapathController, 'ownerOf'> {
  readonly names: Names;
}

/** Undefined for packet-ins that are not policy's. */
export function puntedPacket(
  { datapathId, ports }: Pick<SwitchSession, 'datapathId' | 'ports'>,
  message: PacketInMessage,
  lookUp: PuntLookUp,
): PuntedPacket | undefined {
  const portName = (port: number) => ports.get(port)?.name;
  if (message.type === 'nx_packet_in2') {
    const { userdata, packet: frame = NO_BYTES, fullLength: length = frame.length, metadata = [] } = message;
    const punt = userdata === undefined ? undefined : decodePunt(userdata);
    return punt && { ...punt, datapathId, portName, frame, length, metadata };
  }
  const punt = puntByCookie(message, lookUp);
  const { data: frame, totalLength: length, match: metadata } = message;
  return punt && { ...punt, datapathId, portName, frame, length, metadata };
}

/** A switch that does not know NXT_PACKET_IN2 sends no user data; the cookie says which rule or default it was. */
function puntByCookie({ cookie, tableId }: PacketIn, { ownerOf, names }: PuntLookUp): Punt | undefined {
  const owner = ownerOf(cookie);
  const counted = owner && countedBy(owner, tableId);
  if (counted === undefined) return undefined;
  const { direction, ...decider } = counted;
  // What a default lets pass does not come here.
  const verdict = decider.kind === 'rule' ? names.rule(decider.number)?.action : 'deny';
  return verdict && { verdict, direction, decider };
}
