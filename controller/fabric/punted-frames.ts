/**
 * Frames that edge switches send here: those of stations that they do not know, which are learned from, and sent back behind the table that did
 * not know them; and messages of group membership, which are handed on. All of it happens once per packet, so there is nothing here
 * that need not be.
 */
import { decodeFabricPunt } from '../../apps/fabric/punt.js';
import { type Action, encode, type PacketInView, packetOut } from '../../ofproto/index.js';
import type { DatapathId } from '../model/facts.js';
import { StationAddresses } from './addresses.js';
import { LLDP_ETHERTYPE } from './lldp.js';
import { type StationPlace, type Stations, stationPlace } from './stations.js';
import type { FabricSession } from './switches.js';

export interface PuntedFramesOptions {
  readonly stations: Stations;
  /** What takes a frame of a VLAN (0: untagged) behind the table of stations. */
  readonly reinjection: (vlan: number) => readonly Action[];
  /** A frame with LLDP in it. */
  readonly lldp: (datapathId: DatapathId, port: number, frame: Uint8Array) => void;
  /** A copy of a frame with a message of group membership, from an edge port. */
  readonly membership: (datapathId: DatapathId, port: number, vlan: number, frame: Uint8Array) => void;
}

const EtherType = { vlan: 0x8100, serviceVlan: 0x88a8 } as const;
/** Two addresses and an EtherType. */
const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;

export class PuntedFrames {
  readonly #options: PuntedFramesOptions;
  /** Edge ports, by switch and number. */
  readonly #places = new Map<DatapathId, Map<number, StationPlace>>();
  readonly addresses = new StationAddresses();

  constructor(options: PuntedFramesOptions) {
    this.#options = options;
  }

  place(datapathId: DatapathId, port: number): StationPlace | undefined {
    return this.#places.get(datapathId)?.get(port);
  }

  /** Stations are learned at a port from now on, or forgotten and not learned any more. */
  edge(datapathId: DatapathId, port: number, isEdge: boolean): void {
    let places = this.#places.get(datapathId);
    const place = places?.get(port);
    if (isEdge && place === undefined) {
      if (places === undefined) this.#places.set(datapathId, (places = new Map()));
      places.set(port, stationPlace(datapathId, port));
    } else if (!isEdge && place !== undefined) {
      this.#options.stations.clear(place);
      places?.delete(port);
      if (places?.size === 0) this.#places.delete(datapathId);
    }
  }

  /** A packet-in as it lies in the input; false: it is not for here. */
  packetIn(session: FabricSession, packetIn: PacketInView): boolean {
    const { bytes, view, inPort, frameStart, frameEnd, userdataStart, userdataEnd } = packetIn;
    if (decodeFabricPunt(bytes, userdataStart, userdataEnd) === 'membership') {
      this.#membership(session, inPort, packetIn.frame());
    } else this.#frame(session, inPort, bytes, view, frameStart, frameEnd);
    return true;
  }

  /** @param userdata of the action that sent it */
  frame(session: FabricSession, inPort: number, frame: Uint8Array, userdata?: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (userdata !== undefined && decodeFabricPunt(userdata) === 'membership') {
      this.#membership(session, inPort, frame);
    } else this.#frame(session, inPort, frame, view, 0, frame.length);
  }

  #membership({ datapathId }: FabricSession, inPort: number, frame: Uint8Array): void {
    if (frame.length < ETHERNET_HEADER) return;
    const vlan = vlanOf(new DataView(frame.buffer, frame.byteOffset, frame.length), 0, frame.length);
    if (vlan === undefined) return;
    if (this.place(datapathId, inPort) === undefined) this.#options.stations.counters.notEdge++;
    else this.#options.membership(datapathId, inPort, vlan, frame);
  }

  #frame(
    session: FabricSession,
    inPort: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    if (end - start < ETHERNET_HEADER) return;
    const { stations, lldp } = this.#options;
    const etherType = view.getUint16(start + 12);
    if (etherType === LLDP_ETHERTYPE) {
      lldp(session.datapathId, inPort, bytes.slice(start, end));
      return;
    }
    const place = this.#places.get(session.datapathId)?.get(inPort);
    if (place === undefined) {
      stations.counters.notEdge++;
      return;
    }
    const vlan = vlanOf(view, start, end);
    if (vlan === undefined) return;
    const source = view.getUint16(start + 6) * 0x1_0000_0000 + view.getUint32(start + 8);
    const learning = stations.seen(place, vlan, source);
    if (learning === 'refused') return;
    if (learning === 'learned') {
      const payload = start + ETHERNET_HEADER + (vlan === 0 ? 0 : VLAN_TAG);
      if (payload <= end) {
        const type = view.getUint16(payload - 2);
        this.addresses.heard({ vlan, mac: source }, type, view, payload, end);
      }
    }
    stations.counters.reinjected++;
    session.sendPacketOut(place.heads.get(vlan) ?? this.#head(place, vlan), bytes, start, end);
  }

  #head(place: StationPlace, vlan: number): Uint8Array {
    const actions = this.#options.reinjection(vlan);
    const head = Uint8Array.from(encode(packetOut({ inPort: place.port, actions })));
    place.heads.set(vlan, head);
    return head;
  }
}

/** VLAN id of the outer tag; 0 of a priority tag, as of a frame without a tag. Undefined: it is cut off. */
function vlanOf(view: DataView, start: number, end: number): number | undefined {
  const etherType = view.getUint16(start + 12);
  if (etherType !== EtherType.vlan && etherType !== EtherType.serviceVlan) return 0;
  if (end - start < ETHERNET_HEADER + 2) return undefined;
  return view.getUint16(start + ETHERNET_HEADER) & 0xfff;
}
