/**
 * Three bridges under a controller, without a lab: Open vSwitch's own dummies for ports, and hosts and endpoints said to the model as the hub would
 * say them. No packet travels here; what the bridges would do with one is asked of them.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ChannelListener, Numbering, type SwitchSession } from '../../controller/channel/index.js';
import type { EndpointView, IntentObject } from '../../controller/model/index.js';
import { TUNNEL_INTERFACE, TUNNEL_PORT, UPLINK_PORT } from '../../controller/model/facts.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { startController, type TestController } from '../support/test-controller.js';
import { SwitchControl } from '../../agent/connections/control.js';
import { waitFor } from '../support/wait-for.js';

export interface TracedHost {
  readonly name: string;
  readonly bridge: string;
  readonly datapathId: string;
  readonly vtepIp: string;
}

export interface TracedEndpoint {
  readonly view: EndpointView;
  readonly host: TracedHost;
  readonly port: number;
}

export class TracedBridges {
  readonly endpoints = new Map<string, TracedEndpoint>();

  private constructor(
    readonly ovs: OpenVSwitch,
    readonly running: TestController,
    readonly control: SwitchControl,
    readonly hosts: readonly TracedHost[],
    /** A second controller of every bridge, which only reads. */
    private readonly reader: ChannelListener,
  ) {}

  static async start(count: number, intents: readonly IntentObject[]): Promise<TracedBridges> {
    const ovs = await OpenVSwitch.start();
    const folder = join(ovs.directory, 'controller');
    mkdirSync(folder);
    const anyPort = '127.0.0.1:0';
    const running = await startController(folder, { openflow: anyPort, hub: anyPort });
    const reader = new ChannelListener({ host: '127.0.0.1', port: 0, numbering: new Numbering() });
    const { port } = await reader.listen();
    const { model } = running.controller;
    await model.apply(intents, { mode: 'add' });
    const hosts: TracedHost[] = [];
    for (let n = 1; n <= count; n++) {
      const [name, bridge, vtepIp] = [`h${n}`, `br${n}`, `10.254.0.${n}`];
      const datapathId = n.toString(16).padStart(16, '0');
      await ovs.addBridge(bridge, datapathId);
      const tunnel = [
        'type=vxlan',
        'options:remote_ip=flow',
        `options:key=flow`,
        `options:local_ip=${vtepIp}`,
      ];
      await addPort(ovs, bridge, `${TUNNEL_INTERFACE}${n}`, TUNNEL_PORT, tunnel);
      await addPort(ovs, bridge, `uplink${n}`, UPLINK_PORT, ['type=dummy']);
      const controllers = [running.openflow, { port }].map(
        (at) => `tcp:127.0.0.1:${'port' in at ? at.port : 0}`,
      );
      await ovs.vsctl('set-controller', bridge, ...controllers);
      await model.claimHost({
        host: name,
        datapathId,
        vtepIp,
        uplink: `uplink${n}`,
        tunnelPort: `${TUNNEL_INTERFACE}${n}`,
      });
      hosts.push({ name, bridge, datapathId, vtepIp });
    }
    const control = await SwitchControl.connect(join(ovs.directory, 'vswitchd.ctl'));
    return new TracedBridges(ovs, running, control, hosts, reader);
  }

  async attach(id: string, host: TracedHost): Promise<void> {
    const [tenant = '', network = '', name = ''] = id.split('/');
    const { model } = this.running.controller;
    const view = await model.requestEndpoint({ tenant, network, name, host: host.name });
    const port = this.endpoints.size + 1;
    const interfaceName = `p${port}`;
    await addPort(this.ovs, host.bridge, interfaceName, port, ['type=dummy']);
    await model.attach({ endpoint: id, host: host.name, interface: interfaceName });
    this.endpoints.set(id, { view, host, port });
  }

  session(host: TracedHost): SwitchSession {
    const session = this.reader.sessions.get(host.datapathId);
    if (session === undefined) throw new Error(`no session of ${host.name}`);
    return session;
  }

  /** All bridges are connected to both controllers and hold what they should. */
  async settled(): Promise<void> {
    const { controller } = this.running;
    await waitFor('all bridges in sync', () => {
      const inSync = controller.status().datapaths.filter(({ state }) => state === 'in-sync');
      return inSync.length === this.hosts.length && this.reader.sessions.size === this.hosts.length;
    });
  }

  async stop(): Promise<void> {
    this.control.close();
    await this.running.stop();
    await this.reader.close();
    await this.ovs.stop();
  }
}

async function addPort(
  ovs: OpenVSwitch,
  bridge: string,
  name: string,
  port: number,
  settings: string[],
): Promise<void> {
  const request = `ofport_request=${port}`;
  await ovs.vsctl('add-port', bridge, name, '--', 'set', 'interface', name, ...settings, request);
}
