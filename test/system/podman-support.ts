/** Podman in a host of the lab: everything of its own, images made of busybox, networks by CNI. */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec, type ExecResult, type LabHost } from '../../topologies/lab/index.js';

const COMMANDS = ['sh', 'ping', 'ip', 'cat', 'sleep', 'nc', 'true'];
const LIMITS = ['--ulimit', 'nofile=512:512', '--ulimit', 'nproc=1024:1024'];
const TIMEOUT_MS = 120_000;

export class Podman {
  private readonly argv: readonly string[];
  private readonly env: Readonly<Record<string, string>>;
  /** Folder of the network configuration lists. */
  private readonly networks: string;

  private constructor(
    private readonly host: LabHost,
    directory: string,
    pluginFolders: readonly string[],
  ) {
    const inside = (name: string): string => join(directory, name);
    this.networks = inside('net');
    for (const folder of ['net', 'tmp']) mkdirSync(inside(folder), { recursive: true });
    const configuration = [
      '[network]',
      'network_backend="cni"',
      `cni_plugin_dirs=${JSON.stringify(pluginFolders)}`,
      `network_config_dir="${this.networks}"`,
      '[engine]',
      'cgroup_manager="cgroupfs"',
      'events_logger="none"',
    ];
    writeFileSync(inside('containers.conf'), `${configuration.join('\n')}\n`);
    this.env = { CONTAINERS_CONF: inside('containers.conf') };
    const folders = ['--root', inside('root'), '--runroot', inside('run'), '--tmpdir', inside('tmp')];
    const choices = ['--storage-driver', 'vfs', '--runtime', 'runc', '--network-config-dir', this.networks];
    this.argv = ['podman', ...folders, ...choices];
  }

  /**
   * With an image `busybox`.
   * @param directory for images, containers and state
   * @param pluginFolders where CNI plugins are, the first that has one wins
   */
  static async prepare(host: LabHost, directory: string, pluginFolders: readonly string[]): Promise<Podman> {
    const podman = new Podman(host, directory, pluginFolders);
    const image = join(directory, 'image');
    for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run', 'var'])
      mkdirSync(join(image, folder), { recursive: true });
    copyFileSync('/usr/bin/busybox', join(image, 'bin/busybox'));
    for (const command of COMMANDS) symlinkSync('busybox', join(image, 'bin', command));
    const archive = join(directory, 'image.tar');
    await exec(['tar', '-C', image, '-cf', archive, '.']);
    await podman.do('import', '--quiet', archive, 'busybox');
    return podman;
  }

  /** Whether containers can be run here at all; if not, why. */
  async problem(): Promise<string | undefined> {
    const { exitCode, stderr } = await this.try(
      'run',
      '--rm',
      '--network',
      'none',
      ...LIMITS,
      'busybox',
      'true',
    );
    return exitCode === 0 ? undefined : stderr.trim();
  }

  network(name: string, plugins: readonly object[]): void {
    const list = { cniVersion: '1.0.0', name, plugins };
    writeFileSync(join(this.networks, `${name}.conflist`), JSON.stringify(list));
  }

  /** Resolves whatever the exit code. */
  try(...args: string[]): Promise<ExecResult> {
    return this.host.run([...this.argv, ...args], { env: this.env, timeoutMs: TIMEOUT_MS });
  }

  /** What it wrote; rejects when it fails. */
  do(...args: string[]): Promise<string> {
    return this.host.exec([...this.argv, ...args], { env: this.env, timeoutMs: TIMEOUT_MS });
  }

  /** A container that does nothing for ten minutes. */
  start(name: string, network: string, ...more: string[]): Promise<ExecResult> {
    const options = ['--detach', '--name', name, '--network', network, ...LIMITS, ...more];
    return this.try('run', ...options, 'busybox', 'sleep', '600');
  }

  /** Started, with its id and its address in the network. */
  async started(
    name: string,
    network: string,
    ...more: string[]
  ): Promise<{ id: string; address: string; name: string }> {
    const { exitCode, stdout, stderr } = await this.start(name, network, ...more);
    if (exitCode !== 0) throw new Error(`podman run ${name}: ${stderr}`);
    const address = await this.addressOf(name, network);
    return { id: stdout.trim(), address, name };
  }

  async addressOf(name: string, network: string): Promise<string> {
    const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
    return (await this.do('inspect', '--format', format, name)).trim();
  }

  async pings(name: string, address: string): Promise<boolean> {
    const { exitCode } = await this.try('exec', name, 'ping', '-c', '1', '-W', '3', address);
    return exitCode === 0;
  }

  /** Containers go, and what is mounted for them. */
  async destroy(): Promise<void> {
    await this.try('rm', '--force', '--all', '--time', '0');
  }
}
