/** Where messages of group membership go: whom a report, a query and a hello reach, by where it comes from. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { SpoofKind } from '../../apps/anti-spoof.js';
import { MembershipMeter, decodeMembershipPunt, encodeMembershipPunt } from '../../apps/multicast/punt.js';
import { T } from '../../apps/pipeline.js';
import { linkLocalAddress } from '../../apps/protocols.js';
import { encodePunt } from '../../apps/policy/punt.js';
import { stormMeter } from '../../apps/qos/meters.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { TUNNEL_PORT, UPLINK_PORT } from '../../controller/model/facts.js';
import { stepsOf } from '../../controller/trace/steps.js';
import { VLAN_PRESENT } from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork, vtep } from './facts.js';
import { type Packet, SoftwareSwitch } from './software-switch.js';

const IGMP = 2;
const PIM = 103;
const VLAN = 21;
const GROUP_MAC = 0x01005e010203n;

/** Endpoints 1 and 2 in a VLAN network, 11 and 12 in a VXLAN network, on one host; 50 of the latter elsewhere. */
function world(): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  setHost(facts, 1);
  setHost(facts, 2);
  setHost(facts, 3);
  setHost(facts, 4);
  setNetwork(facts, 'acme/lan', VLAN, 'vlan');
  setNetwork(facts, 'acme/web', 1, 'vxlan');
  for (const port of [1, 2]) setEndpoint(facts, 'acme/lan', port, { host: 1, port });
  for (const port of [11, 12]) setEndpoint(facts, 'acme/web', port, { host: 1, port });
  setEndpoint(facts, 'acme/web', 50, { host: 2, port: 1 });
  for (const host of [3, 4]) setEndpoint(facts, 'acme/lan', 50 + host, { host, port: 1 });
  setNetwork(facts, 'acme/deaf', 22, 'vlan', { multicast: { snooping: false } });
  for (const port of [21, 22]) setEndpoint(facts, 'acme/deaf', port, { host: 1, port });
  // Every copy for an endpoint of the web is judged.
  facts.groups.set('acme/all', {
    id: 'acme/all',
    tenant: 'acme',
    name: 'all',
    number: 1,
    endpoints: [],
    networks: ['acme/lan'],
    policies: ['acme/closed'],
  });
  facts.policies.set('acme/closed', {
    id: 'acme/closed',
    tenant: 'acme',
    name: 'closed',
    number: 1,
    tier: 1,
    defaultIn: 'deny',
    defaultOut: 'deny',
  });
  const { settlement, conflicts } = desired.settle();
  if (settlement.failures.length > 0) throw settlement.failures[0]!.error;
  if (conflicts.length > 0) throw new Error(`conflicts: ${JSON.stringify(conflicts)}`);
  return desired;
}

