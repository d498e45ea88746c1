/**
 * Scope tables: which entries are in which scope, and which switch subscribes to which scopes.
 *
 * An entry of a scope exists once, whatever the number of subscribers; what there is per switch is its set of subscriptions.
 * The desired table of a switch is the union of its scopes.
 *
 * The same entry (table, priority and match; group or meter id)
 *  - asked for in one scope by two rules: the rule declared first holds, and it is a conflict;
 *  - in two scopes of one switch: the scope of the switch itself (`host`) holds over shared ones, which is how a
 *    host overrides; of shared scopes the one with the smaller name, `global` last. Such entries are *contested*: they are left
 *    out of what is encoded for a whole scope and decided switch by switch.
 */
import type { DatapathId } from '../model/facts.js';
import { canonicalFlow, canonicalGroup, canonicalMeter } from './canonical.js';
import { type DesiredEntry, type ScopeName, scopeKind } from './entry.js';

/** An entry of a scope: made once, shared by everybody who has it, compared by reference. */
export class ScopedEntry {
  #content: string | undefined;
  /** What another, later declared rule asked for under the same key. */
  next: ScopedEntry | undefined;
  /** Known once a message was made of the entry: no message can hold it. */
  tooLong: boolean | undefined;

  constructor(
    readonly key: string,
    readonly scope: Scope,
    readonly rule: Rule,
    readonly entry: DesiredEntry,
  ) {}

  /** Canonical text of everything but the key, for the comparison with what a switch holds. */
  get content(): string {
    this.#content ??= canonicalContent(this.entry);
    return this.#content;
  }
}

function canonicalContent(entry: DesiredEntry): string {
  switch (entry.kind) {
    case 'flow':
      return canonicalFlow(entry);
    case 'group':
      return canonicalGroup(entry);
    case 'meter':
      return canonicalMeter(entry);
  }
}

/** Who asks for entries: a rule of an app, with its place among all rules in the order of declaration. */
export interface Rule {
  readonly order: number;
  /** `<app>.<rule>`. */
  readonly name: string;
}

/** Two rules ask for different entries under one key of one scope. */
export interface EntryConflict {
  readonly scope: ScopeName;
  readonly key: string;
  /** `<app>.<rule>` whose entry holds. */
  readonly kept: string;
  readonly overruled: readonly string[];
}

export class Scope {
  readonly entries = new Map<string, ScopedEntry>();
  readonly subscribers = new Set<DatapathId>();
  /** True for a scope of one switch. */
  readonly own: boolean;
  /** Smaller holds over larger. */
  readonly precedence: string;

  constructor(readonly name: ScopeName) {
    const kind = scopeKind(name);
    this.own = kind === 'host';
    this.precedence = `${this.own ? 0 : kind === 'global' ? 2 : 1}${name}`;
  }
}

/** What changed of one key of a scope. */
export interface EntryChange {
  readonly before: ScopedEntry | undefined;
  readonly after: ScopedEntry | undefined;
}

export interface SubscriptionChange {
  readonly added: Set<Scope>;
  readonly removed: Set<Scope>;
}

/** Everything that changed in a settlement. */
export interface ScopeChanges {
  readonly entries: ReadonlyMap<Scope, ReadonlyMap<string, EntryChange>>;
  readonly subscriptions: ReadonlyMap<DatapathId, SubscriptionChange>;
  readonly conflicts: readonly EntryConflict[];
  /** True where more than one scope has, or in this settlement had, the key, so that its fate differs by switch. */
  contested(key: string): boolean;
}

export const NO_SCOPES: ReadonlySet<Scope> = new Set();

export class ScopeTables {
  readonly #scopes = new Map<ScopeName, Scope>();
  readonly #subscriptions = new Map<DatapathId, Set<Scope>>();
  /** By switch and scope, the number of rules that subscribe one to the other. */
  readonly #subscriptionCounts = new Map<string, number>();
  /** In how many shared scopes, and in how many scopes of single switches, a key is. */
  readonly #shared = new Map<string, number>();
  readonly #own = new Map<string, number>();
  readonly #conflicts = new Map<string, EntryConflict>();

  #before = new Map<Scope, Map<string, ScopedEntry | undefined>>();
  #subscriptionChanges = new Map<DatapathId, SubscriptionChange>();

  get scopes(): Iterable<Scope> {
    return this.#scopes.values();
  }

  get(name: ScopeName): Scope | undefined {
    return this.#scopes.get(name);
  }

  /** Scopes a switch subscribes to. */
  subscriptions(datapathId: DatapathId): ReadonlySet<Scope> {
    return this.#subscriptions.get(datapathId) ?? NO_SCOPES;
  }

  /** Switches that subscribe to anything. */
  get datapaths(): Iterable<DatapathId> {
    return this.#subscriptions.keys();
  }

