/** The mininet topologies under the real controller, run by the lines that their documentation gives. */
import { join } from 'node:path';
import t from 'tap';
import { Lab, until } from '../../topologies/lab/index.js';
import { documentedCommand, ROOT, runMininet } from './mininet-support.js';

interface ShownEndpoint {
  readonly name: string;
  readonly status: { readonly attached: boolean; readonly host?: string };
}

/** A line for mininet that prints `echoes R B`: the echo requests that red2 and blue2 have had. */
const count = (name: string) => `net.get('${name}').cmd('nstat -asz IcmpInEchos').split()[-2]`;
const echoes = `py print('echoes', ${count('red2')}, ${count('blue2')})`;

/** Of each topology: the switch of each endpoint, what `pingall` must say, and lines for mininet after that. */
const topologies = {
  single: {
    endpoints: { 'mininet/lan/h1': 's1', 'mininet/lan/h2': 's1', 'mininet/lan/h3': 's1' },
    packets: '6/6 received',
    after: [],
  },
  linear: {
    endpoints: { 'mininet/lan/h1': 's1', 'mininet/lan/h2': 's2', 'mininet/lan/h3': 's3' },
    packets: '6/6 received',
    after: ['sh ovs-vsctl get interface s3-eth65001 ofport'],
  },
  vlans: {
    endpoints: {
      'mininet/blue/blue1': 's1',
      'mininet/blue/blue2': 's2',
      'mininet/red/red1': 's1',
      'mininet/red/red2': 's2',
    },
    packets: '12/12 received',
    after: [echoes, "py print('red1:', net.get('red1').cmd('ping -c 3 -i 0.2 10.0.0.2'))", echoes],
  },
} as const;

t.setTimeout(300_000);

t.test('mininet under the controller', async (t) => {
  const lab = await Lab.create({ name: 'mininet', hosts: [{ name: 'm', vtepIp: false, uplink: false }] });
  t.teardown(() => lab.destroy());
  const host = lab.host('m');
  const weft = join(ROOT, 'cli/weft');
  const [, ...controller] = documentedCommand('single', 'cli/weft');
  t.match(
    controller.join(' '),
    /^controller --data \S+ & sleep 3; cli\/weft apply -f examples\/mininet.yaml$/,
  );
  const daemon = host.spawn('controller', [weft, 'controller', '--data', join(lab.directory, 'controller')]);
  const apply = ['apply', '-f', join(ROOT, 'examples/mininet.yaml')];
  await until(
    'weft apply',
    async () => {
      if (!daemon.running) throw new Error(daemon.log());
      return (await host.run([weft, ...apply])).exitCode === 0;
    },
    30_000,
  );

  for (const [file, { endpoints, packets, after }] of Object.entries(topologies)) {
    // One controller sees them all, as a user who tries one after the other: hosts of the same name move between switches.
    await t.test(file, async (t) => {
      const result = await runMininet(host, file, after);
      t.equal(result.exitCode, 0, `mn ends well${result.exitCode === 0 ? '' : `: ${result.stderr}`}`);
      const said = result.stdout + result.stderr;
      t.match(said, `0% dropped (${packets})`, 'pingall');
      if (file === 'linear') t.match(said, /^65001$/m, 'the uplink has its fixed number');
      if (file === 'vlans') {
        t.match(said, '3 packets transmitted, 3 received');
        const [before, after] = [...said.matchAll(/^echoes (\d+) (\d+)$/gm)].map(([, red, blue]) => ({
          red: Number(red),
          blue: Number(blue),
        }));
        t.ok(before && before.red > 0 && before.blue > 0, 'both have been asked by pingall');
        t.same(
          after,
          { red: (before?.red ?? 0) + 3, blue: before?.blue },
          'what red2 answers, blue2 never sees',
        );
      }
      const shown = await host.exec([weft, 'get', 'endpoints', '--json']);
      const places = (JSON.parse(shown) as ShownEndpoint[])
        .filter(({ status }) => status.attached)
        .map(({ name, status }) => [name, status.host]);
      t.match(Object.fromEntries(places), endpoints, 'where the controller sees them');
    });
  }
});
