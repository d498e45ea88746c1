import type { Test } from 'tap';
import { AgentHub, type AgentHubOptions, type HubEvent, HubError } from '../../controller/hub/index.js';
import type { HubModel, HubSwitches, RefusedEntry, SwitchAnswer } from '../../controller/hub/types.js';
import { formatIpv4 } from '../../controller/model/address.js';
import type { EndpointFact, FactChange, HostFact, TableRow } from '../../controller/model/facts.js';
import type { EndpointView, NamedAddresses } from '../../controller/model/types.js';
import {
  type Address,
  AgentDetach,
  AgentPing,
  AgentRegister,
  connect,
  EndpointChanged,
  EndpointFollowed,
  type HostQueue,
  HostPeersChanged,
  HostQueuesChanged,
  type ParamsOf,
  Peer,
  Router,
  type TunnelPeer,
} from '../../rpc/index.js';
import { ManualClock } from '../rpc/support.js';

/** The smallest model that the hub can work with: endpoints of one tenant, in memory. */
export class FakeModel implements HubModel {
  readonly endpoints = new Map<string, EndpointFact>();
  readonly hosts = new Map<string, HostFact>();
  readonly claims: unknown[] = [];
  readonly pending = new Map<string, { host: string; interface: string; generation: number }>();
  #listeners: ((changes: readonly FactChange[]) => void)[] = [];
  #generation = 0;

  declare(id: string, binding: Partial<EndpointFact> = {}): void {
    const [tenant = '', network = '', name = ''] = id.split('/');
    const fact: EndpointFact = {
      id,
      network: `${tenant}/${network}`,
      name,
      number: this.endpoints.size + 1,
      mac: 0x02020a000001 + this.endpoints.size,
      ipv4: [0x0a000001 + this.endpoints.size],
      ipv6: [],
      generation: 0,
      ...this.pending.get(id),
      ...binding,
    };
    this.pending.delete(id);
    this.change(fact);
  }

  lookUpName(asker: string, name: string): NamedAddresses {
    const [tenant, network] = asker.split('/');
    const fact = this.endpoints.get(`${tenant}/${network}/${name}`);
    const addresses = fact?.ipv4.map((address) => formatIpv4(address)) ?? [];
    return { exists: fact !== undefined, addresses, names: [] };
  }

  lookUpAddress(): NamedAddresses {
    return { exists: false, addresses: [], names: [] };
  }

  change(fact: EndpointFact): void {
    this.endpoints.set(fact.id, fact);
    this.#emit({ kind: 'endpoint', key: fact.id, value: fact });
  }

  delete(id: string): void {
    this.endpoints.delete(id);
    this.#emit({ kind: 'endpoint', key: id });
  }

  deleteHost(name: string): void {
    this.hosts.delete(name);
    this.#emit({ kind: 'host', key: name });
  }

  claimHost: HubModel['claimHost'] = async (claim) => {
    this.claims.push(claim);
    for (const holder of this.hosts.values()) {
      if (holder.name === claim.host || holder.datapathId !== claim.datapathId) continue;
      if (claim.takeOver !== true) {
        throw new HubError('host.datapath.taken', `datapath ${claim.datapathId} belongs to ${holder.name}`);
      }
      const { datapathId: _, ...rest } = holder;
      this.hosts.set(holder.name, rest);
      this.#emit({ kind: 'host', key: holder.name, value: rest });
    }
    const { host: _host, takeOver: _takeOver, vtepIp: _vtepIp, ...forwarder } = claim;
    const fact = { name: claim.host, number: this.hosts.size + 1, ...forwarder };
    this.hosts.set(claim.host, fact);
    this.#emit({ kind: 'host', key: claim.host, value: fact });
    const status = { number: fact.number, origin: 'dynamic' as const, attached: 0 };
    return { kind: 'Host', name: claim.host, spec: { kind: 'Host', name: claim.host }, status };
  };

  readonly requests: Parameters<HubModel['requestEndpoint']>[0][] = [];
  requestEndpoint: HubModel['requestEndpoint'] = async (request) => {
    this.requests.push(request);
    const { tenant, network, name, host } = request;
    const id = `${tenant}/${network}/${name}`;
    if (!this.endpoints.has(id)) this.declare(id, { host });
    return this.endpoint(id) as EndpointView;
  };

  attach: HubModel['attach'] = async ({ endpoint, host, interface: name }) => {
    this.#generation += 1;
    const generation = this.#generation;
    const fact = this.endpoints.get(endpoint);
    if (fact === undefined) {
      this.pending.set(endpoint, { host, interface: name, generation });
      return { generation, pending: true };
    }
    this.change({ ...fact, host, interface: name, generation });
    return { endpoint: this.endpoint(endpoint) as EndpointView, generation, pending: false };
  };

