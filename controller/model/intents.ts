/**
 * Weft's intent format: the TypeBox schemas that validation, the published JSON Schema, the TypeScript types and
 * docs/intents.md are all made from. One object is `{kind, name, …}`; a file holds any number of objects of any kinds.
 */
import Type, { type Static, type TSchema } from 'typebox';
import { closed, name, oneOf, owner, reference, text } from './intent-schema.js';
import {
  AddressSetIntent,
  GroupIntent,
  Labels,
  NamedPorts,
  PolicyIntent,
  profileReference,
  QosProfileIntent,
  RuleIntent,
  TierIntent,
} from './policy-intents.js';

export { NAME_PATTERN, NAME_RULE } from './intent-schema.js';
export type * from './policy-intents.js';

const encapsulation = (description: string) => oneOf(['vlan', 'vxlan'], description);

export const TenantIntent = Type.Object(
  {
    kind: Type.Literal('Tenant'),
    name: name('Name of the tenant, unique in the cluster'),
    defaultEncapsulation: Type.Optional(
      encapsulation('How the networks of this tenant travel unless they say otherwise. Default: vxlan'),
    ),
    subnetPool: Type.Optional(
      text(
        'IPv4 prefix that networks without a subnet get theirs from, lowest first. Default: 10.0.0.0/8',
        '11.1.0.0/16',
      ),
    ),
    allocationLength: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 30,
        description: 'Prefix length of an allocated IPv4 subnet. Default: 24',
        examples: [24],
      }),
    ),
    ipv6SubnetPool: Type.Optional(
      text(
        'IPv6 prefix that networks without an IPv6 subnet get theirs from. Without it such networks have no IPv6',
        'fd00:1::/48',
      ),
    ),
    ipv6AllocationLength: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 126,
        description: 'Prefix length of an allocated IPv6 subnet. Default: 64',
        examples: [64],
      }),
    ),
    vlans: Type.Optional(
      text(
        'VLAN ids that networks without a tag get theirs from, lowest free in the cluster first. Default: 2-1001,1006-4094',
        '11-28,40-50',
      ),
    ),
    vnis: Type.Optional(
      text(
        'VXLAN network identifiers that networks without a tag get theirs from, lowest free in the cluster first. Default: 4096-16777214',
        '10001-12000',
      ),
    ),
    overlappingSubnets: Type.Optional(
      Type.Boolean({
        description:
          'Allow networks of this tenant to have overlapping subnets (never routed to each other). Different tenants may always overlap. Default: false',
        examples: [false],
      }),
    ),
    defaultAction: Type.Optional(
      oneOf(
        ['allow', 'deny'],
        'What endpoints may send and receive where no rule and no default of a policy decides. Default: allow',
      ),
    ),
    owner: Type.Optional(owner()),
  },
  { ...closed, title: 'Tenant', description: 'Owns networks and the pools they are allocated from.' },
);

