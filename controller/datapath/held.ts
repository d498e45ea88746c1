/** Which groups and meters a switch holds: what decides between adding and modifying one. */
import { GroupModCommand } from '../../ofproto/index.js';
import type { EntryMod, IdChanges, ModificationList } from './modifications.js';

/** Ids read from a switch. */
export interface Ids {
  readonly groups: ReadonlySet<number>;
  readonly meters: ReadonlySet<number>;
}

/**
 * Kept ahead of the switch: a change counts from when it is sent, and is taken back if it is refused. Where this and the switch
 * disagree all the same (somebody else has written), the switch's error says so, and `refused` follows it.
 */
export class HeldIds {
  #groups = new Set<number>();
  #meters = new Set<number>();
  /** Keys that the switch has corrected since all was decided the last time. */
  readonly #corrected = new Set<string>();

  reset({ groups, meters }: Ids): void {
    this.#groups = new Set(groups);
    this.#meters = new Set(meters);
  }

  /** False for a group or meter that is not held. Of flows it is not known: adding replaces, and deleting nothing does nothing. */
  has(key: string): boolean {
    const id = Number(key.slice(1));
    if (key.startsWith('g')) return this.#groups.has(id);
    return key.startsWith('m') ? this.#meters.has(id) : true;
  }

  /** Takes over what was read about one key. */
  read(key: string, { groups, meters }: Ids): void {
    const id = Number(key.slice(1));
    if (key.startsWith('g')) put(this.#groups, id, groups.has(id));
    else if (key.startsWith('m')) put(this.#meters, id, meters.has(id));
  }

  /** True if everything that the list adds is not held and everything that it changes is. */
  fits({ groupIds, meterIds }: ModificationList): boolean {
    return fits(this.#groups, groupIds) && fits(this.#meters, meterIds);
  }

  apply({ groupIds, meterIds }: ModificationList): void {
    apply(this.#groups, groupIds);
    apply(this.#meters, meterIds);
  }

  /** Takes the groups of a list back, and the meters that it deletes; meters that it adds are not part of what is undone. */
  revert({ groupIds, meterIds }: ModificationList): void {
    for (const id of groupIds.added) this.#groups.delete(id);
    for (const id of groupIds.deleted) this.#groups.add(id);
    for (const id of meterIds.deleted) this.#meters.add(id);
  }

  /**
   * A modification was refused. True if the error says that a group or meter is, or is not, held against what was thought, so that
   * the modification is to be made anew: once for each key, until `settled`.
   */
  refused(mod: EntryMod, errorName: string): boolean {
    if (mod.type === 'flow_mod') return false;
    const [held, id, kind] =
      mod.type === 'group_mod' ? [this.#groups, mod.groupId, 'GROUP'] : [this.#meters, mod.meterId, 'METER'];
    const exists = errorName.endsWith(`_${kind}_EXISTS`);
    if (!exists && !errorName.endsWith(`_UNKNOWN_${kind}`)) {
      if (mod.command === ADD) held.delete(id);
      return false;
    }
    put(held, id, exists);
    if (this.#corrected.has(mod.origin.key)) return false;
    this.#corrected.add(mod.origin.key);
    return true;
  }

  settled(): void {
    this.#corrected.clear();
  }
}

/** Of groups and of meters. */
const ADD: number = GroupModCommand.ADD;

function fits(held: ReadonlySet<number>, { added, changed }: IdChanges): boolean {
  return !added.some((id) => held.has(id)) && changed.every((id) => held.has(id));
}

function apply(held: Set<number>, { added, deleted }: IdChanges): void {
  for (const id of added) held.add(id);
  for (const id of deleted) held.delete(id);
}

function put(ids: Set<number>, id: number, held: boolean): void {
  if (held) ids.add(id);
  else ids.delete(id);
}
