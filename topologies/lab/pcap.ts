/**
 * A reader of classic pcap files (the format tcpdump writes: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html).
 * Both byte orders, microsecond and nanosecond stamps; a truncated last record (a capture still being written) ends the list.
 */
export interface CapturedFrame {
  /** Seconds since 1970, UTC. */
  readonly time: number;
  /** Length on the wire, bytes; `bytes` may be shorter when the capture's snap length cut it. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

const FILE_HEADER_LENGTH = 24;
const RECORD_HEADER_LENGTH = 16;
const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

/** @throws RangeError when the file does not begin with a pcap header. An empty file is a capture without frames. */
export function parsePcap(file: Uint8Array): CapturedFrame[] {
  if (file.length === 0) return [];
  if (file.length < FILE_HEADER_LENGTH) throw new RangeError(`pcap: ${file.length} bytes are no file header`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isMagic = (magic: number): boolean => magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS;
  const littleEndian = isMagic(view.getUint32(0, true));
  const magic = view.getUint32(0, littleEndian);
  if (!isMagic(magic)) throw new RangeError(`pcap: unknown magic number 0x${magic.toString(16)}`);
  const fraction = magic === MAGIC_NANOSECONDS ? 1e-9 : 1e-6;
  const frames: CapturedFrame[] = [];
  for (let at = FILE_HEADER_LENGTH; at + RECORD_HEADER_LENGTH <= file.length; ) {
    const captured = view.getUint32(at + 8, littleEndian);
    const start = at + RECORD_HEADER_LENGTH;
    if (start + captured > file.length) break;
    frames.push({
      time: view.getUint32(at, littleEndian) + view.getUint32(at + 4, littleEndian) * fraction,
      length: view.getUint32(at + 12, littleEndian),
      bytes: file.subarray(start, start + captured),
    });
    at = start + captured;
  }
  return frames;
}
