/**
 * Connections that go on while policies change: both ends send counted frames at a steady rate, whatever arrives. After each change it is
 * counted what passed that neither the old nor the new policy allows, and what was lost that both allow.
 */
import { Protocol, reversed, TcpFlag, tcpFrame, udpFrame } from './packets.js';
import { conversationOf, endsOf, type Probe, type Prober } from './prober.js';
import { type Conversation, type StreamState, streamTag, tag, type Wire } from './wire.js';

const FIRST_MARK = 61_000;
const PATIENCE_MS = 30_000;
/** Frames of each stream in a state that is to be judged. */
const ENOUGH = 12;
const TRIES = 10;
const TRY_MS = 1_000;

/** `there`: from whom opened it. */
type Direction = 'there' | 'back';

/** One direction of a connection. */
interface Stream {
  readonly number: number;
  readonly connection: Probe;
  readonly direction: Direction;
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
  readonly #connections: { readonly connection: Probe; readonly number: number; readonly mark: number }[] =
    [];
  #streams: readonly Stream[] = [];
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
    for (const [index, connection] of connections.entries()) {
      const number = this.wire.number();
      const mark = FIRST_MARK + index;
      conversations.set(number, conversationOf(connection, number, mark));
      this.#connections.push({ connection, number, mark });
    }
    const closed = new Map(conversations);
    for (let turn = 0; closed.size > 0; turn++) {
      if (turn === TRIES) {
        const left = this.#connections.filter(({ number }) => closed.has(number));
        throw new Error(`not open: ${left.map(({ connection }) => this.describe(connection)).join(', ')}`);
      }
      // Of the first packets into a tunnel some may be lost.
      await this.wire.play(closed);
      const deadline = Date.now() + TRY_MS;
      while (closed.size > 0 && Date.now() < deadline) {
        for (const [number, step] of (await this.wire.seen()).arrived) {
          if (step === (conversations.get(number)?.length ?? 0) - 1) closed.delete(number);
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    await this.speak(['there', 'back']);
  }

  /** From now on the connections are used in these directions only. */
  async speak(directions: readonly Direction[]): Promise<void> {
    await this.wire.stop();
    const frames = new Map<number, readonly [number, Uint8Array]>();
    this.#streams = this.#connections.flatMap(({ connection, number, mark }) =>
      directions.map((direction) => {
        const stream = this.wire.number();
        const { from, to } = connection;
        const [sender, receiver] = direction === 'there' ? [from, to] : [to, from];
        frames.set(stream, [sender.place, streamFrame(connection, number, mark, direction, stream)]);
        return { number: stream, connection, direction, place: receiver.place };
      }),
    );
    await this.wire.start(frames, this.rate);
    this.#since = new Map(this.#streams.map(({ number }) => [number, 0]));
  }

  /** What arrives of what is sent from now on: descriptions and directions. */
  async flowing(): Promise<readonly string[]> {
    const since = await this.#sent();
    await this.#progress(since);
    await this.prober.quiescence(this.#streams.map(({ connection }) => connection));
    const states = await this.wire.streams();
    return this.#streams
      .filter(({ number, place }) => {
        const last = states.get(number)?.received.get(place)?.at(-1)?.[1] ?? -1;
        return last >= (since.get(number) ?? 0);
      })
      .map(({ connection, direction }) => `${this.describe(connection)}, ${direction}`);
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

  /**
   * Does something that cuts them, and returns when all go on in both directions: for how long each was cut, milliseconds, in its two
   * directions (`there`: from whom opened it). Nothing must come twice or elsewhere.
   */
  async interruptions(
    cut: () => Promise<void>,
  ): Promise<readonly { readonly connection: string; readonly there: number; readonly back: number }[]> {
    const begun = await this.#sent();
    await cut();
    const after = await this.#sent();
    await this.#until('the streams to go on', async () => {
      const states = await this.wire.streams();
      return this.#streams.every(({ number, place }) => {
        const last = states.get(number)?.received.get(place)?.at(-1)?.[1] ?? -1;
        return last > (after.get(number) ?? 0) + ENOUGH;
      });
    });
    const end = await this.#sent();
    await this.prober.quiescence(this.#streams.map(({ connection }) => connection));
    const states = await this.wire.streams();
    const lost = new Map<string, { there: number; back: number }>();
    for (const { number, connection, direction, place } of this.#streams) {
      const phases = [begun, begun, end, end].map((counters) => counters.get(number) ?? 0);
      const state = states.get(number)!;
      for (const line of judge(state, place, phases, true, true).wrong) {
        if (!line.includes(' lost ')) throw new Error(`${this.describe(connection)}, ${direction}: ${line}`);
      }
      const runs = state.received.get(place) ?? [];
      const gaps = runs.map(([first], index) => first - (runs[index - 1]?.[1] ?? -1) - 1);
      const name = this.describe(connection);
      const both = lost.get(name) ?? { there: 0, back: 0 };
      // Of the runs that are left at the end, the last but one ended before the cut or in it.
      const recent = runs.flatMap(([first], index) =>
        first >= (begun.get(number) ?? 0) ? [gaps[index] ?? 0] : [],
      );
      both[direction] = Math.round((recent.reduce((sum, gap) => sum + gap, 0) * 1000) / this.rate);
      lost.set(name, both);
    }
    this.#since = end;
    return [...lost].map(([connection, both]) => ({ connection, ...both }));
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
  direction: Direction,
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

/** Datagrams in one direction, at a steady rate, whether anything is there or not. */
export class Datagrams {
  readonly #streams = new Map<number, Probe>();
  #mark = FIRST_MARK + 1_000;

  constructor(private readonly wire: Wire) {}

  /** Starts one stream for each probe (of UDP). */
  async start(probes: readonly Probe[], rate: number): Promise<void> {
    const frames = new Map<number, readonly [number, Uint8Array]>();
    for (const probe of probes) {
      const number = this.wire.number();
      this.#streams.set(number, probe);
      const frame = udpFrame(endsOf(probe), ++this.#mark, probe.service.port ?? 0, streamTag(number));
      frames.set(number, [probe.from.place, frame]);
    }
    await this.wire.start(frames, rate);
  }

  /** Of every stream, in the order of the probes: how many were sent, and the runs of those that arrived where they should. */
  async state(): Promise<readonly { readonly probe: Probe; readonly sent: number; readonly runs: Runs }[]> {
    const states = await this.wire.streams();
    return [...this.#streams].map(([number, probe]) => {
      const state = states.get(number);
      const astray = [...(state?.received.keys() ?? [])].filter((place) => place !== probe.to.place);
      if (astray.length > 0) throw new Error(`frames to ${probe.to.name} arrived at places ${astray.join()}`);
      return { probe, sent: state?.sent ?? 0, runs: state?.received.get(probe.to.place) ?? [] };
    });
  }

  /** Resolves when each has sent so many more. */
  async more(count: number): Promise<void> {
    const before = await this.state();
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await this.state()).every(({ sent }, index) => sent >= (before[index]?.sent ?? 0) + count)) {
      if (Date.now() > deadline) throw new Error('the streams stand still');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

/** First and last counter of each unbroken run. */
export type Runs = readonly (readonly [first: number, last: number])[];
