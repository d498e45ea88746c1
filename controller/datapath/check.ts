/** Checks entries against the declaration of their table, when they are derived: a mismatch is an error of the app. */
import { type Action, F, type Field, type Match, type Oxm, type OxmValue } from '../../ofproto/index.js';
import type { FlowSpec, GroupSpec } from './entry.js';
import { isRegisterField, type PipelineField } from './fields.js';
import { normalMatch } from './match.js';
import type { Pipeline, Table } from './pipeline.js';

export type PipelineErrorCode =
  | 'pipeline.table'
  | 'pipeline.priority'
  | 'pipeline.match'
  | 'pipeline.prerequisite'
  | 'pipeline.set'
  | 'pipeline.goto'
  | 'pipeline.action'
  | 'pipeline.drop'
  | 'pipeline.group';

/** An entry is not what its table declares. The derivation that asked for it is in the failure that carries this error. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';

  constructor(
    readonly code: PipelineErrorCode,
    message: string,
    readonly fix: string,
  ) {
    super(`${message}; ${fix}`);
  }
}

/** What a table's declaration says of one field: all its bits, or those of register fields. */
type Declared = ReadonlyMap<Field, bigint>;

interface CompiledTable {
  readonly match: Declared;
  readonly set: Declared;
  readonly goto: ReadonlySet<string>;
  readonly resubmit: ReadonlySet<number>;
}

const ALL_BITS = (1n << 128n) - 1n;
const MAX_PRIORITY = 0xffff;
/** `table` of a resubmit or ct action that names none (OFPTT_ALL). */
const NO_TABLE = 0xff;

/** Holds a pipeline's declarations in a form that is quick to check against. */
export class PipelineChecker {
  readonly #compiled: readonly CompiledTable[];

  constructor(private readonly pipeline: Pipeline) {
    this.#compiled = pipeline.order.map((table) => ({
      match: declared(table.match),
      set: declared(table.set),
      goto: new Set(table.goto),
      resubmit: new Set(table.resubmit.map((name) => this.#tableByName(name).id)),
    }));
  }

  /**
   * Checks a flow entry and returns its match in the form the wire wants.
   * @throws PipelineError
   */
  flow(spec: FlowSpec): Match {
    const { table } = spec;
    const compiled = this.#compiled[table.id];
    if (compiled === undefined || this.pipeline.order[table.id] !== table) {
      throw new PipelineError(
        'pipeline.table',
        `table '${table.name}' is of another pipeline`,
        'take it from pipeline.tables',
      );
    }
    if (!Number.isInteger(spec.priority) || spec.priority < 1 || spec.priority > MAX_PRIORITY) {
      throw new PipelineError(
        'pipeline.priority',
        `${table.name}: priority ${spec.priority} of an entry`,
        `choose 1 to ${MAX_PRIORITY}; 0 is the table's own miss entry`,
      );
    }
    const match = checkMatch(table, compiled, spec.match);
    this.#checkGoto(spec, compiled);
    const apply = spec.apply ?? [];
    const write = spec.write ?? [];
    for (const action of apply) this.#checkAction(table, compiled, match, action);
    for (const action of write) this.#checkAction(table, compiled, match, action);
    const idle = apply.length === 0 && write.length === 0 && spec.goto === undefined;
    if (idle !== (spec.drop === true)) {
      throw idle
        ? new PipelineError(
            'pipeline.drop',
            `${table.name}: an entry does nothing`,
            'write drop: true if it means to drop',
          )
        : new PipelineError(
            'pipeline.drop',
            `${table.name}: an entry drops and acts`,
            'leave out drop, or the actions and goto',
          );
    }
    return match;
  }

  /** Checks what can be said of a group without knowing who uses it. @throws PipelineError */
  group(spec: GroupSpec): void {
    const INDIRECT = 2;
    if (spec.groupType === INDIRECT && spec.buckets.length !== 1) {
      throw new PipelineError(
        'pipeline.group',
        `group ${spec.id}: indirect with ${spec.buckets.length} buckets`,
        'give it one',
      );
    }
    for (const bucket of spec.buckets) {
      for (const action of bucket.actions) {
        if (action.type === 'group' && action.groupId === spec.id) {
          throw new PipelineError(
            'pipeline.group',
            `group ${spec.id} contains itself`,
            'chain to another group',
          );
        }
      }
    }
  }

  #checkGoto({ table, goto }: FlowSpec, compiled: CompiledTable): void {
    if (goto === undefined || (compiled.goto.has(goto.name) && this.pipeline.order[goto.id] === goto)) return;
    throw new PipelineError(
      'pipeline.goto',
      `${table.name}: goto '${goto.name}' is not declared`,
      `add '${goto.name}' to goto of table '${table.name}'`,
    );
  }

  #checkAction(table: Table, compiled: CompiledTable, match: Match, action: Action): void {
    switch (action.type) {
      case 'set_field':
      case 'reg_load2':
        checkSet(table, compiled, action.oxm.field, bits(action.oxm.mask ?? action.oxm.field.exactMask));
        checkPrerequisites(table, match, action.oxm.field, action.type);
        break;
      case 'reg_load':
        checkSet(table, compiled, action.dst, range(action.offset, action.bits));
        checkPrerequisites(table, match, action.dst, action.type);
        break;
      case 'reg_move':
        checkSet(table, compiled, action.dst, range(action.dstOffset, action.bits));
        checkPrerequisites(table, match, action.src, action.type);
        checkPrerequisites(table, match, action.dst, action.type);
        break;
      case 'push_vlan':
      case 'pop_vlan':
        checkSet(table, compiled, F.vlan_vid, bits(F.vlan_vid.exactMask));
        break;
      case 'resubmit':
      case 'resubmit_ct':
        this.#checkResubmit(table, compiled, action.table ?? NO_TABLE);
        break;
      case 'ct':
        if (action.recircTable !== undefined) this.#checkResubmit(table, compiled, action.recircTable);
        for (const nested of action.actions) this.#checkAction(table, compiled, match, nested);
        break;
      case 'clone':
        for (const nested of action.actions) this.#checkAction(table, compiled, match, nested);
        break;
      case 'dec_ttl':
      case 'nx_set_queue':
        throw new PipelineError(
          'pipeline.action',
          `${table.name}: Open vSwitch takes ${action.type} on OpenFlow 1.0 only`,
          `use ${action.type === 'dec_ttl' ? 'dec_nw_ttl' : 'set_queue'}`,
        );
      case 'learn':
        throw new PipelineError(
          'pipeline.action',
          `${table.name}: an entry that a switch learns by itself would be removed by the audit`,
          'derive the entry from facts',
        );
      default:
    }
  }

  #checkResubmit(table: Table, compiled: CompiledTable, target: number): void {
    const id = target === NO_TABLE ? table.id : target;
    if (compiled.resubmit.has(id)) return;
    const name = this.pipeline.order[id]?.name ?? `${id}`;
    throw new PipelineError(
      'pipeline.goto',
      `${table.name}: looking up again in '${name}' is not declared`,
      `add '${name}' to resubmit of table '${table.name}'`,
    );
  }

  #tableByName(name: string): Table {
    return (this.pipeline.tables as Readonly<Record<string, Table>>)[name] as Table;
  }
}

