/**
 * Policies written by hand, for the truth tables. What is right is what the evaluator says; `says` holds a few answers that were thought out
 * by hand, so that the evaluator and the controller cannot be wrong together.
 */
import type { PolicyIntent, RuleIntent } from '../policy-truth/evaluator.js';
import type { Service } from '../policy-truth/prober.js';
import {
  type Case,
  echo,
  LAN,
  otherProtocol,
  RIVAL,
  sctp,
  tcp,
  timestamp,
  udp,
  WEB,
} from './policy-support.js';

export interface TruthCase {
  readonly name: string;
  readonly intents: Case;
  /** Everybody among these tries to reach everybody; default: the web network of acme. */
  readonly among?: readonly (readonly string[])[];
  readonly services: readonly Service[];
  /** `a1 b1 tcp/80` (IPv4): what becomes of it. */
  readonly says: Readonly<Record<string, 'allow' | 'deny' | 'reject'>>;
}

const tenant = 'acme';
export const web = WEB.map((name) => `acme/web/${name}`);
export const rival = RIVAL.map((name) => `rival/web/${name}`);
export const lan = [...LAN.map((name) => `acme/lan/${name}`), 'acme/lan/outside'];

type Spec = Omit<PolicyIntent, 'kind' | 'tenant' | 'name'>;

/** The groups front (a), back (b) and data (c), those named here subject to a policy of the same name. */
export function groups(policies: Readonly<Record<string, Spec>>, owner = tenant): Case {
  const members = { front: 'a', back: 'b', data: 'c' };
  const names = owner === tenant ? WEB : RIVAL;
  return [
    ...Object.entries(policies).map(([name, spec]) => ({ kind: 'Policy', tenant: owner, name, ...spec })),
    ...Object.entries(members).map(([name, letter]) => ({
      kind: 'Group',
      tenant: owner,
      name,
      endpoints: names.filter((endpoint) => endpoint.startsWith(letter)).map((endpoint) => `web/${endpoint}`),
      policies: name in policies ? [name] : [],
    })),
  ];
}

/** The same the other way about: what may come in may go out. */
export function twin(intents: Case): Case {
  const turned = ({ from, direction, ...rest }: RuleIntent): RuleIntent => ({
    ...rest,
    direction: direction === 'out' ? 'in' : 'out',
    ...(from === undefined ? {} : { to: from }),
  });
  return intents.map((intent) => {
    if (intent.kind !== 'Policy') return intent;
    const { defaultIn, rules = [], ...rest } = intent as unknown as PolicyIntent;
    return {
      ...rest,
      ...(defaultIn === undefined ? {} : { defaultOut: defaultIn }),
      rules: rules.map(turned),
    };
  });
}

const deny: Spec = { defaultIn: 'deny', defaultOut: 'deny' };
const allowing = (...rules: readonly Partial<RuleIntent>[]): Spec => ({
  defaultIn: 'deny',
  rules: rules.map((rule, index) => ({ name: `r${index}`, ...rule })),
});
const denying = (...rules: readonly Partial<RuleIntent>[]): Spec => ({
  rules: rules.map((rule, index) => ({ name: `r${index}`, action: 'deny' as const, ...rule })),
});
const denyingTenant = { kind: 'Tenant', name: tenant, defaultAction: 'deny' };

