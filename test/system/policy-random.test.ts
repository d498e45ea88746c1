/**
 * Policies at random on real bridges: what `ofproto/trace` says of packets at random, at every host on their way and in both directions,
 * against the evaluator. `POLICY_SEED=n` repeats a run.
 */
import t from 'tap';
import { R, T } from '../../apps/pipeline.js';
import { type RuleFact, TUNNEL_PORT, UPLINK_PORT } from '../../controller/model/facts.js';
import { ModelError } from '../../controller/model/index.js';
import { addressText, decide, type Decision, evaluate, type Verdict } from '../policy-truth/evaluator.js';
import {
  type Ground,
  Random,
  randomChannel,
  randomPolicies,
  randomService,
} from '../policy-truth/random-policies.js';
import type { Station } from '../policy-truth/prober.js';
import { trace, type TracedPacket, type Tuple } from '../policy-truth/tracer.js';
import { macText } from '../support/frames.js';
import { BRIDGE, echo, LAN, PolicyStage, RIVAL, WEB } from './policy-support.js';

const POLICIES = 12;
const PACKETS = 40;
const MULTICASTS = 10;
const BLOCKS = [
  '10.1.1.0/24',
  '10.1.1.0/29',
  '10.1.1.4/30',
  '10.1.1.8',
  '10.1.1.2/31',
  '10.2.1.0/24',
  '10.2.1.200',
  '0.0.0.0/0',
  '10.0.0.0/8',
  '239.1.0.0/16',
  '239.1.1.5',
];
const BLOCKS6 = [
  'fd00:1::/64',
  'fd00:1::4/126',
  'fd00:1::8/125',
  'fd00:1::2',
  'fd00:2::/64',
  'fd00:2::c8',
  '::/0',
  'fd00::/16',
  'ff15::/16',
];
const TAGS: Readonly<Record<string, number>> = { 'acme/web': 10_001, 'rival/web': 10_002, 'acme/lan': 11 };

t.setTimeout(300_000);
const seed = Number(process.env['POLICY_SEED'] ?? Date.now() % 1_000_000);
const stage = await PolicyStage.start();
t.teardown(() => stage.stop());
// A tunnel drops what it is given before it knows the other end's MAC address.
await stage.prober.quiescence(
  [
    ['a1', 'a2'],
    ['a1', 'a3'],
    ['a2', 'a3'],
  ].map(([from = '', to = '']) => stage.probe(from, to, echo)),
);
const hosts = [...stage.bridged.lab.hosts.values()].filter(({ name }) => /^h\d$/.test(name));
const ports = new Map<string, Map<string, string>>();
for (const host of hosts) {
  const listed = JSON.parse(
    await host.vsctl('--format=json', '--columns=name,ofport', 'list', 'interface'),
  ) as { data: [string, number][] };
  ports.set(host.name, new Map(listed.data.map(([name, port]) => [name, String(port)])));
}

const groundOf = (tenant: string, endpoints: readonly string[], networks: readonly string[]): Ground => ({
  tenant,
  networks,
  endpoints,
  labels: { ns: ['x', 'y', 'z', 'lan'], pod: ['a', 'b', 'c'], nothing: ['none'] },
  portNames: ['serve-80-tcp', 'serve-81-tcp', 'unknown'],
  blocks4: BLOCKS,
  blocks6: BLOCKS6,
});
const acme = groundOf(
  'acme',
  [...WEB.map((name) => `web/${name}`), ...LAN.map((name) => `lan/${name}`)],
  ['web', 'lan'],
);
const rival = groundOf(
  'rival',
  RIVAL.map((name) => `web/${name}`),
  ['web'],
);

/** Where it lives; undefined for a neighbour in the VLAN underlay. */
const hostOf = ({ name }: Station): string | undefined =>
  name.endsWith('outside') ? undefined : `h${name.at(-1)}`;

/** The neighbour as a router that brings packets of an endpoint in another network, and takes them there. */
function routed(random: Random, neighbour: Station): Station {
  const { addresses } = stage.station(`acme/web/${random.pick(WEB)}`);
  return { ...neighbour, addresses };
}

function arrivalAt(host: string, sender: Station): string {
  const home = hostOf(sender);
  if (home === host) return `in_port=${ports.get(host)?.get(stage.bridged.endpoint(sender.name).port)}`;
  const network = sender.name.slice(0, sender.name.lastIndexOf('/'));
  if (network === 'acme/lan') return `in_port=${UPLINK_PORT},dl_vlan=${TAGS[network]}`;
  const [from, to] = [home, host].map((name) => stage.bridged.lab.host(name ?? '').vtepIp);
  return `in_port=${TUNNEL_PORT},tun_id=${TAGS[network]},tun_src=${from},tun_dst=${to}`;
}

