/**
 * Verifies whole tables: no two entries of one table that overlap at equal priority with different outcomes (which of them wins is
 * undefined, and Open vSwitch's choice changes with the weather), and no reference to a group or meter that is not there.
 *
 * Meant for tests and for `weft`'s diagnosis; nothing on the way of a change calls it.
 */
import type { Action, Instruction, Match } from '../../ofproto/index.js';
import { canonicalInstructions, canonicalMatch } from './canonical.js';
import type { DesiredEntry, DesiredFlow, DesiredGroup } from './entry.js';
import type { RegisterField } from './fields.js';
import type { Pipeline } from './pipeline.js';

/** Two entries of one table and priority that one packet can match. */
export interface Overlap {
  readonly first: DesiredFlow;
  readonly second: DesiredFlow;
}

/** An entry that uses what the same switch does not hold. */
export interface DanglingReference {
  readonly entry: DesiredEntry;
  /** `group 7` or `meter 3`. */
  readonly missing: string;
}

/** Fields with the bits they compare: entries with the same shape overlap only if they are equal. */
interface Shape {
  readonly masks: ReadonlyMap<string, bigint>;
  readonly flows: ParsedFlow[];
}

interface ParsedFlow {
  readonly flow: DesiredFlow;
  readonly values: ReadonlyMap<string, bigint>;
}

/**
 * Pairs of entries that overlap at equal priority with different outcomes. Entries are sorted by shape (which bits they compare);
 * two shapes are compared by looking each entry up by the bits that both compare, so the cost is O(entries * shapes).
 *
 * Entries that only contribute to conjunctive matches overlap by design and are not reported against each other. In tables that
 * declare a field as attribution, what is written to it makes no outcome, and clauses are not reported against other entries
 * either: their outcome is that of the entry with the `conj_id`, which is compared.
 */
export function findOverlaps(entries: Iterable<DesiredEntry>, pipeline?: Pipeline): Overlap[] {
  const levels = new Map<string, Map<string, Shape>>();
  for (const flow of entries) {
    if (flow.kind !== 'flow') continue;
    const level = `${flow.table},${flow.priority}`;
    let shapes = levels.get(level);
    if (shapes === undefined) levels.set(level, (shapes = new Map()));
    addToShape(shapes, flow);
  }
  const overlaps: Overlap[] = [];
  for (const shapes of levels.values()) {
    const list = [...shapes.values()];
    for (const [i, shape] of list.entries()) {
      for (const other of list.slice(i + 1)) compareShapes(shape, other, overlaps, pipeline);
    }
  }
  return overlaps;
}

/** Groups and meters that entries name and the table does not hold. */
export function findDanglingReferences(entries: Iterable<DesiredEntry>): DanglingReference[] {
  const list = [...entries];
  const groups = new Map<number, DesiredGroup>();
  const meters = new Set<number>();
  for (const entry of list) {
    if (entry.kind === 'group') groups.set(entry.id, entry);
    else if (entry.kind === 'meter') meters.add(entry.id);
  }
  const dangling: DanglingReference[] = [];
  for (const entry of list) {
    const references = referencesOf(entry);
    for (const id of references.groups) if (!groups.has(id)) dangling.push({ entry, missing: `group ${id}` });
    for (const id of references.meters) if (!meters.has(id)) dangling.push({ entry, missing: `meter ${id}` });
  }
  return dangling;
}

export interface References {
  readonly groups: ReadonlySet<number>;
  readonly meters: ReadonlySet<number>;
}

/** Ids of the groups and meters an entry names. */
export function referencesOf(entry: DesiredEntry): References {
  const groups = new Set<number>();
  const meters = new Set<number>();
  const visit = (actions: readonly Action[]): void => {
    for (const action of actions) {
      if (action.type === 'group') groups.add(action.groupId);
      else if (action.type === 'clone') visit(action.actions);
      else if (action.type === 'controller2' && action.meterId !== undefined) meters.add(action.meterId);
    }
  };
  if (entry.kind === 'group') {
    for (const bucket of entry.buckets) visit(bucket.actions);
  } else if (entry.kind === 'flow') {
    for (const instruction of entry.instructions) {
      if (instruction.type === 'apply_actions' || instruction.type === 'write_actions')
        visit(instruction.actions);
      else if (instruction.type === 'meter') meters.add(instruction.meterId);
    }
  }
  return { groups, meters };
}

