/** Where stations are, learned from the frames that their switches do not know. */
import type { FactInputs } from '../datapath/index.js';
import type { DatapathId, StationFact } from '../model/facts.js';
import type { Clock } from './clock.js';
import type { FabricMemory } from './memory.js';
import { Numbers } from './numbers.js';
import type { FabricSettings } from './settings.js';
import type { FabricEvent, StationCounters } from './types.js';

export interface Station extends StationFact {
  readonly key: string;
  readonly place: StationPlace;
  /** Of the clock. */
  lastSeen: number;
  /** A frame of it came in since `lastSeen` was looked at; a flag, because to read the clock for each frame takes its time. */
  heard: boolean;
  /** Packets its entry had counted when it was read last. */
  packets: number;
  moves: number;
  /** Moves since `windowBegan`. */
  movesInWindow: number;
  windowBegan: number;
}

/** An edge port, and who is there. */
export interface StationPlace {
  readonly datapathId: DatapathId;
  readonly port: number;
  readonly stations: Set<Station>;
  /** Packet-outs that send frames from there on, without their packet, by VLAN id. */
  readonly heads: Map<number, Uint8Array>;
  /** It was told that no more stations are learned here. */
  full: boolean;
}

export const stationPlace = (datapathId: DatapathId, port: number): StationPlace => ({
  datapathId,
  port,
  stations: new Set(),
  heads: new Map(),
  full: false,
});

/** `known`: there already; `learned`: there from now on; `unlearned`: not remembered; `refused`: its frame is not to be forwarded. */
export type Learning = 'known' | 'learned' | 'unlearned' | 'refused';

export interface StationsOptions {
  readonly facts: Pick<FactInputs, 'stations'>;
  readonly memory: FabricMemory;
  readonly settings: FabricSettings;
  readonly clock: Clock;
  /** Facts have changed. */
  readonly changed: () => void;
  readonly onEvent: (event: FabricEvent) => void;
}

/** Station numbers are 24 bits; 0 is no station. */
const NUMBERS = 2 ** 24;
/** The bit of a MAC address that says that it is a group's (IEEE 802, clause 8.2). */
const GROUP_BIT = 0x0100_0000_0000;

export class Stations {
  readonly #options: StationsOptions;
  /** By VLAN id, then by MAC address. */
  readonly #vlans: (Map<number, Station> | undefined)[] = [];
  readonly #byNumber = new Map<number, Station>();
  readonly #numbers = new Numbers(1, NUMBERS);
  #full = false;
  readonly counters = {
    learned: 0,
    moved: 0,
    aged: 0,
    reinjected: 0,
    invalidSource: 0,
    overPortLimit: 0,
    overTotalLimit: 0,
    flapping: 0,
    notEdge: 0,
  } satisfies StationCounters;

