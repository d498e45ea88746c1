/**
 * Bridging with real packets: three hosts with Open vSwitch under a whole controller. Who got a frame is asked of captures at every
 * endpoint and in both underlays, since endpoints of different tenants have equal addresses here.
 */
import t from 'tap';
import type { IntentObject } from '../../controller/model/index.js';
import { type LabHost, until } from '../../topologies/lab/index.js';
import { BROADCAST, ipv4Text, ipv6Text, macText, vxlanPayload } from '../support/frames.js';
import {
  type Forgeries,
  forgeriesOf,
  isArpRequest,
  isSolicitation,
  outsider,
  sendVxlan,
  sentBy,
  STRANGER,
  typeOf,
  vxlan,
} from './bridging-frames.js';
import { BridgedLab, type Watch } from './bridging-support.js';

/** Two tenants with equal names, subnets and so, since both are derived from them, equal MAC addresses. */
const WEB = { kind: 'Network', name: 'web', encapsulation: 'vxlan', subnet: '10.1.1.0/24' } as const;
const LAN = { kind: 'Network', name: 'lan', encapsulation: 'vlan', subnet: '10.2.1.0/24' } as const;
const intents: readonly IntentObject[] = [
  { kind: 'Tenant', name: 'red' },
  { kind: 'Tenant', name: 'blue' },
  { ...WEB, tenant: 'red', tag: 10_001, ipv6Subnet: 'fd00:1::/64' },
  { ...WEB, tenant: 'blue', tag: 10_002, ipv6Subnet: 'fd00:1::/64' },
  { ...LAN, tenant: 'red', tag: 11, ipv6Subnet: 'fd00:2::/64' },
  { ...LAN, tenant: 'blue', tag: 12, ipv6Subnet: 'fd00:2::/64' },
];
const PLACES = [
  ['red/web/a', 'h1'],
  ['red/web/b', 'h2'],
  ['red/web/d', 'h1'],
  ['blue/web/a', 'h1'],
  ['blue/web/b', 'h2'],
  ['red/lan/a', 'h1'],
  ['red/lan/b', 'h2'],
  ['red/lan/c', 'h3'],
  ['blue/lan/a', 'h1'],
  ['blue/lan/b', 'h2'],
] as const;
const LATE = 'red/web/c';

const bridged = await BridgedLab.start(3, intents);
t.teardown(() => bridged.stop());
const { lab } = bridged;
const host = (name: string): LabHost => lab.host(name);
/** One after the other in each network, since addresses are given in this order. */
const attachAll = async (network: string) => {
  for (const [id, on] of PLACES) if (id.startsWith(network)) await bridged.attach(id, on);
};
await Promise.all(['red/web/', 'blue/web/', 'red/lan/', 'blue/lan/'].map(attachAll));

/** Pings until one is answered: the first frames of new ports and tunnels may be lost. */
async function answered(from: string, to: string, text: string): Promise<void> {
  const pattern = Buffer.from(text).toString('hex');
  const namespace = bridged.endpoint(from);
  await until(
    `${from} to reach ${to}`,
    async () => (await namespace.ping(to, { pattern, timeoutMs: 500 })).ok,
    30_000,
  );
}

/** Everybody pings everybody in the network, over IPv4 and IPv6, and nobody else hears of it. */
async function everybodyReaches(watch: Watch, networks: readonly string[]): Promise<string[]> {
  const probes = networks.flatMap((network) => {
    const members = bridged.members(`${network}/`);
    return members.flatMap((from) =>
      members.filter((to) => to !== from).flatMap((to) => [4, 6].map((family) => ({ from, to, family }))),
    );
  });
  const wrong: string[] = [];
  const texts = probes.map((_, index) => `<p${String(index).padStart(3, '0')}>`);
  const pingsFrom = async (sender: string) => {
    for (const [index, { from, to, family }] of probes.entries()) {
      if (from !== sender) continue;
      const { ip, ip6 } = bridged.fact(to);
      await answered(from, family === 4 ? ipv4Text(ip) : ipv6Text(ip6), texts[index] ?? '');
    }
  };
  await Promise.all([...bridged.endpoints.keys()].map(pingsFrom));
  await bridged.fence(watch);
  for (const [index, { from, to, family }] of probes.entries()) {
    const seen = watch.seenBy(texts[index] ?? '').join();
    if (seen !== [from, to].sort().join())
      wrong.push(`IPv${family} from ${from} to ${to}: seen by [${seen}]`);
  }
  return wrong;
}

