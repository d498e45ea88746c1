/** Every action and instruction that Open vSwitch knows, with what it writes for it. */
import {
  type Action,
  apply,
  F,
  type FlowMod,
  flowMod,
  type Instruction,
  type Match,
  matchOf,
  output,
  oxm,
  Port,
} from '../../ofproto/index.js';

export interface ActionSample {
  readonly action: Action;
  /** As `ovs-ofctl` writes it; absent: it takes the action on OpenFlow 1.0 only and calls it unknown on 1.3. */
  readonly text?: string;
  /** What the flow must match for Open vSwitch to take the action. Default: IPv4 TCP. */
  readonly match?: Match;
}

const TCP = matchOf({ eth_type: 0x0800, ip_proto: 6 });
const IPV6_UDP = matchOf({ eth_type: 0x86dd, ip_proto: 17 });
const MPLS = matchOf({ eth_type: 0x8847 });
const NAT = { flags: 0, zone: 0, alg: 0 } as const;

export const actionSamples: readonly ActionSample[] = [
  { action: output(3), text: 'output:3' },
  { action: output(Port.IN_PORT), text: 'IN_PORT' },
  { action: output(Port.NORMAL), text: 'NORMAL' },
  { action: output(Port.FLOOD), text: 'FLOOD' },
  { action: output(Port.ALL), text: 'ALL' },
  { action: output(Port.LOCAL), text: 'LOCAL' },
  { action: output(Port.CONTROLLER), text: 'CONTROLLER:65535' },
  { action: { type: 'output', port: Port.CONTROLLER, maxLen: 128 }, text: 'CONTROLLER:128' },
  { action: { type: 'set_mpls_ttl', ttl: 9 }, text: 'set_mpls_ttl(9)', match: MPLS },
  { action: { type: 'dec_mpls_ttl' }, text: 'dec_mpls_ttl', match: MPLS },
  { action: { type: 'push_vlan', ethertype: 0x8100 }, text: 'push_vlan:0x8100' },
  { action: { type: 'pop_vlan' }, text: 'pop_vlan', match: matchOf({ vlan_vid: [0x1000, 0x1000] }) },
  { action: { type: 'push_mpls', ethertype: 0x8847 }, text: 'push_mpls:0x8847' },
  { action: { type: 'pop_mpls', ethertype: 0x0800 }, text: 'pop_mpls:0x0800', match: MPLS },
  { action: { type: 'set_queue', queueId: 4 }, text: 'set_queue:4' },
  { action: { type: 'group', groupId: 5 }, text: 'group:5' },
  { action: { type: 'set_nw_ttl', ttl: 64 }, text: 'mod_nw_ttl:64' },
  { action: { type: 'dec_nw_ttl' }, text: 'dec_ttl' },
  {
    action: { type: 'set_field', oxm: oxm(F.eth_dst, 0x0202_0000_0001) },
    text: 'set_field:02:02:00:00:00:01->eth_dst',
  },
  { action: { type: 'set_field', oxm: oxm(F.ipv4_src, 0x0a000001) }, text: 'set_field:10.0.0.1->ip_src' },
  { action: { type: 'set_field', oxm: oxm(F.tunnel_id, 77n) }, text: 'set_field:0x4d->tun_id' },
  { action: { type: 'set_field', oxm: oxm(F.reg3, 7) }, text: 'set_field:0x7->reg3' },
  {
    action: { type: 'set_field', oxm: oxm(F.vlan_vid, 0x1005) },
    text: 'set_field:4101->vlan_vid',
    match: matchOf({ vlan_vid: [0x1000, 0x1000] }),
  },
  { action: { type: 'resubmit', port: 4 }, text: 'resubmit:4' },
  { action: { type: 'resubmit', table: 6 }, text: 'resubmit(,6)' },
  { action: { type: 'resubmit', port: 4, table: 6 }, text: 'resubmit(4,6)' },
  {
    action: { type: 'resubmit_ct', table: 6 },
    text: 'resubmit(,6,ct)',
    match: matchOf({ ct_state: [0x20, 0x30], eth_type: 0x0800 }),
  },
  {
    action: { type: 'reg_move', src: F.reg1, srcOffset: 8, dst: F.reg2, dstOffset: 0, bits: 8 },
    text: 'move:NXM_NX_REG1[8..15]->NXM_NX_REG2[0..7]',
  },
  {
    action: { type: 'reg_load', dst: F.reg1, offset: 4, bits: 12, value: 0xabcn },
    text: 'load:0xabc->NXM_NX_REG1[4..15]',
  },
  { action: { type: 'reg_load2', oxm: oxm(F.reg2, 0x10, 0xf0) }, text: 'set_field:0x10/0xf0->reg2' },
  {
    action: { type: 'output_reg', src: F.reg4, offset: 0, bits: 16, maxLen: 0xffff },
    text: 'output:NXM_NX_REG4[0..15]',
  },
  { action: { type: 'output_trunc', port: 5, maxLen: 100 }, text: 'output(port=5,max_len=100)' },
  {
    action: {
      type: 'learn',
      idleTimeout: 10,
      hardTimeout: 300,
      priority: 7,
      cookie: 0x55n,
      flags: 3,
      table: 9,
      finIdleTimeout: 0,
      finHardTimeout: 2,
      specs: [
        {
          kind: 'match_field',
          src: { field: F.nxm_eth_src, offset: 0, bits: 48 },
          dst: { field: F.nxm_eth_dst, offset: 0, bits: 48 },
        },
        { kind: 'match_value', value: 5n, dst: { field: F.reg0, offset: 0, bits: 16 } },
        {
          kind: 'load_field',
          src: { field: F.reg1, offset: 0, bits: 8 },
          dst: { field: F.reg2, offset: 8, bits: 8 },
        },
        { kind: 'load_value', value: 0x1234n, dst: { field: F.reg3, offset: 0, bits: 32 } },
        { kind: 'output', src: { field: F.nxm_in_port, offset: 0, bits: 16 } },
      ],
    },
    text:
      'learn(table=9,idle_timeout=10,hard_timeout=300,fin_hard_timeout=2,priority=7,send_flow_rem,delete_learned,cookie=0x55,' +
      'NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],NXM_NX_REG0[0..15]=0x5,load:NXM_NX_REG1[0..7]->NXM_NX_REG2[8..15],' +
      'load:0x1234->NXM_NX_REG3[],output:NXM_OF_IN_PORT[])',
  },
  {
    action: { type: 'controller', maxLen: 100, controllerId: 5, reason: 0 },
    text: 'controller(reason=no_match,max_len=100,id=5)',
  },
  {
    action: {
      type: 'controller2',
      maxLen: 200,
      controllerId: 6,
      reason: 2,
      userdata: Uint8Array.of(1, 0xab),
      pause: true,
      meterId: 8,
    },
    text: 'controller(reason=invalid_ttl,max_len=200,id=6,userdata=01.ab,pause,meter_id=8)',
  },
  { action: { type: 'conjunction', id: 9, clause: 1, clauses: 2 }, text: 'conjunction(9,1/2)' },
  { action: { type: 'ct', ...NAT, actions: [] }, text: 'ct()' },
  {
    action: {
      type: 'ct',
      flags: 1,
      zone: { field: F.reg5, offset: 0, bits: 16 },
      recircTable: 7,
      alg: 21,
      actions: [
        {
          type: 'nat',
          flags: 1 | 4 | 16,
          ipv4Min: 0x0a000001,
          ipv4Max: 0x0a000005,
          portMin: 100,
          portMax: 200,
        },
        { type: 'set_field', oxm: oxm(F.ct_mark, 5) },
      ],
    },
    text:
      'ct(commit,table=7,zone=NXM_NX_REG5[0..15],nat(src=10.0.0.1-10.0.0.5:100-200,persistent,random),' +
      'exec(set_field:0x5->ct_mark),alg=ftp)',
  },
  {
    action: {
      type: 'ct',
      flags: 3,
      zone: 5,
      alg: 69,
      actions: [{ type: 'nat', flags: 2 | 8, ipv6Min: 0xfd00n << 112n, portMin: 80 }],
    },
    match: IPV6_UDP,
    text: 'ct(commit,force,zone=5,nat(dst=[fd00::]:80,hash),alg=tftp)',
  },
  {
    action: { type: 'ct', flags: 0, zone: 3, recircTable: 1, alg: 0, actions: [{ type: 'nat', flags: 0 }] },
    text: 'ct(table=1,zone=3,nat)',
  },
  { action: { type: 'ct_clear' }, text: 'ct_clear' },
  { action: { type: 'dec_ttl' } },
  { action: { type: 'dec_ttl_cnt_ids', controllerIds: [1, 2] }, text: 'dec_ttl(1,2)' },
  { action: { type: 'note', data: Uint8Array.of(1, 2, 3, 0, 0, 0) }, text: 'note:01.02.03.00.00.00' },
  { action: { type: 'nx_set_queue', queueId: 6 } },
  { action: { type: 'pop_queue' }, text: 'pop_queue' },
  { action: { type: 'exit' }, text: 'exit' },
  {
    action: { type: 'fin_timeout', finIdleTimeout: 5, finHardTimeout: 6 },
    text: 'fin_timeout(idle_timeout=5,hard_timeout=6)',
  },
  {
    action: { type: 'stack_push', src: { field: F.reg1, offset: 0, bits: 16 } },
    text: 'push:NXM_NX_REG1[0..15]',
  },
  { action: { type: 'stack_pop', dst: { field: F.reg2, offset: 0, bits: 32 } }, text: 'pop:NXM_NX_REG2[]' },
  {
    action: { type: 'check_pkt_larger', packetLength: 1500, dst: { field: F.reg0, offset: 3, bits: 1 } },
    text: 'check_pkt_larger(1500)->NXM_NX_REG0[3]',
  },
  { action: { type: 'delete_field', field: F.tun_metadata0 }, text: 'delete_field:tun_metadata0' },
  {
    action: { type: 'clone', actions: [output(4), { type: 'resubmit', table: 2 }] },
    text: 'clone(output:4,resubmit(,2))',
  },
];

