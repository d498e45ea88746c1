/** TypeBox schemas of group membership and distribution. */
import Type from 'typebox';

const text = (description?: string) => Type.String(description === undefined ? {} : { description });
const seconds = Type.Integer({ minimum: 0, description: 'Until it is forgotten, unless it is heard again' });
const oneOf = <const Values extends readonly string[]>(values: Values, description: string) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], description });

const Distribution = Type.Object(
  {
    kind: oneOf(
      ['replication', 'tree'],
      'replication: the host of the sender sends a copy to each of the others',
    ),
    colour: Type.Optional(Type.Integer({ minimum: 1, maximum: 3 })),
    root: Type.Optional(text('Name of a host')),
    edges: Type.Optional(
      Type.Array(Type.Unsafe<readonly [string, string]>({ type: 'array', items: { type: 'string' } }), {
        description: 'Pairs of neighbours by the names of their hosts, the one nearer to the root first',
      }),
    ),
    changing: Type.Optional(Type.Literal(true, { description: 'Another tree is being prepared, or left' })),
  },
  { description: 'How copies reach the hosts' },
);

const count = (description: string) =>
  Type.Object(
    { packets: Type.Integer({ minimum: 0 }), bytes: Type.Integer({ minimum: 0 }) },
    { description },
  );

const Receiver = Type.Object({
  endpoint: Type.Optional(text('Absent: behind the VLAN uplink of the network')),
  host: Type.Optional(text()),
  version: text('IGMPv1 to IGMPv3, MLDv1, MLDv2: the oldest that was heard lately'),
  sources: Type.Optional(
    Type.Object(
      {
        mode: oneOf(['include', 'exclude'], 'Only these, or all but these'),
        addresses: Type.Array(Type.String()),
      },
      { description: 'Absent: all' },
    ),
  ),
  secondsLeft: seconds,
});

const portPlace = { datapathId: text(), port: Type.Integer({ description: 'OpenFlow port number' }) };
const vlan = Type.Integer({ minimum: 0, maximum: 4095, description: 'VLAN id; 0: frames without a tag' });

const FabricMulticast = Type.Object(
  {
    vlans: Type.Array(
      Type.Object({
        vlan,
        known: Type.Boolean({ description: 'Its receivers are known; the multicast of others is flooded' }),
      }),
      { description: 'VLANs with stations' },
    ),
    groups: Type.Array(
      Type.Object({
        vlan,
        group: text('Address'),
        receivers: Type.Array(
          Type.Object({ mac: text('Of the station'), ...portPlace, version: text(), secondsLeft: seconds }),
        ),
        tree: Type.Array(Type.Object({ from: Type.Object(portPlace), to: Type.Object(portPlace) }), {
          description: 'Links that carry the group, in this direction',
        }),
      }),
    ),
    routers: Type.Array(
      Type.Object({
        vlan,
        ...portPlace,
        address: Type.Optional(text('Of the one heard last')),
        learnedBy: Type.Optional(oneOf(['query', 'pim'], 'By a query, or a hello of PIM')),
        secondsLeft: seconds,
      }),
      { description: 'Multicast routers at edge ports, which get all groups' },
    ),
    queriers: Type.Array(
      Type.Object({
        vlan,
        protocol: oneOf(['IGMP', 'MLD'], 'Of IPv4, of IPv6'),
        querier: oneOf(['weft', 'other', 'none'], 'weft: the switches; other: a router'),
        address: Type.Optional(text()),
        secondsLeft: Type.Optional(seconds),
      }),
    ),
  },
  { description: 'Switches without an agent. Absent where there are none by configuration' },
);

export const MulticastAnswer = Type.Object({
  groups: Type.Array(
    Type.Object({
      network: text(),
      group: text('Address'),
      number: Type.Integer({ description: 'By which entries name it' }),
      receivers: Type.Array(Receiver),
      distribution: Distribution,
      counters: Type.Optional(
        Type.Object(
          {
            sent: count('Packets that endpoints have sent to the group'),
            received: count('Packets for receivers, counted once for each host that has any'),
          },
          { description: 'Since the entries were made' },
        ),
      ),
    }),
  ),
  routers: Type.Array(
    Type.Object({
      network: text(),
      address: Type.Optional(text('Of the one heard last')),
      learnedBy: Type.Optional(oneOf(['query', 'pim'], 'By a query, or a hello of PIM')),
      secondsLeft: seconds,
    }),
    { description: 'Multicast routers behind the uplinks of networks' },
  ),
  queriers: Type.Array(
    Type.Object({
      network: text(),
      protocol: oneOf(['IGMP', 'MLD'], 'Of IPv4, of IPv6'),
      querier: oneOf(['weft', 'other', 'none'], 'weft: the switches; other: somebody behind the uplink'),
      address: Type.Optional(text()),
      secondsLeft: Type.Optional(seconds),
    }),
    { description: 'Who asks the receivers of each network' },
  ),
  silent: Type.Array(Type.Object({ datapathId: text(), host: Type.Optional(text()), reason: text() }), {
    description: 'Switches that are away or did not answer, whose counters are missing',
  }),
  problems: Type.Array(
    Type.Object({
      code: text(),
      network: text(),
      endpoint: Type.Optional(text('Absent: somebody behind the uplink')),
      message: text(),
      fix: text(),
    }),
    { description: 'Who wants more than it gets; for an hour after it was last tried' },
  ),
  floods: Type.Array(Type.Object({ network: text(), distribution: Distribution }), {
    description: 'Of VXLAN networks: how broadcast, and multicast without receivers that are known, is sent',
  }),
  fabric: Type.Optional(FabricMulticast),
});
