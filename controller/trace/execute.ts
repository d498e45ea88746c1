/**
 * The tables of a switch, executed: what OpenFlow 1.3.5 (section 5) and ovs-actions(7) say becomes of a packet. Pure: whoever calls
 * gives the entries, and says what connection tracking would.
 *
 * What cannot be told (an action this library does not know, a hash of the switch) is a step that says so and ends that copy's way; it
 * is never guessed.
 */
import {
  type Action,
  type ActionOf,
  CtFlag,
  F,
  formatActions,
  type Instruction,
  Port,
} from '../../ofproto/index.js';
import { actionList, mergeActions } from './action-set.js';
import type { ExecutableFlow, FlowTable } from './flow-table.js';
import { type ExecutableGroup, takenBuckets } from './group-buckets.js';
import { type Packet, readBits, readField, toBits, writeBits, writeMasked } from './packet.js';
import type { Lookup, LookupCause, Step } from './steps.js';

/** Entries of a switch. */
export interface ExecutableSwitch<E extends ExecutableFlow> {
  /** `unread`: its entries are not known. */
  table(id: number): FlowTable<E> | 'unread';
  /** Undefined: there is no such group. `unread`: its groups are not known. */
  group(id: number): ExecutableGroup | 'unread' | undefined;
  /** Whether a port is up, for groups that watch it; undefined: it is not known. */
  portUp?(port: number): boolean | undefined;
}

/** The fields of connection tracking (`ct_state`, `ct_nw_src`, …) of a packet that is looked up among the connections of a zone. */
export type Track = (packet: Packet, zone: number) => Packet;

/** Open vSwitch gives up at these (ofproto/ofproto-dpif-xlate.c): lookups that do not go forward within each other, and in all. */
const MAX_DEPTH = 64;
const MAX_RESUBMITS = 4096;
/** Fields that connection tracking fills in and that end with what it was asked for. */
const CONNECTION_FIELDS: readonly string[] = [
  F.ct_state,
  F.ct_zone,
  F.ct_mark,
  F.ct_label,
  F.ct_nw_proto,
  F.ct_nw_src,
  F.ct_nw_dst,
  F.ct_ipv6_src,
  F.ct_ipv6_dst,
  F.ct_tp_src,
  F.ct_tp_dst,
].map(({ name }) => name);
/** Ports from here on have a meaning; Nicira's 16-bit numbers have them at the same distance from the end. */
const FIRST_RESERVED_16 = 0xff00;
const RESERVED_OFFSET = 0xffff0000;

/** What becomes of a packet that comes in with these fields (`in_port` among them). */
export function execute<E extends ExecutableFlow>(
  device: ExecutableSwitch<E>,
  packet: Packet,
  track: Track,
): Lookup<E> {
  return new Execution(device, track).pipeline(new Map(packet), 0, 'start');
}

/** What these actions do with a packet in no table: those of a packet-out. */
export function executeActions<E extends ExecutableFlow>(
  device: ExecutableSwitch<E>,
  packet: Packet,
  actions: readonly Action[],
  track: Track,
): readonly Step<E>[] {
  return new Execution(device, track).actions(new Map(packet), actions);
}

/** One copy of the packet, and what it takes along. */
interface Copy {
  readonly packet: Map<string, bigint>;
  /** Merged by `write_actions`. */
  actionSet: readonly Action[];
  /** Values of `stack_push`. */
  readonly stack: bigint[];
  /** Table of the entry being executed. */
  table: number;
  depth: number;
  queue: number | undefined;
  /**
   * `exit`: no further actions (of the action set neither, as Open vSwitch 3.1 has it, against ovs-actions(7)). `unknown`: nothing further
   * can be told.
   */
  ended: 'exit' | 'unknown' | undefined;
}

class Execution<E extends ExecutableFlow> {
  #resubmits = 0;

  constructor(
    private readonly device: ExecutableSwitch<E>,
    private readonly track: Track,
  ) {}

