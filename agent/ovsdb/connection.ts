/**
 * One OVSDB connection: JSON-RPC 1.0 over a stream (RFC 7047 section 4). Requests are matched by id, `echo` of the server is
 * answered, silence is probed with an `echo` of ours and ends the connection when that stays unanswered.
 */
import { createConnection, type Socket } from 'node:net';
import { OvsdbError } from './error.js';
import { JsonSplitter } from './splitter.js';

export interface ConnectionOptions {
  /** `unix:PATH` or `tcp:HOST:PORT` (an IPv6 host in brackets). */
  readonly remote: string;
  /** After so long without a byte from the server an echo is sent; after twice that, the connection is closed. 0: never. */
  readonly probeIntervalMs: number;
  readonly maxMessageBytes: number;
  readonly connectTimeoutMs: number;
  onNotification(method: string, params: readonly unknown[]): void;
  /** Called once, after the connection was established. */
  onClose(reason: OvsdbError): void;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: OvsdbError): void;
  readonly timer: NodeJS.Timeout;
}

/** @throws OvsdbError `ovsdb.remote.invalid` */
export function parseRemote(remote: string): { path: string } | { host: string; port: number } {
  const unix = /^unix:(.+)$/.exec(remote);
  if (unix?.[1] !== undefined) return { path: unix[1] };
  const tcp = /^tcp:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(remote);
  const port = Number(tcp?.[3]);
  const host = tcp?.[1] ?? tcp?.[2];
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  throw new OvsdbError('ovsdb.remote.invalid', `'${remote}' is no OVSDB remote`, {
    fix: 'unix:/run/openvswitch/db.sock or tcp:127.0.0.1:6640',
  });
}

export class OvsdbConnection {
  private readonly pending = new Map<number, Pending>();
  private readonly splitter: JsonSplitter;
  private nextId = 1;
  private closedBy: OvsdbError | undefined;
  private probeTimer: NodeJS.Timeout | undefined;
  private probing = false;

  private constructor(
    private readonly socket: Socket,
    private readonly options: ConnectionOptions,
  ) {
    this.splitter = new JsonSplitter(options.maxMessageBytes);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (error) => this.fail(new OvsdbError('ovsdb.closed', error.message, { cause: error })));
    socket.on('close', () => this.fail(new OvsdbError('ovsdb.closed', 'the server closed the connection')));
    this.armProbe();
  }

  static connect(options: ConnectionOptions): Promise<OvsdbConnection> {
    const target = parseRemote(options.remote);
    return new Promise((resolve, reject) => {
      const socket = createConnection(target);
      const fail = (error: Error): void => {
        socket.destroy();
        reject(new OvsdbError('ovsdb.closed', `${options.remote}: ${error.message}`, { cause: error }));
      };
      const timer = setTimeout(
        () => fail(new Error(`no connection in ${options.connectTimeoutMs} ms`)),
        options.connectTimeoutMs,
      );
      socket.once('error', fail);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeListener('error', fail);
        socket.setNoDelay(true);
        resolve(new OvsdbConnection(socket, options));
      });
      socket.once('close', () => clearTimeout(timer));
    });
  }

  /** Call a method; rejects with `ovsdb.refused`, `ovsdb.timeout` or `ovsdb.closed`. */
  request(method: string, params: readonly unknown[], timeoutMs: number): Promise<unknown> {
    const { closedBy } = this;
    if (closedBy !== undefined) return Promise.reject(closedBy);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id);
        reject(new OvsdbError('ovsdb.timeout', `${method}: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      this.pending.set(id, { resolve, reject, timer });
      this.write({ method, params, id });
    });
  }

  close(reason = new OvsdbError('ovsdb.closed', 'the client closed the connection')): void {
    this.fail(reason);
  }

  private write(message: object): void {
    this.socket.write(JSON.stringify(message));
  }

  private receive(chunk: Buffer): void {
    this.probing = false;
    this.probeTimer?.refresh();
    let messages: unknown[];
    try {
      messages = this.splitter.push(chunk);
      for (const message of messages) this.dispatch(message);
    } catch (error) {
      const reason =
        error instanceof OvsdbError
          ? error
          : new OvsdbError('ovsdb.protocol', `${(error as Error).message}`, { cause: error });
      this.fail(reason);
    }
  }

  private dispatch(message: unknown): void {
    if (this.closedBy !== undefined) return;
    const { method, params, id, result, error } = message as Record<string, unknown>;
    if (typeof method === 'string') {
      const list = Array.isArray(params) ? (params as unknown[]) : [];
      if (id === null || id === undefined) this.options.onNotification(method, list);
      else if (method === 'echo') this.write({ id, result: list, error: null });
      else this.write({ id, result: null, error: { error: 'unknown method' } });
      return;
    }
    const pending = typeof id === 'number' ? this.pending.get(id) : undefined;
    // An answer that came after its timeout has nobody waiting.
    if (pending === undefined) return;
    this.pending.delete(id as number);
    clearTimeout(pending.timer);
    if (error === null || error === undefined) pending.resolve(result);
    else pending.reject(new OvsdbError('ovsdb.refused', describeError(error)));
  }

  private armProbe(): void {
    const { probeIntervalMs } = this.options;
    if (probeIntervalMs === 0) return;
    this.probeTimer = setInterval(() => {
      if (this.probing) {
        this.fail(new OvsdbError('ovsdb.closed', `the server was silent for ${2 * probeIntervalMs} ms`));
        return;
      }
      this.probing = true;
      this.request('echo', [], 2 * probeIntervalMs).catch(() => {});
    }, probeIntervalMs);
    this.probeTimer.unref();
  }

  private fail(reason: OvsdbError): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = reason;
    clearInterval(this.probeTimer);
    this.socket.destroy();
    for (const pending of this.pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(reason);
    }
    this.pending.clear();
    this.options.onClose(reason);
  }
}

/** An error member as text: `{"error": "constraint violation", "details": "…"}` (RFC 7047 section 3.1), or anything else. */
export function describeError(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'error' in error) {
    const details = 'details' in error && typeof error.details === 'string' ? `: ${error.details}` : '';
    return `${String(error.error)}${details}`;
  }
  return typeof error === 'string' ? error : JSON.stringify(error);
}
