/**
 * Changes that several switches make together: whatever each of them holds of a transition, what the old and the new policy forbid never
 * passes, and what both allow always does. Random policies, entries executed in this process.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { canonicalFlow, canonicalGroup } from '../../controller/datapath/canonical.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { DesiredEntry } from '../../controller/datapath/entry.js';
import type { TransitionDeclaration } from '../../controller/datapath/pipeline.js';
import type { Transition } from '../../controller/datapath/transition.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { asNew, asPartOf } from '../../controller/trace/connection.js';
import type { Track } from '../../controller/trace/execute.js';
import { CtState } from '../../ofproto/index.js';
import { datapathId, hostName } from '../apps/facts.js';
import { type Endpoint, HOSTS, type World, worlds, write } from '../apps/policy-world.js';
import { SoftwareFabric } from '../apps/software-fabric.js';
import type { Packet } from '../apps/software-switch.js';
import { deny, WEB, writeDenials } from './denials.js';

const RUNS = 8;
const BROADCAST_MAC = 0xffffffffffffn;
const declaration = pipeline.transition as TransitionDeclaration;

/** What each host holds, by datapath id. */
type Held = ReadonlyMap<string, readonly DesiredEntry[]>;

class Cluster {
  readonly desired = new DesiredTables({ pipeline, apps });
  transition: Transition | undefined;

  /** Settles a world, in one step or as part of the transition. */
  settle(world: World, inTwoSteps: boolean): Held {
    write(this.desired.facts, world);
    return this.stage(inTwoSteps);
  }

  stage(inTwoSteps: boolean): Held {
    this.transition?.suspend();
    const { settlement, conflicts } = this.desired.settle(() => {
      if (inTwoSteps) this.transition ??= this.desired.beginTransition(declaration);
      this.transition?.resume(inTwoSteps);
    });
    if (settlement.failures.length > 0) throw settlement.failures[0]!.error;
    assert.deepEqual([...conflicts, ...settlement.conflicts], []);
    return this.held;
  }

  finish(): Held {
    this.transition?.finish();
    this.transition = undefined;
    this.desired.scopes.takeChanges();
    return this.held;
  }

  get held(): Held {
    return new Map(HOSTS.map((host) => [datapathId(host), [...this.desired.entries(datapathId(host))]]));
  }

  /** The hosts joined, each with what it holds in another state. */
  fabric(states: readonly Held[]): SoftwareFabric {
    const tables = new Map(
      HOSTS.map((host, i) => [datapathId(host), states[i]?.get(datapathId(host)) ?? []]),
    );
    const entries = (of: string) => (tables.get(of) ?? []).values();
    return new SoftwareFabric({ facts: this.desired.facts, entries });
  }
}

function text(entries: readonly DesiredEntry[]): string[] {
  return entries
    .map((entry) => {
      if (entry.kind === 'meter') return `meter ${entry.id}`;
      if (entry.kind === 'group') return `group ${entry.id} ${canonicalGroup(entry)}`;
      return `${entry.table} ${entry.priority} ${JSON.stringify(entry.match, bigints)} ${canonicalFlow(entry)}`;
    })
    .sort();
}

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
const textsOf = (held: Held): string[][] => [...held.values()].map(text);

/** The endpoints of one world under the policies of another, with the labels and groups of its own. */
function changed(world: World, other: World): World {
  const ids = new Set(world.endpoints.map(({ id }) => id));
  const groups = other.groups.map((group) => ({
    ...group,
    endpoints: group.endpoints.filter((id) => ids.has(id)),
  }));
  const endpoints = world.endpoints.map((endpoint, i) => {
    const { labels = {}, groups: named = [] } = other.endpoints[i] ?? {};
    const known =
      endpoint.tenant === 'red' ? named.filter((id) => groups.some((group) => group.id === id)) : [];
    return { ...endpoint, labels, groups: known };
  });
  return { ...other, endpoints, groups };
}

const NO_POLICY = { closed: [], groups: [], policies: [], rules: [] };

interface Question {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly packet: Packet;
  readonly track: Track;
}

function frame(from: Endpoint, to: Endpoint, six: boolean, ports: readonly [number, number]): Packet {
  const address = six ? 'ipv6' : 'ipv4';
  return new Map<string, bigint>([
    ['eth_src', BigInt(from.mac)],
    ['eth_dst', BigInt(to.mac)],
    ['eth_type', six ? 0x86ddn : 0x0800n],
    [`${address}_src`, BigInt(six ? from.ipv6[0]! : from.ipv4[0]!)],
    [`${address}_dst`, BigInt(six ? to.ipv6[0]! : to.ipv4[0]!)],
    ['ip_proto', 6n],
    ['tcp_src', BigInt(ports[0])],
    ['tcp_dst', BigInt(ports[1])],
  ]);
}

