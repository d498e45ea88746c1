/**
 * Takes questions over UDP and TCP (RFC 1035 section 4.2, RFC 7766) and gives the answers back. Whoever asks more than its share, or more
 * than all together may have open, is not answered: resolvers ask again.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../error.js';
import type { Logger } from '../logger.js';
import { framed } from './forwarder.js';
import type { Transport } from './forwarder.js';

export interface NameServerOptions {
  readonly address: string;
  /** Default 53; 0: a free one, the same for both. */
  readonly port?: number;
  /** The endpoint that has a source address; undefined: none, and it is not answered. */
  endpointOf(address: string): string | undefined;
  answer(endpoint: string, message: Buffer, transport: Transport): Promise<Buffer | undefined>;
  readonly logger: Logger;
}

/** Questions under way at one time, of all endpoints and of one. */
const MOST_OPEN = 1_000;
const MOST_OPEN_OF_ONE = 100;
const MOST_CONNECTIONS = 200;
/** A connection that asks nothing is closed after this time. */
const IDLE_MS = 10_000;

export class NameServer {
  readonly #open = new Map<string, number>();
  #openOfAll = 0;
  readonly #connections = new Set<Socket>();

  private constructor(
    private readonly options: NameServerOptions,
    private readonly udp: UdpSocket,
    private readonly tcp: Server,
  ) {}

  /** Rejects when the address or the port cannot be had. */
  static async start(options: NameServerOptions): Promise<NameServer> {
    const { address, port = 53, logger } = options;
    const udp = createSocket('udp4');
    const tcp = createServer({ noDelay: true });
    try {
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject).listen({ host: address, port }, resolve);
      });
      const bound = tcp.address();
      await new Promise<void>((resolve, reject) => {
        udp
          .once('error', reject)
          .bind({ address, port: typeof bound === 'object' ? (bound?.port ?? port) : port }, resolve);
      });
    } catch (error) {
      tcp.close();
      udp.close();
      throw error;
    }
    const server = new NameServer(options, udp, tcp);
    udp.removeAllListeners('error').on('error', (error) => {
      logger.warn({ event: 'names.udp', reason: error.message });
    });
    tcp.removeAllListeners('error').on('error', (error) => {
      logger.warn({ event: 'names.tcp', reason: error.message });
    });
    tcp.maxConnections = MOST_CONNECTIONS;
    udp.on('message', (message, { address: from, port: to }) => {
      server.#answer(from, message, 'udp', (answer) => udp.send(answer, to, from, () => undefined));
    });
    tcp.on('connection', (socket) => server.#connected(socket));
    return server;
  }

  get port(): number {
    return this.udp.address().port;
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.udp.close(() => resolve())),
      new Promise<void>((resolve) => this.tcp.close(() => resolve())),
    ]);
  }

  #connected(socket: Socket): void {
    const from = socket.remoteAddress ?? '';
    this.#connections.add(socket);
    let received = Buffer.alloc(0);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 2) {
        const end = 2 + received.readUInt16BE(0);
        if (received.length < end) return;
        const message = received.subarray(2, end);
        received = received.subarray(end);
        this.#answer(from, message, 'tcp', (answer) => socket.write(framed(answer)));
      }
    });
  }

  #answer(from: string, message: Buffer, transport: Transport, give: (answer: Buffer) => void): void {
    const endpoint = this.options.endpointOf(from);
    const open = this.#open.get(from) ?? 0;
    if (endpoint === undefined || open >= MOST_OPEN_OF_ONE || this.#openOfAll >= MOST_OPEN) return;
    this.#open.set(from, open + 1);
    this.#openOfAll += 1;
    this.options
      .answer(endpoint, message, transport)
      .then((answer) => {
        if (answer !== undefined) give(answer);
      })
      .catch((error: unknown) => {
        this.options.logger.error({ event: 'names.failed', endpoint, reason: messageOf(error) });
      })
      .finally(() => {
        const left = (this.#open.get(from) ?? 1) - 1;
        if (left === 0) this.#open.delete(from);
        else this.#open.set(from, left);
        this.#openOfAll -= 1;
      });
  }
}