/** Hosts on the way, each with what is decided there. */
function judges(
  from: Station,
  to: Station,
  verdict: Verdict,
): { host: string; decisions: readonly Decision[] }[] {
  const [source, destination] = [hostOf(from), hostOf(to)];
  const only = (decision: Decision | undefined) => (decision === undefined ? [] : [decision]);
  if (source === destination && source !== undefined) {
    return [{ host: source, decisions: [...only(verdict.out), ...only(verdict.in)] }];
  }
  return [
    ...(source === undefined ? [] : [{ host: source, decisions: only(verdict.out) }]),
    ...(destination === undefined ? [] : [{ host: destination, decisions: only(verdict.in) }]),
  ];
}

async function apply(random: Random): Promise<string> {
  for (let tries = 0; ; tries++) {
    const intents = [
      ...randomPolicies(random, acme),
      ...randomPolicies(random, rival).filter(({ kind }) => kind !== 'Tier'),
    ];
    const tiers = new Set(intents.filter(({ kind }) => kind === 'Tier').map(({ name }) => name));
    const known = intents.map((intent) => {
      const { tier, ...rest } = intent;
      return tier === undefined || tiers.has(tier) ? intent : { ...rest, kind: intent.kind };
    });
    try {
      await stage.apply(known);
      return JSON.stringify(known);
    } catch (error) {
      // What is senseless is refused, which other tests are about; most of it has to be of use.
      if (!(error instanceof ModelError) || tries >= 5) throw error;
      t.comment(`refused: ${error.message}`);
    }
  }
}

/** Rules whose verdict was passed, in the order of the tables. */
function rulesIn(text: string): string[] {
  const names = new Map<number, string>();
  for (const { kind, key, value } of stage.bridged.running.controller.model.facts()) {
    if (kind === 'rule') names.set((value as RuleFact).number, key);
  }
  return [T.egress_verdict, T.ingress_verdict].flatMap(({ id }) =>
    [...text.matchAll(new RegExp(`^ *${id}\\. (?:[^ ]*,)?${R.rule.field.name}=0x([0-9a-f]+)`, 'gm'))].map(
      ([, number]) => names.get(Number.parseInt(number ?? '', 16)) ?? `number ${number}`,
    ),
  );
}

/** What is wrong with the rules that passed their verdict, where these decisions were due; undefined: nothing. */
function wrongRules(text: string, decisions: readonly Decision[]): string | undefined {
  const firstStop = decisions.findIndex(({ action }) => action !== 'allow');
  const due = firstStop < 0 ? decisions : decisions.slice(0, firstStop + 1);
  const expected = due.filter(({ by }) => by.startsWith('rule '));
  const found = rulesIn(text);
  const right =
    found.length === expected.length &&
    expected.every(({ by, or = [] }, index) => [by, ...or].includes(`rule ${found[index]}`));
  return right ? undefined : `decided by [${found}]; should: ${JSON.stringify(expected)}`;
}

/** Ports that a traced packet leaves by, of those that endpoints have. */
function portsIn(text: string): readonly string[] {
  const found = [...text.matchAll(/(?:^ +(?:\d+\. )?output:|output port is )(\d+)$/gm)].map(
    ([, port = '']) => port,
  );
  return [...new Set(found)].filter((port) => Number(port) < TUNNEL_PORT).sort();
}

