import type { TSchema } from 'typebox';
import type { Clock } from './clock.js';
import { errorFromBody, type RpcError } from './error.js';
import { cancelledError, closedError, deadlineError, invalidResult } from './message.js';

interface PendingCall {
  readonly method: string;
  readonly resultSchema: TSchema;
  resolve(value: unknown): void;
  reject(error: RpcError): void;
  /** Stops the deadline and the listener of the caller's signal. */
  release(): void;
}

/** Own calls that wait for their answer. Each is settled once: by the answer, its deadline, its signal or the close. */
export class PendingCalls {
  readonly #calls = new Map<number, PendingCall>();
  #lastId = 0;

  constructor(
    private readonly clock: Clock,
    /** Tells the other end that nobody waits for `id` any more. */
    private readonly onAbandoned: (id: number) => void,
  ) {}

  get size(): number {
    return this.#calls.size;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** `deadlineMs` of 0 means none. */
  wait(
    id: number,
    method: string,
    resultSchema: TSchema,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#abandon(id, cancelledError(method));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const stopTimer =
        deadlineMs > 0
          ? this.clock.after(deadlineMs, () => {
              this.#abandon(id, deadlineError(method, deadlineMs));
            })
          : undefined;
      const release = () => {
        stopTimer?.();
        signal?.removeEventListener('abort', onAbort);
      };
      this.#calls.set(id, { method, resultSchema, resolve, reject, release });
    });
  }

  /** False when nobody waits for this id: it was abandoned, or never ours. */
  settle(id: unknown, answer: { readonly result?: unknown; readonly error?: unknown }): boolean {
    const call = typeof id === 'number' ? this.#calls.get(id) : undefined;
    if (typeof id !== 'number' || call === undefined) return false;
    this.#calls.delete(id);
    call.release();
    if ('error' in answer) {
      call.reject(errorFromBody(answer.error));
      return true;
    }
    const wrong = invalidResult(call.method, call.resultSchema, answer.result);
    if (wrong === undefined) call.resolve(answer.result);
    else call.reject(wrong);
    return true;
  }

  rejectAll(reason: string): void {
    for (const call of this.#calls.values()) {
      call.release();
      call.reject(closedError(call.method, reason));
    }
    this.#calls.clear();
  }

  #abandon(id: number, error: RpcError): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    call.release();
    this.onAbandoned(id);
    call.reject(error);
  }
}
