import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Connection } from './connection.js';
import { EventHub } from './events.js';
import { Greeting, Refusal } from './greeting.js';
import type { Introduction } from './handshake.js';
import type { Numbering } from './numbering.js';
import type { ChannelOptions } from './options.js';
import { withDefaults } from './options.js';
import type { ChannelEvents, DatapathId, SwitchSession } from './session.js';
import { Session } from './switch-session.js';

/** Waiting connections the kernel keeps while the event loop is busy: all switches come at once after a restart. */
const BACKLOG = 4_096;

/** Counters of a listener since it was made. */
export interface ListenerCounters {
  readonly accepted: number;
  /** Closed at once because there were too many connections or handshakes. */
  readonly overLimit: number;
  /** Handshakes that did not come to an end. */
  readonly failedHandshakes: number;
  /** Connections refused because their datapath id was in use. */
  readonly duplicates: number;
  /** Handshakes under way now. */
  readonly handshakes: number;
}

/**
 * Waits for switches to connect (passive OpenFlow) and keeps one session per datapath id, as many as come.
 *
 * A second connection with the same datapath id: the first one is asked with an echo request. If it answers within
 * `duplicateProbeMs`, it is alive, two switches share an id or one switch connects twice, and the second is refused with an
 * error and a logged reason. If it does not, it is what a crashed or unplugged switch has left behind; it is closed and the second one
 * takes its place. Auxiliary connections (section 6.3.6) are refused.
 */
export class ChannelListener {
  #options: ChannelOptions;
  readonly #events: EventHub;
  readonly #sessions = new Map<DatapathId, Session>();
  /** Whoever has, or is about to have, a datapath id. */
  readonly #claims = new Map<DatapathId, Greeting>();
  readonly #connections = new Set<Connection>();
  #server: Server | undefined;
  #closing = false;
  #handshakes = 0;
  #accepted = 0;
  #overLimit = 0;
  #failedHandshakes = 0;
  #duplicates = 0;

  constructor(options: Partial<ChannelOptions> = {}) {
    this.#options = withDefaults(options);
    this.#events = new EventHub(this.#options.logger);
  }

  /** Switches whose handshake is complete. */
  get sessions(): ReadonlyMap<DatapathId, SwitchSession> {
    return this.#sessions;
  }

  /** The controller's one numbering: whoever encodes transactions takes it from here. */
  get numbering(): Numbering {
    return this.#options.numbering;
  }

  get counters(): ListenerCounters {
    return {
      accepted: this.#accepted,
      overLimit: this.#overLimit,
      failedHandshakes: this.#failedHandshakes,
      duplicates: this.#duplicates,
      handshakes: this.#handshakes,
    };
  }

  /** A switch is ready. Each of these returns the way to stop listening. */
  onUp(handler: ChannelEvents['up']): () => void {
    return this.#events.add('up', handler);
  }

  /** A switch that was ready is gone; its session is out of `sessions` already. */
  onDown(handler: ChannelEvents['down']): () => void {
    return this.#events.add('down', handler);
  }

  onPortStatus(handler: ChannelEvents['portStatus']): () => void {
    return this.#events.add('portStatus', handler);
  }

  onPacketIn(handler: ChannelEvents['packetIn']): () => void {
    return this.#events.add('packetIn', handler);
  }

  onFlowRemoved(handler: ChannelEvents['flowRemoved']): () => void {
    return this.#events.add('flowRemoved', handler);
  }

  /** An error that answers no request. */
  onError(handler: ChannelEvents['error']): () => void {
    return this.#events.add('error', handler);
  }

  /** Any other message that a switch sends by itself. */
  onMessage(handler: ChannelEvents['message']): () => void {
    return this.#events.add('message', handler);
  }

