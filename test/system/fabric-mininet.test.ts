/** The topologies of linked switches in mininet, under the real controller, with no agent and no intent. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ExecResult, Lab, until } from '../../topologies/lab/index.js';
import { apart, mininetCommand, startController } from '../../topologies/topo.js';

const CHECKS = 'topologies/fabric_checks.py';
/** Each with the links between its switches; the smallest that shows what it is there for. */
const TOPOLOGIES = [
  ['torus', '3', '3'],
  ['fat_tree', '4', '1'],
  ['ring', '4'],
  ['dumbbell', '2'],
  ['leaf_spine', '2', '2'],
  ['linear', '3'],
  ['tree', '2', '2'],
] as const;
/** Beside what is counted: probes of links, neighbour discovery of stations, what the test itself asks; packets, and packets a second. */
const CONTROL_PACKETS = 150;
const CONTROL_PACKETS_PER_SECOND = 30;

t.setTimeout(600_000);

t.test('fabrics in mininet', async (t) => {
  const lab = await Lab.create({ name: 'fabmn', hosts: [{ name: 'm', vtepIp: false, uplink: false }] });
  t.teardown(() => lab.destroy());
  const host = lab.host('m');
  let controller = await startController(lab, host);
  const restart = join(lab.directory, 'restart');

  const mn = (request: readonly string[], test: string): Promise<ExecResult> => {
    const [topology = '', ...numbers] = request;
    const argv = mininetCommand({ topology, arguments: numbers, test, options: [] });
    const words = argv.map((word) => (word.endsWith('.py') ? `${word},${CHECKS}` : word));
    return host.run(apart(words), {
      env: { ...host.ovsEnvironment, WEFT_RESTART: restart },
      timeoutMs: 200_000,
    });
  };

  for (const [topology, ...numbers] of TOPOLOGIES) {
    await t.test(`${topology}: pingall and iperf`, async (t) => {
      const result = await mn([topology, ...numbers], 'pingall+iperf,1');
      t.equal(result.exitCode, 0, 'mn ends well');
      const said = result.stdout + result.stderr;
      t.match(
        said,
        topology === 'leaf_spine' ? 'everybody is reached in each VLAN' : ' 0% dropped',
        'pingall',
      );
      const rate = /Results: ([\d.]+ \S+\/sec)/.exec(said)?.[1];
      t.match(rate, /^[1-9]/, 'TCP gets through');
      t.comment(`${topology}: TCP ${rate ?? '-'}`);
    });
  }

  await t.test(
    'torus: nothing storms, neither at the start nor when a link fails and comes back',
    async (t) => {
      const said = checked(t, await mn(['torus', '3', '3'], 'storm'));
      t.equal(said['reached'], true);
      const bound = (seconds: number): number => CONTROL_PACKETS + CONTROL_PACKETS_PER_SECOND * seconds;
      t.ok(Number(said['start']) <= bound(Number(said['startSeconds'])), 'at the start');
      const most = Number(said['most']);
      t.ok(
        most <= Number(said['frames']) + bound(Number(said['seconds'])),
        `${most} packets on the busiest link`,
      );
    },
  );

  await t.test('torus: links, a switch and the controller fail under traffic', async (t) => {
    const running = mn(['torus', '3', '3'], 'failures');
    let ended = false;
    const result = running.finally(() => {
      ended = true;
    });
    await until('the controller to be wanted gone', () => ended || existsSync(restart), 200_000);
    if (!ended) {
      await controller.daemon.stop();
      controller = await startController(lab, host);
    }
    const said = checked(t, await result);
    // The goal of 100 ms is for a quiet machine; this one may be busy with anything.
    for (const what of ['failedLink', 'repairedLink', 'killedSwitch']) {
      t.ok(Number(said[what]) * Number(said['intervalMs']) < 1_000, `${what}: ${said[what]} lost`);
    }
    t.equal(
      said['restartedController'],
      0,
      'nothing is lost while the controller is killed and starts again',
    );
    t.equal(said['restartedSwitch'], true, 'a switch that comes back is made part of it again');
  });
});

/** What a test of fabric_checks.py has found. */
function checked(t: Test, { exitCode, stdout, stderr }: ExecResult): Readonly<Record<string, unknown>> {
  const said = stdout + stderr;
  t.equal(exitCode, 0, 'mn ends well');
  const found = /^checked (\{.*\})$/m.exec(said)?.[1];
  if (found === undefined) throw new Error(`nothing was checked: ${said}`);
  t.comment(found);
  return JSON.parse(found) as Readonly<Record<string, unknown>>;
}
