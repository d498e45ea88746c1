import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { ChannelLogger } from './logger.js';
import { silentLogger } from './logger.js';
import { Numbering } from './numbering.js';
import type { Rate } from './token-bucket.js';

/** Role asked for at the end of the handshake (OpenFlow 1.3.5 section 6.3.4). `master` and `slave` need a generation id. */
export type RoleChoice =
  | { readonly role: 'nochange' | 'equal' }
  | { readonly role: 'master' | 'slave'; readonly generationId: bigint };

/**
 * Everything a listener can be told. Each member has a default, stated here and set in `withDefaults`. Times are milliseconds,
 * sizes bytes. A member may be changed for sessions to come by handing a new value to `ChannelListener.reconfigure`.
 */
export interface ChannelOptions {
  /** Address to listen on. Default 0.0.0.0. */
  readonly host: string;
  /** TCP port; 0 takes a free one. Default 6653 (IANA). */
  readonly port: number;
  /** Makes the server; hand in `(onConnection) => tls.createServer(tlsOptions, onConnection)` for TLS. Default `net.createServer`. */
  readonly createServer: (onConnection: (socket: Socket) => void) => Server;
  readonly logger: ChannelLogger;
  /** The controller's one numbering of xids and bundle ids; share it with whoever encodes transactions. */
  readonly numbering: Numbering;

  /** Connections accepted at one time, sessions and unfinished handshakes together. Default 16,384. */
  readonly maxConnections: number;
  /** Connections that may be in their handshake at one time; further ones are closed at once. Default 4,096. */
  readonly maxHandshakes: number;
  /** Time from accept to the end of the handshake. Default 10,000. */
  readonly handshakeTimeoutMs: number;

  /** Silence of the switch after which an echo request is sent. Default 5,000. 0 turns echoes off. */
  readonly echoIntervalMs: number;
  /** Time the switch has to send anything at all after an echo request; then the connection is closed. Default 10,000. */
  readonly echoToleranceMs: number;
  /** Time the older connection of a datapath id has to answer when a second one arrives. Default 1,000. */
  readonly duplicateProbeMs: number;

  /** Default time for the reply to a request. Default 10,000. */
  readonly requestTimeoutMs: number;
  /** Time without progress after which a transaction's switch is given up and its connection closed. Default 60,000. */
  readonly transactionTimeoutMs: number;

  readonly role: RoleChoice;
  /** Bytes of a packet sent to the controller on a table miss (`OFPT_SET_CONFIG`). Default 0xffff: the whole packet, no buffer. */
  readonly missSendLength: number;
  /**
   * Format asked for packet-ins. `nxt_packet_in2` (Nicira extension 30) carries userdata and continuations, and falls back to
   * `openflow` where the switch does not know it. Default `nxt_packet_in2`.
   */
  readonly packetInFormat: 'openflow' | 'nxt_packet_in2';

  /** Packet-ins delivered per switch, and per port of a switch; what exceeds them is dropped and counted. */
  readonly packetInRate: { readonly perSwitch: Rate; readonly perPort: Rate };
  /** Packet-ins whose handlers have returned a promise that is not settled yet; above it, reading stops. Default 256. */
  readonly maxPacketInsInProgress: number;

  /** Bytes waiting to be written above which `send` returns false and reading stops. Default 1 MiB. */
  readonly writeHighWaterMark: number;
  /** Bytes waiting to be written at which the connection is closed. Default 64 MiB. */
  readonly writeLimit: number;
  /** Longest time reading stops; after it reading goes on and packet-ins are shed instead. Default 250. */
  readonly readPauseLimitMs: number;
  /** Records of one reassembled multipart reply. Default 4,000,000. */
  readonly multipartRecords: number;
  /** Messages that cannot be parsed, per connection, after which it is closed. Default 1,000. */
  readonly maxMalformed: number;
}

/** The defaults of all options, for the parts that were not given. */
export function withDefaults(options: Partial<ChannelOptions>): ChannelOptions {
  return {
    host: '0.0.0.0',
    port: 6653,
    createServer: (onConnection) => createServer({ noDelay: true, pauseOnConnect: false }, onConnection),
    logger: silentLogger,
    numbering: options.numbering ?? new Numbering(),
    maxConnections: 16_384,
    maxHandshakes: 4_096,
    handshakeTimeoutMs: 10_000,
    echoIntervalMs: 5_000,
    echoToleranceMs: 10_000,
    duplicateProbeMs: 1_000,
    requestTimeoutMs: 10_000,
    transactionTimeoutMs: 60_000,
    role: { role: 'equal' },
    missSendLength: 0xffff,
    packetInFormat: 'nxt_packet_in2',
    packetInRate: {
      perSwitch: { perSecond: 5_000, burst: 5_000 },
      perPort: { perSecond: 500, burst: 1_000 },
    },
    maxPacketInsInProgress: 256,
    writeHighWaterMark: 1 << 20,
    writeLimit: 64 << 20,
    readPauseLimitMs: 250,
    multipartRecords: 4_000_000,
    maxMalformed: 1_000,
    ...options,
  };
}
