/**
 * Frames that fabric switches send to the controller, and how it sends them back: what `apps/fabric` and `controller/fabric` agree on.
 * Everything else about them is in the frame and in `in_port`.
 *
 *     0    'W' 'F'    these frames and no others
 *     2    1          version
 *     3    kind       0 LLDP, 1 the frame of a station that is not known at its port, 2 group membership: IGMP, MLD, hellos of PIM routers
 */
import { type Action, PacketInReason } from '../../ofproto/index.js';
import { resubmit } from '../actions.js';
import { Origin, R, T, treeClassOf } from './pipeline.js';

/**
 * Meters of what one switch sends to the controller. Ports that lead to neighbours have one of their own, so that nobody at another
 * port can drown the probes that links live by.
 */
export const FabricMeter = { neighbourProbes: 1, otherProbes: 2, stations: 3, membership: 4 } as const;

/** Packets per second of each meter, and how many may come at once. */
export const FABRIC_PUNT_RATE: Readonly<
  Record<keyof typeof FabricMeter, { readonly rate: number; readonly burst: number }>
> = {
  // One a second from each neighbour, two when a port comes up.
  neighbourProbes: { rate: 2000, burst: 4000 },
  otherProbes: { rate: 500, burst: 1000 },
  // Until the entry of a new station is there, each of its frames comes here.
  stations: { rate: 1000, burst: 2000 },
  // All stations of a switch answering a general query with a report or two each.
  membership: { rate: 1000, burst: 2000 },
};

export type FabricPunt = 'lldp' | 'station' | 'membership';

const KINDS: readonly FabricPunt[] = ['lldp', 'station', 'membership'];
const MAGIC = 0x5746;
const VERSION = 1;
const LENGTH = 4;
/** The whole frame, since it is sent on from there. */
const WHOLE_FRAME = 0xffff;

/** The user data of such a frame. */
export function encodeFabricPunt(kind: FabricPunt): Uint8Array {
  return Uint8Array.of(MAGIC >> 8, MAGIC & 0xff, VERSION, KINDS.indexOf(kind));
}

/** What user data says; undefined if it is not of this kind or of another version. @param start where in `bytes` it begins */
export function decodeFabricPunt(bytes: Uint8Array, start = 0, end = bytes.length): FabricPunt | undefined {
  if (end - start !== LENGTH) return undefined;
  if (bytes[start] !== MAGIC >> 8 || bytes[start + 1] !== (MAGIC & 0xff) || bytes[start + 2] !== VERSION) {
    return undefined;
  }
  return KINDS[bytes[start + 3] ?? KINDS.length];
}

/** Sends the frame to the controller, at the rate of the meter. */
export function toController(kind: FabricPunt, meter: keyof typeof FabricMeter): Action {
  return {
    type: 'controller2',
    maxLen: WHOLE_FRAME,
    reason: PacketInReason.ACTION,
    userdata: encodeFabricPunt(kind),
    meterId: FabricMeter[meter],
  };
}

/**
 * Actions of a packet-out, with the port that the frame came from as `in_port`, that take a frame of a station behind the table that
 * did not know it.
 *
 * @param vlan VLAN id of the frame; 0: without a tag.
 */
export function reinjection(vlan: number): readonly Action[] {
  return [
    R.vlan.set(vlan),
    R.treeClass.set(treeClassOf(vlan)),
    R.origin.set(Origin.edge),
    resubmit(T.destination),
  ];
}

/** Number of the table of stations; the cookies of its entries have the number of their station as `object`. */
export const STATION_TABLE: number = T.station.id;
