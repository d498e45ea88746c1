/**
 * `weft trace` and its executor on real bridges under policies: the executor agrees with `ofproto/trace` over random packets, and the
 * verdicts with the naive evaluator of policies.
 */
import t from 'tap';
import { pipeline } from '../../apps/index.js';
import type { IntentObject } from '../../controller/model/index.js';
import { InstalledTables } from '../../controller/trace/installed.js';
import { packetText, type Packet } from '../../controller/trace/packet.js';
import type { TraceReport } from '../../controller/trace/index.js';
import { CtState } from '../../ofproto/index.js';
import { TUNNEL_PORT, UPLINK_PORT } from '../../controller/model/facts.js';
import { evaluate, type Intent, parseAddress, type World } from '../policy-truth/evaluator.js';
import { readOfprotoTrace, summarise } from '../support/ofproto-trace.js';
import { type TracedHost, TracedBridges } from './trace-support.js';

const NETWORKS: readonly Intent[] = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Tenant', name: 'rival', defaultAction: 'deny' },
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'web',
    encapsulation: 'vxlan',
    tag: 10_001,
    subnet: '10.1.1.0/24',
    ipv6Subnet: 'fd00:1::/64',
  },
  {
    kind: 'Network',
    tenant: 'rival',
    name: 'web',
    encapsulation: 'vxlan',
    tag: 10_002,
    subnet: '10.1.1.0/24',
    ipv6Subnet: 'fd00:1::/64',
  },
  {
    kind: 'Network',
    tenant: 'acme',
    name: 'lan',
    encapsulation: 'vlan',
    tag: 11,
    subnet: '10.2.1.0/24',
    ipv6Subnet: 'fd00:2::/64',
  },
];
const acme = { tenant: 'acme' } as const;
const POLICIES: readonly Intent[] = [
  { kind: 'Tier', name: 'security', priority: 20 },
  {
    kind: 'AddressSet',
    ...acme,
    name: 'outside',
    addresses: ['192.0.2.0/24', '2001:db8::/32'],
    except: ['192.0.2.128/25'],
  },
  {
    kind: 'Policy',
    ...acme,
    name: 'front',
    defaultIn: 'deny',
    rules: [
      {
        name: 'http',
        direction: 'in',
        protocol: 'tcp',
        ports: [80, 443, '8000-8010'],
        from: [{ group: 'clients' }, { group: 'front' }, { addressSet: 'outside' }],
      },
      { name: 'ping', direction: 'in', protocol: 'icmp', icmpType: 8 },
      { name: 'ping6', direction: 'in', protocol: 'icmpv6', icmpType: 128 },
      {
        name: 'no-dns',
        direction: 'in',
        protocol: 'udp',
        ports: [53],
        action: 'reject',
        from: [{ network: 'web' }],
      },
      {
        name: 'udp',
        direction: 'in',
        protocol: 'udp',
        log: true,
        from: [{ cidr: '10.0.0.0/8', except: ['10.2.1.2/32'] }],
      },
      { name: 'sensor', direction: 'in', protocol: 'udp', ports: [514], stateless: true, priority: 50 },
    ],
  },
  {
    kind: 'Policy',
    ...acme,
    name: 'back',
    tier: 'security',
    defaultOut: 'deny',
    rules: [
      { name: 'to-front', direction: 'out', to: [{ group: 'front' }], protocol: 'tcp' },
      { name: 'not-8005', direction: 'out', protocol: 'tcp', ports: [8005], action: 'deny' },
      { name: 'gre', direction: 'out', protocol: 47, priority: 7 },
      { name: 'lan', direction: 'out', to: [{ network: 'lan' }], protocol: 'udp', ports: ['1-1023'] },
    ],
  },
  { kind: 'Group', ...acme, name: 'front', endpoints: ['web/a', 'web/b', 'lan/a'], policies: ['front'] },
  { kind: 'Group', ...acme, name: 'clients', endpoints: ['web/c', 'web/d', 'lan/b'], policies: ['back'] },
];
const PLACES: readonly (readonly [id: string, host: number])[] = [
  ['acme/web/a', 0],
  ['acme/web/b', 1],
  ['acme/web/c', 0],
  ['acme/web/d', 1],
  ['acme/web/e', 2],
  ['rival/web/a', 0],
  ['rival/web/b', 1],
  ['acme/lan/a', 0],
  ['acme/lan/b', 1],
  ['acme/lan/c', 1],
];

const bridges = await TracedBridges.start(3, [
  ...NETWORKS,
  ...POLICIES,
] as unknown as readonly IntentObject[]);
t.teardown(() => bridges.stop());
for (const [id, host] of PLACES) await bridges.attach(id, bridges.hosts[host] as TracedHost);
await bridges.settled();

