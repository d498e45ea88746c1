/** Networks and endpoints as the ancestor's `GET` verbs show them. */
import { formatIpv4, formatMac } from '../address.js';
import { boundHost, vteps } from '../record-facts.js';
import type { EndpointRecord, NetworkRecord } from '../records.js';
import type { State } from '../state.js';
import type { NetpluginEndpoint, NetpluginNetwork } from '../types.js';

/** The ancestor kept a per-host VLAN in `pktTag` of a VXLAN network; there is none, so both tags are the VNI. */
export function netpluginNetwork(state: State, id: string, record: NetworkRecord): NetpluginNetwork {
  const { spec, encapsulation, tag, ipv4 } = record;
  return {
    id: spec.name,
    tenant: spec.tenant,
    pktTagType: encapsulation,
    pktTag: tag,
    extPktTag: encapsulation === 'vxlan' ? tag : 0,
    subnetIP: ipv4 === undefined ? '' : formatIpv4(ipv4.address),
    subnetLen: ipv4?.length ?? 0,
    defaultGw: ipv4?.gateway === undefined ? '' : formatIpv4(ipv4.gateway),
    epCount: state.indexes.endpointsOfNetwork.get(id).size,
  };
}

export function netpluginEndpoint(state: State, id: string, record: EndpointRecord): NetpluginEndpoint {
  const { spec, mac, ipv4 } = record;
  const binding = state.get('binding', id);
  const home = record.host ?? boundHost(record, binding) ?? '';
  const host = state.get('host', home);
  const { ipv4: vtep } = host === undefined ? {} : vteps(host);
  const attachUUID = record.attachUUID ?? binding?.spec.attachUUID ?? spec.attachUUID ?? '';
  return {
    id: `${spec.network}-${spec.name}`,
    netID: spec.network,
    contName: spec.name,
    contUUID: attachUUID,
    attachUUID,
    ipAddress: ipv4 === undefined ? '' : formatIpv4(ipv4),
    macAddress: formatMac(mac),
    homingHost: home,
    intfName: record.interface ?? '',
    portName: record.interface ?? '',
    vtepIP: vtep === undefined ? '' : formatIpv4(vtep),
  };
}
