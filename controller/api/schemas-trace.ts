/** TypeBox schemas of what traces tell. */
import Type from 'typebox';

const Outcome = Type.Unsafe<'allowed' | 'dropped' | 'rejected' | 'unseen' | 'lost'>({
  type: 'string',
  enum: ['allowed', 'dropped', 'rejected', 'unseen', 'lost'],
  description:
    'unseen: a part of the way could not be seen; lost: it left in another direction, or it cannot be told',
});

const Party = Type.Object({
  endpoint: Type.Optional(Type.String()),
  address: Type.String(),
  mac: Type.String(),
  host: Type.Optional(Type.String()),
});

const Decision = Type.Object({
  host: Type.String(),
  direction: Type.Unsafe<'in' | 'out'>({ type: 'string', enum: ['in', 'out'] }),
  action: Type.Unsafe<'allow' | 'deny' | 'reject'>({ type: 'string', enum: ['allow', 'deny', 'reject'] }),
  rule: Type.Optional(Type.String({ description: 'Absent: a default decided' })),
  policy: Type.Optional(Type.String()),
  intent: Type.Optional(Type.String({ description: 'Where it is written: `Policy acme/front, rules[2]`' })),
  because: Type.String(),
});

const Step = Type.Object({
  depth: Type.Integer(),
  table: Type.String(),
  tableId: Type.Integer(),
  cause: Type.Optional(Type.String()),
  entry: Type.Optional(Type.String({ description: 'As ovs-ofctl dump-flows writes it; absent: a miss' })),
  owner: Type.Optional(Type.String()),
  conjunction: Type.Optional(Type.Array(Type.String())),
  remarks: Type.Array(Type.String()),
});

const Departure = Type.Object({ port: Type.Integer(), to: Type.String() });

const Differences = Type.Array(
  Type.Object({
    host: Type.String(),
    missing: Type.Integer(),
    extra: Type.Integer(),
    changed: Type.Integer(),
    foreign: Type.Integer(),
    examples: Type.Array(Type.String()),
  }),
  { description: 'Of the tables that were read, from what the switches should hold' },
);

const Visit = Type.Object({
  host: Type.String(),
  datapathId: Type.String(),
  arrival: Type.String(),
  connection: Type.String({ description: 'ct_state that the switch is taken to give it' }),
  unseen: Type.Optional(Type.String({ description: 'Why its entries could not be seen' })),
  steps: Type.Array(Step),
  departures: Type.Array(Departure),
});

const Leg = Type.Object({
  outcome: Outcome,
  packet: Type.String({ description: 'As ofproto/trace takes it, without in_port' }),
  decisions: Type.Array(Decision),
  visits: Type.Array(Visit),
  reason: Type.Optional(Type.String()),
});

export const TraceAnswer = Type.Object({
  outcome: Outcome,
  verdict: Type.String({ description: 'In a sentence, with the reason' }),
  from: Party,
  to: Party,
  network: Type.String(),
  service: Type.String(),
  request: Leg,
  reply: Type.Optional(Leg),
  differences: Differences,
});

const FabricParty = Type.Object({
  mac: Type.String(),
  address: Type.Optional(Type.String()),
  switch: Type.Optional(Type.String({ description: 'Where it is; absent: nobody knows, or it is a group' })),
  port: Type.Optional(Type.Integer()),
});

const alternative = Type.Boolean({
  description: 'Only if a switch chooses this one of several next hops',
});

const FabricLeg = Type.Object({
  outcome: Outcome,
  packet: Type.String({ description: 'As ofproto/trace takes it, without in_port' }),
  visits: Type.Array(
    Type.Object({
      switch: Type.String(),
      inPort: Type.Integer(),
      arrival: Type.String(),
      alternative,
      unseen: Type.Optional(Type.String({ description: 'Why its entries could not be seen' })),
      steps: Type.Array(Step),
      departures: Type.Array(Departure),
    }),
  ),
  deliveries: Type.Array(
    Type.Object({
      switch: Type.String(),
      port: Type.Integer(),
      name: Type.String(),
      stations: Type.Array(Type.String(), { description: 'Known there in the VLAN, at most ten' }),
      alternative,
      path: Type.Array(Type.Object({ switch: Type.String(), port: Type.Integer() }), {
        description: 'Switches on the way, and the port by which it left each',
      }),
    }),
    { description: 'Edge ports by which it leaves the fabric' },
  ),
  reason: Type.Optional(Type.String()),
});

export const FabricTraceAnswer = Type.Object({
  outcome: Outcome,
  verdict: Type.String({ description: 'In a sentence, with the reason' }),
  vlan: Type.Integer(),
  from: FabricParty,
  to: FabricParty,
  request: FabricLeg,
  reply: Type.Optional(FabricLeg),
  differences: Differences,
});