  /** Conflicts that stand. */
  get conflicts(): Iterable<EntryConflict> {
    return this.#conflicts.values();
  }

  /** The entry a switch is to hold under a key. */
  effective(datapathId: DatapathId, key: string): ScopedEntry | undefined {
    let held: ScopedEntry | undefined;
    for (const scope of this.subscriptions(datapathId)) {
      const entry = scope.entries.get(key);
      if (entry === undefined) continue;
      if (held === undefined || scope.precedence < held.scope.precedence) held = entry;
    }
    return held;
  }

  /**
   * Every entry a switch is to hold, each key once; those of the scopes in `without` left out. Safe against changes while it is
   * being read.
   */
  *effectiveEntries(
    datapathId: DatapathId,
    without: ReadonlySet<Scope> = NO_SCOPES,
  ): IterableIterator<ScopedEntry> {
    for (const scope of this.subscriptions(datapathId)) {
      if (without.has(scope)) continue;
      for (const entry of scope.entries.values()) {
        if (!this.contested(entry.key) || this.effective(datapathId, entry.key) === entry) yield entry;
      }
    }
  }

  /** Notes that a rule asks for an entry (`entry` absent: no longer). */
  put(rule: Rule, scopeName: ScopeName, key: string, entry: DesiredEntry | undefined): void {
    const scope = this.scope(scopeName);
    const rest = without(scope.entries.get(key), rule);
    this.replace(
      scope,
      key,
      entry === undefined ? rest : insert(rest, new ScopedEntry(key, scope, rule, entry)),
    );
  }

  /** Holds this under a key of a scope (`held` absent: nothing), whatever rules ask for. */
  replace(scope: Scope, key: string, held: ScopedEntry | undefined): void {
    const before = scope.entries.get(key);
    this.#remember(scope, key, before);
    if (held === undefined) scope.entries.delete(key);
    else scope.entries.set(key, held);
    if ((before === undefined) !== (held === undefined)) this.#count(scope, key, held === undefined ? -1 : 1);
  }

  /** Notes that a rule subscribes a switch to a scope, or no longer does. */
  subscribe(datapathId: DatapathId, scopeName: ScopeName, by: 1 | -1): void {
    const id = `${datapathId} ${scopeName}`;
    const before = this.#subscriptionCounts.get(id) ?? 0;
    const after = before + by;
    if (after === 0) this.#subscriptionCounts.delete(id);
    else this.#subscriptionCounts.set(id, after);
    if (before > 0 !== after > 0) this.subscribed(datapathId, this.scope(scopeName), after > 0);
  }

  /** Subscribes a switch to a scope or ends that, whatever rules ask for. */
  subscribed(datapathId: DatapathId, scope: Scope, subscribed: boolean): void {
    if (scope.subscribers.has(datapathId) === subscribed) return;
    let change = this.#subscriptionChanges.get(datapathId);
    if (change === undefined) {
      change = { added: new Set(), removed: new Set() };
      this.#subscriptionChanges.set(datapathId, change);
    }
    const [to, from] = subscribed ? [change.added, change.removed] : [change.removed, change.added];
    if (!from.delete(scope)) to.add(scope);
    this.#setSubscription(datapathId, scope, subscribed);
  }

  /** True if some rule subscribes the switch to the scope. */
  asksFor(datapathId: DatapathId, scope: Scope): boolean {
    return this.#subscriptionCounts.has(`${datapathId} ${scope.name}`);
  }

  /** What `takeChanges` will say of entries. */
  *pending(): IterableIterator<EntryChange & { readonly scope: Scope; readonly key: string }> {
    for (const [scope, keys] of this.#before) {
      for (const [key, before] of keys) {
        const after = scope.entries.get(key);
        if (before !== after) yield { scope, key, before, after };
      }
    }
  }

  /** What was held under a key when the settlement began. */
  before(scope: Scope, key: string): ScopedEntry | undefined {
    const keys = this.#before.get(scope);
    return keys?.has(key) === true ? keys.get(key) : scope.entries.get(key);
  }

  /** Subscriptions of which `takeChanges` will say that they ended. */
  *pendingRemovals(): IterableIterator<readonly [DatapathId, Scope]> {
    for (const [datapathId, { removed }] of this.#subscriptionChanges) {
      for (const scope of removed) yield [datapathId, scope];
    }
  }

