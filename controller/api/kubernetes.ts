/** The cluster that is watched: how far, what is refused, its nodes and Services. */
import type { ApiContext, ApiServer } from './context.js';
import { ERRORS } from './schemas.js';
import { KubernetesAnswer } from './schemas-kubernetes.js';

export async function kubernetesRoutes(server: ApiServer, { backend }: ApiContext): Promise<void> {
  server.get(
    '/v1/kubernetes',
    {
      schema: {
        summary: 'The Kubernetes cluster that is watched',
        description:
          'Pods and NetworkPolicies are among the endpoints, groups and policies, with `owner: kubernetes`. Here is how far the cluster is known, what is refused and why, and what the model has no objects for. `enabled: false` where `kubernetes.enabled` is false.',
        tags: ['system'],
        response: { 200: KubernetesAnswer, ...ERRORS },
      },
    },
    () => backend.kubernetes(),
  );
}
