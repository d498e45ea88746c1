/** What the endpoint of a container's interface is called. The Kubernetes watcher of the controller calls pods the same. */
import { createHash } from 'node:crypto';

const LONGEST = 253;
const HASH_DIGITS = 16;
const SHORT_ID = 12;

/** `<namespace>.<pod>`; longer than 253: its first 236 characters, a dash and 16 hexadecimal digits of its SHA-256. */
export function podEndpointName(namespace: string, pod: string): string {
  const name = `${namespace}.${pod}`;
  if (name.length <= LONGEST) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS);
  return `${name.slice(0, LONGEST - HASH_DIGITS - 1)}-${hash}`;
}

/** `<first 12 characters of the container's id>-<interface>`. */
export function containerEndpointName(containerId: string, interfaceName: string): string {
  return `${containerId.slice(0, SHORT_ID)}-${interfaceName}`;
}
