/** Who is a receiver in the fabric: a station, wherever it is by now. */
import type { Places } from '../receivers.js';

export interface StationPlace {
  /** `02:00:00:00:00:01` */
  readonly mac: string;
  /** Key of the fact of the station. */
  readonly station: string;
}

export const STATION_PLACES: Places<StationPlace> = {
  nameOf: ({ mac }) => mac,
  holderOf: ({ place }) => place.station,
  isOneHost: () => true,
};

/** The key of the fact of a station, of its VLAN and MAC address. */
export function stationKey(vlan: number, mac: number): string {
  return `${vlan}/${mac.toString(16).padStart(12, '0')}`;
}
