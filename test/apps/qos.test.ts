/** Rates, marks and storms: which meters and entries profiles become, what packets meet, and what a change costs. */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { RATED_RECEIVER_GROUP } from '../../apps/flood-layout.js';
import { T } from '../../apps/pipeline.js';
import { linkLocalAddress } from '../../apps/protocols.js';
import { portMeter, SHARED_SLOTS, sharedMeter, stormMeter } from '../../apps/qos/meters.js';
import { STORM_BURST, STORM_RATE } from '../../apps/qos/storms.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { DesiredMeter } from '../../controller/datapath/entry.js';
import type { Table } from '../../controller/datapath/pipeline.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { type QosProfileFact, TUNNEL_PORT } from '../../controller/model/facts.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { MembershipMeter } from '../../apps/multicast/punt.js';
import { Meter } from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, vtep } from './facts.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

const HOME = datapathId(1);
const LAST_PORT = 0xfeff;
const MAX_METER = 262_144;

type Profile = Partial<Omit<QosProfileFact, 'id' | 'tenant'>>;

function setProfile(desired: DesiredTables, name: string, number: number, profile: Profile): void {
  const id = `acme/${name}`;
  const defaults = { sharing: 'endpoint', trust: false } as const;
  desired.facts.qosProfiles.set(id, { id, tenant: 'acme', name, number, ...defaults, ...profile });
}

const rate = (kilobitsPerSecond: number) => ({ kilobitsPerSecond, burstKilobits: kilobitsPerSecond });

/** Endpoints of one network on host 1, by their ports, each with what is said of it. */
function world(endpoints: Readonly<Record<number, object>>, network: object = {}): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  setHost(desired.facts, 1);
  setNetwork(desired.facts, 'acme/web', 1, 'vxlan', network);
  for (const [port, more] of Object.entries(endpoints))
    setEndpoint(desired.facts, 'acme/web', Number(port), { host: 1, port: Number(port), ...more });
  return desired;
}

function settle(desired: DesiredTables) {
  const { settlement, conflicts, entries, problems } = desired.settle();
  if (settlement.failures.length > 0) throw settlement.failures[0]!.error;
  if (conflicts.length > 0) throw new Error(`conflicts: ${JSON.stringify(conflicts)}`);
  const changed = [...entries.values()].flatMap((keys) => [...keys.keys()]);
  return { changed, problems };
}

/** Meters by number: their rate and burst. Those of storms, memberships and packet-ins, which are always there, only if asked for. */
function meters(desired: DesiredTables, all = false): Record<number, string> {
  const found = [...desired.entries(HOME)].filter((entry): entry is DesiredMeter => entry.kind === 'meter');
  const always = ({ id }: DesiredMeter): boolean =>
    id === Meter.CONTROLLER ||
    Object.values<number>(MembershipMeter).includes(id) ||
    [...Array(20).keys()].some((port) => id === stormMeter(port));
  return Object.fromEntries(
    found
      .filter((meter) => all || !always(meter))
      .map(({ id, bands: [band] }) => [id, band?.type === 'drop' ? `${band.rate} ${band.burstSize}` : '']),
  );
}

function entriesOf(desired: DesiredTables, table: Table): number {
  return [...desired.entries(HOME)].filter(
    (entry) => entry.kind === 'flow' && entry.table === table.id && entry.priority > 0,
  ).length;
}

const frame = (from: number, fields: Record<string, number | bigint>): Packet =>
  new Map(
    Object.entries({ eth_src: 0x02020a000000 + from, ...fields }).map(([name, value]) => [
      name,
      BigInt(value),
    ]),
  );
const ipv4 = (from: number, to: number, dscp = 0): Packet =>
  frame(from, {
    eth_dst: 0x02020a000000 + to,
    eth_type: 0x0800,
    ipv4_src: 0x0a000000 + from,
    ipv4_dst: 0x0a000000 + to,
    ip_dscp: dscp,
  });
const ipv6 = (from: number, to: number, dscp = 0): Packet =>
  frame(from, {
    eth_dst: 0x02020a000000 + to,
    eth_type: 0x86dd,
    ipv6_src: linkLocalAddress(0x02020a000000 + from),
    ip_dscp: dscp,
  });

/** What becomes of a packet: the meters it passes, and its mark and queue where it leaves. */
function fate(desired: DesiredTables, port: number, packet: Packet) {
  const { steps } = new SoftwareSwitch(desired.entries(HOME)).execute(port, packet);
  const passed = stepsOf(steps, 'meter').map(({ id }) => id);
  const [output] = stepsOf(steps, 'output');
  const value = (field: string) => Number(output?.packet.get(field) ?? 0n);
  return { out: output?.port, meters: passed, dscp: value('ip_dscp'), queue: output?.queue ?? 0 };
}

