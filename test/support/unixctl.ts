/** `ovs-appctl` without its process: the JSON-RPC of ovs-vswitchd's control socket (unixctl.man), thousands of commands per second. */
import { connect, type Socket } from 'node:net';
import { JsonSplitter } from '../../agent/ovsdb/splitter.js';

interface Answer {
  readonly id: number;
  readonly result: string | null;
  readonly error: string | null;
}

const MAX_ANSWER_BYTES = 1 << 26;

export class UnixControl {
  #nextId = 0;
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();

  private constructor(private readonly socket: Socket) {
    const splitter = new JsonSplitter(MAX_ANSWER_BYTES);
    socket.on('data', (chunk) => {
      for (const message of splitter.push(chunk)) {
        const answer = message as Answer;
        this.#waiting.get(answer.id)?.resolve(answer);
        this.#waiting.delete(answer.id);
      }
    });
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values())
        reject(new Error('the daemon closed its control socket'));
    });
  }

  static async connect(path: string): Promise<UnixControl> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new UnixControl(socket);
  }

  /** @throws Error with what the daemon says is wrong */
  async run(method: string, ...params: string[]): Promise<string> {
    const id = this.#nextId++;
    const answered = new Promise<Answer>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.socket.write(JSON.stringify({ method, params, id }));
    const { result, error } = await answered;
    if (error !== null) throw new Error(`${method} ${params.join(' ')}: ${error}`);
    return result ?? '';
  }

  close(): void {
    this.socket.destroy();
  }
}
