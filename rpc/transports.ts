/**
 * Where streams come from: TCP and unix sockets. A peer runs on any Duplex, so TLS becomes a third kind of address here
 * (`tls:HOST:PORT`, node:tls in place of node:net) and nothing above changes.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import {
  connect as connectSocket,
  createServer,
  type ListenOptions as BindOptions,
  type Server,
  type Socket,
} from 'node:net';
import { RpcError, ErrorCode } from './error.js';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * `HOST:PORT`, `[IPV6]:PORT`, `:PORT` or `HOST`, each with or without `tcp:` in front, or `unix:PATH`. An empty host is
 * loopback.
 */
export function parseAddress(text: string, defaultPort?: number): Address {
  if (text.startsWith('unix:') && text.length > 'unix:'.length) {
    return { kind: 'unix', path: text.slice('unix:'.length) };
  }
  const rest = text.startsWith('tcp:') ? text.slice('tcp:'.length) : text;
  const parts = /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[^:\s/[\]]*))(?::(?<port>\d{1,5}))?$/.exec(
    rest,
  )?.groups;
  const port = parts?.['port'] === undefined ? defaultPort : Number(parts['port']);
  if (parts === undefined || port === undefined || port > 65_535 || text.startsWith('tls:')) {
    throw new RpcError(ErrorCode.invalidParams, 'rpc.address', `${text} is no address`, {
      fix: 'write HOST:PORT, [IPV6]:PORT or unix:PATH',
    });
  }
  return { kind: 'tcp', host: parts['ipv6'] ?? (parts['name'] || '127.0.0.1'), port };
}

export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Whether a listener here can be reached from other machines. */
export function isLoopback(address: Address): boolean {
  return address.kind === 'unix' || /^(127\.|::1$|localhost$)/.test(address.host);
}

/** Resolves when connected, with Nagle's algorithm off and keep-alive on; rejects with the system's error. */
export function connect(address: Address, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      address.kind === 'unix'
        ? connectSocket({ path: address.path })
        : connectSocket({ host: address.host, port: address.port });
    const onAbort = () => {
      socket.destroy(new RpcError(ErrorCode.cancelled, 'rpc.cancelled', 'connecting was cancelled'));
    };
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      signal?.removeEventListener('abort', onAbort);
      prepare(socket);
      resolve(socket);
    });
  });
}

/** Waiting connections that the kernel keeps: all agents come at once after a restart of their controller. */
const BACKLOG = 4096;

export interface Listener {
  /** The address in use: the port that was chosen when 0 was asked for. */
  readonly address: Address;
  /** Takes no new connection. Those that are there live on. */
  close(): void;
}

export interface ListenOptions {
  readonly maxConnections: number;
  /** Of a socket file. Default 0o660. */
  readonly socketMode?: number;
  /** A connection could not be accepted (no descriptor is left, say); the listener goes on. */
  readonly onError?: (error: Error) => void;
}

/** Listens. A socket file that a dead process left behind is replaced; one that answers is not. */
export async function listen(
  address: Address,
  onConnection: (socket: Socket) => void,
  options: ListenOptions,
): Promise<Listener> {
  const server = createServer((socket) => {
    prepare(socket);
    onConnection(socket);
  });
  server.maxConnections = options.maxConnections;
  const onError = (error: Error) => options.onError?.(error);
  if (address.kind === 'tcp') {
    await bind(server, { host: address.host, port: address.port, backlog: BACKLOG });
    server.on('error', onError);
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
    return { address: { ...address, port }, close: () => void server.close() };
  }
  try {
    await bind(server, { path: address.path, backlog: BACKLOG });
  } catch (error) {
    if (!isInUse(error) || !(await isLeftOver(address.path))) throw error;
    await unlink(address.path);
    await bind(server, { path: address.path, backlog: BACKLOG });
  }
  server.on('error', onError);
  await chmod(address.path, options.socketMode ?? 0o660);
  return { address, close: () => void server.close() };
}

function prepare(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 15_000);
}

function bind(server: Server, where: BindOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

/** A socket file that nobody listens on. */
async function isLeftOver(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  try {
    (await connect({ kind: 'unix', path })).destroy();
    return false;
  } catch {
    return true;
  }
}
