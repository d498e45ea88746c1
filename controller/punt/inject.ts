/** Sends the answer to a rejected packet the way the packet came. */
import { Origin, R, T } from '../../apps/pipeline.js';
import { type Action, F, type Match, output, type PacketOut, packetOut } from '../../ofproto/index.js';
import { fieldOf, registerOf } from './registers.js';

/** @param metadata what came along with the rejected packet */
export function injection(xid: number, frame: Uint8Array, metadata: Match): PacketOut {
  return packetOut({ xid, data: frame, actions: wayBack(metadata) });
}

/**
 * To an endpoint of this host by its port. To anybody else as if an endpoint of this host had sent it: `forward` knows the way to
 * every member of the network, and policy stands before it, so that it is not asked again here.
 */
function wayBack(metadata: Match): readonly Action[] {
  const port = fieldOf(metadata, F.in_port);
  if (registerOf(metadata, R.origin) === Origin.local && port !== undefined) return [output(port)];
  return [
    R.network.set(registerOf(metadata, R.network)),
    R.origin.set(Origin.local),
    { type: 'resubmit', table: T.forward.id },
  ];
}
