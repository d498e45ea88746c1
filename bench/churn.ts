/**
 * A day in short: endpoints come and go and rules change, 500 changes a second on 200 emulated switches, which keep their entries, with the
 * controller, its hub, its store and its HTTP API as they are in earnest.
 *
 * At the end the controller is ended and started again from its store: what it derives from scratch must be what the switches hold, entry by
 * entry, after all that has happened; the bench fails when anything is sent. Memory and the time of an attachment at the end stand beside
 * those after the warm-up. `WEFT_CHURN_SECONDS` is how long it takes (default 60; an hour is 3600).
 */
import type { IntentObject } from '../controller/model/intents.js';
import { type BenchAgent, startAgents } from './agents.js';
import { startFleet } from './fleet.js';
import { percentile, type Result } from './harness.js';
import { type Work, WeftProcess } from './weft-process.js';

const HOSTS = 200;
const NETWORKS = 100;
const GROUPS = 50;
/** Ports of a host that endpoints use. */
const PORTS = 20;
const CHANGES_PER_SECOND = 500;
/** Changes of which one is of a rule. */
const RULE_EVERY = 10;
/** Changes under way at one time; when there are as many, the next waits, and the rate is not reached. */
const MOST_UNDER_WAY = 500;
const TENANT = 'acme';
/** Longer than a distribution tree's old relays are kept. */
const STEP_MS = 5_000;
/** Parts of the run that are looked at by themselves; the first three are the warm-up. */
const PARTS = 10;
const WARM_UP = 3;
/** What memory and p99 at the end may be, as a multiple of those after the warm-up. */
const STEADY = 1.25;

/** Numbers that look random and are the same in every run (a linear congruential generator, constants of Numerical Recipes). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Part {
  readonly attachMs: number[];
  megabytes: number;
}

/** Which ports are taken, by host, and by whom. */
class Ports {
  readonly #taken: (string | undefined)[][];

  constructor(
    private readonly agents: readonly BenchAgent[],
    private readonly random: (below: number) => number,
  ) {
    this.#taken = agents.map(() => Array.from({ length: PORTS }, () => undefined));
  }

  #serial = 0;

  /** Does something to a random port: somebody comes where nobody is, or goes. Gives the milliseconds of an attachment. */
  async change(busy: Set<string>): Promise<number | undefined> {
    const at = this.random(this.agents.length);
    const port = this.random(PORTS);
    const key = `${at} ${port}`;
    if (busy.has(key)) return undefined;
    busy.add(key);
    try {
      const agent = this.agents[at] as BenchAgent;
      const taken = this.#taken[at] as (string | undefined)[];
      const network = `n${(at + port * 7) % NETWORKS}`;
      const there = taken[port];
      if (there !== undefined) {
        taken[port] = undefined;
        await agent.detach(TENANT, network, there);
        return undefined;
      }
      const name = `e${this.#serial++}`;
      const groups = [`g${this.random(GROUPS)}`];
      const milliseconds = await agent.attach(TENANT, network, name, `p${port + 1}`, groups);
      taken[port] = name;
      return milliseconds;
    } finally {
      busy.delete(key);
    }
  }
}

/** One of the rules comes or goes. */
async function changeRule(weft: WeftProcess, rules: Map<number, boolean>, number: number): Promise<void> {
  if (rules.get(number) === undefined) {
    rules.set(number, false);
    const policy = `p${number % GROUPS}`;
    const peer = `g${(number * 3) % GROUPS}`;
    const rule = { kind: 'Rule', tenant: TENANT, policy, name: `r${number}`, protocol: 'tcp' } as const;
    await weft.apply([{ ...rule, from: [{ group: peer }], ports: [1_000 + number] }], 'stored');
    rules.set(number, true);
  } else if (rules.get(number) === true) {
    rules.set(number, false);
    await weft.remove({ kind: 'Rule', name: `${TENANT}/p${number % GROUPS}/r${number}` });
    rules.delete(number);
  }
}

