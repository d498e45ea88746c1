/**
 * Who may say what to whom, in random worlds with random policies: entries executed in this process against the naive evaluator of
 * `policy-evaluator.ts`. Every pair of endpoints, packets of both directions, errors about them, broadcast, and forged directions.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { R, T } from '../../apps/pipeline.js';
import { decodePunt } from '../../apps/policy/punt.js';
import { canonicalFlow, canonicalGroup } from '../../controller/datapath/canonical.js';
import { cookieLayout } from '../../controller/datapath/cookie.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { asInvalid, asNew, asPartOf } from '../../controller/trace/connection.js';
import type { Track } from '../../controller/trace/execute.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { CtState } from '../../ofproto/index.js';
import { datapathId } from './facts.js';
import {
  type Conversation,
  type Direction,
  endpointAt,
  type Verdict,
  verdictOf,
} from './policy-evaluator.js';
import {
  type Address,
  type Endpoint,
  CHANNELS,
  HOSTS,
  NETWORKS,
  wideWorlds,
  type World,
  worlds,
  write,
} from './policy-world.js';
import { SoftwareFabric } from './software-fabric.js';
import type { Packet } from './software-switch.js';

const RUNS = 40;
const SCTP = 132;
const BROADCAST_MAC = 0xffffffffffff;
const NEIGHBOUR = { mac: 0x02ffffff0001, ipv4: 0x0a0200f0 };
const LAN_TAG = 0x1002;

const SERVICES: readonly (readonly [protocol: number, sourcePort: number, destinationPort: number])[] = [
  [6, 40_000, 80],
  [6, 40_000, 88],
  [17, 40_000, 79],
  [132, 40_000, 90],
  [1, 8, 0],
  [1, 3, 1],
  [58, 128, 0],
  [47, 0, 0],
];
const PORT_FIELDS: Readonly<Record<number, readonly [string, string]>> = {
  6: ['tcp_src', 'tcp_dst'],
  17: ['udp_src', 'udp_dst'],
  132: ['sctp_src', 'sctp_dst'],
};

function derive(world: World): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  settle(desired, world);
  return desired;
}

function settle(desired: DesiredTables, world: World): void {
  write(desired.facts, world);
  const { settlement, conflicts } = desired.settle();
  if (settlement.failures.length > 0) throw settlement.failures[0]!.error;
  const [conflict] = [...conflicts, ...settlement.conflicts];
  if (conflict !== undefined) throw new Error(`a conflict: ${JSON.stringify(conflict)}`);
}

interface Ends {
  readonly macs: readonly [source: number, destination: number];
  readonly addresses: readonly [source: Address, destination: Address];
}

function frame({ macs, addresses }: Ends, protocol: number, ports: readonly [number, number]): Packet {
  const six = typeof addresses[0] === 'bigint';
  const icmp = protocol === 58 ? 'icmpv6' : 'icmpv4';
  const [first, second] = PORT_FIELDS[protocol] ?? [`${icmp}_type`, `${icmp}_code`];
  const fields: [string, number | bigint][] = [
    ['eth_src', macs[0]],
    ['eth_dst', macs[1]],
    ['eth_type', six ? 0x86dd : 0x0800],
    [six ? 'ipv6_src' : 'ipv4_src', addresses[0]],
    [six ? 'ipv6_dst' : 'ipv4_dst', addresses[1]],
    ['ip_proto', protocol],
    ...(protocol === 47
      ? []
      : [[first, ports[0]] as [string, number], [second, ports[1]] as [string, number]]),
  ];
  return new Map(fields.map(([name, value]) => [name, BigInt(value)]));
}

const swapped = ({ macs, addresses }: Ends): Ends => ({
  macs: [macs[1], macs[0]],
  addresses: [addresses[1], addresses[0]],
});

const passes = (verdict: Verdict | undefined): boolean => verdict === undefined || verdict.action === 'allow';
const isStateless = (...verdicts: (Verdict | undefined)[]): boolean =>
  verdicts.some((v) => v?.stateless === true);

/** Checks what the last packet met: the rules that counted it, and what was told of it. */
function checkVerdicts(
  world: World,
  fabric: SoftwareFabric,
  expected: readonly [direction: Direction, verdict: Verdict | undefined][],
  isNew: boolean,
): string | undefined {
  const punts: string[] = [];
  for (const [direction, verdict] of expected) {
    const table = direction === 'out' ? T.egress_verdict.id : T.ingress_verdict.id;
    const met = fabric.executions
      .flatMap(({ trace }) => trace)
      .filter((entry) => entry.table === table)
      .map(({ cookie }) => cookieLayout.decode(cookie).object);
    if (verdict === undefined || verdict.rules.length === 0) {
      if (met.length > 0) return `${direction}: rule ${met} counted a packet of a default`;
      if (!passes(verdict)) punts.push(`${direction} deny ${verdict!.defaults.join(' or ')} by meter 3`);
    } else {
      if (met.length !== 1 || !verdict.rules.includes(met[0]!))
        return `${direction}: rule ${met} counted it, not one of ${verdict.rules}`;
      const rule = world.rules.find(({ number }) => number === met[0])!;
      const told = rule.action === 'reject' || (rule.log && (rule.action === 'deny' || isNew));
      if (told)
        punts.push(
          `${direction} ${rule.action} rule ${rule.number} by meter ${rule.action === 'reject' ? 2 : 1}`,
        );
    }
    if (!passes(verdict)) break;
  }
  const told = fabric.executions
    .flatMap(({ steps }) => stepsOf(steps, 'controller'))
    .map(({ userdata, meterId }) => {
      const { direction, verdict, decider } = decodePunt(userdata!)!;
      return `${direction} ${verdict} ${decider.kind} ${decider.number} by meter ${meterId}`;
    });
  // Of several defaults that say the same the first is told.
  const expectedPunts = punts.map((punt) => punt.replace(/( or policy \d+)+/, ''));
  if (told.join() !== expectedPunts.join()) return `told ${told}, not ${expectedPunts}`;
  return undefined;
}

