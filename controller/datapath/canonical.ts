/**
 * The canonical form of entries, in which what was asked for and what a switch gives back can be compared as text.
 *
 * Open vSwitch gives entries back in its own normal form (observed on 3.1, and held by test/system/datapath.test.ts, which sends
 * every kind of entry through a real switch and back): fields in its own order and under their OpenFlow name whatever class they
 * were sent in, 64- and 128-bit registers as 32-bit ones, masks that cover the field dropped, masked sets as loads of contiguous
 * runs of bits, Nicira's twins of standard actions (dec_ttl, set_queue) as the standard ones, notes padded, instructions in
 * the order of execution. The canonical form undoes these differences on both sides. It is text because text is
 * compact, is compared quickly, and can be read in a failing test.
 */
import {
  type Action,
  type Bucket,
  ControllerMaxLength,
  type Field,
  Group,
  GroupType,
  type Instruction,
  type Match,
  MeterFlag,
  type MeterBand,
  type OxmValue,
  PacketInReason,
  Port,
  type Subfield,
} from '../../ofproto/index.js';

/** Identity of a flow entry on a switch: table, priority and match. Equal exactly for entries that replace each other. */
export function flowKey(table: number, priority: number, match: Match): string {
  return `f${table},${priority},${canonicalMatch(match)}`;
}

/** Table of the flow entry that a key identifies; undefined for the key of a group or meter. */
export function tableOfKey(key: string): number | undefined {
  return key.startsWith('f') ? Number(key.slice(1, key.indexOf(','))) : undefined;
}

export function groupKey(id: number): string {
  return `g${id}`;
}

export function meterKey(id: number): string {
  return `m${id}`;
}

/** Canonical text of a match: fields by name in ascending order, values without the bits that are not compared. */
export function canonicalMatch(match: Match): string {
  const parts: string[] = [];
  for (const { field, value, mask } of match) appendField(parts, field, value, mask);
  return parts.sort().join(',');
}

function appendField(parts: string[], field: Field, value: OxmValue, mask: OxmValue | undefined): void {
  const name = field.ovsName;
  if (typeof value === 'object') {
    parts.push(`${name}=${hex(value)}${typeof mask === 'object' ? `/${hex(mask)}` : ''}`);
  } else if (typeof value === 'number' && field.bits <= 32) {
    const compared = (mask ?? field.exactMask) as number;
    const exact = compared === field.exactMask;
    if (exact) parts.push(`${name}=${value.toString(16)}`);
    else if (compared !== 0)
      parts.push(`${name}=${((value & compared) >>> 0).toString(16)}/${compared.toString(16)}`);
  } else if (mask === undefined && !WIDE_REGISTER.test(name)) {
    parts.push(`${name}=${value.toString(16)}`);
  } else {
    const compared = BigInt((mask ?? field.exactMask) as number | bigint);
    for (const part of splitRegister(name, field.bits, BigInt(value) & compared, compared)) {
      if (part.mask === 0n) continue;
      const exact = part.mask === (1n << BigInt(part.bits)) - 1n;
      parts.push(`${part.name}=${part.value.toString(16)}${exact ? '' : `/${part.mask.toString(16)}`}`);
    }
  }
}

/** `xreg1` is reg2 and reg3, `xxreg1` is reg4 to reg7 (ovs-fields(7)). */
const WIDE_REGISTER = /^xx?reg(\d)$/;

interface FieldPart {
  readonly name: string;
  readonly bits: number;
  readonly value: bigint;
  readonly mask: bigint;
}

const WORD = 0xffff_ffffn;

