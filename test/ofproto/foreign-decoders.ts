/** Two decoders that are not ours, as functions from bytes to what they say: `ovs-ofctl ofp-parse` and tshark. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether a program can be started at all; the unit tests run on machines without Debian's packages too. */
export const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

function run(program: string, args: readonly string[]): { stdout: string; stderr: string } {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`);
  return result;
}

function withFile<T>(name: string, bytes: Uint8Array, use: (path: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'weft-foreign-'));
  try {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return use(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** First line of what ofp-parse says of a message, or all of it where it can make nothing of the header. */
const OVS_START = /^(?:(?:OFP|ONF|NX)[A-Z0-9_]* .*\(xid=0x([0-9a-f]+)\):|\*\*\*decode error)/;

/** What Open vSwitch says of each message, in order. A message inside another belongs to it. */
export function ovsParse(messages: readonly Uint8Array[]): string[] {
  const { stdout } = withFile('messages', Buffer.concat(messages), (path) =>
    run('ovs-ofctl', ['ofp-parse', path]),
  );
  const parts: string[] = [];
  let previous: string | undefined;
  for (const line of stdout.replace(/\n$/, '').split('\n')) {
    const start = OVS_START.exec(line);
    if (start === null || (start[1] !== undefined && start[1] === previous)) {
      parts.push(`${parts.pop() ?? ''}\n${line}`);
    } else {
      parts.push(line);
      previous = start[1];
    }
  }
  return parts;
}

const MAX_PAYLOAD = 0xffff - 40;

/** A capture file with one TCP segment to port 6653 per message (pcap 2.4, link type 101: raw IPv4). */
export function pcap(messages: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const header = Buffer.alloc(24);
  header.writeUInt32BE(0xa1b2c3d4, 0);
  header.writeUInt16BE(2, 4);
  header.writeUInt16BE(4, 6);
  header.writeUInt32BE(0xffff, 16);
  header.writeUInt32BE(101, 20);
  parts.push(header);
  let sequence = 1;
  for (const [index, message] of messages.entries()) {
    if (message.length > MAX_PAYLOAD) throw new RangeError(`message ${index} does not fit into one segment`);
    const length = 40 + message.length;
    const packet = Buffer.alloc(16 + 40);
    packet.writeUInt32BE(index, 0);
    packet.writeUInt32BE(length, 8);
    packet.writeUInt32BE(length, 12);
    packet.set([0x45, 0, length >>> 8, length & 0xff, 0, 0, 0x40, 0, 64, 6, 0, 0], 16);
    packet.set([10, 0, 0, 1, 10, 0, 0, 2], 28);
    packet.writeUInt16BE(40_000, 36);
    packet.writeUInt16BE(6653, 38);
    packet.writeUInt32BE(sequence, 40);
    packet.writeUInt32BE(1, 44);
    packet.set([0x50, 0x18, 0xff, 0xff], 48);
    parts.push(packet, message);
    sequence += message.length;
  }
  return Buffer.concat(parts);
}

/** A capture of Ethernet frames (link type 1). */
function ethernetPcap(frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32BE(0xa1b2c3d4, 0);
  header.writeUInt16BE(2, 4);
  header.writeUInt16BE(4, 6);
  header.writeUInt32BE(0x40000, 16);
  header.writeUInt32BE(1, 20);
  const parts: Uint8Array[] = [header];
  for (const [index, frame] of frames.entries()) {
    const packet = Buffer.alloc(16);
    packet.writeUInt32BE(index, 0);
    packet.writeUInt32BE(frame.length, 8);
    packet.writeUInt32BE(frame.length, 12);
    parts.push(packet, frame);
  }
  return Buffer.concat(parts);
}

/** The named fields of each message as tshark shows them, every occurrence of a field in its order. */
export function tsharkFields(
  messages: readonly Uint8Array[],
  fields: readonly string[],
): Readonly<Record<string, readonly string[]>>[] {
  const options = ['-d', 'tcp.port==6653,openflow', '-o', 'tcp.desegment_tcp_streams:false'];
  return fieldsOf(pcap(messages), options, fields);
}

/** The named fields of each Ethernet frame as tshark shows them. */
export function frameFields(
  frames: readonly Uint8Array[],
  fields: readonly string[],
): Readonly<Record<string, readonly string[]>>[] {
  return fieldsOf(ethernetPcap(frames), [], fields);
}

function fieldsOf(
  capture: Uint8Array,
  options: readonly string[],
  fields: readonly string[],
): Readonly<Record<string, readonly string[]>>[] {
  const columns = fields.flatMap((field) => ['-e', field]);
  const { stdout } = withFile('messages.pcap', capture, (path) =>
    run('tshark', ['-n', '-r', path, ...options, '-T', 'fields', '-E', 'aggregator=|', ...columns]),
  );
  return stdout
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => {
      const cells = line.split('\t');
      return Object.fromEntries(
        fields.map((field, i) => [
          field,
          cells[i] === undefined || cells[i] === '' ? [] : cells[i].split('|'),
        ]),
      );
    });
}
