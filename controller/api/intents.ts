/** `/v1/apply`, `/v1/diff`, `/v1/delete` and the schema: intents as a person writes them. */
import type { FastifyRequest } from 'fastify';
import { KINDS, type IntentObject, idOf, intentJsonSchema } from '../model/intents.js';
import { type ApplyResult, ModelError, type ObjectRef, type Problem } from '../model/types.js';
import { type ApiContext, type ApiServer, withAcknowledgements } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import {
  ApplyAnswer,
  ApplyQuery,
  DeleteQuery,
  ERRORS,
  Everything,
  Files,
  NOT_FOUND,
  REFUSALS,
  References,
} from './schemas.js';

const YAML_TYPES = ['application/yaml', 'application/x-yaml', 'text/yaml'];

interface ParsedIntents {
  readonly objects: readonly IntentObject[];
  readonly warnings: readonly Problem[];
}

export async function intentRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { model } = context.backend;

  // The text itself is kept: the model's parser gives line numbers for JSON as it does for YAML.
  server.addContentTypeParser(
    ['application/json', ...YAML_TYPES],
    { parseAs: 'string' },
    (_request, body, done) => done(null, body),
  );

  const intentBody = (...others: object[]) => ({
    content: {
      'application/yaml': { schema: { type: 'string', description: 'Intents, several documents in one' } },
      'application/json': {
        schema: {
          anyOf: [{ description: 'One intent, or an array of them (GET /v1/schema)' }, Files, ...others],
        },
      },
    },
  });

  const apply = async (
    request: FastifyRequest,
    { dryRun, mode, file }: { dryRun: boolean; mode: 'add' | 'replace'; file?: string },
  ): Promise<ApplyResult> => {
    const { objects, warnings } = parse(request, file);
    if (objects.length === 0 && mode === 'replace') {
      // An empty file is more often a mistake (a broken pipe, a wrong name) than the wish to delete everything.
      throw new ApiError(
        422,
        'intent.empty',
        'the request holds no objects, and mode=replace would delete all there are',
        {
          fix: 'to delete everything, say so: weft delete --all, or POST /v1/delete with {"all": true}',
        },
      );
    }
    const result = await withDeadline(
      context.config.requestTimeoutMs,
      'applying the intents',
      model.apply(objects, { mode, dryRun }),
    );
    return { ...result, warnings: [...warnings, ...result.warnings] };
  };

  server.post(
    '/v1/apply',
    {
      schema: {
        summary: 'Create and update objects, all or nothing',
        tags: ['intents'],
        querystring: ApplyQuery,
        ...documentedBody(intentBody()),
        response: { 200: ApplyAnswer, ...ERRORS, ...REFUSALS },
      },
    },
    async (request) => {
      const result = await apply(request, request.query);
      return await withAcknowledgements(context, request.query, result);
    },
  );

  server.post(
    '/v1/diff',
    {
      schema: {
        summary: 'What /v1/apply with the same body and mode would do',
        tags: ['intents'],
        querystring: ApplyQuery,
        ...documentedBody(intentBody()),
        response: { 200: ApplyAnswer, ...ERRORS, ...REFUSALS },
      },
    },
    async (request) => await apply(request, { ...request.query, dryRun: true }),
  );

  server.post(
    '/v1/delete',
    {
      schema: {
        summary: 'Delete objects, given as intents, by kind and name, or all there are; all or nothing',
        tags: ['intents'],
        querystring: DeleteQuery,
        ...documentedBody(intentBody(References, Everything)),
        response: { 200: ApplyAnswer, ...ERRORS, ...NOT_FOUND, ...REFUSALS },
      },
    },
    async (request) => {
      const { cascade, dryRun, file } = request.query;
      if (asksForAll(request)) {
        const emptied = model.apply([], { mode: 'replace', dryRun });
        const result = await withDeadline(context.config.requestTimeoutMs, 'deleting everything', emptied);
        return await withAcknowledgements(context, request.query, result);
      }
      const refs =
        references(request) ??
        parse(request, file).objects.map((object) => ({
          kind: object.kind,
          name: idOf(object),
        }));
      if (refs.length === 0) {
        throw new ApiError(422, 'intent.empty', 'the request names no object to delete');
      }
      const result = await withDeadline(
        context.config.requestTimeoutMs,
        'deleting',
        model.remove(refs, { cascade, dryRun }),
      );
      return await withAcknowledgements(context, request.query, result);
    },
  );

  server.get(
    '/v1/schema',
    { schema: { summary: 'JSON Schema of the intents', tags: ['intents'] } },
    async () => intentJsonSchema(),
  );

  function parse(request: FastifyRequest, file: string | undefined): ParsedIntents {
    const text = bodyText(request);
    const isYaml = YAML_TYPES.some((type) => request.headers['content-type']?.startsWith(type));
    const files = isYaml ? undefined : filesOf(text);
    const results = (files ?? [{ name: file, text }]).map(({ name, text: content }) =>
      model.parse(content, {
        ...(name === undefined ? {} : { file: name }),
        ...(files === undefined ? { format: isYaml ? 'yaml' : 'json' } : {}),
      }),
    );
    const problems = results.flatMap((result) => result.problems);
    if (problems.some(({ severity }) => severity === 'error')) throw new ModelError(problems);
    return { objects: results.flatMap((result) => result.objects), warnings: problems };
  }
}

