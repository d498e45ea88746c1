/** Asks the resolvers of the host (RFC 1035, section 4.2): as the question came, byte for byte, but for its id. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

/** How a question came, and an answer has to come. */
export type Transport = 'udp' | 'tcp';

export interface ForwarderOptions {
  /** Addresses of resolvers, `ADDRESS` or `ADDRESS#PORT`, in the order in which they are asked; empty: there are none. */
  readonly upstreams: () => readonly string[];
  /** Milliseconds for each of them (default 2,000). */
  readonly timeoutMs?: number;
}

const HEADER = 12;
const TCP_PREFIX = 2;

export class Forwarder {
  constructor(private readonly options: ForwarderOptions) {}

  /** The answer of the first resolver that gives one, with the id of the question. Rejects when none does. */
  async ask(question: Buffer, transport: Transport): Promise<Buffer> {
    const { upstreams, timeoutMs = 2_000 } = this.options;
    const asked = Buffer.from(question);
    // An id that nobody can guess, whatever the asker's was.
    asked.writeUInt16BE(randomInt(0x1_0000), 0);
    let failure: unknown = new Error('the host has no resolver');
    for (const upstream of upstreams()) {
      const [address = '', port = '53'] = upstream.split('#');
      try {
        const ask = transport === 'udp' ? askOverUdp : askOverTcp;
        const answer = Buffer.from(await ask(asked, address, Number(port), timeoutMs));
        answer.writeUInt16BE(question.readUInt16BE(0), 0);
        return answer;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

function askOverUdp(asked: Buffer, address: string, port: number, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const finish = (done: () => void): void => {
      clearTimeout(timer);
      socket.close();
      done();
    };
    const timer = setTimeout(
      () => finish(() => reject(new Error(`${address} did not answer in ${timeoutMs} ms`))),
      timeoutMs,
    );
    socket.once('error', (error) => finish(() => reject(error)));
    // Connected, so that an answer is only taken from whom it was asked of.
    socket.connect(port, address, () => socket.send(asked));
    socket.on('message', (answer) => {
      if (answer.length >= HEADER && answer.readUInt16BE(0) === asked.readUInt16BE(0))
        finish(() => resolve(answer));
    });
  });
}

function askOverTcp(asked: Buffer, address: string, port: number, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new Error(`${address} did not answer in ${timeoutMs} ms`));
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`${address} closed the connection`)));
    socket.once('connect', () => socket.write(framed(asked)));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < TCP_PREFIX) return;
      const end = TCP_PREFIX + received.readUInt16BE(0);
      if (received.length < end) return;
      if (end < TCP_PREFIX + HEADER) {
        socket.destroy(new Error(`${address} answered with less than a header`));
        return;
      }
      resolve(received.subarray(TCP_PREFIX, end));
      socket.destroy();
    });
  });
}

/** With the length before it that messages over TCP have. */
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(TCP_PREFIX);
  prefix.writeUInt16BE(message.length, 0);
  return Buffer.concat([prefix, message]);
}
