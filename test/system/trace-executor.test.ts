/**
 * The executor of `weft trace` against `ofproto/trace` of Open vSwitch: random tables of every kind of entry, random packets, the same
 * lookups in the same order and the same outputs.
 */
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import t from 'tap';
import { ChannelListener, Numbering } from '../../controller/channel/index.js';
import { readFlows, readGroupsAndMeters } from '../../controller/datapath/read.js';
import { execute } from '../../controller/trace/execute.js';
import { packetText, type Packet } from '../../controller/trace/packet.js';
import { WholeSwitch } from '../../controller/trace/tables.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { CtState, type FlowStats } from '../../ofproto/index.js';
import { readOfprotoTrace, summarise } from '../support/ofproto-trace.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { SwitchControl } from '../../agent/connections/control.js';
import { waitFor } from '../support/wait-for.js';

const BRIDGE = 'br0';
const DATAPATH = '0000000000000001';
const PORTS = [1, 2, 3, 4];
const TUNNEL = 5;
const TABLES = 6;

const ovs = await OpenVSwitch.start();
const listener = new ChannelListener({ host: '127.0.0.1', port: 0, numbering: new Numbering() });
const { port } = await listener.listen();
await ovs.addBridge(BRIDGE, DATAPATH);
for (const number of PORTS) {
  const name = `p${number}`;
  await ovs.vsctl(
    'add-port',
    BRIDGE,
    name,
    '--',
    'set',
    'interface',
    name,
    'type=dummy',
    `ofport_request=${number}`,
  );
}
const tunnel = ['type=vxlan', 'options:remote_ip=flow', 'options:key=flow', `ofport_request=${TUNNEL}`];
await ovs.vsctl('add-port', BRIDGE, 'vx', '--', 'set', 'interface', 'vx', ...tunnel);
await ovs.setController(BRIDGE, port);
const session = await waitFor('the session', () => listener.sessions.get(DATAPATH));
const control = await SwitchControl.connect(join(ovs.directory, 'vswitchd.ctl'));
t.teardown(async () => {
  control.close();
  await listener.close();
  await ovs.stop();
});

// Small domains, so that packets and entries meet.
const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const family = pick('', 'ip', 'ip', 'ip', 'tcp', 'udp', 'ipv6', 'arp');
const ipv4 = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];

/** Comparisons that need nothing else. */
const anyField = fc.oneof(
  pick(...PORTS).map((number) => `in_port=${number}`),
  pick(
    'reg0=1',
    'reg0=0x2/0x3',
    'reg1=0',
    'reg1=0x10000/0xffff0000',
    'xreg1=0',
    'metadata=0x1/0x1',
    'reg5=7',
  ),
  pick('dl_dst=02:00:00:00:00:01', 'dl_dst=01:00:00:00:00:00/01:00:00:00:00:00', 'dl_src=02:00:00:00:00:02'),
  pick('vlan_tci=0x0000', 'vlan_tci=0x1000/0x1000', 'dl_vlan=11', 'dl_vlan=12'),
  pick('tun_id=0', 'tun_id=0x64'),
  pick('ct_state=+trk', 'ct_state=-trk', 'ct_state=+trk+new', 'ct_state=+trk+est', 'ct_state=+trk-inv+rpl'),
  pick(
    'ct_state=+trk+new,ct_nw_proto=6',
    'ct_state=+trk-inv,ct_tp_dst=80',
    'ct_state=+trk-inv,ct_tp_dst=0x50/0xfff0',
  ),
);
/** Comparisons by family. */
const fieldsOf: Record<string, fc.Arbitrary<string>> = {
  '': fc.constant(''),
  arp: pick('', 'arp_op=1', 'arp_tpa=10.0.0.1'),
  ip: pick(
    '',
    ...ipv4.map((address) => `nw_src=${address}`),
    'nw_dst=10.0.0.2/31',
    'nw_dst=10.0.0.1',
    'nw_tos=32',
    'ct_state=+trk-inv,ct_nw_src=10.0.0.1',
    'ct_state=+trk+new,ct_nw_dst=10.0.0.2/31',
  ),
  tcp: pick('', 'tp_dst=80', 'tp_dst=0x50/0xfff0', 'tp_src=1000', 'tcp_flags=0'),
  udp: pick('', 'tp_dst=53', 'tp_src=0x50/0xfff0'),
  ipv6: pick('', 'ipv6_src=fd00::1', 'ipv6_dst=fd00::/64', 'ct_state=+trk-inv,ct_ipv6_src=fd00::1'),
};
const match = fc.tuple(family, fc.array(anyField, { maxLength: 2 })).chain(([name, fields]) =>
  (fieldsOf[name] ?? fc.constant('')).map((own) => ({
    family: name,
    fields: distinct([name, own, ...fields]),
  })),
);

