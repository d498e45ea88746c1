/**
 * The operations of the Container Network Interface.
 *
 * - ADD answers when the home switch has acknowledged the endpoint. It waits for a controller or a switch that is away, and for a pod's
 *   endpoint to be declared, until its deadline; then it says what it waited for. The interface of a container is added once: an ADD of
 *   one that exists is an error (specification, "ADD"), and leaves it alone.
 * - DEL of what is not there succeeds, also without a namespace, and also while the controller is away, which is told later.
 * - GC takes away what is of this network configuration and not among the valid attachments.
 *
 * The runtime gives one operation for a container at a time; different ones run side by side.
 */
import { existsSync } from 'node:fs';
import type { AgentMemory } from '../state-file.js';
import type { AttachmentRecord } from '../records.js';
import { messageOf } from '../error.js';
import { KeyedQueue } from '../keyed-queue.js';
import type { LocalAttachParams, LocalAttachResult } from '../local/methods.js';
import type { Logger } from '../logger.js';
import {
  basicsOf,
  keyOf,
  wantedEndpoint,
  type Basics,
  type CniRequest,
  type InterfaceKey,
  type WantedEndpoint,
} from './configuration.js';
import { checkAttachment } from './check.js';
import { cniErrorOf } from './errors.js';
import { defaultRoutes, macOf, setLegMtu } from './inspect.js';
import { addResult, CniCode, CniError, CNI_VERSIONS, type AddResult } from './protocol.js';
import { recordKey, type CniRecord } from './records.js';

/** What the plugin needs of the agent. */
export interface CniAgent {
  attach(params: LocalAttachParams): Promise<LocalAttachResult>;
  detach(endpoint: string, options: { readonly release: boolean; readonly reason: string }): Promise<boolean>;
  /** By name of the interface on the bridge. */
  entries(): readonly (readonly [string, AttachmentRecord])[];
  /** Resolves when the controller has registered this host; rejects when it has not in time. */
  registered(timeoutMs: number): Promise<void>;
  /** Whether it has. */
  readonly connected: boolean;
  readonly switchState: string;
}

export interface CniPluginOptions {
  readonly agent: CniAgent;
  readonly state: {
    readonly current: Pick<AgentMemory, 'cni'>;
    update(change: Pick<AgentMemory, 'cni'>): Promise<void>;
  };
  readonly logger: Logger;
}

/** What is printed; undefined: nothing. */
export type CniAnswer = AddResult | VersionResult | undefined;

interface VersionResult {
  readonly cniVersion: string;
  readonly supportedVersions: readonly string[];
}

/** Of ADD. Runtimes wait for minutes. */
const DEADLINE_MS = 20_000;
const DELETED = 'its container was taken off the network';

export class CniPlugin {
  /** By {@link recordKey}. */
  private readonly records: Map<string, CniRecord>;
  private readonly queue = new KeyedQueue();
  /** Ends those that wait for the controller. */
  private readonly waiting = new Set<() => void>();

  constructor(private readonly options: CniPluginOptions) {
    this.records = new Map(Object.entries(options.state.current.cni));
  }

  /** Rejects with CniError. */
  async run(request: CniRequest): Promise<CniAnswer> {
    const basics = basicsOf(request);
    switch (basics.command) {
      case 'ADD': {
        const key = keyOf(request, basics);
        return this.queue.run(recordKey(key), () => this.add(request, basics, key));
      }
      case 'DEL': {
        const key = keyOf(request, basics);
        await this.queue.run(recordKey(key), () => this.delete(request, basics, key));
        return undefined;
      }
      case 'CHECK': {
        const key = keyOf(request, basics);
        await this.queue.run(recordKey(key), () => this.check(basics, key));
        return undefined;
      }
      case 'GC':
        await this.collect(basics);
        return undefined;
      case 'STATUS':
        this.status();
        return undefined;
      case 'VERSION':
        return { cniVersion: basics.version, supportedVersions: CNI_VERSIONS };
    }
  }

