/** A packet that policy sent to the controller, in words. */
import { Origin, R } from '../../apps/pipeline.js';
import type { Punt } from '../../apps/policy/punt.js';
import { CtState, F, formatIpv4, formatIpv6, formatMac, type Match } from '../../ofproto/index.js';
import type { DatapathId } from '../model/facts.js';
import type { Names } from './names.js';
import { type Packet, parsePacket, TcpFlag } from './packet.js';
import { fieldOf, registerOf } from './registers.js';
import type { PacketEnd, PacketEvent } from './types.js';

/** A packet as a switch sent it. */
export interface PuntedPacket extends Punt {
  readonly datapathId: DatapathId;
  /** Names of the switch's ports by number. */
  readonly portName: (port: number) => string | undefined;
  /** The frame, or its first bytes. */
  readonly frame: Uint8Array;
  /** Bytes of the whole frame. */
  readonly length: number;
  /** Registers, port and connection state. */
  readonly metadata: Match;
}

/** What is told of the packet. @param time milliseconds since 1970 */
export function describePacket(punted: PuntedPacket, names: Names, time: number): PacketEvent {
  const { verdict, direction, datapathId, frame, length, metadata } = punted;
  const packet = parsePacket(frame);
  const host = names.host(datapathId);
  const network = names.network(registerOf(metadata, R.network));
  const decider = describeDecider(punted, names);
  const tenant = decider.tenant ?? network?.tenant;
  const connection = fieldOf(metadata, F.ct_state) ?? 0;
  return {
    time,
    count: 1,
    verdict,
    direction,
    ...decider,
    ...(tenant === undefined ? {} : { tenant }),
    ...(network === undefined ? {} : { network: network.id }),
    ...describeEnds(punted, packet, names, network?.id),
    ...describeProtocol(packet),
    ...((connection & CtState.REPLY) === 0 ? {} : { answer: true }),
    length,
    datapathId,
    ...(host === undefined ? {} : { host }),
  };
}

function describeDecider(
  { decider }: PuntedPacket,
  names: Names,
): Pick<PacketEvent, 'rule' | 'policy' | 'tenant' | 'default'> {
  const { kind, number } = decider;
  switch (kind) {
    case 'rule': {
      const rule = names.rule(number);
      // Deleted in the meantime: its number is all there is.
      if (rule === undefined) return { rule: `#${number}` };
      return { rule: rule.id, policy: rule.policy, tenant: tenantOf(rule.policy) };
    }
    case 'policy': {
      const policy = names.policy(number);
      return policy === undefined
        ? { default: 'policy' }
        : { default: 'policy', policy: policy.id, tenant: policy.tenant };
    }
    case 'tenant': {
      const tenant = names.tenant(number);
      return tenant === undefined ? { default: 'tenant' } : { default: 'tenant', tenant: tenant.name };
    }
  }
}

function tenantOf(id: string): string {
  return id.slice(0, id.indexOf('/'));
}

function describeEnds(
  { datapathId, portName, metadata }: PuntedPacket,
  { ethernet, arp, ip, transport }: Packet,
  names: Names,
  network: string | undefined,
): Pick<PacketEvent, 'source' | 'destination'> {
  const end = (
    mac: number | undefined,
    address: number | bigint | undefined,
    port: number | undefined,
  ): PacketEnd => {
    const endpoint = network === undefined ? undefined : endpointAt(names, network, mac, address);
    return {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(mac === undefined ? {} : { mac: formatMac(mac) }),
      ...(address === undefined ? {} : { address: formatAddress(address) }),
      ...(port === undefined ? {} : { port }),
    };
  };
  const ports = transport !== undefined && 'sourcePort' in transport ? transport : undefined;
  const source = end(ethernet?.source, ip?.source ?? arp?.senderAddress, ports?.sourcePort);
  const destination = end(
    ethernet?.destination,
    ip?.destination ?? arp?.targetAddress,
    ports?.destinationPort,
  );
  const sender = localSender(names, datapathId, metadata, portName);
  return { source: sender === undefined ? source : { ...source, endpoint: sender }, destination };
}

/** The port a packet came in by says more than the addresses in it. */
function localSender(
  names: Names,
  datapathId: DatapathId,
  metadata: Match,
  portName: PuntedPacket['portName'],
): string | undefined {
  if (registerOf(metadata, R.origin) !== Origin.local) return undefined;
  const host = names.host(datapathId);
  const port = fieldOf(metadata, F.in_port);
  const name = port === undefined ? undefined : portName(port);
  return host === undefined || name === undefined ? undefined : names.endpointByInterface(host, name)?.id;
}

function endpointAt(
  names: Names,
  network: string,
  mac: number | undefined,
  address: number | bigint | undefined,
): string | undefined {
  if (address !== undefined) return names.endpointByAddress(network, address)?.id;
  return mac === undefined ? undefined : names.endpointByMac(network, mac)?.id;
}

function formatAddress(address: number | bigint): string {
  return typeof address === 'number' ? formatIpv4(address) : formatIpv6(address);
}

function describeProtocol({
  ethernet,
  arp,
  ip,
  transport,
}: Packet): Pick<PacketEvent, 'protocol' | 'icmp' | 'tcpFlags' | 'fragment'> {
  const fragment = ip !== undefined && ip.fragmentOffset > 0 ? ({ fragment: true } as const) : {};
  if (transport?.kind === 'tcp') return { protocol: 'tcp', tcpFlags: tcpFlags(transport.flags), ...fragment };
  if (transport?.kind === 'icmp' || transport?.kind === 'icmpv6') {
    const { kind, type, code } = transport;
    return { protocol: kind, icmp: { type, code }, ...fragment };
  }
  if (transport !== undefined) return { protocol: transport.kind, ...fragment };
  if (ip !== undefined)
    return { protocol: PROTOCOL_NAMES.get(ip.protocol) ?? `ip ${ip.protocol}`, ...fragment };
  if (arp !== undefined) return { protocol: 'arp' };
  return {
    protocol: ethernet === undefined ? 'unreadable' : `ethertype 0x${ethernet.etherType.toString(16)}`,
  };
}

/** For packets whose headers are cut off, and fragments. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
]);

function tcpFlags(flags: number): string {
  return Object.entries(TcpFlag)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
    .join(',');
}
