/**
 * The HTTP API: fastify, with every size, rate, time and number of connections bounded, and errors that say what is
 * wrong, where, and what to do about it.
 */
import type { AddressInfo } from 'node:net';
import { fastify, type InjectOptions, type LightMyRequestResponse } from 'fastify';
import { formatListenAddress, isLoopback, parseListenAddress } from '../config/address.js';
import type { Config } from '../config/schema.js';
import type { Log } from '../log.js';
import type { MetricFamily, Metrics } from '../metrics.js';
import type { ApiBackend } from './backend.js';
import type { ApiContext, ApiServer, TypeProvider } from './context.js';
import { ApiError, httpError } from './errors.js';
import { contivRoutes } from './contiv/index.js';
import { fabricRoutes } from './fabric.js';
import { kubernetesRoutes } from './kubernetes.js';
import { intentRoutes } from './intents.js';
import { namesLoopback, RequestRate } from './limits.js';
import { multicastRoutes } from './multicast.js';
import { netpluginRoutes } from './netplugin.js';
import { objectRoutes } from './objects.js';
import { openApiRoutes, registerOpenApi } from './openapi.js';
import { packetRoutes } from './packets.js';
import { systemRoutes } from './system.js';
import { traceRoutes } from './trace.js';
import { WatchHub } from './watch.js';
import { publishChanges } from './changes.js';

export interface ApiOptions {
  readonly backend: ApiBackend;
  readonly config: Config['http'];
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface Api {
  /** The address it listens on, with the real port. */
  listen(): Promise<string>;
  /** Takes over what may change while running: rates and numbers. */
  reconfigure(config: Config['http']): void;
  /** Refuses new work, ends the event streams, lets requests under way finish, then closes. */
  close(): Promise<void>;
  /** A request without a socket, for tests. */
  inject(request: InjectOptions | string): Promise<LightMyRequestResponse>;
}

/** Requests under way are given this long at the end. */
const DRAIN_MS = 5_000;

export async function createApi({ backend, config, log, metrics }: ApiOptions): Promise<Api> {
  const logger = log.component('http');
  const { controllerId, version } = backend.status();
  const watch = new WatchHub({ controllerId, maxWatchers: config.maxWatchers });
  const context: ApiContext = { backend, config, log, logger, metrics, watch, stopping: false };
  const rate = new RequestRate(config.requestsPerSecond);
  const listenOn = parseListenAddress(config.listen) ?? { host: '127.0.0.1', port: 9999 };
  const loopback = isLoopback(listenOn.host);

  const server: ApiServer = fastify({
    bodyLimit: config.maxBodyBytes,
    requestTimeout: config.requestTimeoutMs,
    keepAliveTimeout: 60_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: true,
    http: { maxHeaderSize: 16_384 },
    // netplugin's client asks for //network/orange
    routerOptions: { ignoreDuplicateSlashes: true, ignoreTrailingSlash: true, maxParamLength: 512 },
    // response schemas describe; they must not silently drop members that they do not name
    serializerOpts: {},
    ajv: { customOptions: { coerceTypes: 'array', removeAdditional: false } },
  }).withTypeProvider<TypeProvider>();
  server.setSerializerCompiler(() => (value) => (typeof value === 'string' ? value : JSON.stringify(value)));
  // Browsers send text/plain to other sites unasked; nothing here may take it.
  server.removeContentTypeParser('text/plain');
  server.server.maxConnections = config.maxConnections;
  server.server.headersTimeout = Math.min(config.requestTimeoutMs, 20_000);

  const counts = new RequestCounts();
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    if (loopback && !namesLoopback(request.headers.host)) {
      throw new ApiError(
        421,
        'http.host',
        `this listener does not answer for host ${request.headers.host ?? ''}`,
        {
          fix: 'use http://127.0.0.1 or http://localhost, or have the controller listen on another address (--http)',
        },
      );
    }
    if (!rate.take(request.ip)) {
      reply.header('retry-after', '1');
      throw new ApiError(
        429,
        'http.rate',
        `more than ${rate.perSecond} requests per second from ${request.ip}`,
        {
          fix: 'wait a second, or raise http.requestsPerSecond in the configuration of the controller',
        },
      );
    }
    if (context.stopping && request.method !== 'GET' && request.method !== 'HEAD') {
      throw new ApiError(503, 'http.stopping', 'the controller is stopping');
    }
  });
  server.addHook('onResponse', async (request, reply) => {
    const { method, url, ip } = request;
    const route = request.routeOptions.url ?? 'unknown';
    counts.count(method, route, reply.statusCode, reply.elapsedTime / 1000);
    const line = {
      event: 'http.request',
      method,
      url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      ip,
    };
    if (method === 'GET' || method === 'HEAD') logger.debug(line, 'request');
    else logger.info(line, 'request');
  });
  server.setErrorHandler((error, request, reply) => {
    const { status, body, unexpected } = httpError(error);
    if (unexpected) logger.error({ event: 'http.failed', url: request.url, err: error }, 'request failed');
    return reply.status(status).send(body);
  });
  server.setNotFoundHandler((request, reply) =>
    reply.status(404).send({
      code: 'http.not-found',
      message: `there is nothing at ${request.method} ${request.url}`,
      fix: 'GET /docs lists what there is',
    }),
  );

  await registerOpenApi(server, version);
  await server.register(async (scope) => await intentRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await netpluginRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await contivRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await objectRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await systemRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await packetRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await multicastRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await fabricRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await kubernetesRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await traceRoutes(scope as ApiServer, context));
  await server.register(async (scope) => await openApiRoutes(scope as ApiServer));
  metrics.addSource(() => [...backend.metrics(), ...counts.families(), ...watchFamilies(watch)]);
  const stopPublishing = publishChanges(backend, watch);
  await server.ready();

  return {
    async listen() {
      await server.listen({ host: listenOn.host, port: listenOn.port, backlog: 511 });
      server.server.on('error', (err) => {
        logger.error({ event: 'http.listener', err }, `a client could not connect: ${err.message}`);
      });
      const { address, port } = server.server.address() as AddressInfo;
      const at = formatListenAddress({ host: address, port });
      context.listening = at;
      if (!loopback) {
        logger.warn(
          { event: 'http.exposed', address: at },
          `the HTTP API listens on ${at} without TLS and without authentication: whoever reaches it controls every network`,
        );
      }
      return at;
    },
    reconfigure(to) {
      rate.perSecond = to.requestsPerSecond;
      watch.maxWatchers = to.maxWatchers;
    },
    async close() {
      context.stopping = true;
      stopPublishing();
      watch.close();
      const force = setTimeout(() => server.server.closeAllConnections(), DRAIN_MS);
      force.unref();
      await server.close();
      clearTimeout(force);
    },
    inject: async (request) => await server.inject(request),
  };
}

