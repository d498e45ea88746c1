/**
 * `GET /v1/watch`: server-sent events (WHATWG HTML, section 9.2) of every change of an object and of what happens to
 * switches and hosts. Events are numbered; a client that comes back with Last-Event-ID gets what it missed, or a `reset`
 * when that is too far back (or from before a restart) and it has to list again. A client that does not read is dropped.
 *
 * Packets that policies log are different: there may be thousands a second and nobody has to have seen them all. They have no number and
 * are not kept, go to those alone who ask for them, and a client that is behind loses them before anything else, and is told how many.
 */
import type { ServerResponse } from 'node:http';
import type { PacketEvent } from '../punt/types.js';

/** One event, before it gets its number. */
export interface WatchEvent {
  /** `object`, `datapath` or `host`: the name that clients select by. */
  readonly type: 'object' | 'datapath' | 'host';
  readonly data: Readonly<Record<string, unknown>>;
}

export interface WatchOptions {
  /** Distinguishes the events of this process from those of an earlier one. */
  readonly controllerId: string;
  maxWatchers: number;
  /** Events kept for clients that come back. Default 4096. */
  readonly history?: number;
  /** Bytes that may wait for a client before it is dropped. Default 1 MiB. */
  readonly maxPendingBytes?: number;
  /** Bytes that may wait for a client before it loses packets. Default 128 KiB. */
  readonly maxPendingPacketBytes?: number;
  /** A comment is sent after this much silence, so that dead clients are noticed. Default 15,000. */
  readonly keepAliveMs?: number;
}

interface Watcher {
  readonly response: ServerResponse;
  readonly types: ReadonlySet<string> | undefined;
  /** Which packets it wants; undefined: none. */
  readonly wantsPacket: ((packet: PacketEvent) => boolean) | undefined;
  readonly keepAlive: NodeJS.Timeout;
  /** Packets that it lost and has not been told of. */
  lostPackets: number;
}

/** What a client asks for. */
export interface Subscription {
  /** Types of events; absent: all but packets. */
  readonly types?: readonly string[];
  /** Which packets, if `packet` is among the types; absent: all. */
  readonly wantsPacket?: (packet: PacketEvent) => boolean;
  readonly lastEventId?: string;
}

export class WatchHub {
  readonly #options: Required<Omit<WatchOptions, 'maxWatchers'>>;
  readonly #watchers = new Set<Watcher>();
  readonly #history: { readonly sequence: number; readonly type: string; readonly text: string }[] = [];
  #sequence = 0;
  maxWatchers: number;
  /** Clients dropped because they did not read. */
  dropped = 0;
  /** Events handed out since the start. */
  published = 0;
  /** Packets that clients lost, because they were behind or there were too many. */
  lostPackets = 0;

