/**
 * Messages of group membership that go to the controller: IGMP, MLD, and the hellos of PIM routers. Who sends them (`membership.ts`) and
 * who reads them agree here on the meters and the user data of the action `controller2`. Network, origin and port come with the packet
 * by themselves, in its registers and `in_port`.
 *
 *     0    'W' 'M'      these packets and no others
 *     2    1            version
 *     3    from         0 an endpoint of this host, 1 the VLAN uplink
 */
import { type Action, PacketInReason } from '../../ofproto/index.js';

/**
 * Meters of what one switch sends to the controller. Routers behind the uplink have one of their own, so that endpoints cannot drown
 * them.
 */
export const MembershipMeter = { endpoint: 4, uplink: 5 } as const;

/**
 * Packets per second of each meter, and how many may come at once: all endpoints of a host answering a general query with a report or
 * two each. What one endpoint may send of it is limited before (`membership.ts`).
 */
export const MEMBERSHIP_RATE = 1000;
export const MEMBERSHIP_BURST = 2000;

export type MembershipSender = 'endpoint' | 'uplink';

const SENDERS: readonly MembershipSender[] = ['endpoint', 'uplink'];
const MAGIC = 0x574d;
const VERSION = 1;
const LENGTH = 4;
/** The whole packet: reports of many groups are as long as the MTU allows. */
const WHOLE_PACKET = 0xffff;

/** The user data of such a packet. */
export function encodeMembershipPunt(from: MembershipSender): Uint8Array {
  return Uint8Array.of(MAGIC >> 8, MAGIC & 0xff, VERSION, SENDERS.indexOf(from));
}

/** What user data says; undefined if it is not of this kind or of another version. */
export function decodeMembershipPunt(userdata: Uint8Array): MembershipSender | undefined {
  if (userdata.length !== LENGTH) return undefined;
  const [high = 0, low = 0, version, from = SENDERS.length] = userdata;
  if (((high << 8) | low) !== MAGIC || version !== VERSION) return undefined;
  return SENDERS[from];
}

/** Sends a copy of the packet to the controller, at the rate of its meter. */
export function membershipToController(from: MembershipSender): Action {
  return {
    type: 'controller2',
    maxLen: WHOLE_PACKET,
    reason: PacketInReason.ACTION,
    userdata: encodeMembershipPunt(from),
    meterId: MembershipMeter[from],
  };
}
