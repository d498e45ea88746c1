import type { MeterMod } from '../../ofproto/index.js';
import { BundleControlType, BundleFlag, Encoder } from '../../ofproto/index.js';
import type { Numbering } from './numbering.js';
import type { BundleFrames, Chunk, Modification, Transaction } from './transaction.js';

/** Bundles are all or nothing, and in order. */
const BUNDLE_FLAGS = BundleFlag.ATOMIC | BundleFlag.ORDERED;

/** Modifications of one chunk that `chunks` makes; at 100 to 200 bytes each about 64 KiB. */
const CHUNK_MODIFICATIONS = 512;

/** Largest piece that `transaction` makes out of smaller ones: copying them costs less than another write. */
const JOINED_BYTES = 16 * 1024;

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
    const frames = this.#frames;
    const bundle = chunks.length === 0 ? [] : [frames.open, ...chunks.map(bytesOf), frames.close];
    const upload = joinSmall([...meters.map(bytesOf), ...bundle]);
    const transaction = { bundleId: this.bundleId, meters, chunks, metersAfter, frames, upload };
    const [first] = chunks;
    if (!first || chunks.length > 1 || first.modifications.length > 1) return transaction;
    if (meters.length > 0 || metersAfter.length > 0) return transaction;
    const single = Buffer.concat([frames.open, first.bytes, frames.commitAndBarrier]);
    return { ...transaction, single };
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
    const commit = control(commitXid, BundleControlType.COMMIT_REQUEST);
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
      commit,
      commitAndBarrier: Buffer.concat([commit, barrier]),
      discard: control(commitXid, BundleControlType.DISCARD_REQUEST),
    };
  }
}

const bytesOf = ({ bytes }: Chunk<Modification | MeterMod>): Uint8Array => bytes;

/** Joins neighbours as long as the result stays below `JOINED_BYTES`. */
function joinSmall(pieces: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  let run: Uint8Array[] = [];
  let length = 0;
  const flush = (): void => {
    const [only] = run;
    if (only) joined.push(run.length === 1 ? only : Buffer.concat(run));
    run = [];
    length = 0;
  };
  for (const piece of pieces) {
    if (length + piece.length > JOINED_BYTES) flush();
    run.push(piece);
    length += piece.length;
  }
  flush();
  return joined;
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