  /** The difference since the last call. */
  takeChanges(): ScopeChanges {
    const entries = new Map<Scope, Map<string, EntryChange>>();
    const conflicts: EntryConflict[] = [];
    /** Shared scopes that a key has left, and keys that left a scope of a single switch. */
    const leftShared = new Map<string, number>();
    const leftOwn = new Set<string>();
    for (const [scope, keys] of this.#before) {
      const changes = new Map<string, EntryChange>();
      for (const [key, before] of keys) {
        const after = scope.entries.get(key);
        this.#noteConflict(scope, key, after, conflicts);
        if (before === after) continue;
        changes.set(key, { before, after });
        if (after !== undefined) continue;
        if (scope.own) leftOwn.add(key);
        else leftShared.set(key, (leftShared.get(key) ?? 0) + 1);
      }
      if (changes.size > 0) entries.set(scope, changes);
    }
    const subscriptions = new Map(
      [...this.#subscriptionChanges].filter(([, { added, removed }]) => added.size > 0 || removed.size > 0),
    );
    this.#forgetUnusedScopes(subscriptions);
    this.#before = new Map();
    this.#subscriptionChanges = new Map();
    const contested = (key: string): boolean =>
      (this.#shared.get(key) ?? 0) +
        (leftShared.get(key) ?? 0) +
        (this.#own.has(key) || leftOwn.has(key) ? 1 : 0) >
      1;
    return { entries, subscriptions, conflicts, contested };
  }

  /** True where more than one scope has the key. */
  contested(key: string): boolean {
    return (this.#shared.get(key) ?? 0) + (this.#own.has(key) ? 1 : 0) > 1;
  }

  /** In how many scopes a key is. */
  holders(key: string): number {
    return (this.#shared.get(key) ?? 0) + (this.#own.get(key) ?? 0);
  }

  /** Made if need be; it is forgotten when it is empty and nobody subscribes to it. */
  scope(name: ScopeName): Scope {
    let scope = this.#scopes.get(name);
    if (scope === undefined) {
      scope = new Scope(name);
      this.#scopes.set(name, scope);
    }
    return scope;
  }

  /** Keeps what was there under a key when the settlement began. */
  #remember(scope: Scope, key: string, head: ScopedEntry | undefined): void {
    let keys = this.#before.get(scope);
    if (keys === undefined) {
      keys = new Map();
      this.#before.set(scope, keys);
    }
    if (!keys.has(key)) keys.set(key, head);
  }

  #count(scope: Scope, key: string, by: 1 | -1): void {
    const counts = scope.own ? this.#own : this.#shared;
    const count = (counts.get(key) ?? 0) + by;
    if (count === 0) counts.delete(key);
    else counts.set(key, count);
  }

  #setSubscription(datapathId: DatapathId, scope: Scope, subscribed: boolean): void {
    let scopes = this.#subscriptions.get(datapathId);
    if (subscribed) {
      if (scopes === undefined) {
        scopes = new Set();
        this.#subscriptions.set(datapathId, scopes);
      }
      scopes.add(scope);
      scope.subscribers.add(datapathId);
    } else {
      scopes?.delete(scope);
      if (scopes?.size === 0) this.#subscriptions.delete(datapathId);
      scope.subscribers.delete(datapathId);
    }
  }

  #noteConflict(scope: Scope, key: string, head: ScopedEntry | undefined, conflicts: EntryConflict[]): void {
    const id = `${scope.name} ${key}`;
    if (head?.next === undefined) {
      this.#conflicts.delete(id);
      return;
    }
    const overruled: string[] = [];
    for (let entry = head.next as ScopedEntry | undefined; entry !== undefined; entry = entry.next) {
      overruled.push(entry.rule.name);
    }
    const known = this.#conflicts.get(id);
    if (known?.kept === head.rule.name && known.overruled.join() === overruled.join()) return;
    const conflict = { scope: scope.name, key, kept: head.rule.name, overruled };
    this.#conflicts.set(id, conflict);
    conflicts.push(conflict);
  }

  #forgetUnusedScopes(subscriptions: ReadonlyMap<DatapathId, SubscriptionChange>): void {
    const forget = (scope: Scope): void => {
      if (scope.entries.size === 0 && scope.subscribers.size === 0) this.#scopes.delete(scope.name);
    };
    for (const scope of this.#before.keys()) forget(scope);
    for (const { removed } of subscriptions.values()) for (const scope of removed) forget(scope);
  }
}

/** A chain of entries without that of one rule. */
function without(head: ScopedEntry | undefined, rule: Rule): ScopedEntry | undefined {
  if (head?.rule === rule) return head.next;
  for (let entry = head; entry?.next !== undefined; entry = entry.next) {
    if (entry.next.rule === rule) {
      entry.next = entry.next.next;
      break;
    }
  }
  return head;
}

/** A chain with one more entry, rules in the order of declaration. */
function insert(head: ScopedEntry | undefined, added: ScopedEntry): ScopedEntry {
  if (head === undefined || added.rule.order < head.rule.order) {
    added.next = head;
    return added;
  }
  let entry = head;
  while (entry.next !== undefined && entry.next.rule.order < added.rule.order) entry = entry.next;
  added.next = entry.next;
  entry.next = added;
  return head;
}
