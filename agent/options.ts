/** The agent's options, their defaults and what is checked of them before anything is touched. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseAddress, type Address } from '../rpc/index.js';
import type { CniSettings } from './cni/index.js';
import type { MacvlanMode } from './drivers/macvlan.js';
import type { NameSettings } from './names/index.js';
import { AgentError } from './error.js';
import { silentLogger, type Logger } from './logger.js';
import { parseRemote } from './ovsdb/index.js';

export interface AgentOptions {
  /** Name of this host, unique in the cluster. */
  readonly hostLabel: string;
  /** The controller's hub, `HOST[:PORT]` (port 9001 by default) or `unix:PATH`; several of a cluster, separated by commas. */
  readonly controller: string;
  /** OpenFlow targets of the bridge, `HOST:PORT` separated by commas (default: the controller's hosts, port 6653). */
  readonly openflow?: string;
  /** What forwards on this host (default ovs). */
  readonly switch?: SwitchKind;
  /** Of `macvlan`: whether endpoints of this host reach each other (default bridge: they do). */
  readonly macvlanMode?: MacvlanMode;
  /** Of `macvlan`: the VLAN that the uplink carries untagged. */
  readonly untaggedVlan?: number;
  /** Integration bridge (default br-int); with Linux bridges the name that marks those of this agent. */
  readonly bridge?: string;
  /** Local address of VXLAN tunnels; absent: no VXLAN on this host. */
  readonly vtepIp?: string;
  /** Interface in the VLAN underlay; absent: no VLAN on this host. */
  readonly uplink?: string;
  /** What each uplink carries, kilobits per second (default: what the interface says); the guarantees of queues are parts of it. */
  readonly uplinkRate?: number;
  /** Take the uplink even if it carries the default route or the session the agent was started from. */
  readonly forceUplink?: boolean;
  /** `unix:PATH` or `tcp:HOST:PORT` (default unix:/run/openvswitch/db.sock). */
  readonly ovsdb?: string;
  /** Datapath of a new bridge (default auto). */
  readonly datapath?: 'auto' | 'netdev' | 'system';
  /** Whether Open vSwitch gives flows to network cards that can take them (default: as it is configured). */
  readonly hwOffload?: 'on' | 'off';
  /** Unix socket for local requests (default /run/weft/agent.sock); `false`: none. */
  readonly socket?: string | false;
  /** Folder of the state file (default /var/lib/weft/agent). */
  readonly stateDirectory?: string;
  /** Serve the CNI front at this unix socket; `true`: at /run/weft/cni.sock. */
  readonly cni?: string | boolean;
  /** Install the CNI front and a network configuration list below this folder; `true`: below /. Serves it as well. */
  readonly installCni?: string | boolean;
  /** Network of that list, `TENANT/NETWORK` (default kubernetes/pods). */
  readonly cniNetwork?: string;
  /** Answer the DNS questions of endpoints under this domain; `true`: weft.internal. Default: not at all. */
  readonly dns?: string | boolean;
  /** Resolvers for all other names, addresses separated by commas (default: those of the host). */
  readonly dnsForward?: string;
  readonly logger?: Logger;
  /** SSH_CONNECTION of whoever starts the agent (default: from the environment). */
  readonly sshConnection?: string | undefined;
}

/** `docs/switches.md` says what each can do. */
export type SwitchKind = 'ovs' | 'linux-bridge' | 'macvlan';

/** The options with everything filled in. */
export interface AgentSettings {
  readonly hostLabel: string;
  readonly hub: readonly [Address, ...Address[]];
  readonly openflow: readonly string[];
  readonly switch: SwitchKind;
  readonly macvlanMode: MacvlanMode;
  readonly untaggedVlan: number | undefined;
  readonly hwOffload: boolean | undefined;
  readonly bridge: string;
  readonly vtepIp: string | undefined;
  readonly uplink: string | undefined;
  readonly uplinkRate: number | undefined;
  readonly forceUplink: boolean;
  readonly ovsdb: string;
  readonly datapath: 'auto' | 'netdev' | 'system';
  readonly socket: string | undefined;
  readonly stateFile: string;
  readonly cni: CniSettings | undefined;
  readonly dns: NameSettings | undefined;
  readonly datapathId: string;
  readonly logger: Logger;
  readonly sshConnection: string | undefined;
}

