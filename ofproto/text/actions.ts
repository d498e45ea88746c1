/** Actions and instructions as `ovs-ofctl` writes them (ovs-actions(7); lib/ofp-actions.c of Open vSwitch). */
import type { Action, ActionOf, Instruction, LearnSpec, NatAction, Subfield } from '../actions.js';
import { CtFlag, LearnFlag, NatFlag, PacketInReason, Port } from '../constants.js';
import { canonicalOxm } from '../oxm/canonical.js';
import { OxmClass, type Field } from '../oxm/field.js';
import type { Oxm } from '../oxm/oxm.js';
import { F } from '../oxm/registry.js';
import { formatIpv4, formatIpv6 } from '../address.js';
import { bytesText, dotted, formatPort, hex, oxmText, prefixed } from './values.js';

/** Names by which `move`, `load` and `push` call a field: its oldest, so that of NXM where there is one. */
const SUBFIELD_NAMES = new Map<string, string>();
for (const field of Object.values(F) as Field[]) {
  const isNxm = field.class === OxmClass.NXM_0 || field.class === OxmClass.NXM_1;
  const key = `${field.ovsName}/${field.bits}`;
  if (isNxm || !SUBFIELD_NAMES.has(key)) SUBFIELD_NAMES.set(key, field.wireName);
}

/** Bits a field has to Open vSwitch: all that its bytes have where it keeps the flags of a state. */
const bitsOf = (field: Field): number => (field === F.ct_state ? 8 * field.bytes : field.bits);

function subfieldText({ field, offset, bits }: Subfield): string {
  const name = SUBFIELD_NAMES.get(`${field.ovsName}/${field.bits}`) ?? field.wireName;
  if (offset === 0 && bits === bitsOf(field)) return `${name}[]`;
  return bits === 1 ? `${name}[${offset}]` : `${name}[${offset}..${offset + bits - 1}]`;
}

/** The name of `in_port` with 32 bits, where it is written. */
const fieldName = (field: Field): string => (field === F.in_port ? 'in_port_oxm' : field.ovsName);

function setFieldText(oxm: Oxm): string {
  const written = canonicalOxm(oxm);
  // A mask of zeros: nothing is written, whatever the value.
  const value = written === undefined ? 'ANY' : oxmText({ ...written, field: oxm.field });
  return `set_field:${value}->${fieldName(oxm.field)}`;
}

const REASONS: Readonly<Record<number, string>> = {
  [PacketInReason.NO_MATCH]: 'no_match',
  [PacketInReason.ACTION]: 'action',
  [PacketInReason.INVALID_TTL]: 'invalid_ttl',
  [PacketInReason.ACTION_SET]: 'action_set',
  [PacketInReason.GROUP]: 'group',
  [PacketInReason.PACKET_OUT]: 'packet_out',
};

/** Why a packet came, by name. */
export const reasonName = (reason: number): string => REASONS[reason] ?? `${reason}`;

/** A call with the arguments that are there. */
const call = (name: string, ...parts: readonly (string | false | undefined)[]): string =>
  `${name}(${parts.filter((part) => part !== false && part !== undefined).join(',')})`;

const ALL_BYTES = 0xffff;

function controllerText(action: ActionOf<'controller'> | ActionOf<'controller2'>): string {
  const { maxLen = ALL_BYTES, controllerId = 0, reason = PacketInReason.ACTION } = action;
  const {
    userdata,
    pause = false,
    meterId,
  }: Partial<ActionOf<'controller2'>> = action.type === 'controller2' ? action : {};
  const isPlain = reason === PacketInReason.ACTION && controllerId === 0;
  if (isPlain && (userdata?.length ?? 0) === 0 && !pause && meterId === undefined)
    return `CONTROLLER:${maxLen}`;
  return call(
    'controller',
    reason !== PacketInReason.ACTION && `reason=${reasonName(reason)}`,
    maxLen !== ALL_BYTES && `max_len=${maxLen}`,
    controllerId !== 0 && `id=${controllerId}`,
    userdata !== undefined && userdata.length > 0 && `userdata=${dotted(userdata)}`,
    pause && 'pause',
    meterId !== undefined && `meter_id=${meterId}`,
  );
}

const ANY_TABLE = 0xff;

function resubmitText(action: ActionOf<'resubmit'> | ActionOf<'resubmit_ct'>): string {
  const { port = Port.IN_PORT, table = ANY_TABLE } = action;
  const isConnection = action.type === 'resubmit_ct';
  if (port !== Port.IN_PORT && table === ANY_TABLE && !isConnection) return `resubmit:${formatPort(port)}`;
  const parts = [port === Port.IN_PORT ? '' : formatPort(port), table === ANY_TABLE ? '' : `${table}`];
  return call('resubmit', ...parts, isConnection && 'ct');
}

