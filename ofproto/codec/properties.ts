/**
 * Properties: type and length of 16 bits each (the length counts the four bytes of the header and not the padding),
 * then the value, padded to 8 bytes. The form of OpenFlow 1.4, in which the extensions for 1.3 are written.
 */
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { BadRequestCode, ErrorType } from '../errors.js';

/** Writes a property whose value is what `body` writes. */
export function property(writer: Writer, number: number, body: () => void): void {
  const start = writer.offset;
  writer.u16(number);
  writer.skip(2);
  body();
  writer.patchLength(start + 2, start);
  writer.pad8(start);
}

export const flagProperty = (writer: Writer, number: number): void =>
  property(writer, number, () => undefined);
export const u8Property = (writer: Writer, number: number, value: number): void =>
  property(writer, number, () => writer.u8(value));
/** The padding counts in the length, as in all properties of 16 bits that Open vSwitch writes. */
export const u16Property = (writer: Writer, number: number, value: number): void =>
  property(writer, number, () => {
    writer.u16(value);
    writer.skip(2);
  });
/** Length of the value of `u16Property`. */
export const U16_LENGTH = 4;
export const u32Property = (writer: Writer, number: number, value: number): void =>
  property(writer, number, () => writer.u32(value));
/** 64 bits are aligned: four bytes of padding precede them. */
export const u64Property = (writer: Writer, number: number, value: bigint): void =>
  property(writer, number, () => {
    writer.skip(4);
    writer.u64(value);
  });
export const bytesProperty = (writer: Writer, number: number, value: Uint8Array): void =>
  property(writer, number, () => writer.raw(value));

/**
 * Reads properties up to `end`. `visit` gets each one's number and the length of its value, with the reader at the
 * value, and says whether it could take it; the first that it could not ends the reading, which then returns false.
 * @throws Malformed where a length passes `end`.
 */
export function readProperties(
  reader: Reader,
  end: number,
  visit: (number: number, length: number, valueEnd: number) => boolean,
): boolean {
  while (reader.offset < end) {
    const start = reader.offset;
    reader.need(4, end, 'property');
    const number = reader.u16();
    const length = reader.u16();
    if (length < 4 || start + length > end) {
      throw new Malformed(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_LEN,
        start,
        `property ${number} says it is ${length} bytes long; it needs at least 4 and there are ${end - start}`,
      );
    }
    if (!visit(number, length - 4, start + length)) return false;
    reader.offset = Math.min(end, start + ((length + 7) & ~7));
  }
  return true;
}
