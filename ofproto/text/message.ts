/** Messages in one line, for logs: what they are and what they are about, never their whole content. */
import {
  BundleControlType,
  ControllerRole,
  FlowModCommand,
  GroupModCommand,
  MeterModCommand,
  PortReason,
} from '../constants.js';
import { errorName } from '../errors.js';
import type { FlowMod, Message, MessageOf, MessageType } from '../messages.js';
import { formatActions, formatInstructions, reasonName } from './actions.js';
import { flowFlags, formatGroup, formatMeter, prioritised } from './entries.js';
import { formatMatch } from './match.js';
import { formatPort, hex, prefixed } from './values.js';

/** Lower-case name of a number of one of constants.ts, or the number. */
const nameOf = (names: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(names)
    .find((name) => names[name] === value)
    ?.toLowerCase() ?? `${value}`;

function flowModText(message: FlowMod): string {
  const cookie = message.cookie === 0n ? '' : ` cookie=${hex(message.cookie)}`;
  const mask = message.cookieMask === 0n ? '' : `/${hex(message.cookieMask)}`;
  const match = prioritised(message.priority, message.match);
  const head = `${nameOf(FlowModCommand, message.command)} table=${message.tableId}${cookie}${mask}`;
  const flags = flowFlags(message.flags).trimEnd();
  return [head, match, flags, `actions=${formatInstructions(message.instructions)}`]
    .filter((text) => text !== '')
    .join(' ');
}

/** How many records a body has, where it is a list. */
const records = (body: unknown): string => (Array.isArray(body) ? ` records=${body.length}` : '');

type Texts = { readonly [T in MessageType]?: (message: MessageOf<T>) => string };

const TEXTS: Texts = {
  hello: ({ version, versions }) =>
    `version=${version}${versions === undefined ? '' : ` versions=${versions.join(',')}`}`,
  error: ({ errorType, code, experimenter }) => errorName(errorType, code, experimenter),
  echo_request: ({ data }) => `bytes=${data.length}`,
  echo_reply: ({ data }) => `bytes=${data.length}`,
  experimenter: (m) =>
    `experimenter=${prefixed(m.experimenter)} type=${m.experimenterType} bytes=${m.data.length}`,
  features_reply: (m) => `datapath=${m.datapathId.toString(16).padStart(16, '0')} tables=${m.tables}`,
  get_config_reply: (m) => `flags=${m.flags} miss_send_length=${m.missSendLength}`,
  set_config: (m) => `flags=${m.flags} miss_send_length=${m.missSendLength}`,
  packet_in: (m) =>
    `table=${m.tableId} cookie=${prefixed(m.cookie)} reason=${reasonName(m.reason)} ${formatMatch(m.match)} bytes=${m.totalLength}`,
  flow_removed: (m) =>
    `table=${m.tableId} cookie=${prefixed(m.cookie)} reason=${m.reason} ${prioritised(m.priority, m.match)}`.trimEnd(),
  port_status: ({ reason, port }) =>
    `${nameOf(PortReason, reason)} port=${formatPort(port.portNo)} name=${port.name} config=${prefixed(port.config)} state=${prefixed(port.state)}`,
  packet_out: (m) =>
    `in_port=${formatPort(m.inPort)} actions=${formatActions(m.actions)} bytes=${m.data.length}`,
  flow_mod: flowModText,
  group_mod: (m) => `${nameOf(GroupModCommand, m.command)} ${formatGroup(m)}`,
  port_mod: (m) =>
    `port=${formatPort(m.portNo)} config=${prefixed(m.config)}/${prefixed(m.mask)} advertise=${prefixed(m.advertise)}`,
  table_mod: (m) => `table=${m.tableId} config=${m.config}`,
  multipart_request: (m) => `${m.multipartType}${m.more ? ' more' : ''}${records(m.body)}`,
  multipart_reply: (m) => `${m.multipartType}${m.more ? ' more' : ''}${records(m.body)}`,
  queue_get_config_request: (m) => `port=${formatPort(m.port)}`,
  queue_get_config_reply: (m) => `port=${formatPort(m.port)} queues=${m.queues.length}`,
  role_request: (m) => `role=${nameOf(ControllerRole, m.role)} generation=${m.generationId}`,
  role_reply: (m) => `role=${nameOf(ControllerRole, m.role)} generation=${m.generationId}`,
  role_status: (m) =>
    `role=${nameOf(ControllerRole, m.role)} generation=${m.generationId} reason=${m.reason}`,
  meter_mod: (m) => `${nameOf(MeterModCommand, m.command)} ${formatMeter(m).replaceAll('\n', ' ')}`,
  bundle_control: (m) => `${nameOf(BundleControlType, m.controlType)} bundle=${m.bundleId} flags=${m.flags}`,
  bundle_add_message: (m) => `bundle=${m.bundleId} flags=${m.flags}: ${formatMessage(m.message)}`,
  flow_monitor_cancel: (m) => `monitor=${m.monitorId}`,
  nx_set_packet_in_format: (m) => `format=${m.format}`,
  nx_set_controller_id: (m) => `id=${m.controllerId}`,
  nx_packet_in2: (m) =>
    `table=${m.tableId ?? '?'} cookie=${prefixed(m.cookie ?? 0n)} reason=${reasonName(m.reason ?? 0)} ${formatMatch(m.metadata ?? [])} bytes=${m.fullLength ?? m.packet?.length ?? 0}`,
  nx_resume: (m) => `cookie=${prefixed(m.cookie ?? 0n)} bytes=${m.packet?.length ?? 0}`,
  nx_ct_flush_zone: (m) => `zone=${m.zone}`,
  nx_ct_flush: (m) => `zone=${m.zone ?? 'all'} protocol=${m.ipProto}`,
  nx_tlv_table_mod: (m) => `command=${m.command} mappings=${m.mappings.length}`,
  nx_tlv_table_reply: (m) => `mappings=${m.mappings.length}`,
  opaque: (m) => `number=${m.number} bytes=${m.data.length}`,
};

/** A message in one line: `flow_mod xid=7 add table=3 priority=30,tcp actions=output:8`. */
export function formatMessage(message: Message): string {
  const text = TEXTS[message.type] as ((message: Message) => string) | undefined;
  const head = `${message.type} xid=${message.xid}`;
  return text === undefined ? head : `${head} ${text(message)}`;
}
