/** Bounds of the HTTP listener that fastify does not bring: requests per client, deadlines, and who may be named as host. */
import { isIP } from 'node:net';
import { ApiError } from './errors.js';

/** Clients remembered at most; the one seen longest ago is forgotten, which only gives it its burst back. */
const MAX_CLIENTS = 10_000;

/** A token bucket per client address: `perSecond` requests, and twice that at once. */
export class RequestRate {
  readonly #clients = new Map<string, { tokens: number; at: number }>();

  constructor(
    public perSecond: number,
    readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether one more request of the client is in order; counts it when it is. */
  take(client: string): boolean {
    const now = this.now();
    const burst = this.perSecond * 2;
    const seen = this.#clients.get(client);
    const tokens =
      seen === undefined ? burst : Math.min(burst, seen.tokens + ((now - seen.at) / 1000) * this.perSecond);
    this.#clients.delete(client); // to the end: the map is in order of the last request
    this.#clients.set(client, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#clients.size > MAX_CLIENTS) {
      const oldest = this.#clients.keys().next();
      if (!oldest.done) this.#clients.delete(oldest.value);
    }
    return tokens >= 1;
  }
}

/**
 * Waits for `work`, at most `milliseconds`. The work itself goes on after that: its outcome is unknown to the client,
 * and the error says so.
 */
export async function withDeadline<T>(milliseconds: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `${what} did not end within ${milliseconds} ms; whether it still will is not known`;
      const fix = 'look with GET before trying again; GET /v1/status shows whether the store answers';
      reject(new ApiError(504, 'http.deadline', message, { fix }));
    }, milliseconds);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether a Host header names this machine by loopback name or by address. On a loopback listener nothing else is
 * answered: a web page that has its own name resolve to 127.0.0.1 (DNS rebinding) must not reach the API.
 */
export function namesLoopback(hostHeader: string | undefined): boolean {
  if (hostHeader === undefined) return false;
  const host = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(hostHeader);
  const name = host?.[1] ?? host?.[2] ?? '';
  return name === 'localhost' || isIP(name) !== 0;
}
