/** Any history of a network and its hosts, with packets on their way at every instant of it. */
import fc from 'fast-check';
import t from 'tap';
import { neighbours } from '../../controller/trees/index.js';
import { NETWORK, PlannerRig, range, treeMembers } from './planner-rig.js';
import type { Packet } from './simulated-network.js';

/** Few, so that much happens to each. */
const HOSTS = 8;
const DEGREE = 3;

const onHost = <What extends string>(what: What) =>
  fc.record({ what: fc.constant(what), host: fc.integer({ min: 1, max: HOSTS }) });
const just = <What extends string>(what: What) => fc.record({ what: fc.constant(what) });
const waits = fc.record({
  what: fc.constant('wait' as const),
  milliseconds: fc.integer({ min: 1, max: 400 }),
});
const arrivals = fc.record({ what: fc.constant('arrive' as const), choice: fc.nat(1_000) });

/** What may happen, in any order. */
const actions = fc.oneof(
  { weight: 12, arbitrary: onHost('send') },
  { weight: 30, arbitrary: arrivals },
  { weight: 25, arbitrary: onHost('take') },
  { weight: 2, arbitrary: just('takeAll') },
  { weight: 6, arbitrary: waits },
  { weight: 3, arbitrary: onHost('join') },
  { weight: 3, arbitrary: onHost('leave') },
  { weight: 1, arbitrary: just('restart') },
);
const failures = fc.oneof(
  onHost('die'),
  just('revive'),
  onHost('cutOff'),
  // The same, and the controller takes the host for down.
  onHost('vanish'),
  just('comeBack'),
);
type Generated<Values> = Values extends fc.Arbitrary<infer Value> ? Value : never;
type Action = Generated<typeof actions> | Generated<typeof failures>;

interface Sent {
  readonly packet: Packet;
  /** Hosts that are members and settled, and stay so while the packet is on its way. */
  readonly owed: Set<number>;
}

/** Runs a history; checks of each packet that nobody gets a second copy, and in the end that everybody got one who had to. */
async function live(
  history: readonly Action[],
  mayLose: boolean,
): Promise<{ packets: number; owed: number }> {
  const rig = new PlannerRig(HOSTS);
  rig.setNetwork({ ...NETWORK, multicast: { degree: DEGREE, headEndLimit: 2 } });
  rig.join(...range(1, 5));
  await rig.quiet();
  const sent: Sent[] = [];
  const dead = new Set<number>();
  let cutOff: number | undefined;
  /** Members since the last time that nothing was under way. */
  let settled = new Set(rig.members);
  const unsettle = (host: number): void => {
    settled.delete(host);
    for (const { owed } of sent) owed.delete(host);
  };
  const check = (): void => {
    for (const { packet } of sent) {
      for (const [host, copies] of packet.received) {
        if (copies > 1) throw new Error(`host ${host} got ${copies} copies of a packet of ${packet.sender}`);
      }
    }
  };
  const settle = async (): Promise<void> => {
    await rig.quiet();
    check();
    if (!mayLose) {
      for (const { packet, owed } of sent) {
        for (const host of owed) {
          if (!packet.received.has(host))
            throw new Error(`host ${host} got no copy of a packet of ${packet.sender}`);
        }
      }
    }
    settled = new Set(rig.members);
  };
  let owedInAll = 0;
  for (const action of history) {
    await rig.turn();
    if (action.what === 'send') {
      // Who has no endpoint in the network does not send in it.
      if (!rig.members.has(action.host)) continue;
      const owed = new Set([...settled].filter((host) => rig.members.has(host)));
      owedInAll += owed.size;
      sent.push({ packet: rig.network.send(action.host), owed });
    } else if (action.what === 'arrive') rig.network.arrive(action.choice);
    else if (action.what === 'take') rig.network.take(action.host);
    else if (action.what === 'takeAll') rig.network.takeAll();
    else if (action.what === 'wait') {
      // No packet is on its way for as long as relays are kept for it.
      rig.network.arriveOlderThan(500);
      // Who is slower than that is left out, and may get nothing.
      if (!mayLose) rig.network.takeOlderThan(2_000);
      await rig.turn();
      rig.clock.advance(action.milliseconds);
    } else if (action.what === 'join') rig.join(action.host);
    else if (action.what === 'leave') {
      unsettle(action.host);
      if (rig.members.size > 1) rig.leave(action.host);
    } else if (action.what === 'restart') rig.restart();
    else if (action.what === 'die') {
      dead.add(action.host);
      rig.network.setAlive(action.host, false);
      rig.planner.hostDown(`h${action.host}`, true);
    } else if (action.what === 'revive') {
      const [host] = dead;
      if (host === undefined) continue;
      dead.delete(host);
      rig.network.setAlive(host, true);
      rig.planner.hostDown(`h${host}`, false);
    } else if (action.what === 'comeBack') {
      if (cutOff === undefined) continue;
      rig.planner.hostDown(`h${cutOff}`, dead.has(cutOff));
      // First its agent is back, then its switch.
      await rig.turn();
      rig.network.connect(cutOff, true);
      cutOff = undefined;
    } else if (cutOff === undefined) {
      // One at a time: docs/multicast.md says what several that were cut off at different times might do.
      cutOff = action.host;
      rig.network.connect(action.host, false);
      if (action.what === 'vanish') rig.planner.hostDown(`h${action.host}`, true);
    }
    check();
  }
  await settle();
  for (const host of range(1, HOSTS)) {
    if (dead.has(host)) rig.network.setAlive(host, true);
    rig.network.connect(host, true);
    rig.planner.hostDown(`h${host}`, false);
  }
  await settle();
  // In the end everything is as if it had always been so.
  const inTree = treeMembers(rig.fact);
  if (rig.fact !== undefined) {
    if (String(inTree) !== String([...rig.members].sort((a, b) => a - b)))
      throw new Error('the tree spans others');
    if (rig.fact.trees.length !== 1) throw new Error('relays of older trees still stand');
    const degree = Math.max(
      ...[...neighbours(rig.fact.trees[0] ?? { root: 0, edges: [] }).values()].map((of) => of.length),
    );
    if (degree > DEGREE) throw new Error(`degree ${degree}`);
  }
  for (const sender of rig.members) {
    const packet = rig.network.send(sender);
    rig.network.arriveOlderThan(0);
    const received = [...packet.received.keys()].sort((a, b) => a - b);
    if (String(received) !== String([...rig.members].sort((a, b) => a - b)))
      throw new Error(`${sender} reaches others`);
    if (packet.copies !== rig.members.size - 1) throw new Error('copies to nobody');
  }
  rig.planner.close();
  return { packets: sent.length, owed: owedInAll };
}

t.test(
  'joins, leaves and restarts at any instant: everybody gets exactly one copy of each packet',
  async (t) => {
    let owed = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(actions, { minLength: 150, maxLength: 250, size: 'max' }),
        async (history) => {
          owed += (await live(history, false)).owed;
        },
      ),
      { numRuns: 60, endOnFailure: true },
    );
    t.ok(owed > 1_000, `${owed} copies were owed`);
  },
);

t.test(
  'with hosts that die and switches that are cut off: nobody ever gets a second copy, and it ends well',
  async (t) => {
    let packets = 0;
    const histories = fc.array(
      fc.oneof({ weight: 8, arbitrary: actions }, { weight: 1, arbitrary: failures }),
      { minLength: 150, maxLength: 250, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        packets += (await live(history, true)).packets;
      }),
      { numRuns: 60, endOnFailure: true },
    );
    t.ok(packets > 100);
  },
);
