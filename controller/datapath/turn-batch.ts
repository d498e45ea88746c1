/**
 * The messages of one turn, encoded once for each scope that changed, whatever the number of its subscribers.
 *
 * A part is what a switch is sent because of one scope: the scope's changes for a switch that had it and has it, all of it
 * for one that has just subscribed, its removal for one that has just left. Parts are made when the first switch asks. A part
 * with contested keys (see scopes.ts) is sent to nobody: switches that it concerns get an encoding of their own.
 */
import {
  type Chunk,
  type Modification,
  type Numbering,
  type Transaction,
  TurnEncoder,
} from '../channel/index.js';
import { encodedLength, type MeterMod } from '../../ofproto/index.js';
import { ModificationList, type Replacement } from './modifications.js';
import type { DatapathId } from '../model/facts.js';
import type { Scope, ScopeChanges, ScopedEntry } from './scopes.js';

/** Why a scope concerns a switch in a turn. */
export type PartKind = 'changed' | 'added' | 'removed';

/** What a switch is sent because of one scope. */
export interface PartOfTurn {
  readonly scope: Scope;
  readonly kind: PartKind;
}

/** Modifications in wire form, by when they are sent. */
export interface EncodedPart {
  /** Within its encoder. */
  readonly id: number;
  readonly list: ModificationList;
  readonly meters: readonly Chunk<MeterMod>[];
  readonly groupsFirst: readonly Chunk[];
  readonly flows: readonly Chunk[];
  readonly groupsLast: readonly Chunk[];
  readonly metersAfter: readonly Chunk<MeterMod>[];
  readonly bytes: number;
}

/** Encodes lists of modifications, all for one bundle id. */
export class PartEncoder {
  readonly #encoder: TurnEncoder;
  #parts = 0;

  constructor(
    numbering: Numbering,
    private readonly counters?: { encoded(part: EncodedPart): void },
  ) {
    this.#encoder = new TurnEncoder(numbering);
  }

  /** Entries of which no message can be made are set aside in the part's `list.unsendable`. */
  encode(list: ModificationList): EncodedPart {
    list.sort();
    try {
      return this.#encode(list);
    } catch {
      this.#encoder.chunk([]); // takes what was written before the one that failed
      return this.#encode(encodable(list));
    }
  }

  #encode(list: ModificationList): EncodedPart {
    const chunks = (mods: readonly Modification[]): Chunk[] => this.#encoder.chunks(mods);
    const meters = (mods: readonly MeterMod[]): Chunk<MeterMod>[] =>
      mods.length === 0 ? [] : [this.#encoder.meters(mods)];
    const part = {
      id: this.#parts++,
      list,
      meters: meters(list.meters),
      groupsFirst: chunks(list.groupsFirst),
      flows: chunks(list.flows),
      groupsLast: chunks(list.groupsLast),
      metersAfter: meters(list.metersAfter),
    };
    const bytes = chunksOf([part]).reduce((sum, chunk) => sum + chunk.bytes.length, 0);
    const encoded = { ...part, bytes };
    this.counters?.encoded(encoded);
    return encoded;
  }

  /** What one switch is sent: groups of all parts before flows of any, and so on. */
  transaction(parts: readonly EncodedPart[]): Transaction {
    return this.#encoder.transaction({
      meters: parts.flatMap((part) => part.meters),
      chunks: [
        ...parts.flatMap((part) => part.groupsFirst),
        ...parts.flatMap((part) => part.flows),
        ...parts.flatMap((part) => part.groupsLast),
      ],
      metersAfter: parts.flatMap((part) => part.metersAfter),
    });
  }
}

/** The list without the modifications that cannot be written, which is an error of the app that derived the entry. */
function encodable(list: ModificationList): ModificationList {
  const errors = new Map<ScopedEntry, string>();
  const rest = list.filter((mod) => {
    try {
      encodedLength(mod);
      return true;
    } catch (error) {
      const { desired } = mod.origin;
      if (desired !== undefined) errors.set(desired, String(error));
      return false;
    }
  });
  for (const [entry, error] of errors) rest.unsendable.push({ entry, error });
  return rest;
}

type Chunks = Pick<EncodedPart, 'meters' | 'groupsFirst' | 'flows' | 'groupsLast' | 'metersAfter'>;

