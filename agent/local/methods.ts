/**
 * Methods of the agent's local unix socket (JSON-RPC 2.0, one message a line): for whoever starts containers and virtual machines on this
 * host. Who may open the socket may attach endpoints; its mode is 0600.
 */
import Type, { type Static } from 'typebox';
import { EndpointTraits, EndpointView, RequestType } from '../../rpc/index.js';

const Name = Type.String({ minLength: 1, maxLength: 253, pattern: '^[^/\\s]+$' });
const InterfaceName = Type.String({ minLength: 1, maxLength: 15, pattern: '^[^/\\s]+$' });

/**
 * Attach an endpoint: a network namespace (`netns`, a path, gets a leg with the endpoint's addresses), an existing interface of the host
 * (`interface`, a tap of a virtual machine), or a leg whose other end a container runtime moves and gives its addresses itself (`peer`, the
 * name of that end, left down in the agent's namespace). Answers when the home switch has acknowledged the endpoint's entries; the leg
 * comes up only after that. Repeating it for the same place is no error.
 */
export const LocalAttach = new RequestType(
  'local.attach',
  Type.Object({
    tenant: Name,
    network: Name,
    endpoint: Name,
    netns: Type.Optional(Type.String({ pattern: '^/', description: 'path of a network namespace' })),
    interface: Type.Optional(InterfaceName),
    peer: Type.Optional(InterfaceName),
    innerInterface: Type.Optional(
      Type.String({ minLength: 1, maxLength: 15, pattern: '^[^/\\s]+$', description: 'default eth0' }),
    ),
    attachUUID: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
    ip: Type.Optional(Type.String()),
    ip6: Type.Optional(Type.String()),
    mac: Type.Optional(Type.String()),
    ...EndpointTraits,
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 600_000,
        description:
          'how long to wait for an endpoint to be declared, where the network asks for that (default 0)',
      }),
    ),
    deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  }),
  Type.Object({
    endpoint: EndpointView,
    interface: InterfaceName,
    innerInterface: Type.Optional(InterfaceName),
    peer: Type.Optional(InterfaceName),
    mtu: Type.Integer({ description: 'bytes, as set on the interface' }),
    generation: Type.Integer(),
    others: Type.Union([Type.Literal('pending'), Type.Literal('acknowledged')]),
  }),
);
export type LocalAttachParams = Static<typeof LocalAttach.params>;
export type LocalAttachResult = Static<typeof LocalAttach.result>;

/** Take an endpoint off this host. `release` gives its addresses back when a request, not an intent, created it. No error when it is not here. */
export const LocalDetach = new RequestType(
  'local.detach',
  Type.Object({ tenant: Name, network: Name, endpoint: Name, release: Type.Optional(Type.Boolean()) }),
  Type.Object({ detached: Type.Boolean() }),
);

export const LocalStatus = new RequestType(
  'local.status',
  Type.Object({}),
  Type.Object({
    hostLabel: Type.String(),
    bridge: Type.String(),
    datapathId: Type.String(),
    datapathType: Type.Optional(Type.String()),
    epoch: Type.Integer(),
    controller: Type.Union([Type.Literal('registered'), Type.Literal('disconnected')]),
    switch: Type.String({ description: 'connecting, ready or closed' }),
    underlayMtu: Type.Optional(Type.Integer()),
    attachments: Type.Array(
      Type.Object({
        endpoint: Type.String(),
        interface: Type.String(),
        generation: Type.Integer(),
        netns: Type.Optional(Type.String()),
      }),
    ),
    problems: Type.Array(Type.String()),
  }),
);
export type LocalStatusResult = Static<typeof LocalStatus.result>;
