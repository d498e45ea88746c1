/**
 * The stage of the policy tests: three hosts, three groups of three endpoints in a VXLAN network, one of each on each host; another tenant with
 * the same names, addresses and MAC addresses; a VLAN network with an unmanaged neighbour. What is applied is judged by the naive
 * evaluator and by packets.
 */
import { endpointLabels } from '../../controller/kubernetes/labels.js';
import type { IntentObject } from '../../controller/model/index.js';
import type { LabNamespace } from '../../topologies/lab/index.js';
import {
  evaluate,
  type Intent,
  type KnownEndpoint,
  parseAddress,
  type World,
} from '../policy-truth/evaluator.js';
import { Protocol } from '../policy-truth/packets.js';
import { type Outcome, type Probe, Prober, type Service, type Station } from '../policy-truth/prober.js';
import { SwitchControl } from '../../agent/connections/control.js';
import { Wire } from '../policy-truth/wire.js';
import { BridgedLab } from './bridging-support.js';

const HOSTS = 3;
export const BRIDGE = 'br-int';
const MTU = 1400;
const PATIENCE_MS = 20_000;
const SHOWN = 20;

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

/**
 * Names of endpoints in the web network: the letter is the group, the digit the host. As in the conformance tests of Kubernetes the letters
 * are namespaces x, y, z (label `ns`), the digits pods a, b, c (label `pod`), and each serves two named ports. They have the labels that
 * `controller/kubernetes` gives to endpoints of pods, too.
 */
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

const labelsOf = (name: string): Readonly<Record<string, string>> => {
  const ns = { a: 'x', b: 'y', c: 'z' }[name[0] ?? ''] ?? 'lan';
  const labels = { ns, pod: { '1': 'a', '2': 'b', '3': 'c' }[name[1] ?? ''] ?? '' };
  return { ...labels, ...endpointLabels({ namespace: ns, labels: { pod: labels.pod } }, { ns }) };
};

