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
