import type { Static, TSchema } from 'typebox';

/**
 * A request as both ends know it: its name, the schema of its params and of its result. Values rather than
 * strings are passed to `Peer.call` and `Router.request`, so that the compiler ties params and result to the
 * name (the idea is vscode-jsonrpc's `RequestType`; the schemas make it hold at run time as well).
 */
export class RequestType<Params extends TSchema = TSchema, Result extends TSchema = TSchema> {
  readonly kind = 'request';
  constructor(
    readonly method: string,
    readonly params: Params,
    readonly result: Result,
  ) {}
}

/** A notification as both ends know it: its name and the schema of its params. Never answered. */
export class NotificationType<Params extends TSchema = TSchema> {
  readonly kind = 'notification';
  constructor(
    readonly method: string,
    readonly params: Params,
  ) {}
}

/** Static type of the params of a request or notification. */
export type ParamsOf<T> =
  T extends RequestType<infer P, TSchema>
    ? Static<P>
    : T extends NotificationType<infer P>
      ? Static<P>
      : never;

/** Static type of the result of a request. */
export type ResultOf<T> = T extends RequestType<TSchema, infer R> ? Static<R> : never;