/** One comparison of each field. */
function distinct(fields: readonly string[]): string {
  const seen = new Set<string>();
  const kept = fields
    .flatMap((field) => field.split(','))
    .filter((field) => {
      const name = (field.split('=')[0] ?? '')
        .replace(/^(vlan_tci|dl_vlan)$/, 'vlan')
        .replace(/^xreg1$/, 'reg');
      return field !== '' && !seen.has(name) && seen.add(name);
    });
  // The tuple of a connection has to be that of a valid one.
  const state = kept.find((field) => field.startsWith('ct_state'));
  const valid = state !== undefined && /\+trk/.test(state) && /-inv|\+new|\+est|\+rpl/.test(state);
  return kept.filter((field) => valid || !/^ct_(nw|tp|ipv6)/.test(field)).join(',');
}

const simple = fc.oneof(
  pick(...PORTS).map((number) => `output:${number}`),
  pick('IN_PORT', 'output:NXM_NX_REG2[0..15]', 'load:3->NXM_NX_REG2[0..15]', 'load:1->NXM_NX_REG0[0..1]'),
  pick(
    'set_field:7->reg5',
    'set_field:0x10000/0xffff0000->reg1',
    'move:NXM_NX_REG5[0..7]->NXM_NX_REG2[0..7]',
  ),
  pick('set_field:0x64->tun_id', 'set_field:02:00:00:00:00:01->eth_dst', 'load:0x5->OXM_OF_PKT_REG1[0..63]'),
  pick(`set_field:10.9.0.1->tun_dst,output:${TUNNEL}`),
  pick(
    'push:NXM_NX_REG0[],pop:NXM_NX_REG2[0..15]',
    'note:01.02.03',
    'ct_clear',
    'move:NXM_OF_IN_PORT[]->NXM_NX_REG2[0..15]',
  ),
  pick('controller(id=1,userdata=01)', 'set_queue:1', 'pop_queue'),
);
const lookup = fc.oneof(
  pick(1, 2, 3, 4, 5).map((table) => `resubmit(,${table})`),
  pick('resubmit(2,4)', 'resubmit(,5)', 'group:1', 'group:2', 'group:3'),
);
const nested = fc
  .array(simple, { minLength: 1, maxLength: 3 })
  .map((actions) => `clone(${actions.join(',')})`);
const ofIp = fc.oneof(
  pick(
    'ct(table=3,zone=NXM_NX_REG0[0..15])',
    'ct(table=4,zone=7)',
    'ct(commit,zone=7)',
    'ct(commit,table=5,zone=3)',
  ),
  pick('dec_ttl'),
  pick('set_field:10.0.0.3->ip_dst', 'set_field:10.0.0.4->ip_src'),
);
const tail = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constant('exit') },
);

interface Entry {
  readonly table: number;
  readonly match: string;
  readonly actions: string;
}

const actionSet = fc.option(
  fc.uniqueArray(
    pick('output:1', 'output:4', 'set_field:7->reg5', 'group:2', 'set_field:02:00:00:00:00:01->eth_dst'),
    {
      maxLength: 3,
    },
  ),
  { nil: undefined },
);

