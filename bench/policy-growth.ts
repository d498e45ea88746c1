/**
 * What one rule costs where there are 100, 1,000 and 10,000: 10,000 endpoints in 1,000 groups, ten
 * networks and on 100 hosts; policies of ten rules.
 * Then everything from scratch, as after a start of the controller, against ovn-northd with an empty southbound database.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { OpenVSwitch } from '../test/support/open-vswitch.js';
import { compare, inTurn, median, type Result, timed } from './harness.js';
import { type OvnWorld, startOvnWorld } from './ovn-world.js';
import type { Scratch } from './policy-scratch.js';
import { World, type WorldRule } from './policy-world.js';
import { WeftProcess, type Work } from './weft-process.js';
import { bringUp, policyIntents, ruleIntent, ruleReference } from './weft-world.js';

const RULES_OF_POLICY = 10;
const SIZES = [100, 1_000, 10_000];
/** A goal of the project: what a change costs is flat within this factor. */
const FLAT = 2;
/** OVN is slow at the largest size. */
const OVN_ROUNDS = 3;
const SCRATCH_ROUNDS = 2;

const WORLD = new World({ hosts: 100, networks: 10, endpoints: 10_000, groups: 1_000 });

const subjectOf = (policy: number): string => `g${policy}`;

/** Rules number `from` to `to` of all. */
function rulesBetween(from: number, to: number): { rules: WorldRule[]; subjects: string[] } {
  const policies = Array.from({ length: (to - from) / RULES_OF_POLICY }, (_, index) =>
    subjectOf(from / RULES_OF_POLICY + index),
  );
  return {
    rules: policies.flatMap((subject) => WORLD.rules(subject, 0, RULES_OF_POLICY)),
    subjects: policies,
  };
}

/** A further rule of one of the first ten policies, from a group that a rule names already. */
function extraRule(round: number): WorldRule {
  const [first] = WORLD.rules(subjectOf(round % 10), 0, 1);
  if (first === undefined) throw new Error('the policy has no rules');
  return { ...first, name: `extra${round}`, port: 20_000 + round };
}

/** What one rule makes the controller do. */
async function workOfOne(weft: WeftProcess): Promise<Work> {
  const rule = extraRule(0);
  const before = await weft.work();
  await weft.apply([ruleIntent(rule)]);
  const after = await weft.work();
  await weft.remove(ruleReference(rule));
  return {
    derivations: after.derivations - before.derivations,
    encoded: after.encoded - before.encoded,
    sent: after.sent - before.sent,
    bytes: after.bytes - before.bytes,
  };
}

async function measureOne(weft: WeftProcess, { northbound }: OvnWorld, rounds: number) {
  let round = 0;
  const ours = async (): Promise<number> => {
    const rule = extraRule(++round);
    const time = await timed(() => weft.apply([ruleIntent(rule)]));
    await weft.remove(ruleReference(rule));
    return time;
  };
  const theirs = async (): Promise<number> => {
    const rule = extraRule(++round);
    const time = await timed(() => northbound.addRules([rule]));
    await northbound.removeRule(rule);
    return time;
  };
  const ovnRounds = Math.min(rounds, OVN_ROUNDS);
  const together = await inTurn(ovnRounds, { weft: ours, ovn: theirs });
  const more = await inTurn(rounds - ovnRounds, { weft: ours });
  return { weft: [...together.weft, ...more.weft], ovn: together.ovn };
}

