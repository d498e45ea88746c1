/** One frame on its way through the fabric: from switch to switch over links, until every copy has left or ended. */
import { decodeFabricPunt, reinjection } from '../../../apps/fabric/punt.js';
import { R } from '../../../apps/fabric/pipeline.js';
import { F, type FlowStats } from '../../../ofproto/index.js';
import { SwitchError } from '../../channel/index.js';
import { formatMac } from '../../model/address.js';
import type { DatapathId } from '../../model/facts.js';
import { asNew } from '../connection.js';
import type { InstalledTables } from '../installed.js';
import { type Packet, packetText, readBits } from '../packet.js';
import { type Lookup, type Step, stepsBelow, stepsOf } from '../steps.js';
import { onWire } from '../walk.js';
import type { FabricPlace, FabricTraceFacts } from './probe.js';

/** A copy that left a switch. */
export interface FabricDeparture {
  readonly kind: 'link' | 'edge' | 'nobody' | 'controller';
  readonly port: number;
  /** In words. */
  readonly to: string;
  /** Only if the switch chooses this one of several. */
  readonly alternative: boolean;
}

export interface FabricVisit {
  readonly host: { readonly name: DatapathId };
  readonly inPort: number;
  readonly arrival: string;
  readonly alternative: boolean;
  /** Absent where the switch could not be asked; `unseen` says why. */
  readonly lookup?: Lookup<FlowStats>;
  /** What the controller did with it, having learned its station. */
  readonly sentOn?: readonly Step<FlowStats>[];
  readonly unseen?: string;
  readonly departures: readonly FabricDeparture[];
  /** Switches before this one, and the port by which each was left. */
  readonly path: readonly { readonly switch: DatapathId; readonly port: number }[];
}

/** Where a copy goes in. */
interface Arrival extends Pick<FabricVisit, 'arrival' | 'alternative' | 'path'> {
  readonly place: FabricPlace;
  readonly packet: Packet;
}

interface Output {
  readonly port: number;
  readonly packet: Packet;
  readonly alternative: boolean;
}

interface PortState {
  readonly name: string;
  readonly up: boolean;
}

/** Copies that meet more switches than this go round. */
export const MAX_FABRIC_VISITS = 2048;

/** What a trace knows of ports, for all of its walks. */
export class FabricPorts {
  readonly #ports = new Map<string, PortState>();

  constructor(private readonly facts: FabricTraceFacts) {
    for (const [, { datapathId, number, name, up }] of facts.ports.entries()) {
      this.#ports.set(`${datapathId}/${number}`, { name, up });
    }
  }

  /** Undefined: the switch has no such port, as far as is known. */
  get({ datapathId, port }: FabricPlace): PortState | undefined {
    return this.#ports.get(`${datapathId}/${port}`);
  }

  /** `port 3 (s1-eth1)` */
  text(place: FabricPlace): string {
    const name = this.get(place)?.name;
    return name === undefined ? `port ${place.port}` : `port ${place.port} (${name})`;
  }

  /** MAC addresses of stations there, in ascending order. */
  stations({ datapathId, port }: FabricPlace, vlan: number): string[] {
    const found: number[] = [];
    for (const [, station] of this.facts.stations.entries()) {
      if (station.datapathId === datapathId && station.port === port && station.vlan === vlan)
        found.push(station.mac);
    }
    return found.sort((a, b) => a - b).map(formatMac);
  }
}

export class FabricWalk {
  readonly visits: FabricVisit[] = [];
  readonly #waiting: Arrival[] = [];
  /** Visits after a choice, which others may lead to as well: they are made once. */
  readonly #seen = new Set<string>();

  constructor(
    private readonly facts: FabricTraceFacts,
    private readonly ports: FabricPorts,
    /** The tables of a switch; undefined while it is not connected. */
    private readonly tables: (datapathId: DatapathId) => InstalledTables | undefined,
    private readonly vlan: number,
  ) {}

