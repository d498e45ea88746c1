/** The mininet topologies and the agent in Python, run by `mn` as their documentation says. */
import t from 'tap';
import { Lab } from '../../topologies/lab/index.js';
import { FakeHub } from './agent-support.js';
import { runMininet } from './mininet-support.js';

/** The topologies as the agents tell them: of every switch its uplink, and its endpoints with port and addresses. */
const expected = {
  single: {
    topology: 'single,3',
    hosts: { s1: ['lan/h1 s1-eth1', 'lan/h2 s1-eth2', 'lan/h3 s1-eth3'] },
    uplink: undefined,
  },
  linear: { topology: 'linear,2', hosts: { s1: ['lan/h1 s1-eth1'], s2: ['lan/h2 s2-eth1'] }, uplink: 65_001 },
  vlans: {
    topology: 'vlans',
    hosts: { s1: ['blue/blue1 s1-eth3', 'red/red1 s1-eth2'], s2: ['blue/blue2 s2-eth3', 'red/red2 s2-eth2'] },
    uplink: 65_001,
  },
} as const;

for (const [file, { topology, hosts, uplink }] of Object.entries(expected)) {
  t.test(`${file}: what the agents in Python tell the hub`, async (t) => {
    const lab = await Lab.create({ name: 'mininet', hosts: [{ name: 'm', vtepIp: false, uplink: false }] });
    const hub = new FakeHub();
    t.teardown(async () => {
      hub.stop();
      await lab.destroy();
    });
    for (const name of Object.values(hosts).flat()) {
      hub.declare(`mininet/${name.split(' ')[0]}`, { encapsulation: 'vlan', mtuOverhead: 0 });
    }
    const attached: string[] = [];
    const wanted = Object.values(hosts).flat().length;
    hub.onAttach = ({ endpoint, interface: port }) => {
      attached.push(`${endpoint.replace('mininet/', '')} ${port}`);
    };
    const address = await hub.start(lab.managementAddress);
    const result = await runMininet(lab.host('m'), {
      file,
      topology,
      hub: address,
      openflow: `${lab.managementAddress}:1`,
      // Mininet leaves the bridges only when all its attachments have been told.
      commands: [
        `py [__import__('time').sleep(0.1) for _ in range(300) if len(__import__('agent').ATTACHED) < ${wanted}]`,
        ...(uplink === undefined ? [] : [`sh ovs-vsctl get interface s1-eth${uplink} ofport`]),
      ],
    });
    t.equal(result.exitCode, 0, result.stderr);
    if (uplink !== undefined) t.match(result.stdout, `${uplink}`, 'the uplink has its fixed number');
    t.same(attached.sort(), Object.values(hosts).flat().toSorted());
    const registrations = hub.registrations.toSorted((a, b) => a.hostLabel.localeCompare(b.hostLabel));
    t.match(
      registrations,
      Object.keys(hosts).map((hostLabel, index) => ({
        hostLabel,
        bridge: hostLabel,
        datapathId: `${index + 1}`.padStart(16, '0'),
        ...(uplink === undefined ? {} : { uplink: `${hostLabel}-eth${uplink}` }),
      })),
    );
  });
}
