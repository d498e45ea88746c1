import type {
  Action,
  FlowMod,
  FlowStats,
  FlowStatsRequest,
  GroupDescription,
  GroupMod,
  Instruction,
  Match,
  MeterConfig,
  MeterMod,
} from '../../ofproto/index.js';
import {
  BadActionCode,
  ErrorType,
  FlowModCommand,
  FlowModFailedCode,
  FlowModFlag,
  flowKey,
  Group,
  GroupModCommand,
  GroupModFailedCode,
  Meter,
  MeterModCommand,
  MeterModFailedCode,
  Port,
  TableId,
} from '../../ofproto/index.js';
import { covers } from './match-covers.js';

/** Type and code of an error; of ONF where `experimenter` says so. */
export interface Refusal {
  readonly errorType: number;
  readonly code: number;
  readonly experimenter?: number;
}

/** One stored flow entry. */
export interface FlowEntry {
  readonly tableId: number;
  readonly priority: number;
  readonly match: Match;
  readonly cookie: bigint;
  readonly flags: number;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly instructions: readonly Instruction[];
  /** `performance.now()` when it was added. */
  readonly addedAt: number;
}

/** Takes back one change. */
type Undo = () => void;

/**
 * The flow, group and meter tables of an emulated switch, with the rules of section 6.4 to 6.5 about which modification applies to what
 * and what is refused. No packet is ever looked up in them.
 */
export class EmulatedTables {
  readonly flows = new Map<string, FlowEntry>();
  readonly groups = new Map<number, GroupDescription>();
  readonly meters = new Map<number, MeterConfig>();
  /** Where changes note how to take them back, while a bundle is being committed. */
  #journal: Undo[] | undefined;

  clear(): void {
    this.flows.clear();
    this.groups.clear();
    this.meters.clear();
  }

  /** Applies all or nothing; returns which one was refused and why. */
  applyAll(modifications: readonly (FlowMod | GroupMod)[]): { index: number; refusal: Refusal } | undefined {
    const journal: Undo[] = [];
    this.#journal = journal;
    try {
      for (const [index, modification] of modifications.entries()) {
        const refusal = this.apply(modification);
        if (!refusal) continue;
        for (const undo of journal.reverse()) undo();
        return { index, refusal };
      }
      return undefined;
    } finally {
      this.#journal = undefined;
    }
  }

  apply(modification: FlowMod | GroupMod | MeterMod): Refusal | undefined {
    switch (modification.type) {
      case 'flow_mod':
        return this.#flow(modification);
      case 'group_mod':
        return this.#group(modification);
      case 'meter_mod':
        return this.#meter(modification);
    }
  }

  /** The entries a flow-statistics request asks for, as the reply reports them. */
  dump(request: FlowStatsRequest): FlowStats[] {
    const now = performance.now();
    const entries: FlowStats[] = [];
    for (const entry of this.#select(request, false)) {
      const { addedAt, ...rest } = entry[1];
      const age = now - addedAt;
      const durationSec = Math.floor(age / 1000);
      const durationNsec = Math.floor((age % 1000) * 1e6);
      entries.push({ ...rest, durationSec, durationNsec, packetCount: 0n, byteCount: 0n });
    }
    return entries;
  }

