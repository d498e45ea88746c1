/** A cluster that is played, a model of its own, and a watcher between them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { KubernetesService, type KubernetesTimes, loadAccess } from '../../controller/kubernetes/index.js';
import type { PlaceOptions } from '../../controller/kubernetes/place.js';
import { createLog } from '../../controller/log.js';
import type { Model } from '../../controller/model/index.js';
import { openModel } from '../model/helpers.js';
import { FakeKubernetes, namespaceObject, nodeObject } from '../support/kubernetes-api.js';
import { waitFor } from '../support/wait-for.js';

const PATIENCE_MS = 30_000;
const TIMES: KubernetesTimes = {
  silenceMs: 30_000,
  watchMs: 300_000,
  backoff: { minMs: 5, maxMs: 50 },
  resyncMs: 600_000,
  retry: { minMs: 20, maxMs: 50 },
};

export interface Scene {
  readonly api: FakeKubernetes;
  readonly model: Model;
  readonly service: KubernetesService;
  /** Everything that the API has is known, and in the model. */
  follow(): Promise<void>;
  /** Ids of endpoints, without tenant and network. */
  endpoints(): string[];
  /** Names of what the watcher has declared of a kind. */
  owned(kind: string): string[];
  /** Requests to the model, and what was in them, since the last call. */
  work(): { readonly requests: number; readonly applied: number; readonly removed: number };
}

export interface SceneOptions {
  readonly api?: FakeKubernetes;
  readonly model?: Model;
  readonly times?: Partial<KubernetesTimes>;
  readonly place?: Partial<PlaceOptions>;
  readonly pageSize?: number;
}

/** A cluster of namespaces shop and bank and nodes h1 and h2, unless one is given; followed until all of it is declared. */
export async function openScene(t: Test, options: SceneOptions = {}): Promise<Scene> {
  const api = options.api ?? newCluster();
  const model = options.model ?? (await openModel());
  const server = await api.start();
  const folder = mkdtempSync(join(tmpdir(), 'weft-kubernetes-'));
  const kubeconfig = join(folder, 'config');
  writeFileSync(kubeconfig, FakeKubernetes.kubeconfig(server, api.tls?.cert));
  const service = new KubernetesService({
    model,
    access: await loadAccess({ kubeconfig }),
    place: { tenant: 'kubernetes', network: 'pods', subnet: '10.244.0.0/16', ...options.place },
    pageSize: options.pageSize ?? 3,
    batchSize: 500,
    times: { ...TIMES, ...options.times },
    logger: createLog({ level: 'silent' }).component('kubernetes'),
  });
  t.teardown(async () => {
    await service.stop();
    await api.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  service.start();
  await waitFor('the cluster to be declared', () => service.report().synced, PATIENCE_MS);
  let before = { requests: 0, applied: 0, removed: 0 };
  const scene: Scene = {
    api,
    model,
    service,
    follow: async () => {
      // A bookmark comes behind all events before it.
      const revision = api.revision + 1;
      api.bookmark();
      await waitFor(
        `revision ${revision}`,
        () => service.report().resources.every((one) => Number(one.version ?? 0) >= revision),
        PATIENCE_MS,
      );
      await service.settled();
    },
    endpoints: () => model.list('Endpoint').map(({ name }) => name.split('/').slice(2).join('/')),
    owned: (kind) => model.ownedBy('kubernetes').flatMap((ref) => (ref.kind === kind ? [ref.name] : [])),
    work: () => {
      const { requests, applied, removed } = service.report();
      const since = {
        requests: requests - before.requests,
        applied: applied - before.applied,
        removed: removed - before.removed,
      };
      before = { requests, applied, removed };
      return since;
    },
  };
  scene.work();
  return scene;
}

export function newCluster(): FakeKubernetes {
  const api = new FakeKubernetes();
  for (const name of ['shop', 'bank']) api.put('namespaces', namespaceObject(name, { team: `${name}s` }));
  for (const name of ['h1', 'h2']) api.put('nodes', nodeObject(name));
  return api;
}
