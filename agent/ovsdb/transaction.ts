/** Builders of the operations of a transaction (RFC 7047 section 5.2), typed by the table they work on. */
import { encodeRow, encodeValue, namedUuid, type Columns, type PartialRow, type Table } from './schema.js';

type Condition = readonly [column: string, comparison: '==' | '!=' | 'includes' | 'excludes', value: unknown];
type Mutation = readonly [column: string, mutator: 'insert' | 'delete' | '+=', value: unknown];

export type Operation =
  | { readonly op: 'insert'; readonly table: string; readonly row: object; readonly 'uuid-name'?: string }
  | {
      readonly op: 'update';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly row: object;
    }
  | {
      readonly op: 'mutate';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly mutations: readonly Mutation[];
    }
  | { readonly op: 'delete'; readonly table: string; readonly where: readonly Condition[] }
  | {
      readonly op: 'select';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly columns?: readonly string[];
    }
  | {
      readonly op: 'wait';
      readonly table: string;
      readonly where: readonly Condition[];
      readonly columns: readonly string[];
      readonly until: '==' | '!=';
      readonly rows: readonly object[];
      readonly timeout: number;
    }
  | { readonly op: 'comment'; readonly comment: string }
  | { readonly op: 'assert'; readonly lock: string };

const byUuid = (uuid: string): readonly Condition[] => [['_uuid', '==', ['uuid', uuid]]];

/** Insert a row; `name` makes it referable in the same transaction by {@link namedUuid}. */
export function insert<C extends Columns>(table: Table<C>, row: PartialRow<C>, name?: string): Operation {
  const operation = { op: 'insert', table: table.name, row: encodeRow(table, row) } as const;
  return name === undefined ? operation : { ...operation, 'uuid-name': namedUuid(name) };
}

export function update<C extends Columns>(table: Table<C>, uuid: string, row: PartialRow<C>): Operation {
  return { op: 'update', table: table.name, where: byUuid(uuid), row: encodeRow(table, row) };
}

/** Delete one row. Rows of most tables are collected by themselves once nothing refers to them: then take away the reference instead. */
export function remove(table: Table, uuid: string): Operation {
  return { op: 'delete', table: table.name, where: byUuid(uuid) };
}

/** Add rows to (or take them from) a set of references, whatever else is in it. */
export function mutateReferences<C extends Columns>(
  table: Table<C>,
  uuid: string,
  column: keyof C & string,
  mutator: 'insert' | 'delete',
  references: readonly string[],
): Operation {
  return {
    op: 'mutate',
    table: table.name,
    where: byUuid(uuid),
    mutations: [[column, mutator, encodeValue('uuids', references)]],
  };
}

/** Set keys of a map column, leaving its other keys alone. A mutation cannot replace, so the keys are deleted first. */
export function setKeys<C extends Columns>(
  table: Table<C>,
  uuid: string,
  column: keyof C & string,
  pairs: Readonly<Record<string, string>>,
): Operation {
  return {
    op: 'mutate',
    table: table.name,
    where: byUuid(uuid),
    mutations: [
      [column, 'delete', ['set', Object.keys(pairs)]],
      [column, 'insert', ['map', Object.entries(pairs)]],
    ],
  };
}

export function increment(table: Table, column: string): Operation {
  return { op: 'mutate', table: table.name, where: [], mutations: [[column, '+=', 1]] };
}

/** Fail the transaction at once unless the row still has these values: optimistic concurrency. */
export function expectRow<C extends Columns>(table: Table<C>, uuid: string, row: PartialRow<C>): Operation {
  return {
    op: 'wait',
    table: table.name,
    where: byUuid(uuid),
    columns: Object.keys(row),
    until: '==',
    rows: [encodeRow(table, row)],
    timeout: 0,
  };
}

/** A line in the database's log (`ovsdb-tool show-log`) that says who did it. */
export const comment = (text: string): Operation => ({ op: 'comment', comment: text });
