/**
 * Asks switches what they would do with a packet of a connection (`ofproto/trace`), over one connection to each ovs-vswitchd: a
 * millisecond or two a question.
 */
import type { SwitchControl } from '../../agent/connections/control.js';
import { type Address, addressText } from './evaluator.js';
import { Protocol } from './packets.js';

/** The first packet of a connection, which is what its tuple says. */
export interface Tuple {
  readonly from: Address;
  readonly to: Address;
  readonly protocol: number;
  /** Source port; of ICMP the type. */
  readonly tpSource: number;
  /** Destination port; of ICMP the code. */
  readonly tpDestination: number;
}

export interface TracedPacket {
  /** How it comes: `in_port=5`, `in_port=65000,tun_id=7,…`. */
  readonly arrival: string;
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly connection: Tuple;
  /** `answer`: goes the other way. */
  readonly direction: 'first' | 'answer';
}

/** What becomes of a packet. */
export interface Traced {
  /** It leaves by some port. */
  readonly passes: boolean;
  /** Datapath actions after the last recirculation. */
  readonly actions: string;
  readonly text: string;
}

/** Type of the answer by that of the request: echo, timestamp, echo of ICMPv6. */
const ICMP_ANSWERS: Readonly<Record<number, number>> = { 8: 0, 13: 14, 128: 129 };

export async function trace(control: SwitchControl, bridge: string, packet: TracedPacket): Promise<Traced> {
  const state = packet.direction === 'first' ? 'trk,new' : 'trk,est,rpl';
  const text = await control.call('ofproto/trace', bridge, flowOf(packet), '--ct-next', state);
  const actions = [...text.matchAll(/^Datapath actions: (.*)$/gm)].at(-1)?.[1] ?? '';
  const passes = actions
    // A number by itself is a port; ct() and recirc() send nothing, and neither does what goes to the controller.
    .replaceAll(/userspace\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/g, '')
    .split(/,(?![^(]*\))/)
    .some((action) => /^\d+$/.test(action.trim()) || action.includes('tnl_push'));
  return { passes, actions, text };
}

function flowOf({ arrival, sourceMac, destinationMac, connection, direction }: TracedPacket): string {
  const { from, to, protocol, tpSource, tpDestination } = connection;
  const six = from.family === 6;
  const [source, destination] = direction === 'first' ? [from, to] : [to, from];
  const fields = [arrival, `dl_src=${sourceMac}`, `dl_dst=${destinationMac}`];
  fields.push(six ? 'eth_type=0x86dd' : 'eth_type=0x0800', `nw_proto=${protocol}`, 'nw_ttl=64');
  const address = six ? 'ipv6' : 'nw';
  fields.push(`${address}_src=${addressText(source)}`, `${address}_dst=${addressText(destination)}`);
  const name = { [Protocol.tcp]: 'tcp', [Protocol.udp]: 'udp', [Protocol.sctp]: 'sctp' }[protocol];
  if (name !== undefined) {
    const ports = direction === 'first' ? [tpSource, tpDestination] : [tpDestination, tpSource];
    fields.push(`${name}_src=${ports[0]}`, `${name}_dst=${ports[1]}`);
  } else if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const type = direction === 'first' ? tpSource : (ICMP_ANSWERS[tpSource] ?? tpSource);
    fields.push(`icmp${six ? 'v6' : ''}_type=${type}`, `icmp${six ? 'v6' : ''}_code=${tpDestination}`);
  }
  // What conntrack would find out; the trace keeps it over the recirculation. Its userspace variant knows no ports of SCTP.
  fields.push('ct_state=trk|new', `ct_nw_proto=${protocol}`);
  fields.push(`ct_${address}_src=${addressText(from)}`, `ct_${address}_dst=${addressText(to)}`);
  if (protocol !== Protocol.sctp) fields.push(`ct_tp_src=${tpSource}`, `ct_tp_dst=${tpDestination}`);
  return fields.join(',');
}
