/**
 * Methods of the hub about networks and addresses, for container runtimes that bring their own ideas of both (Docker). An agent speaks for
 * its own host alone: uses and reservations are its host's, and `network.leases` tells which the controller still holds for it.
 */
import Type, { type Static } from 'typebox';
import { IpAddress, Name } from './methods.js';
import { RequestType } from './types.js';

const Empty = Type.Object({});
const Prefix = Type.String({ minLength: 4, maxLength: 49, pattern: '^[0-9A-Fa-f:.]+/[0-9]{1,3}$' });
const Encapsulation = Type.Union([Type.Literal('vlan'), Type.Literal('vxlan')]);
const Tag = Type.Integer({ minimum: 1, maximum: 0xfffffe, description: 'VLAN id or VNI' });

const network = { tenant: Name, network: Name } as const;
const described = {
  subnet: Type.Optional(Prefix),
  gateway: Type.Optional(IpAddress),
  ipv6Subnet: Type.Optional(Prefix),
  ipv6Gateway: Type.Optional(IpAddress),
} as const;
const user = {
  user: Type.String({
    minLength: 1,
    maxLength: 253,
    pattern: '^[^/\\s]+$',
    description: "what on this host uses the network, in the host's own words",
  }),
  runtime: Type.Union([Type.Literal('docker')], {
    description: 'owner of networks that are declared for it',
  }),
} as const;

/** A network, as a runtime needs to know it. */
export const NetworkDescription = Type.Object({
  ...network,
  encapsulation: Encapsulation,
  tag: Tag,
  ...described,
  owner: Type.Optional(Type.String({ description: 'what declared it; absent: people' })),
  created: Type.Boolean({ description: 'this request declared it' }),
});
export type NetworkDescription = Static<typeof NetworkDescription>;

/**
 * Finds a network, or declares it as an intent whose owner is the runtime, and notes that this host uses it. What the request says of the
 * network must be so (`network.differs`); only what the runtime declared and no other host and no endpoint uses yet is changed instead.
 * A gateway of a network that has none is left alone.
 */
export const NetworkRequest = new RequestType(
  'network.request',
  Type.Object({
    ...network,
    ...user,
    encapsulation: Type.Optional(Encapsulation),
    tag: Type.Optional(Tag),
    ...described,
  }),
  NetworkDescription,
);

/** Ends a use. A network that the runtime declared goes with the last use, unless others have endpoints in it. No error when there is none. */
export const NetworkRelease = new RequestType(
  'network.release',
  Type.Object({ ...network, ...user }),
  Type.Object({ released: Type.Boolean(), removed: Type.Boolean() }),
);

export const NetworkList = new RequestType(
  'network.list',
  Type.Object({ tenant: Type.Optional(Name) }),
  Type.Object({ networks: Type.Array(NetworkDescription) }),
);

/**
 * Keeps an address for an endpoint of this host that does not exist yet: the one that is asked for, or the lowest free one. It is kept until
 * `endpoint.request` of this host takes it, or it is released. Repeating it is no error. An address that a declared endpoint has which may
 * start on this host is answered without being reserved.
 */
export const AddressReserve = new RequestType(
  'address.reserve',
  Type.Object({
    ...network,
    ip: Type.Optional(IpAddress),
    family: Type.Union([Type.Literal(4), Type.Literal(6)]),
  }),
  Type.Object({ ip: IpAddress }),
);

/** No error when it is not reserved for this host. */
export const AddressRelease = new RequestType(
  'address.release',
  Type.Object({ ...network, ip: IpAddress }),
  Type.Object({ released: Type.Boolean() }),
);

/** Everything that is held for this host, so that an agent can give back what its runtime has lost sight of. */
export const NetworkLeases = new RequestType(
  'network.leases',
  Empty,
  Type.Object({
    uses: Type.Array(Type.Object({ ...network, user: Type.String() })),
    addresses: Type.Array(Type.Object({ ...network, ip: IpAddress })),
  }),
);
