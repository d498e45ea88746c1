/**
 * The world that both sides of the policy benchmarks are given: endpoints in networks on hosts, in groups, and rules "TCP to this port
 * from that group" in policies on groups. Host 1 is the one that is measured: a real Open vSwitch.
 */

export interface Shape {
  readonly hosts: number;
  /** Each has its share of the endpoints, of the hosts and of the groups. */
  readonly networks: number;
  readonly endpoints: number;
  /** The members of a group are spread over the hosts of its network. */
  readonly groups: number;
  /** All endpoints are in one more group. */
  readonly everybody?: boolean;
}

export interface WorldEndpoint {
  readonly name: string;
  readonly network: string;
  /** From 1. */
  readonly host: number;
  /** Name of its port on the host's bridge. */
  readonly port: string;
  /** OpenFlow number of the port. */
  readonly portNumber: number;
  readonly ip: string;
  readonly mac: string;
  readonly groups: readonly string[];
}

export interface WorldRule {
  readonly name: string;
  /** Group whose members admit the connections. */
  readonly subject: string;
  /** Group that they come from. */
  readonly peer: string;
  /** TCP. */
  readonly port: number;
}

/** Name of the group of all endpoints. */
export const EVERYBODY = 'everybody';
const FIRST_PORT = 8_000;

export class World {
  readonly endpoints: readonly WorldEndpoint[];
  readonly networks: readonly { readonly name: string; readonly subnet: string }[];
  /** Members by group. */
  readonly groups: ReadonlyMap<string, readonly WorldEndpoint[]>;
  readonly #groupsOfNetwork: number;

  constructor(readonly shape: Shape) {
    const { networks, endpoints, groups, everybody = false } = shape;
    this.networks = Array.from({ length: networks }, (_, index) => ({
      name: `n${index}`,
      subnet: `10.${index}.0.0/16`,
    }));
    const inNetwork = endpoints / networks;
    const onHost = endpoints / shape.hosts;
    this.#groupsOfNetwork = groups / networks;
    this.endpoints = Array.from({ length: endpoints }, (_, index) => {
      const network = Math.floor(index / inNetwork);
      const address = 1 + (index % inNetwork);
      const bytes = [10, network, address >> 8, address & 0xff];
      const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
      const portNumber = 1 + (index % onHost);
      const group = network * this.#groupsOfNetwork + (index % this.#groupsOfNetwork);
      return {
        name: `e${index}`,
        network: `n${network}`,
        host: 1 + Math.floor(index / onHost),
        port: `p${portNumber}`,
        portNumber,
        ip: bytes.join('.'),
        mac: ['02', '02', ...hex].join(':'),
        groups: [`g${group}`, ...(everybody ? [EVERYBODY] : [])],
      };
    });
    const members = new Map<string, WorldEndpoint[]>();
    for (const endpoint of this.endpoints) {
      for (const group of endpoint.groups) members.set(group, [...(members.get(group) ?? []), endpoint]);
    }
    this.groups = members;
  }

  /** Endpoints of a host. */
  on(host: number): readonly WorldEndpoint[] {
    return this.endpoints.filter((endpoint) => endpoint.host === host);
  }

  /** Endpoints of the measured host. */
  get local(): readonly WorldEndpoint[] {
    return this.on(1);
  }

  /** Rules `from` to `to` of the policy on a group; each has a port of its own, and the groups of the network are peers in turn. */
  rules(subject: string, from: number, to: number): readonly WorldRule[] {
    const own = Number(subject.slice(1)) || 0;
    const first = own - (own % this.#groupsOfNetwork);
    return Array.from({ length: to - from }, (_, index) => {
      const number = from + index;
      const peer = first + ((own + 1 + 7 * number) % this.#groupsOfNetwork);
      return { name: `r${number}`, subject, peer: `g${peer}`, port: FIRST_PORT + number };
    });
  }
}