  detach: HubModel['detach'] = async ({ endpoint, host, generation }) => {
    const fact = this.endpoints.get(endpoint);
    if (fact?.host !== host || (generation ?? fact.generation) < fact.generation) return { detached: false };
    const { interface: _, ...rest } = fact;
    this.change(rest);
    return { detached: true };
  };

  mergeSnapshot: HubModel['mergeSnapshot'] = async ({ host, attachments }) => {
    const told = new Map(attachments.map((attachment) => [attachment.endpoint, attachment]));
    const accepted = [...told.values()].filter(({ endpoint }) => this.endpoints.get(endpoint)?.host === host);
    const stale = [...told.keys()].filter((id) => this.endpoints.get(id)?.host !== host);
    const removed: string[] = [];
    for (const fact of this.endpoints.values()) {
      if (fact.host !== host || fact.interface === undefined || told.has(fact.id)) continue;
      removed.push(fact.id);
      const { interface: _, ...rest } = fact;
      this.change(rest);
    }
    return { accepted, stale, removed };
  };

  endpoint: HubModel['endpoint'] = (id) => {
    const fact = this.endpoints.get(id);
    if (fact === undefined) return undefined;
    const [tenant = '', network = ''] = fact.network.split('/');
    return {
      endpoint: id,
      tenant,
      network,
      name: fact.name,
      mac: '02:02:0a:00:00:01',
      mtuOverhead: 50,
      encapsulation: 'vxlan',
      tag: 1,
      ...(fact.host === undefined ? {} : { host: fact.host }),
    };
  };

  /** What was asked of networks and addresses, with the host that it was asked for. */
  readonly asked: [method: string, params: unknown][] = [];
  requestNetwork: HubModel['requestNetwork'] = async (params) => {
    this.asked.push(['requestNetwork', params]);
    const { tenant, network } = params;
    return { tenant, network, encapsulation: 'vxlan', tag: 4096, subnet: '10.0.0.0/24', created: true };
  };
  releaseNetwork: HubModel['releaseNetwork'] = async (params) => {
    this.asked.push(['releaseNetwork', params]);
    return { released: true, removed: true };
  };
  networks: HubModel['networks'] = () => [];
  reserveAddress: HubModel['reserveAddress'] = async (params) => {
    this.asked.push(['reserveAddress', params]);
    return params.ip ?? '10.0.0.1';
  };
  releaseAddress: HubModel['releaseAddress'] = async (params) => {
    this.asked.push(['releaseAddress', params]);
    return { released: true };
  };
  leasesOfHost: HubModel['leasesOfHost'] = () => ({
    uses: [],
    addresses: [{ tenant: 'acme', network: 'front', ip: '10.0.0.1' }],
  });

  endpointsOfHost: HubModel['endpointsOfHost'] = (host) =>
    [...this.endpoints.values()]
      .filter((fact) => fact.host === host)
      .map((fact) => this.endpoint(fact.id) as EndpointView);

  facts: HubModel['facts'] = () => [
    ...[...this.hosts].map(([key, value]) => ({ kind: 'host' as const, key, value })),
    ...[...this.endpoints].map(([key, value]) => ({ kind: 'endpoint' as const, key, value })),
  ];

  onFacts: HubModel['onFacts'] = (listener) => {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  };

  #emit(change: FactChange): void {
    for (const listener of this.#listeners) listener([change]);
  }
}

/** Switches that are connected, ported and answered as the test says. */
export class FakeSwitches implements HubSwitches {
  readonly states = new Map<string, 'disconnected' | 'reading' | 'ready'>();
  readonly ports = new Set<string>();
  /** By datapath: what it answers; a promise that the test settles, or at once. */
  readonly answers = new Map<string, Promise<SwitchAnswer> | SwitchAnswer>();
  readonly refused = new Map<string, RefusedEntry[]>();
  readonly queuesOf = new Map<string, HostQueue[]>();
  readonly peersOf = new Map<string, TunnelPeer[]>();
  settlements = 0;
  /** By host without OpenFlow, then key. */
  readonly rowsOf = new Map<string, Map<string, TableRow>>();
  readonly tables: HubSwitches['tables'] = {
    of: (host) => [...(this.rowsOf.get(host) ?? [])].map(([key, row]) => ({ key, row })),
    find: (host, key) => this.rowsOf.get(host)?.get(key),
  };
  #waiters = new Set<() => void>();

  set(datapathId: string, state: 'disconnected' | 'reading' | 'ready'): void {
    this.states.set(datapathId, state);
    this.#look();
  }

