/** Which IP addresses stations use, as far as their frames tell: to name a station by, and for nothing that frames depend on. */
export interface StationName {
  readonly vlan: number;
  readonly mac: number;
}

/** `bits`: as a number. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

const EtherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
/** Addresses remembered; the oldest is forgotten first. */
const MAX_ADDRESSES = 65_536;

export class StationAddresses {
  /** By address, in the order in which they were heard last. */
  readonly #stations = new Map<string, StationName>();

  /** The station that was heard last to use an address. */
  get(address: IpAddress): StationName | undefined {
    return this.#stations.get(keyOf(address));
  }

  /**
   * Remembers the source address of a packet: of ARP, IPv4 or IPv6.
   *
   * @param payload where the header behind the EtherType begins
   */
  heard(station: StationName, etherType: number, view: DataView, payload: number, end: number): void {
    const address = sourceAddress(etherType, view, payload, end);
    if (address === undefined || address.bits === 0n) return;
    const key = keyOf(address);
    this.#stations.delete(key);
    this.#stations.set(key, station);
    if (this.#stations.size <= MAX_ADDRESSES) return;
    for (const [oldest] of this.#stations) {
      this.#stations.delete(oldest);
      return;
    }
  }
}

const keyOf = ({ family, bits }: IpAddress): string => `${family}/${bits}`;

/** Of a station that has no address yet it is the unspecified one, 0. */
function sourceAddress(
  etherType: number,
  view: DataView,
  payload: number,
  end: number,
): IpAddress | undefined {
  const length = end - payload;
  // Offsets: RFC 826 (hardware of six bytes, protocol of four); RFC 791, section 3.1; RFC 8200, section 3.
  if (etherType === EtherType.arp && length >= 28) return ipv4At(view, payload + 14);
  if (etherType === EtherType.ipv4 && length >= 20) return ipv4At(view, payload + 12);
  if (etherType !== EtherType.ipv6 || length < 40) return undefined;
  const bits = (view.getBigUint64(payload + 8) << 64n) | view.getBigUint64(payload + 16);
  return { family: 6, bits };
}

function ipv4At(view: DataView, offset: number): IpAddress {
  return { family: 4, bits: BigInt(view.getUint32(offset)) };
}
