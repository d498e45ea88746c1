/**
 * A host of the lab: a network namespace with its own ovsdb-server and ovs-vswitchd on the userspace datapath.
 *
 *     management ── control traffic (controller, hub), default route        198.18.<slot>.0/24
 *     underlay ──── port of br-underlay, whose internal port holds the VTEP address
 *     uplink ────── nothing on it until somebody makes it a port of a bridge: the host's leg in the VLAN underlay
 *
 * `br-underlay` is the lab's and not Weft's: the userspace datapath can send a tunnel only through a bridge of its own that
 * holds the local address, as the kernel datapath sends it through any interface. It is what a distribution's network scripts would set up,
 * and the lab sets it up again whenever OVS comes up without it.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabEndpoint, type EndpointOptions } from './endpoint.js';
import { LabNamespace } from './namespace.js';
import { exec, LabError, until, type Daemon, type ExecOptions } from './process.js';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const UNDERLAY_BRIDGE = 'br-underlay';
const OVSDB_PORT = 6640;

export interface LabHostAddresses {
  /** IPv4 address of the management interface. */
  readonly management: string;
  /** Tunnel address with prefix length ('10.254.0.1/24', 'fd00:254::1/64'); absent: no VXLAN underlay. */
  readonly vtep?: string;
}

/** What a host needs of its lab. */
export interface HostEnvironment {
  readonly underlayMtu: number;
  readonly directory: string;
  adopt(daemon: Daemon): void;
  /** Tunnel addresses of the other running hosts. */
  peers(host: LabHost): readonly string[];
  createNamespace(name: string): Promise<{ fullName: string; directory: string }>;
}

export class LabHost extends LabNamespace {
  readonly managementAddress: string;
  /** Tunnel address without prefix length. */
  readonly vtepIp: string | undefined;
  /** Name of the interface in the VLAN underlay. */
  readonly uplink: string | undefined;
  /** Where the sockets, pid files, logs and the database of this host's OVS are. */
  readonly runDirectory: string;
  /** OVSDB remote on the host's unix socket ('unix:/run/weft-lab/…/db.sock'). */
  readonly ovsdb: string;
  /** The same database over TCP, on the management address. */
  readonly ovsdbTcp: string;
  private readonly vtep: string | undefined;
  private readonly environment: HostEnvironment;
  private databaseServer: Daemon | undefined;
  private switchDaemon: Daemon | undefined;
  private ready = false;

  constructor(
    name: string,
    fullName: string,
    addresses: LabHostAddresses,
    uplink: string | undefined,
    environment: HostEnvironment,
  ) {
    super(name, fullName, environment.directory, (daemon) => environment.adopt(daemon));
    this.environment = environment;
    this.managementAddress = addresses.management;
    this.vtep = addresses.vtep;
    this.vtepIp = addresses.vtep?.split('/')[0];
    this.uplink = uplink;
    this.runDirectory = join(environment.directory, name);
    mkdirSync(this.runDirectory, { recursive: true });
    this.ovsdb = `unix:${this.runDirectory}/db.sock`;
    this.ovsdbTcp = `tcp:${addresses.management}:${OVSDB_PORT}`;
  }

  /** Whether ovs-vswitchd is up, its underlay bridge included. */
  get ovsRunning(): boolean {
    return this.ready && this.switchDaemon?.running === true;
  }

  /** Environment that makes `ovs-*` commands talk to this host's daemons. */
  get ovsEnvironment(): Readonly<Record<string, string>> {
    return { OVS_RUNDIR: this.runDirectory, OVS_LOGDIR: this.runDirectory, OVS_DBDIR: this.runDirectory };
  }

  /** `ovs-vsctl` against this host's database; waits until ovs-vswitchd has applied the change. */
  vsctl(...args: string[]): Promise<string> {
    return this.ovs('ovs-vsctl', `--db=${this.ovsdb}`, '--timeout=20', ...args);
  }

  /** Several `ovs-vsctl` commands in one transaction. */
  vsctlAll(...commands: readonly (readonly string[])[]): Promise<string> {
    return this.vsctl(...commands.flatMap((command) => ['--', ...command]));
  }

  /** `ovs-ofctl -O OpenFlow13` against a bridge of this host. */
  ofctl(...args: string[]): Promise<string> {
    return this.ovs('ovs-ofctl', '-O', 'OpenFlow13', ...args);
  }

  /** As {@link ofctl}, with standard input (`ofctlWith(flows, '--bundle', 'add-flows', 'br-int', '-')`). */
  ofctlWith(input: string, ...args: string[]): Promise<string> {
    return this.exec(['ovs-ofctl', '-O', 'OpenFlow13', ...args], { env: this.ovsEnvironment, input });
  }

  /** `ovs-appctl` against ovs-vswitchd (`appctl('ofproto/trace', …)`). */
  appctl(...args: string[]): Promise<string> {
    return this.ovs('ovs-appctl', '-t', join(this.runDirectory, 'ovs-vswitchd.ctl'), ...args);
  }

  private ovs(...argv: string[]): Promise<string> {
    const options: ExecOptions = { env: this.ovsEnvironment };
    return this.exec(argv, options);
  }