t.test('everybody reaches their own network, over VXLAN and VLAN, IPv4 and IPv6, and no other', async (t) => {
  const watch = await bridged.watch();
  t.strictSame(await everybodyReaches(watch, ['red/web', 'blue/web', 'red/lan', 'blue/lan']), []);
  await watch.stop();
});

t.test('a host that joins late', async (t) => {
  const before = await bridged.watch();
  const red = (flows: readonly string[]) => flows.filter((flow) => flow.includes('tun_id=0x2711'));
  t.strictSame(red(await bridged.agent('h3').flows()), [], 'it holds nothing of the network');
  await sendVxlan(host('h3'), host('h1').vtepIp ?? '', [vxlanPayload(10_001, outsider('early;', []))]);
  await bridged.fence(before);
  t.strictSame(before.seenBy('early;'), [], 'it is a host of the cluster, and no member');
  const copies = before.all('h1/underlay').map((frame) => vxlan(frame)?.to);
  t.ok(copies.includes(host('h2').vtepIp), 'copies go to h2');
  t.notOk(copies.includes(host('h3').vtepIp), 'none goes to h3');
  await before.stop();

  await bridged.attach(LATE, 'h3');
  const watch = await bridged.watch();
  t.strictSame(await everybodyReaches(watch, ['red/web']), []);
  await sendVxlan(host('h3'), host('h1').vtepIp ?? '', [vxlanPayload(10_001, outsider('member;', []))]);
  await watch.arrival('member;', ['red/web/a', 'red/web/d']);
  await watch.stop();
});

t.test('a broadcast goes once to each member host and to no other', async (t) => {
  const watch = await bridged.watch();
  const COUNT = 5;
  const send = async (id: string, text: string) => {
    const frames = Array.from({ length: COUNT }, () => bridged.broadcastFrame(id, text));
    await bridged.endpoint(id).send('eth0', frames);
    await bridged.fence(watch, [id]);
  };
  for (const id of ['red/web/a', 'blue/web/b', 'red/lan/a', 'blue/lan/b']) {
    const text = `copy of ${id};`;
    await send(id, text);
    for (const other of bridged.endpoints.keys()) {
      const expected = bridged.members(id).includes(other) ? COUNT : 0;
      t.equal(watch.at(other, text).length, expected, `${id} at ${other}`);
    }
  }
  /** How many copies a host has sent by VXLAN, by receiver. */
  const sent = (from: string, text: string) => {
    const counts: Record<string, number> = {};
    for (const packet of watch.at(`${from}/underlay`, text).map(vxlan)) {
      if (packet === undefined || packet.from !== host(from).vtepIp) continue;
      const to = `${[...lab.hosts.values()].find(({ vtepIp }) => vtepIp === packet.to)?.name} ${packet.vni}`;
      counts[to] = (counts[to] ?? 0) + 1;
    }
    return counts;
  };
  t.strictSame(sent('h1', 'copy of red/web/a;'), { 'h2 10001': COUNT, 'h3 10001': COUNT });
  t.strictSame(sent('h2', 'copy of red/web/a;'), {}, 'what came by a tunnel goes into none');
  t.strictSame(sent('h3', 'copy of red/web/a;'), {});
  t.strictSame(sent('h2', 'copy of blue/web/b;'), { 'h1 10002': COUNT });
  for (const id of ['red/web/a', 'blue/web/b']) {
    t.equal(watch.at('h1/uplink', `copy of ${id};`).length, 0, 'VXLAN networks do not touch the uplink');
  }
  // The underlay floods, so each uplink sees each frame once, and only the sender's host has sent it.
  for (const [id, tag] of [
    ['red/lan/a', 11],
    ['blue/lan/b', 12],
  ] as const) {
    for (const uplink of ['h1/uplink', 'h2/uplink', 'h3/uplink']) {
      const frames = watch.at(uplink, `copy of ${id};`).map(typeOf);
      t.strictSame(
        frames,
        Array.from({ length: COUNT }, () => ({ type: 0x0800, tag })),
        `${id} on ${uplink}`,
      );
    }
    t.equal(watch.at('h1/underlay', `copy of ${id};`).length, 0, 'VLAN networks do not touch the tunnels');
  }
  await watch.stop();
});

