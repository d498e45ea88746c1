import type { Socket } from 'node:net';
import type { DecodeError, ErrorMessage, Message, PacketInView } from '../../ofproto/index.js';
import { Decoder, Encoder, encode, OFP_VERSION } from '../../ofproto/index.js';
import type { ChannelOptions } from './options.js';
import { ReadGate } from './read-gate.js';

/** Who gets what comes in. Replaced once, when the handshake is over. */
export interface Receiver {
  message(message: Message): void;
  /** Looks at packet-ins before they are decoded; true: it is dealt with, and `message` does not get it. Absent: all are decoded. */
  packetIn?(packetIn: PacketInView): boolean;
  /** A message with this xid could not be parsed; it has been answered and counted. */
  malformed(error: DecodeError): void;
  /** The write queue is below the high-water mark again. */
  drained(): void;
  /** Nothing comes any more. Called once. */
  closed(reason: string): void;
}

/** An error sent before closing, in the version of a peer that does not speak 1.3 (header and error are the same in all). */
export interface Farewell {
  readonly error: ErrorMessage;
  readonly version?: number;
}

export interface ConnectionCounters {
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
  malformed: number;
}

/** Allocated by an encoder at a time, once there is something to send. */
const SLAB_BYTES = 16 * 1024;
/** Type number of OFPT_ERROR. */
const ERROR_NUMBER = 1;
/** How long a closing connection may take to write what is queued. */
const LINGER_MS = 1_000;

/** Messages over one socket: framing, one write per turn of the event loop, back-pressure both ways, bounded queues. */
export class Connection {
  readonly remoteAddress: string;
  readonly acceptedAt = new Date();
  readonly readGate: ReadGate;
  readonly counters: ConnectionCounters = {
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    malformed: 0,
  };
  /** Clock of the current chunk of input, so that many messages cost one reading. */
  receivedAt = performance.now();
  receiver: Receiver;
  readonly #socket: Socket;
  readonly #options: ChannelOptions;
  readonly #onClosed: (reason: string) => void;
  readonly #encoder = new Encoder({ slabSize: SLAB_BYTES });
  readonly #decoder: Decoder;
  #corked = false;
  #congested = false;
  #closed = false;

