export { AccessError, type AccessOptions, type ClusterAccess, loadAccess } from './access.js';
export { KubernetesService, type KubernetesOptions, type KubernetesTimes } from './service.js';
export * from './types.js';
