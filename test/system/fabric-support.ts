/** Switches linked by cables, stations in namespaces of their own, and the real controller. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress } from '../../rpc/index.js';
import { type Capture, Lab, type LabEndpoint, type LabHost, until } from '../../topologies/lab/index.js';
import { startController, type TestController } from '../support/test-controller.js';

const LONG = 60_000;

export const datapathIdOf = (number: number): string => (0xfab0 + number).toString(16).padStart(16, '0');
/** The interface of switch `from` that leads to switch `to`. */
export const linkName = (from: number, to: number): string => `s${from}-s${to}`;
export const addressOf = (station: number): string => `10.9.0.${station}`;
export const macOf = (station: number): number => 0x02_00_00_00_00_00 + station;

export interface FabricOptions {
  readonly name: string;
  /** Switches 1 to this one. */
  readonly switches: number;
  readonly links: readonly (readonly [number, number])[];
  /** Each switch has an Open vSwitch of its own, which can die alone; else all share one. */
  readonly apart?: boolean;
  /** Of the controller: a configuration file. */
  readonly settings?: string;
}

export class FabricLab {
  private constructor(
    readonly lab: Lab,
    /** Where each switch is, from switch 1. */
    private readonly hosts: readonly LabHost[],
    /** The controller, as it was started last. */
    public running: TestController,
    private readonly restarted: () => Promise<TestController>,
    readonly links: readonly (readonly [number, number])[],
    /** Each at the switch of its number, from 1. */
    readonly stations: readonly LabEndpoint[],
  ) {}

  /** Switches, cables between them, a station at each; resolves when everything has been found out. */
  static async start({
    name,
    switches,
    links,
    apart = false,
    settings = '',
  }: FabricOptions): Promise<FabricLab> {
    const numbers = Array.from({ length: switches }, (_, index) => index + 1);
    const names = apart ? numbers.map((number) => `f${number}`) : ['f'];
    const lab = await Lab.create({
      name,
      hosts: names.map((host) => ({ name: host, vtepIp: false, uplink: false })),
    });
    try {
      const folder = join(lab.directory, 'controller');
      mkdirSync(folder, { recursive: true });
      const anyPort = `${lab.managementAddress}:0`;
      const running = await startController(folder, { openflow: anyPort, hub: anyPort }, settings);
      const again = { openflow: formatAddress(running.openflow), hub: anyPort };
      const restarted = () => startController(folder, again, settings);
      const hosts = numbers.map((number) => lab.host(apart ? `f${number}` : 'f'));
      const hostOf = (number: number): LabHost => hosts[number - 1] as LabHost;
      for (const [a, b] of links) {
        const [from, to] = [linkName(a, b), linkName(b, a)];
        await hostOf(a).ip(
          `link add ${from} type veth peer name ${to} netns ${hostOf(b).fullName}`,
          `link set ${from} up`,
        );
        await hostOf(b).ip(`link set ${to} up`);
      }
      const openflow = `tcp:${formatAddress(running.openflow)}`;
      for (const number of numbers) {
        const bridge = `s${number}`;
        const ports = links.flatMap(([a, b]) =>
          a === number ? [linkName(a, b)] : b === number ? [linkName(b, a)] : [],
        );
        await hostOf(number).vsctlAll(
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
        const station = await hostOf(number).addEndpoint({
          name: `e${number}`,
          bridge: `s${number}`,
          mac: `02:00:00:00:00:0${number}`,
          addresses: [`${addressOf(number)}/24`],
        });
        stations.push(station);
      }
      const fabric = new FabricLab(lab, hosts, running, restarted, links, stations);
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

  /** Starts the controller again, which was stopped; resolves when everything has been found out again. */
  async restart(): Promise<void> {
    this.running = await this.restarted();
    const ports = 2 * this.links.length;
    await this.found(ports, this.stations.length);
  }

  /** The host of a switch. */
  host(number: number): LabHost {
    const host = this.hosts[number - 1];
    if (host === undefined) throw new Error(`there is no switch ${number}`);
    return host;
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

  /** Resolves when echo requests arrive at a station. */
  async delivered(to: number): Promise<void> {
    const station = this.station(to);
    const count = async (): Promise<number> =>
      Number((await station.exec(['nstat', '-asz', 'IcmpInEchos'])).split('\n')[1]?.split(/\s+/)[1] ?? 0);
    const before = await count();
    await until('pings to arrive', async () => (await count()) > before + 10, 30_000);
  }

  /** The switch next to `from` that pings to the station at `to` travel to. */
  async nextHop(from: number, to: number): Promise<number> {
    const captures = new Map<number, Capture>();
    for (const [a, b] of this.links) {
      if (a !== from && b !== from) continue;
      const next = a === from ? b : a;
      captures.set(next, await this.host(from).capture(linkName(from, next), 'icmp[icmptype] == icmp-echo'));
    }
    const { received } = await this.station(from).ping(addressOf(to), { count: 3 });
    if (received === 0) throw new Error(`${from} does not reach ${to}`);
    let hop: number | undefined;
    for (const [next, capture] of captures) if ((await capture.stop()).length > 0) hop = next;
    if (hop === undefined) throw new Error(`no link of ${from} carries what it sends to ${to}`);
    return hop;
  }
}
