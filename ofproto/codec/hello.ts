/** Hello with its version bitmap (OpenFlow 1.3.5, section 7.5.1). */
import type { Hello } from '../messages.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';

const VERSION_BITMAP = 1;
const MAX_VERSION = 0xff;

export function writeHello(writer: Writer, message: Hello): void {
  if (message.versions !== undefined) writeBitmap(writer, message.versions);
  for (const element of message.elements ?? []) {
    const start = writer.offset;
    writer.u16(element.number);
    writer.length(4 + element.data.length);
    writer.raw(element.data);
    writer.pad8(start);
  }
}

function writeBitmap(writer: Writer, versions: readonly number[]): void {
  const words = new Uint32Array(1 + (Math.max(0, ...versions) >>> 5));
  for (const version of versions) words[version >>> 5] = (words[version >>> 5] ?? 0) | (1 << (version & 31));
  const start = writer.offset;
  writer.u16(VERSION_BITMAP);
  writer.length(4 + 4 * words.length);
  for (const word of words) writer.u32(word);
  writer.pad8(start);
}

export function readHello(reader: Reader, end: number, xid: number): Hello {
  const version = reader.view.getUint8(reader.offset - 8);
  let versions: number[] | undefined;
  const elements: { number: number; data: Uint8Array }[] = [];
  while (reader.offset < end) {
    const start = reader.offset;
    reader.need(4, end, 'hello element');
    const number = reader.u16();
    const elementEnd = reader.bounded(start + 2, start, 4, end, 'hello element');
    reader.offset = start + 4;
    if (number === VERSION_BITMAP && versions === undefined) {
      versions = readBitmap(reader, elementEnd);
    } else {
      elements.push({ number, data: reader.rest(elementEnd) });
    }
    reader.offset = Math.min(end, start + ((elementEnd - start + 7) & ~7));
  }
  return {
    type: 'hello',
    xid,
    version,
    ...(versions === undefined ? {} : { versions }),
    ...(elements.length === 0 ? {} : { elements }),
  };
}

function readBitmap(reader: Reader, end: number): number[] {
  const versions: number[] = [];
  for (let first = 0; reader.offset + 4 <= end && first <= MAX_VERSION; first += 32) {
    const word = reader.u32();
    for (let bit = 0; bit < 32; bit++) if ((word >>> bit) & 1) versions.push(first + bit);
  }
  return versions;
}
