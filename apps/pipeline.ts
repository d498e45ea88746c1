/**
 * The pipeline: every table in the order of a packet's way, the register fields that carry what is known of the packet, and the
 * ladder of priorities. Table ids follow from the order, so entries name tables, never numbers.
 *
 * To add a table: choose its stage, put it where the packet should meet it, say what it may match and set, and let the tables before
 * it `goto` it. `definePipeline` refuses an order that goes back and a security stage whose misses do not drop.
 */
import { F } from '../ofproto/index.js';
import { definePipelineWithTransition } from '../controller/datapath/pipeline.js';
import { Origin, R } from './registers.js';

export { Origin, R };

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

/** What rules match of a connection besides its two ends. */
const RULE_FIELDS = [
  F.ct_state,
  F.eth_type,
  F.ip_proto,
  F.sctp_src,
  F.sctp_dst,
  F.ct_nw_proto,
  F.ct_tp_src,
  F.ct_tp_dst,
  F.conj_id,
];

/** Of changes of policy that move a denial from one host to another. */
const TRANSITION = {
  generation: R.generation,
  first: 'source_identity',
  last: 'ingress_verdict',
  again: 'admit',
  except: R.flooded,
} as const;

export const pipeline = definePipelineWithTransition(TRANSITION, [
  {
    name: 'classify',
    stage: 'classify',
    description:
      'Gives the packet its network and origin, by port, VLAN tag, or VNI and tunnel source; takes the tag off.',
    match: [F.in_port, F.vlan_vid, F.tunnel_id, F.tun_src, F.tun_ipv6_src],
    set: [R.network, R.origin, R.remoteHost, R.treeColour, F.vlan_vid],
    goto: ['source_mac', 'name_service'],
    miss: 'drop',
  },
  {
    name: 'source_mac',
    stage: 'anti_spoof',
    description: 'A port sends with the MAC address of its endpoint; nobody else sends with it.',
    match: [F.in_port, F.eth_src, F.eth_type, R.network, R.origin],
    goto: ['source_address', 'spoofed', 'conntrack'],
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
    goto: ['neighbour_source', 'spoofed', 'address_resolution', 'conntrack', 'storm_control'],
    miss: 'drop',
  },
  {
    name: 'neighbour_source',
    stage: 'anti_spoof',
    description:
      'The link-layer address in a neighbour solicitation or advertisement is that of the endpoint, or absent.',
    match: [F.in_port, F.eth_type, F.ip_proto, F.icmpv6_type, F.ipv6_nd_sll, F.ipv6_nd_tll],
    goto: ['neighbour_target', 'spoofed', 'address_resolution', 'conntrack'],
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
    goto: ['conntrack'],
    miss: 'continue',
  },
  {
    name: 'conntrack',
    stage: 'conntrack',
    description:
      'Looks IP packets up among the connections of their network. Neighbour discovery and group membership pass untracked.',
    match: [R.origin, F.eth_type, F.ip_proto, F.icmpv6_type, F.ipv4_dst, F.ipv6_dst],
    goto: ['name_service', 'membership', 'storm_control'],
    resubmit: ['source_identity'],
    miss: { continue: 'storm_control' },
  },
  {
    name: 'name_service',
    stage: 'conntrack',
    description:
      'Questions of endpoints to the name server go to the agent of the host, and its answers back; neither is a connection.',
    match: [R.origin, F.in_port, F.eth_type, F.ipv4_src, F.ipv4_dst, F.ip_proto, F.udp_dst, F.tcp_dst],
    set: [F.eth_dst, F.ipv4_src, F.ipv4_dst],
    miss: 'drop',
  },
  {
    name: 'source_identity',
    stage: 'conntrack',
    description: 'Whom the connection comes from: the identity of the address that sent its first packet.',
    match: [R.network, F.ct_state, F.eth_type, F.ct_nw_src, F.ct_ipv6_src],
    set: [R.sourceIdentity, R.sourceClasses],
    goto: ['destination_identity'],
    miss: 'continue',
  },
  {
    name: 'destination_identity',
    stage: 'conntrack',
    description: 'Whom the connection is made to: the identity of the address that its first packet went to.',
    match: [R.network, F.ct_state, F.eth_type, F.ct_nw_dst, F.ct_ipv6_dst],
    set: [R.destinationIdentity, R.destinationClasses],
    goto: ['local_source'],
    miss: 'continue',
  },
  {
    name: 'local_source',
    stage: 'conntrack',
    description:
      'A packet from an endpoint of this host that is subject to policy: which side of the connection it is.',
    match: [F.in_port, F.ct_state],
    set: [R.judgeEgress, R.judgeIngress, R.egressSubject, R.ingressSubject],
    goto: ['local_destination'],
    miss: 'continue',
  },
  {
    name: 'local_destination',
    stage: 'conntrack',
    description:
      'A packet to an endpoint of this host that is subject to policy: which side of the connection it is.',
    match: [R.network, F.eth_dst, F.ct_state, F.eth_type, F.ct_nw_src, F.ct_ipv6_src],
    set: [R.judgeEgress, R.judgeIngress, R.egressSubject, R.ingressSubject],
    goto: ['egress_policy'],
    miss: 'continue',
  },
  {
    name: 'egress_policy',
    stage: 'egress_policy',
    description: 'What the source of the connection may do: finds the rule, for packets of both directions.',
    match: [R.judgeEgress, R.egressSubject, R.destinationIdentity, R.destinationClasses, ...RULE_FIELDS],
    set: [R.rule],
    attribution: [R.rule],
    goto: ['egress_verdict', 'ingress_policy'],
    miss: 'drop',
  },
  {
    name: 'egress_verdict',
    stage: 'egress_policy',
    description: 'Counts, logs and does what the rule says.',
    match: [R.rule, F.ct_state],
    set: [R.stateless],
    goto: ['ingress_policy'],
    miss: 'drop',
  },
  {
    name: 'ingress_policy',
    stage: 'ingress_policy',
    description:
      'What the destination of the connection admits: finds the rule, for packets of both directions.',
    match: [
      R.judgeIngress,
      R.ingressSubject,
      R.sourceIdentity,
      R.sourceClasses,
      R.destinationIdentity,
      R.destinationClasses,
      ...RULE_FIELDS,
    ],
    set: [R.rule],
    attribution: [R.rule],
    goto: ['ingress_verdict', 'admit'],
    miss: 'drop',
  },
  {
    name: 'ingress_verdict',
    stage: 'ingress_policy',
    description: 'Counts, logs and does what the rule says.',
    match: [R.rule, F.ct_state],
    set: [R.stateless],
    goto: ['admit'],
    miss: 'drop',
  },
  {
    name: 'admit',
    stage: 'ingress_policy',
    description: 'Remembers a new connection that both sides allow.',
    match: [R.flooded, R.stateless, F.ct_state, F.eth_type, F.eth_dst],
    goto: ['storm_control', 'qos_in'],
    miss: 'drop',
  },
  {
    name: 'membership',
    stage: 'qos',
    description: 'IGMP and MLD: who joins and leaves multicast groups, and who asks.',
    match: [R.network, R.origin, F.eth_type, F.ip_proto, F.icmpv6_type, F.ipv4_dst, F.ipv6_dst],
    goto: ['membership_report', 'storm_control'],
    miss: { continue: 'storm_control' },
  },
  {
    name: 'membership_report',
    stage: 'qos',
    description:
      'Reports of endpoints go to the controller and to the routers behind the uplink, to no other endpoint.',
    match: [F.in_port],
    set: [F.vlan_vid],
    miss: 'drop',
  },
  {
    name: 'storm_control',
    stage: 'qos',
    description: 'Limits what goes to many.',
    match: [F.in_port, R.network, R.origin, F.eth_dst, F.eth_type],
    goto: ['broadcast_limit'],
    miss: 'continue',
  },
  {
    name: 'broadcast_limit',
    stage: 'qos',
    description:
      'Limits what the endpoints of this host together broadcast in a network, ARP and DHCP aside.',
    match: [R.network, R.origin, F.eth_dst, F.eth_type, F.ip_proto, F.udp_src, F.udp_dst],
    goto: ['qos_out'],
    miss: 'continue',
  },
  {
    name: 'qos_out',
    stage: 'qos',
    description: 'What an endpoint sends: its rate and its mark.',
    match: [F.in_port, R.origin, F.eth_type, F.ip_dscp],
    set: [F.ip_dscp],
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
    goto: ['multicast', 'tunnel_output', 'qos_in'],
    miss: 'drop',
  },
  {
    name: 'multicast',
    stage: 'output',
    description:
      'Copies a packet to a multicast group to the hosts that have receivers, or once into the VLAN underlay; what is for everybody goes on.',
    match: [R.network, R.origin, R.treeColour, R.remoteHost, F.eth_type, F.ipv4_dst, F.ipv6_dst],
    set: [F.nxm_in_port, F.tunnel_id, F.tun_dst, F.tun_ipv6_dst, F.vlan_vid, R.remoteHost],
    goto: ['multicast_local', 'flood_remote'],
    resubmit: ['tunnel_output', 'flood_part'],
    miss: { continue: 'flood_remote' },
  },
  {
    name: 'multicast_local',
    stage: 'output',
    description:
      'Copies a packet to a multicast group to the receivers on this host that want it from its source.',
    match: [R.network, F.eth_type, F.ipv4_src, F.ipv4_dst, F.ipv6_src, F.ipv6_dst],
    set: [R.outputPort, R.flooded, R.judgeIngress, R.ingressSubject],
    goto: ['flood_local'],
    resubmit: ['ingress_policy', 'qos_in'],
    miss: 'drop',
  },
  {
    name: 'flood_remote',
    stage: 'output',
    description:
      'Copies a broadcast or multicast frame of a local endpoint to the other hosts, or once into the VLAN underlay; relays what travels a distribution tree.',
    match: [R.network, R.origin, R.treeColour, R.remoteHost],
    set: [F.nxm_in_port, F.tunnel_id, F.tun_dst, F.tun_ipv6_dst, F.vlan_vid, R.remoteHost],
    goto: ['flood_local'],
    resubmit: ['tunnel_output', 'flood_part'],
    miss: { continue: 'flood_local' },
  },
  {
    name: 'flood_part',
    stage: 'output',
    description:
      'Copies to some of the other hosts, where a network or a group has too many of them for one go.',
    match: [R.network, R.floodPart, F.eth_type, F.ipv4_dst, F.ipv6_dst],
    resubmit: ['tunnel_output'],
    miss: 'drop',
  },
  {
    name: 'flood_local',
    stage: 'output',
    description:
      'Copies a broadcast or multicast frame to the endpoints of this host, except the one it came from.',
    match: [R.network],
    resubmit: ['ingress_policy', 'qos_in'],
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
    name: 'qos_in',
    stage: 'output',
    description: 'What an endpoint receives: its rate.',
    match: [R.outputPort, R.flooded],
    set: [R.flooded],
    goto: ['output'],
    miss: 'continue',
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
