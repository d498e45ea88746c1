/**
 * The endpoints attached to this host: making their ports and legs, taking them away, and putting right what a crash, a switch that came
 * back empty or a container that ended left behind.
 *
 * The order of an attachment is the promise to its user: the port is made, the controller is asked and answers when the entries are
 * acknowledged, and only then does the leg come up. What fails on the way is undone backwards.
 */
import { createHash } from 'node:crypto';
import type { Attachment, EndpointView } from '../rpc/index.js';
import type { SwitchDriver } from './drivers/driver.js';
import { AgentError, messageOf } from './error.js';
import type { HubSession, MergedAttachments } from './hub-session.js';
import { KeyedQueue } from './keyed-queue.js';
import { configureLeg, type LegAddresses, linkExists, setMtu, setUp } from './linux/links.js';
import type { LocalAttachParams, LocalAttachResult } from './local/methods.js';
import type { Logger } from './logger.js';
import { isLeg, samePlace, type AttachmentRecord } from './records.js';
import type { StateFile } from './state-file.js';

export interface AttachmentsOptions {
  readonly driver: SwitchDriver;
  readonly hub: () => HubSession;
  readonly state: StateFile;
  readonly hostLabel: string;
  readonly bridge: string;
  readonly logger: Logger;
  /** MTU of an endpoint's leg, bytes. */
  mtuOf(view: EndpointView): Promise<number>;
  /** Address of the name server that is on every link; absent: there is none. */
  readonly nameServer?: string;
  /** Whether legs must compute their checksums themselves (the userspace datapath). */
  needsChecksums(): boolean;
}

const DEFAULT_INNER_INTERFACE = 'eth0';
const DEFAULT_DEADLINE_MS = 30_000;

/** Name of the host's end of a leg: of a fixed length, and the same at every try, so that a leftover of a crash is found. */
export function hostInterfaceOf(endpoint: string): string {
  return `weft${createHash('sha256').update(endpoint).digest('hex').slice(0, 10)}`;
}

export class Attachments {
  /** By name of the interface on the bridge. */
  private readonly records = new Map<string, AttachmentRecord>();
  private readonly queue = new KeyedQueue();
  /** Interfaces that are being attached or detached this moment. */
  private readonly busy = new Set<string>();
  private adopted = false;

  constructor(private readonly options: AttachmentsOptions) {
    for (const [name, record] of Object.entries(options.state.current.attachments))
      this.records.set(name, record);
  }

  /** The whole truth for the controller. */
  list(): readonly Attachment[] {
    return [...this.records].map(([name, { endpoint, generation }]) => ({
      endpoint,
      interface: name,
      generation,
    }));
  }

  /** As {@link list}, with what only this host knows. */
  entries(): readonly (readonly [string, AttachmentRecord])[] {
    return [...this.records];
  }

  attach(params: LocalAttachParams): Promise<LocalAttachResult> {
    const places = [params.netns, params.interface, params.peer].filter((place) => place !== undefined);
    if (places.length !== 1) {
      throw new AgentError('agent.option.invalid', 'exactly one of netns, interface and peer is needed', {
        path: 'netns',
      });
    }
    const endpoint = `${params.tenant}/${params.network}/${params.endpoint}`;
    return this.queue.run(endpoint, () => this.attachNow(endpoint, params));
  }

  /** Take an endpoint off this host and tell the controller. False: it was not here. */
  detach(
    endpoint: string,
    options: { readonly release?: boolean; readonly reason: string },
  ): Promise<boolean> {
    return this.queue.run(endpoint, async () => {
      const found = this.find(endpoint);
      if (found === undefined && options.release !== true) return false;
      if (found !== undefined) await this.takeDown(...found, options.reason);
      await this.tellDetached(endpoint, found?.[1].generation, options.release ?? false);
      return found !== undefined;
    });
  }

  /** The controller says that an endpoint is not this host's any more. It is not told in turn. */
  drop(endpoint: string, reason: string): Promise<void> {
    return this.queue.run(endpoint, async () => {
      const found = this.find(endpoint);
      if (found !== undefined) await this.takeDown(...found, reason);
    });
  }

  /** Take in what the controller made of a snapshot: what is not this host's goes, and generations are the controller's. */
  async merge({ stale, held }: MergedAttachments): Promise<void> {
    for (const endpoint of stale) await this.drop(endpoint, 'the controller does not hold it here');
    for (const { endpoint, interface: name, generation } of held) {
      await this.queue.run(endpoint, async () => {
        const record = this.records.get(name);
        if (record?.endpoint !== endpoint || record.generation >= generation) return;
        this.records.set(name, { ...record, generation });
        await this.remember();
        if (this.options.driver.state === 'ready')
          await this.options.driver.addPort(name, { ...record, generation });
      });
    }
  }

  /** An endpoint's addresses changed: give them to its leg. */
  change(view: EndpointView): Promise<void> {
    return this.queue.run(view.endpoint, async () => {
      const { namespace, innerInterface } = this.find(view.endpoint)?.[1] ?? {};
      if (namespace === undefined || innerInterface === undefined) return;
      await configureLeg(namespace, innerInterface, legAddresses(view, this.options.nameServer));
    });
  }

