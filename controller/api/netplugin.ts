/**
 * The HTTP API of contiv's netplugin (August 2015), at the root, so that its client `netdcli` works unchanged.
 *
 * What that client does decides how this must answer (netplugin's netmaster/client/client.go):
 * - it posts `application/json`, takes 200 and only 200 as success, and never reads the body of an error: it shows
 *   `Response status: "<status line>"`. So the reason goes into the reason phrase of the status line, too;
 * - it marshals absent lists as `null` and absent texts as `""`;
 * - it asks for a single object with a doubled slash, `//network/orange` (the server ignores duplicate slashes);
 * - errors are 500 there; a client that tests for that still sees a failure with any status but 200.
 */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ApplyResult, Netplugin } from '../model/types.js';
import type { ApiContext, ApiServer } from './context.js';
import { ApiError, httpError } from './errors.js';
import { withDeadline } from './limits.js';
import { setReason } from './reason.js';
import { ApplyAnswer, ERRORS, REFUSALS } from './schemas.js';

const POSTS = {
  'desired-config': { verb: 'desired', summary: 'The whole truth: what is not in the document goes' },
  'add-config': { verb: 'add', summary: 'Add what the document describes' },
  'del-config': {
    verb: 'del',
    summary:
      'Delete the listed endpoints, networks listed without endpoints, tenants listed without networks',
  },
  'host-bindings-config': { verb: 'bindings', summary: 'Say on which hosts containers live' },
} as const satisfies Record<string, { verb: keyof Netplugin; summary: string }>;

export async function netpluginRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { netplugin } = context.backend.model;

  // Text, because the model's reader gives line numbers. The ancestor, too, took nothing but application/json.
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );

  server.setErrorHandler((error, request, reply) => {
    const { status, body, unexpected } = httpError(error);
    if (unexpected)
      context.logger.error({ event: 'http.failed', url: request.url, err: error }, 'request failed');
    setReason(reply, [body.message, body.path, body.fix].filter((part) => part !== undefined).join('; '));
    return reply.status(status).send(body);
  });

  for (const [path, { verb, summary }] of Object.entries(POSTS)) {
    server.post(
      `/${path}`,
      {
        schema: {
          summary,
          tags: ['netplugin'],
          querystring: Type.Object({ dryRun: Type.Boolean({ default: false }) }),
          'x-request-body': {
            content: { 'application/json': { schema: { description: "netplugin's intent document" } } },
          },
          response: { 200: ApplyAnswer, ...ERRORS, ...REFUSALS },
        },
      },
      async (request): Promise<ApplyResult> => {
        const document = documentOf(request);
        return await withDeadline(
          context.config.requestTimeoutMs,
          `/${path}`,
          netplugin[verb](document, { dryRun: request.query.dryRun }),
        );
      },
    );
  }

  const id = Type.Object({ id: Type.String({ maxLength: 255 }) });
  const answer = (summary: string) => ({
    schema: { summary, tags: ['netplugin'], response: { 200: Type.Array(Type.Unknown()), ...ERRORS } },
  });
  server.get('/networks', answer('All networks'), async () => netplugin.networks());
  server.get('/endpoints', answer('All endpoints'), async () => netplugin.endpoints());
  server.get(
    '/network/:id',
    { schema: { ...answer('One network, as an array').schema, params: id } },
    async (request) => found(netplugin.network(request.params.id), 'network', request.params.id),
  );
  server.get(
    '/endpoint/:id',
    { schema: { ...answer('One endpoint, as an array').schema, params: id } },
    async (request) => found(netplugin.endpoint(request.params.id), 'endpoint', request.params.id),
  );
}

function documentOf(request: FastifyRequest): string {
  if (typeof request.body === 'string' && request.body.trim() !== '') return request.body;
  throw new ApiError(400, 'http.body.empty', 'the request has no body', { fix: 'send a JSON document' });
}

function found<T>(views: readonly T[], what: string, id: string): readonly T[] {
  if (views.length > 0) return views;
  throw new ApiError(404, `${what}.not-found`, `there is no ${what} ${id}`);
}
