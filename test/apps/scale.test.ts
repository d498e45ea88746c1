/** What the apps cost, counted, and that what they derive depends on the facts and not on the way there. */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { Numbering } from '../../controller/channel/index.js';
import { DesiredTables, type DesiredChanges } from '../../controller/datapath/desired.js';
import { ModificationList } from '../../controller/datapath/modifications.js';
import { TurnBatch } from '../../controller/datapath/turn-batch.js';
import { findDanglingReferences, findOverlaps, referencesOf } from '../../controller/datapath/verify.js';
import { TUNNEL_PORT } from '../../controller/model/facts.js';
import { encodedLength, MAX_MESSAGE_LENGTH } from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, setPort, vtep } from './facts.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

function settle(desired: DesiredTables): DesiredChanges {
  const changes = desired.settle();
  const [failure] = changes.settlement.failures;
  if (failure !== undefined) throw failure.error;
  return changes;
}

/** One network with an endpoint on each of so many hosts, numbered from 1. */
function spread(hosts: number, encapsulation: 'vlan' | 'vxlan'): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  setNetwork(desired.facts, 'acme/web', 1, encapsulation);
  for (let host = 1; host <= hosts; host++) {
    setHost(desired.facts, host);
    setEndpoint(desired.facts, 'acme/web', host, { host, port: 1 });
  }
  settle(desired);
  return desired;
}

/** Made once: the largest world here. */
const LARGE = 4000;
const large = spread(LARGE, 'vxlan');

const BROADCAST = 0xffffffffffffn;
const broadcastOf = (endpoint: number): Packet =>
  new Map([
    ['eth_src', BigInt(0x02020a000000 + endpoint)],
    ['eth_dst', BROADCAST],
    ['eth_type', 0x0800n],
    ['ip_proto', 17n],
    ['ipv4_src', BigInt(0x0a000000 + endpoint)],
    ['ipv4_dst', 0xffffffffn],
  ]);

/** Bytes of the longest message that installs an entry of a switch, the wrapping of its bundle included. */
function longestMessage(desired: DesiredTables, datapath: string): number {
  const list = new ModificationList();
  for (const after of desired.scopes.effectiveEntries(datapath))
    list.add({ key: after.key, before: undefined, after });
  if (list.unsendable.length > 0) return Number.POSITIVE_INFINITY;
  let longest = 0;
  for (const message of list.all()) {
    if (message.type === 'meter_mod') continue;
    const wrapped = { type: 'bundle_add_message', xid: 0, bundleId: 0, flags: 0, message } as const;
    longest = Math.max(longest, encodedLength(wrapped));
  }
  return longest;
}

function checkTables(desired: DesiredTables, datapath: string): void {
  const entries = [...desired.entries(datapath)];
  const [overlap] = findOverlaps(entries);
  if (overlap !== undefined) {
    const { table, priority } = overlap.first;
    throw new Error(`two entries of table ${table} overlap at priority ${priority}`);
  }
  const [dangling] = findDanglingReferences(entries);
  if (dangling !== undefined) throw new Error(`${dangling.missing} is named and not there`);
}

t.test('2,000 endpoints of a broadcast domain on one host: each gets one copy', async (t) => {
  const desired = new DesiredTables({ pipeline, apps });
  setHost(desired.facts, 1);
  setNetwork(desired.facts, 'acme/web', 1, 'vxlan');
  for (let n = 1; n <= 2000; n++) setEndpoint(desired.facts, 'acme/web', n, { host: 1, port: n });
  settle(desired);
  const longest = longestMessage(desired, datapathId(1));
  t.ok(longest < MAX_MESSAGE_LENGTH / 16, `no message near the limit: ${longest} bytes`);
  t.strictSame(findDanglingReferences(desired.entries(datapathId(1))), []);
  const { outputs } = new SoftwareSwitch(desired.entries(datapathId(1))).execute(77, broadcastOf(77));
  t.equal(outputs.length, 1999);
  const ports = new Set(outputs.map(({ port }) => port));
  t.equal(ports.size, 1999);
  t.notOk(ports.has(77), 'but not the sender');
});

