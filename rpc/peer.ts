import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { PendingCalls } from './calls.js';
import { type Clock, systemClock } from './clock.js';
import { ErrorCode, errorBody, errorFromBody, isUnexpected, RpcError } from './error.js';
import { LineSplitter } from './lines.js';
import {
  cancelledError,
  classify,
  closedError,
  encodeError,
  encodeNotification,
  encodeRequest,
  encodeResult,
  type Id,
  invalidParams,
  isId,
  isRecord,
  type Message,
  tooLargeError,
  unknownMethod,
} from './message.js';
import { Outbox } from './outbox.js';
import type { Call, Router } from './router.js';
import type { NotificationType, ParamsOf, RequestType, ResultOf } from './types.js';

/** Bounds of one connection. Every one of them is enforced on what arrives and on what is sent. */
export interface PeerLimits {
  /** A longer line is thrown away and answered with an error; the connection goes on. */
  readonly maxMessageBytes: number;
  /** A peer that leaves more than this unread is dropped. */
  readonly maxQueueBytes: number;
  /** Requests of the peer that run at a time; one more is refused as busy. */
  readonly maxConcurrentRequests: number;
  /** Own calls that wait for an answer; one more is refused as busy. */
  readonly maxPendingCalls: number;
  readonly maxBatchLength: number;
  /** Messages per second; what is above it waits in the socket. 0 for no limit. */
  readonly maxMessagesPerSecond: number;
  /** Messages in a row that are not JSON-RPC until the connection is closed. */
  readonly maxGarbage: number;
  /** The connection is closed when the peer takes nothing for so long while something waits for it. */
  readonly stallMs: number;
  /** Deadline of a call that names none. */
  readonly deadlineMs: number;
}

export const defaultLimits: PeerLimits = {
  maxMessageBytes: 8 * 1024 * 1024,
  maxQueueBytes: 16 * 1024 * 1024,
  maxConcurrentRequests: 1024,
  maxPendingCalls: 65_536,
  maxBatchLength: 1024,
  maxMessagesPerSecond: 0,
  maxGarbage: 16,
  stallMs: 30_000,
  deadlineMs: 30_000,
};

export interface PeerOptions {
  readonly router: Router;
  readonly limits?: Partial<PeerLimits>;
  /**
   * Stops reading while the peer does not read our answers. For the serving end only: if both ends did it, they
   * could wait for each other.
   */
  readonly pauseWhileBlocked?: boolean;
  readonly clock?: Clock;
  /** A handler threw something that is no named error: a bug, of which the caller is told only that it happened. */
  readonly onUnexpected?: (error: unknown, method: string) => void;
  /** Something came that cannot be answered: a notification that is unknown or does not fit its schema. */
  readonly onIgnored?: (reason: RpcError, method: string) => void;
}

export interface CallOptions {
  /** Abandons the call and tells the other end. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the call is abandoned and the other end told; 0 for none. */
  readonly deadlineMs?: number;
}

export interface PeerCounters {
  received: number;
  sent: number;
  refused: number;
  ignored: number;
}

/** Messages are counted against the rate limit in windows of this length. */
const RATE_WINDOW_MS = 100;

type Reply = (message: string) => void;

/**
 * One end of a JSON-RPC 2.0 connection; both ends call and answer. Messages are lines of JSON. Messages sent within one turn
 * of the event loop leave in one write. Requests are started in order of arrival and answered as they finish.
 */
export class Peer {
  readonly counters: PeerCounters = { received: 0, sent: 0, refused: 0, ignored: 0 };
  readonly limits: PeerLimits;
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #calls: PendingCalls;
  readonly #running = new Map<Id, RunningCall>();
  readonly #closeListeners: ((reason: string) => void)[] = [];
  #garbage = 0;
  #closed: string | undefined;
  /** Set while draining; called when the last request has been answered. */
  #onIdle: (() => void) | undefined;
  #drained: Promise<void> | undefined;
  #stopStallTimer: (() => void) | undefined;
  readonly #splitter: LineSplitter;
  /** Read from the stream and not looked at yet, while reading is stopped. */
  #unread: Buffer | undefined;
  #rateWindow = { start: 0, received: 0 };
  #overRate = false;