  constructor(options: StationsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  get(vlan: number, mac: number): Station | undefined {
    return this.#vlans[vlan]?.get(mac);
  }

  byNumber(number: number): Station | undefined {
    return this.#byNumber.get(number);
  }

  all(): IterableIterator<Station> {
    return this.#byNumber.values();
  }

  /**
   * Those that are remembered, as if they had just been seen; the counters of their entries tell whether they are still there.
   * @param placeOf undefined for a port that is not of stations
   */
  restore(placeOf: (datapathId: DatapathId, port: number) => StationPlace | undefined): void {
    const { memory, clock } = this.#options;
    const now = clock.now();
    const taken = new Set<number>();
    for (const { vlan, mac, number, datapathId, port } of memory.stations()) {
      const place = placeOf(datapathId, port);
      if (place === undefined || taken.has(number)) memory.deleteStation(stationKey(vlan, mac));
      else this.#put({ vlan, mac, number, moves: 0, movesInWindow: 0, windowBegan: now }, place, now);
      taken.add(number);
    }
    this.#numbers.reserve(this.#byNumber.keys());
  }

  /** A frame of this station came in at this place. */
  seen(place: StationPlace, vlan: number, mac: number): Learning {
    const known = this.#vlans[vlan]?.get(mac);
    if (known === undefined) return this.#learn(place, vlan, mac);
    if (known.place !== place) return this.#move(known, place);
    known.heard = true;
    return 'known';
  }

  /** Its entry has counted that many packets by now. */
  counted(station: Station, packets: number): void {
    if (packets !== station.packets) station.heard = true;
    station.packets = packets;
  }

  /** Forgets one whose entry has not counted for too long. True if it is forgotten. */
  age(station: Station): boolean {
    const { clock, settings } = this.#options;
    if (station.heard) {
      station.heard = false;
      station.lastSeen = clock.now();
      return false;
    }
    if (clock.now() - station.lastSeen < settings.stationIdleMs) return false;
    this.counters.aged++;
    this.#forget(station);
    return true;
  }

  /** Nobody is there any more. */
  clear(place: StationPlace): void {
    for (const station of place.stations) this.#forget(station);
  }

  #learn(place: StationPlace, vlan: number, mac: number): Learning {
    if (mac === 0 || Math.floor(mac / GROUP_BIT) % 2 === 1) {
      this.counters.invalidSource++;
      return 'refused';
    }
    if (!this.#room(place)) return 'unlearned';
    const number = this.#numbers.take();
    if (number === undefined) return 'unlearned';
    this.counters.learned++;
    const now = this.#options.clock.now();
    this.#put({ vlan, mac, number, moves: 0, movesInWindow: 0, windowBegan: now }, place, now);
    return 'learned';
  }

  /** The place where it was seen last wins, unless it is seen at two places in turn. */
  #move(station: Station, place: StationPlace): Learning {
    const { clock, settings, onEvent } = this.#options;
    const now = clock.now();
    const sameWindow = now - station.windowBegan < settings.flapWindowMs;
    if (sameWindow && station.movesInWindow >= settings.flapMoves) {
      this.counters.flapping++;
      if (station.movesInWindow === settings.flapMoves) {
        station.movesInWindow++;
        const { datapathId, port } = place;
        const message =
          `station ${station.key} moves between port ${station.port} of ${station.datapathId} and port ${port} of ` +
          `${datapathId}: two stations have its address, or there is a loop behind these ports`;
        onEvent({ kind: 'station.flapping', datapathId, port, message });
      }
      return 'refused';
    }
    if (place.stations.size >= settings.stationsPerPort) return this.#overPortLimit(place);
    const { vlan, mac, number, moves } = station;
    this.counters.moved++;
    this.#take(station);
    const window = sameWindow
      ? { movesInWindow: station.movesInWindow + 1, windowBegan: station.windowBegan }
      : { movesInWindow: 1, windowBegan: now };
    this.#put({ vlan, mac, number, moves: moves + 1, ...window }, place, now);
    return 'learned';
  }

  #room(place: StationPlace): boolean {
    const { settings, onEvent } = this.#options;
    if (place.stations.size >= settings.stationsPerPort) {
      this.#overPortLimit(place);
      return false;
    }
    if (this.#byNumber.size < settings.stations) return true;
    this.counters.overTotalLimit++;
    if (!this.#full) {
      this.#full = true;
      const { datapathId, port } = place;
      const message = `${settings.stations} stations are known and no more are learned; what is sent to others is flooded`;
      onEvent({ kind: 'station.limit', datapathId, port, message });
    }
    return false;
  }

  #overPortLimit(place: StationPlace): 'unlearned' {
    const { settings, onEvent } = this.#options;
    this.counters.overPortLimit++;
    if (!place.full) {
      place.full = true;
      const { datapathId, port } = place;
      const message = `${settings.stationsPerPort} stations are known at port ${port} of ${datapathId} and no more are learned there`;
      onEvent({ kind: 'station.limit', datapathId, port, message });
    }
    return 'unlearned';
  }

  #put(
    station: Pick<Station, 'vlan' | 'mac' | 'number' | 'moves' | 'movesInWindow' | 'windowBegan'>,
    place: StationPlace,
    now: number,
  ): void {
    const { datapathId, port } = place;
    const { vlan, mac, number } = station;
    const key = stationKey(vlan, mac);
    const put: Station = {
      ...station,
      key,
      datapathId,
      port,
      place,
      lastSeen: now,
      heard: false,
      packets: 0,
    };
    let macs = this.#vlans[vlan];
    if (macs === undefined) this.#vlans[vlan] = macs = new Map();
    macs.set(mac, put);
    this.#byNumber.set(number, put);
    place.stations.add(put);
    const fact = { vlan, mac, number, datapathId, port };
    this.#options.facts.stations.set(key, fact);
    this.#options.memory.putStation(key, fact);
    this.#options.changed();
  }

  /** Out of all tables but that of facts. */
  #take(station: Station): void {
    const { place, vlan, mac, number } = station;
    place.stations.delete(station);
    if (place.stations.size < this.#options.settings.stationsPerPort) place.full = false;
    this.#vlans[vlan]?.delete(mac);
    this.#byNumber.delete(number);
  }

  #forget(station: Station): void {
    this.#take(station);
    this.#full = false;
    this.#numbers.giveBack(station.number);
    this.#options.facts.stations.delete(station.key);
    this.#options.memory.deleteStation(station.key);
    this.#options.changed();
  }
}

const stationKey = (vlan: number, mac: number): string => `${vlan}/${mac.toString(16).padStart(12, '0')}`;
