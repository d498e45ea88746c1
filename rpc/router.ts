import type { TSchema } from 'typebox';
import type { Peer } from './peer.js';
import type { NotificationType, ParamsOf, RequestType, ResultOf } from './types.js';

/** What a handler gets beside the params. */
export interface Call {
  /** The peer that calls. */
  readonly peer: Peer;
  /** Aborts when the caller cancels, its deadline passes at its end, or the connection is gone. */
  readonly signal: AbortSignal;
}

type RequestHandler<T extends RequestType> = (
  params: ParamsOf<T>,
  call: Call,
) => ResultOf<T> | Promise<ResultOf<T>>;
type NotificationHandler<T extends NotificationType> = (params: ParamsOf<T>, peer: Peer) => void;

export interface RequestRoute {
  readonly params: TSchema;
  readonly handle: (params: unknown, call: Call) => unknown;
}
export interface NotificationRoute {
  readonly params: TSchema;
  readonly handle: (params: unknown, peer: Peer) => void;
}

/** The methods that one end answers. One router serves any number of peers. */
export class Router {
  readonly requests = new Map<string, RequestRoute>();
  readonly notifications = new Map<string, NotificationRoute>();

  /** Params have been checked against the type's schema before the handler sees them. */
  request<T extends RequestType>(type: T, handler: RequestHandler<T>): this {
    if (this.requests.has(type.method)) throw new Error(`${type.method} has a handler already`);
    // The cast is safe: Peer checks params against `type.params` before it calls.
    this.requests.set(type.method, { params: type.params, handle: handler as RequestRoute['handle'] });
    return this;
  }

  notification<T extends NotificationType>(type: T, handler: NotificationHandler<T>): this {
    if (this.notifications.has(type.method)) throw new Error(`${type.method} has a handler already`);
    this.notifications.set(type.method, {
      params: type.params,
      handle: handler as NotificationRoute['handle'],
    });
    return this;
  }
}
