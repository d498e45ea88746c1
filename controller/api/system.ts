/** Status, health, metrics, the log's levels and the event stream. */
import Type from 'typebox';
import { type ApiContext, type ApiServer } from './context.js';
import { ApiError } from './errors.js';
import { PacketQuery, packetFilter } from './packets.js';
import { ERRORS, LogChange, LogLevels, StatusAnswer } from './schemas.js';

export async function systemRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { backend, metrics, log, watch } = context;

  server.get(
    '/v1/status',
    {
      schema: {
        summary: 'Switches, hosts, store: what the controller sees',
        tags: ['system'],
        response: { 200: StatusAnswer, ...ERRORS },
      },
    },
    async () => {
      const notReady = reasons();
      const status = backend.status();
      const listeners = {
        ...status.listeners,
        ...(context.listening === undefined ? {} : { http: context.listening }),
      };
      return { ...status, listeners, ready: notReady.length === 0, notReady };
    },
  );

  server.get(
    '/v1/watch',
    {
      schema: {
        summary: 'Server-sent events of every change; comes back with Last-Event-ID after a break',
        description:
          'Events: `ready` (list now, nothing after this is missed), `reset` (list again, the events since Last-Event-ID ' +
          'are not held any more), `object` {action: changed or deleted, kind, name, object?}, `datapath` and `host` ' +
          '{event, …}. A client that leaves 1 MiB unread is dropped. `packet`, only for those who name it in `types`: packets ' +
          'that defaults deny and rules log or reject (their members: PacketEvent in controller/punt/types.ts); they have no id and do not come ' +
          'again, and a client that is behind gets `lost` {packets} in their place.',
        tags: ['system'],
        querystring: Type.Object({
          types: Type.Optional(
            Type.String({
              pattern: '^(object|datapath|host|packet)(,(object|datapath|host|packet))*$',
              description: 'Only these; default: all but packet',
            }),
          ),
          ...PacketQuery,
        }),
        response: { 200: Type.String({ description: 'text/event-stream' }), ...ERRORS },
      },
    },
    async (request, reply) => {
      if (context.stopping) throw new ApiError(503, 'http.stopping', 'the controller is stopping');
      if (watch.full) {
        throw new ApiError(
          503,
          'http.watchers',
          `${watch.maxWatchers} event streams are open, the most there may be`,
          {
            fix: 'raise http.maxWatchers in the configuration of the controller (taken over at SIGHUP)',
          },
        );
      }
      const { types } = request.query;
      const lastEventId = request.headers['last-event-id'];
      reply.hijack();
      watch.add(reply.raw, {
        ...(types === undefined ? {} : { types: types.split(',') }),
        wantsPacket: packetFilter(request.query),
        ...(typeof lastEventId === 'string' ? { lastEventId } : {}),
      });
    },
  );

  server.get(
    '/healthz',
    { schema: { summary: 'The process answers', tags: ['system'], response: { 200: Type.String() } } },
    async (_request, reply) => reply.type('text/plain').send('ok\n'),
  );

  server.get(
    '/readyz',
    {
      schema: {
        summary: 'The controller can do its work; 503 with the reasons when it cannot',
        tags: ['system'],
        response: { 200: Type.String(), 503: Type.String() },
      },
    },
    async (_request, reply) => {
      const notReady = reasons();
      return reply
        .type('text/plain')
        .status(notReady.length === 0 ? 200 : 503)
        .send(notReady.length === 0 ? 'ready\n' : `${notReady.join('\n')}\n`);
    },
  );

  server.get(
    '/metrics',
    {
      schema: {
        summary: "Metrics in Prometheus' text format",
        tags: ['system'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) => {
      const { contentType, text } = await metrics.scrape();
      return reply.header('content-type', contentType).send(text);
    },
  );

  server.get(
    '/v1/log',
    { schema: { summary: 'Levels of the log', tags: ['system'], response: { 200: LogLevels, ...ERRORS } } },
    async () => log.levels(),
  );

  server.put(
    '/v1/log',
    {
      schema: {
        summary: 'Change a level of the log until the next start or SIGHUP',
        tags: ['system'],
        body: LogChange,
        response: { 200: LogLevels, ...ERRORS },
      },
    },
    async ({ body: { level, component } }) => {
      log.setLevel(level, component);
      context.logger.warn({ event: 'log.level', level, of: component ?? 'all' }, 'level of the log changed');
      return log.levels();
    },
  );

  function reasons(): readonly string[] {
    return context.stopping ? ['the controller is stopping', ...backend.notReady()] : backend.notReady();
  }
}
