import type { Config } from '../config/schema.js';
import { type ClusterAccess, KubernetesService, loadAccess } from '../kubernetes/index.js';
import type { Model } from '../model/types.js';
import type { ControllerOptions } from './types.js';

/** Objects of one transaction of the store: what other operations wait for at most. */
const BATCH = 500;
const BACKOFF = { minMs: 250, maxMs: 30_000 };
const RETRY = { minMs: 5_000, maxMs: 300_000 };
const WATCH_MS = 300_000;

/**
 * How to reach the cluster that the configuration names; undefined where none is watched.
 * @throws AccessError when the kubeconfig has no such cluster
 */
export async function clusterAccess({
  enabled,
  kubeconfig,
  context,
}: Config['kubernetes']): Promise<ClusterAccess | undefined> {
  if (!enabled) return undefined;
  return await loadAccess({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
}

/** The watcher of the cluster; undefined where none is watched. */
export function makeKubernetes(
  model: Model,
  { config, cluster, log }: Pick<ControllerOptions, 'config' | 'cluster' | 'log'>,
): KubernetesService | undefined {
  if (cluster === undefined) return undefined;
  const {
    enabled: _,
    kubeconfig: __,
    context: ___,
    pageSize,
    silenceMs,
    resyncMs,
    ...place
  } = config.kubernetes;
  return new KubernetesService({
    model,
    access: cluster,
    place,
    pageSize,
    batchSize: BATCH,
    times: { silenceMs, resyncMs, watchMs: WATCH_MS, backoff: BACKOFF, retry: RETRY },
    logger: log.component('kubernetes'),
  });
}