  /** Start both daemons and the underlay bridge; resolves when the other hosts' tunnel addresses answer. */
  async startOvs(): Promise<void> {
    const inRunDirectory = (file: string): string => join(this.runDirectory, file);
    const database = inRunDirectory('conf.db');
    if (!existsSync(database)) await exec(['ovsdb-tool', 'create', database, SCHEMA]);
    const common = (daemon: string): string[] => [
      `--pidfile=${inRunDirectory(`${daemon}.pid`)}`,
      `--unixctl=${inRunDirectory(`${daemon}.ctl`)}`,
      '--no-chdir',
      '-vconsole:warn',
    ];
    const remotes = [
      `--remote=punix:${inRunDirectory('db.sock')}`,
      `--remote=ptcp:${OVSDB_PORT}:${this.managementAddress}`,
    ];
    this.databaseServer = this.spawn(
      'ovsdb-server',
      ['ovsdb-server', database, ...remotes, ...common('ovsdb-server')],
      this.ovsEnvironment,
    );
    await this.waitForDaemon(this.databaseServer, () => existsSync(inRunDirectory('db.sock')));
    await this.vsctl('--no-wait', 'init');
    this.switchDaemon = this.spawn(
      'ovs-vswitchd',
      ['ovs-vswitchd', this.ovsdb, '--disable-system', ...common('ovs-vswitchd')],
      this.ovsEnvironment,
    );
    await this.waitForDaemon(this.switchDaemon, () => existsSync(inRunDirectory('ovs-vswitchd.ctl')));
    await this.restoreUnderlay();
  }

  /** Stop both daemons. The kernel keeps endpoint interfaces; every internal port disappears with the userspace datapath. */
  async stopOvs(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.ready = false;
    await this.switchDaemon?.stop(signal);
    await this.databaseServer?.stop(signal);
    // Killed daemons leave the sockets by which `startOvs` knows that they are up.
    for (const socket of ['db.sock', 'ovs-vswitchd.ctl'])
      rmSync(join(this.runDirectory, socket), { force: true });
    this.switchDaemon = undefined;
    this.databaseServer = undefined;
  }

  /** Restart OVS, with its database or with an empty one (as after a reinstallation). */
  async restartOvs(options: { keepDatabase: boolean }): Promise<void> {
    await this.stopOvs();
    if (!options.keepDatabase) rmSync(join(this.runDirectory, 'conf.db'), { force: true });
    await this.startOvs();
  }

  /** Create an endpoint's namespace with a veth leg whose other end is a port of `bridge`: what an agent would do. */
  async addEndpoint(options: EndpointOptions): Promise<LabEndpoint> {
    const place = await this.environment.createNamespace(options.name);
    const mtu = options.mtu ?? this.environment.underlayMtu - 50;
    const endpoint = new LabEndpoint(this, place.fullName, place.directory, { ...options, mtu }, (daemon) =>
      this.environment.adopt(daemon),
    );
    await endpoint.connect();
    return endpoint;
  }

  private async waitForDaemon(daemon: Daemon, ready: () => boolean): Promise<void> {
    await until(`${daemon.name} to start`, () => {
      if (!daemon.running) throw new LabError('lab.ovs.start', `${daemon.name} ended: ${daemon.log()}`);
      return ready();
    });
  }

  private async restoreUnderlay(): Promise<void> {
    if (this.vtep === undefined) return;
    await this.vsctlAll(
      ['--may-exist', 'add-br', UNDERLAY_BRIDGE],
      ['set', 'bridge', UNDERLAY_BRIDGE, 'datapath_type=netdev', 'fail_mode=standalone'],
      ['--may-exist', 'add-port', UNDERLAY_BRIDGE, 'underlay'],
    );
    await until(`${this.name}/${UNDERLAY_BRIDGE}`, async () => {
      return (await this.run(['ip', 'link', 'show', UNDERLAY_BRIDGE])).exitCode === 0;
    });
    // Else the kernel answers ARP for the VTEP address on `underlay` as well, with a MAC address that is not the bridge's, and
    // whoever believes that answer sends its tunnel packets past Open vSwitch.
    await this.exec(['sh', '-ec', 'echo 1 > /proc/sys/net/ipv4/conf/underlay/arp_ignore']);
    const nodad = this.vtep.includes(':') ? ' nodad' : '';
    await this.ip(
      `link set ${UNDERLAY_BRIDGE} mtu ${this.environment.underlayMtu} up`,
      `addr replace ${this.vtep} dev ${UNDERLAY_BRIDGE}${nodad}`,
    );
    this.ready = true;
    await Promise.all(this.environment.peers(this).map((peer) => this.waitForPeer(peer)));
  }

  /**
   * Lets Open vSwitch learn the MAC addresses of the other hosts' tunnel endpoints, which it does by overhearing ARP replies, and only
   * while there is a tunnel port. Until then the first packet into a tunnel is lost.
   */
  async learnTunnelPeers(): Promise<void> {
    const peers = this.environment.peers(this).filter((peer) => !peer.includes(':'));
    await Promise.all(
      peers.map((peer) =>
        until(`${this.name} to resolve ${peer}`, async () => {
          await this.run(['arping', '-c', '1', '-w', '1', '-I', UNDERLAY_BRIDGE, peer]);
          return (await this.appctl('tnl/neigh/show')).includes(`${peer} `);
        }),
      ),
    );
  }

  /** The first frames after a start of OVS are lost; and a tunnel drops packets until it has learnt its peer's MAC address. */
  private async waitForPeer(peer: string): Promise<void> {
    await until(`${this.name} to reach ${peer}`, async () => (await this.ping(peer, { timeoutMs: 200 })).ok);
  }
}
