/**
 * A slab of zeroed bytes that messages are appended to. Space is used once and never rewritten, so views handed out by
 * `take` stay valid, and padding is written by moving on.
 */

/** Space that a message finds at its start; longer ones make the slab grow while they are written. */
const HEADROOM = 4096;

/** A number that its field on the wire cannot hold; the encoder writes nothing of the message that has it. */
export class ValueOutOfRange extends Error {
  override readonly name = 'ValueOutOfRange';
  readonly code = 'OFPROTO_VALUE_OUT_OF_RANGE';

  constructor(
    readonly value: number | bigint,
    /** Width of the field. */
    readonly bits: number,
    /** `type` of the message, and the places in it that hold the value. */
    readonly where?: string,
  ) {
    super(
      `${value} does not fit into ${where === undefined ? `${bits} bits` : `the ${bits} bits of ${where}`}; ` +
        'numbers are unsigned and whole',
    );
  }
}

const MAX_U64 = (1n << 64n) - 1n;
/** Throws where a value has more than 64 bits or is negative. */
export function requireU64(value: bigint, where?: string): void {
  if (value < 0n || value > MAX_U64) throw new ValueOutOfRange(value, 64, where);
}

const MAX_U128 = (1n << 128n) - 1n;

export class Writer {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next byte goes. */
  offset = 0;
  /** First byte that has not been taken. */
  private base = 0;

  /** `slabSize`: bytes allocated at a time. */
  constructor(private readonly slabSize: number) {
    this.bytes = new Uint8Array(0);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes written and not yet taken. */
  get pending(): number {
    return this.offset - this.base;
  }

  /** Prepares for a message; returns the offset at which it starts. Offsets are stable until the next call. */
  begin(): number {
    if (this.offset + HEADROOM > this.bytes.length) {
      const pending = this.bytes.subarray(this.base, this.offset);
      this.allocate(Math.max(this.slabSize, 2 * pending.length + HEADROOM));
      this.bytes.set(pending);
      this.offset = pending.length;
      this.base = 0;
    }
    return this.offset;
  }

  /** Makes sure that `count` bytes can be written at `offset`. */
  reserve(count: number): void {
    if (this.offset + count > this.bytes.length) this.grow(count);
  }

  /** Moves over `count` zero bytes. */
  skip(count: number): void {
    this.reserve(count);
    this.offset += count;
  }

  /** Moves over zeros to the next multiple of 8 from `start`. */
  pad8(start: number): void {
    this.skip(-(this.offset - start) & 7);
  }

  u8(value: number): void {
    this.reserve(1);
    if ((value & 0xff) !== value) throw new ValueOutOfRange(value, 8);
    this.view.setUint8(this.offset, value);
    this.offset += 1;
  }

  u16(value: number): void {
    this.reserve(2);
    if ((value & 0xffff) !== value) throw new ValueOutOfRange(value, 16);
    this.view.setUint16(this.offset, value);
    this.offset += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    if (value >>> 0 !== value) throw new ValueOutOfRange(value, 32);
    this.view.setUint32(this.offset, value);
    this.offset += 4;
  }

  u64(value: bigint): void {
    this.reserve(8);
    requireU64(value);
    this.view.setBigUint64(this.offset, value);
    this.offset += 8;
  }

  u128(value: bigint): void {
    this.reserve(16);
    if (value < 0n || value > MAX_U128) throw new ValueOutOfRange(value, 128);
    this.view.setBigUint64(this.offset, value >> 64n);
    this.view.setBigUint64(this.offset + 8, value);
    this.offset += 16;
  }

  /** An Ethernet address. */
  u48(value: number): void {
    this.reserve(6);
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffffffff) throw new ValueOutOfRange(value, 48);
    this.view.setUint16(this.offset, value / 0x100000000);
    this.view.setUint32(this.offset + 2, value);
    this.offset += 6;
  }

  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.offset);
    this.offset += bytes.length;
  }

  /** Text in UTF-8 in a field of `size` bytes, cut so that a zero byte always ends it. */
  text(value: string, size: number): void {
    this.reserve(size);
    encoder.encodeInto(value, this.bytes.subarray(this.offset, this.offset + size - 1));
    this.offset += size;
  }

  /** 16 bits of a length. One that needs more lies in a message that is refused as a whole, so it is cut. */
  length(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.offset, value);
    this.offset += 2;
  }

  /** Writes the length of what lies between `start` and here into the two bytes at `at`. */
  patchLength(at: number, start: number): void {
    this.view.setUint16(at, this.offset - start);
  }

  /** Forgets everything from `start` on. */
  rollback(start: number): void {
    this.bytes.fill(0, start, this.offset);
    this.offset = start;
  }

  /** A view of everything written since the last call. It stays valid: its bytes are not written again. */
  take(): Uint8Array {
    const taken = this.bytes.subarray(this.base, this.offset);
    this.base = this.offset;
    return taken;
  }

  private grow(count: number): void {
    const old = this.bytes;
    this.allocate(Math.max(2 * old.length, this.offset + count + HEADROOM));
    this.bytes.set(old.subarray(this.base, this.offset), this.base);
  }

  private allocate(size: number): void {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
}

const encoder = new TextEncoder();