/** The same packets each time (mulberry32). */
let seed = 0x5eed;
function below(limit: number): number {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
}
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
const chance = (percent: number): boolean => below(100) < percent;

const macNumber = (text: string): bigint => BigInt(`0x${text.replaceAll(':', '')}`);
const addressOf = (text: string): bigint => parseAddress(text.split('/')[0] ?? '').value;

/** Somebody who may be at an end of a packet. */
interface End {
  readonly mac: bigint;
  readonly ipv4: bigint;
  readonly ipv6: bigint;
}
const ends = new Map<string, End>(
  [...bridges.endpoints].map(([id, { view }]) => [
    id,
    { mac: macNumber(view.mac), ipv4: addressOf(view.ip ?? ''), ipv6: addressOf(view.ip6 ?? '') },
  ]),
);
const STRANGERS: readonly End[] = [
  '192.0.2.1 2001:db8::1',
  '192.0.2.200 2001:db9::1',
  '10.2.1.77 fd00:2::77',
].map((text) => {
  const [v4 = '', v6 = ''] = text.split(' ');
  return { mac: 0x02ff00000001n, ipv4: addressOf(v4), ipv6: addressOf(v6) };
});
const GROUP_MACS = [0xffffffffffffn, 0x01005e000001n, 0x333300000001n, 0x0180c200000en];

interface Sent {
  readonly host: TracedHost;
  readonly packet: Packet;
  /** As `--ct-next` takes it. */
  readonly next: string;
  readonly state: number;
}

const STATES = [
  ['trk,new', CtState.NEW],
  ['trk,new', CtState.NEW],
  ['trk,est', CtState.ESTABLISHED],
  ['trk,est,rpl', CtState.ESTABLISHED | CtState.REPLY],
  ['trk,rel', CtState.RELATED],
  ['trk,rel,rpl', CtState.RELATED | CtState.REPLY],
  ['trk,inv', CtState.INVALID],
] as const;

/** A packet somewhere in the cluster: most as an endpoint would send it, some with anything about it changed. */
function randomPacket(): Sent {
  const [id, { host, port }] = pick([...bridges.endpoints]);
  const network = id.slice(0, id.lastIndexOf('/'));
  const others = [...ends]
    .filter(([other]) => other.startsWith(network) && other !== id)
    .map(([, end]) => end);
  const [self, peer] = [ends.get(id) as End, chance(85) ? pick(others) : pick(STRANGERS)];
  const [next, state] = pick(STATES);
  const fields = new Map<string, bigint>();
  let [from, to, at] = [self, peer, host];
  const arrival = below(10);
  if (arrival < 6) fields.set('in_port', BigInt(port));
  else {
    // What comes to the endpoint from elsewhere.
    [from, to] = [peer, self];
    if (chance(10)) at = pick(bridges.hosts);
    if (network === 'acme/lan') {
      fields.set('in_port', BigInt(UPLINK_PORT)).set('vlan_vid', BigInt(chance(90) ? 0x100b : 0x100c));
    } else {
      const vni = network === 'acme/web' ? 10_001n : 10_002n;
      const source = pick(['10.254.0.1', '10.254.0.2', '10.254.0.3', '10.254.0.9']);
      fields.set('in_port', BigInt(TUNNEL_PORT)).set('tunnel_id', chance(95) ? vni : 10_003n);
      fields.set('tun_src', addressOf(source)).set('tun_dst', addressOf(at.vtepIp));
    }
  }
  if (chance(3)) fields.set('vlan_vid', 0x100bn);
  fields.set('eth_src', chance(95) ? from.mac : pick(STRANGERS).mac);
  fields.set('eth_dst', chance(90) ? to.mac : pick(GROUP_MACS));
  return { host: at, packet: new Map([...fields, ...payload(from, to, state)]), next, state };
}

const ARP = 0x0806n;