const LEARN_DEFAULT_PRIORITY = 0x8000;

function learnSpecText(spec: LearnSpec): string {
  switch (spec.kind) {
    case 'match_field': {
      const dst = subfieldText(spec.dst);
      const src = subfieldText(spec.src);
      return dst === src ? dst : `${dst}=${src}`;
    }
    case 'match_value': {
      const { field, offset, bits } = spec.dst;
      if (offset !== 0 || bits !== bitsOf(field)) return `${subfieldText(spec.dst)}=${hex(spec.value)}`;
      const value = typeof field.exactMask === 'bigint' ? spec.value : Number(spec.value);
      return `${field.ovsName}=${oxmText({ field, value })}`;
    }
    case 'load_field':
      return `load:${subfieldText(spec.src)}->${subfieldText(spec.dst)}`;
    case 'load_value':
      return `load:${hex(spec.value)}->${subfieldText(spec.dst)}`;
    default:
      return `output:${subfieldText(spec.src)}`;
  }
}

function learnText(action: ActionOf<'learn'>): string {
  const timeout = (name: string, value: number): string | false => value !== 0 && `${name}=${value}`;
  const flag = (bit: number, name: string): string | false => (action.flags & bit) !== 0 && name;
  return call(
    'learn',
    `table=${action.table}`,
    timeout('idle_timeout', action.idleTimeout),
    timeout('hard_timeout', action.hardTimeout),
    timeout('fin_idle_timeout', action.finIdleTimeout),
    timeout('fin_hard_timeout', action.finHardTimeout),
    action.priority !== LEARN_DEFAULT_PRIORITY && `priority=${action.priority}`,
    flag(LearnFlag.SEND_FLOW_REM, 'send_flow_rem'),
    flag(LearnFlag.DELETE_LEARNED, 'delete_learned'),
    action.cookie !== 0n && `cookie=${prefixed(action.cookie)}`,
    ...action.specs.map(learnSpecText),
  );
}

const range = <T>(min: T, max: T | undefined, text: (value: T) => string): string =>
  max === undefined || max === min ? text(min) : `${text(min)}-${text(max)}`;

function natText(action: NatAction): string {
  const { flags, ipv4Min, ipv6Min, portMin } = action;
  const direction =
    (flags & NatFlag.SOURCE) !== 0 ? 'src' : (flags & NatFlag.DESTINATION) !== 0 ? 'dst' : undefined;
  if (direction === undefined) return 'nat';
  let target = '';
  if (ipv4Min !== undefined) target = range(ipv4Min, action.ipv4Max, formatIpv4);
  else if (ipv6Min !== undefined)
    target = range(ipv6Min, action.ipv6Max, (address) => `[${formatIpv6(address)}]`);
  if (portMin !== undefined) target += `:${range(portMin, action.portMax, String)}`;
  const flag = (bit: number, name: string): string | false => (flags & bit) !== 0 && name;
  return call(
    'nat',
    target === '' ? direction : `${direction}=${target}`,
    flag(NatFlag.PERSISTENT, 'persistent'),
    flag(NatFlag.HASH, 'hash'),
    flag(NatFlag.RANDOM, 'random'),
  );
}

const GATEWAYS: Readonly<Record<number, string>> = { 21: 'ftp', 69: 'tftp' };

function ctText(action: ActionOf<'ct'>): string {
  const { zone, recircTable, alg, flags } = action;
  const [first] = action.actions;
  const nat = first?.type === 'nat' ? first : undefined;
  const rest = nat === undefined ? action.actions : action.actions.slice(1);
  const zoneText = typeof zone === 'number' ? zone !== 0 && `zone=${zone}` : `zone=${subfieldText(zone)}`;
  return call(
    'ct',
    (flags & CtFlag.COMMIT) !== 0 && 'commit',
    (flags & CtFlag.FORCE) !== 0 && 'force',
    recircTable !== undefined && `table=${recircTable}`,
    zoneText,
    nat !== undefined && natText(nat),
    rest.length > 0 && `exec(${formatActions(rest)})`,
    alg !== 0 && `alg=${GATEWAYS[alg] ?? alg}`,
  );
}

