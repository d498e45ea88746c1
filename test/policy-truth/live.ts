/**
 * Connections that go on while policies change: both ends send counted frames at a steady rate, whatever arrives. After each change it is
 * counted what passed that neither the old nor the new policy allows, and what was lost that both allow.
 */
import { Protocol, reversed, TcpFlag, tcpFrame, udpFrame } from './packets.js';
import { conversationOf, endsOf, type Probe, type Prober } from './prober.js';
import { type Conversation, type StreamState, streamTag, tag, type Wire } from './wire.js';

const FIRST_MARK = 61_000;
const PATIENCE_MS = 10_000;
/** Frames of each stream in a state that is to be judged. */
const ENOUGH = 12;

/** One direction of a connection. */
interface Stream {
  readonly number: number;
  readonly connection: Probe;
  readonly direction: 'there' | 'back';
  /** Where its frames should arrive. */
  readonly place: number;
}

/** Whether a connection may be. */
export type Allows = (connection: Probe) => boolean;

/** What is wrong with one change, as lines; and how much was looked at. */
export interface Judgement {
  readonly wrong: readonly string[];
  readonly frames: number;
  /** How long after the acknowledgement the last frame was treated as before, milliseconds. */
  readonly lagMs: number;
}

type Counters = ReadonlyMap<number, number>;

export class LiveConnections {
  readonly #streams: Stream[] = [];
  /** Counters from which on the present policy is known to hold. */
  #since: Counters = new Map();

  private constructor(
    private readonly wire: Wire,
    private readonly prober: Prober,
    private readonly rate: number,
    private readonly describe: (connection: Probe) => string,
  ) {}

  /** Opens the connections, which have to be allowed, and lets both ends send; `rate`: frames a second of each. */
  static async open(
    wire: Wire,
    prober: Prober,
    connections: readonly Probe[],
    rate: number,
    describe: (connection: Probe) => string,
  ): Promise<LiveConnections> {
    const live = new LiveConnections(wire, prober, rate, describe);
    await live.#connect(connections);
    return live;
  }

  async #connect(connections: readonly Probe[]): Promise<void> {
    const conversations = new Map<number, Conversation>();
    const frames = new Map<number, readonly [number, Uint8Array]>();
    for (const [index, connection] of connections.entries()) {
      const number = this.wire.number();
      const mark = FIRST_MARK + index;
      conversations.set(number, conversationOf(connection, number, mark));
      for (const direction of ['there', 'back'] as const) {
        const stream = this.wire.number();
        const { from, to } = connection;
        const [sender, receiver] = direction === 'there' ? [from, to] : [to, from];
        frames.set(stream, [sender.place, streamFrame(connection, number, mark, direction, stream)]);
        this.#streams.push({ number: stream, connection, direction, place: receiver.place });
      }
    }
    await this.wire.play(conversations);
    const open = new Set(conversations.keys());
    await this.#until('the connections to open', async () => {
      for (const [number, step] of (await this.wire.seen()).arrived) {
        if (step === (conversations.get(number)?.length ?? 0) - 1) open.delete(number);
      }
      return open.size === 0;
    });
    await this.wire.start(frames, this.rate);
    this.#since = new Map(this.#streams.map(({ number }) => [number, 0]));
  }

  async stop(): Promise<void> {
    await this.wire.stop();
  }

  /**
   * Makes a change and judges it, and what was before it since the last one. A switch acknowledges its new tables a moment before its
   * datapath's cache follows them: that moment is measured, and what is forbidden, or allowed, before and after has no part in it.
   */
  async during(change: () => Promise<void>, old: Allows, now: Allows): Promise<Judgement> {
    await this.#progress(this.#since);
    const begun = await this.#sent();
    await change();
    const done = await this.#sent();
    await this.#progress(done);
    await this.#until('the datapaths to follow', async () => {
      const states = await this.wire.streams();
      return this.#streams.every((stream) => {
        const state = states.get(stream.number);
        if (state === undefined || old(stream.connection) === now(stream.connection)) return true;
        const last = state.received.get(stream.place)?.at(-1)?.[1] ?? -1;
        const since = now(stream.connection) ? (begun.get(stream.number) ?? 0) : state.sent - ENOUGH;
        return now(stream.connection) ? last >= since : last < since;
      });
    });
    const end = await this.#sent();
    await this.prober.quiescence(this.#streams.map(({ connection }) => connection));
    const states = await this.wire.streams();
    let late = 0;
    const wrong = this.#streams.flatMap((stream) => {
      const phases = [this.#since, begun, done, end].map((counters) => counters.get(stream.number) ?? 0);
      const state = states.get(stream.number);
      if (state === undefined) throw new Error('a stream is gone');
      const { connection, direction } = stream;
      const judged = judge(state, stream.place, phases, old(connection), now(connection));
      late = Math.max(late, judged.late);
      return judged.wrong.map((line) => `${this.describe(connection)}, ${direction}: ${line}`);
    });
    const counted = (counters: Counters) => [...counters.values()].reduce((sum, count) => sum + count, 0);
    const frames = counted(end) - counted(this.#since);
    this.#since = end;
    return { wrong, frames, lagMs: Math.round((late * 1000) / this.rate) };
  }

  async #sent(): Promise<Counters> {
    const states = await this.wire.streams();
    return new Map(this.#streams.map(({ number }) => [number, states.get(number)?.sent ?? 0]));
  }

  async #progress(since: Counters): Promise<void> {
    await this.#until('the streams', async () => {
      const sent = await this.#sent();
      return [...since].every(([number, count]) => (sent.get(number) ?? 0) >= count + ENOUGH);
    });
  }

  async #until(what: string, done: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await done())) {
      if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/**
 * `phases`: counters at which the old policy was known to hold, the change began, the change was acknowledged, and the watching ended. From
 * when it began a frame may be judged by the one or the other, but not to and fro: once the new policy has been seen to hold, it holds.
 */
