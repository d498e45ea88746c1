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

/** A tenant; key: `name`. */
export interface TenantFact {
  readonly name: string;
  /** 16 bits. */
  readonly number: number;
}

/** Addresses of a network in one family. */
export interface SubnetFact<Address> {
  readonly address: Address;
  readonly prefixLength: number;
  readonly gateway?: Address;
}

/** A network; key: `id`. */
export interface NetworkFact {
  readonly id: NetworkId;
  readonly tenant: string;
  readonly name: string;
  /** 24 bits, unique in the cluster. */
  readonly number: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  /** VLAN id (1 to 4094) or VNI (24 bits). */
  readonly tag: number;
  readonly ipv4?: SubnetFact<number>;
  readonly ipv6?: SubnetFact<bigint>;
  /** VLAN networks: unknown unicast goes to the uplink. The model's default is true for VLAN, false for VXLAN. */
  readonly uplinkHandOff: boolean;
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
}

/** A host; key: `name`. */
export interface HostFact {
  readonly name: string;
  /** 16 bits. */
  readonly number: number;
  /** The bridge its agent claims; absent until an agent has registered. */
  readonly datapathId?: DatapathId;
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

/** One fact that came, changed, or (value absent) went. */
export type FactChange =
  | { readonly kind: 'tenant'; readonly key: string; readonly value?: TenantFact }
  | { readonly kind: 'network'; readonly key: NetworkId; readonly value?: NetworkFact }
  | { readonly kind: 'endpoint'; readonly key: EndpointId; readonly value?: EndpointFact }
  | { readonly kind: 'host'; readonly key: string; readonly value?: HostFact };

/**
 * Port number of the flow-based VXLAN port, the same on every bridge so that shared entries can name it.
 * `rpc/methods.ts` holds the same constants for agents; a test compares them.
 */
export const TUNNEL_PORT = 65000;

/** Interface name of the flow-based VXLAN port. */
export const TUNNEL_INTERFACE = 'weft-vxlan';

/** Port number of the uplink to the VLAN underlay, the same on every bridge. */
export const UPLINK_PORT = 65001;
