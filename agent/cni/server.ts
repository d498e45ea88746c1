/**
 * The operations of a CNI plugin as HTTP on a unix socket: `POST /cni` with the environment as headers (`cni-containerid` for
 * `CNI_CONTAINERID`) and standard input as body. 200 answers what is to be printed; anything else has the error to be printed,
 * and the plugin fails.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from '../logger.js';
import { serveUnixHttp, type UnixHttp } from '../unix-http.js';
import { type CniRequest, ENVIRONMENT } from './configuration.js';
import { cniErrorOf } from './errors.js';
import type { CniPlugin } from './plugin.js';
import { CNI_VERSIONS, CniCode, CniError, errorResult } from './protocol.js';

const NEWEST = CNI_VERSIONS[CNI_VERSIONS.length - 1] ?? '';

/** Rejects with `agent.running`. */
export function serveCni(path: string, plugin: CniPlugin, logger: Logger): Promise<UnixHttp> {
  return serveUnixHttp({ path }, (server) => registerRoutes(server, plugin, logger));
}

function registerRoutes(server: FastifyInstance, plugin: CniPlugin, logger: Logger): void {
  server.setErrorHandler((error, request, reply) => {
    const refused = errorOf(error);
    const environment = environmentOf(request);
    const { CNI_COMMAND: command, CNI_CONTAINERID: containerId } = environment;
    const { cniCode, message, details } = refused;
    // Asking for the state is no event, whatever it is.
    if (command !== 'STATUS')
      logger.warn({ event: 'cni.failed', command, containerId, cniCode, reason: message, details });
    void reply.code(500).send(errorResult(versionOf(request), refused));
  });
  server.post('/cni', async (request, reply) => {
    const environment = environmentOf(request);
    const begun = performance.now();
    const answer = await plugin.run({ environment, configuration: request.body ?? {} });
    const { CNI_COMMAND: command, CNI_CONTAINERID: containerId } = environment;
    const ms = Math.round(performance.now() - begun);
    logger.debug({ event: 'cni.done', command, containerId, ms });
    return answer ?? reply.send('');
  });
}

/** Headers hold bytes, which Node takes for Latin-1. */
function environmentOf({ headers }: FastifyRequest): CniRequest['environment'] {
  const given = ENVIRONMENT.flatMap((name) => {
    const value = headers[name.toLowerCase().replace('_', '-')];
    return typeof value === 'string' && value !== ''
      ? [[name, Buffer.from(value, 'latin1').toString('utf8')]]
      : [];
  });
  return Object.fromEntries(given) as CniRequest['environment'];
}

function errorOf(error: unknown): CniError {
  const { statusCode } = error as { statusCode?: number };
  if (statusCode !== undefined && statusCode < 500) {
    const why = error instanceof Error ? error.message : String(error);
    return new CniError(CniCode.undecodable, `network configuration: ${why}`);
  }
  return cniErrorOf(error, 'weft');
}

/** An error is in the version of the configuration, as far as that can be read. */
function versionOf({ body }: FastifyRequest): string {
  const { cniVersion } = (body ?? {}) as { cniVersion?: unknown };
  return (CNI_VERSIONS as readonly unknown[]).includes(cniVersion) ? String(cniVersion) : NEWEST;
}
