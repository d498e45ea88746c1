/**
 * The macvlan driver: a workload's interface is a macvlan of the uplink, and what is beyond the uplink forwards. There is no bridge, no
 * policy and no tunnel here; endpoints that need any of them are refused.
 *
 * The uplink carries one VLAN network untagged (an access port of the fabric), named by `untaggedVlan`; the others need VLAN devices of
 * the kernel, which this driver does not make.
 */
import { existsSync } from 'node:fs';
import { AgentError } from '../error.js';
import { command, runCommand } from '../linux/command.js';
import type { Leg } from '../linux/links.js';
import type { Logger } from '../logger.js';
import type { AttachmentRecord } from '../records.js';
import type { BridgeState, DriverState, SwitchDriver } from './driver.js';
import type { Legs } from './legs.js';
import { SerialWork } from './serial-work.js';
import { HostTableCopy, type Refusal, type TableChange } from './table.js';

/** `private`: endpoints of this host do not reach each other; `bridge`: they do, inside the kernel (ip-link(8)). */
export type MacvlanMode = 'private' | 'bridge';

export interface MacvlanDriverOptions {
  readonly hostLabel: string;
  readonly uplink: string;
  readonly mode: MacvlanMode;
  /** The VLAN that the uplink carries untagged. */
  readonly untaggedVlan: number;
  readonly logger: Logger;
}

interface InnerLink {
  readonly ifname: string;
  readonly ifalias?: string;
}

const inside = (namespace: string, argv: readonly string[]): readonly string[] => [
  'nsenter',
  `--net=${namespace}`,
  '--',
  ...argv,
];

export class MacvlanDriver implements SwitchDriver {
  readonly state: DriverState = 'ready';
  readonly legs: Legs;
  readonly #table = new HostTableCopy();
  readonly #ports = new Map<string, AttachmentRecord>();
  readonly #work = new SerialWork();
  #refused: readonly Refusal[] = [];

  constructor(private readonly options: MacvlanDriverOptions) {
    this.legs = macvlanLegs(options);
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  onState(): () => void {
    return () => {};
  }

  onPorts(): () => void {
    return () => {};
  }

  tunnels(): readonly [] {
    return [];
  }

  onTunnels(): () => void {
    return () => {};
  }

  close(): void {}

  ensureBridge(): Promise<BridgeState> {
    return this.#work.run(async () => {
      await this.#close(this.#refused);
      const problems = this.#refused.map(({ key, reason }) => `${key.split(' ').at(-1)}: ${reason}`);
      return { datapathType: 'macvlan', problems };
    });
  }

  ensureQueues({ queues }: { readonly queues: readonly unknown[] }): Promise<readonly string[]> {
    return Promise.resolve(queues.length === 0 ? [] : ['queues of the uplink are not made on macvlan hosts']);
  }

  ports(): ReturnType<SwitchDriver['ports']> {
    return [...this.#ports].map(([name, record]) => ({ interface: name, record }));
  }

  addPort(interfaceName: string, record: AttachmentRecord): Promise<void> {
    if (record.namespace === undefined || record.innerInterface === undefined) {
      throw new AgentError('agent.port.failed', 'a macvlan host attaches network namespaces only', {
        path: 'netns',
        fix: 'attach the interface on a host with Open vSwitch or Linux bridges',
      });
    }
    this.#ports.set(interfaceName, record);
    return Promise.resolve();
  }

  removePort(interfaceName: string): Promise<void> {
    this.#ports.delete(interfaceName);
    return Promise.resolve();
  }

  takeTable(change: TableChange): Promise<readonly Refusal[]> {
    return this.#work.run(async () => {
      if (!this.#table.take(change)) return [];
      this.#refused = this.#refusals();
      await this.#close(this.#refused);
      return this.#refused;
    });
  }

  /** Endpoints of this host that it cannot serve. */
  #refusals(): readonly Refusal[] {
    const { hostLabel, uplink, untaggedVlan } = this.options;
    const networks = new Map([...this.#table.of('network')].map(([, row]) => [row.network, row]));
    const judged = new Set([...this.#table.of('judged')].map(([, { endpoint }]) => endpoint));
    return [...this.#table.of('endpoint')].flatMap(([key, { endpoint, host, network }]) => {
      if (host !== hostLabel) return [];
      const { id = '', encapsulation, tag } = networks.get(network) ?? {};
      if (encapsulation !== 'vlan')
        return [{ key, reason: `network ${id} is a VXLAN network, and macvlan has no tunnels` }];
      if (tag !== untaggedVlan) {
        const reason = `network ${id} has VLAN ${tag}, and ${uplink} carries VLAN ${untaggedVlan} (--untagged-vlan) and no other`;
        return [{ key, reason }];
      }
      if (judged.has(endpoint))
        return [{ key, reason: 'it is judged by policies, which macvlan cannot enforce' }];
      return [];
    });
  }

  /** Policy that comes later finds an interface that must not carry anything any more. */
  async #close(refused: readonly Refusal[]): Promise<void> {
    const keys = new Set(refused.map(({ key }) => key));
    for (const [key, { endpoint, host, interface: name }] of this.#table.of('endpoint')) {
      if (host !== this.options.hostLabel) continue;
      const record = this.#ports.get(name);
      if (record?.endpoint !== endpoint || record.namespace === undefined) continue;
      if (!existsSync(record.namespace)) continue;
      if (!keys.has(key)) continue;
      const { namespace, innerInterface = '' } = record;
      const result = await runCommand(
        inside(namespace, ['ip', 'link', 'set', 'dev', innerInterface, 'down']),
      );
      if (result.exitCode === 0) this.options.logger.warn({ event: 'endpoint.closed', endpoint });
    }
  }
}

