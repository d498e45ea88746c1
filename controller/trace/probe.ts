/** What is to be traced: from a request in words to two parties and a packet. What cannot be traced is refused with a reason and a fix. */
import { F, type Field } from '../../ofproto/index.js';
import type { Collection } from '../derive/index.js';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../model/address.js';
import type { DatapathId, EndpointFact, HostFact, NetworkFact, PortFact } from '../model/facts.js';
import { TraceError } from './error.js';
import type { Packet } from './packet.js';
import { EtherType, IcmpEcho, IpProtocol } from './protocols.js';
import type { TraceRequest } from './report.js';

/** What is read of the cluster. */
export interface ProbeFacts {
  readonly networks: Collection<NetworkFact>;
  readonly endpoints: Collection<EndpointFact>;
  readonly hosts: Collection<HostFact>;
  readonly ports: Collection<Omit<PortFact, 'host'>>;
}

/** Where an endpoint is attached. */
export interface Place {
  readonly host: HostFact & { readonly datapathId: DatapathId };
  /** OpenFlow port number; absent while the switch has no such port. */
  readonly port: number | undefined;
  readonly interface: string;
}

/** One side of the conversation; without an endpoint somebody outside, in the VLAN underlay or behind it. */
export interface Party {
  /** 32 or 128 bits, by the family of the probe. */
  readonly address: bigint;
  readonly mac: number;
  readonly endpoint?: EndpointFact;
  readonly place?: Place;
}

export interface Probe {
  readonly network: NetworkFact;
  readonly family: 4 | 6;
  readonly from: Party;
  readonly to: Party;
  /** First packet of the connection, as `from` sends it. */
  readonly first: Packet;
  /** The answer of `to`; absent where there is none (ICMP other than echo requests). */
  readonly answer?: Packet;
  /** `tcp 80`, `icmp 8/0`. */
  readonly service: string;
}

/** MAC address that stands for anybody outside: locally administered, and no endpoint's (theirs begin with 02:02 and 02:03). */
export const OUTSIDE_MAC = 0x02ff_0000_0001;
/** Where the ports begin that hosts choose for themselves (RFC 6335). */
const FIRST_EPHEMERAL_PORT = 49152;
const TTL = 64;

const PROTOCOLS: Readonly<Record<string, number>> = { ...IpProtocol };
const PORT_FIELDS: Readonly<Record<number, readonly [Field, Field] | undefined>> = {
  [IpProtocol.tcp]: [F.tcp_src, F.tcp_dst],
  [IpProtocol.udp]: [F.udp_src, F.udp_dst],
  [IpProtocol.sctp]: [F.sctp_src, F.sctp_dst],
};

/** @throws TraceError */
export function probeOf(request: TraceRequest, facts: ProbeFacts): Probe {
  const endpoints = { from: named('from', request.from, facts), to: named('to', request.to, facts) };
  const known = endpoints.from ?? endpoints.to;
  if (known === undefined) {
    throw new TraceError(
      'trace.parties.addresses',
      'both sides are addresses, and an address alone is in no network',
      {
        path: 'from',
        fix: 'name one side as an endpoint: TENANT/NETWORK/ENDPOINT',
      },
    );
  }
  if (endpoints.from !== undefined && endpoints.to !== undefined) checkTogether(endpoints.from, endpoints.to);
  const network = facts.networks.get(known.network);
  if (network === undefined) throw new TraceError('object.unknown', `there is no network ${known.network}`);
  const family = familyOf(request);
  const party = (side: 'from' | 'to'): Party =>
    partyOf(side, endpoints[side] ?? request[side], { network, family, facts });
  const [from, to] = [party('from'), party('to')];
  if (from.address === to.address) {
    throw new TraceError('trace.parties.same', `both sides are ${formatAddress(from.address, family)}`, {
      path: 'to',
      fix: 'choose two endpoints, or an endpoint and an address',
    });
  }
  if (from.endpoint === undefined && network.encapsulation === 'vxlan') {
    throw new TraceError(
      'trace.from.outside',
      `no endpoint of ${network.id} has address ${request.from}, and a VXLAN network takes packets from its endpoints only`,
      { path: 'from', fix: 'name an endpoint of the network, or one of its addresses' },
    );
  }
  return { network, family, from, to, ...packetsOf(request, family, from, to) };
}

