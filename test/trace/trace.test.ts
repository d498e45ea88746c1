/** `weft trace` over clusters whose switches hold what is desired of them: ways, verdicts, refusals. */
import t from 'tap';
import type { TraceError, TraceLeg, TraceReport } from '../../controller/trace/index.js';
import { pipeline } from '../../apps/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, setPort } from '../apps/facts.js';
import { F } from '../../ofproto/index.js';
import { readBits } from '../../controller/trace/packet.js';
import { Cluster } from './support.js';

/** Three hosts; web (VXLAN) with endpoints 1 and 2 on h1 and 3 on h2, lan (VLAN) with 11 on h1 and 12 on h2; 4 is bound and not attached. */
function cluster(): Cluster {
  const made = new Cluster();
  const { facts } = made;
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  for (const host of [1, 2, 3]) {
    setHost(facts, host);
    setPort(facts, host, 'weft-vxlan', 65000);
    setPort(facts, host, 'uplink', 65001);
  }
  setNetwork(facts, 'acme/web', 1, 'vxlan', { tag: 10_001 });
  setNetwork(facts, 'acme/lan', 2, 'vlan', { tag: 11 });
  const ipv6 = (number: number) => [(0xfd00n << 112n) + BigInt(number)];
  setEndpoint(facts, 'acme/web', 1, { host: 1, port: 1, ipv6: ipv6(1) });
  setEndpoint(facts, 'acme/web', 2, { host: 1, port: 2, ipv6: ipv6(2) });
  setEndpoint(facts, 'acme/web', 3, { host: 2, port: 1, ipv6: ipv6(3) });
  setEndpoint(facts, 'acme/web', 4, { host: 2 });
  setEndpoint(facts, 'acme/web', 5);
  setEndpoint(facts, 'acme/lan', 11, { host: 1, port: 3 });
  setEndpoint(facts, 'acme/lan', 12, { host: 2, port: 3 });
  return made;
}

const [E1, E2, E3] = ['acme/web/e1', 'acme/web/e2', 'acme/web/e3'];
const [L1, L2] = ['acme/lan/e11', 'acme/lan/e12'];
const tcp = (from: string, to: string) => ({ from, to, protocol: 'tcp', port: 80 });
const hosts = ({ visits }: TraceLeg) => visits.map(({ host, connection }) => `${host} ${connection}`);
const ways = ({ visits }: TraceLeg) => visits.flatMap(({ departures }) => departures.map(({ to }) => to));
const tables = ({ visits }: TraceLeg) => visits.flatMap(({ steps }) => steps.map(({ table }) => table));

t.test('on one host: the request and its answer', async (t) => {
  const made = cluster();
  const report = await made.trace(tcp(E1, E2));
  t.match(report, { outcome: 'allowed', network: 'acme/web', service: 'tcp 80', differences: [] });
  t.match(
    report.verdict,
    /^allowed: tcp 80 from acme\/web\/e1 to acme\/web\/e2 arrives, and so does the answer/,
  );
  t.strictSame(hosts(report.request), ['h1 new']);
  t.strictSame(ways(report.request), [`endpoint ${E2}`]);
  t.strictSame(hosts(report.reply as TraceLeg), ['h1 est,rpl'], 'the connection was remembered');
  t.strictSame(ways(report.reply as TraceLeg), [`endpoint ${E1}`]);
  t.match(report.reply?.packet, /tcp,.*nw_src=10.0.0.2,nw_dst=10.0.0.1,.*tcp_src=80,tcp_dst=49152/);
  const [first] = report.request.visits[0]?.steps ?? [];
  t.match(first, { table: 'classify', tableId: 0, owner: `classify.ports of endpoint ${E1}` });
  t.match(first?.entry, /^cookie=0x57.*table=0, n_packets=7, n_bytes=700, priority=300,.*in_port=1/);
  t.strictSame(tables(report.request).slice(0, 4), ['classify', 'source_mac', 'source_address', 'conntrack']);
  t.equal(tables(report.request).at(-1), 'output');
  t.equal(new Set(made.read).size, made.read.length, 'no table is read twice');
  t.ok(made.read.length < pipeline.order.length, 'and none that the packets do not come to');
});