function declared(fields: readonly PipelineField[]): Declared {
  const declaration = new Map<Field, bigint>();
  for (const entry of fields) {
    const field: Field = isRegisterField(entry) ? entry.field : entry;
    const mask = isRegisterField(entry) ? BigInt(entry.mask) : ALL_BITS;
    declaration.set(field, (declaration.get(field) ?? 0n) | mask);
  }
  return declaration;
}

function bits(value: OxmValue): bigint {
  return typeof value === 'object' ? ALL_BITS : BigInt(value);
}

function range(offset: number, count: number): bigint {
  return ((1n << BigInt(count)) - 1n) << BigInt(offset);
}

function checkMatch(table: Table, compiled: CompiledTable, parts: Match): Match {
  let match: Match;
  try {
    match = normalMatch(parts);
  } catch (error) {
    throw new PipelineError(
      'pipeline.match',
      `${table.name}: ${(error as Error).message}`,
      'change the match',
    );
  }
  for (const { field, value, mask } of match) {
    if (mask !== undefined && (bits(value) & ~bits(mask)) !== 0n && typeof value !== 'object') {
      throw new PipelineError(
        'pipeline.match',
        `${table.name}: the value of ${field.name} has bits outside of its mask`,
        'clear them; a switch refuses such a match (OFPBMC_BAD_WILDCARDS)',
      );
    }
    const allowed = compiled.match.get(field);
    if (
      allowed === undefined ||
      (allowed !== ALL_BITS && (bits(mask ?? field.exactMask) & ~allowed) !== 0n)
    ) {
      throw new PipelineError(
        'pipeline.match',
        `${table.name}: match on ${describeField(field, allowed, mask ?? field.exactMask)} is not declared`,
        `add ${field.name} to match of table '${table.name}'`,
      );
    }
    checkPrerequisites(table, match, field, 'match');
  }
  return match;
}

function checkSet(table: Table, compiled: CompiledTable, field: Field, written: bigint): void {
  const allowed = compiled.set.get(field);
  if (allowed !== undefined && (allowed === ALL_BITS || (written & ~allowed) === 0n)) return;
  throw new PipelineError(
    'pipeline.set',
    `${table.name}: writing ${describeField(field, allowed, written)} is not declared`,
    `add ${field.name} to set of table '${table.name}'`,
  );
}

function describeField(field: Field, allowed: bigint | undefined, wanted: OxmValue): string {
  return allowed === undefined
    ? field.name
    : `bits 0x${(bits(wanted) & ~allowed).toString(16)} of ${field.name}`;
}

/** A field may be matched, read or written only where the match says that packets have it (OpenFlow 1.3.5, section 7.2.3.6). */
function checkPrerequisites(table: Table, match: Match, field: Field, use: string): void {
  for (const { field: name, values, mask } of field.prerequisites) {
    const part = match.find((candidate) => candidate.field.name === name);
    if (part !== undefined && satisfies(part, values, mask)) continue;
    const wanted = values.map((value) => `0x${value.toString(16)}`).join(' or ');
    throw new PipelineError(
      'pipeline.prerequisite',
      `${table.name}: ${use} of ${field.name} needs ${name} ${wanted} in the match`,
      `match ${name} too`,
    );
  }
}

function satisfies(part: Oxm, values: readonly number[], mask: number | undefined): boolean {
  if (typeof part.value !== 'number') return false;
  const compared = mask ?? (part.field.exactMask as number);
  const matched = (part.mask ?? part.field.exactMask) as number;
  return (matched & compared) === compared && values.includes(part.value & compared);
}
