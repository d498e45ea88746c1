/** Agents without hosts: their calls of the hub, for emulated switches (fleet.ts). */
import {
  AgentRegister,
  connect,
  EndpointAttach,
  EndpointDetach,
  EndpointRequest,
  Peer,
  Router,
  TUNNEL_INTERFACE,
  type Address,
} from '../rpc/index.js';

const BRIDGE = 'br-int';
const DEADLINE_MS = 120_000;

export const datapathIdOf = (host: number): string => host.toString(16).padStart(16, '0');

/** The agent of host `number` (from 1), registered. */
export class BenchAgent {
  private constructor(
    readonly number: number,
    private readonly peer: Peer,
  ) {}

  static async start(hub: Address, number: number): Promise<BenchAgent> {
    const peer = new Peer(await connect(hub), { router: new Router() });
    await peer.call(AgentRegister, {
      protocol: 1,
      hostLabel: `h${number}`,
      epoch: 1,
      datapathId: datapathIdOf(number),
      bridge: BRIDGE,
      vtepIp: `192.168.${number >> 8}.${number & 0xff}`,
      tunnelPort: TUNNEL_INTERFACE,
      attachments: [],
    });
    return new BenchAgent(number, peer);
  }

  /** Resolves when the entries of the endpoint are acknowledged by this host's switch; gives the milliseconds it took. */
  async attach(
    tenant: string,
    network: string,
    endpoint: string,
    port: string,
    groups: readonly string[] = [],
  ): Promise<number> {
    const begin = performance.now();
    const named = groups.length === 0 ? {} : { groups: [...groups] };
    await this.peer.call(EndpointRequest, { tenant, network, endpoint, ...named });
    const params = {
      endpoint: `${tenant}/${network}/${endpoint}`,
      interface: port,
      deadlineMs: DEADLINE_MS,
    };
    await this.peer.call(EndpointAttach, params, { deadlineMs: DEADLINE_MS });
    return performance.now() - begin;
  }

  async detach(tenant: string, network: string, endpoint: string): Promise<void> {
    const params = { endpoint: `${tenant}/${network}/${endpoint}`, release: true };
    await this.peer.call(EndpointDetach, params, { deadlineMs: DEADLINE_MS });
  }

  close(): void {
    this.peer.close('the bench has ended');
  }
}

/** So many at a time. */
export async function startAgents(hub: Address, count: number): Promise<BenchAgent[]> {
  const agents: BenchAgent[] = [];
  for (let number = 1; number <= count; number++) agents.push(await BenchAgent.start(hub, number));
  return agents;
}