t.test('4,000 hosts of a broadcast domain: each gets one copy', async (t) => {
  const datapath = datapathId(3);
  const longest = longestMessage(large, datapath);
  t.ok(longest < MAX_MESSAGE_LENGTH / 16, `no message near the limit: ${longest} bytes`);
  t.strictSame(findDanglingReferences(large.entries(datapath)), []);
  // Open vSwitch gives up on a packet with more copies than that in one go (apps/flood-layout.ts).
  const copies = [...large.entries(datapath)].flatMap((entry) => {
    if (entry.kind !== 'flow') return [];
    const groups = [...referencesOf(entry).groups].map((id) =>
      [...large.entries(datapath)].find((other) => other.kind === 'group' && other.id === id),
    );
    return groups.reduce((sum, group) => sum + (group?.kind === 'group' ? group.buckets.length : 0), 0);
  });
  t.ok(Math.max(...copies) <= 512, `${Math.max(...copies)} copies at once`);
  const { outputs } = new SoftwareSwitch(large.entries(datapath)).execute(1, broadcastOf(3));
  t.ok(outputs.every(({ port }) => port === TUNNEL_PORT));
  const addresses = new Set(outputs.map(({ packet }) => Number(packet.get('tun_dst'))));
  t.equal(outputs.length, LARGE - 1);
  t.equal(addresses.size, LARGE - 1);
  t.notOk(addresses.has(vtep(3)), 'but not the sender');
});

/** What a settlement cost. */
interface Work {
  /** Derivations that ran, indexes not counted. */
  readonly runs: number;
  /** Entries added, changed and removed, by kind of scope. */
  readonly shared: number;
  readonly own: number;
  /** Messages encoded, once each, for switches that hold the scopes already. */
  readonly encoded: number;
}

/** Bytes of a turn about one endpoint. They vary with what its flood chunks hold, up to 32 receivers each. */
const MAX_BYTES = 6000;

function workOf(changes: DesiredChanges): Work {
  let [shared, own, bytes, encoded] = [0, 0, 0, 0];
  const batch = new TurnBatch(changes, new Numbering(), {
    encoded: ({ list }) => void (encoded += list.size),
  });
  for (const [scope, entries] of changes.entries) {
    if (batch.contested(scope, 'changed')) throw new Error(`${scope.name} would be encoded for each switch`);
    bytes += batch.part(scope, 'changed').bytes;
    if (scope.own) own += entries.size;
    else shared += entries.size;
  }
  const runs = [...changes.settlement.runs.values()].reduce((sum, count) => sum + count, 0);
  if (bytes > MAX_BYTES) throw new Error(`${bytes} bytes for one endpoint`);
  return { runs, shared, own, encoded };
}

/** Of VXLAN at 4,000 hosts the flood groups are chained. */
const SIZES = { vxlan: [10, 1000, LARGE], vlan: [10, 1000] };

for (const encapsulation of ['vxlan', 'vlan'] as const) {
  t.test(`${encapsulation}: what an endpoint costs does not grow with the cluster`, async (t) => {
    const works = SIZES[encapsulation].map((hosts) => {
      const desired = encapsulation === 'vxlan' && hosts === LARGE ? large : spread(hosts, encapsulation);
      const { facts } = desired;
      const known = () => {
        setEndpoint(facts, 'acme/web', 5001, { host: 5, port: 2 });
        return workOf(settle(desired));
      };
      const detached = () => {
        facts.endpoints.delete('acme/web/e5001');
        return workOf(settle(desired));
      };
      /** Its host is one of the cluster and new to the network. */
      const joining = () => {
        setHost(facts, hosts + 1);
        setPort(facts, hosts + 1, 'v1', 1);
        settle(desired);
        setEndpoint(facts, 'acme/web', 5002, { host: hosts + 1, port: 1 });
        const changes = settle(desired);
        t.strictSame([...changes.subscriptions.keys()], [datapathId(hosts + 1)], 'one switch subscribes');
        return workOf(changes);
      };
      const moved = () => {
        setEndpoint(facts, 'acme/web', 5002, { host: 3, port: 7, generation: 2 });
        return workOf(settle(desired));
      };
      return { attached: known(), detached: detached(), joined: joining(), moved: moved() };
    });
    const [small, ...larger] = works;
    for (const work of larger) t.strictSame(work, small);
    // The numbers that apps/README.md gives.
    const { attached, joined } = small!;
    t.equal(attached.own, 19);
    t.equal(attached.shared, encapsulation === 'vxlan' ? 3 : 2);
    t.equal(attached.encoded, attached.own + attached.shared);
    t.equal(joined.own, attached.own + 1);
    t.equal(joined.shared, encapsulation === 'vxlan' ? 5 : 2);
  });
}