const entry: fc.Arbitrary<Entry> = fc
  .record({
    table: fc.nat(TABLES - 1),
    match,
    actions: fc.array(
      fc.oneof(
        { weight: 4, arbitrary: simple },
        { weight: 2, arbitrary: lookup },
        { weight: 1, arbitrary: nested },
      ),
      {
        maxLength: 4,
      },
    ),
    ip: fc.option(ofIp, { nil: undefined }),
    end: tail,
    set: actionSet,
    clear: fc.boolean(),
    goto: fc.option(fc.integer({ min: 1, max: TABLES - 1 }), { nil: undefined, freq: 2 }),
  })
  .map(({ table, match: { family: name, fields }, actions, ip, end, set, clear, goto }) => {
    const isIpv4 = name === 'ip' || name === 'tcp' || name === 'udp';
    // Forward only, or most packets would go round until the switch gives up.
    const forward = actions.filter(
      (action) => Number(/resubmit\(\d*,(\d+)/.exec(action)?.[1] ?? TABLES) > table,
    );
    const tracked = Number(/table=(\d)/.exec(ip ?? '')?.[1] ?? TABLES) > table;
    const parts = [...forward, ...(isIpv4 && ip !== undefined && tracked ? [ip] : []), end];
    if (clear && set !== undefined) parts.push('clear_actions');
    if (set !== undefined && set.length > 0) parts.push(`write_actions(${set.join(',')})`);
    if (goto !== undefined && goto > table) parts.push(`write_metadata:0x1/0x1`, `goto_table:${goto}`);
    const all = parts.filter((part) => part !== '').join(',');
    return { table, match: fields, actions: all === '' ? 'drop' : all };
  });

/** Entries of one conjunctive match over two or three dimensions, and the entry it leads to. */
const conjunction = fc
  .record({
    table: fc.nat(TABLES - 1),
    priority: pick(20_000, 20_001, 30_000),
    id: fc.integer({ min: 1, max: 3 }),
    sources: fc.uniqueArray(pick(...ipv4), { minLength: 1, maxLength: 3 }),
    destinations: fc.uniqueArray(pick(...ipv4), { minLength: 1, maxLength: 3 }),
    ports: fc.option(fc.uniqueArray(pick('reg0=1', 'reg0=0', 'reg5=7'), { minLength: 1, maxLength: 2 }), {
      nil: undefined,
    }),
    output: pick(...PORTS),
  })
  .map(({ table, priority, id, sources, destinations, ports, output }) => {
    const clauses = ports === undefined ? 2 : 3;
    const part = (clause: number) => `conjunction(${id},${clause}/${clauses})`;
    return {
      table,
      priority,
      id,
      parts: [
        ...sources.map((address) => ({ match: `ip,nw_src=${address}`, actions: part(1) })),
        ...destinations.map((address) => ({ match: `ip,nw_dst=${address}`, actions: part(2) })),
        ...(ports ?? []).map((match) => ({ match: `ip,${match}`, actions: part(3) })),
      ],
      output,
    };
  });

const groups = fc
  .tuple(
    ...[1, 2, 3].map((id) =>
      fc
        .array(fc.array(simple, { maxLength: 3 }), { minLength: 1, maxLength: 3 })
        .map((buckets) => ({ id, buckets })),
    ),
  )
  .map((all) =>
    all.map(({ id, buckets }) => {
      // A bucket is an action set: what has no place in one is refused.
      const allowed = /^(output:\d+$|load:|set_field:\S+reg|set_field:0x64|set_field:02)/;
      const list = buckets.map(
        (actions) => `bucket=actions=${actions.filter((action) => allowed.test(action)).join(',')}`,
      );
      const [type, used] = id === 3 ? ['indirect', list.slice(0, 1)] : ['all', list];
      return `group_id=${id},type=${type},${used.join(',')}`;
    }),
  );

const tables = fc.record({
  // Open vSwitch 3.1 ends itself when a trace meets `ct` with a table while there is an action set: never both.
  tracking: fc.boolean(),
  entries: fc.array(entry, { minLength: 15, maxLength: 40 }),
  // Two at one priority would leave the choice to the switch.
  conjunctions: fc.uniqueArray(conjunction, {
    minLength: 1,
    maxLength: 3,
    selector: ({ table, priority }) => `${table}/${priority}`,
  }),
  groups,
});
type Tables = typeof tables extends fc.Arbitrary<infer T> ? T : never;

/** Entries as ovs-ofctl takes them, each with a cookie of its own and, within its table, a priority of its own. */
function flowsOf({ tracking, entries, conjunctions }: Tables): string[] {
  const [FIRST, STEP] = [19_900, 37];
  const flows = new Map<string, string>();
  const add = (table: number, priority: number, match: string, actions: string): void => {
    const key = `table=${table},priority=${priority}${match === '' ? '' : `,${match}`}`;
    const others = flows.get(key);
    flows.set(key, others === undefined ? actions : `${others},${actions}`);
  };
  for (const [index, { table, match, actions }] of entries.entries()) {
    const other = tracking ? /clear_actions,?|write_actions\([^)]*\),?/g : /ct\([^)]*table=[^)]*\),?/g;
    const kept = actions.replace(other, '').replace(/,$/, '');
    add(table, FIRST + STEP * index, match, kept === '' ? 'drop' : kept);
  }
  for (const { table, priority, id, parts, output } of conjunctions) {
    for (const { match, actions } of parts) add(table, priority, match, actions);
    add(table, priority, `ip,conj_id=${id}`, `output:${output}`);
  }
  return [...flows].map(([key, actions], index) => `cookie=${index + 1},${key},actions=${actions}`);
}