/** Gratuitous ARP. */
function announcementOf({ mac, ipv4 }: Pick<Endpoint, 'mac' | 'ipv4'>): Packet {
  return new Map<string, bigint>([
    ['eth_src', BigInt(mac)],
    ['eth_dst', BROADCAST_MAC],
    ['eth_type', 0x0806n],
    ['arp_op', 1n],
    ['arp_sha', BigInt(mac)],
    ['arp_spa', BigInt(ipv4[0]!)],
    ['arp_tpa', BigInt(ipv4[0]!)],
  ]);
}

/** The first packet, a later one and the answer of a connection between each two. */
function questionsOf({ endpoints }: World): Question[] {
  const { ESTABLISHED, REPLY } = CtState;
  return endpoints.flatMap((from, i) =>
    endpoints
      .filter((to) => to !== from && to.network === from.network)
      .flatMap((to, k): Question[] => {
        const [six, ports] = [(i + k) % 2 === 1, [40_000, [80, 79, 88][k % 3]!] as const];
        const first = frame(from, to, six, ports);
        const answer = frame(to, from, six, [ports[1], ports[0]]);
        return [
          { from, to, packet: first, track: asNew },
          { from, to, packet: first, track: asPartOf(first, ESTABLISHED) },
          { from: to, to: from, packet: answer, track: asPartOf(first, ESTABLISHED | REPLY) },
        ];
      }),
  );
}

const arrives = (fabric: SoftwareFabric, { from, to, packet, track }: Question): boolean =>
  fabric
    .send(from.host!, from.port, packet, track)
    .some(({ host, port }) => host === to.host && port === to.port);

/** States in which two hosts can be at one time, by their places in `before, between…, after`; the last step waits for the one before. */
function pairs(count: number): (readonly [number, number])[] {
  const places = Array.from({ length: count }, (_, i) => i);
  return places.flatMap((a) =>
    places
      .filter((b) => Math.max(a, b) < count - 1 || Math.min(a, b) >= count - 2)
      .map((b) => [a, b] as const),
  );
}