/** What needs no more than its type and arguments. */
const SIMPLE: { readonly [T in Action['type']]?: (action: ActionOf<T>) => string } = {
  group: ({ groupId }) => `group:${groupId}`,
  set_queue: ({ queueId }) => `set_queue:${queueId}`,
  nx_set_queue: ({ queueId }) => `set_queue:${queueId}`,
  set_mpls_ttl: ({ ttl }) => `set_mpls_ttl(${ttl})`,
  set_nw_ttl: ({ ttl }) => `mod_nw_ttl:${ttl}`,
  dec_nw_ttl: () => 'dec_ttl',
  dec_ttl_cnt_ids: ({ controllerIds }) => `dec_ttl(${controllerIds.join(',')})`,
  push_vlan: ({ ethertype }) => `push_vlan:${prefixed(ethertype, 4)}`,
  push_mpls: ({ ethertype }) => `push_mpls:${prefixed(ethertype, 4)}`,
  pop_mpls: ({ ethertype }) => `pop_mpls:${prefixed(ethertype, 4)}`,
  push_pbb: ({ ethertype }) => `push_pbb:${prefixed(ethertype, 4)}`,
  set_field: ({ oxm }) => setFieldText(oxm),
  reg_load2: ({ oxm }) => setFieldText(oxm),
  reg_load: ({ value, dst, offset, bits }) =>
    `load:${hex(value)}->${subfieldText({ field: dst, offset, bits })}`,
  reg_move: ({ src, srcOffset, dst, dstOffset, bits }) =>
    `move:${subfieldText({ field: src, offset: srcOffset, bits })}->${subfieldText({ field: dst, offset: dstOffset, bits })}`,
  output_reg: ({ src, offset, bits }) => `output:${subfieldText({ field: src, offset, bits })}`,
  output_trunc: ({ port, maxLen }) => `output(port=${formatPort(port)},max_len=${maxLen})`,
  conjunction: ({ id, clause, clauses }) => `conjunction(${id},${clause}/${clauses})`,
  note: ({ data }) => `note:${dotted(data)}`,
  fin_timeout: ({ finIdleTimeout, finHardTimeout }) =>
    call(
      'fin_timeout',
      finIdleTimeout !== 0 && `idle_timeout=${finIdleTimeout}`,
      finHardTimeout !== 0 && `hard_timeout=${finHardTimeout}`,
    ),
  stack_push: ({ src }) => `push:${subfieldText(src)}`,
  stack_pop: ({ dst }) => `pop:${subfieldText(dst)}`,
  check_pkt_larger: ({ packetLength, dst }) => `check_pkt_larger(${packetLength})->${subfieldText(dst)}`,
  delete_field: ({ field }) => `delete_field:${field.ovsName}`,
  clone: ({ actions }) => `clone(${formatActions(actions)})`,
  resubmit: resubmitText,
  resubmit_ct: resubmitText,
  controller: controllerText,
  controller2: controllerText,
  learn: learnText,
  nat: natText,
  ct: ctText,
  opaque: ({ number, data }) => `unknown_action(type=${number},data=${bytesText(data)})`,
};

function actionText(action: Action): string {
  if (action.type === 'output') {
    if (action.port === Port.CONTROLLER) return `CONTROLLER:${action.maxLen}`;
    return action.port in RESERVED ? formatPort(action.port) : `output:${action.port}`;
  }
  const format = SIMPLE[action.type] as ((action: Action) => string) | undefined;
  return format === undefined ? action.type : format(action);
}

/** Reserved ports are written alone, without `output:`. */
const RESERVED: Readonly<Record<number, true>> = Object.fromEntries(
  Object.entries(Port)
    .filter(([name]) => name !== 'MAX')
    .map(([, port]) => [port, true]),
);

/** Actions as `ovs-ofctl` writes them: `dec_ttl,output:3`, `drop` where there are none. */
export function formatActions(actions: readonly Action[]): string {
  return actions.length === 0 ? 'drop' : actions.map(actionText).join(',');
}

/** The order in which a switch carries instructions out (OpenFlow 1.3.5, section 5.9). */
const ORDER: readonly Instruction['type'][] = [
  'meter',
  'apply_actions',
  'clear_actions',
  'write_actions',
  'write_metadata',
  'goto_table',
  'opaque',
];

const ALL_METADATA = 0xffffffffffffffffn;

function instructionText(instruction: Instruction): string {
  switch (instruction.type) {
    case 'apply_actions':
      return instruction.actions.length === 0 ? '' : formatActions(instruction.actions);
    case 'write_actions':
      return `write_actions(${formatActions(instruction.actions)})`;
    case 'write_metadata': {
      const { metadata, mask } = instruction;
      return `write_metadata:${hex(metadata)}${mask === ALL_METADATA ? '' : `/${hex(mask)}`}`;
    }
    case 'goto_table':
      return `goto_table:${instruction.table}`;
    case 'meter':
      return `meter:${instruction.meterId}`;
    case 'opaque':
      return `unknown_instruction(type=${instruction.number},data=${bytesText(instruction.data)})`;
    default:
      return instruction.type;
  }
}

/** Instructions as `ovs-ofctl` writes them after `actions=`, in the order in which a switch carries them out. */
export function formatInstructions(instructions: readonly Instruction[]): string {
  const texts = instructions
    .toSorted((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type))
    .map(instructionText)
    .filter((text) => text !== '');
  return texts.length === 0 ? 'drop' : texts.join(',');
}
