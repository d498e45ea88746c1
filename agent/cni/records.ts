/** Which endpoint an interface of a container is. DEL knows nothing but the container, so this has to survive restarts of the agent. */
import type { InterfaceKey } from './configuration.js';

export interface CniRecord extends InterfaceKey {
  /** Path of the container's network namespace. */
  readonly netns: string;
  /** `<tenant>/<network>/<endpoint>` */
  readonly endpoint: string;
  /** Of the default routes that ADD made. */
  readonly defaultRoutes: readonly string[];
}

/** What {@link CniRecord}s are kept by. */
export function recordKey({ network, containerId, interfaceName }: InterfaceKey): string {
  return `${network}/${containerId}/${interfaceName}`;
}
