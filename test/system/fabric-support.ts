/** Switches linked by cables in one namespace, stations in namespaces of their own, and the real controller. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress } from '../../rpc/index.js';
import { Lab, type LabEndpoint, type LabHost, until } from '../../topologies/lab/index.js';
import { startController, type TestController } from '../support/test-controller.js';

const LONG = 60_000;

export const datapathIdOf = (number: number): string => (0xfab0 + number).toString(16).padStart(16, '0');
/** The interface of switch `from` that leads to switch `to`. */
export const linkName = (from: number, to: number): string => `s${from}-s${to}`;
export const addressOf = (station: number): string => `10.9.0.${station}`;
export const macOf = (station: number): number => 0x02_00_00_00_00_00 + station;

export class FabricLab {
  private constructor(
    readonly lab: Lab,
    readonly host: LabHost,
    readonly running: TestController,
    readonly links: readonly (readonly [number, number])[],
    /** Each at the switch of its number, from 1. */
    readonly stations: readonly LabEndpoint[],
  ) {}

  /** Switches 1 to `switches`, cables between them, a station at each; resolves when everything has been found out. */
  static async start(
    name: string,
    switches: number,
    links: readonly (readonly [number, number])[],
    settings = '',
  ): Promise<FabricLab> {
    const lab = await Lab.create({ name, hosts: [{ name: 'f', vtepIp: false, uplink: false }] });
    try {
      const folder = join(lab.directory, 'controller');
      mkdirSync(folder, { recursive: true });
      const anyPort = `${lab.managementAddress}:0`;
      const running = await startController(folder, { openflow: anyPort, hub: anyPort }, settings);
      const host = lab.host('f');
      const numbers = Array.from({ length: switches }, (_, index) => index + 1);
      for (const [a, b] of links) {
        const [from, to] = [linkName(a, b), linkName(b, a)];
        await host.ip(
          `link add ${from} type veth peer name ${to}`,
          `link set ${from} up`,
          `link set ${to} up`,
        );
      }
      const openflow = `tcp:${formatAddress(running.openflow)}`;
      for (const number of numbers) {
        const bridge = `s${number}`;
        const ports = links.flatMap(([a, b]) =>
          a === number ? [linkName(a, b)] : b === number ? [linkName(b, a)] : [],
        );
        await host.vsctlAll(
          ['add-br', bridge],
          ['set', 'bridge', bridge, 'datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow13'],
          ['set', 'bridge', bridge, `other-config:datapath-id=${datapathIdOf(number)}`],
          ['set-controller', bridge, openflow],
          ['set', 'controller', bridge, 'max_backoff=1000'],
          ...ports.map((port) => ['add-port', bridge, port]),
        );
      }
      const stations: LabEndpoint[] = [];
      for (const number of numbers) {
        const station = await host.addEndpoint({
          name: `e${number}`,
          bridge: `s${number}`,
          mac: `02:00:00:00:00:0${number}`,
          addresses: [`${addressOf(number)}/24`],
        });
        stations.push(station);
      }
      const fabric = new FabricLab(lab, host, running, links, stations);
      await fabric.found(2 * links.length, switches);
      return fabric;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.running.stop();
    await this.lab.destroy();
  }

  station(number: number): LabEndpoint {
    const station = this.stations[number - 1];
    if (station === undefined) throw new Error(`there is no station ${number}`);
    return station;
  }

  /** Resolves when that many ports are of links and of stations, and every switch holds its table. */
  async found(linkPorts: number, edgePorts: number): Promise<void> {
    await until(
      `${linkPorts} link ports and ${edgePorts} edge ports`,
      () => this.ports('link') === linkPorts && this.ports('edge') === edgePorts,
      LONG,
    );
    await this.inSync();
  }

  ports(role: string): number {
    const family = this.running.controller.metrics().find(({ name }) => name === 'weft_fabric_ports');
    return family?.samples.find(({ labels }) => labels?.['role'] === role)?.value ?? 0;
  }

  async inSync(): Promise<void> {
    const { controller } = this.running;
    await until(
      'all switches in sync',
      () => controller.status().datapaths.every(({ state }) => state === 'in-sync'),
      LONG,
    );
  }
}