function payload(from: End, to: End, state: number): Packet {
  const fields = new Map<string, bigint>();
  if (chance(7)) {
    return fields
      .set('eth_type', ARP)
      .set('arp_op', BigInt(1 + below(2)))
      .set('arp_spa', from.ipv4)
      .set('arp_tpa', to.ipv4)
      .set('arp_sha', from.mac)
      .set('arp_tha', 0n);
  }
  const six = chance(40);
  const source = six ? from.ipv6 : from.ipv4;
  const destination = six ? to.ipv6 : to.ipv4;
  fields.set('eth_type', six ? 0x86ddn : 0x0800n).set('nw_ttl', 64n);
  fields.set(six ? 'ipv6_src' : 'ipv4_src', source).set(six ? 'ipv6_dst' : 'ipv4_dst', destination);
  const protocol = pick([6, 6, 17, 17, six ? 58 : 1, 132, 47]);
  const near = pick([80, 443, 8000, 8005, 8010, 53, 514, 22, 1023, 5000]) + pick([-1, 0, 0, 0, 1]);
  const ports: [number, number] = [1024 + below(60_000), near];
  fields.set('ip_proto', BigInt(protocol));
  const isReply = (state & CtState.REPLY) !== 0;
  const [first, second] = isReply ? [ports[1], ports[0]] : ports;
  if (protocol === 6) fields.set('tcp_src', BigInt(first)).set('tcp_dst', BigInt(second));
  if (protocol === 17) fields.set('udp_src', BigInt(first)).set('udp_dst', BigInt(second));
  if (protocol === 132) fields.set('sctp_src', BigInt(first)).set('sctp_dst', BigInt(second));
  const [type, code] = [pick(six ? [128, 129, 135, 1] : [8, 0, 13, 3]), 0];
  if (protocol === 1) fields.set('icmpv4_type', BigInt(type)).set('icmpv4_code', BigInt(code));
  if (protocol === 58) fields.set('icmpv6_type', BigInt(type)).set('icmpv6_code', BigInt(code));
  // The connection that it is taken to belong to, which answers go back on; now and then one that it contradicts.
  const [began, answers] = isReply !== chance(5) ? [destination, source] : [source, destination];
  fields.set('ct_state', BigInt(CtState.TRACKED | CtState.NEW));
  fields.set(six ? 'ct_ipv6_src' : 'ct_nw_src', began).set(six ? 'ct_ipv6_dst' : 'ct_nw_dst', answers);
  fields.set('ct_nw_proto', BigInt(protocol));
  if (protocol === 6 || protocol === 17)
    fields.set('ct_tp_src', BigInt(ports[0])).set('ct_tp_dst', BigInt(ports[1]));
  if (protocol === 1 || protocol === 58) fields.set('ct_tp_src', BigInt(type)).set('ct_tp_dst', BigInt(code));
  return fields;
}

const PACKETS = 1000;

t.test('the executor agrees with ofproto/trace over random packets', async (t) => {
  const tables = new Map(
    bridges.hosts.map((host) => [host, new InstalledTables(bridges.session(host), 10_000)]),
  );
  const met = new Map<string, number>();
  let left = 0;
  const wrong: string[] = [];
  for (let n = 0; n < PACKETS; n++) {
    const { host, packet, next, state } = randomPacket();
    const track = () => new Map([['ct_state', BigInt(CtState.TRACKED | state)]]);
    const steps = await (tables.get(host) as InstalledTables).execute(packet, track);
    const found = summarise(steps, TUNNEL_PORT);
    const flow = packetText(packet);
    const said = readOfprotoTrace(
      await bridges.control.call('ofproto/trace', host.bridge, flow, '--ct-next', next),
      TUNNEL_PORT,
    );
    if (JSON.stringify(found) !== JSON.stringify(said)) {
      wrong.push(`${host.name} ${flow} ${next}: ${JSON.stringify(found)}, not ${JSON.stringify(said)}`);
    }
    if (found.outputs.length > 0) left++;
    const last = found.lookups.at(-1) ?? '';
    met.set(last, (met.get(last) ?? 0) + 1);
  }
  t.strictSame(wrong.slice(0, 3), []);
  t.comment(`${left} of ${PACKETS} left a bridge; their ways ended in ${met.size} different entries`);
  t.ok(left > PACKETS / 5, `${left} left a bridge`);
  t.ok(left < (PACKETS * 4) / 5, `${PACKETS - left} were dropped`);
  t.ok(met.size > 40, `${met.size} entries`);
});

const SERVICES = [
  { protocol: 'tcp', number: 6, port: 80 },
  { protocol: 'tcp', number: 6, port: 8005 },
  { protocol: 'tcp', number: 6, port: 8011 },
  { protocol: 'udp', number: 17, port: 53 },
  { protocol: 'udp', number: 17, port: 514 },
  { protocol: 'udp', number: 17, port: 5000 },
  { protocol: 'icmp', number: 1 },
  { protocol: '47', number: 47 },
] as const;

