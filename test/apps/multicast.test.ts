/** Trees and multicast groups: every receiver gets one copy, and nobody else. */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { type DesiredChanges, DesiredTables, type FactInputs } from '../../controller/datapath/desired.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import type {
  DistributionTree,
  MulticastGroup,
  MulticastReceiverFact,
  TreeColour,
} from '../../controller/model/facts.js';
import { distributionTree } from '../../controller/trees/index.js';
import { broadcastMeter } from '../../apps/qos/meters.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { datapathId, hostName, setEndpoint, setHost, setNetwork, vtep } from './facts.js';
import { type Delivery, SoftwareFabric } from './software-fabric.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

const WEB = 'acme/web';
const WEB_NUMBER = 1;
const VNI = 5001;

function settle(desired: DesiredTables): DesiredChanges {
  const changes = desired.settle();
  const [failure] = changes.settlement.failures;
  if (failure !== undefined) throw failure.error;
  const [conflict] = [...changes.conflicts, ...changes.settlement.conflicts];
  if (conflict !== undefined) throw new Error(`a conflict: ${JSON.stringify(conflict)}`);
  return changes;
}

/** One network with an endpoint on port 1 of each of so many hosts, numbered from 1; endpoint n is on host n. */
function spread(hosts: number, encapsulation: 'vlan' | 'vxlan' = 'vxlan'): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  setNetwork(desired.facts, WEB, WEB_NUMBER, encapsulation, { tag: encapsulation === 'vxlan' ? VNI : 11 });
  for (let host = 1; host <= hosts; host++) {
    setHost(desired.facts, host);
    setEndpoint(desired.facts, WEB, host, { host, port: 1 });
  }
  return desired;
}

function checkTables(desired: DesiredTables, hosts: number): void {
  for (let host = 1; host <= hosts; host++) {
    const entries = [...desired.entries(datapathId(host))];
    const [overlap] = findOverlaps(entries, pipeline);
    if (overlap !== undefined) {
      const { table, priority } = overlap.first;
      throw new Error(`two entries of table ${pipeline.order[table]?.name} overlap at priority ${priority}`);
    }
    const [dangling] = findDanglingReferences(entries);
    if (dangling !== undefined) throw new Error(`${dangling.missing} is named and not there`);
  }
}

