/**
 * Follows etcd from a revision: groups events by transaction, holds a large transaction back until it is whole, connects
 * again after a loss, and asks for the whole list when the revision has been compacted away, or when etcd is not there yet because
 * it was restored from a backup.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { StoredRecord, StoreEvent, WatchBatch } from './store.js';
import type { EtcdClient } from './etcd-client.js';
import type { Keys } from './etcd-keys.js';
import type { WatchEvent, WatchRequest, WatchResponse } from './etcd-protocol.js';

/** Answers of etcd that wait for a slow reader before the stream is told to wait. */
const MAX_WAITING = 64;
const RETRY_MS = 200;

export interface Watched {
  readonly client: EtcdClient;
  readonly keys: Keys;
  list(prefix: string): Promise<{ readonly revision: number; readonly records: readonly StoredRecord[] }>;
}

export async function* watchRecords(
  { client, keys, list }: Watched,
  prefix: string,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<WatchBatch, void, undefined> {
  const assembler = new BatchAssembler(keys, prefix, fromRevision);
  while (!signal.aborted) {
    let missed = false;
    try {
      for await (const response of responses(client, keys, assembler.position + 1, signal)) {
        // A watch from a revision to come is silent until then. A member that lags behind says so too; the list tells.
        if (response.compactRevision > 0 || isBefore(response, assembler.position)) missed = true;
        if (response.canceled || missed) break;
        yield* assembler.add(response.events);
      }
      if (!missed) await pause(RETRY_MS, signal);
    } catch {
      // The connection was lost, or not to be had: what matters is told by the client's state.
      client.lost();
      await pause(RETRY_MS, signal);
    }
    if (!missed || signal.aborted) continue;
    try {
      const { revision, records } = await list(prefix);
      const restored = revision < assembler.position;
      assembler.restart(revision);
      const events = records.map((record): StoreEvent => ({ type: 'put', record }));
      yield { revision, relisted: true, ...(restored ? { restored } : {}), events };
    } catch {
      await pause(RETRY_MS, signal);
    }
  }
}

function isBefore({ created, header }: WatchResponse, position: number): boolean {
  return created && header.revision < position;
}

/** Makes batches of events; what it has given out decides where a new connection begins. */
class BatchAssembler {
  readonly #keys: Keys;
  readonly #prefix: string;
  /** Revision of the last batch that is complete. */
  position: number;
  /** Changes of a large transaction under way, the last of each key. */
  #large: Map<string, StoreEvent> | undefined;

  constructor(keys: Keys, prefix: string, position: number) {
    this.#keys = keys;
    this.#prefix = prefix;
    this.position = position;
  }

  /** After a whole list. */
  restart(revision: number): void {
    this.position = revision;
    this.#large = undefined;
  }

  *add(events: readonly WatchEvent[]): Iterable<WatchBatch> {
    for (let start = 0; start < events.length; ) {
      const revision = (events[start] as WatchEvent).kv.modRevision;
      let end = start + 1;
      while (end < events.length && events[end]?.kv.modRevision === revision) end += 1;
      const batch = this.#transaction(revision, events.slice(start, end));
      if (batch !== undefined) yield batch;
      start = end;
    }
  }

  #transaction(revision: number, events: readonly WatchEvent[]): WatchBatch | undefined {
    const marker = events.find(({ kv }) => this.#keys.isMarker(kv.key));
    if (marker?.type === 'PUT') this.#large = new Map();
    const changes = events.flatMap((event) => this.#change(event));
    if (this.#large === undefined) return this.#complete(revision, changes);
    for (const change of changes) {
      const key = change.type === 'put' ? change.record.key : change.key;
      this.#large.delete(key);
      this.#large.set(key, change);
    }
    if (marker?.type !== 'DELETE') return undefined;
    const whole = [...this.#large.values()];
    this.#large = undefined;
    return this.#complete(revision, whole);
  }

  #complete(revision: number, events: readonly StoreEvent[]): WatchBatch | undefined {
    this.position = revision;
    return events.length === 0 ? undefined : { revision, events };
  }

  #change({ type, kv }: WatchEvent): StoreEvent[] {
    const key = this.#keys.recordKey(kv.key);
    if (key === undefined || !key.startsWith(this.#prefix)) return [];
    if (type === 'DELETE') return [{ type: 'delete', key }];
    return [{ type: 'put', record: { key, value: kv.value, revision: kv.modRevision } }];
  }
}

/** What one watch answers until it ends; throws when its connection fails. */
async function* responses(
  client: EtcdClient,
  keys: Keys,
  startRevision: number,
  signal: AbortSignal,
): AsyncGenerator<WatchResponse, void, undefined> {
  const stream = await client.watch();
  const waiting: WatchResponse[] = [];
  let ended: { error?: Error } | undefined;
  let wake: () => void = () => undefined;
  stream.on('data', (response: WatchResponse) => {
    waiting.push(response);
    if (waiting.length >= MAX_WAITING) stream.pause();
    wake();
  });
  const end = (error?: Error) => {
    ended ??= error === undefined ? {} : { error };
    wake();
  };
  stream.on('error', end);
  stream.on('end', () => end());
  const abort = () => end();
  signal.addEventListener('abort', abort, { once: true });
  // It may have aborted while the connection was made.
  if (signal.aborted) abort();
  create(stream, keys, startRevision);
  try {
    for (;;) {
      const response = waiting.shift();
      if (response !== undefined) {
        if (waiting.length === 0 && stream.isPaused()) stream.resume();
        yield response;
      } else if (ended !== undefined) {
        if (ended.error !== undefined) throw ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', abort);
    stream.on('error', () => undefined);
    stream.cancel();
  }
}

function create(
  stream: ClientDuplexStream<WatchRequest, WatchResponse>,
  keys: Keys,
  startRevision: number,
): void {
  stream.write({ createRequest: { ...keys.watched, startRevision, progressNotify: false } });
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
  });
}