  /** Nobody waits for the controller any more. */
  stop(): void {
    for (const stop of this.waiting) stop();
  }

  private async add(
    request: CniRequest,
    basics: Basics,
    { netns = '', ...key }: InterfaceKey & { netns?: string },
  ): Promise<AddResult> {
    if (basics.document['prevResult'] !== undefined) {
      throw new CniError(
        CniCode.invalidConfiguration,
        'network configuration: prevResult: this plugin makes the interface and has to be the first of its list',
        'move it to the front; portmap, tuning and bandwidth go behind it',
      );
    }
    const wanted = wantedEndpoint(request, basics, key);
    const endpoint = `${wanted.tenant}/${wanted.network}/${wanted.endpoint}`;
    await this.refuseExisting(key, wanted, endpoint);
    const before = this.records.get(recordKey(key));
    await this.remember({ ...key, netns, endpoint, defaultRoutes: [] });
    try {
      const attached = await this.attach(wanted, key, netns);
      await this.limitMtu(wanted, attached, key, netns);
      const gateways = gatewaysOf(attached);
      const routes = gateways.length === 0 ? [] : await defaultRoutes(netns, key.interfaceName, gateways);
      await this.remember({ ...key, netns, endpoint, defaultRoutes: routes }, endpoint);
      const mac = await macOf(attached.interface);
      return addResult(basics.version, {
        host: { name: attached.interface, ...(mac === undefined ? {} : { mac }) },
        container: { name: key.interfaceName, mac: attached.endpoint.mac, netns },
        mtu: wanted.mtu ?? attached.mtu,
        addresses: addressesOf(attached),
        defaultRoutes: routes,
        dns: wanted.dns,
      });
    } catch (error) {
      await this.forget(key, before);
      throw cniErrorOf(error, endpoint);
    }
  }

  /** An interface that is there is somebody's, and be it ours (specification, "ADD"); of others' the kernel tells. */
  private async refuseExisting(
    key: InterfaceKey,
    { ofPod }: WantedEndpoint,
    endpoint: string,
  ): Promise<void> {
    for (const other of this.records.values()) {
      const same = recordKey(other) === recordKey(key);
      if (!same && other.endpoint !== endpoint) continue;
      // A pod gets a new sandbox while the runtime still clears away the old one.
      if (ofPod && other.containerId !== key.containerId) continue;
      const [name] = this.attachmentOf(other) ?? [];
      if (name === undefined || (await macOf(name)) === undefined) continue;
      if (same) {
        throw new CniError(
          CniCode.exists,
          `container ${key.containerId} has interface ${key.interfaceName} in ${other.netns} already`,
          'call DEL before ADD',
        );
      }
      throw new CniError(
        CniCode.exists,
        `endpoint ${endpoint} is interface ${other.interfaceName} of container ${other.containerId}`,
        'a container is in a network once; give it another name with WEFT_ENDPOINT in CNI_ARGS',
      );
    }
  }

  private async attach(
    wanted: WantedEndpoint,
    { interfaceName }: InterfaceKey,
    netns: string,
  ): Promise<LocalAttachResult> {
    const deadline = Date.now() + (wanted.deadlineMs ?? DEADLINE_MS);
    const left = (): number => Math.max(1, deadline - Date.now());
    await this.registered(left());
    const { tenant, network, endpoint, attachUUID, ips, mac, groups, labels, qos, rates } = wanted;
    const ip = ips.find((address) => !address.includes(':'));
    const ip6 = ips.find((address) => address.includes(':'));
    if (ips.length > (ip === undefined ? 0 : 1) + (ip6 === undefined ? 0 : 1)) {
      throw new CniError(CniCode.unsupportedField, `ips: ${ips.join(', ')}: one of each family is possible`);
    }
    return this.options.agent.attach({
      tenant,
      network,
      endpoint,
      netns,
      innerInterface: interfaceName,
      groups: [...groups],
      labels,
      rates,
      ...(attachUUID === undefined ? {} : { attachUUID }),
      ...(ip === undefined ? {} : { ip }),
      ...(ip6 === undefined ? {} : { ip6 }),
      ...(mac === undefined ? {} : { mac }),
      ...(qos === undefined ? {} : { qos }),
      waitMs: left(),
      deadlineMs: left(),
    });
  }

