/** Short names for the actions and buckets that entries are made of. */
import type { Table } from '../controller/datapath/pipeline.js';
import { type Action, type Bucket, type Field, Group, type OxmValue, oxm, Port } from '../ofproto/index.js';

export function output(port: number): Action {
  return { type: 'output', port, maxLen: 0 };
}

export function setField<V extends OxmValue>(field: Field<V>, value: NoInfer<V>): Action {
  return { type: 'set_field', oxm: oxm(field, value) };
}

/** Copies a whole field into another of the same width. */
export function move(from: Field, to: Field): Action {
  return { type: 'reg_move', src: from, srcOffset: 0, dst: to, dstOffset: 0, bits: from.bits };
}

export function resubmit(table: Table): Action {
  return { type: 'resubmit', table: table.id };
}

export function group(groupId: number): Action {
  return { type: 'group', groupId };
}

/** A bucket of a group that executes all of its buckets. */
export function bucket(...actions: Action[]): Bucket {
  return { weight: 0, watchPort: Port.ANY, watchGroup: Group.ANY, actions };
}

/** A bucket that sends by a port, and counts only while that is up. Weight: 1 in a group of type select, else 0. */
export function portBucket(port: number, weight: 0 | 1): Bucket {
  return { weight, watchPort: port, watchGroup: Group.ANY, actions: [output(port)] };
}

/** A bucket of a group that executes one of its buckets. */
export function selectBucket(...actions: Action[]): Bucket {
  return { ...bucket(...actions), weight: 1 };
}
