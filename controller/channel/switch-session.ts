import type {
  DecodeError,
  EchoReply,
  ErrorMessage,
  FeaturesReply,
  Message,
  MultipartRequest,
  PacketInView,
  PortDescription,
  SwitchDescription,
} from '../../ofproto/index.js';
import { BadRequestCode, ErrorType, encode, F, findOxm, PortReason } from '../../ofproto/index.js';
import type { Connection, Receiver } from './connection.js';
import type { SwitchError } from './errors.js';
import { describeMessage, nameOfError } from './errors.js';
import type { Introduction } from './handshake.js';
import { applyPortStatus } from './handshake.js';
import { Liveness } from './liveness.js';
import type { ChannelOptions } from './options.js';
import { PacketInGate } from './packet-in-gate.js';
import { isControllersMessage, mayAnswer, replyTypeOf } from './reply-types.js';
import type { Requests } from './requests.js';
import { closedError } from './requests.js';
import type {
  ChannelEvents,
  DatapathId,
  MultipartReplyTo,
  PacketInMessage,
  RequestOptions,
  SessionCounters,
  SwitchCapabilities,
  SwitchSession,
} from './session.js';
import { TransactionQueue } from './transactions.js';
import type { Transaction, TransactionResult } from './transaction.js';

/** Tells all who listen to one kind of event. A promise is returned where a handler returned one; it never rejects. */
export type Emit = <K extends keyof ChannelEvents>(
  event: K,
  ...values: Parameters<ChannelEvents[K]>
) => Promise<unknown> | undefined;

/** A switch from the end of its handshake to the end of its connection. */
export class Session implements SwitchSession, Receiver {
  readonly datapathId: DatapathId;
  readonly features: FeaturesReply;
  readonly description: SwitchDescription;
  readonly capabilities: SwitchCapabilities;
  readonly connectedAt = new Date();
  readonly #ports: Map<number, PortDescription>;
  readonly #connection: Connection;
  readonly #requests: Requests;
  readonly #options: ChannelOptions;
  readonly #emit: Emit;
  readonly #transactions: TransactionQueue;
  readonly #gate: PacketInGate;
  readonly #liveness: Liveness;
  readonly #waitingToWrite: { resolve: () => void; reject: (error: SwitchError) => void }[] = [];
  #echo: { readonly xid: number; readonly sentAt: number } | undefined;
  #roundTripMs: number | undefined;
  #unsolicitedErrors = 0;
  #packetInsInProgress = 0;
  #intercept: ((packetIn: PacketInView) => boolean) | undefined;
  /** The packet-in that comes next has passed the gate already. */
  #judged = false;

