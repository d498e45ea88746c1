/**
 * Actions and instructions as values (OpenFlow 1.3.5, sections 7.2.4 and 7.2.5; Nicira's as in ovs-actions(7)).
 * Port numbers are the 32-bit ones of OpenFlow 1.3 everywhere, also where Nicira's wire form has 16 bits.
 */
import type { Field } from './oxm/field.js';
import type { Oxm } from './oxm/oxm.js';

export type Action = StandardAction | NiciraAction | OpaqueAction;

/** Actions of OpenFlow 1.3.5. */
export type StandardAction =
  /** `maxLen`: bytes of the packet sent to the controller; matters only where `port` is `Port.CONTROLLER`. */
  | { readonly type: 'output'; readonly port: number; readonly maxLen: number }
  | { readonly type: 'copy_ttl_out' }
  | { readonly type: 'copy_ttl_in' }
  | { readonly type: 'set_mpls_ttl'; readonly ttl: number }
  | { readonly type: 'dec_mpls_ttl' }
  | { readonly type: 'push_vlan'; readonly ethertype: number }
  | { readonly type: 'pop_vlan' }
  | { readonly type: 'push_mpls'; readonly ethertype: number }
  | { readonly type: 'pop_mpls'; readonly ethertype: number }
  | { readonly type: 'set_queue'; readonly queueId: number }
  | { readonly type: 'group'; readonly groupId: number }
  | { readonly type: 'set_nw_ttl'; readonly ttl: number }
  | { readonly type: 'dec_nw_ttl' }
  /** `oxm.mask` is an extension of OpenFlow 1.5; Open vSwitch on 1.3 wants `reg_load2` for it. */
  | { readonly type: 'set_field'; readonly oxm: Oxm }
  | { readonly type: 'push_pbb'; readonly ethertype: number }
  | { readonly type: 'pop_pbb' };

/** Bits of a field: `bits` bits from bit `offset` (0 is the least significant). */
export interface Subfield {
  readonly field: Field;
  readonly offset: number;
  readonly bits: number;
}

/** Actions of Nicira (experimenter 0x00002320). */
export type NiciraAction =
  /**
   * Looks the packet up again, in `table` (the current one when absent) as if it had come from `port` (the real one
   * when absent). Without a table the short form NXAST_RESUBMIT (1) is written, with one NXAST_RESUBMIT_TABLE (14).
   */
  | { readonly type: 'resubmit'; readonly port?: number; readonly table?: number }
  /** As `resubmit`, matching on the original direction's tuple of conntrack. */
  | { readonly type: 'resubmit_ct'; readonly port?: number; readonly table?: number }
  | {
      readonly type: 'reg_move';
      readonly src: Field;
      readonly srcOffset: number;
      readonly dst: Field;
      readonly dstOffset: number;
      readonly bits: number;
    }
  | {
      readonly type: 'reg_load';
      readonly dst: Field;
      readonly offset: number;
      readonly bits: number;
      readonly value: bigint;
    }
  /** Sets the bits of the field that the mask names (all when there is none). */
  | { readonly type: 'reg_load2'; readonly oxm: Oxm }
  | {
      readonly type: 'output_reg';
      readonly src: Field;
      readonly offset: number;
      readonly bits: number;
      readonly maxLen: number;
    }
  | LearnAction
  /** Sends to the controller with id `controllerId`, NXAST_CONTROLLER (20). */
  | {
      readonly type: 'controller';
      readonly maxLen: number;
      readonly controllerId: number;
      readonly reason: number;
    }
  /** Sends to a controller with user data, NXAST_CONTROLLER2 (37). Absent properties take the switch's defaults. */
  | {
      readonly type: 'controller2';
      readonly maxLen?: number;
      readonly controllerId?: number;
      readonly reason?: number;
      readonly userdata?: Uint8Array;
      readonly pause?: boolean;
      readonly meterId?: number;
    }
  /** Dimension `clause` (from 1) of `clauses` of the conjunctive match `id`. */
  | { readonly type: 'conjunction'; readonly id: number; readonly clause: number; readonly clauses: number }
  | CtAction
  | NatAction
  | { readonly type: 'ct_clear' }
  | { readonly type: 'dec_ttl' }
  | { readonly type: 'dec_ttl_cnt_ids'; readonly controllerIds: readonly number[] }
  /** Bytes without effect; the wire pads them to 6 + 8n with zeros, which a decoder cannot tell from the note. */
  | { readonly type: 'note'; readonly data: Uint8Array }
  | { readonly type: 'nx_set_queue'; readonly queueId: number }
  | { readonly type: 'pop_queue' }
  | { readonly type: 'exit' }
  /** Outputs at most `maxLen` bytes of the packet. */
  | { readonly type: 'output_trunc'; readonly port: number; readonly maxLen: number }
  | { readonly type: 'fin_timeout'; readonly finIdleTimeout: number; readonly finHardTimeout: number }
  | { readonly type: 'stack_push'; readonly src: Subfield }
  | { readonly type: 'stack_pop'; readonly dst: Subfield }
  | { readonly type: 'check_pkt_larger'; readonly packetLength: number; readonly dst: Subfield }
  | { readonly type: 'delete_field'; readonly field: Field }
  /** Runs the actions on a copy of the packet. */
  | { readonly type: 'clone'; readonly actions: readonly Action[] };

