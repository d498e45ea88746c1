/**
 * From the table of a host to what its kernel should hold: bridges, tunnel devices, ports, forwarding entries, and the contents of the
 * tables of nftables. Pure, so that it is tested without a kernel.
 */
import { isIPv6 } from 'node:net';
import {
  addressNumber,
  type ClassSets,
  type CollectionName,
  COLLECTIONS,
  hashed,
  memberAddresses,
  type Named,
  subjectChain,
} from './linux-bridge-rules.js';
import type { EndpointRow, HostTableCopy, JudgedRow, MemberRow, NetworkRow, Refusal } from './table.js';

export interface PlanSettings {
  readonly hostLabel: string;
  readonly vtepIp?: string;
  /** Whether the kernel can track connections of bridged packets. */
  readonly canJudge: boolean;
  /** Interfaces of the host that can become ports. */
  hasInterface(name: string): boolean;
}

export interface BridgePlan {
  readonly network: number;
  readonly id: string;
  /** Absent: this host has no tunnel address. */
  readonly tunnel?: { readonly name: string; readonly vni: number; readonly local: string };
}

export interface KernelPlan {
  /** By name of bridge. */
  readonly bridges: ReadonlyMap<string, BridgePlan>;
  /** Bridge by name of port, tunnels not included. */
  readonly ports: ReadonlyMap<string, string>;
  /** Port by `<bridge> <MAC>`. */
  readonly stations: ReadonlyMap<string, string>;
  /** Tunnel address by `<tunnel device> <MAC>`. */
  readonly remotes: ReadonlyMap<string, string>;
  /** `<tunnel device> <tunnel address>`: where broadcast goes. */
  readonly floods: ReadonlySet<string>;
  readonly collections: ReadonlyMap<CollectionName, ReadonlySet<string>>;
  /** Chains and sets by name. */
  readonly named: ReadonlyMap<string, Named>;
  readonly refused: readonly Refusal[];
  /** As sentences for people. */
  readonly problems: readonly string[];
}

/** Connection tracking has zones of 16 bits. */
const MAX_ZONE = 0xffff;

export const bridgeName = (network: number): string => `weft-br${network}`;
export const tunnelName = (network: number): string => `weft-vx${network}`;

export function planOf(table: HostTableCopy, settings: PlanSettings): KernelPlan {
  return new Planner(table, settings).plan();
}

class Planner {
  readonly #bridges = new Map<string, BridgePlan>();
  readonly #ports = new Map<string, string>();
  readonly #stations = new Map<string, string>();
  readonly #remotes = new Map<string, string>();
  readonly #floods = new Set<string>();
  readonly #collections = new Map<CollectionName, Set<string>>(COLLECTIONS.map((name) => [name, new Set()]));
  readonly #named = new Map<string, Named>();
  readonly #refused: Refusal[] = [];
  readonly #problems = new Set<string>();
  readonly #networks = new Map<number, NetworkRow>();
  readonly #vteps = new Map<string, string>();
  /** Why a network cannot be carried. */
  readonly #unable = new Map<number, string>();
  readonly #judged = new Map<string, readonly [string, JudgedRow]>();

  constructor(
    private readonly table: HostTableCopy,
    private readonly settings: PlanSettings,
  ) {}

  plan(): KernelPlan {
    for (const [, row] of this.table.of('network')) this.#network(row);
    for (const [key, row] of this.table.of('judged')) this.#judged.set(row.endpoint, [key, row]);
    this.#peers();
    for (const [key, row] of this.table.of('endpoint')) this.#endpoint(key, row);
    this.#judgements();
    return {
      bridges: this.#bridges,
      ports: this.#ports,
      stations: this.#stations,
      remotes: this.#remotes,
      floods: this.#floods,
      collections: this.#collections,
      named: this.#named,
      refused: this.#refused,
      problems: [...this.#problems],
    };
  }

  #put(collection: CollectionName, element: string): void {
    this.#collections.get(collection)?.add(element);
  }

