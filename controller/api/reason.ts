/** Reasons in the status line, for clients of the ancestor that read nothing else of an error. */
import type { FastifyReply } from 'fastify';

/** Longest reason phrase: clients read the status line into small buffers. */
const MAX_REASON = 400;

/** Puts `reason` into the status line; only visible ASCII and spaces may stand there (RFC 9112, section 4). */
export function setReason(reply: FastifyReply, reason: string): void {
  const oneLine = reason.replaceAll(/[^\x20-\x7e]+/g, ' ');
  reply.raw.statusMessage = oneLine.length > MAX_REASON ? `${oneLine.slice(0, MAX_REASON - 3)}...` : oneLine;
}
