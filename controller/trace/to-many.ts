/** Addresses of many: broadcast and groups. */

/** The bit of a MAC address that says that it is a group's (IEEE 802, clause 8.2). */
export const GROUP_BIT = 1n << 40n;

const BROADCAST_IPV4 = 0xffff_ffffn;
const BROADCAST_MAC = 0xffff_ffff_ffff;

/**
 * The MAC address that an IP packet for many is sent to (RFC 1112, section 6.4; RFC 2464, section 7); undefined for an address that is
 * not one of many.
 */
export function broadcastOrGroupMac({
  family,
  bits,
}: {
  readonly family: 4 | 6;
  readonly bits: bigint;
}): number | undefined {
  if (family === 6) {
    return bits >> 120n === 0xffn ? Number(0x3333_0000_0000n | (bits & 0xffff_ffffn)) : undefined;
  }
  if (bits === BROADCAST_IPV4) return BROADCAST_MAC;
  return bits >> 28n === 0xen ? Number(0x0100_5e00_0000n | (bits & 0x7f_ffffn)) : undefined;
}
