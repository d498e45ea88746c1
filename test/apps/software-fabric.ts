/** Switches joined by tunnels and a VLAN underlay, executed in this process: who gets a packet. */
import type { DesiredTables } from '../../controller/datapath/desired.js';
import { TUNNEL_PORT, UPLINK_PORT } from '../../controller/model/facts.js';
import type { HostFact } from '../../controller/model/facts.js';
import { asNew } from '../../controller/trace/connection.js';
import type { Track } from '../../controller/trace/execute.js';
import { type Execution, type Packet, SoftwareSwitch } from './software-switch.js';

/** A packet that reached a port of a host, or (host absent) a neighbour in the VLAN underlay. */
export interface Delivery {
  readonly host: string | undefined;
  readonly port: number;
  readonly packet: Packet;
}

/** Fields that belong to a switch and not to the packet on the wire. */
const WIRE_FIELDS = /^(?!reg|in_port$|tun)/;
/** Packets that cross more links than this go in a circle. */
const MAX_HOPS = 4;

export class SoftwareFabric {
  /** What happened on each host that saw the last packet, in order. */
  executions: Execution[] = [];
  readonly #hosts: readonly HostFact[];
  readonly #switches = new Map<string, SoftwareSwitch>();

  /** @param maxHops links that a packet may cross */
  constructor(
    desired: Pick<DesiredTables, 'facts' | 'entries'>,
    private readonly maxHops = MAX_HOPS,
  ) {
    this.#hosts = [...desired.facts.hosts.entries()]
      .map(([, host]) => host)
      .filter(({ datapathId }) => datapathId !== undefined);
    for (const { name, datapathId } of this.#hosts) {
      this.#switches.set(name, new SoftwareSwitch(desired.entries(datapathId as string)));
    }
  }

  /**
   * Sends a packet into a port and returns where it and its copies come out, in any order.
   * @param track what the connection tracking of every host says of it
   */
  send(host: string, port: number, packet: Packet, track: Track = asNew): Delivery[] {
    const deliveries: Delivery[] = [];
    this.executions = [];
    this.#enter(host, port, packet, deliveries, 0, track);
    return deliveries;
  }

  /** Sends a frame into the VLAN underlay: every host with an uplink gets it. */
  sendFromUnderlay(packet: Packet, track: Track = asNew): Delivery[] {
    const deliveries: Delivery[] = [];
    this.executions = [];
    for (const { name, uplink } of this.#hosts) {
      if (uplink !== undefined) this.#enter(name, UPLINK_PORT, packet, deliveries, 1, track);
    }
    return deliveries;
  }

  /** A packet into the tunnel port of a host. */
  sendFromTunnel(host: string, tunnel: { vni: number; source: number }, packet: Packet): Delivery[] {
    const deliveries: Delivery[] = [];
    this.#enter(
      host,
      TUNNEL_PORT,
      withTunnel(packet, BigInt(tunnel.vni), 'tun_src', BigInt(tunnel.source)),
      deliveries,
      1,
      asNew,
    );
    return deliveries;
  }

  #enter(
    name: string,
    inPort: number,
    packet: Packet,
    deliveries: Delivery[],
    hops: number,
    track: Track,
  ): void {
    if (hops > this.maxHops) throw new Error('a packet goes in a circle');
    const execution = (this.#switches.get(name) as SoftwareSwitch).execute(inPort, packet, track);
    this.executions.push(execution);
    const { outputs } = execution;
    const host = this.#hosts.find((candidate) => candidate.name === name) as HostFact;
    for (const output of outputs) {
      if (output.port === TUNNEL_PORT) this.#tunnel(host, output.packet, deliveries, hops, track);
      else if (output.port === UPLINK_PORT) this.#uplink(host, output.packet, deliveries, hops, track);
      else deliveries.push({ host: name, port: output.port, packet: output.packet });
    }
  }

  #tunnel(from: HostFact, packet: Packet, deliveries: Delivery[], hops: number, track: Track): void {
    const vni = packet.get('tunnel_id') ?? 0n;
    const [to4, to6] = [packet.get('tun_dst') ?? 0n, packet.get('tun_ipv6_dst') ?? 0n];
    if ((to4 === 0n) === (to6 === 0n)) throw new Error(`tunnel to ${to4} and ${to6}`);
    for (const host of this.#hosts) {
      if (to4 !== 0n && from.vtepIpv4 !== undefined && to4 === BigInt(host.vtepIpv4 ?? 0)) {
        this.#enter(
          host.name,
          TUNNEL_PORT,
          withTunnel(packet, vni, 'tun_src', BigInt(from.vtepIpv4)),
          deliveries,
          hops + 1,
          track,
        );
      }
      if (to6 !== 0n && from.vtepIpv6 !== undefined && to6 === host.vtepIpv6) {
        this.#enter(
          host.name,
          TUNNEL_PORT,
          withTunnel(packet, vni, 'tun_ipv6_src', from.vtepIpv6),
          deliveries,
          hops + 1,
          track,
        );
      }
    }
  }

  #uplink(from: HostFact, packet: Packet, deliveries: Delivery[], hops: number, track: Track): void {
    if (from.uplink === undefined) return;
    deliveries.push({ host: undefined, port: 0, packet });
    for (const host of this.#hosts) {
      if (host !== from && host.uplink !== undefined)
        this.#enter(host.name, UPLINK_PORT, onWire(packet), deliveries, hops + 1, track);
    }
  }
}

function onWire(packet: Packet): Map<string, bigint> {
  return new Map([...packet].filter(([field]) => WIRE_FIELDS.test(field)));
}

function withTunnel(packet: Packet, vni: bigint, field: string, source: bigint): Packet {
  return onWire(packet).set('tunnel_id', vni).set(field, source);
}