const commits = (fabric: SoftwareFabric): number =>
  fabric.executions.flatMap(({ steps }) => stepsOf(steps, 'track')).filter(({ commit }) => commit).length;

/** Everything between two endpoints of a network about one service; the first thing that is wrong, or undefined. */
function checkPair(
  world: World,
  fabric: SoftwareFabric,
  from: Endpoint,
  to: Endpoint,
  ends: Ends,
  [protocol, sourcePort, destinationPort]: (typeof SERVICES)[number],
): string | undefined {
  const [source, destination] = ends.addresses;
  const conversation = { network: from.network, source, destination, protocol, sourcePort, destinationPort };
  const out = verdictOf(world, from, 'out', conversation);
  const into = verdictOf(world, to, 'in', conversation);
  const allowed = passes(out) && passes(into);
  const stateless = isStateless(out, into);
  const first = frame(ends, protocol, [sourcePort, destinationPort]);
  const back = frame(swapped(ends), protocol, [destinationPort, sourcePort]);
  const error = frame(swapped(ends), typeof source === 'bigint' ? 58 : 1, [3, 3]);
  const arrives = (sender: Endpoint, receiver: Endpoint, packet: Packet, track: Track): boolean => {
    const deliveries = fabric.send(sender.host!, sender.port, packet, track);
    const right = deliveries.filter(({ host, port }) => host === receiver.host && port === receiver.port);
    if (right.length !== deliveries.filter(({ host }) => host !== undefined).length || right.length > 1)
      throw new Error(`${deliveries.length} copies`);
    return right.length === 1;
  };
  const { ESTABLISHED, RELATED, REPLY } = CtState;
  const part = (state: number): Track => asPartOf(first, state);
  const verdicts = (isNew: boolean) =>
    checkVerdicts(
      world,
      fabric,
      [
        ['out', out],
        ['in', into],
      ],
      isNew,
    );

  if (arrives(from, to, first, asNew) !== allowed) return `a new connection ${allowed ? 'fails' : 'passes'}`;
  const wrong = verdicts(true);
  if (wrong !== undefined) return wrong;
  if (!passes(out) && commits(fabric) > 0) return 'a denied connection is remembered';
  if (allowed && !stateless && commits(fabric) !== fabric.executions.length) return 'it is not remembered';
  if (stateless && commits(fabric) === fabric.executions.length) return 'a stateless one is remembered';

  if (arrives(from, to, first, part(ESTABLISHED)) !== allowed) return 'established: not as its first packet';
  const later = verdicts(false);
  if (later !== undefined) return `established: ${later}`;
  if (arrives(to, from, back, part(ESTABLISHED | REPLY)) !== (allowed && !stateless)) return 'an answer';
  // Errors about SCTP have no ports, and rules ask its packets themselves for them (`services.ts`).
  const known = protocol !== SCTP;
  if (known && arrives(to, from, error, part(RELATED | REPLY)) !== (allowed && !stateless)) return 'an error';
  if (arrives(from, to, first, asInvalid) !== (out === undefined && into === undefined)) return 'invalid';
  return undefined;
}

