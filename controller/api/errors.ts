/** How errors leave over HTTP: `{code, message, path?, fix?, line?, problems?}` with a status that fits. */
import type { FastifyError } from 'fastify';
import Type, { type Static } from 'typebox';

export const ProblemBody = Type.Object({
  severity: Type.Optional(Type.Union([Type.Literal('error'), Type.Literal('warning')])),
  code: Type.String({ description: 'Dotted and stable, for programs: `network.subnet.exhausted`' }),
  message: Type.String({ description: 'A complete sentence that names the value' }),
  path: Type.Optional(Type.String({ description: 'Where: object and member, setting or parameter' })),
  fix: Type.Optional(Type.String({ description: 'What to do about it' })),
  file: Type.Optional(Type.String()),
  line: Type.Optional(Type.Integer({ description: 'Counted from 1, where the request was a text' })),
  column: Type.Optional(Type.Integer()),
});
export type ProblemBody = Static<typeof ProblemBody>;

export const ErrorBody = Type.Object(
  {
    ...ProblemBody.properties,
    problems: Type.Optional(
      Type.Array(ProblemBody, { description: 'All of them, when there is more than the first or a warning' }),
    ),
  },
  { description: 'The request was refused; nothing has been changed' },
);
export type ErrorBody = Static<typeof ErrorBody>;

/** An error of the API itself. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly path?: string;
  readonly fix?: string;

  constructor(
    readonly statusCode: number,
    readonly code: string,
    message: string,
    detail: { path?: string; fix?: string } = {},
  ) {
    super(message);
    if (detail.path !== undefined) this.path = detail.path;
    if (detail.fix !== undefined) this.fix = detail.fix;
  }
}

/** What errors of our own look like, whichever room they come from. */
interface CodedError extends Error {
  readonly code: string;
  readonly path?: string;
  readonly fix?: string;
  readonly problems?: readonly ProblemBody[];
}

const isCoded = (error: unknown): error is CodedError =>
  error instanceof Error && /^[a-z]+(\.[a-zA-Z0-9-]+)+$/.test((error as Partial<CodedError>).code ?? '');

export interface HttpError {
  readonly status: number;
  readonly body: ErrorBody;
  /** Something of ours broke: to be logged with its stack, not shown. */
  readonly unexpected: boolean;
}

/** Every error as status and body. Only errors with a code of ours are shown as they are. */
export function httpError(error: unknown): HttpError {
  if (error instanceof ApiError) return known(error.statusCode, error);
  if (isCoded(error)) return known(statusOf(error.code), error);
  const fastifyError = error as Partial<FastifyError>;
  if (fastifyError.validation !== undefined)
    return { status: 400, body: validationBody(fastifyError), unexpected: false };
  const parser = PARSER_ERRORS[fastifyError.code ?? ''];
  if (parser !== undefined) return { status: parser.status, body: parser.body, unexpected: false };
  const status = fastifyError.statusCode;
  if (status !== undefined && status >= 400 && status < 500) {
    const message = fastifyError.message ?? 'the request cannot be answered';
    return { status, body: { code: 'http.request', message }, unexpected: false };
  }
  return {
    status: 500,
    body: {
      code: 'internal',
      message: 'the controller failed at this request',
      fix: "see the controller's log",
    },
    unexpected: true,
  };
}

function known(status: number, error: CodedError): HttpError {
  const { code, message, path, fix, problems } = error;
  const first = problems?.find((problem) => problem.severity === 'error') ?? problems?.[0];
  const position = {
    ...(first?.file === undefined ? {} : { file: first.file }),
    ...(first?.line === undefined ? {} : { line: first.line }),
    ...(first?.column === undefined ? {} : { column: first.column }),
  };
  const body: ErrorBody = {
    code,
    message: first?.message ?? message,
    ...(path === undefined ? {} : { path }),
    ...(fix === undefined ? {} : { fix }),
    ...position,
    ...(problems !== undefined && problems.length > 1 ? { problems: [...problems] } : {}),
  };
  return { status, body, unexpected: false };
}

/** Last parts of codes of the model that say: what is asked for is in order, what there is already stands against it. */
const CONFLICTS = new Set(['used', 'taken', 'overlap', 'exhausted', 'attached', 'claimed', 'elsewhere']);

/** Status of an error of the model or the store. */
function statusOf(code: string): number {
  if (code.startsWith('store.')) return code === 'store.too-large' ? 413 : 503;
  const [subject, reason] = [code.slice(0, code.indexOf('.')), code.slice(code.lastIndexOf('.') + 1)];
  if (reason === 'syntax' && (subject === 'intent' || subject === 'document')) return 400;
  // Only the object that was asked for itself: an intent that names an unknown one is refused as it stands.
  if (code === 'object.unknown' || code === 'object.not-found') return 404;
  return CONFLICTS.has(reason) ? 409 : 422;
}

function validationBody(error: Partial<FastifyError>): ErrorBody {
  const { validationContext = 'request', validation = [] } = error;
  const problem = validation[0];
  const path = `${validationContext}${(problem?.instancePath ?? '').replaceAll('/', '.')}`;
  const allowed =
    (problem?.params as { allowedValues?: unknown[]; allowedValue?: unknown } | undefined) ?? {};
  const choices = validation
    .map(({ params }) => params['allowedValue'])
    .filter((value) => value !== undefined);
  const list = allowed.allowedValues ?? (choices.length > 0 ? choices : undefined);
  return {
    code: 'http.parameter',
    message: `${path} ${problem?.message ?? 'is not valid'}`,
    path,
    ...(list === undefined ? {} : { fix: `one of: ${list.join(', ')}` }),
  };
}

const PARSER_ERRORS: Readonly<Record<string, { status: number; body: ErrorBody } | undefined>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    body: {
      code: 'http.body.too-large',
      message: 'the request body is longer than this controller accepts',
      fix: 'send it in parts, or raise http.maxBodyBytes in the configuration of the controller',
    },
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    body: {
      code: 'http.media-type',
      message: 'this resource does not take that content type',
      fix: 'send content-type: application/json, or application/yaml where intents are taken',
    },
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    status: 400,
    body: { code: 'http.body.empty', message: 'the request body is empty', fix: 'send a JSON document' },
  },
  FST_ERR_CTP_INVALID_JSON_BODY: {
    status: 400,
    body: { code: 'http.body.json', message: 'the request body is not JSON' },
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    body: { code: 'http.body.length', message: 'the request body is not as long as its content-length says' },
  },
};