  #network(row: NetworkRow): void {
    const { network, id, encapsulation, tag } = row;
    const { vtepIp } = this.settings;
    this.#networks.set(network, row);
    if (encapsulation === 'vlan') {
      this.#unable.set(network, `network ${id} is a VLAN network, which Linux bridges of Weft do not carry`);
      return;
    }
    if (network > MAX_ZONE) {
      this.#unable.set(
        network,
        `network ${id} has number ${network}; Linux bridges track connections of ${MAX_ZONE} networks`,
      );
      return;
    }
    const name = bridgeName(network);
    this.#put('inet bridges', name);
    this.#put('inet zones', `${name} : ${network}`);
    if (vtepIp === undefined) {
      this.#bridges.set(name, { network, id });
      this.#problems.add(
        `network ${id} is a VXLAN network and the agent has no --vtep-ip: its endpoints here reach each other only`,
      );
      return;
    }
    const tunnel = tunnelName(network);
    this.#bridges.set(name, { network, id, tunnel: { name: tunnel, vni: tag, local: vtepIp } });
    this.#put('bridge members', tunnel);
    this.#put(isIPv6(vtepIp) ? 'inet local6' : 'inet local4', vtepIp);
  }

  #peers(): void {
    const { hostLabel, vtepIp } = this.settings;
    if (vtepIp === undefined) return;
    for (const [, { network, host, vtepIp: ipv4, vtepIp6: ipv6 }] of this.table.of('peer')) {
      if (host === hostLabel || !this.#bridges.has(bridgeName(network))) continue;
      const address = isIPv6(vtepIp) ? ipv6 : ipv4;
      if (address === undefined) {
        this.#problems.add(
          `host ${host} has no tunnel address of the family of ${vtepIp}: its endpoints and those here do not reach each other`,
        );
        continue;
      }
      this.#vteps.set(host, address);
      this.#floods.add(`${tunnelName(network)} ${address}`);
      this.#put(isIPv6(address) ? 'inet vteps6' : 'inet vteps4', address);
    }
  }

  #endpoint(key: string, row: EndpointRow): void {
    const { network, mac, host } = row;
    const unable = this.#unable.get(network);
    const bridge = bridgeName(network);
    const plan = this.#bridges.get(bridge);
    if (host === this.settings.hostLabel) {
      if (unable !== undefined) this.#refused.push({ key, reason: unable });
      else if (plan !== undefined) this.#local(key, row, bridge, plan);
      return;
    }
    const address = this.#vteps.get(host);
    if (plan?.tunnel === undefined || address === undefined) return;
    this.#stations.set(`${bridge} ${mac}`, plan.tunnel.name);
    this.#remotes.set(`${plan.tunnel.name} ${mac}`, address);
  }

  #local(key: string, row: EndpointRow, bridge: string, { tunnel }: BridgePlan): void {
    const { endpoint, mac, addresses, interface: port } = row;
    if (!this.settings.hasInterface(port)) {
      this.#refused.push({ key, reason: `this host has no interface ${port}` });
      return;
    }
    const judged = this.#judged.get(endpoint);
    if (judged !== undefined && !this.settings.canJudge) {
      const reason =
        'it is judged by policies, and the kernel of this host cannot track connections of bridged packets (br_netfilter is missing)';
      this.#refused.push({ key, reason });
      return;
    }
    this.#ports.set(port, bridge);
    this.#stations.set(`${bridge} ${mac}`, port);
    this.#put('bridge members', port);
    this.#put('bridge ports', port);
    this.#put('bridge macs', `${port} . ${mac}`);
    if (tunnel !== undefined) this.#put('bridge strangers', `${tunnel.name} . ${mac}`);
    for (const address of addresses) {
      this.#put(isIPv6(address) ? 'bridge addresses6' : 'bridge addresses4', `${port} . ${address}`);
    }
    if (judged?.[1].in !== undefined) this.#put('bridge receivers', port);
    for (const address of judged === undefined ? [] : addresses) {
      this.#put(isIPv6(address) ? 'inet judged6' : 'inet judged4', `${bridge} . ${address}`);
    }
  }

  /** Chains of rules for each subject and network that it lives in, and who is sent through them. */
  #judgements(): void {
    const subjects = new Map([...this.table.of('subject')].map(([, row]) => [row.subject, row]));
    const classes = new Map<number, ClassSets>();
    const chains = new Map<string, string>();
    for (const [key, row] of this.table.of('endpoint')) {
      const judged = this.#judged.get(row.endpoint)?.[1];
      const network = this.#networks.get(row.network);
      if (judged === undefined || network === undefined || !this.#ports.has(row.interface)) continue;
      if (row.host !== this.settings.hostLabel) continue;
      for (const direction of ['out', 'in'] as const) {
        const number = judged[direction];
        if (number === undefined) continue;
        const of = `${row.network} ${number}`;
        let chain = chains.get(of);
        if (chain === undefined) {
          const subject = subjects.get(number);
          const sets = classes.get(row.network) ?? this.#classes(network);
          classes.set(row.network, sets);
          // Rules that have not come yet let nothing pass.
          const named = subject === undefined ? CLOSED : subjectChain(subject, sets);
          this.#named.set(named.name, named);
          chain = named.name;
          chains.set(of, chain);
          if (subject === undefined)
            this.#refused.push({ key, reason: 'the rules of its policies have not come' });
        }
        for (const address of row.addresses) {
          const map = `inet ${direction}${isIPv6(address) ? 6 : 4}` as const;
          this.#put(map, `${bridgeName(row.network)} . ${address} : jump ${chain}`);
        }
      }
    }
  }

  /** Sets of the classes of one network, made when a rule asks for them. */
  #classes(network: NetworkRow): ClassSets {
    const members = new Map<string, MemberRow[]>();
    for (const [, row] of this.table.of('member')) {
      const list = members.get(row.class) ?? [];
      list.push(row);
      members.set(row.class, list);
    }
    const fixed = new Map<string, readonly string[]>();
    for (const [, { class: name, ranges }] of this.table.of('ranges')) {
      fixed.set(
        name,
        ranges.map(({ first, last }) => (first === last ? first : `${first}-${last}`)),
      );
    }
    for (const [, row] of this.table.of('networkClass')) fixed.set(row.class, networkElements(row, network));
    const isOf = (family: 4 | 6) => (element: string) => element.includes(':') === (family === 6);
    return {
      addresses: (name, family) => {
        const type = family === 4 ? 'ipv4_addr' : 'ipv6_addr';
        const ranges = fixed.get(name);
        if (ranges !== undefined)
          return this.#set('r', `${type}; flags interval`, ranges.filter(isOf(family)));
        return this.#set('m', type, memberAddresses(members.get(name) ?? [], network).filter(isOf(family)));
      },
      ports: (name, family) => {
        const elements = (members.get(name) ?? []).flatMap((member) =>
          memberAddresses([member], network)
            .filter(isOf(family))
            .map((address) => `${address} . ${member.port ?? 0}`),
        );
        return this.#set('p', `${family === 4 ? 'ipv4_addr' : 'ipv6_addr'} . inet_service`, elements);
      },
    };
  }

  #set(prefix: string, type: string, elements: readonly string[]): string | undefined {
    if (elements.length === 0) return undefined;
    const sorted = [...new Set(elements)].sort();
    const name = hashed(prefix, [type, ...sorted]);
    this.#named.set(name, { name, type, elements: sorted });
    return name;
  }
}

const CLOSED: Named = { name: 's-closed', rules: ['drop'] };

/** All addresses of a network, as seen from within another: what is of that one's subnets is its own. */
function networkElements(
  { network: of, subnets }: { readonly network: number; readonly subnets: readonly string[] },
  seenFrom: NetworkRow,
): readonly string[] {
  if (of === seenFrom.network) return [...subnets, 'fe80::/10'];
  return subnets.filter((subnet) => !seenFrom.subnets.some((own) => overlaps(own, subnet)));
}

function overlaps(a: string, b: string): boolean {
  const [first = '', firstLength = '0'] = a.split('/');
  const [second = '', secondLength = '0'] = b.split('/');
  if (isIPv6(first) !== isIPv6(second)) return false;
  const bits = isIPv6(first) ? 128 : 32;
  const rest = BigInt(bits - Math.min(Number(firstLength), Number(secondLength)));
  return addressNumber(first) >> rest === addressNumber(second) >> rest;
}
