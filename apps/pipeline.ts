/**
 * The pipeline: every table in the order of a packet's way, the register fields that carry what is known of the packet, and the
 * ladder of priorities. Table ids follow from the order, so entries name tables, never numbers.
 *
 * To add a table: choose its stage, put it where the packet should meet it, say what it may match and set, and let the tables before
 * it `goto` it. `definePipeline` refuses an order that goes back and a security stage whose misses do not drop.
 */
import { F } from '../ofproto/index.js';
import { defineRegisters } from '../controller/datapath/fields.js';
import { definePipeline } from '../controller/datapath/pipeline.js';

/** What the pipeline knows of a packet. Set by `classify`, read everywhere. */
export const R = defineRegisters({
  network: { register: 0, offset: 0, bits: 24, description: 'number of the network the packet belongs to' },
  origin: { register: 0, offset: 24, bits: 2, description: 'where the packet came from, see Origin' },
  remoteHost: { register: 1, offset: 0, bits: 16, description: 'number of the host to tunnel to' },
  floodPart: { register: 1, offset: 16, bits: 3, description: 'part of the remote chunks being flooded' },
  outputPort: { register: 2, offset: 0, bits: 16, description: 'port to leave by' },
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

/**
 * The ladder of priorities. Entries of a host's own scope stand above shared ones, so that a host holds what is said of every member
 * and what is true only here. Entries that could match one packet stand on different rungs; the verifier refuses anything else.
 */
export const Priority = {
  /** What must not be, whatever else is true of the packet. */
  forbid: 400,
  /** An exception of this host from what `host` says. */
  hostException: 350,
  /** Of this host: its ports, its endpoints. */
  host: 300,
  /** Of the cluster, before what is shared by members of a network. */
  guard: 250,
  /** Shared by the members of a network. */
  shared: 200,
  /** Shared, where a packet could match a `shared` entry too. */
  sharedSecond: 190,
  /** What a network does with what nothing above it knows. */
  networkDefault: 100,
  /** Drops by protocol. */
  protocol: 50,
  /** Drops by kind of port. */
  port: 20,
  /** What a table does with the rest, where that is not its miss. */
  rest: 10,
} as const;

export const pipeline = definePipeline([
  {
    name: 'classify',
    stage: 'classify',
    description:
      'Gives the packet its network and origin, by port, VLAN tag, or VNI and tunnel source; takes the tag off.',
    match: [F.in_port, F.vlan_vid, F.tunnel_id, F.tun_src, F.tun_ipv6_src],
    set: [R.network, R.origin, F.vlan_vid],
    goto: ['source_mac'],
    miss: 'drop',
  },
  {
    name: 'source_mac',
    stage: 'anti_spoof',
    description: 'A port sends with the MAC address of its endpoint; nobody else sends with it.',
    match: [F.in_port, F.eth_src, F.eth_type, R.network, R.origin],
    goto: ['source_address', 'spoofed', 'forward'],
    miss: 'drop',
  },
  {
    name: 'source_address',
    stage: 'anti_spoof',
    description: 'A port sends with the IPv4, IPv6 and ARP addresses of its endpoint.',
    match: [
      F.in_port,
      F.eth_type,
      F.arp_op,
      F.arp_spa,
      F.arp_sha,
      F.ipv4_src,
      F.ipv4_dst,
      F.ipv6_src,
      F.ip_proto,
      F.udp_src,
      F.udp_dst,
      F.icmpv6_type,
    ],
    goto: ['neighbour_source', 'spoofed', 'address_resolution', 'forward'],
    miss: 'drop',
  },
  {
    name: 'neighbour_source',
    stage: 'anti_spoof',
    description:
      'The link-layer address in a neighbour solicitation or advertisement is that of the endpoint, or absent.',
    match: [F.in_port, F.eth_type, F.ip_proto, F.icmpv6_type, F.ipv6_nd_sll, F.ipv6_nd_tll],
    goto: ['neighbour_target', 'spoofed', 'address_resolution', 'forward'],
    miss: 'drop',
  },
  {
    name: 'neighbour_target',
    stage: 'anti_spoof',
    description: 'An endpoint advertises its own IPv6 addresses.',
    match: [F.in_port, F.eth_type, F.ip_proto, F.icmpv6_type, F.ipv6_nd_target],
    goto: ['spoofed', 'address_resolution'],
    miss: 'drop',
  },
  {
    name: 'spoofed',
    stage: 'anti_spoof',
    description: 'Where forged packets end: one counter for each endpoint that sent one.',
    match: [F.in_port],
    miss: 'drop',
  },
  {
    name: 'address_resolution',
    stage: 'arp_nd',
    description:
      'Answers ARP requests for known endpoints; turns neighbour solicitations for them into unicast.',
    match: [
      F.in_port,
      R.network,
      R.origin,
      F.eth_type,
      F.arp_op,
      F.arp_tpa,
      F.ip_proto,
      F.icmpv6_type,
      F.ipv6_nd_target,
    ],
    set: [F.eth_src, F.eth_dst, F.arp_op, F.arp_sha, F.arp_spa, F.arp_tha, F.arp_tpa],
    goto: ['forward'],
    miss: 'continue',
  },
  {
    name: 'forward',
    stage: 'forward',
    description:
      'Finds where the destination lives: a port of this host, another host, the VLAN underlay, or everywhere.',
    match: [F.eth_dst, R.network, R.origin],
    set: [R.outputPort, R.remoteHost, F.tunnel_id, F.vlan_vid],
    goto: ['flood_remote', 'tunnel_output', 'output'],
    miss: 'drop',
  },
  {
    name: 'flood_remote',
    stage: 'output',
    description:
      'Copies a broadcast or multicast frame of a local endpoint to the other hosts, or once into the VLAN underlay.',
    match: [R.network, R.origin],
    set: [F.tunnel_id, F.vlan_vid],
    goto: ['flood_local'],
    resubmit: ['tunnel_output', 'flood_part'],
    miss: { continue: 'flood_local' },
  },
  {
    name: 'flood_part',
    stage: 'output',
    description: 'Copies to some of the other hosts, where a network has too many of them for one go.',
    match: [R.network, R.floodPart],
    resubmit: ['tunnel_output'],
    miss: 'drop',
  },
  {
    name: 'flood_local',
    stage: 'output',
    description:
      'Copies a broadcast or multicast frame to the endpoints of this host, except the one it came from.',
    match: [R.network],
    miss: 'drop',
  },
  {
    name: 'tunnel_output',
    stage: 'output',
    description: 'Sends to the tunnel address of the host in R.remoteHost.',
    match: [R.remoteHost],
    set: [F.tun_dst, F.tun_ipv6_dst],
    miss: 'drop',
  },
  {
    name: 'output',
    stage: 'output',
    description: 'Sends by the port in R.outputPort.',
    match: [R.outputPort],
    miss: 'drop',
  },
]);

/** The tables, by name. */
export const T = pipeline.tables;
