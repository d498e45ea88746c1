/**
 * The declaration of a pipeline: tables in order, what each may match and set, where packets may go from it, and what a miss
 * does. Table ids follow from the order. Every derived entry is checked against its table's declaration (`check.ts`), and the
 * pipeline reference is written from it (`describe.ts`).
 */
import type { PipelineField, RegisterField } from './fields.js';

/**
 * Stages in the order of the packet's way. In a security stage a miss drops; elsewhere it usually continues. Services and routes
 * come before tracking, so that policy judges the packet that will be delivered.
 */
export const STAGES = {
  classify: { security: true },
  anti_spoof: { security: true },
  arp_nd: { security: false },
  service: { security: false },
  route: { security: false },
  conntrack: { security: false },
  egress_policy: { security: true },
  ingress_policy: { security: true },
  qos: { security: false },
  forward: { security: false },
  output: { security: false },
} as const satisfies Record<string, { readonly security: boolean }>;

export type Stage = keyof typeof STAGES;

/** What is declared of a table. */
export interface TableSpec {
  readonly name: string;
  readonly stage: Stage;
  /** One sentence for the reference. */
  readonly description: string;
  /** Fields that entries may match; prerequisites have to be named too. */
  readonly match: readonly PipelineField[];
  /** Fields that entries may write (`set_field`, `reg_load`, `reg_move`, `learn`, `push_vlan`/`pop_vlan` for `vlan_vid`). */
  readonly set?: readonly PipelineField[];
  /**
   * Fields of `set` that tell whose entry it was and not what becomes of the packet: entries of equal priority that one packet can
   * match may differ in them.
   */
  readonly attribution?: readonly RegisterField[];
  /** Names of tables that entries may go to with `goto`; they come later in the order. */
  readonly goto?: readonly string[];
  /** Names of tables in which entries (or the buckets of groups they use) may look packets up again; any place in the order. */
  readonly resubmit?: readonly string[];
  /** `drop`, or `continue` in the table after this one; or in the table named. */
  readonly miss: 'drop' | 'continue' | { readonly continue: string };
}

/** A table of a pipeline. Compared by reference. */
export interface Table {
  readonly id: number;
  readonly name: string;
  readonly stage: Stage;
  readonly description: string;
  readonly match: readonly PipelineField[];
  readonly set: readonly PipelineField[];
  readonly attribution: readonly RegisterField[];
  readonly goto: readonly string[];
  readonly resubmit: readonly string[];
  /** Where a miss goes on; absent: it drops. */
  readonly next?: Table;
}

export interface Pipeline<Name extends string = string> {
  readonly tables: Readonly<Record<Name, Table>>;
  /** By id. */
  readonly order: readonly Table[];
}

/** Largest id of a table (OFPTT_MAX). */
const MAX_TABLE_ID = 0xfe;

/**
 * Declares a pipeline; ids are given from 0 in the order of `specs`.
 * @throws RangeError naming the table and what is wrong with its declaration.
 */
export function definePipeline<const T extends readonly TableSpec[]>(specs: T): Pipeline<T[number]['name']> {
  if (specs.length > MAX_TABLE_ID + 1)
    throw new RangeError(`a pipeline has at most ${MAX_TABLE_ID + 1} tables`);
  const ids = new Map<string, number>();
  for (const [id, { name }] of specs.entries()) {
    if (ids.has(name)) throw new RangeError(`table '${name}' is declared twice`);
    ids.set(name, id);
  }
  const tables: Record<string, Table> = {};
  const order: Table[] = [];
  // From the end, so that the table where a miss goes on is there already.
  for (let id = specs.length - 1; id >= 0; id--) {
    const spec = specs[id] as TableSpec;
    const next = missTarget(spec, id, specs, ids);
    checkTargets(spec, id, ids);
    checkStage(spec, specs[id - 1]);
    const table: Table = {
      id,
      name: spec.name,
      stage: spec.stage,
      description: spec.description,
      match: spec.match,
      set: spec.set ?? [],
      attribution: spec.attribution ?? [],
      goto: spec.goto ?? [],
      resubmit: spec.resubmit ?? [],
      ...(next === undefined ? {} : { next: order[next] as Table }),
    };
    tables[spec.name] = table;
    order[id] = table;
  }
  return { tables: tables as Record<T[number]['name'], Table>, order };
}

function missTarget(
  spec: TableSpec,
  id: number,
  specs: readonly TableSpec[],
  ids: ReadonlyMap<string, number>,
): number | undefined {
  if (spec.miss === 'drop') return undefined;
  if (STAGES[spec.stage].security) {
    throw new RangeError(
      `table '${spec.name}': a miss in the security stage '${spec.stage}' drops; set miss to 'drop'`,
    );
  }
  const target = spec.miss === 'continue' ? specs[id + 1]?.name : spec.miss.continue;
  const next = target === undefined ? undefined : ids.get(target);
  if (next === undefined || next <= id) {
    throw new RangeError(
      `table '${spec.name}': a miss cannot continue in '${target ?? ''}'; name a later table or drop`,
    );
  }
  return next;
}

function checkTargets(spec: TableSpec, id: number, ids: ReadonlyMap<string, number>): void {
  for (const name of spec.goto ?? []) {
    const target = ids.get(name);
    if (target === undefined)
      throw new RangeError(`table '${spec.name}': goto names '${name}', which is not declared`);
    if (target <= id) throw new RangeError(`table '${spec.name}': goto '${name}' goes back; use resubmit`);
  }
  for (const name of spec.resubmit ?? []) {
    if (!ids.has(name))
      throw new RangeError(`table '${spec.name}': resubmit names '${name}', which is not declared`);
  }
}

function checkStage(spec: TableSpec, previous: TableSpec | undefined): void {
  const stages = Object.keys(STAGES);
  if (previous !== undefined && stages.indexOf(previous.stage) > stages.indexOf(spec.stage)) {
    throw new RangeError(
      `table '${spec.name}' of stage '${spec.stage}' comes after '${previous.name}' of stage '${previous.stage}'; reorder them`,
    );
  }
}
