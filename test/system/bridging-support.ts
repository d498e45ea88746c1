/** A whole controller, hosts with scripted agents, endpoints by id; and who saw which frame. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { IntentObject } from '../../controller/model/index.js';
import type { EndpointFact } from '../../controller/model/facts.js';
import { AgentHeartbeat, formatAddress } from '../../rpc/index.js';
import { type Capture, Lab, type LabEndpoint, type LabNamespace, until } from '../../topologies/lab/index.js';
import { BROADCAST, holds, udpFrame } from '../support/frames.js';
import { ScriptedAgent } from '../support/scripted-agent.js';
import { startController, type TestController } from '../support/test-controller.js';
import type { Addressed } from './bridging-frames.js';

const LONG = 30_000;
const HEARTBEAT_MS = 2_000;

export class BridgedLab {
  readonly endpoints = new Map<string, LabEndpoint>();
  readonly #agents = new Map<string, ScriptedAgent>();
  #fences = 0;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(
    readonly lab: Lab,
    private controller: TestController,
    private readonly folder: string,
  ) {
    this.#heartbeat = setInterval(() => {
      for (const { peer, epoch } of this.#agents.values()) {
        peer?.call(AgentHeartbeat, { epoch }).catch(() => undefined);
      }
    }, HEARTBEAT_MS);
  }

  static async start(hosts: number, intents: readonly IntentObject[]): Promise<BridgedLab> {
    const lab = await Lab.create({ name: 'bridging', hosts });
    try {
      const folder = join(lab.directory, 'controller');
      mkdirSync(folder, { recursive: true });
      const anyPort = `${lab.managementAddress}:0`;
      const running = await startController(folder, { openflow: anyPort, hub: anyPort });
      const bridged = new BridgedLab(lab, running, folder);
      await running.controller.model.apply(intents, { mode: 'add' });
      const openflow = `tcp:${formatAddress(running.openflow)}`;
      for (const agent of await Promise.all(
        [...lab.hosts.values()].map((host) => ScriptedAgent.prepare(host, openflow)),
      )) {
        bridged.#agents.set(agent.host.name, agent);
        await agent.register(running.hub);
      }
      await bridged.inSync();
      return bridged;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
  }

  get running(): TestController {
    return this.controller;
  }

  /** Stops the controller, waits for `meanwhile`, and starts it again where it was. */
  async restartController(meanwhile: () => Promise<unknown>): Promise<void> {
    const { openflow, hub } = this.controller;
    await this.controller.stop();
    await meanwhile();
    const listen = { openflow: formatAddress(openflow), hub: formatAddress(hub) };
    this.controller = await startController(this.folder, listen);
    await Promise.all([...this.#agents.values()].map((agent) => agent.register(hub)));
    await this.inSync();
  }

  private async inSync(): Promise<void> {
    const all = () =>
      this.controller.controller.status().datapaths.filter(({ state }) => state === 'in-sync').length ===
      this.#agents.size;
    await until('all switches', all, LONG);
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    for (const agent of this.#agents.values()) agent.peer?.close('test over');
    await this.controller.stop();
    await this.lab.destroy();
  }

  agent(host: string): ScriptedAgent {
    const agent = this.#agents.get(host);
    if (agent === undefined) throw new Error(`no agent on ${host}`);
    return agent;
  }

  /** Attaches `tenant/network/name`; its namespace is `tenant-network-name`. */
  async attach(id: string, host: string): Promise<LabEndpoint> {
    const [tenant = '', network = '', name = ''] = id.split('/');
    const agent = this.agent(host);
    const view = await agent.request(tenant, network, name);
    const endpoint = await agent.plug(view, id.replaceAll('/', '-'));
    await agent.attach(view.endpoint, endpoint.port);
    this.endpoints.set(id, endpoint);
    return endpoint;
  }

  endpoint(id: string): LabEndpoint {
    const endpoint = this.endpoints.get(id);
    if (endpoint === undefined) throw new Error(`${id} is not attached`);
    return endpoint;
  }

  /** Addresses as numbers. */
  fact(id: string): Addressed {
    for (const { kind, key, value } of this.running.controller.model.facts()) {
      if (kind !== 'endpoint' || key !== id) continue;
      const fact = value as EndpointFact;
      return { ...fact, ip: fact.ipv4[0] ?? 0, ip6: fact.ipv6[0] ?? 0n };
    }
    throw new Error(`no fact of ${id}`);
  }

  /** Ids of the attached endpoints of the network of an endpoint, the endpoint itself included. */
  members(id: string): string[] {
    const network = id.slice(0, id.lastIndexOf('/') + 1);
    return [...this.endpoints.keys()].filter((other) => other.startsWith(network)).sort();
  }

  /** A frame of the endpoint to everybody in its network. */
  broadcastFrame(id: string, text: string): Uint8Array {
    const { mac, ip } = this.fact(id);
    return udpFrame(
      { source: mac, destination: BROADCAST },
      { sourceIp: ip, destinationIp: 0xffffffff, text },
    );
  }

  /** Every endpoint, and underlay and uplink of every host, by name (`red/web/a`, `h1/underlay`). */
  async watch(): Promise<Watch> {
    const places: [string, LabNamespace, string][] = [
      ...[...this.endpoints].map(
        ([id, endpoint]) => [id, endpoint, endpoint.interface] as [string, LabNamespace, string],
      ),
      ...[...this.#agents.values()].flatMap(({ host }) =>
        ['underlay', 'uplink'].map(
          (name) => [`${host.name}/${name}`, host, name] as [string, LabNamespace, string],
        ),
      ),
    ];
    const captures = await Promise.all(
      places.map(async ([id, namespace, name]) => [id, await namespace.capture(name)] as const),
    );
    return new Watch(new Map(captures), new Set(this.endpoints.keys()));
  }

  /**
   * Returns when what was sent before has arrived wherever it arrives: each endpoint sends a broadcast, on the same way as
   * everything before it, and everybody in its network has it.
   */
  async fence(watch: Watch, senders: Iterable<string> = this.endpoints.keys()): Promise<void> {
    const fence = `fence-${++this.#fences}-`;
    await Promise.all(
      [...senders].map(async (id) => {
        const text = `${fence}${id};`;
        await this.endpoint(id).send('eth0', [this.broadcastFrame(id, text)]);
        await watch.arrival(text, this.members(id));
      }),
    );
  }
}

export class Watch {
  constructor(
    private readonly captures: ReadonlyMap<string, Capture>,
    private readonly endpoints: ReadonlySet<string>,
  ) {}

  /** Frames at a place that hold the text. */
  at(place: string, text: string): readonly Uint8Array[] {
    const capture = this.captures.get(place);
    if (capture === undefined) throw new Error(`nobody watches ${place}`);
    return capture
      .frames()
      .map(({ bytes }) => bytes)
      .filter((bytes) => holds(bytes, text));
  }

  /** All frames at a place. */
  all(place: string): readonly Uint8Array[] {
    return this.at(place, '');
  }

  /** Endpoints that have seen the text, whoever sent it included, in order. */
  seenBy(text: string): string[] {
    return [...this.endpoints].filter((id) => this.at(id, text).length > 0).sort();
  }

  /** Resolves when all of these have seen the text. */
  async arrival(text: string, places: readonly string[]): Promise<void> {
    await until(
      `'${text}' at ${places.join(', ')}`,
      () => places.every((place) => this.at(place, text).length > 0),
      LONG,
    );
  }

  async stop(): Promise<void> {
    await Promise.all([...this.captures.values()].map((capture) => capture.stop()));
  }
}
