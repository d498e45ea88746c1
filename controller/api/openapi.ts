/** The OpenAPI 3.1 document at `/docs/json`, made from the routes' schemas, and a page that shows it at `/docs`. */
import swagger from '@fastify/swagger';
import type { ApiServer } from './context.js';

export interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, unknown>> };
  readonly responses?: Readonly<Record<string, { readonly description?: string }>>;
}

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly description?: string;
}

export interface OpenApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** To be registered before the routes. */
export async function registerOpenApi(server: ApiServer, version: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Weft',
        version,
        description:
          'Central OpenFlow 1.3 controller for container, VM and bare-metal networks on Open vSwitch. ' +
          'Errors are `{code, message, path?, fix?, line?, problems?}`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'intents', description: 'What should exist' },
        { name: 'objects', description: 'What exists' },
        { name: 'policy', description: 'What becomes of packets' },
        { name: 'system', description: 'How it is going' },
        { name: 'netplugin', description: "The HTTP API of contiv's netplugin, for its client netdcli" },
        { name: 'contiv', description: 'The REST API of contiv 1.x, for its client netctl' },
      ],
    },
    transform: ({ schema, url }) => ({
      schema: (schema ?? {}) as Record<string, unknown>,
      url,
    }),
    transformObject: (document) => {
      const openapi = ('openapiObject' in document ? document.openapiObject : {}) as Record<string, unknown>;
      return withRequestBodies(openapi);
    },
  });
}

/** Moves `x-request-body` of each operation, which says what a body parsed by hand is, to where it belongs. */
function withRequestBodies(document: Record<string, unknown>): Record<string, unknown> {
  const paths = (document['paths'] ?? {}) as Record<string, Record<string, Record<string, unknown>>>;
  for (const operations of Object.values(paths)) {
    for (const operation of Object.values(operations)) {
      const requestBody = operation['x-request-body'];
      if (requestBody === undefined) continue;
      delete operation['x-request-body'];
      operation['requestBody'] = { required: true, ...(requestBody as object) };
    }
  }
  return document;
}

/** To be registered after the routes. */
export async function openApiRoutes(server: ApiServer): Promise<void> {
  server.get('/docs/json', { schema: { hide: true } }, async () => server.swagger());
  server.get('/docs', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header(
        'content-security-policy',
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      )
      .send(page(server.swagger() as unknown as OpenApiDocument)),
  );
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const html = (text: string): string =>
  text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? character);
/** Text with `code` in backquotes. */
const prose = (text: string): string => html(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function page({ info, tags = [], paths = {} }: OpenApiDocument): string {
  const sections = tags.map(({ name, description = '' }) => {
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, operation]) => operation.tags?.includes(name))
        .map(([method, operation]) => operationHtml(method, path, operation)),
    );
    return `<h2 id="${html(name)}">${html(name)}</h2><p>${prose(description)}</p>${operations.join('')}`;
  });
  const links = tags.map(({ name }) => `<a href="#${html(name)}">${html(name)}</a>`).join(' · ');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${html(info.title)} API</title><style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,.path{font-family:ui-monospace,monospace}
details{border:1px solid #8884;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}
.method{display:inline-block;width:4.5rem;font-weight:600}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8884;padding:.3rem .5rem;text-align:left;vertical-align:top}
</style></head><body>
<h1>${html(info.title)} API <small>${html(info.version)}</small></h1>
<p>${prose(info.description ?? '')}</p>
<p>${links} · <a href="/docs/json">OpenAPI 3.1 document</a> · <a href="/v1/schema">JSON Schema of the intents</a></p>
${sections.join('\n')}
</body></html>
`;
}

function operationHtml(method: string, path: string, operation: Operation): string {
  const { summary = '', description, parameters = [], requestBody, responses = {} } = operation;
  const parameterRows = parameters.map(
    ({ name, in: place, schema = {}, description: text = schema.description ?? '' }) => {
      const type = schema.enum?.join(' | ') ?? schema.type ?? '';
      const byDefault = schema.default === undefined ? '' : `, default ${String(schema.default)}`;
      return `<tr><td><code>${html(name)}</code></td><td>${html(place)}</td><td>${html(type + byDefault)}</td><td>${prose(text)}</td></tr>`;
    },
  );
  const answers = Object.entries(responses).map(
    ([status, { description: text = '' }]) =>
      `<tr><td>${html(status)}</td><td>${prose(text === 'Default Response' ? 'Success' : text)}</td></tr>`,
  );
  const body = Object.keys(requestBody?.content ?? {});
  return `<details><summary><span class="method">${html(method.toUpperCase())}</span><span class="path">${html(path)}</span>
 ${prose(summary)}</summary>
${description === undefined ? '' : `<p>${prose(description)}</p>`}
${body.length === 0 ? '' : `<p>Body: ${body.map((type) => `<code>${html(type)}</code>`).join(', ')}</p>`}
${parameterRows.length === 0 ? '' : `<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>${parameterRows.join('')}</table>`}
<table><tr><th>Status</th><th></th></tr>${answers.join('')}</table></details>`;
}