function pairsOf(world: World): [Endpoint, Endpoint, Ends][] {
  return world.endpoints.flatMap((from) =>
    world.endpoints
      .filter((to) => to !== from && to.network === from.network)
      .flatMap((to): [Endpoint, Endpoint, Ends][] => [
        [from, to, { macs: [from.mac, to.mac], addresses: [from.ipv4[0]!, to.ipv4[0]!] }],
        [from, to, { macs: [from.mac, to.mac], addresses: [from.ipv6[0]!, to.ipv6[0]!] }],
      ]),
  );
}

t.test('connections between endpoints', async (t) => {
  const seen = { allowed: 0, denied: 0, byRule: 0, judged: 0 };
  fc.assert(
    fc.property(worlds, fc.nat(SERVICES.length - 1), (world, offset) => {
      const fabric = new SoftwareFabric(derive(world));
      for (const [i, [from, to, ends]] of pairsOf(world).entries()) {
        const service = SERVICES[(i + offset) % SERVICES.length]!;
        if ((service[0] === 1) === (typeof ends.addresses[0] === 'bigint') && service[0] !== 6) continue;
        const wrong = checkPair(world, fabric, from, to, ends, service);
        if (wrong !== undefined)
          throw new Error(`${from.id} to ${to.id} ${ends.addresses} ${service}: ${wrong}`);
        const [protocol, sourcePort, destinationPort] = service;
        const [source, destination] = ends.addresses;
        const of = { network: from.network, source, destination, protocol, sourcePort, destinationPort };
        const verdicts = [verdictOf(world, from, 'out', of), verdictOf(world, to, 'in', of)];
        seen[verdicts.every(passes) ? 'allowed' : 'denied']++;
        seen.judged += verdicts.filter((verdict) => verdict !== undefined).length;
        seen.byRule += verdicts.filter((verdict) => (verdict?.rules.length ?? 0) > 0).length;
      }
    }),
    { numRuns: RUNS },
  );
  t.comment(JSON.stringify(seen));
  t.ok(Math.min(...Object.values(seen)) > 10, 'the worlds have something to judge');
});

t.test('neighbours in the VLAN underlay, broadcast, and answers to whom nobody asked', async (t) => {
  const copies = new Map<Address, number>();
  fc.assert(
    fc.property(worlds, (world) => {
      const fabric = new SoftwareFabric(derive(world));
      for (const endpoint of world.endpoints) {
        if (endpoint.network === 'red/lan') checkNeighbour(world, fabric, endpoint);
        for (const group of toEverybody) {
          const got = checkFlooded(world, fabric, endpoint, group);
          copies.set(group[1], (copies.get(group[1]) ?? 0) + got);
        }
        checkStray(world, fabric, endpoint);
      }
    }),
    { numRuns: RUNS / 2 },
  );
  t.ok(Math.min(...copies.values()) > 10, `copies: ${[...copies.values()]}`);
});