  constructor({
    controllerId,
    maxWatchers,
    history = 4096,
    maxPendingBytes = 1 << 20,
    maxPendingPacketBytes = 128 << 10,
    keepAliveMs = 15_000,
  }: WatchOptions) {
    this.#options = { controllerId, history, maxPendingBytes, maxPendingPacketBytes, keepAliveMs };
    this.maxWatchers = maxWatchers;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  get full(): boolean {
    return this.#watchers.size >= this.maxWatchers;
  }

  publish({ type, data }: WatchEvent): void {
    const sequence = ++this.#sequence;
    this.published++;
    const text = `id: ${this.#id(sequence)}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#history.push({ sequence, type, text });
    // Cut in halves: shifting one by one would move the whole array for every event.
    if (this.#history.length > this.#options.history * 2) this.#history.splice(0, this.#options.history);
    for (const watcher of this.#watchers) this.#write(watcher, type, text);
  }

  /** Tells those who want it of a packet. */
  publishPacket(packet: PacketEvent): void {
    let text: string | undefined;
    for (const watcher of this.#watchers) {
      if (watcher.wantsPacket?.(packet) !== true) continue;
      if (watcher.response.writableLength > this.#options.maxPendingPacketBytes) {
        this.#lose(watcher, packet.count);
        continue;
      }
      this.#tellLoss(watcher);
      text ??= `event: packet\ndata: ${JSON.stringify(packet)}\n\n`;
      this.#send(watcher, text);
    }
  }

  /** That many packets are in no event. */
  packetsLost(packets: number): void {
    for (const watcher of this.#watchers) {
      if (watcher.wantsPacket === undefined) continue;
      this.#lose(watcher, packets);
      this.#tellLoss(watcher);
    }
  }

  /** Takes a response over and keeps it until either end closes. */
  add(response: ServerResponse, { types, wantsPacket = everyPacket, lastEventId }: Subscription): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no', // nginx must not hold events back
    });
    const keepAlive = setInterval(() => this.#send(watcher, ': still here\n\n'), this.#options.keepAliveMs);
    keepAlive.unref();
    const watcher: Watcher = {
      response,
      types: types === undefined ? undefined : new Set(types),
      wantsPacket: types?.includes('packet') === true ? wantsPacket : undefined,
      keepAlive,
      lostPackets: 0,
    };
    const missed = this.#missed(lastEventId);
    const id = this.#id(this.#sequence);
    if (missed === undefined) {
      const data = { reason: 'events between the last one seen and now are not held any more: list again' };
      response.write(`id: ${id}\nevent: reset\ndata: ${JSON.stringify(data)}\n\n`);
    } else {
      // The client may list now: whatever changes from here on arrives.
      response.write(`id: ${lastEventId === undefined ? id : lastEventId}\nevent: ready\ndata: {}\n\n`);
    }
    response.on('close', () => this.#remove(watcher));
    response.on('error', () => this.#remove(watcher));
    response.on('drain', () => this.#tellLoss(watcher));
    this.#watchers.add(watcher);
    for (const { type, text } of missed ?? []) this.#write(watcher, type, text);
  }

  /** Ends every stream; clients come back with Last-Event-ID. */
  close(): void {
    for (const watcher of this.#watchers) {
      this.#remove(watcher);
      watcher.response.end();
    }
  }

  #id(sequence: number): string {
    return `${this.#options.controllerId}-${sequence}`;
  }

  /** Events after `lastEventId`; undefined when they are not all held. */
  #missed(lastEventId: string | undefined): readonly { type: string; text: string }[] | undefined {
    if (lastEventId === undefined || lastEventId === '') return [];
    const cut = lastEventId.lastIndexOf('-');
    const sequence = Number(lastEventId.slice(cut + 1));
    if (lastEventId.slice(0, cut) !== this.#options.controllerId || !Number.isInteger(sequence))
      return undefined;
    if (sequence > this.#sequence || sequence < 0) return undefined;
    const first = this.#history[0]?.sequence ?? this.#sequence + 1;
    if (sequence + 1 < first) return undefined;
    return this.#history.slice(sequence + 1 - first);
  }

  #write(watcher: Watcher, type: string, text: string): void {
    if (watcher.types === undefined || watcher.types.has(type)) this.#send(watcher, text);
  }

  #lose(watcher: Watcher, packets: number): void {
    watcher.lostPackets += packets;
    this.lostPackets += packets;
  }

  /** As soon as there is room again. */
  #tellLoss(watcher: Watcher): void {
    const { lostPackets, response } = watcher;
    if (lostPackets === 0 || response.writableLength > this.#options.maxPendingPacketBytes) return;
    watcher.lostPackets = 0;
    this.#send(watcher, `event: lost\ndata: ${JSON.stringify({ packets: lostPackets })}\n\n`);
  }

  #send(watcher: Watcher, text: string): void {
    const { response } = watcher;
    if (response.writableLength > this.#options.maxPendingBytes) {
      this.dropped++;
      this.#remove(watcher);
      response.destroy();
      return;
    }
    response.write(text);
  }

  #remove(watcher: Watcher): void {
    clearInterval(watcher.keepAlive);
    this.#watchers.delete(watcher);
  }
}

const everyPacket = (): boolean => true;
