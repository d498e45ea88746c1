import { KubernetesService, loadAccess } from '../kubernetes/index.js';
import type { Model } from '../model/types.js';
import type { ControllerOptions } from './types.js';

/** Objects of one transaction of the store: what other operations wait for at most. */
const BATCH = 500;
const BACKOFF = { minMs: 250, maxMs: 30_000 };
const RETRY = { minMs: 5_000, maxMs: 300_000 };
const WATCH_MS = 300_000;

/**
 * The watcher of the cluster that the configuration names; undefined where it is off.
 * @throws AccessError when there is no such cluster in the configuration's kubeconfig
 */
export async function openKubernetes(
  model: Model,
  { config, log }: Pick<ControllerOptions, 'config' | 'log'>,
): Promise<KubernetesService | undefined> {
  const { enabled, kubeconfig, context, pageSize, silenceMs, resyncMs, ...place } = config.kubernetes;
  if (!enabled) return undefined;
  const access = await loadAccess({
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
  });
  return new KubernetesService({
    model,
    access,
    place,
    pageSize,
    batchSize: BATCH,
    times: { silenceMs, resyncMs, watchMs: WATCH_MS, backoff: BACKOFF, retry: RETRY },
    logger: log.component('kubernetes'),
  });
}
