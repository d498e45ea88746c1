/**
 * Facts: what derivations see of the world. Pure types and the few constants both sides of the wire agree on; no code.
 *
 * Numbers (`TenantFact.number`, `NetworkFact.number`, `EndpointFact.number`, `HostFact.number`) are allocated by the
 * model, stored with their object and never reused while it lives, so that register values, group ids and cookies
 * derived from them are the same on every host and after every restart.
 *
 * Addresses are numbers here: MAC addresses 48-bit `number`, IPv4 addresses 32-bit unsigned `number`, IPv6 addresses
 * `bigint`. Text belongs to the edges (HTTP, command line, hub, intents).
 */

/** Datapath id of a switch: 16 lower-case hexadecimal digits. */
export type DatapathId = string;

/** `<tenant>/<network>`. */
export type NetworkId = string;

/** `<tenant>/<network>/<endpoint>`. */
export type EndpointId = string;

/** `<tenant>/<name>` of a group, an address set, a policy or a QoS profile. */
export type TenantObjectId = string;

/** A tenant; key: `name`. */
export interface TenantFact {
  readonly name: string;
  /** 16 bits. */
  readonly number: number;
  /** What endpoints may send and receive where no rule and no default of a policy says. Absent: allow. */
  readonly defaultAction?: 'allow' | 'deny';
}

/** Addresses of a network in one family. */
export interface SubnetFact<Address> {
  readonly address: Address;
  readonly prefixLength: number;
  readonly gateway?: Address;
}

/** What a network does with what is sent to many; what is absent has the default of `apps/multicast/settings.ts`. */
export interface MulticastSettings {
  /** Membership of groups is learned from IGMP and MLD, and copies go where receivers are. */
  readonly snooping?: boolean;
  /** Weft asks for members where nobody else does. */
  readonly querier?: boolean;
  /** What becomes of packets to groups that nobody has joined. */
  readonly unregistered?: 'flood' | 'drop';
  /** Neighbours that a host has at most on a distribution tree, 2 to 32. */
  readonly degree?: number;
  /** Hosts that a sender replicates to by itself, at most; a larger set shares a tree. */
  readonly headEndLimit?: number;
  /** Broadcast packets per second from each host, without ARP, neighbour discovery and DHCP. Absent: any. */
  readonly broadcastLimit?: number;
}

/** A network; key: `id`. */
export interface NetworkFact {
  readonly id: NetworkId;
  readonly tenant: string;
  readonly name: string;
  /** 23 bits, unique in the cluster. */
  readonly number: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  /** VLAN id (1 to 4094) or VNI (24 bits). */
  readonly tag: number;
  readonly ipv4?: SubnetFact<number>;
  readonly ipv6?: SubnetFact<bigint>;
  /** VLAN networks: unknown unicast goes to the uplink. The model's default is true for VLAN, false for VXLAN. */
  readonly uplinkHandOff: boolean;
  /** Profile of its endpoints that have none by themselves or by a group. */
  readonly qos?: TenantObjectId;
  /** Absent: all default. */
  readonly multicast?: MulticastSettings;
}

/** An endpoint; key: `id`. */
export interface EndpointFact {
  readonly id: EndpointId;
  readonly network: NetworkId;
  readonly name: string;
  /** 32 bits. */
  readonly number: number;
  readonly mac: number;
  readonly ipv4: readonly number[];
  readonly ipv6: readonly bigint[];
  /** Name of the host it lives on; absent while nobody has bound it. */
  readonly host?: string;
  /** Name of its port on the host's bridge; set while attached. */
  readonly interface?: string;
  /** Grows with each attach; the larger of two locations is the true one. */
  readonly generation: number;
  /** What selectors of groups look at; absent: none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Groups it names itself, besides those that choose it. */
  readonly groups?: readonly TenantObjectId[];
  /** Ports that rules may name, by name. */
  readonly namedPorts?: Readonly<Record<string, NamedPort>>;
  readonly qos?: TenantObjectId;
  /** Its own, which stand over those of its profile. */
  readonly rates?: { readonly in?: RateLimit; readonly out?: RateLimit };
}

export interface NamedPort {
  /** IP protocol: 6, 17 or 132. */
  readonly protocol: number;
  readonly port: number;
}

/** What forwards on a host whose bridge speaks no OpenFlow: it gets its table by the hub (`rpc/methods-tables.ts`). */
export type SoftSwitch = 'linux-bridge' | 'macvlan';