  constructor(
    datapathId: DatapathId,
    introduction: Introduction,
    connection: Connection,
    requests: Requests,
    options: ChannelOptions,
    emit: Emit,
  ) {
    this.datapathId = datapathId;
    this.features = introduction.features;
    this.description = introduction.description;
    this.capabilities = introduction.capabilities;
    this.#ports = introduction.ports;
    this.#connection = connection;
    this.#requests = requests;
    this.#options = options;
    this.#emit = emit;
    this.#transactions = new TransactionQueue(connection, {
      bundles: introduction.capabilities.bundles,
      timeoutMs: options.transactionTimeoutMs,
      stuck: (what) => this.close(what),
    });
    this.#gate = new PacketInGate(options.packetInRate, performance.now());
    this.#liveness = new Liveness({
      intervalMs: options.echoIntervalMs,
      toleranceMs: options.echoToleranceMs,
      heardAt: () => connection.receivedAt,
      ask: () => this.#sendEcho(),
      dead: (silentMs) => connection.abandon(`no answer to an echo request, silent for ${silentMs} ms`),
    });
  }

  get ports(): ReadonlyMap<number, PortDescription> {
    return this.#ports;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get open(): boolean {
    return this.#connection.open;
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  get counters(): SessionCounters {
    return {
      ...this.#connection.counters,
      unsolicitedErrors: this.#unsolicitedErrors,
      packetIns: this.#gate.counters,
      readPauses: this.#connection.readGate.pauses,
    };
  }

  xid(): number {
    return this.#options.numbering.xid();
  }

  request(message: Message, options: RequestOptions = {}): Promise<Message> {
    const barrier = replyTypeOf(message) === undefined ? this.xid() : undefined;
    const { xid } = message;
    return this.#requests.expect(
      barrier ?? xid,
      {
        send: () => {
          this.send(message);
          if (barrier !== undefined) this.send({ type: 'barrier_request', xid: barrier });
        },
        what: describeMessage(message),
        timeoutMs: options.timeoutMs ?? this.#options.requestTimeoutMs,
        signal: options.signal,
        accept: (reply) => mayAnswer(message, reply),
      },
      barrier === undefined ? [] : [xid],
    );
  }

  async multipart<R extends MultipartRequest>(
    request: R,
    options?: RequestOptions,
  ): Promise<MultipartReplyTo<R>> {
    // `mayAnswer` has looked at the type.
    return (await this.request(request, options)) as MultipartReplyTo<R>;
  }

  send(message: Message): boolean {
    return this.#connection.send(message);
  }

  sendPacketOut(head: Uint8Array, packet: Uint8Array, from: number, to: number): boolean {
    return this.#connection.sendPacketOut(head, packet, from, to);
  }

  interceptPacketIns(look: ((packetIn: PacketInView) => boolean) | undefined): void {
    this.#intercept = look;
  }

  writable(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.open) reject(closedError('waiting to write', 'closed'));
      else if (!this.#connection.congested) resolve();
      else this.#waitingToWrite.push({ resolve, reject });
    });
  }

  transact(transaction: Transaction): Promise<TransactionResult> {
    return this.#transactions.submit(transaction);
  }

  requestRole(role: number, generationId: bigint): Promise<Message> {
    return this.request({ type: 'role_request', xid: this.xid(), role, generationId });
  }

  close(reason: string): void {
    this.#connection.close(reason);
  }

  message(message: Message): void {
    switch (message.type) {
      case 'packet_in':
      case 'nx_packet_in2':
        return this.#packetIn(message);
      case 'echo_request':
        this.send({ type: 'echo_reply', xid: message.xid, data: message.data });
        return;
      case 'echo_reply':
        return this.#echoReply(message);
      case 'error':
        return this.#error(message);
      case 'port_status':
        applyPortStatus(this.#ports, message);
        if (message.reason === PortReason.DELETE) this.#gate.forgetPort(message.port.portNo);
        this.#emit('portStatus', this, message);
        return;
      case 'flow_removed':
        this.#emit('flowRemoved', this, message);
        return;
      default:
        return this.#other(message);
    }
  }

  packetIn(packetIn: PacketInView): boolean {
    if (this.#intercept === undefined) return false;
    const { readGate, receivedAt } = this.#connection;
    if (this.#gate.judge(packetIn.inPort, readGate.overtime, receivedAt) !== 'deliver') return true;
    // Not before the gate: what it drops must cost nothing.
    this.#judged = !this.#intercept(packetIn);
    return !this.#judged;
  }

  malformed(error: DecodeError): void {
    this.#judged = false;
    this.#requests.malformed(error.xid, error.message);
    this.#options.logger.warn(
      { event: 'switch.malformed', ...this.#who(), xid: error.xid, problem: error.message },
      'a message of the switch cannot be parsed',
    );
  }

  drained(): void {
    for (const { resolve } of this.#waitingToWrite.splice(0)) resolve();
    this.#transactions.drained();
  }

  closed(reason: string): void {
    this.#liveness.stop();
    this.#requests.close(reason);
    this.#transactions.close(reason);
    for (const { reject } of this.#waitingToWrite.splice(0)) reject(closedError('waiting to write', reason));
    this.#emit('down', this, reason);
  }

  #packetIn(message: PacketInMessage): void {
    const { readGate, receivedAt } = this.#connection;
    if (this.#judged) this.#judged = false;
    else {
      const match = message.type === 'packet_in' ? message.match : (message.metadata ?? []);
      const verdict = this.#gate.judge(findOxm(match, F.in_port)?.value, readGate.overtime, receivedAt);
      if (verdict !== 'deliver') return;
    }
    const progress = this.#emit('packetIn', this, message);
    if (!progress) return;
    this.#packetInsInProgress += 1;
    if (this.#packetInsInProgress > this.#options.maxPacketInsInProgress) readGate.hold('consumer');
    void progress.then(() => {
      this.#packetInsInProgress -= 1;
      if (this.#packetInsInProgress <= this.#options.maxPacketInsInProgress / 2) readGate.release('consumer');
    });
  }

  #error(message: ErrorMessage): void {
    if (this.#requests.receive(message) || this.#transactions.receive(message)) return;
    this.#unsolicitedErrors += 1;
    this.#options.logger.warn(
      { event: 'switch.error', ...this.#who(), xid: message.xid, error: nameOfError(message) },
      'the switch sent an error that answers no request',
    );
    this.#emit('error', this, message);
  }

  /** Replies, what else a switch may send by itself, and what it may not. */
  #other(message: Message): void {
    if (this.#requests.receive(message) || this.#transactions.receive(message)) return;
    if (isControllersMessage(message)) {
      this.send({
        type: 'error',
        xid: message.xid,
        errorType: ErrorType.BAD_REQUEST,
        code: BadRequestCode.BAD_TYPE,
        data: encode(message).subarray(0, QUOTED_BYTES),
      });
      return;
    }
    this.#emit('message', this, message);
  }

  #sendEcho(): void {
    const xid = this.xid();
    this.#echo = { xid, sentAt: performance.now() };
    this.send({ type: 'echo_request', xid, data: NO_DATA });
  }

  #echoReply(message: EchoReply): void {
    if (message.xid === this.#echo?.xid) {
      this.#roundTripMs = performance.now() - this.#echo.sentAt;
      this.#echo = undefined;
    } else this.#requests.receive(message);
  }

  #who(): { datapathId: DatapathId; remoteAddress: string } {
    return { datapathId: this.datapathId, remoteAddress: this.remoteAddress };
  }
}

const NO_DATA = new Uint8Array(0);
/** What an error message quotes of the message that caused it (section 7.4.1: at least 64 bytes). */
const QUOTED_BYTES = 64;