/** Somebody sends to a multicast group: who on each host gets a copy; undefined where the evaluator agrees. */
async function wrongCopies(
  random: Random,
  network: string,
  copies: { sent: number; withheld: number },
): Promise<string | undefined> {
  const members = [...stage.stations.values()].filter(({ name }) => name.startsWith(network));
  const from = random.pick(members.filter((station) => hostOf(station) !== undefined));
  const family = random.pick([4, 6] as const);
  const channel = randomChannel(random, family);
  const service = { protocol: 17, tpSource: 5004, tpDestination: random.pick([53, 80, 8005]) };
  const connection: Tuple = {
    from: from.addresses.find((one) => one.family === family)!,
    to: channel.address,
    ...service,
  };
  const [tenant = '', networkName = ''] = network.split('/');
  const packet = {
    tenant,
    network: networkName,
    from: connection.from,
    to: connection.to,
    protocol: service.protocol,
    destinationPort: service.tpDestination,
  };
  const judged = (name: string, direction: 'in' | 'out') =>
    decide(
      stage.world,
      packet,
      stage.world.endpoints.find((one) => `${one.tenant}/${one.network}/${one.name}` === name)!,
      direction,
    ).action === 'allow';
  for (const { name: host } of hosts) {
    const sends = hostOf(from) !== host || judged(from.name, 'out');
    const local = members.filter((station) => station !== from && hostOf(station) === host);
    const admitting = local.filter(({ name }) => sends && judged(name, 'in'));
    copies.sent += admitting.length;
    copies.withheld += local.length - admitting.length;
    const expected = admitting
      .map(({ name }) => ports.get(host)?.get(stage.bridged.endpoint(name).port) ?? '')
      .sort();
    const arrival = arrivalAt(host, from);
    const said = await trace(stage.controls.get(host)!, BRIDGE, {
      arrival,
      sourceMac: macText(from.mac),
      destinationMac: macText(channel.mac),
      connection,
      direction: 'first',
    });
    // The switch says that it does not send to the port the packet came from, after it has named it.
    const found = portsIn(said.text).filter((port) => arrival !== `in_port=${port}`);
    if (found.join() !== expected.join()) {
      return `${from.name} to ${addressText(channel.address)} port ${service.tpDestination} at ${host}: ports ${found}, should be ${expected}\n${said.text}`;
    }
  }
  return undefined;
}

for (let round = 0; round < POLICIES; round++) {
  t.test(`seed ${seed + round}`, async (t) => {
    const random = new Random(seed + round);
    const intents = await apply(random);
    const wrong: string[] = [];
    const networks = ['acme/web/', 'acme/web/', 'acme/lan/', 'acme/lan/', 'rival/web/'];
    const counts = { passed: 0, stopped: 0 };
    for (let packet = 0; packet < PACKETS; packet++) {
      const network = random.pick(networks);
      const members = [...stage.stations.values()].filter(({ name }) => name.startsWith(network));
      const [from, to] = (random.some(members, 2, 2) as [Station, Station]).map((station) =>
        hostOf(station) === undefined && random.chance(0.7) ? routed(random, station) : station,
      ) as [Station, Station];
      const family = random.pick([4, 6] as const);
      const service = randomService(random, family);
      const address = (station: Station) => station.addresses.find((one) => one.family === family)!;
      const connection: Tuple = { from: address(from), to: address(to), ...service };
      const [tenant = '', networkName = ''] = network.split('/');
      const icmp = service.protocol === 1 || service.protocol === 58;
      const verdict = evaluate(stage.world, {
        tenant,
        network: networkName,
        from: connection.from,
        to: connection.to,
        protocol: service.protocol,
        ...(icmp
          ? { icmpType: service.tpSource, icmpCode: service.tpDestination }
          : { destinationPort: service.tpDestination }),
      });
      for (const { host, decisions } of judges(from, to, verdict)) {
        const passes = decisions.every(({ action }) => action === 'allow');
        for (const direction of ['first', 'answer'] as const) {
          const [sender, receiver] = direction === 'first' ? [from, to] : [to, from];
          const traced: TracedPacket = {
            arrival: arrivalAt(host, sender),
            sourceMac: macText(sender.mac),
            destinationMac: macText(receiver.mac),
            connection,
            direction,
          };
          const said = await trace(stage.controls.get(host)!, BRIDGE, traced);
          counts[said.passes ? 'passed' : 'stopped'] += 1;
          const rules = wrongRules(said.text, decisions);
          if (said.passes === passes && rules === undefined) continue;
          const what = `${service.protocol} ${service.tpSource} ${service.tpDestination}`;
          wrong.push(
            `${from.name} ${addressText(connection.from)} to ${to.name} ${addressText(connection.to)}, ${what}, ${direction} at ${host}: ${said.passes ? 'passes' : 'is stopped'}; should: ${JSON.stringify(decisions)}; ${rules ?? 'by the right rules'}`,
          );
          if (wrong.length === 1) t.comment(said.text);
        }
      }
    }
    const copies = { sent: 0, withheld: 0 };
    for (let packet = 0; packet < MULTICASTS; packet++) {
      const found = await wrongCopies(random, random.pick(networks), copies);
      if (found !== undefined) wrong.push(found);
    }
    t.comment(`${counts.passed} passed, ${counts.stopped} stopped`);
    t.comment(`multicast: ${copies.sent} copies, ${copies.withheld} withheld`);
    if (!t.strictSame(wrong, [], `POLICY_SEED=${seed + round} repeats it`)) t.comment(intents);
  });
}
