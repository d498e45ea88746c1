/**
 * The methods of the hub, shared by the controller, Weft's agent and (by way of docs/hub-protocol.md) anybody's
 * agent. MAC and IP addresses are text here: this is an edge. Unknown members of params are ignored, so that an
 * older end can talk to a newer one; unknown methods are refused with -32601.
 */
import Type, { type Static } from 'typebox';
import { NotificationType, RequestType } from './types.js';

/** Version of the protocol in `agent.register`. Grows only when an old agent could no longer work. */
export const PROTOCOL_VERSION = 1;

/** OpenFlow port number of the tunnel port on every overlay bridge (`ofport_request`). */
export const TUNNEL_PORT = 65000;
/** Interface name of the tunnel port: one VXLAN port with `remote_ip=flow key=flow`. */
export const TUNNEL_INTERFACE = 'weft-vxlan';
/** OpenFlow port number of the VLAN uplink on every overlay bridge (`ofport_request`). */
export const UPLINK_PORT = 65001;

/** Bytes that VXLAN takes from the underlay's MTU: outer Ethernet is not counted by it, but the inner one is. */
export const VXLAN_OVERHEAD_IPV4 = 50;
export const VXLAN_OVERHEAD_IPV6 = 70;

const HostLabel = Type.String({
  minLength: 1,
  maxLength: 253,
  pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$',
  description: 'name of the host, unique in the cluster; letters, digits, dot, dash and underscore',
});
const Epoch = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'grows with each start of an agent, e.g. milliseconds since 1970 at its start',
});
const Generation = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'as endpoint.attach returned it',
});
export const Name = Type.String({ minLength: 1, maxLength: 253, pattern: '^[^/\\s]+$' });
const EndpointId = Type.String({
  minLength: 5,
  maxLength: 761,
  pattern: '^[^/\\s]+/[^/\\s]+/[^/\\s]+$',
  description: '<tenant>/<network>/<endpoint>',
});
const InterfaceName = Type.String({
  minLength: 1,
  maxLength: 15,
  pattern: '^[^/\\s]+$',
  description: 'name of the port on the bridge, as the switch reports it',
});
export const IpAddress = Type.String({ minLength: 2, maxLength: 45, description: 'IPv4 or IPv6 address' });
const MacAddress = Type.String({
  pattern: '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$',
  description: 'six octets in hexadecimal separated by colons, e.g. 02:02:0a:01:01:05',
});

/** One endpoint on one port of the host's bridge. */
export const Attachment = Type.Object({
  endpoint: EndpointId,
  interface: InterfaceName,
  generation: Generation,
});
export type Attachment = Static<typeof Attachment>;

/** What a host needs to know of an endpoint. */
export const EndpointView = Type.Object({
  endpoint: EndpointId,
  tenant: Name,
  network: Name,
  name: Name,
  ip: Type.Optional(Type.String({ description: 'IPv4 address with prefix length, 10.1.1.1/24' })),
  ip6: Type.Optional(Type.String({ description: 'IPv6 address with prefix length, fd00::1/64' })),
  mac: MacAddress,
  gateway: Type.Optional(IpAddress),
  gateway6: Type.Optional(IpAddress),
  mtuOverhead: Type.Integer({
    minimum: 0,
    maximum: 256,
    description: "bytes to take from the underlay's MTU: 0 on VLAN, 50 or 70 on VXLAN over IPv4 or IPv6",
  }),
  encapsulation: Type.Union([Type.Literal('vlan'), Type.Literal('vxlan')]),
  tag: Type.Integer({ minimum: 0, maximum: 0xffffff, description: 'VLAN id or VNI' }),
  host: Type.Optional(HostLabel),
  interface: Type.Optional(InterfaceName),
  generation: Type.Optional(Generation),
});
export type EndpointView = Static<typeof EndpointView>;

/** A queue on the uplinks of a host. */
export const HostQueue = Type.Object({
  queue: Type.Integer({ minimum: 0, maximum: 7, description: 'a higher one is served first' }),
  guaranteedKilobitsPerSecond: Type.Optional(
    Type.Integer({ minimum: 1, description: 'what it has for sure on each uplink' }),
  ),
  marks: Type.Array(Type.Integer({ minimum: 1, maximum: 63 }), {
    maxItems: 63,
    description: 'DSCP of the packets it is for, where the switch cannot tell the queue otherwise',
  }),
});
export type HostQueue = Static<typeof HostQueue>;
const HostQueues = Type.Array(HostQueue, {
  maxItems: 8,
  description: 'all of them; what goes into none of them has queue 0',
});

