import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';

/** Written to the stream at a time, so that a `drain` is a sign of progress even of a long queue. */
const WRITE_BYTES = 256 * 1024;

/** A turn that has produced more is not waited for: the stream may say that it is full, and then no more is read. */
const TURN_BYTES = 1024 * 1024;

const dirty = new Set<Outbox>();

/** All outboxes of the process are written once, at the end of the event-loop turn that filled them. */
function schedule(outbox: Outbox): void {
  if (dirty.size === 0) setImmediate(flushAll);
  dirty.add(outbox);
}

function flushAll(): void {
  const outboxes = [...dirty];
  dirty.clear();
  for (const outbox of outboxes) outbox.flush();
}

/**
 * What waits to be written to one stream. Messages of a turn leave in one write. While the stream does not drain,
 * messages wait here, and of messages with the same key only the last one is kept.
 */
export class Outbox {
  #queue: (string | Buffer)[] = [];
  #queueBytes = 0;
  #keyed = new Map<string, Buffer>();
  #keyedBytes = 0;
  #discarded = false;
  /** Messages that a later one with the same key replaced before they were written. */
  superseded = 0;

  constructor(
    private readonly stream: Duplex,
    private readonly onProgress: () => void,
  ) {
    stream.on('drain', () => {
      this.onProgress();
      this.flush();
    });
  }

  /** Bytes that the peer has not taken: here and in the stream's own buffer. */
  get bytes(): number {
    return this.#queueBytes + this.#keyedBytes + this.stream.writableLength;
  }

  get blocked(): boolean {
    return this.stream.writableNeedDrain;
  }

  push(message: string | Buffer): void {
    if (this.#discarded) return;
    this.#queueBytes += typeof message === 'string' ? Buffer.byteLength(message) : message.length;
    this.#queue.push(message);
    if (this.blocked) return;
    if (this.#queueBytes >= TURN_BYTES) this.flush();
    else schedule(this);
  }

  /** Like push, but replaces a message with the same key that still waits behind a stream that does not drain. */
  pushKeyed(key: string, message: Buffer): void {
    if (!this.blocked) {
      this.push(message);
      return;
    }
    if (this.#discarded) return;
    const previous = this.#keyed.get(key);
    if (previous !== undefined) {
      this.#keyedBytes -= previous.length;
      this.#keyed.delete(key);
      this.superseded += 1;
    }
    this.#keyed.set(key, message);
    this.#keyedBytes += message.length;
  }

  flush(): void {
    if (this.#discarded || this.blocked) return;
    if (this.#keyed.size > 0) {
      this.#queue.push(...this.#keyed.values());
      this.#queueBytes += this.#keyedBytes;
      this.#keyed.clear();
      this.#keyedBytes = 0;
    }
    let start = 0;
    while (start < this.#queue.length && !this.blocked) {
      const batch = take(this.#queue, start);
      start = batch.end;
      this.#queueBytes -= batch.bytes;
      this.stream.write(batch.data);
    }
    if (start > 0) this.#queue.splice(0, start);
  }

  /** Writes what waits, whatever the stream says, ends it and calls back when all of it has left. */
  end(done: () => void): void {
    this.#queue.push(...this.#keyed.values());
    const rest = this.#queue;
    this.discard();
    for (const message of rest) this.stream.write(message);
    this.stream.end(done);
  }

  /** The peer is gone: forgets everything and takes nothing more. */
  discard(): void {
    this.#discarded = true;
    this.#queue = [];
    this.#queueBytes = 0;
    this.#keyed.clear();
    this.#keyedBytes = 0;
    dirty.delete(this);
  }
}

/** Joins messages from `start` on until they fill one write. */
function take(queue: readonly (string | Buffer)[], start: number) {
  let end = start;
  let bytes = 0;
  let onlyText = true;
  while (end < queue.length && bytes < WRITE_BYTES) {
    const message = queue[end] as string | Buffer;
    if (typeof message === 'string') bytes += Buffer.byteLength(message);
    else {
      bytes += message.length;
      onlyText = false;
    }
    end += 1;
  }
  const only = queue[start] as string | Buffer;
  if (end - start === 1) return { data: only, bytes, end };
  const messages = queue.slice(start, end);
  if (onlyText) return { data: messages.join(''), bytes, end };
  const buffers = messages.map((message) => (typeof message === 'string' ? Buffer.from(message) : message));
  return { data: Buffer.concat(buffers, bytes), bytes, end };
}
