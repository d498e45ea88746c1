/** An endpoint of the lab: a namespace (a container, a virtual machine) with one leg on a host's bridge. */
import type { LabHost } from './host.js';
import { LabNamespace } from './namespace.js';
import { ipBatch, type Daemon } from './process.js';

export interface EndpointOptions {
  /** Name within the lab; the namespace is called after it. */
  readonly name: string;
  /** Bridge that gets the port; absent: the veth exists and no bridge knows it. */
  readonly bridge?: string;
  /** Name of the host's end (default `v-<name>`, cut to the 15 characters Linux allows). */
  readonly port?: string;
  /** OpenFlow port number asked for. */
  readonly portNumber?: number;
  /** '02:02:0a:01:01:01'; absent: the kernel chooses. */
  readonly mac?: string;
  /** Addresses with prefix length, of either family. */
  readonly addresses?: readonly string[];
  /** Gateways of default routes, of either family. */
  readonly gateways?: readonly string[];
  /** Bytes (default: 50 below the underlay's, what VXLAN over IPv4 leaves). */
  readonly mtu?: number;
}

export class LabEndpoint extends LabNamespace {
  /** Name of the interface inside. */
  readonly interface = 'eth0';
  /** Name of the other end, in the host. */
  readonly port: string;
  readonly addresses: readonly string[];

  constructor(
    readonly host: LabHost,
    fullName: string,
    directory: string,
    private readonly options: EndpointOptions & { readonly mtu: number },
    adopt: (daemon: Daemon) => void,
  ) {
    super(options.name, fullName, directory, adopt);
    this.port = (options.port ?? `v-${options.name}`).slice(0, 15);
    this.addresses = options.addresses ?? [];
  }

  /** Make the veth pair, configure the inner end, and put the outer end on the bridge. */
  async connect(): Promise<void> {
    const { mac, mtu, bridge, portNumber, gateways = [] } = this.options;
    const address = mac === undefined ? '' : ` address ${mac}`;
    await ipBatch([
      `link add ${this.interface} mtu ${mtu}${address} netns ${this.fullName} type veth peer name ${this.port} mtu ${mtu} netns ${this.host.fullName}`,
    ]);
    await Promise.all([
      this.exec(['ethtool', '-K', this.interface, 'tx', 'off']),
      this.host.exec(['ethtool', '-K', this.port, 'tx', 'off']),
      this.host.ip(`link set ${this.port} addrgenmode none`, `link set ${this.port} up`),
    ]);
    await this.ip(
      ...this.addresses.map(
        (cidr) => `addr add ${cidr} dev ${this.interface}${cidr.includes(':') ? ' nodad' : ''}`,
      ),
      `link set ${this.interface} up`,
      ...gateways.map((gateway) => `${gateway.includes(':') ? '-6 ' : ''}route add default via ${gateway}`),
    );
    if (bridge !== undefined) {
      const number =
        portNumber === undefined ? [] : ['--', 'set', 'interface', this.port, `ofport_request=${portNumber}`];
      await this.host.vsctl('add-port', bridge, this.port, ...number);
    }
  }

  /** The MAC address as the kernel has it. */
  async mac(): Promise<string> {
    // Not /sys: entering a network namespace alone leaves the root namespace's /sys in place.
    const links = JSON.parse(await this.exec(['ip', '-json', 'link', 'show', this.interface])) as {
      address: string;
    }[];
    return links[0]?.address ?? '';
  }
}
