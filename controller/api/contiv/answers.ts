/**
 * What contiv's client (contivmodel/client/contivModelClient.go of contiv/netplugin) makes of answers:
 * - 200 and only 200 is success; objects and lists are JSON, DELETE answers with the key;
 * - of an error it shows the body when the status is 500, "Page not found!" for 404, "Access denied!" for 403, and the status line
 *   otherwise; a DELETE that is answered with 404 it takes for done.
 * So everything that this API refuses is 500 with the reason as plain text, as contiv has it, and the reason phrase says it too, for
 * clients that look at that. What is not about the object (rates, deadlines, a store that is away) keeps its own status.
 */
import type { FastifyReply } from 'fastify';
import { ApiError, type ErrorBody, httpError } from '../errors.js';
import { setReason } from '../reason.js';

/** A request that contiv's API could take and this one does not: the object has no counterpart, or a member has none. */
export class Refusal extends ApiError {
  constructor(code: string, message: string, fix?: string) {
    super(500, `contiv.${code}`, message, fix === undefined ? {} : { fix });
  }
}

/** Not about what was asked, but about whether anything can be asked now. */
const KEPT = new Set([413, 415, 421, 429, 503, 504]);

export interface PlainError {
  readonly status: number;
  readonly text: string;
  /** Something of ours broke: to be logged with its stack. */
  readonly unexpected: boolean;
}

export function plainError(error: unknown): PlainError {
  const { status, body, unexpected } = httpError(error);
  return { status: KEPT.has(status) ? status : 500, text: textOf(body), unexpected };
}

function textOf({ message, path, fix, problems = [] }: ErrorBody): string {
  const others = problems
    .filter(({ severity, message: other }) => severity === 'error' && other !== message)
    .map(({ message: other }) => other);
  const where = path === undefined || message.includes(path) ? [] : [path];
  return [message, ...where, ...(fix === undefined ? [] : [fix]), ...others].join('; ');
}

export function sendError(reply: FastifyReply, { status, text }: PlainError): FastifyReply {
  setReason(reply, text);
  return reply.status(status).type('text/plain; charset=utf-8').send(`${text}\n`);
}
