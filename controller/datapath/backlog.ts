/** The keys under which a switch may not hold what it is to hold, and what it takes to bring them into line. */
import type { DatapathId } from '../model/facts.js';
import { groupKey, meterKey } from './canonical.js';
import type { DesiredEntry } from './entry.js';
import type { HeldIds } from './held.js';
import { identityOf, ModificationList } from './modifications.js';
import type { Refusals } from './refusals.js';
import type { Scope, ScopedEntry, ScopeTables } from './scopes.js';
import { referencesOf } from './verify.js';

/** An entry that cannot hold because what it uses was refused. */
export interface BlockedEntry {
  readonly entry: ScopedEntry;
  /** `group 7` or `meter 3`. */
  readonly missing: string;
}

export class Backlog {
  /** Each with what the switch may hold under it, as far as deleting that needs. */
  readonly #keys = new Map<string, DesiredEntry | undefined>();

  constructor(
    private readonly datapathId: DatapathId,
    private readonly scopes: ScopeTables,
    private readonly held: HeldIds,
    private readonly refusals: Refusals,
  ) {}

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** @param identity what the switch may hold under the key, if anything is known of it */
  note(key: string, identity?: DesiredEntry): void {
    this.#keys.set(key, identity ?? this.#keys.get(key));
  }

  /** Notes everything that a list was to change. */
  noteAll(list: ModificationList): void {
    for (const mod of list.all()) this.note(mod.origin.key, identityOf(mod));
  }

  /** Notes everything that was refused, to be tried once more. */
  noteRefused(): void {
    this.refusals.retryAll();
    for (const [key, deletion] of this.refusals.keys()) this.note(key, deletion);
  }

  clear(): void {
    this.#keys.clear();
  }

  /**
   * What the keys need by what is desired now. Those of entries in scopes that are sent `whole` need nothing, those that were
   * refused as they are stay refused.
   */
  take(whole: ReadonlySet<Scope>): {
    readonly list: ModificationList;
    readonly blocked: readonly BlockedEntry[];
  } {
    const list = new ModificationList();
    const blocked: BlockedEntry[] = [];
    for (const [key, identity] of this.#keys) {
      const after = this.scopes.effective(this.datapathId, key);
      if (this.refusals.stands(key, after)) continue;
      const before = this.held.has(key) ? (identity ?? after?.entry) : undefined;
      if (after === undefined) {
        // Refused, a deletion stands until it holds.
        if (before === undefined || !this.refusals.isDeletion(key)) this.refusals.delete(key);
        list.add({ key, before, after });
      } else if (!whole.has(after.scope)) {
        const missing = this.#refusedReference(after);
        if (missing === undefined) list.add({ key, before, after });
        else blocked.push({ entry: after, missing });
      }
    }
    this.#keys.clear();
    return { list, blocked };
  }

  /** True if the entry uses a group or meter that the switch lacks, that is to be sent, and that these parts did not bring. */
  awaits({ entry }: ScopedEntry, parts: readonly { readonly list: ModificationList }[]): boolean {
    const { groups, meters } = referencesOf(entry);
    const isAwaited = (key: string): boolean => this.#keys.has(key) && !this.held.has(key);
    const brings = (kind: 'groupIds' | 'meterIds', id: number): boolean =>
      parts.some(({ list }) => list[kind].added.includes(id));
    return (
      [...groups].some((id) => isAwaited(groupKey(id)) && !brings('groupIds', id)) ||
      [...meters].some((id) => isAwaited(meterKey(id)) && !brings('meterIds', id))
    );
  }

  /** A group or meter that the entry uses and that the switch does not hold because it was refused. */
  #refusedReference({ entry }: ScopedEntry): string | undefined {
    if (this.refusals.size === 0) return undefined;
    const isRefused = (key: string): boolean =>
      !this.held.has(key) && this.refusals.stands(key, this.scopes.effective(this.datapathId, key));
    const { groups, meters } = referencesOf(entry);
    for (const id of groups) if (isRefused(groupKey(id))) return `group ${id}`;
    for (const id of meters) if (isRefused(meterKey(id))) return `meter ${id}`;
    return undefined;
  }
}
