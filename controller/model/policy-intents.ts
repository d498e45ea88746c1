/**
 * Schemas of the intents of policy and quality of service: groups, address sets, tiers, policies with their rules, QoS
 * profiles. `intents.ts` joins them with those of networks.
 */
import Type, { type Static } from 'typebox';
import {
  closed,
  LABEL_KEY_PATTERN,
  LABEL_VALUE_PATTERN,
  MAX_ITEMS,
  name,
  NAME_PATTERN,
  oneOf,
  owner,
  PORT_NAME_PATTERN,
  reference,
  text,
} from './intent-schema.js';

const tenant = () => name('Name of the tenant that owns it');
const listOf = (description: string, pattern: string, example: readonly string[]) =>
  Type.Array(Type.String({ pattern }), { maxItems: MAX_ITEMS, description, examples: [example] });
const names = (description: string, ...example: string[]) => listOf(description, NAME_PATTERN, example);

export const Labels = Type.Record(
  Type.String({ pattern: LABEL_KEY_PATTERN }),
  Type.String({ pattern: LABEL_VALUE_PATTERN }),
  {
    ...closed,
    description: 'Labels that selectors of groups look at',
    examples: [{ app: 'shop', role: 'web' }],
  },
);

/** Ports by name: the number of a TCP port, or `53/udp`. */
export const NamedPorts = Type.Record(
  Type.String({ pattern: PORT_NAME_PATTERN }),
  Type.Union([Type.Integer({ minimum: 1, maximum: 65_535 }), Type.String({ minLength: 1, maxLength: 16 })]),
  {
    ...closed,
    description: 'Ports that rules may name: a number (TCP), or number/protocol with tcp, udp or sctp',
    examples: [{ http: 8080, dns: '53/udp' }],
  },
);

/** The member `qos` of endpoints, groups and networks. */
export const profileReference = (description: string) => reference(description, 'gold');

const Expression = Type.Object(
  {
    key: Type.String({ pattern: LABEL_KEY_PATTERN, description: 'Key of a label' }),
    operator: oneOf(['In', 'NotIn', 'Exists', 'DoesNotExist'], 'How the label is judged'),
    values: Type.Optional(
      Type.Array(Type.String({ pattern: LABEL_VALUE_PATTERN }), {
        maxItems: 1000,
        description: 'Values, of In and NotIn',
      }),
    ),
  },
  closed,
);

const Selector = Type.Object(
  {
    matchLabels: Type.Optional(Labels),
    matchExpressions: Type.Optional(
      Type.Array(Expression, { maxItems: 100, description: 'All of them have to hold' }),
    ),
  },
  {
    ...closed,
    description:
      'Endpoints by their labels, as in Kubernetes; {} chooses all. In `networks` only, where the group has any',
    examples: [
      {
        matchLabels: { app: 'shop' },
        matchExpressions: [{ key: 'role', operator: 'In', values: ['web', 'cache'] }],
      },
    ],
  },
);

export const GroupIntent = Type.Object(
  {
    kind: Type.Literal('Group'),
    name: name('Name of the group, unique in its tenant'),
    tenant: tenant(),
    endpoints: Type.Optional(
      listOf(
        'Members by name, as network/endpoint; they may come later',
        '^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$',
        ['front/web1'],
      ),
    ),
    networks: Type.Optional(
      names('Networks: all of their endpoints, or those of them that the selector chooses', 'front'),
    ),
    selector: Type.Optional(Selector),
    network: Type.Optional(
      reference(
        "Network that contiv's clients have it in (`networkName`). Chooses no members: those name the group",
        'front',
      ),
    ),
    policies: Type.Optional(names('Policies that the members are subject to', 'web')),
    qos: Type.Optional(profileReference('QosProfile of members that have none of their own')),
    owner: Type.Optional(owner()),
  },
  {
    ...closed,
    title: 'Group',
    description:
      'Endpoints that policies are about. Its members are those it names, those that name it (`Endpoint.groups`), and those that its selector or its networks choose.',
  },
);

const ADDRESS = '10.1.0.0/16';
const addresses = (description: string, ...example: string[]) =>
  Type.Array(Type.String({ minLength: 2, maxLength: 64 }), {
    maxItems: MAX_ITEMS,
    description,
    examples: [example],
  });

export const AddressSetIntent = Type.Object(
  {
    kind: Type.Literal('AddressSet'),
    name: name('Name of the set, unique in its tenant'),
    tenant: tenant(),
    addresses: Type.Optional(
      addresses('Addresses and prefixes, IPv4 and IPv6', '192.0.2.7', ADDRESS, 'fd00:1::/48'),
    ),
    except: Type.Optional(addresses('Addresses and prefixes that are not in it', '10.1.9.0/24')),
  },
  {
    ...closed,
    title: 'AddressSet',
    description: 'Addresses that rules name together. Adjacent prefixes are joined.',
  },
);