const HUB_PORT = 9001;
const OPENFLOW_PORT = 6653;
/** Of the top-level domain for private use (ICANN, 2024). */
const DEFAULT_DOMAIN = 'weft.internal';

function invalid(path: string, message: string, fix: string): AgentError {
  return new AgentError('agent.option.invalid', `${path}: ${message}`, { path, fix });
}

function parseAddresses(path: string, text: string, defaultPort: number): [Address, ...Address[]] {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const [first, ...others] = parts.map((part) => {
    try {
      return parseAddress(part, defaultPort);
    } catch {
      throw invalid(path, `'${part}' is no address`, 'write HOST:PORT, [IPV6]:PORT or unix:PATH');
    }
  });
  if (first === undefined) throw invalid(path, 'is empty', 'name the controller, as HOST or HOST:PORT');
  return [first, ...others];
}

/** An address as Open vSwitch writes controller targets (ovs-vsctl(8)). */
function openflowTarget(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':')
    ? `tcp:[${address.host}]:${address.port}`
    : `tcp:${address.host}:${address.port}`;
}

/** The datapath id is made of the host label, so that it is the same after any loss of the switch's database and the agent's state. */
export function datapathIdOf(hostLabel: string): string {
  return createHash('sha256').update(`weft datapath ${hostLabel}`).digest('hex').slice(0, 16);
}