  /** From a table to the end of the pipeline, action set included. */
  pipeline(
    packet: Map<string, bigint>,
    table: number,
    cause: LookupCause,
    from: Partial<Copy> = {},
  ): Lookup<E> {
    const { actionSet = [], stack = [], depth = 0, queue } = from;
    const copy: Copy = { packet, actionSet, stack: [...stack], table, depth, queue, ended: undefined };
    const steps: Step<E>[] = [];
    const found = this.#look(copy, table, steps);
    this.#end(copy, steps);
    return { kind: 'lookup', table, cause, ...found, steps };
  }

  actions(packet: Map<string, bigint>, actions: readonly Action[]): readonly Step<E>[] {
    const steps: Step<E>[] = [];
    // Tables are numbered from 0, so that a resubmit from here goes forward.
    const copy = {
      packet,
      actionSet: [],
      stack: [],
      table: -1,
      depth: 0,
      queue: undefined,
      ended: undefined,
    };
    this.#apply(actions, copy, steps);
    return steps;
  }

  /** Where a copy's pipeline ends, its action set is executed. */
  #end(copy: Copy, steps: Step<E>[]): void {
    if (copy.ended !== undefined || copy.actionSet.length === 0) return;
    const below: Step<E>[] = [];
    this.#apply(actionList(copy.actionSet), copy, below);
    steps.push({ kind: 'action_set', steps: below });
  }

  /** Looks a copy up and executes what is found; the steps of the entry go into `steps`. */
  #look(
    copy: Copy,
    table: number,
    steps: Step<E>[],
    inPort?: number,
  ): Omit<Lookup<E>, 'kind' | 'table' | 'cause' | 'steps'> {
    const packet = new Map(copy.packet);
    const entries = this.device.table(table);
    if (entries === 'unread') {
      steps.push({ kind: 'unread', what: { table } });
      copy.ended = 'unknown';
      return { packet, doubtful: [] };
    }
    const seen = inPort === undefined ? packet : new Map(packet).set('in_port', BigInt(inPort));
    const found = entries.lookUp(seen);
    for (const instruction of found.entry?.instructions ?? []) {
      if (copy.ended !== undefined) break;
      copy.table = table;
      this.#instruct(instruction, copy, steps);
    }
    return { packet: seen, ...found };
  }

  #instruct(instruction: Instruction, copy: Copy, steps: Step<E>[]): void {
    switch (instruction.type) {
      case 'goto_table':
        steps.push(this.#lookUp(copy, instruction.table, 'goto'));
        return;
      case 'apply_actions':
        return this.#apply(instruction.actions, copy, steps);
      case 'write_actions':
        copy.actionSet = mergeActions(copy.actionSet, instruction.actions);
        return;
      case 'clear_actions':
        copy.actionSet = [];
        return;
      case 'write_metadata':
        return writeMasked(copy.packet, F.metadata, instruction.metadata, instruction.mask);
      case 'meter':
        steps.push({ kind: 'meter', id: instruction.meterId });
        return;
      case 'opaque':
        return unknown(copy, steps, `an instruction of type ${instruction.number}, which Weft does not know`);
    }
  }

  #lookUp(copy: Copy, table: number, cause: LookupCause, inPort?: number): Lookup<E> {
    const steps: Step<E>[] = [];
    const deepens = table <= copy.table;
    const { table: from, depth } = copy;
    if (deepens && depth >= MAX_DEPTH) {
      unknown(copy, steps, `lookups within each other to a depth of ${MAX_DEPTH}: the switch gives up`);
      return { kind: 'lookup', table, cause, packet: copy.packet, doubtful: [], steps };
    }
    if (deepens) copy.depth++;
    const found = this.#look(copy, table, steps, inPort);
    copy.table = from;
    copy.depth = depth;
    return { kind: 'lookup', table, cause, ...found, steps };
  }

  #apply(actions: readonly Action[], copy: Copy, steps: Step<E>[]): void {
    for (const action of actions) {
      if (copy.ended !== undefined) return;
      this.#act(action, copy, steps);
    }
  }

  #act(action: Action, copy: Copy, steps: Step<E>[]): void {
    const { packet } = copy;
    switch (action.type) {
      case 'output':
      case 'output_trunc':
        return output(action.port, copy, steps);
      case 'output_reg':
        return output(
          wholePort(Number(readBits(packet, action.src, action.offset, action.bits))),
          copy,
          steps,
        );
      case 'set_field':
      case 'reg_load2': {
        const { field, value, mask } = action.oxm;
        return writeMasked(packet, field, toBits(value), toBits(mask ?? field.exactMask));
      }
      case 'reg_load':
        return writeBits(packet, action.dst, action.offset, action.bits, action.value);
      case 'reg_move': {
        const value = readBits(packet, action.src, action.srcOffset, action.bits);
        return writeBits(packet, action.dst, action.dstOffset, action.bits, value);
      }
      case 'stack_push':
        copy.stack.push(readBits(packet, action.src.field, action.src.offset, action.src.bits));
        return;
      case 'stack_pop':
        return writeBits(
          packet,
          action.dst.field,
          action.dst.offset,
          action.dst.bits,
          copy.stack.pop() ?? 0n,
        );
      case 'push_vlan':
        if (readField(packet, F.vlan_vid) !== 0n) return unknown(copy, steps, 'a second VLAN tag');
        return writeBits(packet, F.vlan_tci, 0, 16, 0x1000n);
      case 'pop_vlan':
        return writeBits(packet, F.vlan_tci, 0, 16, 0n);
      case 'set_nw_ttl':
        packet.set(F.nw_ttl.name, BigInt(action.ttl));
        return;
      case 'dec_nw_ttl':
      case 'dec_ttl':
      case 'dec_ttl_cnt_ids':
        return decrementTtl(copy, steps);
      case 'resubmit': {
        if (++this.#resubmits > MAX_RESUBMITS) {
          return unknown(copy, steps, `more than ${MAX_RESUBMITS} resubmits: the switch gives up`);
        }
        const port = action.port === Port.IN_PORT ? undefined : action.port;
        steps.push(this.#lookUp(copy, action.table ?? copy.table, 'resubmit', port));
        return;
      }
      case 'group':
        return this.#group(action.groupId, copy, steps);
      case 'ct':
        return this.#track(action, copy, steps);
      case 'ct_clear':
        return forgetConnection(packet);
      case 'clone': {
        const below: Step<E>[] = [];
        const clone = copied(copy);
        this.#apply(action.actions, clone, below);
        this.#end(clone, below);
        steps.push({ kind: 'copy', steps: below });
        return;
      }
      case 'controller':
      case 'controller2': {
        const { controllerId = 0 } = action;
        const { meterId, userdata, pause } = action.type === 'controller2' ? action : {};
        steps.push({
          kind: 'controller',
          controllerId,
          ...(meterId === undefined ? {} : { meterId }),
          ...(userdata === undefined ? {} : { userdata }),
          packet: new Map(packet),
        });
        if (pause === true) unknown(copy, steps, 'the packet waits for the controller to go on');
        return;
      }
      case 'set_queue':
      case 'nx_set_queue':
        copy.queue = action.queueId;
        return;
      case 'pop_queue':
        copy.queue = undefined;
        return;
      case 'exit':
        copy.ended = 'exit';
        return;
      // Without effect on the packet.
      case 'conjunction':
      case 'fin_timeout':
      case 'learn':
      case 'note':
        return;
      default:
        return unknown(copy, steps, `the action ${formatActions([action])}, which is not followed`);
    }
  }

  #group(id: number, copy: Copy, steps: Step<E>[]): void {
    const group = this.device.group(id);
    if (group === 'unread') {
      steps.push({ kind: 'unread', what: 'groups' });
      copy.ended = 'unknown';
      return;
    }
    if (group === undefined) return unknown(copy, steps, `group ${id}, which the switch does not have`);
    const taken = takenBuckets(id, group, this.device);
    if ('unknown' in taken) return unknown(copy, steps, taken.unknown);
    if (copy.depth >= MAX_DEPTH) {
      return unknown(copy, steps, `groups within each other to a depth of ${MAX_DEPTH}: the switch gives up`);
    }
    const { chosen, failover } = taken;
    const buckets = taken.buckets.map(({ actions }) => {
      const below: Step<E>[] = [];
      // A bucket is an action set (section 5.6.1), on its own copy.
      this.#apply(actionList(mergeActions([], actions)), { ...copied(copy), depth: copy.depth + 1 }, below);
      return below;
    });
    steps.push({ kind: 'group', id, chosen, ...(failover === undefined ? {} : { failover }), buckets });
  }

  #track(action: ActionOf<'ct'>, copy: Copy, steps: Step<E>[]): void {
    const { packet } = copy;
    const { flags, recircTable, actions } = action;
    const zone =
      typeof action.zone === 'number'
        ? action.zone
        : Number(readBits(packet, action.zone.field, action.zone.offset, action.zone.bits));
    if (actions.some(({ type }) => type === 'nat')) {
      return unknown(copy, steps, 'address translation (nat), which is not followed');
    }
    const commit = (flags & CtFlag.COMMIT) !== 0;
    let lookup: Lookup<E> | undefined;
    if (recircTable !== undefined) {
      const tracked = new Map(packet);
      for (const [field, value] of this.track(packet, zone)) tracked.set(field, value);
      tracked.set(F.ct_zone.name, BigInt(zone));
      this.#apply(actions, { ...copied(copy), packet: tracked }, []);
      lookup = this.pipeline(tracked, recircTable, 'tracked', copy);
    }
    steps.push({ kind: 'track', zone, commit, ...(lookup === undefined ? {} : { lookup }) });
    // What goes on in this table is untracked, whatever it was before.
    forgetConnection(packet);
  }
}

