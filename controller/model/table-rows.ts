/**
 * Rows of the tables of hosts without OpenFlow: what their agents need of networks, endpoints and policies to make a kernel forward as
 * the facts say. Pure types; `rpc/methods-tables.ts` has the same shapes as a schema, and the compiler compares them where they meet.
 *
 * Addresses are text, since rows go over the wire as they are.
 */

/** What a row is about, and its key within its scope. */
export type TableRow =
  | NetworkRow
  | EndpointRow
  | PeerRow
  | JudgedRow
  | SubjectRow
  | MemberRow
  | RangesRow
  | NetworkClassRow;

export interface NetworkRow {
  readonly kind: 'network';
  /** 23 bits. */
  readonly network: number;
  /** `<tenant>/<network>` */
  readonly id: string;
  readonly encapsulation: 'vlan' | 'vxlan';
  /** VLAN id or VNI. */
  readonly tag: number;
  /** With prefix length; of either family. */
  readonly subnets: readonly string[];
}

/** An attached endpoint, wherever it lives. */
export interface EndpointRow {
  readonly kind: 'endpoint';
  readonly network: number;
  /** `<tenant>/<network>/<endpoint>` */
  readonly endpoint: string;
  readonly mac: string;
  /** Without prefix length; the IPv6 link-local address of its MAC included. */
  readonly addresses: readonly string[];
  readonly host: string;
  /** Port at its host. */
  readonly interface: string;
}

/** A host that carries a network: where its endpoints are reached, and one copy of each broadcast goes. */
export interface PeerRow {
  readonly kind: 'peer';
  readonly network: number;
  readonly host: string;
  readonly vtepIp?: string;
  readonly vtepIp6?: string;
}

/** An endpoint of this host that is judged by policies. */
export interface JudgedRow {
  readonly kind: 'judged';
  readonly network: number;
  readonly endpoint: string;
  /** Subjects that it is judged as; absent: it is not judged in that direction. */
  readonly in?: number;
  readonly out?: number;
}

/** Policies in the order in which they decide: the first rule that matches, else the default. */
export interface SubjectRow {
  readonly kind: 'subject';
  readonly subject: number;
  readonly direction: 'in' | 'out';
  readonly default: 'allow' | 'deny';
  readonly rules: readonly TableRule[];
}

/** About connections, by their first packet. */
export interface TableRule {
  /** Of the rule fact. */
  readonly rule: number;
  readonly action: 'allow' | 'deny' | 'reject';
  readonly stateless: boolean;
  /** Classes of the other side, any of them; empty: anybody. */
  readonly peers: readonly string[];
  /** Any of them; empty: anything. */
  readonly services: readonly TableService[];
}

export interface TableService {
  /** IP protocol. */
  readonly protocol: number;
  /** Destination ports, both ends included. */
  readonly ports?: readonly { readonly first: number; readonly last: number }[];
  /** A class of endpoints with a port each: the destination has this port. Of direction `out`. */
  readonly portClass?: string;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/** An endpoint in a class: a group, or those that have a port of some name. */
export interface MemberRow {
  readonly kind: 'member';
  readonly class: string;
  readonly network: number;
  readonly endpoint: string;
  readonly addresses: readonly string[];
  /** What the name means to it, where the class is of a name of a port. */
  readonly port?: number;
}

/** A class of addresses: an address set or a CIDR block with its exceptions taken out. */
export interface RangesRow {
  readonly kind: 'ranges';
  readonly class: string;
  /** First and last address of each, ascending, without overlaps. */
  readonly ranges: readonly { readonly first: string; readonly last: string }[];
}

/** A class of all addresses of a network. */
export interface NetworkClassRow {
  readonly kind: 'networkClass';
  readonly class: string;
  readonly network: number;
  readonly subnets: readonly string[];
}
