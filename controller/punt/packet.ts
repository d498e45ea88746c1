/**
 * Headers of a captured packet. The bytes come from whoever can send to a port and may be cut off anywhere: nothing here throws, a
 * header that is not there in full is absent, and the number of headers walked through is bounded.
 */

/** IEEE 802 numbers. */
const EtherType = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, serviceVlan: 0x88a8 } as const;

/** IANA protocol numbers. */
export const IpProtocol = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  authentication: 51,
  icmpv6: 58,
  destinationOptions: 60,
  sctp: 132,
  mobility: 135,
} as const;

export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

export interface Packet {
  readonly ethernet?: EthernetHeader;
  readonly arp?: ArpHeader;
  readonly ip?: IpHeader;
  /** Of the first fragment, or of what is no fragment. */
  readonly transport?: TransportHeader;
}

export interface EthernetHeader {
  readonly destination: number;
  readonly source: number;
  /** Of the payload, behind the VLAN tags. */
  readonly etherType: number;
  /** Where the payload begins. */
  readonly payload: number;
}

/** Of IPv4 over Ethernet (RFC 826). */
export interface ArpHeader {
  readonly operation: number;
  readonly senderMac: number;
  readonly senderAddress: number;
  readonly targetMac: number;
  readonly targetAddress: number;
}

interface IpHeaderOf<Version extends 4 | 6, Address> {
  readonly version: Version;
  readonly source: Address;
  readonly destination: Address;
  /** The last one of the chain of IPv6 headers, as far as it could be followed. */
  readonly protocol: number;
  /** Where in the frame it begins, and where what it carries does: behind options and extension headers. */
  readonly offset: number;
  readonly payload: number;
  /** Bytes of header and payload as the header says, whatever was captured. */
  readonly totalLength: number;
  readonly isFragment: boolean;
  /** Of the payload within the whole, in bytes. */
  readonly fragmentOffset: number;
  /** False where the chain of IPv6 headers is cut off or longer than anybody sends: `protocol` is not the payload's. */
  readonly complete: boolean;
}
export type Ipv4Header = IpHeaderOf<4, number>;
export type Ipv6Header = IpHeaderOf<6, bigint>;
export type IpHeader = Ipv4Header | Ipv6Header;

export type TransportHeader =
  | {
      readonly kind: 'tcp';
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly sequence: number;
      readonly acknowledgement: number;
      /** Bytes. */
      readonly headerLength: number;
      /** `TcpFlag` bits. */
      readonly flags: number;
    }
  | { readonly kind: 'udp' | 'sctp'; readonly sourcePort: number; readonly destinationPort: number }
  | { readonly kind: 'icmp' | 'icmpv6'; readonly type: number; readonly code: number };

const ETHERNET_LENGTH = 14;
const VLAN_LENGTH = 4;
const MAX_VLAN_TAGS = 2;
const ARP_LENGTH = 28;
const IPV4_LENGTH = 20;
const IPV6_LENGTH = 40;
const TCP_LENGTH = 20;
/** More IPv6 extension headers than RFC 8200 lets a packet have in any sensible order. */
const MAX_EXTENSION_HEADERS = 8;

/** Reads the headers of a frame. */
export function parsePacket(frame: Uint8Array): Packet {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const ethernet = readEthernet(view);
  if (ethernet === undefined) return {};
  switch (ethernet.etherType) {
    case EtherType.arp: {
      const arp = readArp(view, ethernet.payload);
      return arp === undefined ? { ethernet } : { ethernet, arp };
    }
    case EtherType.ipv4:
    case EtherType.ipv6: {
      const isIpv4 = ethernet.etherType === EtherType.ipv4;
      const ip = isIpv4 ? readIpv4(view, ethernet.payload) : readIpv6(view, ethernet.payload);
      if (ip === undefined) return { ethernet };
      const transport = readTransport(view, ip);
      return transport === undefined ? { ethernet, ip } : { ethernet, ip, transport };
    }
    default:
      return { ethernet };
  }
}

function readEthernet(view: DataView): EthernetHeader | undefined {
  if (view.byteLength < ETHERNET_LENGTH) return undefined;
  let payload = ETHERNET_LENGTH;
  let etherType = view.getUint16(12);
  for (let tags = 0; tags < MAX_VLAN_TAGS && isVlan(etherType); tags++) {
    if (view.byteLength < payload + VLAN_LENGTH) break;
    etherType = view.getUint16(payload + 2);
    payload += VLAN_LENGTH;
  }
  return { destination: mac(view, 0), source: mac(view, 6), etherType, payload };
}

function isVlan(etherType: number): boolean {
  return etherType === EtherType.vlan || etherType === EtherType.serviceVlan;
}

function readArp(view: DataView, at: number): ArpHeader | undefined {
  if (view.byteLength < at + ARP_LENGTH) return undefined;
  const isIpv4OverEthernet =
    view.getUint16(at) === 1 &&
    view.getUint16(at + 2) === EtherType.ipv4 &&
    view.getUint16(at + 4) === 0x0604;
  if (!isIpv4OverEthernet) return undefined;
  return {
    operation: view.getUint16(at + 6),
    senderMac: mac(view, at + 8),
    senderAddress: view.getUint32(at + 14),
    targetMac: mac(view, at + 18),
    targetAddress: view.getUint32(at + 24),
  };
}

