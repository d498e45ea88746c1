/** Which entries no message can hold: the length of a message has 16 bits. */
import {
  type Action,
  encodedLength,
  type FlowMod,
  type GroupMod,
  MAX_MESSAGE_LENGTH,
} from '../../ofproto/index.js';

/** The name under which such an entry is refused. */
export const MESSAGE_TOO_LONG = 'OFPROTO_MESSAGE_TOO_LONG';

/** True if the modification does not fit a message, the wrapping of a bundle included. Cheap for those that are far from it. */
export function isTooLong(message: FlowMod | GroupMod): boolean {
  if (!mayBeTooLong(message)) return false;
  const wrapped = { type: 'bundle_add_message', xid: 0, bundleId: 0, flags: 0, message } as const;
  return encodedLength(wrapped) > MAX_MESSAGE_LENGTH;
}

/** No action without data of its own is longer. */
const GENEROUS_ACTION_LENGTH = 128;

/** Bytes for everything that is not actions: header, match, instructions. */
const GENEROUS_REST_LENGTH = 4096;

function mayBeTooLong(message: FlowMod | GroupMod): boolean {
  let actions = 0;
  if (message.type === 'group_mod') {
    for (const bucket of message.buckets) {
      actions += bucket.actions.length + 1;
      if (bucket.actions.some(hasData)) return true;
    }
  } else {
    for (const instruction of message.instructions) {
      if (instruction.type !== 'apply_actions' && instruction.type !== 'write_actions') continue;
      actions += instruction.actions.length;
      if (instruction.actions.some(hasData)) return true;
    }
  }
  return actions * GENEROUS_ACTION_LENGTH > MAX_MESSAGE_LENGTH - GENEROUS_REST_LENGTH;
}

function hasData({ type }: Action): boolean {
  return type === 'note' || type === 'controller2' || type === 'clone' || type === 'ct' || type === 'opaque';
}
