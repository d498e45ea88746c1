/**
 * Typed tables: which columns the agent reads and writes, and how their values look in JavaScript.
 *
 * OVSDB writes every value as an atom, `["set", […]]` or `["map", […]]`, and a set of exactly one element as the bare atom (RFC 7047
 * section 5.1). Which of these a column may be is in its declared kind here, so that rows have plain types.
 */
import { OvsdbError } from './error.js';

/** JavaScript value of each kind of column. UUIDs are strings; `?` is a set of at most one. */
export interface ColumnKinds {
  string: string;
  integer: number;
  boolean: boolean;
  uuid: string;
  'string?': string | undefined;
  'integer?': number | undefined;
  'boolean?': boolean | undefined;
  strings: readonly string[];
  uuids: readonly string[];
  map: ReadonlyMap<string, string>;
  /** A map from integers to UUIDs. */
  numberedUuids: ReadonlyMap<number, string>;
}
export type ColumnKind = keyof ColumnKinds;
export type Columns = Readonly<Record<string, ColumnKind>>;

export interface Table<C extends Columns = Columns> {
  readonly name: string;
  readonly columns: C;
}

export type Row<C extends Columns> = { readonly [K in keyof C]: ColumnKinds[C[K]] };
export type PartialRow<C extends Columns> = { readonly [K in keyof C]?: ColumnKinds[C[K]] };
export type RowOf<T> = T extends Table<infer C> ? Row<C> : never;

export function defineTable<const C extends Columns>(name: string, columns: C): Table<C> {
  return { name, columns };
}

type Json = unknown;

/**
 * Reference to the row that an `insert` with this `uuid-name` makes in the same transaction. It can be a value, never part of a `where`.
 */
const NAMED = 'weft_row_';
export const namedUuid = (name: string): string => `${NAMED}${name.replaceAll(/[^A-Za-z0-9_]/g, '_')}`;

function encodeUuid(value: string): Json {
  return value.startsWith(NAMED) ? ['named-uuid', value] : ['uuid', value];
}

/** One value as it goes on the wire. */
export function encodeValue(kind: ColumnKind, value: ColumnKinds[ColumnKind]): Json {
  if (value === undefined) return ['set', []];
  switch (kind) {
    case 'uuid':
      return encodeUuid(value as string);
    case 'strings':
      return ['set', [...(value as readonly string[])]];
    case 'uuids':
      return ['set', (value as readonly string[]).map(encodeUuid)];
    case 'map':
      return ['map', [...(value as ReadonlyMap<string, string>)]];
    case 'numberedUuids':
      return [
        'map',
        [...(value as ReadonlyMap<number, string>)].map(([key, uuid]) => [key, encodeUuid(uuid)]),
      ];
    default:
      return value;
  }
}

/** The columns given, as they go on the wire. */
export function encodeRow<C extends Columns>(table: Table<C>, row: PartialRow<C>): Record<string, Json> {
  const encoded: Record<string, Json> = {};
  for (const [column, value] of Object.entries(row)) {
    const kind = table.columns[column];
    if (kind === undefined)
      throw new OvsdbError('ovsdb.schema', `${table.name} has no column ${column} here`);
    encoded[column] = encodeValue(kind, value as ColumnKinds[ColumnKind]);
  }
  return encoded;
}

function isTagged(value: Json, tag: string): value is [string, Json] {
  return Array.isArray(value) && value.length === 2 && value[0] === tag;
}

function decodeAtom(value: Json): string | number | boolean {
  if (isTagged(value, 'uuid')) return String(value[1]);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  throw new OvsdbError('ovsdb.protocol', `no atom: ${JSON.stringify(value)}`);
}

function decodeSet(value: Json): (string | number | boolean)[] {
  return isTagged(value, 'set') ? (value[1] as Json[]).map(decodeAtom) : [decodeAtom(value)];
}

function decodePairs(value: Json): [string, string][] {
  if (!isTagged(value, 'map')) {
    throw new OvsdbError('ovsdb.protocol', `no map: ${JSON.stringify(value)}`);
  }
  return (value[1] as [Json, Json][]).map(([key, item]) => [
    String(decodeAtom(key)),
    String(decodeAtom(item)),
  ]);
}

/** One value as it came. */
export function decodeValue(kind: ColumnKind, value: Json): ColumnKinds[ColumnKind] {
  switch (kind) {
    case 'map':
      return new Map(decodePairs(value));
    case 'numberedUuids':
      return new Map(decodePairs(value).map(([key, uuid]) => [Number(key), uuid]));
    case 'strings':
    case 'uuids':
      return decodeSet(value).map(String);
    case 'string?':
    case 'integer?':
    case 'boolean?':
      return decodeSet(value)[0];
    default:
      return decodeAtom(value);
  }
}

/** What a column holds when the server leaves it out of an `insert` (update2 omits defaults). */
export function defaultValue(kind: ColumnKind): ColumnKinds[ColumnKind] {
  switch (kind) {
    case 'map':
    case 'numberedUuids':
      return new Map();
    case 'strings':
    case 'uuids':
      return [];
    case 'string':
      return '';
    case 'uuid':
      return '00000000-0000-0000-0000-000000000000';
    case 'integer':
      return 0;
    case 'boolean':
      return false;
    default:
      return undefined;
  }
}

/**
 * A value after an update2 `modify`, which carries differences (ovsdb-server(7) section 4.1.14): of a set the elements that
 * come or go, of a map the pairs that come, go (same value) or change; a scalar and a set of at most one are given anew.
 */
export function applyDifference(
  kind: ColumnKind,
  old: ColumnKinds[ColumnKind],
  difference: Json,
): ColumnKinds[ColumnKind] {
  if (kind === 'map') {
    const map = new Map(old as ReadonlyMap<string, string>);
    for (const [key, value] of decodePairs(difference)) {
      if (map.get(key) === value) map.delete(key);
      else map.set(key, value);
    }
    return map;
  }
  if (kind === 'numberedUuids') {
    const map = new Map(old as ReadonlyMap<number, string>);
    for (const [key, uuid] of decodePairs(difference)) {
      if (map.get(Number(key)) === uuid) map.delete(Number(key));
      else map.set(Number(key), uuid);
    }
    return map;
  }
  if (kind === 'strings' || kind === 'uuids') {
    const set = new Set(old as readonly string[]);
    for (const element of decodeSet(difference).map(String)) {
      if (!set.delete(element)) set.add(element);
    }
    return [...set];
  }
  return decodeValue(kind, difference);
}
