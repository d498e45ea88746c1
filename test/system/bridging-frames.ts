/** What the bridging tests put onto the wire, forgeries included, and how they read what they find there. */
import type { EndpointFact } from '../../controller/model/facts.js';
import type { LabHost } from '../../topologies/lab/index.js';
import {
  arpFrame,
  BROADCAST,
  icmpv6Frame,
  ipv4Text,
  mac,
  neighbourBody,
  udpFrame,
} from '../support/frames.js';

/** An endpoint with its addresses as numbers. */
export interface Addressed extends EndpointFact {
  readonly ip: number;
  readonly ip6: bigint;
}

/** A MAC address that no endpoint has. */
export const STRANGER = 0x02ffffffff01;
const VXLAN_PORT = 4789;

/** Sends VXLAN packets to a host from a host's own network stack, as anybody in the underlay can. */
export async function sendVxlan(from: LabHost, to: string, payloads: readonly Uint8Array[]): Promise<void> {
  const sender = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in sys.stdin: s.sendto(bytes.fromhex(line), (sys.argv[1], ${VXLAN_PORT}))`;
  const input = payloads.map((payload) => `${Buffer.from(payload).toString('hex')}\n`).join('');
  await from.exec(['/usr/bin/python3', '-c', sender, to], { input });
}

/** Outer addresses, VNI and inner frame of a VXLAN packet over IPv4; undefined for anything else. */
export function vxlan(
  frame: Uint8Array,
): { to: string; from: string; vni: number; inner: Uint8Array } | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const [UDP_AT, INNER_AT] = [34, 50];
  if (frame.length < INNER_AT || view.getUint16(12) !== 0x0800 || frame[23] !== 17) return undefined;
  if (view.getUint16(UDP_AT + 2) !== VXLAN_PORT) return undefined;
  return {
    from: ipv4Text(view.getUint32(26)),
    to: ipv4Text(view.getUint32(30)),
    vni: view.getUint32(46) >>> 8,
    inner: frame.subarray(INNER_AT),
  };
}

/** Ethernet type, and VLAN id if the frame is tagged. */
export function typeOf(frame: Uint8Array): { type: number; tag?: number } {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const type = view.getUint16(12);
  return type === 0x8100 ? { type: view.getUint16(16), tag: view.getUint16(14) & 0xfff } : { type };
}

export function sentBy(frame: Uint8Array, source: number): boolean {
  return mac(source).every((byte, index) => frame[6 + index] === byte);
}

export function isArpRequest(frame: Uint8Array): boolean {
  const [ARP, OPERATION_AT, REQUEST] = [0x0806, 21, 1];
  const { type, tag } = typeOf(frame);
  return type === ARP && frame[OPERATION_AT + (tag === undefined ? 0 : 4)] === REQUEST;
}

/** An untagged neighbour solicitation. */
export function isSolicitation(frame: Uint8Array): boolean {
  const [IPV6, NEXT_HEADER_AT, ICMPV6, TYPE_AT, SOLICITATION] = [0x86dd, 20, 58, 54, 135];
  return typeOf(frame).type === IPV6 && frame[NEXT_HEADER_AT] === ICMPV6 && frame[TYPE_AT] === SOLICITATION;
}

/** A broadcast frame of nobody we know. */
export const outsider = (text: string, tags: readonly number[], source = STRANGER): Uint8Array =>
  udpFrame(
    { source, destination: BROADCAST },
    { sourceIp: 0x0a0201c8, destinationIp: 0xffffffff, text },
    tags,
  );

/** A frame that must reach nobody, by what is wrong with it. */
export type Forgeries = Readonly<Record<string, Uint8Array>>;

/** What an endpoint could send to be taken for another, for a router, a DHCP server or a member of another network. */
export function forgeriesOf(from: Addressed, other: Addressed): Forgeries {
  const { id, mac: source, ip, ip6 } = from;
  const everybody = { source, destination: BROADCAST };
  const allNodes = { source, destination: 0x333300000001 };
  const sourceIp = ip;
  const destinationIp = 0xffffffff;
  const ALL_NODES = (0xff02n << 112n) | 1n;
  const [ROUTER_ADVERTISEMENT, NEIGHBOUR_ADVERTISEMENT, OVERRIDE] = [134, 136, 0x20000000];
  const frames: Record<string, (text: string) => Uint8Array> = {
    'source MAC': (text) =>
      udpFrame({ source: STRANGER, destination: BROADCAST }, { sourceIp, destinationIp, text }),
    'MAC of another': (text) =>
      udpFrame({ source: other.mac, destination: BROADCAST }, { sourceIp: other.ip, destinationIp, text }),
    'source address': (text) => udpFrame(everybody, { sourceIp: other.ip, destinationIp, text }),
    'unicast with another address': (text) =>
      udpFrame({ source, destination: other.mac }, { sourceIp: ip + 50, destinationIp: other.ip, text }),
    'IPv6 source address': (text) =>
      icmpv6Frame(allNodes, {
        sourceIp: other.ip6,
        destinationIp: ALL_NODES,
        type: 128,
        body: Buffer.from(`0000${text}`),
      }),
    'DHCP server': (text) =>
      udpFrame(everybody, { sourceIp, destinationIp, sourcePort: 67, destinationPort: 68, text }),
    'router advertisement': (text) =>
      icmpv6Frame(allNodes, {
        sourceIp: ip6,
        destinationIp: ALL_NODES,
        type: ROUTER_ADVERTISEMENT,
        body: Buffer.from(`000000000000${text}`),
      }),
    'neighbour advertisement': (text) =>
      Buffer.concat([
        icmpv6Frame(allNodes, {
          sourceIp: ip6,
          destinationIp: ALL_NODES,
          type: NEIGHBOUR_ADVERTISEMENT,
          body: neighbourBody(OVERRIDE, other.ip6, { type: 2, mac: source }),
        }),
        Buffer.from(text),
      ]),
    'ARP sender': (text) =>
      Buffer.concat([
        arpFrame(everybody, { operation: 1, senderMac: source, senderIp: other.ip, targetIp: other.ip }),
        Buffer.from(text),
      ]),
    'ARP sender MAC': (text) =>
      Buffer.concat([
        arpFrame(everybody, { operation: 2, senderMac: STRANGER, senderIp: ip, targetIp: ip }),
        Buffer.from(text),
      ]),
    'gratuitous ARP of another': (text) =>
      Buffer.concat([
        arpFrame(everybody, { operation: 2, senderMac: source, senderIp: other.ip, targetIp: other.ip }),
        Buffer.from(text),
      ]),
  };
  for (const tags of [[11], [12], [0], [11, 12]]) {
    frames[`tagged ${tags.join(' and ')}`] = (text) =>
      udpFrame(everybody, { sourceIp, destinationIp, text }, tags);
  }
  return Object.fromEntries(Object.entries(frames).map(([what, frame]) => [what, frame(`<${id} ${what}>`)]));
}