/** An endpoint by its id; undefined for an address. */
function named(side: 'from' | 'to', text: string, { endpoints }: ProbeFacts): EndpointFact | undefined {
  if (text.includes('/')) {
    const endpoint = endpoints.get(text);
    if (endpoint !== undefined) return endpoint;
    throw new TraceError('object.unknown', `there is no endpoint ${text}`, {
      path: side,
      fix: 'list them with "weft get endpoints"; names are TENANT/NETWORK/ENDPOINT',
    });
  }
  if (parseIpv4(text) !== undefined || parseIpv6(text) !== undefined) return undefined;
  throw new TraceError('trace.party.syntax', `'${text}' is neither an endpoint nor an address`, {
    path: side,
    fix: 'write TENANT/NETWORK/ENDPOINT, or an IPv4 or IPv6 address',
  });
}

function checkTogether(from: EndpointFact, to: EndpointFact): void {
  if (from.network === to.network) return;
  throw new TraceError(
    'trace.network.none-shared',
    `${from.id} is in network ${from.network} and ${to.id} in ${to.network}: no network has both, and there is no route between networks`,
    {
      path: 'to',
      fix: 'choose endpoints of one network; what is attached to several has an endpoint in each',
    },
  );
}

function familyOf({ family, from, to, protocol }: TraceRequest): 4 | 6 {
  const families = new Set<4 | 6>();
  for (const text of [from, to]) {
    if (text.includes('/')) continue;
    families.add(text.includes(':') ? 6 : 4);
  }
  if (protocol === 'icmpv6') families.add(6);
  if (family !== undefined) families.add(family);
  if (families.size > 1) {
    throw new TraceError('trace.family.mixed', 'the request asks for IPv4 and for IPv6', {
      path: 'family',
      fix: 'use addresses of one family, and icmpv6 and --ipv6 with IPv6 only',
    });
  }
  return [...families][0] ?? 4;
}

interface PartyContext {
  readonly network: NetworkFact;
  readonly family: 4 | 6;
  readonly facts: ProbeFacts;
}

function partyOf(side: 'from' | 'to', who: EndpointFact | string, context: PartyContext): Party {
  const { network, family, facts } = context;
  if (typeof who !== 'string') {
    const address = addressesOf(who, family)[0];
    if (address !== undefined) return attached(side, who, address, facts);
    throw new TraceError('trace.endpoint.no-address', `${who.id} has no IPv${family} address`, {
      path: side,
      fix: family === 6 ? 'leave --ipv6 out, or give its network an ipv6Subnet' : 'ask with --ipv6',
    });
  }
  const address = BigInt(family === 6 ? (parseIpv6(who) ?? 0) : (parseIpv4(who) ?? 0));
  for (const [, endpoint] of facts.endpoints.entries()) {
    if (endpoint.network === network.id && addressesOf(endpoint, family).includes(address)) {
      return attached(side, endpoint, address, facts);
    }
  }
  return { address, mac: OUTSIDE_MAC };
}

function addressesOf({ ipv4, ipv6 }: EndpointFact, family: 4 | 6): bigint[] {
  return family === 6 ? [...ipv6] : ipv4.map(BigInt);
}

function attached(side: 'from' | 'to', endpoint: EndpointFact, address: bigint, facts: ProbeFacts): Party {
  const { id, host: hostName, interface: name, mac } = endpoint;
  const refuse = (message: string, fix: string): never => {
    throw new TraceError('trace.endpoint.not-attached', message, { path: side, fix });
  };
  if (hostName === undefined) {
    return refuse(`${id} is bound to no host`, `attach it on its host: "weft attach ${id}"`);
  }
  if (name === undefined) {
    return refuse(
      `${id} is bound to host ${hostName} and not attached`,
      `attach it there: "weft attach ${id}"`,
    );
  }
  const host = facts.hosts.get(hostName);
  if (host?.datapathId === undefined) {
    return refuse(
      `${id} is attached on host ${hostName}, whose agent has never registered a bridge`,
      `start the agent of ${hostName}: "weft agent"`,
    );
  }
  const { datapathId } = host;
  const port = facts.ports.get(`${datapathId}/${name}`)?.number;
  return { address, mac, endpoint, place: { host: { ...host, datapathId }, port, interface: name } };
}