t.test('4,200 VXLAN networks, more than there are VLAN ids', async (t) => {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  for (const host of [1, 2]) setHost(facts, host);
  const probed = [1, 2, 4095, 4096, 4200];
  for (let network = 1; network <= 4200; network++) {
    const id = `acme/n${network}`;
    setNetwork(facts, id, network, 'vxlan', { tag: 10_000 + network });
    // The same addresses in each network; the second host carries the networks that are looked at.
    for (const host of probed.includes(network) ? [1, 2] : [1]) {
      const address = { mac: 0x02020a000000 + host, ipv4: [0x0a000000 + host] };
      setEndpoint(facts, id, 2 * network + host, { host, port: network, ...address });
    }
  }
  settle(desired);
  t.strictSame(desired.conflicts(), []);
  // A broadcast leaves with the VNI of its network, and arrives in that network only.
  const [first, second] = [1, 2].map((host) => new SoftwareSwitch(desired.entries(datapathId(host))));
  for (const network of probed) {
    const sent = first!.execute(network, broadcastOf(1)).outputs;
    const vni = BigInt(10_000 + network);
    t.strictSame(
      sent.map(({ port, packet }) => [port, packet.get('tunnel_id'), packet.get('tun_dst')]),
      [[TUNNEL_PORT, vni, BigInt(vtep(2))]],
    );
    const arriving = new Map([...broadcastOf(1), ['tunnel_id', vni], ['tun_src', BigInt(vtep(1))]] as const);
    const received = second!.execute(TUNNEL_PORT, arriving).outputs;
    t.strictSame(
      received.map(({ port }) => port),
      [network],
    );
  }
});

/** A write of a fact, as the model or a switch would make it. */
type Write = (facts: DesiredTables['facts']) => void;

const NETWORKS = ['red/web', 'blue/web', 'red/lan'];
const HOSTS = 3;

/** One in five takes the fact away. */
const gone = fc.nat(4).map((n) => n === 0);

/** Writes that contradict each other (two endpoints on a port, with one MAC address) included: any order has one outcome. */
const writes: fc.Arbitrary<{ key: string; write: Write }> = fc.oneof(
  fc
    .record({
      network: fc.nat(NETWORKS.length - 1),
      tags: fc.nat(1),
      vlan: fc.boolean(),
      uplinkHandOff: fc.boolean(),
      gone,
    })
    .map(({ network, tags, vlan, uplinkHandOff, gone }) => {
      const id = NETWORKS[network]!;
      const write: Write = (facts) =>
        gone
          ? facts.networks.delete(id)
          : setNetwork(facts, id, network + 1, vlan ? 'vlan' : 'vxlan', {
              tag: 20 + 10 * tags + network,
              uplinkHandOff,
            });
      return { key: id, write };
    }),
  fc
    .record({
      number: fc.integer({ min: 1, max: 6 }),
      network: fc.nat(NETWORKS.length - 1),
      host: fc.integer({ min: 1, max: HOSTS }),
      port: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      address: fc.nat(3),
      gone,
    })
    .map(({ number, network, host, port, address, gone }) => {
      const id = NETWORKS[network]!;
      const write: Write = (facts) => {
        if (gone) return void facts.endpoints.delete(`${id}/e${number}`);
        setEndpoint(facts, id, number, {
          host,
          mac: 0x020200000001 + address,
          ipv4: [0x0a000001 + address],
          ipv6: [(0xfd00n << 112n) + BigInt(address)],
          ...(port === undefined ? {} : { interface: `v${port}` }),
        });
      };
      return { key: `${id}/e${number}`, write };
    }),
  fc
    .record({
      host: fc.integer({ min: 1, max: HOSTS }),
      claimed: fc.boolean(),
      vtepIpv4: fc.boolean(),
      vtepIpv6: fc.boolean(),
      gone,
    })
    .map(({ host, claimed, vtepIpv4, vtepIpv6, gone }) => {
      const write: Write = (facts) => {
        if (gone) return void facts.hosts.delete(`h${host}`);
        const name = `h${host}`;
        facts.hosts.set(name, {
          name,
          number: host,
          ...(claimed ? { datapathId: datapathId(host) } : {}),
          ...(vtepIpv4 ? { vtepIpv4: vtep(host) } : {}),
          ...(vtepIpv6 ? { vtepIpv6: (0xfd01n << 112n) + BigInt(host) } : {}),
        });
      };
      return { key: `h${host}`, write };
    }),
  fc
    .record({
      host: fc.integer({ min: 1, max: HOSTS }),
      name: fc.integer({ min: 1, max: 3 }),
      number: fc.integer({ min: 1, max: 4 }),
      gone,
    })
    .map(({ host, name, number, gone }) => {
      const key = `${datapathId(host)}/v${name}`;
      const write: Write = (facts) =>
        gone ? facts.ports.delete(key) : setPort(facts, host, `v${name}`, number);
      return { key, write };
    }),
);

