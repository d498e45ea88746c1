/**
 * The least that a controller in Node can do, for comparison: answers each packet-in with the same packet-out, without looking at it. A
 * process of its own; prints the port it listens on.
 */
import { createServer } from 'node:net';
import { encode, NO_BUFFER } from '../ofproto/index.js';

const HEADER = 8;
/** Types of OpenFlow 1.3 (section 7.1). */
const Type = { hello: 0, error: 1, echoRequest: 2, experimenter: 4, packetIn: 10 } as const;
const ANSWER = encode({
  type: 'packet_out',
  xid: 0,
  bufferId: NO_BUFFER,
  inPort: 1,
  actions: [{ type: 'output', port: 2, maxLen: 0 }],
  data: new Uint8Array(82),
}).slice();
/** Answers of one write. */
const BURST = Buffer.concat(Array.from({ length: 1_024 }, () => ANSWER));

const server = createServer({ noDelay: true }, (socket) => {
  socket.write(encode({ type: 'hello', xid: 0, version: 4, versions: [4] }));
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    let packets = 0;
    while (bytes.length - at >= HEADER) {
      const length = bytes.readUInt16BE(at + 2);
      if (length < HEADER) {
        socket.destroy();
        return;
      }
      if (bytes.length - at < length) break;
      const type = bytes[at + 1];
      if (type === Type.packetIn || type === Type.experimenter) packets++;
      at += length;
    }
    rest = bytes.subarray(at);
    for (; packets > 0; packets -= 1_024)
      socket.write(BURST.subarray(0, Math.min(packets, 1_024) * ANSWER.length));
  });
  socket.on('error', () => socket.destroy());
});
server.listen({ host: '127.0.0.1', port: 0 }, () => {
  const address = server.address();
  console.log(typeof address === 'object' ? address?.port : '');
});
process.stdin.on('end', () => process.exit()).resume();
