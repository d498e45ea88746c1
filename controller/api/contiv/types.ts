/** contiv's objects as its REST API has them, and what a kind of object here says of itself. */
import type { TSchema } from 'typebox';
import type { ObjectRef } from '../../model/types.js';
import type { IntentObject } from '../../model/intents.js';
import type { Snapshot } from './snapshot.js';

/** Of contiv's objects what is empty is left out, as its Go structs do (`omitempty`). */
export type Members = Readonly<Record<string, unknown>>;

export interface Link {
  readonly type: string;
  readonly key: string;
}
/** By key. */
export type LinkSet = Readonly<Record<string, Link>>;

/** The parts of a key: `tenant:network`, `tenant:policy:rule`. */
export type Key = readonly string[];

export interface ContivKind {
  /** In the path: `networks`. */
  readonly collection: string;
  /** As errors and links name it: `network`. */
  readonly word: string;
  /** Members that its key is made of. */
  readonly keyMembers: readonly string[];
  /** Of the body of POST and PUT. */
  readonly schema: TSchema;
  /** Those that there are, ordered by key. */
  list(snapshot: Snapshot): readonly Members[];
  /** Undefined when there is none. */
  get(snapshot: Snapshot, key: Key): Members | undefined;
  /** What POST means: intents to apply, none when everything is so already. Throws a `Refusal`. */
  intents(snapshot: Snapshot, body: Members): readonly IntentObject[];
  /** What DELETE deletes. Throws a `Refusal`. */
  refs(key: Key): readonly ObjectRef[];
  /** What `inspect` tells besides; contiv has none for some kinds. */
  operational?(snapshot: Snapshot, key: Key): Members;
}
