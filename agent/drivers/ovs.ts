/**
 * The Open vSwitch driver: one integration bridge, written through OVSDB.
 *
 * Every change is one transaction that also raises `Open_vSwitch.next_cfg`; it counts as done when ovs-vswitchd has raised `cur_cfg` to
 * the same number (ovs-vswitchd.conf.db(5)), as `ovs-vsctl` waits.
 */
import { existsSync } from 'node:fs';
import { AgentError } from '../error.js';
import type { TunnelState } from '../../rpc/index.js';
import { runCommand } from '../linux/command.js';
import type { Logger } from '../logger.js';
import * as ovsdb from '../ovsdb/index.js';
import type { AttachmentRecord } from '../records.js';
import type {
  AttachedPort,
  BridgeSettings,
  BridgeState,
  DriverState,
  QueueSettings,
  SwitchDriver,
} from './driver.js';
import {
  Bridge,
  Controller,
  decodeRecord,
  encodeRecord,
  HOST_KEY,
  Interface,
  OpenVSwitch,
  PEER_KEY,
  Port,
  QoS,
  Queue,
  ROLE_KEY,
  TABLES,
} from './ovs-schema.js';
import { vethLegs } from './legs.js';
import { OvsOffload } from './ovs-offload.js';
import { OvsQueues } from './ovs-queues.js';
import {
  type InfrastructurePort,
  infrastructureColumns,
  infrastructurePorts,
  type NewPort,
  newControllers,
  newPort,
  sameValues,
} from './ovs-rows.js';

export interface OvsDriverOptions {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly ovsdb: string;
  readonly bridge: string;
  readonly logger: Logger;
  /** Time for ovs-vswitchd to apply a change (default 10,000 ms). */
  readonly applyTimeoutMs?: number;
}

type BridgeRow = ovsdb.RowOf<typeof Bridge>;
type InterfaceRow = ovsdb.RowOf<typeof Interface>;

interface Found {
  readonly uuid: string;
  readonly row: BridgeRow;
}

export class OvsDriver implements SwitchDriver {
  readonly legs = vethLegs;
  private readonly client: ovsdb.OvsdbClient;
  private readonly queues: OvsQueues;
  private readonly offload: OvsOffload;
  private readonly applyTimeoutMs: number;

  constructor(private readonly options: OvsDriverOptions) {
    this.applyTimeoutMs = options.applyTimeoutMs ?? 10_000;
    this.client = new ovsdb.OvsdbClient({ remote: options.ovsdb, tables: TABLES, logger: options.logger });
    this.offload = new OvsOffload(this.client);
    this.queues = new OvsQueues(this.client, (operations, why) => this.apply(operations, why));
  }

  get state(): DriverState {
    return this.client.state;
  }

  ready(timeoutMs: number): Promise<void> {
    return this.client.ready(timeoutMs);
  }

  onState(listener: (state: DriverState) => void): () => void {
    return this.client.onState(listener);
  }

  onPorts(listener: () => void): () => void {
    const watched = new Set([Bridge.name, Port.name, Interface.name, QoS.name, Queue.name]);
    return this.client.onChange((changes) => {
      if (changes.some((change) => watched.has(change.table))) listener();
    });
  }