function judge(
  { received }: StreamState,
  place: number,
  [since = 0, begun = 0, done = 0, end = 0]: readonly number[],
  old: boolean,
  now: boolean,
): { readonly wrong: readonly string[]; readonly late: number } {
  const arrived = new Set<number>();
  const wrong: string[] = [];
  for (const [at, runs] of received) {
    for (const [first, last] of runs) {
      for (let counter = Math.max(first, since); counter <= Math.min(last, end - 1); counter++) {
        if (at !== place) wrong.push(`${counter} arrived at place ${at}`);
        else if (arrived.has(counter)) wrong.push(`${counter} arrived twice`);
        else arrived.add(counter);
      }
    }
  }
  let [lost, passed, late] = [0, 0, 0];
  let changed = false;
  for (let counter = since; counter < end; counter++) {
    const got = arrived.has(counter);
    if (counter >= begun && old !== now && got === now) changed = true;
    if (counter >= done && old !== now && !changed) late += 1;
    const allowed = changed ? now : old;
    if (allowed && !got) lost += 1;
    if (!allowed && got) passed += 1;
  }
  const change = `${old ? 'allowed' : 'forbidden'} before, ${now ? 'allowed' : 'forbidden'} after`;
  if (lost > 0) wrong.push(`${lost} lost (${change})`);
  if (passed > 0) wrong.push(`${passed} passed (${change})`);
  return { wrong, late };
}

/** A frame of an open connection with room for a counter; TCP sends the same segment again and again. */
function streamFrame(
  connection: Probe,
  number: number,
  mark: number,
  direction: 'there' | 'back',
  stream: number,
): Uint8Array {
  const { protocol, port = 0 } = connection.service;
  const there = endsOf(connection);
  const [ends, sourcePort, destinationPort] =
    direction === 'there' ? ([there, mark, port] as const) : ([reversed(there), port, mark] as const);
  const data = streamTag(stream);
  if (protocol === Protocol.udp) return udpFrame(ends, sourcePort, destinationPort, data);
  if (protocol !== Protocol.tcp) throw new Error(`no streams of protocol ${protocol}`);
  // Behind the two segments that each end has sent in the handshake.
  const behind = 1 + 2 * tag(number, 0).length;
  const [client, server] = [number + behind, 0x80000000 + number + behind];
  const [sequence, acknowledgement] = direction === 'there' ? [client, server] : [server, client];
  const flags = TcpFlag.ack | TcpFlag.push;
  return tcpFrame(ends, { sourcePort, destinationPort, flags, sequence, acknowledgement, data });
}