/** Requests by route, never by URL: the number of time series must not be the clients' to choose. */
class RequestCounts {
  readonly #counts = new Map<string, { labels: Record<string, string>; requests: number; seconds: number }>();

  count(method: string, route: string, status: number, seconds: number): void {
    const key = `${method} ${route} ${status}`;
    let entry = this.#counts.get(key);
    if (entry === undefined) {
      entry = { labels: { method, route, status: String(status) }, requests: 0, seconds: 0 };
      this.#counts.set(key, entry);
    }
    entry.requests++;
    entry.seconds += seconds;
  }

  families(): MetricFamily[] {
    const entries = [...this.#counts.values()];
    const labels = ['method', 'route', 'status'];
    return [
      {
        name: 'weft_http_requests_total',
        help: 'HTTP requests answered',
        type: 'counter',
        labels,
        samples: entries.map((entry) => ({ labels: entry.labels, value: entry.requests })),
      },
      {
        name: 'weft_http_request_seconds_total',
        help: 'Time spent on HTTP requests',
        type: 'counter',
        labels,
        samples: entries.map((entry) => ({ labels: entry.labels, value: entry.seconds })),
      },
    ];
  }
}

function watchFamilies(watch: WatchHub): MetricFamily[] {
  return [
    {
      name: 'weft_watchers',
      help: 'Event streams open',
      type: 'gauge',
      samples: [{ value: watch.watchers }],
    },
    {
      name: 'weft_watchers_dropped_total',
      help: 'Event streams closed because the client did not read',
      type: 'counter',
      samples: [{ value: watch.dropped }],
    },
    {
      name: 'weft_watch_packets_lost_total',
      help: 'Packets of policy that event streams lost',
      type: 'counter',
      samples: [{ value: watch.lostPackets }],
    },
    {
      name: 'weft_watch_events_total',
      help: 'Events handed to event streams',
      type: 'counter',
      samples: [{ value: watch.published }],
    },
  ];
}
