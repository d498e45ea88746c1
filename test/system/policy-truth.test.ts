/** Truth tables: what the intents say, computed naively, against what real packets find. */
import t from 'tap';
import { type Address, parseAddress, type RuleIntent } from '../policy-truth/evaluator.js';
import { icmpFrame, ipFrame, reversed, udpFrame } from '../policy-truth/packets.js';
import { endsOf } from '../policy-truth/prober.js';
import { BROADCAST, icmpv6Frame, neighbourBody } from '../support/frames.js';
import { groups, handWritten, lan, rival, type TruthCase, web } from './policy-cases.js';
import { kubernetesCases } from './policy-kubernetes.js';
import { describe, echo, PolicyStage, sctp, tcp, timestamp, udp, WEB } from './policy-support.js';

t.setTimeout(300_000);
const stage = await PolicyStage.start();
t.teardown(() => stage.stop());

const NOTHING = Buffer.alloc(0);
const noOut = (port: number) => ({
  rules: [{ name: 'no', direction: 'out', action: 'deny', protocol: 'udp', ports: [port] } as const],
});
const everything = [tcp(80), tcp(8000), tcp(8005), udp(53), udp(8000), sctp(8000), echo, timestamp];

t.test('without policies everybody reaches their network', async (t) => {
  const probes = [web, rival, lan].flatMap((names) => stage.probes(names, everything));
  t.strictSame(await stage.wrong(probes), []);
});

for (const one of [...handWritten, ...kubernetesCases]) {
  t.test(one.name, async (t) => {
    await stage.apply(one.intents);
    await stage.clearCaches();
    const probes = (one.among ?? [web]).flatMap((names) => stage.probes(names, one.services));
    t.strictSame(thoughtOut(one, probes), one.says, 'the evaluator agrees with who wrote the case');
    t.strictSame(await stage.wrong(probes), []);
  });
}

const closed = (...rules: readonly RuleIntent[]) =>
  groups({ back: { defaultIn: 'deny', defaultOut: 'deny', rules } });
const fromFront: RuleIntent = { name: 'in', from: [{ group: 'front' }], protocol: 'udp', ports: [8000] };

t.test('an ICMP error about a connection passes with it, one about nothing does not', async (t) => {
  await stage.apply(closed(fromFront));
  await stage.clearCaches();
  for (const family of [4, 6] as const) {
    for (const name of ['b1', 'b2']) {
      const probe = stage.probe('a1', name, udp(8000), family);
      const there = endsOf(probe);
      const [type, code] = family === 4 ? [3, 3] : [1, 4];
      /** Port unreachable, about a datagram from a port to 8000. */
      const unreachable = (port: number) =>
        icmpFrame(
          reversed(there),
          type,
          code,
          0,
          Buffer.from(udpFrame(there, port, 8000, NOTHING).subarray(14)),
        );
      const told = async (asked: number, about: number): Promise<boolean> => {
        const request: [number, Uint8Array] = [probe.from.place, udpFrame(there, asked, 8000, NOTHING)];
        const seen = await stage.prober.play([request, [probe.to.place, unreachable(about)]], [probe]);
        t.ok(
          seen.arrived.some(([, step, place]) => step === 0 && place === probe.to.place),
          'it was asked',
        );
        return seen.others.some(([place, frame]) => place === probe.from.place && frame.includes('weft~'));
      };
      t.ok(await told(1001, 1001), `${name}, IPv${family}`);
      t.notOk(await told(1002, 1003), `${name}, IPv${family}: about another port`);
    }
  }
});

