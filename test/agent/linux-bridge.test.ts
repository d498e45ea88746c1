/** What a host with Linux bridges should hold, and the commands that bring it there. The kernel itself: test/system/soft-switches.test.ts. */
import t from 'tap';
import { commandsFor, type KernelState } from '../../agent/drivers/linux-bridge-kernel.js';
import { type KernelPlan, planOf, type PlanSettings } from '../../agent/drivers/linux-bridge-plan.js';
import { HostTableCopy } from '../../agent/drivers/table.js';
import type { TableRow } from '../../rpc/index.js';

const SETTINGS: PlanSettings = {
  hostLabel: 'h1',
  vtepIp: '10.254.0.1',
  canJudge: true,
  hasInterface: (name) => name !== 'absent',
};
const MARK = 'weft-network:h1/br-int';
const NETWORK: TableRow = {
  kind: 'network',
  network: 7,
  id: 'acme/web',
  encapsulation: 'vxlan',
  tag: 10_007,
  subnets: ['10.0.7.0/24'],
};

function endpoint(name: string, number: number, host: string, more: Partial<TableRow> = {}): TableRow {
  return {
    kind: 'endpoint',
    network: 7,
    endpoint: `acme/web/${name}`,
    mac: `02:02:0a:00:07:0${number}`,
    addresses: [`10.0.7.${number}`, `fe80::${number}`],
    host,
    interface: `port-${name}`,
    ...more,
  } as TableRow;
}

function table(...rows: readonly TableRow[]): HostTableCopy {
  const copy = new HostTableCopy();
  const put = rows.map((row, index) => ({
    key: `${index} ${'endpoint' in row ? row.endpoint : row.kind}`,
    row,
  }));
  copy.take({ revision: 1, whole: true, more: false, put, remove: [] });
  return copy;
}

const peer = (host: string, vtep: Partial<TableRow>): TableRow =>
  ({ kind: 'peer', network: 7, host, ...vtep }) as TableRow;

const BASIC: readonly TableRow[] = [
  NETWORK,
  endpoint('a', 1, 'h1'),
  endpoint('b', 2, 'h2'),
  peer('h1', { vtepIp: '10.254.0.1' }),
  peer('h2', { vtepIp: '10.254.0.2' }),
];

const NOTHING: KernelState = {
  bridges: new Map(),
  ports: new Map(),
  stations: new Map(),
  remotes: new Map(),
  floods: new Set(),
  collections: new Map(),
  named: new Set(),
  skeleton: false,
  interfaces: new Set(['port-a', 'port-b']),
  foreign: new Set(),
};

/** A kernel that holds what a plan says. */
const holding = (plan: KernelPlan): KernelState => ({
  ...plan,
  named: new Set(plan.named.keys()),
  skeleton: true,
  interfaces: new Set([...NOTHING.interfaces, ...plan.ports.keys()]),
  foreign: new Set(),
});

const all = (commands: ReturnType<typeof commandsFor>): string[] => Object.values(commands).flat();
const judgedAs = (name: string, subjects: { in?: number; out?: number }): TableRow => ({
  kind: 'judged',
  network: 7,
  endpoint: `acme/web/${name}`,
  ...subjects,
});

t.test('forwarding', async (t) => {
  const plan = planOf(table(...BASIC), SETTINGS);
  t.same([...plan.ports], [['port-a', 'weft-br7']]);
  t.same(Object.fromEntries(plan.stations), {
    'weft-br7 02:02:0a:00:07:01': 'port-a',
    'weft-br7 02:02:0a:00:07:02': 'weft-vx7',
  });
  t.same([...plan.remotes], [['weft-vx7 02:02:0a:00:07:02', '10.254.0.2']]);
  t.same([...plan.floods], ['weft-vx7 10.254.0.2'], 'not to itself');
  t.same([...(plan.collections.get('inet vteps4') ?? [])], ['10.254.0.2']);
  t.same([...(plan.collections.get('bridge macs') ?? [])], ['port-a . 02:02:0a:00:07:01']);
  const first = commandsFor(NOTHING, plan, MARK);
  t.match(first.nftables.join('\n'), /add element bridge weft macs \{ port-a \. 02:02:0a:00:07:01 \}/);
  t.same(first.connect, [
    'link set dev port-a master weft-br7',
    'link set dev port-a type bridge_slave learning off flood off',
  ]);
  t.same(all(commandsFor(holding(plan), plan, MARK)), [], 'nothing to do where it is so');
});

