/** Which messages ask, with what they are answered, and which only a controller may send. */
import type { Message, MessageType } from '../../ofproto/index.js';

/** Requests with a reply of their own (section 7, EXT-230, nicira-ext.h). */
const REPLY_TYPES: { readonly [T in MessageType]?: MessageType } = {
  echo_request: 'echo_reply',
  features_request: 'features_reply',
  get_config_request: 'get_config_reply',
  multipart_request: 'multipart_reply',
  barrier_request: 'barrier_reply',
  queue_get_config_request: 'queue_get_config_reply',
  role_request: 'role_reply',
  get_async_request: 'get_async_reply',
  bundle_control: 'bundle_control',
  nx_tlv_table_request: 'nx_tlv_table_reply',
};

/** The type of the reply to a message, undefined for a message that has none. */
export const replyTypeOf = (message: Message): MessageType | undefined => REPLY_TYPES[message.type];

/** Controller-to-switch messages without a reply of their own. */
const COMMANDS: ReadonlySet<MessageType> = new Set<MessageType>([
  'set_config',
  'packet_out',
  'flow_mod',
  'group_mod',
  'port_mod',
  'table_mod',
  'set_async',
  'meter_mod',
  'bundle_add_message',
  'flow_monitor_cancel',
  'nx_set_packet_in_format',
  'nx_set_controller_id',
  'nx_resume',
  'nx_ct_flush_zone',
  'nx_ct_flush',
  'nx_tlv_table_mod',
]);

/** True for what a controller may send to a switch and never the other way round, echo and bundle control aside. */
export const isControllersMessage = ({ type }: Message): boolean =>
  COMMANDS.has(type) || (type in REPLY_TYPES && type !== 'echo_request' && type !== 'bundle_control');

/**
 * Whether a message with the right xid is an answer: of the right type, of the same multipart type, or, to a message of an
 * experimenter that this library does not know, another such message.
 */
export function mayAnswer(request: Message, answer: Message): boolean {
  if (request.type === 'experimenter' && answer.type === 'experimenter') return true;
  if (answer.type !== (replyTypeOf(request) ?? 'barrier_reply')) return false;
  if (request.type !== 'multipart_request' || answer.type !== 'multipart_reply') return true;
  return request.multipartType === answer.multipartType;
}