t.test('neighbours are found where everything is denied', async (t) => {
  await stage.apply([{ kind: 'Tenant', name: 'acme', defaultAction: 'deny' }]);
  await stage.clearCaches();
  for (const [from, to] of [
    ['a1', 'b1'],
    ['a1', 'b2'],
    ['lan/l1', 'lan/l2'],
    ['lan/outside', 'lan/l1'],
  ] as const) {
    const pair = stage.probe(from, to, echo, 6);
    const [source, target] = [pair.from, pair.to].map(({ addresses, mac }) => ({
      mac,
      address: addresses.find(({ family }) => family === 6)?.value ?? 0n,
    })) as [{ mac: number; address: bigint }, { mac: number; address: bigint }];
    const low = target.address & 0xffffffn;
    // Solicitation to the solicited-node group, advertisement back (RFC 4861, section 7.2).
    const solicitation = icmpv6Frame(
      { source: source.mac, destination: 0x3333ff000000 + Number(low) },
      {
        sourceIp: source.address,
        destinationIp: (0xff02n << 112n) | 0x1ff000000n | low,
        type: 135,
        body: neighbourBody(0, target.address, { type: 1, mac: source.mac }),
      },
    );
    const advertisement = icmpv6Frame(
      { source: target.mac, destination: source.mac },
      {
        sourceIp: target.address,
        destinationIp: source.address,
        type: 136,
        body: neighbourBody(0x60000000, target.address, { type: 2, mac: target.mac }),
      },
    );
    const seen = await stage.prober.play(
      [
        [pair.from.place, solicitation],
        [pair.to.place, advertisement],
      ],
      [pair],
    );
    const steps = seen.arrived.filter(
      ([, step, place]) => place === (step === 0 ? pair.to : pair.from).place,
    );
    t.strictSame([...new Set(steps.map(([, step]) => step))], [0, 1], `${from} finds ${to}`);
  }
});

/** Short names of the endpoints of the web network that see a datagram which goes to many. */
async function receiversOf(
  from: string,
  { mac, address }: { readonly mac: number; readonly address: Address },
  port: number,
): Promise<readonly string[]> {
  const probe = stage.probe(from, from === 'a1' ? 'a2' : 'a1', udp(port), address.family);
  const { source } = endsOf(probe);
  const frame = udpFrame({ source, destination: { mac, address } }, 999, port, NOTHING);
  const others = web.map((id) => stage.station(id)).filter(({ name }) => name !== probe.from.name);
  const { arrived } = await stage.prober.play(
    [[probe.from.place, frame]],
    others.map((to) => ({ from: probe.from, to })),
  );
  return namesAt(arrived.map(([, , place]) => place));
}

function namesAt(places: readonly number[]): readonly string[] {
  return [...stage.stations.values()]
    .filter(({ place }) => places.includes(place))
    .map(({ name }) => name.slice(name.lastIndexOf('/') + 1));
}

const others = (...names: readonly string[]) => WEB.filter((name) => !names.includes(name));

t.test('a broadcast is judged for everybody who would get a copy', async (t) => {
  const back = { defaultIn: 'deny', defaultOut: 'deny', rules: [fromFront] } as const;
  await stage.apply(groups({ back, data: noOut(53) }));
  await stage.clearCaches();
  const everybody = { mac: BROADCAST, address: { family: 4, value: 0xffffffffn } } as const;
  const receivers = (from: string, port: number) => receiversOf(from, everybody, port);
  t.strictSame(await receivers('a1', 8000), others('a1'), 'the groups admit it');
  t.strictSame(await receivers('a1', 8001), others('a1', 'b1', 'b2', 'b3'), 'not on this port');
  t.strictSame(await receivers('c1', 8000), others('c1', 'b1', 'b2', 'b3'), 'not from here');
  t.strictSame(await receivers('c1', 53), [], 'its sender may not');
  t.strictSame(await receivers('b1', 8000), [], 'nor may this one');
});

const channels = {
  mine: [
    { mac: 0x01005e010105, address: parseAddress('239.1.1.5') },
    { mac: 0x333300010005, address: parseAddress('ff15::1:5') },
  ],
  other: [
    { mac: 0x01005e020105, address: parseAddress('239.2.1.5') },
    { mac: 0x333300020005, address: parseAddress('ff18::2:5') },
  ],
} as const;
const mine = [{ cidr: '239.1.0.0/16' }, { cidr: 'ff15::/16' }];
/** Rules have peers of one family. */
const toMine = (action: 'allow' | 'deny'): RuleIntent[] =>
  mine.map((block, index) => ({ name: `to-${index}`, direction: 'out', to: [block], action }));
const receiving: RuleIntent = { ...fromFront, name: 'receive', groupAddresses: mine };

