/**
 * The pipeline of fabric switches, which no agent claims: tables in the order of a frame's way, register fields, priorities. It has
 * nothing in common with the pipeline of overlay hosts (`apps/pipeline.ts`); a switch has one or the other.
 *
 *     from an edge port ──► ingress ──► station ──► destination ──► path
 *     from a link       ──► ingress ──────────────► destination ──► membership ──► tree ──► groups ──► flood ──► flood_edge
 */
import { defineRegisters } from '../../controller/datapath/fields.js';
import { definePipeline } from '../../controller/datapath/pipeline.js';
import { F } from '../../ofproto/index.js';

/** What the pipeline knows of a frame. Set by `ingress`, and by who sends a frame of a new station on (`punt.ts`). */
export const R = defineRegisters({
  vlan: { register: 0, offset: 0, bits: 12, description: 'VLAN id of the frame; 0: without a tag' },
  treeClass: {
    register: 0,
    offset: 12,
    bits: 3,
    description: 'class of the VLAN: which of the trees the frame is flooded over',
  },
  origin: { register: 0, offset: 15, bits: 2, description: 'where the frame came from, see Origin' },
  destination: { register: 1, offset: 0, bits: 16, description: 'number of the switch to go to' },
});

/** Values of `R.origin`; 0 is a frame that `ingress` has not let in. */
export const Origin = {
  /** From a station. */
  edge: 1,
  /** From another switch of the fabric. */
  link: 2,
} as const;

/**
 * Flood trees, each for the VLANs whose id has the same lowest three bits: neighbouring ids, which are used together, use different
 * links. A bounded number, since each tree costs entries on every switch whether its VLANs are in use or not.
 */
export const TREE_CLASSES = 8;

export function treeClassOf(vlan: number): number {
  return vlan % TREE_CLASSES;
}

/** Entries that one frame could match stand on different rungs. */
export const Priority = {
  /** Probes from a port where a neighbour is known: before those from anywhere else. */
  probe: 400,
  /** Probes from anywhere else. */
  anyProbe: 390,
  /** Frames that no bridge forwards, whatever the port. */
  forbid: 350,
  /** An exception by port from what `host` says. */
  hostException: 310,
  /** Groups that are never told apart. */
  guard: 320,
  /** Of this switch: its ports, its stations, its paths. */
  host: 300,
  /** The same on all switches. */
  shared: 200,
  /** All groups of a VLAN but those that an entry of `host` is for. */
  restOfVlan: 100,
  /** What a table does with the rest, where that is not its miss. */
  rest: 10,
} as const;

export const pipeline = definePipeline([
  {
    name: 'ingress',
    stage: 'classify',
    description:
      'Lets frames in from ports whose role is known; probes go to the controller, what bridges never forward is dropped.',
    match: [F.in_port, F.eth_dst, F.eth_type],
    set: [R.vlan, R.treeClass, R.origin],
    goto: ['station', 'destination'],
    miss: 'drop',
  },
  {
    name: 'station',
    stage: 'anti_spoof',
    description:
      'Frames of stations that are known at their port go on; of others the controller learns, and sends them on.',
    match: [F.in_port, R.vlan, F.eth_src],
    goto: ['destination'],
    miss: 'drop',
  },
  {
    name: 'destination',
    stage: 'forward',
    description: 'Finds the switch of the destination, or the port, if it is this one. Of others, floods.',
    match: [R.vlan, F.eth_dst],
    set: [R.destination],
    goto: ['path'],
    miss: { continue: 'membership' },
  },
  {
    name: 'path',
    stage: 'output',
    description: 'Sends towards the switch in R.destination.',
    match: [R.destination, F.in_port],
    miss: 'drop',
  },
  {
    name: 'membership',
    stage: 'output',
    description:
      'Messages of group membership from stations go to the controller: reports to nobody else, queries and hellos of routers to all.',
    match: [R.origin, F.eth_type, F.ip_proto, F.ipv4_dst, F.ipv6_dst, F.icmpv6_type],
    goto: ['tree'],
    miss: { continue: 'tree' },
  },
  {
    name: 'tree',
    stage: 'output',
    description: 'Lets frames on that come from stations, or over a link of the tree.',
    match: [R.treeClass, R.origin, F.in_port],
    goto: ['groups'],
    miss: 'drop',
  },
  {
    name: 'groups',
    stage: 'output',
    description:
      'Multicast for groups whose receivers are known goes to these and to multicast routers; the rest is flooded.',
    match: [R.vlan, F.eth_type, F.ipv4_dst, F.ipv6_dst],
    goto: ['flood'],
    miss: { continue: 'flood' },
  },
  {
    name: 'flood',
    stage: 'output',
    description: 'Copies to the links of the tree.',
    match: [R.treeClass],
    goto: ['flood_edge'],
    miss: { continue: 'flood_edge' },
  },
  {
    name: 'flood_edge',
    stage: 'output',
    description: 'Copies to the edge ports, except the one that the frame came from.',
    match: [],
    miss: 'drop',
  },
]);

/** The tables, by name. */
export const T = pipeline.tables;
