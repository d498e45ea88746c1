/**
 * Makes connections known to a switch: packet-outs through the management socket of the bridge (`<bridge>.mgmt`, ovs-vswitchd(8)), each of
 * a packet that goes through connection tracking and nowhere else. No table is looked at, so it works before the controller has
 * brought the entries back.
 */
import {
  type Action,
  CtFlag,
  Decoder,
  Encoder,
  type Message,
  OFP_VERSION,
  packetOut,
  Port,
} from '../../ofproto/index.js';
import { type Connection, reversed } from './connection.js';
import { connected } from './control.js';
import { packetOf } from './packet.js';

const ANSWER_TIMEOUT_MS = 10_000;
const BARRIER_XID = 0xffff_fffe;

/**
 * Resolves when the switch has taken them all in, with the number of packets that it refused.
 * @param management path of the bridge's management socket
 * @throws where there is no such bridge yet, or it does not answer
 */
export async function beginConnections(
  management: string,
  connections: readonly Connection[],
): Promise<number> {
  const socket = await connected(management);
  try {
    return await new Promise((resolve, reject) => {
      let refused = 0;
      const timer = setTimeout(() => reject(new Error('the bridge does not answer')), ANSWER_TIMEOUT_MS);
      const decoder = new Decoder({
        message: (message) => {
          if (message.type === 'error') refused++;
          if (message.type !== 'barrier_reply') return;
          clearTimeout(timer);
          resolve(refused);
        },
        malformed: ({ message }) => reject(new Error(message)),
      });
      socket.on('data', (chunk) => decoder.push(chunk));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the bridge has closed its management socket')));
      const encoder = new Encoder();
      encoder.append({ type: 'hello', xid: 0, version: OFP_VERSION, versions: [OFP_VERSION] });
      for (const message of messagesFor(connections)) encoder.append(message);
      encoder.append({ type: 'barrier_request', xid: BARRIER_XID });
      socket.write(encoder.take());
    });
  } finally {
    socket.destroy();
  }
}

/** The first packet begins the connection, the one of the other side makes it an established one, which is kept for longer. */
function* messagesFor(connections: readonly Connection[]): IterableIterator<Message> {
  for (const connection of connections) {
    yield throughTracking(connection, CtFlag.COMMIT);
    yield throughTracking(reversed(connection), 0);
  }
}

function throughTracking(connection: Connection, flags: number): Message {
  const track: Action = { type: 'ct', flags, zone: connection.zone, alg: 0, actions: [] };
  return packetOut({ inPort: Port.CONTROLLER, actions: [track], data: packetOf(connection) });
}
