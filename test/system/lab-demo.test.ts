/** The demo's reachability on a plain learning bridge: it must see what arrives, and what arrives where it should not. */
import t from 'tap';
import { Reachability, type Cell } from '../../topologies/demo/reachability.js';
import { Lab, type LabHost } from '../../topologies/lab/index.js';

t.test('reached, missing, apart, leaked', async (t) => {
  const lab = await Lab.create({ name: 'reach', hosts: [{ name: 'h1', vtepIp: false, uplink: false }] });
  t.teardown(() => lab.destroy());
  const host: LabHost = lab.host('h1');
  await host.vsctlAll(['add-br', 'br0'], ['set', 'bridge', 'br0', 'datapath_type=netdev']);
  const reachability = new Reachability();
  const add = async (name: string, network: string, address: string, vlan: number): Promise<void> => {
    const endpoint = await host.addEndpoint({ name, bridge: 'br0', addresses: [`${address}/24`] });
    await host.vsctl('set', 'port', endpoint.port, `tag=${vlan}`);
    await reachability.add({
      label: name,
      network,
      host: 'h1',
      namespace: endpoint,
      interface: 'eth0',
      address,
    });
  };
  const cells = (): Record<string, Cell> =>
    Object.fromEntries(reachability.pairs().map(({ from, to, cell }) => [`${from.label}>${to.label}`, cell]));

  // Two networks with the same addresses, kept apart by VLANs, and a stray of the second one in the VLAN of the first.
  await add('a1', 'a', '10.0.0.1', 1);
  await add('a2', 'a', '10.0.0.2', 1);
  await add('b1', 'b', '10.0.0.1', 2);
  await add('b2', 'b', '10.0.0.2', 2);
  t.same([...new Set(Object.values(cells()))], ['pending']);
  await reachability.round();
  t.match(cells(), {
    'a1>a2': 'reached',
    'a2>a1': 'reached',
    'b1>b2': 'reached',
    'a1>b2': 'apart',
    'b1>a2': 'apart',
  });
  t.ok(reachability.right, 'the same addresses in both, and everybody reaches its own');
  await add('b3', 'b', '10.0.0.3', 1);
  await reachability.round();
  t.match(cells(), {
    'a1>b3': 'leaked',
    'b3>a1': 'leaked',
    'b1>b3': 'missing',
    'b3>b1': 'missing',
    'a1>a2': 'reached',
  });
  t.notOk(reachability.right);
});