function copied(copy: Copy): Copy {
  return { ...copy, packet: new Map(copy.packet), stack: [...copy.stack] };
}

function unknown<E>(copy: Copy, steps: Step<E>[], what: string): void {
  steps.push({ kind: 'unknown', what });
  copy.ended = 'unknown';
}

/** A packet does not leave by the port it came from, unless told to by name (section 7.2.1). */
function output<E>(port: number, copy: Copy, steps: Step<E>[]): void {
  const inPort = Number(copy.packet.get('in_port') ?? 0n);
  const packet = new Map(copy.packet);
  switch (port) {
    case inPort:
      steps.push({ kind: 'suppressed', port });
      return;
    case Port.CONTROLLER:
      steps.push({ kind: 'controller', controllerId: 0, packet });
      return;
    case Port.ANY:
      return;
    case Port.TABLE:
    case Port.NORMAL:
    case Port.FLOOD:
    case Port.ALL:
      return unknown(
        copy,
        steps,
        `output to the reserved port 0x${port.toString(16)}, which is not followed`,
      );
    default: {
      const { queue } = copy;
      steps.push({
        kind: 'output',
        port: port === Port.IN_PORT ? inPort : port,
        packet,
        ...(queue === undefined ? {} : { queue }),
      });
    }
  }
}

/** A port number of 16 bits as one of 32. */
function wholePort(port: number): number {
  return port >= FIRST_RESERVED_16 && port <= 0xffff ? port + RESERVED_OFFSET : port;
}

function decrementTtl<E>(copy: Copy, steps: Step<E>[]): void {
  const ttl = copy.packet.get(F.nw_ttl.name) ?? 0n;
  if (ttl > 1n) copy.packet.set(F.nw_ttl.name, ttl - 1n);
  else {
    // Goes to the controller, and nowhere else.
    steps.push({ kind: 'controller', controllerId: 0, packet: new Map(copy.packet) });
    copy.ended = 'exit';
  }
}

function forgetConnection(packet: Map<string, bigint>): void {
  for (const name of CONNECTION_FIELDS) packet.delete(name);
}