t.test('an endpoint that moves is replaced, so that it is never away', async (t) => {
  const before = holding(planOf(table(...BASIC), SETTINGS));
  const moved = BASIC.map((row) =>
    row.kind === 'endpoint' && row.host === 'h1' ? { ...row, host: 'h2' } : row,
  );
  const plan = planOf(table(...moved, endpoint('c', 3, 'h1')), SETTINGS);
  const { disconnect, entries } = commandsFor(before, plan, MARK);
  t.same(disconnect, ['link set dev port-a nomaster']);
  t.same(entries, [
    'fdb replace 02:02:0a:00:07:01 dev weft-vx7 dst 10.254.0.2 self permanent',
    'fdb replace 02:02:0a:00:07:01 dev weft-vx7 master static',
  ]);
});

t.test('a tunnel whose address has changed is made again with all it had', async (t) => {
  const before = holding(planOf(table(...BASIC), SETTINGS));
  const plan = planOf(table(...BASIC), { ...SETTINGS, vtepIp: '10.254.0.9' });
  const { links, entries } = commandsFor(before, plan, MARK);
  t.equal(links[0], 'link delete dev weft-vx7');
  t.match(links[1], /link add name weft-vx7 type vxlan id 10007 local 10.254.0.9 dstport 4789 nolearning/);
  t.equal(entries.length, 3, 'remote, flood and station');
});

t.test('what the last endpoint leaves behind', async (t) => {
  const before = holding(planOf(table(...BASIC), SETTINGS));
  const commands = commandsFor(before, planOf(table(), SETTINGS), MARK);
  t.same(commands.disconnect, ['link set dev port-a nomaster']);
  t.same(commands.remove, ['link delete dev weft-vx7', 'link delete dev weft-br7']);
  t.same(commands.entries, [], 'they go with their links');
  t.notMatch(commands.nftables.join(), /add /);
});

t.test('what cannot be is refused, and its port is none', async (t) => {
  const refusalOf = (copy: HostTableCopy, settings = SETTINGS) => {
    const plan = planOf(copy, settings);
    t.notOk(plan.ports.has('port-a'));
    return plan.refused.map(({ reason }) => reason).join();
  };
  const vlan = { ...NETWORK, encapsulation: 'vlan' as const, tag: 12 };
  t.match(refusalOf(table(vlan, endpoint('a', 1, 'h1'))), /VLAN network/);
  t.match(
    refusalOf(table(...BASIC, judgedAs('a', { in: 5 })), { ...SETTINGS, canJudge: false }),
    /br_netfilter/,
  );
  t.match(
    refusalOf(table(NETWORK, endpoint('a', 1, 'h1', { interface: 'absent' } as Partial<TableRow>))),
    /no interface/,
  );
  t.match(
    refusalOf(
      table(
        { ...NETWORK, network: 70_000 },
        endpoint('a', 1, 'h1', { network: 70_000 } as Partial<TableRow>),
      ),
    ),
    /65535/,
  );
  const strangers = planOf(table(...BASIC, peer('h6', { vtepIp6: 'fd00::6' })), SETTINGS);
  t.match(strangers.problems, [/h6 has no tunnel address of the family/]);
});

