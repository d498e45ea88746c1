/** Queues on the uplinks of hosts: what apps ask for and agents make, since OpenFlow has no message for it. */
import type { QueueSpec } from './entry.js';

/** The queues that are asked for, by name of host. */
export class QueueTable {
  readonly #queues = new Map<string, Map<number, QueueSpec>>();
  readonly #changed = new Set<string>();

  /** `spec` absent: the queue is not asked for any more. */
  put(host: string, queue: number, spec: QueueSpec | undefined): void {
    const queues = this.#queues.get(host) ?? new Map<number, QueueSpec>();
    if (spec === undefined) queues.delete(queue);
    else queues.set(queue, spec);
    if (queues.size === 0) this.#queues.delete(host);
    else this.#queues.set(host, queues);
    this.#changed.add(host);
  }

  /** By number of queue, ascending. */
  of(host: string): readonly QueueSpec[] {
    return [...(this.#queues.get(host)?.values() ?? [])].sort((a, b) => a.queue - b.queue);
  }

  /** Hosts whose queues changed since the last call. */
  takeChanges(): readonly string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }
}
