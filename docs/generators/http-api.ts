/** docs/http-api.md: every route, from the OpenAPI document that the controller serves. */
import { type OpenApiDocument, type Operation } from '../../controller/api/openapi.js';
import { code, GENERATED, markdownTable } from './markdown.js';

const INTRODUCTION = `# HTTP API

The controller serves it on \`127.0.0.1:9999\` unless told otherwise (\`--http\`); there is no authentication and no TLS, see
[operations](operations.md#security). The same as an OpenAPI 3.1 document: \`GET /docs/json\`, and as a page: \`GET /docs\`.

**Errors** are \`{"code", "message", "path"?, "fix"?, "file"?, "line"?, "problems"?}\`: a dotted code for programs, a sentence
that names the value, where it is, what to do. \`problems\` lists all of them when there are several. When a request is
refused, nothing has been changed.

**Bounds.** Sizes, rates, times and connections are bounded and configurable ([configuration](configuration.md#http)): 413 for
a body too long, 429 for too many requests from one address, 503 for too many event streams or while the store does not
answer, 504 when it is not known whether a change was made.

**Names.** A listener on loopback answers only for \`localhost\` and addresses in the Host header (421 otherwise), so that web
pages cannot reach it by DNS rebinding. Bodies have to be \`application/json\` or \`application/yaml\`, which browsers do not
send to other sites unasked.

**Watching.** \`GET /v1/watch\` is an event stream. Connect, wait for \`ready\`, list, then apply the events that arrive: nothing is
missed. After a break come back with \`Last-Event-ID\`; a \`reset\` says that too much happened meanwhile (or the controller was
restarted), and to list again.

**contiv.** The REST API of contiv 1.x, for its client \`netctl\`; [what becomes of its objects](contiv.md). What is refused is answered with
500 and the reason as plain text, as its client wants it.

**netplugin.** The verbs of contiv's netplugin of August 2015 are served at the root, for its client \`netdcli\`. That client shows
nothing of an error but the status line, so the reason stands there as well.`;

export function httpApiPage({ tags = [], paths = {} }: OpenApiDocument): string {
  return [
    GENERATED("the routes' schemas"),
    INTRODUCTION,
    ...tags.flatMap(({ name, description = '' }) => [
      '',
      `## ${name}`,
      '',
      `${description}.`,
      ...Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods)
          .filter(([, operation]) => operation.tags?.includes(name))
          .flatMap(([method, operation]) => section(method, path, operation)),
      ),
    ]),
    '',
  ].join('\n');
}

function section(method: string, path: string, operation: Operation): string[] {
  const { summary = '', description, parameters = [], requestBody, responses = {} } = operation;
  const rows = parameters.map(
    ({ name, in: place, schema = {}, description: text = schema.description ?? '' }) => {
      const type = schema.enum?.map((value) => code(String(value))).join(', ') ?? schema.type ?? '';
      return [
        code(name),
        place,
        type,
        schema.default === undefined ? '' : code(String(schema.default)),
        text,
      ];
    },
  );
  const bodies = Object.keys(requestBody?.content ?? {});
  const statuses = Object.keys(responses).join(', ');
  return [
    '',
    `### ${method.toUpperCase()} ${path}`,
    '',
    `${summary}.${description === undefined ? '' : ` ${description}`}`,
    ...(bodies.length === 0 ? [] : ['', `Body: ${bodies.map(code).join(' or ')}.`]),
    ...(rows.length === 0
      ? []
      : ['', markdownTable(['parameter', 'in', 'type', 'default', 'meaning'], rows)]),
    '',
    `Statuses: ${statuses === '' ? '200' : statuses}.`,
  ];
}