t.test('verdicts and what decides agree with the evaluator', async (t) => {
  const { controller } = bridges.running;
  const world: World = {
    intents: [...NETWORKS, ...POLICIES],
    endpoints: [...bridges.endpoints].map(([id, { view }]) => {
      const [tenant = '', network = '', name = ''] = id.split('/');
      const addresses = [view.ip, view.ip6].map((text) => parseAddress((text ?? '').split('/')[0] ?? ''));
      return { tenant, network, name, addresses };
    }),
  };
  const wrong: string[] = [];
  const seen = { allowed: 0, dropped: 0, rejected: 0 };
  for (const from of world.endpoints) {
    for (const to of world.endpoints) {
      const name = ({ tenant, network, name: last }: typeof from) => `${tenant}/${network}/${last}`;
      if (from === to || from.tenant !== to.tenant || from.network !== to.network) continue;
      for (const service of SERVICES) {
        const family = chance(50) ? 4 : 6;
        const { protocol, number } = service;
        const port = 'port' in service ? service.port : undefined;
        const report = await controller.trace({
          from: name(from),
          to: name(to),
          family,
          protocol,
          ...(port === undefined ? {} : { port }),
        });
        const isEcho = number === 1;
        const verdict = evaluate(world, {
          tenant: from.tenant,
          network: from.network,
          from: from.addresses.find((address) => address.family === family)!,
          to: to.addresses.find((address) => address.family === family)!,
          protocol: isEcho && family === 6 ? 58 : number,
          ...(port === undefined ? {} : { destinationPort: port }),
          ...(isEcho ? { icmpType: family === 6 ? 128 : 8, icmpCode: 0 } : {}),
        });
        const outcome = { allow: 'allowed', deny: 'dropped', reject: 'rejected' }[verdict.action];
        // The answer of a stateless rule needs a rule of its own.
        const sensor = verdict.in?.by === 'rule acme/front/sensor' && verdict.action === 'allow';
        if (report.request.outcome !== outcome || (report.outcome !== outcome && !sensor)) {
          wrong.push(`${report.verdict}; should be ${outcome} by ${verdict.by ?? 'nobody'}`);
        }
        const decided = report.request.decisions.map(
          ({ rule, policy, direction, because }) => `${direction} ${deciderOf(rule, policy, because)}`,
        );
        for (const [direction, decision] of [
          ['out', verdict.out],
          ['in', verdict.in],
        ] as const) {
          const judged = decision !== undefined && !decision.by.startsWith('default of tenant acme');
          if (
            judged &&
            (direction === 'out' || verdict.out?.action !== 'deny') &&
            !decided.includes(`${direction} ${decision.by}`)
          ) {
            wrong.push(
              `${report.verdict}: decided by ${decided.join(', ')}; should be ${direction} ${decision.by}`,
            );
          }
        }
        seen[report.request.outcome as keyof typeof seen]++;
      }
    }
  }
  t.strictSame(wrong.slice(0, 3), []);
  t.comment(JSON.stringify(seen));
  for (const count of Object.values(seen)) t.ok(count > 0);
});

function deciderOf(rule: string | undefined, policy: string | undefined, because: string): string {
  if (rule !== undefined) return `rule ${rule}`;
  return policy === undefined ? because.replace('the default', 'default') : `default of policy ${policy}`;
}

t.test('a verdict in words', async (t) => {
  const { controller } = bridges.running;
  const trace = (from: string, to: string, protocol: string, port: number): Promise<TraceReport> =>
    controller.trace({ from, to, protocol, port });
  const allowed = await trace('acme/web/c', 'acme/web/b', 'tcp', 80);
  t.equal(
    allowed.verdict,
    'allowed: tcp 80 from acme/web/c to acme/web/b arrives, and so does the answer: ' +
      'out of h1 because rule to-front of policy acme/back (Policy acme/back, rules[0]), ' +
      'and into h2 because rule http of policy acme/front (Policy acme/front, rules[0])',
  );
  const denied = await trace('acme/web/a', 'acme/web/b', 'tcp', 22);
  t.equal(
    denied.verdict,
    'dropped: tcp 22 from acme/web/a to acme/web/b: on h2 in table ingress_policy by the default of policy acme/front (Policy acme/front)',
  );
  const rejected = await trace('acme/web/a', 'acme/web/b', 'udp', 53);
  t.match(
    rejected.verdict,
    /^rejected: .* on h2 in table ingress_verdict by rule no-dns of policy acme\/front \(Policy acme\/front, rules\[3\]\)$/,
  );
  const stateless = await trace('acme/web/a', 'acme/web/b', 'udp', 514);
  t.strictSame(
    stateless.reply?.visits.map(({ host, connection }) => `${host} ${connection}`),
    ['h2 new', 'h1 est,rpl'],
    'the host of the stateless rule remembers nothing',
  );
  t.strictSame(stateless.differences, []);
});

const INGRESS_VERDICT = pipeline.tables.ingress_verdict.id;

t.test('entries that somebody has taken away', async (t) => {
  const { controller } = bridges.running;
  await bridges.ovs.ofctl(['del-flows'], 'br2', `table=${INGRESS_VERDICT}`);
  const report = await controller.trace({ from: 'acme/web/a', to: 'acme/web/b', protocol: 'tcp', port: 80 });
  t.equal(report.outcome, 'dropped');
  t.match(report.verdict, /on h2 in table ingress_verdict: no entry matches/);
  t.match(report.differences, [{ host: 'h2', extra: 0, changed: 0 }]);
  t.ok((report.differences[0]?.missing ?? 0) > 0);
});