function chunksOf(parts: readonly Chunks[]): { readonly bytes: Uint8Array }[] {
  return parts.flatMap((part) => [
    ...part.meters,
    ...part.groupsFirst,
    ...part.flows,
    ...part.groupsLast,
    ...part.metersAfter,
  ]);
}

export class TurnBatch {
  readonly #encoder: PartEncoder;
  readonly #transactions = new Map<string, Transaction>();
  readonly #parts: Record<PartKind, Map<Scope, EncodedPart>> = {
    changed: new Map(),
    added: new Map(),
    removed: new Map(),
  };
  readonly #contested: Record<PartKind, Map<Scope, boolean>> = {
    changed: new Map(),
    added: new Map(),
    removed: new Map(),
  };

  constructor(
    readonly changes: ScopeChanges,
    numbering: Numbering,
    counters?: { encoded(part: EncodedPart): void },
  ) {
    this.#encoder = new PartEncoder(numbering, counters);
  }

  /** What a switch is sent that these parts concern; made once for all of which that is true. */
  transaction(parts: readonly EncodedPart[]): Transaction {
    const id = parts.map((part) => part.id).join();
    let transaction = this.#transactions.get(id);
    if (transaction === undefined) {
      transaction = this.#encoder.transaction(parts);
      this.#transactions.set(id, transaction);
    }
    return transaction;
  }

  part(scope: Scope, kind: PartKind): EncodedPart {
    let part = this.#parts[kind].get(scope);
    if (part === undefined) {
      const list = new ModificationList();
      for (const replacement of this.replacements(scope, kind)) list.add(replacement);
      part = this.#encoder.encode(list);
      this.#parts[kind].set(scope, part);
    }
    return part;
  }

  /** True where the part has contested keys, so that a switch it concerns needs an encoding of its own. */
  contested(scope: Scope, kind: PartKind): boolean {
    let contested = this.#contested[kind].get(scope);
    if (contested === undefined) {
      contested = false;
      for (const { key } of this.replacements(scope, kind)) {
        if (!this.changes.contested(key)) continue;
        contested = true;
        break;
      }
      this.#contested[kind].set(scope, contested);
    }
    return contested;
  }

  /** What the turn replaces in a scope, for a switch that the scope concerns as `kind` says. */
  *replacements(scope: Scope, kind: PartKind): IterableIterator<Replacement> {
    const changes = this.changes.entries.get(scope);
    if (kind === 'changed') {
      for (const [key, { before, after }] of changes ?? []) yield { key, before: before?.entry, after };
    } else if (kind === 'added') {
      for (const [key, after] of scope.entries) yield { key, before: undefined, after };
    } else {
      for (const [key, { before }] of changes ?? []) {
        if (before !== undefined) yield { key, before: before.entry, after: undefined };
      }
      for (const [key, { entry }] of scope.entries) {
        if (changes?.has(key) !== true) yield { key, before: entry, after: undefined };
      }
    }
  }

  /** The parts of each switch whose desired table the turn changes. */
  partsByDatapath(): Map<DatapathId, PartOfTurn[]> {
    const { entries, subscriptions } = this.changes;
    const parts = new Map<DatapathId, PartOfTurn[]>();
    const add = (datapathId: DatapathId, part: PartOfTurn): void => {
      const known = parts.get(datapathId);
      if (known === undefined) parts.set(datapathId, [part]);
      else known.push(part);
    };
    for (const [datapathId, { added, removed }] of subscriptions) {
      for (const scope of removed) add(datapathId, { scope, kind: 'removed' });
      for (const scope of added) add(datapathId, { scope, kind: 'added' });
    }
    for (const scope of entries.keys()) {
      const changed: PartOfTurn = { scope, kind: 'changed' };
      for (const datapathId of scope.subscribers) {
        if (subscriptions.get(datapathId)?.added.has(scope) !== true) add(datapathId, changed);
      }
    }
    return parts;
  }

  /** True if the turn changes what is desired under a key in one of these parts. */
  touches(key: string, parts: readonly PartOfTurn[]): boolean {
    return parts.some(
      ({ scope, kind }) =>
        this.changes.entries.get(scope)?.has(key) === true || (kind === 'added' && scope.entries.has(key)),
    );
  }
}
