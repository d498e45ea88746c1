/**
 * Tables of hosts whose switch speaks no OpenFlow (`switch` in `agent.register`): the controller sends what its facts say, row by row, and
 * the agent makes the kernel forward so. A table is sent whole after each registration, and then what changes.
 */
import Type, { type Static } from 'typebox';
import { RequestType } from './types.js';

/** Rows and removals of one message; a larger change comes in several, and counts when the last one has come. */
export const MAX_TABLE_ROWS = 500;

const Address = Type.String({ maxLength: 45 });
const Network = Type.Integer({ minimum: 1, description: 'number of the network' });
const EndpointId = Type.String({ maxLength: 761 });
const Class = Type.String({ description: 'name of a class of addresses; text without further meaning' });
const Subject = Type.Integer({ minimum: 1, maximum: 0xffff_ffff });
const Range = <T extends Type.TSchema>(of: T) => Type.Object({ first: of, last: of });

const TableService = Type.Object({
  protocol: Type.Integer({ minimum: 0, maximum: 255 }),
  ports: Type.Optional(Type.Array(Range(Type.Integer({ minimum: 0, maximum: 65_535 })))),
  portClass: Type.Optional(Class),
  icmpType: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
  icmpCode: Type.Optional(Type.Integer({ minimum: 0, maximum: 255 })),
});

const TableRule = Type.Object({
  rule: Type.Integer({ minimum: 1 }),
  action: Type.Union([Type.Literal('allow'), Type.Literal('deny'), Type.Literal('reject')]),
  stateless: Type.Boolean(),
  peers: Type.Array(Class),
  services: Type.Array(TableService),
});

/** What the kinds mean: `controller/model/table-rows.ts`. */
export const TableRow = Type.Union([
  Type.Object({
    kind: Type.Literal('network'),
    network: Network,
    id: Type.String(),
    encapsulation: Type.Union([Type.Literal('vlan'), Type.Literal('vxlan')]),
    tag: Type.Integer({ minimum: 0, maximum: 0xffffff }),
    subnets: Type.Array(Type.String()),
  }),
  Type.Object({
    kind: Type.Literal('endpoint'),
    network: Network,
    endpoint: EndpointId,
    mac: Type.String(),
    addresses: Type.Array(Address),
    host: Type.String(),
    interface: Type.String(),
  }),
  Type.Object({
    kind: Type.Literal('peer'),
    network: Network,
    host: Type.String(),
    vtepIp: Type.Optional(Address),
    vtepIp6: Type.Optional(Address),
  }),
  Type.Object({
    kind: Type.Literal('judged'),
    network: Network,
    endpoint: EndpointId,
    in: Type.Optional(Subject),
    out: Type.Optional(Subject),
  }),
  Type.Object({
    kind: Type.Literal('subject'),
    subject: Subject,
    direction: Type.Union([Type.Literal('in'), Type.Literal('out')]),
    default: Type.Union([Type.Literal('allow'), Type.Literal('deny')]),
    rules: Type.Array(TableRule),
  }),
  Type.Object({
    kind: Type.Literal('member'),
    class: Class,
    network: Network,
    endpoint: EndpointId,
    addresses: Type.Array(Address),
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
  }),
  Type.Object({ kind: Type.Literal('ranges'), class: Class, ranges: Type.Array(Range(Address)) }),
  Type.Object({
    kind: Type.Literal('networkClass'),
    class: Class,
    network: Network,
    subnets: Type.Array(Type.String()),
  }),
]);
export type TableRow = Static<typeof TableRow>;

/**
 * Controller to agent: rows that came or changed, and keys of rows that went. `whole`: the first part of the whole table, what the agent
 * had before is void. `more`: nothing counts before the next part. Answered when the host forwards so; `refused` names rows that it
 * cannot follow, which are closed then: an endpoint among them reaches nobody.
 */
export const HostTable = new RequestType(
  'host.table',
  Type.Object({
    revision: Type.Integer({ minimum: 1, description: 'grows with each message of a connection' }),
    whole: Type.Boolean(),
    more: Type.Boolean(),
    put: Type.Array(Type.Object({ key: Type.String(), row: TableRow }), { maxItems: MAX_TABLE_ROWS }),
    remove: Type.Array(Type.String(), { maxItems: MAX_TABLE_ROWS }),
  }),
  Type.Object({
    refused: Type.Array(
      Type.Object({
        key: Type.String(),
        reason: Type.String({ description: 'for people' }),
      }),
      { description: 'all rows that are refused now, not only of this message' },
    ),
  }),
);
