/**
 * The fast path of packet-ins: what is needed to answer one, read where it lies, with nothing allocated. Decoding a packet-in in full takes several
 * times as long as answering it.
 */
import { NO_BUFFER } from './constants.js';
import { NICIRA_EXPERIMENTER } from './oxm/extensions.js';
import { F } from './oxm/registry.js';

const PACKET_IN = 10;
const EXPERIMENTER = 4;
const NXT_PACKET_IN2 = 30;
/** Properties of NXT_PACKET_IN2, by number. */
const Property = {
  packet: 0,
  fullLength: 1,
  bufferId: 2,
  metadata: 6,
  userdata: 7,
  continuation: 8,
} as const;
/** Header of the OXM of `in_port`, as one number. */
const IN_PORT = F.in_port.header | 0;
const MATCH_TYPE_OXM = 1;
/** Of a packet-in, up to its match. */
const PACKET_IN_FIXED = 24;
/** Of NXT_PACKET_IN2, up to its properties. */
const PACKET_IN2_FIXED = 16;

/**
 * A packet-in of either format whose frame is whole and in it. It looks into the bytes that `read` was given: it is good until the next
 * `read`, and what is kept of the frame must be copied. What it does not tell it does not check either: a message that the decoder
 * refuses because of another field may be taken here, none is taken that the decoder reads otherwise.
 */
export class PacketInView {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  inPort = 0;
  /** Where in `bytes` the frame begins and ends. */
  frameStart = 0;
  frameEnd = 0;
  /** Where the user data begins and ends; equal where there is none. */
  userdataStart = 0;
  userdataEnd = 0;

  /** Looks at the message from `start` to `end`; false where it is not such a packet-in. Both lie within `bytes`. */
  read(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    this.bytes = bytes;
    this.view = view;
    this.inPort = -1;
    this.frameStart = -1;
    this.userdataStart = this.userdataEnd = end;
    const type = view.getUint8(start + 1);
    const read =
      type === PACKET_IN
        ? this.#packetIn(view, start, end)
        : type === EXPERIMENTER && this.#packetIn2(view, start, end);
    return read && this.inPort !== -1 && this.frameStart !== -1;
  }

  /** A copy of the frame. */
  frame(): Uint8Array {
    return this.bytes.slice(this.frameStart, this.frameEnd);
  }

  #packetIn(view: DataView, start: number, end: number): boolean {
    const match = start + PACKET_IN_FIXED;
    if (match + 8 > end || view.getUint32(start + 8) !== NO_BUFFER) return false;
    const length = view.getUint16(match + 2);
    const frame = match + ((length + 7) & ~7) + 2;
    if (view.getUint16(match) !== MATCH_TYPE_OXM || length < 4 || frame > end) return false;
    this.frameStart = frame;
    this.frameEnd = end;
    return view.getUint16(start + 12) === end - frame && this.#metadata(view, match + 4, match + length);
  }

  #packetIn2(view: DataView, start: number, end: number): boolean {
    if (end - start < PACKET_IN2_FIXED) return false;
    if (view.getUint32(start + 8) !== NICIRA_EXPERIMENTER || view.getUint32(start + 12) !== NXT_PACKET_IN2)
      return false;
    let fullLength = -1;
    for (let at = start + PACKET_IN2_FIXED; at < end; ) {
      if (at + 4 > end) return false;
      const length = view.getUint16(at + 2);
      const valueEnd = at + length;
      if (length < 4 || valueEnd > end) return false;
      switch (view.getUint16(at)) {
        case Property.packet:
          this.frameStart = at + 4;
          this.frameEnd = valueEnd;
          break;
        case Property.fullLength:
          if (length !== 8) return false;
          fullLength = view.getUint32(at + 4);
          break;
        case Property.metadata:
          if (!this.#metadata(view, at + 4, valueEnd)) return false;
          break;
        case Property.userdata:
          this.userdataStart = at + 4;
          this.userdataEnd = valueEnd;
          break;
        case Property.bufferId:
        case Property.continuation:
          return false;
      }
      at += (length + 7) & ~7;
    }
    return fullLength === -1 || fullLength === this.frameEnd - this.frameStart;
  }

  /** The first `in_port` among OXMs; false where there is none. */
  #metadata(view: DataView, start: number, end: number): boolean {
    for (let at = start; at + 4 <= end; at += 4 + view.getUint8(at + 3)) {
      if (view.getInt32(at) !== IN_PORT) continue;
      if (at + 8 > end) return false;
      this.inPort = view.getUint32(at + 4);
      return true;
    }
    return false;
  }
}