  constructor(
    private readonly stream: Duplex,
    private readonly options: PeerOptions,
  ) {
    this.limits = { ...defaultLimits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#outbox = new Outbox(stream, () => {
      this.#onDrain();
    });
    this.#calls = new PendingCalls(this.#clock, (id) => {
      this.#send(`{"jsonrpc":"2.0","method":"$/cancel","params":{"id":${id}}}\n`);
    });
    this.#splitter = new LineSplitter(this.limits.maxMessageBytes, {
      line: (text) => {
        this.#onLine(text);
      },
      refused: (reason, bytes) => {
        this.#onRefusedLine(reason, bytes, this.#splitter.overrun);
      },
    });
    stream.on('data', (chunk: Buffer) => {
      this.#unread = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk]);
      this.#read();
    });
    stream.on('error', (error) => {
      this.close(`connection failed: ${error.message}`);
    });
    stream.on('end', () => {
      this.close('the peer closed the connection');
    });
    stream.on('close', () => {
      this.close('the connection is closed');
    });
  }

  /** Why the connection is closed; undefined while it is open. */
  get closed(): string | undefined {
    return this.#closed;
  }

  /** Bytes that wait for the peer to read. */
  get queuedBytes(): number {
    return this.#outbox.bytes;
  }

  /** Requests of the peer that are being answered. */
  get runningRequests(): number {
    return this.#running.size;
  }

  /** Calls `listener` once, with the reason; at once if the connection is closed already. */
  onClose(listener: (reason: string) => void): void {
    if (this.#closed !== undefined) listener(this.#closed);
    else this.#closeListeners.push(listener);
  }

  /**
   * Rejects with RpcError: the other end's, or `rpc.deadline`, `rpc.cancelled`, `rpc.closed`, `rpc.busy`,
   * `rpc.tooLarge`, `rpc.result.invalid`.
   */
  call<T extends RequestType>(type: T, params: ParamsOf<T>, options: CallOptions = {}): Promise<ResultOf<T>> {
    // The cast is safe: PendingCalls checks the result against `type.result`.
    return this.#call(type, params, options) as Promise<ResultOf<T>>;
  }

  #call({ method, result }: RequestType, params: unknown, options: CallOptions): Promise<unknown> {
    const { signal, deadlineMs = this.limits.deadlineMs } = options;
    if (this.#closed !== undefined) return Promise.reject(closedError(method, this.#closed));
    if (signal?.aborted === true) return Promise.reject(cancelledError(method));
    if (this.#calls.size >= this.limits.maxPendingCalls) {
      const message = `${this.#calls.size} calls wait for an answer`;
      const fix = 'wait for some of them, or raise maxPendingCalls';
      return Promise.reject(new RpcError(ErrorCode.busy, 'rpc.busy', message, { fix }));
    }
    const id = this.#calls.nextId();
    const message = encodeRequest(id, method, params);
    if (message.length > this.limits.maxMessageBytes) {
      return Promise.reject(tooLargeError(method, message.length, this.limits.maxMessageBytes));
    }
    const answer = this.#calls.wait(id, method, result, deadlineMs, signal);
    this.#send(message);
    return answer;
  }

  /** Sends and forgets. Nothing happens when the connection is closed. */
  notify<T extends NotificationType>(type: T, params: ParamsOf<T>): void {
    this.#send(encodeNotification(type, params));
  }

  /**
   * A notification that was encoded once for many peers (`Hub.fanOut`). With a key, it replaces one of the same key that
   * still waits because this peer does not read.
   */
  notifyEncoded(message: Buffer, key?: string): void {
    if (this.#closed !== undefined) return;
    this.counters.sent += 1;
    if (key === undefined) this.#outbox.push(message);
    else this.#outbox.pushKeyed(key, message);
    if (this.#outbox.blocked) this.#whileBlocked();
  }

  /** Closes at once. Own calls reject with `rpc.closed`, requests being answered are aborted. */
  close(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#stopStallTimer?.();
    this.#outbox.discard();
    this.stream.destroy();
    this.#calls.rejectAll(reason);
    for (const running of this.#running.values()) running.abort();
    this.#running.clear();
    this.#onIdle?.();
    for (const listener of this.#closeListeners) listener(reason);
  }

  /**
   * Takes no new request, lets those being answered finish, sends what waits, closes. Takes at most `deadlineMs`; of several
   * calls the earliest deadline holds.
   */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#closed !== undefined) return;
    const stopTimer = this.#clock.after(deadlineMs, () => this.close('shutting down'));
    await (this.#drained ??= this.#drain());
    stopTimer();
  }

  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      if (this.#running.size === 0) resolve();
    });
    await new Promise<void>((resolve) => {
      this.onClose(() => resolve());
      this.#outbox.end(resolve);
    });
    this.close('shutting down');
  }

  #send(message: string): void {
    if (this.#closed !== undefined) return;
    this.counters.sent += 1;
    this.#outbox.push(message);
    if (this.#outbox.blocked) this.#whileBlocked();
  }

  #whileBlocked(): void {
    if (this.#outbox.bytes > this.limits.maxQueueBytes) {
      this.close(`the peer left ${this.#outbox.bytes} bytes unread, more than ${this.limits.maxQueueBytes}`);
      return;
    }
    if (this.#stopStallTimer !== undefined) return;
    this.#stopStallTimer = this.#clock.after(this.limits.stallMs, () => {
      this.close(`the peer read nothing for ${this.limits.stallMs} ms`);
    });
  }

  #onDrain(): void {
    this.#stopStallTimer?.();
    this.#stopStallTimer = undefined;
    this.#read();
  }

  /** Takes what has arrived, line by line, until a reason to stop comes up; the rest waits and the stream is paused. */
  #read(): void {
    const chunk = this.#unread;
    if (chunk !== undefined) {
      this.#unread = undefined;
      const taken = this.#splitter.push(chunk, () => this.#mayRead());
      if (taken < chunk.length) this.#unread = chunk.subarray(taken);
    }
    if (this.#closed !== undefined) return;
    if (this.#mayRead()) this.stream.resume();
    else this.stream.pause();
  }

  #mayRead(): boolean {
    if (this.#closed !== undefined || this.#isOverRate()) return false;
    return this.options.pauseWhileBlocked !== true || !this.#outbox.blocked;
  }

  #isOverRate(): boolean {
    const perWindow = Math.ceil((this.limits.maxMessagesPerSecond * RATE_WINDOW_MS) / 1000);
    if (perWindow === 0 || this.#overRate) return this.#overRate;
    const now = this.#clock.now();
    const { received } = this.counters;
    const window = this.#rateWindow;
    if (now - window.start >= RATE_WINDOW_MS) this.#rateWindow = { start: now, received };
    else if (received - window.received >= perWindow) {
      this.#overRate = true;
      this.#clock.after(window.start + RATE_WINDOW_MS - now, () => {
        this.#overRate = false;
        this.#read();
      });
    }
    return this.#overRate;
  }

  #onRefusedLine(reason: 'oversized' | 'encoding', bytes: number, endless: boolean): void {
    if (reason === 'encoding') {
      this.#onGarbage(ErrorCode.parse, 'the message is not UTF-8', this.#reply);
      return;
    }
    this.counters.refused += 1;
    this.#reply(encodeError(null, errorBody(tooLargeError('received', bytes, this.limits.maxMessageBytes))));
    if (endless) this.#closeAfterFlush('a message has no end');
  }

  #onGarbage(code: number, message: string, reply: Reply): void {
    this.counters.refused += 1;
    reply(encodeError(null, { code, message, data: { code: 'rpc.message.invalid' } }));
    this.#garbage += 1;
    if (this.#garbage >= this.limits.maxGarbage) {
      this.#closeAfterFlush(`${this.#garbage} messages in a row were not JSON-RPC 2.0`);
    }
  }

  #closeAfterFlush(reason: string): void {
    this.#outbox.flush();
    this.close(reason);
  }

  readonly #reply: Reply = (message) => {
    this.#send(`${message}\n`);
  };

  #onLine(text: string): void {
    if (this.#closed !== undefined) return;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.counters.received += 1;
      this.#onGarbage(ErrorCode.parse, `the message is not JSON: ${detail}`, this.#reply);
      return;
    }
    if (Array.isArray(value)) this.#onBatch(value);
    else this.#onMessage(classify(value), this.#reply);
  }

  /** JSON-RPC 2.0 section 6: the answers to a batch travel in one array; nothing is sent when there is none. */
  #onBatch(batch: readonly unknown[]): void {
    if (batch.length === 0 || batch.length > this.limits.maxBatchLength) {
      const message = `a batch has 1 to ${this.limits.maxBatchLength} messages, not ${batch.length}`;
      this.#onGarbage(ErrorCode.invalidRequest, message, this.#reply);
      return;
    }
    const messages = batch.map((value) => classify(value));
    let missing = messages.filter(({ kind }) => kind === 'request' || kind === 'invalid').length;
    const answers: string[] = [];
    for (const message of messages) {
      this.#onMessage(message, (answer) => {
        answers.push(answer);
        missing -= 1;
        if (missing === 0) this.#send(`[${answers.join(',')}]\n`);
      });
    }
  }

  #onMessage(message: Message, reply: Reply): void {
    this.counters.received += 1;
    if (message.kind === 'invalid') {
      this.#onGarbage(ErrorCode.invalidRequest, message.reason, reply);
      return;
    }
    this.#garbage = 0;
    if (message.kind === 'request') this.#onRequest(message.id, message.method, message.params, reply);
    else if (message.kind === 'notification') this.#onNotification(message.method, message.params);
    else if (!this.#calls.settle(message.id, message)) {
      // An answer to a call that was abandoned, or an error that the other end could not tie to a call.
      this.counters.ignored += 1;
      if ('error' in message) this.options.onIgnored?.(errorFromBody(message.error), 'response');
    }
  }

  #onNotification(method: string, params: unknown): void {
    if (method === '$/cancel') {
      const id = isRecord(params) ? params['id'] : undefined;
      if (isId(id)) this.#running.get(id)?.abort();
      return;
    }
    const route = this.options.router.notifications.get(method);
    const problem = route === undefined ? unknownMethod(method) : invalidParams(method, route.params, params);
    if (route === undefined || problem !== undefined) {
      this.counters.ignored += 1;
      if (problem !== undefined) this.options.onIgnored?.(problem, method);
      return;
    }
    try {
      route.handle(params, this);
    } catch (error) {
      this.options.onUnexpected?.(error, method);
    }
  }

  #onRequest(id: Id, method: string, params: unknown, reply: Reply): void {
    const route = this.options.router.requests.get(method);
    const problem =
      route === undefined
        ? unknownMethod(method)
        : (this.#cannotRun(id) ?? invalidParams(method, route.params, params));
    if (route === undefined || problem !== undefined) {
      this.counters.refused += 1;
      reply(encodeError(id, errorBody(problem)));
      return;
    }
    const running = new RunningCall(this);
    try {
      const result = route.handle(params, running);
      if (!(result instanceof Promise)) {
        this.#answer(id, method, result, reply);
        return;
      }
      this.#running.set(id, running);
      result.then(
        (value: unknown) => {
          this.#finish(id, running, () => {
            if (running.aborted) this.#fail(id, method, cancelledError(method), reply);
            else this.#answer(id, method, value, reply);
          });
        },
        (error: unknown) => {
          this.#finish(id, running, () => {
            this.#fail(id, method, running.aborted ? cancelledError(method) : error, reply);
          });
        },
      );
    } catch (error) {
      this.#fail(id, method, error, reply);
    }
  }

  #cannotRun(id: Id): RpcError | undefined {
    if (this.#onIdle !== undefined) {
      const fix = 'reconnect and call again';
      return new RpcError(ErrorCode.closed, 'rpc.closing', 'this end is shutting down', { fix });
    }
    if (this.#running.has(id)) {
      const detail = { path: 'id', fix: 'use an id once per connection' };
      return new RpcError(
        ErrorCode.invalidRequest,
        'rpc.id',
        `request ${id} is still being answered`,
        detail,
      );
    }
    if (this.#running.size < this.limits.maxConcurrentRequests) return undefined;
    const fix = `have at most ${this.limits.maxConcurrentRequests} requests open on a connection`;
    return new RpcError(ErrorCode.busy, 'rpc.busy', `${this.#running.size} requests are being answered`, {
      fix,
    });
  }

  /** Answers nothing when the connection has closed meanwhile. */
  #finish(id: Id, running: RunningCall, respond: () => void): void {
    if (this.#running.get(id) !== running) return;
    this.#running.delete(id);
    respond();
    if (this.#running.size === 0) this.#onIdle?.();
  }

  #answer(id: Id, method: string, value: unknown, reply: Reply): void {
    const answer = encodeResult(id, value);
    const { maxMessageBytes } = this.limits;
    if (answer.length <= maxMessageBytes) reply(answer);
    else reply(encodeError(id, errorBody(tooLargeError(method, answer.length, maxMessageBytes))));
  }

  #fail(id: Id, method: string, error: unknown, reply: Reply): void {
    this.counters.refused += 1;
    if (isUnexpected(error)) this.options.onUnexpected?.(error, method);
    reply(encodeError(id, errorBody(error)));
  }
}

/** A request of the other end while it is being answered. The signal is made only if somebody looks at it. */
class RunningCall implements Call {
  #controller: AbortController | undefined;
  aborted = false;

  constructor(readonly peer: Peer) {}

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  abort(): void {
    this.aborted = true;
    this.#controller?.abort();
  }
}
