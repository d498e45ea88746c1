/** What the rest of the controller sees of a switch. Implemented in switch-session.ts. */
import type {
  ErrorMessage,
  FeaturesReply,
  FlowRemoved,
  Message,
  MultipartReply,
  MultipartReplyOf,
  MultipartRequest,
  MultipartType,
  NxPacketIn2,
  PacketInView,
  PacketIn,
  PortDescription,
  PortStatus,
  SwitchDescription,
} from '../../ofproto/index.js';
import type { Transaction, TransactionResult } from './transaction.js';

/** 16 lower-case hex digits. */
export type DatapathId = string;

/** A packet that came to the controller, in whichever of the two formats the switch agreed to. */
export type PacketInMessage = PacketIn | NxPacketIn2;

/** What the handshake found out, beyond the features. */
export interface SwitchCapabilities {
  /** ONF bundles (EXT-230): transactions are atomic. Without, they are plain modifications closed by a barrier. */
  readonly bundles: boolean;
  /** The switch answered the role request. */
  readonly roles: boolean;
  /** The switch took OFPT_SET_ASYNC. */
  readonly asyncConfig: boolean;
  /** Packet-ins come as NXT_PACKET_IN2, with userdata and continuation. */
  readonly packetIn2: boolean;
}

export interface RequestOptions {
  /** Milliseconds; default: `requestTimeoutMs` of the listener. */
  readonly timeoutMs?: number;
  /** Gives up waiting; the request itself cannot be taken back. */
  readonly signal?: AbortSignal;
}

/** Counters of one connection since it was accepted. */
export interface SessionCounters {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Messages that could not be parsed; each was answered with an error. */
  readonly malformed: number;
  /** Errors that belong to no request and no transaction. */
  readonly unsolicitedErrors: number;
  readonly packetIns: PacketInCounters;
  /** Times reading was stopped because consumer or peer was behind. */
  readonly readPauses: number;
}

/** Packet-ins by what became of them. */
export interface PacketInCounters {
  readonly delivered: number;
  /** Dropped by the rate limit of the switch. */
  readonly overSwitchRate: number;
  /** Dropped by the rate limit of their port. */
  readonly overPortRate: number;
  /** Dropped because handlers or the way back to the switch were behind. */
  readonly shed: number;
}

export type MultipartReplyTo<R extends MultipartRequest> = R extends {
  readonly multipartType: infer T extends MultipartType;
}
  ? MultipartReplyOf<T>
  : MultipartReply;

/** One switch whose handshake is complete. Ends with its connection: a switch that comes back has a new session. */
export interface SwitchSession {
  readonly datapathId: DatapathId;
  readonly features: FeaturesReply;
  readonly description: SwitchDescription;
  /** Ports by number, kept current by port-status messages. */
  readonly ports: ReadonlyMap<number, PortDescription>;
  /** `address:port`, IPv6 addresses in brackets. */
  readonly remoteAddress: string;
  readonly capabilities: SwitchCapabilities;
  readonly connectedAt: Date;
  /** False once the connection is closed or closing. */
  readonly open: boolean;
  readonly counters: SessionCounters;
  /** Round trip of the last echo in milliseconds. */
  readonly roundTripMs: number | undefined;

  /** The next xid for a message to this switch. */
  xid(): number;
  /**
   * Sends a request and waits for its reply. A message that has no reply of its own (flow_mod, packet_out, ...) is followed by a
   * barrier, and the barrier's reply is the answer. The xid of `message` is used as it is: take it from `xid()`.
   * @throws SwitchError, and MessageTooLong of the codec
   */
  request(message: Message, options?: RequestOptions): Promise<Message>;
  /** Sends a multipart request and waits for the reply, its parts merged into one body. @throws SwitchError */
  multipart<R extends MultipartRequest>(request: R, options?: RequestOptions): Promise<MultipartReplyTo<R>>;
  /**
   * Queues a message, to be written with all others of this turn of the event loop. False: above the high-water mark; it is
   * queued all the same, but wait for `writable()` before the next. False as well when the session is closed.
   * @throws MessageTooLong of the codec
   */
  send(message: Message): boolean;
  /**
   * Queues a packet-out, encoded but for its packet, which are the bytes of `packet` from `from` up to `to`. Otherwise as `send`; for
   * those who send one for every packet-in.
   * @throws MessageTooLong of the codec
   */
  sendPacketOut(head: Uint8Array, packet: Uint8Array, from: number, to: number): boolean;
  /**
   * Hands packet-ins of this switch to `look` before they are decoded; what it returns true for is dealt with and nobody else hears of
   * it. Limits of packet-ins apply before it. One at a time; `undefined` ends it.
   */
  interceptPacketIns(look: ((packetIn: PacketInView) => boolean) | undefined): void;
  /** Resolves when the write queue is below the high-water mark; rejects when the session closes. */
  writable(): Promise<void>;
  /**
   * Sends meters, then the modifications as one bundle, then a barrier; see `Transaction`. Transactions of one switch are
   * committed in the order of the calls. A refused modification is no rejection: it is in the result.
   * @throws SwitchError `switch.closed`: whether it was committed cannot be known
   */
  transact(transaction: Transaction): Promise<TransactionResult>;
  /** Asks for a role and resolves with the reply (section 6.3.4). @throws SwitchError `switch.error` for a stale generation id */
  requestRole(role: number, generationId: bigint): Promise<Message>;
  /** Closes the connection; pending requests and transactions reject with `switch.closed`. */
  close(reason: string): void;
}

/** What a listener tells. A packet-in handler that returns a promise is waited for before too many more are delivered. */
export interface ChannelEvents {
  up(session: SwitchSession): void;
  down(session: SwitchSession, reason: string): void;
  portStatus(session: SwitchSession, status: PortStatus): void;
  packetIn(session: SwitchSession, packetIn: PacketInMessage): void | Promise<unknown>;
  flowRemoved(session: SwitchSession, removed: FlowRemoved): void;
  /** An error that answers no request and belongs to no transaction. */
  error(session: SwitchSession, error: ErrorMessage): void;
  /**
   * Any other message: role status, flow monitor updates and pauses, unknown experimenters, and answers that nobody waits for any
   * more.
   */
  message(session: SwitchSession, message: Message): void;
}