function checkNeighbour(world: World, fabric: SoftwareFabric, endpoint: Endpoint): void {
  const mine = endpoint.ipv4[0]!;
  const of = (source: Address, destination: Address): Conversation => ({
    network: endpoint.network,
    source,
    destination,
    protocol: 6,
    sourcePort: 1,
    destinationPort: 80,
  });
  const fromThere: Ends = { macs: [NEIGHBOUR.mac, endpoint.mac], addresses: [NEIGHBOUR.ipv4, mine] };
  const into = verdictOf(world, endpoint, 'in', of(NEIGHBOUR.ipv4, mine));
  const came = fabric.sendFromUnderlay(
    new Map([...frame(fromThere, 6, [1, 80]), ['vlan_vid', BigInt(LAN_TAG)]]),
  );
  if ((came.length === 1) !== passes(into)) throw new Error(`a neighbour to ${endpoint.id}: ${came.length}`);
  const out = verdictOf(world, endpoint, 'out', of(mine, NEIGHBOUR.ipv4));
  const went = fabric.send(endpoint.host!, endpoint.port, frame(swapped(fromThere), 6, [1, 80]));
  if ((went.length === 1) !== passes(out)) throw new Error(`${endpoint.id} to a neighbour: ${went.length}`);
}

const ROUTER_MAC = 0x02ffffff0002;

/**
 * A router outside brings packets of other networks into a VLAN network, and takes packets to them out of it. Returns how many were about
 * somebody who is recognised there, and judged.
 */
function checkRouted(world: World, fabric: SoftwareFabric, endpoint: Endpoint): number {
  const network = NETWORKS.find(({ id }) => id === endpoint.network)!;
  if (network.encapsulation !== 'vlan') return 0;
  let recognised = 0;
  const { ESTABLISHED, REPLY } = CtState;
  const tag = ['vlan_vid', 0x1000n | BigInt(network.number)] as const;
  for (const other of world.endpoints.filter((one) => one.network !== endpoint.network)) {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const [mine, theirs]: readonly [Address, Address] = [endpoint[family][0]!, other[family][0]!];
      if (mine === theirs) continue;
      const of = { network: endpoint.network, protocol: 6, sourcePort: 1, destinationPort: 80 };
      const into = verdictOf(world, endpoint, 'in', { ...of, source: theirs, destination: mine });
      const out = verdictOf(world, endpoint, 'out', { ...of, source: mine, destination: theirs });
      if (into !== undefined && endpointAt(world, endpoint.network, theirs) !== undefined) recognised++;
      const there: Ends = { macs: [ROUTER_MAC, endpoint.mac], addresses: [theirs, mine] };
      const fromThere = frame(there, 6, [1, 80]);
      const fromHere = frame(swapped(there), 6, [1, 80]);
      const comes = (packet: Packet, track: Track = asNew) =>
        fabric.sendFromUnderlay(new Map([...packet, tag]), track).length === 1;
      const goes = (packet: Packet, track: Track = asNew) =>
        fabric.send(endpoint.host!, endpoint.port, packet, track).length === 1;
      const what = `${endpoint.id} and ${theirs} behind a router`;
      if (comes(fromThere) !== passes(into)) throw new Error(`${what}: comes ${!passes(into)}`);
      const wrong = checkVerdicts(world, fabric, [['in', into]], true);
      if (wrong !== undefined && fabric.executions.length === 1) throw new Error(`${what}: ${wrong}`);
      if (goes(fromHere) !== passes(out)) throw new Error(`${what}: goes ${!passes(out)}`);
      const answers = (verdict: Verdict | undefined) => passes(verdict) && !isStateless(verdict);
      const answer = frame(swapped(there), 6, [80, 1]);
      if (goes(answer, asPartOf(fromThere, ESTABLISHED | REPLY)) !== answers(into))
        throw new Error(`${what}: its answer ${!answers(into)}`);
      const reply = frame(there, 6, [80, 1]);
      if (comes(reply, asPartOf(fromHere, ESTABLISHED | REPLY)) !== answers(out))
        throw new Error(`${what}: the answer to it ${!answers(out)}`);
    }
  }
  return recognised;
}

/** To somebody in another network by an endpoint that says it is a router: its MAC address, the other one's address. */
function checkThroughEndpoint(world: World, fabric: SoftwareFabric, sender: Endpoint): void {
  const router = world.endpoints.find((one) => one !== sender && one.network === sender.network);
  const other = world.endpoints.find(
    ({ network, ipv4 }) => network !== sender.network && ipv4[0] !== sender.ipv4[0],
  );
  if (router === undefined || other === undefined) return;
  const [source, destination] = [sender.ipv4[0]!, other.ipv4[0]!];
  const of = {
    network: sender.network,
    source,
    destination,
    protocol: 6,
    sourcePort: 1,
    destinationPort: 80,
  };
  const allowed = passes(verdictOf(world, sender, 'out', of)) && passes(verdictOf(world, router, 'in', of));
  const ends: Ends = { macs: [sender.mac, router.mac], addresses: [source, destination] };
  const got = fabric
    .send(sender.host!, sender.port, frame(ends, 6, [1, 80]))
    .filter(({ host }) => host !== undefined);
  if ((got.length === 1) !== allowed) throw new Error(`${sender.id} by ${router.id} to ${other.id}`);
}