t.test('what old and new policy forbid never passes, what both allow always does', async (t) => {
  const seen = { allowed: 0, forbidden: 0, changed: 0, versions: 0 };
  fc.assert(
    fc.property(worlds, fc.array(worlds, { minLength: 1, maxLength: 2 }), (world, others) => {
      const cluster = new Cluster();
      const states = [cluster.settle(world, false)];
      const news = others.map((other) => changed(world, other));
      for (const now of news) {
        states.push(cluster.settle(now, true));
        for (const entries of cluster.held.values()) {
          assert.deepEqual(findOverlaps(entries, pipeline), []);
          assert.deepEqual(findDanglingReferences(entries), []);
          seen.versions += entries.length;
        }
      }
      states.push(cluster.finish());
      const fresh = new Cluster();
      assert.deepEqual(textsOf(states.at(-1)!), textsOf(fresh.settle(news.at(-1)!, false)));

      const alone = [world, ...news].map((one) => {
        const tables = new Cluster().settle(one, false);
        return cluster.fabric(HOSTS.map(() => tables));
      });
      const questions = questionsOf(world);
      const verdicts = questions.map((question) => alone.map((fabric) => arrives(fabric, question)));
      for (const i of questions.keys()) {
        const [before, after] = [verdicts[i]!.at(0)!, verdicts[i]!.at(-1)!];
        seen[before && after ? 'allowed' : before || after ? 'changed' : 'forbidden']++;
      }
      for (const [a, b] of pairs(states.length)) {
        const fabric = cluster.fabric([states[a]!, states[b]!]);
        for (const [i, question] of questions.entries()) {
          const passes = arrives(fabric, question);
          const of = verdicts[i]!;
          const about = `${question.from.id} to ${question.to.id} in states ${a} and ${b}`;
          if (passes && !of.includes(true)) throw new Error(`${about} passes`);
          if (!passes && !of.includes(false)) throw new Error(`${about} is lost`);
        }
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  t.comment(JSON.stringify(seen));
  t.ok(Math.min(...Object.values(seen)) > 0, 'there was something to judge');
});

t.test('a denial that moves from one host to another would let packets pass in one step', async (t) => {
  const cluster = new Cluster();
  const { facts } = cluster.desired;
  writeDenials(facts);
  const endpoint = (number: number, port: number) => ({
    ...facts.endpoints.get(`${WEB}/e${number}`)!,
    hostNumber: number,
    tenant: 'acme',
    port,
  });
  cluster.desired.settle();
  const [from, to] = [endpoint(1, 11), endpoint(2, 12)];
  const packet = frame(from, to, false, [40_000, 80]);
  const states = [cluster.held];
  deny(facts, 'front', 'back', 'in');
  states.push(cluster.stage(true), cluster.finish());
  const question = { from, to, packet, track: asNew };
  t.ok(arrives(cluster.fabric([states[2]!, states[0]!]), question));
  for (const [a, b] of pairs(states.length)) {
    t.notOk(arrives(cluster.fabric([states[a]!, states[b]!]), question), `states ${a} and ${b}`);
  }
});

t.test('ARP passes while the first policy comes and the last one goes', async (t) => {
  const cluster = new Cluster();
  const { facts } = cluster.desired;
  const leave = (): void => {
    for (const id of ['acme/front', 'acme/back']) facts.groups.delete(id);
  };
  writeDenials(facts);
  deny(facts, 'front', 'back', 'in');
  cluster.desired.settle();
  const groups = [...facts.groups.entries()];
  t.equal(groups.length, 2);
  leave();
  cluster.desired.settle();
  const states = [cluster.held];
  for (const [id, group] of groups) facts.groups.set(id, group);
  states.push(cluster.stage(true), cluster.finish());
  leave();
  states.push(cluster.stage(true), cluster.finish());
  const sender = facts.endpoints.get(`${WEB}/e1`)!;
  const announcement = announcementOf(sender);
  for (const [place, state] of states.entries()) {
    const deliveries = cluster.fabric([state, state]).send('h1', 11, announcement);
    t.strictSame(
      deliveries.map(({ host, port }) => [host, port]),
      [['h2', 12]],
      `state ${place}`,
    );
  }
});

t.test('flooded frames: each host at its own moment, ARP always', async (t) => {
  const seen = { arp: 0, copies: 0 };
  const ports = (deliveries: readonly { readonly host: string | undefined; readonly port: number }[]) =>
    deliveries.flatMap(({ host, port }) => (host === undefined ? [] : [`${host}/${port}`])).sort();
  fc.assert(
    fc.property(worlds, worlds, fc.constantFrom('first', 'other', 'last'), (one, other, which) => {
      const cluster = new Cluster();
      const world = which === 'first' ? { ...one, ...NO_POLICY } : one;
      const now = { ...changed(world, other), ...(which === 'last' ? NO_POLICY : {}) };
      const states = [cluster.settle(world, false), cluster.settle(now, true), cluster.finish()];
      for (const sender of world.endpoints) {
        const source = BigInt(sender.ipv4[0]!);
        const ends: [string, bigint][] = [
          ['eth_src', BigInt(sender.mac)],
          ['eth_dst', BROADCAST_MAC],
        ];
        const arp = announcementOf(sender);
        const broadcast: Packet = new Map([
          ...ends,
          ['eth_type', 0x0800n],
          ['ipv4_src', source],
          ['ipv4_dst', 0xffffffffn],
          ['ip_proto', 17n],
          ['udp_src', 1n],
          ['udp_dst', 79n],
        ]);
        const all = world.endpoints
          .filter((one) => one !== sender && one.network === sender.network)
          .map(({ hostNumber, port }) => `${hostName(hostNumber)}/${port}`)
          .sort();
        const copies = (place: readonly Held[]) =>
          ports(cluster.fabric(place).send(sender.host!, sender.port, broadcast));
        const [before, , after] = states.map((state) => copies([state, state]));
        const always = before!.filter((copy) => after!.includes(copy));
        for (const [a, b] of pairs(states.length)) {
          const place = [states[a]!, states[b]!];
          assert.deepEqual(ports(cluster.fabric(place).send(sender.host!, sender.port, arp)), all);
          seen.arp += all.length;
          const got = copies(place);
          assert.deepEqual(
            always.filter((copy) => !got.includes(copy)),
            [],
          );
          seen.copies += always.length;
        }
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  t.comment(JSON.stringify(seen));
  t.ok(Math.min(...Object.values(seen)) > 0, 'there were copies');
});
