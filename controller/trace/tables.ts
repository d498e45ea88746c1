/** Tables of a switch from lists of its entries. */
import type { ExecutableSwitch } from './execute.js';
import type { ExecutableGroup } from './group-buckets.js';
import { type ExecutableFlow, FlowTable } from './flow-table.js';

/** A switch of which everything is known: a table without entries is an empty one. */
export class WholeSwitch<E extends ExecutableFlow> implements ExecutableSwitch<E> {
  readonly #tables = new Map<number, FlowTable<E>>();
  readonly #groups = new Map<number, ExecutableGroup>();

  /** @param table id of an entry's table */
  constructor(
    flows: Iterable<E>,
    table: (flow: E) => number,
    groups: Iterable<ExecutableGroup & { readonly id: number }>,
  ) {
    for (const flow of flows) {
      const id = table(flow);
      const entries = this.#tables.get(id);
      if (entries === undefined) this.#tables.set(id, new FlowTable([flow]));
      else entries.add(flow);
    }
    for (const group of groups) this.#groups.set(group.id, group);
  }

  table(id: number): FlowTable<E> {
    return this.#tables.get(id) ?? new FlowTable();
  }

  group(id: number): ExecutableGroup | undefined {
    return this.#groups.get(id);
  }
}
