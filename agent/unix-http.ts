/**
 * HTTP on a unix socket, as Docker's plugins and the CNI front speak it. What the routes mean is the business of who registers them.
 */
import { connect } from 'node:net';
import { chmod, mkdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import fastify, { type FastifyInstance } from 'fastify';
import { AgentError, messageOf } from './error.js';

export interface UnixHttp {
  /** Takes nobody new, lets running requests finish, and removes the socket. */
  close(): Promise<void>;
}

export interface UnixHttpOptions {
  readonly path: string;
  /** Of the socket's file (default 0600). */
  readonly mode?: number;
  /** Largest body, bytes (default 1 MiB). */
  readonly bodyLimit?: number;
}

/**
 * Serve `routes` at a path. Bodies are JSON whatever their content type says (Docker sends none, or one of its own), and an empty body is
 * an empty object. A socket file that nobody answers at, left by a kill, is replaced.
 *
 * Rejects with `agent.running` when another process serves the path, or it cannot be made.
 */
export async function serveUnixHttp(
  options: UnixHttpOptions,
  routes: (server: FastifyInstance) => void,
): Promise<UnixHttp> {
  const { path, mode = 0o600, bodyLimit = 2 ** 20 } = options;
  const server = fastify({ bodyLimit, forceCloseConnections: 'idle' });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? {} : JSON.parse(String(body)));
    } catch (error) {
      done(Object.assign(new Error(`the body is no JSON: ${messageOf(error)}`), { statusCode: 400 }));
    }
  });
  routes(server);
  try {
    await mkdir(dirname(path), { recursive: true });
    if (await answers(path)) throw new Error('another process answers there');
    await unlink(path).catch(() => undefined);
    await server.listen({ path });
    await chmod(path, mode);
  } catch (error) {
    await server.close();
    throw new AgentError('agent.running', `cannot serve ${path}: ${messageOf(error)}`, {
      fix: 'stop the other agent, or choose another path',
      cause: error,
    });
  }
  return { close: () => server.close() };
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}
