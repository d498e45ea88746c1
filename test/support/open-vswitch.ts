/**
 * A private Open vSwitch for one test file or bench: its own ovsdb-server and ovs-vswitchd in a temporary folder. OpenFlow is the
 * real thing; devices are Open vSwitch's own dummies, so that nothing appears on the host, whose interface names are everybody's
 * (each userspace datapath wants one called ovs-netdev). For packets on real links between hosts, see `topologies/lab`.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from './wait-for.js';

const run = promisify(execFile);
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

export class OpenVSwitch {
  readonly directory: string;
  #database: ChildProcess | undefined;
  #switchd: ChildProcess | undefined;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async start(): Promise<OpenVSwitch> {
    const ovs = new OpenVSwitch(await mkdtemp(join(tmpdir(), `weft-ovs-${process.pid}-`)));
    await run('ovsdb-tool', ['create', join(ovs.directory, 'conf.db'), SCHEMA]);
    ovs.#database = ovs.#spawn('ovsdb-server', [
      join(ovs.directory, 'conf.db'),
      `--remote=punix:${ovs.#socket('db.sock')}`,
      `--unixctl=${ovs.#socket('ovsdb.ctl')}`,
    ]);
    await waitFor('ovsdb-server answers', () => ovs.vsctl('--no-wait', 'init'));
    await ovs.startSwitch();
    return ovs;
  }

  /** Starts ovs-vswitchd and returns when it has taken up the database's contents. */
  async startSwitch(): Promise<void> {
    this.#switchd = this.#spawn('ovs-vswitchd', [
      `unix:${this.#socket('db.sock')}`,
      `--unixctl=${this.#socket('vswitchd.ctl')}`,
      '--disable-system',
      '--enable-dummy=override',
    ]);
    await this.vsctl('--timeout=20', 'set', 'Open_vSwitch', '.', `external_ids:started=${Date.now()}`);
  }

  /** Kills ovs-vswitchd without warning; its flow tables are gone with it. */
  async killSwitch(): Promise<void> {
    await end(this.#switchd);
    this.#switchd = undefined;
  }

  /** Process id of ovs-vswitchd. */
  get switchPid(): number {
    const pid = this.#switchd?.pid;
    if (pid === undefined) throw new Error('ovs-vswitchd is not running');
    return pid;
  }

  async vsctl(...args: string[]): Promise<string> {
    const { stdout } = await run('ovs-vsctl', [`--db=unix:${this.#socket('db.sock')}`, ...args]);
    return stdout.trim();
  }

  /** Runs `ovs-ofctl -O OpenFlow13 COMMAND BRIDGE ARGS` on the bridge's management socket. */
  async ofctl(command: readonly string[], bridge: string, ...args: string[]): Promise<string> {
    const { stdout } = await run(
      'ovs-ofctl',
      ['-O', 'OpenFlow13', ...command, this.managementSocket(bridge), ...args],
      { maxBuffer: 1 << 30 },
    );
    return stdout;
  }

  /** `ovs-appctl` against ovs-vswitchd. */
  async appctl(...args: string[]): Promise<string> {
    const { stdout } = await run('ovs-appctl', ['-t', this.#socket('vswitchd.ctl'), ...args], {
      maxBuffer: 1 << 30,
    });
    return stdout;
  }

  /** What `ovs-ofctl` takes in the place of a bridge's name. */
  managementSocket(bridge: string): string {
    return `unix:${this.#socket(`${bridge}.mgmt`)}`;
  }

  /** Adds a bridge that speaks OpenFlow 1.3, with a datapath id of 16 hex digits. */
  async addBridge(name: string, datapathId: string): Promise<void> {
    const settings = ['datapath_type=dummy', 'fail_mode=secure', 'protocols=OpenFlow13'];
    const datapath = `other-config:datapath-id=${datapathId}`;
    await this.vsctl('add-br', name, '--', 'set', 'bridge', name, ...settings, datapath);
  }

  /** Sets the bridge's controller, with the shortest back-off there is (1 s). */
  async setController(bridge: string, port: number): Promise<void> {
    const settings = ['max_backoff=1000', 'inactivity_probe=5000'];
    const target = `tcp:127.0.0.1:${port}`;
    await this.vsctl('set-controller', bridge, target, '--', 'set', 'controller', bridge, ...settings);
  }

  async stop(): Promise<void> {
    await end(this.#switchd);
    await end(this.#database);
    await rm(this.directory, { recursive: true, force: true });
  }

  #socket(name: string): string {
    return join(this.directory, name);
  }

  #spawn(command: string, args: string[]): ChildProcess {
    // Whatever ends this process, SIGKILL included, ends what it has started.
    return spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', command, ...args, '--log-file=/dev/null', '-vconsole:off'],
      {
        stdio: 'ignore',
        env: {
          ...process.env,
          OVS_RUNDIR: this.directory,
          OVS_LOGDIR: this.directory,
          OVS_DBDIR: this.directory,
        },
      },
    );
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
