/**
 * Schemas of contiv's objects in requests: the types of their members. What values mean is judged by the model; members that contiv
 * does not know are passed over, as its decoder does.
 */
import Type, { type Static } from 'typebox';

const text = (description: string) => Type.Optional(Type.String({ description }));
const number = (description: string) => Type.Optional(Type.Integer({ description }));
const texts = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));
const none = (description: string) => `${description}; refused, it has no counterpart`;
const tenantName = text('Tenant');

export const TenantBody = Type.Object({
  tenantName: text('Name'),
  defaultNetwork: text(none('Network of endpoints that name none')),
});
export type TenantBody = Static<typeof TenantBody>;

export const NetworkBody = Type.Object({
  tenantName,
  networkName: text('Name'),
  encap: text("vlan or vxlan. Default: the tenant's"),
  pktTag: number('VLAN id or VXLAN network identifier. 0: allocated'),
  subnet: text('IPv4 prefix. Empty: allocated'),
  gateway: text('IPv4 gateway'),
  ipv6Subnet: text('IPv6 prefix'),
  ipv6Gateway: text('IPv6 gateway'),
  nwType: text('data; infra is refused, it has no counterpart'),
  cfgdTag: text(none('Tag that Docker knows the network by')),
});
export type NetworkBody = Static<typeof NetworkBody>;

export const EndpointGroupBody = Type.Object({
  tenantName,
  groupName: text('Name'),
  networkName: text('Network that it belongs to'),
  policies: texts('Policies'),
  netProfile: text('Network profile'),
  ipPool: text(none('Range of addresses of its members')),
  extContractsGrps: texts(none('External contracts of ACI')),
  cfgdTag: text(none('Tag that Docker knows the group by')),
});
export type EndpointGroupBody = Static<typeof EndpointGroupBody>;

export const PolicyBody = Type.Object({ tenantName, policyName: text('Name') });
export type PolicyBody = Static<typeof PolicyBody>;

export const RuleBody = Type.Object({
  tenantName,
  policyName: text('Policy'),
  ruleId: text('Name'),
  direction: text('in or out. Default: in'),
  priority: number('1 to 100; higher wins. Default: 1'),
  fromEndpointGroup: text('With direction in: members of a group'),
  fromNetwork: text('With direction in: a network'),
  fromIpAddress: text('With direction in: an address or a prefix'),
  toEndpointGroup: text('With direction out: members of a group'),
  toNetwork: text('With direction out: a network'),
  toIpAddress: text('With direction out: an address or a prefix'),
  protocol: text('tcp, udp, icmp, igmp or a number'),
  port: number('Destination port. 0: any'),
  action: text('allow or deny. Default: allow'),
});
export type RuleBody = Static<typeof RuleBody>;

export const NetprofileBody = Type.Object({
  tenantName,
  profileName: text('Name'),
  bandwidth: text('What an endpoint may send: 10 mbps'),
  burst: number('Kilobytes that may come at once; needs bandwidth'),
  DSCP: number('0 to 63'),
});
export type NetprofileBody = Static<typeof NetprofileBody>;

export const GlobalBody = Type.Object({
  name: text('global'),
  networkInfraType: text('default'),
  fwdMode: text('bridge'),
  arpMode: text('proxy'),
  vlans: text('As listed: ranges are those of the tenants'),
  vxlans: text('As listed: ranges are those of the tenants'),
  pvtSubnet: text('Passed over'),
});
export type GlobalBody = Static<typeof GlobalBody>;

/** Of kinds that are refused whatever they say. */
export const AnyBody = Type.Object({});