  /** Tell the controller what could not be told while it was away. */
  async releasePending(): Promise<void> {
    const { state } = this.options;
    for (const release of state.current.releases) {
      await this.options.hub().detach({ ...release, release: true });
      const releases = state.current.releases.filter((other) => other !== release);
      await state.update({ releases });
    }
  }

  /**
   * Make switch, kernel and memory agree. The memory is the truth, but for the first time, when ports that the switch remembers and
   * the state file does not are taken in (the agent ended between the two writes). Ports that the switch lost are made again, legs whose
   * namespace is gone are detached, and what an attachment that never finished left is removed.
   */
  async reconcile(): Promise<void> {
    const links = await this.options.driver.legs.list(this.records);
    const ports = new Map(this.options.driver.ports().map((port) => [port.interface, port.record]));
    if (!this.adopted) {
      for (const [name, record] of ports) {
        const known = this.records.get(name);
        if (record.generation > (known?.generation ?? 0)) this.records.set(name, record);
      }
      this.adopted = true;
      await this.remember();
    }
    for (const [name, record] of ports) {
      if (!this.records.has(name) && !this.busy.has(name)) {
        this.options.logger.info({ event: 'port.leftover', interface: name, endpoint: record.endpoint });
        await this.options.driver.removePort(name);
      }
    }
    for (const [name, alias] of links) {
      if (alias?.startsWith(this.aliasPrefix) && !this.records.has(name) && !this.busy.has(name)) {
        this.options.logger.info({ event: 'link.leftover', interface: name });
        await this.options.driver.legs.remove(name);
      }
    }
    for (const [name, record] of this.records) {
      if (this.busy.has(name)) continue;
      if (!links.has(name)) {
        // A virtual machine that restarts makes its tap anew; a leg is gone only with the namespace of its other end.
        if (isLeg(record)) this.detachLater(record.endpoint);
      } else if (!ports.has(name)) {
        this.options.logger.warn({ event: 'port.restored', interface: name, endpoint: record.endpoint });
        await this.options.driver.addPort(name, record);
      }
    }
  }

  /** Resolves when no attachment or detachment runs. */
  idle(): Promise<void> {
    return this.queue.idle();
  }

  private get aliasPrefix(): string {
    return `weft:${this.options.hostLabel}/${this.options.bridge}:`;
  }

  private find(endpoint: string): readonly [string, AttachmentRecord] | undefined {
    for (const entry of this.records) {
      if (entry[1].endpoint === endpoint) return entry;
    }
    return undefined;
  }

  private detachLater(endpoint: string): void {
    const reason = 'its network namespace is gone';
    this.detach(endpoint, { reason, release: true }).catch((error: unknown) => {
      this.options.logger.error({ event: 'endpoint.detach.failed', endpoint, reason: messageOf(error) });
    });
  }

  private async attachNow(endpoint: string, params: LocalAttachParams): Promise<LocalAttachResult> {
    const { driver, logger } = this.options;
    const hub = this.options.hub();
    const undo: (() => Promise<unknown>)[] = [];
    const name = params.interface ?? hostInterfaceOf(endpoint);
    this.busy.add(name);
    try {
      const view = await hub.request(requestOf(params));
      const mtu = await this.options.mtuOf(view);
      const fresh = recordOf(endpoint, params, view);
      if (view.host === undefined || view.host === this.options.hostLabel) {
        undo.push(() => hub.detach({ endpoint, release: true }));
      }
      const reused = await this.prepareInterface(name, fresh, mtu, undo);
      // What was attached before stays, whatever becomes of this.
      if (reused) undo.length = 0;
      const record = { ...fresh, generation: (reused ? this.records.get(name)?.generation : undefined) ?? 0 };
      await driver.addPort(name, record);
      if (!reused) undo.push(() => driver.removePort(name));
      const deadlineMs = params.deadlineMs ?? DEFAULT_DEADLINE_MS;
      const attached = await hub.attach({ endpoint, interface: name, deadlineMs });
      const { generation } = attached;
      if (reused) this.records.set(name, { ...record, generation });
      if (record.namespace !== undefined && record.innerInterface !== undefined) {
        await configureLeg(
          record.namespace,
          record.innerInterface,
          legAddresses(attached.endpoint, this.options.nameServer),
          !reused,
        );
      }
      await driver.addPort(name, { ...record, generation });
      this.records.set(name, { ...record, generation });
      await this.remember();
      logger.info({ event: 'endpoint.attached', endpoint, interface: name, generation, mtu });
      return {
        endpoint: attached.endpoint,
        interface: name,
        mtu,
        generation,
        others: attached.others,
        ...(record.innerInterface === undefined ? {} : { innerInterface: record.innerInterface }),
        ...(record.peer === undefined ? {} : { peer: record.peer }),
      };
    } catch (error) {
      logger.warn({ event: 'endpoint.attach.failed', endpoint, reason: messageOf(error) });
      await this.undo(endpoint, undo);
      throw error;
    } finally {
      this.busy.delete(name);
    }
  }

