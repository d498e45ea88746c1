/** `/v1/trace`: what would become of a packet, by the entries that the switches hold. */
import Type from 'typebox';
import type { ApiContext, ApiServer } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import { ERRORS, NOT_FOUND, REFUSALS } from './schemas.js';
import { FabricTraceAnswer, TraceAnswer } from './schemas-trace.js';

/** Each may read a hundred thousand entries of several switches. */
const MAX_TRACES_AT_ONCE = 4;

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

const FabricPartyName = Type.String({
  minLength: 1,
  maxLength: 50,
  description:
    'MAC address, or IP address that a station was heard to use; of `to` also the address of a group',
});

const FabricTraceQuery = Type.Object(
  {
    from: Type.Optional(FabricPartyName),
    to: FabricPartyName,
    vlan: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4095,
        description: '0: without a tag. Default: that of the stations',
      }),
    ),
    switch: Type.Optional(
      Type.String({
        pattern: '^(0[xX])?[0-9a-fA-F]{1,16}$',
        description: 'Datapath id of the switch where the frame comes in. Default: where the station is',
      }),
    ),
    inPort: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 0xffff_ff00, description: 'OpenFlow port number there' }),
    ),
  },
  { additionalProperties: false },
);

export async function traceRoutes(server: ApiServer, { backend, config }: ApiContext): Promise<void> {
  let running = 0;
  const limited = async <T>(start: () => Promise<T>): Promise<T> => {
    if (running >= MAX_TRACES_AT_ONCE) {
      throw new ApiError(503, 'trace.busy', `${running} traces are under way, the most there may be`, {
        fix: 'try again when one has ended',
      });
    }
    running++;
    try {
      return await withDeadline(config.requestTimeoutMs, 'the trace', start());
    } finally {
      running--;
    }
  };
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
    async ({ query }) => await limited(() => backend.trace(query)),
  );
  server.get(
    '/v1/fabric/trace',
    {
      schema: {
        summary: 'What would become of a frame through the fabric, and of its answer',
        description:
          'The same over the switches that no agent claims, from station to station or from a port: over links, by the next hops and groups that the switches hold.',
        tags: ['system'],
        querystring: FabricTraceQuery,
        response: { 200: FabricTraceAnswer, ...ERRORS, ...NOT_FOUND, ...REFUSALS },
      },
    },
    async ({ query }) => await limited(() => backend.traceFabric(query)),
  );
}
