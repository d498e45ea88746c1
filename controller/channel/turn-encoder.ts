import type { MeterMod } from '../../ofproto/index.js';
import { BundleControlType, BundleFlag, Encoder } from '../../ofproto/index.js';
import type { Numbering } from './numbering.js';
import type { BundleFrames, Chunk, Modification, Transaction } from './transaction.js';

/** Bundles are all or nothing, and in order. */
const BUNDLE_FLAGS = BundleFlag.ATOMIC | BundleFlag.ORDERED;

/** Modifications of one chunk that `chunks` makes; at 100 to 200 bytes each about 64 KiB. */
const CHUNK_MODIFICATIONS = 512;

/** Encodes the modifications of one turn. One bundle id serves all switches of the turn. */
export class TurnEncoder {
  readonly bundleId: number;
  readonly #numbering: Numbering;
  readonly #encoder = new Encoder();
  readonly #frames: BundleFrames;
  #messages = 0;
  #bytes = 0;

  constructor(numbering: Numbering) {
    this.#numbering = numbering;
    this.bundleId = numbering.bundleId();
    this.#frames = this.#encodeFrames();
  }

  /** Modifications and meters encoded so far, each counted once however many switches it goes to. */
  get encodedMessages(): number {
    return this.#messages;
  }

  /** Bytes of those, bundle headers included. */
  get encodedBytes(): number {
    return this.#bytes;
  }

  /** Encodes modifications, in this order. @throws what the codec throws for a message that cannot be encoded */
  chunk(modifications: readonly Modification[]): Chunk {
    const { bundleId } = this;
    const firstXid = this.#numbering.xids(Math.max(1, modifications.length));
    let xid = firstXid;
    for (const message of modifications) {
      this.#encoder.appendToBundle(bundleId, BUNDLE_FLAGS, xid, message);
      xid += 1;
    }
    return { bundleId, firstXid, modifications, bytes: this.#take(modifications.length) };
  }

  /** As `chunk`, in pieces of a moderate size, so that a large table neither needs one large buffer nor fills a write queue at once. */
  chunks(modifications: readonly Modification[]): Chunk[] {
    const chunks: Chunk[] = [];
    for (let start = 0; start < modifications.length; start += CHUNK_MODIFICATIONS) {
      chunks.push(this.chunk(modifications.slice(start, start + CHUNK_MODIFICATIONS)));
    }
    return chunks;
  }

  /** Encodes meters, which go outside the bundle. */
  meters(modifications: readonly MeterMod[]): Chunk<MeterMod> {
    const firstXid = this.#numbering.xids(Math.max(1, modifications.length));
    let xid = firstXid;
    for (const message of modifications) {
      this.#encoder.append({ ...message, xid });
      xid += 1;
    }
    return { bundleId: 0, firstXid, modifications, bytes: this.#take(modifications.length) };
  }

  /** What one switch gets of this turn. `chunks` must be of this encoder; they may be shared with other transactions. */
  transaction(parts: {
    readonly chunks: readonly Chunk[];
    readonly meters?: readonly Chunk<MeterMod>[];
    readonly metersAfter?: readonly Chunk<MeterMod>[];
  }): Transaction {
    const { chunks, meters = [], metersAfter = [] } = parts;
    for (const chunk of chunks) {
      if (chunk.bundleId !== this.bundleId) {
        throw new RangeError(
          `transaction: a chunk of bundle ${chunk.bundleId} in a transaction of bundle ${this.bundleId}; encode it with this encoder`,
        );
      }
    }
    return { bundleId: this.bundleId, meters, chunks, metersAfter, frames: this.#frames };
  }

  #take(messages: number): Uint8Array {
    const bytes = this.#encoder.take();
    this.#messages += messages;
    this.#bytes += bytes.length;
    return bytes;
  }

  #encodeFrames(): BundleFrames {
    const { bundleId } = this;
    const openXid = this.#numbering.xids(4);
    const [closeXid, commitXid, barrierXid] = [openXid + 1, openXid + 2, openXid + 3];
    const control = (xid: number, controlType: number): Uint8Array => {
      this.#encoder.append({ type: 'bundle_control', xid, bundleId, controlType, flags: BUNDLE_FLAGS });
      return this.#encoder.take();
    };
    this.#encoder.append({ type: 'barrier_request', xid: barrierXid });
    const barrier = this.#encoder.take();
    return {
      openXid,
      closeXid,
      commitXid,
      barrierXid,
      barrier,
      open: control(openXid, BundleControlType.OPEN_REQUEST),
      close: control(closeXid, BundleControlType.CLOSE_REQUEST),
      commit: control(commitXid, BundleControlType.COMMIT_REQUEST),
      discard: control(commitXid, BundleControlType.DISCARD_REQUEST),
    };
  }
}

/** The bytes of a chunk for a switch without bundles: the same modifications with the same xids, without the wrapper. */
export function plainBytes(chunk: Chunk): Uint8Array {
  const encoder = new Encoder();
  let xid = chunk.firstXid;
  for (const message of chunk.modifications) {
    encoder.append({ ...message, xid });
    xid += 1;
  }
  return encoder.take();
}