  /** As the agent's; rejects when the plugin stops, too. */
  private registered(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void =>
        reject(new CniError(CniCode.tryAgainLater, 'the agent stops', 'it is being restarted'));
      this.waiting.add(stop);
      this.options.agent
        .registered(timeoutMs)
        .then(resolve, reject)
        .finally(() => this.waiting.delete(stop));
    });
  }

  private async limitMtu(
    { mtu }: WantedEndpoint,
    attached: LocalAttachResult,
    { interfaceName }: InterfaceKey,
    netns: string,
  ): Promise<void> {
    if (mtu === undefined || mtu === attached.mtu) return;
    const leg = { host: attached.interface, netns, inner: interfaceName };
    const problem =
      mtu > attached.mtu
        ? new CniError(
            CniCode.invalidConfiguration,
            `network configuration: mtu ${mtu} is more than the ${attached.mtu} bytes that fit through the underlay`,
            'lower it, or leave it out',
          )
        : await setLegMtu(leg, mtu).then((said) =>
            said === undefined ? undefined : new CniError(CniCode.io, `MTU ${mtu}: ${said}`),
          );
    if (problem === undefined) return;
    await this.options.agent.detach(attached.endpoint.endpoint, { release: true, reason: problem.message });
    throw problem;
  }

  private async delete(
    request: CniRequest,
    basics: Basics,
    { netns, ...key }: InterfaceKey & { netns?: string },
  ): Promise<void> {
    const record = this.records.get(recordKey(key));
    if (record !== undefined) return this.detach(record);
    // The state file was lost: the endpoint's name follows from what ADD was given.
    const endpoint = endpointNamed(request, basics, key);
    const [, attachment] =
      this.options.agent.entries().find(([, entry]) => entry.endpoint === endpoint) ?? [];
    if (attachment === undefined || attachment.innerInterface !== key.interfaceName) return;
    if (netns === undefined || attachment.namespace !== netns) return;
    await this.options.agent.detach(attachment.endpoint, { release: true, reason: DELETED });
  }

  /** Take an interface off, unless its endpoint is another container's by now. */
  private async detach(record: CniRecord): Promise<void> {
    const { agent } = this.options;
    const another = agent
      .entries()
      .some(([, { endpoint, namespace }]) => endpoint === record.endpoint && namespace !== record.netns);
    if (!another) await agent.detach(record.endpoint, { release: true, reason: DELETED });
    await this.forget(record);
  }

  private async check(basics: Basics, key: InterfaceKey & { netns?: string }): Promise<void> {
    const record = this.records.get(recordKey(key));
    if (record === undefined) {
      throw new CniError(
        CniCode.unknownContainer,
        `container ${key.containerId} has no interface ${key.interfaceName} in ${basics.name}`,
      );
    }
    const [hostInterface] = this.attachmentOf(record) ?? [];
    await checkAttachment(basics, { ...record, ...key }, hostInterface);
  }

  private async collect({ name, document }: Basics): Promise<void> {
    const valid = validAttachments(document);
    const stale = [...this.records.values()].filter(
      ({ network, containerId, interfaceName }) =>
        network === name && !valid.has(`${containerId}/${interfaceName}`),
    );
    const problems: string[] = [];
    for (const record of stale) {
      const { containerId, interfaceName } = record;
      this.options.logger.info({ event: 'cni.collected', network: name, containerId, interfaceName });
      await this.queue
        .run(recordKey(record), async () => {
          if (this.records.get(recordKey(record)) === record) await this.detach(record);
        })
        .catch((error: unknown) => problems.push(`${record.endpoint}: ${messageOf(error)}`));
    }
    if (problems.length > 0)
      throw new CniError(CniCode.internal, 'not everything could be removed', problems.join('\n'));
  }

  /** Who may not serve ADD says so; without the switch even containers that are there may be cut off. */
  private status(): void {
    const { agent } = this.options;
    if (agent.switchState !== 'ready') {
      throw new CniError(
        CniCode.limitedConnectivity,
        'the agent is not connected to Open vSwitch',
        'is it running?',
      );
    }
    if (!agent.connected) {
      throw new CniError(
        CniCode.unavailable,
        'the agent is not connected to the controller',
        'containers keep their traffic; new ones wait',
      );
    }
  }

  /** The record's attachment, while it is this container's. */
  private attachmentOf({ endpoint, netns }: CniRecord): readonly [string, AttachmentRecord] | undefined {
    return this.options.agent
      .entries()
      .find(([, record]) => record.endpoint === endpoint && record.namespace === netns);
  }

  /** `of`: the endpoint is this record's alone from now on. */
  private async remember(record: CniRecord, of?: string): Promise<void> {
    for (const [key, other] of this.records) if (other.endpoint === of) this.records.delete(key);
    this.records.set(recordKey(record), record);
    await this.write();
  }

  private async forget(key: InterfaceKey, before?: CniRecord): Promise<void> {
    if (before === undefined) this.records.delete(recordKey(key));
    else this.records.set(recordKey(key), before);
    await this.write();
  }

  private write(): Promise<void> {
    // After a reboot, or without the agent, nobody deletes what was: the attachment goes with its namespace, and so does the record.
    const attached = new Set(this.options.agent.entries().map(([, { endpoint }]) => endpoint));
    for (const [key, { endpoint, netns }] of this.records) {
      if (!attached.has(endpoint) && !existsSync(netns)) this.records.delete(key);
    }
    return this.options.state.update({ cni: Object.fromEntries(this.records) });
  }
}

