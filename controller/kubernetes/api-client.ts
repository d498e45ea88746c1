/**
 * Lists and watches over HTTP, as https://kubernetes.io/docs/reference/using-api/api-concepts/ has them. Of `@kubernetes/client-node` the
 * credentials are used; its own watch neither notices silence nor hands out what a list says besides its items.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps, type RequestOptions } from 'node:https';
import type { V1Status } from '@kubernetes/client-node';
import type { ClusterAccess } from './access.js';
import type { Wire } from './facts.js';

/** The API refused, could not be reached, or said something that is not its protocol. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    message: string,
    /** HTTP status, or the code of a Status in a watch. */
    readonly status?: number,
  ) {
    super(message);
  }

  /** What was asked for is too old (410 Gone): only a new list helps. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

export interface ListPage {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: unknown;
  /** Where a later watch goes on from. */
  readonly resourceVersion?: string;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** Without a byte for so long, milliseconds, the connection counts as dead. */
  readonly silenceMs: number;
  /** The server has taken the watch. */
  onOpen?(): void;
}

type Query = Readonly<Record<string, string | number | undefined>>;

const ANSWER_MS = 60_000;
const MAX_PAGE_BYTES = 256 * 1024 * 1024;
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;

export class ApiClient {
  constructor(private readonly access: ClusterAccess) {}

  /** @param path `/api/v1/pods` @throws ApiError */
  async list(path: string, query: Query, signal: AbortSignal): Promise<ListPage> {
    const response = await this.#get(path, query, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
    const body = parse(await bodyOf(response, MAX_PAGE_BYTES));
    const { items, metadata } = body as {
      items?: unknown;
      metadata?: { resourceVersion?: unknown; continue?: unknown };
    };
    const resourceVersion = metadata?.resourceVersion;
    if ((items !== null && !Array.isArray(items)) || typeof resourceVersion !== 'string')
      throw new ApiError(`${path} answered something that is no list`);
    const next = metadata?.continue;
    return {
      items: (items ?? []) as readonly unknown[],
      resourceVersion,
      ...(typeof next === 'string' && next !== '' ? { next } : {}),
    };
  }

  /**
   * Events until the server ends the watch. Events of types that a later API may have are left out.
   * @throws ApiError also for an ERROR event, with its code
   */
  async *watch(
    path: string,
    query: Query,
    { signal, silenceMs, onOpen }: WatchOptions,
  ): AsyncGenerator<WatchEvent, void, void> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), silenceMs);
    const all: Query = { ...query, watch: '1', allowWatchBookmarks: 'true' };
    try {
      const response = await this.#get(path, all, AbortSignal.any([signal, silence.signal]));
      onOpen?.();
      for await (const line of linesOf(response, () => timer.refresh())) {
        const event = eventOf(parse(line));
        if (event !== undefined) yield event;
      }
    } catch (error) {
      if (silence.signal.aborted && !signal.aborted)
        throw new ApiError(`the watch of ${path} was silent for ${silenceMs} ms`);
      throw error;
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  /** The answer's head has come, and is good. */
  async #get(path: string, query: Query, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.access.server);
    url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
    for (const [key, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(key, String(value));
    const options: RequestOptions = {
      method: 'GET',
      headers: { accept: 'application/json', 'user-agent': 'weft' },
    };
    await this.access.authorize(options);
    signal.throwIfAborted();
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      send(url, { ...options, signal }, resolve)
        .on('error', reject)
        .end();
    });
    const { statusCode = 0 } = response;
    if (statusCode === 200) return response;
    const text = await bodyOf(response, MAX_ERROR_BYTES).catch(() => '');
    throw new ApiError(`${path} answered ${statusCode}${reasonOf(text)}`, statusCode);
  }
}

function reasonOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as Wire<V1Status>;
    return typeof message === 'string' ? `: ${message}` : '';
  } catch {
    return '';
  }
}

function eventOf(value: unknown): WatchEvent | undefined {
  const { type, object } = value as { type?: unknown; object?: unknown };
  if (type === 'ERROR') {
    const { code, message } = (object ?? {}) as Wire<V1Status>;
    throw new ApiError(`the watch ended with an error: ${message ?? 'no message'}`, code);
  }
  if (typeof type !== 'string') throw new ApiError('an event of a watch has no type');
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK') return undefined;
  const version = (object as { metadata?: { resourceVersion?: unknown } } | null)?.metadata?.resourceVersion;
  return { type, object, ...(typeof version === 'string' ? { resourceVersion: version } : {}) };
}

/** What the API says is an object. */
function parse(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // told below
  }
  if (typeof value !== 'object' || value === null)
    throw new ApiError('the API answered something that is no JSON');
  return value;
}

async function bodyOf(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) throw new ApiError(`an answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Lines of a body, however it is cut into chunks; what stands behind the last line end is not a whole event. */
async function* linesOf(response: IncomingMessage, onChunk: () => void): AsyncGenerator<string, void, void> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    onChunk();
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8');
      parts = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== '') yield line;
    }
    parts.push(chunk.subarray(start));
    length += chunk.length - start;
    if (length > MAX_EVENT_BYTES) throw new ApiError(`an event is longer than ${MAX_EVENT_BYTES} bytes`);
  }
}