  addPort(datapathId: string, name: string): void {
    this.ports.add(`${datapathId}/${name}`);
    this.#look();
  }

  settle: HubSwitches['settle'] = async () => {
    this.settlements += 1;
    return {
      acknowledged: async (datapathId) => this.answers.get(datapathId) ?? { ok: true, refused: [] },
    };
  };

  connection: HubSwitches['connection'] = (datapathId) => this.states.get(datapathId) ?? 'disconnected';

  refusals: HubSwitches['refusals'] = (datapathId) => this.refused.get(datapathId) ?? [];

  waitForSync: HubSwitches['waitForSync'] = (datapathId, { signal }) =>
    this.#wait(() => this.connection(datapathId) === 'ready', signal);

  queues: HubSwitches['queues'] = (host) => this.queuesOf.get(host) ?? [];

  peers: HubSwitches['peers'] = (host) => this.peersOf.get(host) ?? [];

  waitForPort: HubSwitches['waitForPort'] = (datapathId, name, { signal }) =>
    this.#wait(() => this.ports.has(`${datapathId}/${name}`), signal);

  #wait(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!condition()) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      signal.addEventListener('abort', () => {
        this.#waiters.delete(look);
        reject(signal.reason);
      });
      if (signal.aborted) reject(signal.reason);
      look();
    });
  }

  #look(): void {
    for (const look of this.#waiters) look();
  }
}

/** An agent that notes what it is told. */
export class TestAgent {
  readonly changes: ParamsOf<typeof EndpointChanged>[] = [];
  readonly queues: ParamsOf<typeof HostQueuesChanged>[] = [];
  readonly peers: ParamsOf<typeof HostPeersChanged>[] = [];
  readonly followed: ParamsOf<typeof EndpointFollowed>[] = [];
  readonly detached: ParamsOf<typeof AgentDetach>[] = [];
  closed: string | undefined;
  peer!: Peer;

  static async connect(address: Address, options: { deaf?: boolean } = {}): Promise<TestAgent> {
    const agent = new TestAgent();
    const router = new Router()
      .notification(EndpointChanged, (change) => agent.changes.push(change))
      .notification(HostQueuesChanged, (change) => agent.queues.push(change))
      .notification(HostPeersChanged, (change) => agent.peers.push(change))
      .notification(EndpointFollowed, (followed) => agent.followed.push(followed));
    if (options.deaf !== true) {
      router
        .request(AgentPing, () => ({}))
        .request(AgentDetach, (params) => {
          agent.detached.push(params);
          return {};
        });
    } else {
      router
        .request(AgentPing, () => new Promise(() => undefined))
        .request(AgentDetach, () => new Promise(() => undefined));
    }
    agent.peer = new Peer(await connect(address), { router });
    agent.peer.onClose((reason) => {
      agent.closed = reason;
    });
    return agent;
  }

  register(hostLabel: string, more: Partial<ParamsOf<typeof AgentRegister>> = {}) {
    const number = Number(hostLabel.replace(/\D/g, ''));
    return this.peer.call(AgentRegister, {
      protocol: 1,
      hostLabel,
      epoch: 1,
      datapathId: datapath(number),
      bridge: 'br-int',
      vtepIp: `10.254.0.${number}`,
      attachments: [],
      ...more,
    });
  }
}

export function datapath(number: number): string {
  return number.toString(16).padStart(16, '0');
}

export async function startHub(t: Test, options: Partial<AgentHubOptions> = {}) {
  const clock = new ManualClock();
  const model = new FakeModel();
  const switches = new FakeSwitches();
  const events: HubEvent[] = [];
  const unexpected: unknown[] = [];
  const hub = new AgentHub({
    model,
    switches,
    clock,
    addresses: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    controllerId: 'test',
    onEvent: (event) => events.push(event),
    onUnexpected: (error) => unexpected.push(error),
    ...options,
  });
  const [address] = await hub.start();
  const agents: TestAgent[] = [];
  t.teardown(async () => {
    for (const agent of agents) agent.peer.close('test over');
    await hub.stop(0);
    if (unexpected.length > 0) throw new AggregateError(unexpected, 'the hub met something unexpected');
  });
  const agent = async (
    host?: string,
    more?: Partial<ParamsOf<typeof AgentRegister>> & { deaf?: boolean },
  ) => {
    const { deaf, ...params } = more ?? {};
    const joined = await TestAgent.connect(address as Address, { deaf: deaf ?? false });
    agents.push(joined);
    if (host !== undefined) await joined.register(host, params);
    return joined;
  };
  const host = (name: string) => hub.hosts().find((known) => known.host === name);
  const names = () => events.map(({ event }) => event);
  return { hub, model, switches, clock, events, names, agent, host, address: address as Address };
}