t.test('numbers of meters are all different, and Open vSwitch takes them', async (t) => {
  const numbers = new Set<number>();
  let count = 0;
  const add = (id: number): void => {
    count++;
    numbers.add(id);
  };
  for (let port = 1; port <= LAST_PORT; port++) {
    for (const direction of ['out', 'in'] as const) add(portMeter(port, direction));
    add(stormMeter(port));
  }
  for (let number = 1; number <= SHARED_SLOTS; number++)
    for (const direction of ['out', 'in'] as const) add(sharedMeter({ number }, direction));
  t.equal(numbers.size, count);
  const sorted = [...numbers].sort((a, b) => a - b);
  t.ok((sorted.at(-1) ?? 0) <= MAX_METER);
  t.equal(sorted[0], 100, 'the first hundred are for others');
});

t.test('rates and marks of each endpoint', async (t) => {
  const desired = world({
    1: { qos: 'acme/gold' },
    2: { qos: 'acme/trusting' },
    3: { qos: 'acme/plain' },
    4: {},
  });
  setProfile(desired, 'gold', 1, { out: rate(10_000), in: rate(20_000), dscp: 46, queue: 5 });
  setProfile(desired, 'trusting', 2, { trust: true, in: rate(5000) });
  setProfile(desired, 'plain', 3, {});
  settle(desired);
  t.strictSame(findOverlaps(desired.entries(HOME)), []);
  t.strictSame(findDanglingReferences(desired.entries(HOME)), []);
  t.strictSame(meters(desired), {
    [portMeter(1, 'out')]: '10000 10000',
    [portMeter(1, 'in')]: '20000 20000',
    [portMeter(2, 'in')]: '5000 5000',
  });
  t.equal(
    entriesOf(desired, T.qos_out),
    3 + 1 + 2 + 2,
    'of gold, trusting, plain, and of endpoints without profile',
  );
  t.equal(entriesOf(desired, T.qos_in), 4, 'two for each: packets, and copies of flooded ones');

  const [out, into] = [portMeter(1, 'out'), portMeter(1, 'in')];
  for (const packet of [ipv4, ipv6]) {
    t.match(fate(desired, 1, packet(1, 4, 10)), { out: 4, meters: [out], dscp: 46, queue: 5 });
    t.match(fate(desired, 4, packet(4, 1, 10)), { out: 1, meters: [into], dscp: 0, queue: 0 }, 'no profile');
    t.match(fate(desired, 2, packet(2, 1, 10)), { out: 1, meters: [into], dscp: 10 }, 'trusted');
    t.match(fate(desired, 3, packet(3, 4, 10)), { out: 4, meters: [], dscp: 0 }, 'not trusted');
  }
  setProfile(desired, 'gold', 1, { out: rate(10_000), in: rate(20_000), dscp: 46 });
  settle(desired);
  t.match(fate(desired, 4, ipv4(4, 1, 10)), { dscp: 10 }, 'no profile, and no queue that marks are worth');
  const other = frame(1, { eth_dst: 0x02020a000004, eth_type: 0x88b5 });
  t.match(fate(desired, 1, other), { out: 4, meters: [out] }, 'what is not IP counts as well');
});

t.test('rates of its own stand over those of its profile, one by one', async (t) => {
  const shared = { qos: 'acme/shared' };
  const desired = world({
    1: { rates: { out: rate(700), in: rate(800) } },
    2: { qos: 'acme/gold', rates: { in: rate(900) } },
    3: { ...shared, rates: { out: rate(600) } },
    4: shared,
  });
  setProfile(desired, 'gold', 1, { out: rate(10_000), in: rate(20_000), dscp: 46 });
  setProfile(desired, 'shared', 2, { out: rate(5000), in: rate(6000), sharing: 'host' });
  settle(desired);
  t.strictSame(findOverlaps(desired.entries(HOME)), []);
  t.strictSame(findDanglingReferences(desired.entries(HOME)), []);
  t.strictSame(meters(desired), {
    [portMeter(1, 'out')]: '700 700',
    [portMeter(1, 'in')]: '800 800',
    [portMeter(2, 'out')]: '10000 10000',
    [portMeter(2, 'in')]: '900 900',
    [portMeter(3, 'out')]: '600 600',
    [sharedMeter({ number: 2 }, 'out')]: '5000 5000',
    [sharedMeter({ number: 2 }, 'in')]: '6000 6000',
  });
  const through = (from: number, to: number) => fate(desired, from, ipv4(from, to, 10));
  t.match(
    through(1, 2),
    { meters: [portMeter(1, 'out'), portMeter(2, 'in')], dscp: 0 },
    'marks of no profile',
  );
  t.match(through(2, 3), { meters: [portMeter(2, 'out'), sharedMeter({ number: 2 }, 'in')], dscp: 46 });
  t.match(through(3, 4).meters, [portMeter(3, 'out'), sharedMeter({ number: 2 }, 'in')]);
  t.match(through(4, 1).meters, [sharedMeter({ number: 2 }, 'out'), portMeter(1, 'in')]);
  setEndpoint(desired.facts, 'acme/web', 1, { host: 1, port: 1 });
  settle(desired);
  t.match(through(1, 2).meters, [portMeter(2, 'in')], 'without them there is nothing');
});

