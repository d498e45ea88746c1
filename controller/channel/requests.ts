import type { ErrorMessage, Message, MultipartReply } from '../../ofproto/index.js';
import { MultipartAssembler } from '../../ofproto/index.js';
import { describeMessage, nameOfError, SwitchError } from './errors.js';

/** How a request is answered: `accept` says whether a message with its xid is the (whole) answer. */
interface Pending {
  readonly what: string;
  readonly accept: (message: Message) => boolean;
  resolve(message: Message): void;
  reject(error: SwitchError): void;
}

export interface Expectation {
  /** Sends the request, once it is sure that somebody waits; what it throws rejects the request. */
  readonly send: () => unknown;
  /** Names the request in errors. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Which messages with this xid are the answer; others reject with `switch.unexpected`. */
  readonly accept: (message: Message) => boolean;
  /** Called within the delivery of the reply, before any message behind it is looked at. */
  readonly onReply?: (message: Message) => void;
}

/** Requests under way on one connection, by xid. */
export class Requests {
  readonly #pending = new Map<number, Pending>();
  readonly #multipart: MultipartAssembler;
  #closed: string | undefined;

  constructor(multipartRecords: number) {
    this.#multipart = new MultipartAssembler({ maxRecords: multipartRecords });
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Waits for the answer with this xid. `also` are further xids whose errors are this request's. */
  expect(xid: number, expectation: Expectation, also: readonly number[] = []): Promise<Message> {
    const { what, signal } = expectation;
    return new Promise<Message>((resolve, reject) => {
      if (this.#closed !== undefined) return reject(closedError(what, this.#closed));
      if (signal?.aborted) return reject(abortedError(what, signal));
      for (const id of [xid, ...also]) {
        if (this.#pending.has(id)) {
          return reject(
            new SwitchError(
              'switch.unexpected',
              `${what}: xid ${id} is in use by ${this.#pending.get(id)?.what}`,
              {
                fix: 'take the xid of each request from session.xid()',
              },
            ),
          );
        }
      }
      expectation.send();
      // Sending may have ended the connection: the switch does not read.
      if (this.#closed !== undefined) return reject(closedError(what, this.#closed));
      const finish = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        for (const id of [xid, ...also]) {
          this.#pending.delete(id);
          this.#multipart.drop(id);
        }
      };
      const pending: Pending = {
        what,
        accept: expectation.accept,
        resolve: (message) => {
          finish();
          expectation.onReply?.(message);
          resolve(message);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
      };
      const onAbort = (): void => pending.reject(abortedError(what, signal));
      const timer = setTimeout(
        () =>
          pending.reject(
            new SwitchError('switch.timeout', `${what}: no answer within ${expectation.timeoutMs} ms`),
          ),
        expectation.timeoutMs,
      );
      timer.unref();
      signal?.addEventListener('abort', onAbort, { once: true });
      for (const id of [xid, ...also]) this.#pending.set(id, pending);
    });
  }

  /** Hands in a message that may be an answer; false when nobody waits for it. */
  receive(message: Message): boolean {
    const pending = this.#pending.get(message.xid);
    if (!pending) return false;
    if (message.type === 'error') {
      pending.reject(refusal(pending.what, message));
      return true;
    }
    if (message.type === 'multipart_reply') return this.#receivePart(pending, message);
    this.#answer(pending, message);
    return true;
  }

  #receivePart(pending: Pending, part: MultipartReply): boolean {
    let whole: MultipartReply | undefined;
    try {
      whole = this.#multipart.add(part);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      pending.reject(new SwitchError('switch.unexpected', `${pending.what}: ${reason}`, { cause }));
      return true;
    }
    if (whole) this.#answer(pending, whole);
    return true;
  }

  #answer(pending: Pending, message: Message): void {
    if (pending.accept(message)) pending.resolve(message);
    else
      pending.reject(
        new SwitchError(
          'switch.unexpected',
          `${pending.what}: the switch answered with ${describeMessage(message)}`,
        ),
      );
  }

  /** Rejects the request whose answer could not be parsed; false when there is none. */
  malformed(xid: number, problem: string): boolean {
    const pending = this.#pending.get(xid);
    pending?.reject(new SwitchError('switch.unexpected', `${pending.what}: malformed answer: ${problem}`));
    return pending !== undefined;
  }

  /** Rejects everything under way, and everything to come. */
  close(reason: string): void {
    this.#closed = reason;
    for (const pending of new Set(this.#pending.values())) pending.reject(closedError(pending.what, reason));
  }
}

export const closedError = (what: string, reason: string): SwitchError =>
  new SwitchError('switch.closed', `${what}: connection closed: ${reason}`);

const abortedError = (what: string, signal: AbortSignal | undefined): SwitchError =>
  new SwitchError('switch.aborted', `${what}: aborted`, { cause: signal?.reason });

const refusal = (what: string, error: ErrorMessage): SwitchError =>
  new SwitchError('switch.error', `${what}: refused with ${nameOfError(error)}`, { error });
