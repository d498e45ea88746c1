import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { systemClock } from './clock.js';
import { ErrorCode } from './error.js';
import { encodeError, encodeNotification } from './message.js';
import { Peer, type PeerOptions } from './peer.js';
import { type Address, type Listener, listen } from './transports.js';
import type { NotificationType, ParamsOf } from './types.js';

export interface HubOptions extends Omit<PeerOptions, 'pauseWhileBlocked'> {
  /** One more connection is told so and closed. */
  readonly maxPeers?: number;
  readonly onUp?: (peer: Peer, remote: string) => void;
  readonly onDown?: (peer: Peer, reason: string) => void;
  /** A connection could not be accepted; the hub goes on listening. */
  readonly onListenerError?: (error: Error) => void;
}

/** How long a connection that was refused may take to read why. */
const REFUSAL_MS = 1_000;

/** Many peers behind one or more listeners. What one of them does not read waits for it alone. */
export class Hub {
  readonly #peers = new Set<Peer>();
  readonly #listeners: Listener[] = [];
  readonly #maxPeers: number;

  constructor(private readonly options: HubOptions) {
    this.#maxPeers = options.maxPeers ?? 4096;
  }

  get peers(): ReadonlySet<Peer> {
    return this.#peers;
  }

  /** Returns the address in use (the port that was chosen when 0 was asked for). */
  async listen(address: Address): Promise<Address> {
    const listener = await listen(
      address,
      (socket) => {
        this.#accept(socket);
      },
      // Beyond it not even the refusal is worth a socket.
      {
        maxConnections: this.#maxPeers * 2,
        onError: (error) => this.options.onListenerError?.(error),
      },
    );
    this.#listeners.push(listener);
    return listener.address;
  }

  /**
   * Encodes a notification once and queues the same bytes for every member. With a key, a peer that does not read gets only
   * the last one of each key. Returns the number of peers.
   */
  fanOut<T extends NotificationType>(
    type: T,
    params: ParamsOf<T>,
    members: Iterable<Peer>,
    key?: string,
  ): number {
    const message = Buffer.from(encodeNotification(type, params));
    let count = 0;
    for (const peer of members) {
      peer.notifyEncoded(message, key);
      count += 1;
    }
    return count;
  }

  /** Takes no new connection, drains those that are there and closes them. */
  async close(deadlineMs: number): Promise<void> {
    for (const listener of this.#listeners.splice(0)) listener.close();
    await Promise.all([...this.#peers].map((peer) => peer.drain(deadlineMs)));
  }

  #accept(socket: Socket): void {
    const remote =
      socket.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
    if (this.#peers.size >= this.#maxPeers) {
      const message = `the hub holds ${this.#maxPeers} connections and takes no more`;
      const error = { code: ErrorCode.busy, message, data: { code: 'rpc.full', fix: 'connect later' } };
      const stopTimer = (this.options.clock ?? systemClock).after(REFUSAL_MS, () => socket.destroy());
      socket.on('error', () => undefined);
      socket.on('close', stopTimer);
      // Read on, and thrown away: a socket with something unread never notices that the other end has closed it.
      socket.resume();
      socket.end(`${encodeError(null, error)}\n`);
      return;
    }
    const peer = new Peer(socket, { ...this.options, pauseWhileBlocked: true });
    this.#peers.add(peer);
    peer.onClose((reason) => {
      this.#peers.delete(peer);
      this.options.onDown?.(peer, reason);
    });
    this.options.onUp?.(peer, remote);
  }
}
