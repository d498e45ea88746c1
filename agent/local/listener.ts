/** The agent's unix socket: who listens there, and the peers that speak to it. */
import { unlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { listen, type Listener, Peer, type Router } from '../../rpc/index.js';
import { AgentError, messageOf } from '../error.js';
import type { Logger } from '../logger.js';

const MAX_CONNECTIONS = 256;

export interface LocalListener {
  /** Takes nobody new. */
  end(): void;
  /** Ends the connections. */
  close(reason: string): void;
}

/** Serves the router on a unix socket that only its owner may open. Rejects with `agent.running`. */
export async function listenLocally(path: string, router: Router, logger: Logger): Promise<LocalListener> {
  const peers = new Set<Peer>();
  await mkdir(dirname(path), { recursive: true });
  let listener: Listener;
  try {
    listener = await listen(
      { kind: 'unix', path },
      (stream) => {
        const peer = new Peer(stream, {
          router,
          pauseWhileBlocked: true,
          onUnexpected: (error, method) => {
            logger.error({ event: 'local.handler.failed', method, reason: messageOf(error) });
          },
        });
        peers.add(peer);
        peer.onClose(() => peers.delete(peer));
      },
      {
        maxConnections: MAX_CONNECTIONS,
        socketMode: 0o600,
        onError: (error) => {
          logger.error({ event: 'local.listener', reason: messageOf(error) });
        },
      },
    );
  } catch (error) {
    throw new AgentError('agent.running', `cannot serve ${path}: ${messageOf(error)}`, {
      path: 'socket',
      fix: 'stop the other agent, or choose another --socket',
      cause: error,
    });
  }
  return {
    end: () => {
      listener.close();
      try {
        unlinkSync(path);
      } catch {
        // Closing the server removes the file on most versions of Node.
      }
    },
    close: (reason) => {
      for (const peer of peers) peer.close(reason);
    },
  };
}
