/**
 * A connection to an etcd cluster: one gRPC channel to each member, calls to the first that is ready. Knows whether the store
 * is there; knows nothing of what is stored.
 */
import {
  type ChannelOptions,
  type ClientDuplexStream,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { StoreError, type StoreState } from './store.js';
import { type Procedure, RANGE, WATCH, type WatchRequest, type WatchResponse } from './etcd-protocol.js';

export interface EtcdOptions {
  /** `http://127.0.0.1:2379`; `https` for TLS. Every member of the cluster, in any order. */
  readonly endpoints: readonly string[];
  /** Certificate authority, certificate and key in PEM, for `https`. */
  readonly tls?: { readonly ca?: Buffer; readonly certificate?: Buffer; readonly key?: Buffer };
  /** Milliseconds for a call before it fails with `store.unavailable`. Default 5,000. */
  readonly timeoutMs?: number;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  // A store that comes back is found soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
};
/** How long one member may take to become reachable before the next one is tried. */
const MEMBER_PATIENCE_MS = 500;
const PROBE_INTERVAL_MS = 250;

export class EtcdClient {
  readonly timeoutMs: number;
  readonly #members: readonly Client[];
  readonly #listeners = new Set<(state: StoreState) => void>();
  #current = 0;
  #state: StoreState = 'connecting';
  #probe: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ endpoints, tls, timeoutMs = 5_000 }: EtcdOptions) {
    if (endpoints.length === 0) {
      throw new StoreError('store.invalid', 'no etcd endpoint is given', {
        fix: 'use --etcd http://HOST:2379,…',
      });
    }
    this.timeoutMs = timeoutMs;
    this.#members = endpoints.map((endpoint) => {
      const { address, secure } = parseEndpoint(endpoint);
      const channelCredentials = secure
        ? credentials.createSsl(tls?.ca ?? null, tls?.key ?? null, tls?.certificate ?? null)
        : credentials.createInsecure();
      return new Client(address, channelCredentials, CHANNEL_OPTIONS);
    });
    this.#startProbe(0);
  }

  get state(): StoreState {
    return this.#closed ? 'lost' : this.#state;
  }

  get closed(): boolean {
    return this.#closed;
  }

  onState(listener: (state: StoreState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Rejects with StoreError `store.unavailable` after the timeout; then a write may or may not have been done. */
  async call<Request, Response>(
    procedure: Procedure<Request, Response>,
    request: Request,
    timeoutMs = this.timeoutMs,
  ): Promise<Response> {
    const deadline = Date.now() + timeoutMs;
    const member = await this.#readyMember(deadline);
    try {
      const response = await unary(member, procedure, request, deadline);
      this.#setState('ready');
      return response;
    } catch (error) {
      throw this.#translate(error as ServiceError);
    }
  }

  /** As `call`, for reads: again until the timeout; without a limit while the store has never been there. */
  async read<Request, Response>(
    procedure: Procedure<Request, Response>,
    request: Request,
  ): Promise<Response> {
    let deadline = Date.now() + this.timeoutMs;
    for (;;) {
      // Time counts from when the store was there for the first time.
      const connecting = this.#state === 'connecting';
      if (connecting) deadline = Date.now() + this.timeoutMs;
      try {
        return await this.call(procedure, request, Math.max(MEMBER_PATIENCE_MS, deadline - Date.now()));
      } catch (error) {
        const again = error instanceof StoreError && error.code === 'store.unavailable' && !this.#closed;
        if (!again || (!connecting && Date.now() >= deadline)) throw error;
        await this.#untilChange(PROBE_INTERVAL_MS);
      }
    }
  }

  /** A watch on the first member that is ready; its errors are the caller's, `lost` tells that one came. */
  async watch(): Promise<ClientDuplexStream<WatchRequest, WatchResponse>> {
    const member = await this.#readyMember(Date.now() + this.timeoutMs);
    const metadata = new Metadata();
    // Else a member that has lost the others says nothing for ever, and leaves the watch open.
    metadata.set('hasleader', 'true');
    return member.makeBidiStreamRequest(WATCH.path, WATCH.request.encode, WATCH.response.decode, metadata);
  }

  /** The connection of a watch has ended. */
  lost(): void {
    if (this.#state === 'ready') this.#setState('lost');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#probe);
    for (const member of this.#members) member.close();
    for (const listener of this.#listeners) listener('lost');
  }

  async #readyMember(deadline: number): Promise<Client> {
    for (;;) {
      if (this.#closed) throw new StoreError('store.closed', 'the store has been closed');
      const member = this.#members[this.#current] as Client;
      const patience = Math.min(deadline, Date.now() + MEMBER_PATIENCE_MS);
      if (await becomesReady(member, patience)) return member;
      this.#current = (this.#current + 1) % this.#members.length;
      if (Date.now() >= deadline) {
        this.lost();
        this.#startProbe();
        throw unavailable('no member of the etcd cluster can be reached');
      }
    }
  }

  #translate(error: ServiceError): StoreError {
    if (this.#closed) return new StoreError('store.closed', 'the store has been closed', { cause: error });
    const message = error.details === '' ? error.message : error.details;
    switch (error.code) {
      case status.UNAVAILABLE:
      case status.DEADLINE_EXCEEDED:
      case status.CANCELLED:
        this.#current = (this.#current + 1) % this.#members.length;
        this.lost();
        this.#startProbe();
        return unavailable(`etcd does not answer: ${message}`, error);
      case status.OUT_OF_RANGE:
        return new CompactedError(message, error);
      case status.INVALID_ARGUMENT:
        return new StoreError('store.too-large', `etcd refuses the request: ${message}`, { cause: error });
      default:
        return new StoreError('store.unavailable', `etcd refuses the request: ${message}`, {
          fix: 'see the log of etcd',
          cause: error,
        });
    }
  }

  #setState(state: StoreState): void {
    if (this.#state === state || this.#closed) return;
    this.#state = state;
    if (state === 'ready') {
      clearTimeout(this.#probe);
      this.#probe = undefined;
    } else this.#startProbe();
    for (const listener of this.#listeners) listener(state);
  }

  /** Asks for one key until there is an answer. */
  #startProbe(delayMs = PROBE_INTERVAL_MS): void {
    if (this.#probe !== undefined || this.#closed) return;
    this.#probe = setTimeout(() => {
      this.call(RANGE, { key: Buffer.from('\0'), limit: 1 }, 1_000)
        .catch(() => undefined)
        .finally(() => {
          this.#probe = undefined;
          if (this.#state !== 'ready') this.#startProbe();
        });
    }, delayMs);
    this.#probe.unref();
  }

  #untilChange(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      const stop = this.onState(done);
    });
  }
}

/** The revision that was asked for has been compacted away. */
export class CompactedError extends StoreError {
  constructor(message: string, cause: unknown) {
    super('store.unavailable', message, { cause });
  }
}

const unavailable = (message: string, cause?: unknown): StoreError =>
  new StoreError('store.unavailable', message, { fix: 'check etcd and --etcd', cause });

function becomesReady(member: Client, deadline: number): Promise<boolean> {
  return new Promise((resolve) => {
    member.waitForReady(deadline, (error) => {
      resolve(error === undefined || error === null);
    });
  });
}

function unary<Request, Response>(
  member: Client,
  { path, request: { encode }, response: { decode } }: Procedure<Request, Response>,
  request: Request,
  deadline: number,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    member.makeUnaryRequest(
      path,
      encode,
      decode,
      request,
      new Metadata(),
      { deadline },
      (error, response) => {
        if (error !== null) reject(error);
        else if (response === undefined) reject(new Error('an empty answer'));
        else resolve(response);
      },
    );
  });
}

function parseEndpoint(endpoint: string): { address: string; secure: boolean } {
  const match = /^(?:(https?):\/\/)?([^/\s]+?)\/?$/.exec(endpoint);
  if (match === null) {
    throw new StoreError('store.invalid', `"${endpoint}" is not an etcd endpoint`, {
      fix: 'write http://HOST:2379',
    });
  }
  const [, scheme, host = ''] = match;
  return { address: /:\d+$/.test(host) ? host : `${host}:2379`, secure: scheme === 'https' };
}