  /** `state` is BFD's (RFC 5880 section 4.1); a session that never was up says nothing of the tunnel. */
  tunnels(): readonly TunnelState[] {
    const tunnels: TunnelState[] = [];
    for (const { external_ids, bfd_status } of this.client.rows(Interface).values()) {
      const host = external_ids.get(PEER_KEY);
      const state = bfd_status.get('state');
      if (host === undefined || state === undefined) continue;
      const up = state === 'up';
      if (up || Number(bfd_status.get('flap_count') ?? 0) > 0) tunnels.push({ host, up });
    }
    return tunnels.sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  onTunnels(listener: () => void): () => void {
    let before = JSON.stringify(this.tunnels());
    return this.client.onChange((changes) => {
      if (!changes.some((change) => change.table === Interface.name)) return;
      const now = JSON.stringify(this.tunnels());
      if (now === before) return;
      before = now;
      listener();
    });
  }

  close(): void {
    this.client.close();
  }

  async ensureBridge(settings: BridgeSettings): Promise<BridgeState> {
    const found = this.bridge();
    if (found !== undefined) this.refuseForeign(found.row, settings);
    const datapathType = await this.chooseDatapath(settings.datapath, found?.row);
    const wanted = infrastructurePorts(settings);
    const offload = this.offload.operations(settings);
    const operations = [
      ...offload,
      ...this.bridgeOperations(found, settings, datapathType, this.newPorts(found?.row, wanted)),
      ...(found === undefined ? [] : this.changedPorts(found, wanted)),
    ];
    if (operations.length > 0) {
      await this.apply(operations, `weft agent: bridge ${settings.bridge}`);
      this.options.logger.info({
        event: 'bridge.configured',
        bridge: settings.bridge,
        datapathType,
        datapathId: settings.datapathId,
      });
    }
    for (const port of wanted) await this.usable(port.name);
    const problems = [
      ...(await this.tunnelProblems(settings, datapathType)),
      ...this.offload.problems(settings, datapathType),
    ];
    return { datapathType, problems };
  }

  ensureQueues(queues: QueueSettings): Promise<readonly string[]> {
    return this.queues.ensure(queues);
  }

  ports(): readonly AttachedPort[] {
    const bridge = this.bridge();
    if (bridge === undefined) return [];
    return this.interfacesOf(bridge.row).flatMap(({ row }) => {
      const record = decodeRecord(row.external_ids);
      const number = row.ofport === undefined || row.ofport < 0 ? {} : { number: row.ofport };
      return record === undefined ? [] : [{ interface: row.name, ...number, record }];
    });
  }

  async addPort(interfaceName: string, record: AttachmentRecord): Promise<void> {
    const bridge = this.bridge();
    if (bridge === undefined) {
      throw new AgentError('agent.disconnected', `there is no bridge ${this.options.bridge}`);
    }
    const external_ids = encodeRecord(record);
    const existing = this.interfacesOf(bridge.row).find(({ row }) => row.name === interfaceName);
    if (existing !== undefined) {
      // Nothing that ovs-vswitchd would have to apply.
      await this.client.transact([ovsdb.update(Interface, existing.uuid, { external_ids })]);
    } else {
      this.refuseUsed(interfaceName);
      const port = newPort(interfaceName, { external_ids }, 'endpoint');
      await this.apply([
        ...port.operations,
        ovsdb.mutateReferences(Bridge, bridge.uuid, 'ports', 'insert', [port.reference]),
      ]);
    }
    await this.usable(interfaceName);
  }

  async removePort(interfaceName: string): Promise<void> {
    const bridge = this.bridge();
    const port = this.client.find(Port, (row) => row.name === interfaceName);
    if (bridge === undefined || port === undefined || !bridge.row.ports.includes(port.uuid)) return;
    await this.apply([ovsdb.mutateReferences(Bridge, bridge.uuid, 'ports', 'delete', [port.uuid])]);
  }

  private bridge(): Found | undefined {
    return this.client.find(Bridge, (row) => row.name === this.options.bridge);
  }

  private interfacesOf(bridge: BridgeRow): { readonly uuid: string; readonly row: InterfaceRow }[] {
    const ports = this.client.rows(Port);
    const interfaces = this.client.rows(Interface);
    return bridge.ports
      .flatMap((uuid) => ports.get(uuid)?.interfaces ?? [])
      .flatMap((uuid) => {
        const row = interfaces.get(uuid);
        return row === undefined ? [] : [{ uuid, row }];
      });
  }

  /** A bridge with a controller that no agent of ours wrote is somebody's. */
  private refuseForeign(row: BridgeRow, settings: BridgeSettings): void {
    const owner = row.external_ids.get(HOST_KEY);
    if (owner === settings.hostLabel || (owner === undefined && row.controller.length === 0)) return;
    const whose =
      owner === undefined ? 'has a controller that is not Weft' : `belongs to the agent of host '${owner}'`;
    throw new AgentError('agent.bridge.foreign', `bridge ${row.name} ${whose}`, {
      path: 'bridge',
      fix: `choose another --bridge, or run: ovs-vsctl del-controller ${row.name} -- remove bridge ${row.name} external_ids ${HOST_KEY}`,
    });
  }

  private refuseUsed(interfaceName: string): void {
    if (this.client.find(Port, (row) => row.name === interfaceName) === undefined) return;
    throw new AgentError('agent.port.failed', `${interfaceName} is a port of another bridge`, {
      path: 'interface',
      fix: `ovs-vsctl del-port ${interfaceName}`,
    });
  }

  private async chooseDatapath(
    wish: BridgeSettings['datapath'],
    row: BridgeRow | undefined,
  ): Promise<'netdev' | 'system'> {
    if (wish !== 'auto') return wish;
    // The type of a bridge that is there is left: changing it recreates all of its ports.
    if (row !== undefined) return row.datapath_type === 'netdev' ? 'netdev' : 'system';
    const [root] = this.client.rows(OpenVSwitch).values();
    if (root === undefined || !root.datapath_types.includes('system')) return 'netdev';
    if (existsSync('/sys/module/openvswitch')) return 'system';
    const loaded = await runCommand(['modprobe', 'openvswitch']).catch(() => undefined);
    return loaded?.exitCode === 0 ? 'system' : 'netdev';
  }

  /**
   * Make the bridge, or change what differs. A new row can be referred to in the same transaction but not searched for (RFC 7047 section
   * 5.1), so a new bridge is inserted with all it has.
   */
  private bridgeOperations(
    found: Found | undefined,
    settings: BridgeSettings,
    datapathType: 'netdev' | 'system',
    ports: readonly NewPort[],
  ): readonly ovsdb.Operation[] {
    const row = found?.row;
    const columns = {
      // The kernel datapath is the empty string as well as 'system'.
      datapath_type: datapathType === 'system' && row?.datapath_type === '' ? '' : datapathType,
      fail_mode: 'secure',
      protocols: ['OpenFlow13'],
      other_config: new Map([
        ...(row?.other_config ?? []),
        ['disable-in-band', 'true'],
        ['datapath-id', settings.datapathId],
        ...(settings.hardwareAddress === undefined ? [] : [['hwaddr', settings.hardwareAddress] as const]),
      ]),
      external_ids: new Map(row?.external_ids).set(HOST_KEY, settings.hostLabel),
    };
    const added = ports.flatMap((port) => port.operations);
    const references = ports.map((port) => port.reference);
    const known = this.client.rows(Controller);
    const targets = (row?.controller ?? []).map((uuid) => known.get(uuid)?.target ?? '');
    const controllers = sameValues({ targets: targets.sort() }, { targets: [...settings.controllers].sort() })
      ? undefined
      : newControllers(settings.controllers);
    const controllerColumn = controllers === undefined ? {} : { controller: controllers.references };
    if (found === undefined) {
      const local = newPort(settings.bridge, { type: 'internal' }, 'local');
      const bridge = {
        name: settings.bridge,
        ...columns,
        ...controllerColumn,
        ports: [local.reference, ...references],
      };
      return [
        ...local.operations,
        ...added,
        ...(controllers?.operations ?? []),
        ovsdb.insert(Bridge, bridge, 'bridge'),
        ovsdb.mutateReferences(OpenVSwitch, this.rootUuid(), 'bridges', 'insert', [
          ovsdb.namedUuid('bridge'),
        ]),
      ];
    }
    const { uuid } = found;
    const { datapath_type, fail_mode, protocols, other_config, external_ids } = found.row;
    const have = { datapath_type, fail_mode, protocols, other_config, external_ids };
    return [
      ...(sameValues(have, columns) ? [] : [ovsdb.update(Bridge, uuid, columns)]),
      ...(controllers?.operations ?? []),
      ...(controllers === undefined ? [] : [ovsdb.update(Bridge, uuid, controllerColumn)]),
      ...added,
      ...(references.length === 0
        ? []
        : [ovsdb.mutateReferences(Bridge, uuid, 'ports', 'insert', references)]),
    ];
  }

  private rootUuid(): string {
    const [uuid] = this.client.rows(OpenVSwitch).keys();
    if (uuid !== undefined) return uuid;
    throw new AgentError('agent.disconnected', 'the database has no Open_vSwitch row', {
      fix: 'run: ovs-vsctl --no-wait init',
    });
  }

  private newPorts(row: BridgeRow | undefined, wanted: readonly InfrastructurePort[]): readonly NewPort[] {
    const present = new Set(row === undefined ? [] : this.interfacesOf(row).map((found) => found.row.name));
    return wanted
      .filter((port) => !present.has(port.name))
      .map((port) => {
        this.refuseUsed(port.name);
        return newPort(port.name, infrastructureColumns(port), port.name);
      });
  }

  /** Ports that are there and differ, and those of a tunnel or uplink that is no longer wanted. */
  private changedPorts(found: Found, wanted: readonly InfrastructurePort[]): readonly ovsdb.Operation[] {
    const byName = new Map(wanted.map((port) => [port.name, port]));
    return this.interfacesOf(found.row).flatMap(({ uuid, row }) => {
      const port = byName.get(row.name);
      if (port === undefined) {
        const old = row.external_ids.has(ROLE_KEY)
          ? this.client.find(Port, (candidate) => candidate.name === row.name)
          : undefined;
        return old === undefined
          ? []
          : [ovsdb.mutateReferences(Bridge, found.uuid, 'ports', 'delete', [old.uuid])];
      }
      const columns = infrastructureColumns(port);
      const have = Object.keys(columns).map((name) => [name, row[name as keyof typeof row]]);
      const same = sameValues(Object.fromEntries(have) as Record<string, unknown>, columns);
      return same ? [] : [ovsdb.update(Interface, uuid, columns)];
    });
  }

  /**
   * The userspace datapath routes tunnels itself and can send them only through a bridge of its own, so a VTEP address on any other
   * interface receives and never sends. Said here, because the switch says nothing.
   */
  private async tunnelProblems(settings: BridgeSettings, datapathType: string): Promise<readonly string[]> {
    if (datapathType !== 'netdev' || settings.vtepIp === undefined) return [];
    const result = await runCommand(['ip', '-json', 'addr', 'show', 'to', settings.vtepIp]);
    const links = JSON.parse(result.stdout || '[]') as { ifname?: string }[];
    const name = links.find((link) => link.ifname !== undefined)?.ifname;
    const holder = this.client.find(Bridge, (row) => row.name === name && row.datapath_type === 'netdev');
    if (holder !== undefined) return [];
    return [
      `the tunnel address ${settings.vtepIp} is on ${name ?? 'no interface'}, and the userspace datapath can send tunnels only through a ` +
        'bridge with datapath_type=netdev that holds the address: move the underlay interface and its address to such a bridge',
    ];
  }

  /** Resolves when the interface has a port number; rejects with what ovs-vswitchd says of it. */
  private async usable(interfaceName: string): Promise<void> {
    await this.client.waitFor(
      `ovs-vswitchd to open ${interfaceName}`,
      () => {
        const row = this.client.find(Interface, (candidate) => candidate.name === interfaceName)?.row;
        if (row === undefined)
          throw new AgentError('agent.port.failed', `${interfaceName} was removed meanwhile`);
        if (row.error !== undefined || row.ofport === -1) {
          throw new AgentError(
            'agent.port.failed',
            `ovs-vswitchd: ${row.error ?? `cannot open ${interfaceName}`}`,
            {
              path: 'interface',
            },
          );
        }
        return row.ofport;
      },
      this.applyTimeoutMs,
    );
  }

  private async apply(operations: readonly ovsdb.Operation[], why?: string): Promise<void> {
    const results = await this.client.transact([
      ...operations,
      ...(why === undefined ? [] : [ovsdb.comment(why)]),
      ovsdb.increment(OpenVSwitch, 'next_cfg'),
      { op: 'select', table: OpenVSwitch.name, where: [], columns: ['next_cfg'] },
    ]);
    const [selected] = (results.at(-1)?.['rows'] ?? []) as { next_cfg: number }[];
    const wanted = selected?.next_cfg ?? 0;
    await this.client.waitFor(
      'ovs-vswitchd to apply the change',
      () => {
        const [root] = this.client.rows(OpenVSwitch).values();
        return root !== undefined && root.cur_cfg >= wanted ? true : undefined;
      },
      this.applyTimeoutMs,
    );
  }
}
