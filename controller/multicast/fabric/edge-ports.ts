/** Edge ports of fabric switches and the VLANs of their stations, as facts have them. */
import type { DatapathId, FabricPortFact, StationFact } from '../../model/facts.js';

/** A port of a fabric switch. */
export interface PortPlace {
  readonly datapathId: DatapathId;
  readonly port: number;
}

export function portKey({ datapathId, port }: PortPlace): string {
  return `${datapathId}/${port}`;
}

/** The port of a key. */
export function placeOf(key: string): PortPlace {
  const [datapathId = '', port] = key.split('/');
  return { datapathId, port: Number(port) };
}

export class EdgePorts {
  /** By switch; no empty ones. */
  readonly #ports = new Map<DatapathId, Set<number>>();

  /** What a port is from now on, or (absent) that nothing is known of it. Returns whether it has become an edge port, or is one no more. */
  set(place: PortPlace, fact: FabricPortFact | undefined): 'came' | 'went' | 'same' {
    const { datapathId, port } = place;
    const isEdge = fact?.role === 'edge';
    if (this.has(place) === isEdge) return 'same';
    const ports = this.#ports.get(datapathId) ?? new Set();
    if (isEdge) this.#ports.set(datapathId, ports.add(port));
    else {
      ports.delete(port);
      if (ports.size === 0) this.#ports.delete(datapathId);
    }
    return isEdge ? 'came' : 'went';
  }

  has({ datapathId, port }: PortPlace): boolean {
    return this.#ports.get(datapathId)?.has(port) === true;
  }

  of(datapathId: DatapathId): Iterable<number> {
    return this.#ports.get(datapathId) ?? [];
  }

  /** Switches that have edge ports. */
  get switches(): Iterable<DatapathId> {
    return this.#ports.keys();
  }
}

/** VLANs in which there are stations. */
export class Vlans {
  readonly #stations = new Map<number, number>();

  values(): Iterable<number> {
    return this.#stations.keys();
  }

  has(vlan: number): boolean {
    return this.#stations.has(vlan);
  }

  /** Returns whether it is the first one of its VLAN. */
  arrived({ vlan }: StationFact): boolean {
    const before = this.#stations.get(vlan) ?? 0;
    this.#stations.set(vlan, before + 1);
    return before === 0;
  }

  /** Returns whether it was the last one of its VLAN. */
  left({ vlan }: StationFact): boolean {
    const after = (this.#stations.get(vlan) ?? 1) - 1;
    if (after > 0) this.#stations.set(vlan, after);
    else this.#stations.delete(vlan);
    return after === 0;
  }
}