async function churn(weft: WeftProcess, agents: readonly BenchAgent[], seconds: number): Promise<Part[]> {
  const random = randomFrom(1);
  const ports = new Ports(agents, random);
  const rules = new Map<number, boolean>();
  const busy = new Set<string>();
  const parts: Part[] = [];
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  const begin = performance.now();
  let changes = 0;
  let [work, workAt]: [Omit<Work, 'bytes'>, number] = [await weft.work(), 0];
  for (let number = 0; number < PARTS; number++) {
    const part: Part = { attachMs: [], megabytes: 0 };
    parts.push(part);
    const end = begin + ((number + 1) * seconds * 1_000) / PARTS;
    for (let now = performance.now(); now < end; now = performance.now()) {
      if (failure !== undefined) throw failure;
      const due = ((now - begin) / 1_000) * CHANGES_PER_SECOND;
      while (changes < due && underWay.size < MOST_UNDER_WAY) {
        changes++;
        const work =
          changes % RULE_EVERY === 0
            ? changeRule(weft, rules, random(500))
            : ports.change(busy).then((milliseconds) => {
                if (milliseconds !== undefined) part.attachMs.push(milliseconds);
              });
        const done = work
          .catch((error: unknown) => {
            failure ??= error;
          })
          .finally(() => underWay.delete(done));
        underWay.add(done);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { derivations, encoded, sent } = await weft.work();
    const perChange = [derivations - work.derivations, encoded - work.encoded, sent - work.sent].map(
      (count) => Math.round(count / (changes - workAt)),
    );
    [work, workAt] = [{ derivations, encoded, sent }, changes];
    part.megabytes = (await weft.residentKilobytes()) / 1_024;
    console.log(
      `churn ${number + 1}/${PARTS}: ${changes} changes, ${Math.round((1_000 * changes) / (performance.now() - begin))}/s; ` +
        `attach p50 ${percentile(0.5, part.attachMs).toFixed(1)} ms, p99 ${percentile(0.99, part.attachMs).toFixed(1)} ms; ` +
        `${Math.round(part.megabytes)} MB; for each change ${perChange[0]} derivations, ${perChange[1]} entries encoded, ${perChange[2]} sent`,
    );
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw failure;
  return parts;
}

function declared(): IntentObject[] {
  const networks = Array.from({ length: NETWORKS }, (_, index): IntentObject => {
    return { kind: 'Network', tenant: TENANT, name: `n${index}` };
  });
  const groups = Array.from({ length: GROUPS }, (_, index): IntentObject[] => [
    { kind: 'Policy', tenant: TENANT, name: `p${index}` },
    { kind: 'Group', tenant: TENANT, name: `g${index}`, policies: [`p${index}`] },
  ]);
  return [{ kind: 'Tenant', name: TENANT }, ...networks, ...groups.flat()];
}

export async function run(): Promise<readonly Result[]> {
  const seconds = Number(process.env['WEFT_CHURN_SECONDS'] ?? 60);
  if (!(seconds > 0)) throw new Error('WEFT_CHURN_SECONDS: give a number of seconds above 0');
  const weft = await WeftProcess.start();
  const ends: (() => Promise<void>)[] = [() => weft.stop()];
  try {
    await weft.apply(declared(), 'stored');
    const agents = await startAgents(weft.hub, HOSTS);
    const fleet = startFleet({
      controller: `127.0.0.1:${weft.openflow.port}`,
      count: HOSTS,
      ports: PORTS,
      store: true,
      reconnectMs: 200,
    });
    ends.push(() => fleet.end());
    await weft.inSync(HOSTS);
    const parts = await churn(weft, agents, seconds);
    for (const agent of agents) agent.close();
    await quiet(weft);
    await weft.end();
    await sameFromScratch(weft);
    const [warm, last] = [parts[WARM_UP - 1] as Part, parts.at(-1) as Part];
    const common = { peer: 'after the warm-up', better: 'lower', target: STEADY } as const;
    return [
      {
        name: `memory after ${seconds} s of churn`,
        unit: 'MB',
        value: last.megabytes,
        peerValue: warm.megabytes,
        ...common,
      },
      {
        name: `endpoint attached after ${seconds} s of churn, p99`,
        unit: 'ms',
        value: percentile(0.99, last.attachMs),
        peerValue: percentile(0.99, warm.attachMs),
        ...common,
      },
    ];
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Distribution trees change in steps: done when nothing has been sent for as long as a step takes. */
async function quiet(weft: WeftProcess): Promise<void> {
  for (let before = -1, now = 0; before !== now; ) {
    await weft.inSync(HOSTS);
    before = (await weft.work()).sent;
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    now = (await weft.work()).sent;
  }
}

/** @throws when a controller that starts from the store finds a switch that does not hold what it derives */
async function sameFromScratch(ended: WeftProcess): Promise<void> {
  const weft = await WeftProcess.start('127.0.0.1', [], 1_000, ended);
  try {
    await weft.inSync(HOSTS);
    const { sent } = await weft.work();
    if (sent !== 0) throw new Error(`${sent} entries were not what a controller derives from scratch`);
    console.log(`churn: the tables of ${HOSTS} switches are those of a controller that starts from scratch`);
  } finally {
    await weft.end();
  }
}
