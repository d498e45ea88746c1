/** Who receives what is sent to multicast groups, and how copies reach them. */
import Type from 'typebox';
import type { ApiContext, ApiServer } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import { ERRORS, NOT_FOUND } from './schemas.js';
import { MulticastAnswer } from './schemas-multicast.js';

export async function multicastRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { backend, config } = context;

  server.get(
    '/v1/multicast',
    {
      schema: {
        summary: 'Multicast groups, their receivers, routers, queriers and trees',
        description:
          'As reports (IGMP, MLD), queries and hellos of routers (PIM) have told; and how copies of packets for many reach the hosts.',
        tags: ['system'],
        querystring: Type.Object({
          network: Type.Optional(
            Type.String({ maxLength: 200, description: 'Only of this network, TENANT/NETWORK' }),
          ),
          counters: Type.Boolean({
            default: true,
            description: 'Asks the switches for counters of the groups',
          }),
        }),
        response: { 200: MulticastAnswer, ...ERRORS, ...NOT_FOUND },
      },
    },
    async ({ query: { network, counters } }) => {
      if (network !== undefined && backend.model.get('Network', network) === undefined) {
        throw new ApiError(404, 'object.not-found', `there is no Network ${network}`, {
          fix: 'networks are named TENANT/NETWORK',
        });
      }
      if (context.stopping) throw new ApiError(503, 'http.stopping', 'the controller is stopping');
      return await withDeadline(
        config.requestTimeoutMs,
        'reading what groups there are',
        backend.multicast(network, counters),
      );
    },
  );
}
