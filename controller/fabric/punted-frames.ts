/**
 * Frames that edge switches send here because they do not know the station that sent them: learned from, and sent back behind the
 * table that did not know it. All of it happens once per packet, so there is nothing here that need not be.
 */
import { type Action, packetOut } from '../../ofproto/index.js';
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
  readonly #actions: (readonly Action[] | undefined)[] = [];

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

  frame(session: FabricSession, inPort: number, frame: Uint8Array): void {
    const { stations, lldp, reinjection } = this.#options;
    if (frame.length < ETHERNET_HEADER) return;
    const etherType = u16(frame, 12);
    if (etherType === LLDP_ETHERTYPE) {
      lldp(session.datapathId, inPort, frame);
      return;
    }
    const place = this.#places.get(session.datapathId)?.get(inPort);
    if (place === undefined) {
      stations.counters.notEdge++;
      return;
    }
    const vlan = vlanOf(frame, etherType);
    const source = u16(frame, 6) * 0x1_0000_0000 + u16(frame, 8) * 0x1_0000 + u16(frame, 10);
    if (stations.seen(place, vlan, source) === 'refused') return;
    stations.counters.reinjected++;
    const actions = (this.#actions[vlan] ??= reinjection(vlan));
    session.send(packetOut({ xid: 0, inPort, actions, data: frame }));
  }
}

/** The VLAN id of the outer tag; a priority tag has 0, as a frame without a tag. */
function vlanOf(frame: Uint8Array, etherType: number): number {
  if (etherType !== EtherType.vlan && etherType !== EtherType.serviceVlan) return 0;
  return frame.length < ETHERNET_HEADER + 2 ? 0 : u16(frame, ETHERNET_HEADER) & 0xfff;
}

const u16 = (bytes: Uint8Array, offset: number): number =>
  ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
