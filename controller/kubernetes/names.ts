/** Names of the objects that the watcher declares, the same in the CNI plugin (`agent/cni`). */
import { digestOf } from './labels.js';

/** `owner` of everything that the watcher declares. */
export const OWNER = 'kubernetes';

const MAX_NAME = 253;
const SEPARATOR_AND_DIGEST = 17;

/**
 * `<namespace>.<name>`, of a pod's endpoint and of a NetworkPolicy's policy. A namespace has no dot, so that names of two objects differ.
 * Longer than 253: the first 236 characters, `-`, and 16 hex digits of its SHA-256.
 */
export function nameIn(namespace: string, name: string): string {
  const full = `${namespace}.${name}`;
  if (full.length <= MAX_NAME) return full;
  return `${full.slice(0, MAX_NAME - SEPARATOR_AND_DIGEST)}-${digestOf(full)}`;
}
