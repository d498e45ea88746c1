import type { ErrorMessage, Message } from '../../ofproto/index.js';
import { errorName } from '../../ofproto/index.js';

/**
 * Codes of `SwitchError`:
 * - `switch.error`: the switch answered with an OpenFlow error, in `error`;
 * - `switch.timeout`: no answer in time;
 * - `switch.closed`: the connection ended, or had ended, before the answer;
 * - `switch.aborted`: the caller's AbortSignal fired;
 * - `switch.unexpected`: the answer was of another type than asked for, malformed, or too large.
 */
export type SwitchErrorCode =
  | 'switch.error'
  | 'switch.timeout'
  | 'switch.closed'
  | 'switch.aborted'
  | 'switch.unexpected';

/** Why a request to a switch failed. */
export class SwitchError extends Error {
  override readonly name = 'SwitchError';
  readonly code: SwitchErrorCode;
  /** The OpenFlow error, where `code` is `switch.error`. */
  declare readonly error?: ErrorMessage;
  declare readonly fix?: string;

  constructor(
    code: SwitchErrorCode,
    message: string,
    more: { error?: ErrorMessage; fix?: string; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    if (more.error) this.error = more.error;
    if (more.fix !== undefined) this.fix = more.fix;
  }
}

/** A message for people: what it is and its xid. */
export const describeMessage = (message: Message): string =>
  `${'multipartType' in message ? `${message.type} ${message.multipartType}` : message.type} (xid ${message.xid})`;

/** The name of an error as the specification writes it, such as `OFPBAC_BAD_OUT_GROUP`. */
export const nameOfError = ({ errorType, code, experimenter }: ErrorMessage): string =>
  errorName(errorType, code, experimenter);
