import { type Clock, systemClock } from './clock.js';
import { Peer, type PeerOptions } from './peer.js';
import { type Address, connect, formatAddress } from './transports.js';

/** Waiting times of a client that reconnects: doubling up to a limit, the upper half of each left to chance. */
export class Backoff {
  #failures = 0;

  constructor(
    private readonly minMs: number,
    private readonly maxMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const whole = Math.min(this.maxMs, this.minMs * 2 ** this.#failures);
    this.#failures += 1;
    return whole / 2 + (this.random() * whole) / 2;
  }

  reset(): void {
    this.#failures = 0;
  }
}

export interface ClientOptions extends PeerOptions {
  /** Tried in turn, so that the members of a cluster can all be named. */
  readonly addresses: readonly [Address, ...Address[]];
  /**
   * Called with each new connection, e.g. to register. The connection counts as up when the promise resolves; if it
   * rejects, the connection is closed and tried again later.
   */
  readonly onUp: (peer: Peer) => Promise<void> | void;
  /** The connection is down, was refused or could not be made; the next attempt starts in `retryMs`. */
  readonly onDown?: (reason: string, retryMs: number) => void;
  readonly minRetryMs?: number;
  readonly maxRetryMs?: number;
  readonly connectTimeoutMs?: number;
  readonly random?: () => number;
}

/** Keeps one connection to a hub, as long as it runs. */
export class Client {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #stopped = new AbortController();
  #peer: Peer | undefined;
  #attempts = 0;
  #cancelRetry: (() => void) | undefined;

  constructor(private readonly options: ClientOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(options.minRetryMs ?? 100, options.maxRetryMs ?? 5_000, options.random);
  }

  /** The connection, once `onUp` has succeeded; undefined while there is none. */
  get peer(): Peer | undefined {
    return this.#peer;
  }

  start(): void {
    void this.#attempt();
  }

  /** Closes the connection and tries no more. */
  stop(): void {
    this.#stopped.abort();
    this.#cancelRetry?.();
    this.#peer?.close('stopped');
  }

  async #attempt(): Promise<void> {
    const { addresses, onUp, connectTimeoutMs = 5_000 } = this.options;
    const address = addresses[this.#attempts % addresses.length] ?? addresses[0];
    this.#attempts += 1;
    let peer: Peer;
    try {
      const timeout = AbortSignal.timeout(connectTimeoutMs);
      const socket = await connect(address, AbortSignal.any([timeout, this.#stopped.signal]));
      peer = new Peer(socket, this.options);
    } catch (error) {
      this.#retry(`cannot connect to ${formatAddress(address)}: ${messageOf(error)}`);
      return;
    }
    const onStop = () => {
      peer.close('stopped');
    };
    this.#stopped.signal.addEventListener('abort', onStop, { once: true });
    peer.onClose((reason) => {
      this.#stopped.signal.removeEventListener('abort', onStop);
      this.#peer = undefined;
      this.#retry(reason);
    });
    try {
      await onUp(peer);
      if (peer.closed !== undefined) return;
      this.#peer = peer;
      this.#backoff.reset();
    } catch (error) {
      peer.close(messageOf(error));
    }
  }

  #retry(reason: string): void {
    if (this.#stopped.signal.aborted) return;
    const retryMs = this.#backoff.next();
    this.options.onDown?.(reason, retryMs);
    this.#cancelRetry = this.#clock.after(retryMs, () => {
      void this.#attempt();
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
