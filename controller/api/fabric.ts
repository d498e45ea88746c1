/** Fabric switches, what their ports lead to, links and stations. */
import type { ApiContext, ApiServer } from './context.js';
import { ERRORS } from './schemas.js';
import { FabricAnswer } from './schemas-fabric.js';

export async function fabricRoutes(server: ApiServer, { backend }: ApiContext): Promise<void> {
  server.get(
    '/v1/fabric',
    {
      schema: {
        summary: 'Fabric switches, their ports by role, links and stations',
        description:
          'Switches that no agent claims, as probes (LLDP) and the frames of stations have told. All empty where `fabric.enabled` is false.',
        tags: ['system'],
        response: { 200: FabricAnswer, ...ERRORS },
      },
    },
    () => backend.fabric(),
  );
}