t.test('from host to host, through the tunnel and back, over IPv4 and IPv6', async (t) => {
  for (const family of [4, 6] as const) {
    const report = await cluster().trace({ ...tcp(E1, E3), family });
    t.equal(report.outcome, 'allowed');
    t.strictSame(hosts(report.request), ['h1 new', 'h2 new']);
    t.strictSame(ways(report.request), ['tunnel to h2', `endpoint ${E3}`]);
    t.equal(report.request.visits[1]?.arrival, 'tunnel from h1');
    t.strictSame(hosts(report.reply as TraceLeg), ['h2 est,rpl', 'h1 est,rpl']);
    t.equal(report.from.address, family === 4 ? '10.0.0.1' : 'fd00::1');
  }
});

t.test('over the VLAN underlay, and to and from outside', async (t) => {
  const made = cluster();
  const inside = await made.trace(tcp(L1, L2));
  t.strictSame(ways(inside.request), ['uplink with VLAN tag 11 to h2', `endpoint ${L2}`]);
  t.equal(inside.outcome, 'allowed');
  const out = await made.trace(tcp(L1, '192.0.2.1'));
  t.equal(out.outcome, 'allowed');
  t.strictSame(ways(out.request), ['uplink with VLAN tag 11 to outside']);
  t.strictSame(hosts(out.reply as TraceLeg), ['h1 est,rpl']);
  const back = await made.trace(tcp('192.0.2.1', L2));
  t.strictSame(
    back.request.visits.map(({ arrival }) => arrival),
    ['uplink with VLAN tag 11 from outside'],
  );
  t.equal(back.outcome, 'allowed');
  t.strictSame(ways(back.reply as TraceLeg), ['uplink with VLAN tag 11 to outside']);
});

t.test('an address is that of an endpoint of the network, if one has it', async (t) => {
  const report = await cluster().trace(tcp(E1, '10.0.0.3'));
  t.equal(report.to.endpoint, E3);
  t.equal(report.outcome, 'allowed');
});

t.test('what is dropped, where and by whom', async (t) => {
  const report = await cluster().trace(tcp(E1, '10.0.0.200'));
  t.equal(report.outcome, 'dropped');
  t.notOk(report.reply);
  t.match(
    report.verdict,
    /^dropped: tcp 80 from acme\/web\/e1 to 10.0.0.200: on h1 in table forward by bridge.unknown destination of network acme\/web \(a cause\): cookie=/,
  );
});

t.test('protocols: what they need and what answers them', async (t) => {
  const made = cluster();
  const packets = async (request: object) => {
    const { request: first, reply } = await made.trace({ from: E1, to: E2, ...request });
    return [first, reply].map((leg) =>
      leg === undefined ? '' : leg.packet.replace(/,(in|dl|nw_s|nw_d|nw_ttl)[^,]*/g, ''),
    );
  };
  t.strictSame(await packets({}), ['icmp,icmp_type=8,icmp_code=0', 'icmp,icmp_type=0,icmp_code=0']);
  t.strictSame(await packets({ protocol: 'icmp', icmpType: 3, icmpCode: 1 }), [
    'icmp,icmp_type=3,icmp_code=1',
    '',
  ]);
  t.strictSame(await packets({ protocol: 'sctp', port: 5, sourcePort: 6 }), [
    'sctp,sctp_src=6,sctp_dst=5',
    'sctp,sctp_src=5,sctp_dst=6',
  ]);
  t.strictSame(await packets({ protocol: '17', port: 53 }), [
    'udp,udp_src=49152,udp_dst=53',
    'udp,udp_src=53,udp_dst=49152',
  ]);
  t.strictSame(await packets({ protocol: '47' }), ['ip,nw_proto=47', 'ip,nw_proto=47']);
});

