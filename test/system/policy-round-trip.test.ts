/** Entries of policy, of random worlds, through a real Open vSwitch and back: an audit finds nothing to heal. */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { DesiredEntry } from '../../controller/datapath/entry.js';
import { datapathId } from '../apps/facts.js';
import { wideWorlds, worlds, write } from '../apps/policy-world.js';
import { RoundTrips } from './round-trip-support.js';

const SEED = 7;
const WORLDS = 5;
const WIDE_WORLDS = 2;
/** What the sample has to hold for this test to mean something. */
const KINDS = [
  'meter',
  'protected receiver',
  'conjunction',
  'controller2',
  'masked ct_tp_dst',
  'masked ct_nw_src',
  'masked ct_ipv6_dst',
];

const trips = await RoundTrips.start();
t.teardown(() => trips.stop());

function kindsOf(entry: DesiredEntry): string[] {
  switch (entry.kind) {
    case 'meter':
      return ['meter'];
    case 'group':
      return entry.buckets.some(({ actions }) => actions.length > 2) ? ['protected receiver'] : [];
    case 'flow':
      return [
        ...entry.match.flatMap(({ field, mask }) => (mask === undefined ? [] : [`masked ${field.name}`])),
        ...entry.instructions.flatMap((instruction) =>
          instruction.type === 'apply_actions' ? instruction.actions.map(({ type }) => type) : [],
        ),
      ];
  }
}

t.test('conjunctive matches, masks of ports and prefixes, logs, rejects, protected receivers', async (t) => {
  const sample = [
    ...fc.sample(worlds, { seed: SEED, numRuns: WORLDS }),
    ...fc.sample(wideWorlds, { seed: SEED, numRuns: WIDE_WORLDS }),
  ];
  const kinds = new Set<string>();
  for (const [i, world] of sample.entries()) {
    const desired = new DesiredTables({ pipeline, apps });
    write(desired.facts, world);
    t.strictSame(desired.settle().settlement.failures, []);
    for (const entry of desired.entries(datapathId(1))) {
      for (const kind of kindsOf(entry)) kinds.add(kind);
    }
    // One bridge after the other: they have one datapath id.
    const name = `br-policy${i}`;
    const session = await trips.connectedBridge(name, datapathId(1));
    await trips.roundTrip(t, session, desired.scopes, datapathId(1));
    await trips.removeBridge(name, datapathId(1));
  }
  const missing = KINDS.filter((kind) => !kinds.has(kind));
  t.strictSame(missing, []);
});
