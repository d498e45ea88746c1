/**
 * Policies that change under running connections: both ends of each send counted frames all the time. What the old and the new policy
 * forbid never passes, what both allow is never lost, what is newly forbidden stops in both directions with the acknowledgement.
 */
import t from 'tap';
import {
  type GroupIntent,
  type PolicyIntent,
  type RuleIntent,
  type World,
} from '../policy-truth/evaluator.js';
import { Datagrams, LiveConnections } from '../policy-truth/live.js';
import type { Probe } from '../policy-truth/prober.js';
import { until } from '../../topologies/lab/index.js';
import { groups } from './policy-cases.js';
import { type Case, describe, expectedOutcome, PolicyStage, tcp, udp } from './policy-support.js';

const RATE = 120;
const TOGGLES = 10;
/** On a machine that is busy with other things. */
const LONGEST_LAG_MS = 2_000;
const tenant = 'acme';

t.setTimeout(300_000);
const stage = await PolicyStage.start();
t.teardown(() => stage.stop());

const connections: readonly Probe[] = [
  stage.probe('a1', 'b1', udp(8000)),
  stage.probe('a1', 'b2', udp(8000)),
  stage.probe('a2', 'b3', tcp(8000)),
  stage.probe('a3', 'b3', tcp(80)),
  stage.probe('a2', 'b1', tcp(80), 6),
  stage.probe('b1', 'c2', udp(53)),
  stage.probe('c1', 'b2', tcp(8000), 6),
  stage.probe('c3', 'a1', udp(8000), 6),
  stage.probe('lan/outside', 'lan/l1', udp(80)),
  stage.probe('lan/l1', 'lan/l2', tcp(80), 6),
  stage.probe('lan/l3', 'lan/outside', tcp(8000)),
  stage.probe('rival/web/a1', 'rival/web/b2', udp(8000)),
  stage.probe('rival/web/c3', 'rival/web/a1', tcp(80)),
];
const live = await LiveConnections.open(stage.wire, stage.prober, connections, RATE, describe);
const allows = (world: World) => (connection: Probe) => expectedOutcome(world, connection) === 'allow';

/** Applies the objects under way; lines about what was wrong, and how many frames were watched. */
async function change(objects: Case) {
  const old = stage.world;
  const now = stage.worldOf(objects);
  return live.during(() => stage.apply(objects), allows(old), allows(now));
}

const rule = (name: string, spec: Partial<RuleIntent>): RuleIntent => ({ name, ...spec });
const fromFront = rule('front', { from: [{ group: 'front' }], protocol: 'tcp', ports: [8000] });
const fromFrontUdp = rule('front-udp', { from: [{ group: 'front' }], protocol: 'udp', ports: [8000] });
const notA1 = rule('not-a1', { action: 'deny', priority: 9, from: [{ cidr: '10.1.1.1' }] });
const back = (...rules: readonly RuleIntent[]): Case => groups({ back: { defaultIn: 'deny', rules } });
/** Without this member of the front group. */
const without = (endpoint: string, objects: Case): Case =>
  objects.map((intent) => {
    if (intent.kind !== 'Group' || intent['name'] !== 'front') return intent;
    const { endpoints = [] } = intent as unknown as GroupIntent;
    return { ...intent, endpoints: endpoints.filter((one) => one !== endpoint) };
  });
const set = (...addresses: readonly string[]) => ({ kind: 'AddressSet', tenant, name: 'friends', addresses });
const fromSet = rule('friends', { from: [{ addressSet: 'friends' }], protocol: 'tcp' });
const edge = (spec: Omit<PolicyIntent, 'kind' | 'tenant' | 'name'>): Case => [
  { kind: 'Policy', tenant, name: 'edge', ...spec },
  { kind: 'Group', tenant, name: 'edge', networks: ['lan'], policies: ['edge'] },
];
const denyingTenant = { kind: 'Tenant', name: tenant, defaultAction: 'deny' };
const everywhere = (...rules: readonly RuleIntent[]): Case => [
  { kind: 'Policy', tenant, name: 'all', rules },
  { kind: 'Group', tenant, name: 'all', networks: ['web', 'lan'], policies: ['all'] },
];

