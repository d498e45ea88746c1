/** Facts that cannot work as they stand are told, once, and no longer than they stand. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { Numbering } from '../../controller/channel/index.js';
import { DatapathController } from '../../controller/datapath/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, vtep } from './facts.js';

t.test('a host without the leg that its networks need', async (t) => {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  t.teardown(() => datapaths.close());
  const events: string[] = [];
  datapaths.onEvent((event) => {
    if (event.kind === 'problem' || event.kind === 'solved')
      events.push(`${event.kind} ${event.problem.code} ${event.problem.subject} ${event.datapathId}`);
    else events.push(event.kind);
  });
  const { facts } = datapaths;
  const problems = (host: number) =>
    datapaths.statusOf(datapathId(host))?.problems.map(({ code, subject }) => `${code} ${subject}`);

  setNetwork(facts, 'acme/web', 1, 'vxlan');
  setNetwork(facts, 'acme/more', 2, 'vxlan');
  setNetwork(facts, 'acme/lan', 3, 'vlan');
  setHost(facts, 1);
  setHost(facts, 2, {});
  for (const [index, network] of ['acme/web', 'acme/more', 'acme/lan'].entries()) {
    setEndpoint(facts, network, 10 + index, { host: 1, port: index + 1 });
  }
  datapaths.settle();
  t.strictSame(problems(2), [], 'nothing is wrong as long as it has no endpoints');

  for (const [index, network] of ['acme/web', 'acme/more', 'acme/lan'].entries()) {
    setEndpoint(facts, network, 20 + index, { host: 2, port: index + 1 });
  }
  datapaths.settle();
  t.strictSame(problems(1), []);
  t.strictSame(problems(2), ['vlan.host.no-uplink h2', 'vxlan.host.no-tunnel-address h2']);
  const told = [
    `problem vlan.host.no-uplink h2 ${datapathId(2)}`,
    `problem vxlan.host.no-tunnel-address h2 ${datapathId(2)}`,
  ];
  t.strictSame(events.splice(0).sort(), told, 'once for each, not for each network');
  const { message, fix } = datapaths.statusOf(datapathId(2))?.problems.at(-1) ?? {};
  t.match(message, /host h2 has endpoints of VXLAN networks and no tunnel address/);
  t.match(fix, /--vtep-ip/);

  facts.endpoints.delete('acme/web/e20');
  datapaths.settle();
  t.strictSame(events, [], 'the other network still needs one');
  setHost(facts, 2, { vtepIpv4: vtep(2) });
  datapaths.settle();
  t.strictSame(events.splice(0), [`solved vxlan.host.no-tunnel-address h2 ${datapathId(2)}`]);
  facts.endpoints.delete('acme/lan/e22');
  datapaths.settle();
  t.strictSame(problems(2), []);
  t.strictSame(events, [`solved vlan.host.no-uplink h2 ${datapathId(2)}`]);
});
