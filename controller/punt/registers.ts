/** What the pipeline knew of a packet when it was sent to the controller: registers and fields that came along as metadata. */
import { type Field, findOxm, type Match, type OxmValue } from '../../ofproto/index.js';
import type { RegisterField } from '../datapath/fields.js';

/** Open vSwitch sends registers that are zero by not sending them. */
export function registerOf(metadata: Match, { field, offset, bits }: RegisterField): number {
  const register = findOxm(metadata, field)?.value ?? 0;
  return Math.floor(register / 2 ** offset) % 2 ** bits;
}

/** Value of a field; undefined where it is not there. */
export function fieldOf<V extends OxmValue>(metadata: Match, field: Field<V>): V | undefined {
  return findOxm(metadata, field)?.value;
}
