/**
 * Who gets a packet, in random worlds: tenants with equal addresses, MACs and names on hosts with and without tunnel addresses and
 * uplinks. The derived entries are executed in this process and compared with what a person would expect of such a network.
 */
import fc from 'fast-check';
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { linkLocalAddress } from '../../apps/protocols.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import { datapathId, hostName, setEndpoint, setHost, setNetwork, vtep } from './facts.js';
import { type Delivery, SoftwareFabric } from './software-fabric.js';
import type { Packet } from './software-switch.js';

const BROADCAST = 0xffffffffffff;
const ALL_NODES = 0x333300000001;
const UNKNOWN_MAC = 0x02ffffffffff;
const TAGGED = 0x1000;

interface Host {
  readonly number: number;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly uplink: boolean;
}
interface Network {
  readonly id: string;
  readonly number: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number;
  readonly handOff: boolean;
}
interface Endpoint {
  readonly network: Network;
  readonly host: Host;
  readonly port: number;
  readonly mac: number;
  readonly ip: number;
  readonly ip6: bigint;
}
interface World {
  readonly hosts: readonly Host[];
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
}

const NETWORKS: readonly Network[] = [
  { id: 'red/web', number: 1, encapsulation: 'vxlan', tag: 10_001, handOff: false },
  { id: 'blue/web', number: 2, encapsulation: 'vxlan', tag: 10_002, handOff: false },
  { id: 'red/lan', number: 3, encapsulation: 'vlan', tag: 11, handOff: true },
  { id: 'blue/lan', number: 4, encapsulation: 'vlan', tag: 12, handOff: false },
];

/** Up to four hosts, and endpoints whose addresses repeat from network to network but not within one. */
const worlds: fc.Arbitrary<World> = fc
  .record({
    hosts: fc.array(fc.record({ ipv4: fc.boolean(), ipv6: fc.boolean(), uplink: fc.boolean() }), {
      minLength: 2,
      maxLength: 4,
    }),
    places: fc.array(
      fc.record({ network: fc.nat(NETWORKS.length - 1), host: fc.nat(3), address: fc.nat(5) }),
      {
        minLength: 2,
        maxLength: 14,
      },
    ),
  })
  .map(({ hosts: described, places }) => {
    const hosts = described.map((host, index) => ({ number: index * 40 + 1, ...host }));
    const taken = new Set<string>();
    const endpoints = places.flatMap(({ network, host, address }, index): Endpoint[] => {
      const key = `${network}/${address}`;
      if (taken.has(key)) return [];
      taken.add(key);
      return [
        {
          network: NETWORKS[network] as Network,
          host: hosts[host % hosts.length] as Host,
          port: index * 20 + 1,
          mac: 0x02020a010100 + address,
          ip: 0x0a010100 + address,
          ip6: 0xfd00_0000_0000_0000_0000_0000_0000_0100n + BigInt(address),
        },
      ];
    });
    return { hosts, networks: NETWORKS, endpoints };
  });

function derive({ hosts, networks, endpoints }: World): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  for (const { number, ipv4, ipv6, uplink } of hosts) {
    setHost(facts, number, {
      ...(ipv4 ? { vtepIpv4: vtep(number) } : {}),
      ...(ipv6 ? { vtepIpv6: vtep6(number) } : {}),
      ...(uplink ? { uplink: 'uplink' } : {}),
    });
  }
  for (const { id, number, encapsulation, tag, handOff } of networks) {
    setNetwork(facts, id, number, encapsulation, { tag, uplinkHandOff: handOff });
  }
  for (const [index, { network, host, port, mac, ip, ip6 }] of endpoints.entries()) {
    setEndpoint(facts, network.id, index + 1, { host: host.number, port, mac, ipv4: [ip], ipv6: [ip6] });
  }
  const { settlement, conflicts } = desired.settle();
  if (settlement.failures.length > 0) throw settlement.failures[0]!.error;
  const [conflict] = [...conflicts, ...settlement.conflicts];
  if (conflict !== undefined) throw new Error(`a conflict: ${JSON.stringify(conflict)}`);
  return desired;
}

