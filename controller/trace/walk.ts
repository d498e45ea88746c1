/** One packet on its way over the hosts: from switch to switch through tunnels and the VLAN underlay. */
import { SwitchError } from '../channel/index.js';
import { F, type FlowStats, VLAN_PRESENT } from '../../ofproto/index.js';
import { type EndpointFact, type HostFact, TUNNEL_PORT, UPLINK_PORT } from '../model/facts.js';
import type { Track } from './execute.js';
import type { InstalledTables } from './installed.js';
import type { Packet } from './packet.js';
import { formatAddress, type Party, type Probe, type ProbeFacts } from './probe.js';
import { type Lookup, stepsOf } from './steps.js';

/** What a host's connection tracking says of the packet. */
export interface HostConnection {
  /** As `ct_state` is written: `new`, `est,rpl`. */
  readonly state: string;
  readonly track: Track;
}

export interface Way {
  /** The tables of a host's switch; undefined while it is not connected. */
  tables(host: HostFact): InstalledTables | undefined;
  connection(host: HostFact): HostConnection;
  readonly facts: ProbeFacts;
}

/** A copy that left a switch. */
export interface Departure {
  readonly kind: 'endpoint' | 'tunnel' | 'uplink' | 'controller' | 'nobody';
  readonly port: number;
  /** In words. */
  readonly to: string;
  readonly endpoint?: EndpointFact;
}

export interface Visit {
  readonly host: HostFact;
  readonly inPort: number;
  readonly arrival: string;
  readonly connection: string;
  /** Absent where the switch could not be asked; `unseen` says why. */
  readonly lookup?: Lookup<FlowStats>;
  readonly unseen?: string;
  readonly departures: readonly Departure[];
}

/** Where a packet goes in. */
interface Arrival {
  readonly host: HostFact;
  readonly inPort: number;
  readonly packet: Packet;
  readonly how: string;
}

/** Copies that cross more links than this go in a circle. */
const MAX_VISITS = 4096;
/** Fields that belong to a switch and not to the packet on the wire. */
const NOT_ON_THE_WIRE = /^(?:xx?reg|reg|in_port$|tun|ct_|metadata$|pkt_mark$)/;
const GROUP_BIT = 1n << 40n;

export class Walk {
  readonly visits: Visit[] = [];
  readonly #waiting: Arrival[] = [];
  readonly #hosts: readonly HostFact[];
  #hostsOfNetwork: ReadonlySet<string> | undefined;

  constructor(
    private readonly way: Way,
    private readonly probe: Probe,
  ) {
    this.#hosts = [...way.facts.hosts.entries()].map(([, host]) => host);
  }

