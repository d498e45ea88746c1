/** Ethernet of multicast frames. */
import type { MulticastGroup } from '../model/facts.js';

/** MAC address that packets for a group go to (RFC 1112, section 6.4; RFC 2464, section 7). */
export function groupMac(group: MulticastGroup): number {
  return group.family === 4
    ? 0x01005e000000 + (group.address & 0x7fffff)
    : 0x333300000000 + Number(group.address & 0xffff_ffffn);
}

export function ethernetHeader(destination: number, source: number, etherType: number): Uint8Array {
  const header = new Uint8Array(14);
  const view = new DataView(header.buffer);
  setMac(view, 0, destination);
  setMac(view, 6, source);
  view.setUint16(12, etherType);
  return header;
}

function setMac(view: DataView, at: number, mac: number): void {
  view.setUint16(at, Math.floor(mac / 0x1_0000_0000));
  view.setUint32(at + 2, mac % 0x1_0000_0000);
}
