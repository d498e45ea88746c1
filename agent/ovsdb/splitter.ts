/**
 * Cuts a byte stream into JSON objects. OVSDB puts one JSON-RPC object after another with no delimiter (RFC 7047 section 4.1:
 * "the wire protocol is JSON-RPC 1.0"), so the end of a message is where the braces close. This counts braces outside of strings and leaves all
 * else to `JSON.parse`, which is several times faster than parsing the stream by hand.
 */
import { OvsdbError } from './error.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const isWhitespace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

export class JsonSplitter {
  private readonly chunks: Uint8Array[] = [];
  private buffered = 0;
  private depth = 0;
  private inString = false;
  private escaped = false;

  /** `maxMessageBytes` bounds what one message may hold in memory. */
  constructor(private readonly maxMessageBytes: number) {}

  /**
   * Take the next bytes and give the messages that they complete, parsed.
   * @throws OvsdbError `ovsdb.protocol` on bytes between messages, a message too large or one that is no JSON. The splitter is
   * of no use after that: where the next message starts is unknown.
   */
  push(chunk: Uint8Array): unknown[] {
    const messages: unknown[] = [];
    let start = 0;
    let { depth, inString, escaped } = this;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE && depth > 0) {
        inString = true;
      } else if (byte === OPEN_BRACE) {
        if (depth++ === 0) start = at;
      } else if (byte === CLOSE_BRACE && depth > 0) {
        if (--depth === 0) {
          messages.push(this.take(chunk.subarray(start, at + 1)));
          start = at + 1;
        }
      } else if (depth === 0 && !isWhitespace(byte)) {
        throw new OvsdbError('ovsdb.protocol', `byte 0x${byte.toString(16)} where a message should begin`);
      }
    }
    this.depth = depth;
    this.inString = inString;
    this.escaped = escaped;
    if (depth > 0) this.keep(chunk.subarray(start));
    return messages;
  }

  private keep(part: Uint8Array): void {
    this.check(part.length);
    // The socket may reuse its buffer for the next chunk.
    this.chunks.push(Uint8Array.from(part));
    this.buffered += part.length;
  }

  private take(last: Uint8Array): unknown {
    this.check(last.length);
    const bytes = this.chunks.length === 0 ? last : Buffer.concat([...this.chunks, last]);
    this.chunks.length = 0;
    this.buffered = 0;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new OvsdbError('ovsdb.protocol', `a message that is no JSON: ${text.slice(0, 80)}`, { cause });
    }
  }

  private check(more: number): void {
    if (this.buffered + more > this.maxMessageBytes) {
      throw new OvsdbError('ovsdb.protocol', `a message of more than ${this.maxMessageBytes} bytes`);
    }
  }
}
