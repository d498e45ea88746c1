/** `/v1/tenants`, `/v1/networks`, … : objects with what was asked for and what came of it. */
import Type from 'typebox';
import type { Kind } from '../model/intents.js';
import { type ApiContext, type ApiServer, withAcknowledgements } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import {
  ApplyAnswer,
  COLLECTIONS,
  type Collection,
  DeleteQuery,
  ERRORS,
  NOT_FOUND,
  ObjectView,
  PATH_OF_KIND,
  REFUSALS,
} from './schemas.js';

export async function objectRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { model } = context.backend;

  for (const [collection, kind] of Object.entries(COLLECTIONS) as [Collection, Kind][]) {
    const path = PATH_OF_KIND[kind];
    const names = path.split('/').map((part) => part.slice(1));
    const params = Type.Object(
      Object.fromEntries(names.map((name) => [name, Type.String({ maxLength: 253 })])),
    );
    const idOfParams = (values: unknown): string =>
      names.map((name) => (values as Record<string, string>)[name]).join('/');

    server.get(
      `/v1/${collection}`,
      {
        schema: {
          summary: `All ${collection}, ordered by name`,
          tags: ['objects'],
          querystring: Type.Object({
            tenant: Type.Optional(Type.String({ maxLength: 253, description: 'Only those of this tenant' })),
          }),
          response: { 200: Type.Array(ObjectView), ...ERRORS },
        },
      },
      async ({ query: { tenant } }) => model.list(kind, tenant === undefined ? {} : { tenant }),
    );

    server.get(
      `/v1/${collection}/${path}`,
      {
        schema: {
          summary: `One of the ${collection}`,
          tags: ['objects'],
          params,
          response: { 200: ObjectView, ...ERRORS, ...NOT_FOUND },
        },
      },
      async (request) => {
        const name = idOfParams(request.params);
        return model.get(kind, name) ?? notFound(kind, name);
      },
    );

    server.delete(
      `/v1/${collection}/${path}`,
      {
        schema: {
          summary: `Delete one of the ${collection}`,
          tags: ['objects'],
          params,
          querystring: DeleteQuery,
          response: { 200: ApplyAnswer, ...ERRORS, ...NOT_FOUND, ...REFUSALS },
        },
      },
      async (request) => {
        const name = idOfParams(request.params);
        if (model.get(kind, name) === undefined) notFound(kind, name);
        const { cascade, dryRun } = request.query;
        const result = await withDeadline(
          context.config.requestTimeoutMs,
          `deleting ${kind} ${name}`,
          model.remove([{ kind, name }], { cascade, dryRun }),
        );
        return await withAcknowledgements(context, request.query, result);
      },
    );
  }
}

function notFound(kind: Kind, name: string): never {
  throw new ApiError(404, 'object.not-found', `there is no ${kind} ${name}`, {
    path: `${kind} ${name}`,
    fix: `names of a ${kind} are ${PATH_OF_KIND[kind].replaceAll(':', '')}; list them to see what there is`,
  });
}