/** Cases of what may come in; each has a twin of what may go out. */
const inwards: readonly TruthCase[] = [
  {
    name: 'from a group, port 8000',
    intents: groups({ back: allowing({ from: [{ group: 'front' }], protocol: 'tcp', ports: [8000] }) }),
    services: [tcp(8000), tcp(8001), udp(8000), echo],
    says: {
      'a1 b3 tcp/8000': 'allow',
      'a1 b3 tcp/8001': 'deny',
      'c2 b1 tcp/8000': 'deny',
      'b1 c1 udp/8000': 'allow',
    },
  },
  {
    name: 'port ranges',
    intents: groups({
      back: allowing(
        { protocol: 'tcp', ports: ['8003-8010', 80, '65535'] },
        { protocol: 'udp', ports: ['1-1023'] },
      ),
    }),
    services: [
      tcp(8002),
      tcp(8003),
      tcp(8010),
      tcp(8011),
      tcp(80),
      tcp(65_535),
      tcp(65_534),
      udp(1),
      udp(1023),
      udp(1024),
    ],
    says: {
      'a1 b1 tcp/8002': 'deny',
      'a1 b1 tcp/8003': 'allow',
      'a1 b1 tcp/8010': 'allow',
      'a1 b1 udp/1024': 'deny',
    },
  },
  {
    name: 'types of ICMP, protocols by number',
    intents: groups({
      back: allowing(
        { protocol: 'icmp', icmpType: 13 },
        { from: [{ group: 'front' }], protocol: 'icmpv6', icmpType: 128, icmpCode: 0 },
        { from: [{ group: 'data' }], protocol: 47 },
      ),
    }),
    services: [echo, timestamp, otherProtocol(47), otherProtocol(50), tcp(80)],
    says: {
      'a1 b1 icmp/8': 'deny',
      'a1 b1 icmp/13': 'allow',
      'c1 b2 47': 'allow',
      'a1 b2 47': 'deny',
      'c1 b2 50': 'deny',
    },
  },
  {
    name: 'many peers and many ports: conjunctions',
    intents: groups({
      back: allowing({
        from: [{ group: 'front' }, { cidr: '10.1.1.7' }, { addressSet: 'few' }, { cidr: '10.1.1.16/28' }],
        protocol: 'tcp',
        ports: [22, 80, 443, '8000-8010', 9000, 9090],
      }),
      data: denying(
        {
          from: [{ group: 'back' }, { cidr: '10.1.1.1' }],
          protocol: 'udp',
          ports: [53, 123, '500-1000'],
          priority: 9,
        },
        {
          from: [{ group: 'front' }],
          protocol: 'udp',
          ports: [53, 123, 161, 999],
          action: 'allow',
          priority: 10,
        },
      ),
    }).concat([{ kind: 'AddressSet', tenant, name: 'few', addresses: ['10.1.1.4/31', 'fd00:1::4/127'] }]),
    services: [tcp(22), tcp(23), tcp(8007), tcp(9090), udp(53), udp(161), udp(600), udp(999), udp(1001)],
    says: {
      'c1 b1 tcp/22': 'allow',
      'c2 b1 tcp/22': 'deny',
      'a1 c1 udp/600': 'deny',
      'a1 c1 udp/999': 'allow',
      'a2 c1 udp/600': 'allow',
    },
  },
  {
    name: 'CIDR with exceptions, address sets, either family',
    intents: groups({
      back: allowing(
        { from: [{ cidr: '10.1.1.0/29', except: ['10.1.1.2', '10.1.1.4/31'] }], protocol: 'tcp' },
        { from: [{ cidr: 'fd00:1::/125', except: ['fd00:1::2/127'] }], protocol: 'tcp' },
        { from: [{ addressSet: 'odd' }], protocol: 'udp' },
      ),
    }).concat([
      {
        kind: 'AddressSet',
        tenant,
        name: 'odd',
        addresses: ['10.1.1.0/24', 'fd00:1::/64'],
        except: ['10.1.1.8/29', 'fd00:1::1'],
      },
    ]),
    services: [tcp(80), udp(53), echo],
    says: {
      'a1 b1 tcp/80': 'allow',
      'a2 b1 tcp/80': 'deny',
      'c2 b1 tcp/80': 'deny',
      'c1 b1 udp/53': 'allow',
      'c2 b2 udp/53': 'deny',
    },
  },
  {
    name: 'priorities: the higher wins, of equal ones deny',
    intents: groups({
      back: denying(
        { from: [{ group: 'front' }], protocol: 'tcp', ports: ['1-100'], action: 'allow', priority: 100 },
        { from: [{ group: 'front' }], protocol: 'tcp', priority: 50 },
        { protocol: 'tcp', ports: [443], action: 'allow', priority: 50 },
        { protocol: 'udp', action: 'allow', priority: 7 },
        { from: [{ group: 'data' }], protocol: 'udp', priority: 6 },
        { protocol: 'udp', ports: [53], priority: 7 },
      ),
    }),
    services: [tcp(80), tcp(443), udp(53), udp(54)],
    says: {
      'a1 b1 tcp/80': 'allow',
      'a1 b1 tcp/443': 'deny',
      'c1 b1 tcp/443': 'allow',
      'c1 b1 udp/53': 'deny',
      'c1 b1 udp/54': 'allow',
    },
  },
  {
    name: 'reject: TCP reset, ICMP unreachable',
    intents: groups({
      back: denying(
        { from: [{ group: 'front' }], action: 'reject', protocol: 'tcp', ports: [80] },
        { from: [{ group: 'front' }], action: 'reject', protocol: 'udp' },
        { from: [{ group: 'data' }], action: 'reject', priority: 2 },
      ),
    }),
    services: [tcp(80), tcp(81), udp(53)],
    says: {
      'a1 b1 tcp/80': 'reject',
      'a1 b2 tcp/80': 'reject',
      'a1 b2 tcp/81': 'allow',
      'c3 b2 udp/53': 'reject',
    },
  },
  {
    name: 'SCTP by port',
    intents: groups({
      back: allowing({ from: [{ group: 'front' }], protocol: 'sctp', ports: [8000] }),
      data: denying({ protocol: 'sctp', ports: [8000] }),
    }),
    services: [sctp(8000), sctp(8001)],
    says: {
      'a1 b1 sctp/8000': 'allow',
      'a2 b3 sctp/8001': 'deny',
      'a1 c1 sctp/8000': 'deny',
      'a2 c3 sctp/8001': 'allow',
    },
  },
  {
    name: 'named ports are those of whoever is connected to',
    intents: groups({
      back: allowing({ protocol: 'tcp', ports: ['web', 81] }, { protocol: 'udp', ports: ['web'] }),
    }).concat([
      { kind: 'Endpoint', tenant, network: 'web', name: 'b1', ports: { web: 80 } },
      { kind: 'Endpoint', tenant, network: 'web', name: 'b2', ports: { web: 8000 } },
      { kind: 'Endpoint', tenant, network: 'web', name: 'b3', ports: { web: '80/udp' } },
      { kind: 'Endpoint', tenant, network: 'web', name: 'c1', ports: { web: 8000 } },
      { kind: 'Endpoint', tenant, network: 'web', name: 'a2', ports: { web: 80 } },
    ]),
    services: [tcp(80), tcp(81), tcp(8000), udp(80)],
    says: {
      'a1 b1 tcp/80': 'allow',
      'a1 b2 tcp/80': 'deny',
      'a1 b2 tcp/8000': 'allow',
      'c1 b3 udp/80': 'allow',
    },
  },
];

