/**
 * An agent of a few lines, driven by the test: makes the bridge with ovs-vsctl, registers, attaches. Not Weft's agent, so that tests
 * of the controller can make it behave badly.
 */
import {
  type Address,
  AgentDetach,
  AgentPing,
  AgentRegister,
  type Attachment,
  connect,
  EndpointAttach,
  EndpointChanged,
  EndpointFollowed,
  EndpointRequest,
  type EndpointView,
  type ParamsOf,
  Peer,
  Router,
  TUNNEL_INTERFACE,
  TUNNEL_PORT,
  UPLINK_PORT,
} from '../../rpc/index.js';
import { type LabEndpoint, type LabHost, until } from '../../topologies/lab/index.js';

const BRIDGE = 'br-int';

export class ScriptedAgent {
  readonly attachments = new Map<string, Attachment>();
  readonly detached: ParamsOf<typeof AgentDetach>[] = [];
  readonly followed: ParamsOf<typeof EndpointFollowed>[] = [];
  readonly epoch = Date.now();
  peer: Peer | undefined;

  private constructor(
    readonly host: LabHost,
    readonly datapathId: string,
  ) {}

  /** Makes the host's bridge, with tunnel port and uplink, controlled from `controller` (`tcp:ADDRESS:PORT`). */
  static async prepare(host: LabHost, controller: string): Promise<ScriptedAgent> {
    const id = host.managementAddress.split('.').at(-1) ?? '0';
    const datapathId = Number(id).toString(16).padStart(16, '0');
    await host.vsctlAll(
      ['add-br', BRIDGE],
      ['set', 'bridge', BRIDGE, 'datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow13'],
      ['set', 'bridge', BRIDGE, `other-config:datapath-id=${datapathId}`],
      ['add-port', BRIDGE, TUNNEL_INTERFACE],
      ['set', 'interface', TUNNEL_INTERFACE, 'type=vxlan', 'options:remote_ip=flow', 'options:key=flow'],
      ['set', 'interface', TUNNEL_INTERFACE, `ofport_request=${TUNNEL_PORT}`],
      ['add-port', BRIDGE, 'uplink', '--', 'set', 'interface', 'uplink', `ofport_request=${UPLINK_PORT}`],
      ['set-controller', BRIDGE, controller],
      ['set', 'controller', BRIDGE, 'max_backoff=1000'],
    );
    return new ScriptedAgent(host, datapathId);
  }

  /** Connects, registers with a snapshot, and forgets what the controller says is stale. Returns that. */
  async register(hub: Address): Promise<readonly string[]> {
    const router = new Router()
      .request(AgentPing, () => ({}))
      .request(AgentDetach, (params) => {
        this.detached.push(params);
        this.attachments.delete(params.endpoint);
        return {};
      })
      .notification(EndpointChanged, () => undefined)
      .notification(EndpointFollowed, (followed) => {
        this.followed.push(followed);
      });
    this.peer = new Peer(await connect(hub), { router });
    const { stale } = await this.peer.call(AgentRegister, {
      protocol: 1,
      hostLabel: this.host.name,
      epoch: this.epoch,
      datapathId: this.datapathId,
      bridge: BRIDGE,
      ...(this.host.vtepIp === undefined ? {} : { vtepIp: this.host.vtepIp, tunnelPort: TUNNEL_INTERFACE }),
      ...(this.host.uplink === undefined ? {} : { uplink: 'uplink' }),
      attachments: [...this.attachments.values()],
    });
    for (const endpoint of stale) this.attachments.delete(endpoint);
    return stale;
  }

  async request(tenant: string, network: string, endpoint: string): Promise<EndpointView> {
    return this.connected.call(EndpointRequest, { tenant, network, endpoint });
  }

  /** A namespace with the addresses of the view, and its port on the bridge. */
  async plug(view: EndpointView, name: string): Promise<LabEndpoint> {
    const addresses = [view.ip, view.ip6].filter((address) => address !== undefined);
    return this.host.addEndpoint({ name, bridge: BRIDGE, mac: view.mac, addresses, mtu: 1400 });
  }

  async attach(endpoint: string, port: string, deadlineMs = 10_000) {
    const answer = await this.connected.call(
      EndpointAttach,
      { endpoint, interface: port, deadlineMs },
      { deadlineMs: deadlineMs + 5_000 },
    );
    this.attachments.set(endpoint, { endpoint, interface: port, generation: answer.generation });
    return answer;
  }

  /** Asks for an endpoint, makes it, attaches it, and waits until the other hosts of its network know it. */
  async run(tenant: string, network: string, name: string): Promise<LabEndpoint> {
    const view = await this.request(tenant, network, name);
    const endpoint = await this.plug(view, name);
    const { generation, others } = await this.attach(view.endpoint, endpoint.port);
    if (others === 'pending') {
      const follows = (told: { endpoint: string; generation: number }): boolean =>
        told.endpoint === view.endpoint && told.generation === generation;
      await until(`the others to follow ${view.endpoint}`, () => this.followed.find(follows));
    }
    return endpoint;
  }

  /** Flow entries of the bridge, without counters and durations. */
  async flows(): Promise<string[]> {
    const text = await this.host.ofctl('--no-stats', 'dump-flows', BRIDGE);
    return text.split('\n').filter((line) => line.includes('actions='));
  }

  private get connected(): Peer {
    if (this.peer === undefined) throw new Error(`agent of ${this.host.name} is not registered`);
    return this.peer;
  }
}
