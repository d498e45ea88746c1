/**
 * Hostile bytes: mutated and random messages by the hundred thousand (`WEFT_FUZZ=5000000` for millions). Nothing throws, nothing is lost
 * silently: every frame becomes a message or a typed error, and whatever decodes can be written again.
 */
import fc from 'fast-check';
import t from 'tap';
import { type DecodeError, Decoder, encode, type Message, MessageTooLong } from '../../ofproto/index.js';
import { messageKinds } from './generators.js';

const rounds = Number(process.env['WEFT_FUZZ'] ?? 100_000);
const seed = Number(process.env['WEFT_FUZZ_SEED'] ?? Date.now() & 0x7fffffff);

/** xorshift32: a failure names the seed, and the same seed gives the same bytes. */
function generator(seed: number): (bound: number) => number {
  let state = seed | 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const samples = messageKinds.flatMap((kind) =>
  fc.sample(kind, { numRuns: 12, seed: 7 }).map((message) => encode(message).slice()),
);

/** Numbers at which length and count fields break. */
const INTERESTING = [0, 1, 3, 4, 7, 8, 15, 16, 0x7f, 0x80, 0xff];

function mutate(original: Uint8Array, random: (bound: number) => number): Uint8Array {
  let bytes = original.slice();
  const changes = 1 + random(4);
  for (let i = 0; i < changes; i++) {
    switch (random(4)) {
      case 0:
        bytes[random(bytes.length)] = random(256);
        break;
      case 1:
        bytes[random(bytes.length)] = INTERESTING[random(INTERESTING.length)] ?? 0;
        break;
      case 2:
        bytes = bytes.slice(0, Math.max(8, random(bytes.length + 1)));
        break;
      default: {
        const other = samples[random(samples.length)] ?? bytes;
        const from = random(other.length);
        bytes.set(other.subarray(from, from + random(16)).subarray(0, bytes.length - 8), 8 * random(2));
      }
    }
  }
  return frame(bytes);
}

function noise(random: (bound: number) => number): Uint8Array {
  const bytes = new Uint8Array(8 + random(120));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random(256);
  bytes[1] = random(32);
  return frame(bytes);
}

/** Header with version and length right, so that the body is what is tried. */
function frame(bytes: Uint8Array): Uint8Array {
  bytes[0] = 4;
  bytes[2] = bytes.length >>> 8;
  bytes[3] = bytes.length & 0xff;
  return bytes;
}

function attempt(bytes: Uint8Array): void {
  let outcomes = 0;
  let decoded: Message | undefined;
  const decoder = new Decoder({
    message: (message) => {
      outcomes++;
      decoded = message;
    },
    malformed: (error: DecodeError) => {
      outcomes++;
      if (error.fatal) throw new Error(`framing held, yet the error is fatal: ${error.reason}`);
    },
  });
  decoder.push(bytes);
  if (outcomes !== 1) throw new Error(`${outcomes} outcomes of one frame`);
  if (decoded === undefined) return;
  try {
    encode(decoded);
  } catch (error) {
    if (!(error instanceof MessageTooLong)) throw error;
  }
}

t.setTimeout(0);

t.test(`${rounds} mutated and random frames, seed ${seed}`, async (t) => {
  const random = generator(seed);
  for (let round = 0; round < rounds; round++) {
    const sample = samples[random(samples.length)] ?? Uint8Array.of(4, 0, 0, 8, 0, 0, 0, 0);
    const bytes = random(8) === 0 ? noise(random) : mutate(sample, random);
    try {
      attempt(bytes);
    } catch (error) {
      t.fail(`${(error as Error).stack}\nbytes ${Buffer.from(bytes).toString('hex')}`);
      return;
    }
  }
  t.pass();
});

t.test('a stream of noise ends in one fatal error, without a throw', async (t) => {
  const random = generator(seed);
  for (let round = 0; round < 2_000; round++) {
    const errors: DecodeError[] = [];
    const decoder = new Decoder({ message: () => undefined, malformed: (error) => errors.push(error) });
    for (let chunk = 0; chunk < 4; chunk++) {
      const bytes = new Uint8Array(random(200));
      for (let i = 0; i < bytes.length; i++) bytes[i] = random(256);
      decoder.push(bytes);
    }
    if (errors.filter((error) => error.fatal).length > 1) {
      t.fail('more than one fatal error');
      return;
    }
  }
  t.pass();
});