/** Neighbours of a host on distribution trees, more than enough for any set of trees of bounded degree that overlap sensibly. */
export const MAX_WATCHED_PEERS = 64;

/** A host whose tunnel is to be watched. */
export const TunnelPeer = Type.Object({ host: HostLabel, vtepIp: IpAddress });
export type TunnelPeer = Static<typeof TunnelPeer>;
const TunnelPeers = Type.Array(TunnelPeer, {
  maxItems: MAX_WATCHED_PEERS,
  description: 'hosts whose tunnels to watch (BFD, RFC 5880), and no others',
});

/** Whether a watched tunnel carries packets, both ways. */
export const TunnelState = Type.Object({ host: HostLabel, up: Type.Boolean() });
export type TunnelState = Static<typeof TunnelState>;

const Empty = Type.Object({});
const MAX_ATTACHMENTS = 16_384;
const Attachments = Type.Array(Attachment, { maxItems: MAX_ATTACHMENTS });
const Stale = Type.Array(EndpointId, {
  description: 'attachments that the controller does not hold with this host any more: take them down',
});

const Held = Type.Optional(
  Type.Array(Attachment, {
    description: 'attachments that hold, with their generations as the controller knows them: keep those',
  }),
);

/**
 * First call of an agent. Claims the host label, the datapath and the tunnel address; everything else is refused
 * with `hub.unregistered` before it. The attachments are the agent's whole truth (a snapshot).
 */
export const AgentRegister = new RequestType(
  'agent.register',
  Type.Object({
    protocol: Type.Literal(PROTOCOL_VERSION),
    hostLabel: HostLabel,
    epoch: Epoch,
    datapathId: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{16}$',
        description: '16 lower-case hexadecimal digits; absent where `switch` says that there is no OpenFlow',
      }),
    ),
    switch: Type.Optional(
      Type.Union([Type.Literal('ovs'), Type.Literal('linux-bridge'), Type.Literal('macvlan')], {
        description: 'what forwards on the host; default ovs. Others get their table by host.table',
      }),
    ),
    bridge: Name,
    vtepIp: Type.Optional(IpAddress),
    uplink: Type.Optional(InterfaceName),
    tunnelPort: Type.Optional(InterfaceName),
    underlayMtu: Type.Optional(Type.Integer({ minimum: 576, maximum: 65_535 })),
    follow: Type.Optional(
      Type.Union([Type.Literal('own'), Type.Literal('networks')], {
        description:
          "'own' (default): endpoint.changed for endpoints of this host; 'networks': for all endpoints of networks on this host",
      }),
    ),
    attachments: Attachments,
  }),
  Type.Object({
    leaseMs: Type.Integer({
      minimum: 1,
      description: 'the host counts as down after so long without a call',
    }),
    controllerId: Type.String(),
    stale: Stale,
    held: Held,
    queues: Type.Optional(HostQueues),
    peers: Type.Optional(TunnelPeers),
  }),
);

/** Renews the lease. Due every third of `leaseMs`. */
export const AgentHeartbeat = new RequestType('agent.heartbeat', Type.Object({ epoch: Epoch }), Empty);

/** The agent's whole truth again; endpoints that it does not name are detached from the host. */
export const AgentSnapshot = new RequestType(
  'agent.snapshot',
  Type.Object({ epoch: Epoch, attachments: Attachments }),
  Type.Object({ stale: Stale, held: Held }),
);

/** Ends the lease at once: the agent stops on purpose. Flow entries stay, traffic goes on. */
export const AgentDeregister = new RequestType('agent.deregister', Type.Object({ epoch: Epoch }), Empty);

const Kilobits = Type.Integer({ minimum: 1, maximum: 0xffff_ffff });
const Rate = Type.Object({
  kilobitsPerSecond: Kilobits,
  burstKilobits: Type.Optional(Kilobits),
});

/** What selects an endpoint for policies and profiles, said by who starts it. */
export const EndpointTraits = {
  labels: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 317 }), Type.String({ maxLength: 63 }), {
      description:
        'labels that selectors of groups look at; what an intent says of the endpoint stands over them',
    }),
  ),
  groups: Type.Optional(
    Type.Array(Name, {
      maxItems: 1000,
      description: 'groups of the tenant that the endpoint is in; refused when one is not declared',
    }),
  ),
  ports: Type.Optional(
    Type.Record(
      Type.String({ minLength: 1, maxLength: 63 }),
      Type.Union([Type.Integer({ minimum: 1, maximum: 65_535 }), Type.String({ maxLength: 16 })]),
      { description: 'ports by name, as rules name them: 8080 (TCP) or 53/udp' },
    ),
  ),
  qos: Type.Optional(Name),
  rates: Type.Optional(
    Type.Object(
      { in: Type.Optional(Rate), out: Type.Optional(Rate) },
      { description: 'what the endpoint may receive and send; each stands over that of its profile' },
    ),
  ),
} as const;

