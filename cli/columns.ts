/** Columns of the tables of `weft get`, for each kind of object. */
import type { Kind } from '../controller/model/intents.js';
import type { ObjectViews } from '../controller/model/types.js';

export const COLUMNS: {
  readonly [K in Kind]: {
    readonly headings: readonly string[];
    readonly row: (view: ObjectViews[K]) => readonly unknown[];
  };
} = {
  Tenant: {
    headings: ['tenant', 'networks', 'encapsulation', 'subnet pool', 'vlans', 'vnis'],
    row: ({ name, status }) => [
      name,
      status.networks,
      status.defaultEncapsulation,
      `${status.subnetPool} by /${status.allocationLength}`,
      status.vlans,
      status.vnis,
    ],
  },
  Network: {
    headings: [
      'network',
      'encapsulation',
      'tag',
      'subnet',
      'gateway',
      'ipv6 subnet',
      'endpoints',
      'attached',
    ],
    row: ({ name, status }) => [
      name,
      status.encapsulation,
      status.tag,
      status.subnet,
      status.gateway,
      status.ipv6Subnet,
      status.endpoints,
      status.attached,
    ],
  },
  Endpoint: {
    headings: ['endpoint', 'ip', 'ipv6', 'mac', 'host', 'interface', 'origin'],
    row: ({ name, status }) => [
      name,
      status.ip,
      status.ip6,
      status.mac,
      status.host,
      status.attached ? status.interface : 'not attached',
      status.origin,
    ],
  },
  Host: {
    headings: ['host', 'datapath', 'vtep', 'uplink', 'attached', 'origin'],
    row: ({ name, status }) => [
      name,
      status.datapathId,
      status.vtepIp ?? status.vtepIp6,
      status.uplink,
      status.attached,
      status.origin,
    ],
  },
  HostBinding: {
    headings: ['endpoint', 'host', 'attached'],
    row: ({ name, spec, status }) => [name, spec.host, status.attached ? 'yes' : 'no'],
  },
  Group: {
    headings: ['group', 'members', 'policies', 'qos', 'named by rules'],
    row: ({ name, spec, status }) => [
      name,
      status.members,
      spec.policies?.join(', '),
      spec.qos,
      status.rules,
    ],
  },
  Policy: {
    headings: ['policy', 'tier', 'default in', 'default out', 'rules', 'groups', 'subjects'],
    row: ({ name, spec, status }) => [
      name,
      spec.tier === undefined ? status.tier : `${spec.tier} (${status.tier})`,
      spec.defaultIn,
      spec.defaultOut,
      status.rules,
      status.groups.length,
      status.subjects,
    ],
  },
  Rule: {
    headings: ['rule', 'number', 'tier', 'direction', 'priority', 'peers', 'services', 'action', 'options'],
    row: ({ name, spec, status }) => [
      name,
      status.number,
      status.tier,
      status.direction,
      status.priority,
      status.peers,
      status.services,
      status.action,
      [
        spec.log === true ? 'log' : '',
        spec.stateless === true ? 'stateless' : '',
        status.groupAddresses === undefined ? '' : `to groups ${status.groupAddresses}`,
      ]
        .filter(Boolean)
        .join(' '),
    ],
  },
  AddressSet: {
    headings: ['address set', 'prefixes', 'except', 'named by rules'],
    row: ({ name, status }) => [name, status.prefixes, status.except, status.rules],
  },
  Tier: {
    headings: ['tier', 'priority', 'policies'],
    row: ({ name, spec, status }) => [name, spec.priority, status.policies],
  },
  QosProfile: {
    headings: ['profile', 'out', 'in', 'per', 'dscp', 'queue', 'guaranteed', 'users'],
    row: ({ name, spec, status }) => [
      name,
      status.out,
      status.in,
      spec.sharing ?? 'endpoint',
      spec.trust === true ? `${status.dscp ?? ''} trusted`.trim() : status.dscp,
      spec.queue,
      status.guaranteed,
      status.groups + status.networks + status.endpoints,
    ],
  },
};
