/**
 * The stage of the policy tests: three hosts, three groups of three endpoints in a VXLAN network, one of each on each host; another tenant with
 * the same names, addresses and MAC addresses; a VLAN network with an unmanaged neighbour. What is applied is judged by the naive
 * evaluator and by packets.
 */
import type { IntentObject } from '../../controller/model/index.js';
import { type LabNamespace, until } from '../../topologies/lab/index.js';
import {
  evaluate,
  type Intent,
  type KnownEndpoint,
  parseAddress,
  type World,
} from '../policy-truth/evaluator.js';
import { Protocol } from '../policy-truth/packets.js';
import { type Outcome, type Probe, Prober, type Service, type Station } from '../policy-truth/prober.js';
import { Wire } from '../policy-truth/wire.js';
import { BridgedLab } from './bridging-support.js';

const HOSTS = 3;
const BRIDGE = 'br-int';
const MTU = 1400;

const subnets = { web: ['10.1.1.0/24', 'fd00:1::/64'], lan: ['10.2.1.0/24', 'fd00:2::/64'] } as const;
const network = (
  tenant: string,
  name: keyof typeof subnets,
  encapsulation: 'vxlan' | 'vlan',
  tag: number,
) => ({
  kind: 'Network',
  tenant,
  name,
  encapsulation,
  tag,
  subnet: subnets[name][0],
  ipv6Subnet: subnets[name][1],
});

/** What stays, whatever the policies: networks and endpoints, these in the order in which they get their addresses. */
const GROUND: readonly Intent[] = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Tenant', name: 'rival' },
  network('acme', 'web', 'vxlan', 10_001),
  network('rival', 'web', 'vxlan', 10_002),
  network('acme', 'lan', 'vlan', 11),
];

/** Names of endpoints in the web network: the letter is the group, the digit the host. */
export const WEB = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3'] as const;
export const RIVAL = ['a1', 'b2', 'c3'] as const;
export const LAN = ['l1', 'l2', 'l3'] as const;
const OUTSIDER = {
  name: 'acme/lan/outside',
  mac: '02:ff:00:00:00:c8',
  ipv4: '10.2.1.200',
  ipv6: 'fd00:2::c8',
};

const PLACES: readonly string[] = [
  ...WEB.map((name) => `acme/web/${name}`),
  ...RIVAL.map((name) => `rival/web/${name}`),
  ...LAN.map((name) => `acme/lan/${name}`),
];

export const tcp = (port: number): Service => ({ protocol: Protocol.tcp, port });
export const udp = (port: number): Service => ({ protocol: Protocol.udp, port });
export const sctp = (port: number): Service => ({ protocol: Protocol.sctp, port });
/** Echo, in either family. */
export const echo: Service = { protocol: Protocol.icmp };
export const timestamp: Service = { protocol: Protocol.icmp, icmpType: 13 };
export const otherProtocol = (protocol: number): Service => ({ protocol });

/** Objects of a case: merged into the ground by kind and name (a tenant's default, an endpoint's labels). */
export type Case = readonly Intent[];

const keyOf = (intent: Intent): string =>
  [intent.kind, intent['tenant'], intent['network'], intent['name']].join(' ');

export class PolicyStage {
  readonly stations = new Map<string, Station>();
  readonly #endpoints: KnownEndpoint[] = [];
  #world: World = { intents: GROUND, endpoints: [] };
  #prober: Prober | undefined;

  private constructor(
    readonly bridged: BridgedLab,
    private readonly wire: Wire,
  ) {}

