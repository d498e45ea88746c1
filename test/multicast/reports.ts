/** Frames of receivers, for tests: checksums are right unless a test breaks them. */
import { checksum, pseudoHeaderSum } from '../../controller/punt/checksum.js';
import { ethernetHeader, groupMac } from '../../controller/multicast/frames.js';
import { type GroupRecord, RECORD_TYPES } from '../../controller/multicast/messages.js';
import type { MulticastGroup } from '../../controller/model/facts.js';

export interface Sender {
  readonly mac: number;
  readonly ipv4?: number;
  readonly ipv6?: bigint;
}

function bytesOf(value: number | bigint, length: number): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt(value); bytes.length < length; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return bytes;
}

export function igmpFrame(from: Sender, destination: number, igmp: readonly number[], ttl = 1): Uint8Array {
  const payload = Uint8Array.from(igmp);
  new DataView(payload.buffer).setUint16(2, 0);
  new DataView(payload.buffer).setUint16(2, checksum(payload));
  const header = Uint8Array.of(0x46, 0xc0, ...bytesOf(24 + igmp.length, 2), 0, 0, 0x40, 0, ttl, 2, 0, 0);
  const addresses = [...bytesOf(from.ipv4 ?? 0, 4), ...bytesOf(destination, 4), 0x94, 4, 0, 0];
  const ip = Uint8Array.of(...header, ...addresses);
  new DataView(ip.buffer).setUint16(10, checksum(ip));
  const link = ethernetHeader(groupMac({ family: 4, address: destination }), from.mac, 0x0800);
  // What a sender's interface pads to the shortest frame.
  const frame = [...link, ...ip, ...payload];
  return Uint8Array.from([...frame, ...Array<number>(Math.max(0, 60 - frame.length)).fill(0)]);
}

export function mldFrame(from: Sender, destination: bigint, mld: readonly number[], hops = 1): Uint8Array {
  const payload = Uint8Array.from(mld);
  const source = from.ipv6 ?? 0n;
  new DataView(payload.buffer).setUint16(2, 0);
  new DataView(payload.buffer).setUint16(
    2,
    checksum(payload, pseudoHeaderSum({ source, destination }, 58, payload.length)),
  );
  const hopByHop = [58, 0, 5, 2, 0, 0, 1, 0];
  const ip = [0x60, 0, 0, 0, ...bytesOf(hopByHop.length + mld.length, 2), 0, hops];
  const link = ethernetHeader(groupMac({ family: 6, address: destination }), from.mac, 0x86dd);
  return Uint8Array.of(
    ...link,
    ...ip,
    ...bytesOf(source, 16),
    ...bytesOf(destination, 16),
    ...hopByHop,
    ...payload,
  );
}

function records(family: 4 | 6, list: readonly GroupRecord[]): number[] {
  const width = family === 4 ? 4 : 16;
  return list.flatMap(({ type, group, sources }) => [
    RECORD_TYPES.indexOf(type) + 1,
    0,
    ...bytesOf(sources.length, 2),
    ...bytesOf(group.address, width),
    ...[...sources].flatMap((source) => bytesOf(source, width)),
  ]);
}

/** A report of IGMPv3 or MLDv2. */
export function report(from: Sender, family: 4 | 6, list: readonly GroupRecord[]): Uint8Array {
  const body = [0, 0, 0, 0, 0, ...bytesOf(list.length, 2), ...records(family, list)];
  return family === 4
    ? igmpFrame(from, 0xe0000016, [0x22, ...body])
    : mldFrame(from, (0xff02n << 112n) | 0x16n, [143, ...body]);
}

/** A report or leave of an older version: IGMPv1, v2, MLDv1. */
export function oldReport(from: Sender, group: MulticastGroup, version: 1 | 2, leave = false): Uint8Array {
  if (group.family === 6) {
    const destination = leave ? (0xff02n << 112n) | 2n : group.address;
    return mldFrame(from, destination, [
      leave ? 132 : 131,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      ...bytesOf(group.address, 16),
    ]);
  }
  const type = leave ? 0x17 : version === 1 ? 0x12 : 0x16;
  const destination = leave ? 0xe0000002 : group.address;
  return igmpFrame(from, destination, [type, 0, 0, 0, ...bytesOf(group.address, 4)]);
}
