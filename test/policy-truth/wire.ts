/** The process that plays frames between namespaces (wire.py), from the side of the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What wire.py looks for in a frame; behind it the number of the conversation (32 bits) and of the step (8 bits). */
const MAGIC = Buffer.from('weft~');

/** What a frame of a conversation has to carry. */
export function tag(conversation: number, step: number): Buffer {
  const bytes = Buffer.alloc(MAGIC.length + 5);
  MAGIC.copy(bytes);
  bytes.writeUInt32BE(conversation, MAGIC.length);
  bytes[MAGIC.length + 4] = step;
  return bytes;
}

export interface PlaceOptions {
  /** Path of the namespace. */
  readonly netns: string;
  readonly interface: string;
}

/** Frames and who sends them: each is sent when the one before has arrived at its sender. */
export type Conversation = readonly (readonly [place: number, frame: Uint8Array])[];

export interface Seen {
  readonly arrived: readonly (readonly [conversation: number, step: number, place: number])[];
  /** IP frames without a tag: what switches and controllers say. */
  readonly others: readonly (readonly [place: number, frame: Buffer])[];
}

/** Frames of one sender at a steady rate, each with a counter. */
export interface StreamState {
  /** How many were sent: counters below it. */
  readonly sent: number;
  /** Counters that arrived, by place, in the order of arrival: first and last of each unbroken run. */
  readonly received: ReadonlyMap<number, readonly (readonly [first: number, last: number])[]>;
}

/** What a frame of a stream has to carry, at an even distance from the start of the checksummed part. */
export const streamTag = (stream: number): Buffer =>
  Buffer.concat([tag(stream, 0), Buffer.of(0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)]);

export class Wire {
  #places = 0;
  #conversations = 0;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  private constructor(private readonly child: ChildProcess) {
    if (child.stdout === null) throw new Error('wire.py has no output');
    createInterface(child.stdout).on('line', (line) => this.#waiting.shift()?.resolve(line));
    child.on('exit', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`wire.py ended with ${code}`));
    });
  }

  static open(): Wire {
    const child = spawn('/usr/bin/python3', ['test/policy-truth/wire.py'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return new Wire(child);
  }

  /** Numbers of the places, to be used in conversations. */
  async place(places: readonly PlaceOptions[]): Promise<readonly number[]> {
    await this.#ask({ open: places });
    const first = this.#places;
    this.#places += places.length;
    return places.map((_, index) => first + index);
  }

  /** A number for a conversation, never given before. */
  number(): number {
    return ++this.#conversations;
  }

  async play(conversations: ReadonlyMap<number, Conversation>): Promise<void> {
    const play = [...conversations].map(([number, frames]) => [
      number,
      frames.map(([place, frame]) => [place, Buffer.from(frame).toString('hex')]),
    ]);
    await this.#ask({ play });
  }

  /** What has arrived since it was asked last. */
  async seen(): Promise<Seen> {
    const { arrived, others } = JSON.parse(await this.#ask({ seen: true })) as {
      arrived: Seen['arrived'];
      others: [number, string][];
    };
    return { arrived, others: others.map(([place, frame]) => [place, Buffer.from(frame, 'hex')]) };
  }

  /** What still arrives is seen, and answered no more. */
  async forget(): Promise<void> {
    await this.#ask({ forget: true });
  }

  /** Starts streams by number, besides those that run; `rate`: frames a second of each. */
  async start(
    streams: ReadonlyMap<number, readonly [place: number, frame: Uint8Array]>,
    rate: number,
  ): Promise<void> {
    const start = [...streams].map(([number, [place, frame]]) => [
      number,
      place,
      Buffer.from(frame).toString('hex'),
    ]);
    await this.#ask({ start, rate });
  }

  async stop(): Promise<void> {
    await this.#ask({ stop: true });
  }

  /** Of every stream that was ever started. */
  async streams(): Promise<ReadonlyMap<number, StreamState>> {
    type Told = Record<string, { sent: number; received: Record<string, [number, number][]> }>;
    const told = JSON.parse(await this.#ask({ streams: true })) as Told;
    return new Map(
      Object.entries(told).map(([number, { sent, received }]) => [
        Number(number),
        { sent, received: new Map(Object.entries(received).map(([place, runs]) => [Number(place), runs])) },
      ]),
    );
  }

  close(): void {
    this.child.stdin?.end();
  }

  #ask(request: unknown): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    });
  }
}
