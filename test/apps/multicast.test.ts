/** Trees and multicast groups: every receiver gets one copy, and nobody else. */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { type DesiredChanges, DesiredTables, type FactInputs } from '../../controller/datapath/desired.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import type { DistributionTree, TreeColour } from '../../controller/model/facts.js';
import { distributionTree } from '../../controller/trees/index.js';
import { datapathId, hostName, setEndpoint, setHost, setNetwork } from './facts.js';
import { type Delivery, SoftwareFabric } from './software-fabric.js';
import type { Packet } from './software-switch.js';

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
