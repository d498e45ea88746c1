/**
 * Error codes of JSON-RPC 2.0 (section 5.1) and of this implementation (-32000 to -32099 is the range left to
 * servers; -32800 is the Language Server Protocol's, reused for the same meaning).
 */
export const ErrorCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The method ran and refused; `data.code` says why. */
  refused: -32000,
  deadline: -32001,
  busy: -32002,
  closed: -32003,
  tooLarge: -32004,
  invalidResult: -32005,
  cancelled: -32800,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** What `error.data` holds on the wire, beside the number and the message. */
export interface ErrorData {
  readonly code: string;
  readonly path?: string;
  readonly fix?: string;
}

/**
 * An error of a call, on either end. `code` is the name that programs test (`rpc.deadline`, `endpoint.unknown`),
 * `rpcCode` the number on the wire. Handlers throw this, or any error whose `code` is a dotted name.
 */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly path?: string;
  readonly fix?: string;
  constructor(
    readonly rpcCode: number,
    readonly code: string,
    message: string,
    detail: { path?: string | undefined; fix?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    if (detail.path !== undefined) this.path = detail.path;
    if (detail.fix !== undefined) this.fix = detail.fix;
  }
}

/** `error` of a response as it travels. */
export interface ErrorBody {
  readonly code: number;
  readonly message: string;
  readonly data?: ErrorData;
}

/** A dotted name such as `network.unknown`: the error was written for people. */
const NAMED = /^[a-z][A-Za-z0-9]*(\.[a-zA-Z0-9]+)+$/;

/**
 * An exception of a handler as the caller sees it. Errors with a dotted `code` pass with their path and fix, whatever class
 * they are; anything else is a bug on our side and is not shown beyond the fact.
 */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof Error) {
    const { code, path, fix } = error as { code?: unknown; path?: unknown; fix?: unknown };
    if (typeof code === 'string' && NAMED.test(code)) {
      return {
        code: error instanceof RpcError ? error.rpcCode : ErrorCode.refused,
        message: error.message,
        data: {
          code,
          ...(typeof path === 'string' ? { path } : {}),
          ...(typeof fix === 'string' ? { fix } : {}),
        },
      };
    }
  }
  return { code: ErrorCode.internal, message: 'internal error', data: { code: 'rpc.internal' } };
}

/** Whether `errorBody` hides this exception: the end that threw should report it. */
export function isUnexpected(error: unknown): boolean {
  return errorBody(error).code === ErrorCode.internal;
}

/** The error that a caller gets from `error` of a response, whatever the other end put there. */
export function errorFromBody(body: unknown): RpcError {
  const { code, message, data } = (typeof body === 'object' && body !== null ? body : {}) as {
    code?: unknown;
    message?: unknown;
    data?: unknown;
  };
  const detail = (typeof data === 'object' && data !== null ? data : {}) as {
    code?: unknown;
    path?: unknown;
    fix?: unknown;
  };
  return new RpcError(
    typeof code === 'number' ? code : ErrorCode.internal,
    typeof detail.code === 'string' ? detail.code : 'rpc.remote',
    typeof message === 'string' ? message : 'the peer answered with an error that has no message',
    {
      path: typeof detail.path === 'string' ? detail.path : undefined,
      fix: typeof detail.fix === 'string' ? detail.fix : undefined,
    },
  );
}
