/** Action sets (OpenFlow 1.3.5, section 5.10) with the order and the extensions of Open vSwitch (lib/ofp-actions.c). */
import type { Action } from '../../ofproto/index.js';

type Kind = Action['type'];

/** Of these the last one written counts. */
const ONCE: readonly (readonly Kind[])[] = [
  ['pop_vlan'],
  ['pop_mpls'],
  ['push_mpls'],
  ['push_vlan'],
  ['dec_nw_ttl', 'dec_ttl', 'dec_ttl_cnt_ids'],
  ['dec_mpls_ttl'],
];
/** All of these count, in the order in which they were written. */
const WRITES: readonly Kind[] = [
  'set_field',
  'reg_load',
  'reg_load2',
  'reg_move',
  'set_nw_ttl',
  'set_mpls_ttl',
];
const QUEUE: readonly Kind[] = ['set_queue', 'nx_set_queue'];
/** One way out: the first of these that is there. */
const ENDS: readonly (readonly Kind[])[] = [
  ['group'],
  ['output', 'output_trunc', 'output_reg'],
  ['resubmit'],
  ['ct'],
];

/** The action set after more has been written to it. */
export function mergeActions(set: readonly Action[], written: readonly Action[]): readonly Action[] {
  return set.length === 0 ? written : [...set, ...written];
}

/** What an action set executes, in order. A set without a way out does nothing. */
export function actionList(set: readonly Action[]): readonly Action[] {
  const last = (kinds: readonly Kind[]): Action | undefined =>
    set.findLast(({ type }) => kinds.includes(type));
  const end = ENDS.map(last).find((action) => action !== undefined);
  // What has no place in an action set cannot be left out in silence: executed, it says that it is not followed.
  const strange = set.filter(({ type }) => !KNOWN.has(type));
  if (end === undefined) return strange;
  const ordered = [
    ...ONCE.map(last),
    ...set.filter(({ type }) => WRITES.includes(type)),
    last(QUEUE),
    ...strange,
    end,
  ];
  return ordered.filter((action) => action !== undefined);
}

const KNOWN: ReadonlySet<Kind> = new Set([...ONCE.flat(), ...WRITES, ...QUEUE, ...ENDS.flat()]);
