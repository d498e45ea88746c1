/** What the tables of messages are made of. */
import type { Message, MessageOf, MessageType } from '../messages.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';

/** One message's bytes after the common header (8 bytes; experimenters': 16, with experimenter and subtype). */
export interface MessageCodec<T extends MessageType = MessageType> {
  readonly type: T;
  /** Message type of the header, or the subtype where there is an experimenter. */
  readonly number: number;
  /** Bytes a body has at least. */
  readonly minimum: number;
  write(writer: Writer, message: MessageOf<T>): void;
  /** Reads a body of which at least `minimum` bytes are there. */
  read(reader: Reader, end: number, xid: number): MessageOf<T>;
}

export type AnyMessageCodec = MessageCodec<MessageType>;

/** Gives a table row its exact type, and the table a common one. */
export function messageCodec<T extends MessageType>(row: MessageCodec<T>): AnyMessageCodec {
  // Sound because rows are only ever called with a message of their own type.
  return row as unknown as AnyMessageCodec;
}

/** A row for a message that is its header alone. */
export function bareMessage(type: MessageType, number: number): AnyMessageCodec {
  return {
    type,
    number,
    minimum: 0,
    write: () => undefined,
    read: (_reader, _end, xid) => ({ type, xid }) as Message,
  };
}
