/** What the pipeline knows of a packet, in registers. Everybody takes these from `pipeline.ts`. */
import { defineRegisters } from '../controller/datapath/fields.js';

/** What the pipeline knows of a packet. Set by `classify`, read everywhere. */
export const R = defineRegisters({
  network: { register: 0, offset: 0, bits: 24, description: 'number of the network the packet belongs to' },
  origin: { register: 0, offset: 24, bits: 2, description: 'where the packet came from, see Origin' },
  judgeEgress: {
    register: 0,
    offset: 26,
    bits: 1,
    description: 'the source of the connection is subject to policy here',
  },
  judgeIngress: {
    register: 0,
    offset: 27,
    bits: 1,
    description: 'the destination of the connection is subject to policy here',
  },
  flooded: {
    register: 0,
    offset: 28,
    bits: 1,
    description: 'a copy of a flooded packet, for the port in outputPort',
  },
  stateless: {
    register: 0,
    offset: 29,
    bits: 1,
    description: 'a stateless rule let it pass: no connection is made of it',
  },
  remoteHost: {
    register: 1,
    offset: 0,
    bits: 16,
    description: 'number of the host to tunnel to; of a packet from a tunnel at first, the host it came from',
  },
  floodPart: { register: 1, offset: 16, bits: 3, description: 'part of the remote chunks being flooded' },
  treeColour: {
    register: 1,
    offset: 19,
    bits: 2,
    description: 'colour of the distribution tree that a packet from a tunnel travels; 0: none',
  },
  outputPort: { register: 2, offset: 0, bits: 16, description: 'port to leave by' },
  generation: {
    register: 2,
    offset: 31,
    bits: 1,
    description: 'in a transition: judged as before it (0), then as after it (1)',
  },
  sourceIdentity: {
    register: 3,
    offset: 0,
    bits: 32,
    description: 'identity of the source of the connection; 0: none',
  },
  destinationIdentity: {
    register: 4,
    offset: 0,
    bits: 32,
    description: 'identity of the destination of the connection; 0: none',
  },
  rule: { register: 5, offset: 0, bits: 32, description: 'number of the rule that matched last' },
  egressSubject: {
    register: 6,
    offset: 0,
    bits: 32,
    description: 'number of the policies that the source of the connection is subject to; with judgeEgress',
  },
  ingressSubject: {
    register: 7,
    offset: 0,
    bits: 32,
    description:
      'number of the policies that the destination of the connection is subject to; with judgeIngress',
  },
  sourceClasses: {
    register: 8,
    offset: 0,
    bits: 32,
    description: 'wide classes that the source of the connection is in, a bit each',
  },
  destinationClasses: {
    register: 9,
    offset: 0,
    bits: 32,
    description: 'wide classes that the destination of the connection is in, a bit each',
  },
});

/** Values of `R.origin`; 0 is a packet that `classify` has not seen. */
export const Origin = {
  /** From an endpoint of this host: may go anywhere. */
  local: 1,
  /** From another host over VXLAN: goes to endpoints of this host only (split horizon). */
  tunnel: 2,
  /** From the VLAN underlay: goes to endpoints of this host only. */
  uplink: 3,
} as const;
