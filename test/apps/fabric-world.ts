/** A fabric of desired tables: switches, cables between them, a station at each; frames walk it by executing the entries. */
import { fabricApps, fabricPipeline, TREE_CLASSES } from '../../apps/fabric/index.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { DesiredEntry } from '../../controller/datapath/entry.js';
import { FloodTrees } from '../../controller/fabric/flood-trees.js';
import { GroupType } from '../../ofproto/index.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

export const EDGE_PORT = 1;
const FIRST_LINK_PORT = 100;

export const idOf = (index: number): string => (index + 1).toString(16).padStart(16, '0');
export const macOf = (station: number): number => 0x02_00_00_00_00_01 + station;

export interface World {
  readonly switches: number;
  /** Pairs of switches. */
  readonly cables: readonly (readonly [number, number])[];
}

/** Of the cables that lead nowhere, by number; and which of several buckets a select group takes. */
export interface Circumstances {
  readonly dead?: ReadonlySet<number>;
  readonly choice?: number;
}

export interface Walk {
  /** Switches at whose edge port the frame arrived, once for each copy. */
  readonly delivered: readonly number[];
  /** Times it was handed from switch to switch. */
  readonly hops: number;
}

/** More than any frame may travel. */
const MAX_HOPS = 1000;

export class FabricWorld {
  readonly desired = new DesiredTables({ pipeline: fabricPipeline, apps: fabricApps });
  readonly trees = new FloodTrees(TREE_CLASSES);

  constructor(readonly world: World) {
    const { facts } = this.desired;
    for (let index = 0; index < world.switches; index++) {
      const datapathId = idOf(index);
      facts.hosts.set(datapathId, { name: datapathId, number: index + 1, datapathId });
      this.trees.switchUp(datapathId, index + 1);
      this.setPort(index, EDGE_PORT, 'edge');
      this.setStation(index, 0, macOf(index), index + 1);
    }
    for (const cable of world.cables.keys()) this.setLink(cable, true);
    this.settle();
  }

  /** Trees first, as switches that acknowledge everything at once allow. */
  settle(): ReturnType<DesiredTables['settle']> {
    const { floodPorts } = this.desired.facts;
    for (;;) {
      const { changes, versions } = this.trees.update();
      for (const { treeClass, datapathId, port, floods } of changes) {
        const key = `${treeClass}/${datapathId}/${port}`;
        if (floods) floodPorts.set(key, { treeClass, datapathId, port });
        else floodPorts.delete(key);
      }
      if (versions.size === 0) return this.desired.settle();
      for (const [datapathId, version] of versions) this.trees.acknowledged(datapathId, version);
    }
  }

  setPort(index: number, port: number, role: 'edge' | 'link' | 'blocked' | undefined): void {
    const { fabricPorts } = this.desired.facts;
    const datapathId = idOf(index);
    if (role === undefined) fabricPorts.delete(`${datapathId}/${port}`);
    else fabricPorts.set(`${datapathId}/${port}`, { datapathId, port, role, up: true });
  }

  setStation(index: number, vlan: number, mac: number, number: number): void {
    const datapathId = idOf(index);
    const key = `${vlan}/${mac.toString(16).padStart(12, '0')}`;
    this.desired.facts.stations.set(key, { vlan, mac, number, datapathId, port: EDGE_PORT });
  }

  setLink(cable: number, there: boolean): void {
    const { links } = this.desired.facts;
    const [a, b] = this.world.cables[cable] ?? [0, 0];
    const port = FIRST_LINK_PORT + cable;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      this.setPort(from, port, there ? 'link' : undefined);
      const key = `${idOf(from)}/${port}`;
      const fact = { datapathId: idOf(from), port, toDatapathId: idOf(to), toPort: port };
      if (there) {
        links.set(key, fact);
        this.trees.linkSet(key, fact);
      } else {
        links.delete(key);
        this.trees.linkGone(key);
      }
    }
  }

  setAway(index: number): void {
    const datapathId = idOf(index);
    this.desired.facts.awaySwitches.set(datapathId, { datapathId });
    this.trees.switchAway(datapathId);
  }

  entries(index: number): DesiredEntry[] {
    return [...this.desired.entries(idOf(index))];
  }

  /** A frame comes in at the edge port of a switch. */
  walk(from: number, fields: Packet, { dead = new Set(), choice = 0 }: Circumstances = {}): Walk {
    const devices = Array.from({ length: this.world.switches }, (_, index) => {
      const live = (port: number): boolean => !dead.has(port - FIRST_LINK_PORT);
      return new SoftwareSwitch(this.entries(index).map((entry) => resolved(entry, live, choice)));
    });
    const delivered: number[] = [];
    const queue = [{ at: from, port: EDGE_PORT }];
    let hops = 0;
    for (const { at, port } of queue) {
      for (const output of devices[at]?.execute(port, fields).outputs ?? []) {
        const cable = this.world.cables[output.port - FIRST_LINK_PORT];
        if (cable === undefined) delivered.push(at);
        else if (!dead.has(output.port - FIRST_LINK_PORT) && ++hops < MAX_HOPS) {
          queue.push({ at: cable[0] === at ? cable[1] : cable[0], port: output.port });
        }
      }
    }
    return { delivered, hops };
  }
}

export function frame(source: number, destination: number, vlan = 0): Packet {
  return new Map([
    ['eth_src', BigInt(source)],
    ['eth_dst', BigInt(destination)],
    ['eth_type', 0x0800n],
    ...(vlan === 0 ? [] : ([['vlan_vid', BigInt(0x1000 + vlan)]] as const)),
  ]);
}

/** A group as the switch uses it now: the first bucket that lives, or any of them. */
function resolved(entry: DesiredEntry, live: (port: number) => boolean, choice: number): DesiredEntry {
  if (entry.kind !== 'group' || entry.groupType === GroupType.ALL) return entry;
  const buckets = entry.buckets.filter(({ watchPort }) => live(watchPort));
  const index = entry.groupType === GroupType.SELECT ? choice % Math.max(1, buckets.length) : 0;
  return { ...entry, groupType: GroupType.ALL, buckets: buckets.slice(index, index + 1) };
}