/**
 * Finds or creates an endpoint and its addresses; idempotent. Nothing is attached yet. Labels, groups, ports and profile replace
 * what was said of them before; each that is left out stays as it was.
 */
export const EndpointRequest = new RequestType(
  'endpoint.request',
  Type.Object({
    tenant: Name,
    network: Name,
    endpoint: Name,
    attachUUID: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
    ip: Type.Optional(IpAddress),
    ip6: Type.Optional(IpAddress),
    mac: Type.Optional(MacAddress),
    ...EndpointTraits,
    waitMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 600_000,
        description:
          'how long to wait for an endpoint that its network takes only by declaration (default 0)',
      }),
    ),
  }),
  EndpointView,
);

/**
 * Binds an endpoint to a port of this host's bridge. Answers only when the home switch has acknowledged the
 * entries of the endpoint by its barrier; `others` says whether the other member switches have as well
 * (`endpoint.followed` tells later).
 */
export const EndpointAttach = new RequestType(
  'endpoint.attach',
  Type.Object({
    endpoint: EndpointId,
    interface: InterfaceName,
    deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  }),
  Type.Object({
    endpoint: EndpointView,
    generation: Generation,
    acknowledged: Type.Literal(true),
    others: Type.Union([Type.Literal('pending'), Type.Literal('acknowledged')]),
  }),
);

/**
 * Takes an endpoint off this host. With a generation older than the current one nothing happens (a late detach of
 * an endpoint that has moved). `release` also deletes an endpoint that `endpoint.request` created.
 */
export const EndpointDetach = new RequestType(
  'endpoint.detach',
  Type.Object({
    endpoint: EndpointId,
    generation: Type.Optional(Generation),
    release: Type.Optional(Type.Boolean()),
  }),
  Type.Object({ detached: Type.Boolean() }),
);

/** Endpoints that are bound to this host, attached or not. */
export const HostEndpoints = new RequestType(
  'host.endpoints',
  Empty,
  Type.Object({ endpoints: Type.Array(EndpointView) }),
);

/** Controller to agent: is there somebody? */
export const AgentPing = new RequestType('agent.ping', Empty, Empty);

/** Controller to agent: what the agent holds, for `weft describe host`. */
export const AgentStatus = new RequestType(
  'agent.status',
  Empty,
  Type.Object({
    epoch: Epoch,
    attachments: Attachments,
    version: Type.Optional(Type.String()),
    problems: Type.Optional(Type.Array(Type.String())),
  }),
);

/** Controller to agent: the endpoint is not this host's any more (deleted, moved); take its interface down. */
export const AgentDetach = new RequestType(
  'agent.detach',
  Type.Object({ endpoint: EndpointId, reason: Type.String() }),
  Empty,
);

/**
 * Controller to the agents of the hosts that an endpoint lives on, is bound to or has left, and to those that follow the
 * endpoint's network and carry it: the endpoint was created, changed, moved, or (without a view) deleted. Several changes of
 * one endpoint may arrive as the last one only.
 */
export const EndpointChanged = new NotificationType(
  'endpoint.changed',
  Type.Object({ endpoint: EndpointId, view: Type.Optional(EndpointView) }),
);

/** Controller to agent: the queues of its host are others now. */
export const HostQueuesChanged = new NotificationType('host.queues', Type.Object({ queues: HostQueues }));

/** Controller to agent: the tunnels to watch are others now. */
export const HostPeersChanged = new NotificationType('host.peers', Type.Object({ peers: TunnelPeers }));

/** Agent to controller: the whole truth about the tunnels it watches, after registration and after each change. */
export const TunnelStates = new NotificationType(
  'tunnel.states',
  Type.Object({ tunnels: Type.Array(TunnelState, { maxItems: MAX_WATCHED_PEERS }) }),
);

/** Controller to the agent that attached: which other hosts' switches have acknowledged, and which did not and why. */
export const EndpointFollowed = new NotificationType(
  'endpoint.followed',
  Type.Object({
    endpoint: EndpointId,
    generation: Generation,
    hosts: Type.Array(HostLabel),
    missing: Type.Array(Type.Object({ host: HostLabel, reason: Type.String() })),
  }),
);
