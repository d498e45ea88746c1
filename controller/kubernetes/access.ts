/** How to reach a cluster's API, and as whom: a kubeconfig, or the service account of a pod. */
import type { RequestOptions } from 'node:https';

export interface ClusterAccess {
  /** `https://10.96.0.1:443` */
  readonly server: string;
  /** Adds credentials and trust; asked for every request, because tokens are renewed. */
  authorize(options: RequestOptions): Promise<void>;
}

export interface AccessOptions {
  /** Path of a kubeconfig. Absent: the service account of the pod that this runs in. */
  readonly kubeconfig?: string;
  /** Of the kubeconfig. Absent: its current one. */
  readonly context?: string;
}

/** Cannot be used as it is configured. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly code = 'kubernetes.access';
}

/** @throws AccessError when there is no such file, context or service account */
export async function loadAccess({ kubeconfig, context }: AccessOptions): Promise<ClusterAccess> {
  // Costs a second and 70 MB: only for those who watch a cluster.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) {
    if (process.env['KUBERNETES_SERVICE_HOST'] === undefined) {
      throw new AccessError(
        'this process runs in no pod: name a kubeconfig (kubernetes.kubeconfig, or weft controller --kubernetes FILE)',
      );
    }
    config.loadFromCluster();
  } else {
    try {
      config.loadFromFile(kubeconfig);
    } catch (error) {
      throw new AccessError(
        `kubernetes.kubeconfig: ${kubeconfig} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    if (context !== undefined) config.setCurrentContext(context);
  }
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || !URL.canParse(server)) {
    const named = context ?? config.getCurrentContext();
    throw new AccessError(
      (named ?? '') === ''
        ? `kubernetes.context: ${kubeconfig} has no current context; name one`
        : `kubernetes.context: ${kubeconfig ?? 'the service account'} has no cluster for context ${named}`,
    );
  }
  return {
    server,
    authorize: async (options) => await config.applyToHTTPSOptions(options),
  };
}