/** Adds or modifies a flow entry made from the packet, NXAST_LEARN (16). */
export interface LearnAction {
  readonly type: 'learn';
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly priority: number;
  readonly cookie: bigint;
  /** `LearnFlag` bits. */
  readonly flags: number;
  readonly table: number;
  readonly finIdleTimeout: number;
  readonly finHardTimeout: number;
  readonly specs: readonly LearnSpec[];
}

/** One thing a learned entry matches, loads or outputs to. */
export type LearnSpec =
  | { readonly kind: 'match_field'; readonly src: Subfield; readonly dst: Subfield }
  /** `value`: the bits in network order, as many bytes as `dst.bits` need rounded up to 16 bits. */
  | { readonly kind: 'match_value'; readonly value: bigint; readonly dst: Subfield }
  | { readonly kind: 'load_field'; readonly src: Subfield; readonly dst: Subfield }
  | { readonly kind: 'load_value'; readonly value: bigint; readonly dst: Subfield }
  | { readonly kind: 'output'; readonly src: Subfield };

/** Sends the packet through connection tracking, NXAST_CT (35). */
export interface CtAction {
  readonly type: 'ct';
  /** `CtFlag` bits. */
  readonly flags: number;
  /** The zone, as a number or taken from a field. */
  readonly zone: number | Subfield;
  /** Table in which the tracked packet goes on; absent: it does not. */
  readonly recircTable?: number;
  /** Port of the application layer gateway (21 ftp, 69 tftp); 0: none. */
  readonly alg: number;
  /** `nat`, and `set_field`, `reg_load`, `reg_load2` or `reg_move` to ct_mark and ct_label. */
  readonly actions: readonly Action[];
}

/** Address translation, inside `ct` only, NXAST_NAT (36). */
export interface NatAction {
  readonly type: 'nat';
  /** `NatFlag` bits; 0: translate as the connection says. */
  readonly flags: number;
  readonly ipv4Min?: number;
  readonly ipv4Max?: number;
  readonly ipv6Min?: bigint;
  readonly ipv6Max?: bigint;
  readonly portMin?: number;
  readonly portMax?: number;
}

/** An action this library does not know. `data`: everything after type and length. */
export interface OpaqueAction {
  readonly type: 'opaque';
  readonly number: number;
  readonly data: Uint8Array;
}

export type ActionOf<T extends Action['type']> = Extract<Action, { readonly type: T }>;

/** Instructions (section 7.2.4). */
export type Instruction =
  | { readonly type: 'goto_table'; readonly table: number }
  | { readonly type: 'write_metadata'; readonly metadata: bigint; readonly mask: bigint }
  | { readonly type: 'write_actions'; readonly actions: readonly Action[] }
  | { readonly type: 'apply_actions'; readonly actions: readonly Action[] }
  | { readonly type: 'clear_actions' }
  | { readonly type: 'meter'; readonly meterId: number }
  /** An instruction this library does not know, experimenters included. `data`: everything after type and length. */
  | { readonly type: 'opaque'; readonly number: number; readonly data: Uint8Array };

export type InstructionOf<T extends Instruction['type']> = Extract<Instruction, { readonly type: T }>;