/** What stays, whatever the policies: networks and endpoints, these in the order in which they get their addresses. */
export const GROUND: readonly Intent[] = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Tenant', name: 'rival' },
  network('acme', 'web', 'vxlan', 10_001),
  network('rival', 'web', 'vxlan', 10_002),
  network('acme', 'lan', 'vlan', 11),
  ...PLACES.map((id) => {
    const [tenant = '', network = '', name = ''] = id.split('/');
    const ports = { 'serve-80-tcp': 80, 'serve-81-tcp': 81, 'serve-53-udp': '53/udp' };
    return { kind: 'Endpoint', tenant, network, name, labels: labelsOf(name), ports };
  }),
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
  /** Control sockets of ovs-vswitchd, by host. */
  readonly controls = new Map<string, SwitchControl>();
  readonly #endpoints: KnownEndpoint[] = [];
  #world: World = { intents: GROUND, endpoints: [] };
  #prober: Prober | undefined;

  private constructor(
    readonly bridged: BridgedLab,
    readonly wire: Wire,
  ) {}

  static async start(): Promise<PolicyStage> {
    const bridged = await BridgedLab.start(HOSTS, GROUND as readonly IntentObject[]);
    const stage = new PolicyStage(bridged, Wire.open());
    try {
      for (const prefix of ['acme/web/', 'rival/web/', 'acme/lan/']) {
        for (const id of PLACES) if (id.startsWith(prefix)) await stage.#attach(id);
      }
      await stage.#addOutsider();
      for (const { name, runDirectory } of bridged.lab.hosts.values()) {
        stage.controls.set(name, await SwitchControl.open(runDirectory));
      }
      stage.#prober = new Prober(stage.wire, stage.stations.values(), () =>
        stage.onHosts('dpctl/flush-conntrack'),
      );
      stage.#world = { intents: GROUND, endpoints: stage.#endpoints };
      return stage;
    } catch (error) {
      await stage.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.wire.close();
    for (const control of this.controls.values()) control.close();
    await this.bridged.stop();
  }

  station(id: string): Station {
    const station = this.stations.get(id);
    if (station === undefined) throw new Error(`no station ${id}`);
    return station;
  }

  get prober(): Prober {
    if (this.#prober === undefined) throw new Error('not started');
    return this.#prober;
  }

  get world(): World {
    return this.#world;
  }

  /** Makes `objects`, with the ground, all that there is, and waits until every switch has it. */
  async apply(objects: Case): Promise<void> {
    const { model } = this.bridged.running.controller;
    const world = this.worldOf(objects);
    await model.apply(world.intents as readonly IntentObject[], { mode: 'replace' });
    await this.acknowledged();
    this.#world = world;
  }

  /** Asks the ovs-vswitchd of every host. */
  async onHosts(method: string, ...params: readonly string[]): Promise<void> {
    await Promise.all([...this.controls.values()].map((control) => control.call(method, ...params)));
  }

  /**
   * Empties the datapaths' caches of flows. ovs-vswitchd acknowledges a change of its tables first and goes through the cached flows
   * after that; and where two of them overlap, the userspace datapath of Open vSwitch 3.1.0 changes the wrong one, so that the other stays
   * as it was (see docs/policy.md).
   */
  async clearCaches(): Promise<void> {
    await this.onHosts('revalidator/purge');
  }

  /** What there is with these objects. */
  worldOf(objects: Case): World {
    return { intents: merged(GROUND, objects), endpoints: this.#endpoints };
  }

  /** Every switch has said that it holds what was changed. */
  async acknowledged(): Promise<void> {
    const answers = await this.bridged.running.controller.acknowledged(AbortSignal.timeout(PATIENCE_MS));
    const wrong = answers.filter(({ ok }) => !ok);
    if (wrong.length > 0) throw new Error(`not in force: ${JSON.stringify(wrong)}`);
  }

  /** What the evaluator says of a probe. */
  expected(probe: Probe): Outcome {
    return expectedOutcome(this.#world, probe);
  }

  /** Sends all probes; lines about those that fared otherwise than the evaluator says. */
  async wrong(probes: readonly Probe[]): Promise<readonly string[]> {
    const outcomes = await this.prober.run(probes, (probe) => this.expected(probe));
    const wrong = probes.flatMap((probe, index) => {
      const [outcome, expected] = [outcomes[index], this.expected(probe)];
      return outcome === expected ? [] : [`${describe(probe)}: ${outcome}, should be ${expected}`];
    });
    return wrong.length <= SHOWN ? wrong : [...wrong.slice(0, SHOWN), `and ${wrong.length - SHOWN} more`];
  }

  /** A probe between two of acme, by their names with or without network: `a1`, `lan/l1`, `lan/outside`; or of a tenant, by the whole name. */
  probe(from: string, to: string, service: Service, family: 4 | 6 = 4): Probe {
    const whole = (name: string) =>
      ['acme', 'web', ...name.split('/')].toSpliced(1, name.split('/').length - 1);
    const stationOf = (name: string) =>
      this.station(name.split('/').length === 3 ? name : whole(name).join('/'));
    return { from: stationOf(from), to: stationOf(to), family, service: inFamily(service, family) };
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
    await (await this.plug(id)).attach();
  }

  /**
   * Makes an endpoint on the host of its digit, its port on the bridge, and a station for it; the controller is told of the port by
   * `attach`, which returns when the switch has acknowledged.
   */
  async plug(id: string): Promise<{ readonly attach: () => Promise<void> }> {
    const [tenant = '', networkName = '', name = ''] = id.split('/');
    const agent = this.bridged.agent(`h${name.at(-1)}`);
    const view = await agent.request(tenant, networkName, name);
    // Without addresses, so that its stack has nothing to say: the wire answers for it.
    const endpoint = await agent.host.addEndpoint({
      name: id.replaceAll('/', '-'),
      bridge: BRIDGE,
      mac: view.mac,
      mtu: MTU,
    });
    this.bridged.endpoints.set(id, endpoint);
    const addresses = [view.ip, view.ip6].flatMap((cidr) =>
      cidr === undefined ? [] : [parseAddress(cidr.split('/')[0] ?? '')],
    );
    this.#endpoints.push({ tenant, network: networkName, name, addresses });
    await this.#station(id, endpoint, endpoint.interface, macNumber(view.mac), [view.ip, view.ip6]);
    return {
      attach: async () => {
        await agent.attach(view.endpoint, endpoint.port);
      },
    };
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
    const [place = -1] = await this.wire.place([{ netns: namespace.path, interface: interfaceName }]);
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

/** `a1 b2 tcp/80`; another family than IPv4 and another tenant than acme are said. */
export function describe({ from, to, family, service }: Probe): string {
  const short = ({ name }: Station) => name.replace(/^acme\/\w+\//, '');
  const protocol = Object.entries(Protocol).find(([, number]) => number === service.protocol);
  const what = [protocol?.[0] ?? service.protocol, service.port ?? service.icmpType];
  const words = [short(from), short(to), what.filter((part) => part !== undefined).join('/')];
  return [...words, ...(family === 4 ? [] : ['IPv6'])].join(' ');
}

/** ICMP is another protocol in IPv6, and has no timestamps. */
function inFamily(service: Service, family: 4 | 6): Service {
  if (service.protocol !== Protocol.icmp) return service;
  if (family === 4) return { protocol: Protocol.icmp, icmpType: service.icmpType ?? 8 };
  return { protocol: Protocol.icmpv6, icmpType: 128 };
}

export function merged(ground: readonly Intent[], objects: Case): readonly Intent[] {
  const all = new Map(ground.map((intent) => [keyOf(intent), intent]));
  for (const object of objects) all.set(keyOf(object), { ...all.get(keyOf(object)), ...object });
  return [...all.values()];
}

const macNumber = (text: string): number => Number.parseInt(text.replaceAll(':', ''), 16);