export const TierIntent = Type.Object(
  {
    kind: Type.Literal('Tier'),
    name: name('Name of the tier, unique in the cluster'),
    priority: Type.Integer({
      minimum: 1,
      maximum: 30,
      description:
        'Rules of policies in a higher tier decide first, whatever their own priority. Policies without a tier have 10',
      examples: [20],
    }),
  },
  {
    ...closed,
    title: 'Tier',
    description:
      'A level of policies in the whole cluster, for rules that stand above (or below) all others.',
  },
);

const Peer = Type.Object(
  {
    group: Type.Optional(reference('Members of a group', 'web')),
    network: Type.Optional(reference('Endpoints and subnets of a network', 'front')),
    addressSet: Type.Optional(reference('Addresses of a set', 'partners')),
    cidr: Type.Optional(text('An address or a prefix', ADDRESS, { maxLength: 64 })),
    except: Type.Optional(addresses('With `cidr`: prefixes in it that are not meant', '10.1.9.0/24')),
  },
  closed,
);
const peers = (description: string, ...example: object[]) =>
  Type.Array(Peer, {
    maxItems: 1000,
    description,
    ...(example.length === 0 ? {} : { examples: [example] }),
  });

const GroupAddresses = Type.Object(
  {
    addressSet: Type.Optional(reference('Multicast addresses of a set', 'channels')),
    cidr: Type.Optional(text('A multicast address or prefix', '239.1.0.0/16', { maxLength: 64 })),
    except: Type.Optional(addresses('With `cidr`: prefixes in it that are not meant', '239.1.9.0/24')),
  },
  closed,
);

const action = (description: string) => oneOf(['allow', 'deny'], description);

/** Members of a rule besides its name. */
const ruleMembers = {
  direction: Type.Optional(
    oneOf(
      ['in', 'out'],
      'in: connections to the members of a group with the policy; out: connections from them. Default: in',
      { examples: ['in'] },
    ),
  ),
  priority: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      description: 'Higher wins; of equal ones deny and reject win over allow. Default: 1',
      examples: [10],
    }),
  ),
  from: Type.Optional(
    peers(
      'With direction in: any of these, each {group}, {network}, {addressSet} or {cidr, except}. Default: anybody',
      { group: 'web' },
      { cidr: ADDRESS, except: ['10.1.9.0/24'] },
    ),
  ),
  to: Type.Optional(peers('With direction out: as `from`')),
  groupAddresses: Type.Optional(
    Type.Array(GroupAddresses, {
      maxItems: 1000,
      description:
        'With direction in: only what is sent to any of these multicast groups, each {addressSet} or {cidr, except}. Who may send to a group a rule with direction out says by `to`. Default: anything, unicast too',
      examples: [[{ cidr: '239.1.0.0/16' }, { cidr: 'ff15::/16' }]],
    }),
  ),
  protocol: Type.Optional(
    Type.Union([Type.String({ minLength: 1, maxLength: 16 }), Type.Integer({ minimum: 0, maximum: 255 })], {
      description: 'tcp, udp, sctp, icmp, icmpv6 or the number of an IP protocol. Default: any',
      examples: ['tcp'],
    }),
  ),
  ports: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Integer({ minimum: 1, maximum: 65_535 }),
        Type.String({ minLength: 1, maxLength: 63 }),
      ]),
      {
        maxItems: 1000,
        description:
          'Destination ports of tcp, udp or sctp: numbers, ranges, names of ports of the endpoint that is connected to. Default: any',
        examples: [[80, '8000-8010', 'http']],
      },
    ),
  ),
  icmpType: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 255, description: 'Of icmp or icmpv6. Default: any' }),
  ),
  icmpCode: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 255, description: 'With icmpType. Default: any' }),
  ),
  action: Type.Optional(
    oneOf(
      ['allow', 'deny', 'reject'],
      'allow, deny (drop) or reject (answer with a TCP reset or an ICMP error). Default: allow',
      { examples: ['allow'] },
    ),
  ),
  log: Type.Optional(
    Type.Boolean({
      description:
        'Tell of the connections that it allows, or the packets that it does not, at a limited rate (weft watch drops). Default: false',
      examples: [true],
    }),
  ),
  stateless: Type.Optional(
    Type.Boolean({
      description: 'Judge each packet by itself: answers need a rule of their own. Default: false',
    }),
  ),
  fromEndpointGroup: Type.Optional(reference("contiv's way to write from: [{group: …}]")),
  toEndpointGroup: Type.Optional(reference("contiv's way to write to: [{group: …}]")),
  fromNetwork: Type.Optional(reference("contiv's way to write from: [{network: …}]")),
  toNetwork: Type.Optional(reference("contiv's way to write to: [{network: …}]")),
  fromIpAddress: Type.Optional(
    Type.String({ maxLength: 64, description: "contiv's way to write from: [{cidr: …}]" }),
  ),
  toIpAddress: Type.Optional(
    Type.String({ maxLength: 64, description: "contiv's way to write to: [{cidr: …}]" }),
  ),
  port: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65_535, description: "contiv's way to write ports: […]; 0 is any" }),
  ),
};