function bodyText(request: FastifyRequest): string {
  if (typeof request.body === 'string') return request.body;
  throw new ApiError(400, 'http.body.empty', 'the request has no body', {
    fix: 'send intents as application/yaml or application/json',
  });
}

/** The bodies differ from the validated kind in that their text is kept, so their schema is for the document only. */
function documentedBody(requestBody: object): { 'x-request-body': object } {
  return { 'x-request-body': requestBody };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the model's parser says what is wrong, and where
  }
}

const member = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && !('kind' in value)
    ? (value as Record<string, unknown>)[name]
    : undefined;

function filesOf(text: string): readonly { name: string | undefined; text: string }[] | undefined {
  const files = member(json(text), 'files');
  if (files === undefined) return undefined;
  const isFile = (file: unknown): file is { name: string; text: string } =>
    typeof member(file, 'name') === 'string' && typeof member(file, 'text') === 'string';
  if (!Array.isArray(files) || files.length === 0 || files.length > 1000 || !files.every(isFile)) {
    throw new ApiError(
      400,
      'http.body.files',
      'files is not an array of 1 to 1000 objects with name and text',
      {
        path: 'files',
      },
    );
  }
  return files;
}

function asksForAll(request: FastifyRequest): boolean {
  const all = member(json(bodyText(request)), 'all');
  if (all !== undefined && all !== true) {
    throw new ApiError(400, 'http.body.all', 'all is not true', {
      path: 'all',
      fix: 'write {"all": true} to delete everything, or name what to delete in refs',
    });
  }
  return all === true;
}

function references(request: FastifyRequest): readonly ObjectRef[] | undefined {
  const refs = member(json(bodyText(request)), 'refs');
  if (refs === undefined) return undefined;
  const isReference = (ref: unknown): ref is ObjectRef =>
    typeof ref === 'object' &&
    ref !== null &&
    (KINDS as readonly unknown[]).includes((ref as ObjectRef).kind) &&
    typeof (ref as ObjectRef).name === 'string';
  if (!Array.isArray(refs) || refs.length > 100_000 || !refs.every(isReference)) {
    throw new ApiError(400, 'http.body.refs', 'refs is not an array of objects with kind and name', {
      path: 'refs',
      fix: `kinds are ${KINDS.join(', ')}; names are tenant, tenant/network or tenant/network/endpoint`,
    });
  }
  return refs;
}
