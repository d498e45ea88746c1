/**
 * The Linux bridge driver: a bridge of the kernel for each network that the host carries, a VXLAN device as its port to the other hosts,
 * forwarding entries from the table that the controller tells, and nftables for who may send what. It works together with Open vSwitch on
 * other hosts: same VNIs, same port, head-end replication.
 *
 * Nothing is learned and nothing unknown is flooded: who is where, the table says. The kernel is the memory: an agent that starts
 * leaves it as it is until a whole table has come, and then changes what differs.
 */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { AgentError, messageOf } from '../error.js';
import { command, runCommand } from '../linux/command.js';
import type { Logger } from '../logger.js';
import type { AttachmentRecord } from '../records.js';
import type { BridgeSettings, BridgeState, DriverState, SwitchDriver } from './driver.js';
import { vethLegs } from './legs.js';
import {
  commandsFor,
  type KernelCommands,
  type KernelState,
  portEntries,
  readKernel,
} from './linux-bridge-kernel.js';
import { type KernelPlan, planOf } from './linux-bridge-plan.js';
import { SerialWork } from './serial-work.js';
import { HostTableCopy, type Refusal, type TableChange } from './table.js';

export interface LinuxBridgeDriverOptions {
  readonly hostLabel: string;
  /** Tells this agent's bridges from another's. */
  readonly bridge: string;
  readonly vtepIp?: string;
  readonly logger: Logger;
}

/** Where the kernel says that it can pass bridged packets to its IP hooks. */
const BRIDGE_NETFILTER = '/proc/sys/net/bridge';

export class LinuxBridgeDriver implements SwitchDriver {
  readonly legs = vethLegs;
  readonly state: DriverState = 'ready';
  /** Given to the kernel since the start. */
  #commands = 0;
  readonly #table = new HostTableCopy();
  readonly #ports = new Map<string, AttachmentRecord>();
  readonly #work = new SerialWork();
  #canJudge: boolean | undefined;
  #problems: readonly string[] = [];

  constructor(private readonly options: LinuxBridgeDriverOptions) {}

  /** Rejects with `agent.command.failed` where nftables or bridges are not to be had. */
  async ready(): Promise<void> {
    await command(['nft', '-j', 'list', 'tables']);
    await this.#checkJudging();
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

  /** Puts right what differs from the table; nothing before there is one. */
  ensureBridge(_: BridgeSettings): Promise<BridgeState> {
    return this.#work.run(async () => {
      if (this.#table.complete) await this.#bringIntoLine();
      return { datapathType: 'linux-bridge', problems: this.#problems };
    });
  }

  ensureQueues({ queues }: { readonly queues: readonly unknown[] }): Promise<readonly string[]> {
    return Promise.resolve(
      queues.length === 0 ? [] : ['queues of the uplinks are not made on hosts with Linux bridges'],
    );
  }

  ports(): ReturnType<SwitchDriver['ports']> {
    return [...this.#ports].map(([name, record]) => ({ interface: name, record }));
  }

  /** The interface carries nothing before the table names it. */
  addPort(interfaceName: string, record: AttachmentRecord): Promise<void> {
    this.#ports.set(interfaceName, record);
    return Promise.resolve();
  }

  removePort(interfaceName: string): Promise<void> {
    return this.#work.run(async () => {
      this.#ports.delete(interfaceName);
      const { bridges, ports } = await readKernel(this.#mark);
      const bridge = ports.get(interfaceName);
      if (bridge === undefined || !bridges.has(bridge)) return;
      await command(['ip', 'link', 'set', 'dev', interfaceName, 'nomaster']);
    });
  }

  takeTable(change: TableChange): Promise<readonly Refusal[]> {
    return this.#work.run(async () => {
      if (!this.#table.take(change)) return [];
      const before = this.#commands;
      const { refused } = await this.#bringIntoLine();
      this.options.logger.debug({ event: 'table.taken', commands: this.#commands - before });
      return refused;
    });
  }

  get #mark(): string {
    return `weft-network:${this.options.hostLabel}/${this.options.bridge}`;
  }

  async #checkJudging(): Promise<boolean> {
    if (this.#canJudge === undefined) {
      if (!existsSync(BRIDGE_NETFILTER))
        await runCommand(['modprobe', 'br_netfilter']).catch(() => undefined);
      this.#canJudge = existsSync(BRIDGE_NETFILTER);
    }
    return this.#canJudge;
  }

  async #bringIntoLine(): Promise<KernelPlan> {
    const canJudge = await this.#checkJudging();
    const state = await readKernel(this.#mark);
    const { hostLabel, vtepIp } = this.options;
    const plan = planOf(this.#table, {
      hostLabel,
      canJudge,
      hasInterface: (name) => this.#ports.has(name) && state.interfaces.has(name),
      ...(vtepIp === undefined ? {} : { vtepIp }),
    });
    this.#refuseForeign(state, plan);
    await this.#apply(commandsFor(state, plan, this.#mark), state, plan);
    this.#tell(plan, canJudge);
    return plan;
  }

  #refuseForeign({ foreign }: KernelState, { bridges }: KernelPlan): void {
    for (const [bridge, { id, tunnel }] of bridges) {
      const name = [bridge, tunnel?.name].find((one) => one !== undefined && foreign.has(one));
      if (name === undefined) continue;
      throw new AgentError(
        'agent.bridge.foreign',
        `${name}, for network ${id}, is there and not of this agent`,
        {
          path: 'bridge',
          fix: `ip link delete ${name}`,
        },
      );
    }
  }

  async #apply(commands: KernelCommands, state: KernelState, plan: KernelPlan): Promise<void> {
    const { disconnect, nftables, links, entries, connect, remove } = commands;
    await this.#batch(['ip', '-batch', '-'], disconnect);
    await this.#batch(['nft', '-f', '-'], nftables);
    await this.#batch(['ip', '-batch', '-'], links);
    for (const line of links) {
      const [, name] = /^link add name (\S+) /.exec(line) ?? [];
      if (name !== undefined) await silence(name);
    }
    await this.#batch(['bridge', '-batch', '-'], entries);
    await this.#batch(['ip', '-batch', '-'], connect);
    await this.#batch(['bridge', '-batch', '-'], portEntries(state, plan));
    await this.#batch(['ip', '-batch', '-'], remove);
  }

  async #batch(argv: readonly string[], lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    this.#commands += lines.length;
    this.options.logger.debug({ event: 'kernel.commands', argv: argv[0], lines });
    await command(argv, `${lines.join('\n')}\n`);
  }

  #tell({ problems, refused }: KernelPlan, canJudge: boolean): void {
    const before = this.#problems.join();
    this.#problems = [
      ...problems,
      ...(canJudge
        ? []
        : ['policy cannot be enforced: br_netfilter is missing; endpoints with policies are refused']),
      ...refused.map(({ key, reason }) => `${key.split(' ').at(-1)}: ${reason}`),
    ];
    if (this.#problems.join() !== before) {
      this.options.logger.info({ event: 'table.problems', problems: this.#problems });
    }
  }
}

/** The host itself has no business in networks of its endpoints: no addresses of its own there, no membership reports. */
async function silence(name: string): Promise<void> {
  const path = `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`;
  if (!existsSync(path)) return;
  await writeFile(path, '1').catch((error: unknown) => {
    throw new AgentError('agent.command.failed', `${path}: ${messageOf(error)}`);
  });
}
