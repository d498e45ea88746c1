/**
 * Changes that several switches have to make together, in two steps.
 *
 * On one switch a change is one bundle, and takes effect in one instant. Two switches do not change in one instant; where the one judges
 * what a connection's source may send and the other what its destination admits, a change that takes a denial away here and brings
 * one there lets packets pass in between, if this one is the faster. So, where both sides of the judgement change:
 *
 *     before ──► both: judged as before, and once more as after ──► after
 *
 * In the first step each changed entry of a judging table is replaced by two *versions*: the entry as it was, for packets of generation 0,
 * and as it will be, for those of generation 1; entries that did not change are for both. One entry more sends packets that were let pass
 * as before back, with generation 1. The second step follows when every switch concerned has acknowledged the first and had time
 * to go through the flows that its datapath has cached: the entries as they will be, without a generation.
 *
 * Why it is right. A switch is before (o), in between (b) or after (n), and no switch is in n while another is in o. What b lets pass,
 * both o and n would. So what passes through some o and some b, o would let pass everywhere; what passes through some b and some n, n
 * would. And what both o and n let pass everywhere, b does. More changes that come meanwhile become part of what will be.
 *
 * What is held in between stands in the scopes, like everything that is desired: switches that connect, audits and refusals know nothing of it.
 * Only while facts are settled the scopes have what will be, so rules never see versions (`suspend`, `resume`).
 */
import type { DatapathId } from '../model/facts.js';
import type { CompiledEntry } from './compile.js';
import { flowKey } from './canonical.js';
import type { DesiredFlow, FlowSpec } from './entry.js';
import { normalMatch } from './match.js';
import type { TransitionDeclaration } from './pipeline.js';
import { type Rule, type Scope, ScopedEntry, type ScopeTables } from './scopes.js';

/** Holds the one entry more, on the switches where there are versions. */
export const TRANSITION_SCOPE = 'datapath:transition';

const HIGHEST_PRIORITY = 0xffff;

/** Sends packets that were let pass as before back, to be judged as after the change. */
export function judgedAgain({ again, generation, except, reset, first }: TransitionDeclaration): FlowSpec {
  return {
    table: again,
    priority: HIGHEST_PRIORITY,
    match: [generation.match(BEFORE), except.match(0)],
    apply: [
      ...reset.map((field) => field.set(0)),
      generation.set(AFTER),
      { type: 'resubmit', table: first.id },
    ],
  };
}

const BEFORE = 0;
const AFTER = 1;

/** An entry of a judging table that changes. */
interface Versions {
  readonly before: ScopedEntry | undefined;
  /** What will be held under the key, without a generation. */
  final: ScopedEntry | undefined;
  after: ScopedEntry | undefined;
}

export class Transition {
  readonly #versions = new Map<Scope, Map<string, Versions>>();
  /** Groups and meters that will go: entries as they were may use them. */
  readonly #kept = new Map<ScopedEntry, Scope>();
  readonly #keptSubscriptions = new Map<DatapathId, Set<Scope>>();

  constructor(
    private readonly scopes: ScopeTables,
    private readonly declaration: TransitionDeclaration,
    rule: Rule,
    again: CompiledEntry,
  ) {
    const scope = scopes.scope(TRANSITION_SCOPE);
    scopes.replace(scope, again.key, new ScopedEntry(again.key, scope, rule, again.entry));
  }