/** The host sees nothing of these interfaces but through their namespaces. */
function macvlanLegs({ uplink, mode }: MacvlanDriverOptions): Legs {
  const aliasIn = async (record: AttachmentRecord): Promise<string | undefined> => {
    const { namespace, innerInterface = '' } = record;
    if (namespace === undefined || !existsSync(namespace)) return undefined;
    const shown = await runCommand(inside(namespace, ['ip', '-json', 'link', 'show', 'dev', innerInterface]));
    if (shown.exitCode !== 0) return undefined;
    return (JSON.parse(shown.stdout) as InnerLink[])[0]?.ifalias ?? '';
  };
  const legs: Legs = {
    list: async (records) => {
      const found = await Promise.all(
        [...records].map(async ([name, record]) => [name, await aliasIn(record)] as const),
      );
      return new Map(found.filter(([, alias]) => alias !== undefined));
    },
    exists: async (_, record) => (await aliasIn(record)) !== undefined,
    create: (leg) => createMacvlan(uplink, mode, leg),
    remove: async (_, record) => {
      if (record === undefined || (await aliasIn(record)) === undefined) return;
      const { namespace = '', innerInterface = '' } = record;
      await command(inside(namespace, ['ip', 'link', 'delete', 'dev', innerInterface]));
    },
  };
  return legs;
}

async function createMacvlan(uplink: string, mode: MacvlanMode, leg: Leg): Promise<void> {
  const { namespace, innerInterface, mac, mtu, alias } = leg;
  if (namespace === undefined) {
    throw new AgentError('agent.port.failed', 'a macvlan host makes interfaces in network namespaces only', {
      path: 'netns',
      fix: 'attach on a host with Open vSwitch or Linux bridges',
    });
  }
  if (!existsSync(namespace)) {
    throw new AgentError('agent.namespace.missing', `there is no network namespace ${namespace}`, {
      path: 'netns',
      fix: 'give the path of a namespace, such as /run/netns/NAME or /proc/PID/ns/net',
    });
  }
  const show = inside(namespace, ['ip', '-json', 'link', 'show', 'dev', innerInterface]);
  const there = await runCommand(show);
  if (there.exitCode === 0) {
    const [link] = JSON.parse(there.stdout) as InnerLink[];
    if (link?.ifalias !== alias) {
      throw new AgentError(
        'agent.interface.exists',
        `${namespace} has an interface ${innerInterface} already`,
        {
          path: 'innerInterface',
          fix: 'choose another name',
        },
      );
    }
    // Of an attachment of this endpoint that was cut off.
    await command(inside(namespace, ['ip', 'link', 'delete', 'dev', innerInterface]));
  }
  const { hostInterface } = leg;
  await command([
    'ip',
    'link',
    'add',
    'link',
    uplink,
    'name',
    hostInterface,
    'address',
    mac,
    'mtu',
    `${mtu}`,
    'type',
    'macvlan',
    'mode',
    mode,
  ]);
  try {
    await command(['ip', 'link', 'set', 'dev', hostInterface, 'alias', alias]);
    await command(['ip', 'link', 'set', 'dev', hostInterface, 'netns', namespace]);
  } catch (error) {
    await runCommand(['ip', 'link', 'delete', 'dev', hostInterface]);
    throw error;
  }
  await command(inside(namespace, ['ip', 'link', 'set', 'dev', hostInterface, 'name', innerInterface]));
}
