/**
 * The declaration of a pipeline: tables in order, what each may match and set, where packets may go from it, and what a miss
 * does. Table ids follow from the order. Every derived entry is checked against its table's declaration (`check.ts`), and the
 * pipeline reference is written from it (`describe.ts`).
 */
import { isRegisterField, type PipelineField, type RegisterField } from './fields.js';

/** Names of sides on which packets are judged, by different switches: `egress`, `ingress`. */
export type Side = string;

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

/**
 * How a change that several switches have to make together is made in two steps (`transition.ts`). In between, packets that come to
 * `again` for the first time are judged once more from `first`, by the entries of the other generation.
 */
export interface TransitionSpec {
  /** One bit, 0 when a packet comes in. In a transition the judging tables match it, without declaring so. */
  readonly generation: RegisterField;
  /** The judging tables: from this one, by which packets enter, to that one. What they set they have to find at 0. */
  readonly first: string;
  readonly last: string;
  /** The table where packets that were let pass come together. */
  readonly again: string;
  /** One bit of packets that come to `again` another way than through `first`: they are not judged once more. */
  readonly except: RegisterField;
}

/** A `TransitionSpec` with its tables. */
export interface TransitionDeclaration extends Pick<TransitionSpec, 'generation' | 'except'> {
  /** Ids of the judging tables. */
  readonly judging: ReadonlySet<number>;
  readonly first: Table;
  readonly again: Table;
  /** What the judging tables set. */
  readonly reset: readonly RegisterField[];
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
  /** Absent: every change is made in one step. */
  readonly transition?: TransitionDeclaration;
}

/** Largest id of a table (OFPTT_MAX). */
const MAX_TABLE_ID = 0xfe;

/**
 * Declares a pipeline; ids are given from 0 in the order of `specs`.
 * @throws RangeError naming the table and what is wrong with its declaration.
 */
export function definePipeline<const T extends readonly TableSpec[]>(specs: T): Pipeline<T[number]['name']> {
  return pipelineOf(specs, undefined);
}

/** The same, of a pipeline in which changes can be made in two steps. */
export function definePipelineWithTransition<const T extends readonly TableSpec[]>(
  transition: TransitionSpec,
  specs: T,
): Pipeline<T[number]['name']> {
  return pipelineOf(specs, transition);
}

function pipelineOf<T extends readonly TableSpec[]>(
  specs: T,
  spec: TransitionSpec | undefined,
): Pipeline<T[number]['name']> {
  if (specs.length > MAX_TABLE_ID + 1)
    throw new RangeError(`a pipeline has at most ${MAX_TABLE_ID + 1} tables`);
  const ids = new Map<string, number>();
  for (const [id, { name }] of specs.entries()) {
    if (ids.has(name)) throw new RangeError(`table '${name}' is declared twice`);
    ids.set(name, id);
  }
  const transition = spec === undefined ? undefined : compileTransition(spec, specs, ids);
  const tables: Record<string, Table> = {};
  const order: Table[] = [];
  // From the end, so that the table where a miss goes on is there already.
  for (let id = specs.length - 1; id >= 0; id--) {
    const declared = specs[id] as TableSpec;
    const next = missTarget(declared, id, specs, ids);
    checkTargets(declared, id, ids);
    checkStage(declared, specs[id - 1]);
    const table: Table = {
      id,
      name: declared.name,
      stage: declared.stage,
      description: declared.description,
      attribution: declared.attribution ?? [],
      goto: declared.goto ?? [],
      ...usesOf(declared, id, specs, transition),
      ...(next === undefined ? {} : { next: order[next] as Table }),
    };
    tables[declared.name] = table;
    order[id] = table;
  }
  const named = tables as Record<T[number]['name'], Table>;
  if (transition === undefined) return { tables: named, order };
  const { generation, except, first, again, judging, reset } = transition;
  const at = (id: number): Table => order[id] as Table;
  return {
    tables: named,
    order,
    transition: { generation, except, first: at(first), again: at(again), judging, reset },
  };
}

/** With ids in the place of names. */
interface CompiledTransition
  extends Pick<TransitionDeclaration, 'generation' | 'except' | 'judging' | 'reset'> {
  readonly first: number;
  readonly again: number;
}

function compileTransition(
  { generation, except, ...names }: TransitionSpec,
  specs: readonly TableSpec[],
  ids: ReadonlyMap<string, number>,
): CompiledTransition {
  const idOf = (name: string): number => {
    const id = ids.get(name);
    if (id === undefined) throw new RangeError(`transition: table '${name}' is not declared`);
    return id;
  };
  const [first, last, again] = [idOf(names.first), idOf(names.last), idOf(names.again)];
  if (first > last || again <= last) {
    throw new RangeError(
      `transition: '${names.first}', '${names.last}', '${names.again}' are not in the order of the pipeline`,
    );
  }
  for (const { name, bits } of [generation, except]) {
    if (bits !== 1) throw new RangeError(`transition: register field '${name}' has ${bits} bits; take one`);
  }
  const judging = specs.slice(first, last + 1);
  const reset = new Set(judging.flatMap(({ set = [] }) => set));
  return {
    generation,
    except,
    first,
    again,
    judging: new Set(judging.map(({ name }) => idOf(name))),
    reset: [...reset].filter(isRegisterField),
  };
}

/** What entries of a table may match, set and lead to, in a transition too. */
function usesOf(
  { match, set = [], resubmit = [] }: TableSpec,
  id: number,
  specs: readonly TableSpec[],
  transition: CompiledTransition | undefined,
): Pick<Table, 'match' | 'set' | 'resubmit'> {
  if (transition?.judging.has(id) === true)
    return { match: [...match, transition.generation], set, resubmit };
  if (transition?.again !== id) return { match, set, resubmit };
  const { generation, except, reset, first } = transition;
  return {
    match: [...new Set([...match, generation, except])],
    set: [...new Set([...set, generation, ...reset])],
    resubmit: [...new Set([...resubmit, (specs[first] as TableSpec).name])],
  };
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