t.test('ARP is answered by the switch of whoever asks, solicitations go to one endpoint', async (t) => {
  const watch = await bridged.watch();
  for (const [from, to] of [
    ['red/web/a', 'red/web/b'],
    ['red/lan/a', 'red/lan/b'],
  ] as const) {
    const { ip, ip6, mac } = bridged.fact(to);
    const asking = bridged.endpoint(from);
    await asking.ip('neigh flush all');
    await answered(from, ipv4Text(ip), '<arp>');
    await answered(from, ipv6Text(ip6), '<nd>');
    const neighbours = await asking.exec(['ip', 'neigh', 'show', 'to', ipv4Text(ip)]);
    t.match(neighbours, macText(mac), 'the answer is right');
  }
  await bridged.fence(watch);
  for (const id of bridged.endpoints.keys()) {
    const others = watch.all(id).filter((frame) => !sentBy(frame, bridged.fact(id).mac));
    t.equal(others.filter(isArpRequest).length, 0, `no request reaches ${id}`);
    const multicast = others.filter((frame) => isSolicitation(frame) && frame[0] === 0x33);
    t.equal(multicast.length, 0, `no multicast solicitation reaches ${id}`);
  }
  for (const { name } of lab.hosts.values()) {
    const inside = watch.all(`${name}/underlay`).flatMap((frame) => vxlan(frame)?.inner ?? []);
    t.equal(inside.filter(isArpRequest).length, 0, `${name}: no ARP in a tunnel`);
    t.equal(watch.all(`${name}/uplink`).filter(isArpRequest).length, 0, `${name}: no ARP on the uplink`);
  }
  for (const to of ['red/web/b', 'red/lan/b']) {
    t.ok(watch.all(to).some(isSolicitation), `${to} got the solicitation for it`);
  }
  await watch.stop();
});

t.test('what an endpoint forges reaches nobody', async (t) => {
  const watch = await bridged.watch();
  for (const [id, victim] of [
    ['red/web/a', 'red/web/b'],
    ['red/lan/a', 'red/lan/c'],
  ] as const) {
    const forgeries = forgeriesOf(bridged.fact(id), bridged.fact(victim));
    await bridged.endpoint(id).send('eth0', Object.values(forgeries));
    await bridged.fence(watch, [id]);
    for (const what of Object.keys(forgeries)) {
      const text = `<${id} ${what}>`;
      t.strictSame(watch.seenBy(text), [id], text);
      for (const { name } of lab.hosts.values()) {
        t.equal(watch.at(`${name}/underlay`, text).length, 0, `${text} stays out of the tunnels of ${name}`);
        t.equal(watch.at(`${name}/uplink`, text).length, 0, `${text} stays off the uplink of ${name}`);
      }
    }
  }
  await watch.stop();
});