t.test('a switch that is not connected: what could not be seen', async (t) => {
  const made = cluster();
  made.away.add(datapathId(2));
  const report = await made.trace(tcp(E1, E3));
  t.equal(report.outcome, 'unseen');
  t.match(report.verdict, /the switch of h2 is not connected.*nothing before it dropped the packet/);
  t.match(report.request.visits, [{ host: 'h1' }, { host: 'h2', unseen: /not connected/, steps: [] }]);
});

t.test('differences from what should be there, and what follows from them', async (t) => {
  const made = cluster();
  const forward = pipeline.tables.forward.id;
  made.tampered = (flow, datapath) =>
    datapath === datapathId(2) && flow.tableId === forward && flow.priority === 300 ? undefined : flow;
  const report = await made.trace(tcp(E1, E3));
  t.equal(report.outcome, 'dropped', 'it is what is there that counts');
  t.match(report.verdict, /on h2 in table forward/);
  t.match(report.differences, [{ host: 'h2', missing: 2, extra: 0, changed: 0, foreign: 0 }]);
  t.match(report.differences[0]?.examples, [/missing: .*table=forward.*bridge.local of endpoint/]);

  made.tampered = (flow, datapath) =>
    datapath === datapathId(1) && flow.tableId === forward ? { ...flow, cookie: 5n } : flow;
  const foreign = await made.trace(tcp(E1, E2));
  t.equal(foreign.outcome, 'allowed');
  const held = [...made.controller.desired(datapathId(1))];
  const changed = held.filter((entry) => entry.kind === 'flow' && entry.table === forward).length;
  t.equal(foreign.differences[0]?.changed, changed);
  t.match(owners(foreign), ['somebody else (cookie 0x5)']);
});

function owners({ request }: TraceReport): string[] {
  return request.visits.flatMap(({ steps }) =>
    steps.filter(({ table }) => table === 'forward').map(({ owner }) => owner ?? ''),
  );
}

t.test('what cannot be traced is refused, with a reason and a fix', async (t) => {
  const made = cluster();
  const refusals: Record<string, object> = {
    'object.unknown': tcp('acme/web/nobody', E1),
    'trace.party.syntax': tcp('nobody', E1),
    'trace.parties.addresses': tcp('10.0.0.1', '10.0.0.2'),
    'trace.parties.same': tcp(E1, '10.0.0.1'),
    'trace.network.none-shared': tcp(E1, L1),
    'trace.endpoint.not-attached': tcp(E1, 'acme/web/e4'),
    'trace.from.outside': tcp('192.0.2.1', E1),
    'trace.endpoint.no-address': { ...tcp(L1, L2), family: 6 },
    'trace.family.mixed': { ...tcp(E1, '10.0.0.2'), family: 6 },
    'trace.port.missing': { from: E1, to: E2, protocol: 'tcp' },
    'trace.port.protocol': { from: E1, to: E2, protocol: 'icmp', port: 80 },
    'trace.icmp.protocol': { ...tcp(E1, E2), icmpType: 8 },
    'trace.protocol.unknown': { from: E1, to: E2, protocol: 'tpc' },
  };
  for (const [code, request] of Object.entries(refusals)) {
    const refused = made.trace(request as ReturnType<typeof tcp>);
    const error = await refused.then(
      () => undefined,
      (reason: TraceError) => reason,
    );
    t.equal(error?.code, code);
    t.ok((error?.fix ?? '').length > 10, `${code} has a fix`);
  }
  await t.rejects(made.trace(tcp('acme/web/e5', E1)), { message: /bound to no host/ });
  made.facts.ports.delete(`${datapathId(1)}/v1`);
  await t.rejects(made.trace(tcp(E1, E2)), { code: 'trace.endpoint.no-port' });
});

t.test('the port of Open vSwitch 16 bits wide is the port of the packet', async (t) => {
  t.equal(readBits(new Map([['in_port', 3n]]), F.nxm_in_port, 0, 16), 3n);
});
