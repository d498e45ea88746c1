import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import type { Clock } from '../../rpc/index.js';

/** Time that only moves when told to. */
export class ManualClock implements Clock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The process stands still for so long; what was due meanwhile runs late. */
  stall(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
      if (this.#timers.delete(timer)) timer.run();
    }
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.run();
    }
    this.#now = end;
  }
}

/** The two ends of one TCP connection over loopback. */
export async function socketPair(
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = connect({ port: address.port, host: '127.0.0.1', ...options });
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  server.close();
  client.setNoDelay(true);
  return [client, accepted as Socket];
}

/** Resolves when the condition holds, looking after every turn of the event loop; fails after 20 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Reads a socket as lines of JSON, for tests that speak the protocol by hand. */
export class RawClient {
  readonly #waiting: ((value: unknown) => void)[] = [];
  readonly #lines: unknown[] = [];
  #rest = '';
  ended = false;

  constructor(readonly socket: Socket) {
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) {
        const value: unknown = JSON.parse(line);
        const next = this.#waiting.shift();
        if (next === undefined) this.#lines.push(value);
        else next(value);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  next(): Promise<unknown> {
    if (this.#lines.length > 0) return Promise.resolve(this.#lines.shift());
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
