/** `/v1/trace`: what would become of a packet, by the entries that the switches hold. */
import Type from 'typebox';
import type { ApiContext, ApiServer } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import { ERRORS, NOT_FOUND, REFUSALS } from './schemas.js';

/** Each may read a hundred thousand entries of several switches. */
const MAX_TRACES_AT_ONCE = 4;

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

const Visit = Type.Object({
  host: Type.String(),
  datapathId: Type.String(),
  arrival: Type.String(),
  connection: Type.String({ description: 'ct_state that the switch is taken to give it' }),
  unseen: Type.Optional(Type.String({ description: 'Why its entries could not be seen' })),
  steps: Type.Array(
    Type.Object({
      depth: Type.Integer(),
      table: Type.String(),
      tableId: Type.Integer(),
      cause: Type.Optional(Type.String()),
      entry: Type.Optional(Type.String({ description: 'As ovs-ofctl dump-flows writes it; absent: a miss' })),
      owner: Type.Optional(Type.String()),
      conjunction: Type.Optional(Type.Array(Type.String())),
      remarks: Type.Array(Type.String()),
    }),
  ),
  departures: Type.Array(Type.Object({ port: Type.Integer(), to: Type.String() })),
});

const Leg = Type.Object({
  outcome: Outcome,
  packet: Type.String({ description: 'As ofproto/trace takes it, without in_port' }),
  decisions: Type.Array(Decision),
  visits: Type.Array(Visit),
  reason: Type.Optional(Type.String()),
});

const TraceAnswer = Type.Object({
  outcome: Outcome,
  verdict: Type.String({ description: 'In a sentence, with the reason' }),
  from: Party,
  to: Party,
  network: Type.String(),
  service: Type.String(),
  request: Leg,
  reply: Type.Optional(Leg),
  differences: Type.Array(
    Type.Object({
      host: Type.String(),
      missing: Type.Integer(),
      extra: Type.Integer(),
      changed: Type.Integer(),
      foreign: Type.Integer(),
      examples: Type.Array(Type.String()),
    }),
    { description: 'Of the tables that were read, from what the switches should hold' },
  ),
});

const Port = Type.Integer({ minimum: 0, maximum: 65_535 });
const Octet = Type.Integer({ minimum: 0, maximum: 255 });
const PartyName = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'TENANT/NETWORK/ENDPOINT, or an address in the network of the other side',
});

const TraceQuery = Type.Object(
  {
    from: PartyName,
    to: PartyName,
    family: Type.Optional(Type.Unsafe<4 | 6>({ type: 'integer', enum: [4, 6] })),
    protocol: Type.Optional(
      Type.String({
        maxLength: 10,
        description: 'tcp, udp, sctp, icmp (the default, an echo request), icmpv6 or a number',
      }),
    ),
    port: Type.Optional({ ...Port, description: 'Destination port' }),
    sourcePort: Type.Optional({ ...Port, description: 'Default 49152' }),
    icmpType: Type.Optional(Octet),
    icmpCode: Type.Optional(Octet),
  },
  { additionalProperties: false },
);

export async function traceRoutes(server: ApiServer, { backend, config }: ApiContext): Promise<void> {
  let running = 0;
  server.get(
    '/v1/trace',
    {
      schema: {
        summary: 'What would become of a packet and its answer',
        description:
          'Walks the flow entries that the switches hold at this moment, from host to host and back. No packet is sent, nothing is changed.',
        tags: ['system'],
        querystring: TraceQuery,
        response: { 200: TraceAnswer, ...ERRORS, ...NOT_FOUND, ...REFUSALS },
      },
    },
    async ({ query }) => {
      if (running >= MAX_TRACES_AT_ONCE) {
        throw new ApiError(503, 'trace.busy', `${running} traces are under way, the most there may be`, {
          fix: 'try again when one has ended',
        });
      }
      running++;
      try {
        return await withDeadline(config.requestTimeoutMs, 'the trace', backend.trace(query));
      } finally {
        running--;
      }
    },
  );
}
