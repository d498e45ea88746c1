/** The table of a host without OpenFlow, as the controller has told it: rows by key, and what drivers ask of them. */
import type { HostTable, ParamsOf, ResultOf, TableRow } from '../../rpc/index.js';

export type TableChange = ParamsOf<typeof HostTable>;
export type Refusal = ResultOf<typeof HostTable>['refused'][number];

type RowOf<Kind extends TableRow['kind']> = Extract<TableRow, { kind: Kind }>;

export type NetworkRow = RowOf<'network'>;
export type EndpointRow = RowOf<'endpoint'>;
export type PeerRow = RowOf<'peer'>;
export type JudgedRow = RowOf<'judged'>;
export type SubjectRow = RowOf<'subject'>;
export type MemberRow = RowOf<'member'>;

export class HostTableCopy {
  #rows = new Map<string, TableRow>();
  /** Of a whole table that has not come completely. */
  #coming: Map<string, TableRow> | undefined;
  #complete = false;

  /** False until a whole table has come: nothing may be concluded from what is not there. */
  get complete(): boolean {
    return this.#complete;
  }

  /** True when what has come counts now. */
  take({ whole, more, put, remove }: TableChange): boolean {
    // Parts of a change count together.
    if (whole) this.#coming = new Map();
    else this.#coming ??= new Map(this.#rows);
    for (const key of remove) this.#coming.delete(key);
    for (const { key, row } of put) this.#coming.set(key, row);
    if (more) return false;
    this.#rows = this.#coming;
    this.#coming = undefined;
    this.#complete = true;
    return true;
  }

  *of<Kind extends TableRow['kind']>(kind: Kind): IterableIterator<readonly [string, RowOf<Kind>]> {
    for (const [key, row] of this.#rows) if (row.kind === kind) yield [key, row as RowOf<Kind>];
  }
}