/** Everything that every switch is to hold, in an order of its own. */
function tables(desired: DesiredTables): string[] {
  return [...desired.scopes.datapaths]
    .sort()
    .flatMap((datapath) =>
      [...desired.scopes.effectiveEntries(datapath)]
        .map(({ key, content, rule, scope }) => `${datapath} ${key} ${content} ${rule.name} ${scope.name}`)
        .sort(),
    );
}

/** What is there before: networks, hosts and ports, so that most writes have consequences. */
const BASE: readonly { readonly key: string; readonly write: Write }[] = [
  ...NETWORKS.map((id, index) => ({
    key: id,
    write: (facts: DesiredTables['facts']) =>
      setNetwork(facts, id, index + 1, id.endsWith('lan') ? 'vlan' : 'vxlan', { tag: 20 + index }),
  })),
  ...[1, 2, 3].flatMap((host) => [
    { key: `h${host}`, write: (facts: DesiredTables['facts']) => setHost(facts, host) },
    ...[1, 2, 3].map((port) => ({
      key: `${datapathId(host)}/v${port}`,
      write: (facts: DesiredTables['facts']) => setPort(facts, host, `v${port}`, port),
    })),
    ...NETWORKS.map((id, index) => ({
      key: `${id}/e${host}`,
      write: (facts: DesiredTables['facts']) =>
        setEndpoint(facts, id, host, { host, interface: `v${index + 1}` }),
    })),
  ]),
];

const history = fc.array(fc.record({ of: writes, settle: fc.boolean() }), { minLength: 10, maxLength: 60 });

t.test('any history of the same facts gives the same tables, and they are sound', async (t) => {
  const RUNS = 60;
  let entries = 0;
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.nat()), (steps, shuffle) => {
      const incremental = new DesiredTables({ pipeline, apps });
      const last = new Map<string, Write>();
      for (const { of, settle: now } of [...BASE.map((of) => ({ of, settle: false })), ...steps]) {
        of.write(incremental.facts);
        last.delete(of.key);
        last.set(of.key, of.write);
        if (now) settle(incremental);
      }
      settle(incremental);
      const fresh = new DesiredTables({ pipeline, apps });
      const order = [...last.values()].map((write) => ({ write, at: shuffle.next().value as number }));
      for (const { write } of order.sort((a, b) => a.at - b.at)) write(fresh.facts);
      settle(fresh);
      const [got, want] = [tables(incremental), tables(fresh)];
      const differing = got.findIndex((entry, index) => entry !== want[index]);
      if (differing >= 0 || got.length !== want.length)
        throw new Error(`incremental ${got[differing]}, from scratch ${want[differing]}`);
      for (const datapath of incremental.scopes.datapaths) checkTables(incremental, datapath);
      entries += got.length;
    }),
    { numRuns: RUNS },
  );
  t.ok(entries > 100 * RUNS, `${entries / RUNS} entries in a world on average`);
});