/** The 32-bit registers of a wide one, the most significant word first. */
function splitRegister(name: string, bits: number, value: bigint, mask: bigint): FieldPart[] {
  const wide = WIDE_REGISTER.exec(name);
  if (wide === null) return [{ name, bits, value, mask }];
  const words = bits / 32;
  const first = Number(wide[1]) * words;
  return Array.from({ length: words }, (_, i) => {
    const shift = BigInt(32 * (words - 1 - i));
    return {
      name: `reg${first + i}`,
      bits: 32,
      value: (value >> shift) & WORD,
      mask: (mask >> shift) & WORD,
    };
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** What there is to compare of a flow entry beside its key. */
export interface FlowContent {
  readonly cookie: bigint;
  readonly instructions: readonly Instruction[];
  /** 0 in entries of ours, which never time out. */
  readonly idleTimeout?: number;
  readonly hardTimeout?: number;
  readonly flags?: number;
}

export function canonicalFlow(flow: FlowContent): string {
  const lifetime =
    (flow.idleTimeout ?? 0) === 0 && (flow.hardTimeout ?? 0) === 0 && (flow.flags ?? 0) === 0
      ? ''
      : ` idle=${flow.idleTimeout} hard=${flow.hardTimeout} flags=${flow.flags}`;
  return `${flow.cookie.toString(16)} ${canonicalInstructions(flow.instructions)}${lifetime}`;
}

/** Order of execution (OpenFlow 1.3.5, section 5.9). */
const INSTRUCTION_ORDER: readonly Instruction['type'][] = [
  'meter',
  'apply_actions',
  'clear_actions',
  'write_actions',
  'write_metadata',
  'goto_table',
  'opaque',
];

export function canonicalInstructions(instructions: readonly Instruction[]): string {
  const texts: string[] = [];
  for (const type of INSTRUCTION_ORDER) {
    for (const instruction of instructions) {
      if (instruction.type !== type) continue;
      const text = canonicalInstruction(instruction);
      if (text !== '') texts.push(text);
    }
  }
  return texts.join(' ');
}

function canonicalInstruction(instruction: Instruction): string {
  switch (instruction.type) {
    case 'meter':
      return `meter:${instruction.meterId}`;
    case 'apply_actions':
      return instruction.actions.length === 0 ? '' : `apply(${canonicalActions(instruction.actions)})`;
    case 'clear_actions':
      return 'clear';
    case 'write_actions':
      return instruction.actions.length === 0 ? '' : `write(${canonicalActions(instruction.actions)})`;
    case 'write_metadata':
      return `metadata:${(instruction.metadata & instruction.mask).toString(16)}/${instruction.mask.toString(16)}`;
    case 'goto_table':
      return `goto:${instruction.table}`;
    case 'opaque':
      return `opaque:${instruction.number}:${hex(instruction.data)}`;
  }
}

/** A write of some bits of a field; writes that follow each other to one field are one write. */
interface FieldWrite {
  readonly name: string;
  value: bigint;
  mask: bigint;
}

export function canonicalActions(actions: readonly Action[]): string {
  const texts: string[] = [];
  let pending: FieldWrite | undefined;
  const flush = (): void => {
    if (pending !== undefined)
      texts.push(`set:${pending.name}=${pending.value.toString(16)}/${pending.mask.toString(16)}`);
    pending = undefined;
  };
  for (const action of actions) {
    const write = fieldWrite(action);
    if (write === undefined) {
      flush();
      texts.push(canonicalAction(action));
    } else if (pending !== undefined && pending.name === write.name) {
      pending.value = (pending.value & ~write.mask) | write.value;
      pending.mask |= write.mask;
    } else {
      flush();
      pending = write;
    }
  }
  flush();
  return texts.join(',');
}

function fieldWrite(action: Action): FieldWrite | undefined {
  switch (action.type) {
    case 'set_field':
    case 'reg_load2': {
      const { field, value, mask } = action.oxm;
      if (typeof value === 'object') return undefined;
      const written = BigInt((mask ?? field.exactMask) as number | bigint);
      return { name: field.ovsName, value: BigInt(value) & written, mask: written };
    }
    case 'reg_load': {
      const shift = BigInt(action.offset);
      const written = ((1n << BigInt(action.bits)) - 1n) << shift;
      return { name: action.dst.ovsName, value: (action.value << shift) & written, mask: written };
    }
    default:
      return undefined;
  }
}

function canonicalAction(action: Action): string {
  switch (action.type) {
    case 'output':
      return action.port === Port.CONTROLLER ? `controller:${action.maxLen}` : `output:${action.port}`;
    case 'group':
      return `group:${action.groupId}`;
    case 'set_queue':
    case 'nx_set_queue':
      return `set_queue:${action.queueId}`;
    case 'dec_nw_ttl':
    case 'dec_ttl':
      return 'dec_ttl';
    case 'resubmit':
    case 'resubmit_ct':
      return `${action.type}:${action.port ?? Port.IN_PORT},${action.table ?? 0xff}`;
    case 'reg_move':
      return `move:${action.src.ovsName}[${action.srcOffset}]>${action.dst.ovsName}[${action.dstOffset}]*${action.bits}`;
    case 'output_reg':
      return `output_reg:${action.src.ovsName}[${action.offset}]*${action.bits},${action.maxLen}`;
    case 'controller':
      return canonicalController(action);
    case 'controller2':
      return canonicalController(action);
    case 'conjunction':
      return `conjunction:${action.id},${action.clause}/${action.clauses}`;
    case 'ct':
      return (
        `ct:${action.flags},zone=${typeof action.zone === 'number' ? action.zone : subfield(action.zone)},` +
        `table=${action.recircTable ?? ''},alg=${action.alg}(${canonicalActions(action.actions)})`
      );
    case 'clone':
      return `clone(${canonicalActions(action.actions)})`;
    case 'note':
      return `note:${hex(action.data).replace(/(00)+$/, '')}`;
    case 'set_field':
    case 'reg_load2':
      return `set:${action.oxm.field.ovsName}=${valueText(action.oxm.value)}/${valueText(action.oxm.mask ?? '')}`;
    default:
      return genericText(action);
  }
}

function canonicalController(action: {
  readonly maxLen?: number;
  readonly controllerId?: number;
  readonly reason?: number;
  readonly userdata?: Uint8Array;
  readonly pause?: boolean;
  readonly meterId?: number;
}): string {
  const { maxLen = ControllerMaxLength.NO_BUFFER, controllerId = 0, reason = PacketInReason.ACTION } = action;
  const rest = `${hex(action.userdata ?? new Uint8Array(0))},${action.pause === true},${action.meterId ?? ''}`;
  return `controller2:${maxLen},${controllerId},${reason},${rest}`;
}

function subfield({ field, offset, bits }: Subfield): string {
  return `${field.ovsName}[${offset}]*${bits}`;
}

function valueText(value: OxmValue | ''): string {
  return typeof value === 'object' ? hex(value) : value.toString(16);
}

/** Type and members by name, for actions that come back as they were sent. */
function genericText(action: Action): string {
  return JSON.stringify(action, (_, member: unknown) => {
    if (typeof member === 'bigint') return member.toString(16);
    return member instanceof Uint8Array ? hex(member) : member;
  });
}

export function canonicalGroup(group: {
  readonly groupType: number;
  readonly buckets: readonly Bucket[];
}): string {
  return `${group.groupType} ${group.buckets.map((bucket) => canonicalBucket(group.groupType, bucket)).join(' ')}`;
}

/** Weights count in select groups and watches in fast failover groups; elsewhere the switch gives back what it likes. */
function canonicalBucket(groupType: number, bucket: Bucket): string {
  const weight = groupType === GroupType.SELECT ? `*${bucket.weight}` : '';
  const watched =
    groupType === GroupType.FAST_FAILOVER || bucket.watchPort !== Port.ANY || bucket.watchGroup !== Group.ANY;
  const watch = watched ? `@${bucket.watchPort},${bucket.watchGroup}` : '';
  return `[${canonicalActions(bucket.actions)}${weight}${watch}]`;
}

export function canonicalMeter(meter: {
  readonly flags: number;
  readonly bands: readonly MeterBand[];
}): string {
  const burst = (meter.flags & MeterFlag.BURST) !== 0;
  const bands = meter.bands.map((band) => {
    if (band.type === 'opaque') return genericBand(band);
    return `${band.type}:${band.rate},${burst ? band.burstSize : ''}${band.type === 'drop' ? '' : genericBand(band)}`;
  });
  return `${meter.flags} ${bands.join(' ')}`;
}

function genericBand(band: MeterBand): string {
  return JSON.stringify(band, (_, member: unknown) => (member instanceof Uint8Array ? hex(member) : member));
}
