/**
 * Records what ovs-ofctl and ovs-vswitchd say to each other, as golden bytes that none of our code has made:
 *
 *     npm run build && node dist/test/ofproto/record-fixtures.js > test/ofproto/fixtures/open-vswitch.txt
 *
 * Needs root and Open vSwitch. A line `# ARGUMENTS` for each command of ovs-ofctl, then its messages in hexadecimal, `>`
 * to the switch and `<` from it, and what it printed of entries (`=`). Left out: what has been there already, and messages
 * above MAX_LENGTH (features of tables, of which there is a megabyte).
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { OpenVSwitch } from '../support/open-vswitch.js';

const COMMANDS: readonly (readonly string[])[] = [
  ['show', '@'],
  ['dump-desc', '@'],
  ['dump-table-features', '@'],
  [
    'add-group',
    '@',
    'group_id=1,type=select,bucket=weight:2,actions=output:1,bucket=weight:3,actions=output:2',
  ],
  ['add-group', '@', 'group_id=2,type=ff,bucket=watch_port:1,actions=output:1'],
  ['add-meter', '@', 'meter=1,kbps,burst,band=type=drop,rate=1000,burst_size=100'],
  [
    'add-flow',
    '@',
    'table=1,priority=10,cookie=0x12,idle_timeout=60,send_flow_rem,tcp,nw_src=10.0.0.0/8,tp_dst=0x50/0xfff0,' +
      'actions=meter:1,dec_ttl,mod_dl_dst:02:00:00:00:00:01,group:1,goto_table:2',
  ],
  [
    'add-flow',
    '@',
    'table=2,icmp6,icmp_type=135,nd_target=fd00::1,ipv6_src=fd00::/64,reg0=0x10/0xf0,xxreg1=0x5,' +
      'actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],load:0x2->NXM_OF_IN_PORT[],set_field:0x5/0xf->reg3,output:NXM_NX_REG1[]',
  ],
  [
    'add-flow',
    '@',
    'table=3,ct_state=+trk+est,ct_zone=7,ip,actions=ct(commit,zone=NXM_NX_REG2[0..15],table=4,' +
      'nat(src=10.0.0.1-10.0.0.5:1000-2000),exec(set_field:0x1->ct_mark))',
  ],
  [
    'add-flow',
    '@',
    'table=4,dl_vlan=5,actions=learn(table=10,hard_timeout=300,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],' +
      'load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15],output:NXM_OF_IN_PORT[]),pop_vlan,set_field:77->tun_id,' +
      'set_field:10.1.1.1->tun_dst,controller(userdata=01.02,max_len=100,meter_id=1),resubmit(,10)',
  ],
  [
    'add-flow',
    '@',
    'table=5,conj_id=9,arp,arp_op=1,arp_tpa=10.0.0.1,actions=push_vlan:0x8100,set_field:4101->vlan_vid,IN_PORT',
  ],
  ['add-flow', '@', 'table=5,ip,nw_src=10.0.0.9,actions=conjunction(9,1/2)'],
  [
    'add-flow',
    '@',
    'table=6,actions=check_pkt_larger(1500)->NXM_NX_REG0[0],clone(note:01.02,ct_clear),write_metadata:0x5/0xff',
  ],
  ['--bundle', 'add-flow', '@', 'table=7,sctp,tp_src=1,actions=output(port=1,max_len=64)'],
  ['mod-flows', '@', 'table=7,actions=output:LOCAL'],
  ['dump-flows', '@'],
  ['dump-aggregate', '@'],
  ['dump-groups', '@'],
  ['dump-group-stats', '@'],
  ['dump-group-features', '@'],
  ['dump-meters', '@'],
  ['meter-stats', '@'],
  ['meter-features', '@'],
  ['dump-ports', '@'],
  ['dump-tables', '@'],
  ['queue-stats', '@'],
  ['mod-port', '@', 'br0', 'no-forward'],
  ['add-tlv-map', '@', '{class=0x102,type=0x80,len=4}->tun_metadata0'],
  ['add-flow', '@', 'table=8,tun_metadata0=0x12345678/0xffff0000,actions=set_field:0x1->tun_metadata0'],
  ['dump-tlv-map', '@'],
  ['ct-flush', '@', 'zone=5', 'ct_nw_src=10.0.0.1,ct_nw_proto=6,ct_tp_dst=80'],
  ['packet-out', '@', 'in_port=CONTROLLER packet=ffffffffffff0200000000010806 actions=output:1'],
  // Refused, so that there are errors of the specification and of Nicira.
  ['add-flow', '@', 'table=9,actions=group:77'],
  ['del-flows', '@', 'table=1,cookie=0x12/-1'],
];

/** Cuts a stream into messages. */
function messages(stream: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= stream.length; ) {
    const length = stream.readUInt16BE(at + 2);
    parts.push(stream.subarray(at, at + length));
    at += length;
  }
  return parts;
}

/** Commands whose output is entries. */
const PRINTED = new Set(['dump-flows', 'dump-groups', 'dump-meters']);
const MAX_LENGTH = 2500;
const seen = new Set<string>();

/** Runs ovs-ofctl through a socket that listens in, and prints what passed. */
async function record(ovs: OpenVSwitch, bridge: string, args: readonly string[]): Promise<void> {
  const streams: Record<'>' | '<', Buffer[]> = { '>': [], '<': [] };
  const path = join(ovs.directory, 'recorded');
  const server = createServer((client) => {
    const target = connect(bridge);
    client.on('data', (bytes: Buffer) => void streams['>'].push(bytes));
    target.on('data', (bytes: Buffer) => void streams['<'].push(bytes));
    client.pipe(target).pipe(client);
    client.on('error', () => target.destroy());
    target.on('error', () => client.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  const child = spawn(
    'ovs-ofctl',
    ['-O', 'OpenFlow13', '--no-names', ...args.map((arg) => (arg === '@' ? `unix:${path}` : arg))],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  await once(child, 'close');
  server.close();
  await once(server, 'close');
  const lines: string[] = [];
  for (const direction of ['>', '<'] as const) {
    for (const message of messages(Buffer.concat(streams[direction]))) {
      const line = `${direction} ${message.toString('hex')}`;
      // The same but for the xid is the same.
      const content = line.slice(0, 10) + line.slice(18);
      if (message.length > MAX_LENGTH || seen.has(content)) continue;
      seen.add(content);
      lines.push(line);
    }
  }
  if (PRINTED.has(args[0] ?? '')) {
    for (const line of output.trim().split('\n').slice(1)) lines.push(`= ${line}`);
  }
  if (lines.length > 0) console.log([`# ${args.join(' ')}`, ...lines].join('\n'));
}

const version = execFileSync('ovs-ofctl', ['--version'], { encoding: 'utf8' }).split('\n')[0];
console.log(`# Made by test/ofproto/record-fixtures.ts with ${version}`);
const ovs = await OpenVSwitch.start();
try {
  await ovs.addBridge('br0', '0000020000000001');
  for (const port of ['p1', 'p2'])
    await ovs.vsctl('add-port', 'br0', port, '--', 'set', 'interface', port, 'type=dummy');
  for (const args of COMMANDS) await record(ovs, join(ovs.directory, 'br0.mgmt'), args);
} finally {
  await ovs.stop();
}
