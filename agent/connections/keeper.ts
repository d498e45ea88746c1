/**
 * Brings the connections back after a restart of ovs-vswitchd.
 *
 * On the userspace datapath the connection table is in the memory of ovs-vswitchd. When that ends, a connection in which only the server has
 * something to say (a download) would be taken for one that the server begins, and policy would drop it until the client speaks.
 * So the table is read every few seconds, and what was read last is made known to the ovs-vswitchd that comes after. That is memory of
 * directions and no verdict: policy judges every packet by its connection's first one, as before.
 *
 * Nobody knows the sequence numbers any more, so the switch is told not to check those of TCP as long as it remembers one of these
 * connections. The endpoints do, as ever.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../error.js';
import type { Logger } from '../logger.js';
import { beginConnections } from './begin.js';
import { type Connection, keyOf, parseConnections, TCP } from './connection.js';
import { CommandError, SwitchControl } from './control.js';

export interface ConnectionKeeperOptions {
  /** Where ovs-vswitchd's sockets and its pid file are. */
  readonly runDirectory: string;
  readonly bridge: string;
  readonly logger: Logger;
  /** Milliseconds between two looks at the table. Default 5,000; longer where a look takes long. */
  readonly intervalMs?: number;
}

/** The one userspace datapath of an ovs-vswitchd, whatever the bridges. */
const DATAPATH = 'netdev@ovs-netdev';
/** Connections that are brought back at most. */
const MAX_CONNECTIONS = 20_000;
/** After that long what is remembered is not worth bringing back. */
const MAX_ABSENCE_MS = 600_000;
const RETRY_MS = 100;
/** ovs-vswitchd does nothing else while it lists connections: at most so much of its time. */
const SHARE_OF_TIME = 0.02;

export class ConnectionKeeper {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #kept: readonly Connection[] = [];
  /** Of TCP, brought back, by key: they live as far as is known. */
  #unchecked = new Set<string>();

  constructor(private readonly options: ConnectionKeeperOptions) {
    this.#running = this.#run().catch(() => {}); // the pauses reject when it is closed
  }

  /** How many connections would be brought back now. */
  get size(): number {
    return this.#kept.length;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let lostAt: number | undefined;
    while (!signal.aborted) {
      let control: SwitchControl | undefined;
      const close = (): void => control?.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        control = await SwitchControl.open(this.options.runDirectory);
        if (lostAt !== undefined) await this.#bringBack(control, lostAt);
        lostAt = undefined;
        await this.#watch(control);
      } catch {
        // There is none (any more).
      }
      signal.removeEventListener('abort', close);
      if (control !== undefined) {
        control.close();
        lostAt ??= performance.now();
      }
      await delay(RETRY_MS, undefined, { signal });
    }
  }

  /** Until the connection ends. */
  async #watch(control: SwitchControl): Promise<never> {
    const { intervalMs = 5_000 } = this.options;
    const ended = control.closed.then(() => {
      throw new Error('ovs-vswitchd has ended');
    });
    ended.catch(() => {}); // it may end while nobody waits for it
    for (;;) {
      const begun = performance.now();
      await this.#look(control);
      const pause = Math.max(intervalMs, (performance.now() - begun) / SHARE_OF_TIME);
      await Promise.race([ended, delay(pause, undefined, { signal: this.#stop.signal })]);
    }
  }

  async #look(control: SwitchControl): Promise<void> {
    let all: readonly Connection[];
    try {
      all = parseConnections(await control.call('dpctl/dump-conntrack', DATAPATH));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      all = []; // no bridge on the userspace datapath yet
    }
    // Who speaks TCP may wait for long and say nothing.
    const isTcp = ({ protocol }: Connection): boolean => protocol === TCP;
    const alive = all.filter(({ closed }) => !closed);
    this.#kept = [...alive.filter(isTcp), ...alive.filter((one) => !isTcp(one))].slice(0, MAX_CONNECTIONS);
    if (this.#unchecked.size === 0) return;
    this.#unchecked = new Set(all.map(keyOf).filter((key) => this.#unchecked.has(key)));
    if (this.#unchecked.size === 0) await control.call('dpctl/ct-enable-tcp-seq-chk', DATAPATH);
  }

  /** @throws when ovs-vswitchd ends before; what is kept is kept then */
  async #bringBack(control: SwitchControl, lostAt: number): Promise<void> {
    const { runDirectory, bridge, logger } = this.options;
    const connections = this.#kept;
    let ended = false;
    void control.closed.then(() => (ended = true));
    while (connections.length > 0) {
      if (performance.now() - lostAt > MAX_ABSENCE_MS) {
        logger.warn({ event: 'connections.forgotten', connections: connections.length });
        return;
      }
      try {
        await control.call('dpctl/ct-disable-tcp-seq-chk', DATAPATH);
        const refused = await beginConnections(join(runDirectory, `${bridge}.mgmt`), connections);
        this.#unchecked = new Set(connections.filter(({ protocol }) => protocol === TCP).map(keyOf));
        logger.info({ event: 'connections.restored', connections: connections.length, refused });
        return;
      } catch (error) {
        if (ended) throw error;
        // The bridge is not there yet.
        logger.debug({ event: 'connections.waiting', reason: messageOf(error) });
      }
      await delay(RETRY_MS, undefined, { signal: this.#stop.signal });
    }
  }
}