/** RFC 791, section 3.1. */
function readIpv4(view: DataView, at: number): Ipv4Header | undefined {
  if (view.byteLength < at + IPV4_LENGTH) return undefined;
  const versionAndLength = view.getUint8(at);
  const headerLength = (versionAndLength & 0x0f) * 4;
  const totalLength = view.getUint16(at + 2);
  if (versionAndLength >> 4 !== 4 || headerLength < IPV4_LENGTH || totalLength < headerLength)
    return undefined;
  const fragment = view.getUint16(at + 6);
  const fragmentOffset = (fragment & 0x1fff) * 8;
  return {
    version: 4,
    source: view.getUint32(at + 12),
    destination: view.getUint32(at + 16),
    protocol: view.getUint8(at + 9),
    offset: at,
    payload: at + headerLength,
    totalLength,
    isFragment: fragmentOffset > 0 || (fragment & 0x2000) !== 0,
    fragmentOffset,
    complete: true,
  };
}

/** RFC 8200, sections 3 and 4; authentication header: RFC 4302; mobility header: RFC 6275. */
function readIpv6(view: DataView, at: number): Ipv6Header | undefined {
  if (view.byteLength < at + IPV6_LENGTH || view.getUint8(at) >> 4 !== 6) return undefined;
  let protocol = view.getUint8(at + 6);
  let payload = at + IPV6_LENGTH;
  let isFragment = false;
  let fragmentOffset = 0;
  let complete = true;
  for (let headers = 0; isExtension(protocol) && fragmentOffset === 0; headers++) {
    if (headers === MAX_EXTENSION_HEADERS || view.byteLength < payload + 8) {
      complete = false;
      break;
    }
    if (protocol === IpProtocol.fragment) {
      isFragment ||= (view.getUint16(payload + 2) & 0xfff9) !== 0; // one alone is an "atomic" fragment: none (RFC 6946)
      fragmentOffset = view.getUint16(payload + 2) & 0xfff8;
    }
    const length = extensionLength(protocol, view.getUint8(payload + 1));
    protocol = view.getUint8(payload);
    payload += length;
  }
  return {
    version: 6,
    source: ipv6Address(view, at + 8),
    destination: ipv6Address(view, at + 24),
    protocol,
    offset: at,
    payload,
    totalLength: IPV6_LENGTH + view.getUint16(at + 4),
    isFragment,
    fragmentOffset,
    complete,
  };
}

const EXTENSIONS: ReadonlySet<number> = new Set([
  IpProtocol.hopByHop,
  IpProtocol.routing,
  IpProtocol.fragment,
  IpProtocol.authentication,
  IpProtocol.destinationOptions,
  IpProtocol.mobility,
]);

function isExtension(protocol: number): boolean {
  return EXTENSIONS.has(protocol);
}

function extensionLength(protocol: number, lengthField: number): number {
  if (protocol === IpProtocol.fragment) return 8;
  return protocol === IpProtocol.authentication ? (lengthField + 2) * 4 : (lengthField + 1) * 8;
}

function readTransport(view: DataView, ip: IpHeader): TransportHeader | undefined {
  if (ip.fragmentOffset > 0 || !ip.complete) return undefined;
  const at = ip.payload;
  const end = Math.min(view.byteLength, ip.offset + ip.totalLength);
  const has = (bytes: number): boolean => at + bytes <= end;
  switch (ip.protocol) {
    case IpProtocol.tcp: {
      if (!has(TCP_LENGTH)) return undefined;
      const headerLength = (view.getUint8(at + 12) >> 4) * 4;
      if (headerLength < TCP_LENGTH) return undefined;
      return {
        kind: 'tcp',
        sourcePort: view.getUint16(at),
        destinationPort: view.getUint16(at + 2),
        sequence: view.getUint32(at + 4),
        acknowledgement: view.getUint32(at + 8),
        headerLength,
        flags: view.getUint8(at + 13),
      };
    }
    case IpProtocol.udp:
    case IpProtocol.sctp:
      if (!has(4)) return undefined;
      return {
        kind: ip.protocol === IpProtocol.udp ? 'udp' : 'sctp',
        sourcePort: view.getUint16(at),
        destinationPort: view.getUint16(at + 2),
      };
    case IpProtocol.icmp:
    case IpProtocol.icmpv6: {
      // Each belongs to its own family; across, they are payload of an unknown kind.
      const kind = ip.protocol === IpProtocol.icmp ? 'icmp' : 'icmpv6';
      if (!has(2) || (kind === 'icmp') !== (ip.version === 4)) return undefined;
      return { kind, type: view.getUint8(at), code: view.getUint8(at + 1) };
    }
    default:
      return undefined;
  }
}

function mac(view: DataView, at: number): number {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);
}

function ipv6Address(view: DataView, at: number): bigint {
  return (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8);
}
