/** The lab: hosts joined by a fabric of Linux bridges, all in network namespaces. See README.md for the picture. */
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { LabHost, type HostEnvironment } from './host.js';
import { LabNamespace, type PingOptions, type PingResult } from './namespace.js';
import { Daemon, exec, ipBatch, LabError, parallel, run, until } from './process.js';
import {
  claimLab,
  fabricNamespace,
  namespacePrefix,
  reapAbandonedLabs,
  removeLab,
  ROOT_LINK_PEER,
} from './reaper.js';

export interface LabOptions {
  /** First part of the lab's id; the process id and a counter follow it, so parallel runs never meet (default 'lab'). */
  readonly name?: string;
  /** A number gives hosts h1, h2, … with VTEP addresses 10.254.0.1, .2, … and an uplink each. */
  readonly hosts: number | readonly LabHostOptions[];
  /** MTU of the VXLAN and VLAN underlays, bytes (default 1,500). */
  readonly underlayMtu?: number;
}

export interface LabHostOptions {
  readonly name: string;
  /** Tunnel address, with prefix length or /24 (IPv4) and /64 (IPv6); `false`: no leg in the VXLAN underlay. */
  readonly vtepIp?: string | false;
  /** Whether the host has a leg in the VLAN underlay (default true). */
  readonly uplink?: boolean;
}

export interface NeighbourOptions {
  readonly name: string;
  /** VLAN id of its access port. */
  readonly vlan: number;
  /** Addresses with prefix length, of either family. */
  readonly addresses: readonly string[];
  readonly mac?: string;
}

/** One ping of a matrix. */
export interface Probe {
  readonly from: LabNamespace;
  /** Address to ping, without prefix length. */
  readonly to: string;
}

const MANAGEMENT_BRIDGE = 'management';
const UNDERLAY_FABRIC = 'underlay';
const VLAN_FABRIC = 'vlan';
const SLOTS = 256;
const PINGS_AT_ONCE = 24;

let created = 0;

export class Lab {
  readonly hosts = new Map<string, LabHost>();
  private readonly namespaces = new Map<string, LabNamespace>();
  private readonly daemons = new Set<Daemon>();
  private readonly prefix: string;
  private hostNumber = 0;
  private slot = -1;

  private constructor(
    /** Unique on this machine. */
    readonly id: string,
    /** Sockets, databases, logs and captures of the lab; gone after {@link destroy}. */
    readonly directory: string,
    /** MTU of both underlays, bytes. */
    readonly underlayMtu: number,
  ) {
    this.prefix = namespacePrefix(id);
  }