  /** Starts listening, and resolves with the address it has got. */
  async listen(): Promise<AddressInfo> {
    if (this.#server) throw new Error('listen() was called already');
    const { host, port, createServer, logger } = this.#options;
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    server.listen({ host, port, backlog: BACKLOG });
    await once(server, 'listening');
    server.on('error', (error) => logger.error({ event: 'channel.server', err: error }, error.message));
    const address = server.address() as AddressInfo;
    logger.info(
      { event: 'channel.listening', address: address.address, port: address.port },
      'listening for switches',
    );
    return address;
  }

  /** Options for the sessions to come; those under way keep theirs. Address, port, server and numbering stay as they are. */
  reconfigure(changes: Partial<Omit<ChannelOptions, 'host' | 'port' | 'createServer' | 'numbering'>>): void {
    this.#options = { ...this.#options, ...changes };
  }

  /** Stops listening and closes all connections, after what is queued has been written. */
  async close(): Promise<void> {
    this.#closing = true;
    const server = this.#server;
    for (const connection of this.#connections) connection.close('the controller is shutting down');
    if (!server?.listening) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    const options = this.#options;
    const { logger } = options;
    const full =
      this.#connections.size >= options.maxConnections || this.#handshakes >= options.maxHandshakes;
    if (full || this.#closing) {
      this.#overLimit += 1;
      logger.warn(
        { event: 'channel.limit', remoteAddress: socket.remoteAddress },
        'too many connections, closed one',
      );
      socket.destroy();
      return;
    }
    this.#accepted += 1;
    this.#handshakes += 1;
    const greeting = new Greeting(socket, options, (reason) => this.#closed(greeting, reason));
    const { connection } = greeting;
    this.#connections.add(connection);
    const { handshakeTimeoutMs } = options;
    const deadline = setTimeout(
      () => connection.close(`no complete handshake within ${handshakeTimeoutMs} ms`),
      handshakeTimeoutMs,
    );
    greeting
      .run((datapathId) => this.#admit(datapathId, greeting))
      .then(
        (introduction) => this.#up(greeting, introduction, options),
        (error: unknown) => this.#refuse(greeting, error),
      )
      .finally(() => {
        clearTimeout(deadline);
        this.#handshakes -= 1;
      });
  }

  /** Claims the datapath id for a connection, or throws why it cannot have it. */
  async #admit(datapathId: DatapathId, greeting: Greeting): Promise<void> {
    for (;;) {
      const holder = this.#claims.get(datapathId);
      if (!holder) break;
      if (await holder.probe(this.#options.duplicateProbeMs)) {
        this.#duplicates += 1;
        throw new Error(
          `datapath id ${datapathId} is in use by ${holder.connection.remoteAddress}, which answers; give each bridge its own (other-config:datapath-id)`,
        );
      }
      const newcomer = greeting.connection.remoteAddress;
      holder.connection.abandon(`replaced by ${newcomer}: no answer to an echo request`);
    }
    if (!greeting.connection.open) throw new Error('connection closed');
    greeting.datapathId = datapathId;
    this.#claims.set(datapathId, greeting);
  }

  #up(greeting: Greeting, introduction: Introduction, options: ChannelOptions): void {
    const { connection, requests, datapathId } = greeting;
    if (!connection.open || datapathId === undefined) return;
    const session = new Session(datapathId, introduction, connection, requests, options, this.#events.emit);
    connection.receiver = session;
    this.#sessions.set(datapathId, session);
    const { remoteAddress, description, capabilities, ports } = session;
    options.logger.info(
      {
        event: 'switch.up',
        datapathId,
        remoteAddress,
        software: description.software,
        ports: ports.size,
        ...capabilities,
      },
      `switch ${datapathId} is up`,
    );
    this.#events.emit('up', session);
  }

  #refuse(greeting: Greeting, error: unknown): void {
    const { connection } = greeting;
    this.#failedHandshakes += 1;
    const reason = error instanceof Error ? error.message : String(error);
    const { datapathId } = greeting;
    this.#options.logger.warn(
      { event: 'switch.refused', remoteAddress: connection.remoteAddress, datapathId, reason },
      'handshake failed',
    );
    connection.close(reason, error instanceof Refusal ? error.farewell : undefined);
  }

  #closed(greeting: Greeting, reason: string): void {
    this.#connections.delete(greeting.connection);
    const { datapathId } = greeting;
    if (datapathId === undefined) return;
    this.#claims.delete(datapathId);
    if (!this.#sessions.delete(datapathId)) return;
    const { remoteAddress } = greeting.connection;
    this.#options.logger.info(
      { event: 'switch.down', datapathId, remoteAddress, reason },
      `switch ${datapathId} is down: ${reason}`,
    );
  }
}