const steps: readonly (readonly [string, Case])[] = [
  ['the first policy of a tenant', back(fromFront, fromFrontUdp)],
  ['a rule more', back(fromFront, fromFrontUdp, notA1)],
  ['another action', back(fromFront, fromFrontUdp, { ...notA1, action: 'allow' })],
  ['other ports', back({ ...fromFront, ports: [80] }, fromFrontUdp, notA1)],
  ['other ports again, as a range', back({ ...fromFront, ports: ['80-8000'] }, fromFrontUdp)],
  ['one leaves the group', without('web/a2', back({ ...fromFront, ports: ['80-8000'] }, fromFrontUdp))],
  ['and comes back', back({ ...fromFront, ports: ['80-8000'] }, fromFrontUdp)],
  ['an address set instead', [...back(fromSet, fromFrontUdp), set('10.1.1.0/30', 'fd00:1::/64')]],
  [
    'an address set that changes',
    [...back(fromSet, fromFrontUdp), set('10.1.1.3', 'fd00:1::2/127', 'fd00:1::4/126')],
  ],
  [
    'the rule under another name',
    [...back({ ...fromSet, name: 'others' }, fromFrontUdp), set('10.1.1.3', 'fd00:1::/64')],
  ],
  [
    'the VLAN underlay as well',
    [...back(fromFrontUdp), ...edge({ defaultIn: 'deny', rules: [rule('tcp', { protocol: 'tcp' })] })],
  ],
  [
    'outwards too',
    [...back(fromFrontUdp), ...edge({ defaultIn: 'deny', defaultOut: 'deny', rules: [rule('in', {})] })],
  ],
  ['the tenant denies', [denyingTenant, ...back(fromFrontUdp)]],
  [
    'and a policy for all allows TCP',
    [
      denyingTenant,
      ...everywhere(rule('in', { protocol: 'tcp' }), rule('out', { direction: 'out', protocol: 'tcp' })),
    ],
  ],
  [
    'a policy of the other tenant',
    groups({ front: { defaultIn: 'deny' }, back: { defaultIn: 'deny', rules: [rule('all', {})] } }, 'rival'),
  ],
  ['no policy', []],
];

for (const [name, objects] of steps) {
  t.test(name, async (t) => {
    const { wrong, frames, lagMs } = await change(objects);
    t.strictSame(wrong, []);
    t.ok(lagMs < LONGEST_LAG_MS, `the datapaths followed ${lagMs} ms after the acknowledgement`);
    t.comment(`${frames} frames`);
  });
}

t.test('to and fro', async (t) => {
  let frames = 0;
  let longest = 0;
  for (let turn = 0; turn < TOGGLES; turn++) {
    const judged = await change(turn % 2 === 0 ? back(fromFront, notA1) : back(fromFront, fromFrontUdp));
    frames += judged.frames;
    longest = Math.max(longest, judged.lagMs);
    t.strictSame(judged.wrong, []);
  }
  t.ok(
    longest < LONGEST_LAG_MS,
    `the datapaths followed ${longest} ms after the acknowledgement at the latest`,
  );
  t.comment(`${frames} frames`);
});

t.test('the side that forbids changes', async (t) => {
  const denied = { action: 'deny', priority: 9 } as const;
  const out = { rules: [rule('r', { ...denied, direction: 'out', to: [{ group: 'back' }] })] };
  const into = { rules: [rule('r', { ...denied, from: [{ group: 'front' }] })] };
  const [atSource, atBoth, atDestination] = [
    groups({ front: out }),
    groups({ front: out, back: into }),
    groups({ back: into }),
  ];
  for (const objects of [[], atSource, atBoth, atDestination, atBoth, atSource]) {
    t.strictSame((await change(objects)).wrong, [], 'first forbidden there, then allowed here');
  }
  let frames = 0;
  for (let turn = 0; turn < TOGGLES; turn++) {
    const judged = await change(turn % 2 === 0 ? atDestination : atSource);
    t.strictSame(judged.wrong, [], 'the denial moves from one host to the other in a single change');
    frames += judged.frames;
  }
  // Denied here for some and there for others, then the other way round.
  const crossed = (first: 'out' | 'in', second: 'out' | 'in'): Case => {
    const deny = (name: string, direction: 'out' | 'in', other: string) =>
      rule(name, { ...denied, direction, [direction === 'out' ? 'to' : 'from']: [{ group: other }] });
    const rules = (own: string, other: string, asSource: string, asDestination: string) => [
      ...(asSource === 'out' ? [deny(`${own}-out`, 'out', other)] : []),
      ...(asDestination === 'in' ? [deny(`${own}-in`, 'in', other)] : []),
    ];
    return groups({
      front: { rules: rules('front', 'back', first, second) },
      back: { rules: rules('back', 'front', second, first) },
    });
  };
  for (let turn = 0; turn < TOGGLES; turn++) {
    const judged = await change(turn % 2 === 0 ? crossed('out', 'in') : crossed('in', 'out'));
    t.strictSame(judged.wrong, [], 'two denials change sides in a single change, in opposite ways');
    frames += judged.frames;
  }
  t.comment(`${frames} frames`);
});