const PolicyRule = Type.Object(
  {
    name: name(
      'Name of the rule, unique in its policy; a rule keeps its number as long as it keeps its name',
    ),
    ...ruleMembers,
  },
  closed,
);

export const PolicyIntent = Type.Object(
  {
    kind: Type.Literal('Policy'),
    name: name('Name of the policy, unique in its tenant'),
    tenant: tenant(),
    tier: Type.Optional(reference('Tier that its rules are in. Default: priority 10', 'security')),
    defaultIn: Type.Optional(
      action(
        "What happens to connections to its subjects that no rule decides; deny of one policy stands over allow of another. Default: what other policies say, or the tenant's defaultAction",
      ),
    ),
    defaultOut: Type.Optional(action('The same for connections from its subjects')),
    owner: Type.Optional(owner()),
    rules: Type.Optional(
      Type.Array(PolicyRule, {
        maxItems: MAX_ITEMS,
        description:
          'All of its rules, with the members of a [Rule](#rule) but kind, tenant and policy. When left out, its rules stay as they are',
        examples: [
          [
            {
              name: 'http',
              direction: 'in',
              from: [{ group: 'clients' }],
              protocol: 'tcp',
              ports: [80, 443],
            },
          ],
        ],
      }),
    ),
  },
  {
    ...closed,
    title: 'Policy',
    description:
      'Rules about connections to and from the members of the groups that name it. A connection is judged by its first packet: answers, and errors about it, pass with it.',
  },
);

export const RuleIntent = Type.Object(
  {
    kind: Type.Literal('Rule'),
    name: name('Name of the rule, unique in its policy'),
    tenant: name('Name of the tenant that owns the policy'),
    policy: name('Name of the policy'),
    ...ruleMembers,
  },
  {
    ...closed,
    title: 'Rule',
    description:
      'One rule of a policy, by itself: adds it behind the others, or changes it where it stands. A Policy with `rules` holds all of its rules, and takes away those that are not among them.',
  },
);

const rate = (description: string) =>
  Type.Object(
    {
      rate: text('Bits per second, as people write them: 10 Mbps, 512 kbit, 1.5G', '10 Mbps', {
        maxLength: 32,
      }),
      burst: Type.Optional(
        text(
          'How much may come at once, in bytes or bits: 256 KB, 2 Mbit. Default: 300 ms of the rate, at least 128 KB',
          '256 KB',
          { maxLength: 32 },
        ),
      ),
    },
    { ...closed, description, examples: [{ rate: '10 Mbps', burst: '512 KB' }] },
  );

export const QosProfileIntent = Type.Object(
  {
    kind: Type.Literal('QosProfile'),
    name: name('Name of the profile, unique in its tenant'),
    tenant: tenant(),
    out: Type.Optional(rate('What an endpoint may send: {rate, burst}')),
    in: Type.Optional(rate('What an endpoint may receive: {rate, burst}')),
    sharing: Type.Optional(
      oneOf(
        ['endpoint', 'host'],
        'endpoint: each endpoint has the rates for itself; host: all that have the profile on one host share them. Default: endpoint',
      ),
    ),
    dscp: Type.Optional(
      Type.Union([Type.Integer({ minimum: 0, maximum: 63 }), Type.String({ minLength: 2, maxLength: 4 })], {
        description:
          'Mark of what an endpoint sends: 0 to 63, or EF, VA, CS0 to CS7, AF11 to AF43. Default: 0, or with `trust` what it sends',
        examples: ['AF41'],
      }),
    ),
    trust: Type.Optional(
      Type.Boolean({ description: 'Keep the mark that an endpoint sends. Default: false' }),
    ),
    queue: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 7,
        description: 'Queue on the uplink; a higher one goes first. Default: none',
        examples: [5],
      }),
    ),
    guaranteed: Type.Optional(
      text('What the queue has for sure on the uplink; needs `queue`', '5 Mbps', { maxLength: 32 }),
    ),
  },
  {
    ...closed,
    title: 'QosProfile',
    description:
      "Rates, marks and queues of endpoints. An endpoint has the profile it names, else its group's (the first by name that has one), else its network's.",
  },
);

export type GroupIntent = Static<typeof GroupIntent>;
export type AddressSetIntent = Static<typeof AddressSetIntent>;
export type TierIntent = Static<typeof TierIntent>;
export type PolicyIntent = Static<typeof PolicyIntent>;
export type RuleIntent = Static<typeof RuleIntent>;
export type QosProfileIntent = Static<typeof QosProfileIntent>;
export type PeerIntent = Static<typeof Peer>;
export type GroupAddressesIntent = Static<typeof GroupAddresses>;
export type PolicyRule = Static<typeof PolicyRule>;