t.test('members of other networks, behind routers', async (t) => {
  let recognised = 0;
  fc.assert(
    fc.property(worlds, (world) => {
      const fabric = new SoftwareFabric(derive(world));
      for (const endpoint of world.endpoints) {
        recognised += checkRouted(world, fabric, endpoint);
        checkThroughEndpoint(world, fabric, endpoint);
      }
    }),
    { numRuns: RUNS },
  );
  t.ok(recognised > 50, `${recognised} of members that are recognised`);
});

const toEverybody: readonly (readonly [mac: number, destination: Address])[] = [
  [BROADCAST_MAC, 0xffffffff],
  [0x01005e010105, 0xef010105],
  [0x01005e010106, 0xef010106],
  [0x01005e020001, 0xef020001],
  [0x333300000007, (0xff15n << 112n) + 7n],
  [0x333300000009, (0xff15n << 112n) + 9n],
];

/** Returns how many copies there were. */
function checkFlooded(
  world: World,
  fabric: SoftwareFabric,
  sender: Endpoint,
  [mac, destination]: readonly [mac: number, destination: Address],
  [protocol, sourcePort, destinationPort] = [17, 1, 79],
): number {
  const source = typeof destination === 'bigint' ? sender.ipv6[0]! : sender.ipv4[0]!;
  const of = {
    network: sender.network,
    source,
    destination,
    protocol,
    sourcePort,
    destinationPort,
  };
  const ends: Ends = { macs: [sender.mac, mac], addresses: [source, destination] };
  const others = world.endpoints.filter((other) => other !== sender && other.network === sender.network);
  const expected = passes(verdictOf(world, sender, 'out', of))
    ? others.filter((receiver) => passes(verdictOf(world, receiver, 'in', of)))
    : [];
  const text = (endpoints: readonly { host?: string | undefined; port: number }[]): string =>
    endpoints
      .filter(({ host }) => host !== undefined)
      .map(({ host, port }) => `${host}/${port}`)
      .sort()
      .join();
  const got = text(
    fabric.send(sender.host!, sender.port, frame(ends, protocol, [sourcePort, destinationPort])),
  );
  if (got !== text(expected))
    throw new Error(`${sender.id} to ${destination}: ${got}, not ${text(expected)}`);
  const announcement = new Map<string, bigint>([
    ['eth_src', BigInt(sender.mac)],
    ['eth_dst', BigInt(BROADCAST_MAC)],
    ['eth_type', 0x0806n],
    ['arp_op', 1n],
    ['arp_sha', BigInt(sender.mac)],
    ['arp_spa', BigInt(sender.ipv4[0]!)],
    ['arp_tpa', BigInt(sender.ipv4[0]!)],
  ]);
  if (text(fabric.send(sender.host!, sender.port, announcement)) !== text(others)) throw new Error('ARP');
  return expected.length;
}

/** An answer sent to the MAC address of somebody else than who asked: it must not get past what that one admits. */
function checkStray(world: World, fabric: SoftwareFabric, sender: Endpoint): void {
  const neighbours = world.endpoints.filter((other) => other !== sender && other.network === sender.network);
  const [asker, victim] = neighbours;
  if (asker === undefined || victim === undefined) return;
  const [asking, answering] = [asker.ipv4[0]!, sender.ipv4[0]!];
  const first = frame({ macs: [asker.mac, sender.mac], addresses: [asking, answering] }, 17, [1, 79]);
  const stray = frame({ macs: [sender.mac, victim.mac], addresses: [answering, asking] }, 17, [79, 1]);
  const track = asPartOf(first, CtState.ESTABLISHED | CtState.REPLY);
  const deliveries = fabric
    .send(sender.host!, sender.port, stray, track)
    .filter(({ host }) => host !== undefined);
  const anything = {
    network: victim.network,
    source: 0,
    destination: 0,
    protocol: 0,
    sourcePort: 0,
    destinationPort: 0,
  };
  if (verdictOf(world, victim, 'in', anything) !== undefined && deliveries.length > 0)
    throw new Error(`an answer to ${asker.id} reaches ${victim.id}`);
}

