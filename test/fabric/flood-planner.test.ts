import t, { type Test } from 'tap';
import { Engine } from '../../controller/derive/index.js';
import { FloodPlanner } from '../../controller/fabric/flood-planner.js';
import type { FloodPortFact, HostFact, LinkFact } from '../../controller/model/facts.js';
import { dpid, FakeClock } from './simulated-fabric.js';

interface Answer {
  readonly ok: boolean;
  readonly reason?: string;
  readonly refused: { readonly owner: string }[];
}

const OK: Answer = { ok: true, refused: [] };

/** A planner on three switches in a ring, which answer when the test says so. */
function rig() {
  const engine = new Engine();
  const hosts = engine.input<HostFact>('hosts');
  const links = engine.input<LinkFact>('links');
  const floodPorts = engine.input<FloodPortFact>('flood ports');
  const awaySwitches = engine.input<{ datapathId: string }>('away');
  const clock = new FakeClock();
  const open: { readonly datapathId: string; readonly answer: (answer: Answer) => void }[] = [];
  const syncs: (() => void)[] = [];
  const failures: unknown[] = [];
  const planner = new FloodPlanner({
    classes: 1,
    facts: { hosts, links, floodPorts, awaySwitches },
    settle: async () => ({
      acknowledged: (datapathId) => new Promise((answer) => open.push({ datapathId, answer })),
    }),
    waitForSync: () => new Promise((resolve) => syncs.push(resolve)),
    app: 'flooding',
    graceMs: 250,
    clock,
    onFailure: (error) => failures.push(error),
  });
  for (const number of [1, 2, 3]) {
    planner.facts.hosts.set(dpid(number), { name: dpid(number), number, datapathId: dpid(number) });
    planner.switchUp(dpid(number));
  }
  const link = (a: number, b: number, there: boolean): void => {
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const key = `${dpid(from)}/${to}`;
      if (!there) planner.facts.links.delete(key);
      else
        planner.facts.links.set(key, {
          datapathId: dpid(from),
          port: to,
          toDatapathId: dpid(to),
          toPort: from,
        });
    }
  };
  const answerAll = async (answer: Answer): Promise<void> => {
    for (const each of open.splice(0)) each.answer(answer);
    await clock.advance(0);
  };
  /** `1-2`: both ports flood. */
  const flooding = (): string[] => {
    engine.settle();
    const keys = new Set([...floodPorts.entries()].map(([key]) => key));
    return [
      [1, 2],
      [2, 3],
      [3, 1],
    ].flatMap(([a = 0, b = 0]) =>
      keys.has(`0/${dpid(a)}/${b}`) && keys.has(`0/${dpid(b)}/${a}`) ? [`${a}-${b}`] : [],
    );
  };
  return { planner, clock, link, answerAll, flooding, syncs, failures, awaySwitches, engine };
}

const RING = [
  [1, 2],
  [2, 3],
  [3, 1],
] as const;

async function settledRing(t: Test) {
  const made = rig();
  for (const [a, b] of RING) made.link(a, b, true);
  await made.clock.advance(0);
  await made.answerAll(OK);
  await made.clock.advance(1_000);
  t.equal(made.flooding().length, 2, 'a tree of a ring');
  return made;
}

t.test('a link is added only when the one it replaces is known to be gone', async (t) => {
  const { link, clock, answerAll, flooding, failures } = await settledRing(t);
  const [gone = '', kept = ''] = flooding();
  const [a = 0, b = 0] = gone.split('-').map(Number);
  link(a, b, false);
  await clock.advance(0);
  t.same(flooding(), [kept], 'taken away at once');
  await clock.advance(10_000);
  t.same(flooding(), [kept], 'nobody has acknowledged it');
  await answerAll(OK);
  await clock.advance(249);
  t.same(flooding(), [kept], 'flows that are cached may still be used');
  await clock.advance(1);
  t.equal(flooding().length, 2);
  t.notOk(flooding().includes(gone));
  t.same(failures, []);
});

t.test('a refusal of its own entries is no acknowledgement, one of others is', async (t) => {
  for (const [owner, length] of [
    ['flooding.links of 0', 1],
    ['paths.paths of host', 2],
  ] as const) {
    const { link, clock, answerAll, flooding } = await settledRing(t);
    const [a = 0, b = 0] = (flooding()[0] ?? '').split('-').map(Number);
    link(a, b, false);
    await clock.advance(0);
    await answerAll({ ok: false, reason: 'refused', refused: [{ owner }] });
    await clock.advance(1_000);
    t.equal(flooding().length, length, owner);
  }
});

t.test('a switch that was away is trusted again once it has been read', async (t) => {
  const { link, clock, answerAll, flooding, syncs, planner, awaySwitches, engine } = await settledRing(t);
  const [gone = ''] = flooding();
  const [a = 0, b = 0] = gone.split('-').map(Number);
  planner.switchAway(dpid(a));
  planner.switchAway(dpid(b));
  await clock.advance(0);
  engine.settle();
  t.equal(awaySwitches.size, 2);
  link(a, b, false);
  await clock.advance(0);
  await answerAll({ ok: false, reason: 'disconnected', refused: [] });
  await clock.advance(10_000);
  t.equal(flooding().length, 1, 'both ends may hold the link that is gone: nothing goes around it');
  planner.switchUp(dpid(a));
  planner.switchUp(dpid(b));
  await clock.advance(0);
  for (const synced of syncs.splice(0)) synced();
  await clock.advance(1_000);
  await answerAll(OK);
  await clock.advance(1_000);
  t.equal(flooding().length, 2);
  planner.close();
});