t.test('what strangers in the tunnel underlay send reaches nobody', async (t) => {
  const rogue = await lab.addHost({ name: 'rogue', uplink: false });
  const h1 = host('h1').vtepIp ?? '';
  const local = bridged.fact('red/web/a').mac;
  const watch = await bridged.watch();
  const inner = (text: string, tags: readonly number[] = [], source = STRANGER) =>
    outsider(text, tags, source);
  await sendVxlan(rogue, h1, [vxlanPayload(10_001, inner('unknown source;'))]);
  await sendVxlan(host('h2'), h1, [
    vxlanPayload(77_777, inner('unknown VNI;')),
    vxlanPayload(11, inner('VLAN id as VNI;')),
    vxlanPayload(10_001, inner('tag inside;', [11])),
    vxlanPayload(10_001, inner('MAC of a local endpoint;', [], local)),
    vxlanPayload(10_001, inner('control;')),
  ]);
  await sendVxlan(host('h3'), h1, [vxlanPayload(10_002, inner('no member;'))]);
  await watch.arrival('control;', ['red/web/a', 'red/web/d']);
  // Whatever the rogue and h3 sent has crossed the underlay when this has.
  for (const from of [rogue, host('h3')]) t.ok((await from.ping(h1)).ok);
  await bridged.fence(watch);
  for (const what of ['unknown source', 'unknown VNI', 'VLAN id as VNI', 'tag inside', 'no member']) {
    t.ok(watch.at('h1/underlay', `${what};`).length > 0, `${what}: has reached the host`);
    t.strictSame(watch.seenBy(`${what};`), [], what);
  }
  t.strictSame(watch.seenBy('MAC of a local endpoint;'), []);
  t.strictSame(
    watch.seenBy('control;'),
    ['red/web/a', 'red/web/d'],
    'one that is right is delivered here only',
  );
  await watch.stop();
});

t.test('an unmanaged neighbour in a VLAN talks with its network and with no other', async (t) => {
  const address = { ipv4: '10.2.1.200', ipv6: 'fd00:2::200' };
  const router = await lab.neighbour({
    name: 'router',
    vlan: 11,
    addresses: [`${address.ipv4}/24`, `${address.ipv6}/64`],
  });
  const watch = await bridged.watch();
  const lan = bridged.members('red/lan/');
  for (const [index, id] of lan.entries()) {
    await answered(id, address.ipv4, `<out4 ${index}>`);
    await answered(id, address.ipv6, `<out6 ${index}>`);
  }
  for (const [index, id] of lan.entries()) {
    for (const to of [ipv4Text(bridged.fact(id).ip), ipv6Text(bridged.fact(id).ip6)]) {
      const pattern = Buffer.from(`<in ${index}>`).toString('hex');
      t.ok((await router.ping(to, { pattern, timeoutMs: 5_000 })).ok, `the neighbour reaches ${id} at ${to}`);
    }
  }
  const tagged = [11, 12].map((tag) => outsider(`tag ${tag};`, [tag]));
  const forged: Forgeries = {
    'no tag': outsider('no tag;', []),
    'unknown tag': outsider('unknown tag;', [99]),
    'priority tag': outsider('priority tag;', [0]),
    'two tags': outsider('two tags;', [11, 12]),
  };
  const stolen = outsider('MAC of a local endpoint;', [11], bridged.fact('red/lan/a').mac);
  await router.send('uplink', [...Object.values(forged), stolen, ...tagged]);
  await watch.arrival('tag 12;', bridged.members('blue/lan/'));
  await bridged.fence(watch);
  for (const [index, id] of lan.entries()) {
    for (const way of ['out4', 'out6', 'in']) t.strictSame(watch.seenBy(`<${way} ${index}>`), [id]);
  }
  t.strictSame(watch.seenBy('tag 11;'), lan);
  t.strictSame(watch.seenBy('tag 12;'), bridged.members('blue/lan/'));
  for (const what of Object.keys(forged)) {
    t.ok(watch.at('h1/uplink', `${what};`).length > 0, `${what}: has reached the hosts`);
    t.strictSame(watch.seenBy(`${what};`), [], what);
  }
  t.notOk(watch.seenBy('MAC of a local endpoint;').includes('red/lan/a'), 'not on the host of that endpoint');
  await watch.stop();
});