function addToShape(shapes: Map<string, Shape>, flow: DesiredFlow): void {
  const { masks, values } = parse(flow.match);
  const name = [...masks].map(([field, mask]) => `${field}/${mask}`).join();
  let shape = shapes.get(name);
  if (shape === undefined) shapes.set(name, (shape = { masks, flows: [] }));
  shape.flows.push({ flow, values });
}

/** Reads the canonical text back: it has fields in order, and registers in one width. */
function parse(match: Match): { masks: Map<string, bigint>; values: Map<string, bigint> } {
  const masks = new Map<string, bigint>();
  const values = new Map<string, bigint>();
  const EXACT = (1n << 1024n) - 1n;
  for (const part of canonicalMatch(match).split(',')) {
    const [, name, value, mask] = /^([^=]+)=([^/]*)\/?(.*)$/.exec(part) ?? [];
    if (name === undefined) continue;
    masks.set(name, mask === '' || mask === undefined ? EXACT : BigInt(`0x${mask}`));
    values.set(name, BigInt(`0x${value === '' ? '0' : value}`));
  }
  return { masks, values };
}

function compareShapes(a: Shape, b: Shape, overlaps: Overlap[], pipeline: Pipeline | undefined): void {
  const common: [string, bigint][] = [];
  for (const [field, mask] of a.masks) {
    const both = mask & (b.masks.get(field) ?? 0n);
    if (both !== 0n) common.push([field, both]);
  }
  const project = ({ values }: ParsedFlow): string =>
    common.map(([field, mask]) => ((values.get(field) ?? 0n) & mask).toString(16)).join();
  const byProjection = new Map<string, ParsedFlow[]>();
  for (const flow of b.flows) {
    const projection = project(flow);
    const same = byProjection.get(projection);
    if (same === undefined) byProjection.set(projection, [flow]);
    else same.push(flow);
  }
  for (const { flow: first, values } of a.flows) {
    for (const { flow: second } of byProjection.get(project({ flow: first, values })) ?? []) {
      if (!sameOutcome(first, second, pipeline)) overlaps.push({ first, second });
    }
  }
}

function sameOutcome(a: DesiredFlow, b: DesiredFlow, pipeline: Pipeline | undefined): boolean {
  const attribution = pipeline?.order[a.table]?.attribution ?? [];
  if (attribution.length === 0) {
    return (isClause(a) && isClause(b)) || outcome(a.instructions) === outcome(b.instructions);
  }
  if (isClause(a) || isClause(b)) return true;
  return outcome(a.instructions, attribution) === outcome(b.instructions, attribution);
}

/** Canonical text of instructions without what they write to these fields. */
function outcome(instructions: readonly Instruction[], without: readonly RegisterField[] = []): string {
  if (without.length === 0) return canonicalInstructions(instructions);
  const counts = (action: Action): boolean =>
    action.type !== 'reg_load' ||
    !without.some(({ field, offset, bits }) => {
      return action.dst === field && action.offset === offset && action.bits === bits;
    });
  return canonicalInstructions(
    instructions.map((instruction) =>
      instruction.type === 'apply_actions'
        ? { ...instruction, actions: instruction.actions.filter(counts) }
        : instruction,
    ),
  );
}

/** True for entries that do nothing but take part in conjunctive matches. */
function isClause({ instructions }: DesiredFlow): boolean {
  const [only] = instructions;
  return (
    instructions.length === 1 &&
    only?.type === 'apply_actions' &&
    only.actions.every((action) => action.type === 'conjunction')
  );
}