function packetsOf(
  request: TraceRequest,
  family: 4 | 6,
  from: Party,
  to: Party,
): Pick<Probe, 'first' | 'answer' | 'service'> {
  const { protocol, name } = protocolOf(request, family);
  const make = (sender: Party, receiver: Party, more: readonly (readonly [Field, number])[]): Packet =>
    new Map<string, bigint>([
      [F.eth_src.name, BigInt(sender.mac)],
      [F.eth_dst.name, BigInt(receiver.mac)],
      [F.eth_type.name, BigInt(family === 6 ? EtherType.ipv6 : EtherType.ipv4)],
      [(family === 6 ? F.ipv6_src : F.ipv4_src).name, sender.address],
      [(family === 6 ? F.ipv6_dst : F.ipv4_dst).name, receiver.address],
      [F.ip_proto.name, BigInt(protocol)],
      [F.nw_ttl.name, BigInt(TTL)],
      ...more.map(([field, value]) => [field.name, BigInt(value)] as const),
    ]);

  const fields = PORT_FIELDS[protocol];
  if (fields !== undefined) {
    const [source, destination] = fields;
    const port = request.port ?? missingPort(name);
    const ephemeral = request.sourcePort ?? FIRST_EPHEMERAL_PORT;
    return {
      first: make(from, to, [
        [source, ephemeral],
        [destination, port],
      ]),
      answer: make(to, from, [
        [source, port],
        [destination, ephemeral],
      ]),
      service: `${name} ${port}`,
    };
  }
  if (request.port !== undefined || request.sourcePort !== undefined) {
    throw new TraceError('trace.port.protocol', `protocol ${name} has no ports`, {
      path: 'port',
      fix: 'leave the ports out, or ask for tcp, udp or sctp',
    });
  }
  const isIcmp = protocol === (family === 6 ? IpProtocol.icmpv6 : IpProtocol.icmp);
  if (!isIcmp) return { first: make(from, to, []), answer: make(to, from, []), service: name };
  const [typeField, codeField] =
    family === 6 ? [F.icmpv6_type, F.icmpv6_code] : [F.icmpv4_type, F.icmpv4_code];
  const echo = family === 6 ? IcmpEcho.v6 : IcmpEcho.v4;
  const { icmpType = echo.request, icmpCode = 0 } = request;
  const first = make(from, to, [
    [typeField, icmpType],
    [codeField, icmpCode],
  ]);
  const service = `${name} ${icmpType}/${icmpCode}`;
  if (icmpType !== echo.request) return { first, service };
  return {
    first,
    answer: make(to, from, [
      [typeField, echo.reply],
      [codeField, 0],
    ]),
    service,
  };
}

function protocolOf(request: TraceRequest, family: 4 | 6): { protocol: number; name: string } {
  const asked = request.protocol ?? 'icmp';
  const word = asked === 'icmp' && family === 6 ? 'icmpv6' : asked;
  const protocol = PROTOCOLS[word] ?? (/^\d{1,3}$/.test(word) ? Number(word) : Number.NaN);
  if (!(protocol <= 255)) {
    throw new TraceError('trace.protocol.unknown', `there is no protocol '${asked}'`, {
      path: 'protocol',
      fix: `one of ${Object.keys(PROTOCOLS).join(', ')}, or a number from 0 to 255`,
    });
  }
  const [name = `protocol ${protocol}`] =
    Object.entries(PROTOCOLS).find(([, number]) => number === protocol) ?? [];
  const isIcmp = protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6;
  if (!isIcmp && (request.icmpType ?? request.icmpCode) !== undefined) {
    throw new TraceError('trace.icmp.protocol', `an ICMP type or code is asked for with ${name}`, {
      path: 'icmpType',
      fix: 'leave it out, or ask for icmp',
    });
  }
  return { protocol, name };
}

function missingPort(name: string): never {
  throw new TraceError('trace.port.missing', `a ${name} packet has a destination port`, {
    path: 'port',
    fix: `say which: --${name} 80`,
  });
}

export function formatAddress(address: bigint, family: 4 | 6): string {
  return family === 6 ? formatIpv6(address) : formatIpv4(Number(address));
}