t.test('ofproto/trace', async (t) => {
  const h1 = host('h1');
  const portOf = async (id: string) => {
    const number = await h1.vsctl('get', 'interface', bridged.endpoint(id).port, 'ofport');
    return number.trim();
  };
  const [a, b, d] = ['red/web/a', 'red/web/b', 'red/web/d'].map((id) => bridged.fact(id));
  if (!a || !b || !d) throw new Error('an endpoint is missing');
  const [portOfA, portOfLan] = await Promise.all(['red/web/a', 'red/lan/a'].map(portOf));
  const source = macText(a.mac);
  const trace = async (flow: string) => {
    const text = await h1.appctl('ofproto/trace', 'br-int', flow);
    // After connection tracking the packet goes on by itself; what became of it is the last thing said.
    const actions = [...text.matchAll(/^Datapath actions: (.*)$/gm)].at(-1)?.[1] ?? text;
    return actions.replace(/^ct\(commit,zone=\d+\),?/, '') || 'drop';
  };
  const udp = (to: number) =>
    `in_port=${portOfA},dl_src=${source},dl_dst=${macText(to)},udp,nw_src=${ipv4Text(a.ip)},nw_dst=${ipv4Text(b.ip)}`;
  const count = (actions: string) => actions.split('tnl_push').length - 1;

  const remote = await trace(udp(b.mac));
  t.equal(count(remote), 1, 'one tunnel for a remote endpoint');
  t.match(remote, `dst=${host('h2').vtepIp}`);
  t.match(remote, 'vni=0x2711');
  t.match(await trace(udp(d.mac)), /^\d+$/, 'one port for a local one');
  t.equal(await trace(udp(STRANGER)), 'drop', 'no way for an unknown one');
  t.equal(await trace(udp(a.mac)), 'drop', 'nor to itself');
  const flood = await trace(udp(BROADCAST));
  t.equal(count(flood), 2, 'a tunnel to each other member host');
  const tunnelled = `in_port=65000,tun_id=10001,tun_src=${host('h2').vtepIp},tun_dst=${h1.vtepIp},dl_src=${macText(b.mac)}`;
  const arriving = await trace(`${tunnelled},dl_dst=${macText(BROADCAST)},udp`);
  t.match(arriving, /^\d+,\d+$/, 'from a tunnel to the two local ports and into no tunnel');
  t.equal(
    await trace(`${tunnelled},dl_dst=${macText(bridged.fact(LATE).mac)},udp`),
    'drop',
    'nor to another host',
  );
  t.equal(await trace(`${udp(d.mac)},dl_vlan=11`), 'drop', 'a tagged frame of an endpoint');
  const arp = `in_port=${portOfA},dl_src=${source},dl_dst=${macText(BROADCAST)},arp,arp_op=1,arp_sha=${source}`;
  const answer = await trace(`${arp},arp_spa=${ipv4Text(a.ip)},arp_tpa=${ipv4Text(b.ip)}`);
  t.match(answer, `src=${macText(b.mac)}`, 'ARP is answered');
  t.equal(count(answer), 0);
  t.equal(
    await trace(`${arp},arp_spa=${ipv4Text(d.ip)},arp_tpa=${ipv4Text(b.ip)}`),
    'drop',
    'but no forged one',
  );
  const lan = bridged.fact('red/lan/a');
  const handedOff = await trace(
    `in_port=${portOfLan},dl_src=${macText(lan.mac)},dl_dst=${macText(STRANGER)},udp,nw_src=${ipv4Text(lan.ip)}`,
  );
  t.match(handedOff, /^push_vlan\(vid=11,pcp=0\),\d+$/, 'unknown destinations of a VLAN go to the uplink');
});