/** A host; key: `name`. */
export interface HostFact {
  readonly name: string;
  /** 16 bits. */
  readonly number: number;
  /** The bridge its agent claims; absent until an agent has registered, and on hosts without OpenFlow. */
  readonly datapathId?: DatapathId;
  /** Absent: Open vSwitch. */
  readonly softSwitch?: SoftSwitch;
  readonly vtepIpv4?: number;
  readonly vtepIpv6?: bigint;
  /** Name of the bridge's port to the VLAN underlay. */
  readonly uplink?: string;
  /** Name of the bridge's flow-based VXLAN port. */
  readonly tunnelPort?: string;
}

/** A port of a switch, from its port descriptions; key: `<datapathId>/<name>`. */
export interface PortFact {
  /** Name of the host that claims the datapath; the datapath id itself while nobody does (a fabric switch). */
  readonly host: string;
  readonly datapathId: DatapathId;
  readonly name: string;
  /** OpenFlow port number. */
  readonly number: number;
  readonly up: boolean;
}

/** Chooses endpoints by their labels, as in Kubernetes: all of `matchLabels` and all of `expressions` have to hold. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly expressions: readonly {
    readonly key: string;
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
    /** Of `In` and `NotIn`; empty otherwise. */
    readonly values: readonly string[];
  }[];
}

/**
 * A group of endpoints; key: `id`. Its members are the endpoints it names, those that name it, and those that its selector matches,
 * in `networks` if it has any; without a selector all endpoints of `networks`.
 */
export interface GroupFact {
  readonly id: TenantObjectId;
  readonly tenant: string;
  readonly name: string;
  /** 32 bits, unique in the cluster. */
  readonly number: number;
  readonly endpoints: readonly EndpointId[];
  readonly networks: readonly NetworkId[];
  /** `{ matchLabels: {}, expressions: [] }` matches every endpoint of the tenant. */
  readonly selector?: LabelSelector;
  /** Policies that its members are subject to. */
  readonly policies: readonly TenantObjectId[];
  readonly qos?: TenantObjectId;
}

/** Addresses with a common beginning; bits beyond the length are zero. */
export type PrefixFact =
  | { readonly family: 4; readonly address: number; readonly length: number }
  | { readonly family: 6; readonly address: bigint; readonly length: number };

/** Addresses: those of `prefixes` that are in none of `except`. */
export interface AddressBlock {
  readonly prefixes: readonly PrefixFact[];
  readonly except: readonly PrefixFact[];
}

/** A named set of addresses; key: `id`. */
export interface AddressSetFact extends AddressBlock {
  readonly id: TenantObjectId;
  readonly tenant: string;
  readonly name: string;
  readonly number: number;
}

/**
 * A policy; key: `id`. Whoever is in a group that names it is subject to its rules.
 *
 * What no rule decides, the defaults decide: deny where one policy of the endpoint says so for the direction, else allow where one
 * says so, else what the tenant says.
 */
export interface PolicyFact {
  readonly id: TenantObjectId;
  readonly tenant: string;
  readonly name: string;
  /** 32 bits, unique in the cluster. */
  readonly number: number;
  /** Of its tier, 1 to 30: rules of a higher tier decide first, whatever their own priority. */
  readonly tier: number;
  readonly defaultIn?: 'allow' | 'deny';
  readonly defaultOut?: 'allow' | 'deny';
}

/** The other side of a rule. A network is its endpoints and its subnets. */
export type Peer =
  | { readonly kind: 'group'; readonly id: TenantObjectId }
  | { readonly kind: 'network'; readonly id: NetworkId }
  | { readonly kind: 'addressSet'; readonly id: TenantObjectId }
  | { readonly kind: 'block'; readonly block: AddressBlock };

/** Addresses that a rule names by themselves: no matter whose they are. */
export type AddressPeer = Extract<Peer, { readonly kind: 'addressSet' | 'block' }>;

/** A protocol and what of it; a service without ports and types is all of the protocol. */
export interface Service {
  /** IP protocol, 0 to 255: 1 icmp, 6 tcp, 17 udp, 58 icmpv6, 132 sctp. */
  readonly protocol: number;
  /** Destination ports, both ends included; of tcp, udp and sctp. */
  readonly ports?: readonly { readonly first: number; readonly last: number }[];
  /** Names of ports of the endpoint that is connected to; together with `ports`. */
  readonly portNames?: readonly string[];
  /** Of icmp and icmpv6. */
  readonly icmpType?: number;
  /** With `icmpType` only. */
  readonly icmpCode?: number;
}