function texts(desired: DesiredTables): string[][] {
  return HOSTS.map((host) =>
    [...desired.scopes.effectiveEntries(datapathId(host))]
      .map(({ key, entry }) => {
        if (entry.kind === 'meter') return key;
        return `${key} ${entry.kind === 'flow' ? canonicalFlow(entry) : canonicalGroup(entry)}`;
      })
      .sort(),
  );
}

t.test('conjunctive matches: many at the other end by many ports', async (t) => {
  const seen = { clauses: 0, shared: 0, threefold: 0, wide: 0, allowed: 0, denied: 0, copies: 0 };
  fc.assert(
    fc.property(wideWorlds, fc.nat(1000), (world, offset) => {
      const desired = derive(world);
      const fabric = new SoftwareFabric(desired);
      for (const entry of desired.entries(datapathId(1))) {
        if (entry.kind !== 'flow') continue;
        const actions = entry.instructions.flatMap((i) => (i.type === 'apply_actions' ? i.actions : []));
        const conjunctions = actions.filter(({ type }) => type === 'conjunction').length;
        if (actions.some((action) => action.type === 'conjunction' && action.clauses === 3)) seen.threefold++;
        if (conjunctions > 0) seen.clauses++;
        if (conjunctions > 1) seen.shared++;
        if (entry.match.some(({ field }) => field === R.sourceClasses.field)) seen.wide++;
      }
      for (const [i, [from, to, ends]] of pairsOf(world).entries()) {
        if ((i + offset) % 5 !== 0) continue;
        const service = [6, 40_000, (i * 7 + offset) % 62] as const;
        const wrong = checkPair(world, fabric, from, to, ends, service);
        if (wrong !== undefined)
          throw new Error(`${from.id} to ${to.id} ${ends.addresses} ${service}: ${wrong}`);
        const packet = frame(ends, 6, [40_000, service[2]]);
        seen[fabric.send(from.host!, from.port, packet).length > 0 ? 'allowed' : 'denied']++;
      }
      for (const [i, sender] of world.endpoints.entries()) {
        const group = (i * 5 + offset) % CHANNELS.length;
        const to = [0x01005e010000 + group, CHANNELS[group]!] as const;
        seen.copies += checkFlooded(world, fabric, sender, to, [6, 40_000, (i * 7 + offset) % 62]);
      }
      const [overlap] = findOverlaps(desired.entries(datapathId(1)), pipeline);
      if (overlap !== undefined) throw new Error(`overlap: ${JSON.stringify(overlap, bigints)}`);
    }),
    { numRuns: 8 },
  );
  t.comment(JSON.stringify(seen));
  t.ok(Math.min(...Object.values(seen)) > 0, 'there are clauses, some of several rules, and both verdicts');
});

t.test('tables are the same whatever the history, and nothing in them is undefined', async (t) => {
  let policyEntries = 0;
  fc.assert(
    fc.property(worlds, worlds, (before, world) => {
      const desired = derive(before);
      settle(desired, world);
      assert.deepEqual(texts(desired), texts(derive(world)));
      for (const host of HOSTS) {
        const entries = [...desired.entries(datapathId(host))];
        const [overlap] = findOverlaps(entries, pipeline);
        if (overlap !== undefined) throw new Error(`overlap: ${JSON.stringify(overlap, bigints)}`);
        const [dangling] = findDanglingReferences(entries);
        if (dangling !== undefined) throw new Error(`${dangling.missing} is named and not there`);
        const policyTables = new Set([T.egress_policy.id, T.ingress_policy.id]);
        policyEntries += entries.filter(
          (entry) => entry.kind === 'flow' && policyTables.has(entry.table),
        ).length;
      }
    }),
    { numRuns: RUNS / 2 },
  );
  t.ok(policyEntries > 200, `${policyEntries} entries`);
});

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
