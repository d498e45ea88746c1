/**
 * Scopes as a whole, encoded once for all switches that come up without them: a thousand switches that start with empty tables cost
 * one encoding of what they share.
 */
import type { Numbering, Transaction } from '../channel/index.js';
import type { WorkCounters } from './environment.js';
import { ModificationList } from './modifications.js';
import type { Scope, ScopeChanges, ScopeTables } from './scopes.js';
import { type EncodedPart, PartEncoder } from './turn-batch.js';

export class WholeScopes {
  #encoder: PartEncoder | undefined;
  readonly #parts = new Map<Scope, EncodedPart>();
  readonly #contested = new Map<Scope, boolean>();

  constructor(
    private readonly scopes: ScopeTables,
    private readonly numbering: Numbering,
    private readonly counters: WorkCounters,
  ) {}

  /** True for a scope that can be sent as it is: it is shared, and none of its entries is decided switch by switch. */
  shareable(scope: Scope): boolean {
    if (scope.own || scope.entries.size === 0) return false;
    let contested = this.#contested.get(scope);
    if (contested === undefined) {
      contested = [...scope.entries.keys()].some((key) => this.scopes.contested(key));
      this.#contested.set(scope, contested);
    }
    return !contested;
  }

  part(scope: Scope): EncodedPart {
    let part = this.#parts.get(scope);
    if (part === undefined) {
      const list = new ModificationList();
      for (const [key, after] of scope.entries) list.add({ key, before: undefined, after });
      part = this.encode(list);
      this.#parts.set(scope, part);
    }
    return part;
  }

  /** Encodes what a switch needs besides. */
  encode(list: ModificationList): EncodedPart {
    this.#encoder ??= new PartEncoder(this.numbering, this.counters);
    return this.#encoder.encode(list);
  }

  /** @param parts made here, since `release` was called the last time */
  transaction(parts: readonly EncodedPart[]): Transaction {
    this.#encoder ??= new PartEncoder(this.numbering, this.counters);
    return this.#encoder.transaction(parts);
  }

  /** Forgets what a settlement has changed. */
  changed({ entries }: ScopeChanges): void {
    if (entries.size === 0) return;
    for (const scope of entries.keys()) this.#parts.delete(scope);
    this.#contested.clear();
  }

  /** Forgets everything: no switch is coming up. */
  release(): void {
    this.#encoder = undefined;
    this.#parts.clear();
    this.#contested.clear();
  }
}
