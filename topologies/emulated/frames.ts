import { HEADER_LENGTH } from '../../ofproto/index.js';

/** Message type numbers (section 7.1) that are looked at before anything is decoded. */
export const MessageNumber = {
  HELLO: 0,
  ERROR: 1,
  ECHO_REPLY: 3,
  EXPERIMENTER: 4,
  PACKET_OUT: 13,
  FLOW_MOD: 14,
  GROUP_MOD: 15,
  BARRIER_REQUEST: 20,
  METER_MOD: 29,
} as const;

const NOTHING = new Uint8Array(0);

/** Cuts a stream into messages, without looking further than their headers. */
export class Frames {
  #rest: Uint8Array = NOTHING;

  /** The whole messages that are there after `bytes`, as views that are valid until the next call. */
  *push(bytes: Uint8Array): Iterable<Uint8Array> {
    const input = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let start = 0;
    while (input.length - start >= HEADER_LENGTH) {
      const length = ((input[start + 2] ?? 0) << 8) | (input[start + 3] ?? 0);
      if (length < HEADER_LENGTH) throw new Error(`a message of ${length} bytes: the stream is broken`);
      if (input.length - start < length) break;
      yield input.subarray(start, start + length);
      start += length;
    }
    this.#rest = start === input.length ? NOTHING : Uint8Array.from(input.subarray(start));
  }
}