  /** `onClosed` is called before the receiver's `closed`. */
  constructor(
    socket: Socket,
    options: ChannelOptions,
    receiver: Receiver,
    onClosed: (reason: string) => void,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.receiver = receiver;
    this.#onClosed = onClosed;
    this.remoteAddress = formatAddress(socket);
    this.readGate = new ReadGate(socket, options.readPauseLimitMs);
    this.#decoder = new Decoder({
      message: (message) => {
        this.counters.messagesIn += 1;
        if (!this.#closed) this.#deliver(message);
      },
      malformed: (error) => this.#malformed(error),
      packetIn: (packetIn) => this.#glance(packetIn),
    });
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', (error) => this.#end(error.message));
    socket.on('end', () => this.close('closed by the switch'));
    socket.on('close', () => this.#end('closed'));
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Above the high-water mark: whoever can should wait for `Receiver.drained`. */
  get congested(): boolean {
    return this.#congested;
  }

  /** Queues a message; false when the queue is above the high-water mark or the connection closed. */
  send(message: Message): boolean {
    if (this.#closed) return false;
    this.#cork();
    this.#encoder.append(message);
    this.counters.messagesOut += 1;
    return this.#queued();
  }

  /** Queues a packet-out; see `Encoder.appendPacketOut`. */
  sendPacketOut(head: Uint8Array, packet: Uint8Array, from: number, to: number): boolean {
    if (this.#closed) return false;
    this.#cork();
    this.#encoder.appendPacketOut(head, packet, from, to);
    this.counters.messagesOut += 1;
    return this.#queued();
  }

  /** Queues messages that are encoded already. The bytes must not change until they are written. */
  write(bytes: Uint8Array): boolean {
    if (this.#closed) return false;
    this.#cork();
    this.#passOn();
    this.#push(bytes);
    return this.#queued();
  }

  /** Writes what is queued, then closes. `farewell` tells the peer why. */
  close(reason: string, farewell?: Farewell): void {
    if (this.#closed) return;
    this.#passOn();
    if (farewell) this.#push(encodeFarewell(farewell));
    this.#uncork();
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#end(reason);
  }

  /** Closes without waiting for anything to be written: the peer does not read. */
  abandon(reason: string): void {
    if (this.#closed) return;
    this.#socket.destroy();
    this.#end(reason);
  }

  #read(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.receivedAt = performance.now();
    this.counters.bytesIn += bytes.length;
    this.#decoder.push(bytes);
  }

  /** A fault of ours in handling a message must not take the other switches along. */
  #deliver(message: Message): void {
    try {
      this.receiver.message(message);
    } catch (error) {
      this.#fault(message.type, error);
    }
  }

  #fault(type: string, error: unknown): void {
    const { remoteAddress } = this;
    const fields = { event: 'channel.fault', remoteAddress, message: type, err: error };
    this.#options.logger.error(fields, 'a message could not be handled');
    this.close(`internal error while handling ${type}`);
  }

  #glance(packetIn: PacketInView): boolean {
    if (this.receiver.packetIn === undefined || this.#closed) return false;
    let done = true;
    try {
      done = this.receiver.packetIn(packetIn);
    } catch (error) {
      this.#fault('packet_in', error);
    }
    if (done) this.counters.messagesIn += 1;
    return done;
  }

  #malformed(error: DecodeError): void {
    if (this.#closed) return;
    this.counters.malformed += 1;
    this.receiver.malformed(error);
    const { header, errorType, errorCode: code, data } = error;
    const answer: ErrorMessage = { type: 'error', xid: header.xid, errorType, code, data };
    const { maxMalformed } = this.#options;
    if (error.fatal) return this.close(error.message, { error: answer });
    if (this.counters.malformed > maxMalformed)
      return this.close(`more than ${maxMalformed} malformed messages`);
    // An error is never answered with an error.
    if (header.type !== ERROR_NUMBER) this.send(answer);
  }

  /** Whatever is queued from here on is written at once, when this turn is over. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(this.#flush);
  }

  /** After something was queued: looks at how much it is by now. */
  #queued(): boolean {
    const pending = this.#socket.writableLength + this.#encoder.pending;
    if (pending <= this.#options.writeHighWaterMark) return true;
    if (pending > this.#options.writeLimit) {
      this.abandon(`the switch does not read: ${pending} bytes wait to be written`);
      return false;
    }
    if (!this.#congested) {
      this.#congested = true;
      this.readGate.hold('peer');
    }
    return false;
  }

  readonly #flush = (): void => {
    this.#passOn();
    this.#uncork();
  };

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  /** Hands the encoder's bytes to the socket. */
  #passOn(): void {
    if (this.#encoder.pending > 0) this.#push(this.#encoder.take());
  }

  #push(bytes: Uint8Array): void {
    this.counters.bytesOut += bytes.length;
    this.#socket.write(bytes, this.#written);
  }

  readonly #written = (): void => {
    if (!this.#congested || this.#closed) return;
    if (this.#socket.writableLength > this.#options.writeHighWaterMark / 2) return;
    this.#congested = false;
    this.readGate.release('peer');
    this.receiver.drained();
  };

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.readGate.stop();
    this.#onClosed(reason);
    this.receiver.closed(reason);
  }
}

function encodeFarewell({ error, version = OFP_VERSION }: Farewell): Uint8Array {
  const bytes = Uint8Array.from(encode(error));
  bytes[0] = Math.min(version, OFP_VERSION);
  return bytes;
}

function formatAddress({ remoteAddress = 'unknown', remotePort = 0 }: Socket): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`;
}