t.test('its own profile, else that of a group, else that of the network', async (t) => {
  const groups = { groups: ['acme/b', 'acme/none', 'acme/a'] };
  const desired = world(
    {
      1: { qos: 'acme/own', ...groups },
      2: groups,
      3: { groups: ['acme/none'] },
      4: { labels: { app: 'db' } },
    },
    { qos: 'acme/net' },
  );
  for (const [index, name] of ['own', 'ga', 'gb', 'net'].entries())
    setProfile(desired, name, index + 1, { out: rate(index + 1) });
  for (const [name, more] of Object.entries({ a: { qos: 'acme/ga' }, b: { qos: 'acme/gb' }, none: {} })) {
    const id = `acme/${name}`;
    desired.facts.groups.set(id, {
      id,
      tenant: 'acme',
      name,
      number: 1,
      endpoints: [],
      networks: [],
      policies: [],
      ...more,
    });
  }
  settle(desired);
  const rates = () =>
    [1, 2, 3, 4].map((port) => Number(meters(desired)[portMeter(port, 'out')]?.split(' ')[0]));
  t.strictSame(rates(), [1, 2, 4, 4]);
  const b = desired.facts.groups.get('acme/b');
  if (b === undefined) throw new Error('no group');
  desired.facts.groups.set('acme/b', { ...b, selector: { matchLabels: { app: 'db' }, expressions: [] } });
  settle(desired);
  t.strictSame(rates(), [1, 2, 4, 3], 'a group that chooses it counts as one that it names');
  setEndpoint(desired.facts, 'acme/web', 1, { host: 1, port: 1, ...groups });
  settle(desired);
  t.strictSame(rates(), [2, 2, 4, 3], 'the first by name');
  desired.facts.groups.delete('acme/a');
  settle(desired);
  t.strictSame(rates(), [3, 3, 4, 3]);
});

t.test(
  'a flooded packet is counted for each receiver with a rate, and apart from the other copies',
  async (t) => {
    const desired = world({ 1: {}, 2: { qos: 'acme/slow' }, 3: {}, 4: { qos: 'acme/slow' } });
    setProfile(desired, 'slow', 1, { in: rate(100), trust: true });
    settle(desired);
    const broadcast = new Map([...ipv4(1, 2), ['eth_dst', 0xffffffffffffn]] as const);
    const { steps, outputs } = new SoftwareSwitch(desired.entries(HOME)).execute(1, broadcast);
    t.strictSame(outputs.map(({ port }) => port).sort(), [2, 3, 4]);
    t.strictSame(
      stepsOf(steps, 'meter').map(({ id }) => id),
      [stormMeter(1), portMeter(2, 'in'), portMeter(4, 'in')],
    );
    const recirculated = stepsOf(steps, 'group').filter(({ id }) => id === RATED_RECEIVER_GROUP);
    t.equal(recirculated.length, 2);
    t.strictSame(
      recirculated.map((step) => stepsOf(step.buckets[0]?.[0] as typeof steps, 'meter').length),
      [1, 1],
      'what a meter drops in a recirculated copy is missed by nobody else',
    );
  },
);

t.test('a new rate changes meters in place, and no entry', async (t) => {
  const desired = world({ 1: { qos: 'acme/gold' }, 2: { qos: 'acme/gold' } });
  setProfile(desired, 'gold', 1, { out: rate(10_000), in: rate(20_000), dscp: 46 });
  settle(desired);
  setProfile(desired, 'gold', 1, { out: rate(15_000), in: rate(20_000), dscp: 46 });
  t.strictSame(
    settle(desired).changed.sort(),
    [1, 2].map((port) => `m${portMeter(port, 'out')}`),
  );
  setProfile(desired, 'gold', 1, { in: rate(20_000), dscp: 46 });
  settle(desired);
  t.strictSame(meters(desired), {
    [portMeter(1, 'in')]: '20000 20000',
    [portMeter(2, 'in')]: '20000 20000',
  });
  t.strictSame(findDanglingReferences(desired.entries(HOME)), []);
  desired.facts.qosProfiles.delete('acme/gold');
  settle(desired);
  t.strictSame(meters(desired), {});
  t.equal(
    entriesOf(desired, T.qos_out) + entriesOf(desired, T.qos_in),
    0,
    'without a profile nothing is left',
  );
});