export const NetworkIntent = Type.Object(
  {
    kind: Type.Literal('Network'),
    name: name('Name of the network, unique in its tenant'),
    tenant: name('Name of the tenant that owns it'),
    encapsulation: Type.Optional(encapsulation("vlan or vxlan. Default: the tenant's defaultEncapsulation")),
    tag: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 0xfffffe,
        description:
          "VLAN id (1-4094) or VXLAN network identifier (1-16777214), unique in the cluster; may be outside of the tenant's ranges. Allocated when absent",
        examples: [10001],
      }),
    ),
    subnet: Type.Optional(
      text("IPv4 prefix, or none. Allocated from the tenant's subnetPool when absent", '10.1.1.0/24'),
    ),
    gateway: Type.Optional(
      text(
        'IPv4 address of the default gateway; never given to an endpoint. Default: no gateway',
        '10.1.1.254',
      ),
    ),
    ipv6Subnet: Type.Optional(
      text(
        "IPv6 prefix, or none. Allocated from the tenant's ipv6SubnetPool, where it has one, when absent",
        'fd00:1:0:1::/64',
      ),
    ),
    ipv6Gateway: Type.Optional(
      text(
        'IPv6 address of the default gateway; never given to an endpoint. Default: no gateway',
        'fd00:1:0:1::1',
      ),
    ),
    dynamicEndpoints: Type.Optional(
      Type.Boolean({
        description:
          'Agents may ask for endpoints that no intent declares (containers started by other tools). Default: true',
        examples: [true],
      }),
    ),
    uplinkHandOff: Type.Optional(
      Type.Boolean({
        description:
          'VLAN only: frames to unknown destinations leave through the uplink, to neighbours that Weft does not manage. Default: true for vlan',
        examples: [true],
      }),
    ),
    qos: Type.Optional(
      profileReference('QosProfile of endpoints that have none, by themselves or by a group. Default: none'),
    ),
    multicast: Type.Optional(
      Type.Object(
        {
          snooping: Type.Optional(
            Type.Boolean({
              description:
                'Learn from IGMP and MLD who receives which groups, and copy to those only; without it multicast is flooded. Default: true',
            }),
          ),
          querier: Type.Optional(
            Type.Boolean({
              description: 'Ask for members of groups where no other querier is heard. Default: true',
            }),
          ),
          unregistered: Type.Optional(
            oneOf(
              ['flood', 'drop'],
              'What becomes of packets to groups that nobody has joined; multicast routers get them anyway. Default: flood',
            ),
          ),
          degree: Type.Optional(
            Type.Integer({
              minimum: 2,
              maximum: 32,
              description:
                'VXLAN only: neighbours that a host has at most on a distribution tree, and so copies of a packet on its uplink. Default: 4',
              examples: [4],
            }),
          ),
          headEndLimit: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 1000,
              description:
                'VXLAN only: receiving hosts up to which a sender copies to each by itself; more share a distribution tree. Default: 8',
              examples: [8],
            }),
          ),
          broadcastLimit: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 10_000_000,
              description:
                'Broadcast packets per second that each host sends into the network, without ARP, neighbour discovery and DHCP. Default: no limit',
              examples: [1000],
            }),
          ),
        },
        { ...closed, description: 'How broadcast and multicast are delivered' },
      ),
    ),
    owner: Type.Optional(owner()),
  },
  { ...closed, title: 'Network', description: 'One broadcast domain with its tag and its subnets.' },
);

export const EndpointIntent = Type.Object(
  {
    kind: Type.Literal('Endpoint'),
    name: name('Name of the endpoint, usually of its container, unique in its network'),
    tenant: name('Name of the tenant'),
    network: name('Name of the network'),
    ip: Type.Optional(text('IPv4 address. The lowest free one of the network when absent', '10.1.1.10')),
    ip6: Type.Optional(
      text('IPv6 address. The lowest free one of the network when absent', 'fd00:1:0:1::10'),
    ),
    mac: Type.Optional(
      text(
        'MAC address, unique in its network. Default: 02:02: and the four bytes of the IPv4 address, or 02:03: and the number of the endpoint where it has none',
        '02:02:0a:01:01:0a',
      ),
    ),
    host: Type.Optional(
      name('Host that it has to live on. Default: whichever attaches it, or what a HostBinding says'),
    ),
    attachUUID: Type.Optional(
      text(
        'UUID of the container, when its name is not enough to find it',
        '6f1c2a7e-0a9d-4b7e-9a53-3a0f6f0a8f10',
        {
          minLength: 1,
          maxLength: 253,
        },
      ),
    ),
    labels: Type.Optional(Labels),
    groups: Type.Optional(
      Type.Array(reference('', 'web'), {
        maxItems: 1000,
        description: 'Groups that it is in, besides those that choose it',
        examples: [['web']],
      }),
    ),
    ports: Type.Optional(NamedPorts),
    qos: Type.Optional(profileReference("QosProfile. Default: its group's, or its network's")),
    owner: Type.Optional(owner()),
  },
  {
    ...closed,
    title: 'Endpoint',
    description: 'A port of a container, virtual machine or bare-metal host in one network.',
  },
);

