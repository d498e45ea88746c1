/** Entries of trees, groups and limits of broadcast through a real Open vSwitch and back: an audit finds nothing to heal. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { DesiredTables, type FactInputs } from '../../controller/datapath/desired.js';
import type { MulticastGroup, MulticastReceiverFact } from '../../controller/model/facts.js';
import { datapathId, setEndpoint, setHost, setNetwork } from '../apps/facts.js';
import { RoundTrips } from './round-trip-support.js';

const trips = await RoundTrips.start();
t.teardown(() => trips.stop());

const GROUPS: readonly (MulticastGroup & { readonly text: string; readonly source: number | bigint })[] = [
  { family: 4, address: 0xef010203, text: '239.1.2.3', source: 0x0a000002 },
  { family: 6, address: (0xff0en << 112n) | 1n, text: 'ff0e::1', source: (0xfd00n << 112n) | 2n },
];
const EDGES = [
  [2, 1],
  [2, 3],
] as const;

/** Networks of both kinds with receivers of both families, and in the VXLAN one trees of all colours; host 1 relays and receives. */
function write(facts: FactInputs): void {
  const multicast = { unregistered: 'drop', broadcastLimit: 100 } as const;
  setNetwork(facts, 'acme/web', 1, 'vxlan', { tag: 5001, multicast });
  setNetwork(facts, 'acme/lan', 2, 'vlan', { tag: 11, multicast });
  setNetwork(facts, 'acme/far', 3, 'vxlan', { tag: 0x400001 });
  for (let host = 1; host <= 3; host++) {
    setHost(facts, host);
    for (const [index, network] of ['acme/web', 'acme/lan', 'acme/far'].entries()) {
      setEndpoint(facts, network, host * 10 + index, { host, port: host * 10 + index });
    }
  }
  for (const [index, { text, source, ...group }] of GROUPS.entries()) {
    for (const [number, network] of [
      [1, 'acme/web'],
      [2, 'acme/lan'],
    ] as const) {
      for (const host of [1, 3]) {
        const endpoint = `${network}/e${host * 10 + number - 1}`;
        const sources = { mode: 'exclude', addresses: [source] } as MulticastReceiverFact['sources'];
        facts.multicastReceivers.set(`${number}/${text}/${endpoint}`, {
          network,
          group,
          groupNumber: 0x7ffff0 + index * 2 + number,
          place: { endpoint },
          ...(sources === undefined || host === 3 ? {} : { sources }),
        });
      }
    }
    facts.distributions.set(`1/${text}`, {
      network: 1,
      group,
      trees: [
        { colour: 1, root: 1, edges: [[1, 3]] },
        { colour: 3, root: 2, edges: EDGES },
      ],
      ...(index === 0 ? { sending: 3 } : {}),
    });
  }
  facts.distributions.set('1', { network: 1, trees: [{ colour: 2, root: 2, edges: EDGES }], sending: 2 });
  facts.multicastRouters.set('2/uplink', { network: 'acme/lan', place: { uplink: true } });
}

t.test('relays, senders on and off the tree, receivers by source, meters', async (t) => {
  const desired = new DesiredTables({ pipeline, apps });
  write(desired.facts);
  t.strictSame(desired.settle().settlement.failures, []);
  for (const host of [1, 2]) {
    const session = await trips.connectedBridge(`br-mc${host}`, datapathId(host));
    const kinds: readonly string[] = [...desired.entries(datapathId(host))].flatMap((entry) =>
      entry.kind !== 'flow'
        ? [entry.kind]
        : entry.instructions.flatMap((instruction) =>
            instruction.type === 'apply_actions' ? instruction.actions.map(({ type }) => type) : [],
          ),
    );
    for (const kind of ['clone', 'reg_move', 'group', 'meter']) t.ok(kinds.includes(kind), kind);
    await trips.roundTrip(t, session, desired.scopes, datapathId(host));
  }
});
