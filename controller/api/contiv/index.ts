/**
 * The REST API of contiv 1.x, so that its client `netctl` works unchanged. `POST` and `PUT` of `/api/v1/<collection>/<key>/` create or
 * change, `DELETE` deletes, `GET` lists and shows, `/api/v1/inspect/<collection>/<key>/` tells more. Keys are names joined by `:`.
 */
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ApiContext, ApiServer } from '../context.js';
import { ApiError } from '../errors.js';
import { withDeadline } from '../limits.js';
import { ABSENT_KINDS } from './absent.js';
import { plainError, Refusal, sendError } from './answers.js';
import { global } from './globals.js';
import { OBJECT_KINDS } from './objects.js';
import { endpointOper, findEndpoint } from './operational.js';
import { rule } from './rules.js';
import { Snapshot } from './snapshot.js';
import type { ContivKind, Key, Members } from './types.js';

const KINDS: readonly ContivKind[] = [...OBJECT_KINDS, rule, global, ...ABSENT_KINDS];

const TAGS = ['contiv'];
const KeyParameter = Type.Object({
  key: Type.String({ maxLength: 765, description: 'Names joined by `:`, `default:net1`' }),
});
const ObjectAnswer = Type.Object({}, { description: 'The object as contiv has it' });
const RESPONSES = {
  200: ObjectAnswer,
  500: Type.String({ description: 'Refused; the reason as plain text' }),
};

export async function contivRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { model } = context.backend;

  // Its client sends JSON without saying so. A page of another site could do that, too (fetch with a Blob that has no type), but not
  // without its browser telling where the page is from.
  server.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const { 'content-type': type, origin, 'sec-fetch-site': site } = request.headers;
    if (type !== undefined || origin !== undefined || site !== undefined)
      done(new ApiError(415, 'http.media-type', 'the body is not application/json'), undefined);
    else parseJson(String(body), done);
  });

  server.setErrorHandler((error, request, reply) => {
    const plain = plainError(error);
    if (plain.unexpected)
      context.logger.error({ event: 'http.failed', url: request.url, err: error }, 'request failed');
    return sendError(reply, plain);
  });

  for (const kind of KINDS) kindRoutes(server, context, kind);

  server.get(
    '/api/v1/inspect/endpoints/:key',
    {
      schema: {
        summary: 'An endpoint, by name or by the id of its container, or a part of them',
        tags: TAGS,
        params: KeyParameter,
        response: RESPONSES,
      },
    },
    async ({ params: { key } }) => {
      const snapshot = new Snapshot(model);
      const endpoint = findEndpoint(snapshot, key);
      if (endpoint === undefined) throw notFound('endpoint', key);
      return { Oper: endpointOper(snapshot, endpoint) };
    },
  );

  server.get(
    '/version',
    { schema: { summary: 'For netctl version', tags: TAGS, response: { 200: ObjectAnswer } } },
    async () => ({ Version: `weft ${context.backend.status().version}`, GitCommit: '', BuildTime: '' }),
  );
}

function kindRoutes(server: ApiServer, context: ApiContext, kind: ContivKind): void {
  const { model } = context.backend;
  const { collection, word, schema } = kind;
  const path = `/api/v1/${collection}/:key`;
  const route = (summary: string) => ({ summary, tags: TAGS, params: KeyParameter, response: RESPONSES });

  const shown = (snapshot: Snapshot, key: string): Members => {
    const found = kind.get(snapshot, partsOf(kind, key));
    if (found === undefined) throw notFound(word, key);
    return found;
  };

  server.get(
    `/api/v1/${collection}`,
    {
      schema: {
        summary: `All ${collection} of contiv`,
        tags: TAGS,
        response: { 200: Type.Array(ObjectAnswer) },
      },
    },
    async () => kind.list(new Snapshot(model)),
  );

  server.get(path, { schema: route(`One of the ${collection}`) }, async ({ params: { key } }) =>
    shown(new Snapshot(model), key),
  );

  for (const method of ['POST', 'PUT'] as const) {
    server.route({
      method,
      url: path,
      schema: { ...route(`Create or change one of the ${collection}`), body: schema },
      handler: async (request: FastifyRequest) => {
        const { key } = request.params as { key: string };
        const parts = partsOf(kind, key);
        const body = named(kind, parts, request.body as Members);
        const intents = kind.intents(new Snapshot(model), body);
        const applied = model.apply(intents, { mode: 'add' });
        await withDeadline(context.config.requestTimeoutMs, `${word} ${key}`, applied);
        return shown(new Snapshot(model), key);
      },
    });
  }

  server.delete(path, { schema: route(`Delete one of the ${collection}`) }, async (request, reply) => {
    const { key } = request.params;
    shown(new Snapshot(model), key);
    const removed = model.remove(kind.refs(partsOf(kind, key)));
    await withDeadline(context.config.requestTimeoutMs, `deleting ${word} ${key}`, removed);
    return await reply.type('application/json').send(JSON.stringify(key));
  });

  server.get(
    `/api/v1/inspect/${collection}/:key`,
    { schema: route(`One of the ${collection}, and what is known of it`) },
    async ({ params: { key } }) => {
      const snapshot = new Snapshot(model);
      const oper = kind.operational?.(snapshot, partsOf(kind, key));
      return { Config: shown(snapshot, key), ...(oper === undefined ? {} : { Oper: oper }) };
    },
  );
}

function partsOf({ word, keyMembers }: ContivKind, key: string): Key {
  const parts = key.split(':');
  if (parts.length === keyMembers.length && parts.every((part) => part !== '')) return parts;
  throw new Refusal('key', `${word}: "${key}" is no key`, `keys are ${keyMembers.join(':')}`);
}

/** The body, which has to name the object that the key does. */
function named({ word, keyMembers }: ContivKind, parts: Key, body: Members): Members {
  for (const [index, member] of keyMembers.entries()) {
    if (body[member] === parts[index]) continue;
    throw new Refusal(
      'key',
      `${word} ${parts.join(':')}: ${member} is ${JSON.stringify(body[member] ?? '')} in the body`,
      'name the same object in the path and in the body',
    );
  }
  return body;
}

const notFound = (word: string, key: string): Refusal => new Refusal('not-found', `${word} ${key} not found`);

function parseJson(text: string, done: (error: Error | null, body?: unknown) => void): void {
  try {
    done(null, JSON.parse(text));
  } catch {
    done(new ApiError(400, 'http.body.json', 'the request body is not JSON'));
  }
}