export const HostIntent = Type.Object(
  {
    kind: Type.Literal('Host'),
    name: name("Host label, as in the agent's --host-label"),
    vtepIp: Type.Optional(
      text('IPv4 address that its VXLAN tunnels end at. Default: what its agent announces', '192.168.2.10'),
    ),
    vtepIp6: Type.Optional(
      text('IPv6 address that its VXLAN tunnels end at. Default: what its agent announces', 'fd00:2::10'),
    ),
    uplink: Type.Optional(
      text('Interface to the VLAN underlay. Default: what its agent announces', 'eth2', {
        minLength: 1,
        maxLength: 15,
      }),
    ),
  },
  {
    ...closed,
    title: 'Host',
    description:
      'A host with a bridge and an agent. Agents register their hosts by themselves; an intent pins what they may claim.',
  },
);

export const HostBindingIntent = Type.Object(
  {
    kind: Type.Literal('HostBinding'),
    name: name('Name of the endpoint that is bound'),
    tenant: name('Name of its tenant'),
    network: name('Name of its network'),
    host: name('Host that it has to live on'),
    attachUUID: Type.Optional(
      text(
        'UUID of the container, when its name is not enough to find it',
        '6f1c2a7e-0a9d-4b7e-9a53-3a0f6f0a8f10',
        {
          minLength: 1,
          maxLength: 253,
        },
      ),
    ),
  },
  {
    ...closed,
    title: 'HostBinding',
    description: 'Says where an endpoint lives after it has been declared without a host (late binding).',
  },
);

export type TenantIntent = Static<typeof TenantIntent>;
export type NetworkIntent = Static<typeof NetworkIntent>;
export type EndpointIntent = Static<typeof EndpointIntent>;
export type HostIntent = Static<typeof HostIntent>;
export type HostBindingIntent = Static<typeof HostBindingIntent>;

/** One object of an intent file. */
export type IntentObject =
  | TenantIntent
  | HostIntent
  | TierIntent
  | QosProfileIntent
  | NetworkIntent
  | AddressSetIntent
  | PolicyIntent
  | RuleIntent
  | GroupIntent
  | EndpointIntent
  | HostBindingIntent;

export type Kind = IntentObject['kind'];

/** Schema of every kind, in the order in which objects depend on each other. */
export const INTENT_SCHEMAS = {
  Tenant: TenantIntent,
  Host: HostIntent,
  Tier: TierIntent,
  QosProfile: QosProfileIntent,
  Network: NetworkIntent,
  AddressSet: AddressSetIntent,
  Policy: PolicyIntent,
  Rule: RuleIntent,
  Group: GroupIntent,
  Endpoint: EndpointIntent,
  HostBinding: HostBindingIntent,
} as const satisfies Record<Kind, TSchema>;

export const KINDS = Object.keys(INTENT_SCHEMAS) as readonly Kind[];

/** Id of an object: its name, below the names of what owns it (`tenant/network/endpoint`). */
export function idOf(object: IntentObject): string {
  switch (object.kind) {
    case 'Tenant':
    case 'Host':
    case 'Tier':
      return object.name;
    case 'Network':
    case 'QosProfile':
    case 'AddressSet':
    case 'Policy':
    case 'Group':
      return `${object.tenant}/${object.name}`;
    case 'Rule':
      return `${object.tenant}/${object.policy}/${object.name}`;
    case 'Endpoint':
    case 'HostBinding':
      return `${object.tenant}/${object.network}/${object.name}`;
  }
}

/** The published JSON Schema (2020-12) of one intent object; a file is one, or an array or stream of them. */
export function intentJsonSchema(): Record<string, unknown> {
  const definitions: Record<string, unknown> = {};
  for (const kind of KINDS) definitions[kind] = JSON.parse(JSON.stringify(INTENT_SCHEMAS[kind]));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://weft.example/schema/intents.json',
    title: 'Weft intents',
    description: 'One object, or an array of objects; YAML files may hold several documents.',
    anyOf: [{ $ref: '#/$defs/Object' }, { type: 'array', items: { $ref: '#/$defs/Object' } }],
    $defs: { Object: { oneOf: KINDS.map((kind) => ({ $ref: `#/$defs/${kind}` })) }, ...definitions },
  };
}