/**
 * A rule of a policy; key: `id`. It is about connections by their first packet; answers, and errors about them, pass with it.
 *
 * Of the rules that match, the highest tier decides, then the highest priority, then deny and reject over allow.
 */
export interface RuleFact {
  /** `<tenant>/<policy>/<rule>`. */
  readonly id: string;
  readonly policy: TenantObjectId;
  readonly name: string;
  /** 32 bits from 1, unique in the cluster. */
  readonly number: number;
  /** `in`: connections to the members of a group with the policy, judged where they live; `out`: from them. */
  readonly direction: 'in' | 'out';
  /** 1 to 100, higher wins. */
  readonly priority: number;
  /** Place in its policy, from 0: of overlapping rules that say the same, the first one counts. */
  readonly position: number;
  readonly action: 'allow' | 'deny' | 'reject';
  /** Tells of the connections it lets pass (or the packets it does not), at a limited rate. */
  readonly log: boolean;
  /** Judges every packet by itself: answers need a rule of their own. */
  readonly stateless: boolean;
  /** From whom (`in`), to whom (`out`); empty: anything. */
  readonly peers: readonly Peer[];
  /** Empty: anything. */
  readonly services: readonly Service[];
  /** Of direction `in`: the multicast groups that the packet is sent to, any of them. Absent: anything, unicast too. */
  readonly groupAddresses?: readonly AddressPeer[];
}

/** A rate and how much of it may come at once. */
export interface RateLimit {
  /** Kilobits per second, at least 1. */
  readonly kilobitsPerSecond: number;
  /** Kilobits. */
  readonly burstKilobits: number;
}

/**
 * A QoS profile; key: `id`. An endpoint has its own, else that of its group (the first by name that has one), else that of its
 * network.
 */
export interface QosProfileFact {
  readonly id: TenantObjectId;
  readonly tenant: string;
  readonly name: string;
  /** 32 bits, unique in the cluster. */
  readonly number: number;
  /** What an endpoint may send. */
  readonly out?: RateLimit;
  /** What an endpoint may receive. */
  readonly in?: RateLimit;
  /** `endpoint`: each has the rates for itself; `host`: all that have the profile on one host share them. */
  readonly sharing: 'endpoint' | 'host';
  /** What an endpoint sends is marked with it, 0 to 63. Absent: the mark it comes with counts if `trust`, else 0. */
  readonly dscp?: number;
  readonly trust: boolean;
  /** Queue on the uplink, 0 to 7, higher first. */
  readonly queue?: number;
  /** What its queue has for sure on the uplink, kilobits per second. */
  readonly guaranteedKilobitsPerSecond?: number;
}

export type * from './fabric-facts.js';
export type * from './multicast-facts.js';
export type * from './table-rows.js';

/** One fact that came, changed, or (value absent) went. */
export type FactChange =
  | { readonly kind: 'tenant'; readonly key: string; readonly value?: TenantFact }
  | { readonly kind: 'network'; readonly key: NetworkId; readonly value?: NetworkFact }
  | { readonly kind: 'endpoint'; readonly key: EndpointId; readonly value?: EndpointFact }
  | { readonly kind: 'host'; readonly key: string; readonly value?: HostFact }
  | { readonly kind: 'group'; readonly key: TenantObjectId; readonly value?: GroupFact }
  | { readonly kind: 'addressSet'; readonly key: TenantObjectId; readonly value?: AddressSetFact }
  | { readonly kind: 'policy'; readonly key: TenantObjectId; readonly value?: PolicyFact }
  | { readonly kind: 'rule'; readonly key: string; readonly value?: RuleFact }
  | { readonly kind: 'qosProfile'; readonly key: TenantObjectId; readonly value?: QosProfileFact };

/**
 * Port number of the flow-based VXLAN port, the same on every bridge so that shared entries can name it.
 * `rpc/methods.ts` holds the same constants for agents; a test compares them.
 */
export const TUNNEL_PORT = 65000;

/** Interface name of the flow-based VXLAN port. */
export const TUNNEL_INTERFACE = 'weft-vxlan';

/** Port number of the uplink to the VLAN underlay, the same on every bridge. */
export const UPLINK_PORT = 65001;
