/** From what an app asks for to what a switch is to hold: instructions in their order, the cookie, the key. */
import type { Instruction } from '../../ofproto/index.js';
import { flowKey, groupKey, meterKey } from './canonical.js';
import { PipelineChecker } from './check.js';
import { COOKIE_MARKER, cookieLayout } from './cookie.js';
import {
  type DesiredEntry,
  type DesiredFlow,
  type FlowSpec,
  type GroupSpec,
  type MeterSpec,
  SCOPE_KINDS,
  type ScopeName,
  scopeKind,
} from './entry.js';
import type { ObjectKind } from './object-names.js';
import type { Pipeline, Table } from './pipeline.js';

/** Who asks: the app and the number and name of its rule. */
export interface Owner {
  readonly app: { readonly name: string; readonly id: number };
  /** From 1, within the app. */
  readonly rule: number;
  /** `<app>.<rule>`. */
  readonly name: string;
  /** What its entries' objects are; absent: codes of the app's own. */
  readonly object?: ObjectKind | 'table';
}

/** An entry with its key. */
export interface CompiledEntry {
  readonly key: string;
  readonly entry: DesiredEntry;
}

export class EntryCompiler {
  readonly #checker: PipelineChecker;

  constructor(pipeline: Pipeline) {
    this.#checker = new PipelineChecker(pipeline);
  }

  /** @throws PipelineError where the entry is not what its table declares. */
  flow(owner: Owner, scope: ScopeName, spec: FlowSpec): CompiledEntry {
    const match = this.#checker.flow(spec);
    const entry: DesiredFlow = {
      kind: 'flow',
      table: spec.table.id,
      priority: spec.priority,
      match,
      instructions: instructionsOf(spec),
      cookie: cookieOf(owner, scope, spec.object ?? 0),
    };
    return { key: flowKey(entry.table, entry.priority, match), entry };
  }

  /** @throws PipelineError */
  group(owner: Owner, spec: GroupSpec): CompiledEntry {
    this.#checker.group(spec);
    const { id, groupType, buckets, object = 0 } = spec;
    return { key: groupKey(id), entry: { kind: 'group', id, groupType, buckets, owner: owner.name, object } };
  }

  meter(owner: Owner, { id, flags, bands, object = 0 }: MeterSpec): CompiledEntry {
    return { key: meterKey(id), entry: { kind: 'meter', id, flags, bands, owner: owner.name, object } };
  }
}

/** The miss entry of a table: explicit, also where it drops, so that a dropped packet is counted on an entry with an owner. */
export function missEntry(owner: Owner, table: Table): CompiledEntry {
  const entry: DesiredFlow = {
    kind: 'flow',
    table: table.id,
    priority: 0,
    match: [],
    instructions: table.next === undefined ? [] : [{ type: 'goto_table', table: table.next.id }],
    cookie: cookieOf(owner, 'global', table.id),
  };
  return { key: flowKey(table.id, 0, []), entry };
}

function cookieOf(owner: Owner, scope: ScopeName, object: number): bigint {
  return cookieLayout.encode({
    marker: COOKIE_MARKER,
    app: owner.app.id,
    scope: SCOPE_KINDS.indexOf(scopeKind(scope)),
    rule: owner.rule,
    object,
  });
}

function instructionsOf(spec: FlowSpec): Instruction[] {
  const instructions: Instruction[] = [];
  if (spec.meter !== undefined) instructions.push({ type: 'meter', meterId: spec.meter });
  if (spec.apply !== undefined && spec.apply.length > 0)
    instructions.push({ type: 'apply_actions', actions: spec.apply });
  if (spec.write !== undefined && spec.write.length > 0)
    instructions.push({ type: 'write_actions', actions: spec.write });
  if (spec.metadata !== undefined) {
    instructions.push({ type: 'write_metadata', metadata: spec.metadata.value, mask: spec.metadata.mask });
  }
  if (spec.goto !== undefined) instructions.push({ type: 'goto_table', table: spec.goto.id });
  return instructions;
}
