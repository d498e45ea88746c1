/** Messages with the values that are usually meant where nothing is said. */
import type { Action, Instruction } from './actions.js';
import { ControllerMaxLength, FlowModCommand, Group, NO_BUFFER, Port, TableId } from './constants.js';
import type { FlowMod, PacketOut } from './messages.js';
import type { FlowStatsRequest } from './multipart.js';

/** What a FLOW_MOD says; all but the named ones have defaults. */
export type FlowModFields = Partial<Omit<FlowMod, 'type'>>;

/**
 * A FLOW_MOD: adds to table 0 at priority 0x8000, without timeouts, flags, match and instructions, unless told
 * otherwise. Deletions are not limited to an output port or group.
 */
export function flowMod(fields: FlowModFields): FlowMod {
  return {
    type: 'flow_mod',
    xid: fields.xid ?? 0,
    command: fields.command ?? FlowModCommand.ADD,
    tableId: fields.tableId ?? 0,
    cookie: fields.cookie ?? 0n,
    cookieMask: fields.cookieMask ?? 0n,
    idleTimeout: fields.idleTimeout ?? 0,
    hardTimeout: fields.hardTimeout ?? 0,
    priority: fields.priority ?? 0x8000,
    bufferId: fields.bufferId ?? NO_BUFFER,
    outPort: fields.outPort ?? Port.ANY,
    outGroup: fields.outGroup ?? Group.ANY,
    flags: fields.flags ?? 0,
    match: fields.match ?? [],
    instructions: fields.instructions ?? [],
  };
}

/** A PACKET_OUT of a packet that is not buffered at the switch, as if the controller had sent it, unless told otherwise. */
export function packetOut(fields: Partial<Omit<PacketOut, 'type'>>): PacketOut {
  return {
    type: 'packet_out',
    xid: fields.xid ?? 0,
    bufferId: fields.bufferId ?? NO_BUFFER,
    inPort: fields.inPort ?? Port.CONTROLLER,
    actions: fields.actions ?? [],
    data: fields.data ?? new Uint8Array(0),
  };
}

/** Selects all flow entries of all tables, unless told otherwise. */
export function flowStatsRequest(fields: Partial<FlowStatsRequest> = {}): FlowStatsRequest {
  return {
    tableId: fields.tableId ?? TableId.ALL,
    outPort: fields.outPort ?? Port.ANY,
    outGroup: fields.outGroup ?? Group.ANY,
    cookie: fields.cookie ?? 0n,
    cookieMask: fields.cookieMask ?? 0n,
    match: fields.match ?? [],
  };
}

/** `output` to a port; to the controller, with the whole packet. */
export const output = (port: number): Action => ({
  type: 'output',
  port,
  maxLen: port === Port.CONTROLLER ? ControllerMaxLength.NO_BUFFER : 0,
});

/** `apply_actions` with these actions. */
export const apply = (...actions: readonly Action[]): Instruction => ({ type: 'apply_actions', actions });

/** `goto_table`. */
export const gotoTable = (table: number): Instruction => ({ type: 'goto_table', table });
