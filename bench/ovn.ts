/**
 * A private OVN: its own databases, ovn-northd, and an ovn-controller on an Open vSwitch that is given to it. All files and sockets are
 * in one temporary folder, and whatever ends the bench ends every process.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineTable, OvsdbClient, OvsdbConnection, type Table } from '../agent/ovsdb/index.js';
import { Daemon, exec, until } from '../topologies/lab/process.js';
import type { OvnPrograms } from './ovn-packages.js';

/** Columns of the northbound database that the bench reads or writes (ovn-nb(5)). */
export const NB = {
  global: defineTable('NB_Global', { nb_cfg: 'integer', sb_cfg: 'integer', hv_cfg: 'integer' }),
  switch: defineTable('Logical_Switch', { name: 'string', ports: 'uuids' }),
  port: defineTable('Logical_Switch_Port', { name: 'string', addresses: 'strings' }),
  portGroup: defineTable('Port_Group', { name: 'string', ports: 'uuids', acls: 'uuids' }),
  acl: defineTable('ACL', { direction: 'string', priority: 'integer', match: 'string', action: 'string' }),
} as const;

/** Of the southbound database (ovn-sb(5)). */
export const SB = {
  chassis: defineTable('Chassis', { name: 'string', hostname: 'string', encaps: 'uuids' }),
  encap: defineTable('Encap', { type: 'string', ip: 'string', chassis_name: 'string' }),
  binding: defineTable('Port_Binding', { logical_port: 'string', chassis: 'uuids' }),
} as const;

/** The Open vSwitch that ovn-controller works on. */
export interface Chassis {
  /** Folder of its database's socket `db.sock` and of the bridges' management sockets. */
  readonly directory: string;
  vsctl(...args: string[]): Promise<string>;
  /** Prefix of the command that starts ovn-controller, e.g. to enter a network namespace. */
  readonly enter?: readonly string[];
  /** Its integration bridge, which has to be there. */
  readonly bridge: string;
}

export const CHASSIS_NAME = 'measured';
const TIMEOUT_MS = 120_000;

export class Ovn {
  readonly #daemons: Daemon[] = [];
  readonly #clients: OvsdbClient[] = [];
  #southbound: Daemon | undefined;
  #northd: Daemon | undefined;
  #controller: Daemon | undefined;
  #nbctl: OvsdbConnection | undefined;

  private constructor(
    readonly programs: OvnPrograms,
    readonly directory: string,
  ) {}