t.test('a port carries nothing before its policy is acknowledged', async (t) => {
  await live.stop();
  const late = ['d1', 'd2', 'd3'] as const;
  const objects: Case = [
    ...late.map((name) => ({ kind: 'Endpoint', tenant, network: 'web', name, labels: { late: 'yes' } })),
    ...groups({ data: { rules: [rule('no', { action: 'deny', from: [{ group: 'late' }] })] } }),
    { kind: 'Group', tenant, name: 'late', selector: { matchLabels: { late: 'yes' } }, policies: ['late'] },
    {
      kind: 'Policy',
      tenant,
      name: 'late',
      defaultIn: 'deny',
      defaultOut: 'deny',
      rules: [
        rule('in', { from: [{ group: 'front' }], protocol: 'udp', ports: [8000] }),
        rule('out', { direction: 'out', protocol: 'udp', ports: [53] }),
      ],
    },
  ];
  await stage.apply(objects);
  const plugged = await Promise.all(late.map((name) => stage.plug(`acme/web/${name}`)));
  const probes = late.flatMap((name, index) => [
    ...['a1', 'a2', 'b1', 'c1', 'c2'].map((other) => stage.probe(name, other, udp(53))),
    ...['a1', 'a3', 'b2', 'c3'].map((other) => stage.probe(other, name, udp(8000))),
    stage.probe(name, ['b1', 'b2', 'b3'][index] ?? '', udp(54), 6),
    stage.probe('a2', name, udp(8001), 6),
    stage.probe(name, late[(index + 1) % late.length] ?? '', udp(53)),
  ]);
  const datagrams = new Datagrams(stage.wire);
  await datagrams.start(probes, RATE);
  await datagrams.more(10);
  const early = (await datagrams.state()).filter(({ runs }) => runs.length > 0);
  t.strictSame(
    early.map(({ probe }) => describe(probe)),
    [],
    'nothing before it is attached',
  );
  await Promise.all(plugged.map(({ attach }) => attach()));
  await stage.acknowledged();
  await datagrams.more(25);
  await stage.wire.stop();
  await stage.prober.quiescence(probes);
  const allowed = allows(stage.worldOf(objects));
  for (const { probe, sent, runs } of await datagrams.state()) {
    if (allowed(probe)) {
      t.equal(runs.length, 1, `${describe(probe)}: once it passes, it passes`);
      t.equal(runs.at(-1)?.[1], sent - 1);
    } else t.strictSame(runs, [], `${describe(probe)}: never passes`);
  }
});

t.test('TCP of the kernel: what is forbidden stands still, what is allowed loses nothing', async (t) => {
  const [kept, cut] = [8000, 8001];
  await stage.apply([]);
  const client = await stage.bridged.attach('acme/web/k1', 'h1');
  const server = await stage.bridged.attach('acme/web/k2', 'h2');
  const python = ['/usr/bin/python3', 'test/policy-truth/tcp.py'];
  const ports = [kept, cut].map(String);
  const serving = server.spawn('tcp', [...python, 'serve', ...ports]);
  await until('the server', () => serving.log().includes('ready'));
  const address = server.addresses[0]?.split('/')[0] ?? '';
  await until('the tunnel', async () => (await client.ping(address, { timeoutMs: 300 })).ok);
  const sending = client.spawn('tcp', [...python, 'send', address, ...ports]);
  const returned = (): Readonly<Record<number, number>> => {
    if (!sending.running) throw new Error(`the sender ended: ${sending.log().slice(-300)}`);
    const lines = sending.log().split('\n');
    return lines.length < 2 ? {} : (JSON.parse(lines.at(-2) ?? '{}') as Record<number, number>);
  };
  const goesOn = async (port: number): Promise<void> => {
    const before = returned()[port] ?? 0;
    await until(`port ${port}`, () => (returned()[port] ?? 0) > before + 30, 30_000);
  };
  /**
   * Segments that the kernels of both ends have sent again, and that had not arrived before: of those that had (a busy machine), the other end
   * tells (RFC 2883).
   */
  const lost = async (port: number): Promise<number> => {
    const ends = await Promise.all([client, server].map((end) => end.exec(['ss', '-tinH'])));
    const connections = ends
      .flatMap((text) => text.split(/\n(?=\S)/))
      .filter((one) => new RegExp(`:${port}\\s`).test(one));
    t.equal(connections.length, 2, ends.join());
    const counted = (one: string, what: RegExp) => Number(what.exec(one)?.[1] ?? 0);
    return connections.reduce(
      (sum, one) => sum + counted(one, / retrans:\d+\/(\d+)/) - counted(one, / dsack_dups:(\d+)/),
      0,
    );
  };
  await Promise.all([goesOn(kept), goesOn(cut)]);
  const before = await lost(kept);
  const k = (...rules: readonly RuleIntent[]): Case => [
    { kind: 'Policy', tenant, name: 'k', defaultIn: 'deny', rules },
    { kind: 'Group', tenant, name: 'k', endpoints: ['web/k2'], policies: ['k'] },
  ];
  const both = rule('both', { protocol: 'tcp', ports: ['8000-8001'] });
  await stage.apply(k(both));
  await Promise.all([goesOn(kept), goesOn(cut)]);
  await stage.apply(k({ ...both, ports: [kept] }));
  // Two connections between the same two: their cached flows overlap.
  await stage.clearCaches();
  await goesOn(kept);
  const still = returned()[cut];
  await goesOn(kept);
  t.equal(returned()[cut], still, 'it stands still in both directions');
  t.ok((await lost(kept)) <= before, 'nothing of the other was lost');
  await stage.apply(k(both));
  await stage.clearCaches();
  await goesOn(cut);
  t.pass('allowed again it goes on, in order');
});