function cniSettings({ cni, installCni, cniNetwork }: AgentOptions): CniSettings | undefined {
  const [tenant = '', network = '', ...rest] = (cniNetwork ?? 'kubernetes/pods').split('/');
  if (tenant === '' || network === '' || rest.length > 0) {
    throw invalid('cniNetwork', `'${cniNetwork}' is no network`, 'write TENANT/NETWORK');
  }
  if ((cni ?? false) === false && (installCni ?? false) === false) return undefined;
  const socket = typeof cni === 'string' ? cni : '/run/weft/cni.sock';
  if (!/^\/[^"\\\n]*$/.test(socket))
    throw invalid('cni', `'${socket}' is no absolute path`, 'give PATH from / on');
  if ((installCni ?? false) === false) return { socket };
  return { socket, install: { root: typeof installCni === 'string' ? installCni : '/', tenant, network } };
}

function checkSwitch(
  kind: SwitchKind,
  mode: MacvlanMode,
  untaggedVlan: number | undefined,
  uplink: string | undefined,
): void {
  if (!['ovs', 'linux-bridge', 'macvlan'].includes(kind)) {
    throw invalid('switch', `'${kind}' is unknown`, 'ovs, linux-bridge or macvlan');
  }
  if (!['private', 'bridge'].includes(mode)) {
    throw invalid('macvlanMode', `'${mode}' is unknown`, 'private or bridge');
  }
  if (kind !== 'macvlan') return;
  if (uplink === undefined) {
    throw invalid('uplink', 'is needed with macvlan', 'name the interface that its interfaces belong to');
  }
  if (
    untaggedVlan === undefined ||
    !(Number.isInteger(untaggedVlan) && untaggedVlan >= 1 && untaggedVlan <= 4094)
  ) {
    throw invalid(
      'untaggedVlan',
      'is needed with macvlan',
      'give the VLAN id, 1 to 4094, that the uplink carries untagged',
    );
  }
}

function nameSettings({ dns, dnsForward, switch: kind = 'ovs' }: AgentOptions): NameSettings | undefined {
  const upstreams = dnsForward
    ?.split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  for (const upstream of upstreams ?? []) {
    if (isIP(upstream.replace(/#\d{1,5}$/, '')) === 0)
      throw invalid('dnsForward', `'${upstream}' is no resolver`, 'give ADDRESS or ADDRESS#PORT');
  }
  if ((dns ?? false) === false) return undefined;
  if (kind !== 'ovs')
    throw invalid(
      'dns',
      `questions cannot be told apart with ${kind}`,
      'leave --dns out, or use --switch ovs',
    );
  const domain = typeof dns === 'string' ? dns.replace(/^\.|\.$/g, '') : DEFAULT_DOMAIN;
  if (!/^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,8}$/i.test(domain))
    throw invalid('dns', `'${domain}' is no domain`, `give one like ${DEFAULT_DOMAIN}`);
  return { domain, ...(upstreams === undefined ? {} : { upstreams }) };
}

/** @throws AgentError `agent.option.invalid` */
export function resolveOptions(options: AgentOptions): AgentSettings {
  const { hostLabel, bridge = 'br-int', vtepIp, uplink, uplinkRate, datapath = 'auto' } = options;
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/.test(hostLabel)) {
    throw invalid(
      'hostLabel',
      `'${hostLabel}' is no host label`,
      'use letters, digits, dots, dashes, underscores',
    );
  }
  if (!/^[^\s/]{1,15}$/.test(bridge)) {
    throw invalid(
      'bridge',
      `'${bridge}' is no interface name`,
      'use at most 15 characters without / and spaces',
    );
  }
  if (uplink !== undefined && !/^[^\s/]{1,15}$/.test(uplink)) {
    throw invalid('uplink', `'${uplink}' is no interface name`, 'see: ip link');
  }
  const { switch: kind = 'ovs', macvlanMode = 'bridge', untaggedVlan } = options;
  checkSwitch(kind, macvlanMode, untaggedVlan, uplink);
  if (options.hwOffload !== undefined && kind !== 'ovs')
    throw invalid('hwOffload', `is of Open vSwitch, and the switch is ${kind}`, 'leave it out');
  if (uplink === bridge)
    throw invalid('uplink', 'is the bridge itself', 'name a network interface of the host');
  if (uplinkRate !== undefined && !(Number.isSafeInteger(uplinkRate) && uplinkRate > 0)) {
    throw invalid('uplinkRate', `${uplinkRate} is no rate`, 'give kilobits per second, at least 1');
  }
  if (vtepIp !== undefined && isIP(vtepIp) === 0) {
    throw invalid('vtepIp', `'${vtepIp}' is no IP address`, 'give it without prefix length');
  }
  if (!['auto', 'netdev', 'system'].includes(datapath)) {
    throw invalid('datapath', `'${datapath}' is unknown`, 'auto, netdev or system');
  }
  const ovsdb = options.ovsdb ?? 'unix:/run/openvswitch/db.sock';
  parseRemote(ovsdb);
  const hub = parseAddresses('controller', options.controller, HUB_PORT);
  const openflow =
    options.openflow === undefined
      ? hub.flatMap((address) => (address.kind === 'tcp' ? [{ ...address, port: OPENFLOW_PORT }] : []))
      : parseAddresses('openflow', options.openflow, OPENFLOW_PORT);
  if (openflow.length === 0) {
    throw invalid(
      'openflow',
      'is needed when the hub is a unix socket',
      'give HOST:PORT of the OpenFlow listener',
    );
  }
  return {
    hostLabel,
    hub,
    openflow: openflow.map(openflowTarget),
    switch: kind,
    macvlanMode,
    untaggedVlan,
    hwOffload: options.hwOffload === undefined ? undefined : options.hwOffload === 'on',
    bridge,
    vtepIp,
    uplink,
    uplinkRate,
    forceUplink: options.forceUplink ?? false,
    ovsdb,
    datapath,
    socket: options.socket === false ? undefined : (options.socket ?? '/run/weft/agent.sock'),
    stateFile: join(options.stateDirectory ?? '/var/lib/weft/agent', `${bridge}.json`),
    cni: cniSettings(options),
    dns: nameSettings(options),
    datapathId: datapathIdOf(hostLabel),
    logger: options.logger ?? silentLogger,
    sshConnection: 'sshConnection' in options ? options.sshConnection : process.env['SSH_CONNECTION'],
  };
}
