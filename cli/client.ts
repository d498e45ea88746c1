/** HTTP client of the controller's API. `node:http` and not fetch: it is loaded in a tenth of the time. */
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { ErrorBody, ProblemBody } from '../controller/api/errors.js';
import { CommandError, Exit } from './exit.js';

export const DEFAULT_SERVER = 'http://127.0.0.1:9999';

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** How long the answer may take. */
  readonly timeoutMs?: number;
}

const ANSWER_TIMEOUT_MS = 30_000;

export class Client {
  readonly #base: URL;

  /** @param server `http://HOST:PORT`, or `HOST:PORT` */
  constructor(server: string) {
    const url = URL.parse(/^https?:\/\//.test(server) ? server : `http://${server}`);
    if (url === null || url.protocol !== 'http:') {
      throw new CommandError(
        Exit.usage,
        `${server} is not the address of a controller\n  fix: write http://HOST:PORT (--server, WEFT_SERVER); TLS is not spoken yet`,
      );
    }
    this.#base = url;
  }

  get server(): string {
    return this.#base.origin;
  }

  async get<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return await this.#json<T>('GET', path, options);
  }

  async post<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return await this.#json<T>('POST', path, options);
  }

  async put<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return await this.#json<T>('PUT', path, options);
  }

  /** The body of `path` as it arrives; for event streams. */
  async stream(path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const response = await this.#response('GET', path, { headers, timeoutMs: ANSWER_TIMEOUT_MS });
    if (response.statusCode !== 200) throw await this.#error('GET', path, response);
    return response;
  }

  async #json<T>(method: string, path: string, { query = {}, body, timeoutMs }: RequestOptions): Promise<T> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) parameters.set(name, String(value));
    const target = parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
    const response = await this.#response(method, target, {
      timeoutMs: timeoutMs ?? ANSWER_TIMEOUT_MS,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.statusCode !== 200) throw await this.#error(method, path, response);
    const text = await readAll(response);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new CommandError(
        Exit.error,
        `${this.server} answered ${method} ${path} with something that is not JSON\n  fix: is it Weft's controller that listens there?`,
      );
    }
  }

  async #response(
    method: string,
    target: string,
    {
      body,
      headers = {},
      timeoutMs,
    }: { body?: string; headers?: Readonly<Record<string, string>>; timeoutMs: number },
  ): Promise<IncomingMessage> {
    return await new Promise((resolve, reject) => {
      const outgoing: ClientRequest = httpRequest(
        new URL(target, this.#base),
        {
          method,
          agent: false,
          headers: {
            accept: 'application/json',
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
            ...headers,
          },
        },
        (response) => {
          clearTimeout(timer);
          resolve(response);
        },
      );
      const timer = setTimeout(() => {
        outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      outgoing.on('error', (error) => {
        clearTimeout(timer);
        reject(this.#unreachable(error));
      });
      outgoing.end(body);
    });
  }

  #unreachable(error: Error): CommandError {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'nothing listens there' : error.message;
    return new CommandError(
      Exit.unreachable,
      `no controller answers at ${this.server}: ${reason}\n  fix: start one with "weft controller", or name another with --server or WEFT_SERVER`,
      { code: 'client.unreachable', message: reason, server: this.server },
    );
  }

  async #error(method: string, path: string, response: IncomingMessage): Promise<CommandError> {
    const status = response.statusCode ?? 0;
    const text = await readAll(response);
    let body: ErrorBody;
    try {
      body = JSON.parse(text) as ErrorBody;
      if (typeof body.message !== 'string') throw new Error('no error of ours');
    } catch {
      return new CommandError(Exit.error, `${this.server} answered ${method} ${path} with status ${status}`);
    }
    return new CommandError(exitOf(status), describeError(body), { ...body });
  }
}

function exitOf(status: number): Exit {
  if (status === 404) return Exit.notFound;
  if (status === 503 || status === 504) return Exit.unreachable;
  return status < 500 ? Exit.refused : Exit.error;
}

async function readAll(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk as string;
  return text;
}

/** Problems as people read them, one after the other: `file:line: message`, where, and what to do. */
export function describeError(body: ErrorBody): string {
  const problems: readonly ProblemBody[] = body.problems ?? [body];
  return problems.map(describeProblem).join('\n');
}

export function describeProblem({ severity, code, message, path, fix, file, line }: ProblemBody): string {
  const where =
    file === undefined && line === undefined
      ? ''
      : `${file ?? 'line'}${line === undefined ? '' : `:${line}`}: `;
  const lines = [`${where}${severity === 'warning' ? 'warning: ' : ''}${message} [${code}]`];
  if (path !== undefined) lines.push(`  at: ${path}`);
  if (fix !== undefined) lines.push(`  fix: ${fix}`);
  return lines.join('\n');
}
