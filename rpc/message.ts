import type { TSchema } from 'typebox';
import { type ErrorBody, ErrorCode, RpcError } from './error.js';
import type { NotificationType } from './types.js';
import { mismatch } from './validate.js';

export type Id = string | number;

/** A parsed message told apart (JSON-RPC 2.0 sections 4 and 5). */
export type Message =
  | { readonly kind: 'request'; readonly id: Id; readonly method: string; readonly params: unknown }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly kind: 'response'; readonly id: unknown; readonly result?: unknown; readonly error?: unknown }
  | { readonly kind: 'invalid'; readonly reason: string };

export function classify(value: unknown): Message {
  if (!isRecord(value) || value['jsonrpc'] !== '2.0')
    return { kind: 'invalid', reason: 'a message is an object with "jsonrpc": "2.0"' };
  const { id, method, params = {} } = value;
  if (typeof method === 'string') {
    if (id === undefined) return { kind: 'notification', method, params };
    if (isId(id)) return { kind: 'request', id, method, params };
    return { kind: 'invalid', reason: 'id is neither a string nor a number' };
  }
  if (method !== undefined) return { kind: 'invalid', reason: 'method is not a string' };
  if ('error' in value) return { kind: 'response', id, error: value['error'] };
  if ('result' in value) return { kind: 'response', id, result: value['result'] };
  return { kind: 'invalid', reason: 'neither method nor result nor error is there' };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number';
}

/** A request as text, with its newline. */
export function encodeRequest(id: Id, method: string, params: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}\n`;
}

/** A notification as text, with its newline. */
export function encodeNotification(type: NotificationType, params: unknown): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(type.method)},"params":${JSON.stringify(params)}}\n`;
}

/** A response as text without newline, as it may become part of a batch. */
export function encodeResult(id: Id, result: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result ?? null)}}`;
}

export function encodeError(id: Id | null, error: ErrorBody): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${JSON.stringify(error)}}`;
}

/** Undefined when the params fit. */
export function invalidParams(method: string, schema: TSchema, params: unknown): RpcError | undefined {
  if (Array.isArray(params)) {
    return new RpcError(ErrorCode.invalidParams, 'rpc.params.invalid', `${method} takes params by name`, {
      path: 'params',
      fix: 'give params as an object',
    });
  }
  const wrong = mismatch(schema, params);
  if (wrong === undefined) return undefined;
  const where = wrong.path === '' ? 'params' : wrong.path;
  return new RpcError(ErrorCode.invalidParams, 'rpc.params.invalid', `${method}: ${where} ${wrong.message}`, {
    path: where,
    fix: wrong.fix,
  });
}

export function invalidResult(method: string, schema: TSchema, result: unknown): RpcError | undefined {
  const wrong = mismatch(schema, result);
  if (wrong === undefined) return undefined;
  const where = wrong.path === '' ? 'result' : wrong.path;
  return new RpcError(
    ErrorCode.invalidResult,
    'rpc.result.invalid',
    `${method} was answered with a result that does not fit: ${where} ${wrong.message}`,
    { path: where, fix: wrong.fix },
  );
}

export function unknownMethod(method: string): RpcError {
  return new RpcError(ErrorCode.methodNotFound, 'rpc.method.unknown', `there is no method ${method} here`, {
    path: 'method',
    fix: 'call a method of docs/hub-protocol.md',
  });
}

export function closedError(method: string, reason: string): RpcError {
  return new RpcError(ErrorCode.closed, 'rpc.closed', `${method}: ${reason}`);
}

export function cancelledError(method: string): RpcError {
  return new RpcError(ErrorCode.cancelled, 'rpc.cancelled', `${method} was cancelled`);
}

export function deadlineError(method: string, deadlineMs: number): RpcError {
  return new RpcError(ErrorCode.deadline, 'rpc.deadline', `${method} had no answer in ${deadlineMs} ms`);
}

export function tooLargeError(method: string, bytes: number, limit: number): RpcError {
  return new RpcError(
    ErrorCode.tooLarge,
    'rpc.tooLarge',
    `${method}: a message of ${bytes} bytes is longer than ${limit}`,
    { fix: `send at most ${limit} bytes per message` },
  );
}
