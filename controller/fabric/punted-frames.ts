/**
 * Frames that edge switches send here because they do not know the station that sent them: learned from, and sent back behind the
 * table that did not know it. All of it happens once per packet, so there is nothing here that need not be.
 */
import { type Action, encode, type PacketInView, packetOut } from '../../ofproto/index.js';
import type { DatapathId } from '../model/facts.js';
import { LLDP_ETHERTYPE } from './lldp.js';
import { type StationPlace, type Stations, stationPlace } from './stations.js';
import type { FabricSession } from './switches.js';

export interface PuntedFramesOptions {
  readonly stations: Stations;
  /** What takes a frame of a VLAN (0: untagged) behind the table of stations. */
  readonly reinjection: (vlan: number) => readonly Action[];
  /** A frame with LLDP in it. */
  readonly lldp: (datapathId: DatapathId, port: number, frame: Uint8Array) => void;
}

const EtherType = { vlan: 0x8100, serviceVlan: 0x88a8 } as const;
/** Two addresses and an EtherType. */
const ETHERNET_HEADER = 14;

export class PuntedFrames {
  readonly #options: PuntedFramesOptions;
  /** Edge ports, by switch and number. */
  readonly #places = new Map<DatapathId, Map<number, StationPlace>>();

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
  packetIn(session: FabricSession, { bytes, view, inPort, frameStart, frameEnd }: PacketInView): boolean {
    this.#frame(session, inPort, bytes, view, frameStart, frameEnd);
    return true;
  }

  frame(session: FabricSession, inPort: number, frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    this.#frame(session, inPort, frame, view, 0, frame.length);
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
    let vlan = 0;
    // The outer tag; a priority tag has 0, as a frame without a tag.
    if (etherType === EtherType.vlan || etherType === EtherType.serviceVlan) {
      if (end - start < ETHERNET_HEADER + 2) return;
      vlan = view.getUint16(start + ETHERNET_HEADER) & 0xfff;
    }
    const source = view.getUint16(start + 6) * 0x1_0000_0000 + view.getUint32(start + 8);
    if (stations.seen(place, vlan, source) === 'refused') return;
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