t.test('a profile that the endpoints of a host share', async (t) => {
  const endpoints = Object.fromEntries([...Array(10).keys()].map((n) => [n + 1, { qos: 'acme/pool' }]));
  const desired = world(endpoints);
  const pool = { sharing: 'host', out: rate(10_000), in: rate(20_000) } as const;
  setProfile(desired, 'pool', 7, pool);
  settle(desired);
  t.strictSame(meters(desired), {
    [sharedMeter({ number: 7 }, 'out')]: '10000 10000',
    [sharedMeter({ number: 7 }, 'in')]: '20000 20000',
  });
  t.strictSame(findDanglingReferences(desired.entries(HOME)), []);
  setProfile(desired, 'pool', 7, { ...pool, out: rate(30_000) });
  t.strictSame(
    settle(desired).changed,
    [`m${sharedMeter({ number: 7 }, 'out')}`],
    'one message for all of them',
  );

  // Another profile whose meters would have these numbers, in use before: endpoints have rates of their own.
  setEndpoint(desired.facts, 'acme/web', 11, { host: 1, port: 11, qos: 'acme/late' });
  setProfile(desired, 'late', 7 + SHARED_SLOTS, { ...pool, out: rate(1000) });
  const { problems } = settle(desired);
  t.match(problems, [
    { datapathId: HOME, problem: { code: 'qos.profile.unnumbered', subject: 'acme/late' } },
  ]);
  t.equal(meters(desired)[portMeter(11, 'out')], '1000 1000');
  t.equal(meters(desired)[sharedMeter({ number: 7 }, 'out')], '30000 30000');
  desired.facts.qosProfiles.delete('acme/pool');
  settle(desired);
  t.equal(meters(desired)[sharedMeter({ number: 7 }, 'out')], '1000 1000', 'it takes the numbers over');
  t.equal(meters(desired)[portMeter(11, 'out')], undefined);
});

t.test('what an endpoint sends to many passes the meter of its port, once', async (t) => {
  const desired = world({ 1: {}, 2: {} });
  settle(desired);
  const storm = stormMeter(1);
  t.equal(meters(desired, true)[storm], `${STORM_RATE} ${STORM_BURST}`);
  const broadcast = 0xffffffffffff;
  const arp = (target: number): Packet =>
    frame(1, {
      eth_dst: broadcast,
      eth_type: 0x0806,
      arp_op: 1,
      arp_sha: 0x02020a000001,
      arp_spa: 0x0a000001,
      arp_tpa: target,
    });
  t.match(fate(desired, 1, arp(0x0a000002)), { out: 1, meters: [storm] }, 'ARP that the switch answers');
  t.match(fate(desired, 1, arp(0x0a000063)), { meters: [storm] }, 'ARP for nobody');
  t.match(fate(desired, 1, new Map([...ipv4(1, 2), ['eth_dst', 0xffffffffffffn]])), {
    out: 2,
    meters: [storm],
  });
  t.match(fate(desired, 1, new Map([...ipv6(1, 2), ['eth_dst', 0x333300000001n]])), {
    out: 2,
    meters: [storm],
  });
  t.match(fate(desired, 1, ipv4(1, 2)), { out: 2, meters: [] }, 'not what it sends to one');
  setHost(desired.facts, 2);
  setEndpoint(desired.facts, 'acme/web', 50, { host: 2, port: 1 });
  settle(desired);
  const tunnel = [
    ['tunnel_id', 1n],
    ['tun_src', BigInt(vtep(2))],
    ['eth_dst', 0xffffffffffffn],
  ] as const;
  const arriving = new Map([...ipv4(50, 2), ...tunnel]);
  t.match(fate(desired, TUNNEL_PORT, arriving), { out: 1, meters: [] }, 'nor what was counted elsewhere');
});