  /** Gives the scopes what rules know of, for the time of a settlement. */
  suspend(): void {
    for (const [scope, keys] of this.#versions) {
      for (const [key, { final }] of keys) this.scopes.replace(scope, key, final);
    }
    for (const [entry, scope] of this.#kept) this.#drop(scope, entry);
  }

  /** Takes it back. `extend`: what the settlement has changed is part of the transition. */
  resume(extend: boolean): void {
    if (extend) this.#extend();
    for (const [scope, keys] of this.#versions) {
      for (const [key, versions] of keys) this.#version(scope, key, versions);
    }
    for (const [entry, scope] of this.#kept) {
      if (!scope.entries.has(entry.key)) this.scopes.replace(scope, entry.key, entry);
    }
    this.#subscribe();
  }

  /** Puts what will be in its place; the transition is over. */
  finish(): void {
    const { scopes } = this;
    this.suspend();
    for (const [scope, keys] of this.#versions) {
      for (const { before, after } of keys.values()) {
        for (const version of [before, after]) if (version !== undefined) this.#drop(scope, version);
      }
    }
    for (const [datapathId, kept] of this.#keptSubscriptions) {
      for (const scope of kept) {
        if (!scopes.asksFor(datapathId, scope)) scopes.subscribed(datapathId, scope, false);
      }
    }
    const own = scopes.scope(TRANSITION_SCOPE);
    for (const datapathId of own.subscribers) scopes.subscribed(datapathId, own, false);
    for (const key of own.entries.keys()) scopes.replace(own, key, undefined);
  }

  #extend(): void {
    const { scopes, declaration } = this;
    const [changes, removals] = [[...scopes.pending()], [...scopes.pendingRemovals()]];
    for (const { scope, key, before, after } of changes) {
      if (scope.name === TRANSITION_SCOPE || this.#versions.get(scope)?.has(key) === true) continue;
      const entry = (after ?? before)?.entry;
      if (entry?.kind !== 'flow') {
        if (before !== undefined && after === undefined) this.#kept.set(before, scope);
      } else if (declaration.judging.has(entry.table)) this.#begin(scope, key, before);
    }
    for (const [datapathId, scope] of removals) {
      const kept = this.#keptSubscriptions.get(datapathId) ?? new Set();
      this.#keptSubscriptions.set(datapathId, kept.add(scope));
      scopes.subscribed(datapathId, scope, true);
    }
  }

  /** Begins to hold versions; where several scopes have the key, in all of them, so that each hides what it hid. */
  #begin(scope: Scope, key: string, before: ScopedEntry | undefined): void {
    const { scopes } = this;
    const others = scopes.holders(key) - (scope.entries.has(key) ? 1 : 0);
    const keys = this.#versions.get(scope) ?? new Map<string, Versions>();
    this.#versions.set(scope, keys);
    const version = before && this.#versionOf(before, BEFORE);
    keys.set(key, { before: version, final: scope.entries.get(key), after: undefined });
    if (version !== undefined) scopes.replace(scope, version.key, version);
    if (others === 0) return;
    for (const other of scopes.scopes) {
      const held = other.entries.get(key);
      if (held === undefined || this.#versions.get(other)?.has(key) === true) continue;
      this.#begin(other, key, scopes.before(other, key));
    }
  }

  #version(scope: Scope, key: string, versions: Versions): void {
    const { scopes } = this;
    const final = scope.entries.get(key);
    if (final !== versions.final || (final !== undefined && versions.after === undefined)) {
      versions.final = final;
      if (versions.after !== undefined) this.#drop(scope, versions.after);
      versions.after = final && this.#versionOf(final, AFTER);
      if (versions.after !== undefined) scopes.replace(scope, versions.after.key, versions.after);
    }
    scopes.replace(scope, key, undefined);
  }

  /** Switches that have versions get the entry that sends packets back, and others not. */
  #subscribe(): void {
    const own = this.scopes.scope(TRANSITION_SCOPE);
    const concerned = new Set([...this.#versions.keys()].flatMap((scope) => [...scope.subscribers]));
    for (const datapathId of own.subscribers) {
      if (!concerned.has(datapathId)) this.scopes.subscribed(datapathId, own, false);
    }
    for (const datapathId of concerned) this.scopes.subscribed(datapathId, own, true);
  }

  /** Takes an entry out of a scope, if it is there still. */
  #drop(scope: Scope, entry: ScopedEntry): void {
    if (scope.entries.get(entry.key) === entry) this.scopes.replace(scope, entry.key, undefined);
  }

  #versionOf({ scope, rule, entry }: ScopedEntry, value: typeof BEFORE | typeof AFTER): ScopedEntry {
    const flow = entry as DesiredFlow;
    const match = normalMatch([...flow.match, this.declaration.generation.match(value)]);
    return new ScopedEntry(flowKey(flow.table, flow.priority, match), scope, rule, { ...flow, match });
  }
}
