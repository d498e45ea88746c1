/**
 * What answers HTTP while the controller waits for its store: alive, not ready, and why. The API itself takes the address
 * over as soon as there is state to speak about.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseListenAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';

export interface WaitingRoom {
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects when the address cannot be had. */
export async function openWaitingRoom(config: Config['http'], reason: () => string): Promise<WaitingRoom> {
  const server: Server = createServer({ requestTimeout: config.requestTimeoutMs }, (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else if (path === '/readyz') {
      response.writeHead(503, { 'content-type': 'text/plain' }).end(`${reason()}\n`);
    } else {
      const body = {
        code: 'store.unavailable',
        message: reason(),
        fix: 'bring the store up; the controller goes on by itself',
      };
      response
        .writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' })
        .end(JSON.stringify(body));
    }
  });
  server.maxConnections = config.maxConnections;
  const { host, port } = parseListenAddress(config.listen) ?? { host: '127.0.0.1', port: 9999 };
  await new Promise<void>((resolve, reject) => {
    // Later on, a connection that cannot be accepted: nothing is rejected any more, and the next one may do.
    server.on('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () =>
      await new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
