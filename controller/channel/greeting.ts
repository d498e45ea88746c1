import type { Socket } from 'node:net';
import type { DecodeError, FeaturesReply, Hello, Message, PortDescription } from '../../ofproto/index.js';
import { BadRequestCode, ErrorType, HelloFailedCode, OFP_VERSION } from '../../ofproto/index.js';
import { Connection } from './connection.js';
import type { Farewell, Receiver } from './connection.js';
import { SwitchError } from './errors.js';
import type { Introduction } from './handshake.js';
import { applyPortStatus, askFeatures, introduce, negotiate } from './handshake.js';
import type { ChannelOptions } from './options.js';
import { closedError, Requests } from './requests.js';
import type { DatapathId } from './session.js';

/** The handshake ends here, and the peer is told why. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly farewell: Farewell;

  constructor(reason: string, kind: 'incompatible' | 'denied' | 'bad-type', peer: Message) {
    super(reason);
    const error = { type: 'error', xid: peer.xid, data: new TextEncoder().encode(reason) } as const;
    const version = peer.type === 'hello' ? peer.version : OFP_VERSION;
    if (kind === 'bad-type') {
      const code = BadRequestCode.BAD_TYPE;
      this.farewell = { version, error: { ...error, errorType: ErrorType.BAD_REQUEST, code } };
    } else {
      const code = kind === 'denied' ? HelloFailedCode.EPERM : HelloFailedCode.INCOMPATIBLE;
      this.farewell = { version, error: { ...error, errorType: ErrorType.HELLO_FAILED, code } };
    }
  }
}

/** A connection until its handshake is over; then a `Session` takes its place. */
export class Greeting implements Receiver {
  readonly connection: Connection;
  readonly requests: Requests;
  /** Set when the switch has been admitted. */
  datapathId: DatapathId | undefined;
  readonly #options: ChannelOptions;
  readonly #ports = new Map<number, PortDescription>();
  readonly #hello: Promise<Hello>;
  #helloArrived: (hello: Hello) => void = () => {};
  #failed: (error: Error) => void = () => {};
  #greeted = false;

  constructor(socket: Socket, options: ChannelOptions, onClosed: (reason: string) => void) {
    this.#options = options;
    this.requests = new Requests(options.multipartRecords);
    this.#hello = new Promise((resolve, reject) => {
      this.#helloArrived = resolve;
      this.#failed = reject;
    });
    this.connection = new Connection(socket, options, this, onClosed);
  }

  /**
   * Runs the handshake. `admit` says whether a switch with this datapath id may come in, and throws a reason if not.
   * @throws Refusal, or SwitchError
   */
  async run(admit: (datapathId: DatapathId) => Promise<void>): Promise<Introduction> {
    const { numbering } = this.#options;
    const { connection, requests } = this;
    const link = { requests, send: (message: Message) => connection.send(message) };
    link.send({ type: 'hello', xid: numbering.xid(), version: OFP_VERSION, versions: [OFP_VERSION] });

    const hello = await this.#hello;
    const agreement = negotiate(hello);
    if (!agreement.ok) throw new Refusal(agreement.text, 'incompatible', hello);

    const features = await askFeatures(link, numbering, this.#options.handshakeTimeoutMs);
    const datapathId = formatDatapathId(features);
    if (features.auxiliaryId !== 0) {
      throw new Refusal(
        `auxiliary connection ${features.auxiliaryId} of datapath ${datapathId}: auxiliary connections are not used`,
        'denied',
        features,
      );
    }
    try {
      await admit(datapathId);
    } catch (error) {
      throw new Refusal(error instanceof Error ? error.message : String(error), 'denied', features);
    }
    const introduction = await introduce(link, features, this.#ports, this.#options);
    if (!connection.open) throw closedError('handshake', 'closed');
    return introduction;
  }

  /**
   * Resolves with whether the switch says anything after an echo request in time; also once a session has taken over. The sockets
   * are looked at once more when the time is up: it may be us who stood still.
   */
  probe(timeoutMs: number): Promise<boolean> {
    const askedAt = performance.now();
    const xid = this.#options.numbering.xid();
    const accept = ({ type }: Message): boolean => type === 'echo_reply';
    const send = (): void => {
      this.connection.send({ type: 'echo_request', xid, data: new Uint8Array(0) });
    };
    const answer = this.requests.expect(xid, { what: 'echo request', timeoutMs, accept, send });
    return answer.then(
      () => true,
      async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return this.connection.open && this.connection.receivedAt >= askedAt;
      },
    );
  }

  message(message: Message): void {
    if (!this.#greeted) return this.#first(message);
    if (message.type === 'echo_request') {
      this.connection.send({ type: 'echo_reply', xid: message.xid, data: message.data });
    } else if (message.type === 'port_status') applyPortStatus(this.#ports, message);
    else this.requests.receive(message);
  }

  malformed(error: DecodeError): void {
    if (!this.#greeted) this.#failed(error);
    else this.requests.malformed(error.xid, error.message);
  }

  drained(): void {}

  closed(reason: string): void {
    this.#failed(closedError('handshake', reason));
    this.requests.close(reason);
  }

  /** The first message must be a hello, or the error that says that the peer did not like ours. */
  #first(message: Message): void {
    if (message.type === 'hello') {
      this.#greeted = true;
      this.#helloArrived(message);
    } else if (message.type === 'error') {
      const text = new TextDecoder().decode(message.data).replace(/[^\x20-\x7e]+/g, ' ');
      this.#failed(
        new SwitchError('switch.error', `the switch refused our hello: ${text}`, { error: message }),
      );
    } else this.#failed(new Refusal(`${message.type} came before hello`, 'bad-type', message));
  }
}

export const formatDatapathId = ({ datapathId }: FeaturesReply): DatapathId =>
  datapathId.toString(16).padStart(16, '0');