  #flow(mod: FlowMod): Refusal | undefined {
    switch (mod.command) {
      case FlowModCommand.ADD:
        return this.#addFlow(mod);
      case FlowModCommand.MODIFY:
      case FlowModCommand.MODIFY_STRICT: {
        const refusal = this.#checkReferences(mod.instructions);
        if (refusal) return refusal;
        for (const [key, entry] of this.#select(mod, mod.command === FlowModCommand.MODIFY_STRICT)) {
          this.#set(this.flows, key, { ...entry, instructions: mod.instructions });
        }
        return undefined;
      }
      case FlowModCommand.DELETE:
      case FlowModCommand.DELETE_STRICT:
        for (const [key] of this.#select(mod, mod.command === FlowModCommand.DELETE_STRICT)) {
          this.#delete(this.flows, key);
        }
        return undefined;
      default:
        return { errorType: ErrorType.FLOW_MOD_FAILED, code: FlowModFailedCode.BAD_COMMAND };
    }
  }

  #addFlow(mod: FlowMod): Refusal | undefined {
    const { tableId, priority, match, cookie, idleTimeout, hardTimeout, instructions } = mod;
    if (tableId > TableId.MAX) {
      return { errorType: ErrorType.FLOW_MOD_FAILED, code: FlowModFailedCode.BAD_TABLE_ID };
    }
    const refusal = this.#checkReferences(instructions);
    if (refusal) return refusal;
    const flags = mod.flags & ~(FlowModFlag.CHECK_OVERLAP | FlowModFlag.RESET_COUNTS);
    const timeouts = { idleTimeout, hardTimeout, addedAt: performance.now() };
    this.#set(this.flows, flowKey(tableId, priority, match), {
      tableId,
      priority,
      match,
      cookie,
      flags,
      instructions,
      ...timeouts,
    });
    return undefined;
  }

  /** The entries a modification, deletion or request is about. `strict`: the same match and priority, not just covered by it. */
  *#select(
    filter: FlowStatsRequest & { readonly priority?: number },
    strict: boolean,
  ): Iterable<[string, FlowEntry]> {
    const { tableId, match, cookie, cookieMask, outPort, outGroup, priority = 0 } = filter;
    const wanted = (entry: FlowEntry): boolean =>
      (entry.cookie & cookieMask) === (cookie & cookieMask) &&
      (outPort === Port.ANY || outputsTo(entry.instructions, 'output', outPort)) &&
      (outGroup === Group.ANY || outputsTo(entry.instructions, 'group', outGroup));
    if (strict && tableId !== TableId.ALL) {
      const key = flowKey(tableId, priority, match);
      const entry = this.flows.get(key);
      if (entry && wanted(entry)) yield [key, entry];
      return;
    }
    for (const [key, entry] of this.flows) {
      if (tableId !== TableId.ALL && entry.tableId !== tableId) continue;
      const same = strict ? key === flowKey(entry.tableId, priority, match) : covers(match, entry.match);
      if (same && wanted(entry)) yield [key, entry];
    }
  }

  /** Groups and meters that entries use must exist, as on Open vSwitch. */
  #checkReferences(instructions: readonly Instruction[]): Refusal | undefined {
    for (const group of referencedGroups(instructions)) {
      if (!this.groups.has(group)) {
        return { errorType: ErrorType.BAD_ACTION, code: BadActionCode.BAD_OUT_GROUP };
      }
    }
    for (const instruction of instructions) {
      if (instruction.type === 'meter' && !this.meters.has(instruction.meterId)) {
        return { errorType: ErrorType.METER_MOD_FAILED, code: MeterModFailedCode.INVALID_METER };
      }
    }
    return undefined;
  }

  #group(mod: GroupMod): Refusal | undefined {
    const { groupId, groupType, buckets } = mod;
    const failed = (code: number): Refusal => ({ errorType: ErrorType.GROUP_MOD_FAILED, code });
    switch (mod.command) {
      case GroupModCommand.ADD:
        if (this.groups.has(groupId)) return failed(GroupModFailedCode.GROUP_EXISTS);
        if (groupId > Group.MAX) return failed(GroupModFailedCode.INVALID_GROUP);
        this.#set(this.groups, groupId, { groupId, groupType, buckets });
        return undefined;
      case GroupModCommand.MODIFY:
        if (!this.groups.has(groupId)) return failed(GroupModFailedCode.UNKNOWN_GROUP);
        this.#set(this.groups, groupId, { groupId, groupType, buckets });
        return undefined;
      case GroupModCommand.DELETE: {
        const gone = groupId === Group.ALL ? [...this.groups.keys()] : [groupId];
        for (const id of gone) this.#delete(this.groups, id);
        this.#deleteFlowsThat((instructions) =>
          referencedGroups(instructions).some((id) => gone.includes(id)),
        );
        return undefined;
      }
      default:
        return failed(GroupModFailedCode.BAD_COMMAND);
    }
  }

  #meter(mod: MeterMod): Refusal | undefined {
    const { meterId, flags, bands } = mod;
    const failed = (code: number): Refusal => ({ errorType: ErrorType.METER_MOD_FAILED, code });
    switch (mod.command) {
      case MeterModCommand.ADD:
        if (this.meters.has(meterId)) return failed(MeterModFailedCode.METER_EXISTS);
        this.#set(this.meters, meterId, { meterId, flags, bands });
        return undefined;
      case MeterModCommand.MODIFY:
        if (!this.meters.has(meterId)) return failed(MeterModFailedCode.UNKNOWN_METER);
        this.#set(this.meters, meterId, { meterId, flags, bands });
        return undefined;
      case MeterModCommand.DELETE: {
        const gone = meterId === Meter.ALL ? [...this.meters.keys()] : [meterId];
        for (const id of gone) this.#delete(this.meters, id);
        this.#deleteFlowsThat((instructions) =>
          instructions.some((i) => i.type === 'meter' && gone.includes(i.meterId)),
        );
        return undefined;
      }
      default:
        return failed(MeterModFailedCode.BAD_COMMAND);
    }
  }

  #deleteFlowsThat(use: (instructions: readonly Instruction[]) => boolean): void {
    for (const [key, { instructions }] of this.flows) if (use(instructions)) this.#delete(this.flows, key);
  }

  #set<K, V>(map: Map<K, V>, key: K, value: V): void {
    if (this.#journal) {
      const before = map.get(key);
      this.#journal.push(before === undefined ? () => map.delete(key) : () => map.set(key, before));
    }
    map.set(key, value);
  }

  #delete<K, V>(map: Map<K, V>, key: K): void {
    const before = map.get(key);
    if (before === undefined) return;
    this.#journal?.push(() => map.set(key, before));
    map.delete(key);
  }
}

function* actionsOf(instructions: readonly Instruction[]): Iterable<Action> {
  for (const instruction of instructions) {
    if (instruction.type === 'apply_actions' || instruction.type === 'write_actions') {
      yield* flatten(instruction.actions);
    }
  }
}

function* flatten(actions: readonly Action[]): Iterable<Action> {
  for (const action of actions) {
    yield action;
    if (action.type === 'clone' || action.type === 'ct') yield* flatten(action.actions);
  }
}

function referencedGroups(instructions: readonly Instruction[]): number[] {
  const groups: number[] = [];
  for (const action of actionsOf(instructions)) if (action.type === 'group') groups.push(action.groupId);
  return groups;
}

function outputsTo(instructions: readonly Instruction[], kind: 'output' | 'group', number: number): boolean {
  for (const action of actionsOf(instructions)) {
    if (kind === 'output' && action.type === 'output' && action.port === number) return true;
    if (kind === 'group' && action.type === 'group' && action.groupId === number) return true;
  }
  return false;
}