  /** Sends the packet from where its sender is, and follows every copy to its end. */
  async run(sender: Party, receiver: Party, packet: Packet): Promise<readonly Visit[]> {
    this.#waiting.push(...this.#origin(sender, receiver, packet));
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.visits.length >= MAX_VISITS) break;
      this.visits.push(await this.#visit(next));
    }
    return this.visits;
  }

  #origin({ endpoint, place }: Party, receiver: Party, packet: Packet): Arrival[] {
    if (place?.port !== undefined && endpoint !== undefined) {
      const { host, port } = place;
      return [{ host, inPort: port, packet, how: `port ${port} (${place.interface}) from ${endpoint.id}` }];
    }
    // From outside it comes over the underlay, which knows where its receiver is.
    const host = receiver.place?.host;
    if (host?.uplink === undefined) return [];
    const tagged = new Map(packet).set(F.vlan_vid.name, BigInt(VLAN_PRESENT | this.probe.network.tag));
    return [{ host, inPort: UPLINK_PORT, packet: tagged, how: this.#fromUnderlay('outside') }];
  }

  async #visit({ host, inPort, packet, how: arrival }: Arrival): Promise<Visit> {
    const { state: connection, track } = this.way.connection(host);
    const visit = { host, inPort, arrival, connection };
    const tables = this.way.tables(host);
    if (tables === undefined) {
      const unseen = `the switch of ${host.name} is not connected, so its entries cannot be seen`;
      return { ...visit, unseen, departures: [] };
    }
    try {
      const lookup = await tables.execute(new Map(packet).set(F.in_port.name, BigInt(inPort)), track);
      return { ...visit, lookup, departures: this.#departures(host, lookup) };
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      const unseen = `the switch of ${host.name} did not give its entries: ${error.message}`;
      return { ...visit, unseen, departures: [] };
    }
  }

  #departures(host: HostFact, lookup: Lookup<FlowStats>): Departure[] {
    const toController = stepsOf(lookup, 'controller').map(
      ({ controllerId }): Departure => ({ kind: 'controller', port: controllerId, to: 'the controller' }),
    );
    const byPort = stepsOf(lookup, 'output').flatMap(({ port, packet }) => {
      if (port === TUNNEL_PORT) return this.#tunnel(host, packet);
      if (port === UPLINK_PORT) return this.#uplink(host, packet);
      return this.#access(host, port);
    });
    return [...byPort, ...toController];
  }

  #access(host: HostFact, port: number): Departure {
    for (const [, fact] of this.way.facts.ports.entries()) {
      if (fact.datapathId !== host.datapathId || fact.number !== port) continue;
      for (const [, endpoint] of this.way.facts.endpoints.entries()) {
        if (endpoint.host !== host.name || endpoint.interface !== fact.name) continue;
        const down = fact.up ? '' : ', whose link is down';
        return { kind: 'endpoint', port, to: `endpoint ${endpoint.id}${down}`, endpoint };
      }
      return { kind: 'nobody', port, to: `port ${fact.name}, which is no endpoint's` };
    }
    return { kind: 'nobody', port, to: 'a port that the switch does not have' };
  }

  #tunnel(from: HostFact, packet: Packet): Departure {
    const address4 = packet.get(F.tun_dst.name) ?? 0n;
    const address6 = packet.get(F.tun_ipv6_dst.name) ?? 0n;
    const target = this.#hosts.find(({ vtepIpv4, vtepIpv6 }) =>
      address4 === 0n ? vtepIpv6 !== undefined && vtepIpv6 === address6 : vtepIpv4 === Number(address4),
    );
    const port = TUNNEL_PORT;
    if (target === undefined) {
      const address = address4 === 0n ? formatAddress(address6, 6) : formatAddress(address4, 4);
      return { kind: 'tunnel', port, to: `tunnel to ${address}, which is no host's` };
    }
    const inner = new Map(onWire(packet)).set(F.tunnel_id.name, packet.get(F.tunnel_id.name) ?? 0n);
    if (address4 === 0n) {
      inner.set(F.tun_ipv6_src.name, from.vtepIpv6 ?? 0n).set(F.tun_ipv6_dst.name, address6);
    } else {
      inner.set(F.tun_src.name, BigInt(from.vtepIpv4 ?? 0)).set(F.tun_dst.name, address4);
    }
    this.#waiting.push({ host: target, inPort: TUNNEL_PORT, packet: inner, how: `tunnel from ${from.name}` });
    return { kind: 'tunnel', port, to: `tunnel to ${target.name}` };
  }

  /** The underlay takes a frame to the host where its MAC address lives, or, where it knows no such host, to all and outside. */
  #uplink(from: HostFact, packet: Packet): Departure {
    const port = UPLINK_PORT;
    if (from.uplink === undefined)
      return { kind: 'nobody', port, to: 'the uplink, which the host does not have' };
    const destination = packet.get(F.eth_dst.name) ?? 0n;
    const home = this.#home(destination);
    const toMany = (destination & GROUP_BIT) !== 0n;
    const reached = toMany
      ? this.#hosts.filter(({ name }) => this.#carries(name))
      : home === undefined
        ? []
        : [home];
    for (const host of reached) {
      if (host.name === from.name || host.uplink === undefined) continue;
      const inPort = UPLINK_PORT;
      this.#waiting.push({ host, inPort, packet: onWire(packet), how: this.#fromUnderlay(from.name) });
    }
    const tag = Number(packet.get(F.vlan_vid.name) ?? 0n) & (VLAN_PRESENT - 1);
    const where = toMany
      ? 'everybody'
      : home === undefined
        ? 'outside'
        : `${home.name}${home.uplink === undefined ? ', which has no uplink' : ''}`;
    return { kind: 'uplink', port, to: `uplink with VLAN tag ${tag} to ${where}` };
  }

  /** The host of the endpoint of the network with this MAC address. */
  #home(mac: bigint): HostFact | undefined {
    for (const { mac: known, place } of [this.probe.from, this.probe.to]) {
      if (BigInt(known) === mac && place !== undefined) return place.host;
    }
    return undefined;
  }

  #carries(host: string): boolean {
    this.#hostsOfNetwork ??= new Set(
      [...this.way.facts.endpoints.entries()].flatMap(([, endpoint]) =>
        endpoint.network === this.probe.network.id && endpoint.interface !== undefined
          ? (endpoint.host ?? [])
          : [],
      ),
    );
    return this.#hostsOfNetwork.has(host);
  }

  #fromUnderlay(from: string): string {
    return `uplink with VLAN tag ${this.probe.network.tag} from ${from}`;
  }
}

/** What of a packet leaves a switch. */
export function onWire(packet: Packet): Packet {
  return new Map([...packet].filter(([name]) => !NOT_ON_THE_WIRE.test(name)));
}
