import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server, Socket } from 'node:net';
import type { Test } from 'tap';

const ACCEPTED = 'net.server.socket';

/** The servers of this process that accept a connection from now on: to make them fail as the system may. */
export function acceptingServers(t: Test): Set<Server> {
  const servers = new Set<Server>();
  const onAccepted = (message: unknown) => {
    const { socket } = message as { socket: Socket & { server: Server } };
    servers.add(socket.server);
  };
  subscribe(ACCEPTED, onAccepted);
  t.teardown(() => unsubscribe(ACCEPTED, onAccepted));
  return servers;
}