  /** @returns in the order in which they are met; `MAX_FABRIC_VISITS` of them if copies go round */
  async run(place: FabricPlace, packet: Packet): Promise<readonly FabricVisit[]> {
    const arrival = `${this.ports.text(place)} from ${formatMac(Number(packet.get(F.eth_src.name) ?? 0n))}`;
    this.#waiting.push({ place, packet, arrival, alternative: false, path: [] });
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.visits.length >= MAX_FABRIC_VISITS) break;
      this.visits.push(await this.#visit(next));
    }
    return this.visits;
  }

  async #visit({ place, packet, arrival, alternative, path }: Arrival): Promise<FabricVisit> {
    const { datapathId, port: inPort } = place;
    const visit = { host: { name: datapathId }, inPort, arrival, alternative, path, departures: [] };
    const tables = this.tables(datapathId);
    if (tables === undefined) {
      return { ...visit, unseen: `switch ${datapathId} is not connected, so its entries cannot be seen` };
    }
    try {
      const lookup = await tables.execute(new Map(packet).set(F.in_port.name, BigInt(inPort)), asNew);
      const sentOn = await this.#sentOn(tables, lookup);
      const outputs = [lookup, ...sentOn].flatMap((step) => outputsOf(step, alternative));
      const departures = [
        ...outputs.map((output) => this.#departure(place, output, path)),
        ...stepsOf(lookup, 'controller').map(({ controllerId, userdata }): FabricDeparture => {
          const learns = userdata !== undefined && decodeFabricPunt(userdata) === 'station';
          const to = learns ? 'the controller, which learns the station and sends it on' : 'the controller';
          return { kind: 'controller', port: controllerId, to, alternative };
        }),
      ];
      return { ...visit, lookup, ...(sentOn.length === 0 ? {} : { sentOn }), departures };
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      return { ...visit, unseen: `switch ${datapathId} did not give its entries: ${error.message}` };
    }
  }

  /** What the controller does with the frame of a station that is new at its port. */
  async #sentOn(tables: InstalledTables, lookup: Lookup<FlowStats>): Promise<readonly Step<FlowStats>[]> {
    const asked = stepsOf(lookup, 'controller').find(
      ({ userdata }) => userdata !== undefined && decodeFabricPunt(userdata) === 'station',
    );
    if (asked === undefined) return [];
    const { field, offset, bits } = R.vlan;
    const vlan = Number(readBits(asked.packet, field, offset, bits));
    const inPort = asked.packet.get(F.in_port.name) ?? 0n;
    const again = new Map(onWire(asked.packet)).set(F.in_port.name, inPort);
    return await tables.executeActions(again, reinjection(vlan), asNew);
  }

  #departure(
    { datapathId }: FabricPlace,
    { port, packet, alternative }: Output,
    path: FabricVisit['path'],
  ): FabricDeparture {
    const from = { datapathId, port };
    const departure = { port, alternative };
    const state = this.ports.get(from);
    if (state === undefined) {
      return { ...departure, kind: 'nobody', to: `port ${port}, which the switch does not have` };
    }
    const text = this.ports.text(from);
    if (!state.up) return { ...departure, kind: 'nobody', to: `${text}, which is down` };
    const link = this.facts.links.get(`${datapathId}/${port}`);
    if (link !== undefined) {
      const place = { datapathId: link.toDatapathId, port: link.toPort };
      this.#arrive({
        place,
        packet: onWire(packet),
        arrival: `${this.ports.text(place)} from ${datapathId}/${port}`,
        alternative,
        path: [...path, { switch: datapathId, port }],
      });
      return { ...departure, kind: 'link', to: `${link.toDatapathId} by ${text}` };
    }
    if (this.facts.fabricPorts.get(`${datapathId}/${port}`)?.role !== 'edge') {
      return { ...departure, kind: 'nobody', to: `${text}, which leads to nobody that is known` };
    }
    const [first, ...more] = this.ports.stations(from, this.vlan);
    const others = more.length === 0 ? '' : ` and ${more.length} more`;
    return { ...departure, kind: 'edge', to: `${text}${first === undefined ? '' : ` to ${first}${others}`}` };
  }

  #arrive(arrival: Arrival): void {
    if (arrival.alternative) {
      const { datapathId, port } = arrival.place;
      const key = `${datapathId}/${port} ${packetText(arrival.packet)}`;
      if (this.#seen.has(key)) return;
      this.#seen.add(key);
    }
    this.#waiting.push(arrival);
  }
}

/** What leaves by ports, and whether only by choice of the switch. */
function outputsOf(step: Step<FlowStats>, alternative: boolean): Output[] {
  if (step.kind === 'output') return [{ port: step.port, packet: step.packet, alternative }];
  const chosen = alternative || (step.kind === 'group' && step.chosen);
  return stepsBelow(step).flatMap((below) => outputsOf(below, chosen));
}
