/**
 * A table of entries executed in this process: enough of OpenFlow for what the apps derive, so that what becomes of thousands of packets
 * can be asked without Open vSwitch. test/system asks Open vSwitch the same questions, fewer of them.
 */
import type { DesiredEntry, DesiredFlow, DesiredGroup } from '../../controller/datapath/entry.js';
import {
  type Action,
  type ActionOf,
  CtState,
  type Field,
  GroupType,
  type OxmValue,
  Port,
} from '../../ofproto/index.js';

/** Values of fields by name; a field that is not there is 0. Numbers are bigints here. */
export type Packet = ReadonlyMap<string, bigint>;

export interface Output {
  readonly port: number;
  readonly packet: Packet;
}

/** Where execution stands: the packet as it is now, and what has left the switch. */
interface Execution {
  readonly packet: Map<string, bigint>;
  readonly outputs: Output[];
  /** Entries met, for those who ask why. */
  readonly trace: DesiredFlow[];
  depth: number;
}

const MAX_DEPTH = 64;

export class SoftwareSwitch {
  /** By table, in descending order of priority. */
  readonly #tables = new Map<number, DesiredFlow[]>();
  readonly #groups = new Map<number, DesiredGroup>();

  constructor(entries: Iterable<DesiredEntry>) {
    for (const entry of entries) {
      if (entry.kind === 'group') this.#groups.set(entry.id, entry);
      if (entry.kind !== 'flow') continue;
      const table = this.#tables.get(entry.table);
      if (table === undefined) this.#tables.set(entry.table, [entry]);
      else table.push(entry);
    }
    for (const table of this.#tables.values()) table.sort((a, b) => b.priority - a.priority);
  }

  /** What leaves the switch when a packet with these fields comes in by a port, in order; and the entries that it met. */
  execute(inPort: number, fields: Packet): { outputs: readonly Output[]; trace: readonly DesiredFlow[] } {
    const packet = new Map(fields).set('in_port', BigInt(inPort));
    const execution: Execution = { packet, outputs: [], trace: [], depth: 0 };
    this.#lookUp(0, execution);
    return execution;
  }

  #lookUp(table: number, execution: Execution): void {
    if (++execution.depth > MAX_DEPTH) throw new Error('too deep: a loop of resubmits or groups');
    const flow = this.#tables.get(table)?.find(({ match }) => {
      return match.every(({ field, value, mask }) => {
        const compared = bits(mask ?? field.exactMask);
        return ((execution.packet.get(field.name) ?? 0n) & compared) === (bits(value) & compared);
      });
    });
    if (flow !== undefined) {
      execution.trace.push(flow);
      for (const instruction of flow.instructions) {
        if (instruction.type === 'apply_actions') this.#apply(instruction.actions, execution);
        else if (instruction.type === 'goto_table') this.#lookUp(instruction.table, execution);
        else throw new Error(`the apps use no ${instruction.type}`);
      }
    }
    execution.depth--;
  }

  #apply(actions: readonly Action[], execution: Execution): void {
    for (const action of actions) this.#act(action, execution);
  }

  #act(action: Action, execution: Execution): void {
    const { packet } = execution;
    switch (action.type) {
      case 'output':
        return output(action.port, execution);
      case 'output_reg':
        return output(Number(read(packet, action.src, action.offset, action.bits)), execution);
      case 'set_field':
        packet.set(action.oxm.field.name, bits(action.oxm.value));
        return;
      case 'reg_load':
        return write(packet, action.dst, action.offset, action.bits, action.value);
      case 'reg_move':
        return write(
          packet,
          action.dst,
          action.dstOffset,
          action.bits,
          read(packet, action.src, action.srcOffset, action.bits),
        );
      case 'push_vlan':
        packet.set('vlan_vid', 0x1000n);
        return;
      case 'pop_vlan':
        packet.set('vlan_vid', 0n);
        return;
      case 'resubmit':
        return this.#lookUp(action.table as number, execution);
      case 'group':
        return this.#group(action.groupId, execution);
      case 'ct':
        return this.#track(action, execution);
      default:
        throw new Error(`the apps use no ${action.type}`);
    }
  }

  /** Every packet begins a connection of its own. */
  #track({ recircTable }: ActionOf<'ct'>, execution: Execution): void {
    if (recircTable === undefined) return;
    const packet = new Map(execution.packet).set('ct_state', BigInt(CtState.TRACKED | CtState.NEW));
    this.#lookUp(recircTable, { ...execution, packet });
  }

  /** Each bucket on a copy of the packet. A bucket is an action set: one group or output at most. */
  #group(id: number, execution: Execution): void {
    const group = this.#groups.get(id);
    if (group === undefined) throw new Error(`no group ${id}`);
    const buckets = group.groupType === GroupType.ALL ? group.buckets : group.buckets.slice(0, 1);
    for (const { actions } of buckets) {
      const ends = actions.filter(({ type }) => type === 'output' || type === 'group' || type === 'resubmit');
      if (ends.length > 1) throw new Error(`group ${id}: a bucket with ${ends.length} ends executes one`);
      this.#apply(actions, { ...execution, packet: new Map(execution.packet) });
    }
  }
}

/** A packet does not leave by the port it came from, unless told to by name. */
function output(port: number, { packet, outputs }: Execution): void {
  const inPort = Number(packet.get('in_port') ?? 0n);
  if (port === inPort) return;
  outputs.push({ port: port === Port.IN_PORT ? inPort : port, packet: new Map(packet) });
}

function bits(value: OxmValue): bigint {
  if (typeof value === 'object') throw new Error('the apps use no fields of bytes');
  return BigInt(value);
}

function read(packet: Packet, field: Field, offset: number, width: number): bigint {
  return ((packet.get(field.name) ?? 0n) >> BigInt(offset)) & ((1n << BigInt(width)) - 1n);
}

function write(
  packet: Map<string, bigint>,
  field: Field,
  offset: number,
  width: number,
  value: bigint,
): void {
  const mask = ((1n << BigInt(width)) - 1n) << BigInt(offset);
  packet.set(field.name, ((packet.get(field.name) ?? 0n) & ~mask) | (value << BigInt(offset)));
}
