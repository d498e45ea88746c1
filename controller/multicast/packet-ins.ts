/** Packet-ins of both formats as messages of group membership: by whom, in which network, the whole frame. */
import { decodeMembershipPunt, type MembershipSender } from '../../apps/multicast/punt.js';
import { R, T } from '../../apps/pipeline.js';
import { F } from '../../ofproto/index.js';
import type { PacketInMessage } from '../channel/index.js';
import { fieldOf, registerOf } from '../punt/registers.js';

export interface MembershipPacketIn {
  readonly from: MembershipSender;
  readonly networkNumber: number;
  /** OpenFlow port it came in by. */
  readonly port: number | undefined;
  readonly frame: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/** Undefined for packet-ins that are others'. */
export function membershipPacketIn(message: PacketInMessage): MembershipPacketIn | undefined {
  const from = senderOf(message);
  if (from === undefined) return undefined;
  const isNicira = message.type === 'nx_packet_in2';
  const metadata = (isNicira ? message.metadata : message.match) ?? [];
  return {
    from,
    networkNumber: registerOf(metadata, R.network),
    port: fieldOf(metadata, F.in_port),
    frame: (isNicira ? message.packet : message.data) ?? NO_BYTES,
  };
}

/** A switch that does not know NXT_PACKET_IN2 sends no user data: there the table says who sent it. */
function senderOf(message: PacketInMessage): MembershipSender | undefined {
  if (message.type === 'nx_packet_in2') {
    return message.userdata === undefined ? undefined : decodeMembershipPunt(message.userdata);
  }
  if (message.tableId === T.membership_report.id) return 'endpoint';
  return message.tableId === T.membership.id ? 'uplink' : undefined;
}
