/**
 * The client's copy of the monitored tables, kept by the server's updates.
 *
 * Understands both kinds: `update` of RFC 7047 section 4.1.6 (whole rows) and `update2` of `monitor_cond` (differences, ovsdb-server(7)).
 */
import { OvsdbError } from './error.js';
import {
  applyDifference,
  decodeValue,
  defaultValue,
  type ColumnKinds,
  type ColumnKind,
  type Table,
} from './schema.js';

export type AnyRow = Readonly<Record<string, ColumnKinds[ColumnKind]>>;

export interface RowChange {
  readonly table: string;
  readonly uuid: string;
  readonly before: AnyRow | undefined;
  readonly after: AnyRow | undefined;
}

type WireRow = Record<string, unknown>;
type WireUpdates = Record<string, Record<string, Record<string, WireRow | null | undefined>>>;

export class Replica {
  private readonly rows = new Map<string, Map<string, AnyRow>>();

  constructor(private readonly tables: ReadonlyMap<string, Table>) {
    for (const name of tables.keys()) this.rows.set(name, new Map());
  }

  table(name: string): ReadonlyMap<string, AnyRow> {
    const rows = this.rows.get(name);
    if (rows === undefined) throw new OvsdbError('ovsdb.schema', `table ${name} is not monitored`);
    return rows;
  }

  /** Apply one `update` or `update2` body, all of it or (when it makes no sense) an `ovsdb.protocol` error. */
  apply(updates: unknown): RowChange[] {
    const changes: RowChange[] = [];
    for (const [tableName, rowUpdates] of Object.entries(updates as WireUpdates)) {
      const table = this.tables.get(tableName);
      if (table === undefined) throw new OvsdbError('ovsdb.protocol', `an update of table ${tableName}`);
      for (const [uuid, update] of Object.entries(rowUpdates)) {
        const before = this.table(tableName).get(uuid);
        changes.push({ table: tableName, uuid, before, after: rowAfter(table, before, update) });
      }
    }
    for (const { table, uuid, after } of changes) {
      if (after === undefined) this.rows.get(table)?.delete(uuid);
      else this.rows.get(table)?.set(uuid, after);
    }
    return changes;
  }
}

function rowAfter(
  table: Table,
  before: AnyRow | undefined,
  update: Record<string, WireRow | null | undefined>,
): AnyRow | undefined {
  // A deletion: update2 writes {"delete": null}, update writes "old" without "new".
  if ('delete' in update) return undefined;
  const whole = update['initial'] ?? update['insert'];
  if (whole !== undefined && whole !== null) return decodeRow(table, whole, undefined);
  if (update['modify'] !== undefined && update['modify'] !== null) {
    if (before === undefined)
      throw new OvsdbError('ovsdb.protocol', `a change of an unknown row of ${table.name}`);
    const after: Record<string, ColumnKinds[ColumnKind]> = { ...before };
    for (const [column, difference] of Object.entries(update['modify'])) {
      const kind = table.columns[column];
      if (kind !== undefined) after[column] = applyDifference(kind, before[column], difference);
    }
    return after;
  }
  if (update['new'] !== undefined && update['new'] !== null) return decodeRow(table, update['new'], before);
  if ('old' in update) return undefined;
  throw new OvsdbError('ovsdb.protocol', `an update of ${table.name} with members ${Object.keys(update)}`);
}

function decodeRow(table: Table, wire: WireRow, before: AnyRow | undefined): AnyRow {
  const row: Record<string, ColumnKinds[ColumnKind]> = {};
  for (const [column, kind] of Object.entries(table.columns)) {
    row[column] = column in wire ? decodeValue(kind, wire[column]) : (before?.[column] ?? defaultValue(kind));
  }
  return row;
}