async function install(rules: Tables): Promise<WholeSwitch<FlowStats>> {
  const file = join(ovs.directory, 'entries');
  await ovs.ofctl(['del-flows'], BRIDGE);
  await ovs.ofctl(['del-groups'], BRIDGE);
  await writeFile(file, rules.groups.join('\n'));
  await ovs.ofctl(['add-groups'], BRIDGE, file);
  await writeFile(file, flowsOf(rules).join('\n'));
  await ovs.ofctl(['--bundle', 'add-flows'], BRIDGE, file);
  const flows = await readFlows(session, 10_000);
  const { groups: read } = await readGroupsAndMeters(session, 10_000);
  return new WholeSwitch(
    flows,
    ({ tableId }) => tableId,
    read.map((group) => ({ id: group.groupId, ...group })),
  );
}

const packet: fc.Arbitrary<Packet> = fc
  .record({
    in_port: pick(...PORTS),
    kind: pick('ipv4', 'ipv4', 'ipv4', 'ipv6', 'arp'),
    protocol: pick(6, 17),
    addresses: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    ports: fc.tuple(pick(1000, 80, 85), pick(80, 53, 443)),
    macs: fc.tuple(
      pick(0x020000000001, 0x010000000000, 0x020000000009),
      pick(0x020000000002, 0x020000000003),
    ),
    vlan: pick(0, 0, 0x100b, 0x100c),
  })
  .map(({ in_port, kind, protocol, addresses: [from, to], ports: [source, destination], macs, vlan }) => {
    const fields: Record<string, number | bigint> = {
      in_port,
      eth_dst: macs[0],
      eth_src: macs[1],
      vlan_vid: vlan,
    };
    if (kind === 'arp') {
      Object.assign(fields, {
        eth_type: 0x0806,
        arp_op: 1,
        arp_spa: 0x0a000000 + from,
        arp_tpa: 0x0a000000 + to,
      });
    } else {
      const [prefix4, prefix6] = [0x0a000000, 0xfd00n << 112n];
      const addresses =
        kind === 'ipv4'
          ? { eth_type: 0x0800, ipv4_src: prefix4 + from, ipv4_dst: prefix4 + to }
          : { eth_type: 0x86dd, ipv6_src: prefix6 + BigInt(from), ipv6_dst: prefix6 + BigInt(to) };
      const transport =
        protocol === 6
          ? { tcp_src: source, tcp_dst: destination }
          : { udp_src: source, udp_dst: destination };
      Object.assign(fields, addresses, { ip_proto: protocol, nw_ttl: 64, ...transport });
    }
    return new Map(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
  });

const TUPLES: Readonly<Record<4 | 6, Packet>> = {
  4: tupleOf({ ct_nw_src: 0x0a000001, ct_nw_dst: 0x0a000002 }),
  6: tupleOf({ ct_ipv6_src: (0xfd00n << 112n) + 1n, ct_ipv6_dst: (0xfd00n << 112n) + 2n }),
};

function tupleOf(addresses: Readonly<Record<string, number | bigint>>): Packet {
  const state = CtState.TRACKED | CtState.NEW;
  const fields = { ct_state: state, ...addresses, ct_nw_proto: 6, ct_tp_src: 1000, ct_tp_dst: 80 };
  return new Map(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
}

/** States that connection tracking may give, as `--ct-next` has them. */
const STATES = [
  ['trk,new', CtState.NEW],
  ['trk,est', CtState.ESTABLISHED],
  ['trk,est,rpl', CtState.ESTABLISHED | CtState.REPLY],
  ['trk,inv', CtState.INVALID],
] as const;

const PACKETS = 25;
/** What has been met, so that the test cannot pass by meeting nothing. */
const met = { packets: 0, tracked: 0, conjunctive: 0, actionSets: 0, groups: 0, copies: 0, misses: 0 };

t.test('random tables and packets', async (t) => {
  const probes = fc.array(fc.record({ packet, state: fc.constantFrom(...STATES) }), {
    minLength: PACKETS,
    maxLength: PACKETS,
  });
  await fc.assert(
    fc.asyncProperty(tables, probes, async (rules, sent) => {
      const device = await install(rules);
      for (const { packet: fields, state } of sent) await compare(device, fields, state);
    }),
    { numRuns: 30, endOnFailure: true },
  );
  t.comment(JSON.stringify(met));
  for (const [what, count] of Object.entries(met)) t.ok(count > 3, `${what}: ${count}`);
});

async function compare(
  device: WholeSwitch<FlowStats>,
  fields: Packet,
  [next, state]: (typeof STATES)[number],
): Promise<void> {
  // The tuple of the connection is not that of the packet, to tell them apart.
  const tuple = fields.has('ip_proto') ? TUPLES[fields.has('ipv6_src') ? 6 : 4] : new Map<string, bigint>();
  const packet = new Map([...fields, ...tuple]);
  const states = ['--ct-next', next, '--ct-next', next, '--ct-next', next];
  const flow = packetText(packet);
  const text = await control.call('ofproto/trace', BRIDGE, flow, ...states);
  const said = readOfprotoTrace(text, TUNNEL);
  const steps = execute(device, packet, () => new Map([['ct_state', BigInt(CtState.TRACKED | state)]]));
  const found = summarise(steps, TUNNEL);
  if (JSON.stringify(found) !== JSON.stringify(said)) {
    const ours = `lookups ${found.lookups.join('; ')} outputs ${found.outputs.join()}`;
    const theirs = `lookups ${said.lookups.join('; ')} outputs ${said.outputs.join()}`;
    throw new Error(`${flow} ${next}\nexecutor:     ${ours}\nOpen vSwitch: ${theirs}\n${text}`);
  }
  met.packets++;
  met.tracked += stepsOf(steps, 'track').filter(({ lookup: below }) => below !== undefined).length;
  met.conjunctive += stepsOf(steps, 'lookup').filter(({ conjunction: one }) => one !== undefined).length;
  met.actionSets += stepsOf(steps, 'action_set').length;
  met.groups += stepsOf(steps, 'group').length;
  met.copies += stepsOf(steps, 'copy').length;
  met.misses += stepsOf(steps, 'lookup').filter(({ entry: one }) => one === undefined).length;
}