const packet = (fields: Record<string, number | bigint>): Packet =>
  new Map(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
const broadcastOf = (endpoint: number): Packet =>
  packet({
    eth_src: 0x02020a000000 + endpoint,
    eth_dst: 0xffffffffffff,
    eth_type: 0x0800,
    ip_proto: 17,
    ipv4_src: 0x0a000000 + endpoint,
    ipv4_dst: 0xffffffff,
  });

/** `h1/1` of each copy, sorted, so that copies are counted; `underlay` for the VLAN underlay. */
const places = (deliveries: readonly Delivery[]): string[] =>
  deliveries.map(({ host, port }) => (host === undefined ? 'underlay' : `${host}/${port}`)).sort();
const onPort1 = (hosts: readonly number[]): string[] => hosts.map((host) => `${hostName(host)}/1`).sort();
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

function treeOf(members: readonly number[], degree: number, colour: TreeColour): DistributionTree {
  return { ...distributionTree(members, degree, 7), colour };
}

function setFloodTrees(facts: FactInputs, trees: DistributionTree[], sending?: TreeColour): void {
  facts.distributions.set(String(WEB_NUMBER), {
    network: WEB_NUMBER,
    trees,
    ...(sending === undefined ? {} : { sending }),
  });
}

t.test(
  'a broadcast over a tree reaches everybody once, whoever sends, whoever is on it, at every step',
  async (t) => {
    const worlds = fc.record({
      hosts: fc.integer({ min: 1, max: 8 }),
      degree: fc.integer({ min: 2, max: 4 }),
      colours: fc.constantFrom<[TreeColour, TreeColour]>([1, 2], [3, 1], [2, 3]),
      /** Hosts that left the network and are on the tree of before. */
      left: fc.integer({ min: 0, max: 2 }),
      /** Hosts that came after it. */
      came: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(worlds, ({ hosts, degree, colours: [a, b], left, came }) => {
        const desired = spread(hosts);
        const all = upTo(hosts);
        for (let host = hosts + 1; host <= hosts + left; host++) setHost(desired.facts, host);
        const before = treeOf(
          [...all.slice(Math.min(came, hosts - 1)), ...upTo(left).map((n) => hosts + n)],
          degree,
          a,
        );
        const after = treeOf(all, degree, b);
        const check = (receivers: readonly number[]): void => {
          settle(desired);
          checkTables(desired, hosts + left);
          const fabric = new SoftwareFabric(desired, 64);
          for (const sender of all) {
            const got = places(fabric.send(hostName(sender), 1, broadcastOf(sender)));
            const want = onPort1(receivers.filter((host) => host !== sender));
            if (got.join() !== want.join())
              throw new Error(`from ${sender}: ${got.join()}, not ${want.join()}`);
          }
        };
        setFloodTrees(desired.facts, [before]);
        check(all); // replicated by the sender
        setFloodTrees(desired.facts, [before], a);
        check(all.slice(Math.min(came, hosts - 1)));
        setFloodTrees(desired.facts, [before, after], a);
        check(all.slice(Math.min(came, hosts - 1)));
        setFloodTrees(desired.facts, [before, after], b);
        check(all);
        setFloodTrees(desired.facts, [after], b);
        check(all);
        desired.facts.distributions.delete(String(WEB_NUMBER));
        check(all);
      }),
      { numRuns: 15 },
    );
    t.end();
  },
);

const GROUP4: MulticastGroup = { family: 4, address: 0xef010203 };
const GROUP6: MulticastGroup = { family: 6, address: (0xff0en << 112n) | 0x123n };
const sourceOf = (family: 4 | 6, endpoint: number): number | bigint =>
  family === 4 ? 0x0a000000 + endpoint : (0xfd00n << 112n) | BigInt(endpoint);
const textOf = ({ family }: MulticastGroup): string => (family === 4 ? '239.1.2.3' : 'ff0e::123');

function packetTo(group: MulticastGroup, endpoint: number): Packet {
  const common = { eth_src: 0x02020a000000 + endpoint, ip_proto: 17, udp_src: 9, udp_dst: 9 };
  return group.family === 4
    ? packet({
        ...common,
        eth_dst: 0x01005e000000 + (group.address & 0x7fffff),
        eth_type: 0x0800,
        ipv4_src: sourceOf(4, endpoint),
        ipv4_dst: group.address,
      })
    : packet({
        ...common,
        eth_dst: 0x333300000000 + Number(group.address & 0xffffffffn),
        eth_type: 0x86dd,
        ipv6_src: sourceOf(6, endpoint),
        ipv6_dst: group.address,
      });
}

interface Wish {
  readonly endpoint: number;
  readonly mode?: 'include' | 'exclude' | undefined;
  readonly sources: readonly number[];
}

/** Endpoint n is on port n of host n modulo the number of hosts, and has an address of each family. */
function groupWorld(
  hosts: number,
  endpoints: number,
  encapsulation: 'vlan' | 'vxlan',
  unregistered: 'flood' | 'drop' = 'flood',
): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  const tag = encapsulation === 'vxlan' ? VNI : 11;
  setNetwork(desired.facts, WEB, WEB_NUMBER, encapsulation, { tag, multicast: { unregistered } });
  for (let host = 1; host <= hosts; host++) setHost(desired.facts, host);
  for (let n = 1; n <= endpoints; n++) {
    setEndpoint(desired.facts, WEB, n, { host: homeOf(n, hosts), port: n, ipv6: [sourceOf(6, n) as bigint] });
  }
  return desired;
}

const homeOf = (endpoint: number, hosts: number): number => ((endpoint - 1) % hosts) + 1;
const placeOf = (endpoint: number, hosts: number): string =>
  `${hostName(homeOf(endpoint, hosts))}/${endpoint}`;

function setReceiver(facts: FactInputs, group: MulticastGroup, wish: Wish | 'uplink'): void {
  const id = wish === 'uplink' ? 'uplink' : `${WEB}/e${wish.endpoint}`;
  const sources =
    wish === 'uplink' || wish.mode === undefined
      ? undefined
      : ({
          mode: wish.mode,
          addresses: wish.sources.map((source) => sourceOf(group.family, source)),
        } as NonNullable<MulticastReceiverFact['sources']>);
  facts.multicastReceivers.set(`${WEB_NUMBER}/${textOf(group)}/${id}`, {
    network: WEB,
    group,
    groupNumber: group.family === 4 ? 8 : 0x7ffffe,
    place: wish === 'uplink' ? { uplink: true } : { endpoint: id },
    ...(sources === undefined ? {} : { sources }),
  });
}

const wanting = ({ mode, sources }: Wish, source: number): boolean =>
  mode === undefined || sources.includes(source) === (mode === 'include');

t.test('a group reaches those who want the source, once, and no host without a receiver', async (t) => {
  const ENDPOINTS = 7;
  const endpoint = fc.integer({ min: 1, max: ENDPOINTS });
  const worlds = fc.record({
    hosts: fc.integer({ min: 1, max: 5 }),
    encapsulation: fc.constantFrom<'vlan' | 'vxlan'>('vlan', 'vxlan'),
    group: fc.constantFrom(GROUP4, GROUP6),
    wishes: fc.uniqueArray(
      fc.record({
        endpoint,
        mode: fc.constantFrom(undefined, 'include' as const, 'exclude' as const),
        sources: fc
          .uniqueArray(endpoint, { minLength: 1, maxLength: 3 })
          .map((sources) => sources.sort((a, b) => a - b)),
      }),
      { selector: ({ endpoint: n }) => n, minLength: 1, maxLength: 5 },
    ),
    tree: fc.boolean(),
    uplink: fc.boolean(),
  });
  fc.assert(
    fc.property(worlds, ({ hosts, encapsulation, group, wishes, tree, uplink }) => {
      const desired = groupWorld(hosts, ENDPOINTS, encapsulation);
      const { facts } = desired;
      for (const wish of wishes) setReceiver(facts, group, wish);
      const isVlan = encapsulation === 'vlan';
      if (isVlan && uplink) setReceiver(facts, group, 'uplink');
      const homes = [...new Set(wishes.map(({ endpoint: n }) => homeOf(n, hosts)))];
      if (tree && !isVlan) {
        const trees = [treeOf(homes, 3, 2)];
        facts.distributions.set(`${WEB_NUMBER}/${textOf(group)}`, {
          network: WEB_NUMBER,
          group,
          trees,
          sending: 2,
        });
      }
      settle(desired);
      checkTables(desired, hosts);
      const fabric = new SoftwareFabric(desired, 64);
      for (const sender of upTo(ENDPOINTS)) {
        const home = homeOf(sender, hosts);
        const got = places(fabric.send(hostName(home), sender, packetTo(group, sender)));
        const elsewhere = (isVlan && uplink) || homes.some((host) => host !== home);
        const want = [
          ...wishes
            .filter((wish) => wish.endpoint !== sender && wanting(wish, sender))
            .map(({ endpoint: n }) => placeOf(n, hosts)),
          ...(isVlan && elsewhere ? ['underlay'] : []),
        ].sort();
        if (got.join() !== want.join()) throw new Error(`from ${sender}: ${got.join()}, not ${want.join()}`);
        const visited = fabric.executions.length - 1;
        const reached = homes.filter((host) => host !== home).length;
        if (!isVlan && visited > reached + (tree ? 1 : 0)) throw new Error(`${visited} hosts got a copy`);
      }
    }),
    { numRuns: 25 },
  );
  t.end();
});

t.test('groups that nobody has joined, groups of a link, and routers', (t) => {
  const router = (facts: FactInputs, place: string) =>
    facts.multicastRouters.set(`${WEB_NUMBER}/${place}`, {
      network: WEB,
      place: place === 'uplink' ? { uplink: true } : { endpoint: place },
    });
  const link: MulticastGroup = { family: 4, address: 0xe00000fb };
  const link6: MulticastGroup = { family: 6, address: (0xff02n << 112n) | 0xfbn };
  const sent = (desired: DesiredTables, group: MulticastGroup) => {
    settle(desired);
    checkTables(desired, 2);
    return places(new SoftwareFabric(desired).send('h1', 1, packetTo(group, 1)));
  };
  const everybody = ['h1/3', 'h2/2', 'h2/4'];
  const flooding = groupWorld(2, 4, 'vxlan');
  t.strictSame(sent(flooding, GROUP4), everybody);
  t.strictSame(sent(flooding, GROUP6), everybody);

  const strict = groupWorld(2, 4, 'vxlan', 'drop');
  t.strictSame(sent(strict, GROUP4), []);
  t.strictSame(sent(strict, GROUP6), []);
  t.strictSame(sent(strict, link), everybody);
  t.strictSame(sent(strict, link6), everybody);
  router(strict.facts, `${WEB}/e4`);
  t.strictSame(sent(strict, GROUP4), ['h2/4']);
  setReceiver(strict.facts, GROUP4, { endpoint: 3, sources: [] });
  t.strictSame(sent(strict, GROUP4), ['h1/3', 'h2/4']);
  t.strictSame(sent(strict, GROUP6), ['h2/4']);
  setReceiver(strict.facts, link, { endpoint: 3, sources: [] });
  t.strictSame(sent(strict, link), everybody, 'also where it has been joined');

  const vlan = groupWorld(2, 4, 'vlan', 'drop');
  t.strictSame(sent(vlan, GROUP4), []);
  router(vlan.facts, 'uplink');
  t.strictSame(sent(vlan, GROUP4), ['underlay']);
  setReceiver(vlan.facts, GROUP4, { endpoint: 2, sources: [] });
  t.strictSame(sent(vlan, GROUP4), ['h2/2', 'underlay']);

  setNetwork(strict.facts, WEB, WEB_NUMBER, 'vxlan', {
    tag: VNI,
    multicast: { snooping: false, unregistered: 'drop' },
  });
  t.strictSame(sent(strict, GROUP4), everybody, 'without snooping');
  t.end();
});

t.test('a receiver under policy is judged for its copy, and for nobody else', (t) => {
  const desired = groupWorld(2, 4, 'vxlan');
  const { facts } = desired;
  for (const endpoint of [2, 3, 4]) setReceiver(facts, GROUP4, { endpoint, sources: [] });
  const ids = { tenant: 'acme', number: 1 };
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  facts.policies.set('acme/shut', { ...ids, id: 'acme/shut', name: 'shut', tier: 1, defaultIn: 'deny' });
  facts.groups.set('acme/shut', {
    ...ids,
    id: 'acme/shut',
    name: 'shut',
    endpoints: [`${WEB}/e2`, `${WEB}/e3`],
    networks: [],
    policies: ['acme/shut'],
  });
  settle(desired);
  checkTables(desired, 2);
  t.strictSame(places(new SoftwareFabric(desired).send('h1', 1, packetTo(GROUP4, 1))), ['h2/4']);
  facts.policies.set('acme/shut', { ...ids, id: 'acme/shut', name: 'shut', tier: 1, defaultIn: 'allow' });
  settle(desired);
  const sent = new SoftwareFabric(desired).send('h1', 1, packetTo(GROUP4, 1));
  t.strictSame(places(sent), ['h1/3', 'h2/2', 'h2/4']);
  t.end();
});

t.test('a coloured copy that is not for this host goes nowhere', (t) => {
  const desired = spread(3);
  const tree = treeOf([1, 2], 2, 2);
  setFloodTrees(desired.facts, [tree], 2);
  settle(desired);
  const coloured = (source: number, colour: number, to = 'h3') =>
    places(
      new SoftwareFabric(desired, 64).sendFromTunnel(
        to,
        { vni: VNI + colour * 2 ** 22, source: vtep(source) },
        broadcastOf(source),
      ),
    );
  t.strictSame(coloured(1, 2), [], 'not on the tree');
  t.strictSame(coloured(1, 0), ['h3/1'], 'without colour it is for this host alone');
  const leaf = tree.root === 1 ? 2 : 1;
  t.strictSame(coloured(3, 2, hostName(leaf)), [], 'not a neighbour');
  t.strictSame(coloured(3, 2, hostName(tree.root)), ['h1/1', 'h2/1'], 'at the root from anybody');
  t.strictSame(coloured(3, 1, hostName(tree.root)), [], 'another colour');

  // Of a registered group the relays of flooding take nothing.
  setReceiver(desired.facts, GROUP4, { endpoint: 1, sources: [] });
  settle(desired);
  const fabric = new SoftwareFabric(desired, 64);
  const tunnel = { vni: VNI + 2 * 2 ** 22, source: vtep(3) };
  t.strictSame(places(fabric.sendFromTunnel(hostName(tree.root), tunnel, packetTo(GROUP4, 3))), []);
  t.end();
});

t.test('a network whose VNI with a colour is the VNI of another has no trees', (t) => {
  const desired = spread(2);
  setFloodTrees(desired.facts, [treeOf([1, 2], 2, 1)], 1);
  setNetwork(desired.facts, 'other/web', 2, 'vxlan', { tag: VNI + 2 ** 22 });
  setEndpoint(desired.facts, 'other/web', 50, { host: 2, port: 50 });
  const tagsSent = () => {
    settle(desired);
    checkTables(desired, 2);
    const fabric = new SoftwareFabric(desired, 64);
    const got = places(fabric.send('h1', 1, broadcastOf(1)));
    return [got, String(fabric.executions[0]?.outputs[0]?.packet.get('tunnel_id'))];
  };
  t.strictSame(tagsSent(), [['h2/1'], String(VNI)]);
  desired.facts.endpoints.delete('other/web/e50');
  desired.facts.networks.delete('other/web');
  t.strictSame(tagsSent(), [['h2/1'], String(VNI + 2 ** 22)]);
  t.end();
});

t.test('broadcast is limited per network and host, ARP and DHCP are not', (t) => {
  const desired = spread(1);
  setNetwork(desired.facts, WEB, WEB_NUMBER, 'vxlan', { tag: VNI, multicast: { broadcastLimit: 20 } });
  settle(desired);
  checkTables(desired, 1);
  const meters = (fields: Record<string, number>): number[] => {
    const sent = new Map([...broadcastOf(1), ...packet(fields)]);
    const { steps } = new SoftwareSwitch(desired.entries(datapathId(1))).execute(1, sent);
    return stepsOf(steps, 'meter').map(({ id }) => id);
  };
  const limit = broadcastMeter({ number: WEB_NUMBER });
  t.ok(meters({}).includes(limit));
  t.notOk(meters({ udp_src: 68, udp_dst: 67 }).includes(limit));
  t.notOk(
    meters({ eth_type: 0x0806, arp_op: 1, arp_sha: 0x02020a000001, arp_spa: 0x0a000001 }).includes(limit),
  );
  const meter = [...desired.entries(datapathId(1))].find(
    (entry) => entry.kind === 'meter' && entry.id === limit,
  );
  t.match(meter, { bands: [{ rate: 20 }] });
  t.end();
});
