/** A hub of the tests' own, as the controller's, and agents as processes inside the lab's hosts. */
import { join } from 'node:path';
import {
  AgentDeregister,
  AgentHeartbeat,
  AgentRegister,
  AgentSnapshot,
  connect,
  EndpointAttach,
  EndpointDetach,
  EndpointRequest,
  ErrorCode,
  formatAddress,
  listen,
  Peer,
  Router,
  RpcError,
  TunnelStates,
  type EndpointView,
  type Listener,
  type ParamsOf,
  type TunnelPeer,
} from '../../rpc/index.js';
import { until, type Daemon, type Lab, type LabHost } from '../../topologies/lab/index.js';

/** Answers as a controller whose switches acknowledge at once; remembers what it was told. */
export class FakeHub {
  readonly registrations: ParamsOf<typeof AgentRegister>[] = [];
  readonly snapshots: ParamsOf<typeof AgentSnapshot>[] = [];
  readonly detached: ParamsOf<typeof EndpointDetach>[] = [];
  readonly deregistered: number[] = [];
  /** By connection: whether the tunnels it watches are up, by host. */
  readonly tunnels = new Map<Peer, Readonly<Record<string, boolean>>>();
  /** Peers for the next registrations, by host. */
  readonly watched = new Map<string, readonly TunnelPeer[]>();
  /** By host: its connection. */
  readonly peerOf = new Map<string, Peer>();
  readonly peers = new Set<Peer>();
  heartbeats = 0;
  leaseMs = 3_000;
  /** Endpoints that the next registration calls stale. */
  stale: string[] = [];
  /** Called inside `endpoint.attach`; what it throws is the answer. */
  onAttach: (params: ParamsOf<typeof EndpointAttach>) => Promise<void> | void = () => {};
  private readonly views = new Map<string, EndpointView>();
  private generation = 0;
  private listener: Listener | undefined;

  /** Declare an endpoint; the rest of its view is made up. */
  declare(endpoint: string, view: Partial<EndpointView> = {}): void {
    const [tenant = '', network = '', name = ''] = endpoint.split('/');
    const number = this.views.size + 1;
    this.views.set(endpoint, {
      endpoint,
      tenant,
      network,
      name,
      mac: `02:02:0a:01:01:0${number}`,
      ip: `10.1.1.${number}/24`,
      mtuOverhead: 50,
      encapsulation: 'vxlan',
      tag: 10_001,
      ...view,
    });
  }

  async start(host: string, port = 0): Promise<string> {
    this.listener = await listen(
      { kind: 'tcp', host, port },
      (stream) => {
        const peer = new Peer(stream, { router: this.router() });
        this.peers.add(peer);
        peer.onClose(() => this.peers.delete(peer));
      },
      { maxConnections: 16 },
    );
    return formatAddress(this.listener.address);
  }

  stop(): void {
    this.listener?.close();
    for (const peer of this.peers) peer.close('the hub stops');
  }

  private router(): Router {
    return new Router()
      .request(AgentRegister, (params, { peer }) => {
        this.registrations.push(params);
        this.peerOf.set(params.hostLabel, peer);
        const stale = this.stale;
        this.stale = [];
        const peers = [...(this.watched.get(params.hostLabel) ?? [])];
        return { leaseMs: this.leaseMs, controllerId: 'fake', stale, peers };
      })
      .notification(TunnelStates, ({ tunnels }, peer) => {
        this.tunnels.set(peer, Object.fromEntries(tunnels.map(({ host, up }) => [host, up])));
      })
      .request(AgentHeartbeat, () => {
        this.heartbeats += 1;
        return {};
      })
      .request(AgentSnapshot, (params) => {
        this.snapshots.push(params);
        return { stale: [] };
      })
      .request(AgentDeregister, ({ epoch }) => {
        this.deregistered.push(epoch);
        return {};
      })
      .request(EndpointRequest, ({ tenant, network, endpoint }) =>
        this.view(`${tenant}/${network}/${endpoint}`),
      )
      .request(EndpointAttach, async (params) => {
        await this.onAttach(params);
        this.generation += 1;
        const endpoint = this.view(params.endpoint);
        return {
          endpoint,
          generation: this.generation,
          acknowledged: true as const,
          others: 'acknowledged' as const,
        };
      })
      .request(EndpointDetach, (params) => {
        this.detached.push(params);
        return { detached: true };
      });
  }

  private view(endpoint: string): EndpointView {
    const view = this.views.get(endpoint);
    if (view === undefined)
      throw new RpcError(ErrorCode.refused, 'endpoint.unknown', `no endpoint ${endpoint}`);
    return view;
  }
}

const MAIN = new URL('../../agent/main.js', import.meta.url).href;

export interface SpawnedAgent {
  readonly daemon: Daemon;
  /** The agent's local unix socket. */
  readonly socket: string;
  /** A call on the local socket, on a connection of its own. */
  call: Peer['call'];
}

/** Run an agent inside a host of the lab; resolves when it answers on its local socket. */
export async function spawnAgent(
  lab: Lab,
  host: LabHost,
  options: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): Promise<SpawnedAgent> {
  const { daemon, socket } = launchAgent(lab, host, options, env);
  const started = (): boolean => {
    if (!daemon.running) throw new Error(`the agent of ${host.name} ended: ${daemon.log()}`);
    return daemon.log().includes('"event":"agent.started"');
  };
  await until(`the agent of ${host.name}`, started, 30_000);
  const call: Peer['call'] = async (type, params, callOptions) => {
    const peer = new Peer(await connect({ kind: 'unix', path: socket }), { router: new Router() });
    try {
      return await peer.call(type, params, callOptions);
    } finally {
      peer.close('done');
    }
  };
  return { daemon, socket, call };
}

/** As {@link spawnAgent}, without waiting. */
export function launchAgent(
  lab: Lab,
  host: LabHost,
  options: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
): { readonly daemon: Daemon; readonly socket: string } {
  const socket = join(lab.directory, `${host.name}-agent.sock`);
  const all = {
    hostLabel: host.name,
    ovsdb: host.ovsdb,
    socket,
    stateDirectory: join(lab.directory, `${host.name}-state`),
    ...options,
  };
  const script = `import { runAgent } from ${JSON.stringify(MAIN)};
    process.exitCode = await runAgent(${JSON.stringify(all)});`;
  launches += 1;
  const daemon = host.spawn(`agent-${launches}`, [process.execPath, '--input-type=module', '-e', script], {
    SSH_CONNECTION: '',
    // Without tap's loaders, which take most of a second to start.
    NODE_OPTIONS: '',
    ...env,
  });
  return { daemon, socket };
}
let launches = 0;