t.test('policy', async (t) => {
  const subject: TableRow = {
    kind: 'subject',
    subject: 5,
    direction: 'in',
    default: 'deny',
    rules: [
      { rule: 1, action: 'deny', stateless: false, peers: ['blocks'], services: [] },
      {
        rule: 2,
        action: 'allow',
        stateless: false,
        peers: ['group', 'nobody'],
        services: [
          {
            protocol: 6,
            ports: [
              { first: 80, last: 80 },
              { first: 8000, last: 8010 },
            ],
          },
        ],
      },
      { rule: 3, action: 'reject', stateless: false, peers: [], services: [{ protocol: 1, icmpType: 8 }] },
      { rule: 4, action: 'allow', stateless: true, peers: [], services: [{ protocol: 17 }] },
    ],
  };
  const member = (network: number, address: string): TableRow => ({
    kind: 'member',
    class: 'group',
    network,
    endpoint: `acme/n${network}/${address}`,
    addresses: [address, 'fe80::99'],
  });
  const rows = [
    ...BASIC,
    judgedAs('a', { in: 5 }),
    subject,
    member(7, '10.0.7.2'),
    member(8, '10.0.8.2'),
    member(9, '10.0.7.77'),
    { kind: 'ranges', class: 'blocks', ranges: [{ first: '11.0.0.0', last: '11.0.0.9' }] } as TableRow,
  ];
  const plan = planOf(table(...rows), SETTINGS);
  const chains = [...plan.named.values()].filter(({ rules }) => rules !== undefined);
  const sets = [...plan.named.values()].filter(({ type }) => type !== undefined);
  const nameOf = (prefix: string, type: RegExp) =>
    sets.find(({ name, type: of }) => name.startsWith(prefix) && type.test(of ?? ''))?.name ?? 'none';
  const [blocks, four, six] = [nameOf('r-', /ipv4/), nameOf('m-', /ipv4/), nameOf('m-', /ipv6/)];
  t.same(
    sets.find(({ name }) => name === four)?.elements,
    ['10.0.7.2', '10.0.8.2'],
    'not 10.0.7.77, which is of another network',
  );
  t.same(
    sets.find(({ name }) => name === six)?.elements,
    ['fe80::99'],
    'link-local addresses of its own network only',
  );
  const ports = 'meta l4proto 6 ct original proto-dst { 80, 8000-8010 }';
  t.same(chains[0]?.rules, [
    `meta nfproto ipv4 ct original ip saddr @${blocks} drop`,
    `meta nfproto ipv4 ct original ip saddr @${four} ${ports} return`,
    `meta nfproto ipv6 ct original ip6 saddr @${six} ${ports} return`,
    'meta nfproto ipv4 meta l4proto 1 ct direction original icmp type 8 drop',
    'meta nfproto ipv4 meta l4proto 1 ct direction reply icmp type 0 drop',
    'meta nfproto ipv4 ct direction original meta l4proto 17 return',
    'meta nfproto ipv6 ct direction original meta l4proto 17 return',
    'drop',
  ]);
  t.same([...(plan.collections.get('inet in4') ?? [])], [`weft-br7 . 10.0.7.1 : jump ${chains[0]?.name}`]);
  t.same([...(plan.collections.get('inet out4') ?? [])], []);
  t.same([...(plan.collections.get('bridge receivers') ?? [])], ['port-a']);

  const without = planOf(table(...rows.filter(({ kind }) => kind !== 'subject')), SETTINGS);
  t.same(
    [...(without.collections.get('inet in4') ?? [])],
    ['weft-br7 . 10.0.7.1 : jump s-closed'],
    'closed until its rules come',
  );
  t.equal(without.refused.length, 1);

  const changed = planOf(table(...rows, member(7, '10.0.7.3')), SETTINGS);
  const { nftables } = commandsFor(holding(plan), changed, MARK);
  const position = (start: RegExp): number => nftables.findIndex((line) => start.test(line));
  t.ok(position(/^add set/) < position(/^add chain/), 'sets, then rules that ask them');
  t.ok(position(/^add chain/) < position(/^add element inet weft in4/), 'then who is sent through them');
  t.ok(position(/^add element inet weft in4/) < position(/^flush chain/), 'then the old ones go');
});

t.test('a table that comes in parts counts when it is complete', async (t) => {
  const copy = new HostTableCopy();
  const part = (key: string, flags: { whole: boolean; more: boolean }, row: TableRow = NETWORK): boolean =>
    copy.take({ revision: 1, put: [{ key, row }], remove: [], ...flags });
  t.notOk(part('a', { whole: true, more: true }));
  t.notOk(copy.complete);
  t.ok(part('b', { whole: false, more: false }));
  t.equal([...copy.of('network')].length, 2);
  t.notOk(part('c', { whole: true, more: true }));
  t.equal([...copy.of('network')].length, 2, 'the old one holds');
  t.ok(part('d', { whole: false, more: false }));
  t.same(
    [...copy.of('network')].map(([key]) => key),
    ['c', 'd'],
  );
});
