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
import type { MeterMod } from '../../ofproto/index.js';
import type { DesiredEntry } from './entry.js';
import { type EntryMod, ModificationList, type Replacement } from './modifications.js';
import type { Scope, ScopeChanges } from './scopes.js';

/** Why a scope concerns a switch in a turn. */
export type PartKind = 'changed' | 'added' | 'removed';

/** Modifications in wire form, by when they are sent. */
export interface EncodedPart {
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

  constructor(numbering: Numbering) {
    this.#encoder = new TurnEncoder(numbering);
  }

  get encodedMessages(): number {
    return this.#encoder.encodedMessages;
  }

  get encodedBytes(): number {
    return this.#encoder.encodedBytes;
  }

  encode(list: ModificationList): EncodedPart {
    list.sort();
    const chunks = (mods: readonly Modification[]): Chunk[] => this.#encoder.chunks(mods);
    const meters = (mods: readonly MeterMod[]): Chunk<MeterMod>[] =>
      mods.length === 0 ? [] : [this.#encoder.meters(mods)];
    const part = {
      list,
      meters: meters(list.meters),
      groupsFirst: chunks(list.groupsFirst),
      flows: chunks(list.flows),
      groupsLast: chunks(list.groupsLast),
      metersAfter: meters(list.metersAfter),
    };
    return { ...part, bytes: chunksOf([part]).reduce((sum, chunk) => sum + chunk.bytes.length, 0) };
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
  readonly encoder: PartEncoder;
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
  ) {
    this.encoder = new PartEncoder(numbering);
  }

  part(scope: Scope, kind: PartKind): EncodedPart {
    let part = this.#parts[kind].get(scope);
    if (part === undefined) {
      const list = new ModificationList();
      for (const replacement of this.replacements(scope, kind)) list.add(replacement);
      part = this.encoder.encode(list);
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

  /** True if the turn changes what is desired under a key in one of these scopes. */
  touches(key: string, scopes: Iterable<Scope>): boolean {
    for (const scope of scopes) if (this.changes.entries.get(scope)?.has(key) === true) return true;
    return false;
  }
}

/** What an entry that is to go is known by. */
export function identityOf(mod: EntryMod): DesiredEntry | undefined {
  if (mod.type !== 'flow_mod') return undefined;
  const { tableId: table, priority, match, instructions, cookie } = mod;
  return { kind: 'flow', table, priority, match, instructions, cookie };
}