async function fromScratch(store: string): Promise<Scratch> {
  const script = fileURLToPath(new URL('policy-scratch.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, store]);
  return JSON.parse(stdout) as Scratch;
}

/** @throws when what one rule makes the controller do depends on the number of rules */
export async function run({ rounds = 20 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const weft = await WeftProcess.start();
  const ovs = await OpenVSwitch.start();
  let ovnWorld: OvnWorld | undefined;
  let takeDown: (() => Promise<void>) | undefined;
  try {
    takeDown = await bringUp(weft, ovs, WORLD);
    ovnWorld = await startOvnWorld(WORLD);
    const { ovn, northbound } = ovnWorld;
    const peer = `OVN ${ovn.programs.version}`;
    const results: Result[] = [];
    const medians: number[] = [];
    const works = new Set<string>();
    let there = 0;
    for (const size of SIZES) {
      const { rules, subjects } = rulesBetween(there, size);
      there = size;
      await weft.apply(policyIntents(rules), 'stored');
      await weft.inSync(WORLD.shape.hosts);
      await northbound.addRules(rules, subjects);
      const times = await measureOne(weft, ovnWorld, rounds);
      const work = await workOfOne(weft);
      const text = `${work.derivations} derivations, ${work.encoded} entries encoded, ${work.sent} sent, ${work.bytes} bytes`;
      console.log(`one rule where there are ${size.toLocaleString('en')}: ${text}`);
      works.add(text);
      medians.push(median(times.weft));
      const name = `rule added to ${size.toLocaleString('en')} in policies of ${RULES_OF_POLICY}`;
      results.push(
        compare(name, 'ms', times.weft, `${peer}, connected client`, times.ovn, { better: 'lower' }),
      );
    }
    if (works.size > 1) throw new Error('what one rule costs depends on how many there are');
    results.push({
      name: `rule added: ${SIZES.at(-1)?.toLocaleString('en')} rules against ${SIZES[0]}`,
      unit: 'ms',
      value: medians.at(-1) ?? Number.NaN,
      peer: `Weft, ${SIZES[0]} rules`,
      peerValue: medians[0] ?? Number.NaN,
      better: 'lower',
      target: FLAT,
    });
    const residentWeft = await weft.residentKilobytes();
    const residentOvn = await ovn.residentKilobytes();
    console.log(
      `resident after that, MB: Weft ${megabytes(residentWeft)}; ovn-northd ${megabytes(residentOvn.northd)}, ` +
        `ovn-controller ${megabytes(residentOvn.controller)}`,
    );

    await takeDown();
    takeDown = undefined;
    await weft.end();
    const runs: Scratch[] = [];
    const times = await inTurn(SCRATCH_ROUNDS, {
      weft: async () => {
        const scratch = await fromScratch(weft.store);
        runs.push(scratch);
        return scratch.derive;
      },
      ovn: async () => {
        await ovn.forgetSouthbound();
        return timed(async () => {
          ovn.startNorthd();
          await northbound.computed();
        });
      },
    });
    const last = runs.at(-1);
    if (last?.switches !== WORLD.shape.hosts)
      throw new Error(`tables were derived for ${last?.switches} switches`);
    console.log(
      `from scratch: ${last.entries} entries of ${last.switches} switches; store and model opened in ${last.open.toFixed(0)} ms; ` +
        `heap ${megabytes(last.heap / 1024)} MB, resident ${megabytes(last.resident / 1024)} MB`,
    );
    const name = `${WORLD.shape.endpoints.toLocaleString('en')} endpoints, ${SIZES.at(-1)?.toLocaleString('en')} rules from scratch`;
    const northd = await ovn.residentKilobytes();
    return [
      ...results,
      compare(
        `${name}: flow entries of all switches`,
        'ms',
        times.weft,
        `${peer}, ovn-northd: logical flows`,
        times.ovn,
        {
          better: 'lower',
        },
      ),
      {
        name: `${name}: memory`,
        unit: 'MB',
        value: last.resident / 2 ** 20,
        peer: `${peer}, ovn-northd`,
        peerValue: northd.northd / 1024,
        better: 'lower',
      },
    ];
  } finally {
    await takeDown?.();
    await ovnWorld?.stop();
    await weft.stop();
    await ovs.stop();
  }
}

const megabytes = (kilobytes: number): string => (kilobytes / 1024).toFixed(0);
