/** Real etcd servers for tests: a data folder and a free port of their own, gone with the test. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function etcdctl(...parameters: string[][]): Promise<void> {
  await promisify(execFile)('etcdctl', parameters.flat(), { env: { ...process.env, ETCDCTL_API: '3' } });
}

/** One member, of a cluster of its own unless `cluster` made it; may be started, killed and started again on the same data. */
export class EtcdServer {
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), `weft-etcd-${process.pid}-`));
  readonly #peerUrl: string;
  #process: ChildProcess | undefined;
  #output = '';

  #cluster: string;

  private constructor(
    readonly name: string,
    port: number,
    peerPort: number,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.#peerUrl = `http://127.0.0.1:${peerPort}`;
    this.#cluster = `${name}=${this.#peerUrl}`;
  }

  static async create(name = 'test'): Promise<EtcdServer> {
    return new EtcdServer(name, await freePort(), await freePort());
  }

  /** Members of one cluster, none of them started. */
  static async cluster(...names: string[]): Promise<EtcdServer[]> {
    const members: EtcdServer[] = [];
    for (const name of names) members.push(await EtcdServer.create(name));
    const cluster = members.map((member) => member.#cluster).join();
    for (const member of members) member.#cluster = cluster;
    return members;
  }

  /** Returns at once; clients find out when it is ready. */
  start(): void {
    this.#process = spawn(
      'etcd',
      [
        ['--name', this.name],
        ['--data-dir', this.#folder],
        ['--listen-client-urls', this.url],
        ['--advertise-client-urls', this.url],
        ['--listen-peer-urls', this.#peerUrl],
        ['--initial-advertise-peer-urls', this.#peerUrl],
        ['--initial-cluster', this.#cluster],
        ['--logger', 'zap'],
        ['--log-level', 'error'],
      ].flat(),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-4_000);
    };
    this.#process.stdout?.on('data', keep);
    this.#process.stderr?.on('data', keep);
  }

  /** Its last words, for a test that fails. */
  get output(): string {
    return this.#output;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const exit = once(running, 'exit');
    running.kill(signal);
    await exit;
  }

  /** Saves what a running server holds; `restore` puts it into a server that is not running, in place of all it has. */
  async backup(): Promise<string> {
    const file = `${this.#folder}.backup`;
    await etcdctl(['--endpoints', this.url], ['snapshot', 'save', file]);
    return file;
  }

  async restore(file: string): Promise<void> {
    rmSync(this.#folder, { recursive: true });
    await etcdctl(
      ['snapshot', 'restore', file],
      ['--data-dir', this.#folder],
      ['--name', this.name],
      ['--initial-cluster', this.#cluster],
      ['--initial-advertise-peer-urls', this.#peerUrl],
    );
    rmSync(file);
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