t.test('who may send to a multicast group, and who may receive from it', async (t) => {
  await stage.apply(
    groups({ back: { defaultIn: 'deny', rules: [receiving] }, data: { rules: toMine('deny') } }),
  );
  await stage.clearCaches();
  for (const index of [0, 1] as const) {
    const [group, another] = [channels.mine[index], channels.other[index]];
    t.strictSame(await receiversOf('a1', group, 8000), others('a1'), 'all admit it');
    t.strictSame(await receiversOf('a1', another, 8000), others('a1', 'b1', 'b2', 'b3'), 'another group');
    t.strictSame(await receiversOf('a1', group, 8001), others('a1', 'b1', 'b2', 'b3'), 'another port');
    t.strictSame(await receiversOf('b1', group, 8000), others('b1', 'b2', 'b3'), 'from somebody else');
    t.strictSame(await receiversOf('c1', group, 8000), [], 'its sender may not');
    t.strictSame(await receiversOf('c1', another, 8000), others('c1', 'b1', 'b2', 'b3'), 'but may to others');
  }
  const unicast = [4, 6].map((family) => stage.probe('a1', 'b2', udp(8000), family as 4 | 6));
  t.strictSame(await stage.prober.run(unicast, () => 'deny'), ['deny', 'deny'], 'and nothing but the groups');
});

t.test('multicast where everything is denied: what is allowed, and what asks who listens', async (t) => {
  await stage.apply([
    { kind: 'Tenant', name: 'acme', defaultAction: 'deny' },
    ...groups({ front: { rules: toMine('allow') }, back: { rules: [receiving] } }),
  ]);
  await stage.clearCaches();
  for (const index of [0, 1] as const) {
    t.strictSame(await receiversOf('a1', channels.mine[index], 8000), ['b1', 'b2', 'b3']);
    t.strictSame(await receiversOf('a1', channels.other[index], 8000), []);
    t.strictSame(await receiversOf('c1', channels.mine[index], 8000), []);
  }
  const { mac, place } = stage.station('acme/lan/outside');
  const general = (sourceText: string, groupMac: number, groupText: string) => ({
    source: { mac, address: parseAddress(sourceText) },
    destination: { mac: groupMac, address: parseAddress(groupText) },
  });
  // Queries for all groups: version 2 of IGMP (RFC 2236), version 1 of MLD (RFC 2710).
  const queries = {
    IGMP: ipFrame(
      general('10.2.1.200', 0x01005e000001, '224.0.0.1'),
      2,
      Buffer.from('1164ee9b00000000', 'hex'),
    ),
    MLD: icmpFrame(general('fe80::c8', 0x333300000001, 'ff02::1'), 130, 0, 0x27100000, Buffer.alloc(16)),
  };
  const pairs = ['l1', 'l2', 'l3'].map((to) => stage.probe('lan/outside', `lan/${to}`, echo));
  for (const [name, query] of Object.entries(queries)) {
    const { arrived } = await stage.prober.play([[place, query]], pairs);
    t.strictSame(namesAt(arrived.map(([, , at]) => at)), ['l1', 'l2', 'l3'], name);
  }
});

t.test('a stateless rule is about each packet: answers need one of their own', async (t) => {
  const inwards: RuleIntent = { ...fromFront, stateless: true };
  const outwards: RuleIntent = {
    name: 'out',
    direction: 'out',
    to: [{ group: 'front' }],
    protocol: 'udp',
    ports: ['1024-65535'],
    stateless: true,
  };
  const probes = ['b1', 'b2'].flatMap((to) =>
    ([4, 6] as const).map((family) => stage.probe('a1', to, udp(8000), family)),
  );
  await stage.apply(closed(inwards));
  await stage.clearCaches();
  const oneWay = probes.map(() => 'wrong: went as far as step 0 of 1');
  t.strictSame(await stage.prober.run(probes, () => 'deny'), oneWay, 'there only');
  await stage.apply(closed(inwards, outwards));
  await stage.clearCaches();
  t.strictSame(
    await stage.prober.run(probes, () => 'allow'),
    probes.map(() => 'allow'),
    'and back',
  );
});

/** What the evaluator says of the probes that the case names. */
function thoughtOut({ says }: TruthCase, probes: ReturnType<typeof stage.probes>): Record<string, string> {
  const answers = probes
    .map((probe) => [describe(probe), stage.expected(probe)] as const)
    .filter(([name]) => name in says);
  return Object.fromEntries(answers);
}
