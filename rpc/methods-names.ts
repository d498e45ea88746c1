/** Names of endpoints and groups: what agents ask so that they can answer the DNS questions of their endpoints. */
import Type from 'typebox';
import { RequestType } from './types.js';

/** More would not fit into an answer over UDP without EDNS (512 bytes). */
export const MAX_NAMED_ADDRESSES = 25;

/**
 * What a name means to an endpoint, within its tenant; exactly one of `name` and `address` is given. Answered from memory.
 *
 * `ENDPOINT` is an endpoint of the asker's own network, `ENDPOINT.NETWORK` one of another network of the tenant, `GROUP.groups` stands for
 * the members of a group, in another order at each answer. Names are compared without regard to case (RFC 1035, section 2.3.3).
 */
export const NameLookup = new RequestType(
  'name.lookup',
  Type.Object({
    endpoint: Type.String({
      minLength: 5,
      maxLength: 761,
      pattern: '^[^/\\s]+/[^/\\s]+/[^/\\s]+$',
      description: 'who asks, <tenant>/<network>/<endpoint>',
    }),
    name: Type.Optional(
      Type.String({ minLength: 1, maxLength: 253, description: 'without the domain and a final dot' }),
    ),
    address: Type.Optional(Type.String({ minLength: 2, maxLength: 45, description: 'whose name is asked' })),
  }),
  Type.Object({
    exists: Type.Boolean({
      description: 'false: there is no such name (NXDOMAIN) or nobody with the address',
    }),
    addresses: Type.Array(Type.String(), {
      maxItems: MAX_NAMED_ADDRESSES,
      description: 'IPv4 and IPv6 addresses; empty where the name has none, or an address was asked about',
    }),
    names: Type.Array(Type.String(), { maxItems: 1, description: '<endpoint>.<network> of the address' }),
  }),
);
