import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Message, MessageOf, MessageType } from '../../ofproto/index.js';
import { Decoder, encode, OFP_VERSION } from '../../ofproto/index.js';
import { waitFor } from '../support/wait-for.js';

/** The far end of a connection, played by a test line by line. */
export class ScriptedPeer {
  readonly received: Message[] = [];
  closed = false;
  readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    const decoder = new Decoder({
      message: (message) => this.received.push(message),
      malformed: (error) => {
        throw error;
      },
    });
    socket.on('data', (bytes: Buffer) => decoder.push(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async connect(port: number): Promise<ScriptedPeer> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await new Promise((resolve) => socket.once('connect', resolve));
    return new ScriptedPeer(socket);
  }

  send(...messages: Message[]): void {
    for (const message of messages) this.socket.write(encode(message));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  hello(): void {
    this.send({ type: 'hello', xid: 1, version: OFP_VERSION, versions: [OFP_VERSION] });
  }

  /** Waits for the next message of a type that has not been taken yet. */
  async next<T extends MessageType>(type: T): Promise<MessageOf<T>> {
    return waitFor(`${type} from the controller`, () => {
      const index = this.received.findIndex((message) => message.type === type);
      return index < 0 ? undefined : (this.received.splice(index, 1)[0] as MessageOf<T>);
    });
  }

  /** Answers the features request. */
  async features(datapathId: bigint, auxiliaryId = 0): Promise<void> {
    const { xid } = await this.next('features_request');
    this.send({
      type: 'features_reply',
      xid,
      datapathId,
      buffers: 0,
      tables: 254,
      auxiliaryId,
      capabilities: 0,
    });
  }

  async end(): Promise<void> {
    this.socket.destroy();
    await waitFor('socket closed', () => this.closed);
  }
}
