import type { KubernetesReport } from '../../controller/kubernetes/types.js';

const counts = { lists: 2, relists: 1, watches: 3, events: 20, failures: 0, refusals: 1 };

/** A cluster with one of everything, as the controller tells of it. */
export const kubernetesReport: KubernetesReport = {
  enabled: true,
  server: 'https://10.96.0.1:443',
  tenant: 'kubernetes',
  network: 'pods',
  synced: true,
  settled: true,
  resources: [
    {
      resource: 'pods',
      state: 'watching',
      synced: true,
      objects: 7,
      refused: 1,
      version: '120',
      lastHeard: 1_000,
      ...counts,
    },
    {
      resource: 'nodes',
      state: 'waiting',
      synced: true,
      objects: 1,
      refused: 0,
      error: 'connect ECONNREFUSED',
      ...counts,
    },
  ],
  declared: 12,
  requests: 4,
  applied: 14,
  removed: 2,
  refused: [{ object: 'pods shop/bad', reason: 'metadata.labels.app must be string' }],
  nodes: [{ name: 'worker-1', host: 'h1', ready: true, addresses: ['192.168.2.10'] }],
  services: [
    {
      namespace: 'shop',
      name: 'web',
      clusterIps: ['10.96.0.10'],
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'http' }],
      selector: { app: 'web' },
    },
  ],
  problems: [],
};