t.test('queues of a host: what the profiles of its endpoints ask for', async (t) => {
  const desired = world({ 1: { qos: 'acme/voice' }, 2: { qos: 'acme/video' }, 3: { qos: 'acme/bulk' } });
  setProfile(desired, 'voice', 1, { queue: 5, dscp: 46, guaranteedKilobitsPerSecond: 2000 });
  setProfile(desired, 'video', 2, { queue: 5, dscp: 34, guaranteedKilobitsPerSecond: 9000 });
  setProfile(desired, 'bulk', 3, { queue: 1, dscp: 0 });
  setProfile(desired, 'unused', 4, { queue: 7 });
  const changed = (): readonly string[] => desired.settle().queues;
  t.strictSame(changed(), ['h1']);
  const both = [
    { queue: 1, marks: [] },
    { queue: 5, guaranteedKilobitsPerSecond: 9000, marks: [34, 46] },
  ];
  t.strictSame(desired.queues.of('h1'), both);
  setProfile(desired, 'voice', 1, { queue: 5, dscp: 46, guaranteedKilobitsPerSecond: 3000 });
  t.strictSame(changed(), [], 'the larger guarantee counts');
  desired.facts.endpoints.delete('acme/web/e2');
  t.strictSame(changed(), ['h1']);
  t.strictSame(desired.queues.of('h1')[1], { queue: 5, guaranteedKilobitsPerSecond: 3000, marks: [46] });
  for (const port of [1, 3]) desired.facts.endpoints.delete(`acme/web/e${port}`);
  t.strictSame(changed(), ['h1']);
  t.strictSame(desired.queues.of('h1'), [], 'nobody asks for any');
});

const profiles = fc.record({
  out: fc.option(fc.integer({ min: 1, max: 3 }).map(rate), { nil: undefined }),
  in: fc.option(fc.integer({ min: 1, max: 3 }).map(rate), { nil: undefined }),
  sharing: fc.constantFrom('endpoint' as const, 'host' as const),
  dscp: fc.option(fc.constantFrom(0, 46), { nil: undefined }),
  trust: fc.boolean(),
  queue: fc.option(fc.nat(2), { nil: undefined }),
  /** Some in each other's way. */
  number: fc.constantFrom(1, 2, 1 + SHARED_SLOTS, 2 + SHARED_SLOTS),
});
const NAMES = ['a', 'b', 'c', 'd'];
const step = fc.oneof(
  fc.record({ name: fc.constantFrom(...NAMES), profile: fc.option(profiles) }),
  fc.record({ port: fc.integer({ min: 1, max: 4 }), name: fc.option(fc.constantFrom(...NAMES)) }),
);

t.test('any history of profiles gives the tables that their end gives', async (t) => {
  let seen = 0;
  const texts = (desired: DesiredTables): string[] =>
    [...desired.scopes.effectiveEntries(HOME)].map(({ key, content }) => `${key} ${content}`).sort();
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const incremental = world({ 1: {}, 2: {}, 3: {}, 4: {} });
      const fresh = world({ 1: {}, 2: {}, 3: {}, 4: {} });
      const taken = new Map<string, number>();
      const writes = new Map<string, (desired: DesiredTables) => void>();
      for (const one of steps) {
        let write: (desired: DesiredTables) => void;
        if ('port' in one) {
          const { port, name } = one;
          const named = name === null ? {} : { qos: `acme/${name}` };
          write = ({ facts }) => void setEndpoint(facts, 'acme/web', port, { host: 1, port, ...named });
          writes.set(`port ${port}`, write);
        } else {
          const { name, profile } = one;
          // Numbers of profiles are unique.
          const number = profile?.number ?? 0;
          if (profile !== null && [...taken].some(([other, used]) => other !== name && used === number))
            continue;
          if (profile === null) taken.delete(name);
          else taken.set(name, number);
          write = (desired) =>
            profile === null
              ? desired.facts.qosProfiles.delete(`acme/${name}`)
              : setProfile(desired, name, number, profile as Profile);
          writes.set(`profile ${name}`, write);
        }
        write(incremental);
        settle(incremental);
      }
      for (const write of [...writes.values()].reverse()) write(fresh);
      settle(fresh);
      const [got, want] = [texts(incremental), texts(fresh)];
      const differing = got.findIndex((entry, index) => entry !== want[index]);
      if (differing >= 0 || got.length !== want.length)
        throw new Error(`${got[differing]}, not ${want[differing]}`);
      if (findOverlaps(fresh.entries(HOME)).length > 0) throw new Error('entries overlap');
      if (findDanglingReferences(fresh.entries(HOME)).length > 0) throw new Error('a meter is missing');
      seen += Object.keys(meters(fresh)).length;
    }),
    { numRuns: 60 },
  );
  t.ok(seen > 60, `${seen} meters of rates in all`);
});
