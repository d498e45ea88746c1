/** ovs-vswitchd's control socket (ovs-appctl(8)): JSON-RPC 1.0, of which one connection carries any number of calls. */
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { JsonSplitter } from '../ovsdb/index.js';

/** A dump of a million connections. */
const MAX_ANSWER_BYTES = 256 * 2 ** 20;

/** The switch does not do what it was asked; the connection goes on. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

interface Call {
  resolve(text: string): void;
  reject(error: Error): void;
}

/** One connection, which ends when ovs-vswitchd does. */
export class SwitchControl {
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #calls: Call[] = [];
  readonly #splitter = new JsonSplitter(MAX_ANSWER_BYTES);
  #number = 0;

  private constructor(private readonly socket: Socket) {
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const call of this.#calls.splice(0)) call.reject(new Error('ovs-vswitchd has ended'));
        resolve();
      });
    });
    socket.on('error', () => {}); // `close` follows
    socket.on('data', (chunk) => this.#answers(chunk));
  }

  /**
   * Connects to the ovs-vswitchd of a run directory.
   * @throws the system's error while there is none
   */
  static async open(runDirectory: string): Promise<SwitchControl> {
    const named = join(runDirectory, 'ovs-vswitchd.ctl');
    try {
      return await SwitchControl.connect(named);
    } catch {
      // Unless told otherwise, it puts its process id into the name.
      const pid = (await readFile(join(runDirectory, 'ovs-vswitchd.pid'), 'utf8')).trim();
      return SwitchControl.connect(join(runDirectory, `ovs-vswitchd.${pid}.ctl`));
    }
  }

  /** Connects to a control socket. @throws the system's error while nobody listens there */
  static async connect(path: string): Promise<SwitchControl> {
    return new SwitchControl(await connected(path));
  }

  /** @throws CommandError where the switch refuses, Error where the connection ends */
  call(command: string, ...parameters: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) {
        reject(new Error('ovs-vswitchd has ended'));
        return;
      }
      this.#calls.push({ resolve, reject });
      this.socket.write(JSON.stringify({ id: this.#number++, method: command, params: parameters }));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  /** Answers come in the order of the calls. */
  #answers(chunk: Uint8Array): void {
    try {
      for (const answer of this.#splitter.push(chunk)) {
        const { result, error } = answer as { readonly result?: unknown; readonly error?: unknown };
        const call = this.#calls.shift();
        if (typeof result === 'string') call?.resolve(result);
        else call?.reject(new CommandError(typeof error === 'string' ? error.trim() : 'no answer'));
      }
    } catch {
      this.socket.destroy();
    }
  }
}

/** A connected stream to a unix socket. */
export function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