const outwards = inwards.map((one) => ({
  ...one,
  name: `${one.name}, outwards`,
  intents: twin(one.intents),
  says: {},
}));

export const handWritten: readonly TruthCase[] = [
  {
    name: 'deny all',
    intents: [
      { kind: 'Policy', tenant, name: 'none', ...deny },
      { kind: 'Group', tenant, name: 'all', networks: ['web'], policies: ['none'] },
    ],
    among: [web, rival, lan],
    services: [tcp(80), udp(53), sctp(80), echo, otherProtocol(47)],
    says: { 'a1 b2 tcp/80': 'deny', 'a1 a2 icmp/8': 'deny', 'l1 l2 tcp/80': 'allow' },
  },
  {
    name: 'the tenant denies, and one rule allows 8000',
    intents: [
      denyingTenant,
      ...groups({
        back: { rules: [{ name: 'in', protocol: 'tcp', ports: [8000] }] },
        front: {
          rules: [{ name: 'out', direction: 'out', to: [{ group: 'back' }], protocol: 'tcp', ports: [8000] }],
        },
        data: { rules: [{ name: 'out', direction: 'out' }] },
      }),
    ],
    among: [web, rival, lan],
    services: [tcp(8000), tcp(80), udp(8000), echo],
    says: {
      'a1 b2 tcp/8000': 'allow',
      'c1 b2 tcp/8000': 'allow',
      'c1 a2 tcp/80': 'deny',
      'b1 b2 tcp/8000': 'deny',
      'l1 outside tcp/80': 'deny',
    },
  },
  ...inwards,
  ...outwards,
  {
    name: 'what a policy allows another denies: the stronger default is deny',
    intents: [
      denyingTenant,
      { kind: 'Policy', tenant, name: 'open', defaultIn: 'allow', defaultOut: 'allow' },
      {
        kind: 'Policy',
        tenant,
        name: 'shut',
        defaultIn: 'deny',
        rules: [{ name: 'web', protocol: 'tcp', ports: [80] }],
      },
      { kind: 'Group', tenant, name: 'all', networks: ['web', 'lan'], policies: ['open'] },
      { kind: 'Group', tenant, name: 'some', endpoints: ['web/b1', 'web/b2'], policies: ['shut'] },
    ],
    services: [tcp(80), udp(80)],
    says: { 'a1 b1 tcp/80': 'allow', 'a1 b1 udp/80': 'deny', 'a1 b3 udp/80': 'allow' },
  },
  {
    name: 'tiers stand above priorities',
    intents: [
      { kind: 'Tier', name: 'security', priority: 20 },
      { kind: 'Tier', name: 'baseline', priority: 1 },
      ...groups({
        back: denying(
          { protocol: 'tcp', ports: [80], action: 'allow', priority: 100 },
          { protocol: 'udp', priority: 1 },
        ),
      }),
      {
        kind: 'Policy',
        tenant,
        name: 'high',
        tier: 'security',
        rules: [{ name: 'r', action: 'deny', protocol: 'tcp', from: [{ group: 'front' }] }],
      },
      {
        kind: 'Policy',
        tenant,
        name: 'low',
        tier: 'baseline',
        rules: [
          { name: 'r', priority: 100, protocol: 'udp' },
          { name: 's', action: 'deny', protocol: 'tcp' },
        ],
      },
      { kind: 'Group', tenant, name: 'all', networks: ['web'], policies: ['high', 'low'] },
    ],
    services: [tcp(80), tcp(81), udp(80)],
    says: {
      'a1 b1 tcp/80': 'deny',
      'c1 b1 tcp/80': 'allow',
      'c1 b1 tcp/81': 'deny',
      'c1 b1 udp/80': 'deny',
      'c1 a1 udp/80': 'allow',
    },
  },
  {
    name: 'two tenants with equal addresses and different policies',
    intents: [
      ...groups({ back: allowing({ from: [{ group: 'front' }], protocol: 'tcp' }), front: allowing() }),
      ...groups(
        { front: allowing({ protocol: 'udp' }), data: allowing({ from: [{ cidr: '10.1.1.2' }] }) },
        'rival',
      ),
    ],
    among: [web, rival],
    services: [tcp(80), udp(53), echo],
    says: { 'a1 b1 tcp/80': 'allow', 'b1 a1 tcp/80': 'deny' },
  },
  {
    name: 'from and to the VLAN underlay, where neighbours are whom Weft does not know',
    intents: [
      {
        kind: 'Policy',
        tenant,
        name: 'edge',
        ...allowing(
          { from: [{ cidr: '10.2.1.200' }], protocol: 'tcp', ports: [80] },
          { from: [{ cidr: 'fd00:2::c8' }], protocol: 'tcp', ports: [81] },
          { from: [{ group: 'local' }], protocol: 'udp' },
        ),
      },
      {
        kind: 'Policy',
        tenant,
        name: 'inner',
        rules: [
          {
            name: 'a',
            direction: 'out',
            action: 'deny',
            to: [{ cidr: '10.2.1.200' }],
            protocol: 'tcp',
            ports: [8000],
          },
          { name: 'b', direction: 'out', action: 'deny', to: [{ cidr: 'fd00:2::/64' }], protocol: 'udp' },
        ],
      },
      { kind: 'Group', tenant, name: 'local', networks: ['lan'] },
      { kind: 'Group', tenant, name: 'edge', endpoints: ['lan/l1', 'lan/l2'], policies: ['edge'] },
      { kind: 'Group', tenant, name: 'inner', endpoints: ['lan/l3'], policies: ['inner'] },
    ],
    among: [lan],
    services: [tcp(80), tcp(81), tcp(8000), udp(53), echo],
    says: {
      'outside l1 tcp/80': 'allow',
      'outside l1 tcp/81': 'deny',
      'outside l1 udp/53': 'deny',
      'l3 l1 udp/53': 'allow',
      'l3 outside tcp/8000': 'deny',
    },
  },
  {
    name: 'from a network: its endpoints and its subnets',
    intents: [
      {
        kind: 'Policy',
        tenant,
        name: 'lan',
        ...allowing(
          { from: [{ network: 'lan' }], protocol: 'tcp' },
          { from: [{ network: 'web' }], protocol: 'udp' },
        ),
      },
      { kind: 'Group', tenant, name: 'some', endpoints: ['lan/l1', 'web/a1'], policies: ['lan'] },
    ],
    among: [lan, web],
    services: [tcp(80), udp(53)],
    says: {
      'l2 l1 tcp/80': 'allow',
      'outside l1 tcp/80': 'allow',
      'outside l1 udp/53': 'deny',
      'b1 a1 udp/53': 'allow',
      'b1 a1 tcp/80': 'deny',
    },
  },
  {
    name: 'as contiv writes it, and rules by themselves',
    intents: [
      ...groups({ back: { defaultIn: 'deny' } }),
      {
        kind: 'Rule',
        tenant,
        policy: 'back',
        name: 'one',
        direction: 'in',
        priority: 1,
        fromEndpointGroup: 'front',
        protocol: 'tcp',
        port: 80,
        action: 'allow',
      },
      {
        kind: 'Rule',
        tenant,
        policy: 'back',
        name: 'two',
        direction: 'in',
        priority: 2,
        fromIpAddress: '10.1.1.9',
        protocol: 'udp',
        port: 0,
        action: 'allow',
      },
      {
        kind: 'Rule',
        tenant,
        policy: 'back',
        name: 'three',
        direction: 'out',
        toNetwork: 'web',
        protocol: 'icmp',
        action: 'deny',
      },
    ],
    services: [tcp(80), tcp(81), udp(53), echo],
    says: {
      'a1 b1 tcp/80': 'allow',
      'a1 b1 tcp/81': 'deny',
      'c3 b1 udp/53': 'allow',
      'b1 a1 icmp/8': 'deny',
    },
  },
];
