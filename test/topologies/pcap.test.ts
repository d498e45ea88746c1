import t from 'tap';
import { parsePcap } from '../../topologies/lab/pcap.js';

/** A pcap file with the given frames, as tcpdump would write it on a machine of either byte order. */
function pcap(frames: readonly Uint8Array[], littleEndian: boolean, magic = 0xa1b2c3d4): Uint8Array {
  const file = new Uint8Array(24 + frames.reduce((sum, frame) => sum + 16 + frame.length, 0));
  const view = new DataView(file.buffer);
  view.setUint32(0, magic, littleEndian);
  let at = 24;
  for (const [index, frame] of frames.entries()) {
    view.setUint32(at, 1_000 + index, littleEndian);
    view.setUint32(at + 4, 500, littleEndian);
    view.setUint32(at + 8, frame.length, littleEndian);
    view.setUint32(at + 12, frame.length + 4, littleEndian);
    file.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return file;
}

t.test('parsePcap reads both byte orders and both resolutions', async (t) => {
  const frames = [Uint8Array.of(1, 2, 3), Uint8Array.of(), Uint8Array.of(4)];
  for (const littleEndian of [true, false]) {
    const parsed = parsePcap(pcap(frames, littleEndian));
    t.same(
      parsed.map((frame) => [...frame.bytes]),
      frames.map((frame) => [...frame]),
    );
    t.equal(parsed[0]?.length, 7, 'the length on the wire, not the captured one');
    t.equal(parsed[1]?.time, 1_001.0005);
    const nanoseconds = parsePcap(pcap(frames, littleEndian, 0xa1b23c4d));
    t.ok(Math.abs((nanoseconds[1]?.time ?? 0) - 1_001.0000005) < 1e-9);
  }
});

t.test('parsePcap ends at a record that is still being written', async (t) => {
  const whole = pcap([Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6)], true);
  for (let cut = whole.length - 1; cut > 24 + 16 + 3; cut--) {
    t.equal(parsePcap(whole.subarray(0, cut)).length, 1, `cut at ${cut}`);
  }
  t.same(parsePcap(new Uint8Array()), [], 'tcpdump has not written its header yet');
});

t.test('parsePcap refuses what is no capture', async (t) => {
  t.throws(() => parsePcap(new Uint8Array(10)), RangeError);
  t.throws(() => parsePcap(new Uint8Array(30)), { message: /magic number 0x0/ });
});
