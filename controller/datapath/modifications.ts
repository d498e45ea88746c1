/**
 * From changes of entries to the messages that make them, in the order in which a switch can take them: meters first (they are not
 * part of bundles), groups before the flows that use them, groups that go after the flows that leave them, and meters that go
 * last (Open vSwitch deletes the flows that use a deleted group or meter).
 *
 * Flows are added with ADD, which replaces an entry of the same match and priority, and deleted with DELETE_STRICT: nothing else
 * is ever touched.
 */
import {
  FlowModCommand,
  type FlowMod,
  Group,
  GroupModCommand,
  type GroupMod,
  MeterModCommand,
  type MeterMod,
  NO_BUFFER,
  Port,
} from '../../ofproto/index.js';
import type { DesiredEntry, DesiredFlow, DesiredGroup, DesiredMeter } from './entry.js';
import { isTooLong, MESSAGE_TOO_LONG } from './length.js';
import type { ScopedEntry } from './scopes.js';
import { referencesOf } from './verify.js';

/** What a modification is for; it stays on the modification, so that an error about it names the entry. */
export interface Origin {
  readonly key: string;
  /** The entry that is to be held; absent: the entry is to go. */
  readonly desired: ScopedEntry | undefined;
}

export type EntryMod<M extends FlowMod | GroupMod | MeterMod = FlowMod | GroupMod | MeterMod> = M & {
  readonly origin: Origin;
};

/** Ids of groups or meters that a list of modifications adds, changes and deletes. */
export interface IdChanges {
  readonly added: number[];
  readonly changed: number[];
  readonly deleted: number[];
}

/** One change to be made: what the switch holds under the key (or is known by), and what it is to hold. */
export interface Replacement {
  readonly key: string;
  /** Absent: the switch holds nothing under the key. */
  readonly before: DesiredEntry | undefined;
  readonly after: ScopedEntry | undefined;
}

/** An entry of which no message can be made. */
export interface UnsendableEntry {
  readonly entry: ScopedEntry;
  readonly error: string;
}

/** What the entry of a modification is known by, as far as deleting it needs. */
export function identityOf(mod: EntryMod): DesiredEntry {
  const owner = '';
  switch (mod.type) {
    case 'flow_mod': {
      const { tableId: table, priority, match, instructions, cookie } = mod;
      return { kind: 'flow', table, priority, match, instructions, cookie };
    }
    case 'group_mod':
      return { kind: 'group', id: mod.groupId, groupType: mod.groupType, buckets: mod.buckets, owner };
    case 'meter_mod':
      return { kind: 'meter', id: mod.meterId, flags: mod.flags, bands: mod.bands, owner };
  }
}

/** When modifications are sent, in order. */
const PHASES = ['meters', 'groupsFirst', 'flows', 'groupsLast', 'metersAfter'] as const;

/** Modifications by when they are sent. */
export class ModificationList {
  readonly meters: EntryMod<MeterMod>[] = [];
  /** In the order in which they are to be sent. */
  groupsFirst: EntryMod<GroupMod>[] = [];
  readonly flows: EntryMod<FlowMod>[] = [];
  groupsLast: EntryMod<GroupMod>[] = [];
  readonly metersAfter: EntryMod<MeterMod>[] = [];
  /** Entries that no message can hold, or that cannot be written at all, and why; there is no modification for them. */
  readonly unsendable: UnsendableEntry[] = [];
  readonly groupIds: IdChanges = { added: [], changed: [], deleted: [] };
  readonly meterIds: IdChanges = { added: [], changed: [], deleted: [] };

  get size(): number {
    const { meters, groupsFirst, flows, groupsLast, metersAfter } = this;
    return meters.length + groupsFirst.length + flows.length + groupsLast.length + metersAfter.length;
  }

  add({ key, before, after }: Replacement): void {
    const entry = after?.entry ?? before;
    if (entry === undefined) return;
    const origin: Origin = { key, desired: after };
    switch (entry.kind) {
      case 'flow':
        this.#addFlow(entry, origin);
        break;
      case 'group':
        this.#addGroup(entry, before !== undefined, origin);
        break;
      case 'meter':
        this.#addMeter(entry, before !== undefined, origin);
        break;
    }
  }

  /** Brings groups that chain to each other into an order in which each exists when it is named. */
  sort(): void {
    this.groupsFirst = referencedFirst(this.groupsFirst);
    this.groupsLast = referencedFirst(this.groupsLast).reverse();
  }

  /** Every modification, in the order of sending. */
  *all(): IterableIterator<EntryMod> {
    for (const phase of PHASES) yield* this[phase];
  }

  /** The same modifications in at most so many lists of similar size; sent one after the other, they do the same. */
  split(pieces: number): ModificationList[] {
    if (pieces === 1 || this.size < 2) return [this];
    this.sort();
    const size = Math.ceil(this.size / pieces);
    let list = new ModificationList();
    const lists = [list];
    for (const phase of PHASES) {
      for (const mod of this[phase]) {
        if (list.size === size) lists.push((list = new ModificationList()));
        list.#append(phase, mod);
      }
    }
    return lists;
  }