export const actionFlow = ({ action, match }: ActionSample): FlowMod =>
  flowMod({ match: match ?? TCP, instructions: [apply(action)] });

export interface InstructionSample {
  readonly instructions: readonly Instruction[];
  readonly text: string;
  /** Instruction types by number. */
  readonly numbers: readonly number[];
}

export const instructionSamples: readonly InstructionSample[] = [
  { instructions: [], text: 'drop', numbers: [] },
  { instructions: [{ type: 'goto_table', table: 7 }], text: 'goto_table:7', numbers: [1] },
  {
    instructions: [{ type: 'write_metadata', metadata: 0x1200n, mask: 0xff00n }],
    text: 'write_metadata:0x1200/0xff00',
    numbers: [2],
  },
  {
    instructions: [{ type: 'write_metadata', metadata: 0x1200n, mask: (1n << 64n) - 1n }],
    text: 'write_metadata:0x1200',
    numbers: [2],
  },
  {
    instructions: [{ type: 'write_actions', actions: [output(3), { type: 'pop_vlan' }] }],
    text: 'write_actions(output:3,pop_vlan)',
    numbers: [3],
  },
  { instructions: [{ type: 'clear_actions' }], text: 'clear_actions', numbers: [5] },
  { instructions: [{ type: 'meter', meterId: 12 }], text: 'meter:12', numbers: [6] },
  {
    instructions: [
      { type: 'meter', meterId: 12 },
      apply(output(1)),
      { type: 'clear_actions' },
      { type: 'write_actions', actions: [{ type: 'group', groupId: 2 }] },
      { type: 'write_metadata', metadata: 1n, mask: 3n },
      { type: 'goto_table', table: 9 },
    ],
    text: 'meter:12,output:1,clear_actions,write_actions(group:2),write_metadata:0x1/0x3,goto_table:9',
    numbers: [6, 4, 5, 3, 2, 1],
  },
];
