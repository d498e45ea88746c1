import { Buffer, isUtf8 } from 'node:buffer';

const NEWLINE = 0x0a;

export interface LineHandler {
  /** A whole line without its newline; never empty. */
  line(text: string): void;
  /** A line that was not delivered. The lines after it are. */
  refused(reason: 'oversized' | 'encoding', bytes: number): void;
}

/**
 * Splits a byte stream into lines. Memory is bounded: a line longer than `maxBytes` is thrown away as it arrives and
 * reported once, at its end or when it has passed four times the limit (`overrun` then stays true, as no end
 * may ever come).
 */
export class LineSplitter {
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #discarding = false;
  overrun = false;

  constructor(
    private readonly maxBytes: number,
    private readonly handler: LineHandler,
  ) {}

  /** Returns how many bytes it took: fewer than there are if `goOn` said no between two lines. */
  push(chunk: Buffer, goOn: () => boolean = () => true): number {
    let start = 0;
    while (goOn()) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) {
        if (start < chunk.length) this.#keep(chunk.subarray(start));
        return chunk.length;
      }
      this.#finish(chunk.subarray(start, end));
      start = end + 1;
    }
    return start;
  }

  #keep(rest: Buffer): void {
    this.#partialBytes += rest.length;
    if (this.#partialBytes > this.maxBytes) {
      this.#discarding = true;
      this.#partial = [];
      if (this.#partialBytes > 4 * this.maxBytes && !this.overrun) {
        this.overrun = true;
        this.handler.refused('oversized', this.#partialBytes);
      }
      return;
    }
    this.#partial.push(rest);
  }

  #finish(tail: Buffer): void {
    const bytes = this.#partialBytes + tail.length;
    let line = tail;
    if (this.#partialBytes > 0) {
      if (!this.#discarding) line = Buffer.concat([...this.#partial, tail], bytes);
      this.#partial = [];
      this.#partialBytes = 0;
    }
    if (this.#discarding || bytes > this.maxBytes) {
      this.#discarding = false;
      if (!this.overrun) this.handler.refused('oversized', bytes);
      this.overrun = false;
      return;
    }
    if (bytes === 0 || (bytes === 1 && line[0] === 0x0d)) return;
    if (!isUtf8(line)) {
      this.handler.refused('encoding', bytes);
      return;
    }
    this.handler.line(line.toString('utf8'));
  }
}
