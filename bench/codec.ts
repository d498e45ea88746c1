/**
 * The codec: flow_mods of 128 bytes, with five match fields and two actions, built and encoded, and decoded; against
 * os-ken (bench/codec_peer.py), which must give the very same bytes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { apply, Decoder, Encoder, F, type FlowMod, flowMod, output, oxm } from '../ofproto/index.js';
import { compare, inTurn, type Result } from './harness.js';

const MESSAGES = 200_000;
const PEER_MESSAGES = 4_000;
/** Messages that go into one write, and that come in one read. */
const BATCH = 256;

/** Entry `n` of a service: TCP to an address and port, given a new destination. */
function build(n: number): FlowMod {
  return flowMod({
    xid: n,
    tableId: 7,
    priority: 100,
    cookie: BigInt(n),
    match: [
      oxm(F.in_port, 1 + (n & 0xff)),
      oxm(F.eth_type, 0x0800),
      oxm(F.ip_proto, 6),
      oxm(F.ipv4_dst, 0x0a00_0000 + n),
      oxm(F.tcp_dst, n & 0xffff),
    ],
    instructions: [apply({ type: 'set_field', oxm: oxm(F.eth_dst, 0x0202_0000_0000 + n) }, output(5))],
  });
}

/** Messages built and encoded per second. */
function encodeRate(): number {
  const encoder = new Encoder();
  let bytes = 0;
  const begin = performance.now();
  for (let n = 0; n < MESSAGES; n++) {
    encoder.append(build(n));
    if (n % BATCH === 0) bytes += encoder.take().length;
  }
  bytes += encoder.take().length;
  const seconds = (performance.now() - begin) / 1000;
  if (bytes !== MESSAGES * 128) throw new Error(`${bytes} bytes of ${MESSAGES} messages of 128`);
  return MESSAGES / seconds;
}

/** Messages decoded per second, out of reads of `BATCH` messages. */
function decodeRate(): number {
  const encoder = new Encoder();
  for (let n = 0; n < BATCH; n++) encoder.append(build(n));
  const read = encoder.take();
  let messages = 0;
  let fields = 0;
  const decoder = new Decoder({
    message(message) {
      messages += 1;
      if (message.type === 'flow_mod') fields += message.match.length;
    },
    malformed(error) {
      throw error;
    },
  });
  const reads = Math.ceil(MESSAGES / BATCH);
  const begin = performance.now();
  for (let i = 0; i < reads; i++) decoder.push(read);
  const seconds = (performance.now() - begin) / 1000;
  if (messages !== reads * BATCH || fields !== messages * 5) throw new Error('messages were lost');
  return messages / seconds;
}

/** os-ken in a process of its own, asked over its standard input. */
class Peer {
  private readonly child: ChildProcess;
  private readonly lines: Interface;

  constructor() {
    const script = fileURLToPath(new URL('../../bench/codec_peer.py', import.meta.url));
    const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child = child;
    this.lines = createInterface({ input: child.stdout });
  }

  async ask(question: string): Promise<string> {
    const answer = once(this.lines, 'line');
    this.child.stdin?.write(`${question}\n`);
    const [line] = (await answer) as [string];
    return line;
  }

  stop(): void {
    this.child.kill();
  }
}

const PEER = 'os-ken (Python)';

export async function run({ rounds = 7 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const peer = new Peer();
  try {
    const encoder = new Encoder();
    encoder.append(build(1234));
    const ours = Buffer.from(encoder.take()).toString('hex');
    const theirs = await peer.ask('bytes 1234');
    if (ours !== theirs) throw new Error(`the bytes differ:\n${ours}\n${theirs}`);
    const figures = await inTurn(rounds, {
      encode: encodeRate,
      peerEncode: async () => Number(await peer.ask(`encode ${PEER_MESSAGES}`)),
      decode: decodeRate,
      peerDecode: async () => Number(await peer.ask(`decode ${PEER_MESSAGES}`)),
    });
    return [
      compare('codec: build and encode a flow_mod', 'messages/s', figures.encode, PEER, figures.peerEncode, {
        better: 'higher',
        target: 100,
      }),
      compare('codec: decode a flow_mod', 'messages/s', figures.decode, PEER, figures.peerDecode, {
        better: 'higher',
        target: 40,
      }),
    ];
  } finally {
    peer.stop();
  }
}