  static async start(): Promise<PolicyStage> {
    const bridged = await BridgedLab.start(HOSTS, GROUND as readonly IntentObject[]);
    const stage = new PolicyStage(bridged, Wire.start());
    try {
      for (const prefix of ['acme/web/', 'rival/web/', 'acme/lan/']) {
        for (const id of PLACES) if (id.startsWith(prefix)) await stage.#attach(id);
      }
      await stage.#addOutsider();
      stage.#prober = new Prober(stage.wire, stage.stations.values());
      stage.#world = { intents: GROUND, endpoints: stage.#endpoints };
      return stage;
    } catch (error) {
      await stage.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.wire.close();
    await this.bridged.stop();
  }

  station(id: string): Station {
    const station = this.stations.get(id);
    if (station === undefined) throw new Error(`no station ${id}`);
    return station;
  }

  get world(): World {
    return this.#world;
  }

  /** Makes `objects`, with the ground, all that there is, and waits until every switch has it. */
  async apply(objects: Case): Promise<void> {
    const { model } = this.bridged.running.controller;
    const intents = merged(GROUND, objects);
    await model.apply(intents as readonly IntentObject[], { mode: 'replace' });
    await this.settled();
    this.#world = { intents, endpoints: this.#endpoints };
  }

  /** Every switch holds what it should. */
  async settled(): Promise<void> {
    const { controller } = this.bridged.running;
    await until(
      'all switches',
      () => controller.status().datapaths.filter(({ state }) => state === 'in-sync').length === HOSTS,
    );
  }

  /** What the evaluator says of a probe. */
  expected(probe: Probe): Outcome {
    return expectedOutcome(this.#world, probe);
  }

  /** Sends all probes; lines about those that fared otherwise than the evaluator says. */
  async wrong(probes: readonly Probe[]): Promise<readonly string[]> {
    if (this.#prober === undefined) throw new Error('not started');
    const outcomes = await this.#prober.run(probes, (probe) => this.expected(probe));
    return probes.flatMap((probe, index) => {
      const [outcome, expected] = [outcomes[index], this.expected(probe)];
      return outcome === expected ? [] : [`${describe(probe)}: ${outcome}, should be ${expected}`];
    });
  }

  /** Of all ordered pairs among the stations, both families, all services. */
  probes(
    names: readonly string[],
    services: readonly Service[],
    families: readonly (4 | 6)[] = [4, 6],
  ): Probe[] {
    const stations = names.map((name) => this.station(name));
    return stations.flatMap((from) =>
      stations
        .filter((to) => to !== from)
        .flatMap((to) =>
          families.flatMap((family) =>
            services.map((service) => ({ from, to, family, service: inFamily(service, family) })),
          ),
        ),
    );
  }

  async #attach(id: string): Promise<void> {
    const [tenant = '', networkName = '', name = ''] = id.split('/');
    const agent = this.bridged.agent(`h${name.slice(1)}`);
    const view = await agent.request(tenant, networkName, name);
    // Without addresses, so that its stack has nothing to say: the wire answers for it.
    const endpoint = await agent.host.addEndpoint({
      name: id.replaceAll('/', '-'),
      bridge: BRIDGE,
      mac: view.mac,
      mtu: MTU,
    });
    await agent.attach(view.endpoint, endpoint.port);
    const addresses = [view.ip, view.ip6].flatMap((cidr) =>
      cidr === undefined ? [] : [parseAddress(cidr.split('/')[0] ?? '')],
    );
    this.#endpoints.push({ tenant, network: networkName, name, addresses });
    await this.#station(id, endpoint, endpoint.interface, macNumber(view.mac), [view.ip, view.ip6]);
  }

  async #addOutsider(): Promise<void> {
    const { name, mac, ipv4, ipv6 } = OUTSIDER;
    const neighbour = await this.bridged.lab.neighbour({ name: 'outside', vlan: 11, mac, addresses: [] });
    await this.#station(name, neighbour, 'access', macNumber(mac), [ipv4, ipv6]);
  }

  async #station(
    name: string,
    namespace: LabNamespace,
    interfaceName: string,
    mac: number,
    cidrs: readonly (string | undefined)[],
  ): Promise<void> {
    const [place = -1] = await this.wire.open([{ netns: namespace.path, interface: interfaceName }]);
    const addresses = cidrs.flatMap((cidr) =>
      cidr === undefined ? [] : [parseAddress(cidr.split('/')[0] ?? '')],
    );
    this.stations.set(name, { name, place, mac, addresses });
  }
}

export function expectedOutcome(world: World, { from, to, family, service }: Probe): Outcome {
  const [tenant = '', networkName = ''] = to.name.split('/');
  const address = (station: Station) => station.addresses.find((one) => one.family === family)!;
  const { action } = evaluate(world, {
    tenant,
    network: networkName,
    from: address(from),
    to: address(to),
    protocol: service.protocol,
    ...(service.port === undefined ? {} : { destinationPort: service.port }),
    ...(service.icmpType === undefined ? {} : { icmpType: service.icmpType, icmpCode: 0 }),
  });
  return action;
}

function describe({ from, to, family, service }: Probe): string {
  const names = Object.entries(Protocol).find(([, number]) => number === service.protocol);
  const what = [names?.[0] ?? service.protocol, service.port ?? service.icmpType].filter(
    (part) => part !== undefined,
  );
  return `${from.name} to ${to.name} IPv${family} ${what.join('/')}`;
}

/** ICMP is another protocol in IPv6, and has no timestamps. */
function inFamily(service: Service, family: 4 | 6): Service {
  if (service.protocol !== Protocol.icmp) return service;
  if (family === 4) return { protocol: Protocol.icmp, icmpType: service.icmpType ?? 8 };
  return { protocol: Protocol.icmpv6, icmpType: 128 };
}

function merged(ground: readonly Intent[], objects: Case): readonly Intent[] {
  const all = new Map(ground.map((intent) => [keyOf(intent), intent]));
  for (const object of objects) all.set(keyOf(object), { ...all.get(keyOf(object)), ...object });
  return [...all.values()];
}

const macNumber = (text: string): number => Number.parseInt(text.replaceAll(':', ''), 16);