function packet(fields: Readonly<Record<string, number | bigint>>): Packet {
  return new Map(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
}

function frame(endpoint: number, fields: Readonly<Record<string, number | bigint>>): Packet {
  return packet({ eth_src: 0x02020a000000 + endpoint, eth_dst: GROUP_MAC, vlan_vid: 0, ...fields });
}

const igmp = (endpoint: number, destination: number, more = {}): Packet =>
  frame(endpoint, {
    eth_type: 0x0800,
    ip_proto: IGMP,
    ipv4_src: 0x0a000000 + endpoint,
    ipv4_dst: destination,
    ...more,
  });

const mld = (endpoint: number, type: number, more = {}): Packet =>
  frame(endpoint, {
    eth_type: 0x86dd,
    ip_proto: 58,
    icmpv6_type: type,
    ipv6_src: 0n,
    ipv6_dst: (0xff02n << 112n) | 0x16n,
    ...more,
  });

/** Ports a packet leaves by (the uplink as `uplink <VLAN>`), who it is punted for, and the meters it passes. */
function fate(desired: DesiredTables, inPort: number, sent: Packet, host = 1) {
  const table = new SoftwareSwitch(desired.entries(datapathId(host)));
  const { outputs, steps, trace } = table.execute(inPort, sent);
  return {
    out: outputs
      .map(({ port, packet: copy }) => {
        const vlan = copy.get('vlan_vid') ?? 0n;
        return port === UPLINK_PORT ? `uplink ${Number(vlan) & 0xfff}` : port;
      })
      .sort(),
    punts: stepsOf(steps, 'controller').map(({ userdata, meterId }) => [
      userdata && decodeMembershipPunt(userdata),
      meterId,
    ]),
    meters: trace.flatMap(({ instructions }) =>
      instructions.flatMap((one) => (one.type === 'meter' ? [one.meterId] : [])),
    ),
    last: trace.at(-1),
  };
}

const toController = [['endpoint', MembershipMeter.endpoint]];
const toControllerFromUplink = [['uplink', MembershipMeter.uplink]];

t.test('user data says who sent it, and is told from that of policy', (t) => {
  for (const from of ['endpoint', 'uplink'] as const)
    t.equal(decodeMembershipPunt(encodeMembershipPunt(from)), from);
  const punt = encodePunt({ verdict: 'allow', direction: 'in', decider: { kind: 'rule', number: 1 } });
  for (const other of [[], [0x57, 0x4d, 1, 2], [0x57, 0x4d, 2, 0], [0x57, 0x4c, 1, 0], [...punt]])
    t.equal(decodeMembershipPunt(Uint8Array.from(other)), undefined);
  t.end();
});

t.test('reports go to the controller and to the uplink of VLAN networks, and to no endpoint', (t) => {
  const desired = world();
  const groups = [0xe0000016, 0xe0000002, 0xefffff01];
  for (const destination of groups) {
    t.match(fate(desired, 1, igmp(1, destination)), {
      out: [`uplink ${VLAN}`],
      punts: toController,
      meters: [stormMeter(1)],
    });
    const web = fate(desired, 11, igmp(11, destination));
    t.match(web, { punts: toController, meters: [stormMeter(11)] });
    t.strictSame(web.out, []);
  }
  for (const type of [131, 132, 143]) {
    const own = { ipv6_src: linkLocalAddress(0x02020a000001) };
    const { out, punts } = fate(desired, 1, mld(1, type, own));
    t.strictSame([out, punts], [[`uplink ${VLAN}`], toController]);
    const unspecified = type === 132 ? [] : toController;
    t.strictSame(fate(desired, 11, mld(11, type)).punts, unspecified, 'without an address, but for done');
    t.strictSame(fate(desired, 11, mld(11, type)).out, []);
  }
  t.strictSame(
    fate(desired, 11, igmp(11, 0xe0000016, { ipv4_src: 0 })).punts,
    toController,
    'no address yet',
  );
  t.strictSame(fate(desired, 11, igmp(11, 0xe0000016, { ipv4_src: 99 })).punts, [], 'a forged address');
  t.end();
});

t.test('queries of endpoints are forged', (t) => {
  const desired = world();
  const query = fate(desired, 11, igmp(11, 0xe0000001));
  t.strictSame([query.out, query.punts], [[], []]);
  t.equal(query.last?.table, T.spoofed.id);
  const mldQuery = fate(desired, 11, mld(11, 130, { ipv6_src: linkLocalAddress(0x02020a00000b) }));
  t.strictSame([mldQuery.out, mldQuery.punts], [[], []]);
  const kinds = [...desired.entries(datapathId(1))].filter(
    (entry) => entry.kind === 'flow' && (entry.cookie & 0xffff_ffffn) === BigInt(SpoofKind.membershipQuery),
  );
  t.ok(kinds.length >= 2, 'what was forged is told');
  t.end();
});

t.test('from the uplink: queries and hellos are heard and flooded, reports only heard', (t) => {
  const desired = world();
  const tagged = { vlan_vid: VLAN_PRESENT | VLAN, eth_src: 0x020000000099 };
  const both = [1, 2];
  t.match(fate(desired, UPLINK_PORT, igmp(9, 0xe0000001, tagged)), {
    out: both,
    punts: toControllerFromUplink,
  });
  t.match(fate(desired, UPLINK_PORT, mld(9, 130, tagged)), { out: both, punts: toControllerFromUplink });
  t.match(fate(desired, UPLINK_PORT, igmp(9, 0xe000000d, { ...tagged, ip_proto: PIM })), {
    punts: toControllerFromUplink,
  });
  for (const destination of [0xe0000016, 0xefffff01]) {
    const report = fate(desired, UPLINK_PORT, igmp(9, destination, tagged));
    t.strictSame([report.out, report.punts], [[], toControllerFromUplink]);
  }
  for (const type of [131, 132, 143]) {
    const report = fate(desired, UPLINK_PORT, mld(9, type, tagged));
    t.strictSame([report.out, report.punts], [[], toControllerFromUplink]);
  }
  t.strictSame(
    fate(desired, 11, igmp(11, 0xe000000d, { ip_proto: PIM })).punts,
    [],
    'a hello of an endpoint',
  );
  t.end();
});

t.test('two hosts of a network listen to its uplink', (t) => {
  const desired = world();
  const tagged = { vlan_vid: VLAN_PRESENT | VLAN, eth_src: 0x020000000099 };
  for (const [host, punts] of [
    [1, toControllerFromUplink],
    [3, toControllerFromUplink],
    [4, []],
  ] as const) {
    const report = fate(desired, UPLINK_PORT, igmp(9, 0xe0000016, tagged), host);
    t.strictSame([report.out, report.punts], [[], punts], `a report, on host ${host}`);
    for (const query of [igmp(9, 0xe0000001, tagged), mld(9, 130, tagged)]) {
      const { out, punts: told } = fate(desired, UPLINK_PORT, query, host);
      t.strictSame([out, told], [host === 1 ? [1, 2] : [1], punts], `a query, on host ${host}`);
    }
  }
  desired.facts.endpoints.delete('acme/lan/e1');
  desired.facts.endpoints.delete('acme/lan/e2');
  desired.settle();
  t.strictSame(
    fate(desired, UPLINK_PORT, igmp(9, 0xe0000016, tagged), 4).punts,
    toControllerFromUplink,
    'one leaves, the next takes its place',
  );
  t.end();
});

t.test('a network that does not listen floods them', (t) => {
  const desired = world();
  for (const sent of [igmp(21, 0xe0000016), igmp(21, 0xefffff01), mld(21, 143)]) {
    const { out, punts } = fate(desired, 21, sent);
    t.strictSame([out, punts], [[22, 'uplink 22'], []]);
  }
  const tagged = { vlan_vid: VLAN_PRESENT | 22, eth_src: 0x020000000099 };
  const { out, punts } = fate(desired, UPLINK_PORT, igmp(9, 0xe0000016, tagged));
  t.strictSame([out, punts], [[21, 22], []]);
  t.end();
});

t.test('nothing of it comes from a tunnel', (t) => {
  const desired = world();
  const tunnel = { tunnel_id: 1, tun_src: vtep(2) };
  for (const sent of [igmp(50, 0xe0000001, tunnel), igmp(50, 0xe0000016, tunnel), mld(50, 143, tunnel)]) {
    const { out, punts, last } = fate(desired, TUNNEL_PORT, sent);
    t.strictSame([out, punts], [[], []]);
    t.equal(last?.table, T.membership.id);
  }
  t.end();
});

t.test('no two entries overlap, every group and meter that is named is there', (t) => {
  const entries = [...world().entries(datapathId(1))];
  t.strictSame(findOverlaps(entries), []);
  t.strictSame(findDanglingReferences(entries), []);
  t.end();
});
