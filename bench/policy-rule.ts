/**
 * One rule more in a policy of 500 rules that 5,000 endpoints are subject to: from the client's request to the last switch's barrier,
 * and what the rules cost in entries, against OVN with the same endpoints, groups and rules.
 *
 * Both sides have 50 endpoints on the one real Open vSwitch that is measured, and 4,950 elsewhere. Elsewhere is 99 chassis that only exist
 * in OVN's southbound database, for which OVN has nothing to do. For Weft it is 99 emulated switches, which all have to
 * acknowledge and whose process shares the machine.
 */
import { OpenVSwitch } from '../test/support/open-vswitch.js';
import { compare, inTurn, percentile, type Result, timed } from './harness.js';
import { aclArguments, type OvnWorld, startOvnWorld } from './ovn-world.js';
import { EVERYBODY, World, type WorldRule } from './policy-world.js';
import { WeftProcess } from './weft-process.js';
import { bringUp, entriesOf, policyIntents, ruleIntent, ruleReference } from './weft-world.js';

const RULES = 500;
/** A goal of the project: at least ten times faster. */
const TARGET = 0.1;
/** Clients of OVN that are slower than the connected one are measured less often. */
const ROUNDS_OF_NBCTL = 5;

const WORLD = new World({ hosts: 100, networks: 1, endpoints: 5_000, groups: 50, everybody: true });
const MEMBERS = WORLD.shape.endpoints / WORLD.shape.groups;

/** A rule that is not there yet, another one each time. */
function* newRules(): Generator<WorldRule, never> {
  for (let number = RULES; ; number++) {
    const [rule] = WORLD.rules(EVERYBODY, number, number + 1);
    if (rule !== undefined) yield rule;
  }
}

interface Contender {
  add(rule: WorldRule): Promise<unknown>;
  remove(rule: WorldRule): Promise<unknown>;
}

export async function run({ rounds = 50 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const weft = await WeftProcess.start();
  const ovs = await OpenVSwitch.start();
  let ovnWorld: OvnWorld | undefined;
  let takeDown: (() => Promise<void>) | undefined;
  try {
    takeDown = await bringUp(weft, ovs, WORLD);
    ovnWorld = await startOvnWorld(WORLD);
    const { ovn, northbound, entries } = ovnWorld;
    const without = { weft: await entriesOf(ovs), ovn: await entries() };
    const rules = WORLD.rules(EVERYBODY, 0, RULES);
    await weft.apply(policyIntents(rules), 'stored');
    await weft.inSync(WORLD.shape.hosts);
    await northbound.addRules(rules, [EVERYBODY]);
    const withRules = { weft: await entriesOf(ovs), ovn: await entries() };

    const fresh = newRules();
    const contender =
      ({ add, remove }: Contender) =>
      async (): Promise<number> => {
        const rule = fresh.next().value;
        const time = await timed(() => add(rule));
        await remove(rule);
        return time;
      };
    const nbctl = (call: (...args: string[]) => Promise<unknown>): Contender => ({
      add: (rule) => call('--wait=hv', ...aclArguments('acl-add', rule)),
      remove: (rule) => call('--wait=hv', ...aclArguments('acl-del', rule)),
    });
    const viaHttp: Contender = {
      add: (rule) => weft.apply([ruleIntent(rule)]),
      remove: (rule) => weft.remove(ruleReference(rule)),
    };
    const connected: Contender = {
      add: (rule) => northbound.addRules([rule]),
      remove: (rule) => northbound.removeRule(rule),
    };
    const times = await inTurn(rounds, { weft: contender(viaHttp), ovn: contender(connected) });
    await ovn.startNbctlDaemon();
    const slower = await inTurn(Math.min(rounds, ROUNDS_OF_NBCTL), {
      daemon: contender(nbctl((...args) => ovn.nbctlDaemon(...args))),
      process: contender(nbctl((...args) => ovn.nbctl(...args))),
    });

    const before = await weft.work();
    const [extra] = WORLD.rules(EVERYBODY, RULES - 1, RULES);
    if (extra === undefined) throw new Error('there are no rules');
    const one = { ...extra, name: 'extra', port: extra.port + 1 };
    const switches = await weft.apply([ruleIntent(one)]);
    const after = await weft.work();
    await northbound.addRules([one]);
    const withOneMore = { weft: await entriesOf(ovs), ovn: await entries() };
    console.log(
      `one rule: ${switches} switches acknowledged, ${after.derivations - before.derivations} derivations run, ` +
        `${after.encoded - before.encoded} entries encoded, ${after.sent - before.sent} sent as ${after.bytes - before.bytes} bytes`,
    );

    const name = `rule added to ${RULES} over ${WORLD.shape.endpoints.toLocaleString('en')} endpoints`;
    const better = 'lower';
    const peer = `OVN ${ovn.programs.version}`;
    const against = (which: string, theirs: readonly number[]) =>
      compare(`${name}: median`, 'ms', times.weft, `${peer}, ${which}`, theirs, { better, target: TARGET });
    const count = (what: string, value: number, peerName: string, peerValue: number): Result => {
      return { name: what, unit: 'entries', value, peer: peerName, peerValue, better };
    };
    const added = withRules.weft - without.weft;
    return [
      against('connected client', times.ovn),
      {
        name: `${name}: p99`,
        unit: 'ms',
        value: percentile(0.99, times.weft),
        peer: `${peer}, connected client`,
        peerValue: percentile(0.99, times.ovn),
        better,
        target: TARGET,
      },
      against('ovn-nbctl as a daemon', slower.daemon),
      against('a process of ovn-nbctl', slower.process),
      count(`${RULES} rules on a host`, added, peer, withRules.ovn - without.ovn),
      count(
        `${RULES} rules on a host`,
        added,
        'an entry for each source, destination and port',
        RULES * MEMBERS * WORLD.local.length,
      ),
      count(
        'one more rule on a host',
        withOneMore.weft - withRules.weft,
        peer,
        withOneMore.ovn - withRules.ovn,
      ),
    ];
  } finally {
    await takeDown?.();
    await ovnWorld?.stop();
    await weft.stop();
    await ovs.stop();
  }
}