const vtep6 = (host: number): bigint => (0xfd00_0254n << 96n) | BigInt(host);

type Fields = Record<string, number | bigint>;
const packet = (fields: Fields): Packet =>
  new Map(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
const udp = (from: Endpoint, mac: number, ip: number, more: Fields = {}): Packet =>
  packet({
    eth_src: from.mac,
    eth_dst: mac,
    eth_type: 0x0800,
    ip_proto: 17,
    ipv4_src: from.ip,
    ipv4_dst: ip,
    udp_src: 9,
    udp_dst: 9,
    ...more,
  });
const arpRequest = (from: Endpoint, ip: number, more: Fields = {}): Packet =>
  packet({
    eth_src: from.mac,
    eth_dst: BROADCAST,
    eth_type: 0x0806,
    arp_op: 1,
    arp_sha: from.mac,
    arp_spa: from.ip,
    arp_tpa: ip,
    ...more,
  });
const solicitation = (from: Endpoint, target: bigint, more: Fields = {}): Packet =>
  packet({
    eth_src: from.mac,
    eth_dst: 0x3333ff000000,
    eth_type: 0x86dd,
    ip_proto: 58,
    icmpv6_type: 135,
    ipv6_src: from.ip6,
    ipv6_nd_target: target,
    ipv6_nd_sll: from.mac,
    ...more,
  });

/** '<host>/<port>' of each copy, and whether it is tagged; 'underlay' for the one a neighbour gets. Sorted, so that copies are counted. */
const receivers = (deliveries: readonly Delivery[]): string[] =>
  deliveries
    .map(({ host, port, packet }) => {
      const tagged = (packet.get('vlan_vid') ?? 0n) !== 0n;
      return host === undefined ? 'underlay' : `${host}/${port}${tagged ? ' tagged' : ''}`;
    })
    .sort();
const place = ({ host, port }: Endpoint): string => `${hostName(host.number)}/${port}`;

/** Whether packets of a network get from one host to another. */
function connected(network: Network, from: Host, to: Host): boolean {
  if (from === to) return true;
  if (network.encapsulation === 'vlan') return from.uplink && to.uplink;
  // IPv4 where both have it, else IPv6 where both have it.
  return (from.ipv4 && to.ipv4) || (from.ipv6 && to.ipv6);
}

function check(
  world: World,
  test: (
    fabric: SoftwareFabric,
    same: (got: readonly Delivery[], want: string[], what: string) => void,
  ) => void,
): void {
  const same = (got: readonly Delivery[], want: string[], what: string): void => {
    const [is, expected] = [receivers(got).join(), [...want].sort().join()];
    if (is !== expected) throw new Error(`${what}: delivered to [${is}], expected [${expected}]`);
  };
  test(new SoftwareFabric(derive(world)), same);
}

const peers = ({ endpoints }: World, from: Endpoint): Endpoint[] =>
  endpoints.filter((to) => to !== from && to.network === from.network);

const flooded = (world: World, from: Endpoint): string[] => [
  ...peers(world, from)
    .filter((to) => connected(from.network, from.host, to.host))
    .map(place),
  ...(from.network.encapsulation === 'vlan' && from.host.uplink ? ['underlay'] : []),
];

t.test('unicast and broadcast reach their network and nobody else', async () => {
  fc.assert(
    fc.property(worlds, (world) =>
      check(world, (fabric, same) => {
        for (const from of world.endpoints) {
          const send = (frame: Packet): Delivery[] =>
            fabric.send(hostName(from.host.number), from.port, frame);
          same(send(udp(from, BROADCAST, 0xffffffff)), flooded(world, from), 'broadcast');
          same(send(udp(from, ALL_NODES, 0xe0000001)), flooded(world, from), 'multicast');
          for (const to of peers(world, from)) {
            const reached = connected(from.network, from.host, to.host) ? [place(to)] : [];
            const sniffed =
              from.network.encapsulation === 'vlan' && from.host !== to.host && from.host.uplink
                ? ['underlay']
                : [];
            same(send(udp(from, to.mac, to.ip)), [...reached, ...sniffed], 'unicast');
          }
          const { encapsulation, handOff } = from.network;
          const handed = encapsulation === 'vlan' && handOff && from.host.uplink ? ['underlay'] : [];
          same(send(udp(from, UNKNOWN_MAC, 0x0a0101fe)), handed, 'unknown destination');
          same(send(udp(from, from.mac, from.ip)), [], 'to itself');
          same(send(udp(from, 0x0180c200000e, 0)), [], 'LLDP');
        }
      }),
    ),
    { numRuns: 60 },
  );
});

t.test('a VLAN frame leaves with the tag of its network, a VXLAN copy with its VNI', async (t) => {
  const hosts = [1, 41].map((number) => ({ number, ipv4: true, ipv6: false, uplink: true }));
  const [lan, web] = [NETWORKS[2]!, NETWORKS[0]!];
  const at = (network: Network, host: number, port: number, address: number): Endpoint => ({
    network,
    host: hosts[host]!,
    port,
    mac: 0x02020a010100 + address,
    ip: 0x0a010100 + address,
    ip6: (0xfd00n << 112n) + BigInt(address),
  });
  const world = {
    hosts,
    networks: NETWORKS,
    endpoints: [at(lan, 0, 1, 1), at(lan, 1, 1, 2), at(web, 0, 2, 1), at(web, 1, 2, 2)],
  };
  const fabric = new SoftwareFabric(derive(world));
  const outside = fabric
    .send('h1', 1, udp(world.endpoints[0]!, BROADCAST, 0xffffffff))
    .find(({ host }) => host === undefined);
  t.equal(outside?.packet.get('vlan_vid'), BigInt(TAGGED | lan.tag));
  const inside = fabric
    .send('h1', 1, udp(world.endpoints[0]!, BROADCAST, 0xffffffff))
    .find(({ host }) => host === 'h41');
  t.equal(inside?.packet.get('vlan_vid'), 0n, 'endpoints get it untagged');
});

t.test('ARP is answered where it is asked; neighbour solicitations go to one endpoint', async () => {
  fc.assert(
    fc.property(worlds, (world) =>
      check(world, (fabric, same) => {
        for (const from of world.endpoints) {
          const host = hostName(from.host.number);
          const send = (frame: Packet): Delivery[] => fabric.send(host, from.port, frame);
          for (const to of peers(world, from)) {
            const answers = send(arpRequest(from, to.ip));
            same(answers, [place(from)], 'ARP request for an endpoint');
            const expected: Fields = {
              eth_src: to.mac,
              eth_dst: from.mac,
              arp_op: 2,
              arp_sha: to.mac,
              arp_spa: to.ip,
              arp_tha: from.mac,
              arp_tpa: from.ip,
            };
            for (const [field, value] of Object.entries(expected)) {
              if (answers[0]!.packet.get(field) !== BigInt(value))
                throw new Error(`${field} of an ARP answer`);
            }
            same(send(arpRequest(from, to.ip, { arp_spa: 0 })), [place(from)], 'probe for an address in use');
            const reached = connected(from.network, from.host, to.host) ? [place(to)] : [];
            const sniffed =
              from.network.encapsulation === 'vlan' && from.host !== to.host && from.host.uplink
                ? ['underlay']
                : [];
            for (const target of [to.ip6, linkLocalAddress(to.mac)]) {
              same(
                send(solicitation(from, target)),
                [...reached, ...sniffed],
                'solicitation for an endpoint',
              );
              same(
                send(solicitation(from, target, { ipv6_src: 0, ipv6_nd_sll: 0 })),
                [...reached, ...sniffed],
                'duplicate address detection of an address in use',
              );
            }
          }
          const outside = from.network.encapsulation === 'vlan' ? flooded(world, from) : [];
          same(send(arpRequest(from, 0x0a0101fe)), outside, 'ARP request for an unknown address');
          same(send(solicitation(from, 0xfd00n)), outside, 'solicitation for an unknown address');
          same(send(arpRequest(from, from.ip)), flooded(world, from), 'announcement');
          same(
            send(arpRequest(from, from.ip, { arp_spa: 0 })),
            flooded(world, from),
            'probe for its own address',
          );
          same(
            send(solicitation(from, from.ip6, { ipv6_src: 0, ipv6_nd_sll: 0 })),
            flooded(world, from),
            'duplicate address detection',
          );
        }
      }),
    ),
    { numRuns: 40 },
  );
});

t.test('what is forged reaches nobody', async () => {
  fc.assert(
    fc.property(worlds, (world) =>
      check(world, (fabric, same) => {
        for (const from of world.endpoints) {
          const host = hostName(from.host.number);
          const send = (frame: Packet): Delivery[] => fabric.send(host, from.port, frame);
          const stranger = from.ip + 16;
          const forged: Record<string, Packet> = {
            'source MAC': udp(from, BROADCAST, 0xffffffff, { eth_src: UNKNOWN_MAC }),
            'source IPv4 address': udp(from, BROADCAST, 0xffffffff, { ipv4_src: stranger }),
            'no IPv4 address': udp(from, BROADCAST, 0xffffffff, { ipv4_src: 0 }),
            'ARP sender address': arpRequest(from, 0x0a0101fe, { arp_spa: stranger }),
            'ARP sender MAC': arpRequest(from, 0x0a0101fe, { arp_sha: UNKNOWN_MAC }),
            'ARP reply for another': arpRequest(from, 0x0a0101fe, { arp_op: 2, arp_spa: stranger }),
            'ARP reply from nobody': arpRequest(from, 0x0a0101fe, { arp_op: 2, arp_spa: 0 }),
            'source IPv6 address': solicitation(from, from.ip6, { ipv6_src: from.ip6 + 16n }),
            'another link-local address': solicitation(from, from.ip6, {
              ipv6_src: linkLocalAddress(UNKNOWN_MAC),
            }),
            'link-layer address of a solicitation': solicitation(from, from.ip6, {
              ipv6_nd_sll: UNKNOWN_MAC,
            }),
            'advertisement of another address': solicitation(from, from.ip6 + 16n, {
              icmpv6_type: 136,
              ipv6_nd_sll: 0,
              ipv6_nd_tll: from.mac,
            }),
            'link-layer address of an advertisement': solicitation(from, from.ip6, {
              icmpv6_type: 136,
              ipv6_nd_sll: 0,
              ipv6_nd_tll: UNKNOWN_MAC,
            }),
            'router advertisement': solicitation(from, 0n, { icmpv6_type: 134 }),
            redirect: solicitation(from, 0n, { icmpv6_type: 137 }),
            'echo request from no address': solicitation(from, 0n, { icmpv6_type: 128, ipv6_src: 0 }),
            'DHCP server': udp(from, BROADCAST, 0xffffffff, { udp_src: 67, udp_dst: 68 }),
            'VLAN tag': udp(from, BROADCAST, 0xffffffff, { vlan_vid: TAGGED | NETWORKS[2]!.tag }),
            'priority tag': udp(from, BROADCAST, 0xffffffff, { vlan_vid: TAGGED }),
          };
          for (const [what, frame] of Object.entries(forged)) same(send(frame), [], what);
          for (const to of peers(world, from)) {
            same(send(udp(from, to.mac, to.ip, { eth_src: to.mac })), [], 'MAC of another endpoint');
            same(send(udp(from, to.mac, to.ip, { ipv4_src: to.ip })), [], 'address of another endpoint');
          }
          same(fabric.send(host, 9_000, udp(from, BROADCAST, 0xffffffff)), [], 'a port of no endpoint');

          const advertisement = { icmpv6_type: 136, eth_dst: ALL_NODES, ipv6_nd_sll: 0 };
          same(
            send(solicitation(from, from.ip6, { ...advertisement, ipv6_nd_tll: from.mac })),
            flooded(world, from),
            'its own advertisement',
          );
          same(
            send(solicitation(from, from.ip6, advertisement)),
            flooded(world, from),
            'its own advertisement without the option',
          );
          const discover = { ipv4_src: 0, udp_src: 68, udp_dst: 67 };
          same(send(udp(from, BROADCAST, 0xffffffff, discover)), flooded(world, from), 'DHCP client');
        }
      }),
    ),
    { numRuns: 40 },
  );
});

t.test(
  'what comes from the underlays is taken from members, with their tags, and goes no further',
  async () => {
    fc.assert(
      fc.property(worlds, (world) =>
        check(world, (fabric, same) => {
          const outsider = { mac: 0x0200000000fe, ip: 0x0a0101fe } as Endpoint;
          for (const network of world.networks) {
            const members = world.endpoints.filter((endpoint) => endpoint.network === network);
            const on = (host: Host): Endpoint[] => members.filter((member) => member.host === host);
            const broadcast = udp(outsider, BROADCAST, 0xffffffff);
            if (network.encapsulation === 'vlan') {
              const tag = { vlan_vid: TAGGED | network.tag };
              const everybody = members.filter(({ host }) => host.uplink).map(place);
              same(
                fabric.sendFromUnderlay(udp(outsider, BROADCAST, 0xffffffff, tag)),
                everybody,
                'broadcast of a neighbour',
              );
              same(
                fabric.sendFromUnderlay(udp(outsider, UNKNOWN_MAC, 0, tag)),
                [],
                'unknown unicast of a neighbour',
              );
              same(
                fabric.sendFromUnderlay(udp(outsider, BROADCAST, 0xffffffff, { vlan_vid: TAGGED | 99 })),
                [],
                'unknown tag',
              );
              same(fabric.sendFromUnderlay(broadcast), [], 'no tag');
              same(
                fabric.sendFromUnderlay(udp(outsider, BROADCAST, 0xffffffff, { ...tag, eth_type: 0x8100 })),
                [],
                'two tags',
              );
              for (const to of members) {
                const reached = to.host.uplink ? [place(to)] : [];
                same(
                  fabric.sendFromUnderlay(udp(outsider, to.mac, to.ip, tag)),
                  reached,
                  'unicast of a neighbour',
                );
                const asked = fabric.sendFromUnderlay(arpRequest(outsider, to.ip, tag));
                same(
                  asked,
                  everybody,
                  'ARP request of a neighbour goes to endpoints and is answered by none of the switches',
                );
                const elsewhere = members.filter(({ host }) => host.uplink && host !== to.host).map(place);
                same(
                  fabric.sendFromUnderlay(udp(to, BROADCAST, 0xffffffff, tag)),
                  elsewhere,
                  'MAC of an endpoint from the uplink',
                );
              }
              continue;
            }
            for (const host of world.hosts) {
              const name = hostName(host.number);
              const enter = (source: Host | number, frame = broadcast, vni = network.tag): Delivery[] =>
                fabric.sendFromTunnel(
                  name,
                  { vni, source: typeof source === 'number' ? source : vtep(source.number) },
                  frame,
                );
              for (const source of world.hosts) {
                const isMember = source !== host && source.ipv4 && on(source).length > 0;
                same(enter(source), isMember ? on(host).map(place) : [], 'broadcast from a tunnel');
                same(
                  enter(source, udp(outsider, BROADCAST, 0xffffffff, { vlan_vid: TAGGED | 5 })),
                  [],
                  'tagged frame in a tunnel',
                );
                same(enter(source, broadcast, 77_777), [], 'unknown VNI');
                for (const to of members) {
                  const reached = isMember && to.host === host ? [place(to)] : [];
                  same(enter(source, udp(outsider, to.mac, to.ip)), reached, 'unicast from a tunnel');
                  if (to.host === host)
                    same(
                      enter(source, udp(to, BROADCAST, 0xffffffff)),
                      [],
                      'MAC of a local endpoint from a tunnel',
                    );
                }
              }
              same(enter(0x0afe0000 + 250), [], 'unknown tunnel source');
            }
          }
        }),
      ),
      { numRuns: 40 },
    );
  },
);

t.test('no two entries of a switch overlap, and every group that is named is there', async () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const desired = derive(world);
      for (const { number } of world.hosts) {
        const entries = [...desired.entries(datapathId(number))];
        const [overlap] = findOverlaps(entries);
        if (overlap !== undefined)
          throw new Error(`table ${overlap.first.table} priority ${overlap.first.priority}`);
        const [dangling] = findDanglingReferences(entries);
        if (dangling !== undefined) throw new Error(dangling.missing);
      }
    }),
    { numRuns: 40 },
  );
});