  /** Starts the databases; ovn-northd is started by {@link startNorthd}. */
  static async start(programs: OvnPrograms): Promise<Ovn> {
    const ovn = new Ovn(programs, await mkdtemp(join(tmpdir(), `weft-ovn-${process.pid}-`)));
    try {
      await Promise.all([ovn.#database('nb'), ovn.#database('sb')]);
      return ovn;
    } catch (error) {
      await ovn.stop();
      throw error;
    }
  }

  remote(database: 'nb' | 'sb'): string {
    return `unix:${join(this.directory, `${database}.sock`)}`;
  }

  startNorthd(): void {
    const databases = [`--ovnnb-db=${this.remote('nb')}`, `--ovnsb-db=${this.remote('sb')}`];
    this.#northd = this.#daemon('ovn-northd', [join(this.programs.bin, 'ovn-northd'), ...databases]);
  }

  /**
   * Ends ovn-northd and ovn-controller and empties the southbound database, so that the next {@link startNorthd} computes all of it
   * again.
   */
  async forgetSouthbound(): Promise<void> {
    for (const daemon of [this.#controller, this.#northd, this.#southbound]) await daemon?.stop('SIGKILL');
    await rm(join(this.directory, 'sb.db'));
    await this.#database('sb');
  }

  /** Makes the Open vSwitch a chassis. */
  async startController(chassis: Chassis): Promise<void> {
    const { directory, bridge, enter = [] } = chassis;
    const settings = {
      'system-id': CHASSIS_NAME,
      'ovn-remote': this.remote('sb'),
      'ovn-encap-type': 'geneve',
      'ovn-encap-ip': '127.0.0.1',
      'ovn-bridge': bridge,
    };
    const ids = Object.entries(settings).map(([key, value]) => `external_ids:${key}="${value}"`);
    await chassis.vsctl('set', 'Open_vSwitch', '.', ...ids);
    const program = join(this.programs.bin, 'ovn-controller');
    const argv = [...enter, program, `unix:${join(directory, 'db.sock')}`];
    this.#controller = this.#daemon('ovn-controller', argv, { OVS_RUNDIR: directory }, []);
  }

  /** A client of one of the databases that stays connected until the end. */
  async client(database: 'nb' | 'sb', tables: readonly Table[]): Promise<OvsdbClient> {
    const client = new OvsdbClient({
      remote: this.remote(database),
      database: database === 'nb' ? 'OVN_Northbound' : 'OVN_Southbound',
      tables,
      probeIntervalMs: 0,
      requestTimeoutMs: TIMEOUT_MS,
      maxMessageBytes: 1 << 30,
    });
    this.#clients.push(client);
    await client.ready(TIMEOUT_MS);
    return client;
  }

  /** `ovn-nbctl` as a process of its own. */
  nbctl(...args: string[]): Promise<string> {
    const argv = [join(this.programs.bin, 'ovn-nbctl'), `--db=${this.remote('nb')}`, ...args];
    return exec(argv, { env: this.#environment, timeoutMs: TIMEOUT_MS });
  }

  /**
   * Starts ovn-nbctl in its daemon mode, which keeps the northbound database in memory. It detaches itself, so it lives in a process
   * namespace that ends with the bench.
   */
  async startNbctlDaemon(): Promise<void> {
    const socket = join(this.directory, 'nbctl.ctl');
    const program = join(this.programs.bin, 'ovn-nbctl');
    const command = `"${program}" --db=${this.remote('nb')} --unixctl=${socket} --detach --no-chdir && exec sleep infinity`;
    this.#daemon('nbctl', ['unshare', '--pid', '--fork', '--kill-child', 'sh', '-c', command], {}, []);
    this.#nbctl = await until('ovn-nbctl as a daemon', () => connect(socket).catch(() => undefined), 30_000);
  }

  /** A command to the daemon of {@link startNbctlDaemon}, over its control socket: no process is started. */
  async nbctlDaemon(...args: string[]): Promise<void> {
    if (this.#nbctl === undefined) throw new Error('startNbctlDaemon comes first');
    await this.#nbctl.request('run', args, TIMEOUT_MS);
  }

  /** Kilobytes of memory in use by each of the programs; NaN of one that does not run. */
  async residentKilobytes(): Promise<{ readonly northd: number; readonly controller: number }> {
    return { northd: await resident(this.#northd), controller: await resident(this.#controller) };
  }

  async stop(): Promise<void> {
    this.#nbctl?.close();
    for (const client of this.#clients) client.close();
    await Promise.all(this.#daemons.map((daemon) => daemon.stop('SIGKILL')));
    await rm(this.directory, { recursive: true, force: true });
  }

  async #database(name: 'nb' | 'sb'): Promise<void> {
    const file = join(this.directory, `${name}.db`);
    await exec(['ovsdb-tool', 'create', file, join(this.programs.schemas, `ovn-${name}.ovsschema`)]);
    const remote = `--remote=p${this.remote(name)}`;
    const daemon = this.#daemon(`ovsdb-${name}`, ['ovsdb-server', file, remote]);
    if (name === 'sb') this.#southbound = daemon;
    const client = await this.client(name, []);
    client.close();
  }

  #daemon(
    name: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
    options: readonly string[] = [`--unixctl=${join(this.directory, `${name}.ctl`)}`, '-vconsole:warn'],
  ): Daemon {
    const logFile = join(this.directory, `${name}.log`);
    const daemon = Daemon.start(name, [...argv, ...options], {
      logFile,
      env: { ...this.#environment, ...env },
    });
    this.#daemons.push(daemon);
    return daemon;
  }

  get #environment(): Readonly<Record<string, string>> {
    const { directory } = this;
    return {
      OVN_RUNDIR: directory,
      OVN_LOGDIR: directory,
      OVN_DBDIR: directory,
      OVS_RUNDIR: directory,
      OVS_LOGDIR: directory,
    };
  }
}

function connect(socket: string): Promise<OvsdbConnection> {
  return OvsdbConnection.connect({
    remote: `unix:${socket}`,
    probeIntervalMs: 0,
    maxMessageBytes: 1 << 24,
    connectTimeoutMs: 1_000,
    onNotification: () => {},
    onClose: () => {},
  });
}

async function resident(daemon: Daemon | undefined): Promise<number> {
  if (daemon?.running !== true) return Number.NaN;
  const status = await readFile(`/proc/${daemon.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]);
}