  /** Make the leg, or take over the interface. True: it is attached already, at the same place. */
  private async prepareInterface(
    name: string,
    record: AttachmentRecord,
    mtu: number,
    undo: (() => Promise<unknown>)[],
  ): Promise<boolean> {
    const old = this.find(record.endpoint);
    if (old !== undefined) {
      if (
        old[0] === name &&
        samePlace(old[1], record) &&
        (await this.options.driver.legs.exists(name, record))
      )
        return true;
      await this.takeDown(...old, 'it is attached at another place');
    }
    const innerInterface = record.peer ?? record.innerInterface;
    if (!isLeg(record) || innerInterface === undefined) {
      if (!(await linkExists(name))) {
        throw new AgentError('agent.interface.missing', `this host has no interface ${name}`, {
          path: 'interface',
        });
      }
      await setMtu(name, mtu);
      await setUp(name);
      return false;
    }
    // A leftover of an attachment that was cut off.
    await this.options.driver.removePort(name);
    await this.options.driver.legs.create({
      hostInterface: name,
      ...(record.namespace === undefined ? {} : { namespace: record.namespace }),
      innerInterface,
      mac: record.mac,
      mtu,
      alias: `${this.aliasPrefix}${record.endpoint}`,
      checksums: this.options.needsChecksums(),
    });
    undo.push(() => this.options.driver.legs.remove(name, record));
    return false;
  }

  private async undo(endpoint: string, steps: readonly (() => Promise<unknown>)[]): Promise<void> {
    for (const step of steps.toReversed()) {
      await step().catch((error: unknown) => {
        this.options.logger.warn({ event: 'endpoint.undo.failed', endpoint, reason: messageOf(error) });
      });
    }
  }

  /** Away from memory, bridge and kernel, in this order: what a crash leaves is then a leftover and not an attachment. */
  private async takeDown(name: string, record: AttachmentRecord, reason: string): Promise<void> {
    const wasBusy = this.busy.has(name);
    this.busy.add(name);
    try {
      this.records.delete(name);
      await this.remember();
      // A switch that is away is put right by reconcile when it is back.
      if (this.options.driver.state === 'ready') await this.options.driver.removePort(name);
      if (isLeg(record)) await this.options.driver.legs.remove(name, record);
      this.options.logger.info({
        event: 'endpoint.detached',
        endpoint: record.endpoint,
        interface: name,
        reason,
      });
    } finally {
      if (!wasBusy) this.busy.delete(name);
    }
  }

  private async tellDetached(
    endpoint: string,
    generation: number | undefined,
    release: boolean,
  ): Promise<void> {
    const known = generation === undefined ? {} : { generation };
    try {
      await this.options.hub().detach({ endpoint, ...known, ...(release ? { release } : {}) });
    } catch (error) {
      // The next snapshot tells that it is detached; that it should be released has to be remembered.
      this.options.logger.warn({ event: 'endpoint.detach.untold', endpoint, reason: messageOf(error) });
      if (!release) return;
      const releases = [...this.options.state.current.releases, { endpoint, ...known }];
      await this.options.state.update({ releases });
    }
  }

  private remember(): Promise<void> {
    return this.options.state.update({ attachments: Object.fromEntries(this.records) });
  }
}

function requestOf(params: LocalAttachParams): Parameters<HubSession['request']>[0] {
  const { tenant, network, endpoint, attachUUID, ip, ip6, mac } = params;
  const { labels, groups, ports, qos, rates, waitMs } = params;
  return {
    tenant,
    network,
    endpoint,
    ...(attachUUID === undefined ? {} : { attachUUID }),
    ...(ip === undefined ? {} : { ip }),
    ...(ip6 === undefined ? {} : { ip6 }),
    ...(mac === undefined ? {} : { mac }),
    ...(labels === undefined ? {} : { labels }),
    ...(groups === undefined ? {} : { groups }),
    ...(ports === undefined ? {} : { ports }),
    ...(qos === undefined ? {} : { qos }),
    ...(rates === undefined ? {} : { rates }),
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}

function recordOf(endpoint: string, params: LocalAttachParams, view: EndpointView): AttachmentRecord {
  const { netns, innerInterface = DEFAULT_INNER_INTERFACE, peer, attachUUID } = params;
  return {
    endpoint,
    generation: 0,
    mac: view.mac,
    ...(attachUUID === undefined ? {} : { attachUUID }),
    ...(netns === undefined ? {} : { namespace: netns, innerInterface }),
    ...(peer === undefined ? {} : { peer }),
  };
}

function legAddresses(view: EndpointView, nameServer: string | undefined): LegAddresses {
  const present = (values: readonly (string | undefined)[]): string[] =>
    values.filter((value): value is string => value !== undefined);
  return {
    addresses: present([view.ip, view.ip6]),
    gateways: present([view.gateway, view.gateway6]),
    // Questions come from an IPv4 address.
    onLink: view.ip === undefined ? [] : present([nameServer]),
  };
}
