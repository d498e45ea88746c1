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

t.test('hosts of a VXLAN network whose tunnel addresses are of different families', async (t) => {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  t.teardown(() => datapaths.close());
  const { facts } = datapaths;
  const settled = () => {
    datapaths.settle();
    return [1, 2, 3].map((host) =>
      datapaths.statusOf(datapathId(host))?.problems.map(({ code, subject }) => `${code} ${subject}`),
    );
  };
  const of = (host: number) => [`vxlan.host.other-family h${host}`];
  const vtepIpv6 = 0xfd00n << 112n;
  setNetwork(facts, 'acme/web', 1, 'vxlan');
  setNetwork(facts, 'acme/more', 2, 'vxlan');
  setNetwork(facts, 'acme/lan', 3, 'vlan');
  setHost(facts, 1, { vtepIpv4: vtep(1), uplink: 'uplink' });
  setHost(facts, 2, { vtepIpv6: vtepIpv6 + 2n, uplink: 'uplink' });
  setHost(facts, 3, { vtepIpv4: vtep(3), vtepIpv6: vtepIpv6 + 3n, uplink: 'uplink' });
  for (const host of [1, 2]) setEndpoint(facts, 'acme/lan', 10 + host, { host, port: 1 });
  setEndpoint(facts, 'acme/web', 1, { host: 1, port: 2 });
  t.strictSame(settled(), [[], [], []], 'VLAN needs no tunnel, and nobody shares the VXLAN network');
  for (const host of [2, 3]) setEndpoint(facts, 'acme/web', host, { host, port: 2 });
  t.strictSame(settled(), [of(1), of(2), []], 'told to both; the one with both families reaches both');
  t.match(datapaths.statusOf(datapathId(2))?.problems, [
    { message: /h2 has an IPv6 tunnel address only .* IPv4 one only/, fix: /--vtep-ip/ },
  ]);
  for (const host of [1, 2]) setEndpoint(facts, 'acme/more', 20 + host, { host, port: 3 });
  t.strictSame(settled(), [of(1), of(2), []], 'once, not for each network');
  setHost(facts, 2, { vtepIpv4: vtep(2), vtepIpv6: vtepIpv6 + 2n, uplink: 'uplink' });
  t.strictSame(settled(), [[], [], []]);
});

t.test('a rule about whom there is nobody, on the switches where it would be asked', async (t) => {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  t.teardown(() => datapaths.close());
  const { facts } = datapaths;
  const problems = (host: number) =>
    datapaths.statusOf(datapathId(host))?.problems.map(({ code, subject }) => `${code} ${subject}`);
  const group = (name: string, number: number, endpoints: string[], policies: string[]) =>
    facts.groups.set(`acme/${name}`, {
      id: `acme/${name}`,
      tenant: 'acme',
      name,
      number,
      endpoints,
      networks: [],
      policies,
    });
  setNetwork(facts, 'acme/web', 1, 'vxlan');
  for (const host of [1, 2]) {
    setHost(facts, host);
    setEndpoint(facts, 'acme/web', host, { host, port: 1 });
  }
  facts.policies.set('acme/p', { id: 'acme/p', tenant: 'acme', name: 'p', number: 1, tier: 10 });
  group('servers', 1, ['acme/web/e1'], ['acme/p']);
  group('clients', 2, [], []);
  facts.rules.set('acme/p/r', {
    id: 'acme/p/r',
    policy: 'acme/p',
    name: 'r',
    number: 1,
    direction: 'in',
    priority: 1,
    position: 0,
    action: 'deny',
    log: false,
    stateless: false,
    peers: [{ kind: 'group', id: 'acme/clients' }],
    services: [],
  });
  datapaths.settle();
  t.strictSame([problems(1), problems(2)], [['policy.rule.nobody acme/p/r'], []]);
  group('clients', 2, ['acme/web/e2'], []);
  datapaths.settle();
  t.strictSame([problems(1), problems(2)], [[], []]);
});

t.test('an address that several other networks have is nobody, and people are told', async (t) => {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  t.teardown(() => datapaths.close());
  const { facts } = datapaths;
  const problems = () => {
    datapaths.settle();
    return [1, 2].map((host) =>
      datapaths.statusOf(datapathId(host))?.problems.map(({ code, subject }) => `${code} ${subject}`),
    );
  };
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  const group = { tenant: 'acme', networks: [], policies: [] };
  const [servers, clients] = [['acme/lan/e1'], ['acme/left/e2', 'acme/right/e3']];
  facts.groups.set('acme/s', {
    ...group,
    id: 'acme/s',
    name: 's',
    number: 1,
    endpoints: servers,
    policies: ['acme/p'],
  });
  facts.groups.set('acme/c', { ...group, id: 'acme/c', name: 'c', number: 2, endpoints: clients });
  facts.policies.set('acme/p', { id: 'acme/p', tenant: 'acme', name: 'p', number: 1, tier: 10 });
  facts.rules.set('acme/p/r', {
    id: 'acme/p/r',
    policy: 'acme/p',
    name: 'r',
    number: 1,
    direction: 'in',
    priority: 1,
    position: 0,
    action: 'deny',
    log: false,
    stateless: false,
    peers: [{ kind: 'group', id: 'acme/c' }],
    services: [],
  });
  const subnet = (address: number) => ({ ipv4: { address, prefixLength: 24 } });
  setNetwork(facts, 'acme/lan', 1, 'vlan', subnet(0x0a000100));
  setNetwork(facts, 'acme/left', 2, 'vlan', subnet(0x0a000200));
  setNetwork(facts, 'acme/right', 3, 'vlan', subnet(0x0a000200));
  for (const host of [1, 2]) setHost(facts, host);
  setEndpoint(facts, 'acme/lan', 1, { host: 1, port: 1, ipv4: [0x0a000101] });
  setEndpoint(facts, 'acme/left', 2, { host: 2, port: 1, ipv4: [0x0a000202] });
  setEndpoint(facts, 'acme/right', 3, { host: 2, port: 2, ipv4: [0x0a000202] });
  t.strictSame(
    problems(),
    [['policy.address.contested acme/left and acme/right', 'policy.rule.nobody acme/p/r'], []],
    'where somebody is judged by a rule about them',
  );
  setNetwork(facts, 'acme/right', 3, 'vlan', subnet(0x0a000300));
  setEndpoint(facts, 'acme/right', 3, { host: 2, port: 2, ipv4: [0x0a000302] });
  t.strictSame(problems(), [[], []]);
});