  /** The modifications for which `keep` holds, in the same order. */
  filter(keep: (mod: EntryMod) => boolean): ModificationList {
    const list = new ModificationList();
    for (const phase of PHASES) for (const mod of this[phase]) if (keep(mod)) list.#append(phase, mod);
    list.unsendable.push(...this.unsendable);
    return list;
  }

  #append(phase: (typeof PHASES)[number], mod: EntryMod): void {
    (this[phase] as EntryMod[]).push(mod);
    if (mod.type === 'group_mod') note(this.groupIds, mod.groupId, mod.command);
    else if (mod.type === 'meter_mod') note(this.meterIds, mod.meterId, mod.command);
  }

  #addFlow(entry: DesiredFlow, origin: Origin): void {
    const message = origin.desired === undefined ? deleteFlow(entry, origin) : addFlow(entry, origin);
    if (!this.#setAside(message)) this.#append('flows', message);
  }

  /** True if no message can hold the modification. Measured once for each entry. */
  #setAside(message: EntryMod<FlowMod | GroupMod>): boolean {
    const { desired } = message.origin;
    if (desired === undefined) return false;
    desired.tooLong ??= isTooLong(message);
    if (desired.tooLong) this.unsendable.push({ entry: desired, error: MESSAGE_TOO_LONG });
    return desired.tooLong;
  }

  #addGroup(entry: DesiredGroup, exists: boolean, origin: Origin): void {
    const { desired } = origin;
    const command =
      desired === undefined ? GroupModCommand.DELETE : exists ? GroupModCommand.MODIFY : GroupModCommand.ADD;
    const message: EntryMod<GroupMod> = {
      type: 'group_mod',
      xid: 0,
      command,
      groupType: entry.groupType,
      groupId: entry.id,
      buckets: desired === undefined ? [] : entry.buckets,
      origin,
    };
    if (this.#setAside(message)) return;
    this.#append(desired === undefined ? 'groupsLast' : 'groupsFirst', message);
  }

  #addMeter(entry: DesiredMeter, exists: boolean, origin: Origin): void {
    const { desired } = origin;
    const command =
      desired === undefined ? MeterModCommand.DELETE : exists ? MeterModCommand.MODIFY : MeterModCommand.ADD;
    const message: EntryMod<MeterMod> = {
      type: 'meter_mod',
      xid: 0,
      command,
      flags: entry.flags,
      meterId: entry.id,
      bands: desired === undefined ? [] : entry.bands,
      origin,
    };
    this.#append(desired === undefined ? 'metersAfter' : 'meters', message);
  }
}

/** The commands of groups and of meters have the same numbers. */
function note(ids: IdChanges, id: number, command: number): void {
  if (command === GroupModCommand.ADD) ids.added.push(id);
  else if (command === GroupModCommand.MODIFY) ids.changed.push(id);
  else ids.deleted.push(id);
}

function addFlow(entry: DesiredFlow, origin: Origin): EntryMod<FlowMod> {
  return flowMod(entry, origin, FlowModCommand.ADD, true);
}

function deleteFlow(entry: DesiredFlow, origin: Origin): EntryMod<FlowMod> {
  return flowMod(entry, origin, FlowModCommand.DELETE_STRICT, false);
}

function flowMod(entry: DesiredFlow, origin: Origin, command: number, whole: boolean): EntryMod<FlowMod> {
  return {
    type: 'flow_mod',
    xid: 0,
    command,
    tableId: entry.table,
    cookie: whole ? entry.cookie : 0n,
    cookieMask: 0n,
    idleTimeout: 0,
    hardTimeout: 0,
    priority: entry.priority,
    bufferId: NO_BUFFER,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    flags: 0,
    match: entry.match,
    instructions: whole ? entry.instructions : [],
    origin,
  };
}

/** Depth first over the references within the list. A cycle cannot be ordered; the switch will say so. */
function referencedFirst(mods: readonly EntryMod<GroupMod>[]): EntryMod<GroupMod>[] {
  if (mods.length < 2) return [...mods];
  const byId = new Map(mods.map((mod) => [mod.groupId, mod]));
  const sorted: EntryMod<GroupMod>[] = [];
  const visited = new Set<number>();
  const visit = (mod: EntryMod<GroupMod>): void => {
    if (visited.has(mod.groupId)) return;
    visited.add(mod.groupId);
    const { desired } = mod.origin;
    for (const id of desired === undefined ? [] : referencesOf(desired.entry).groups) {
      const referenced = byId.get(id);
      if (referenced !== undefined) visit(referenced);
    }
    sorted.push(mod);
  };
  for (const mod of mods) visit(mod);
  return sorted;
}
