/**
 * Packets that policy sends to the controller: those that a rule or a default logs, and those that a rule rejects. Who sends them
 * (this app) and who reads them agree here on the meters, the length and the user data of the action `controller2`. Registers, and
 * the fields of connection tracking, come with the packet by themselves.
 *
 *     0    'W' 'L'      these packets and no others
 *     2    1            version
 *     3    verdict      0 allow, 1 deny, 2 reject
 *     4    rule         number of the rule, big-endian; 0: no rule, a default
 *     8    default      number of the policy or tenant that has the default, big-endian; 0 for a rule
 *     12   direction    0 out: judged for the source of the connection; 1 in: for its destination
 *     13   of           whose number stands before: 0 of none, 1 of a policy, 2 of a tenant
 */
import { type Action, PacketInReason } from '../../ofproto/index.js';

/**
 * Meters that limit what one switch sends to the controller. They drop nothing else. Defaults have one of their own: they are logged
 * without being asked to, and must not use up what a rule is asked to log.
 */
export const PuntMeter = { log: 1, reject: 2, default: 3 } as const;

/** Packets per second of each meter, and how many may come at once. */
export const PUNT_RATE = 100;
export const PUNT_BURST = 100;

/** Bytes of the packet that come along: all headers that matter, of IPv6 and of the packet quoted in an ICMP error too. */
export const PUNT_MAX_LENGTH = 128;

export type PuntVerdict = 'allow' | 'deny' | 'reject';

/** Who decided. */
export type Decider =
  | { readonly kind: 'rule'; readonly number: number }
  /** The default of a policy or of a tenant, by its number. */
  | { readonly kind: 'policy' | 'tenant'; readonly number: number };

/** What is said of a packet. */
export interface Punt {
  readonly verdict: PuntVerdict;
  readonly decider: Decider;
  readonly direction: 'in' | 'out';
}

const MAGIC = 0x574c;
const VERSION = 1;
const LENGTH = 14;
const VERDICTS: readonly PuntVerdict[] = ['allow', 'deny', 'reject'];
const DIRECTIONS: readonly Punt['direction'][] = ['out', 'in'];
const DECIDERS: readonly Decider['kind'][] = ['rule', 'policy', 'tenant'];

/** The user data of such a packet. */
export function encodePunt({ verdict, decider, direction }: Punt): Uint8Array {
  const bytes = new Uint8Array(LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC);
  view.setUint8(2, VERSION);
  view.setUint8(3, VERDICTS.indexOf(verdict));
  view.setUint32(decider.kind === 'rule' ? 4 : 8, decider.number);
  view.setUint8(12, DIRECTIONS.indexOf(direction));
  view.setUint8(13, DECIDERS.indexOf(decider.kind));
  return bytes;
}

/** What user data says; undefined if it is not of this kind or of another version. */
export function decodePunt(userdata: Uint8Array): Punt | undefined {
  if (userdata.length !== LENGTH) return undefined;
  const view = new DataView(userdata.buffer, userdata.byteOffset, userdata.byteLength);
  if (view.getUint16(0) !== MAGIC || view.getUint8(2) !== VERSION) return undefined;
  const verdict = VERDICTS[view.getUint8(3)];
  const direction = DIRECTIONS[view.getUint8(12)];
  const kind = DECIDERS[view.getUint8(13)];
  if (verdict === undefined || direction === undefined || kind === undefined) return undefined;
  return { verdict, direction, decider: { kind, number: view.getUint32(kind === 'rule' ? 4 : 8) } };
}

/** Sends the packet to the controller as well, at the rate of its meter. */
export function toController(punt: Punt): Action {
  return {
    type: 'controller2',
    maxLen: PUNT_MAX_LENGTH,
    reason: PacketInReason.ACTION,
    userdata: encodePunt(punt),
    meterId: meterOf(punt),
  };
}

function meterOf({ verdict, decider }: Punt): number {
  if (decider.kind !== 'rule') return PuntMeter.default;
  return verdict === 'reject' ? PuntMeter.reject : PuntMeter.log;
}
