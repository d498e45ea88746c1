/**
 * Tables of hosts without OpenFlow: rows that apps ask for in scopes, and the hosts that carry the scopes. As flow entries, a row is
 * derived once however many hosts carry its scope; their agents get what changed by the hub.
 */
import type { TableRow } from '../model/facts.js';

/** A row by its key, unique in the controller. */
export interface KeyedRow {
  readonly key: string;
  readonly row: TableRow;
}

export class HostTables {
  /** By scope, then key. */
  readonly #rows = new Map<string, Map<string, TableRow>>();
  readonly #scopeOf = new Map<string, string>();
  /** By host: scopes, with the number of reasons to carry them. */
  readonly #carried = new Map<string, Map<string, number>>();
  readonly #carriers = new Map<string, Set<string>>();
  readonly #changed = new Map<string, Set<string>>();

  /** `row` absent: it is not asked for any more. */
  put(scope: string, name: string, row: TableRow | undefined): void {
    const key = rowKey(scope, name);
    const rows = this.#rows.get(scope) ?? new Map<string, TableRow>();
    if (row === undefined) {
      rows.delete(key);
      this.#scopeOf.delete(key);
    } else {
      rows.set(key, row);
      this.#scopeOf.set(key, scope);
    }
    if (rows.size === 0) this.#rows.delete(scope);
    else this.#rows.set(scope, rows);
    for (const host of this.#carriers.get(scope) ?? []) this.#note(host, key);
  }

  carry(host: string, scope: string, by: 1 | -1): void {
    const carried = this.#carried.get(host) ?? new Map<string, number>();
    const before = carried.get(scope) ?? 0;
    const count = before + by;
    if (count > 0) carried.set(scope, count);
    else carried.delete(scope);
    if (carried.size === 0) this.#carried.delete(host);
    else this.#carried.set(host, carried);
    if (before > 0 === count > 0) return;
    const carriers = this.#carriers.get(scope) ?? new Set<string>();
    if (count > 0) this.#carriers.set(scope, carriers.add(host));
    else if (carriers.delete(host) && carriers.size === 0) this.#carriers.delete(scope);
    for (const key of this.#rows.get(scope)?.keys() ?? []) this.#note(host, key);
  }

  /** All rows of a host. */
  *of(host: string): IterableIterator<KeyedRow> {
    for (const scope of this.#carried.get(host)?.keys() ?? []) {
      for (const [key, row] of this.#rows.get(scope) ?? []) yield { key, row };
    }
  }

  /** A row as a host has it now. */
  find(host: string, key: string): TableRow | undefined {
    const scope = this.#scopeOf.get(key);
    if (scope === undefined || this.#carried.get(host)?.has(scope) !== true) return undefined;
    return this.#rows.get(scope)?.get(key);
  }

  /** By host: keys of rows that came, changed or went since the last call. */
  takeChanges(): ReadonlyMap<string, ReadonlySet<string>> {
    const changed = new Map(this.#changed);
    this.#changed.clear();
    return changed;
  }

  #note(host: string, key: string): void {
    const keys = this.#changed.get(host) ?? new Set<string>();
    this.#changed.set(host, keys.add(key));
  }
}

/** Key of a row, from its scope and its name there. */
export function rowKey(scope: string, name: string): string {
  return `${scope} ${name}`;
}