  /** Build a lab; when it fails half way, nothing is left of it. Needs root. */
  static async create(options: LabOptions): Promise<Lab> {
    await reapAbandonedLabs();
    const id = `${options.name ?? 'lab'}-${process.pid}-${++created}`;
    const lab = new Lab(id, claimLab(id), options.underlayMtu ?? 1_500);
    try {
      await lab.buildFabric();
      const hosts: readonly LabHostOptions[] =
        typeof options.hosts === 'number'
          ? Array.from({ length: options.hosts }, (_, index) => ({ name: `h${index + 1}` }))
          : options.hosts;
      const added = await Promise.all(hosts.map((host) => lab.addHost(host)));
      // They were added as they became ready; whoever walks over them expects the order in which they were asked for.
      lab.hosts.clear();
      for (const host of added) lab.hosts.set(host.name, host);
      return lab;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  /** Address of the root namespace (where the calling process lives) as the hosts reach it: listen here for them. */
  get managementAddress(): string {
    return this.managementAddressOf(1);
  }

  /** @throws LabError when there is no host of this name. */
  host(name: string): LabHost {
    const host = this.hosts.get(name);
    if (host === undefined) {
      throw new LabError(
        'lab.host.unknown',
        `no host '${name}' in lab ${this.id}`,
        `one of ${[...this.hosts.keys()]}`,
      );
    }
    return host;
  }

  /** Add a host to the running lab. */
  async addHost(options: LabHostOptions): Promise<LabHost> {
    const number = ++this.hostNumber;
    const fullName = this.reserve(options.name);
    const vtep = options.vtepIp === false ? undefined : (options.vtepIp ?? `10.254.0.${number}`);
    const withLength =
      vtep === undefined || vtep.includes('/') ? vtep : `${vtep}/${vtep.includes(':') ? 64 : 24}`;
    const uplink = options.uplink === false ? undefined : 'uplink';
    const management = this.managementAddressOf(number + 1);
    await ipBatch([`netns add ${fullName}`]);
    const leg = (name: string, bridge: string, mtu: number): string[] => [
      `link add ${name} mtu ${mtu} netns ${fullName} type veth peer name ${bridge.slice(0, 3)}-${options.name} mtu ${mtu} netns ${fabricNamespace(this.id)}`,
    ];
    const legs: (readonly [string, string])[] = [['management', MANAGEMENT_BRIDGE]];
    if (withLength !== undefined) legs.push(['underlay', UNDERLAY_FABRIC]);
    if (uplink !== undefined) legs.push([uplink, VLAN_FABRIC]);
    await ipBatch(legs.flatMap(([name, bridge]) => leg(name, bridge, this.underlayMtu)));
    const host = new LabHost(
      options.name,
      fullName,
      withLength === undefined ? { management } : { management, vtep: withLength },
      uplink,
      this.environment(),
    );
    await Promise.all([
      ipBatch(
        legs.flatMap(([, bridge]) => [
          `link set ${bridge.slice(0, 3)}-${options.name} master ${bridge} addrgenmode none`,
          `link set ${bridge.slice(0, 3)}-${options.name} up`,
        ]),
        fabricNamespace(this.id),
      ),
      host.ip(
        'link set lo up',
        `addr add ${management}/24 dev management`,
        ...legs.flatMap(([name]) => [`link set ${name} addrgenmode none`, `link set ${name} up`]),
        `route add default via ${this.managementAddress}`,
      ),
      ...legs.map(([name]) => host.exec(['ethtool', '-K', name, 'tx', 'off'])),
    ]);
    this.hosts.set(options.name, host);
    this.namespaces.set(options.name, host);
    await host.startOvs();
    return host;
  }

  /** An empty namespace (loopback up): what a container runtime hands to an agent. */
  async namespace(name: string): Promise<LabNamespace> {
    const { fullName, directory } = await this.createNamespace(name);
    const namespace = new LabNamespace(name, fullName, directory, (daemon) => this.adopt(daemon));
    this.namespaces.set(name, namespace);
    return namespace;
  }

  /** Remove a namespace made by {@link namespace} or an endpoint, as a container that ends. */
  async removeNamespace(name: string): Promise<void> {
    if (this.hosts.has(name))
      throw new LabError('lab.namespace.host', `'${name}' is a host`, 'name an endpoint');
    await exec(['ip', 'netns', 'delete', `${this.prefix}${name}`]);
    this.namespaces.delete(name);
  }

  /**
   * A machine in the VLAN underlay that knows nothing of Weft, on an access port of `vlan`. It is a host whose standalone
   * OVS bridge does the tagging, because the kernel may have no VLAN devices.
   */
  async neighbour(options: NeighbourOptions): Promise<LabHost> {
    const host = await this.addHost({ name: options.name, vtepIp: false });
    const mac = options.mac === undefined ? [] : [`mac="${options.mac}"`];
    await host.vsctlAll(
      ['add-br', 'br0'],
      ['set', 'bridge', 'br0', 'datapath_type=netdev', 'fail_mode=standalone'],
      ['add-port', 'br0', 'uplink'],
      ['add-port', 'br0', 'access', `tag=${options.vlan}`],
      ['set', 'interface', 'access', 'type=internal', ...mac],
    );
    await until(
      `${options.name}/access`,
      async () => (await host.run(['ip', 'link', 'show', 'access'])).exitCode === 0,
    );
    await host.ip(
      ...options.addresses.map((cidr) => `addr add ${cidr} dev access${cidr.includes(':') ? ' nodad' : ''}`),
      'link set access up',
    );
    return host;
  }

  /** Ping all pairs at once (24 at a time); results in the order of the probes. */
  pingAll(probes: readonly Probe[], options?: PingOptions): Promise<readonly PingResult[]> {
    return parallel(probes, PINGS_AT_ONCE, (probe) => probe.from.ping(probe.to, options));
  }

  /** Start a process outside every namespace (a controller, say); it ends with the lab at the latest. */
  spawn(name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Daemon {
    const daemon = Daemon.start(name, argv, { logFile: join(this.directory, `${name}.log`), env });
    this.adopt(daemon);
    return daemon;
  }

  /** End every process, then take away namespaces, links and files. Safe to call twice. */
  async destroy(): Promise<void> {
    await Promise.all([...this.daemons].map((daemon) => daemon.stop('SIGKILL')));
    await removeLab(this.id);
    this.hosts.clear();
    this.namespaces.clear();
  }

  private environment(): HostEnvironment {
    return {
      underlayMtu: this.underlayMtu,
      directory: this.directory,
      adopt: (daemon) => this.adopt(daemon),
      peers: (host) =>
        [...this.hosts.values()].flatMap((other) =>
          other !== host &&
          other.vtepIp !== undefined &&
          other.ovsRunning &&
          isIPv6(other.vtepIp) === isIPv6(host.vtepIp ?? '')
            ? [other.vtepIp]
            : [],
        ),
      createNamespace: (name) => this.createNamespace(name),
    };
  }

  private adopt(daemon: Daemon): void {
    this.daemons.add(daemon);
    void daemon.exited.then(() => this.daemons.delete(daemon));
  }

  private managementAddressOf(number: number): string {
    return `198.18.${this.slot}.${number}`;
  }

  private reserve(name: string): string {
    if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name)) {
      throw new LabError(
        'lab.name.invalid',
        `'${name}' is no name for a namespace`,
        'use a-z, 0-9 and hyphens',
      );
    }
    return `${this.prefix}${name}`;
  }

  private async createNamespace(name: string): Promise<{ fullName: string; directory: string }> {
    const fullName = this.reserve(name);
    await ipBatch([`netns add ${fullName}`]);
    const quiet = [
      'for each in all default; do',
      'echo 0 > /proc/sys/net/ipv6/conf/$each/accept_dad',
      'echo 0 > /proc/sys/net/ipv6/conf/$each/router_solicitations',
      'done',
      'ip link set lo up',
    ].join('\n');
    await exec(['nsenter', `--net=/run/netns/${fullName}`, 'sh', '-ec', quiet]);
    return { fullName, directory: this.directory };
  }

  /** The fabric namespace with one bridge per underlay, and the lab's only link in the root namespace. */
  private async buildFabric(): Promise<void> {
    const fabric = fabricNamespace(this.id);
    const bridges = [MANAGEMENT_BRIDGE, UNDERLAY_FABRIC, VLAN_FABRIC];
    await ipBatch([`netns add ${fabric}`]);
    await ipBatch(
      bridges.flatMap((bridge) => [
        `link add name ${bridge} mtu ${this.underlayMtu} type bridge mcast_snooping 0`,
        `link set ${bridge} addrgenmode none`,
        `link set ${bridge} up`,
      ]),
      fabric,
    );
    const link = await this.claimSlot(fabric);
    await ipBatch([
      `link set ${link} addrgenmode none`,
      `addr add ${this.managementAddress}/24 dev ${link}`,
      `link set ${link} up`,
    ]);
    await ipBatch(
      [
        `link set ${ROOT_LINK_PEER} master ${MANAGEMENT_BRIDGE} addrgenmode none`,
        `link set ${ROOT_LINK_PEER} up`,
      ],
      fabric,
    );
  }

  /** Making a link is atomic, so the name of the link is the lock on the management subnet 198.18.<slot>.0/24 (RFC 2544). */
  private async claimSlot(fabric: string): Promise<string> {
    const first = process.pid % SLOTS;
    for (let step = 0; step < SLOTS; step++) {
      const slot = (first + step) % SLOTS;
      const link = `weft-lab${slot}`;
      const argv = [
        'ip',
        'link',
        'add',
        link,
        'type',
        'veth',
        'peer',
        'name',
        ROOT_LINK_PEER,
        'netns',
        fabric,
      ];
      const result = await run(argv);
      if (result.exitCode === 0) {
        this.slot = slot;
        return link;
      }
      if (!result.stderr.includes('File exists')) {
        throw new LabError('lab.link.failed', `${argv.join(' ')}: ${result.stderr.trim()}`, 'run as root');
      }
    }
    throw new LabError('lab.slots.exhausted', `${SLOTS} labs are running`, 'end some of them');
  }
}
