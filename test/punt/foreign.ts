/** Frames made by scapy, and frames read by tshark: nothing of ours stands on the other side of what is tested. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PRELUDE = [
  'from scapy.layers.l2 import *',
  'from scapy.layers.inet import *',
  'from scapy.layers.inet6 import *',
  'from scapy.layers.sctp import *',
  'from scapy.contrib.igmp import *',
  'from scapy.contrib.igmpv3 import *',
  'from scapy.packet import Raw',
].join('\n');

/** The unit tests run on machines without Debian's packages, too. */
export const hasTshark = (): boolean => spawnSync('tshark', ['--version']).status === 0;
export const hasScapy = (): boolean => spawnSync('/usr/bin/python3', ['-c', 'import scapy']).status === 0;

/** Each value is a scapy expression; the frames come back under the same names. */
export function scapyFrames<Name extends string>(
  expressions: Readonly<Record<Name, string>>,
): Record<Name, Uint8Array> {
  const names = Object.keys(expressions) as Name[];
  const program = [PRELUDE, ...names.map((name) => `print(bytes(${expressions[name]}).hex())`)].join('\n');
  const lines = execFileSync('/usr/bin/python3', ['-c', program], { encoding: 'utf8' }).trim().split('\n');
  const frames = names.map((name, index) => [
    name,
    new Uint8Array(Buffer.from(lines[index] as string, 'hex')),
  ]);
  return Object.fromEntries(frames) as Record<Name, Uint8Array>;
}

/** The named fields of each frame as tshark shows them, checksums checked; every occurrence of a field in its order. */
export function tsharkFields(
  frames: readonly Uint8Array[],
  fields: readonly string[],
): Readonly<Record<string, readonly string[]>>[] {
  const folder = mkdtempSync(join(tmpdir(), `weft-punt-${process.pid}-`));
  try {
    const path = join(folder, 'frames.pcap');
    writeFileSync(path, pcap(frames));
    const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
    const relative = [
      '-o',
      'tcp.relative_sequence_numbers:FALSE',
      '-o',
      'tcp.analyze_sequence_numbers:FALSE',
    ];
    const columns = fields.flatMap((field) => ['-e', field]);
    const output = execFileSync(
      'tshark',
      ['-r', path, '-n', ...checks, ...relative, '-T', 'fields', '-E', 'aggregator=|', ...columns],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return output
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => {
        const cells = line.split('\t');
        return Object.fromEntries(
          fields.map((field, index) => [
            field,
            (cells[index] ?? '').split('|').filter((cell) => cell !== ''),
          ]),
        );
      });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A capture file of Ethernet frames (pcap 2.4, link type 1). */
function pcap(frames: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.alloc(24);
  header.writeUInt32BE(0xa1b2c3d4, 0);
  header.writeUInt16BE(2, 4);
  header.writeUInt16BE(4, 6);
  header.writeUInt32BE(0xffff, 16);
  header.writeUInt32BE(1, 20);
  const parts: Uint8Array[] = [header];
  for (const frame of frames) {
    const record = Buffer.alloc(16);
    record.writeUInt32BE(frame.length, 8);
    record.writeUInt32BE(frame.length, 12);
    parts.push(record, frame);
  }
  return Buffer.concat(parts);
}