/** Undefined when the configuration does not say, or not in a way that is understood. */
function endpointNamed(request: CniRequest, basics: Basics, key: InterfaceKey): string | undefined {
  try {
    const { tenant, network, endpoint } = wantedEndpoint(request, basics, key);
    return `${tenant}/${network}/${endpoint}`;
  } catch {
    return undefined;
  }
}

/** As `<container id>/<interface>`. Without the list nothing may be removed. */
function validAttachments(document: Basics['document']): ReadonlySet<string> {
  // libcni has written both names, the specification of 1.1.0 the second.
  const listed = document['cni.dev/valid-attachments'] ?? document['cni.dev/attachments'];
  if (!Array.isArray(listed)) {
    throw new CniError(
      CniCode.invalidConfiguration,
      'network configuration: cni.dev/valid-attachments is no list',
      'GC needs the list of what is to be kept',
    );
  }
  return new Set(
    listed.map((attachment: { readonly containerID?: unknown; readonly ifname?: unknown } | null) => {
      const { containerID, ifname } = attachment ?? {};
      if (typeof containerID === 'string' && typeof ifname === 'string') return `${containerID}/${ifname}`;
      throw new CniError(
        CniCode.invalidConfiguration,
        'network configuration: cni.dev/valid-attachments: each has containerID and ifname',
      );
    }),
  );
}

function gatewaysOf({ endpoint }: LocalAttachResult): string[] {
  return [endpoint.gateway, endpoint.gateway6].filter((gateway) => gateway !== undefined);
}

function addressesOf({ endpoint }: LocalAttachResult): { cidr: string; gateway?: string }[] {
  const { ip, ip6, gateway, gateway6 } = endpoint;
  const of = (cidr: string | undefined, by: string | undefined) =>
    cidr === undefined ? [] : [{ cidr, ...(by === undefined ? {} : { gateway: by }) }];
  return [...of(ip, gateway), ...of(ip6, gateway6)];
}
